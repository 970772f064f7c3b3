"""The loop of the futures book engine (spec 4, 5.1-5.3, 5.7): integers in arrays in, arrays out.

Laws. 1 Add, Cancel, Modify and cleaR change the book; Trade and Fill never do.
      2 A snapshot starts when F_SNAPSHOT appears and ends at its F_LAST, or at the first record without
        the flag. What it holds never enters a flow.
      3 The book is looked at only where an event ends.
      4 Quantity that leaves a level is a fill as far as the event's F records say so, else a pull (4.6).
      5 Nothing here asks for the time or does I/O. The clock is ts_event, and `advance_to`.

Data structures.
  orders  open addressing, linear probing, multiplicative hash, backward-shift deletion. One row of eight
          words (one cache line) per order; O_LEVEL < 0 marks a free row, so every 64-bit id is legal.
  levels  dense axis of ticks, one block of sixteen words per (side, tick); ticks that the axis cannot
          reach live behind it as overflow levels with the same block, found by a linear search. An order
          refers to its level by index, so no division is needed when it leaves.
          Accumulators and depth history of a level are brought up to date when it is first touched in a
          window (L_WIN says for which window they are true). A quiet level costs nothing, however long
          it is quiet.
  young   orders that took their price less than REST_NS before the end of their window: resting depth is
          depth less those, so no window scans the orders.
  radar   the window's changes, replayed once its spot is known. The picture at the window's start is read
          from the levels.

A record is either applied as a whole or not at all: whatever may run out (rows of output, axis, table,
lists) is checked before the first change, the caller is asked for more room, and calls again with the
same record. That is why any cut of the stream gives the same result.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numba as nb
import numpy as np

from data_eng.dbn_codes import (
    ACTION_ADD,
    ACTION_CANCEL,
    ACTION_CLEAR,
    ACTION_FILL,
    ACTION_MODIFY,
    ACTION_NONE,
    ACTION_TRADE,
    F_LAST,
    F_MAYBE_BAD_BOOK,
    F_SNAPSHOT,
    PHASE_CLOSED,
    PHASE_OPEN,
    PHASE_PRE_OPEN,
    SIDE_ASK,
    SIDE_BID,
)
from data_eng.kernels.book_layout import (
    ASK,
    AVAILABLE_NS,
    AWAIT_LAST,
    BAD_BOOK,
    BASE_TICK,
    BEST_ASK,
    BEST_BID,
    BID,
    CAL_PHASE,
    CAL_STARTED,
    COMPLETE,
    DAY_HI_NS,
    DAY_LO_NS,
    DENSE_LEVELS,
    DONE,
    EMIT_FROM,
    EMIT_TO,
    EV_AGGRESSOR,
    EV_FIRST_TRADE,
    EV_HAS_TRADE,
    EV_RECORDS,
    EVENT_AHEAD_NS,
    GROW_HI,
    GROW_LO,
    HAS_STATUS,
    HASH_SHIFT,
    HIST_WIN,
    IN_PAUSE,
    IN_SNAPSHOT,
    INSTRUMENT,
    K_AGGRESSOR_FILL_QTY,
    K_AGGRESSOR_FILLS,
    K_BAD_SIDES,
    K_BAD_SIZES,
    K_CLEARS,
    K_CROSSED,
    K_DUPLICATE_ADDS,
    K_EVENTS,
    K_FOREIGN,
    K_HIDDEN_CANCEL,
    K_HIDDEN_MODIFY,
    K_IDENTITY,
    K_LATE,
    K_NEGATIVE_DEPTHS,
    K_OFF_TICK,
    K_OVERSIZED_CANCELS,
    K_RECORDS,
    K_SIDE_CHANGES,
    K_SNAPSHOT_NOT_ADD,
    K_SNAPSHOT_RECORDS,
    K_SNAPSHOTS,
    K_UNDEF_PRICES,
    K_UNKNOWN_ACTIONS,
    K_UNKNOWN_CANCELS,
    K_UNKNOWN_FILL_ORDERS,
    K_UNKNOWN_FILL_QTY,
    K_UNKNOWN_MODIFIES,
    K_UNMATCHED_FILL_ORDERS,
    K_UNMATCHED_FILL_QTY,
    K_UNTERMINATED,
    L_ADD,
    L_DEPTH,
    L_E1,
    L_E2,
    L_E3,
    L_FILL,
    L_PULL,
    L_PULL_REST,
    L_START,
    L_WIN,
    L_YOUNG,
    LAST_TRADE,
    LEVEL_WORDS,
    LIVE_ORDERS,
    MAX_QTY,
    N_F,
    N_FILLED,
    N_RADAR,
    N_RADAR_ROWS,
    N_SNAP_ROWS,
    N_TRADES,
    N_U,
    N_UNKNOWN,
    N_WALL_ROWS,
    N_YOUNG,
    NEED_AXIS,
    NEED_LISTS,
    NEED_OUTPUT,
    NEED_OVERFLOW,
    NEED_TICK,
    O_COUNTED,
    O_ENTER,
    O_FILL,
    O_KEY,
    O_LEVEL,
    O_QTY,
    ORDER_WORDS,
    OVERFLOW_USED,
    P_AT,
    P_CENTRE,
    P_FAR,
    P_FIRST,
    P_NEAR,
    P_TOTAL,
    PAUSE_IDX,
    PRE_WINDOW,
    R_CODE,
    R_FILL,
    R_QTY_0,
    R_QTY_1,
    R_TICK_0,
    R_TICK_1,
    RADAR_FIRST,
    RD_APPROACH,
    RD_END_NS,
    RD_SPOT,
    RESET_WIN,
    SNAP_ASK,
    SNAP_ASK_QTY,
    SNAP_AVAILABLE_NS,
    SNAP_BID,
    SNAP_BID_QTY,
    SNAP_BOOK_VALID,
    SNAP_BUY,
    SNAP_CROSSED,
    SNAP_END_NS,
    SNAP_EVENTS,
    SNAP_LAST_TRADE,
    SNAP_PHASE,
    SNAP_SELL,
    SNAP_SPOT,
    SNAP_TRADES,
    SNAP_TS_RECV,
    SNAP_WALL_ROWS,
    SNAP_WINDOW_VALID,
    SPOT_1,
    SPOT_2,
    SPOT_3,
    SPOT_ROWS,
    STATUS_IDX,
    STATUS_PHASE,
    TICK_INT,
    TR_EVENT_NS,
    TR_FILL_QTY,
    TR_FILLS,
    TR_IDX,
    TR_ORDER_ID,
    TR_PHASE,
    TR_PRICE,
    TR_QTY,
    TR_RECV_NS,
    TR_SEQUENCE,
    TR_SIDE,
    TR_SWEEP,
    TR_WIN,
    TRADE_IDX,
    W_ADDED,
    W_AWAY,
    W_BUY,
    W_CROSSED,
    W_EVENTS,
    W_GONE,
    W_GONE_AT,
    W_GONE_NEAR,
    W_SELL,
    W_TOWARD,
    W_TRADES,
    W_WORDS,
    WIN,
    WIN_BAD,
    WIN_END_NS,
    WIN_START_NS,
    WITH_WALL,
    ZONE,
)
from data_eng.kernels.jit import njit
from data_eng.units import (
    AT_MAX_TICKS,
    DAY_NS,
    DELTA_TICKS,
    EPS_DIST_TICKS,
    EPS_QTY,
    HOUR_NS,
    HUD_MAX_TICKS,
    MID_MAX_TICKS,
    NEAR_MAX_TICKS,
    REST_NS,
    TINY_TOL,
    UNDEF_PRICE,
    WINDOW_NS,
)

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


# ------------------------------------------------------------------------------------- order table
@njit(forceinline=True)
def _slot_of(key, shift):
    return np.int64((np.uint64(key) * _MULTIPLIER) >> np.uint64(shift))


@njit(forceinline=True)
def find_order(tab, key, shift):
    """Row of the order, or ~row of the free row where it would go."""
    mask = tab.shape[0] - 1
    j = _slot_of(key, shift)
    while tab[j, O_LEVEL] >= 0:
        if tab[j, O_KEY] == key:
            return j
        j = (j + 1) & mask
    return ~j


@njit(forceinline=True)
def _delete_order(tab, i, shift):
    """Free row i; later rows of the probe run move up, so that no tombstone is ever left."""
    mask = tab.shape[0] - 1
    j = i
    while True:
        j = (j + 1) & mask
        if tab[j, O_LEVEL] < 0:
            break
        home = _slot_of(tab[j, O_KEY], shift)
        if ((j - home) & mask) >= ((j - i) & mask):
            for k in range(O_COUNTED + 1):
                tab[i, k] = tab[j, k]
            i = j
    tab[i, O_LEVEL] = -1


@njit()
def rehash(old, new, shift):
    """Copy every order of `old` to the empty table `new`, whose hash shift is `shift`."""
    for i in range(old.shape[0]):
        if old[i, O_LEVEL] >= 0:
            j = ~find_order(new, old[i, O_KEY], shift)
            for k in range(ORDER_WORDS):
                new[j, k] = old[i, k]


@njit()
def relabel_levels(tab, level_map):
    """After the axis moved: int64[old level index] -> new level index."""
    for i in range(tab.shape[0]):
        if tab[i, O_LEVEL] >= 0:
            tab[i, O_LEVEL] = 2 * level_map[tab[i, O_LEVEL] >> 1] + (tab[i, O_LEVEL] & 1)


# ------------------------------------------------------------------------------------------ levels
@njit(forceinline=True)
def _tick_of(st, over, level):
    if level < st[DENSE_LEVELS]:
        return st[BASE_TICK] + level
    return over[level - st[DENSE_LEVELS]]


@njit()
def _level_of(st, over, tick):
    """Level index of a tick, appending an overflow level when the axis may not grow so far.

    -NEED_AXIS or -NEED_OVERFLOW when the caller must make room first (NEED_TICK says for what)."""
    rel = tick - st[BASE_TICK]
    if 0 <= rel < st[DENSE_LEVELS]:
        return rel
    used = st[OVERFLOW_USED]
    for k in range(used):
        if over[k] == tick:
            return st[DENSE_LEVELS] + k
    st[NEED_TICK] = tick
    if st[DENSE_LEVELS] == 0 or st[GROW_LO] <= tick < st[GROW_HI]:
        return -NEED_AXIS
    if used == over.shape[0]:
        return -NEED_OVERFLOW
    over[used] = tick
    st[OVERFLOW_USED] = used + 1
    return st[DENSE_LEVELS] + used


@njit(forceinline=True)
def _touch(st, cnt, lev, b):
    """Make block b true for the current window before its first change in it."""
    win = st[WIN]
    last = lev[b + L_WIN]
    if last == win:
        return
    depth = lev[b + L_DEPTH]
    e1 = lev[b + L_E1]
    if last > st[RESET_WIN] and depth != e1 + lev[b + L_ADD] - lev[b + L_PULL] - lev[b + L_FILL]:
        cnt[K_IDENTITY] += 1
    if last <= st[HIST_WIN] or win - last >= 3:
        lev[b + L_E2] = depth
        lev[b + L_E3] = depth
    elif win - last == 2:
        lev[b + L_E2] = depth
        lev[b + L_E3] = e1
    else:
        lev[b + L_E3] = lev[b + L_E2]
        lev[b + L_E2] = e1
    lev[b + L_E1] = depth
    lev[b + L_ADD] = 0
    lev[b + L_PULL] = 0
    lev[b + L_PULL_REST] = 0
    lev[b + L_FILL] = 0
    lev[b + L_WIN] = win


@njit(forceinline=True)
def _change_depth(st, cnt, lev, side, level, b, change):
    """Add `change` contracts to a level and keep the best dense level of the side."""
    depth = lev[b + L_DEPTH] + change
    lev[b + L_DEPTH] = depth
    n = st[DENSE_LEVELS]
    if level >= n:
        return  # best of the overflow is searched when it is asked for
    if depth > 0:
        if side == BID:
            if level > st[BEST_BID]:
                st[BEST_BID] = level
        elif level < st[BEST_ASK]:
            st[BEST_ASK] = level
        return
    if depth < 0:
        cnt[K_NEGATIVE_DEPTHS] += 1
    stride = 2 * LEVEL_WORDS
    if side == BID:
        if level == st[BEST_BID]:
            while level >= 0 and lev[b + L_DEPTH] <= 0:
                level -= 1
                b -= stride
            st[BEST_BID] = level
    elif level == st[BEST_ASK]:
        while level < n and lev[b + L_DEPTH] <= 0:
            level += 1
            b += stride
        st[BEST_ASK] = level


@njit(forceinline=True)
def _block(level, side):
    return (2 * level + side) * LEVEL_WORDS


@njit(forceinline=True)
def _best(st, lev, over, side):
    """Level index of the best price of a side, -1 when it has none."""
    n = st[DENSE_LEVELS]
    best = st[BEST_BID] if side == BID else st[BEST_ASK]
    if best >= n:
        best = -1
    if st[OVERFLOW_USED] == 0:
        return best
    best_tick = np.int64(0)
    if best >= 0:
        best_tick = st[BASE_TICK] + best
    for k in range(st[OVERFLOW_USED]):
        if lev[_block(n + k, side) + L_DEPTH] > 0:
            tick = over[k]
            if best < 0 or (tick > best_tick if side == BID else tick < best_tick):
                best, best_tick = n + k, tick
    return best


@njit(forceinline=True)
def _is_crossed(st, lev, over):
    if st[OVERFLOW_USED] == 0:
        return st[BEST_BID] >= st[BEST_ASK]
    bid = _best(st, lev, over, BID)
    ask = _best(st, lev, over, ASK)
    return bid >= 0 and ask >= 0 and _tick_of(st, over, bid) >= _tick_of(st, over, ask)


# ------------------------------------------------------------------------------------ phase (4.8)
@njit(forceinline=True)
def _phase(st):
    return st[STATUS_PHASE] if st[HAS_STATUS] else st[CAL_PHASE]


@njit()
def _move_phase(st, pauses, status, ts):
    """Calendar and status messages up to and including ts; going back in time changes nothing."""
    n = pauses.shape[0]
    if st[CAL_STARTED] == 0:
        st[CAL_STARTED] = 1
        while st[PAUSE_IDX] < n and pauses[st[PAUSE_IDX], 1] <= ts:
            st[PAUSE_IDX] += 1
        st[CAL_PHASE] = PHASE_OPEN
    while st[PAUSE_IDX] < n:
        k = st[PAUSE_IDX]
        if st[IN_PAUSE] == 0:
            if ts < pauses[k, 0]:
                break
            st[IN_PAUSE] = 1
            st[CAL_PHASE] = PHASE_CLOSED
        if ts < pauses[k, 1]:
            break
        st[IN_PAUSE] = 0
        st[CAL_PHASE] = PHASE_PRE_OPEN
        st[PAUSE_IDX] = k + 1
    while st[STATUS_IDX] < status.shape[0] and status[st[STATUS_IDX], 0] <= ts:
        st[HAS_STATUS] = 1
        st[STATUS_PHASE] = status[st[STATUS_IDX], 1]
        st[STATUS_IDX] += 1


# ------------------------------------------------------------------------------------------ events
@njit(forceinline=True)
def _end_event(st, cnt, tab, lev, over, filled, unknown, trd):
    """The event is over: the book may be looked at, and what F said of it is settled (4.4, 4.6)."""
    cnt[K_EVENTS] += 1
    st[W_EVENTS] += 1
    st[EV_RECORDS] = 0
    if _is_crossed(st, lev, over):
        st[W_CROSSED] += 1
        st[WIN_BAD] = 1
        cnt[K_CROSSED + _phase(st)] += 1
    if st[EV_HAS_TRADE]:
        for k in range(st[EV_FIRST_TRADE], st[N_TRADES]):
            trd[k, TR_SWEEP] = st[N_TRADES] - st[EV_FIRST_TRADE]
        st[EV_HAS_TRADE] = 0
    st[EV_FIRST_TRADE] = st[N_TRADES]
    for k in range(st[N_FILLED]):
        j = find_order(tab, filled[k], st[HASH_SHIFT])
        if j >= 0 and tab[j, O_FILL] > 0:
            cnt[K_UNMATCHED_FILL_ORDERS] += 1
            cnt[K_UNMATCHED_FILL_QTY] += tab[j, O_FILL]
            tab[j, O_FILL] = 0
    st[N_FILLED] = 0
    for k in range(st[N_UNKNOWN]):
        cnt[K_UNKNOWN_FILL_ORDERS] += 1
        cnt[K_UNKNOWN_FILL_QTY] += unknown[k, 1]
    st[N_UNKNOWN] = 0


@njit()
def _cut_event(st, cnt, tab, lev, over, filled, unknown, trd):
    """Close an event that nothing ended; does nothing when none is open."""
    if st[EV_RECORDS] > 0:
        cnt[K_UNTERMINATED] += 1
        _end_event(st, cnt, tab, lev, over, filled, unknown, trd)


@njit()
def _hold_start(st, cnt, lev):
    """First reset in a window: keep the depth it started with, and begin its flow and history anew."""
    win = st[WIN]
    if st[RESET_WIN] == win:
        return
    for k in range(2 * (st[DENSE_LEVELS] + st[OVERFLOW_USED])):
        b = k * LEVEL_WORDS
        last = lev[b + L_WIN]
        depth = lev[b + L_DEPTH]
        e1 = lev[b + L_E1]
        if last > st[RESET_WIN] and depth != e1 + lev[b + L_ADD] - lev[b + L_PULL] - lev[b + L_FILL]:
            cnt[K_IDENTITY] += 1
        lev[b + L_START] = e1 if last == win else depth
    st[RESET_WIN] = win
    st[HIST_WIN] = win


@njit()
def _clear_book(st, cnt, tab, lev, as_reset):
    """Forget all orders. `as_reset`: inside a window, which keeps the depth it started with (4.12)."""
    if as_reset:
        _hold_start(st, cnt, lev)
        st[WIN_BAD] = 1
    else:
        st[RESET_WIN] = 0
    for k in range(2 * (st[DENSE_LEVELS] + st[OVERFLOW_USED])):
        b = k * LEVEL_WORDS
        lev[b + L_WIN] = st[WIN] if as_reset else 0
        lev[b + L_DEPTH] = 0
        lev[b + L_ADD] = 0
        lev[b + L_PULL] = 0
        lev[b + L_PULL_REST] = 0
        lev[b + L_FILL] = 0
    if st[LIVE_ORDERS] > 0:
        for j in range(tab.shape[0]):
            tab[j, O_LEVEL] = -1
    st[LIVE_ORDERS] = 0
    st[BEST_BID] = -1
    st[BEST_ASK] = st[DENSE_LEVELS]
    st[N_YOUNG] = 0
    st[N_RADAR] = 0
    st[N_FILLED] = 0
    st[N_UNKNOWN] = 0


# ----------------------------------------------------------------------------------------- windows
@njit()
def _start_depth(st, lev, b):
    """Depth of a level at the start of the current window, before any reset in it."""
    if st[RESET_WIN] == st[WIN]:
        return lev[b + L_START]
    if lev[b + L_WIN] == st[WIN]:
        return lev[b + L_E1]
    return lev[b + L_DEPTH]


@njit()
def _open_first_window(st, lev, over, ts):
    """The window of the first plain record; its start state is the book as it stands (4.7)."""
    win = ts // WINDOW_NS
    for k in range(2 * (st[DENSE_LEVELS] + st[OVERFLOW_USED])):
        if lev[k * LEVEL_WORDS + L_WIN] == PRE_WINDOW:
            lev[k * LEVEL_WORDS + L_WIN] = win
    if st[RESET_WIN] == PRE_WINDOW:
        st[RESET_WIN] = win
    st[HIST_WIN] = win
    st[WIN] = win
    st[WIN_START_NS] = win * WINDOW_NS
    st[WIN_END_NS] = win * WINDOW_NS + WINDOW_NS
    if _is_crossed(st, lev, over):
        st[WIN_BAD] = 1


@njit()
def _count_young(st, tab, lev, young, young_blocks):
    """Put the quantity that does not rest yet into L_YOUNG; returns the number of blocks to clear after."""
    limit = st[WIN_END_NS] - REST_NS
    kept = 0
    blocks = 0
    for k in range(st[N_YOUNG]):
        t_enter = young[k, 1]
        j = find_order(tab, young[k, 0], st[HASH_SHIFT])
        if j < 0 or tab[j, O_ENTER] != t_enter:
            continue
        if t_enter > limit and tab[j, O_COUNTED] != st[WIN]:
            tab[j, O_COUNTED] = st[WIN]
            b = tab[j, O_LEVEL] * LEVEL_WORDS
            lev[b + L_YOUNG] += tab[j, O_QTY]
            young_blocks[blocks] = b
            blocks += 1
        if t_enter > limit + WINDOW_NS:  # a time stamp from the future stays young
            young[kept, 0] = young[k, 0]
            young[kept, 1] = t_enter
            kept += 1
    st[N_YOUNG] = kept
    return blocks


@njit(forceinline=True)
def _wall_row(e, b, rel, side, price, spot, valid):
    """One row of the wall surface if the level has anything to say (5.2)."""
    st, lev, wall64, wall32 = e.st, e.lev, e.wall64, e.wall32
    win = st[WIN]
    depth = lev[b + L_DEPTH]
    last = lev[b + L_WIN]
    add = pull = pull_rest = fill = np.int64(0)
    d1 = d2 = d3 = np.int64(0)
    if last == win:
        start = lev[b + L_E1]
        add = lev[b + L_ADD]
        pull = lev[b + L_PULL]
        pull_rest = lev[b + L_PULL_REST]
        fill = lev[b + L_FILL]
        if st[RESET_WIN] == win:
            start = lev[b + L_START]
        if depth == 0 and start == 0 and add == 0 and pull == 0 and fill == 0:
            return
        if st[HIST_WIN] != win:
            e2 = lev[b + L_E2]
            d1 = depth - start
            d2 = depth - 2 * start + e2
            d3 = depth - 3 * start + 3 * e2 - lev[b + L_E3]
    else:
        start = depth
        if st[RESET_WIN] == win:
            start = lev[b + L_START]
        if depth == 0 and start == 0:
            return
        if last > st[HIST_WIN] and st[HIST_WIN] != win and win - last <= 2:
            e1 = lev[b + L_E1]
            if win - last == 1:
                d2 = e1 - depth
                d3 = 3 * e1 - 2 * depth - lev[b + L_E2]
            else:
                d3 = depth - e1
    row = st[N_WALL_ROWS]
    st[N_WALL_ROWS] = row + 1
    wall64[0, row] = st[WIN_END_NS]
    wall64[1, row] = price
    wall64[2, row] = spot
    wall32[0, row] = start
    wall32[1, row] = depth
    wall32[2, row] = add
    wall32[3, row] = pull
    wall32[4, row] = fill
    wall32[5, row] = depth - lev[b + L_YOUNG]
    wall32[6, row] = pull_rest
    wall32[7, row] = d1
    wall32[8, row] = d2
    wall32[9, row] = d3
    e.wall_rel[row] = rel
    e.wall_side[row] = side
    e.wall_valid[row] = valid
    biggest = max(max(start, depth), max(add, max(pull, fill)))
    if biggest > MAX_QTY or abs(d2) > MAX_QTY or abs(d3) > MAX_QTY:
        st[NEED_TICK] = UNDEF_PRICE  # the driver reports it: no int32 column can hold this


@njit()
def _overflow_rows(e, side, below, spot_tick, spot, valid):
    """Rows of overflow levels below (or above) the axis, in price order."""
    st, over, order = e.st, e.over, e.order
    used = st[OVERFLOW_USED]
    count = 0
    for k in range(used):
        tick = over[k]
        if abs(tick - spot_tick) <= HUD_MAX_TICKS and (tick < st[BASE_TICK]) == below:
            at = count
            while at > 0 and over[order[at - 1]] > tick:
                order[at] = order[at - 1]
                at -= 1
            order[at] = k
            count += 1
    for m in range(count):
        tick = over[order[m]]
        b = _block(st[DENSE_LEVELS] + order[m], side)
        _wall_row(e, b, tick - spot_tick, side, tick * st[TICK_INT], spot, valid)


@njit()
def _wall_rows(e, spot, valid):
    """All wall rows of the window: asks before bids, prices ascending."""
    st = e.st
    tick_int = st[TICK_INT]
    spot_tick = spot // tick_int
    lo = max(np.int64(0), spot_tick - HUD_MAX_TICKS - st[BASE_TICK])
    hi = min(st[DENSE_LEVELS] - 1, spot_tick + HUD_MAX_TICKS - st[BASE_TICK])
    for s in range(2):
        side = ASK - s
        if st[OVERFLOW_USED] > 0:
            _overflow_rows(e, side, True, spot_tick, spot, valid)
        for level in range(lo, hi + 1):
            tick = st[BASE_TICK] + level
            _wall_row(e, _block(level, side), tick - spot_tick, side, tick * tick_int, spot, valid)
        if st[OVERFLOW_USED] > 0:
            _overflow_rows(e, side, False, spot_tick, spot, valid)


# ------------------------------------------------------------------------------------- radar (5.3)
@njit()
def _zone_picture(st, lev, over, spot_tick, end, zone):
    """Depth by distance 0..20 of both sides, at the window's start (end = 0) or end -> zone[end]."""
    base = st[BASE_TICK]
    n = st[DENSE_LEVELS]
    for side in range(2):
        sign = 1 if side == ASK else -1
        for d in range(ZONE):
            level = spot_tick + sign * d - base
            zone[end, side, d] = 0
            if 0 <= level < n:
                b = _block(level, side)
                zone[end, side, d] = lev[b + L_DEPTH] if end else _start_depth(st, lev, b)
        for k in range(st[OVERFLOW_USED]):
            d = sign * (over[k] - spot_tick)
            if 0 <= d < ZONE:
                b = _block(n + k, side)
                zone[end, side, d] = lev[b + L_DEPTH] if end else _start_depth(st, lev, b)


