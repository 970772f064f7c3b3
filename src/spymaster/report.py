"""Progress of a run: bars on a terminal, plain unbuffered lines everywhere else (spec 8).

A run in the background is followed with ``nohup ... &`` and ``tail -f``, so plain lines are flushed one
by one and nothing is ever redrawn. NO_COLOR or a dumb terminal asks for plain lines too.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self, TextIO

from data_eng.stage import Reporter

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PROGRESS_EVERY_SECS: Final = 10.0
"""a plain progress line at most this often: a full day leaves some dozens of lines, not thousands"""


class EdgeReporter(Reporter, Protocol):
    """A reporter that owns the terminal while it is entered."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was found."""


class PlainReporter(AbstractContextManager["PlainReporter"]):
    """One line per fact: ``stage_start NAME``, ``stage_end NAME rows=.. secs=..``, ``stage_skip NAME ..``."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._spoke_at = 0.0

    def __exit__(self, *_: object) -> None:
        """Nothing to restore."""

    def _line(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def stage_start(self, name: str) -> None:
        """``stage_start NAME``"""
        self._spoke_at = time.monotonic()
        self._line(f"stage_start {name}")

    def advance(self, name: str, done: int, total: int | None, unit: str) -> None:
        """``stage_progress NAME done/total unit``, at most once in `PROGRESS_EVERY_SECS`."""
        now = time.monotonic()
        if now - self._spoke_at >= PROGRESS_EVERY_SECS:
            self._spoke_at = now
            self._line(f"stage_progress {name} {done}{'' if total is None else f'/{total}'} {unit}")

    def stage_end(self, name: str, rows: int, secs: float) -> None:
        """``stage_end NAME rows=.. secs=..``"""
        self._line(f"stage_end {name} rows={rows} secs={secs:.2f}")

    def stage_skip(self, name: str, reason: str) -> None:
        """``stage_skip NAME reason``"""
        self._line(f"stage_skip {name} {reason}")

    def note(self, text: str) -> None:
        """``note TEXT``"""
        self._line(f"note {text}")

    def warn(self, text: str) -> None:
        """``warning TEXT``"""
        self._line(f"warning {text}")


class BarReporter(AbstractContextManager["BarReporter"]):
    """A bar for the running stage, a lasting line for each finished one."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._progress: Progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[amount]}", markup=False),
            TimeElapsedColumn(),
            console=Console(file=stream),
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> BarReporter:
        """Begin to draw."""
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop drawing and show the cursor again."""
        self._progress.stop()

    def _line(self, text: str, style: str = "") -> None:
        self._progress.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def stage_start(self, name: str) -> None:
        """A bar that pulses until the total is known."""
        self._tasks[name] = self._progress.add_task(name, total=None, amount="")

    def advance(self, name: str, done: int, total: int | None, unit: str) -> None:
        """Move the bar."""
        if name in self._tasks:
            of = "" if total is None else f" of {total:,}"
            self._progress.update(
                self._tasks[name], completed=done, total=total, amount=f"{done:,}{of} {unit}"
            )

    def stage_end(self, name: str, rows: int, secs: float) -> None:
        """Replace the bar by a line."""
        task = self._tasks.pop(name, None)
        if task is not None:
            self._progress.remove_task(task)
        self._line(f"done   {name}: {rows:,} rows in {secs:.1f} s", "green")

    def stage_skip(self, name: str, reason: str) -> None:
        """A line that says why nothing was done."""
        self._line(f"skip   {name}: {reason}", "dim")

    def note(self, text: str) -> None:
        """A line."""
        self._line(f"note   {text}")

    def warn(self, text: str) -> None:
        """A line in yellow."""
        self._line(f"warn   {text}", "yellow")


def reporter(*, json: bool = False) -> EdgeReporter:
    """The reporter that suits the terminal; with `json`, standard output is left to the document."""
    stream = sys.stderr if json else sys.stdout
    plain = not stream.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return PlainReporter(stream) if plain else BarReporter(stream)
