"""A plain reader and replay of the simulated MBO file: dicts, one record at a time, written from the rules.

It shares nothing with the simulator but the vendor's decoder. What it finds must equal the truth files.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import databento_dbn as dbn
import numpy as np
import zstandard

RECORD = np.dtype(
    [
        ("length", "u1"), ("rtype", "u1"), ("publisher_id", "<u2"), ("instrument_id", "<u4"),
        ("ts_event", "<i8"), ("order_id", "<i8"), ("price", "<i8"), ("size", "<u4"), ("flags", "u1"),
        ("channel_id", "u1"), ("action", "S1"), ("side", "S1"), ("ts_recv", "<i8"), ("ts_in_delta", "<i4"),
        ("sequence", "<u4"),
    ]
)  # fmt: skip
SECOND = 1_000_000_000


def raw_bytes(path: Path) -> bytes:
    """The whole decompressed file."""
    with path.open("rb") as file:
        return zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True).read()


def read_mbo(path: Path) -> tuple[Any, np.ndarray]:
    """(metadata, structured records) of an MBO file."""
    data = raw_bytes(path)
    length = 8 + int.from_bytes(data[4:8], "little")
    return dbn.Metadata.decode(data[:length]), np.frombuffer(data, dtype=RECORD, offset=length)


def read_messages(path: Path) -> list[Any]:
    """Messages of a small file through the vendor's decoder, metadata first."""
    decoder = dbn.DBNDecoder()
    decoder.write(raw_bytes(path))
    return decoder.decode()


@dataclass
class Replay:
    """Book per second end, flow per second, trades, and every rule of the grammar that was broken."""

    book: dict[int, dict[tuple[str, int], tuple[int, int]]] = field(default_factory=dict)
    flow: dict[tuple[int, str, int], list[int]] = field(
        default_factory=lambda: defaultdict(lambda: [0, 0, 0])
    )
    trades: dict[int, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0, 0, 0]))
    events: Counter[int] = field(default_factory=Counter)
    crossed: Counter[int] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    shapes: Counter[str] = field(default_factory=Counter)
    aggressor_legs: int = 0
    first_snapshot: list[tuple[int, str, int, int]] = field(default_factory=list)


