"""`WS /v1/hud/stream`: one session per client (spec 9.4).

Who may open one is decided before the upgrade; a refusal is an HTTP answer with a problem body. After it, one
task reads commands and one, the session, sends everything, so that messages never overlap.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from data_eng.units import HUD_HISTORY_WINDOWS, WINDOW_NS
from serving import wire
from serving.broadcast import SharedClock, SharedClocks, Subscriber
from serving.connection import GOING_AWAY, INTERNAL, POLICY, TRY_AGAIN, Connection, Gone
from serving.hud_streaming import HudCache
from serving.problems import PROBLEM_MEDIA_TYPE, Problem
from serving.queries import Query
from serving.runtime import Runtime, log, require_surfaces
from serving.transport import Transport, TransportError

PARAMETERS: Final = ("symbol", "dt", "start_ts_ns", "speed", "surfaces", "clock", "resume")
TICKET_WAIT_S: Final = 10.0


@dataclass(frozen=True)
class Request:
    """What a client asked for when it connected."""

    cache: HudCache
    surfaces: tuple[str, ...]
    clock: str
    start: int
    speed: float
    resumed: bool

    @classmethod
    async def read(cls, runtime: Runtime, raw: bytes) -> Request:
        """The checked request. Raises `Problem`."""
        query = Query(raw, PARAMETERS)
        names = query.surfaces()
        clock = query.clock() or runtime.settings.clock
        speed, resume, start_ts_ns = query.speed(), query.resume(), query.int64("start_ts_ns")
        if clock == "shared":
            for name in ("start_ts_ns", "speed", "resume"):
                if query.has(name):
                    raise Problem(400, "shared_clock", f"{name} belongs to a private clock; leave it out")
        cache = await runtime.day(query.symbol(), query.dt())
        require_surfaces(cache, names)
        start = first_window(cache, start_ts_ns)
        resumed = resume is not None and cache.epoch == resume[0]
        if resume is not None and resumed:
            if resume[1] >= cache.windows:
                raise Problem(400, "bad_resume", f"seq {resume[1]} is not one of the {cache.windows} windows")
            start = resume[1] + 1
        return cls(cache, names, clock, start, 1.0 if speed is None else speed, resumed)


def first_window(cache: HudCache, start_ts_ns: int | None) -> int:
    """Index of the window a stream begins with: the first that ends at or after `start_ts_ns`.

    Default: the 1800th, or the first of a day that has no more than those: behind its last window nothing
    would play. Raises `Problem` 400 past the last window.
    """
    if start_ts_ns is None:
        return HUD_HISTORY_WINDOWS - 1 if cache.windows > HUD_HISTORY_WINDOWS else 0
    seq = cache.seq_at(start_ts_ns)
    if seq >= cache.windows:
        raise Problem(
            400, "out_of_range", f"start_ts_ns lies after the last window, which ends at {cache.last_ts_ns}"
        )
    return seq


class Streams:
    """All sessions of one service."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.shared = SharedClocks(runtime)
        self._open: set[Connection] = set()

    async def handle(self, websocket: WebSocket) -> None:
        """Serve one client from its handshake to its end."""
        runtime = self.runtime
        address = websocket.client.host if websocket.client else ""
        try:
            authorised = self._authorise(websocket)
            runtime.clients.enter(address)
        except Problem as problem:
            await self._refuse(websocket, problem)
            return
        try:
            try:
                request = await Request.read(runtime, websocket.scope["query_string"])
            except Problem as problem:
                await self._refuse(websocket, problem)
                return
            await self._serve(websocket, request, authorised)
        finally:
            runtime.clients.leave(address)

    async def stop(self, patience_s: float) -> None:
        """Close every client with 1001; those that take nothing are cut."""
        for connection in list(self._open):
            connection.stop(GOING_AWAY, "the service stops")
        end = asyncio.get_running_loop().time() + patience_s
        while self._open and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.02)
        for connection in list(self._open):
            connection.cut(GOING_AWAY, "the service stops")

    def _authorise(self, websocket: WebSocket) -> bool:
        """Whether the handshake carries a token. Raises `Problem` 401 for a wrong one, 503 while stopping."""
        if self.runtime.stopping.is_set():
            raise Problem(503, "stopping", "the service stops")
        given = websocket.headers.get("authorization")
        if given is not None and not self.runtime.tokens.allows(given):
            raise Problem(401, "bad_token", "the token is not known")
        return not self.runtime.tokens.required or given is not None

    async def _refuse(self, websocket: WebSocket, problem: Problem) -> None:
        self.runtime.metrics.refused_streams.labels(problem.code).inc()
        answer = Response(
            problem.body(), problem.status, {"Cache-Control": "no-store"}, media_type=PROBLEM_MEDIA_TYPE
        )
        await websocket.send_denial_response(answer)

    async def _serve(self, websocket: WebSocket, request: Request, authorised: bool) -> None:
        await websocket.accept()
        connection = Connection(self.runtime, websocket)
        self._open.add(connection)
        gauge = self.runtime.metrics.clients.labels(request.clock)
        gauge.inc()
        reader = asyncio.create_task(connection.read())
        try:
            if authorised or await self._has_ticket(connection):
                await self._session(connection, request)
        except (Gone, WebSocketDisconnect):
            pass
        except Exception as error:  # noqa: BLE001  # the client gets an id, the log the reason
            problem = self.runtime.internal(error, 500, "internal", "the stream failed")
            with suppress(Gone):
                await connection.fail(INTERNAL, "internal", problem.detail)
        finally:
            gauge.dec()
            await connection.close()
            reader.cancel()
            self._open.discard(connection)

    async def _session(self, connection: Connection, request: Request) -> None:
        if request.clock == "shared":
            await SharedSession(self.runtime, self.shared, connection, request).run()
        else:
            await PrivateSession(self.runtime, connection, request).run()

    async def _has_ticket(self, connection: Connection) -> bool:
        """Wait for the first message, which has to be a good ticket."""
        clock = self.runtime.clock
        until_ns = clock.now_ns() + int(TICKET_WAIT_S * 1e9)
        text = connection.next_text()
        while text is None and clock.now_ns() < until_ns:
            await clock.wait(connection.wake, until_ns)
            text = connection.next_text()
        if text is not None:
            with suppress(wire.CommandError):
                message = wire.parse_object(text)
                ticket = message.get("ticket")
                if (
                    set(message) == {"type", "ticket"}
                    and message["type"] == "ticket"
                    and isinstance(ticket, str)
                    and self.runtime.tokens.redeem(ticket, clock.now_ns() / 1e9)
                ):
                    return True
        await connection.fail(
            POLICY, "no_ticket", "the first message has to be a ticket from POST /v1/ticket"
        )
        return False


