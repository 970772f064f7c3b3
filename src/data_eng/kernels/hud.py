"""The loop that paints hud_surface_1s: levels and strikes of a window to nine planes of bytes (spec 9.2).

A window's planes depend on its own rows and, for holes alone, on the depth of the ten windows before. That
past is a ring of `HOLE_WINDOWS` + 1 pictures of depth, each on the axis of its own spot. A level is
looked up there by its price, so a moving spot loses nothing, and the state has one size for any length
of day. What a quantity looks like is read from a table: the logarithm is taken once per integer.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numba as nb
import numpy as np

from data_eng.kernels.jit import njit
from data_eng.units import DELTA_TICKS, HUD_MAX_TICKS, HUD_ROWS

ASK = 0
BID = 1
"""side codes of the rows"""
WALL_CORE, WALL_FOG, VACUUM, BUY_FILL, SELL_FILL, GEX_ABS, GEX_IMBALANCE, SIDE, HOLE = range(9)
"""planes in the order of the table's columns"""
PLANE_COUNT = 9
SHOWN_BID = 1
SHOWN_ASK = 2
"""values of the side plane; 0 = no row"""
IMBALANCE_NEUTRAL = 128
FULL_DEPTH_LOTS = 2_000
FULL_FILL_LOTS = 500
FULL_GEX = 1e5
"""what reaches 255 in the wall, fill and gamma planes"""
HOLE_WINDOWS = 10
"""a level that lost its depth stays a hole for so many windows"""
NO_ROW = -1
"""depth in a picture where the window has no row"""
ALL_PAINTED = -1


