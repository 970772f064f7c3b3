"""Before a narrower session the engine supplies the true history: nothing depends on where it began."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import assume, given
from hypothesis import strategies as st

from data_eng.stages.silver.future_mbo.book_engine import BookEngine
from data_eng.stages.silver.future_mbo.compute_vacuum_surface_1s import compute_vacuum_surface_1s
from data_eng.stages.silver.future_mbo.session_history import history_before
from tests.data_eng.physics_samples import batches, bounds_for, quiet_bounds
from tests.engine_helpers import columns, run_engine
from tests.strategies import INSTRUMENT_ID, chunks, cuts, tidy_streams

KEY = "window_end_ts_ns"


def vacuum(wall: pa.Table, walk: Any = None) -> pa.Table:
    return pa.Table.from_batches(
        list(compute_vacuum_surface_1s(batches(wall), bounds_for(quiet_bounds()), walk))
    )


@given(tidy_streams(), st.data())
def test_a_narrower_session_has_the_vacuum_of_the_whole_day(recs: list[Any], data: st.DataObject) -> None:
    whole, _ = run_engine(recs)
    ends = whole.book_snapshot_1s[KEY].to_numpy()
    assume(len(ends) > 1)
    begin = int(data.draw(st.sampled_from(ends.tolist()))) - 10**9
    narrow, _ = run_engine(recs, emit_from_ns=begin)

    engine = BookEngine(INSTRUMENT_ID, emit_to_ns=begin, radar=False)
    parts = [columns(part) for part in chunks(recs, data.draw(cuts(len(recs)))) if part]
    history = history_before(engine, parts, begin)

    found = vacuum(narrow.wall_surface_1s, history.walk())
    wanted = vacuum(whole.wall_surface_1s)
    wanted = wanted.slice(wanted.num_rows - found.num_rows)
    for name in found.column_names:
        assert found[name].combine_chunks().equals(wanted[name].combine_chunks()), name

    before = pa.concat_tables([*history.trades, whole.trade_event.slice(0, 0)])["ts_event_ns"].to_numpy()
    every = whole.trade_event["ts_event_ns"].to_numpy()
    assert np.array_equal(before, every[every < begin])
