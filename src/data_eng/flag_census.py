"""What flags a stretch of MBO records carries: action x flags, snapshots, events left open (spec 4.2-4.4).

A census only counts: it keeps no book and judges nothing, so it works on files the engine would refuse.
Records are taken per instrument in file order; chunk borders do not change the result.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from data_eng.dbn_codes import ACTION_CLEAR, F_LAST, F_SNAPSHOT, flag_names
from data_eng.mbo import MboColumns
from data_eng.units import WINDOW_NS

MAX_SNAPSHOTS: Final = 1000
"""snapshots kept with their details; the count is always complete"""


@dataclass
class Snapshot:
    """One snapshot of one instrument: rows are positions in the whole stream, first and last included."""

    instrument_id: int
    first_row: int
    last_row: int
    ts_recv_ns: int
    records: int = 0
    opened_by_clear: bool = False
    end_marked: bool = False
    oldest_ts_event_ns: int = 0
    newest_ts_event_ns: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain values for machine output."""
        return dict(self.__dict__)


@dataclass
class _Instrument:
    """What the next chunk must know of an instrument's last record."""

    snapshot: Snapshot | None = None
    open_rows: int = 0
    open_window: int = 0


@dataclass
class FlagCensus:
    """Counts over all records given to `add`.

    counts: (action code, flag byte) -> records. unterminated_events: events still open when ts_event
    moved on to another second. `open_at_end` are instruments whose last event has no F_LAST.
    """

    records: int = 0
    events: int = 0
    unterminated_events: int = 0
    snapshot_count: int = 0
    counts: dict[tuple[int, int], int] = field(default_factory=dict)
    snapshots: list[Snapshot] = field(default_factory=list)
    _instruments: dict[int, _Instrument] = field(default_factory=dict)

    @property
    def instruments(self) -> int:
        """Number of instruments seen."""
        return len(self._instruments)

    @property
    def open_at_end(self) -> dict[int, int]:
        """instrument_id -> plain records after its last F_LAST, where there are any."""
        return {iid: state.open_rows for iid, state in sorted(self._instruments.items()) if state.open_rows}

    def add(self, part: MboColumns) -> None:
        """Count the next records of the stream."""
        if part.rows == 0:
            return
        codes = part.action.astype(np.int64) << 8 | part.flags
        for code, count in zip(*np.unique(codes, return_counts=True), strict=True):
            key = (int(code) >> 8, int(code) & 0xFF)
            self.counts[key] = self.counts.get(key, 0) + int(count)
        rows = np.argsort(part.instrument_id, kind="stable")
        ids = part.instrument_id[rows]
        for chosen in np.split(rows, np.flatnonzero(ids[1:] != ids[:-1]) + 1):
            self._add_instrument(part, chosen)
        self.records += part.rows

    def _add_instrument(self, part: MboColumns, rows: npt.NDArray[np.intp]) -> None:
        iid = int(part.instrument_id[rows[0]])
        state = self._instruments.setdefault(iid, _Instrument())
        flags = part.flags[rows]
        inside = (flags & F_SNAPSHOT) != 0
        for run in np.split(np.arange(len(rows)), np.flatnonzero(inside[1:] != inside[:-1]) + 1):
            if inside[run[0]]:
                self._add_snapshot_rows(part, rows[run], iid, state)
            else:
                state.snapshot = None
                self._add_plain_rows(part, rows[run], state)

    def _add_snapshot_rows(
        self, part: MboColumns, rows: npt.NDArray[np.intp], iid: int, state: _Instrument
    ) -> None:
        """A snapshot starts again at R, at another ts_recv, and after its own F_LAST (spec 4.3)."""
        if state.open_rows:  # a snapshot closes an open event
            self.unterminated_events += 1
            self.events += 1
            state.open_rows = 0
        clear = part.action[rows] == ACTION_CLEAR
        last = (part.flags[rows] & F_LAST) != 0
        recv = part.ts_recv[rows]
        starts = clear.copy()
        starts[1:] |= (recv[1:] != recv[:-1]) | last[:-1]
        running = state.snapshot
        if running is None or running.end_marked or running.ts_recv_ns != int(recv[0]):
            starts[0] = True
        for piece in np.split(np.arange(len(rows)), np.flatnonzero(starts[1:]) + 1):
            first = int(piece[0])
            if starts[first]:
                running = Snapshot(
                    iid,
                    first_row=self.records + int(rows[first]),
                    last_row=self.records + int(rows[first]),
                    ts_recv_ns=int(recv[first]),
                    opened_by_clear=bool(clear[first]),
                )
                self.snapshot_count += 1
                if len(self.snapshots) < MAX_SNAPSHOTS:
                    self.snapshots.append(running)
            assert running is not None  # the first row of a run starts one when there is none
            self._extend(running, part, rows[piece], clear[piece], bool(last[piece].any()))
        state.snapshot = running

    def _extend(
        self,
        snapshot: Snapshot,
        part: MboColumns,
        rows: npt.NDArray[np.intp],
        clear: npt.NDArray[np.bool_],
        end_marked: bool,
    ) -> None:
        snapshot.last_row = self.records + int(rows[-1])
        snapshot.records += len(rows)
        snapshot.end_marked |= end_marked
        orders = part.ts_event[rows][~clear]
        if len(orders):
            oldest, newest = int(orders.min()), int(orders.max())
            known = snapshot.newest_ts_event_ns > 0
            snapshot.oldest_ts_event_ns = min(oldest, snapshot.oldest_ts_event_ns) if known else oldest
            snapshot.newest_ts_event_ns = max(newest, snapshot.newest_ts_event_ns)

    def _add_plain_rows(self, part: MboColumns, rows: npt.NDArray[np.intp], state: _Instrument) -> None:
        last = (part.flags[rows] & F_LAST) != 0
        window = part.ts_event[rows] // WINDOW_NS
        open_before = np.empty(len(rows), dtype=bool)  # whether the record before left its event open
        open_before[0] = state.open_rows > 0
        open_before[1:] = ~last[:-1]
        moved = np.empty(len(rows), dtype=bool)
        moved[0] = int(window[0]) != state.open_window
        moved[1:] = window[1:] != window[:-1]
        cut = open_before & moved
        self.unterminated_events += int(cut.sum())
        self.events += int(last.sum()) + int(cut.sum())
        borders = np.flatnonzero(last)
        begun = np.flatnonzero(cut)
        start = max(int(borders[-1]) + 1 if len(borders) else 0, int(begun[-1]) if len(begun) else 0)
        carried = state.open_rows if not len(borders) and not len(begun) else 0
        state.open_rows = carried + len(rows) - start
        state.open_window = int(window[-1])

    def table(self) -> list[tuple[str, int, str, int]]:
        """Rows (action, flag byte, flag names, records), by action and then flag byte."""
        return [
            (chr(action), flags, flag_names(flags), count)
            for (action, flags), count in sorted(self.counts.items())
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain values for machine output."""
        return {
            "records": self.records,
            "instruments": self.instruments,
            "events": self.events,
            "unterminated_events": self.unterminated_events,
            "counts": [
                {"action": action, "flags": flags, "names": names, "records": count}
                for action, flags, names, count in self.table()
            ],
            "snapshot_count": self.snapshot_count,
            "snapshots": [snapshot.to_json() for snapshot in self.snapshots],
            "open_at_end": {str(iid): rows for iid, rows in self.open_at_end.items()},
        }
