"""The lake: the only door to Parquet (spec 2, design 4).

    lake = Lake(Path("lake"))
    with lake.writer("silver.future_mbo.book_snapshot_1s", "ESH6", "2026-01-06") as writer:
        writer.write(batch)
        writer.finish(stage=..., origin="recorded", verified=True, code_version=...)
        writer.commit()
    lake.read("silver.future_mbo.book_snapshot_1s", "ESH6", "2026-01-06", columns=["best_bid_price_int"])

    scan("book_snapshot_1s", "ESH6", "2026-01-06", points=True, tz="America/New_York")   # LazyFrame

Promises. 1 A partition is complete or it does not exist; a crash, a full disk or a second writer leaves the
            previous one, bit for bit.
          2 Whoever reads, through this module or by a glob over a layer, sees one version of a partition.
          3 The same rows, fields and code give the same bytes, however the rows were cut into batches.
          4 Simulated data never replace recorded data.
          5 Nothing here deletes or rewrites raw input: `lake/raw` and `lake/sim` are no layers.
How they are kept is told in `_lake/staging.py` (the commit) and `_lake/writer.py` (the bytes).
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from data_eng._lake.disk import Disk, disk_trouble
from data_eng._lake.encoding import WINDOW_KEY
from data_eng._lake.manifest import MANIFEST_NAME, FileEntry, Manifest
from data_eng._lake.partition_writer import PartitionWriter, commit_together, delete_partition
from data_eng._lake.reading import PartitionReader
from data_eng._lake.scan import (
    Extras,
    LookaheadWarning,
    arrow_scan,
    have_polars,
    polars_scan,
    warn_of_lookahead,
)
from data_eng._lake.staging import StagingArea
from data_eng._lake.window_reader import RowGroup, WindowReader
from data_eng.errors import LakeError, MissingDataError, UsageError
from data_eng.params import parse_dt, parse_symbol
from data_eng.schema.column import Table

__all__ = [
    "LAYERS",
    "FileEntry",
    "Finding",
    "Lake",
    "LookaheadWarning",
    "Manifest",
    "Partition",
    "PartitionWriter",
    "RowGroup",
    "WindowReader",
    "scan",
]

LAYERS: Final = ("bronze", "silver", "gold")
"""the only folders of the root that the lake writes, besides `_staging`"""
DEFAULT_ROOT: Final = "lake"
ROOT_VARIABLE: Final = "SPYMASTER_LAKE"
_BY_ROOT: Final = ".mbo_contract_day_selection"
_RAW: Final = "--raw FOLDER_OF_DBN_FILES"
"""the lake does not know where raw files lie"""
"""its partition symbol is the root (ES), which is no contract to name on a command line"""


@dataclass(frozen=True)
class Partition:
    """A committed partition."""

    dataset: str
    symbol: str
    dt: str
    path: Path
    manifest: Manifest

    @property
    def rows(self) -> int:
        """Rows of all its files."""
        return self.manifest.row_count

    @property
    def size(self) -> int:
        """Bytes of its Parquet files."""
        return self.manifest.size


@dataclass(frozen=True)
class Finding:
    """Something `doctor` found: what kind, where, in words, and the command that mends it.

    kind: ``damaged`` (bytes missing or wrong, stale schema), ``orphaned`` (a folder no manifest vouches for,
    staging of a dead writer), ``unexpected`` (a file no manifest names), ``mixed_run`` (tables of different
    engine passes), ``stale_input`` (an input was replaced since).
    """

    kind: str
    path: Path
    text: str
    cure: str


class Lake:
    """A lake at `root`. Cheap to make: opens nothing, creates nothing.

    `tables` are the declared datasets (default: `data_eng.schema.TABLES`). Where a dataset is asked for, its
    key ``<layer>.<family>.<table>`` or, if unique, the short name does; `dt` is ``YYYY-MM-DD``.
    All methods raise `UsageError` for an unknown table, a bad symbol or date.
    """

    def __init__(
        self, root: Path, tables: Mapping[str, Table] | None = None, disk: Disk | None = None
    ) -> None:
        self.root = Path(root)
        self._given_tables = tables
        self._disk = disk or Disk()
        self._area = StagingArea(self.root, self._disk)

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """Dataset key -> declaration."""
        if self._given_tables is not None:
            return self._given_tables
        from data_eng.schema import TABLES

        return TABLES

    def table(self, name: str) -> Table:
        """Declaration of a dataset key or unique short name; `UsageError` names near matches."""
        if name in self.tables:
            return self.tables[name]
        meant = [table for table in self.tables.values() if table.name == name]
        if len(meant) == 1:
            return meant[0]
        if meant:
            raise UsageError(f"table {name!r} fits {[t.dataset for t in meant]}; say which")
        known = [*self.tables, *(table.name for table in self.tables.values())]
        near = difflib.get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(sorted(self.tables))}"
        raise UsageError(f"no table {name!r}; {hint}")

    def partition_dir(self, dataset: str, symbol: str, dt: str) -> Path:
        """Folder of a partition, there or not; the dataset key need not be a declared one."""
        layer, *rest = dataset.split(".")
        if layer not in LAYERS or len(rest) != 2 or not all(part.isidentifier() for part in rest):
            raise UsageError(f"dataset is {dataset!r}, expected <layer>.<family>.<table>, layer in {LAYERS}")
        return self.root.joinpath(layer, *rest, f"symbol={parse_symbol(symbol)}", f"dt={parse_dt(dt)}")

    # reading

    def has(self, dataset: str, symbol: str, dt: str) -> bool:
        """Whether the partition can be read: valid manifest, present schema, every file with its size."""
        try:
            self.manifest(dataset, symbol, dt)
        except (MissingDataError, LakeError):
            return False
        return True

    def manifest(self, dataset: str, symbol: str, dt: str) -> Manifest:
        """Manifest of a partition whose files are there with their sizes.

        Raises `MissingDataError` without partition, `LakeError` for a damaged or stale one; both name the
        command that builds it.
        """
        return self._reader(dataset, symbol, dt).manifest()

    def read(
        self,
        dataset: str,
        symbol: str,
        dt: str,
        columns: Sequence[str] | None = None,
        *,
        verify: bool = False,
    ) -> pa.Table:
        """Whole partition in row order, or the named columns in the named order.

        Page checksums are always tested; `verify` also compares the sha256 of the files with the manifest.
        Raises as `manifest`, and `UsageError` for an unknown column.
        """
        reader = self._reader(dataset, symbol, dt)
        reader.schema(columns)
        _, files = reader.open(verify=verify)
        return pa.concat_tables([reader.whole(file, columns) for file in files])

    def iter_batches(
        self,
        dataset: str,
        symbol: str,
        dt: str,
        columns: Sequence[str] | None = None,
        *,
        verify: bool = False,
    ) -> Iterator[pa.RecordBatch]:
        """One batch per row group, in row order: 300 windows of a wide table, up to 1 Mi rows of others.

        The files are opened at the call: a partition that is replaced meanwhile is read to its end as it
        was. Raises as `read`.
        """
        reader = self._reader(dataset, symbol, dt)
        reader.schema(columns)
        _, files = reader.open(verify=verify)
        return (
            batch
            for file in files
            for batch in reader.row_groups(file, range(file.metadata.num_row_groups), columns)
        )

    def read_windows(
        self,
        dataset: str,
        symbol: str,
        dt: str,
        start_ts_ns: int,
        end_ts_ns: int,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Rows with start_ts_ns < window_end_ts_ns <= end_ts_ns; reads only the row groups they lie in.

        Raises as `read`, and `UsageError` for a table without windows.
        """
        reader = self._reader(dataset, symbol, dt)
        schema = reader.schema(columns)
        if WINDOW_KEY not in reader.table.arrow_schema.names:
            raise UsageError(f"{reader.table.dataset} has no {WINDOW_KEY}")
        wanted = schema.names if WINDOW_KEY in schema.names else [*schema.names, WINDOW_KEY]
        _, files = reader.open(verify=False)
        pieces = [schema.empty_table()]
        for file in files:
            groups = [
                group
                for group in range(file.metadata.num_row_groups)
                if _overlaps(file.metadata.row_group(group), start_ts_ns, end_ts_ns)
            ]
            for batch in reader.row_groups(file, groups, wanted):
                at = batch.column(WINDOW_KEY)
                keep = pc.and_(pc.greater(at, start_ts_ns), pc.less_equal(at, end_ts_ns))
                pieces.append(pa.Table.from_batches([batch.filter(keep)]).select(schema.names))
        return pa.concat_tables([piece.cast(schema) for piece in pieces])

    def window_reader(self, dataset: str, symbol: str, dt: str) -> WindowReader:
        """The partition held open for reading by ranges of windows, as it is now.

        Raises `MissingDataError` and `LakeError` as `manifest`, and `UsageError` for a table without windows.
        """
        return WindowReader(self._reader(dataset, symbol, dt))

    def require_same_run(self, partitions: Iterable[tuple[str, str, str]]) -> str:
        """The one `engine_run` of those (dataset, symbol, dt).

        Raises `LakeError` when they come from different passes, or one from none: a crash between two
        swaps of one commit, or a table made again alone.
        """
        found = {place: self.manifest(*place).engine_run for place in partitions}
        runs = set(found.values())
        if len(runs) == 1 and (run := next(iter(runs))) is not None:
            return run
        listed = ", ".join(f"{dataset} {(run or 'none')[:12]}" for (dataset, _, _), run in found.items())
        cures = sorted({self.rebuild_command(*place) for place in found})
        raise LakeError(
            f"tables of different engine passes stand side by side in {self.root}: engine_run of {listed}; "
            f"expected one for all; rebuild them together: {' && '.join(cures)}"
        )

    def partitions(self) -> list[Partition]:
        """Every committed partition of a declared dataset, sorted; damaged ones are left to `doctor`."""
        found = []
        for dataset, symbol, dt in self._folders():
            if dataset in self.tables:
                try:
                    manifest = self.manifest(dataset, symbol, dt)
                except (MissingDataError, LakeError):
                    continue
                found.append(
                    Partition(dataset, symbol, dt, self.partition_dir(dataset, symbol, dt), manifest)
                )
        return found

    def scan(
        self,
        table: str,
        symbol: str,
        dt: str | date | None = None,
        *,
        dates: Sequence[str | date] | None = None,
        points: bool = False,
        tz: str | None = None,
        session: str | None = None,
        allow_lookahead: bool = False,
        as_arrow: bool = False,
        stacklevel: int = 1,
    ) -> Any:
        """See the function `scan`."""
        declared = self.table(table)
        chosen = self._dates(declared, symbol, dt, dates)
        extras = Extras(declared, points, tz, session)
        readers = [self._reader(declared.dataset, symbol, day) for day in chosen]
        manifests = [reader.manifest() for reader in readers]
        if not allow_lookahead:
            warn_of_lookahead(manifests, stacklevel + 1)
        dt_column = dt is None
        if as_arrow or not have_polars():
            return pa.concat_tables(
                arrow_scan(self.read(declared.dataset, symbol, day), extras, day, dt_column=dt_column)
                for day in chosen
            )
        import polars as pl

        return pl.concat(
            polars_scan(
                [reader.folder / file.name for file in m.files], extras, reader.dt, dt_column=dt_column
            )
            for reader, m in zip(readers, manifests, strict=True)
        )

    # writing

    def writer(self, dataset: str, symbol: str, dt: str) -> PartitionWriter:
        """Writer of one partition, a context manager; sweeps what dead writers left.

        The partition's lock is taken here and held until commit or abort: of two writers the second fails
        at once, before it has computed anything.
        Raises `LakeError` when another writer has the partition, or the lake cannot be written.
        """
        declared = self.table(dataset)
        target = self.partition_dir(declared.dataset, symbol, dt)
        return PartitionWriter(declared, symbol, dt, target, self._area)

    def commit_together(self, writers: Sequence[PartitionWriter]) -> None:
        """Commit finished partitions of one pass: all, or none when a step fails.

        A crash between two swaps leaves some old, some new ones; `require_same_run` refuses those.
        Raises `LakeError` when the writers are not of one engine_run, and as `PartitionWriter.commit`.
        """
        commit_together(writers)

    def delete(self, dataset: str, symbol: str, dt: str) -> None:
        """Delete a partition, damaged or not; absent is fine.

        Raises `LakeError` when somebody is writing it, or the disk refuses.
        """
        target = self.partition_dir(dataset if dataset.count(".") == 2 else self.table(dataset).dataset,
                                    symbol, dt)  # fmt: skip
        if not target.exists():
            return
        try:
            done = delete_partition(self._area, target)
        except OSError as exc:
            raise disk_trouble(exc, "deleting", target) from exc
        if not done:
            raise LakeError(f"another process is writing {target}; wait until it has ended, then delete it")

    def sweep_staging(self) -> list[Path]:
        """Finish the swaps and delete the staging of dead writers; returns the folders removed."""
        return self._area.sweep()

    # health

    def doctor(self, *, verify: bool = True) -> list[Finding]:
        """What is wrong in this lake; changes nothing. `verify` reads every byte to compare sha256.

        Freshness against parameters and code is not its question (`data_eng.lake_health` knows the stages).
        """
        findings = [
            Finding("orphaned", path, f"{path}: staging of a writer that died", "the next writer removes it")
            for path in self._area.abandoned()
        ]
        good: dict[tuple[str, str, str], Manifest] = {}
        for place in self._folders():
            folder = self.partition_dir(*place)
            remove = f"remove the folder {folder}"
            if place[0] not in self.tables:
                findings.append(Finding("orphaned", folder, f"{folder}: no table of this version", remove))
                continue
            reader = self._reader(*place)
            try:
                manifest = reader.parse()
            except MissingDataError:
                findings.append(Finding("orphaned", folder, f"{folder}: a folder without manifest", remove))
                continue
            except LakeError as exc:
                findings.append(Finding("damaged", folder, str(exc), reader.cure))
                continue
            broken = reader.damage(manifest, verify=verify)
            findings += [Finding("damaged", folder, str(error), reader.cure) for error in broken]
            named = {MANIFEST_NAME, *(file.name for file in manifest.files)}
            findings += [
                Finding(
                    "unexpected", path, f"{path}: not named in the manifest, but a glob reads it", reader.cure
                )
                for path in sorted(folder.iterdir())
                if path.name not in named
            ]
            if not broken:
                good[place] = manifest
        return findings + self._mixed_runs(good) + self._stale_inputs(good)

    def build_command(self, symbol: str, dt: str) -> str:
        """Command line that makes everything of a contract and date that is not there, from raw files."""
        return f"spymaster run --dt {dt} --symbol {symbol} {_RAW}{self._elsewhere}"

    def rebuild_command(self, dataset: str, symbol: str, dt: str) -> str:
        """Command line that makes the partition again from what lies before it: raw files, or the lake."""
        if dataset.endswith(_BY_ROOT):
            return f"spymaster ingest --dt {dt} {_RAW}{self._elsewhere}"
        short = dataset.rsplit(".", 1)[1]
        unique = sum(key.rsplit(".", 1)[1] == short for key in self.tables) == 1
        only = short if unique else dataset
        verb, raw = ("ingest", f" {_RAW}") if dataset.startswith("bronze.") else ("run", "")
        return f"spymaster {verb} --dt {dt} --symbol {symbol}{raw} --only {only} --force{self._elsewhere}"

    @property
    def _elsewhere(self) -> str:
        return "" if str(self.root) == DEFAULT_ROOT else f" --lake {self.root}"

    def _mixed_runs(self, manifests: Mapping[tuple[str, str, str], Manifest]) -> list[Finding]:
        passes: dict[tuple[str, str, str], list[Manifest]] = {}
        for manifest in manifests.values():
            if manifest.engine_run is not None:
                passes.setdefault((manifest.stage, manifest.symbol, manifest.dt), []).append(manifest)
        return [
            Finding(
                "mixed_run",
                self.partition_dir(group[0].dataset, symbol, dt),
                f"stage {stage} of {symbol} {dt} left tables of different passes: "
                + ", ".join(f"{m.dataset} {str(m.engine_run)[:12]}" for m in group),
                self.rebuild_command(group[0].dataset, symbol, dt),
            )
            for (stage, symbol, dt), group in passes.items()
            if len({m.engine_run for m in group}) > 1
        ]

    def _stale_inputs(self, manifests: Mapping[tuple[str, str, str], Manifest]) -> list[Finding]:
        findings = []
        for (dataset, symbol, dt), manifest in manifests.items():
            for record in manifest.inputs:
                place = (record.get("dataset", ""), record.get("symbol", ""), record.get("dt", ""))
                now = manifests.get(place)
                if now is not None and now.sha256 != record["manifest_sha256"]:
                    folder = self.partition_dir(dataset, symbol, dt)
                    text = f"{folder}: its input {place[0]} of {place[1]} {place[2]} was replaced since"
                    cure = self.rebuild_command(dataset, symbol, dt)
                    findings.append(Finding("stale_input", folder, text, cure))
        return findings

    def _reader(self, dataset: str, symbol: str, dt: str) -> PartitionReader:
        declared = self.table(dataset)
        folder = self.partition_dir(declared.dataset, symbol, dt)
        return PartitionReader(
            declared,
            symbol,
            dt,
            folder,
            build=self.build_command(symbol, dt),
            cure=self.rebuild_command(declared.dataset, symbol, dt),
            settle=self._area.settle,
        )

    def _folders(self) -> list[tuple[str, str, str]]:
        """(dataset, symbol, dt) of every folder of partition form below the layers, sorted."""
        found = []
        for layer in LAYERS:
            for folder in (self.root / layer).glob("*/*/symbol=*/dt=*"):
                family, table, symbol, dt = folder.parts[-4:]
                place = (f"{layer}.{family}.{table}", symbol.removeprefix("symbol="), dt.removeprefix("dt="))
                try:
                    self.partition_dir(*place)
                except UsageError:
                    continue  # not a name the lake could have written
                found.append(place)
        return sorted(found)

    def _dates(
        self, table: Table, symbol: str, dt: str | date | None, dates: Sequence[str | date] | None
    ) -> list[str]:
        if dt is not None and dates is not None:
            raise UsageError("give dt or dates, not both")
        if dt is not None:
            return [_day(dt)]
        home = self.partition_dir(table.dataset, symbol, "2000-01-01").parent
        there = sorted(path.name.removeprefix("dt=") for path in home.glob("dt=*"))
        if dates is None:
            if not there:
                raise MissingDataError(
                    f"the lake {self.root} has no {table.dataset} of {symbol}; build it: "
                    f"{self.build_command(symbol, 'YYYY-MM-DD')}"
                )
            return there
        if isinstance(dates, str) or not dates:
            raise UsageError(
                f"dates are {dates!r}, expected a list of dates or a tuple (first, last); one date is dt="
            )
        if isinstance(dates, tuple) and len(dates) == 2:
            first, last = (date.fromisoformat(_day(day)) for day in dates)
            if first > last:
                raise UsageError(f"dates are {dates[0]} to {dates[1]}, expected the earlier one first")
            days = [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]
            wanted = [day for day in days if _may_have_data(day)]
        else:
            wanted = [_day(day) for day in dates]
            twice = sorted({day for day in wanted if wanted.count(day) > 1})
            if twice:
                raise UsageError(f"dates name {', '.join(twice)} more than once; name each date once")
        absent = [day for day in wanted if not self.has(table.dataset, symbol, day)]
        if not wanted:
            raise MissingDataError(f"the exchange is closed from {dates[0]} to {dates[-1]}; name other dates")
        if absent:
            cures = [self.build_command(symbol, day) for day in absent[:3]]
            raise MissingDataError(
                f"{table.dataset} of {symbol} lacks {len(absent)} of {len(wanted)} dates: "
                f"{', '.join(absent)}; build them: {'; '.join(cures)}{' ...' if len(absent) > 3 else ''}"
            )
        return wanted


