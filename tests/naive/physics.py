"""Vacuum, calibration, bands and context by the sentences of the specification, the direct way (spec 5.4-6).

Tables are lists of dict rows in key order. One value is computed at a time, in float64; nothing is kept that
a definition does not name. A fast stage may skip work, it must not change an answer.

Laws. 1 x1..x4 are one function, used by calibration and vacuum alike.
      2 pull_add_log is a dense series per (side, price) from the first wall window on, 0 where no row exists.
      3 A score scales a value between two bounds of the calibration; the bounds are taken as given.
      4 Bands and context read the stored float32 columns, widened, and add in row order.
Names and constants are typed from the text: a twin that borrows them from the code under test proves nothing.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .records import ASK, BID, UNDEF_PRICE, WINDOW_NS

Row = Mapping[str, Any]
Bounds = Mapping[str, tuple[float, float]]
"""metric -> (lo, hi) with lo < hi, that is after `repaired`"""

TICK_INT = 250_000_000
ZONE_TICKS = 20
"""reach of the bands and of the population of wall_strength_log"""

METRICS = (
    "wall_strength_log",
    "pull_add_log",
    "log1p_pull_intensity_rest",
    "log1p_erosion_norm",
    "d2_pull_add_log",
    "gex_abs",
)
TERM_METRICS = METRICS[1:5]
"""what x1, x2, x3, x4 are scaled by"""

DIRECTIONS = {"above": ASK, "below": BID}
BANDS = {"at": (0, 2), "near": (3, 5), "mid": (6, 14), "far": (15, 20)}
"""first and last tick from spot"""
SCORED_BANDS = {"at": 0.60, "near": 0.40}
VACUUM_WEIGHT, EROSION_WEIGHT, THINNESS_WEIGHT = 0.50, 0.35, 0.15

LEVEL_COLUMNS = (
    "window_start_ts_ns",
    "window_end_ts_ns",
    "price_int",
    "side",
    "spot_ref_price_int",
    "rel_ticks",
)
VACUUM_COLUMNS = (
    *LEVEL_COLUMNS,
    "pull_intensity_rest",
    "pull_add_log",
    "d1_pull_add_log",
    "d2_pull_add_log",
    "d3_pull_add_log",
    "wall_strength_log",
    "wall_erosion",
    "vacuum_score",
    "window_valid",
    "vacuum_flow_score",
)
COMPONENTS = tuple(
    f"{direction}_{band}_{measure}"
    for direction in DIRECTIONS
    for band in BANDS
    for measure in ("wall_strength_norm", "wall_erosion_norm", "vacuum_norm")
)
SCORES = ("above_score", "below_score", "vacuum_total_score")
BANDS_COLUMNS = (
    "window_start_ts_ns",
    "window_end_ts_ns",
    "spot_ref_price_int",
    "mid_price",
    "mid_price_int",
    *COMPONENTS,
    *SCORES,
)
CONTEXT_COLUMNS = (
    "window_start_ts_ns",
    "window_end_ts_ns",
    "spot_minus_mid_ticks",
    "last_trade_age_ns",
    *(
        f"{direction}_{band}_{what}"
        for direction in DIRECTIONS
        for band in BANDS
        for what in ("level_count", "depth_qty")
    ),
    "above_touch_score",
    "below_touch_score",
)


# ---- the four terms and how a value becomes a score (spec 5.4, 6) ------------------------------------------


def scaled(x: float, bounds: tuple[float, float]) -> float:
    """N(x; lo, hi) = clip((x - lo)/(hi - lo), 0, 1)."""
    lo, hi = bounds
    return min(max((x - lo) / (hi - lo), 0.0), 1.0)


def repaired(q05: float, q95: float) -> tuple[float, float]:
    """Bounds at use: raw quantiles, with hi = lo + 1 where they are equal.

    Raises ValueError where q95 < q05 or one of them is not a number.
    """
    if math.isnan(q05) or math.isnan(q95) or q95 < q05:
        raise ValueError(f"quantiles ({q05}, {q95}) are no bounds: wanted two numbers with q05 <= q95")
    return (q05, q05 + 1.0) if q95 == q05 else (q05, q95)


def bounds_of(calibration: Mapping[str, tuple[float, float, int]]) -> dict[str, tuple[float, float]]:
    """What `naive_calibration` found, repaired for use."""
    return {metric: repaired(q05, q95) for metric, (q05, q95, _) in calibration.items()}


def pull_add_log(row: Row) -> float:
    """ln((pull_rest + 1)/(add + 1)) of a wall row: resting pulls only, adds of any age."""
    return math.log((row["pull_qty_rest"] + 1) / (row["add_qty"] + 1))


def wall_erosion(row: Row) -> int:
    """Lots of depth lost since one window ago, max(-d1_depth, 0); fills erode too."""
    return max(-row["d1_depth_qty"], 0)


def pull_terms(row: Row, d2_pull_add_log: float) -> tuple[float, float, float, float]:
    """(x1, x2, x3, x4) of a wall row; x4 comes from the dense series and is handed in."""
    pull_intensity_rest = row["pull_qty_rest"] / (row["depth_qty_start"] + 1)
    return (
        pull_add_log(row),
        math.log(1.0 + pull_intensity_rest),
        math.log(1.0 + wall_erosion(row) / (row["depth_qty_start"] + 1)),
        d2_pull_add_log,
    )


class DenseSeries:
    """pull_add_log at every (side, price) and every second from the first wall window on."""

    def __init__(self, wall_rows: Sequence[Row]) -> None:
        self.first = min((row["window_end_ts_ns"] for row in wall_rows), default=0)
        self.seen = {
            (row["side"], row["price_int"], row["window_end_ts_ns"]): pull_add_log(row) for row in wall_rows
        }

    def value(self, side: str, price: int, window_end: int) -> float:
        return self.seen.get((side, price, window_end), 0.0)

    def difference(self, order: int, side: str, price: int, window_end: int) -> float:
        """Backward difference of that order; all of them are 0 in the first wall window."""
        if order == 0:
            return self.value(side, price, window_end)
        if window_end <= self.first:
            return 0.0
        now = self.difference(order - 1, side, price, window_end)
        return now - self.difference(order - 1, side, price, window_end - WINDOW_NS)

    def of_row(self, order: int, row: Row) -> float:
        return self.difference(order, row["side"], row["price_int"], row["window_end_ts_ns"])


# ---- vacuum (spec 5.4) -------------------------------------------------------------------------------------


def naive_vacuum(wall_rows: Sequence[Row], bounds: Bounds) -> list[dict[str, Any]]:
    """vacuum_surface_1s: one row per wall row, same order; float columns are numpy.float32.

    Histories begin with the first wall row given. Where `--session` emitted only a part of the day, give the
    rows before it too and drop them from the answer: the spec wants the true histories there.
    """
    series = DenseSeries(wall_rows)
    table = []
    for wall in wall_rows:
        d1, d2, d3 = (series.of_row(order, wall) for order in (1, 2, 3))
        terms = pull_terms(wall, d2)
        n1, n2, n3, n4 = (scaled(x, bounds[metric]) for x, metric in zip(terms, TERM_METRICS, strict=True))
        flows = wall["pull_qty_rest"] > 0 or wall_erosion(wall) > 0
        table.append(
            {name: wall[name] for name in LEVEL_COLUMNS}
            | {
                "pull_intensity_rest": np.float32(wall["pull_qty_rest"] / (wall["depth_qty_start"] + 1)),
                "pull_add_log": np.float32(pull_add_log(wall)),
                "d1_pull_add_log": np.float32(d1),
                "d2_pull_add_log": np.float32(d2),
                "d3_pull_add_log": np.float32(d3),
                "wall_strength_log": np.float32(math.log(wall["depth_qty_rest"] + 1)),
                "wall_erosion": np.float32(wall_erosion(wall)),
                "vacuum_score": np.float32((n1 + n2 + n3 + n4) / 4),
                "window_valid": wall["window_valid"],
                "vacuum_flow_score": np.float32((n1 + n2 + n3) / 3 if flows else 0.0),
            }
        )
    return table


# ---- calibration (spec 6) ----------------------------------------------------------------------------------


def is_active(row: Row, d2_pull_add_log: float) -> bool:
    """Flow in the window, or the echo of flow one or two windows ago."""
    return (
        row["add_qty"] > 0 or row["pull_qty_total"] > 0 or row["fill_qty"] > 0 or abs(d2_pull_add_log) > 1e-9
    )


def naive_populations(wall_rows: Sequence[Row], gex_rows: Iterable[Row] = ()) -> dict[str, list[float]]:
    """What each metric's quantiles are taken over: valid windows only, the dense series runs over all.

    Gamma rows carry no validity; their window counts when the wall says that it was valid.
    """
    series = DenseSeries(wall_rows)
    populations: dict[str, list[float]] = {metric: [] for metric in METRICS}
    valid_windows = set()
    for row in wall_rows:
        if not row["window_valid"]:
            continue
        valid_windows.add(row["window_end_ts_ns"])
        if row["depth_qty_end"] > 0 and abs(row["rel_ticks"]) <= ZONE_TICKS:
            populations["wall_strength_log"].append(math.log(1 + row["depth_qty_rest"]))
        d2 = series.of_row(2, row)
        if is_active(row, d2):
            for metric, x in zip(TERM_METRICS, pull_terms(row, d2), strict=True):
                populations[metric].append(x)
    for row in gex_rows:
        if row["gex_abs"] > 0 and row["window_end_ts_ns"] in valid_windows:
            populations["gex_abs"].append(row["gex_abs"])
    return populations


def naive_calibration(
    wall_rows: Sequence[Row], gex_rows: Iterable[Row] = ()
) -> dict[str, tuple[float, float, int]]:
    """metric -> (raw q05, raw q95, rows of the population); an empty population gives (0, 0, 0)."""
    found = {}
    for metric, values in naive_populations(wall_rows, gex_rows).items():
        if values:
            q05, q95 = (float(np.quantile(values, q)) for q in (0.05, 0.95))
        else:
            q05 = q95 = 0.0
        found[metric] = (q05, q95, len(values))
    return found


# ---- bands (spec 5.5) --------------------------------------------------------------------------------------


def mean(values: Sequence[float]) -> float:
    """Sum in the order given over the count. Not `sum`: from Python 3.12 on that one compensates."""
    total = 0.0
    for value in values:
        total += value
    return total / len(values)


def ease(strength_norm: float, erosion_norm: float, vacuum_norm: float) -> float:
    """How easily price would pass: pulled, eroding and thin."""
    return (
        VACUUM_WEIGHT * vacuum_norm + EROSION_WEIGHT * erosion_norm + THINNESS_WEIGHT * (1.0 - strength_norm)
    )


def erosion_log(wall: Row, vacuum: Row) -> float:
    """ln(1 + wall_erosion/(depth_start + 1)) from the stored erosion."""
    return math.log(1.0 + float(vacuum["wall_erosion"]) / (wall["depth_qty_start"] + 1))


LevelPair = tuple[Row, Row]
"""a wall row and its vacuum row"""


def pairs_by_window(wall_rows: Sequence[Row], vacuum_rows: Sequence[Row]) -> dict[int, list[LevelPair]]:
    """Wall and vacuum describe the same levels in the same order; window_end -> its pairs, in row order."""
    pairs: dict[int, list[LevelPair]] = defaultdict(list)
    for wall, vacuum in zip(wall_rows, vacuum_rows, strict=True):
        same = all(wall[name] == vacuum[name] for name in ("window_end_ts_ns", "side", "price_int"))
        assert same, f"wall and vacuum rows differ in key: {wall} {vacuum}"
        pairs[wall["window_end_ts_ns"]].append((wall, vacuum))
    return pairs


def in_band(row: Row, direction: str, band: str) -> bool:
    """Asks at or above spot, bids at or below it; spot itself belongs to both directions."""
    nearest, farthest = BANDS[band]
    on_its_side = row["rel_ticks"] >= 0 if direction == "above" else row["rel_ticks"] <= 0
    return (
        row["side"] == DIRECTIONS[direction] and on_its_side and nearest <= abs(row["rel_ticks"]) <= farthest
    )


def naive_bands(
    snapshot_rows: Sequence[Row], wall_rows: Sequence[Row], vacuum_rows: Sequence[Row], bounds: Bounds
) -> list[dict[str, Any]]:
    """physics_bands_1s: one row per snapshot row."""
    pairs = pairs_by_window(wall_rows, vacuum_rows)
    table = []
    for snapshot in snapshot_rows:
        row = {name: snapshot[name] for name in BANDS_COLUMNS[:5]}
        row |= dict.fromkeys((*COMPONENTS, *SCORES), 0.0)
        if snapshot["spot_ref_price_int"] != 0:
            levels = pairs.get(snapshot["window_end_ts_ns"], [])
            for direction in DIRECTIONS:
                for band in BANDS:
                    members = [pair for pair in levels if in_band(pair[0], direction, band)]
                    norms = band_norms(members, bounds)
                    row |= {f"{direction}_{band}_{name}": value for name, value in norms.items()}
                    row[f"{direction}_score"] += SCORED_BANDS.get(band, 0.0) * ease(*norms.values())
            row["vacuum_total_score"] = (row["above_score"] + row["below_score"]) / 2
        table.append(row)
    return table


def band_norms(members: Sequence[LevelPair], bounds: Bounds) -> dict[str, float]:
    """The three components of a band in the order `ease` takes them; all 0 where no row is present."""
    if not members:
        return {"wall_strength_norm": 0.0, "wall_erosion_norm": 0.0, "vacuum_norm": 0.0}
    strength = mean([float(vacuum["wall_strength_log"]) for _, vacuum in members])
    erosion = mean([erosion_log(wall, vacuum) for wall, vacuum in members])
    return {
        "wall_strength_norm": scaled(strength, bounds["wall_strength_log"]),
        "wall_erosion_norm": scaled(erosion, bounds["log1p_erosion_norm"]),
        "vacuum_norm": mean([float(vacuum["vacuum_score"]) for _, vacuum in members]),
    }


def naive_explanation(band_row: Row, direction: str) -> dict[str, float]:
    """The six terms whose sum is the stored score of a direction; all 0 without a spot."""
    terms = {}
    for band, weight in SCORED_BANDS.items():
        strength, erosion, vacuum = (
            band_row[f"{direction}_{band}_{measure}"]
            for measure in ("wall_strength_norm", "wall_erosion_norm", "vacuum_norm")
        )
        terms[f"{band}_vacuum"] = weight * VACUUM_WEIGHT * vacuum
        terms[f"{band}_erosion"] = weight * EROSION_WEIGHT * erosion
        terms[f"{band}_wall"] = weight * THINNESS_WEIGHT * (1.0 - strength)
    if band_row["spot_ref_price_int"] == 0:
        return dict.fromkeys(terms, 0.0)
    return terms


# ---- context (spec 5.6) ------------------------------------------------------------------------------------


def naive_context(
    snapshot_rows: Sequence[Row],
    wall_rows: Sequence[Row],
    vacuum_rows: Sequence[Row],
    bounds: Bounds,
    trade_rows: Sequence[Row],
    *,
    tick_int: int = TICK_INT,
) -> list[dict[str, Any]]:
    """physics_context_1s: one row per snapshot row. `trade_rows` (trade_event) date the last trade."""
    pairs = pairs_by_window(wall_rows, vacuum_rows)
    table = []
    for snapshot in snapshot_rows:
        window_end, spot = snapshot["window_end_ts_ns"], snapshot["spot_ref_price_int"]
        levels = pairs.get(window_end, [])
        mid = snapshot["mid_price_int"]
        row = {
            "window_start_ts_ns": snapshot["window_start_ts_ns"],
            "window_end_ts_ns": window_end,
            "spot_minus_mid_ticks": (spot - mid) / tick_int if spot != 0 and mid != 0 else 0.0,
            "last_trade_age_ns": last_trade_age_ns(trade_rows, window_end, tick_int),
        }
        for direction in DIRECTIONS:
            for band in BANDS:
                depths = [
                    wall["depth_qty_end"]
                    for wall, _ in levels
                    if in_band(wall, direction, band) and wall["depth_qty_end"] > 0
                ]
                row[f"{direction}_{band}_level_count"] = len(depths)
                row[f"{direction}_{band}_depth_qty"] = sum(depths)
        row["above_touch_score"] = touch_score(
            levels, ASK, snapshot["best_ask_price_int"], spot, bounds, tick_int
        )
        row["below_touch_score"] = touch_score(
            levels, BID, snapshot["best_bid_price_int"], spot, bounds, tick_int
        )
        table.append(row)
    return table


def last_trade_age_ns(trade_rows: Iterable[Row], window_end: int, tick_int: int) -> int:
    """Time since the latest trade before the window's end that could set last_trade; -1 before any."""
    times = [
        trade["ts_event_ns"]
        for trade in trade_rows
        if trade["ts_event_ns"] < window_end
        and 0 < trade["price_int"] < UNDEF_PRICE
        and trade["price_int"] % tick_int == 0
    ]
    return window_end - max(times) if times else -1


