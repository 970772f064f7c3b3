"""The goals of design 9, one function each: measure, and say whether the promise holds.

P1 to P6 and P9 are here, those of the service in `benches.serving_goals`.
"""

from __future__ import annotations

import functools
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq

from benches import children, equality, serving_goals, subjects
from benches.measure import (
    Check,
    Goal,
    Missing,
    Side,
    Spent,
    Stopwatch,
    interleave,
    missing,
    per_record,
    ratio,
)
from benches.setting import Setting
from data_eng._lake.encoding import parquet_options
from data_eng.kernels.jit import cache_folder
from data_eng.mbo import MBO_DTYPE, MboColumns
from data_eng.pipeline import STAGES
from data_eng.schema import table
from data_eng.stages.silver.future_mbo.book_engine import BookEngine
from data_eng.units import TICK_INT, WINDOW_NS

SURFACES: Final = "futures_surfaces"
P5_ROUNDS: Final = 3
"""most rounds of a whole day: one takes minutes"""
EMPTY_WINDOWS: Final = 40_000
RESTING_ORDERS: Final = 12_000
GIB: Final = 1 << 30


def p1_kernel(at: Setting) -> Goal:
    """Kernel against C on the same records in memory."""
    goal = Goal("P1", "compiled loop, apply and accumulators, against the same in C (CPU, records in memory)")
    name, bound = "kernel / C", 1.25
    day = at.day
    contestants: dict[str, Callable[[], Spent]] = {
        "kernel": lambda: subjects.kernel_in_memory(day),
        "engine to Arrow tables": lambda: subjects.engine_in_memory(day, wall=False, radar=False),
        "engine with radar": lambda: subjects.engine_in_memory(day, wall=False, radar=True),
        "engine with radar and walls": lambda: subjects.engine_in_memory(day, wall=True, radar=True),
    }
    try:
        c_book = at.c_book
        contestants = {"C": lambda: at.run_c(day), **contestants}
        goal.beside["compiler"] = c_book.command
    except Missing as why:
        goal.checks.append(missing(name, "<=", bound, why))
    rounds = interleave(contestants, at.rounds)
    if "C" in rounds:
        goal.checks.append(ratio(name, rounds, "kernel", "C", "<=", bound, "cpu", records=len(day.records)))
    goal.beside["cpu_ns_per_record"] = per_record(rounds, len(day.records))
    return goal


def p2_one_thread(at: Setting) -> Goal:
    """.dbn.zst to windows in one thread against nautilus_trader, plain Python, and zstd + C."""
    goal = Goal("P2", ".dbn.zst to windows (no walls, no radar) in one thread (CPU)")
    engine: dict[str, Callable[[], Spent]] = {"engine": lambda: subjects.engine_one_thread(at.day)}
    try:
        at.c_book  # noqa: B018 - says when it is missing
        engine |= {"zstd": lambda: subjects.zstd_alone(at.day.path), "C": lambda: at.run_c(at.day)}
        rounds = interleave(engine, at.rounds)
        records = len(at.day.records)
        goal.checks.append(
            ratio("engine / (zstd + C)", rounds, "engine", ["zstd", "C"], "<=", 1.25, "cpu", records=records)
        )
        goal.beside["cpu_ns_per_record"] = per_record(rounds, records)
    except Missing as why:
        goal.checks.append(missing("engine / (zstd + C)", "<=", 1.25, why))
    slow = at.peer_day
    peers: dict[str, Callable[[], Spent]] = {
        "engine": lambda: subjects.engine_one_thread(slow),
        "plain Python": lambda: subjects.plain_python(slow)[0],
    }
    with_peer: Missing | None = None
    try:
        peer = at.peer
        peers["nautilus_trader"] = lambda: peer.round()[0]
        goal.beside["nautilus_trader"] = peer.version
    except Missing as why:
        with_peer = why
    rounds = interleave(peers, at.rounds)
    records = slow.source.records
    if with_peer is None:
        goal.checks.append(
            ratio(
                "nautilus_trader load + apply / engine",
                rounds,
                "nautilus_trader",
                "engine",
                ">=",
                5,
                "cpu",
                records=records,
            )
        )
        goal.beside["nautilus_trader_default_cpu_ns_per_record"] = peer.default_ns_per_record(records)
    else:
        goal.checks.append(missing("nautilus_trader load + apply / engine", ">=", 5, with_peer))
    goal.checks.append(
        ratio("plain Python / engine", rounds, "plain Python", "engine", ">=", 12, "cpu", records=records)
    )
    goal.beside["peer_records"] = records
    return goal