class _Session:
    """What private and shared sessions have in common."""

    def __init__(self, runtime: Runtime, connection: Connection, request: Request) -> None:
        self.runtime = runtime
        self.connection = connection
        self.request = request
        self.cache = request.cache
        self._beat_ns = int(runtime.settings.heartbeat_s * 1e9)
        self._next_beat_ns = runtime.clock.now_ns() + self._beat_ns

    async def hello(self, transport: Transport) -> None:
        """The first message."""
        cache = self.cache
        await self.connection.send_text(
            wire.control(
                "hello",
                protocol=wire.PROTOCOL,
                epoch=cache.epoch,
                origin=cache.origin,
                verified=cache.verified,
                lookahead=cache.lookahead,
                symbol=cache.symbol,
                dt=cache.dt,
                windows=cache.windows,
                first_window=wire.position(cache.first_ts_ns, 0),
                last_window=wire.position(cache.last_ts_ns, cache.windows - 1),
                tick_int=str(cache.tick_int),
                surfaces=list(self.request.surfaces),
                schema_hash={
                    name: cache.surfaces[name].surface.table.schema_hash for name in self.request.surfaces
                },
                calibration_id=cache.calibration_id,
                calibration_bounds={
                    metric: {"q05": bound.lo, "q95": bound.hi} for metric, bound in cache.bounds.items()
                },
                clock=self.request.clock,
                resumed=self.request.resumed,
                state=self.state(transport),
            )
        )

    def state(self, transport: Transport) -> dict[str, Any]:
        """playing, speed, position."""
        return wire.transport_state(transport, self.cache.first_ts_ns, WINDOW_NS)

    async def beat(self, transport: Transport) -> None:
        """A heartbeat, when it is time for one."""
        now = self.runtime.clock.now_ns()
        if now >= self._next_beat_ns:
            self._next_beat_ns = now + self._beat_ns
            at = transport.position
            await self.connection.send_text(
                wire.control(
                    "heartbeat",
                    server_time_ns=str(self.runtime.wall_ns()),
                    position=wire.position(self.cache.ts_ns(at), at),
                )
            )

    async def end(self) -> None:
        """The last window was sent."""
        last = self.cache.windows - 1
        await self.connection.send_text(
            wire.control("end", position=wire.position(self.cache.last_ts_ns, last))
        )

    async def idle(self, due_ns: int | None) -> None:
        """Wait for a command, the next window or the next heartbeat."""
        until_ns = self._next_beat_ns if due_ns is None else min(due_ns, self._next_beat_ns)
        await self.runtime.clock.wait(self.connection.wake, until_ns)


