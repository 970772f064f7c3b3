"""The code version: what enters it, and what does not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from data_eng import code_version as module
from data_eng.code_version import code_version, imported_sources

SOURCES = {
    "__init__.py": "",
    "stage_a.py": (
        "from typing import TYPE_CHECKING\nfrom pkg import words\nif TYPE_CHECKING:\n    import pkg.typed\n"
    ),
    "words.py": "import pkg.deep.core\n",
    "deep/__init__.py": "",
    "deep/core.py": "from . import sibling\nfrom ..late import f\n",
    "deep/sibling.py": "",
    "late.py": "def f():\n    from pkg.lazy import g\n    return g\n",
    "lazy.py": "import numpy\n\ng = 1\n",
    "typed.py": "",
    "unrelated.py": "",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name, text in SOURCES.items():
        path = tmp_path / "src" / "pkg" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "src"


def _version(root: Path) -> str:
    return code_version(["pkg.stage_a"], root=root, package="pkg")


def test_imports_are_followed_through_relative_and_late_ones_but_not_type_checking(package: Path) -> None:
    found = imported_sources(["pkg.stage_a"], root=package, package="pkg")
    assert sorted(found) == [
        "pkg",
        "pkg.deep",
        "pkg.deep.core",
        "pkg.deep.sibling",
        "pkg.late",
        "pkg.lazy",
        "pkg.stage_a",
        "pkg.words",
    ]


@pytest.mark.parametrize("name", ["stage_a.py", "words.py", "deep/core.py", "lazy.py", "deep/__init__.py"])
def test_any_changed_source_that_takes_part_changes_the_version(package: Path, name: str) -> None:
    before = _version(package)
    path = package / "pkg" / name
    path.write_text(path.read_text() + "# changed\n")
    assert _version(package) != before


@pytest.mark.parametrize("name", ["unrelated.py", "typed.py"])
def test_a_source_that_takes_no_part_changes_nothing(package: Path, name: str) -> None:
    before = _version(package)
    (package / "pkg" / name).write_text("x = 1\n")
    assert _version(package) == before


def test_the_version_does_not_depend_on_where_the_checkout_lies(package: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "another place" / "src"
    shutil.copytree(package, elsewhere)
    assert _version(elsewhere) == _version(package)


def test_library_versions_enter(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _version(package)
    monkeypatch.setattr(module, "version", lambda name: "0.0.1")
    assert _version(package) != before


def test_a_module_without_source_is_an_error(package: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"pkg\.nowhere"):
        code_version(["pkg.nowhere"], root=package, package="pkg")


def test_every_stage_of_this_version_has_a_code_version() -> None:
    from data_eng.pipeline import STAGES
    from data_eng.planner import stage_code_version

    assert all(len(stage_code_version(stage)) == 64 for stage in STAGES)
