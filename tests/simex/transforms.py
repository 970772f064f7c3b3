"""Transformations of MBO records for metamorphic tests (spec 13.4 to 13.6): data in, data out.

All take and give structured arrays of 56-byte MBO records in file order; nothing is changed in place.
"""

from __future__ import annotations

from typing import Any

import numpy as np

UNDEF_PRICE = 2**63 - 1
F_LAST = 128
F_SNAPSHOT = 32


def _priced(records: np.ndarray) -> np.ndarray:
    return np.asarray(records["price"] != UNDEF_PRICE)


def _sides(records: np.ndarray) -> tuple[Any, Any]:
    """Codes of ask and bid in the type of the array (bytes or numbers)."""
    return (b"A", b"B") if records["side"].dtype.kind == "S" else (ord("A"), ord("B"))


def mirror(records: np.ndarray, axis_price_int: int) -> np.ndarray:
    """Reflects prices at an axis and exchanges bids and asks."""
    out = records.copy()
    priced = _priced(out)
    out["price"][priced] = 2 * axis_price_int - out["price"][priced]
    ask, bid = _sides(out)
    out["side"] = np.where(
        records["side"] == ask, bid, np.where(records["side"] == bid, ask, records["side"])
    )
    return out


def shift(records: np.ndarray, ticks: int, tick_int: int = 250_000_000) -> np.ndarray:
    """Moves every price by a number of ticks."""
    out = records.copy()
    out["price"][_priced(out)] += ticks * tick_int
    return out


def scale(records: np.ndarray, factor: int) -> np.ndarray:
    """Multiplies every size."""
    out = records.copy()
    out["size"] *= factor
    return out


def with_flash_adds(records: np.ndarray, every: int, size: int = 50) -> np.ndarray:
    """After each n-th add another order is added and cancelled in one event, at the same price."""
    plain = (records["flags"] & F_SNAPSHOT) == 0
    action = records["action"]
    add = b"A" if action.dtype.kind == "S" else ord("A")
    cancel = b"C" if action.dtype.kind == "S" else ord("C")
    ends = np.flatnonzero(plain & ((records["flags"] & F_LAST) > 0) & (action == add))
    ts = records["ts_event"].astype(np.int64)
    room = np.append(ts[1:] - ts[:-1], 10) > 2  # an event of its own needs a time of its own
    ends = ends[room[ends]][every - 1 :: every]
    pair = np.repeat(records[ends], 2)
    pair["ts_event"] += 1
    pair["order_id"] = 9_000_000_000_000 + np.repeat(np.arange(len(ends)), 2).astype(pair["order_id"].dtype)
    pair["size"] = size
    pair["flags"][0::2] = 0
    pair["action"][0::2], pair["action"][1::2] = add, cancel
    return np.insert(records, np.repeat(ends + 1, 2), pair)


def snapshot_layout(records: np.ndarray, layout: str) -> np.ndarray:
    """Rewrites the leading snapshot of a one-instrument stream: modern, legacy or legacy-168 (C5)."""
    n = int(np.argmin((records["flags"] & F_SNAPSHOT) > 0))
    action = records["action"]
    reset = b"R" if action.dtype.kind == "S" else ord("R")
    head, rest = records[:n], records[n:]
    adds = head[head["action"] != reset].copy()
    order = np.argsort(adds["ts_event"], kind="stable")
    adds = adds[order]
    ts_recv = int(head["ts_recv"][0])
    if layout == "modern":
        first = head[:1].copy()
        first["action"] = reset
        first["side"] = b"N" if action.dtype.kind == "S" else ord("N")
        first["price"], first["size"], first["order_id"] = UNDEF_PRICE, 0, 0
        first["ts_event"] = ts_recv
        adds = np.concatenate([first, adds])
    else:
        _, bid = _sides(adds)
        is_bid = adds["side"] == bid
        adds = adds[np.lexsort((np.where(is_bid, -adds["price"], adds["price"]), ~is_bid))]
        adds["ts_event"] = ts_recv - 36_000_000_000_000
    adds["flags"] = 40
    if layout != "legacy":
        adds["flags"][-1] = 168
    return np.concatenate([adds, rest])


def split(records: np.ndarray, cuts: list[int]) -> list[np.ndarray]:
    """Cuts a stream at row numbers, wherever they fall (inside a snapshot or an event too)."""
    return np.split(records, sorted(cuts))


def only(records: np.ndarray, instrument_id: int) -> np.ndarray:
    """The records of one instrument."""
    return records[records["instrument_id"] == instrument_id]
