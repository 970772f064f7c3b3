"""When the exchange matches orders, which trade date an instant belongs to, and what a session text means.

The session of a date runs from 17:00 of the day before to 16:00 of the date, Chicago time, Monday to Friday.
Everything between sessions is a pause: an hour each afternoon, the weekend, holidays and early closes
(`data_eng._holidays`, 2017-2027; outside those years only the weekly rule is known). A pause means that
nothing is matched. Orders may arrive in it: that is the pre-open.

Local time exists only in this module and always comes from the IANA zone (spec 1): the daylight-saving switch
falls into the weekend pause, so a session never contains one, but its UTC hours move by one.

    pause_intervals(*utc_day_ns("2026-01-06"))   # [[22:00, 23:00)] UTC
    trade_date(ts_ns)                            # 17:00 Chicago starts the next trade date
    parse_session("09:30-10:00@America/New_York", "2026-01-06")
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt

from data_eng._holidays import (
    AFTERNOON_HALT_LAST_DATE,
    COVERED_YEARS,
    EXCEPTIONS,
    CalendarException,
)
from data_eng.errors import UsageError
from data_eng.units import DAY_NS, HOUR_NS

__all__ = [
    "CHICAGO",
    "COVERED_YEARS",
    "NEW_YORK",
    "CalendarException",
    "SessionWindow",
    "chicago_date",
    "exception_on",
    "expires_on",
    "is_session_day",
    "is_trade_date",
    "parse_dt",
    "parse_session",
    "pause_intervals",
    "rth_window",
    "trade_date",
    "trade_dates",
    "utc_day_ns",
]

CHICAGO: Final = ZoneInfo("America/Chicago")
NEW_YORK: Final = ZoneInfo("America/New_York")

_OPEN: Final = time(17, 0)
_CLOSE: Final = time(16, 0)
_AFTERNOON_HALT: Final = (time(15, 15), time(15, 30))
_RTH: Final = (time(9, 30), time(16, 0))
_SECOND_NS: Final = 1_000_000_000
_ONE_DAY: Final = timedelta(days=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SATURDAY: Final = 5
_SEARCH_DAYS: Final = 7
"""further than any pause reaches: the longest runs from Thursday 12:15 to Sunday 17:00"""

_DT_FORM: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_SESSION_FORM: Final = re.compile(r"(\d{2}):(\d{2})-(\d{2}):(\d{2})@(\S+)", re.ASCII)
_SESSION_EXAMPLE: Final = "full, rth or HH:MM-HH:MM@zone, for example 09:30-10:00@America/New_York"


# ---- the exchange's calendar


def exception_on(day: date) -> CalendarException | None:
    """What the calendar's table says about a date; None where the weekly rule holds."""
    return EXCEPTIONS.get(day)


def is_session_day(day: date) -> bool:
    """A session ends on this date: Monday to Friday unless closed. Short sessions count."""
    exception = EXCEPTIONS.get(day)
    return day.weekday() < _SATURDAY and (exception is None or exception.kind != "closed")


def is_trade_date(day: date) -> bool:
    """The exchange books trades on this date: a session day that is no holiday with a 12:00 halt."""
    exception = EXCEPTIONS.get(day)
    return is_session_day(day) and (exception is None or exception.kind != "halt")


def pause_intervals(start_ns: int, end_ns: int) -> npt.NDArray[np.int64]:
    """Pauses of the exchange that touch [start_ns, end_ns): int64[n, 2], UTC ns, each [start, end).

    Sorted and disjoint; neighbouring reasons (a closed Monday after a weekend) are one pause. Pauses are
    whole, not cut at the bounds asked for: an engine must know when a pause began and when it will end.
    """
    if start_ns >= end_ns:
        return np.zeros((0, 2), dtype=np.int64)
    first = _local_date(start_ns, CHICAGO) - _SEARCH_DAYS * _ONE_DAY
    last = _local_date(end_ns, CHICAGO) + _SEARCH_DAYS * _ONE_DAY
    matching = [piece for day in _days(first, last) for piece in _matching(day)]
    pauses = [
        (closed, opened)
        for (_, closed), (opened, _) in pairwise(matching)
        if closed < end_ns and opened > start_ns
    ]
    return np.array(pauses, dtype=np.int64).reshape(-1, 2)


