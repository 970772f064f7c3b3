"""The rough sum of the net gamma never claims a sign that the exact one does not have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from data_eng.kernels import net_gamma
from data_eng.kernels.jit import njit

FORWARD = 6_950.0


@njit()
def both_sums(
    at: Any, n: Any, terms: Any, rough: Any, scale: Any, exact: Any, found: Any, largest: Any
) -> None:
    net_gamma._round_off(terms, n, scale, rough)
    for i in range(at.shape[0]):
        exact[i, 0], exact[i, 1] = net_gamma._net_gamma(at[i], n, terms)
        largest[i] = terms[4, 0] ** 2
        for k in range(n):
            largest[i] = min(largest[i], terms[4, k] ** 2)
        found[i, 0], found[i, 1], found[i, 2] = net_gamma._rough_net_gamma(at[i], n, terms, rough, scale)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("s", [2e-2, 4e-3, 1e-3, 1e-4])
def test_a_certain_sign_is_the_true_one(seed: int, s: float) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 330))
    strikes = FORWARD + 5.0 * np.sort(rng.choice(np.arange(-300, 300), n, replace=False))
    widths = s * np.exp(rng.uniform(0.0, 1.5, n))
    terms = np.zeros((8, max(n, 2)))
    terms[0, :n], terms[1, :n], terms[2, :n] = np.log(strikes), 0.5 * widths, 1.0 / widths
    terms[3, :n] = 50.0 * rng.integers(-800, 800, n)
    at = np.linspace(FORWARD - 150.0, FORWARD + 150.0, 401)
    exact, found, largest = np.empty((401, 2)), np.empty((401, 3)), np.empty(401)
    both_sums(at, n, terms, np.empty((5, max(n, 2)), np.float32), FORWARD, exact, found, largest)
    certain = 0
    for column in (0, 1):
        sure = found[:, column] != 0.0
        certain += int(sure.sum())
        assert (np.sign(found[sure, column]) == np.sign(exact[sure, column])).all()
    assert certain > 300, "what is never certain is of no use"
    value = np.abs(exact[:, 0]) * np.exp(-0.5 * largest)
    assert (found[:, 2] <= value).all(), "the floor lies below |G|"
