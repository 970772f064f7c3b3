"""The data integrity check: the futures book, the radar and the trades of one date (spec 11).

The wall is walked once, Bronze twice: one vectorised scan for resets and trades, one plain-Python replay up
to the last sampled window. Nothing of a day's size is held except one row per window.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from data_eng.instruments import tick_int as tick_of
from data_eng.integrity import radar_checks, rebuild, snapshot_checks
from data_eng.integrity.bronze import RECORD_COLUMNS, SCAN_COLUMNS, iter_records, scan_bronze
from data_eng.integrity.findings import MAX_OFFENDERS, Check, Report
from data_eng.integrity.source import (
    BRONZE,
    DEFINITIONS,
    RADAR,
    SNAPSHOT,
    TRADES,
    WALL,
    TableSource,
    as_window_array,
    is_whole_run,
    read_rows,
    require,
)
from data_eng.integrity.wall_checks import WALL_COLUMNS, WallContext, WallPass

SAMPLES: Final = 5
MIN_OPEN_WINDOWS: Final = 30
MIN_VALID_SHARE: Final = 0.95
MUST_BE_ZERO: Final = ("identity_violations", "negative_depths")
WORTH_A_WARNING: Final = (
    "unknown_cancels",
    "unknown_modifies",
    "duplicate_adds",
    "side_changes",
    "oversized_cancels",
    "snapshot_not_add",
    "unterminated_events",
    "late_records",
    "undef_prices",
    "off_tick_prices",
    "bad_sizes",
    "bad_sides",
    "unknown_actions",
)


def check_futures_book(
    lake: TableSource,
    symbol: str,
    dt: str,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    min_open_windows: int = MIN_OPEN_WINDOWS,
    min_valid_share: float = MIN_VALID_SHARE,
) -> Report:
    """Every check of the "Data integrity" paragraph on one date.

    `samples` windows, chosen by `seed`, are rebuilt from Bronze. The floor: at least `min_open_windows` in
    phase open, `min_valid_share` of them book_valid and window_valid.

    Raises `MissingDataError` when a partition is absent; wrong data is a finding, never an exception.
    """
    require(lake, symbol, dt, (BRONZE, SNAPSHOT, WALL, RADAR, TRADES))
    manifest = lake.manifest(SNAPSHOT, symbol, dt)
    whole_run = is_whole_run(manifest)
    tick_int = tick_int_of(lake, symbol, dt)
    snapshot = read_rows(lake, SNAPSHOT, symbol, dt)
    radar = read_rows(lake, RADAR, symbol, dt)
    trades = read_rows(lake, TRADES, symbol, dt)
    scan = scan_bronze(lake.iter_batches(BRONZE, symbol, dt, list(SCAN_COLUMNS)))
    resets = as_window_array(scan.reset_windows)

    sampled = rebuild.sample_windows(snapshot, samples, seed)
    context = WallContext(snapshot, tick_int, resets, whole_run)
    wall = WallPass(context, sampled).run(lake.iter_batches(WALL, symbol, dt, list(WALL_COLUMNS)))
    records = iter_records(lake.iter_batches(BRONZE, symbol, dt, list(RECORD_COLUMNS)))
    rebuilt = rebuild.rebuild_windows(records, sampled, tick_int) if sampled else {}

    ends = snapshot["window_end_ts_ns"]
    checks: list[Check] = [
        _check_engine_run(lake, symbol, dt),
        snapshot_checks.check_window_axis(snapshot),
        snapshot_checks.check_floor(
            snapshot, ends[wall.valid], min_open_windows=min_open_windows, min_valid_share=min_valid_share
        ),
        snapshot_checks.check_wall_rows_per_window(snapshot, ends[wall.has_rows]),
        snapshot_checks.check_open_windows_uncrossed(snapshot),
        snapshot_checks.check_crossing_counters(snapshot, manifest.counters, whole_run=whole_run),
        snapshot_checks.report_pre_open_crossings(snapshot, manifest.counters),
        snapshot_checks.check_valid_rows_uncrossed(snapshot),
        snapshot_checks.check_spot_rule(snapshot),
        snapshot_checks.check_mid(snapshot),
        snapshot_checks.check_snapshot_quantities(snapshot),
        snapshot_checks.check_available(snapshot),
        *snapshot_checks.check_trades(
            snapshot,
            trades,
            window_exact=scan.late_records == 0,
            bronze_trades=scan.trades if whole_run else None,
        ),
        *wall.checks(),
        rebuild.check_rebuilt_wall(wall.sampled, rebuilt, samples),
        rebuild.check_rebuilt_snapshot(snapshot, rebuilt),
        snapshot_checks.check_unique_windows(radar, "radar"),
        radar_checks.check_radar_windows(radar, snapshot),
        radar_checks.check_radar_spot(radar, snapshot),
        radar_checks.check_radar_finite(radar),
        radar_checks.check_radar_pictures(radar, snapshot, wall.zones),
        radar_checks.check_radar_relations(radar),
        radar_checks.check_radar_derivatives(radar, resets, whole_run=whole_run),
        radar_checks.check_approach(radar, whole_run=whole_run),
        *check_counters(manifest.counters),
    ]
    return Report(
        f"data integrity {symbol} {dt}",
        tuple(checks),
        windows=len(snapshot),
        valid_windows=int(wall.valid.sum()),
        rows=wall.rows,
        events=int(snapshot["event_count"].sum()),
        counters=manifest.counters,
        notes=tuple(f"warning in the manifest: {text}" for text in manifest.warnings),
    )


def tick_int_of(lake: TableSource, symbol: str, dt: str) -> int:
    """Tick of the contract in 1e-9 points, from its definition where the lake has one."""
    known = lake.has(DEFINITIONS, symbol, dt)
    return tick_of(lake.read(DEFINITIONS, symbol, dt) if known else None, symbol, dt)


def _check_engine_run(lake: TableSource, symbol: str, dt: str) -> Check:
    """Snapshot, wall, radar and trades come from one engine pass (2.3)."""
    return check_same_run(
        {name: lake.manifest(name, symbol, dt).engine_run for name in (SNAPSHOT, WALL, RADAR, TRADES)}
    )


def check_same_run(runs: dict[str, str | None]) -> Check:
    """All tables carry the same engine_run hash, and have one."""
    wanted = next(iter(runs.values()))
    odd = [f"{name} has engine_run {run}, expected {wanted}" for name, run in runs.items() if run != wanted]
    if wanted is None:
        odd.append(f"{next(iter(runs))} names no engine_run")
    return Check("one_engine_run", len(runs), "manifests", len(odd), tuple(odd))


def check_counters(counters: Mapping[str, int]) -> tuple[Check, Check]:
    """The engine's own alarms: some must be zero, others are worth a warning (4.10)."""
    broken = [f"the manifest has no counter {name}" for name in MUST_BE_ZERO if name not in counters]
    broken += [f"{name} is {counters[name]}" for name in MUST_BE_ZERO if counters.get(name)]
    odd = [f"{name} is {counters[name]}" for name in WORTH_A_WARNING if counters.get(name)]
    return (
        Check("engine_alarms", len(MUST_BE_ZERO), "counters", len(broken), tuple(broken)),
        Check(
            "feed_oddities",
            len(WORTH_A_WARNING),
            "counters",
            len(odd),
            tuple(odd[:MAX_OFFENDERS]),
            severity="warn",
        ),
    )
