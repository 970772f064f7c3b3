"""The engine equals its slow twin on anything a feed can deliver, however the stream is cut."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from data_eng.errors import EngineError
from data_eng.mbo import MboColumns
from data_eng.stages.silver.future_mbo.book_engine import BookEngine, Windows
from tests.naive.book import NaiveBook
from tests.naive.records import Rec
from tests.strategies import (
    INSTRUMENT_ID,
    pauses,
    statuses,
    tidy_streams,
    to_records,
    wild_streams,
)

TABLES = ("book_snapshot_1s", "wall_surface_1s", "radar_vacuum_1s", "trade_event")


def run_engine(recs: Sequence[Rec], **options: Any) -> tuple[Windows, BookEngine]:
    """All windows of a stream, applied at once."""
    engine = BookEngine(INSTRUMENT_ID, **options)
    parts = [engine.apply(MboColumns.from_records(to_records(recs))), engine.finish()]
    return Windows.concat(parts), engine


def run_twin(recs: Sequence[Rec], **options: Any) -> NaiveBook:
    twin = NaiveBook(INSTRUMENT_ID, **options)
    twin.apply(recs)
    twin.finish()
    return twin


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


def assert_equals_twin(recs: Sequence[Rec], **options: Any) -> None:
    twin_options = {
        k: (v if k.startswith("emit") else [tuple(map(int, p)) for p in v]) for k, v in options.items()
    }
    twin = run_twin(recs, **twin_options)
    if holds_too_much(twin):
        with pytest.raises(EngineError, match="2,147,483,647"):
            run_engine(recs, **options)
        return
    windows, engine = run_engine(recs, **options)
    counters = engine.counters()
    assert counters == {name: twin.counters.get(name, 0) for name in counters}
    assert_rows_equal("book_snapshot_1s", windows.book_snapshot_1s, twin.snapshots)
    assert_rows_equal("trade_event", windows.trade_event, twin.trades)
    assert_rows_equal("radar_vacuum_1s", windows.radar_vacuum_1s, twin.radar)
    assert_rows_equal("wall_surface_1s", windows.wall_surface_1s, twin.wall)


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


def pairs(values: Sequence[tuple[int, int]]) -> np.ndarray:
    return np.array(values, np.int64).reshape(-1, 2)


@given(tidy_streams(), pauses(), statuses())
def test_engine_equals_twin_on_a_legal_market(recs, closed, status):
    assert_equals_twin(recs, pauses=pairs(closed), status=pairs(status))


@given(wild_streams(), pauses(), statuses())
def test_engine_equals_twin_on_anything(recs, closed, status):
    assert_equals_twin(recs, pauses=pairs(closed), status=pairs(status))
