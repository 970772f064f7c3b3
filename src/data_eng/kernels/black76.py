"""Black-76 in compiled code: price, implied volatility by a bracketed solver, Greeks (spec 7.2).

    d1 = (ln(F/K) + v^2 T/2) / (v sqrt T), d2 = d1 - v sqrt T, D = exp(-rT)
    C = D (F N(d1) - K N(d2)), P = D (K N(-d2) - F N(-d1))
    gamma = D phi(d1) / (F v sqrt T), vega = D F phi(d1) sqrt T, delta = D N(d1) or -D N(-d1)

The solver works on what the price leaves above intrinsic value: undiscounted, that is the price p of the
out-of-the-money option of the strike (parity). With s = v sqrt T, a = -|ln(F/K)| and p = sqrt(FK) b(s),

    b(s) = e^(a/2) N(a/s + s/2) - e^(-a/2) N(a/s - s/2),    b'(s) = phi(sqrt(a^2/s^2 + s^2/4)),

which rises strictly from 0 to e^(a/2). With t = -a/s, h = s/2 and Mills' ratio M(t) = N(-t)/phi(t) both terms
of b have the factor b' (Jaeckel 2015, "Let's be rational"), and what is left is a series in h:

    b(s)/b'(s) = M(t - h) - M(t + h) = -2 h (M'(t) + h^2/6 M^(3)(t) + h^4/120 M^(5)(t) + ...)

so for a chain near its expiration neither error function nor difference is needed. The root of ln b(s) = ln(b
wanted) is found by Householder's steps (fourth order) inside a bracket that every value narrows; a step that
leaves it is replaced by the geometric middle. So it cannot diverge, wherever it starts: three bare Newton
steps on the price miss by 5-7 % near the peak of gamma (spec 14). A step of r s leaves an error of some r^4/8
of s: one below 4e-4 ends it, what then is left is rounding.
"""

from __future__ import annotations

import math

import numba as nb

from data_eng.kernels.jit import inner, njit
from data_eng.kernels.vector_math import LARGEST_T, ONE_OVER_SQRT_TWO_PI, log_of, mills

V_LOW, V_HIGH = 1e-6, 5.0
"""bracket of the volatility (spec 7.2)"""
SOLVED, BELOW_INTRINSIC, NO_ROOT = range(3)
_SQRT_HALF = math.sqrt(0.5)
_SQRT_TWO_PI = math.sqrt(2.0 * math.pi)
LAST_STEP = 4e-4
NARROW = 0.25
"""largest s for which the series in h is exact; with t up to `LARGEST_T`"""
_MOST_STEPS = 100
_F8 = nb.types.float64


@njit(forceinline=True)
def normal_cdf(x):
    """N(x) of the standard normal distribution."""
    return 0.5 * math.erfc(-x * _SQRT_HALF)


@njit(forceinline=True)
def scaled_value(a, half, s):
    """b(s); half = e^(a/2), a <= 0, s > 0."""
    ratio = a / s
    return half * normal_cdf(ratio + 0.5 * s) - normal_cdf(ratio - 0.5 * s) / half


@njit(forceinline=True)
def scaled_slope(a, s):
    """b'(s)."""
    ratio = a / s
    return math.exp(-0.5 * (ratio * ratio + 0.25 * s * s)) * ONE_OVER_SQRT_TWO_PI


