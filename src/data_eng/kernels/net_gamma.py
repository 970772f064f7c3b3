"""All roots of the net gamma of a chain as a function of a hypothetical spot (spec 7.4).

Works on all strikes together, in strike order, whatever shards they came from. A rough sum in eight lanes
tells the sign of the net gamma on a grid; where it cannot, and for the roots themselves, an exact one is
taken.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from data_eng.kernels.bits import bits_of_float32, bits_of_float64, float32_of_bits, float64_of_bits
from data_eng.kernels.jit import njit
from data_eng.kernels.series_vols import NS_PER_YEAR
from data_eng.kernels.vector_math import exp_of
from data_eng.units import PRICES_PER_POINT


def two_to_the() -> list[float]:
    """Coefficients of a polynomial that is 2^f for -1 <= f <= 0 but for some 2e-7.

    The one through its values at the six Chebyshev points.
    """
    f = -0.5 + 0.5 * np.cos(np.pi * (np.arange(6) + 0.5) / 6)
    return [float(c) for c in np.linalg.solve(np.vander(f, increasing=True), np.exp2(f))]


REACH_POINTS = 150.0
_ROUGH = 1e-4
"""share of the sum of absolute terms above which the sign of a rough sum is certain, while no s is small"""
_STRETCH = math.sqrt(0.5 / math.log(2.0))
"""e^(-d^2 / 2) is 2^(-(d x _STRETCH)^2)"""
_F4_UNSTRETCH = np.float32(1.0 / _STRETCH**2)
_F4_ZERO, _F4_ONE = np.float32(0.0), np.float32(1.0)
_I4_HUGE, _I8_HUGE = np.int32(2**31 - 1), np.int64(2**63 - 1)
_F4_LOWEST = np.float32(-64.0)
_P0, _P1, _P2, _P3, _P4, _P5 = (np.float32(c) for c in two_to_the())
_STEEPEST = 0.6066
"""above e^(-1/2), the largest slope of e^(-x^2 / 2)"""


def _array(kind, ndim):
    return nb.types.Array(kind, ndim, "C")


_I4, _I8, _F8 = nb.types.int32, nb.types.int64, nb.types.float64


@njit()
def _net_gamma(at, n, terms):
    """(G, dG/dF) at the spot `at`, both times one positive factor: signs and roots are those of G.

    terms float64[8, >= n]: ln K, s/2, 1/s and weight of each series; the other rows are scratch. Only terms
    within e^-45 of the largest count, so that nothing underflows however narrow the peaks are. Terms are made
    several at once, and added one after the other, so that the sum is the same on every machine.
    """
    x = math.log(at)
    least_bits = _I8_HUGE
    for i in range(n):
        d1 = (x - terms[0, i]) * terms[2, i] + terms[1, i]
        terms[4, i] = d1
        least_bits = min(least_bits, bits_of_float64(d1 * d1))
    largest = -0.5 * float64_of_bits(least_bits)
    for i in range(n):
        d1 = terms[4, i]
        exponent = -0.5 * d1 * d1 - largest
        term = terms[3, i] * exp_of(exponent) * terms[2, i] if exponent > -45.0 else 0.0
        terms[6, i] = term
        terms[7, i] = term * (d1 * terms[2, i] + 1.0)
    total = 0.0
    slope = 0.0
    for i in range(n):
        total += terms[6, i]
        slope -= terms[7, i]
    return total, slope / at


@njit()
def _round_off(terms, n, scale, rough):
    """Fill `rough` float32[5, >= max(n, 2)] from `terms` for `_rough_net_gamma`.

    Rows: of each series ln(K / scale), s/2 and 1/s, both times `_STRETCH`, weight/s. The last row holds two
    margins: shares of the sums of absolute terms above which the signs of G and of dG/dF are certain.
    ln(at/K) carries 6e-8 of numbers up to 0.05, d1 so much over s, and the exponent d1 (below 10) times as
    much; all other rounding, of up to 1,000 terms too, is below 6e-5.
    """
    log_scale = math.log(scale)
    steepest = 0.0
    for i in range(n):
        rough[0, i] = np.float32(terms[0, i] - log_scale)
        rough[1, i] = np.float32(terms[1, i] * _STRETCH)
        rough[2, i] = np.float32(terms[2, i] * _STRETCH)
        rough[3, i] = np.float32(terms[3, i] * terms[2, i])
        steepest = max(steepest, terms[2, i])
    rough[4, 0] = np.float32(_ROUGH + 6e-8 * steepest)
    rough[4, 1] = np.float32(_ROUGH + 6e-8 * steepest + 6e-9 * steepest * steepest)


@njit(fastmath=True)
def _rough_net_gamma(at, n, terms, rough, scale):
    """(G, dG/dF, floor): the signs of `_net_gamma`'s two values, 0 where not certain, and less than |G|.

    rough: as `_round_off` fills it. With d = d1 x `_STRETCH` the exponential is 2^(-d^2): its whole part goes
    into the bits of the number, the rest through a polynomial. No loop calls a function or waits for its last
    step, so eight terms run at once. floor is 0 or less, or less than |G| as it is without a common factor:
    sum of weight / s x e^(-d1^2 / 2).
    """
    x = np.float32(math.log(at / scale))
    least_bits = _I4_HUGE  # as numbers above 0 they keep their order, and min() of floats asks for NaN
    for i in range(n):
        d = (x - rough[0, i]) * rough[2, i] + rough[1, i]
        least_bits = min(least_bits, bits_of_float32(d * d))
    least = float32_of_bits(least_bits)
    total = _F4_ZERO
    slope = _F4_ZERO
    mass = _F4_ZERO
    steep = _F4_ZERO
    for i in range(n):
        d = (x - rough[0, i]) * rough[2, i] + rough[1, i]
        y = max(least - d * d, _F4_LOWEST)
        whole = np.int32(y)
        f = y - np.float32(whole)
        p = _P0 + f * (_P1 + f * (_P2 + f * (_P3 + f * (_P4 + f * _P5))))
        term = rough[3, i] * (p * float32_of_bits(np.int32((whole + np.int32(127)) << np.int32(23))))
        bend = d * rough[2, i] * _F4_UNSTRETCH
        total += term
        slope -= term * (bend + _F4_ONE)
        mass += abs(term)
        steep += abs(term) * (abs(bend) + _F4_ONE)
    margin = rough[4, 0]
    certain = np.float64(abs(total) - margin * mass)
    if certain <= 0.0:
        total = _F4_ZERO
    if abs(slope) <= rough[4, 1] * steep:
        slope = _F4_ZERO
    return np.float64(total), np.float64(slope), certain * math.exp(-(least + margin) / _F4_UNSTRETCH)


@njit(forceinline=True)
def _signs_of_net_gamma(at, n, terms, rough, scale):
    """(G, dG/dF) of which only the signs mean anything."""
    value, slope, _ = _rough_net_gamma(at, n, terms, rough, scale)
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
def _turning_point(lo, hi, sign, n, terms, rough, scale, steepest, slack):
    """A spot in (lo, hi), where G bends towards 0, at which it has the other sign, or 0 when it has not.

    steepest: G changes by no more than that per point, slack: nor does rounding by more, both without a
    common factor. Where this keeps G from 0 up to both ends, there is nothing to find.
    """
    for _ in range(60):
        at = 0.5 * (lo + hi)
        if not lo < at < hi:
            return 0.0
        value, slope, floor = _rough_net_gamma(at, n, terms, rough, scale)
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
        _array(_F8, 2), _array(_I4, 1), _array(_F8, 1), _array(_F8, 2), _array(nb.types.float32, 2),
    ),
    nogil=True,
)  # fmt: skip
def profile(
    ends, spots, strikes, expiration, strike_of, vol, net_weight, flow_gex, call_abs, put_abs, rate, start,
    out, flip_end, flips, terms, rough,
):  # fmt: skip
    """Rows of gex_profile_1s from window `start` on; returns the first window that found no room for its
    flips.

    strikes int64[k] ascending; expiration int64[g], strike_of int32[g]: of the series of the whole chain.
    vol, net_weight, flow_gex float64[w, g]; call_abs, put_abs float64[w, k]. out float64[10, w]: call,
    put, net, centre, top call strike, top put strike, three conventions' nets: calls minus puts, short all,
    flow; one spare. flip_end int32[w + 1] offsets into flips. terms float64[8, >= g], scratch, whose row 5
    holds ln K of each strike; rough float32[5, >= g], scratch, two columns at least.
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
            flow += flow_gex[w, g]
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
        _round_off(terms, n, forward, rough)
        lowest = max(forward - REACH_POINTS, 1e-6)
        highest = forward + REACH_POINTS
        cells = np.int64(min(max((highest - lowest) / (0.5 * narrowest * forward), 32.0), 20_000.0))
        step = (highest - lowest) / cells
        steepest = _STEEPEST * steepness / lowest
        slack = 1e-9 * heights
        x0 = lowest
        y0, d0 = _signs_of_net_gamma(x0, n, terms, rough, forward)
        if y0 == 0.0:
            flips[at] = x0
            at += 1
        for c in range(cells):
            if at + 3 > flips.shape[0]:
                return w
            x1 = highest if c == cells - 1 else lowest + (c + 1) * step
            y1, d1 = _signs_of_net_gamma(x1, n, terms, rough, forward)
            if y1 == 0.0:
                flips[at] = x1
                at += 1
            elif y0 != 0.0:
                if (y0 > 0.0) != (y1 > 0.0):
                    flips[at] = _root_between(x0, x1, y0, n, terms)
                    at += 1
                elif d0 * y0 < 0.0 and d1 * y0 > 0.0:
                    middle = _turning_point(x0, x1, y0, n, terms, rough, forward, steepest, slack)
                    if middle > 0.0:
                        flips[at] = _root_between(x0, middle, y0, n, terms)
                        flips[at + 1] = _root_between(middle, x1, -y0, n, terms)
                        at += 2
            x0, y0, d0 = x1, y1, d1
        flip_end[w + 1] = at
    return ends.shape[0]
