"""Corrupt inputs: each is refused, or marked `verified: false`, or gives the very records it was made from.

Each input is a file of `damage` put in the place of the valid one whose day lies in the lake. What it may
become (spec 2.2):

    refused      a `SpymasterError` of exit code 2, in one sentence; the lake is as it was, byte for byte
    kept         the file is no longer one of that date and schema; nothing was written
    unverified   ingested, and the manifest says verified: false; then every later stage and the integrity
                 checks run to an end: a pass, a fail or one of our errors
    identical    ingested as verified, and Bronze is what the file says (for damage: the original records)

Anything else is a fault: above all records that differ silently, a traceback, a hang.
"""

from __future__ import annotations

import json
import resource
import shutil
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count as counting
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import databento_dbn as dbn
import numpy as np
import zstandard

from data_eng import pipeline
from data_eng.errors import SpymasterError
from data_eng.integrity.book import check_futures_book
from data_eng.integrity.physics import check_physics
from data_eng.lake import Lake
from data_eng.mbo import MBO_DTYPE
from data_eng.params import RunParams
from data_eng.planner import Request
from data_eng.raw_files import discover
from data_eng.stages.bronze.mbo_rows import to_dbn_records
from data_eng.units import DAY_NS
from tests.dbn_samples import DT, ESH6, day_start_ns, header_bytes, write_dbn
from tests.hostility.damage import KINDS, Source, damaged, sources
from tests.hostility.days import SYMBOL, tiny_records
from tests.hostility.lakes import leftovers, partition_hashes

if TYPE_CHECKING:
    from tests.hostility.runner import Answer, Runner

Input = tuple[str, str, int]
"""source, kind, seed"""

CPU_LIMIT_S: Final = 30
"""a minute of data takes a fraction of a second; whoever needs this long computes nonsense (4.7)"""
EXTRA_MEMORY_BYTES: Final = 2 << 30
_PARAMS: Final = RunParams(no_gex=True)
_BRONZE: Final = {"mbo": "bronze.future_mbo.mbo", "definition": "bronze.shared.instrument_definitions"}
_LARGEST_MESSAGE: Final = 4_000


def try_inputs(folder: Path, inputs: Sequence[Input]) -> int:
    """Try each input in this process; one JSON line before and one after each, so that a death is attributed.

    Returns the exit code. `folder` keeps the lakes of the valid files between calls.
    """
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + EXTRA_MEMORY_BYTES, resource.RLIM_INFINITY))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # kills, also inside a compiled kernel
    made = sources()
    trials: dict[str, Trial] = {}
    for source_name, kind, seed in inputs:
        _say(begin=[source_name, kind, seed])
        if source_name not in trials:
            trials[source_name] = Trial(folder / source_name.replace(" ", "_"), made[source_name])
        trial = trials[source_name]
        signal.setitimer(signal.ITIMER_PROF, CPU_LIMIT_S)
        outcome, text, checks = trial.outcome(kind, seed)
        signal.setitimer(signal.ITIMER_PROF, 0)
        _say(outcome=outcome, text=text[:_LARGEST_MESSAGE], checks=checks)
    return 0


def _say(**words: Any) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


