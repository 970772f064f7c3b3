"""Implied volatility, gamma and the gamma profile by the sentences of spec 7, one number at a time.

Laws. 1 Black-76 on F = spot, discounted with exp(-rT); T in ACT/365 years from the window's end.
      2 One volatility per (window, strike, expiry), from an option with open interest and a mid: the one out
        of the money (call if K >= F, else put), the other where that gives none. Call and put share gamma.
      3 A mid at or below the discounted intrinsic value has no volatility, nor one that no v in [1e-6, 5]
        gives: no value, contribution 0, never NaN.
      4 Exposure is computed at every strike of the chain, in every window that has a spot; differences are
        taken on that dense series, and only then the 61 strikes around spot are cut out.
      5 A flip is where the net exposure, as a function of a hypothetical spot with every volatility held at
        its strike, changes its sign.

Float64 scalars and math.erfc, whose tails keep their digits; roots by bisection to the last bit. Where the
text is open, `docs/decisions/0003` says what was settled.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from .option_books import Quote

SCALE = 1_000_000_000
SECOND_NS = 1_000_000_000
YEAR_NS = 86_400e9 * 365
VOL_LOW, VOL_HIGH = 1e-6, 5.0
STEP_INT = 5 * SCALE
OFFSETS = 30
QUOTE_REACH_INT = 200 * SCALE
PROFILE_REACH = 150.0
EPS_GEX = 1e-6
SCAN_POINTS = 0.05
SCAN_DEVIATIONS = 1 / 8
"""where the sign of the net exposure is looked at: every so many points, and around each strike every so many
standard deviations, because near expiry a strike's gamma is a needle narrower than any fixed step"""
NEEDLE_DEVIATIONS = 12.0

