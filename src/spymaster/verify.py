"""`spymaster verify`: the integrity checks of spec 11 on a finished lake."""

from __future__ import annotations

import json
from typing import Literal

from spymaster.edge import EXIT_FAILED, EXIT_OK, say, say_json
from spymaster.options import DAY, LAKE_AT, OUTPUT, Day, LakeAt, Output


def verify(
    what: Literal["data", "all"] = "all",
    /,
    *,
    day: Day = DAY,
    lake: LakeAt = LAKE_AT,
    samples: int = 5,
    output: Output = OUTPUT,
) -> int:
    """Check the tables of one day; exit code 0 when everything holds, 1 when something does not.

    For example:

        spymaster verify data --dt 2026-01-06 --symbol ESH6

    Parameters
    ----------
    what:
        data = futures book and radar; all = every check of this version.
    samples:
        Windows, chosen by a fixed seed, that a plain book rebuilds from bronze.
    """
    return verify_data(day=day, lake=lake, samples=samples, output=output)


def verify_data(*, day: Day = DAY, lake: LakeAt = LAKE_AT, samples: int = 5, output: Output = OUTPUT) -> int:
    """Check futures book and radar of one day, by rules and by rebuilding windows from bronze.

    For example:

        uv run python scripts/test_data_integrity.py --dt 2026-01-06 --symbol ESH6

    Parameters
    ----------
    samples:
        Windows, chosen by a fixed seed, that a plain book rebuilds from bronze.
    """
    from data_eng.integrity.book import check_futures_book

    opened = lake.open()
    report = check_futures_book(opened, day.resolve(opened), day.dt, samples=samples)
    if output.json:
        say_json(json.loads(report.to_json()))
    else:
        say(*report.lines())
    return EXIT_OK if report.passed else EXIT_FAILED
