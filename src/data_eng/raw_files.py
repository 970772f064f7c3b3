"""Which DBN files under `--raw` belong to a date, found by their metadata and never by their names.

Laws. 1 A file belongs to (schema, dt) when its header says GLBX.MDP3, that schema, and a span that meets
        the UTC day dt. Records are cut by the UTC date of ts_recv, never ts_event (spec 2.2).
      2 In a folder everything else is ignored and listed; a file that was named itself must fit.
      3 Files of one (schema, dt) are read in the order of their first ts_recv. Two that hold the same
        time of one instrument, or are one file in two encodings, are refused.
      4 Simulated and recorded files for one date do not mix.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from data_eng.background import prefetch
from data_eng.dbn_codes import DATASET
from data_eng.dbn_reader import (
    DEFAULT_LIMITS,
    DbnMetadata,
    Limits,
    ReadTally,
    Verification,
    iter_record_blocks,
    read_metadata,
    sha256_of,
    verify,
)
from data_eng.errors import MissingDataError, RawDataError
from data_eng.sessions import utc_day_ns

INGESTED_SCHEMAS: Final = ("mbo", "definition", "statistics", "status")
_DBN_ENDINGS: Final = (".dbn", ".dbn.zst")
_AHEAD: Final = 1
"""blocks decompressed in advance"""
_MOST_HEADER_DAYS: Final = 366
_LISTED: Final = 5
"""names shown in a message before it says how many more there are"""

WAYS_TO_GET_DATA: Final = (
    "put Databento's DBN files for the date there (dataset GLBX.MDP3, schemas mbo and definition), "
    "or make a synthetic day with spymaster simulate"
)


@dataclass(frozen=True)
class RawFile:
    """One readable DBN file of GLBX.MDP3; `schema` is one of `INGESTED_SCHEMAS`."""

    path: Path
    metadata: DbnMetadata
    limits: Limits = DEFAULT_LIMITS

    @property
    def schema(self) -> str:
        """Schema of the header."""
        return str(self.metadata.schema)

    def covers(self, dt: str) -> bool:
        """Whether the span of the header meets the UTC day; a span without end is open."""
        start, end = utc_day_ns(dt)
        meta = self.metadata
        is_open = meta.end_ns is None or meta.end_ns <= meta.start_ns
        return meta.start_ns < end and (is_open or int(meta.end_ns or 0) > start)

    @property
    def header_dates(self) -> set[date]:
        """UTC dates of the header's span, at most the first year of it; an open span counts its start."""
        first = _utc_date(self.metadata.start_ns)
        end = self.metadata.end_ns
        if end is None or end <= self.metadata.start_ns:
            return {first}
        days = min((_utc_date(end - 1) - first).days, _MOST_HEADER_DAYS - 1)
        return {first + timedelta(days=n) for n in range(days + 1)}

    @property
    def span_text(self) -> str:
        """Dates of the header, for messages."""
        first = _utc_date(self.metadata.start_ns)
        end = self.metadata.end_ns
        last = None if end is None or end <= self.metadata.start_ns else _utc_date(end - 1)
        if last is None:
            return f"from {first} on"
        return str(first) if first == last else f"{first} to {last}"

    def holds_any(self, instrument_ids: set[int], dt: str) -> bool:
        """Whether the header's mappings name one of the ids on `dt`; True when it maps nothing."""
        mapped = self.metadata.symbols_on(date.fromisoformat(dt))
        return not mapped or not instrument_ids.isdisjoint(mapped)

    @cached_property
    def first_record(self) -> npt.NDArray[Any] | None:
        """First record of the file's schema (array of length 1), None when there is none."""
        for block in iter_record_blocks(self.path, self.schema, limits=self.limits):
            return block[:1].copy()
        return None

    @cached_property
    def first_ts_recv(self) -> int:
        """ts_recv of the first record in ns; the span's start for a file without records."""
        first = self.first_record
        return self.metadata.start_ns if first is None else int(first["ts_recv"][0])

    @cached_property
    def last_ts_recv(self) -> int:
        """Largest ts_recv in ns; reads the whole file, asked for only when two files begin alike."""
        last = self.first_ts_recv
        for block in iter_record_blocks(self.path, self.schema, limits=self.limits):
            last = max(last, int(block["ts_recv"].max()))
        return last

    @cached_property
    def sha256(self) -> str:
        """sha256 of the file on disk."""
        return sha256_of(self.path)


