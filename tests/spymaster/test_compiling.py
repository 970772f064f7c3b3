"""Kernels are compiled by children: what is cold, what is waited for, and what an interrupt leaves behind."""

from __future__ import annotations

import importlib
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


def test_one_child_compiles_several_modules_in_the_order_given(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    tell = f"import os\nopen({str(cache / 'told')!r}, 'a').write(f'{{os.getpid()}} {{__name__}}\\n')\n"
    names = ("module_c", "module_a", "module_b")
    for name in names:
        (cache / f"{name}.py").write_text(tell)
    with Compilation(names) as compilation:
        compilation.wait("module_c")
        compilation.wait()
    told = [line.split() for line in (cache / "told").read_text().splitlines()]
    assert [name for _, name in told] == list(names)
    assert len({pid for pid, _ in told}) == 1


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="with one core the other module would come first")
def test_a_kernel_waits_for_the_child_that_compiles_it_and_for_no_other(cache: Path) -> None:
    (cache / "other_module.py").write_text("import time\ntime.sleep(600)\n")
    (cache / "waited_module.py").write_text(
        "import numba as nb\nfrom kernel_compiler import entry\n"
        "@entry(nb.int64(nb.int64))\ndef twice(x):\n    return 2 * x\n"
    )
    from numba import config

    with Compilation(("other_module", "waited_module")) as compilation, compilation.waited_for():
        before, config.CACHE_DIR = config.CACHE_DIR, str(cache / "cache")
        try:
            waited = importlib.import_module("waited_module")
        finally:
            config.CACHE_DIR = before
        assert waited.twice(21) == 42
        stats = waited.twice.dispatcher.stats
        assert (sum(stats.cache_hits.values()), sum(stats.cache_misses.values())) == (1, 0)


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
