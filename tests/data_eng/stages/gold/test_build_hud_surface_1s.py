"""The HUD's table: equal to the naive twin, blind to cuts, and loud about tables that do not fit together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_eng.errors import LakeError
from data_eng.schema import PLANES, table
from data_eng.stages.gold.build_hud_surface_1s import (
    CALIBRATED,
    STAGE,
    Sources,
    build_hud_surface_1s,
    require_one_calibration,
)
from tests.data_eng.integrity import tables
from tests.naive.hud_picture import HUD_COLUMNS, naive_hud
from tests.naive.physics import naive_bands, naive_context, naive_vacuum
from tests.wall_strategies import TICK, Day, calibration_bounds, days, to_table

Rows = Sequence[dict[str, Any]]
Bounds = dict[str, tuple[float, float]]


def _stored(short_name: str, rows: Rows) -> tuple[pa.Table, Rows]:
    """Rows as the lake keeps them, as a table and read back: float32 columns are rounded."""
    kept = to_table(short_name, rows)
    return kept, kept.to_pylist()


def _surfaces(day: Day, bounds: Bounds) -> dict[str, tuple[pa.Table, Rows]]:
    vacuum = _stored("vacuum_surface_1s", naive_vacuum(day.wall, bounds))
    return {
        "snapshot": _stored("book_snapshot_1s", day.snapshot),
        "wall": _stored("wall_surface_1s", day.wall),
        "vacuum": vacuum,
        "bands": _stored("physics_bands_1s", naive_bands(day.snapshot, day.wall, vacuum[1], bounds)),
        "context": _stored(
            "physics_context_1s", naive_context(day.snapshot, day.wall, vacuum[1], bounds, day.trades)
        ),
        "gex": _stored("gex_surface_1s", day.gex),
    }


def _sources(surfaces: dict[str, tuple[pa.Table, Rows]], batch_rows: int) -> Sources:
    streams = {
        name: iter(surfaces[name][0].to_batches(max_chunksize=batch_rows))
        for name in ("wall", "vacuum", "gex")
    }
    return Sources(
        snapshot=surfaces["snapshot"][0],
        bands=surfaces["bands"][0],
        context=surfaces["context"][0],
        **streams,
    )


def _built(sources: Sources, *, block_windows: int = 300) -> pa.Table:
    blocks = list(build_hud_surface_1s(sources, tick_int=TICK, block_windows=block_windows))
    for block in blocks:
        table("hud_surface_1s").validate(block)
    return pa.concat_tables([table("hud_surface_1s").empty(), *blocks]).combine_chunks()


@given(
    day=days(max_windows=16),
    bounds=calibration_bounds(),
    batch_rows=st.integers(1, 40),
    block_windows=st.sampled_from((1, 2, 3, 7, 300)),
)
def test_the_table_equals_the_naive_one_whatever_the_cuts(
    day: Day, bounds: Bounds, batch_rows: int, block_windows: int
) -> None:
    surfaces = _surfaces(day, bounds)
    rows = {name: pair[1] for name, pair in surfaces.items()}
    want = naive_hud(
        rows["snapshot"],
        rows["wall"],
        rows["vacuum"],
        rows["bands"],
        rows["context"],
        rows["gex"],
        tick_int=TICK,
    )
    got = _built(_sources(surfaces, batch_rows), block_windows=block_windows).to_pylist()
    assert list(HUD_COLUMNS) == table("hud_surface_1s").arrow_schema.names
    assert len(got) == len(want)
    for have, wanted in zip(got, want, strict=True):
        for name in HUD_COLUMNS:
            assert have[name] == wanted[name], (name, have["seq"])


# ---- a whole lake, by a maker that shares no code with the twin


def _lake_sources(lake: tables.MemoryLake, batch_rows: int = 1_000) -> Sources:
    def batches(dataset: str) -> Iterator[pa.RecordBatch]:
        yield from lake.tables[dataset].to_batches(max_chunksize=batch_rows)

    return Sources(
        snapshot=lake.tables[tables.SNAP],
        bands=lake.tables[tables.BAND],
        context=lake.tables[tables.CONTEXT],
        wall=batches(tables.WALL),
        vacuum=batches(tables.VACUUM),
        gex=batches(tables.GEX),
    )


def test_a_minute_of_book_gives_the_pictures_painted_by_hand() -> None:
    lake = tables.physics_lake()
    made = _built(_lake_sources(lake))
    for name in made.schema.names:
        assert made[name].equals(lake.tables[tables.HUD][name]), name
    assert any(np.frombuffer(plane, np.uint8).any() for plane in made["hole_u8"].to_pylist())


def test_a_day_without_windows_gives_no_rows() -> None:
    empty = {name: (table(f"{long}_1s").empty(), []) for name, long in LONG_NAMES.items()}
    assert _built(_sources(empty, 10)).num_rows == 0


LONG_NAMES = {
    "snapshot": "book_snapshot",
    "wall": "wall_surface",
    "vacuum": "vacuum_surface",
    "bands": "physics_bands",
    "context": "physics_context",
    "gex": "gex_surface",
}


def test_a_window_without_spot_is_blank_and_not_valid() -> None:
    lake = tables.physics_lake()
    first = lake.tables[tables.SNAP]["window_end_ts_ns"][0].as_py()
    lake = lake.with_cell(tables.SNAP, "spot_ref_price_int", 0, 0)
    for dataset in (tables.WALL, tables.VACUUM, tables.GEX):
        rows = lake.tables[dataset]
        keep = np.flatnonzero(rows["window_end_ts_ns"].to_numpy() != first)
        lake = lake.with_table(dataset, rows.take(pa.array(keep)))
    row = _built(_lake_sources(lake)).to_pylist()[0]
    assert row["window_valid"] is False
    for plane in PLANES:
        assert set(row[plane]) == {128 if plane == "gex_imbalance_u8" else 0}, plane


# ---- tables that do not fit together


def test_a_vacuum_row_that_is_missing_is_an_error_that_names_the_cure() -> None:
    lake = tables.physics_lake().without_row(tables.VACUUM, 40)
    with pytest.raises(
        LakeError, match=r"vacuum_surface_1s has \d+ rows where .* --from-stage vacuum_surface_1s"
    ):
        _built(_lake_sources(lake))


def test_a_vacuum_row_at_another_level_is_an_error() -> None:
    lake = tables.physics_lake()
    rel = lake.cell(tables.VACUUM, "rel_ticks", 5)
    with pytest.raises(LakeError, match="or other levels"):
        _built(_lake_sources(lake.with_cell(tables.VACUUM, "rel_ticks", 5, rel + 1)))


@pytest.mark.parametrize("dataset", [tables.BAND, tables.CONTEXT])
def test_scores_of_other_windows_are_an_error(dataset: str) -> None:
    name = dataset.rsplit(".", 1)[1]
    with pytest.raises(LakeError, match=f"{name} has 59 windows"):
        _built(_lake_sources(tables.physics_lake().without_row(dataset, 3)))


@pytest.mark.parametrize("dropped", [0, 30, -1])
def test_rows_of_a_window_that_the_snapshot_lacks_are_an_error(dropped: int) -> None:
    lake = tables.physics_lake()
    at = dropped % 60
    for dataset in (tables.SNAP, tables.BAND, tables.CONTEXT):
        lake = lake.without_row(dataset, at)
    with pytest.raises(LakeError, match=r"_surface_1s has rows at window_end \d{19}"):
        _built(_lake_sources(lake))


@pytest.mark.parametrize(
    ("column", "value"),
    [("depth_qty_rest", 10_000), ("fill_qty", -1), ("rel_ticks", 601), ("depth_qty_end", -5)],
)
def test_a_row_that_no_wall_can_hold_is_named_not_painted(column: str, value: int) -> None:
    lake = tables.physics_lake().with_cell(tables.WALL, column, 17, value)
    if column == "rel_ticks":
        lake = lake.with_cell(tables.VACUUM, column, 17, value)
    with pytest.raises(LakeError, match=f"'{column}': {value}"):
        _built(_lake_sources(lake))


def test_a_column_of_another_type_is_refused() -> None:
    sources = _lake_sources(tables.physics_lake())
    wall = pa.Table.from_batches(list(sources.wall))
    wide = wall.set_column(
        wall.schema.get_field_index("fill_qty"), "fill_qty", wall["fill_qty"].cast(pa.int64())
    )
    with pytest.raises(LakeError, match="fill_qty is int64, expected int32"):
        _built(replace(sources, wall=wide.to_batches()))


def test_scores_of_two_calibrations_are_refused() -> None:
    record = {"dt": "2026-01-06", "sha256": "aa"}
    require_one_calibration(record, dict.fromkeys(CALIBRATED, record))
    for name in CALIBRATED:
        for other in ({"dt": "2026-01-05", "sha256": "aa"}, {"dt": "2026-01-06", "sha256": "bb"}, None):
            with pytest.raises(LakeError, match=f"{name} used calibration"):
                require_one_calibration(record, {**dict.fromkeys(CALIBRATED, record), name: other})


def test_the_stage_declares_what_spec_8_says() -> None:
    short = [name.rsplit(".", 1)[1] for name in STAGE.inputs]
    assert short == [
        "book_snapshot_1s",
        "wall_surface_1s",
        "vacuum_surface_1s",
        "physics_bands_1s",
        "physics_context_1s",
        "gex_surface_1s",
        "physics_norm_calibration",
    ]
    assert STAGE.outputs == ("gold.hud.hud_surface_1s",)
