"""One volatility per (window, strike, expiration) from the mids of a chain (spec 7.2).

A series is the options of one strike and expiration; they share one volatility. Its last solution is kept as
an anchor. While mid and forward stand, only exp(rT) moves the value solved for, by some 1e-9 of itself a
second: the anchor's tangent then gives s = v sqrt T to 1e-13, and nothing is solved. Where they moved, the
anchor says to first order where to, and one step from there is nearly always the last.

All of this is arithmetic without a branch, done for all series of a window in short loops, so that a vector
unit works on several at once. What one step does not end, or what has no solution, goes one by one through
the bracketed solver.
"""

from __future__ import annotations

import math

import numpy as np

from data_eng.kernels.black76 import (
    LAST_STEP,
    NARROW,
    V_HIGH,
    V_LOW,
    householder_step,
    implied_total_vol,
    log_value_error,
    time_value,
    value_over_slope,
)
from data_eng.kernels.jit import njit
from data_eng.kernels.option_layout import CALL, PUT
from data_eng.kernels.vector_math import LARGEST_T, ONE_OVER_SQRT_TWO_PI, exp_of, log_of, mills
from data_eng.units import PRICES_PER_POINT

R_OK, R_ONE_SIDED, R_CROSSED, R_BELOW_INTRINSIC, R_NO_ROOT, R_EXPIRED, R_NO_OI, R_NO_BOOK = range(8)
"""reasons, in the order of `schema.silver_option.QUOTE_REASONS`"""
BY_SPOT, BY_MID = np.int64(0), np.int64(1)
"""which anchor"""
NS_PER_YEAR = 86_400e9 * 365
TANGENT_REACH = 2e-7
"""largest relative change of the value solved for that the anchor's tangent is trusted with"""
NO_VALUE = -1.0
LANES = 16
"""series are padded to a multiple of this, so that no loop over them has a remainder"""
_SAFE_EXPONENT = 690.0
"""e to this power is far from overflow"""
_MID_SUM_PER_POINT = 2.0 * PRICES_PER_POINT

A_OPTION, A_TOTAL, A_FORWARD, A_WANTED, A_S, A_A, A_TANGENT, A_MILLS = range(8)
"""an anchor: option (-1 = none), its bid + ask, forward, value solved for, s, a, ds by value, -ds by a"""
ANCHOR_ROWS = 8
(
    W_STRIKE,  # of the series, points
    W_DISCOUNT,
    W_ROOT,  # sqrt T
    W_OPTION,  # the option asked
    W_TOTAL,  # its bid + ask, 0 = there is none
    W_SIGN,  # 1 call, -1 put
    W_WANTED,  # value to solve for, 0 or less = there is none
    W_WHY,  # there is none
    W_A,
    W_GUESS,
    W_NEW,  # where one step leads
    W_REACHED,  # whether that is the solution
    W_MILLS,
    W_S,
    W_CODE,  # how it was found
    W_TANGENT,
    W_D1,
    W_DENSITY,
    W_TAIL,
) = range(19)
"""scratch of a window, by series"""
WORK_ROWS = 19
_BELOW_INTRINSIC, _NO_TIME_VALUE, _ALONG_TANGENT, _STEPPED, _NOT_THERE = 0.0, 1.0, 2.0, 3.0, 4.0


@njit(forceinline=True)
def _lanes(low, high):
    """(first, number) of the series around low <= g < high that fill whole vectors."""
    begin = low // LANES * LANES
    return np.uint64(begin), (high - begin + LANES - 1) // LANES * LANES if high > low else np.int64(0)


@njit(forceinline=True)
def _asks(work, n, start, forward):
    """Value to solve for and a = -|ln(F/K)| of n series."""
    for j in range(n):
        g = start + np.uint64(j)
        strike, sign = work[W_STRIKE, g], work[W_SIGN, g]
        inner = max(sign * (forward - strike), 0.0)
        mid = work[W_TOTAL, g] / _MID_SUM_PER_POINT
        above = mid / work[W_DISCOUNT, g] - inner
        is_above = mid > work[W_DISCOUNT, g] * inner
        work[W_WHY, g] = _NO_TIME_VALUE if is_above else _BELOW_INTRINSIC
        work[W_WANTED, g] = above / math.sqrt(forward * strike) if is_above & (above > 0.0) else 0.0
        work[W_A, g] = -abs(log_of(forward / strike))


