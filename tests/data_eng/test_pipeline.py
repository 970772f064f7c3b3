"""Order, freshness, sessions, engine passes and resuming, on a lake in a dict (spec 8)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data_eng import pipeline, planner
from data_eng.errors import LakeError, MissingDataError, RawDataError, UsageError
from data_eng.lake import Lake
from data_eng.params import RunParams
from data_eng.pipeline import Request
from data_eng.raw_files import discover
from data_eng.schema import TABLES
from data_eng.stage import SELECTION, SilentReporter, Stage, StageContext, StageError
from data_eng.stage_order import sort_stages
from tests.data_eng.fake_lake import FakeCatalogue, FakeLake
from tests.dbn_samples import definition, mbo_day, write_dbn

DT, SYMBOL = "2026-01-06", "ESH6"
MBO, DEFS = "bronze.f.mbo", "bronze.f.defs"
SNAP, WALL, RADAR = "silver.f.snap", "silver.f.wall", "silver.f.radar"
CAL, VACUUM = "gold.f.cal", "silver.f.vacuum"


class World:
    """Lake, raw files, and stages like the real ones: wall (silver) -> cal (gold) -> vacuum (silver)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lake = FakeLake()
        self.raw = FakeCatalogue({"mbo": {"day.dbn": "records"}, "definition": {"defs.dbn": "ESH6"}})
        self.ran: list[str] = []
        self.code = {"engine": "v1"}
        self.hooks: dict[str, Callable[[StageContext], None]] = {}
        self.report = SilentReporter()
        monkeypatch.setattr(planner, "stage_code_version", lambda stage: self.code.get(stage.name, "v1"))
        self.stages = (
            Stage(name="vacuum", inputs=(WALL, CAL), outputs=(VACUUM,), run=self.derive),
            Stage(
                name="definitions",
                raw=("definition",),
                outputs=(DEFS,),
                run=self.from_raw,
                may_be_absent=lambda params: params.no_gex,
            ),
            Stage(
                name="mbo",
                raw=("mbo",),
                optional_inputs=(DEFS,),
                outputs=(MBO,),
                params=("strict",),
                run=self.from_raw,
            ),
            Stage(
                name="engine",
                inputs=(MBO,),
                outputs=(SNAP, WALL, RADAR),
                params=("session",),
                engine_pass=True,
                run=self.derive,
            ),
            Stage(name="cal", inputs=(SNAP, WALL), outputs=(CAL,), run=self.derive),
        )

    def from_raw(self, context: StageContext) -> None:
        (schema,) = context.stage.raw
        self._write(
            context, context.raw.require(schema, context.dt), context.raw.identity(schema, context.dt)
        )

    def derive(self, context: StageContext) -> None:
        self._write(context, [str(context.read(dataset)) for dataset in context.stage.inputs], [])

    def _write(self, context: StageContext, lines: list[str], raw_inputs: list[dict[str, str]]) -> None:
        self.ran.append(context.stage.name)
        writers = [context.writer(d) for d in context.stage.outputs if context.wants(d)]
        for writer in writers:
            with writer:
                for line in lines:
                    writer.write(line)
                self.hooks.get(context.stage.name, lambda _: None)(context)
        context.commit(*writers, raw_inputs=raw_inputs)

    def run(self, params: RunParams | None = None, *, raw: bool = True, **request: Any) -> list[str]:
        """Names of the stages that ran."""
        self.ran.clear()
        pipeline.run(
            self.lake,
            DT,
            SYMBOL,
            params or RunParams(),
            Request(**request),
            raw=(lambda: self.raw) if raw else None,
            stages=self.stages,
            report=self.report,
        )
        return list(self.ran)

    def plan(self, params: RunParams | None = None, **request: Any) -> dict[str, str]:
        planned = pipeline.plan(
            self.lake,
            DT,
            SYMBOL,
            params or RunParams(),
            Request(**request),
            raw=lambda: self.raw,
            stages=self.stages,
        )
        return {p.stage.name: p.reason for p in planned if p.runs}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