def scan(
    table: str,
    symbol: str,
    dt: str | date | None = None,
    *,
    dates: Sequence[str | date] | None = None,
    points: bool = False,
    tz: str | None = None,
    session: str | None = None,
    root: Path | str | None = None,
    allow_lookahead: bool = False,
    as_arrow: bool = False,
) -> Any:
    """A table of the lake for people: a Polars LazyFrame, or a pyarrow Table without Polars.

    table: dataset key or unique short name. symbol: the futures contract, also for options.
    dt: one date, YYYY-MM-DD or `datetime.date`. dates: a list of different dates, or a tuple (first, last) of
        which every date the exchange trades on must be there. Neither: every date in the lake. With several
        dates a column `dt` (date) is added.
    points: a float64 column `<name>_points` per price (`best_bid_price_int` -> `best_bid_price_points`,
        bronze `price` -> `price_points`): null for UNDEF, and for 0 except in key columns, where 0 is a
        level; and a column `trade_date` (the session rolls at 17:00 Chicago).
    tz: IANA zone; a column `<name>_local` per timestamp (`window_end_ts_ns` -> `window_end_local`), null
        where the timestamp is 0 or undefined.
    session: ``full | rth | HH:MM-HH:MM@zone``; only windows (or records) inside it.
    root: the lake, default env SPYMASTER_LAKE, else ``lake``.
    as_arrow: a pyarrow Table even when Polars is there.

    A LazyFrame reads the files that were committed when it was made: if the partition is replaced before it
    is collected, Polars reports a missing file, never mixed rows; scan again.
    Warns `LookaheadWarning` once when scores look ahead (spec 6), unless `allow_lookahead`.
    Raises `UsageError`, `MissingDataError` naming the dates that are not there, `LakeError` for damage.
    """
    place = Path(root if root is not None else os.environ.get(ROOT_VARIABLE) or DEFAULT_ROOT)
    return Lake(place).scan(
        table,
        symbol,
        dt,
        dates=dates,
        points=points,
        tz=tz,
        session=session,
        allow_lookahead=allow_lookahead,
        as_arrow=as_arrow,
        stacklevel=2,
    )


def _day(day: str | date) -> str:
    """A date as partitions name it. Raises `UsageError`."""
    if isinstance(day, date) and not isinstance(day, datetime):
        return parse_dt(day.isoformat())
    if isinstance(day, str):
        return parse_dt(day)
    raise UsageError(f"{day!r} is not a date; expected YYYY-MM-DD, for example 2026-01-06, or datetime.date")


def _may_have_data(day: str) -> bool:
    """Whether the exchange trades in some part of that UTC date."""
    from data_eng.sessions import pause_intervals, utc_day_ns

    start_ns, end_ns = utc_day_ns(day)
    paused = pause_intervals(start_ns, end_ns)
    closed = sum(max(0, min(end_ns, stop) - max(start_ns, begin)) for begin, stop in paused.tolist())
    return bool(closed < end_ns - start_ns)


def _overlaps(group: Any, start_ts_ns: int, end_ts_ns: int) -> bool:
    for index in range(group.num_columns):
        column = group.column(index)
        if column.path_in_schema == WINDOW_KEY and column.statistics is not None:
            return bool(column.statistics.max > start_ts_ns and column.statistics.min <= end_ts_ns)
    return True
