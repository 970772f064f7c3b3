"""Rows to one Parquet file: the same rows give the same bytes, however they were cut into batches.

Three things would let the cut shine through, and each is taken away here:
row-group borders (set by absolute time or by row count, never by batch), pages (a row group is written from
one contiguous array per column) and dictionaries (declared words in declared order, else the words used,
sorted). The sha256 is computed while the bytes are written, so a file is never read back.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_eng._lake.disk import Disk
from data_eng._lake.encoding import WIDE_GROUP_NS, WINDOW_KEY, group_rows, parquet_options
from data_eng._lake.manifest import FileEntry
from data_eng.errors import SchemaError
from data_eng.schema.column import Table

_WRITE_BYTES: Final = 1 << 20
"""pyarrow hands over pages of a few hundred bytes; one system call each would cost 12 ns per wall row"""


class _HashingSink:
    """File object for pyarrow: writes through `Disk`, hashes and counts on the way.

    `broken` keeps the first error of the operating system: pyarrow passes it on as its own kind.
    After `discard` it swallows everything, so that closing an abandoned ParquetWriter is harmless.
    """

    def __init__(self, disk: Disk, path: Path) -> None:
        self._disk = disk
        self._fd = disk.create(path)
        self._discarded = False
        self._pending = bytearray()
        self.sha256 = hashlib.sha256()
        self.size = 0
        self.broken: OSError | None = None
        self.closed = False
        self.mode = "wb"

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        if self._discarded:
            return len(view)
        if self.broken is not None:
            raise self.broken
        self._pending += view
        self.size += len(view)
        if len(self._pending) >= _WRITE_BYTES:
            self._drain()
        return len(view)

    def _drain(self) -> None:
        try:
            self._disk.write(self._fd, memoryview(self._pending))
        except OSError as exc:
            self.broken = exc
            raise
        self.sha256.update(self._pending)
        self._pending = bytearray()

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        """pyarrow's flush, after every column: not passed on, `sync` writes what is left."""

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """pyarrow's close: the descriptor stays open for `sync`."""
        self.closed = True

    def sync(self) -> None:
        """Make the file durable and let go of it."""
        try:
            self._drain()
            self._disk.fsync(self._fd)
        finally:
            self.discard()

    def discard(self) -> None:
        self._discarded = True
        self._pending = bytearray()
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class PartFile:
    """One Parquet file of a table in the making.

    Holds at most one row group of rows: 300 windows of a wide table, `group_rows` rows of another.
    Batches are kept by reference until their row group is full, as Arrow data is immutable.
    """

    def __init__(self, table: Table, folder: Path, disk: Disk, where: str) -> None:
        self.table = table
        self.rows = 0
        self._where = where
        self._disk = disk
        self._unfinished = folder / "part.unfinished"
        self._sink = _HashingSink(disk, self._unfinished)
        self._parquet = pq.ParquetWriter(self._sink, table.arrow_schema, **parquet_options(table))
        self._group_rows = group_rows(table)
        self._buffer: list[pa.Table] = []
        self._buffered = 0
        self._group: int | None = None
        self._last_key: tuple[Any, ...] | None = None
        self._seen_keys: list[pa.Table] = []
        self._windows: tuple[int, int] | None = None

    def append(self, data: pa.Table) -> None:
        """Validate and take rows; raises `SchemaError`, or `OSError` of the disk."""
        self.table.validate(data, where=self._where)
        if data.num_rows == 0:
            return
        self._check_key_across_batches(data)
        data = pa.Table.from_arrays(data.columns, schema=self.table.arrow_schema)
        if WINDOW_KEY in self.table.arrow_schema.names:
            span = pc.min_max(data[WINDOW_KEY]).as_py()
            low, high = self._windows or (span["min"], span["max"])
            self._windows = min(low, span["min"]), max(high, span["max"])
        if self.table.wide:
            self._append_by_window(data)
        else:
            self._append_by_count(data)
        self.rows += data.num_rows

    def finish(self, metadata: dict[str, str]) -> FileEntry:
        """Write what is buffered and the footer, make the file durable, name it by its content."""
        self._flush()
        self._check_free_keys()
        self._parquet.add_key_value_metadata(metadata)
        with self._as_disk_error():
            self._parquet.close()
        self._sink.sync()
        digest = self._sink.sha256.hexdigest()
        name = f"part-{digest[:16]}.parquet"
        self._disk.rename(self._unfinished, self._unfinished.with_name(name))
        low, high = self._windows or (None, None)
        return FileEntry(name, self.rows, digest, self._sink.size, low, high)

    def discard(self) -> None:
        """Let go of file and memory; the file itself goes with its folder."""
        self._sink.discard()
        self._buffer.clear()
        with contextlib.suppress(OSError, pa.ArrowException):  # an unfinished file is allowed to be nonsense
            self._parquet.close()

    def _append_by_window(self, data: pa.Table) -> None:
        groups: npt.NDArray[np.int64] = data[WINDOW_KEY].to_numpy() // WIDE_GROUP_NS
        borders = [0, *(np.flatnonzero(np.diff(groups)) + 1).tolist(), len(groups)]
        for start, stop in itertools.pairwise(borders):
            if groups[start] != self._group:
                self._flush()
                self._group = int(groups[start])
            self._keep(data.slice(start, stop - start))

    def _append_by_count(self, data: pa.Table) -> None:
        start = 0
        while start < data.num_rows:
            piece = data.slice(start, self._group_rows - self._buffered)
            self._keep(piece)
            start += piece.num_rows
            if self._buffered == self._group_rows:
                self._flush()

    def _keep(self, piece: pa.Table) -> None:
        self._buffer.append(piece)
        self._buffered += piece.num_rows

    def _flush(self) -> None:
        if not self._buffered:
            return
        group = canonical(self.table, pa.concat_tables(self._buffer))
        with self._as_disk_error():
            self._parquet.write_table(group, row_group_size=group.num_rows)
        self._buffer.clear()
        self._buffered = 0

    @contextlib.contextmanager
    def _as_disk_error(self) -> Any:
        try:
            yield
        except (OSError, pa.ArrowException):
            if self._sink.broken is not None:
                raise self._sink.broken from None  # the real cause, with its errno
            raise

    def _check_key_across_batches(self, data: pa.Table) -> None:
        key = self.table.key
        if not key:
            return
        if self.table.free_order:
            self._seen_keys.append(pa.table({name: data[name] for name in key}))
            return
        first = tuple(data[name][0].as_py() for name in key)
        if self._last_key is not None and first <= self._last_key:
            raise SchemaError(
                f"{self.table.name} ({self._where}): key {key} does not increase between two batches: "
                f"{first} after {self._last_key}"
            )
        self._last_key = tuple(data[name][-1].as_py() for name in key)

    def _check_free_keys(self) -> None:
        """Uniqueness over the whole partition where rows come in the producer's order.

        Keeps the keys in memory: such tables are short (one row per trade or metric).
        """
        if len(self._seen_keys) < 2:
            return
        keys = pa.concat_tables([_decoded(piece) for piece in self._seen_keys])
        distinct = keys.group_by(list(self.table.key)).aggregate([]).num_rows
        if distinct != keys.num_rows:
            raise SchemaError(
                f"{self.table.name} ({self._where}): key {self.table.key} repeats in "
                f"{keys.num_rows - distinct} rows"
            )


