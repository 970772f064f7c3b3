"""The shared clock of a day: each window is encoded once, and the same bytes go to every client (spec 9.4).

One client never waits for another. Those who asked for the same surfaces share a `Lane`: it encodes a little
ahead, sends each window when the clock says, and what goes wrong in it ends it alone. A window goes straight
to the socket of every client that has room for it: one loop and no switch of tasks, which is what a thousand
clients cost most. For the others it goes into a mailbox, and their own task waits for room. The mailbox and
the transport are pure; this file gives them tasks and the time.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Sequence
from typing import Final

import pyarrow as pa

from serving.hud_streaming import HudCache
from serving.mailbox import Mailbox
from serving.problems import Problem
from serving.ring_buffer import RingBuffer
from serving.runtime import Runtime
from serving.surfaces import DEFAULT
from serving.transport import Transport

BINARY_FRAME: Final = 0x82
BREATH: Final = 64
"""clients that are written to before the event loop may look at others: about 2 ms"""
READ_AHEAD: Final = 2
"""encoded windows that a lane keeps waiting for their time"""


class Subscriber:
    """One client of a shared clock.

    write_now: sends frames and returns True, or False when the client has no room or is not ready for them.
    too_slow: is called once when the client is not borne any longer. ended: the last window was given.
    failure: why no further window will come.
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
        self.ended = False
        self.failure: Problem | None = None


class Lane:
    """The clients of one clock that asked for the same surfaces in the same order.

    Windows come in order from `first` on, none before it is due. A lane whose surfaces are slow to read is
    late, catches up as soon as it can, and leaves nothing out.
    """

    def __init__(self, clock: SharedClock, surfaces: tuple[str, ...], first: int) -> None:
        self.subscribers: set[Subscriber] = set()
        self._clock = clock
        self._runtime = clock.runtime
        self._surfaces = surfaces
        self._first = first
        self._ahead: asyncio.Queue[bytes | Exception] = asyncio.Queue(READ_AHEAD)
        self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        """Nobody listens any more."""
        self._task.cancel()

    async def _run(self) -> None:
        reader = asyncio.create_task(self._read())
        try:
            for seq in range(self._first, self._clock.cache.windows):
                await self._play(seq)
            self._end(None)
        except Exception as error:  # noqa: BLE001  # the clients get an id, the log the reason
            self._end(
                self._runtime.internal(error, 500, "internal", "these surfaces cannot be sent any further")
            )
        finally:
            reader.cancel()

    async def _read(self) -> None:
        """Encode window after window; what goes wrong is handed on in its turn."""
        try:
            for seq in range(self._first, self._clock.cache.windows):
                messages = [await self._clock.message(seq, name) for name in self._surfaces]
                await self._ahead.put(b"".join(frame_header(len(m)) + m for m in messages))
        except Exception as error:  # noqa: BLE001  # raised again by the task that sends
            await self._ahead.put(error)

    async def _play(self, seq: int) -> None:
        frames = await self._ahead.get()
        if isinstance(frames, Exception):
            raise frames
        due_ns, clock = self._clock.transport.window_due_ns(seq), self._runtime.clock
        while clock.now_ns() < due_ns:
            await clock.wait(asyncio.Event(), due_ns)
        await self._publish(seq, due_ns, frames)
        await asyncio.sleep(0)

    async def _publish(self, seq: int, due_ns: int, frames: bytes) -> None:
        now = self._runtime.clock.now_ns()
        cache, metrics = self._clock.cache, self._runtime.metrics
        metrics.shared_clock_seq.labels(cache.symbol, cache.dt).set(seq)
        self._clock.pass_windows()
        metrics.ring_windows.labels(cache.symbol, cache.dt).set(len(self._clock.ring))
        metrics.publish_lag_s.labels("shared").observe(max(now - due_ns, 0) / 1e9)
        written = 0
        for turn, subscriber in enumerate(list(self.subscribers), 1):
            if subscriber not in self.subscribers:
                continue  # it left while others were written to
            if not len(subscriber.mailbox) and subscriber.write_now(frames):
                written += 1
            else:
                self._post(subscriber, seq, frames, now)
            if turn % BREATH == 0:
                await asyncio.sleep(0)
        metrics.windows_sent.labels("shared").inc(written)

    def _post(self, subscriber: Subscriber, seq: int, frames: bytes, now_ns: int) -> None:
        """Leave a window to the client's own task."""
        before = subscriber.mailbox.dropped
        subscriber.mailbox.put(seq, frames, now_ns)
        self._runtime.metrics.windows_dropped.inc(subscriber.mailbox.dropped - before)
        if subscriber.mailbox.is_over(now_ns):
            self.subscribers.discard(subscriber)
            subscriber.too_slow()
        subscriber.wake.set()

    def _end(self, failure: Problem | None) -> None:
        self._clock.forget(self)
        for subscriber in self.subscribers:
            subscriber.ended, subscriber.failure = failure is None, failure
            subscriber.wake.set()


