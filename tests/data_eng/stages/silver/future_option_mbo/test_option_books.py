"""Books of a chain that outgrow their first rooms: orders, levels, dead orders after clears, windows.

The twins' streams are short. Here the table is copied and the lists of levels move many times, and a dict
knows what must come out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from data_eng.dbn_codes import F_LAST, F_SNAPSHOT
from data_eng.kernels import option_layout as layout
from data_eng.mbo import MBO_DTYPE, MboColumns
from data_eng.stages.silver.future_option_mbo import option_books
from data_eng.stages.silver.future_option_mbo.option_books import BookBlock, OptionBooks

SECOND = 1_000_000_000
T0 = 1_767_708_000 * SECOND
NICKEL = 50_000_000
IDS = np.array([42_700_001, 7], np.uint32)


def busy_stream(records: int = 60_000, seed: int = 7) -> np.ndarray:
    """A, C, M and a few R of two options: order ids shared, prices over a thousand levels, 3,000 a second."""
    rng = np.random.default_rng(seed)
    rows = np.zeros(records, MBO_DTYPE)
    rows["instrument_id"] = IDS[rng.integers(0, 2, records)]
    rows["ts_event"] = T0 + np.arange(records) * (SECOND // 3_000)
    rows["ts_recv"] = rows["ts_event"] + 100_000
    rows["order_id"] = rng.integers(1, 40_000, records)
    rows["price"] = rng.integers(1, 1_000, records) * NICKEL
    rows["size"] = rng.integers(1, 50, records)
    rows["side"] = np.where(rng.random(records) < 0.5, ord("A"), ord("B"))
    rows["price"] += np.where(rows["side"] == ord("A"), 900 * NICKEL, 0)
    rows["action"] = rng.choice(np.array([ord(a) for a in "AAAMC"], np.uint8), records)
    rows["flags"] = F_LAST
    rows["action"][rng.integers(0, records, 6)] = ord("R")
    rows["action"][:2], rows["instrument_id"][:2] = ord("R"), IDS
    return rows


def plain_quotes(rows: np.ndarray, window_end: np.ndarray) -> list[list[tuple[int, int, int, int]]]:
    """(bid, bid_qty, ask, ask_qty) per window and option from dicts of orders, 0 = none."""
    books: dict[int, dict[int, list[Any]]] = {int(i): {} for i in IDS}
    found, at = [], 0
    for end in [*window_end.tolist(), None]:
        while at < len(rows) and (end is None or rows["ts_event"][at] < end):
            row = rows[at]
            orders, key, action = books[int(row["instrument_id"])], int(row["order_id"]), chr(row["action"])
            side, price, size = chr(row["side"]), int(row["price"]), int(row["size"])
            if action == "R":
                orders.clear()
            elif action == "A" or (action == "M" and key not in orders):
                orders[key] = [side, price, size]
            elif action == "M":
                orders[key] = [orders[key][0], price, size]
            elif key in orders:
                orders[key][2] -= min(size, orders[key][2])
                if orders[key][2] == 0:
                    del orders[key]
            at += 1
        if end is not None:
            found.append([top(books[int(i)].values()) for i in IDS])
    return found


def top(orders: Any) -> tuple[int, int, int, int]:
    bids = [price for side, price, _ in orders if side == "B"]
    asks = [price for side, price, _ in orders if side == "A"]
    bid, ask = max(bids, default=0), min(asks, default=0)
    lots = {(s, p): sum(q for s2, p2, q in orders if (s2, p2) == (s, p)) for s, p in (("B", bid), ("A", ask))}
    return bid, lots["B", bid], ask, lots["A", ask]


def quotes_of(blocks: list[BookBlock]) -> list[list[tuple[int, int, int, int]]]:
    return [
        [
            (int(b.bid[w, i]), int(b.bid_qty[w, i]), int(b.ask[w, i]), int(b.ask_qty[w, i]))
            for i in range(len(IDS))
        ]
        for b in blocks
        for w in range(b.windows)
    ]


def ends(windows: int) -> np.ndarray:
    return T0 + SECOND * np.arange(1, windows + 1)


def drain(books: OptionBooks, rows: np.ndarray, step: int) -> list[BookBlock]:
    found = []
    for start in range(0, len(rows), step):
        found += books.process(MboColumns.from_records(rows[start : start + step]))
    return [*found, *books.finish()]


@pytest.mark.parametrize(("first_orders", "windows_per_block", "step"), [(1 << 12, 300, 60_000), (4, 3, 977)])
def test_books_that_outgrow_every_room_hold_what_a_dict_holds(
    monkeypatch: pytest.MonkeyPatch, first_orders: int, windows_per_block: int, step: int
) -> None:
    monkeypatch.setattr(option_books, "FIRST_ORDERS", first_orders)
    rows, window_end = busy_stream(), ends(22)
    books = OptionBooks(IDS, IDS[:0], window_end, windows_per_block=windows_per_block)
    blocks = drain(books, rows, step)
    assert [b.start for b in blocks] == list(range(0, 22, windows_per_block))
    wanted = plain_quotes(rows, window_end)
    assert quotes_of(blocks) == wanted
    assert sum(bid > 0 and ask > 0 for pair in wanted for bid, _, ask, _ in pair) > 30, "books worth the name"
    arrays = books._e
    assert len(arrays.tab) > first_orders, "the order table was copied"
    assert max(arrays.opt["bid_room"]) > layout.FIRST_ROOM + 5, "a list of levels moved, again and again"
    assert books.counters()["clears"] >= 6
    assert arrays.st["live"][0] == arrays.opt["orders"].sum() <= arrays.st["used"][0]


def test_a_clear_leaves_dead_orders_that_no_id_finds_again() -> None:
    """The same ids come back after every clear; the table does not grow with what is dead."""
    rows = np.concatenate([busy_stream(3_000, seed) for seed in range(12)])
    rows["action"] = np.where(np.arange(len(rows)) % 1_500 == 0, ord("R"), ord("A"))
    rows["ts_event"] = T0 + np.arange(len(rows)) * (SECOND // 3_000)
    rows["ts_recv"] = rows["ts_event"] + 100_000
    window_end = ends(12)
    books = OptionBooks(IDS, IDS[:0], window_end)
    assert quotes_of(drain(books, rows, len(rows)))[-1] == plain_quotes(rows, window_end)[-1]


def test_instruments_of_other_shards_move_the_clock_and_nothing_else() -> None:
    rows = busy_stream(9_000)
    whole = OptionBooks(IDS, IDS[:0], ends(4))
    blocks = drain(whole, rows, 9_000)
    for place in range(2):
        part = OptionBooks(IDS[[place]], IDS[[1 - place]], ends(4))
        (block,) = drain(part, rows, 9_000)
        assert block.bid[:, 0].tolist() == blocks[0].bid[:, place].tolist()
        assert block.ask_qty[:, 0].tolist() == blocks[0].ask_qty[:, place].tolist()
        assert part.counters()["foreign_records"] == 0
    alone = OptionBooks(IDS[[0]], IDS[:0], ends(4))
    drain(alone, rows, 9_000)
    assert alone.counters()["foreign_records"] == int((rows["instrument_id"] == IDS[1]).sum())


def test_an_unmarked_snapshot_is_a_book_at_the_first_plain_record_of_any_option() -> None:
    """Layout legacy: no R, no F_LAST. The second option never speaks again and is read all the same."""
    rows = np.zeros(5, MBO_DTYPE)
    rows["instrument_id"] = IDS[[0, 0, 1, 1, 0]]
    rows["ts_event"] = [T0 - SECOND] * 4 + [T0 + 5 * SECOND]
    rows["ts_recv"] = [T0] * 4 + [T0 + 5 * SECOND + 1]
    rows["action"], rows["size"] = ord("A"), 3
    rows["side"] = [ord(c) for c in "BABAB"]
    rows["price"] = np.array([100, 110, 50, 55, 101]) * NICKEL
    rows["order_id"] = [1, 2, 1, 2, 3]
    rows["flags"] = [F_SNAPSHOT] * 4 + [F_LAST]
    (block,) = drain(OptionBooks(IDS, IDS[:0], ends(7)), rows, 1)
    assert (block.state == layout.Q_TWO_SIDED).all()
    assert block.bid[:, 0].tolist() == [100 * NICKEL] * 5 + [101 * NICKEL] * 2
    assert block.mid_sum[:, 1].tolist() == [105 * NICKEL] * 7
