"""The MBO record as columns: one view for DBN buffers and Bronze partitions.

A DBN MboMsg has 56 bytes in versions 1, 2 and 3. `MboColumns` holds one strided numpy view per field,
so a decoded buffer and the columns of a Bronze partition enter the same compiled kernel without a copy.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_eng.dbn_codes import MBO_RECORD_BYTES

MBO_DTYPE: Final = np.dtype(
    [
        ("length", "u1"),
        ("rtype", "u1"),
        ("publisher_id", "<u2"),
        ("instrument_id", "<u4"),
        ("ts_event", "<u8"),
        ("order_id", "<u8"),
        ("price", "<i8"),
        ("size", "<u4"),
        ("flags", "u1"),
        ("channel_id", "u1"),
        ("action", "u1"),
        ("side", "u1"),
        ("ts_recv", "<u8"),
        ("ts_in_delta", "<i4"),
        ("sequence", "<u4"),
    ]
)
assert MBO_DTYPE.itemsize == MBO_RECORD_BYTES


class MboColumns(NamedTuple):
    """Equally long views of the fields that the engines read, in file order.

    ts_event, ts_recv int64[n] UTC ns; order_id int64[n] (the uint64 id, same bits); price int64[n] 1e-9;
    size uint32[n] contracts; flags, action, side uint8[n]; instrument_id, sequence uint32[n].
    """

    ts_event: npt.NDArray[np.int64]
    ts_recv: npt.NDArray[np.int64]
    order_id: npt.NDArray[np.int64]
    price: npt.NDArray[np.int64]
    size: npt.NDArray[np.uint32]
    flags: npt.NDArray[np.uint8]
    action: npt.NDArray[np.uint8]
    side: npt.NDArray[np.uint8]
    instrument_id: npt.NDArray[np.uint32]
    sequence: npt.NDArray[np.uint32]

    @property
    def rows(self) -> int:
        """Number of records."""
        return len(self.ts_event)

    @classmethod
    def from_records(cls, records: npt.NDArray[Any]) -> MboColumns:
        """Views into a structured array of `MBO_DTYPE`; nothing is copied."""
        return cls(
            records["ts_event"].view(np.int64),
            records["ts_recv"].view(np.int64),
            records["order_id"].view(np.int64),
            records["price"],
            records["size"],
            records["flags"],
            records["action"],
            records["side"],
            records["instrument_id"],
            records["sequence"],
        )

    @classmethod
    def from_bronze(cls, batch: pa.RecordBatch) -> MboColumns:
        """Columns of a Bronze MBO batch; only the one-character action and side are translated to codes."""
        return cls(
            _numbers(batch, "ts_event"),
            _numbers(batch, "ts_recv"),
            _numbers(batch, "order_id").view(np.int64),
            _numbers(batch, "price"),
            _numbers(batch, "size"),
            _numbers(batch, "flags"),
            character_codes(batch.column("action")),
            character_codes(batch.column("side")),
            _numbers(batch, "instrument_id"),
            _numbers(batch, "sequence"),
        )

    def part(self, start: int, stop: int) -> MboColumns:
        """Records start:stop as views."""
        columns: tuple[Any, ...] = self
        return MboColumns(*(column[start:stop] for column in columns))


BRONZE_MBO_COLUMNS: Final = (
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
"""what `MboColumns.from_bronze` needs of a Bronze partition"""


def character_codes(array: Any) -> npt.NDArray[np.uint8]:
    """uint8[n] character codes of a dictionary-encoded one-character string array."""
    words = np.array([ord(word) for word in array.dictionary.to_pylist()], dtype=np.uint8)
    return words[np.asarray(array.indices)] if len(words) else np.zeros(0, dtype=np.uint8)


def _numbers(batch: pa.RecordBatch, name: str) -> npt.NDArray[Any]:
    return np.asarray(batch.column(name).to_numpy(zero_copy_only=True))
