"""Gamma exposure of a chain, window by window: numbers in arrays in, arrays out (spec 7.2-7.4).

`solve` works on the options of one shard and on nothing that another shard has; `lay_out` and `profile`
work on all strikes together, in strike order. So any number of shards gives the same bytes.

A series is the options of one strike and expiration; they share one volatility. Its last solution is kept as
an anchor: mid, forward, and the slope of s = v sqrt T by the value solved for. While mid and forward stand,
only exp(rT) moves that value, by some 1e-9 of itself a second: the anchor's tangent then gives s to 1e-13,
and nothing is solved.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numba as nb
import numpy as np

from data_eng.kernels.black76 import (
    V_HIGH,
    V_LOW,
    implied_total_vol,
    normal_cdf,
    scaled_slope,
    time_value,
)
from data_eng.kernels.jit import njit
from data_eng.kernels.option_layout import CALL, PUT, Q_CROSSED, Q_NO_BOOK
from data_eng.units import EPS_GEX, PRICES_PER_POINT, STRIKE_OFFSETS, STRIKE_STEP_INT, WINDOW_NS

R_OK, R_ONE_SIDED, R_CROSSED, R_BELOW_INTRINSIC, R_NO_ROOT, R_EXPIRED, R_NO_OI, R_NO_BOOK = range(8)
"""reasons, in the order of `schema.silver_option.QUOTE_REASONS`"""
NS_PER_YEAR = 86_400e9 * 365
TANGENT_REACH = 2e-7
"""largest relative change of the value solved for that the anchor's tangent is trusted with"""
QUOTE_REACH_INT = 200 * PRICES_PER_POINT
REACH_POINTS = 150.0
NO_VALUE = -1.0
_ROUGH = 1e-4
"""share of the sum of absolute terms above which the sign of a rough sum is certain"""
_STEEPEST = 0.6066
"""above e^(-1/2), the largest slope of e^(-x^2 / 2)"""
_SAFE_EXPONENT = -700.0
"""e to this power is far from underflow"""
_ONE_OVER_SQRT_TWO_PI = 1.0 / math.sqrt(2.0 * math.pi)

ANCHOR = np.dtype(
    [
        ("mid", "f8"),
        ("forward", "f8"),
        ("option", "i8"),  # -1 while there is none
        ("wanted", "f8"),
        ("s", "f8"),
        ("tangent", "f8"),  # NO_VALUE until it is asked for
        ("log_forward", "f8"),  # forward of the two terms below
        ("log_moneyness", "f8"),  # ln(forward / strike)
        ("scale", "f8"),  # sqrt(forward x strike)
    ],
    align=True,
)


class SolveArrays(NamedTuple):
    """Options of a shard in the order of their rows (strike, right, instrument_id), and what is made of
    them."""

    strike_int: Any  # int64[n]
    right: Any  # int8[n]
    expiration: Any  # int64[n] ns
    multiplier: Any  # float64[n]
    series: Any  # int32[n]
    strike_of: Any  # int32[n], index of the option's strike
    first: Any  # int32[g + 1]: the options of series g are member[first[g]:first[g + 1]]
    member: Any  # int32[n], calls before puts
    column: Any  # int32[n], column of the option in the book output
    interest: Any  # float64[n], open interest as of the window
    interest_ts: Any  # int64[n]
    news_ts: Any  # int64[m], announcements in the order of ts_recv
    news_option: Any  # int32[m]
    news_interest: Any  # float64[m]
    cursor: Any  # int64[1]: announcements told so far
    anchors: Any  # ANCHOR[2, g]: by spot, by the futures mid
    status: Any  # int8[n], scratch: why the option gave no volatility
    shared: Any  # float64[2, g], scratch: d1 and D phi(d1) of the series in the window
    vol: Any  # float64[w, g], NO_VALUE = none
    net_weight: Any  # float64[w, g], multiplier x (calls - puts) open
    flow_weight: Any  # float64[w, g], the same less what aggressors bought
    call_abs: Any  # float64[w, k]
    put_abs: Any  # float64[w, k]
    q_window: Any  # int32[rows], row of the window in the block
    q_option: Any  # int32[rows]
    q_reason: Any  # int8[rows]
    q_values: Any  # float64[9, rows]: mid, age, seconds, interest, vol, delta, gamma, vega, vol at the mid
    q_interest_ts: Any  # int64[rows]


