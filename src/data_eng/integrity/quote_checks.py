"""What must be true of option_quote_1s by itself: rows, quotes, reasons, volatilities, Greeks (spec 7.3).

Formulas are written out here a second time. Blocks of whole windows come in, tallies come out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_eng.integrity import plain_black76 as black76
from data_eng.integrity.findings import MAX_OFFENDERS, Check, Tally
from data_eng.integrity.rows import Array, Bools, Ints, Rows
from data_eng.units import PRICES_PER_POINT, WINDOW_NS

QUOTE_COLUMNS: Final = (
    "window_end_ts_ns",
    "instrument_id",
    "strike_price_int",
    "right",
    "bid_price_int",
    "ask_price_int",
    "bid_qty",
    "ask_qty",
    "mid_price",
    "mid_age_s",
    "seconds_to_expiry",
    "open_interest",
    "open_interest_ts_ns",
    "implied_vol",
    "delta",
    "gamma",
    "vega",
    "implied_vol_mid_forward",
    "reason",
)
MODEL_COLUMNS: Final = ("implied_vol", "delta", "gamma", "vega")
REACH_INT: Final = 200 * PRICES_PER_POINT
MAX_AGE_S: Final = 60.0
VOL_LOW: Final = 1e-6
VOL_HIGH: Final = 5.0
PRICE_TOL: Final = 2e-10
"""1e-10 of the solver, and what rounding leaves of F N(d1) - K N(d2)"""
REL_TOL: Final = 1e-9
TINY: Final = 1e-300


@dataclass(frozen=True)
class Figures:
    """Open interest as announced: per instrument, ascending ts_recv_ns and the figures, contracts."""

    ts_recv_ns: Mapping[int, Ints]
    contracts: Mapping[int, Array]

    def at(self, instrument_id: int, window_end: Ints) -> tuple[Array, Ints]:
        """(figure, its ts_recv_ns) of the latest message before each window's end; 0 where there is none."""
        times = self.ts_recv_ns.get(instrument_id)
        if times is None:
            return np.zeros(len(window_end)), np.zeros(len(window_end), np.int64)
        place = np.searchsorted(times, window_end, side="left") - 1
        known = place >= 0
        return (
            np.where(known, self.contracts[instrument_id][place], 0.0),
            np.where(known, times[place], 0),
        )


@dataclass(frozen=True)
class QuoteContext:
    """Windows of the snapshot (int64[n] ascending), spot and mid in 1e-9 points, rate, and what is listed.

    chain: int64[k, 2] of (strike, instrument id), ascending: every option that the table names anywhere.
    figures: announced open interest, or None when the lake has none to compare with.
    """

    window_end: Ints
    spot_int: Ints
    mid_int: Ints
    rate: float
    chain: Ints
    figures: Figures | None