ALL = ["definitions", "mbo", "engine", "cal", "vacuum"]


def test_order_comes_from_inputs_and_outputs_and_crosses_the_layers(world: World) -> None:
    assert world.run() == ALL


def test_a_second_run_finds_everything_fresh(world: World) -> None:
    world.run()
    assert world.run() == []
    assert world.plan() == {}


def test_a_missing_output_is_made_again_and_its_unchanged_bytes_leave_the_rest_fresh(world: World) -> None:
    world.run()
    del world.lake.manifests[(WALL, SYMBOL, DT)]
    assert world.run() == ["engine"]


def test_an_output_whose_files_are_not_whole_is_made_again(world: World) -> None:
    world.run()
    world.lake.broken.add((CAL, SYMBOL, DT))
    assert world.run() == ["cal"]


def test_changed_raw_bytes_run_through_to_the_end(world: World) -> None:
    world.run()
    world.raw.files["mbo"]["day.dbn"] = "other records"
    assert world.plan()["mbo"] == "raw files changed"
    assert world.run() == ["mbo", "engine", "cal", "vacuum"]


def test_a_renamed_raw_file_is_another_input(world: World) -> None:
    world.run()
    world.raw.files["mbo"] = {"other name.dbn": "records"}
    assert "mbo" in world.run()


def test_changed_code_reruns_its_stage_and_what_its_manifest_feeds(world: World) -> None:
    world.run()
    world.code["engine"] = "v2"
    assert world.plan()["engine"] == "the code changed"
    assert world.run() == ["engine", "cal", "vacuum"]


def test_a_changed_parameter_reruns_the_stages_that_declare_it(world: World) -> None:
    world.run()
    assert world.plan(RunParams(strict=True))["mbo"] == "parameters changed: strict was False"
    assert world.run(RunParams(strict=True))[0] == "mbo"


def test_a_parameter_that_a_stage_does_not_declare_leaves_it_fresh(world: World) -> None:
    world.run()
    assert world.run(RunParams(rate=0.01)) == []


def test_force_recomputes_everything(world: World) -> None:
    world.run()
    assert world.run(force=True) == ALL


def test_forced_layers_recompute_silver_and_gold_and_keep_bronze(world: World) -> None:
    world.run()
    assert world.run(force_layers=("silver", "gold")) == ["engine", "cal", "vacuum"]


def test_from_stage_recomputes_it_and_what_is_downstream_only(world: World) -> None:
    world.run()
    assert world.run(from_stage="cal") == ["cal", "vacuum"]


def test_from_stage_accepts_the_name_of_a_table(world: World) -> None:
    world.run()
    assert world.run(from_stage="wall") == ["engine", "cal", "vacuum"]


def test_only_runs_no_other_stage_although_others_are_missing(world: World) -> None:
    assert world.run(only=("definitions",)) == ["definitions"]


def test_only_of_a_stage_without_its_input_names_the_command_that_builds_it(world: World) -> None:
    with pytest.raises(MissingDataError, match=r"needs bronze\.f\.mbo .* spymaster run .* --only mbo"):
        world.run(only=("engine",))


def test_an_unknown_stage_name_is_refused_with_near_names(world: World) -> None:
    with pytest.raises(UsageError, match=r"'vacum'.*vacuum"):
        world.run(only=("vacum",))


def test_bronze_without_raw_files_is_kept(world: World) -> None:
    world.run()
    assert world.run(raw=False) == []
    assert world.run(raw=False, force_layers=("bronze",)) == []


def test_forcing_bronze_without_raw_files_is_missing_data(world: World) -> None:
    world.run()
    with pytest.raises(MissingDataError, match="definition"):
        world.run(raw=False, force=True)


def test_raw_files_that_may_lack_skip_their_stage(world: World) -> None:
    del world.raw.files["definition"]
    assert world.run(RunParams(no_gex=True)) == ["mbo", "engine", "cal", "vacuum"]
    with pytest.raises(MissingDataError, match="definition"):
        world.run(only=("definitions",))


