"""The gamma ladder: 61 strikes for every window that has a spot, and zeros only when asked for."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_eng.errors import UsageError
from data_eng.params import RunParams
from data_eng.schema import table
from data_eng.stages.silver.future_option_mbo import compute_gex_surface_1s as stage
from data_eng.stages.silver.future_option_mbo.compute_gex_surface_1s import empty_ladder, strike_ladder
from data_eng.units import TICK_INT, WINDOW_NS
from tests.data_eng.integrity import tables
from tests.data_eng.physics_samples import DT, SNAPSHOT, SYMBOL, T0, Lake, put, run_stage


@given(st.integers(1, 40_000))
def test_the_ladder_is_centred_on_the_nearest_strike(ticks: int) -> None:
    spot = ticks * TICK_INT
    ladder = strike_ladder(np.array([spot]))[0]
    middle = 5 * math.floor(spot / 1e9 / 5 + 0.5)
    assert ladder.tolist() == [(middle + 5 * i) * 10**9 for i in range(-30, 31)]


def test_every_window_with_a_spot_has_its_61_strikes_and_no_other() -> None:
    ends = T0 + WINDOW_NS * np.arange(8_000)
    spot = np.where(np.arange(8_000) % 7 == 0, 0, 4_812_500_000_000)
    rows = pa.Table.from_batches(list(empty_ladder(ends, spot, "ESH6")))
    table(stage.GEX).validate(rows)
    windows, counts = np.unique(rows["window_end_ts_ns"].to_numpy(), return_counts=True)
    assert windows.tolist() == ends[spot > 0].tolist()
    assert set(counts.tolist()) == {61}
    values = [name for name in rows.column_names if "gex" in name]
    assert len(values) == 14
    assert all(not rows[name].to_numpy().any() for name in values)
    assert rows["strike_points"][30].as_py() == 4815.0  # a tie goes up


def lake_with_snapshot(root: Path) -> Lake:
    lake = Lake(root)
    put(lake, SNAPSHOT, tables.book_lake().read(SNAPSHOT, tables.SYMBOL, tables.DT))
    return lake


def test_zeros_are_written_on_request_and_the_manifest_says_why(tmp_path: Path) -> None:
    lake = lake_with_snapshot(tmp_path)
    run_stage(lake, stage.STAGE)
    assert lake.manifest(stage.GEX, SYMBOL, DT).warnings == ("no_options",)


def test_without_the_request_nothing_is_written(tmp_path: Path) -> None:
    lake = lake_with_snapshot(tmp_path)
    with pytest.raises(UsageError, match="--no-gex"):
        run_stage(lake, stage.STAGE, RunParams())
    assert not lake.has(stage.GEX, SYMBOL, DT)
