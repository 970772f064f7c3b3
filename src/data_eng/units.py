"""Numbers with units that the whole project shares (spec 1). Prices are int64 in 1e-9 points."""

from __future__ import annotations

from typing import Final

PRICES_PER_POINT: Final = 1_000_000_000
"""price_int / this is the correctly rounded double in points; price_int * 1e-9 is one ulp off at times"""
UNDEF_PRICE: Final = 9_223_372_036_854_775_807
"""int64 max: DBN's "no price" """
TICK_INT: Final = 250_000_000
"""price_int per tick; the ES default, a definition overrides it"""
WINDOW_NS: Final = 1_000_000_000
REST_NS: Final = 500_000_000
"""an order rests when its age at its current price is at least this"""
DAY_NS: Final = 86_400 * 1_000_000_000
HOUR_NS: Final = 3_600 * 1_000_000_000
HUD_MAX_TICKS: Final = 600
HUD_ROWS: Final = 2 * HUD_MAX_TICKS + 1
HUD_HISTORY_WINDOWS: Final = 1800
DELTA_TICKS: Final = 20
"""radius of the radar zone in ticks"""
AT_MAX_TICKS: Final = 2
NEAR_MAX_TICKS: Final = 5
MID_MAX_TICKS: Final = 14
EPS_QTY: Final = 1.0
EPS_DIST_TICKS: Final = 1.0
TINY_TOL: Final = 1e-9
EPS_GEX: Final = 1e-6
MULTIPLIER_USD_PER_POINT: Final = 50.0
STRIKE_STEP_INT: Final = 5_000_000_000
STRIKE_OFFSETS: Final = 30
RISK_FREE_RATE: Final = 0.05
ROW_GROUP_WINDOWS: Final = 300
"""windows per Parquet row group of the wide surfaces"""
