"""How a declared column becomes Parquet bytes: the one place where encodings are chosen.

Everything is zstd level 3 (spec 2.1) with a CRC32 per page, so that every read notices a flipped bit.

Wide surfaces are written for speed. Measured on a synthetic wall of 1.8 M rows (1000 levels, 17 columns,
75 bytes a row in memory), CPU of one core per row, file bytes per row:

    all PLAIN, statistics on the key     61 ns write   36 ns read   1.21 B      <- chosen
    all PLAIN, statistics on all         78            48           1.23
    quantities BYTE_STREAM_SPLIT         97-106        39-46        1.03-1.06
    timestamps DELTA or dictionary       95-103        42-44        1.03
    pyarrow's default (dictionary)      175            61           1.07

    zstd finds the runs by itself: window, spot and valid columns cost 0.01 B each as PLAIN. DELTA makes a
    quantity 3 times larger (0.40 instead of 0.11 B). Floats: PLAIN beats BYTE_STREAM_SPLIT in speed and size,
    float32 scores 0.09 against 0.18 B, float64 radar features 3.7 against 5.5 B.

MBO records are written for size: they are kept, and read again more often than written. Measured on the
real ESH4 hour (68,792 records; the .dbn.zst has 14.50 B a record), file bytes per record:

                 PLAIN  dictionary  DELTA  BYTE_STREAM_SPLIT
    ts_event      2.41     3.76      2.23      2.54
    ts_recv       2.42     3.80      2.32      2.57
    order_id      1.96     2.79      2.34      1.64
    ts_in_delta   1.54     1.56      1.48      1.36
    price         1.08     0.93      1.79      2.12
    size          0.51     0.41      0.63      0.33
    sequence      1.73     3.28      0.30      0.45
    flags         0.12     0.08      0.16      0.09

    Together 9.6 B, two thirds of the .dbn.zst; lz4 would give 11.7 B and read 15 % faster.
"""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

from data_eng.schema.column import Column, Table
from data_eng.units import ROW_GROUP_WINDOWS, WINDOW_NS

WINDOW_KEY: Final = "window_end_ts_ns"
MAX_GROUP_ROWS: Final = 1 << 20
_GROUP_BYTES: Final = 64 << 20
"""a row group is buffered whole while it is written, so wide rows make shorter groups"""
_WORD_BYTES: Final = 16
"""what a string counts for in that estimate"""

_SMALLEST: Final = {
    "ts_event": "DELTA_BINARY_PACKED",
    "ts_recv": "DELTA_BINARY_PACKED",
    "ts_event_ns": "DELTA_BINARY_PACKED",
    "ts_recv_ns": "DELTA_BINARY_PACKED",
    "sequence": "DELTA_BINARY_PACKED",
    "order_id": "BYTE_STREAM_SPLIT",
    "size": "BYTE_STREAM_SPLIT",
    "ts_in_delta": "BYTE_STREAM_SPLIT",
    "price": "DICTIONARY",
    "strike": "DICTIONARY",
    "expiration": "DICTIONARY",
    "flags": "DICTIONARY",
}
"""columns of record tables (rows are feed records, not windows); the rest is PLAIN"""


def encoding(table: Table, column: Column) -> str:
    """``DICTIONARY`` or the name of a Parquet encoding."""
    if pa.types.is_dictionary(column.type) or pa.types.is_string(column.type):
        return "DICTIONARY"
    if WINDOW_KEY in table.arrow_schema.names:
        return "PLAIN"
    return _SMALLEST.get(column.name, "PLAIN")


def parquet_options(table: Table) -> dict[str, Any]:
    """Keyword arguments of `pyarrow.parquet.ParquetWriter` for that table."""
    chosen = {column.name: encoding(table, column) for column in table.columns}
    return {
        "compression": "zstd",
        "compression_level": 3,
        "use_dictionary": [name for name, how in chosen.items() if how == "DICTIONARY"],
        "column_encoding": {n: how for n, how in chosen.items() if how not in ("DICTIONARY", "PLAIN")}
        or None,
        "write_statistics": list(table.key) if table.wide else True,
        "write_page_checksum": True,
        "write_batch_size": 65_536,
    }


def group_rows(table: Table) -> int:
    """Rows per row group of a table that is not wide: 1 Mi, fewer (a power of two) for broad rows."""
    width = sum(_width(column.type) for column in table.columns)
    rows = MAX_GROUP_ROWS
    while rows > 1024 and rows * width > _GROUP_BYTES:
        rows //= 2
    return rows


def _width(kind: pa.DataType) -> int:
    try:
        return max(1, int(kind.bit_width) // 8)
    except ValueError:
        return _WORD_BYTES


WIDE_GROUP_NS: Final = ROW_GROUP_WINDOWS * WINDOW_NS
"""a row group of a wide table holds the windows with one value of window_end_ts_ns // this"""
