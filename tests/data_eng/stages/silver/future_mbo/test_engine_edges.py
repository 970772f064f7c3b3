"""Every edge rule of spec 4.12, and the open questions decided beside it, with numbers worked out by hand.

No twin here: whoever doubts the twin can check these with pencil and paper. Two orders rest when a stream
begins: bid 10 at BID_PRICE (id 1) and ask 7 one tick above (id 2), both old.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest

from data_eng.stages.silver.future_mbo.book_engine import BookEngine
from tests.engine_helpers import MS, pairs, rec, run_engine, snapshot
from tests.naive.records import ASK, BID, F_MAYBE_BAD_BOOK, F_SNAPSHOT, MAX_SIZE, UNDEF_PRICE, Rec
from tests.strategies import BASE_NS, CENTRE, EVENT_END, SECOND, TICK

BID_PRICE, ASK_PRICE = CENTRE, CENTRE + TICK
CLOSED, PRE_OPEN, OPEN, HALT = range(4)
START = snapshot((1, BID, BID_PRICE, 10), (2, ASK, ASK_PRICE, 7))
AGAIN = ((1, BID, BID_PRICE, 4), (2, ASK, ASK_PRICE, 7))
"""the book that a snapshot in mid-session tells"""
FLOWS = ("depth_qty_start", "add_qty", "pull_qty_total", "pull_qty_rest", "fill_qty", "depth_qty_end")
SIZES = ("records", "events", "snapshots", "snapshot_records")


class Result:
    """Tables of a stream as rows."""

    def __init__(self, recs: Sequence[Rec], **options: Any) -> None:
        windows, self.engine = run_engine(recs, **options)
        self.books = windows.book_snapshot_1s.to_pylist()
        self.wall = windows.wall_surface_1s.to_pylist()
        self.radar = windows.radar_vacuum_1s.to_pylist()
        self.trades = windows.trade_event.to_pylist()

    def book(self, column: str) -> list[Any]:
        return [row[column] for row in self.books]

    def faults(self) -> dict[str, int]:
        """Counters that are not 0, without those of the stream's size."""
        return {name: n for name, n in self.engine.counters().items() if n and name not in SIZES}

    def valid(self) -> list[bool]:
        """window_valid of each window that has wall rows."""
        ends = sorted({row["window_end_ts_ns"] for row in self.wall})
        return [next(row["window_valid"] for row in self.wall if row["window_end_ts_ns"] == e) for e in ends]

    def level(self, side: str, price: int, window: int = 0) -> dict[str, Any]:
        end = self.books[window]["window_end_ts_ns"]
        key = (end, side, price)
        rows = [r for r in self.wall if (r["window_end_ts_ns"], r["side"], r["price_int"]) == key]
        assert len(rows) == 1, f"{len(rows)} wall rows of {side} {price} in window {window}, wanted one"
        return rows[0]

    def flows(self, side: str, price: int, window: int = 0) -> tuple[int, ...]:
        row = self.level(side, price, window)
        return tuple(row[name] for name in FLOWS)


def quiet(t_ms: float) -> Rec:
    """A record that changes nothing but the time."""
    return rec(t_ms, "N", "N", 0, UNDEF_PRICE, 0)


# ---- resets ----------------------------------------------------------------------------------------------


def test_derivatives_begin_anew_in_the_window_that_contains_the_reset():
    stream = [*START]
    for second, qty in enumerate((1, 4, 9)):
        stream.append(rec(1000 * second + 10, "A", BID, 10 + second, BID_PRICE, qty))
    stream += snapshot((1, BID, BID_PRICE, 50), (2, ASK, ASK_PRICE, 7), t_ms=3500)
    stream += [rec(3600, "A", BID, 20, BID_PRICE, 5), rec(4100, "A", BID, 21, BID_PRICE, 2), quiet(5100)]
    result = Result(stream)
    rows = [result.level(BID, BID_PRICE, n) for n in range(6)]
    assert [row["depth_qty_end"] for row in rows] == [11, 15, 24, 55, 57, 57]
    assert [row["d1_depth_qty"] for row in rows] == [0, 4, 9, 0, 2, 0]
    assert [row["d2_depth_qty"] for row in rows] == [0, 4, 5, 0, 2, -2]
    assert [row["d3_depth_qty"] for row in rows] == [0, 4, 1, 0, 2, -4]


@pytest.mark.parametrize("layout", ["modern", "legacy-168"])
def test_a_snapshot_inside_a_window_resets_flow_and_no_other_count(layout):
    before = [rec(2010, "A", BID, 3, BID_PRICE, 1), rec(2020, "T", BID, 90, ASK_PRICE, 2)]
    after = [rec(2600, "A", BID, 5, BID_PRICE, 6), rec(2700, "T", ASK, 91, BID_PRICE, 3)]
    result = Result([*START, quiet(100), *before, *snapshot(*AGAIN, layout=layout, t_ms=2500), *after])
    assert result.book("best_bid_qty") == [10, 10, 10]
    last = result.books[2]
    assert [last[name] for name in ("event_count", "trade_count", "buy_qty", "sell_qty")] == [4, 2, 2, 3]
    # depth at the start is the true one before the reset; flow counts from it
    assert result.flows(BID, BID_PRICE, 2) == (10, 6, 0, 0, 0, 10)
    assert result.valid() == [True, True, False]
    assert result.faults() == {}


