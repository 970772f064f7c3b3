"""The update job of scripts/run_updates.py: snapshot, wall and radar again, and what depends on them."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Final

from spymaster.compiling import kernels_ready
from spymaster.edge import say_json
from spymaster.options import DAY, LAKE_AT, OUTPUT, Day, LakeAt, Output
from spymaster.report import reporter

if TYPE_CHECKING:
    from data_eng.lake import Lake
    from data_eng.params import RunParams

FIRST_TABLE: Final = "book_snapshot_1s"
"""its maker, and everything downstream of it, is recomputed"""


def run_updates(*, day: Day = DAY, lake: LakeAt = LAKE_AT, output: Output = OUTPUT) -> int:
    """Recompute snapshot, wall and radar of one day from bronze, then everything that depends on them.

    Parameters such as the session are those the lake's tables were made with. Old partitions stay until the
    new ones are committed; the same code and inputs give the same bytes again.

    For example:

        uv run python scripts/run_updates.py --dt 2026-01-06 --symbol ESH6
    """
    kernels_ready()
    from data_eng import pipeline
    from data_eng.planner import Request

    opened = lake.open()
    with reporter(json=output.json) as report:
        symbol = day.resolve(opened, report=report)
        params = recorded_params(opened, symbol, day.dt)
        request = Request(from_stage=FIRST_TABLE)
        outcome = pipeline.run(opened, day.dt, symbol, params, request, report=report)
    if output.json:
        say_json(outcome.to_json())
    return 0


def recorded_params(lake: Lake, symbol: str, dt: str) -> RunParams:
    """Run parameters that the tables of the date were made with; defaults where no table tells."""
    from data_eng.params import RunParams
    from data_eng.pipeline import STAGES
    from data_eng.stage import partition_symbol

    params = RunParams()
    names = {field.name for field in fields(RunParams)}
    for stage in STAGES:
        for dataset in stage.outputs:
            place = dataset, partition_symbol(dataset, symbol), dt
            if lake.has(*place):
                told = lake.manifest(*place).params
                params = replace(params, **{n: told[n] for n in stage.params if n in told and n in names})
    return params
