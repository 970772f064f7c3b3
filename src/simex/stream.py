"""Several markets become one channel: events interleaved, one packet sequence, rising arrival times."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from simex.feed import Words

Ints = npt.NDArray[np.int64]

_SEQUENCE_SHIFT = 32
_LOW = (1 << 32) - 1


def event_ends(words: Words) -> Ints:
    """Row numbers of the records that end an event (F_LAST, the sign bit of the flags byte)."""
    return np.flatnonzero((words[:, 4] >> 39) & 1)


class Channel:
    """Merges blocks of markets; keeps sequence and arrival time across blocks."""

    def __init__(self, first_sequence: int) -> None:
        self._sequence = first_sequence
        self._recv = 0

    @property
    def last_recv_ns(self) -> int:
        """Arrival time of the last record."""
        return self._recv

    def start_at(self, ts_recv_ns: int) -> None:
        """Nothing later arrives before ts_recv_ns."""
        self._recv = max(self._recv, ts_recv_ns)

    def merge(self, blocks: list[Words]) -> Words:
        """Interleaves blocks of the same stretch of time by ts_event, whole events at a time.

        Now and then an event of a later market is put between two packets of an event of the first one:
        F_LAST of a foreign instrument inside an open event (A4: F_LAST closes an event per instrument).
        """
        # the running maximum keeps a record that is late on purpose (a fault) where it is
        key = [np.maximum.accumulate(block[:, 1]) * 4 if len(block) else block[:, 1] for block in blocks]
        rank = [np.zeros(len(block), dtype=np.int64) for block in blocks]
        if len(blocks[0]) and len(blocks) > 1:
            main = blocks[0]
            later_packet = np.zeros(len(main), dtype=bool)
            same_event = main[1:, 1] == main[:-1, 1]
            later_packet[1:] = same_event & (
                main[1:, 6] >> _SEQUENCE_SHIFT != main[:-1, 6] >> _SEQUENCE_SHIFT
            )
            packet_no = np.cumsum(later_packet)
            first = np.searchsorted(key[0], key[0])
            rank[0] = 2 * (packet_no - packet_no[first])
            split_ts = np.unique(main[later_packet, 1])
            for i in range(1, len(blocks)):
                rank[i] += 9
                _tuck_in(blocks[i], split_ts, key[i], rank[i], i)
        rows = np.concatenate(blocks)
        market = np.concatenate([np.full(len(block), i) for i, block in enumerate(blocks)])
        order = np.lexsort((market, np.concatenate(rank), np.concatenate(key)))
        merged = rows[order]
        market = market[order]
        return self._stamp(merged, market)

    def _stamp(self, words: Words, market: npt.NDArray[Any]) -> Words:
        if not len(words):
            return words
        own = words[:, 6] >> _SEQUENCE_SHIFT
        step = np.ones(len(words), dtype=np.int64)
        same = market[1:] == market[:-1]
        step[1:] = np.where(same, np.clip(own[1:] - own[:-1], 0, 40), 1)
        sequence = self._sequence + np.cumsum(step)
        self._sequence = int(sequence[-1])
        words[:, 6] = (words[:, 6] & _LOW) | (sequence << _SEQUENCE_SHIFT)
        words[0, 5] = max(int(words[0, 5]), self._recv)
        words[:, 5] = np.maximum.accumulate(words[:, 5])
        self._recv = int(words[-1, 5])
        return words


def _tuck_in(block: Words, split_ts: Ints, key: Ints, rank: Ints, market: int) -> None:
    """Moves some events of `block` between the packets of the next many-packet event of the first market."""
    if not len(block) or not len(split_ts):
        return
    ends = event_ends(block)
    ts = block[ends, 1]
    at = np.searchsorted(split_ts, ts)
    after = np.append(ts[1:], np.iinfo(np.int64).max)
    inside = at < len(split_ts)
    target = split_ts[np.minimum(at, len(split_ts) - 1)]
    chosen = inside & (target < after) & (target - ts < 20_000_000) & (np.arange(len(ts)) % 3 == market % 3)
    starts = np.append(0, ends[:-1] + 1)
    for i in np.flatnonzero(chosen):
        key[starts[i] : ends[i] + 1] = target[i] * 4
        rank[starts[i] : ends[i] + 1] = 1


def insert_none_records(words: Words, every: int, phase: int) -> tuple[Words, int]:
    """Lets every n-th event end with a record of action N, which then carries the F_LAST.

    Returns the words and the phase to continue with in the next block.
    """
    ends = event_ends(words)
    numbers = np.arange(len(ends)) + phase
    chosen = ends[numbers % every == every - 1]
    if len(chosen):
        tail = words[chosen].copy()
        tail[:, 2] = 0
        tail[:, 3] = np.iinfo(np.int64).max
        flags = words[chosen, 4] & (255 << 32)
        channel = words[chosen, 4] & (255 << 40)
        tail[:, 4] = flags | channel | (ord("N") << 48) | (ord("N") << 56)
        words = words.copy()
        words[chosen, 4] &= ~(255 << 32)
        words = np.insert(words, chosen + 1, tail, axis=0)
    return words, (phase + len(ends)) % every
