"""The engine as tests use it: one call from records to tables, and equality with the slow twin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from data_eng.errors import EngineError
from data_eng.mbo import MboColumns
from data_eng.stages.silver.future_mbo import book_engine
from data_eng.stages.silver.future_mbo.book_engine import BookEngine, Windows
from tests.naive.book import NaiveBook
from tests.naive.records import Rec
from tests.strategies import (
    BASE_NS,
    EVENT_END,
    INSTRUMENT_ID,
    RECV_DELAY_NS,
    SNAPSHOT_TS_EVENT_NS,
    snapshot_records,
    to_records,
)

TABLES = ("book_snapshot_1s", "wall_surface_1s", "radar_vacuum_1s", "trade_event")
MS = 1_000_000


# ---- running ---------------------------------------------------------------------------------------------


def columns(recs: Sequence[Rec]) -> MboColumns:
    """The stream as views into one DBN buffer."""
    return MboColumns.from_records(to_records(recs))


def run_engine(recs: Sequence[Rec], **options: Any) -> tuple[Windows, BookEngine]:
    """All windows of a stream, applied at once."""
    engine = BookEngine(INSTRUMENT_ID, **options)
    return drain(engine, recs), engine


def drain(engine: BookEngine, recs: Sequence[Rec]) -> Windows:
    """All windows that the stream, and its end, give."""
    return Windows.concat([engine.apply(columns(recs)), engine.finish()])


def run_twin(recs: Sequence[Rec], **options: Any) -> NaiveBook:
    """The same stream through the twin, which takes pauses and status as lists of pairs."""
    plain = {
        name: [tuple(map(int, pair)) for pair in value] if name in ("pauses", "status") else value
        for name, value in options.items()
    }
    twin = NaiveBook(INSTRUMENT_ID, **plain)
    twin.apply(recs)
    twin.finish()
    return twin


def pairs(values: Sequence[tuple[int, int]]) -> np.ndarray:
    """int64[n, 2], as the engine takes pauses and status."""
    return np.array(values, np.int64).reshape(-1, 2)


def cramped_engine(**options: Any) -> BookEngine:
    """An engine that has to grow everything it owns: a table of 4 orders, and lists of one row."""
    engine = BookEngine(INSTRUMENT_ID, **options)
    state = engine._state
    state["tab"], engine._st.hash_shift = book_engine._empty_table(4), 62
    for name in ("young", "young_blocks", "rad", "filled", "unknown", "trd"):
        state[name] = state[name][:1].copy()
    return engine


TINY_ROOMS = {"_WALL_ROWS": 10, "_FIRST_LEVELS": 4, "_MOST_LEVELS": 40, "_FIRST_OVERFLOW": 1}
"""constants of the driver with which a few prices make the axis grow, move and overflow"""


# ---- comparing -------------------------------------------------------------------------------------------


def assert_same_bytes(found: Windows, wanted: Windows) -> None:
    """Every table equal: schema, words, integers, and floats bit for bit."""
    for name in TABLES:
        got, want = getattr(found, name), getattr(wanted, name)
        assert got.schema.equals(want.schema, check_metadata=True), name
        assert got.num_rows == want.num_rows, f"{name}: {got.num_rows} rows, wanted {want.num_rows}"
        for column in want.column_names:
            # compared outside the assert: pytest would explain a difference of megabytes
            same = values_of(got, column) == values_of(want, column)
            assert same, f"{name}.{column} differs"


def values_of(table: pa.Table, column: str) -> bytes | list[str]:
    """The values of a column in a form whose equality is equality of bits, however it is chunked."""
    array = table[column]
    if pa.types.is_dictionary(array.type) or pa.types.is_string(array.type):
        return array.to_pylist()
    return array.to_numpy().tobytes()


def assert_rows_equal(name: str, table: pa.Table, rows: Sequence[dict[str, Any]]) -> None:
    """Integers and words equal exactly; floats to 1e-12 relative."""
    found = table.to_pylist()
    assert len(found) == len(rows), f"{name}: {len(found)} rows, the twin has {len(rows)}"
    for k, (got, want) in enumerate(zip(found, rows, strict=True)):
        assert set(got) == set(want)
        for column, value in want.items():
            if isinstance(value, float):
                same = math.isclose(got[column], value, rel_tol=1e-12, abs_tol=1e-12)
            else:
                same = got[column] == value
            assert same, f"{name} row {k} {column}: engine {got[column]!r}, twin {value!r}"


def assert_tables_equal_twin(windows: Windows, engine: BookEngine, twin: NaiveBook) -> None:
    """All rows and all counters of a finished run."""
    counters = engine.counters()
    assert counters == {name: twin.counters.get(name, 0) for name in counters}
    assert_rows_equal("book_snapshot_1s", windows.book_snapshot_1s, twin.snapshots)
    assert_rows_equal("trade_event", windows.trade_event, twin.trades)
    assert_rows_equal("radar_vacuum_1s", windows.radar_vacuum_1s, twin.radar)
    assert_rows_equal("wall_surface_1s", windows.wall_surface_1s, twin.wall)


def assert_equals_twin(recs: Sequence[Rec], *, cramped: bool = False, **options: Any) -> None:
    """Engine and twin agree on the stream; what no int32 column can hold the engine refuses aloud."""
    twin = run_twin(recs, **options)
    engine = cramped_engine(**options) if cramped else BookEngine(INSTRUMENT_ID, **options)
    if holds_too_much(twin):
        with pytest.raises(EngineError, match="int32"):
            drain(engine, recs)
        return
    assert_tables_equal_twin(drain(engine, recs), engine, twin)


def holds_too_much(twin: NaiveBook) -> bool:
    """A quantity that no int32 column can hold: the engine must refuse it aloud."""
    rows = [*twin.wall, *twin.trades, *twin.snapshots]
    wide = ("price", "ts", "order_id", "sequence", "mid")
    return any(
        isinstance(value, int) and abs(value) > 2**31 - 1
        for row in rows
        for column, value in row.items()
        if not any(word in column for word in wide)
    )


# ---- small streams by hand -------------------------------------------------------------------------------


def rec(
    t_ms: float,
    action: str,
    side: str,
    order_id: int,
    price: int,
    size: int,
    flags: int = EVENT_END,
    **fields: Any,
) -> Rec:
    """A record t_ms after BASE_NS, received 0.1 ms later."""
    ts = BASE_NS + round(t_ms * MS)
    record = Rec(ts, ts + RECV_DELAY_NS, order_id, price, size, flags, action, side, INSTRUMENT_ID, 0)
    return record._replace(**fields)


def snapshot(*orders: tuple[int, str, int, int], layout: str = "modern", t_ms: float = -3000) -> list[Rec]:
    """Snapshot of (order_id, side, price, qty) received t_ms after BASE_NS."""
    rows = [(*order, SNAPSHOT_TS_EVENT_NS) for order in orders]
    return snapshot_records(rows, layout, ts_recv=BASE_NS + round(t_ms * MS))
