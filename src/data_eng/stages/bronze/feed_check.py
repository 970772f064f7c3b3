"""Ingest checks of one UTC day of MBO records (spec 3.1, 4.7), per instrument, in vectorised passes.

Laws. 1 The result does not depend on how the stream is cut into blocks: of each instrument the last
        (ts_event, sequence, F_LAST) and the newest window are carried over, and nothing else.
      2 What cannot be true is refused with its place: an A or M without price.
      3 What happens to a good file is counted and shown: plain records out of (ts_event, sequence) order,
        clocks that cannot be right. Above 0.01 % of a file's records, or with --strict, it is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from data_eng.dbn_codes import ACTION_ADD, ACTION_MODIFY, F_LAST, F_SNAPSHOT
from data_eng.errors import RawDataError
from data_eng.raw_files import DayBlock, RawFile
from data_eng.sessions import utc_day_ns
from data_eng.units import HOUR_NS, UNDEF_PRICE, WINDOW_NS

MAX_DISORDER: Final = 1e-4
"""largest share of records out of order before a file is refused (spec 3.1)"""
MAX_AHEAD_NS: Final = 1_000_000_000
"""ts_event later than ts_recv by more than this is a broken clock (spec 4.7)"""
_SHOWN: Final = 5
_WINDOW_BITS: Final = 20
"""a day and an hour on either side have 93,600 windows"""
_NEVER: Final = -(1 << 63)


@dataclass
class FeedCheck:
    """Fed with blocks that hold records of the given instruments only, in file order.

    order_violations: plain records before their predecessor in (ts_event, sequence). broken_clocks: plain
    records whose ts_event cannot be right (4.7). late: those, and plain records of an older window.
    unended_events: plain records with another ts_event than their predecessor, which did not end its event.
    `examples`: the first five, in words.
    """

    dt: str
    instrument_ids: npt.NDArray[np.uint32]
    """ascending"""
    records: int = 0
    plain: int = 0
    order_violations: int = 0
    broken_clocks: int = 0
    late: int = 0
    unended_events: int = 0
    examples: list[str] = field(default_factory=list)
    _file_records: int = 0
    _file_offenders: int = 0

    def __post_init__(self) -> None:
        count = len(self.instrument_ids)
        self._last_ts = np.full(count, _NEVER, np.int64)
        self._last_sequence = np.zeros(count, np.int64)
        self._newest_window = np.zeros(count, np.int64)
        self._last_open = np.zeros(count, np.int64)

    def examine(self, block: DayBlock) -> None:
        """Check the next records. Raises `RawDataError` for an A or M with UNDEF price."""
        records = block.records
        self.records += len(records)
        self._file_records += len(records)
        _refuse_undefined_price(block)
        plain = np.flatnonzero((records["flags"] & F_SNAPSHOT) == 0)
        if not len(plain):
            return
        self.plain += len(plain)
        slot = np.searchsorted(self.instrument_ids, records["instrument_id"][plain])
        if slot[0] != slot[-1] or (slot != slot[0]).any():
            order = np.argsort(slot, kind="stable")  # file order within each instrument
            plain, slot = plain[order], slot[order]
        first = np.empty(len(slot), np.bool_)
        first[0] = True
        np.not_equal(slot[1:], slot[:-1], out=first[1:])
        heads = np.flatnonzero(first)
        ts_event = records["ts_event"][plain].view(np.int64)
        sequence = records["sequence"][plain].astype(np.int64)
        before_ts = _previous(ts_event, heads, slot, self._last_ts)
        before_sequence = _previous(sequence, heads, slot, self._last_sequence)
        still_open = ((records["flags"][plain] & F_LAST) == 0).astype(np.int64)
        before_open = _previous(still_open, heads, slot, self._last_open)
        self.unended_events += int(np.count_nonzero((before_open == 1) & (ts_event != before_ts)))
        back = (ts_event < before_ts) | ((ts_event == before_ts) & (sequence < before_sequence))
        broken = self._broken_clocks(ts_event, records["ts_recv"][plain].view(np.int64))
        late = broken | self._older_windows(ts_event, broken, slot, heads)
        self.order_violations += int(np.count_nonzero(back))
        self.broken_clocks += int(np.count_nonzero(broken))
        self.late += int(np.count_nonzero(late))
        offenders = np.flatnonzero(back | broken)
        self._file_offenders += len(offenders)
        offenders = offenders[np.argsort(plain[offenders])]
        for i in offenders[: _SHOWN - len(self.examples)]:
            what = "impossible ts_event" if broken[i] else "out of order"
            after = (
                f" after ts_event {before_ts[i]} sequence {before_sequence[i]}"
                if before_ts[i] != _NEVER
                else ""
            )
            self.examples.append(
                f"record {block.positions[plain[i]]:,} of {block.file.path.name} ({what}): ts_event "
                f"{ts_event[i]} sequence {sequence[i]}{after}"
            )

    def end_of_file(self, file: RawFile, *, strict: bool) -> None:
        """Refuse `file` when too many of its records are out of order (spec 3.1)."""
        offenders, records = self._file_offenders, self._file_records
        self._file_offenders = self._file_records = 0
        allowed = 0 if strict else MAX_DISORDER * records
        if offenders > allowed:
            limit = "none (--strict)" if strict else f"{MAX_DISORDER:.2%}"
            raise RawDataError(
                f"{file.path}: {offenders:,} of {records:,} records ({offenders / records:.3%}) are out of "
                f"(ts_event, sequence) order or have an impossible ts_event, allowed {limit}; first: "
                f"{'; '.join(self.examples)}; fetch the file again"
            )

    def _broken_clocks(
        self, ts_event: npt.NDArray[np.int64], ts_recv: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        start, end = utc_day_ns(self.dt)
        ahead = ts_event - MAX_AHEAD_NS > ts_recv
        return np.asarray(ahead | (ts_event < start - HOUR_NS) | (ts_event >= end + HOUR_NS))

    def _older_windows(
        self,
        ts_event: npt.NDArray[np.int64],
        broken: npt.NDArray[np.bool_],
        slot: npt.NDArray[np.int64],
        heads: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.bool_]:
        """Records of a window before the newest one of their instrument; broken clocks move nothing."""
        start, _ = utc_day_ns(self.dt)
        window = np.where(broken, 0, ts_event // WINDOW_NS - (start - HOUR_NS) // WINDOW_NS + 1)
        moving = window.copy()
        moving[heads] = np.maximum(moving[heads], self._newest_window[slot[heads]])
        # the slot in the upper bits restarts the running maximum at each instrument
        newest = np.maximum.accumulate(slot << _WINDOW_BITS | moving) & ((1 << _WINDOW_BITS) - 1)
        tails = np.append(heads[1:], len(slot)) - 1
        self._newest_window[slot[tails]] = newest[tails]
        return np.asarray(~broken & (window < newest))


def _previous(
    values: npt.NDArray[np.int64],
    heads: npt.NDArray[np.int64],
    slot: npt.NDArray[np.int64],
    carried: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """Value before each one within its instrument; `carried` (per slot) is read and brought up to date."""
    before = np.empty_like(values)
    before[1:] = values[:-1]
    before[heads] = carried[slot[heads]]
    tails = np.append(heads[1:], len(slot)) - 1
    carried[slot[tails]] = values[tails]
    return before


def _refuse_undefined_price(block: DayBlock) -> None:
    records: npt.NDArray[Any] = block.records
    undefined = records["price"] == UNDEF_PRICE
    if not undefined.any():
        return
    action = records["action"]
    wrong = np.flatnonzero(undefined & ((action == ACTION_ADD) | (action == ACTION_MODIFY)))
    if len(wrong):
        raise RawDataError(
            f"{block.file.path}: record {block.positions[wrong[0]]:,} is {chr(action[wrong[0]])} of order "
            f"{records['order_id'][wrong[0]]} with UNDEF price, expected a price; fetch the file again"
        )
