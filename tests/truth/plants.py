"""What one planted order, wall or sweep left in the surfaces, taken apart from everything around it."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from data_eng.dbn_codes import ACTION_TRADE, F_LAST, F_SNAPSHOT
from tests.truth.days import SECOND_NS, Day, plain, run_engine

FLOW = ["add_qty", "pull_qty_total", "fill_qty"]
KEY = ["window_end_ts_ns", "side", "price_int"]


def window_end(ts_ns: int) -> int:
    """End of the window that holds an instant."""
    return (ts_ns // SECOND_NS + 1) * SECOND_NS


def alone(records: np.ndarray, order_ids: list[int], first_ns: int, last_ns: int) -> np.ndarray:
    """The records of some orders between two instants, and the trades around them; events keep their ends.

    Trades stay because they name the aggressor of the fills that follow and give the window its spot.
    """
    plain_from = int(np.argmin((records["flags"] & F_SNAPSHOT) > 0))
    times = records["ts_event"][plain_from:]
    begin, stop = np.searchsorted(times, np.array([first_ns, last_ns + 1], np.uint64)) + plain_from
    trade = records["action"] == ACTION_TRADE
    lead = np.flatnonzero(trade[:begin])[-1:]  # the trade before gives the first window its spot
    rows = np.concatenate([records[lead], records[begin:stop]])
    trade = rows["action"] == ACTION_TRADE
    keep = trade | np.isin(rows["order_id"], np.array(order_ids, np.uint64))
    ends = (rows["flags"] & F_LAST) > 0
    ends[: len(lead)] = True
    event = np.cumsum(ends) - ends
    out = rows[keep]
    out["flags"] &= ~np.uint8(F_LAST)
    out["flags"][np.append(np.diff(event[keep]) != 0, True)] |= F_LAST
    return out


def ledger(day: Day, plant: dict[str, Any]) -> pl.DataFrame:
    """Wall rows of the engine fed with the orders of one plant: what they alone did to every level."""
    orders = day.orders_of(plant)
    assert len(orders), f"no order carried out the plant {plant}"
    last = orders["leave_ts_ns"].max()
    windows, engine = run_engine(
        alone(day.records, orders["order_id"].to_list(), orders["enter_ts_ns"].min(), last)
    )
    counters = engine.counters()
    # fills of strangers are the only thing a stream of its own may not understand: none are in it
    assert counters["unknown_cancels"] == counters["unknown_modifies"] == counters["unknown_fill_qty"] == 0
    rows = plain(pl.from_arrow(windows.wall_surface_1s))
    return rows.filter(pl.any_horizontal(pl.col([*FLOW, "depth_qty_end"]) > 0))


def sums(rows: pl.DataFrame) -> tuple[int, int, int]:
    """Lots added, pulled and filled."""
    return rows["add_qty"].sum(), rows["pull_qty_total"].sum(), rows["fill_qty"].sum()


def at(rows: pl.DataFrame, ts_ns: int) -> pl.DataFrame:
    """Rows of the window that holds an instant."""
    return rows.filter(pl.col("window_end_ts_ns") == window_end(ts_ns))


def trades_at(day: Day, ts_ns: int, side: str) -> pl.DataFrame:
    """Trades of the first event of an aggressor of `side` from an instant on."""
    rows = day.table("trade_event").filter(
        (pl.col("ts_event_ns") >= ts_ns) & (pl.col("aggressor_side") == side)
    )
    return rows.filter(pl.col("ts_event_ns") == rows["ts_event_ns"].min())
