"""The options of a day in a lake are measured as they are: every record, and the tables of the stage."""

from __future__ import annotations

from pathlib import Path

import pytest
from benches.chain_day import Day, measure

from data_eng import pipeline
from data_eng.lake import Lake
from data_eng.params import RunParams
from data_eng.planner import Request
from data_eng.raw_files import discover
from data_eng.stages.silver.future_option_mbo import compute_gex_surface_1s as gamma
from simex import simulate

DT, SYMBOL = "2026-01-06", "ESH6"
BEFORE_GAMMA = (
    "definitions",
    "future_mbo",
    "option_mbo",
    "statistics",
    "futures_surfaces",
    "statistics_clean",
)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    folder = tmp_path_factory.mktemp("chain")
    simulate(DT, "tiny", 7, folder / "raw")
    lake = Lake(folder / "lake")
    only = Request(only=BEFORE_GAMMA)
    pipeline.run(lake, DT, SYMBOL, RunParams(), only, raw=lambda: discover(folder / "raw"))
    return Day(lake, DT, SYMBOL)


def test_all_three_are_measured_and_the_stage_leaves_its_tables(day: Day, tmp_path: Path) -> None:
    goal = measure(day, 1).to_json()
    (check,) = goal["checks"]
    assert check["under"]["name"] == "reading Bronze"
    assert 1.0 < check["value"] < goal["beside"]["files_over_reading"], "reading alone, tables, files"
    assert goal["beside"]["records"] == day.records > 10_000
    assert day.lake.manifest(gamma.GEX, SYMBOL, DT).row_count == 120 * 61
