"""The loop of the futures book engine (spec 4, 5.1-5.3, 5.7): integers in arrays in, arrays out.

Laws. 1 Add, Cancel, Modify and cleaR change the book; Trade and Fill never do.
      2 A snapshot starts when F_SNAPSHOT appears and ends at its F_LAST, or at the first record without
        the flag. What it holds never enters a flow.
      3 The book is looked at only where an event ends.
      4 Quantity that leaves a level is a fill as far as the event's F records say so, else a pull (4.6).
      5 Nothing here asks for the time or does I/O. The clock is ts_event, and `advance_to`.

Data structures.
  orders  open addressing, linear probing, multiplicative hash, backward-shift deletion. One row of 32 bytes
          per order; a negative label marks a free row, so every 64-bit id is legal.
  levels  dense axis of ticks, one row per (side, tick); ticks that the axis cannot
          reach live behind it as overflow levels, found by a linear search. An order
          refers to its level by index, so no division is needed when it leaves.
          Accumulators and depth history of a level are brought up to date when it is first touched in a
          window (`win` says for which window they are true). A quiet level costs nothing, however long
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
    ADVANCE,
    ASK,
    BID,
    CHANGE,
    COUNTERS,
    DONE,
    EVENT_AHEAD_NS,
    FINISH,
    FOREVER_NS,
    IS_ADD,
    LEVEL,
    LEVEL_PAST,
    MAX_QTY,
    N_F,
    N_U,
    NEED_AXIS,
    NEED_LISTS,
    NEED_OUTPUT,
    NEED_OVERFLOW,
    ORDER,
    P_AT,
    P_CENTRE,
    P_FAR,
    P_FIRST,
    P_NEAR,
    P_TOTAL,
    PRE_WINDOW,
    RADAR,
    RESTING,
    SNAPSHOT,
    STATE,
    TRADE,
    W_ADDED,
    W_AWAY,
    W_GONE,
    W_GONE_AT,
    W_GONE_NEAR,
    W_TOWARD,
    W_WORDS,
    ZONE,
)
from data_eng.kernels.jit import njit
from data_eng.kernels.prefetch import prefetch_row
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
_u = np.uint64
"""an unsigned index needs no test for a negative one: 62 -> 51 ns per record on 10 M records"""


# ------------------------------------------------------------------------------------- order table
@njit(forceinline=True)
def _slot_of(key, shift):
    return np.int64((np.uint64(key) * _MULTIPLIER) >> np.uint64(shift))


@njit(forceinline=True)
def find_order(tab, key, shift):
    """Row of the order, or ~row of the free row where it would go."""
    mask = tab.shape[0] - 1
    j = _slot_of(key, shift)
    while tab[_u(j)].label >= 0:
        if tab[_u(j)].key == key:
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
        if tab[_u(j)].label < 0:
            break
        home = _slot_of(tab[_u(j)].key, shift)
        if ((j - home) & mask) >= ((j - i) & mask):
            tab[i] = tab[j]
            i = j
    tab[_u(i)].label = -1


@njit(lambda: nb.void(_rows(ORDER), _rows(ORDER), nb.int64))
def rehash(old, new, shift):
    """Copy every order of `old` to the empty table `new`, whose hash shift is `shift`."""
    for i in range(old.shape[0]):
        if old[i].label >= 0:
            j = ~find_order(new, old[i].key, shift)
            new[j] = old[i]


@njit(lambda: nb.void(_rows(ORDER), _array(nb.int64, 1)))
def relabel_levels(tab, level_map):
    """After the axis moved: int64[old level index] -> new level index."""
    for i in range(tab.shape[0]):
        if tab[_u(i)].label >= 0:
            tab[_u(i)].label = 2 * level_map[tab[_u(i)].label >> 1] + (tab[_u(i)].label & 1)


# ------------------------------------------------------------------------------------------ levels
@njit(forceinline=True)
def _tick_of(st, over, level):
    if level < st.dense_levels:
        return st.base_tick + level
    return over[level - st.dense_levels]


@njit()
def _level_of(st, over, tick):
    """Level index of a tick outside the axis, appending an overflow level when that may not grow so far.

    -NEED_AXIS or -NEED_OVERFLOW when the caller must make room first (NEED_TICK says for what)."""
    used = st.overflow_used
    for k in range(used):
        if over[k] == tick:
            return st.dense_levels + k
    st.need_tick = tick
    if st.dense_levels == 0 or st.grow_lo <= tick < st.grow_hi:
        return -NEED_AXIS
    if used == over.shape[0]:
        return -NEED_OVERFLOW
    over[used] = tick
    st.overflow_used = used + 1
    return st.dense_levels + used


@njit(forceinline=True)
def _touch(st, cnt, lev, past, b):
    """Make block b true for the current window before its first change in it."""
    win = st.win
    last = lev[_u(b)].win
    if last == win:
        return
    depth = lev[_u(b)].depth
    e1 = lev[_u(b)].e1
    if last > st.reset_win and depth != e1 + lev[_u(b)].add - lev[_u(b)].pull - lev[_u(b)].filled:
        cnt.identity_violations += 1
    if st.with_wall:  # nobody else reads the depth of more than one window ago
        if last <= st.hist_win or win - last >= 3:
            past[_u(b)].e2 = depth
            past[_u(b)].e3 = depth
        elif win - last == 2:
            past[_u(b)].e2 = depth
            past[_u(b)].e3 = e1
        else:
            past[_u(b)].e3 = past[_u(b)].e2
            past[_u(b)].e2 = e1
    lev[_u(b)].e1 = depth
    lev[_u(b)].add = 0
    lev[_u(b)].pull = 0
    lev[_u(b)].pull_rest = 0
    lev[_u(b)].filled = 0
    lev[_u(b)].win = win


@njit(forceinline=True)
def _change_depth(st, cnt, lev, side, level, b, change):
    """Add `change` contracts to a level and keep the best dense level of the side."""
    depth = lev[_u(b)].depth + change
    lev[_u(b)].depth = depth
    n = st.dense_levels
    if level >= n:
        return  # best of the overflow is searched when it is asked for
    if depth > 0:
        if side == BID:
            if level > st.best_bid:
                st.best_bid = level
        elif level < st.best_ask:
            st.best_ask = level
        return
    if depth < 0:
        cnt.negative_depths += 1
    if side == BID:
        if level == st.best_bid:
            while level >= 0 and lev[_u(b)].depth <= 0:
                level -= 1
                b -= 2
            st.best_bid = level
    elif level == st.best_ask:
        while level < n and lev[_u(b)].depth <= 0:
            level += 1
            b += 2
        st.best_ask = level


@njit(forceinline=True)
def _block(level, side):
    return 2 * level + side


@njit(forceinline=True)
def _best(st, lev, over, side):
    """Level index of the best price of a side, -1 when it has none."""
    n = st.dense_levels
    best = st.best_bid if side == BID else st.best_ask
    if best >= n:
        best = -1
    if st.overflow_used == 0:
        return best
    best_tick = np.int64(0)
    if best >= 0:
        best_tick = st.base_tick + best
    for k in range(st.overflow_used):
        if lev[_block(n + k, side)].depth > 0:
            tick = over[k]
            if best < 0 or (tick > best_tick if side == BID else tick < best_tick):
                best, best_tick = n + k, tick
    return best


@njit(forceinline=True)
def _is_crossed(st, lev, over):
    if st.overflow_used == 0:
        return st.best_bid >= st.best_ask
    bid = _best(st, lev, over, BID)
    ask = _best(st, lev, over, ASK)
    return bid >= 0 and ask >= 0 and _tick_of(st, over, bid) >= _tick_of(st, over, ask)


# ------------------------------------------------------------------------------------ phase (4.8)
@njit(forceinline=True)
def _phase(st):
    return st.status_phase if st.has_status else st.cal_phase


@njit()
def _move_phase(st, pauses, status, ts):
    """Calendar and status messages up to and including ts; going back in time changes nothing."""
    n = pauses.shape[0]
    if st.cal_started == 0:
        st.cal_started = 1
        while st.pause_idx < n and pauses[st.pause_idx, 1] <= ts:
            st.pause_idx += 1
    while st.pause_idx < n:
        k = st.pause_idx
        if st.in_pause == 0:
            if ts < pauses[k, 0]:
                break
            st.in_pause = 1
            st.cal_phase = PHASE_CLOSED
        if ts < pauses[k, 1]:
            break
        st.in_pause = 0
        st.cal_phase = PHASE_PRE_OPEN
        st.pause_idx = k + 1
    while st.status_idx < status.shape[0] and status[st.status_idx, 0] <= ts:
        st.has_status = 1
        st.status_phase = status[st.status_idx, 1]
        st.status_idx += 1
    st.next_phase_ns = np.int64(FOREVER_NS)
    if st.pause_idx < n:
        st.next_phase_ns = pauses[st.pause_idx, 1] if st.in_pause else pauses[st.pause_idx, 0]
    if st.status_idx < status.shape[0]:
        st.next_phase_ns = min(st.next_phase_ns, status[st.status_idx, 0])


# ------------------------------------------------------------------------------------------ events
@njit(forceinline=True)
def _end_event(st, cnt, tab, lev, over, filled, unknown, trd):
    """The event is over: the book may be looked at, and what F said of it is settled (4.4, 4.6)."""
    cnt.events += 1
    st.w_events += 1
    st.ev_records = 0
    if _is_crossed(st, lev, over):
        st.w_crossed += 1
        st.win_bad = 1
        phase = _phase(st)
        if phase == PHASE_OPEN:
            cnt.crossed_open += 1
        elif phase == PHASE_PRE_OPEN:
            cnt.crossed_pre_open += 1
        elif phase == PHASE_CLOSED:
            cnt.crossed_closed += 1
        else:
            cnt.crossed_halt += 1
    if st.ev_has_trade:
        for k in range(st.ev_first_trade, st.n_trades):
            trd[k].sweep_level_count = st.n_trades - st.ev_first_trade
        st.ev_has_trade = 0
    st.ev_first_trade = st.n_trades
    for k in range(st.n_filled):
        j = find_order(tab, filled[k], st.hash_shift)
        if j >= 0 and tab[_u(j)].filled > 0:
            cnt.unmatched_fill_orders += 1
            cnt.unmatched_fill_qty += tab[_u(j)].filled
            tab[_u(j)].filled = 0
    st.n_filled = 0
    for k in range(st.n_unknown):
        cnt.unknown_fill_orders += 1
        cnt.unknown_fill_qty += unknown[k, 1]
    st.n_unknown = 0


@njit()
def _cut_event(st, cnt, tab, lev, over, filled, unknown, trd):
    """Close an event that nothing ended; does nothing when none is open."""
    if st.ev_records > 0:
        cnt.unterminated_events += 1
        _end_event(st, cnt, tab, lev, over, filled, unknown, trd)


@njit()
def _hold_start(st, cnt, lev, past):
    """First reset in a window: keep the depth it started with, and begin its flow and history anew."""
    win = st.win
    if st.reset_win == win:
        return
    for k in range(2 * (st.dense_levels + st.overflow_used)):
        b = k
        last = lev[_u(b)].win
        depth = lev[_u(b)].depth
        e1 = lev[_u(b)].e1
        if last > st.reset_win and depth != e1 + lev[_u(b)].add - lev[_u(b)].pull - lev[_u(b)].filled:
            cnt.identity_violations += 1
        past[_u(b)].start = e1 if last == win else depth
    st.reset_win = win
    st.hist_win = win
    st.radar_first = 1


@njit()
def _clear_book(st, cnt, tab, lev, past, as_reset):
    """Forget all orders. `as_reset`: inside a window, which keeps the depth it started with (4.12)."""
    if as_reset:
        _hold_start(st, cnt, lev, past)
        st.win_bad = 1
    else:
        st.reset_win = 0
    for k in range(2 * (st.dense_levels + st.overflow_used)):
        b = k
        lev[_u(b)].win = st.win if as_reset else 0
        lev[_u(b)].depth = 0
        lev[_u(b)].add = 0
        lev[_u(b)].pull = 0
        lev[_u(b)].pull_rest = 0
        lev[_u(b)].filled = 0
    if st.live_orders > 0:
        for j in range(tab.shape[0]):
            tab[_u(j)].label = -1
    st.live_orders = 0
    st.best_bid = -1
    st.best_ask = st.dense_levels
    st.n_young = 0
    st.n_radar = 0
    st.n_filled = 0
    st.n_unknown = 0


# ----------------------------------------------------------------------------------------- windows
@njit()
def _start_depth(st, lev, past, b):
    """Depth of a level at the start of the current window, before any reset in it."""
    if st.reset_win == st.win:
        return past[_u(b)].start
    if lev[_u(b)].win == st.win:
        return lev[_u(b)].e1
    return lev[_u(b)].depth


@njit()
def _open_first_window(st, lev, over, trd, ts):
    """The window of the first plain record; its start state is the book as it stands (4.7)."""
    win = ts // WINDOW_NS
    for k in range(2 * (st.dense_levels + st.overflow_used)):
        if lev[_u(k)].win == PRE_WINDOW:
            lev[_u(k)].win = win
    for k in range(st.n_trades):
        trd[k].win = win
    st.hist_win = win
    st.win = win
    st.win_start_ns = win * WINDOW_NS
    st.win_end_ns = win * WINDOW_NS + WINDOW_NS
    st.win_bad = 1 if _is_crossed(st, lev, over) else 0


@njit()
def _count_young(st, tab, lev, young, young_blocks):
    """Put the quantity that does not rest yet into `young`; returns the number of blocks to clear after."""
    limit = st.win_end_ns - REST_NS
    kept = 0
    blocks = 0
    mark = st.win & MAX_QTY
    for k in range(st.n_young):
        t_enter = young[k, 1]
        j = find_order(tab, young[k, 0], st.hash_shift)
        if j < 0 or tab[_u(j)].enter_ns != t_enter:
            continue
        if t_enter > limit and tab[_u(j)].counted != mark:
            tab[_u(j)].counted = mark
            b = tab[_u(j)].label
            lev[_u(b)].young += tab[_u(j)].qty
            young_blocks[blocks] = b
            blocks += 1
        if t_enter > limit + WINDOW_NS:  # a time stamp from the future stays young
            young[kept, 0] = young[k, 0]
            young[kept, 1] = t_enter
            kept += 1
    st.n_young = kept
    return blocks


@njit(forceinline=True)
def _wall_row(e, b, rel, side, price, spot, valid):
    """One row of the wall surface if the level has anything to say (5.2)."""
    st, lev, past, wall64, wall32 = e.st[0], e.lev, e.past, e.wall64, e.wall32
    win = st.win
    depth = lev[_u(b)].depth
    last = lev[_u(b)].win
    add = pull = pull_rest = fill = np.int64(0)
    d1 = d2 = d3 = np.int64(0)
    if last == win:
        start = lev[_u(b)].e1
        add = lev[_u(b)].add
        pull = lev[_u(b)].pull
        pull_rest = lev[_u(b)].pull_rest
        fill = lev[_u(b)].filled
        if st.reset_win == win:
            start = past[_u(b)].start
        if depth == 0 and start == 0 and add == 0 and pull == 0 and fill == 0:
            return
        if st.hist_win != win:
            e2 = past[_u(b)].e2
            d1 = depth - start
            d2 = depth - 2 * start + e2
            d3 = depth - 3 * start + 3 * e2 - past[_u(b)].e3
    else:
        start = depth
        if st.reset_win == win:
            start = past[_u(b)].start
        if depth == 0 and start == 0:
            return
        if last > st.hist_win and st.hist_win != win and win - last <= 2:
            e1 = lev[_u(b)].e1
            if win - last == 1:
                d2 = e1 - depth
                d3 = 3 * e1 - 2 * depth - past[_u(b)].e2
            else:
                d3 = depth - e1
    row = st.n_wall_rows
    st.n_wall_rows = row + 1
    wall64[0, row] = st.win_end_ns
    wall64[1, row] = price
    wall64[2, row] = spot
    wall32[0, row] = start
    wall32[1, row] = depth
    wall32[2, row] = add
    wall32[3, row] = pull
    wall32[4, row] = fill
    wall32[5, row] = depth - lev[_u(b)].young
    wall32[6, row] = pull_rest
    wall32[7, row] = d1
    wall32[8, row] = d2
    wall32[9, row] = d3
    e.wall_rel[row] = rel
    e.wall_side[row] = side
    e.wall_valid[row] = valid
    biggest = max(max(start, depth), max(add, max(pull, fill)))
    if biggest > MAX_QTY or abs(d2) > MAX_QTY or abs(d3) > MAX_QTY:
        st.too_large = 1  # the driver reports it: no int32 column can hold this


@njit()
def _overflow_rows(e, side, below, spot_tick, spot, valid):
    """Rows of overflow levels below (or above) the axis, in price order."""
    st, over, order = e.st[0], e.over, e.order
    used = st.overflow_used
    count = 0
    for k in range(used):
        tick = over[k]
        if abs(tick - spot_tick) <= HUD_MAX_TICKS and (tick < st.base_tick) == below:
            at = count
            while at > 0 and over[order[at - 1]] > tick:
                order[at] = order[at - 1]
                at -= 1
            order[at] = k
            count += 1
    for m in range(count):
        tick = over[order[m]]
        b = _block(st.dense_levels + order[m], side)
        _wall_row(e, b, tick - spot_tick, side, tick * st.tick_int, spot, valid)


@njit()
def _wall_rows(e, spot, valid):
    """All wall rows of the window: asks before bids, prices ascending."""
    st = e.st[0]
    tick_int = st.tick_int
    spot_tick = spot // tick_int
    lo = max(np.int64(0), spot_tick - HUD_MAX_TICKS - st.base_tick)
    hi = min(st.dense_levels - 1, spot_tick + HUD_MAX_TICKS - st.base_tick)
    for s in range(2):
        side = ASK - s
        if st.overflow_used > 0:
            _overflow_rows(e, side, True, spot_tick, spot, valid)
        for level in range(lo, hi + 1):
            tick = st.base_tick + level
            _wall_row(e, _block(level, side), tick - spot_tick, side, tick * tick_int, spot, valid)
        if st.overflow_used > 0:
            _overflow_rows(e, side, False, spot_tick, spot, valid)


# ------------------------------------------------------------------------------------- radar (5.3)
@njit()
def _zone_picture(st, lev, past, over, spot_tick, end, zone):
    """Depth by distance 0..20 of both sides, at the window's start (end = 0) or end -> zone[end]."""
    base = st.base_tick
    n = st.dense_levels
    for side in range(2):
        sign = 1 if side == ASK else -1
        for d in range(ZONE):
            level = spot_tick + sign * d - base
            zone[end, side, d] = 0
            if 0 <= level < n:
                b = _block(level, side)
                zone[end, side, d] = lev[_u(b)].depth if end else _start_depth(st, lev, past, b)
        for k in range(st.overflow_used):
            d = sign * (over[k] - spot_tick)
            if 0 <= d < ZONE:
                b = _block(n + k, side)
                zone[end, side, d] = lev[_u(b)].depth if end else _start_depth(st, lev, past, b)


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
    for k in range(st.n_radar):
        code = rad[_u(k)].code
        side = code & 1
        sign = 1 if side == ASK else -1
        d0 = sign * (rad[_u(k)].tick_0 - spot_tick)
        d1 = sign * (rad[_u(k)].tick_1 - spot_tick)
        q0 = rad[_u(k)].qty_0 if 0 <= d0 <= DELTA_TICKS else 0
        q1 = rad[_u(k)].qty_1 if 0 <= d1 <= DELTA_TICKS else 0
        change = q1 - q0
        if change > 0:
            flow[side, W_ADDED] += change
        if (code & RESTING) == 0 or (code & IS_ADD) != 0:
            continue
        if change < 0:
            gone = max(-change - rad[_u(k)].filled, np.int64(0))
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
def _features(st, lev, past, over, rad, spot_tick, zone, flow, picture, x):
    """f and u features of the window -> x[0:25], x[25:49], in column order."""
    for end in range(2):
        _zone_picture(st, lev, past, over, spot_tick, end, zone)
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
    st, x, history, radar_i, radar_f = e.st[0], e.features, e.history, e.radar_i, e.radar_f
    _features(st, e.lev, e.past, e.over, e.rad, spot // st.tick_int, e.zone, e.flow, e.picture, x)
    first = st.radar_first == 1
    st.radar_first = 0
    row = st.n_radar_rows
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
    if st.spot_rows >= 3 and spot != st.spot_3:
        approach = 1 if spot > st.spot_3 else -1
    st.spot_rows += 1
    st.spot_3 = st.spot_2
    st.spot_2 = st.spot_1
    st.spot_1 = spot
    if emit:
        radar_i[row].window_end_ts_ns = st.win_end_ns
        radar_i[row].spot_ref_price_int = spot
        radar_i[row].approach = approach
        st.n_radar_rows = row + 1


@njit()
def _close_window(e):
    """Write the rows of the current window and open the next one. No event is open any more."""
    st, lev, over, snap = e.st[0], e.lev, e.over, e.snap
    if st.win_end_ns > st.next_phase_ns:
        _move_phase(st, e.pauses, e.status, st.win_end_ns - 1)
    phase = _phase(st)
    crossed = _is_crossed(st, lev, over)
    whole = st.complete == 1 and st.in_snapshot == 0
    book_valid = whole and not crossed
    window_valid = whole and st.win_bad == 0 and phase == PHASE_OPEN
    bid = _best(st, lev, over, BID)
    ask = _best(st, lev, over, ASK)
    bid_price = _tick_of(st, over, bid) * st.tick_int if bid >= 0 else np.int64(0)
    ask_price = _tick_of(st, over, ask) * st.tick_int if ask >= 0 else np.int64(0)
    spot = st.last_trade
    if spot <= 0:
        spot = bid_price if book_valid else np.int64(0)
    emit = st.win_start_ns >= st.emit_from and st.win_end_ns <= st.emit_to
    if st.with_wall:
        blocks = _count_young(st, e.tab, lev, e.young, e.young_blocks)
        if emit and spot > 0:
            _wall_rows(e, spot, window_valid)
        for k in range(blocks):
            lev[e.young_blocks[k]].young = 0
    if st.with_radar and spot > 0:
        _radar_row(e, spot, emit)
    if emit:
        row = st.n_snap_rows
        st.n_snap_rows = row + 1
        snap[row].window_end_ts_ns = st.win_end_ns
        snap[row].best_bid_price_int = bid_price
        snap[row].best_bid_qty = lev[_block(bid, BID)].depth if bid >= 0 else 0
        snap[row].best_ask_price_int = ask_price
        snap[row].best_ask_qty = lev[_block(ask, ASK)].depth if ask >= 0 else 0
        snap[row].last_trade_price_int = st.last_trade
        snap[row].spot_ref_price_int = spot
        snap[row].book_valid = book_valid
        snap[row].phase = phase
        snap[row].crossed_event_count = st.w_crossed
        snap[row].event_count = st.w_events
        snap[row].buy_qty = st.w_buy
        snap[row].sell_qty = st.w_sell
        snap[row].trade_count = st.w_trades
        snap[row].available_ts_ns = st.available_ns
    st.w_buy = 0
    st.w_sell = 0
    st.w_trades = 0
    st.w_events = 0
    st.w_crossed = 0
    st.n_radar = 0
    st.win_bad = 1 if crossed else 0
    st.win += 1
    st.win_start_ns += WINDOW_NS
    st.win_end_ns += WINDOW_NS


@njit()
def _close_before(e, ts):
    """Close every window that ends at or before ts. False: no room for output, call again."""
    st = e.st[0]
    if st.win == PRE_WINDOW or ts < st.win_end_ns:
        return True
    _cut_event(st, e.cnt[0], e.tab, e.lev, e.over, e.filled, e.unknown, e.trd)
    most = 2 * (2 * HUD_MAX_TICKS + 1) + 2 * st.overflow_used
    while ts >= st.win_end_ns:
        if st.n_snap_rows == e.snap.shape[0] or st.n_wall_rows + most > e.wall_rel.shape[0]:
            return False
        _close_window(e)
    return True


# ----------------------------------------------------------------------------------------- records
@njit(forceinline=True)
def _note_young(st, young, key, t_enter):
    if st.with_wall and (st.win == PRE_WINDOW or t_enter > st.win_end_ns - REST_NS):
        k = st.n_young
        young[k, 0] = key
        young[k, 1] = t_enter
        st.n_young = k + 1


@njit(forceinline=True)
def _note_change(st, rad, code, tick_0, qty_0, tick_1, qty_1, fill):
    if not st.with_radar:
        return
    k = st.n_radar
    rad[_u(k)].code = code
    rad[_u(k)].tick_0 = tick_0
    rad[_u(k)].qty_0 = qty_0
    rad[_u(k)].tick_1 = tick_1
    rad[_u(k)].qty_1 = qty_1
    rad[_u(k)].filled = fill
    st.n_radar = k + 1


@njit(forceinline=True)
def _insert(st, tab, free, key, level, side, qty, ts, fill):
    tab[_u(free)].key = key
    tab[_u(free)].label = 2 * level + side
    tab[_u(free)].qty = qty
    tab[_u(free)].enter_ns = ts
    tab[_u(free)].filled = fill
    tab[_u(free)].counted = 0
    st.live_orders += 1


@njit()
def _take_unknown_fill(st, unknown, filled, key):
    """Fill that was reported in this event before the order itself appeared."""
    for k in range(st.n_unknown):
        if unknown[k, 0] == key:
            qty = unknown[k, 1]
            last = st.n_unknown - 1
            unknown[k, 0] = unknown[last, 0]
            unknown[k, 1] = unknown[last, 1]
            st.n_unknown = last
            filled[st.n_filled] = key
            st.n_filled += 1
            if qty > MAX_QTY:
                st.too_large = 1
                return np.int64(MAX_QTY)
            return qty
    return np.int64(0)


@njit(forceinline=True)
def _apply_new(st, cnt, tab, lev, past, over, young, rad, filled, unknown, j, key, level, side, qty, ts):
    """A, or M of an unknown id: a new order; an existing one (j >= 0) is pulled first (4.12)."""
    tick = _tick_of(st, over, level)
    code = side | IS_ADD
    if j >= 0:
        old = tab[_u(j)].label
        old_b = old
        old_qty = tab[_u(j)].qty
        _touch(st, cnt, lev, past, old_b)
        lev[_u(old_b)].pull += old_qty
        if ts - tab[_u(j)].enter_ns >= REST_NS:
            lev[_u(old_b)].pull_rest += old_qty
        _change_depth(st, cnt, lev, old & 1, old >> 1, old_b, -old_qty)
        tab[_u(j)].label = 2 * level + side
        tab[_u(j)].qty = qty
        tab[_u(j)].enter_ns = ts
        tab[_u(j)].counted = 0
        if old & 1 == side:
            _note_change(st, rad, code, _tick_of(st, over, old >> 1), old_qty, tick, qty, 0)
        else:
            _note_change(st, rad, code, tick, 0, tick, qty, 0)
    else:
        fill = np.int64(0)
        if st.n_unknown > 0:
            fill = _take_unknown_fill(st, unknown, filled, key)
        _insert(st, tab, ~j, key, level, side, qty, ts, fill)
        _note_change(st, rad, code, tick, 0, tick, qty, 0)
    b = _block(level, side)
    _touch(st, cnt, lev, past, b)
    lev[_u(b)].add += qty
    _change_depth(st, cnt, lev, side, level, b, qty)
    _note_young(st, young, key, ts)


@njit(forceinline=True)
def _apply_cancel(st, cnt, tab, lev, past, over, rad, j, size, ts):
    """First row of the fill rule (4.6)."""
    qty = tab[_u(j)].qty
    gone = size
    if gone > qty:
        cnt.oversized_cancels += 1
        gone = qty
    fill = tab[_u(j)].filled
    shown = min(fill, gone)
    hidden = fill - shown
    pull = gone - shown
    label = tab[_u(j)].label
    b = label
    rests = ts - tab[_u(j)].enter_ns >= REST_NS
    _touch(st, cnt, lev, past, b)
    if fill > 0:
        lev[_u(b)].filled += fill
        lev[_u(b)].add += hidden
        cnt.hidden_qty_cancel += hidden
        tab[_u(j)].filled = 0
    lev[_u(b)].pull += pull
    if rests:
        lev[_u(b)].pull_rest += pull
    tick = _tick_of(st, over, label >> 1)
    _note_change(st, rad, (label & 1) | (RESTING if rests else 0), tick, qty, tick, qty - gone, fill)
    _change_depth(st, cnt, lev, label & 1, label >> 1, b, -gone)
    if gone == qty:
        _delete_order(tab, j, st.hash_shift)
        st.live_orders -= 1
    else:
        tab[_u(j)].qty = qty - gone


@njit(forceinline=True)
def _apply_modify(st, cnt, tab, lev, past, over, young, rad, j, key, level, size, ts):
    """Second and third row of the fill rule (4.6); the order keeps its side."""
    label = tab[_u(j)].label
    side = label & 1
    old_level = label >> 1
    qty = tab[_u(j)].qty
    fill = tab[_u(j)].filled
    tab[_u(j)].filled = 0
    rests = ts - tab[_u(j)].enter_ns >= REST_NS
    code = side | (RESTING if rests else 0)
    tick = _tick_of(st, over, old_level)
    b = label
    _touch(st, cnt, lev, past, b)
    if level == old_level:
        grown = size - qty + fill
        lev[_u(b)].filled += fill
        if grown > 0:
            lev[_u(b)].add += grown
            if fill > 0:
                cnt.hidden_qty_modify += grown
        else:
            lev[_u(b)].pull -= grown
            if rests:
                lev[_u(b)].pull_rest -= grown
        _note_change(st, rad, code, tick, qty, tick, size, fill)
        tab[_u(j)].qty = size
        _change_depth(st, cnt, lev, side, level, b, size - qty)
        return
    shown = min(fill, qty)
    hidden = fill - shown
    pull = qty - shown
    lev[_u(b)].filled += fill
    lev[_u(b)].add += hidden
    cnt.hidden_qty_modify += hidden
    lev[_u(b)].pull += pull
    if rests:
        lev[_u(b)].pull_rest += pull
    _note_change(st, rad, code, tick, qty, _tick_of(st, over, level), size, fill)
    _change_depth(st, cnt, lev, side, old_level, b, -qty)
    new_b = _block(level, side)
    _touch(st, cnt, lev, past, new_b)
    lev[_u(new_b)].add += size
    tab[_u(j)].label = 2 * level + side
    tab[_u(j)].qty = size
    tab[_u(j)].enter_ns = ts
    tab[_u(j)].counted = 0
    _change_depth(st, cnt, lev, side, level, new_b, size)
    _note_young(st, young, key, ts)


@njit(forceinline=True)
def _apply_fill(st, cnt, tab, filled, unknown, trd, key, size):
    """F changes nothing in the book; it says whose quantity the next C or M takes (4.6)."""
    if st.ev_has_trade and key == st.ev_aggressor:
        cnt.aggressor_fills += 1
        cnt.aggressor_fill_qty += size
        return
    if st.ev_has_trade:
        trd[st.n_trades - 1].resting_fill_count += 1
        trd[st.n_trades - 1].resting_fill_qty += size
    if size == 0:
        return
    j = find_order(tab, key, st.hash_shift)
    if j >= 0:
        if tab[_u(j)].filled == 0:
            filled[st.n_filled] = key
            st.n_filled += 1
        if np.int64(tab[_u(j)].filled) + size > MAX_QTY:
            st.too_large = 1
            return
        tab[_u(j)].filled += size
        return
    for k in range(st.n_unknown):
        if unknown[k, 0] == key:
            unknown[k, 1] += size
            return
    unknown[st.n_unknown, 0] = key
    unknown[st.n_unknown, 1] = size
    st.n_unknown += 1


@njit(forceinline=True)
def _apply_trade(st, cnt, trd, ts, ts_recv, key, price, size, side, sequence):
    """T: last trade, volume, aggressor, and a row of trade_event (5.7)."""
    if price == UNDEF_PRICE:
        cnt.undef_prices += 1
    elif price % st.tick_int != 0:
        cnt.off_tick_prices += 1
    elif price > 0:
        st.last_trade = price
    if size > MAX_QTY:
        cnt.bad_sizes += 1
        size = np.int64(0)
    st.w_trades += 1
    if side == SIDE_BID:
        st.w_buy += size
    elif side == SIDE_ASK:
        st.w_sell += size
    if st.cal_phase == PHASE_PRE_OPEN:
        st.cal_phase = PHASE_OPEN
    if not st.ev_has_trade:
        st.ev_has_trade = 1
        st.ev_first_trade = st.n_trades
    st.ev_aggressor = key
    k = st.n_trades
    trd[k].ts_event_ns = ts
    trd[k].ts_recv_ns = ts_recv
    trd[k].sequence = sequence
    trd[k].trade_idx = st.trade_idx
    trd[k].price_int = price
    trd[k].qty = size
    trd[k].side = side
    trd[k].order_id = key
    trd[k].resting_fill_count = 0
    trd[k].resting_fill_qty = 0
    trd[k].sweep_level_count = 0
    trd[k].phase = _phase(st)
    trd[k].win = st.win
    st.n_trades = k + 1
    st.trade_idx += 1


@njit()
def _start_snapshot(st, cnt, tab, lev, past, ts_recv):
    cnt.snapshots += 1
    _clear_book(st, cnt, tab, lev, past, st.win != PRE_WINDOW)
    st.in_snapshot = 1
    st.snap_ts_recv = ts_recv
    st.complete = 0
    st.bad_book = 0
    st.await_last = 0


@njit()
def _snapshot_order(st, cnt, tab, lev, young, key, level, side, qty, ts):
    """A inside a snapshot: the order stands there; no flow is counted (4.3)."""
    j = find_order(tab, key, st.hash_shift)
    if j >= 0:
        cnt.duplicate_adds += 1
        old = tab[_u(j)].label
        _change_depth(st, cnt, lev, old & 1, old >> 1, old, -tab[_u(j)].qty)
        tab[_u(j)].label = 2 * level + side
        tab[_u(j)].qty = qty
        tab[_u(j)].enter_ns = ts
        tab[_u(j)].counted = 0
    else:
        _insert(st, tab, ~j, key, level, side, qty, ts, 0)
    _change_depth(st, cnt, lev, side, level, _block(level, side), qty)
    _note_young(st, young, key, ts)


@njit()
def _refused(cnt, price, size, level):
    """Count the first reason why an A or M cannot be applied: price, grid, size, else its side."""
    if price == UNDEF_PRICE:
        cnt.undef_prices += 1
    elif level < 0:
        cnt.off_tick_prices += 1
    elif size > MAX_QTY:
        cnt.bad_sizes += 1
    else:
        cnt.bad_sides += 1


OFF_GRID = -99
AHEAD = 8
"""records: the order table's row of the one so far ahead is fetched into the cache"""


@njit(forceinline=True)
def _level_of_price(st, over, price, ticks_per_price):
    """Level index of a price; OFF_GRID, or -NEED_... when the caller must make room first.

    Inside the axis the division is a multiplication that is checked; exact, because the quotient is
    below 2**18."""
    tick_int = st.tick_int
    base = st.base_tick * tick_int
    if base <= price < base + st.dense_levels * tick_int:
        ahead = price - base
        level = np.int64(np.float64(ahead) * ticks_per_price + 0.5)
        return level if level * tick_int == ahead else np.int64(OFF_GRID)
    if price == UNDEF_PRICE or price % tick_int != 0:
        return np.int64(OFF_GRID)
    return _level_of(st, over, price // tick_int)


@njit()
def _snapshot_record(st, cnt, tab, lev, past, over, young, level, flags, action, side, key, price, size, ts):
    """A record with F_SNAPSHOT, after START was dealt with (4.3)."""
    cnt.records += 1
    cnt.snapshot_records += 1
    if st.win != PRE_WINDOW and st.reset_win != st.win:
        # the caller advanced the clock inside the snapshot: this window has the reset in it, too
        _hold_start(st, cnt, lev, past)
        for k in range(2 * (st.dense_levels + st.overflow_used)):
            lev[_u(k)].win = 0
        st.win_bad = 1
    if action == ACTION_ADD:
        if level < 0 or size > MAX_QTY or (side != SIDE_ASK and side != SIDE_BID):
            _refused(cnt, price, size, level)
        else:
            _snapshot_order(st, cnt, tab, lev, young, key, level, ASK if side == SIDE_ASK else BID, size, ts)
    elif action != ACTION_CLEAR:
        cnt.snapshot_not_add += 1
    if flags & F_MAYBE_BAD_BOOK:
        st.bad_book = 1
    if flags & F_LAST:
        st.in_snapshot = 0
        st.complete = 0 if st.bad_book else 1
        if st.win != PRE_WINDOW:
            st.win_bad = 1


@njit(forceinline=True)
def _plain_record(
    st,
    cnt,
    tab,
    lev,
    past,
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
    cnt.records += 1
    st.ev_records += 1
    if ts_recv > st.available_ns:
        st.available_ns = ts_recv
    if st.complete == 0:
        st.win_bad = 1
    if action in (ACTION_ADD, ACTION_MODIFY):
        j = find_order(tab, key, st.hash_shift)
        two_sided = side in (SIDE_ASK, SIDE_BID)
        known = action == ACTION_MODIFY and j >= 0
        if level < 0 or size > MAX_QTY or not (two_sided or known):
            _refused(cnt, price, size, level)
        else:
            if st.in_pause and st.cal_phase == PHASE_CLOSED:
                st.cal_phase = PHASE_PRE_OPEN
            if known:
                if not two_sided or (side == SIDE_ASK) != (tab[_u(j)].label & 1 == ASK):
                    cnt.side_changes += 1
                _apply_modify(st, cnt, tab, lev, past, over, young, rad, j, key, level, size, ts)
            else:
                if action == ACTION_MODIFY:
                    cnt.unknown_modifies += 1
                elif j >= 0:
                    cnt.duplicate_adds += 1
                s = ASK if side == SIDE_ASK else BID
                _apply_new(
                    st, cnt, tab, lev, past, over, young, rad, filled, unknown, j, key, level, s, size, ts
                )
    elif action == ACTION_CANCEL:
        j = find_order(tab, key, st.hash_shift)
        if size > MAX_QTY:
            cnt.bad_sizes += 1
        elif j < 0:
            cnt.unknown_cancels += 1
        else:
            _apply_cancel(st, cnt, tab, lev, past, over, rad, j, size, ts)
    elif action == ACTION_FILL:
        if size > MAX_QTY:
            cnt.bad_sizes += 1
        else:
            _apply_fill(st, cnt, tab, filled, unknown, trd, key, size)
    elif action == ACTION_TRADE:
        _apply_trade(st, cnt, trd, ts, ts_recv, key, price, size, side, sequence)
    elif action == ACTION_CLEAR:
        cnt.clears += 1
        _clear_book(st, cnt, tab, lev, past, st.win != PRE_WINDOW)
        st.complete = 0
        st.bad_book = 0
        st.await_last = 1
    elif action != ACTION_NONE:
        cnt.unknown_actions += 1
    if flags & F_MAYBE_BAD_BOOK:
        st.complete = 0
        st.bad_book = 1
        st.win_bad = 1
    if flags & F_LAST:
        _end_event(st, cnt, tab, lev, over, filled, unknown, trd)
        if st.await_last:
            st.await_last = 0
            if not st.bad_book:
                st.complete = 1


@njit(forceinline=True)
def _room(st, tab, young, rad, filled, unknown, trd):
    """Records that can be applied before any list could be full; each record adds at most one to each."""
    room = tab.shape[0] // 2 - st.live_orders
    room = min(room, young.shape[0] - st.n_young)
    room = min(room, rad.shape[0] - st.n_radar)
    room = min(room, filled.shape[0] - st.n_filled)
    room = min(room, unknown.shape[0] - st.n_unknown)
    return min(room, trd.shape[0] - st.n_trades)


def _array(kind, ndim, layout="C", readonly=False):
    return nb.types.Array(kind, ndim, layout, readonly=readonly)


_I8 = nb.types.int64


class EngineArrays(NamedTuple):
    """Everything the loop reads and writes, by name; the driver owns and replaces the arrays."""

    st: Any
    cnt: Any
    tab: Any
    lev: Any
    past: Any
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


def _rows(dtype):
    return _array(nb.from_dtype(dtype), 1)


_ENGINE = nb.types.NamedTuple(
    (
        _rows(STATE),
        _rows(COUNTERS),
        _rows(ORDER),  # tab
        _rows(LEVEL),  # lev
        _rows(LEVEL_PAST),  # past
        _array(_I8, 1),  # over
        _array(_I8, 1),  # order
        _array(_I8, 2),  # young
        _array(_I8, 1),  # young_blocks
        _rows(CHANGE),  # rad
        _array(nb.types.float64, 2),  # history
        _array(nb.types.float64, 1),  # features
        _array(_I8, 3),  # zone
        _array(_I8, 2),  # flow
        _array(nb.types.float64, 3),  # picture
        _array(_I8, 1),  # filled
        _array(_I8, 2),  # unknown
        _rows(TRADE),  # trd
        _array(_I8, 2),  # pauses
        _array(_I8, 2),  # status
        _rows(SNAPSHOT),  # snap
        _array(_I8, 2),  # wall64
        _array(nb.types.int32, 2),  # wall32
        _array(nb.types.int16, 1),  # wall_rel
        _array(nb.types.int8, 1),  # wall_side
        _array(nb.types.boolean, 1),  # wall_valid
        _rows(RADAR),  # radar_i
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


@njit()
def _finish(e):
    """End of the input: close the open event and the window of the last record."""
    st, cnt, lev = e.st[0], e.cnt[0], e.lev
    _cut_event(st, cnt, e.tab, lev, e.over, e.filled, e.unknown, e.trd)
    if st.win != PRE_WINDOW and not _close_before(e, st.win_end_ns):
        return np.int64(NEED_OUTPUT)
    for b in range(2 * (st.dense_levels + st.overflow_used)):
        level = lev[b]
        flow = level.add - level.pull - level.filled
        if level.win > st.reset_win and level.depth != level.e1 + flow:
            cnt.identity_violations += 1
    return np.int64(DONE)


@njit(nb.types.UniTuple(_I8, 2)(_ENGINE, *_RECORDS, _I8, _I8, _I8), nogil=True)
def drive(
    e,
    ts_event,
    ts_recv,
    order_id,
    price,
    size,
    flags,
    action,
    side,
    instrument_id,
    sequence,
    i,
    command,
    ts_ns,
):
    """The one way into the loop -> (index of the first record not applied, DONE or what is needed).

    APPLY: apply records from index i on. ADVANCE: close every window with window_end <= ts_ns (4.7).
    FINISH: end of the input. One entry, because each would be compiled with all it calls.
    """
    if command == ADVANCE:
        return i, np.int64(DONE) if _close_before(e, ts_ns) else np.int64(NEED_OUTPUT)
    if command == FINISH:
        return i, _finish(e)
    st, cnt, over = e.st[0], e.cnt[0], e.over
    ticks_per_price = 1.0 / np.float64(st.tick_int)
    n = np.int64(len(ts_event))
    instrument = st.instrument
    while i < n:
        stop = min(n, i + _room(st, e.tab, e.young, e.rad, e.filled, e.unknown, e.trd))
        if stop <= i:
            return i, np.int64(NEED_LISTS)
        while i < stop:
            if instrument_id[_u(i)] != instrument:
                cnt.foreign_records += 1
                i += 1
                continue
            if i + AHEAD < n:
                prefetch_row(e.tab, _slot_of(order_id[_u(i + AHEAD)], st.hash_shift))
            flag = np.int64(flags[_u(i)])
            act = np.int64(action[_u(i)])
            ts = ts_event[_u(i)]
            received = ts_recv[_u(i)]
            late = False
            if flag & F_SNAPSHOT:
                if st.in_snapshot == 0 or act == ACTION_CLEAR or received != st.snap_ts_recv:
                    _cut_event(st, e.cnt[0], e.tab, e.lev, e.over, e.filled, e.unknown, e.trd)
                    if not _close_before(e, received):
                        return i, np.int64(NEED_OUTPUT)
                    _start_snapshot(st, cnt, e.tab, e.lev, e.past, received)
            else:
                if received < st.day_lo_ns or received >= st.day_hi_ns:
                    st.day_lo_ns = received // DAY_NS * DAY_NS
                    st.day_hi_ns = st.day_lo_ns + DAY_NS
                late = (
                    ts < st.win_start_ns
                    or ts > received + EVENT_AHEAD_NS
                    or ts < st.day_lo_ns - HOUR_NS
                    or ts >= st.day_hi_ns + HOUR_NS
                )
                if not late and ts >= st.win_end_ns and not _close_before(e, ts):
                    return i, np.int64(NEED_OUTPUT)
                if st.in_snapshot:
                    st.in_snapshot = 0
                    st.complete = 0 if st.bad_book else 1
                if not late:
                    if st.win == PRE_WINDOW:
                        _open_first_window(st, e.lev, over, e.trd, ts)
                    if ts >= st.next_phase_ns:
                        _move_phase(st, e.pauses, e.status, ts)
            level = np.int64(OFF_GRID)
            if act in (ACTION_ADD, ACTION_MODIFY):
                level = _level_of_price(st, over, price[_u(i)], ticks_per_price)
                if level < 0 and level != OFF_GRID:
                    return i, -level
            if flag & F_SNAPSHOT:
                _snapshot_record(
                    st,
                    cnt,
                    e.tab,
                    e.lev,
                    e.past,
                    over,
                    e.young,
                    level,
                    flag,
                    act,
                    np.int64(side[_u(i)]),
                    order_id[_u(i)],
                    price[_u(i)],
                    np.int64(size[_u(i)]),
                    ts,
                )
            else:
                if late:
                    cnt.late_records += 1
                _plain_record(
                    st,
                    cnt,
                    e.tab,
                    e.lev,
                    e.past,
                    over,
                    e.young,
                    e.rad,
                    e.filled,
                    e.unknown,
                    e.trd,
                    level,
                    flag,
                    act,
                    np.int64(side[_u(i)]),
                    order_id[_u(i)],
                    price[_u(i)],
                    np.int64(size[_u(i)]),
                    ts,
                    received,
                    np.int64(sequence[_u(i)]),
                )
            i += 1
    return i, np.int64(DONE)