def test_depth_at_the_start_of_a_reset_window_survives_changes_and_a_second_reset():
    stream = [
        *START,
        quiet(100),
        rec(1010, "A", BID, 3, BID_PRICE - TICK, 8),
        rec(1020, "C", BID, 1, BID_PRICE, 10),
        *snapshot((9, BID, BID_PRICE - 2 * TICK, 1), t_ms=1500),
        rec(1600, "R", "N", 0, UNDEF_PRICE, 0),
        rec(1700, "A", BID, 4, BID_PRICE, 2),
        rec(1800, "T", BID, 90, ASK_PRICE, 1),
    ]
    result = Result(stream)
    assert result.flows(BID, BID_PRICE, 1) == (10, 2, 0, 0, 0, 2)
    assert result.flows(ASK, ASK_PRICE, 1) == (7, 0, 0, 0, 0, 0)
    prices = {row["price_int"] for row in result.wall if row["window_end_ts_ns"] == BASE_NS + 2 * SECOND}
    assert prices == {BID_PRICE, ASK_PRICE}, "the order of 8 and the snapshot's order left no trace"


def test_the_initial_snapshot_never_spoils_the_first_window():
    inside = snapshot((1, BID, BID_PRICE, 10), (2, ASK, ASK_PRICE, 7), t_ms=100)
    result = Result([*inside, rec(200, "A", BID, 3, BID_PRICE, 1)])
    assert result.valid() == [True]
    assert result.flows(BID, BID_PRICE) == (10, 1, 0, 0, 0, 11)


def test_last_flag_on_a_snapshot_record_ends_no_event():
    result = Result([*START, quiet(10), *snapshot(*AGAIN, layout="modern", t_ms=500), quiet(600)])
    assert result.book("event_count") == [2]
    assert result.engine.counters()["events"] == 2


def test_an_unmarked_snapshot_spoils_the_windows_until_the_next_plain_record():
    def seen(layout: str) -> tuple[list[bool], list[bool]]:
        again = snapshot(*AGAIN, layout=layout, t_ms=500)
        trade = rec(10, "T", BID, 90, ASK_PRICE, 1)
        result = Result([*START, trade, *again, rec(2600, "A", BID, 5, BID_PRICE, 1)])
        return result.book("book_valid"), result.valid()

    assert seen("legacy") == ([False, False, True], [False, False, True])
    assert seen("legacy-168") == seen("modern") == ([True, True, True], [False, True, True])


def test_a_snapshot_takes_effect_at_its_ts_recv_not_at_its_old_ts_event():
    again = snapshot(*AGAIN, t_ms=2500)
    result = Result([*START, quiet(10), *again, quiet(2600)])
    assert result.book("best_bid_qty") == [10, 10, 4]
    assert result.book("window_end_ts_ns") == [BASE_NS + k * SECOND for k in (1, 2, 3)]


def test_a_repeated_snapshot_with_a_new_ts_recv_replaces_the_one_before_it():
    sunday = snapshot((1, BID, BID_PRICE, 10), (3, BID, BID_PRICE, 5), layout="legacy", t_ms=-9000)
    midnight = snapshot((1, BID, BID_PRICE, 10), (2, ASK, ASK_PRICE, 7), layout="legacy")
    result = Result([*sunday, *midnight, quiet(10)])
    assert result.book("best_bid_qty") == [10]
    assert result.engine.counters()["snapshots"] == 2
    assert result.faults() == {}


def test_records_that_do_not_belong_into_a_snapshot_are_counted_and_change_nothing():
    strangers = [
        rec(-3000, action, BID, 1, BID_PRICE, 3, F_SNAPSHOT)._replace(ts_recv=START[0].ts_recv)
        for action in "TFCMN"
    ]
    result = Result([*START[:-1], *strangers, START[-1], quiet(10)])
    assert result.faults() == {"snapshot_not_add": 5}
    assert result.book("best_bid_qty") == [10]
    assert result.trades == []


def test_a_clear_is_an_empty_book_from_its_events_end():
    stream = [
        *START,
        rec(10, "A", BID, 3, BID_PRICE, 1),
        rec(20, "R", "N", 0, UNDEF_PRICE, 0, 0),
        rec(1010, "A", BID, 3, BID_PRICE, 5, 0),
        rec(1011, "A", ASK, 4, ASK_PRICE, 5),
        quiet(2010),
    ]
    result = Result(stream)
    assert result.book("book_valid") == [False, True, True]
    assert result.book("best_bid_qty") == [0, 5, 5]
    assert result.valid() == [False, True], "the first window has no spot, so no row"
    assert result.faults() == {"clears": 1, "unterminated_events": 1}


