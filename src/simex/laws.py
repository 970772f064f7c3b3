"""The laws of chance, as integer tables.

A kernel that calls exp() or log() depends on the last bit of a maths library. So every continuous law is a
table of quantiles, computed here once with `decimal`, whose exp and ln are correctly rounded everywhere,
and rounded to integers. The kernel only interpolates integers.

Figures and their origin: exchange.md B2 (sizes, lifetimes, distances, latency).
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

CELLS: Final = 1024
UNIT: Final = 1 << 16
"""Unit-free laws (exponential with mean 1, lognormal with median 1) are stored in 2^-16."""


def _ln(x: float) -> float:
    return float(Decimal(x).ln())


def exp(x: float) -> float:
    """e^x, correctly rounded."""
    return float(Decimal(x).exp())


def normal_quantile(p: float) -> float:
    """Quantile of the standard normal law (Acklam's rational approximation, error below 1.2e-9)."""
    a = (-39.69683028665376, 220.9460984245205, -275.9285104469687, 138.3577518672690, -30.66479806614716,
         2.506628277459239)  # fmt: skip
    b = (-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572)
    c = (-0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734,
         4.374664141464968, 2.938163982698783)  # fmt: skip
    d = (0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416)
    if p > 0.5:
        return -normal_quantile(1.0 - p)
    if p < 0.02425:
        q = float(Decimal(-2.0 * _ln(p)).sqrt())
        top = ((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]
        return top / ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1.0)
    q = p - 0.5
    r = q * q
    top = (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q
    return top / (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1.0)


def _levels() -> list[float]:
    """Probabilities of the cell borders; the outermost lie a quarter of a cell inside."""
    inner = [i / CELLS for i in range(1, CELLS)]
    return [0.25 / CELLS, *inner, 1.0 - 0.25 / CELLS]


def normal_table(mean: float, std: float) -> Ints:
    """int64[CELLS + 1]: quantiles of a normal law, rounded."""
    return np.array([round(mean + std * normal_quantile(p)) for p in _levels()], dtype=np.int64)


def exponential_table() -> Ints:
    """int64[CELLS + 1]: quantiles of the exponential law with mean 1, in UNIT."""
    return np.array([round(-_ln(1.0 - p) * UNIT) for p in _levels()], dtype=np.int64)


def lognormal_table(median: float, sigma: float) -> Ints:
    """int64[CELLS + 1]: quantiles of a lognormal law, rounded."""
    return np.array([round(median * exp(sigma * normal_quantile(p))) for p in _levels()], dtype=np.int64)


def discrete_table(weights: dict[int, float]) -> Ints:
    """int64[CELLS + 1]: one value per cell, each value in proportion to its weight (nearest cell)."""
    total = sum(weights.values())
    table = np.zeros(CELLS + 1, dtype=np.int64)
    reached = 0.0
    start = 0
    for value, weight in sorted(weights.items()):
        reached += weight / total
        stop = round(reached * CELLS)
        table[start:stop] = value
        start = stop
    table[start:] = table[max(start - 1, 0)]
    return table


def _geometric(p: float, first: int, n: int) -> dict[int, float]:
    """Weights of first, first + 1, ... with success probability p."""
    law: dict[int, float] = {}
    weight = p
    for k in range(n):
        law[first + k] = weight
        weight *= 1.0 - p
    return law


def _mix(*parts: tuple[float, dict[int, float]]) -> dict[int, float]:
    out: dict[int, float] = {}
    for share, law in parts:
        total = sum(law.values())
        for value, weight in law.items():
            out[value] = out.get(value, 0.0) + share * weight / total
    return out


def _pareto(alpha: float, first: int, last: int) -> dict[int, float]:
    """P(x) proportional to x^-(alpha + 1)."""
    return {x: exp(-(alpha + 1.0) * _ln(float(x))) for x in range(first, last + 1)}


def add_size_law() -> Ints:
    """Lots of a new order (B2): 1 in three of four."""
    uniform = dict.fromkeys(range(10, 17), 1.0)
    rest = _mix((0.70, _geometric(0.3, 2, 30)), (0.28, uniform), (0.02, _pareto(1.6, 5, 500)))
    return discrete_table(_mix((0.746, {1: 1.0}), (0.254, rest)))


def trade_size_law() -> Ints:
    """Lots of an aggressor (C3): 1 in 59 %, p90 7, p95 13, p99 34 to 41."""
    uniform = dict.fromkeys(range(5, 21), 1.0)
    rest = _mix((0.66, _geometric(0.35, 2, 20)), (0.26, uniform), (0.08, _pareto(1.2, 20, 120)))
    return discrete_table(_mix((0.57, {1: 1.0}), (0.43, rest)))


def tail_distance_law() -> Ints:
    """Ticks behind the own touch of an order that joins neither of the first two levels (B2)."""
    far = _pareto(0.75, 14, 1000)
    return discrete_table(_mix((0.40, _geometric(0.125, 2, 60)), (0.60, far)))


def tables() -> Ints:
    """int64[10, CELLS + 1]: the rows T_EXP .. T_REACTION of `futures_kernel`."""
    with localcontext() as context:
        context.prec = 20
        gap = discrete_table(_mix((0.935, {0: 1.0}), (0.065, _geometric(0.35, 1, 36))))
        delta = normal_table(15_300.0, 1_300.0)
        # (30 / q)^0.3 with an upper end: how strongly a short queue attracts and a long one repels
        reaction = np.array(
            [round(min(exp(0.3 * _ln(30.0 / max(q, 1))), 2.5) * 0.65 * UNIT) for q in range(CELLS + 1)],
            dtype=np.int64,
        )
        return np.stack(
            [
                exponential_table(),
                lognormal_table(UNIT, 1.8),
                lognormal_table(UNIT, 1.6),
                lognormal_table(30_000.0, 1.3),
                add_size_law(),
                trade_size_law(),
                tail_distance_law(),
                delta,
                gap,
                reaction,
            ]
        )
