"""What a person asks of a table beyond its columns: points, local time, a session, several dates.

One function per wish adds columns or filters rows, on a Polars LazyFrame (lazily) or an Arrow table.
Both follow the same rules, which are written once in `Extras`.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data_eng._lake.encoding import WINDOW_KEY
from data_eng.errors import UsageError
from data_eng.schema.column import Column, Table
from data_eng.units import PRICES_PER_POINT, UNDEF_PRICE

if TYPE_CHECKING:
    from data_eng._lake.manifest import Manifest
    from data_eng.sessions import SessionWindow

_EVENT_TIMES: Final = (WINDOW_KEY, "ts_event_ns", "ts_event", "ts_recv_ns", "ts_recv")
"""the column that says when a row happened: the first of these that the table has"""
_PRICE_UNIT: Final = "1e-9 points"


class LookaheadWarning(UserWarning):
    """The scores of this table were scaled with a calibration of the same or a later day (spec 6)."""


@dataclass(frozen=True)
class Extras:
    """The wishes of one scan, checked once against the table.

    prices: (source column, new column, 0 means "none") per price; times: (source column, new column).
    """

    table: Table
    points: bool
    tz: str | None
    session: str | None

    def __post_init__(self) -> None:
        if self.tz is not None:
            try:
                ZoneInfo(self.tz)
            except (ZoneInfoNotFoundError, ValueError) as exc:
                raise UsageError(
                    f"tz is {self.tz!r}, expected an IANA zone, for example America/New_York"
                ) from exc
        if (self.points or self.session) and not self.event_time:
            raise UsageError(f"{self.table.dataset} has no time column, so it has no session or trade_date")

    @property
    def event_time(self) -> str | None:
        """Column that places a row in time."""
        return next((name for name in _EVENT_TIMES if name in self.table.arrow_schema.names), None)

    @property
    def prices(self) -> list[tuple[str, str, bool]]:
        """Prices in 1e-9 points. UNDEF is never a price; 0 is none, except where it is part of the key."""
        found = [c for c in self.table.columns if _is_price(c)] if self.points else []
        return [
            (
                c.name,
                c.name.removesuffix("_int") + "_points",
                c.name.endswith("_int") and c.name not in self.table.key,
            )
            for c in found
        ]

    @property
    def times(self) -> list[tuple[str, str]]:
        """Timestamps and the names of their local twins."""
        found = [c.name for c in self.table.columns if _is_timestamp(c)] if self.tz else []
        return [(name, name.removesuffix("_ns").removesuffix("_ts") + "_local") for name in found]

    def window(self, dt: str) -> SessionWindow | None:
        """What `session` means on that date, None for all of it."""
        if self.session is None:
            return None
        from data_eng.sessions import parse_session

        window = parse_session(self.session, dt)
        return None if window.is_full else window

    def trade_dates(self, ts_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.datetime64]:
        """Trade date per row (datetime64[D]; NaT where the time is undefined).

        A window that ends at the roll belongs to the session it closes.
        """
        from data_eng.sessions import trade_dates

        known = (ts_ns > 0) & (ts_ns != UNDEF_PRICE)
        out = np.full(len(ts_ns), "NaT", dtype="datetime64[D]")
        out[known] = trade_dates(ts_ns[known] - (1 if self.event_time == WINDOW_KEY else 0))
        return out


def warn_of_lookahead(manifests: Sequence[Manifest], stacklevel: int) -> None:
    """One warning for all partitions of a scan whose scores look ahead."""
    ahead = [m for m in manifests if m.lookahead]
    if ahead:
        warnings.warn(
            f"{ahead[0].dataset} of {', '.join(m.dt for m in ahead)}: scores were scaled with a calibration "
            "of the same or a later day, so they look ahead within the day; make them with "
            "--calibration-dt previous, or pass allow_lookahead=True",
            LookaheadWarning,
            stacklevel=stacklevel + 1,
        )


def have_polars() -> bool:
    """Whether the extra `polars` is installed."""
    return importlib.util.find_spec("polars") is not None


def arrow_scan(data: pa.Table, extras: Extras, dt: str, *, dt_column: bool) -> pa.Table:
    """Add the wished columns to one partition in memory and cut it to the session."""
    window = extras.window(dt)
    if window is not None and extras.event_time is not None:
        at = data[extras.event_time]
        if extras.event_time == WINDOW_KEY:
            keep = pc.and_(pc.greater(at, window.start_ns), pc.less_equal(at, window.end_ns))
        else:
            keep = pc.and_(pc.greater_equal(at, window.start_ns), pc.less(at, window.end_ns))
        data = data.filter(keep)
    for source, name, zero_is_none in extras.prices:
        none = pc.equal(data[source], UNDEF_PRICE)
        if zero_is_none:
            none = pc.or_(none, pc.equal(data[source], 0))
        points = pc.divide(data[source].cast(pa.float64(), safe=False), float(PRICES_PER_POINT))
        data = data.append_column(name, pc.if_else(none, None, points))
    if extras.points and extras.event_time is not None:
        days = extras.trade_dates(np.asarray(data[extras.event_time]))
        data = data.append_column("trade_date", pa.array(days, pa.date32()))
    for source, name in extras.times:
        undefined = pc.or_(pc.less_equal(data[source], 0), pc.equal(data[source], UNDEF_PRICE))
        local = pc.if_else(undefined, None, data[source]).cast(pa.timestamp("ns", extras.tz))
        data = data.append_column(name, local)
    if dt_column:
        days = pa.repeat(pa.scalar(date.fromisoformat(dt), pa.date32()), data.num_rows)
        data = data.append_column("dt", days)
    return data


def polars_scan(files: Sequence[Path], extras: Extras, dt: str, *, dt_column: bool) -> Any:
    """The same as a LazyFrame over the committed files: nothing is read until it is collected."""
    import polars as pl

    frame = pl.scan_parquet(list(files), hive_partitioning=False, glob=False)
    window = extras.window(dt)
    if window is not None and extras.event_time is not None:
        at = pl.col(extras.event_time)
        if extras.event_time == WINDOW_KEY:
            frame = frame.filter((at > window.start_ns) & (at <= window.end_ns))
        else:
            frame = frame.filter((at >= window.start_ns) & (at < window.end_ns))
    added = []
    for source, name, zero_is_none in extras.prices:
        price = pl.col(source)
        none = (price == UNDEF_PRICE) | (price == 0) if zero_is_none else price == UNDEF_PRICE
        points = price.map_batches(  # Polars makes `/ 1e9` a product with 1e-9, which is one ulp off at times
            lambda column: pl.Series(column.to_numpy() / PRICES_PER_POINT),
            return_dtype=pl.Float64,
            is_elementwise=True,
        )
        added.append(pl.when(none).then(None).otherwise(points).alias(name))
    if extras.points and extras.event_time is not None:
        added.append(
            pl.col(extras.event_time)
            .map_batches(
                lambda column: pl.Series(extras.trade_dates(column.to_numpy()), dtype=pl.Date),
                return_dtype=pl.Date,
                is_elementwise=True,
            )
            .alias("trade_date")
        )
    for source, name in extras.times:
        when = pl.col(source)
        defined = pl.when((when <= 0) | (when == UNDEF_PRICE)).then(None).otherwise(when)
        utc = defined.cast(pl.Datetime("ns")).dt.replace_time_zone("UTC")
        added.append(utc.dt.convert_time_zone(str(extras.tz)).alias(name))
    if dt_column:
        added.append(pl.lit(date.fromisoformat(dt), dtype=pl.Date).alias("dt"))
    return frame.with_columns(added) if added else frame


def _is_price(column: Column) -> bool:
    return column.type == pa.int64() and (column.name.endswith("price_int") or column.unit == _PRICE_UNIT)


def _is_timestamp(column: Column) -> bool:
    if column.type != pa.int64():
        return False
    return column.name.endswith("_ts_ns") or column.unit == "ns UTC"