def test_clear_with_the_last_flag_is_complete_at_once():
    result = Result([*START, rec(10, "R", "N", 0, UNDEF_PRICE, 0), quiet(1010)])
    assert result.book("book_valid") == [True, True]
    assert result.book("best_bid_price_int") == [0, 0]


# ---- F_MAYBE_BAD_BOOK ------------------------------------------------------------------------------------


@pytest.mark.parametrize("cure", ["snapshot", "clear"])
def test_maybe_bad_book_lasts_until_a_snapshot_or_a_clear(cure):
    bad = rec(10, "T", BID, 90, ASK_PRICE, 1, EVENT_END | F_MAYBE_BAD_BOOK)
    ends = snapshot(*AGAIN, t_ms=2200) if cure == "snapshot" else [rec(2200, "R", "N", 0, UNDEF_PRICE, 0)]
    result = Result([*START, bad, quiet(1500), *ends, rec(2300, "A", BID, 8, BID_PRICE, 1), quiet(3500)])
    assert result.book("book_valid") == [False, False, True, True]
    assert result.valid() == [False, False, False, True]


@pytest.mark.parametrize("layout", ["modern", "legacy", "legacy-168"])
def test_maybe_bad_book_inside_a_snapshot_leaves_the_book_incomplete(layout):
    marked = snapshot(*AGAIN, layout=layout)
    marked[0] = marked[0]._replace(flags=marked[0].flags | F_MAYBE_BAD_BOOK)
    cure = snapshot(*AGAIN, layout=layout, t_ms=2200)
    result = Result([*marked, quiet(10), quiet(1500), *cure, quiet(2300)])
    assert result.book("book_valid") == [False, False, True]


# ---- events ----------------------------------------------------------------------------------------------


def test_an_event_cut_by_a_window_counts_there_also_in_the_crossing_test():
    stream = [*START, rec(990, "A", BID, 3, ASK_PRICE, 1, 0), rec(1010, "C", BID, 3, ASK_PRICE, 1)]
    result = Result(stream)
    assert result.book("event_count") == [1, 1]
    assert result.book("crossed_event_count") == [1, 0]
    assert result.book("book_valid") == [False, True]
    assert result.faults() == {"crossed_open": 1, "unterminated_events": 1}


def test_a_window_is_not_valid_when_the_book_is_crossed_at_its_start_only():
    stream = [
        *START,
        rec(10, "T", BID, 90, ASK_PRICE, 1),
        rec(900, "A", BID, 3, ASK_PRICE, 1),
        rec(1010, "C", BID, 3, ASK_PRICE, 1),
        quiet(2010),
    ]
    result = Result(stream)
    assert result.book("crossed_event_count") == [1, 0, 0]
    assert result.valid() == [False, False, True]


def test_a_snapshot_start_cuts_the_open_event_in_its_own_window():
    stream = [*START, rec(10, "A", BID, 3, BID_PRICE, 1, 0), *snapshot(*AGAIN, t_ms=1500), quiet(1600)]
    result = Result(stream)
    assert result.book("event_count") == [1, 1]
    assert result.faults() == {"unterminated_events": 1}


def test_a_fill_before_its_order_appears_is_remembered_for_it():
    stream = [
        *START,
        rec(10, "F", ASK, 5, ASK_PRICE, 3, 0),
        rec(10, "A", ASK, 5, ASK_PRICE, 4, 0),
        rec(10, "C", ASK, 5, ASK_PRICE, 4),
    ]
    result = Result(stream)
    assert result.flows(ASK, ASK_PRICE) == (7, 4, 1, 0, 3, 7)
    assert result.faults() == {}


def test_fills_that_nothing_completes_are_counted_by_whether_the_order_is_known():
    stream = [
        *START,
        rec(10, "F", ASK, 2, ASK_PRICE, 3, 0),
        rec(10, "F", ASK, 77, ASK_PRICE, 4, 0),
        rec(10, "F", ASK, 77, ASK_PRICE, 5),
        rec(20, "C", ASK, 2, ASK_PRICE, 7),
    ]
    result = Result(stream)
    assert result.faults() == {
        "unmatched_fill_orders": 1,
        "unmatched_fill_qty": 3,
        "unknown_fill_orders": 1,
        "unknown_fill_qty": 9,
    }
    assert result.flows(ASK, ASK_PRICE) == (7, 0, 7, 7, 0, 0), "the fill was forgotten with its event"


