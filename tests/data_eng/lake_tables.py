"""Small declared tables and rows for the lake's tests: one wide, one in file order, one narrow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from data_eng.lake import Lake, Manifest
from data_eng.schema.column import DICT_STRING, Column, Table

SECOND = 1_000_000_000
DT = "2026-01-06"
DAY = 1_767_657_600 * SECOND
"""2026-01-06 00:00 UTC"""

WIDE = Table(
    "silver.future_mbo.levels",
    "One row per window, side and price.",
    (
        Column("window_end_ts_ns", pa.int64(), "End of the window.", "ns UTC"),
        Column("side", DICT_STRING, "Side.", values=("A", "B")),
        Column("price_int", pa.int64(), "Level.", "1e-9 points"),
        Column("qty", pa.int32(), "Depth.", "contracts", lo=0),
        Column("score", pa.float32(), "Score.", lo=0, hi=1),
    ),
    key=("window_end_ts_ns", "side", "price_int"),
    wide=True,
)
RECORDS = Table(
    "bronze.option_mbo.records",
    "One row per record, in file order; has a `symbol` column of its own.",
    (
        Column("ts_event", pa.int64(), "Event time.", "ns UTC"),
        Column("action", DICT_STRING, "Action."),
        Column("order_id", pa.uint64(), "Order."),
        Column("price", pa.int64(), "Price, int64 max is none.", "1e-9 points"),
        Column("sequence", pa.uint32(), "Sequence."),
        Column("symbol", pa.string(), "Raw symbol."),
        Column("note", pa.string(), "Optional.", nullable=True),
    ),
)
NARROW = Table(
    "silver.future_mbo.snap",
    "One row per window.",
    (
        Column("window_end_ts_ns", pa.int64(), "End of the window.", "ns UTC"),
        Column("best_bid_price_int", pa.int64(), "Best bid, 0 = none.", "1e-9 points"),
        Column("phase", DICT_STRING, "Phase.", values=("closed", "open")),
        Column("available_ts_ns", pa.int64(), "Known at, 0 = never.", "ns UTC"),
    ),
    key=("window_end_ts_ns",),
)
FREE = Table(
    "gold.hud.metrics",
    "One row per metric, producer's order.",
    (Column("metric", pa.string(), "Name."), Column("q05", pa.float64(), "Quantile.")),
    key=("metric",),
    free_order=True,
)
TABLES = {table.dataset: table for table in (WIDE, RECORDS, NARROW, FREE)}
PLACE = (WIDE.dataset, "ESH6", DT)
FIELDS: dict[str, Any] = {
    "stage": "test",
    "origin": "recorded",
    "verified": True,
    "code_version": "c0de",
}


def open_lake(root: Path, **more: Any) -> Lake:
    """Lake with the tables above."""
    return Lake(root, TABLES, **more)


def wide_rows(version: int, windows: int = 700, levels: int = 3, first: int = 0) -> pa.Table:
    """Rows of the wide table; every value of `qty` tells the version."""
    n = windows * 2 * levels
    ends = DAY + SECOND * (1 + first + np.arange(windows, dtype=np.int64))
    side = np.tile(np.repeat(np.array([0, 1], np.int8), levels), windows)
    price = np.tile(4_800_000_000_000 + 250_000_000 * np.arange(levels, dtype=np.int64), 2 * windows)
    return pa.table(
        [
            pa.array(np.repeat(ends, 2 * levels)),
            pa.DictionaryArray.from_arrays(pa.array(side), pa.array(["A", "B"])),
            pa.array(price),
            pa.array(np.full(n, version, np.int32)),
            pa.array((np.arange(n) % 97 / 97).astype(np.float32)),
        ],
        schema=WIDE.arrow_schema,
    )


def crash_rows(version: int) -> pa.Table:
    """Few rows in two row groups: the crash tests commit them hundreds of times."""
    return wide_rows(version, windows=320, levels=1)


def narrow_rows(windows: int = 4, first: int = 0, dt_offset_days: int = 0) -> pa.Table:
    """Rows of the narrow table; the first has no bid and no available time."""
    k = np.arange(windows, dtype=np.int64)
    ends = DAY + dt_offset_days * 86_400 * SECOND + SECOND * (1 + first + k)
    return pa.table(
        [
            pa.array(ends),
            pa.array(np.where(k == 0, 0, 4_800_250_000_000 + k)),
            pa.DictionaryArray.from_arrays(pa.array(np.ones(windows, np.int8)), pa.array(["closed", "open"])),
            pa.array(np.where(k == 0, 0, ends + 5)),
        ],
        schema=NARROW.arrow_schema,
    )


def put(lake: Lake, data: pa.Table, place: tuple[str, str, str] = PLACE, **fields: Any) -> Manifest:
    """Write and commit one partition."""
    with lake.writer(*place) as writer:
        writer.write(data)
        manifest = writer.finish(**{**FIELDS, **fields})
        writer.commit()
    return manifest


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def leftovers(lake: Lake) -> list[str]:
    """What lies in `_staging` though no writer lives."""
    staging = lake.root / "_staging"
    return sorted(p.relative_to(staging).as_posix() for p in staging.rglob("*") if p.name != "locks")
