"""What people get: LazyFrames, points, local time, sessions, several dates, and plain SQL over the folder."""

from __future__ import annotations

import warnings
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from data_eng.errors import MissingDataError, UsageError
from data_eng.lake import Lake, LookaheadWarning, scan
from tests.data_eng.lake_tables import (
    DAY,
    DT,
    NARROW,
    PLACE,
    RECORDS,
    SECOND,
    narrow_rows,
    open_lake,
    put,
    wide_rows,
)
from tests.data_eng.test_lake_bytes import records

SNAP = (NARROW.dataset, "ESH6")
HOUR = 3600


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake")


def both(lake: Lake, *args: Any, **wishes: Any) -> pa.Table:
    """The scan as rows, after checking that the Polars and the Arrow form agree."""
    frame = lake.scan(*args, **wishes)
    assert isinstance(frame, pl.LazyFrame)
    table = lake.scan(*args, as_arrow=True, **wishes)
    assert isinstance(table, pa.Table)
    lazy = frame.collect()
    assert lazy.columns == table.schema.names
    assert lazy.rows() == pl.DataFrame(table).rows()
    return table


def test_plain_scan_has_the_declared_columns_and_rows(lake: Lake) -> None:
    put(lake, wide_rows(1))
    assert both(lake, "levels", "ESH6", DT).schema.names == [c.name for c in lake.table("levels").columns]


def test_points_are_null_where_there_is_no_price_and_levels_keep_zero(lake: Lake) -> None:
    put(lake, narrow_rows(), (*SNAP, DT))
    table = both(lake, "snap", "ESH6", DT, points=True)
    assert table["best_bid_price_points"].to_pylist()[:2] == [None, 4800.250000001]
    put(lake, wide_rows(1, windows=2, levels=2))
    assert both(lake, "levels", "ESH6", DT, points=True)["price_points"][1].as_py() == 4800.25
    put(lake, records(6), (RECORDS.dataset, "ESH6", DT))
    prices = both(lake, "records", "ESH6", DT, points=True)["price_points"].to_pylist()
    assert [price is None for price in prices] == [True, False, False, False, False, True]


@pytest.mark.parametrize(("step_int", "ticks"), [(250_000_000, 40_000), (50_000_000, 200_000)])
def test_points_are_the_number_that_a_person_types(lake: Lake, step_int: int, ticks: int) -> None:
    """Every tick up to 10,000 points: a product with 1e-9 misses every fifth of them by one ulp."""
    rows = wide_rows(1, windows=1, levels=ticks)
    at = rows.schema.get_field_index("price_int")
    prices = np.tile(step_int * np.arange(1, ticks + 1), 2)
    put(lake, rows.set_column(at, rows.schema.field(at), pa.array(prices)))
    typed = [float(f"{price // 10**9}.{price % 10**9:09d}") for price in prices.tolist()]
    assert both(lake, "levels", "ESH6", DT, points=True)["price_points"].to_pylist() == typed
    found = lake.scan("levels", "ESH6", DT, points=True).filter(pl.col("price_points") == 7301.5).collect()
    assert found.height == 2


def test_trade_date_rolls_at_17_chicago_after_the_window_that_ends_there(lake: Lake) -> None:
    put(lake, narrow_rows(windows=3, first=23 * HOUR - 2), (*SNAP, DT))  # 23:00 UTC = 17:00 in winter
    table = both(lake, "snap", "ESH6", DT, points=True)
    assert table["window_end_ts_ns"].to_pylist()[1] == DAY + 23 * HOUR * SECOND
    assert table["trade_date"].to_pylist() == [date(2026, 1, 6), date(2026, 1, 6), date(2026, 1, 7)]


def test_local_time_follows_the_zone_and_undefined_times_are_null(lake: Lake) -> None:
    put(lake, narrow_rows(first=15 * HOUR), (*SNAP, DT))
    table = both(lake, "snap", "ESH6", DT, tz="America/New_York")
    local = table["window_end_local"][0].as_py()
    assert local == datetime(2026, 1, 6, 10, 0, 1, tzinfo=ZoneInfo("America/New_York"))
    assert table["available_local"].to_pylist()[0] is None


def test_session_keeps_the_windows_inside_it(lake: Lake) -> None:
    put(lake, narrow_rows(windows=20, first=14 * HOUR + 1800 - 10), (*SNAP, DT))  # around 09:30 New York
    table = both(lake, "snap", "ESH6", DT, session="rth")
    opening = DAY + (14 * HOUR + 1800) * SECOND
    assert table["window_end_ts_ns"].to_pylist() == [opening + n * SECOND for n in range(1, 11)]
    assert both(lake, "snap", "ESH6", DT, session="full").num_rows == 20


def test_several_dates_are_one_table_with_a_dt_column(lake: Lake) -> None:
    for offset, day in enumerate((DT, "2026-01-07")):
        put(lake, narrow_rows(dt_offset_days=offset), (*SNAP, day))
    for dates in ([DT, "2026-01-07"], (DT, "2026-01-07"), None):
        table = both(lake, "snap", "ESH6", dates=dates)
        assert table["dt"].to_pylist() == [date(2026, 1, 6)] * 4 + [date(2026, 1, 7)] * 4


