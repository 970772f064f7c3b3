"""The loops over wall rows: terms of the vacuum, resting strength, and sums per distance band (spec 5.4-5.6).

Rows come sorted by (window_end, side, price), side 0 = ask before 1 = bid. Integers in, float64 out; logs
are those of the C library, never of a vector unit, so that a value does not depend on its place in a block.

Laws of `walk_terms`
1 A row that nothing happened to, now or in the three windows before, costs a few comparisons and no memory.
2 History is the list of levels with pull_add_log != 0 of each of the last three windows, not an axis of
  prices: levels may come, leave the view and return, and spot may jump anywhere, at the same cost.
3 All state lies in `walk` and the three lists, so the rows may be cut into blocks anywhere.
"""

from __future__ import annotations

import math
from typing import Final

import numba as nb
import numpy as np

from data_eng.kernels.jit import njit
from data_eng.units import (
    AT_MAX_TICKS,
    DELTA_TICKS,
    HUD_ROWS,
    MID_MAX_TICKS,
    NEAR_MAX_TICKS,
    WINDOW_NS,
)

NO_WINDOW: Final = -(2**63)

# words of `walk`, int64[WALK_WORDS]
CUR_END: Final = 0
"""window_end of the window being read"""
FIRST_END: Final = 1
"""window_end of the first wall window of the run"""
SLOT_END: Final = 2
"""4 words: window_end of the list in each slot; slot = window number modulo 4"""
SLOT_COUNT: Final = 6
"""4 words: levels in each list"""
PAST_SLOT: Final = 10
"""3 words: slot of the list 1, 2, 3 windows back"""
PAST_COUNT: Final = 13
"""3 words: its length, 0 where that window had none"""
HEAD: Final = 16
"""3 words: first entry of it that is not below the row being read"""
WALK_WORDS: Final = 19
SLOTS: Final = 4
SLOT_LEVELS: Final = 2 * HUD_ROWS
"""most wall rows of one window"""

# rows of the `terms` array, float64[TERMS, rows]
X1: Final = 0
X2: Final = 1
X3: Final = 2
X4: Final = 3
INTENSITY: Final = 4
EROSION: Final = 5
D1: Final = 6
D3: Final = 7
TERMS: Final = 8

# last axis of `bands`, float64[windows, 2, 4, BAND_SUMS]
ROWS: Final = 0
STRENGTH: Final = 1
ERODED: Final = 2
VACUUM: Final = 3
LEVELS: Final = 4
DEPTH: Final = 5
BAND_SUMS: Final = 6

TOUCH_SLOTS: Final = 6
"""the best price and the five ticks behind it"""
# last axis of `touch`, float64[windows, 2, TOUCH_SLOTS, TOUCH_VALUES]
TOUCH_STRENGTH: Final = 0
TOUCH_ERODED: Final = 1
TOUCH_FLOW: Final = 2
TOUCH_VALUES: Final = 3

_I1, _I2, _I4, _I8, _F4, _F8 = nb.int8, nb.int16, nb.int32, nb.int64, nb.float32, nb.float64


def _column(dtype):
    """A column of a block: Arrow's memory, which nobody may write to."""
    return nb.types.Array(dtype, 1, "C", readonly=True)


