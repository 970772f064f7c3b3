"""The plain book against hand-made examples of spec 4.3, 4.5, 4.6, 4.7 and against the real hour (15)."""

from __future__ import annotations

import io
from pathlib import Path

import databento_dbn as dbn
import numpy as np
import pytest
import zstandard

from data_eng.integrity.plain_book import Level, PlainBook, PlainWindow, Record
from data_eng.mbo import MBO_DTYPE

TICK = 250_000_000
SECOND = 10**9
T0 = 1_767_708_000 * SECOND
P, Q = 4800 * SECOND, 4800 * SECOND + TICK
SNAPSHOT, LAST, BAD = int(dbn.F_SNAPSHOT), int(dbn.F_LAST), int(dbn.F_MAYBE_BAD_BOOK)
UNDEF = int(dbn.UNDEF_PRICE)


def rec(
    action: str,
    oid: int = 1,
    qty: int = 0,
    at: float = 1.0,
    *,
    side: str = "B",
    price: int = P,
    flags: int = 0,
    recv: float | None = None,
) -> Record:
    """A record at T0 + `at` seconds; its ts_recv is the same unless given."""
    ts = T0 + int(at * SECOND)
    return Record(ts, ts if recv is None else T0 + int(recv * SECOND), action, side, oid, price, qty, flags)


def last(record: Record) -> Record:
    return record._replace(flags=record.flags | LAST)


def snap(
    oid: int, qty: int, *, recv: float = 0.0, at: float = -3600, price: int = P, flags: int = 0
) -> Record:
    return rec("A", oid, qty, at, price=price, flags=SNAPSHOT | flags, recv=recv)


def windows(*records: Record) -> list[PlainWindow]:
    book = PlainBook(TICK)
    return [*book.feed(records), *book.finish()]


def level(window: PlainWindow, side: str = "B", price: int = P) -> Level:
    return window.levels[side, price]


def flows(*records: Record, side: str = "B", price: int = P) -> tuple[int, int, int, int]:
    """(add, pull, fill, depth at the end) of the last window, after a snapshot with order 1: 10 bids at P."""
    deep = snap(99, 1, price=P - 20 * TICK)  # so that the book always has a bid, hence a spot
    row = level(windows(deep, snap(1, 10, flags=LAST), *records)[-1], side, price)
    assert row.depth_qty_end == row.depth_qty_start + row.add_qty - row.pull_qty_total - row.fill_qty
    return row.add_qty, row.pull_qty_total, row.fill_qty, row.depth_qty_end


# -- 4.6, the fill rule ------------------------------------------------------------------------------


def test_cancel_without_fill_is_a_pull() -> None:
    assert flows(rec("C", 1, 4, flags=LAST)) == (0, 4, 0, 6)


def test_cancel_after_its_fill_is_the_fill() -> None:
    assert flows(rec("T", 9, 10), rec("F", 1, 10), rec("C", 1, 10, flags=LAST)) == (0, 0, 10, 0)


def test_cancel_larger_than_the_fill_splits() -> None:
    assert flows(rec("T", 9, 3), rec("F", 1, 3), rec("C", 1, 5, flags=LAST)) == (0, 2, 3, 5)


def test_fill_larger_than_the_cancel_shows_hidden_lots() -> None:
    assert flows(rec("T", 9, 14), rec("F", 1, 14), rec("C", 1, 10, flags=LAST)) == (4, 0, 14, 0)


def test_modify_at_its_price_after_a_fill_is_the_fill() -> None:
    assert flows(rec("T", 9, 4), rec("F", 1, 4), rec("M", 1, 6, flags=LAST)) == (0, 0, 4, 6)


def test_modify_at_its_price_that_refills_is_fill_and_add() -> None:
    assert flows(rec("T", 9, 4), rec("F", 1, 4), rec("M", 1, 10, flags=LAST)) == (4, 0, 4, 10)