def p3_pipelined(at: Setting) -> Goal:
    """Reader and engine on two cores against decompression alone."""
    goal = Goal("P3", ".dbn.zst to windows, reader and engine on two cores, against zstd alone (wall)")
    day = at.day
    rounds = interleave(
        {
            "engine, two threads": lambda: subjects.engine_pipelined(day),
            "zstd": lambda: subjects.zstd_alone(day.path),
            "engine with radar, two threads": lambda: subjects.engine_pipelined(day, radar=True),
            "engine with radar and walls, two threads": lambda: subjects.engine_pipelined(
                day, radar=True, wall=True
            ),
        },
        at.rounds,
    )
    records = day.source.records
    goal.checks.append(
        ratio("engine / zstd", rounds, "engine, two threads", "zstd", "<=", 1.25, "wall", records=records)
    )
    goal.beside["wall_ns_per_record"] = per_record(rounds, records, "wall")
    return goal


def p4_bronze(at: Setting) -> Goal:
    """Replay from Bronze against replay from the file, and its size."""
    goal = Goal("P4", "replay from Bronze Parquet against replay from .dbn.zst (wall), and its size")
    day, lake = at.day, at.lake
    rounds = interleave(
        {
            "from Bronze": lambda: subjects.engine_from_bronze(day, lake),
            "from .dbn.zst": lambda: subjects.engine_pipelined(day),
        },
        at.rounds,
    )
    records = day.source.records
    goal.checks.append(
        ratio("Bronze / .dbn.zst", rounds, "from Bronze", "from .dbn.zst", "<=", 0.9, "wall", records=records)
    )
    folder = lake.partition_dir(subjects.MBO, day.symbol, day.dt)
    parquet = sum(p.stat().st_size for p in folder.glob("*.parquet"))
    raw = day.path.stat().st_size
    goal.checks.append(
        Check(
            "Bronze bytes / .dbn.zst bytes",
            parquet / raw,
            "<=",
            0.85,
            Side("Bronze", parquet / records, "bytes/record"),
            Side(".dbn.zst", raw / records, "bytes/record"),
        )
    )
    return goal


def p5_whole_day(at: Setting) -> Goal:
    """All futures tables of the day, against pyarrow writing the same; and what an idle second costs."""
    goal = Goal(
        "P5", "book engine and every stage after it, against pyarrow alone writing the same tables (wall)"
    )
    day = at.day
    first = at.whole_day  # Bronze is there now, and the first round is done
    runs: list[dict[str, Any]] = []

    def pipeline() -> Spent:
        runs.append(
            first
            if not runs
            else children.run_pipeline(day.path, at.lake.root, day.dt, day.symbol, from_stage=SURFACES)
        )
        secs = sum(s for name, s, _ in runs[-1]["stages"] if name in _FROM_SURFACES)
        return Spent(0.0, secs)

    written: list[dict[str, float]] = []

    def pyarrow_alone() -> Spent:
        written.append(_write_again(at, _tables_of(at, first)))
        return Spent(0.0, sum(written[-1].values()))

    rounds = interleave({"pipeline": pipeline, "pyarrow": pyarrow_alone}, min(at.rounds, P5_ROUNDS))
    goal.checks.append(ratio("pipeline / pyarrow", rounds, "pipeline", "pyarrow", "<=", 1.6, "wall"))
    goal.checks.append(_empty_windows(at.rounds))
    last = runs[-1]
    goal.beside |= {
        "stages": {name: {"secs": round(secs, 2), "rows": rows} for name, secs, rows in first["stages"]},
        "pyarrow_secs": {name: round(secs, 2) for name, secs in written[-1].items()},
        "profile_wall_secs": {
            stage: {
                part: {"calls": calls, "secs": round(secs, 2)}
                for part, (calls, secs) in sorted(parts.items())
            }
            for stage, parts in last["profile"].items()
        },
        "profile_note": "wall seconds inside the named calls; reader, engine and writer threads overlap",
    }
    return goal


