"""Real ES option quotes through the options stage: a 0DTE call through its expiry, and two quarterly puts.

There is no real option MBO at hand, so the quotes of each minute's end are told as orders: a clear, a bid and
an ask, then modifies. Definitions are the real ones, field by field.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import databento_dbn as dbn
import numpy as np
import pyarrow as pa
import pytest
import zstandard

from data_eng.schema import table
from data_eng.stages.bronze.mbo_rows import to_bronze
from data_eng.stages.silver.future_option_mbo.compute_gex_surface_1s import compute_gex
from tests.naive.option_gamma import Contract, Figure, Window
from tests.naive.records import ASK, BID, F_LAST, UNDEF_PRICE, Rec
from tests.option_harness import snapshot_of, statistics_of, symbol_of
from tests.option_oracles import SCALE, Point, quantlib
from tests.strategies import SECOND, to_records

MINUTE = 60 * SECOND
EXPIRY_NS = int(datetime(2026, 1, 9, 21, tzinfo=UTC).timestamp()) * SECOND
LOTS = 100.0


class Quote(NamedTuple):
    """Best bid and ask at an instant; prices in 1e-9 points."""

    ts_ns: int
    bid: int
    ask: int
    bid_qty: int
    ask_qty: int


def records_of(path: Path) -> list[Any]:
    """Records of a DBN file by the vendor's decoder."""
    with path.open("rb") as compressed:
        data = zstandard.ZstdDecompressor().stream_reader(compressed).read()
    decoder = dbn.DBNDecoder()
    decoder.write(data)
    return [rec for rec in decoder.decode() if not isinstance(rec, dbn.Metadata)]


def only(folder: Path, pattern: str) -> list[Any]:
    (path,) = folder.glob(pattern)
    return records_of(path)


def contract_of(definition: Any) -> Contract:
    """The terms of a real definition; the multiplier of ES stands in unit_of_measure_qty."""
    assert definition.unit_of_measure_qty == 50 * SCALE
    assert definition.contract_multiplier == 2**31 - 1, "UNDEF in real definitions"
    right = str(definition.instrument_class)[-1]
    return Contract(definition.instrument_id, right, definition.strike_price, definition.expiration)


def quotes_of(rows: list[Any], instrument_id: int) -> list[Quote]:
    """Quotes of one option, each at the end of its minute."""
    found = []
    for row in rows:
        if row.instrument_id == instrument_id:
            level = row.levels[0]
            found.append(Quote(row.ts_recv, level.bid_px, level.ask_px, level.bid_sz, level.ask_sz))
    return found


def as_orders(contract: Contract, quotes: list[Quote]) -> list[Rec]:
    """A clear, then both sides of each quote, 1 us before the end of its minute."""

    def rec(ts: int, action: str, side: str, order_id: int, price: int, size: int) -> Rec:
        return Rec(ts, ts + 500, order_id, price, size, F_LAST, action, side, contract.instrument_id, 1)

    records = [rec(quotes[0].ts_ns - 2_000, "R", "N", 0, UNDEF_PRICE, 0)]
    for place, quote in enumerate(quotes):
        ts, action = quote.ts_ns - 1_000, "M" if place else "A"
        records.append(rec(ts, action, BID, 1, quote.bid, quote.bid_qty))
        records.append(rec(ts, action, ASK, 2, quote.ask, quote.ask_qty))
    return records


def definitions_table(definitions: list[Any]) -> pa.Table:
    """Rows of bronze.shared.instrument_definitions, field by field from the real messages."""
    schema = table("bronze.shared.instrument_definitions").arrow_schema
    rows = []
    for found in definitions:
        row = {name: getattr(found, name) for name in schema.names if hasattr(found, name)}
        row["instrument_class"] = str(found.instrument_class)[-1]
        row["security_update_action"] = "A"
        row["raw_symbol"] = symbol_of(contract_of(found))
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=schema)


def run(
    definitions: list[Any], records: list[Rec], windows: list[Window], *, contract: str, dt: str
) -> dict[str, list[dict[str, Any]]]:
    chain = [contract_of(definition) for definition in definitions]
    schema = table("bronze.future_option_mbo.mbo").arrow_schema
    plain = to_bronze(to_records(sorted(records, key=lambda r: r.ts_recv)))
    none: dict[str, list[Any]] = {"symbol": [""], "underlying": [""], "right": ["C"], "strike": [0]}
    none["expiration"] = [0]
    columns = [
        pa.array(none[name] * plain.num_rows, schema.field(name).type) if name in none else plain.column(name)
        for name in schema.names
    ]
    statistics = statistics_of(chain, {c.instrument_id: [Figure(0, LOTS)] for c in chain})
    blocks = list(
        compute_gex(
            [pa.RecordBatch.from_arrays(columns, schema=schema)],
            definitions_table(definitions),
            statistics,
            snapshot_of(windows),
            contract=contract,
            dt=dt,
        )
    )
    return {
        name: [row for block in blocks for row in getattr(block, name).to_pylist()]
        for name in ("gex", "quote", "profile")
    }


def assert_inverts(row: dict[str, Any], window: Window, strike: float) -> None:
    """QuantLib gives the mid back, and the same gamma."""
    seconds = row["seconds_to_expiry"]
    assert seconds == int(seconds)
    point = Point(row["right"], round(strike * SCALE), int(seconds), row["implied_vol"])
    found = quantlib(point, window.spot_int / SCALE, row["implied_vol"])
    assert found.price == pytest.approx(row["mid_price"], abs=1e-10)
    assert row["gamma"] == pytest.approx(found.gamma, rel=1e-9)
    assert row["vega"] == pytest.approx(found.vega, rel=1e-9)


# ---- EW2F6 C7000 on its last day, 2026-01-09, 20:55 to 21:05 UTC ----------------------------


