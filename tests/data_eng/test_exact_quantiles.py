"""Quantiles of a stream are numpy's, bit for bit, whatever the memory and however the stream is cut."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_eng.exact_quantiles import ExactQuantiles, QuantileError, ordered_keys, value_of
from tests.strategies import chunks, cuts

QS = (0.05, 0.95)
finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
terms = st.builds(lambda p, a: math.log((p + 1) / (a + 1)), st.integers(0, 30), st.integers(0, 30))


def pick(values: list[float], positions: list[int], limit: int, qs: tuple[float, ...] = QS) -> ExactQuantiles:
    picker = ExactQuantiles(qs, limit)
    while not picker.done:
        for piece in chunks(values, positions):
            picker.add(np.array(piece, np.float64))
        picker.end_pass()
    return picker


@given(st.lists(finite | terms, min_size=1, max_size=300), st.data())
def test_quantiles_equal_numpy_on_the_whole_stream(values: list[float], data: st.DataObject) -> None:
    limit = data.draw(st.sampled_from([16, 17, 40, 1 << 20]))
    picker = pick(values, data.draw(cuts(len(values))), limit)
    with np.errstate(over="ignore", invalid="ignore"):  # numpy itself overflows between +-1e308
        wanted = np.quantile(np.array(values) + 0.0, QS)
    np.testing.assert_array_equal(picker.quantiles, wanted)
    assert picker.count == len(values)


@given(st.lists(finite, min_size=1, max_size=50), st.floats(0, 1))
def test_any_quantile_is_found(values: list[float], q: float) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        wanted = np.quantile(np.array(values) + 0.0, q)
    np.testing.assert_array_equal(pick(values, [], 16, (q,)).quantiles, [wanted])


@pytest.mark.parametrize("size", [1, 2, 19, 20, 21, 1_000_003])
def test_a_million_distinct_values_are_found_with_room_for_a_thousand(size: int) -> None:
    values = np.random.default_rng(size).normal(size=size)
    picker = ExactQuantiles(QS, limit=1000)
    while not picker.done:
        for piece in np.array_split(values, 1 + size // 70_000):
            picker.add(piece)
        picker.end_pass()
    assert picker.quantiles == tuple(np.quantile(values, QS))
    assert picker.passes <= 8


def test_repeating_values_need_one_pass() -> None:
    assert pick([float(k % 50) for k in range(10_000)], [], 64).passes == 1


def test_no_values_give_zero_and_say_so() -> None:
    picker = pick([], [], 16)
    assert (picker.quantiles, picker.count) == ((0.0, 0.0), 0)


def test_negative_zero_is_zero() -> None:
    assert math.copysign(1, pick([-0.0, -0.0], [], 16).quantiles[0]) == 1


def test_nan_is_refused() -> None:
    with pytest.raises(QuantileError, match="NaN"):
        ExactQuantiles(QS).add(np.array([1.0, math.nan]))


def test_a_stream_that_changes_between_passes_is_refused() -> None:
    picker = ExactQuantiles(QS, limit=16)
    picker.add(np.arange(50.0))
    picker.end_pass()
    assert not picker.done
    picker.add(np.arange(49.0))
    with pytest.raises(QuantileError, match="brought 49 values, the first one 50"):
        picker.end_pass()


def test_quantiles_are_not_told_before_they_are_known() -> None:
    with pytest.raises(QuantileError, match="not known"):
        _ = ExactQuantiles(QS).quantiles


@given(st.lists(finite, min_size=2, max_size=50))
def test_keys_are_ordered_as_the_numbers_and_give_them_back(values: list[float]) -> None:
    array = np.array(values) + 0.0
    keys = ordered_keys(array)
    assert (np.argsort(keys, kind="stable") == np.argsort(array, kind="stable")).all()
    assert [value_of(int(key)) for key in keys] == array.tolist()
