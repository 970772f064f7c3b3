"""A plain client for tests: raw messages, nothing hidden, and a clock that jumps instead of waiting."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import websockets.asyncio.client
import websockets.sync.client
from websockets.exceptions import ConnectionClosed

from data_eng.lake import Lake
from data_eng.units import WINDOW_NS
from serving import wire
from serving.client_core import query, stream_url
from serving.runtime import Clock
from serving.surfaces import SURFACES
from tests.serving.conftest import DT, SYMBOL

WAIT_S = 60.0
PlainConnection = websockets.sync.client.ClientConnection


class SecureConnection:
    """A connection over TLS, used by one thread: its event loop runs while something is waited for.

    The blocking client of websockets reads in a second thread, and two in one TLS session lose messages.
    """

    def __init__(self, runner: asyncio.Runner, ws: websockets.asyncio.client.ClientConnection) -> None:
        self._runner = runner
        self._ws = ws

    def recv(self, timeout: float = WAIT_S) -> str | bytes:
        """The next message. Raises `TimeoutError` and `ConnectionClosed`."""
        return self._runner.run(asyncio.wait_for(self._ws.recv(), timeout))

    def send(self, text: str) -> None:
        """Send a text message."""
        self._runner.run(self._ws.send(text))


Connection = PlainConnection | SecureConnection


@contextmanager
def secured(url: str, signed_by: Path, text: str = "", **options: Any) -> Iterator[SecureConnection]:
    """A connection to the stream of an https service at speed max; text: more of the query."""

    async def connect() -> websockets.asyncio.client.ClientConnection:
        return await websockets.asyncio.client.connect(
            f"{stream_url(url, 'speed=max')}{text}",
            ssl=ssl.create_default_context(cafile=str(signed_by)),
            proxy=None,
            compression=None,
            close_timeout=5,
            **options,
        )

    with asyncio.Runner() as runner:
        ws = runner.run(connect())
        try:
            yield SecureConnection(runner, ws)
        finally:
            runner.run(ws.close())


@contextmanager
def connected(url: str, headers: dict[str, str] | None = None, **values: Any) -> Iterator[PlainConnection]:
    """A connection to the stream of a service without TLS."""
    with websockets.sync.client.connect(
        stream_url(url, query(**values)),
        additional_headers=headers,
        max_size=None,
        compression=None,
        proxy=None,
        open_timeout=WAIT_S,
        close_timeout=5,
        ping_interval=None,
    ) as ws:
        yield ws


def messages(ws: Connection) -> Iterator[str | bytes]:
    """What comes, for at most a minute: heartbeats alone would never end."""
    end = time.monotonic() + WAIT_S
    while (left := end - time.monotonic()) > 0:
        yield ws.recv(left)
    raise TimeoutError(f"what was waited for did not come in {WAIT_S:.0f} s")


def next_text(ws: Connection, *, kinds: tuple[str, ...] = ()) -> dict[str, Any]:
    """The next text message (of these kinds); windows and heartbeats before it are passed over."""
    for message in messages(ws):
        if isinstance(message, str):
            found: dict[str, Any] = json.loads(message)
            if found["type"] in kinds or (not kinds and found["type"] != "heartbeat"):
                return found
    raise AssertionError


def next_window(ws: Connection) -> tuple[wire.WindowTag, pa.Table]:
    """The next window; a text before it, but for a heartbeat, is an error."""
    for message in messages(ws):
        if isinstance(message, bytes):
            rows = wire.decode(message)
            return wire.WindowTag.of(rows.schema), rows
        assert json.loads(message)["type"] == "heartbeat", message
    raise AssertionError


def send(ws: Connection, kind: str, **fields: Any) -> None:
    """Send a command."""
    ws.send(wire.control(kind, **fields))


def until_end(ws: Connection) -> list[bytes]:
    """All binary messages up to `end`."""
    found: list[bytes] = []
    for message in messages(ws):
        if isinstance(message, bytes):
            found.append(message)
        elif json.loads(message)["type"] == "end":
            return found
    raise AssertionError


def upgrade(host: str, path: str) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def stalled(url: str, path: str) -> socket.socket:
    """A client that opens a stream and never reads."""
    parts = urlsplit(url)
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect((parts.hostname, parts.port))
    raw.sendall(upgrade(parts.netloc, path))
    return raw


def close_code(ws: Connection) -> int | None:
    """The code that the service closes with."""
    try:
        for _ in messages(ws):
            pass
    except ConnectionClosed as closed:
        return None if closed.rcvd is None else closed.rcvd.code
    raise AssertionError


class LakeRows:
    """Rows of the lake by window, read past the service."""

    def __init__(self, lake: Lake, surface: str) -> None:
        self._rows = lake.read(SURFACES[surface].dataset, SYMBOL, DT)
        if "window_end_ts_ns" in self._rows.schema.names:
            self._ends = self._rows["window_end_ts_ns"].to_numpy()
        else:
            self._ends = (self._rows["ts_event_ns"].to_numpy() // WINDOW_NS + 1) * WINDOW_NS

    def window(self, window_end_ts_ns: int) -> pa.Table:
        return self._rows.filter(pa.array(self._ends == window_end_ts_ns))


def same_bits(found: pa.Table, wanted: pa.Table) -> bool:
    """Equal columns, types and bits; -0.0 is not 0.0, NaN would equal itself."""
    if not found.schema.equals(wanted.schema) or found.num_rows != wanted.num_rows:
        return False
    for name in found.schema.names:
        mine, theirs = (t[name].combine_chunks() for t in (found, wanted))
        if pa.types.is_dictionary(mine.type):
            if mine.to_pylist() != theirs.to_pylist():
                return False
        elif pa.types.is_floating(mine.type):
            if (
                mine.to_numpy(zero_copy_only=False).tobytes()
                != theirs.to_numpy(zero_copy_only=False).tobytes()
            ):
                return False
        elif not mine.equals(theirs):
            return False
    return True


class JumpingClock(Clock):
    """Time that passes only by waiting, and then at once: a replay at 1x takes as long as its messages."""

    def __init__(self) -> None:
        self._now_ns = 1_000
        self.waited: list[int] = []

    def now_ns(self) -> int:
        return self._now_ns

    async def wait(self, event: asyncio.Event, until_ns: int) -> None:
        await asyncio.sleep(0)
        if not event.is_set():
            self.waited.append(max(until_ns - self._now_ns, 0))
            self._now_ns = max(until_ns, self._now_ns)
