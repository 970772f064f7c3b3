"""A coherent set of option tables, made by the slow twins, for the gamma check to pass and to fail.

Half a minute of a small chain: quotes that move every second, a side that vanishes, a crossed quote, an
option without open interest, a figure that changes, a second without a spot, and a strike that leaves the
quote table.
"""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import pyarrow as pa

from data_eng.schema import table
from tests.naive.option_books import NaiveOptionBooks
from tests.naive.option_gamma import SCALE, YEAR_NS, Black76, Contract, Figure, NaiveGamma, Window
from tests.naive.records import ASK, BID, F_LAST, F_SNAPSHOT, UNDEF_PRICE, Rec
from tests.option_harness import definitions_of, statistics_of
from tests.strategies import BASE_NS, RECV_DELAY_NS, SECOND

from .tables import MemoryLake, MemoryManifest

SNAP = "silver.future_mbo.book_snapshot_1s"
GEX = "silver.future_option_mbo.gex_surface_1s"
QUOTES = "silver.future_option_mbo.option_quote_1s"
PROFILE = "silver.future_option_mbo.gex_profile_1s"
STATISTICS = "silver.future_option.statistics_clean"
DEFINITIONS = "bronze.shared.instrument_definitions"
WINDOWS = 30
NO_SPOT_AT = 12
FAR_AT = 20
"""from here on the future has fallen so far that the highest strike is out of reach"""
EXPIRY_NS = BASE_NS + 6 * 3_600 * SECOND
VOL = 0.18
STRIKES = (6_890, 6_900, 6_905, 6_910, 7_095)
CHAIN = [
    Contract(1_000 + 7 * k + (right == "P"), right, strike * SCALE, EXPIRY_NS)
    for k, strike in enumerate(STRIKES)
    for right in "CP"
]
WITHOUT_INTEREST = CHAIN[5].instrument_id
FIGURES = {
    contract.instrument_id: [Figure(BASE_NS - 3_600 * SECOND, 100.0 + 37 * place)]
    for place, contract in enumerate(CHAIN)
    if contract.instrument_id != WITHOUT_INTEREST
}
FIGURES[CHAIN[0].instrument_id].append(Figure(BASE_NS + 9 * SECOND + 5, 40.0))


def windows() -> list[Window]:
    """Spot walks in ticks; one second has none."""
    rng = random.Random(11)
    out = []
    spot = 6_901 * SCALE
    for k in range(WINDOWS):
        spot += rng.choice((-1, 0, 0, 1)) * SCALE // 4
        if k == FAR_AT:
            spot -= 8 * SCALE
        seen = 0 if k == NO_SPOT_AT else spot
        out.append(Window(BASE_NS + (k + 1) * SECOND, seen, 0 if k == 7 else spot + SCALE // 8))
    return out


def records() -> list[Rec]:
    """Every option is cleared, then quoted anew each second around its value at 18 %."""
    rng = random.Random(12)
    out: list[Rec] = []

    def add(
        contract: Contract, ts: int, action: str, side: str, order_id: int, price: int, size: int
    ) -> None:
        recv = ts + RECV_DELAY_NS
        number = contract.instrument_id
        out.append(Rec(ts, recv, order_id, price, size, F_LAST, action, side, number, len(out)))

    for k, window in enumerate(windows()):
        for place, contract in enumerate(CHAIN):
            ts = BASE_NS + k * SECOND + 1_000 * place
            if k == 0:
                add(contract, ts, "R", "N", 0, UNDEF_PRICE, 0)
            spot = (window.spot_int or 6_900 * SCALE) / SCALE
            years = (contract.expiration_ns - window.end_ns) / YEAR_NS
            value = Black76(spot, contract.strike_int / SCALE, years, VOL, 0.05).price(contract.right)
            middle = max(round(value * 20), 2) + rng.choice((-1, 0, 1))
            bid, ask = max(middle - 1, 1) * SCALE // 20, (middle + 2) * SCALE // 20
            vanishes = place == 1 and 14 <= k <= 16
            crosses = place in (2, 3) and k == 18
            add(contract, ts + 1, "M" if k else "A", BID, 1, ask if crosses else bid, rng.randint(1, 9))
            if vanishes:
                add(contract, ts + 2, "C", ASK, 2, ask, 100)
            else:
                add(contract, ts + 2, "M", ASK, 2, ask, rng.randint(1, 9))
            if rng.random() < 0.1:
                add(contract, ts + 3, "T", rng.choice((BID, ASK)), 99, ask, rng.randint(1, 5))
    assert not any(rec.flags & F_SNAPSHOT for rec in out)
    return out


def _table(dataset: str, rows: list[dict[str, Any]]) -> pa.Table:
    schema = table(dataset).arrow_schema
    made = pa.table({f.name: pa.array([row[f.name] for row in rows], f.type) for f in schema}, schema=schema)
    table(dataset).validate(made)
    return made


@cache
def option_lake() -> MemoryLake:
    """Snapshot, definitions, statistics and the three tables of the options stage, coherent."""
    seen = windows()
    books = NaiveOptionBooks([c.instrument_id for c in CHAIN], [w.end_ns for w in seen])
    books.apply(records())
    books.finish()
    twin = NaiveGamma(CHAIN, FIGURES)
    twin.run(seen, books.quotes)
    snapshot = pa.table(
        {
            "window_end_ts_ns": pa.array([w.end_ns for w in seen], pa.int64()),
            "spot_ref_price_int": pa.array([w.spot_int for w in seen], pa.int64()),
            "mid_price_int": pa.array([w.mid_int for w in seen], pa.int64()),
            "event_count": pa.array([3] * len(seen), pa.int32()),
        }
    )
    tables = {
        SNAP: snapshot,
        DEFINITIONS: definitions_of(CHAIN),
        STATISTICS: statistics_of(CHAIN, FIGURES),
        GEX: _table(GEX, twin.gex),
        QUOTES: _table(QUOTES, twin.quotes),
        PROFILE: _table(PROFILE, twin.profile),
    }
    manifests = {name: MemoryManifest() for name in tables}
    for name in (GEX, QUOTES, PROFILE):
        manifests[name] = MemoryManifest(params={"session": "full", "rate": 0.05}, engine_run="run-2")
    return MemoryLake(tables, manifests, batch_rows=100)


@cache
def zero_lake() -> MemoryLake:
    """The ladder of a day without option data: zeros, and a manifest that says why."""
    lake = option_lake()
    made = lake.tables[GEX]
    for name in made.schema.names:
        if "gex" in name:
            index = made.schema.get_field_index(name)
            made = made.set_column(index, made.schema.field(index), pa.array([0.0] * made.num_rows))
    tables = {SNAP: lake.tables[SNAP], GEX: made}
    manifest = MemoryManifest(params={"session": "full"}, warnings=("no_options",))
    return MemoryLake(tables, {SNAP: MemoryManifest(), GEX: manifest}, batch_rows=100)
