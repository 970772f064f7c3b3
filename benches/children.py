"""Runs in processes of their own: the pipeline with its memory and profile, and the first window.

``python -m benches.children pipeline '{...}'`` and ``python -m benches.children first-window FILE`` answer
with one JSON line. A fresh process is needed because peak memory and start-up time belong to a process.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any, Final

REPOSITORY: Final = Path(__file__).resolve().parents[1]


# ------------------------------------------------------------------------------------------- parent's side


def run_child(*arguments: str, until_answer: bool = False) -> dict[str, Any]:
    """Answer of a child, with `wall` seconds from its start to its end (or to its answer).

    Raises `RuntimeError` with the end of its standard error when it fails.
    """
    begin = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "benches.children", *arguments],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        line = child.stdout.readline()
        answered = time.perf_counter() - begin
        fault = child.stderr.read()
        code = child.wait()
    if code or not line:
        raise RuntimeError(f"child {arguments[0]} ended with {code}: {fault.strip()[-2000:]}")
    found: dict[str, Any] = json.loads(line)
    return {**found, "wall": answered if until_answer else time.perf_counter() - begin}


def run_pipeline(
    raw: Path, lake: Path, dt: str, symbol: str, *, only: tuple[str, ...] = (), from_stage: str | None = None
) -> dict[str, Any]:
    """The futures pipeline in a child -> `stages` [name, secs, rows], `profile`, `peak_bytes`, `wall`."""
    order = {"raw": str(raw), "lake": str(lake), "dt": dt, "symbol": symbol, "only": only, "from": from_stage}
    return run_child("pipeline", json.dumps(order))


# -------------------------------------------------------------------------------------------- child's side


class Profile:
    """Calls and wall seconds by stage and part; parts in other threads overlap, so they need not add up."""

    def __init__(self) -> None:
        self.stage = ""
        self.found: dict[str, dict[str, list[float]]] = {}

    def add(self, part: str, secs: float) -> None:
        """Count one call."""
        entry = self.found.setdefault(self.stage, {}).setdefault(part, [0, 0.0])
        entry[0] += 1
        entry[1] += secs

    def watch(self, owner: Any, name: str, part: str) -> None:
        """Time every call of `owner.name` from now on; calls are few and long, so timing costs nothing."""
        function: Callable[..., Any] = getattr(owner, name)

        @wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            begin = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.add(part, time.perf_counter() - begin)

        setattr(owner, name, timed)

    def watch_items(self, owner: Any, name: str, part: str) -> None:
        """Time every item of an iterator that `owner.name` gives."""
        function: Callable[..., Iterator[Any]] = getattr(owner, name)

        @wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Iterator[Any]:
            items = function(*args, **kwargs)
            while True:
                begin = time.perf_counter()
                item = next(items, None)
                self.add(part, time.perf_counter() - begin)
                if item is None:
                    return
                yield item

        setattr(owner, name, timed)


def _pipeline(order: dict[str, Any]) -> dict[str, Any]:
    import pyarrow.parquet as pq

    from data_eng import lake as lake_module
    from data_eng import pipeline, raw_files
    from data_eng._lake import disk, writer
    from data_eng.kernels import book as kernel
    from data_eng.params import RunParams
    from data_eng.planner import Request
    from data_eng.schema.column import Table
    from data_eng.stage import SilentReporter
    from data_eng.stages.silver.future_mbo.book_engine import BookEngine

    profile = Profile()
    profile.watch(Table, "validate", "validate")
    profile.watch(writer, "canonical", "canonical form")
    profile.watch(pq.ParquetWriter, "write_table", "parquet")
    profile.watch(disk.Disk, "fsync", "fsync")
    profile.watch(kernel, "drive", "book kernel")
    profile.watch(BookEngine, "take", "rows to arrow")
    profile.watch_items(lake_module.Lake, "iter_batches", "read parquet")

    class Told(SilentReporter):
        def stage_start(self, name: str) -> None:
            profile.stage = name

    report = pipeline.run(
        lake_module.Lake(Path(order["lake"])),
        order["dt"],
        order["symbol"],
        RunParams(no_gex=True),
        Request(only=tuple(order["only"]), from_stage=order["from"]),
        raw=lambda: raw_files.discover(Path(order["raw"])),
        report=Told(),
    )
    return {
        "stages": [[r.name, r.secs, r.rows] for r in report.stages if r.ran],
        "profile": profile.found,
        "peak_bytes": peak_bytes(),
    }


def peak_bytes() -> int:
    """Most memory this process ever held.

    Linux keeps ru_maxrss across exec, so a child would answer with its parent's peak; VmHWM is its own.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _first_window(path: Path) -> dict[str, Any]:
    """A process that gets one block of a file and wants to see its first window."""
    from data_eng.dbn_reader import iter_mbo_blocks
    from data_eng.mbo import MboColumns
    from data_eng.stages.silver.future_mbo.book_engine import BookEngine

    engine: BookEngine | None = None
    for block in iter_mbo_blocks(path):
        engine = engine or BookEngine(int(block["instrument_id"][0]))
        windows = engine.apply(MboColumns.from_records(block))
        if windows.book_snapshot_1s.num_rows:
            return {"windows": windows.book_snapshot_1s.num_rows}
    raise SystemExit(f"{path} holds no whole second")


def main(arguments: list[str]) -> int:
    """Do what the first argument says; returns the exit code."""
    what, order = arguments
    answer = _pipeline(json.loads(order)) if what == "pipeline" else _first_window(Path(order))
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