@njit()
def _summary(zone, end, side, picture):
    """Sums and shape of one zone -> picture[end, side] = P_TOTAL .. P_FIRST."""
    total = at = near = far = np.int64(0)
    moment = np.int64(0)
    first = np.int64(DELTA_TICKS)
    for d in range(ZONE):
        q = zone[end, side, d]
        if q > 0 and total == 0:
            first = np.int64(d)
        total += q
        moment += q * d
        if d <= AT_MAX_TICKS:
            at += q
        elif d <= NEAR_MAX_TICKS:
            near += q
        elif d > MID_MAX_TICKS:
            far += q
    picture[end, side, P_TOTAL] = total
    picture[end, side, P_AT] = at
    picture[end, side, P_NEAR] = near
    picture[end, side, P_FAR] = far
    picture[end, side, P_CENTRE] = float(DELTA_TICKS) if total < TINY_TOL else moment / total
    picture[end, side, P_FIRST] = first


@njit()
def _zone_flow(st, rad, spot_tick, flow):
    """Replay the window's changes: a, r, r_AT, r_NEAR, away, toward per side -> flow[side]."""
    for k in range(W_WORDS):
        flow[BID, k] = 0
        flow[ASK, k] = 0
    for k in range(st[N_RADAR]):
        code = rad[k, R_CODE]
        side = code & 1
        sign = 1 if side == ASK else -1
        d0 = sign * (rad[k, R_TICK_0] - spot_tick)
        d1 = sign * (rad[k, R_TICK_1] - spot_tick)
        q0 = rad[k, R_QTY_0] if 0 <= d0 <= DELTA_TICKS else 0
        q1 = rad[k, R_QTY_1] if 0 <= d1 <= DELTA_TICKS else 0
        change = q1 - q0
        if change > 0:
            flow[side, W_ADDED] += change
        if (code & 2) == 0 or (code & 4) != 0:
            continue
        if change < 0:
            gone = max(-change - rad[k, R_FILL], np.int64(0))
            flow[side, W_GONE] += gone
            if d0 <= AT_MAX_TICKS:
                flow[side, W_GONE_AT] += gone
            elif d0 <= NEAR_MAX_TICKS:
                flow[side, W_GONE_NEAR] += gone
        if q0 > 0 and d1 != d0:
            if d1 < d0:
                flow[side, W_TOWARD] += q0
            else:
                flow[side, W_AWAY] += q0


