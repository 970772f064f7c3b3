"""One option case through the fast stage and through the slow twins, and how the two are compared.

Integers, words and row counts are equal. A volatility is equal as far as its price tells it: the solver stops
at 1e-10 points, and where the price hardly moves with the volatility, neither value is better. So every float
that hangs on it is compared to 1e-12 relative plus what 1e-10 points do to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from data_eng.schema import table
from data_eng.stages.bronze.mbo_rows import to_bronze
from data_eng.stages.silver.future_option_mbo.compute_gex_surface_1s import GexReport, compute_gex
from tests.naive.option_books import NaiveOptionBooks
from tests.naive.option_gamma import (
    GEX_COLUMNS,
    PROFILE_COLUMNS,
    QUOTE_COLUMNS,
    SCALE,
    YEAR_NS,
    Black76,
    Contract,
    Figure,
    NaiveGamma,
    Window,
)
from tests.naive.records import Rec
from tests.option_strategies import OptionCase
from tests.strategies import DAY_START_NS, SECOND, to_records

DT = "2026-01-06"
CONTRACT = "ESH6"
UNDEF_PRICE = 2**63 - 1
TABLES = ("gex", "quote", "profile")
PRICE_TOL = 1e-10
REL = 1e-12
Tables = dict[str, pa.Table]


# ---- the fast stage ----------------------------------------------------------------------------------------


def definitions_of(chain: Sequence[Contract], *, multiplier: float = 50.0) -> pa.Table:
    """Definition rows of the chain, stamped 00:00 of the date."""
    schema = table("bronze.shared.instrument_definitions").arrow_schema
    rows = [
        {
            "ts_recv": DAY_START_NS,
            "ts_event": DAY_START_NS - 2 * 86_400 * SECOND,
            "instrument_id": contract.instrument_id,
            "instrument_class": contract.right,
            "security_update_action": "A",
            "security_type": "OOF",
            "underlying_id": 1,
            "underlying": CONTRACT,
            "expiration": contract.expiration_ns,
            "strike_price": contract.strike_int,
            "currency": "USD",
            "raw_symbol": symbol_of(contract),
            "unit_of_measure_qty": round(multiplier * SCALE),
            "min_price_increment": UNDEF_PRICE,
        }
        for contract in chain
    ]
    return pa.Table.from_pylist(rows, schema=schema)


def symbol_of(contract: Contract) -> str:
    """A symbol that tells nothing: terms come from the definitions."""
    return f"OPTION {contract.instrument_id}"


def statistics_of(chain: Sequence[Contract], figures: Mapping[int, Sequence[Figure]]) -> pa.Table:
    """Rows of statistics_clean for the chain, in key order."""
    schema = table("silver.future_option.statistics_clean").arrow_schema
    rows = [
        {
            "ts_event_ns": figure.ts_recv_ns - 1_000,
            "ts_event_est": "2026-01-06T00:00:00-05:00",
            "ts_recv_ns": figure.ts_recv_ns,
            "source": "GLBX.MDP3",
            "underlying": CONTRACT,
            "option_symbol": symbol_of(contract),
            "exp_date": DT,
            "strike": contract.strike_int / SCALE,
            "right": contract.right,
            "open_interest": figure.contracts,
        }
        for contract in sorted(chain, key=symbol_of)
        for figure in sorted(figures.get(contract.instrument_id, ()))
    ]
    return pa.Table.from_pylist(rows, schema=schema)


def snapshot_of(windows: Sequence[Window]) -> pa.Table:
    """The columns of book_snapshot_1s that say where the windows and the spot are."""
    return pa.table(
        {
            "window_start_ts_ns": pa.array([w.end_ns - SECOND for w in windows], pa.int64()),
            "window_end_ts_ns": pa.array([w.end_ns for w in windows], pa.int64()),
            "mid_price_int": pa.array([w.mid_int for w in windows], pa.int64()),
            "spot_ref_price_int": pa.array([w.spot_int for w in windows], pa.int64()),
        }
    )


def bronze_of(
    chain: Sequence[Contract], records: Iterable[Rec], cuts: Sequence[int] = ()
) -> list[pa.RecordBatch]:
    """Batches of bronze.future_option_mbo.mbo, cut at the sorted positions `cuts`."""
    schema = table("bronze.future_option_mbo.mbo").arrow_schema
    by_id = {contract.instrument_id: contract for contract in chain}
    recs = list(records)
    edges = [0, *cuts, len(recs)]
    batches = []
    for start, stop in pairwise(edges):
        part = recs[start:stop]
        plain = to_bronze(to_records(part))
        terms = [by_id.get(rec.instrument_id, chain[0]) for rec in part]
        more = {
            "symbol": [symbol_of(term) for term in terms],
            "underlying": [CONTRACT] * len(part),
            "right": [term.right for term in terms],
            "strike": [term.strike_int for term in terms],
            "expiration": [term.expiration_ns for term in terms],
        }
        columns = [
            pa.array(more[name], schema.field(name).type) if name in more else plain.column(name)
            for name in schema.names
        ]
        batches.append(pa.RecordBatch.from_arrays(columns, schema=schema))
    return batches


def run_stage(
    case: OptionCase,
    *,
    cuts: Sequence[int] = (),
    report: GexReport | None = None,
    multiplier: float = 50.0,
    **options: Any,
) -> Tables:
    """Tables of the fast stage by name: gex, quote, profile."""
    blocks = list(
        compute_gex(
            bronze_of(case.chain, case.records, cuts),
            definitions_of(case.chain, multiplier=multiplier),
            statistics_of(case.chain, case.figures),
            snapshot_of(case.windows),
            contract=CONTRACT,
            dt=DT,
            rate=case.rate,
            report=report,
            **options,
        )
    )
    datasets = {"gex": "gex_surface_1s", "quote": "option_quote_1s", "profile": "gex_profile_1s"}
    return {
        name: pa.Table.from_batches(
            [getattr(block, name) for block in blocks],
            schema=table(f"silver.future_option_mbo.{dataset}").arrow_schema,
        )
        for name, dataset in datasets.items()
    }


def same_bytes(first: Tables, second: Tables) -> bool:
    """The tables are equal to the last bit, -0.0 and the bits of every float included."""
    return all(fingerprint(first[name]) == fingerprint(second[name]) for name in TABLES)


def fingerprint(found: pa.Table) -> list[tuple[str, Any]]:
    """Values of a table, floats by their bits."""
    out = []
    for name in found.schema.names:
        values = found.column(name).to_pylist()
        out.append((name, [_bits(value) for value in values]))
    return out


def _bits(value: Any) -> Any:
    if isinstance(value, float):
        return np.float64(value).tobytes()
    return [_bits(item) for item in value] if isinstance(value, list) else value


# ---- the slow twins ----------------------------------------------------------------------------------------


def run_twin(case: OptionCase) -> tuple[NaiveGamma, NaiveOptionBooks]:
    """The twins over the same case."""
    books = NaiveOptionBooks([c.instrument_id for c in case.chain], [w.end_ns for w in case.windows])
    books.apply(case.records)
    books.finish()
    gamma = NaiveGamma(case.chain, case.figures, rate=case.rate)
    gamma.run(case.windows, books.quotes)
    return gamma, books


# ---- comparing ---------------------------------------------------------------------------------------------


class Slack:
    """How far two right answers may lie apart, per (window, strike), from what the twin found there."""

    def __init__(self, case: OptionCase, twin: NaiveGamma) -> None:
        self.case = case
        self.windows = {window.end_ns: window for window in case.windows}
        self.twin = twin
        self.vols: dict[tuple[int, int], float] = {}
        for row in twin.quotes:
            if row["implied_vol"] is not None:
                self.vols[row["window_end_ts_ns"], row["strike_price_int"]] = row["implied_vol"]
        self.lots = {
            c.instrument_id: max((f.contracts for f in case.figures.get(c.instrument_id, ())), default=0.0)
            for c in case.chain
        }

    def model(self, end_ns: int, contract: Contract, vol: float, forward_int: int | None = None) -> Black76:
        spot = self.windows[end_ns].spot_int if forward_int is None else forward_int
        years = (contract.expiration_ns - end_ns) / YEAR_NS
        return Black76(spot / SCALE, contract.strike_int / SCALE, years, vol, self.case.rate)

    def of_vol(self, model: Black76) -> float:
        """2e-10 points and the rounding of F N(d1) - K N(d2), as volatility."""
        noise = 4e-16 * (model.forward + model.strike)
        return (2 * PRICE_TOL + 4 * noise) / max(model.vega(), 1e-300)

    def of_gamma(self, model: Black76) -> float:
        """What that does to gamma: to first order, and twice, since gamma bends."""
        wide = self.of_vol(model)
        if wide > 0.05 * model.vol:
            return math.inf
        rounding = 4e-15 * (1.0 + abs(model.d1) / model.spread)
        return 2.0 * abs(model.gamma_per_vol()) * wide + rounding * model.gamma()

    def of_strike(self, end_ns: int, strike_int: int) -> float:
        """Of the exposure of a strike, both rights together."""
        vol = self.vols.get((end_ns, strike_int))
        total = 0.0
        for contract in self.case.chain:
            if contract.strike_int == strike_int and vol is not None:
                total += self.of_gamma(self.model(end_ns, contract, vol)) * self.lots[contract.instrument_id]
        return total * self.twin.multiplier


def close(found: float, wanted: float, slack: float = 0.0) -> bool:
    """Equal to 1e-12 relative, and `slack`."""
    return found == wanted or abs(found - wanted) <= REL * abs(wanted) + slack + 1e-300


def assert_case(case: OptionCase, **options: Any) -> None:
    """The fast stage says what the twins say."""
    twin, _ = run_twin(case)
    found = run_stage(case, **options)
    slack = Slack(case, twin)
    assert_quotes(found["quote"].to_pylist(), twin.quotes, slack)
    assert_gex(found["gex"].to_pylist(), twin.gex, slack)
    assert_profile(found["profile"].to_pylist(), twin.profile, slack)


def assert_quotes(found: list[dict[str, Any]], wanted: list[dict[str, Any]], slack: Slack) -> None:
    """option_quote_1s: everything but the model's numbers exactly, those as far as the price tells."""
    keys = ("window_end_ts_ns", "strike_price_int", "right", "instrument_id")
    assert [[r[k] for k in keys] for r in found] == [[r[k] for k in keys] for r in wanted]
    contracts = {c.instrument_id: c for c in slack.case.chain}
    model_columns = ("implied_vol", "delta", "gamma", "vega", "implied_vol_mid_forward")
    for row, twin in zip(found, wanted, strict=True):
        where = {k: twin[k] for k in keys}
        for name in QUOTE_COLUMNS:
            if name in model_columns:
                assert (row[name] is None) == (twin[name] is None), (where, name, row, twin)
            elif isinstance(twin[name], float):
                assert close(row[name], twin[name]), (where, name, row[name], twin[name])
            else:
                assert row[name] == twin[name], (where, name, row, twin)
        contract, end = contracts[twin["instrument_id"]], twin["window_end_ts_ns"]
        if twin["implied_vol"] is not None:
            model = slack.model(end, contract, twin["implied_vol"])
            dv = slack.of_vol(model)
            assert close(row["implied_vol"], twin["implied_vol"], dv), (where, row, twin)
            assert close(row["gamma"], twin["gamma"], slack.of_gamma(model)), (where, row, twin)
            # the Greeks belong to the volatility that stands beside them, to the last digits
            own = slack.model(end, contract, row["implied_vol"])
            rel = 1e-12 + 8e-16 * (1.0 + abs(own.d1) / own.spread)
            for name, value in (
                ("delta", own.delta(contract.right)),
                ("gamma", own.gamma()),
                ("vega", own.vega()),
            ):
                assert abs(row[name] - value) <= rel * abs(value) + 1e-300, (where, name, row, value)
        if twin["implied_vol_mid_forward"] is not None:
            mid_int = slack.windows[end].mid_int
            model = slack.model(end, contract, twin["implied_vol_mid_forward"], mid_int)
            assert close(
                row["implied_vol_mid_forward"], twin["implied_vol_mid_forward"], slack.of_vol(model)
            ), (where, row, twin)


