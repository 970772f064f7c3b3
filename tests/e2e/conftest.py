"""A simulated lake, a running service and a real browser, once per session; a page per test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright

from tests.e2e.browser import CHROMIUM, Hud, Open, RunningService, launch

DT = "2026-01-06"
SYMBOL = "ESH6"


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two simulated minutes around the cash open, all tables."""
    folder = tmp_path_factory.mktemp("e2e") / "lake"
    made = subprocess.run(
        [
            sys.executable,
            "-m",
            "spymaster.cli",
            "demo",
            "--no-serve",
            "--preset",
            "tiny",
            "--lake",
            str(folder),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr[-2000:]
    return folder


@pytest.fixture(scope="session")
def service(lake: Path) -> Iterator[RunningService]:
    """The service on that lake."""
    running = RunningService(lake)
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """The system's Chromium; without it these tests fail, they do not skip."""
    assert Path(CHROMIUM).exists(), f"{CHROMIUM} is missing; install it, or name another: SPYMASTER_CHROMIUM"
    one = launch(playwright)
    yield one
    one.close()


@pytest.fixture
def hud(browser: Browser, service: RunningService) -> Iterator[Open]:
    """Open pages: ``hud("/?renderer=canvas2d", width=2560)``; none may have reported a fault at the end."""
    opened: list[Hud] = []

    def open_page(path: str = "/", *, width: int = 1280, height: int = 720, url: str | None = None) -> Hud:
        page = Hud(browser, url or service.url, width=width, height=height)
        opened.append(page)
        return page.open(path)

    yield open_page
    faults = [fault for page in opened for fault in page.faults]
    for page in opened:
        page.close()
    assert faults == []
