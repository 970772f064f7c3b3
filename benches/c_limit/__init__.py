"""The C limit as a shared library: compiled when the bench runs, called on the same records in memory."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benches.measure import Missing, Spent, Stopwatch
from data_eng.mbo import MBO_DTYPE
from data_eng.units import REST_NS

SOURCE: Final = Path(__file__).with_name("book.c")
FLAGS: Final = ("-O3", "-march=native", "-shared", "-fPIC")
ROW_COLUMNS: Final = (
    "window_end_ts_ns",
    "best_bid_price_int",
    "best_bid_qty",
    "best_ask_price_int",
    "best_ask_qty",
    "last_trade_price_int",
    "crossed_event_count",
    "event_count",
    "buy_qty",
    "sell_qty",
    "trade_count",
)
"""columns of book_snapshot_1s that C computes, too"""
ROW: Final = np.dtype([(name, "i8") for name in ROW_COLUMNS])
LEVEL_COLUMNS: Final = ("price", "depth", "add", "pull", "pull_rest", "fill")
_POINTER: Final = ctypes.c_void_p
_I64: Final = ctypes.c_int64


@dataclass(frozen=True)
class CResult:
    """What one pass left behind.

    rows: array of `ROW`, one per second. levels: int64[2 * ticks, 6] by `LEVEL_COLUMNS`, bid and ask of a
    tick one after the other. spent: time of the pass alone.
    """

    rows: npt.NDArray[Any]
    levels: npt.NDArray[np.int64]
    order_count: int
    spent: Spent

    def depth(self) -> dict[str, dict[int, int]]:
        """Side -> price_int -> contracts, occupied levels only, as `BookEngine.depth` gives it."""
        return {
            name: {int(p): int(q) for p, q in self.levels[side::2, :2] if q}
            for name, side in (("A", 1), ("B", 0))
        }


class CBook:
    """The compiled library. Raises `Missing` when there is no gcc."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("gcc")
        if compiler is None:
            raise Missing("gcc is not installed, so there is no C limit to compare with")
        self.command = " ".join(["gcc", *FLAGS])
        target = folder / "book.so"
        done = subprocess.run(
            [compiler, *FLAGS, "-o", str(target), str(SOURCE)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Missing(f"gcc could not compile {SOURCE.name}: {done.stderr.strip()[:400]}")
        library = ctypes.CDLL(str(target))
        library.book_new.restype = _POINTER
        library.book_new.argtypes = (_I64, _I64, _I64, _POINTER, _I64)
        library.book_run.restype = _I64
        library.book_run.argtypes = (_POINTER, _POINTER, _I64, ctypes.c_uint32)
        library.book_run_with_totals.restype = _I64
        library.book_run_with_totals.argtypes = (_POINTER, _POINTER, _I64, ctypes.c_uint32, _I64)
        library.book_free.argtypes = (_POINTER,)
        library.book_ticks.restype = library.book_orders.restype = _I64
        library.book_ticks.argtypes = library.book_orders.argtypes = (_POINTER,)
        library.book_levels.argtypes = (_POINTER, _POINTER)
        self._library = library

    def run(
        self,
        records: npt.NDArray[Any],
        instrument_id: int,
        tick_int: int,
        seconds: int,
        totals_from_ns: int | None = None,
    ) -> CResult:
        """One pass over contiguous records of `MBO_DTYPE`; room for `seconds` rows.

        totals_from_ns: also sum the flow per level over windows that end after it; None = do not.
        """
        if records.dtype != MBO_DTYPE or not records.flags.c_contiguous:
            raise ValueError("the C limit takes contiguous records of MBO_DTYPE")
        prices = records["price"][records["action"] == ord("A")]
        rows = np.zeros(seconds + 1, ROW)
        library = self._library
        book = library.book_new(tick_int, int(prices[0]) // tick_int, REST_NS, rows.ctypes.data, len(rows))
        try:
            arguments = (book, records.ctypes.data, len(records), instrument_id)
            with Stopwatch() as watch:
                if totals_from_ns is None:
                    count = library.book_run(*arguments)
                else:
                    count = library.book_run_with_totals(*arguments, totals_from_ns)
            levels = np.zeros((2 * library.book_ticks(book), len(LEVEL_COLUMNS)), np.int64)
            library.book_levels(book, levels.ctypes.data)
            return CResult(rows[:count], levels, library.book_orders(book), watch.spent)
        finally:
            library.book_free(book)
