"""What must be true of gex_surface_1s and gex_profile_1s, recomputed from the quotes (spec 7.2, 7.4, 11).

Formulas are written out here a second time. Blocks of whole windows come in, tallies come out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from data_eng.integrity import plain_black76 as black76
from data_eng.integrity.findings import MAX_OFFENDERS, Check, Tally
from data_eng.integrity.quote_checks import REACH_INT, consecutive
from data_eng.integrity.rows import Array, Bools, Ints, Rows, window_name
from data_eng.units import (
    EPS_GEX,
    PRICES_PER_POINT,
    ROW_GROUP_WINDOWS,
    STRIKE_OFFSETS,
    STRIKE_STEP_INT,
    WINDOW_NS,
)

STRIKES: Final = 2 * STRIKE_OFFSETS + 1
VALUES: Final = ("gex_call_abs", "gex_put_abs", "gex_abs", "gex", "gex_imbalance_ratio")
DIFFERENCED: Final = ("gex_abs", "gex", "gex_imbalance_ratio")
DIFFERENCES: Final = tuple(f"d{order}_{name}" for name in DIFFERENCED for order in (1, 2, 3))
LADDER_COLUMNS: Final = (
    "window_start_ts_ns",
    "window_end_ts_ns",
    "strike_price_int",
    "underlying_spot_ref",
    "strike_points",
)
GEX_COLUMNS: Final = (*LADDER_COLUMNS, *VALUES, *DIFFERENCES)
PROFILE_NUMBERS: Final = (
    "call_gex",
    "put_gex",
    "net_gex",
    "gamma_centre_points",
    "top_call_strike_points",
    "top_put_strike_points",
    "net_oi_call_minus_put",
    "net_oi_short_all",
    "net_oi_flow",
    "convention_min",
    "convention_max",
)
PROFILE_REACH: Final = 150.0
SCAN_POINTS: Final = 0.05
UNKNOWN_SIGN: Final = 1e-6
"""share of the largest net gamma below which its sign is not judged"""
PART_REACH: Final = 10.0
UNKNOWN_SIGN_OF_PART: Final = 0.1
"""the same where strikes stand outside the quote table: they weigh a little, and less near spot"""
OUTSIDE_REACH: Final = 4.0
"""within 10 points the strikes outside weigh less than so many times what they weigh at spot"""
REL_TOL: Final = 1e-9
HISTORY_WINDOWS: Final = 3
BLOCK_NS: Final = ROW_GROUP_WINDOWS * WINDOW_NS
"""what a block of `rows.window_blocks` spans"""


class Weights(NamedTuple):
    """What flips are recomputed from, by option: points, years, vol, signed contracts x multiplier.

    whole: the options are the whole chain, none stands outside the quote table.
    """

    strike: Array
    years: Array
    vol: Array
    lots: Array
    whole: bool


class Exposures:
    """Call and put exposure per window and strike of a stretch, float64[windows, strikes] each."""

    def __init__(self, window_end: Ints, spot_int: Ints, strikes: Ints) -> None:
        self.window_end = window_end
        self.spot_int = spot_int
        self.strikes = strikes
        self.call = np.zeros((len(window_end), len(strikes)))
        self.put = np.zeros((len(window_end), len(strikes)))

    def add(self, quotes: Rows, exposure: Array) -> None:
        """Adds float64[n] exposures of quote rows; rows of no window or strike are other checks' findings."""
        if not len(self.window_end) or not len(self.strikes):
            return
        at = np.minimum(
            np.searchsorted(self.window_end, quotes["window_end_ts_ns"]), len(self.window_end) - 1
        )
        column = np.minimum(np.searchsorted(self.strikes, quotes["strike_price_int"]), len(self.strikes) - 1)
        placed = self.window_end[at] == quotes["window_end_ts_ns"]
        placed &= self.strikes[column] == quotes["strike_price_int"]
        for right, values in (("C", self.call), ("P", self.put)):
            mine = placed & (quotes["right"] == right)
            np.add.at(values, (at[mine], column[mine]), exposure[mine])

    def values(self) -> dict[str, Array]:
        """The value columns of gex_surface_1s, float64[windows, strikes] by name."""
        total, net = self.call + self.put, self.call - self.put
        return {
            "gex_call_abs": self.call,
            "gex_put_abs": self.put,
            "gex_abs": total,
            "gex": net,
            "gex_imbalance_ratio": net / (total + EPS_GEX),
        }

    def known(self) -> Bools:
        """bool[windows, strikes]: quotes of the strike are in the quote table in that window, if listed."""
        return np.asarray(np.abs(self.strikes[None, :] - self.spot_int[:, None]) <= REACH_INT)


