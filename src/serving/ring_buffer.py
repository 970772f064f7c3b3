"""The last windows of a clock: a ring of fixed size on a gap-free axis of windows (spec 9.1).

Pure: no clock, no socket. One ring belongs to one shared clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from data_eng.units import HUD_HISTORY_WINDOWS, WINDOW_NS

Item = TypeVar("Item")


class RingBuffer(Generic[Item]):
    """At most `capacity` windows, oldest dropped first; append is O(1).

    An append that does not follow the newest window (a clock that jumped) starts the ring anew, so that
    what it holds never has a gap.
    """

    def __init__(self, capacity: int = HUD_HISTORY_WINDOWS) -> None:
        if capacity < 1:
            raise ValueError(f"capacity is {capacity}, expected at least 1 window")
        self.capacity = capacity
        self._slots: list[Item | None] = [None] * capacity
        self._count = 0
        self._head = 0
        self._newest_ts_ns = 0

    def append(self, window_end_ts_ns: int, item: Item) -> None:
        """Add the window that ends at `window_end_ts_ns` (UTC ns)."""
        if self._count and window_end_ts_ns != self._newest_ts_ns + WINDOW_NS:
            self.clear()
        self._slots[self._head] = item
        self._head = (self._head + 1) % self.capacity
        self._count = min(self._count + 1, self.capacity)
        self._newest_ts_ns = window_end_ts_ns

    def clear(self) -> None:
        """Forget every window."""
        self._slots = [None] * self.capacity
        self._count = self._head = self._newest_ts_ns = 0

    def get(self, window_end_ts_ns: int) -> Item | None:
        """What was appended for that window, None when the ring does not hold it. O(1)."""
        back, off_grid = divmod(self._newest_ts_ns - window_end_ts_ns, WINDOW_NS)
        if off_grid or not 0 <= back < self._count:
            return None
        return self._slots[(self._head - 1 - back) % self.capacity]

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[int, Item]]:
        """(window_end_ts_ns, item), oldest first."""
        for back in range(self._count - 1, -1, -1):
            item = self._slots[(self._head - 1 - back) % self.capacity]
            assert item is not None
            yield self._newest_ts_ns - back * WINDOW_NS, item

    @property
    def oldest_ts_ns(self) -> int | None:
        """window_end of the oldest window, None when empty."""
        return self._newest_ts_ns - (self._count - 1) * WINDOW_NS if self._count else None

    @property
    def newest_ts_ns(self) -> int | None:
        """window_end of the newest window, None when empty."""
        return self._newest_ts_ns if self._count else None