class PrivateSession(_Session):
    """A clock of the client's own. It waits for the client; nothing is dropped."""

    async def run(self) -> None:
        """Until the client goes. Raises `Gone`."""
        clock, request = self.runtime.clock, self.request
        transport = Transport(self.cache.windows, request.start, clock.now_ns(), speed=request.speed)
        sent = self.runtime.metrics.windows_sent.labels("private")
        lag = self.runtime.metrics.publish_lag_s.labels("private")
        await self.hello(transport)
        if transport.ended:
            await self.end()
        while True:
            while (text := self.connection.next_text()) is not None:
                await self._obey(text, transport)
            seq = transport.due(clock.now_ns())
            if seq is None:
                await self.beat(transport)
                await self.idle(transport.due_ns())
                continue
            due_ns = transport.due_ns()
            messages = await self.runtime.messages(self.cache, seq, request.surfaces)
            for message in messages:
                await self.connection.send_message(message)
            transport.sent()
            sent.inc()
            if due_ns is not None and transport.speed != float("inf"):
                lag.observe(max(clock.now_ns() - due_ns, 0) / 1e9)
            if transport.ended:
                await self.end()
            await self.beat(transport)
            await asyncio.sleep(0)

    async def _obey(self, text: str, transport: Transport) -> None:
        now = self.runtime.clock.now_ns()
        try:
            command = wire.parse_command(text)
            obey(command, transport, self.cache, now)
        except (wire.CommandError, TransportError) as error:
            await self.connection.send_text(wire.error(error.code, error.detail))
            return
        await self.connection.send_text(wire.control("state", cause=command.type, **self.state(transport)))


def obey(command: wire.Command, transport: Transport, cache: HudCache, now_ns: int) -> None:
    """Apply a command. Raises `TransportError` when it cannot be followed; nothing changed then."""
    if command.type == "play":
        transport.play(now_ns)
    elif command.type == "pause":
        transport.pause(now_ns)
    elif command.type == "speed":
        transport.set_speed(float(command.value or 0), now_ns)
    elif command.type == "step":
        transport.step(int(command.value or 0), now_ns)
    else:
        seq = cache.seq_at(int(command.value or 0))
        if seq >= cache.windows:
            raise TransportError(
                "out_of_range",
                f"no window ends at or after that time; the last one ends at {cache.last_ts_ns}",
            )
        transport.seek(seq, now_ns)


class SharedSession(_Session):
    """A seat at the one clock of the day. It never waits for this client."""

    def __init__(
        self, runtime: Runtime, clocks: SharedClocks, connection: Connection, request: Request
    ) -> None:
        super().__init__(runtime, connection, request)
        self._clocks = clocks
        self._is_ready = False
        self._subscriber = Subscriber(
            runtime, request.surfaces, connection.wake, self._write_now, self._too_slow
        )

    async def run(self) -> None:
        """Until the client goes. Raises `Gone`."""
        clock = self._clocks.join(self.cache, self._subscriber, self.request.start)
        try:
            await self.hello(clock.transport)
            self._is_ready = True
            await self._send_windows(clock)
        finally:
            self._clocks.leave(clock, self._subscriber)

    async def _send_windows(self, clock: SharedClock) -> None:
        subscriber, mailbox = self._subscriber, self._subscriber.mailbox
        sent = self.runtime.metrics.windows_sent.labels("shared")
        told_end = False
        while True:
            while (text := self.connection.next_text()) is not None:
                await self._answer(text)
            taken = mailbox.take()
            if taken is None:
                if subscriber.failure is not None:
                    await self.connection.fail(INTERNAL, "internal", subscriber.failure.detail)
                    continue
                if subscriber.ended and not told_end:
                    told_end = True
                    await self.end()
                await self.beat(clock.transport)
                await self.idle(None)
                continue
            gap, _, frames = taken
            self._is_ready = False  # what was taken goes first
            if gap is not None:
                await self.connection.send_text(wire.gap(gap.from_seq, gap.to_seq))
            await self.connection.send_frames(frames)
            self._is_ready = True
            sent.inc()
            await self.beat(clock.transport)

    def _write_now(self, frames: bytes) -> bool:
        """A window past the mailbox; False before hello, and while another message is on its way."""
        return self._is_ready and self.connection.write_now(frames)

    async def _answer(self, text: str) -> None:
        try:
            command = wire.parse_command(text)
        except wire.CommandError as error:
            await self.connection.send_text(wire.error(error.code, error.detail))
            return
        await self.connection.send_text(
            wire.error(
                "shared_clock", f"{command.type}: nobody steers the shared clock; connect with clock=private"
            )
        )

    def _too_slow(self) -> None:
        """Close the client, also while a send waits for it."""
        self.runtime.metrics.slow_clients_closed.inc()
        log.info("a client of the shared clock was too slow and is closed")
        self.connection.cut(TRY_AGAIN, "too slow for the shared clock")
