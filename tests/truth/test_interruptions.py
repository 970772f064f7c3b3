"""Status messages, recovery snapshots and MAYBE_BAD_BOOK: what they invalidate, and what stays true."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.truth.conftest import Variant
from tests.truth.days import DT, SECOND_NS, SYMBOL, Day, assert_same, simulated
from tests.truth.silver import WINDOW, assert_depth_is_true, assert_flow_is_true, assert_touch_is_true

pytestmark = pytest.mark.xdist_group("truth")  # one worker makes the days once


def invalid_windows(day: Day) -> list[int]:
    """Ends of the windows whose wall rows are marked invalid, in seconds from the start of the day."""
    rows = day.table("wall_surface_1s").filter(~pl.col("window_valid"))
    return [(end - day.start_ns) // SECOND_NS for end in rows["window_end_ts_ns"].unique().sort()]


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
    assert_depth_is_true(day)
    assert_touch_is_true(day)
    assert_flow_is_true(day, but_in=[73])


def test_a_doubtful_book_is_invalid_until_the_next_snapshot(variant: Variant) -> None:
    day = variant(with_=("decoys", "badbook"))
    doubtful = day.table("book_snapshot_1s").filter(~pl.col("book_valid"))["window_end_ts_ns"].to_list()
    assert [(end - day.start_ns) // SECOND_NS for end in doubtful] == [49, 50, 51, 52, 53]
    assert invalid_windows(day) == [49, 50, 51, 52, 53, 54], "and the second in which the snapshot arrives"
    assert_depth_is_true(day)
    assert_flow_is_true(day, but_in=[54])