def touch_score(
    levels: Sequence[LevelPair], side: str, best_price: int, spot: int, bounds: Bounds, tick_int: int
) -> float:
    """The score of one side from its own best price, over six fixed slots; 0 without best price or spot.

    Every slot counts, so an emptied level reads as easy and not as absent. For that sentence to hold a slot
    must not lose the 0.26 that vacuum_score gives a quiet level just because it was emptied, so all six slots
    use vacuum_flow_score, not only the empty ones.
    """
    if best_price == 0 or spot == 0:
        return 0.0
    at_price = {wall["price_int"]: (wall, vacuum) for wall, vacuum in levels if wall["side"] == side}
    away = tick_int if side == ASK else -tick_int
    score = 0.0
    for band, weight in SCORED_BANDS.items():
        nearest, farthest = BANDS[band]
        slots = [at_price.get(best_price + ticks * away) for ticks in range(nearest, farthest + 1)]
        strength = mean([slot_strength(slot) for slot in slots])
        erosion = mean([erosion_log(*slot) if slot else 0.0 for slot in slots])
        flow = mean([float(slot[1]["vacuum_flow_score"]) if slot else 0.0 for slot in slots])
        score += weight * ease(
            scaled(strength, bounds["wall_strength_log"]),
            scaled(erosion, bounds["log1p_erosion_norm"]),
            flow,
        )
    return score


def slot_strength(slot: LevelPair | None) -> float:
    """Stored strength of a slot, 0 where it has no depth."""
    if slot is None or slot[0]["depth_qty_end"] == 0:
        return 0.0
    return float(slot[1]["wall_strength_log"])
