"""Books of the options of a chain, or of a shard of it, read at the end of every window (spec 7.2).

The loop is `kernels.option_book`; here its arrays are made, grown and emptied.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from data_eng.kernels import option_book
from data_eng.kernels import option_layout as layout
from data_eng.mbo import MBO_DTYPE, MboColumns

FIRST_ORDERS: Final = 1 << 14
AHEAD: Final = 64
"""for so many records at a time the rows they need are asked for before the first is applied"""
_SPARE: Final = 2
"""the order table has at least this many rows per living order when it is copied, so that copies stay rare"""
_LINE_BYTES: Final = 64


class BookBlock(NamedTuple):
    """What the books show at the ends of windows start:start + w, one column per option.

    bid, ask int64[w, n] 1e-9 points, 0 = none; mid_sum int64 bid + ask of the mid, carried or not, 0 = none;
    flow int64 contracts bought minus sold by aggressors since the start; bid_qty, ask_qty int32; age int8
    windows that the mid was carried; state int8, one of Q_NO_BOOK, Q_ONE_SIDED, Q_CROSSED, Q_TWO_SIDED.
    """

    start: int
    bid: npt.NDArray[np.int64]
    ask: npt.NDArray[np.int64]
    mid_sum: npt.NDArray[np.int64]
    flow: npt.NDArray[np.int64]
    bid_qty: npt.NDArray[np.int32]
    ask_qty: npt.NDArray[np.int32]
    age: npt.NDArray[np.int8]
    state: npt.NDArray[np.int8]

    @property
    def windows(self) -> int:
        """Number of windows in the block."""
        return len(self.state)


class OptionBooks:
    """Applies records in file order; blocks of read windows come out as soon as they are full.

    own: uint32[n] instruments whose books are kept, one output column each. others: instruments of the
    chain that only move its clock. window_end: int64[w] ns, ascending, of the windows to read. The result
    does not depend on how the records are cut.
    """

    def __init__(
        self,
        own: npt.NDArray[np.uint32],
        others: npt.NDArray[np.uint32],
        window_end: npt.NDArray[np.int64],
        *,
        windows_per_block: int = 300,
    ) -> None:
        n = len(own)
        self._per_block = windows_per_block
        self._read = 0
        slots = 1 << max(4, (4 * (n + len(others))).bit_length())
        ids = np.zeros(slots, np.uint32)
        index = np.full(slots, layout.FOREIGN, np.int32)
        option_book.fill_index(ids, index, own, np.arange(n, dtype=np.int32))
        option_book.fill_index(ids, index, others, np.full(len(others), layout.OTHER_SHARD, np.int32))
        st = np.zeros(1, layout.BOOKS)
        st["clock"] = layout.NOT_STARTED
        st["day_hi_ns"] = -1
        room = 1 << layout.FIRST_ROOM
        options = _lines(n, layout.OPTION)
        options["touch_win"] = layout.NOT_STARTED - 1
        options["mid_win"] = layout.NOT_STARTED
        options["bid_off"] = 2 * room * np.arange(n)
        options["ask_off"] = options["bid_off"] + room
        options["bid_room"] = options["ask_room"] = layout.FIRST_ROOM
        st["pool_used"] = 2 * room * n
        quotes = np.zeros(n, layout.QUOTE)
        quotes["mid_win"] = layout.NOT_STARTED
        self._e = option_book.BookArrays(
            st=st,
            cnt=np.zeros(1, layout.COUNTERS),
            opt=options,
            tab=_orders(FIRST_ORDERS),
            lev=_lines(max(4 * room * n, 64), layout.LEVEL),
            snap_recv=np.zeros(n, np.int64),
            quote=quotes,
            touched=np.zeros(max(n, 1), np.int32),
            ids=ids,
            index=index,
            ahead=np.zeros(AHEAD, np.int32),
            ends=np.ascontiguousarray(window_end, np.int64),
            **_outputs(windows_per_block, n),
        )
        st["hash_shift"] = _shift(FIRST_ORDERS)

    def process(self, columns: MboColumns) -> Iterator[BookBlock]:
        """Apply all records; yields the blocks that became full."""
        yield from self._drive(columns, 0, layout.APPLY)

    def finish(self) -> Iterator[BookBlock]:
        """End of the input: reads every window that is left."""
        yield from self._drive(_NO_RECORDS, 0, layout.FINISH)
        if self._e.st["rows"][0]:
            yield self._take()

    def counters(self) -> dict[str, int]:
        """Counts so far, by name (decision 0003)."""
        return {name: int(self._e.cnt[name][0]) for name in layout.COUNTERS.names or ()}

    def _drive(self, columns: MboColumns, i: int, command: int) -> Iterator[BookBlock]:
        fields = columns[:9]
        while True:
            i, need = option_book.drive(self._e, *fields, i, command)
            if need == layout.DONE:
                return
            if need == layout.NEED_OUTPUT:
                yield self._take()
            elif need == layout.NEED_ORDERS:
                self._grow_orders()
            else:
                self._grow_levels()

    def _take(self) -> BookBlock:
        """The rows read so far; new arrays take their place, since the old ones are handed out."""
        e = self._e
        rows = int(e.st["rows"][0])
        block = BookBlock(
            self._read,
            *(
                array[:rows]
                for array in (
                    e.out_bid,
                    e.out_ask,
                    e.out_mid_sum,
                    e.out_flow,
                    e.out_bid_qty,
                    e.out_ask_qty,
                    e.out_age,
                    e.out_state,
                )
            ),
        )
        self._read += rows
        e.st["rows"] = 0
        self._e = e._replace(**_outputs(self._per_block, len(e.opt)))
        return block

    def _grow_orders(self) -> None:
        e = self._e
        wanted = FIRST_ORDERS
        while wanted < _SPARE * (int(e.st["live"][0]) + 1):
            wanted *= 2
        table = _orders(wanted)
        e.st["used"] = option_book.rehash(e.tab, table, e.opt, _shift(wanted))
        e.st["hash_shift"] = _shift(wanted)
        self._e = e._replace(tab=table)

    def _grow_levels(self) -> None:
        e = self._e
        pool = _lines(2 * len(e.lev), layout.LEVEL)
        pool[: len(e.lev)] = e.lev
        self._e = e._replace(lev=pool)


def _orders(rows: int) -> npt.NDArray[np.void]:
    table = _lines(rows, layout.ORDER)
    table["label"] = -1
    return table


def _lines(rows: int, kind: np.dtype[np.void]) -> npt.NDArray[np.void]:
    """Zeros that begin at a line of the cache, so that no row of 16, 32 or 64 bytes lies in two."""
    raw = np.zeros(rows * kind.itemsize + _LINE_BYTES, np.uint8)
    skip = -raw.ctypes.data % _LINE_BYTES
    return raw[skip : skip + rows * kind.itemsize].view(kind)


def _shift(rows: int) -> int:
    """Hash shift of a table of 2^k rows."""
    return 64 - (rows.bit_length() - 1)


def _outputs(windows: int, n: int) -> dict[str, npt.NDArray[np.generic]]:
    return {
        "out_bid": np.empty((windows, n), np.int64),
        "out_ask": np.empty((windows, n), np.int64),
        "out_mid_sum": np.empty((windows, n), np.int64),
        "out_flow": np.empty((windows, n), np.int64),
        "out_bid_qty": np.empty((windows, n), np.int32),
        "out_ask_qty": np.empty((windows, n), np.int32),
        "out_age": np.empty((windows, n), np.int8),
        "out_state": np.empty((windows, n), np.int8),
    }


_NO_RECORDS: Final = MboColumns.from_records(np.zeros(0, MBO_DTYPE))
