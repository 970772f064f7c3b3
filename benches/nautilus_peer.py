"""The peer, in an interpreter of its own: nautilus_trader loads the file and applies it to its L3 book.

Run as ``python nautilus_peer.py FILE SYMBOL PRICE_PRECISION``. It answers every line on standard input with
one JSON line: CPU and wall seconds of load and apply, by the fastest way we know (its Rust objects, applied
in one call) and by its default (Cython objects, one call each). The first line is answered with the depth per
price, too. It imports nothing of this project.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import nautilus_trader
from nautilus_trader.adapters.databento.loaders import DatabentoDataLoader
from nautilus_trader.core import nautilus_pyo3 as rust
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.enums import BookType
from nautilus_trader.model.identifiers import InstrumentId


def clocks() -> tuple[float, float]:
    """CPU of the whole process (its loader may use threads of its own), and wall."""
    return time.process_time(), time.perf_counter()


def run(path: str, symbol: str, precision: int, *, legacy: bool) -> tuple[dict[str, float], Any]:
    """-> seconds of load and apply, and the book."""
    loader, name = DatabentoDataLoader(), f"{symbol}.GLBX"
    begin = clocks()
    deltas = loader.from_dbn_file(
        path, instrument_id=InstrumentId.from_str(name), price_precision=precision, as_legacy_cython=legacy
    )
    loaded = clocks()
    if legacy:
        book = OrderBook(InstrumentId.from_str(name), BookType.L3_MBO)
        for delta in deltas:
            book.apply_delta(delta)
    else:
        rust_id = rust.InstrumentId.from_str(name)
        book = rust.OrderBook(rust_id, rust.BookType.L3_MBO)
        book.apply_deltas(rust.OrderBookDeltas(rust_id, deltas))
    applied = clocks()
    spent = {
        "load_cpu": loaded[0] - begin[0],
        "load_wall": loaded[1] - begin[1],
        "apply_cpu": applied[0] - loaded[0],
        "apply_wall": applied[1] - loaded[1],
    }
    return spent, book


def depth(book: Any) -> dict[str, dict[str, int]]:
    """Side -> price in 1e-9 points -> contracts."""
    return {
        side: {str(round(float(level.price) * 10**9)): round(level.size()) for level in levels}
        for side, levels in (("A", book.asks()), ("B", book.bids()))
    }


def main() -> None:
    """Answer until standard input ends."""
    path, symbol, precision = sys.argv[1], sys.argv[2], int(sys.argv[3])
    first = True
    for _ in sys.stdin:
        # objects of one way are freed before the other is timed
        fast, book = run(path, symbol, precision, legacy=False)
        answer: dict[str, Any] = {"version": nautilus_trader.__version__, "fast": fast}
        if first:
            answer["depth"] = depth(book)
        del book
        answer["default"], book = run(path, symbol, precision, legacy=True)
        if first:
            answer["default_depth"] = depth(book)
        del book
        first = False
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
