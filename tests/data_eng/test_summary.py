"""Figures of a stretch, on rows small enough to count by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from data_eng.schema import table
from data_eng.summary import (
    SIGHT_TICKS,
    WALL_COLUMNS,
    Nearby,
    biggest_vacuum,
    largest_walls,
    summarise,
)
from data_eng.units import TICK_INT, WINDOW_NS

BASE = 1_767_709_800 * WINDOW_NS
PRICE = 6_950_000_000_000


def row(second: int, ticks: int, side: str = "A", **values: Any) -> dict[str, Any]:
    """One wall row of spot PRICE; quantities not named are 0."""
    told = {
        "window_end_ts_ns": BASE + second * WINDOW_NS,
        "side": side,
        "price_int": PRICE + ticks * TICK_INT,
        "rel_ticks": ticks,
        "window_valid": True,
    }
    return dict.fromkeys(WALL_COLUMNS, 0) | told | values


def nearby(*rows: dict[str, Any], batches: int = 1) -> Nearby:
    """The rows in key order, in the types of the wall."""
    wall = table("wall_surface_1s").arrow_schema
    schema = pa.schema([wall.field(name).with_nullable(True) for name in WALL_COLUMNS])
    ordered = sorted(rows, key=lambda r: (r["window_end_ts_ns"], r["side"], r["price_int"]))
    whole = pa.Table.from_pylist(ordered, schema)
    size = max(1, -(-len(ordered) // batches))
    return Nearby.from_batches(whole.to_batches(max_chunksize=size))


def stood(second: int, rest: int, ticks: int = 3, **values: Any) -> dict[str, Any]:
    return row(second, ticks, depth_qty_rest=rest, depth_qty_end=rest, **values)


def test_a_wall_is_told_from_its_highest_second_to_the_one_it_fell_below_half() -> None:
    rows = [
        stood(0, 90, add_qty=90),
        stood(1, 200, add_qty=110),
        stood(2, 150, pull_qty_total=40, fill_qty=10),
        stood(3, 100, pull_qty_total=50),
        stood(4, 10, pull_qty_total=5, fill_qty=90, add_qty=5),
        stood(5, 0, pull_qty_total=10),
    ]
    (wall,) = largest_walls(nearby(*rows), 3)
    assert (wall.side, wall.price_int, wall.rel_ticks) == ("A", PRICE + 3 * TICK_INT, 3)
    assert (wall.peak_qty, wall.peak_ts_ns) == (200, BASE + WINDOW_NS)
    assert wall.stood_s == 3, "seconds 1, 2 and 3: half of the peak is still a wall"
    assert (wall.pulled, wall.filled, wall.added) == (95, 100, 5)
    assert wall.ended


def test_a_wall_that_leaves_sight_or_outlives_the_data_has_no_end() -> None:
    (wall,) = largest_walls(nearby(stood(0, 100), stood(1, 100), stood(9, 100)), 1)
    assert (wall.ended, wall.stood_s, wall.peak_ts_ns) == (False, 2, BASE)
    (wall,) = largest_walls(nearby(stood(8, 60), stood(9, 100)), 1)
    assert (wall.ended, wall.stood_s) == (False, 2)


def test_walls_come_highest_first_one_per_level_and_only_from_near_the_price() -> None:
    rows = [
        stood(0, 50, ticks=1),
        stood(1, 80, ticks=1),
        stood(1, 70, ticks=2),
        stood(1, 60, ticks=20),
        stood(1, 999, ticks=21),
        row(1, -4, "B", depth_qty_rest=75),
    ]
    walls = largest_walls(nearby(*rows), 10)
    assert [(w.side, w.rel_ticks, w.peak_qty) for w in walls] == [
        ("A", 1, 80),
        ("B", -4, 75),
        ("A", 2, 70),
        ("A", 20, 60),
    ]
    assert [w.peak_qty for w in largest_walls(nearby(*rows), 2)] == [80, 75]


def test_the_vacuum_is_the_largest_net_loss_and_not_the_end_of_an_empty_side() -> None:
    def side(second: int, before: int, after: int, pulled: int = 0, filled: int = 0) -> dict[str, Any]:
        return row(
            second,
            2,
            depth_qty_start=before,
            depth_qty_end=after,
            pull_qty_total=pulled,
            fill_qty=filled,
            add_qty=after - before + pulled + filled,
        )

    zone = nearby(
        side(0, 100, 100, pulled=500),  # much came and went: nothing is missing afterwards
        side(1, 100, 40, pulled=50, filled=20),
        side(2, 40, 100),
        side(3, 100, 60, pulled=40),
        side(4, 10, 0, pulled=10),  # a tenth of what usually stands
    )
    found = biggest_vacuum(zone)
    assert found is not None
    assert (found.side, found.window_end_ts_ns) == ("A", BASE + WINDOW_NS)
    assert (found.before, found.after, found.pulled, found.filled) == (100, 40, 50, 20)
    assert biggest_vacuum(nearby(side(0, 10, 20))) is None
    assert biggest_vacuum(nearby()) is None


def test_invalid_rows_and_rows_out_of_sight_do_not_count_however_batched() -> None:
    rows = [
        stood(0, 10),
        stood(1, 500, window_valid=False),
        stood(2, 20),
        stood(2, 30, ticks=SIGHT_TICKS),
        stood(2, 900, ticks=SIGHT_TICKS + 1),
    ]
    for batches in (1, 2, 5):
        assert nearby(*rows, batches=batches).rest.tolist() == [10, 20, 30]


@pytest.fixture
def day() -> dict[str, Any]:
    """Three seconds, the middle one invalid."""
    ends = [BASE + k * WINDOW_NS for k in range(3)]
    snapshot = pa.table(
        {
            "window_end_ts_ns": ends,
            "best_bid_price_int": [PRICE, 0, PRICE],
            "best_ask_price_int": [PRICE + TICK_INT, 0, PRICE + 2 * TICK_INT],
            "best_bid_qty": [10, 999, 20],
            "best_ask_qty": [7, 999, 7],
        }
    )
    trades = pa.table(
        {
            "price_int": [PRICE, PRICE + 4 * TICK_INT, PRICE - TICK_INT, PRICE + TICK_INT],
            "qty": [5, 1, 2, 40],
            "aggressor_side": ["B", "B", "A", "N"],
        }
    )
    scores = pa.table({"window_end_ts_ns": ends, "above_score": [0.2, 0.99, 0.4]})
    near = nearby(
        stood(0, 10, add_qty=9, pull_qty_total=2, fill_qty=1),
        stood(1, 10, add_qty=900, window_valid=False),
        stood(2, 10, add_qty=1),
        stood(2, 10, ticks=30, add_qty=77),
    )
    return {"snapshot": snapshot, "trades": trades, "nearby": near, "scores": scores}


def test_figures_of_a_stretch_count_what_is_valid(day: dict[str, Any]) -> None:
    found = summarise(**day, tick_int=TICK_INT)
    assert (found.start_ts_ns, found.end_ts_ns) == (BASE - WINDOW_NS, BASE + 2 * WINDOW_NS)
    assert (found.windows, found.valid_windows) == (3, 2)
    prices = (found.first_price_int, found.last_price_int, found.low_price_int, found.high_price_int)
    assert [(price - PRICE) // TICK_INT for price in prices] == [0, 1, -1, 4]
    assert (found.buy_qty, found.sell_qty, found.auction_qty, found.trades) == (6, 2, 40, 4)
    assert (found.median_bid_qty, found.median_ask_qty, found.one_tick_share) == (15.0, 7.0, 0.5)
    assert (found.added, found.pulled, found.filled) == (10, 2, 1), "within 20 ticks"
    assert found.score_quartiles == {"above_score": pytest.approx((0.25, 0.3, 0.35))}


def test_a_stretch_of_nothing_has_figures_too(day: dict[str, Any]) -> None:
    empty = {name: value.slice(0, 0) for name, value in day.items() if name != "nearby"}
    found = summarise(**empty, nearby=nearby(), tick_int=TICK_INT)
    assert (found.windows, found.valid_windows, found.trades, found.walls) == (0, 0, 0, ())
    assert (found.one_tick_share, found.score_quartiles, found.vacuum) == (0.0, {}, None)
    assert np.isfinite(found.median_bid_qty)
