"""What must be true of the service over a finished day (spec 11, "HUD service").

What the service answers is decoded and compared with the rows that the lake's own reader gives for the
same windows, never with another answer of the service; the last checks go through sockets on loopback. Of the
loaded day only its epoch, its calibration and the windows that `service_windows` has checked are believed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any, Final

import numpy as np
import pyarrow as pa
from websockets.asyncio.client import ClientConnection, connect

from data_eng.integrity.findings import Check, Report, Tally
from data_eng.lake import Lake
from data_eng.schema import PLANES
from data_eng.units import HUD_HISTORY_WINDOWS, HUD_ROWS, PRICES_PER_POINT, STRIKE_OFFSETS, WINDOW_NS
from serving import wire
from serving.client_core import query, stream_url
from serving.hud_streaming import HudCache, HudStreamService
from serving.local import LocalService
from serving.loop_thread import LoopThread
from serving.ring_buffer import RingBuffer
from serving.settings import load_settings
from serving.surfaces import SURFACES

STRIKES: Final = 2 * STRIKE_OFFSETS + 1
FIRST: Final = 5
"""batches whose messages are read back, and compared between two clients"""
WITHOUT_OPTIONS: Final = ("option_quote",)
"""surfaces that are empty after --no-gex, which their manifest then says"""
LIVE: Final = ("hud", "snap", "wall")
WAIT_S: Final = 30.0
CLOSE_S: Final = 2.0
"""how long is waited for the end of a connection; what a client did not read stands before it"""
KEY: Final = "window_end_ts_ns"


def check_service(lake: Lake, symbol: str, dt: str, *, samples: int = FIRST) -> Report:
    """Every check of one day. samples: batches read back and compared between clients.

    Raises `MissingDataError` or `LakeError` when the day cannot be loaded at all; wrong answers are findings.
    """
    service = HudStreamService(lake)
    cache = service.load_cache(symbol, dt)
    first = max(min(samples, cache.windows), 1)
    checks = [
        check_windows(cache, lake),
        check_not_empty(cache),
        check_bootstrap(service, cache, lake),
        *check_ring(lake, cache),
        *check_messages(cache, lake, first),
        *check_gex(cache),
        check_planes(cache),
    ]
    checks += check_live(lake, cache, first)
    hud = cache.surfaces["hud"].columns(["window_valid"])
    return Report(
        f"HUD service {symbol} {dt}, epoch {cache.epoch[:16]}",
        tuple(checks),
        windows=cache.windows,
        valid_windows=int(np.count_nonzero(hud["window_valid"].to_numpy())),
        rows=sum(rows.manifest.row_count for rows in cache.surfaces.values()),
        events=int(cache.surfaces["snap"].columns(["event_count"])["event_count"].to_numpy().sum()),
        notes=tuple(
            f"not in the lake, so not served: {name}" for name in SURFACES if name not in cache.surfaces
        ),
    )


class Stored:
    """Rows of the served surfaces as the lake's reader gives them."""

    def __init__(self, lake: Lake, cache: HudCache) -> None:
        self._cache = cache
        self._readers = {
            name: lake.window_reader(rows.surface.dataset, cache.symbol, cache.dt)
            for name, rows in cache.surfaces.items()
        }

    def between(self, surface: str, start_ts_ns: int, end_ts_ns: int) -> pa.Table:
        """Rows with start_ts_ns < window_end <= end_ts_ns."""
        return self._readers[surface].read(start_ts_ns, end_ts_ns)

    def is_message(self, message: bytes | str, surface: str, seq: int) -> bool:
        """Whether a binary message holds exactly the stored rows of that window, and says so."""
        if isinstance(message, str):
            return False
        found = wire.decode(message)
        end = self._cache.ts_ns(seq)
        declared = SURFACES[surface].table.schema_hash
        tag = wire.WindowTag(surface, self._cache.epoch, seq, end, declared, self._cache.calibration_id)
        stored = self.between(surface, end - WINDOW_NS, end)
        return (
            wire.WindowTag.of(found.schema) == tag
            and found.schema.equals(stored.schema)
            and found.equals(stored)
        )

    def close(self) -> None:
        """Close the files."""
        for reader in self._readers.values():
            reader.close()


