"""Nothing the engine owns is large enough for ever: each growth path, reached on purpose, changes no row.

The order table, the lists of a window and of an event, the price axis with its overflow levels, and the
buffers of rows all begin tiny here, so that a short stream makes them grow many times. The twin has no sizes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_eng._lake.encoding import WIDE_GROUP_NS
from data_eng.errors import EngineError
from data_eng.stages.silver.future_mbo import book_engine
from data_eng.stages.silver.future_mbo.book_engine import BookEngine, Windows
from tests.engine_helpers import (
    TINY_ROOMS,
    assert_equals_twin,
    assert_same_bytes,
    columns,
    cramped_engine,
    drain,
    pairs,
    rec,
    run_engine,
    snapshot,
)
from tests.naive.records import ASK, BID, MAX_SIZE
from tests.strategies import (
    CENTRE,
    INSTRUMENT_ID,
    ODD_PRICES,
    SECOND,
    TICK,
    any_streams,
    chunks,
    cuts,
    pauses,
    statuses,
)

START = snapshot((1, BID, CENTRE, 10), (2, ASK, CENTRE + TICK, 7))
QUIET = [rec(1000 * k + 900, "N", "N", 0, 0, 0) for k in range(6)]
LARGEST = 2**63 // TICK * TICK - TICK
SMALLEST = -(2**63 // TICK) * TICK


@contextmanager
def tiny_rooms() -> Iterator[None]:
    """No fixture: generated examples run inside one test, and the next test wants the usual rooms back."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in TINY_ROOMS.items():
            patch.setattr(book_engine, name, value)
        yield


@settings(max_examples=40)
@given(any_streams(), pauses(), statuses())
def test_lists_and_the_order_table_grow_and_change_nothing(recs, pause, status):
    assert_equals_twin(recs, cramped=True, pauses=pairs(pause), status=pairs(status))


@settings(max_examples=30)
@given(any_streams(), pauses(), statuses())
def test_the_axis_moves_and_overflows_and_changes_nothing(recs, pause, status):
    with tiny_rooms():
        assert_equals_twin(recs, cramped=True, pauses=pairs(pause), status=pairs(status))


@settings(max_examples=20)  # a state is two megabytes
@given(st.data(), any_streams())
def test_any_cut_and_a_restore_while_everything_grows_change_nothing(data, recs):
    with tiny_rooms():
        whole = drain(cramped_engine(), recs)
        engine = cramped_engine()
        blocks = []
        for chunk in chunks(recs, data.draw(cuts(len(recs)))):
            blocks += [*engine.process(columns(chunk)), engine.take()]
            engine = BookEngine.restore(engine.save())
        assert_same_bytes(Windows.concat([*blocks, engine.finish()]), whole)


# Prices for the axis: near the touch, around the ends of a 40-tick axis, around its own size times two, and
# as far as int64 reaches.
_AXIS_PRICES = st.one_of(
    st.integers(-90, 90).map(lambda ticks: CENTRE + ticks * TICK),
    st.sampled_from([price for price in ODD_PRICES if price % TICK == 0 and SMALLEST <= price <= LARGEST]),
)


@st.composite
def _far_walks(draw: st.DrawFn):
    """Adds, reprices and cancels that jump over the axis, with trades that drag the spot along."""
    recs, t_ms = list(START), 0
    moves = st.tuples(st.sampled_from("AAAMMCTR"), st.integers(1, 12), _AXIS_PRICES, st.booleans())
    for action, order_id, price, next_second in draw(st.lists(moves, min_size=5, max_size=80)):
        t_ms += 1000 if next_second else 1
        side = ASK if order_id % 2 else BID
        recs.append(rec(t_ms, action, side, order_id, price, 3 if action != "R" else 0))
    return recs


@given(_far_walks())
def test_a_book_that_jumps_over_the_axis_equals_the_twin(recs):
    with tiny_rooms():
        assert_equals_twin(recs, cramped=True)


@given(_far_walks())
def test_a_book_that_jumps_equals_the_twin_with_rooms_of_the_usual_size(recs):
    assert_equals_twin(recs)


