"""Every disk step of a whole run fails once, and really small disks: one sentence, old partitions untouched.

uv run python -m benches.faults.full_disk --count 0     # 0 = every step of a run
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from tests.hostility.full_disk import DiskReport, file_limit_campaign, step_campaign, tmpfs_campaign
from tests.hostility.runner import Runner

from benches.faults import campaign

_FILE_LIMITS = [200 * k for k in range(1, 40)]
_ROOMS = [8_192 * k for k in range(40)]


def _disks(runner: Runner, scratch: Path, chosen: argparse.Namespace) -> Iterator[DiskReport]:
    done = DiskReport()
    parts = (
        step_campaign(runner, _folder(scratch, "steps"), chosen.count or None, chosen.seed),
        file_limit_campaign(runner, _folder(scratch, "limits"), _FILE_LIMITS),
        tmpfs_campaign(runner, _folder(scratch, "tmpfs"), _ROOMS),
    )
    for part in parts:
        report = DiskReport()
        try:
            for report in part:
                yield done.plus(report)
        except PermissionError as denied:
            done.left_out.append(f"small tmpfs: {denied}")
        done = done.plus(report)
        yield done


def _folder(scratch: Path, name: str) -> Path:
    folder = scratch / name
    folder.mkdir()
    return folder


def main() -> int:
    """Entry point; returns the exit code."""
    chosen = campaign.options(__doc__, 0, "steps to fail, 0 = every one").parse_args()
    return campaign.run(_disks, chosen, lambda report: [])


if __name__ == "__main__":
    raise SystemExit(main())
