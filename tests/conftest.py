"""Fixtures that every test may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings

if TYPE_CHECKING:
    from playwright.sync_api import Playwright

settings.register_profile("ci", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", parent=settings.get_profile("ci"), max_examples=2000)
settings.register_profile(
    "hunt", parent=settings.get_profile("ci"), max_examples=400, phases=[Phase.explicit, Phase.generate]
)  # looks for a first failure, without shrinking it
BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data" / "real"
"""where .ci/run looks for the real files too: beside the checkout"""
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with real CME files; its licence does not allow a copy in this repository."""
    where = os.environ.get("SPYMASTER_REAL_DATA")
    if not where and not BESIDE.is_dir():
        pytest.skip(reason="SPYMASTER_REAL_DATA is not set: it names the folder with real CME files")
    folder = Path(where) if where else BESIDE
    assert folder.is_dir(), f"SPYMASTER_REAL_DATA={folder} is not a folder"
    return folder


@pytest.fixture(scope="session")
def real_esh4(real_data: Path) -> Path:
    """The real hour: ESH4, 2023-12-25, DBN v1."""
    return real_data / "nautilus_trader" / "esh4-glbx-mdp3-20231225.mbo.dbn.zst"


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """What launches browsers, for one file: while it lives its event loop runs in this thread, and neither a
    second one nor `asyncio.run` can start beside it.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as one:
        yield one