def test_modify_at_its_price_that_shrinks_more_is_fill_and_pull() -> None:
    assert flows(rec("T", 9, 4), rec("F", 1, 4), rec("M", 1, 5, flags=LAST)) == (0, 1, 4, 5)


def test_growth_without_fill_is_an_add() -> None:
    assert flows(rec("M", 1, 13, flags=LAST)) == (3, 0, 0, 13)


def test_reprice_is_a_pull_and_an_add() -> None:
    move = rec("M", 1, 7, price=P - TICK, flags=LAST)
    assert flows(move) == (0, 10, 0, 0)
    assert flows(move, price=P - TICK) == (7, 0, 0, 7)


def test_reprice_after_a_fill_pulls_only_the_rest() -> None:
    event = (rec("T", 9, 4), rec("F", 1, 4), rec("M", 1, 6, price=P - TICK, flags=LAST))
    assert flows(*event) == (0, 6, 4, 0)


def test_reprice_after_a_fill_beyond_its_size_shows_hidden_lots() -> None:
    event = (rec("T", 9, 13), rec("F", 1, 13), rec("M", 1, 6, price=P - TICK, flags=LAST))
    assert flows(*event) == (3, 0, 13, 0)
    assert flows(*event, price=P - TICK) == (6, 0, 0, 6)


def test_fills_of_one_event_add_up_and_are_consumed_once() -> None:
    event = (rec("T", 9, 6), rec("F", 1, 2), rec("F", 1, 4), rec("M", 1, 4), rec("C", 1, 1, flags=LAST))
    assert flows(*event) == (0, 1, 6, 3)


def test_fills_do_not_outlive_their_event() -> None:
    assert flows(rec("F", 1, 4, flags=LAST), rec("C", 1, 4, flags=LAST)) == (0, 4, 0, 6)


def test_fill_of_the_aggressor_itself_is_ignored() -> None:
    assert flows(rec("T", 1, 4), rec("F", 1, 4), rec("C", 1, 10, flags=LAST)) == (0, 10, 0, 0)


def test_aggressor_is_the_one_of_the_last_trade() -> None:
    event = (rec("T", 1, 4), rec("T", 9, 4), rec("F", 1, 4), rec("C", 1, 10, flags=LAST))
    assert flows(*event) == (0, 6, 4, 0)


def test_fill_before_any_trade_of_the_event_counts() -> None:
    assert flows(rec("F", 1, 4), rec("T", 1, 4), rec("C", 1, 4, flags=LAST)) == (0, 0, 4, 6)


# -- 4.5, 4.12, actions and their oddities -----------------------------------------------------------


def test_trade_and_fill_alone_change_no_depth() -> None:
    assert flows(rec("T", 9, 4), rec("F", 1, 4, flags=LAST)) == (0, 0, 0, 10)


def test_duplicate_add_is_a_pull_and_an_add() -> None:
    assert flows(rec("A", 1, 3, flags=LAST)) == (3, 10, 0, 3)


def test_modify_of_an_unknown_id_is_an_add() -> None:
    assert flows(rec("M", 2, 3, flags=LAST)) == (3, 0, 0, 13)


def test_cancel_is_clamped_to_the_order() -> None:
    assert flows(rec("C", 1, 99, flags=LAST)) == (0, 10, 0, 0)


def test_modify_keeps_the_side_of_the_order() -> None:
    assert flows(rec("M", 1, 12, side="A", flags=LAST)) == (2, 0, 0, 12)


@pytest.mark.parametrize(
    "odd",
    [
        rec("A", 2, 5, price=UNDEF),
        rec("A", 2, 5, price=P + 1),
        rec("A", 2, 2**32 - 1),
        rec("A", 2, 5, side="N"),
        rec("M", 2, 5, side="N"),
        rec("M", 1, 5, price=UNDEF),
        rec("C", 1, 2**32 - 1),
        rec("C", 77, 5),
        rec("N", 1, 5),
        rec("Z", 1, 5),
    ],
    ids=lambda r: f"{r.action} id {r.order_id} side {r.side} size {r.size} price {r.price}",
)
def test_what_makes_no_sense_is_not_applied(odd: Record) -> None:
    assert flows(last(odd)) == (0, 0, 0, 10)


