"""How fast the HUD is in a real browser, against a real service on a demo lake.

    uv run python hud/speed.py                  # simulates half an hour first, about a minute
    uv run python hud/speed.py --lake lake/demo

Prints a Markdown table for docs/benchmarks.md. The browser is headless and has no GPU: WebGL2 runs in
software, which the table says. Waiting times are wall time: nothing else should run on the machine, and the
load average is printed to show whether something did.
"""

from __future__ import annotations

import argparse
import gzip
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "hud"))
sys.path.insert(0, str(ROOT))

from pictures import say, simulated  # noqa: E402
from playwright.sync_api import Browser, CDPSession  # noqa: E402
from tests.e2e.browser import Hud, RunningService, chromium  # noqa: E402

ROUNDS: Final = 5
SECONDS_AT_1X: Final = 20
SEEKS: Final = 12
REPLAY_WINDOWS: Final = 3600
PICTURE: Final = """() => {
    // seconds like the newest one, given to ring, field and lines as the stream does
    const { store, heatmap } = window.spymaster;
    const { history } = store;
    const taken = [];
    for (let k = 0; k < 60; k++) {
        const slot = history.head % 1800;
        const planes = {};
        for (const name of Object.keys(history.planes)) {
            planes[name] = history.planes[name].slice(slot * 1201, (slot + 1) * 1201);
        }
        const row = {
            window: history.head + 1, planes, bookValid: true, windowValid: true, phase: 2,
            buyQty: 1, sellQty: 1,
            spot: history.spot[slot], bestBid: history.bestBid[slot], bestAsk: history.bestAsk[slot],
            mid: history.mid[slot], bands: new Array(24).fill(0.5),
            scores: Object.fromEntries(Object.keys(history.scores).map((name) => [name, 0.3])),
        };
        const start = performance.now();
        store.pushWindow(row);
        heatmap.draw(2);
        taken.push(performance.now() - start);
    }
    return taken;
}"""
PAINTED: Final = """async (seek) => {
    const { store } = window.spymaster;
    const start = performance.now();
    if (seek !== null) store.actions.seek(seek);
    while (store.snapshot.stage === 'loading' || store.snapshot.transport.seeking !== null) {
        await new Promise((go) => setTimeout(go, 1));
    }
    await new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)));
    return performance.now() - start;
}"""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Speed of the HUD in a real browser.")
    parser.add_argument("--lake", type=Path, help="a lake with a finished day; without it one is simulated")
    parser.add_argument("--renderer", choices=("webgl2", "canvas2d"), default="webgl2")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        lake = arguments.lake or simulated(Path(scratch) / "lake")
        service = RunningService(lake)
        service.start()
        try:
            with chromium() as browser:
                measure(browser, f"{service.url}/?renderer={arguments.renderer}", arguments.renderer)
        finally:
            service.stop()
    return 0