def _matching(day: date) -> list[tuple[int, int]]:
    """Intervals [start, end) in which the session of a date matches orders; empty without a session."""
    if not is_session_day(day):
        return []
    opened = _instant_ns(day - _ONE_DAY, _OPEN, CHICAGO)
    exception = EXCEPTIONS.get(day)
    if exception is not None and exception.close is not None:
        return [(opened, _instant_ns(day, exception.close, CHICAGO))]
    closed = _instant_ns(day, _CLOSE, CHICAGO)
    if day.year in COVERED_YEARS and day <= AFTERNOON_HALT_LAST_DATE:
        halt, resume = (_instant_ns(day, clock, CHICAGO) for clock in _AFTERNOON_HALT)
        return [(opened, halt), (resume, closed)]
    return [(opened, closed)]


def trade_date(ts_ns: int) -> date:
    """Trade date of an instant: the Chicago date, the next one from 17:00 on, rolled to a trade date.

    Weekends, closed days and holidays with a 12:00 halt roll forward, as the exchange books them.
    """
    local = _local(ts_ns, CHICAGO)
    day = local.date() + _ONE_DAY if local.time() >= _OPEN else local.date()
    while not is_trade_date(day):
        day += _ONE_DAY
    return day


def trade_dates(ts_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.datetime64]:
    """`trade_date` of int64[n] UTC ns as datetime64[D][n], in O(n): one calendar look-up per hour seen.

    Trade dates change on whole UTC hours, because Chicago is a whole number of hours behind UTC.
    """
    if len(ts_ns) == 0:
        return np.zeros(0, dtype="datetime64[D]")
    hours = ts_ns // HOUR_NS
    first = int(hours.min())
    slot = hours - first
    seen = np.zeros(int(slot.max()) + 1, dtype=bool)
    seen[slot] = True
    by_hour = np.zeros(len(seen), dtype="datetime64[D]")
    for index in np.flatnonzero(seen).tolist():
        by_hour[index] = trade_date((first + index) * HOUR_NS)
    return by_hour[slot]


def chicago_date(ts_ns: int) -> date:
    """Calendar date in Chicago of a UTC instant."""
    return _local_date(ts_ns, CHICAGO)


def expires_on(expiration_ns: int) -> date:
    """Date on which an instrument expires: 0DTE means that this equals dt (spec 1, 3.3)."""
    return chicago_date(expiration_ns)


# ---- partition dates and session texts


def parse_dt(text: str) -> date:
    """Date of a partition.

    Raises `UsageError` unless the text is a real date, YYYY-MM-DD, from 1970 to 2261 (int64 ns).
    """
    wanted = "expected YYYY-MM-DD, for example 2026-01-06"
    if not _DT_FORM.fullmatch(text):
        raise UsageError(f"dt {text!r} is not a date: {wanted}")
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"dt {text!r} is not a date ({error}): {wanted}") from error
    if not 1970 <= day.year <= 2261:
        raise UsageError(f"dt {text!r} is outside 1970-2261, the years of int64 nanoseconds: {wanted}")
    return day


def utc_day_ns(dt: str) -> tuple[int, int]:
    """Bounds [start, end) of the UTC day of a partition, ns. Raises `UsageError` as `parse_dt`."""
    day = parse_dt(dt)
    start = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * _SECOND_NS
    return start, start + DAY_NS


def rth_window(dt: str) -> tuple[int, int]:
    """Regular trading hours of the cash market on dt, 09:30-16:00 New York, as [start, end) UTC ns.

    The clock alone: on an early close the market stops inside this window.
    """
    day = parse_dt(dt)
    return _instant_ns(day, _RTH[0], NEW_YORK), _instant_ns(day, _RTH[1], NEW_YORK)


@dataclass(frozen=True)
class SessionWindow:
    """Which windows are emitted: those with window_start >= start_ns and window_end <= end_ns.

    `text` is the canonical session text. It limits what is emitted, never what the book sees (spec 1).
    """

    start_ns: int
    end_ns: int
    text: str

    @property
    def is_full(self) -> bool:
        """Nothing is cut off."""
        return self.text == "full"

    @property
    def label(self) -> str:
        """What the calibration stores as session_window (spec 6)."""
        return "FULL_DAY" if self.is_full else self.text

    def covers(self, other: SessionWindow) -> bool:
        """Every window of `other` lies in this one too; a partition may only be replaced by such."""
        return self.start_ns <= other.start_ns and other.end_ns <= self.end_ns


