"""Bounds of the scores: from the day's own numbers, chosen by date, repaired at use (spec 6).

    gold.hud.physics_norm_calibration of date D always holds the raw quantiles of D. Which date a consumer
    takes is the run parameter `calibration_dt`: same (looks ahead within the day), previous, or a date.

A stage that scales by it declares ``inputs=(..., CALIBRATION)`` and ``input_dt=CALIBRATION_INPUT``, and takes
`bounds(context.read(CALIBRATION))` and ``context.commit(..., calibration=calibration_record(manifest))``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_eng.errors import LakeError, MissingDataError
from data_eng.exact_quantiles import DISTINCT_LIMIT, ExactQuantiles
from data_eng.params import RunParams, parse_dt
from data_eng.physics_terms import METRICS, Terms, norm, strength_log
from data_eng.schema import CALIBRATION_METRICS, table
from data_eng.units import DELTA_TICKS, HOUR_NS, TINY_TOL, WINDOW_NS

if TYPE_CHECKING:
    from data_eng.lake import Lake, Manifest

Floats = npt.NDArray[np.float64]

CALIBRATION: Final = "gold.hud.physics_norm_calibration"
QUANTILES: Final = (0.05, 0.95)
PREVIOUS_MIN_VALID_WINDOWS: Final = 6 * HOUR_NS // WINDOW_NS
"""a date whose calibration may serve a later one has at least 6 hours of valid windows"""
VALID_WINDOWS: Final = "valid_windows"
"""counter in the calibration's manifest: windows the quantiles were taken over"""
POPULATIONS: Final = {
    "wall_strength_log": "valid windows, depth_end > 0, abs(rel_ticks) <= 20",
    **dict.fromkeys(METRICS, "valid windows, active rows, abs(rel_ticks) <= 600"),
    "gex_abs": "valid windows, gex_abs > 0",
}
"""whose quantiles are taken, by metric"""


@dataclass(frozen=True)
class Bounds:
    """Bounds of one metric at use, hi > lo."""

    lo: float
    hi: float

    def norm(self, x: Floats) -> Floats:
        """N(x; lo, hi) in [0, 1], float64 of the shape of x."""
        return norm(x, self.lo, self.hi)


def repaired(metric: str, q05: float, q95: float, where: str = CALIBRATION) -> Bounds:
    """Bounds of stored quantiles: equal ones become (q05, q05 + 1).

    Raises `LakeError` for q95 < q05 and for NaN, which no population can have.
    """
    if not (math.isfinite(q05) and math.isfinite(q95)) or q95 < q05:
        raise LakeError(
            f"{where}: {metric} has q05 = {q05} and q95 = {q95}, expected finite numbers with q95 >= q05;"
            " recompute it with spymaster run --only physics_norm_calibration --force"
        )
    return Bounds(q05, q95 if q95 > q05 else q05 + 1.0)


def bounds(calibration: pa.Table) -> dict[str, Bounds]:
    """Bounds at use, by metric, of a stored calibration. `LakeError` for unusable or absent metrics."""
    asof = calibration["asof_dt"][0].as_py() if calibration.num_rows else "an unknown date"
    where = f"{CALIBRATION} of {asof}"
    columns = (calibration[name].to_pylist() for name in ("metric_name", "q05", "q95"))
    found = {name: repaired(name, q05, q95, where) for name, q05, q95 in zip(*columns, strict=True)}
    missing = [name for name in CALIBRATION_METRICS if name not in found]
    if missing:
        raise LakeError(
            f"{where} has no row for {', '.join(missing)}; expected {len(CALIBRATION_METRICS)} rows"
        )
    return found


# ------------------------------------------------------------------------------------- which date


