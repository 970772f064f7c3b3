"""Silver from futures: book, walls, radar, vacuum, bands, context and trades (spec 5).

The radar's 201 columns come from one declaration of its 25 f and 24 u features: `F_FEATURES` and
`U_FEATURES` hold the names in column order, and every other module takes them from here.
"""

from __future__ import annotations

from itertools import product
from typing import Final, NamedTuple

import pyarrow as pa

from data_eng.dbn_codes import PHASES
from data_eng.schema.column import DICT_STRING, Column, Table
from data_eng.units import DELTA_TICKS, HUD_MAX_TICKS

SIDES: Final = ("A", "B")
"""ask, bid: both words and the sort order of `side` inside a window"""
DIRECTIONS: Final = ("above", "below")
"""ask rows at or above spot, bid rows at or below it"""
BANDS: Final = ("at", "near", "mid", "far")
"""0-2, 3-5, 6-14 and 15-20 ticks from spot"""
BAND_MEASURES: Final = ("wall_strength_norm", "wall_erosion_norm", "vacuum_norm")
BAND_COMPONENTS: Final = tuple(
    f"{direction}_{band}_{measure}" for direction, band, measure in product(DIRECTIONS, BANDS, BAND_MEASURES)
)
"""the 24 components of the bands in column order"""
APPROACH_WORDS: Final = ("approach_up", "approach_down", "approach_none")

_BAND_TICKS: Final = {"at": "0-2", "near": "3-5", "mid": "6-14", "far": "15-20"}
_BAND_LEVELS: Final = {"at": 3, "near": 3, "mid": 9, "far": 6}

WINDOW_START: Final = Column(
    "window_start_ts_ns", pa.int64(), "Start of the one-second window, included.", "ns UTC", 0
)
WINDOW_END: Final = Column(
    "window_end_ts_ns",
    pa.int64(),
    "End of the one-second window, excluded; it names the window.",
    "ns UTC",
    0,
)
SPOT: Final = Column(
    "spot_ref_price_int",
    pa.int64(),
    "Reference price of the window: last trade, else the best bid of a valid book; 0 = none.",
    "1e-9 points",
)
MID_PRICE: Final = Column(
    "mid_price", pa.float64(), "Half of best bid plus best ask; 0 = none (a side is missing).", "points"
)
MID_PRICE_INT: Final = Column(
    "mid_price_int",
    pa.int64(),
    "Exactly half of best bid plus best ask, half ticks allowed, never rounded to the tick; 0 = none.",
    "1e-9 points",
)
BEST_BID_PRICE: Final = Column(
    "best_bid_price_int", pa.int64(), "Highest bid at the window's end; 0 = none.", "1e-9 points"
)
BEST_ASK_PRICE: Final = Column(
    "best_ask_price_int", pa.int64(), "Lowest ask at the window's end; 0 = none.", "1e-9 points"
)
BOOK_VALID: Final = Column(
    "book_valid",
    pa.bool_(),
    "The book is complete, outside a snapshot and not crossed at the window's end.",
)
WINDOW_VALID: Final = Column(
    "window_valid",
    pa.bool_(),
    "The book was complete and uncrossed during the whole window, without reset, and the phase is open "
    "at its end.",
)
BUY_QTY: Final = Column(
    "buy_qty", pa.int32(), "Lots traded by aggressive buyers in the window.", "contracts", 0
)
SELL_QTY: Final = Column(
    "sell_qty", pa.int32(), "Lots traded by aggressive sellers in the window.", "contracts", 0
)


def phase_column(when: str) -> Column:
    """The dictionary column `phase`, with `when` saying which moment it describes."""
    return Column(
        "phase", DICT_STRING, f"Trading phase {when}: closed, pre_open, open or halt.", values=PHASES
    )


def score_column(name: str, doc: str, physical: pa.DataType | None = None) -> Column:
    """A score in [0, 1], float64 unless said otherwise."""
    return Column(name, physical or pa.float64(), doc, "score", 0, 1)