DIFFERENCED = ("gex_abs", "gex", "gex_imbalance_ratio")
GEX_COLUMNS = (
    "window_start_ts_ns",
    "window_end_ts_ns",
    "underlying",
    "strike_price_int",
    "underlying_spot_ref",
    "strike_points",
    "gex_call_abs",
    "gex_put_abs",
    "gex_abs",
    "gex",
    "gex_imbalance_ratio",
    *(f"d{order}_{name}" for name in DIFFERENCED for order in (1, 2, 3)),
)
QUOTE_COLUMNS = (
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
PROFILE_COLUMNS = (
    "window_end_ts_ns",
    "call_gex",
    "put_gex",
    "net_gex",
    "flip_points",
    "gamma_centre_points",
    "top_call_strike_points",
    "top_put_strike_points",
    "net_oi_call_minus_put",
    "net_oi_short_all",
    "net_oi_flow",
    "convention_min",
    "convention_max",
)


class Contract(NamedTuple):
    """One option of the chain. right: C or P; strike in 1e-9 points; expiration in ns UTC."""

    instrument_id: int
    right: str
    strike_int: int
    expiration_ns: int


class Window(NamedTuple):
    """What the futures snapshot says of a second: spot and mid in 1e-9 points, 0 = none."""

    end_ns: int
    spot_int: int
    mid_int: int


class Figure(NamedTuple):
    """An open-interest announcement: it counts in windows that end after ts_recv_ns."""

    ts_recv_ns: int
    contracts: float


# ---- Black-76 ----------------------------------------------------------------------------------------------


def normal_cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def normal_density(x: float) -> float:
    return math.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


class Black76(NamedTuple):
    """A European option on a future: forward and strike in points, years to expiry, volatility, rate."""

    forward: float
    strike: float
    years: float
    vol: float
    rate: float

    @property
    def discount(self) -> float:
        return math.exp(-self.rate * self.years)

    @property
    def spread(self) -> float:
        return self.vol * math.sqrt(self.years)

    @property
    def d1(self) -> float:
        return (math.log(self.forward / self.strike) + 0.5 * self.spread**2) / self.spread

    @property
    def d2(self) -> float:
        return self.d1 - self.spread

    def price(self, right: str) -> float:
        if right == "C":
            undiscounted = self.forward * normal_cdf(self.d1) - self.strike * normal_cdf(self.d2)
        else:
            undiscounted = self.strike * normal_cdf(-self.d2) - self.forward * normal_cdf(-self.d1)
        return self.discount * undiscounted

    def delta(self, right: str) -> float:
        tail = normal_cdf(self.d1) if right == "C" else -normal_cdf(-self.d1)
        return self.discount * tail

    def gamma(self) -> float:
        return self.discount * normal_density(self.d1) / (self.forward * self.spread)

    def vega(self) -> float:
        return self.discount * self.forward * normal_density(self.d1) * math.sqrt(self.years)

    def gamma_per_vol(self) -> float:
        """Change of gamma per 1.00 of volatility: what an error of the volatility does to gamma."""
        return self.gamma() * (self.d1 * self.d2 - 1.0) / self.vol


def intrinsic(right: str, forward: float, strike: float) -> float:
    return max(forward - strike, 0.0) if right == "C" else max(strike - forward, 0.0)


def implied_vol(
    right: str, mid: float, forward: float, strike: float, years: float, rate: float
) -> tuple[float | None, str]:
    """The volatility whose price is `mid`, and ok; or None, and why: below_intrinsic or no_root."""
    if mid <= math.exp(-rate * years) * intrinsic(right, forward, strike):
        return None, "below_intrinsic"

    def model(vol: float) -> float:
        return Black76(forward, strike, years, vol, rate).price(right)

    low, high = VOL_LOW, VOL_HIGH
    if model(low) > mid or model(high) < mid:
        return None, "no_root"
    while True:
        middle = 0.5 * (low + high)
        if middle in (low, high):
            return middle, "ok"
        if model(middle) < mid:
            low = middle
        else:
            high = middle


# ---- the tables --------------------------------------------------------------------------------------------

Row = dict[str, Any]


def interest_at(figures: Sequence[Figure], end_ns: int) -> Figure | None:
    """The latest figure received before the window's end; of two at one instant the later in the list."""
    known = [figure for figure in figures if figure.ts_recv_ns < end_ns]
    return max(enumerate(known), key=lambda at: (at[1].ts_recv_ns, at[0]))[1] if known else None


def ladder(spot_int: int) -> list[int]:
    """61 strikes: K_i = 5 floor(spot/5 + 0.5) + 5 i points."""
    centre = (2 * spot_int + STEP_INT) // (2 * STEP_INT) * STEP_INT
    return [centre + i * STEP_INT for i in range(-OFFSETS, OFFSETS + 1)]


class _StrikeVol(NamedTuple):
    """Volatility of a (strike, expiry), or None; the reason of each option asked."""

    vol: float | None
    why: Mapping[int, str]


class NaiveGamma:
    """All tables of the options stage, as lists of dict rows in key order, after `run`."""

    def __init__(
        self,
        chain: Sequence[Contract],
        figures: Mapping[int, Sequence[Figure]],
        *,
        rate: float = 0.05,
        multiplier: float = 50.0,
        underlying: str = "ESH6",
    ) -> None:
        self.chain = sorted(chain, key=lambda c: (c.strike_int, c.right, c.instrument_id))
        self.figures = figures
        self.rate = rate
        self.multiplier = multiplier
        self.underlying = underlying
        self.gex: list[Row] = []
        self.quotes: list[Row] = []
        self.profile: list[Row] = []
        self.by_strike: dict[tuple[int, int], list[Contract]] = defaultdict(list)
        for contract in self.chain:
            self.by_strike[contract.strike_int, contract.expiration_ns].append(contract)
        self._history: dict[str, dict[int, list[float]]] | None = None

    def run(self, windows: Sequence[Window], quotes: Sequence[Mapping[int, Quote]]) -> None:
        before = None
        for window, quoted in zip(windows, quotes, strict=True):
            if before is not None and window.end_ns != before + SECOND_NS:
                self._history = None
            before = window.end_ns
            self._window(window, quoted)

    # ---- one window

    def _window(self, window: Window, quoted: Mapping[int, Quote]) -> None:
        if window.spot_int <= 0:
            self._history = None
            self.profile.append(self._profile_row(window, quoted, {}, {}))
            return
        interest = {
            contract.instrument_id: interest_at(self.figures.get(contract.instrument_id, ()), window.end_ns)
            for contract in self.chain
        }
        spot = window.spot_int / SCALE
        vols = self._strike_vols(window, quoted, interest, spot)
        mid_vols = self._strike_vols(window, quoted, interest, window.mid_int / SCALE)
        self._quote_rows(window, quoted, interest, vols, mid_vols)
        self.gex += self._gex_rows(window, interest, vols)
        self.profile.append(self._profile_row(window, quoted, interest, vols))

    def years(self, contract_expiration_ns: int, end_ns: int) -> float:
        return (contract_expiration_ns - end_ns) / YEAR_NS

    def _strike_vols(
        self,
        window: Window,
        quoted: Mapping[int, Quote],
        interest: Mapping[int, Figure | None],
        forward: float,
    ) -> dict[tuple[int, int], _StrikeVol]:
        found = {}
        for (strike_int, expiration_ns), contracts in self.by_strike.items():
            strike, years = strike_int / SCALE, self.years(expiration_ns, window.end_ns)
            first = "C" if strike >= forward else "P"
            vol: float | None = None
            why: dict[int, str] = {}
            for contract in sorted(contracts, key=lambda c: (c.right != first, c.instrument_id)):
                quote = quoted[contract.instrument_id]
                reason = self._no_mid(quote, interest[contract.instrument_id], years)
                if reason == "ok" and forward > 0.0:
                    solved, reason = implied_vol(contract.right, quote.mid, forward, strike, years, self.rate)
                    vol = solved if vol is None else vol
                why[contract.instrument_id] = reason
            found[strike_int, expiration_ns] = _StrikeVol(vol, why)
        return found

    def _no_mid(self, quote: Quote, figure: Figure | None, years: float) -> str:
        if years <= 0.0:
            return "expired"
        if figure is None or figure.contracts <= 0.0:
            return "no_oi"
        if not quote.complete:
            return "no_book"
        if quote.mid > 0.0:
            return "ok"
        sides = (quote.bid_qty > 0) + (quote.ask_qty > 0)
        return ("no_book", "one_sided", "crossed")[sides]

    def _model(self, contract: Contract, window: Window, vol: float) -> Black76:
        return Black76(
            window.spot_int / SCALE,
            contract.strike_int / SCALE,
            self.years(contract.expiration_ns, window.end_ns),
            vol,
            self.rate,
        )

    def _quote_rows(
        self,
        window: Window,
        quoted: Mapping[int, Quote],
        interest: Mapping[int, Figure | None],
        vols: Mapping[tuple[int, int], _StrikeVol],
        mid_vols: Mapping[tuple[int, int], _StrikeVol],
    ) -> None:
        for contract in self.chain:
            if abs(contract.strike_int - window.spot_int) > QUOTE_REACH_INT:
                continue
            quote, figure = quoted[contract.instrument_id], interest[contract.instrument_id]
            of_strike = vols[contract.strike_int, contract.expiration_ns]
            reason = of_strike.why[contract.instrument_id]
            delta = gamma = vega = None
            if of_strike.vol is not None:
                model = self._model(contract, window, of_strike.vol)
                delta, gamma, vega = model.delta(contract.right), model.gamma(), model.vega()
                if figure is not None and figure.contracts > 0.0:
                    reason = "ok"  # it has a volatility and a weight, whichever option gave the first
            self.quotes.append(
                {
                    "window_end_ts_ns": window.end_ns,
                    "instrument_id": contract.instrument_id,
                    "strike_price_int": contract.strike_int,
                    "right": contract.right,
                    "bid_price_int": quote.bid,
                    "ask_price_int": quote.ask,
                    "bid_qty": quote.bid_qty,
                    "ask_qty": quote.ask_qty,
                    "mid_price": quote.mid,
                    "mid_age_s": quote.age_s,
                    "seconds_to_expiry": (contract.expiration_ns - window.end_ns) / SECOND_NS,
                    "open_interest": 0.0 if figure is None else figure.contracts,
                    "open_interest_ts_ns": 0 if figure is None else figure.ts_recv_ns,
                    "implied_vol": of_strike.vol,
                    "delta": delta,
                    "gamma": gamma,
                    "vega": vega,
                    "implied_vol_mid_forward": mid_vols[contract.strike_int, contract.expiration_ns].vol
                    if window.mid_int > 0
                    else None,
                    "reason": reason,
                }
            )

    # ---- exposure

    def _exposures(
        self,
        window: Window,
        interest: Mapping[int, Figure | None],
        vols: Mapping[tuple[int, int], _StrikeVol],
    ) -> dict[int, dict[str, float]]:
        """strike -> {C, P}: gamma x open interest x multiplier, for every strike of the chain."""
        found: dict[int, dict[str, float]] = {}
        for contract in self.chain:
            at = found.setdefault(contract.strike_int, {"C": 0.0, "P": 0.0})
            vol = vols[contract.strike_int, contract.expiration_ns].vol if vols else None
            figure = interest.get(contract.instrument_id)
            if vol is not None and figure is not None:
                at[contract.right] += (
                    self._model(contract, window, vol).gamma() * figure.contracts * self.multiplier
                )
        return found

    def _gex_rows(
        self,
        window: Window,
        interest: Mapping[int, Figure | None],
        vols: Mapping[tuple[int, int], _StrikeVol],
    ) -> list[Row]:
        exposures = self._exposures(window, interest, vols)
        values: dict[int, dict[str, float]] = {}
        for strike_int in sorted({*exposures, *ladder(window.spot_int)}):
            at = exposures.get(strike_int, {"C": 0.0, "P": 0.0})
            total, net = at["C"] + at["P"], at["C"] - at["P"]
            values[strike_int] = {
                "gex_call_abs": at["C"],
                "gex_put_abs": at["P"],
                "gex_abs": total,
                "gex": net,
                "gex_imbalance_ratio": net / (total + EPS_GEX),
            }
        self._difference(values)
        return [
            {
                "window_start_ts_ns": window.end_ns - SECOND_NS,
                "window_end_ts_ns": window.end_ns,
                "underlying": self.underlying,
                "strike_price_int": strike_int,
                "underlying_spot_ref": window.spot_int / SCALE,
                "strike_points": strike_int / SCALE,
                **values[strike_int],
            }
            for strike_int in ladder(window.spot_int)
        ]

    def _difference(self, values: dict[int, dict[str, float]]) -> None:
        """Adds d1_, d2_, d3_ to the values of one window; a strike off the chain is 0 at all times."""
        before, self._history = self._history, {name: {} for name in DIFFERENCED}
        for strike_int, row in values.items():
            for name in DIFFERENCED:
                if before is None:
                    series = [row[name], 0.0, 0.0, 0.0]
                else:
                    old = before[name].get(strike_int, [0.0, 0.0, 0.0, 0.0])
                    series = [row[name]]
                    for order in range(3):
                        series.append(series[order] - old[order])
                self._history[name][strike_int] = series
                for order in (1, 2, 3):
                    row[f"d{order}_{name}"] = series[order]

    # ---- profile

    def _profile_row(
        self,
        window: Window,
        quoted: Mapping[int, Quote],
        interest: Mapping[int, Figure | None],
        vols: Mapping[tuple[int, int], _StrikeVol],
    ) -> Row:
        exposures = self._exposures(window, interest, vols)
        calls = math.fsum(at["C"] for at in exposures.values())
        puts = math.fsum(at["P"] for at in exposures.values())
        weights = {strike_int: abs(at["C"] - at["P"]) for strike_int, at in exposures.items()}
        weight = math.fsum(weights.values())
        centre = math.fsum(w * k / SCALE for k, w in weights.items()) / weight if weight > 0.0 else 0.0
        flow = 0.0
        for contract in self.chain:
            vol = vols[contract.strike_int, contract.expiration_ns].vol if vols else None
            if vol is not None:
                figure = interest[contract.instrument_id]
                held = 0.0 if figure is None else figure.contracts
                held = held if contract.right == "C" else -held
                held -= quoted[contract.instrument_id].bought
                flow += self._model(contract, window, vol).gamma() * self.multiplier * held
        conventions = (calls - puts, -(calls + puts), flow)
        return {
            "window_end_ts_ns": window.end_ns,
            "call_gex": calls,
            "put_gex": puts,
            "net_gex": calls - puts,
            "flip_points": self.flips(window, interest, vols),
            "gamma_centre_points": centre,
            "top_call_strike_points": _top(exposures, "C"),
            "top_put_strike_points": _top(exposures, "P"),
            "net_oi_call_minus_put": conventions[0],
            "net_oi_short_all": conventions[1],
            "net_oi_flow": conventions[2],
            "convention_min": min(conventions),
            "convention_max": max(conventions),
        }

    def net_at(
        self,
        forward: Any,
        window: Window,
        interest: Mapping[int, Figure | None],
        vols: Mapping[tuple[int, int], _StrikeVol],
    ) -> Any:
        """Net exposure of the chain at a hypothetical spot, a float or float64[n], in points."""
        net = np.zeros_like(np.asarray(forward, dtype=np.float64))
        for (strike_int, expiration_ns), contracts in self.by_strike.items():
            vol = vols[strike_int, expiration_ns].vol if vols else None
            if vol is None:
                continue
            lots = 0.0
            for contract in contracts:
                figure = interest[contract.instrument_id]
                if figure is not None:
                    lots += figure.contracts if contract.right == "C" else -figure.contracts
            if lots == 0.0:
                continue
            years = self.years(expiration_ns, window.end_ns)
            spread = vol * math.sqrt(years)
            d1 = (np.log(forward / (strike_int / SCALE)) + 0.5 * spread**2) / spread
            density = np.exp(-0.5 * d1 * d1) / math.sqrt(2.0 * math.pi)
            gamma = math.exp(-self.rate * years) * density / (forward * spread)
            net = net + gamma * lots * self.multiplier
        return net

    def _scan(self, window: Window, vols: Mapping[tuple[int, int], _StrikeVol]) -> Any:
        """Hypothetical spots, ascending, so dense that between two of them lies one root at most."""
        spot = window.spot_int / SCALE
        steps = round(2 * PROFILE_REACH / SCAN_POINTS)
        points = [spot - PROFILE_REACH + SCAN_POINTS * np.arange(steps + 1)]
        deviations = np.arange(-NEEDLE_DEVIATIONS, NEEDLE_DEVIATIONS + SCAN_DEVIATIONS, SCAN_DEVIATIONS)
        for (strike_int, expiration_ns), of_strike in vols.items():
            if of_strike.vol is not None:
                spread = of_strike.vol * math.sqrt(self.years(expiration_ns, window.end_ns))
                points.append(strike_int / SCALE * np.exp(spread * deviations))
        every = np.unique(np.concatenate(points))
        return every[(every > 0.0) & (abs(every - spot) <= PROFILE_REACH)]

    def flips(
        self,
        window: Window,
        interest: Mapping[int, Figure | None],
        vols: Mapping[tuple[int, int], _StrikeVol],
    ) -> list[float]:
        """Every sign change of the net exposure within 150 points of spot, ascending."""
        if not any(of_strike.vol is not None for of_strike in vols.values()):
            return []
        points = self._scan(window, vols)
        signs = np.sign(self.net_at(points, window, interest, vols))
        seen = np.flatnonzero(signs)  # where the exposure is 0 to the last bit it has no sign to change
        roots = []
        for left, right in pairwise(seen):
            if signs[left] == signs[right]:
                continue
            low, high = float(points[left]), float(points[right])
            while True:
                middle = 0.5 * (low + high)
                if middle in (low, high):
                    break
                if np.sign(self.net_at(middle, window, interest, vols)) == signs[left]:
                    low = middle
                else:
                    high = middle
            roots.append(middle)
        return roots


def _top(exposures: Mapping[int, Mapping[str, float]], right: str) -> float:
    """Strike of the largest exposure, the lowest of equals; 0.0 when there is none."""
    best = 0.0
    strike = 0.0
    for strike_int in sorted(exposures):
        if exposures[strike_int][right] > best:
            best, strike = exposures[strike_int][right], strike_int / SCALE
    return strike