def test_overflow_levels_come_out_in_price_order_around_the_axis():
    """Levels left and right of an axis of 40 ticks, all within 600 ticks of the spot."""
    with tiny_rooms():
        ticks = [-590, 580, -300, 310, -299, 0, 1, 150, -150, 599]
        adds = [rec(10 + k, "A", BID, 10 + k, CENTRE + t * TICK, 1 + k) for k, t in enumerate(ticks)]
        windows, engine = run_engine([rec(1, "T", BID, 90, CENTRE, 1), *adds])
        assert engine._st.overflow_used >= 5, "most of these levels must lie outside the axis"
        rows = windows.wall_surface_1s.to_pylist()
        assert [row["rel_ticks"] for row in rows] == sorted(ticks)
        assert {row["rel_ticks"]: row["depth_qty_end"] for row in rows} == {
            t: 1 + k for k, t in enumerate(ticks)
        }
        assert windows.book_snapshot_1s["best_bid_price_int"].to_pylist() == [CENTRE + 599 * TICK]


def test_the_axis_follows_the_market_and_dead_overflow_levels_are_dropped():
    """A market that walks 60,000 ticks away leaves nothing behind."""
    with tiny_rooms():
        recs, order_id = [], 1
        for step in range(60):
            price = CENTRE + 1_000 * step * TICK
            t_ms = 1_000 * step
            recs += [
                rec(t_ms, "A", BID, order_id, price, 2),
                rec(t_ms + 1, "A", ASK, order_id + 1, price + TICK, 3),
                rec(t_ms + 2, "T", BID, 90, price, 1),
                rec(t_ms + 900, "C", BID, order_id, price, 2),
                rec(t_ms + 901, "C", ASK, order_id + 1, price + TICK, 3),
            ]
            order_id += 2
        engine = BookEngine(INSTRUMENT_ID)
        drain(engine, recs)
        assert engine.depth() == {"A": {}, "B": {}}
        assert len(engine._state["over"]) <= 32, "levels of four windows, not of sixty"
        assert_equals_twin(recs)


def test_the_largest_and_smallest_prices_on_the_grid_are_levels_like_others():
    adds = [rec(10 + k, "A", BID, 10 + k, price, 2 + k) for k, price in enumerate((SMALLEST, LARGEST, 0))]
    recs = [*START, rec(1, "T", BID, 90, CENTRE, 1), *adds, *QUIET[:2]]
    engine = BookEngine(INSTRUMENT_ID)
    windows = drain(engine, recs)
    assert engine.depth()["B"] == {CENTRE: 10, SMALLEST: 2, LARGEST: 3, 0: 4}
    assert windows.book_snapshot_1s["best_bid_price_int"].to_pylist() == [LARGEST] * 2
    assert_equals_twin(recs)
    assert_equals_twin([*adds[:2], *adds[2:], rec(50, "T", BID, 90, LARGEST, 1), *QUIET[:2]])


def test_an_axis_that_begins_at_an_extreme_reaches_the_market():
    for extreme in (SMALLEST, LARGEST):
        first = rec(1, "A", ASK, 7, extreme, 1)
        market = [rec(10, "A", BID, 1, CENTRE, 5), rec(11, "T", BID, 90, CENTRE, 1)]
        assert_equals_twin([first, *market, *QUIET[:2]])
        assert_equals_twin([first, *market, rec(20, "M", ASK, 7, CENTRE + TICK, 1), *QUIET[:2]])


def every_level() -> list[tuple[int, str, int, int]]:
    """An order at every price within reach, on both sides."""
    return [
        (place * 2 + (side == ASK), side, CENTRE + ticks * TICK, 1 + place % 7)
        for place, ticks in enumerate(range(-600, 601))
        for side in (ASK, BID)
    ]


def test_a_stream_with_more_wall_rows_than_a_buffer_holds_comes_in_blocks():
    """1,201 bids and as many asks within reach, for 200 seconds: 480,400 rows, more than one buffer."""
    recs = [*snapshot(*every_level()), rec(0, "T", BID, 9_999, CENTRE, 1)]
    engine = BookEngine(INSTRUMENT_ID)
    engine.apply(columns(recs))
    blocks = list(engine.process(columns([rec(200 * 1_000, "N", "N", 0, 0, 0)])))
    assert [block.wall_surface_1s.num_rows for block in blocks] == [166 * 2_402]
    rest = engine.take().wall_surface_1s
    assert rest.num_rows == 34 * 2_402
    ends = blocks[0].wall_surface_1s["window_end_ts_ns"].to_pylist()
    assert rest["window_end_ts_ns"][0].as_py() == ends[-1] + SECOND


