"""Simulated days, each made and run through the pipeline once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.truth.days import Day, simulated

Variant = Callable[..., Day]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Day:
    """Two minutes over the cash open."""
    return simulated(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def opening(tmp_path_factory: pytest.TempPathFactory) -> Day:
    """The last minute of a crossed pre-open, the auction and the first minute."""
    return simulated(tmp_path_factory.mktemp("opening"), start="22:59:00")


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Day:
    """Half an hour."""
    return simulated(tmp_path_factory.mktemp("small"), "small")


@pytest.fixture(scope="session", params=["tiny", "opening", "small"])
def day(request: pytest.FixtureRequest) -> Day:
    """Each of the three days in turn."""
    chosen: Day = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture
def variant(tmp_path: Path) -> Variant:
    """A `tiny` day that differs in one switch of the simulator."""

    def make(**options: Any) -> Day:
        return simulated(tmp_path, **options)

    return make
