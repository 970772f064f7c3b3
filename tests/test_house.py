"""House rules as programs: rooms and imports, words, documents, and what must never be committed."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import spymaster
from data_eng.code_version import direct_imports
from data_eng.pipeline import STAGES
from data_eng.schema import TABLES
from spymaster.cli import app

REPOSITORY = Path(__file__).resolve().parents[1]
SRC = REPOSITORY / "src"

ROOMS = {
    "vocabulary": ("units", "errors", "dbn_codes", "mbo", "_holidays", "sessions", "params", "background"),
    "schema": ("schema", "table_docs"),
    "kernels": ("kernels",),
    "raw": ("zstd_frames", "dbn_reader", "raw_files", "instruments", "flag_census"),
    "lake": ("_lake", "lake"),
    "formulas": ("physics_terms", "exact_quantiles", "calibration"),
    "stages": ("stage", "stages"),
    "integrity": ("integrity",),
    "summary": ("summary",),
    "pipeline": ("code_version", "stage_order", "planner", "pipeline", "lake_health"),
}
"""rooms of data_eng, by the first part of the module name"""

MAY_IMPORT = {
    "vocabulary": {"vocabulary"},
    "schema": {"vocabulary", "schema"},
    "kernels": {"vocabulary", "kernels"},
    "raw": {"vocabulary", "raw"},
    "lake": {"vocabulary", "schema", "lake"},
    "formulas": {"vocabulary", "schema", "kernels", "lake", "formulas"},
    "stages": {"vocabulary", "schema", "kernels", "raw", "formulas", "stages"},
    # not kernels: a check that shares code with what it checks proves nothing
    "integrity": {"vocabulary", "schema", "raw", "lake", "integrity"},
    "summary": {"vocabulary"},
    "pipeline": set(ROOMS),
}
PACKAGES_MAY_IMPORT = {
    "kernel_compiler": {"kernel_compiler"},  # knows nothing of a feed, so what both sides compile with it may
    "data_eng": {"data_eng", "kernel_compiler"},
    "serving": {"data_eng", "serving"},
    "simex": {"simex", "kernel_compiler"},
    "spymaster": {"data_eng", "serving", "simex", "spymaster", "kernel_compiler"},
}
NOT_IN_KERNELS = {"pyarrow", "logging", "time", "datetime", "databento_dbn"}


def _modules(package: str = "") -> Iterator[tuple[str, Path]]:
    for path in sorted(SRC.rglob("*.py")):
        parts = path.relative_to(SRC).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if not package or name == package or name.startswith(package + "."):
            yield name, path


def _all_imports(name: str, path: Path) -> set[str]:
    return {m for package in PACKAGES_MAY_IMPORT for m in direct_imports(name, path, SRC, package)}


def _room(module: str) -> str | None:
    """Room of a data_eng module; None for the bare package, which holds nothing."""
    parts = module.split(".")
    if len(parts) == 1:
        return None
    for room, names in ROOMS.items():
        if parts[1] in names:
            return room
    raise AssertionError(f"{module} stands in no room; add it to ROOMS and to docs/architecture.md")


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _tracked() -> list[Path]:
    """Files that are committed or would be: everything git does not ignore."""
    if not (REPOSITORY / ".git").exists():
        pytest.skip(reason="not a git checkout: nothing says which files belong to the repository")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return [REPOSITORY / name for name in sorted(set(listed)) if (REPOSITORY / name).is_file()]


# ---- rooms


def test_packages_import_downwards_only() -> None:
    wrong = []
    for name, path in _modules():
        package = name.split(".")[0]
        allowed = PACKAGES_MAY_IMPORT[package]
        wrong += [f"{name} imports {i}" for i in _all_imports(name, path) if i.split(".")[0] not in allowed]
    assert wrong == []


def test_rooms_of_data_eng_import_downwards_only() -> None:
    seen, wrong = 0, []
    for name, path in _modules("data_eng"):
        room = _room(name)
        for imported in direct_imports(name, path, SRC, "data_eng"):
            target = _room(imported)
            seen += 1
            if room is not None and target is not None and target not in MAY_IMPORT[room]:
                wrong.append(f"{name} ({room}) imports {imported} ({target})")
    assert wrong == []
    assert seen > 50, "the walk has to see the imports"


def test_the_packages_that_help_loads_import_nothing_themselves() -> None:
    for package in ("data_eng", "spymaster"):
        tree = _tree(SRC / package / "__init__.py")
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        assert imports == [], f"{package} costs time at `spymaster --help`"


def test_kernels_know_no_arrow_no_clock_and_no_log() -> None:
    for name, path in _modules("data_eng.kernels"):
        for node in ast.walk(_tree(path)):
            found = {a.name.split(".")[0] for a in node.names} if isinstance(node, ast.Import) else set()
            if isinstance(node, ast.ImportFrom):
                found = {(node.module or "").split(".")[0]}
            # words of the feed come through dbn_codes
            assert not found & NOT_IN_KERNELS, f"{name} imports {found & NOT_IN_KERNELS}"


def test_twins_share_no_code_with_what_they_test() -> None:
    for path in sorted((REPOSITORY / "tests" / "naive").glob("*.py")):
        imported = direct_imports(f"tests.naive.{path.stem}", path, SRC, "data_eng")
        rooms = {_room(module) for module in imported} - {None}
        assert rooms <= {"vocabulary", "schema"}, f"{path.name} imports {sorted(imported)}"


def test_no_connection_of_ours_is_read_in_one_thread_and_written_in_another() -> None:
    """websockets.sync does so, and Python's TLS sessions are not made for it before 3.13."""
    imported = {}
    for name, path in _modules():
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Import):
                imported.update({alias.name: name for alias in node.names})
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.update({f"{node.module}.{alias.name}": name for alias in node.names})
    assert "websockets.asyncio.client.connect" in imported, "the walk has to see the imports"
    assert {i: name for i, name in imported.items() if i.startswith("websockets.sync")} == {}