def assert_gex(found: list[dict[str, Any]], wanted: list[dict[str, Any]], slack: Slack) -> None:
    """gex_surface_1s: keys exactly, values and their differences as far as the prices tell."""
    keys = ("window_start_ts_ns", "window_end_ts_ns", "underlying", "strike_price_int")
    assert [[r[k] for k in keys] for r in found] == [[r[k] for k in keys] for r in wanted]
    exposure = {(r["window_end_ts_ns"], r["strike_price_int"]): r["gex_abs"] for r in wanted}
    for row, twin in zip(found, wanted, strict=True):
        end, strike = twin["window_end_ts_ns"], twin["strike_price_int"]
        own = slack.of_strike(end, strike)
        # three differences reach back three windows and double what is uncertain each time
        back = [
            slack.of_strike(end - k * SECOND, strike) + REL * exposure.get((end - k * SECOND, strike), 0.0)
            for k in range(4)
        ]
        if math.isinf(sum(back)):
            continue
        for name in GEX_COLUMNS:
            value = twin[name]
            if not isinstance(value, float):
                continue
            if name.startswith("d"):
                uncertain = (
                    8 * sum(back) if "ratio" not in name else 8 * _ratio_slack(back, exposure, end, strike)
                )
            elif name == "gex_imbalance_ratio":
                uncertain = _ratio_slack(back[:1], exposure, end, strike)
            else:
                uncertain = own
            assert close(row[name], value, uncertain), (end, strike, name, row[name], value, uncertain)


