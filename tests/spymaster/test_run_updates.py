"""The update job: the same bytes again, with the parameters the lake was made with, and no gap in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_eng import pipeline
from data_eng.lake import Lake
from data_eng.params import RunParams
from spymaster.options import Day, LakeAt
from spymaster.run_updates import recorded_params, run_updates
from spymaster.verify import verify_physics
from tests.data_eng.integrity import tables
from tests.data_eng.physics_samples import DT, SYMBOL, put

VACUUM = "silver.future_mbo.vacuum_surface_1s"
MBO = "bronze.future_mbo.mbo"
NARROW = "14:04-14:06@UTC"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(tmp_path)
    put(made, MBO, tables.bronze_table(tables.records()), stage="future_mbo", params={})
    return made


def bytes_of(lake: Lake) -> dict[str, bytes]:
    files = [path for path in lake.root.rglob("*") if path.is_file() and "_staging" not in path.parts]
    return {str(path.relative_to(lake.root)): path.read_bytes() for path in files}


@pytest.mark.parametrize("session", ["full", NARROW])
def test_an_update_of_unchanged_input_gives_the_same_bytes(lake: Lake, session: str) -> None:
    params = RunParams(session=session, no_gex=True)
    pipeline.run(lake, DT, SYMBOL, params)
    before = bytes_of(lake)
    assert any("hud_surface_1s" in name for name in before)
    assert recorded_params(lake, SYMBOL, DT) == params
    assert run_updates(day=Day(DT, SYMBOL), lake=LakeAt(lake.root)) == 0
    assert bytes_of(lake) == before


def test_an_update_recomputes_what_is_fresh(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline.run(lake, DT, SYMBOL, RunParams(no_gex=True))
    capsys.readouterr()
    run_updates(day=Day(DT, SYMBOL), lake=LakeAt(lake.root))
    told = capsys.readouterr()
    for stage in ("futures_surfaces", "physics_norm_calibration", "vacuum_surface", "physics_bands"):
        assert f"stage_start {stage}" in told.out + told.err
    assert "stage_start future_mbo" not in told.out + told.err


def test_what_the_pipeline_makes_passes_the_physics_check(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.run(lake, DT, SYMBOL, RunParams(no_gex=True))
    assert verify_physics(day=Day(DT, SYMBOL), lake=LakeAt(lake.root)) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("PASS: ")