@njit()
def _side_features(picture, flow, side, x, shape, pulls):
    """The six shape and four pull features of one side -> x[shape:shape+6], x[pulls:pulls+4]."""
    total_0, total_1 = picture[0, side, P_TOTAL], picture[1, side, P_TOTAL]
    at_1, near_1 = picture[1, side, P_AT], picture[1, side, P_NEAR]
    centre_0, centre_1 = picture[0, side, P_CENTRE], picture[1, side, P_CENTRE]
    x[shape] = math.log((centre_1 + EPS_DIST_TICKS) / (centre_0 + EPS_DIST_TICKS))
    x[shape + 1] = math.log((picture[1, side, P_FAR] + EPS_QTY) / (near_1 + EPS_QTY))
    x[shape + 2] = math.log((near_1 + EPS_QTY) / (at_1 + EPS_QTY))
    x[shape + 3] = at_1 / (total_1 + EPS_QTY) - picture[0, side, P_AT] / (total_0 + EPS_QTY)
    x[shape + 4] = near_1 / (total_1 + EPS_QTY) - picture[0, side, P_NEAR] / (total_0 + EPS_QTY)
    away, moved = flow[side, W_AWAY], flow[side, W_AWAY] + flow[side, W_TOWARD]
    x[shape + 5] = 0.5 if moved == 0 else away / (moved + EPS_QTY)
    gone = flow[side, W_GONE]
    x[pulls] = math.log((gone + EPS_QTY) / (flow[side, W_ADDED] + EPS_QTY))
    x[pulls + 1] = math.log(1.0 + gone / (total_0 + EPS_QTY))
    x[pulls + 2] = flow[side, W_GONE_AT] / (gone + EPS_QTY)
    x[pulls + 3] = flow[side, W_GONE_NEAR] / (gone + EPS_QTY)


