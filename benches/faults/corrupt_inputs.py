"""Corrupt and cut inputs: refused, or verified: false, or the very same records; never silently different.

uv run python -m benches.faults.corrupt_inputs --count 10000
uv run python -m benches.faults.corrupt_inputs --only "raw/flip_bits/8"     # one input again
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.hostility.corruption import CorruptionReport, corruption_campaign, inputs
from tests.hostility.runner import Runner

from benches.faults import campaign

_EXAMPLES = 3


def _corrupt(runner: Runner, scratch: Path, chosen: argparse.Namespace) -> Iterator[CorruptionReport]:
    wanted = list(inputs(chosen.count, chosen.seed))
    if chosen.only:
        source, kind, seed = chosen.only.split("/")
        wanted = [(source, kind, int(seed))]
    return corruption_campaign(runner, scratch, wanted)


def _after(report: campaign.Report) -> Sequence[str]:
    assert isinstance(report, CorruptionReport)
    found = [
        f"{len(seen):6d}  integrity check {name} fails, for example "
        + ", ".join("/".join(map(str, one)) for one in seen[:_EXAMPLES])
        for name, seen in sorted(report.failed_checks.items())
    ]
    return [*report.table(), *found]


def main() -> int:
    """Entry point; returns the exit code."""
    parser = campaign.options(__doc__, 10_000, "inputs")
    parser.add_argument("--only", metavar="SOURCE/KIND/SEED", help="just this input")
    return campaign.run(_corrupt, parser.parse_args(), _after)


if __name__ == "__main__":
    raise SystemExit(main())
