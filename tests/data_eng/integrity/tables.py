"""A coherent small lake set, made the slow way, and the tools to break it one cell at a time.

A seeded stream of records goes through the plain book; everything derived (differences, radar, vacuum,
bands, context, planes) is written here a second time with dictionaries and `math`, from the specification,
so that the checks are judged by something that shares no code with them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import databento_dbn as dbn
import numpy as np
import pyarrow as pa

from data_eng.errors import MissingDataError
from data_eng.integrity.plain_book import PlainBook, PlainWindow, Record
from data_eng.schema import F_FEATURES, PLANES, U_FEATURES, table

SYMBOL, DT = "ESH6", "2026-01-06"
TICK = 250_000_000
SECOND = 10**9
T0 = 1_767_708_275 * SECOND  # 2026-01-06 14:04:35 UTC: the minute crosses the border of two blocks
CENTRE = 4_800 * 4  # in ticks; bids stay below, asks above
WINDOWS = 60
OPENS_AT = 4
"""number of the window in which trading begins"""
RESET_AT = 30
"""number of the window in which the book is sent again"""
SNAPSHOT, LAST = int(dbn.F_SNAPSHOT), int(dbn.F_LAST)

BRONZE = "bronze.future_mbo.mbo"
SNAP = "silver.future_mbo.book_snapshot_1s"
WALL = "silver.future_mbo.wall_surface_1s"
RADAR = "silver.future_mbo.radar_vacuum_1s"
TRADES = "silver.future_mbo.trade_event"
VACUUM = "silver.future_mbo.vacuum_surface_1s"
BAND = "silver.future_mbo.physics_bands_1s"
CONTEXT = "silver.future_mbo.physics_context_1s"
GEX = "silver.future_option_mbo.gex_surface_1s"
CALIBRATION = "gold.hud.physics_norm_calibration"
HUD = "gold.hud.hud_surface_1s"

Row = dict[str, Any]


# -- the record stream -------------------------------------------------------------------------------


def _book_of(orders: dict[int, tuple[str, int, int, int]], ts_recv: int) -> list[Record]:
    """A marked snapshot of the live orders."""
    clear = Record(ts_recv, ts_recv, "R", "N", 0, int(dbn.UNDEF_PRICE), 0, SNAPSHOT | 8)
    adds = [
        Record(t, ts_recv, "A", side, oid, tick * TICK, qty, SNAPSHOT | 8)
        for oid, (side, tick, qty, t) in orders.items()
    ]
    adds[-1] = adds[-1]._replace(flags=adds[-1].flags | LAST)
    return [clear, *adds]


@cache
def records(seed: int = 7) -> tuple[Record, ...]:
    """Snapshot, then a minute of adds, cancels, modifies and trades; the book is re-sent once."""
    rng = random.Random(seed)
    ids = iter(range(1, 10**9))
    orders: dict[int, tuple[str, int, int, int]] = {}
    for tick in range(1, 26):
        for side, sign in (("A", 1), ("B", -1)):
            orders[next(ids)] = (side, CENTRE + sign * tick, rng.randint(1, 30), T0 - 3_600 * SECOND)
    orders[next(ids)] = ("A", CENTRE + 590, 40, T0 - SECOND)
    stream = _book_of(orders, T0 - SECOND)
    for number in range(WINDOWS):
        start = T0 + number * SECOND
        if number == RESET_AT:
            stream += _book_of(orders, start + SECOND // 4)
        if number % 9 == 8:
            continue  # a second without any record
        for step in range(rng.randint(2, 8)):
            # a step of 1/10 s; the last ones are younger than REST_NS at the window's end
            ts = start + SECOND // 3 + step * SECOND // 12
            trades = number >= OPENS_AT and (step == 0 or rng.random() < 0.3)
            stream += _event(rng, ids, orders, ts, trades=trades)
    return tuple(stream)


def _event(
    rng: random.Random,
    ids: Iterator[int],
    orders: dict[int, tuple[str, int, int, int]],
    ts: int,
    *,
    trades: bool,
) -> list[Record]:
    """One event on the live orders, its last record with F_LAST."""
    recv = ts + 100_000
    side = rng.choice("AB")
    sign = 1 if side == "A" else -1
    mine = [oid for oid, order in orders.items() if order[0] == side]
    if trades:
        best = min(mine, key=lambda oid: (sign * orders[oid][1], oid))
        _, tick, qty, entered = orders[best]
        lots = qty if rng.random() < 0.5 or qty < 2 else rng.randint(1, qty - 1)
        aggressor = "B" if side == "A" else "A"
        event = [
            Record(ts, recv, "T", aggressor, next(ids), tick * TICK, lots, 0),
            Record(ts, recv, "F", side, best, tick * TICK, lots, 0),
        ]
        if lots == qty:
            del orders[best]
            event.append(Record(ts, recv, "C", side, best, tick * TICK, lots, LAST))
        else:
            orders[best] = (side, tick, qty - lots, entered)
            event.append(Record(ts, recv, "M", side, best, tick * TICK, qty - lots, LAST))
        return event
    kind = rng.choice("AAACM") if len(mine) > 8 else "A"
    if kind == "A":
        oid, tick, qty = next(ids), CENTRE + sign * rng.randint(1, 12), rng.randint(1, 20)
        orders[oid] = (side, tick, qty, ts)
        return [Record(ts, recv, "A", side, oid, tick * TICK, qty, LAST)]
    oid = rng.choice(mine)
    _, tick, qty, entered = orders[oid]
    if kind == "C":
        del orders[oid]
        return [Record(ts, recv, "C", side, oid, tick * TICK, qty, LAST)]
    new_tick, new_qty = CENTRE + sign * rng.randint(1, 12), rng.randint(1, 30)
    orders[oid] = (side, new_tick, new_qty, entered if new_tick == tick else ts)
    return [Record(ts, recv, "M", side, oid, new_tick * TICK, new_qty, LAST)]


# -- tables ------------------------------------------------------------------------------------------


def to_table(dataset: str, rows: Sequence[Row]) -> pa.Table:
    """Rows as an Arrow table of the declared schema, validated."""
    schema = table(dataset).arrow_schema
    made = pa.table({f.name: pa.array([row[f.name] for row in rows], f.type) for f in schema}, schema=schema)
    table(dataset).validate(made)
    return made


def bronze_table(stream: Sequence[Record]) -> pa.Table:
    """Bronze MBO rows of a record stream."""
    extra = {"rtype": 160, "publisher_id": 1, "instrument_id": 42, "channel_id": 0, "ts_in_delta": 0}
    return to_table(BRONZE, [{**extra, **r._asdict(), "sequence": i} for i, r in enumerate(stream)])


def _phase(number: int) -> str:
    return "open" if number >= OPENS_AT else "pre_open"


def snapshot_rows(windows: Sequence[PlainWindow]) -> list[Row]:
    """book_snapshot_1s of plain windows."""
    rows = []
    for number, w in enumerate(windows):
        both = w.best_bid_qty and w.best_ask_qty
        mid = (w.best_bid_price_int + w.best_ask_price_int) // 2 if both else 0
        rows.append(
            {
                **{name: getattr(w, name) for name in w.__dataclass_fields__ if name != "levels"},
                "window_start_ts_ns": w.window_end_ts_ns - SECOND,
                "mid_price_int": mid,
                "mid_price": mid * 1e-9,
                "phase": _phase(number),
            }
        )
    return rows


def wall_rows(windows: Sequence[PlainWindow]) -> list[Row]:
    """wall_surface_1s of plain windows that all have a spot."""
    rows = []
    history: list[dict[tuple[str, int], int]] = []
    for number, w in enumerate(windows):
        now = {key: level.depth_qty_end for key, level in w.levels.items()}
        if number == 0 or w.has_reset:
            history = []
        for (side, price), level in w.levels.items():
            known = [depth.get((side, price), 0) for depth in history]
            e0 = level.depth_qty_end
            e = [e0, *known]
            e += [e[-1]] * (4 - len(e))
            rows.append(
                {
                    "window_start_ts_ns": w.window_end_ts_ns - SECOND,
                    "window_end_ts_ns": w.window_end_ts_ns,
                    "price_int": price,
                    "side": side,
                    "spot_ref_price_int": w.spot_ref_price_int,
                    "rel_ticks": (price - w.spot_ref_price_int) // TICK,
                    **level._asdict(),
                    "d1_depth_qty": e[0] - e[1],
                    "d2_depth_qty": e[0] - 2 * e[1] + e[2],
                    "d3_depth_qty": e[0] - 3 * e[1] + 3 * e[2] - e[3],
                    "window_valid": _phase(number) == "open" and w.book_valid and not w.has_reset,
                }
            )
        history = [now, *history][:3]
    return rows


def by_window(rows: Sequence[Row]) -> dict[int, list[Row]]:
    """Rows grouped by window_end, in order."""
    grouped: dict[int, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row["window_end_ts_ns"], []).append(row)
    return grouped


def radar_rows(windows: Sequence[PlainWindow], wall: Sequence[Row], seed: int = 3) -> list[Row]:
    """radar_vacuum_1s; what needs single orders (adds, resting pulls, reprices) is drawn at random."""
    rng = random.Random(seed)
    levels = by_window(wall)
    rows: list[Row] = []
    for number, w in enumerate(windows):
        f: dict[str, float] = {}
        n0_total, added = {}, {}
        for side, place, pull in (("A", "f1_ask", "f2_ask"), ("B", "f3_bid", "f4_bid")):
            sign = 1 if side == "A" else -1
            zone = [
                (sign * r["rel_ticks"], r["depth_qty_start"], r["depth_qty_end"])
                for r in levels[w.window_end_ts_ns]
                if r["side"] == side and 0 <= sign * r["rel_ticks"] <= 20
            ]

            def depth(which: int, lo: int, hi: int, zone: list[tuple[int, int, int]] = zone) -> int:
                return sum(level[which] for level in zone if lo <= level[0] <= hi)

            def centre(which: int, zone: list[tuple[int, int, int]] = zone) -> float:
                total = sum(level[which] for level in zone)
                return sum(level[0] * level[which] for level in zone) / total if total else 20.0

            n0, n1 = depth(1, 0, 20), depth(2, 0, 20)
            f[f"{place}_com_disp_log"] = math.log((centre(2) + 1) / (centre(1) + 1))
            f[f"{place}_slope_convex_log"] = math.log((depth(2, 15, 20) + 1) / (depth(2, 3, 5) + 1))
            f[f"{place}_slope_inner_log"] = math.log((depth(2, 3, 5) + 1) / (depth(2, 0, 2) + 1))
            f[f"{place}_at_share_delta"] = depth(2, 0, 2) / (n1 + 1) - depth(1, 0, 2) / (n0 + 1)
            f[f"{place}_near_share_delta"] = depth(2, 3, 5) / (n1 + 1) - depth(1, 3, 5) / (n0 + 1)
            away, toward = rng.randint(0, 5), rng.randint(0, 5)
            f[f"{place}_reprice_away_share_rest"] = away / (away + toward + 1) if away + toward else 0.5
            r_at, r_near, r_rest, a = (rng.randint(0, 9) for _ in range(4))
            r = r_at + r_near + r_rest
            f[f"{pull}_pull_add_log_rest"] = math.log((r + 1) / (a + 1))
            f[f"{pull}_pull_intensity_log_rest"] = math.log(1 + r / (n0 + 1))
            f[f"{pull}_at_pull_share_rest"] = r_at / (r + 1)
            f[f"{pull}_near_pull_share_rest"] = r_near / (r + 1)
            near_side = "f8_ask_bbo_dist_ticks" if side == "A" else "f9_bid_bbo_dist_ticks"
            f[near_side] = float(min((level[0] for level in zone if level[2]), default=20))
            n0_total[side], added[side] = n0, a
        f["f5_vacuum_expansion_log"] = f["f1_ask_com_disp_log"] + f["f3_bid_com_disp_log"]
        f["f6_vacuum_decay_log"] = f["f2_ask_pull_add_log_rest"] + f["f4_bid_pull_add_log_rest"]
        f["f7_vacuum_total_log"] = f["f5_vacuum_expansion_log"] + f["f6_vacuum_decay_log"]
        u: dict[str, float] = dict(
            zip(
                U_FEATURES,
                (
                    f["f1_ask_com_disp_log"],
                    f["f1_ask_slope_convex_log"],
                    f["f1_ask_slope_inner_log"],
                    -f["f1_ask_at_share_delta"],
                    -f["f1_ask_near_share_delta"],
                    f["f1_ask_reprice_away_share_rest"],
                    f["f2_ask_pull_add_log_rest"],
                    f["f2_ask_pull_intensity_log_rest"],
                    f["f2_ask_at_pull_share_rest"],
                    f["f2_ask_near_pull_share_rest"],
                    -f["f3_bid_com_disp_log"],
                    -f["f3_bid_slope_convex_log"],
                    -f["f3_bid_slope_inner_log"],
                    f["f3_bid_at_share_delta"],
                    f["f3_bid_near_share_delta"],
                    1 - f["f3_bid_reprice_away_share_rest"],
                    -f["f4_bid_pull_add_log_rest"],
                    math.log(1 + added["B"] / (n0_total["B"] + 1)),
                    1 - f["f4_bid_at_pull_share_rest"] - f["f4_bid_near_pull_share_rest"],
                    f["f1_ask_com_disp_log"] - f["f3_bid_com_disp_log"],
                    f["f2_ask_pull_add_log_rest"] - f["f4_bid_pull_add_log_rest"],
                    f["f1_ask_com_disp_log"]
                    - f["f3_bid_com_disp_log"]
                    + (f["f2_ask_pull_add_log_rest"] - f["f4_bid_pull_add_log_rest"]),
                    f["f8_ask_bbo_dist_ticks"],
                    f["f9_bid_bbo_dist_ticks"],
                ),
                strict=True,
            )
        )
        row: Row = {
            "window_start_ts_ns": w.window_end_ts_ns - SECOND,
            "window_end_ts_ns": w.window_end_ts_ns,
            "spot_ref_price": w.spot_ref_price_int * 1e-9,
            "spot_ref_price_int": w.spot_ref_price_int,
            "approach_dir": "approach_none",
            **{name: f[name] for name in F_FEATURES},
            **u,
        }
        if number >= 3:
            change = w.spot_ref_price_int - windows[number - 3].spot_ref_price_int
            row["approach_dir"] = f"approach_{'up' if change > 0 else 'down' if change < 0 else 'none'}"
        for order, source in ((1, ""), (2, "d1_"), (3, "d2_")):
            for name in (*F_FEATURES, *U_FEATURES):
                restart = number == 0 or w.has_reset
                row[f"d{order}_{name}"] = 0.0 if restart else row[source + name] - rows[-1][source + name]
        rows.append(row)
    return rows


def trade_rows(stream: Sequence[Record]) -> list[Row]:
    """trade_event of a stream whose events are T, F, then one C or M."""
    rows: list[Row] = []
    for sequence, r in enumerate(stream):
        if r.action == "T":
            rows.append(
                {
                    "ts_event_ns": r.ts_event,
                    "ts_recv_ns": r.ts_recv,
                    "sequence": sequence,
                    "trade_idx": len(rows),
                    "price_int": r.price,
                    "qty": r.size,
                    "aggressor_side": r.side,
                    "order_id": r.order_id,
                    "resting_fill_count": 1,
                    "resting_fill_qty": r.size,
                    "sweep_level_count": 1,
                    "is_auction": False,
                    "phase": "open",
                }
            )
    return rows


# -- physics -----------------------------------------------------------------------------------------

LEVEL_COLUMNS = (
    "window_start_ts_ns",
    "window_end_ts_ns",
    "price_int",
    "side",
    "spot_ref_price_int",
    "rel_ticks",
    "window_valid",
)
METRICS = (
    "wall_strength_log",
    "pull_add_log",
    "log1p_pull_intensity_rest",
    "log1p_erosion_norm",
    "d2_pull_add_log",
    "gex_abs",
)
RANGES = {"at": (0, 2), "near": (3, 5), "mid": (6, 14), "far": (15, 20)}


def _differences(wall: Sequence[Row]) -> list[tuple[float, float, float]]:
    """d1, d2, d3 of pull_add_log per wall row, from dense series kept for every level ever seen."""
    levels = by_window(wall)
    keys = {(r["side"], r["price_int"]) for r in wall}
    series: dict[tuple[str, int], list[float]] = {key: [] for key in keys}
    result = []
    for number, end in enumerate(range(min(levels), max(levels) + 1, SECOND)):
        rows = levels.get(end, [])
        for values in series.values():
            values.append(0.0)
        for r in rows:
            series[r["side"], r["price_int"]][-1] = math.log((r["pull_qty_rest"] + 1) / (r["add_qty"] + 1))
        for r in rows:
            x = series[r["side"], r["price_int"]]
            d1 = [0.0] + [x[i] - x[i - 1] for i in range(max(1, number - 2), number + 1)]
            d2 = [0.0] + [d1[i] - d1[i - 1] for i in range(1, len(d1))]
            if number > 2:  # the true history is longer than what was cut out
                d1, d2 = d1[1:], [d1[i] - d1[i - 1] for i in range(2, len(d1))]
            d3 = d2[-1] - d2[-2] if len(d2) > 1 else 0.0
            result.append((d1[-1], d2[-1], d3))
    return result


def metric_rows(wall: Sequence[Row]) -> list[Row]:
    """The numbers of 5.4 that need no calibration, per wall row, in float64."""
    rows = []
    for r, (d1, d2, d3) in zip(wall, _differences(wall), strict=True):
        intensity = r["pull_qty_rest"] / (r["depth_qty_start"] + 1)
        erosion = max(-r["d1_depth_qty"], 0)
        rows.append(
            {
                "pull_intensity_rest": intensity,
                "pull_add_log": math.log((r["pull_qty_rest"] + 1) / (r["add_qty"] + 1)),
                "d1_pull_add_log": d1,
                "d2_pull_add_log": d2,
                "d3_pull_add_log": d3,
                "wall_strength_log": math.log(r["depth_qty_rest"] + 1),
                "wall_erosion": float(erosion),
                "log1p_pull_intensity_rest": math.log(1 + intensity),
                "log1p_erosion_norm": math.log(1 + erosion / (r["depth_qty_start"] + 1)),
            }
        )
    return rows


def gex_rows(snapshot: Sequence[Row], seed: int = 5) -> list[Row]:
    """gex_surface_1s with made-up exposures on the moving ladder of 61 strikes."""
    rng = random.Random(seed)
    rows = []
    for snap in snapshot:
        points = snap["spot_ref_price_int"] * 1e-9
        middle = 5 * math.floor(points / 5 + 0.5)
        for i in range(-30, 31):
            call, put = rng.uniform(0, 900), rng.uniform(0, 900)
            row: Row = {f.name: 0.0 for f in table(GEX).arrow_schema}
            row.update(
                window_start_ts_ns=snap["window_start_ts_ns"],
                window_end_ts_ns=snap["window_end_ts_ns"],
                underlying=SYMBOL,
                strike_price_int=(middle + 5 * i) * SECOND,
                underlying_spot_ref=points,
                strike_points=float(middle + 5 * i),
                gex_call_abs=call,
                gex_put_abs=put,
                gex_abs=call + put,
                gex=call - put,
                gex_imbalance_ratio=(call - put) / (call + put + 1e-6),
            )
            rows.append(row)
    return rows


def calibration_rows(wall: Sequence[Row], metrics: Sequence[Row], gex: Sequence[Row]) -> list[Row]:
    """physics_norm_calibration by the populations of spec 6, all values in memory."""
    valid = [(r, m) for r, m in zip(wall, metrics, strict=True) if r["window_valid"]]
    active = [
        m
        for r, m in valid
        if r["add_qty"] or r["pull_qty_total"] or r["fill_qty"] or abs(m["d2_pull_add_log"]) > 1e-9
    ]
    windows = {r["window_end_ts_ns"] for r, _ in valid}
    values = {name: [m[name] for m in active] for name in METRICS[1:5]}
    values["wall_strength_log"] = [
        m["wall_strength_log"] for r, m in valid if r["depth_qty_end"] > 0 and abs(r["rel_ticks"]) <= 20
    ]
    values["gex_abs"] = [g["gex_abs"] for g in gex if g["window_end_ts_ns"] in windows and g["gex_abs"] > 0]
    return [
        {
            "metric_name": name,
            "q05": float(np.quantile(values[name], 0.05)),
            "q95": float(np.quantile(values[name], 0.95)),
            "lookback_sessions": 1,
            "session_window": "FULL_DAY",
            "asof_dt": DT,
        }
        for name in METRICS
    ]


def norm(x: float, bounds: Row) -> float:
    """N(x; q05, q95) with the repair of spec 6."""
    lo, hi = bounds["q05"], bounds["q95"]
    hi = lo + 1 if hi == lo else hi
    return min(max((x - lo) / (hi - lo), 0.0), 1.0)


def vacuum_rows(wall: Sequence[Row], metrics: Sequence[Row], calibration: dict[str, Row]) -> list[Row]:
    """vacuum_surface_1s; values are rounded to float32 as the file stores them."""
    rows = []
    for r, m in zip(wall, metrics, strict=True):
        n = [norm(m[name], calibration[name]) for name in METRICS[1:5]]
        quiet = r["pull_qty_rest"] == 0 and m["wall_erosion"] == 0
        values = {
            **{name: m[name] for name in m if not name.startswith("log1p")},
            "vacuum_score": sum(n) / 4,
            "vacuum_flow_score": 0.0 if quiet else sum(n[:3]) / 3,
        }
        single = {name: float(np.float32(value)) for name, value in values.items()}
        rows.append({**{name: r[name] for name in LEVEL_COLUMNS}, **single})
    return rows


def _ease(v: float, erosion: float, strength: float) -> float:
    return 0.50 * v + 0.35 * erosion + 0.15 * (1 - strength)


def band_and_context_rows(
    snapshot: Sequence[Row],
    wall: Sequence[Row],
    vacuum: Sequence[Row],
    trades: Sequence[Row],
    calibration: dict[str, Row],
) -> tuple[list[Row], list[Row]]:
    """physics_bands_1s and physics_context_1s."""
    joined = by_window([{**w, **v} for w, v in zip(wall, vacuum, strict=True)])
    strength_of, erosion_of = calibration["wall_strength_log"], calibration["log1p_erosion_norm"]
    bands, contexts = [], []
    for snap in snapshot:
        end = snap["window_end_ts_ns"]
        band: Row = {name: snap[name] for name in ("window_start_ts_ns", "window_end_ts_ns")}
        context: Row = dict(band)
        band.update({name: snap[name] for name in ("spot_ref_price_int", "mid_price", "mid_price_int")})
        spot, mid = snap["spot_ref_price_int"], snap["mid_price_int"]
        context["spot_minus_mid_ticks"] = (spot - mid) / TICK if mid else 0.0
        past = [t["ts_event_ns"] for t in trades if t["ts_event_ns"] < end]
        context["last_trade_age_ns"] = end - max(past) if past else -1
        for direction, side, sign, quote in (("above", "A", 1, "ask"), ("below", "B", -1, "bid")):
            mine = [r for r in joined[end] if r["side"] == side]
            score = touch = 0.0
            best = snap[f"best_{quote}_price_int"]
            slots = {sign * (r["price_int"] - best) // TICK: r for r in mine}
            for name, (lo, hi) in RANGES.items():
                rows = [r for r in mine if lo <= sign * r["rel_ticks"] <= hi]
                erosions = [math.log(1 + r["wall_erosion"] / (r["depth_qty_start"] + 1)) for r in rows]
                s = e = v = 0.0
                if rows:
                    s = norm(sum(r["wall_strength_log"] for r in rows) / len(rows), strength_of)
                    e = norm(sum(erosions) / len(rows), erosion_of)
                    v = sum(r["vacuum_score"] for r in rows) / len(rows)
                band[f"{direction}_{name}_wall_strength_norm"] = s
                band[f"{direction}_{name}_wall_erosion_norm"] = e
                band[f"{direction}_{name}_vacuum_norm"] = v
                deep = [r for r in rows if r["depth_qty_end"] > 0]
                context[f"{direction}_{name}_level_count"] = len(deep)
                context[f"{direction}_{name}_depth_qty"] = sum(r["depth_qty_end"] for r in deep)
                if name in ("at", "near"):
                    weight = 0.60 if name == "at" else 0.40
                    score += weight * _ease(v, e, s)
                    three = [slots.get(k) for k in range(lo, hi + 1)]
                    there = [r for r in three if r]
                    ts = norm(sum(r["wall_strength_log"] for r in there) / 3, strength_of)
                    te = norm(
                        sum(math.log(1 + r["wall_erosion"] / (r["depth_qty_start"] + 1)) for r in there) / 3,
                        erosion_of,
                    )
                    touch += weight * _ease(sum(r["vacuum_flow_score"] for r in there) / 3, te, ts)
            band[f"{direction}_score"] = score
            context[f"{direction}_touch_score"] = touch
        band["vacuum_total_score"] = (band["above_score"] + band["below_score"]) / 2
        bands.append(band)
        contexts.append(context)
    return bands, contexts


def _byte(x: float) -> int:
    return math.floor(255 * min(max(x, 0.0), 1.0) + 0.5)


def hud_rows(
    snapshot: Sequence[Row],
    wall: Sequence[Row],
    vacuum: Sequence[Row],
    bands: Sequence[Row],
    contexts: Sequence[Row],
    gex: Sequence[Row],
) -> list[Row]:
    """hud_surface_1s, painted pixel by pixel (9.2)."""
    levels = by_window([{**w, **v} for w, v in zip(wall, vacuum, strict=True)])
    strikes = by_window(gex)
    rows = []
    for seq, (snap, band, context) in enumerate(zip(snapshot, bands, contexts, strict=True)):
        end, spot = snap["window_end_ts_ns"], snap["spot_ref_price_int"]
        here = {(r["side"], r["rel_ticks"]): r for r in levels[end]}
        strike_at = {(g["strike_price_int"] - spot) / TICK: g for g in strikes[end]}
        recent = {
            (r["side"], r["price_int"])
            for k in range(1, 11)
            for r in levels.get(end - k * SECOND, [])
            if r["depth_qty_end"] > 0
        }
        planes: dict[str, bytearray] = {name: bytearray() for name in PLANES}
        for rel in range(-600, 601):
            ask, bid = here.get(("A", rel)), here.get(("B", rel))
            both = [r for r in (ask, bid) if r]
            shown = [r for r in both if r is (ask if rel > 0 else bid) or rel == 0]
            core = [math.log(1 + r["depth_qty_rest"]) / math.log(2001) for r in both]
            fog = [math.log(1 + r["depth_qty_end"] - r["depth_qty_rest"]) / math.log(2001) for r in both]
            side = 2 if ask else 1 if bid else 0
            if ask and bid and ask["depth_qty_end"] <= bid["depth_qty_end"]:
                side = 2 if ask["depth_qty_end"] == bid["depth_qty_end"] and rel > 0 else 1
            hole = False
            for s, row, mine in (("A", ask, rel >= 0), ("B", bid, rel <= 0)):
                gone = not (row and row["depth_qty_end"])
                hole |= mine and abs(rel) <= 20 and gone and (s, spot + rel * TICK) in recent
            strike = strike_at.get(rel)
            planes["wall_core_u8"].append(_byte(max(core, default=0)))
            planes["wall_fog_u8"].append(_byte(max(fog, default=0)))
            planes["vacuum_u8"].append(_byte(max((r["vacuum_flow_score"] for r in shown), default=0)))
            planes["buy_fill_u8"].append(_byte(math.log(1 + ask["fill_qty"]) / math.log(501) if ask else 0))
            planes["sell_fill_u8"].append(_byte(math.log(1 + bid["fill_qty"]) / math.log(501) if bid else 0))
            planes["gex_abs_u8"].append(
                _byte(math.log(1 + strike["gex_abs"]) / math.log(1 + 1e5) if strike else 0)
            )
            ratio = strike["gex_imbalance_ratio"] if strike else 0.0
            planes["gex_imbalance_u8"].append(math.floor(127.5 * (1 + ratio) + 0.5))
            planes["side_u8"].append(side)
            planes["hole_u8"].append(255 if hole else 0)
        rows.append(
            {
                **snap,
                **band,
                **{name: context[name] for name in ("above_touch_score", "below_touch_score")},
                "seq": seq,
                "window_valid": levels[end][0]["window_valid"],
                "phase": ["closed", "pre_open", "open", "halt"].index(snap["phase"]),
                **{name: bytes(plane) for name, plane in planes.items()},
            }
        )
    return rows


# -- a lake in memory --------------------------------------------------------------------------------


@dataclass
class MemoryManifest:
    """The manifest fields that checks read."""

    params: dict[str, Any] = field(default_factory=lambda: {"session": "full"})
    counters: dict[str, int] = field(default_factory=dict)
    calibration: dict[str, str] | None = None
    engine_run: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass
class MemoryLake:
    """Tables and manifests by dataset; reads like `data_eng.lake.Lake`, in small batches."""

    tables: dict[str, pa.Table]
    manifests: dict[str, MemoryManifest]
    batch_rows: int = 1_000
    root: Path = Path("lake")

    def has(self, dataset: str, symbol: str, dt: str) -> bool:
        return dataset in self.tables and (symbol, dt) == (SYMBOL, DT)

    def manifest(self, dataset: str, symbol: str, dt: str) -> MemoryManifest:
        if not self.has(dataset, symbol, dt):
            raise MissingDataError(f"no {dataset}")
        return self.manifests[dataset]

    def read(self, dataset: str, symbol: str, dt: str, columns: Sequence[str] | None = None) -> pa.Table:
        made = self.tables[dataset]
        return made if columns is None else made.select(list(columns))

    def iter_batches(
        self, dataset: str, symbol: str, dt: str, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        yield from self.read(dataset, symbol, dt, columns).to_batches(max_chunksize=self.batch_rows)

    def with_table(self, dataset: str, made: pa.Table) -> MemoryLake:
        return replace(self, tables={**self.tables, dataset: made})

    def without(self, dataset: str) -> MemoryLake:
        return replace(self, tables={k: v for k, v in self.tables.items() if k != dataset})

    def with_manifest(self, dataset: str, **changes: Any) -> MemoryLake:
        changed = replace(self.manifests[dataset], **changes)
        return replace(self, manifests={**self.manifests, dataset: changed})

    def with_cell(self, dataset: str, column: str, row: int, value: Any) -> MemoryLake:
        """The lake with one cell changed; negative rows count from the end."""
        made = self.tables[dataset]
        values = made.column(column).to_pylist()
        values[row] = value
        index = made.schema.get_field_index(column)
        f = made.schema.field(index)
        return self.with_table(dataset, made.set_column(index, f, pa.array(values, f.type)))

    def without_row(self, dataset: str, row: int) -> MemoryLake:
        made = self.tables[dataset]
        keep = np.delete(np.arange(made.num_rows), row)
        return self.with_table(dataset, made.take(pa.array(keep)))

    def with_row_repeated(self, dataset: str, row: int) -> MemoryLake:
        made = self.tables[dataset]
        order = np.insert(np.arange(made.num_rows), row, row)
        return self.with_table(dataset, made.take(pa.array(order)))

    def cell(self, dataset: str, column: str, row: int) -> Any:
        return self.tables[dataset].column(column)[row].as_py()

    def find(self, dataset: str, **wanted: Any) -> int:
        """Number of the first row with these values."""
        made = self.tables[dataset].select(list(wanted)).to_pylist()
        return made.index(wanted)


@cache
def plain_windows() -> tuple[PlainWindow, ...]:
    """The windows of `records()`."""
    book = PlainBook(TICK)
    return (*book.feed(records()), *book.finish())


@cache
def book_lake() -> MemoryLake:
    """Bronze and the futures tables, coherent."""
    windows = plain_windows()
    assert len(windows) == WINDOWS
    snapshot, wall = snapshot_rows(windows), wall_rows(windows)
    tables = {
        BRONZE: bronze_table(records()),
        SNAP: to_table(SNAP, snapshot),
        WALL: to_table(WALL, wall),
        RADAR: to_table(RADAR, radar_rows(windows, wall)),
        TRADES: to_table(TRADES, trade_rows(records())),
    }
    names = ("crossed_closed", "crossed_pre_open", "crossed_open", "crossed_halt")
    counters = dict.fromkeys((*names, "identity_violations", "negative_depths"), 0)
    counters["events"] = sum(row["event_count"] for row in snapshot)
    made = {
        name: MemoryManifest(engine_run="run-1", counters=counters) for name in (SNAP, WALL, RADAR, TRADES)
    }
    return MemoryLake(tables, {**made, BRONZE: MemoryManifest()})


@cache
def physics_lake() -> MemoryLake:
    """`book_lake` and everything that is computed from it."""
    lake = book_lake()
    windows = plain_windows()
    snapshot, wall, trades = snapshot_rows(windows), wall_rows(windows), trade_rows(records())
    metrics, gex = metric_rows(wall), gex_rows(snapshot)
    calibration = calibration_rows(wall, metrics, gex)
    named = {row["metric_name"]: row for row in calibration}
    vacuum = vacuum_rows(wall, metrics, named)
    bands, contexts = band_and_context_rows(snapshot, wall, vacuum, trades, named)
    made = {
        CALIBRATION: calibration,
        VACUUM: vacuum,
        BAND: bands,
        CONTEXT: contexts,
        GEX: gex,
        HUD: hud_rows(snapshot, wall, vacuum, bands, contexts, gex),
    }
    used = {"dt": DT, "sha256": "c0ffee"}
    manifests = {name: MemoryManifest(calibration=used) for name in made}
    tables = {name: to_table(name, rows) for name, rows in made.items()}
    return MemoryLake({**lake.tables, **tables}, {**lake.manifests, **manifests})
