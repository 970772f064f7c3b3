"""The calibration stage stores the raw quantiles of the date, and what they were taken over."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from data_eng.calibration import CALIBRATION, POPULATIONS
from data_eng.schema import CALIBRATION_METRICS, table
from data_eng.stages.gold import build_physics_norm_calibration as stage
from tests.data_eng.integrity import tables
from tests.data_eng.physics_samples import DT, GEX, SYMBOL, WALL, Lake, put, run_stage
from tests.naive.physics import naive_calibration


def lake_with(root: Path, *, gamma: bool = True, session: str = "full") -> tuple[Lake, pa.Table, pa.Table]:
    source = tables.physics_lake()
    wall = source.read(WALL, tables.SYMBOL, tables.DT)
    gex = source.read(GEX, tables.SYMBOL, tables.DT) if gamma else table(GEX).empty()
    lake = Lake(root)
    for dataset, rows in ((WALL, wall), (GEX, gex)):
        put(lake, dataset, rows, params={"session": session})
    return lake, wall, gex


def test_six_rows_equal_the_twin_and_the_manifest_counts_them(tmp_path: Path) -> None:
    lake, wall, gex = lake_with(tmp_path)
    run_stage(lake, stage.STAGE)
    manifest = lake.manifest(CALIBRATION, SYMBOL, DT)
    rows = lake.read(CALIBRATION, SYMBOL, DT).to_pylist()
    assert [row["metric_name"] for row in rows] == list(CALIBRATION_METRICS)
    twin = naive_calibration(wall.to_pylist(), gex.to_pylist())
    for row in rows:
        q05, q95, count = twin[row["metric_name"]]
        assert (row["q05"], row["q95"]) == pytest.approx((q05, q95), rel=1e-12, abs=1e-12)
        assert manifest.counters[f"rows_{row['metric_name']}"] == count
        assert (row["lookback_sessions"], row["session_window"], row["asof_dt"]) == (1, "FULL_DAY", DT)
    valid = {row["window_end_ts_ns"] for row in wall.to_pylist() if row["window_valid"]}
    assert manifest.counters["valid_windows"] == len(valid) > 0
    assert manifest.params["populations"] == POPULATIONS
    assert manifest.warnings == ()


def test_an_empty_population_is_zero_and_warned_about(tmp_path: Path) -> None:
    lake, _, _ = lake_with(tmp_path, gamma=False)
    run_stage(lake, stage.STAGE)
    row = lake.read(CALIBRATION, SYMBOL, DT).to_pylist()[-1]
    manifest = lake.manifest(CALIBRATION, SYMBOL, DT)
    assert (row["metric_name"], row["q05"], row["q95"]) == ("gex_abs", 0.0, 0.0)
    assert manifest.counters["rows_gex_abs"] == 0
    assert any("gex_abs: empty population" in warning for warning in manifest.warnings)


def test_a_session_without_bronze_says_that_its_history_is_unknown(tmp_path: Path) -> None:
    lake, _, _ = lake_with(tmp_path, session="rth")
    run_stage(lake, stage.STAGE)
    assert lake.read(CALIBRATION, SYMBOL, DT)["session_window"][0].as_py() == "rth"
    assert "session_history_unknown" in lake.manifest(CALIBRATION, SYMBOL, DT).warnings[0]