class QuotePass:
    """Judges blocks of option_quote_1s; `checks()` at the end."""

    def __init__(self, context: QuoteContext) -> None:
        self.context = context
        self.rows_per_window = np.zeros(len(context.window_end), np.int64)
        self.live_per_window = np.zeros(len(context.window_end), np.int64)
        self.ok_per_window = np.zeros(len(context.window_end), np.int64)
        self.rows = 0
        self._last_key: tuple[int, int, int, int] | None = None
        self._tallies = {
            name: Tally(name, "rows")
            for name in (
                "quote_keys",
                "quote_finite",
                "quote_prices",
                "quote_mid",
                "quote_reasons",
                "quote_vol",
                "quote_vol_mid_forward",
                "quote_greeks",
            )
        }
        if context.figures is not None:
            self._tallies["quote_open_interest"] = Tally("quote_open_interest", "rows")

    def examine_nulls(self, batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        """Passes batches through; NaN where there should be null, or infinity anywhere, is counted here."""
        for batch in batches:
            bad = np.zeros(batch.num_rows, bool)
            for field in batch.schema:
                if pa.types.is_floating(field.type):
                    column = batch.column(field.name)
                    finite = pc.fill_null(pc.is_finite(column), True)
                    bad |= ~np.asarray(finite.to_numpy(zero_copy_only=False), dtype=bool)
            ends = np.asarray(batch.column("window_end_ts_ns"))
            for row in np.flatnonzero(bad)[:MAX_OFFENDERS]:
                self._tallies["quote_finite"].add(0, [f"window_end {ends[row]}: not finite"], 0)
            self._tallies["quote_finite"].add(len(bad), (), int(np.count_nonzero(bad)))
            yield batch

    def examine(self, rows: Rows) -> Array:
        """Judge whole windows of quotes; returns float64[n] exposure without multiplier (0 = no weight)."""
        self.rows += len(rows)
        at = np.searchsorted(self.context.window_end, rows["window_end_ts_ns"])
        at = np.minimum(at, len(self.context.window_end) - 1)
        self._keys(rows, at)
        self._prices(rows)
        self._mid(rows)
        self._open_interest(rows)
        spot = self.context.spot_int[at] / PRICES_PER_POINT
        mid = self.context.mid_int[at] / PRICES_PER_POINT
        self._reasons(rows, spot)
        self._vol(rows, spot, "implied_vol", "quote_vol", np.ones(len(rows), bool))
        self._vol(rows, mid, "implied_vol_mid_forward", "quote_vol_mid_forward", mid > 0)
        self._greeks(rows, spot)
        ok = rows["reason"] == "ok"
        live = (rows["seconds_to_expiry"] > 0) & (rows["open_interest"] > 0)
        np.add.at(self.rows_per_window, at, 1)
        np.add.at(self.live_per_window, at, live)
        np.add.at(self.ok_per_window, at, ok)
        return np.where(ok, rows["gamma"] * rows["open_interest"], 0.0)

    def checks(self) -> list[Check]:
        """Findings, one per check, and whether every window has all of its options."""
        return [*(tally.check() for tally in self._tallies.values()), self._complete()]

    # ---- single checks

    def _keys(self, rows: Rows, at: Ints) -> None:
        """Sorted by (window, strike, C before P, instrument), unique; windows of the snapshot; in reach."""
        right = (rows["right"] == "P").astype(np.int64)
        columns = [rows["window_end_ts_ns"], rows["strike_price_int"], right, rows["instrument_id"]]
        keys = np.stack([column.astype(np.int64) for column in columns], axis=1)
        bad = np.zeros(len(rows), bool)
        before = np.array([self._last_key]) if self._last_key is not None else keys[:1] - 1
        step = keys - np.concatenate([before, keys[:-1]])
        first = np.argmax(step != 0, axis=1)
        bad |= step[np.arange(len(rows)), first] <= 0
        if self._last_key is None and len(rows):
            bad[0] = False
        self._last_key = tuple(keys[-1].tolist())
        spot = self.context.spot_int[at]
        bad |= self.context.window_end[at] != rows["window_end_ts_ns"]
        bad |= spot <= 0
        bad |= np.abs(rows["strike_price_int"] - spot) > REACH_INT
        self._say("quote_keys", rows, bad, "not sorted, repeated, out of reach, or no window with a spot")

    def _complete(self) -> Check:
        """Each window with a spot has every option of the chain within 200 points, no window has more."""
        tally = Tally("quote_complete", "windows")
        strikes = self.context.chain[:, 0]
        low = np.searchsorted(strikes, self.context.spot_int - REACH_INT, side="left")
        high = np.searchsorted(strikes, self.context.spot_int + REACH_INT, side="right")
        wanted = np.where(self.context.spot_int > 0, high - low, 0)
        tally.add_rows(
            self.rows_per_window != wanted,
            lambda row: (
                f"window_end {self.context.window_end[row]}: {self.rows_per_window[row]} options, "
                f"expected {wanted[row]}"
            ),
        )
        return tally.check()

    def _prices(self, rows: Rows) -> None:
        """A price has a quantity and the reverse; nothing is negative."""
        bad = np.zeros(len(rows), bool)
        for side in ("bid", "ask"):
            price, qty = rows[f"{side}_price_int"], rows[f"{side}_qty"]
            bad |= (price < 0) | (qty < 0) | ((price > 0) != (qty > 0))
        self._say("quote_prices", rows, bad, "a price without a quantity, or a quantity without a price")

    def _mid(self, rows: Rows) -> None:
        """Fresh: the middle of a quote. Carried: a side is missing, 60 s at most. Else 0."""
        bid, ask, mid, age = (
            rows[name] for name in ("bid_price_int", "ask_price_int", "mid_price", "mid_age_s")
        )
        two_sided = (bid > 0) & (ask > 0)
        middle = np.where(two_sided & (bid < ask), (bid + ask) / 2.0 / PRICES_PER_POINT, 0.0)
        with np.errstate(invalid="ignore"):
            fresh = (age == 0) & (np.abs(mid - middle) <= REL_TOL * middle)
            carried = (age > 0) & (age <= MAX_AGE_S) & (age == np.floor(age)) & (mid > 0) & ~two_sided
        self._say(
            "quote_mid", rows, ~(fresh | carried), "mid_price and mid_age_s do not follow from the quote"
        )

    def _open_interest(self, rows: Rows) -> None:
        figures = self.context.figures
        if figures is None:
            return
        bad = np.zeros(len(rows), bool)
        for number in np.unique(rows["instrument_id"]):
            mine = np.flatnonzero(rows["instrument_id"] == number)
            figure, ts = figures.at(int(number), rows["window_end_ts_ns"][mine])
            bad[mine] = (rows["open_interest"][mine] != figure) | (rows["open_interest_ts_ns"][mine] != ts)
        self._say("quote_open_interest", rows, bad, "not the latest figure of statistics_clean")

    def _reasons(self, rows: Rows, spot: Array) -> None:
        """The first reason that holds, and nulls exactly where there is no value."""
        seconds, mid = rows["seconds_to_expiry"], rows["mid_price"]
        call = rows["right"] == "C"
        strike = rows["strike_price_int"] / PRICES_PER_POINT
        has = [~np.isnan(rows[name]) for name in MODEL_COLUMNS]
        floor = black76.discounted_intrinsic(
            call, spot, strike, seconds / black76.SECONDS_PER_YEAR, self.context.rate
        )
        sides = (rows["bid_qty"] > 0).astype(np.int64) + (rows["ask_qty"] > 0)
        without_mid = np.array(["no_book", "one_sided", "crossed"])[sides]
        with_mid = np.where(mid <= floor, "below_intrinsic", "no_root")
        wanted = np.where(mid > 0, with_mid, without_mid)
        wanted = np.where(has[0], "ok", wanted)
        wanted = np.where(rows["open_interest"] > 0, wanted, "no_oi")
        wanted = np.where(seconds > 0, wanted, "expired")
        bad = rows["reason"] != wanted
        on_the_edge = (mid > 0) & (np.abs(mid - floor) <= 1e-12 * np.maximum(floor, 1.0))
        bad &= ~(on_the_edge & np.isin(rows["reason"], ("below_intrinsic", "no_root")))
        for present in has[1:]:
            bad |= present != has[0]
        bad |= has[0] & (seconds <= 0)
        self._say("quote_reasons", rows, bad, "the reason does not follow from the row")

    def _vol(self, rows: Rows, forward: Array, column: str, name: str, asked: Bools) -> None:
        """One volatility per strike and expiry, which gives back the mid of the option that decides it.

        The option out of the money decides, the other where the first has no mid or none that a volatility
        in [1e-6, 5] gives; neither: no value.
        """
        vol = rows[column]
        strike = rows["strike_price_int"] / PRICES_PER_POINT
        years = rows["seconds_to_expiry"] / black76.SECONDS_PER_YEAR
        call, mid = rows["right"] == "C", rows["mid_price"]
        bad = ~asked & ~np.isnan(vol)
        forward = np.where(asked, forward, 1.0)
        floor = black76.discounted_intrinsic(call, forward, strike, years, self.context.rate)
        able = asked & (years > 0) & (rows["open_interest"] > 0) & (mid > 0) & (mid > floor)
        with np.errstate(invalid="ignore"):
            bad |= ~np.isnan(vol) & ~((vol >= VOL_LOW) & (vol <= VOL_HIGH) & (years > 0))
        gives = np.zeros(len(rows), bool)
        some = np.flatnonzero(able & ~np.isnan(vol))
        model = self._price(rows, forward, vol, some)
        gives[some] = np.abs(model - mid[some]) <= PRICE_TOL + 1e-13 * mid[some]
        doubtful = np.flatnonzero(able & ~gives)
        high = self._price(rows, forward, np.full(len(rows), VOL_HIGH), doubtful)
        low = self._price(rows, forward, np.full(len(rows), VOL_LOW), doubtful)
        solvable = gives.copy()
        solvable[doubtful] = (low <= mid[doubtful]) & (mid[doubtful] <= high)
        # within 1e-10 of a bound the answer hangs on rounding
        edge = np.zeros(len(rows), bool)
        edge[doubtful] = np.minimum(np.abs(low - mid[doubtful]), np.abs(high - mid[doubtful])) <= PRICE_TOL
        edge |= able & (mid - floor <= PRICE_TOL)
        solvable &= ~edge | gives
        bad |= self._wrong_deciders(rows, forward, vol, gives, solvable)
        self._say(name, rows, bad, f"{column} is not the one that the quotes of its strike give")

    def _wrong_deciders(self, rows: Rows, forward: Array, vol: Array, gives: Bools, solvable: Bools) -> Bools:
        """Rows of a (window, strike, expiry) whose volatility is not the one of its first solvable option."""
        out_of_money = (rows["right"] == "C") == (rows["strike_price_int"] / PRICES_PER_POINT >= forward)
        order = np.lexsort(
            (
                rows["instrument_id"],
                ~out_of_money,
                rows["seconds_to_expiry"],
                rows["strike_price_int"],
                rows["window_end_ts_ns"],
            )
        )
        group_columns = [
            rows[n][order] for n in ("window_end_ts_ns", "strike_price_int", "seconds_to_expiry")
        ]
        new = np.zeros(len(rows), bool)
        new[:1] = True
        for column in group_columns:
            new[1:] |= column[1:] != column[:-1]
        group = np.cumsum(new) - 1
        groups = int(group[-1]) + 1 if len(group) else 0
        position = np.arange(len(rows))
        first_solvable = np.full(groups, len(rows))
        np.minimum.at(first_solvable, group, np.where(solvable[order], position, len(rows)))
        decided = first_solvable < len(rows)
        vol_of_group = vol[order][new]
        wrong = decided & ~gives[order][np.minimum(first_solvable, len(rows) - 1)]
        any_gives = np.zeros(groups, bool)
        np.logical_or.at(any_gives, group, gives[order])
        wrong |= ~np.isnan(vol_of_group) & ~any_gives
        same = vol[order] == vol_of_group[group]
        both_none = np.isnan(vol[order]) & np.isnan(vol_of_group[group])
        bad = np.zeros(len(rows), bool)
        bad[order] = wrong[group] | ~(same | both_none)
        return bad

    def _price(self, rows: Rows, forward: Array, vol: Array, chosen: Ints) -> Array:
        return black76.price(
            rows["right"][chosen] == "C",
            forward[chosen],
            rows["strike_price_int"][chosen] / PRICES_PER_POINT,
            rows["seconds_to_expiry"][chosen] / black76.SECONDS_PER_YEAR,
            vol[chosen],
            self.context.rate,
        )

    def _greeks(self, rows: Rows, spot: Array) -> None:
        vol = rows["implied_vol"]
        some = np.flatnonzero(~np.isnan(vol))
        strike = rows["strike_price_int"][some] / PRICES_PER_POINT
        years = rows["seconds_to_expiry"][some] / black76.SECONDS_PER_YEAR
        given = (spot[some], strike, years, vol[some], self.context.rate)
        call = rows["right"][some] == "C"
        bad = np.zeros(len(rows), bool)
        for name, wanted in (
            ("delta", black76.delta(call, *given)),
            ("gamma", black76.gamma(*given)),
            ("vega", black76.vega(*given)),
        ):
            with np.errstate(invalid="ignore"):
                bad[some] |= ~(np.abs(rows[name][some] - wanted) <= REL_TOL * np.abs(wanted) + TINY)
        self._say("quote_greeks", rows, bad, "delta, gamma or vega is not what implied_vol gives", len(some))

    def _say(self, name: str, rows: Rows, bad: Bools, what: str, looked_at: int | None = None) -> None:
        tally = self._tallies[name]
        tally.add_rows(bad, lambda row: f"{quote_name(rows, row)}: {what}")
        if looked_at is not None:
            tally.looked_at += looked_at - len(bad)


def quote_name(rows: Rows, row: int) -> str:
    """How an offender names a quote."""
    strike = f"{rows['strike_price_int'][row] / PRICES_PER_POINT:g}"
    return f"window_end {rows['window_end_ts_ns'][row]} {rows['right'][row]}{strike}"


def consecutive(window_end: Ints, spot_int: Ints) -> Ints:
    """int64[n] windows since values began: 0 in the first with a spot after a gap or a window without one."""
    run = np.zeros(len(window_end), np.int64)
    for k in range(1, len(window_end)):
        goes_on = spot_int[k] > 0 and spot_int[k - 1] > 0 and window_end[k] - window_end[k - 1] == WINDOW_NS
        run[k] = run[k - 1] + 1 if goes_on else 0
    return run
