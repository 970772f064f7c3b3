"""Corrupt and cut inputs: refused, or verified: false, or the very same records; never silently different."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from tests.hostility.corruption import corruption_campaign, inputs
from tests.hostility.damage import KINDS, sources
from tests.hostility.runner import Runner

INPUTS = 500
"""`python -m benches.faults.corrupt_inputs` does 10,000"""


def test_no_corrupt_input_is_taken_for_a_sound_one_and_none_crashes_or_hangs(
    runner: Runner, tmp_path: Path
) -> None:
    wanted = list(inputs(INPUTS))
    report = deque(corruption_campaign(runner, tmp_path, wanted), maxlen=1).pop()
    assert report.faults == []
    assert report.total > 0.95 * INPUTS, "too many inputs were not damaged at all"
    assert set(report.by(0)) == set(sources())
    assert set(report.by(1)) == set(KINDS)
    outcomes = report.by(2)
    assert outcomes["refused"] > INPUTS // 4
    assert outcomes["unverified"] > INPUTS // 20, "hardly anything was ingested: the engine met no damage"


def test_no_flipped_bit_passes_a_checksum(runner: Runner, tmp_path: Path) -> None:
    wanted = [("zst with checksum", "flip_bits", seed) for seed in range(1_000_000, 1_000_040)]
    report = deque(corruption_campaign(runner, tmp_path, wanted), maxlen=1).pop()
    assert report.faults == []
    outcomes = report.by(2)
    # a bit without meaning (a reserved one of a frame header) leaves every record as it was
    assert set(outcomes) <= {"refused", "identical"}
    assert outcomes["refused"] >= 36
