"""Futures book engine: one state, one pass, the only source of what the futures book looked like.

`BookEngine` owns the arrays and drives the compiled loop of `data_eng.kernels.book`; the rules stand there
and in spec 4. Batch, replay and live use this class in the same way:

    engine = BookEngine(instrument_id)
    engine.apply(MboColumns.from_records(block))     # -> Windows finished by these records
    engine.advance(ts_ns)                            # -> Windows finished by the passing of time
    engine.finish()                                  # -> the rest

How the stream is cut into blocks, and a `save` and `restore` anywhere, never change a row.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_eng.dbn_codes import PHASES
from data_eng.errors import EngineError
from data_eng.kernels import book as kernel
from data_eng.kernels import book_layout as at
from data_eng.mbo import MboColumns
from data_eng.schema import table
from data_eng.units import PRICES_PER_POINT, ROW_GROUP_WINDOWS, TICK_INT, UNDEF_PRICE, WINDOW_NS

Int64s = npt.NDArray[np.int64]

_INT64_MIN: Final = -(2**63)
_INT64_MAX: Final = 2**63 - 1
_FIRST_LEVELS: Final = 8_192
_MOST_LEVELS: Final = 131_072
"""the dense axis covers at most 32,768 ES points; what lies outside is kept as overflow levels"""
_FIRST_OVERFLOW: Final = 64
_WALL_ROWS: Final = 400_000
"""wall rows per block of output; the busiest window of 2,402 rows fits at least once"""
_APPROACH: Final = ("approach_none", "approach_up", "approach_down")
_SIDES: Final = ("B", "A")
_AGGRESSORS: Final = ("B", "A", "N")
_STATE_FORMAT: Final = 1


@dataclass(frozen=True)
class Windows:
    """Rows that one call finished, as Arrow tables in the declared schemas; any of them may be empty."""

    book_snapshot_1s: pa.Table
    wall_surface_1s: pa.Table
    radar_vacuum_1s: pa.Table
    trade_event: pa.Table

    @staticmethod
    def concat(parts: Sequence[Windows]) -> Windows:
        """All rows of the parts, in order."""
        names = ("book_snapshot_1s", "wall_surface_1s", "radar_vacuum_1s", "trade_event")
        return Windows(*(pa.concat_tables([getattr(part, name) for part in parts]) for name in names))


class BookEngine:
    """Book, flow and radar of one outright future (spec 4, 5.1-5.3, 5.7).

    instrument_id: records of other instruments are ignored.
    tick_int: price_int per tick, > 0.
    pauses: int64[n, 2], closed intervals [start, end) of the exchange in ns, sorted, disjoint
        (`data_eng.sessions.pause_intervals`).
    status: int64[n, 2], (ts_event ns, phase code) of status messages, sorted; they override the calendar.
    emit_from_ns, emit_to_ns: windows with emit_from <= window_start and window_end <= emit_to are emitted;
        all records are applied whatever they are.
    wall: False leaves out wall_surface_1s, which is most of the work.
    """

    def __init__(
        self,
        instrument_id: int,
        *,
        tick_int: int = TICK_INT,
        pauses: Int64s | None = None,
        status: Int64s | None = None,
        emit_from_ns: int | None = None,
        emit_to_ns: int | None = None,
        wall: bool = True,
    ) -> None:
        if tick_int <= 0:
            raise EngineError(f"tick_int is {tick_int}, expected a positive price_int per tick")
        st = np.zeros(at.N_STATE, np.int64)
        st[at.INSTRUMENT] = instrument_id
        st[at.TICK_INT] = tick_int
        st[at.EMIT_FROM] = _INT64_MIN if emit_from_ns is None else emit_from_ns
        st[at.EMIT_TO] = _INT64_MAX if emit_to_ns is None else emit_to_ns
        st[at.WITH_WALL] = int(wall)
        st[at.BEST_BID] = -1
        st[at.WIN] = at.PRE_WINDOW
        st[at.WIN_START_NS] = _INT64_MIN
        st[at.WIN_END_NS] = _INT64_MIN
        st[at.DAY_LO_NS] = 1  # no day: the first record sets it
        st[at.CAL_PHASE] = PHASES.index("open")
        st[at.RADAR_FIRST] = 1
        self._state: dict[str, npt.NDArray[Any]] = {
            "st": st,
            "cnt": np.zeros(len(at.COUNTER_NAMES), np.int64),
            "tab": _empty_table(1 << 15),
            "lev": np.zeros(_FIRST_OVERFLOW * 2 * at.LEVEL_WORDS, np.int64),
            "over": np.zeros(_FIRST_OVERFLOW, np.int64),
            "order": np.zeros(_FIRST_OVERFLOW, np.int64),
            "young": np.zeros((4_096, 2), np.int64),
            "young_blocks": np.zeros(4_096, np.int64),
            "rad": np.zeros((8_192, at.RADAR_ENTRY_WORDS), np.int64),
            "history": np.zeros((3, at.N_F + at.N_U)),
            "features": np.zeros(at.N_F + at.N_U),
            "zone": np.zeros((2, 2, at.ZONE), np.int64),
            "flow": np.zeros((2, at.W_WORDS), np.int64),
            "picture": np.zeros((2, 2, at.P_WORDS)),
            "filled": np.zeros(1_024, np.int64),
            "unknown": np.zeros((1_024, 2), np.int64),
            "trd": np.zeros((4_096, at.TRADE_WORDS), np.int64),
            "pauses": _pairs(pauses),
            "status": _pairs(status),
        }
        st[at.HASH_SHIFT] = 64 - 15
        self._out: dict[str, npt.NDArray[Any]] = {}
        self._allocate_output(_WALL_ROWS if wall else 3_000)
        self._finished = False

    # --------------------------------------------------------------------------------------- use
    def apply(self, records: MboColumns) -> Windows:
        """Apply records in file order -> the windows they finished."""
        return Windows.concat([*self.process(records), self.take()])

    def process(self, records: MboColumns) -> Iterator[Windows]:
        """Like `apply`, in blocks: yields whenever the output buffers are full, not at the end.

        Rows finished after the last block stay in the buffers; `take` fetches them.
        """
        self._require_open()
        index = 0
        while True:
            arrays = self._arrays()
            index, need = kernel.apply_records(arrays, *records, index)
            if need == at.DONE:
                return
            if need == at.NEED_OUTPUT:
                yield self.take(make_room=True)
            elif need == at.NEED_AXIS:
                self._grow_axis(int(self._state["st"][at.NEED_TICK]))
            elif need == at.NEED_OVERFLOW:
                self._make_overflow_room(int(self._state["st"][at.NEED_TICK]))
            elif self._lists_are_full():
                if self._complete_trades() > 0:
                    yield self.take()
                self._grow_lists()

    def advance(self, ts_ns: int) -> Windows:
        """Close every window with window_end <= ts_ns although no record says so (idle time, spec 4.7)."""
        self._require_open()
        parts = []
        while kernel.advance_to(self._arrays(), ts_ns) == at.NEED_OUTPUT:
            parts.append(self.take(make_room=True))
        return Windows.concat([*parts, self.take()])

    def finish(self) -> Windows:
        """Close the open event and the last record's window; the engine takes no more records."""
        self._require_open()
        parts = []
        while kernel.finish(self._arrays()) == at.NEED_OUTPUT:
            parts.append(self.take(make_room=True))
        self._finished = True
        return Windows.concat([*parts, self.take()])

    def counters(self) -> dict[str, int]:
        """Counters of spec 4.10 so far, by name."""
        return dict(zip(at.COUNTER_NAMES, self._state["cnt"].tolist(), strict=True))

    @property
    def book_complete(self) -> bool:
        """A full book is known now (spec 4.1)."""
        st = self._state["st"]
        return bool(st[at.COMPLETE] and not st[at.IN_SNAPSHOT])

    def depth(self) -> dict[str, dict[int, int]]:
        """Depth now: side 'A' and 'B' -> price_int -> contracts, occupied levels only."""
        st, lev = self._state["st"], self._state["lev"]
        blocks = lev[: 2 * self._levels() * at.LEVEL_WORDS].reshape(-1, 2, at.LEVEL_WORDS)
        ticks = self._level_ticks()
        result: dict[str, dict[int, int]] = {}
        for side, name in ((at.ASK, "A"), (at.BID, "B")):
            qty = blocks[:, side, at.L_DEPTH]
            used = np.nonzero(qty)[0]
            prices = ticks[used] * st[at.TICK_INT]
            result[name] = dict(zip(prices.tolist(), qty[used].tolist(), strict=True))
        return result

    def order_count(self) -> int:
        """Orders in the book now."""
        return int(self._state["st"][at.LIVE_ORDERS])

    def save(self) -> bytes:
        """Whole state as bytes; finished rows must have been taken (`apply` and `advance` do).

        Pauses and status belong to the state. The bytes are for `restore` of the same version.
        """
        sink = io.BytesIO()
        header = {"format": _STATE_FORMAT, "finished": self._finished, "arrays": list(self._state)}
        sink.write(json.dumps(header).encode() + b"\n")
        for array in self._state.values():
            np.save(sink, array, allow_pickle=False)
        return sink.getvalue()

    @classmethod
    def restore(cls, saved: bytes) -> BookEngine:
        """Engine that goes on where `save` was called. Raises `EngineError` for foreign bytes."""
        source = io.BytesIO(saved)
        try:
            header = json.loads(source.readline())
            if header["format"] != _STATE_FORMAT:
                raise EngineError(
                    f"saved engine state has format {header['format']}, expected {_STATE_FORMAT}"
                )
            arrays = {name: np.load(source, allow_pickle=False) for name in header["arrays"]}
        except (ValueError, KeyError, EOFError) as error:
            raise EngineError(f"these bytes are no saved engine state: {error}") from error
        engine = cls(int(arrays["st"][at.INSTRUMENT]), wall=bool(arrays["st"][at.WITH_WALL]))
        engine._state = arrays
        engine._finished = header["finished"]
        return engine

    # ------------------------------------------------------------------------------------ output
    def take(self, *, make_room: bool = False) -> Windows:
        """Fetch the finished rows from the buffers and empty them.

        `make_room`: the kernel could not close the next window, so the buffers must be larger if they
        were empty.
        """
        st, out = self._state["st"], self._out
        if st[at.NEED_TICK] == UNDEF_PRICE:
            raise EngineError(
                "a depth or flow of more than 2,147,483,647 contracts at one price does not fit the int32 columns of"
                f" wall_surface_1s; window_end <= {int(st[at.WIN_END_NS])} ns; check the sizes of the input"
            )
        windows = int(st[at.N_SNAP_ROWS])
        walls = int(st[at.N_WALL_ROWS])
        radars = int(st[at.N_RADAR_ROWS])
        trades = self._complete_trades()
        result = Windows(
            _snapshot_table(out["snap"][:windows]),
            _wall_table(out, walls),
            _radar_table(out["radar_i"][:radars], out["radar_f"][:radars], int(st[at.TICK_INT])),
            self._trade_table(trades),
        )
        if make_room and walls == 0 and windows < len(out["snap"]):
            self._allocate_output(2 * len(out["wall_rel"]))
        rest = int(st[at.N_TRADES]) - trades
        trd = self._state["trd"]
        trd[:rest] = trd[trades : trades + rest].copy()
        st[at.N_TRADES] = rest
        st[at.EV_FIRST_TRADE] = 0
        st[at.N_SNAP_ROWS] = st[at.N_WALL_ROWS] = st[at.N_RADAR_ROWS] = 0
        return result

    def _complete_trades(self) -> int:
        """Trades whose event is over; only then their sweep_level_count is known."""
        st = self._state["st"]
        return int(st[at.EV_FIRST_TRADE] if st[at.EV_HAS_TRADE] else st[at.N_TRADES])

    def _trade_table(self, count: int) -> pa.Table:
        st = self._state["st"]
        rows = self._state["trd"][:count]
        start = np.where(
            rows[:, at.TR_WIN] == at.PRE_WINDOW, rows[:, at.TR_EVENT_NS], rows[:, at.TR_WIN] * WINDOW_NS
        )
        rows = rows[(start >= st[at.EMIT_FROM]) & (start < st[at.EMIT_TO])]
        aggressor = np.select([rows[:, at.TR_SIDE] == ord("B"), rows[:, at.TR_SIDE] == ord("A")], [0, 1], 2)
        return _table(
            "trade_event",
            {
                "ts_event_ns": rows[:, at.TR_EVENT_NS],
                "ts_recv_ns": rows[:, at.TR_RECV_NS],
                "sequence": rows[:, at.TR_SEQUENCE].astype(np.uint32),
                "trade_idx": rows[:, at.TR_IDX],
                "price_int": rows[:, at.TR_PRICE],
                "qty": rows[:, at.TR_QTY],
                "aggressor_side": _words(aggressor, _AGGRESSORS),
                "order_id": rows[:, at.TR_ORDER_ID].view(np.uint64)
                if rows[:, at.TR_ORDER_ID].flags.c_contiguous
                else np.ascontiguousarray(rows[:, at.TR_ORDER_ID]).view(np.uint64),
                "resting_fill_count": rows[:, at.TR_FILLS],
                "resting_fill_qty": rows[:, at.TR_FILL_QTY],
                "sweep_level_count": rows[:, at.TR_SWEEP],
                "is_auction": aggressor == 2,
                "phase": _words(rows[:, at.TR_PHASE], PHASES),
            },
        )

    # -------------------------------------------------------------------------------------- room
    def _arrays(self) -> kernel.EngineArrays:
        return kernel.EngineArrays(**self._state, **self._out)

    def _require_open(self) -> None:
        if self._finished:
            raise EngineError("the engine is finished; begin a new one for another day")

    def _allocate_output(self, wall_rows: int) -> None:
        windows = ROW_GROUP_WINDOWS
        self._out = {
            "snap": np.zeros((windows, at.SNAP_WORDS), np.int64),
            "wall64": np.zeros((len(at.WALL_INT64), wall_rows), np.int64),
            "wall32": np.zeros((len(at.WALL_INT32), wall_rows), np.int32),
            "wall_rel": np.zeros(wall_rows, np.int16),
            "wall_side": np.zeros(wall_rows, np.int8),
            "wall_valid": np.zeros(wall_rows, np.bool_),
            "radar_i": np.zeros((windows, at.RADAR_INTS), np.int64),
            "radar_f": np.zeros((windows, at.RADAR_WIDTH), np.float64),
        }

    def _levels(self) -> int:
        st = self._state["st"]
        return int(st[at.DENSE_LEVELS] + st[at.OVERFLOW_USED])

    def _level_ticks(self) -> Int64s:
        """Tick of each level index in use."""
        st = self._state["st"]
        dense = st[at.BASE_TICK] + np.arange(st[at.DENSE_LEVELS], dtype=np.int64)
        return np.concatenate([dense, self._state["over"][: st[at.OVERFLOW_USED]]])

    def _lists_are_full(self) -> bool:
        return True

    def _grow_lists(self) -> None:
        """Double each list that has no room left, and the order table when it is half full."""
        st, state = self._state["st"], self._state
        for name, used in (
            ("young", at.N_YOUNG),
            ("rad", at.N_RADAR),
            ("filled", at.N_FILLED),
            ("unknown", at.N_UNKNOWN),
            ("trd", at.N_TRADES),
        ):
            array = state[name]
            if st[used] >= len(array):
                state[name] = np.concatenate([array, np.zeros_like(array)])
        state["young_blocks"] = np.zeros(len(state["young"]), np.int64)
        if 2 * st[at.LIVE_ORDERS] >= len(state["tab"]):
            larger = _empty_table(2 * len(state["tab"]))
            st[at.HASH_SHIFT] -= 1
            kernel.rehash(state["tab"], larger, st[at.HASH_SHIFT])
            state["tab"] = larger

    def _grow_axis(self, tick: int) -> None:
        """Make the dense axis reach `tick`, at least doubling it, up to its largest size."""
        st = self._state["st"]
        count = int(st[at.DENSE_LEVELS])
        if count == 0:
            self._set_axis(tick - _FIRST_LEVELS // 2, _FIRST_LEVELS)
            return
        low, high = int(st[at.BASE_TICK]), int(st[at.BASE_TICK]) + count
        room = min(_MOST_LEVELS, 2 * max(count, high - tick if tick < low else tick + 1 - low))
        if tick < low:
            low = max(high - room, min(low, tick - 1024)) if high - room <= tick else tick
            low = min(low, tick)
        else:
            high = min(low + room, max(high, tick + 1024))
            high = max(high, tick + 1)
        self._set_axis(low, high - low)

    def _make_overflow_room(self, tick: int) -> None:
        """Overflow is full: drop dead levels, move the axis to where most levels are, or enlarge it."""
        ticks = np.sort(np.append(self._level_ticks()[self._live_levels()], tick))
        ahead = np.searchsorted(ticks, ticks + _MOST_LEVELS - 2_048) - np.arange(len(ticks))
        best = int(np.argmax(ahead))
        self._set_axis(int(ticks[best]) - 1_024, _MOST_LEVELS)
        state, st = self._state, self._state["st"]
        if st[at.OVERFLOW_USED] > len(state["over"]) // 2:
            extra = len(state["over"])
            state["over"] = np.concatenate([state["over"], np.zeros(extra, np.int64)])
            state["order"] = np.zeros(len(state["over"]), np.int64)
            state["lev"] = np.concatenate([state["lev"], np.zeros(extra * 2 * at.LEVEL_WORDS, np.int64)])

    def _live_levels(self) -> npt.NDArray[np.bool_]:
        """Levels that an order, the depth, a flow or a history still refers to."""
        st, state = self._state["st"], self._state
        levels = self._levels()
        blocks = state["lev"][: 2 * levels * at.LEVEL_WORDS].reshape(levels, 2, at.LEVEL_WORDS)
        recent = blocks[:, :, at.L_WIN] > st[at.WIN] - 4
        start = (blocks[:, :, at.L_START] != 0) & (st[at.RESET_WIN] == st[at.WIN])
        live = ((blocks[:, :, at.L_DEPTH] != 0) | recent | start).any(axis=1)
        labels = state["tab"][:, at.O_LEVEL]
        live[labels[labels >= 0] >> 1] = True
        result: npt.NDArray[np.bool_] = live
        return result

    def _set_axis(self, base: int, count: int) -> None:
        """Lay out the levels anew on the dense axis [base, base + count) and the overflow behind it."""
        state, st = self._state, self._state["st"]
        tick_int = int(st[at.TICK_INT])
        base = max(base, -(_INT64_MAX // tick_int))
        base = min(base, _INT64_MAX // tick_int - count)
        old_ticks = self._level_ticks()
        old_live = self._live_levels()
        old = state["lev"][: 2 * len(old_ticks) * at.LEVEL_WORDS].reshape(len(old_ticks), 2 * at.LEVEL_WORDS)
        inside = (old_ticks >= base) & (old_ticks < base + count)
        outside = ~inside & old_live
        overflow = int(outside.sum())
        capacity = len(state["over"])
        while overflow >= capacity:
            capacity *= 2
        level_map = np.full(len(old_ticks), -1, np.int64)
        level_map[inside] = old_ticks[inside] - base
        level_map[outside] = count + np.arange(overflow)
        new = np.zeros((count + capacity, 2 * at.LEVEL_WORDS), np.int64)
        keep = level_map >= 0
        new[level_map[keep]] = old[keep]
        over = np.zeros(capacity, np.int64)
        over[:overflow] = old_ticks[outside]
        state["lev"] = new.reshape(-1)
        state["over"] = over
        state["order"] = np.zeros(capacity, np.int64)
        kernel.relabel_levels(state["tab"], level_map)
        st[at.BASE_TICK], st[at.DENSE_LEVELS], st[at.OVERFLOW_USED] = base, count, overflow
        st[at.GROW_LO] = max(base + count - _MOST_LEVELS, -(_INT64_MAX // tick_int))
        st[at.GROW_HI] = min(base + _MOST_LEVELS, _INT64_MAX // tick_int)
        depth = new[:count].reshape(count, 2, at.LEVEL_WORDS)[:, :, at.L_DEPTH]
        bids = np.nonzero(depth[:, at.BID] > 0)[0]
        asks = np.nonzero(depth[:, at.ASK] > 0)[0]
        st[at.BEST_BID] = bids[-1] if len(bids) else -1
        st[at.BEST_ASK] = asks[0] if len(asks) else count


def _empty_table(rows: int) -> Int64s:
    tab = np.zeros((rows, at.ORDER_WORDS), np.int64)
    tab[:, at.O_LEVEL] = -1
    return tab


def _pairs(values: Int64s | None) -> Int64s:
    if values is None or len(values) == 0:
        return np.zeros((0, 2), np.int64)
    return np.ascontiguousarray(values, dtype=np.int64).reshape(-1, 2)


def _words(codes: npt.NDArray[Any], words: Sequence[str]) -> pa.Array:
    """Dictionary string column from small integer codes."""
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int8)), pa.array(list(words), pa.string()))


def _table(name: str, columns: Mapping[str, Any]) -> pa.Table:
    """Arrow table in the declared schema; values that do not fit its types raise `EngineError`."""
    schema = table(name).arrow_schema
    arrays = []
    for field in schema:
        values = columns[field.name]
        if not isinstance(values, (pa.Array, pa.ChunkedArray)):
            values = pa.array(values)
        if values.type != field.type:
            try:
                values = values.cast(field.type)
            except pa.ArrowInvalid as error:
                raise EngineError(f"{name}.{field.name} cannot be held as {field.type}: {error}") from error
        arrays.append(values)
    return pa.table(arrays, schema=schema)


def _snapshot_table(rows: Int64s) -> pa.Table:
    end = rows[:, at.SNAP_END_NS]
    bid, ask = rows[:, at.SNAP_BID], rows[:, at.SNAP_ASK]
    both = (rows[:, at.SNAP_BID_QTY] > 0) & (rows[:, at.SNAP_ASK_QTY] > 0)
    # exact half without overflow: prices are multiples of the tick, the tick is even in 1e-9 units
    mid = np.where(both, bid // 2 + ask // 2 + (bid % 2 + ask % 2) // 2, 0)
    return _table(
        "book_snapshot_1s",
        {
            "window_start_ts_ns": end - WINDOW_NS,
            "window_end_ts_ns": end,
            "best_bid_price_int": bid,
            "best_bid_qty": rows[:, at.SNAP_BID_QTY],
            "best_ask_price_int": ask,
            "best_ask_qty": rows[:, at.SNAP_ASK_QTY],
            "mid_price": mid / PRICES_PER_POINT,
            "mid_price_int": mid,
            "last_trade_price_int": rows[:, at.SNAP_LAST_TRADE],
            "spot_ref_price_int": rows[:, at.SNAP_SPOT],
            "book_valid": rows[:, at.SNAP_BOOK_VALID] != 0,
            "phase": _words(rows[:, at.SNAP_PHASE], PHASES),
            "crossed_event_count": rows[:, at.SNAP_CROSSED],
            "event_count": rows[:, at.SNAP_EVENTS],
            "buy_qty": rows[:, at.SNAP_BUY],
            "sell_qty": rows[:, at.SNAP_SELL],
            "trade_count": rows[:, at.SNAP_TRADES],
            "available_ts_ns": rows[:, at.SNAP_AVAILABLE_NS],
        },
    )


def _wall_table(out: Mapping[str, npt.NDArray[Any]], count: int) -> pa.Table:
    columns: dict[str, Any] = {}
    for name, values in zip(at.WALL_INT64, out["wall64"], strict=True):
        columns[name] = values[:count].copy()
    for name, values in zip(at.WALL_INT32, out["wall32"], strict=True):
        columns[name] = values[:count].copy()
    columns["window_start_ts_ns"] = columns["window_end_ts_ns"] - WINDOW_NS
    columns["rel_ticks"] = out["wall_rel"][:count].copy()
    columns["side"] = _words(out["wall_side"][:count].copy(), _SIDES)
    columns["window_valid"] = out["wall_valid"][:count].copy()
    return _table("wall_surface_1s", columns)


def _radar_table(ints: Int64s, floats: npt.NDArray[np.float64], tick_int: int) -> pa.Table:
    schema = table("radar_vacuum_1s").arrow_schema
    end = ints[:, at.RD_END_NS]
    columns: dict[str, Any] = {
        "window_start_ts_ns": end - WINDOW_NS,
        "window_end_ts_ns": end,
        "spot_ref_price": ints[:, at.RD_SPOT] / PRICES_PER_POINT,
        "spot_ref_price_int": ints[:, at.RD_SPOT],
        "approach_dir": _words(ints[:, at.RD_APPROACH] % 3, _APPROACH),
    }
    for k, name in enumerate(schema.names[len(columns) :]):
        columns[name] = np.ascontiguousarray(floats[:, k])
    return _table("radar_vacuum_1s", columns)
