"""A tiny file such as the bench takes: a snapshot, then adds, cancels, modifies, trades and fills."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_eng.dbn_codes import F_LAST, F_SNAPSHOT
from data_eng.units import TICK_INT
from tests.dbn_samples import day_start_ns, mbo_record, write_dbn

MID = 6_950_000_000_000


def small_day(events: int = 300) -> np.ndarray:
    """About 800 records over 30 s, the same each time; the book never crosses."""
    start = day_start_ns() + 15 * 3_600 * 10**9
    random = np.random.default_rng(7)
    rows: list[np.ndarray] = []
    live: dict[int, tuple[str, int, int]] = {}

    def put(action: str, key: int, order: tuple[str, int, int], ts: int, flags: int) -> None:
        side, price, size = order
        row = mbo_record(action, side, price, size, key, ts=ts, flags=flags, sequence=len(rows) + 1)
        rows.append(row)

    def price_of(side: str) -> int:
        away = int(random.integers(1, 30)) * TICK_INT
        return MID - away if side == "B" else MID + away

    for key in range(1, 61):
        side = "BA"[key % 2]
        live[key] = (side, price_of(side), int(random.integers(1, 20)))
        put("A", key, live[key], start - 10**9, F_SNAPSHOT | (F_LAST if key == 60 else 0))
        rows[-1]["ts_recv"] = start
    for number in range(events):
        ts = start + number * 100_000_000
        kind = random.choice(["add", "cancel", "modify", "trade"])
        key = int(random.choice(list(live)))
        side, price, size = live[key]
        if kind == "add" or len(live) < 20:
            key = 1_000 + number
            side = "BA"[number % 2]
            live[key] = (side, price_of(side), int(random.integers(1, 20)))
            put("A", key, live[key], ts, F_LAST)
        elif kind == "cancel":
            gone = int(random.integers(1, size + 1))
            put("C", key, (side, price, gone), ts, F_LAST)
            if gone == size:
                del live[key]
            else:
                live[key] = (side, price, size - gone)
        elif kind == "modify":
            live[key] = (side, price_of(side), int(random.integers(1, 20)))
            put("M", key, live[key], ts, F_LAST)
        else:
            put("T", 0, ("A" if side == "B" else "B", price, size), ts, 0)
            put("F", key, (side, price, size), ts, 0)
            put("C", key, (side, price, size), ts, F_LAST)
            del live[key]
    return np.concatenate(rows)


@pytest.fixture(scope="session")
def small_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny day as .dbn.zst."""
    path = tmp_path_factory.mktemp("bench") / "small.mbo.dbn.zst"
    write_dbn(path, small_day())
    return path