BOOK_SNAPSHOT: Final = Table(
    "silver.future_mbo.book_snapshot_1s",
    "One row per second: the top of the book at the second's end, and what traded in it. "
    "Every second from the first record on is there, also an empty one.",
    (
        WINDOW_START,
        WINDOW_END,
        BEST_BID_PRICE,
        Column("best_bid_qty", pa.int32(), "Lots at the best bid; 0 = none.", "contracts", 0),
        BEST_ASK_PRICE,
        Column("best_ask_qty", pa.int32(), "Lots at the best ask; 0 = none.", "contracts", 0),
        MID_PRICE,
        MID_PRICE_INT,
        Column(
            "last_trade_price_int",
            pa.int64(),
            "Price of the last trade of the file before the window's end; 0 = none.",
            "1e-9 points",
        ),
        SPOT,
        BOOK_VALID,
        phase_column("at the window's end"),
        Column(
            "crossed_event_count",
            pa.int32(),
            "Events that left best bid >= best ask; legal before the opening auction only.",
            "events",
            0,
        ),
        Column("event_count", pa.int32(), "Events that ended in the window.", "events", 0),
        BUY_QTY,
        SELL_QTY,
        Column("trade_count", pa.int32(), "Trade records in the window, auctions included.", "records", 0),
        Column(
            "available_ts_ns",
            pa.int64(),
            "Largest ts_recv applied by the window's end: when a live reader could have known the row; "
            "0 = none.",
            "ns UTC",
            0,
        ),
    ),
    key=("window_end_ts_ns",),
    spec="5.1",
)

_LEVEL: Final = (
    WINDOW_START,
    WINDOW_END,
    Column("price_int", pa.int64(), "Price of the level.", "1e-9 points"),
    Column("side", DICT_STRING, "Side of the level: A ask, B bid.", "code", values=SIDES),
    SPOT,
    Column(
        "rel_ticks",
        pa.int16(),
        "Distance of the level from spot, positive above it.",
        "ticks",
        -HUD_MAX_TICKS,
        HUD_MAX_TICKS,
    ),
)
"""what wall and vacuum rows share: they describe the same levels in the same order"""

_LEVEL_KEY: Final = ("window_end_ts_ns", "side", "price_int")

WALL: Final = Table(
    "silver.future_mbo.wall_surface_1s",
    "One row per window, side and price level within 600 ticks of spot that holds or held depth or had flow. "
    "Depth is read at the second's end: an order added and pulled within it leaves flow but no wall.",
    (
        *_LEVEL,
        Column("depth_qty_start", pa.int32(), "Displayed lots when the window starts.", "contracts", 0),
        Column("depth_qty_end", pa.int32(), "Displayed lots when the window ends.", "contracts", 0),
        Column(
            "add_qty",
            pa.int32(),
            "Lots that appeared: new orders, growth, arrivals by reprice and refilled hidden quantity.",
            "contracts",
            0,
        ),
        Column(
            "pull_qty_total",
            pa.int32(),
            "Lots withdrawn by their owners: cancelled, reduced or repriced away; fills are not pulls.",
            "contracts",
            0,
        ),
        Column("fill_qty", pa.int32(), "Lots taken by trades at this level.", "contracts", 0),
        Column(
            "depth_qty_rest",
            pa.int32(),
            "Part of depth_qty_end whose orders stood at this price for at least 500 ms.",
            "contracts",
            0,
        ),
        Column(
            "pull_qty_rest",
            pa.int32(),
            "Part of pull_qty_total whose orders had stood for at least 500 ms.",
            "contracts",
            0,
        ),
        Column(
            "d1_depth_qty", pa.int32(), "Change of depth_qty_end against one window ago.", "contracts/window"
        ),
        Column(
            "d2_depth_qty",
            pa.int32(),
            "Change of d1_depth_qty against one window ago: the build-up speeds up or slows down.",
            "contracts/window^2",
        ),
        Column(
            "d3_depth_qty",
            pa.int32(),
            "Change of d2_depth_qty against one window ago.",
            "contracts/window^3",
        ),
        WINDOW_VALID,
    ),
    key=_LEVEL_KEY,
    spec="5.2",
    wide=True,
)


