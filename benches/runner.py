"""The whole bench: prove equality, measure goal by goal, and give one document back."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from benches.goals import GOALS, prove_equal
from benches.setting import Setting, commit, machine
from data_eng.errors import UsageError

LIBRARIES: Final = ("numba", "numpy", "pyarrow", "zstandard")


def chosen_goals(only: str) -> list[str]:
    """``"P1,P3"`` -> names in the order of `GOALS`; empty = all. Raises `UsageError`."""
    wanted = [name.strip().upper() for name in only.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in GOALS]
    if unknown:
        raise UsageError(f"--only {', '.join(unknown)}: no such goal, expected some of {', '.join(GOALS)}")
    return [name for name in GOALS if not wanted or name in wanted]


def run(
    given: Path,
    *,
    records: int = 10_000_000,
    peer_records: int = 2_000_000,
    rounds: int = 5,
    only: str = "",
    peer_python: Path | None = None,
    command: Sequence[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Measure the goals named in `only` on `given` -> document with a key per goal.

    Raises `UsageError` (unknown goal, no rounds), `MissingDataError` and `RawDataError` (the file),
    `BenchError` (something is not equal; then no time is given).
    """
    names = chosen_goals(only)
    if rounds < 1 or records < 1 or peer_records < 1:
        raise UsageError("--rounds, --records and --peer-records have to be 1 or more")
    with tempfile.TemporaryDirectory(prefix="spymaster-bench-") as folder:
        at = Setting(given, Path(folder), records, peer_records, rounds, peer_python, say)
        try:
            at.given_day.source  # noqa: B018 - refuses a file that cannot be used before anything is made
            say("proving equality")
            equal, absent = prove_equal(at)
            for sentence in [*equal, *(f"not compared with {text}" for text in absent)]:
                say(f"  {sentence}")
            goals = {}
            for name in names:
                say(f"measuring {name}")
                goals[name] = GOALS[name](at).to_json()
            return {
                **goals,
                "equal": equal,
                "not_compared": absent,
                "machine": machine(),
                "python": platform.python_version(),
                "libraries": {name: version(name) for name in LIBRARIES},
                "commit": commit(),
                "input": {"name": given.name, "sha256": at.given_day.sha256},
                "measured": {
                    "records": at.day.source.records,
                    "windows": at.day.seconds,
                    "sha256": at.day.sha256,
                },
                "rounds": rounds,
                "command": " ".join(command),
            }
        finally:
            at.close()
