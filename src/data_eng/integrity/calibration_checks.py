"""What must be true of physics_norm_calibration, and the bounds that scores use (spec 6, 11)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from data_eng.integrity.findings import Check, Tally
from data_eng.integrity.rows import Array, Rows
from data_eng.schema import CALIBRATION_METRICS

QUANTILES: Final = {"q05": 0.05, "q95": 0.95}
TOL: Final = 1e-12
"""relative to 1 or the value"""


@dataclass(frozen=True)
class Bounds:
    """Bounds of one metric at use: `hi` is lo + 1 when the stored quantiles are equal."""

    lo: float
    hi: float

    def norm(self, x: Array) -> Array:
        """N(x; lo, hi): clip((x - lo) / (hi - lo), 0, 1), float64 of the shape of x."""
        return np.asarray(np.clip((x - self.lo) / (self.hi - self.lo), 0.0, 1.0))


def bounds_of(calibration: Rows) -> dict[str, Bounds]:
    """Bounds by metric; a metric that is absent or unusable gets NaN, so that no score can agree with it."""
    found = dict.fromkeys(CALIBRATION_METRICS, Bounds(math.nan, math.nan))
    for row, name in enumerate(calibration["metric_name"].tolist()):
        lo, hi = float(calibration["q05"][row]), float(calibration["q95"][row])
        if hi >= lo:
            found[name] = Bounds(lo, hi if hi > lo else lo + 1.0)
    return found


def check_calibration_rows(calibration: Rows, dt: str) -> tuple[Check, Check]:
    """The six metrics once each, asof_dt = dt, q95 >= q05 and finite; equal quantiles are worth a warning."""
    tally = Tally("calibration_rows", "metrics")
    names = calibration["metric_name"].tolist()
    offenders = [
        f"{n} has {names.count(n)} rows, wanted 1" for n in CALIBRATION_METRICS if names.count(n) != 1
    ]
    offenders += [f"unknown metric {n}" for n in names if n not in CALIBRATION_METRICS]
    collapsed = []
    for row, name in enumerate(names):
        lo, hi = float(calibration["q05"][row]), float(calibration["q95"][row])
        if not (math.isfinite(lo) and math.isfinite(hi)) or hi < lo:
            offenders.append(f"{name}: q05 {lo}, q95 {hi}; wanted finite and q95 >= q05")
        elif hi == lo:
            collapsed.append(f"{name}: q05 = q95 = {lo}; its scores are 0 or 1")
        if calibration["asof_dt"][row] != dt or calibration["lookback_sessions"][row] != 1:
            offenders.append(f"{name}: asof_dt {calibration['asof_dt'][row]}, wanted {dt} over 1 session")
    tally.add(len(names), offenders)
    spread = Check(
        "calibration_spread", len(names), "metrics", len(collapsed), tuple(collapsed[:5]), severity="warn"
    )
    return tally.check(), spread


class QuantileProbe:
    """Decides in O(1) memory whether a value is a quantile of a stream (linear interpolation).

    It counts what lies below and at the value and keeps the nearest neighbours; no value is stored.
    """

    def __init__(self, q: float, value: float) -> None:
        self.q = q
        self.value = value
        self.count = 0
        self._below = 0
        self._at = 0
        self._lower = -math.inf
        self._upper = math.inf
        self._tol = TOL * max(1.0, abs(value))

    def add(self, values: Array) -> None:
        """See float64[n] more values of the population."""
        below, above = values < self.value - self._tol, values > self.value + self._tol
        self.count += len(values)
        self._below += int(below.sum())
        self._at += int((~below & ~above).sum())
        self._lower = max(self._lower, float(values[below].max(initial=-math.inf)))
        self._upper = min(self._upper, float(values[above].min(initial=math.inf)))

    @property
    def holds(self) -> bool:
        """The value is the quantile of what was seen; of nothing, the quantile is 0."""
        if not self.count:
            return self.value == 0.0
        position = (self.count - 1) * self.q
        lo, hi = math.floor(position), math.ceil(position)
        if self._at:
            return self._below <= lo and self._below + self._at >= hi + 1
        if self._below != lo + 1 or hi != lo + 1:
            return False
        interpolated = self._lower + (position - lo) * (self._upper - self._lower)
        return abs(interpolated - self.value) <= self._tol * 10


class CalibrationProbe:
    """Judges the quantiles of one date against that date's own populations (spec 6)."""

    def __init__(self, calibration: Rows) -> None:
        self._probes: dict[tuple[str, str], QuantileProbe] = {
            (name, quantile): QuantileProbe(q, float(calibration[quantile][row]))
            for row, name in enumerate(calibration["metric_name"].tolist())
            for quantile, q in QUANTILES.items()
        }

    def add(self, populations: Mapping[str, Array]) -> None:
        """See more of the populations, float64[n] by metric."""
        for (name, _), probe in self._probes.items():
            if name in populations:
                probe.add(populations[name])

    def widened(self, name: str, stored: Array) -> Array:
        """float64[n] of float32 values: those that are a quantile after rounding are taken as the quantile.

        For values that cannot be recomputed (a narrower session hides what its first windows stand on).
        """
        values = stored.astype(np.float64)
        for (metric, _), probe in self._probes.items():
            if metric == name:
                values[stored == np.float32(probe.value)] = probe.value
        return values

    def check(self) -> Check:
        """Finding over all quantiles."""
        tally = Tally("calibration_quantiles", "quantiles")
        for (name, quantile), probe in self._probes.items():
            wrong = f"{name} {quantile} is {probe.value}: not that quantile of its {probe.count:,} values"
            tally.add(1, [] if probe.holds else [wrong])
        return tally.check()
