"""What the physics scores are made of: x1..x4, the norm N, and how a score explains itself (spec 5.4, 5.5).

`TermsWalk` is the one place where x1..x4 are computed; calibration takes its populations from it and the
vacuum its scores, so that the two can never disagree about what is being scaled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_eng.errors import LakeError
from data_eng.kernels import physics as kernel
from data_eng.schema import BAND_MEASURES, DIRECTIONS, SIDES

Floats = npt.NDArray[np.float64]

TERM_COLUMNS: Final = (
    "window_end_ts_ns",
    "side",
    "price_int",
    "depth_qty_start",
    "add_qty",
    "pull_qty_total",
    "fill_qty",
    "pull_qty_rest",
    "d1_depth_qty",
)
"""wall columns that `TermsWalk` reads"""
METRICS: Final = ("pull_add_log", "log1p_pull_intensity_rest", "log1p_erosion_norm", "d2_pull_add_log")
"""names of x1..x4 in the calibration"""
HISTORY_WINDOWS: Final = 3
"""windows before a window that its d1..d3 look at"""
SCORED_BANDS: Final = (("at", 0.60), ("near", 0.40))
"""the bands that enter a direction's score, and their weights"""
EASE_WEIGHTS: Final = {"vacuum": 0.50, "erosion": 0.35, "wall": 0.15}

_TABLE_QTY: Final = 8_192
"""depths below this many lots look their log up"""


@dataclass(frozen=True)
class Terms:
    """Terms of the rows of one block in which something happens; all are 0 in every other row.

    rows: int64[m], row numbers in the block, ascending. The others are float64[m]:
    x1 = pull_add_log, x2 = ln(1 + pull intensity), x3 = ln(1 + erosion / (depth_start + 1)), x4 = d2 of x1;
    d1 and d3 of x1, intensity = pull_rest / (depth_start + 1), erosion in contracts.
    """

    rows: npt.NDArray[np.int64]
    x1: Floats
    x2: Floats
    x3: Floats
    x4: Floats
    d1: Floats
    d3: Floats
    intensity: Floats
    erosion: Floats

    @property
    def metrics(self) -> dict[str, Floats]:
        """x1..x4 by their names in the calibration."""
        return dict(zip(METRICS, (self.x1, self.x2, self.x3, self.x4), strict=True))


class TermsWalk:
    """Walks wall rows in their stored order, block by block, and gives the terms of each block (spec 5.4).

    d1..d3 are backward differences of the dense series of pull_add_log per (side, price): 0 in a window
    without row, all 0 in the first wall window. The blocks may be cut anywhere, also inside a window.
    `first_window_end_ns`: end of the first wall window of the run, when it is not in the rows to come;
    default: the first row's.
    """

    def __init__(self, first_window_end_ns: int | None = None) -> None:
        self._walk = np.zeros(kernel.WALK_WORDS, np.int64)
        self._walk[[kernel.CUR_END, kernel.FIRST_END]] = kernel.NO_WINDOW
        self._walk[kernel.SLOT_END : kernel.SLOT_END + kernel.SLOTS] = kernel.NO_WINDOW
        if first_window_end_ns is not None:
            self._walk[kernel.FIRST_END] = first_window_end_ns
        shape = (kernel.SLOTS, kernel.SLOT_LEVELS)
        self._lists = (np.zeros(shape, np.int8), np.zeros(shape, np.int64), np.zeros(shape))

    def block(self, wall: pa.RecordBatch) -> Terms:
        """Terms of the next rows; `wall` holds at least `TERM_COLUMNS`.

        Raises `LakeError` when a window holds more levels than the view has prices.
        """
        columns = wall_arrays(wall, TERM_COLUMNS)
        rows = np.empty(wall.num_rows, np.int64)
        terms = np.empty((kernel.TERMS, wall.num_rows))
        made = kernel.walk_terms(self._walk, *self._lists, *columns.values(), rows, terms)
        if made < 0:
            raise LakeError(
                f"wall_surface_1s: window {columns['window_end_ts_ns'][-1 - made]} holds more than"
                f" {kernel.SLOT_LEVELS} levels, the most a view of +-600 ticks can; rebuild the wall"
            )
        part = terms[:, :made]
        return Terms(
            rows[:made],
            *(part[k] for k in (kernel.X1, kernel.X2, kernel.X3, kernel.X4, kernel.D1, kernel.D3)),
            *(part[k] for k in (kernel.INTENSITY, kernel.EROSION)),
        )


def wall_arrays(batch: pa.RecordBatch, names: tuple[str, ...]) -> dict[str, npt.NDArray[Any]]:
    """Columns as numpy arrays, without a copy where Arrow allows it; `side` as int8: 0 ask, 1 bid."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name in names:
        column = batch.column(name)
        if name == "side":
            words = column.dictionary.to_pylist()
            column = column.indices.to_numpy(zero_copy_only=False)
            if words != list(SIDES):
                column = np.array([SIDES.index(word) for word in words], np.int8)[column]
            arrays[name] = column
        else:
            arrays[name] = column.to_numpy(zero_copy_only=False)
    return arrays


def strength_log(depth_rest: npt.NDArray[np.int32], dtype: type = np.float64) -> npt.NDArray[Any]:
    """ln(1 + depth_rest), computed in float64, of int32[n] resting lots -> float64[n] (or `dtype`)."""
    out: npt.NDArray[Any] = np.empty(len(depth_rest), dtype)
    kernel.strength_logs(depth_rest, _log_table(), out)
    return out


@cache
def _log_table() -> Floats:
    logs = np.empty(_TABLE_QTY)
    kernel.log_table(logs)
    return logs


def norm(x: Floats, lo: float, hi: float) -> Floats:
    """N(x; lo, hi) = clip((x - lo) / (hi - lo), 0, 1), float64 of the shape of x; hi > lo."""
    return np.asarray(np.clip((x - lo) / (hi - lo), 0.0, 1.0))


def ease(vacuum: Floats, erosion_norm: Floats, strength_norm: Floats) -> Floats:
    """How easily price moves through a band: 0.50 V + 0.35 erosion + 0.15 (1 - strength), in [0, 1]."""
    return np.asarray(
        EASE_WEIGHTS["vacuum"] * vacuum
        + EASE_WEIGHTS["erosion"] * erosion_norm
        + EASE_WEIGHTS["wall"] * (1.0 - strength_norm)
    )


def direction_score(ease_at: Floats, ease_near: Floats) -> Floats:
    """Score of a direction from the ease of its two scored bands, in [0, 1]."""
    (_, at), (_, near) = SCORED_BANDS
    return np.asarray(at * ease_at + near * ease_near)


def explain(row: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Why the scores of one `physics_bands_1s` row are what they are (spec 5.5).

    row: column name -> value of that row; the 24 components and ``spot_ref_price_int``.
    -> direction -> term -> value, six terms per direction named ``at_vacuum`` .. ``near_wall``. The terms of
    a direction add up to its stored score within 1e-12; all are 0 without a spot.
    """
    without_spot = row["spot_ref_price_int"] == 0
    terms: dict[str, dict[str, float]] = {}
    for direction in DIRECTIONS:
        terms[direction] = {}
        for band, weight in SCORED_BANDS:
            strength, erosion, vacuum = (
                float(row[f"{direction}_{band}_{measure}"]) for measure in BAND_MEASURES
            )
            parts = {"vacuum": vacuum, "erosion": erosion, "wall": 1.0 - strength}
            for name, value in parts.items():
                score = weight * EASE_WEIGHTS[name] * value
                terms[direction][f"{band}_{name}"] = 0.0 if without_spot else score
    return terms
