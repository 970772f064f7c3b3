"""The physics integrity check: calibration, vacuum, bands, context and the HUD's planes (spec 11).

Everything is recomputed from the wall in one pass over wall and vacuum; a day is never held in memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_eng.integrity import bands_checks, hud_checks
from data_eng.integrity.book import SAMPLES, tick_int_of
from data_eng.integrity.calibration_checks import CalibrationProbe, bounds_of, check_calibration_rows
from data_eng.integrity.findings import Check, Report
from data_eng.integrity.rebuild import sample_windows
from data_eng.integrity.rows import Array, Rows
from data_eng.integrity.source import (
    BANDS,
    CALIBRATION,
    CONTEXT,
    GEX,
    HUD,
    SNAPSHOT,
    TRADES,
    VACUUM,
    WALL,
    TableSource,
    is_whole_run,
    read_rows,
    require,
)
from data_eng.integrity.vacuum_checks import VACUUM_COLUMNS, WALL_COLUMNS, VacuumContext, VacuumPass
from data_eng.schema import BAND_COMPONENTS, PLANES, table

NEEDED: Final = (SNAPSHOT, WALL, TRADES, VACUUM, BANDS, CONTEXT, GEX, CALIBRATION)
CALIBRATED: Final = (VACUUM, BANDS, CONTEXT)
GEX_COLUMNS: Final = ("window_end_ts_ns", "strike_price_int", "gex_abs", "gex_imbalance_ratio")
Row = dict[str, Any]


def check_physics(
    lake: TableSource, symbol: str, dt: str, *, samples: int = SAMPLES, seed: int = 0
) -> Report:
    """Every check of the "Physics integrity" paragraph on one date, and context and HUD with it.

    The planes of `samples` windows, chosen by `seed`, are painted again; without hud_surface_1s in the lake
    the report warns instead.

    Raises `MissingDataError` when a partition is absent; wrong data is a finding, never an exception.
    """
    require(lake, symbol, dt, NEEDED)
    used = lake.manifest(VACUUM, symbol, dt).calibration or {}
    used_dt = used.get("dt", dt)
    require(lake, symbol, used_dt, (CALIBRATION,))
    whole_run = is_whole_run(lake.manifest(SNAPSHOT, symbol, dt))
    tick_int = tick_int_of(lake, symbol, dt)
    snapshot = read_rows(lake, SNAPSHOT, symbol, dt)
    spot = snapshot["spot_ref_price_int"]
    own = read_rows(lake, CALIBRATION, symbol, dt)
    bounds = bounds_of(read_rows(lake, CALIBRATION, symbol, used_dt))

    probe = CalibrationProbe(own)
    walk = VacuumPass(VacuumContext(snapshot, bounds, tick_int, whole_run), probe)
    sampled = sample_windows(snapshot, samples, seed)
    painted = _collect(walk, lake, symbol, dt, hud_checks.plane_windows(sampled))
    strikes = _gex(lake, symbol, dt, snapshot, walk.valid, probe, sampled)
    bands = read_rows(lake, BANDS, symbol, dt)
    context = read_rows(lake, CONTEXT, symbol, dt)
    trades = read_rows(lake, TRADES, symbol, dt, ["ts_event_ns", "price_int"])

    bands_rows = bands_checks.check_same_windows(bands, snapshot, "bands")
    context_rows = bands_checks.check_same_windows(context, snapshot, "context")
    checks: list[Check] = [
        check_same_calibration(
            {name: lake.manifest(name, symbol, dt).calibration for name in _present(lake, symbol, dt)}
        ),
        *check_calibration_rows(own, dt),
        probe.check(),
        *walk.checks(),
        bands_rows,
        context_rows,
    ]
    if bands_rows.passed:
        checks += [
            bands_checks.check_copies(
                bands, snapshot, ("spot_ref_price_int", "mid_price", "mid_price_int"), "bands"
            ),
            bands_checks.check_domain(bands, (*BAND_COMPONENTS, *bands_checks.SCORES), "bands"),
            bands_checks.check_components(bands, spot, walk.sums, bounds),
            bands_checks.check_scores(bands, spot),
            *bands_checks.check_variety(bands),
        ]
    if context_rows.passed:
        checks += [
            bands_checks.check_domain(context, bands_checks.TOUCH_SCORES, "context"),
            bands_checks.check_context_counts(context, spot, walk.sums),
            bands_checks.check_context_spot(context, snapshot, tick_int),
            bands_checks.check_context_age(context, trades, whole_run=whole_run),
            bands_checks.check_touch_scores(context, snapshot, walk.sums, bounds),
        ]
    if bands_rows.passed and context_rows.passed:
        checks += _check_hud(
            lake, symbol, dt, snapshot, bands, context, walk.valid, (sampled, painted, strikes), tick_int
        )
    return Report(
        f"physics integrity {symbol} {dt}, calibration {used_dt}",
        tuple(checks),
        windows=len(snapshot),
        valid_windows=int(walk.valid.sum()),
        rows=walk.rows,
        events=int(snapshot["event_count"].sum()),
        notes=tuple(f"warning in the manifest: {w}" for w in lake.manifest(VACUUM, symbol, dt).warnings),
    )


def check_same_calibration(used: Mapping[str, Mapping[str, str] | None]) -> Check:
    """All tables that use a calibration name the same dt and hash."""
    wanted = used[VACUUM]
    odd = [f"{name} used calibration {c}, {VACUUM} used {wanted}" for name, c in used.items() if c != wanted]
    if not wanted:
        odd.append(f"the manifest of {VACUUM} names no calibration")
    return Check("one_calibration", len(used), "manifests", len(odd), tuple(odd[:5]))


def _present(lake: TableSource, symbol: str, dt: str) -> list[str]:
    return [*CALIBRATED, *([HUD] if lake.has(HUD, symbol, dt) else [])]


def _collect(
    walk: VacuumPass, lake: TableSource, symbol: str, dt: str, wanted: set[int]
) -> dict[int, list[Row]]:
    """Walk everything; keep the rows of the wanted windows, wall columns and vacuum_flow_score, by window."""
    kept: dict[int, list[Row]] = {}
    windows = np.array(sorted(wanted), dtype=np.int64)
    blocks = walk.run(
        lake.iter_batches(WALL, symbol, dt, list(WALL_COLUMNS)),
        lake.iter_batches(VACUUM, symbol, dt, list(VACUUM_COLUMNS)),
    )
    for wall, vacuum in blocks:
        chosen = np.isin(wall["window_end_ts_ns"], windows)
        if chosen.any():
            both = wall.take(chosen)
            both.columns["vacuum_flow_score"] = vacuum["vacuum_flow_score"][chosen]
            for row in _dicts(both):
                kept.setdefault(row["window_end_ts_ns"], []).append(row)
    return kept


def _gex(
    lake: TableSource,
    symbol: str,
    dt: str,
    snapshot: Rows,
    valid: Array,
    probe: CalibrationProbe,
    sampled: Sequence[int],
) -> dict[int, list[Row]]:
    """Show the probe the gex population; keep the strikes of the sampled windows, by window."""
    kept: dict[int, list[Row]] = {}
    valid_windows = snapshot["window_end_ts_ns"][valid]
    for batch in lake.iter_batches(GEX, symbol, dt, list(GEX_COLUMNS)):
        rows = Rows.from_arrow(batch, GEX_COLUMNS)
        population = np.isin(rows["window_end_ts_ns"], valid_windows) & (rows["gex_abs"] > 0)
        probe.add({"gex_abs": rows["gex_abs"][population]})
        for row in _dicts(rows.take(np.isin(rows["window_end_ts_ns"], sampled))):
            kept.setdefault(row["window_end_ts_ns"], []).append(row)
    return kept


def _check_hud(
    lake: TableSource,
    symbol: str,
    dt: str,
    snapshot: Rows,
    bands: Rows,
    context: Rows,
    valid: Array,
    picture: tuple[Sequence[int], dict[int, list[Row]], dict[int, list[Row]]],
    tick_int: int,
) -> list[Check]:
    if not lake.has(HUD, symbol, dt):
        absent = f"{HUD} is not in the lake; build: spymaster run --dt {dt} --symbol {symbol}"
        return [Check("hud_checked", 1, "tables", 1, (absent,), severity="warn")]
    sampled, rows, strikes = picture
    hud = read_rows(lake, HUD, symbol, dt, hud_checks.HUD_COLUMNS)
    same_rows = bands_checks.check_same_windows(hud, snapshot, "hud")
    lengths = hud_checks.check_plane_lengths(lake.iter_batches(HUD, symbol, dt, list(PLANES)))
    if not (same_rows.passed and lengths.passed):
        return [same_rows, lengths]
    ends = table(HUD).key[0]
    stored: dict[int, dict[str, bytes]] = {}
    for batch in lake.iter_batches(HUD, symbol, dt, [ends, *PLANES]):
        chosen = batch.filter(pc.is_in(batch.column(ends), value_set=pa.array(sampled, pa.int64())))
        stored.update((row.pop(ends), row) for row in chosen.to_pylist())
    spots = dict(zip(snapshot[ends].tolist(), snapshot["spot_ref_price_int"].tolist(), strict=True))
    return [
        same_rows,
        lengths,
        hud_checks.check_hud_copies(hud, snapshot, bands, context, valid),
        hud_checks.check_planes(stored, sampled, rows, strikes, spots, tick_int),
    ]


def _dicts(rows: Rows) -> list[Row]:
    names = list(rows.columns)
    columns = [rows[name].tolist() for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