def _ratio_slack(
    back: Sequence[float], exposure: Mapping[tuple[int, int], float], end: int, strike: int
) -> float:
    return sum(
        2 * uncertain / (exposure.get((end - k * SECOND, strike), 0.0) + 1e-6) + 1e-14
        for k, uncertain in enumerate(back)
    )


def assert_profile(found: list[dict[str, Any]], wanted: list[dict[str, Any]], slack: Slack) -> None:
    """gex_profile_1s: sums within their uncertainty; flips one by one where they stand apart."""
    assert len(found) == len(wanted)
    strikes = sorted({c.strike_int for c in slack.case.chain})
    for row, twin in zip(found, wanted, strict=True):
        end = twin["window_end_ts_ns"]
        assert row["window_end_ts_ns"] == end
        if not _whole_chain_is_quoted(strikes, slack.windows[end]):
            continue
        per_strike = [slack.of_strike(end, strike) for strike in strikes]
        total = sum(per_strike) + REL * (twin["call_gex"] + twin["put_gex"])
        if math.isinf(total):
            continue
        flow = _flow_slack(slack, end)
        for name in PROFILE_COLUMNS[1:]:
            value = twin[name]
            if name == "flip_points":
                _assert_flips(row[name], value, slack, end)
            elif name == "gamma_centre_points":
                size = abs(twin["call_gex"]) + abs(twin["put_gex"])
                net = sum(abs(_net(slack, end, strike)) for strike in strikes)
                if net > 1e-6 * size:
                    assert close(row[name], value, 8 * 150 * total / max(net, 1e-300)), (end, name, row, twin)
            elif name.startswith("top_"):
                assert row[name] == value or _tied(slack, end, name, row[name], value, total), (
                    end,
                    row,
                    twin,
                )
            else:
                wide = total if name in ("call_gex", "put_gex", "net_gex") else total + flow
                assert close(row[name], value, 2 * wide), (end, name, row[name], value, wide)


