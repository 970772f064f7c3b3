"""HudStreamService: finished tables of the lake, window by window (spec 9.1).

    service = HudStreamService(Lake(Path("lake")))
    cache = service.load_cache("ESH6", "2026-01-06")
    service.bootstrap_frames("ESH6", "2026-01-06")["hud"]        # the last 1800 windows
    for window_end_ts_ns, tables in service.iter_batches("ESH6", "2026-01-06"):
        ...

The columns of hud_surface_1s and book_snapshot_1s are held in memory; everything else is read by row-group
range when it is asked for, and a few decoded row groups are kept. A cache keeps its files open, so all it
answers comes from one version of the lake: its `epoch`. Everything here blocks; the server calls it from
threads.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_eng.calibration import CALIBRATION, Bounds, bounds, calibration_id, calibration_record
from data_eng.errors import LakeError, MissingDataError
from data_eng.instruments import tick_int
from data_eng.lake import Lake, Manifest, WindowReader
from data_eng.units import HUD_HISTORY_WINDOWS, TICK_INT, WINDOW_NS
from serving import wire
from serving.ring_buffer import RingBuffer
from serving.surfaces import ENGINE_PASS, SURFACES, Surface

DEFINITIONS: Final = "bronze.shared.instrument_definitions"
BLOCK_CACHE_BYTES: Final = 256 << 20
MESSAGE_CACHE_BYTES: Final = 64 << 20
Tables = dict[str, pa.Table]


class SizedCache:
    """Least recently used values up to a number of bytes; the newest is always kept. Thread-safe."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._held: OrderedDict[object, tuple[object, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: object) -> object | None:
        """The value, None when it is not held."""
        with self._lock:
            if key not in self._held:
                return None
            self._held.move_to_end(key)
            return self._held[key][0]

    def put(self, key: object, value: object, size_bytes: int) -> None:
        """Hold a value; older ones go until the limit is kept."""
        with self._lock:
            self._drop(key)
            self._held[key] = (value, size_bytes)
            self._bytes += size_bytes
            while self._bytes > self.limit_bytes and len(self._held) > 1:
                self._drop(next(iter(self._held)))

    def forget(self, owner: object) -> None:
        """Drop every value whose key begins with `owner`."""
        with self._lock:
            for key in [key for key in self._held if isinstance(key, tuple) and key[0] == owner]:
                self._drop(key)

    def _drop(self, key: object) -> None:
        if key in self._held:
            self._bytes -= self._held.pop(key)[1]


@dataclass(frozen=True)
class Block:
    """One decoded row group: int64[rows] window_end of each row, the rows, and the same without field docs.

    Late trades may step back in time, so `ends` need not be sorted; where it is, a range is a search.
    """

    ends: npt.NDArray[np.int64]
    is_sorted: bool
    rows: pa.RecordBatch
    bare: pa.RecordBatch

    @classmethod
    def of(cls, reader: WindowReader, index: int) -> Block:
        """Read a row group."""
        return cls.holding(batch := reader.read_group(index), reader.window_ends(batch))

    @classmethod
    def holding(cls, batch: pa.RecordBatch, ends: npt.NDArray[np.int64]) -> Block:
        """A block of these rows."""
        return cls(ends, bool((ends[1:] >= ends[:-1]).all()), batch, wire.bare(batch))

    def between(self, start_ts_ns: int, end_ts_ns: int, *, bare: bool) -> pa.RecordBatch:
        """The rows with start_ts_ns < end <= end_ts_ns, without a copy where they lie side by side."""
        rows = self.bare if bare else self.rows
        if self.is_sorted:
            low, high = np.searchsorted(self.ends, [start_ts_ns, end_ts_ns], side="right").tolist()
            return rows.slice(low, high - low)
        return rows.filter(pa.array((self.ends > start_ts_ns) & (self.ends <= end_ts_ns)))


