"""Hypothesis strategies of small days: wall, snapshot, trade and gamma tables that belong together.

A `Day` is a short simulated market told in windows, not in records. Depth, flow, trades and resets are drawn;
everything that follows from them (identity, differences, best prices, crossing, spot, validity) is derived by
the rules of spec 4.8, 4.9, 5.1, 5.2 and 7.2, so that a fast stage never sees what the engine could not write.

Levels are few, so they collide: they vanish and return, both sides meet at one price, spot jumps over them.
Prices reach to the last rows of the picture and beyond. Rows are dicts with exactly the declared columns;
`to_table` makes Arrow of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
from hypothesis import strategies as st

from data_eng.schema import table
from tests.naive.physics import METRICS
from tests.naive.records import ASK, BID, PHASES, WINDOW_NS

Rows = list[dict[str, Any]]

TICK = 250_000_000
CENTRE = 6_900_000_000_000
"""6900.00 points: on the tick grid and on a strike"""
FIRST_WINDOW_START_NS = 1_767_711_600_000_000_000
"""2026-01-06 15:00 UTC"""
MAX_TICKS = 600
STRIKE_STEP = 5_000_000_000
STRIKE_OFFSETS = 30
MAX_DEPTH_QTY = 200_000_000
"""a third difference of such depths, and the sum of a band of them, still fits int32"""

NEAR_OFFSETS = tuple(range(-6, 7))
ZONE_OFFSETS = (-21, -20, -19, -15, -14, 14, 15, 19, 20, 21)
FAR_OFFSETS = (-601, -600, -599, -110, 110, 599, 600, 601)
"""ticks from the centre: the touch, the rims of the bands, the rims of the picture"""
QUANTITIES = (0, 1, 1, 2, 3, 7, 40, 60, 500, 2_000, 2_001, MAX_DEPTH_QTY)
SHARES = (0, 0, 1, 2, 4, 4)
"""quarters; 0 and all are what breaks code"""


class Flow(NamedTuple):
    """What happens to one level in one window: lots added, then quarters of what is there go.

    A level above the centre is an ask, else a bid, unless the flow is `astray`: then both may meet there.
    """

    level_idx: int
    astray: bool
    add_qty: int
    pull_quarters: int
    fill_quarters: int
    rest_quarters: int


class Trade(NamedTuple):
    """A trade away from the levels' own fills: ticks from the centre, lots, aggressor."""

    offset: int
    qty: int
    side: str


class Second(NamedTuple):
    """One window of the story. `refill` is the book after a reset; None means no reset."""

    flows: list[Flow]
    trades: list[Trade]
    refill: list[Flow] | None
    complete: bool
    phase: str


class Day(NamedTuple):
    """Tables of one small day, rows in key order."""

    snapshot: Rows
    wall: Rows
    trades: Rows
    gex: Rows


# ---- into Arrow --------------------------------------------------------------------------------------------


