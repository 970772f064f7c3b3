"""Clients of the service for Python: history as Arrow, Polars or pandas, live windows as an iterator.

    from serving.client import Client

    with Client("http://127.0.0.1:8765") as client:
        wall = client.history("wall", start_ts_ns=start, end_ts_ns=end, kind="polars")
        with client.live(surfaces=("hud", "wall"), start_ts_ns=start, speed="max") as stream:
            for window in stream:
                print(window.window_end_ts_ns, window["wall"].num_rows)
                if window.window_end_ts_ns >= end:
                    break

`AsyncClient` is the same with ``async`` and ``await``; `Client` hands all its work to one, in a thread of its
own. A lost connection of a private clock is taken up where it was, so that every window comes exactly once.
"""

from __future__ import annotations

import asyncio
import ssl
import weakref
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx2
import pyarrow as pa
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConcurrencyError, ConnectionClosed, InvalidHandshake, InvalidStatus

from serving import wire
from serving.client_core import (
    ClientError,
    Kind,
    StreamState,
    Window,
    as_kind,
    is_local,
    parts_of,
    problem_of,
    query,
    stream_url,
    unreachable,
)
from serving.loop_thread import LoopThread
from serving.surfaces import DEFAULT

__all__ = ["AsyncClient", "AsyncStream", "Client", "ClientError", "Stream", "Window"]

TIMEOUT_S: Final = 30.0
RETRIES: Final = 5
"""times that a lost stream is taken up again without a window in between"""
RETRY_S: Final = 0.2
MAX_MESSAGE_BYTES: Final = 64 << 20
CLOSE_S: Final = 2.0
"""how long a service may take to answer that a stream is closed"""
BATCH: Final = 16
"""messages handed over at a time, when so many have arrived"""
QUEUE: Final = (BATCH, BATCH - 4)
"""unread messages at which a connection stops to read, and at which it reads on, before all are used up"""
LOST: Final = (OSError, InvalidHandshake, ConnectionClosed)
"""what says that there is no connection, or none any more"""


class _Requests:
    """Paths of all answers, and what is done with their bodies."""

    def __init__(self, base_url: str, token: str | None, ca_file: Path | None) -> None:
        self.base_url = base_url.rstrip("/")
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.tls = None if ca_file is None else ssl.create_default_context(cafile=str(ca_file))

    def options(self) -> dict[str, Any]:
        return {
            "base_url": self.base_url,
            "headers": self.headers,
            "timeout": TIMEOUT_S,
            "trust_env": not is_local(self.base_url),
            "verify": True if self.tls is None else self.tls,
        }

    def stream_options(self) -> dict[str, Any]:
        return {
            "additional_headers": self.headers,
            "compression": None,
            "close_timeout": CLOSE_S,
            "max_size": MAX_MESSAGE_BYTES,
            "max_queue": QUEUE,
            "proxy": None if is_local(self.base_url) else True,
            **({"ssl": self.tls} if self.tls is not None else {}),
        }


def _checked(response: httpx2.Response) -> httpx2.Response:
    if response.status_code != 200:
        raise problem_of(response.status_code, response.content)
    return response


def _limits(
    catalog: dict[str, Any], symbol: str | None, dt: str | None, surface: str
) -> tuple[int, int, int]:
    """(windows per request, window_end of the first window, of the last) of a surface."""
    default = catalog["default"] or {}
    wanted = (symbol or default.get("symbol"), dt or default.get("dt"))
    for day in catalog["days"]:
        if (day["symbol"], day["dt"]) == wanted and day["servable"]:
            limit = int(day["surfaces"][surface]["max_windows"]) if surface in day["surfaces"] else 1
            return limit, int(day["first_window"]["ts_ns"]), int(day["last_window"]["ts_ns"])
    raise ClientError(404, "unknown_day", f"the service has no {wanted[0]} {wanted[1]}")


