"""Work beside the main thread keeps order, is bounded, and brings every fault home."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_eng.background import WriteBehind, prefetch

WAIT_S = 20.0
"""how long a test waits for a thread before it calls that a failure; never a measure of speed"""


class Boom(Exception):
    """Raised on purpose."""


@settings(max_examples=30)
@given(st.lists(st.integers(), max_size=20), st.integers(0, 4))
def test_prefetch_gives_the_same_items_in_order(items, depth):
    assert list(prefetch(iter(items), depth)) == items


@settings(max_examples=30)
@given(st.lists(st.integers(), max_size=20), st.integers(0, 4))
def test_write_behind_writes_the_same_items_in_order(items, depth):
    written: list[int] = []
    with WriteBehind(written.append, depth) as sink:
        for item in items:
            sink.put(item)
    assert written == items


def test_prefetch_works_in_a_thread_of_its_own_and_runs_ahead_only_so_far() -> None:
    made: list[int] = []
    threads: set[int] = set()
    reached = threading.Event()

    def items() -> Iterator[int]:
        for k in range(100):
            made.append(k)
            threads.add(threading.get_ident())
            if k == 3:
                reached.set()
            yield k

    stream = prefetch(items(), depth=2)
    assert next(stream) == 0
    assert reached.wait(WAIT_S), "two items wait in the queue and one in the producer's hand"
    assert len(made) <= 5
    assert threads.isdisjoint({threading.get_ident()})
    stream.close()


def test_a_producers_fault_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield from (1, 2)
        raise Boom("cut file")

    stream = prefetch(items())
    assert [next(stream), next(stream)] == [1, 2]
    with pytest.raises(Boom, match="cut file"):
        next(stream)


def test_leaving_early_stops_the_thread_and_closes_the_source() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(1_000_000)
        finally:
            closed.set()

    before = threading.active_count()
    stream = prefetch(items())
    assert next(stream) == 0
    stream.close()
    assert closed.is_set(), "close waits for the thread, so the file is closed when it returns"
    assert threading.active_count() == before


def test_a_writers_fault_is_raised_once_and_later_items_are_dropped() -> None:
    written: list[int] = []

    def write(item: int) -> None:
        if item == 2:
            raise Boom("disk full")
        written.append(item)

    def put_all() -> None:
        with WriteBehind(write) as sink:
            for item in range(1_000):
                sink.put(item)

    with pytest.raises(Boom, match="disk full"):
        put_all()
    assert written == [0, 1]


def test_a_writers_fault_on_the_last_item_is_raised_on_leaving() -> None:
    def write(_: int) -> None:
        raise Boom("disk full")

    with pytest.raises(Boom, match="disk full"), WriteBehind(write) as sink:
        sink.put(1)


def test_a_fault_of_the_body_is_the_one_that_is_raised() -> None:
    def write(_: int) -> None:
        raise Boom("the writer's")

    def fail() -> None:
        with WriteBehind(write) as sink:
            sink.put(1)
            raise KeyError("the body's")

    with pytest.raises(KeyError, match="the body's"):
        fail()


def test_write_behind_waits_for_a_slow_writer_and_never_holds_more_than_depth() -> None:
    go_on, full = threading.Event(), threading.Event()
    written: list[int] = []
    put: list[int] = []

    def write(item: int) -> None:
        assert go_on.wait(WAIT_S)
        written.append(item)

    def fill(sink: WriteBehind[int]) -> None:
        for item in range(10):
            sink.put(item)
            put.append(item)
            if len(put) == 3:
                full.set()

    with WriteBehind(write, depth=2) as sink:
        filler = threading.Thread(target=fill, args=(sink,))
        filler.start()
        assert full.wait(WAIT_S)
        assert len(put) <= 4, "one in the writer's hand, two waiting, one being put"
        go_on.set()
        filler.join(WAIT_S)
    assert written == list(range(10))