@njit()
def _features(st, lev, over, rad, spot_tick, zone, flow, picture, x):
    """f and u features of the window -> x[0:25], x[25:49], in column order."""
    for end in range(2):
        _zone_picture(st, lev, over, spot_tick, end, zone)
        _summary(zone, end, BID, picture)
        _summary(zone, end, ASK, picture)
    _zone_flow(st, rad, spot_tick, flow)
    _side_features(picture, flow, ASK, x, 0, 6)
    _side_features(picture, flow, BID, x, 10, 16)
    x[20] = x[0] + x[10]
    x[21] = x[6] + x[16]
    x[22] = x[20] + x[21]
    x[23] = picture[1, ASK, P_FIRST]
    x[24] = picture[1, BID, P_FIRST]
    u = N_F
    for k in range(10):  # u1 .. u7: the ask's view, shares turned into decay
        x[u + k] = x[k]
    x[u + 3] = -x[3]
    x[u + 4] = -x[4]
    for k in range(10, 15):  # u8 .. u10: the bid's view, mirrored
        x[u + k] = x[k]
    x[u + 10] = -x[10]
    x[u + 11] = -x[11]
    x[u + 12] = -x[12]
    x[u + 15] = 1.0 - x[15]
    x[u + 16] = -x[16]
    x[u + 17] = math.log(1.0 + flow[BID, W_ADDED] / (picture[0, BID, P_TOTAL] + EPS_QTY))
    x[u + 18] = 1.0 - x[18] - x[19]
    x[u + 19] = x[u] + x[u + 10]
    x[u + 20] = x[u + 6] + x[u + 16]
    x[u + 21] = x[u + 19] + x[u + 20]
    x[u + 22] = x[23]
    x[u + 23] = x[24]


