"""Simulated days for the truth tests: what the exchange says, and what the pipeline made of its files.

The truth comes from the simulator's own memory. Silver comes through the front door: DBN files in a folder,
bronze, one engine pass, Parquet. Nothing is shared between the two but those files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from data_eng import pipeline
from data_eng.lake import Lake
from data_eng.mbo import MBO_DTYPE, MboColumns
from data_eng.params import RunParams
from data_eng.planner import Request
from data_eng.raw_files import discover
from data_eng.sessions import pause_intervals, utc_day_ns
from data_eng.stages.silver.future_mbo.book_engine import BookEngine, Windows
from data_eng.units import DAY_NS
from simex import simulate
from tests.simex.plain import raw_bytes

DT = "2026-01-06"
SYMBOL = "ESH6"
INSTRUMENT_ID = 42_140_878
SECOND_NS = 1_000_000_000
SEED = 7
BRONZE = "bronze.future_mbo.mbo"
SURFACES = ("book_snapshot_1s", "wall_surface_1s", "radar_vacuum_1s", "trade_event")
TO_SURFACES = ("definitions", "status", "future_mbo", "futures_surfaces")
"""stages that a Silver table of the future needs"""


def silver(table: str) -> str:
    """Dataset key of a Silver table of the future."""
    return f"silver.future_mbo.{table}"


@dataclass
class Day:
    """A folder of DBN files with its truth, and the lake that the pipeline filled from it."""

    raw: Path
    lake: Lake
    truth_dir: Path
    meta: dict[str, Any]
    _tables: dict[str, pl.DataFrame] = field(default_factory=dict)

    @property
    def start_ns(self) -> int:
        """First nanosecond of the simulated stretch."""
        return int(self.meta["start_ts_ns"])

    def table(self, name: str) -> pl.DataFrame:
        """A Silver table of the future; words as plain strings."""
        if name not in self._tables:
            self._tables[name] = plain(pl.from_arrow(self.lake.read(silver(name), SYMBOL, DT)))
        return self._tables[name]

    def truth(self, name: str) -> pl.DataFrame:
        """A truth file; words as plain strings."""
        key = f"truth_{name}"
        if key not in self._tables:
            self._tables[key] = plain(pl.read_parquet(self.truth_dir / f"{key}.parquet"))
        return self._tables[key]

    def counters(self, dataset: str = silver("wall_surface_1s")) -> dict[str, int]:
        """Counters that the manifest of a table reports."""
        return dict(self.lake.manifest(dataset, SYMBOL, DT).counters)

    def surface_hashes(self) -> dict[str, list[str]]:
        """sha256 of every Parquet file of the engine pass."""
        return {
            name: [entry.sha256 for entry in self.lake.manifest(silver(name), SYMBOL, DT).files]
            for name in SURFACES
        }

    def plants(self, kind: str) -> list[dict[str, Any]]:
        """Rows of truth_plants of one kind."""
        return self.truth("plants").filter(pl.col("kind") == kind).to_dicts()

    def orders_of(self, plant: dict[str, Any]) -> pl.DataFrame:
        """Rows of truth_orders that carried out a plant: its orders have an owner of their own."""
        return self.truth("orders").filter(pl.col("owner") == 1000 + plant["plant_id"])

    @cached_property
    def records(self) -> np.ndarray:
        """MBO records of the front contract in file order, read without the pipeline."""
        records = mbo_file(self.raw)[1]
        return records[records["instrument_id"] == INSTRUMENT_ID]


def plain(table: Any) -> pl.DataFrame:
    """Words as plain strings, whatever their encoding."""
    frame: pl.DataFrame = table
    return frame.with_columns(pl.col(pl.Categorical).cast(pl.String))


def mbo_file(raw: Path) -> tuple[bytes, np.ndarray]:
    """(DBN header, records of all instruments) of the simulated file of the future."""
    (path,) = raw.glob("simex-????????.mbo.dbn.zst")
    data = raw_bytes(path)
    length = 8 + int.from_bytes(data[4:8], "little")
    return data[:length], np.frombuffer(data, MBO_DTYPE, offset=length)


def simulated(folder: Path, preset: str = "tiny", **options: Any) -> Day:
    """Simulates futures into `folder`/raw and runs the pipeline up to the engine."""
    result = simulate(DT, preset, SEED, folder / "raw", options=False, **options)
    return Day(folder / "raw", surfaces_of(folder / "raw", folder / "lake"), result.truth_dir, result.meta)


def surfaces_of(raw: Path, root: Path, stages: Iterable[str] = TO_SURFACES) -> Lake:
    """The lake that the pipeline makes of a raw folder. Raises as the pipeline does."""
    lake = Lake(root)
    request = Request(only=tuple(stages))
    pipeline.run(lake, DT, SYMBOL, RunParams(no_gex=True), request, raw=lambda: discover(raw))
    return lake


def run_engine(records: np.ndarray) -> tuple[Windows, BookEngine]:
    """The engine alone, over records in memory."""
    start, end = utc_day_ns(DT)
    engine = BookEngine(INSTRUMENT_ID, pauses=pause_intervals(start - 8 * DAY_NS, end + DAY_NS))
    parts = [engine.apply(MboColumns.from_records(records)), engine.finish()]
    return Windows.concat(parts), engine


def assert_same(
    found: pl.DataFrame, wanted: pl.DataFrame, keys: list[str], columns: list[str], *, at_least: int
) -> None:
    """Both have the same keys and, there, the same values; `at_least` rows were compared."""
    assert len(wanted) >= at_least, f"only {len(wanted)} rows to compare, expected {at_least} or more"
    both = found.select(keys + columns).join(
        wanted.select(keys + columns), on=keys, how="full", coalesce=True, suffix="_truth"
    )
    wrong = both.filter(pl.any_horizontal(pl.col(c).ne_missing(pl.col(f"{c}_truth")) for c in columns))
    assert wrong.is_empty(), f"{len(wrong)} of {len(both)} rows differ:\n{wrong.sort(keys).head(5)}"
