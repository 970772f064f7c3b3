"""Truth files of the future: what the matching engine knows, one table per question (exchange.md B6).

All figures come from the kernel's own counters. Rows appear in the order of their keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from simex import futures_kernel as k
from simex.feed import Instrument
from simex.futures import Chunk
from simex.plants import Plant

Ints = npt.NDArray[np.int64]

PHASES: Final = ("closed", "pre_open", "open")
SIDES: Final = ("B", "A")
ENDS: Final = ("resting", "filled", "cancelled", "self-match")
_SIDE_TYPE: Final = pa.dictionary(pa.int8(), pa.string())

BOOK: Final = pa.schema(
    [
        ("window_end_ts_ns", pa.int64()),
        ("side", _SIDE_TYPE),
        ("price_int", pa.int64()),
        ("qty", pa.int64()),
        ("order_count", pa.int64()),
        ("phase", _SIDE_TYPE),
        ("last_trade_price_int", pa.int64()),
        ("crossed", pa.bool_()),
    ]
)
FLOW: Final = pa.schema(
    [("window_end_ts_ns", pa.int64()), ("side", _SIDE_TYPE), ("price_int", pa.int64())]
    + [(name, pa.int64()) for name in ("added", "pulled", "filled", "moved_in", "moved_out")]
)
WINDOW: Final = pa.schema(
    [
        ("window_end_ts_ns", pa.int64()),
        ("phase", _SIDE_TYPE),
        ("last_trade_price_int", pa.int64()),
        ("best_bid_price_int", pa.int64()),
        ("best_ask_price_int", pa.int64()),
        ("crossed", pa.bool_()),
        ("crossed_event_count", pa.int64()),
        ("event_count", pa.int64()),
        ("record_count", pa.int64()),
    ]
)
TRADES: Final = pa.schema(
    [
        (name, pa.int64())
        for name in ("window_end_ts_ns", "buy_qty", "sell_qty", "none_qty", "trade_count", "event_count")
    ]
)
ORDERS: Final = pa.schema(
    [
        ("order_id", pa.int64()),
        ("side", _SIDE_TYPE),
        ("enter_ts_ns", pa.int64()),
        ("leave_ts_ns", pa.int64()),
        ("price_path_int", pa.list_(pa.int64())),
        ("displayed", pa.int64()),
        ("hidden", pa.int64()),
        ("owner", pa.int64()),
        ("end_reason", pa.dictionary(pa.int8(), pa.string())),
    ]
)
PLANTS: Final = pa.schema(
    [
        ("plant_id", pa.int64()),
        ("kind", pa.string()),
        ("t0_ns", pa.int64()),
        ("t1_ns", pa.int64()),
        ("side", pa.string()),
        ("price_int", pa.int64()),
        ("qty", pa.int64()),
        ("expected_effect", pa.string()),
    ]
)
_LOG_TYPE: Final = np.dtype(
    [
        ("id", "i8"),
        ("ts", "i8"),
        ("kind", "i1"),
        ("side", "i1"),
        ("tick", "i4"),
        ("qty", "i4"),
        ("hidden", "i4"),
        ("owner", "i4"),
    ]
)


def words_column(codes: npt.NDArray[Any], words: tuple[str, ...]) -> Any:
    """Dictionary-encoded strings from codes."""
    return pa.DictionaryArray.from_arrays(pa.array(np.asarray(codes, dtype=np.int8)), text_column(words))


def text_column(words: Sequence[str]) -> Any:
    """Strings, by way of buffers: given Python objects, pyarrow imports pandas (1.6 s) to look at them."""
    encoded = [word.encode() for word in words]
    offsets = np.cumsum([0, *map(len, encoded)]).astype(np.int32)
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded)))


def int_column(values: Sequence[int]) -> Any:
    """int64 values, by way of numpy for the same reason."""
    return pa.array(np.array(values, dtype=np.int64))


class FuturesTruth:
    """Streams book, flow, trades and windows to Parquet and collects the order log.

    full_book: every non-empty level of every second (tiny, small), else only the levels that changed.
    """

    def __init__(self, folder: Path, instrument: Instrument, *, full_book: bool) -> None:
        self._folder = folder
        self._tick_int = instrument.tick_int
        self._tick0 = instrument.centre_price_int // instrument.tick_int - k.LADDER_TICKS // 2
        self._full = full_book
        self._qty = np.zeros(2 * k.LADDER_TICKS, dtype=np.int64)
        self._count = np.zeros(2 * k.LADDER_TICKS, dtype=np.int64)
        self._log: list[npt.NDArray[Any]] = []
        self._plant_log: list[Ints] = []
        self._windows: list[Ints] = []
        self._writers = {
            name: pq.ParquetWriter(folder / f"truth_{name}.parquet", schema, compression="zstd")
            for name, schema in (
                ("book_1s", BOOK),
                ("flow_1s", FLOW),
                ("trades_1s", TRADES),
                ("window_1s", WINDOW),
            )
        }

    def _price(self, tick: npt.NDArray[np.int64]) -> Ints:
        return np.asarray((tick + self._tick0) * self._tick_int)

    def open_with(self, orders: Ints) -> None:
        """The book of the snapshot: int64[n, O_FIELDS] of resting orders."""
        level = orders[:, k.O_SIDE] * k.LADDER_TICKS + orders[:, k.O_TICK]
        np.add.at(self._qty, level, orders[:, k.O_QTY])
        np.add.at(self._count, level, 1)
        log = np.zeros(len(orders), dtype=_LOG_TYPE)
        log["id"], log["ts"], log["kind"] = orders[:, k.O_ID], orders[:, k.O_T_PRIORITY], k.LOG_SNAPSHOT
        log["side"], log["tick"], log["qty"] = orders[:, k.O_SIDE], orders[:, k.O_TICK], orders[:, k.O_QTY]
        log["hidden"], log["owner"] = orders[:, k.O_HIDDEN], orders[:, k.O_OWNER]
        self._log.append(log)

    def add(self, chunk: Chunk) -> None:
        """Appends the truth of one chunk."""
        self._add_log(chunk.log)
        windows = chunk.windows
        if not len(windows):
            return
        self._windows.append(windows)
        trade = np.where(windows[:, 2] > 0, self._price(windows[:, 2]), 0)
        bid = np.where(windows[:, 3] >= 0, self._price(windows[:, 3]), 0)
        ask = np.where(windows[:, 4] < k.LADDER_TICKS, self._price(windows[:, 4]), 0)
        phase = words_column(windows[:, 1], PHASES)
        self._writers["trades_1s"].write_table(
            pa.table([pa.array(windows[:, i]) for i in (0, 5, 6, 7, 8, 9)], schema=TRADES)
        )
        crossed = pa.array(windows[:, 12] > 0)
        self._writers["window_1s"].write_table(
            pa.table(
                [
                    pa.array(windows[:, 0]),
                    phase,
                    pa.array(trade),
                    pa.array(bid),
                    pa.array(ask),
                    crossed,
                    pa.array(windows[:, 10]),
                    pa.array(windows[:, 9]),
                    pa.array(windows[:, 11]),
                ],
                schema=WINDOW,
            )
        )
        self._add_flow(chunk.levels)
        self._add_book(chunk.levels, windows, trade)

    def _add_flow(self, levels: Ints) -> None:
        moved = levels[levels[:, 4:].any(axis=1)]
        order = np.lexsort((moved[:, 1] % k.LADDER_TICKS, 1 - moved[:, 1] // k.LADDER_TICKS, moved[:, 0]))
        moved = moved[order]
        self._writers["flow_1s"].write_table(
            pa.table(
                [
                    pa.array(moved[:, 0]),
                    words_column(moved[:, 1] // k.LADDER_TICKS, SIDES),
                    pa.array(self._price(moved[:, 1] % k.LADDER_TICKS)),
                    *(pa.array(moved[:, i]) for i in range(4, 9)),
                ],
                schema=FLOW,
            )
        )

    def _add_book(self, levels: Ints, windows: Ints, trade: Ints) -> None:
        if not self._full:
            at = np.searchsorted(windows[:, 0], levels[:, 0])
            self._write_book(levels[:, 0], levels[:, 1], levels[:, 2], levels[:, 3], windows, trade, at)
            return
        starts = np.searchsorted(levels[:, 0], windows[:, 0], side="left")
        stops = np.searchsorted(levels[:, 0], windows[:, 0], side="right")
        parts: list[tuple[Ints, Ints, Ints]] = []
        first = 0
        total = 0
        for i in range(len(windows)):
            rows = levels[starts[i] : stops[i]]
            self._qty[rows[:, 1]] = rows[:, 2]
            self._count[rows[:, 1]] = rows[:, 3]
            level = np.flatnonzero(self._count)
            parts.append((level, self._qty[level], self._count[level]))
            total += len(level)
            if total > 500_000 or i + 1 == len(windows):
                at = np.repeat(np.arange(first, i + 1), [len(part[0]) for part in parts])
                columns = [np.concatenate([part[j] for part in parts]) for j in range(3)]
                self._write_book(windows[at, 0], columns[0], columns[1], columns[2], windows, trade, at)
                parts, first, total = [], i + 1, 0

    def _write_book(
        self, end: Ints, level: Ints, qty: Ints, count: Ints, windows: Ints, trade: Ints, at: Ints
    ) -> None:
        self._writers["book_1s"].write_table(
            pa.table(
                [
                    pa.array(end),
                    words_column(level // k.LADDER_TICKS, SIDES),
                    pa.array(self._price(level % k.LADDER_TICKS)),
                    pa.array(qty),
                    pa.array(count),
                    words_column(windows[at, 1], PHASES),
                    pa.array(trade[at]),
                    pa.array(windows[at, 12] > 0),
                ],
                schema=BOOK,
            )
        )

    def _add_log(self, log: Ints) -> None:
        self._plant_log.append(log[log[:, k.X_KIND] == k.LOG_PLANT])
        log = log[log[:, k.X_KIND] != k.LOG_PLANT]
        rows = np.zeros(len(log), dtype=_LOG_TYPE)
        for name, column in zip(_LOG_TYPE.names or (), (2, 1, 0, 3, 4, 5, 6, 7), strict=True):
            rows[name] = log[:, column]
        self._log.append(rows)

    def windows(self) -> Ints:
        """int64[n, TW_FIELDS] of all seconds so far."""
        return np.concatenate(self._windows) if self._windows else np.zeros((0, k.TW_FIELDS), dtype=np.int64)

    def finish(self, plants: list[Plant]) -> None:
        """Writes orders and plants and closes all files."""
        for writer in self._writers.values():
            writer.close()
        pq.write_table(self._orders(), self._folder / "truth_orders.parquet", compression="zstd")
        pq.write_table(self._plants(plants), self._folder / "truth_plants.parquet", compression="zstd")

    def _orders(self) -> Any:
        """One row per order: its path of prices, and how it ended."""
        log = np.concatenate(self._log)
        log = log[np.argsort(log["id"], kind="stable")]
        ids, first = np.unique(log["id"], return_index=True)
        last = np.append(first[1:], len(log)) - 1
        gone = log["kind"][last] == k.LOG_LEAVE
        path = (log["kind"] == k.LOG_SNAPSHOT) | (log["kind"] == k.LOG_ENTER)
        path[1:] |= (log["kind"][1:] == k.LOG_REPRICE) & (log["tick"][1:] != log["tick"][:-1])
        offsets = np.append(0, np.cumsum(path))[np.append(first, len(log))]
        return pa.table(
            [
                pa.array(ids),
                words_column(log["side"][first], SIDES),
                pa.array(log["ts"][first]),
                pa.array(np.where(gone, log["ts"][last], 0)),
                pa.ListArray.from_arrays(
                    pa.array(offsets.astype(np.int32)),
                    pa.array(self._price(log["tick"][path].astype(np.int64))),
                ),
                pa.array(log["qty"][first].astype(np.int64)),
                pa.array(log["hidden"][first].astype(np.int64)),
                pa.array(log["owner"][first].astype(np.int64)),
                words_column(np.where(gone, log["owner"][last], 0), ENDS),
            ],
            schema=ORDERS,
        )

    def _plants(self, plants: list[Plant]) -> Any:
        """The plan joined with the price that each plant met first (0 where it has none)."""
        log = (
            np.concatenate(self._plant_log) if self._plant_log else np.zeros((0, k.X_FIELDS), dtype=np.int64)
        )
        met: dict[int, int] = {}
        for row in log:
            if row[k.X_TICK] > 0:
                met.setdefault(int(row[k.X_ID]), int(row[k.X_TICK]))
        ticks = np.array([met.get(plant.plant_id, 0) for plant in plants], dtype=np.int64)
        prices = np.where(ticks > 0, self._price(ticks), 0).tolist()
        return pa.table(
            [
                int_column([p.plant_id for p in plants]),
                text_column([p.kind for p in plants]),
                int_column([p.t0_ns for p in plants]),
                int_column([p.t1_ns for p in plants]),
                text_column([p.side for p in plants]),
                int_column(prices),
                int_column([p.qty for p in plants]),
                text_column([p.expected_effect for p in plants]),
            ],
            schema=PLANTS,
        )

    def __enter__(self) -> FuturesTruth:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._writers.values():
            writer.close()
