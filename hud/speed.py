"""How fast the HUD is in a real browser, against a real service on a demo lake.

    uv run python hud/speed.py                  # simulates half an hour first, about a minute
    uv run python hud/speed.py --lake lake/demo
    uv run python hud/speed.py --lake lake/demo --renderer webgl2

Prints a Markdown table for docs/benchmarks.md. The browser is headless and has no GPU: by default the page
chooses Canvas2D there, and `--renderer webgl2` makes it draw WebGL2 in software; the table says which.
The goal of a live second is judged by the first figure: CPU time of all script on the page's main thread
between one second and the next - socket, frames, timers, promises, garbage collection -, read from a trace of
the browser, so that no work is left out by the frame it runs in. CPU time, because the browser shares the
cores with the service and with its own raster threads. Waiting times are wall time: nothing else should run
on the machine, and the load average is printed to show whether something did.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "hud"))
sys.path.insert(0, str(ROOT))

from page_trace import (  # noqa: E402
    CATEGORIES,
    Slice,
    browser_slices,
    main_thread,
    marks,
    per_second_ms,
    script_slices,
)
from pictures import say, simulated  # noqa: E402
from playwright.sync_api import Browser, CDPSession  # noqa: E402
from tests.e2e.browser import Hud, RunningService, chromium  # noqa: E402

ROUNDS: Final = 5
SECONDS_AT_1X: Final = 45
SECONDS_OF_PARTS: Final = 25
WARM_SECONDS: Final = 300
WARM_SPEED: Final = 30
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
SECOND: Final = """() => {
    // where a second begins in the trace: its message is read, and the picture of it is not asked for yet
    const { store } = window.spymaster;
    const push = store.pushWindow;
    store.pushWindow = function (row) {
        console.timeStamp('second');
        push.call(this, row);
    };
}"""
PARTS: Final = """() => {
    const { panels, heatmap, store } = window.spymaster;
    const wrap = (owner, name, part) => {
        const run = owner[name];
        owner[name] = function (...rest) {
            console.timeStamp('>' + part);
            try { return run.apply(this, rest); } finally { console.timeStamp('<' + part); }
        };
    };
    for (const panel of panels) wrap(panel, 'draw', panel.id);
    wrap(heatmap.field, 'upload', 'heatmap: ring');
    wrap(heatmap.field, 'draw', 'heatmap: field');
    wrap(heatmap.overlay, 'draw', 'heatmap: lines');
    wrap(store, 'pushWindow', 'store');
}"""
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
    wire.send("Performance.enable")
    begin_at_1x(page)
    seconds = seconds_at_1x(browser, page)
    what = f"all script of a live second (CPU), {len(seconds.script_ms)} of them: median, p95"
    say(f"| {what} | {spread(seconds.script_ms)} ms | 4 ms |")
    say(f"| the same in wall time | {spread(seconds.wall_ms)} ms | - |")
    for kind, each_ms in seconds.kinds_ms.items():
        say(f"| of it {kind}: median, p95 | {spread(each_ms)} ms | - |")
    what = "style, layout and painting by the browser's main thread (CPU): median, p95"
    say(f"| {what} | {spread(seconds.browser_ms)} ms | - |")
    parts = parts_at_1x(browser, page)
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
    bundle_bytes = sum(
        len(gzip.compress(f.read_bytes()))
        for f in sorted((ROOT / "src" / "serving" / "static").iterdir())
        if f.suffix in (".js", ".css", ".html")
    )
    say(f"| page, gzip | {bundle_bytes / 1000:.1f} kB | 120 kB |")
    say("")
    say(f"| part, CPU of each of {SECONDS_OF_PARTS} live seconds | median, p95 |")
    say("| --- | --- |")
    for part, each_ms in sorted(parts.items(), key=lambda item: -statistics.median(item[1])):
        rising = sorted(each_ms)
        say(f"| {part} | {statistics.median(rising):.2f}, {rising[int(0.95 * (len(rising) - 1))]:.2f} ms |")


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


@dataclass(frozen=True)
class Seconds:
    """Milliseconds of the main thread per live second."""

    script_ms: list[float]
    wall_ms: list[float]
    kinds_ms: dict[str, list[float]]
    browser_ms: list[float]


KINDS: Final = {
    "frames": {"FireAnimationFrame"},
    "messages of the socket": {"FunctionCall", "v8.callFunction", "EventDispatch"},
    "timers, promises, other": {"TimerFire", "RunMicrotasks", "EvaluateScript", "FireIdleCallback"},
    "garbage collection by itself": {"MinorGC", "MajorGC", "V8.GCIncrementalMarking", "V8.GCFinalizeMC"},
}


def begin_at_1x(page: Hud) -> None:
    """A page that has been playing for some minutes, at 1x now: its functions ran as often as by then."""
    first = page.state("s.source.firstWindow")
    page.act(f"seek({first + 300})")
    page.until("s.transport.seeking === null")
    page.act(f"setSpeed({WARM_SPEED})")
    page.act("play()")
    page.until(f"s.history.head >= {first + 300 + WARM_SECONDS}", 3 * WARM_SECONDS / WARM_SPEED + 30)
    page.act("setSpeed(1)")
    page.page.evaluate(SECOND)
    page.page.wait_for_timeout(4000)


def traced(browser: Browser, page: Hud, seconds: int) -> list[dict[str, Any]]:
    """Events of a trace of so many seconds."""
    browser.start_tracing(page=page.page, categories=list(CATEGORIES))
    page.page.wait_for_timeout(seconds * 1000)
    events: list[dict[str, Any]] = json.loads(browser.stop_tracing())["traceEvents"]
    return events


def seconds_at_1x(browser: Browser, page: Hud) -> Seconds:
    """What each second that arrives at 1x costs, whichever task it runs in. Nothing but the trace watches."""
    events = traced(browser, page, SECONDS_AT_1X + 1)
    # numbers of a second come just before its picture, everything else of it long before the next one's
    starts_us = [mark["ts"] - 50_000.0 for mark in marks(events) if mark["name"] == "second"]
    main = main_thread(events)
    script = script_slices(main)
    return Seconds(
        per_second_ms(script, starts_us),
        per_second_ms(script, starts_us, wall=True),
        {
            kind: per_second_ms([one for one in script if one.name in names], starts_us)
            for kind, names in KINDS.items()
        },
        per_second_ms(browser_slices(main), starts_us),
    )


def parts_at_1x(browser: Browser, page: Hud) -> dict[str, list[float]]:
    """CPU ms of each panel in each second; measured apart, since the watching costs something itself."""
    page.page.evaluate(PARTS)
    said = marks(traced(browser, page, SECONDS_OF_PARTS + 1))
    starts_us = [mark["ts"] - 50_000.0 for mark in said if mark["name"] == "second"]
    slices: dict[str, list[Slice]] = {}
    began: dict[str, dict[str, Any]] = {}
    for mark in said:
        part = mark["name"][1:]
        if mark["name"].startswith(">"):
            began[part] = mark
        elif mark["name"].startswith("<") and part in began:
            start = began.pop(part)
            slices.setdefault(part, []).append(
                Slice(part, start["ts"], mark["ts"] - start["ts"], mark["tts"] - start["tts"])
            )
    return {part: per_second_ms(found, starts_us) for part, found in slices.items()}


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