@njit(forceinline=True)
def value_over_slope(t, h):
    """(b/b', M(t)) for s <= `NARROW` and t <= `LARGEST_T`.

    Derivatives of M follow M' = t M - 1, so the odd ones are polynomials of t times M and 1 - t M. What the
    two products have in common cancels; the power of h before it is smaller. Terms from h^13 on are below
    1e-16 of the first.
    """
    p0, p1 = mills(t)
    w = t * t
    q = h * h
    # the factors of 1 - t M and of t M in the derivatives, over 3!, 5!, 7!, 9! and 11!, from the last to the
    # first
    of_p1 = (3840.0 + w * (12645.0 + w * (6090.0 + w * (938.0 + w * (54.0 + w))))) * (1.0 / 39916800.0)
    of_p1 = (384.0 + w * (975.0 + w * (345.0 + w * (35.0 + w)))) * (1.0 / 362880.0) + q * of_p1
    of_p1 = (48.0 + w * (87.0 + w * (20.0 + w))) * (1.0 / 5040.0) + q * of_p1
    of_p1 = (8.0 + w * (9.0 + w)) * (1.0 / 120.0) + q * of_p1
    of_p1 = (2.0 + w) * (1.0 / 6.0) + q * of_p1
    of_p0 = (6555.0 + w * (4680.0 + w * (840.0 + w * (52.0 + w)))) * (1.0 / 39916800.0)
    of_p0 = (561.0 + w * (285.0 + w * (33.0 + w))) * (1.0 / 362880.0) + q * of_p0
    of_p0 = (57.0 + w * (18.0 + w)) * (1.0 / 5040.0) + q * of_p0
    of_p0 = (7.0 + w) * (1.0 / 120.0) + q * of_p0
    of_p0 = (1.0 / 6.0) + q * of_p0
    return 2.0 * h * (p1 + q * (p1 * of_p1 - t * p0 * of_p0)), p0


@njit(forceinline=True)
def log_value_error(over_slope, wanted, t, s):
    """ln b(s) - ln wanted, from b/b' at s."""
    return log_of(over_slope * (ONE_OVER_SQRT_TWO_PI / wanted)) - 0.5 * (t * t + 0.25 * s * s)


@njit(forceinline=True)
def householder_step(error, over_slope, t, s):
    """The change of s that takes ln b to its root, of fourth order; Newton's where that one is far away."""
    newton = -error * over_slope
    # of f = ln b, n being Newton's step: second is n times its 2nd derivative over its 1st, third n^2 times
    # its 3rd
    over_s = 1.0 / s
    turn = t * t * over_s
    bend = newton * (turn - 0.25 * s)
    second = bend + error
    third = bend * (bend + 3.0 * error) + 2.0 * error * error - newton * newton * (3.0 * turn * over_s + 0.25)
    below = 1.0 + second + third * (1.0 / 6.0)
    step = newton * (1.0 + 0.5 * second) / below
    return step if below > 0.25 else newton


@inner(nb.types.UniTuple(_F8, 2)(_F8, _F8, _F8, _F8, _F8))
def implied_total_vol(wanted, a, low, high, guess):
    """(s, M(t)) with s in [low, high] and b(s) = wanted > 0, or s = -1 when there is none.

    guess <= 0: start from a formula. M(t) is that of the last s looked at, 0 where the series does not hold.
    """
    if wanted >= 1.0 + 0.5 * a and wanted >= math.exp(0.5 * a):  # first a bound that most prices are far from
        return -1.0, 0.0
    s = guess
    if not low < s < high:
        # exact at the money, and the leading term far from it
        s = wanted * _SQRT_TWO_PI - a / math.sqrt(-2.0 * math.log(wanted))
        s = min(max(s, 1.001 * low), 0.999 * high)
    lo, hi = low, high
    low_is_checked = high_is_checked = False
    ratio = 0.0
    for _ in range(_MOST_STEPS):
        t = -a / s
        new = -1.0
        over_slope = 0.0
        error = -math.inf
        if s <= NARROW and t <= LARGEST_T:
            over_slope, ratio = value_over_slope(t, 0.5 * s)
            error = log_value_error(over_slope, wanted, t, s)
        else:
            b = scaled_value(a, math.exp(0.5 * a), s)
            ratio = 0.0
            if b > 0.0:
                over_slope = b / scaled_slope(a, s)
                error = math.log(b / wanted)
        if error > 0.0:
            hi = s
        elif error < 0.0:
            lo = s
        else:
            return s, ratio
        if 0.0 < over_slope < math.inf:
            step = householder_step(error, over_slope, t, s)
            new = s + step
            if abs(step) <= LAST_STEP * s and low <= new <= high:
                return new, ratio
        if not lo < new < hi:
            if lo == low and not low_is_checked:
                low_is_checked = True
                if scaled_value(a, math.exp(0.5 * a), low) > wanted:
                    return -1.0, 0.0
            if hi == high and not high_is_checked:
                high_is_checked = True
                if scaled_value(a, math.exp(0.5 * a), high) < wanted:
                    return -1.0, 0.0
            new = math.sqrt(lo) * math.sqrt(hi)
            if not lo < new < hi:
                return s, ratio
        s = new
    return s, ratio


