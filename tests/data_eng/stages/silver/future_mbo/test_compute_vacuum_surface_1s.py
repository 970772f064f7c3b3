"""vacuum_surface_1s equals its twin on any wall and on what the engine makes of any market."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_eng.calibration import CALIBRATION, Calibration
from data_eng.errors import MissingDataError
from data_eng.lake import Lake
from data_eng.params import RunParams
from data_eng.schema import CALIBRATION_METRICS, table
from data_eng.stages.silver.future_mbo import compute_vacuum_surface_1s as stage
from data_eng.stages.silver.future_mbo.compute_vacuum_surface_1s import compute_vacuum_surface_1s
from tests.data_eng.physics_samples import (
    DT,
    SYMBOL,
    WALL,
    batches,
    bounds_for,
    put,
    quiet_bounds,
    run_stage,
    to_table,
    wall_rows,
)
from tests.engine_helpers import run_engine
from tests.naive.physics import naive_vacuum
from tests.strategies import cuts, tidy_streams

VACUUM = stage.VACUUM
BOUNDS = quiet_bounds()


def vacuum_of(wall: pa.Table, positions: list[int] | None = None) -> pa.Table:
    made = list(compute_vacuum_surface_1s(batches(wall, positions or []), bounds_for(BOUNDS)))
    whole = pa.Table.from_batches(made, schema=table(VACUUM).arrow_schema)
    table(VACUUM).validate(whole)
    return whole


def assert_equals_twin(found: pa.Table, rows: list[dict[str, Any]]) -> None:
    for got, want in zip(found.to_pylist(), naive_vacuum(rows, BOUNDS), strict=True):
        assert set(got) == set(want)
        for name, value in want.items():
            if isinstance(value, np.float32):  # one unit in the last place: the logs may differ in theirs
                assert got[name] == pytest.approx(float(value), rel=1.2e-7, abs=1e-12), (name, want)
            else:
                assert got[name] == value, (name, want)


@given(wall_rows())
def test_vacuum_equals_the_twin_on_any_wall(rows: list[dict[str, Any]]) -> None:
    assert_equals_twin(vacuum_of(to_table(WALL, rows)), rows)


@given(tidy_streams())
def test_vacuum_equals_the_twin_on_what_the_engine_emits(recs: list[Any]) -> None:
    windows, _ = run_engine(recs)
    wall = windows.wall_surface_1s
    assert_equals_twin(vacuum_of(wall), wall.to_pylist())


@given(wall_rows(), st.data())
def test_any_cut_of_the_wall_gives_the_same_bytes(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    wall = to_table(WALL, rows)
    whole, parts = vacuum_of(wall), vacuum_of(wall, data.draw(cuts(len(rows))))
    for name in whole.column_names:
        assert whole[name].combine_chunks().equals(parts[name].combine_chunks()), name


@given(wall_rows())
def test_a_quiet_row_has_no_flow_score(rows: list[dict[str, Any]]) -> None:
    found = vacuum_of(to_table(WALL, rows)).to_pylist()
    for wall, row in zip(rows, found, strict=True):
        if wall["pull_qty_rest"] == 0 and wall["d1_depth_qty"] >= 0:
            assert row["vacuum_flow_score"] == 0
        assert 0 <= row["vacuum_score"] <= 1


def lake_with_wall(root: Path) -> Lake:
    lake = Lake(root)
    rows = [row | {"window_valid": True} for row in ROWS]
    put(lake, WALL, to_table(WALL, rows))
    return lake


ROWS = [
    dict.fromkeys(table(WALL).arrow_schema.names, 0)
    | {
        "window_start_ts_ns": 0,
        "window_end_ts_ns": 10**9,
        "price_int": 10**9,
        "side": "A",
        "spot_ref_price_int": 10**9,
    }
]


def calibrate(lake: Lake, dt: str) -> None:
    values = dict.fromkeys(CALIBRATION_METRICS, (0.0, 1.0))
    rows = dict.fromkeys(CALIBRATION_METRICS, 1)
    made = Calibration(values, rows, 1).table(dt, "FULL_DAY")
    put(lake, CALIBRATION, made, dt, counters={"valid_windows": 30_000})


@pytest.mark.parametrize(
    ("which", "used", "ahead"),
    [("same", DT, True), ("previous", "2026-01-05", False), ("2026-01-08", "2026-01-08", True)],
)
def test_the_manifest_names_the_calibration_and_whether_it_looks_ahead(
    tmp_path: Path, which: str, used: str, ahead: bool
) -> None:
    lake = lake_with_wall(tmp_path)
    for dt in ("2026-01-05", DT, "2026-01-08"):
        calibrate(lake, dt)
    run_stage(lake, stage.STAGE, RunParams(no_gex=True, calibration_dt=which))
    manifest = lake.manifest(VACUUM, SYMBOL, DT)
    of = lake.manifest(CALIBRATION, SYMBOL, used)
    assert manifest.calibration == {"dt": used, "sha256": of.files[0].sha256}
    assert manifest.lookahead is ahead
    assert manifest.params["calibration_dt"] == which


def test_without_its_calibration_the_stage_fails_at_once(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="build it: spymaster run"):
        run_stage(lake_with_wall(tmp_path), stage.STAGE)
