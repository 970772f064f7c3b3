"""Gold: the calibration of the physics scores and the quantised picture of the HUD (spec 6, 9.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pyarrow as pa

from data_eng.dbn_codes import PHASES
from data_eng.schema.column import Column, Table
from data_eng.schema.silver_future import (
    BEST_ASK_PRICE,
    BEST_BID_PRICE,
    BOOK_VALID,
    BUY_QTY,
    MID_PRICE,
    SELL_QTY,
    SPOT,
    SPOT_SCORES,
    TOUCH_SCORES,
    WINDOW_END,
    WINDOW_VALID,
    band_component_columns,
)
from data_eng.units import HUD_ROWS

CALIBRATION_METRICS: Final = (
    "wall_strength_log",
    "pull_add_log",
    "log1p_pull_intensity_rest",
    "log1p_erosion_norm",
    "d2_pull_add_log",
    "gex_abs",
)
"""the six calibrated measures, in row order"""

PHYSICS_NORM_CALIBRATION: Final = Table(
    "gold.hud.physics_norm_calibration",
    "One row per metric: the raw 5 % and 95 % quantiles of its population on the date, from which scores are "
    "scaled. Population and row count stand in the manifest.",
    (
        Column("metric_name", pa.string(), "What the bounds are for.", values=CALIBRATION_METRICS),
        Column(
            "q05", pa.float64(), "5 % quantile, linear interpolation; the metric's score 0.", "the metric's"
        ),
        Column(
            "q95", pa.float64(), "95 % quantile, linear interpolation; the metric's score 1.", "the metric's"
        ),
        Column("lookback_sessions", pa.int32(), "Dates the quantiles were taken over.", "dates", 1),
        Column("session_window", pa.string(), "FULL_DAY, or the session text that limited what was emitted."),
        Column("asof_dt", pa.string(), "The date the quantiles were taken from, YYYY-MM-DD.", "date"),
    ),
    key=("metric_name",),
    spec="6",
    # the order of CALIBRATION_METRICS, which is not the alphabet's
    free_order=True,
)

PLANES: Final = (
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
"""the nine planes of a picture in column order; row 600 of a plane is spot"""

_PLANE_DOCS: Final = {
    "wall_core_u8": "Resting depth on a fixed log scale to 2000 lots; the larger side where both exist.",
    "wall_fog_u8": "Depth younger than 500 ms on the same scale; sparse by nature.",
    "vacuum_u8": "vacuum_flow_score x 255: asks above spot, bids below, the larger one at spot.",
    "buy_fill_u8": "Lots that aggressive buyers took there, log scale to 500.",
    "sell_fill_u8": "Lots that aggressive sellers took there, log scale to 500.",
    "gex_abs_u8": "gex_abs on a log scale to 1e5 at strike rows; 0 elsewhere.",
    "gex_imbalance_u8": "Imbalance ratio from -1 (0) to 1 (255) at strike rows; 128 = neutral and elsewhere.",
    "side_u8": "0 none, 1 bid, 2 ask: the side with more depth.",
    "hole_u8": "255 where a side within 20 ticks of spot lost the depth it had in the last 10 windows.",
}

HUD_SURFACE: Final = Table(
    "gold.hud.hud_surface_1s",
    "One row per window: the picture the HUD draws, 1201 price rows around spot quantised to bytes. "
    "Numbers for a person come from the silver surfaces, never from these planes.",
    (
        WINDOW_END,
        Column("seq", pa.int64(), "Index of the window in the date, from 0.", "index", 0),
        SPOT,
        BEST_BID_PRICE,
        BEST_ASK_PRICE,
        MID_PRICE,
        BOOK_VALID,
        replace(WINDOW_VALID, doc=WINDOW_VALID.doc + " False in a window without spot, which has no walls."),
        Column(
            "phase",
            pa.uint8(),
            "Trading phase at the window's end: "
            + ", ".join(f"{i} {name}" for i, name in enumerate(PHASES))
            + ".",
            "code",
            0,
            len(PHASES) - 1,
        ),
        *SPOT_SCORES,
        *TOUCH_SCORES,
        *band_component_columns(pa.float32()),
        BUY_QTY,
        SELL_QTY,
        *(
            Column(
                plane, pa.binary(HUD_ROWS), _PLANE_DOCS[plane] + " One byte per tick from -600 to 600.", "u8"
            )
            for plane in PLANES
        ),
    ),
    key=("window_end_ts_ns",),
    spec="9.2",
)

TABLES: Final = (PHYSICS_NORM_CALIBRATION, HUD_SURFACE)
