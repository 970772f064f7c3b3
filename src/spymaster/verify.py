"""`spymaster verify`: the integrity checks of spec 11 on a finished lake."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from spymaster.edge import EXIT_FAILED, EXIT_OK, say, say_json
from spymaster.options import DAY, LAKE_AT, OUTPUT, Day, LakeAt, Output

if TYPE_CHECKING:
    from data_eng.integrity.findings import Report

_Check = Callable[..., "Report"]


def verify(
    what: Literal["data", "physics", "gex", "hud", "all"] = "all",
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
        data = futures book and radar; physics = calibration, vacuum, bands, context and picture; gex = option
        quotes, gamma and its profile; hud = the service, through sockets on loopback too; all = every check.
    samples:
        Windows, chosen by a fixed seed, that are rebuilt from scratch: the book from bronze, the picture from
        the surfaces. Of the service, the first batches that are read back.
    """
    from data_eng.integrity.book import check_futures_book
    from data_eng.integrity.gex import check_gex
    from data_eng.integrity.physics import check_physics
    from serving.service_checks import check_service

    checks: dict[str, _Check] = {
        "data": check_futures_book,
        "physics": check_physics,
        "gex": check_gex,
        "hud": check_service,
    }
    chosen = list(checks.values()) if what == "all" else [checks[what]]
    return _report(chosen, day, lake, samples, output)


def verify_data(*, day: Day = DAY, lake: LakeAt = LAKE_AT, samples: int = 5, output: Output = OUTPUT) -> int:
    """Check futures book and radar of one day, by rules and by rebuilding windows from bronze.

    For example:

        uv run python scripts/test_data_integrity.py --dt 2026-01-06 --symbol ESH6

    Parameters
    ----------
    samples:
        Windows, chosen by a fixed seed, that a plain book rebuilds from bronze.
    """
    return verify("data", day=day, lake=lake, samples=samples, output=output)


def verify_physics(
    *, day: Day = DAY, lake: LakeAt = LAKE_AT, samples: int = 5, output: Output = OUTPUT
) -> int:
    """Check calibration, vacuum, bands, context, picture and gamma of one day by computing them a second way.

    For example:

        uv run python scripts/test_physics_integrity.py --dt 2026-01-06 --symbol ESH6

    Parameters
    ----------
    samples:
        Windows, chosen by a fixed seed, whose picture is painted again from the surfaces.
    """
    from data_eng.integrity.gex import check_gex
    from data_eng.integrity.physics import check_physics

    return _report([check_physics, check_gex], day, lake, samples, output)


def verify_hud(*, day: Day = DAY, lake: LakeAt = LAKE_AT, samples: int = 5, output: Output = OUTPUT) -> int:
    """Check the service over one day: what it loads, what it sends, and a live round trip on loopback.

    For example:

        uv run python scripts/verify_hud_service.py --dt 2026-01-06 --symbol ESH6

    Parameters
    ----------
    samples:
        First batches that are read back and compared between two clients.
    """
    return verify("hud", day=day, lake=lake, samples=samples, output=output)


def _report(checks: list[_Check], day: Day, lake: LakeAt, samples: int, output: Output) -> int:
    """Run the checks one after the other; every report is shown, also after a failure."""
    opened = lake.open()
    symbol = day.resolve(opened)
    reports = []
    for check in checks:
        reports.append(check(opened, symbol, day.dt, samples=samples))
        if not output.json:
            say(*reports[-1].lines())
    if output.json:
        documents: list[Any] = [json.loads(report.to_json()) for report in reports]
        say_json(documents[0] if len(documents) == 1 else documents)
    return EXIT_OK if all(report.passed for report in reports) else EXIT_FAILED
