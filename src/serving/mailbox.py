"""What waits for one client of a shared clock: a few windows, then whole windows are dropped, oldest first.

Pure: time is an argument, in ns of any monotonic clock (spec 9.4, "slow client").
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class Gap:
    """Windows from_seq .. to_seq, both included, were dropped."""

    from_seq: int
    to_seq: int

    @property
    def count(self) -> int:
        """How many windows."""
        return self.to_seq - self.from_seq + 1


class Mailbox(Generic[Item]):
    """At most `capacity` windows for one client; putting one in never waits.

    A client is over the limit from the first window that found no room until one finds room again.
    """

    def __init__(self, capacity: int, patience_ns: int) -> None:
        self.capacity = capacity
        self.patience_ns = patience_ns
        self.dropped = 0
        self._windows: deque[tuple[int, Item]] = deque()
        self._gap: Gap | None = None
        self._over_since_ns: int | None = None

    def put(self, seq: int, item: Item, now_ns: int) -> None:
        """Add window `seq`; the oldest window goes when there is no room."""
        if len(self._windows) < self.capacity:
            self._over_since_ns = None
        else:
            if self._over_since_ns is None:
                self._over_since_ns = now_ns
            lost, _ = self._windows.popleft()
            first = lost if self._gap is None else self._gap.from_seq
            self._gap = Gap(first, lost)
            self.dropped += 1
        self._windows.append((seq, item))

    def take(self) -> tuple[Gap | None, int, Item] | None:
        """The oldest window, with the gap before it; None when there is none."""
        if not self._windows:
            return None
        gap, self._gap = self._gap, None
        return gap, *self._windows.popleft()

    def is_over(self, now_ns: int) -> bool:
        """Whether the client has been over the limit for longer than is borne."""
        return self._over_since_ns is not None and now_ns - self._over_since_ns >= self.patience_ns

    def __len__(self) -> int:
        return len(self._windows)