def ladder_of(spot_int: Ints) -> Ints:
    """int64[n, 61] strikes: 5 floor(spot/5 + 0.5) + 5 i points."""
    centre = (2 * spot_int + STRIKE_STEP_INT) // (2 * STRIKE_STEP_INT) * STRIKE_STEP_INT
    return np.asarray(centre[:, None] + STRIKE_STEP_INT * np.arange(-STRIKE_OFFSETS, STRIKE_OFFSETS + 1))


class GexPass:
    """Judges gex_surface_1s in blocks, by itself and against the exposures of the quotes."""

    def __init__(self, window_end: Ints, spot_int: Ints, *, whole_run: bool) -> None:
        self.window_end, self.spot_int = window_end, spot_int
        self.seen = np.zeros(len(window_end), np.int64)
        self.rows = 0
        self._whole_run = whole_run
        self._run = consecutive(window_end, spot_int)
        self._ladder = Tally("gex_ladder", "rows")
        self._relations = Tally("gex_relations", "rows")
        self._zeros = Tally("gex_zeros", "rows")
        self._values = Tally("gex_from_quotes", "values")
        self._differences = Tally("gex_differences", "values")

    def examine(self, rows: Rows) -> None:
        """Ladder, spot and the relations between the columns of each row."""
        self.rows += len(rows)
        at = np.minimum(np.searchsorted(self.window_end, rows["window_end_ts_ns"]), len(self.window_end) - 1)
        spot_int = self.spot_int[at]
        place = self.seen[at] + _place_within(rows["window_end_ts_ns"])
        np.add.at(self.seen, at, 1)
        strike = rows["strike_price_int"]
        lowest = ladder_of(spot_int[:, None].ravel())[:, 0] if len(rows) else strike
        bad = (self.window_end[at] != rows["window_end_ts_ns"]) | (spot_int <= 0)
        bad |= strike != lowest + STRIKE_STEP_INT * place
        bad |= rows["window_start_ts_ns"] != rows["window_end_ts_ns"] - WINDOW_NS
        bad |= ~_close(rows["underlying_spot_ref"], spot_int / PRICES_PER_POINT, 1e-15)
        bad |= ~_close(rows["strike_points"], strike / PRICES_PER_POINT, 1e-15)
        self._ladder.add_rows(bad, lambda row: f"{_name(rows, row)}: not the ladder of the snapshot's spot")

        call, put, total, net, ratio = (rows[name] for name in VALUES)
        size = np.abs(total)
        bad = np.zeros(len(rows), bool)
        for name in (*VALUES, *DIFFERENCES):
            bad |= ~np.isfinite(rows[name])
        with np.errstate(invalid="ignore"):
            bad |= (call < 0) | (put < 0) | (np.abs(ratio) > 1)
            bad |= ~_close(total, call + put, REL_TOL) | ~(np.abs(net - (call - put)) <= REL_TOL * size)
            bad |= ~(np.abs(ratio - net / (total + EPS_GEX)) <= REL_TOL)
        self._relations.add_rows(bad, lambda row: f"{_name(rows, row)}: its columns contradict each other")

    def examine_zeros(self, rows: Rows) -> None:
        """Without option data every value is 0."""
        bad = np.zeros(len(rows), bool)
        for name in (*VALUES, *DIFFERENCES):
            bad |= rows[name] != 0
        self._zeros.add_rows(
            bad, lambda row: f"{_name(rows, row)}: not 0, although the manifest says why it is"
        )

    def compare(self, rows: Rows, around: Exposures, listed: Bools) -> None:
        """Values and differences of `rows` against exposures; `around` holds three windows of history.

        listed: bool[strikes], the chain has the strike.
        """
        values, known = around.values(), around.known() | ~listed[None, :]
        at = np.searchsorted(around.window_end, rows["window_end_ts_ns"])
        column = np.minimum(
            np.searchsorted(around.strikes, rows["strike_price_int"]), len(around.strikes) - 1
        )
        found = (at < len(around.window_end)) & (around.strikes[column] == rows["strike_price_int"])
        at = np.minimum(at, len(around.window_end) - 1)
        size = np.maximum(np.abs(values["gex_abs"][at, column]), np.abs(rows["gex_abs"]))
        for name in VALUES:
            scale = np.where(size > 0, 1.0, 0.0) if name == "gex_imbalance_ratio" else size
            bad = ~found | ~(np.abs(rows[name] - values[name][at, column]) <= REL_TOL * scale)
            said = f"{name} does not follow from the quotes"
            self._values.add(len(bad), *_offenders(rows, np.flatnonzero(bad), said))
        run = self._run[np.searchsorted(self.window_end, around.window_end)]
        self._compare_differences(rows, around, values, known, run, (at, column, found))

    def _compare_differences(
        self,
        rows: Rows,
        around: Exposures,
        values: dict[str, Array],
        known: Bools,
        run: Ints,
        place: tuple[Ints, Ints, Bools],
    ) -> None:
        at, column, found = place
        judged = found & known[at, column]
        for back in (1, 2, 3):
            needed = run[at] >= back
            judged &= ~needed | ((at >= back) & known[np.maximum(at - back, 0), column])
        if not self._whole_run:  # what came before the emitted session is not in the tables
            first = np.searchsorted(self.window_end, rows["window_end_ts_ns"])
            judged &= first >= HISTORY_WINDOWS
        for name in DIFFERENCED:
            level = values[name]
            size = level if name == "gex_abs" else values["gex_abs"] if name == "gex" else np.ones_like(level)
            for order in (1, 2, 3):
                level = _stepped(level, run)
                wanted = level[at, column]
                scale = size[at, column]
                for back in (1, 2, 3):
                    scale = np.maximum(scale, size[np.maximum(at - back, 0), column])
                stored = rows[f"d{order}_{name}"]
                bad = judged & ~(np.abs(stored - wanted) <= 8 * REL_TOL * scale)
                self._differences.add(
                    int(np.count_nonzero(judged)),
                    *_offenders(rows, np.flatnonzero(bad), f"d{order}_{name} does not follow"),
                )

    def checks(self, *, zeros: bool) -> list[Check]:
        """Findings; `zeros` when the manifest says that there is nothing but zeros."""
        windows = Tally("gex_windows", "windows")
        wanted = np.where(self.spot_int > 0, STRIKES, 0)
        windows.add_rows(
            self.seen != wanted,
            lambda row: (
                f"{window_name(self.window_end[row])}: {self.seen[row]} strikes, expected {wanted[row]}"
            ),
        )
        own = (self._ladder, self._relations)
        more = (self._zeros,) if zeros else (self._values, self._differences)
        return [windows.check(), *(tally.check() for tally in (*own, *more))]