@njit(forceinline=True)
def _set_forward(anchors, which, g, forward, strike):
    """Terms of a series that stand as long as its forward does."""
    if anchors[which, g].log_forward != forward:
        anchors[which, g].log_forward = forward
        anchors[which, g].log_moneyness = math.log(forward / strike)
        anchors[which, g].scale = math.sqrt(forward * strike)


@njit(forceinline=True)
def _is_steep(a, s):
    """Whether the slope of the value by s is a number above 0; far from its peak it underflows."""
    ratio = a / s
    return -0.5 * (ratio * ratio + 0.25 * s * s) > _SAFE_EXPONENT or scaled_slope(a, s) > 0.0


@njit()
def _series_vol(anchors, status, which, g, right, strike, forward, discount, root, option, mid):
    """Volatility of a series from the mid of one option, or NO_VALUE; status tells why, for F = spot."""
    above = time_value(right, mid, discount, forward, strike)
    if not above > 0.0:
        inner = forward - strike if right == CALL else strike - forward
        if which == 0:
            status[option] = R_BELOW_INTRINSIC if mid <= discount * max(inner, 0.0) else R_NO_ROOT
        return NO_VALUE
    wanted = above / anchors[which, g].scale
    a = -abs(anchors[which, g].log_moneyness)
    guess = -1.0
    if anchors[which, g].option >= 0:
        guess = anchors[which, g].s
        if (
            anchors[which, g].option == option
            and anchors[which, g].mid == mid
            and anchors[which, g].forward == forward
            and abs(wanted - anchors[which, g].wanted) <= TANGENT_REACH * wanted
        ):
            if anchors[which, g].tangent < 0.0:
                anchors[which, g].tangent = 1.0 / scaled_slope(a, guess)
            s = guess + (wanted - anchors[which, g].wanted) * anchors[which, g].tangent
            if V_LOW * root <= s <= V_HIGH * root:
                return s / root
    s = implied_total_vol(wanted, a, math.exp(0.5 * a), V_LOW * root, V_HIGH * root, guess)
    if s < 0.0:
        if which == 0:
            status[option] = R_NO_ROOT
        anchors[which, g].option = -1
        return NO_VALUE
    anchors[which, g].mid = mid
    anchors[which, g].forward = forward
    anchors[which, g].option = option if _is_steep(a, s) else -1
    anchors[which, g].wanted = wanted
    anchors[which, g].s = s
    anchors[which, g].tangent = NO_VALUE
    return s / root


