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
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_eng.dbn_codes import PHASES, SIDE_ASK, SIDE_BID
from data_eng.errors import EngineError
from data_eng.kernels import book as kernel
from data_eng.kernels import book_layout as at
from data_eng.mbo import MBO_DTYPE, MboColumns
from data_eng.schema import table
from data_eng.units import PRICES_PER_POINT, ROW_GROUP_WINDOWS, TICK_INT, WINDOW_NS

Int64s = npt.NDArray[np.int64]

_INT64_MIN: Final = -(2**63)
_INT64_MAX: Final = 2**63 - 1
_FIRST_LEVELS: Final = 8_192
_MOST_LEVELS: Final = 131_072
"""the dense axis covers at most 32,768 ES points; what lies outside is kept as overflow levels"""
_FIRST_OVERFLOW: Final = 64
_WALL_ROWS: Final = 400_000
"""wall rows per block of output; the busiest window of 2,402 rows fits at least once"""
_NARROW_WINDOWS: Final = 3_600
"""windows per block of output when no walls are written"""
_APPROACH: Final = ("approach_none", "approach_up", "approach_down")
_SIDES: Final = ("A", "B")
"""in the order that wall_surface_1s declares"""
_AGGRESSORS: Final = ("B", "A", "N")
_AGGRESSOR_OF: Final = np.full(256, 2, np.int8)
"""DBN side code -> index in `_AGGRESSORS`"""
_AGGRESSOR_OF[[SIDE_BID, SIDE_ASK]] = 0, 1
_WALL_BUFFERS: Final = ("wall64", "wall32", "wall_rel", "wall_side", "wall_valid")
_STATE_FORMAT: Final = 2
_LINE_BYTES: Final = 64
_NO_RECORDS: Final = MboColumns.from_records(np.zeros(0, MBO_DTYPE))


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
        return Windows(*(_joined([getattr(part, name) for part in parts]) for name in names))


