"""The exchange's calendar against two public ones, real files, and the laws of time."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import databento_dbn as dbn
import exchange_calendars
import numpy as np
import pandas as pd
import pandas_market_calendars
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from data_eng._holidays import AFTERNOON_HALT_LAST_DATE, COVERED_YEARS, EXCEPTIONS
from data_eng.errors import UsageError
from data_eng.sessions import (
    SessionWindow,
    chicago_date,
    expires_on,
    is_session_day,
    is_trade_date,
    parse_session,
    pause_intervals,
    rth_window,
    trade_date,
    trade_dates,
    utc_day_ns,
)

CHICAGO = ZoneInfo("America/Chicago")
HOUR = 3_600_000_000_000
FIRST, LAST = date(2017, 1, 1), date(2027, 12, 31)

# Where a public calendar differs from ours, and why ours is kept (docs/decisions/0001-exchange-calendar.md).
MOURNING = {
    date(2018, 12, 5),
    date(2025, 1, 9),
}  # announced: open until 08:30; the calendars: closed or regular
JOBS_GOOD_FRIDAY = {
    date(2021, 4, 2),
    date(2023, 4, 7),
    date(2026, 4, 3),
}  # open until 08:15 for the jobs report
PLAIN_GOOD_FRIDAY = {date(2024, 3, 29), date(2025, 4, 18), date(2027, 3, 26)}  # no jobs report: closed


def utc_ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def local_ns(day: date, clock: str, zone: ZoneInfo = CHICAGO) -> int:
    moment = datetime.combine(day, time.fromisoformat(clock), tzinfo=zone)
    return int(moment.timestamp()) * 1_000_000_000


def pauses(start: str, end: str) -> list[tuple[str, str]]:
    found = pause_intervals(utc_ns(start), utc_ns(end))
    assert found.dtype == np.int64
    return [(str(np.datetime64(a, "ns"))[:16], str(np.datetime64(b, "ns"))[:16]) for a, b in found.tolist()]


def matching_intervals(first: date, last: date) -> set[tuple[int, int]]:
    """When orders match, as the gaps between our pauses."""
    found = pause_intervals(local_ns(first, "12:00"), local_ns(last, "23:00")).tolist()
    return {(opened, closed) for (_, opened), (closed, _) in pairwise(found)}


def globex(name: str) -> pd.DataFrame:
    calendar = pandas_market_calendars.get_calendar(name)
    return calendar.schedule(str(FIRST), str(LAST), market_times="all")


# ---- the canonical day and the real files


def test_canonical_day_pauses_from_22_to_23_utc() -> None:
    assert pauses("2026-01-06T00:00", "2026-01-07T00:00") == [("2026-01-06T22:00", "2026-01-06T23:00")]


def test_christmas_monday_is_one_pause_from_friday_to_its_evening() -> None:
    assert pauses("2023-12-25T00:00", "2023-12-26T00:00") == [("2023-12-22T22:00", "2023-12-25T23:00")]


def test_the_real_christmas_hour_begins_as_pre_open_and_trades_from_the_pauses_end(real_esh4: Path) -> None:
    ((start, end),) = pause_intervals(*utc_day_ns("2023-12-25")).tolist()
    decoder = dbn.DBNDecoder()
    decoder.write(zstandard.ZstdDecompressor().stream_reader(real_esh4.read_bytes()).read())
    records = [r for r in decoder.decode() if isinstance(r, dbn.MBOMsg)]
    plain = [r for r in records if not int(r.flags) & int(dbn.F_SNAPSHOT)]
    trades = [r.ts_event for r in plain if r.action == dbn.Action.TRADE]

    assert len(plain) == 60_067
    assert start < plain[0].ts_event < end
    assert min(trades) == end
    assert {trade_date(r.ts_event) for r in plain} == {date(2023, 12, 26)}


def test_the_real_status_messages_of_2020_mark_our_afternoon_halt(real_data: Path) -> None:
    decoder = dbn.DBNDecoder()
    file = real_data / "dbn" / "test_data.status.v3.dbn.zst"
    decoder.write(zstandard.ZstdDecompressor().stream_reader(file.read_bytes()).read())
    status = {
        r.ts_event: dbn.StatusAction(r.action) for r in decoder.decode() if isinstance(r, dbn.StatusMsg)
    }
    halt, evening = pause_intervals(*utc_day_ns("2020-12-28")).tolist()

    assert evening == [utc_ns("2020-12-28T22:00"), utc_ns("2020-12-28T23:00")]
    pre_open = [ts for ts, action in status.items() if action == dbn.StatusAction.PRE_OPEN]
    assert halt[0] in [ts - ts % 1_000_000_000 for ts in pre_open]
    assert halt[1] == utc_ns("2020-12-28T21:30")


# ---- public calendars


def test_sessions_agree_with_exchange_calendars_but_for_five_short_ones() -> None:
    calendar = exchange_calendars.get_calendar("CMES", start=str(FIRST), end=str(LAST))
    theirs = set(calendar.sessions.date)
    days = [FIRST + timedelta(days=i) for i in range((LAST - FIRST).days + 1)]
    ours = {day for day in days if is_session_day(day)}

    assert ours - theirs == MOURNING | JOBS_GOOD_FRIDAY
    assert theirs - ours == set()


def test_early_closes_agree_with_exchange_calendars_but_for_four_reasons() -> None:
    calendar = exchange_calendars.get_calendar("CMES", start=str(FIRST), end=str(LAST))
    theirs = {day.date() for day in calendar.early_closes}
    ours = {day for day, exception in EXCEPTIONS.items() if exception.close is not None}
    unknown_there = {day for day, e in EXCEPTIONS.items() if e.name == "Juneteenth"}
    unknown_there |= {day for day, e in EXCEPTIONS.items() if e.name == "day before Independence Day"}

    assert ours - theirs == unknown_there | MOURNING | JOBS_GOOD_FRIDAY
    assert theirs - ours == set()


def test_every_matching_interval_agrees_with_pandas_market_calendars_but_for_five_days() -> None:
    globex_equity, equity = globex("CME Globex Equity"), globex("CME_Equity")
    expected: set[tuple[int, int]] = set()
    for row in globex_equity.itertuples():
        day = row.Index.date()
        opened, closed = row.market_open.value, row.market_close.value
        if day in PLAIN_GOOD_FRIDAY:
            continue  # they end it at 08:15 in every year since 2022
        if day in MOURNING:
            closed = local_ns(day, "08:30")  # they have a regular day
        # the afternoon halt stands in the older calendar of the two only
        halt = equity.loc[row.Index, ["break_start", "break_end"]] if row.Index in equity.index else None
        if halt is not None and opened < halt.iloc[0].value < halt.iloc[1].value < closed:
            expected |= {(opened, halt.iloc[0].value), (halt.iloc[1].value, closed)}
        else:
            expected.add((opened, closed))

    assert matching_intervals(FIRST, LAST) == expected


def test_the_afternoon_halt_ends_where_pandas_market_calendars_ends_it() -> None:
    equity = globex("CME_Equity")
    with_break = equity[equity.break_end > equity.break_start]

    assert max(with_break.index).date() == AFTERNOON_HALT_LAST_DATE


def test_the_older_public_calendar_is_wrong_on_the_same_days_and_closes_a_quarter_hour_early() -> None:
    """If this fails the public calendar was corrected: shorten the list of differences."""
    equity, globex_equity = globex("CME_Equity"), globex("CME Globex Equity")

    assert set(globex_equity.index.date) - set(equity.index.date) == MOURNING
    both = equity.index.intersection(globex_equity.index)
    other = both[equity.loc[both].market_close != globex_equity.loc[both].market_close]
    assert {EXCEPTIONS[day.date()].close for day in other} == {time(12, 15)}


# ---- the table itself


def test_every_exception_is_a_weekday_of_the_covered_years_and_each_year_has_its_holidays() -> None:
    assert all(day.weekday() < 5 and day.year in COVERED_YEARS for day in EXCEPTIONS)
    for year in COVERED_YEARS:
        names = [e.name for day, e in EXCEPTIONS.items() if day.year == year]
        assert {"Labor Day", "Thanksgiving Day", "day after Thanksgiving", "Christmas Day"} <= set(names)
        assert len(names) == len(set(names)), f"a holiday stands twice in {year}"
        assert any("Good Friday" in name for name in names)


def test_outside_the_covered_years_only_the_weekly_rule_holds() -> None:
    assert pauses("2031-12-24T12:00", "2031-12-26T12:00") == [
        ("2031-12-24T22:00", "2031-12-24T23:00"),
        ("2031-12-25T22:00", "2031-12-25T23:00"),
    ]


# ---- daylight saving


@pytest.mark.parametrize(
    ("friday", "pause"),
    [
        ("2026-03-06", ("2026-03-06T22:00", "2026-03-08T22:00")),  # an hour shorter
        ("2026-10-30", ("2026-10-30T21:00", "2026-11-01T23:00")),  # an hour longer
    ],
)
def test_the_weekend_pause_follows_the_clocks(friday: str, pause: tuple[str, str]) -> None:
    assert pauses(f"{friday}T12:00", f"{friday}T23:59") == [pause]


def test_summer_and_winter_pauses_differ_by_an_hour_in_utc() -> None:
    assert pauses("2026-07-07T00:00", "2026-07-08T00:00") == [("2026-07-07T21:00", "2026-07-07T22:00")]


# ---- trade dates


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-01-06T00:00", "2026-01-06"),
        ("2026-01-06T22:59", "2026-01-06"),  # the pause belongs to the date that ends
        ("2026-01-06T23:00", "2026-01-07"),
        ("2026-01-09T23:00", "2026-01-12"),  # Friday evening rolls over the weekend
        ("2026-01-11T12:00", "2026-01-12"),
        ("2023-12-25T22:30", "2023-12-26"),
        ("2026-01-19T15:00", "2026-01-20"),  # holiday with a halt: booked for Tuesday
        ("2025-11-27T15:00", "2025-11-28"),
        ("2025-11-28T15:00", "2025-11-28"),  # early close: its own trade date
        ("2025-01-09T14:00", "2025-01-09"),
        ("2026-07-07T21:59", "2026-07-07"),  # summer time: 16:59
        ("2026-07-07T22:00", "2026-07-08"),
    ],
)
def test_trade_date_rolls_at_17_00_chicago_to_the_next_date_the_exchange_books(
    moment: str, expected: str
) -> None:
    assert trade_date(utc_ns(moment)) == date.fromisoformat(expected)


def test_a_halted_holiday_is_a_session_but_no_trade_date_and_a_closed_day_is_neither() -> None:
    assert is_session_day(date(2026, 1, 19))
    assert not is_trade_date(date(2026, 1, 19))
    assert not is_session_day(date(2026, 12, 25))
    assert not is_session_day(date(2026, 1, 10))
    assert is_trade_date(date(2026, 1, 6))


def test_expiry_is_the_chicago_date_also_after_midnight_utc() -> None:
    assert expires_on(utc_ns("2026-01-06T21:00")) == date(2026, 1, 6)
    assert expires_on(utc_ns("2026-01-07T05:59")) == date(2026, 1, 6)
    assert chicago_date(utc_ns("2026-01-07T06:00")) == date(2026, 1, 7)


# ---- properties

instants = st.integers(utc_ns("1990-01-01T00:00"), utc_ns("2060-01-01T00:00"))


@given(instants, st.integers(1, 40 * 24 * HOUR))
def test_pauses_are_sorted_disjoint_whole_and_touch_the_range(start: int, length: int) -> None:
    found = pause_intervals(start, start + length)

    assert found.shape[1] == 2
    assert (found[:, 0] < found[:, 1]).all()
    assert (found[1:, 0] > found[:-1, 1]).all(), "neighbouring pauses must be one"
    assert (found[:, 0] < start + length).all()
    assert (found[:, 1] > start).all()
    for pause in found.tolist():
        assert pause in pause_intervals(pause[0], pause[0] + 1).tolist()
        assert pause in pause_intervals(pause[1] - 1, pause[1]).tolist()


@given(instants, st.integers(1, 20 * 24 * HOUR), st.integers(1, 20 * 24 * HOUR))
def test_pauses_of_two_ranges_are_the_pauses_of_the_whole(start: int, one: int, two: int) -> None:
    middle, end = start + one, start + one + two
    parts = [*pause_intervals(start, middle).tolist(), *pause_intervals(middle, end).tolist()]

    assert sorted({tuple(p) for p in parts}) == [tuple(p) for p in pause_intervals(start, end).tolist()]


def test_an_empty_range_has_no_pauses() -> None:
    assert pause_intervals(5, 5).shape == (0, 2)


@given(instants, st.integers(0, 10 * 24 * HOUR))
def test_trade_date_never_goes_back_and_is_never_in_the_past(start: int, later: int) -> None:
    assert trade_date(start) <= trade_date(start + later)
    assert chicago_date(start) <= trade_date(start)
    assert is_trade_date(trade_date(start))


@given(st.lists(instants, max_size=30))
def test_trade_dates_of_an_array_are_those_of_each_instant(moments: list[int]) -> None:
    expected = np.array([trade_date(ts) for ts in moments], dtype="datetime64[D]")

    assert trade_dates(np.array(moments, dtype=np.int64)).tolist() == expected.tolist()


@given(instants)
def test_outside_a_pause_the_trade_dates_session_is_running(ts: int) -> None:
    """Matching at ts implies that ts lies after 17:00 of an earlier day than its trade date ends."""
    if len(pause_intervals(ts, ts + 1)) == 0:
        assert ts < local_ns(trade_date(ts), "16:00")


# ---- partition dates and session texts


def test_a_utc_day_has_24_hours_from_midnight() -> None:
    assert utc_day_ns("2026-01-06") == (utc_ns("2026-01-06T00:00"), utc_ns("2026-01-07T00:00"))


@pytest.mark.parametrize(
    "text",
    ["", "20260106", "2026-1-6", "2026-02-30", "06.01.2026", "2026-01-06T00:00", "2026-W01-2", "1969-12-31"],
)
def test_a_dt_that_is_no_date_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="expected YYYY-MM-DD, for example 2026-01-06"):
        utc_day_ns(text)


def test_rth_is_new_york_time_in_winter_and_summer() -> None:
    assert rth_window("2026-01-06") == (utc_ns("2026-01-06T14:30"), utc_ns("2026-01-06T21:00"))
    assert rth_window("2026-07-07") == (utc_ns("2026-07-07T13:30"), utc_ns("2026-07-07T20:00"))
    assert parse_session(" RTH ", "2026-01-06") == SessionWindow(*rth_window("2026-01-06"), "rth")


def test_full_cuts_nothing_that_the_clock_accepts() -> None:
    start, end = utc_day_ns("2026-01-06")
    full = parse_session("full", "2026-01-06")

    assert (full.start_ns, full.end_ns) == (start - HOUR, end + HOUR)
    assert full.is_full
    assert full.label == "FULL_DAY"


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("09:30-10:00@America/New_York", "2026-01-06T14:30", "2026-01-06T15:00"),
        ("00:00-24:00@UTC", "2026-01-06T00:00", "2026-01-07T00:00"),
        ("17:00-18:00@America/Chicago", "2026-01-06T23:00", "2026-01-07T00:00"),
        # the evening of the fifth in Chicago lies in the UTC day of the sixth
        ("18:00-20:00@America/Chicago", "2026-01-06T00:00", "2026-01-06T02:00"),
        ("20:00-09:30@America/New_York", "2026-01-06T01:00", "2026-01-06T14:30"),
        ("08:00-09:00@Asia/Tokyo", "2026-01-06T23:00", "2026-01-07T00:00"),
    ],
)
def test_a_range_is_found_where_local_clocks_show_it_within_the_utc_day(
    text: str, start: str, end: str
) -> None:
    window = parse_session(text, "2026-01-06")

    assert (window.start_ns, window.end_ns, window.text) == (utc_ns(start), utc_ns(end), text)
    assert window.label == text
    assert not window.is_full


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("all", "not understood"),
        ("9:30-10:00@America/New_York", "not understood"),
        ("09:30-10:00", "not understood"),
        ("09:30-10:00@Mars/Olympus", "names no known zone"),
        ("09:30-10:00@America", "names no known zone"),
        ("09:30-10:00@../etc/passwd", "names no known zone"),
        ("09:60-10:00@UTC", "holds 09:60, no time of day"),
        ("24:00-10:00@UTC", "holds 24:00, no time of day"),
        ("23:00-24:01@UTC", "holds 24:01, no time of day"),
        ("10:00-10:00@UTC", "is empty"),
    ],
)
def test_a_session_text_that_is_wrong_is_refused_with_an_example(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=rf"{complaint}.*for example 09:30-10:00@America/New_York"):
        parse_session(text, "2026-01-06")


def test_a_range_over_the_edge_of_the_utc_day_is_refused_with_what_the_day_holds() -> None:
    with pytest.raises(UsageError, match="2026-01-05 18:00 to 2026-01-06 18:00 in America/Chicago"):
        parse_session("17:00-19:00@America/Chicago", "2026-01-06")


def test_a_minute_that_daylight_saving_skips_is_refused() -> None:
    with pytest.raises(UsageError, match=r"02:30 does not exist in America/New_York on 2026-03-08"):
        parse_session("02:30-04:00@America/New_York", "2026-03-08")


def test_a_repeated_hour_is_taken_whole() -> None:
    window = parse_session("01:00-02:00@America/New_York", "2026-11-01")

    assert (window.start_ns, window.end_ns) == (utc_ns("2026-11-01T05:00"), utc_ns("2026-11-01T07:00"))


def test_a_window_covers_what_lies_inside_it_only() -> None:
    full, rth = parse_session("full", "2026-01-06"), parse_session("rth", "2026-01-06")
    opening = parse_session("09:30-10:00@America/New_York", "2026-01-06")

    assert full.covers(rth)
    assert rth.covers(opening)
    assert rth.covers(rth)
    assert not rth.covers(full)
    assert not opening.covers(rth)
