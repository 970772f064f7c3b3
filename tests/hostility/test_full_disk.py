"""A disk that fails or is full during a whole run: one sentence, exit code 1, old partitions as they were."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import pytest

from tests.hostility.full_disk import file_limit_campaign, step_campaign, tmpfs_campaign
from tests.hostility.runner import Runner

STEPS = 18
"""of some hundred; `python -m benches.faults.full_disk` tries every one"""


def test_any_failing_disk_step_is_one_sentence_and_keeps_what_was_not_yet_replaced(
    runner: Runner, tmp_path: Path
) -> None:
    report = deque(step_campaign(runner, tmp_path, STEPS), maxlen=1).pop()
    assert report.faults == []
    assert report.total == STEPS
    assert report.failed.total() > STEPS // 3, "hardly any step failed: nothing was tested"


def test_file_size_limit_of_the_kernel_is_one_sentence_too(runner: Runner, tmp_path: Path) -> None:
    report = deque(file_limit_campaign(runner, tmp_path, [400, 2_500, 20_000]), maxlen=1).pop()
    assert report.faults == []
    assert report.failed["EFBIG"] == 3


def test_real_full_disk_is_one_sentence_too(runner: Runner, tmp_path: Path) -> None:
    try:
        report = deque(tmpfs_campaign(runner, tmp_path, [0, 16_384, 65_536, 131_072]), maxlen=1).pop()
    except PermissionError as denied:
        pytest.skip(reason=str(denied))  # the file-size limit above covers short writes everywhere
    assert report.faults == []
    assert report.failed["ENOSPC"] >= 3