def test_missing_dates_are_named_and_closed_days_of_a_range_are_not_missing(lake: Lake) -> None:
    put(lake, narrow_rows(dt_offset_days=3), (*SNAP, "2026-01-09"))  # a Friday
    put(lake, narrow_rows(dt_offset_days=5), (*SNAP, "2026-01-11"))
    assert both(lake, "snap", "ESH6", dates=("2026-01-09", "2026-01-11")).num_rows == 8  # Saturday is closed
    with pytest.raises(MissingDataError, match=r"lacks 2 of 3 dates: 2026-01-08, 2026-01-12") as info:
        lake.scan("snap", "ESH6", dates=["2026-01-08", "2026-01-09", "2026-01-12"])
    assert "spymaster run --dt 2026-01-08" in str(info.value)


@pytest.mark.parametrize(
    "wishes",
    [
        {"dt": DT, "dates": [DT]},
        {"dt": DT, "tz": "Mars/Base"},
        {"dt": DT, "session": "lunch"},
        {"dates": (DT, "2026-01-01")},
        {"dates": DT},
        {"dates": []},
        {"dates": [DT, DT]},
        {"dates": [DT, 20260107]},
        {"dt": 20260106},
        {"dt": datetime(2026, 1, 6, tzinfo=ZoneInfo("UTC"))},
    ],
)
def test_impossible_wishes_are_usage_errors(lake: Lake, wishes: dict[str, Any]) -> None:
    put(lake, narrow_rows(), (*SNAP, DT))
    with pytest.raises(UsageError):
        lake.scan("snap", "ESH6", **wishes)


def test_a_date_may_be_a_date(lake: Lake) -> None:
    put(lake, narrow_rows(), (*SNAP, DT))
    day = date.fromisoformat(DT)
    assert both(lake, "snap", "ESH6", day).equals(both(lake, "snap", "ESH6", DT))
    assert both(lake, "snap", "ESH6", dates=[day]).num_rows == 4


def test_lookahead_warns_once_per_scan_unless_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = open_lake(tmp_path)
    for offset, day in enumerate((DT, "2026-01-07")):
        put(lake, narrow_rows(dt_offset_days=offset), (*SNAP, day), calibration={"dt": day, "sha256": "0"})
    with pytest.warns(LookaheadWarning, match=f"{DT}, 2026-01-07") as caught:
        lake.scan("snap", "ESH6", dates=[DT, "2026-01-07"])
    assert len(caught) == 1
    assert caught[0].filename == __file__
    monkeypatch.setattr("data_eng.schema.TABLES", {NARROW.dataset: NARROW})
    monkeypatch.setenv("SPYMASTER_LAKE", str(tmp_path))
    with pytest.warns(LookaheadWarning) as caught:
        scan("snap", "ESH6", DT)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert scan("snap", "ESH6", DT, root=tmp_path, allow_lookahead=True).collect().height == 4


def test_without_polars_a_scan_is_an_arrow_table(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    put(lake, narrow_rows(), (*SNAP, DT))
    monkeypatch.setattr("data_eng.lake.have_polars", lambda: False)
    assert isinstance(lake.scan("snap", "ESH6", DT), pa.Table)


def test_plain_sql_over_the_layers_sees_hive_columns(lake: Lake) -> None:
    put(lake, wide_rows(1, windows=5))
    put(lake, wide_rows(2, windows=5), (PLACE[0], "ESM6", DT))
    with lake.writer(PLACE[0], "ESZ6", DT) as half:
        half.write(wide_rows(3, windows=400))
        glob = f"{lake.root}/silver/**/*.parquet"
        sql = (
            f"select symbol, dt::text, max(qty), count(*) from read_parquet('{glob}', hive_partitioning=true)"
        )
        assert duckdb.sql(f"{sql} group by all order by 1").fetchall() == [
            ("ESH6", DT, 1, 30),
            ("ESM6", DT, 2, 30),
        ]
        frame = pl.scan_parquet(glob, hive_partitioning=True).filter(pl.col("symbol") == "ESM6").collect()
        assert (frame["qty"].unique().to_list(), frame["dt"][0]) == ([2], date(2026, 1, 6))


def test_own_symbol_column_is_read_with_hive_partitioning_off(lake: Lake) -> None:
    """The documented call for bronze.future_option_mbo.mbo: the folder's symbol would hide the file's."""
    put(lake, records(6), (RECORDS.dataset, "ESH6", DT))
    glob = f"{lake.root}/bronze/option_mbo/records/**/*.parquet"
    sql = f"select distinct symbol from read_parquet('{glob}', hive_partitioning="
    assert duckdb.sql(sql + "true)").fetchall() == [("ESH6",)]
    assert sorted(duckdb.sql(sql + "false)").fetchall()) == [("E1AF6 C0",), ("E1AF6 C1",), ("E1AF6 C2",)]
    assert pl.scan_parquet(glob, hive_partitioning=False).collect()["symbol"].n_unique() == 3
    assert both(lake, "records", "ESH6", DT)["symbol"].to_pylist()[0] == "E1AF6 C0"
