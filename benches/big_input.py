"""A long day made of a short one: ``python -m benches.big_input SOURCE OUT.dbn.zst --records N``.

The opening snapshot of SOURCE comes once, then the rest of it as often as needed. Each pass ends by putting
the book back to the snapshot: orders that are not as they were are cancelled, those that are missing are
added again, cancels first. So every pass starts from the same book and is a consistent stream; orders born
in a pass get ids of their own, orders of the snapshot keep theirs. Time inside a pass is squeezed by one
factor; the passes fill `seconds` of one UTC day that the exchange trades without a pause. The same source and
numbers give the same bytes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import databento_dbn as dbn
import numpy as np
import numpy.typing as npt
import zstandard

from benches.measure import BenchError
from data_eng.dbn_codes import F_LAST, F_SNAPSHOT, MBO_RECORD_BYTES
from data_eng.dbn_reader import iter_mbo_blocks, read_metadata
from data_eng.mbo import MBO_DTYPE

DT: Final = "2023-12-26"
SECONDS: Final = 79_200
"""00:00 to 22:00 UTC of a Tuesday: open all the time"""
RECORDS_PER_SECOND: Final = 126
"""10 M records in `SECONDS`; a shorter day is as dense"""
_SECOND_NS: Final = 1_000_000_000
_ID_STEP: Final = 1 << 34
"""pass k adds k times this to the ids born in it; above the spread of real ids within a day"""
_LAST_ID: Final = 1 << 63
_RESTORE_SHARE: Final = 0.02
"""part of a pass, at its end, in which the book is put back"""
_ADD, _CANCEL, _MODIFY, _CLEAR = (ord(c) for c in "ACMR")

Records = npt.NDArray[Any]
Orders = dict[int, tuple[int, int, int]]
"""order id -> side code, price, size"""


@dataclass(frozen=True)
class Source:
    """Records of the one instrument of a file: the opening snapshot, and what follows."""

    symbol: str
    instrument_id: int
    snapshot: Records
    plain: Records

    @property
    def records(self) -> int:
        """Records of both parts."""
        return len(self.snapshot) + len(self.plain)


def read_source(path: Path) -> Source:
    """The most frequent instrument of a DBN MBO file.

    Raises `BenchError` when it has no name in the header, nothing follows the snapshot, a second snapshot
    does, or the clocks go back.
    """
    records = np.concatenate(list(iter_mbo_blocks(path, copy=True)))
    ids, counts = np.unique(records["instrument_id"], return_counts=True)
    instrument_id = int(ids[np.argmax(counts)])
    records = records[records["instrument_id"] == instrument_id]
    day = datetime.fromtimestamp(int(records["ts_recv"][-1]) // _SECOND_NS, UTC).date()
    symbol = read_metadata(path).symbols_on(day).get(instrument_id)
    if symbol is None:
        raise BenchError(f"{path}: its header does not name instrument {instrument_id}; use another file")
    marked = (records["flags"] & F_SNAPSHOT) != 0
    first = int(np.argmin(marked)) if not marked.all() else len(records)
    source = Source(symbol, instrument_id, records[:first].copy(), records[first:].copy())
    if len(source.plain) == 0 or marked[first:].any():
        what = "a second snapshot" if len(source.plain) else "nothing but a snapshot"
        raise BenchError(f"{path}: holds {what}, expected one snapshot at most and records after it")
    for clock in ("ts_event", "ts_recv"):
        if (np.diff(source.plain[clock].astype(np.int64)) < 0).any():
            raise BenchError(f"{path}: {clock} goes back, so it cannot be squeezed into a pass")
    return source


def orders_after(records: Records, start: Orders) -> Orders:
    """Resting orders after `records` on top of `start`; the order is that of their last change."""
    orders = dict(start)
    names = ("action", "order_id", "side", "price", "size")
    for action, key, side, price, size in zip(*(records[n].tolist() for n in names), strict=True):
        if action == _CLEAR:
            orders.clear()
        elif action in (_ADD, _MODIFY):
            known = orders.pop(key, None)
            orders[key] = (known[0] if known and action == _MODIFY else side, price, size)
        elif action == _CANCEL and key in orders:
            side, price, before = orders[key]
            if size < before:
                orders[key] = (side, price, before - size)
            else:
                del orders[key]
    return orders


def restoring(source: Source) -> tuple[Records, Orders]:
    """Records that lead from the end of `source` back to its snapshot, and that snapshot's orders."""
    start = orders_after(source.snapshot, {})
    end = orders_after(source.plain, start)
    away = [(key, _CANCEL, end[key]) for key in end if start.get(key) != end[key]]
    back = [(key, _ADD, start[key]) for key in start if end.get(key) != start[key]]
    records = np.zeros(len(away) + len(back), MBO_DTYPE)
    for name in ("length", "rtype", "publisher_id", "instrument_id", "channel_id"):
        records[name] = source.plain[name][-1]
    records["flags"] = F_LAST
    for row, (key, action, (side, price, size)) in zip(records, [*away, *back], strict=True):
        row["order_id"], row["action"], row["side"] = key, action, side
        row["price"], row["size"] = price, size
    return records, start


