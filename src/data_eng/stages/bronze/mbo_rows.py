"""MBO records as Bronze rows and back, byte for byte (spec 3.1).

A partition converts back to the same 56-byte DBN records; only `length`, which is constant, is not stored.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_eng.dbn_codes import MBO_RECORD_BYTES
from data_eng.errors import RawDataError
from data_eng.mbo import MBO_DTYPE, character_codes
from data_eng.schema import table

_MBO_TABLE: Final = "bronze.future_mbo.mbo"
_CODES_OF: Final = {"action": "ACMTFRN", "side": "ABN"}
"""words of the dictionary columns in a fixed order, so that any batch size gives the same bytes"""
_MOST_CODES: Final = 128
"""indices of the dictionary columns are int8"""


def to_bronze(records: npt.NDArray[Any]) -> pa.RecordBatch:
    """Batch of `bronze.future_mbo.mbo` from records of `MBO_DTYPE`; every column is copied.

    Raises `RawDataError` when there are more than 128 different action or side bytes.
    """
    schema = table(_MBO_TABLE).arrow_schema
    columns = []
    for name in schema.names:
        values = records[name].copy()  # the block's buffer is used again
        if name in _CODES_OF:
            columns.append(_code_column(name, values))
        elif values.dtype == np.uint64 and schema.field(name).type == pa.int64():
            columns.append(pa.array(values.view(np.int64)))
        else:
            columns.append(pa.array(values))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def to_dbn_records(batch: pa.RecordBatch) -> npt.NDArray[Any]:
    """The 56-byte DBN records (array of `MBO_DTYPE`) that a batch of an MBO table was made from.

    Option batches (3.3) convert alike; their additional columns are ignored.
    """
    records = np.zeros(batch.num_rows, MBO_DTYPE)
    records["length"] = MBO_RECORD_BYTES // 4
    for name in table(_MBO_TABLE).arrow_schema.names:
        if name in _CODES_OF:
            records[name] = character_codes(batch.column(name))
        else:
            values = batch.column(name).to_numpy(zero_copy_only=True)
            records[name] = values.view(np.uint64) if MBO_DTYPE[name] == np.uint64 else values
    return records


def _code_column(name: str, codes: npt.NDArray[np.uint8]) -> pa.DictionaryArray:
    words = [ord(c) for c in _CODES_OF[name]]
    indices = _index_of(words)[codes]
    if len(indices) and indices.min() < 0:
        words += [int(c) for c in np.unique(codes[indices < 0])]
        if len(words) > _MOST_CODES:
            raise RawDataError(
                f"MBO records hold {len(words)} different {name} bytes, expected a few of "
                f"{', '.join(_CODES_OF[name])}; the file is corrupt, fetch it again"
            )
        indices = _index_of(words)[codes]
    return pa.DictionaryArray.from_arrays(
        pa.array(indices), pa.array([chr(word) for word in words], pa.string())
    )


def _index_of(words: list[int]) -> npt.NDArray[np.int8]:
    """int8[256]: place of each byte in `words`, -1 where it is not there."""
    lookup = np.full(256, -1, np.int8)
    lookup[words] = np.arange(len(words))
    return lookup
