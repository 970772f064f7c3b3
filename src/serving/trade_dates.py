"""Where a trade date begins, and the trades since then, also from the partition of the day before.

A UTC date holds the end of one trade date and the beginning of the next, which starts at 17:00 Chicago
(spec 1): the evening of a trade date lies in an earlier partition.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa

from data_eng.errors import LakeError, MissingDataError
from data_eng.lake import Lake
from data_eng.sessions import trade_date, utc_day_ns
from data_eng.units import DAY_NS, HOUR_NS
from serving.hud_streaming import HudCache
from serving.surfaces import SURFACES

_SEARCH_DAYS = 7
"""further back than any trade date reaches"""


def start_of_trade_date(ts_ns: int) -> int:
    """UTC ns at which the trade date of an instant begins: 17:00 Chicago of a day before."""
    day = trade_date(ts_ns)
    start = ts_ns // HOUR_NS * HOUR_NS
    # trade dates change on whole UTC hours
    while ts_ns - start < _SEARCH_DAYS * DAY_NS and trade_date(start - 1) == day:
        start -= HOUR_NS
    return start


@dataclass(frozen=True)
class Covered:
    """Trades, and the stretch [from_ns, to_ns) of time that the lake's windows cover without a gap."""

    trades: pa.Table
    from_ns: int
    to_ns: int


def dates_between(start_ns: int, end_ns: int) -> list[str]:
    """UTC dates that [start_ns, end_ns) touches."""
    first = date(1970, 1, 1) + timedelta(days=start_ns // DAY_NS)
    last = date(1970, 1, 1) + timedelta(days=(end_ns - 1) // DAY_NS)
    return [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]


def trades_between(
    lake: Lake, cache: HudCache, start_ns: int, end_ns: int, columns: tuple[str, ...]
) -> Covered:
    """Trades with start_ns <= ts_event < end_ns of the contract, from the loaded day and from days before it.

    Partitions that are missing, or cannot be read, shorten what is covered; nothing is made up for them.
    """
    mine = cache.surfaces["trade"].columns(columns)
    pieces, from_ns, to_ns = [mine], cache.first_ts_ns - 1_000_000_000, cache.last_ts_ns
    for dt in reversed([day for day in dates_between(start_ns, end_ns) if day < cache.dt]):
        earlier = windows_of(lake, cache.symbol, dt)
        if earlier is None or earlier[1] < min(from_ns, utc_day_ns(dt)[1]):
            break
        pieces.insert(0, lake.read(SURFACES["trade"].dataset, cache.symbol, dt, columns))
        from_ns = earlier[0]
    rows = pa.concat_tables(pieces)
    at = rows["ts_event_ns"].to_numpy()
    return Covered(rows.filter(pa.array((at >= start_ns) & (at < end_ns))), from_ns, to_ns)


def windows_of(lake: Lake, symbol: str, dt: str) -> tuple[int, int] | None:
    """[start, end) in ns of the windows that the lake has of a day; None when it has none to read."""
    try:
        snapshot = lake.manifest(SURFACES["snap"].dataset, symbol, dt)
        lake.manifest(SURFACES["trade"].dataset, symbol, dt)
    except (MissingDataError, LakeError):
        return None
    lows = [f.min_window_end_ts_ns for f in snapshot.files if f.min_window_end_ts_ns is not None]
    highs = [f.max_window_end_ts_ns for f in snapshot.files if f.max_window_end_ts_ns is not None]
    return (min(lows) - 1_000_000_000, max(highs)) if lows and highs else None
