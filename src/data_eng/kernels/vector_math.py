"""Logarithm, exponential and Mills' ratio as plain arithmetic: a loop that calls them works on several
numbers at once, and gives the same bits on every machine, which a C library does not promise.

Mills' ratio of the standard normal distribution is M(t) = N(-t) / phi(t). N(-t) itself falls like e^(-t^2 /
2), and a difference of two of them loses digits; the ratio does neither. It is the integral of e^(-tu - u^2 /
2) over u > 0, and 1 - t M(t) that of u times the same: neither has a cancellation.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from data_eng.kernels.bits import bits_of_float64, float64_of_bits
from data_eng.kernels.jit import njit

LARGEST_T: Final = 8.0
"""up to which `mills` is exact to some 1e-14 of itself"""
ONE_OVER_SQRT_TWO_PI: Final = 1.0 / math.sqrt(2.0 * math.pi)
_SHIFT = 4.0
"""M(t) (t + 4) and (1 - t M(t)) (t + 4)^2 are polynomials of 1 / (t + 4)"""
_TERMS = 20
_MANTISSA = np.int64((1 << 52) - 1)
_EXPONENT_OF_ONE = np.int64(1023 << 52)
_TWO_TO_52_BITS = np.int64(0x433 << 52)
_TWO_TO_52 = float(1 << 52)
_ROUND = 1.5 * _TWO_TO_52
"""a number plus this is the nearest whole number plus this, whose last bits are that number"""
_LN2_HIGH = float.fromhex("0x1.62e42p-1")
"""ln 2 without its last 32 bits: whole numbers of up to 10 digits times this are exact"""
_LN2_LOW = float.fromhex("0x1.fdf473de6af28p-22")
_ONE_OVER_LN2 = 1.0 / math.log(2.0)
_SQRT_TWO = math.sqrt(2.0)


def mills_polynomials() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], float, float]:
    """(of M, of 1 - t M, scale, offset): coefficients float64[20], ascending, in x = scale / (t + 4) +
    offset.

    The polynomials go through 20 Chebyshev points; the integrals there come from the trapezoidal rule in v, u
    = exp(v - exp(-v)), which makes them fall off twice exponentially on both sides (Takahasi and Mori 1974).
    """
    n = np.arange(_TERMS)
    x = np.cos(np.pi * (n + 0.5) / _TERMS)
    low, high = 1.0 / (LARGEST_T + _SHIFT), 1.0 / _SHIFT
    r = low + 0.5 * (x + 1.0) * (high - low)
    t = 1.0 / r - _SHIFT
    v = np.arange(-4.5, 4.0, 1 / 32)
    u = np.exp(v - np.exp(-v))
    density = np.exp(-t[:, None] * u - 0.5 * u * u) * u * (1.0 + np.exp(-v)) / 32
    basis = np.cos(n[:, None] * np.arccos(x)) * (2.0 / _TERMS)
    basis[0] *= 0.5
    first, second = (
        np.polynomial.chebyshev.cheb2poly(basis @ ((density * u**k).sum(axis=1) / r ** (k + 1)))
        for k in (0, 1)
    )
    return first, second, 2.0 / (high - low), -(high + low) / (high - low)


_FIRST, _SECOND, _SCALE, _OFFSET = mills_polynomials()


@njit(forceinline=True)
def mills(t):
    """(M(t), 1 - t M(t)) for 0 <= t <= `LARGEST_T`."""
    r = 1.0 / (t + _SHIFT)
    x = _SCALE * r + _OFFSET
    first = _FIRST[_TERMS - 1]
    second = _SECOND[_TERMS - 1]
    for k in range(_TERMS - 2, -1, -1):
        first = first * x + _FIRST[k]
        second = second * x + _SECOND[k]
    return first * r, second * r * r


@njit(forceinline=True)
def log_of(x):
    """ln x of a normal number above 0, within 2 units of the last place."""
    bits = bits_of_float64(x)
    exponent = float64_of_bits((bits >> np.int64(52)) | _TWO_TO_52_BITS) - (_TWO_TO_52 + 1023.0)
    m = float64_of_bits((bits & _MANTISSA) | _EXPONENT_OF_ONE)
    large = m > _SQRT_TWO
    m = 0.5 * m if large else m
    exponent = exponent + 1.0 if large else exponent
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    # 2 artanh(s) = ln m, |s| < 0.1716
    p = 1.0 / 21.0
    p = p * z + 1.0 / 19.0
    p = p * z + 1.0 / 17.0
    p = p * z + 1.0 / 15.0
    p = p * z + 1.0 / 13.0
    p = p * z + 1.0 / 11.0
    p = p * z + 1.0 / 9.0
    p = p * z + 1.0 / 7.0
    p = p * z + 1.0 / 5.0
    p = p * z + 1.0 / 3.0
    return exponent * _LN2_HIGH + (2.0 * s + (2.0 * s * z * p + exponent * _LN2_LOW))


@njit(forceinline=True)
def exp_of(x):
    """e^x for x <= 700, within 2 units of the last place; 0 below -700."""
    is_small = x < -700.0
    x = 0.0 if is_small else x
    t = x * _ONE_OVER_LN2 + _ROUND
    n = t - _ROUND
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    power = float64_of_bits((bits_of_float64(t) << np.int64(52)) + _EXPONENT_OF_ONE)
    value = power * (1.0 + (r + r * r * p))
    return 0.0 if is_small else value
