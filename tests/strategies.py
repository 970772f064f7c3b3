"""Hypothesis streams of MBO records that feed the slow twin and the fast engine alike.

`tidy_streams()`: a small simulated market keeps ids and quantities consistent, so that a stream reaches deep
states (icebergs, sweeps, auctions, self-matches, aggressive modifies, snapshots and clears in mid-session).
`wild_streams()`: anything a feed, or a flipped bit, could deliver; nothing is consistent on purpose.

Both draw a short list of moves and play it into at most 150 records, so that a failing stream shrinks to the
moves that matter. Prices and order ids are few, so that collisions happen. A stream holds one long silence at
most; hours of it (`silences=HOURS`) cost the twin 3,600 windows each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

import numpy as np
from hypothesis import strategies as st

from data_eng.mbo import MBO_DTYPE
from tests.naive.records import (
    ASK,
    BID,
    F_BAD_TS_RECV,
    F_LAST,
    F_MAYBE_BAD_BOOK,
    F_PUBLISHER_SPECIFIC,
    F_SNAPSHOT,
    MAX_SIZE,
    UNDEF_PRICE,
    Rec,
)

T = TypeVar("T")

INSTRUMENT_ID = 42140878
FOREIGN_ID = 42140879
TICK = 250_000_000
CENTRE = 6_900_000_000_000
"""6900.00 points, a price on the grid"""
DAY_START_NS = 1_767_657_600_000_000_000
"""2026-01-06 00:00 UTC"""
BASE_NS = DAY_START_NS + 15 * 3_600 * 1_000_000_000
"""where the plain records of a stream begin; 15:00 UTC leaves room for every silence before midnight"""
SNAPSHOT_TS_EVENT_NS = DAY_START_NS - 36 * 3_600 * 1_000_000_000
SECOND = 1_000_000_000
RECV_DELAY_NS = 100_000
MAX_RECORDS = 150
MAX_FOREIGN = 8
MAX_ORDER_ID = 2**64 - 1

EVENT_END = F_LAST | F_PUBLISHER_SPECIFIC
SNAPSHOT = F_SNAPSHOT | F_BAD_TS_RECV

LONG = -1
"""stands for the one long silence of a stream"""
TO_BOUNDARY = -2
"""exactly onto the next window boundary"""
TO_BEFORE_BOUNDARY = -3
"""one nanosecond before the next window boundary"""
TIME_STEPS = (
    0,
    0,
    0,
    1,
    1_000,
    1_000_000,
    300_000_000,
    500_000_000,
    499_999_999,
    SECOND,
    2 * SECOND,
    90 * SECOND,
    TO_BOUNDARY,
    TO_BEFORE_BOUNDARY,
    LONG,
)
SILENCES = (*[2 * SECOND] * 6, *[5 * SECOND] * 2, 90 * SECOND)
HOURS = (600 * SECOND, 3_600 * SECOND, 10_800 * SECOND)
"""for `silences=`: every window of them is a row of each table, so ask for them where they matter"""
MIN_MOVES = (1, 10, 30, 45)
"""left alone, Hypothesis draws short lists; deep states need long ones, and shrinking returns to the first"""
LAYOUTS = ("modern", "legacy", "legacy-168")


# ---- into the shapes that the engines eat ----------------------------------------------------------------


def to_records(recs: Iterable[Rec]) -> np.ndarray:
    """The stream as DBN MBO records, shape (n,), dtype `MBO_DTYPE`."""
    rows = [
        (
            14,  # length in 4-byte words
            160,  # rtype of MBO
            1,
            rec.instrument_id,
            rec.ts_event,
            rec.order_id,
            rec.price,
            rec.size,
            rec.flags,
            0,
            ord(rec.action),
            ord(rec.side),
            rec.ts_recv,
            0,
            rec.sequence,
        )
        for rec in recs
    ]
    return np.array(rows, dtype=MBO_DTYPE)


def cuts(n: int) -> st.SearchStrategy[list[int]]:
    """Sorted cut positions within 0..n, repeated positions (empty chunks) included."""
    return st.lists(st.integers(0, n), max_size=8).map(sorted)


def chunks(records: Sequence[T], positions: Sequence[int]) -> list[Sequence[T]]:
    """`records` cut at the sorted `positions`; concatenated again they are `records`."""
    edges = [0, *positions, len(records)]
    return [records[start:stop] for start, stop in pairwise(edges)]


@st.composite
def pauses(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Up to two pauses [start, end) that a stream from BASE_NS may begin before, begin in, or cross."""
    halves = draw(st.lists(st.integers(-6, 30), min_size=0, max_size=4, unique=True).map(sorted))
    points = [BASE_NS + half * SECOND // 2 for half in halves]
    return [(points[i], points[i + 1]) for i in range(0, len(points) - 1, 2)]


def statuses() -> st.SearchStrategy[list[tuple[int, int]]]:
    """Sorted (ts_event ns, phase code) of a status file, phase codes 0 closed, 1 pre_open, 2 open, 3 halt."""
    message = st.tuples(
        st.one_of(
            st.integers(-6, 30).map(lambda half: BASE_NS + half * SECOND // 2),
            st.sampled_from([DAY_START_NS, BASE_NS + 1, BASE_NS + SECOND - 1]),
        ),
        st.integers(0, 3),
    )
    return st.one_of(
        st.just([]), st.lists(message, max_size=4).map(lambda rows: sorted(rows, key=lambda row: row[0]))
    )


# ---- the clock of a stream -------------------------------------------------------------------------------


class _Clock:
    """ts_event of the stream; the one long silence is spent at the first LONG."""

    def __init__(self, start_ns: int, silence_ns: int) -> None:
        self.now = start_ns
        self.silence = silence_ns
        self.pauses_left = 1  # steps of 90 s; each is 90 rows of every table

    def step(self, step: int) -> int:
        if step == 90 * SECOND:
            step = 90 * SECOND if self.pauses_left > 0 else 2 * SECOND
            self.pauses_left -= 1
        if step == LONG:
            step, self.silence = self.silence, SECOND
        elif step == TO_BOUNDARY:
            step = SECOND - self.now % SECOND
        elif step == TO_BEFORE_BOUNDARY:
            step = SECOND - 1 - self.now % SECOND
        self.now += step
        return self.now


# ---- tidy: a market that keeps its books -----------------------------------------------------------------


class _Resting(NamedTuple):
    side: str
    price: int
    qty: int


class _Market:
    """Plays moves into records. Every move is one event whose last record alone has F_LAST.

    a, b, c are small non-negative integers; a move takes from them what it needs, so that any move is legal
    at any time (an impossible one, such as a cancel in an empty book, becomes an add).
    """

    def __init__(self, clock: _Clock) -> None:
        self.clock = clock
        self.book: dict[int, _Resting] = {}
        self.entered: dict[int, int] = {}
        self.next_id = 100
        self.sequence = 1
        self.recs: list[Rec] = []

    # -- helpers

    def ids(self, side: str) -> list[int]:
        """Resting ids of a side, best price first, oldest first within a price."""
        sign = 1 if side == ASK else -1
        return sorted(
            (i for i in self.book if self.book[i].side == side), key=lambda i: (sign * self.book[i].price, i)
        )

    def best(self, side: str) -> int:
        ids = self.ids(side)
        other = self.ids(BID if side == ASK else ASK)
        if ids:
            return self.book[ids[0]].price
        if other:
            return self.book[other[0]].price + (TICK if side == ASK else -TICK)
        return CENTRE + (TICK if side == ASK else 0)

    def passive_price(self, side: str, ticks: int) -> int:
        """`ticks` behind the touch, never through the other side; -1 improves the touch if there is room."""
        sign = 1 if side == ASK else -1
        price = self.best(side) + sign * ticks * TICK
        others = self.ids(BID if side == ASK else ASK)
        if others:
            limit = self.book[others[0]].price + sign * TICK
            price = max(price, limit) if side == ASK else min(price, limit)
        return price

    def emit(self, rows: Sequence[tuple[str, str, int, int, int]]) -> None:
        """One event: rows of (action, side, order_id, price, size)."""
        for place, (action, side, order_id, price, size) in enumerate(rows):
            flags = EVENT_END if place == len(rows) - 1 else 0
            ts = self.clock.now
            self.recs.append(
                Rec(
                    ts,
                    ts + RECV_DELAY_NS,
                    order_id,
                    price,
                    size,
                    flags,
                    action,
                    side,
                    INSTRUMENT_ID,
                    self.sequence,
                )
            )
        self.sequence += 1

    def put(self, order_id: int, order: _Resting | None) -> None:
        old = self.book.get(order_id)
        if order is None or order.qty == 0:
            self.book.pop(order_id, None)
            self.entered.pop(order_id, None)
            return
        if old is None or old.price != order.price:
            self.entered[order_id] = self.clock.now
        self.book[order_id] = order

    def new_id(self) -> int:
        self.next_id += 1
        return self.next_id

    def pick(self, a: int) -> int | None:
        return sorted(self.book)[a % len(self.book)] if self.book else None

    # -- moves

    def add(self, a: int, b: int, c: int) -> None:
        side = ASK if a % 2 else BID
        price = self.passive_price(side, b % 25 - 1 if b < 28 else 590 + b)
        self._add_at(side, price, 1 + c)

    def _add_at(self, side: str, price: int, qty: int) -> None:
        order_id = self.new_id()
        self.put(order_id, _Resting(side, price, qty))
        self.emit([("A", side, order_id, price, qty)])

    def cancel(self, a: int, b: int, c: int) -> None:
        order_id = self.pick(a)
        if order_id is None:
            self.add(a, b, c)
            return
        order = self.book[order_id]
        size = order.qty if b % 4 else 1 + c % order.qty
        self.put(order_id, order._replace(qty=order.qty - size))
        self.emit([("C", order.side, order_id, order.price, size)])

    def resize(self, a: int, b: int, c: int) -> None:
        order_id = self.pick(a)
        if order_id is None:
            self.add(a, b, c)
            return
        order = self.book[order_id]._replace(qty=1 + c)
        self.put(order_id, order)
        self.emit([("M", order.side, order_id, order.price, order.qty)])

    def reprice(self, a: int, b: int, c: int) -> None:
        order_id = self.pick(a)
        if order_id is None:
            self.add(a, b, c)
            return
        old = self.book[order_id]
        price = self.passive_price(old.side, b % 25)
        qty = old.qty if c % 2 else 1 + c
        self.put(order_id, _Resting(old.side, price, qty))
        self.emit([("M", old.side, order_id, price, qty)])

    def trade(self, a: int, b: int, c: int) -> None:
        """T F+ (C|M)+ and perhaps an A of the remainder; a sweep when the size asks for it."""
        aggressor, resting = (BID, ASK) if a % 2 else (ASK, BID)
        if not self.ids(resting):
            self.add(a, b, c)
            return
        self._take(self.new_id(), aggressor, resting, qty=1 + c + 8 * (b % 3), remainder=b % 2 == 1)

    def iceberg(self, a: int, b: int, c: int) -> None:
        """The first resting order trades more than it showed and comes back by M, or ends by C."""
        aggressor, resting = (BID, ASK) if a % 2 else (ASK, BID)
        ids = self.ids(resting)
        if not ids:
            self.add(a, b, c)
            return
        order = self.book[ids[0]]
        qty = order.qty + 1 + c
        rows = [
            ("T", aggressor, self.new_id(), order.price, qty),
            ("F", resting, ids[0], order.price, qty),
        ]
        if b % 3:
            shown = 1 + b % 5
            rows.append(("M", resting, ids[0], order.price, shown))
            self.put(ids[0], order._replace(qty=shown))
        else:
            rows.append(("C", resting, ids[0], order.price, order.qty))
            self.put(ids[0], None)
        self.emit(rows)

    def aggressive_modify(self, a: int, b: int, c: int) -> None:
        """A resting order is modified across: its own F first, F of the other side, then its own C or M."""
        order_id = self.pick(a)
        if order_id is None:
            self.add(a, b, c)
            return
        own = self.book[order_id]
        other = BID if own.side == ASK else ASK
        ids = self.ids(other)
        if not ids:
            self.reprice(a, b, c)
            return
        hit = self.book[ids[0]]
        qty = min(own.qty, hit.qty)
        rows = [
            ("T", own.side, order_id, hit.price, qty),
            ("F", own.side, order_id, hit.price, qty),
            ("F", other, ids[0], hit.price, qty),
        ]
        left = hit.qty - qty
        rows.append(
            ("M", other, ids[0], hit.price, left) if left else ("C", other, ids[0], hit.price, hit.qty)
        )
        self.put(ids[0], hit._replace(qty=left))
        rest = own.qty - qty
        if rest:
            price = self.passive_price(own.side, 0)
            rows.append(("M", own.side, order_id, price, rest))
            self.put(order_id, _Resting(own.side, price, rest))
        else:
            rows.append(("C", own.side, order_id, own.price, own.qty))
            self.put(order_id, None)
        self.emit(rows)

    def self_match(self, a: int, b: int, c: int) -> None:
        """A new order at the price of an own opposite order cancels it: A C, or C A."""
        side = ASK if a % 2 else BID
        ids = self.ids(BID if side == ASK else ASK)
        if not ids:
            self.add(a, b, c)
            return
        old = self.book[ids[0]]
        new = self.new_id()
        self.put(ids[0], None)
        price = old.price if b % 2 else self.passive_price(side, b % 3)
        if any(self.book[i].price == price for i in self.ids(old.side)):
            price = self.passive_price(side, 0)  # another order still rests there
        self.put(new, _Resting(side, price, 1 + c))
        rows = [("A", side, new, price, 1 + c), ("C", old.side, ids[0], old.price, old.qty)]
        self.emit(rows if b % 4 < 2 else rows[::-1])

    def flash(self, a: int, b: int, c: int) -> None:
        """Added and cancelled within one event."""
        side = ASK if a % 2 else BID
        order_id, price = self.new_id(), self.passive_price(side, b % 25)
        self.emit([("A", side, order_id, price, 1 + c), ("C", side, order_id, price, 1 + c)])

    def auction(self, a: int, b: int, c: int) -> None:
        """Crossed interest, then T without id, F with the uncross price, and C at the orders' own prices."""
        bid_id, ask_id = self.new_id(), self.new_id()
        uncross = self.best(BID)
        bid, ask, qty = uncross + (a % 4) * TICK, uncross - (b % 4) * TICK, 1 + c
        self.emit([("A", BID, bid_id, bid, qty)])
        self.emit([("A", ASK, ask_id, ask, qty)])
        self.emit(
            [
                ("T", "N", 0, uncross, qty),
                ("F", "N", bid_id, uncross, qty),
                ("F", "N", ask_id, uncross, qty),
                ("C", BID, bid_id, bid, qty),
                ("C", ASK, ask_id, ask, qty),
            ]
        )

    def none(self, a: int, b: int, c: int) -> None:
        self.emit([("N", "N", 0, UNDEF_PRICE, 0)])

    def snapshot(self, a: int, b: int, c: int) -> None:
        """The book told again in mid-session, perhaps twice."""
        for _ in range(1 + b % 2):
            self.recs += snapshot_records(
                [(i, *self.book[i], self.entered[i]) for i in sorted(self.book)],
                LAYOUTS[a % 3],
                ts_recv=self.clock.now + RECV_DELAY_NS,
                sequence=self.sequence,
            )

    def clear(self, a: int, b: int, c: int) -> None:
        """Channel reset; the orders come back as adds in the same event, or later by other moves."""
        orders = dict(self.book) if b % 2 else {}
        self.book.clear()
        rows = [("R", "N", 0, UNDEF_PRICE, 0)]
        for order_id, order in orders.items():
            self.put(order_id, order)
            rows.append(("A", order.side, order_id, order.price, order.qty))
        self.emit(rows)

    def _take(self, taker: int, aggressor: str, resting: str, *, qty: int, remainder: bool) -> None:
        wanted, closing = qty, []
        rows: list[tuple[str, str, int, int, int]] = []
        while wanted and self.ids(resting):
            price = self.book[self.ids(resting)[0]].price
            trade_row, traded = len(rows), 0
            for order_id in [i for i in self.ids(resting) if self.book[i].price == price]:
                if not wanted:
                    break
                order = self.book[order_id]
                took = min(wanted, order.qty)
                rows.append(("F", resting, order_id, price, took))
                traded += took
                wanted -= took
                left = order.qty - took
                closing.append(
                    ("M", resting, order_id, price, left)
                    if left
                    else ("C", resting, order_id, price, order.qty)
                )
                self.put(order_id, order._replace(qty=left))
            rows.insert(trade_row, ("T", aggressor, taker, price, traded))
        if wanted and remainder:
            price = rows[-1][3]
            self.put(taker, _Resting(aggressor, price, wanted))
            closing.append(("A", aggressor, taker, price, wanted))
        self.emit([*rows, *closing])


def snapshot_records(
    orders: Sequence[tuple[int, str, int, int, int]], layout: str, *, ts_recv: int, sequence: int = 0
) -> list[Rec]:
    """A snapshot of (order_id, side, price, qty, t_enter_ns) in one of the three layouts of spec 4.3."""
    if layout == "modern":
        rows = sorted(orders, key=lambda row: (row[4], row[0]))
    else:
        bids = sorted((row for row in orders if row[1] == BID), key=lambda row: (-row[2], row[4], row[0]))
        asks = sorted((row for row in orders if row[1] == ASK), key=lambda row: (row[2], row[4], row[0]))
        rows = bids + asks
    recs = [
        Rec(t_enter, ts_recv, order_id, price, qty, SNAPSHOT, "A", side, INSTRUMENT_ID, sequence)
        for order_id, side, price, qty, t_enter in rows
    ]
    if layout == "modern":
        oldest = min((row[4] for row in orders), default=ts_recv)
        clear = Rec(oldest, ts_recv, 0, UNDEF_PRICE, 0, SNAPSHOT, "R", "N", INSTRUMENT_ID, sequence)
        recs.insert(0, clear)
    if layout != "legacy" and recs:
        recs[-1] = recs[-1]._replace(flags=SNAPSHOT | F_LAST)
    return recs


TIDY_MOVES = (
    *["add"] * 6,
    *["cancel"] * 3,
    *["resize"] * 2,
    *["reprice"] * 3,
    *["trade"] * 4,
    "iceberg",
    "iceberg",
    "aggressive_modify",
    "self_match",
    "flash",
    "auction",
    "none",
    "snapshot",
    "clear",
)
CALM_MOVES = tuple(move for move in TIDY_MOVES if move not in ("snapshot", "clear"))
"""moves after which the book was never reset"""

_small = st.integers(0, 31)


@st.composite
def tidy_streams(
    draw: st.DrawFn,
    *,
    moves: Sequence[str] = TIDY_MOVES,
    layout: str | None = None,
    foreign: bool = True,
    max_records: int = MAX_RECORDS,
    silences: Sequence[int] = SILENCES,
) -> list[Rec]:
    """A legal market: an initial snapshot in any layout, or R, or nothing; then moves, one event each.

    layout: "modern", "legacy" or "legacy-168" fixes how the stream begins. foreign: records of a second
    instrument may stand between any two records, also inside an event.
    """
    clock = _Clock(BASE_NS + draw(st.sampled_from([0, 0, 1, 500_000_000, 999_999_999])), 0)
    clock.silence = draw(st.sampled_from(silences))
    market = _Market(clock)
    start = layout or draw(st.sampled_from([*LAYOUTS, "clear", "nothing"]))
    if start in LAYOUTS:
        depth = draw(st.integers(0, 12))
        orders = []
        for place in range(depth):
            side = ASK if place % 2 else BID
            ticks = draw(st.integers(0, 6))
            price = CENTRE + (1 + ticks) * TICK if side == ASK else CENTRE - ticks * TICK
            order_id, qty = market.new_id(), draw(st.integers(1, 20))
            entered = SNAPSHOT_TS_EVENT_NS + draw(st.integers(0, 10)) * SECOND
            market.book[order_id] = _Resting(side, price, qty)
            market.entered[order_id] = entered
            orders.append((order_id, side, price, qty, entered))
        # A second and more before the first plain record, as in a daily file.
        market.recs += snapshot_records(orders, start, ts_recv=BASE_NS - 3 * SECOND)
    elif start == "clear":
        market.clear(0, 0, 0)
    played = draw(
        st.lists(
            st.tuples(st.sampled_from(moves), _small, _small, _small, st.sampled_from(TIME_STEPS)),
            min_size=draw(st.sampled_from(MIN_MOVES)),
            max_size=60,
        )
    )
    for move, a, b, c, step in played:
        clock.step(step)
        getattr(market, move)(a, b, c)
    recs = _whole_events(market.recs, max_records - MAX_FOREIGN)
    if foreign and draw(st.booleans()):
        recs = draw(with_foreign_records(recs))
    return recs


def _whole_events(recs: list[Rec], limit: int) -> list[Rec]:
    """At most `limit` records, none of an event that is cut short; a stream has at least one."""
    end = min(len(recs), limit)
    while end > 0 and not recs[end - 1].flags & (F_LAST | F_SNAPSHOT):
        end -= 1
    return recs[:end]


@st.composite
def with_foreign_records(draw: st.DrawFn, recs: Sequence[Rec]) -> list[Rec]:
    """`recs` with records of another instrument between them; its ids, R and F_LAST must mean nothing."""
    places = sorted(draw(st.lists(st.integers(0, len(recs)), min_size=1, max_size=MAX_FOREIGN)), reverse=True)
    mixed = list(recs)
    for place in places:
        near = recs[min(place, len(recs) - 1)]
        action = draw(st.sampled_from("ACMTFRN"))
        flags = draw(st.sampled_from([0, EVENT_END, F_MAYBE_BAD_BOOK, SNAPSHOT, SNAPSHOT | F_LAST]))
        mixed.insert(
            place,
            near._replace(
                instrument_id=FOREIGN_ID,
                action=action,
                flags=flags,
                ts_event=near.ts_event + draw(st.sampled_from([0, SECOND, 20 * SECOND])),
            ),
        )
    return mixed


# ---- wild: anything --------------------------------------------------------------------------------------

ORDER_IDS = (1, 2, 3, 4, 5, 6, 7, 0, MAX_ORDER_ID, 2**63)
NEAR_PRICES = tuple(
    CENTRE + ticks * TICK for ticks in (-21, -20, -15, -6, -3, -2, -1, 0, 1, 2, 3, 6, 15, 20, 21)
)
ODD_PRICES = (
    CENTRE + 600 * TICK,
    CENTRE + 601 * TICK,
    CENTRE - 600 * TICK,
    CENTRE - 601 * TICK,
    CENTRE + 100_000 * TICK,
    CENTRE + 123 * TICK + 1,
    CENTRE + TICK // 2,
    0,
    TICK,
    -TICK,
    -CENTRE,
    UNDEF_PRICE,
    UNDEF_PRICE // TICK * TICK,  # the largest price on the grid
    -(2**63 // TICK) * TICK,  # the smallest
    -(2**63),
)
SIZES = (1, 2, 3, 5, 8, 13, 100)
ODD_SIZES = (0, 1_000_000, MAX_SIZE + 1, 2**32 - 1)
"""accepted sizes stay small enough that int32 depths cannot overflow: the spec gives no rule for that"""
RECV_DELAYS = (
    *[RECV_DELAY_NS] * 12,
    0,
    106_000_000,
    SECOND,
    -SECOND,
    -SECOND - 1,
    -7 * SECOND,
    -3 * 3_600 * SECOND,
    30 * 3_600 * SECOND,
)
FLAGS = (
    *[0] * 6,
    *[EVENT_END] * 8,
    F_LAST,
    F_MAYBE_BAD_BOOK,
    EVENT_END | F_MAYBE_BAD_BOOK,
    SNAPSHOT,
    SNAPSHOT | F_LAST,
    SNAPSHOT | F_MAYBE_BAD_BOOK,
    F_SNAPSHOT,
    8,
    16,
    64,
)

_prices = st.one_of(
    st.sampled_from(NEAR_PRICES), st.sampled_from(NEAR_PRICES), st.sampled_from(NEAR_PRICES + ODD_PRICES)
)
_sizes = st.one_of(st.sampled_from(SIZES), st.sampled_from(SIZES), st.sampled_from(SIZES + ODD_SIZES))


class _Draft(NamedTuple):
    """A record without its times: step_ns moves the stream's clock before it."""

    step_ns: int
    action: str
    side: str
    order_id: int
    price: int
    size: int
    flags: int
    recv_delay_ns: int = RECV_DELAY_NS
    event_shift_ns: int = 0
    instrument_id: int = INSTRUMENT_ID


_single = st.builds(
    _Draft,
    step_ns=st.sampled_from(TIME_STEPS),
    action=st.sampled_from("AAAAAACCCMMMMTTFFFRNZ"),
    side=st.sampled_from("AAAABBBBN"),
    order_id=st.sampled_from(ORDER_IDS),
    price=_prices,
    size=_sizes,
    flags=st.sampled_from(FLAGS),
    recv_delay_ns=st.sampled_from(RECV_DELAYS),
    event_shift_ns=st.sampled_from([0] * 14 + [-1, -SECOND, -90 * SECOND, -16 * 3_600 * SECOND, 40 * SECOND]),
    instrument_id=st.sampled_from([INSTRUMENT_ID] * 12 + [FOREIGN_ID]),
).map(lambda draft: [draft])


@st.composite
def _loose_events(draw: st.DrawFn) -> list[_Draft]:
    """T F.. C/M.. over any ids and quantities: icebergs, auctions and aggressor legs arise by chance."""
    shape = draw(
        st.sampled_from(
            ["TFC", "TFM", "TFFCC", "TFTFCM", "TFCA", "TFFMM", "FC", "FM", "TFA", "AC", "CA", "TFR"]
        )
    )
    side = draw(st.sampled_from([ASK, BID]))
    auction = draw(st.integers(0, 7)) == 7
    price = draw(_prices)
    drafts = []
    for place, action in enumerate(shape):
        record_side = (
            ("N" if auction else (BID if side == ASK else ASK))
            if action == "T"
            else draw(st.sampled_from([side, side, side, BID, ASK]))
        )
        order_id = 0 if auction and action == "T" else draw(st.sampled_from(ORDER_IDS[:6]))
        record_price = price if action in "TF" else draw(st.sampled_from([price, *NEAR_PRICES]))
        step = draw(st.sampled_from(TIME_STEPS)) if place == 0 else 0
        flags = EVENT_END if place == len(shape) - 1 and draw(st.integers(0, 9)) else 0
        drafts.append(_Draft(step, action, record_side, order_id, record_price, draw(_sizes), flags))
    return drafts


@st.composite
def _loose_snapshots(draw: st.DrawFn) -> list[_Draft]:
    """A snapshot in any layout, with the faults that a snapshot can have, perhaps repeated at once."""
    layout = draw(st.sampled_from(LAYOUTS))
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from("AAAAAAAAAAAATFCMN"),
                st.sampled_from("AAABBBN"),
                st.sampled_from(ORDER_IDS),
                _prices,
                _sizes,
            ),
            max_size=8,
        )
    )
    age = draw(
        st.sampled_from([0, 300_000_000, 500_000_000, 2 * SECOND, 3_600 * SECOND, 60 * 3_600 * SECOND])
    )
    bad = F_MAYBE_BAD_BOOK if draw(st.integers(0, 9)) == 9 else 0
    drafts = [_Draft(0, *row, SNAPSHOT | bad, event_shift_ns=-age) for row in rows]
    if layout == "modern" or not drafts:
        drafts.insert(0, _Draft(0, "R", "N", 0, UNDEF_PRICE, 0, SNAPSHOT, event_shift_ns=-age))
    if layout != "legacy":
        drafts[-1] = drafts[-1]._replace(flags=drafts[-1].flags | F_LAST)
    drafts = drafts * draw(st.sampled_from([1, 1, 2]))
    return [drafts[0]._replace(step_ns=draw(st.sampled_from(TIME_STEPS))), *drafts[1:]]


