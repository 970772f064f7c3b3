"""The generated TypeScript: current, and complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from data_eng.schema import PLANES, TABLES, table
from serving import typescript_schema

COMMITTED = Path(__file__).parents[2] / "hud" / "src" / "wire" / "schema.gen.ts"


def test_the_committed_module_is_current() -> None:
    """Cure: python -m serving.typescript_schema hud/src/wire/schema.gen.ts"""
    assert COMMITTED.read_text(encoding="utf-8") == typescript_schema.schema_module()


def test_every_column_of_every_surface_is_there_in_order() -> None:
    text = typescript_schema.schema_module()
    for surface, name in typescript_schema.SURFACES.items():
        found = re.search(rf"^  {surface}: {{\n(.*?)^  }},$", text, re.MULTILINE | re.DOTALL)
        assert found is not None
        columns = re.findall(r"^    (\w+): '", found.group(1), re.MULTILINE)
        assert columns == [column.name for column in table(name).columns]


def test_the_surfaces_are_declared_tables() -> None:
    names = {declared.name for declared in TABLES.values()}
    assert set(typescript_schema.SURFACES.values()) <= names


def test_planes_keep_their_order_and_width() -> None:
    text = typescript_schema.schema_module()
    assert text.count("fixed_size_binary[1201]") == len(PLANES) == 9


def test_the_command_writes_the_file_it_is_given(tmp_path: Path) -> None:
    target = tmp_path / "schema.gen.ts"
    assert typescript_schema.main([str(target)]) == 0
    assert target.read_text(encoding="utf-8") == typescript_schema.schema_module()


def test_a_missing_argument_is_one_sentence() -> None:
    with pytest.raises(SystemExit, match="name one file"):
        typescript_schema.main([])