# ---- profile -----------------------------------------------------------------------------------------------


def check_profile_rows(profile: Rows, window_end: Ints) -> Check:
    """One row per snapshot window, in order."""
    found = profile["window_end_ts_ns"]
    if len(found) == len(window_end):
        tally = Tally("profile_rows", "windows")
        tally.add_rows(found != window_end, lambda row: f"{window_name(found[row])} is not in its place")
        return tally.check()
    odd = sorted(set(found.tolist()) ^ set(window_end.tolist()))
    text = tuple(f"{window_name(end)} is in one of snapshot and profile only" for end in odd[:5])
    return Check("profile_rows", len(found), "windows", max(len(odd), 1), text)


def check_profile_sums(profile: Rows, sums: Array, spot_int: Ints, whole_chain: Bools) -> list[Check]:
    """Totals against float64[windows, 2] sums of the quotes, call and put, and the three conventions.

    Where the chain reaches beyond the quote table (`whole_chain` false) the totals are at least those sums.
    """
    numbers = {name: profile[name] for name in PROFILE_NUMBERS}
    call, put = numbers["call_gex"], numbers["put_gex"]
    size = call + put
    bad = np.zeros(len(profile), bool)
    for values in numbers.values():
        bad |= ~np.isfinite(values)
    with np.errstate(invalid="ignore"):
        for stored, wanted in ((call, sums[:, 0]), (put, sums[:, 1])):
            bad |= ~(stored >= wanted * (1 - REL_TOL))
            bad |= whole_chain & ~(stored <= wanted * (1 + REL_TOL))
        bad |= (spot_int <= 0) & (size != 0)
    totals = Tally("profile_from_quotes", "windows")
    totals.add_rows(bad, lambda row: f"{window_name(profile['window_end_ts_ns'][row])}: totals")

    three = np.stack(
        [numbers[name] for name in ("net_oi_call_minus_put", "net_oi_short_all", "net_oi_flow")], axis=1
    )
    with np.errstate(invalid="ignore"):
        bad = np.abs(numbers["net_gex"] - (call - put)) > REL_TOL * size
        bad |= numbers["net_oi_call_minus_put"] != numbers["net_gex"]
        bad |= np.abs(numbers["net_oi_short_all"] + size) > REL_TOL * size
        bad |= numbers["convention_min"] != three.min(axis=1)
        bad |= numbers["convention_max"] != three.max(axis=1)
        for name, part in (("top_call_strike_points", call), ("top_put_strike_points", put)):
            bad |= (numbers[name] > 0) != (part > 0)
        bad |= (numbers["gamma_centre_points"] > 0) & (size == 0)
    conventions = Tally("profile_conventions", "windows")
    conventions.add_rows(
        bad, lambda row: f"{window_name(profile['window_end_ts_ns'][row])}: its columns disagree"
    )
    return [totals.check(), conventions.check()]


