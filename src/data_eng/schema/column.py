"""One column and one table, declared once.

Name, type, unit, range and meaning are one object; the writer, the validator, the reader and the
documentation read that object (spec 2.4, design 2). Field metadata travels inside Parquet and IPC.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_eng.errors import SchemaError

DICT_STRING = pa.dictionary(pa.int8(), pa.string())
"""physical type of short codes such as side and phase"""


@dataclass(frozen=True)
class Column:
    """A declared column.

    `lo` and `hi` are inclusive bounds, `values` the allowed words of a string column; floats are
    always finite unless the column is nullable and holds null.
    """

    name: str
    type: pa.DataType
    doc: str
    unit: str = ""
    lo: float | int | None = None
    hi: float | int | None = None
    values: tuple[str, ...] | None = None
    nullable: bool = False

    @property
    def range_text(self) -> str:
        """Range as people write it, empty when the column has none."""
        if self.values is not None:
            return ", ".join(self.values)
        if self.lo is None and self.hi is None:
            return ""
        lo = "-inf" if self.lo is None else f"{self.lo}"
        hi = "inf" if self.hi is None else f"{self.hi}"
        return f"[{lo}, {hi}]"

    @cached_property
    def arrow_field(self) -> pa.Field:
        """Arrow field with unit, range and meaning as metadata."""
        meta = {"doc": self.doc, "unit": self.unit, "range": self.range_text}
        return pa.field(self.name, self.type, self.nullable, {k: v for k, v in meta.items() if v})


@dataclass(frozen=True)
class Table:
    """A declared dataset: `dataset` is the lake key `<layer>.<family>.<table>` (spec 2.1).

    `key` is unique and is also the row order inside a partition; an empty key means file order
    without uniqueness (bronze). `wide` tables are written in row groups of 300 windows.
    `free_order` leaves the row order to the producer and checks the key for uniqueness only.
    """

    dataset: str
    doc: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    spec: str = ""
    wide: bool = False
    free_order: bool = False
    _by_name: dict[str, Column] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._by_name.update({c.name: c for c in self.columns})
        if len(self._by_name) != len(self.columns):
            raise SchemaError(f"{self.dataset}: a column name is declared twice")
        unknown = [k for k in self.key if k not in self._by_name]
        if unknown:
            raise SchemaError(f"{self.dataset}: key columns {unknown} are not declared")

    @property
    def name(self) -> str:
        """Last part of the dataset key, for example ``wall_surface_1s``."""
        return self.dataset.rsplit(".", 1)[1]

    @property
    def layer(self) -> str:
        """``bronze``, ``silver`` or ``gold``."""
        return self.dataset.split(".", 1)[0]

    def column(self, name: str) -> Column:
        """Declared column of that name."""
        return self._by_name[name]

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """Arrow schema with field metadata; the physical contract of every file of this table."""
        return pa.schema([c.arrow_field for c in self.columns], {"dataset": self.dataset, "spec": self.spec})

    @cached_property
    def schema_hash(self) -> str:
        """sha256 (16 hex digits) over names, types, nullability and key; documentation does not enter."""
        shape = [[c.name, str(c.type), c.nullable] for c in self.columns]
        text = json.dumps({"dataset": self.dataset, "columns": shape, "key": self.key}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def empty(self) -> pa.Table:
        """Table with the full schema and no rows."""
        return self.arrow_schema.empty_table()

    def validate(self, data: pa.Table | pa.RecordBatch, *, where: str = "") -> None:
        """Check names, order, types, nulls, NaN, ranges and words of one batch.

        Key order and uniqueness across batches belong to the writer (`data_eng.lake`), because a
        partition arrives in pieces; within the batch the key is checked here.

        Raises `SchemaError` naming table, column, what was found and what was wanted.
        """
        at = f"{self.name}" + (f" ({where})" if where else "")
        if list(data.schema.names) != list(self.arrow_schema.names):
            missing = [n for n in self.arrow_schema.names if n not in data.schema.names]
            extra = [n for n in data.schema.names if n not in self.arrow_schema.names]
            raise SchemaError(
                f"{at}: columns differ from the declaration: missing {missing}, unexpected {extra}"
                + ("" if missing or extra else ", order differs")
            )
        for c in self.columns:
            array = data.column(c.name)
            if array.type != c.type:
                raise SchemaError(f"{at}.{c.name} is {array.type}, expected {c.type} ({c.unit or 'no unit'})")
            if len(array) == 0:
                continue
            if not c.nullable and array.null_count:
                raise SchemaError(f"{at}.{c.name} holds {array.null_count} nulls, expected none")
            self._check_values(c, array, at)
        self._check_key(data, at)

    def _check_values(self, c: Column, array: pa.ChunkedArray | pa.Array, at: str) -> None:
        physical = c.type
        if pa.types.is_list(physical):
            # a list column is held to the same rules element by element
            array, physical = pc.list_flatten(array), physical.value_type
            if array.null_count:
                raise SchemaError(f"{at}.{c.name} holds {array.null_count} nulls inside lists, expected none")
        if _numbers_within(c, array, physical):
            return
        if pa.types.is_floating(physical):
            bad = len(array) - array.null_count - (pc.sum(pc.is_finite(array)).as_py() or 0)
            if bad:
                raise SchemaError(
                    f"{at}.{c.name} holds {bad} NaN or infinite values, expected finite numbers"
                )
        if c.values is not None and not _dictionary_within(array, c.values):
            words = set(pc.unique(array).to_pylist())
            foreign = sorted(str(w) for w in words - set(c.values) if w is not None)
            if foreign:
                raise SchemaError(f"{at}.{c.name} holds {foreign[:5]}, expected one of {list(c.values)}")
        if c.lo is not None or c.hi is not None:
            span = pc.min_max(array).as_py()
            low, high = span["min"], span["max"]
            if low is None:
                return
            if (c.lo is not None and low < c.lo) or (c.hi is not None and high > c.hi):
                raise SchemaError(
                    f"{at}.{c.name} spans [{low}, {high}], expected {c.range_text} {c.unit}".rstrip()
                )

    def _check_key(self, data: pa.Table | pa.RecordBatch, at: str) -> None:
        if not self.key or data.num_rows < 2:
            return
        if self.free_order:
            grouped = pa.table(data.select(list(self.key))).group_by(list(self.key)).aggregate([])
            if grouped.num_rows != data.num_rows:
                raise SchemaError(f"{at}: key {self.key} repeats in {data.num_rows - grouped.num_rows} rows")
            return
        ahead = key_increases(data, self.key)
        if not ahead.all():
            row = int(np.argmin(ahead)) + 1
            raise SchemaError(f"{at}: key {self.key} does not increase at row {row}")


def _numbers_within(c: Column, array: pa.ChunkedArray | pa.Array, physical: pa.DataType) -> bool:
    """Whether plain numbers without nulls are seen at once to be finite and in range.

    False also means "not seen": the caller then looks again, slowly, and finds the words for the fault.
    The smallest and the largest value tell all: a NaN makes both of them NaN.
    """
    integers = pa.types.is_integer(physical)
    if c.values is not None or array.null_count or not (integers or pa.types.is_floating(physical)):
        return False
    if integers and c.lo is None and c.hi is None:
        return True
    for chunk in array.chunks if isinstance(array, pa.ChunkedArray) else [array]:
        if len(chunk) == 0:
            continue
        values = chunk.to_numpy(zero_copy_only=True)
        with np.errstate(invalid="ignore"):
            low, high = values.min().item(), values.max().item()
        if not (math.isfinite(low) and math.isfinite(high)):
            return False
        if (c.lo is not None and low < c.lo) or (c.hi is not None and high > c.hi):
            return False
    return True


def _dictionary_within(array: pa.ChunkedArray | pa.Array, allowed: tuple[str, ...]) -> bool:
    """Whether every word a dictionary column could hold is allowed; then no row needs a look."""
    if not pa.types.is_dictionary(array.type):
        return False
    chunks = array.chunks if isinstance(array, pa.ChunkedArray) else [array]
    return all(set(chunk.dictionary.to_pylist()) <= set(allowed) for chunk in chunks)


def key_increases(data: pa.Table | pa.RecordBatch, key: tuple[str, ...]) -> np.ndarray:
    """bool[n-1]: row i+1 is strictly greater than row i in the lexicographic order of `key`."""
    last = _sortable(data.column(key[-1]))
    ahead = np.asarray(last[1:] > last[:-1])
    for name in reversed(key[:-1]):
        values = _sortable(data.column(name))
        changes = np.flatnonzero(values[1:] != values[:-1])  # few: elsewhere the later columns decide
        ahead[changes] = values[changes + 1] > values[changes]
    return ahead


def _sortable(array: pa.ChunkedArray | pa.Array) -> np.ndarray:
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
        if isinstance(array, pa.ChunkedArray):  # no chunks at all
            array = pa.array([], array.type)
    if pa.types.is_dictionary(array.type):
        words = np.asarray(array.dictionary.to_pylist(), dtype=object)
        order = np.argsort(np.argsort(words)) if len(words) else np.zeros(0, dtype=np.int64)
        rank = order.astype(np.int16 if len(words) < 2**15 else np.int64)
        return np.asarray(rank[np.asarray(array.indices)])
    return np.asarray(array.to_numpy(zero_copy_only=False))
