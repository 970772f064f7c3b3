"""The replay clock: equal to its twin under any commands, without drift, and refusing without a change."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.transport import MAX, Transport, TransportError, checked_speed
from tests.naive.transport import PlainClock, Refused

SECOND = 1_000_000_000
SPEEDS = st.one_of(
    st.sampled_from([0.1, 0.3, 1.0, 2.0, 3.0, 7.0, 20.0, 1000.0, MAX, 0.05, 2000.0]),
    st.floats(0.1, 1000, allow_nan=False),
)


@st.composite
def scripts(draw: st.DrawFn) -> tuple[int, int, float, list[tuple[Any, ...]]]:
    """(windows, start, speed, what happens)."""
    windows = draw(st.integers(1, 40))
    start = draw(st.integers(0, windows))
    speed = draw(st.sampled_from([0.1, 1.0, 3.0, 1000.0, MAX]))
    step = st.one_of(
        st.tuples(st.just("wait"), st.integers(0, 4 * SECOND)),
        st.tuples(st.just("wait"), st.sampled_from([1, SECOND - 1, SECOND, SECOND // 3, SECOND // 3 + 1])),
        st.tuples(st.just("play")),
        st.tuples(st.just("pause")),
        st.tuples(st.just("seek"), st.integers(-2, windows + 2)),
        st.tuples(st.just("speed"), SPEEDS),
        st.tuples(st.just("step"), st.integers(-5, 5)),
    )
    return windows, start, speed, draw(st.lists(step, max_size=30))


@settings(max_examples=300)
@given(scripts(), st.integers(1, 3))
def test_the_clock_equals_its_twin(script: tuple[int, int, float, list[tuple[Any, ...]]], burst: int) -> None:
    windows, start, speed, steps = script
    now = 5
    clock, twin = Transport(windows, start, now, speed=speed), PlainClock(windows, start, now, speed)
    for what, *values in steps:
        if what == "wait":
            now += values[0]
        else:
            _both(clock, twin, what, now, values)
        for _ in range(burst):
            due = clock.due(now)
            assert due == twin.due(now)
            if due is None:
                break
            clock.sent()
            twin.sent()
        see = twin.picture()
        assert (clock.position, clock.playing, clock.speed) == (see["at"], see["playing"], see["speed"])
        assert clock.ended == (see["next"] >= windows)
        assert clock.stepping == (see["steps"] > 0)


def _both(clock: Transport, twin: PlainClock, what: str, now: int, values: list[Any]) -> None:
    try:
        twin.command(what, now, *values)
    except Refused:
        before = vars(clock).copy()
        with pytest.raises(TransportError):
            _obey(clock, what, now, values)
        assert vars(clock) == before, "a refused command changes nothing"
    else:
        _obey(clock, what, now, values)


def _obey(clock: Transport, what: str, now: int, values: list[Any]) -> None:
    {
        "play": clock.play,
        "pause": clock.pause,
        "seek": clock.seek,
        "speed": clock.set_speed,
        "step": clock.step,
    }[what](*values, now)


@given(st.sampled_from([0.1, 0.3, 1.0, 3.0, 7.0, 999.9]), st.lists(st.integers(0, SECOND), max_size=50))
def test_late_sending_never_adds_up(speed: float, delays: list[int]) -> None:
    clock, now = Transport(10_000, 0, 0, speed=speed), 0
    for delay in delays:
        due = clock.due_ns()
        assert due is not None
        assert (
            due == -(-Fraction(clock.position * SECOND + (SECOND if now else 0)) // Fraction(speed))
            or not now
        )
        now = max(due, now) + delay
        assert clock.due(now) is not None
        clock.sent()
    wanted = Fraction(len(delays) * SECOND) / Fraction(speed)
    found = clock.due_ns()
    assert found is not None
    assert 0 <= found - wanted < 1, "window k is due k / speed seconds after the start, whatever happened"


def test_a_day_at_a_third_of_a_second_ends_exactly_when_it_should() -> None:
    clock = Transport(86_400, 0, 0, speed=3.0)
    while not clock.ended:
        due = clock.due_ns()
        assert due is not None
        last = due
        clock.sent()
    assert last == -(-86_399 * SECOND // 3)


def test_seek_sends_the_window_sought_next() -> None:
    clock = Transport(100, 0, 0)
    clock.seek(50, 7)
    assert (clock.position, clock.due(7)) == (50, 50)


def test_steps_back_stop_at_the_first_window() -> None:
    clock = Transport(10, 2, 0, playing=False)
    clock.step(-5, 0)
    assert clock.due(0) == 0
    clock.sent()
    assert clock.due(10 * SECOND) is None
    clock.step(100, 0)
    sent = []
    while (k := clock.due(0)) is not None:
        sent.append(k)
        clock.sent()
    assert sent == list(range(1, 10))
    with pytest.raises(TransportError, match="last window"):
        clock.step(1, 0)


@pytest.mark.parametrize("speed", [0.0999, 1000.1, 0.0, -1.0, float("nan"), -MAX])
def test_speeds_outside_the_protocol_are_refused(speed: float) -> None:
    with pytest.raises(TransportError):
        checked_speed(speed)


@pytest.mark.parametrize(("windows", "start"), [(0, 0), (5, 6), (5, -1)])
def test_a_clock_needs_a_window_to_start_with(windows: int, start: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        Transport(windows, start)


def test_sending_without_a_window_due_is_our_bug() -> None:
    with pytest.raises(ValueError, match="no window"):
        Transport(1, 1).sent()