class AsyncClient:
    """The client for an event loop. token: for an exposed service; ca_file: who signed its certificate.

    All methods raise `ClientError` for a refusal, and when the service cannot be reached.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8765",
        token: str | None = None,
        ca_file: Path | None = None,
    ) -> None:
        self._requests = _Requests(base_url, token, ca_file)
        self._http = httpx2.AsyncClient(**self._requests.options())

    async def catalog(self) -> dict[str, Any]:
        """Days and surfaces."""
        return await self._json("/v1/catalog")

    async def bootstrap(
        self,
        *,
        symbol: str | None = None,
        dt: str | None = None,
        end_ts_ns: int | None = None,
        kind: Kind = "arrow",
    ) -> Any:
        """The last 1800 windows of the picture up to `end_ts_ns`."""
        return as_kind(await self._rows("/v1/hud/bootstrap", symbol=symbol, dt=dt, end_ts_ns=end_ts_ns), kind)

    async def history(
        self,
        surface: str,
        *,
        symbol: str | None = None,
        dt: str | None = None,
        start_ts_ns: int | None = None,
        end_ts_ns: int | None = None,
        kind: Kind = "arrow",
    ) -> Any:
        """Rows with start_ts_ns < window_end <= end_ts_ns (default: the whole day), asked for in parts."""
        limit, first, last = _limits(await self.catalog(), symbol, dt, surface)
        start = first - 1 if start_ts_ns is None else start_ts_ns
        end = last if end_ts_ns is None else end_ts_ns
        path = f"/v1/surfaces/{surface}"
        pieces = [
            await self._rows(path, symbol=symbol, dt=dt, start_ts_ns=low, end_ts_ns=high)
            for low, high in parts_of(start, end, limit)
        ] or [
            (await self._rows(path, symbol=symbol, dt=dt, start_ts_ns=start - 1, end_ts_ns=start)).slice(0, 0)
        ]
        return as_kind(pa.concat_tables(pieces), kind)

    async def day(self, *, symbol: str | None = None, dt: str | None = None, kind: Kind = "arrow") -> Any:
        """One row per window of the whole day."""
        return as_kind(await self._rows("/v1/hud/day", symbol=symbol, dt=dt), kind)

    async def profile(
        self,
        *,
        symbol: str | None = None,
        dt: str | None = None,
        end_ts_ns: int | None = None,
        kind: Kind = "arrow",
    ) -> Any:
        """Volume by price since the start of the trade date."""
        return as_kind(await self._rows("/v1/hud/profile", symbol=symbol, dt=dt, end_ts_ns=end_ts_ns), kind)

    async def levels(self, *, symbol: str | None = None, dt: str | None = None) -> dict[str, Any]:
        """Reference levels."""
        return await self._json("/v1/levels", symbol=symbol, dt=dt)

    async def explain(
        self, ts_ns: int, *, symbol: str | None = None, dt: str | None = None
    ) -> dict[str, Any]:
        """Terms of both scores of the first window that ends at or after `ts_ns`."""
        return await self._json("/v1/explain", symbol=symbol, dt=dt, ts_ns=ts_ns)

    def live(
        self,
        *,
        symbol: str | None = None,
        dt: str | None = None,
        surfaces: Sequence[str] = (DEFAULT,),
        start_ts_ns: int | None = None,
        speed: float | str | None = None,
        clock: str | None = None,
    ) -> AsyncStream:
        """A stream of windows; see `AsyncStream`."""
        state = StreamState(symbol, dt, tuple(surfaces), clock, start_ts_ns, speed)
        return AsyncStream(self._requests, state)

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _rows(self, path: str, **values: Any) -> pa.Table:
        return wire.decode((await self._get(path, values)).content)

    async def _json(self, path: str, **values: Any) -> dict[str, Any]:
        found: dict[str, Any] = (await self._get(path, values)).json()
        return found

    async def _get(self, path: str, values: dict[str, Any]) -> httpx2.Response:
        try:
            return _checked(await self._http.get(f"{path}?{query(**values)}"))
        except httpx2.TransportError as error:
            raise unreachable(self._requests.base_url, error) from error


class _Told:
    """What the service has told about a stream."""

    _state: StreamState

    @property
    def hello(self) -> dict[str, Any]:
        """The service's first message. Raises `ClientError` before the stream was opened."""
        if self._state.hello is None:
            raise ClientError(0, "not_open", "the stream is not open yet; use it as a context manager")
        return self._state.hello

    @property
    def errors(self) -> list[dict[str, Any]]:
        """Commands that were refused."""
        return self._state.errors

    @property
    def gaps(self) -> list[tuple[int, int]]:
        """(from_seq, to_seq) that a shared clock dropped for this client."""
        return self._state.gaps