def check_profile_strikes(
    profile: Rows, around: Sequence[tuple[int, Exposures]], whole_chain: Bools
) -> Check:
    """gamma_centre and the top strikes of sampled windows; (row of the profile, exposures) each."""
    tally = Tally("profile_strikes", "windows")
    for row, exposures in around:
        if not whole_chain[row]:
            continue
        at = int(np.searchsorted(exposures.window_end, profile["window_end_ts_ns"][row]))
        points = exposures.strikes / PRICES_PER_POINT
        call, put = exposures.call[at], exposures.put[at]
        weight = np.abs(call - put)
        centre = float(np.sum(weight * points) / np.sum(weight)) if weight.sum() > 0 else 0.0
        wrong = [] if _same(profile["gamma_centre_points"][row], centre) else ["gamma_centre_points"]
        for name, values in (("top_call_strike_points", call), ("top_put_strike_points", put)):
            stored = profile[name][row]
            best = values.max(initial=0.0)
            mine = values[points == stored]
            good = stored == 0.0 if best == 0.0 else mine.size == 1 and mine[0] >= best * (1 - REL_TOL)
            wrong += [] if good else [name]
        end = window_name(profile["window_end_ts_ns"][row])
        tally.add(1, [f"{end}: {', '.join(wrong)}"] if wrong else [])
    return tally.check()


