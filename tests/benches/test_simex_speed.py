"""The bench of the simulator times the loop it names, and leaves the simulator as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from benches import simex_speed
from simex import futures_kernel


def test_a_round_times_the_compiled_loop_and_puts_it_back(tmp_path: Path) -> None:
    loop = futures_kernel.run
    done = simex_speed.one_round(tmp_path / "out", "tiny", options=False, with_=())
    assert futures_kernel.run is loop
    assert 0 < done["loop_cpu_s"] < done["cpu_s"]
    assert 50_000 < done["records"] < 200_000
    assert list(done["hashes"]) == [
        f"simex-20260106.{name}.dbn.zst" for name in ("mbo", "definition", "statistics")
    ]


def test_rounds_with_different_bytes_give_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([{"hashes": {"a": "1"}}, {"hashes": {"a": "2"}}])
    monkeypatch.setattr(simex_speed, "one_round", lambda *_, **__: next(answers))
    with pytest.raises(SystemExit, match="different bytes"):
        simex_speed.rounds(1, "tiny")
