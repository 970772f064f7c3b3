"""A futures book in plain Python, written from the specification, to judge the compiled engine.

Laws (spec 4). 1 Only A, C, M and R change the book; T and F never do.
               2 F says how many lots of an order traded; the C or M that follows it in the same event turns
                 that many lots from pull into fill (4.6).
               3 Snapshot records set the book; they enter no accumulator and never move the clock (4.3, 4.7).
               4 A record with a later ts_event closes all windows before it; nothing is rewritten.
It shares no code with the engine: dictionaries instead of arrays, one record at a time, and only the flag
bits and units in common. It keeps what it needs for the windows asked for, so a pass over a day costs a
few microseconds per record and a full picture only in those windows.

It knows no phase (that takes a calendar) and therefore no window_valid.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from data_eng.dbn_codes import F_LAST, F_MAYBE_BAD_BOOK, F_SNAPSHOT
from data_eng.units import DAY_NS, HOUR_NS, HUD_MAX_TICKS, REST_NS, TICK_INT, UNDEF_PRICE, WINDOW_NS

MAX_SIZE = 2**31 - 1
"""sizes above are UNDEF or nonsense; the action is not applied"""
MAX_AHEAD_NS = 1_000_000_000
"""a ts_event further ahead of its ts_recv never moves the clock (4.7)"""

LevelKey = tuple[str, int]
"""(side, price_int)"""


class Record(NamedTuple):
    """What the book reads of an MBO record; action and side are one-character strings."""

    ts_event: int
    ts_recv: int
    action: str
    side: str
    order_id: int
    price: int
    size: int
    flags: int


@dataclass
class Order:
    """A resting order; `t_enter` is when it took its price."""

    side: str
    price: int
    qty: int
    t_enter: int


@dataclass
class Flow:
    """Accumulators of one level in one window, contracts."""

    add: int = 0
    pull: int = 0
    pull_rest: int = 0
    fill: int = 0


class Level(NamedTuple):
    """One wall row as the plain book sees it, contracts."""

    depth_qty_start: int
    depth_qty_end: int
    add_qty: int
    pull_qty_total: int
    depth_qty_rest: int
    pull_qty_rest: int
    fill_qty: int


@dataclass(frozen=True)
class PlainWindow:
    """A closed window: what its snapshot row and its wall rows must say."""

    window_end_ts_ns: int
    best_bid_price_int: int
    best_bid_qty: int
    best_ask_price_int: int
    best_ask_qty: int
    last_trade_price_int: int
    spot_ref_price_int: int
    book_valid: bool
    crossed_event_count: int
    event_count: int
    buy_qty: int
    sell_qty: int
    trade_count: int
    available_ts_ns: int
    has_reset: bool
    levels: dict[LevelKey, Level]
    """the levels of 5.2, those within 600 ticks of spot that have depth or flow"""


@dataclass
class _Tallies:
    events: int = 0
    crossed: int = 0
    buy: int = 0
    sell: int = 0
    trades: int = 0


@dataclass
class _Event:
    records: int = 0
    aggressor: int | None = None
    filled: dict[int, int] = field(default_factory=dict)


class PlainBook:
    """The book of one instrument; `wanted` are the window_end values to picture, None for all windows."""

    def __init__(self, tick_int: int = TICK_INT, wanted: Collection[int] | None = None) -> None:
        self.tick_int = tick_int
        self.wanted = None if wanted is None else frozenset(wanted)
        self.orders: dict[int, Order] = {}
        self.depth: dict[LevelKey, int] = {}
        self.complete = False
        self.in_snapshot = False
        self.window_end: int | None = None
        self.last_trade = 0
        self._bad = False
        self._awaits_last = False
        self._snapshot_recv = 0
        self._available = 0
        self._flows: dict[LevelKey, Flow] = {}
        self._start: dict[LevelKey, int] | None = None
        self._event = _Event()
        self._tallies = _Tallies()
        self._has_reset = False
        self._closed: list[PlainWindow] = []

    def feed(self, records: Iterable[Record]) -> Iterator[PlainWindow]:
        """Apply records in file order and yield the wanted windows that they close."""
        for record in records:
            self.apply(record)
            if self._closed:
                yield from self._taken()

    def finish(self) -> list[PlainWindow]:
        """Close the open event and the current window; returns the window when it is wanted."""
        self._end_event()
        if self.window_end is not None:
            self._close_window()
            self.window_end = None
        return self._taken()

    def apply(self, record: Record) -> None:
        """One record (spec 4.3, 4.7)."""
        if record.flags & F_SNAPSHOT:
            self._apply_snapshot(record)
        else:
            self._apply_plain(record)

    # -- snapshots ---------------------------------------------------------------------------------

    def _apply_snapshot(self, record: Record) -> None:
        if not self.in_snapshot or record.action == "R" or record.ts_recv != self._snapshot_recv:
            self._start_snapshot(record)
        if record.action == "A" and self._sound(record, side_matters=True):
            old = self.orders.get(record.order_id)
            if old is not None:
                self._change_depth(old.side, old.price, -old.qty)
            self._insert(record)
        if record.flags & F_MAYBE_BAD_BOOK:
            self._bad = True
        if record.flags & F_LAST:
            self.in_snapshot = False
            self.complete = not self._bad

    def _start_snapshot(self, record: Record) -> None:
        self._end_event()
        if self.window_end is not None and record.ts_recv >= self.window_end:
            self._roll_to(_window_end(record.ts_recv))
        self._empty_book()
        self.in_snapshot = True
        self._awaits_last = False
        self._snapshot_recv = record.ts_recv

    def _empty_book(self) -> None:
        self.orders.clear()
        self.depth.clear()
        self._flows.clear()
        self._event.filled.clear()
        self.complete = False
        self._bad = False
        if self.window_end is None:
            self._start = None  # what is cleared before the first window never was its start
        else:
            self._has_reset = True

    # -- plain records -----------------------------------------------------------------------------

    def _apply_plain(self, record: Record) -> None:
        late = self._is_late(record)
        if not late and self.window_end is not None and record.ts_event >= self.window_end:
            self._roll_to(_window_end(record.ts_event))
        if self.in_snapshot:
            self.in_snapshot = False
            self.complete = not self._bad
        if self.window_end is None:
            if self._start is None:
                self._start = dict(self.depth)
            if not late:
                self.window_end = _window_end(record.ts_event)
        self._available = max(self._available, record.ts_recv)
        self._event.records += 1
        self._act(record)
        if record.flags & F_MAYBE_BAD_BOOK:
            self.complete = False
            self._bad = True
        if record.flags & F_LAST:
            if self._awaits_last and not self._bad:
                self.complete = True
            self._awaits_last = False
            self._end_event()

    def _is_late(self, record: Record) -> bool:
        if self.window_end is not None and record.ts_event < self.window_end - WINDOW_NS:
            return True
        day = record.ts_recv // DAY_NS * DAY_NS
        return (
            record.ts_event > record.ts_recv + MAX_AHEAD_NS
            or record.ts_event < day - HOUR_NS
            or record.ts_event >= day + DAY_NS + HOUR_NS
        )

    def _act(self, record: Record) -> None:
        match record.action:
            case "A":
                self._add(record)
            case "C":
                self._cancel(record)
            case "M":
                self._modify(record)
            case "F":
                if record.size <= MAX_SIZE and record.order_id != self._event.aggressor:
                    filled = self._event.filled
                    filled[record.order_id] = filled.get(record.order_id, 0) + record.size
            case "T":
                self._trade(record)
            case "R":
                self._empty_book()
                self._awaits_last = True
            case _:
                pass  # N and unknown actions change nothing; their flags were seen

    def _sound(self, record: Record, *, side_matters: bool) -> bool:
        return (
            record.price != UNDEF_PRICE
            and record.price % self.tick_int == 0
            and record.size <= MAX_SIZE
            and (not side_matters or record.side in ("A", "B"))
        )

    def _add(self, record: Record) -> None:
        if not self._sound(record, side_matters=True):
            return
        old = self.orders.get(record.order_id)
        if old is not None:
            self._pull(old, old.qty, record.ts_event)
            self._change_depth(old.side, old.price, -old.qty)
        self._insert(record)
        self._flow(record.side, record.price).add += record.size

    def _cancel(self, record: Record) -> None:
        order = self.orders.get(record.order_id)
        if order is None or record.size > MAX_SIZE:
            return
        taken = min(record.size, order.qty)
        fills = self._event.filled.pop(record.order_id, 0)
        shown = min(fills, taken)
        hidden = fills - shown
        flow = self._flow(order.side, order.price)
        flow.fill += shown + hidden
        flow.add += hidden
        self._pull(order, taken - shown, record.ts_event)
        order.qty -= taken
        self._change_depth(order.side, order.price, -taken)
        if order.qty == 0:
            del self.orders[record.order_id]

    def _modify(self, record: Record) -> None:
        order = self.orders.get(record.order_id)
        if not self._sound(record, side_matters=order is None):
            return
        if order is None:
            self._insert(record)
            self._flow(record.side, record.price).add += record.size
            return
        fills = self._event.filled.pop(record.order_id, 0)
        flow = self._flow(order.side, order.price)
        self._change_depth(order.side, order.price, -order.qty)
        if record.price == order.price:
            flow.fill += fills
            growth = record.size - order.qty + fills
            if growth > 0:
                flow.add += growth
            else:
                self._pull(order, -growth, record.ts_event)
        else:
            shown = min(fills, order.qty)
            hidden = fills - shown
            flow.fill += shown + hidden
            flow.add += hidden
            self._pull(order, order.qty - shown, record.ts_event)
            self._flow(order.side, record.price).add += record.size
            order.t_enter = record.ts_event
        order.price = record.price
        order.qty = record.size
        self._change_depth(order.side, order.price, order.qty)

    def _trade(self, record: Record) -> None:
        self._event.aggressor = record.order_id
        size = record.size if record.size <= MAX_SIZE else 0
        self._tallies.trades += 1
        if record.side == "B":
            self._tallies.buy += size
        elif record.side == "A":
            self._tallies.sell += size
        if 0 < record.price < UNDEF_PRICE and record.price % self.tick_int == 0:
            self.last_trade = record.price

    # -- small parts -------------------------------------------------------------------------------

    def _insert(self, record: Record) -> None:
        self.orders[record.order_id] = Order(record.side, record.price, record.size, record.ts_event)
        self._change_depth(record.side, record.price, record.size)

    def _change_depth(self, side: str, price: int, change: int) -> None:
        depth = self.depth.get((side, price), 0) + change
        if depth:
            self.depth[side, price] = depth
        else:
            self.depth.pop((side, price), None)

    def _flow(self, side: str, price: int) -> Flow:
        return self._flows.setdefault((side, price), Flow())

    def _pull(self, order: Order, qty: int, ts_event: int) -> None:
        flow = self._flow(order.side, order.price)
        flow.pull += qty
        if ts_event - order.t_enter >= REST_NS:
            flow.pull_rest += qty

    def _best(self) -> tuple[int | None, int | None]:
        bid = max((p for (side, p), qty in self.depth.items() if side == "B" and qty > 0), default=None)
        ask = min((p for (side, p), qty in self.depth.items() if side == "A" and qty > 0), default=None)
        return bid, ask

    def _crossed(self) -> bool:
        bid, ask = self._best()
        return bid is not None and ask is not None and bid >= ask

    def _end_event(self) -> None:
        if self._event.records:
            self._tallies.events += 1
            # the crossing test walks all levels, so it runs only where someone will read it
            if self._is_wanted() and self._crossed():
                self._tallies.crossed += 1
        self._event = _Event()

    # -- windows -----------------------------------------------------------------------------------

    def _is_wanted(self) -> bool:
        return self.wanted is None or self.window_end is None or self.window_end in self.wanted

    def _roll_to(self, window_end: int) -> None:
        """Close every window before the one that ends at `window_end`, which becomes the current one."""
        self._end_event()
        while self.window_end is not None and self.window_end < window_end:
            self._close_window()
            self.window_end += WINDOW_NS
            self._start = dict(self.depth) if self._is_wanted() else None

    def _close_window(self) -> None:
        if self._is_wanted():
            self._closed.append(self._picture())
        self._flows.clear()
        self._tallies = _Tallies()
        self._has_reset = False

    def _picture(self) -> PlainWindow:
        assert self.window_end is not None
        bid, ask = self._best()
        valid = self.complete and not self.in_snapshot and not self._crossed()
        spot = self.last_trade or ((bid or 0) if valid else 0)
        return PlainWindow(
            window_end_ts_ns=self.window_end,
            best_bid_price_int=bid or 0,
            best_bid_qty=0 if bid is None else self.depth["B", bid],
            best_ask_price_int=ask or 0,
            best_ask_qty=0 if ask is None else self.depth["A", ask],
            last_trade_price_int=self.last_trade,
            spot_ref_price_int=spot,
            book_valid=valid,
            crossed_event_count=self._tallies.crossed,
            event_count=self._tallies.events,
            buy_qty=self._tallies.buy,
            sell_qty=self._tallies.sell,
            trade_count=self._tallies.trades,
            available_ts_ns=self._available,
            has_reset=self._has_reset,
            levels=self._levels(spot) if spot > 0 else {},
        )

    def _levels(self, spot: int) -> dict[LevelKey, Level]:
        assert self.window_end is not None
        start = self._start or {}
        resting: dict[LevelKey, int] = {}
        for order in self.orders.values():
            if self.window_end - order.t_enter >= REST_NS:
                key = (order.side, order.price)
                resting[key] = resting.get(key, 0) + order.qty
        reach = HUD_MAX_TICKS * self.tick_int
        levels = {}
        for key in sorted({*start, *self.depth, *self._flows}):
            if abs(key[1] - spot) > reach:
                continue
            flow = self._flows.get(key, Flow())
            level = Level(
                start.get(key, 0),
                self.depth.get(key, 0),
                flow.add,
                flow.pull,
                resting.get(key, 0),
                flow.pull_rest,
                flow.fill,
            )
            if any(level):
                levels[key] = level
        return levels

    def _taken(self) -> list[PlainWindow]:
        closed, self._closed = self._closed, []
        return closed


def _window_end(ts_ns: int) -> int:
    return ts_ns // WINDOW_NS * WINDOW_NS + WINDOW_NS
