"""Black-76 in plain numpy, written out a second time from spec 7.2; it shares no code with the option stage.

All arguments broadcast: forward and strike in points, years ACT/365, vol per sqrt(year), rate continuous;
`call` bool. Values where years or vol are not positive are NaN.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np

from data_eng.integrity.rows import Array, Bools

SECONDS_PER_YEAR: Final = 86_400.0 * 365.0
_ERFC: Final = np.frompyfunc(math.erfc, 1, 1)


class Terms(NamedTuple):
    """d1, d2, the discount factor and sqrt(years)."""

    d1: Array
    d2: Array
    discount: Array
    root: Array


def terms(forward: Any, strike: Any, years: Any, vol: Any, rate: float) -> Terms:
    """What every formula below is made of."""
    with np.errstate(invalid="ignore", divide="ignore"):
        alive = (np.asarray(years) > 0) & (np.asarray(vol) > 0)
        root = np.sqrt(np.where(alive, years, np.nan))
        d1 = (np.log(forward / strike) + np.square(vol) * years / 2.0) / (vol * root)
        return Terms(d1, d1 - vol * root, np.exp(-rate * np.asarray(years)), root)


def normal_cdf(x: Any) -> Array:
    """Standard normal distribution function; erfc keeps the digits of the tails."""
    return np.asarray(0.5 * _ERFC(-np.asarray(x) / math.sqrt(2.0)), dtype=np.float64)


def _density(x: Any) -> Array:
    return np.asarray(np.exp(-0.5 * np.square(x)) / math.sqrt(2.0 * math.pi))


def price(call: Bools, forward: Any, strike: Any, years: Any, vol: Any, rate: float) -> Array:
    """C = D (F N(d1) - K N(d2)), P = D (K N(-d2) - F N(-d1)), points."""
    t = terms(forward, strike, years, vol, rate)
    sign = np.where(call, 1.0, -1.0)
    inside = forward * normal_cdf(sign * t.d1) - strike * normal_cdf(sign * t.d2)
    return np.asarray(t.discount * sign * inside)


def gamma(forward: Any, strike: Any, years: Any, vol: Any, rate: float) -> Array:
    """D phi(d1) / (F v sqrt T), per point."""
    t = terms(forward, strike, years, vol, rate)
    return np.asarray(t.discount * _density(t.d1) / (forward * vol * t.root))


def vega(forward: Any, strike: Any, years: Any, vol: Any, rate: float) -> Array:
    """D F phi(d1) sqrt T, points per 1.00 of volatility."""
    t = terms(forward, strike, years, vol, rate)
    return np.asarray(t.discount * forward * _density(t.d1) * t.root)


def delta(call: Bools, forward: Any, strike: Any, years: Any, vol: Any, rate: float) -> Array:
    """D N(d1) of a call, -D N(-d1) of a put."""
    t = terms(forward, strike, years, vol, rate)
    sign = np.where(call, 1.0, -1.0)
    return np.asarray(t.discount * sign * normal_cdf(sign * t.d1))


def discounted_intrinsic(call: Bools, forward: Any, strike: Any, years: Any, rate: float) -> Array:
    """D max(F - K, 0) of a call, D max(K - F, 0) of a put, points."""
    inside = np.maximum(np.where(call, 1.0, -1.0) * (np.asarray(forward) - strike), 0.0)
    return np.asarray(np.exp(-rate * np.asarray(years)) * inside)
