"""The slow twin of the book engine holds the numbers and laws of the specification (spec 4, 5, 13, 14, 15).

Three parts: small streams worked out by hand, laws over generated streams, and the real hour.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.naive.book import COUNTERS, SNAPSHOT_COLUMNS, TRADE_COLUMNS, WALL_COLUMNS, NaiveBook
from tests.naive.radar import F1_NAMES, F2_NAMES, RADAR_COLUMNS
from tests.naive.records import (
    ASK,
    BID,
    F_LAST,
    F_MAYBE_BAD_BOOK,
    F_SNAPSHOT,
    MAX_SIZE,
    UNDEF_PRICE,
    Order,
    Rec,
)
from tests.naive.reference_stream import read_mbo_file, to_recs
from tests.strategies import (
    BASE_NS,
    CALM_MOVES,
    CENTRE,
    EVENT_END,
    FOREIGN_ID,
    INSTRUMENT_ID,
    LAYOUTS,
    RECV_DELAY_NS,
    SECOND,
    SNAPSHOT,
    SNAPSHOT_TS_EVENT_NS,
    TICK,
    TIDY_MOVES,
    any_streams,
    chunks,
    cuts,
    pauses,
    snapshot_records,
    statuses,
    tidy_streams,
    to_records,
    wild_streams,
    with_foreign_records,
)

TABLES = ("snapshots", "wall", "radar", "trades")
MS = 1_000_000


def replay(recs: Iterable[Rec], **options: Any) -> NaiveBook:
    book = NaiveBook(INSTRUMENT_ID, **options)
    book.apply(recs)
    book.finish()
    return book


def tables(book: NaiveBook) -> dict[str, list[dict[str, Any]]]:
    return {name: getattr(book, name) for name in TABLES}


def counted(book: NaiveBook, *leave_out: str) -> dict[str, int]:
    """Counters that are not 0, without those of the stream's size."""
    left = {"records", "snapshot_records", "snapshots", "events", *leave_out}
    return {name: count for name, count in book.counters.items() if count and name not in left}


def level(book: NaiveBook, side: str, price: int, window: int = 0) -> dict[str, Any]:
    """The wall row of (side, price) in the window-th window."""
    end = book.snapshots[window]["window_end_ts_ns"]
    rows = [r for r in book.wall if (r["window_end_ts_ns"], r["side"], r["price_int"]) == (end, side, price)]
    assert len(rows) == 1, f"{len(rows)} wall rows of {side} {price} in window {window}, wanted one"
    return rows[0]


# ---- small streams worked out by hand --------------------------------------------------------------------

BID_PRICE, ASK_PRICE = CENTRE, CENTRE + TICK


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
    """A record t_ms after BASE_NS."""
    ts = BASE_NS + round(t_ms * MS)
    record = Rec(ts, ts + RECV_DELAY_NS, order_id, price, size, flags, action, side, INSTRUMENT_ID, 0)
    return record._replace(**fields)


def snapshot(*orders: tuple[int, str, int, int], layout: str = "modern", t_ms: float = -3000) -> list[Rec]:
    """Snapshot of (order_id, side, price, qty)."""
    rows = [(*order, SNAPSHOT_TS_EVENT_NS) for order in orders]
    return snapshot_records(rows, layout, ts_recv=BASE_NS + round(t_ms * MS))


START = snapshot((1, BID, BID_PRICE, 10), (2, ASK, ASK_PRICE, 7))
FLOWS = ("depth_qty_start", "add_qty", "pull_qty_total", "pull_qty_rest", "fill_qty", "depth_qty_end")


def fill_event(action: str, price: int, size: int, *, filled: int, t_ms: float = 100) -> list[Rec]:
    """Order 2, ask 7 at ASK_PRICE, is filled and completed by `action`."""
    return [
        rec(t_ms, "T", BID, 90, ASK_PRICE, filled, 0),
        rec(t_ms, "F", ASK, 2, ASK_PRICE, filled, 0),
        rec(t_ms, action, ASK, 2, price, size),
    ]


@pytest.mark.parametrize(
    ("action", "price", "size", "filled", "at_old_price"),
    [
        pytest.param("C", ASK_PRICE, 7, 7, (7, 0, 0, 0, 7, 0), id="cancel-completes-a-fill"),
        pytest.param("C", ASK_PRICE, 7, 9, (7, 2, 0, 0, 9, 0), id="cancel-shows-hidden-lots"),
        pytest.param("C", ASK_PRICE, 7, 3, (7, 0, 4, 4, 3, 0), id="cancel-splits"),
        pytest.param("C", ASK_PRICE, 99, 3, (7, 0, 4, 4, 3, 0), id="cancel-is-clamped"),
        pytest.param("M", ASK_PRICE, 4, 3, (7, 0, 0, 0, 3, 4), id="modify-shows-the-remainder"),
        pytest.param("M", ASK_PRICE, 7, 7, (7, 7, 0, 0, 7, 7), id="iceberg-refresh"),
        pytest.param("M", ASK_PRICE, 2, 13, (7, 8, 0, 0, 13, 2), id="iceberg-eaten-beyond-display"),
        pytest.param("M", ASK_PRICE, 1, 3, (7, 0, 3, 3, 3, 1), id="modify-pulls-beyond-the-fill"),
        pytest.param("M", ASK_PRICE + TICK, 4, 3, (7, 0, 4, 4, 3, 0), id="reprice-pulls-the-rest"),
        pytest.param("M", ASK_PRICE + TICK, 4, 9, (7, 2, 0, 0, 9, 0), id="reprice-shows-hidden-lots"),
    ],
)
def test_fill_rule_splits_each_closing_record(
    action: str, price: int, size: int, filled: int, at_old_price: tuple[int, ...]
) -> None:
    book = replay(START + fill_event(action, price, size, filled=filled))
    assert tuple(level(book, ASK, ASK_PRICE)[name] for name in FLOWS) == at_old_price
    if price != ASK_PRICE:
        assert tuple(level(book, ASK, price)[name] for name in FLOWS) == (0, 4, 0, 0, 0, 4)
    assert book.counters["identity_violations"] == 0
    hidden = at_old_price[1]
    assert book.counters["hidden_qty_cancel" if action == "C" else "hidden_qty_modify"] == hidden