def test_an_optional_input_that_appears_makes_its_reader_stale(world: World) -> None:
    definitions = world.raw.files.pop("definition")
    world.run(RunParams(no_gex=True))
    world.raw.files["definition"] = definitions
    assert world.run() == ALL


def test_a_failing_stage_stops_the_run_and_finished_partitions_stay(world: World) -> None:
    def fail(_: StageContext) -> None:
        raise RawDataError("day.dbn: cut")

    world.hooks["engine"] = fail
    with pytest.raises(RawDataError, match="cut"):
        world.run()
    assert world.lake.has(MBO, SYMBOL, DT)
    assert not world.lake.has(WALL, SYMBOL, DT)
    assert world.report.notes == [
        "failed in engine; finished: definitions, mbo; the same command resumes",
    ]
    world.hooks.clear()
    assert world.run() == ["engine", "cal", "vacuum"]


def test_ctrl_c_leaves_no_staging_says_what_is_finished_and_the_same_call_resumes(world: World) -> None:
    def interrupt(_: StageContext) -> None:
        raise KeyboardInterrupt

    world.hooks["cal"] = interrupt
    with pytest.raises(KeyboardInterrupt):
        world.run()
    assert world.lake.staged == 0
    assert world.report.notes == [
        "interrupted in cal; finished: definitions, mbo, engine; the same command resumes"
    ]
    world.hooks.clear()
    assert world.run() == ["cal", "vacuum"]


def test_tables_of_one_engine_pass_are_committed_together_under_one_hash(world: World) -> None:
    world.run()
    assert [SNAP, WALL, RADAR] in world.lake.commits
    hashes = {world.lake.manifest(d, SYMBOL, DT).engine_run for d in (SNAP, WALL, RADAR)}
    assert len(hashes) == 1
    assert None not in hashes
    assert world.lake.manifest(CAL, SYMBOL, DT).engine_run is None


def test_recomputing_one_output_writes_only_that_and_gives_the_same_manifest(world: World) -> None:
    world.run(RunParams(session="rth"))
    before = dict(world.lake.manifests)
    pipeline.recompute_outputs(world.lake, DT, SYMBOL, ("radar",), stages=world.stages, report=world.report)
    assert world.lake.commits[-1] == [RADAR]
    assert world.lake.manifests == before
    assert world.report.warnings == []


def test_recomputing_one_output_with_other_code_warns_that_the_pass_is_mixed(world: World) -> None:
    world.run()
    world.code["engine"] = "v2"
    pipeline.recompute_outputs(world.lake, DT, SYMBOL, ("radar",), stages=world.stages, report=world.report)
    assert "another pass of engine" in world.report.warnings[0]
    assert world.run() == ["engine", "cal", "vacuum"]


def test_inputs_of_different_engine_passes_are_refused(world: World) -> None:
    world.run()
    world.code["engine"] = "v2"
    pipeline.recompute_outputs(world.lake, DT, SYMBOL, ("wall",), stages=world.stages, report=world.report)
    with pytest.raises(LakeError, match="different passes of engine; rerun: spymaster run"):
        world.run(only=("cal",))


def test_a_narrower_session_never_replaces_a_wider_partition_without_force(world: World) -> None:
    world.run()
    before = dict(world.lake.manifests)
    with pytest.raises(UsageError, match="holds session full; --session rth would replace it by less"):
        world.run(RunParams(session="rth"))
    with pytest.raises(UsageError, match="holds session full"):
        world.run(RunParams(session="rth"), force_layers=("silver", "gold"))
    assert world.lake.manifests == before
    world.run(RunParams(session="rth"), force=True)
    assert world.lake.manifest(WALL, SYMBOL, DT).params["session"] == "rth"


def test_a_wider_session_replaces_a_narrower_partition(world: World) -> None:
    world.run(RunParams(session="rth"))
    assert world.run() == ["engine", "cal", "vacuum"]


def test_the_session_of_the_inputs_is_recorded_by_stages_that_do_not_declare_it(world: World) -> None:
    world.run(RunParams(session="rth"))
    assert world.lake.manifest(VACUUM, SYMBOL, DT).params["session"] == "rth"


