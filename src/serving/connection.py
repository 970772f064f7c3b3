"""One WebSocket client: what it sent, and what can be sent to it. The socket itself stays in `app`."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from serving import wire
from serving.runtime import Runtime
from serving.security import RateLimit

GOING_AWAY: Final = 1001
UNSUPPORTED: Final = 1003
POLICY: Final = 1008
INTERNAL: Final = 1011
TRY_AGAIN: Final = 1013
CUT_EXTENSION: Final = "spymaster.cut"
"""extension of the server: close with a code without waiting for room, and abort the socket later"""
WRITE_EXTENSION: Final = "spymaster.write"
"""extension of the server: hand frames to the socket now, False when it has no room"""
MAX_WAITING: Final = 64
"""commands that wait while a client reads nothing"""


class Gone(Exception):
    """The client is not there any more, or was closed."""


class Connection:
    """A client that was accepted. `wake` is set when there is something new to look at."""

    def __init__(self, runtime: Runtime, websocket: WebSocket) -> None:
        self.wake = asyncio.Event()
        self.closing: tuple[int, str] | None = None
        """code and reason to close with, found by the reader or by the service that stops"""
        self.gone = False
        self._runtime = runtime
        self._ws = websocket
        self._is_sending = False
        self._waiting: deque[str] = deque()
        self._rate = RateLimit(runtime.settings.commands_per_s)

    async def read(self) -> None:
        """Take messages until the client goes. Runs beside whoever sends."""
        try:
            while self.closing is None:
                self._take(await self._ws.receive())
        except (WebSocketDisconnect, RuntimeError):
            self.gone = True
        finally:
            self.wake.set()

    def _take(self, message: Any) -> None:
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        now_s = self._runtime.clock.now_ns() / 1e9
        text = message.get("text")
        if text is None:
            self.closing = (UNSUPPORTED, "binary messages are not understood")
        elif len(text.encode()) > self._runtime.settings.command_bytes:
            self.closing = (1009, "a message is too large")
        elif not self._rate.allows(now_s) or len(self._waiting) >= MAX_WAITING:
            limit = self._runtime.settings.commands_per_s
            self.closing = (POLICY, f"more than {limit} commands a second")
        else:
            self._waiting.append(text)
        self.wake.set()

    def next_text(self) -> str | None:
        """The oldest message not looked at yet; None when there is none.

        Raises `Gone` when the client left, was refused, or the service stops.
        """
        if self.gone or self.closing is not None:
            raise Gone
        self.wake.clear()
        return self._waiting.popleft() if self._waiting else None

    def stop(self, code: int, reason: str) -> None:
        """Have the connection closed by whoever sends on it."""
        if self.closing is None:
            self.closing = (code, reason)
        self.wake.set()

    async def send_text(self, text: str) -> None:
        """Send a control message, waiting for room. Raises `Gone`."""
        await self._send({"type": "websocket.send", "text": text})

    async def send_message(self, data: bytes) -> None:
        """Send a binary message, waiting for room. Raises `Gone`."""
        await self._send({"type": "websocket.send", "bytes": data})

    async def send_frames(self, frames: bytes) -> None:
        """Send bytes that are whole WebSocket frames already, waiting for room. Raises `Gone`."""
        await self._send({"type": "websocket.send", "frames": frames})

    async def _send(self, message: Any) -> None:
        if self.gone:
            raise Gone
        self._is_sending = True
        try:
            # past starlette, which checks every message again
            await self._ws._send(message)
        except (WebSocketDisconnect, OSError, RuntimeError) as error:
            self.gone = True
            raise Gone from error
        finally:
            self._is_sending = False

    def write_now(self, frames: bytes) -> bool:
        """Send frames without waiting; False, and nothing sent, when another message waits for room."""
        if self._is_sending or self.gone or self.closing is not None:
            return False
        write = self._ws.scope.get("extensions", {}).get(WRITE_EXTENSION)
        return write is not None and bool(write(frames))

    def cut(self, code: int, reason: str) -> None:
        """Close without waiting for room; the socket is aborted when it is not taken in time."""
        self.closing = self.closing or (code, reason)
        cut = self._ws.scope.get("extensions", {}).get(CUT_EXTENSION)
        if cut is not None:
            cut(code, reason)
        self.wake.set()

    async def close(self) -> None:
        """Close with the code that was found, unless the client is gone already."""
        if self.gone or self.closing is None:
            return
        self.gone = True
        code, reason = self.closing
        if code in (UNSUPPORTED, POLICY, 1009):
            self.cut(code, reason)
            return
        try:
            async with asyncio.timeout(1.0):
                await self._ws.close(code, reason)
        except (TimeoutError, RuntimeError, WebSocketDisconnect, OSError):
            self.cut(code, reason)

    async def fail(self, code: int, word: str, detail: str) -> None:
        """Send a fatal error and have the connection closed."""
        await self.send_text(wire.error(word, detail, fatal=True))
        self.stop(code, detail[:100])
