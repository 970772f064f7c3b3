"""Driver of the futures kernel: owns the arrays, draws the random words, hands out chunks.

A `Market` is one contract. `Market.play(t_stop_ns)` yields `Chunk`s (records, truth, logs) in time order; the
bytes do not depend on where the chunks are cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from simex import futures_kernel as k
from simex.feed import (
    F_BAD_TS_RECV,
    F_LAST,
    F_SNAPSHOT,
    UNDEF_PRICE,
    Instrument,
    Words,
    blank,
    word0,
    words_of,
)

Ints = npt.NDArray[np.int64]

DRAWS: Final = 1 << 16
FULL_RANGE: Final = 1 << 32
LAYOUTS: Final = ("modern", "legacy", "legacy-168")


def thresholds() -> Ints:
    """int64[P_SIZE]: the choices of the agents (exchange.md B2), calibrated on B9 with `simex.likeness`.

    Probabilities in 2^-32, times in ns. Where two rows of one choice follow each other they are cumulative.
    """
    p: dict[int, float] = {
        k.P_KIND_A: 0.46,
        k.P_KIND_M: 0.32,
        k.P_KIND_T: 0.18,
        k.P_GEO_A: 0.38,
        k.P_GEO_M: 0.38,
        k.P_GEO_T: 0.78,
        k.P_GEO_C: 0.34,
        k.P_CHILD_A_ADD: 0.58,
        k.P_CHILD_A_MOVE: 0.89,
        k.P_CHILD_A_TRADE: 0.94,
        k.P_CHILD_T_ADD: 0.54,
        k.P_CHILD_T_MOVE: 0.79,
        k.P_CHILD_T_TRADE: 0.91,
        k.P_FAST: 0.36,
        k.P_MIDDLE: 0.9,
        k.P_INSIDE: 0.7,
        k.P_TOUCH: 0.60,
        k.P_NEXT: 0.665,
        k.P_FLASH: 0.095,
        k.P_QUICK: 0.145,
        k.P_PERSIST: 0.5,
        k.P_NEAR_POOL: 0.05,
        k.P_FAR_POOL: 0.08,
        k.P_SAME_SIGN: 0.7,
        k.P_KEEP_SIGN: 0.2,
        k.P_ICEBERG: 0.001,
        k.P_MOVE_NEAR: 0.47,
        k.P_MOVE_TOWARD: 0.54,
        k.P_SIZE_DOWN: 0.26,
        k.P_SIZE_UP: 0.45,
        k.P_SHARE_PACKET: 0.30,
        k.P_CLOCK_CHILD: 0.3,
        k.P_FULL_TOUCH: 0.30,
    }
    out = np.zeros(k.P_SIZE, dtype=np.int64)
    for row, probability in p.items():
        out[row] = int(probability * FULL_RANGE)
    out[k.P_DEEP_LIMIT] = 30  # of 1024
    out[k.P_REST] = 13_000  # of 65536
    out[k.P_DOWN_ONLY] = 7_000  # of 65536
    out[k.P_TAU_FAST] = 25_000
    out[k.P_TAU_MIDDLE] = 420_000
    out[k.P_TAU_SLOW] = 3_000_000_000
    out[k.P_TAU_FLASH] = 400_000
    out[k.P_TAU_QUICK] = 40_000_000
    out[k.P_LIFE_TOUCH] = 20_000_000_000
    out[k.P_LIFE_NEXT] = 9_000_000_000
    out[k.P_LIFE_DEEP] = 40_000_000_000
    out[k.P_CONTROL] = 7
    out[k.P_OWNERS] = 64
    out[k.P_PREOPEN_SPAN] = 24
    return out


@dataclass(frozen=True)
class MarketPlan:
    """When and how much: all that a market is told from outside. Times in UTC ns, on whole seconds.

    rates int64[seconds, R_FIELDS] from t_begin on; script int64[n, S_FIELDS] sorted by time;
    silent pairs of times without any event; phase at t_begin.
    """

    t_begin: int
    t_zero: int
    t_end: int
    rates: Ints
    script: Ints
    silent: tuple[tuple[int, int], ...]
    phase: int


@dataclass(frozen=True)
class Chunk:
    """A stretch of the day: records, truth rows of levels and windows, quarter-second microprice, log."""

    words: Words
    levels: Ints
    windows: Ints
    microprice: Ints
    log: Ints


class Market:
    """One contract from its opening stock to the end of the plan."""

    def __init__(
        self, instrument: Instrument, plan: MarketPlan, seed: int, stream: int, tables: Ints, *, logging: bool
    ) -> None:
        self.instrument = instrument
        self.plan = plan
        self._bits = [np.random.PCG64(np.random.SeedSequence([seed, stream, c])) for c in range(k.CLASSES)]
        self._tables = tables
        self._p = thresholds()
        self._script = plan.script.copy()
        g = self._g = np.zeros(k.G_SIZE, dtype=np.int64)
        self._o = np.zeros((0, k.O_FIELDS), dtype=np.int64)
        self._q = np.zeros((0, k.Q_FIELDS), dtype=np.int64)
        self._l = np.zeros((2 * k.LADDER_TICKS, k.L_FIELDS), dtype=np.int64)
        self._l[:, k.L_HEAD] = self._l[:, k.L_TAIL] = -1
        self._l[:, k.L_MARK] = -1
        self._k = np.zeros(2 * k.LADDER_TICKS, dtype=np.int64)
        self._e = np.zeros((1 << 17, 7), dtype=np.int64)
        self._x = np.zeros(((1 << 17) if logging else k.RECORD_MARGIN + 1, k.X_FIELDS), dtype=np.int64)
        self._ev = np.zeros((k.EV_ROWS, 4), dtype=np.int64)
        self._tl = np.zeros((1 << 16, k.TL_FIELDS), dtype=np.int64)
        self._tw = np.zeros((1 << 12, k.TW_FIELDS), dtype=np.int64)
        self._mp = np.zeros(1 << 14, dtype=np.int64)
        self._b = np.zeros((2, 4096), dtype=np.int64)
        blocks = ((plan.t_end - plan.t_begin) >> k.BLOCK_BITS) + 2
        self._h = np.zeros(k.H_FAR + blocks, dtype=np.int64)
        self._h[: k.H_BITS] = -1
        self._h[k.H_FAR :] = -1
        self._d = np.zeros((k.CLASSES, DRAWS), dtype=np.int64)
        g[k.G_DRAW : k.G_DRAW + k.CLASSES] = DRAWS

        g[k.G_NOW] = g[k.G_LAST_EVENT] = plan.t_begin
        g[k.G_T_BEGIN] = g[k.G_ORIGIN] = g[k.G_T_IMMIGRANT] = plan.t_begin
        g[k.G_BLOCKS] = blocks
        g[k.G_NEXT_ROLL] = plan.t_begin + k.QUARTER_NS
        g[k.G_FREE] = g[k.G_ITEM_FREE] = -1
        g[k.G_BID], g[k.G_ASK] = k.NO_BID, k.NO_ASK
        g[k.G_TICK0] = instrument.centre_price_int // instrument.tick_int - k.LADDER_TICKS // 2
        g[k.G_TICK_INT] = instrument.tick_int
        g[k.G_W0] = word0(instrument.instrument_id)
        g[k.G_CHANNEL] = instrument.channel_id
        g[k.G_NEXT_ID] = 6_412_777_000_000 + stream * 100_000_000_000
        g[k.G_SEQ] = 1_000_000 + 7_777 * stream
        g[k.G_DELTA] = 15_300
        g[k.G_PHASE] = plan.phase
        g[k.G_LAST_TRADE] = -(1 << 40)
        g[k.G_KAPPA] = 8 * 65536  # records per immigrant, about; the controller finds it
        g[k.G_LOGGING] = int(logging)
        for i, (start, end) in enumerate(plan.silent):
            g[k.G_SILENT + 2 * i], g[k.G_SILENT + 2 * i + 1] = start, end
        g[k.G_N_SILENT] = len(plan.silent)
        self._grow_orders(1 << 15)
        self._grow_items(1 << 15)
        self._refill()
        self._stock()

    # -- resources ---------------------------------------------------------------------------------

    def _grow_orders(self, rows: int) -> None:
        old = len(self._o)
        grown = np.zeros((rows, k.O_FIELDS), dtype=np.int64)
        grown[:old] = self._o
        grown[old:, k.O_NEXT] = np.arange(old + 1, rows + 1)
        grown[rows - 1, k.O_NEXT] = self._g[k.G_FREE]
        self._g[k.G_FREE] = old
        self._g[k.G_N_FREE] += rows - old
        self._o = grown

    def _grow_items(self, rows: int) -> None:
        old = len(self._q)
        grown = np.zeros((rows, k.Q_FIELDS), dtype=np.int64)
        grown[:old] = self._q
        grown[old:, k.Q_NEXT] = np.arange(old + 1, rows + 1)
        grown[rows - 1, k.Q_NEXT] = self._g[k.G_ITEM_FREE]
        self._g[k.G_ITEM_FREE] = old
        self._g[k.G_N_ITEM_FREE] += rows - old
        self._q = grown

    def _refill(self) -> None:
        """Moves the unread words to the front and draws new ones behind them: no word is ever skipped."""
        for c in range(k.CLASSES):
            used = int(self._g[k.G_DRAW + c])
            left = DRAWS - used
            self._d[c, :left] = self._d[c, used:].copy()
            fresh = self._bits[c].random_raw(used) >> np.uint64(32)
            self._d[c, left:] = fresh.astype(np.int64)
            self._g[k.G_DRAW + c] = 0

    # -- opening stock -----------------------------------------------------------------------------

    def _stock(self) -> None:
        """About 9,000 orders as at a day's start: full near the touch, thin and long-lived behind."""
        plan, g = self.plan, self._g
        raw = (
            np.random.PCG64(np.random.SeedSequence([0x5106, int(g[k.G_SEQ])])).random_raw(1 << 17)
            >> np.uint64(32)
        ).astype(np.int64)
        words = iter(raw.tolist())
        mid = int(plan.rates[0, k.R_LATENT]) >> 4
        rows = []
        depth = 500 if self.instrument.tick_int == 250_000_000 else 60
        for side in (0, 1):
            for distance in range(depth):
                tick = mid - distance if side == 0 else mid + 1 + distance
                if distance == 0:
                    n = 14
                elif distance < 10:
                    n = 14 + (next(words) & 7)
                else:
                    n = 3 + (next(words) & 7) + (12 if tick % 20 == 0 else 3 if tick % 4 == 0 else 0)
                for _ in range(n):
                    u = next(words)
                    size = int(self._tables[k.T_ADD_SIZE, u >> 22])
                    if distance >= 10 and u & 1:
                        size = int(self._tables[k.T_TRADE_SIZE, u >> 22])
                    age = next(words) >> 12
                    age_ns = 2_000_000_000 + age * age * (200_000 if distance >= 10 else 3)
                    w = next(words)
                    pool, cancel = -1, 0
                    if distance >= 10:
                        if w % 25 == 0:
                            pool = 1
                        if w % 4 == 0:
                            cancel = plan.t_begin + 1 + (w >> 2) * 20_000
                    else:
                        if w % 12 == 0:
                            pool = 0
                        life = int(plan.rates[0, k.R_LIFE_NEAR]) * (20 if distance == 0 else 90)
                        cancel = plan.t_begin + 1 + (w >> 4) * life * 4 // 65536
                    rows.append((side, tick, size, 1 + (w & 63), plan.t_begin - age_ns, pool, cancel))
        rows.sort(key=lambda row: row[4])
        orders = np.array(rows, dtype=np.int64)
        k.seed_book(g, self._o, self._l, self._k, self._b, self._h, self._q, orders)

    # -- time --------------------------------------------------------------------------------------

    def play(self, t_stop_ns: int) -> Iterator[Chunk]:
        """Yields chunks until every event before t_stop_ns has happened."""
        while True:
            status = k.run(
                self._g, self._o, self._l, self._k, self._e, self._x, self._ev, self._d, self._tables,
                self._p, self.plan.rates, self._script, self._h, self._q, self._b, self._tl, self._tw,
                self._mp, t_stop_ns,
            )  # fmt: skip
            if status == k.NEED_DRAWS:
                self._refill()
            elif status == k.NEED_ITEMS:
                self._grow_items(2 * len(self._q))
            elif status == k.NEED_SLOTS:
                self._grow_orders(2 * len(self._o))
            else:
                yield self._drain()
                if status == k.DONE:
                    return

    def _drain(self) -> Chunk:
        g = self._g
        n, n_log, n_tl, n_tw, n_mp = (int(g[i]) for i in (k.G_N, k.G_N_LOG, k.G_N_TL, k.G_N_TW, k.G_N_MP))
        chunk = Chunk(
            self._e[:n].copy(),
            self._tl[:n_tl].copy(),
            self._tw[:n_tw].copy(),
            self._mp[:n_mp].copy(),
            self._x[:n_log].copy(),
        )
        g[k.G_SECOND_N] -= n
        g[[k.G_N, k.G_N_LOG, k.G_N_TL, k.G_N_TW, k.G_N_MP]] = 0
        return chunk

    def warm_up(self) -> int:
        """Lives from t_begin to t_zero without records, then makes every resting order 1.5 s older.

        Returns the microprice at t_zero (1e-9; 0 in a crossed book).
        """
        last = 0
        for chunk in self.play(self.plan.t_zero):
            last = int(chunk.microprice[-1]) if len(chunk.microprice) else last
        live = self._o[:, k.O_ID] > 0
        self._o[live, k.O_T_PRIORITY] -= 1_500_000_000
        self._g[k.G_LAST_TRADE] = -(1 << 40)
        self._g[k.G_N_T] = self._g[k.G_N_F] = 0
        return last

    # -- state -------------------------------------------------------------------------------------

    def resting(self) -> Ints:
        """int64[n, O_FIELDS] of all resting orders, by time priority."""
        live = self._o[self._o[:, k.O_ID] > 0]
        order = np.lexsort((live[:, k.O_ID], live[:, k.O_T_PRIORITY]))
        return np.asarray(live[order])

    def price_int(self, tick: npt.NDArray[np.int64]) -> Ints:
        """Ladder ticks to prices in 1e-9."""
        return np.asarray((tick + self._g[k.G_TICK0]) * self._g[k.G_TICK_INT])

    @property
    def last_recv_ns(self) -> int:
        """Arrival time of the last record."""
        return int(self._g[k.G_RECV])

    def delay_feed(self, ts_recv_ns: int) -> None:
        """No later record arrives before ts_recv_ns (a recovery snapshot has been sent)."""
        self._g[k.G_RECV] = max(self.last_recv_ns, ts_recv_ns)

    def snapshot(self, layout: str, ts_recv_ns: int) -> Words:
        """The resting book as snapshot records (exchange.md C5), priority order kept inside each price."""
        return words_of(snapshot_records(self.resting(), self, layout, ts_recv_ns))


