"""Opening a committed partition: nothing is handed out that its manifest does not vouch for.

The partition may be swapped at any moment. Every Parquet file is named by its content, so a reader that
lost the race gets "no such file", never foreign rows: it re-reads the manifest and starts again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from data_eng._lake.manifest import MANIFEST_NAME, FileEntry, Manifest, ManifestError
from data_eng.errors import LakeError, MissingDataError, UsageError
from data_eng.schema.column import Table

_Result = TypeVar("_Result")
_MAX_SWAPS: Final = 100
"""a partition replaced that often during one open is no partition to read"""


class PartitionReader:
    """One partition at one path; `settle` is asked when nothing lies there (a swap may be under way).

    build, cure: command lines that make a partition that is absent, or one that is damaged, anew.
    """

    def __init__(
        self,
        table: Table,
        symbol: str,
        dt: str,
        folder: Path,
        *,
        build: str,
        cure: str,
        settle: Callable[[Path], bool],
    ) -> None:
        self.table = table
        self.symbol = symbol
        self.dt = dt
        self.folder = folder
        self.build = build
        self.cure = cure
        self._settle = settle

    def manifest(self) -> Manifest:
        """Manifest of a partition whose files are all there with their sizes.

        Raises `MissingDataError` when there is no partition, `LakeError` when it is damaged or stale.
        """
        return self._with_manifest(lambda manifest: manifest, check_sizes=True)

    def open(self, *, verify: bool) -> tuple[Manifest, list[pq.ParquetFile]]:
        """Open every file; from here on a swap cannot disturb the reader. `verify` hashes them first."""
        manifest, files, _ = self.open_sources(verify=verify)
        return manifest, files

    def open_sources(self, *, verify: bool) -> tuple[Manifest, list[pq.ParquetFile], list[pa.OSFile]]:
        """As `open`, with the files below, whose bytes stay readable after a swap."""
        return self._with_manifest(lambda m: (m, *self._open_all(m, verify)), check_sizes=True)

    def damage(self, manifest: Manifest, *, verify: bool) -> list[LakeError]:
        """Everything wrong with the files, for `doctor`."""
        found = []
        for entry in manifest.files:
            try:
                self._check_size(entry)
                if verify:
                    with (self.folder / entry.name).open("rb") as file:
                        self._check_hash(entry, file.fileno())
            except LakeError as exc:
                found.append(exc)
            except OSError as exc:
                found.append(self._damaged(entry.name, exc.strerror or "unreadable", "a readable file"))
        return found

    def parse(self) -> Manifest:
        """Manifest without a look at the files; errors as `manifest`."""
        return self._parse(self._manifest_bytes())

    def _with_manifest(self, use: Callable[[Manifest], _Result], *, check_sizes: bool) -> _Result:
        data = self._manifest_bytes()
        for _ in range(_MAX_SWAPS):
            manifest = self._parse(data)
            try:
                for entry in manifest.files if check_sizes else ():
                    self._check_size(entry)
                return use(manifest)
            except FileNotFoundError as exc:
                again = self._manifest_bytes()
                if again == data:
                    name = Path(str(exc.filename)).name
                    raise self._damaged(name, "no such file", "a file named in the manifest") from exc
                data = again  # swapped in between
            except OSError as exc:
                raise self._damaged("", exc.strerror or str(exc), "readable files") from exc
        raise LakeError(f"{self._where} was replaced {_MAX_SWAPS} times while it was opened; read it later")

    def _manifest_bytes(self) -> bytes:
        path = self.folder / MANIFEST_NAME
        for _ in range(_MAX_SWAPS):
            try:
                return path.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                if not self._settle(self.folder):
                    break
                if self.folder.exists() and not path.exists():
                    break  # a folder without manifest
            except OSError as exc:
                raise self._damaged(MANIFEST_NAME, exc.strerror or str(exc), "a readable file") from exc
        raise MissingDataError(f"the lake has no {self._where}; build it: {self.build}")

    def _parse(self, data: bytes) -> Manifest:
        try:
            manifest = Manifest.from_bytes(data)
        except ManifestError as exc:
            raise self._damaged(MANIFEST_NAME, str(exc), "the manifest its writer wrote") from exc
        found = (manifest.dataset, manifest.symbol, manifest.dt)
        wanted = (self.table.dataset, self.symbol, self.dt)
        if found != wanted:
            raise self._damaged(MANIFEST_NAME, f"a manifest of {found}", f"one of {wanted}: was it copied?")
        if manifest.schema_hash != self.table.schema_hash:
            raise LakeError(
                f"{self._where} was written with another schema: found {manifest.schema_hash}, wanted "
                f"{self.table.schema_hash}; rebuild it: {self.cure}"
            )
        return manifest

    def _check_size(self, entry: FileEntry) -> None:
        size = (self.folder / entry.name).stat().st_size
        if size != entry.size:
            raise self._damaged(entry.name, f"{size} bytes", f"{entry.size}")

    def _open_all(self, manifest: Manifest, verify: bool) -> tuple[list[pq.ParquetFile], list[pa.OSFile]]:
        opened: list[pq.ParquetFile] = []
        sources: list[pa.OSFile] = []
        try:
            for entry in manifest.files:
                file = pa.OSFile(str(self.folder / entry.name))
                sources.append(file)
                if verify:
                    self._check_hash(entry, file.fileno())
                try:
                    opened.append(pq.ParquetFile(file, page_checksum_verification=True))
                except (pa.ArrowException, OSError) as exc:
                    raise self._damaged(entry.name, str(exc), "a Parquet file") from exc
                if opened[-1].metadata.num_rows != entry.rows:
                    raise self._damaged(entry.name, f"{opened[-1].metadata.num_rows} rows", f"{entry.rows}")
        except BaseException:
            for parquet in opened:
                parquet.close(force=True)
            raise
        return opened, sources

    def check_hashes(self, manifest: Manifest, sources: Sequence[pa.OSFile]) -> None:
        """Compare the sha256 of every open file with the manifest; raises `LakeError` for damage."""
        for entry, source in zip(manifest.files, sources, strict=True):
            self._check_hash(entry, source.fileno())

    def _check_hash(self, entry: FileEntry, fd: int) -> None:
        digest, at = hashlib.sha256(), 0
        while chunk := os.pread(fd, 1 << 20, at):
            digest.update(chunk)
            at += len(chunk)
        if digest.hexdigest() != entry.sha256:
            raise self._damaged(entry.name, f"sha256 {digest.hexdigest()}", entry.sha256)

    def row_groups(
        self, parquet: pq.ParquetFile, groups: Sequence[int], columns: Sequence[str] | None
    ) -> Iterator[pa.RecordBatch]:
        """One batch per row group, contiguous, in declared types; raises `LakeError` on damage."""
        schema = self.schema(columns)
        for group in groups:
            try:
                data = parquet.read_row_group(group, columns=schema.names)
            except (pa.ArrowException, OSError) as exc:
                raise self._damaged(f"row group {group}", str(exc), "rows that pass their checksum") from exc
            yield from conform(data, schema).combine_chunks().to_batches()

    def whole(self, parquet: pq.ParquetFile, columns: Sequence[str] | None) -> pa.Table:
        """All rows of one file."""
        schema = self.schema(columns)
        try:
            return conform(parquet.read(columns=schema.names), schema)
        except (pa.ArrowException, OSError) as exc:
            raise self._damaged("its Parquet file", str(exc), "rows that pass their checksum") from exc

    def schema(self, columns: Sequence[str] | None) -> pa.Schema:
        """Declared schema of the wanted columns in the wanted order; `UsageError` for an unknown one."""
        full = self.table.arrow_schema
        if columns is None:
            return full
        unknown = [name for name in columns if name not in full.names]
        if unknown:
            raise UsageError(f"{self.table.dataset} has no columns {unknown}; it has {full.names}")
        return pa.schema([full.field(name) for name in columns], full.metadata)

    @property
    def _where(self) -> str:
        return f"{self.table.dataset} of {self.symbol} {self.dt} ({self.folder})"

    def _damaged(self, name: str, found: str, wanted: str) -> LakeError:
        at = f"{self.folder / name}" if name else f"{self.folder}"
        return LakeError(
            f"{self.table.dataset} of {self.symbol} {self.dt} is damaged: {at}: found {found}, "
            f"wanted {wanted}; rebuild it: {self.cure}"
        )


def conform(data: pa.Table, schema: pa.Schema) -> pa.Table:
    """Columns as declared: order, metadata, and the small index type of dictionaries."""
    columns = [data[name] for name in schema.names]
    return pa.Table.from_arrays(
        [c if c.type == f.type else c.cast(f.type) for c, f in zip(columns, schema, strict=True)],
        schema=schema,
    )
