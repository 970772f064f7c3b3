"""How fast the HUD is in a real browser, against a real service on a demo lake.

    uv run python hud/speed.py                  # simulates half an hour first, about a minute
    uv run python hud/speed.py --lake lake/demo
    uv run python hud/speed.py --lake lake/demo --renderer webgl2

Prints a Markdown table for docs/benchmarks.md. The browser is headless and has no GPU: by default the page
chooses Canvas2D there, and `--renderer webgl2` makes it draw WebGL2 in software; the table says which.
Waiting times are wall time: nothing else should run on the machine, and the load average is printed to show
whether something did.
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
from collections.abc import Sequence
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
HOVERS: Final = 24
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
HOOKS: Final = """(() => {
    // script of a second: the handler of its message, and the frame that shows it. Pixels are made elsewhere:
    // by the browser's raster threads and, for WebGL2, by its GPU process.
    const applied = window.appliedMs = [];
    let heard = null;
    const { requestAnimationFrame: ask } = window;
    window.requestAnimationFrame = (run) => ask.call(window, (now) => {
        const start = performance.now();
        run(now);
        if (heard !== null) applied.push(heard + performance.now() - start);
        heard = null;
    });
    const { set, get } = Object.getOwnPropertyDescriptor(WebSocket.prototype, 'onmessage');
    Object.defineProperty(WebSocket.prototype, 'onmessage', { get, set(handler) {
        set.call(this, handler && ((event) => {
            const start = performance.now();
            handler.call(this, event);
            if (typeof event.data !== 'string') heard = (heard ?? 0) + performance.now() - start;
        }));
    } });
})()"""
HOVER: Final = """async ([window_, ticks]) => {
    const { store } = window.spymaster;
    const { viewport } = store.snapshot;
    const host = document.getElementById('panel-heatmap');
    const place = host.getBoundingClientRect();
    const box = document.querySelector('.cell-box');
    const title = () => box.querySelector('.cell-title')?.textContent;
    const before = title();
    const start = performance.now();
    host.dispatchEvent(new PointerEvent('pointermove', {
        bubbles: true,
        clientX: place.left + viewport.xOfSecond(window_ - 0.5),
        clientY: place.top + viewport.yOfTicks(ticks),
    }));
    while (box.hidden || title() === before || box.dataset.ready !== 'true') {
        await new Promise((go) => setTimeout(go, 0));
    }
    return performance.now() - start;
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
    parser.add_argument("--renderer", choices=("chosen", "webgl2", "canvas2d"), default="chosen")
    parser.add_argument(
        "--replay",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="the heap over an hour of replay",
    )
    arguments = parser.parse_args()
    query = "" if arguments.renderer == "chosen" else f"?renderer={arguments.renderer}"
    with tempfile.TemporaryDirectory() as scratch:
        lake = arguments.lake or simulated(Path(scratch) / "lake")
        service = RunningService(lake)
        service.start()
        try:
            with chromium() as browser:
                measure(browser, f"{service.url}/{query}", arguments.renderer, arguments.replay)
        finally:
            service.stop()
    return 0


def measure(browser: Browser, url: str, wanted: str, with_replay: bool) -> None:
    """All figures of one renderer."""
    page = Hud(browser, url)
    page.page.add_init_script(HOOKS)
    page.open("")
    renderer = page.state("s.renderer")
    how = {"webgl2": "software rendering (SwiftShader)", "canvas2d": "no GPU used"}[renderer]
    words = f"{renderer}, {how}, {'chosen by the page' if wanted == 'chosen' else 'asked for'}"
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}"
    say(f"Renderer: {words}; {machine}; load average {load:.1f}")
    say("")
    say("| what | measured | goal |")
    say("| --- | --- | --- |")
    wire = page.page.context.new_cdp_session(page.page)
    # CPU time of the main thread, not wall time: what else runs on the machine shall not count
    wire.send("Performance.enable", {"timeDomain": "threadTicks"})
    script_ms, task_ms, applied_ms = second_at_1x(page, wire)
    say(f"| a live second applied, message to drawn panels: median, p95 | {spread(applied_ms)} ms | 4 ms |")
    say(f"| script (CPU) of a live second, whole page, mean of {SECONDS_AT_1X} | {script_ms:.1f} ms | - |")
    say(f"| all main-thread work (CPU) of a live second | {task_ms:.1f} ms | - |")
    say(f"| seek to painted, {SEEKS} times: median, quickest | {quickest(seeks(page))} ms | 300 ms |")
    what = f"pointer to a cell's true numbers, {HOVERS} times: median, p95"
    say(f"| {what} | {spread(hovers(page))} ms | 100 ms |")
    picture_ms = page.page.evaluate(PICTURE)
    say(f"| ring, field and lines of a second: median, p95 | {spread(picture_ms)} ms | - |")
    if with_replay:
        page.open("")  # the seconds just made up do not lie in the lake
        growth_mb, heap_mb = memory(page, wire)
        words = f"JavaScript heap after {REPLAY_WINDOWS} s of replay at 60x"
        say(f"| {words} | {heap_mb:.1f} MB ({growth_mb:+.1f}) | flat |")
    page.close()
    first_ms, whole_ms = zip(*[first_picture(browser, url) for _ in range(ROUNDS + 1)][1:], strict=True)
    first = f"navigation to first picture, {ROUNDS} times: median, quickest"
    say(f"| {first} | {quickest(first_ms)} ms | 1500 ms |")
    say(f"| the same to the whole half hour | {quickest(whole_ms)} ms | - |")
    bundle = sum(
        len(gzip.compress(f.read_bytes()))
        for f in sorted((ROOT / "src" / "serving" / "static").iterdir())
        if f.suffix in (".js", ".css", ".html")
    )
    say(f"| page, gzip | {bundle / 1000:.1f} kB | 120 kB |")