@njit(forceinline=True)
def _first_vol(e, mids, w, which, g, strike, forward, discount, root):
    """The first volatility among the options of a series that carry weight: out of the money first."""
    first_right = CALL if strike >= forward else PUT
    vol = NO_VALUE
    for turn in range(2):
        right = first_right if turn == 0 else 1 - first_right
        for m in range(e.first[g], e.first[g + 1]):
            option = e.member[m]
            if vol < 0.0 and e.right[option] == right and e.interest[option] > 0.0:
                total = mids[w, e.column[option]]
                if total > 0:
                    mid = total / (2.0 * PRICES_PER_POINT)
                    vol = _series_vol(
                        e.anchors, e.status, which, g, right, strike, forward, discount, root, option, mid
                    )
    return vol


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
def _quote_row(e, row, w, option, g, left_ns, forward, root, discount, vol_mid, total, age, state):
    """One row of option_quote_1s."""
    vol = e.vol[w, g]
    interest = e.interest[option]
    e.q_window[row] = w
    e.q_option[row] = option
    e.q_reason[row] = _reason(e, left_ns <= 0, interest, vol, total, state, option)
    e.q_interest_ts[row] = e.interest_ts[option]
    e.q_values[0, row] = total / (2.0 * PRICES_PER_POINT)
    e.q_values[1, row] = age if total > 0 else 0
    e.q_values[2, row] = left_ns / 1e9
    e.q_values[3, row] = interest
    e.q_values[8, row] = vol_mid if vol_mid > 0.0 else np.nan
    if left_ns <= 0 or vol <= 0.0:
        for k in range(4, 8):
            e.q_values[k, row] = np.nan
        return
    d1, density = e.shared[0, g], e.shared[1, g]
    e.q_values[4, row] = vol
    e.q_values[5, row] = discount * normal_cdf(d1) if e.right[option] == CALL else -discount * normal_cdf(-d1)
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
        _array(_I4, 1),  # strike_of
        _array(_I4, 1),  # first
        _array(_I4, 1),  # member
        _array(_I4, 1),  # column
        _array(_F8, 1),  # interest
        _array(_I8, 1),  # interest_ts
        _array(_I8, 1),  # news_ts
        _array(_I4, 1),  # news_option
        _array(_F8, 1),  # news_interest
        _array(_I8, 1),  # cursor
        _array(nb.from_dtype(ANCHOR), 2),
        _array(_I1, 1),  # status
        _array(_F8, 2),  # shared
        _array(_F8, 2),  # vol
        _array(_F8, 2),  # net_weight
        _array(_F8, 2),  # flow_weight
        _array(_F8, 2),  # call_abs
        _array(_F8, 2),  # put_abs
        _array(_I4, 1),  # q_window
        _array(_I4, 1),  # q_option
        _array(_I1, 1),  # q_reason
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
        _array(_I8, 1),
        _array(_I8, 1),
        _array(_I8, 1),
        _F8,
    ),
    nogil=True,
)
def solve(e, mids, ages, states, flows, ends, spots, futures_mids, rate):
    """Volatilities, exposures and quote rows of a block of windows; returns the number of quote rows.

    mids int64[w, columns] bid + ask (0 = no mid), ages int8 s, states int8, flows int64: of the books.
    ends, spots, futures_mids int64[w]: window end ns, 1e-9 points, 0 = none.
    """
    rows = np.int64(0)
    # which anchor; a plain number would compile everything below once for 0 and once for 1
    by_spot, by_mid = np.int64(0), np.int64(1)
    n = e.right.shape[0]
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
            e.flow_weight[w, g] = 0.0
        spot = spots[w]
        if spot <= 0:
            continue
        forward = spot / PRICES_PER_POINT
        discount = 1.0
        root = 0.0
        last_expiration = np.int64(-1)
        for g in range(n_series):
            option = e.member[e.first[g]]
            expiration = e.expiration[option]
            if expiration <= end:
                continue
            if expiration != last_expiration:
                years = (expiration - end) / NS_PER_YEAR
                discount = math.exp(-rate * years)
                root = math.sqrt(years)
                last_expiration = expiration
            strike = e.strike_int[option] / PRICES_PER_POINT
            _set_forward(e.anchors, by_spot, g, forward, strike)
            vol = _first_vol(e, mids, w, by_spot, g, strike, forward, discount, root)
            if vol <= 0.0:
                continue
            e.vol[w, g] = vol
            s = vol * root
            d1 = e.anchors[0, g].log_moneyness / s + 0.5 * s
            density = discount * math.exp(-0.5 * d1 * d1) * _ONE_OVER_SQRT_TWO_PI
            gamma = density / (forward * s)
            e.shared[0, g] = d1
            e.shared[1, g] = density
            for m in range(e.first[g], e.first[g + 1]):
                option = e.member[m]
                lots = e.interest[option]
                signed = lots if e.right[option] == CALL else -lots
                e.net_weight[w, g] += e.multiplier[option] * signed
                e.flow_weight[w, g] += e.multiplier[option] * (signed - flows[w, e.column[option]])
                exposure = gamma * lots * e.multiplier[option]
                if e.right[option] == CALL:
                    e.call_abs[w, e.strike_of[option]] += exposure
                else:
                    e.put_abs[w, e.strike_of[option]] += exposure
        futures_mid = futures_mids[w]
        middle = futures_mid / PRICES_PER_POINT
        last_series = -1
        vol_mid = NO_VALUE
        for option in range(n):
            if abs(e.strike_int[option] - spot) > QUOTE_REACH_INT:
                continue
            left_ns = e.expiration[option] - end
            if left_ns > 0 and e.expiration[option] != last_expiration:
                years = left_ns / NS_PER_YEAR
                discount = math.exp(-rate * years)
                root = math.sqrt(years)
                last_expiration = e.expiration[option]
            g = int(e.series[option])
            if g != last_series:
                last_series = g
                vol_mid = NO_VALUE
                if left_ns > 0 and futures_mid > 0:
                    strike = e.strike_int[option] / PRICES_PER_POINT
                    _set_forward(e.anchors, by_mid, g, middle, strike)
                    vol_mid = _first_vol(e, mids, w, by_mid, g, strike, middle, discount, root)
            column = e.column[option]
            _quote_row(
                e,
                rows,
                w,
                option,
                g,
                left_ns,
                forward,
                root,
                discount,
                vol_mid,
                mids[w, column],
                ages[w, column],
                states[w, column],
            )
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


