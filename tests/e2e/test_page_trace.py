"""Sums over a trace of the browser, on made-up traces: no browser is needed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "hud"))

from page_trace import browser_slices, main_thread, marks, per_second_ms, script_slices


def _event(name: str, ts: float, dur: float, *, tid: int = 1, tdur: float | None = None) -> dict[str, Any]:
    return {"ph": "X", "pid": 7, "tid": tid, "name": name, "ts": ts, "dur": dur, "tdur": tdur or dur}


# a frame that forces style and layout, calls a function, and is followed by promises, a collection, and paint
TRACE = [
    _event("Paint", 900, 300),
    _event("FunctionCall", 110, 300),
    _event("FireAnimationFrame", 100, 500, tdur=400),
    _event("UpdateLayoutTree", 150, 60, tdur=50),
    _event("Layout", 170, 20),
    _event("RunMicrotasks", 650, 100),
    _event("MinorGC", 680, 10),
    _event("MajorGC", 800, 40),
    _event("FunctionCall", 100, 5000, tid=2),
    {"ph": "I", "pid": 7, "tid": 1, "name": "FunctionCall", "ts": 5},
]


def test_only_the_thread_with_the_frames_counts() -> None:
    assert {event["tid"] for event in main_thread(TRACE)} == {1}
    assert main_thread([event for event in TRACE if event["name"] != "FireAnimationFrame"]) == []


def test_script_is_counted_once_and_without_what_the_browser_did_for_it() -> None:
    found = script_slices(main_thread(TRACE))
    assert [(one.name, one.cpu_us) for one in found] == [
        ("FireAnimationFrame", 350),
        ("RunMicrotasks", 100),
        ("MajorGC", 40),
    ]
    assert found[0].wall_us == 440


def test_the_browsers_own_work_is_counted_apart() -> None:
    assert [one.name for one in browser_slices(main_thread(TRACE))] == ["UpdateLayoutTree", "Paint"]


@pytest.mark.parametrize(("wall", "first"), [(False, 0.45), (True, 0.54)])
def test_every_slice_falls_in_one_second(wall: bool, first: float) -> None:
    slices = script_slices(main_thread(TRACE))
    assert per_second_ms(slices, [90, 700, 2000], wall=wall) == pytest.approx([first, 0.04])
    assert per_second_ms(slices, [200, 700]) == pytest.approx([0.1]), "what began before is another second's"
    assert per_second_ms(slices, [1]) == []


def test_marks_come_in_order() -> None:
    said = [
        {"name": "TimeStamp", "ts": ts, "tts": ts - 1, "args": {"data": {"message": word}}}
        for ts, word in ((9, "<ladder"), (4, ">ladder"))
    ]
    assert [(mark["name"], mark["tts"]) for mark in marks([*said, *TRACE])] == [
        (">ladder", 3),
        ("<ladder", 8),
    ]
