"""The ring equals a list of the last windows under any appends."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from data_eng.units import HUD_HISTORY_WINDOWS
from serving.ring_buffer import RingBuffer

SECOND = 1_000_000_000


class RingModel(RuleBasedStateMachine):
    """A plain list beside the ring."""

    @initialize(capacity=st.integers(1, 7))
    def begin(self, capacity: int) -> None:
        self.ring: RingBuffer[int] = RingBuffer(capacity)
        self.plain: list[tuple[int, int]] = []
        self.capacity = capacity

    @rule(item=st.integers(), first=st.integers(1, 10**9))
    def append_next(self, item: int, first: int) -> None:
        end = self.plain[-1][0] + SECOND if self.plain else first * SECOND
        self.ring.append(end, item)
        self.plain = [*self.plain, (end, item)][-self.capacity :]

    @rule(item=st.integers(), jump=st.integers(-20, 20).filter(lambda n: n != 1))
    def append_after_a_jump(self, item: int, jump: int) -> None:
        if self.plain:
            end = self.plain[-1][0] + jump * SECOND
            self.ring.append(end, item)
            self.plain = [(end, item)]

    @rule()
    def clear(self) -> None:
        self.ring.clear()
        self.plain = []

    @invariant()
    def they_hold_the_same(self) -> None:
        if not hasattr(self, "ring"):
            return
        assert list(self.ring) == self.plain
        assert len(self.ring) == len(self.plain) <= self.capacity
        assert self.ring.oldest_ts_ns == (self.plain[0][0] if self.plain else None)
        assert self.ring.newest_ts_ns == (self.plain[-1][0] if self.plain else None)
        for end, item in self.plain:
            assert self.ring.get(end) == item
            assert self.ring.get(end + 1) is None
        if self.plain:
            assert self.ring.get(self.plain[0][0] - SECOND) is None
            assert self.ring.get(self.plain[-1][0] + SECOND) is None


TestRing = RingModel.TestCase
TestRing.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_the_default_holds_half_an_hour_and_drops_the_oldest() -> None:
    ring: RingBuffer[int] = RingBuffer()
    for k in range(1, HUD_HISTORY_WINDOWS + 11):
        ring.append(k * SECOND, k)
        assert len(ring) == min(k, 1800)
    assert (ring.oldest_ts_ns, ring.newest_ts_ns) == (11 * SECOND, 1810 * SECOND)
    assert ring.get(10 * SECOND) is None
    assert ring.get(11 * SECOND) == 11


@given(st.integers(max_value=0))
def test_a_ring_has_room_for_a_window(capacity: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        RingBuffer(capacity)
