"""The quantised picture of the HUD, one byte at a time, by the table of spec 9.2.

A plane is 1201 bytes: byte `rel_ticks + 600` is a price, byte 600 is spot. Each plane is a dict of its own
from rel_ticks to byte, laid out last, so no rule of one plane leaks into another.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .physics import COMPONENTS, SCORES, TICK_INT, ZONE_TICKS, Row, pairs_by_window
from .records import ASK, BID, PHASES, WINDOW_NS

MAX_TICKS = 600
HOLE_MEMORY_WINDOWS = 10
FULL_WALL_QTY, FULL_FILL_QTY, FULL_GEX = 2000, 500, 1e5
"""what the three fixed log scales call 1"""
NO_SIDE, BID_SIDE, ASK_SIDE = 0, 1, 2
NEUTRAL_IMBALANCE = 128

PLANES = (
    "wall_core_u8",
    "wall_fog_u8",
    "vacuum_u8",
    "buy_fill_u8",
    "sell_fill_u8",
    "gex_abs_u8",
    "gex_imbalance_u8",
    "side_u8",
    "hole_u8",
)
HUD_COLUMNS = (
    "window_end_ts_ns",
    "seq",
    "spot_ref_price_int",
    "best_bid_price_int",
    "best_ask_price_int",
    "mid_price",
    "book_valid",
    "window_valid",
    "phase",
    *SCORES,
    "above_touch_score",
    "below_touch_score",
    *COMPONENTS,
    "buy_qty",
    "sell_qty",
    *PLANES,
)


def u8(v: float) -> int:
    """floor(255 * clip(v, 0, 1) + 0.5)."""
    return math.floor(255 * min(max(v, 0.0), 1.0) + 0.5)


def log_u8(value: float, full: float) -> int:
    """u8 of ln(1 + value)/ln(1 + full)."""
    return u8(math.log(1 + value) / math.log(1 + full))


def imbalance_u8(ratio: float) -> int:
    """floor(127.5 * (1 + ratio) + 0.5): 0 all puts, 128 neutral, 255 all calls."""
    return math.floor(127.5 * (1 + ratio) + 0.5)


def plane(bytes_at: Mapping[int, int], elsewhere: int = 0) -> bytes:
    """1201 bytes from rel_ticks -600 on."""
    return bytes(bytes_at.get(rel, elsewhere) for rel in range(-MAX_TICKS, MAX_TICKS + 1))


class Level:
    """What is known at one price of one window: a wall and a vacuum row per side, each may be missing."""

    def __init__(self, rel_ticks: int) -> None:
        self.rel_ticks = rel_ticks
        self.wall: dict[str, Row] = {}
        self.vacuum: dict[str, Row] = {}

    def core(self) -> int:
        return max((log_u8(row["depth_qty_rest"], FULL_WALL_QTY) for row in self.wall.values()), default=0)

    def fog(self) -> int:
        young = [row["depth_qty_end"] - row["depth_qty_rest"] for row in self.wall.values()]
        return max((log_u8(qty, FULL_WALL_QTY) for qty in young), default=0)

    def vacuum_flow(self) -> int:
        """Asks above spot, bids below it, the larger of both at spot."""
        sides = (ASK, BID) if self.rel_ticks == 0 else (ASK,) if self.rel_ticks > 0 else (BID,)
        scores = [float(self.vacuum[side]["vacuum_flow_score"]) for side in sides if side in self.vacuum]
        return max((u8(score) for score in scores), default=0)

    def fill(self, side: str) -> int:
        return log_u8(self.wall[side]["fill_qty"], FULL_FILL_QTY) if side in self.wall else 0

    def side(self) -> int:
        """A row makes its side present, whatever its depth; the deeper side wins."""
        if not self.wall:
            return NO_SIDE
        if len(self.wall) == 1:
            return ASK_SIDE if ASK in self.wall else BID_SIDE
        ask, bid = self.wall[ASK]["depth_qty_end"], self.wall[BID]["depth_qty_end"]
        if ask == bid:
            return ASK_SIDE if self.rel_ticks > 0 else BID_SIDE
        return ASK_SIDE if ask > bid else BID_SIDE


def depth_windows(wall_rows: Iterable[Row]) -> dict[tuple[str, int], set[int]]:
    """(side, price) -> the windows at whose end it held depth."""
    windows: dict[tuple[str, int], set[int]] = defaultdict(set)
    for row in wall_rows:
        if row["depth_qty_end"] > 0:
            windows[row["side"], row["price_int"]].add(row["window_end_ts_ns"])
    return windows


def is_hole(
    held: Mapping[tuple[str, int], set[int]], rel_ticks: int, spot: int, window_end: int, tick_int: int
) -> bool:
    """A side lost the depth it had at this price in one of the 10 windows before; asked within 20 ticks."""
    before = {window_end - ago * WINDOW_NS for ago in range(1, HOLE_MEMORY_WINDOWS + 1)}
    sides = [side for side, here in ((ASK, rel_ticks >= 0), (BID, rel_ticks <= 0)) if here]
    for side in sides:
        windows = held.get((side, spot + rel_ticks * tick_int), set())
        if window_end not in windows and windows & before:
            return True
    return False


def naive_hud(
    snapshot_rows: Sequence[Row],
    wall_rows: Sequence[Row],
    vacuum_rows: Sequence[Row],
    bands_rows: Sequence[Row],
    context_rows: Sequence[Row],
    gex_rows: Sequence[Row],
    *,
    tick_int: int = TICK_INT,
) -> list[dict[str, Any]]:
    """hud_surface_1s: one row per snapshot row, planes as bytes, band components as numpy.float32.

    window_valid is the wall's; a window without a wall row is not valid.
    """
    pairs = pairs_by_window(wall_rows, vacuum_rows)
    held = depth_windows(wall_rows)
    gex_by_window: dict[int, list[Row]] = defaultdict(list)
    for row in gex_rows:
        gex_by_window[row["window_end_ts_ns"]].append(row)

    table = []
    triples = zip(snapshot_rows, bands_rows, context_rows, strict=True)
    for seq, (snapshot, bands, context) in enumerate(triples):
        window_end, spot = snapshot["window_end_ts_ns"], snapshot["spot_ref_price_int"]
        assert window_end == bands["window_end_ts_ns"] == context["window_end_ts_ns"]
        here = pairs.get(window_end, [])

        levels: dict[int, Level] = {}
        strikes: dict[int, Row] = {}
        holes: list[int] = []
        if spot != 0:
            for wall, vacuum in here:
                rel = (wall["price_int"] - spot) // tick_int
                level = levels.setdefault(rel, Level(rel))
                level.wall[wall["side"]] = wall
                level.vacuum[wall["side"]] = vacuum
            strikes = strikes_by_rel_ticks(gex_by_window[window_end], spot, tick_int)
            zone = range(-ZONE_TICKS, ZONE_TICKS + 1)
            holes = [rel for rel in zone if is_hole(held, rel, spot, window_end, tick_int)]

        row = {
            "window_end_ts_ns": window_end,
            "seq": seq,
            "spot_ref_price_int": spot,
            "best_bid_price_int": snapshot["best_bid_price_int"],
            "best_ask_price_int": snapshot["best_ask_price_int"],
            "mid_price": snapshot["mid_price"],
            "book_valid": snapshot["book_valid"],
            "window_valid": bool(here) and here[0][0]["window_valid"],
            "phase": PHASES.index(snapshot["phase"]),
        }
        row |= {name: bands[name] for name in SCORES}
        row |= {name: context[name] for name in ("above_touch_score", "below_touch_score")}
        row |= {name: np.float32(bands[name]) for name in COMPONENTS}
        row |= {name: snapshot[name] for name in ("buy_qty", "sell_qty")}
        row |= {
            "wall_core_u8": plane({rel: level.core() for rel, level in levels.items()}),
            "wall_fog_u8": plane({rel: level.fog() for rel, level in levels.items()}),
            "vacuum_u8": plane({rel: level.vacuum_flow() for rel, level in levels.items()}),
            "buy_fill_u8": plane({rel: level.fill(ASK) for rel, level in levels.items()}),
            "sell_fill_u8": plane({rel: level.fill(BID) for rel, level in levels.items()}),
            "gex_abs_u8": plane({rel: log_u8(gex["gex_abs"], FULL_GEX) for rel, gex in strikes.items()}),
            "gex_imbalance_u8": plane(
                {rel: imbalance_u8(gex["gex_imbalance_ratio"]) for rel, gex in strikes.items()},
                elsewhere=NEUTRAL_IMBALANCE,
            ),
            "side_u8": plane({rel: level.side() for rel, level in levels.items()}),
            "hole_u8": plane(dict.fromkeys(holes, 255)),
        }
        table.append(row)
    return table


def strikes_by_rel_ticks(gex_rows: Iterable[Row], spot: int, tick_int: int) -> dict[int, Row]:
    """The window's strikes that fall on the picture; the ladder may reach up to 10 ticks beyond it."""
    strikes = {}
    for row in gex_rows:
        rel, off_grid = divmod(row["strike_price_int"] - spot, tick_int)
        assert off_grid == 0, f"strike {row['strike_price_int']} is no whole number of ticks from spot {spot}"
        if abs(rel) <= MAX_TICKS:
            strikes[rel] = row
    return strikes
