"""Gamma exposure of a chain, window by window: numbers in arrays in, arrays out (spec 7.2, 7.3).

`solve` works on the options of one shard and on nothing that another shard has; `lay_out` works on all
strikes together, in strike order. So any number of shards gives the same bytes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba as nb
import numpy as np

from data_eng.kernels.jit import njit
from data_eng.kernels.option_layout import CALL, Q_CROSSED, Q_NO_BOOK
from data_eng.kernels.series_vols import (
    BY_MID,
    BY_SPOT,
    NO_VALUE,
    R_CROSSED,
    R_EXPIRED,
    R_NO_BOOK,
    R_NO_OI,
    R_OK,
    R_ONE_SIDED,
    W_D1,
    W_DENSITY,
    W_DISCOUNT,
    W_ROOT,
    W_S,
    W_TAIL,
    _densities,
    _series_vols,
)
from data_eng.units import EPS_GEX, PRICES_PER_POINT, STRIKE_OFFSETS, STRIKE_STEP_INT, WINDOW_NS

QUOTE_REACH_INT = 200 * PRICES_PER_POINT


class SolveArrays(NamedTuple):
    """Options of a shard in the order of their rows (strike, right, instrument_id), and what is made of
    them."""

    strike_int: Any  # int64[n]
    right: Any  # int8[n]
    expiration: Any  # int64[n] ns
    multiplier: Any  # float64[n]
    series: Any  # int32[n]
    series_strike: Any  # int64[g], ascending
    series_expiration: Any  # int64[g] ns
    strike_of: Any  # int32[n], index of the option's strike
    first: Any  # int32[g + 1]: the options of series g are member[first[g]:first[g + 1]]
    member: Any  # int32[n], calls before puts
    pair: Any  # int32[2, g]: call and put of a series of one each, else -1
    column: Any  # int32[n], column of the option in the book output
    interest: Any  # float64[n], open interest as of the window
    interest_ts: Any  # int64[n]
    news_ts: Any  # int64[m], announcements in the order of ts_recv
    news_option: Any  # int32[m]
    news_interest: Any  # float64[m]
    cursor: Any  # int64[1]: announcements told so far
    anchors: Any  # float64[2, ANCHOR_ROWS, g padded]: by spot, by the futures mid
    status: Any  # int8[n], scratch: why the option gave no volatility
    work: Any  # float64[WORK_ROWS, g padded], scratch; W_STRIKE is filled in
    again: Any  # float64[WORK_ROWS, g padded], scratch
    queue: Any  # int32[g], scratch
    vol_mid: Any  # float64[1, g], scratch
    vol: Any  # float64[w, g], NO_VALUE = none
    net_weight: Any  # float64[w, g], multiplier x (calls - puts) open
    flow_gex: Any  # float64[w, g], gamma x multiplier x (calls - puts) open, less what aggressors bought
    call_abs: Any  # float64[w, k]
    put_abs: Any  # float64[w, k]
    q_place: Any  # int64[rows]: row of the window in the block x options + option
    q_reason: Any  # int8[rows]
    q_bid: Any  # int64[rows]
    q_ask: Any  # int64[rows]
    q_bid_qty: Any  # int32[rows]
    q_ask_qty: Any  # int32[rows]
    q_values: Any  # float64[9, rows]: mid, age, seconds, interest, vol, delta, gamma, vega, vol at the mid
    q_interest_ts: Any  # int64[rows]


@njit(forceinline=True)
def _reason(e, expired, interest, vol, total, state, option):
    if expired:
        return R_EXPIRED
    if not interest > 0.0:
        return R_NO_OI
    if vol > 0.0:
        return R_OK
    if total > 0:
        return e.status[option]
    if state == Q_NO_BOOK:
        return R_NO_BOOK
    return R_CROSSED if state == Q_CROSSED else R_ONE_SIDED


@njit(forceinline=True)
def _place_of(ascending, value):
    """Number of elements below `value`."""
    low, high = np.int64(0), np.int64(ascending.shape[0])
    while low < high:
        middle = (low + high) >> 1
        if ascending[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@njit()
def _exposures(e, flows, w, n_series, forward):
    """Gamma of all series that have a volatility, times what is open."""
    low, high = np.int64(0), np.int64(n_series)
    while low < high and e.vol[w, low] < 0.0:
        low += 1
    while low < high and e.vol[w, high - 1] < 0.0:
        high -= 1
    for g in range(low, high):
        e.work[W_S, g] = e.vol[w, g] * e.work[W_ROOT, g]
    _densities(e.work, low, high, forward)
    for g in range(low, high):
        if not e.vol[w, g] > 0.0:
            continue
        gamma = e.work[W_DISCOUNT, g] * e.work[W_DENSITY, g] / (forward * e.work[W_S, g])
        net = flow = 0.0
        for m in range(e.first[g], e.first[g + 1]):
            option = e.member[m]
            lots = e.interest[option]
            exposure = gamma * lots * e.multiplier[option]
            signed = lots
            if e.right[option] == CALL:
                e.call_abs[w, e.strike_of[option]] += exposure
            else:
                e.put_abs[w, e.strike_of[option]] += exposure
                signed = -lots
            net += e.multiplier[option] * signed
            flow += e.multiplier[option] * (signed - flows[w, e.column[option]])
        e.net_weight[w, g] = net
        e.flow_gex[w, g] = gamma * flow


@njit(forceinline=True)
def _quote_row(e, row, w, option, end, forward, total, age, state):
    """One row of option_quote_1s."""
    g = e.series[option]
    left_ns = e.expiration[option] - end
    vol, vol_mid = e.vol[w, g], e.vol_mid[0, g]
    interest = e.interest[option]
    e.q_place[row] = w * e.right.shape[0] + option
    e.q_reason[row] = _reason(e, left_ns <= 0, interest, vol, total, state, option)
    e.q_interest_ts[row] = e.interest_ts[option]
    e.q_values[0, row] = total / (2.0 * PRICES_PER_POINT)
    e.q_values[1, row] = age if total > 0 else 0
    e.q_values[2, row] = left_ns / 1e9
    e.q_values[3, row] = interest
    e.q_values[8, row] = vol_mid if vol_mid > 0.0 else np.nan
    if vol <= 0.0:
        for k in range(4, 8):
            e.q_values[k, row] = np.nan
        return
    discount, root = e.work[W_DISCOUNT, g], e.work[W_ROOT, g]
    d1, density, tail = e.work[W_D1, g], discount * e.work[W_DENSITY, g], e.work[W_TAIL, g]
    inside = tail if (d1 < 0.0) == (e.right[option] == CALL) else 1.0 - tail
    e.q_values[4, row] = vol
    e.q_values[5, row] = discount * inside if e.right[option] == CALL else -discount * inside
    e.q_values[6, row] = density / (forward * (vol * root))
    e.q_values[7, row] = density * forward * root


def _array(kind, ndim, layout="C", readonly=False):
    return nb.types.Array(kind, ndim, layout, readonly=readonly)


_I1, _I4, _I8, _F8 = nb.types.int8, nb.types.int32, nb.types.int64, nb.types.float64
_SOLVE = nb.types.NamedTuple(
    (
        _array(_I8, 1),  # strike_int
        _array(_I1, 1),  # right
        _array(_I8, 1),  # expiration
        _array(_F8, 1),  # multiplier
        _array(_I4, 1),  # series
        _array(_I8, 1),  # series_strike
        _array(_I8, 1),  # series_expiration
        _array(_I4, 1),  # strike_of
        _array(_I4, 1),  # first
        _array(_I4, 1),  # member
        _array(_I4, 2),  # pair
        _array(_I4, 1),  # column
        _array(_F8, 1),  # interest
        _array(_I8, 1),  # interest_ts
        _array(_I8, 1),  # news_ts
        _array(_I4, 1),  # news_option
        _array(_F8, 1),  # news_interest
        _array(_I8, 1),  # cursor
        _array(_F8, 3),  # anchors
        _array(_I1, 1),  # status
        _array(_F8, 2),  # work
        _array(_F8, 2),  # again
        _array(_I4, 1),  # queue
        _array(_F8, 2),  # vol_mid
        _array(_F8, 2),  # vol
        _array(_F8, 2),  # net_weight
        _array(_F8, 2),  # flow_gex
        _array(_F8, 2),  # call_abs
        _array(_F8, 2),  # put_abs
        _array(_I8, 1),  # q_place
        _array(_I1, 1),  # q_reason
        _array(_I8, 1),  # q_bid
        _array(_I8, 1),  # q_ask
        _array(_I4, 1),  # q_bid_qty
        _array(_I4, 1),  # q_ask_qty
        _array(_F8, 2),  # q_values
        _array(_I8, 1),  # q_interest_ts
    ),
    SolveArrays,
)


@njit(
    _I8(
        _SOLVE,
        _array(_I8, 2),
        _array(_I1, 2),
        _array(_I1, 2),
        _array(_I8, 2),
        _array(_I8, 2),
        _array(_I8, 2),
        _array(_I4, 2),
        _array(_I4, 2),
        _array(_I8, 1),
        _array(_I8, 1),
        _array(_I8, 1),
        _F8,
    ),
    nogil=True,
)
def solve(e, mids, ages, states, flows, bids, asks, bid_qtys, ask_qtys, ends, spots, futures_mids, rate):
    """Volatilities, exposures and quote rows of a block of windows; returns the number of quote rows.

    mids int64[w, columns] bid + ask (0 = no mid), ages int8 s, states int8, flows, bids and asks int64, their
    quantities int32: of the books.
    ends, spots, futures_mids int64[w]: window end ns, 1e-9 points, 0 = none.
    """
    rows = np.int64(0)
    n_series = e.first.shape[0] - 1
    for w in range(ends.shape[0]):
        end = ends[w]
        while e.cursor[0] < e.news_ts.shape[0] and e.news_ts[e.cursor[0]] < end:
            option = e.news_option[e.cursor[0]]
            e.interest[option] = e.news_interest[e.cursor[0]]
            e.interest_ts[option] = e.news_ts[e.cursor[0]]
            e.cursor[0] += 1
        for k in range(e.call_abs.shape[1]):
            e.call_abs[w, k] = 0.0
            e.put_abs[w, k] = 0.0
        for g in range(n_series):
            e.vol[w, g] = NO_VALUE
            e.net_weight[w, g] = 0.0
            e.flow_gex[w, g] = 0.0
        spot = spots[w]
        if spot <= 0:
            continue
        forward = spot / PRICES_PER_POINT
        futures_mid = futures_mids[w]
        low = _place_of(e.series_strike, spot - QUOTE_REACH_INT)
        high = _place_of(e.series_strike, spot + QUOTE_REACH_INT + 1)
        for g in range(low, high):
            e.vol_mid[0, g] = NO_VALUE
        if futures_mid > 0:
            middle = futures_mid / PRICES_PER_POINT
            _series_vols(e, mids, w, BY_MID, low, high, end, middle, rate, e.vol_mid, 0)
        _series_vols(e, mids, w, BY_SPOT, np.int64(0), n_series, end, forward, rate, e.vol, w)
        _exposures(e, flows, w, n_series, forward)
        first = _place_of(e.strike_int, spot - QUOTE_REACH_INT)
        for option in range(first, _place_of(e.strike_int, spot + QUOTE_REACH_INT + 1)):
            column = e.column[option]
            e.q_bid[rows], e.q_ask[rows] = bids[w, column], asks[w, column]
            e.q_bid_qty[rows], e.q_ask_qty[rows] = bid_qtys[w, column], ask_qtys[w, column]
            _quote_row(e, rows, w, option, end, forward, mids[w, column], ages[w, column], states[w, column])
            rows += 1
    return rows


# ------------------------------------------------------------------------------------ surface (7.2)
@njit(
    _I8(
        _array(_I8, 1), _array(_I8, 1), _array(_I8, 1), _array(_F8, 2), _array(_F8, 2),
        _array(_F8, 3), _array(_I8, 1), _array(_I8, 1), _array(_I8, 1), _array(_F8, 2),
    ),
    nogil=True,
)  # fmt: skip
def lay_out(ends, spots, strikes, call_abs, put_abs, history, last_end, out_end, out_strike, out):
    """Rows of gex_surface_1s for a block of windows; returns their number, 61 per window with a spot.

    strikes int64[k] of the whole chain, ascending; call_abs, put_abs float64[w, k]. history float64[3, 3,
    k] (value, d1, d2 of gex_abs, gex, ratio) and last_end int64[1] (last window with a spot, 0 = none) go
    on from block to block. out float64[14, rows]: call, put, abs, gex, ratio, d1 d2 d3 of each of the last
    three.
    """
    rows = np.int64(0)
    n_strikes = strikes.shape[0]
    for w in range(ends.shape[0]):
        spot = spots[w]
        if spot <= 0:
            last_end[0] = 0
            continue
        first = last_end[0] != ends[w] - WINDOW_NS
        last_end[0] = ends[w]
        low = (2 * spot + STRIKE_STEP_INT) // (
            2 * STRIKE_STEP_INT
        ) * STRIKE_STEP_INT - STRIKE_OFFSETS * STRIKE_STEP_INT
        high = low + 2 * STRIKE_OFFSETS * STRIKE_STEP_INT
        for i in range(2 * STRIKE_OFFSETS + 1):
            out_end[rows + i] = ends[w]
            out_strike[rows + i] = low + i * STRIKE_STEP_INT
            for c in range(14):
                out[c, rows + i] = 0.0
        for k in range(n_strikes):
            row = np.int64(-1)
            if low <= strikes[k] <= high and (strikes[k] - low) % STRIKE_STEP_INT == 0:
                row = rows + (strikes[k] - low) // STRIKE_STEP_INT
            call, put = call_abs[w, k], put_abs[w, k]
            both = call + put
            net = call - put
            for q in range(3):
                x = both if q == 0 else net if q == 1 else net / (both + EPS_GEX)
                d1 = d2 = d3 = 0.0
                if not first:
                    d1 = x - history[q, 0, k]
                    d2 = d1 - history[q, 1, k]
                    d3 = d2 - history[q, 2, k]
                history[q, 0, k] = x
                history[q, 1, k] = d1
                history[q, 2, k] = d2
                if row >= 0:
                    out[2 + q, row] = x
                    out[5 + 3 * q, row] = d1
                    out[6 + 3 * q, row] = d2
                    out[7 + 3 * q, row] = d3
            if row >= 0:
                out[0, row] = call
                out[1, row] = put
        rows += 2 * STRIKE_OFFSETS + 1
    return rows