class SurfaceRows:
    """Rows of one surface of one day, by window."""

    def __init__(self, surface: Surface, reader: WindowReader, blocks: SizedCache) -> None:
        self.surface = surface
        self.schema: pa.Schema = surface.table.arrow_schema
        self._reader = reader
        self._blocks = blocks
        self._token = object()
        self._held: list[Block] | None = None
        if surface.in_memory:
            reader.verify()
            self._held = [Block.of(reader, index) for index in range(len(reader.groups))]

    @property
    def manifest(self) -> Manifest:
        """Manifest of the partition."""
        return self._reader.manifest

    def is_ready(self, window_end_ts_ns: int) -> bool:
        """Whether `window` answers from memory, without a read from disk."""
        if self._held is not None:
            return True
        groups = self._reader.overlapping(window_end_ts_ns - WINDOW_NS, window_end_ts_ns)
        return all(self._blocks.get((self._token, index)) is not None for index in groups)

    def window(self, window_end_ts_ns: int, *, bare: bool = False) -> pa.RecordBatch:
        """Rows of one window in row order, none included; `bare` leaves out the documentation of fields."""
        pieces = self._pieces(window_end_ts_ns - WINDOW_NS, window_end_ts_ns, bare=bare)
        if len(pieces) == 1:
            return pieces[0]
        if pieces:  # the window lies across two row groups
            return pa.Table.from_batches(pieces).combine_chunks().to_batches()[0]
        nothing = pa.RecordBatch.from_arrays([pa.array([], f.type) for f in self.schema], schema=self.schema)
        return wire.bare(nothing) if bare else nothing

    def range(self, start_ts_ns: int, end_ts_ns: int) -> pa.Table:
        """Rows with start_ts_ns < window_end <= end_ts_ns, in row order."""
        return pa.Table.from_batches(self._pieces(start_ts_ns, end_ts_ns, bare=False), schema=self.schema)

    def columns(self, names: Sequence[str]) -> pa.Table:
        """Whole columns of the day, read past the cache."""
        if self._held is not None:
            return pa.Table.from_batches([block.rows for block in self._held], schema=self.schema).select(
                names
            )
        self._reader.verify()
        batches = [self._reader.read_group(index, names) for index in range(len(self._reader.groups))]
        return pa.Table.from_batches(batches, pa.schema([self.schema.field(name) for name in names]))

    def close(self) -> None:
        """Forget the decoded row groups. Open files close when nobody reads from them any more."""
        self._blocks.forget(self._token)

    def _pieces(self, start_ts_ns: int, end_ts_ns: int, *, bare: bool) -> list[pa.RecordBatch]:
        found = []
        for block in self._overlapping(start_ts_ns, end_ts_ns):
            piece = block.between(start_ts_ns, end_ts_ns, bare=bare)
            if piece.num_rows:
                found.append(piece)
        return found

    def _overlapping(self, start_ts_ns: int, end_ts_ns: int) -> Iterator[Block]:
        for index in self._reader.overlapping(start_ts_ns, end_ts_ns):
            yield self._held[index] if self._held is not None else self._block(index)

    def _block(self, index: int) -> Block:
        key = (self._token, index)
        held = self._blocks.get(key)
        if isinstance(held, Block):
            return held
        self._reader.verify()
        block = Block.of(self._reader, index)
        self._blocks.put(key, block, block.rows.nbytes)
        return block