def test_the_aggressors_own_leg_is_no_fill_at_the_price_where_its_order_rests():
    stream = [
        *START,
        rec(100, "T", BID, 1, ASK_PRICE, 7, 0),
        rec(100, "F", BID, 1, ASK_PRICE, 7, 0),
        rec(100, "F", ASK, 2, ASK_PRICE, 7, 0),
        rec(100, "C", ASK, 2, ASK_PRICE, 7, 0),
        rec(100, "M", BID, 1, ASK_PRICE, 3),
    ]
    result = Result(stream)
    assert result.flows(BID, BID_PRICE) == (10, 0, 10, 10, 0, 0)
    assert result.flows(BID, ASK_PRICE) == (0, 3, 0, 0, 0, 3)
    assert result.flows(ASK, ASK_PRICE) == (7, 0, 0, 0, 7, 0)
    assert result.faults() == {"aggressor_fills": 1, "aggressor_fill_qty": 7}
    assert [(t["resting_fill_count"], t["resting_fill_qty"]) for t in result.trades] == [(1, 7)]


def test_trades_of_a_sweep_share_its_level_count_and_keep_their_own_fills():
    stream = [
        *START,
        rec(10, "A", ASK, 3, ASK_PRICE + TICK, 5),
        rec(100, "T", BID, 90, ASK_PRICE, 7, 0),
        rec(100, "F", ASK, 2, ASK_PRICE, 7, 0),
        rec(100, "T", BID, 90, ASK_PRICE + TICK, 2, 0),
        rec(100, "F", ASK, 3, ASK_PRICE + TICK, 2, 0),
        rec(100, "C", ASK, 2, ASK_PRICE, 7, 0),
        rec(100, "M", ASK, 3, ASK_PRICE + TICK, 3),
        rec(200, "T", "N", 0, ASK_PRICE, 1),
    ]
    rows = Result(stream).trades
    names = ("trade_idx", "qty", "resting_fill_count", "resting_fill_qty", "sweep_level_count", "is_auction")
    assert [tuple(row[name] for name in names) for row in rows] == [
        (0, 7, 1, 7, 2, False),
        (1, 2, 1, 2, 2, False),
        (2, 1, 0, 0, 1, True),
    ]


# ---- fill rule (4.6) -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "price", "size", "filled", "at_old_price"),
    [
        pytest.param("C", ASK_PRICE, 7, 7, (7, 0, 0, 0, 7, 0), id="cancel-completes-a-fill"),
        pytest.param("C", ASK_PRICE, 7, 9, (7, 2, 0, 0, 9, 0), id="cancel-shows-hidden-lots"),
        pytest.param("C", ASK_PRICE, 7, 3, (7, 0, 4, 4, 3, 0), id="cancel-splits"),
        pytest.param("C", ASK_PRICE, 2, 3, (7, 1, 0, 0, 3, 5), id="partial-cancel-below-the-fill"),
        pytest.param("C", ASK_PRICE, 99, 3, (7, 0, 4, 4, 3, 0), id="cancel-is-clamped"),
        pytest.param("M", ASK_PRICE, 4, 3, (7, 0, 0, 0, 3, 4), id="modify-shows-the-remainder"),
        pytest.param("M", ASK_PRICE, 7, 7, (7, 7, 0, 0, 7, 7), id="iceberg-refresh"),
        pytest.param("M", ASK_PRICE, 2, 13, (7, 8, 0, 0, 13, 2), id="iceberg-eaten-beyond-display"),
        pytest.param("M", ASK_PRICE, 1, 3, (7, 0, 3, 3, 3, 1), id="modify-pulls-beyond-the-fill"),
        pytest.param("M", ASK_PRICE, 0, 3, (7, 0, 4, 4, 3, 0), id="modify-to-nothing"),
        pytest.param("M", ASK_PRICE + TICK, 4, 3, (7, 0, 4, 4, 3, 0), id="reprice-pulls-the-rest"),
        pytest.param("M", ASK_PRICE + TICK, 4, 9, (7, 2, 0, 0, 9, 0), id="reprice-shows-hidden-lots"),
    ],
)
def test_fill_rule(action, price, size, filled, at_old_price):
    event = [
        rec(100, "T", BID, 90, ASK_PRICE, filled, 0),
        rec(100, "F", ASK, 2, ASK_PRICE, filled, 0),
        rec(100, action, ASK, 2, price, size),
    ]
    result = Result([*START, *event])
    assert result.flows(ASK, ASK_PRICE) == at_old_price
    if price != ASK_PRICE:
        assert result.flows(ASK, price) == (0, 4, 0, 0, 0, 4)
    hidden = {"hidden_qty_cancel" if action == "C" else "hidden_qty_modify": at_old_price[1]}
    clamped = {"oversized_cancels": 1} if size == 99 else {}
    assert result.faults() == {name: n for name, n in hidden.items() if n} | clamped


# ---- actions ---------------------------------------------------------------------------------------------


