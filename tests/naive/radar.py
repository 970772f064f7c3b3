"""The radar row of one window, by the formulas of spec 5.3, the direct way.

Everything is computed when the window is over and its spot `s` is known: the two pictures from the depth at
the window's start and end, the flow by replaying the window's events from copies of the touched orders.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from .records import ASK, BID, REST_NS, SIDES, Order, Rec, order_after

ZONE_TICKS = 20
EPS = 1.0

F1_NAMES = (
    "com_disp_log",
    "slope_convex_log",
    "slope_inner_log",
    "at_share_delta",
    "near_share_delta",
    "reprice_away_share_rest",
)
F2_NAMES = ("pull_add_log_rest", "pull_intensity_log_rest", "at_pull_share_rest", "near_pull_share_rest")
F_COLUMNS = (
    *(f"f1_ask_{name}" for name in F1_NAMES),
    *(f"f2_ask_{name}" for name in F2_NAMES),
    *(f"f3_bid_{name}" for name in F1_NAMES),
    *(f"f4_bid_{name}" for name in F2_NAMES),
    "f5_vacuum_expansion_log",
    "f6_vacuum_decay_log",
    "f7_vacuum_total_log",
    "f8_ask_bbo_dist_ticks",
    "f9_bid_bbo_dist_ticks",
)
U_COLUMNS = (
    "u1_ask_com_disp_log",
    "u2_ask_slope_convex_log",
    "u2_ask_slope_inner_log",
    "u3_ask_at_share_decay",
    "u3_ask_near_share_decay",
    "u4_ask_reprice_away_share_rest",
    "u5_ask_pull_add_log_rest",
    "u6_ask_pull_intensity_log_rest",
    "u7_ask_at_pull_share_rest",
    "u7_ask_near_pull_share_rest",
    "u8_bid_com_approach_log",
    "u9_bid_slope_support_log",
    "u9_bid_slope_inner_log",
    "u10_bid_at_share_rise",
    "u10_bid_near_share_rise",
    "u11_bid_reprice_toward_share_rest",
    "u12_bid_add_pull_log_rest",
    "u13_bid_add_intensity_log",
    "u14_bid_far_pull_share_rest",
    "u15_up_expansion_log",
    "u16_up_flow_log",
    "u17_up_total_log",
    "u18_ask_bbo_dist_ticks",
    "u19_bid_bbo_dist_ticks",
)
HEAD_COLUMNS = (
    "window_start_ts_ns",
    "window_end_ts_ns",
    "spot_ref_price",
    "spot_ref_price_int",
    "approach_dir",
)
RADAR_COLUMNS = (
    *HEAD_COLUMNS,
    *F_COLUMNS,
    *(f"d{n}_{name}" for n in (1, 2, 3) for name in F_COLUMNS),
    *U_COLUMNS,
    *(f"d{n}_{name}" for n in (1, 2, 3) for name in U_COLUMNS),
)

Depth = Mapping[str, Mapping[int, int]]
"""side -> price -> contracts, occupied levels only"""


class BookEvent(NamedTuple):
    """An accepted plain A, C or M, and the fills its order had waiting when it arrived."""

    rec: Rec
    filled: int


class Picture(NamedTuple):
    """Depth of one side in the zone: sums in all and per bucket, mean distance, nearest distance."""

    total: int
    at: int
    near: int
    far: int
    mean_ticks: float
    nearest_ticks: int


class Flow:
    """Sums of one side over the window's events (spec 5.3, "Flow")."""

    def __init__(self) -> None:
        self.add = 0
        self.pull = 0
        self.pull_at = 0
        self.pull_near = 0
        self.away = 0
        self.toward = 0


def distance_ticks(side: str, price: int, spot: int, tick_int: int) -> int:
    """Ticks away from spot, away from the other side counted positive; exact, prices are on the grid."""
    return ((price - spot) if side == ASK else (spot - price)) // tick_int


def bucket(ticks: int) -> str:
    """AT, NEAR, MID, FAR, or OUT when the distance is not in the zone."""
    if ticks < 0 or ticks > ZONE_TICKS:
        return "OUT"
    if ticks <= 2:
        return "AT"
    if ticks <= 5:
        return "NEAR"
    return "MID" if ticks <= 14 else "FAR"


