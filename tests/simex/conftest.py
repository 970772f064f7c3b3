"""One simulated `tiny` day and its replay, shared by the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from simex.day import SimResult, simulate
from tests.simex.plain import Replay, read_mbo, replay

ESH6 = 42_140_878


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> SimResult:
    """tiny, seed 7, with decoys and status."""
    return simulate("2026-01-06", "tiny", 7, tmp_path_factory.mktemp("tiny"), with_=("decoys", "status"))


@pytest.fixture(scope="session")
def tiny_replay(tiny: SimResult) -> Replay:
    """What a plain replay of its file finds."""
    return replay(read_mbo(tiny.paths[0])[1], ESH6)


@pytest.fixture(scope="session")
def opening(tmp_path_factory: pytest.TempPathFactory) -> SimResult:
    """The last minute of the pre-open, the auction and the first minute."""
    out: Path = tmp_path_factory.mktemp("opening")
    return simulate("2026-01-06", "tiny", 7, out, start="22:59:00", options=False)


@pytest.fixture(scope="session")
def opening_replay(opening: SimResult) -> Replay:
    """Its replay."""
    return replay(read_mbo(opening.paths[0])[1], ESH6)