def calibration_dt(lake: Lake, symbol: str, dt: str, params: RunParams) -> str:
    """Date of the calibration that a run over `dt` uses (`params.calibration_dt`).

    ``previous`` is the latest earlier date in the lake whose calibration was taken over at least 6 hours of
    valid windows. Raises `MissingDataError` when there is none, with the command that makes one.
    """
    if params.calibration_dt == "same":
        return dt
    if params.calibration_dt != "previous":
        return parse_dt(params.calibration_dt)
    too_short = []
    for partition in sorted(lake.partitions(), key=lambda p: p.dt, reverse=True):
        if partition.dataset != CALIBRATION or partition.symbol != symbol or partition.dt >= dt:
            continue
        windows = partition.manifest.counters.get(VALID_WINDOWS, 0)
        if windows >= PREVIOUS_MIN_VALID_WINDOWS:
            return partition.dt
        too_short.append(f"{partition.dt} has {windows} valid windows")
    found = f" ({'; '.join(too_short[:3])}, wanted {PREVIOUS_MIN_VALID_WINDOWS})" if too_short else ""
    raise MissingDataError(
        f"no calibration of {symbol} before {dt} with at least 6 hours of valid windows is in {lake.root}"
        f"{found}; make one from an earlier day: spymaster run --dt EARLIER --symbol {symbol}, or use"
        " --calibration-dt same"
    )


CALIBRATION_INPUT: Final = {CALIBRATION: calibration_dt}
"""`Stage.input_dt` of every stage that scales by a calibration"""


def calibration_record(manifest: Manifest) -> dict[str, str]:
    """What a manifest says about the calibration it used: dt, and sha256 of the calibration's rows."""
    return {"dt": manifest.dt, "sha256": manifest.files[0].sha256}


def calibration_id(record: Mapping[str, str]) -> str:
    """``<dt>/<first 16 hex digits of the content hash>``, for readers and screens."""
    return f"{record['dt']}/{record['sha256'][:16]}"


# ------------------------------------------------------------------------------------- population


def wall_populations(wall: Mapping[str, npt.NDArray[Any]], terms: Terms) -> dict[str, Floats]:
    """Values of one wall block that enter the quantiles, by metric (spec 6).

    wall: `POPULATION_COLUMNS` as arrays; terms: those of the same block. Rows of windows that are not valid
    take no part.
    """
    valid = wall["window_valid"]
    strong = valid & (wall["depth_qty_end"] > 0) & (np.abs(wall["rel_ticks"]) <= DELTA_TICKS)
    rows = terms.rows
    active = valid[rows] & (
        (wall["add_qty"][rows] > 0)
        | (wall["pull_qty_total"][rows] > 0)
        | (wall["fill_qty"][rows] > 0)
        | (np.abs(terms.x4) > TINY_TOL)
    )
    populations = {name: values[active] for name, values in terms.metrics.items()}
    populations["wall_strength_log"] = strength_log(wall["depth_qty_rest"][strong])
    return populations


POPULATION_COLUMNS: Final = (
    "window_valid",
    "rel_ticks",
    "depth_qty_end",
    "depth_qty_rest",
    "add_qty",
    "pull_qty_total",
    "fill_qty",
)


@dataclass(frozen=True)
class Calibration:
    """Raw quantiles and row counts by metric."""

    quantiles: Mapping[str, tuple[float, float]]
    rows: Mapping[str, int]
    passes: int

    def table(self, dt: str, session_window: str) -> pa.Table:
        """Rows of physics_norm_calibration in the order of `CALIBRATION_METRICS`."""
        names = list(CALIBRATION_METRICS)
        columns = {
            "metric_name": names,
            "q05": [self.quantiles[name][0] for name in names],
            "q95": [self.quantiles[name][1] for name in names],
            "lookback_sessions": [1] * len(names),
            "session_window": [session_window] * len(names),
            "asof_dt": [dt] * len(names),
        }
        return pa.table(columns, schema=table(CALIBRATION).arrow_schema)


def calibrate(
    populations: Callable[[], Iterator[Mapping[str, Floats]]], *, limit: int = DISTINCT_LIMIT
) -> Calibration:
    """Exact quantiles of every metric over a stream of populations, in memory bounded by `limit`.

    `populations()` gives the stream from its beginning, values by metric; it is called again for the rare
    metric that has more than `limit` different values. Raises `QuantileError` for NaN.
    """
    pickers = {name: ExactQuantiles(QUANTILES, limit) for name in CALIBRATION_METRICS}
    passes = 0
    while open_ones := {name: picker for name, picker in pickers.items() if not picker.done}:
        for block in populations():
            for name, values in block.items():
                if name in open_ones:
                    open_ones[name].add(values)
        for picker in open_ones.values():
            picker.end_pass()
        passes += 1
    return Calibration(
        {name: (picker.quantiles[0], picker.quantiles[1]) for name, picker in pickers.items()},
        {name: picker.count for name, picker in pickers.items()},
        passes,
    )
