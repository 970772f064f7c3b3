"""The load of P10 counts what it says, and a small run of it holds every promise that is not a time."""

from __future__ import annotations

import struct

import pytest
from benches.load_clients import quantile
from benches.serving_goals import bare_fan_out, fan_out

from data_eng.lake import Lake
from tests.serving.conftest import tiny

__all__ = ["tiny"]  # fixture


def test_a_small_crowd_gets_every_window_once_encoded_once(tiny: Lake) -> None:
    found = fan_out(tiny.root, clients=20, speed=4.0, seconds=8.0)
    beside = found["beside"]
    assert beside["windows"] > 10
    assert beside["received"] == beside["windows"] * 19
    assert beside["stalled"] == 1
    assert (found["lost"], found["most_encoded"]) == (0, 1)
    assert 0 < found["p50_ms"] <= found["p99_ms"]
    assert beside["service_cpu_us_per_message"] > 0
    assert beside["bare_loop"]["p50_ms"] > 0


def test_a_client_that_joins_with_all_other_surfaces_takes_no_window_from_the_rest(tiny: Lake) -> None:
    found = fan_out(tiny.root, clients=10, speed=10.0, seconds=8.0, wide=True)
    assert found["wide_windows"] > 5
    assert (found["lost"], found["most_encoded"]) == (0, 1)


def test_the_bare_loop_reaches_every_client(tiny: Lake) -> None:
    found = bare_fan_out(5, struct.pack("!Q", 0) + bytes(5_000), rounds=2)
    assert 0 < found["p50_ms"] <= found["p99_ms"]


def test_a_quantile_is_one_of_the_values() -> None:
    assert quantile([3, 1, 2], 0.5) == 2
    assert quantile(range(1, 101), 0.99) == 100
    with pytest.raises(ValueError, match="no value"):
        quantile([], 0.5)