def test_duplicate_add_is_a_pull_then_an_add_and_in_the_radar_one_change():
    young = [rec(10, "A", BID, 3, BID_PRICE, 6), rec(20, "A", BID, 3, BID_PRICE - TICK, 4)]
    result = Result([*START, rec(10, "A", BID, 1, BID_PRICE, 12), *young])
    # 10 old lots pulled, 12 added; 6 young lots added, then pulled
    assert result.flows(BID, BID_PRICE) == (10, 18, 16, 10, 0, 12)
    assert result.flows(BID, BID_PRICE - TICK) == (0, 4, 0, 0, 0, 4)
    assert result.faults() == {"duplicate_adds": 2}
    # a = (12 - 10) + 6 + max(4 - 6, 0); nothing counts as pulled, because an A is no pull in the radar
    assert result.radar[0]["f4_bid_pull_add_log_rest"] == math.log(1 / (1 + 8))


def test_duplicate_add_on_the_other_side_moves_the_order_there():
    result = Result([*START, rec(10, "A", ASK, 1, ASK_PRICE, 4)])
    assert result.faults() == {"duplicate_adds": 1}
    assert result.engine.depth() == {"A": {ASK_PRICE: 11}, "B": {}}
    assert result.engine.order_count() == 2


def test_modify_of_an_unknown_id_adds_its_quantity():
    result = Result([*START, rec(10, "M", BID, 3, BID_PRICE, 6)])
    assert result.flows(BID, BID_PRICE) == (10, 6, 0, 0, 0, 16)
    assert result.faults() == {"unknown_modifies": 1}


@pytest.mark.parametrize("side", [ASK, "N"])
def test_modify_with_another_side_keeps_the_orders_side(side):
    result = Result([*START, rec(10, "M", side, 1, BID_PRICE - TICK, 6)])
    assert result.engine.depth() == {"A": {ASK_PRICE: 7}, "B": {BID_PRICE - TICK: 6}}
    assert result.faults() == {"side_changes": 1}


def test_only_a_new_price_takes_an_orders_age():
    stream = [*START, rec(600, "M", ASK, 2, ASK_PRICE, 9), rec(600, "M", BID, 1, BID_PRICE - TICK, 10)]
    result = Result(stream)
    assert result.level(ASK, ASK_PRICE)["depth_qty_rest"] == 9
    assert result.level(BID, BID_PRICE - TICK)["depth_qty_rest"] == 0


@pytest.mark.parametrize(("entered_ns", "resting"), [(500_000_000, 14), (500_000_001, 10)])
def test_an_order_rests_at_the_windows_end_from_half_a_second_on(entered_ns, resting):
    add = rec(0, "A", BID, 3, BID_PRICE, 4)._replace(ts_event=BASE_NS + entered_ns, ts_recv=BASE_NS + SECOND)
    assert Result([*START, add]).level(BID, BID_PRICE)["depth_qty_rest"] == resting


@pytest.mark.parametrize(("age_ns", "resting"), [(499_999_999, 0), (500_000_000, 5)])
def test_a_pull_is_resting_from_half_a_second_on(age_ns, resting):
    add = rec(10, "A", ASK, 3, ASK_PRICE, 5)
    cancel = add._replace(action="C", ts_event=add.ts_event + age_ns, ts_recv=add.ts_recv + age_ns)
    assert Result([*START, add, cancel]).level(ASK, ASK_PRICE)["pull_qty_rest"] == resting


@pytest.mark.parametrize("base_ns", [BASE_NS, 2_300_000_000 * SECOND - 2_300_000_000 % 86_400 * SECOND])
def test_an_order_that_comes_back_in_the_same_instant_is_young_once(base_ns):
    """Also in 2042, when the window's number no longer fits 31 bits."""
    stream = [
        rec(0, "T", BID, 90, BID_PRICE, 1),
        rec(900, "A", BID, 5, BID_PRICE, 3),
        rec(900, "C", BID, 5, BID_PRICE, 3),
        rec(900, "A", BID, 5, BID_PRICE, 4),
    ]
    move = base_ns - BASE_NS
    moved = [r._replace(ts_event=r.ts_event + move, ts_recv=r.ts_recv + move) for r in stream]
    row = Result(moved).level(BID, BID_PRICE)
    assert [row[name] for name in ("depth_qty_end", "depth_qty_rest", "add_qty", "pull_qty_total")] == [
        4,
        0,
        7,
        3,
    ]


