"""The radar as pixels: planes of hud_surface_1s on a grid of absolute ticks and seconds (spec 9.2, 10).

A plane's row 600 is the spot of its own window; here every window is put back to its price, so that a wall
that stands still is a straight band. Where a cell would be smaller than a pixel, cells are pooled on borders
of absolute price and time: walls, fills and holes by their maximum, erosion by its mean. So no wall is lost
at any zoom, and none flickers while the view moves.

Colours mean the same in every picture of one calibration: brightness comes from the fixed log scale of the
planes through a table whose knees are the calibration's bounds, never from what is in view.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_eng.units import HUD_MAX_TICKS, HUD_ROWS, WINDOW_NS

Array = npt.NDArray[Any]

FULL_DEPTH_LOTS: Final = 2_000
"""lots that reach 255 in the wall planes (spec 9.2)"""
FULL_FILL_LOTS: Final = 500
SHOWN_BID: Final = 1
SHOWN_ASK: Final = 2
SUB_ROWS: Final = 6
"""pixel rows per cell: the notch of erosion takes some of them"""
NOTCH_ROWS: Final = 3

BACKGROUND: Final = (0.035, 0.043, 0.063)
BID_RAMP: Final = ((0.03, 0.08, 0.22), (0.05, 0.30, 0.62), (0.02, 0.62, 0.55), (0.45, 1.00, 0.45))
"""blue to green: thin, ordinary, strong, extreme"""
ASK_RAMP: Final = ((0.20, 0.03, 0.05), (0.60, 0.08, 0.09), (0.90, 0.32, 0.05), (1.00, 0.72, 0.25))
"""red to orange"""
BID_FOG: Final = (0.55, 0.66, 0.78)
ASK_FOG: Final = (0.78, 0.64, 0.58)
NOTCH: Final = (1.00, 0.93, 0.35)
GRID: Final = (0.45, 0.50, 0.60)
RAMP_STOPS: Final = (0.0, 0.42, 0.78, 1.0)


@dataclass(frozen=True)
class View:
    """What of the day is drawn: windows by their position in the table, prices in whole ticks.

    low_tick and high_tick are inclusive; `seconds_per_column` windows and `ticks_per_row` ticks share a cell.
    """

    low_tick: int
    high_tick: int
    seconds_per_column: int = 1
    ticks_per_row: int = 1

    @property
    def ticks(self) -> int:
        """Number of ticks."""
        return self.high_tick - self.low_tick + 1


@dataclass(frozen=True)
class Field:
    """Planes on the grid of the view, row 0 = lowest price, column 0 = first window.

    core, fog: uint8[2 sides (bid, ask), rows, columns]; vacuum: float[rows, columns] of 0..1; hole: bool;
    above: bool, the cell lies above the spot of its window; buy, sell: uint8, fills.
    """

    core: Array
    fog: Array
    vacuum: Array
    hole: Array
    above: Array
    buy: Array
    sell: Array


def view_of(
    hud: pa.Table, tick_int: int, *, radius_ticks: int, max_columns: int = 1_600, max_rows: int = 700
) -> View | None:
    """The session path with `radius_ticks` on both sides; None when no window has a spot."""
    spot = hud["spot_ref_price_int"].to_numpy()
    known = spot[spot > 0] // tick_int
    if not len(known):
        return None
    low, high = int(known.min()) - radius_ticks, int(known.max()) + radius_ticks
    per_row = max(1, math.ceil((high - low + 1) / max_rows))
    return View(
        low_tick=low // per_row * per_row,
        high_tick=(high // per_row + 1) * per_row - 1,
        seconds_per_column=max(1, math.ceil(hud.num_rows / max_columns)),
        ticks_per_row=per_row,
    )


def plane(hud: pa.Table, name: str) -> Array:
    """uint8[windows, 1201] of a plane, without a copy where the table is in one piece."""
    pieces = [np.frombuffer(chunk.buffers()[1], dtype=np.uint8) for chunk in hud[name].chunks]
    cut = [
        piece[chunk.offset * HUD_ROWS : (chunk.offset + len(chunk)) * HUD_ROWS]
        for piece, chunk in zip(pieces, hud[name].chunks, strict=True)
    ]
    return np.concatenate([*cut, np.zeros(0, dtype=np.uint8)]).reshape(-1, HUD_ROWS)


def field_of(hud: pa.Table, view: View, tick_int: int) -> Field:
    """Planes of all rows of `hud` on the grid of `view`, pooled."""
    spot = hud["spot_ref_price_int"].to_numpy() // tick_int
    rel = np.arange(view.low_tick, view.high_tick + 1)[:, None] - spot[None, :]
    reach = (np.abs(rel) <= HUD_MAX_TICKS) & (spot > 0)[None, :]
    row = np.where(reach, rel + HUD_MAX_TICKS, 0)
    column = np.arange(len(spot))[None, :]
    ends = hud["window_end_ts_ns"].to_numpy() // WINDOW_NS

    def on_grid(name: str) -> Array:
        return np.where(reach, plane(hud, name)[column, row], 0).astype(np.uint8)

    def largest(values: Array) -> Array:
        return _pool(values, view, ends, np.maximum)

    side, core, fog = on_grid("side_u8"), on_grid("wall_core_u8"), on_grid("wall_fog_u8")
    of_side = [side == SHOWN_BID, side == SHOWN_ASK]
    cells = _pool(np.ones(rel.shape, dtype=np.float32), view, ends, np.add)
    vacuum = _pool(on_grid("vacuum_u8").astype(np.float32), view, ends, np.add)
    return Field(
        core=np.stack([largest(np.where(mine, core, 0)) for mine in of_side]),
        fog=np.stack([largest(np.where(mine, fog, 0)) for mine in of_side]),
        vacuum=vacuum / cells / 255.0,
        hole=largest(on_grid("hole_u8")) > 0,
        above=largest((rel > 0) | ((rel == 0) & (side == SHOWN_ASK))),
        buy=largest(on_grid("buy_fill_u8")),
        sell=largest(on_grid("sell_fill_u8")),
    )


def column_starts(ends_s: Array, view: View) -> Array:
    """First window of each column: borders lie on multiples of `seconds_per_column` of the clock."""
    return np.flatnonzero(np.diff(ends_s // view.seconds_per_column, prepend=-1))


def _pool(values: Array, view: View, ends_s: Array, how: np.ufunc) -> Array:
    if view.ticks_per_row > 1:
        values = how.reduceat(values, np.arange(0, view.ticks, view.ticks_per_row), axis=0)
    if view.seconds_per_column > 1:
        values = how.reduceat(values, column_starts(ends_s, view), axis=1)
    return values


def brightness_table(wall_bounds_log: tuple[float, float] | None) -> Array:
    """float[256]: brightness of each value of a wall plane, 0 = nothing rests there.

    `wall_bounds_log`: the calibration's q05 and q95 of ln(1 + lots). Below the first a level is barely there,
    between them contrast is steepest, above the second only what is extreme gets brighter still. Without a
    calibration the fixed scale is used as it is.
    """
    log_lots = np.arange(256) / 255.0 * math.log(1 + FULL_DEPTH_LOTS)
    full = math.log(1 + FULL_DEPTH_LOTS)
    if wall_bounds_log is None:
        return np.asarray(log_lots / full)
    low, high = wall_bounds_log
    high = high if high > low else low + 1.0  # the repair of spec 6
    stops = (0.0, low, (low + high) / 2, high, max(full, high + 1.0))
    bright = np.interp(log_lots, stops, (0.0, 0.05, 0.22, 0.78, 1.0))
    bright[0] = 0.0  # also where the lower bound is 0 lots
    return np.asarray(bright)


def ramp(stops: tuple[tuple[float, float, float], ...], brightness: Array) -> Array:
    """float[..., 3]: colour of each brightness 0..1 along a ramp of four colours."""
    channels = [np.interp(brightness, RAMP_STOPS, [stop[c] for stop in stops]) for c in range(3)]
    return np.stack(channels, axis=-1)


def paint_field(field: Field, view: View, tick_int: int, brightness: Array) -> Array:
    """float[rows * SUB_ROWS, columns, 3] in 0..1: grid, walls, fog and erosion, without lines."""
    canvas = _grid(field.core.shape[1], field.core.shape[2], view, tick_int)
    stronger = (field.core[1] > field.core[0])[..., None]
    level = brightness[np.maximum(field.core[0], field.core[1])]
    walls = np.where(stronger, ramp(ASK_RAMP, level), ramp(BID_RAMP, level))
    cover = np.clip(level * 4.0, 0.0, 1.0)[..., None]
    canvas = _blend(canvas, _tall(walls), _tall(cover))
    for fog, colour in zip(field.fog, (BID_FOG, ASK_FOG), strict=True):
        haze = _blurred(fog / 255.0)
        canvas = _blend(canvas, np.array(colour), _tall(np.clip(haze * 0.9, 0.0, 0.6)[..., None]))
    return _notched(canvas, field, level)


def _grid(rows: int, columns: int, view: View, tick_int: int) -> Array:
    """Background with a line per point, a stronger one each five points."""
    canvas = np.tile(np.array(BACKGROUND), (rows * SUB_ROWS, columns, 1))
    ticks_per_point = 1_000_000_000 // tick_int
    for row in range(rows):
        tick = view.low_tick + row * view.ticks_per_row
        for points, strength in ((1, 0.10), (5, 0.28)):
            if tick % (points * ticks_per_point) < view.ticks_per_row:
                middle = row * SUB_ROWS + SUB_ROWS // 2
                canvas[middle] = _blend(np.array(BACKGROUND), np.array(GRID), strength)
    return canvas


def _notched(canvas: Array, field: Field, level: Array) -> Array:
    """Erosion: the edge of the wall that faces spot turns warm; the rest of the wall keeps its luminance.

    How bright the notch is follows the wall as it stood a column ago: a large wall that erodes is news, a
    thin level that comes and goes is not.
    """
    rows, columns = field.vacuum.shape
    cells = canvas.reshape(rows, SUB_ROWS, columns, 3)
    before = np.pad(level, ((0, 0), (1, 0)))[:, :-1]
    wall = np.maximum(level, before) ** 0.6
    share = np.clip(field.vacuum * 1.5, 0.0, 1.0) * (0.25 + 0.75 * wall)
    for edge, mine in ((slice(0, NOTCH_ROWS), field.above), (slice(-NOTCH_ROWS, None), ~field.above)):
        part = np.where(mine, share, 0.0)[..., None]
        cells[:, edge] = _blend(cells[:, edge], np.array(NOTCH), part[:, None])
    return cells.reshape(rows * SUB_ROWS, columns, 3)


def _blend(under: Array, over: Array, share: Any) -> Array:
    return np.asarray(under + (over - under) * share)


def _tall(values: Array) -> Array:
    return np.repeat(values, SUB_ROWS, axis=0)


def _blurred(values: Array) -> Array:
    """Mean of the nine neighbours, at least the cell's own two thirds: what is fleeting has no sharp edge."""
    padded = np.pad(values, 1)
    rows, columns = values.shape
    total = sum(padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3))
    return np.asarray(np.maximum(total / 9.0, values * 0.67))


