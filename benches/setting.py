"""One run of the bench: inputs, peers, and what is made only once because it takes minutes."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from benches import children
from benches.big_input import seconds_for, write_big_day
from benches.c_limit import CBook, CResult
from benches.measure import Missing, Spent
from benches.subjects import Subject
from data_eng.lake import Lake
from data_eng.units import PRICES_PER_POINT

PEER_SCRIPT: Final = Path(__file__).with_name("nautilus_peer.py")
PEER_COMMAND: Final = (
    "run",
    "--quiet",
    "--isolated",
    "--no-default-groups",
    "--only-group",
    "peers",
    "python",
)


class Peer:
    """nautilus_trader in a process that lives as long as the bench; one line in, one round out.

    Raises `Missing` when its interpreter does not start or has no nautilus_trader.
    """

    def __init__(self, subject: Subject, interpreter: Path | None) -> None:
        uv = shutil.which("uv")
        if interpreter is not None:
            start = [str(interpreter)]
        elif uv is not None:
            start = [uv, *PEER_COMMAND]
        else:
            raise Missing("neither uv nor --peer-python gives an interpreter with nautilus_trader")
        decimals = len(str(PRICES_PER_POINT)) - 1 - _trailing_zeros(subject.tick_int)
        try:
            self._process = subprocess.Popen(
                [*start, str(PEER_SCRIPT), str(subject.path), subject.symbol, str(decimals)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=children.REPOSITORY,
            )
        except OSError as fault:
            raise Missing(f"the interpreter of nautilus_trader does not start: {fault}") from None
        self._default: list[float] = []
        self._first = self._ask()
        self.version: str = self._first["version"]

    def round(self) -> tuple[Spent, Spent]:
        """One pass each: its fastest way and its default way, load + apply; CPU of its whole process."""
        answer = self._ask()
        fast, default = (_sum(answer[way]) for way in ("fast", "default"))
        self._default.append(default.cpu)
        return fast, default

    def default_ns_per_record(self, records: int) -> float:
        """Median CPU of its default way over the rounds so far."""
        return float(f"{statistics.median(self._default) * 1e9 / records:.4g}")

    def depths(self) -> dict[str, dict[str, dict[int, int]]]:
        """Final depth of both ways, side -> price_int -> contracts."""
        return {
            name: {side: {int(p): q for p, q in levels.items()} for side, levels in self._first[key].items()}
            for name, key in (("nautilus_trader", "depth"), ("nautilus_trader (default)", "default_depth"))
        }

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    def _ask(self) -> dict[str, Any]:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            process.stdin.write("round\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            text = process.stderr.read().strip().splitlines()
            process.wait()
            raise Missing(f"nautilus_trader does not run: {text[-1] if text else 'it said nothing'}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def _sum(way: dict[str, float]) -> Spent:
    return Spent(way["load_cpu"] + way["apply_cpu"], way["load_wall"] + way["apply_wall"])


def _trailing_zeros(value: int) -> int:
    return len(str(value)) - len(str(value).rstrip("0"))


@dataclass
class Setting:
    """What the goals share. `given` is the user's file, `folder` a temporary folder of this run.

    records: the day is made at least this long; a file that is long enough is taken as it is.
    peer_records: the same for the day on which the slow peers run.
    """

    given: Path
    folder: Path
    records: int
    peer_records: int
    rounds: int
    peer_python: Path | None = None
    say: Callable[[str], None] = lambda _: None
    _opened: list[Peer] = field(default_factory=list)
    _missing: dict[str, Missing] = field(default_factory=dict)

    @cached_property
    def given_day(self) -> Subject:
        """The user's file."""
        return Subject(self.given)

    @cached_property
    def day(self) -> Subject:
        """The day that is measured."""
        return self._day_of("day", self.records, seconds_for(self.records))

    @cached_property
    def peer_day(self) -> Subject:
        """The day on which the slow peers run."""
        if self.records <= self.peer_records:
            return self.day
        return self._day_of("peers", self.peer_records, seconds_for(self.peer_records))

    @cached_property
    def small_day(self) -> Subject:
        """The user's file when it is short, else the shorter of the others."""
        return self.given_day if self.given_day.source.records < self.peer_records else self.peer_day

    @cached_property
    def c_book(self) -> CBook:
        """The compiled C limit. Raises `Missing`."""
        return CBook(self.folder)

    @cached_property
    def _peer(self) -> Peer:
        peer = Peer(self.peer_day, self.peer_python)
        self._opened.append(peer)
        return peer

    @property
    def peer(self) -> Peer:
        """nautilus_trader on `peer_day`. Raises `Missing`, each time without trying again."""
        if "peer" in self._missing:
            raise self._missing["peer"]
        try:
            return self._peer
        except Missing as why:
            self._missing["peer"] = why
            raise

    def c_result(self, subject: Subject) -> CResult:
        """One pass of C. Raises `Missing`."""
        return self.c_book.run(subject.records, subject.instrument_id, subject.tick_int, subject.seconds)

    def run_c(self, subject: Subject) -> Spent:
        """Time of one pass of C. Raises `Missing`."""
        return self.c_result(subject).spent

    @cached_property
    def whole_day(self) -> dict[str, Any]:
        """The whole futures pipeline over `day`, from the raw file, in a new lake, in its own process."""
        self.say(f"pipeline over {self.day.source.records:,} records")
        return children.run_pipeline(self.day.path, self.folder / "lake", self.day.dt, self.day.symbol)

    @cached_property
    def quarter_day(self) -> dict[str, Any]:
        """The same over a day with a quarter of the seconds and of the records."""
        short = self._day_of("quarter", self.records // 4, seconds_for(self.records) // 4)
        self.say(f"pipeline over {short.source.records:,} records")
        return children.run_pipeline(short.path, self.folder / "quarter", short.dt, short.symbol)

    @cached_property
    def whole_day_lake(self) -> Path:
        """Root of the lake with every table of `day`."""
        self.whole_day  # noqa: B018 - makes it
        return self.folder / "lake"

    @cached_property
    def served_lake(self) -> Path:
        """Root of a lake with every table of a day that need not be long."""
        if "whole_day" in self.__dict__:
            return self.whole_day_lake
        small = self.small_day
        children.run_pipeline(small.path, self.folder / "served", small.dt, small.symbol)
        return self.folder / "served"

    @cached_property
    def lake(self) -> Lake:
        """A lake with at least the Bronze of `day`."""
        root = self.folder / "lake"
        if "whole_day" not in self.__dict__ and not Lake(root).has(
            "bronze.future_mbo.mbo", self.day.symbol, self.day.dt
        ):
            children.run_pipeline(self.day.path, root, self.day.dt, self.day.symbol, only=("future_mbo",))
        return Lake(root)

    def close(self) -> None:
        """End the processes that were started."""
        for peer in self._opened:
            peer.close()

    def _day_of(self, name: str, records: int, seconds: int) -> Subject:
        given = self.given_day
        if given.source.records >= records and name == "day":
            return given
        path = self.folder / f"{name}.mbo.dbn.zst"
        self.say(f"writing a day of at least {records:,} records")
        write_big_day(self.given, path, records=records, seconds=seconds)
        return Subject(path)


def machine() -> dict[str, Any]:
    """Processor and cores, as the kernel names them."""
    model = ""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"cpu": model or "unknown", "cores": os.cpu_count() or 0}


def commit() -> str:
    """Commit of the checkout, with ``+changes`` when files differ from it."""
    git = shutil.which("git")
    if git is None or not (children.REPOSITORY / ".git").exists():
        return "unknown: not a git checkout"

    def ask(*arguments: str) -> str:
        done = subprocess.run(
            [git, *arguments], cwd=children.REPOSITORY, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    return ask("rev-parse", "HEAD") + ("+changes" if ask("status", "--porcelain") else "")