# ---- without sockets


def check_windows(cache: HudCache, lake: Lake) -> Check:
    """The windows of the loaded day are those of the snapshot in the lake."""
    tally = Tally("service_windows", "windows")
    wanted = lake.read(SURFACES["snap"].dataset, cache.symbol, cache.dt, [KEY])[KEY].to_numpy()
    same = np.array_equal(cache.window_ids, wanted)
    tally.add(
        len(wanted), [] if same and len(wanted) else [f"{cache.windows} loaded, {len(wanted)} in the lake"]
    )
    return tally.check()


def check_not_empty(cache: HudCache) -> Check:
    """Every surface served has rows; of option quotes there may be none where the run left options out."""
    tally = Tally("surfaces_not_empty", "surfaces")
    for name, rows in cache.surfaces.items():
        manifest = rows.manifest
        excused = name in WITHOUT_OPTIONS and manifest.params.get("no_gex") is True and manifest.warnings
        tally.add(1, [] if manifest.row_count or excused else [f"{name} has no rows"])
    return tally.check()


def check_bootstrap(service: HudStreamService, cache: HudCache, lake: Lake) -> Check:
    """The bootstrap, and the last 1800 batches, are the rows of the lake, surface by surface."""
    tally = Tally("bootstrap_is_the_last_batches", "rows")
    frames = service.bootstrap_frames(cache.symbol, cache.dt)
    start = cache.ts_ns(max(cache.windows - HUD_HISTORY_WINDOWS, 0))
    pieces: dict[str, list[pa.Table]] = {name: [] for name in frames}
    for _, tables in service.iter_batches(cache.symbol, cache.dt, start):
        for name, rows in tables.items():
            pieces[name].append(rows)
    stored = Stored(lake, cache)
    for name, rows in frames.items():
        wanted = stored.between(name, start - WINDOW_NS, cache.last_ts_ns)
        joined = pa.concat_tables(pieces[name])
        wrong = [
            f"{name}: {found.num_rows} rows in the {what} differ from {wanted.num_rows} in the lake"
            for what, found in (("bootstrap", rows), ("batches", joined))
            if not found.equals(wanted)
        ]
        tally.add(wanted.num_rows, wrong)
    stored.close()
    return tally.check()


