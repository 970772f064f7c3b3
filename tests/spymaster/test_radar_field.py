"""From planes to pixels: walls stand still, none is lost at any zoom, colours do not depend on the view."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_eng.schema import PLANES, table
from spymaster import radar_field
from spymaster.radar_field import View

TICK = 250_000_000
FIRST_S = 1_767_711_601
SPOT_TICK = 27_600
ASK, BID = 2, 1
Cells = dict[tuple[int, int], int]
"""(window, absolute tick) -> byte"""


def hud(spots: list[int], **planes: Cells) -> pa.Table:
    """Rows of hud_surface_1s with absolute spot ticks (0 = none) and single bytes set in some planes."""
    schema = table("hud_surface_1s").arrow_schema
    blank: dict[str, Any] = {
        field.name: pa.array(np.zeros(len(spots))).cast(field.type)
        for field in schema
        if field.name not in PLANES and field.name not in ("book_valid", "window_valid")
    }
    blank |= {name: pa.array([True] * len(spots)) for name in ("book_valid", "window_valid")}
    blank["window_end_ts_ns"] = pa.array([(FIRST_S + w) * 10**9 for w in range(len(spots))])
    blank["spot_ref_price_int"] = pa.array([spot * TICK for spot in spots])
    for name in PLANES:
        values = np.full((len(spots), 1201), 128 if name == "gex_imbalance_u8" else 0, dtype=np.uint8)
        for (window, tick), byte in planes.get(name, {}).items():
            values[window, 600 + tick - spots[window]] = byte
        blank[name] = pa.array([row.tobytes() for row in values], pa.binary(1201))
    return pa.Table.from_arrays([blank[name] for name in schema.names], schema=schema)


def test_a_plane_of_a_slice_is_the_slice_of_the_plane() -> None:
    rows = hud([SPOT_TICK] * 5, wall_core_u8={(w, SPOT_TICK + w): 10 + w for w in range(5)})
    both = pa.concat_tables([rows.slice(0, 2), rows.slice(2)])
    assert np.array_equal(radar_field.plane(both, "wall_core_u8"), radar_field.plane(rows, "wall_core_u8"))
    part = radar_field.plane(rows.slice(2, 2), "wall_core_u8")
    assert np.argmax(part, axis=1).tolist() == [602, 603]


def test_a_wall_that_stands_still_is_one_row_while_spot_moves() -> None:
    spots = [SPOT_TICK, SPOT_TICK + 7, SPOT_TICK - 30, SPOT_TICK]
    cells = {(w, SPOT_TICK + 12): 200 for w in range(4)}
    rows = hud(spots, wall_core_u8=cells, side_u8=dict.fromkeys(cells, ASK))
    view = radar_field.view_of(rows, TICK, radius_ticks=40)
    assert view == View(SPOT_TICK - 70, SPOT_TICK + 47)
    field = radar_field.field_of(rows, view, TICK)
    assert np.flatnonzero(field.core[1].any(axis=1)).tolist() == [82]
    assert (field.core[1][82] == 200).all()
    assert not field.core[0].any()


def test_a_day_without_spot_has_no_view() -> None:
    assert radar_field.view_of(hud([0, 0]), TICK, radius_ticks=40) is None


@given(
    windows=st.integers(1, 25),
    per_column=st.integers(1, 9),
    per_row=st.integers(1, 7),
    at=st.tuples(st.integers(0, 24), st.integers(-20, 20)),
    side=st.sampled_from((ASK, BID)),
)
def test_no_single_cell_is_lost_at_any_zoom(
    windows: int, per_column: int, per_row: int, at: tuple[int, int], side: int
) -> None:
    cell = {(at[0] % windows, SPOT_TICK + at[1]): 77}
    names = ("wall_core_u8", "wall_fog_u8", "hole_u8", "buy_fill_u8", "sell_fill_u8")
    rows = hud([SPOT_TICK] * windows, side_u8=dict.fromkeys(cell, side), **dict.fromkeys(names, cell))
    low = (SPOT_TICK - 20) // per_row * per_row
    view = View(low, low + (41 // per_row + 2) * per_row - 1, per_column, per_row)
    field = radar_field.field_of(rows, view, TICK)
    row = (SPOT_TICK + at[1] - low) // per_row
    column = (FIRST_S + at[0] % windows) // per_column - FIRST_S // per_column
    for plane in (field.core[side - 1], field.fog[side - 1], field.buy, field.sell):
        assert plane[row, column] == 77
        assert np.count_nonzero(plane) == 1
    assert np.argwhere(field.hole).tolist() == [[row, column]]


def test_pooled_columns_stand_still_while_the_view_moves() -> None:
    rng = np.random.default_rng(1)
    cells = {(w, SPOT_TICK + 3): int(byte) for w, byte in enumerate(rng.integers(1, 256, 40))}
    rows = hud([SPOT_TICK] * 40, wall_core_u8=cells, side_u8=dict.fromkeys(cells, ASK))
    view = View(SPOT_TICK, SPOT_TICK + 9, seconds_per_column=5)
    whole = radar_field.field_of(rows, view, TICK).core[1][3].tolist()
    for shift in range(1, 6):
        moved = radar_field.field_of(rows.slice(shift), view, TICK).core[1][3].tolist()
        assert moved[1:] == whole[len(whole) - len(moved) + 1 :]


def test_erosion_takes_the_mean_of_pooled_cells() -> None:
    rows = hud([SPOT_TICK] * 4, vacuum_u8={(0, SPOT_TICK + 1): 255})
    first_s = FIRST_S // 4 * 4
    rows = rows.set_column(0, rows.schema.field(0), pa.array([(first_s + w) * 10**9 for w in range(4)]))
    field = radar_field.field_of(rows, View(SPOT_TICK, SPOT_TICK + 1, 4, 2), TICK)
    assert field.vacuum.tolist() == [[pytest.approx(1 / 8)]]


@pytest.mark.parametrize("bounds", [None, (3.367, 4.5), (2.0, 2.0), (0.0, 7.6), (7.0, 9.0)])
def test_brightness_rises_with_depth_and_nothing_is_dark(bounds: tuple[float, float] | None) -> None:
    bright = radar_field.brightness_table(bounds)
    assert bright[0] == 0
    assert (np.diff(bright) > 0).all()
    assert bright[255] <= 1


def test_contrast_is_steepest_between_the_bounds_of_the_calibration() -> None:
    bright = radar_field.brightness_table((3.367, 4.5))
    of_lots = [bright[round(255 * np.log1p(lots) / np.log1p(2_000))] for lots in (28, 89, 2_000)]
    assert of_lots[0] < 0.1
    assert of_lots[1] > 0.7
    assert of_lots[2] == 1


def _painted(rows: pa.Table) -> np.ndarray[Any, Any]:
    view = View(SPOT_TICK - 3, SPOT_TICK + 3)
    field = radar_field.field_of(rows, view, TICK)
    return radar_field.paint_field(field, view, TICK, radar_field.brightness_table(None))


def test_asks_are_warm_bids_are_cold_and_both_keep_their_colour_in_any_company() -> None:
    ask, bid = {(0, SPOT_TICK + 2): 150}, {(0, SPOT_TICK - 2): 150}
    huge = {(0, SPOT_TICK + 3): 255}
    sides = {**dict.fromkeys(ask, ASK), **dict.fromkeys(bid, BID)}
    alone = _painted(hud([SPOT_TICK], wall_core_u8={**ask, **bid}, side_u8=sides))
    beside = _painted(
        hud([SPOT_TICK], wall_core_u8={**ask, **bid, **huge}, side_u8={**sides, **dict.fromkeys(huge, ASK)})
    )
    warm, cold = alone[5 * radar_field.SUB_ROWS + 1, 0], alone[1 * radar_field.SUB_ROWS + 1, 0]
    assert warm[0] > 2 * warm[2]
    assert cold[2] > 2 * cold[0]
    assert np.array_equal(alone[: 6 * radar_field.SUB_ROWS], beside[: 6 * radar_field.SUB_ROWS])


@pytest.mark.parametrize(
    ("rel", "side", "at_bottom"), [(2, ASK, True), (-2, BID, False), (0, ASK, True), (0, BID, False)]
)
def test_the_notch_is_on_the_edge_that_faces_spot_and_the_rest_of_the_wall_stays(
    rel: int, side: int, at_bottom: bool
) -> None:
    cell = {(0, SPOT_TICK + rel): 200}
    still = {"wall_core_u8": cell, "side_u8": dict.fromkeys(cell, side)}
    change = _painted(hud([SPOT_TICK], **still, vacuum_u8=dict.fromkeys(cell, 200)))
    change = np.abs(change - _painted(hud([SPOT_TICK], **still))).sum(axis=(1, 2)) > 0
    own = (rel + 3) * radar_field.SUB_ROWS
    edge = range(own, own + radar_field.NOTCH_ROWS)
    if not at_bottom:
        edge = range(own + radar_field.SUB_ROWS - radar_field.NOTCH_ROWS, own + radar_field.SUB_ROWS)
    assert np.flatnonzero(change).tolist() == list(edge)


def test_a_larger_wall_that_erodes_gets_a_brighter_notch() -> None:
    strengths = []
    for core in (0, 60, 230):
        cell = {(0, SPOT_TICK + 2): core}
        side = dict.fromkeys(cell, ASK)
        eroding = _painted(
            hud([SPOT_TICK], wall_core_u8=cell, side_u8=side, vacuum_u8=dict.fromkeys(cell, 120))
        )
        strengths.append(float(eroding[5 * radar_field.SUB_ROWS, 0].sum()))
    assert strengths == sorted(strengths)


def test_the_outline_of_joined_holes_is_one_line_around_them() -> None:
    hole = np.zeros((4, 5), dtype=bool)
    hole[1, 1:4] = True
    lines = {tuple(sorted(line)) for line in radar_field.hole_edges(hole)}
    assert lines == {((1, 1), (4, 1)), ((1, 2), (4, 2)), ((1, 1), (1, 2)), ((4, 1), (4, 2))}
    assert radar_field.hole_edges(np.zeros((2, 2), dtype=bool)) == []


def test_the_size_of_a_dot_undoes_the_log_scale() -> None:
    lots = np.array([1, 3, 35, 135, 500])
    stored = np.floor(255 * np.log1p(lots) / np.log1p(500) + 0.5)
    assert radar_field.fill_lots(stored) == pytest.approx(lots, rel=0.03)  # a byte is 2.5 % wide at most


def test_the_mean_forgets_at_its_time_constant_and_starts_anew_after_a_break() -> None:
    values = np.array([1.0] + [0.0] * 7 + [5.0, 0.5, 0.5])
    alive = np.array([True] * 8 + [False, True, True])
    smoothed = radar_field.smooth(values, alive, 7.0)
    assert smoothed[7] == pytest.approx(np.exp(-1))
    assert np.isnan(smoothed[8])
    assert smoothed[9:].tolist() == [0.5, 0.5]