def canonical(table: Table, data: pa.Table) -> pa.Table:
    """The same rows as one contiguous array per column, dictionaries in their one canonical form."""
    columns = []
    for column in table.columns:
        chunks = data[column.name]
        if pa.types.is_dictionary(column.type):
            columns.append(_canonical_dictionary(chunks, column.type, column.values))
        else:
            columns.append(_one_array(chunks))
    return pa.Table.from_arrays(columns, schema=table.arrow_schema)


def _canonical_dictionary(
    chunks: pa.ChunkedArray, kind: pa.DictionaryType, declared: tuple[str, ...] | None
) -> pa.Array:
    array = _one_array(chunks.unify_dictionaries())
    words = array.dictionary.to_pylist()
    codes = array.indices
    if declared is None:
        used = {words[code] for code in pc.unique(codes).to_pylist() if code is not None}
        declared = tuple(sorted(used))
    if list(declared) == words:
        return array
    place = {word: code for code, word in enumerate(declared)}
    moved = np.array([place.get(word, 0) for word in words] or [0], dtype=np.int64)
    moved = moved.astype(kind.index_type.to_pandas_dtype())
    nulls = np.asarray(codes.is_null()) if codes.null_count else None
    indices = moved[np.asarray(codes.fill_null(0) if codes.null_count else codes)]
    target = pa.array(declared, kind.value_type)
    return pa.DictionaryArray.from_arrays(pa.array(indices, kind.index_type, mask=nulls), target)


def _one_array(chunks: pa.ChunkedArray) -> pa.Array:
    if chunks.num_chunks == 1:
        return chunks.chunk(0)
    return pa.concat_arrays(chunks.chunks) if chunks.num_chunks else pa.array([], chunks.type)


def _decoded(data: pa.Table) -> pa.Table:
    return pa.table(
        {
            name: data[name].cast(data.schema.field(name).type.value_type)
            if pa.types.is_dictionary(data.schema.field(name).type)
            else data[name]
            for name in data.schema.names
        }
    )
