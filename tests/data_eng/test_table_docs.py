"""The generated pages: complete, current, and silent to write."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from data_eng import table_docs
from data_eng.schema import TABLES, Column, Table, table

COMMITTED = Path(__file__).parents[2] / "docs" / "tables"


def test_committed_pages_are_current() -> None:
    """Cure: python -m data_eng.table_docs docs/tables"""
    wanted = table_docs.pages()
    found = {page.name: page.read_text(encoding="utf-8") for page in COMMITTED.glob("*.md")}

    assert sorted(found) == sorted(wanted)
    for name, text in wanted.items():
        assert found[name] == text, f"{name} is stale"


def test_every_table_has_a_page_with_every_column_in_order() -> None:
    pages = table_docs.pages()
    for dataset, declared in TABLES.items():
        rows = [line for line in pages[f"{dataset}.md"].splitlines() if line.startswith("| ")][2:]
        names = [row.split("|")[2].strip().strip("`") for row in rows]
        assert names == [c.name for c in declared.columns]
        assert f"({dataset}.md)" in pages["README.md"]


def test_a_page_states_key_order_type_unit_range_and_nullability() -> None:
    page = table_docs.render(table("option_quote_1s"))

    assert "- key: `window_end_ts_ns`, `strike_price_int`, `right`" in page
    assert "- row order: by the key, strictly increasing" in page
    assert "- specification: section 7.3" in page
    assert "| `implied_vol` | float64, nullable | per sqrt(year) | [0, inf] |" in page
    assert "| `reason` | dictionary string | code | ok, one_sided," in page
    assert "| `flip_points` | list of float64 | points |" in table_docs.render(table("gex_profile_1s"))
    assert "- row order: file order" in table_docs.render(table("bronze.future_mbo.mbo"))
    assert "- row groups: 300 windows each" in table_docs.render(table("wall_surface_1s"))


def test_a_bar_in_the_words_does_not_break_the_table() -> None:
    declared = Table("silver.x.y", "doc", (Column("a", pa.int32(), "Either | or."),))

    assert "| Either \\| or. |" in table_docs.render(declared)


def test_writing_removes_pages_of_dropped_tables_but_no_hand_written_page(tmp_path: Path) -> None:
    table_docs.write_all(tmp_path)
    (tmp_path / "silver.gone.md").write_text((tmp_path / "README.md").read_text(encoding="utf-8"))
    (tmp_path / "notes.md").write_text("by hand")

    written = table_docs.write_all(tmp_path)

    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*(p.name for p in written), "notes.md"])


def test_the_entry_point_is_silent_on_success(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "data_eng.table_docs", str(tmp_path / "new" / "tables")],
        capture_output=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert len(list((tmp_path / "new" / "tables").iterdir())) == len(TABLES) + 1


def test_the_entry_point_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")

    assert table_docs.main([]) == 2
    assert "takes one folder" in capsys.readouterr().err
    assert table_docs.main([str(blocked)]) == 2
    assert "cannot be written" in capsys.readouterr().err
