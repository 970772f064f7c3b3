"""Work beside the main thread: items read ahead, and items written behind.

zstd, Parquet and the compiled kernels all release the interpreter, so reader, kernel and writer overlap on
two cores (design 9). Both ends are bounded: nobody runs away with the memory.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from types import TracebackType
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")


def prefetch(blocks: Iterator[Any], depth: int = 2) -> Generator[Any, None, None]:
    """The same items, produced by a thread that runs up to `depth` items ahead.

    zstd releases the interpreter while it decompresses, so reader and engine overlap. Blocks in reused
    buffers need ``buffers=depth + 2`` (queued, being filled, in the consumer's hands); `read_ahead` sets
    that. An exception of the producer is raised here, after the items before it; closing this iterator
    stops the thread and closes `blocks`.
    """
    ready: queue.Queue[tuple[str, Any]] = queue.Queue(maxsize=max(1, depth))
    stop = threading.Event()

    def hand_over(kind: str, value: Any) -> bool:
        while not stop.is_set():
            try:
                ready.put((kind, value), timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def produce() -> None:
        try:
            for block in blocks:
                if not hand_over("block", block):
                    return
            hand_over("end", None)
        except BaseException as fault:  # noqa: BLE001 - carried over and raised in the consumer's thread
            hand_over("fault", fault)
        finally:
            close: Callable[[], None] | None = getattr(blocks, "close", None)
            if close is not None:
                close()

    thread = threading.Thread(target=produce, name="dbn-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = ready.get()
            if kind == "end":
                return
            if kind == "fault":
                raise value
            yield value
    finally:
        stop.set()
        thread.join()


class WriteBehind(Generic[Item]):
    """Hands items to `write` in a thread of its own, in order, at most `depth` of them waiting.

    A context manager: leaving it waits for the last item. An exception of `write` is raised at the next
    `put`, or on leaving, and later items are dropped.
    """

    def __init__(self, write: Callable[[Item], None], depth: int = 2) -> None:
        self._write = write
        self._waiting: queue.Queue[Item | None] = queue.Queue(maxsize=max(1, depth))
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="write-behind", daemon=True)

    def put(self, item: Item) -> None:
        """Queue one item; waits while the queue is full."""
        if self._fault is not None:
            raise self._fault
        self._waiting.put(item)

    def _run(self) -> None:
        while (item := self._waiting.get()) is not None:
            if self._fault is None:
                try:
                    self._write(item)
                except BaseException as fault:  # noqa: BLE001 - carried over to the thread that puts
                    self._fault = fault

    def __enter__(self) -> WriteBehind[Item]:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting.put(None)
        self._thread.join()
        if self._fault is not None and value is None:
            raise self._fault