def check_flips(samples: Sequence[tuple[int, float, Weights, float, Sequence[float]]], rate: float) -> Check:
    """Flips of sampled windows: (window_end, spot in points, weights, exposure at spot that no quote row has,
    stored flips) each.

    The net gamma is looked at every 0.05 points. Between two neighbours of opposite sign, both far enough
    from 0 to have one, stands an odd number of flips; at a flip the net gamma is next to nothing. Where the
    quote table holds only part of the chain, what is far from 0 is judged, within 10 points, and further from
    it than the strikes outside could take it.
    """
    tally = Tally("profile_flips", "windows")
    for window_end, spot, weights, outside, flips in samples:
        reach, unknown = (
            (PROFILE_REACH, UNKNOWN_SIGN) if weights.whole else (PART_REACH, UNKNOWN_SIGN_OF_PART)
        )
        points = spot + np.linspace(-reach, reach, round(2 * reach / SCAN_POINTS) + 1)
        points = points[points > 0]
        net = net_at(points, weights, rate)
        floor = max(unknown * np.abs(net).max(initial=0.0), OUTSIDE_REACH * outside)
        sure = np.flatnonzero(np.abs(net) > floor)
        wrong = []
        if list(flips) != sorted(flips) or any(abs(f - spot) > PROFILE_REACH + 1e-9 for f in flips):
            wrong.append("flips are not ascending within 150 points")
        for left, right in pairwise(sure):
            between = sum(points[left] < flip < points[right] for flip in flips)
            if between % 2 != (net[left] * net[right] < 0):
                wrong.append(f"{between} flips between {points[left]:.2f} and {points[right]:.2f}")
        judged = [flip for flip in flips if abs(flip - spot) <= reach]
        near = np.abs(net_at(np.array(judged, np.float64), weights, rate))
        wrong += [f"no root at {flip:.6f}" for flip, value in zip(judged, near, strict=True) if value > floor]
        tally.add(1, [f"{window_name(window_end)}: {wrong[0]}"] if wrong else [])
    return tally.check()


def net_at(points: Array, weights: Weights, rate: float) -> Array:
    """Net exposure at hypothetical spots, float64[n] points, vols held at their strikes."""
    net = np.zeros(len(points))
    for strike, years, vol, lots in zip(*weights[:4], strict=True):
        net += lots * black76.gamma(points, strike, years, vol, rate)
    return net


def flips_of(profile: pa.Table) -> list[list[float]]:
    """The list column as Python lists."""
    return [list(value) for value in profile.column("flip_points").to_pylist()]


# ---- helpers -----------------------------------------------------------------------------------------------


def _stepped(level: Array, run: Ints) -> Array:
    """Backward difference along windows; 0 where a run begins."""
    out = np.zeros_like(level)
    out[1:] = level[1:] - level[:-1]
    out[run == 0] = 0.0
    return out


def _place_within(window_end: Ints) -> Ints:
    """int64[n] number of the row within its window, for rows sorted by window."""
    if not len(window_end):
        return np.zeros(0, np.int64)
    new = np.concatenate([[True], window_end[1:] != window_end[:-1]])
    starts = np.flatnonzero(new)
    return np.asarray(np.arange(len(window_end)) - starts[np.cumsum(new) - 1])


def _close(found: Array, wanted: Array, rel: float) -> Bools:
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(found - wanted) <= rel * np.abs(wanted))


def _same(found: float, wanted: float) -> bool:
    return math.isclose(found, wanted, rel_tol=REL_TOL, abs_tol=1e-12)


def _offenders(rows: Rows, bad: Ints, said: str) -> tuple[list[str], int]:
    """Examples of bad rows, and how many there are."""
    return [f"{_name(rows, int(row))}: {said}" for row in bad[:MAX_OFFENDERS]], len(bad)


def _name(rows: Rows, row: int) -> str:
    strike = f"{rows['strike_price_int'][row] / PRICES_PER_POINT:g}"
    return f"window_end {rows['window_end_ts_ns'][row]} strike {strike}"
