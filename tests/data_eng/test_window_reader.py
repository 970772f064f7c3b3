"""A partition held open and read by ranges of windows."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_eng.errors import LakeError, MissingDataError, UsageError
from data_eng.lake import Lake
from data_eng.schema.column import Column, Table
from tests.data_eng.lake_tables import (
    DAY,
    DT,
    FIELDS,
    PLACE,
    SECOND,
    TABLES,
    WIDE,
    open_lake,
    put,
    wide_rows,
)

EVENTS = Table(
    "silver.future_mbo.events",
    "One row per event; late ones step back in time.",
    (Column("ts_event_ns", pa.int64(), "When.", "ns UTC"), Column("n", pa.int32(), "Number.", "index")),
    key=("n",),
    free_order=True,
)
EVENT_PLACE = (EVENTS.dataset, "ESH6", DT)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = open_lake(tmp_path / "lake")
    put(lake, wide_rows(1, windows=700, first=120))
    return lake


def test_every_range_is_what_a_filter_over_the_whole_table_gives(lake: Lake) -> None:
    whole = lake.read(*PLACE)
    ends = whole["window_end_ts_ns"].to_numpy()
    reader = lake.window_reader(*PLACE)
    first, last = int(ends.min()), int(ends.max())

    @given(st.integers(-3, 705), st.integers(0, 705), st.integers(-1, 1))
    def check(start: int, windows: int, off: int) -> None:
        low = first + start * SECOND + off
        high = low + windows * SECOND
        found = reader.read(low, high, ["qty", "price_int"])
        wanted = whole.filter(pa.array((ends > low) & (ends <= high))).select(["qty", "price_int"])
        assert found.equals(wanted)

    check()
    assert reader.read(first - 1, last).equals(whole)
    assert reader.read(last, last).schema.equals(WIDE.arrow_schema)


def test_groups_tell_their_windows_and_only_those_are_read(lake: Lake) -> None:
    reader = lake.window_reader(*PLACE)
    spans = [(g.first_window_end_ts_ns, g.last_window_end_ts_ns) for g in reader.groups]
    assert spans == [
        (DAY + 121 * SECOND, DAY + 299 * SECOND),
        (DAY + 300 * SECOND, DAY + 599 * SECOND),
        (DAY + 600 * SECOND, DAY + 820 * SECOND),
    ]
    assert sum(g.rows for g in reader.groups) == lake.manifest(*PLACE).row_count
    assert reader.overlapping(DAY + 299 * SECOND, DAY + 300 * SECOND) == [1]
    assert reader.overlapping(DAY + 298 * SECOND, DAY + 600 * SECOND) == [0, 1, 2]
    assert reader.overlapping(DAY + 820 * SECOND, DAY + 900 * SECOND) == []
    batch = reader.read_group(1, ["window_end_ts_ns", "qty"])
    assert batch.schema.names == ["window_end_ts_ns", "qty"]
    assert set(reader.window_ends(batch).tolist()) == {DAY + k * SECOND for k in range(300, 600)}


def test_a_partition_that_is_swapped_is_read_to_its_end_as_it_was(lake: Lake) -> None:
    reader = lake.window_reader(*PLACE)
    before = lake.read(*PLACE)
    put(lake, wide_rows(2))
    assert not lake.read(*PLACE).equals(before)
    reader.verify()
    assert reader.read(0, 2 * DAY).equals(before)
    assert reader.manifest != lake.manifest(*PLACE)


def test_a_flipped_byte_is_found_by_verify_and_the_cure_is_named(lake: Lake) -> None:
    (file,) = lake.partition_dir(*PLACE).glob("*.parquet")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    reader = lake.window_reader(*PLACE)
    with pytest.raises(LakeError, match=r"sha256 .*rebuild it: spymaster run"):
        reader.verify()


def test_threads_may_share_a_reader(lake: Lake) -> None:
    reader, whole = lake.window_reader(*PLACE), lake.read(*PLACE)
    with ThreadPoolExecutor(8) as pool:
        assert all(t.equals(whole) for t in pool.map(lambda _: reader.read(0, 2 * DAY), range(24)))


def test_events_belong_to_the_window_of_their_time(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake", {**TABLES, EVENTS.dataset: EVENTS})
    times = [5, 0, SECOND - 1, SECOND, 3 * SECOND, 2 * SECOND, SECOND + 1]
    rows = pa.table(
        {"ts_event_ns": [DAY + t for t in times], "n": list(range(7))}, schema=EVENTS.arrow_schema
    )
    with lake.writer(*EVENT_PLACE) as writer:
        writer.write(rows)
        writer.finish(**FIELDS)
        writer.commit()
    reader = lake.window_reader(*EVENT_PLACE)
    window: Callable[[int], list[int]] = lambda k: reader.read(DAY + (k - 1) * SECOND, DAY + k * SECOND)[  # noqa: E731
        "n"
    ].to_pylist()
    assert [window(k) for k in range(1, 5)] == [[0, 1, 2], [3, 6], [5], [4]]
    assert np.array_equal(
        reader.window_ends(reader.read_group(0)), [DAY + (t // SECOND + 1) * SECOND for t in times]
    )


def test_what_is_not_there_and_what_has_no_windows_is_refused(lake: Lake) -> None:
    with pytest.raises(MissingDataError, match="spymaster run"):
        lake.window_reader(PLACE[0], "ESH6", "2026-01-07")
    with pytest.raises(UsageError, match="no windows"):
        lake.window_reader("gold.hud.metrics", "ESH6", DT)
    with pytest.raises(UsageError, match="no columns"):
        lake.window_reader(*PLACE).read(0, 1, ["nothing"])