@pytest.mark.parametrize(
    ("record", "counter"),
    [
        (rec(10, "A", BID, 9, UNDEF_PRICE, MAX_SIZE + 1), "undef_prices"),
        (rec(10, "M", BID, 1, UNDEF_PRICE, 1), "undef_prices"),
        (rec(10, "A", BID, 9, BID_PRICE + 1, MAX_SIZE + 1), "off_tick_prices"),
        (rec(10, "M", BID, 1, BID_PRICE - 1, 1), "off_tick_prices"),
        (rec(10, "A", "N", 9, BID_PRICE, MAX_SIZE + 1), "bad_sizes"),
        (rec(10, "C", BID, 1, BID_PRICE, 2**32 - 1), "bad_sizes"),
        (rec(10, "F", BID, 1, BID_PRICE, 2**32 - 1), "bad_sizes"),
        (rec(10, "A", "N", 9, BID_PRICE, 1), "bad_sides"),
        (rec(10, "M", "N", 9, BID_PRICE, 1), "bad_sides"),
        (rec(10, "C", BID, 9, BID_PRICE, 1), "unknown_cancels"),
        (rec(10, "Z", BID, 1, BID_PRICE, 1), "unknown_actions"),
    ],
)
def test_an_unusable_record_is_counted_once_and_leaves_the_book_alone(record, counter):
    result = Result([*START, record])
    assert result.faults() == {counter: 1}
    assert result.book("best_bid_qty") == [10]
    assert result.book("event_count") == [1]
    assert result.engine.order_count() == 2


@pytest.mark.parametrize(
    ("price", "last", "counter"),
    [
        (UNDEF_PRICE, ASK_PRICE, {"undef_prices": 1}),
        (ASK_PRICE + 1, ASK_PRICE, {"off_tick_prices": 1}),
        (0, ASK_PRICE, {}),
        (-TICK, ASK_PRICE, {}),
        (BID_PRICE, BID_PRICE, {}),
    ],
)
def test_a_trade_without_a_usable_price_is_volume_but_no_last_trade(price, last, counter):
    stream = [*START, rec(10, "T", BID, 90, ASK_PRICE, 2), rec(20, "T", BID, 90, price, 3)]
    result = Result(stream)
    assert result.book("last_trade_price_int") == result.book("spot_ref_price_int") == [last]
    assert (result.book("buy_qty"), result.book("trade_count")) == ([5], [2])
    assert result.faults() == counter


def test_a_trade_with_an_impossible_size_counts_as_a_trade_of_nothing():
    result = Result([*START, rec(10, "T", ASK, 90, ASK_PRICE, MAX_SIZE + 1)])
    assert (result.book("sell_qty"), result.book("trade_count")) == ([0], [1])
    assert result.trades[0]["qty"] == 0
    assert result.faults() == {"bad_sizes": 1}


def test_an_order_of_quantity_zero_is_in_the_table_and_in_no_level():
    result = Result([*START, rec(10, "A", BID, 3, BID_PRICE + TICK, 0), rec(20, "M", BID, 1, BID_PRICE, 0)])
    assert result.engine.order_count() == 3
    assert result.book("best_bid_price_int") == [0]
    assert result.book("crossed_event_count") == [0]


def test_prices_at_and_below_zero_are_legal():
    result = Result([*START, rec(10, "A", BID, 3, 0, 5), rec(20, "A", BID, 4, -TICK, 6)])
    assert result.engine.depth()["B"] == {BID_PRICE: 10, 0: 5, -TICK: 6}
    assert result.faults() == {}


# ---- late records ----------------------------------------------------------------------------------------


def test_late_records_change_the_current_window_and_never_the_clock():
    ahead = rec(0, "A", BID, 5, BID_PRICE, 1)._replace(ts_event=BASE_NS + 2 * SECOND, ts_recv=BASE_NS)
    stream = [
        *START,
        ahead,  # before any window: counts in the first
        rec(1500, "A", BID, 3, BID_PRICE, 1),
        rec(400, "A", BID, 4, BID_PRICE, 1),  # older than the open window
        ahead._replace(order_id=6),  # more than a second before it was received
        rec(1600, "A", BID, 7, BID_PRICE, 1)._replace(ts_recv=BASE_NS + 86_400 * SECOND),  # another day
        quiet(1700),
    ]
    result = Result(stream)
    assert result.faults() == {"late_records": 4}
    assert result.book("window_end_ts_ns") == [BASE_NS + 2 * SECOND]
    assert result.flows(BID, BID_PRICE) == (10, 5, 0, 0, 0, 15)
    assert result.book("event_count") == [6]


def test_a_trade_before_any_window_belongs_to_the_first_one():
    early = rec(0, "T", BID, 90, ASK_PRICE, 7)._replace(ts_event=BASE_NS + 5 * SECOND)
    stream = [*START, early, rec(100, "T", BID, 91, ASK_PRICE, 1), quiet(1500)]
    for emit, kept in (
        ({}, [0, 1]),
        ({"emit_to_ns": BASE_NS + SECOND}, [0, 1]),
        ({"emit_from_ns": BASE_NS + SECOND}, []),
    ):
        result = Result(stream, **emit)
        assert [row["trade_idx"] for row in result.trades] == kept
    assert Result(stream).book("trade_count") == [2, 0]


