"""What the three commands share: options, scratch folder, progress, Ctrl-C, summary and exit code."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

from tests.hostility.runner import Runner

PROGRESS_EVERY_S: Final = 10.0
EXIT_OK: Final = 0
EXIT_FAULTS: Final = 1
EXIT_INTERRUPTED: Final = 130
"""as a shell says of a command ended by Ctrl-C: a campaign cut short proves less than it was asked to"""


class Report(Protocol):
    """A running report of a campaign."""

    faults: list[str]

    def summary(self) -> str:
        """One line."""


Campaign = Callable[[Runner, Path, argparse.Namespace], Iterator[Report]]


def options(text: str | None, count: int, what: str) -> argparse.ArgumentParser:
    """Parser of the shared options."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=count, help=f"{what} (default {count:,})")
    parser.add_argument("--seed", type=int, default=20260106, help="another seed, another campaign")
    return parser


def run(campaign: Campaign, chosen: argparse.Namespace, after: Callable[[Report], Sequence[str]]) -> int:
    """Run the campaign to its end or to Ctrl-C -> exit code. `after` gives lines above the summary."""
    begun = time.monotonic()
    report: Report | None = None
    shown_faults, spoke_at, interrupted = 0, begun, False
    with tempfile.TemporaryDirectory(prefix="spymaster-faults-") as scratch:
        try:
            with Runner(Path(scratch)) as runner:
                for report in campaign(runner, Path(scratch), chosen):
                    for fault in report.faults[shown_faults:]:
                        _say(f"FAULT {fault}")
                    shown_faults = len(report.faults)
                    if time.monotonic() - spoke_at >= PROGRESS_EVERY_S:
                        spoke_at = time.monotonic()
                        _say(f"{spoke_at - begun:6.0f} s  {report.summary()}")
        except KeyboardInterrupt:
            interrupted = True
    if report is None:
        _say("interrupted before anything was tried")
        return EXIT_INTERRUPTED
    for line in after(report):
        _say(line)
    verdict = "FAIL" if report.faults else "INTERRUPTED" if interrupted else "PASS"
    _say(f"{verdict}: {report.summary()} in {time.monotonic() - begun:.0f} s, seed {chosen.seed}")
    return EXIT_FAULTS if report.faults else EXIT_INTERRUPTED if interrupted else EXIT_OK


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