class BookEngine:
    """Book, flow and radar of one outright future (spec 4, 5.1-5.3, 5.7).

    instrument_id: records of other instruments are ignored.
    tick_int: price_int per tick, > 0.
    pauses: int64[n, 2], closed intervals [start, end) of the exchange in ns, sorted, disjoint
        (`data_eng.sessions.pause_intervals`).
    status: int64[n, 2], (ts_event ns, phase code) of status messages, sorted; they override the calendar.
    emit_from_ns, emit_to_ns: windows with emit_from <= window_start and window_end <= emit_to are emitted;
        all records are applied whatever they are.
    wall, radar: False leaves out wall_surface_1s (most of the work) or radar_vacuum_1s.
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
        radar: bool = True,
    ) -> None:
        if tick_int <= 0:
            raise EngineError(f"tick_int is {tick_int}, expected a positive price_int per tick")
        state = _records(at.STATE, 1)
        st = _Scalars(state)
        st.instrument = instrument_id
        st.tick_int = tick_int
        st.emit_from = _INT64_MIN if emit_from_ns is None else emit_from_ns
        st.emit_to = _INT64_MAX if emit_to_ns is None else emit_to_ns
        st.with_wall = int(wall)
        st.with_radar = int(radar)
        st.best_bid = -1
        st.win = at.PRE_WINDOW
        st.win_start_ns = _INT64_MIN
        st.win_end_ns = _INT64_MIN
        st.day_lo_ns = 1  # no day: the first record sets it
        st.cal_phase = PHASES.index("open")
        st.radar_first = 1
        self._state: dict[str, npt.NDArray[Any]] = {
            "st": state,
            "cnt": _records(at.COUNTERS, 1),
            "tab": _empty_table(1 << 15),
            "lev": _records(at.LEVEL, 2 * _FIRST_OVERFLOW),
            "past": _records(at.LEVEL_PAST, 2 * _FIRST_OVERFLOW),
            "over": np.zeros(_FIRST_OVERFLOW, np.int64),
            "order": np.zeros(_FIRST_OVERFLOW, np.int64),
            "young": np.zeros((4_096, 2), np.int64),
            "young_blocks": np.zeros(4_096, np.int64),
            "rad": _records(at.CHANGE, 8_192),
            "history": np.zeros((3, at.N_F + at.N_U)),
            "features": np.zeros(at.N_F + at.N_U),
            "zone": np.zeros((2, 2, at.ZONE), np.int64),
            "flow": np.zeros((2, at.W_WORDS), np.int64),
            "picture": np.zeros((2, 2, at.P_WORDS)),
            "filled": np.zeros(1_024, np.int64),
            "unknown": np.zeros((1_024, 2), np.int64),
            "trd": _records(at.TRADE, 4_096),
            "pauses": _pairs(pauses),
            "status": _pairs(status),
        }
        st.hash_shift = 64 - 15
        self._st = st
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
            index, need = kernel.drive(self._arrays(), *records, index, at.APPLY, 0)
            if need == at.DONE:
                return
            if need == at.NEED_OUTPUT:
                yield self.take(make_room=True)
            elif need == at.NEED_AXIS:
                self._grow_axis(int(self._st.need_tick))
            elif need == at.NEED_OVERFLOW:
                self._make_overflow_room(int(self._st.need_tick))
            else:
                if self._complete_trades() > 0:
                    yield self.take()
                self._grow_lists()

    def advance(self, ts_ns: int) -> Windows:
        """Close every window with window_end <= ts_ns although no record says so (idle time, spec 4.7)."""
        self._require_open()
        return self._until_done(at.ADVANCE, ts_ns)

    def finish(self) -> Windows:
        """Close the open event and the last record's window; the engine takes no more records."""
        self._require_open()
        self._finished = True
        return self._until_done(at.FINISH)

    def _until_done(self, command: int, ts_ns: int = 0) -> Windows:
        parts = []
        while kernel.drive(self._arrays(), *_NO_RECORDS, 0, command, ts_ns)[1] == at.NEED_OUTPUT:
            parts.append(self.take(make_room=True))
        return Windows.concat([*parts, self.take()])

    def counters(self) -> dict[str, int]:
        """Counters of spec 4.10 so far, by name."""
        return dict(zip(at.COUNTER_NAMES, self._state["cnt"][0].tolist(), strict=True))

    @property
    def book_complete(self) -> bool:
        """A full book is known now (spec 4.1)."""
        st = self._st
        return bool(st.complete and not st.in_snapshot)

    def depth(self) -> dict[str, dict[int, int]]:
        """Depth now: side 'A' and 'B' -> price_int -> contracts, occupied levels only."""
        st, lev = self._st, self._state["lev"]
        depth = lev["depth"][: 2 * self._levels()].reshape(-1, 2)
        ticks = self._level_ticks()
        result: dict[str, dict[int, int]] = {}
        for side, name in ((at.ASK, "A"), (at.BID, "B")):
            qty = depth[:, side]
            used = np.nonzero(qty)[0]
            prices = ticks[used] * st.tick_int
            result[name] = dict(zip(prices.tolist(), qty[used].tolist(), strict=True))
        return result

    def order_count(self) -> int:
        """Orders in the book now."""
        return int(self._st.live_orders)

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
        except (TypeError, ValueError, KeyError, EOFError) as error:
            raise EngineError(f"these bytes are no saved engine state: {error}") from error
        state = arrays["st"][0]
        engine = cls(int(state["instrument"]), wall=bool(state["with_wall"]))
        engine._state = {
            name: _records(array.dtype, len(array)) if array.dtype.names else array
            for name, array in arrays.items()
        }
        for name, array in arrays.items():
            engine._state[name][...] = array
        engine._st = _Scalars(engine._state["st"])
        engine._finished = header["finished"]
        return engine

    # ------------------------------------------------------------------------------------ output
    def take(self, *, make_room: bool = False) -> Windows:
        """Fetch the finished rows, which are the caller's own, and empty the buffers.

        `make_room`: the kernel could not close the next window, so the buffers must be larger if they
        were empty.
        """
        st, out = self._st, self._out
        if st.too_large:
            raise EngineError(
                "a depth or flow at one price exceeds 2,147,483,647 contracts, more than the int32 columns of"
                f" wall_surface_1s hold, at or before window_end {int(st.win_end_ns)} ns; check the input"
            )
        windows = int(st.n_snap_rows)
        walls = int(st.n_wall_rows)
        radars = int(st.n_radar_rows)
        trades = self._complete_trades()
        result = Windows(
            _snapshot_table(out["snap"][:windows]),
            self._wall_table(walls),
            _radar_table(out["radar_i"][:radars], out["radar_f"][:radars]),
            self._trade_table(trades),
        )
        if make_room and walls == 0 and windows < len(out["snap"]):
            self._allocate_output(2 * len(out["wall_rel"]))
        rest = int(st.n_trades) - trades
        trd = self._state["trd"]
        trd[:rest] = trd[trades : trades + rest].copy()
        st.n_trades = rest
        st.ev_first_trade = 0
        st.n_snap_rows = st.n_wall_rows = st.n_radar_rows = 0
        if st.with_wall:  # a block ends where a row group of the lake ends, which then is written as it is
            end = int(st.win) + 1
            self._out["snap"] = self._snap[: ROW_GROUP_WINDOWS - end % ROW_GROUP_WINDOWS]
        return result

    def _wall_table(self, count: int) -> pa.Table:
        """The first `count` wall rows. Buffers that are at least half full are given away, not copied."""
        if count == 0:
            return _empty("wall_surface_1s")
        out = self._out
        give = 2 * count >= len(out["wall_rel"])
        buffers = {name: out[name] for name in _WALL_BUFFERS}
        rows = {name: b[..., :count] if give else b[..., :count].copy() for name, b in buffers.items()}
        if give:
            self._out |= {name: np.empty_like(buffer) for name, buffer in buffers.items()}
        columns: dict[str, Any] = dict(zip(at.WALL_INT64, rows["wall64"], strict=True))
        columns |= zip(at.WALL_INT32, rows["wall32"], strict=True)
        columns["window_start_ts_ns"] = columns["window_end_ts_ns"] - WINDOW_NS
        columns["rel_ticks"] = rows["wall_rel"]
        columns["side"] = _words(at.ASK - rows["wall_side"], _SIDES)
        columns["window_valid"] = rows["wall_valid"]
        return _table("wall_surface_1s", columns)

    def _complete_trades(self) -> int:
        """Trades whose event is over, so that their sweep_level_count is known, and whose window is known."""
        st = self._st
        if st.win == at.PRE_WINDOW and not self._finished:
            return 0
        return int(st.ev_first_trade if st.ev_has_trade else st.n_trades)

    def _trade_table(self, count: int) -> pa.Table:
        if count == 0:
            return _empty("trade_event")
        st = self._st
        rows = self._state["trd"].view(np.ndarray)[:count]
        unopened = rows["win"] == at.PRE_WINDOW  # late trades, and no window ever opened
        start = np.where(unopened, rows["ts_event_ns"] // WINDOW_NS, rows["win"]) * WINDOW_NS
        wanted = (start >= st.emit_from) & (start + WINDOW_NS <= st.emit_to)
        if not wanted.all():
            rows = rows[wanted]
        aggressor = _AGGRESSOR_OF[rows["side"]]
        columns: dict[str, Any] = {name: np.array(rows[name]) for name in at.TRADE.names or ()}
        columns["aggressor_side"] = _words(aggressor, _AGGRESSORS)
        columns["is_auction"] = aggressor == 2
        columns["phase"] = _words(rows["phase"], PHASES)
        return _table("trade_event", columns)

    # -------------------------------------------------------------------------------------- room
    def _arrays(self) -> kernel.EngineArrays:
        return kernel.EngineArrays(**self._state, **self._out)

    def _require_open(self) -> None:
        if self._finished:
            raise EngineError("the engine is finished; begin a new one for another day")

    def _allocate_output(self, wall_rows: int) -> None:
        windows = ROW_GROUP_WINDOWS if self._st.with_wall else _NARROW_WINDOWS
        self._snap = _records(at.SNAPSHOT, windows)
        self._out = {
            "snap": self._snap,
            "wall64": np.zeros((len(at.WALL_INT64), wall_rows), np.int64),
            "wall32": np.zeros((len(at.WALL_INT32), wall_rows), np.int32),
            "wall_rel": np.zeros(wall_rows, np.int16),
            "wall_side": np.zeros(wall_rows, np.int8),
            "wall_valid": np.zeros(wall_rows, np.bool_),
            "radar_i": _records(at.RADAR, windows),
            "radar_f": np.zeros((windows, at.RADAR_WIDTH), np.float64),
        }

    def _levels(self) -> int:
        st = self._st
        return int(st.dense_levels + st.overflow_used)

    def _level_ticks(self) -> Int64s:
        """Tick of each level index in use."""
        st = self._st
        dense = st.base_tick + np.arange(st.dense_levels, dtype=np.int64)
        return np.concatenate([dense, self._state["over"][: st.overflow_used]])

    def _grow_lists(self) -> None:
        """Double each list that has no room left, and the order table when it is half full."""
        st, state = self._st, self._state
        for name in ("young", "rad", "filled", "unknown", "trd"):
            used = {"rad": "n_radar", "trd": "n_trades"}.get(name, f"n_{name}")
            if getattr(st, used) >= len(state[name]):
                state[name] = np.concatenate([state[name], np.zeros_like(state[name])]).view(
                    type(state[name])
                )
        state["young_blocks"] = np.zeros(len(state["young"]), np.int64)
        if 2 * st.live_orders >= len(state["tab"]):
            larger = _empty_table(2 * len(state["tab"]))
            st.hash_shift -= 1
            kernel.rehash(state["tab"], larger, int(st.hash_shift))
            state["tab"] = larger

    def _grow_axis(self, tick: int) -> None:
        """Make the dense axis reach `tick`, at least doubling it, up to its largest size."""
        st = self._st
        count = int(st.dense_levels)
        if count == 0:
            self._set_axis(tick - _FIRST_LEVELS // 2, _FIRST_LEVELS)
            return
        low, high = int(st.base_tick), int(st.base_tick) + count
        room = min(_MOST_LEVELS, 2 * max(count, high - tick if tick < low else tick + 1 - low))
        if tick < low:
            low = min(high - room, tick)
        else:
            high = max(low + room, tick + 1)
        self._set_axis(low, high - low)

    def _make_overflow_room(self, tick: int) -> None:
        """Overflow is full: drop dead levels, move the axis to where most levels are, or enlarge it."""
        ticks = np.sort(np.append(self._level_ticks()[self._live_levels()], tick))
        ahead = np.searchsorted(ticks, ticks + _MOST_LEVELS - 2_048) - np.arange(len(ticks))
        best = int(np.argmax(ahead))
        self._set_axis(int(ticks[best]) - 1_024, _MOST_LEVELS)
        state, st = self._state, self._st
        if st.overflow_used > len(state["over"]) // 2:
            extra = len(state["over"])
            state["over"] = np.concatenate([state["over"], np.zeros(extra, np.int64)])
            state["order"] = np.zeros(len(state["over"]), np.int64)
            for name in ("lev", "past"):
                rows = state[name]
                state[name] = _records(rows.dtype, len(rows) + 2 * extra)
                state[name][: len(rows)] = rows

    def _live_levels(self) -> npt.NDArray[np.bool_]:
        """Levels that an order, the depth, a flow or a history still refers to."""
        st, state = self._st, self._state
        lev, past = (state[name][: 2 * self._levels()].reshape(-1, 2) for name in ("lev", "past"))
        recent = lev["win"] > st.win - 4
        start = (past["start"] != 0) & (st.reset_win == st.win)
        live = ((lev["depth"] != 0) | recent | start).any(axis=1)
        labels = state["tab"]["label"]
        live[labels[labels >= 0] >> 1] = True
        result: npt.NDArray[np.bool_] = live
        return result

    def _set_axis(self, base: int, count: int) -> None:
        """Lay out the levels anew on the dense axis [base, base + count) and the overflow behind it."""
        state, st = self._state, self._st
        tick_int = int(st.tick_int)
        base = max(base, -(_INT64_MAX // tick_int))
        base = min(base, _INT64_MAX // tick_int - count)
        old_count, old_over = int(st.dense_levels), state["over"][: st.overflow_used]
        shift = int(st.base_tick) - base  # dense level k becomes k + shift
        first, stop = max(0, -shift), min(old_count, count - shift)
        level_map = np.full(self._levels(), -1, np.int64)
        if first < stop:
            level_map[first:stop] = np.arange(first + shift, stop + shift)
        back = (old_over >= base) & (old_over < base + count)
        level_map[old_count:][back] = old_over[back] - base
        outside = level_map < 0
        over = np.zeros(0, np.int64)
        if outside.any():
            outside &= self._live_levels()
            over = self._level_ticks()[outside]
            level_map[outside] = count + np.arange(len(over))
        capacity = len(state["over"])
        while len(over) >= capacity:
            capacity *= 2
        moved = outside.copy()
        moved[old_count:] |= back
        for name in ("lev", "past"):
            old = _by_tick(state[name])[: len(level_map)]
            state[name] = _records(state[name].dtype, 2 * (count + capacity))
            new = _by_tick(state[name])
            if first < stop:
                new[first + shift : stop + shift] = old[first:stop]
            new[level_map[moved]] = old[moved]
        overflow = len(over)
        state["over"] = np.concatenate([over, np.zeros(capacity - overflow, np.int64)])
        state["order"] = np.zeros(capacity, np.int64)
        kernel.relabel_levels(state["tab"], level_map)
        st.base_tick, st.dense_levels, st.overflow_used = base, count, overflow
        st.grow_lo = max(base + count - _MOST_LEVELS, -(_INT64_MAX // tick_int))
        st.grow_hi = min(base + _MOST_LEVELS, _INT64_MAX // tick_int)
        depth = _by_tick(state["lev"])["depth"][:count]
        bids = np.nonzero(depth[:, at.BID] > 0)[0]
        asks = np.nonzero(depth[:, at.ASK] > 0)[0]
        st.best_bid = bids[-1] if len(bids) else -1
        st.best_ask = asks[0] if len(asks) else count


class _Scalars:
    """The one row of engine scalars, by attribute and written through.

    An attribute of a recarray's row costs 75 us, because numpy makes a record of all fields first.
    """

    def __init__(self, rows: npt.NDArray[Any]) -> None:
        plain = rows.view(np.ndarray).view(at.STATE)
        object.__setattr__(self, "_columns", {name: plain[name] for name in at.STATE.names or ()})

    def __getattr__(self, name: str) -> int:
        columns: dict[str, Int64s] = self.__dict__["_columns"]
        try:
            return int(columns[name][0])
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: int) -> None:
        self.__dict__["_columns"][name][0] = value


def _records(dtype: np.dtype[Any], rows: int) -> npt.NDArray[Any]:
    """Zeroed rows whose fields are attributes, with the JIT on and off; they begin at a cache line, so that
    none lies on two without need."""
    size = rows * dtype.itemsize
    room = np.zeros(size + _LINE_BYTES, np.uint8)
    start = -room.ctypes.data % _LINE_BYTES
    return room[start : start + size].view(dtype).view(np.recarray)


def _by_tick(levels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Plain view [levels, 2] of the rows of all levels: slices of a record array are slow to take."""
    return levels.view(np.ndarray).reshape(-1, 2)


def _empty_table(rows: int) -> npt.NDArray[Any]:
    tab = _records(at.ORDER, rows)
    tab["label"] = -1
    return tab


def _pairs(values: Int64s | None) -> Int64s:
    if values is None or len(values) == 0:
        return np.zeros((0, 2), np.int64)
    return np.ascontiguousarray(values, dtype=np.int64).reshape(-1, 2)


def _words(codes: npt.NDArray[Any], words: Sequence[str]) -> pa.Array:
    """Dictionary string column from small integer codes."""
    return pa.DictionaryArray.from_arrays(
        pa.array(codes.astype(np.int8, copy=False)), pa.array(list(words), pa.string())
    )


def _joined(tables: Sequence[pa.Table]) -> pa.Table:
    """All rows in order; a table of 201 columns is not glued where there is nothing to glue."""
    filled = [rows for rows in tables if rows.num_rows]
    return pa.concat_tables(filled) if len(filled) > 1 else (filled or tables)[0]


@cache
def _empty(name: str) -> pa.Table:
    return table(name).empty()


def _table(name: str, columns: Mapping[str, Any]) -> pa.Table:
    """Arrow table in the declared schema; values that do not fit its types raise `EngineError`."""
    schema = table(name).arrow_schema
    arrays = []
    for field in schema:
        values = columns[field.name]
        if isinstance(values, np.ndarray):
            values = pa.array(values)
        if values.type != field.type:
            try:
                values = values.cast(field.type)
            except pa.ArrowInvalid as error:
                raise EngineError(f"{name}.{field.name} cannot be held as {field.type}: {error}") from error
        arrays.append(values)
    return pa.Table.from_arrays(arrays, schema=schema)


def _snapshot_table(rows: npt.NDArray[Any]) -> pa.Table:
    if len(rows) == 0:
        return _empty("book_snapshot_1s")
    rows = rows.view(np.ndarray)
    columns: dict[str, Any] = {name: np.array(rows[name]) for name in at.SNAPSHOT.names or ()}
    bid, ask = columns["best_bid_price_int"], columns["best_ask_price_int"]
    both = (columns["best_bid_qty"] > 0) & (columns["best_ask_qty"] > 0)
    # halves are added so that no sum overflows; exact, because a tick is an even number of 1e-9 points
    mid = np.where(both, bid // 2 + ask // 2 + (bid % 2 + ask % 2) // 2, 0)
    columns["window_start_ts_ns"] = columns["window_end_ts_ns"] - WINDOW_NS
    columns["mid_price"] = mid / PRICES_PER_POINT
    columns["mid_price_int"] = mid
    columns["book_valid"] = columns["book_valid"] != 0
    columns["phase"] = _words(columns["phase"], PHASES)
    return _table("book_snapshot_1s", columns)


def _radar_table(rows: npt.NDArray[Any], floats: npt.NDArray[np.float64]) -> pa.Table:
    if len(rows) == 0:
        return _empty("radar_vacuum_1s")
    schema = table("radar_vacuum_1s").arrow_schema
    end = np.array(rows["window_end_ts_ns"])
    spot = np.array(rows["spot_ref_price_int"])
    columns: dict[str, Any] = {
        "window_start_ts_ns": end - WINDOW_NS,
        "window_end_ts_ns": end,
        "spot_ref_price": spot / PRICES_PER_POINT,
        "spot_ref_price_int": spot,
        "approach_dir": _words(rows["approach"] % 3, _APPROACH),
    }
    by_feature = floats.T.copy()
    for k, name in enumerate(schema.names[len(columns) :]):
        columns[name] = by_feature[k]
    return _table("radar_vacuum_1s", columns)
