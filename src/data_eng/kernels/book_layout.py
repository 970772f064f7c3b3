"""Layout of the book engine's arrays: what each word of state, order, level and output row means.

The names are plain integers, so that they are constants in compiled code. `kernels.book` holds the loop,
`stages.silver.future_mbo.book_engine` owns the arrays.
"""

from __future__ import annotations

from data_eng.units import DELTA_TICKS

# What a call came back for.
DONE, NEED_OUTPUT, NEED_AXIS, NEED_OVERFLOW, NEED_TABLE, NEED_LISTS = range(6)

BID, ASK = 0, 1
MAX_QTY = 2**31 - 1
PRE_WINDOW = 1
"""window number while none is open: what late records do then counts in the first window"""
ZONE = DELTA_TICKS + 1
N_F, N_U = 25, 24
RADAR_WIDTH = 4 * (N_F + N_U)
EVENT_AHEAD_NS = 1_000_000_000
"""tolerance of ts_event against ts_recv before a record counts as late (4.7)"""

# Order row.
ORDER_WORDS = 8
O_KEY, O_LEVEL, O_QTY, O_ENTER, O_FILL, O_COUNTED = range(6)
# O_LEVEL = 2 * level index + side; O_FILL = quantity filled in the current event.

# Level block. The first eight words are one cache line, and all that most windows read.
LEVEL_WORDS = 16
(
    L_DEPTH,
    L_WIN,
    L_E1,
    L_ADD,
    L_PULL,
    L_PULL_REST,
    L_FILL,
    L_YOUNG,
    L_E2,
    L_E3,
    L_START,
) = range(11)
# L_E1, L_E2, L_E3 = depth one, two, three windows before L_WIN; L_START = depth before a reset in RESET_WIN.

# Scalars of the engine.
(
    INSTRUMENT,
    TICK_INT,
    EMIT_FROM,
    EMIT_TO,
    WITH_WALL,
    BASE_TICK,
    DENSE_LEVELS,
    OVERFLOW_USED,
    GROW_LO,
    GROW_HI,
    BEST_BID,
    BEST_ASK,
    LIVE_ORDERS,
    HASH_SHIFT,
    WIN,
    WIN_START_NS,
    WIN_END_NS,
    HIST_WIN,
    RESET_WIN,
    WIN_BAD,
    DAY_LO_NS,
    DAY_HI_NS,
    IN_SNAPSHOT,
    SNAP_TS_RECV,
    COMPLETE,
    BAD_BOOK,
    AWAIT_LAST,
    EV_RECORDS,
    EV_HAS_TRADE,
    EV_AGGRESSOR,
    EV_FIRST_TRADE,
    LAST_TRADE,
    W_BUY,
    W_SELL,
    W_TRADES,
    W_EVENTS,
    W_CROSSED,
    TRADE_IDX,
    AVAILABLE_NS,
    CAL_STARTED,
    CAL_PHASE,
    IN_PAUSE,
    PAUSE_IDX,
    STATUS_IDX,
    HAS_STATUS,
    STATUS_PHASE,
    N_YOUNG,
    N_RADAR,
    N_FILLED,
    N_UNKNOWN,
    N_TRADES,
    N_SNAP_ROWS,
    N_WALL_ROWS,
    N_RADAR_ROWS,
    RADAR_FIRST,
    SPOT_1,
    SPOT_2,
    SPOT_3,
    SPOT_ROWS,
    NEED_TICK,
) = range(60)
N_STATE = 64

