"""Many WebSocket clients in one thread: sockets and epoll, as little Python per message as there can be.

A client of a library would cost more than the server it measures. These check what they get instead of
decoding it: every healthy client has to receive the same bytes, and one copy of each is decoded at the end.
"""

from __future__ import annotations

import base64
import os
import selectors
import socket
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

HANDSHAKE_S: Final = 30.0
STALLED_RECEIVE_BYTES: Final = 4096
"""of a client that never reads: what its own kernel takes for it"""
_CHUNK: Final = 1 << 18
_HEAD_END: Final = b"\r\n\r\n"
TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9


@dataclass
class Received:
    """What one client got: (index of the message in `Crowd.messages`, monotonic ns) and its texts.

    close_code: of a closing message. is_cut: the connection ended.
    """

    windows: list[tuple[int, int]] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)
    close_code: int | None = None
    is_cut: bool = False


class Client:
    """One connection after its handshake."""

    def __init__(self, url: str, path: str, *, stalled: bool) -> None:
        parts = urlsplit(url)
        self.stalled = stalled
        self.got = Received()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if stalled:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, STALLED_RECEIVE_BYTES)
        self.socket.settimeout(HANDSHAKE_S)
        self.socket.connect((parts.hostname or "", parts.port or 0))
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def finish_handshake(self) -> None:
        """Read the answer and no byte more than a stalled client has to. Raises `ConnectionError`."""
        head = b""
        while _HEAD_END not in head:
            piece = self.socket.recv(1 if self.stalled else _CHUNK)
            if not piece:
                raise ConnectionError(f"the handshake was refused: {head[:200]!r}")
            head += piece
        if not head.startswith(b"HTTP/1.1 101 "):
            raise ConnectionError(f"the handshake was refused: {head[:200]!r}")
        self.buffer = bytearray(head.split(_HEAD_END, 1)[1])
        self.socket.setblocking(False)


class Crowd:
    """All clients. `messages`: every distinct binary message, in the order in which it first came."""

    def __init__(self) -> None:
        self.clients: list[Client] = []
        self.messages: list[bytes] = []
        self._selector = selectors.DefaultSelector()

    def connect(self, url: str, path: str, healthy: int, stalled: int, *, at_a_time: int = 50) -> None:
        """Open all connections; the stalled ones are spread evenly. Raises `OSError`."""
        total = healthy + stalled
        kinds = [(n * stalled) // total != ((n + 1) * stalled) // total for n in range(total)]
        for begin in range(0, total, at_a_time):
            fresh = [Client(url, path, stalled=kind) for kind in kinds[begin : begin + at_a_time]]
            for client in fresh:
                client.finish_handshake()
                if not client.stalled:
                    self._selector.register(client.socket, selectors.EVENT_READ, client)
                    self._parse(client, time.monotonic_ns())
            self.clients += fresh
            self.run(0.0)

    def run(self, seconds: float) -> None:
        """Take what comes for that long."""
        end = time.monotonic() + seconds
        while True:
            left = end - time.monotonic()
            for key, _ in self._selector.select(max(left, 0.0)):
                self._read(key.data)
            if left <= 0:
                return

    def drain_stalled(self, seconds: float) -> None:
        """Let the stalled clients read at last, to see what they were told."""
        for client in self.stalled:
            self._selector.register(client.socket, selectors.EVENT_READ, client)
        self.run(seconds)

    @property
    def healthy(self) -> list[Client]:
        """Clients that read."""
        return [client for client in self.clients if not client.stalled]

    @property
    def stalled(self) -> list[Client]:
        """Clients that do not."""
        return [client for client in self.clients if client.stalled]

    def close(self) -> None:
        """Hang up."""
        for client in self.clients:
            client.socket.close()
        self._selector.close()

    def _read(self, client: Client) -> None:
        try:
            piece = client.socket.recv(_CHUNK)
        except BlockingIOError:
            return
        except ConnectionError:
            piece = b""
        if not piece:
            client.got.is_cut = True
            self._selector.unregister(client.socket)
            return
        client.buffer += piece
        self._parse(client, time.monotonic_ns())

    def _parse(self, client: Client, now_ns: int) -> None:
        buffer, at = client.buffer, 0
        while len(buffer) - at >= 2:
            size, head = buffer[at + 1] & 127, 2
            if size == 126:
                size, head = int.from_bytes(buffer[at + 2 : at + 4], "big"), 4
            elif size == 127:
                size, head = int.from_bytes(buffer[at + 2 : at + 10], "big"), 10
            if len(buffer) - at < head + size:
                break
            kind = buffer[at] & 15
            body = bytes(buffer[at + head : at + head + size])
            at += head + size
            if kind == BINARY:
                client.got.windows.append((self._index(body), now_ns))
            elif kind == TEXT:
                client.got.texts.append(body)
            elif kind == CLOSE:
                client.got.close_code = int.from_bytes(body[:2], "big")
            elif kind == PING:
                self._pong(client, body)
        del buffer[:at]

    def _index(self, body: bytes) -> int:
        for index in range(len(self.messages) - 1, -1, -1):
            if self.messages[index] == body:
                return index
        self.messages.append(body)
        return len(self.messages) - 1

    @staticmethod
    def _pong(client: Client, body: bytes) -> None:
        mask = b"\0\0\0\0"
        try:
            client.socket.send(struct.pack("!BB", 0x8A, 0x80 | len(body)) + mask + body)
        except OSError:
            return  # it is gone; the missing windows will say so


def quantile(values: Iterable[int], share: float) -> float:
    """The value that `share` of all do not exceed, nearest rank. Raises `ValueError` without values."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no value was measured")
    return float(ordered[min(int(share * len(ordered)), len(ordered) - 1)])