def test_fill_of_the_aggressors_own_order_is_not_a_fill_at_that_price() -> None:
    stream = [
        *START,
        rec(100, "T", BID, 1, ASK_PRICE, 7, 0),
        rec(100, "F", BID, 1, ASK_PRICE, 7, 0),
        rec(100, "F", ASK, 2, ASK_PRICE, 7, 0),
        rec(100, "C", ASK, 2, ASK_PRICE, 7, 0),
        rec(100, "M", BID, 1, ASK_PRICE, 3),
    ]
    book = replay(stream)
    assert tuple(level(book, BID, BID_PRICE)[name] for name in FLOWS) == (10, 0, 10, 10, 0, 0)
    assert tuple(level(book, BID, ASK_PRICE)[name] for name in FLOWS) == (0, 3, 0, 0, 0, 3)
    assert counted(book) == {"aggressor_fills": 1, "aggressor_fill_qty": 7}
    assert [(t["resting_fill_count"], t["resting_fill_qty"]) for t in book.trades] == [(1, 7)]


def test_an_order_rests_from_half_a_second_at_its_price() -> None:
    def pulled(age_ns: int) -> int:
        add = rec(10, "A", ASK, 3, ASK_PRICE, 5)
        cancel = rec(10, "C", ASK, 3, ASK_PRICE, 5)
        later = {"ts_event": add.ts_event + age_ns, "ts_recv": add.ts_recv + age_ns}
        return level(replay([*START, add, cancel._replace(**later)]), ASK, ASK_PRICE)["pull_qty_rest"]

    assert [pulled(499_999_999), pulled(500_000_000)] == [0, 5]


def test_resting_depth_at_the_end_counts_the_time_at_the_price_not_in_the_book() -> None:
    stream = [*START, rec(100, "M", ASK, 2, ASK_PRICE, 9), rec(501, "M", BID, 1, BID_PRICE - TICK, 10)]
    book = replay(stream)
    assert level(book, ASK, ASK_PRICE)["depth_qty_rest"] == 9  # same price: age goes on
    assert level(book, BID, BID_PRICE - TICK)["depth_qty_rest"] == 0  # 499 ms old at its new price


def test_an_order_of_exactly_half_a_second_rests_at_the_window_end() -> None:
    def resting(t_ms: float) -> int:
        return level(replay([*START, rec(t_ms, "A", BID, 3, BID_PRICE, 4)]), BID, BID_PRICE)["depth_qty_rest"]

    assert [resting(500), resting(500.000001)] == [14, 10]


def test_derivatives_extend_the_first_depth_backwards() -> None:
    stream = [*START, *(rec(1000 * n + 1, "A", BID, 10 + n, BID_PRICE, 1 + n * n) for n in range(4))]
    book = replay(stream)
    ends = [11, 13, 18, 28]
    assert [level(book, BID, BID_PRICE, n)["depth_qty_end"] for n in range(4)] == ends
    rows = [level(book, BID, BID_PRICE, n) for n in range(4)]
    assert [(r["d1_depth_qty"], r["d2_depth_qty"], r["d3_depth_qty"]) for r in rows] == [
        (0, 0, 0),
        (2, 2, 2),
        (5, 3, 1),
        (10, 5, 2),
    ]