def test_inputs_of_another_session_than_the_run_are_an_error(world: World) -> None:
    world.run(RunParams(session="rth"))
    with pytest.raises(LakeError, match="holds session rth, this run is about session full"):
        world.run(only=("vacuum",), force=True)


def test_a_wrong_session_text_is_refused_before_anything_runs(world: World) -> None:
    with pytest.raises(UsageError, match="session"):
        world.run(RunParams(session="morning"))
    assert world.ran == []


def test_origin_and_verification_are_inherited_from_the_inputs(world: World) -> None:
    def simulated(context: StageContext) -> None:
        with context.writer(MBO) as writer:
            writer.write("made up")
            context.commit(writer, origin="simulated", verified=False)

    world.stages = (
        Stage(name="mbo", raw=("mbo",), outputs=(MBO,), run=simulated),
        Stage(name="engine", inputs=(MBO,), outputs=(WALL,), run=world.derive),
    )
    world.run()
    wall = world.lake.manifest(WALL, SYMBOL, DT)
    assert (wall.origin, wall.verified) == ("simulated", False)


def test_an_input_may_be_of_another_date_and_a_newer_one_makes_its_reader_stale(world: World) -> None:
    before = "2026-01-05"
    world.run(RunParams(session="rth"))
    held = world.lake.manifest(CAL, SYMBOL, DT)
    del world.lake.manifests[(CAL, SYMBOL, DT)]
    vacuum = Stage(
        name="vacuum",
        inputs=(WALL, CAL),
        outputs=(VACUUM,),
        run=world.derive,
        input_dt={CAL: lambda lake, symbol, dt, params: before},
    )
    world.stages = (vacuum, *world.stages[1:])
    with pytest.raises(MissingDataError, match=r"needs gold\.f\.cal of ESH6 2026-01-05"):
        world.run(RunParams(session="rth"), only=("vacuum",))
    world.lake.manifests[(CAL, SYMBOL, before)] = replace(held, dt=before, params={"session": "full"})
    assert world.run(RunParams(session="rth"), only=("vacuum",)) == ["vacuum"]
    (recorded,) = [r for r in world.lake.manifest(VACUUM, SYMBOL, DT).inputs if r["dataset"] == CAL]
    assert recorded["dt"] == before
    assert world.run(RunParams(session="rth"), only=("vacuum",)) == []
    world.lake.manifests[(CAL, SYMBOL, before)] = replace(held, dt=before, content="other")
    assert world.run(RunParams(session="rth"), only=("vacuum",)) == ["vacuum"]


def test_an_input_that_another_process_replaces_meanwhile_stops_the_commit(world: World) -> None:
    world.run()

    def replace_input(_: StageContext) -> None:
        place = (WALL, SYMBOL, DT)
        world.lake.manifests[place] = replace(world.lake.manifests[place], content="from elsewhere")

    world.hooks["cal"] = replace_input
    before = world.lake.manifest(CAL, SYMBOL, DT)
    with pytest.raises(LakeError, match="an input was replaced by another process"):
        world.run(only=("cal",), force=True)
    assert world.lake.manifest(CAL, SYMBOL, DT) == before


def test_a_stage_that_does_not_commit_its_outputs_fails(world: World) -> None:
    world.stages = (Stage(name="lazy", outputs=(WALL,), run=lambda _: None),)
    with pytest.raises(StageError, match=r"without committing \['silver\.f\.wall'\]"):
        world.run()


def test_a_stage_may_read_and_write_only_what_it_declares(world: World) -> None:
    world.stages = (Stage(name="curious", outputs=(WALL,), run=lambda context: context.read(MBO)),)
    with pytest.raises(StageError, match="does not declare as input"):
        world.run()
    world.stages = (Stage(name="greedy", outputs=(WALL,), run=lambda context: context.writer(MBO)),)
    with pytest.raises(StageError, match="does not declare as output"):
        world.run()