class Trial:
    """One source: its raw folder, the lake of the valid file, and a lake that the damaged ones meet."""

    def __init__(self, folder: Path, source: Source) -> None:
        self.source = source
        self.raw = folder / "raw"
        self.file = self.raw / source.file_name
        self.pristine = folder / "pristine"
        self.lake = Lake(folder / "lake")
        self.dataset = _BRONZE[source.schema]
        self.raw.mkdir(parents=True, exist_ok=True)
        if source.schema == "definition":
            write_dbn(self.raw / "mbo.dbn.zst", tiny_records())
        self.file.write_bytes(source.data)
        if not self.pristine.exists():
            self._run(Lake(self.pristine), Request())
        self.before = partition_hashes(self.pristine)
        self.truth = self._bronze_bytes(Lake(self.pristine))
        self._restore()

    def outcome(self, kind: str, seed: int) -> tuple[str, str, list[str]]:
        """(outcome, text, names of integrity checks that failed) of one damaged file."""
        data = damaged(self.source, kind, seed)
        if data == self.source.data:
            return "unchanged", "", []
        self.file.write_bytes(data)
        try:
            return self._ingest(self._wanted(kind, data))
        except Exception:  # noqa: BLE001 - whatever is not ours is the bug that is looked for
            self._restore()
            return "FAULT", traceback.format_exc(), []

    def _ingest(self, wanted: bytes) -> tuple[str, str, list[str]]:
        try:
            self._run(self.lake, Request(layers=("bronze",)))
        except SpymasterError as error:
            return self._refused(error)
        if not self._changed():
            return "kept", "", []
        manifest = self.lake.manifest(self.dataset, SYMBOL, DT)
        same = self._bronze_bytes(self.lake) == wanted
        if manifest.verified and not same:
            self._restore()
            return "FAULT", "silently different: verified is true, and the records are not the file's", []
        if manifest.verified and self.source.schema == "mbo" and not self.source.checksummed:
            self._restore()
            return "FAULT", "verified is true for a file without checksum", []
        checks = [] if self._bronze_bytes(self.lake) == self.truth else self._go_on()
        self._restore()
        return ("identical" if manifest.verified else "unverified"), "", checks

    def _refused(self, error: SpymasterError) -> tuple[str, str, list[str]]:
        text = str(error)
        wrong = []
        if error.exit_code != 2:
            wrong.append(f"exit code {error.exit_code}, expected 2")
        if "\n" in text or ("expected" not in text and ";" not in text):
            wrong.append("not one sentence with what was expected and a cure")
        changed = self._changed()
        if self._definitions_alone(changed):
            self._restore()
            return "unverified", text, ["stopped: no records for these definitions"]
        if changed or leftovers(self.lake.root):
            wrong.append(f"the lake changed: {sorted(changed)}")
            self._restore()
        return ("FAULT", f"{'; '.join(wrong)}: {text}", []) if wrong else ("refused", text, [])

    def _changed(self) -> set[str]:
        """Partitions that are not those of the valid file."""
        now = partition_hashes(self.lake.root)
        return {name for name in now.keys() | self.before.keys() if now.get(name) != self.before.get(name)}

    def _definitions_alone(self, changed: set[str]) -> bool:
        """Definitions are a stage of their own: they were ingested as unverified, and no records fit them."""
        return (
            self.source.schema == "definition"
            and len(changed) == 1
            and next(iter(changed)).startswith(self.dataset.replace(".", "/") + "/")
            and not self.lake.manifest(self.dataset, SYMBOL, DT).verified
        )

    def _go_on(self) -> list[str]:
        """All later stages, then the checks; what they find of such data may be anything, but they end."""
        try:
            self._run(self.lake, Request())
            book = check_futures_book(self.lake, SYMBOL, DT, samples=2)
            physics = check_physics(self.lake, SYMBOL, DT, samples=2)
        except SpymasterError as error:
            return [f"stopped: {type(error).__name__}"]
        return [check.name for check in (*book.checks, *physics.checks) if not check.passed]

    def _wanted(self, kind: str, data: bytes) -> bytes:
        """What a verified Bronze has to hold: hostile values in a sound file are the truth of that file."""
        if kind == "hostile_values" and self.source.schema == "mbo" and self.source.checksummed:
            plain = zstandard.ZstdDecompressor().decompressobj(read_across_frames=True).decompress(data)
            return _of_the_day(np.frombuffer(plain[len(header_bytes()) :], MBO_DTYPE)).tobytes()
        return self.truth

    def _run(self, lake: Lake, request: Request) -> None:
        pipeline.run(lake, DT, SYMBOL, _PARAMS, request, raw=lambda: discover(self._named))

    @property
    def _named(self) -> Path:
        """An MBO file is named itself, so that nothing else explains its absence."""
        return self.file if self.source.schema == "mbo" else self.raw

    def _bronze_bytes(self, lake: Lake) -> bytes:
        batches = lake.iter_batches(self.dataset, SYMBOL, DT)
        if self.source.schema == "mbo":
            return b"".join(to_dbn_records(batch).tobytes() for batch in batches)
        return json.dumps([batch.to_pylist() for batch in batches]).encode()

    def _restore(self) -> None:
        shutil.rmtree(self.lake.root, ignore_errors=True)
        shutil.copytree(self.pristine, self.lake.root)