def snapshot_records(orders: Ints, market: Market, layout: str, ts_recv_ns: int) -> npt.NDArray[Any]:
    """`modern`: R, adds by ts_event, last 168. `legacy`: bids from the best, then asks, one ts_event."""
    instrument = market.instrument
    modern = layout == "modern"
    if not modern:
        side = orders[:, k.O_SIDE]
        toward = np.where(side == 0, -orders[:, k.O_TICK], orders[:, k.O_TICK])
        orders = orders[np.lexsort((np.arange(len(orders)), toward, side))]
    out = blank(len(orders) + modern, instrument.instrument_id, instrument.channel_id)
    body = out[1:] if modern else out
    body["action"] = ord("A")
    body["side"] = np.where(orders[:, k.O_SIDE] == 0, ord("B"), ord("A"))
    body["order_id"] = orders[:, k.O_ID]
    body["price"] = market.price_int(orders[:, k.O_TICK])
    body["size"] = orders[:, k.O_QTY]
    body["ts_event"] = orders[:, k.O_T_PRIORITY] if modern else ts_recv_ns - 10 * 3_600 * 1_000_000_000
    body["sequence"] = orders[:, k.O_SEQ] if modern else 682
    if modern:
        out[0]["action"] = ord("R")
        out[0]["side"] = ord("N")
        out[0]["price"] = UNDEF_PRICE
        out[0]["ts_event"] = ts_recv_ns
        out[0]["sequence"] = 0
    out["flags"] = F_SNAPSHOT | F_BAD_TS_RECV
    out["ts_recv"] = ts_recv_ns
    if layout != "legacy" and len(out):
        out[-1]["flags"] |= F_LAST
    return out