class SharedClock:
    """One transport and its subscribers, in lanes by the surfaces they asked for. Nobody steers it.

    ring: the picture's rows of the last windows that the clock passed, slices of the loaded day (9.1).
    """

    def __init__(self, runtime: Runtime, cache: HudCache, start: int) -> None:
        self.cache = cache
        self.runtime = runtime
        self.subscribers: set[Subscriber] = set()
        self._transport = Transport(
            cache.windows, start, runtime.clock.now_ns(), speed=runtime.settings.shared_speed
        )
        self.ring: RingBuffer[pa.RecordBatch] = RingBuffer(runtime.settings.ring_windows)
        self._lanes: dict[tuple[str, ...], Lane] = {}
        self._encoding: dict[tuple[int, str], asyncio.Task[list[bytes]]] = {}

    @property
    def transport(self) -> Transport:
        """The transport as it stands now; no lane that is late holds it up."""
        self.pass_windows()
        return self._transport

    def pass_windows(self) -> None:
        """Move to the present, and take every window on the way into the ring."""
        now = self.runtime.clock.now_ns()
        while (seq := self._transport.due(now)) is not None:
            window_end = self.cache.ts_ns(seq)
            self.ring.append(window_end, self.cache.surfaces[DEFAULT].window(window_end))
            self._transport.sent()

    def join(self, subscriber: Subscriber) -> None:
        """Begin to give windows to a client: the next that its lane sends. Not after the end."""
        lane = self._lanes.get(subscriber.surfaces)
        if lane is None:
            # the window of this moment was sent to those who were here; the first client is the exception
            first = self._transport.next_window if not self.subscribers else self.transport.next_window
            if first is None:
                raise ValueError("the clock has ended; a client that comes now needs another one")
            lane = self._lanes[subscriber.surfaces] = Lane(self, subscriber.surfaces, first)
        lane.subscribers.add(subscriber)
        self.subscribers.add(subscriber)

    def leave(self, subscriber: Subscriber) -> None:
        """The client went away; the last one of a lane takes it with it."""
        self.subscribers.discard(subscriber)
        lane = self._lanes.get(subscriber.surfaces)
        if lane is not None:
            lane.subscribers.discard(subscriber)
            if not lane.subscribers:
                lane.stop()
                self.forget(lane)

    def forget(self, lane: Lane) -> None:
        """The lane gives no window any more; whoever asks for its surfaces gets a new one."""
        self._lanes = {names: held for names, held in self._lanes.items() if held is not lane}

    async def message(self, seq: int, surface: str) -> bytes:
        """The binary message of a window. Lanes that want it at the same time share one encoding."""
        key = (seq, surface)
        task = self._encoding.get(key)
        if task is None:
            task = asyncio.create_task(self.runtime.messages(self.cache, seq, (surface,)))
            self._encoding[key] = task
            task.add_done_callback(lambda done: self._encoded(key, done))
        return (await asyncio.shield(task))[0]  # the lane that leaves does not take it from the others

    def _encoded(self, key: tuple[int, str], done: asyncio.Task[list[bytes]]) -> None:
        del self._encoding[key]
        if not done.cancelled():
            done.exception()  # looked at, also when every lane that wanted it is gone


class SharedClocks:
    """The shared clocks that run now, by (symbol, dt, epoch). A clock lives as long as it has clients.

    A clock that has ended stays with those who listened to it; the next client begins another one.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._clocks: dict[tuple[str, str, str], SharedClock] = {}

    def join(self, cache: HudCache, subscriber: Subscriber, start: int) -> SharedClock:
        """The clock of the day, started at window `start` when none runs."""
        key = (cache.symbol, cache.dt, cache.epoch)
        clock = self._clocks.get(key)
        if clock is None or clock.transport.ended:
            clock = self._clocks[key] = SharedClock(self._runtime, cache, start)
        clock.join(subscriber)
        return clock

    def leave(self, clock: SharedClock, subscriber: Subscriber) -> None:
        """The client went away; the last one takes the clock with it."""
        clock.leave(subscriber)
        key = (clock.cache.symbol, clock.cache.dt, clock.cache.epoch)
        if not clock.subscribers and self._clocks.get(key) is clock:
            del self._clocks[key]
            self._runtime.metrics.shared_clock_seq.labels(clock.cache.symbol, clock.cache.dt).set(0)
            self._runtime.metrics.ring_windows.labels(clock.cache.symbol, clock.cache.dt).set(0)


def frame_header(size: int) -> bytes:
    """Head of an unmasked, unfragmented binary WebSocket frame of `size` bytes (RFC 6455, 5.2)."""
    if size < 126:
        return struct.pack("!BB", BINARY_FRAME, size)
    if size < 1 << 16:
        return struct.pack("!BBH", BINARY_FRAME, 126, size)
    return struct.pack("!BBQ", BINARY_FRAME, 127, size)