def spread(values: Sequence[float]) -> str:
    """Median and 95th hundredth."""
    rising = sorted(values)
    return f"{statistics.median(rising):.1f}, {rising[int(0.95 * (len(rising) - 1))]:.1f}"


def quickest(values: Sequence[float]) -> str:
    """Median, and what least was in the way of."""
    return f"{statistics.median(values):.0f}, {min(values):.0f}"


def first_picture(browser: Browser, url: str) -> tuple[float, float]:
    """ms from navigation to the frame with all that the view shows, and to the whole half hour; no cache."""
    page = Hud(browser, url)
    start = time.perf_counter()
    page.page.goto(url, wait_until="commit")
    while not page.page.evaluate("window.spymaster !== undefined"):
        time.sleep(0.005)
    page.page.evaluate(PAINTED, None)
    taken = (time.perf_counter() - start) * 1000
    head, first = page.state("[s.history.head, s.source.firstWindow]")
    page.until(f"s.history.oldest <= Math.max({first}, {head} - 1799) || s.history.head > {head} + 60")
    whole = (time.perf_counter() - start) * 1000
    page.close()
    return taken, whole


def second_at_1x(page: Hud, wire: CDPSession) -> tuple[float, float, list[float]]:
    """Script ms and task ms per second that arrives at 1x, and what applying each took."""
    first = page.state("s.source.firstWindow")
    page.act(f"seek({first + 600})")
    page.until("s.transport.seeking === null")
    page.act("play()")
    page.page.wait_for_timeout(1500)
    page.page.evaluate("window.appliedMs.length = 0")
    before, at = metrics(wire), page.state("s.history.head")
    page.page.wait_for_timeout(SECONDS_AT_1X * 1000)
    after, seconds = metrics(wire), page.state("s.history.head") - at
    script = (after["ScriptDuration"] - before["ScriptDuration"]) * 1000 / seconds
    applied: list[float] = page.page.evaluate("window.appliedMs")
    return script, (after["TaskDuration"] - before["TaskDuration"]) * 1000 / seconds, applied


def hovers(page: Hud) -> list[float]:
    """ms from the pointer's move to the numbers of a cell whose second was not asked for before."""
    page.standstill()
    head = page.state("s.history.head")
    taken = []
    for k in range(HOVERS):
        window = head - 10 - 11 * k
        spot = page.state(f"s.history.spot[s.history.slotOf({window})]")
        if spot is not None:
            taken.append(page.page.evaluate(HOVER, [window, spot + k % 5 - 2]))
        page.page.wait_for_timeout(150)
    page.act("setCursor(null)")
    return taken


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
