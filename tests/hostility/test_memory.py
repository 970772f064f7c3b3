"""The whole futures part of a real day, and its checks, inside 2 GiB of address space."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostility.runner import REPOSITORY, child_environment

LIMIT_BYTES = 2 << 30
"""of address space: stacks of threads and reserved but untouched memory count too"""
DAY = ("--dt", "2023-12-25", "--symbol", "ESH4")


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))


def _script(name: str, *words: str | Path, threads: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, REPOSITORY / "scripts" / name, *DAY, *words],
        capture_output=True,
        text=True,
        check=False,
        env={**child_environment(), "OMP_NUM_THREADS": str(threads)},
        preexec_fn=_limit,
    )


@pytest.mark.parametrize("threads", [2, 16], ids=["2 cores", "16 cores"])
def test_the_real_hour_runs_and_verifies_inside_2_gib_of_address_space(
    real_esh4: Path, tmp_path: Path, threads: int
) -> None:
    """Arrow starts as many threads as OMP_NUM_THREADS says, by default one per core."""
    raw = ("--raw", real_esh4.parent, "--no-gex")
    run = _script("run_pipeline_2026_01_06.py", *raw, "--lake", tmp_path, threads=threads)
    assert (run.returncode, run.stderr) == (0, "")
    assert "stage_end futures_surfaces" in run.stdout
    for checks in ("test_data_integrity.py", "test_physics_integrity.py"):
        done = _script(checks, "--lake", tmp_path, threads=threads)
        assert done.returncode == 0, done.stdout[-2_000:] + done.stderr
        assert "PASS" in done.stdout


def test_the_limit_is_really_set() -> None:
    code = "import numpy; numpy.ones(2 << 30, 'u1')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, preexec_fn=_limit
    )
    assert done.returncode == 1
    assert "MemoryError" in done.stderr


def test_running_out_of_memory_is_one_sentence(tmp_path: Path) -> None:
    code = (
        "from cyclopts import App\nfrom spymaster.edge import run_app\n"
        "app = App(name='spymaster')\n"
        "@app.default\ndef work() -> int:\n    import numpy\n    numpy.ones(2 << 30, 'u1')\n"
        "raise SystemExit(run_app(app, []))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=_limit,
        env=child_environment(),
    )
    assert done.returncode == 1
    assert done.stderr.startswith("spymaster: out of memory (")
    assert done.stderr.count("\n") == 1
