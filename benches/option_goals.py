"""The goals P7 and P8 of design 9: books of a whole chain, and volatilities against QuantLib's.

Both make their own input: there is no real MBO of an option chain at hand.
"""

from __future__ import annotations

import functools
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benches.measure import BenchError, Check, Goal, Missing, Spent, Stopwatch, interleave, missing, ratio
from benches.setting import Setting
from data_eng.dbn_codes import F_LAST, F_SNAPSHOT
from data_eng.kernels import black76
from data_eng.mbo import MBO_DTYPE, MboColumns
from data_eng.stages.silver.future_option_mbo.option_books import OptionBooks
from data_eng.units import WINDOW_NS

MANY: Final = 5_000
ORDERS: Final = 24
"""orders that rest per option: makers on both sides, a few levels deep"""
RECORDS: Final = 2_000_000
NICKEL: Final = 50_000_000
BEGIN_NS: Final = 1_767_708_000 * WINDOW_NS
PER_SECOND: Final = 1_418
"""records of a real chain per second of the day (reported for 2026-01-06)"""
SOLVED: Final = 20_000
VOL_ERROR: Final = 1e-9
LEAST_VEGA: Final = 0.2
RATE: Final = 0.05


def p7_chain(at: Setting) -> Goal:
    """Books of 5,000 options against the book of one, the same records but for who they belong to."""
    goal = Goal("P7", f"books of {MANY:,} options against one, per record (CPU)")
    many, one = option_stream(MANY), option_stream(1)
    contestants = {
        "5,000 options": functools.partial(_books, many, MANY, windows=False),
        "one option": functools.partial(_books, one, 1, windows=False),
        "5,000 options, read every second": functools.partial(_books, many, MANY, windows=True),
    }
    interleave(contestants, 1)  # compiled, and the pages touched
    rounds = interleave(contestants, at.rounds)
    goal.checks.append(
        ratio("5,000 options / one", rounds, "5,000 options", "one option", "<=", 4.5, "cpu", records=RECORDS)
    )
    goal.beside["windows_read"] = RECORDS // PER_SECOND
    goal.beside["ns_per_record_read_every_second"] = round(
        1e9 / RECORDS * min(s.cpu for s in rounds["5,000 options, read every second"]), 1
    )
    return goal


def p8_volatility(at: Setting) -> Goal:
    """Volatility and gamma against QuantLib's loop over the same options."""
    goal = Goal("P8", f"implied volatility and gamma of {SOLVED:,} options against QuantLib's loop (CPU)")
    options = _Options(SOLVED)
    name = "solver / QuantLib"
    contestants = {"solver": options.solve}
    try:
        contestants["QuantLib"] = options.quantlib
        interleave(contestants, 1)
    except Missing as why:
        goal.checks.append(missing(name, "<=", 0.2, why))
        contestants.pop("QuantLib", None)
        interleave(contestants, 1)
    rounds = interleave(contestants, at.rounds)
    if "QuantLib" in rounds:
        goal.checks.append(
            ratio(name, rounds, "solver", "QuantLib", "<=", 0.2, "cpu", records=SOLVED, each="option")
        )
    error = options.worst_error()
    goal.checks.append(Check(f"largest error of v where vega >= {LEAST_VEGA}", error, "<=", VOL_ERROR))
    return goal


def option_stream(options: int) -> npt.NDArray[Any]:
    """`RECORDS` records: a marked snapshot of every book, then makers who requote, pull and come back.

    Instruments are drawn at random, order ids repeat from option to option, one event per record.
    """
    rng = np.random.default_rng(7)
    first = options * ORDERS
    rows = np.zeros(RECORDS, MBO_DTYPE)
    rows["length"], rows["rtype"], rows["publisher_id"] = MBO_DTYPE.itemsize // 4, 160, 1
    option = np.concatenate(
        [np.repeat(np.arange(options), ORDERS), rng.integers(0, options, RECORDS - first)]
    )
    order = np.concatenate([np.tile(np.arange(ORDERS), options), rng.integers(0, ORDERS, RECORDS - first)])
    side = order % 2
    away = rng.integers(1, 9, RECORDS)
    rows["instrument_id"] = 42_000_000 + 131 * option
    rows["order_id"] = 700_000_000_000 + order
    rows["price"] = (400 + np.where(side == 0, -away, away)) * NICKEL
    rows["size"] = rng.integers(1, 40, RECORDS)
    rows["side"] = np.where(side == 0, ord("B"), ord("A"))
    kind = rng.choice(np.array([ord("M"), ord("C"), ord("A")], np.uint8), RECORDS, p=[0.7, 0.15, 0.15])
    rows["action"] = kind
    rows["flags"] = F_LAST
    ts = BEGIN_NS + np.arange(RECORDS) * WINDOW_NS // PER_SECOND
    rows["ts_event"] = ts
    rows["ts_recv"] = ts + 100_000
    rows["action"][:first], rows["ts_recv"][:first] = ord("A"), BEGIN_NS
    rows["flags"][:first] = np.where(order[:first] == ORDERS - 1, F_SNAPSHOT | F_LAST, F_SNAPSHOT)
    return rows


