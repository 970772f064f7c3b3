"""Rows: numpy columns cut out of Arrow, and the blocks in which wide tables are walked.

A full day has about 90 million wall rows (spec 2.4), so wide tables are never held whole. They are
walked in blocks of 300 windows of absolute time, which makes two tables line up block by block whatever
their row groups are, with a few windows carried over for what looks back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_eng.units import PRICES_PER_POINT, ROW_GROUP_WINDOWS, WINDOW_NS

Array = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

_PRICE_SPAN: Final = 1 << 40
"""price_int range of a level key, about 1,100 points; prices beyond it share the edge keys"""


class Rows:
    """Columns of equal length by name; words of dictionary columns are decoded."""

    def __init__(self, columns: Mapping[str, Array]) -> None:
        self.columns = dict(columns)

    @classmethod
    def from_arrow(cls, data: pa.Table | pa.RecordBatch, columns: Sequence[str] | None = None) -> Rows:
        """Columns of an Arrow table; nullable columns are not for this class."""
        names = data.schema.names if columns is None else columns
        return cls({name: _numpy(data.column(name)) for name in names})

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def take(self, chosen: Array) -> Rows:
        """Rows of a bool mask or of indices."""
        return Rows({name: values[chosen] for name, values in self.columns.items()})

    @staticmethod
    def concat(parts: Sequence[Rows]) -> Rows:
        """Rows of all parts in order; the parts have the same columns."""
        if len(parts) == 1:
            return parts[0]
        return Rows({name: np.concatenate([part[name] for part in parts]) for name in parts[0].columns})


def window_blocks(
    batches: Iterable[pa.RecordBatch], columns: Sequence[str], windows: int = ROW_GROUP_WINDOWS
) -> Iterator[tuple[int, Rows]]:
    """Regroup `batches` into (block number, Rows) with all rows of `windows` consecutive windows each.

    Block b holds window_end in (b * windows, (b + 1) * windows] seconds. A table that is not sorted by
    window comes out in more, smaller blocks; the key check reports it.
    """
    span = windows * WINDOW_NS
    held: list[Rows] = []
    current = -1
    for batch in batches:
        rows = Rows.from_arrow(batch, columns)
        number = (rows["window_end_ts_ns"] - 1) // span
        edges = np.flatnonzero(np.diff(number)) + 1
        starts = [0, *edges.tolist()]
        for start, stop in zip(starts, [*edges.tolist(), len(rows)], strict=True):
            if start == stop:
                continue
            block = int(number[start])
            if held and block != current:
                yield current, Rows.concat(held)
                held = []
            current = block
            held.append(rows.take(np.arange(start, stop)))
    if held:
        yield current, Rows.concat(held)


def is_bid(rows: Rows) -> Bools:
    """bool[n]: the row belongs to the bid."""
    return np.asarray(rows["side"] == "B")


class LevelIndex:
    """Finds the row of (window, side, price) among the rows of one block and its carried windows."""

    def __init__(self, rows: Rows) -> None:
        prices = rows["price_int"]
        self._base_price = int(np.median(prices)) - _PRICE_SPAN // 2 if len(rows) else 0
        self._base_window = int(rows["window_end_ts_ns"].min()) if len(rows) else 0
        keys = self._keys(rows["window_end_ts_ns"], is_bid(rows), prices)
        self._order = np.argsort(keys, kind="stable")
        self._sorted = keys[self._order]

    def _keys(self, window_end: Ints, bid: Bools, price: Ints) -> Ints:
        second = (window_end - self._base_window) // WINDOW_NS
        offset = np.clip(price - self._base_price, 0, _PRICE_SPAN - 1)
        return np.asarray((second * 2 + bid) * _PRICE_SPAN + offset)

    def at(self, window_end: Ints, bid: Bools, price: Ints) -> Ints:
        """int64[n] row numbers, -1 where there is no such row."""
        if not len(self._sorted):
            return np.full(len(price), -1, dtype=np.int64)
        keys = self._keys(window_end, bid, price)
        found = np.minimum(np.searchsorted(self._sorted, keys), len(self._sorted) - 1)
        return np.where(self._sorted[found] == keys, self._order[found], -1)


def value_at(values: Array, rows: Ints, default: float = 0) -> Array:
    """values[rows], and `default` where the row is -1."""
    if not len(values):
        return np.full(len(rows), default, dtype=np.float64 if values.dtype.kind == "f" else np.int64)
    return np.asarray(np.where(rows >= 0, values[np.maximum(rows, 0)], default))


def level_name(rows: Rows, row: int) -> str:
    """How an offender names a wall or vacuum row."""
    side = "bid" if rows["side"][row] == "B" else "ask"
    price = f"{rows['price_int'][row] / PRICES_PER_POINT:.2f}"
    return f"window_end {rows['window_end_ts_ns'][row]} {side} {price}"


def window_name(window_end: int) -> str:
    """How an offender names a window."""
    return f"window_end {window_end}"


def _numpy(array: Any) -> Array:
    if isinstance(array, pa.ChunkedArray):
        if pa.types.is_dictionary(array.type):
            array = array.unify_dictionaries()
        array = array.combine_chunks() if array.num_chunks else pa.array([], array.type)
        if isinstance(array, pa.ChunkedArray):
            array = array.chunk(0) if array.num_chunks else pa.array([], array.type)
    if pa.types.is_dictionary(array.type):
        words = np.array(array.dictionary.to_pylist() or [""], dtype=np.str_)
        return np.asarray(words[np.asarray(array.indices)])
    return np.asarray(array.to_numpy(zero_copy_only=False))
