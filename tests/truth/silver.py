"""Comparisons of Silver with the truth that several tests make."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from data_eng.units import HUD_MAX_TICKS, TICK_INT
from tests.truth.days import SECOND_NS, Day, assert_same

KEY = ["window_end_ts_ns", "side", "price_int"]
WINDOW = ["window_end_ts_ns"]
FLOW = ["add_qty", "pull_qty_total", "fill_qty"]


def in_view(day: Day, truth: pl.DataFrame) -> pl.DataFrame:
    """Rows of truth at prices that the wall of their window shows: within 600 ticks of its spot."""
    spot = day.table("book_snapshot_1s").select("window_end_ts_ns", "spot_ref_price_int")
    reach = HUD_MAX_TICKS * TICK_INT
    return truth.join(spot, on="window_end_ts_ns").filter(
        (pl.col("spot_ref_price_int") > 0)
        & ((pl.col("price_int") - pl.col("spot_ref_price_int")).abs() <= reach)
    )


def assert_touch_is_true(day: Day) -> None:
    """Lots at the best bid and ask, every second."""
    touch = day.truth("book_1s").select("window_end_ts_ns", "side", "price_int", best="qty")
    for side, name in (("B", "bid"), ("A", "ask")):
        rows = day.table("book_snapshot_1s").select(
            "window_end_ts_ns",
            price_int=f"best_{name}_price_int",
            best=pl.col(f"best_{name}_qty").cast(pl.Int64),
        )
        mine = touch.filter(pl.col("side") == side)
        wanted = rows.select("window_end_ts_ns", "price_int").join(
            mine, on=["window_end_ts_ns", "price_int"], how="inner"
        )
        assert_same(rows, wanted, ["window_end_ts_ns", "price_int"], ["best"], at_least=60)


def assert_depth_is_true(day: Day) -> None:
    """Lots at every level in view at the end of every second."""
    rows = day.table("wall_surface_1s").with_columns(qty=pl.col("depth_qty_end").cast(pl.Int64))
    truth = in_view(day, day.truth("book_1s"))
    assert_same(rows.filter(pl.col("qty") > 0), truth, KEY, ["qty"], at_least=30_000)


def assert_flow_is_true(day: Day, *, but_in: Sequence[int] = ()) -> None:
    """Lots added, pulled and filled at every level in view; `but_in`: ends of seconds to leave out."""
    left_out = [day.start_ns + end * SECOND_NS for end in but_in]
    rows = day.table("wall_surface_1s").with_columns(pl.col(FLOW).cast(pl.Int64))
    truth = in_view(day, day.truth("flow_1s")).with_columns(
        add_qty=pl.col("added") + pl.col("moved_in"),
        pull_qty_total=pl.col("pulled") + pl.col("moved_out"),
        fill_qty="filled",
    )
    some = ~pl.col("window_end_ts_ns").is_in(left_out) & pl.any_horizontal(pl.col(FLOW) > 0)
    assert_same(rows.filter(some), truth.filter(some), KEY, FLOW, at_least=1_500)
    assert all(truth[column].sum() > 500 for column in FLOW)
