"""Silver from options: open interest, gamma exposure, quotes and the gamma profile (spec 7)."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from data_eng.schema.bronze import OPTION_RIGHTS
from data_eng.schema.column import DICT_STRING, Column, Table
from data_eng.schema.silver_future import WINDOW_END, WINDOW_START

QUOTE_REASONS: Final = (
    "ok",
    "one_sided",
    "crossed",
    "below_intrinsic",
    "no_root",
    "expired",
    "no_oi",
    "no_book",
)
"""why an option has no implied volatility or no weight; ok = it has both"""

GEX_UNIT: Final = "USD per point per point"

STATISTICS_CLEAN: Final = Table(
    "silver.future_option.statistics_clean",
    "One row per option and announced open-interest figure, exact repeats removed.",
    (
        Column("ts_event_ns", pa.int64(), "When the exchange published the figure.", "ns UTC"),
        Column(
            "ts_event_est",
            pa.string(),
            "ts_event_ns in New York, ISO-8601 with its offset.",
        ),
        Column("ts_recv_ns", pa.int64(), "When the message was received; it counts from then on.", "ns UTC"),
        Column("source", pa.string(), "Dataset the figure came from, for example GLBX.MDP3."),
        Column("underlying", pa.string(), "Raw symbol of the future the option settles into."),
        Column("option_symbol", pa.string(), "Raw symbol of the option."),
        Column(
            "exp_date", pa.string(), "Expiry date in Chicago, YYYY-MM-DD; null when undefined.", nullable=True
        ),
        Column("strike", pa.float64(), "Strike price.", "points", 0),
        Column("right", pa.string(), "C call, P put.", "code", values=OPTION_RIGHTS),
        Column("open_interest", pa.float64(), "Contracts open at the end of the trade date.", "contracts", 0),
    ),
    key=("option_symbol", "ts_recv_ns"),
    spec="7.1",
)

_DIFFERENCED: Final = (
    ("gex_abs", GEX_UNIT),
    ("gex", GEX_UNIT),
    ("gex_imbalance_ratio", "ratio"),
)


def _differences() -> list[Column]:
    """d1_, d2_, d3_ of each differenced value, value by value."""
    return [
        Column(
            f"d{order}_{name}",
            pa.float64(),
            f"Change of {'' if order == 1 else f'd{order - 1}_'}{name} at the strike against one window ago.",
            f"{unit}/window" + ("" if order == 1 else f"^{order}"),
        )
        for name, unit in _DIFFERENCED
        for order in (1, 2, 3)
    ]


GEX_SURFACE: Final = Table(
    "silver.future_option_mbo.gex_surface_1s",
    "One row per window that has a spot and per strike: 61 strikes every 5 points around spot, zeros where "
    "no option. Previous-day open interest of one 0DTE chain; it is nobody's position.",
    (
        WINDOW_START,
        WINDOW_END,
        Column("underlying", pa.string(), "Raw symbol of the future."),
        Column("strike_price_int", pa.int64(), "Strike price.", "1e-9 points"),
        Column("underlying_spot_ref", pa.float64(), "Spot of the window, equal to the snapshot's.", "points"),
        Column("strike_points", pa.float64(), "Strike price.", "points"),
        Column("gex_call_abs", pa.float64(), "Gamma x open interest x 50 of the calls.", GEX_UNIT, 0),
        Column("gex_put_abs", pa.float64(), "Gamma x open interest x 50 of the puts.", GEX_UNIT, 0),
        Column("gex_abs", pa.float64(), "gex_call_abs plus gex_put_abs.", GEX_UNIT, 0),
        Column("gex", pa.float64(), "Calls minus puts; not signed by who holds them.", GEX_UNIT),
        Column("gex_imbalance_ratio", pa.float64(), "gex over gex_abs (plus 1e-6).", "ratio", -1, 1),
        *_differences(),
    ),
    key=("window_end_ts_ns", "strike_price_int"),
    spec="7.2",
)

OPTION_QUOTE: Final = Table(
    "silver.future_option_mbo.option_quote_1s",
    "One row per window and option of the chain within 200 points of spot: quote, implied volatility and "
    "Greeks, or the reason why there are none.",
    (
        WINDOW_END,
        Column("instrument_id", pa.uint32(), "The exchange's number of the option on that day.", "id"),
        Column("strike_price_int", pa.int64(), "Strike price.", "1e-9 points"),
        Column("right", DICT_STRING, "C call, P put.", "code", values=OPTION_RIGHTS),
        Column("bid_price_int", pa.int64(), "Best bid at the window's end; 0 = none.", "1e-9 points", 0),
        Column("ask_price_int", pa.int64(), "Best ask at the window's end; 0 = none.", "1e-9 points", 0),
        Column("bid_qty", pa.int32(), "Lots at the best bid; 0 = none.", "contracts", 0),
        Column("ask_qty", pa.int32(), "Lots at the best ask; 0 = none.", "contracts", 0),
        Column(
            "mid_price",
            pa.float64(),
            "Half of bid plus ask, or the last valid one for up to 60 s; 0 = none.",
            "points",
            0,
        ),
        Column(
            "mid_age_s",
            pa.float64(),
            "How long mid_price has been carried; 0 when fresh or none.",
            "s",
            0,
            60,
        ),
        Column(
            "seconds_to_expiry",
            pa.float64(),
            "Time from the window's end to the expiration; negative after it.",
            "s",
        ),
        Column(
            "open_interest",
            pa.float64(),
            "Latest figure known in the window; 0 also when none.",
            "contracts",
            0,
        ),
        Column("open_interest_ts_ns", pa.int64(), "When that figure was received; 0 = none.", "ns UTC", 0),
        Column(
            "implied_vol",
            pa.float64(),
            "Black-76 volatility of the strike, from its out-of-the-money option; null with a reason.",
            "per sqrt(year)",
            0,
            nullable=True,
        ),
        Column(
            "delta",
            pa.float64(),
            "Change of the price per point of the future.",
            "ratio",
            -1,
            1,
            nullable=True,
        ),
        Column(
            "gamma", pa.float64(), "Change of delta per point of the future.", "1/point", 0, nullable=True
        ),
        Column(
            "vega", pa.float64(), "Change of the price per 1.00 of volatility.", "points", 0, nullable=True
        ),
        Column(
            "implied_vol_mid_forward",
            pa.float64(),
            "implied_vol solved with the futures mid in place of the last trade; null when unknown.",
            "per sqrt(year)",
            0,
            nullable=True,
        ),
        Column(
            "reason",
            DICT_STRING,
            "ok, or why values are missing or carry no weight.",
            "code",
            values=QUOTE_REASONS,
        ),
    ),
    key=("window_end_ts_ns", "strike_price_int", "right", "instrument_id"),
    spec="7.3",
)

GEX_PROFILE: Final = Table(
    "silver.future_option_mbo.gex_profile_1s",
    "One row per window: net gamma of the whole chain at spot and as a function of a hypothetical spot "
    "within 150 points, under three named conventions, none of which is the truth.",
    (
        WINDOW_END,
        Column("call_gex", pa.float64(), "Gamma x open interest x 50 of all calls at spot.", GEX_UNIT, 0),
        Column("put_gex", pa.float64(), "Gamma x open interest x 50 of all puts at spot.", GEX_UNIT, 0),
        Column("net_gex", pa.float64(), "call_gex minus put_gex.", GEX_UNIT),
        Column(
            "flip_points",
            pa.list_(pa.field("element", pa.float64())),
            "All spots within 150 points at which the net gamma is zero, rising; empty when none.",
            "points",
        ),
        Column(
            "gamma_centre_points",
            pa.float64(),
            "Mean strike weighted by the absolute gamma exposure; 0 = none.",
            "points",
        ),
        Column(
            "top_call_strike_points",
            pa.float64(),
            "Strike with the largest call exposure; 0 = none.",
            "points",
        ),
        Column(
            "top_put_strike_points", pa.float64(), "Strike with the largest put exposure; 0 = none.", "points"
        ),
        Column(
            "net_oi_call_minus_put",
            pa.float64(),
            "Dealers long every call and short every put of the open interest.",
            GEX_UNIT,
        ),
        Column(
            "net_oi_short_all",
            pa.float64(),
            "Dealers short every option of the open interest.",
            GEX_UNIT,
            None,
            0,
        ),
        Column(
            "net_oi_flow",
            pa.float64(),
            "The call-minus-put picture less what aggressors bought net since the file's start.",
            GEX_UNIT,
        ),
        Column("convention_min", pa.float64(), "Smallest of the three conventions.", GEX_UNIT),
        Column("convention_max", pa.float64(), "Largest of the three conventions.", GEX_UNIT),
    ),
    key=("window_end_ts_ns",),
    spec="7.4",
)

TABLES: Final = (STATISTICS_CLEAN, GEX_SURFACE, OPTION_QUOTE, GEX_PROFILE)