def test_pull_rests_from_half_a_second_on() -> None:
    (window,) = windows(
        snap(1, 10, flags=LAST),
        rec("A", 2, 5, 1.1, flags=LAST),
        rec("A", 3, 7, 1.1, flags=LAST),
        rec("C", 2, 5, 1.599_999_999, flags=LAST),
        rec("C", 3, 7, 1.6, flags=LAST),
    )
    assert (level(window).pull_qty_total, level(window).pull_qty_rest) == (12, 7)


def test_depth_rests_by_the_time_at_its_price() -> None:
    (window,) = windows(
        snap(1, 10, flags=LAST),
        rec("A", 2, 5, 1.5, flags=LAST),
        rec("A", 3, 7, 1.500_000_001, flags=LAST),
        rec("M", 1, 4, 1.9, flags=LAST),  # same price: keeps its time
    )
    assert (level(window).depth_qty_end, level(window).depth_qty_rest) == (16, 9)


def test_reprice_starts_the_age_anew() -> None:
    (window,) = windows(snap(1, 10, flags=LAST), rec("M", 1, 10, 1.9, price=P - TICK, flags=LAST))
    assert level(window, price=P - TICK).depth_qty_rest == 0


# -- 4.3, the snapshot state machine -----------------------------------------------------------------


def test_marked_and_unmarked_snapshot_give_the_same_book() -> None:
    marked = windows(
        rec("R", 0, side="N", price=UNDEF, flags=SNAPSHOT, recv=0), snap(1, 10, flags=LAST), rec("N")
    )
    unmarked = windows(snap(1, 10), rec("N"))
    assert marked == unmarked
    assert marked[0].book_valid
    assert level(marked[0]) == Level(10, 10, 0, 0, 10, 0, 0)


def test_snapshot_sent_twice_does_not_double() -> None:
    twice = windows(snap(1, 10, flags=LAST), snap(1, 10, flags=LAST), rec("N"))
    other_recv = windows(snap(1, 10), snap(1, 10, recv=0.5), rec("N"))
    assert level(twice[0]).depth_qty_end == level(other_recv[0]).depth_qty_end == 10


def test_initial_snapshot_opens_no_window_and_is_no_reset() -> None:
    (window,) = windows(snap(1, 10, recv=1.2, flags=LAST), rec("N", at=1.5))
    assert not window.has_reset
    assert window.window_end_ts_ns == T0 + 2 * SECOND


def test_snapshot_inside_a_session_takes_effect_at_its_ts_recv() -> None:
    first, second, third = windows(
        snap(1, 10, flags=LAST),
        rec("A", 2, 5, 1.1, flags=LAST),
        snap(3, 8, recv=2.5, flags=LAST),
        rec("A", 4, 1, 2.7, flags=LAST),
        rec("N", at=3.1),
    )
    assert (level(first).depth_qty_end, first.has_reset) == (15, False)
    assert (level(second).depth_qty_start, level(second).depth_qty_end, second.has_reset) == (15, 9, True)
    assert level(second).add_qty == 1
    assert (level(third).depth_qty_start, third.has_reset) == (9, False)


def test_flow_before_a_reset_in_its_window_is_dropped() -> None:
    window = windows(
        snap(1, 10, flags=LAST), rec("A", 2, 5, 1.1, flags=LAST), snap(1, 10, recv=1.2, flags=LAST)
    )[-1]
    assert level(window) == Level(10, 10, 0, 0, 10, 0, 0)
    assert window.event_count == 1


def test_unmarked_snapshot_leaves_windows_invalid_until_the_next_plain_record() -> None:
    found = windows(snap(1, 10), rec("N", at=1.1), snap(1, 10, recv=2.5), rec("N", at=4.1))
    assert [w.book_valid for w in found] == [True, False, False, True]