class AsyncStream(_Told):
    """Windows as they come, in order; ends after the last window of the day. Use it as a context manager.

    hello: what the service said first. errors: refused commands. gaps: what a shared clock dropped.
    """

    def __init__(self, requests: _Requests, state: StreamState) -> None:
        self._requests = requests
        self._state = state
        self._ws: ClientConnection | None = None
        self._opening = asyncio.Lock()
        self._arrived: deque[str | bytes] = deque()
        self._tries = 0

    async def play(self) -> None:
        """Go on."""
        await self._send("play")

    async def pause(self) -> None:
        """Stand still. Windows that are on their way still come."""
        await self._send("pause")

    async def seek(self, ts_ns: int) -> None:
        """Go on with the first window that ends at or after `ts_ns`."""
        await self._send("seek", ts_ns)

    async def speed(self, x: float | str) -> None:
        """Windows per second, or ``max``."""
        await self._send("speed", x)

    async def step(self, windows: int) -> None:
        """While paused: the next `windows` windows, or one that lies that many back."""
        await self._send("step", windows)

    async def __aiter__(self) -> AsyncIterator[Window]:
        while not self._finished:
            for window in self._here():
                yield window
            if not self._finished:
                await self._receive()

    async def open(self) -> Self:
        """Connect, and wait for hello."""
        try:
            await self._connected()
        except LOST as error:
            raise _lost(error) from error
        return self

    async def close(self) -> None:
        """Leave."""
        async with self._opening:
            ws, self._ws = self._ws, None
            self._arrived.clear()
            if ws is not None:
                await _leave(ws)

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def _finished(self) -> bool:
        return self._ws is not None and not self._arrived and self._state.finished

    def _here(self) -> Iterator[Window]:
        """Windows that have arrived. May run in another thread than the event loop's."""
        while True:
            try:
                message = self._arrived.popleft()
            except IndexError:
                return
            window = self._state.take(message)
            if window is not None:
                self._tries = 0
                yield window

    async def _receive(self) -> None:
        """Wait for a message and keep it, with those that are there already; take up a lost stream once."""
        ws = None
        try:
            ws = await self._connected()
            self._arrived.append(await ws.recv())
            with suppress(ConnectionClosed, TimeoutError):
                async with asyncio.timeout(0):
                    while len(self._arrived) < BATCH:
                        self._arrived.append(await ws.recv())
        except LOST as error:
            if ws is not None and ws is not self._ws:
                raise ClientError(0, "closed", "the stream was closed while it was waited for") from error
            await self.close()
            self._tries += 1
            if self._tries > RETRIES or not _may_resume(self._state, error):
                self._tries = 0
                raise _lost(error) from error
            await asyncio.sleep(RETRY_S * self._tries)

    async def _connected(self) -> ClientConnection:
        async with self._opening:
            if self._ws is None:
                self._ws = await self._connect()
            return self._ws

    async def _connect(self) -> ClientConnection:
        """A connection that has said hello and stands still if this stream does."""
        url = stream_url(self._requests.base_url, self._state.connect_query())
        try:
            ws = await connect(url, **self._requests.stream_options())
            try:
                self._state.take(await ws.recv())
                for text in self._state.after_connect():
                    await ws.send(text)
            except BaseException:
                await _leave(ws)
                raise
        except InvalidStatus as error:
            raise problem_of(error.response.status_code, bytes(error.response.body or b"")) from error
        except LOST as error:
            if self._state.hello is None:
                raise unreachable(self._requests.base_url, error) from error
            raise
        return ws

    async def _send(self, kind: str, value: Any = None) -> None:
        try:
            ws = await self._connected()
            await ws.send(self._state.command(kind, value))
        except LOST as error:
            raise _lost(error) from error


async def _leave(ws: ClientConnection) -> None:
    """Close. What still comes is dropped: unread, it would stand before the answer to the close."""
    closing = asyncio.create_task(ws.close())
    with suppress(ConnectionClosed, ConcurrencyError):
        while True:
            await ws.recv()
    await closing


def _lost(error: BaseException) -> ClientError:
    return ClientError(0, "lost", f"the stream is lost: {error}")


def _may_resume(state: StreamState, error: BaseException) -> bool:
    """Whether a lost stream can be taken up without losing or repeating windows."""
    received = getattr(error, "rcvd", None)
    refused = received is not None and received.code in (1003, 1008, 1009)
    return state.hello is not None and state.clock != "shared" and not refused