@njit(forceinline=True)
def _guess(anchors, which, g, wanted, a):
    """s where the changes of both arguments lead from the anchor, to first order; useless without one."""
    ratio = wanted / anchors[which, A_WANTED, g]
    change = log_of(ratio) * (anchors[which, A_WANTED, g] * anchors[which, A_TANGENT, g])
    turn = (a - anchors[which, A_A, g]) * anchors[which, A_MILLS, g]
    return anchors[which, A_S, g] + change - turn


@njit(forceinline=True)
def _guesses(anchors, which, work, n, start):
    """`_guess` of n series."""
    for j in range(n):
        g = start + np.uint64(j)
        work[W_GUESS, g] = _guess(anchors, which, g, work[W_WANTED, g], work[W_A, g])


@njit(forceinline=True)
def _steps(work, n, start):
    """One step of the solver from each guess, and whether it is the last."""
    for j in range(n):
        g = start + np.uint64(j)
        s, wanted = work[W_GUESS, g], work[W_WANTED, g]
        t = -work[W_A, g] / s
        over_slope, mills_ratio = value_over_slope(t, 0.5 * s)
        step = householder_step(log_value_error(over_slope, wanted, t, s), over_slope, t, s)
        new = s + step
        root = work[W_ROOT, g]
        there = (s > 0.0) & (s <= NARROW) & (t <= LARGEST_T) & (abs(step) <= LAST_STEP * s)
        there = there & (new >= V_LOW * root) & (new <= V_HIGH * root)
        work[W_REACHED, g] = _STEPPED if there else _NOT_THERE
        work[W_MILLS, g] = mills_ratio
        work[W_NEW, g] = new


@njit(forceinline=True)
def _choose(anchors, which, work, n, start, forward):
    """s of each series: along the tangent where mid and forward stand, else where the step led."""
    for j in range(n):
        g = start + np.uint64(j)
        wanted = work[W_WANTED, g]
        change = wanted - anchors[which, A_WANTED, g]
        along = anchors[which, A_S, g] + change * anchors[which, A_TANGENT, g]
        same = (anchors[which, A_OPTION, g] == work[W_OPTION, g]) & (
            anchors[which, A_TOTAL, g] == work[W_TOTAL, g]
        )
        same = same & (anchors[which, A_FORWARD, g] == forward) & (abs(change) <= TANGENT_REACH * wanted)
        root = work[W_ROOT, g]
        same = same & (along >= V_LOW * root) & (along <= V_HIGH * root)
        work[W_S, g] = along if same else work[W_NEW, g]
        code = _ALONG_TANGENT if same else work[W_REACHED, g]
        work[W_CODE, g] = code if wanted > 0.0 else work[W_WHY, g]