def p6_memory(at: Setting) -> Goal:
    """Peak memory of the whole pipeline for a quarter of the day and for all of it."""
    goal = Goal("P6", "peak memory of the whole futures pipeline, a quarter of the day and the day")
    long = at.whole_day["peak_bytes"]
    short = at.quarter_day["peak_bytes"]
    goal.checks += [
        Check("peak memory", max(long, short) / GIB, "<=", 1.0, Side("day", long / GIB, "GiB"), unit="GiB"),
        Check(
            "peak of the day / peak of a quarter",
            long / short,
            "<=",
            1.1,
            Side("day", long / GIB, "GiB"),
            Side("quarter of the day", short / GIB, "GiB"),
        ),
    ]
    return goal


def p9_start(at: Setting) -> Goal:
    """How long a user waits at the start."""
    goal = Goal("P9", "time to help, time to the first window, and a cache that is full after one process")
    helps, windows = [], []
    children.run_child("first-window", str(at.given), until_answer=True)  # warms the cache
    for _ in range(at.rounds):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-m", "spymaster.cli", "--help"], check=True, capture_output=True)
        helps.append(time.perf_counter() - begin)
        windows.append(children.run_child("first-window", str(at.given), until_answer=True)["wall"])
    small = at.small_day
    counts = []
    for turn in range(2):
        children.run_pipeline(small.path, at.folder / f"start{turn}", small.dt, small.symbol)
        counts.append(len([p for p in cache_folder().rglob("*") if p.is_file()]))
    goal.checks += [
        _median("spymaster --help", helps, 1.0),
        _median("process start to first window, warm", windows, 2.0),
        Check("files that a second process adds to the kernel cache", counts[1] - counts[0], "<=", 0),
    ]
    goal.beside["cache_files"] = counts[1]
    return goal


GOALS: Final[dict[str, Callable[[Setting], Goal]]] = {
    "P1": p1_kernel,
    "P2": p2_one_thread,
    "P3": p3_pipelined,
    "P4": p4_bronze,
    "P5": p5_whole_day,
    "P6": p6_memory,
    "P9": p9_start,
    "P10": serving_goals.p10_fan_out,
    "P11": serving_goals.p11_whole_day,
}


def prove_equal(at: Setting) -> tuple[list[str], list[str]]:
    """Compare everything -> what was found equal, and what could not be compared. Raises `BenchError`."""
    engine, windows = equality.run_engine(at.day)
    said: list[str] = []
    absent: list[str] = []
    try:
        result = at.c_result(at.day)
        said += [
            equality.same_depth(engine.depth(), result.depth(), "C"),
            equality.same_rows(windows, result),
            equality.same_flows(at.day, at.c_book),
        ]
    except Missing as why:
        absent.append(f"C: {why}")
    said.append(equality.same_as_twin(at.day))
    slow_engine, slow_windows = equality.run_engine(at.peer_day)
    book = subjects.plain_python(at.peer_day)[1]
    said += [
        equality.same_depth(slow_engine.depth(), book.depth, "plain Python"),
        equality.same_python_bests(slow_windows, book),
    ]
    try:
        for name, depth in at.peer.depths().items():
            said.append(equality.same_depth(slow_engine.depth(), depth, name))
    except Missing as why:
        absent.append(f"nautilus_trader: {why}")
    return said, absent


# ------------------------------------------------------------------------------------------------ helpers


