"""What is timed: our engine in its ways of use, and zstd and plain Python beside it.

Every function does one whole pass over the input and returns what it took; preparing is not timed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import zstandard

from benches.big_input import Source, read_source
from benches.measure import BenchError, Spent, Stopwatch
from benches.plain_book import PlainBook
from data_eng.background import prefetch
from data_eng.dbn_reader import iter_mbo_blocks, read_ahead, read_metadata, sha256_of
from data_eng.lake import Lake
from data_eng.mbo import BRONZE_MBO_COLUMNS, MboColumns
from data_eng.schema import table
from data_eng.stages.silver.future_mbo.book_engine import BookEngine, Windows
from data_eng.units import DAY_NS, TICK_INT, WINDOW_NS

MBO: Final = "bronze.future_mbo.mbo"
_READ_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Subject:
    """A DBN file with one future: what the contestants run on. `tick_int` is the ES tick."""

    path: Path
    tick_int: int = TICK_INT

    @cached_property
    def source(self) -> Source:
        """Its records by parts; also checks that the bench can use them."""
        if not read_metadata(self.path).compressed:
            raise BenchError(
                f"{self.path}: is not compressed, expected .dbn.zst: the bench compares with zstd"
            )
        return read_source(self.path)

    @cached_property
    def records(self) -> npt.NDArray[Any]:
        """All records as one contiguous array of `MBO_DTYPE`."""
        parts = list(iter_mbo_blocks(self.path, copy=True))
        return np.concatenate(parts)

    @cached_property
    def sha256(self) -> str:
        """Of the file as it lies on disk."""
        return sha256_of(self.path)

    @property
    def symbol(self) -> str:
        """Contract, from the header."""
        return self.source.symbol

    @property
    def instrument_id(self) -> int:
        """The one instrument."""
        return self.source.instrument_id

    @property
    def dt(self) -> str:
        """UTC date of the last ts_recv."""
        day = int(self.source.plain["ts_recv"][-1]) // DAY_NS
        return str(np.datetime64(day, "D"))

    @property
    def seconds(self) -> int:
        """Windows from the first plain record to the last."""
        clock = self.source.plain["ts_event"]
        return int(clock[-1]) // WINDOW_NS - int(clock[0]) // WINDOW_NS + 1

    def engine(self, *, wall: bool, radar: bool) -> BookEngine:
        """A new engine for this input."""
        return BookEngine(self.instrument_id, tick_int=self.tick_int, wall=wall, radar=radar)


class BareEngine(BookEngine):
    """The engine whose finished rows are thrown away before they become Arrow tables: the kernel alone.

    Give it room for the whole day with `hold`; then only growing arrays and full lists return to Python.
    """

    def hold(self, windows: int) -> None:
        """Room for the rows of that many seconds, as the C limit has it."""
        snap = self._out["snap"]
        self._out["snap"] = np.zeros(windows, snap.dtype).view(type(snap))

    def take(self, *, make_room: bool = False) -> Windows:
        """Empty the buffers; returns no rows. The trades of an open event stay, as in `BookEngine.take`."""
        st, trades = self._st, self._state["trd"]
        done = self._complete_trades()
        rest = int(st.n_trades) - done
        trades[:rest] = trades[done : done + rest].copy()
        st.n_trades, st.ev_first_trade = rest, 0
        st.n_snap_rows = st.n_wall_rows = st.n_radar_rows = 0
        return _nothing()


@cache
def _nothing() -> Windows:
    """No rows; made once, because 201 columns of an empty radar table take milliseconds."""
    names = ("book_snapshot_1s", "wall_surface_1s", "radar_vacuum_1s", "trade_event")
    return Windows(*(table(name).empty() for name in names))


def windows_of(engine: BookEngine, parts: Iterable[MboColumns]) -> Iterator[Windows]:
    """All windows of a whole input, in blocks, as the pipeline takes them."""
    for part in parts:
        yield from engine.process(part)
    yield engine.finish()


def _timed(engine: BookEngine, parts: Iterable[MboColumns], at_least: int) -> Spent:
    rows = 0
    with Stopwatch() as watch:
        for windows in windows_of(engine, parts):
            rows += windows.book_snapshot_1s.num_rows
    if rows < at_least:
        raise BenchError(f"the engine gave {rows} windows, expected {at_least}; this is a bug of the bench")
    return watch.spent


def kernel_in_memory(subject: Subject) -> Spent:
    """Apply and accumulators of the compiled loop alone, records in memory, no walls, no radar, no Arrow."""
    engine = BareEngine(subject.instrument_id, tick_int=subject.tick_int, wall=False, radar=False)
    engine.hold(subject.seconds + 1)
    return _timed(engine, [MboColumns.from_records(subject.records)], 0)


def engine_in_memory(subject: Subject, *, wall: bool, radar: bool) -> Spent:
    """Records in memory to Arrow tables."""
    engine = subject.engine(wall=wall, radar=radar)
    return _timed(engine, [MboColumns.from_records(subject.records)], subject.seconds)


def engine_one_thread(subject: Subject, *, wall: bool = False, radar: bool = False) -> Spent:
    """.dbn.zst to Arrow tables, everything in this thread."""
    engine = subject.engine(wall=wall, radar=radar)
    blocks = iter_mbo_blocks(subject.path)
    return _timed(engine, (MboColumns.from_records(b) for b in blocks), subject.seconds)


def engine_pipelined(subject: Subject, *, wall: bool = False, radar: bool = False) -> Spent:
    """.dbn.zst to Arrow tables, zstd in a thread of its own."""
    engine = subject.engine(wall=wall, radar=radar)
    return _timed(engine, (MboColumns.from_records(b) for b in read_ahead(subject.path)), subject.seconds)


def engine_from_bronze(subject: Subject, lake: Lake) -> Spent:
    """Bronze Parquet to Arrow tables, Parquet in a thread of its own."""
    engine = subject.engine(wall=False, radar=False)
    batches = prefetch(lake.iter_batches(MBO, subject.symbol, subject.dt, list(BRONZE_MBO_COLUMNS)), depth=1)
    return _timed(engine, (MboColumns.from_bronze(b) for b in batches), subject.seconds)


def zstd_alone(path: Path) -> Spent:
    """Decompress the file into one reused buffer and look at nothing."""
    buffer = bytearray(_READ_BYTES)
    with path.open("rb") as file, Stopwatch() as watch:
        reader = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(
            file, read_size=1 << 17, read_across_frames=True
        )
        while reader.readinto(buffer):
            pass
    return watch.spent


def plain_python(subject: Subject) -> tuple[Spent, PlainBook]:
    """.dbn.zst to best prices per second with dicts."""
    book = PlainBook()
    with Stopwatch() as watch:
        for block in iter_mbo_blocks(subject.path):
            book.apply(block)
        book.finish()
    return watch.spent, book
