"""What must be true of radar_vacuum_1s, beside the snapshot and the wall's depth (spec 5.3, 11)."""

from __future__ import annotations

from typing import Final

import numpy as np

from data_eng.integrity.findings import Check, Tally
from data_eng.integrity.rows import Array, Bools, Ints, Rows, window_name
from data_eng.integrity.wall_checks import Zones
from data_eng.schema import F_FEATURES, U_FEATURES
from data_eng.units import DELTA_TICKS, EPS_DIST_TICKS, EPS_QTY, PRICES_PER_POINT, TINY_TOL, WINDOW_NS

FEATURES: Final = (*F_FEATURES, *U_FEATURES)
RELATIVE_TOL: Final = 1e-12
"""spec 13.8: floats agree with a plain twin to this, relative to 1 or the value"""

SHARES: Final = tuple(name for name in FEATURES if "_share_rest" in name)
"""features that are shares in [0, 1]"""

SAME: Final = {
    "u1_ask_com_disp_log": ("f1_ask_com_disp_log", 1),
    "u2_ask_slope_convex_log": ("f1_ask_slope_convex_log", 1),
    "u2_ask_slope_inner_log": ("f1_ask_slope_inner_log", 1),
    "u3_ask_at_share_decay": ("f1_ask_at_share_delta", -1),
    "u3_ask_near_share_decay": ("f1_ask_near_share_delta", -1),
    "u4_ask_reprice_away_share_rest": ("f1_ask_reprice_away_share_rest", 1),
    "u5_ask_pull_add_log_rest": ("f2_ask_pull_add_log_rest", 1),
    "u6_ask_pull_intensity_log_rest": ("f2_ask_pull_intensity_log_rest", 1),
    "u7_ask_at_pull_share_rest": ("f2_ask_at_pull_share_rest", 1),
    "u7_ask_near_pull_share_rest": ("f2_ask_near_pull_share_rest", 1),
    "u8_bid_com_approach_log": ("f3_bid_com_disp_log", -1),
    "u9_bid_slope_support_log": ("f3_bid_slope_convex_log", -1),
    "u9_bid_slope_inner_log": ("f3_bid_slope_inner_log", -1),
    "u10_bid_at_share_rise": ("f3_bid_at_share_delta", 1),
    "u10_bid_near_share_rise": ("f3_bid_near_share_delta", 1),
    "u12_bid_add_pull_log_rest": ("f4_bid_pull_add_log_rest", -1),
    "u18_ask_bbo_dist_ticks": ("f8_ask_bbo_dist_ticks", 1),
    "u19_bid_bbo_dist_ticks": ("f9_bid_bbo_dist_ticks", 1),
}
"""u feature -> (f feature, sign)"""

SUMS: Final = {
    "f5_vacuum_expansion_log": ("f1_ask_com_disp_log", "f3_bid_com_disp_log"),
    "f6_vacuum_decay_log": ("f2_ask_pull_add_log_rest", "f4_bid_pull_add_log_rest"),
    "f7_vacuum_total_log": ("f5_vacuum_expansion_log", "f6_vacuum_decay_log"),
    "u15_up_expansion_log": ("u1_ask_com_disp_log", "u8_bid_com_approach_log"),
    "u16_up_flow_log": ("u5_ask_pull_add_log_rest", "u12_bid_add_pull_log_rest"),
    "u17_up_total_log": ("u15_up_expansion_log", "u16_up_flow_log"),
}


def check_radar_windows(radar: Rows, snapshot: Rows) -> Check:
    """Exactly the snapshot windows with spot > 0 have a radar row."""
    tally = Tally("radar_windows", "windows with spot > 0")
    wanted = snapshot["window_end_ts_ns"][snapshot["spot_ref_price_int"] > 0]
    have = radar["window_end_ts_ns"]
    missing, extra = np.setdiff1d(wanted, have), np.setdiff1d(have, wanted)
    tally.add(
        len(wanted),
        [f"{window_name(w)}: no radar row" for w in missing]
        + [f"{window_name(w)}: radar row without spot" for w in extra],
    )
    return tally.check()


def check_radar_spot(radar: Rows, snapshot: Rows) -> Check:
    """Spot, in both units, is the snapshot's and positive."""
    tally = Tally("radar_spot", "radar rows")
    place = np.searchsorted(snapshot["window_end_ts_ns"], radar["window_end_ts_ns"])
    wanted = np.append(snapshot["spot_ref_price_int"], 0)[place]
    spot = radar["spot_ref_price_int"]
    points_wrong = radar["spot_ref_price"] != spot / PRICES_PER_POINT
    started = radar["window_end_ts_ns"] - radar["window_start_ts_ns"] != WINDOW_NS
    bad = (spot != wanted) | (spot <= 0) | points_wrong | started
    tally.add_rows(bad, lambda row: f"{_at(radar, row)}: spot {spot[row]}, snapshot {wanted[row]}")
    return tally.check()


def check_radar_finite(radar: Rows) -> Check:
    """Every feature and derivative is a finite number, and shares lie in [0, 1]."""
    names = [name for name in radar.columns if radar[name].dtype.kind == "f"]
    tally = Tally("radar_finite", "values")
    for name in names:
        values = radar[name]
        bad = ~np.isfinite(values)
        if name in SHARES:
            bad |= (values < 0) | (values > 1)
        tally.add_rows(bad, lambda row, n=name, v=values: f"{_at(radar, row)} {n} is {v[row]}")  # type: ignore[misc]  # mypy cannot type defaults
    return tally.check()


