"""The `njit` of this project: cached on disk, in a folder that no stale kernel can reach.

numba keys its on-disk cache by the file of the decorated function alone. A kernel whose helper or
constant lives in another file would silently keep running the old machine code after that file changed.
So the cache folder carries a digest of every source that a kernel can see, and of the versions that
compile it: change one byte anywhere and the old folder is simply never opened again.

The folder is private (mode 0700), because a numba cache holds pickles, and never inside a lake.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np

import kernel_compiler

_PACKAGE = Path(__file__).resolve().parents[1]


def kernel_sources() -> list[Path]:
    """Files whose text can enter a compiled kernel: all kernels, and the constants they freeze."""
    return [*sorted((_PACKAGE / "kernels").glob("*.py")), _PACKAGE / "dbn_codes.py", _PACKAGE / "units.py"]


def kernel_digest(sources: Sequence[Path] | None = None) -> str:
    """sha256 (16 hex digits) over the kernel sources and the versions that turn them into machine code."""
    digest = hashlib.sha256()
    for version in (numba.__version__, llvmlite.__version__, np.__version__, platform.python_version()):
        digest.update(version.encode() + b"\0")
    digest.update(Path(kernel_compiler.__file__).read_bytes())
    for path in kernel_sources() if sources is None else sources:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """Private folder of the compiled kernels: `NUMBA_CACHE_DIR` or the user's cache, plus the digest."""
    base = os.environ.get("NUMBA_CACHE_DIR")
    if base:
        return Path(base) / f"spymaster-{kernel_digest()}"
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "spymaster" / f"kernels-{kernel_digest()}"


def njit(signature: Any = None, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a kernel with `kernel_compiler`; an entry's machine code lies in `cache_folder()`.

    A function whose name begins with `_`, or that is forced into its callers, is a helper: only other
    kernels may call it. Every other one is an entry. With a signature an entry is compiled, or read from the
    cache, when it is first called or when `spymaster.compiling` prepares it; without one, for the types of
    its first call.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        if function.__name__.startswith("_") or options.get("forceinline"):
            return inner(signature, **options)(function)
        folder = cache_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        before = numba.config.CACHE_DIR
        # only while numba chooses the place of this function's files: other users of numba keep their own
        numba.config.CACHE_DIR = str(folder)
        try:
            return kernel_compiler.entry(signature, **options)(function)
        finally:
            numba.config.CACHE_DIR = before

    return decorate


def inner(signature: Any = None, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a kernel that only other kernels call, whatever its name; a signature fixes its types."""
    return kernel_compiler.helper(signature.args if signature else None, **options)