def hole_edges(hole: Array) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Outline of the holes as segments ((column, row), (column, row)) in cell borders."""
    edged = np.pad(hole, 1)
    segments = []
    level = edged[1:, :] != edged[:-1, :]
    for row in range(level.shape[0]):
        for start, stop in runs(level[row]):
            segments.append(((start - 1.0, float(row)), (stop - 1.0, float(row))))
    upright = edged[:, 1:] != edged[:, :-1]
    for column in range(upright.shape[1]):
        for start, stop in runs(upright[:, column]):
            segments.append(((float(column), start - 1.0), (float(column), stop - 1.0)))
    return segments


def runs(mask: Array) -> list[tuple[int, int]]:
    """[start, stop) of each run of True."""
    borders = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(borders[::2], borders[1::2], strict=True)]


def fill_lots(values: Array) -> Array:
    """Lots behind a value of a fill plane, for the size of a dot only, never for a number."""
    return np.asarray(np.expm1(values / 255.0 * math.log(1 + FULL_FILL_LOTS)))


def smooth(values: Array, alive: Array, time_constant_s: float) -> Array:
    """Exponential mean over seconds where `alive`; NaN elsewhere, and it starts again after a break."""
    keep = math.exp(-1.0 / time_constant_s)
    smoothed = np.full(len(values), np.nan)
    last = math.nan
    for i, (value, on) in enumerate(zip(values.tolist(), alive.tolist(), strict=True)):
        last = math.nan if not on else value if math.isnan(last) else keep * last + (1 - keep) * value
        smoothed[i] = last
    return smoothed
