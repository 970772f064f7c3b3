"""Exact quantiles of a stream of any length in bounded memory: numpy's value, bit for bit.

A value is kept as a 64-bit key whose order is the order of the numbers, and only distinct keys are counted:
terms made of small integers repeat all day, so one pass is normally enough. When distinct keys exceed the
limit, keys are shortened to their leading bits; after the pass the few buckets that hold the wanted order
statistics are known, and one more pass over the stream looks only inside them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from data_eng.errors import SpymasterError

Floats = npt.NDArray[np.float64]
Keys = npt.NDArray[np.uint64]

DISTINCT_LIMIT: Final = 1 << 20
"""distinct keys one counter may hold: 16 MB"""
_PENDING: Final = 1 << 18
"""values gathered before they are sorted into the counts"""
_SHORTEN_BITS: Final = 4
_SIGN: Final = np.uint64(1 << 63)
_LAST_KEY: Final = 2**64 - 1


class QuantileError(SpymasterError):
    """The stream cannot have quantiles (it holds NaN), or it changed between two passes."""


def ordered_keys(values: Floats) -> Keys:
    """uint64[n] whose order is the order of the float64 values; -0.0 becomes 0.0."""
    bits = (values + 0.0).view(np.uint64)
    return np.asarray(np.where(bits & _SIGN, ~bits, bits | _SIGN))


def value_of(key: int) -> float:
    """The float64 whose ordered key is `key`."""
    bits = key ^ (1 << 63) if key >> 63 else key ^ _LAST_KEY
    return float(np.array([bits], np.uint64).view(np.float64)[0])


@dataclass
class _Counter:
    """Counts of the distinct keys in [first, last], shortened by `shift` bits where there are too many.

    below: how many values of the stream lie before `first`.
    """

    first: int
    last: int
    below: int
    limit: int
    shift: int = 0
    keys: Keys = field(default_factory=lambda: np.empty(0, np.uint64))
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    _waiting: list[Keys] = field(default_factory=list)
    _waiting_count: int = 0

    def add(self, keys: Keys) -> None:
        if self.first > 0 or self.last < _LAST_KEY:
            keys = keys[(keys >= np.uint64(self.first)) & (keys <= np.uint64(self.last))]
        self._waiting.append(keys)
        self._waiting_count += len(keys)
        if self._waiting_count >= max(_PENDING, len(self.keys)):
            self.settle()

    def settle(self) -> None:
        """Sort what waits into the counts; the pending size grows with them, so the work is n log n."""
        fresh = np.concatenate([np.empty(0, np.uint64), *self._waiting]) >> np.uint64(self.shift)
        self._waiting, self._waiting_count = [], 0
        fresh, fresh_counts = np.unique(fresh, return_counts=True)
        self._merge(np.concatenate([self.keys, fresh]), np.concatenate([self.counts, fresh_counts]))
        while len(self.keys) > self.limit:
            self.shift += _SHORTEN_BITS
            self._merge(self.keys >> np.uint64(_SHORTEN_BITS), self.counts)

    def _merge(self, keys: Keys, counts: npt.NDArray[np.int64]) -> None:
        if len(keys) == 0:
            return
        order = np.argsort(keys, kind="stable")
        keys, counts = keys[order], counts[order]
        starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
        self.keys, self.counts = keys[starts], np.add.reduceat(counts, starts)

    def find(self, rank: int) -> tuple[int, int] | None:
        """(shortened key, values of the stream before it) of the value with that rank, if it is in here."""
        ends = self.below + np.cumsum(self.counts)
        if not self.below <= rank < (int(ends[-1]) if len(ends) else self.below):
            return None
        place = int(np.searchsorted(ends, rank, "right"))
        return int(self.keys[place]), int(ends[place] - self.counts[place])


class ExactQuantiles:
    """Quantiles of float64 values that arrive in pieces, by linear interpolation (numpy's default).

        picker = ExactQuantiles((0.05, 0.95))
        while not picker.done:
            for values in stream():      # the same stream again in every pass
                picker.add(values)
            picker.end_pass()
        picker.quantiles                 # == np.quantile(everything, (0.05, 0.95)), bit for bit

    One pass is enough unless more than `limit` values are different. Raises `QuantileError` for NaN, and
    when a later pass does not bring the values of the first.
    """

    def __init__(self, qs: Sequence[float], limit: int = DISTINCT_LIMIT) -> None:
        self.qs = tuple(qs)
        self.count = 0
        """values of the stream"""
        self.passes = 0
        # room for one more step of leading bits, so that every pass narrows what the one before found
        self._limit = max(limit, 1 << _SHORTEN_BITS)
        self._counters = [_Counter(0, _LAST_KEY, 0, self._limit)]
        self._seen = 0
        self._found: dict[int, float] = {}

    def add(self, values: Floats) -> None:
        """See float64[n] more values."""
        if len(values) == 0:
            return
        if np.isnan(values).any():
            raise QuantileError(f"{int(np.isnan(values).sum())} of {len(values)} values are NaN")
        self._seen += len(values)
        keys = ordered_keys(np.ascontiguousarray(values, np.float64))
        for counter in self._counters:
            counter.add(keys)

    def end_pass(self) -> None:
        """The stream has ended: either everything is known now, or another pass is needed."""
        self.passes += 1
        if self.passes == 1:
            self.count = self._seen
        elif self._seen != self.count:
            raise QuantileError(
                f"pass {self.passes} brought {self._seen} values, the first one {self.count}: the data"
                " changed while they were read; run the same command again"
            )
        self._seen = 0
        for counter in self._counters:
            counter.settle()
        narrower: dict[tuple[int, int], _Counter] = {}
        for rank in self._ranks() - self._found.keys():
            self._look_for(rank, narrower)
        self._counters = list(narrower.values())

    @property
    def done(self) -> bool:
        """No further pass is needed."""
        return self.passes > 0 and not self._counters

    @property
    def quantiles(self) -> tuple[float, ...]:
        """The quantiles in the order of `qs`; 0 where there was no value at all."""
        if not self.done:
            raise QuantileError("the quantiles are not known before a pass has ended and `done` is true")
        if self.count == 0:
            return tuple(0.0 for _ in self.qs)
        return tuple(self._interpolate((self.count - 1) * q) for q in self.qs)

    def _interpolate(self, position: float) -> float:
        low = math.floor(position)
        pair = [self._found[low], self._found[min(low + 1, self.count - 1)]]
        return float(np.quantile(pair, position - low))  # numpy's own interpolation, to the last bit

    def _ranks(self) -> set[int]:
        """Order statistics that the quantiles lie between."""
        if self.count == 0:
            return set()
        lows = [math.floor((self.count - 1) * q) for q in self.qs]
        return {rank for low in lows for rank in (low, min(low + 1, self.count - 1))}

    def _look_for(self, rank: int, narrower: dict[tuple[int, int], _Counter]) -> None:
        for counter in self._counters:
            found = counter.find(rank)
            if found is None:
                continue
            key, below = found
            if counter.shift == 0:
                self._found[rank] = value_of(key)
            else:
                first = max(key << counter.shift, counter.first)
                last = min(((key + 1) << counter.shift) - 1, counter.last)
                narrower.setdefault((first, last), _Counter(first, last, below, self._limit))
            return
        raise QuantileError(
            f"the value of rank {rank} is no longer where the pass before saw it: the data changed while they"
            " were read; run the same command again"
        )
