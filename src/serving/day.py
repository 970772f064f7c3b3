"""One row per window of the whole day: mini-map, VWAP and cumulative delta (spec 9.3).

Pure but for `day_rows`, which asks a loaded day for its columns. VWAP and cumulative delta start anew with
the trade date, at 17:00 Chicago; before its first trade VWAP is 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_eng.schema import table
from data_eng.schema.column import Column
from data_eng.sessions import trade_dates
from data_eng.units import PRICES_PER_POINT, UNDEF_PRICE, WINDOW_NS
from serving.hud_streaming import HudCache

Arrays = Mapping[str, npt.NDArray[Any]]
_HUD: Final = table("gold.hud.hud_surface_1s")
COPIED: Final = (
    "window_end_ts_ns",
    "spot_ref_price_int",
    "mid_price",
    "book_valid",
    "window_valid",
    "phase",
    "above_score",
    "below_score",
    "above_touch_score",
    "below_touch_score",
    "buy_qty",
    "sell_qty",
)
"""columns taken from the picture as they are"""
TRADE_COLUMNS: Final = ("ts_event_ns", "price_int", "qty")
COLUMNS: Final = (
    *(_HUD.column(name) for name in COPIED),
    Column("high_price_int", pa.int64(), "Highest trade of the window; 0 = no trade.", "1e-9 points"),
    Column("low_price_int", pa.int64(), "Lowest trade of the window; 0 = no trade.", "1e-9 points"),
    Column(
        "cum_delta_qty",
        pa.int64(),
        "Aggressive buys minus sells since the trade date's start, or since the first window.",
        "contracts",
    ),
    Column(
        "vwap",
        pa.float64(),
        "Volume-weighted trade price since the trade date's start, or the first window; 0 = no trade.",
        "points",
        0,
    ),
)
SCHEMA: Final = pa.schema([column.arrow_field for column in COLUMNS])


def day_rows(cache: HudCache) -> pa.Table:
    """The rows of a loaded day, of `SCHEMA`. Blocks: it reads the trades."""
    hud = {name: column.to_numpy() for name, column in _named(cache.surfaces["hud"].columns(COPIED))}
    trades = {
        name: column.to_numpy() for name, column in _named(cache.surfaces["trade"].columns(TRADE_COLUMNS))
    }
    return day_table(hud, trades)


def day_table(hud: Arrays, trades: Arrays) -> pa.Table:
    """hud: `COPIED` as arrays of n windows, on a gap-free axis; trades: `TRADE_COLUMNS`. n rows of `SCHEMA`.

    A trade belongs to the window of its ts_event; those without a price or outside the windows do not count.
    """
    ends = hud["window_end_ts_ns"]
    count = len(ends)
    slot = (trades["ts_event_ns"] // WINDOW_NS + 1 - ends[0] // WINDOW_NS) if count else np.zeros(0, np.int64)
    price, qty = trades["price_int"], trades["qty"].astype(np.int64)
    counts = (slot >= 0) & (slot < count) & (price != UNDEF_PRICE)
    slot, price, qty = slot[counts], price[counts], qty[counts]

    high = np.full(count, np.iinfo(np.int64).min)
    low = np.full(count, np.iinfo(np.int64).max)
    np.maximum.at(high, slot, price)
    np.minimum.at(low, slot, price)
    traded = np.zeros(count, dtype=bool)
    traded[slot] = True

    # lots and lots x points in float64: exact, since prices are multiples of 2**-k points and sums stay small
    lots = np.bincount(slot, qty, count)
    value = np.bincount(slot, qty * (price / PRICES_PER_POINT), count)
    fresh = _first_of_trade_date(ends)
    lots_so_far, value_so_far = _running(lots, fresh), _running(value, fresh)
    delta = hud["buy_qty"].astype(np.int64) - hud["sell_qty"].astype(np.int64)
    columns = dict(hud) | {
        "high_price_int": np.where(traded, high, 0),
        "low_price_int": np.where(traded, low, 0),
        "cum_delta_qty": _running(delta, fresh),
        "vwap": np.divide(value_so_far, lots_so_far, out=np.zeros(count), where=lots_so_far > 0),
    }
    return pa.table({name: columns[name] for name in SCHEMA.names}, schema=SCHEMA)


def _first_of_trade_date(ends: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """bool[n]: the window is the first of its trade date; a window belongs to the date of its start."""
    dates = trade_dates(ends - WINDOW_NS)
    first = np.ones(len(ends), dtype=bool)
    first[1:] = dates[1:] != dates[:-1]
    return first


def _running(values: npt.NDArray[Any], fresh: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """Running sum that starts anew where `fresh` is True."""
    total = np.cumsum(values)
    before = total - values
    starts = np.flatnonzero(fresh)
    if not len(starts):
        return total
    return np.asarray(total - np.repeat(before[starts], np.diff(np.append(starts, len(values)))))


def _named(rows: pa.Table) -> list[tuple[str, pa.ChunkedArray]]:
    return list(zip(rows.schema.names, rows.columns, strict=True))
