"""Bands and context equal their twins on any market, and refuse tables that do not belong together."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_eng.calibration import CALIBRATION
from data_eng.errors import LakeError
from data_eng.lake import Lake
from data_eng.schema import table
from data_eng.stages.gold import build_physics_norm_calibration
from data_eng.stages.silver.future_mbo import compute_physics_bands_1s as stage
from data_eng.stages.silver.future_mbo import compute_vacuum_surface_1s
from data_eng.stages.silver.future_option_mbo import compute_gex_surface_1s
from data_eng.units import TICK_INT
from tests.data_eng.physics_samples import (
    DT,
    SYMBOL,
    T0,
    batches,
    bounds_for,
    engine_lake,
    quiet_bounds,
    run_stage,
)
from tests.engine_helpers import run_engine
from tests.naive.physics import naive_bands, naive_context
from tests.strategies import cuts, tidy_streams

BOUNDS = quiet_bounds()


def arrays(rows: pa.Table, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    return {name: rows[name].to_numpy() for name in names}


def compute(windows: Any, positions: list[int] | None = None) -> tuple[pa.Table, pa.Table, pa.Table]:
    """(vacuum, bands, context) of what the engine emitted, wall rows cut at `positions`."""
    bounds = bounds_for(BOUNDS)
    wall = batches(windows.wall_surface_1s, positions or [])
    vacuum = list(compute_vacuum_surface_1s.compute_vacuum_surface_1s(wall, bounds))
    snapshot = arrays(windows.book_snapshot_1s, stage.SNAPSHOT_COLUMNS)
    sums = stage.sum_windows(snapshot, stage.paired(iter(wall), iter(vacuum)), TICK_INT)
    trades = arrays(windows.trade_event, stage.TRADE_COLUMNS)
    last = stage.last_trades(snapshot["window_end_ts_ns"], trades, TICK_INT)
    bands = stage.physics_bands(snapshot, sums, bounds)
    context = stage.physics_context(snapshot, sums, bounds, last, TICK_INT)
    table(stage.BANDS).validate(bands)
    table(stage.CONTEXT).validate(context)
    schema = table(stage.VACUUM).arrow_schema
    return pa.Table.from_batches(vacuum, schema=schema), bands, context


def assert_rows(found: pa.Table, wanted: list[dict[str, Any]]) -> None:
    for got, want in zip(found.to_pylist(), wanted, strict=True):
        assert set(got) == set(want)
        for name, value in want.items():
            if isinstance(value, float):
                assert math.isclose(got[name], value, rel_tol=1e-12, abs_tol=1e-12), (name, got[name], value)
            else:
                assert got[name] == value, name


@given(tidy_streams())
def test_bands_and_context_equal_their_twins(recs: list[Any]) -> None:
    windows, _ = run_engine(recs)
    vacuum, bands, context = compute(windows)
    snapshot, wall = windows.book_snapshot_1s.to_pylist(), windows.wall_surface_1s.to_pylist()
    stored = vacuum.to_pylist()
    assert_rows(bands, naive_bands(snapshot, wall, stored, BOUNDS))
    wanted = naive_context(snapshot, wall, stored, BOUNDS, windows.trade_event.to_pylist())
    assert_rows(context, wanted)


@given(tidy_streams(), st.data())
def test_any_cut_gives_the_same_bits(recs: list[Any], data: st.DataObject) -> None:
    windows, _ = run_engine(recs)
    whole = compute(windows)
    parts = compute(windows, data.draw(cuts(windows.wall_surface_1s.num_rows)))
    for one, other in zip(whole, parts, strict=True):
        for name in one.column_names:
            assert one[name].combine_chunks().equals(other[name].combine_chunks()), name


def trades(*rows: tuple[int, int, int]) -> dict[str, np.ndarray]:
    """(ts_event, ts_recv, price) triples."""
    return dict(zip(stage.TRADE_COLUMNS, np.array(rows, np.int64).reshape(-1, 3).T, strict=True))


def test_a_trade_counts_from_the_window_that_ends_after_it() -> None:
    ends = T0 + np.array([1, 2, 3]) * 10**9
    at_border = T0 + 2 * 10**9
    assert stage.last_trades(ends, trades((at_border, at_border, TICK_INT)), TICK_INT).tolist() == [
        -1,
        -1,
        at_border,
    ]


def test_trades_that_set_no_price_and_broken_clocks_date_nothing() -> None:
    ends = np.array([T0 + 10**9])
    rows = [
        (T0 + 5, T0, TICK_INT),
        (T0 + 6, T0, 0),
        (T0 + 7, T0, TICK_INT + 1),
        (T0 + 8, T0, 2**63 - 1),
        (T0 + 3 * 10**9, T0, TICK_INT),
    ]
    assert stage.last_trades(ends, trades(*rows), TICK_INT).tolist() == [T0 + 5]
    assert stage.last_trades(ends, trades(), TICK_INT).tolist() == [-1]


def test_tables_of_different_length_are_refused() -> None:
    batch = pa.record_batch([pa.array([1, 2])], names=["x"])
    with pytest.raises(LakeError, match="wall_surface_1s has more rows"):
        list(stage.paired(iter([batch]), iter([batch.slice(0, 1)])))


def small_lake(root: Path) -> Lake:
    """Engine tables of a short market, a zero ladder, a calibration and a vacuum."""
    from tests.data_eng.integrity import tables

    lake = engine_lake(root, _Engine(tables))
    for made in (compute_gex_surface_1s, build_physics_norm_calibration, compute_vacuum_surface_1s):
        run_stage(lake, made.STAGE)
    return lake


class _Engine:
    """Engine tables of `tests.data_eng.integrity.tables`, a minute with a reset, by short name."""

    def __init__(self, tables: Any) -> None:
        source = tables.book_lake()
        for name in ("book_snapshot_1s", "wall_surface_1s", "radar_vacuum_1s", "trade_event"):
            key = f"silver.future_mbo.{name}"
            setattr(self, name, source.read(key, tables.SYMBOL, tables.DT))


def test_the_stage_commits_both_tables_with_the_calibration_of_the_vacuum(tmp_path: Path) -> None:
    lake = small_lake(tmp_path)
    run_stage(lake, stage.STAGE)
    used = {name: lake.manifest(name, SYMBOL, DT).calibration for name in (stage.BANDS, stage.CONTEXT)}
    assert set(map(str, used.values())) == {str(lake.manifest(stage.VACUUM, SYMBOL, DT).calibration)}
    assert lake.manifest(stage.BANDS, SYMBOL, DT).lookahead is True
    assert lake.read(stage.BANDS, SYMBOL, DT).num_rows == lake.read(stage.SNAPSHOT, SYMBOL, DT).num_rows


def test_the_stage_passes_the_physics_integrity_check(tmp_path: Path) -> None:
    from data_eng.integrity.physics import check_physics

    lake = small_lake(tmp_path)
    run_stage(lake, stage.STAGE)
    report = check_physics(lake, SYMBOL, DT)
    assert report.passed, "\n".join(report.lines())


def test_a_vacuum_of_another_wall_is_refused(tmp_path: Path) -> None:
    from tests.data_eng.physics_samples import put

    lake = small_lake(tmp_path)
    wall = lake.read(stage.WALL, SYMBOL, DT)
    put(lake, stage.WALL, wall, code_version="changed")
    with pytest.raises(LakeError, match="another wall"):
        run_stage(lake, stage.STAGE)


def test_a_vacuum_of_another_calibration_is_refused(tmp_path: Path) -> None:
    from data_eng.params import RunParams
    from tests.data_eng.physics_samples import put

    lake = small_lake(tmp_path)
    put(lake, CALIBRATION, lake.read(CALIBRATION, SYMBOL, DT), "2026-01-05")
    with pytest.raises(LakeError, match="compare within one calibration"):
        run_stage(lake, stage.STAGE, RunParams(no_gex=True, calibration_dt="2026-01-05"))
