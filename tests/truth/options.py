"""Simulated days with their option chain: what the exchange says of it, and what the pipeline made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import databento_dbn as dbn
import numpy as np
import polars as pl

from data_eng import pipeline
from data_eng.lake import Lake
from data_eng.mbo import MBO_DTYPE
from data_eng.params import RunParams
from data_eng.planner import Request
from data_eng.raw_files import discover
from simex import simulate
from tests.simex.plain import raw_bytes
from tests.truth.days import DT, SEED, SYMBOL, plain

GEX = "silver.future_option_mbo.gex_surface_1s"
QUOTES = "silver.future_option_mbo.option_quote_1s"
PROFILE = "silver.future_option_mbo.gex_profile_1s"
BRONZE = "bronze.future_option_mbo.mbo"
TO_GEX = (
    "definitions",
    "status",
    "future_mbo",
    "option_mbo",
    "statistics",
    "futures_surfaces",
    "statistics_clean",
    "gex_surface",
)
"""stages that the tables of the options need"""


@dataclass
class OptionDay:
    """A folder of DBN files with its truth, and the lake that the pipeline filled from it."""

    raw: Path
    lake: Lake
    truth_dir: Path
    meta: Mapping[str, Any]
    _tables: dict[str, pl.DataFrame] = field(default_factory=dict)

    def table(self, dataset: str) -> pl.DataFrame:
        """A finished table; words as plain strings."""
        if dataset not in self._tables:
            self._tables[dataset] = plain(pl.from_arrow(self.lake.read(dataset, SYMBOL, DT)))
        return self._tables[dataset]

    def truth(self, name: str) -> pl.DataFrame:
        """A truth file; words as plain strings."""
        key = f"truth_{name}"
        if key not in self._tables:
            self._tables[key] = plain(pl.read_parquet(self.truth_dir / f"{key}.parquet"))
        return self._tables[key]

    def hashes(self) -> dict[str, list[str]]:
        """sha256 of every Parquet file of the options stage."""
        return {
            name: [entry.sha256 for entry in self.lake.manifest(name, SYMBOL, DT).files]
            for name in (GEX, QUOTES, PROFILE)
        }


def option_day(folder: Path, preset: str = "tiny", **switches: Any) -> OptionDay:
    """Simulates a day with options into `folder`/raw and runs the pipeline up to gamma."""
    result = simulate(DT, preset, SEED, folder / "raw", **switches)
    return OptionDay(folder / "raw", gex_of(folder / "raw", folder / "lake"), result.truth_dir, result.meta)


def gex_of(raw: Path, root: Path, **params: Any) -> Lake:
    """The lake that the pipeline makes of a raw folder. Raises as the pipeline does."""
    lake = Lake(root)
    pipeline.run(lake, DT, SYMBOL, RunParams(**params), Request(only=TO_GEX), raw=lambda: discover(raw))
    return lake


def option_file(raw: Path) -> tuple[bytes, np.ndarray]:
    """(DBN header, records) of the simulated option file, read without the pipeline."""
    (path,) = raw.glob("simex-????????.options.mbo.dbn.zst")
    data = raw_bytes(path)
    length = 8 + int.from_bytes(data[4:8], "little")
    return data[:length], np.frombuffer(data, MBO_DTYPE, offset=length)


def definitions(raw: Path) -> list[Any]:
    """Definition messages by the vendor's decoder."""
    (path,) = raw.glob("simex-????????.definition.dbn.zst")
    decoder = dbn.DBNDecoder()
    decoder.write(raw_bytes(path))
    return [rec for rec in decoder.decode() if not isinstance(rec, dbn.Metadata)]
