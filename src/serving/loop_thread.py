"""An event loop in a thread of its own, for callers that block.

That one thread touches every socket. A reader and a writer in two threads would enter one TLS session at the
same time, which Python does not lock before 3.13: now and then a message is lost, and its sender waits.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from serving.client_core import ClientError

Result = TypeVar("Result")


class LoopThread:
    """Runs coroutines while their callers wait. The thread starts with the first one and ends with `close`.

    It is a daemon, so that a forgotten `close` keeps no interpreter alive, and it ends as well when nobody
    refers to this object any more. Any number of threads may call.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._waited_for: set[Future[Any]] = set()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether it runs nothing any more. A thread does not survive a fork."""
        return self._closed or (self._thread is not None and not self._thread.is_alive())

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """The result of `work`. Raises what it raises, and `ClientError` when this is closed, or meanwhile.

        Ctrl-C ends the waiting at once and cancels `work`.
        """
        future = self._begin(work)
        try:
            return future.result()
        except CancelledError as error:
            raise _closed() from error
        finally:
            future.cancel()  # only what an interruption left behind; nothing happens to finished work

    def close(self, farewell: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """End the thread. What is waited for is cancelled, then `farewell` runs, if anything ever ran."""
        with self._lock:
            was_closed, self._closed = self.closed, True
        if was_closed or self._thread is None or self._loop is None:
            return
        for future in self._waited_for.copy():
            future.cancel()
        try:
            if farewell is not None:
                asyncio.run_coroutine_threadsafe(farewell(), self._loop).result()
        finally:
            self._end()
            self._thread.join()

    def _begin(self, work: Coroutine[Any, Any, Result]) -> Future[Result]:
        with self._lock:
            if self.closed:
                work.close()
                raise _closed()
            if self._loop is None:
                self._loop = self._start()
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
            self._waited_for.add(future)
        future.add_done_callback(self._waited_for.discard)
        return future

    def _start(self) -> asyncio.AbstractEventLoop:
        loop, ended = asyncio.new_event_loop(), asyncio.Event()
        self._thread = threading.Thread(target=_serve, args=(loop, ended), name="client-loop", daemon=True)
        self._thread.start()
        self._end = weakref.finalize(self, loop.call_soon_threadsafe, ended.set)
        self._end.atexit = False
        return loop


def _serve(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(ended.wait())


def _closed() -> ClientError:
    return ClientError(0, "closed", "the client is closed, or was made by another process; make a new one")
