"""Status messages, recovery snapshots and MAYBE_BAD_BOOK: what they invalidate, and what stays true."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from tests.truth.conftest import Variant
from tests.truth.days import DT, SECOND_NS, SYMBOL, Day, assert_same, simulated
from tests.truth.test_silver import (
    KEY,
    WINDOW,
    in_view,
    test_depth_at_the_end_of_every_second_is_the_book_of_the_exchange,
    test_lots_at_the_touch_are_those_of_the_exchange,
)

FLOW = ["add_qty", "pull_qty_total", "fill_qty"]


def invalid_windows(day: Day) -> list[int]:
    """Ends of the windows whose wall rows are marked invalid, in seconds from the start of the day."""
    rows = day.table("wall_surface_1s").filter(~pl.col("window_valid"))
    return [(end - day.start_ns) // SECOND_NS for end in rows["window_end_ts_ns"].unique().sort()]


def assert_flow_equals_truth_but_in(day: Day, skipped_s: list[int]) -> None:
    skipped = [day.start_ns + end * SECOND_NS for end in skipped_s]
    truth = in_view(day, day.truth("flow_1s")).with_columns(
        add_qty=pl.col("added") + pl.col("moved_in"),
        pull_qty_total=pl.col("pulled") + pl.col("moved_out"),
        fill_qty="filled",
    )
    rows = day.table("wall_surface_1s").with_columns(pl.col(FLOW).cast(pl.Int64))
    keep = ~pl.col("window_end_ts_ns").is_in(skipped) & pl.any_horizontal(pl.col(FLOW) > 0)
    assert_same(rows.filter(keep), truth.filter(keep), KEY, FLOW, at_least=1_500)


def test_phases_come_from_the_status_messages(tmp_path: Path, opening: Day) -> None:
    day = simulated(tmp_path, start="22:59:00", with_=("decoys", "status"))
    assert day.lake.manifest("bronze.shared.status", SYMBOL, DT).row_count >= 2
    inputs = day.lake.manifest("silver.future_mbo.book_snapshot_1s", SYMBOL, DT).inputs
    assert "bronze.shared.status" in {record["dataset"] for record in inputs}
    rows = day.table("book_snapshot_1s")
    truth = day.truth("window_1s").join(rows, on=WINDOW, how="semi")
    assert_same(rows, truth, WINDOW, ["phase"], at_least=60)
    assert set(rows["phase"]) == {"pre_open", "open"}
    assert not opening.lake.has("bronze.shared.status", SYMBOL, DT), "without messages the calendar tells"


def test_a_recovery_snapshot_invalidates_its_own_second_and_nothing_else(variant: Variant) -> None:
    day = variant(with_=("decoys", "recovery"))
    assert (day.counters()["snapshots"], day.counters()["snapshot_not_add"]) == (2, 0)
    assert invalid_windows(day) == [73], "60 % of 120 s, and the snapshot arrives in the second after"
    assert day.table("book_snapshot_1s")["book_valid"].all()
    test_depth_at_the_end_of_every_second_is_the_book_of_the_exchange(day)
    test_lots_at_the_touch_are_those_of_the_exchange(day)
    assert_flow_equals_truth_but_in(day, [73])


def test_a_doubtful_book_is_invalid_until_the_next_snapshot(variant: Variant) -> None:
    day = variant(with_=("decoys", "badbook"))
    doubtful = day.table("book_snapshot_1s").filter(~pl.col("book_valid"))["window_end_ts_ns"].to_list()
    assert [(end - day.start_ns) // SECOND_NS for end in doubtful] == [49, 50, 51, 52, 53]
    assert invalid_windows(day) == [49, 50, 51, 52, 53, 54], "and the second in which the snapshot arrives"
    test_depth_at_the_end_of_every_second_is_the_book_of_the_exchange(day)
    assert_flow_equals_truth_but_in(day, [54])