def test_the_contract_is_the_named_one_else_the_selected_one(world: World) -> None:
    class Selected(FakeLake):
        def read(self, *_: object, **__: object) -> Any:
            import pyarrow as pa

            return pa.table({"selected_symbol": ["ESH6"]})

    lake = Selected()

    def select(context: StageContext) -> None:
        with context.writer(SELECTION) as writer:
            context.commit(writer, raw_inputs=context.raw.identity("mbo", context.dt))

    stages = (Stage(name="selection", raw=("mbo",), outputs=(SELECTION,), run=select),)
    assert pipeline.resolve_symbol(lake, DT, "ESM6", stages=stages) == "ESM6"
    with pytest.raises(MissingDataError, match="--symbol ESH6"):
        pipeline.resolve_symbol(lake, DT, stages=stages)
    assert pipeline.resolve_symbol(lake, DT, raw=lambda: world.raw, stages=stages) == "ESH6"
    assert lake.has(SELECTION, "ES", DT)
    assert pipeline.resolve_symbol(lake, DT, stages=stages) == "ESH6"


def test_the_only_contract_of_a_date_needs_no_name(world: World) -> None:
    with pytest.raises(MissingDataError, match="--symbol ESH6"):
        pipeline.resolve_symbol(world.lake, DT, stages=world.stages)
    world.run()
    assert pipeline.resolve_symbol(world.lake, DT, stages=world.stages) == SYMBOL
    with pytest.raises(MissingDataError, match="--symbol ESH6"):
        pipeline.resolve_symbol(world.lake, "2026-01-07", stages=world.stages)


def test_the_option_part_is_never_left_out_silently(tmp_path: Path) -> None:
    """A folder with the futures alone is refused before any work; --no-gex is the way, and it is offered."""
    raw = tmp_path / "raw"
    write_dbn(raw / "mbo", mbo_day(30))
    write_dbn(raw / "definitions", [definition()], schema="definition")
    lake = Lake(tmp_path / "lake")
    with pytest.raises(MissingDataError, match=r"statistics.*--no-gex"):
        pipeline.run(lake, DT, SYMBOL, RunParams(), raw=lambda: discover(raw))
    assert lake.partitions() == []
    report = SilentReporter()
    pipeline.run(lake, DT, SYMBOL, RunParams(no_gex=True), raw=lambda: discover(raw), report=report)
    assert any("gamma is 0 on the whole ladder" in line for line in report.warnings)


def test_every_stage_of_this_version_fits_the_others() -> None:
    ordered = sort_stages(pipeline.STAGES)
    assert {stage.name for stage in ordered} == {stage.name for stage in pipeline.STAGES}
    assert [stage.name for stage in ordered] == [stage.name for stage in pipeline.STAGES], (
        "STAGES is written top to bottom"
    )


def test_on_a_real_lake_a_pass_is_committed_together_and_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    outputs = ("bronze.shared.status", "bronze.shared.instrument_definitions")

    def make_empty(context: StageContext) -> None:
        with ExitStack() as stack:
            writers = [stack.enter_context(context.writer(d)) for d in outputs if context.wants(d)]
            for writer in writers:
                writer.write(TABLES[writer.dataset].empty())
            context.commit(*writers, counters={"records": 0}, warnings=["nothing"], origin="recorded")

    stages = (Stage(name="twin", outputs=outputs, params=("session",), engine_pass=True, run=make_empty),)

    def digest(lake: Lake) -> dict[str, bytes]:
        files = [path for path in lake.root.rglob("*") if path.is_file()]
        return {path.relative_to(lake.root).as_posix(): path.read_bytes() for path in files}

    one, other = Lake(tmp_path / "one"), Lake(tmp_path / "other")
    for lake in (one, other):
        pipeline.run(lake, DT, SYMBOL, RunParams(), stages=stages)
    assert digest(one) == digest(other) != {}
    assert one.require_same_run((dataset, SYMBOL, DT) for dataset in outputs)
    assert [r.ran for r in pipeline.run(one, DT, SYMBOL, RunParams(), stages=stages).stages] == [False]

    pipeline.recompute_outputs(one, DT, SYMBOL, ("status",), stages=stages)
    assert digest(one) == digest(other)