def test_every_second_has_a_row_and_a_boundary_record_belongs_to_the_later_window() -> None:
    book = replay([*START, rec(0, "N", "N", 0, UNDEF_PRICE, 0), rec(4000, "A", BID, 3, BID_PRICE, 1)])
    assert [(row["window_end_ts_ns"] - BASE_NS) // SECOND for row in book.snapshots] == [1, 2, 3, 4, 5]
    assert [row["best_bid_qty"] for row in book.snapshots] == [10, 10, 10, 10, 11]
    assert [row["event_count"] for row in book.snapshots] == [1, 0, 0, 0, 1]


def test_three_silent_hours_have_a_row_per_second() -> None:
    silence_ms = 3 * 3_600_000
    book = replay([*START, rec(0, "T", BID, 9, ASK_PRICE, 1), rec(silence_ms, "A", BID, 3, BID_PRICE, 1)])
    ends = [row["window_end_ts_ns"] for row in book.snapshots]
    assert len(ends) == len(book.radar) == 3 * 3_600 + 1
    assert len(book.wall) == 2 * len(ends)
    assert {b - a for a, b in pairwise(ends)} == {SECOND}


def test_snapshot_time_does_not_move_the_clock_but_a_start_in_session_closes_what_ended_before_it() -> None:
    again = snapshot((1, BID, BID_PRICE, 4), (2, ASK, ASK_PRICE, 7), t_ms=2500)
    stream = [*START, rec(10, "A", BID, 3, BID_PRICE, 1), *again, rec(2600, "A", BID, 5, BID_PRICE, 1)]
    book = replay(stream)
    assert [row["best_bid_qty"] for row in book.snapshots] == [11, 11, 5]
    assert list(book.window_valid.values()) == [True, True, False]
    # depth at the start is the one before the reset, flow counts from it, the end has no history
    row = level(book, BID, BID_PRICE, 2)
    assert [row[name] for name in ("depth_qty_start", "add_qty", "depth_qty_end", "d1_depth_qty")] == [
        11,
        1,
        5,
        0,
    ]


def test_unmarked_snapshot_in_session_spoils_the_windows_closed_before_the_next_plain_record() -> None:
    def valid(layout: str) -> list[bool]:
        again = snapshot((1, BID, BID_PRICE, 4), (2, ASK, ASK_PRICE, 7), t_ms=500, layout=layout)
        stream = [*START, rec(10, "A", BID, 3, BID_PRICE, 1), *again, rec(2600, "A", BID, 5, BID_PRICE, 1)]
        return list(replay(stream).window_valid.values())

    assert valid("legacy") == [False, False, True]
    assert valid("legacy-168") == valid("modern") == [False, True, True]


def test_a_restamped_snapshot_without_marks_replaces_the_one_before_it() -> None:
    sunday = snapshot((1, BID, BID_PRICE, 10), (3, BID, BID_PRICE, 5), layout="legacy", t_ms=-9000)
    midnight = snapshot((1, BID, BID_PRICE, 10), (2, ASK, ASK_PRICE, 7), layout="legacy")
    book = replay([*sunday, *midnight, rec(10, "N", "N", 0, 0, 0)])
    assert book.snapshots[0]["best_bid_qty"] == 10
    assert book.counters["snapshots"] == 2
    assert counted(book) == {}


def test_clear_is_complete_from_the_next_event_end() -> None:
    stream = [
        *START,
        rec(10, "R", "N", 0, UNDEF_PRICE, 0, 0),
        rec(1010, "A", BID, 3, BID_PRICE, 5, 0),
        rec(1011, "A", ASK, 4, ASK_PRICE, 5),
        rec(2010, "N", "N", 0, UNDEF_PRICE, 0),
    ]
    book = replay(stream)
    assert [row["book_valid"] for row in book.snapshots] == [False, True, True]
    assert list(book.window_valid.values()) == [False, False, True]
    assert counted(book) == {"clears": 1, "unterminated_events": 1}


def test_maybe_bad_book_is_incomplete_until_the_next_snapshot_or_clear() -> None:
    bad = rec(10, "A", BID, 3, BID_PRICE, 1, EVENT_END | F_MAYBE_BAD_BOOK)
    cure = snapshot((1, BID, BID_PRICE, 10), (2, ASK, ASK_PRICE, 7), t_ms=2200)
    book = replay([*START, bad, rec(1500, "N", "N", 0, UNDEF_PRICE, 0), *cure, rec(3500, "N", "N", 0, 0, 0)])
    assert [row["book_valid"] for row in book.snapshots] == [False, False, True, True]
    assert list(book.window_valid.values()) == [False, False, False, True]


def test_phase_walks_through_a_pause() -> None:
    pause = [(BASE_NS + 2 * SECOND, BASE_NS + 5 * SECOND)]
    stream = [
        *START,
        rec(10, "N", "N", 0, 0, 0),
        rec(3500, "A", BID, 3, BID_PRICE, 1),
        rec(6500, "T", BID, 0, ASK_PRICE, 0),
        rec(7500, "N", "N", 0, 0, 0),
    ]
    phases = [row["phase"] for row in replay(stream, pauses=pause).snapshots]
    assert phases == ["open", "open", "closed", "pre_open", "pre_open", "pre_open", "open", "open"]
    untouched = replay([record for record in stream if record.order_id != 3], pauses=pause)
    assert [row["phase"] for row in untouched.snapshots] == [*phases[:3], "closed", "closed", *phases[5:]]


def test_a_trade_inside_the_pause_opens_until_the_pause_ends() -> None:
    pause = [(BASE_NS, BASE_NS + 3 * SECOND)]
    stream = [
        *START,
        rec(10, "T", BID, 90, ASK_PRICE, 1),  # closed stays closed
        rec(1010, "A", BID, 3, BID_PRICE, 1),
        rec(1020, "T", BID, 90, ASK_PRICE, 1),
        rec(3010, "N", "N", 0, 0, 0),
    ]
    book = replay(stream, pauses=pause)
    assert [row["phase"] for row in book.snapshots] == ["closed", "open", "open", "pre_open"]
    assert [row["phase"] for row in book.trades] == ["closed", "open"]


def test_status_messages_overrule_the_calendar_from_the_first_one_on() -> None:
    pause = [(BASE_NS, BASE_NS + 3 * SECOND)]
    stream = [*START, rec(10, "N", "N", 0, 0, 0), rec(4010, "T", BID, 90, ASK_PRICE, 1)]
    book = replay(stream, pauses=pause, status=[(BASE_NS + 1500 * MS, 3), (BASE_NS + 4 * SECOND, 1)])
    assert [row["phase"] for row in book.snapshots] == ["closed", "halt", "halt", "halt", "pre_open"]


def test_late_and_impossible_records_change_the_book_but_not_the_clock() -> None:
    ahead = rec(0, "A", BID, 5, BID_PRICE, 1)._replace(ts_event=BASE_NS + 2 * SECOND, ts_recv=BASE_NS)
    stream = [
        *START,
        ahead,
        rec(1500, "A", BID, 3, BID_PRICE, 1),
        rec(400, "A", BID, 4, BID_PRICE, 1),  # older than the open window
        ahead._replace(order_id=6),
        rec(1600, "N", "N", 0, 0, 0),
    ]
    book = replay(stream)
    assert counted(book) == {"late_records": 3}
    assert [(row["window_end_ts_ns"] - BASE_NS) // SECOND for row in book.snapshots] == [2]
    row = level(book, BID, BID_PRICE)
    assert [row[name] for name in ("depth_qty_start", "add_qty", "depth_qty_end")] == [10, 4, 14]


@pytest.mark.parametrize(
    ("record", "counter"),
    [
        (rec(10, "A", BID, 9, UNDEF_PRICE, 1), "undef_prices"),
        (rec(10, "M", BID, 1, UNDEF_PRICE, 1), "undef_prices"),
        (rec(10, "A", BID, 9, BID_PRICE + 1, 1), "off_tick_prices"),
        (rec(10, "A", BID, 9, BID_PRICE, MAX_SIZE + 1), "bad_sizes"),
        (rec(10, "C", BID, 1, BID_PRICE, 2**32 - 1), "bad_sizes"),
        (rec(10, "A", "N", 9, BID_PRICE, 1), "bad_sides"),
        (rec(10, "M", "N", 9, BID_PRICE, 1), "bad_sides"),
        (rec(10, "C", BID, 9, BID_PRICE, 1), "unknown_cancels"),
        (rec(10, "Z", BID, 1, BID_PRICE, 1), "unknown_actions"),
        (rec(10, "M", "N", 1, BID_PRICE, 10), "side_changes"),
    ],
)
def test_unusable_records_are_counted_and_leave_the_book_alone(record: Rec, counter: str) -> None:
    book = replay([*START, record])
    assert counted(book) == {counter: 1}
    assert book.snapshots[0]["best_bid_qty"] == 10
    assert book.snapshots[0]["event_count"] == 1


def test_duplicate_add_is_a_pull_and_an_add() -> None:
    book = replay([*START, rec(10, "A", BID, 1, BID_PRICE, 4)])
    assert tuple(level(book, BID, BID_PRICE)[name] for name in FLOWS) == (10, 4, 10, 10, 0, 4)
    assert counted(book) == {"duplicate_adds": 1}
    f4_add = book.radar[0]["f4_bid_pull_add_log_rest"]
    assert f4_add == math.log(1.0 / 1.0), "qm is the replaced quantity, so nothing was added nor pulled"


def test_radar_of_one_repriced_level_by_hand() -> None:
    """Spot is ASK_PRICE after the trade: ask distances count up from it, bid distances start at 1."""
    stream = [
        *START,
        rec(100, "T", BID, 90, ASK_PRICE, 2, 0),
        rec(100, "F", ASK, 2, ASK_PRICE, 2, 0),
        rec(100, "M", ASK, 2, ASK_PRICE, 5),
        rec(200, "M", ASK, 2, ASK_PRICE + 4 * TICK, 5),
        rec(300, "A", BID, 3, BID_PRICE, 3),
    ]
    row = replay(stream).radar[0]
    assert row["f1_ask_com_disp_log"] == pytest.approx(math.log((4 + 1) / (0 + 1)), rel=1e-15)
    assert row["f1_ask_slope_inner_log"] == pytest.approx(math.log((5 + 1) / (0 + 1)), rel=1e-15)
    assert row["f1_ask_at_share_delta"] == pytest.approx(-7 / 8, rel=1e-15)
    assert row["f1_ask_near_share_delta"] == pytest.approx(5 / 6, rel=1e-15)
    assert row["f1_ask_reprice_away_share_rest"] == pytest.approx(5 / 6, rel=1e-15)
    # the modify lost 2 lots to a fill, and the reprice inside the zone moves neither add nor pull
    assert row["f2_ask_pull_add_log_rest"] == 0.0
    assert row["f8_ask_bbo_dist_ticks"] == 4.0
    assert row["f9_bid_bbo_dist_ticks"] == 1.0
    assert row["u13_bid_add_intensity_log"] == pytest.approx(math.log(1 + 3 / 11), rel=1e-15)
    assert row["u14_bid_far_pull_share_rest"] == 1.0


def test_radar_toward_means_nearer_or_through_spot() -> None:
    def away_share(new_price: int) -> float:
        far = snapshot((1, BID, BID_PRICE, 10), (2, ASK, ASK_PRICE, 7), (3, ASK, ASK_PRICE + 6 * TICK, 4))
        stream = [*far, rec(10, "T", BID, 90, ASK_PRICE, 1), rec(20, "M", ASK, 3, new_price, 4)]
        return float(replay(stream).radar[0]["f1_ask_reprice_away_share_rest"])

    nearer, through, farther, out_of_zone = (ASK_PRICE + n * TICK for n in (5, -1, 7, 30))
    assert [away_share(p) for p in (nearer, ASK_PRICE, through, farther, out_of_zone)] == [0, 0, 0, 0.8, 0.8]


def test_radar_derivatives_restart_at_a_reset_and_the_approach_does_not() -> None:
    stream = [*START]
    for second, qty in enumerate((1, 4, 9, 30)):
        order_id, t_ms = 10 + second, 1000 * second + 10
        stream.append(rec(t_ms, "A", BID, order_id, BID_PRICE, qty))
        stream.append(rec(t_ms + 1, "T", BID, 90, ASK_PRICE + second * TICK, 1))
    stream.append(rec(4010, "R", "N", 0, UNDEF_PRICE, 0, 0))
    stream.append(rec(4010, "A", BID, 50, BID_PRICE, 5))
    stream.append(rec(5010, "A", BID, 51, BID_PRICE, 20))
    rows = replay(stream).radar
    column = "f4_bid_pull_add_log_rest"
    values = [row[column] for row in rows]
    assert values == pytest.approx([-math.log(1 + added) for added in (1, 4, 9, 30, 5, 20)], rel=1e-15)

    first = [values[k] - values[k - 1] for k in (1, 2, 3)]
    wanted_1 = [0, *first, 0, values[5] - values[4]]
    wanted_2 = [0, first[0], first[1] - first[0], first[2] - first[1], 0, wanted_1[5]]
    wanted_3 = [0, first[0], wanted_2[2] - wanted_2[1], wanted_2[3] - wanted_2[2], 0, wanted_1[5]]
    assert [row[f"d1_{column}"] for row in rows] == wanted_1
    assert [row[f"d2_{column}"] for row in rows] == wanted_2
    assert [row[f"d3_{column}"] for row in rows] == wanted_3
    assert [row["approach_dir"] for row in rows] == ["approach_none"] * 3 + ["approach_up"] * 3


# ---- laws over generated streams -------------------------------------------------------------------------


@given(any_streams(), pauses(), statuses())
def test_rows_have_their_columns_keys_and_identities(
    recs: list[Rec], pause: list[tuple[int, int]], status: list[tuple[int, int]]
) -> None:
    book = replay(recs, pauses=pause, status=status)
    wanted = (SNAPSHOT_COLUMNS, WALL_COLUMNS, RADAR_COLUMNS, TRADE_COLUMNS)
    for rows, columns in zip(tables(book).values(), wanted, strict=True):
        assert all(tuple(row) == columns for row in rows)
    assert tuple(book.counters) == COUNTERS
    assert book.counters["identity_violations"] == book.counters["negative_depths"] == 0

    ends = [row["window_end_ts_ns"] for row in book.snapshots]
    assert ends == list(range(ends[0], ends[-1] + 1, SECOND)) if ends else True
    assert all(end % SECOND == 0 for end in ends)
    keys = [(row["window_end_ts_ns"], row["side"], row["price_int"]) for row in book.wall]
    assert keys == sorted(set(keys))
    for row in book.wall:
        assert -600 <= row["rel_ticks"] <= 600
        assert row["rel_ticks"] * TICK == row["price_int"] - row["spot_ref_price_int"]
        assert 0 <= row["depth_qty_rest"] <= row["depth_qty_end"]
        assert 0 <= row["pull_qty_rest"] <= row["pull_qty_total"]
        flow = row["add_qty"] - row["pull_qty_total"] - row["fill_qty"]
        if row["window_valid"]:
            assert row["depth_qty_end"] == row["depth_qty_start"] + flow
    for row in book.radar:
        assert all(math.isfinite(value) for value in row.values() if isinstance(value, float))
    spots = [row["window_end_ts_ns"] for row in book.snapshots if row["spot_ref_price_int"] > 0]
    assert [row["window_end_ts_ns"] for row in book.radar] == spots


@given(st.data(), any_streams())
def test_any_cut_gives_the_same_tables_and_emitted_rows_are_never_rewritten(
    data: st.DataObject, recs: list[Rec]
) -> None:
    positions = data.draw(cuts(len(recs)))
    whole, book = replay(recs), NaiveBook(INSTRUMENT_ID)
    seen: list[str] = []
    for chunk in chunks(recs, positions):
        book.apply(chunk)
        seen += [repr(row) for row in book.snapshots[len(seen) :]]
    book.finish()
    assert tables(book) == tables(whole)
    assert book.counters == whole.counters
    assert seen == [repr(row) for row in whole.snapshots[: len(seen)]]


def _reached_by(record: Rec, end_ns: int) -> bool:
    return (record.ts_recv if record.flags & F_SNAPSHOT else record.ts_event) < end_ns


@given(tidy_streams(), st.integers(1, 20), pauses())
def test_the_future_changes_nothing_before_it(
    recs: list[Rec], seconds: int, pause: list[tuple[int, int]]
) -> None:
    end_ns = BASE_NS + seconds * SECOND
    past = NaiveBook(INSTRUMENT_ID, pauses=pause)
    past.apply(record for record in recs if _reached_by(record, end_ns))
    past.advance(end_ns)
    whole = replay(recs, pauses=pause)
    for name in ("snapshots", "wall", "radar"):
        rows = [row for row in getattr(whole, name) if row["window_end_ts_ns"] <= end_ns]
        known = [row for row in getattr(past, name) if row["window_end_ts_ns"] <= end_ns]
        # the stream may end before end_ns; idle windows that only `advance` emits are no contradiction
        assert known[: len(rows)] == rows


BOOK_COLUMNS = (
    "window_end_ts_ns",
    "best_bid_price_int",
    "best_bid_qty",
    "best_ask_price_int",
    "best_ask_qty",
    "mid_price",
    "mid_price_int",
    "book_valid",
    "event_count",
    "crossed_event_count",
)
DEPTH_COLUMNS = (
    "depth_qty_start",
    "depth_qty_end",
    "depth_qty_rest",
    "d1_depth_qty",
    "d2_depth_qty",
    "d3_depth_qty",
)


def books_of(book: NaiveBook) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in BOOK_COLUMNS) for row in book.snapshots]


