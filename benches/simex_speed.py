"""Speed of the simulator and of the demo: goal P12, `tiny`, and the time from nothing to a picture.

    uv run python -m benches.simex_speed                # P12 and tiny, half a minute
    uv run python -m benches.simex_speed --cold-demo    # also spymaster demo with an empty kernel cache

P12 counts the records of the front contract against the CPU of the compiled loop of agents and matching
engine, which is what the simulator is; DBN encoding, zstd, truth files and hashes stand beside it. Medians
over rounds in one process with warm kernels; the same seed has to give the same bytes in every round.
Exit code 1 when a goal is not met. A busy machine makes all of it slower: the load stands in the output.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from simex import futures_kernel, simulate

DATE: Final = "2026-01-06"
SEED: Final = 7
P12_RECORDS_PER_S: Final = 1_000_000
TINY_S: Final = 3.0
PICTURE_S: Final = 60.0
PICTURE_MARK: Final = "note picture: "


class LoopClock:
    """CPU seconds inside the compiled loop of the future, while it is entered."""

    def __init__(self) -> None:
        self.cpu_s = 0.0
        self._loop = futures_kernel.run

    def __enter__(self) -> LoopClock:
        def timed(*arguments: Any) -> Any:
            begun = time.thread_time()
            try:
                return self._loop(*arguments)
            finally:
                self.cpu_s += time.thread_time() - begun

        futures_kernel.run = timed
        return self

    def __exit__(self, *_: object) -> None:
        futures_kernel.run = self._loop


def one_round(folder: Path, preset: str, **options: Any) -> dict[str, Any]:
    """Simulate once -> wall, CPU and loop seconds, records of the front contract, hashes of the files."""
    wall, cpu = time.perf_counter(), time.process_time()
    with LoopClock() as loop:
        made = simulate(DATE, preset, SEED, folder, **options)
    return {
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "loop_cpu_s": loop.cpu_s,
        "records": made.meta["parameters"]["futures_records"],
        "hashes": {name: file["sha256"] for name, file in made.meta["files"].items()},
    }


def rounds(count: int, preset: str, **options: Any) -> list[dict[str, Any]]:
    """One unmeasured round that loads the kernels, then `count` rounds. Raises when their bytes differ."""
    done = []
    for _ in range(count + 1):
        with tempfile.TemporaryDirectory(prefix="spymaster-simex-") as folder:
            done.append(one_round(Path(folder) / "out", preset, **options))
    if any(one["hashes"] != done[0]["hashes"] for one in done):
        raise SystemExit(f"{preset}: the same seed gave different bytes; no time is given")
    return done[1:]


def cold_demo() -> dict[str, float]:
    """`spymaster demo` in a new process with an empty kernel cache -> seconds to the picture and in all.

    picture_s, all_s: wall; all_cpu_s: user and system time of the demo and of the children that compile.
    """
    with tempfile.TemporaryDirectory(prefix="spymaster-cold-") as folder:
        command = [sys.executable, "-m", "spymaster.cli", "demo", "--no-serve", "--lake", f"{folder}/lake"]
        begun, cpu_before = time.perf_counter(), _children_cpu_s()
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "NUMBA_CACHE_DIR": f"{folder}/kernels"},
        )
        assert process.stdout is not None
        picture_s = float("nan")
        for line in process.stdout:
            if line.startswith(PICTURE_MARK):
                picture_s = time.perf_counter() - begun
        if process.wait() != 0:
            raise SystemExit(f"spymaster demo ended with exit code {process.returncode}")
        return {
            "picture_s": picture_s,
            "all_s": time.perf_counter() - begun,
            "all_cpu_s": _children_cpu_s() - cpu_before,
        }


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def median(done: list[dict[str, Any]], key: str) -> float:
    """Median over the rounds."""
    return float(statistics.median(one[key] for one in done))


def main() -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds (default 5)")
    parser.add_argument("--cold-demo", action="store_true", help="also the demo with an empty kernel cache")
    chosen = parser.parse_args()
    small = rounds(chosen.rounds, "small", options=False, with_=())
    records = small[0]["records"]
    per_s = records / median(small, "loop_cpu_s")
    rows = [
        ("P12: records of the future per second of CPU, agents and matching engine",
         f"{per_s / 1e6:.2f} M", ">= 1 M", per_s >= P12_RECORDS_PER_S),
        (f"the same with DBN, zstd, truth files and hashes (small, {records:,} records)",
         f"{records / median(small, 'cpu_s') / 1e6:.2f} M", "", True),
    ]  # fmt: skip
    tiny = rounds(chosen.rounds, "tiny")
    tiny_s = median(tiny, "wall_s")
    rows.append(("tiny, future and options, wall", f"{tiny_s:.2f} s", "< 3 s", tiny_s < TINY_S))
    rows.append(("tiny, CPU", f"{median(tiny, 'cpu_s'):.2f} s", "", True))
    if chosen.cold_demo:
        demo = cold_demo()
        shown = demo["picture_s"]
        rows.append(
            ("demo to its picture, empty kernel cache, wall", f"{shown:.0f} s", "< 60 s", shown < PICTURE_S)
        )
        rows.append(("demo with all checks, wall", f"{demo['all_s']:.0f} s", "", True))
        rows.append(("the same, CPU of all its processes", f"{demo['all_cpu_s']:.0f} s", "", True))
    load = os.getloadavg()[0]
    lines = ["| What | Value | Promise | Met |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {what} | {value} | {goal} | {('yes' if met else 'NO') if goal else ''} |"
        for what, value, goal, met in rows
    ]
    lines.append(f"\n{chosen.rounds} rounds, {os.cpu_count()} cores, load {load:.1f}")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if all(met for *_, met in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