# ------------------------------------------------------------------------------------ profile (7.4)
@njit()
def _net_gamma(at, n, terms):
    """(G, dG/dF) at the spot `at`, both times one positive factor: signs and roots are those of G.

    terms float64[5, >= n]: ln K, s/2, 1/s and weight of each series; the fifth row is scratch. Only terms
    within e^-45 of the largest count, so that nothing underflows however narrow the peaks are.
    """
    largest = -np.inf
    x = math.log(at)
    for i in range(n):
        d1 = (x - terms[0, i]) * terms[2, i] + terms[1, i]
        terms[4, i] = d1
        largest = max(largest, -0.5 * d1 * d1)
    total = 0.0
    slope = 0.0
    for i in range(n):
        d1 = terms[4, i]
        exponent = -0.5 * d1 * d1 - largest
        if exponent > -45.0:
            term = terms[3, i] * math.exp(exponent) * terms[2, i]
            total += term
            slope -= term * (d1 * terms[2, i] + 1.0)
    return total, slope / at


@njit(fastmath=True)
def _rough_net_gamma(at, n, terms):
    """(G, dG/dF, floor): the signs of `_net_gamma`'s two values, 0 where not certain, and less than |G|.

    The exponential is its power series at 1/256 of the exponent, squared eight times: its relative error
    (4e-8 x 256 = 1e-5) is a tenth of `_ROUGH`, and a sum below `_ROUGH` of its absolute terms is not certain.
    No loop calls a function or waits for its last step, so four terms run at once. floor is 0 or less, or
    less than |G| as it is without a common factor: sum of weight / s x e^(-d1^2 / 2).
    """
    x = math.log(at)
    least = 1e300
    for i in range(n):
        d1 = (x - terms[0, i]) * terms[2, i] + terms[1, i]
        terms[4, i] = d1
        least = min(least, d1 * d1)
    total = 0.0
    slope = 0.0
    mass = 0.0
    steep = 0.0
    for i in range(n):
        d1 = terms[4, i]
        exponent = 0.5 * (least - d1 * d1)
        y = max(exponent, -45.0) * (1.0 / 256.0)
        p = 1.0 + y * (1.0 + y * (0.5 + y * (1.0 / 6.0 + y * (1.0 / 24.0 + y * (1.0 / 120.0)))))
        p *= p
        p *= p
        p *= p
        p *= p
        p *= p
        p *= p
        p *= p
        p *= p
        term = terms[3, i] * p * terms[2, i] if exponent > -45.0 else 0.0
        change = term * (d1 * terms[2, i] + 1.0)
        total += term
        slope -= change
        mass += abs(term)
        steep += abs(change)
    certain = abs(total) - _ROUGH * mass
    if certain <= 0.0:
        total = 0.0
    if abs(slope) <= _ROUGH * steep:
        slope = 0.0
    return total, slope, certain * math.exp(-0.5 * least)


