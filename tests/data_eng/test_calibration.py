"""Bounds: exact over the right populations, repaired as the specification says, and of the date asked for."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_eng.calibration import (
    CALIBRATION,
    POPULATION_COLUMNS,
    PREVIOUS_MIN_VALID_WINDOWS,
    VALID_WINDOWS,
    Bounds,
    Calibration,
    bounds,
    calibrate,
    calibration_dt,
    calibration_id,
    calibration_record,
    repaired,
    wall_populations,
)
from data_eng.errors import LakeError, MissingDataError, UsageError
from data_eng.lake import Lake
from data_eng.params import RunParams
from data_eng.physics_terms import TermsWalk, wall_arrays
from data_eng.schema import CALIBRATION_METRICS
from tests.data_eng.physics_samples import DT, SYMBOL, WALL, batches, put, to_table, wall_rows
from tests.naive.physics import naive_calibration
from tests.strategies import cuts


@given(wall_rows(), st.data())
def test_quantiles_and_populations_equal_the_twin(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    parts = batches(to_table(WALL, rows), data.draw(cuts(len(rows))))

    def stream() -> Any:
        walk = TermsWalk()
        for part in parts:
            yield wall_populations(wall_arrays(part, POPULATION_COLUMNS), walk.block(part))

    found = calibrate(stream, limit=data.draw(st.sampled_from([16, 1 << 20])))
    for metric, (q05, q95, count) in naive_calibration(rows).items():
        assert found.rows[metric] == count, metric
        assert found.quantiles[metric] == pytest.approx((q05, q95), rel=1e-12, abs=1e-12), metric


def stored(q05: float = 0.0, q95: float = 1.0, dt: str = DT) -> Calibration:
    return Calibration(
        dict.fromkeys(CALIBRATION_METRICS, (q05, q95)), dict.fromkeys(CALIBRATION_METRICS, 1), 1
    )


def test_equal_quantiles_are_widened_by_one_at_use_only() -> None:
    rows = stored(2.5, 2.5).table(DT, "FULL_DAY")
    assert rows["q95"].to_pylist() == [2.5] * 6
    assert bounds(rows)["gex_abs"] == Bounds(2.5, 3.5)


@pytest.mark.parametrize(("q05", "q95"), [(1.0, 0.5), (math.nan, 1.0), (0.0, math.nan), (0.0, math.inf)])
def test_quantiles_that_no_population_has_are_refused(q05: float, q95: float) -> None:
    with pytest.raises(LakeError, match=r"pull_add_log has q05 = .* expected finite numbers"):
        repaired("pull_add_log", q05, q95)


def test_a_calibration_with_a_metric_missing_is_refused() -> None:
    with pytest.raises(LakeError, match="no row for gex_abs"):
        bounds(stored().table(DT, "FULL_DAY").slice(0, 5))


def lake_with(root: Path, valid_windows: dict[str, int]) -> Lake:
    lake = Lake(root)
    for dt, windows in valid_windows.items():
        put(lake, CALIBRATION, stored().table(dt, "FULL_DAY"), dt, counters={VALID_WINDOWS: windows})
    return lake


def choose(lake: Lake, which: str) -> str:
    return calibration_dt(lake, SYMBOL, DT, RunParams(calibration_dt=which))


def test_the_same_date_and_a_named_date_are_taken_as_they_are(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    assert choose(lake, "same") == DT
    assert choose(lake, "2025-12-30") == "2025-12-30"
    with pytest.raises(UsageError):
        choose(lake, "yesterday")


def test_previous_is_the_latest_earlier_date_with_six_hours_of_valid_windows(tmp_path: Path) -> None:
    enough = PREVIOUS_MIN_VALID_WINDOWS
    assert enough == 21_600
    days = {
        "2025-12-30": enough,
        "2026-01-02": enough + 1,
        "2026-01-05": enough - 1,
        DT: enough,
        "2026-01-07": enough,
    }
    assert choose(lake_with(tmp_path, days), "previous") == "2026-01-02"


def test_without_an_earlier_date_previous_says_what_it_found_and_what_to_run(tmp_path: Path) -> None:
    lake = lake_with(tmp_path, {"2026-01-05": 7, DT: 50_000})
    with pytest.raises(MissingDataError, match=r"2026-01-05 has 7 valid windows.*spymaster run --dt"):
        choose(lake, "previous")


def test_the_record_names_date_and_content(tmp_path: Path) -> None:
    lake = lake_with(tmp_path, {DT: 5})
    manifest = lake.manifest(CALIBRATION, SYMBOL, DT)
    record = calibration_record(manifest)
    assert record == {"dt": DT, "sha256": manifest.files[0].sha256}
    assert calibration_id(record) == f"{DT}/{manifest.files[0].sha256[:16]}"