# ---- words


def test_nothing_in_src_prints() -> None:
    calls = [
        f"{name}:{node.lineno}"
        for name, path in _modules()
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert calls == [], "data goes out through return values, words through spymaster.edge"


def test_only_the_edge_writes_to_the_standard_streams() -> None:
    for name, path in _modules():
        # the second is a tool of its own, the third answers its parent through a pipe
        if name.split(".")[0] != "spymaster" and name not in (
            "data_eng.table_docs",
            "kernel_compiler.worker",
        ):
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"sys\.(stdout|stderr)", text), f"{name} writes to a standard stream"


def test_every_module_and_public_function_says_what_it_is() -> None:
    silent = []
    for name, path in _modules():
        tree = _tree(path)
        if tree.body and ast.get_docstring(tree) is None:
            silent.append(name)
        silent += _undocumented(tree, name)
    for path in sorted((REPOSITORY / "scripts").glob("*.py")):
        if ast.get_docstring(_tree(path)) is None:
            silent.append(path.name)
    assert silent == []


def _undocumented(node: ast.AST, prefix: str) -> list[str]:
    found = []
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if child.name.startswith("_"):
            continue
        if ast.get_docstring(child) is None:
            found.append(f"{prefix}.{child.name}")
        # what the members of a protocol mean is said where the protocol is
        if isinstance(child, ast.ClassDef) and not any("Protocol" in ast.unparse(b) for b in child.bases):
            found += _undocumented(child, f"{prefix}.{child.name}")
    return found


def test_scripts_are_a_parser_and_one_call() -> None:
    for path in sorted((REPOSITORY / "scripts").glob("*.py")):
        if path.stem == "pins":  # works on the repository, not on data
            continue
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 15, path.name
        assert text.count("run_script(") == 1, path.name


# ---- documents


def test_version_is_one_in_package_metadata_and_changelog() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+)", changelog, re.MULTILINE)
    assert newest is not None
    assert project["version"] == spymaster.__version__ == newest.group(1)


def test_every_stage_is_documented() -> None:
    page = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = {line.split("|")[1].strip(): line for line in page.splitlines() if line.startswith("| ")}
    for stage in STAGES:
        assert stage.name in rows, f"docs/architecture.md has no row for stage {stage.name}"
        for dataset in stage.outputs:
            short = dataset.rsplit(".", 1)[1]
            assert short in rows[stage.name], f"the row of {stage.name} does not name {short}"
        assert stage.doc, f"the module of stage {stage.name} says nothing"


def test_every_room_is_documented() -> None:
    page = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    for names in ROOMS.values():
        for name in names:
            assert name.startswith("_") or re.search(rf"\b{name}\b", page), f"architecture.md: {name}?"


def test_every_table_has_a_page() -> None:
    pages = {path.stem for path in (REPOSITORY / "docs" / "tables").glob("*.md")}
    assert set(TABLES) <= pages


def test_links_between_documents_lead_somewhere() -> None:
    for page in [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.relative_to(REPOSITORY)} links to {target}"


def test_readme_and_ci_name_the_same_test_command() -> None:
    command = "uv run pytest"
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    ci = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    assert f"\n    {command}\n" in readme
    assert re.search(rf"^{command} 2>&1", ci, re.MULTILINE)


def test_the_licence_is_the_whole_apache_text() -> None:
    text = (REPOSITORY / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text.splitlines()[0]
    assert all(f"\n   {n}. " in text for n in range(1, 10))
    assert "END OF TERMS AND CONDITIONS" in text


def test_every_command_that_a_text_names_exists() -> None:
    verbs = {name for name in app if not name.startswith("-")}
    named, unknown = set(), []
    for name, path in _modules():
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for verb in re.findall(r"\bspymaster ([a-z]+)", node.value):
                    named.add(verb)
                    unknown += [f"{name}:{node.lineno} names spymaster {verb}"] if verb not in verbs else []
    assert unknown == []
    assert {"run", "ingest", "simulate", "lake"} <= named, "the walk has to see the texts"


# ---- what must never be committed


def test_no_lock_file_and_no_market_data_are_tracked() -> None:
    wrong = [
        path.name
        for path in _tracked()
        if path.name == "uv.lock" or path.suffix in (".parquet", ".zst", ".dbn", ".dbz")
    ]
    assert wrong == []


def test_no_tracked_file_names_a_place_of_one_machine() -> None:
    folders = "|".join(("work", "root", "home", "Users", "mnt"))
    place = re.compile(rf"(?<![\w.~/\-])/(?:{folders})/[\w.]")
    beside = "../" + "shared"
    for path in _tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        name = path.relative_to(REPOSITORY).as_posix()
        found = place.search(text)
        assert found is None, f"{name}: {text[found.start() : found.start() + 60]!r}" if found else ""
        assert beside not in text or name == ".ci/run", f"{name} names {beside}"


def test_every_test_folder_is_a_package() -> None:
    folders = {path.parent for path in (REPOSITORY / "tests").rglob("test_*.py")}
    assert [str(f) for f in sorted(folders) if not (f / "__init__.py").exists()] == []
