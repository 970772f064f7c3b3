"""What must be true of physics_bands_1s and physics_context_1s (spec 5.5, 5.6, 11).

`WindowSums` of the vacuum pass holds what the wall and vacuum rows add up to per window; the tables are
compared with means, scores and counts taken from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Final

import numpy as np

from data_eng.integrity.calibration_checks import Bounds
from data_eng.integrity.findings import Check, Tally
from data_eng.integrity.rows import Array, Bools, Rows, window_name
from data_eng.integrity.vacuum_checks import ABS_TOL, WindowSums
from data_eng.schema import BAND_COMPONENTS, BAND_MEASURES, BANDS, DIRECTIONS
from data_eng.units import UNDEF_PRICE, WINDOW_NS

SCORES: Final = ("above_score", "below_score", "vacuum_total_score")
TOUCH_SCORES: Final = ("above_touch_score", "below_touch_score")
SCORE_TOL: Final = 1e-12
"""a score is six products of stored numbers"""


def ease(vacuum: Array, erosion: Array, strength: Array) -> Array:
    """How easily price moves through a band: 0.50 V + 0.35 erosion + 0.15 (1 - strength)."""
    return np.asarray(0.50 * vacuum + 0.35 * erosion + 0.15 * (1.0 - strength))


def check_same_windows(rows: Rows, snapshot: Rows, table: str) -> Check:
    """One row per snapshot row, in the same order, with the same start."""
    tally = Tally(f"{table}_rows", "snapshot rows")
    have, want = rows["window_end_ts_ns"], snapshot["window_end_ts_ns"]
    offenders = [f"{window_name(w)}: no row" for w in np.setdiff1d(want, have)]
    offenders += [f"{window_name(w)}: no snapshot row" for w in np.setdiff1d(have, want)]
    if not offenders and not np.array_equal(have, want):
        offenders.append(f"{len(have)} rows for {len(want)} windows: rows repeat or stand in another order")
    if "window_start_ts_ns" in rows.columns:
        wrong = have[rows["window_start_ts_ns"] != have - WINDOW_NS]
        offenders += [f"{window_name(w)}: window_start is not one second earlier" for w in wrong]
    tally.add(len(want), offenders)
    return tally.check()


def check_copies(rows: Rows, snapshot: Rows, names: Sequence[str], table: str) -> Check:
    """Columns that are copies of the snapshot's are equal to them."""
    tally = Tally(f"{table}_copies", "values")
    for name in names:
        _compare(tally, rows, name, snapshot[name], 0.0)
    return tally.check()


def check_domain(rows: Rows, names: Sequence[str], table: str) -> Check:
    """Components and scores are numbers in [0, 1]."""
    tally = Tally(f"{table}_domain", "values")
    for name in names:
        values = rows[name]
        inside = (values >= -ABS_TOL) & (values <= 1 + ABS_TOL)  # false for NaN
        tally.add_rows(~inside, lambda row, n=name, v=values: f"{_at(rows, row)} {n} is {v[row]}")  # type: ignore[misc]  # mypy cannot type defaults
    return tally.check()


def check_components(bands: Rows, spot: Array, sums: WindowSums, bounds: Mapping[str, Bounds]) -> Check:
    """The 24 components are the calibrated means over the rows of their band; 0 where there are none."""
    tally = Tally("bands_components", "values")
    count = sums.bands["rows"]
    some = (count > 0) & (spot > 0)
    mean = {
        name: np.divide(sums.bands[name], count, out=np.zeros_like(count), where=count > 0)
        for name in ("strength", "erosion", "vacuum")
    }
    expected = {
        "wall_strength_norm": bounds["wall_strength_log"].norm(mean["strength"]),
        "wall_erosion_norm": bounds["log1p_erosion_norm"].norm(mean["erosion"]),
        "vacuum_norm": mean["vacuum"],
    }
    for (d, direction), (b, band), measure in product(enumerate(DIRECTIONS), enumerate(BANDS), BAND_MEASURES):
        wanted = np.where(some[d, b], expected[measure][d, b], 0.0)
        _compare(tally, bands, f"{direction}_{band}_{measure}", wanted, ABS_TOL)
    return tally.check()


def check_scores(bands: Rows, spot: Array) -> Check:
    """Scores follow from the stored components; all are 0 without a spot."""
    tally = Tally("bands_scores", "values")
    score = {}
    for direction in DIRECTIONS:
        at, near = (
            ease(*(bands[f"{direction}_{band}_{m}"] for m in reversed(BAND_MEASURES)))
            for band in ("at", "near")
        )
        score[direction] = np.where(spot > 0, 0.60 * at + 0.40 * near, 0.0)
        _compare(tally, bands, f"{direction}_score", score[direction], SCORE_TOL)
    _compare(tally, bands, "vacuum_total_score", (score["above"] + score["below"]) / 2, SCORE_TOL)
    return tally.check()


