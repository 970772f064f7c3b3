"""One partition in the making, and the commit of one or several of them (design 4, spec 2.2).

    with lake.writer(dataset, symbol, dt) as writer:
        writer.write(batch)                 # as often as needed
        writer.finish(stage=..., ...)       # durable, with manifest, still staged
        writer.commit()                     # visible

Leaving the block without commit, by an exception, Ctrl-C or simply so, removes every trace.
"""

from __future__ import annotations

import contextlib
import json
import os
import types
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_eng._lake.disk import disk_trouble
from data_eng._lake.manifest import (
    MANIFEST_NAME,
    RECORDED,
    SIMULATED,
    Manifest,
    ManifestError,
    normalised_inputs,
    plain_json,
)
from data_eng._lake.staging import (
    FileLock,
    Staged,
    StagingArea,
    Swap,
    SwapStuckError,
    removed_afterwards,
    swap_together,
)
from data_eng._lake.writer import PartFile
from data_eng.errors import LakeError
from data_eng.schema.column import Table


class PartitionWriter:
    """Writes one partition. Made by `Lake.writer`, which takes the partition's lock at once.

    `dataset`, `symbol`, `dt`, `table` say which one; `manifest` is set by `finish`.
    """

    def __init__(self, table: Table, symbol: str, dt: str, target: Path, area: StagingArea) -> None:
        """Lock the partition and open its staging folder.

        Raises `LakeError` when another writer has the partition, or the disk refuses.
        """
        self.table = table
        self.dataset = table.dataset
        self.symbol = symbol
        self.dt = dt
        self.manifest: Manifest | None = None
        self._target = target
        self._area = area
        self._open = True
        with self._disk_errors("opening a writer of"):
            lock = area.lock_partition(target)
        if lock is None:
            raise LakeError(
                f"another process is writing {self._where}: one writer at a time; "
                "wait until it has ended, then give the same command again"
            )
        staged: Staged | None = None
        try:
            with self._disk_errors("opening a writer of"):
                area.sweep(holding=target)
                staged = area.new()
                self._part = PartFile(table, staged.partition, area.disk, f"{symbol} {dt}")
        except BaseException:
            if staged is not None:
                with contextlib.suppress(OSError):
                    staged.remove()
            lock.release()
            raise
        self._staged = staged
        self._lock = lock
        self._cleanup = weakref.finalize(self, _discard, self._part, staged, lock)

    @property
    def rows(self) -> int:
        """Rows taken so far."""
        return self._part.rows

    def __enter__(self) -> PartitionWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.abort()

    def write(self, batch: pa.Table | pa.RecordBatch) -> None:
        """Take rows that follow those before in key order; any number at a time.

        The batch is kept by reference until its row group is full: do not change its buffers.
        Raises `SchemaError` for rows against the declaration (names, order, types, nulls, NaN, range, key)
        and `LakeError` when the disk refuses; after a `LakeError` the writer is aborted.
        """
        self._need(finished=False)
        data = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
        with self._disk_errors("writing"):
            self._part.append(data)

    def finish(
        self,
        *,
        stage: str,
        origin: str,
        verified: bool,
        code_version: str,
        engine_run: str | None = None,
        inputs: Sequence[Mapping[str, str]] = (),
        params: Mapping[str, Any] | None = None,
        counters: Mapping[str, int] | None = None,
        calibration: Mapping[str, str] | None = None,
        lookahead: bool | None = None,
        warnings: Sequence[str] = (),
    ) -> Manifest:
        """Make the partition complete and durable in staging; no rows may follow.

        The arguments are the manifest fields of spec 2.3 that the rows do not tell. `lookahead` defaults to
        what the calibration says: True when its dt is not before the partition's (spec 6).
        Raises `LakeError` when a field is malformed or the disk refuses.
        """
        self._need(finished=False)
        if lookahead is None and calibration is not None:
            lookahead = calibration.get("dt", "") >= self.dt
        marks = {"symbol": self.symbol, "dt": self.dt, "stage": str(stage), "origin": str(origin)}
        try:
            with self._disk_errors("finishing"):
                entry = self._part.finish(marks)
                manifest = Manifest(
                    dataset=self.dataset,
                    symbol=self.symbol,
                    dt=self.dt,
                    stage=stage,
                    origin=origin,
                    verified=verified,
                    code_version=code_version,
                    engine_run=engine_run,
                    schema_hash=self.table.schema_hash,
                    files=(entry,),
                    row_count=entry.rows,
                    inputs=normalised_inputs(inputs),
                    params=plain_json(dict(params or {})),
                    counters=plain_json(dict(counters or {})),
                    calibration=None if calibration is None else dict(calibration),
                    lookahead=lookahead,
                    warnings=tuple(warnings),
                )
                disk, folder = self._area.disk, self._staged.partition
                disk.write_file(folder / MANIFEST_NAME, manifest.canonical_bytes)
                disk.sync_folder(folder)
                disk.sync_folder(self._staged.path)
        except ManifestError as exc:
            self.abort()
            raise LakeError(f"manifest of {self._where}, stage {stage}: {exc}") from exc
        self.manifest = manifest
        return manifest

    def commit(self) -> None:
        """Swap the finished partition into place; the old one is deleted.

        Raises `LakeError` when a simulated partition would replace a recorded one, or the disk refuses;
        then the previous partition is as it was.
        """
        commit_together([self])

    def abort(self) -> None:
        """Remove the staging folder and unlock; nothing to do after commit. Never raises."""
        self._open = False
        self._cleanup()

    @property
    def _where(self) -> str:
        return f"{self.dataset} of {self.symbol} {self.dt} ({self._target})"

    def _need(self, *, finished: bool) -> None:
        if not self._open:
            raise LakeError(f"the writer of {self._where} was committed or aborted before; open a new one")
        if finished and self.manifest is None:
            raise LakeError(
                f"the writer of {self._where} has no manifest yet; call finish(...) before commit"
            )
        if not finished and self.manifest is not None:
            raise LakeError(f"the writer of {self._where} is finished: commit it, or open a new one")

    @contextlib.contextmanager
    def _disk_errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            if hasattr(self, "_cleanup"):
                self.abort()
            what = f"{doing} {self.dataset} of {self.symbol} {self.dt} in"
            raise disk_trouble(exc, what, self._target) from exc

    def _refuse_to_hide_recorded_data(self) -> None:
        manifest = self.manifest
        if manifest is None or manifest.origin != SIMULATED or origin_on_disk(self._target) != RECORDED:
            return
        raise LakeError(
            f"{self._where} holds recorded data and simulated data never replace it (no flag does); "
            f"give the simulation a lake of its own with --lake, or delete the partition first: "
            f"spymaster lake rm --symbol {self.symbol} --dt {self.dt}"
        )


