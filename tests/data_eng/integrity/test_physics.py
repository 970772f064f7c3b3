"""The physics integrity check: a coherent set passes, and every check has a table that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from data_eng.errors import MissingDataError
from data_eng.integrity.findings import Report
from data_eng.integrity.physics import check_physics
from data_eng.integrity.rebuild import sample_windows
from data_eng.integrity.rows import Rows

from .tables import (
    BAND,
    CALIBRATION,
    CONTEXT,
    DT,
    GEX,
    HUD,
    SNAP,
    SYMBOL,
    T0,
    TRADES,
    VACUUM,
    WALL,
    WINDOWS,
    MemoryLake,
    physics_lake,
)

SECOND = 10**9
SEED = 1
GEX_ROW = 5
LAST = WINDOWS - 1


def report(lake: MemoryLake, **options: int) -> Report:
    return check_physics(lake, SYMBOL, DT, **{"seed": SEED, **options})


def failing(found: Report) -> set[str]:
    return {check.name for check in found.failed}


def end_of(window: int) -> int:
    return T0 + (window + 1) * SECOND


def far_ask(lake: MemoryLake, window: int = 20) -> int:
    """Row of the lone ask far from spot: it belongs to no band and no sampled plane."""
    rows = lake.tables[VACUUM]
    mask = pc.and_(pc.equal(rows["window_end_ts_ns"], end_of(window)), pc.greater(rows["rel_ticks"], 500))
    return pc.index(mask, True).as_py()


def bumped(dataset: str, column: str, row: int, by: float) -> Callable[[MemoryLake], MemoryLake]:
    return lambda lake: lake.with_cell(dataset, column, row, lake.cell(dataset, column, row) + by)


def bumped_vacuum(column: str, by: float) -> Callable[[MemoryLake], MemoryLake]:
    return lambda lake: bumped(VACUUM, column, far_ask(lake), by)(lake)


def ulps(count: int) -> Callable[[MemoryLake], MemoryLake]:
    """The far ask's vacuum_score, moved by so many units in the last place of float32."""

    def move(lake: MemoryLake) -> MemoryLake:
        value = np.float32(lake.cell(VACUUM, "vacuum_score", far_ask(lake)))
        for _ in range(count):
            value = np.nextafter(value, np.float32(1))
        return lake.with_cell(VACUUM, "vacuum_score", far_ask(lake), float(value))

    return move


def with_short_planes(lake: MemoryLake) -> MemoryLake:
    made = lake.tables[HUD]
    index = made.schema.get_field_index("side_u8")
    short = pa.array([value[:1200] for value in made["side_u8"].to_pylist()], pa.binary(1200))
    return lake.with_table(HUD, made.set_column(index, "side_u8", short))


def sampled_window(lake: MemoryLake) -> int:
    end = sample_windows(Rows.from_arrow(lake.tables[SNAP]), 5, SEED)[0]
    return (end - T0) // SECOND - 1


def with_wrong_pixel(lake: MemoryLake) -> MemoryLake:
    window = sampled_window(lake)
    plane = bytearray(lake.cell(HUD, "vacuum_u8", window))
    plane[600 - 7] += 1
    return lake.with_cell(HUD, "vacuum_u8", window, bytes(plane))


def one_value(lake: MemoryLake, measure: str) -> MemoryLake:
    made = lake.tables[BAND]
    for index, name in enumerate(made.schema.names):
        if name.endswith(measure):
            made = made.set_column(index, made.schema.field(index), pa.array([0.5] * made.num_rows))
    return lake.with_table(BAND, made)