def depths_of(book: NaiveBook) -> dict[tuple[int, str, int], tuple[int, ...]]:
    return {
        (row["window_end_ts_ns"], row["side"], row["price_int"]): tuple(row[name] for name in DEPTH_COLUMNS)
        for row in book.wall
    }


@given(tidy_streams(), pauses())
def test_removing_trades_and_fills_leaves_every_book_unchanged(
    recs: list[Rec], pause: list[tuple[int, int]]
) -> None:
    book = replay(recs, pauses=pause, radar=False)
    kept = (r for r in recs if r.action not in "TF" or r.flags & F_LAST)
    bare = replay(kept, pauses=pause, radar=False)
    assert books_of(bare) == books_of(book)
    with_fills, without = depths_of(book), depths_of(bare)
    assert all(with_fills[key] == without[key] for key in with_fills.keys() & without.keys())


def _split_initial_snapshot(recs: list[Rec]) -> tuple[list[Rec], list[Rec]]:
    places = [i for i, r in enumerate(recs) if not r.flags & F_SNAPSHOT or r.ts_recv > BASE_NS]
    cut = places[0] if places else len(recs)
    return recs[:cut], recs[cut:]


@given(tidy_streams(layout="legacy", foreign=False))
def test_snapshot_layouts_before_the_first_plain_record_give_the_same_tables(recs: list[Rec]) -> None:
    initial, rest = _split_initial_snapshot(recs)
    assume(initial)
    orders = [(r.order_id, r.side, r.price, r.size, r.ts_event) for r in initial]
    results = [
        replay(snapshot_records(orders, layout, ts_recv=initial[0].ts_recv) + rest) for layout in LAYOUTS
    ]
    assert tables(results[0]) == tables(results[1]) == tables(results[2])
    # The Sunday file's snapshot, then the same one re-stamped at midnight (spec 4.3).
    for first in LAYOUTS:
        earlier = snapshot_records(orders, first, ts_recv=initial[0].ts_recv - 36_000 * SECOND)
        assert tables(replay(earlier + recs)) == tables(results[0])


