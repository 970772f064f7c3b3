"""The quantile probe: O(1) memory, and the same verdict as sorting everything."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_eng.integrity.calibration_checks import Bounds, QuantileProbe, bounds_of
from data_eng.integrity.rows import Rows

values = st.lists(st.integers(-20, 20).map(lambda n: n / 4), min_size=1, max_size=60)


def verdict(population: list[float], q: float, value: float, chunk: int = 7) -> bool:
    probe = QuantileProbe(q, value)
    for start in range(0, len(population), chunk):
        probe.add(np.array(population[start : start + chunk], dtype=np.float64))
    return probe.holds


@given(population=values, q=st.sampled_from([0.05, 0.5, 0.95]), chunk=st.integers(1, 70))
def test_probe_accepts_the_quantile(population: list[float], q: float, chunk: int) -> None:
    assert verdict(population, q, float(np.quantile(population, q)), chunk)


@given(population=values, q=st.sampled_from([0.05, 0.5, 0.95]), by=st.sampled_from([-1.0, -1e-6, 1e-6, 1.0]))
def test_probe_refuses_any_other_value(population: list[float], q: float, by: float) -> None:
    assert not verdict(population, q, float(np.quantile(population, q)) + by)


def test_the_quantile_of_nothing_is_zero() -> None:
    assert QuantileProbe(0.05, 0.0).holds
    assert not QuantileProbe(0.05, 0.1).holds


def test_equal_bounds_are_widened_by_one_and_reversed_bounds_agree_with_nothing() -> None:
    rows = Rows(
        {
            "metric_name": np.array(["gex_abs", "pull_add_log"]),
            "q05": np.array([2.0, 3.0]),
            "q95": np.array([2.0, 1.0]),
        }
    )
    bounds = bounds_of(rows)
    assert bounds["gex_abs"] == Bounds(2.0, 3.0)
    assert math.isnan(bounds["pull_add_log"].lo)
    assert np.isnan(bounds["wall_strength_log"].norm(np.array([1.0]))).all()


@pytest.mark.parametrize(("x", "wanted"), [(1.0, 0.0), (2.0, 0.0), (3.0, 0.5), (4.0, 1.0), (9.0, 1.0)])
def test_norm_clips_between_its_bounds(x: float, wanted: float) -> None:
    assert Bounds(2.0, 4.0).norm(np.array([x]))[0] == wanted