class Feature(NamedTuple):
    """One radar feature: its name, meaning, unit and inclusive bounds (None = unbounded)."""

    name: str
    doc: str
    unit: str
    lo: float | None = None
    hi: float | None = None


def _place_features(prefix: str, side: str) -> list[Feature]:
    """The six features of a side that say where its depth lies (f1 for asks, f3 for bids)."""
    return [
        Feature(
            f"{prefix}_com_disp_log",
            f"Log change over the window of the mean distance of {side} depth from spot; > 0 recedes.",
            "log ratio",
        ),
        Feature(
            f"{prefix}_slope_convex_log",
            f"Log of {side} depth 15-20 ticks away over depth 3-5 ticks away, at the end.",
            "log ratio",
        ),
        Feature(
            f"{prefix}_slope_inner_log",
            f"Log of {side} depth 3-5 ticks away over depth 0-2 ticks away, at the end.",
            "log ratio",
        ),
        Feature(
            f"{prefix}_at_share_delta",
            f"Change over the window of the share of {side} zone depth at 0-2 ticks.",
            "share",
            -1,
            1,
        ),
        Feature(
            f"{prefix}_near_share_delta",
            f"Change over the window of the share of {side} zone depth at 3-5 ticks.",
            "share",
            -1,
            1,
        ),
        Feature(
            f"{prefix}_reprice_away_share_rest",
            f"Share of repriced resting {side} lots that moved away from spot; 0.5 when none moved.",
            "share",
            0,
            1,
        ),
    ]


def _pull_features(prefix: str, side: str) -> list[Feature]:
    """The four features of a side that say how it is withdrawn (f2 for asks, f4 for bids)."""
    return [
        Feature(
            f"{prefix}_pull_add_log_rest",
            f"Log of resting {side} lots pulled over {side} lots added in the zone; > 0 thins out.",
            "log ratio",
        ),
        Feature(
            f"{prefix}_pull_intensity_log_rest",
            f"Log of 1 plus resting {side} lots pulled per lot of zone depth at the start.",
            "log ratio",
            0,
        ),
        Feature(
            f"{prefix}_at_pull_share_rest",
            f"Share of the pulled resting {side} lots that stood 0-2 ticks from spot.",
            "share",
            0,
            1,
        ),
        Feature(
            f"{prefix}_near_pull_share_rest",
            f"Share of the pulled resting {side} lots that stood 3-5 ticks from spot.",
            "share",
            0,
            1,
        ),
    ]


_F: Final = (
    *_place_features("f1_ask", "ask"),
    *_pull_features("f2_ask", "ask"),
    *_place_features("f3_bid", "bid"),
    *_pull_features("f4_bid", "bid"),
    Feature(
        "f5_vacuum_expansion_log", "Both sides recede from spot: sum of the two displacements.", "log ratio"
    ),
    Feature(
        "f6_vacuum_decay_log", "Both sides are pulled faster than added: sum of the two logs.", "log ratio"
    ),
    Feature("f7_vacuum_total_log", "Both sides thin out away from spot: f5 plus f6.", "log ratio"),
    Feature(
        "f8_ask_bbo_dist_ticks",
        "Distance from spot to the nearest ask; 20 when none.",
        "ticks",
        0,
        DELTA_TICKS,
    ),
    Feature(
        "f9_bid_bbo_dist_ticks",
        "Distance from spot to the nearest bid; 20 when none.",
        "ticks",
        0,
        DELTA_TICKS,
    ),
)