def check_variety(bands: Rows) -> tuple[Check, Check]:
    """Each measure takes at least two values over all bands; a single constant column is a warning.

    Scores of a collapsed calibration are constant, and every other check may still pass.
    """
    tally = Tally("bands_variety", "measures")
    for measure in BAND_MEASURES:
        names = [name for name in BAND_COMPONENTS if name.endswith(measure)]
        distinct = len(np.unique(np.concatenate([bands[name] for name in names])))
        varies = any(len(np.unique(bands[name])) > 1 for name in names)
        ok = distinct > 1 and varies
        tally.add(1, [] if ok else [f"{measure} never changes in any of its {len(names)} columns"])
    flat = [name for name in BAND_COMPONENTS if len(np.unique(bands[name])) < 2]
    return tally.check(), Check(
        "bands_constant_columns",
        len(BAND_COMPONENTS),
        "columns",
        len(flat),
        tuple(f"{name} has one value all day" for name in flat[:5]),
        severity="warn",
    )


def check_context_counts(context: Rows, spot: Array, sums: WindowSums) -> Check:
    """Level counts and depth sums of each band are those of the wall rows."""
    tally = Tally("context_counts", "values")
    for (d, direction), (b, band) in product(enumerate(DIRECTIONS), enumerate(BANDS)):
        for column, total in (("level_count", "levels"), ("depth_qty", "depth")):
            wanted = np.where(spot > 0, sums.bands[total][d, b], 0.0)
            _compare(tally, context, f"{direction}_{band}_{column}", wanted, 0.0)
    return tally.check()


def check_context_spot(context: Rows, snapshot: Rows, tick_int: int) -> Check:
    """spot_minus_mid_ticks is (spot - mid) / tick, 0 without a mid; not judged without a spot."""
    tally = Tally("context_spot_minus_mid", "values")
    mid, spot = snapshot["mid_price_int"], snapshot["spot_ref_price_int"]
    wanted = np.where(mid != 0, (spot - mid) / tick_int, 0.0)
    _compare(tally, context, "spot_minus_mid_ticks", wanted, SCORE_TOL, judged=(spot > 0) | (mid == 0))
    return tally.check()


def check_context_age(context: Rows, trades: Rows, *, whole_run: bool) -> Check:
    """last_trade_age_ns counts from the last priced trade before the window's end; -1 before the first.

    With a narrower session earlier trades are not in the table, and windows before the first are skipped.
    """
    tally = Tally("context_last_trade_age", "values")
    priced = (trades["price_int"] > 0) & (trades["price_int"] != UNDEF_PRICE)
    times = np.maximum.accumulate(trades["ts_event_ns"][priced])
    ends = context["window_end_ts_ns"]
    before = np.searchsorted(times, ends, "left")
    wanted = np.where(before > 0, ends - np.append(times, 0)[before - 1], -1)
    _compare(tally, context, "last_trade_age_ns", wanted, 0.0, judged=(before > 0) | whole_run)
    return tally.check()


def check_touch_scores(
    context: Rows, snapshot: Rows, sums: WindowSums, bounds: Mapping[str, Bounds]
) -> Check:
    """Touch scores follow from the six slots behind each side's best price; 0 without one.

    Without a spot there are no wall rows to judge by, and the window is skipped.
    """
    tally = Tally("context_touch_scores", "values")
    judged = snapshot["spot_ref_price_int"] > 0
    for d, (direction, quote) in enumerate((("above", "ask"), ("below", "bid"))):
        parts = []
        for slots in (slice(0, 3), slice(3, 6)):
            mean = {name: values[d, slots].sum(axis=0) / 3.0 for name, values in sums.slots.items()}
            strength = bounds["wall_strength_log"].norm(mean["strength"])
            erosion = bounds["log1p_erosion_norm"].norm(mean["erosion"])
            parts.append(ease(mean["flow"], erosion, strength))
        score = 0.60 * parts[0] + 0.40 * parts[1]
        wanted = np.where(snapshot[f"best_{quote}_qty"] > 0, score, 0.0)
        _compare(tally, context, f"{direction}_touch_score", wanted, ABS_TOL, judged=judged)
    return tally.check()


def _compare(
    tally: Tally, rows: Rows, name: str, wanted: Array, tolerance: float, judged: Bools | None = None
) -> None:
    values = rows[name]
    bad = ~(np.abs(values - wanted) <= tolerance) if values.dtype.kind in "fi" else values != wanted
    if judged is not None:
        bad = bad & judged
    tally.add_rows(bad, lambda row: f"{_at(rows, row)} {name} is {values[row]}, wanted {wanted[row]}")


def _at(rows: Rows, row: int) -> str:
    return window_name(rows["window_end_ts_ns"][row])