def measure(browser: Browser, url: str, renderer: str) -> None:
    """All figures of one renderer."""
    first_ms = [first_picture(browser, url) for _ in range(ROUNDS + 1)][1:]
    page = Hud(browser, url)
    page.open("")
    wire = page.page.context.new_cdp_session(page.page)
    # CPU time of the main thread, not wall time: what else runs on the machine shall not count
    wire.send("Performance.enable", {"timeDomain": "threadTicks"})
    script_ms, task_ms = second_at_1x(page, wire)
    seek_ms = seeks(page)
    picture_ms = sorted(page.page.evaluate(PICTURE))
    growth_mb, heap_mb = memory(page, wire)
    page.close()
    bundle = sum(
        len(gzip.compress(f.read_bytes()))
        for f in sorted((ROOT / "src" / "serving" / "static").iterdir())
        if f.suffix in (".js", ".css", ".html")
    )
    words = f"{renderer}, {'software rendering (SwiftShader)' if renderer == 'webgl2' else 'no GPU used'}"
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}"
    say(f"Renderer: {words}; {machine}; load average {load:.1f}")
    say("")
    say("| what | measured | goal |")
    say("| --- | --- | --- |")
    say(
        f"| navigation to first picture, median of {ROUNDS} | {statistics.median(first_ms):.0f} ms"
        " | 1500 ms |"
    )
    low, middle = picture_ms[len(picture_ms) // 4], statistics.median(picture_ms)
    say(f"| ring, field and lines of a second: lower quartile, median | {low:.1f}, {middle:.1f} ms | 4 ms |")
    say(f"| script (CPU) of a second, all panels, mean of {SECONDS_AT_1X} | {script_ms:.1f} ms | - |")
    say(f"| all main-thread work (CPU) of a live second | {task_ms:.1f} ms | - |")
    say(f"| seek to painted, median of {SEEKS} | {statistics.median(seek_ms):.0f} ms | 300 ms |")
    say(
        f"| JavaScript heap after {REPLAY_WINDOWS} s of replay at 60x | {heap_mb:.1f} MB ({growth_mb:+.1f})"
        " | flat |"
    )
    say(f"| page, gzip | {bundle / 1000:.1f} kB | 120 kB |")


def first_picture(browser: Browser, url: str) -> float:
    """ms from navigation to the frame after the half hour arrived, on a page without a cache."""
    page = Hud(browser, url)
    start = time.perf_counter()
    page.page.goto(url, wait_until="commit")
    while not page.page.evaluate("window.spymaster !== undefined"):
        time.sleep(0.005)
    page.page.evaluate(PAINTED, None)
    taken = (time.perf_counter() - start) * 1000
    page.close()
    return taken


def second_at_1x(page: Hud, wire: CDPSession) -> tuple[float, float]:
    """(script ms, task ms) per second that arrives at 1x."""
    first = page.state("s.source.firstWindow")
    page.act(f"seek({first + 600})")
    page.until("s.transport.seeking === null")
    page.act("play()")
    page.page.wait_for_timeout(1500)
    before, at = metrics(wire), page.state("s.history.head")
    page.page.wait_for_timeout(SECONDS_AT_1X * 1000)
    after, seconds = metrics(wire), page.state("s.history.head") - at
    script = (after["ScriptDuration"] - before["ScriptDuration"]) * 1000 / seconds
    return script, (after["TaskDuration"] - before["TaskDuration"]) * 1000 / seconds


def seeks(page: Hud) -> list[float]:
    """ms from a seek to its picture, hither and thither over the day."""
    page.standstill()
    first, last = page.state("[s.source.firstWindow, s.source.lastWindow]")
    taken = []
    for k in range(SEEKS):
        share = (k * 0.381966) % 1.0
        target = first + 300 + int(share * (last - first - 300))
        taken.append(page.page.evaluate(PAINTED, target))
        page.page.wait_for_timeout(200)
    return taken


def memory(page: Hud, wire: CDPSession) -> tuple[float, float]:
    """(growth, end) of the JavaScript heap in MB over an hour of replay at 60x."""
    first, last = page.state("[s.source.firstWindow, s.source.lastWindow]")
    page.act("setSpeed(60)")

    def heap() -> float:
        wire.send("HeapProfiler.collectGarbage")
        return metrics(wire)["JSHeapUsedSize"] / 1e6

    replay(page, first, min(300, last - first))  # warm
    before = heap()
    left = REPLAY_WINDOWS
    while left > 0:
        windows = min(left, last - first - 1)
        replay(page, first, windows)
        left -= windows
    after = heap()
    return after - before, after


def replay(page: Hud, first: int, windows: int) -> None:
    """Play from the day's first window on until so many were shown."""
    page.act("pause()")
    page.act(f"seek({first})")
    page.until("s.transport.seeking === null")
    page.act("play()")
    page.until(f"s.history.head >= {first + windows}", 60 + windows / 20)


def metrics(wire: CDPSession) -> dict[str, Any]:
    """Counters of the browser's main thread."""
    return {one["name"]: one["value"] for one in wire.send("Performance.getMetrics")["metrics"]}


if __name__ == "__main__":
    sys.exit(main())