def parse_session(text: str, dt: str) -> SessionWindow:
    """Emission window of a session text on the partition dt.

    ``full``: everything. An hour is added on both sides of the UTC day, because a file cut by ts_recv may
    begin with a ts_event of the day before, and the clock accepts that much (spec 4.7).
    ``rth``: 09:30-16:00 New York on dt.
    ``HH:MM-HH:MM@zone``: the time at which clocks in `zone` show that range within the UTC day dt. The end is
    excluded, may be 24:00, and may lie past local midnight (``23:00-01:00@America/Chicago``).

    Raises `UsageError` for an unknown form or zone, an empty range, a local time that does not exist on that
    date, and a range that is not wholly inside the UTC day.
    """
    day_start, day_end = utc_day_ns(dt)
    word = text.strip()
    if word.lower() == "full":
        return SessionWindow(day_start - HOUR_NS, day_end + HOUR_NS, "full")
    if word.lower() == "rth":
        return SessionWindow(*rth_window(dt), "rth")
    form = _SESSION_FORM.fullmatch(word)
    if form is None:
        raise UsageError(f"session {text!r} is not understood: expected {_SESSION_EXAMPLE}")
    zone = _zone(form[5], text)
    start_min = _minutes(form[1], form[2], text, latest=24 * 60 - 1)
    end_min = _minutes(form[3], form[4], text, latest=24 * 60)
    if start_min == end_min:
        raise UsageError(f"session {text!r} is empty: expected {_SESSION_EXAMPLE}")
    length_days = 0 if end_min > start_min else 1
    for shift in (0, -1, 1):
        day = parse_dt(dt) + shift * _ONE_DAY
        start_ns = _minute_ns(day, start_min, zone, fold=0)
        end_ns = _minute_ns(day + length_days * _ONE_DAY, end_min, zone, fold=1)
        if day_start <= start_ns < end_ns <= day_end:
            _refuse_skipped(day, start_min, zone, text)
            _refuse_skipped(day + length_days * _ONE_DAY, end_min, zone, text)
            return SessionWindow(start_ns, end_ns, word)
    begins = _local(day_start, zone)
    raise UsageError(
        f"session {text!r} does not fit into the UTC day {dt}, which runs from {begins:%Y-%m-%d %H:%M} to "
        f"{_local(day_end, zone):%Y-%m-%d %H:%M} in {zone.key}: choose a range inside it"
    )


def _zone(name: str, text: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        # OSError: a name such as "America" is a folder of the zone database
        raise UsageError(f"session {text!r} names no known zone: expected {_SESSION_EXAMPLE}") from error


def _minutes(hour: str, minute: str, text: str, *, latest: int) -> int:
    total = int(hour) * 60 + int(minute)
    if int(minute) > 59 or total > latest:
        raise UsageError(
            f"session {text!r} holds {hour}:{minute}, no time of day: expected {_SESSION_EXAMPLE}"
        )
    return total


def _minute_ns(day: date, minute: int, zone: ZoneInfo, *, fold: int) -> int:
    """Minute of a local day; in the repeated hour fold=0 is the first and fold=1 the second pass."""
    day, minute = day + (minute // (24 * 60)) * _ONE_DAY, minute % (24 * 60)
    return _instant_ns(day, time(minute // 60, minute % 60, fold=fold), zone)


def _refuse_skipped(day: date, minute: int, zone: ZoneInfo, text: str) -> None:
    """The hour that daylight saving skips has no instants; guessing one would shift the session."""
    shown = _local(_minute_ns(day, minute, zone, fold=0), zone)
    if shown.hour * 60 + shown.minute != minute % (24 * 60):
        raise UsageError(
            f"session {text!r}: {minute // 60:02d}:{minute % 60:02d} does not exist in {zone.key} on {day} "
            "(clocks go forward): choose another minute"
        )


# ---- instants and local clocks


def _instant_ns(day: date, clock: time, zone: ZoneInfo) -> int:
    return int(datetime.combine(day, clock, tzinfo=zone).timestamp()) * _SECOND_NS


def _local(ts_ns: int, zone: ZoneInfo) -> datetime:
    # not datetime.fromtimestamp, which refuses negative seconds on Windows
    return (_EPOCH + timedelta(seconds=int(ts_ns) // _SECOND_NS)).astimezone(zone)


def _local_date(ts_ns: int, zone: ZoneInfo) -> date:
    return _local(ts_ns, zone).date()


def _days(first: date, last: date) -> list[date]:
    return [first + offset * _ONE_DAY for offset in range((last - first).days + 1)]