_U: Final = (
    Feature("u1_ask_com_disp_log", "Ask depth recedes from spot: f1_ask_com_disp_log.", "log ratio"),
    Feature("u2_ask_slope_convex_log", "Ask depth is further out: f1_ask_slope_convex_log.", "log ratio"),
    Feature("u2_ask_slope_inner_log", "Ask depth leaves the touch: f1_ask_slope_inner_log.", "log ratio"),
    Feature("u3_ask_at_share_decay", "Loss of the ask share at 0-2 ticks.", "share", -1, 1),
    Feature("u3_ask_near_share_decay", "Loss of the ask share at 3-5 ticks.", "share", -1, 1),
    Feature("u4_ask_reprice_away_share_rest", "Resting asks moved away: f1's share.", "share", 0, 1),
    Feature("u5_ask_pull_add_log_rest", "Asks pulled over asks added: f2's log.", "log ratio"),
    Feature("u6_ask_pull_intensity_log_rest", "Asks pulled per lot of depth: f2's log.", "log ratio", 0),
    Feature("u7_ask_at_pull_share_rest", "Share of ask pulls at 0-2 ticks: f2's share.", "share", 0, 1),
    Feature("u7_ask_near_pull_share_rest", "Share of ask pulls at 3-5 ticks: f2's share.", "share", 0, 1),
    Feature(
        "u8_bid_com_approach_log", "Bid depth comes closer to spot: minus f3's displacement.", "log ratio"
    ),
    Feature("u9_bid_slope_support_log", "Bid depth gathers at 3-5 against 15-20 ticks.", "log ratio"),
    Feature("u9_bid_slope_inner_log", "Bid depth gathers at 0-2 against 3-5 ticks.", "log ratio"),
    Feature("u10_bid_at_share_rise", "Gain of the bid share at 0-2 ticks.", "share", -1, 1),
    Feature("u10_bid_near_share_rise", "Gain of the bid share at 3-5 ticks.", "share", -1, 1),
    Feature("u11_bid_reprice_toward_share_rest", "Resting bids moved towards spot.", "share", 0, 1),
    Feature("u12_bid_add_pull_log_rest", "Bids added over bids pulled: minus f4's log.", "log ratio"),
    Feature(
        "u13_bid_add_intensity_log",
        "Log of 1 plus bids added per lot of zone depth at the start.",
        "log ratio",
        0,
    ),
    Feature(
        "u14_bid_far_pull_share_rest",
        "Share of bid pulls beyond 5 ticks (MID counts as far); 1 when nothing was pulled.",
        "share",
        0,
        1,
    ),
    Feature("u15_up_expansion_log", "Room opens upward: asks recede and bids follow.", "log ratio"),
    Feature("u16_up_flow_log", "Flow favours up: asks are pulled and bids added.", "log ratio"),
    Feature("u17_up_total_log", "Upward vacuum: u15 plus u16.", "log ratio"),
    Feature(
        "u18_ask_bbo_dist_ticks",
        "Distance from spot to the nearest ask; 20 when none.",
        "ticks",
        0,
        DELTA_TICKS,
    ),
    Feature(
        "u19_bid_bbo_dist_ticks",
        "Distance from spot to the nearest bid; 20 when none.",
        "ticks",
        0,
        DELTA_TICKS,
    ),
)

F_FEATURES: Final = tuple(feature.name for feature in _F)
"""the 25 f features (both sides seen alike) in column order"""
U_FEATURES: Final = tuple(feature.name for feature in _U)
"""the 24 u features (read for a move up) in column order"""


def _with_differences(features: tuple[Feature, ...]) -> list[Column]:
    """The features, then all their d1_, then all d2_, then all d3_ columns."""
    columns = [Column(f.name, pa.float64(), f.doc, f.unit, f.lo, f.hi) for f in features]
    for order, of in ((1, ""), (2, "d1_"), (3, "d2_")):
        power = "" if order == 1 else f"^{order}"
        columns += [
            Column(
                f"d{order}_{f.name}",
                pa.float64(),
                f"Change of {of}{f.name} against the row before; 0 in the first row and after a reset.",
                f"{f.unit}/row{power}",
            )
            for f in features
        ]
    return columns


