"""A process that compiles: reads names of modules, compiles their entries, says what is done.

    python -m kernel_compiler.worker    # one module on each line of standard input; answers "done name"

One process compiles several modules, because importing numba takes as long as compiling a small kernel.
"""

from __future__ import annotations

import gc
import importlib
import sys

from kernel_compiler import Entry
from kernel_compiler.shortcuts import take_shortcuts


def compile_module(name: str) -> int:
    """Compile every entry of a module, or read it from the cache; returns how many there are."""
    entries = [value for value in vars(importlib.import_module(name)).values() if isinstance(value, Entry)]
    for one in entries:
        one.ready()
    return len(entries)


def main() -> int:
    """Entry point; returns the exit code. Ends with standard input, or at the first failure."""
    gc.disable()  # numba's graphs live as long as the process, and walking them is 5 % of the time
    take_shortcuts()
    for line in sys.stdin:
        name = line.strip()
        compile_module(name)
        sys.stdout.write(f"done {name}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
