"""Sampled windows, rebuilt from Bronze by the plain book and compared value by value (spec 11)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Final

from data_eng.integrity.findings import Check, Tally
from data_eng.integrity.plain_book import Level, LevelKey, PlainBook, PlainWindow, Record
from data_eng.integrity.rows import Rows, window_name
from data_eng.units import PRICES_PER_POINT

SNAPSHOT_VALUES: Final = (
    "best_bid_price_int",
    "best_bid_qty",
    "best_ask_price_int",
    "best_ask_qty",
    "last_trade_price_int",
    "spot_ref_price_int",
    "book_valid",
    "crossed_event_count",
    "event_count",
    "buy_qty",
    "sell_qty",
    "trade_count",
    "available_ts_ns",
)
"""snapshot columns that the plain book knows too"""
LEVEL_VALUES: Final = Level._fields


def sample_windows(snapshot: Rows, samples: int, seed: int) -> list[int]:
    """`samples` window_end values with spot > 0, ascending, the same for the same seed."""
    windows = snapshot["window_end_ts_ns"][snapshot["spot_ref_price_int"] > 0].tolist()
    return sorted(random.Random(seed).sample(windows, min(samples, len(windows))))


def rebuild_windows(
    records: Iterable[Record], windows: Iterable[int], tick_int: int
) -> dict[int, PlainWindow]:
    """Windows by window_end, from one pass over `records` up to the last of them."""
    wanted = set(windows)
    rebuilt: dict[int, PlainWindow] = {}
    book = PlainBook(tick_int, wanted)
    for window in book.feed(records):
        rebuilt[window.window_end_ts_ns] = window
        if len(rebuilt) == len(wanted):
            return rebuilt
    rebuilt.update((window.window_end_ts_ns, window) for window in book.finish())
    return rebuilt


def check_rebuilt_wall(wall: Rows, rebuilt: Mapping[int, PlainWindow], samples: int) -> Check:
    """Depth, add, pull, fill and rest of every wall row of the sampled windows; no row more, none missing.

    `wall` holds the stored rows of the sampled windows. Too few samples is a failure: an unexamined day
    must not pass.
    """
    tally = Tally("rebuilt_wall", "levels rebuilt from bronze")
    stored: dict[int, dict[LevelKey, Level]] = {window_end: {} for window_end in rebuilt}
    columns = [wall[name].tolist() for name in ("window_end_ts_ns", "side", "price_int", *LEVEL_VALUES)]
    for window_end, side, price, *values in zip(*columns, strict=True):
        stored.setdefault(window_end, {})[side, price] = Level(*values)
    for window_end, window in rebuilt.items():
        offenders = []
        found = stored[window_end]
        for side, price in sorted(found.keys() | window.levels.keys()):
            have, want = found.get((side, price)), window.levels.get((side, price))
            if have != want:
                where = f"{window_name(window_end)} {side} {price / PRICES_PER_POINT:.2f}"
                offenders.append(f"{where}: {_differences(have, want)}")
        tally.add(len(found.keys() | window.levels.keys()), offenders)
    missing = sorted(stored.keys() - rebuilt.keys())
    tally.add(0, [f"{window_name(w)}: bronze never reaches this window" for w in missing])
    if len(rebuilt) < samples:
        tally.add(0, [f"only {len(rebuilt)} of {samples} sampled windows could be rebuilt"])
    tally.detail = f"{len(rebuilt)} windows"
    return tally.check()


def check_rebuilt_snapshot(snapshot: Rows, rebuilt: Mapping[int, PlainWindow]) -> Check:
    """Best quotes, last trade, spot, validity, counts and availability of the sampled snapshot rows."""
    tally = Tally("rebuilt_snapshot", "snapshot values rebuilt from bronze")
    row_of = {window_end: row for row, window_end in enumerate(snapshot["window_end_ts_ns"].tolist())}
    for window_end, window in rebuilt.items():
        row = row_of[window_end]
        offenders = []
        for name in SNAPSHOT_VALUES:
            have, want = snapshot[name][row].item(), getattr(window, name)
            if have != want:
                offenders.append(f"{window_name(window_end)} {name} is {have}, rebuilt {want}")
        tally.add(len(SNAPSHOT_VALUES), offenders)
    return tally.check()


def _differences(have: Level | None, want: Level | None) -> str:
    if have is None:
        return f"no row, rebuilt {want}"
    if want is None:
        return f"row {have}, rebuilt none"
    return ", ".join(
        f"{name} is {h}, rebuilt {w}" for name, h, w in zip(LEVEL_VALUES, have, want, strict=True) if h != w
    )