def _whole_chain_is_quoted(strikes: Sequence[int], window: Window) -> bool:
    """Of strikes outside the quote table the twin keeps no volatility to judge by."""
    return window.spot_int <= 0 or all(abs(k - window.spot_int) <= 200 * SCALE for k in strikes)


def _flow_slack(slack: Slack, end: int) -> float:
    """Uncertainty of gamma x traded lots, for options that have traded."""
    total = 0.0
    for contract in slack.case.chain:
        vol = slack.vols.get((end, contract.strike_int))
        if vol is not None:
            traded = sum(
                min(r.size, 2**31)
                for r in slack.case.records
                if r.action == "T" and r.instrument_id == contract.instrument_id
            )
            total += slack.of_gamma(slack.model(end, contract, vol)) * traded
            total += REL * slack.model(end, contract, vol).gamma() * traded
    return total * slack.twin.multiplier


def _net(slack: Slack, end: int, strike_int: int) -> float:
    row = next(
        (r for r in slack.twin.gex if r["window_end_ts_ns"] == end and r["strike_price_int"] == strike_int),
        None,
    )
    return 0.0 if row is None else row["gex"]


def _tied(slack: Slack, end: int, name: str, found: float, wanted: float, total: float) -> bool:
    """Two strikes whose exposures differ by less than is known."""
    column = "gex_call_abs" if "call" in name else "gex_put_abs"
    values = {r["strike_points"]: r[column] for r in slack.twin.gex if r["window_end_ts_ns"] == end}
    if found not in values or wanted not in values:
        return False
    return abs(values[found] - values[wanted]) <= 2 * total


def _assert_flips(found: list[float], wanted: list[float], slack: Slack, end: int) -> None:
    """Every sign change of the twin within 1e-6 points; more only where the net exposure is nothing."""
    assert found == sorted(found), (end, found)
    spot = slack.windows[end].spot_int / SCALE
    assert all(abs(f - spot) <= 150.0 for f in found), (end, found)
    for flip in wanted:
        apart = min((abs(other - flip) for other in wanted if other is not flip), default=1.0)
        if apart > 1e-3:
            assert any(abs(f - flip) <= 1e-5 for f in found), (end, flip, found, wanted)
    for flip in found:
        assert any(abs(f - flip) <= 1e-3 for f in wanted), (end, flip, found, wanted)