@dataclass(frozen=True)
class IgnoredFile:
    """A file of a raw folder that is not used, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class RawCatalogue:
    """Raw files below one path. `named`: the path is a single file, which then has to fit."""

    root: Path
    named: bool
    files: tuple[RawFile, ...]
    ignored: tuple[IgnoredFile, ...]

    def files_for(
        self, schema: str, dt: str, *, instrument_ids: set[int] | None = None
    ) -> tuple[RawFile, ...]:
        """Files of (schema, dt) in reading order; empty when there are none.

        `instrument_ids` leaves out files whose header maps none of them (an option chain beside the
        futures). Raises `RawDataError`: a named file of another date, simulated beside recorded files,
        one file in two encodings.
        """
        self._refuse_other_date(dt)
        self._refuse_mixed_origins(dt)
        found = [f for f in self.files if f.schema == schema and f.covers(dt)]
        if instrument_ids is not None:
            found = [f for f in found if f.holds_any(instrument_ids, dt)]
        return _in_reading_order(found)

    def require(self, schema: str, dt: str, *, instrument_ids: set[int] | None = None) -> tuple[RawFile, ...]:
        """As `files_for`, but raises `MissingDataError` when there is none, saying what was found."""
        found = self.files_for(schema, dt, instrument_ids=instrument_ids)
        if not found:
            others = self.files_for(schema, dt) if instrument_ids is not None else ()
            if others:
                names = _shown([f.path.name for f in others])
                wanted = _shown([str(number) for number in sorted(instrument_ids or ())])
                raise MissingDataError(
                    f"{self.root}: the headers of {names} map no instrument {wanted}, expected one that "
                    "does; definitions and records do not fit together: fetch both again, or choose --symbol"
                )
            raise MissingDataError(self.missing_text(schema, dt))
        return found

    def missing_text(self, schema: str, dt: str) -> str:
        """Sentence for absent raw data: what, where, what was found instead, and the ways to get it."""
        same = sorted({f.span_text for f in self.files if f.schema == schema})
        others = sorted({f.schema for f in self.files if f.covers(dt)} - {schema})
        seen = []
        if same:
            seen.append(f"{schema} files there are for {_shown(same)}")
        if others:
            seen.append(f"for {dt} there is only {', '.join(others)}")
        if self.ignored:
            seen.append(f"ignored: {_shown([f'{i.path.name} ({i.reason})' for i in self.ignored])}")
        found = "; ".join(seen) or "no DBN file was found"
        return f"{self.root}: no {schema} file of {DATASET} for {dt}; {found}; {WAYS_TO_GET_DATA}"

    def dates(self, schema: str) -> list[str]:
        """UTC dates that the headers of the `schema` files span, ascending; open spans count their start."""
        found: set[date] = set()
        for file in self.files:
            if file.schema == schema:
                found |= file.header_dates
        return [day.isoformat() for day in sorted(found)]

    def identity(self, schema: str, dt: str) -> list[dict[str, str]]:
        """Name and sha256 of the files of (schema, dt) in reading order, as manifests record them."""
        return [{"name": f.path.name, "sha256": f.sha256} for f in self.files_for(schema, dt)]

    def latest_before(self, schema: str, dt: str, days: int) -> str | None:
        """Latest date with files of `schema` among the `days` dates before `dt`; None when there is none."""
        if self.named:
            return None
        dates = [date.fromisoformat(dt) - timedelta(days=back) for back in range(1, days + 1)]
        found = (d.isoformat() for d in dates if self.files_for(schema, d.isoformat()))
        return next(found, None)

    def not_used_for(self, dt: str) -> list[IgnoredFile]:
        """Every file below the path that has no part in `dt`, with the reason, by path."""
        other_dates = [
            IgnoredFile(f.path, f"{f.schema} of {f.span_text}") for f in self.files if not f.covers(dt)
        ]
        return sorted([*self.ignored, *other_dates], key=lambda i: str(i.path))

    def not_used_text(self, dt: str) -> str:
        """One line for the report: how many files have no part in `dt`, and why; empty when all have."""
        unused = [f"{one.path.name} ({one.reason})" for one in self.not_used_for(dt)]
        return f"{len(unused)} files below {self.root} not used for {dt}: {_shown(unused)}" if unused else ""

    def _refuse_other_date(self, dt: str) -> None:
        if self.named and not self.files[0].covers(dt):
            file = self.files[0]
            raise RawDataError(
                f"{file.path}: holds {file.span_text}, expected {dt}; choose that date with --dt or name "
                "another file"
            )

    def _refuse_mixed_origins(self, dt: str) -> None:
        by_origin = {f.metadata.origin: f.path for f in self.files if f.covers(dt)}
        if len(by_origin) > 1:
            raise RawDataError(
                f"{self.root}: simulated ({by_origin['simulated'].name}) and recorded "
                f"({by_origin['recorded'].name}) files for {dt}, expected one kind; "
                "keep them in different folders"
            )


def discover(raw: Path, *, missing_ok: bool = False, limits: Limits = DEFAULT_LIMITS) -> RawCatalogue:
    """Catalogue of the file `raw`, or of all files below the folder `raw`; reads headers only.

    `missing_ok` gives an empty catalogue for a path that does not exist (the default folder of a user
    who has Bronze already). Raises `MissingDataError` for an absent path; `RawDataError` when a named
    file does not fit, or a file named .dbn or .dbn.zst inside a folder has no readable header: nobody
    can tell whether it belongs to the date.
    """
    if raw.is_dir():
        return _discover_folder(raw, limits)
    if not raw.exists():
        if missing_ok:
            return RawCatalogue(raw, False, (), ())
        raise MissingDataError(f"{raw}: no such file or folder with DBN files; {WAYS_TO_GET_DATA}")
    metadata = read_metadata(raw)
    reason = _misfit(metadata)
    if reason:
        raise RawDataError(
            f"{raw}: {reason}, expected {DATASET} with schema {', '.join(INGESTED_SCHEMAS)}; "
            "name another file"
        )
    return RawCatalogue(raw, True, (RawFile(raw, metadata, limits),), ())


def _discover_folder(folder: Path, limits: Limits) -> RawCatalogue:
    files: list[RawFile] = []
    ignored: list[IgnoredFile] = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        try:
            metadata = read_metadata(path)
        except RawDataError as fault:
            if path.name.endswith(_DBN_ENDINGS):
                raise RawDataError(f"{fault}, or move it out of {folder}") from None
            ignored.append(IgnoredFile(path, "no DBN file"))
            continue
        reason = _misfit(metadata)
        if reason:
            ignored.append(IgnoredFile(path, reason))
        else:
            files.append(RawFile(path, metadata, limits))
    return RawCatalogue(folder, False, tuple(files), tuple(ignored))


def _misfit(metadata: DbnMetadata) -> str:
    """Why a file with this header is of no use here; empty when it is."""
    if metadata.dataset != DATASET:
        return f"dataset {metadata.dataset}"
    if metadata.schema is None:
        return "a live capture of mixed schemas"
    if metadata.schema not in INGESTED_SCHEMAS:
        return f"schema {metadata.schema}"
    if metadata.ts_out:
        return "records with a ts_out field"
    return ""


def _in_reading_order(files: Sequence[RawFile]) -> tuple[RawFile, ...]:
    firsts = [f.first_ts_recv for f in files]
    alike = len(set(firsts)) < len(firsts)
    ordered = sorted(files, key=lambda f: (f.first_ts_recv, f.last_ts_recv if alike else 0, f.path.name))
    seen: dict[tuple[Any, ...], RawFile] = {}
    for file in ordered:
        if file.first_record is None:
            continue
        mark = _mark(file.first_record)
        if mark in seen:
            raise RawDataError(
                f"{file.path}: begins with the same record as {seen[mark].path}, expected different data "
                "(one file in two encodings, or a copy); keep one of them"
            )
        seen[mark] = file
    return tuple(ordered)


def _mark(record: npt.NDArray[Any]) -> tuple[Any, ...]:
    """What identifies a record in every DBN version (definitions and statistics differ in layout)."""
    one = record[0]
    names = ("instrument_id", "ts_event", "ts_recv", "order_id", "sequence", "action", "stat_type", "price")
    return tuple(one[name].item() for name in names if name in (record.dtype.names or ()))


class DayBlock(NamedTuple):
    """Records of one day from one file, in file order; `positions` are their indices in that file."""

    file: RawFile
    records: npt.NDArray[Any]
    positions: npt.NDArray[np.int64] | range

    def where(self, mask: npt.NDArray[np.bool_]) -> DayBlock:
        """The records that `mask` selects, copied; the block itself when it selects all."""
        if mask.all():
            return self
        return DayBlock(self.file, self.records[mask], np.asarray(self.positions)[mask])


@dataclass
class DayReader:
    """Reads the records of one UTC day from files in order, and keeps what a manifest has to say.

    After iteration: `records` of the schema seen, `outside` the day, `skipped` of other rtypes, and the
    verification of each file.
    """

    files: Sequence[RawFile]
    dt: str
    records: int = 0
    outside: int = 0
    skipped: int = 0
    verifications: list[Verification] = field(default_factory=list)

    @property
    def verified(self) -> bool:
        """Whether damage would have been seen in every file."""
        return all(v.verified for v in self.verifications)

    @property
    def reasons(self) -> list[str]:
        """Why the files that are not verified are not."""
        pairs = zip(self.files, self.verifications, strict=False)
        return [f"{f.path.name}: {v.reason}" for f, v in pairs if not v.verified]

    @property
    def origin(self) -> str:
        """``recorded`` or ``simulated``."""
        return self.files[0].metadata.origin if self.files else "recorded"

    def blocks(self) -> Iterator[DayBlock]:
        """Blocks of the day, decompressed one ahead in a thread; a block is valid until the next one.

        Raises `RawDataError` as `iter_record_blocks` and `verify` do.
        """
        start, end = (np.uint64(ns) for ns in utc_day_ns(self.dt))
        for file in self.files:
            tally = ReadTally()
            at = 0
            blocks = iter_record_blocks(
                file.path, file.schema, limits=file.limits, buffers=_AHEAD + 2, tally=tally
            )
            with closing(prefetch(blocks, _AHEAD)) as ahead:
                for records in ahead:
                    block = DayBlock(file, records, range(at, at + len(records)))
                    at += len(records)
                    today = block.where((records["ts_recv"] >= start) & (records["ts_recv"] < end))
                    self.outside += len(records) - len(today.records)
                    if len(today.records):
                        yield today
            self.records += tally.records
            self.skipped += tally.skipped_records
            self.verifications.append(verify(file.path, tally, file.sha256))


class OverlapGuard:
    """Refuses a file that goes back in time for an instrument that an earlier file already held.

    `instrument_ids` uint32[k], ascending: the instruments that will be seen.
    """

    def __init__(self, instrument_ids: npt.NDArray[np.uint32]) -> None:
        self._ids = instrument_ids
        self._file: RawFile | None = None
        self._end = np.zeros(len(instrument_ids), np.uint64)
        """newest ts_recv per instrument"""
        self._end_before: npt.NDArray[np.uint64] | None = None
        """the same over the files before the current one; None while the first is read"""

    def check(self, block: DayBlock) -> None:
        """Take note of a block of those instruments. Raises `RawDataError` on an overlap (spec 2.2).

        Equal times are no overlap: a day may be split inside a snapshot, whose records share one ts_recv.
        """
        if self._file is not None and block.file is not self._file:
            self._end_before = self._end.copy()
        self._file = block.file
        ids, ts_recv = block.records["instrument_id"], block.records["ts_recv"]
        slots = np.searchsorted(self._ids, ids)
        if self._end_before is not None:
            back = ts_recv < self._end_before[slots]
            if back.any():
                at = int(np.argmax(back))
                raise RawDataError(
                    f"{block.file.path}: record {block.positions[at]:,} of instrument {ids[at]} is older "
                    "than what the files before it hold (they overlap), expected files that follow each "
                    "other; keep one of them"
                )
        if len(self._ids) == 1:  # ten times cheaper than the general case
            self._end[0] = max(self._end[0], ts_recv.max())
        else:
            np.maximum.at(self._end, slots, ts_recv)


def _utc_date(ts_ns: int) -> date:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=ts_ns // 1_000_000_000)).date()


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
