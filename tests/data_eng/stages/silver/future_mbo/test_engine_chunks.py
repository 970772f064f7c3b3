"""How the stream reaches the engine never changes a bit: cuts, buffers, save and restore (spec 4.11).

Laws. 1 Any cut into chunks, down to one record and to none, gives the same tables and counters.
      2 Records in a DBN buffer, in an unaligned one, in a read-only one, and in Bronze columns are the same.
      3 A save and restore at any record, also before the first and after the last, is no event at all.
      4 `advance` closes what time has passed by, and when it does not run ahead of a later record the
        tables are those of the batch.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_eng.errors import EngineError
from data_eng.mbo import MBO_DTYPE, MboColumns
from data_eng.stages.bronze.mbo_rows import to_bronze
from data_eng.stages.silver.future_mbo.book_engine import BookEngine, Windows
from data_eng.units import WINDOW_NS
from tests.engine_helpers import TABLES, assert_same_bytes, columns, pairs, rec, run_engine, snapshot
from tests.naive.records import ASK, BID, F_LAST, F_SNAPSHOT, Rec
from tests.strategies import (
    BASE_NS,
    CENTRE,
    INSTRUMENT_ID,
    SECOND,
    any_streams,
    chunks,
    cuts,
    pauses,
    statuses,
    tidy_streams,
    to_records,
)


def run_in_chunks(recs: Sequence[Rec], positions: Sequence[int], **options: object) -> Windows:
    engine = BookEngine(INSTRUMENT_ID, **options)
    parts = [engine.apply(columns(chunk)) for chunk in chunks(recs, positions)]
    return Windows.concat([*parts, engine.finish()])


@given(st.data(), any_streams(), pauses(), statuses())
def test_any_cut_of_the_stream_gives_the_same_bytes(data, recs, pause, status):
    options = {"pauses": pairs(pause), "status": pairs(status)}
    whole, engine = run_engine(recs, **options)
    positions = data.draw(cuts(len(recs)))
    assert_same_bytes(run_in_chunks(recs, positions, **options), whole)

    one_by_one = BookEngine(INSTRUMENT_ID, **options)
    all_columns = columns(recs)
    blocks = [b for k in range(len(recs)) for b in one_by_one.process(all_columns.part(k, k + 1))]
    assert_same_bytes(Windows.concat([*blocks, one_by_one.finish()]), whole)
    assert one_by_one.counters() == engine.counters()
    assert one_by_one.depth() == engine.depth()


@given(any_streams())
def test_blocks_of_process_and_the_rest_of_take_are_what_apply_returns(recs):
    engine = BookEngine(INSTRUMENT_ID)
    blocks = [*engine.process(columns(recs)), engine.take(), engine.finish()]
    assert_same_bytes(Windows.concat(blocks), run_engine(recs)[0])


def _buffer(recs: Sequence[Rec]) -> MboColumns:
    """Views into the read-only bytes of a decoded file."""
    return MboColumns.from_records(np.frombuffer(to_records(recs).tobytes(), MBO_DTYPE))


def _unaligned(recs: Sequence[Rec]) -> MboColumns:
    """The same after a metadata header of odd length, as in a real DBN stream."""
    data = b"\0" * 13 + to_records(recs).tobytes()
    return MboColumns.from_records(np.frombuffer(data, MBO_DTYPE, offset=13))


def _every_second(recs: Sequence[Rec]) -> MboColumns:
    """Views of stride 112: every other row of a buffer belongs to somebody else."""
    doubled = np.repeat(to_records(recs), 2)
    doubled[1::2]["action"] = ord("R")
    return MboColumns.from_records(doubled[::2])


def _bronze(recs: Sequence[Rec]) -> MboColumns:
    return MboColumns.from_bronze(to_bronze(to_records(recs)))


@given(any_streams())
def test_every_form_of_the_records_enters_with_the_same_result(recs):
    wanted, _ = run_engine(recs)
    for view in (_buffer, _unaligned, _every_second, _bronze):
        engine = BookEngine(INSTRUMENT_ID)
        assert_same_bytes(Windows.concat([engine.apply(view(recs)), engine.finish()]), wanted)


@settings(max_examples=15)  # every record is a table of its own
@given(any_streams())
def test_one_stream_may_change_its_form_at_any_record(recs):
    engine = BookEngine(INSTRUMENT_ID)
    views = (_bronze, _buffer, _every_second)
    blocks = [b for k, one in enumerate(recs) for b in engine.process(views[k % 3]([one]))]
    assert_same_bytes(Windows.concat([*blocks, engine.finish()]), run_engine(recs)[0])


def _sha256(data: bytes) -> str:
    """Short enough for a failing assertion to print."""
    return hashlib.sha256(data).hexdigest()


@settings(max_examples=20)  # a state is two megabytes
@given(st.data(), any_streams(), pauses(), statuses())
def test_save_and_restore_at_any_record_change_nothing(data, recs, pause, status):
    options = {"pauses": pairs(pause), "status": pairs(status), "emit_from_ns": BASE_NS + SECOND}
    whole, straight = run_engine(recs, **options)
    engine = BookEngine(INSTRUMENT_ID, **options)
    parts = []
    for chunk in chunks(recs, data.draw(cuts(len(recs)))):
        parts.append(engine.apply(columns(chunk)))
        saved = engine.save()
        engine = BookEngine.restore(saved)
        assert _sha256(engine.save()) == _sha256(saved), "the restored engine holds another state"
    assert_same_bytes(Windows.concat([*parts, engine.finish()]), whole)
    assert engine.counters() == straight.counters()
    assert (engine.depth(), engine.order_count()) == (straight.depth(), straight.order_count())


def test_a_restored_engine_keeps_its_choice_of_tables():
    recs = [rec(0, "T", BID, 9, CENTRE, 1), rec(1500, "A", ASK, 3, CENTRE, 2)]
    for wall, radar in ((True, False), (False, True), (False, False)):
        engine = BookEngine.restore(BookEngine(INSTRUMENT_ID, wall=wall, radar=radar).save())
        windows = Windows.concat([engine.apply(columns(recs)), engine.finish()])
        assert windows.book_snapshot_1s.num_rows == 2
        assert windows.wall_surface_1s.num_rows == (1 if wall else 0)
        assert windows.radar_vacuum_1s.num_rows == (2 if radar else 0)


@given(any_streams())
def test_leaving_out_a_table_leaves_the_others_as_they_are(recs):
    whole, _ = run_engine(recs)
    no_wall, _ = run_engine(recs, wall=False)
    no_radar, _ = run_engine(recs, radar=False)
    empty_wall, empty_radar = whole.wall_surface_1s.slice(0, 0), whole.radar_vacuum_1s.slice(0, 0)
    assert_same_bytes(
        no_wall,
        Windows(whole.book_snapshot_1s, empty_wall, whole.radar_vacuum_1s, whole.trade_event),
    )
    assert_same_bytes(
        no_radar,
        Windows(whole.book_snapshot_1s, whole.wall_surface_1s, empty_radar, whole.trade_event),
    )


@given(any_streams(), st.integers(-1, 20_000), st.integers(0, 20_000))
def test_emission_limits_are_a_pure_filter_of_whole_windows(recs, first_ms, length_ms):
    start = BASE_NS + first_ms * 1_000_000
    end = start + length_ms * 1_000_000
    whole, _ = run_engine(recs)
    part, engine = run_engine(recs, emit_from_ns=start, emit_to_ns=end)
    kept = [
        row["window_end_ts_ns"]
        for row in whole.book_snapshot_1s.to_pylist()
        if row["window_start_ts_ns"] >= start and row["window_end_ts_ns"] <= end
    ]
    for name in TABLES[:3]:
        rows = [row for row in getattr(whole, name).to_pylist() if row["window_end_ts_ns"] in set(kept)]
        assert getattr(part, name).to_pylist() == rows
    assert engine.counters() == run_engine(recs)[1].counters()


@pytest.mark.parametrize(
    ("emit", "kept"),
    [
        ({}, [0, 1, 2, 3]),
        ({"emit_from_ns": BASE_NS + SECOND}, [1, 2, 3]),
        ({"emit_from_ns": BASE_NS + SECOND - 1}, [1, 2, 3]),
        ({"emit_from_ns": BASE_NS + 1}, [1, 2, 3]),
        ({"emit_to_ns": BASE_NS + 2 * SECOND}, [0, 1]),
        ({"emit_to_ns": BASE_NS + 2 * SECOND - 1}, [0]),
        ({"emit_to_ns": BASE_NS + 2 * SECOND + SECOND // 2}, [0, 1]),
        ({"emit_from_ns": BASE_NS + SECOND, "emit_to_ns": BASE_NS + SECOND}, []),
    ],
)
def test_trades_are_emitted_with_their_window(emit, kept):
    recs = [rec(1000 * k + 250, "T", BID, 90 + k, CENTRE, 1) for k in range(4)]
    windows, _ = run_engine(recs, **emit)
    assert windows.trade_event["trade_idx"].to_pylist() == kept
    ends = [BASE_NS + (k + 1) * SECOND for k in kept]
    assert windows.book_snapshot_1s["window_end_ts_ns"].to_pylist() == ends


# ---- advance ---------------------------------------------------------------------------------------------


def _idle_places(recs: Sequence[Rec]) -> list[tuple[int, int]]:
    """(place, ns up to which time may pass) between events: outside a snapshot, with no event open."""
    places = []
    clock = -1
    for k, record in enumerate(recs[:-1]):
        if not record.flags & F_SNAPSHOT:
            clock = max(clock, record.ts_event)
        following = recs[k + 1]
        snapshot_goes_on = record.flags & F_SNAPSHOT and not record.flags & F_LAST
        if not record.flags & F_LAST or snapshot_goes_on or clock < 0:
            continue
        limit = following.ts_recv if following.flags & F_SNAPSHOT else following.ts_event
        if limit > clock:
            places.append((k + 1, limit))
    return places


@settings(max_examples=30)
@given(st.data(), tidy_streams(foreign=False))
def test_advance_in_idle_time_gives_the_tables_of_the_batch(data, recs):
    whole, batch = run_engine(recs)
    engine = BookEngine(INSTRUMENT_ID)
    parts, done = [], 0
    for place, limit in _idle_places(recs):
        parts.append(engine.apply(columns(recs[done:place])))
        done = place
        for step in range(data.draw(st.integers(0, 2))):
            parts.append(engine.advance(limit - data.draw(st.sampled_from([0, 1, SECOND])) * (1 - step)))
    parts += [engine.apply(columns(recs[done:])), engine.finish()]
    assert_same_bytes(Windows.concat(parts), whole)
    assert engine.counters() == batch.counters()


def test_advance_closes_exactly_the_windows_that_are_over():
    engine = BookEngine(INSTRUMENT_ID)
    assert engine.advance(BASE_NS + 5 * SECOND).book_snapshot_1s.num_rows == 0, "no window is open yet"
    engine.apply(columns([*snapshot((1, BID, CENTRE, 4)), rec(100, "T", BID, 90, CENTRE, 1)]))
    closed = [
        engine.advance(BASE_NS + ns).book_snapshot_1s.num_rows
        for ns in (SECOND - 1, SECOND, SECOND, 3 * SECOND + 1, 0)
    ]
    assert closed == [0, 1, 0, 2, 0]
    rest = engine.finish()
    assert rest.book_snapshot_1s["window_end_ts_ns"].to_pylist() == [BASE_NS + 4 * SECOND]


def test_a_record_behind_the_advanced_clock_is_late_and_rewrites_nothing():
    engine = BookEngine(INSTRUMENT_ID)
    first = engine.apply(columns([*snapshot((1, BID, CENTRE, 4)), rec(100, "N", "N", 0, 0, 0)]))
    idle = engine.advance(BASE_NS + 2 * SECOND)
    late = engine.apply(columns([rec(1500, "A", BID, 3, CENTRE, 6)]))
    rows = Windows.concat([first, idle, late, engine.finish()]).book_snapshot_1s
    assert rows["best_bid_qty"].to_pylist() == [4, 4, 10]
    assert rows["event_count"].to_pylist() == [1, 0, 1]
    assert engine.counters()["late_records"] == 1


def test_advance_over_many_hours_hands_over_every_second():
    engine = BookEngine(INSTRUMENT_ID)
    engine.apply(columns([*snapshot((1, BID, CENTRE, 4)), rec(0, "N", "N", 0, 0, 0)]))
    hours = 10 * 3_600
    ends = engine.advance(BASE_NS + hours * SECOND).wall_surface_1s["window_end_ts_ns"].to_numpy()
    assert len(ends) == hours
    assert (np.diff(ends) == WINDOW_NS).all()


# ---- what the engine refuses ------------------------------------------------------------------------------


def test_a_finished_engine_takes_no_more_also_after_restore():
    engine = BookEngine(INSTRUMENT_ID)
    engine.apply(columns([rec(0, "A", BID, 1, CENTRE, 1)]))
    engine.finish()
    for done in (engine, BookEngine.restore(engine.save())):
        assert done.order_count() == 1
        for use in (
            lambda e=done: e.apply(columns([rec(0, "A", BID, 2, CENTRE, 1)])),
            lambda e=done: e.advance(BASE_NS),
            lambda e=done: e.finish(),
        ):
            with pytest.raises(EngineError, match="finished; begin a new one"):
                use()


@pytest.mark.parametrize("tick_int", [0, -250_000_000])
def test_a_tick_that_is_no_tick_is_refused(tick_int):
    with pytest.raises(EngineError, match=f"tick_int is {tick_int}, expected a positive"):
        BookEngine(INSTRUMENT_ID, tick_int=tick_int)


def _of_another_format() -> bytes:
    saved = BookEngine(INSTRUMENT_ID).save()
    header, rest = saved.split(b"\n", 1)
    return json.dumps(json.loads(header) | {"format": 99}).encode() + b"\n" + rest


def _pickled_array() -> bytes:
    """A state whose arrays would run code when unpickled; it must not be opened."""
    header, _ = BookEngine(INSTRUMENT_ID).save().split(b"\n", 1)
    sink = io.BytesIO()
    np.save(sink, np.array([print], object), allow_pickle=True)
    return header + b"\n" + sink.getvalue()


@pytest.mark.parametrize(
    "foreign",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff\xfe\n", id="binary"),
        pytest.param(b"{}\n", id="empty-object"),
        pytest.param(b"[]\n", id="another-json"),
        pytest.param(b'"format"\n', id="a-word"),
        pytest.param(BookEngine(INSTRUMENT_ID).save()[:2_000], id="cut"),
        pytest.param(_of_another_format(), id="another-format"),
        pytest.param(_pickled_array(), id="pickle"),
    ],
)
def test_foreign_bytes_are_no_state(foreign: bytes):
    with pytest.raises(EngineError, match="saved engine state"):
        BookEngine.restore(foreign)