@dataclass(frozen=True)
class HudCache:
    """One day of one contract, ready to be served.

    window_ids: int64[n], window_end of every window, ascending by 1 s. surfaces: rows by surface id; optional
    surfaces that the lake does not have are absent. epoch: hash of the manifests served. bounds: of the
    calibration, by metric. tick_int: price_int per tick.
    """

    symbol: str
    dt: str
    epoch: str
    origin: str
    verified: bool
    lookahead: bool
    calibration_id: str
    bounds: dict[str, Bounds]
    tick_int: int
    window_ids: npt.NDArray[np.int64]
    surfaces: dict[str, SurfaceRows]
    warnings: tuple[str, ...]
    messages: SizedCache

    @property
    def windows(self) -> int:
        """Number of windows."""
        return len(self.window_ids)

    @property
    def first_ts_ns(self) -> int:
        """window_end of the first window."""
        return int(self.window_ids[0])

    @property
    def last_ts_ns(self) -> int:
        """window_end of the last window."""
        return int(self.window_ids[-1])

    def seq_at(self, ts_ns: int) -> int:
        """Index of the first window with window_end >= ts_ns; `windows` when there is none."""
        return min(max(-((self.first_ts_ns - ts_ns) // WINDOW_NS), 0), self.windows)

    def ts_ns(self, seq: int) -> int:
        """window_end of a window."""
        return self.first_ts_ns + seq * WINDOW_NS

    def is_ready(self, seq: int, surfaces: Sequence[str]) -> bool:
        """Whether `message` answers without a read from disk."""
        return all(self.surfaces[name].is_ready(self.ts_ns(seq)) for name in surfaces)

    def message(self, seq: int, surface: str) -> bytes:
        """The binary message of one window of one surface; encoded once and shared while it is in use."""
        key = (self.epoch, surface, seq)
        held = self.messages.get(key)
        if held is None:
            rows = self.surfaces[surface]
            window_end = self.ts_ns(seq)
            tag = wire.WindowTag(
                surface, self.epoch, seq, window_end, rows.surface.table.schema_hash, self.calibration_id
            )
            held = wire.encode_window(rows.window(window_end, bare=True), tag)
            self.messages.put(key, held, len(held))
        return held  # type: ignore[return-value]  # the cache holds what was put

    def close(self) -> None:
        """Give back the decoded row groups and messages."""
        for rows in self.surfaces.values():
            rows.close()
        self.messages.forget(self.epoch)


class HudStreamService:
    """Serves finished days of a lake. Never recomputes and never reads bronze but for the tick size.

    block_bytes, message_bytes: how much decoded and encoded data is kept over all days.
    """

    def __init__(
        self,
        lake: Lake,
        *,
        block_bytes: int = BLOCK_CACHE_BYTES,
        message_bytes: int = MESSAGE_CACHE_BYTES,
        ring_windows: int = HUD_HISTORY_WINDOWS,
    ) -> None:
        self.lake = lake
        self._blocks = SizedCache(block_bytes)
        self._messages = SizedCache(message_bytes)
        self._ring_windows = ring_windows
        self._caches: dict[tuple[str, str], HudCache] = {}
        self._rings: dict[tuple[str, str], RingBuffer[Tables]] = {}
        self._lock = threading.Lock()
        self._day_locks: dict[tuple[str, str], threading.Lock] = {}

    def load_cache(self, symbol: str, dt: str) -> HudCache:
        """The day, loaded at the first call and again when the lake holds another version of it.

        Raises `MissingDataError` or `LakeError` when a table is missing, damaged or of another engine pass,
        with the command that builds it.
        """
        with self._lock:
            day_lock = self._day_locks.setdefault((symbol, dt), threading.Lock())
        with day_lock:  # one day is loaded once, and no day waits for another
            held = self._caches.get((symbol, dt))
            if held is not None and held.epoch == self._epoch_now(symbol, dt):
                return held
            fresh = self._load(symbol, dt)
            self._caches[symbol, dt] = fresh
            if held is not None:
                held.close()
            return fresh

    def drop_cache(self, symbol: str, dt: str) -> None:
        """Give back the memory of a day."""
        held = self._caches.pop((symbol, dt), None)
        self._rings.pop((symbol, dt), None)
        if held is not None:
            held.close()

    def bootstrap_frames(
        self, symbol: str, dt: str, end_ts_ns: int | None = None, surfaces: Sequence[str] | None = None
    ) -> Tables:
        """{surface: rows} of the last 1800 windows up to `end_ts_ns` (default: the last window).

        surfaces: default every one the lake has. Raises as `load_cache`.
        """
        cache = self.load_cache(symbol, dt)
        end = cache.last_ts_ns if end_ts_ns is None else end_ts_ns
        start = end - HUD_HISTORY_WINDOWS * WINDOW_NS
        return {name: cache.surfaces[name].range(start, end) for name in surfaces or cache.surfaces}

    def iter_batches(
        self,
        symbol: str,
        dt: str,
        start_ts_ns: int | None = None,
        surfaces: Sequence[str] | None = None,
    ) -> Iterator[tuple[int, Tables]]:
        """(window_end_ts_ns, {surface: rows}) of every window in order, filling the ring of the day.

        start_ts_ns: begin with the first window that ends at or after it; such an iteration is a cursor of
        its own and touches no ring. Raises as `load_cache`.
        """
        cache = self.load_cache(symbol, dt)
        names = tuple(surfaces or cache.surfaces)
        ring = self.ring(symbol, dt) if start_ts_ns is None else None
        if ring is not None:
            ring.clear()
        first = 0 if start_ts_ns is None else cache.seq_at(start_ts_ns)
        for seq in range(first, cache.windows):
            window_end = cache.ts_ns(seq)
            tables = {
                name: pa.Table.from_batches([cache.surfaces[name].window(window_end)]) for name in names
            }
            if ring is not None:
                ring.append(window_end, tables)
            yield window_end, tables

    def ring(self, symbol: str, dt: str) -> RingBuffer[Tables]:
        """The ring that `iter_batches` fills."""
        return self._rings.setdefault((symbol, dt), RingBuffer(self._ring_windows))

    def _epoch_now(self, symbol: str, dt: str) -> str | None:
        """Epoch of what the lake holds now; None while something required is missing or damaged."""
        try:
            manifests = {
                surface.id: self.lake.manifest(surface.dataset, symbol, dt)
                for surface in SURFACES.values()
                if surface.required or self.lake.has(surface.dataset, symbol, dt)
            }
        except (MissingDataError, LakeError):
            return None
        return epoch_of(manifests)

    def _load(self, symbol: str, dt: str) -> HudCache:
        readers: dict[str, WindowReader] = {}
        for surface in SURFACES.values():
            try:
                readers[surface.id] = self.lake.window_reader(surface.dataset, symbol, dt)
            except MissingDataError:
                if surface.required:
                    raise
        manifests = {name: reader.manifest for name, reader in readers.items()}
        self._require_one_version(symbol, dt, manifests)
        record = manifests["vacuum"].calibration
        if record is None:
            raise LakeError(
                f"{manifests['vacuum'].dataset} of {symbol} {dt} names no calibration in its manifest"
            )
        if calibration_record(self.lake.manifest(CALIBRATION, symbol, record["dt"])) != dict(record):
            raise LakeError(
                f"{CALIBRATION} of {symbol} {record['dt']} was replaced since the scores of {dt} were made"
                f" from it; rebuild them: spymaster run --dt {dt} --symbol {symbol}"
                " --from-stage vacuum_surface"
            )
        surfaces = {
            name: SurfaceRows(SURFACES[name], reader, self._blocks) for name, reader in readers.items()
        }
        window_ids = _checked_axis(surfaces, symbol, dt)
        return HudCache(
            symbol=symbol,
            dt=dt,
            epoch=epoch_of(manifests),
            origin=manifests["hud"].origin,
            verified=all(manifest.verified for manifest in manifests.values()),
            lookahead=bool(manifests["hud"].lookahead),
            calibration_id=calibration_id(record),
            bounds=bounds(self.lake.read(CALIBRATION, symbol, record["dt"])),
            tick_int=self._tick_int(symbol, dt),
            window_ids=window_ids,
            surfaces=surfaces,
            warnings=tuple(sorted({text for m in manifests.values() for text in m.warnings})),
            messages=self._messages,
        )

    def _require_one_version(self, symbol: str, dt: str, manifests: dict[str, Manifest]) -> None:
        """One engine pass, and every later table made from the tables served beside it."""
        runs = {manifests[name].engine_run for name in ENGINE_PASS if name in manifests}
        if len(runs) != 1 or None in runs:
            self.lake.require_same_run(
                [(SURFACES[name].dataset, symbol, dt) for name in ENGINE_PASS if name in manifests]
            )
            raise LakeError(
                f"the tables of {symbol} {dt} were replaced while they were opened; open them again"
            )
        served = {manifest.dataset: manifest for manifest in manifests.values()}
        for name in sorted(
            manifests, key=lambda name: name == "hud"
        ):  # the cure begins with the first stale one
            manifest = manifests[name]
            for record in manifest.inputs:
                source = served.get(record.get("dataset", ""))
                if source is None or record.get("dt") != dt or record.get("symbol") != symbol:
                    continue
                if source.sha256 != record["manifest_sha256"]:
                    cure = self.lake.rebuild_command(manifest.dataset, symbol, dt)
                    raise LakeError(
                        f"{manifest.dataset} of {symbol} {dt} was made from another {source.dataset} than the"
                        f" lake holds now; rebuild it: {cure}"
                    )

    def _tick_int(self, symbol: str, dt: str) -> int:
        try:
            return tick_int(self.lake.read(DEFINITIONS, symbol, dt), symbol, dt)
        except MissingDataError:
            return TICK_INT


def epoch_of(manifests: dict[str, Manifest]) -> str:
    """Hash over the manifests served (64 hex digits): the same bytes to serve, the same epoch."""
    lines = sorted(f"{name} {manifest.sha256}\n" for name, manifest in manifests.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _checked_axis(surfaces: dict[str, SurfaceRows], symbol: str, dt: str) -> npt.NDArray[np.int64]:
    """window_end of the picture, which has to be gap-free and the snapshot's."""
    key = "window_end_ts_ns"
    hud, snap = (surfaces[name].columns([key])[key].to_numpy() for name in ("hud", "snap"))
    if not len(hud):
        raise LakeError(f"gold.hud.hud_surface_1s of {symbol} {dt} has no window: there is nothing to serve")
    if not np.array_equal(hud, snap) or (np.diff(hud) != WINDOW_NS).any():
        raise LakeError(
            f"the windows of hud_surface_1s and book_snapshot_1s of {symbol} {dt} are not one gap-free axis:"
            f" {len(hud)} and {len(snap)} windows; run spymaster verify data --dt {dt} --symbol {symbol}"
        )
    return np.ascontiguousarray(hud)