@njit(forceinline=True)
def _signs_of_net_gamma(at, n, terms):
    """(G, dG/dF) of which only the signs mean anything."""
    value, slope, _ = _rough_net_gamma(at, n, terms)
    return (value, slope) if value != 0.0 and slope != 0.0 else _net_gamma(at, n, terms)


@njit()
def _root_between(lo, hi, sign_lo, n, terms):
    """The sign change of G in (lo, hi), to the last bits, by Newton steps inside a bracket."""
    at = 0.5 * (lo + hi)
    for _ in range(200):
        value, slope = _net_gamma(at, n, terms)
        if value == 0.0:
            return at
        if (value > 0.0) == (sign_lo > 0.0):
            lo = at
        else:
            hi = at
        new = at - value / slope if slope != 0.0 else lo
        if not lo < new < hi:
            new = 0.5 * (lo + hi)
        if abs(new - at) <= 1e-13 * at or not lo < new < hi:
            return new
        at = new
    return at


@njit()
def _turning_point(lo, hi, sign, n, terms, steepest, slack):
    """A spot in (lo, hi), where G bends towards 0, at which it has the other sign, or 0 when it has not.

    steepest: G changes by no more than that per point, slack: nor does rounding by more, both without a
    common factor. Where this keeps G from 0 up to both ends, there is nothing to find.
    """
    for _ in range(60):
        at = 0.5 * (lo + hi)
        if not lo < at < hi:
            return 0.0
        value, slope, floor = _rough_net_gamma(at, n, terms)
        if value == 0.0:
            value, slope = _net_gamma(at, n, terms)
        if (value > 0.0) != (sign > 0.0):
            return at
        if floor > steepest * max(at - lo, hi - at) + slack:
            return 0.0
        if slope == 0.0:
            slope = _net_gamma(at, n, terms)[1]
        if slope * sign < 0.0:
            lo = at
        else:
            hi = at
        if hi - lo < 1e-7:
            return 0.0
    return 0.0