def _of_the_day(records: np.ndarray) -> np.ndarray:
    """What spec 2.2 and 3.1 keep: MBO records of the contract received on the UTC date."""
    start, end = (np.uint64(ns) for ns in (day_start_ns(), day_start_ns() + DAY_NS))
    mine = (records["rtype"] == dbn.RType.MBO) & (records["instrument_id"] == ESH6)
    return records[mine & (records["ts_recv"] >= start) & (records["ts_recv"] < end)]


# ------------------------------------------------------------------------------------------ campaign


@dataclass
class CorruptionReport:
    """outcomes: (source, kind, outcome) -> inputs; failed_checks: integrity check -> inputs it found."""

    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    failed_checks: dict[str, list[Input]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Inputs tried that differ from the valid file."""
        return sum(n for (_, _, outcome), n in self.outcomes.items() if outcome != "unchanged")

    def by(self, *fields: int) -> Counter[str]:
        """Counts over some of source (0), kind (1), outcome (2)."""
        found: Counter[str] = Counter()
        for key, number in self.outcomes.items():
            found[" / ".join(key[k] for k in fields)] += number
        return found

    def summary(self) -> str:
        """One line."""
        spread = ", ".join(f"{name} {number}" for name, number in sorted(self.by(2).items()))
        return f"{self.total} corrupt inputs ({spread}), {len(self.faults)} faults"

    def table(self) -> list[str]:
        """Outcomes per source and kind."""
        return [f"{number:6d}  {name}" for name, number in sorted(self.by(0, 1, 2).items())]


def inputs(count: int, first_seed: int = 0) -> Iterator[Input]:
    """`count` inputs: every kind of every source in turn, MBO sources four times as often as definitions."""
    names = [name for name, source in sources().items() for _ in range(4 if source.schema == "mbo" else 1)]
    turns = ((names[n % len(names)], kind, first_seed + n) for n in counting() for kind in KINDS)
    return (one for one, _ in zip(turns, range(count), strict=False))


def corruption_campaign(
    runner: Runner, scratch: Path, wanted: Sequence[Input], batch: int = 25
) -> Iterator[CorruptionReport]:
    """Try the inputs, `batch` of them per child; yields the running report after each child."""
    report = CorruptionReport()
    todo = list(wanted)
    while todo:
        answer = runner.corrupt(scratch, todo[:batch])
        tried = _note(report, answer)
        if tried < len(todo[:batch]):  # the child died in an input: name it, and go on behind it
            report.outcomes[(todo[tried][0], todo[tried][1], "FAULT")] += 1
            why = f"the process ended with {answer.code}"
            if answer.code == -signal.SIGPROF:
                why = f"takes more than {CPU_LIMIT_S} s of CPU"
            report.faults.append(f"{todo[tried]}: {why}: {answer.err[-_LARGEST_MESSAGE:]}")
            tried += 1
        todo = todo[tried:]
        yield report


def _note(report: CorruptionReport, answer: Answer) -> int:
    """Enter a child's lines into the report; how many inputs it finished."""
    at: Any = None
    done = 0
    for line in answer.out.splitlines():
        if not line.startswith("{"):
            continue
        words = json.loads(line)
        if "begin" in words:
            at = words["begin"]
            continue
        done += 1
        report.outcomes[(at[0], at[1], words["outcome"])] += 1
        for name in words["checks"]:
            report.failed_checks.setdefault(name, []).append((at[0], at[1], at[2]))
        if words["outcome"] == "FAULT":
            report.faults.append(f"{tuple(at)}: {words['text']}")
    return done