def picture(depth: Depth, side: str, spot: int, tick_int: int) -> Picture:
    """What the side looks like within 20 ticks of spot."""
    sums = {"AT": 0, "NEAR": 0, "MID": 0, "FAR": 0}
    moment = 0
    nearest = ZONE_TICKS
    for ticks in range(ZONE_TICKS, -1, -1):
        price = spot + ticks * tick_int if side == ASK else spot - ticks * tick_int
        qty = depth[side].get(price, 0)
        if qty > 0:
            sums[bucket(ticks)] += qty
            moment += qty * ticks
            nearest = ticks
    total = sum(sums.values())
    mean = moment / total if total > 0 else float(ZONE_TICKS)
    return Picture(total, sums["AT"], sums["NEAR"], sums["FAR"], mean, nearest)


def replay_flow(
    events: Iterable[BookEvent], start_orders: Mapping[int, Order | None], spot: int, tick_int: int
) -> dict[str, Flow]:
    """Flow per side over `events`, starting from the touched orders as they were before the first of them."""
    orders = dict(start_orders)
    flows = {side: Flow() for side in SIDES}

    def zone_of(order: Order | None, side: str) -> str:
        if order is None or order.side != side:
            return "OUT"
        return bucket(distance_ticks(side, order.price, spot, tick_int))

    for rec, filled in events:
        before = orders.get(rec.order_id)
        after = order_after(before, rec)
        orders[rec.order_id] = after
        old_age_rests = before is not None and rec.ts_event - before.t_enter_ns >= REST_NS
        for side, flow in flows.items():
            old_bucket = zone_of(before, side)
            q_before = before.qty if before is not None and old_bucket != "OUT" else 0
            q_after = after.qty if after is not None and zone_of(after, side) != "OUT" else 0
            change = q_after - q_before
            flow.add += max(change, 0)
            if rec.action == "A" or not old_age_rests:
                continue
            if change < 0:
                pulled = max(-change - filled, 0)
                flow.pull += pulled
                if old_bucket == "AT":
                    flow.pull_at += pulled
                elif old_bucket == "NEAR":
                    flow.pull_near += pulled
            if rec.action == "M" and q_before > 0 and before is not None and rec.price != before.price:
                old_ticks = distance_ticks(side, before.price, spot, tick_int)
                new_ticks = distance_ticks(side, rec.price, spot, tick_int)
                if new_ticks <= 0 or new_ticks < old_ticks:
                    flow.toward += before.qty
                else:
                    flow.away += before.qty
    return flows


def _side_features(start: Picture, end: Picture, flow: Flow) -> dict[str, float]:
    moved = flow.away + flow.toward
    return {
        "com_disp_log": math.log((end.mean_ticks + 1.0) / (start.mean_ticks + 1.0)),
        "slope_convex_log": math.log((end.far + EPS) / (end.near + EPS)),
        "slope_inner_log": math.log((end.near + EPS) / (end.at + EPS)),
        "at_share_delta": end.at / (end.total + EPS) - start.at / (start.total + EPS),
        "near_share_delta": end.near / (end.total + EPS) - start.near / (start.total + EPS),
        "reprice_away_share_rest": 0.5 if moved == 0 else flow.away / (moved + EPS),
        "pull_add_log_rest": math.log((flow.pull + EPS) / (flow.add + EPS)),
        "pull_intensity_log_rest": math.log(1.0 + flow.pull / (start.total + EPS)),
        "at_pull_share_rest": flow.pull_at / (flow.pull + EPS),
        "near_pull_share_rest": flow.pull_near / (flow.pull + EPS),
    }


