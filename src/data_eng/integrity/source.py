"""What the checks need of a lake: `data_eng.lake.Lake` fulfils it, and so do a few tables in a test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa

from data_eng.errors import MissingDataError
from data_eng.integrity.rows import Rows
from data_eng.schema import table

BRONZE: Final = "bronze.future_mbo.mbo"
DEFINITIONS: Final = "bronze.shared.instrument_definitions"
SNAPSHOT: Final = "silver.future_mbo.book_snapshot_1s"
WALL: Final = "silver.future_mbo.wall_surface_1s"
RADAR: Final = "silver.future_mbo.radar_vacuum_1s"
TRADES: Final = "silver.future_mbo.trade_event"
VACUUM: Final = "silver.future_mbo.vacuum_surface_1s"
BANDS: Final = "silver.future_mbo.physics_bands_1s"
CONTEXT: Final = "silver.future_mbo.physics_context_1s"
GEX: Final = "silver.future_option_mbo.gex_surface_1s"
QUOTES: Final = "silver.future_option_mbo.option_quote_1s"
PROFILE: Final = "silver.future_option_mbo.gex_profile_1s"
STATISTICS_CLEAN: Final = "silver.future_option.statistics_clean"
CALIBRATION: Final = "gold.hud.physics_norm_calibration"
HUD: Final = "gold.hud.hud_surface_1s"


class ManifestFacts(Protocol):
    """The manifest fields (spec 2.3) that the checks compare; `sha256` is of the manifest itself."""

    @property
    def params(self) -> Mapping[str, Any]: ...
    @property
    def counters(self) -> Mapping[str, int]: ...
    @property
    def calibration(self) -> Mapping[str, str] | None: ...
    @property
    def engine_run(self) -> str | None: ...
    @property
    def warnings(self) -> Sequence[str]: ...


class TableSource(Protocol):
    """Reading side of the lake; `root` is its folder, for messages."""

    @property
    def root(self) -> Path: ...
    def has(self, dataset: str, symbol: str, dt: str) -> bool: ...
    def manifest(self, dataset: str, symbol: str, dt: str) -> ManifestFacts: ...
    def read(self, dataset: str, symbol: str, dt: str, columns: Sequence[str] | None = None) -> pa.Table: ...
    def iter_batches(
        self, dataset: str, symbol: str, dt: str, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]: ...


def require(source: TableSource, symbol: str, dt: str, datasets: Sequence[str]) -> None:
    """Raise `MissingDataError` (exit 2) that names every absent partition and the command that builds it.

    A partition that is there but cannot be read raises what `source.manifest` says of it: `LakeError`.
    """
    absent = []
    for dataset in datasets:
        try:
            source.manifest(dataset, symbol, dt)
        except MissingDataError:
            absent.append(dataset)
    if not absent:
        return
    verb = "ingest" if all(dataset.startswith("bronze.") for dataset in absent) else "run"
    raise MissingDataError(
        f"{source.root} holds no {', '.join(absent)} for {symbol} {dt}; build: spymaster {verb} --dt {dt}"
        f" --symbol {symbol} --lake {source.root}"
    )


def read_rows(
    source: TableSource, dataset: str, symbol: str, dt: str, columns: Sequence[str] | None = None
) -> Rows:
    """A whole partition of a narrow table as `Rows`."""
    names = list(table(dataset).arrow_schema.names) if columns is None else list(columns)
    return Rows.from_arrow(source.read(dataset, symbol, dt, names), names)


def is_whole_run(manifest: ManifestFacts) -> bool:
    """The tables hold every window of the run: no `--session` narrowed what was emitted."""
    return bool(manifest.params.get("session", "full") == "full")


def as_window_array(windows: set[int]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Sorted int64 array of window_end values."""
    return np.array(sorted(windows), dtype=np.int64)
