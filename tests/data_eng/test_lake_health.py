"""Fresh, stale, damaged and orphaned partitions of a real lake, and the command that mends each."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

from data_eng import pipeline, planner
from data_eng.lake import Lake
from data_eng.lake_health import PartitionHealth, examine
from data_eng.params import RunParams
from data_eng.raw_files import discover
from data_eng.schema import TABLES
from data_eng.stage import SELECTION, Stage, StageContext
from spymaster.cli import app
from tests.dbn_samples import DT, definition, mbo_day, write_dbn

MBO = "bronze.future_mbo.mbo"


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("health")
    write_dbn(folder / "raw" / "mbo.dbn.zst", mbo_day(dt=DT))
    write_dbn(folder / "raw" / "definition.dbn.zst", [definition(dt=DT)], schema="definition")
    pipeline.run(
        Lake(folder / "lake"),
        DT,
        "ESH6",
        RunParams(no_gex=True),
        pipeline.Request(layers=("bronze",)),
        raw=lambda: discover(folder / "raw"),
    )
    return folder / "lake"


@pytest.fixture
def lake(ingested: Path, tmp_path: Path) -> Lake:
    return Lake(shutil.copytree(ingested, tmp_path / "lake"))


def _nothing(_: StageContext) -> None:
    """A stage that is never run."""


def _of(found: list[PartitionHealth], dataset: str) -> PartitionHealth:
    (one,) = [p for p in found if p.dataset == dataset]
    return one


def test_what_was_just_made_is_fresh_and_needs_no_command(lake: Lake) -> None:
    found = examine(lake, pipeline.STAGES)
    assert {p.dataset for p in found} >= {MBO, "bronze.shared.instrument_definitions"}
    assert {(p.health, p.rebuild) for p in found} == {("fresh", "")}
    assert _of(found, MBO).rows == len(mbo_day(dt=DT))


def _selection_of(lake: Lake, stage: Stage, inputs: list[dict[str, str]], code: str) -> PartitionHealth:
    with lake.writer(SELECTION, "ES", DT) as writer:
        writer.finish(stage=stage.name, origin="recorded", verified=True, code_version=code, inputs=inputs)
        writer.commit()
    others = [s for s in pipeline.STAGES if SELECTION not in s.outputs]
    return _of(examine(lake, (*others, stage)), SELECTION)


def test_bronze_is_kept_without_raw_files_although_the_code_changed(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planner, "stage_code_version", lambda stage: "other")
    assert _of(examine(lake, pipeline.STAGES), MBO).health == "fresh"


def test_other_code_makes_it_stale(lake: Lake) -> None:
    stage = Stage(name="derived", outputs=(SELECTION,), run=_nothing)
    now = planner.stage_code_version(stage)
    assert _selection_of(lake, stage, [], now).health == "fresh"
    one = _selection_of(lake, stage, [], "older code")
    assert (one.health, one.reason) == ("stale", "the code changed")
    assert one.rebuild == f"spymaster ingest --dt {DT} --raw FOLDER_OF_DBN_FILES --lake {lake.root}"


def test_an_input_that_is_gone_makes_it_stale(lake: Lake) -> None:
    stage = Stage(name="derived", inputs=(MBO,), outputs=(SELECTION,), run=_nothing)
    gone = {"dataset": MBO, "symbol": "ES", "dt": DT, "manifest_sha256": "0" * 64}
    one = _selection_of(lake, stage, [gone], planner.stage_code_version(stage))
    assert one.health == "stale"
    assert MBO in one.reason


def test_a_partition_that_no_stage_makes_is_orphaned(lake: Lake) -> None:
    assert {p.health for p in examine(lake, ())} == {"orphaned"}


def test_a_folder_of_no_known_table_is_orphaned(lake: Lake) -> None:
    strange = lake.root / "silver/old/table_2s/symbol=ESH6" / f"dt={DT}"
    strange.mkdir(parents=True)
    one = _of(examine(lake, pipeline.STAGES), "silver.old.table_2s")
    assert (one.health, str(strange) in one.rebuild) == ("orphaned", True)


def test_a_cut_file_makes_it_damaged(lake: Lake) -> None:
    (part,) = lake.partition_dir(MBO, "ESH6", DT).glob("*.parquet")
    part.write_bytes(part.read_bytes()[:-1])
    one = _of(examine(lake, pipeline.STAGES), MBO)
    assert (one.health, one.rows) == ("damaged", None)
    assert one.rebuild.startswith("spymaster ingest ")


def test_every_rebuild_command_is_one_the_command_line_understands(tmp_path: Path) -> None:
    for dataset in TABLES:
        words = shlex.split(Lake(tmp_path).rebuild_command(dataset, "ESH6", DT))
        assert words[0] == "spymaster"
        app.parse_args(words[1:], exit_on_error=False, print_error=False)
