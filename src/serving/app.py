"""The server: the only file with sockets. Everything it serves is decided elsewhere.

service = Service(load_settings(lake=Path("lake")))
service.load()            # fails at once, with the command that builds what is missing
service.run()             # until SIGTERM or Ctrl-C; every client is closed with 1001
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from typing import Any, Final, cast

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from data_eng.errors import UsageError
from serving.connection import CUT_EXTENSION, POLICY, WRITE_EXTENSION
from serving.http_api import Api, problem_response
from serving.negotiation import matches
from serving.pages import INDEX, SECURITY_HEADERS, load_pages
from serving.problems import Problem
from serving.runtime import Clock, Runtime, log
from serving.security import RateLimit
from serving.settings import Settings
from serving.stream import Streams

MAX_HEAD_BYTES: Final = 16 << 10
BACKLOG: Final = 2048
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
        now = asyncio.get_running_loop().time
        end_s = now() + self.settings.stop_s
        try:
            await self.streams.stop(self.settings.stop_s)
        finally:
            # requests on their way get what the streams left of the time; uvicorn takes fractions too
            left_s: Any = max(end_s - now(), MIN_STOP_S)
            self._server.config.timeout_graceful_shutdown = left_s
            self._server.should_exit = True

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
            ssl_certfile=s.tls_cert,
            ssl_keyfile=s.tls_key,
        )


def application(runtime: Runtime, streams: Streams) -> ASGIApp:
    """The ASGI application behind its guard."""
    pages = load_pages()

    async def page(request: Request) -> Response:
        found = pages.get(request.path_params["path"] or INDEX)
        if found is None:
            return problem_response(Problem(404, "not_found", "there is nothing here; see /v1/catalog"))
        headers = {"ETag": found.tag, "Cache-Control": "no-cache"}
        if matches(request.headers.get("if-none-match"), found.tag):
            return Response(status_code=304, headers=headers)
        return Response(found.body, headers=headers, media_type=found.media_type)

    async def refused(_: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        word, text = {
            404: ("not_found", "there is nothing here; see /v1/catalog"),
            405: ("method_not_allowed", "this endpoint does not take that method"),
        }.get(status, ("refused", "the request is refused"))
        response = problem_response(Problem(status, word, text))
        response.headers.update(getattr(error, "headers", None) or {})
        return response

    app = Starlette(
        routes=[
            *Api(runtime).routes(),
            WebSocketRoute("/v1/hud/stream", streams.handle),
            Route("/{path:path}", page, methods=["GET"]),
        ],
        exception_handlers={HTTPException: refused},
    )
    return Guard(app, runtime)


class Guard:
    """Looks at every request first: who asks, from which page, how long; and adds the security headers."""

    def __init__(self, app: ASGIApp, runtime: Runtime) -> None:
        self._app = app
        self._runtime = runtime

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] not in ("http", "websocket"):
            return

        async def guarded(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                given = {name.lower() for name, _ in message.get("headers", [])}
                message["headers"] = [
                    *message.get("headers", []),
                    *(
                        (name.lower().encode(), value.encode())
                        for name, value in SECURITY_HEADERS.items()
                        if name.lower().encode() not in given
                    ),
                ]
            await send(message)

        try:
            self._check(scope)
        except Problem as problem:
            await _refuse(problem, scope, receive, guarded)
            return
        await self._app(scope, receive, guarded)

    def _check(self, scope: Scope) -> None:
        settings = self._runtime.settings
        named = {"host": [], "origin": []}  # type: dict[str, list[str]]
        for name, value in scope["headers"]:
            if name in (b"host", b"origin"):
                named[name.decode()].append(value.decode("latin-1"))
        proxy = settings.behind_proxy
        if proxy is not None and (scope.get("client") or ("", 0))[0] != proxy:
            raise Problem(403, "not_the_proxy", "this service is reached through its proxy only")
        self._runtime.gate.check(named["host"], named["origin"])
        if len(scope["query_string"]) > settings.query_bytes or len(scope["path"]) > settings.query_bytes:
            raise Problem(
                414, "too_long", f"the path and the query have at most {settings.query_bytes} bytes each"
            )


async def _refuse(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    response = problem_response(problem)
    if scope["type"] == "http":
        await response(scope, receive, send)
        return
    await receive()  # websocket.connect
    await send(
        {
            "type": "websocket.http.response.start",
            "status": problem.status,
            "headers": response.raw_headers,
        }
    )
    await send({"type": "websocket.http.response.body", "body": problem.body()})


# ---- the server below


class _Server(uvicorn.Server):
    """uvicorn, without its signal handlers: it would die of the signal that stops it, and not exit 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `Service`."""
        yield


class GuardedHttp(H11Protocol):
    """HTTP connections that have to ask, and to take their answer, within a time."""

    runtime: Runtime

    def connection_made(self, transport: Any) -> None:
        """A new connection, unless there are too many."""
        super().connection_made(transport)
        self._timer: asyncio.TimerHandle | None = None
        if len(self.connections) > self.runtime.settings.max_connections:
            transport.abort()
            return
        self._expect(self.runtime.settings.request_s)

    def data_received(self, data: bytes) -> None:
        """Bytes of a request."""
        super().data_received(data)
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            self._forget()
        elif self.cycle is not None and not self.cycle.response_complete:
            self._expect(self.runtime.settings.answer_s)
        elif self._timer is None:
            self._expect(self.runtime.settings.request_s)

    def on_response_complete(self) -> None:
        """The answer was handed over; uvicorn's own keep-alive timer runs from here."""
        self._forget()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._forget()
        super().connection_lost(exc)

    def _expect(self, seconds: float) -> None:
        self._forget()
        self._timer = self.loop.call_later(seconds, self.transport.abort)

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class StreamProtocol(WebSocketsSansIOProtocol):
    """WebSocket connections that can be fed whole frames, and cut while they take nothing."""

    runtime: Runtime

    async def run_asgi(self) -> None:
        """Run the application, which may write to the connection at once, and cut it."""
        extensions = cast(dict[str, Any], self.scope["extensions"])
        extensions |= {CUT_EXTENSION: self.cut, WRITE_EXTENSION: self.write_now}
        await super().run_asgi()

    async def send(self, message: Any) -> None:
        """As uvicorn; ``frames`` of a message are bytes that are frames already, shared by many clients."""
        frames = message.get("frames")
        if frames is None:
            await super().send(message)
            if self.initial_response is not None and self.close_sent:
                self.handshake_complete = True  # refused with an answer; uvicorn would complain in the log
            if message["type"] == "websocket.close" and self.close_timer is not None:
                self._abort_later()
            return
        await self.writable.wait()
        if self.disconnected or self.close_sent or self.transport.is_closing():
            raise ClientDisconnected
        self.transport.write(frames)

    def connection_made(self, transport: Any) -> None:
        """A connection that was upgraded."""
        super().connection_made(transport)
        self._pings = RateLimit(self.runtime.settings.commands_per_s)
        self._is_deaf = False

    def data_received(self, data: bytes) -> None:
        """Bytes of frames; none are looked at any more after a flood."""
        if not self._is_deaf:
            super().data_received(data)

    def handle_ping(self) -> None:
        """A ping. Answers to a flood of them would pile up for a client that does not read."""
        if self._pings.allows(self.loop.time()):
            super().handle_ping()
        else:
            self._refuse_flood("too many pings a second")

    def handle_cont(self, event: Any) -> None:
        """A piece of a message. Empty ones are not counted by its size, but each is kept."""
        if len(self.frames) > self.runtime.settings.command_bytes:
            self._refuse_flood("a message in too many pieces")
        else:
            super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        """A whole message. uvicorn would log a traceback for text that is not UTF-8."""
        if self.curr_msg_data_type == "text" and not _is_utf8(b"".join(self.frames)):
            self.frames = []
            self.cut(1007, "text that is not UTF-8")
        else:
            super().send_receive_event_to_app()

    def _refuse_flood(self, reason: str) -> None:
        self._is_deaf = True
        self.frames = []
        self.conn.data_to_send()  # answers to what is refused
        self.cut(POLICY, reason)

    def write_now(self, frames: bytes) -> bool:
        """Hand whole frames to the socket; False when it has no room for them, or is closed."""
        if not self.writable.is_set() or self.disconnected or self.close_sent or self.transport.is_closing():
            return False
        self.transport.write(frames)
        return True

    def cut(self, code: int, reason: str) -> None:
        """Close without waiting for room; abort when the client does not take it within `linger_s`."""
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.writable.set()  # whoever waits for room shall learn that there is nothing to send any more
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self._abort_later()

    def keepalive_timeout(self) -> None:
        """A ping was not answered."""
        super().keepalive_timeout()
        self.writable.set()
        self._abort_later()

    def handle_parser_exception(self) -> None:
        """The client broke the protocol."""
        super().handle_parser_exception()
        self._abort_later()

    def _abort_later(self) -> None:
        if self.close_timer is not None:
            self.close_timer.cancel()
        self.close_timer = self.loop.call_later(self.runtime.settings.linger_s, self.transport.abort)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


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
