"""The examples run as they stand, against a service over a simulated day, and fail when the rows differ."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from data_eng.lake import Lake
from tests.serving.conftest import SYMBOL, tiny, url

__all__ = ["tiny", "url"]  # fixtures

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NOTEBOOK = EXAMPLES / "minute_of_walls.ipynb"


def quickstart(*arguments: str) -> subprocess.CompletedProcess[str]:
    surroundings = {name: text for name, text in os.environ.items() if name != "SPYMASTER_LAKE"}
    return subprocess.run(
        [sys.executable, str(EXAMPLES / "quickstart.py"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=surroundings,
    )


def test_the_quickstart_compares_with_the_history_when_no_lake_is_named(url: str) -> None:
    done = quickstart(url)
    assert done.returncode == 0, done.stderr
    assert f"simulated {SYMBOL}" in done.stdout
    assert "60 windows" in done.stdout
    assert "history over HTTP" in done.stdout


def test_the_quickstart_compares_with_the_lake(url: str, tiny: Lake) -> None:
    done = quickstart(url, str(tiny.root))
    assert done.returncode == 0, done.stderr
    assert str(tiny.root) in done.stdout


def test_the_quickstart_fails_on_another_lake(url: str, tiny: Lake, tmp_path: Path) -> None:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    walls = "silver/future_mbo/wall_surface_1s"
    shutil.copytree(tiny.root / walls, tmp_path / walls)
    for part in (tmp_path / walls).rglob("*.parquet"):
        rows = pq.read_table(part, partitioning=None)
        at = rows.schema.get_field_index("depth_qty_end")
        more = pc.add(rows.column(at), 1).cast(rows.schema.field(at).type)
        pq.write_table(rows.set_column(at, rows.schema.field(at), more), part)
    done = quickstart(url, str(tmp_path))
    assert done.returncode == 1
    assert "differ" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_notebook_runs_draws_and_finds_both_equal(
    url: str, tiny: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPYMASTER_URL", url)
    monkeypatch.setenv("SPYMASTER_LAKE", str(tiny.root))
    monkeypatch.delenv("MPLBACKEND", raising=False)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    kinds = [
        kind for cell in notebook.cells for out in cell.get("outputs", []) for kind in out.get("data", {})
    ]
    assert "image/png" in kinds
    assert "assert streamed.equals(stored)" in notebook.cells[-1].source


def test_the_notebook_is_committed_without_output() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells)
    assert all(cell.get("execution_count") is None for cell in notebook.cells)