RADAR: Final = Table(
    "silver.future_mbo.radar_vacuum_1s",
    "One row per window that has a spot: where the depth within 20 ticks of spot lies, how it moved and who "
    "pulled it. Invalid windows still give a row; join book_valid or window_valid.",
    (
        WINDOW_START,
        WINDOW_END,
        Column("spot_ref_price", pa.float64(), "Reference price of the window in points.", "points"),
        SPOT,
        Column(
            "approach_dir",
            pa.string(),
            "Sign of the change of spot over three rows; a label that gates nothing.",
            values=APPROACH_WORDS,
        ),
        *_with_differences(_F),
        *_with_differences(_U),
    ),
    key=("window_end_ts_ns",),
    spec="5.3",
)

VACUUM: Final = Table(
    "silver.future_mbo.vacuum_surface_1s",
    "One row per wall row, in the same order: how fast the level is being withdrawn or eaten. "
    "Scores compare within one calibration; they rank events and do not measure their size.",
    (
        *_LEVEL,
        Column(
            "pull_intensity_rest",
            pa.float32(),
            "Resting lots pulled per lot of depth at the start (plus one).",
            "ratio",
            0,
        ),
        Column(
            "pull_add_log",
            pa.float32(),
            "Log of resting lots pulled over lots added (each plus one); > 0 thins out.",
            "log ratio",
        ),
        Column("d1_pull_add_log", pa.float32(), "Change of pull_add_log in one window.", "log ratio/window"),
        Column(
            "d2_pull_add_log",
            pa.float32(),
            "Change of d1_pull_add_log in one window; echoes for two seconds after a burst.",
            "log ratio/window^2",
        ),
        Column(
            "d3_pull_add_log", pa.float32(), "Change of d2_pull_add_log in one window.", "log ratio/window^3"
        ),
        Column("wall_strength_log", pa.float32(), "Log of 1 plus the resting depth.", "log contracts", 0),
        Column(
            "wall_erosion",
            pa.float32(),
            "Lots of depth lost since one window ago, pulled or filled.",
            "contracts",
            0,
        ),
        score_column(
            "vacuum_score",
            "Mean of the four calibrated measures of withdrawal; a quiet level reads about 0.26.",
            pa.float32(),
        ),
        WINDOW_VALID,
        score_column(
            "vacuum_flow_score",
            "Mean of the first three measures where lots were pulled or eroded, else 0; drawn by the HUD.",
            pa.float32(),
        ),
    ),
    key=_LEVEL_KEY,
    spec="5.4",
    wide=True,
)

_MEASURE_DOCS: Final = {
    "wall_strength_norm": "Calibrated mean strength of the resting walls",
    "wall_erosion_norm": "Calibrated mean erosion of the walls",
    "vacuum_norm": "Mean vacuum_score of the rows",
}


def band_component_columns(physical: pa.DataType) -> list[Column]:
    """The 24 band components in the physical type of the table that holds them."""
    return [
        score_column(
            f"{direction}_{band}_{measure}",
            f"{_MEASURE_DOCS[measure]} {_BAND_TICKS[band]} ticks {direction} spot; 0 when the band is empty.",
            physical,
        )
        for direction, band, measure in product(DIRECTIONS, BANDS, BAND_MEASURES)
    ]


SPOT_SCORES: Final = (
    score_column(
        "above_score",
        "Weakness of the book in the 5 ticks above spot; 1 = pulled, eroding and thin. No forecast.",
    ),
    score_column(
        "below_score",
        "Weakness of the book in the 5 ticks below spot; 1 = pulled, eroding and thin. No forecast.",
    ),
    score_column("vacuum_total_score", "Mean of above_score and below_score."),
)
TOUCH_SCORES: Final = (
    score_column("above_touch_score", "above_score with distances from the best ask; 0 = no best ask."),
    score_column("below_touch_score", "below_score with distances from the best bid; 0 = no best bid."),
)

