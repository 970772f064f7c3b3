"""`spymaster run`: stages by dependency, and the day job of scripts/run_pipeline_2026_01_06.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from spymaster.compiling import kernels_ready
from spymaster.edge import say, say_json
from spymaster.options import (
    DAY,
    LAKE_AT,
    OUTPUT,
    PARAMS,
    RAW_AT,
    REDO,
    Day,
    LakeAt,
    Output,
    Params,
    RawAt,
    Redo,
    Switch,
)
from spymaster.report import reporter

if TYPE_CHECKING:
    from data_eng.planner import Request


def run(
    *,
    day: Day = DAY,
    lake: LakeAt = LAKE_AT,
    raw: RawAt = RAW_AT,
    params: Params = PARAMS,
    redo: Redo = REDO,
    only: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = (),
    plan: Annotated[bool, Switch] = False,
    output: Output = OUTPUT,
) -> int:
    """Run the stages in the order of their inputs; what is up to date is skipped and said so.

    Ctrl-C or a crash loses nothing that was finished: the same command goes on where it stopped.

    For example:

        spymaster run --dt 2026-01-06 --symbol ESH6 --raw ~/dbn
        spymaster run --dt 2026-01-06 --symbol ESH6 --raw ~/dbn --no-gex

    Parameters
    ----------
    only:
        Only this stage, or the one that makes this table; may be given several times.
    plan:
        Show what would run and why, and change nothing.
    """
    from data_eng.planner import Request

    request = Request(only=only, from_stage=redo.from_stage, force=redo.force)
    return _run_request(request, day, lake, raw, params, output, plan=plan)


def run_day(
    *,
    day: Day = DAY,
    lake: LakeAt = LAKE_AT,
    raw: RawAt = RAW_AT,
    params: Params = PARAMS,
    redo: Redo = REDO,
    output: Output = OUTPUT,
) -> int:
    """Run every stage for one day: bronze is kept where it is fresh, silver and gold are recomputed.

    For example:

        uv run python scripts/run_pipeline_2026_01_06.py --dt 2026-01-06 --raw ~/dbn
    """
    from data_eng.planner import Request

    layers = () if redo.from_stage else ("silver", "gold")
    request = Request(from_stage=redo.from_stage, force=redo.force, force_layers=layers)
    return _run_request(request, day, lake, raw, params, output)


def run_radar_only(*, day: Day = DAY, lake: LakeAt = LAKE_AT, output: Output = OUTPUT) -> int:
    """Recompute radar_vacuum_1s from bronze, always, and touch nothing else.

    The session of the partition that is there is kept. Same code and inputs give the same bytes.

    For example:

        uv run python scripts/run_radar_only.py --dt 2026-01-06 --symbol ESH6
    """
    kernels_ready()
    from data_eng.pipeline import recompute_outputs

    opened = lake.open()
    with reporter(json=output.json) as report:
        symbol = day.resolve(opened, report=report)
        outcome = recompute_outputs(opened, day.dt, symbol, ("radar_vacuum_1s",), report=report)
    if output.json:
        say_json(outcome.to_json())
    return 0


def _run_request(
    request: Request,
    day: Day,
    lake: LakeAt,
    raw: RawAt,
    params: Params,
    output: Output,
    *,
    plan: bool = False,
) -> int:
    if not plan:
        kernels_ready()
    from data_eng import pipeline
    from data_eng.stage_order import stage_named

    opened, chosen, source = lake.open(), params.checked(), raw.source()
    for name in (*request.only, *filter(None, [request.from_stage])):
        stage_named(name, pipeline.STAGES)  # a wrong word is named before files are looked for
    with reporter(json=output.json) as report:
        symbol = day.resolve(opened, raw=None if plan else source, report=report)
        if plan:
            planned = pipeline.plan(opened, day.dt, symbol, chosen, request, raw=source)
            rows = [{"name": p.stage.name, "runs": p.runs, "reason": p.reason} for p in planned]
        else:
            outcome = pipeline.run(opened, day.dt, symbol, chosen, request, raw=source, report=report)
    if output.json:
        say_json({"symbol": symbol, "dt": day.dt, "plan": rows} if plan else outcome.to_json())
    elif plan:
        for row in rows:
            say(f"{'run ' if row['runs'] else 'skip'}  {row['name']}: {row['reason']}")
    return 0