CASES: list[tuple[str, Callable[[MemoryLake], MemoryLake], set[str], str]] = [
    (
        "bands of another calibration",
        lambda lake: lake.with_manifest(BAND, calibration={"dt": DT, "sha256": "beef"}),
        {"one_calibration"},
        "physics_bands_1s used calibration",
    ),
    (
        "a metric missing",
        lambda lake: lake.without_row(CALIBRATION, GEX_ROW),
        {"calibration_rows"},
        "gex_abs has 0 rows",
    ),
    (
        "bounds upside down",
        lambda lake: lake.with_cell(CALIBRATION, "q95", GEX_ROW, -1.0),
        {"calibration_rows", "calibration_quantiles"},
        "gex_abs: q05",
    ),
    (
        "a calibration of another date",
        lambda lake: lake.with_cell(CALIBRATION, "asof_dt", GEX_ROW, "2026-01-05"),
        {"calibration_rows"},
        "asof_dt 2026-01-05",
    ),
    (
        "a bound that is no quantile",
        bumped(CALIBRATION, "q95", GEX_ROW, 1e-6),
        {"calibration_quantiles"},
        "gex_abs q95",
    ),
    (
        "a vacuum row lost",
        lambda lake: lake.without_row(VACUUM, far_ask(lake)),
        {"vacuum_rows"},
        f"window_end {end_of(20)} ask 4947.50: no vacuum row",
    ),
    (
        "a wall row lost",
        lambda lake: lake.without_row(WALL, far_ask(lake)),
        {"vacuum_rows"},
        f"window_end {end_of(20)} ask 4947.50: no wall row",
    ),
    (
        "a vacuum row twice",
        lambda lake: lake.with_row_repeated(VACUUM, far_ask(lake)),
        {"vacuum_rows"},
        "rows repeat",
    ),
    (
        "another distance than the wall's",
        bumped_vacuum("rel_ticks", 1),
        {"vacuum_copies"},
        "rel_ticks is",
    ),
    (
        "another validity than the wall's",
        lambda lake: lake.with_cell(VACUUM, "window_valid", far_ask(lake), False),
        {"vacuum_copies"},
        "window_valid is False",
    ),
    ("a wrong erosion", bumped_vacuum("wall_erosion", 1), {"vacuum_inputs"}, "wall_erosion is 1.0"),
    ("a wrong strength", bumped_vacuum("wall_strength_log", 1e-6), {"vacuum_inputs"}, "wall_strength_log"),
    (
        "a wrong second difference",
        bumped_vacuum("d2_pull_add_log", 1e-3),
        {"vacuum_differences"},
        "d2_pull_add_log",
    ),
    ("a score two units off", ulps(2), {"vacuum_score"}, f"window_end {end_of(20)} ask 4947.50 vacuum_score"),
    ("a score above 1", bumped_vacuum("vacuum_score", 1), {"vacuum_score", "vacuum_domain"}, "vacuum_score"),
    (
        "a quiet level that flows",
        bumped_vacuum("vacuum_flow_score", 1e-3),
        {"vacuum_flow_score"},
        "vacuum_flow_score is 0.001",
    ),
    (
        "a bands row lost",
        lambda lake: lake.without_row(BAND, LAST),
        {"bands_rows"},
        f"window_end {end_of(LAST)}: no row",
    ),
    (
        "a bands row twice",
        lambda lake: lake.with_row_repeated(BAND, LAST),
        {"bands_rows"},
        f"{WINDOWS + 1} rows for {WINDOWS} windows",
    ),
    (
        "another spot in the bands",
        bumped(BAND, "spot_ref_price_int", 20, 1),
        {"bands_copies"},
        f"window_end {end_of(20)} spot_ref_price_int",
    ),
    (
        "a component above 1",
        bumped(BAND, "above_far_vacuum_norm", 20, 1.0),
        {"bands_domain", "bands_components", "hud_copies"},
        f"window_end {end_of(20)} above_far_vacuum_norm",
    ),
    (
        "a wrong component",
        bumped(BAND, "below_mid_wall_erosion_norm", 20, 1e-6),
        {"bands_components", "hud_copies"},
        f"window_end {end_of(20)} below_mid_wall_erosion_norm",
    ),
    (
        "a wrong score",
        bumped(BAND, "vacuum_total_score", 20, 1e-9),
        {"bands_scores", "hud_copies"},
        f"window_end {end_of(20)} vacuum_total_score",
    ),
    (
        "a measure of one value",
        lambda lake: one_value(lake, "vacuum_norm"),
        {"bands_variety", "bands_components", "bands_scores", "hud_copies"},
        "vacuum_norm never changes",
    ),
    (
        "a context row lost",
        lambda lake: lake.without_row(CONTEXT, 20),
        {"context_rows"},
        f"window_end {end_of(20)}: no row",
    ),
    (
        "a level too many",
        bumped(CONTEXT, "above_at_level_count", 20, 1),
        {"context_counts"},
        f"window_end {end_of(20)} above_at_level_count",
    ),
    (
        "a lot too many",
        bumped(CONTEXT, "below_far_depth_qty", 20, 1),
        {"context_counts"},
        f"window_end {end_of(20)} below_far_depth_qty",
    ),
    (
        "spot off the mid",
        bumped(CONTEXT, "spot_minus_mid_ticks", 20, 0.5),
        {"context_spot_minus_mid"},
        f"window_end {end_of(20)} spot_minus_mid_ticks",
    ),
    (
        "a trade before there was one",
        lambda lake: lake.with_cell(CONTEXT, "last_trade_age_ns", 0, 0),
        {"context_last_trade_age"},
        f"window_end {end_of(0)} last_trade_age_ns is 0, wanted -1",
    ),
    (
        "a wrong touch score",
        bumped(CONTEXT, "above_touch_score", 20, 1e-6),
        {"context_touch_scores", "hud_copies"},
        f"window_end {end_of(20)} above_touch_score",
    ),
    (
        "a touch score above 1",
        bumped(CONTEXT, "above_touch_score", 20, 1.0),
        {"context_domain", "context_touch_scores", "hud_copies"},
        f"window_end {end_of(20)} above_touch_score",
    ),
    (
        "a hud row lost",
        lambda lake: lake.without_row(HUD, 20),
        {"hud_rows"},
        f"window_end {end_of(20)}: no row",
    ),
    (
        "another volume in the hud",
        bumped(HUD, "buy_qty", 20, 1),
        {"hud_copies"},
        f"window_end {end_of(20)} buy_qty",
    ),
    ("planes of 1200 rows", with_short_planes, {"hud_plane_length"}, "side_u8 is fixed_size_binary[1200]"),
    ("a wrong pixel", with_wrong_pixel, {"hud_planes"}, "vacuum_u8 at -7 ticks"),
]