@njit(forceinline=True)
def _open_window(walk, end):
    """Begin a window: its list is empty, and the three lists before it are looked up.

    Before the first window the first window repeats, which makes its differences 0 (spec 5.4).
    """
    walk[CUR_END] = end
    if walk[FIRST_END] == NO_WINDOW:
        walk[FIRST_END] = end
    slot = (end // WINDOW_NS) & 3
    walk[SLOT_END + slot] = end
    walk[SLOT_COUNT + slot] = 0
    for k in range(3):
        past = max(end - (k + 1) * WINDOW_NS, walk[FIRST_END])
        past_slot = (past // WINDOW_NS) & 3
        walk[PAST_SLOT + k] = past_slot
        known = walk[SLOT_END + past_slot] == past
        walk[PAST_COUNT + k] = walk[SLOT_COUNT + past_slot] if known else 0
        walk[HEAD + k] = 0
    return slot


@njit(forceinline=True)
def _next_side(walk, side_of):
    """Side of the lowest level that the lists still hold; 2 = none."""
    low = 2
    for k in range(3):
        if walk[HEAD + k] < walk[PAST_COUNT + k]:
            low = min(low, side_of[walk[PAST_SLOT + k], walk[HEAD + k]])
    return low


@njit(forceinline=True)
def _next_price(walk, side_of, price_of, side):
    """Price of the lowest level of `side` that the lists still hold."""
    low = np.int64(9_223_372_036_854_775_807)
    for k in range(3):
        if walk[HEAD + k] < walk[PAST_COUNT + k]:
            slot = walk[PAST_SLOT + k]
            if side_of[slot, walk[HEAD + k]] == side:
                low = min(low, price_of[slot, walk[HEAD + k]])
    return low


@njit(forceinline=True)
def _past_value(walk, side_of, price_of, x_of, k, side, price):
    """pull_add_log of the level k + 1 windows ago, 0 without an entry; the list is left behind the level."""
    slot = walk[PAST_SLOT + k]
    head = walk[HEAD + k]
    count = walk[PAST_COUNT + k]
    while head < count and (
        side_of[slot, head] < side or (side_of[slot, head] == side and price_of[slot, head] < price)
    ):
        head += 1
    value = 0.0
    if head < count and side_of[slot, head] == side and price_of[slot, head] == price:
        value = x_of[slot, head]
        head += 1
    walk[HEAD + k] = head
    return value


@njit(
    _I8(
        _I8[::1],  # walk
        _I1[:, ::1],  # side_of
        _I8[:, ::1],  # price_of
        _F8[:, ::1],  # x_of
        _column(_I8),  # window_end
        _column(_I1),  # side
        _column(_I8),  # price
        *[_column(_I4)] * 6,  # depth_start to d1_depth
        _I8[::1],  # rows
        _F8[:, ::1],  # terms
    )
)
def walk_terms(
    walk,
    side_of,
    price_of,
    x_of,
    window_end,
    side,
    price,
    depth_start,
    add,
    pull,
    fill,
    pull_rest,
    d1_depth,
    rows,
    terms,
):
    """x1..x4 and what belongs to them, of the rows where any may differ from 0 or that had flow (spec 5.4).

    walk: int64[WALK_WORDS]; side_of int8, price_of int64, x_of float64: [SLOTS, SLOT_LEVELS]. The rest are
    columns of one block. `rows` (int64) and `terms` (float64[TERMS, ...]) take the row numbers and values and
    hold as many entries as the block has rows.
    Returns their count, or -1 - row when a window holds more levels than a view can.
    """
    made = 0
    cur_end = walk[CUR_END]
    slot = (cur_end // WINDOW_NS) & 3
    next_side = _next_side(walk, side_of)
    next_price = _next_price(walk, side_of, price_of, next_side)
    for i in range(window_end.shape[0]):
        if window_end[i] != cur_end:
            cur_end = window_end[i]
            slot = _open_window(walk, cur_end)
            next_side = _next_side(walk, side_of)
            next_price = _next_price(walk, side_of, price_of, next_side)
        s, p = side[i], price[i]
        past = s > next_side or (s == next_side and p >= next_price)
        h1 = h2 = h3 = 0.0
        if past:
            h1 = _past_value(walk, side_of, price_of, x_of, 0, s, p)
            h2 = _past_value(walk, side_of, price_of, x_of, 1, s, p)
            h3 = _past_value(walk, side_of, price_of, x_of, 2, s, p)
            next_side = _next_side(walk, side_of)
            next_price = _next_price(walk, side_of, price_of, next_side)
        flow = add[i] | pull[i] | fill[i]  # none is negative, so this is 0 only when all are
        if flow == 0 and d1_depth[i] >= 0 and h1 == 0.0 and h2 == 0.0 and h3 == 0.0:
            continue

        x1 = math.log((pull_rest[i] + 1.0) / (add[i] + 1.0))
        if x1 != 0.0:
            count = walk[SLOT_COUNT + slot]
            if count == SLOT_LEVELS:
                return -1 - i
            side_of[slot, count] = s
            price_of[slot, count] = p
            x_of[slot, count] = x1
            walk[SLOT_COUNT + slot] = count + 1
        if cur_end == walk[FIRST_END]:
            h1 = h2 = h3 = x1
        d1, d1_1, d1_2 = x1 - h1, h1 - h2, h2 - h3
        d2, d2_1 = d1 - d1_1, d1_1 - d1_2
        start = depth_start[i] + 1.0
        intensity = pull_rest[i] / start
        erosion = -np.float64(d1_depth[i]) if d1_depth[i] < 0 else 0.0
        rows[made] = i
        terms[X1, made] = x1
        terms[X2, made] = math.log(1.0 + intensity)
        terms[X3, made] = math.log(1.0 + erosion / start)
        terms[X4, made] = d2
        terms[INTENSITY, made] = intensity
        terms[EROSION, made] = erosion
        terms[D1, made] = d1
        terms[D3, made] = d2 - d2_1
        made += 1
    return made


@njit(nb.void(_F8[::1]))
def log_table(out):
    """out[q] = ln(1 + q), float64."""
    for q in range(out.shape[0]):
        out[q] = math.log(q + 1.0)


@njit([nb.void(_column(_I4), _column(_F8), out[::1]) for out in (_F8, _F4)])
def strength_logs(depth_rest, logs, out):
    """out[row] = ln(1 + depth_rest), int32 lots -> float64 or float32; `logs` comes from `log_table`."""
    for i in range(depth_rest.shape[0]):
        qty = depth_rest[i]
        out[i] = logs[qty] if 0 <= qty < logs.shape[0] else math.log(qty + 1.0)


@njit(
    _I8(
        _I8,  # first_row
        *[_column(_I8)] * 3,  # snapshot_end, best_ask, best_bid
        _I8,  # tick_int
        _column(_I8),  # window_end
        _column(_I1),  # side
        _column(_I8),  # price
        _column(_I2),  # rel_ticks
        *[_column(_I4)] * 2,  # depth_start, depth_end
        *[_column(_F4)] * 4,  # strength, erosion, vacuum, flow
        _F8[:, :, :, ::1],  # bands
        _F8[:, :, :, ::1],  # touch
    )
)
def sum_bands(
    first_row,
    snapshot_end,
    best_ask,
    best_bid,
    tick_int,
    window_end,
    side,
    price,
    rel_ticks,
    depth_start,
    depth_end,
    strength,
    erosion,
    vacuum,
    flow,
    bands,
    touch,
):
    """Add one block of wall and vacuum rows, in row order, to the sums per window, direction and band.

    bands: float64[windows, 2, 4, BAND_SUMS], direction 0 above (asks), 1 below (bids), bands AT to FAR.
    touch: float64[windows, 2, TOUCH_SLOTS, TOUCH_VALUES], values of the row in each slot behind the best.
    snapshot_end, best_ask, best_bid: int64[windows], best 0 = none; `first_row` is where to begin looking.
    Returns the snapshot row of the last wall row, or -1 - row for a wall row whose window is not there.
    """
    at = first_row
    reach = TOUCH_SLOTS * tick_int
    for i in range(window_end.shape[0]):
        while at < snapshot_end.shape[0] and snapshot_end[at] < window_end[i]:
            at += 1
        if at == snapshot_end.shape[0] or snapshot_end[at] != window_end[i]:
            return -1 - i
        if side[i] == 0:
            distance = np.int64(rel_ticks[i])
            best = best_ask[at]
            behind = price[i] - best
        else:
            distance = -np.int64(rel_ticks[i])
            best = best_bid[at]
            behind = best - price[i]
        inside = 0 <= distance <= DELTA_TICKS
        touching = best != 0 and 0 <= behind < reach
        if not (inside or touching):
            continue
        eroded = 0.0
        if erosion[i] > 0:
            eroded = math.log(1.0 + np.float64(erosion[i]) / (depth_start[i] + 1.0))
        if inside:
            band = 3
            if distance <= AT_MAX_TICKS:
                band = 0
            elif distance <= NEAR_MAX_TICKS:
                band = 1
            elif distance <= MID_MAX_TICKS:
                band = 2
            bands[at, side[i], band, ROWS] += 1.0
            bands[at, side[i], band, STRENGTH] += np.float64(strength[i])
            bands[at, side[i], band, ERODED] += eroded
            bands[at, side[i], band, VACUUM] += np.float64(vacuum[i])
            if depth_end[i] > 0:
                bands[at, side[i], band, LEVELS] += 1.0
                bands[at, side[i], band, DEPTH] += np.float64(depth_end[i])
        if touching:
            k = behind // tick_int
            touch[at, side[i], k, TOUCH_STRENGTH] = np.float64(strength[i])
            touch[at, side[i], k, TOUCH_ERODED] = eroded
            touch[at, side[i], k, TOUCH_FLOW] = np.float64(flow[i])
    return at
