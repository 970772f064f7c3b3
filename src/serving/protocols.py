"""Connections as the server speaks on them: HTTP within a time, and WebSockets that take whole frames.

Both are uvicorn's protocols with limits of ours; `runtime` is bound to them when the server is made.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from serving.connection import CUT_EXTENSION, POLICY, WRITE_EXTENSION
from serving.runtime import Runtime
from serving.security import RateLimit


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

    def shutdown(self) -> None:
        """The service ends. uvicorn fails on a connection that was closed and is not read empty yet."""
        if self.transport.is_closing():
            self.stop_keepalive()
        else:
            super().shutdown()

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
