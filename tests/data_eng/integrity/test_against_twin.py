"""Two books written apart must agree: the plain book of the checks, and the slow twin of the engine.

The twin's tables pass every check, and on streams full of faults both give the same rows.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import databento_dbn as dbn
from hypothesis import given
from hypothesis import strategies as st

from data_eng.integrity.book import check_futures_book
from data_eng.integrity.physics import check_physics
from data_eng.integrity.plain_book import Record
from data_eng.integrity.rebuild import check_rebuilt_snapshot, check_rebuilt_wall, rebuild_windows
from data_eng.integrity.rows import Rows
from data_eng.lake import Lake
from tests.naive.book import NaiveBook
from tests.naive.records import Rec

from .tables import (
    BRONZE,
    DT,
    RADAR,
    SECOND,
    SNAP,
    SYMBOL,
    T0,
    TICK,
    TRADES,
    WALL,
    MemoryLake,
    MemoryManifest,
    book_lake,
    bronze_table,
    physics_lake,
    records,
    to_table,
)

LAST, SNAPSHOT, BAD = int(dbn.F_LAST), int(dbn.F_SNAPSHOT), int(dbn.F_MAYBE_BAD_BOOK)
INSTRUMENT = 42


def twin_of(stream: list[Record]) -> NaiveBook:
    book = NaiveBook(INSTRUMENT)
    book.apply(
        Rec(r.ts_event, r.ts_recv, r.order_id, r.price, r.size, r.flags, r.action, r.side, INSTRUMENT, number)
        for number, r in enumerate(stream)
    )
    book.finish()
    return book


def lake_of(stream: list[Record], twin: NaiveBook) -> MemoryLake:
    tables = {
        BRONZE: bronze_table(stream),
        SNAP: to_table(SNAP, twin.snapshots),
        WALL: to_table(WALL, twin.wall),
        RADAR: to_table(RADAR, twin.radar),
        TRADES: to_table(TRADES, twin.trades),
    }
    manifest = MemoryManifest(engine_run="twin", counters=twin.counters)
    return MemoryLake(tables, dict.fromkeys(tables, manifest))


def faulty_stream(seed: int) -> list[Record]:
    """Records that break every habit of the feed, in a few seconds around a small book."""
    rng = random.Random(seed)
    stream = [Record(T0 - SECOND, T0, "A", "B", 100, 4790 * SECOND, 3, SNAPSHOT)]
    now = T0
    for _ in range(rng.randint(5, 80)):
        now += rng.choice([0, 0, 1, SECOND // 7, SECOND // 2, SECOND, 3 * SECOND])
        ts = now - rng.choice([0, 0, 0, 0, SECOND // 2, 2 * SECOND, 26 * 3_600 * SECOND])
        flags = rng.choice([0, LAST, LAST, LAST, LAST | 2])
        if rng.random() < 0.04:
            flags |= BAD
        if rng.random() < 0.10:
            flags |= SNAPSHOT
        price = 4800 * SECOND + rng.randint(-4, 4) * TICK + (rng.random() < 0.03)
        if rng.random() < 0.03:
            price = int(dbn.UNDEF_PRICE)
        size = rng.choice([0, 1, 2, 3, 5, 8, 13, 2**32 - 1 if rng.random() < 0.1 else 4])
        action = rng.choice("AAAAACCMMMTTFFFFNZ" + ("R" if rng.random() < 0.3 else "A"))
        side = rng.choice("AABBABABN")
        recv = max(ts, now) + rng.choice([0, 1_000, SECOND // 3]) - (2 * SECOND if rng.random() < 0.03 else 0)
        stream.append(Record(ts, recv, action, side, rng.randint(0, 9), price, size, flags))
    return stream


def differences(stream: list[Record], twin: NaiveBook) -> list[str]:
    """What the rebuild checks say about the twin's tables, with every window rebuilt."""
    if not twin.snapshots:
        return []
    snapshot = Rows.from_arrow(to_table(SNAP, twin.snapshots))
    windows = snapshot["window_end_ts_ns"].tolist()
    rebuilt = rebuild_windows(iter(stream), windows, TICK)
    wall = Rows.from_arrow(to_table(WALL, twin.wall))
    found = [check_rebuilt_wall(wall, rebuilt, len(windows)), check_rebuilt_snapshot(snapshot, rebuilt)]
    return [text for check in found for text in check.offenders]


def test_tables_of_the_twin_pass_every_check() -> None:
    stream = list(records())
    lake = lake_of(stream, twin_of(stream))
    found = check_futures_book(lake, SYMBOL, DT, samples=60)
    assert found.passed, found.lines()


@given(seed=st.integers(0, 10**9))
def test_plain_book_and_twin_agree_on_faulty_streams(seed: int) -> None:
    stream = faulty_stream(seed)
    assert differences(stream, twin_of(stream)) == []


TRUE_FINDINGS = {
    "enough_seen",
    "wall_rows_per_valid_window",
    "open_windows_uncrossed",
    "crossing_counters",
}
"""what a faulty feed really breaks: too little seen, and crossings in phase open"""


@given(seed=st.integers(0, 10**9))
def test_no_check_accuses_a_right_engine_of_the_faults_of_the_feed(seed: int) -> None:
    stream = faulty_stream(seed)
    twin = twin_of(stream)
    if twin.snapshots and twin.wall and twin.radar:
        windows = sum(row["spot_ref_price_int"] > 0 for row in twin.snapshots)
        found = check_futures_book(lake_of(stream, twin), SYMBOL, DT, samples=windows)
        assert {check.name for check in found.failed} <= TRUE_FINDINGS, found.lines()


def write(root: Path, memory: MemoryLake) -> Lake:
    lake = Lake(root)
    for dataset, made in memory.tables.items():
        manifest = memory.manifests[dataset]
        fields: dict[str, Any] = {
            "engine_run": manifest.engine_run,
            "params": manifest.params,
            "counters": manifest.counters,
            "calibration": manifest.calibration,
        }
        with lake.writer(dataset, SYMBOL, DT) as writer:
            writer.write(made)
            writer.finish(stage="test", origin="simulated", verified=True, code_version="test", **fields)
            writer.commit()
    return lake


def test_a_lake_on_disk_gives_the_findings_of_the_tables_in_memory(tmp_path: Path) -> None:
    lake = write(tmp_path / "lake", physics_lake())
    assert (
        check_futures_book(lake, SYMBOL, DT).to_json()
        == check_futures_book(book_lake(), SYMBOL, DT).to_json()
    )
    assert check_physics(lake, SYMBOL, DT).to_json() == check_physics(physics_lake(), SYMBOL, DT).to_json()