@given(tidy_streams(foreign=False))
def test_a_snapshot_repeated_right_after_itself_changes_nothing(recs: list[Rec]) -> None:
    doubled: list[Rec] = []
    block: list[Rec] = []
    for place, record in enumerate(recs):
        doubled.append(record)
        if not record.flags & F_SNAPSHOT:
            continue
        block.append(record)
        follows = recs[place + 1] if place + 1 < len(recs) else None
        if follows is None or not follows.flags & F_SNAPSHOT or record.flags & F_LAST:
            doubled += block
            block = []
    assert tables(replay(doubled)) == tables(replay(recs))


@given(st.data(), st.one_of(tidy_streams(foreign=False), wild_streams()))
def test_foreign_instruments_have_no_effect(data: st.DataObject, recs: list[Rec]) -> None:
    own = [record for record in recs if record.instrument_id == INSTRUMENT_ID]
    assume(own)
    mixed = data.draw(with_foreign_records(own))
    book, alone = replay(mixed), replay(own)
    assert tables(book) == tables(alone)
    assert book.counters["foreign_records"] == len(mixed) - len(own) > 0
    assert book.counters | {"foreign_records": 0} == alone.counters


def _priced(record: Rec) -> bool:
    return record.price != UNDEF_PRICE


@given(tidy_streams(), st.integers(-400, 400), pauses())
def test_shifting_all_prices_shifts_the_tables(
    recs: list[Rec], ticks: int, pause: list[tuple[int, int]]
) -> None:
    shift = ticks * TICK
    moved = replay((r._replace(price=r.price + shift) if _priced(r) else r for r in recs), pauses=pause)
    book = replay(recs, pauses=pause)

    def shifted(row: dict[str, Any]) -> dict[str, Any]:
        # the float prices follow from the integer ones; 0 means "none" and stays
        kept = {name: value for name, value in row.items() if name not in ("mid_price", "spot_ref_price")}
        return {
            name: value + shift if "price_int" in name and value != 0 else value
            for name, value in kept.items()
        }

    for name in TABLES:
        dropped = [
            {k: v for k, v in row.items() if k not in ("mid_price", "spot_ref_price")}
            for row in getattr(moved, name)
        ]
        assert dropped == [shifted(row) for row in getattr(book, name)]
    assert moved.counters == book.counters


@given(tidy_streams(), st.integers(2, 50))
def test_scaling_sizes_scales_depths_and_flows(recs: list[Rec], factor: int) -> None:
    book = replay(recs, radar=False)
    scaled = replay((record._replace(size=record.size * factor) for record in recs), radar=False)
    for row, big in zip(book.wall, scaled.wall, strict=True):
        assert big == {name: value * factor if "qty" in name else value for name, value in row.items()}


MIRROR = str.maketrans({ASK: BID, BID: ASK})


def _mirrored_wall(row: dict[str, Any]) -> dict[str, Any]:
    return row | {
        "side": row["side"].translate(MIRROR),
        "price_int": 2 * CENTRE - row["price_int"],
        "spot_ref_price_int": 2 * CENTRE - row["spot_ref_price_int"],
        "rel_ticks": -row["rel_ticks"],
    }


