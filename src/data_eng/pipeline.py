"""One run over the stages: plan, skip what is fresh, run the rest, resume (spec 8).

Laws. 1 Order comes from declared inputs and outputs, nowhere else (`data_eng.stage_order`).
      2 Freshness is asked again right before each stage: a rerun that gave the same bytes leaves the
        stages after it fresh. So resuming after Ctrl-C or a crash needs no state of its own.
      3 Each stage commits on its own; a failing one stops the run, what was committed before stays.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from data_eng.errors import MissingDataError
from data_eng.params import DEFAULT_ROOT, RunParams, parse_dt, parse_symbol
from data_eng.planner import ABSENT, PlannedStage, Planner, RawSource, Request
from data_eng.stage import (
    SELECTION,
    Reporter,
    SilentReporter,
    Stage,
    StageContext,
    StageError,
    partition_symbol,
)
from data_eng.stage_order import stage_named
from data_eng.stages.bronze import (
    contract_selection,
    definitions,
    future_mbo,
    option_mbo,
    statistics,
    status,
)
from data_eng.stages.gold import build_hud_surface_1s, build_physics_norm_calibration
from data_eng.stages.silver.future_mbo import (
    compute_futures_surfaces_1s,
    compute_physics_bands_1s,
    compute_vacuum_surface_1s,
)
from data_eng.stages.silver.future_option import compute_statistics_clean
from data_eng.stages.silver.future_option_mbo import compute_gex_surface_1s

if TYPE_CHECKING:
    from data_eng.lake import Lake

STAGES: Final[tuple[Stage, ...]] = (
    definitions.STAGE,
    status.STAGE,
    contract_selection.STAGE,
    future_mbo.STAGE,
    option_mbo.STAGE,
    statistics.STAGE,
    compute_futures_surfaces_1s.STAGE,
    compute_statistics_clean.STAGE,
    compute_gex_surface_1s.STAGE,
    build_physics_norm_calibration.STAGE,
    compute_vacuum_surface_1s.STAGE,
    compute_physics_bands_1s.STAGE,
    build_hud_surface_1s.STAGE,
)
"""every stage of this version, top to bottom"""


@dataclass(frozen=True)
class StageResult:
    """What became of one stage: `rows` written in `secs` seconds, or skipped with rows = 0."""

    name: str
    ran: bool
    reason: str
    rows: int = 0
    secs: float = 0.0


@dataclass
class RunReport:
    """Outcome of a run, stage by stage in the order of execution."""

    symbol: str
    dt: str
    stages: list[StageResult] = field(default_factory=list)

    @property
    def finished(self) -> list[str]:
        """Names of the stages whose outputs are in place, run or fresh."""
        return [result.name for result in self.stages if result.reason != ABSENT]

    def to_json(self) -> dict[str, Any]:
        """Plain data for machine output."""
        return {
            "symbol": self.symbol,
            "dt": self.dt,
            "stages": [
                {"name": r.name, "ran": r.ran, "reason": r.reason, "rows": r.rows, "secs": round(r.secs, 3)}
                for r in self.stages
            ],
        }


def plan(
    lake: Lake,
    dt: str,
    symbol: str,
    params: RunParams,
    request: Request | None = None,
    *,
    raw: RawSource | None = None,
    stages: Sequence[Stage] = STAGES,
) -> list[PlannedStage]:
    """What `run` would do now, in order. Changes nothing.

    A stage behind one that runs is planned as "checked again after ..."; it turns out fresh when the
    rerun gives the same bytes. Raises as `run` does for whatever can be known before the start.
    """
    return Planner(lake, dt, symbol, params, request or Request(), raw, stages).plan()


def run(
    lake: Lake,
    dt: str,
    symbol: str,
    params: RunParams,
    request: Request | None = None,
    *,
    raw: RawSource | None = None,
    stages: Sequence[Stage] = STAGES,
    report: Reporter | None = None,
) -> RunReport:
    """Run the selected stages that are not fresh, in order, each committed on its own.

    Raises `MissingDataError` (raw files or input partitions absent), `UsageError` (unknown names, a
    narrower session over a wider one), `LakeError` (inputs of different sessions or engine passes) and
    whatever a stage raises. Finished partitions stay; the same call resumes.
    """
    request = request or Request()
    reporter = report or SilentReporter()
    planner = Planner(lake, dt, symbol, params, request, raw, stages)
    planner.plan()
    outcome = RunReport(planner.symbol, planner.dt)
    for stage in planner.selected:
        reason = planner.reason_to_run(stage)
        if reason is None or reason == ABSENT:
            skipped = ABSENT if reason == ABSENT else planner.why_fresh(stage)
            reporter.stage_skip(stage.name, skipped)
            outcome.stages.append(StageResult(stage.name, ran=False, reason=skipped))
            continue
        planner.check_inputs(stage)
        try:
            outcome.stages.append(_run_stage(planner, stage, reason, reporter))
        except KeyboardInterrupt:
            reporter.note(f"interrupted in {stage.name}; {_finished(outcome)}; the same command resumes")
            raise
        except Exception:
            reporter.note(f"failed in {stage.name}; {_finished(outcome)}; the same command resumes")
            raise
    return outcome


def recompute_outputs(
    lake: Lake,
    dt: str,
    symbol: str,
    outputs: tuple[str, ...],
    *,
    stages: Sequence[Stage] = STAGES,
    report: Reporter | None = None,
) -> RunReport:
    """Recompute the named outputs of their engine pass, with the parameters the lake has, and no other table.

    The parameters are those of the tables of that pass that are already there, so a pass with the same
    inputs and code gives the same bytes and stays one pass. Raises as `run` does.
    """
    parse_dt(dt)
    params = RunParams()
    for stage in dict.fromkeys(stage_named(name, stages) for name in outputs):
        held = [d for d in stage.outputs if lake.has(d, partition_symbol(d, symbol), dt)]
        if held:
            recorded = lake.manifest(held[0], partition_symbol(held[0], symbol), dt).params
            params = replace(params, **{n: recorded[n] for n in stage.params if n in recorded})
    return run(lake, dt, symbol, params, Request(outputs=outputs), stages=stages, report=report)


def _finished(outcome: RunReport) -> str:
    return f"finished: {', '.join(outcome.finished) or 'nothing yet'}"


def _run_stage(planner: Planner, stage: Stage, reason: str, reporter: Reporter) -> StageResult:
    wanted = planner.wanted(stage)
    context = StageContext(
        stage=stage,
        lake=planner.lake,
        symbol=planner.symbol,
        dt=planner.dt,
        params=planner.params,
        code_version=planner.code_version(stage),
        report=reporter,
        raw=planner.catalogue() if stage.raw or stage.earlier_raw else None,
        wanted=frozenset(wanted),
    )
    reporter.stage_start(stage.name)
    begin = time.perf_counter()
    stage.run(context)
    missing = [dataset for dataset in wanted if dataset not in context.committed]
    if missing:
        raise StageError(f"stage {stage.name} ended without committing {missing}")
    secs = time.perf_counter() - begin
    reporter.stage_end(stage.name, context.rows, secs)
    planner.warn_if_pass_is_mixed(stage, reporter)
    return StageResult(stage.name, ran=True, reason=reason, rows=context.rows, secs=secs)


def resolve_symbol(
    lake: Lake,
    dt: str,
    symbol: str | None = None,
    *,
    raw: RawSource | None = None,
    stages: Sequence[Stage] = STAGES,
    root: str = DEFAULT_ROOT,
    report: Reporter | None = None,
) -> str:
    """The contract a command is about: `symbol` if given, else the selected contract of `root` on `dt`.

    Without a selection in the lake the selection stage makes one from `raw`; without raw files it is the
    contract of that date when the lake holds just one. Raises `MissingDataError` when there is neither;
    `--symbol` always works.
    """
    if symbol is not None:
        return parse_symbol(symbol)
    dt = parse_dt(dt)
    if not lake.has(SELECTION, root, dt):
        makers = [stage for stage in stages if SELECTION in stage.outputs]
        held = sorted({p.symbol for p in lake.partitions() if p.dt == dt and p.symbol != root})
        request = Request(only=tuple(stage.name for stage in makers[:1]))
        try:
            if not makers or raw is None:
                raise MissingDataError(f"no contract of {root} is selected for {dt} in {lake.root}")
            run(lake, dt, root, RunParams(), request, raw=raw, stages=stages, report=report)
        except MissingDataError as error:
            if len(held) != 1:
                there = f"; the lake holds {', '.join(held)} on that date" if held else ""
                raise MissingDataError(f"{error}{there}; name one, for example --symbol {root}H6") from error
            if report is not None:
                report.note(f"symbol {held[0]}: the only contract that {lake.root} holds on {dt}")
            return held[0]
    return str(lake.read(SELECTION, root, dt, columns=["selected_symbol"]).column(0)[0].as_py())
