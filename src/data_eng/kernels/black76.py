"""Black-76 in compiled code: price, implied volatility by a bracketed solver, Greeks (spec 7.2).

    d1 = (ln(F/K) + v^2 T/2) / (v sqrt T), d2 = d1 - v sqrt T, D = exp(-rT)
    C = D (F N(d1) - K N(d2)), P = D (K N(-d2) - F N(-d1))
    gamma = D phi(d1) / (F v sqrt T), vega = D F phi(d1) sqrt T, delta = D N(d1) or -D N(-d1)

The solver works on what the price leaves above intrinsic value: undiscounted, that is the price p of the
out-of-the-money option of the strike (parity). With s = v sqrt T, a = -|ln(F/K)| and p = sqrt(FK) b(s),

    b(s) = e^(a/2) N(a/s + s/2) - e^(-a/2) N(a/s - s/2),    b'(s) = phi(sqrt(a^2/s^2 + s^2/4)),

which rises strictly from 0 to e^(a/2). The root of ln b(s) = ln(b wanted) is found by Halley steps (third
order) inside a bracket that every value narrows; a step that leaves it is replaced by the geometric middle.
So it cannot diverge, wherever it starts: three bare Newton steps on the price miss by 5-7 % near the peak of
gamma (spec 14). A step below 3e-6 of s ends it; what then is left is rounding.
"""

from __future__ import annotations

import math

import numba as nb

from data_eng.kernels.jit import inner, njit

V_LOW, V_HIGH = 1e-6, 5.0
"""bracket of the volatility (spec 7.2)"""
SOLVED, BELOW_INTRINSIC, NO_ROOT = range(3)
_SQRT_HALF = math.sqrt(0.5)
_SQRT_TWO_PI = math.sqrt(2.0 * math.pi)
_ONE_OVER_SQRT_TWO_PI = 1.0 / _SQRT_TWO_PI
_LAST_STEP = 3e-6
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
    return math.exp(-0.5 * (ratio * ratio + 0.25 * s * s)) * _ONE_OVER_SQRT_TWO_PI


@inner(_F8(_F8, _F8, _F8, _F8, _F8, _F8))
def implied_total_vol(wanted, a, half, low, high, guess):
    """s in [low, high] with b(s) = wanted > 0, or -1 when there is none. guess <= 0: start from a formula."""
    if wanted >= half:
        return -1.0
    s = guess
    if not low < s < high:
        # exact at the money, and the leading term far from it
        s = wanted * _SQRT_TWO_PI - a / math.sqrt(-2.0 * math.log(wanted))
        s = min(max(s, 1.001 * low), 0.999 * high)
    ln_wanted = math.log(wanted)
    lo, hi = low, high
    low_is_checked = high_is_checked = False
    for _ in range(_MOST_STEPS):
        b = scaled_value(a, half, s)
        new = -1.0
        if b > 0.0:
            slope = scaled_slope(a, s) / b
            error = math.log(b) - ln_wanted
            if error > 0.0:
                hi = s
            elif error < 0.0:
                lo = s
            else:
                return s
            if slope > 0.0:
                newton = -error / slope
                bend = a * a / (s * s * s) - 0.25 * s - slope
                step = newton / max(1.0 + 0.5 * newton * bend, 0.25)
                new = s + step
                if abs(step) <= _LAST_STEP * s and low <= new <= high:
                    return new
        else:
            lo = s
        if not lo < new < hi:
            if lo == low and not low_is_checked:
                low_is_checked = True
                if scaled_value(a, half, low) > wanted:
                    return -1.0
            if hi == high and not high_is_checked:
                high_is_checked = True
                if scaled_value(a, half, high) < wanted:
                    return -1.0
            new = math.sqrt(lo) * math.sqrt(hi)
            if not lo < new < hi:
                return s
        s = new
    return s


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
    s = implied_total_vol(wanted, a, math.exp(0.5 * a), V_LOW * root, V_HIGH * root, guess * root)
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
        density = discount * math.exp(-0.5 * d1 * d1) * _ONE_OVER_SQRT_TWO_PI
        out[i, 0] = price(right[i], forward[i], strike[i], years[i], vol[i], rate)
        out[i, 1] = discount * normal_cdf(d1) if right[i] == 0 else -discount * normal_cdf(-d1)
        out[i, 2] = density / (forward[i] * s)
        out[i, 3] = density * forward[i] * root
