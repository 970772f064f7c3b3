"""kill -9 at random instants of every stage: 0 partial partitions, and a rerun gives the same bytes.

uv run python -m benches.faults.kills --count 1000
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from tests.hostility.kills import KillReport, kill_campaign
from tests.hostility.runner import Runner

from benches.faults import campaign


def _kills(runner: Runner, scratch: Path, chosen: argparse.Namespace) -> Iterator[KillReport]:
    return kill_campaign(runner, scratch, chosen.count, chosen.seed)


def main() -> int:
    """Entry point; returns the exit code."""
    chosen = campaign.options(__doc__, 1_000, "kills").parse_args()
    return campaign.run(_kills, chosen, lambda report: [])


if __name__ == "__main__":
    raise SystemExit(main())
