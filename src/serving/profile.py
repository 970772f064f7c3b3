"""Volume by price and aggressor since the start of the trade date: the developing profile (spec 9.3)."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from data_eng.errors import LakeError, MissingDataError
from data_eng.lake import Lake
from data_eng.schema.column import Column
from data_eng.sessions import trade_date
from data_eng.units import UNDEF_PRICE
from serving.hud_streaming import HudCache
from serving.surfaces import SURFACES
from serving.trade_dates import dates_between, start_of_trade_date, trades_between

TRADE_COLUMNS: Final = ("ts_event_ns", "price_int", "qty", "aggressor_side")
COLUMNS: Final = (
    Column("price_int", pa.int64(), "Price level.", "1e-9 points"),
    Column("buy_qty", pa.int64(), "Lots taken there by aggressive buyers.", "contracts", 0),
    Column("sell_qty", pa.int64(), "Lots given there by aggressive sellers.", "contracts", 0),
    Column("auction_qty", pa.int64(), "Lots of auctions there, which have no aggressor.", "contracts", 0),
    Column("total_qty", pa.int64(), "All lots traded there.", "contracts", 0),
    Column("is_point_of_control", pa.bool_(), "The level with the most lots; of equals the lowest price."),
)
SCHEMA: Final = pa.schema([column.arrow_field for column in COLUMNS])


def profile_table(trades: pa.Table) -> pa.Table:
    """Rows of `SCHEMA`, ascending by price, from `TRADE_COLUMNS`; a trade without price does not count."""
    price = trades["price_int"].to_numpy()
    qty = trades["qty"].to_numpy().astype(np.int64)
    side = np.asarray(trades["aggressor_side"].cast(pa.string()).to_numpy(zero_copy_only=False), dtype=object)
    priced = price != UNDEF_PRICE
    levels, slot = np.unique(price[priced], return_inverse=True)
    by_side = {
        name: np.bincount(slot, np.where(side[priced] == code, qty[priced], 0), len(levels)).astype(np.int64)
        for name, code in (("buy_qty", "B"), ("sell_qty", "A"), ("auction_qty", "N"))
    }
    total = sum(by_side.values(), np.zeros(len(levels), dtype=np.int64))
    control = np.zeros(len(levels), dtype=bool)
    if len(levels):
        control[int(np.argmax(total))] = True
    columns = {"price_int": levels, **by_side, "total_qty": total, "is_point_of_control": control}
    return pa.table(columns, schema=SCHEMA)


def profile_of(lake: Lake, cache: HudCache, end_ts_ns: int) -> pa.Table:
    """The profile as it stood when the window that ends at `end_ts_ns` was over. Blocks.

    Metadata: trade_date, start_ts_ns (of the trade date), from_ts_ns (where the lake's trades begin),
    end_ts_ns, complete (``true`` when nothing is missing since the start).
    """
    start = start_of_trade_date(end_ts_ns - 1)
    found = trades_between(lake, cache, start, end_ts_ns, TRADE_COLUMNS)
    begins = max(start, found.from_ns)
    about = {
        "trade_date": trade_date(end_ts_ns - 1).isoformat(),
        "start_ts_ns": str(start),
        "from_ts_ns": str(begins),
        "end_ts_ns": str(end_ts_ns),
        "complete": "true" if found.from_ns <= start and end_ts_ns <= found.to_ns else "false",
    }
    return profile_table(found.trades).replace_schema_metadata(about)


def earlier_version(lake: Lake, cache: HudCache, end_ts_ns: int) -> str:
    """Hashes of the partitions of days before that a profile reads, for its entity tag."""
    found = []
    for dt in dates_between(start_of_trade_date(end_ts_ns - 1), end_ts_ns):
        if dt < cache.dt:
            try:
                found.append(lake.manifest(SURFACES["trade"].dataset, cache.symbol, dt).sha256)
            except (MissingDataError, LakeError):
                found.append("none")
    return ",".join(found)
