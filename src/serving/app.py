"""The server: takes its address, runs and stops. The only file that opens a socket.

service = Service(load_settings(lake=Path("lake")))
service.load()            # fails at once, with the command that builds what is missing
service.run()             # until SIGTERM or Ctrl-C; every client is closed with 1001
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal
import socket
from collections.abc import Iterator
from typing import Any, Final

import uvicorn

from data_eng.errors import UsageError
from serving.guard import application
from serving.protocols import GuardedHttp, StreamProtocol
from serving.runtime import Clock, Runtime, log
from serving.settings import Settings
from serving.stream import Streams

MAX_HEAD_BYTES: Final = 16 << 10
BACKLOG: Final = 2048
WORK_S: Final = 2
"""what a thread at work is waited for beyond `stop_s`, before its request is cancelled"""
MIN_STOP_S: Final = 0.1
"""what requests on their way are given at the end, when streams took all the time there was"""


class Service:
    """One server on one address. `clock` is another clock for tests."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.runtime = Runtime(settings, clock)
        self.streams = Streams(self.runtime)
        self._socket: socket.socket | None = None
        self._server: _Server | None = None
        self._stop_task: asyncio.Task[None] | None = None

    def load(self) -> None:
        """Load the default day. Raises `MissingDataError`, `LakeError`."""
        self.runtime.load_default()

    def bind(self) -> str:
        """Take the address; returns it as a URL. Raises `UsageError` when it is taken or not ours."""
        if self._socket is None:
            self._socket = _listening_socket(self.settings)
        host, port = self._socket.getsockname()[:2]
        scheme = "https" if self.settings.tls_cert else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        asyncio.run(self.serve(signals=True))

    async def serve(self, *, signals: bool = False) -> None:
        """Serve until `stop`, or a signal when `signals`."""
        self.bind()
        assert self._socket is not None
        self._server = _Server(self._config())
        if signals:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self.stop)
        try:
            await self._server.serve(sockets=[self._socket])
        finally:
            self.runtime.close()

    def stop(self) -> None:
        """Begin to stop: clients are closed with 1001, then the server ends. A second call does not wait."""
        if self._server is None:
            return
        if self._stop_task is not None:
            self._server.force_exit = True
            return
        self.runtime.stopping.set()
        self._stop_task = asyncio.get_running_loop().create_task(self._stop())

    @property
    def started(self) -> bool:
        """Whether connections are answered."""
        return self._server is not None and self._server.started

    async def _stop(self) -> None:
        assert self._server is not None
        loop = asyncio.get_running_loop()
        end_s = loop.time() + self.settings.stop_s
        try:
            await self.streams.stop(self.settings.stop_s)
        finally:
            # requests on their way get what the streams left of the time
            loop.call_later(max(end_s - loop.time(), MIN_STOP_S), self._cut)
            self._server.should_exit = True

    def _cut(self) -> None:
        """Abort the connections that are left. Their handlers learn it as a lost client, and log nothing."""
        assert self._server is not None
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()

    def _config(self) -> uvicorn.Config:
        s = self.settings
        bound: dict[str, Any] = {"runtime": self.runtime}
        return uvicorn.Config(
            application(self.runtime, self.streams),
            http=type("Http", (GuardedHttp,), bound),
            ws=type("Stream", (StreamProtocol,), bound),
            ws_max_size=s.command_bytes,
            ws_ping_interval=s.ping_s,
            ws_ping_timeout=s.ping_s,
            ws_per_message_deflate=False,
            h11_max_incomplete_event_size=MAX_HEAD_BYTES,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=math.ceil(s.stop_s) + WORK_S,
            ssl_certfile=s.tls_cert,
            ssl_keyfile=s.tls_key,
        )


class _Server(uvicorn.Server):
    """uvicorn, without its signal handlers: it would die of the signal that stops it, and not exit 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `Service`."""
        yield


def _listening_socket(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # with the protocol named asyncio sets TCP_NODELAY; else a window after a text waits 40 ms for an ACK
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # inherited by every accepted connection: what a slow client may hold in the kernel
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, settings.send_buffer_bytes)
        listener.bind((settings.host, settings.port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise UsageError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror}; choose another --port,"
            " for example 0 for any free one"
        ) from None
    log.debug("listening on %s", listener.getsockname())
    return listener
