"""The real hour in one place: its files, its clock, and the engine's run over it.

ESH4, 2023-12-25, 22:00 to 24:00 UTC: an hour of pre-open, the opening auction, an hour of holiday trading.
"""

from __future__ import annotations

import hashlib
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from data_eng.mbo import MboColumns
from data_eng.sessions import pause_intervals
from data_eng.stages.silver.future_mbo.book_engine import BookEngine, Windows
from tests.engine_helpers import TABLES

SYMBOL, DT, INSTRUMENT_ID = "ESH4", "2023-12-25", 17077
TICK = 250_000_000
SECOND = 1_000_000_000
RECORDS, SNAPSHOT_RECORDS = 68_792, 8_725


def utc_ns(hour: int, minute: int = 0, second: int = 0) -> int:
    """A time of the day of the file."""
    return round(datetime(2023, 12, 25, hour, minute, second, tzinfo=UTC).timestamp()) * SECOND


FIRST_NS, AUCTION_NS, END_NS = utc_ns(22), utc_ns(23), utc_ns(23, 59) + 60 * SECOND


def hour_engine(**options: Any) -> BookEngine:
    """An engine that knows the exchange's calendar around the file."""
    week = 7 * 86_400 * SECOND
    return BookEngine(INSTRUMENT_ID, pauses=pause_intervals(FIRST_NS - week, END_NS + week), **options)


def sampled_windows() -> set[int]:
    """Ends of 40 windows: the first, those around the auction, the last, and others anywhere."""
    rng = np.random.default_rng(20231225)
    ends = {FIRST_NS + SECOND, AUCTION_NS, AUCTION_NS + SECOND, AUCTION_NS + 2 * SECOND, END_NS}
    while len(ends) < 40:
        ends.add(FIRST_NS + (1 + int(rng.integers(7_200))) * SECOND)
    return ends


def fingerprint_of(column: pa.ChunkedArray | pa.Array) -> bytes:
    """Bytes of a column that do not depend on chunks, or on the order of a dictionary's words."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_string(column.type):
        column = column.dictionary_encode()
    if pa.types.is_dictionary(column.type):
        words = np.array([zlib.crc32(word.encode()) for word in column.dictionary.to_pylist()], np.uint32)
        return words[column.indices.to_numpy()].tobytes()
    return column.to_numpy(zero_copy_only=False).tobytes()


class Fingerprints:
    """sha256 of each column of a table that arrives in pieces: 3.7 million rows need not be held."""

    def __init__(self) -> None:
        self.rows = 0
        self._columns: dict[str, Any] = defaultdict(hashlib.sha256)

    def add(self, table: pa.Table | pa.RecordBatch) -> None:
        self.rows += table.num_rows
        for name in table.schema.names:
            self._columns[name].update(fingerprint_of(table.column(name)))

    def columns(self) -> dict[str, str]:
        return {name: digest.hexdigest() for name, digest in self._columns.items()}


def fingerprints(pieces: Iterable[pa.Table | pa.RecordBatch]) -> tuple[int, dict[str, str]]:
    """(rows, column -> sha256)."""
    found = Fingerprints()
    for piece in pieces:
        found.add(piece)
    return found.rows, found.columns()


@dataclass
class Hour:
    """What the engine said of the hour. Wall rows are summed up, but for a sample, as they pass."""

    engine: BookEngine
    snapshot: pa.Table
    radar: pa.Table
    trades: pa.Table
    wall_sample: pa.Table
    fingerprints: dict[str, tuple[int, dict[str, str]]]
    wall: Counter[str] = field(default_factory=Counter)
    near_depths: Counter[int] = field(default_factory=Counter)
    near_rest: Counter[int] = field(default_factory=Counter)
    all_depths: Counter[int] = field(default_factory=Counter)
    deepest: tuple[int, int] = (0, 0)
    valid_ends: set[int] = field(default_factory=set)

    def column(self, name: str) -> np.ndarray:
        """A column of the book snapshot."""
        return self.snapshot[name].to_numpy()


def run_hour(records: np.ndarray) -> Hour:
    """One pass over the DBN buffer."""
    engine = hour_engine()
    parts: dict[str, list[pa.Table]] = {name: [] for name in TABLES}
    digests = {name: Fingerprints() for name in TABLES}
    hour = Hour(engine, *[pa.table({})] * 4, {})
    wanted = pa.array(sorted(sampled_windows()), pa.int64())

    def take(windows: Windows) -> None:
        for name in TABLES:
            digests[name].add(getattr(windows, name))
            if name != "wall_surface_1s":
                parts[name].append(getattr(windows, name))
        wall = windows.wall_surface_1s
        parts["wall_surface_1s"].append(wall.filter(pa.compute.is_in(wall["window_end_ts_ns"], wanted)))
        _look_at_wall(hour, wall)

    for windows in engine.process(MboColumns.from_records(records)):
        take(windows)
    take(engine.finish())
    hour.fingerprints = {name: (digests[name].rows, digests[name].columns()) for name in TABLES}
    hour.snapshot, hour.wall_sample, hour.radar, hour.trades = (
        pa.concat_tables(parts[name]) for name in TABLES
    )
    return hour


def _look_at_wall(hour: Hour, wall: pa.Table) -> None:
    """Counts over the rows of valid windows, the population of spec 6 and 15."""
    rows = {
        name: wall[name].to_numpy()
        for name in wall.column_names
        if not pa.types.is_dictionary(wall[name].type)
    }
    start, end = rows["depth_qty_start"].astype(np.int64), rows["depth_qty_end"]
    flow = rows["add_qty"] - rows["pull_qty_total"] - rows["fill_qty"]
    hour.wall["all rows"] += wall.num_rows
    hour.wall["identity broken"] += int((start + flow != end).sum())
    hour.wall["rest beyond depth"] += int((rows["depth_qty_rest"] > end).sum())
    valid = rows["window_valid"]
    hour.valid_ends.update(np.unique(rows["window_end_ts_ns"][valid]).tolist())
    hour.wall["valid rows"] += int(valid.sum())
    near = valid & (np.abs(rows["rel_ticks"]) <= 20)
    hour.wall["valid near rows"] += int(near.sum())
    occupied = valid & (end > 0)
    _count(hour.all_depths, end[occupied])
    _count(hour.near_depths, end[near & occupied])
    _count(hour.near_rest, rows["depth_qty_rest"][near & occupied])
    if occupied.any():
        place = int(np.argmax(np.where(occupied, end, 0)))
        hour.deepest = max(hour.deepest, (int(end[place]), int(rows["price_int"][place])))


def _count(counts: Counter[int], values: np.ndarray) -> None:
    found, times = np.unique(values, return_counts=True)
    counts.update(dict(zip(found.tolist(), times.tolist(), strict=True)))
