"""Logarithm, exponential and Mills' ratio against 60 digits, and the solver that stands on them."""

from __future__ import annotations

import math
from decimal import Decimal, getcontext
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from data_eng.kernels import bits, black76, net_gamma, vector_math
from data_eng.kernels.jit import njit

Floats = npt.NDArray[np.float64]
getcontext().prec = 60
ROOT_TWO_PI = (2 * Decimal("3.14159265358979323846264338327950288419716939937510582097494459")).sqrt()


@njit()
def elementary(x: Any, logs: Any, powers: Any) -> None:
    for i in range(x.shape[0]):
        logs[i] = vector_math.log_of(x[i])
        powers[i] = vector_math.exp_of(-x[i])


@njit()
def ratios(t: Any, first: Any, second: Any) -> None:
    for i in range(t.shape[0]):
        first[i], second[i] = vector_math.mills(t[i])


@njit()
def total_vols(wanted: Any, a: Any, guess: Any, out: Any) -> None:
    for i in range(wanted.shape[0]):
        out[i], _ = black76.implied_total_vol(wanted[i], a[i], 1e-7, 5.0, guess[i])


@njit()
def there_and_back(x: Any, out: Any) -> None:
    for i in range(x.shape[0]):
        out[i] = bits.float64_of_bits(bits.bits_of_float64(x[i]))


def exact_mills(t: Decimal) -> Decimal:
    """N(-t) / phi(t) by the series of N(t) - 1/2."""
    total = Decimal(0)
    term, k = t, 0
    while term > Decimal(10) ** -58:
        total += term
        k += 1
        term = term * t * t / (2 * k + 1)
    return ROOT_TWO_PI / 2 * (t * t / 2).exp() - total


def exact_tail(t: Decimal) -> Decimal:
    """N(-t)."""
    return 1 - exact_tail(-t) if t < 0 else exact_mills(t) * (-t * t / 2).exp() / ROOT_TWO_PI


def exact_value(a: float, s: float) -> Decimal:
    """b(s) as black76 defines it."""
    x, w = Decimal(a), Decimal(s)
    return (x / 2).exp() * exact_tail(-x / w - w / 2) - (-x / 2).exp() * exact_tail(-x / w + w / 2)


def test_logarithm_and_exponential_are_good_to_two_units_of_the_last_place() -> None:
    rng = np.random.default_rng(7)
    x = np.concatenate([np.exp(rng.uniform(-600, 6.5, 3_000)), 1.0 + rng.uniform(-1e-3, 1e-3, 500), [1.0]])
    logs, powers = np.empty_like(x), np.empty_like(x)
    elementary(x, logs, powers)
    for number, log, power in zip(x.tolist(), logs.tolist(), powers.tolist(), strict=True):
        exact = Decimal(number).ln()
        assert abs(Decimal(log) - exact) <= 2 * Decimal(math.ulp(log)), number
        exact = (-Decimal(number)).exp()
        assert abs(Decimal(power) - exact) <= 2 * Decimal(math.ulp(power)), number
    elementary(np.array([701.0, 1e300]), logs, powers)
    assert powers[:2].tolist() == [0.0, 0.0]


def test_mills_ratio_is_exact_over_its_whole_range() -> None:
    t = np.linspace(0.0, vector_math.LARGEST_T, 1_001)
    first, second = np.empty_like(t), np.empty_like(t)
    ratios(t, first, second)
    for at, mine, fall in zip(t.tolist(), first.tolist(), second.tolist(), strict=True):
        exact = exact_mills(Decimal(at))
        assert float(abs(Decimal(mine) / exact - 1)) < 1e-14, at
        assert float(abs(Decimal(fall) / (1 - Decimal(at) * exact) - 1)) < 1e-14, at


@pytest.mark.parametrize("off", [0.0, 1e-6, 1e-4, 4e-4, 1e-2, 0.3, -0.2])
def test_the_solver_finds_the_root_to_the_last_bits_from_any_distance(off: float) -> None:
    rng = np.random.default_rng(11)
    s = np.exp(rng.uniform(np.log(1e-4), np.log(black76.NARROW * 0.999), 150))
    t = np.concatenate([np.zeros(10), rng.uniform(0.0, 7.0, 140)])
    a = -t * s
    values = [exact_value(x, y) for x, y in zip(a.tolist(), s.tolist(), strict=True)]
    wanted = np.array([float(value) for value in values])
    slope = np.exp(-0.5 * (t * t + 0.25 * s * s)) / math.sqrt(2.0 * math.pi)
    # s belongs to the value before it was rounded
    rounding = np.array([float(Decimal(w) - v) for w, v in zip(wanted.tolist(), values, strict=True)])
    found = np.empty_like(s)
    total_vols(wanted, a, s * (1.0 + off), found)
    assert np.abs(found / (s + rounding / slope) - 1.0).max() < 1e-14


def test_bits_go_there_and_back_and_keep_the_order_of_numbers() -> None:
    x = np.sort(np.exp(np.random.default_rng(3).uniform(-700, 700, 100)))
    out = np.empty_like(x)
    there_and_back(x, out)
    assert out.tobytes() == x.tobytes()
    assert (np.diff(x.view(np.int64)) > 0).all()


def test_the_rough_exponential_keeps_its_promise() -> None:
    coefficients = [float(np.float32(c)) for c in net_gamma.two_to_the()]
    f = np.linspace(-1.0, 0.0, 2_001)
    worst = np.abs(np.polynomial.polynomial.polyval(f, coefficients) / np.exp2(f) - 1.0).max()
    assert worst < 4e-7
    assert Fraction(net_gamma._ROUGH) > 100 * Fraction(worst)