def replay(records: np.ndarray, instrument_id: int) -> Replay:
    """Applies the records of one instrument. Flow triples are (add, pull, fill) by the fill rule."""
    out = Replay()
    orders: dict[int, tuple[str, int, int]] = {}
    depth: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
    queue: dict[tuple[str, int], dict[int, None]] = defaultdict(dict)
    filled: dict[int, int] = defaultdict(int)
    event: list[tuple[Any, ...]] = []
    top: dict[str, int | None] = {"B": None, "A": None}
    last_ts = 0
    window = None

    def put(order: int, side: str, price: int, size: int) -> None:
        orders[order] = (side, price, size)
        depth[side, price][0] += size
        depth[side, price][1] += 1
        queue[side, price][order] = None
        if top[side] is None or (price > top[side] if side == "B" else price < top[side]):
            top[side] = price

    def take(order: int) -> tuple[str, int, int]:
        side, price, size = orders.pop(order)
        depth[side, price][0] -= size
        depth[side, price][1] -= 1
        queue[side, price].pop(order, None)
        if depth[side, price][1] == 0:
            del depth[side, price]
            queue.pop((side, price), None)
            if price == top[side]:
                left = [p for s, p in depth if s == side]
                top[side] = (max(left, default=None)) if side == "B" else min(left, default=None)
        return side, price, size

    def best() -> tuple[int | None, int | None]:
        return top["B"], top["A"]

    quote: tuple[int | None, int | None] = (None, None)
    for r in records[records["instrument_id"] == instrument_id].tolist():
        (_, _, _, _, ts, order, price, size, flags, _, action, side, _, _, _) = r
        action, side = action.decode(), side.decode()
        if flags & 32:
            if action == "R":
                orders.clear()
                depth.clear()
                queue.clear()
                top.update(B=None, A=None)
            else:
                out.first_snapshot.append((order, side, price, size))
                put(order, side, price, size)
            continue
        if window is None:
            window = ts // SECOND
            quote = best()
        while ts // SECOND > window:
            window += 1
            out.book[window * SECOND] = {key: (v[0], v[1]) for key, v in depth.items()}
        end = (window + 1) * SECOND
        if not event:
            if ts <= last_ts:
                out.broken["two events share a ts_event or run backwards"] += 1
            last_ts = ts
            filled.clear()
            legs = [0]
            aggressor = None
            first_trade = True
            before = quote
        elif ts != last_ts:
            out.broken["an event with two ts_event"] += 1
        event.append((action, side, order, price, size))
        if action == "T":
            slot = out.trades[end]
            slot["BAN".index(side)] += size
            slot[3] += 1
            aggressor = order
            if first_trade and side != "N":
                first_trade = False
                opposite = before[1] if side == "B" else before[0]
                if price != opposite:
                    out.broken["first T not at the opposite best price"] += 1
        elif action == "F":
            if aggressor is not None and order == aggressor:
                legs[0] += size
            else:
                filled[order] += size
        elif action == "A":
            if order in orders:
                out.broken["duplicate add"] += 1
            put(order, side, price, size)
            out.flow[end, side, price][0] += size
        elif action == "C":
            if order not in orders:
                out.broken["unknown cancel"] += 1
            else:
                s, p, q = take(order)
                if q != size or p != price or s != side:
                    out.broken["C does not state the displayed order"] += 1
                f = filled.pop(order, 0)
                x = min(f, size)
                out.flow[end, s, p][2] += f
                out.flow[end, s, p][0] += f - x
                out.flow[end, s, p][1] += size - x
        elif action == "M":
            if order not in orders:
                out.broken["unknown modify"] += 1
            else:
                s, p, q = orders[order]
                f = filled.pop(order, 0)
                if p == price:
                    out.flow[end, s, p][2] += f
                    z = size - q + f
                    out.flow[end, s, p][0 if z > 0 else 1] += abs(z)
                    if size <= q and z <= 0:
                        depth[s, p][0] += size - q
                        orders[order] = (s, p, size)
                    else:
                        take(order)
                        put(order, s, p, size)
                else:
                    x = min(f, q)
                    out.flow[end, s, p][2] += f
                    out.flow[end, s, p][0] += f - x
                    out.flow[end, s, p][1] += q - x
                    take(order)
                    put(order, s, price, size)
                    out.flow[end, s, price][0] += size
        elif action != "N":
            out.broken[f"action {action}"] += 1
        if not flags & 128:
            continue
        _check_event(out, event, legs[0])
        out.aggressor_legs += legs[0]
        if filled and any(filled.values()):
            out.broken["a fill without C or M of its order"] += 1
        quote = best() if any(e[0] in "ACM" for e in event) else quote
        out.events[end] += 1
        if None not in quote and quote[0] >= quote[1]:  # type: ignore[operator]
            out.crossed[end] += 1
        out.shapes["".join(e[0] for e in event)] += 1
        event = []
    if event:
        out.broken["file ends inside an event"] += 1
    if window is not None:
        out.book[(window + 1) * SECOND] = {key: (v[0], v[1]) for key, v in depth.items()}
    return out


def _check_event(out: Replay, event: list[tuple[Any, ...]], legs: int) -> None:
    trades = [e for e in event if e[0] == "T"]
    fills = [e for e in event if e[0] == "F"]
    if not trades:
        if fills:
            out.broken["F without T"] += 1
        return
    traded = sum(e[4] for e in trades)
    eaten = sum(e[4] for e in fills)
    auction = trades[0][1] == "N"
    if auction and (
        eaten != 2 * traded or len(trades) != 1 or trades[0][2] != 0 or any(e[1] != "N" for e in fills)
    ):
        out.broken["auction is not one T with F = 2 T"] += 1
    if not auction and traded != eaten - legs:
        out.broken["sum of T is not the sum of F without own legs"] += 1
    word = "".join(e[0] for e in event)
    if not auction and word.rstrip("ACMN").rstrip("TF") != "":
        out.broken["T and F do not come first"] += 1
