"""The slow, plain twin of the option books: every book of one stream, from spec 4 and 7.2 alone.

Laws. 1 A, C, M and R change the book of their own instrument; T and F change none.
      2 An order id means an order of its instrument; the same id elsewhere is another order.
      3 A snapshot begins and ends per instrument, by the transitions of 4.3; so does "complete".
      4 One clock for all: the running maximum of ts_event of plain, timely records; once it runs, a snapshot
        moves it to its ts_recv. The windows are given (those of the futures snapshot).
      5 At a window's end every book is what the records before the clock reached that end made of it.
      6 A mid is the middle of a complete book with 0 < bid < ask. While a side is missing the last one is
        carried, 60 s at most.

One record at a time, dicts, Python ints; best prices by max and min over all orders, at every second. Where
the text is open it follows `docs/decisions/0003`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .records import (
    ASK,
    BID,
    F_LAST,
    F_MAYBE_BAD_BOOK,
    F_SNAPSHOT,
    MAX_SIZE,
    SIDES,
    WINDOW_NS,
    Order,
    Rec,
    order_after,
)

SECOND_NS = 1_000_000_000
HOUR_NS = 3_600 * SECOND_NS
DAY_NS = 24 * HOUR_NS
CARRY_NS = 60 * SECOND_NS


class Quote(NamedTuple):
    """One option at the end of one window. Prices in 1e-9 points, 0 = none; quantities in contracts.

    complete: the book was known then (else prices and quantities are 0). mid in points, 0.0 = none;
    age_s: how long it has been carried. bought: aggressor purchases less sales since the stream began.
    """

    bid: int
    bid_qty: int
    ask: int
    ask_qty: int
    complete: bool
    mid: float
    age_s: float
    bought: int


class _Book:
    """Orders and marks of one instrument."""

    def __init__(self) -> None:
        self.orders: dict[int, Order] = {}
        self.seen = False
        self.complete = False
        self.bad = False
        self.in_snapshot = False
        self.snapshot_ts_recv = 0
        self.awaits_last = False
        self.event_is_open = False
        self.bought = 0
        self.mid = 0.0
        self.mid_ns: int | None = None

    def empty(self) -> None:
        self.orders.clear()
        self.complete = False
        self.bad = False

    def depth(self, side: str) -> dict[int, int]:
        """price -> quantity of the occupied levels of a side."""
        levels: dict[int, int] = {}
        for order in self.orders.values():
            if order.side == side and order.qty > 0:
                levels[order.price] = levels.get(order.price, 0) + order.qty
        return levels


class NaiveOptionBooks:
    """Feed records in file order, read `quotes` after `finish()`.

    ids: the instruments of the chain, others are skipped. window_ends: ns, whole seconds, ascending.
    quotes[w][instrument_id] is the Quote at window_ends[w]. Books are looked at every second, from the first
    window or the second in which the clock starts, whichever is earlier.
    """

    def __init__(self, ids: Iterable[int], window_ends: Sequence[int]) -> None:
        self.books = {number: _Book() for number in ids}
        self.window_ends = list(window_ends)
        self.next_end: int | None = None
        """the end of the second that is read next; None until it is known where to begin"""
        self.quotes: list[dict[int, Quote]] = []
        self.clock: int | None = None
        self.plain_seen = False
        self.snapshot_seen = False
        self.counters = dict.fromkeys(
            (
                "records",
                "foreign_records",
                "snapshot_records",
                "snapshots",
                "clears",
                "unknown_cancels",
                "unknown_modifies",
                "duplicate_adds",
                "side_changes",
                "oversized_cancels",
                "snapshot_not_add",
                "unterminated_events",
                "late_records",
                "bad_prices",
                "bad_sizes",
                "bad_sides",
                "unknown_actions",
            ),
            0,
        )

    # ---- the two doors

    def apply(self, records: Iterable[Rec]) -> None:
        for rec in records:
            book = self.books.get(rec.instrument_id)
            if book is None:
                self.counters["foreign_records"] += 1
                continue
            self.counters["records"] += 1
            if rec.flags & F_SNAPSHOT:
                self._snapshot_record(book, rec)
            else:
                self._plain_record(book, rec)
            book.seen = True

    def finish(self) -> None:
        """The stream is over: whatever windows are left see the books as they are."""
        self._end_events()
        if not self.plain_seen:
            self._end_initial_snapshots()
        if self.window_ends:
            self._read_seconds_ending_by(self.window_ends[-1])

    # ---- the clock

    def _move_clock(self, ts_ns: int) -> None:
        """The clock never runs back; seconds that ended by now are read first, and end what was open."""
        if self.clock is None:
            self.clock = ts_ns
            first = ts_ns - ts_ns % WINDOW_NS + WINDOW_NS
            self.next_end = min([first, *self.window_ends[:1]])
        if ts_ns // WINDOW_NS > self.clock // WINDOW_NS:
            self._end_events()
        self.clock = max(self.clock, ts_ns)
        self._read_seconds_ending_by(self.clock)

    def _end_events(self) -> None:
        for book in self.books.values():
            self._end_event(book)

    def _end_event(self, book: _Book) -> None:
        if book.event_is_open:
            self.counters["unterminated_events"] += 1
            book.event_is_open = False

    def _read_seconds_ending_by(self, ts_ns: int) -> None:
        if not self.window_ends:
            return
        end = self.window_ends[0] if self.next_end is None else self.next_end
        while end <= min(ts_ns, self.window_ends[-1]):
            quotes = {number: self._quote(book, end) for number, book in self.books.items()}
            if end in self.window_ends:
                self.quotes.append(quotes)
            end += WINDOW_NS
        self.next_end = end

    def _is_late(self, rec: Rec) -> bool:
        day_start = rec.ts_recv - rec.ts_recv % DAY_NS
        window_start = None if self.clock is None else self.clock - self.clock % WINDOW_NS
        return (
            (window_start is not None and rec.ts_event < window_start)
            or rec.ts_event > rec.ts_recv + SECOND_NS
            or rec.ts_event < day_start - HOUR_NS
            or rec.ts_event >= day_start + DAY_NS + HOUR_NS
        )

    # ---- snapshots (4.3, per instrument)

    def _snapshot_record(self, book: _Book, rec: Rec) -> None:
        self.counters["snapshot_records"] += 1
        self.snapshot_seen = True
        if not book.in_snapshot or rec.action == "R" or rec.ts_recv != book.snapshot_ts_recv:
            self.counters["snapshots"] += 1
            if self.clock is not None:
                self._move_clock(rec.ts_recv)
            self._end_event(book)
            book.empty()
            book.in_snapshot = True
            book.snapshot_ts_recv = rec.ts_recv
            book.awaits_last = False
        if rec.action == "A":
            if self._is_usable(book, rec):
                self._put(book, rec)
        elif rec.action != "R":
            self.counters["snapshot_not_add"] += 1
        if rec.flags & F_MAYBE_BAD_BOOK:
            book.bad = True
        if rec.flags & F_LAST:
            self._end_snapshot(book)

    def _end_snapshot(self, book: _Book) -> None:
        book.in_snapshot = False
        book.complete = not book.bad

    def _end_initial_snapshots(self) -> None:
        """The books with which a file begins are all told before its first plain record, or before its end.

        So an unmarked snapshot is over, and of an option that no snapshot names nothing rested.
        """
        for book in self.books.values():
            if book.in_snapshot or (self.snapshot_seen and not book.seen):
                self._end_snapshot(book)

    # ---- plain records (4.5)

    def _plain_record(self, book: _Book, rec: Rec) -> None:
        if not self.plain_seen:
            self.plain_seen = True
            self._end_initial_snapshots()
        if self._is_late(rec):
            self.counters["late_records"] += 1
        else:
            self._move_clock(rec.ts_event)
        if book.in_snapshot:
            self._end_snapshot(book)
        book.event_is_open = True
        self._apply_action(book, rec)
        if rec.flags & F_MAYBE_BAD_BOOK:
            book.complete = False
            book.bad = True
        if rec.flags & F_LAST:
            if book.awaits_last:
                book.awaits_last = False
                book.complete = not book.bad
            book.event_is_open = False

    def _apply_action(self, book: _Book, rec: Rec) -> None:
        if rec.action in ("A", "M"):
            if self._is_usable(book, rec):
                self._put(book, rec)
        elif rec.action == "C":
            self._cancel(book, rec)
        elif rec.action == "T":
            self._trade(book, rec)
        elif rec.action == "R":
            self.counters["clears"] += 1
            book.empty()
            book.awaits_last = True
        elif rec.action not in ("F", "N"):
            self.counters["unknown_actions"] += 1

    def _is_usable(self, book: _Book, rec: Rec) -> bool:
        """False, and counted, when an A or M cannot enter the book."""
        if not 0 < rec.price < 2**62:  # UNDEF is int64 max
            reason = "bad_prices"
        elif rec.size > MAX_SIZE:
            reason = "bad_sizes"
        elif rec.side not in SIDES and (rec.action == "A" or rec.order_id not in book.orders):
            reason = "bad_sides"
        else:
            return True
        self.counters[reason] += 1
        return False

    def _put(self, book: _Book, rec: Rec) -> None:
        before = book.orders.get(rec.order_id)
        if rec.action == "A" and before is not None:
            self.counters["duplicate_adds"] += 1
        if rec.action == "M" and before is None:
            self.counters["unknown_modifies"] += 1
        if rec.action == "M" and before is not None and before.side != rec.side:
            self.counters["side_changes"] += 1
        after = order_after(None if rec.action == "A" else before, rec)
        assert after is not None
        book.orders[rec.order_id] = after

    def _cancel(self, book: _Book, rec: Rec) -> None:
        if rec.size > MAX_SIZE:
            self.counters["bad_sizes"] += 1
            return
        before = book.orders.get(rec.order_id)
        if before is None:
            self.counters["unknown_cancels"] += 1
            return
        if rec.size > before.qty:
            self.counters["oversized_cancels"] += 1
        after = order_after(before, rec)
        if after is None:
            del book.orders[rec.order_id]
        else:
            book.orders[rec.order_id] = after

    def _trade(self, book: _Book, rec: Rec) -> None:
        if rec.size > MAX_SIZE:
            self.counters["bad_sizes"] += 1
        elif rec.side == BID:
            book.bought += rec.size
        elif rec.side == ASK:
            book.bought -= rec.size

    # ---- seconds

    def _quote(self, book: _Book, end_ns: int) -> Quote:
        if not book.complete or book.in_snapshot:
            return Quote(0, 0, 0, 0, False, 0.0, 0.0, book.bought)
        bids, asks = book.depth(BID), book.depth(ASK)
        bid, ask = max(bids, default=0), min(asks, default=0)
        mid, age_s = 0.0, 0.0
        if bids and asks:
            if 0 < bid < ask:
                mid = (bid + ask) / 2 / 1e9
                book.mid, book.mid_ns = mid, end_ns
        elif book.mid_ns is not None and end_ns - book.mid_ns <= CARRY_NS:
            mid, age_s = book.mid, (end_ns - book.mid_ns) / 1e9
        return Quote(bid, bids.get(bid, 0), ask, asks.get(ask, 0), True, mid, age_s, book.bought)