def seconds_for(records: int) -> int:
    """Length of a day of that many records: as dense as 10 M in `SECONDS`, at most that long."""
    return max(60, min(SECONDS, records // RECORDS_PER_SECOND))


def passes_for(source: Source, records: int) -> int:
    """Passes needed for at least `records` records."""
    one = len(source.plain) + len(restoring(source)[0])
    return max(1, -(-(records - len(source.snapshot)) // one))


def big_day(source: Source, passes: int, *, seconds: int, dt: str = DT) -> Iterator[Records]:
    """The snapshot, then one block per pass. Raises `BenchError` when ids or time do not suffice."""
    restore, start = restoring(source)
    day_ns = int(np.datetime64(dt, "ns").astype(np.int64))
    snapshot = source.snapshot.copy()
    snapshot["ts_recv"] = day_ns
    snapshot["sequence"] = np.arange(1, len(snapshot) + 1)
    if len(snapshot):
        snapshot["flags"][-1] |= F_LAST
        yield snapshot
    template = np.concatenate([source.plain, restore])
    fresh = ~np.isin(template["order_id"], np.array(list(start), np.uint64)) & (template["order_id"] != 0)
    if fresh.any() and int(template["order_id"][fresh].max()) + passes * _ID_STEP >= _LAST_ID:
        raise BenchError(f"{passes} passes would need order ids beyond 2**63; ask for fewer records")
    span = seconds * _SECOND_NS // passes
    events, received = _squeezed(source.plain, len(restore), span)
    if span < 2 * len(template):
        raise BenchError(
            f"{passes} passes in {seconds} s leave {span} ns each, too short; ask for fewer records"
        )
    sequence = len(snapshot) + 1
    for number in range(passes):
        block = template.copy()
        begin = day_ns + _SECOND_NS + number * span
        block["order_id"][fresh] += np.uint64(number * _ID_STEP)
        block["ts_event"] = begin + events
        block["ts_recv"] = begin + received
        block["sequence"] = np.arange(sequence, sequence + len(block), dtype=np.int64).astype(np.uint32)
        sequence += len(block)
        yield block


def _squeezed(
    plain: Records, restored: int, span: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """ts_event and ts_recv of one pass in ns from its start; equal times stay equal, order stays."""
    event, recv = plain["ts_event"].astype(np.int64), plain["ts_recv"].astype(np.int64)
    origin = min(int(event[0]), int(recv[0]))
    busy = int(span * (1 - _RESTORE_SHARE))
    factor = busy / (max(int(event[-1]), int(recv[-1])) - origin + 1)
    tail = np.linspace(busy, span - 1, restored, endpoint=False).astype(np.int64)
    parts = [np.concatenate([((t - origin) * factor).astype(np.int64), tail]) for t in (event, recv)]
    return parts[0], np.maximum(parts[0], parts[1])


def write_big_day(
    source_path: Path, out: Path, *, records: int, seconds: int, dt: str = DT, level: int = 3
) -> int:
    """Write the day as .dbn.zst the way Databento does (header and records in two frames); -> records."""
    source = read_source(source_path)
    passes = passes_for(source, records)
    compressor = zstandard.ZstdCompressor(level=level, write_checksum=True)
    written = 0
    with out.open("wb") as file:
        file.write(compressor.compress(_header(source, dt)))
        with compressor.stream_writer(file, closefd=False) as stream:
            for block in big_day(source, passes, dt=dt, seconds=seconds):
                stream.write(block.tobytes())
                written += len(block)
    return written


def _header(source: Source, dt: str) -> bytes:
    day = date.fromisoformat(dt)
    start_ns = int(np.datetime64(dt, "ns").astype(np.int64))
    interval = SimpleNamespace(
        start_date=day, end_date=day + timedelta(days=1), symbol=str(source.instrument_id)
    )
    names: Any = dbn  # its stub calls these enum members plain strings
    metadata = dbn.Metadata(
        dataset="GLBX.MDP3",
        start=start_ns,
        end=start_ns + 86_400 * _SECOND_NS,
        stype_in=names.SType.RAW_SYMBOL,
        stype_out=names.SType.INSTRUMENT_ID,
        schema=names.Schema.MBO,
        symbols=[source.symbol],
        partial=[],
        not_found=[],
        ts_out=False,
        mappings=[SimpleNamespace(raw_symbol=source.symbol, intervals=[interval])],
    )
    return bytes(metadata.encode())


def main(arguments: list[str]) -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("source", type=Path, help="DBN MBO file that begins with a snapshot")
    parser.add_argument("out", type=Path, help=".dbn.zst to write")
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--seconds", type=int, help="default: by the density of 10 M records in 22 hours")
    given = parser.parse_args(arguments)
    seconds = given.seconds or seconds_for(given.records)
    written = write_big_day(given.source, given.out, records=given.records, seconds=seconds)
    sys.stdout.write(f"{given.out}: {written:,} records, {written * MBO_RECORD_BYTES:,} bytes unpacked\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