@njit(forceinline=True)
def time_value(right, mid, discount, forward, strike):
    """What the undiscounted price leaves above intrinsic value; 0 or less when there is nothing to solve."""
    inner = max(forward - strike if right == 0 else strike - forward, 0.0)
    if mid <= discount * inner:
        return 0.0
    return mid / discount - inner


@njit(forceinline=True)
def price(right, forward, strike, years, vol, rate):
    """Price in points; right 0 call, 1 put."""
    s = vol * math.sqrt(years)
    d1 = math.log(forward / strike) / s + 0.5 * s
    d2 = d1 - s
    discount = math.exp(-rate * years)
    if right == 0:
        return discount * (forward * normal_cdf(d1) - strike * normal_cdf(d2))
    return discount * (strike * normal_cdf(-d2) - forward * normal_cdf(-d1))


@njit(forceinline=True)
def implied_vol(right, mid, forward, strike, years, rate, guess):
    """(volatility, SOLVED), or (0, BELOW_INTRINSIC or NO_ROOT). guess: a volatility to start from, 0 =
    none."""
    discount = math.exp(-rate * years)
    above = time_value(right, mid, discount, forward, strike)
    inner = max(forward - strike if right == 0 else strike - forward, 0.0)
    if mid <= discount * inner:
        return 0.0, BELOW_INTRINSIC
    if not above > 0.0:
        return 0.0, NO_ROOT
    root = math.sqrt(years)
    a = -abs(math.log(forward / strike))
    wanted = above / math.sqrt(forward * strike)
    s, _ = implied_total_vol(wanted, a, V_LOW * root, V_HIGH * root, guess * root)
    if s < 0.0:
        return 0.0, NO_ROOT
    return s / root, SOLVED


# the two loops are for callers outside the chain, and compiled when one calls


@njit(nogil=True)
def implied_vols(right, mid, forward, strike, years, rate, guess, out, status):
    """right int8[n]; mid, forward, strike, years, guess float64[n] -> out float64[n], status int8[n]."""
    for i in range(right.shape[0]):
        vol, code = implied_vol(right[i], mid[i], forward[i], strike[i], years[i], rate, guess[i])
        out[i] = vol
        status[i] = code


@njit(nogil=True)
def values(right, forward, strike, years, vol, rate, out):
    """Price, delta, gamma, vega of n options -> out float64[n, 4]; vega per 1.00 of volatility."""
    for i in range(right.shape[0]):
        root = math.sqrt(years[i])
        s = vol[i] * root
        d1 = math.log(forward[i] / strike[i]) / s + 0.5 * s
        discount = math.exp(-rate * years[i])
        density = discount * math.exp(-0.5 * d1 * d1) * ONE_OVER_SQRT_TWO_PI
        out[i, 0] = price(right[i], forward[i], strike[i], years[i], vol[i], rate)
        out[i, 1] = discount * normal_cdf(d1) if right[i] == 0 else -discount * normal_cdf(-d1)
        out[i, 2] = density / (forward[i] * s)
        out[i, 3] = density * forward[i] * root