def test_a_coherent_set_passes_every_check() -> None:
    found = report(physics_lake())
    assert found.passed, found.lines()
    assert all(check.looked_at > 0 for check in found.checks)
    assert found.lines()[-1].startswith("PASS: ")


def test_every_plane_of_a_coherent_set_is_painted_the_same_twice() -> None:
    found = report(physics_lake(), samples=WINDOWS)
    assert found.passed, found.lines()
    assert found.check("hud_planes").looked_at == WINDOWS * 9 * 1201


def test_the_set_exercises_every_plane() -> None:
    for name in ("wall_core_u8", "wall_fog_u8", "vacuum_u8", "buy_fill_u8", "sell_fill_u8", "hole_u8"):
        assert any(any(plane) for plane in physics_lake().tables[HUD][name].to_pylist()), name


@pytest.mark.parametrize("batch_rows", [1, 7, 100_000])
def test_the_batch_size_changes_no_finding(batch_rows: int) -> None:
    lake = replace(physics_lake(), batch_rows=batch_rows)
    assert report(lake).to_json() == report(physics_lake()).to_json()


@pytest.mark.parametrize(
    ("mutate", "wanted", "offender"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_one_wrong_cell_fails_exactly_the_checks_that_own_it(
    mutate: Callable[[MemoryLake], MemoryLake], wanted: set[str], offender: str
) -> None:
    found = report(mutate(physics_lake()))
    assert failing(found) == wanted, found.lines()
    assert any(offender in text for check in found.failed for text in check.offenders), found.lines()


def test_every_check_has_a_case_that_breaks_it() -> None:
    covered = set().union(*(case[2] for case in CASES))
    assert covered == {check.name for check in report(physics_lake()).checks if check.severity == "fail"}


def test_a_score_one_unit_off_is_the_rounding_that_the_spec_allows() -> None:
    assert report(ulps(1)(physics_lake())).passed


def test_equal_quantiles_warn_and_scores_follow_the_repair() -> None:
    lake = physics_lake()
    same = lake.cell(CALIBRATION, "q05", GEX_ROW)
    found = report(lake.with_cell(CALIBRATION, "q95", GEX_ROW, same))
    assert failing(found) == {"calibration_quantiles"}  # it is not the day's quantile any more
    assert "gex_abs: q05 = q95" in found.check("calibration_spread").offenders[0]


def test_a_table_without_calibration_does_not_pass() -> None:
    lake = physics_lake()
    for dataset in (VACUUM, BAND, CONTEXT, HUD):
        lake = lake.with_manifest(dataset, calibration=None)
    found = report(lake)
    assert failing(found) == {"one_calibration"}
    assert "names no calibration" in found.check("one_calibration").offenders[0]


def test_a_constant_component_column_warns() -> None:
    lake = physics_lake()
    index = lake.tables[BAND].schema.get_field_index("above_far_vacuum_norm")
    made = lake.tables[BAND]
    flat = made.set_column(index, made.schema.field(index), pa.array([0.5] * made.num_rows))
    found = report(lake.with_table(BAND, flat))
    assert found.check("bands_constant_columns").offenders == ("above_far_vacuum_norm has one value all day",)


def test_without_a_hud_surface_the_report_warns() -> None:
    found = report(physics_lake().without(HUD))
    assert found.passed
    assert found.check("hud_checked").severity == "warn"
    assert "spymaster run" in found.check("hud_checked").offenders[0]


def test_planes_that_no_sample_looked_at_do_not_pass() -> None:
    assert failing(report(physics_lake(), samples=0)) == {"hud_planes"}


@pytest.mark.parametrize("dataset", [SNAP, WALL, TRADES, VACUUM, BAND, CONTEXT, GEX, CALIBRATION])
def test_a_missing_partition_names_the_command_that_builds_it(dataset: str) -> None:
    with pytest.raises(MissingDataError, match=rf"{dataset}.* build: spymaster run --dt {DT}") as caught:
        report(physics_lake().without(dataset))
    assert caught.value.exit_code == 2


def test_the_calibration_that_was_used_must_be_there() -> None:
    lake = physics_lake().with_manifest(VACUUM, calibration={"dt": "2026-01-05", "sha256": "c0ffee"})
    with pytest.raises(MissingDataError, match="2026-01-05"):
        report(lake)
