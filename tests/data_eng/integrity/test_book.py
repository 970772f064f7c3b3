"""The data integrity check: a coherent set passes, and every check has a table that breaks it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from data_eng.errors import MissingDataError
from data_eng.integrity.book import check_futures_book
from data_eng.integrity.findings import Report
from data_eng.integrity.rebuild import sample_windows
from data_eng.integrity.rows import Rows

from .tables import (
    BRONZE,
    DT,
    RADAR,
    SNAP,
    SYMBOL,
    T0,
    TICK,
    TRADES,
    WALL,
    WINDOWS,
    MemoryLake,
    book_lake,
)

SECOND = 10**9


def report(lake: MemoryLake, **options: object) -> Report:
    return check_futures_book(lake, SYMBOL, DT, **options)  # type: ignore[arg-type]  # options are named per test


def failing(found: Report) -> set[str]:
    return {check.name for check in found.failed}


def end_of(window: int) -> int:
    return T0 + (window + 1) * SECOND


def far_ask(lake: MemoryLake, window: int) -> int:
    """Row of the lone ask far from spot: it belongs to no zone, quote or flow."""
    wall = lake.tables[WALL]
    mask = pc.and_(pc.equal(wall["window_end_ts_ns"], end_of(window)), pc.greater(wall["rel_ticks"], 500))
    return pc.index(mask, True).as_py()


def bumped(dataset: str, column: str, row: int, by: float = 1) -> Callable[[MemoryLake], MemoryLake]:
    return lambda lake: lake.with_cell(dataset, column, row, lake.cell(dataset, column, row) + by)


def bumped_far_ask(column: str, window: int, by: int) -> Callable[[MemoryLake], MemoryLake]:
    return lambda lake: bumped(WALL, column, far_ask(lake, window), by)(lake)


def counted(**counters: int) -> Callable[[MemoryLake], MemoryLake]:
    return lambda lake: lake.with_manifest(SNAP, counters={**lake.manifests[SNAP].counters, **counters})


def without_counter(lake: MemoryLake) -> MemoryLake:
    kept = {k: v for k, v in lake.manifests[SNAP].counters.items() if k != "crossed_open"}
    return lake.with_manifest(SNAP, counters=kept)


def with_valid_pre_open(lake: MemoryLake) -> MemoryLake:
    valid = lake.tables[WALL]["window_valid"].to_pylist()
    in_window = [end == end_of(1) for end in lake.tables[WALL]["window_end_ts_ns"].to_pylist()]
    made = pa.array([v or w for v, w in zip(valid, in_window, strict=True)])
    index = lake.tables[WALL].schema.get_field_index("window_valid")
    return lake.with_table(
        WALL, lake.tables[WALL].set_column(index, lake.tables[WALL].schema.field(index), made)
    )


def with_empty_row(lake: MemoryLake) -> MemoryLake:
    row = far_ask(lake, 20)
    lake = lake.with_row_repeated(WALL, row)
    for name in lake.tables[WALL].schema.names:
        if name == "price_int":
            lake = bumped(WALL, name, row + 1, TICK)(lake)
        elif name == "rel_ticks":
            lake = bumped(WALL, name, row + 1)(lake)
        elif "qty" in name:
            lake = lake.with_cell(WALL, name, row + 1, 0)
    return lake


def with_crossed_row(lake: MemoryLake) -> MemoryLake:
    return lake.with_cell(SNAP, "best_bid_price_int", 20, lake.cell(SNAP, "best_ask_price_int", 20))


LAST = WINDOWS - 1

CASES: list[tuple[str, Callable[[MemoryLake], MemoryLake], set[str], str]] = [
    (
        "tables of two engine passes",
        lambda lake: lake.with_manifest(WALL, engine_run="run-2"),
        {"one_engine_run"},
        "wall_surface_1s has engine_run run-2",
    ),
    (
        "a window that starts elsewhere",
        bumped(SNAP, "window_start_ts_ns", 20),
        {"snapshot_window_axis"},
        f"window_end {end_of(20)}: starts at",
    ),
    (
        "a crossed event in an open window",
        lambda lake: counted(crossed_open=1)(lake.with_cell(SNAP, "crossed_event_count", 19, 1)),
        {"open_windows_uncrossed", "crossing_counters", "wall_validity"},
        f"window_end {end_of(19)}: 1 crossed",
    ),
    (
        "a crossing counted but in no row",
        counted(crossed_open=1),
        {"crossing_counters"},
        "counter crossed_open is 1",
    ),
    ("an absent counter", without_counter, {"crossing_counters"}, "no counter crossed_open"),
    ("events that do not add up", counted(events=1), {"crossing_counters"}, "the counter says 1"),
    (
        "a valid row with bid = ask",
        with_crossed_row,
        {"valid_rows_uncrossed", "mid_is_half", "best_quotes_in_wall"},
        f"window_end {end_of(20)}: bid",
    ),
    (
        "a spot that is not the last trade",
        bumped(SNAP, "last_trade_price_int", 20, TICK),
        {"spot_rule"},
        f"window_end {end_of(20)}: spot",
    ),
    (
        "a mid rounded away",
        bumped(SNAP, "mid_price_int", 20),
        {"mid_is_half"},
        f"window_end {end_of(20)}: mid_price_int",
    ),
    (
        "lots without a price",
        lambda lake: lake.with_cell(SNAP, "best_bid_price_int", 20, 0),
        {"snapshot_quantities", "mid_is_half", "best_quotes_in_wall"},
        f"window_end {end_of(20)}",
    ),
    (
        "availability that falls",
        lambda lake: lake.with_cell(SNAP, "available_ts_ns", 20, T0),
        {"available_never_falls"},
        f"window_end {end_of(20)}: {T0}",
    ),
    (
        "a trade of another size",
        bumped(TRADES, "qty", 3),
        {"trades_equal_snapshot"},
        "trade counts differ",
    ),
    ("a trade index skipped", bumped(TRADES, "trade_idx", 121), {"trade_rows"}, "row 121"),
    (
        "a trade row lost",
        lambda lake: lake.without_row(TRADES, 121),
        {"trade_rows", "trades_equal_snapshot"},
        "bronze has 122 T records",
    ),
    (
        "a wall row twice",
        lambda lake: lake.with_row_repeated(WALL, far_ask(lake, 20)),
        {"wall_key"},
        f"window_end {end_of(20)} ask 4947.50",
    ),
    (
        "a wall row of another start",
        bumped_far_ask("window_start_ts_ns", 20, 1),
        {"wall_windows"},
        f"window_end {end_of(20)} ask 4947.50",
    ),
    (
        "a wall row of another spot",
        bumped_far_ask("spot_ref_price_int", 20, TICK),
        {"wall_spot", "wall_rel_ticks"},
        f"window_end {end_of(20)} ask 4947.50",
    ),
    (
        "a distance one tick off",
        bumped_far_ask("rel_ticks", 20, 1),
        {"wall_rel_ticks"},
        f"window_end {end_of(20)} ask 4947.50",
    ),
    (
        "a negative quantity",
        lambda lake: lake.with_cell(WALL, "pull_qty_rest", far_ask(lake, 20), -1),
        {"wall_quantities"},
        "pull_qty_rest -1",
    ),
    ("a row of nothing", with_empty_row, {"wall_rows_not_empty"}, "ask 4947.75"),
    ("an add too many", bumped_far_ask("add_qty", 20, 1), {"wall_identity"}, "add_qty 1"),
    (
        "more rest than depth",
        bumped_far_ask("depth_qty_rest", 20, 1),
        {"wall_rest_within_total"},
        "depth_qty_rest 41",
    ),
    (
        "more resting pulls than pulls",
        bumped_far_ask("pull_qty_rest", 20, 1),
        {"wall_rest_within_total"},
        "pull_qty_rest 1",
    ),
    (
        "a start that is not the end before",
        lambda lake: bumped_far_ask("add_qty", 20, -1)(bumped_far_ask("depth_qty_start", 20, 1)(lake)),
        {"wall_start_is_previous_end", "wall_derivatives", "wall_quantities"},
        "depth_qty_start 41",
    ),
    (
        "a wrong d1",
        bumped_far_ask("d1_depth_qty", 20, 1),
        {"wall_derivatives"},
        f"window_end {end_of(20)} ask 4947.50",
    ),
    ("a wrong d3", bumped_far_ask("d3_depth_qty", 26, 1), {"wall_derivatives"}, f"window_end {end_of(26)}"),
    (
        "a difference across a reset",
        bumped_far_ask("d3_depth_qty", 30, 1),
        {"wall_derivatives"},
        f"window_end {end_of(30)}",
    ),
    (
        "a difference in the first window",
        bumped_far_ask("d3_depth_qty", 0, 1),
        {"wall_derivatives"},
        f"window_end {end_of(0)}",
    ),
    ("a valid pre-open window", with_valid_pre_open, {"wall_validity"}, f"window_end {end_of(1)}"),
    (
        "a window half valid",
        lambda lake: lake.with_cell(WALL, "window_valid", far_ask(lake, 20), False),
        {"wall_validity_uniform"},
        f"window_end {end_of(20)}",
    ),
    (
        "a wall row lost",
        lambda lake: lake.without_row(WALL, far_ask(lake, 20)),
        {"wall_no_row_missing", "wall_start_is_previous_end"},
        f"window_end {end_of(19)} ask 4947.50",
    ),
    (
        "a wall row lost behind a block border",
        lambda lake: lake.without_row(WALL, far_ask(lake, 25)),
        {"wall_no_row_missing", "wall_start_is_previous_end"},
        f"window_end {end_of(24)} ask 4947.50",
    ),
    (
        "a best bid of other size",
        bumped(SNAP, "best_bid_qty", 20),
        {"best_quotes_in_wall"},
        f"window_end {end_of(20)} bid: wall",
    ),
    (
        "a radar row lost",
        lambda lake: lake.without_row(RADAR, LAST),
        {"radar_windows"},
        f"window_end {end_of(LAST)}: no radar row",
    ),
    (
        "a radar row twice",
        lambda lake: lake.with_row_repeated(RADAR, LAST),
        {"radar_key", "radar_derivatives"},
        f"row {LAST + 1}",
    ),
    (
        "a radar spot in points",
        bumped(RADAR, "spot_ref_price", 20),
        {"radar_spot"},
        f"window_end {end_of(20)}",
    ),
    (
        "a NaN feature",
        lambda lake: lake.with_cell(RADAR, "d3_u13_bid_add_intensity_log", 20, math.nan),
        {"radar_finite", "radar_derivatives"},
        f"window_end {end_of(20)} d3_u13_bid_add_intensity_log is nan",
    ),
    (
        "a wrong slope",
        bumped(RADAR, "f1_ask_slope_convex_log", LAST, 1e-9),
        {"radar_from_wall", "radar_relations", "radar_derivatives"},
        f"window_end {end_of(LAST)} f1_ask_slope_convex_log",
    ),
    (
        "a wrong nearest ask",
        bumped(RADAR, "f8_ask_bbo_dist_ticks", LAST),
        {"radar_from_wall", "radar_relations", "radar_derivatives"},
        f"window_end {end_of(LAST)} f8_ask_bbo_dist_ticks",
    ),
    (
        "a wrong sum",
        bumped(RADAR, "u17_up_total_log", LAST),
        {"radar_relations", "radar_derivatives"},
        f"window_end {end_of(LAST)} u17_up_total_log",
    ),
    (
        "a wrong radar d1",
        bumped(RADAR, "d3_f7_vacuum_total_log", 20),
        {"radar_derivatives"},
        f"window_end {end_of(20)} d3_f7_vacuum_total_log",
    ),
    (
        "a radar difference across a reset",
        bumped(RADAR, "d3_f7_vacuum_total_log", 30),
        {"radar_derivatives"},
        f"window_end {end_of(30)} d3_f7_vacuum_total_log",
    ),
    (
        "a wrong direction",
        lambda lake: lake.with_cell(RADAR, "approach_dir", 2, "approach_up"),
        {"radar_approach"},
        f"window_end {end_of(2)}: approach_up, wanted approach_none",
    ),
    (
        "an identity alarm of the engine",
        counted(identity_violations=2),
        {"engine_alarms"},
        "identity_violations is 2",
    ),
]


def test_a_coherent_set_passes_every_check() -> None:
    found = report(book_lake())
    assert found.passed, found.lines()
    assert found.lines()[-1].startswith("PASS: ")
    assert (found.windows, found.rows) == (WINDOWS, book_lake().tables[WALL].num_rows)
    assert all(check.looked_at > 0 for check in found.checks if check.severity == "fail")


def test_every_window_of_a_coherent_set_can_be_rebuilt() -> None:
    found = report(book_lake(), samples=WINDOWS)
    assert found.passed, found.lines()
    assert found.check("rebuilt_wall").looked_at == book_lake().tables[WALL].num_rows


@pytest.mark.parametrize("batch_rows", [1, 7, 100_000])
def test_the_batch_size_changes_no_finding(batch_rows: int) -> None:
    assert report(replace(book_lake(), batch_rows=batch_rows)).to_json() == report(book_lake()).to_json()


@pytest.mark.parametrize(
    ("mutate", "wanted", "offender"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_one_wrong_cell_fails_exactly_the_checks_that_own_it(
    mutate: Callable[[MemoryLake], MemoryLake], wanted: set[str], offender: str
) -> None:
    found = report(mutate(book_lake()), seed=SEED)
    assert failing(found) == wanted, found.lines()
    assert any(offender in text for check in found.failed for text in check.offenders), found.lines()
    assert found.lines()[-1].startswith("FAIL: ")


SEED = 1
"""its five windows are none of those that the cases change"""


def test_cases_change_no_sampled_window() -> None:
    sampled = sample_windows(Rows.from_arrow(book_lake().tables[SNAP]), 5, SEED)
    assert not {(end - T0) // SECOND - 1 for end in sampled} & {0, 1, 2, 19, 20, 24, 25, 26, 30, LAST}


def test_every_check_has_a_case_that_breaks_it() -> None:
    covered = set().union(*(case[2] for case in CASES))
    own_tests = {"enough_seen", "wall_rows_per_valid_window", "rebuilt_wall", "rebuilt_snapshot"}
    names = {check.name for check in report(book_lake()).checks if check.severity == "fail"}
    assert names == covered | own_tests


def test_a_wrong_rest_is_found_by_the_rebuild_alone() -> None:
    lake = bumped_far_ask("depth_qty_rest", 20, -1)(book_lake())
    found = report(lake, samples=WINDOWS)
    assert failing(found) == {"rebuilt_wall"}
    assert "depth_qty_rest is 39, rebuilt 40" in found.check("rebuilt_wall").offenders[0]


def test_a_wrong_availability_is_found_by_the_rebuild_alone() -> None:
    found = report(bumped(SNAP, "available_ts_ns", LAST)(book_lake()), samples=WINDOWS)
    assert failing(found) == {"rebuilt_snapshot"}
    assert "available_ts_ns" in found.check("rebuilt_snapshot").offenders[0]


def test_bronze_that_ends_early_cannot_vouch_for_later_windows() -> None:
    lake = book_lake().with_table(BRONZE, book_lake().tables[BRONZE].slice(0, 200))
    found = report(lake, samples=WINDOWS)
    assert {"rebuilt_wall", "trade_rows"} <= failing(found)
    assert any("could be rebuilt" in t or "never reaches" in t for t in found.check("rebuilt_wall").offenders)


def test_more_open_windows_can_be_demanded_than_there_are() -> None:
    found = report(book_lake(), min_open_windows=WINDOWS)
    assert failing(found) == {"enough_seen"}
    assert f"wanted at least {WINDOWS}" in found.check("enough_seen").offenders[0]


def test_a_larger_valid_share_can_be_demanded_than_there_is() -> None:
    assert failing(report(book_lake(), min_valid_share=0.999)) == {"enough_seen"}


def test_a_book_that_is_never_valid_does_not_pass() -> None:
    lake = book_lake()
    for dataset, column in ((SNAP, "book_valid"), (WALL, "window_valid")):
        made = lake.tables[dataset]
        index = made.schema.get_field_index(column)
        never = pa.array([False] * made.num_rows)
        lake = lake.with_table(dataset, made.set_column(index, made.schema.field(index), never))
    assert "enough_seen" in failing(report(lake))


def test_empty_tables_do_not_pass() -> None:
    lake = book_lake()
    for dataset in (BRONZE, SNAP, WALL, RADAR, TRADES):
        lake = lake.with_table(dataset, lake.tables[dataset].slice(0, 0))
    found = report(lake)
    assert not found.passed
    assert {"enough_seen", "rebuilt_wall"} <= failing(found)


def test_a_valid_window_without_wall_rows_is_named() -> None:
    wall = book_lake().tables[WALL]
    lake = book_lake().with_table(WALL, wall.filter(pc.not_equal(wall["window_end_ts_ns"], end_of(20))))
    found = report(lake)
    assert "wall_rows_per_valid_window" in failing(found)
    assert str(end_of(20)) in found.check("wall_rows_per_valid_window").offenders[0]


def test_a_second_missing_on_the_axis_is_named() -> None:
    found = report(book_lake().without_row(SNAP, 20))
    assert {"snapshot_window_axis", "wall_windows", "radar_windows"} <= failing(found)
    assert str(end_of(21)) in found.check("snapshot_window_axis").offenders[0]


def test_crossings_in_pre_open_are_told_and_legal() -> None:
    lake = counted(crossed_pre_open=1)(book_lake().with_cell(SNAP, "crossed_event_count", 1, 1))
    found = report(lake)
    assert found.passed
    assert found.check("crossings_in_pre_open").looked_at == 1


def test_oddities_of_the_feed_warn_and_do_not_fail() -> None:
    found = report(counted(late_records=2)(book_lake()))
    assert found.passed
    assert found.check("feed_oddities").offenders == ("late_records is 2",)


def test_a_narrower_session_is_judged_on_what_it_shows() -> None:
    lake = book_lake()
    cut = end_of(9)
    for dataset in (SNAP, WALL, RADAR):
        made = lake.tables[dataset]
        lake = lake.with_table(dataset, made.filter(pc.greater(made["window_end_ts_ns"], cut)))
        lake = lake.with_manifest(dataset, params={"session": "rth"})
    trades = lake.tables[TRADES]
    lake = lake.with_table(TRADES, trades.filter(pc.greater_equal(trades["ts_event_ns"], cut)))
    found = report(lake, samples=WINDOWS - 10)
    assert found.passed, found.lines()


@pytest.mark.parametrize("dataset", [BRONZE, SNAP, WALL, RADAR, TRADES])
def test_a_missing_partition_names_the_command_that_builds_it(dataset: str) -> None:
    with pytest.raises(
        MissingDataError, match=rf"{dataset}.* build: spymaster (run|ingest) --dt {DT} .*--lake lake$"
    ) as caught:
        report(book_lake().without(dataset))
    assert caught.value.exit_code == 2