def test_trade_fill_cancel_and_modify_inside_a_snapshot_have_no_effect() -> None:
    odd = [rec(a, 1, 5, -1, flags=SNAPSHOT, recv=0) for a in "TFCM"]
    (window,) = windows(snap(1, 10), *odd, rec("N"))
    assert level(window).depth_qty_end == 10
    assert window.last_trade_price_int == 0


def test_clear_empties_the_book_and_completes_it_at_the_event_end() -> None:
    one, two = windows(
        snap(1, 10, flags=LAST),
        rec("A", 2, 4, 1.1, flags=LAST),
        rec("R", 0, at=1.2, side="N", price=UNDEF),
        rec("A", 3, 6, 1.3),
        rec("N", at=2.1, flags=LAST),
    )
    assert (one.book_valid, one.has_reset) == (False, True)
    assert two.book_valid
    assert level(two).depth_qty_end == 6
    assert level(two).depth_qty_start == 6


def test_clear_with_its_own_last_flag_completes_at_once() -> None:
    (window,) = windows(snap(1, 10, flags=LAST), rec("R", 0, side="N", price=UNDEF, flags=LAST))
    assert (window.book_valid, window.best_bid_qty) == (True, 0)


def test_bad_book_flag_holds_until_the_next_snapshot() -> None:
    found = windows(
        snap(1, 10, flags=LAST),
        rec("N", at=1.1, flags=LAST | BAD),
        rec("N", at=2.1, flags=LAST),
        snap(1, 10, recv=3.1, flags=LAST),
        rec("N", at=4.1, flags=LAST),
    )
    assert [w.book_valid for w in found] == [False, False, True, True]


def test_bad_book_flag_inside_a_snapshot_leaves_it_incomplete() -> None:
    (window,) = windows(snap(1, 10, flags=BAD), snap(2, 5, flags=LAST), rec("N", flags=LAST))
    assert not window.book_valid


# -- 4.4, 4.7, 4.9, events, clock, spot --------------------------------------------------------------


def test_every_second_is_emitted_and_a_boundary_record_is_of_the_later_window() -> None:
    found = windows(snap(1, 10, flags=LAST), rec("N", at=1.0, flags=LAST), rec("N", at=4.0, flags=LAST))
    assert [w.window_end_ts_ns - T0 for w in found] == [2 * SECOND, 3 * SECOND, 4 * SECOND, 5 * SECOND]
    assert [w.event_count for w in found] == [1, 0, 0, 1]


def test_late_record_counts_in_the_current_window() -> None:
    one, two = windows(
        snap(1, 10, flags=LAST),
        rec("N", at=1.1, flags=LAST),
        rec("N", at=2.1),
        rec("A", 2, 5, 1.2, flags=LAST),
    )
    assert level(one).depth_qty_end == 10
    assert (level(two).add_qty, level(two).depth_qty_rest) == (5, 15)


def test_record_far_ahead_of_its_receive_time_never_moves_the_clock() -> None:
    found = windows(
        snap(1, 10, flags=LAST), rec("N", at=1.1, flags=LAST), rec("A", 2, 5, 9e6, recv=1.2, flags=LAST)
    )
    assert len(found) == 1
    assert level(found[0]).add_qty == 5


def test_late_record_before_any_window_counts_in_the_first_one() -> None:
    (window,) = windows(
        snap(1, 10, flags=LAST), rec("A", 2, 5, -90_000, recv=0.5, flags=LAST), rec("N", at=1.1, flags=LAST)
    )
    assert level(window) == Level(10, 15, 5, 0, 15, 0, 0)


def test_crossing_is_judged_at_event_ends_only() -> None:
    ask = rec("A", 5, 1, 1.2, side="A", price=P)
    (passing,) = windows(snap(1, 10, flags=LAST), ask, rec("C", 5, 1, 1.2, side="A", flags=LAST))
    (staying,) = windows(snap(1, 10, flags=LAST), last(ask))
    assert (passing.crossed_event_count, passing.book_valid) == (0, True)
    assert (staying.crossed_event_count, staying.book_valid) == (1, False)