def expected_from_wall(zones: Zones, snapshot_rows: Ints) -> dict[str, Array]:
    """Features that the wall's start and end depth determine, float64[radar rows] by name."""
    expected: dict[str, Array] = {}
    for side, name in enumerate(("f1_ask", "f3_bid")):
        start, end = (
            {
                bucket: zones.depth[picture, bucket][side][snapshot_rows].astype(np.float64)
                for bucket in _PARTS
            }
            for picture in Zones.PICTURES
        )
        total0 = zones.total("start")[side][snapshot_rows].astype(np.float64)
        total1 = zones.total("end")[side][snapshot_rows].astype(np.float64)
        centre0, centre1 = _centre(start["weighted"], total0), _centre(end["weighted"], total1)
        expected[f"{name}_com_disp_log"] = np.log((centre1 + EPS_DIST_TICKS) / (centre0 + EPS_DIST_TICKS))
        expected[f"{name}_slope_convex_log"] = np.log((end["far"] + EPS_QTY) / (end["near"] + EPS_QTY))
        expected[f"{name}_slope_inner_log"] = np.log((end["near"] + EPS_QTY) / (end["at"] + EPS_QTY))
        for bucket in ("at", "near"):
            share0, share1 = start[bucket] / (total0 + EPS_QTY), end[bucket] / (total1 + EPS_QTY)
            expected[f"{name}_{bucket}_share_delta"] = share1 - share0
    expected["f8_ask_bbo_dist_ticks"] = zones.nearest[0][snapshot_rows].astype(np.float64)
    expected["f9_bid_bbo_dist_ticks"] = zones.nearest[1][snapshot_rows].astype(np.float64)
    return expected


def check_radar_pictures(radar: Rows, snapshot: Rows, zones: Zones) -> Check:
    """f1 and f3 slopes, centres and shares, f8 and f9 follow from the wall's depth."""
    tally = Tally("radar_from_wall", "values")
    ends = snapshot["window_end_ts_ns"]
    known = np.isin(radar["window_end_ts_ns"], ends)
    rows = radar.take(known)
    expected = expected_from_wall(zones, np.searchsorted(ends, rows["window_end_ts_ns"]))
    for name, wanted in expected.items():
        _compare(tally, rows, name, wanted)
    return tally.check()


def check_radar_relations(radar: Rows) -> Check:
    """Sums f5, f6, f7, u15, u16, u17, and every u feature that is an f feature in other words."""
    tally = Tally("radar_relations", "values")
    for name, (source, sign) in SAME.items():
        _compare(tally, radar, name, sign * radar[source])
    for name, (one, other) in SUMS.items():
        _compare(tally, radar, name, radar[one] + radar[other])
    _compare(tally, radar, "u11_bid_reprice_toward_share_rest", 1 - radar["f3_bid_reprice_away_share_rest"])
    shares = radar["f4_bid_at_pull_share_rest"] + radar["f4_bid_near_pull_share_rest"]
    _compare(tally, radar, "u14_bid_far_pull_share_rest", 1 - shares)
    return tally.check()


def check_radar_derivatives(radar: Rows, reset_windows: Ints, *, whole_run: bool) -> Check:
    """d1, d2, d3 are differences of consecutive rows and restart at 0 in the first row and at a reset.

    With `whole_run` False the first row has a history outside the table and is not judged.
    """
    tally = Tally("radar_derivatives", "values")
    ends = radar["window_end_ts_ns"]
    restart = np.zeros(len(ends), dtype=bool)
    restart[:1] = True
    resets = np.sort(reset_windows)
    restart[1:] |= np.searchsorted(resets, ends[1:], "right") > np.searchsorted(resets, ends[:-1], "right")
    judged = np.ones(len(ends), dtype=bool)
    judged[:1] = whole_run
    for feature in FEATURES:
        source = radar[feature]
        for order in (1, 2, 3):
            name = f"d{order}_{feature}"
            wanted = np.zeros(len(source))
            wanted[1:] = source[1:] - source[:-1]
            wanted[restart] = 0.0
            _compare(tally, radar, name, wanted, judged)
            source = radar[name]
    return tally.check()


def check_approach(radar: Rows, *, whole_run: bool) -> Check:
    """approach_dir is the sign of spot's change over three rows; none in the first three."""
    tally = Tally("radar_approach", "radar rows")
    spot = radar["spot_ref_price_int"]
    change = np.zeros(len(spot), dtype=np.int64)
    change[3:] = np.sign(spot[3:] - spot[:-3])
    wanted = np.array(["approach_none", "approach_up", "approach_down"])[change]
    bad = radar["approach_dir"] != wanted
    if not whole_run:
        bad[:3] = False
    tally.add_rows(bad, lambda row: f"{_at(radar, row)}: {radar['approach_dir'][row]}, wanted {wanted[row]}")
    return tally.check()


_PARTS: Final = ("at", "near", "far", "weighted")


def _centre(weighted: Array, total: Array) -> Array:
    empty = total < TINY_TOL
    return np.where(empty, DELTA_TICKS, weighted / np.where(empty, 1.0, total))


def _compare(tally: Tally, rows: Rows, name: str, wanted: Array, judged: Bools | None = None) -> None:
    values = rows[name]
    # written so that NaN is a difference
    close = np.abs(values - wanted) <= RELATIVE_TOL * np.maximum(1.0, np.abs(wanted))
    bad = ~close if judged is None else ~close & judged
    tally.add_rows(bad, lambda row: f"{_at(rows, row)} {name} is {values[row]}, wanted {wanted[row]}")


def _at(rows: Rows, row: int) -> str:
    return window_name(rows["window_end_ts_ns"][row])
