"""Where a command meets the shell: exit codes, error texts, JSON.

Exit codes (spec 11): 0 pass, 1 fail, 2 usage or missing data. A `SpymasterError` is one clear message
on standard error; any other exception is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any, NoReturn

from cyclopts import App

from data_eng.errors import SpymasterError

ARROW_RESERVES_KIB = 65_536
"""address space that Arrow's allocator takes at a time, by itself 1 GiB"""
MALLOC_ARENAS = 4
"""glibc reserves 64 MiB for each thread's arena: with 16 cores 1 GiB for nothing"""
_M_ARENA_MAX = -8

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_CODES = "Exit codes: 0 = ok, 1 = a check or a run failed, 2 = usage or missing data."
"""foot of every help text"""


def run_app(app: App, tokens: Sequence[str] | None = None) -> int:
    """Parse `tokens` (default: the command line), run the command, and return its exit code."""
    app.suppress_keyboard_interrupt = False  # cyclopts would exit with 130; ours is 1, and says so
    _spare_address_space()
    try:
        result = app(None if tokens is None else list(tokens), result_action="return_value")
        sys.stdout.flush()
    except SpymasterError as error:
        complain(f"{app.name[0]}: {error}")
        return error.exit_code
    except MemoryError as error:
        complain(
            f"{app.name[0]}: out of memory ({error}); what was not finished is as it was before;"
            " give the process more memory (a day needs 1 GiB, 2 GiB of address space), then run it again"
        )
        return EXIT_FAILED
    except KeyboardInterrupt:
        complain(f"{app.name[0]}: interrupted")
        return EXIT_FAILED
    except BrokenPipeError:  # the reader of a pipe went away (`| head`): nothing is left to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    return result if isinstance(result, int) else EXIT_OK


def _spare_address_space() -> None:
    """Let a day run under `ulimit -v` of 2 GiB on any number of cores. Before pyarrow is loaded.

    Measured on a real day with 16 threads: 2.9 GiB of address space before, 1.5 GiB with it, of which
    0.7 GiB are used; what the user has set stays.
    """
    os.environ.setdefault("MIMALLOC_ARENA_RESERVE", str(ARROW_RESERVES_KIB))
    if "MALLOC_ARENA_MAX" not in os.environ:
        with contextlib.suppress(OSError, AttributeError):  # another C library has no such arenas
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, MALLOC_ARENAS)


class _NoPandas(MetaPathFinder):
    """Says that pandas is not installed."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        """None, which leaves the module to the other finders, or `ModuleNotFoundError`."""
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is left out of the command line", name=fullname)


def leave_pandas_out() -> None:
    """For a process that is only our command line: no library may load pandas.

    pyarrow loads it, where it is installed, to ask whether an array it is given is a pandas object: half a
    second, three without bytecode files, for a question that our code always answers with no.
    """
    sys.meta_path.insert(0, _NoPandas())


def run_script(command: Callable[..., int]) -> NoReturn:
    """Body of a script: `command` with its own options, named after the script. Exits."""
    leave_pandas_out()
    app = App(name=Path(sys.argv[0]).name, version_flags=(), help_epilogue=EXIT_CODES)
    app.default(command)
    sys.exit(run_app(app))


def say(*lines: str) -> None:
    """Lines of an answer, on standard output."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def say_json(document: Any) -> None:
    """An answer as one JSON document on standard output, keys sorted."""
    say(json.dumps(document, indent=2, sort_keys=True))


def complain(text: str) -> None:
    """What went wrong, on standard error."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def size_text(size_bytes: int) -> str:
    """Bytes for people: ``1.2 MB`` (powers of ten)."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
