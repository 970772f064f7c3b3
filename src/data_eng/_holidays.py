"""Exceptions of the CME Globex calendar for US equity-index futures, 2017 to 2027.

A table of dates, not of rules: the exchange decides each holiday anew, and a rule that fits ten years is
wrong on the eleventh. Where the dates come from, and where two public calendars are wrong, stands in
docs/decisions/0001-exchange-calendar.md; `tests/data_eng/test_sessions.py` compares every date with them.
Dates after 2026 follow the exchange's habit and become certain only when it publishes them.

Times are America/Chicago. Three kinds:

closed       no session carries this date; trading resumes at 17:00 of it, or on Sunday.
halt         a holiday with a short session: matching stops early and resumes at 17:00. The exchange gives the
             session no trade date of its own, its trades count for the next trade date.
early close  a short session with its own trade date.
"""

from __future__ import annotations

from datetime import date, time
from typing import Final, Literal, NamedTuple

COVERED_YEARS: Final = range(2017, 2028)
"""years the table was made for; outside them only the weekly rule is known"""

AFTERNOON_HALT_LAST_DATE: Final = date(2021, 6, 25)
"""until this session matching also paused from 15:15 to 15:30"""

Kind = Literal["closed", "halt", "early_close"]


class CalendarException(NamedTuple):
    """Why a date differs from the weekly rule; `close` is when matching stops (None: it never starts)."""

    kind: Kind
    close: time | None
    name: str


_CLOSED: Final = {
    "New Year's Day": (
        "2017-01-02 2018-01-01 2019-01-01 2020-01-01 2021-01-01 2023-01-02 2024-01-01 2025-01-01 "
        "2026-01-01 2027-01-01"
    ),
    "Good Friday": "2017-04-14 2018-03-30 2019-04-19 2020-04-10 2022-04-15 2024-03-29 2025-04-18 2027-03-26",
    "Christmas Day": (
        "2017-12-25 2018-12-25 2019-12-25 2020-12-25 2021-12-24 2022-12-26 2023-12-25 2024-12-25 "
        "2025-12-25 2026-12-25 2027-12-24"
    ),
}

_HALT_1200: Final = {
    "Martin Luther King Jr. Day": (
        "2017-01-16 2018-01-15 2019-01-21 2020-01-20 2021-01-18 2022-01-17 2023-01-16 2024-01-15 "
        "2025-01-20 2026-01-19 2027-01-18"
    ),
    "Presidents' Day": (
        "2017-02-20 2018-02-19 2019-02-18 2020-02-17 2021-02-15 2022-02-21 2023-02-20 2024-02-19 "
        "2025-02-17 2026-02-16 2027-02-15"
    ),
    "Memorial Day": (
        "2017-05-29 2018-05-28 2019-05-27 2020-05-25 2021-05-31 2022-05-30 2023-05-29 2024-05-27 "
        "2025-05-26 2026-05-25 2027-05-31"
    ),
    "Juneteenth": "2022-06-20 2023-06-19 2024-06-19 2025-06-19 2026-06-19 2027-06-18",
    "Independence Day": (
        "2017-07-04 2018-07-04 2019-07-04 2020-07-03 2021-07-05 2022-07-04 2023-07-04 2024-07-04 "
        "2025-07-04 2026-07-03 2027-07-05"
    ),
    "Labor Day": (
        "2017-09-04 2018-09-03 2019-09-02 2020-09-07 2021-09-06 2022-09-05 2023-09-04 2024-09-02 "
        "2025-09-01 2026-09-07 2027-09-06"
    ),
    "Thanksgiving Day": (
        "2017-11-23 2018-11-22 2019-11-28 2020-11-26 2021-11-25 2022-11-24 2023-11-23 2024-11-28 "
        "2025-11-27 2026-11-26 2027-11-25"
    ),
}

_EARLY_1215: Final = {
    "day before Independence Day": "2017-07-03 2018-07-03 2019-07-03 2023-07-03 2024-07-03 2025-07-03",
    "day after Thanksgiving": (
        "2017-11-24 2018-11-23 2019-11-29 2020-11-27 2021-11-26 2022-11-25 2023-11-24 2024-11-29 "
        "2025-11-28 2026-11-27 2027-11-26"
    ),
    "Christmas Eve": "2018-12-24 2019-12-24 2020-12-24 2024-12-24 2025-12-24 2026-12-24",
}

_EARLY_0815: Final = {"Good Friday with the jobs report": "2021-04-02 2023-04-07 2026-04-03"}

_EARLY_0830: Final = {
    "day of mourning for G. H. W. Bush": "2018-12-05",
    "day of mourning for J. Carter": "2025-01-09",
}


def _exceptions() -> dict[date, CalendarException]:
    blocks: tuple[tuple[Kind, time | None, dict[str, str]], ...] = (
        ("closed", None, _CLOSED),
        ("halt", time(12, 0), _HALT_1200),
        ("early_close", time(12, 15), _EARLY_1215),
        ("early_close", time(8, 15), _EARLY_0815),
        ("early_close", time(8, 30), _EARLY_0830),
    )
    return {
        date.fromisoformat(day): CalendarException(kind, close, name)
        for kind, close, names in blocks
        for name, days in names.items()
        for day in days.split()
    }


EXCEPTIONS: Final = _exceptions()
"""date -> exception; every date is a weekday of `COVERED_YEARS`"""
