"""Helpers and entries: what is compiled when, how often, and that a shortcut changes no machine code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numba.core import event

import kernel_compiler

MODULE = """
import numba as nb
from kernel_compiler import entry, helper

@helper()
def steps(n, by):
    total = 0
    for k in range(n):
        total += by * k
    return total

@helper([nb.int64, nb.int64])
def named(a, b):
    return a - b

@entry(lambda: NAMED_BELOW)
def answer(values):
    for i in range(values.shape[0]):
        values[i] = steps(values[i], 1) + steps(values[i], 2) + named(7, True)
    return values.shape[0]

NAMED_BELOW = nb.int64(nb.int64[::1])
"""
SAY_MACHINE_CODE = """
import json, sys
from kernel_compiler import shortcuts
from numba.core.compiler import Flags
quick = Flags()
quick.nrt = True
slow_values, slow_hash = Flags().values(), hash(Flags())
taken = shortcuts.take_shortcuts() if sys.argv[1] == "quick" else ()
assert Flags().values() == slow_values and hash(Flags()) == slow_hash
assert list(quick.values()) == list(slow_values) and quick != Flags() and quick == quick.copy()
from data_eng.kernels.hud import paint_windows
paint_windows.ready()
(code,) = paint_windows.dispatcher.inspect_asm().values()
sys.stdout.write(json.dumps([taken, code]))
"""


class Compiled(event.Listener):
    """Names of the functions that numba compiles, while it is registered."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def on_start(self, event: Any) -> None:
        self.names.append(event.data["dispatcher"].py_func.__name__)

    def on_end(self, event: Any) -> None:
        pass


@contextmanager
def listening() -> Iterator[Compiled]:
    listener = Compiled()
    with event.install_listener("numba:compile", listener):
        yield listener


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module with two helpers and one entry, freshly imported; its cache is empty."""
    import importlib

    (tmp_path / "small_kernels.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "small_kernels", raising=False)
    with listening() as compiled:
        made = importlib.import_module("small_kernels")
    assert compiled.names == [], "importing compiles nothing"
    return made


def test_an_entry_is_compiled_at_its_first_call_and_each_helper_once(module: ModuleType) -> None:
    values = np.array([0, 1, 4], np.int64)
    with listening() as compiled:
        assert module.answer(values) == 3
        assert module.answer(values) == 3
    once = [3 * n * (n - 1) // 2 + 6 for n in (0, 1, 4)]
    assert values.tolist() == [3 * n * (n - 1) // 2 + 6 for n in once]
    assert sorted(compiled.names) == ["answer", "named", "steps"], "not once more for each constant"


def test_a_helper_is_no_function_of_python(module: ModuleType) -> None:
    for _ in range(2):  # before and after it was compiled
        with pytest.raises(TypeError, match="steps is a helper: only compiled functions can call it"):
            module.steps(3, 1)
        module.answer(np.zeros(1, np.int64))


def test_only_the_types_of_the_signature_are_taken(module: ModuleType) -> None:
    with pytest.raises(TypeError):
        module.answer(np.zeros(1, np.float64))


def test_who_prepares_is_asked_once_and_about_the_module(module: ModuleType) -> None:
    asked: list[str] = []

    @contextmanager
    def around(name: str) -> Iterator[None]:
        asked.append(name)
        yield

    before = kernel_compiler.prepare_with(around)
    try:
        module.answer(np.zeros(1, np.int64))
        module.answer(np.zeros(1, np.int64))
    finally:
        assert kernel_compiler.prepare_with(before) is around
    assert asked == ["small_kernels"]


def child(*arguments: str, cache: Path, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(cache.parent)},
    )


def test_the_shortcuts_change_no_instruction(tmp_path: Path) -> None:
    answers = [
        child("-c", SAY_MACHINE_CODE, way, cache=tmp_path / way / "cache") for way in ("slow", "quick")
    ]
    assert [done.stderr for done in answers] == ["", ""]
    (_, slow), (taken, quick) = (json.loads(done.stdout) for done in answers)
    assert len(taken) == 3, "this numba has what the shortcuts replace"
    assert len(slow) > 10_000
    assert slow == quick


def test_a_worker_fills_the_cache_and_ends_at_the_first_failure(tmp_path: Path) -> None:
    (tmp_path / "small_kernels.py").write_text(MODULE)
    cache = tmp_path / "cache"
    done = child("-m", "kernel_compiler.worker", cache=cache, text="small_kernels\nno_such_module\njson\n")
    assert (done.stdout, done.returncode) == ("done small_kernels\n", 1)
    assert "no_such_module" in done.stderr
    held = sorted(path.name.split("-")[0] for path in cache.rglob("*.nb?"))
    assert held == ["small_kernels.answer"] * 2, "an index and the code of the entry; nothing of helpers"
