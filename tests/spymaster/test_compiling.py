"""Kernels are compiled by children: what is cold, what is waited for, and what an interrupt leaves behind."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from data_eng.kernels.jit import cache_folder
from spymaster import compiling
from spymaster.compiling import Compilation, cold_kernels, kernel_modules, load


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty kernel cache, and a folder of modules that children can import."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    cache_folder().mkdir(parents=True)
    return tmp_path


def test_the_book_comes_first_and_only_files_with_kernels_count() -> None:
    names = kernel_modules()
    assert names[0] == "data_eng.kernels.book"
    assert "data_eng.kernels.jit" not in names
    assert "data_eng.kernels.book_layout" not in names


def test_a_module_is_cold_until_a_child_has_imported_it(cache: Path) -> None:
    assert cold_kernels() == kernel_modules()
    name = kernel_modules()[-1]
    (cache_folder() / f"{name}.compiled").touch()
    assert name not in cold_kernels()


def test_what_was_waited_for_is_done_and_a_failed_one_stays_cold(cache: Path) -> None:
    (cache / "good_module.py").write_text(f"open({str(cache / 'ran')!r}, 'w').close()\n")
    (cache / "bad_module.py").write_text("raise SystemExit(3)\n")
    with Compilation(("good_module", "bad_module")) as compilation:
        compilation.wait()
    assert (cache / "ran").exists()
    assert (cache_folder() / "good_module.compiled").exists()
    assert not (cache_folder() / "bad_module.compiled").exists()


def test_leaving_early_ends_the_children_and_starts_no_more(cache: Path) -> None:
    tell = f"import os, time\nopen({str(cache)!r} + '/' + str(os.getpid()) + '.pid', 'w').close()\n"
    names = tuple(f"slow_{k}" for k in range(8))
    for name in names:
        (cache / f"{name}.py").write_text(f"{tell}time.sleep(600)\n")

    def interrupted_when_one_runs() -> None:
        with Compilation(names):
            while not list(cache.glob("*.pid")):
                time.sleep(0.01)
            raise KeyboardInterrupt

    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interrupted_when_one_runs()
    assert time.monotonic() - begin < 300, "ten minutes of sleep were not waited for"
    started = [int(path.stem) for path in cache.glob("*.pid")]
    assert 0 < len(started) <= (os.cpu_count() or 1)
    for pid in started:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.skipif(os.name != "posix", reason="SIGINT to this process")
def test_an_interrupt_while_compiled_code_is_loaded_counts_afterwards(cache: Path) -> None:
    (cache / "interrupted_module.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nFINISHED = True\n"
    )
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        load("interrupted_module")
    assert sys.modules["interrupted_module"].FINISHED
    assert signal.getsignal(signal.SIGINT) is before


def test_with_a_filled_cache_no_child_is_started(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in kernel_modules():
        (cache_folder() / f"{name}.compiled").touch()
    loaded: list[str] = []
    monkeypatch.setattr(compiling, "Compilation", None)
    monkeypatch.setattr(compiling, "load", loaded.append)
    compiling.kernels_ready()
    assert tuple(loaded) == kernel_modules()
