"""Reference levels of a day, each with its definition and source, or the reason why there is none (spec 9.3).

No level is made from a part of its stretch of time: where the lake's windows do not cover all of it, the
level is unavailable. `known_from_ts_ns` is the end of the first window in which a level can be known; whoever
draws it earlier looks ahead.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from data_eng.lake import Lake
from data_eng.sessions import NEW_YORK, is_session_day
from data_eng.units import UNDEF_PRICE, WINDOW_NS
from serving.hud_streaming import HudCache
from serving.trade_dates import trades_between, windows_of

TRADE_COLUMNS: Final = ("ts_event_ns", "price_int")
SOURCE: Final = "silver.future_mbo.trade_event"
SETTLEMENTS: Final = "bronze.shared.settlements"
_CASH_OPEN: Final = time(9, 30)
_CASH_CLOSE: Final = time(16, 0)


@dataclass(frozen=True)
class Stretch:
    """A stretch of New York time whose high and low are levels; `days_before` shifts its start."""

    id: str
    words: str
    start: time
    end: time
    days_before: int = 0

    def bounds(self, day: date) -> tuple[int, int]:
        """[start, end) UTC ns on a date."""
        return _instant(day - timedelta(days=self.days_before), self.start), _instant(day, self.end)


STRETCHES: Final = (
    Stretch("overnight", "from 18:00 of the evening before to 09:30", time(18, 0), _CASH_OPEN, 1),
    Stretch("premarket", "from 04:00 to 09:30", time(4, 0), _CASH_OPEN),
    Stretch("opening_range_5", "in the 5 minutes from 09:30", _CASH_OPEN, time(9, 35)),
    Stretch("opening_range_15", "in the 15 minutes from 09:30", _CASH_OPEN, time(9, 45)),
    Stretch("opening_range_30", "in the 30 minutes from 09:30", _CASH_OPEN, time(10, 0)),
)


def levels_of(lake: Lake, cache: HudCache) -> dict[str, Any]:
    """The document: symbol, dt, and a list of levels; int64 values are decimal strings. Blocks."""
    found = [_prior_settlement(lake, cache), _prior_close(lake, cache)]
    day = date.fromisoformat(cache.dt)
    for stretch in STRETCHES:
        start, end = stretch.bounds(day)
        found += _high_low(lake, cache, stretch, start, end)
    return {"symbol": cache.symbol, "dt": cache.dt, "zone": NEW_YORK.key, "levels": found}


def _high_low(lake: Lake, cache: HudCache, stretch: Stretch, start: int, end: int) -> list[dict[str, Any]]:
    words = {
        end_id: _words(f"{stretch.id}_{end_id}", f"{kind} trade {stretch.words}, New York time")
        for end_id, kind in (("high", "highest"), ("low", "lowest"))
    }
    if not is_session_day(date.fromisoformat(cache.dt)):
        return [_unavailable(one, f"{cache.dt} is no trading day") for one in words.values()]
    if "trade" not in cache.surfaces:
        return [_unavailable(one, "the lake has no trades of this day") for one in words.values()]
    covered = trades_between(lake, cache, start, end, TRADE_COLUMNS)
    if covered.from_ns > start or covered.to_ns < end:
        reason = (
            f"it needs {_clock(start)} to {_clock(end)}, the lake has {_clock(covered.from_ns)} to"
            f" {_clock(covered.to_ns)} without a gap"
        )
        return [_unavailable(one, reason) for one in words.values()]
    extremes = high_low(covered.trades["price_int"].to_numpy())
    if extremes is None:
        return [_unavailable(one, "nothing was traded in that time") for one in words.values()]
    return [
        words["high"] | _available(extremes[0], start, end),
        words["low"] | _available(extremes[1], start, end),
    ]


def high_low(price_int: npt.NDArray[np.int64]) -> tuple[int, int] | None:
    """(highest, lowest) of int64[n] prices, None when no price is defined. Pure."""
    defined = price_int[price_int != UNDEF_PRICE]
    return (int(defined.max()), int(defined.min())) if len(defined) else None


def _prior_close(lake: Lake, cache: HudCache) -> dict[str, Any]:
    words = _words("prior_close", "last trade before 16:00 New York time of the trading day before")
    day = _session_day_before(date.fromisoformat(cache.dt))
    dt, close = day.isoformat(), _instant(day, _CASH_CLOSE)
    covered = windows_of(lake, cache.symbol, dt)
    if covered is None:
        return _unavailable(words, f"the lake has no trades of {cache.symbol} on {dt}")
    if covered[1] < close:
        return _unavailable(
            words, f"the lake's windows of {dt} end at {_clock(covered[1])}, before the close"
        )
    trades = lake.read(SOURCE, cache.symbol, dt, TRADE_COLUMNS)
    at, price = trades["ts_event_ns"].to_numpy(), trades["price_int"].to_numpy()
    before = price[(at < close) & (price != UNDEF_PRICE)]
    if not len(before):
        return _unavailable(words, f"nothing was traded on {dt} before the close")
    return words | _available(int(before[-1]), covered[0], close)


def _prior_settlement(lake: Lake, cache: HudCache) -> dict[str, Any]:
    """The last received settlement of the trade date before; it may stand in either date's file."""
    words = _words("prior_settlement", "settlement price of the trading day before (stat_type 3)")
    words["source"] = SETTLEMENTS
    prior = _session_day_before(date.fromisoformat(cache.dt))
    found: list[tuple[int, int]] = []
    held = False
    for dt in (prior.isoformat(), cache.dt):
        if lake.has(SETTLEMENTS, cache.symbol, dt):
            held = True
            found += settlements_of(lake.read(SETTLEMENTS, cache.symbol, dt).to_pylist(), cache.symbol, prior)
    if found:
        received, price = max(found)
        level = words | _available(price, received, received)
        return level | {"known_from_ts_ns": str((received // WINDOW_NS + 1) * WINDOW_NS)}
    if held:
        return _unavailable(words, f"the statistics hold no settlement of {cache.symbol} for {prior}")
    return _unavailable(words, f"the lake has no statistics of {prior} or {cache.dt}")


def settlements_of(rows: list[dict[str, Any]], symbol: str, trade_date: date) -> list[tuple[int, int]]:
    """(ts_recv_ns, price_int) of the settlements of `symbol` that refer to `trade_date`. Pure.

    The feed names a trade date by its midnight in UTC; a price that names none is not used.
    """
    return [
        (row["ts_recv_ns"], row["price_int"])
        for row in rows
        if row["symbol"] == symbol
        and row["ts_ref_ns"] is not None
        and datetime.fromtimestamp(row["ts_ref_ns"] // 1_000_000_000, UTC).date() == trade_date
    ]


def _session_day_before(day: date) -> date:
    day -= timedelta(days=1)
    while not is_session_day(day):
        day -= timedelta(days=1)
    return day


def _words(level: str, definition: str) -> dict[str, Any]:
    return {"id": level, "definition": definition, "source": SOURCE}


def _available(price_int: int, start: int, end: int) -> dict[str, Any]:
    return {
        "price_int": str(price_int),
        "from_ts_ns": str(start),
        "to_ts_ns": str(end),
        "known_from_ts_ns": str(end),
        "unavailable": None,
    }


def _unavailable(words: dict[str, Any], reason: str) -> dict[str, Any]:
    nothing = dict.fromkeys(("price_int", "from_ts_ns", "to_ts_ns", "known_from_ts_ns"))
    return words | nothing | {"unavailable": reason}


def _instant(day: date, clock: time) -> int:
    return int(datetime.combine(day, clock, tzinfo=NEW_YORK).timestamp()) * 1_000_000_000


def _clock(ts_ns: int) -> str:
    return f"{datetime.fromtimestamp(ts_ns // 1_000_000_000, NEW_YORK):%Y-%m-%d %H:%M:%S}"
