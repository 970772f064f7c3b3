"""The trap of numba's cache: a kernel must never run machine code of a source that is gone (design 3, P9).

Each test copies what kernels see into a folder of its own and lets a new process compile and load there. The
book's kernel takes half a minute to compile, so small kernels stand in for it; they use the same `njit`.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import data_eng
from data_eng.kernels import jit

PACKAGE = Path(data_eng.__file__).parent
HELPER = """
from data_eng.kernels.jit import njit

@njit()
def half_of(x):
    return x // 2
"""
CALLER = """
import numba as nb
from data_eng.kernels.jit import njit
from data_eng.kernels.small_helper import half_of

@njit(nb.int64(nb.int64))
def answer(x):
    return half_of(x)
"""
ASK = """
import json, sys
from data_eng.kernels import jit
from data_eng.kernels.small_caller import answer
value, stats = answer(84), answer.dispatcher.stats
hits, misses = (sum(counts.values()) for counts in (stats.cache_hits, stats.cache_misses))
sys.stdout.write(json.dumps([value, str(jit.cache_folder()), hits, misses]))
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of what a kernel can see, with two small kernels instead of the large ones."""
    root = tmp_path / "src"
    copy = root / "data_eng"
    (copy / "kernels").mkdir(parents=True)
    for name in ("__init__.py", "units.py", "dbn_codes.py", "kernels/__init__.py", "kernels/jit.py"):
        shutil.copy(PACKAGE / name, copy / name)
    (copy / "kernels" / "small_helper.py").write_text(HELPER)
    (copy / "kernels" / "small_caller.py").write_text(CALLER)
    return copy


def ask(package: Path, cache: Path) -> tuple[int, Path, int, int]:
    """(answer, cache folder, hits, misses) of a new process that imports the copied package."""
    unset = ("NUMBA_CACHE_DIR", "NUMBA_DISABLE_JIT")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        env=environment | {"PYTHONPATH": str(package.parent), "XDG_CACHE_HOME": str(cache)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    value, folder, hits, misses = json.loads(done.stdout)
    return value, Path(folder), hits, misses


def files_of(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in sorted(folder.rglob("*.nb?"))}


def test_a_changed_helper_in_another_file_is_seen_by_a_cached_caller(package: Path, tmp_path: Path) -> None:
    """What numba alone does not do: its cache looks at the caller's file only."""
    cache = tmp_path / "cache"
    assert ask(package, cache)[0] == 42
    (package / "kernels" / "small_helper.py").write_text(HELPER.replace("x // 2", "x // 4"))
    assert ask(package, cache)[0] == 21


def test_a_second_process_loads_the_cache_and_adds_no_file(package: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    _, folder, hits, misses = ask(package, cache)
    written = files_of(cache)
    assert (hits, misses) == (0, 1)
    assert len(written) >= 2, "an index and the machine code"
    assert folder.is_relative_to(cache / "spymaster")
    again, same_folder, hits, misses = ask(package, cache)
    assert (again, same_folder) == (42, folder)
    assert (hits, misses) == (1, 0)
    assert files_of(cache) == written


def test_the_cache_folder_is_private(package: Path, tmp_path: Path) -> None:
    """Its files are pickles: who can write them runs code in our process."""
    _, folder, _, _ = ask(package, tmp_path / "cache")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_one_byte_in_any_source_is_another_folder(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "_PACKAGE", package)
    sources = jit.kernel_sources()
    assert {"small_helper.py", "small_caller.py", "jit.py", "units.py", "dbn_codes.py"} <= {
        p.name for p in sources
    }
    seen = {jit.cache_folder()}
    for source in sources:
        before = source.read_bytes()
        source.write_bytes(before + b"#")
        seen.add(jit.cache_folder())
        source.write_bytes(before)
    assert len(seen) == 1 + len(sources)
    assert jit.cache_folder() in seen


def test_a_renamed_or_new_kernel_is_another_digest(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "_PACKAGE", package)
    first = jit.kernel_digest()
    kernels = package / "kernels"
    (kernels / "small_helper.py").rename(kernels / "other_helper.py")
    renamed = jit.kernel_digest()
    (kernels / "new.py").touch()
    assert len({first, renamed, jit.kernel_digest()}) == 3


@pytest.mark.parametrize("module", ["numba", "llvmlite", "np"])
def test_another_compiler_is_another_digest(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = jit.kernel_digest()
    monkeypatch.setattr(getattr(jit, module), "__version__", "0.0.0")
    assert jit.kernel_digest() != before


def test_sources_are_all_that_kernels_import_from_the_package() -> None:
    """A kernel that takes a constant from a file that is not in the digest would be the trap again."""
    names = {
        path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".")
        for path in jit.kernel_sources()
    }
    assert {"kernels.book", "kernels.book_layout", "kernels.jit", "units", "dbn_codes"} <= names
    for path in (PACKAGE / "kernels").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = []
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("data_eng"):
                modules = [node.module or ""]
            elif isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names if alias.name.startswith("data_eng")]
            assert {m.removeprefix("data_eng.") for m in modules} <= names, f"{path.name} imports {modules}"


def test_the_cache_goes_where_the_user_keeps_caches_and_never_into_a_lake(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    digest = jit.kernel_digest()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))
    assert jit.cache_folder() == tmp_path / "numba" / f"spymaster-{digest}"
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert jit.cache_folder() == tmp_path / "xdg" / "spymaster" / f"kernels-{digest}"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SPYMASTER_LAKE", str(tmp_path / "lake"))
    monkeypatch.chdir(tmp_path)
    assert jit.cache_folder() == tmp_path / "home" / ".cache" / "spymaster" / f"kernels-{digest}"


def test_other_users_of_numba_keep_their_own_cache() -> None:
    before = jit.numba.config.CACHE_DIR

    @jit.njit()
    def twice(x):  # compiled for the test below it only
        return 2 * x

    assert before == jit.numba.config.CACHE_DIR
    assert twice(21) == 42
