"""A real DBN file as plain records, read without any code under test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import zstandard

from data_eng.mbo import MBO_DTYPE

from .records import Rec

# The columns of `Rec` in its order.
_FIELDS = (
    "ts_event",
    "ts_recv",
    "order_id",
    "price",
    "size",
    "flags",
    "action",
    "side",
    "instrument_id",
    "sequence",
)


def read_mbo_file(path: Path) -> list[Rec]:
    """All records of a zstd-compressed DBN file that holds MBO records only, in file order."""
    return to_recs(read_mbo_array(path))


def read_mbo_array(path: Path) -> np.ndarray:
    """The same as an array of `MBO_DTYPE`: read-only views, unaligned where the header leaves them."""
    with path.open("rb") as compressed:
        data = zstandard.ZstdDecompressor().stream_reader(compressed).read()
    assert data[:3] == b"DBN", f"{path.name} does not begin with DBN"
    header_bytes = 8 + int.from_bytes(data[4:8], "little")
    return np.frombuffer(data, dtype=MBO_DTYPE, offset=header_bytes)


def to_recs(records: np.ndarray) -> list[Rec]:
    """Rows of an `MBO_DTYPE` array as `Rec`, with plain Python ints and one-character strings."""
    columns = [records[name].tolist() for name in _FIELDS]
    for name in ("action", "side"):
        place = _FIELDS.index(name)
        columns[place] = [chr(code) for code in columns[place]]
    return [Rec(*row) for row in zip(*columns, strict=True)]
