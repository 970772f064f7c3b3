"""The simulator's memory against a plain replay of its records: equal, to the lot, at every second."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from simex.day import SimResult
from tests.simex.plain import Replay


def rows(folder: Path, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(folder / f"truth_{name}.parquet").to_pylist()
    assert found
    return found


@pytest.fixture(params=["tiny", "opening"])
def both(request: pytest.FixtureRequest) -> tuple[SimResult, Replay]:
    return request.getfixturevalue(request.param), request.getfixturevalue(f"{request.param}_replay")


def test_book_of_every_second_equals_truth(both: tuple[SimResult, Replay]) -> None:
    result, found = both
    truth: dict[int, dict[tuple[str, int], tuple[int, int]]] = defaultdict(dict)
    for row in rows(result.truth_dir, "book_1s"):
        truth[row["window_end_ts_ns"]][row["side"], row["price_int"]] = row["qty"], row["order_count"]
    assert len(truth) == 120
    assert truth == found.book


def test_flow_of_every_level_and_second_equals_truth(both: tuple[SimResult, Replay]) -> None:
    result, found = both
    truth = {
        (row["window_end_ts_ns"], row["side"], row["price_int"]): [
            row["added"] + row["moved_in"],
            row["pulled"] + row["moved_out"],
            row["filled"],
        ]
        for row in rows(result.truth_dir, "flow_1s")
    }
    assert truth == {key: flow for key, flow in found.flow.items() if any(flow)}


def test_flow_identity_holds_per_level(tiny: SimResult) -> None:
    depth: dict[tuple[str, int], dict[int, int]] = defaultdict(dict)
    for row in rows(tiny.truth_dir, "book_1s"):
        depth[row["side"], row["price_int"]][row["window_end_ts_ns"]] = row["qty"]
    start = tiny.meta["start_ts_ns"]
    checked = 0
    for row in rows(tiny.truth_dir, "flow_1s"):
        end = row["window_end_ts_ns"]
        if end == start + 1_000_000_000:
            continue  # the book before the first second is the snapshot, not a row
        levels = depth[row["side"], row["price_int"]]
        change = row["added"] - row["pulled"] - row["filled"] + row["moved_in"] - row["moved_out"]
        assert levels.get(end, 0) == levels.get(end - 1_000_000_000, 0) + change
        checked += 1
    assert checked > 10_000


def test_trades_and_events_of_every_second_equal_truth(both: tuple[SimResult, Replay]) -> None:
    result, found = both
    for row in rows(result.truth_dir, "trades_1s"):
        end = row["window_end_ts_ns"]
        traded = [row["buy_qty"], row["sell_qty"], row["none_qty"], row["trade_count"]]
        assert traded == found.trades.get(end, [0, 0, 0, 0])
        assert row["event_count"] == found.events[end]


def test_windows_tell_phase_and_crossings(opening: SimResult, opening_replay: Replay) -> None:
    windows = rows(opening.truth_dir, "window_1s")
    assert [w["phase"] for w in windows] == ["pre_open"] * 60 + ["open"] * 60
    assert [w["crossed_event_count"] for w in windows] == [
        opening_replay.crossed[w["window_end_ts_ns"]] for w in windows
    ]
    assert sum(w["crossed_event_count"] for w in windows[:60]) > 50
    assert sum(w["crossed_event_count"] for w in windows[60:]) == 0


def test_orders_tell_how_each_one_ended(tiny: SimResult) -> None:
    orders = rows(tiny.truth_dir, "orders")
    assert len({order["order_id"] for order in orders}) == len(orders)
    ends = Counter(order["end_reason"] for order in orders)
    assert set(ends) == {"resting", "filled", "cancelled", "self-match"}
    last = max(row["window_end_ts_ns"] for row in rows(tiny.truth_dir, "book_1s"))
    resting = sum(
        row["order_count"] for row in rows(tiny.truth_dir, "book_1s") if row["window_end_ts_ns"] == last
    )
    assert ends["resting"] == resting
    assert any(len(order["price_path_int"]) > 3 for order in orders)
    assert all(order["leave_ts_ns"] >= order["enter_ts_ns"] for order in orders if order["leave_ts_ns"])


def flow_of(result: SimResult, plant: dict[str, Any]) -> list[dict[str, Any]]:
    first = plant["t0_ns"] // 1_000_000_000
    last = plant["t1_ns"] // 1_000_000_000 + 2
    return [
        row
        for row in rows(result.truth_dir, "flow_1s")
        if first < row["window_end_ts_ns"] // 1_000_000_000 <= last and row["price_int"] == plant["price_int"]
    ]


def test_planted_walls_leave_as_they_were_planted(tiny: SimResult) -> None:
    plants = {plant["kind"]: plant for plant in rows(tiny.truth_dir, "plants")}
    filled = flow_of(tiny, plants["wall_filled"])
    assert sum(row["filled"] for row in filled if row["side"] == "A") >= 300
    pulled = flow_of(tiny, plants["wall_pulled"])
    assert max(row["pulled"] for row in pulled if row["side"] == "B") >= 500
    moved = flow_of(tiny, plants["wall_relocated"])
    assert max(row["moved_out"] for row in moved if row["side"] == "B") >= 250


def test_every_kind_of_plant_of_the_preset_is_there(tiny: SimResult) -> None:
    kinds = {plant["kind"] for plant in rows(tiny.truth_dir, "plants")}
    assert kinds == {
        "wall_filled", "wall_pulled", "wall_eroded", "wall_relocated", "vacuum", "flash_add", "iceberg",
        "sweep", "aggressive_modify", "self_match", "boundary_event", "boundary_arrival", "option_vol_jump",
        "open_interest_spike",
    }  # fmt: skip
