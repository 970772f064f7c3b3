"""The goals P7 and P8 of design 9: books of a whole chain, and volatilities against QuantLib's.

Both make their own input: there is no real MBO of an option chain at hand.
"""

from __future__ import annotations

import functools
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from benches.measure import BenchError, Check, Goal, Missing, Spent, Stopwatch, interleave, missing, ratio
from benches.setting import Setting
from data_eng._lake.encoding import parquet_options
from data_eng.dbn_codes import F_LAST, F_SNAPSHOT
from data_eng.kernels import black76
from data_eng.mbo import BRONZE_MBO_COLUMNS, MBO_DTYPE, MboColumns
from data_eng.schema import table
from data_eng.schema.bronze import OPTION_RIGHTS
from data_eng.sessions import utc_day_ns
from data_eng.stages.bronze.mbo_rows import to_bronze
from data_eng.stages.silver.future_option_mbo.compute_gex_surface_1s import compute_gex
from data_eng.stages.silver.future_option_mbo.option_books import OptionBooks
from data_eng.units import UNDEF_PRICE, WINDOW_NS

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
    goal.checks.append(p7_stage(at.rounds))
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


# ---- the whole stage over a chain


CHAIN_STRIKES: Final = 325
CHAIN_SECONDS: Final = 2_400
_EXPIRY_NS: Final = BEGIN_NS + 6 * 3_600 * WINDOW_NS
_POINT: Final = 1_000_000_000
_CENTRE: Final = 6_950


def p7_stage(rounds: int) -> Check:
    """Bronze to gamma tables against one thread that reads it, 650 options at the rate of a real chain."""
    bronze, tables = _chain_day()

    def batches() -> Any:
        file = pq.ParquetFile(pa.BufferReader(bronze))
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group, columns=list(BRONZE_MBO_COLUMNS), use_threads=False)
            yield from rows.to_batches()

    def read() -> Spent:
        with Stopwatch() as watch:
            rows = sum(MboColumns.from_bronze(batch).rows for batch in batches())
        if rows != CHAIN_SECONDS * PER_SECOND:
            raise BenchError(f"{rows} records in the chain's Bronze, expected {CHAIN_SECONDS * PER_SECOND}")
        return watch.spent

    def stage() -> Spent:
        with Stopwatch() as watch:
            blocks = compute_gex(batches(), *tables, contract="ESH6", dt="2026-01-06", threads=True)
            exposed = sum(float(np.sum(block.gex.column("gex_abs").to_numpy())) for block in blocks)
        if not exposed > 0:
            raise BenchError("the chain has no exposure at all, so nothing was solved")
        return watch.spent

    contestants = {"Bronze to gamma": stage, "reading Bronze": read}
    interleave(contestants, 1)
    times = interleave(contestants, rounds)
    name = "650 options, Bronze to the gamma tables / reading Bronze"
    return ratio(
        name, times, "Bronze to gamma", "reading Bronze", "<=", 3, "wall", records=CHAIN_SECONDS * PER_SECOND
    )


def _chain_day() -> tuple[pa.Buffer, tuple[pa.Table, pa.Table, pa.Table]]:
    """(Bronze as Parquet, (definitions, statistics_clean, snapshot)): makers requote around a fair value."""
    rng = np.random.default_rng(7)
    n, records = 2 * CHAIN_STRIKES, CHAIN_SECONDS * PER_SECOND
    strike = np.repeat(_CENTRE + 5 * (np.arange(CHAIN_STRIKES) - CHAIN_STRIKES // 2), 2).astype(np.float64)
    right = np.tile(np.array([0, 1], np.int8), CHAIN_STRIKES)
    fair = np.empty((n, 4))
    years = np.full(n, 6 * 3_600 / 31_536_000)
    black76.values(right, np.full(n, float(_CENTRE)), strike, years, np.full(n, 0.12), RATE, fair)
    rows = np.zeros(records, MBO_DTYPE)
    first = n * ORDERS
    option = np.concatenate([np.repeat(np.arange(n), ORDERS), rng.integers(0, n, records - first)])
    order = np.concatenate([np.tile(np.arange(ORDERS), n), rng.integers(0, ORDERS, records - first)])
    away = np.where(order % 2 == 0, -1, 1) * rng.integers(1, 9, records)
    rows["instrument_id"] = 42_000_000 + 131 * option
    rows["order_id"] = 700_000_000_000 + order
    rows["price"] = np.maximum(np.round(fair[option, 0] / 0.05).astype(np.int64) + 9 + away, 1) * NICKEL
    rows["size"] = rng.integers(1, 40, records)
    rows["side"] = np.where(order % 2 == 0, ord("B"), ord("A"))
    rows["action"], rows["flags"] = ord("M"), F_LAST
    rows["ts_event"] = BEGIN_NS + np.arange(records) * WINDOW_NS // PER_SECOND
    rows["ts_recv"] = rows["ts_event"] + 100_000
    rows["action"][:first], rows["ts_recv"][:first] = ord("A"), BEGIN_NS
    rows["flags"][:first] = np.where(order[:first] == ORDERS - 1, F_SNAPSHOT | F_LAST, F_SNAPSHOT)
    declared = table("bronze.future_mbo.mbo")
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, declared.arrow_schema, **parquet_options(declared)) as writer:
        for start in range(0, records, 1 << 20):
            writer.write_batch(to_bronze(rows[start : start + (1 << 20)]))
    ids = 42_000_000 + 131 * np.arange(n)
    symbols = [f"OPTION {i}" for i in ids.tolist()]
    letters = [OPTION_RIGHTS[r] for r in right.tolist()]
    definitions = _rows_of(
        "bronze.shared.instrument_definitions",
        n,
        ts_recv=utc_day_ns("2026-01-06")[0],
        ts_event=0,
        instrument_id=ids,
        instrument_class=letters,
        security_update_action="A",
        security_type="OOF",
        underlying_id=1,
        underlying="ESH6",
        expiration=_EXPIRY_NS,
        strike_price=(strike * _POINT).astype(np.int64),
        currency="USD",
        raw_symbol=symbols,
        unit_of_measure_qty=50 * _POINT,
        min_price_increment=UNDEF_PRICE,
    )
    figures = _rows_of(
        "silver.future_option.statistics_clean",
        n,
        ts_event_ns=0,
        ts_event_est="",
        ts_recv_ns=BEGIN_NS - WINDOW_NS,
        source="",
        underlying="ESH6",
        option_symbol=symbols,
        exp_date="2026-01-06",
        strike=strike,
        right=letters,
        open_interest=100.0,
    )
    spot = _CENTRE * _POINT + rng.integers(-8, 9, CHAIN_SECONDS) * 250_000_000
    snapshot = pa.table(
        {
            "window_end_ts_ns": BEGIN_NS + WINDOW_NS * np.arange(1, CHAIN_SECONDS + 1),
            "spot_ref_price_int": spot,
            "mid_price_int": spot + 125_000_000,
        }
    )
    return sink.getvalue(), (definitions, figures, snapshot)


def _rows_of(dataset: str, n: int, **columns: Any) -> pa.Table:
    schema = table(dataset).arrow_schema
    given = {
        name: pa.array([value] * n if np.isscalar(value) else value, schema.field(name).type)
        for name, value in columns.items()
    }
    return pa.table(given, schema=schema)
