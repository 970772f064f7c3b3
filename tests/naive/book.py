"""The slow, plain twin of the futures book engine, written from spec sections 4 and 5 alone.

Laws. 1 A, C, M and R change the book; T and F never do.
      2 A fill is remembered by order id until the C or M of its event that completes it (fill rule, 4.6).
      3 Nothing is read from the middle of an event; an event that never ended is ended by its window.
      4 The clock is ts_event of plain, timely records; a snapshot moves it only by its ts_recv, as it starts.
      5 Every second from the first window on has a row; a row is never rewritten.

One record at a time, dicts, Python ints. Depth dicts hold occupied levels only. It refuses to be fast: per
window it copies the whole depth, and resting depth is a scan of all orders.

Marks and numbers before the first window: late records may change the book before any window is open.
Their flows, trades and event ends count in the first window; the marks "reset" and "not valid" do not carry
over, and a clear before the first window forgets the flows before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from .radar import BookEvent, RadarSeries, features
from .records import (
    ASK,
    BID,
    F_LAST,
    F_MAYBE_BAD_BOOK,
    F_SNAPSHOT,
    MAX_SIZE,
    PHASES,
    REST_NS,
    SIDES,
    UNDEF_PRICE,
    WINDOW_NS,
    Order,
    Rec,
    order_after,
)

HUD_MAX_TICKS = 600
SECOND_NS = 1_000_000_000
HOUR_NS = 3_600 * SECOND_NS
DAY_NS = 24 * HOUR_NS

COUNTERS = (
    "records",
    "foreign_records",
    "snapshot_records",
    "events",
    "snapshots",
    "clears",
    "unknown_cancels",
    "unknown_modifies",
    "unknown_fill_orders",
    "unknown_fill_qty",
    "unmatched_fill_orders",
    "unmatched_fill_qty",
    "duplicate_adds",
    "side_changes",
    "oversized_cancels",
    "negative_depths",
    "crossed_closed",
    "crossed_pre_open",
    "crossed_open",
    "crossed_halt",
    "aggressor_fills",
    "aggressor_fill_qty",
    "hidden_qty_cancel",
    "hidden_qty_modify",
    "identity_violations",
    "snapshot_not_add",
    "unterminated_events",
    "late_records",
    "undef_prices",
    "off_tick_prices",
    "bad_sizes",
    "bad_sides",
    "unknown_actions",
)

SNAPSHOT_COLUMNS = (
    "window_start_ts_ns",
    "window_end_ts_ns",
    "best_bid_price_int",
    "best_bid_qty",
    "best_ask_price_int",
    "best_ask_qty",
    "mid_price",
    "mid_price_int",
    "last_trade_price_int",
    "spot_ref_price_int",
    "book_valid",
    "phase",
    "crossed_event_count",
    "event_count",
    "buy_qty",
    "sell_qty",
    "trade_count",
    "available_ts_ns",
)
WALL_COLUMNS = (
    "window_start_ts_ns",
    "window_end_ts_ns",
    "price_int",
    "side",
    "spot_ref_price_int",
    "rel_ticks",
    "depth_qty_start",
    "depth_qty_end",
    "add_qty",
    "pull_qty_total",
    "fill_qty",
    "depth_qty_rest",
    "pull_qty_rest",
    "d1_depth_qty",
    "d2_depth_qty",
    "d3_depth_qty",
    "window_valid",
)
TRADE_COLUMNS = (
    "ts_event_ns",
    "ts_recv_ns",
    "sequence",
    "trade_idx",
    "price_int",
    "qty",
    "aggressor_side",
    "order_id",
    "resting_fill_count",
    "resting_fill_qty",
    "sweep_level_count",
    "is_auction",
    "phase",
)

Depth = dict[str, dict[int, int]]


class Phase:
    """Trading phase by calendar, records and status messages (spec 4.8; docs/decisions/0002)."""

    def __init__(self, pauses: Sequence[tuple[int, int]], status: Sequence[tuple[int, int]]) -> None:
        self.pauses = list(pauses)
        self.status = list(status)
        self.now = "open"
        self.by_status = False
        self.clock: int | None = None

    def in_pause(self, ts: int) -> bool:
        return any(start <= ts < end for start, end in self.pauses)

    def move(self, ts: int) -> None:
        """Time passes to ts; going back in time changes nothing."""
        if self.clock is not None and ts <= self.clock:
            return
        if not self.by_status:
            self._move_calendar(ts)
        self.clock = ts
        while self.status and self.status[0][0] <= ts:
            _, code = self.status.pop(0)
            self.now = PHASES[code]
            self.by_status = True

    def _move_calendar(self, ts: int) -> None:
        if self.clock is None:
            self.now = "closed" if self.in_pause(ts) else "open"
            return
        for start, end in self.pauses:
            if self.clock < start <= ts:
                self.now = "closed"
            if self.clock < end <= ts:
                self.now = "pre_open"

    def order_seen(self) -> None:
        """An A or M was applied to the book."""
        waits = self.clock is not None and self.in_pause(self.clock) and self.now == "closed"
        if waits and not self.by_status:
            self.now = "pre_open"

    def trade_seen(self) -> None:
        if self.now == "pre_open" and not self.by_status:
            self.now = "open"


class NaiveBook:
    """Feed records, read rows.

    instrument_id: the instrument kept; pauses: [start, end) ns, sorted; status: (ts_event ns, index into
    PHASES), sorted. emit_from_ns / emit_to_ns limit which windows and trades are kept, never what is applied.
    wall: "all", a set of window ends, or None. Rows are dicts with the column names of spec 5.
    """

    def __init__(
        self,
        instrument_id: int,
        *,
        tick_int: int = 250_000_000,
        pauses: Sequence[tuple[int, int]] = (),
        status: Sequence[tuple[int, int]] = (),
        emit_from_ns: int | None = None,
        emit_to_ns: int | None = None,
        wall: Literal["all"] | set[int] | None = "all",
        radar: bool = True,
    ) -> None:
        self.instrument_id = instrument_id
        self.tick_int = tick_int
        self.emit_from_ns = emit_from_ns
        self.emit_to_ns = emit_to_ns
        self.wall_wanted = wall
        self.radar_wanted = radar

        self.snapshots: list[dict[str, Any]] = []
        self.wall: list[dict[str, Any]] = []
        self.radar: list[dict[str, Any]] = []
        self.trades: list[dict[str, Any]] = []
        self.counters: dict[str, int] = dict.fromkeys(COUNTERS, 0)
        self.window_valid: dict[int, bool] = {}  # by window end, all windows, also without wall rows

        # the book
        self.orders: dict[int, Order] = {}
        self.depth: Depth = {ASK: {}, BID: {}}
        self.complete = False
        self.bad = False
        self.in_snapshot = False
        self.snapshot_ts_recv = 0
        self.awaits_last = False
        self.last_trade = 0
        self.phase = Phase(pauses, status)
        self.available_ts = 0
        self.trade_idx = 0

        # the event
        self.event_records = 0
        self.filled: Counter[int] = Counter()
        self.aggressor_id: int | None = None
        self.event_trades: list[dict[str, Any]] = []

        # the window
        self.window_start: int | None = None
        self.start_depth: Depth | None = None
        self.window_is_valid = True
        self.window_has_reset = False
        self.past: list[Depth] = []
        self.radar_series = RadarSeries()
        self._clear_level_flows()
        self._clear_window_counts()

    # ---- the three doors -------------------------------------------------------------------------------

    def apply(self, records: Iterable[Rec]) -> None:
        for rec in records:
            if rec.instrument_id != self.instrument_id:
                self.counters["foreign_records"] += 1
                continue
            self.counters["records"] += 1
            if rec.flags & F_SNAPSHOT:
                self._snapshot_record(rec)
            else:
                self._plain_record(rec)

    def advance(self, ts_ns: int) -> None:
        """Close every window with window_end <= ts_ns without a record."""
        if self.window_start is not None and self.window_end <= ts_ns:
            self._end_event(terminated=False)
            self._close_windows_ending_by(ts_ns)

    def finish(self) -> None:
        """End of the stream: close the open event and the current window."""
        self._end_event(terminated=False)
        if self.window_start is not None:
            self._close_window()
        else:  # late trades, and no window ever opened: each counts by its own second
            self.trades += [
                row
                for row in self.window_trades
                if self._is_emitted(row["ts_event_ns"] - row["ts_event_ns"] % WINDOW_NS)
            ]
        self.window_start = None

    # ---- records ---------------------------------------------------------------------------------------

    def _snapshot_record(self, rec: Rec) -> None:
        self.counters["snapshot_records"] += 1
        starts = not self.in_snapshot or rec.action == "R" or rec.ts_recv != self.snapshot_ts_recv
        if starts:
            self.counters["snapshots"] += 1
            self._end_event(terminated=False)
            if self.window_start is not None:
                self._close_windows_ending_by(rec.ts_recv)
            self._empty_the_book()
            self.in_snapshot = True
            self.snapshot_ts_recv = rec.ts_recv
            self.awaits_last = False
        if rec.action == "A":
            self._snapshot_add(rec)
        elif rec.action != "R":
            self.counters["snapshot_not_add"] += 1
        if rec.flags & F_MAYBE_BAD_BOOK:
            self.bad = True
        if rec.flags & F_LAST:
            self.in_snapshot = False
            self.complete = not self.bad
            self.window_is_valid = False

    def _snapshot_add(self, rec: Rec) -> None:
        if self._is_unusable(rec):
            return
        if rec.order_id in self.orders:
            self.counters["duplicate_adds"] += 1
        self._put(rec.order_id, order_after(None, rec))

    def _plain_record(self, rec: Rec) -> None:
        late = self._is_late(rec)
        if late:
            self.counters["late_records"] += 1
        elif self.window_start is not None and rec.ts_event >= self.window_end:
            self._end_event(terminated=False)
            self._close_windows_ending_by(rec.ts_event)
        if self.in_snapshot:
            self.in_snapshot = False
            self.complete = not self.bad
        if not late:
            if self.window_start is None:
                self._open_window(rec.ts_event - rec.ts_event % WINDOW_NS)
            self.phase.move(rec.ts_event)
        if not self.complete:
            self.window_is_valid = False

        self.available_ts = max(self.available_ts, rec.ts_recv)
        self.event_records += 1
        self._apply_action(rec)

        if rec.flags & F_MAYBE_BAD_BOOK:
            self.complete = False
            self.bad = True
            self.window_is_valid = False
        if rec.flags & F_LAST:
            if self.awaits_last:
                self.awaits_last = False
                self.complete = not self.bad
            self._end_event(terminated=True)

    def _is_late(self, rec: Rec) -> bool:
        day_start = rec.ts_recv - rec.ts_recv % DAY_NS
        return (
            (self.window_start is not None and rec.ts_event < self.window_start)
            or rec.ts_event > rec.ts_recv + SECOND_NS
            or rec.ts_event < day_start - HOUR_NS
            or rec.ts_event >= day_start + DAY_NS + HOUR_NS
        )

    def _apply_action(self, rec: Rec) -> None:
        if rec.action == "A":
            self._add(rec)
        elif rec.action == "C":
            self._cancel(rec)
        elif rec.action == "M":
            self._modify(rec)
        elif rec.action == "T":
            self._trade(rec)
        elif rec.action == "F":
            self._fill(rec)
        elif rec.action == "R":
            self.counters["clears"] += 1
            self.filled.clear()
            self._empty_the_book()
            self.awaits_last = True
        elif rec.action != "N":
            self.counters["unknown_actions"] += 1

    def _is_unusable(self, rec: Rec) -> bool:
        """True, and counted, when an A or M cannot enter the book (docs/decisions/0002, rule 10)."""
        if rec.price == UNDEF_PRICE:
            reason = "undef_prices"
        elif rec.price % self.tick_int != 0:
            reason = "off_tick_prices"
        elif rec.size > MAX_SIZE:
            reason = "bad_sizes"
        elif rec.side not in SIDES and (rec.action == "A" or rec.order_id not in self.orders):
            reason = "bad_sides"
        else:
            return False
        self.counters[reason] += 1
        return True

    def _add(self, rec: Rec) -> None:
        if self._is_unusable(rec):
            return
        self._remember_for_radar(rec, filled=0)
        before = self.orders.get(rec.order_id)
        if before is not None:
            self.counters["duplicate_adds"] += 1
            self._pull(before, before.qty, rec.ts_event)
        self._flow(rec.side, rec.price)["add"] += rec.size
        self._put(rec.order_id, order_after(before, rec))
        self.phase.order_seen()

    def _cancel(self, rec: Rec) -> None:
        if rec.size > MAX_SIZE:
            self.counters["bad_sizes"] += 1
            return
        before = self.orders.get(rec.order_id)
        if before is None:
            self.counters["unknown_cancels"] += 1
            return
        filled = self.filled.pop(rec.order_id, 0)
        self._remember_for_radar(rec, filled)
        if rec.size > before.qty:
            self.counters["oversized_cancels"] += 1
        cancelled = min(rec.size, before.qty)
        shown = min(filled, cancelled)
        hidden = filled - shown
        flow = self._flow(before.side, before.price)
        flow["fill"] += shown + hidden
        flow["add"] += hidden
        self._pull(before, cancelled - shown, rec.ts_event)
        self.counters["hidden_qty_cancel"] += hidden
        self._put(rec.order_id, order_after(before, rec))

    def _modify(self, rec: Rec) -> None:
        if self._is_unusable(rec):
            return
        before = self.orders.get(rec.order_id)
        if before is None:
            self.counters["unknown_modifies"] += 1
            self._remember_for_radar(rec, filled=0)
            self._flow(rec.side, rec.price)["add"] += rec.size
        else:
            filled = self.filled.pop(rec.order_id, 0)
            self._remember_for_radar(rec, filled)
            if rec.side != before.side:
                self.counters["side_changes"] += 1
            if rec.price == before.price:
                self._modify_in_place(before, rec, filled)
            else:
                self._reprice(before, rec, filled)
        self._put(rec.order_id, order_after(before, rec))
        self.phase.order_seen()

    def _modify_in_place(self, before: Order, rec: Rec, filled: int) -> None:
        flow = self._flow(before.side, before.price)
        flow["fill"] += filled
        grown = rec.size - before.qty + filled
        if grown > 0:
            flow["add"] += grown
            if filled > 0:
                self.counters["hidden_qty_modify"] += grown
        else:
            self._pull(before, -grown, rec.ts_event)

    def _reprice(self, before: Order, rec: Rec, filled: int) -> None:
        shown = min(filled, before.qty)
        hidden = filled - shown
        flow = self._flow(before.side, before.price)
        flow["fill"] += shown + hidden
        flow["add"] += hidden
        self._pull(before, before.qty - shown, rec.ts_event)
        self.counters["hidden_qty_modify"] += hidden
        self._flow(before.side, rec.price)["add"] += rec.size

    def _trade(self, rec: Rec) -> None:
        if rec.price == UNDEF_PRICE:
            self.counters["undef_prices"] += 1
        elif rec.price % self.tick_int != 0:
            self.counters["off_tick_prices"] += 1
        elif rec.price > 0:
            self.last_trade = rec.price
        qty = rec.size
        if rec.size > MAX_SIZE:
            self.counters["bad_sizes"] += 1
            qty = 0
        self.phase.trade_seen()
        self.aggressor_id = rec.order_id
        self.trade_count += 1
        if rec.side == BID:
            self.buy_qty += qty
        elif rec.side == ASK:
            self.sell_qty += qty
        row = {
            "ts_event_ns": rec.ts_event,
            "ts_recv_ns": rec.ts_recv,
            "sequence": rec.sequence,
            "trade_idx": self.trade_idx,
            "price_int": rec.price,
            "qty": qty,
            "aggressor_side": rec.side,
            "order_id": rec.order_id,
            "resting_fill_count": 0,
            "resting_fill_qty": 0,
            "sweep_level_count": 0,
            "is_auction": rec.side == "N",
            "phase": self.phase.now,
        }
        self.trade_idx += 1
        self.event_trades.append(row)
        self.window_trades.append(row)

    def _fill(self, rec: Rec) -> None:
        if rec.size > MAX_SIZE:
            self.counters["bad_sizes"] += 1
            return
        if self.aggressor_id is not None and rec.order_id == self.aggressor_id:
            self.counters["aggressor_fills"] += 1
            self.counters["aggressor_fill_qty"] += rec.size
            return
        self.filled[rec.order_id] += rec.size
        if self.event_trades:
            self.event_trades[-1]["resting_fill_count"] += 1
            self.event_trades[-1]["resting_fill_qty"] += rec.size

    # ---- book ------------------------------------------------------------------------------------------

    def _put(self, order_id: int, after: Order | None) -> None:
        """Replace an order by its next state and move its quantity in the depth."""
        before = self.orders.pop(order_id, None)
        if before is not None:
            self._change_depth(before.side, before.price, -before.qty)
        if after is not None:
            self.orders[order_id] = after
            self._change_depth(after.side, after.price, after.qty)

    def _change_depth(self, side: str, price: int, change: int) -> None:
        level = self.depth[side]
        level[price] = level.get(price, 0) + change
        if level[price] < 0:
            self.counters["negative_depths"] += 1
        if level[price] == 0:
            del level[price]

    def _empty_the_book(self) -> None:
        """START of a snapshot, or R: a book reset."""
        self.orders.clear()
        self.depth = {ASK: {}, BID: {}}
        self.complete = False
        self.bad = False
        self._clear_level_flows()
        self.window_is_valid = False
        self.window_has_reset = True
        if self.window_start is None:
            self.start_depth = None

    def best_bid(self) -> int | None:
        return max(self.depth[BID], default=None)

    def best_ask(self) -> int | None:
        return min(self.depth[ASK], default=None)

    def is_crossed(self) -> bool:
        bid, ask = self.best_bid(), self.best_ask()
        return bid is not None and ask is not None and bid >= ask

    def _copy_depth(self) -> Depth:
        return {side: dict(self.depth[side]) for side in SIDES}

    # ---- flows of the window ---------------------------------------------------------------------------

    def _flow(self, side: str, price: int) -> dict[str, int]:
        """Accumulators of a level; naming a level makes it touched."""
        if self.window_start is None and self.start_depth is None:
            self.start_depth = self._copy_depth()  # before the first late record that changes the book
        return self.flows.setdefault((side, price), {"add": 0, "pull": 0, "pull_rest": 0, "fill": 0})

    def _pull(self, order: Order, qty: int, ts_event: int) -> None:
        flow = self._flow(order.side, order.price)
        flow["pull"] += qty
        if ts_event - order.t_enter_ns >= REST_NS:
            flow["pull_rest"] += qty

    def _remember_for_radar(self, rec: Rec, filled: int) -> None:
        self.touched_orders.setdefault(rec.order_id, self.orders.get(rec.order_id))
        self.book_events.append(BookEvent(rec, filled))

    def _clear_level_flows(self) -> None:
        self.flows: dict[tuple[str, int], dict[str, int]] = {}
        self.touched_orders: dict[int, Order | None] = {}
        self.book_events: list[BookEvent] = []

    def _clear_window_counts(self) -> None:
        self.event_count = 0
        self.crossed_event_count = 0
        self.buy_qty = 0
        self.sell_qty = 0
        self.trade_count = 0
        self.window_trades: list[dict[str, Any]] = []

    # ---- events ----------------------------------------------------------------------------------------

    def _end_event(self, *, terminated: bool) -> None:
        if self.event_records == 0:
            return
        self.counters["events"] += 1
        if not terminated:
            self.counters["unterminated_events"] += 1
        self.event_count += 1
        if self.is_crossed():
            self.crossed_event_count += 1
            self.counters[f"crossed_{self.phase.now}"] += 1
            self.window_is_valid = False
        for order_id, qty in self.filled.items():
            if qty > 0:
                kind = "unmatched" if order_id in self.orders else "unknown"
                self.counters[f"{kind}_fill_orders"] += 1
                self.counters[f"{kind}_fill_qty"] += qty
        for row in self.event_trades:
            row["sweep_level_count"] = len(self.event_trades)
        self.event_records = 0
        self.filled.clear()
        self.aggressor_id = None
        self.event_trades = []

    # ---- windows ---------------------------------------------------------------------------------------

    @property
    def window_end(self) -> int:
        assert self.window_start is not None, "no window is open"
        return self.window_start + WINDOW_NS

    def _open_window(self, start_ns: int) -> None:
        self.window_start = start_ns
        if self.start_depth is None:
            self.start_depth = self._copy_depth()
        self.window_is_valid = not self.is_crossed()
        self.window_has_reset = False

    def _close_windows_ending_by(self, ts_ns: int) -> None:
        while self.window_end <= ts_ns:
            next_start = self.window_end
            self._close_window()
            self._open_window(next_start)

    def _close_window(self) -> None:
        """Rows of the current window; no event is open any more."""
        window_end = self.window_end
        self.phase.move(window_end - 1)
        book_valid = self.complete and not self.in_snapshot and not self.is_crossed()
        window_valid = (
            self.window_is_valid and self.complete and not self.in_snapshot and self.phase.now == "open"
        )
        self.window_valid[window_end] = window_valid
        spot = self.last_trade
        if spot <= 0:
            best_bid = self.best_bid()
            spot = best_bid if book_valid and best_bid is not None else 0
        end_depth = self._copy_depth()
        if self.window_has_reset or not self.past:
            self.past = [end_depth, end_depth, end_depth]
        if not self.window_has_reset:
            self._check_identity(end_depth)
        else:
            self.radar_series.restart_derivatives()

        emitted = self._is_emitted(window_end - WINDOW_NS)
        if emitted:
            self.snapshots.append(self._snapshot_row(spot, book_valid))
            self.trades += self.window_trades
        if spot > 0:
            if emitted and (
                self.wall_wanted == "all" or (self.wall_wanted is not None and window_end in self.wall_wanted)
            ):
                self.wall += self._wall_rows(spot, end_depth, window_valid)
            if self.radar_wanted:
                row = self._radar_row(spot, end_depth)
                if emitted:
                    self.radar.append(row)

        self.past = [end_depth, *self.past[:2]]
        self.start_depth = None
        self._clear_level_flows()
        self._clear_window_counts()

    def _is_emitted(self, window_start: int) -> bool:
        from_ok = self.emit_from_ns is None or window_start >= self.emit_from_ns
        to_ok = self.emit_to_ns is None or window_start + WINDOW_NS <= self.emit_to_ns
        return from_ok and to_ok

    def _check_identity(self, end_depth: Depth) -> None:
        assert self.start_depth is not None
        for (side, price), flow in self.flows.items():
            wanted = self.start_depth[side].get(price, 0) + flow["add"] - flow["pull"] - flow["fill"]
            if end_depth[side].get(price, 0) != wanted:
                self.counters["identity_violations"] += 1

    def _snapshot_row(self, spot: int, book_valid: bool) -> dict[str, Any]:
        bid, ask = self.best_bid(), self.best_ask()
        mid_int = (bid + ask) // 2 if bid is not None and ask is not None else 0
        return {
            "window_start_ts_ns": self.window_start,
            "window_end_ts_ns": self.window_end,
            "best_bid_price_int": bid if bid is not None else 0,
            "best_bid_qty": self.depth[BID][bid] if bid is not None else 0,
            "best_ask_price_int": ask if ask is not None else 0,
            "best_ask_qty": self.depth[ASK][ask] if ask is not None else 0,
            "mid_price": mid_int * 1e-9,
            "mid_price_int": mid_int,
            "last_trade_price_int": self.last_trade,
            "spot_ref_price_int": spot,
            "book_valid": book_valid,
            "phase": self.phase.now,
            "crossed_event_count": self.crossed_event_count,
            "event_count": self.event_count,
            "buy_qty": self.buy_qty,
            "sell_qty": self.sell_qty,
            "trade_count": self.trade_count,
            "available_ts_ns": self.available_ts,
        }

    def _wall_prices(self, side: str, spot: int, end_depth: Depth) -> list[int]:
        """Prices of a side that have a row: occupied at start or end, or touched; near enough to spot."""
        assert self.start_depth is not None
        prices = self.start_depth[side].keys() | end_depth[side].keys()
        for (flow_side, price), flow in self.flows.items():
            if flow_side == side and (flow["add"] > 0 or flow["pull"] > 0 or flow["fill"] > 0):
                prices.add(price)
        reach = HUD_MAX_TICKS * self.tick_int
        return sorted(price for price in prices if abs(price - spot) <= reach)

    def _wall_rows(self, spot: int, end_depth: Depth, window_valid: bool) -> list[dict[str, Any]]:
        assert self.start_depth is not None
        entered_by = self.window_end - REST_NS
        resting: Depth = {ASK: {}, BID: {}}
        for side, price, qty, t_enter_ns in self.orders.values():
            if t_enter_ns <= entered_by:
                resting[side][price] = resting[side].get(price, 0) + qty
        no_flow = {"add": 0, "pull": 0, "pull_rest": 0, "fill": 0}
        rows = []
        for side in SIDES:
            for price in self._wall_prices(side, spot, end_depth):
                flow = self.flows.get((side, price), no_flow)
                e0, e1, e2, e3 = (depth[side].get(price, 0) for depth in (end_depth, *self.past))
                rows.append(
                    {
                        "window_start_ts_ns": self.window_start,
                        "window_end_ts_ns": self.window_end,
                        "price_int": price,
                        "side": side,
                        "spot_ref_price_int": spot,
                        "rel_ticks": (price - spot) // self.tick_int,
                        "depth_qty_start": self.start_depth[side].get(price, 0),
                        "depth_qty_end": e0,
                        "add_qty": flow["add"],
                        "pull_qty_total": flow["pull"],
                        "fill_qty": flow["fill"],
                        "depth_qty_rest": resting[side].get(price, 0),
                        "pull_qty_rest": flow["pull_rest"],
                        "d1_depth_qty": e0 - e1,
                        "d2_depth_qty": e0 - 2 * e1 + e2,
                        "d3_depth_qty": e0 - 3 * e1 + 3 * e2 - e3,
                        "window_valid": window_valid,
                    }
                )
        return rows

    def _radar_row(self, spot: int, end_depth: Depth) -> dict[str, Any]:
        assert self.start_depth is not None
        assert self.window_start is not None
        values = features(
            self.start_depth, end_depth, self.book_events, self.touched_orders, spot, self.tick_int
        )
        return self.radar_series.row(self.window_start, self.window_end, spot, values)
