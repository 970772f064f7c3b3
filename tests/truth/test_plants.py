"""Planted events: each kind must look in Silver as its plant says, and in no other way (exchange.md B6)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest

from data_eng.dbn_codes import ACTION_CANCEL, ACTION_MODIFY, ACTION_TRADE
from data_eng.units import TICK_INT
from tests.truth.days import SECOND_NS, Day
from tests.truth.plants import FLOW, KEY, at, ledger, sums, trades_at, window_end

pytestmark = pytest.mark.xdist_group("truth")  # one worker makes the days once

Plant = dict[str, Any]
Check = Callable[[Day, Plant], None]


# ---- walls -----------------------------------------------------------------------------------------------


def wall_filled(day: Day, plant: Plant) -> None:
    rows = ledger(day, plant)
    assert sums(rows) == (plant["qty"], 0, plant["qty"])
    assert rows["price_int"].unique().to_list() == [plant["price_int"]]
    standing = rows.filter(pl.col("window_end_ts_ns").is_between(plant["t0_ns"], plant["t1_ns"]))
    assert standing["depth_qty_end"].max() == plant["qty"]


def wall_pulled(day: Day, plant: Plant) -> None:
    rows = ledger(day, plant)
    assert sums(rows) == (plant["qty"], plant["qty"], 0)
    assert at(rows, plant["t1_ns"])["pull_qty_total"].sum() == plant["qty"], "all of it at once"
    assert rows["pull_qty_rest"].sum() == plant["qty"], "it had rested"


def wall_eroded(day: Day, plant: Plant) -> None:
    rows = ledger(day, plant).filter(pl.col("pull_qty_total") > 0).sort("window_end_ts_ns")
    assert sums(ledger(day, plant)) == (plant["qty"], plant["qty"], 0)
    pulled, before = rows["pull_qty_total"].to_list(), rows["depth_qty_start"].to_list()
    assert len(pulled) == 5
    for k in range(4):
        assert pulled[k] == pytest.approx(before[k] / 3, rel=0.15), "a third of what is left"
    assert pulled[4] == before[4], "then the rest"


def wall_relocated(day: Day, plant: Plant) -> None:
    rows = ledger(day, plant)
    path = day.orders_of(plant)["price_path_int"][0].to_list()
    assert (len(path), path[0]) == (3, plant["price_int"])
    arrives = plant["qty"]
    for price in path:
        added, pulled, filled = sums(rows.filter(pl.col("price_int") == price))
        assert (added, pulled) == (arrives, arrives - filled), (
            "what was not taken moves on, or leaves, as a pull"
        )
        arrives = pulled
    assert arrives > 0.8 * plant["qty"]
    for old, new in pairwise(path):
        left = rows.filter((pl.col("price_int") == old) & (pl.col("pull_qty_total") > 0))
        came = rows.filter((pl.col("price_int") == new) & (pl.col("add_qty") > 0))
        assert left["window_end_ts_ns"].to_list() == came["window_end_ts_ns"].to_list(), "in one second"
        assert left["pull_qty_total"].to_list() == came["add_qty"].to_list()


# ---- what comes and goes ---------------------------------------------------------------------------------


def flash_add(day: Day, plant: Plant) -> None:
    rows = ledger(day, plant)
    assert sums(rows) == (plant["qty"], plant["qty"], 0)
    assert rows["depth_qty_end"].max() == 0, "flow, and no wall"
    assert rows["pull_qty_rest"].sum() == 0, "it never rested"
    assert rows["window_end_ts_ns"].to_list() == [window_end(plant["t0_ns"])]


def vacuum(day: Day, plant: Plant) -> None:
    """Makers within D ticks of the touch leave within half a second: what stood there is gone from there."""
    away = -1 if plant["side"] == "B" else 1
    zone = [plant["price_int"] + away * k * TICK_INT for k in range(plant["qty"] + 1)]
    side = pl.col("side") == plant["side"]
    walls = day.table("wall_surface_1s").filter(side & pl.col("price_int").is_in(zone))
    first, last = window_end(plant["t0_ns"]), window_end(plant["t0_ns"] + 500_000_000)
    spell = walls.filter(pl.col("window_end_ts_ns").is_between(first, last))
    stood = spell.filter(pl.col("window_end_ts_ns") == first)["depth_qty_start"].sum()
    assert stood >= 10
    assert spell["pull_qty_total"].sum() + spell["fill_qty"].sum() >= stood
    assert spell["pull_qty_total"].sum() > spell["fill_qty"].sum(), "they leave, they are not taken"


def self_match(day: Day, plant: Plant) -> None:
    rows = ledger(day, plant)
    resting = rows.filter(pl.col("side") == plant["side"])
    assert sums(resting) == (plant["qty"], plant["qty"], 0), "withdrawn by the exchange: a pull, not a fill"
    other = rows.filter(pl.col("side") != plant["side"])
    assert other["add_qty"].sum() == plant["qty"]
    second = resting.filter(pl.col("pull_qty_total") > 0)["window_end_ts_ns"].item()
    window = day.table("book_snapshot_1s").filter(pl.col("window_end_ts_ns") == second)
    assert window["crossed_event_count"].item() == 0, "crossed inside the event only"


# ---- trading ---------------------------------------------------------------------------------------------


def iceberg(day: Day, plant: Plant) -> None:
    rows = ledger(day, plant)
    (order,) = day.orders_of(plant).to_dicts()
    added, pulled, filled = sums(rows)
    assert order["displayed"] + order["hidden"] == plant["qty"]
    assert added == filled + pulled, "hidden lots count as added when they are shown or eaten"
    assert pulled <= order["displayed"], "hidden lots that were never shown are no pull"
    if plant["side"] == "B":  # the one that is taken whole
        assert (added, pulled, filled) == (plant["qty"], 0, plant["qty"])
        assert filled > order["displayed"], "more is filled than was ever displayed at once"
    assert rows["depth_qty_end"].max() <= order["displayed"], "only the displayed slice is a wall"


def sweep(day: Day, plant: Plant) -> None:
    trades = trades_at(day, plant["t0_ns"], plant["side"])
    own = trades.filter(pl.col("order_id") == trades["order_id"][0])
    steps = (own["price_int"].diff().drop_nulls() // TICK_INT).to_list()
    assert len(own) == plant["qty"], "one trade per level"
    assert all(step > 0 for step in steps) if plant["side"] == "B" else all(step < 0 for step in steps)
    assert own["sweep_level_count"].to_list() == [len(trades)] * len(own)
    resting = "A" if plant["side"] == "B" else "B"
    rows = at(day.table("wall_surface_1s"), plant["t0_ns"]).filter(pl.col("side") == resting)
    for trade in own.iter_rows(named=True):
        level = rows.filter(pl.col("price_int") == trade["price_int"])
        assert level["fill_qty"].sum() >= trade["qty"], "filled at every level it took"


def stop_cascade(day: Day, plant: Plant) -> None:
    """Stops wait below the touch and are set off inside the event of whoever trades there first."""
    trades = day.table("trade_event").filter(
        pl.col("ts_event_ns").is_between(plant["t0_ns"], plant["t0_ns"] + 60 * SECOND_NS)
    )
    starter = pl.col("order_id").first().over("ts_event_ns")
    stops = trades.filter(pl.col("order_id") != starter)
    assert (stops["aggressor_side"] == plant["side"]).all()
    assert (stops["order_id"] < trades["order_id"].max()).all(), (
        "a stop is older than the order that set it off"
    )
    lots = stops.group_by("order_id").agg(pl.col("qty").sum())
    assert lots["qty"].to_list() == [plant["qty"] // 3] * 3, "three stops, each an aggressor of its own"
    for trade in stops.iter_rows(named=True):
        level = at(day.table("wall_surface_1s"), trade["ts_event_ns"]).filter(
            (pl.col("side") == "B") & (pl.col("price_int") == trade["price_int"])
        )
        assert level["fill_qty"].sum() >= trade["qty"]


def aggressive_modify(day: Day, plant: Plant) -> None:
    rows = ledger(day, plant)
    (order,) = day.orders_of(plant).to_dicts()
    old = rows.filter(pl.col("price_int") == order["price_path_int"][0])
    filled_before = old["fill_qty"].sum()
    assert old["add_qty"].sum() == plant["qty"]
    assert old["pull_qty_total"].sum() == plant["qty"] - filled_before, "its own fill is no fill of the book"
    trades = day.table("trade_event").filter(pl.col("order_id") == order["order_id"])
    assert trades["qty"].sum() > 0, "it traded as the aggressor"
    if len(order["price_path_int"]) > 1:
        new = rows.filter(pl.col("price_int") == order["price_path_int"][1])
        left = plant["qty"] - filled_before - trades["qty"].sum()
        assert new["add_qty"].sum() == left, "what did not trade rests at the new price"


# ---- times -----------------------------------------------------------------------------------------------


def boundary_event(day: Day, plant: Plant) -> None:
    assert plant["t0_ns"] % SECOND_NS == 0
    rows = ledger(day, plant)
    added = rows.filter(pl.col("add_qty") > 0)
    assert added["window_end_ts_ns"].to_list() == [plant["t0_ns"] + SECOND_NS], "the later window"
    assert added["add_qty"].to_list() == [plant["qty"]]


def boundary_arrival(day: Day, plant: Plant) -> None:
    records = day.records
    ts = trades_at(day, plant["t0_ns"], plant["side"])["ts_event_ns"][0]
    event = records[records["ts_event"] == ts]
    trade = event[event["action"] == ACTION_TRADE]
    change = event[(event["action"] == ACTION_CANCEL) | (event["action"] == ACTION_MODIFY)]
    received = [int(part["ts_recv"][0]) // SECOND_NS for part in (trade, change)]
    assert received[0] < received[1], "the trade arrives in one second, what it did to the book in the next"
    rows = at(day.table("wall_surface_1s"), int(ts)).filter(pl.col("side") != plant["side"])
    rows = rows.filter(pl.col("price_int") == int(trade["price"][0]))
    assert rows["fill_qty"].sum() >= plant["qty"], "both count when the exchange matched them"


def quiet_gap(day: Day, plant: Plant) -> None:
    inside = pl.col("window_end_ts_ns").is_between(plant["t0_ns"] + SECOND_NS, plant["t1_ns"])
    windows = day.table("book_snapshot_1s").filter(inside)
    assert len(windows) == (plant["t1_ns"] - plant["t0_ns"]) // SECOND_NS > 60, "a row for every second"
    assert windows["event_count"].sum() == windows["trade_count"].sum() == 0
    assert windows["book_valid"].all()
    rows = day.table("wall_surface_1s").filter(inside)
    assert sums(rows) == (0, 0, 0)
    assert (rows["depth_qty_start"] == rows["depth_qty_end"]).all()
    later = rows.filter(pl.col("window_end_ts_ns") > plant["t0_ns"] + 3 * SECOND_NS)
    assert later.select(pl.col("d1_depth_qty", "d2_depth_qty", "d3_depth_qty").abs().sum()).row(0) == (
        0,
        0,
        0,
    )
    assert later["window_valid"].all()


def burst_second(day: Day, plant: Plant) -> None:
    records = day.records
    inside = (records["ts_event"] >= plant["t0_ns"]) & (records["ts_event"] < plant["t1_ns"])
    assert np.count_nonzero(inside) >= plant["qty"]
    window = at(day.table("book_snapshot_1s"), plant["t0_ns"])
    truth = at(day.truth("window_1s"), plant["t0_ns"])
    assert window["event_count"].item() == truth["event_count"].item() > 0.5 * plant["qty"]
    assert at(day.table("wall_surface_1s"), plant["t0_ns"])["window_valid"].all()


# ---- the opening -----------------------------------------------------------------------------------------


def crossed_pre_open(day: Day, plant: Plant) -> None:
    windows = day.table("book_snapshot_1s").filter(
        pl.col("window_end_ts_ns").is_between(plant["t0_ns"] + 5 * SECOND_NS, plant["t1_ns"])
    )
    assert len(windows) > 30
    assert not windows["book_valid"].any(), "crossed until the auction"
    assert set(windows["phase"]) == {"pre_open"}
    assert (windows["best_bid_price_int"] >= windows["best_ask_price_int"]).all()
    assert (windows["spot_ref_price_int"] == 0).all(), "no spot comes from a crossed book"
    assert day.counters()["crossed_pre_open"] == windows["crossed_event_count"].sum() + (
        day.table("book_snapshot_1s")
        .filter(pl.col("window_end_ts_ns") < plant["t0_ns"] + 5 * SECOND_NS)["crossed_event_count"]
        .sum()
    )


def auction(day: Day, plant: Plant) -> None:
    trade = day.table("trade_event").row(0, named=True)
    assert (trade["is_auction"], trade["aggressor_side"], trade["order_id"]) == (True, "N", 0)
    assert trade["ts_event_ns"] // SECOND_NS == plant["t0_ns"] // SECOND_NS
    assert trade["resting_fill_qty"] == 2 * trade["qty"]
    window = at(day.table("book_snapshot_1s"), plant["t0_ns"])
    truth = at(day.truth("trades_1s"), plant["t0_ns"])
    assert window["phase"].item() == "open"
    assert truth["none_qty"].item() == trade["qty"]
    assert (
        window["buy_qty"].item() + window["sell_qty"].item() == (truth["buy_qty"] + truth["sell_qty"]).item()
    )
    walls = day.table("wall_surface_1s")
    assert not at(walls, plant["t0_ns"])["window_valid"].any(), "it began crossed"
    assert at(walls, plant["t0_ns"] + SECOND_NS)["window_valid"].all()
    assert at(walls, plant["t0_ns"])["fill_qty"].sum() >= 2 * trade["qty"], "both sides are filled"


# ---- all of them -----------------------------------------------------------------------------------------

CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (
        wall_filled,
        wall_pulled,
        wall_eroded,
        wall_relocated,
        flash_add,
        vacuum,
        self_match,
        iceberg,
        sweep,
        stop_cascade,
        aggressive_modify,
        boundary_event,
        boundary_arrival,
        quiet_gap,
        burst_second,
        crossed_pre_open,
        auction,
    )
}
OF_OPTIONS = {"option_vol_jump", "open_interest_spike"}


@pytest.mark.parametrize("kind", CHECKS)
def test_a_plant_looks_in_silver_as_it_was_planted(kind: str, tiny: Day, opening: Day, small: Day) -> None:
    met = [(day, plant) for day in (tiny, opening, small) for plant in day.plants(kind)]
    assert met, f"no day has a plant of kind {kind}"
    for day, plant in met:
        CHECKS[kind](day, plant)


def test_no_kind_of_plant_goes_unchecked(day: Day) -> None:
    assert set(day.truth("plants")["kind"]) - OF_OPTIONS <= set(CHECKS)


def test_what_a_plant_did_is_part_of_the_surface_of_everybody(day: Day) -> None:
    seen = 0
    for plant in day.truth("plants").iter_rows(named=True):
        if day.orders_of(plant).is_empty() or plant["kind"] in ("crossed_pre_open", "burst_second"):
            continue
        mine = ledger(day, plant)
        everybody = mine.select(KEY + FLOW + ["depth_qty_end"]).join(
            day.table("wall_surface_1s").filter(
                pl.col("window_end_ts_ns").is_in(mine["window_end_ts_ns"].to_list())
            ),
            on=KEY,
            how="left",
            suffix="_all",
        )
        for column in [*FLOW, "depth_qty_end"]:
            assert (everybody[column] <= everybody[f"{column}_all"].fill_null(-1)).all(), (plant, column)
        seen += len(mine)
    assert seen > 50
