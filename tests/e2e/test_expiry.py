"""The last minute of the 0DTE chain and the first after it, on a slow market: badges, and grey scores."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from data_eng.lake import Lake
from tests.e2e.browser import Hud, Open, RunningService
from tests.e2e.conftest import DT, SYMBOL

EXPIRY = 1_767_733_200
"""16:00 New York of the day"""
GREY_OPACITY = "0.38"


@pytest.fixture(scope="module")
def dusk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake from 15:59 to 16:01 New York with few trades."""
    folder = tmp_path_factory.mktemp("dusk")
    start = ["--preset", "tiny", "--start", "20:59:00", "--rate-factor", "0.05"]
    for command in (
        ["simulate", *start, "--out", str(folder / "raw")],
        ["run", "--dt", DT, "--raw", str(folder / "raw"), "--lake", str(folder / "lake")],
    ):
        made = subprocess.run(
            [sys.executable, "-m", "spymaster.cli", *command], capture_output=True, text=True, check=False
        )
        assert made.returncode == 0, made.stderr[-2000:]
    return folder / "lake"


@pytest.fixture(scope="module")
def dusk_service(dusk: Path) -> Iterator[RunningService]:
    running = RunningService(dusk)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def page(hud: Open, dusk_service: RunningService) -> Hud:
    """A page on that lake that stands still."""
    opened = hud(url=dusk_service.url)
    opened.standstill()
    return opened


def _badge(page: Hud, text: str) -> str:
    """Kind of the gamma badge once it says the text."""
    badge = page.page.locator(".gamma-badge")
    for _ in range(400):
        if badge.is_visible() and badge.inner_text().replace("\n", " ") == text:
            return str(badge.get_attribute("data-kind"))
        page.page.wait_for_timeout(25)
    raise AssertionError(f"the badge says {badge.inner_text()!r}, expected {text!r}")


def _bars(page: Hud) -> int:
    """Pixels of the gamma panel in the colours of calls and puts."""
    return int(
        page.page.evaluate(
            """() => {
                const canvas = document.querySelector('#panel-gamma canvas');
                const top = Math.round(canvas.height * 0.05); // below the words "puts" and "calls"
                const { width, height } = canvas;
                const { data } = canvas.getContext('2d').getImageData(0, top, width, height - top);
                const style = getComputedStyle(document.documentElement);
                const rgb = (name) => {
                    const hex = style.getPropertyValue(name).trim().slice(1);
                    return [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16));
                };
                const colours = [rgb('--call'), rgb('--put')];
                let count = 0;
                for (let i = 0; i < data.length; i += 4) {
                    if (colours.some((c) => c.every((v, k) => v === data[i + k]))) count++;
                }
                return count;
            }"""
        )
    )


def test_the_chain_counts_down_and_then_has_expired(page: Hud) -> None:
    page.seek(EXPIRY - 30)
    assert _badge(page, "0DTE expires in 30 s") == "live"
    page.until("document.querySelector('#panel-gamma canvas').ariaLabel.startsWith('Gamma per strike, net')")
    page.painted()
    assert _bars(page) > 0
    # the clock runs over it: nobody has to do anything
    page.seek(EXPIRY - 3)
    assert _badge(page, "0DTE expires in 3 s") == "live"
    page.act("setSpeed(2)")
    page.act("play()")
    page.until(f"s.history.head >= {EXPIRY}")
    page.act("pause()")
    assert _badge(page, "0DTE expired, next chain not loaded") == "expired"
    assert _bars(page) == 0, "bars of a chain that is gone"
    assert (
        page.page.get_attribute("#panel-gamma canvas", "aria-label") == "0DTE expired, next chain not loaded"
    )
    # and back
    page.seek(EXPIRY - 1)
    assert _badge(page, "0DTE expires in 1 s") == "live"


def test_scores_go_grey_when_the_last_trade_is_old_and_come_back(page: Hud, dusk: Path) -> None:
    rows = Lake(dusk).read("silver.future_mbo.book_snapshot_1s", SYMBOL, DT)
    ends = rows["window_end_ts_ns"].to_numpy() // 1_000_000_000
    traded = rows["buy_qty"].to_numpy() + rows["sell_qty"].to_numpy() > 0
    last = np.maximum.accumulate(np.where(traded, ends, 0))
    old = np.flatnonzero((last > 0) & (ends - last >= 5))
    assert len(old) > 0, "this market is too busy for the test"
    at = int(old[-1])
    fresh = int(np.flatnonzero(traded)[-1])
    panel = page.page.locator("#panel-scores")

    def told() -> tuple[str, str, str]:
        page.painted()
        style = panel.locator(".score-grid").evaluate(
            "(grid) => [getComputedStyle(grid).opacity, getComputedStyle(grid).filter]"
        )
        return panel.locator(".stale").inner_text(), str(style[0]), str(style[1])

    page.seek(int(ends[at]))
    assert told() == (f"stale: last trade {ends[at] - last[at]} s ago", GREY_OPACITY, "grayscale(1)")
    page.seek(int(ends[fresh]))
    words, opacity, grey = told()
    assert "stale" not in words
    assert (opacity, grey) == ("1", "none")
    # the limit itself: four seconds after a trade are fresh, five are not
    limit = int(np.flatnonzero((last > 0) & (ends - last == 5))[0])
    page.seek(int(ends[limit - 1]))
    assert told()[1] == "1"
    page.seek(int(ends[limit]))
    assert told()[1] == GREY_OPACITY
