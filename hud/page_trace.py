"""What a trace of Chromium says about the main thread of a page: script, and the browser's own work for it.

Script is every slice in which the page's JavaScript runs, whatever started it: messages of the socket,
frames, timers, promises, events; and garbage collection, inside such a slice or on its own. Style and layout
that a script forces is the browser's work and is taken out of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

CATEGORIES: Final = ("devtools.timeline",)
"""what names tasks, script and garbage collection; the fewer events, the less the trace itself costs"""
SCRIPT: Final = frozenset(
    {
        "FunctionCall",
        "v8.callFunction",
        "EvaluateScript",
        "RunMicrotasks",
        "FireAnimationFrame",
        "FireIdleCallback",
        "TimerFire",
        "EventDispatch",
        "MinorGC",
        "MajorGC",
        "V8.GCIncrementalMarking",
        "V8.GCFinalizeMC",
    }
)
BROWSER: Final = frozenset(
    {"UpdateLayoutTree", "Layout", "PrePaint", "Paint", "UpdateLayer", "Layerize", "Commit", "HitTest"}
)
FORCED: Final = frozenset({"UpdateLayoutTree", "Layout", "PrePaint", "Paint"})


@dataclass(frozen=True)
class Slice:
    """A stretch of the main thread's time. Times in microseconds; `cpu_us` is what the thread itself ran."""

    name: str
    start_us: float
    wall_us: float
    cpu_us: float


def main_thread(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Complete events of the thread that fires the page's frames, outer ones first. Empty without frames."""
    complete = [event for event in events if event.get("ph") == "X" and "dur" in event]
    frames = Counter(
        (event["pid"], event["tid"]) for event in complete if event["name"] == "FireAnimationFrame"
    )
    if not frames:
        return []
    thread = frames.most_common(1)[0][0]
    mine = [event for event in complete if (event["pid"], event["tid"]) == thread]
    return sorted(mine, key=lambda event: (event["ts"], -event["dur"]))


def script_slices(events: Sequence[dict[str, Any]]) -> list[Slice]:
    """Outermost slices of script, less the style and layout they forced; events of `main_thread`."""
    slices: list[Slice] = []
    end = forced_end = float("-inf")
    for event in events:
        start, wall, cpu = event["ts"], event["dur"], event.get("tdur", event["dur"])
        if event["name"] in SCRIPT and start >= end:
            slices.append(Slice(event["name"], start, wall, cpu))
            end = start + wall
        elif event["name"] in FORCED and start < end and start >= forced_end:
            last = slices[-1]
            slices[-1] = Slice(last.name, last.start_us, last.wall_us - wall, last.cpu_us - cpu)
            forced_end = start + wall
    return slices


def browser_slices(events: Sequence[dict[str, Any]]) -> list[Slice]:
    """Outermost slices of style, layout and painting, forced by script or not."""
    slices: list[Slice] = []
    end = float("-inf")
    for event in events:
        if event["name"] in BROWSER and event["ts"] >= end:
            slices.append(Slice(event["name"], event["ts"], event["dur"], event.get("tdur", event["dur"])))
            end = event["ts"] + event["dur"]
    return slices


def per_second_ms(slices: Iterable[Slice], starts_us: Sequence[float], *, wall: bool = False) -> list[float]:
    """Sum of the slices from each start to the next one, ms; none before the first or after the last."""
    sums = [0.0] * max(0, len(starts_us) - 1)
    k = 0
    for one in sorted(slices, key=lambda one: one.start_us):
        while k < len(sums) and one.start_us >= starts_us[k + 1]:
            k += 1
        if k < len(sums) and one.start_us >= starts_us[k]:
            sums[k] += (one.wall_us if wall else one.cpu_us) / 1000
    return sums


def marks(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the page said with ``console.timeStamp``, in order: name, ts, and tts, the thread's own time."""
    found = [
        {"name": event["args"]["data"]["message"], "ts": event["ts"], "tts": event.get("tts", event["ts"])}
        for event in events
        if event.get("name") == "TimeStamp"
    ]
    return sorted(found, key=lambda mark: float(mark["ts"]))
