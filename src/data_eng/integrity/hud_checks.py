"""What must be true of hud_surface_1s: copies of every window, planes of sampled ones (spec 9.2, 11).

Planes are painted here a second time, one level after the other, from wall, vacuum and gex rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from data_eng.dbn_codes import PHASES
from data_eng.integrity.findings import Check, Tally
from data_eng.integrity.rows import Array, Rows, window_name
from data_eng.schema import BAND_COMPONENTS, PLANES
from data_eng.units import DELTA_TICKS, HUD_MAX_TICKS, HUD_ROWS, WINDOW_NS

HOLE_WINDOWS: Final = 10
"""a hole is shown as long as one of the last ten windows had depth there"""
NEUTRAL: Final = 128
SNAPSHOT_COPIES: Final = (
    "spot_ref_price_int",
    "best_bid_price_int",
    "best_ask_price_int",
    "mid_price",
    "book_valid",
    "buy_qty",
    "sell_qty",
)
HUD_COLUMNS: Final = (
    "window_end_ts_ns",
    "seq",
    *SNAPSHOT_COPIES,
    "window_valid",
    "phase",
    "above_score",
    "below_score",
    "vacuum_total_score",
    "above_touch_score",
    "below_touch_score",
    *BAND_COMPONENTS,
)
Row = dict[str, Any]


def u8(value: float) -> int:
    """floor(255 * clip(value, 0, 1) + 0.5)"""
    return math.floor(255.0 * min(max(value, 0.0), 1.0) + 0.5)


def log_share(qty: float, full: float) -> float:
    """ln(1 + qty) / ln(1 + full)"""
    return math.log(1.0 + qty) / math.log(1.0 + full)


def check_hud_copies(hud: Rows, snapshot: Rows, bands: Rows, context: Rows, window_valid: Array) -> Check:
    """seq counts from 0; everything but the planes equals snapshot, wall, bands and context."""
    tally = Tally("hud_copies", "values")
    phase = np.array([PHASES.index(name) for name in snapshot["phase"].tolist()], dtype=np.uint8)
    wanted: dict[str, Array] = {
        "seq": np.arange(len(snapshot)),
        "window_valid": window_valid,
        "phase": phase,
        **{name: snapshot[name] for name in SNAPSHOT_COPIES},
        **{name: bands[name] for name in ("above_score", "below_score", "vacuum_total_score")},
        **{name: context[name] for name in ("above_touch_score", "below_touch_score")},
        **{name: bands[name].astype(np.float32) for name in BAND_COMPONENTS},
    }
    for name, values in wanted.items():

        def say(row: int, name: str = name, values: Array = values) -> str:
            window = window_name(hud["window_end_ts_ns"][row])
            return f"{window} {name} is {hud[name][row]}, wanted {values[row]}"

        tally.add_rows(hud[name] != values, say)
    return tally.check()


def check_plane_lengths(planes: Iterable[pa.RecordBatch]) -> Check:
    """Every plane is 1201 bytes."""
    tally = Tally("hud_plane_length", "planes")
    for batch in planes:
        for name in PLANES:
            column = batch.column(name)
            width = column.type.byte_width if pa.types.is_fixed_size_binary(column.type) else None
            bad = [] if width == HUD_ROWS and not column.null_count else [f"{name} is {column.type}"]
            tally.add(len(column), bad)
    return tally.check()


def plane_windows(sampled: Sequence[int]) -> set[int]:
    """The window_end values whose wall rows are needed to paint `sampled`."""
    return {end - back * WINDOW_NS for end in sampled for back in range(HOLE_WINDOWS + 1)}


def paint(
    levels: Sequence[Row], earlier: Sequence[Row], strikes: Sequence[Row], spot: int, tick_int: int
) -> dict[str, bytearray]:
    """The nine planes of one window by name, 1201 bytes each, row 600 = spot.

    `levels`: wall rows of the window joined with vacuum_flow_score. `earlier`: wall rows of the ten windows
    before. `strikes`: gex rows of the window.
    """
    planes = {name: bytearray(HUD_ROWS) for name in PLANES}
    planes["gex_imbalance_u8"] = bytearray([NEUTRAL] * HUD_ROWS)
    if spot <= 0:
        return planes
    deepest: dict[int, dict[str, int]] = {}
    for level in levels:
        rel, side = level["rel_ticks"], level["side"]
        row = rel + HUD_MAX_TICKS
        rest, end = level["depth_qty_rest"], level["depth_qty_end"]
        _raise_to(planes["wall_core_u8"], row, u8(log_share(rest, 2000)))
        _raise_to(planes["wall_fog_u8"], row, u8(log_share(end - rest, 2000)))
        if rel == 0 or (side == "A") == (rel > 0):
            _raise_to(planes["vacuum_u8"], row, u8(level["vacuum_flow_score"]))
        fills = "buy_fill_u8" if side == "A" else "sell_fill_u8"
        planes[fills][row] = u8(log_share(level["fill_qty"], 500))
        deepest.setdefault(rel, {})[side] = end
    for rel, depth in deepest.items():
        # a row is a present side, also when its depth is gone: its fills and vacuum need a colour
        ask, bid = depth.get("A", -1), depth.get("B", -1)
        planes["side_u8"][rel + HUD_MAX_TICKS] = 2 if ask > bid or (ask == bid and rel > 0) else 1
    for level in earlier:
        rel, side = (level["price_int"] - spot) // tick_int, level["side"]
        in_zone = abs(rel) <= DELTA_TICKS and (rel >= 0 if side == "A" else rel <= 0)
        if in_zone and level["depth_qty_end"] > 0 and not deepest.get(rel, {}).get(side, 0):
            planes["hole_u8"][rel + HUD_MAX_TICKS] = 255
    for strike in strikes:
        rel, off_grid = divmod(strike["strike_price_int"] - spot, tick_int)
        if not off_grid and abs(rel) <= HUD_MAX_TICKS:
            row = rel + HUD_MAX_TICKS
            planes["gex_abs_u8"][row] = u8(log_share(strike["gex_abs"], 1e5))
            planes["gex_imbalance_u8"][row] = math.floor(127.5 * (1 + strike["gex_imbalance_ratio"]) + 0.5)
    return planes


def check_planes(
    stored: dict[int, dict[str, bytes]],
    sampled: Sequence[int],
    rows: dict[int, list[Row]],
    strikes: dict[int, list[Row]],
    spots: dict[int, int],
    tick_int: int,
) -> Check:
    """Stored planes of the sampled windows equal the painted ones, byte by byte.

    stored, rows, strikes, spots by window_end; `rows` holds the windows of `plane_windows(sampled)`.
    """
    tally = Tally("hud_planes", "bytes")
    for end in sampled:
        before = [row for back in range(1, HOLE_WINDOWS + 1) for row in rows.get(end - back * WINDOW_NS, [])]
        painted = paint(rows.get(end, []), before, strikes.get(end, []), spots[end], tick_int)
        for name, wanted in painted.items():
            have = np.frombuffer(stored.get(end, {}).get(name, b""), dtype=np.uint8)
            if len(have) != HUD_ROWS:
                tally.add(HUD_ROWS, [f"{window_name(end)} {name} has {len(have)} bytes, wanted {HUD_ROWS}"])
                continue
            want = np.frombuffer(bytes(wanted), dtype=np.uint8)
            tally.add_rows(
                have != want,
                lambda row, n=name, h=have, w=want, e=end: (  # type: ignore[misc]  # mypy cannot type defaults
                    f"{window_name(e)} {n} at {row - HUD_MAX_TICKS:+d} ticks is {h[row]}, wanted {w[row]}"
                ),
            )
    if not sampled:
        tally.add(0, ["no window with spot > 0 could be sampled"])
    return tally.check()


def _raise_to(plane: bytearray, row: int, value: int) -> None:
    plane[row] = max(plane[row], value)