def test_event_left_open_is_closed_by_the_next_window() -> None:
    one, two = windows(snap(1, 10, flags=LAST), rec("N", at=1.1), rec("N", at=2.1))
    assert (one.event_count, two.event_count) == (1, 1)


def test_spot_is_the_last_trade_else_the_best_bid_of_a_valid_book() -> None:
    book = (snap(1, 10, flags=LAST), rec("N", at=1.1, flags=LAST))
    trade = rec("T", 9, 2, 2.1, side="A", price=Q, flags=LAST)
    odd = rec("T", 9, 3, 3.1, side="N", price=UNDEF, flags=LAST)
    found = windows(*book, trade, odd)
    assert [w.spot_ref_price_int for w in found] == [P, Q, Q]
    assert [(w.buy_qty, w.sell_qty, w.trade_count) for w in found] == [(0, 0, 0), (0, 2, 1), (0, 0, 1)]


def test_levels_beyond_600_ticks_of_spot_have_no_row() -> None:
    far = [rec("A", 10 + n, 1, 1.1, side="A", price=P + n * TICK, flags=LAST) for n in (600, 601)]
    (window,) = windows(snap(1, 10, flags=LAST), *far)
    assert [price for side, price in window.levels if side == "A"] == [P + 600 * TICK]


def test_wanted_windows_equal_those_of_the_full_pass() -> None:
    stream = [snap(1, 10, flags=LAST)] + [rec("A", 5 + i, 1, 1.0 + i * 0.3, flags=LAST) for i in range(30)]
    book = PlainBook(TICK, {T0 + 4 * SECOND, T0 + 9 * SECOND})
    some = [*book.feed(stream), *book.finish()]
    assert some == [w for w in windows(*stream) if w.window_end_ts_ns in (T0 + 4 * SECOND, T0 + 9 * SECOND)]


# -- the real hour -----------------------------------------------------------------------------------


def real_records(path: Path) -> list[Record]:
    """Records of a DBN v1 file by its layout: 8 bytes, header of the length named there, 56 bytes each."""
    data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(path.read_bytes())).read()
    table = np.frombuffer(data, MBO_DTYPE, offset=8 + int.from_bytes(data[4:8], "little"))
    names = ("ts_event", "ts_recv", "action", "side", "order_id", "price", "size", "flags")
    columns = [
        [chr(code) for code in table[name]] if name in ("action", "side") else table[name].tolist()
        for name in names
    ]
    return list(map(Record, *columns))


def test_plain_book_reproduces_the_reference_numbers_of_the_real_hour(real_esh4: Path) -> None:
    book = PlainBook(TICK, wanted=())
    totals = dict.fromkeys(("add", "pull", "pull_rest", "fill"), 0)
    events = trades = seconds = 0
    close = book._close_window

    def counted_close() -> None:
        nonlocal events, trades, seconds
        for flow in book._flows.values():
            for name in totals:
                totals[name] += getattr(flow, name)
        events += book._tallies.events
        trades += book._tallies.trades
        seconds += 1
        close()

    book._close_window = counted_close  # type: ignore[method-assign]  # a tap for whole-run sums
    for record in real_records(real_esh4):
        book.apply(record)
    depth = dict(book.depth)
    live = len(book.orders)
    book.finish()
    assert totals == {"add": 87_627, "pull": 73_849, "pull_rest": 60_821, "fill": 9_922}
    assert (seconds, events, trades, live) == (7_200, 47_022, 2_973, 11_217)
    assert max(p for s, p in depth if s == "B") == 4810 * SECOND
    assert min(p for s, p in depth if s == "A") == 4810 * SECOND + TICK
    assert [sum(q for (s, _), q in depth.items() if s == side) for side in "BA"] == [22_050, 20_110]