def test_available_time_is_the_largest_receipt_of_a_plain_record():
    stream = [
        *START,
        rec(10, "N", "N", 0, 0, 0)._replace(ts_recv=BASE_NS + 700 * MS),
        rec(20, "N", "N", 0, 0, 0)._replace(ts_recv=BASE_NS + 300 * MS),
        *snapshot(*AGAIN, t_ms=800),
        quiet(1500),
    ]
    assert Result(stream).book("available_ts_ns") == [BASE_NS + 700 * MS, BASE_NS + 1500 * MS + 100_000]


# ---- phase (4.8) -----------------------------------------------------------------------------------------


def phases(recs: Sequence[Rec], pause_s: Sequence[tuple[float, float]], **options: Any) -> list[str]:
    closed = [(BASE_NS + int(a * SECOND), BASE_NS + int(b * SECOND)) for a, b in pause_s]
    return Result(recs, pauses=pairs(closed), **options).book("phase")


def test_phase_walks_through_a_pause():
    stream = [
        *START,
        quiet(10),
        rec(3500, "A", BID, 3, BID_PRICE, 1),
        rec(6500, "T", BID, 0, ASK_PRICE, 0),
        quiet(7500),
    ]
    walk = ["open", "open", "closed", "pre_open", "pre_open", "pre_open", "open", "open"]
    assert phases(stream, [(2, 5)]) == walk
    untouched = [record for record in stream if record.order_id != 3]
    assert phases(untouched, [(2, 5)]) == [*walk[:3], "closed", "closed", *walk[5:]]


def test_only_an_add_or_modify_outside_a_snapshot_opens_the_pre_open():
    for action, order_id, wanted in (("A", 3, "pre_open"), ("M", 1, "pre_open"), ("C", 1, "closed")):
        stream = [*START, quiet(10), rec(1100, action, BID, order_id, BID_PRICE, 2)]
        assert phases(stream, [(1, 3)]) == ["open", wanted]
    assert phases([*START, quiet(10), *snapshot(*AGAIN, t_ms=1100), quiet(1200)], [(1, 3)])[1] == "closed"
    refused = rec(1100, "A", BID, 3, BID_PRICE + 1, 2)
    assert phases([*START, quiet(10), refused], [(1, 3)]) == ["open", "closed"]


def test_a_trade_inside_the_pause_opens_until_the_pause_ends():
    stream = [
        *START,
        rec(10, "T", BID, 90, ASK_PRICE, 1),  # closed stays closed
        rec(1010, "A", BID, 3, BID_PRICE, 1),
        rec(1020, "T", BID, 90, ASK_PRICE, 1),
        rec(1030, "A", BID, 4, BID_PRICE, 1),  # and does not close again
        quiet(3010),
    ]
    assert phases(stream, [(0, 3)]) == ["closed", "open", "open", "pre_open"]
    trades = Result(stream, pauses=pairs([(BASE_NS, BASE_NS + 3 * SECOND)])).trades
    assert [row["phase"] for row in trades] == ["closed", "open"]


def test_a_pause_that_nobody_traded_in_is_passed_over():
    stream = [*START, quiet(500), quiet(5500)]
    assert phases(stream, [(1, 2), (3, 4)]) == [
        "open",
        "closed",
        "pre_open",
        "closed",
        "pre_open",
        "pre_open",
    ]


def test_a_run_begins_open_outside_a_pause_and_closed_inside():
    assert phases([*START, quiet(10)], [(-5, -1)]) == ["open"]
    assert phases([*START, quiet(10)], [(-5, 5)]) == ["closed"]
    assert phases([*START, quiet(10)], [(0.5, 5)]) == ["closed"], "read at the window's end"
    assert phases([*START, quiet(10)], [(1, 5)]) == ["open"], "the end belongs to the next window"


def test_status_messages_overrule_calendar_and_records_from_the_first_on():
    stream = [*START, quiet(10), rec(4010, "T", BID, 90, ASK_PRICE, 1), quiet(5500)]
    status = pairs([(BASE_NS + 1500 * MS, HALT), (BASE_NS + 4 * SECOND, PRE_OPEN)])
    assert phases(stream, [(0, 3)], status=status) == [
        "closed",
        "halt",
        "halt",
        "halt",
        "pre_open",
        "pre_open",
    ]


def test_a_crossing_is_counted_by_the_phase_it_happens_in():
    stream = [
        *START,
        rec(100, "A", BID, 3, ASK_PRICE, 1),
        quiet(1100),
        quiet(2100),
        quiet(3100),
    ]
    status = pairs([(BASE_NS + k * SECOND, phase) for k, phase in enumerate((OPEN, PRE_OPEN, CLOSED, HALT))])
    assert Result(stream, status=status).faults() == {
        "crossed_open": 1,
        "crossed_pre_open": 1,
        "crossed_closed": 1,
        "crossed_halt": 1,
    }


# ---- spot and radar --------------------------------------------------------------------------------------