def test_buffers_too_small_for_one_window_grow_until_it_fits():
    with tiny_rooms():
        orders = [(1 + k, BID, CENTRE - k * TICK, 1) for k in range(601)]
        windows, _ = run_engine([*snapshot(*orders), rec(0, "T", ASK, 9_999, CENTRE, 1), *QUIET[:3]])
        assert windows.wall_surface_1s.num_rows == 3 * 601


def test_more_windows_than_the_buffer_of_snapshots_without_any_wall_row():
    engine = BookEngine(INSTRUMENT_ID)
    recs = [rec(0, "N", "N", 0, 0, 0), rec(1_000 * 1_000, "N", "N", 0, 0, 0)]
    blocks = list(engine.process(columns(recs)))
    assert [block.book_snapshot_1s.num_rows for block in blocks] == [300, 299, 300]
    # from the second on a block ends where a row group of the lake ends, which is written as it is
    ends = [block.book_snapshot_1s["window_end_ts_ns"][-1].as_py() for block in blocks]
    assert [(end + SECOND) % WIDE_GROUP_NS for end in ends[1:]] == [0, 0]
    assert engine.finish().book_snapshot_1s.num_rows == 102


def test_rows_that_were_taken_stay_as_they_are_while_the_engine_goes_on():
    """Full buffers are given away, so nothing may be written into them afterwards."""
    with tiny_rooms():
        engine = BookEngine(INSTRUMENT_ID)
        engine.apply(columns([*snapshot(*every_level()), rec(0, "T", BID, 9_999, CENTRE, 1)]))
        taken, copies = [], []
        for block in engine.process(columns([rec(4_000, "N", "N", 0, 0, 0)])):
            rows = block.wall_surface_1s
            taken.append(rows)
            copies.append(rows.take(np.arange(rows.num_rows)))
        engine.finish()
    assert [copy.num_rows for copy in copies if copy.num_rows] == [2_402] * 3  # the fourth waits
    assert all(rows.equals(copy) for rows, copy in zip(taken, copies, strict=True))


def test_an_event_of_ten_thousand_trades_is_one_event():
    sweep = [rec(10, "T", BID, 90, CENTRE, 1, 0) for _ in range(9_999)]
    engine = BookEngine(INSTRUMENT_ID)
    before = engine.apply(columns([rec(5, "T", BID, 90, CENTRE, 1), *sweep])).trade_event
    assert before["sweep_level_count"].to_pylist() == [1], "an open event's trades wait for its end"
    after = engine.apply(columns([rec(10, "T", BID, 90, CENTRE, 1)])).trade_event
    assert after["sweep_level_count"].to_pylist() == [10_000] * 10_000
    assert after["trade_idx"].to_pylist() == list(range(1, 10_001))


def test_forty_thousand_orders_fill_the_table_and_leave_it_again():
    adds = [rec(k / 1000, "A", BID, 17 * k, CENTRE - k % 50 * TICK, 1) for k in range(40_000)]
    ends = [record._replace(action="C") for record in adds[::-1]]
    engine = BookEngine(INSTRUMENT_ID)
    list(engine.process(columns(adds)))
    assert engine.order_count() == 40_000
    assert engine.depth()["B"] == dict.fromkeys((CENTRE - k * TICK for k in range(50)), 800)
    list(
        engine.process(
            columns([r._replace(ts_event=adds[-1].ts_event, ts_recv=adds[-1].ts_recv) for r in ends])
        )
    )
    assert (engine.order_count(), engine.depth()["B"]) == (0, {})
    assert engine.counters()["unknown_cancels"] == 0


