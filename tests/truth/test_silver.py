"""Silver against what really happened: every second, every level, every lot (exchange.md B7)."""

from __future__ import annotations

import polars as pl
import pytest

from tests.truth.days import Day, assert_same
from tests.truth.silver import (
    KEY,
    WINDOW,
    assert_depth_is_true,
    assert_flow_is_true,
    assert_touch_is_true,
    in_view,
)

pytestmark = pytest.mark.xdist_group("truth")  # one worker makes the days once


def snapshot(day: Day) -> pl.DataFrame:
    return day.table("book_snapshot_1s").with_columns(
        pl.col("crossed_event_count", "event_count", "buy_qty", "sell_qty", "trade_count").cast(pl.Int64)
    )


def test_every_second_between_the_first_and_the_last_record_has_its_row(day: Day) -> None:
    truth = day.truth("window_1s").sort("window_end_ts_ns")
    busy = truth.filter(pl.col("record_count") > 0)["window_end_ts_ns"]
    wanted = truth.filter(pl.col("window_end_ts_ns").is_between(busy.min(), busy.max()))["window_end_ts_ns"]
    assert day.table("book_snapshot_1s")["window_end_ts_ns"].to_list() == wanted.to_list()
    assert len(wanted) >= 0.7 * len(truth)


def test_phase_last_trade_touch_crossings_and_events_are_those_of_the_exchange(day: Day) -> None:
    rows = snapshot(day).with_columns(crossed=~pl.col("book_valid"))
    truth = day.truth("window_1s").filter(
        pl.col("window_end_ts_ns").is_in(rows["window_end_ts_ns"].to_list())
    )
    columns = [
        "phase",
        "last_trade_price_int",
        "best_bid_price_int",
        "best_ask_price_int",
        "crossed",
        "crossed_event_count",
        "event_count",
    ]
    assert_same(rows, truth, WINDOW, columns, at_least=60)
    assert truth["event_count"].sum() > 2_000


def test_lots_at_the_touch_are_those_of_the_exchange(day: Day) -> None:
    assert_touch_is_true(day)


def test_traded_lots_by_aggressor_and_trades_are_those_of_the_exchange(day: Day) -> None:
    rows = snapshot(day)
    truth = day.truth("trades_1s").filter(
        pl.col("window_end_ts_ns").is_in(rows["window_end_ts_ns"].to_list())
    )
    assert_same(rows, truth, WINDOW, ["buy_qty", "sell_qty", "trade_count"], at_least=60)
    assert truth["buy_qty"].sum() + truth["sell_qty"].sum() > 500


def test_every_trade_record_is_a_row_and_finds_what_it_traded_against(day: Day) -> None:
    trades = day.table("trade_event")
    truth = day.truth("trades_1s")
    lots = {
        side: trades.filter(pl.col("aggressor_side") == side)["qty"].cast(pl.Int64).sum() for side in "BAN"
    }
    assert lots == {
        side: truth[f"{name}_qty"].sum() for side, name in zip("BAN", ("buy", "sell", "none"), strict=True)
    }
    assert len(trades) == truth["trade_count"].sum()
    legs = trades.with_columns(per_lot=pl.when("is_auction").then(2).otherwise(1))
    assert (legs["resting_fill_qty"] == legs["qty"] * legs["per_lot"]).all()


def test_depth_at_the_end_of_every_second_is_the_book_of_the_exchange(day: Day) -> None:
    assert_depth_is_true(day)


def test_depth_at_the_start_of_every_second_is_the_book_a_second_before(day: Day) -> None:
    ends = day.table("book_snapshot_1s")["window_end_ts_ns"]
    rows = (
        day.table("wall_surface_1s")
        .filter(pl.col("window_end_ts_ns") > ends.min())
        .with_columns(qty=pl.col("depth_qty_start").cast(pl.Int64))
    )
    before = day.truth("book_1s").with_columns(pl.col("window_end_ts_ns") + 1_000_000_000)
    truth = in_view(day, before).filter(pl.col("window_end_ts_ns") > ends.min())
    assert_same(rows.filter(pl.col("qty") > 0), truth, KEY, ["qty"], at_least=30_000)


def test_adds_pulls_and_fills_of_every_level_and_second_are_what_happened(day: Day) -> None:
    assert_flow_is_true(day)


def test_no_counter_of_the_engine_speaks_of_a_fault(day: Day) -> None:
    counters = day.counters()
    usual = {
        "records",
        "snapshot_records",
        "events",
        "snapshots",
        "aggressor_fills",
        "aggressor_fill_qty",
        "hidden_qty_cancel",
        "hidden_qty_modify",
        "crossed_pre_open",
    }
    assert {name: count for name, count in counters.items() if count and name not in usual} == {}
    assert counters["events"] == day.truth("window_1s")["event_count"].sum()
    bronze = day.counters("bronze.future_mbo.mbo")
    assert bronze["order_violations"] == bronze["late_records"] == bronze["unmapped_records"] == 0
