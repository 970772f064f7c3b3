"""Compile the kernels once per machine, in processes of their own.

A machine that has never run Spymaster compiles for about a minute of one core. numba cannot compile in two
threads of a process, and an interrupt inside LLVM ends the process with a segmentation fault instead of a
KeyboardInterrupt. So children compile, one kernel file each, as many at a time as there are cores; the parent
only waits, and Ctrl-C ends them all at once. What a child could not do is done, and complained about, where
the kernel is used.
"""

from __future__ import annotations

import importlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from spymaster.edge import complain

SIMULATOR: Final = "simex.day"
NOTE: Final = "kernels are compiled once on a machine; that takes about a minute"
_MARK: Final = ".compiled"


def kernel_modules() -> tuple[str, ...]:
    """Modules of `data_eng.kernels` that have something to compile, the largest first: it takes longest.

    A kernel file that another one imports is compiled with that one, and not named.
    """
    import data_eng.kernels as package

    texts = {path.stem: path.read_text("utf-8") for path in Path(package.__path__[0]).glob("*.py")}
    imported = {name for text in texts.values() for name in re.findall(r"kernels\.(\w+) import", text)}
    compiled = [name for name, text in texts.items() if "@njit" in text and name not in imported]
    by_size = sorted(compiled, key=lambda name: (-len(texts[name]), name))
    return tuple(f"{package.__name__}.{name}" for name in by_size)


def cold_kernels() -> tuple[str, ...]:
    """Kernel modules that no earlier process has finished compiling, from the marks in the cache folder."""
    from data_eng.kernels.jit import cache_folder

    folder = cache_folder()
    return tuple(name for name in kernel_modules() if not (folder / f"{name}{_MARK}").exists())


class Compilation:
    """Children that import `modules`, in this order, each compiling what the cache lacks.

    A context manager: leaving it ends what still runs. `wait` returns when the named modules (default: all)
    have been compiled or have failed.
    """

    def __init__(self, modules: Sequence[str]) -> None:
        self._modules = tuple(modules)
        self._pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="compile")
        self._lock = threading.Lock()
        self._children: list[subprocess.Popen[bytes]] = []
        self._closed = False
        self._done: dict[str, Future[None]] = {}

    def __enter__(self) -> Self:
        self._done = {name: self._pool.submit(self._compile, name) for name in self._modules}
        return self

    def wait(self, *modules: str) -> None:
        """Wait for these modules, or for all."""
        for name in modules or self._modules:
            self._done[name].result()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._closed = True
            for child in self._children:
                child.kill()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _compile(self, name: str) -> None:
        with self._lock:
            if self._closed:
                return
            child = subprocess.Popen(
                [sys.executable, "-c", f"import {name}"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C of the terminal reaches the parent alone, which ends them
            )
            self._children.append(child)
        if child.wait() == 0 and name != SIMULATOR:
            from data_eng.kernels.jit import cache_folder

            (cache_folder() / f"{name}{_MARK}").touch()


def kernels_ready() -> None:
    """Compile what this machine has not compiled yet, and load it; called before the pipeline is imported."""
    cold = cold_kernels()
    if cold:
        complain(f"note {NOTE}")
        with Compilation(cold) as compilation:
            compilation.wait()
    for name in kernel_modules():
        load(name)


def load(module: str) -> Any:
    """Import a module with compiled code; a Ctrl-C meanwhile (a second at most) counts afterwards."""
    with _interrupts_deferred():
        return importlib.import_module(module)


@contextmanager
def _interrupts_deferred() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # interrupts reach the main thread only
        return
    seen: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: seen.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if seen:
        raise KeyboardInterrupt
