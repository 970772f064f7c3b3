"""One committed partition held open, read by ranges of windows: what a service reads from.

The files are opened once. A partition that is swapped meanwhile is read to its end as it was, so everything
that comes out of one `WindowReader` belongs to one manifest. A row of a table without windows (trades)
belongs to the window of its `ts_event_ns`, as spec 1 cuts them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from data_eng._lake.encoding import WINDOW_KEY
from data_eng._lake.manifest import Manifest
from data_eng._lake.reading import PartitionReader
from data_eng.errors import UsageError
from data_eng.schema.column import Table
from data_eng.units import WINDOW_NS

EVENT_KEY: Final = "ts_event_ns"


@dataclass(frozen=True)
class RowGroup:
    """One row group: where it lies, its rows, and the window_end of its first and last window, inclusive."""

    file: int
    group: int
    rows: int
    first_window_end_ts_ns: int
    last_window_end_ts_ns: int


class WindowReader:
    """Row-group ranges of one partition. Safe to use from several threads; close it, or leave it to the
    garbage collector.

    groups: all row groups in row order. Made by `Lake.window_reader`.
    """

    def __init__(self, reader: PartitionReader) -> None:
        self._reader = reader
        self._key = time_column(reader.table)
        self.manifest: Manifest
        self._files: list[pq.ParquetFile]
        self.manifest, self._files, self._sources = reader.open_sources(verify=False)
        self.groups = tuple(self._find_groups())
        self._lock = threading.Lock()
        self._verified = False

    @property
    def table(self) -> Table:
        """Declaration of the table."""
        return self._reader.table

    def verify(self) -> None:
        """Compare the sha256 of every file with the manifest, once in the life of this reader.

        Raises `LakeError` for damage.
        """
        with self._lock:
            if not self._verified:
                self._reader.check_hashes(self.manifest, self._sources)
                self._verified = True

    def overlapping(self, start_ts_ns: int, end_ts_ns: int) -> list[int]:
        """Indices into `groups` that may hold rows with start_ts_ns < window_end <= end_ts_ns."""
        return [
            index
            for index, group in enumerate(self.groups)
            if group.rows
            and group.last_window_end_ts_ns > start_ts_ns
            and group.first_window_end_ts_ns <= end_ts_ns
        ]

    def read_group(self, index: int, columns: Sequence[str] | None = None) -> pa.RecordBatch:
        """One whole row group, or the named columns of it, in declared types.

        Raises `UsageError` for an unknown column, `LakeError` for damage.
        """
        group = self.groups[index]
        with self._lock:
            batches = list(self._reader.row_groups(self._files[group.file], [group.group], columns))
        return batches[0]

    def window_ends(self, batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
        """int64[rows]: the window each row belongs to. The batch holds the table's time column."""
        return window_ends(np.asarray(batch.column(self._key)), self._key)

    def read(self, start_ts_ns: int, end_ts_ns: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Rows with start_ts_ns < window_end <= end_ts_ns, in row order; full schema when there are none.

        Raises as `read_group`.
        """
        schema = self._reader.schema(columns)
        wanted = schema.names if self._key in schema.names else [*schema.names, self._key]
        pieces = [schema.empty_table()]
        for index in self.overlapping(start_ts_ns, end_ts_ns):
            batch = self.read_group(index, wanted)
            ends = self.window_ends(batch)
            rows = cut(batch, (ends > start_ts_ns) & (ends <= end_ts_ns))
            pieces.append(pa.Table.from_batches([rows]).select(schema.names).cast(schema))
        return pa.concat_tables(pieces)

    def close(self) -> None:
        """Close the files. Reading afterwards is an error."""
        with self._lock:
            for file in self._files:
                file.close(force=True)

    def _find_groups(self) -> Iterator[RowGroup]:
        for number, file in enumerate(self._files):
            for group in range(file.metadata.num_row_groups):
                low, high = _span(file.metadata.row_group(group), self._key)
                yield RowGroup(number, group, file.metadata.row_group(group).num_rows, low, high)


def time_column(table: Table) -> str:
    """Column that says which window a row belongs to. Raises `UsageError` for a table without one."""
    for name in (WINDOW_KEY, EVENT_KEY):
        if name in table.arrow_schema.names:
            return name
    raise UsageError(f"{table.dataset} has neither {WINDOW_KEY} nor {EVENT_KEY}, so no windows to read by")


def window_ends(times: npt.NDArray[np.int64], column: str) -> npt.NDArray[np.int64]:
    """int64[n] window_end of n values of a time column; an instant on a boundary is of the later window."""
    return times if column == WINDOW_KEY else (times // WINDOW_NS + 1) * WINDOW_NS


def cut(batch: pa.RecordBatch, keep: npt.NDArray[np.bool_]) -> pa.RecordBatch:
    """The rows of a mask: a slice where they lie side by side, which copies nothing, else a filter."""
    found = np.flatnonzero(keep)
    if not len(found):
        return batch.slice(0, 0)
    first, last = int(found[0]), int(found[-1])
    if last - first + 1 == len(found):
        return batch.slice(first, len(found))
    return batch.filter(pa.array(keep))


def _span(group: Any, key: str) -> tuple[int, int]:
    for index in range(group.num_columns):
        column = group.column(index)
        if column.path_in_schema == key and column.statistics is not None:
            ends = np.array([column.statistics.min, column.statistics.max], dtype=np.int64)
            low, high = window_ends(ends, key).tolist()
            return low, high
    return np.iinfo(np.int64).min, np.iinfo(np.int64).max