def log_scale_u8(full: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """uint8[full + 1]: floor(255 * ln(1 + q) / ln(1 + full) + 0.5) for q = 0..full lots."""
    top = math.log(1 + full)
    return np.array([math.floor(255 * math.log(1 + q) / top + 0.5) for q in range(full + 1)], dtype=np.uint8)


class DepthHistory(NamedTuple):
    """The last `HOLE_WINDOWS` + 1 windows: what holes need of the past.

    depth: int32[windows, 2 sides, 1201], depth_end at the rows of that window's own spot, `NO_ROW` = none.
    spot: int64[windows], price of that spot, 0 = the window had none. next_slot: int64[1].
    """

    depth: np.ndarray[Any, np.dtype[np.int32]]
    spot: np.ndarray[Any, np.dtype[np.int64]]
    next_slot: np.ndarray[Any, np.dtype[np.int64]]


def empty_history() -> DepthHistory:
    """The history before the first window of a date."""
    kept = HOLE_WINDOWS + 1
    return DepthHistory(
        np.full((kept, 2, HUD_ROWS), NO_ROW, dtype=np.int32),
        np.zeros(kept, dtype=np.int64),
        np.zeros(1, dtype=np.int64),
    )


def blank_planes(windows: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """uint8[9, windows, 1201]: planes without any level or strike."""
    planes = np.zeros((PLANE_COUNT, windows, HUD_ROWS), dtype=np.uint8)
    planes[GEX_IMBALANCE] = IMBALANCE_NEUTRAL
    return planes


def _column(dtype):
    """Rows that are only read."""
    return nb.types.Array(dtype, 1, "C", readonly=True)


_I8, _I4, _F8 = nb.int64, nb.int32, nb.float64
_HISTORY = nb.types.NamedTuple((_I4[:, :, ::1], _I8[::1], _I8[::1]), DepthHistory)


@njit(
    _I8(
        _column(_I8),  # spot
        _I8,  # tick_int
        _column(_I8),  # row_from
        _column(nb.uint8),  # side
        _column(nb.int16),  # rel_ticks
        *[_column(_I4)] * 3,  # depth_end, depth_rest, fill_qty
        _column(nb.float32),  # flow_score
        _column(_I8),  # strike_from
        _column(_I8),  # strike_price
        *[_column(_F8)] * 2,  # gex_abs, gex_ratio
        *[_column(nb.uint8)] * 2,  # depth_u8, fill_u8
        _HISTORY,
        nb.uint8[:, :, ::1],  # planes
    )
)
def paint_windows(
    spot,
    tick_int,
    row_from,
    side,
    rel_ticks,
    depth_end,
    depth_rest,
    fill_qty,
    flow_score,
    strike_from,
    strike_price,
    gex_abs,
    gex_ratio,
    depth_u8,
    fill_u8,
    history,
    planes,
):
    """Paint n consecutive windows; linear in rows, allocates nothing.

    spot int64[n], prices in 1e-9 points, 0 = none; tick_int int64.
    row_from int64[n + 1]: window w has the rows row_from[w]..row_from[w + 1] of side uint8, rel_ticks int16,
    depth_end, depth_rest, fill_qty int32 (lots) and flow_score float32, in any order.
    strike_from int64[n + 1], alike, over strike_price int64, gex_abs and gex_ratio float64.
    depth_u8, fill_u8: tables of `log_scale_u8`. history: `DepthHistory`, moved on by n windows.
    planes: uint8[9, n, 1201] as `blank_planes` gives them.

    -> `ALL_PAINTED`, or the number of the first row that no wall can hold (side, rel_ticks or quantity out of
    range); then planes and history are unusable.
    """
    kept = history.spot.shape[0]
    full_depth = depth_u8.shape[0] - 1
    full_fill = fill_u8.shape[0] - 1
    full_gex_log = math.log(1.0 + FULL_GEX)
    depth = history.depth
    for w in range(spot.shape[0]):
        slot = history.next_slot[0]
        history.next_slot[0] = (slot + 1) % kept
        s = spot[w]
        history.spot[slot] = s
        for at_side in range(2):
            for i in range(HUD_ROWS):
                depth[slot, at_side, i] = NO_ROW
        if s <= 0:
            continue

        for row in range(row_from[w], row_from[w + 1]):
            own = side[row]
            rel = int(rel_ticks[row])
            rest, end, fill = depth_rest[row], depth_end[row], fill_qty[row]
            if own > BID or rel < -HUD_MAX_TICKS or rel > HUD_MAX_TICKS:
                return row
            if rest < 0 or end < rest or fill < 0:
                return row
            i = rel + HUD_MAX_TICKS
            planes[WALL_CORE, w, i] = max(planes[WALL_CORE, w, i], depth_u8[min(rest, full_depth)])
            planes[WALL_FOG, w, i] = max(planes[WALL_FOG, w, i], depth_u8[min(end - rest, full_depth)])
            if own == ASK:
                planes[BUY_FILL, w, i] = fill_u8[min(fill, full_fill)]
            else:
                planes[SELL_FILL, w, i] = fill_u8[min(fill, full_fill)]
            if rel == 0 or (own == ASK) == (rel > 0):
                score = min(max(np.float64(flow_score[row]), 0.0), 1.0)
                planes[VACUUM, w, i] = max(planes[VACUUM, w, i], np.uint8(math.floor(255.0 * score + 0.5)))
            # a row is a side that is there, also when its depth is gone: its fills need a colour
            depth[slot, own, i] = end
            ask, bid = depth[slot, ASK, i], depth[slot, BID, i]
            shows_ask = ask > bid or (ask == bid and rel > 0)
            planes[SIDE, w, i] = SHOWN_ASK if shows_ask else SHOWN_BID

        for at_side in range(2):
            for distance in range(DELTA_TICKS + 1):
                i = HUD_MAX_TICKS + (distance if at_side == ASK else -distance)
                if depth[slot, at_side, i] > 0:
                    continue
                for back in range(1, kept):
                    earlier = (slot + kept - back) % kept
                    if history.spot[earlier] <= 0:
                        continue
                    then = i + (s - history.spot[earlier]) // tick_int
                    if then >= 0 and then < HUD_ROWS and depth[earlier, at_side, then] > 0:
                        planes[HOLE, w, i] = 255
                        break

        for k in range(strike_from[w], strike_from[w + 1]):
            distance_int = strike_price[k] - s
            i = HUD_MAX_TICKS + distance_int // tick_int
            if distance_int % tick_int == 0 and i >= 0 and i < HUD_ROWS:
                share = min(max(math.log(1.0 + gex_abs[k]) / full_gex_log, 0.0), 1.0)
                planes[GEX_ABS, w, i] = np.uint8(math.floor(255.0 * share + 0.5))
                ratio = min(max(gex_ratio[k], -1.0), 1.0)
                planes[GEX_IMBALANCE, w, i] = np.uint8(math.floor(127.5 * (1.0 + ratio) + 0.5))
    return ALL_PAINTED
