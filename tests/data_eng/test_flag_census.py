"""The census against a plain count of the same records, and on the real hour."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from data_eng.dbn_codes import F_LAST, F_SNAPSHOT
from data_eng.dbn_reader import iter_mbo_blocks
from data_eng.flag_census import FlagCensus
from data_eng.mbo import MBO_DTYPE, MboColumns
from data_eng.units import WINDOW_NS

Row = tuple[str, int, int, int, int]
"""action, flags, instrument, second of ts_event, ts_recv"""

ROWS = st.lists(
    st.tuples(
        st.sampled_from("ACMTFRN"),
        st.sampled_from([0, F_LAST, F_SNAPSHOT, F_SNAPSHOT | F_LAST]),
        st.integers(1, 3),
        st.integers(0, 2),
        st.integers(0, 1),
    ),
    max_size=40,
)


def _records(rows: list[Row]) -> np.ndarray:
    records = np.zeros(len(rows), MBO_DTYPE)
    for record, (action, flags, iid, second, recv) in zip(records, rows, strict=True):
        record["action"], record["flags"], record["instrument_id"] = ord(action), flags, iid
        record["ts_event"], record["ts_recv"] = second * WINDOW_NS + 5, recv
    return records


def _plain(rows: list[Row]) -> dict[str, object]:
    """The definition, record by record."""
    snapshots: list[list[int]] = []
    events = cut = 0
    last: dict[int, Row] = {}
    running: dict[int, list[int]] = {}
    left: Counter[int] = Counter()
    for n, row in enumerate(rows):
        action, flags, iid, second, recv = row
        before = last.get(iid)
        if flags & F_SNAPSHOT:
            fresh = before is None or not before[1] & F_SNAPSHOT
            if fresh or action == "R" or before[4] != recv or before[1] & F_LAST:
                running[iid] = [iid, n, n, 0]
                snapshots.append(running[iid])
                if left[iid]:
                    events, cut, left[iid] = events + 1, cut + 1, 0
            running[iid][2] = n
            running[iid][3] += 1
        else:
            if left[iid] and before is not None and before[3] != second:
                events, cut, left[iid] = events + 1, cut + 1, 0
            left[iid] += 1
            if flags & F_LAST:
                events, left[iid] = events + 1, 0
        last[iid] = row
    return {
        "counts": Counter((ord(r[0]), r[1]) for r in rows),
        "snapshots": sorted(snapshots),
        "events": events,
        "cut": cut,
        "open": {iid: count for iid, count in left.items() if count},
    }


@given(ROWS, st.lists(st.integers(0, 40)))
def test_the_census_equals_a_plain_count_however_the_stream_is_cut(rows: list[Row], cuts: list[int]) -> None:
    records, census = _records(rows), FlagCensus()
    for part in np.split(records, sorted(min(cut, len(rows)) for cut in cuts)):
        census.add(MboColumns.from_records(part))
    wanted = _plain(rows)
    assert census.records == len(rows)
    assert census.counts == wanted["counts"]
    found = sorted([s.instrument_id, s.first_row, s.last_row, s.records] for s in census.snapshots)
    assert found == wanted["snapshots"]
    assert census.snapshot_count == len(found)
    assert (census.events, census.unterminated_events) == (wanted["events"], wanted["cut"])
    assert census.open_at_end == wanted["open"]


def test_the_real_hour_has_one_unmarked_snapshot_and_47022_whole_events(real_esh4: Path) -> None:
    census = FlagCensus()
    for block in iter_mbo_blocks(real_esh4):
        census.add(MboColumns.from_records(block))
    assert (census.records, census.events, census.unterminated_events) == (68_792, 47_022, 0)
    assert census.open_at_end == {}
    (snapshot,) = census.snapshots
    assert (snapshot.records, snapshot.opened_by_clear, snapshot.end_marked) == (8_725, False, False)
