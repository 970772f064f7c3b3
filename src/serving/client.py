"""Clients of the service for Python: history as Arrow, Polars or pandas, live windows as an iterator.

    from serving.client import Client

    with Client("http://127.0.0.1:8765") as client:
        wall = client.history("wall", start_ts_ns=start, end_ts_ns=end, kind="polars")
        with client.live(surfaces=("hud", "wall"), start_ts_ns=start, speed="max") as stream:
            for window in stream:
                print(window.window_end_ts_ns, window["wall"].num_rows)
                if window.window_end_ts_ns >= end:
                    break

`AsyncClient` is the same with ``async`` and ``await``. A lost connection of a private clock is taken up where
it was, so that every window comes exactly once.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx2
import pyarrow as pa
import websockets
import websockets.asyncio.client
import websockets.sync.client

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
from serving.surfaces import DEFAULT

__all__ = ["AsyncClient", "AsyncStream", "Client", "ClientError", "Stream", "Window"]

TIMEOUT_S: Final = 30.0
RETRIES: Final = 5
"""times that a lost stream is taken up again without a window in between"""
RETRY_S: Final = 0.2
MAX_MESSAGE_BYTES: Final = 64 << 20


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
            "max_size": MAX_MESSAGE_BYTES,
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


class Client:
    """A client that blocks. token: for an exposed service; ca_file: who signed its certificate.

    All methods raise `ClientError` for a refusal, and when the service cannot be reached.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8765",
        token: str | None = None,
        ca_file: Path | None = None,
    ) -> None:
        self._requests = _Requests(base_url, token, ca_file)
        self._http = httpx2.Client(**self._requests.options())

    def catalog(self) -> dict[str, Any]:
        """Days and surfaces."""
        return self._json("/v1/catalog")

    def bootstrap(
        self,
        *,
        symbol: str | None = None,
        dt: str | None = None,
        end_ts_ns: int | None = None,
        kind: Kind = "arrow",
    ) -> Any:
        """The last 1800 windows of the picture up to `end_ts_ns`."""
        return as_kind(self._rows("/v1/hud/bootstrap", symbol=symbol, dt=dt, end_ts_ns=end_ts_ns), kind)

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
        limit, first, last = _limits(self.catalog(), symbol, dt, surface)
        start = first - 1 if start_ts_ns is None else start_ts_ns
        end = last if end_ts_ns is None else end_ts_ns
        path = f"/v1/surfaces/{surface}"
        pieces = [
            self._rows(path, symbol=symbol, dt=dt, start_ts_ns=low, end_ts_ns=high)
            for low, high in parts_of(start, end, limit)
        ] or [self._rows(path, symbol=symbol, dt=dt, start_ts_ns=start - 1, end_ts_ns=start).slice(0, 0)]
        return as_kind(pa.concat_tables(pieces), kind)

    def day(self, *, symbol: str | None = None, dt: str | None = None, kind: Kind = "arrow") -> Any:
        """One row per window of the whole day."""
        return as_kind(self._rows("/v1/hud/day", symbol=symbol, dt=dt), kind)

    def profile(
        self,
        *,
        symbol: str | None = None,
        dt: str | None = None,
        end_ts_ns: int | None = None,
        kind: Kind = "arrow",
    ) -> Any:
        """Volume by price since the start of the trade date."""
        return as_kind(self._rows("/v1/hud/profile", symbol=symbol, dt=dt, end_ts_ns=end_ts_ns), kind)

    def levels(self, *, symbol: str | None = None, dt: str | None = None) -> dict[str, Any]:
        """Reference levels."""
        return self._json("/v1/levels", symbol=symbol, dt=dt)

    def explain(self, ts_ns: int, *, symbol: str | None = None, dt: str | None = None) -> dict[str, Any]:
        """Terms of both scores of the first window that ends at or after `ts_ns`."""
        return self._json("/v1/explain", symbol=symbol, dt=dt, ts_ns=ts_ns)

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
        state = StreamState(symbol, dt, tuple(surfaces), clock, start_ts_ns, speed)
        return Stream(self._requests, state)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _rows(self, path: str, **values: Any) -> pa.Table:
        return wire.decode(self._get(path, values).content)

    def _json(self, path: str, **values: Any) -> dict[str, Any]:
        found: dict[str, Any] = self._get(path, values).json()
        return found

    def _get(self, path: str, values: dict[str, Any]) -> httpx2.Response:
        try:
            return _checked(self._http.get(f"{path}?{query(**values)}"))
        except httpx2.TransportError as error:
            raise unreachable(self._requests.base_url, error) from error


