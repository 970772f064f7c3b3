"""What must be true of vacuum_surface_1s, recomputed from the wall and the calibration (spec 5.4, 11).

Formulas are written out here a second time, in float64, and share no code with the stage. One pass walks
wall and vacuum block by block and leaves per-window sums for the bands, the context and the HUD.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from data_eng.integrity import wall_checks
from data_eng.integrity.calibration_checks import Bounds, CalibrationProbe
from data_eng.integrity.findings import Check, Tally
from data_eng.integrity.rows import (
    Array,
    Bools,
    Ints,
    LevelIndex,
    Rows,
    is_bid,
    level_name,
    value_at,
    window_blocks,
)
from data_eng.integrity.wall_checks import snapshot_row_of
from data_eng.units import AT_MAX_TICKS, DELTA_TICKS, MID_MAX_TICKS, NEAR_MAX_TICKS, TINY_TOL, WINDOW_NS

WALL_COLUMNS: Final = tuple(n for n in wall_checks.WALL_COLUMNS if n not in ("d2_depth_qty", "d3_depth_qty"))
COPIES: Final = ("window_start_ts_ns", "spot_ref_price_int", "rel_ticks", "window_valid")
INPUTS: Final = ("pull_intensity_rest", "pull_add_log", "wall_strength_log", "wall_erosion")
DIFFERENCES: Final = ("d1_pull_add_log", "d2_pull_add_log", "d3_pull_add_log")
SCORES: Final = ("vacuum_score", "vacuum_flow_score")
VACUUM_COLUMNS: Final = ("window_end_ts_ns", "price_int", "side", *COPIES, *INPUTS, *DIFFERENCES, *SCORES)
HISTORY_WINDOWS: Final = 3
ABS_TOL: Final = 1e-9
"""before the cast to float32; spec 11"""
SLOTS: Final = 6
"""touch scores look at the best price and five ticks behind it"""


@dataclass(frozen=True)
class VacuumContext:
    """What the vacuum is judged against: snapshot rows, bounds by metric, and the tick in 1e-9 points."""

    snapshot: Rows
    bounds: Mapping[str, Bounds]
    tick_int: int
    whole_run: bool


class WindowSums:
    """Sums per direction (0 above: asks, 1 below: bids) and window, in row order.

    bands: float64[2, 4, windows] by name for AT, NEAR, MID, FAR. slots: float64[2, 6, windows] by name, for
    the best price and the five ticks behind it.
    """

    def __init__(self, windows: int) -> None:
        self.bands = {
            name: np.zeros((2, 4, windows))
            for name in ("rows", "strength", "erosion", "vacuum", "levels", "depth")
        }
        self.slots = {name: np.zeros((2, SLOTS, windows)) for name in ("strength", "erosion", "flow")}


def expected_vacuum(
    around: Rows, index: LevelIndex, rows: slice, first_window: int, bounds: Mapping[str, Bounds]
) -> dict[str, Array]:
    """Float columns of 5.4 in float64 for `around[rows]`, by name, and x1..x4.

    `around` holds three windows of history. Absent rows count as pull_add_log = 0; windows before
    `first_window`, the first of the wall, repeat that window's value, which makes its differences 0.
    """
    whole = {name: around[name].astype(np.float64) for name in ("pull_qty_rest", "add_qty")}
    series = np.log((whole["pull_qty_rest"] + 1.0) / (whole["add_qty"] + 1.0))
    wall = around.take(np.arange(len(around))[rows])
    window, bid, price = wall["window_end_ts_ns"], is_bid(wall), wall["price_int"]
    x = [series[rows]]
    for back in range(1, HISTORY_WINDOWS + 1):
        earlier = np.maximum(window - back * WINDOW_NS, first_window)
        x.append(value_at(series, index.at(earlier, bid, price), 0.0))
    first = [x[k] - x[k + 1] for k in range(3)]
    second = [first[k] - first[k + 1] for k in range(2)]
    start = wall["depth_qty_start"].astype(np.float64)
    intensity = wall["pull_qty_rest"] / (start + 1.0)
    erosion = np.maximum(-wall["d1_depth_qty"].astype(np.float64), 0.0)
    metrics = {
        "pull_add_log": x[0],
        "log1p_pull_intensity_rest": np.log(1.0 + intensity),
        "log1p_erosion_norm": np.log(1.0 + erosion / (start + 1.0)),
        "d2_pull_add_log": second[0],
    }
    n = [bounds[name].norm(values) for name, values in metrics.items()]
    flows = (wall["pull_qty_rest"] > 0) | (erosion > 0)
    return {
        "pull_intensity_rest": intensity,
        "d1_pull_add_log": first[0],
        "d3_pull_add_log": second[0] - second[1],
        "wall_strength_log": np.log(wall["depth_qty_rest"] + 1.0),
        "wall_erosion": erosion,
        "vacuum_score": (n[0] + n[1] + n[2] + n[3]) / 4.0,
        "vacuum_flow_score": np.where(flows, (n[0] + n[1] + n[2]) / 3.0, 0.0),
        **metrics,
    }


def equal_as_float32(stored: Array, expected: Array) -> Bools:
    """Equal within 1e-9, or to one unit in the last place of float32; NaN equals nothing."""
    with np.errstate(invalid="ignore"):
        close = np.abs(stored.astype(np.float64) - expected) <= ABS_TOL
    near = np.abs(_ordered(stored) - _ordered(expected.astype(np.float32))) <= 1
    return np.asarray(close | (near & np.isfinite(stored) & np.isfinite(expected)))


class VacuumPass:
    """One walk over wall and vacuum; afterwards `sums`, `valid`: bool[snapshot rows], `rows` and `checks()`.

    `run` is a generator: the walk happens while its blocks are taken.
    """

    def __init__(self, context: VacuumContext, probe: CalibrationProbe | None = None) -> None:
        self.context = context
        self.sums = WindowSums(len(context.snapshot))
        self.rows = 0
        self.valid = np.zeros(len(context.snapshot), dtype=bool)
        self._probe = probe
        self._first_window: int | None = None
        self._tallies = {
            name: Tally(name, unit)
            for name, unit in (
                ("vacuum_rows", "wall rows"),
                ("vacuum_copies", "values"),
                ("vacuum_inputs", "values"),
                ("vacuum_differences", "values"),
                ("vacuum_score", "values"),
                ("vacuum_flow_score", "values"),
                ("vacuum_domain", "values"),
            )
        }

    def run(
        self, wall: Iterable[pa.RecordBatch], vacuum: Iterable[pa.RecordBatch]
    ) -> Iterator[tuple[Rows, Rows]]:
        """Judge everything; yields the matched (wall, vacuum) rows of each block for further checks."""
        carried: Rows | None = None
        for wall_rows, vacuum_rows in _paired(wall, vacuum):
            matched = self._match(wall_rows, vacuum_rows)
            if wall_rows is None:
                continue
            around = wall_rows if carried is None else Rows.concat([carried, wall_rows])
            if matched is not None:
                self._judge(around, len(around) - len(wall_rows), matched)
                yield wall_rows.take(matched[0]), matched[1]
            self.rows += len(wall_rows)
            last = around["window_end_ts_ns"].max()
            carried = around.take(around["window_end_ts_ns"] > last - HISTORY_WINDOWS * WINDOW_NS)

    def checks(self) -> list[Check]:
        """Findings, one per check."""
        return [tally.check() for tally in self._tallies.values()]

    def _match(self, wall: Rows | None, vacuum: Rows | None) -> tuple[Ints, Rows] | None:
        """Row numbers of the wall that have a vacuum row, and those vacuum rows, in wall order."""
        tally = self._tallies["vacuum_rows"]
        if wall is None or vacuum is None:
            present = wall if wall is not None else vacuum
            assert present is not None
            what = "no vacuum row" if vacuum is None else "no wall row"
            tally.add_rows(
                np.ones(len(present), dtype=bool), lambda row: f"{level_name(present, row)}: {what}"
            )
            return None
        place = _find(vacuum, wall)
        tally.add_rows(place < 0, lambda row: f"{level_name(wall, row)}: no vacuum row")
        extra = np.flatnonzero(_find(wall, vacuum) < 0)
        tally.add(0, [f"{level_name(vacuum, int(row))}: no wall row" for row in extra])
        same_order = len(wall) == len(vacuum) and bool((place == np.arange(len(place))).all())
        if not same_order and not extra.size and bool((place >= 0).all()):
            tally.add(0, [f"{level_name(vacuum, 0)} and on: rows repeat or stand in another order"])
        have = np.flatnonzero(place >= 0)
        return have, vacuum.take(place[have])

    def _judge(self, around: Rows, carried: int, matched: tuple[Ints, Rows]) -> None:
        have, vacuum = matched
        if self._first_window is None:
            self._first_window = int(around["window_end_ts_ns"].min())
        index = LevelIndex(around)
        rows = slice(carried, None)
        everything = expected_vacuum(around, index, rows, self._first_window, self.context.bounds)
        wall = around.take(np.arange(carried, len(around))).take(have)
        expected = {name: values[have] for name, values in everything.items()}

        for name in COPIES:
            self._compare("vacuum_copies", vacuum, name, vacuum[name] == wall[name], wall[name])
        # a narrower session hides the history of its first three windows
        early = wall["window_end_ts_ns"] < self._first_window + HISTORY_WINDOWS * WINDOW_NS
        unknown = early & (not self.context.whole_run)
        for check, names, excused in (
            ("vacuum_inputs", INPUTS, np.zeros_like(unknown)),
            ("vacuum_differences", DIFFERENCES, unknown),
            ("vacuum_score", ("vacuum_score",), unknown),
            ("vacuum_flow_score", ("vacuum_flow_score",), np.zeros_like(unknown)),
        ):
            for name in names:
                equal = equal_as_float32(vacuum[name], expected[name]) | excused
                self._compare(check, vacuum, name, equal, expected[name])
        for name in SCORES:
            inside = (vacuum[name] >= -ABS_TOL) & (vacuum[name] <= 1 + ABS_TOL)
            self._compare("vacuum_domain", vacuum, name, inside, np.zeros(len(vacuum)))
        if self._probe is not None:
            valid = wall["window_valid"]
            d2 = expected["d2_pull_add_log"].copy()
            d2[unknown] = self._probe.widened("d2_pull_add_log", vacuum["d2_pull_add_log"][unknown])
            expected = {**expected, "d2_pull_add_log": d2}
            self._probe.add(_populations(wall.take(valid), {k: v[valid] for k, v in expected.items()}))
        self._sum(wall, vacuum)

    def _compare(self, check: str, vacuum: Rows, name: str, equal: Bools, wanted: Array) -> None:
        def say(row: int) -> str:
            return f"{level_name(vacuum, row)} {name} is {vacuum[name][row]}, wanted {wanted[row]}"

        self._tallies[check].add_rows(~equal, say)

    def _sum(self, wall: Rows, vacuum: Rows) -> None:
        place = snapshot_row_of(self.context.snapshot, wall["window_end_ts_ns"])
        self.valid[place[wall["window_valid"] & (place >= 0)]] = True
        bid = is_bid(wall).astype(np.int64)
        rel = wall["rel_ticks"].astype(np.int64)
        distance = np.where(bid == 1, -rel, rel)
        erosion = np.log(1.0 + vacuum["wall_erosion"].astype(np.float64) / (wall["depth_qty_start"] + 1.0))
        strength = vacuum["wall_strength_log"].astype(np.float64)
        values = {
            "rows": np.ones(len(wall)),
            "strength": strength,
            "erosion": erosion,
            "vacuum": vacuum["vacuum_score"].astype(np.float64),
            "levels": (wall["depth_qty_end"] > 0).astype(np.float64),
            "depth": wall["depth_qty_end"].astype(np.float64),
            "flow": vacuum["vacuum_flow_score"].astype(np.float64),
        }
        near = (distance >= 0) & (distance <= DELTA_TICKS) & (place >= 0)
        band = np.digitize(distance, [AT_MAX_TICKS + 1, NEAR_MAX_TICKS + 1, MID_MAX_TICKS + 1])
        for name, total in self.sums.bands.items():
            np.add.at(total, (bid[near], band[near], place[near]), values[name][near])

        best = np.where(
            bid == 1,
            value_at(self.context.snapshot["best_bid_price_int"], place),
            value_at(self.context.snapshot["best_ask_price_int"], place),
        )
        behind = (
            np.where(bid == 1, best - wall["price_int"], wall["price_int"] - best) // self.context.tick_int
        )
        slot = (behind >= 0) & (behind < SLOTS) & (place >= 0) & (best != 0)
        for name, total in self.sums.slots.items():
            total[bid[slot], behind[slot], place[slot]] = values[name][slot]


def _populations(wall: Rows, expected: Mapping[str, Array]) -> dict[str, Array]:
    """The populations of spec 6 among rows of valid windows."""
    strong = (wall["depth_qty_end"] > 0) & (np.abs(wall["rel_ticks"].astype(np.int64)) <= DELTA_TICKS)
    active = (
        (wall["add_qty"] > 0)
        | (wall["pull_qty_total"] > 0)
        | (wall["fill_qty"] > 0)
        | (np.abs(expected["d2_pull_add_log"]) > TINY_TOL)
    )
    names = ("pull_add_log", "log1p_pull_intensity_rest", "log1p_erosion_norm", "d2_pull_add_log")
    return {
        "wall_strength_log": expected["wall_strength_log"][strong],
        **{name: expected[name][active] for name in names},
    }


def _paired(
    wall: Iterable[pa.RecordBatch], vacuum: Iterable[pa.RecordBatch]
) -> Iterator[tuple[Rows | None, Rows | None]]:
    """Blocks of both tables side by side, in block order; None where a table has none."""
    left, right = window_blocks(wall, WALL_COLUMNS), window_blocks(vacuum, VACUUM_COLUMNS)
    one, other = next(left, None), next(right, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one[0] < other[0]):
            assert one is not None
            yield one[1], None
            one = next(left, None)
        elif one is None or other[0] < one[0]:
            yield None, other[1]
            other = next(right, None)
        else:
            yield one[1], other[1]
            one, other = next(left, None), next(right, None)


def _find(where: Rows, what: Rows) -> Ints:
    return LevelIndex(where).at(what["window_end_ts_ns"], is_bid(what), what["price_int"])


def _ordered(values: Array) -> Ints:
    """float32 as integers in the order of the numbers, so that neighbours differ by one."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.int32).astype(np.int64)
    return np.asarray(np.where(bits < 0, -(bits & 0x7FFF_FFFF), bits))
