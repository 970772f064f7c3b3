"""The examples run as they stand, against a service over a simulated day, and fail when the rows differ."""

from __future__ import annotations

import ast
import os
import shutil
import socket
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


def quickstart(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run it in a folder without a lake."""
    surroundings = {name: text for name, text in os.environ.items() if name != "SPYMASTER_LAKE"}
    return subprocess.run(
        [sys.executable, str(EXAMPLES / "quickstart.py"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=surroundings | variables,
        cwd=EXAMPLES,
    )


def test_the_quickstart_compares_with_the_history_where_there_is_no_lake(url: str) -> None:
    done = quickstart(url)
    assert done.returncode == 0, done.stderr
    assert f"simulated {SYMBOL}" in done.stdout
    assert "60 windows" in done.stdout
    assert "history over HTTP" in done.stdout


def test_the_quickstart_compares_with_the_lake(url: str, tiny: Lake) -> None:
    for done in (quickstart(url, str(tiny.root)), quickstart(url, SPYMASTER_LAKE=str(tiny.root))):
        assert done.returncode == 0, done.stderr
        assert f"equal to {tiny.root}" in done.stdout


def test_the_quickstart_says_in_one_sentence_what_it_needs(url: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    for arguments, words in (
        ([nobody], "is the service running? spymaster serve"),
        ([nobody, str(tmp_path)], "is the service running? spymaster serve"),
        ([url, str(tmp_path / "nothing")], str(tmp_path / "nothing")),
    ):
        done = quickstart(*arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("quickstart: ")
        assert words in done.stderr
        assert done.stderr.count("\n") == 1, done.stderr


def test_the_quickstart_needs_no_argument_and_is_short() -> None:
    source = (EXAMPLES / "quickstart.py").read_text(encoding="utf-8")
    tree = ast.parse(source)
    body = [node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom | ast.Expr)]
    assert len(body) <= 10
    assert len(source.splitlines()) <= 50
    assert '"http://127.0.0.1:8765"' in source
    assert "Traceback" not in quickstart().stderr


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
