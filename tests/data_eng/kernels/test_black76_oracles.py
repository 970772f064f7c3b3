"""The compiled Black-76 against two public libraries, and the laws that any pricing must keep (spec 13.10).

The grid goes from 30 seconds to 250 days and from deep in to deep out of the money. A price of
F N(d1) - K N(d2) carries the rounding of numbers as large as F and K, in the oracles too (`noise`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import QuantLib as ql
from hypothesis import given
from hypothesis import strategies as st
from vollib.black.implied_volatility import implied_volatility_of_discounted_option_price

from data_eng.kernels import black76
from tests.option_oracles import FORWARD_INT, SCALE, Point, grid, quantlib, vollib

FORWARD = FORWARD_INT / SCALE
RATES = (0.05, 0.0, 0.12)
GUESSES = (0.0, 1e-6, 0.02, 1.0, 5.0)
PRICE_TOL = 1e-10


def noise(forward: float, strike: float) -> float:
    """Rounding that a price of Black-76 carries, points."""
    return 4e-16 * (forward + strike)


def solve(
    points: Sequence[Point], mids: Sequence[float], forward: float = FORWARD, guess: float = 0.0
) -> tuple[list[float], list[int]]:
    """Volatilities and status of the kernel; all points share the rate."""
    n = len(points)
    out, status = np.zeros(n), np.zeros(n, np.int8)
    black76.implied_vols(
        np.array([0 if p.right == "C" else 1 for p in points], np.int8),
        np.array(mids, np.float64),
        np.full(n, forward),
        np.array([p.strike for p in points]),
        np.array([p.years for p in points]),
        points[0].rate,
        np.full(n, guess),
        out,
        status,
    )
    return out.tolist(), status.tolist()


def intrinsic(point: Point, forward: float) -> float:
    inside = forward - point.strike if point.right == "C" else point.strike - forward
    return math.exp(-point.rate * point.years) * max(inside, 0.0)


def quotable(right: str, rate: float) -> tuple[list[Point], list[float]]:
    """Points of the grid whose price leaves more above intrinsic value than rounding takes away."""
    points, mids = [], []
    for point in grid(right, rate):
        mid = quantlib(point, FORWARD, point.vol).price
        if mid - intrinsic(point, FORWARD) > 1e3 * noise(FORWARD, point.strike):
            points.append(point)
            mids.append(mid)
    return points, mids


@pytest.mark.parametrize("right", ["C", "P"])
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("guess", GUESSES)
def test_implied_vol_gives_the_price_back_wherever_the_solver_starts(
    right: str, rate: float, guess: float
) -> None:
    points, mids = quotable(right, rate)
    assert len(points) > 350
    for point, mid, vol, status in zip(points, mids, *solve(points, mids, guess=guess), strict=True):
        assert status == black76.SOLVED, point
        wanted = PRICE_TOL + 2 * noise(FORWARD, point.strike)
        assert quantlib(point, FORWARD, vol).price == pytest.approx(mid, rel=1e-13, abs=wanted), point


@pytest.mark.parametrize("right", ["C", "P"])
def test_implied_vol_is_the_true_one_to_1e_9_where_the_price_tells_it(right: str) -> None:
    points, mids = quotable(right, 0.05)
    looked_at = 0
    for point, vol in zip(points, solve(points, mids)[0], strict=True):
        if quantlib(point, FORWARD, point.vol).vega >= 0.2:
            assert vol == pytest.approx(point.vol, abs=1e-9), point
            looked_at += 1
    assert looked_at > 280


@pytest.mark.parametrize("right", ["C", "P"])
def test_implied_vol_equals_what_the_libraries_solve(right: str) -> None:
    kind = ql.Option.Call if right == "C" else ql.Option.Put
    points, mids = quotable(right, 0.05)
    looked_at = 0
    for point, mid, vol in zip(points, mids, solve(points, mids)[0], strict=True):
        if quantlib(point, FORWARD, point.vol).vega < 0.2:
            continue
        discount = math.exp(-point.rate * point.years)
        spread = ql.blackFormulaImpliedStdDev(
            kind, point.strike, FORWARD, mid, discount, 0.0, point.vol * math.sqrt(point.years), 1e-14, 500
        )
        assert vol == pytest.approx(spread / math.sqrt(point.years), abs=1e-8), point
        theirs = implied_volatility_of_discounted_option_price(
            mid, FORWARD, point.strike, point.rate, point.years, right.lower()
        )
        assert vol == pytest.approx(theirs, abs=1e-8), point
        looked_at += 1
    assert looked_at > 280


@pytest.mark.parametrize("right", ["C", "P"])
@pytest.mark.parametrize("oracle", [quantlib, vollib])
@pytest.mark.parametrize("rate", RATES)
def test_price_and_greeks_equal_the_libraries(right: str, oracle: Any, rate: float) -> None:
    points = list(grid(right, rate))
    out = np.zeros((len(points), 4))
    black76.values(
        np.full(len(points), 0 if right == "C" else 1, np.int8),
        np.full(len(points), FORWARD),
        np.array([p.strike for p in points]),
        np.array([p.years for p in points]),
        np.array([p.vol for p in points]),
        rate,
        out,
    )
    assert len(points) > 450
    for point, row in zip(points, out.tolist(), strict=True):
        wanted = oracle(point, FORWARD, point.vol)
        assert row[0] == pytest.approx(wanted.price, rel=1e-10, abs=8 * noise(FORWARD, point.strike)), point
        assert row[1] == pytest.approx(wanted.delta, rel=1e-9, abs=1e-13), point
        assert row[2:] == pytest.approx([wanted.gamma, wanted.vega], rel=1e-9), point


# ---- laws (spec 13.10) -------------------------------------------------------------------------------------

vols = st.floats(0.02, 4.0)
deviations = st.floats(-4.0, 4.0)
lives_s = st.integers(30, 250 * 86_400)


def point_at(right: str, deviation: float, seconds: int, vol: float) -> Point:
    """So many standard deviations from the forward, but never beyond a factor of 3."""
    spread = vol * math.sqrt(seconds / (86_400 * 365))
    strike = FORWARD * math.exp(min(max(deviation * spread, -1.1), 1.1))
    return Point(right, round(strike * SCALE), seconds, vol)


@given(deviations, lives_s, vols)
def test_call_and_put_at_one_strike_give_the_same_gamma(deviation: float, seconds: int, vol: float) -> None:
    points = [point_at(right, deviation, seconds, vol) for right in "CP"]
    mids = [quantlib(point, FORWARD, vol).price for point in points]
    if min(m - intrinsic(p, FORWARD) for m, p in zip(mids, points, strict=True)) < 1e-6:
        return  # nothing is left of the price to tell a volatility from
    found, status = solve(points, mids)
    assert status == [black76.SOLVED] * 2
    gammas = [quantlib(p, FORWARD, v).gamma for p, v in zip(points, found, strict=True)]
    truth = quantlib(points[0], FORWARD, vol)
    spread = vol * math.sqrt(points[0].years)
    d1 = math.log(FORWARD / points[0].strike) / spread + spread / 2
    steepness = truth.gamma * (abs(d1 * (d1 - spread)) + 1) / vol
    slack = steepness * (2 * PRICE_TOL + 8 * noise(FORWARD, points[0].strike)) / truth.vega
    assert gammas[0] == pytest.approx(gammas[1], rel=1e-9, abs=2 * slack)


@given(
    deviations, lives_s, vols, st.lists(st.floats(1e-4, 0.999), min_size=2, max_size=6), st.sampled_from("CP")
)
def test_a_higher_mid_means_a_higher_vol(
    deviation: float, seconds: int, vol: float, shares: list[float], right: str
) -> None:
    point = point_at(right, deviation, seconds, vol)
    low, high = intrinsic(point, FORWARD), quantlib(point, FORWARD, 4.9).price
    mids = sorted({low + share * (high - low) for share in shares})
    found, status = solve([point] * len(mids), mids)
    solved = [v for v, code in zip(found, status, strict=True) if code == black76.SOLVED]
    assert all(a <= b * (1 + 1e-9) for a, b in pairwise(solved))
    assert set(status) <= {black76.SOLVED, black76.NO_ROOT}


@given(
    st.floats(0.0, 30_000.0),
    st.floats(50.0, 20_000.0),
    st.integers(1, 250 * 86_400),
    st.sampled_from("CP"),
    st.sampled_from(GUESSES),
)
def test_any_mid_gives_a_vol_inside_the_bracket_or_a_reason(
    mid: float, strike: float, seconds: int, right: str, guess: float
) -> None:
    point = Point(right, round(strike * SCALE), seconds, 1.0)
    (vol,), (status,) = solve([point], [mid], guess=guess)
    bound = intrinsic(point, FORWARD)
    assert math.isfinite(vol)
    if status == black76.SOLVED:
        assert 1e-6 * (1 - 1e-12) <= vol <= 5.0 * (1 + 1e-12)
        assert mid > bound
        wanted = PRICE_TOL + 4 * noise(FORWARD, strike)
        assert quantlib(point, FORWARD, vol).price == pytest.approx(mid, rel=1e-13, abs=wanted)
    elif status == black76.BELOW_INTRINSIC:
        assert mid <= bound * (1 + 1e-15)
    else:
        slack = PRICE_TOL + 4 * noise(FORWARD, strike)
        low, high = (quantlib(point, FORWARD, v).price for v in (1e-6, 5.0))
        assert mid > high - slack or mid < low + slack


@pytest.mark.parametrize("right", ["C", "P"])
def test_mids_that_violate_the_bounds_give_no_value(right: str) -> None:
    for point in grid(right):
        at_intrinsic = intrinsic(point, FORWARD)
        top = math.exp(-point.rate * point.years) * (FORWARD if right == "C" else point.strike)
        found, status = solve([point] * 3, [at_intrinsic, 0.5 * at_intrinsic, top])
        assert status == [black76.BELOW_INTRINSIC, black76.BELOW_INTRINSIC, black76.NO_ROOT], point
        assert found == [0.0] * 3