@njit()
def _radar_row(e, spot, emit):
    """Features, their differences over emitted rows, and the approach; the history is kept even when
    `--session` does not emit the row. history = x, d1, d2 of the row before."""
    st, x, history, radar_i, radar_f = e.st, e.features, e.history, e.radar_i, e.radar_f
    _features(st, e.lev, e.over, e.rad, spot // st[TICK_INT], e.zone, e.flow, e.picture, x)
    first = st[RADAR_FIRST] == 1 or st[RESET_WIN] == st[WIN]
    st[RADAR_FIRST] = 0
    row = st[N_RADAR_ROWS]
    for k in range(N_F + N_U):
        d1 = d2 = d3 = 0.0
        if not first:
            d1 = x[k] - history[0, k]
            d2 = d1 - history[1, k]
            d3 = d2 - history[2, k]
        history[0, k] = x[k]
        history[1, k] = d1
        history[2, k] = d2
        if emit:
            if k < N_F:
                radar_f[row, k] = x[k]
                radar_f[row, N_F + k] = d1
                radar_f[row, 2 * N_F + k] = d2
                radar_f[row, 3 * N_F + k] = d3
            else:
                at = 4 * N_F + k - N_F
                radar_f[row, at] = x[k]
                radar_f[row, at + N_U] = d1
                radar_f[row, at + 2 * N_U] = d2
                radar_f[row, at + 3 * N_U] = d3
    approach = 0
    if st[SPOT_ROWS] >= 3 and spot != st[SPOT_3]:
        approach = 1 if spot > st[SPOT_3] else -1
    st[SPOT_ROWS] += 1
    st[SPOT_3] = st[SPOT_2]
    st[SPOT_2] = st[SPOT_1]
    st[SPOT_1] = spot
    if emit:
        radar_i[row, RD_END_NS] = st[WIN_END_NS]
        radar_i[row, RD_SPOT] = spot
        radar_i[row, RD_APPROACH] = approach
        st[N_RADAR_ROWS] = row + 1


@njit()
def _close_window(e):
    """Write the rows of the current window and open the next one. No event is open any more."""
    st, lev, over, snap = e.st, e.lev, e.over, e.snap
    _move_phase(st, e.pauses, e.status, st[WIN_END_NS] - 1)
    phase = _phase(st)
    crossed = _is_crossed(st, lev, over)
    whole = st[COMPLETE] == 1 and st[IN_SNAPSHOT] == 0
    book_valid = whole and not crossed
    window_valid = whole and st[WIN_BAD] == 0 and phase == PHASE_OPEN
    bid = _best(st, lev, over, BID)
    ask = _best(st, lev, over, ASK)
    bid_price = _tick_of(st, over, bid) * st[TICK_INT] if bid >= 0 else np.int64(0)
    ask_price = _tick_of(st, over, ask) * st[TICK_INT] if ask >= 0 else np.int64(0)
    spot = st[LAST_TRADE]
    if spot <= 0:
        spot = bid_price if book_valid and bid_price > 0 else np.int64(0)
    emit = st[WIN_START_NS] >= st[EMIT_FROM] and st[WIN_END_NS] <= st[EMIT_TO]
    wall_rows = np.int64(0)
    if st[WITH_WALL]:
        blocks = _count_young(st, e.tab, lev, e.young, e.young_blocks)
        if emit and spot > 0:
            before = st[N_WALL_ROWS]
            _wall_rows(e, spot, window_valid)
            wall_rows = st[N_WALL_ROWS] - before
        for k in range(blocks):
            lev[e.young_blocks[k] + L_YOUNG] = 0
    if spot > 0:
        _radar_row(e, spot, emit)
    if emit:
        row = st[N_SNAP_ROWS]
        st[N_SNAP_ROWS] = row + 1
        snap[row, SNAP_END_NS] = st[WIN_END_NS]
        snap[row, SNAP_BID] = bid_price
        snap[row, SNAP_BID_QTY] = lev[_block(bid, BID) + L_DEPTH] if bid >= 0 else 0
        snap[row, SNAP_ASK] = ask_price
        snap[row, SNAP_ASK_QTY] = lev[_block(ask, ASK) + L_DEPTH] if ask >= 0 else 0
        snap[row, SNAP_LAST_TRADE] = st[LAST_TRADE]
        snap[row, SNAP_SPOT] = spot
        snap[row, SNAP_BOOK_VALID] = book_valid
        snap[row, SNAP_WINDOW_VALID] = window_valid
        snap[row, SNAP_PHASE] = phase
        snap[row, SNAP_CROSSED] = st[W_CROSSED]
        snap[row, SNAP_EVENTS] = st[W_EVENTS]
        snap[row, SNAP_BUY] = st[W_BUY]
        snap[row, SNAP_SELL] = st[W_SELL]
        snap[row, SNAP_TRADES] = st[W_TRADES]
        snap[row, SNAP_AVAILABLE_NS] = st[AVAILABLE_NS]
        snap[row, SNAP_WALL_ROWS] = wall_rows
    st[W_BUY] = 0
    st[W_SELL] = 0
    st[W_TRADES] = 0
    st[W_EVENTS] = 0
    st[W_CROSSED] = 0
    st[N_RADAR] = 0
    st[WIN_BAD] = 1 if crossed else 0
    st[WIN] += 1
    st[WIN_START_NS] += WINDOW_NS
    st[WIN_END_NS] += WINDOW_NS


@njit()
def _close_before(e, ts):
    """Close every window that ends at or before ts. False: no room for output, call again."""
    st = e.st
    if st[WIN] == PRE_WINDOW or ts < st[WIN_END_NS]:
        return True
    _cut_event(st, e.cnt, e.tab, e.lev, e.over, e.filled, e.unknown, e.trd)
    most = 2 * (2 * HUD_MAX_TICKS + 1) + 2 * st[OVERFLOW_USED]
    while ts >= st[WIN_END_NS]:
        if st[N_SNAP_ROWS] == e.snap.shape[0] or st[N_WALL_ROWS] + most > e.wall_rel.shape[0]:
            return False
        _close_window(e)
    return True


# ----------------------------------------------------------------------------------------- records
@njit(forceinline=True)
def _note_young(st, young, key, t_enter):
    if st[WITH_WALL] and (st[WIN] == PRE_WINDOW or t_enter > st[WIN_END_NS] - REST_NS):
        k = st[N_YOUNG]
        young[k, 0] = key
        young[k, 1] = t_enter
        st[N_YOUNG] = k + 1


@njit(forceinline=True)
def _note_change(st, rad, code, tick_0, qty_0, tick_1, qty_1, fill):
    k = st[N_RADAR]
    rad[k, R_CODE] = code
    rad[k, R_TICK_0] = tick_0
    rad[k, R_QTY_0] = qty_0
    rad[k, R_TICK_1] = tick_1
    rad[k, R_QTY_1] = qty_1
    rad[k, R_FILL] = fill
    st[N_RADAR] = k + 1


@njit(forceinline=True)
def _insert(st, tab, free, key, level, side, qty, ts, fill):
    tab[free, O_KEY] = key
    tab[free, O_LEVEL] = 2 * level + side
    tab[free, O_QTY] = qty
    tab[free, O_ENTER] = ts
    tab[free, O_FILL] = fill
    tab[free, O_COUNTED] = 0
    st[LIVE_ORDERS] += 1


@njit()
def _take_unknown_fill(st, unknown, filled, key):
    """Fill that was reported in this event before the order itself appeared."""
    for k in range(st[N_UNKNOWN]):
        if unknown[k, 0] == key:
            qty = unknown[k, 1]
            last = st[N_UNKNOWN] - 1
            unknown[k, 0] = unknown[last, 0]
            unknown[k, 1] = unknown[last, 1]
            st[N_UNKNOWN] = last
            filled[st[N_FILLED]] = key
            st[N_FILLED] += 1
            return qty
    return np.int64(0)


@njit(forceinline=True)
def _apply_new(st, cnt, tab, lev, over, young, rad, filled, unknown, j, key, level, side, qty, ts):
    """A, or M of an unknown id: a new order; an existing one (j >= 0) is pulled first (4.12)."""
    tick = _tick_of(st, over, level)
    code = side | 4
    if j >= 0:
        old = tab[j, O_LEVEL]
        old_b = old * LEVEL_WORDS
        old_qty = tab[j, O_QTY]
        _touch(st, cnt, lev, old_b)
        lev[old_b + L_PULL] += old_qty
        if ts - tab[j, O_ENTER] >= REST_NS:
            lev[old_b + L_PULL_REST] += old_qty
        _change_depth(st, cnt, lev, old & 1, old >> 1, old_b, -old_qty)
        tab[j, O_LEVEL] = 2 * level + side
        tab[j, O_QTY] = qty
        tab[j, O_ENTER] = ts
        tab[j, O_COUNTED] = 0
        if old & 1 == side:
            _note_change(st, rad, code, _tick_of(st, over, old >> 1), old_qty, tick, qty, 0)
        else:
            _note_change(st, rad, code, tick, 0, tick, qty, 0)
    else:
        fill = np.int64(0)
        if st[N_UNKNOWN] > 0:
            fill = _take_unknown_fill(st, unknown, filled, key)
        _insert(st, tab, ~j, key, level, side, qty, ts, fill)
        _note_change(st, rad, code, tick, 0, tick, qty, 0)
    b = _block(level, side)
    _touch(st, cnt, lev, b)
    lev[b + L_ADD] += qty
    _change_depth(st, cnt, lev, side, level, b, qty)
    _note_young(st, young, key, ts)


@njit(forceinline=True)
def _apply_cancel(st, cnt, tab, lev, over, rad, j, size, ts):
    """First row of the fill rule (4.6)."""
    qty = tab[j, O_QTY]
    gone = size
    if gone > qty:
        cnt[K_OVERSIZED_CANCELS] += 1
        gone = qty
    fill = tab[j, O_FILL]
    shown = min(fill, gone)
    hidden = fill - shown
    pull = gone - shown
    label = tab[j, O_LEVEL]
    b = label * LEVEL_WORDS
    rests = ts - tab[j, O_ENTER] >= REST_NS
    _touch(st, cnt, lev, b)
    if fill > 0:
        lev[b + L_FILL] += fill
        lev[b + L_ADD] += hidden
        cnt[K_HIDDEN_CANCEL] += hidden
        tab[j, O_FILL] = 0
    lev[b + L_PULL] += pull
    if rests:
        lev[b + L_PULL_REST] += pull
    tick = _tick_of(st, over, label >> 1)
    _note_change(st, rad, (label & 1) | (2 if rests else 0), tick, qty, tick, qty - gone, fill)
    _change_depth(st, cnt, lev, label & 1, label >> 1, b, -gone)
    if gone == qty:
        _delete_order(tab, j, st[HASH_SHIFT])
        st[LIVE_ORDERS] -= 1
    else:
        tab[j, O_QTY] = qty - gone


@njit(forceinline=True)
def _apply_modify(st, cnt, tab, lev, over, young, rad, j, key, level, size, ts):
    """Second and third row of the fill rule (4.6); the order keeps its side."""
    label = tab[j, O_LEVEL]
    side = label & 1
    old_level = label >> 1
    qty = tab[j, O_QTY]
    fill = tab[j, O_FILL]
    tab[j, O_FILL] = 0
    rests = ts - tab[j, O_ENTER] >= REST_NS
    code = side | (2 if rests else 0)
    tick = _tick_of(st, over, old_level)
    b = label * LEVEL_WORDS
    _touch(st, cnt, lev, b)
    if level == old_level:
        grown = size - qty + fill
        lev[b + L_FILL] += fill
        if grown > 0:
            lev[b + L_ADD] += grown
            if fill > 0:
                cnt[K_HIDDEN_MODIFY] += grown
        else:
            lev[b + L_PULL] -= grown
            if rests:
                lev[b + L_PULL_REST] -= grown
        _note_change(st, rad, code, tick, qty, tick, size, fill)
        tab[j, O_QTY] = size
        _change_depth(st, cnt, lev, side, level, b, size - qty)
        return
    shown = min(fill, qty)
    hidden = fill - shown
    pull = qty - shown
    lev[b + L_FILL] += fill
    lev[b + L_ADD] += hidden
    cnt[K_HIDDEN_MODIFY] += hidden
    lev[b + L_PULL] += pull
    if rests:
        lev[b + L_PULL_REST] += pull
    _note_change(st, rad, code, tick, qty, _tick_of(st, over, level), size, fill)
    _change_depth(st, cnt, lev, side, old_level, b, -qty)
    new_b = _block(level, side)
    _touch(st, cnt, lev, new_b)
    lev[new_b + L_ADD] += size
    tab[j, O_LEVEL] = 2 * level + side
    tab[j, O_QTY] = size
    tab[j, O_ENTER] = ts
    tab[j, O_COUNTED] = 0
    _change_depth(st, cnt, lev, side, level, new_b, size)
    _note_young(st, young, key, ts)


@njit(forceinline=True)
def _apply_fill(st, cnt, tab, filled, unknown, trd, key, size):
    """F changes nothing in the book; it says whose quantity the next C or M takes (4.6)."""
    if st[EV_HAS_TRADE] and key == st[EV_AGGRESSOR]:
        cnt[K_AGGRESSOR_FILLS] += 1
        cnt[K_AGGRESSOR_FILL_QTY] += size
        return
    if st[EV_HAS_TRADE]:
        trd[st[N_TRADES] - 1, TR_FILLS] += 1
        trd[st[N_TRADES] - 1, TR_FILL_QTY] += size
    if size == 0:
        return
    j = find_order(tab, key, st[HASH_SHIFT])
    if j >= 0:
        if tab[j, O_FILL] == 0:
            filled[st[N_FILLED]] = key
            st[N_FILLED] += 1
        tab[j, O_FILL] += size
        return
    for k in range(st[N_UNKNOWN]):
        if unknown[k, 0] == key:
            unknown[k, 1] += size
            return
    unknown[st[N_UNKNOWN], 0] = key
    unknown[st[N_UNKNOWN], 1] = size
    st[N_UNKNOWN] += 1


@njit(forceinline=True)
def _apply_trade(st, cnt, trd, ts, ts_recv, key, price, size, side, sequence):
    """T: last trade, volume, aggressor, and a row of trade_event (5.7)."""
    if price == UNDEF_PRICE:
        cnt[K_UNDEF_PRICES] += 1
    elif price > 0:
        if price % st[TICK_INT] == 0:
            st[LAST_TRADE] = price
        else:
            cnt[K_OFF_TICK] += 1
    if size > MAX_QTY:
        cnt[K_BAD_SIZES] += 1
        size = np.int64(0)
    st[W_TRADES] += 1
    if side == SIDE_BID:
        st[W_BUY] += size
    elif side == SIDE_ASK:
        st[W_SELL] += size
    if st[CAL_PHASE] == PHASE_PRE_OPEN:
        st[CAL_PHASE] = PHASE_OPEN
    if not st[EV_HAS_TRADE]:
        st[EV_HAS_TRADE] = 1
        st[EV_FIRST_TRADE] = st[N_TRADES]
    st[EV_AGGRESSOR] = key
    k = st[N_TRADES]
    trd[k, TR_EVENT_NS] = ts
    trd[k, TR_RECV_NS] = ts_recv
    trd[k, TR_SEQUENCE] = sequence
    trd[k, TR_IDX] = st[TRADE_IDX]
    trd[k, TR_PRICE] = price
    trd[k, TR_QTY] = size
    trd[k, TR_SIDE] = side
    trd[k, TR_ORDER_ID] = key
    trd[k, TR_FILLS] = 0
    trd[k, TR_FILL_QTY] = 0
    trd[k, TR_SWEEP] = 0
    trd[k, TR_PHASE] = _phase(st)
    trd[k, TR_WIN] = st[WIN]
    st[N_TRADES] = k + 1
    st[TRADE_IDX] += 1


@njit()
def _start_snapshot(st, cnt, tab, lev, ts_recv):
    cnt[K_SNAPSHOTS] += 1
    _clear_book(st, cnt, tab, lev, st[WIN] != PRE_WINDOW)
    st[IN_SNAPSHOT] = 1
    st[SNAP_TS_RECV] = ts_recv
    st[COMPLETE] = 0
    st[BAD_BOOK] = 0
    st[AWAIT_LAST] = 0


@njit()
def _snapshot_order(st, cnt, tab, lev, young, key, level, side, qty, ts):
    """A inside a snapshot: the order stands there; no flow is counted (4.3)."""
    j = find_order(tab, key, st[HASH_SHIFT])
    if j >= 0:
        cnt[K_DUPLICATE_ADDS] += 1
        old = tab[j, O_LEVEL]
        _change_depth(st, cnt, lev, old & 1, old >> 1, old * LEVEL_WORDS, -tab[j, O_QTY])
        tab[j, O_LEVEL] = 2 * level + side
        tab[j, O_QTY] = qty
        tab[j, O_ENTER] = ts
        tab[j, O_COUNTED] = 0
    else:
        _insert(st, tab, ~j, key, level, side, qty, ts, 0)
    _change_depth(st, cnt, lev, side, level, _block(level, side), qty)
    _note_young(st, young, key, ts)


@njit()
def _price_fault(st, price, size, action, side, known):
    """Counter of the first reason why an A or M cannot be applied, -1 when it can."""
    if price == UNDEF_PRICE:
        return K_UNDEF_PRICES
    if price % st[TICK_INT] != 0:
        return K_OFF_TICK
    if size > MAX_QTY:
        return K_BAD_SIZES
    if side != SIDE_ASK and side != SIDE_BID and (action == ACTION_ADD or not known):
        return K_BAD_SIDES
    return -1


OFF_GRID = -99


@njit(forceinline=True)
def _level_of_price(st, over, price):
    """Level index of a price; OFF_GRID, or -NEED_... when the caller must make room first.

    Inside the axis the division is a multiplication that is checked: exact, because the quotient is
    far below 2**53, and several times cheaper than an integer division."""
    tick_int = st[TICK_INT]
    base = st[BASE_TICK] * tick_int
    if base <= price < base + st[DENSE_LEVELS] * tick_int:
        ahead = price - base
        level = np.int64(np.float64(ahead) / np.float64(tick_int) + 0.5)
        return level if level * tick_int == ahead else np.int64(OFF_GRID)
    if price == UNDEF_PRICE or price % tick_int != 0:
        return np.int64(OFF_GRID)
    return _level_of(st, over, price // tick_int)


@njit()
def _snapshot_record(st, cnt, tab, lev, over, young, level, flags, action, side, key, price, size, ts):
    """A record with F_SNAPSHOT, after START was dealt with (4.3)."""
    cnt[K_RECORDS] += 1
    cnt[K_SNAPSHOT_RECORDS] += 1
    if st[WIN] != PRE_WINDOW and st[RESET_WIN] != st[WIN]:
        # the caller advanced the clock inside the snapshot: this window has the reset in it, too
        _hold_start(st, cnt, lev)
        for k in range(2 * (st[DENSE_LEVELS] + st[OVERFLOW_USED])):
            lev[k * LEVEL_WORDS + L_WIN] = 0
        st[WIN_BAD] = 1
    if action == ACTION_ADD:
        fault = _price_fault(st, price, size, action, side, False)
        if fault >= 0:
            cnt[fault] += 1
        else:
            _snapshot_order(st, cnt, tab, lev, young, key, level, ASK if side == SIDE_ASK else BID, size, ts)
    elif action != ACTION_CLEAR:
        cnt[K_SNAPSHOT_NOT_ADD] += 1
    if flags & F_MAYBE_BAD_BOOK:
        st[BAD_BOOK] = 1
    if flags & F_LAST:
        st[IN_SNAPSHOT] = 0
        st[COMPLETE] = 0 if st[BAD_BOOK] else 1
        if st[WIN] != PRE_WINDOW:
            st[WIN_BAD] = 1


@njit(forceinline=True)
def _plain_record(
    st,
    cnt,
    tab,
    lev,
    over,
    young,
    rad,
    filled,
    unknown,
    trd,
    level,
    flags,
    action,
    side,
    key,
    price,
    size,
    ts,
    ts_recv,
    sequence,
):
    """A record without F_SNAPSHOT, after the clock moved (4.5)."""
    cnt[K_RECORDS] += 1
    st[EV_RECORDS] += 1
    if ts_recv > st[AVAILABLE_NS]:
        st[AVAILABLE_NS] = ts_recv
    if st[COMPLETE] == 0:
        st[WIN_BAD] = 1
    if action in (ACTION_ADD, ACTION_MODIFY):
        if st[IN_PAUSE] and st[CAL_PHASE] == PHASE_CLOSED:
            st[CAL_PHASE] = PHASE_PRE_OPEN
        j = find_order(tab, key, st[HASH_SHIFT])
        fault = -1
        if level < 0 or size > MAX_QTY or (side != SIDE_ASK and side != SIDE_BID):
            fault = _price_fault(st, price, size, action, side, j >= 0)
        if fault >= 0:
            cnt[fault] += 1
        elif action == ACTION_MODIFY and j >= 0:
            if (side == SIDE_ASK) != (tab[j, O_LEVEL] & 1 == ASK) or (side != SIDE_ASK and side != SIDE_BID):
                cnt[K_SIDE_CHANGES] += 1
            _apply_modify(st, cnt, tab, lev, over, young, rad, j, key, level, size, ts)
        else:
            if action == ACTION_MODIFY:
                cnt[K_UNKNOWN_MODIFIES] += 1
            elif j >= 0:
                cnt[K_DUPLICATE_ADDS] += 1
            _apply_new(
                st,
                cnt,
                tab,
                lev,
                over,
                young,
                rad,
                filled,
                unknown,
                j,
                key,
                level,
                ASK if side == SIDE_ASK else BID,
                size,
                ts,
            )
    elif action == ACTION_CANCEL:
        j = find_order(tab, key, st[HASH_SHIFT])
        if size > MAX_QTY:
            cnt[K_BAD_SIZES] += 1
        elif j < 0:
            cnt[K_UNKNOWN_CANCELS] += 1
        else:
            _apply_cancel(st, cnt, tab, lev, over, rad, j, size, ts)
    elif action == ACTION_FILL:
        if size > MAX_QTY:
            cnt[K_BAD_SIZES] += 1
        else:
            _apply_fill(st, cnt, tab, filled, unknown, trd, key, size)
    elif action == ACTION_TRADE:
        _apply_trade(st, cnt, trd, ts, ts_recv, key, price, size, side, sequence)
    elif action == ACTION_CLEAR:
        cnt[K_CLEARS] += 1
        _clear_book(st, cnt, tab, lev, True)
        st[COMPLETE] = 0
        st[BAD_BOOK] = 0
        st[AWAIT_LAST] = 1
    elif action != ACTION_NONE:
        cnt[K_UNKNOWN_ACTIONS] += 1
    if flags & F_MAYBE_BAD_BOOK:
        st[COMPLETE] = 0
        st[BAD_BOOK] = 1
        st[WIN_BAD] = 1
    if flags & F_LAST:
        _end_event(st, cnt, tab, lev, over, filled, unknown, trd)
        if st[AWAIT_LAST]:
            st[AWAIT_LAST] = 0
            if not st[BAD_BOOK]:
                st[COMPLETE] = 1


@njit(forceinline=True)
def _room(st, tab, young, rad, filled, unknown, trd):
    """Records that can be applied before any list could be full; each record adds at most one to each."""
    room = tab.shape[0] // 2 - st[LIVE_ORDERS]
    room = min(room, young.shape[0] - st[N_YOUNG])
    room = min(room, rad.shape[0] - st[N_RADAR])
    room = min(room, filled.shape[0] - st[N_FILLED])
    room = min(room, unknown.shape[0] - st[N_UNKNOWN])
    return min(room, trd.shape[0] - st[N_TRADES])


def _array(kind, ndim, layout="C", readonly=False):
    return nb.types.Array(kind, ndim, layout, readonly=readonly)


_I8 = nb.types.int64


class EngineArrays(NamedTuple):
    """Everything the loop reads and writes, by name; the driver owns and replaces the arrays."""

    st: Any
    cnt: Any
    tab: Any
    lev: Any
    over: Any
    order: Any
    young: Any
    young_blocks: Any
    rad: Any
    history: Any
    features: Any
    zone: Any
    flow: Any
    picture: Any
    filled: Any
    unknown: Any
    trd: Any
    pauses: Any
    status: Any
    snap: Any
    wall64: Any
    wall32: Any
    wall_rel: Any
    wall_side: Any
    wall_valid: Any
    radar_i: Any
    radar_f: Any


_ENGINE = nb.types.NamedTuple(
    (
        *(_array(_I8, ndim) for ndim in (1, 1, 2, 1, 1, 1, 2, 1, 2)),  # st .. rad
        _array(nb.types.float64, 2),  # history
        _array(nb.types.float64, 1),  # features
        _array(_I8, 3),  # zone
        _array(_I8, 2),  # flow
        _array(nb.types.float64, 3),  # picture
        *(_array(_I8, ndim) for ndim in (1, 2, 2, 2, 2, 2, 2)),  # filled .. wall64
        _array(nb.types.int32, 2),  # wall32
        _array(nb.types.int16, 1),  # wall_rel
        _array(nb.types.int8, 1),  # wall_side
        _array(nb.types.boolean, 1),  # wall_valid
        _array(_I8, 2),  # radar_i
        _array(nb.types.float64, 2),  # radar_f
    ),
    EngineArrays,
)
# Record fields may have any stride and may be read-only: the fields of a DBN buffer and the columns of a
# Bronze batch enter this one compiled function.
_RECORDS = (
    _array(_I8, 1, "A", readonly=True),  # ts_event
    _array(_I8, 1, "A", readonly=True),  # ts_recv
    _array(_I8, 1, "A", readonly=True),  # order_id
    _array(_I8, 1, "A", readonly=True),  # price
    _array(nb.types.uint32, 1, "A", readonly=True),  # size
    _array(nb.types.uint8, 1, "A", readonly=True),  # flags
    _array(nb.types.uint8, 1, "A", readonly=True),  # action
    _array(nb.types.uint8, 1, "A", readonly=True),  # side
    _array(nb.types.uint32, 1, "A", readonly=True),  # instrument_id
    _array(nb.types.uint32, 1, "A", readonly=True),  # sequence
)


@njit(nb.types.UniTuple(_I8, 2)(_ENGINE, *_RECORDS, _I8), nogil=True)
def apply_records(
    e, ts_event, ts_recv, order_id, price, size, flags, action, side, instrument_id, sequence, i
):
    """Apply records from index i on -> (index of the first record not applied, DONE or what is needed)."""
    st, cnt, over = e.st, e.cnt, e.over
    n = np.int64(len(ts_event))
    instrument = st[INSTRUMENT]
    while i < n:
        stop = min(n, i + _room(st, e.tab, e.young, e.rad, e.filled, e.unknown, e.trd))
        if stop <= i:
            return i, np.int64(NEED_LISTS)
        while i < stop:
            if instrument_id[i] != instrument:
                cnt[K_FOREIGN] += 1
                i += 1
                continue
            flag = np.int64(flags[i])
            act = np.int64(action[i])
            ts = ts_event[i]
            received = ts_recv[i]
            late = False
            if flag & F_SNAPSHOT:
                if st[IN_SNAPSHOT] == 0 or act == ACTION_CLEAR or received != st[SNAP_TS_RECV]:
                    _cut_event(st, e.cnt, e.tab, e.lev, e.over, e.filled, e.unknown, e.trd)
                    if not _close_before(e, received):
                        return i, np.int64(NEED_OUTPUT)
                    _start_snapshot(st, cnt, e.tab, e.lev, received)
            else:
                if received < st[DAY_LO_NS] or received >= st[DAY_HI_NS]:
                    st[DAY_LO_NS] = received // DAY_NS * DAY_NS
                    st[DAY_HI_NS] = st[DAY_LO_NS] + DAY_NS
                late = (
                    ts < st[WIN_START_NS]
                    or ts > received + EVENT_AHEAD_NS
                    or ts < st[DAY_LO_NS] - HOUR_NS
                    or ts >= st[DAY_HI_NS] + HOUR_NS
                )
                if not late and ts >= st[WIN_END_NS]:
                    if not _close_before(e, ts):
                        return i, np.int64(NEED_OUTPUT)
                if st[IN_SNAPSHOT]:
                    st[IN_SNAPSHOT] = 0
                    st[COMPLETE] = 0 if st[BAD_BOOK] else 1
                if not late:
                    if st[WIN] == PRE_WINDOW:
                        _open_first_window(st, e.lev, over, ts)
                    _move_phase(st, e.pauses, e.status, ts)
            level = np.int64(OFF_GRID)
            if act in (ACTION_ADD, ACTION_MODIFY):
                level = _level_of_price(st, over, price[i])
                if level < 0 and level != OFF_GRID:
                    return i, -level
            if flag & F_SNAPSHOT:
                _snapshot_record(
                    st,
                    cnt,
                    e.tab,
                    e.lev,
                    over,
                    e.young,
                    level,
                    flag,
                    act,
                    np.int64(side[i]),
                    order_id[i],
                    price[i],
                    np.int64(size[i]),
                    ts,
                )
            else:
                if late:
                    cnt[K_LATE] += 1
                _plain_record(
                    st,
                    cnt,
                    e.tab,
                    e.lev,
                    over,
                    e.young,
                    e.rad,
                    e.filled,
                    e.unknown,
                    e.trd,
                    level,
                    flag,
                    act,
                    np.int64(side[i]),
                    order_id[i],
                    price[i],
                    np.int64(size[i]),
                    ts,
                    received,
                    np.int64(sequence[i]),
                )
            i += 1
    return i, np.int64(DONE)


@njit(_I8(_ENGINE, _I8), nogil=True)
def advance_to(e, ts):
    """Close every window with window_end <= ts without a record (4.7)."""
    if _close_before(e, ts):
        return np.int64(DONE)
    return np.int64(NEED_OUTPUT)


@njit(_I8(_ENGINE), nogil=True)
def finish(e):
    """End of the input: close the open event and the window of the last record."""
    st, cnt, lev = e.st, e.cnt, e.lev
    _cut_event(st, e.cnt, e.tab, e.lev, e.over, e.filled, e.unknown, e.trd)
    if st[WIN] != PRE_WINDOW and not _close_before(e, st[WIN_END_NS]):
        return np.int64(NEED_OUTPUT)
    for k in range(2 * (st[DENSE_LEVELS] + st[OVERFLOW_USED])):
        b = k * LEVEL_WORDS
        if (
            lev[b + L_WIN] > st[RESET_WIN]
            and lev[b + L_DEPTH] != lev[b + L_E1] + lev[b + L_ADD] - lev[b + L_PULL] - lev[b + L_FILL]
        ):
            cnt[K_IDENTITY] += 1
    return np.int64(DONE)