@pytest.fixture(scope="module")
def last_minutes(real_data: Path) -> tuple[dict[str, list[dict[str, Any]]], list[Window], list[Quote]]:
    """Tables of every second of the ten minutes; spot is the open of the running minute's future bar."""
    folder = real_data / "nautilus_trader" / "options_exercise"
    (definition,) = only(folder, "options_definition*")
    quotes = quotes_of(only(folder, "options_bbo-1m*"), definition.instrument_id)
    bars = only(folder, "futures_ohlcv-1m*")
    windows = [Window(bar.ts_event + (k + 1) * SECOND, bar.open, bar.open) for bar in bars for k in range(60)]
    tables = run(
        [definition], as_orders(contract_of(definition), quotes), windows, contract="ESH6", dt="2026-01-09"
    )
    return tables, windows, quotes


def test_the_real_0dte_option_is_what_its_definition_says(real_data: Path) -> None:
    (definition,) = only(real_data / "nautilus_trader" / "options_exercise", "options_definition*")
    assert contract_of(definition) == Contract(42_780_620, "C", 7_000 * SCALE, EXPIRY_NS)
    assert definition.min_price_increment == UNDEF_PRICE


def test_every_real_quote_stands_from_its_minute_on(last_minutes: Any) -> None:
    tables, windows, quotes = last_minutes
    assert len(quotes) == 8
    assert len(tables["quote"]) == len(windows) == 600
    for row in tables["quote"]:
        standing = [q for q in quotes if q.ts_ns - 1_000 < row["window_end_ts_ns"]]
        last = standing[-1] if standing else Quote(0, 0, 0, 0, 0)
        found = [row[n] for n in ("bid_price_int", "ask_price_int", "bid_qty", "ask_qty")]
        assert found == list(last[1:])


def test_real_mids_have_a_vol_that_gives_them_back_or_lie_below_intrinsic(last_minutes: Any) -> None:
    tables, windows, _ = last_minutes
    reasons: dict[str, int] = {}
    for row, window in zip(tables["quote"], windows, strict=True):
        reasons[row["reason"]] = reasons.get(row["reason"], 0) + 1
        if row["reason"] == "ok":
            assert_inverts(row, window, 7_000.0)
            if row["seconds_to_expiry"] >= 60:  # then the last quote is held and time runs out under it
                assert 0.03 < row["implied_vol"] < 0.8
        elif row["reason"] == "below_intrinsic":
            assert row["mid_price"] <= window.spot_int / SCALE - 7_000
    assert reasons["ok"] >= 60
    assert set(reasons) <= {"ok", "below_intrinsic", "expired", "no_book"}


def test_from_the_second_of_expiry_on_the_real_option_weighs_nothing(last_minutes: Any) -> None:
    tables, _, _ = last_minutes
    after = [row for row in tables["quote"] if row["window_end_ts_ns"] >= EXPIRY_NS]
    assert len(after) == 301
    assert {row["reason"] for row in after} == {"expired"}
    assert all(row["implied_vol"] is None and row["gamma"] is None for row in after)
    assert after[0]["seconds_to_expiry"] == 0.0
    assert all(row["bid_price_int"] > 0 and row["ask_price_int"] > 0 for row in after), "the book stays up"
    late = [row for row in tables["gex"] if row["window_end_ts_ns"] >= EXPIRY_NS]
    assert len(late) == 61 * 301
    assert all(row["gex_abs"] == 0.0 for row in late)
    assert all(row["call_gex"] == 0.0 for row in tables["profile"][-301:])
    before = [row for row in tables["gex"] if row["gex_abs"] > 0]
    assert {row["strike_price_int"] for row in before} == {7_000 * SCALE}
    assert len(before) == sum(row["reason"] == "ok" for row in tables["quote"])


# ---- ESM4 P5230 and P5250, 2024-05-09, 42 days before expiry ----------------------------


def test_real_quarterly_puts_have_the_vols_that_quantlib_finds(real_data: Path) -> None:
    """The chain is the one that expires on the date it is asked for: here the 21st of June, from May."""
    folder = real_data / "nautilus_trader" / "options_catalog"
    definitions = only(folder, "options_definition*")
    rows = only(folder, "options_bbo-1m*")
    future = {row.ts_recv: row for row in only(folder, "futures_bbo-1m*") if row.instrument_id == 5602}
    windows = [
        Window(ts, row.price, (row.levels[0].bid_px + row.levels[0].ask_px) // 2)
        for ts, row in sorted(future.items())
    ]
    records = [
        rec
        for definition in definitions
        for rec in as_orders(contract_of(definition), quotes_of(rows, definition.instrument_id))
    ]
    tables = run(definitions, records, windows, contract="ESM4", dt="2024-06-21")
    assert len(tables["quote"]) == 2 * len(windows) == 20
    at = {window.end_ns: window for window in windows}
    vols: dict[float, list[float]] = {}
    for row in tables["quote"]:
        window = at[row["window_end_ts_ns"]]
        strike = row["strike_price_int"] / SCALE
        assert row["reason"] == "ok"
        assert_inverts(row, window, strike)
        # the other forward gives the same price with another volatility
        point = Point("P", row["strike_price_int"], int(row["seconds_to_expiry"]), 0.1)
        by_mid = quantlib(point, window.mid_int / SCALE, row["implied_vol_mid_forward"])
        assert by_mid.price == pytest.approx(row["mid_price"], abs=1e-10)
        vols.setdefault(strike, []).append(row["implied_vol"])
    assert set(vols) == {5_230.0, 5_250.0}
    for found in vols.values():
        assert 0.09 < min(found) <= max(found) < 0.13
    assert np.mean(vols[5_230.0]) > np.mean(vols[5_250.0]), "the skew of an index falls"
