"""The floor: a book as one writes it first, with dicts, in plain Python.

It keeps orders and depth per price and side, and the best prices of every second. It counts no flow.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Any

import numpy.typing as npt

from data_eng.dbn_codes import F_SNAPSHOT
from data_eng.units import WINDOW_NS


class PlainBook:
    """Orders by id, depth by price, prices of each side in ascending order."""

    def __init__(self) -> None:
        self.orders: dict[int, tuple[str, int, int]] = {}
        self.depth: dict[str, dict[int, int]] = {"A": {}, "B": {}}
        self.prices: dict[str, list[int]] = {"A": [], "B": []}
        self.bests: list[tuple[int, int, int]] = []
        """(window_end_ns, best bid, best ask), 0 = none"""
        self.window_end_ns = 0

    def apply(self, records: npt.NDArray[Any]) -> None:
        """Apply an array of `MBO_DTYPE` in order."""
        fields = (
            records[n].tolist() for n in ("ts_event", "flags", "action", "side", "order_id", "price", "size")
        )
        for ts, flags, action, side_code, order_id, price, size in zip(*fields, strict=True):
            if not flags & F_SNAPSHOT and ts >= self.window_end_ns:
                self._close_windows(ts)
            if action == 65:  # A
                self._put(order_id, chr(side_code), price, size)
            elif action == 67:  # C
                self._cancel(order_id, size)
            elif action == 77:  # M
                self._put(order_id, chr(side_code), price, size)
            elif action == 82:  # R
                self.orders.clear()
                self.depth = {"A": {}, "B": {}}
                self.prices = {"A": [], "B": []}

    def finish(self) -> None:
        """Close the window of the last record."""
        if self.window_end_ns:
            self._close_windows(self.window_end_ns)

    def _close_windows(self, ts: int) -> None:
        if not self.window_end_ns:
            self.window_end_ns = ts - ts % WINDOW_NS + WINDOW_NS
        bids, asks = self.prices["B"], self.prices["A"]
        best = (bids[-1] if bids else 0, asks[0] if asks else 0)
        while ts >= self.window_end_ns:
            self.bests.append((self.window_end_ns, *best))
            self.window_end_ns += WINDOW_NS

    def _put(self, order_id: int, side: str, price: int, size: int) -> None:
        before = self.orders.get(order_id)
        if before is not None:
            self._take(*before)
            side = before[0]
        self.orders[order_id] = (side, price, size)
        depth = self.depth[side]
        if price in depth:
            depth[price] += size
        else:
            depth[price] = size
            insort(self.prices[side], price)

    def _cancel(self, order_id: int, size: int) -> None:
        before = self.orders.get(order_id)
        if before is None:
            return
        side, price, qty = before
        if size >= qty:
            del self.orders[order_id]
            self._take(side, price, qty)
        else:
            self.orders[order_id] = (side, price, qty - size)
            self._take(side, price, size)

    def _take(self, side: str, price: int, size: int) -> None:
        depth = self.depth[side]
        depth[price] -= size
        if not depth[price]:
            del depth[price]
            prices = self.prices[side]
            del prices[bisect_left(prices, price)]
