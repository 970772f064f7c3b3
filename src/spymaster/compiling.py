"""Compile the kernels once per machine, in processes of their own.

A machine that has never run Spymaster compiles for three quarters of a minute of one core. numba cannot
compile in two threads of a process, and an interrupt inside LLVM ends the process with a segmentation fault
instead of a KeyboardInterrupt. So children compile (`kernel_compiler.worker`), as many as there are cores,
and Ctrl-C ends them all at once. The parent goes on with what needs no kernel; where it calls one that a
child still compiles, it waits for that module alone. What a child could not do is done, and complained
about, where the kernel is used.
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
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from spymaster.edge import complain

SIMULATOR: Final = ("simex.futures_kernel", "simex.options_kernel")
NOTE: Final = "kernels are compiled once on a machine; that takes half a minute"
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


def cold_kernels(modules: Sequence[str] | None = None) -> tuple[str, ...]:
    """Those of `modules` (default: the pipeline's) that no earlier process has finished compiling.

    From the marks in the cache folder. That of the simulator does not know its source: it serves notes alone.
    """
    from data_eng.kernels.jit import cache_folder

    folder = cache_folder()
    names = kernel_modules() if modules is None else modules
    return tuple(name for name in names if not (folder / f"{name}{_MARK}").exists())


class Compilation:
    """Children that compile the kernels of `modules`, begun in this order, where the cache lacks them.

    A context manager: leaving it ends what still runs. `wait` returns when the named modules (default: all)
    have been compiled or have failed.
    """

    def __init__(self, modules: Sequence[str]) -> None:
        self._modules = tuple(modules)
        self._done: dict[str, Future[None]] = {name: Future() for name in self._modules}
        self._left = list(self._modules)
        self._lock = threading.Lock()
        self._children: list[subprocess.Popen[str]] = []
        self._feeders: list[threading.Thread] = []
        self._closed = False

    def __enter__(self) -> Self:
        for k in range(min(os.cpu_count() or 1, len(self._modules))):
            feeder = threading.Thread(target=self._feed, name=f"compile-{k}", daemon=True)
            self._feeders.append(feeder)
            feeder.start()
        return self

    def wait(self, *modules: str) -> None:
        """Wait for these modules, or for all."""
        for name in modules or self._modules:
            self._done[name].result()

    @contextmanager
    def waited_for(self) -> Iterator[None]:
        """Inside, a kernel that is called waits for its child, and for no other."""
        from kernel_compiler import prepare_with

        before = prepare_with(self._prepared)
        try:
            yield
        finally:
            prepare_with(before)

    @contextmanager
    def _prepared(self, module: str) -> Iterator[None]:
        if module in self._done:
            self.wait(module)
        with _interrupts_deferred():
            yield

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._closed = True
            for child in self._children:
                child.kill()
        for feeder in self._feeders:
            feeder.join()

    def _feed(self) -> None:
        """Give one child after the other what is left; a child ends when a module fails in it."""
        while True:
            with self._lock:
                if self._closed or not self._left:
                    return
                child = subprocess.Popen(
                    [sys.executable, "-m", "kernel_compiler.worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    start_new_session=True,  # a Ctrl-C of the terminal reaches the parent, which ends them
                )
                self._children.append(child)
            with child:
                while (name := self._next()) is not None:
                    compiled = _compiles(child, name)
                    if compiled:
                        _mark(name)
                    self._done[name].set_result(None)
                    if not compiled:
                        break

    def _next(self) -> str | None:
        with self._lock:
            return self._left.pop(0) if self._left and not self._closed else None


def _compiles(child: subprocess.Popen[str], name: str) -> bool:
    """Whether the child has compiled the module; False when it ended instead."""
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        child.stdin.write(f"{name}\n")
        child.stdin.flush()
        return child.stdout.readline() == f"done {name}\n"
    except OSError:
        return False


def _mark(name: str) -> None:
    from data_eng.kernels.jit import cache_folder

    folder = cache_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / f"{name}{_MARK}").touch()


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
    """Import a module with kernels and read them from the cache; a Ctrl-C meanwhile counts afterwards."""
    with _interrupts_deferred():
        from kernel_compiler import Entry

        loaded = importlib.import_module(module)
        for value in vars(loaded).values():
            if isinstance(value, Entry):
                value.ready()
    return loaded


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