def features(
    depth_start: Depth,
    depth_end: Depth,
    events: Iterable[BookEvent],
    start_orders: Mapping[int, Order | None],
    spot: int,
    tick_int: int,
) -> dict[str, float]:
    """The 25 f and 24 u features of one window, without derivatives."""
    flows = replay_flow(events, start_orders, spot, tick_int)
    start = {side: picture(depth_start, side, spot, tick_int) for side in SIDES}
    end = {side: picture(depth_end, side, spot, tick_int) for side in SIDES}
    ask = _side_features(start[ASK], end[ASK], flows[ASK])
    bid = _side_features(start[BID], end[BID], flows[BID])

    row: dict[str, float] = {}
    row |= {f"f1_ask_{name}": ask[name] for name in F1_NAMES}
    row |= {f"f2_ask_{name}": ask[name] for name in F2_NAMES}
    row |= {f"f3_bid_{name}": bid[name] for name in F1_NAMES}
    row |= {f"f4_bid_{name}": bid[name] for name in F2_NAMES}
    row["f5_vacuum_expansion_log"] = ask["com_disp_log"] + bid["com_disp_log"]
    row["f6_vacuum_decay_log"] = ask["pull_add_log_rest"] + bid["pull_add_log_rest"]
    row["f7_vacuum_total_log"] = row["f5_vacuum_expansion_log"] + row["f6_vacuum_decay_log"]
    row["f8_ask_bbo_dist_ticks"] = float(end[ASK].nearest_ticks)
    row["f9_bid_bbo_dist_ticks"] = float(end[BID].nearest_ticks)

    row["u1_ask_com_disp_log"] = ask["com_disp_log"]
    row["u2_ask_slope_convex_log"] = ask["slope_convex_log"]
    row["u2_ask_slope_inner_log"] = ask["slope_inner_log"]
    row["u3_ask_at_share_decay"] = -ask["at_share_delta"]
    row["u3_ask_near_share_decay"] = -ask["near_share_delta"]
    row["u4_ask_reprice_away_share_rest"] = ask["reprice_away_share_rest"]
    row["u5_ask_pull_add_log_rest"] = ask["pull_add_log_rest"]
    row["u6_ask_pull_intensity_log_rest"] = ask["pull_intensity_log_rest"]
    row["u7_ask_at_pull_share_rest"] = ask["at_pull_share_rest"]
    row["u7_ask_near_pull_share_rest"] = ask["near_pull_share_rest"]
    row["u8_bid_com_approach_log"] = -bid["com_disp_log"]
    row["u9_bid_slope_support_log"] = -bid["slope_convex_log"]
    row["u9_bid_slope_inner_log"] = -bid["slope_inner_log"]
    row["u10_bid_at_share_rise"] = bid["at_share_delta"]
    row["u10_bid_near_share_rise"] = bid["near_share_delta"]
    row["u11_bid_reprice_toward_share_rest"] = 1.0 - bid["reprice_away_share_rest"]
    row["u12_bid_add_pull_log_rest"] = -bid["pull_add_log_rest"]
    row["u13_bid_add_intensity_log"] = math.log(1.0 + flows[BID].add / (start[BID].total + EPS))
    row["u14_bid_far_pull_share_rest"] = 1.0 - bid["at_pull_share_rest"] - bid["near_pull_share_rest"]
    row["u15_up_expansion_log"] = row["u1_ask_com_disp_log"] + row["u8_bid_com_approach_log"]
    row["u16_up_flow_log"] = row["u5_ask_pull_add_log_rest"] + row["u12_bid_add_pull_log_rest"]
    row["u17_up_total_log"] = row["u15_up_expansion_log"] + row["u16_up_flow_log"]
    row["u18_ask_bbo_dist_ticks"] = row["f8_ask_bbo_dist_ticks"]
    row["u19_bid_bbo_dist_ticks"] = row["f9_bid_bbo_dist_ticks"]
    return row


class RadarSeries:
    """What the rows of a run remember of each other: derivatives and approach (spec 5.3, last bullets)."""

    def __init__(self) -> None:
        self.previous: dict[str, float] | None = None
        self.spots: list[int] = []

    def restart_derivatives(self) -> None:
        """The next row is a first row again; approach_dir goes on."""
        self.previous = None

    def row(
        self, window_start: int, window_end: int, spot: int, values: dict[str, float]
    ) -> dict[str, object]:
        """The row of 201 columns in their order."""
        derived = dict(values)
        for name, value in values.items():
            if self.previous is None:
                d1 = d2 = d3 = 0.0
            else:
                d1 = value - self.previous[name]
                d2 = d1 - self.previous[f"d1_{name}"]
                d3 = d2 - self.previous[f"d2_{name}"]
            derived[f"d1_{name}"], derived[f"d2_{name}"], derived[f"d3_{name}"] = d1, d2, d3
        self.previous = derived

        approach = "approach_none"
        if len(self.spots) == 3:
            change = spot - self.spots[0]
            approach = "approach_up" if change > 0 else "approach_down" if change < 0 else "approach_none"
        self.spots = [*self.spots, spot][-3:]

        head = dict(zip(HEAD_COLUMNS, (window_start, window_end, spot * 1e-9, spot, approach), strict=True))
        return head | {name: derived[name] for name in RADAR_COLUMNS[len(HEAD_COLUMNS) :]}