# ---- what no int32 column can hold -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "recs",
    [
        pytest.param(
            [rec(k, "A", BID, k, CENTRE, MAX_SIZE) for k in (1, 2)] + [rec(9, "T", BID, 90, CENTRE, 1)],
            id="depth",
        ),
        pytest.param([rec(k, "A", BID, k, CENTRE, MAX_SIZE) for k in (1, 2)], id="best-quantity"),
        pytest.param([rec(k, "T", BID, 90, CENTRE, MAX_SIZE) for k in (1, 2)], id="volume"),
        pytest.param(
            [
                rec(1, "T", BID, 90, CENTRE, 1),
                *[rec(k, a, BID, 1, CENTRE, MAX_SIZE) for k in (2, 3) for a in "AC"],
            ],
            id="flow",
        ),
        pytest.param(
            [
                *START,
                *[rec(10, "F", ASK, 2, CENTRE + TICK, MAX_SIZE, 0) for _ in range(2)],
                rec(10, "C", ASK, 2, CENTRE + TICK, 7),
                rec(11, "T", BID, 90, CENTRE, 1),
            ],
            id="fills-of-a-known-order",
        ),
        pytest.param(
            [
                *START,
                *[rec(10, "F", ASK, 5, CENTRE + TICK, MAX_SIZE, 0) for _ in range(2)],
                rec(10, "A", ASK, 5, CENTRE + TICK, 7, 0),
                rec(10, "C", ASK, 5, CENTRE + TICK, 7),
                rec(11, "T", BID, 90, CENTRE, 1),
            ],
            id="fills-before-their-order",
        ),
        pytest.param(
            [
                rec(10, "T", BID, 90, CENTRE, 1, 0),
                *[rec(10, "F", ASK, 5, CENTRE, MAX_SIZE, 0) for _ in range(2)],
                rec(10, "N", "N", 0, 0, 0),
            ],
            id="fills-of-a-trade",
        ),
        pytest.param(
            [
                rec(1, "A", BID, 1, CENTRE, MAX_SIZE),
                rec(2, "T", BID, 90, CENTRE, 1),
                rec(1_001, "C", BID, 1, CENTRE, MAX_SIZE),
                rec(2_001, "A", BID, 1, CENTRE, MAX_SIZE),
            ],
            id="second-difference",
        ),
    ],
)
def test_a_quantity_beyond_int32_is_refused_and_never_written_wrong(recs):
    with pytest.raises(EngineError, match="int32"):
        run_engine(recs)


def test_the_largest_quantity_that_fits_is_written():
    recs = [rec(1, "A", BID, 1, CENTRE, MAX_SIZE), rec(2, "T", BID, 90, CENTRE, MAX_SIZE)]
    windows, _ = run_engine(recs)
    assert windows.wall_surface_1s["depth_qty_end"].to_pylist() == [MAX_SIZE]
    assert windows.book_snapshot_1s["buy_qty"].to_pylist() == [MAX_SIZE]
    assert_equals_twin(recs)


# ---- memory ----------------------------------------------------------------------------------------------


def test_memory_does_not_grow_with_the_day():
    """The same busy stretch twenty times over: everything the engine owns is as large after the second."""
    walk = []
    for k in range(400):
        price = CENTRE + (k % 40 - 20) * TICK
        walk += [
            rec(50 * k, "A", BID if k % 2 else ASK, 1_000 + k, price, 5),
            rec(50 * k + 10, "T", BID, 90, price, 1, 0),
            rec(50 * k + 10, "F", ASK, 1_000 + k, price, 1, 0),
            rec(50 * k + 10, "M", ASK, 1_000 + k, price, 4),
            rec(50 * k + 40, "C", ASK, 1_000 + k, price, 4),
        ]
    engine = BookEngine(INSTRUMENT_ID)
    sizes = []
    for round_ in range(20):
        shift = round_ * 20 * SECOND
        moved = [r._replace(ts_event=r.ts_event + shift, ts_recv=r.ts_recv + shift) for r in walk]
        engine.apply(columns(moved))
        # the kernel gets as much of the snapshot buffer as the row group has windows left
        owned = engine._state | engine._out | {"snap": engine._snap}
        sizes.append({name: array.nbytes for name, array in owned.items()})
    assert sizes[1:] == [sizes[1]] * 19
    assert len(engine.save()) < 4_000_000