@st.composite
def wild_streams(
    draw: st.DrawFn, *, max_records: int = MAX_RECORDS, silences: Sequence[int] = SILENCES
) -> list[Rec]:
    """Anything: broken grammar, unknown and repeated ids, bad prices and sizes, late records, snapshots."""
    blocks: list[list[_Draft]] = draw(
        st.lists(
            st.one_of(_single, _single, _single, _loose_events(), _loose_events(), _loose_snapshots()),
            min_size=draw(st.sampled_from(MIN_MOVES)),
            max_size=60,
        )
    )
    clock = _Clock(BASE_NS + draw(st.sampled_from([0, 0, 1, 500_000_000, 999_999_999])), 0)
    clock.silence = draw(st.sampled_from(silences))
    recs: list[Rec] = []
    for draft in [draft for block in blocks for draft in block][:max_records]:
        now = clock.step(draft.step_ns)
        ts_event = now + draft.event_shift_ns
        recs.append(
            Rec(
                ts_event,
                now + draft.recv_delay_ns if not draft.flags & F_SNAPSHOT else now + RECV_DELAY_NS,
                draft.order_id,
                draft.price,
                draft.size,
                draft.flags,
                draft.action,
                draft.side,
                draft.instrument_id,
                len(recs),
            )
        )
    return recs


def any_streams(*, silences: Sequence[int] = SILENCES) -> st.SearchStrategy[list[Rec]]:
    """Tidy or wild; with `silences=HOURS` each may hold one silence of up to three hours."""
    return st.one_of(tidy_streams(silences=silences), wild_streams(silences=silences))


def describe(recs: Iterable[Rec]) -> list[dict[str, Any]]:
    """Readable form for a failing example: times relative to BASE_NS in ms, prices in ticks from CENTRE."""
    return [
        {
            "t_ms": (rec.ts_event - BASE_NS) / 1e6,
            "recv_ms": (rec.ts_recv - BASE_NS) / 1e6,
            "what": f"{rec.action}{rec.side}",
            "id": rec.order_id,
            "ticks": (rec.price - CENTRE) / TICK,
            "size": rec.size,
            "flags": rec.flags,
            "own": rec.instrument_id == INSTRUMENT_ID,
        }
        for rec in recs
    ]