def check_ring(lake: Lake, cache: HudCache) -> list[Check]:
    """A clock's ring never exceeds its size and drops the oldest; one of half the day has to drop some."""
    return [
        _ring_of(HudStreamService(lake), cache, "ring_of_1800"),
        _ring_of(
            HudStreamService(lake, ring_windows=max(cache.windows // 2, 1)), cache, "ring_drops_the_oldest"
        ),
    ]


def _ring_of(service: HudStreamService, cache: HudCache, name: str) -> Check:
    ring = service.ring(cache.symbol, cache.dt)
    batches = service.iter_batches(cache.symbol, cache.dt, surfaces=("hud",))
    return _follow(name, batches, lambda end, tables: ring)


def _follow(
    name: str, steps: Iterable[tuple[int, Any]], ring_after: Callable[[int, Any], RingBuffer[Any]]
) -> Check:
    tally = Tally(name, "appends")
    first: tuple[int, Any] | None = None
    for count, (end, item) in enumerate(steps, start=1):
        ring = ring_after(end, item)
        first = (end, item) if first is None else first
        kept = min(count, ring.capacity)
        oldest = end - (kept - 1) * WINDOW_NS
        wrong = (
            len(ring) != kept
            or ring.newest_ts_ns != end
            or ring.oldest_ts_ns != oldest
            or ring.get(end) is not item
            or (ring.get(first[0]) is first[1]) != (count <= ring.capacity)
            or ring.get(oldest - WINDOW_NS) is not None
        )
        tally.add(
            1, [f"after {end}: {len(ring)} windows from {ring.oldest_ts_ns}, wanted {kept}"] if wrong else []
        )
    return tally.check()


def check_messages(cache: HudCache, lake: Lake, first: int) -> list[Check]:
    """Messages of the first batches, and of nothing, read back to the rows and the schema of the lake."""
    rows_tally, empty_tally = (
        Tally("messages_read_back", "messages"),
        Tally("empty_keeps_its_schema", "surfaces"),
    )
    stored = Stored(lake, cache)
    for name, surface in cache.surfaces.items():
        for seq in range(first):
            right = stored.is_message(cache.message(seq, name), name, seq)
            rows_tally.add(
                1, [] if right else [f"{name} {cache.ts_ns(seq)}: the message differs from the lake"]
            )
        empty = wire.decode(wire.encode_table(surface.range(cache.last_ts_ns, cache.last_ts_ns)))
        wanted = stored.between(name, cache.last_ts_ns, cache.last_ts_ns).schema
        kept = empty.schema.equals(wanted) and empty.num_rows == 0
        empty_tally.add(1, [] if kept else [f"{name}: {empty.schema.names}"])
    stored.close()
    return [rows_tally.check(), empty_tally.check()]


def check_gex(cache: HudCache) -> list[Check]:
    """61 strikes for every snapshot window with a spot and for no other, each with the snapshot's spot."""
    snap = cache.surfaces["snap"].columns([KEY, "spot_ref_price_int"])
    spot = dict(zip(snap[KEY].to_pylist(), snap["spot_ref_price_int"].to_pylist(), strict=True))
    wanted = {end: price for end, price in spot.items() if price > 0}
    gex = cache.surfaces["gex"].columns([KEY, "underlying_spot_ref"])
    ends, counts = np.unique(gex[KEY].to_numpy(), return_counts=True)
    windows = Tally("gex_windows", "windows")
    found = dict(zip(ends.tolist(), counts.tolist(), strict=True))
    wrong = [
        f"{end}: {found.get(end, 0)} strikes, wanted {STRIKES if end in wanted else 0}"
        for end in sorted(found.keys() | wanted.keys())
        if found.get(end, 0) != (STRIKES if end in wanted else 0)
    ]
    windows.add(len(wanted), wrong)
    spots = Tally("gex_spot_is_the_snapshots", "rows")
    in_points = np.array([spot.get(end, 0) for end in gex[KEY].to_pylist()]) / PRICES_PER_POINT
    stored = gex["underlying_spot_ref"].to_numpy()
    spots.add_rows(stored != in_points, lambda row: f"row {row}: {stored[row]}, wanted {in_points[row]}")
    return [windows.check(), spots.check()]


def check_planes(cache: HudCache) -> Check:
    """Every plane has 1201 bytes in the messages that are sent."""
    tally = Tally("plane_length", "planes")
    for seq in sorted({0, cache.windows // 2, cache.windows - 1}):
        rows = wire.decode(cache.message(seq, "hud"))
        for name in PLANES:
            sizes = [len(value.as_py()) for value in rows[name]]
            tally.add(1, [] if sizes == [HUD_ROWS] else [f"{name} of window {seq} has {sizes} bytes"])
    return tally.check()


# ---- through sockets


def check_live(lake: Lake, cache: HudCache, first: int) -> list[Check]:
    """Two clients at once get the lake's rows in the same bytes; pause, seek and step do what they say."""
    settings = load_settings(lake=lake.root, symbol=cache.symbol, dt=cache.dt, port=0, host="127.0.0.1")
    stored = Stored(lake, cache)
    # a loop of its own: a notebook, which may ask for these checks, runs one already
    with LocalService(settings) as url, closing(LoopThread()) as loop:
        checks = [
            loop.run(_two_clients(url, cache, first, stored)),
            loop.run(_round_trip(url, cache, stored)),
        ]
    stored.close()
    return checks


async def _two_clients(url: str, cache: HudCache, first: int, stored: Stored) -> Check:
    tally = Tally("two_clients_get_the_same", "messages")
    one, other = await asyncio.gather(*(_received(url, cache, first) for _ in range(2)))
    for number, (mine, theirs) in enumerate(zip(one, other, strict=True)):
        seq, name = number // len(LIVE), LIVE[number % len(LIVE)]
        wrong = []
        if mine != theirs:
            wrong.append(f"message {number} differs between the clients")
        elif not stored.is_message(mine, name, seq):
            wrong.append(f"window {seq} of {name} differs from the lake")
        tally.add(1, wrong)
    return tally.check()


async def _received(url: str, cache: HudCache, windows: int) -> list[bytes]:
    async with _connect(url, cache, "max") as ws:
        found: list[bytes] = []
        while len(found) < windows * len(LIVE):
            message = await _next(ws)
            if isinstance(message, bytes):
                found.append(message)
        return found


async def _round_trip(url: str, cache: HudCache, stored: Stored) -> Check:
    tally = Tally("live_round_trip", "messages")
    async with _connect(url, cache, "1000") as ws:
        talk = _Talk(ws, stored, tally)
        await talk.expect_text("hello", epoch=cache.epoch, symbol=cache.symbol, dt=cache.dt)
        await talk.expect_window(0)
        await talk.send("pause")
        await talk.expect_text("state", cause="pause", playing=False)
        middle = cache.windows // 2
        await talk.send("seek", ts_ns=str(cache.ts_ns(middle)))
        await talk.expect_text(
            "state", cause="seek", position={"ts_ns": str(cache.ts_ns(middle)), "seq": str(middle)}
        )
        ahead = min(2, cache.windows - middle)
        await talk.send("step", windows=ahead)
        await talk.expect_text("state", cause="step")
        for seq in range(middle, middle + ahead):
            await talk.expect_window(seq)
        await talk.send("step", windows=-1)
        await talk.expect_text("state", cause="step")
        await talk.expect_window(max(middle + ahead - 2, 0))
        await talk.send("nonsense")
        await talk.expect_text("error", code="unknown_command", fatal=False)
    return tally.check()


class _Talk:
    """One side of a conversation with the service: what is wanted next, and what came."""

    def __init__(self, ws: ClientConnection, stored: Stored, tally: Tally) -> None:
        self._ws = ws
        self._stored = stored
        self._tally = tally

    async def send(self, kind: str, **fields: Any) -> None:
        await self._ws.send(wire.control(kind, **fields))

    async def expect_text(self, kind: str, **fields: Any) -> None:
        """The next text that is no heartbeat; windows on their way before a pause are passed over."""
        while True:
            message = await _next(self._ws)
            if isinstance(message, str):
                found = json.loads(message)
                if found["type"] not in ("heartbeat", "end"):
                    break
        right = found["type"] == kind and all(found.get(name) == value for name, value in fields.items())
        self._tally.add(1, [] if right else [f"wanted {kind} {fields}, found {message[:120]}"])

    async def expect_window(self, seq: int) -> None:
        """The next messages are that window, with the rows that the lake holds."""
        for name in LIVE:
            message = await _next(self._ws)
            while isinstance(message, str) and json.loads(message)["type"] in ("heartbeat", "end"):
                message = await _next(self._ws)
            right = self._stored.is_message(message, name, seq)
            self._tally.add(1, [] if right else [f"window {seq} of {name} did not come as it should"])


async def _next(ws: ClientConnection) -> str | bytes:
    async with asyncio.timeout(WAIT_S):
        return await ws.recv()


def _connect(url: str, cache: HudCache, speed: str) -> connect:
    text = query(
        symbol=cache.symbol,
        dt=cache.dt,
        clock="private",  # whatever the settings of this machine say
        start_ts_ns=cache.first_ts_ns,
        speed=speed,
        surfaces=",".join(LIVE),
    )
    return connect(stream_url(url, text), max_size=None, compression=None, proxy=None, close_timeout=CLOSE_S)