def test_spot_is_the_last_trade_else_the_bid_of_a_valid_book_else_none():
    crossed = rec(1100, "A", BID, 3, ASK_PRICE, 1)
    stream = [*START, quiet(100), crossed, quiet(2100), rec(2200, "T", BID, 90, ASK_PRICE + TICK, 1)]
    result = Result(stream)
    assert result.book("spot_ref_price_int") == [BID_PRICE, 0, ASK_PRICE + TICK]
    ends = [row["window_end_ts_ns"] - BASE_NS for row in result.radar]
    assert ends == [SECOND, 3 * SECOND], "no radar row without a spot"
    assert {row["window_end_ts_ns"] - BASE_NS for row in result.wall} == {SECOND, 3 * SECOND}


def test_radar_of_a_window_with_a_reset_starts_from_the_book_before_it():
    again = snapshot((1, BID, BID_PRICE, 10), (2, ASK, ASK_PRICE + 4 * TICK, 7), t_ms=1500)
    stream = [*START, rec(10, "T", BID, 90, ASK_PRICE, 1), rec(1100, "C", ASK, 2, ASK_PRICE, 7), *again]
    row = Result([*stream, quiet(1600)]).radar[1]
    # mean distance 0 before the reset, 4 after it; the pull before the reset is forgotten
    assert row["f1_ask_com_disp_log"] == math.log((4 + 1) / (0 + 1))
    assert row["f2_ask_pull_add_log_rest"] == 0.0


def test_radar_derivatives_restart_at_a_reset_and_the_approach_goes_on():
    stream = [*START]
    for second, qty in enumerate((1, 4, 9, 30)):
        order_id, t_ms = 10 + second, 1000 * second + 10
        stream.append(rec(t_ms, "A", BID, order_id, BID_PRICE, qty))
        stream.append(rec(t_ms + 1, "T", BID, 90, ASK_PRICE + second * TICK, 1))
    stream.append(rec(4010, "R", "N", 0, UNDEF_PRICE, 0, 0))
    stream.append(rec(4010, "A", BID, 50, BID_PRICE, 5))
    stream.append(rec(5010, "A", BID, 51, BID_PRICE, 20))
    rows = Result(stream).radar
    column = "f4_bid_pull_add_log_rest"
    x = [-math.log(1 + added) for added in (1, 4, 9, 30, 5, 20)]
    assert [row[column] for row in rows] == pytest.approx(x, rel=1e-15)
    d1 = [0, x[1] - x[0], x[2] - x[1], x[3] - x[2], 0, x[5] - x[4]]
    d2 = [0, d1[1], d1[2] - d1[1], d1[3] - d1[2], 0, d1[5]]
    d3 = [0, d2[1], d2[2] - d2[1], d2[3] - d2[2], 0, d2[5]]
    for name, wanted in (("d1_", d1), ("d2_", d2), ("d3_", d3)):
        assert [row[name + column] for row in rows] == pytest.approx(wanted, rel=1e-13)
    assert [row["approach_dir"] for row in rows] == ["approach_none"] * 3 + ["approach_up"] * 3


def test_approach_compares_with_the_spot_three_rows_ago():
    prices = (0, 1, 0, 0, 0, -1, -1)
    stream = [rec(1000 * k, "T", BID, 9, CENTRE + p * TICK, 1) for k, p in enumerate(prices)]
    rows = Result(stream).radar
    assert [row["approach_dir"].removeprefix("approach_") for row in rows] == [
        "none",
        "none",
        "none",
        "none",
        "down",
        "down",
        "down",
    ]


def test_wall_rows_reach_600_ticks_and_are_ordered_asks_first():
    far = [
        rec(10 + k, "A", side, 10 + k, CENTRE + sign * ticks * TICK, 1)
        for k, (side, sign, ticks) in enumerate(
            [(ASK, 1, 600), (ASK, 1, 601), (BID, -1, 600), (BID, -1, 601), (ASK, 1, 3)]
        )
    ]
    result = Result([*START, rec(1, "T", BID, 90, CENTRE, 1), *far])
    assert [(row["side"], row["rel_ticks"]) for row in result.wall] == [
        (ASK, 1),
        (ASK, 3),
        (ASK, 600),
        (BID, -600),
        (BID, 0),
    ]


def test_foreign_instruments_mean_nothing():
    foreign = [record._replace(instrument_id=4) for record in [*snapshot(*AGAIN, t_ms=50), quiet(9_000)]]
    alone, mixed = Result([*START, quiet(100)]), Result([*START, *foreign, quiet(100), *foreign])
    assert mixed.books == alone.books
    assert mixed.faults() == {"foreign_records": 2 * len(foreign)}


def test_an_engine_that_saw_nothing_has_nothing_to_say():
    engine = BookEngine(1)
    windows = engine.finish()
    assert windows.book_snapshot_1s.num_rows == windows.wall_surface_1s.num_rows == 0
    assert (engine.depth(), engine.order_count(), engine.book_complete) == ({"A": {}, "B": {}}, 0, False)
    assert set(engine.counters().values()) == {0}
