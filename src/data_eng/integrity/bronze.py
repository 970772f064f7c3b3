"""What the Bronze records alone say: where the book was reset, and what traded.

One vectorised pass over a few columns; a day of records is never held whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa

from data_eng.dbn_codes import F_SNAPSHOT
from data_eng.integrity.plain_book import Record
from data_eng.integrity.rows import Array, Rows
from data_eng.units import DAY_NS, HOUR_NS, WINDOW_NS

SCAN_COLUMNS: Final = ("ts_event", "ts_recv", "action", "side", "size", "flags")
RECORD_COLUMNS: Final = ("ts_event", "ts_recv", "action", "side", "order_id", "price", "size", "flags")
_SLICE_ROWS: Final = 65_536
"""records turned into Python objects at a time"""
_MAX_SIZE: Final = 2**31 - 1


@dataclass
class BronzeScan:
    """Facts of one pass. `reset_windows` are the window_end values with a snapshot start or an R inside."""

    records: int = 0
    trades: int = 0
    buy_qty: int = 0
    sell_qty: int = 0
    auction_qty: int = 0
    late_records: int = 0
    reset_windows: set[int] = field(default_factory=set)


def scan_bronze(batches: Iterable[pa.RecordBatch]) -> BronzeScan:
    """Scan Bronze MBO batches (columns SCAN_COLUMNS) in file order (spec 4.3, 4.7).

    The window of a reset is the one of the clock at that record: the latest plain ts_event so far, and for
    a snapshot also its ts_recv. The initial snapshot resets nothing.
    """
    scan = BronzeScan()
    clock = np.int64(0)  # 0: no window is open yet
    for batch in batches:
        rows = Rows.from_arrow(batch, SCAN_COLUMNS)
        if not len(rows):
            continue
        event, recv = rows["ts_event"].astype(np.int64), rows["ts_recv"].astype(np.int64)
        snapshot = (rows["flags"] & F_SNAPSHOT) != 0
        day = recv // DAY_NS * DAY_NS
        foreign_time = ~snapshot & (
            (event > recv + WINDOW_NS) | (event < day - HOUR_NS) | (event >= day + DAY_NS + HOUR_NS)
        )
        moves = ~snapshot & ~foreign_time
        opened = (clock > 0) | (np.cumsum(moves) > 0)
        own_time = np.where(moves, event, np.where(snapshot & opened, recv, 0))
        now = np.maximum.accumulate(np.concatenate([[clock], own_time]))[1:]
        resets = (snapshot | (rows["action"] == "R")) & opened
        scan.reset_windows.update(((now[resets] // WINDOW_NS + 1) * WINDOW_NS).tolist())
        late = foreign_time | (moves & (event < now // WINDOW_NS * WINDOW_NS))
        scan.late_records += int(late.sum())
        clock = now[-1]
        _count_trades(scan, rows, ~snapshot & (rows["action"] == "T"))
        scan.records += len(rows)
    return scan


def _count_trades(scan: BronzeScan, rows: Rows, trades: Array) -> None:
    qty = rows["size"][trades].astype(np.int64)
    qty[qty > _MAX_SIZE] = 0
    side = rows["side"][trades]
    scan.trades += len(qty)
    scan.buy_qty += int(qty[side == "B"].sum())
    scan.sell_qty += int(qty[side == "A"].sum())
    scan.auction_qty += int(qty[(side != "A") & (side != "B")].sum())


def iter_records(batches: Iterable[pa.RecordBatch]) -> Iterator[Record]:
    """Records of Bronze batches for the plain book, in file order."""
    for batch in batches:
        for start in range(0, batch.num_rows, _SLICE_ROWS):
            part = batch.slice(start, _SLICE_ROWS)
            yield from map(Record, *(part.column(name).to_pylist() for name in RECORD_COLUMNS))