COUNTER_NAMES = (
    "records",
    "foreign_records",
    "snapshot_records",
    "events",
    "snapshots",
    "clears",
    "unknown_cancels",
    "unknown_modifies",
    "unknown_fill_orders",
    "unknown_fill_qty",
    "unmatched_fill_orders",
    "unmatched_fill_qty",
    "duplicate_adds",
    "side_changes",
    "oversized_cancels",
    "negative_depths",
    "crossed_closed",
    "crossed_pre_open",
    "crossed_open",
    "crossed_halt",
    "aggressor_fills",
    "aggressor_fill_qty",
    "hidden_qty_cancel",
    "hidden_qty_modify",
    "identity_violations",
    "snapshot_not_add",
    "unterminated_events",
    "late_records",
    "undef_prices",
    "off_tick_prices",
    "bad_sizes",
    "bad_sides",
    "unknown_actions",
)
"""counters of spec 4.10; the index is the position in the kernel's `cnt`"""
(
    K_RECORDS,
    K_FOREIGN,
    K_SNAPSHOT_RECORDS,
    K_EVENTS,
    K_SNAPSHOTS,
    K_CLEARS,
    K_UNKNOWN_CANCELS,
    K_UNKNOWN_MODIFIES,
    K_UNKNOWN_FILL_ORDERS,
    K_UNKNOWN_FILL_QTY,
    K_UNMATCHED_FILL_ORDERS,
    K_UNMATCHED_FILL_QTY,
    K_DUPLICATE_ADDS,
    K_SIDE_CHANGES,
    K_OVERSIZED_CANCELS,
    K_NEGATIVE_DEPTHS,
    K_CROSSED,
    _K_CROSSED_PRE_OPEN,
    _K_CROSSED_OPEN,
    _K_CROSSED_HALT,
    K_AGGRESSOR_FILLS,
    K_AGGRESSOR_FILL_QTY,
    K_HIDDEN_CANCEL,
    K_HIDDEN_MODIFY,
    K_IDENTITY,
    K_SNAPSHOT_NOT_ADD,
    K_UNTERMINATED,
    K_LATE,
    K_UNDEF_PRICES,
    K_OFF_TICK,
    K_BAD_SIZES,
    K_BAD_SIDES,
    K_UNKNOWN_ACTIONS,
) = range(len(COUNTER_NAMES))

# Rows of output.
(
    SNAP_END_NS,
    SNAP_BID,
    SNAP_BID_QTY,
    SNAP_ASK,
    SNAP_ASK_QTY,
    SNAP_LAST_TRADE,
    SNAP_SPOT,
    SNAP_BOOK_VALID,
    SNAP_WINDOW_VALID,
    SNAP_PHASE,
    SNAP_CROSSED,
    SNAP_EVENTS,
    SNAP_BUY,
    SNAP_SELL,
    SNAP_TRADES,
    SNAP_AVAILABLE_NS,
    SNAP_WALL_ROWS,
) = range(17)
SNAP_WORDS = 17
WALL_INT64 = ("window_end_ts_ns", "price_int", "spot_ref_price_int")
WALL_INT32 = (
    "depth_qty_start",
    "depth_qty_end",
    "add_qty",
    "pull_qty_total",
    "fill_qty",
    "depth_qty_rest",
    "pull_qty_rest",
    "d1_depth_qty",
    "d2_depth_qty",
    "d3_depth_qty",
)
(
    TR_EVENT_NS,
    TR_RECV_NS,
    TR_SEQUENCE,
    TR_IDX,
    TR_PRICE,
    TR_QTY,
    TR_SIDE,
    TR_ORDER_ID,
    TR_FILLS,
    TR_FILL_QTY,
    TR_SWEEP,
    TR_PHASE,
    TR_WIN,
) = range(13)
TRADE_WORDS = 13
(RD_END_NS, RD_SPOT, RD_APPROACH) = range(3)
RADAR_INTS = 3
RADAR_ENTRY_WORDS = 6
R_CODE, R_TICK_0, R_QTY_0, R_TICK_1, R_QTY_1, R_FILL = range(6)
# R_CODE: bit 0 side, bit 1 the order was resting, bit 2 an add.

# Radar scratch: sums of one zone picture, and flow of one side (5.3).
P_TOTAL, P_AT, P_NEAR, P_FAR, P_CENTRE, P_FIRST = range(6)
P_WORDS = 6
W_ADDED, W_GONE, W_GONE_AT, W_GONE_NEAR, W_AWAY, W_TOWARD = range(6)
W_WORDS = 6