def _downstream_of_surfaces() -> frozenset[str]:
    """`futures_surfaces` and every stage that needs, directly or through others, what it makes."""
    made: set[str] = set()
    names: set[str] = set()
    for stage in STAGES:
        if stage.name == SURFACES or made & {*stage.inputs, *stage.optional_inputs}:
            names.add(stage.name)
            made |= set(stage.outputs)
    return frozenset(names)


_FROM_SURFACES: Final = _downstream_of_surfaces()


def _tables_of(at: Setting, run: dict[str, Any]) -> list[str]:
    ran = {name for name, _, _ in run["stages"]} & _FROM_SURFACES
    return [dataset for stage in STAGES if stage.name in ran for dataset in stage.outputs]


def _write_again(at: Setting, datasets: list[str]) -> dict[str, float]:
    """Wall seconds that pyarrow's ParquetWriter takes for the rows of each table, which lie in memory.

    One row group is read before its write is timed; encodings, row groups and rows are those of the lake.
    """
    found = {}
    for dataset in datasets:
        declared = table(dataset)
        target = at.folder / "pyarrow-alone.parquet"
        with Stopwatch() as watch:
            writer = pq.ParquetWriter(target, declared.arrow_schema, **parquet_options(declared))
        for part in sorted(at.lake.partition_dir(dataset, at.day.symbol, at.day.dt).glob("*.parquet")):
            file = pq.ParquetFile(part)
            for group in range(file.num_row_groups):
                rows = file.read_row_group(group).cast(declared.arrow_schema)
                with watch:
                    writer.write_table(rows, row_group_size=rows.num_rows)
        with watch:
            writer.close()
        target.unlink()
        found[dataset] = watch.spent.wall
    return found


def _empty_windows(rounds: int) -> Check:
    """An idle second of a book with 12,000 resting orders against one of an empty book."""
    contestants = {
        "with orders": functools.partial(_idle, RESTING_ORDERS),
        "empty book": functools.partial(_idle, 0),
    }
    interleave(contestants, 1)
    times = interleave(contestants, rounds)
    name = f"idle second with {RESTING_ORDERS:,} orders / with none"
    return ratio(
        name, times, "with orders", "empty book", "<=", 1.5, "cpu", records=EMPTY_WINDOWS, each="window"
    )


def _idle(orders: int) -> Spent:
    """Close `EMPTY_WINDOWS` windows in which nothing happens (no walls, no radar)."""
    begin_ns = 1_703_548_800 * 1_000_000_000
    rows = np.zeros(orders + 2, MBO_DTYPE)
    rows["length"], rows["rtype"], rows["instrument_id"] = MBO_DTYPE.itemsize // 4, 160, 1
    rows["ts_event"] = rows["ts_recv"] = begin_ns
    rows["flags"], rows["action"], rows["side"] = 128, ord("A"), ord("B")
    rows["order_id"], rows["size"] = np.arange(1, orders + 3), 1
    rows["price"] = (19_000 - np.arange(orders + 2) % 1_000) * TICK_INT
    rows["action"][:2], rows["order_id"][1] = (ord("A"), ord("C")), 1  # an event that leaves no order
    engine = BookEngine(1, wall=False, radar=False)
    engine.apply(MboColumns.from_records(rows))
    settled = begin_ns // WINDOW_NS * WINDOW_NS + 60 * WINDOW_NS
    engine.advance(settled)  # until here young orders come to rest
    if engine.order_count() != orders:
        raise AssertionError(f"the idle book holds {engine.order_count()} orders, expected {orders}")
    with Stopwatch() as watch:
        windows = engine.advance(settled + EMPTY_WINDOWS * WINDOW_NS)
    if windows.book_snapshot_1s.num_rows != EMPTY_WINDOWS:
        raise AssertionError(f"{windows.book_snapshot_1s.num_rows} idle windows, expected {EMPTY_WINDOWS}")
    return watch.spent


def _median(name: str, secs: list[float], bound: float) -> Check:
    value = statistics.median(secs)
    return Check(name, value, "<=", bound, Side(name, value), clock="wall", per_round=tuple(secs), unit="s")