def _books(rows: npt.NDArray[Any], options: int, *, windows: bool) -> Spent:
    ids = np.unique(rows["instrument_id"])
    last = int(rows["ts_event"][-1]) // WINDOW_NS
    ends = WINDOW_NS * np.arange(BEGIN_NS // WINDOW_NS + 1, last + 1)
    books = OptionBooks(ids, ids[:0], ends if windows else ends[:0], windows_per_block=64)
    columns = MboColumns.from_records(rows)
    with Stopwatch() as watch:
        read = sum(block.windows for block in books.process(columns))
    counters = books.counters()
    if counters["records"] != len(rows) or len(ids) != options or (windows and read < len(ends) - 64):
        raise BenchError(f"the books of {options} options took {counters}, expected {len(rows)} records")
    return watch.spent


class _Options:
    """Options from two minutes to half a year, out of the money as the stage solves them, with known vols."""

    def __init__(self, n: int) -> None:
        rng = np.random.default_rng(7)
        self.years = np.exp(rng.uniform(np.log(120 / 31_536_000), np.log(0.5), n))
        self.vol = rng.uniform(0.05, 0.8, n)
        self.forward = rng.uniform(6_900, 7_000, n)
        self.strike = self.forward * np.exp(rng.uniform(-4, 4, n) * self.vol * np.sqrt(self.years))
        self.right = (self.strike < self.forward).astype(np.int8)
        self.values = np.empty((n, 4))
        black76.values(self.right, self.forward, self.strike, self.years, self.vol, RATE, self.values)
        self.mid = self.values[:, 0].copy()
        self.guess = self.vol * 1.01
        self.found = np.zeros(n)
        self.status = np.zeros(n, np.int8)
        self._again = np.empty((n, 4))

    def solve(self) -> Spent:
        """Both compiled loops, from a volatility 1 % off, as one second is off the next."""
        args = (self.forward, self.strike, self.years)
        with Stopwatch() as watch:
            black76.implied_vols(self.right, self.mid, *args, RATE, self.guess, self.found, self.status)
            black76.values(self.right, *args, self.found, RATE, self._again)
        return watch.spent

    def quantlib(self) -> Spent:
        """QuantLib's own functions, called in a Python loop."""
        try:
            import QuantLib as ql
        except ImportError:
            raise Missing("QuantLib is not installed") from None
        kinds = [ql.Option.Put if put else ql.Option.Call for put in self.right.tolist()]
        discount = np.exp(-RATE * self.years).tolist()
        root = np.sqrt(self.years).tolist()
        columns = (self.strike, self.forward, self.mid)
        plain = [column.tolist() for column in columns]
        rows = list(zip(kinds, *plain, discount, root, self.guess.tolist(), strict=True))
        out = np.zeros((len(rows), 2))
        with Stopwatch() as watch:
            for i, (kind, strike, forward, mid, less, sqrt_t, guess) in enumerate(rows):
                try:
                    s = ql.blackFormulaImpliedStdDev(
                        kind, strike, forward, mid, less, 0.0, guess * sqrt_t, 1e-12, 100
                    )
                except RuntimeError:
                    continue
                black = ql.BlackCalculator(ql.PlainVanillaPayoff(kind, strike), forward, s, less)
                out[i] = s / sqrt_t, black.gammaForward()
        return watch.spent

    def worst_error(self) -> float:
        """Largest |v - known| where the price tells the volatility; refuses when too little was solved."""
        told = (self.status == black76.SOLVED) & (self.values[:, 3] >= LEAST_VEGA)
        if told.sum() < 0.3 * len(told):
            raise BenchError(f"only {told.sum()} of {len(told)} options can be judged, expected 30 %")
        return float(np.abs(self.found - self.vol)[told].max())
