"""The pins: what is installed, written where uv looks for it."""

from __future__ import annotations

import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "pins.py"
PROJECT = (
    '[project]\nname = "tool"\n\n[tool.uv]\ndefault-groups = ["dev"]\n\n[tool.ruff]\nline-length = 110\n'
)


@pytest.fixture(scope="module")
def pins() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def _constraints(text: str) -> list[str]:
    return list(tomllib.loads(text)["tool"]["uv"]["constraint-dependencies"])


def test_pins_are_written_into_the_uv_section_and_replaced_there(pins: dict[str, Any]) -> None:
    once = pins["with_pins"](PROJECT, ["a==1", "b==2"])
    assert _constraints(once) == ["a==1", "b==2"]
    twice = pins["with_pins"](once, ["a==3"])
    assert _constraints(twice) == ["a==3"]
    assert tomllib.loads(twice)["tool"]["ruff"] == {"line-length": 110}
    assert pins["with_pins"](twice, ["a==3"]) == twice


def test_pins_of_packages_that_are_not_installed_here_are_kept(pins: dict[str, Any]) -> None:
    text = pins["with_pins"](PROJECT, ["other-group==1.0", "numpy==1.0"])
    assert pins["kept_pins"](text, ["numpy==2.0"]) == ["other-group==1.0"]
    assert pins["kept_pins"](PROJECT, ["numpy==2.0"]) == []


def test_installed_pins_are_exact_and_leave_out_ourselves(pins: dict[str, Any]) -> None:
    found = pins["installed"]("spymaster")
    names = [pin.split("==")[0] for pin in found]
    assert {"numpy", "numba", "pyarrow", "databento-dbn"} <= set(names)
    assert "spymaster" not in names
    assert names == sorted(set(names))
    assert all("==" in pin and "+" not in pin for pin in found)


def test_a_project_without_a_uv_section_is_an_error(pins: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"no \[tool\.uv\] section"):
        pins["with_pins"]("[project]\n", ["a==1"])