class Stream:
    """Windows as they come, in order; ends after the last window of the day. Use it as a context manager.

    hello: what the service said first. errors: refused commands. gaps: what a shared clock dropped.
    """

    def __init__(self, requests: _Requests, state: StreamState) -> None:
        self._requests = requests
        self._state = state
        self._ws: websockets.sync.client.ClientConnection | None = None
        self._opened = ExitStack()

    @property
    def hello(self) -> dict[str, Any]:
        """The service's first message. Raises `ClientError` before the stream was opened."""
        return _hello(self._state)

    @property
    def errors(self) -> list[dict[str, Any]]:
        """Commands that were refused."""
        return self._state.errors

    @property
    def gaps(self) -> list[tuple[int, int]]:
        """(from_seq, to_seq) that a shared clock dropped for this client."""
        return self._state.gaps

    def play(self) -> None:
        """Go on."""
        self._send("play")

    def pause(self) -> None:
        """Stand still. Windows that are on their way still come."""
        self._send("pause")

    def seek(self, ts_ns: int) -> None:
        """Go on with the first window that ends at or after `ts_ns`."""
        self._send("seek", ts_ns)

    def speed(self, x: float | str) -> None:
        """Windows per second, or ``max``."""
        self._send("speed", x)

    def step(self, windows: int) -> None:
        """While paused: the next `windows` windows, or one that lies that many back."""
        self._send("step", windows)

    def __iter__(self) -> Iterator[Window]:
        tries = 0
        while True:
            try:
                for message in self._connected():
                    window = self._state.take(message)
                    if window is not None:
                        tries = 0
                        yield window
                    elif self._state.finished:
                        return
                raise ConnectionError("the service closed the stream")
            except (OSError, websockets.exceptions.ConnectionClosed) as error:
                tries += 1
                self.close()
                if tries > RETRIES or not _may_resume(self._state, error):
                    raise ClientError(0, "lost", f"the stream is lost: {error}") from error
                time.sleep(RETRY_S * tries)

    def open(self) -> Self:
        """Connect, and wait for hello."""
        if self._ws is None:
            url = stream_url(self._requests.base_url, self._state.connect_query())
            try:
                self._ws = self._opened.enter_context(
                    websockets.sync.client.connect(url, **self._requests.stream_options())
                )
            except websockets.exceptions.InvalidStatus as error:
                raise problem_of(error.response.status_code, bytes(error.response.body or b"")) from error
            except OSError as error:
                if self._state.hello is None:
                    raise unreachable(self._requests.base_url, error) from error
                raise
            self._state.take(self._ws.recv())
            for text in self._state.after_connect():
                self._ws.send(text)
        return self

    def close(self) -> None:
        """Leave."""
        self._ws = None
        self._opened.close()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _connected(self) -> websockets.sync.client.ClientConnection:
        self.open()
        assert self._ws is not None
        return self._ws

    def _send(self, kind: str, value: Any = None) -> None:
        self._connected().send(self._state.command(kind, value))


class AsyncClient:
    """`Client` for an event loop: the same methods, awaited."""

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


class AsyncStream:
    """`Stream` for an event loop: ``async with`` and ``async for``."""

    def __init__(self, requests: _Requests, state: StreamState) -> None:
        self._requests = requests
        self._state = state
        self._ws: websockets.asyncio.client.ClientConnection | None = None
        self._opened = AsyncExitStack()

    @property
    def hello(self) -> dict[str, Any]:
        """The service's first message. Raises `ClientError` before the stream was opened."""
        return _hello(self._state)

    @property
    def errors(self) -> list[dict[str, Any]]:
        """Commands that were refused."""
        return self._state.errors

    @property
    def gaps(self) -> list[tuple[int, int]]:
        """(from_seq, to_seq) that a shared clock dropped for this client."""
        return self._state.gaps

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
        tries = 0
        while True:
            try:
                async for message in await self._connected():
                    window = self._state.take(message)
                    if window is not None:
                        tries = 0
                        yield window
                    elif self._state.finished:
                        return
                raise ConnectionError("the service closed the stream")
            except (OSError, websockets.exceptions.ConnectionClosed) as error:
                tries += 1
                await self.close()
                if tries > RETRIES or not _may_resume(self._state, error):
                    raise ClientError(0, "lost", f"the stream is lost: {error}") from error
                await asyncio.sleep(RETRY_S * tries)

    async def open(self) -> Self:
        """Connect, and wait for hello."""
        if self._ws is None:
            url = stream_url(self._requests.base_url, self._state.connect_query())
            try:
                self._ws = await self._opened.enter_async_context(
                    websockets.asyncio.client.connect(url, **self._requests.stream_options())
                )
            except websockets.exceptions.InvalidStatus as error:
                raise problem_of(error.response.status_code, bytes(error.response.body or b"")) from error
            except OSError as error:
                if self._state.hello is None:
                    raise unreachable(self._requests.base_url, error) from error
                raise
            self._state.take(await self._ws.recv())
            for text in self._state.after_connect():
                await self._ws.send(text)
        return self

    async def close(self) -> None:
        """Leave."""
        self._ws = None
        await self._opened.aclose()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _connected(self) -> websockets.asyncio.client.ClientConnection:
        await self.open()
        assert self._ws is not None
        return self._ws

    async def _send(self, kind: str, value: Any = None) -> None:
        await (await self._connected()).send(self._state.command(kind, value))


def _hello(state: StreamState) -> dict[str, Any]:
    if state.hello is None:
        raise ClientError(0, "not_open", "the stream is not open yet; use it as a context manager")
    return state.hello


def _may_resume(state: StreamState, error: BaseException) -> bool:
    """Whether a lost stream can be taken up without losing or repeating windows."""
    received = getattr(error, "rcvd", None)
    refused = received is not None and received.code in (1003, 1008, 1009)
    return state.hello is not None and state.clock != "shared" and not refused