def commit_together(writers: Sequence[PartitionWriter]) -> None:
    """Commit finished partitions of one pass: all of them, or none when a step fails.

    A crash between two swaps leaves tables of two passes side by side; their `engine_run` differs and
    `Lake.require_same_run` refuses them.
    Raises `LakeError` when they do not share one engine_run, and as `PartitionWriter.commit`.
    """
    if not writers:
        return
    try:
        for writer in writers:
            writer._need(finished=True)
            writer._refuse_to_hide_recorded_data()
        runs = {writer.manifest.engine_run for writer in writers if writer.manifest is not None}
        if len(runs) > 1:
            raise LakeError(
                f"{', '.join(w.dataset for w in writers)} come from different engine passes "
                f"({sorted(str(run) for run in runs)}); commit the tables of one pass together"
            )
        swaps = [Swap(w._staged, w._target, w._area.root) for w in writers]
        try:
            swap_together(swaps)
        except SwapStuckError as exc:
            raise LakeError(
                f"the disk reported an error ({exc.strerror}) while committing {exc.filename} and "
                f"again while taking that back: every partition is complete, but old and new ones may stand "
                "side by side; check the disk, then give the same command again"
            ) from exc
        except OSError as exc:
            what = f"committing {', '.join(w.dataset for w in writers)} in"
            raise disk_trouble(exc, what, writers[0]._target) from exc
    finally:
        for writer in writers:
            writer.abort()


def delete_partition(area: StagingArea, target: Path) -> bool:
    """Take the partition away in one rename, then delete it; False when somebody is writing it.

    Raises `OSError`.
    """
    lock = area.lock_partition(target)
    if lock is None:
        return False
    try:
        area.sweep(holding=target)
        if target.exists():
            with removed_afterwards(area.new()) as staged:
                area.disk.rename(target, staged.path / "old")
                area.disk.sync_folder(target.parent)
    finally:
        lock.release()
    return True


def origin_on_disk(folder: Path) -> str | None:
    """Origin of the partition at `folder`: from its manifest, or, where that is damaged, its Parquet files.

    None when there is none, or when nothing readable tells.
    """
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        return str(json.loads((folder / MANIFEST_NAME).read_bytes())["origin"])
    for path in sorted(folder.glob("*.parquet")):
        with contextlib.suppress(OSError, pa.ArrowException, KeyError, TypeError):
            return str(pq.read_metadata(path).metadata[b"origin"].decode())
    return None


def _discard(part: PartFile, staged: Staged, lock: FileLock) -> None:
    part.discard()
    if lock.pid != os.getpid():
        return  # a forked child: folder and locks belong to its parent
    with contextlib.suppress(OSError):  # what cannot be deleted is abandoned; the next sweep takes it
        staged.remove()
    lock.release()