def to_table(short_name: str, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows as the declared table of that name; the schema's validator has looked at it."""
    declared = table(short_name)
    data = pa.Table.from_pylist([dict(row) for row in rows], schema=declared.arrow_schema)
    declared.validate(data)
    return data


# ---- what is drawn -----------------------------------------------------------------------------------------


def _flows(level_count: int, max_size: int) -> st.SearchStrategy[list[Flow]]:
    flow = st.builds(
        Flow,
        st.integers(0, level_count - 1),
        st.sampled_from((*[False] * 9, True)),
        st.sampled_from(QUANTITIES),
        st.sampled_from(SHARES),
        st.sampled_from((0, 0, 0, 1, 4)),
        st.sampled_from(SHARES),
    )
    return st.lists(flow, max_size=max_size)


@st.composite
def seconds(draw: st.DrawFn, level_count: int, trades: bool) -> Second:
    """One window; most are quiet or flow a little, few trade elsewhere, few reset."""
    kind = draw(st.sampled_from(("flow", "flow", "flow", "quiet", "quiet", "jump", "reset", "odd")))
    flows = draw(_flows(level_count, 5)) if kind != "quiet" else []
    jumps: list[Trade] = []
    if kind == "jump" and trades:
        trade = st.builds(
            Trade,
            st.sampled_from((*NEAR_OFFSETS, -40, 25, 110)),
            st.sampled_from((0, 1, 3, 500)),
            st.sampled_from("ABN"),
        )
        jumps = draw(st.lists(trade, min_size=1, max_size=2))
    refill = draw(_flows(level_count, 4)) if kind == "reset" else None
    odd = kind == "odd"
    complete = draw(st.booleans()) if odd else True
    phase = draw(st.sampled_from(PHASES)) if odd else "open"
    return Second(flows, jumps, refill, complete, phase)


@st.composite
def days(draw: st.DrawFn, *, max_windows: int = 16, gex: bool = True) -> Day:
    """A small day of 1 to `max_windows` windows; with `gex` a gamma ladder, else none.

    More than ten windows are drawn often enough for holes to be forgotten. In a third of the days the first
    trade comes late or never, so that spot is the best bid or missing.
    """
    offsets = draw(
        st.lists(
            st.sampled_from((*NEAR_OFFSETS, *NEAR_OFFSETS, *ZONE_OFFSETS, *FAR_OFFSETS)),
            min_size=2,
            max_size=7,
            unique=True,
        )
    )
    count = draw(st.one_of(*(st.integers(min(least, max_windows), max_windows) for least in (1, 6, 12))))
    first_trade = draw(st.sampled_from((0, 0, 0, 0, count // 2, count)))
    opening = draw(_flows(len(offsets), 6))
    story = [draw(seconds(len(offsets), idx >= first_trade)) for idx in range(count)]
    ladder = draw(gamma_chains()) if gex else {}
    with_spot_at_once = first_trade == 0 and draw(st.booleans())
    first = Trade(draw(st.sampled_from(NEAR_OFFSETS)), 1, "B")
    if with_spot_at_once:
        story[0] = story[0]._replace(trades=[first, *story[0].trades])
    return tell_day(offsets, opening, story, first_trade, ladder)


def gamma_chains() -> st.SearchStrategy[dict[int, list[tuple[float, float]]]]:
    """strike offset from the centre's strike -> (call, put) gamma exposure of successive windows, cycled."""
    value = st.sampled_from((0.0, 0.0, 1e-7, 0.5, 12.25, 1e3, 99_999.0, 1e5, 3e5))
    return st.dictionaries(
        st.sampled_from((-31, -30, -29, -2, -1, 0, 1, 2, 29, 30, 31)),
        st.lists(st.tuples(value, value), min_size=1, max_size=3),
        max_size=4,
    )


@st.composite
def calibration_bounds(draw: st.DrawFn) -> dict[str, tuple[float, float]]:
    """Bounds after repair: lo < hi, near the real ones, or as wide as an equal pair becomes."""
    real = {
        "wall_strength_log": (3.367, 4.500),
        "pull_add_log": (-2.197, 1.609),
        "log1p_pull_intensity_rest": (0.0, 0.251),
        "log1p_erosion_norm": (0.0, 0.174),
        "d2_pull_add_log": (-4.025, 4.394),
        "gex_abs": (0.5, 900.0),
    }
    bounds = {}
    for metric in METRICS:
        drawn = st.tuples(st.floats(-4, 4), st.floats(0.01, 8)).map(lambda pair: (pair[0], pair[0] + pair[1]))
        bounds[metric] = draw(st.one_of(st.just(real[metric]), st.just((0.0, 1.0)), drawn))
    return bounds


# ---- what follows from it ----------------------------------------------------------------------------------

Level = tuple[str, int]
"""side, price"""


class _Flows:
    """Accumulators of one window per level, and who rests there at its end."""

    def __init__(self) -> None:
        self.add: dict[Level, int] = defaultdict(int)
        self.pull: dict[Level, int] = defaultdict(int)
        self.pull_rest: dict[Level, int] = defaultdict(int)
        self.fill: dict[Level, int] = defaultdict(int)
        self.rest_quarters: dict[Level, int] = {}

    def levels(self) -> set[Level]:
        return {level for sums in (self.add, self.pull, self.fill) for level, qty in sums.items() if qty > 0}


def tell_day(
    offsets: Sequence[int],
    opening: Iterable[Flow],
    story: Iterable[Second],
    first_trade: int,
    ladder: Mapping[int, Sequence[tuple[float, float]]],
) -> Day:
    """Tables of the story. `first_trade` is the first window whose fills may happen."""
    prices = [CENTRE + offset * TICK for offset in offsets]
    depth: dict[Level, int] = {}
    _refill(depth, opening, prices)
    history: list[dict[Level, int]] = []
    snapshot: Rows = []
    wall: Rows = []
    trades: Rows = []
    last_trade = 0
    window_start = FIRST_WINDOW_START_NS
    for idx, second in enumerate(story):
        start_depth = dict(depth)
        crossed_at_start = _is_crossed(depth)
        if second.refill is not None:
            depth = {}
            _refill(depth, second.refill, prices)
        flows, traded = _apply_flows(depth, second.flows, prices, fills=idx >= first_trade)
        traded += [(CENTRE + trade.offset * TICK, trade.qty, trade.side) for trade in second.trades]
        last_trade = traded[-1][0] if traded else last_trade
        if second.refill is not None or not history:
            history = [dict(depth)] * 4
        else:
            history = [dict(depth), *history[:3]]
        crossed = _is_crossed(depth)
        book_valid = second.complete and not crossed
        window_valid = (
            book_valid and not crossed_at_start and second.refill is None and second.phase == "open"
        )
        bids, asks = (
            {price: qty for (of, price), qty in depth.items() if of == side and qty > 0}
            for side in (BID, ASK)
        )
        best_bid, best_ask = max(bids, default=0), min(asks, default=0)
        spot = last_trade or (best_bid if book_valid else 0)
        window = {"window_start_ts_ns": window_start, "window_end_ts_ns": window_start + WINDOW_NS}
        both = bool(bids) and bool(asks)
        snapshot.append(
            window
            | {
                "best_bid_price_int": best_bid,
                "best_bid_qty": bids.get(best_bid, 0),
                "best_ask_price_int": best_ask,
                "best_ask_qty": asks.get(best_ask, 0),
                "mid_price": (best_bid + best_ask) / 2 / 1e9 if both else 0.0,
                "mid_price_int": (best_bid + best_ask) // 2 if both else 0,
                "last_trade_price_int": last_trade,
                "spot_ref_price_int": spot,
                "book_valid": book_valid,
                "phase": second.phase,
                "crossed_event_count": int(crossed),
                "event_count": len(second.flows) + len(second.trades),
                "buy_qty": sum(qty for _, qty, side in traded if side == "B"),
                "sell_qty": sum(qty for _, qty, side in traded if side == "A"),
                "trade_count": len(traded),
                "available_ts_ns": window_start + WINDOW_NS,
            }
        )
        if spot:
            wall += _wall_rows(window, spot, start_depth, depth, flows, history, window_valid)
        trades += _trade_rows(window_start, traded, second.phase, len(trades))
        window_start += WINDOW_NS
    return Day(snapshot, wall, trades, _gex_rows(snapshot, ladder) if ladder else [])


def _is_crossed(depth: Mapping[Level, int]) -> bool:
    bids = [price for (side, price), qty in depth.items() if side == BID and qty > 0]
    asks = [price for (side, price), qty in depth.items() if side == ASK and qty > 0]
    return bool(bids) and bool(asks) and max(bids) >= min(asks)


def _level(flow: Flow, prices: Sequence[int]) -> Level:
    price = prices[flow.level_idx]
    return (ASK if (price > CENTRE) != flow.astray else BID, price)


def _refill(depth: dict[Level, int], flows: Iterable[Flow], prices: Sequence[int]) -> None:
    for flow in flows:
        depth[_level(flow, prices)] = flow.add_qty


def _apply_flows(
    depth: dict[Level, int], story: Iterable[Flow], prices: Sequence[int], *, fills: bool
) -> tuple[_Flows, list[tuple[int, int, str]]]:
    """Play the flows into `depth`; give the sums and the trades (price, qty, aggressor) of the fills."""
    flows = _Flows()
    traded = []
    for flow in story:
        level = _level(flow, prices)
        added = min(flow.add_qty, MAX_DEPTH_QTY - depth.get(level, 0))
        there = depth.get(level, 0) + added
        pulled = there * flow.pull_quarters // 4
        filled = (there - pulled) * flow.fill_quarters // 4 if fills else 0
        depth[level] = there - pulled - filled
        flows.add[level] += added
        flows.pull[level] += pulled
        flows.pull_rest[level] += pulled * flow.rest_quarters // 4
        flows.fill[level] += filled
        flows.rest_quarters[level] = flow.rest_quarters
        if filled:
            traded.append((level[1], filled, "B" if level[0] == ASK else "A"))
    return flows, traded


def _wall_rows(
    window: Mapping[str, int],
    spot: int,
    start_depth: Mapping[Level, int],
    depth: Mapping[Level, int],
    flows: _Flows,
    history: Sequence[Mapping[Level, int]],
    window_valid: bool,
) -> Rows:
    occupied = {level for of in (start_depth, depth) for level, qty in of.items() if qty > 0}
    rows: Rows = []
    for level in sorted(occupied | flows.levels()):
        side, price = level
        rel_ticks = (price - spot) // TICK
        if abs(rel_ticks) > MAX_TICKS:
            continue
        e0, e1, e2, e3 = (of.get(level, 0) for of in history)
        end = depth.get(level, 0)
        rows.append(
            {
                "window_start_ts_ns": window["window_start_ts_ns"],
                "window_end_ts_ns": window["window_end_ts_ns"],
                "price_int": price,
                "side": side,
                "spot_ref_price_int": spot,
                "rel_ticks": rel_ticks,
                "depth_qty_start": start_depth.get(level, 0),
                "depth_qty_end": end,
                "add_qty": flows.add[level],
                "pull_qty_total": flows.pull[level],
                "fill_qty": flows.fill[level],
                # a level nobody touched for a second rests entirely
                "depth_qty_rest": end * flows.rest_quarters.get(level, 4) // 4,
                "pull_qty_rest": flows.pull_rest[level],
                "d1_depth_qty": e0 - e1,
                "d2_depth_qty": e0 - 2 * e1 + e2,
                "d3_depth_qty": e0 - 3 * e1 + 3 * e2 - e3,
                "window_valid": window_valid,
            }
        )
    return rows


def _trade_rows(window_start: int, traded: Sequence[tuple[int, int, str]], phase: str, already: int) -> Rows:
    """The window's trades as trade_event rows, an eighth of a second apart, the first on the boundary."""
    return [
        {
            "ts_event_ns": window_start + idx * 125_000_000,
            "ts_recv_ns": window_start + idx * 125_000_000 + 100_000,
            "sequence": already + idx + 1,
            "trade_idx": already + idx,
            "price_int": price,
            "qty": qty,
            "aggressor_side": side,
            "order_id": 0 if side == "N" else 1_000 + already + idx,
            "resting_fill_count": 1,
            "resting_fill_qty": qty,
            "sweep_level_count": 1,
            "is_auction": side == "N",
            "phase": phase,
        }
        for idx, (price, qty, side) in enumerate(traded)
    ]


def _gex_rows(
    snapshot: Sequence[Mapping[str, Any]], ladder: Mapping[int, Sequence[tuple[float, float]]]
) -> Rows:
    """61 strikes around every spot; differences per strike, restarted by a window without a spot."""
    rows: Rows = []
    history: list[dict[int, dict[str, float]]] = []
    for idx, of in enumerate(snapshot):
        spot = of["spot_ref_price_int"]
        if not spot:
            history = []
            continue
        chain = {
            CENTRE + offset * STRIKE_STEP: _gamma(*values[idx % len(values)])
            for offset, values in ladder.items()
        }
        for strike, now in chain.items():
            before = history[-1][strike] if history else None
            for name in ("gex_abs", "gex", "gex_imbalance_ratio"):
                now[f"d1_{name}"] = now[name] - before[name] if before else 0.0
                now[f"d2_{name}"] = now[f"d1_{name}"] - before[f"d1_{name}"] if before else 0.0
                now[f"d3_{name}"] = now[f"d2_{name}"] - before[f"d2_{name}"] if before else 0.0
        history.append(chain)
        middle = STRIKE_STEP * ((2 * spot + STRIKE_STEP) // (2 * STRIKE_STEP))
        for offset in range(-STRIKE_OFFSETS, STRIKE_OFFSETS + 1):
            strike = middle + offset * STRIKE_STEP
            nothing = dict.fromkeys(table("gex_surface_1s").arrow_schema.names[6:], 0.0)
            rows.append(
                {
                    "window_start_ts_ns": of["window_start_ts_ns"],
                    "window_end_ts_ns": of["window_end_ts_ns"],
                    "underlying": "ESH6",
                    "strike_price_int": strike,
                    "underlying_spot_ref": spot / 1e9,
                    "strike_points": strike / 1e9,
                }
                | nothing
                | chain.get(strike, {})
            )
    return rows


def _gamma(call: float, put: float) -> dict[str, float]:
    return {
        "gex_call_abs": call,
        "gex_put_abs": put,
        "gex_abs": call + put,
        "gex": call - put,
        "gex_imbalance_ratio": (call - put) / (call + put + 1e-6),
    }
