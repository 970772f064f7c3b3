"""Which code made a table: one hash over the sources that took part (spec 2.3, 8).

The hash covers the stage's module, every `data_eng` module it imports directly or through others, found
by reading the sources (nothing is executed), and the versions of numba, numpy and pyarrow. It depends on
module names and their text, never on where the checkout lies, so two machines agree. Imports under
``if TYPE_CHECKING`` never run and do not count; imports inside functions do.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

PACKAGE: Final = "data_eng"
LIBRARIES: Final = ("numba", "numpy", "pyarrow")
"""libraries whose version can change the bytes of a table"""
SOURCE_ROOT: Final = Path(__file__).resolve().parents[1]
"""folder that holds the package"""


def code_version(modules: Iterable[str], *, root: Path = SOURCE_ROOT, package: str = PACKAGE) -> str:
    """sha256 (hex) over the sources of `modules`, all modules of `package` they import, and `LIBRARIES`.

    `modules` are dotted names; one outside `package` (a plug-in) enters with its own source, and its
    imports of `package` are followed. Raises `ModuleNotFoundError` for a name without source.
    """
    digest = hashlib.sha256()
    for name, text in sorted(imported_sources(modules, root=root, package=package).items()):
        digest.update(f"{name}\n{len(text)}\n{text}\n".encode())
    for library in LIBRARIES:
        digest.update(f"{library}=={version(library)}\n".encode())
    return digest.hexdigest()


def imported_sources(
    modules: Iterable[str], *, root: Path = SOURCE_ROOT, package: str = PACKAGE
) -> dict[str, str]:
    """Source text by module name: `modules` and what they import of `package`, transitively."""
    found: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        path = _source_file(name, root, package)
        found[name] = path.read_text(encoding="utf-8").replace("\r\n", "\n")
        waiting += direct_imports(name, path, root, package)
        waiting += _parents(name, package)  # importing a.b.c also runs a/__init__ and a/b/__init__
    return found


def direct_imports(name: str, path: Path, root: Path, package: str) -> tuple[str, ...]:
    """Modules of `package` that the source of module `name` imports."""
    here = name if path.name == "__init__.py" else name.rpartition(".")[0]
    result = []
    for target, names in _import_statements(path.read_text(encoding="utf-8"), here):
        if target != package and not target.startswith(package + "."):
            continue
        result.append(target)
        submodules = (f"{target}.{imported}" for imported in names)
        result += [sub for sub in submodules if _is_module(sub, root)]
    return tuple(result)


@cache
def _import_statements(text: str, here: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """(absolute module, names taken from it) of each import that can run; `here` resolves relative ones.

    Kept by the text itself: parsing is nearly all of the cost, and `lake ls` asks once per partition.
    """
    found: list[tuple[str, tuple[str, ...]]] = []
    for node in _live_nodes(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [(alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            base = node.module or ""
            if node.level:
                above = here.split(".")[: len(here.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            found.append((base, names))
    return tuple(found)


def _live_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            for alternative in node.orelse:
                yield alternative
                yield from _live_nodes(alternative)
            continue
        yield node
        yield from _live_nodes(node)


def _is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def _parents(name: str, package: str) -> list[str]:
    if not name.startswith(package + "."):
        return []
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]


def _candidates(name: str, root: Path) -> tuple[Path, Path]:
    stem = root.joinpath(*name.split("."))
    return stem.with_suffix(".py"), stem / "__init__.py"


def _is_module(name: str, root: Path) -> bool:
    return any(path.is_file() for path in _candidates(name, root))


def _source_file(name: str, root: Path, package: str) -> Path:
    if name == package or name.startswith(package + "."):
        for path in _candidates(name, root):
            if path.is_file():
                return path
    else:
        spec = find_spec(name)
        if spec is not None and spec.origin is not None and spec.origin.endswith(".py"):
            return Path(spec.origin)
    raise ModuleNotFoundError(f"code_version: module {name} has no source file under {root}", name=name)
