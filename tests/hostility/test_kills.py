"""kill -9 anywhere: 0 partial partitions, and the same command run again gives the same bytes."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from data_eng.pipeline import STAGES
from tests.hostility.kills import kill_campaign
from tests.hostility.runner import Runner

KILLS = 50
"""`python -m benches.faults.kills` does 1,000"""


def test_kill_at_random_instants_of_every_stage_leaves_whole_partitions_and_a_rerun_the_same_bytes(
    runner: Runner, tmp_path: Path
) -> None:
    report = deque(kill_campaign(runner, tmp_path, KILLS), maxlen=1).pop()
    assert report.faults == []
    assert report.kills.total() == KILLS
    assert {stage.name for stage in STAGES} <= set(report.kills), "a stage was never hit"
    assert report.leftovers_swept > KILLS // 4, "hardly any kill fell into a write: nothing was tested"
