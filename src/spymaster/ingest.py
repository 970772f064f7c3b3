"""`spymaster ingest`: raw DBN files to bronze, with a report of what was kept, dropped and refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from spymaster.edge import say, say_json
from spymaster.options import DAY, LAKE_AT, OUTPUT, RAW_AT, Day, LakeAt, Output, RawAt, Switch
from spymaster.report import reporter

if TYPE_CHECKING:
    from data_eng.lake import Lake


def ingest(
    *,
    day: Day = DAY,
    lake: LakeAt = LAKE_AT,
    raw: RawAt = RAW_AT,
    only: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = (),
    no_gex: Annotated[bool, Switch] = False,
    strict: Annotated[bool, Switch] = False,
    force: Annotated[bool, Switch] = False,
    output: Output = OUTPUT,
) -> int:
    """Turn the DBN files of a date into bronze, losslessly and in file order.

    Files are found by their metadata; cut, corrupt or foreign files are refused with a message.

    For example:

        spymaster ingest --dt 2026-01-06 --symbol ESH6 --raw ~/dbn

    Parameters
    ----------
    only:
        Only this stage, or the one that makes this table; may be given several times.
    no_gex:
        Go on without instrument definitions, on the default tick.
    strict:
        Refuse a file with any record out of order, not only above 0.01 %.
    force:
        Ingest again what is fresh.
    """
    from data_eng import pipeline
    from data_eng.params import RunParams
    from data_eng.planner import Request

    opened, source = lake.open(), raw.source()
    request = Request(only=only, layers=("bronze",), force=force)
    with reporter(json=output.json) as report:
        symbol = day.resolve(opened, raw=source, report=report)
        params = RunParams(no_gex=no_gex, strict=strict)
        outcome = pipeline.run(opened, day.dt, symbol, params, request, raw=source, report=report)
    partitions = _bronze_report(opened, symbol, day.dt)
    if output.json:
        say_json({**outcome.to_json(), "partitions": partitions})
        return 0
    for partition in partitions:
        verified = "verified" if partition["verified"] else "NOT verified"
        say(f"{partition['dataset']}: {partition['rows']:,} rows, {partition['origin']}, {verified}")
        say(*(f"  {name}: {count:,}" for name, count in partition["counters"].items() if count))
        say(*(f"  warning: {text}" for text in partition["warnings"]))
    return 0


def _bronze_report(lake: Lake, symbol: str, dt: str) -> list[dict[str, Any]]:
    """What the bronze manifests of the day say about their input."""
    from data_eng.pipeline import STAGES
    from data_eng.stage import partition_symbol

    found = []
    for stage in STAGES:
        for dataset in stage.outputs:
            place = (dataset, partition_symbol(dataset, symbol), dt)
            if stage.layer != "bronze" or not lake.has(*place):
                continue
            manifest = lake.manifest(*place)
            found.append(
                {
                    "dataset": dataset,
                    "symbol": manifest.symbol,
                    "rows": manifest.row_count,
                    "origin": manifest.origin,
                    "verified": manifest.verified,
                    "inputs": [dict(record) for record in manifest.inputs],
                    "counters": dict(sorted(manifest.counters.items())),
                    "warnings": list(manifest.warnings),
                }
            )
    return found
