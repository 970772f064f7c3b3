"""The options of a whole day that lies in a lake: Bronze to the gamma tables against reading that Bronze.

    uv run python -m benches.chain_day LAKE --dt 2026-01-06 --symbol ESH6 --rounds 3

`spymaster run` has made Bronze, snapshot and statistics_clean there before; the third contestant writes the
stage's tables there once more, the same bytes. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benches.measure import BenchError, Goal, Spent, Stopwatch, interleave, per_record, ratio
from data_eng.lake import Lake
from data_eng.mbo import BRONZE_MBO_COLUMNS, MboColumns
from data_eng.params import RunParams
from data_eng.pipeline import run
from data_eng.planner import Request
from data_eng.stages.silver.future_option_mbo import compute_gex_surface_1s as gamma


@dataclass(frozen=True)
class Day:
    """Options of one contract and date in a lake."""

    lake: Lake
    dt: str
    symbol: str

    def read(self) -> Spent:
        """Decode the columns that the books need, in the calling thread, and nothing else."""
        with Stopwatch() as watch:
            rows = sum(MboColumns.from_bronze(batch).rows for batch in self._batches())
        if rows != self.records:
            raise BenchError(f"{rows} records were read, the manifest names {self.records}")
        return watch.spent

    def tables(self) -> Spent:
        """Bronze to Arrow tables, as the stage makes them."""
        tables = [
            self.lake.read(name, self.symbol, self.dt)
            for name in (gamma.DEFINITIONS, gamma.STATISTICS, gamma.SNAPSHOT)
        ]
        report = gamma.GexReport()
        exposed = 0.0
        with Stopwatch() as watch:
            for block in gamma.compute_gex(
                self._batches(), *tables, contract=self.symbol, dt=self.dt, report=report, threads=True
            ):
                exposed += float(np.sum(block.gex.column("gex_abs").to_numpy()))
        if not exposed > 0 or report.counters["records"] != self.records:
            raise BenchError(f"no exposure, or not every record was taken: {report.counters}")
        return watch.spent

    def stage(self) -> Spent:
        """The whole stage: the same, checked, encoded and made durable."""
        with Stopwatch() as watch:
            run(self.lake, self.dt, self.symbol, RunParams(), Request(only=(gamma.STAGE.name,), force=True))
        return watch.spent

    @property
    def records(self) -> int:
        """Option records in Bronze."""
        return self.lake.manifest(gamma.OPTION_MBO, self.symbol, self.dt).row_count

    def _batches(self) -> Iterator[pa.RecordBatch]:
        return self.lake.iter_batches(gamma.OPTION_MBO, self.symbol, self.dt, BRONZE_MBO_COLUMNS)


def measure(day: Day, rounds: int) -> Goal:
    """Interleaved rounds over the whole day; the first round, which compiles, is not counted."""
    goal = Goal("P7", "options of a whole day, Bronze to the gamma tables (wall)")
    contestants = {"reading Bronze": day.read, "to tables": day.tables, "to files": day.stage}
    interleave({"to tables": day.tables}, 1)
    after_tables = _peak_bytes()
    times = interleave(contestants, rounds)
    records = day.records
    name = "Bronze to the gamma tables / reading Bronze"
    goal.checks.append(ratio(name, times, "to tables", "reading Bronze", "<=", 3, "wall", records=records))
    spent = per_record(times, records, "wall")
    goal.beside = {
        "records": records,
        "wall_ns_per_record": spent,
        "peak_bytes": {"to tables": after_tables, "whole": _peak_bytes()},
        "files_over_reading": round(spent["to files"] / spent["reading Bronze"], 2),
        "decoding_threads": pa.cpu_count(),
    }
    return goal


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(argv: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("lake", type=Path)
    parser.add_argument("--dt", default="2026-01-06")
    parser.add_argument("--symbol", default="ESH6")
    parser.add_argument("--rounds", type=int, default=3)
    given: Any = parser.parse_args(argv)
    # pyarrow would spread the columns of a row group over all cores: one thread reads, for both contestants
    pa.set_cpu_count(1)
    goal = measure(Day(Lake(given.lake), given.dt, given.symbol), given.rounds)
    sys.stdout.write(json.dumps(goal.to_json(), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