@njit(forceinline=True)
def _step_again(e, low, high):
    """A second step of the series that one did not bring there, side by side."""
    work, again = e.work, e.again
    n = np.int64(0)
    for g in range(low, high):
        if work[W_CODE, g] == _NOT_THERE:
            e.queue[n] = g
            for row in (W_WANTED, W_A, W_ROOT):
                again[row, n] = work[row, g]
            again[W_GUESS, n] = work[W_S, g]
            n += 1
    _steps(again, (n + LANES - 1) // LANES * LANES, np.uint64(0))
    for j in range(n):
        if again[W_REACHED, j] == _STEPPED:
            place = np.int64(e.queue[j])
            work[W_CODE, place] = _STEPPED
            work[W_S, place] = again[W_NEW, j]
            work[W_MILLS, place] = again[W_MILLS, j]


@njit(forceinline=True)
def _tangents(work, n, start):
    """ds by the value, 1 / b'(s), at each s."""
    for j in range(n):
        g = start + np.uint64(j)
        s = work[W_S, g]
        t = work[W_A, g] / s
        work[W_TANGENT, g] = exp_of(0.5 * (t * t + 0.25 * s * s)) / ONE_OVER_SQRT_TWO_PI


@njit(forceinline=True)
def _set_anchor(anchors, which, g, option, total, forward, wanted, a, s, tangent, mills_ratio):
    anchors[which, A_OPTION, g] = option
    anchors[which, A_TOTAL, g] = total
    anchors[which, A_FORWARD, g] = forward
    anchors[which, A_WANTED, g] = wanted
    anchors[which, A_S, g] = s
    anchors[which, A_A, g] = a
    anchors[which, A_TANGENT, g] = tangent
    anchors[which, A_MILLS, g] = mills_ratio


@njit(forceinline=True)
def _drop_anchor(anchors, which, g):
    """No option, and a guess that the solver does not take."""
    _set_anchor(anchors, which, g, -1.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0)


@njit()
def _series_vol(anchors, status, which, g, right, strike, forward, discount, root, option, total):
    """Volatility of a series from the mid of one option, or NO_VALUE; status tells why, for F = spot."""
    mid = total / _MID_SUM_PER_POINT
    above = time_value(right, mid, discount, forward, strike)
    if not above > 0.0:
        inner = forward - strike if right == CALL else strike - forward
        if which == BY_SPOT:
            status[option] = R_BELOW_INTRINSIC if mid <= discount * max(inner, 0.0) else R_NO_ROOT
        return NO_VALUE
    wanted = above / math.sqrt(forward * strike)
    a = -abs(log_of(forward / strike))
    guess = _guess(anchors, which, g, wanted, a)
    s, mills_ratio = implied_total_vol(wanted, a, V_LOW * root, V_HIGH * root, guess)
    if s < 0.0:
        if which == BY_SPOT:
            status[option] = R_NO_ROOT
        _drop_anchor(anchors, which, g)
        return NO_VALUE
    t = a / s
    exponent = 0.5 * (t * t + 0.25 * s * s)
    known = float(option) if exponent < _SAFE_EXPONENT else -1.0
    tangent = exp_of(min(exponent, _SAFE_EXPONENT)) / ONE_OVER_SQRT_TWO_PI
    _set_anchor(anchors, which, g, known, float(total), forward, wanted, a, s, tangent, mills_ratio)
    return s / root


@njit()
def _first_vol(e, mids, w, which, g, forward):
    """The first volatility among the options of a series that carry weight: out of the money first."""
    strike = e.work[W_STRIKE, g]
    first_right = CALL if strike >= forward else PUT
    vol = NO_VALUE
    for turn in range(2):
        right = first_right if turn == 0 else 1 - first_right
        for m in range(e.first[g], e.first[g + 1]):
            option = e.member[m]
            total = mids[w, e.column[option]]
            if vol < 0.0 and e.right[option] == right and e.interest[option] > 0.0 and total > 0:
                vol = _series_vol(
                    e.anchors, e.status, which, g, right, strike, forward, e.work[W_DISCOUNT, g],
                    e.work[W_ROOT, g], option, total,
                )  # fmt: skip
    return vol


@njit(forceinline=True)
def _is_asked(e, mids, w, option):
    return e.interest[option] > 0.0 and mids[w, e.column[option]] > 0


@njit(forceinline=True)
def _is_last(e, g, option, forward):
    """Whether `_first_vol` asks no other option after this one."""
    first_right = CALL if e.work[W_STRIKE, g] >= forward else PUT
    return e.pair[CALL, g] >= 0 and e.right[option] != first_right


@njit(forceinline=True)
def _first_option(e, mids, w, g, first_right):
    """The option that `_first_vol` asks first, -1 when there is none."""
    option = np.int64(e.pair[first_right, g])
    if option >= 0:
        if _is_asked(e, mids, w, option):
            return option
        option = np.int64(e.pair[1 - first_right, g])
        return option if _is_asked(e, mids, w, option) else np.int64(-1)
    for turn in range(2):
        right = first_right if turn == 0 else 1 - first_right
        for m in range(e.first[g], e.first[g + 1]):
            option = np.int64(e.member[m])
            if e.right[option] == right and _is_asked(e, mids, w, option):
                return option
    return np.int64(-1)


@njit()
def _series_vols(e, mids, w, which, low, high, end, forward, rate, vol, row):
    """vol[row, g] of the series low <= g < high at one forward; NO_VALUE where there is none."""
    work, anchors = e.work, e.anchors
    start, n = _lanes(low, high)
    for j in range(n):
        work[W_TOTAL, start + np.uint64(j)] = 0.0
    discount = 1.0
    root = 0.0
    last_expiration = np.int64(-1)
    for g in range(low, high):
        expiration = e.series_expiration[g]
        if expiration <= end:
            continue
        if expiration != last_expiration:
            years = (expiration - end) / NS_PER_YEAR
            discount = math.exp(-rate * years)
            root = math.sqrt(years)
            last_expiration = expiration
        work[W_DISCOUNT, g] = discount
        work[W_ROOT, g] = root
        option = _first_option(e, mids, w, g, CALL if work[W_STRIKE, g] >= forward else PUT)
        if option >= 0:
            work[W_OPTION, g] = option
            work[W_TOTAL, g] = mids[w, e.column[option]]
            work[W_SIGN, g] = 1.0 if e.right[option] == CALL else -1.0
    _asks(work, n, start, forward)
    # the wings have no value to solve for: there the only mid is that of an option deep in the money
    first, last = low, high
    while first < last and work[W_WANTED, first] <= 0.0:
        work[W_CODE, first] = work[W_WHY, first]
        first += 1
    while first < last and work[W_WANTED, last - 1] <= 0.0:
        last -= 1
        work[W_CODE, last] = work[W_WHY, last]
    start, n = _lanes(first, last)
    _guesses(anchors, which, work, n, start)
    _steps(work, n, start)
    _choose(anchors, which, work, n, start, forward)
    _step_again(e, first, last)
    _tangents(work, n, start)
    for g in range(low, high):
        code = work[W_CODE, g]
        s = work[W_S, g]
        vol[row, g] = NO_VALUE
        if code == _ALONG_TANGENT:
            vol[row, g] = s / work[W_ROOT, g]
        elif code == _STEPPED:
            vol[row, g] = s / work[W_ROOT, g]
            _set_anchor(
                anchors, which, g, work[W_OPTION, g], work[W_TOTAL, g], forward, work[W_WANTED, g],
                work[W_A, g], s, work[W_TANGENT, g], work[W_MILLS, g],
            )  # fmt: skip
        elif work[W_TOTAL, g] > 0.0:
            option = np.int64(work[W_OPTION, g])
            if code != _NOT_THERE and _is_last(e, g, option, forward):
                if which == BY_SPOT:
                    e.status[option] = R_BELOW_INTRINSIC if code == _BELOW_INTRINSIC else R_NO_ROOT
            else:
                vol[row, g] = _first_vol(e, mids, w, which, g, forward)


@njit(forceinline=True)
def _densities(work, low, high, forward):
    """d1, phi(d1) and N(-|d1|) of series at their s; the last is good to 1e-15 beyond `LARGEST_T`."""
    start, n = _lanes(low, high)
    for j in range(n):
        g = start + np.uint64(j)
        s = work[W_S, g]
        d1 = log_of(forward / work[W_STRIKE, g]) / s + 0.5 * s
        phi = exp_of(-0.5 * d1 * d1) * ONE_OVER_SQRT_TWO_PI
        mills_ratio, _ = mills(abs(d1))
        work[W_D1, g] = d1
        work[W_DENSITY, g] = phi
        work[W_TAIL, g] = phi * mills_ratio
