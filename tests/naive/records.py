"""Words shared by the slow twins: one MBO record, one order, and what a record does to an order (spec 4.5).

Typed from the specification and the vendor package, not imported from `data_eng`: a twin that borrowed
the constants of the code under test would prove nothing about them.
"""

from __future__ import annotations

from typing import NamedTuple

import databento_dbn as dbn

F_LAST = int(dbn.F_LAST)
F_SNAPSHOT = int(dbn.F_SNAPSHOT)
F_BAD_TS_RECV = int(dbn.F_BAD_TS_RECV)
F_MAYBE_BAD_BOOK = int(dbn.F_MAYBE_BAD_BOOK)
F_PUBLISHER_SPECIFIC = 2  # a name of spec 4.2; not every release of the vendor package exports it
UNDEF_PRICE = int(dbn.UNDEF_PRICE)

ASK = "A"
BID = "B"
SIDES = (ASK, BID)

WINDOW_NS = 1_000_000_000
REST_NS = 500_000_000
MAX_SIZE = 2**31 - 1
PHASES = ("closed", "pre_open", "open", "halt")


class Rec(NamedTuple):
    """One MBO record. Times in ns UTC, price in 1e-9 points, size in contracts, order_id as uint64."""

    ts_event: int
    ts_recv: int
    order_id: int
    price: int
    size: int
    flags: int
    action: str
    side: str
    instrument_id: int
    sequence: int


class Order(NamedTuple):
    """A resting order; t_enter_ns is when it took its current price."""

    side: str
    price: int
    qty: int
    t_enter_ns: int


def order_after(before: Order | None, rec: Rec) -> Order | None:
    """The order once an accepted A, C or M was applied to it; None means "not in the book"."""
    if rec.action == "C":
        if before is None:
            return None
        left = before.qty - min(rec.size, before.qty)
        return before._replace(qty=left) if left > 0 else None
    if rec.action == "M" and before is not None:
        if rec.price == before.price:
            return before._replace(qty=rec.size)
        return Order(before.side, rec.price, rec.size, rec.ts_event)
    return Order(rec.side, rec.price, rec.size, rec.ts_event)