PHYSICS_BANDS: Final = Table(
    "silver.future_mbo.physics_bands_1s",
    "One row per snapshot row: strength, erosion and vacuum of four distance bands above and below spot, and "
    "the scores made of them. All 0 without a spot; an empty band reads 0 here, EMPTY in physics_context_1s.",
    (
        WINDOW_START,
        WINDOW_END,
        SPOT,
        MID_PRICE,
        MID_PRICE_INT,
        *band_component_columns(pa.float64()),
        *SPOT_SCORES,
    ),
    key=("window_end_ts_ns",),
    spec="5.5",
)


def _band_contents() -> list[Column]:
    columns = []
    for direction, band in product(DIRECTIONS, BANDS):
        place = f"{_BAND_TICKS[band]} ticks {direction} spot"
        columns.append(
            Column(
                f"{direction}_{band}_level_count",
                pa.int16(),
                f"Price levels with depth {place}; 0 = the band is EMPTY.",
                "levels",
                0,
                _BAND_LEVELS[band],
            )
        )
        columns.append(
            Column(
                f"{direction}_{band}_depth_qty", pa.int32(), f"Lots on the levels {place}.", "contracts", 0
            )
        )
    return columns


PHYSICS_CONTEXT: Final = Table(
    "silver.future_mbo.physics_context_1s",
    "One row per snapshot row: what the bands cannot say, such as how many levels stand behind a band and "
    "the scores seen from the touch, which do not jump with the last trade.",
    (
        WINDOW_START,
        WINDOW_END,
        Column("spot_minus_mid_ticks", pa.float64(), "Spot above the mid price; 0 without a mid.", "ticks"),
        Column(
            "last_trade_age_ns",
            pa.int64(),
            "Age of the last trade at the window's end; -1 = no trade yet.",
            "ns",
            -1,
        ),
        *_band_contents(),
        *TOUCH_SCORES,
    ),
    key=("window_end_ts_ns",),
    spec="5.6",
)

TRADE_EVENT: Final = Table(
    "silver.future_mbo.trade_event",
    "One row per trade record, in file order, with what rested against it.",
    (
        Column("ts_event_ns", pa.int64(), "When the exchange matched the trade.", "ns UTC"),
        Column("ts_recv_ns", pa.int64(), "When the record was received.", "ns UTC"),
        Column("sequence", pa.uint32(), "Packet number on the channel.", "count"),
        Column("trade_idx", pa.int32(), "Position of the trade within the date, from 0.", "index", 0),
        Column("price_int", pa.int64(), "Trade price.", "1e-9 points"),
        Column("qty", pa.int32(), "Lots traded.", "contracts", 0),
        Column(
            "aggressor_side",
            DICT_STRING,
            "B an aggressive buyer, A an aggressive seller, N an auction.",
            "code",
            values=("A", "B", "N"),
        ),
        Column("order_id", pa.uint64(), "The aggressor's order number; 0 in an auction.", "id"),
        Column(
            "resting_fill_count",
            pa.int16(),
            "Fill records of resting orders behind this trade.",
            "records",
            0,
        ),
        Column("resting_fill_qty", pa.int32(), "Lots of those fills.", "contracts", 0),
        Column("sweep_level_count", pa.int16(), "Trade records of the same event.", "records", 0),
        Column("is_auction", pa.bool_(), "The trade is the uncross of an auction (side N)."),
        phase_column("after the trade"),
    ),
    key=("ts_event_ns", "sequence", "trade_idx"),
    spec="5.7",
    # file order is normative; a late record may step back in ts_event, which must not stop the run
    free_order=True,
)

TABLES: Final = (BOOK_SNAPSHOT, WALL, RADAR, VACUUM, PHYSICS_BANDS, PHYSICS_CONTEXT, TRADE_EVENT)