class Client:
    """A client that blocks. token: for an exposed service; ca_file: who signed its certificate.

    All methods raise `ClientError` for a refusal, and when the service cannot be reached. Threads may share
    it; `close` ends its streams too.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8765",
        token: str | None = None,
        ca_file: Path | None = None,
    ) -> None:
        self._client = AsyncClient(base_url, token, ca_file)
        self._loop = LoopThread()
        self._streams: weakref.WeakSet[AsyncStream] = weakref.WeakSet()

    def catalog(self) -> dict[str, Any]:
        """Days and surfaces."""
        return self._loop.run(self._client.catalog())

    def bootstrap(
        self,
        *,
        symbol: str | None = None,
        dt: str | None = None,
        end_ts_ns: int | None = None,
        kind: Kind = "arrow",
    ) -> Any:
        """The last 1800 windows of the picture up to `end_ts_ns`."""
        rows = self._loop.run(self._client.bootstrap(symbol=symbol, dt=dt, end_ts_ns=end_ts_ns))
        return as_kind(rows, kind)

    def history(
        self,
        surface: str,
        *,
        symbol: str | None = None,
        dt: str | None = None,
        start_ts_ns: int | None = None,
        end_ts_ns: int | None = None,
        kind: Kind = "arrow",
    ) -> Any:
        """Rows with start_ts_ns < window_end <= end_ts_ns (default: the whole day), asked for in parts."""
        asked = self._client.history(
            surface, symbol=symbol, dt=dt, start_ts_ns=start_ts_ns, end_ts_ns=end_ts_ns
        )
        return as_kind(self._loop.run(asked), kind)

    def day(self, *, symbol: str | None = None, dt: str | None = None, kind: Kind = "arrow") -> Any:
        """One row per window of the whole day."""
        return as_kind(self._loop.run(self._client.day(symbol=symbol, dt=dt)), kind)

    def profile(
        self,
        *,
        symbol: str | None = None,
        dt: str | None = None,
        end_ts_ns: int | None = None,
        kind: Kind = "arrow",
    ) -> Any:
        """Volume by price since the start of the trade date."""
        rows = self._loop.run(self._client.profile(symbol=symbol, dt=dt, end_ts_ns=end_ts_ns))
        return as_kind(rows, kind)

    def levels(self, *, symbol: str | None = None, dt: str | None = None) -> dict[str, Any]:
        """Reference levels."""
        return self._loop.run(self._client.levels(symbol=symbol, dt=dt))

    def explain(self, ts_ns: int, *, symbol: str | None = None, dt: str | None = None) -> dict[str, Any]:
        """Terms of both scores of the first window that ends at or after `ts_ns`."""
        return self._loop.run(self._client.explain(ts_ns, symbol=symbol, dt=dt))

    def live(
        self,
        *,
        symbol: str | None = None,
        dt: str | None = None,
        surfaces: Sequence[str] = (DEFAULT,),
        start_ts_ns: int | None = None,
        speed: float | str | None = None,
        clock: str | None = None,
    ) -> Stream:
        """A stream of windows; see `Stream`."""
        stream = self._client.live(
            symbol=symbol, dt=dt, surfaces=surfaces, start_ts_ns=start_ts_ns, speed=speed, clock=clock
        )
        self._streams.add(stream)
        return Stream(stream, self._loop)

    def close(self) -> None:
        """Close the streams, give the connections back, and end the thread. Who still waits is told."""
        self._loop.close(self._farewell)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _farewell(self) -> None:
        await asyncio.gather(*(stream.close() for stream in list(self._streams)), self._client.close())


class Stream(_Told):
    """Windows as they come, in order; ends after the last window of the day. Use it as a context manager.

    hello: what the service said first. errors: refused commands. gaps: what a shared clock dropped. Commands
    may come from other threads than the one that takes the windows.
    """

    def __init__(self, stream: AsyncStream, loop: LoopThread) -> None:
        self._stream = stream
        self._state = stream._state
        self._loop = loop

    def play(self) -> None:
        """Go on."""
        self._loop.run(self._stream.play())

    def pause(self) -> None:
        """Stand still. Windows that are on their way still come."""
        self._loop.run(self._stream.pause())

    def seek(self, ts_ns: int) -> None:
        """Go on with the first window that ends at or after `ts_ns`."""
        self._loop.run(self._stream.seek(ts_ns))

    def speed(self, x: float | str) -> None:
        """Windows per second, or ``max``."""
        self._loop.run(self._stream.speed(x))

    def step(self, windows: int) -> None:
        """While paused: the next `windows` windows, or one that lies that many back."""
        self._loop.run(self._stream.step(windows))

    def __iter__(self) -> Iterator[Window]:
        while not self._stream._finished:
            yield from self._stream._here()
            if not self._stream._finished:
                self._loop.run(self._stream._receive())

    def open(self) -> Self:
        """Connect, and wait for hello."""
        self._loop.run(self._stream.open())
        return self

    def close(self) -> None:
        """Leave."""
        if not self._loop.closed:
            self._loop.run(self._stream.close())

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