@njit(
    _I8(
        _array(_I8, 1), _array(_I8, 1), _array(_I8, 1), _array(_I8, 1), _array(_I4, 1),
        _array(_F8, 2), _array(_F8, 2), _array(_F8, 2), _array(_F8, 2), _array(_F8, 2), _F8, _I8,
        _array(_F8, 2), _array(_I4, 1), _array(_F8, 1), _array(_F8, 2),
    ),
    nogil=True,
)  # fmt: skip
def profile(
    ends, spots, strikes, expiration, strike_of, vol, net_weight, flow_weight, call_abs, put_abs, rate, start,
    out, flip_end, flips, terms,
):  # fmt: skip
    """Rows of gex_profile_1s from window `start` on; returns the first window that found no room for its
    flips.

    strikes int64[k] ascending; expiration int64[g], strike_of int32[g]: of the series of the whole chain.
    vol, net_weight, flow_weight float64[w, g]; call_abs, put_abs float64[w, k]. out float64[10, w]: call,
    put, net, centre, top call strike, top put strike, three conventions' nets: calls minus puts, short all,
    flow; one spare. flip_end int32[w + 1] offsets into flips. terms float64[6, >= g], scratch, whose last row
    holds ln K of each strike.
    """
    n_strikes = strikes.shape[0]
    for k in range(n_strikes):
        terms[5, k] = math.log(strikes[k] / PRICES_PER_POINT)
    for w in range(start, ends.shape[0]):
        for c in range(10):
            out[c, w] = 0.0
        at = np.int64(flip_end[w])
        flip_end[w + 1] = at
        spot = spots[w]
        if spot <= 0:
            continue
        forward = spot / PRICES_PER_POINT
        calls = puts = moment = mass = flow = 0.0
        top_call = top_put = 0.0
        for k in range(n_strikes):
            call, put = call_abs[w, k], put_abs[w, k]
            strike = strikes[k] / PRICES_PER_POINT
            calls += call
            puts += put
            moment += abs(call - put) * strike
            mass += abs(call - put)
            if call > top_call:
                top_call = call
                out[4, w] = strike
            if put > top_put:
                top_put = put
                out[5, w] = strike
        n = np.int64(0)
        narrowest = np.inf
        heights = steepness = 0.0
        discount = 1.0
        root = 0.0
        last_expiration = np.int64(-1)
        for g in range(expiration.shape[0]):
            v = vol[w, g]
            if v <= 0.0:
                continue
            if expiration[g] != last_expiration:
                last_expiration = expiration[g]
                years = (last_expiration - ends[w]) / NS_PER_YEAR
                discount = math.exp(-rate * years)
                root = math.sqrt(years)
            s = v * root
            strike = strikes[strike_of[g]] / PRICES_PER_POINT
            d1 = math.log(forward / strike) / s + 0.5 * s
            flow += (
                flow_weight[w, g]
                * discount
                * math.exp(-0.5 * d1 * d1)
                * _ONE_OVER_SQRT_TWO_PI
                / (forward * s)
            )
            if net_weight[w, g] != 0.0:
                terms[0, n] = terms[5, strike_of[g]]
                terms[1, n] = 0.5 * s
                terms[2, n] = 1.0 / s
                terms[3, n] = net_weight[w, g] * discount
                narrowest = min(narrowest, s)
                heights += abs(terms[3, n]) / s
                steepness += abs(terms[3, n]) / (s * s)
                n += 1
        out[0, w] = calls
        out[1, w] = puts
        out[2, w] = calls - puts
        out[3, w] = moment / mass if mass > 0.0 else 0.0
        out[6, w] = calls - puts
        out[7, w] = -(calls + puts)
        out[8, w] = flow
        if n == 0:
            continue
        lowest = max(forward - REACH_POINTS, 1e-6)
        highest = forward + REACH_POINTS
        cells = np.int64(min(max((highest - lowest) / (0.5 * narrowest * forward), 32.0), 20_000.0))
        step = (highest - lowest) / cells
        steepest = _STEEPEST * steepness / lowest
        slack = 1e-9 * heights
        x0 = lowest
        y0, d0 = _signs_of_net_gamma(x0, n, terms)
        if y0 == 0.0:
            flips[at] = x0
            at += 1
        for c in range(cells):
            if at + 3 > flips.shape[0]:
                return w
            x1 = highest if c == cells - 1 else lowest + (c + 1) * step
            y1, d1 = _signs_of_net_gamma(x1, n, terms)
            if y1 == 0.0:
                flips[at] = x1
                at += 1
            elif y0 != 0.0:
                if (y0 > 0.0) != (y1 > 0.0):
                    flips[at] = _root_between(x0, x1, y0, n, terms)
                    at += 1
                elif d0 * y0 < 0.0 and d1 * y0 > 0.0:
                    middle = _turning_point(x0, x1, y0, n, terms, steepest, slack)
                    if middle > 0.0:
                        flips[at] = _root_between(x0, middle, y0, n, terms)
                        flips[at + 1] = _root_between(middle, x1, -y0, n, terms)
                        at += 2
            x0, y0, d0 = x1, y1, d1
        flip_end[w + 1] = at
    return ends.shape[0]
