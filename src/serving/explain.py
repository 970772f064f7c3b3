"""Why the scores of one second are what they are: their terms, and the levels behind them (spec 5.5)."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from data_eng.physics_terms import explain
from data_eng.schema import BANDS, DIRECTIONS
from data_eng.units import NEAR_MAX_TICKS
from serving.hud_streaming import HudCache

WALL_COLUMNS: Final = (
    "rel_ticks",
    "side",
    "price_int",
    "depth_qty_start",
    "depth_qty_end",
    "depth_qty_rest",
    "add_qty",
    "pull_qty_total",
    "pull_qty_rest",
    "fill_qty",
)
VACUUM_COLUMNS: Final = ("wall_strength_log", "wall_erosion", "vacuum_score", "vacuum_flow_score")


def explain_window(cache: HudCache, seq: int) -> dict[str, Any]:
    """The document of one window; int64 values are decimal strings. Blocks: it reads wall and vacuum."""
    end = cache.ts_ns(seq)
    rows = {name: cache.surfaces[name].window(end) for name in ("physics", "context", "wall", "vacuum")}
    levels = pa.Table.from_batches([rows["wall"]]).select(WALL_COLUMNS)
    for name in VACUUM_COLUMNS:
        levels = levels.append_column(name, rows["vacuum"].column(name))
    return {
        "symbol": cache.symbol,
        "dt": cache.dt,
        "window_end_ts_ns": str(end),
        "seq": str(seq),
        "calibration_id": cache.calibration_id,
        "lookahead": cache.lookahead,
        **explained(rows["physics"].to_pylist()[0], rows["context"].to_pylist()[0], levels),
    }


def explained(bands: dict[str, Any], context: dict[str, Any], levels: pa.Table) -> dict[str, Any]:
    """Scores with their six terms, bands that are empty, and the levels of the scored bands. Pure.

    bands, context: one row of physics_bands_1s and physics_context_1s. levels: wall rows of the window with
    `VACUUM_COLUMNS` beside them.
    """
    terms = explain(bands)
    near = levels.filter(pc.less_equal(pc.abs(levels["rel_ticks"]), NEAR_MAX_TICKS)).to_pylist()
    answer: dict[str, Any] = {
        "spot_ref_price_int": str(bands["spot_ref_price_int"]),
        "vacuum_total_score": bands["vacuum_total_score"],
    }
    for direction in DIRECTIONS:
        side, sign = ("A", 1) if direction == "above" else ("B", -1)
        answer[direction] = {
            "score": bands[f"{direction}_score"],
            "touch_score": context[f"{direction}_touch_score"],
            "terms": terms[direction],
            "empty_bands": [band for band in BANDS if context[f"{direction}_{band}_level_count"] == 0],
            "levels": [
                row | {"price_int": str(row["price_int"])}
                for row in sorted(near, key=lambda row: abs(row["rel_ticks"]))
                if row["side"] == side and row["rel_ticks"] * sign >= 0
            ],
        }
    return answer