@given(tidy_streams(foreign=False), pauses())
def test_mirroring_prices_and_sides_mirrors_the_tables(recs: list[Rec], pause: list[tuple[int, int]]) -> None:
    trades = [record.ts_event for record in recs if record.action == "T"]
    assume(trades)
    mirrored = replay(
        (
            r._replace(price=2 * CENTRE - r.price if _priced(r) else r.price, side=r.side.translate(MIRROR))
            for r in recs
        ),
        pauses=pause,
    )
    book = replay(recs, pauses=pause)
    # the 4th window after the first trade: before a trade spot is the bid, and derivatives remember it
    from_end = trades[0] - trades[0] % SECOND + 4 * SECOND

    def late(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [row for row in rows if row["window_end_ts_ns"] >= from_end]

    wall = sorted(
        (_mirrored_wall(row) for row in late(mirrored.wall)),
        key=lambda row: (row["window_end_ts_ns"], row["side"], row["price_int"]),
    )
    assert wall == late(book.wall)

    for row, twin in zip(late(book.snapshots), late(mirrored.snapshots), strict=True):
        assert (row["best_bid_qty"], row["best_ask_qty"]) == (twin["best_ask_qty"], twin["best_bid_qty"])
        assert (row["buy_qty"], row["sell_qty"]) == (twin["sell_qty"], twin["buy_qty"])
        same = ("book_valid", "phase", "event_count", "crossed_event_count", "trade_count", "available_ts_ns")
        assert [row[name] for name in same] == [twin[name] for name in same]
    turned = {
        "approach_up": "approach_down",
        "approach_down": "approach_up",
        "approach_none": "approach_none",
    }
    pairs = [
        *((f"f1_ask_{name}", f"f3_bid_{name}") for name in F1_NAMES),
        *((f"f2_ask_{name}", f"f4_bid_{name}") for name in F2_NAMES),
        ("f8_ask_bbo_dist_ticks", "f9_bid_bbo_dist_ticks"),
    ]
    for row, twin in zip(late(book.radar), late(mirrored.radar), strict=True):
        assert turned[row["approach_dir"]] == twin["approach_dir"]
        for prefix in ("", "d1_", "d2_", "d3_"):
            for ask, bid in pairs:
                assert row[prefix + ask] == twin[prefix + bid]
                assert row[prefix + bid] == twin[prefix + ask]


@given(tidy_streams(foreign=False), st.integers(0, 30), st.integers(-30, 30), st.sampled_from([ASK, BID]))
def test_flash_adds_leave_the_book_unchanged(recs: list[Rec], place: int, ticks: int, side: str) -> None:
    ends = [i for i, r in enumerate(recs) if r.flags & F_LAST and not r.flags & F_SNAPSHOT]
    assume(ends)
    after = ends[place % len(ends)] + 1
    price = CENTRE + ticks * TICK
    add = recs[after - 1]._replace(order_id=7, price=price, size=5, flags=0, action="A", side=side)
    flashed = [*recs[:after], add, add._replace(action="C", flags=EVENT_END), *recs[after:]]
    book, busy = replay(recs, radar=False), replay(flashed, radar=False)
    event_columns = {"event_count", "crossed_event_count"}
    place_of = [i for i, name in enumerate(BOOK_COLUMNS) if name not in event_columns]
    assert [[row[i] for i in place_of] for row in books_of(busy)] == [
        [row[i] for i in place_of] for row in books_of(book)
    ]
    before, now = depths_of(book), depths_of(busy)
    assert all(now[key] == row for key, row in before.items())


@given(tidy_streams(moves=CALM_MOVES, layout="modern"))
def test_a_legal_market_gives_no_error_counter(recs: list[Rec]) -> None:
    book = replay(recs)
    legal = {
        "hidden_qty_cancel",
        "hidden_qty_modify",
        "aggressor_fills",
        "aggressor_fill_qty",
        "foreign_records",
        "crossed_open",  # the crossed interest of an auction
    }
    assert counted(book).keys() <= legal


@given(any_streams(), st.integers(0, 20), st.integers(1, 20))
def test_emission_limits_are_a_pure_filter(recs: list[Rec], first: int, count: int) -> None:
    start, end = BASE_NS + first * SECOND, BASE_NS + (first + count) * SECOND
    whole, part = replay(recs), replay(recs, emit_from_ns=start, emit_to_ns=end)
    for name in ("snapshots", "wall", "radar"):
        assert getattr(part, name) == [
            row for row in getattr(whole, name) if start < row["window_end_ts_ns"] <= end
        ]
    assert part.counters == whole.counters


@given(any_streams())
def test_records_survive_the_way_through_dbn_bytes(recs: list[Rec]) -> None:
    assert to_recs(np.frombuffer(to_records(recs).tobytes(), dtype=to_records(recs).dtype)) == recs


@given(st.lists(st.sampled_from([INSTRUMENT_ID, FOREIGN_ID]), max_size=3))
def test_a_stream_of_snapshots_and_foreign_records_opens_no_window(instruments: list[int]) -> None:
    recs = [*START, *(record._replace(instrument_id=i) for i in instruments for record in START)]
    book = replay(recs)
    assert tables(book) == {name: [] for name in TABLES}
    assert SNAPSHOT & F_SNAPSHOT, "the snapshot flag comes from the vendor package"


def test_tidy_moves_name_methods_that_exist() -> None:
    assert set(CALM_MOVES) == set(TIDY_MOVES) - {"snapshot", "clear"}


# ---- the real hour ---------------------------------------------------------------------------------------

REAL_INSTRUMENT_ID = 17077
one_worker = pytest.mark.xdist_group("real_hour")
"""these tests share one replay: with `--dist loadgroup` one worker makes it"""


def _utc_ns(hour: int, minute: int = 0) -> int:
    return round(datetime(2023, 12, 25, hour, minute, tzinfo=UTC).timestamp()) * SECOND


PAUSE_START_NS, AUCTION_NS, END_NS = _utc_ns(22), _utc_ns(23), _utc_ns(23, 59) + 60 * SECOND
# Christmas: closed since Friday's early close, and the pause up to Tuesday's session, merged.
REAL_PAUSES = [(_utc_ns(0) - 3 * 86_400 * SECOND, AUCTION_NS)]


class WatchedBook(NaiveBook):
    """The twin with a notebook: what the spec counts on the real file and the tables do not carry."""

    def __init__(self) -> None:
        super().__init__(REAL_INSTRUMENT_ID, pauses=REAL_PAUSES, wall="all")
        self.flow_sums: Counter[str] = Counter()
        self.completions: Counter[str] = Counter()
        self.mid_event: Counter[str] = Counter()
        self.first_trades: Counter[bool] = Counter()
        self.wall_counts: Counter[str] = Counter()
        self.near_rest: Counter[int] = Counter()
        self.near_depths: Counter[int] = Counter()
        self.all_depths: Counter[int] = Counter()
        self.books: dict[int, dict[str, Any]] = {}
        self.first_start: dict[str, dict[int, int]] | None = None
        self.level_orders: Counter[tuple[str, int]] = Counter()

    def _plain_record(self, rec: Rec) -> None:
        super()._plain_record(rec)
        if rec.ts_event >= AUCTION_NS and not rec.flags & F_LAST and self.trade_idx > 1:
            self.mid_event["records"] += 1
            self.mid_event["crossed"] += self.is_crossed()

    def _cancel(self, rec: Rec) -> None:
        filled = self.filled.get(rec.order_id, 0)
        if filled and rec.order_id in self.orders:
            self.completions["cancels"] += 1
            self.completions["cancel_lots"] += min(filled, rec.size)
            self.completions["split_cancels"] += filled < rec.size
        super()._cancel(rec)

    def _modify(self, rec: Rec) -> None:
        filled = self.filled.get(rec.order_id, 0)
        self.completions["modifies"] += filled > 0
        self.completions["modify_lots"] += filled
        super()._modify(rec)

    def _trade(self, rec: Rec) -> None:
        if rec.side != "N" and not self.event_trades:
            self.first_trades[rec.price == (self.best_ask() if rec.side == BID else self.best_bid())] += 1
        super()._trade(rec)

    def _wall_prices(self, side: str, spot: int, end_depth: Any) -> list[int]:
        """Counts every row, and lets only those within 20 ticks be made: 3.7 million dicts take a minute."""
        prices = super()._wall_prices(side, spot, end_depth)
        self.wall_counts["rows"] += len(prices)
        self.all_depths.update(end_depth[side][price] for price in prices if price in end_depth[side])
        return [price for price in prices if abs(price - spot) <= 20 * TICK]

    def _wall_rows(self, spot: int, end_depth: Any, window_valid: bool) -> list[dict[str, Any]]:
        """The population of spec 6: rows of valid windows only."""
        if not window_valid:
            return []
        for row in super()._wall_rows(spot, end_depth, window_valid):
            self.wall_counts["near rows"] += 1
            self.wall_counts["identity broken"] += (
                row["depth_qty_end"]
                != row["depth_qty_start"] + row["add_qty"] - row["pull_qty_total"] - row["fill_qty"]
            )
            if row["depth_qty_end"] > 0:
                self.near_depths[row["depth_qty_end"]] += 1
                self.near_rest[row["depth_qty_rest"]] += 1
        return []

    def _close_window(self) -> None:
        for flow in self.flows.values():
            self.flow_sums.update(flow)
        if self.first_start is None:
            self.first_start = self.start_depth
        self.books[self.window_end] = self._book_picture()
        super()._close_window()

    def _put(self, order_id: int, after: Order | None) -> None:
        before = self.orders.get(order_id)
        super()._put(order_id, after)
        for order, change in ((before, -1), (after, 1)):
            if order is not None:
                self.level_orders[order.side, order.price] += change

    def _book_picture(self) -> dict[str, Any]:
        """Ten levels a side as (price, qty, orders), and totals, as the golden file has them."""
        bids = sorted(self.depth[BID], reverse=True)[:10]
        asks = sorted(self.depth[ASK])[:10]
        return {
            "bid": [(p, self.depth[BID][p], self.level_orders[BID, p]) for p in bids],
            "ask": [(p, self.depth[ASK][p], self.level_orders[ASK, p]) for p in asks],
            "n_orders": len(self.orders),
            "n_levels": (len(self.depth[BID]), len(self.depth[ASK])),
            "totals": (sum(self.depth[BID].values()), sum(self.depth[ASK].values())),
        }


@pytest.fixture(scope="module")
def real_recs(real_esh4: Path) -> list[Rec]:
    return read_mbo_file(real_esh4)


@pytest.fixture(scope="module")
def real_book(real_recs: list[Rec]) -> WatchedBook:
    book = WatchedBook()
    book.apply(real_recs)
    book.finish()
    return book


@one_worker
def test_real_counters_are_those_of_the_specification(real_book: WatchedBook) -> None:
    found = {name: count for name, count in real_book.counters.items() if count}
    assert found == {
        "records": 68_792,
        "snapshot_records": 8_725,
        "events": 47_022,
        "snapshots": 1,
        "unknown_fill_orders": 7,
        "unknown_fill_qty": 14,
        "crossed_pre_open": 891,
        "aggressor_fills": 107,
        "aggressor_fill_qty": 265,
        "hidden_qty_cancel": 26,
        "hidden_qty_modify": 477,
    }


@one_worker
def test_real_fill_completions(real_book: WatchedBook) -> None:
    assert real_book.completions == {
        "cancels": 5_234,
        "cancel_lots": 7_805,
        "split_cancels": 0,
        "modifies": 967,
        "modify_lots": 2_091,
    }


@one_worker
def test_real_flow_sums_over_all_prices(real_book: WatchedBook) -> None:
    """The numbers of spec 15 are sums over every level of the book, not only those within 600 ticks."""
    assert real_book.flow_sums == {"add": 87_627, "pull": 73_849, "pull_rest": 60_821, "fill": 9_922}


@one_worker
def test_real_book_at_start_and_end(real_book: WatchedBook) -> None:
    start = real_book.first_start
    assert start is not None
    assert (len(start[BID]), len(start[ASK])) == (892, 559)
    assert sum(map(sum, (side.values() for side in start.values()))) == 38_304
    last = real_book.books[END_NS]
    assert (last["n_orders"], last["totals"]) == (11_217, (22_050, 20_110))
    row = real_book.snapshots[-1]
    assert (row["best_bid_price_int"], row["best_ask_price_int"]) == (4_810_000_000_000, 4_810_250_000_000)


@one_worker
def test_real_windows_phases_and_validity(real_book: WatchedBook) -> None:
    rows = real_book.snapshots
    assert len(rows) == 7_200
    assert rows[0]["window_start_ts_ns"] == PAUSE_START_NS
    assert rows[-1]["window_end_ts_ns"] == END_NS
    assert Counter(row["phase"] for row in rows) == {"pre_open": 3_600, "open": 3_600}
    assert sum(real_book.window_valid.values()) == 3_599
    assert not real_book.window_valid[AUCTION_NS + SECOND]
    crossed = [
        row["window_end_ts_ns"] for row in rows if 0 < row["best_ask_price_int"] <= row["best_bid_price_int"]
    ]
    assert len(crossed) == 1_205
    assert crossed[-1] == AUCTION_NS
    assert sum(row["crossed_event_count"] for row in rows) == 891
    assert sum(row["event_count"] for row in rows if row["phase"] == "pre_open") == 925
    trading = [row for row in rows if row["window_end_ts_ns"] > AUCTION_NS]
    assert sum(row["event_count"] == 0 for row in trading) == 674


@one_worker
def test_real_spread_and_spot(real_book: WatchedBook) -> None:
    rows = [row for row in real_book.snapshots if real_book.window_valid[row["window_end_ts_ns"]]]
    spreads = Counter((row["best_ask_price_int"] - row["best_bid_price_int"]) // TICK for row in rows)
    assert spreads == {1: 3_385, 2: 214}
    spots = [row["spot_ref_price_int"] // TICK for row in rows]
    moves = [abs(b - a) for a, b in pairwise(spots)]
    assert max(moves) == 3
    assert round(100 * moves.count(0) / len(moves)) == 89
    at_bid = sum(row["spot_ref_price_int"] == row["best_bid_price_int"] for row in rows) / len(rows)
    at_ask = sum(row["spot_ref_price_int"] == row["best_ask_price_int"] for row in rows) / len(rows)
    assert (round(100 * at_bid, 1), round(100 * at_ask, 1)) == (51.1, 44.3)


@one_worker
def test_real_book_is_read_only_at_event_ends(real_book: WatchedBook) -> None:
    assert real_book.mid_event == {"records": 12_982, "crossed": 317}
    assert real_book.first_trades == {True: 2_833}


@one_worker
def test_real_trades_and_their_resting_fills(real_book: WatchedBook) -> None:
    trades = real_book.trades
    assert [row["trade_idx"] for row in trades] == list(range(2_973))
    assert all(row["phase"] == "open" for row in trades)
    auction = [row for row in trades if row["is_auction"]]
    assert [(row["qty"], row["price_int"], row["order_id"]) for row in auction] == [
        (44, 4_800_250_000_000, 0)
    ]
    assert auction[0]["resting_fill_qty"] == 2 * 44
    assert sum(row["qty"] for row in trades) == 9_848 + 44
    assert sum(row["resting_fill_qty"] for row in trades) == 9_936 == 9_848 + 2 * 44
    assert sum(row["buy_qty"] + row["sell_qty"] for row in real_book.snapshots) == 9_848
    assert sum(row["trade_count"] for row in real_book.snapshots) == 2_973


def _quantile(counts: Counter[int], q: float) -> float:
    """Linear interpolation as numpy does it, over a table of counts."""
    values = np.repeat(np.array(sorted(counts)), [counts[v] for v in sorted(counts)])
    return float(np.quantile(values, q))


@one_worker
def test_real_sunday_snapshot_before_the_midnight_one_changes_nothing(
    real_recs: list[Rec], real_data: Path
) -> None:
    """Two files in a row deliver the same 8,725 order ids twice with no plain record between (spec 4.3)."""
    sunday = read_mbo_file(real_data / "nautilus_trader" / "esh4-glbx-mdp3-20231224.mbo.dbn.zst")
    day = real_recs[: 8_725 + 200]

    def first_minutes(recs: list[Rec]) -> NaiveBook:
        book = NaiveBook(REAL_INSTRUMENT_ID, pauses=REAL_PAUSES, wall={PAUSE_START_NS + SECOND})
        book.apply(recs)
        book.finish()
        return book

    alone, after_sunday = first_minutes(day), first_minutes(sunday + day)
    assert (len(sunday), sunday[-1].flags) == (8_725, 168)
    assert after_sunday.counters["snapshots"] == 2
    assert tables(after_sunday) == tables(alone)
    assert counted(after_sunday) == counted(alone)
    assert len(alone.snapshots) > 60


@one_worker
def test_real_wall_rows_and_depths(real_book: WatchedBook) -> None:
    assert real_book.wall_counts["rows"] == 3_727_818
    assert real_book.wall_counts["near rows"] == 147_825
    assert real_book.wall_counts["identity broken"] == 0
    assert sum(real_book.near_depths.values()) == 147_345
    assert [_quantile(real_book.near_depths, q) for q in (0.5, 0.95, 1.0)] == [53, 89, 250]
    assert [_quantile(real_book.all_depths, q) for q in (0.5, 0.95, 1.0)] == [37, 68, 548]
    strength = [round(math.log1p(_quantile(real_book.near_rest, q)), 3) for q in (0.05, 0.95)]
    assert strength == [3.367, 4.5]


@one_worker
def test_real_radar_rows_are_finite_and_complete(real_book: WatchedBook) -> None:
    assert len(real_book.radar) == 7_200 - 1_205
    values = np.array([[row[name] for name in RADAR_COLUMNS[5:]] for row in real_book.radar])
    assert values.shape == (5_995, 196)
    assert np.isfinite(values).all()
    assert len(RADAR_COLUMNS) == len(set(RADAR_COLUMNS)) == 201


def _golden_levels(row: dict[str, str], side: str) -> list[tuple[int, int, int]]:
    levels = []
    for n in range(10):
        price = row[f"{side}_px_{n:02}"]
        if price:
            price_int = round(float(price) * 4) * TICK
            levels.append((price_int, int(row[f"{side}_sz_{n:02}"]), int(row[f"{side}_ct_{n:02}"])))
    return levels


@one_worker
def test_real_book_equals_the_golden_file_where_ts_recv_does_not_matter(
    real_book: WatchedBook, real_recs: list[Rec], real_data: Path
) -> None:
    """The golden file is cut by ts_recv; a second is comparable when no record lies across its end."""
    torn_records = [
        record
        for record in real_recs
        if not record.flags & F_SNAPSHOT and record.ts_recv // SECOND != record.ts_event // SECOND
    ]
    assert len(torn_records) == 57
    torn = {record.ts_recv // SECOND for record in torn_records}
    with (real_data / "golden_esh4_20231225_1s.csv").open(newline="") as file:
        golden = list(csv.DictReader(file))
    compared = 0
    for row in golden[1:]:  # the first row is the snapshot, hours before the first window
        end = int(row["sec_end_utc"])
        if end in torn:
            continue
        book = real_book.books[end * SECOND]
        assert book["bid"] == _golden_levels(row, "bid")
        assert book["ask"] == _golden_levels(row, "ask")
        assert book["n_orders"] == int(row["n_orders"])
        assert book["n_levels"] == (int(row["n_bid_levels"]), int(row["n_ask_levels"]))
        assert book["totals"] == (int(row["tot_bid_qty"]), int(row["tot_ask_qty"]))
        compared += 1
    assert (len(golden), compared) == (3_239, 3_226)
