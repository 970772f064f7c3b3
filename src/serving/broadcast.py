"""The shared clock of a day: each window is encoded once, and the same bytes go to every client (spec 9.4).

One client never waits for another. A window goes straight to the socket of every client that has room for it:
one loop and no switch of tasks, which is what a thousand clients cost most. For the others it goes into a
mailbox, and their own task waits for room. The mailbox and the transport are pure; this file gives them a
task and the time.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Sequence
from typing import Final

from serving.hud_streaming import HudCache
from serving.mailbox import Mailbox
from serving.ring_buffer import RingBuffer
from serving.runtime import Runtime, log
from serving.transport import Transport

BINARY_FRAME: Final = 0x82
BREATH: Final = 64
"""clients that are written to before the event loop may look at others: about 2 ms"""


class Subscriber:
    """One client of a shared clock.

    write_now: sends frames and returns True, or False when the client has no room or is not ready for them.
    too_slow: is called once when the client is not borne any longer.
    """

    def __init__(
        self,
        runtime: Runtime,
        surfaces: Sequence[str],
        wake: asyncio.Event,
        write_now: Callable[[bytes], bool],
        too_slow: Callable[[], None],
    ) -> None:
        settings = runtime.settings
        self.surfaces = tuple(surfaces)
        self.mailbox: Mailbox[bytes] = Mailbox(settings.mailbox_windows, int(settings.slow_client_s * 1e9))
        self.wake = wake
        self.write_now = write_now
        self.too_slow = too_slow


class SharedClock:
    """One transport, one ring and any number of subscribers. Nobody steers it."""

    def __init__(self, runtime: Runtime, cache: HudCache, start: int) -> None:
        self.cache = cache
        self._runtime = runtime
        self.transport = Transport(
            cache.windows, start, runtime.clock.now_ns(), speed=runtime.settings.shared_speed
        )
        self.ring: RingBuffer[int] = RingBuffer(runtime.settings.ring_windows)
        self.subscribers: set[Subscriber] = set()
        self._changed = asyncio.Event()
        self._framed: dict[tuple[int, tuple[str, ...]], bytes] = {}

    def add(self, subscriber: Subscriber) -> None:
        """Begin to give windows to a client."""
        self.subscribers.add(subscriber)

    async def run(self) -> None:
        """Play until the last window, or until nobody listens any more."""
        clock, transport = self._runtime.clock, self.transport
        while self.subscribers and not self._runtime.stopping.is_set():
            due_ns = transport.due_ns()
            if due_ns is None:
                return
            now = clock.now_ns()
            seq = transport.due(now)
            if seq is None:
                self._changed.clear()
                await clock.wait(self._changed, due_ns)
                continue
            wanted = {s.surfaces for s in self.subscribers}
            for surfaces in sorted(wanted):
                await self._encode(seq, surfaces)
            transport.sent()
            await self._publish(seq, due_ns)
            await asyncio.sleep(0)

    async def _encode(self, seq: int, surfaces: tuple[str, ...]) -> None:
        messages = await self._runtime.messages(self.cache, seq, surfaces)
        self._framed[seq, surfaces] = b"".join(frame_header(len(m)) + m for m in messages)

    async def _publish(self, seq: int, due_ns: int) -> None:
        now = self._runtime.clock.now_ns()
        self.ring.append(self.cache.ts_ns(seq), seq)
        metrics = self._runtime.metrics
        metrics.ring_windows.labels(self.cache.symbol, self.cache.dt).set(len(self.ring))
        metrics.publish_lag_s.labels("shared").observe(max(now - due_ns, 0) / 1e9)
        written = 0
        for turn, subscriber in enumerate(list(self.subscribers), 1):
            frames = self._framed.get((seq, subscriber.surfaces))
            if subscriber not in self.subscribers:
                continue  # it left while others were written to
            if frames is not None:  # else it joined while the window was encoded, and begins with the next
                if not len(subscriber.mailbox) and subscriber.write_now(frames):
                    written += 1
                else:
                    self._post(subscriber, seq, frames, now)
            if self.transport.ended:
                subscriber.wake.set()
            if turn % BREATH == 0:
                await asyncio.sleep(0)
        metrics.windows_sent.labels("shared").inc(written)
        self._framed.clear()

    def _post(self, subscriber: Subscriber, seq: int, frames: bytes, now_ns: int) -> None:
        """Leave a window to the client's own task."""
        before = subscriber.mailbox.dropped
        subscriber.mailbox.put(seq, frames, now_ns)
        self._runtime.metrics.windows_dropped.inc(subscriber.mailbox.dropped - before)
        if subscriber.mailbox.is_over(now_ns):
            self.subscribers.discard(subscriber)
            subscriber.too_slow()
        subscriber.wake.set()


class SharedClocks:
    """The shared clocks that run now, by (symbol, dt, epoch). A clock lives as long as it has clients."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._clocks: dict[tuple[str, str, str], tuple[SharedClock, asyncio.Task[None]]] = {}

    def join(self, cache: HudCache, subscriber: Subscriber, start: int) -> SharedClock:
        """The clock of the day, started when nobody listens to it yet."""
        key = (cache.symbol, cache.dt, cache.epoch)
        held = self._clocks.get(key)
        if held is None:
            clock = SharedClock(self._runtime, cache, start)
            clock.add(subscriber)
            self._clocks[key] = (clock, asyncio.create_task(self._run(clock)))
            return clock
        held[0].add(subscriber)
        return held[0]

    async def leave(self, clock: SharedClock, subscriber: Subscriber) -> None:
        """The client went away; the last one takes the clock with it."""
        clock.subscribers.discard(subscriber)
        key = (clock.cache.symbol, clock.cache.dt, clock.cache.epoch)
        held = self._clocks.get(key)
        if not clock.subscribers and held is not None and held[0] is clock:
            del self._clocks[key]
            held[1].cancel()
            self._runtime.metrics.ring_windows.labels(clock.cache.symbol, clock.cache.dt).set(0)

    async def _run(self, clock: SharedClock) -> None:
        try:
            await clock.run()
        except Exception:
            log.exception("the shared clock of %s %s stopped", clock.cache.symbol, clock.cache.dt)
            raise


def frame_header(size: int) -> bytes:
    """Head of an unmasked, unfragmented binary WebSocket frame of `size` bytes (RFC 6455, 5.2)."""
    if size < 126:
        return struct.pack("!BB", BINARY_FRAME, size)
    if size < 1 << 16:
        return struct.pack("!BBH", BINARY_FRAME, 126, size)
    return struct.pack("!BBQ", BINARY_FRAME, 127, size)
