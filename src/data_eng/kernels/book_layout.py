"""Layout of the book engine's arrays: every row is a record with named fields.

`kernels.book` holds the loop, `stages.silver.future_mbo.book_engine` owns the arrays. In compiled code a
field is a constant offset, so names cost nothing.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from data_eng.units import DELTA_TICKS

# What the kernel is called for, and what it came back for.
APPLY, ADVANCE, FINISH = range(3)
DONE, NEED_OUTPUT, NEED_AXIS, NEED_OVERFLOW, NEED_LISTS = range(5)

BID, ASK = 0, 1
MAX_QTY: Final = 2**31 - 1
PRE_WINDOW: Final = 1
"""window number while none is open: what late records do then counts in the first window"""
FOREVER_NS: Final = 2**63 - 1
ZONE: Final = DELTA_TICKS + 1
N_F, N_U = 25, 24
RADAR_WIDTH: Final = 4 * (N_F + N_U)
EVENT_AHEAD_NS: Final = 1_000_000_000
"""a ts_event further ahead of ts_recv than this makes a record late (4.7)"""

ORDER: Final = np.dtype(
    [
        ("key", "i8"),  # the uint64 order id, same bits
        ("enter_ns", "i8"),  # when it took its price
        ("label", "i4"),  # 2 * level + side; < 0 marks a free row
        ("qty", "i4"),
        ("filled", "i4"),  # in the open event, not yet completed
        ("counted", "i4"),  # last window (its low 31 bits) that counted it as young
    ],
    align=True,
)
"""two orders in one cache line"""

LEVEL: Final = np.dtype(
    [
        ("depth", "i8"),
        ("win", "i8"),  # window for which e1..e3 and the flows are true
        ("e1", "i8"),  # depth at the end of the window before `win`
        ("add", "i8"),
        ("pull", "i8"),
        ("pull_rest", "i8"),
        ("filled", "i8"),
        ("young", "i8"),  # quantity that does not rest yet, while a window is written
    ],
    align=True,
)
"""one side of one tick: one cache line, all that most records touch"""

LEVEL_PAST: Final = np.dtype(
    [
        ("e2", "i8"),  # depth at the end of the second window before `win`
        ("e3", "i8"),  # and of the third; both are kept only with walls
        ("start", "i8"),  # depth at the start of `reset_win`
        ("_pad", "i8"),
    ],
    align=True,
)
"""the rest of it, by the same index"""

STATE: Final = np.dtype(
    [
        ("instrument", "i8"),  # records of other instruments are skipped
        ("tick_int", "i8"),
        ("emit_from", "i8"),  # ns; windows that start earlier are not written
        ("emit_to", "i8"),  # ns
        ("with_wall", "i8"),
        ("with_radar", "i8"),
        ("base_tick", "i8"),  # tick of dense level 0
        ("dense_levels", "i8"),
        ("overflow_used", "i8"),  # levels behind the dense axis
        ("grow_lo", "i8"),  # ticks that the dense axis may grow to
        ("grow_hi", "i8"),
        ("best_bid", "i8"),  # dense level, -1 = none
        ("best_ask", "i8"),  # dense level, dense_levels = none
        ("live_orders", "i8"),
        ("hash_shift", "i8"),
        ("win", "i8"),  # window number (ns // WINDOW_NS) or PRE_WINDOW
        ("win_start_ns", "i8"),
        ("win_end_ns", "i8"),
        ("hist_win", "i8"),  # no depth history before this window's end
        ("reset_win", "i8"),  # last window with a reset inside
        ("win_bad", "i8"),  # the window can no longer be valid
        ("day_lo_ns", "i8"),  # UTC day of the last ts_recv
        ("day_hi_ns", "i8"),
        ("in_snapshot", "i8"),
        ("snap_ts_recv", "i8"),
        ("complete", "i8"),  # a full book is known
        ("bad_book", "i8"),
        ("await_last", "i8"),  # R was seen, its event is not over
        ("ev_records", "i8"),  # records of the open event
        ("ev_has_trade", "i8"),
        ("ev_aggressor", "i8"),
        ("ev_first_trade", "i8"),  # row in trd
        ("last_trade", "i8"),
        ("w_buy", "i8"),
        ("w_sell", "i8"),
        ("w_trades", "i8"),
        ("w_events", "i8"),
        ("w_crossed", "i8"),
        ("trade_idx", "i8"),
        ("available_ns", "i8"),
        ("cal_started", "i8"),  # the calendar has seen a clock
        ("cal_phase", "i8"),
        ("in_pause", "i8"),
        ("pause_idx", "i8"),
        ("status_idx", "i8"),
        ("has_status", "i8"),
        ("status_phase", "i8"),
        ("next_phase_ns", "i8"),  # nothing changes the phase before this time
        ("n_young", "i8"),  # used rows of each list
        ("n_radar", "i8"),
        ("n_filled", "i8"),
        ("n_unknown", "i8"),
        ("n_trades", "i8"),
        ("n_snap_rows", "i8"),
        ("n_wall_rows", "i8"),
        ("n_radar_rows", "i8"),
        ("radar_first", "i8"),
        ("spot_1", "i8"),
        ("spot_2", "i8"),
        ("spot_3", "i8"),
        ("spot_rows", "i8"),
        ("need_tick", "i8"),  # price that asked for room
        ("too_large", "i8"),  # a value does not fit int32
    ],
    align=True,
)

COUNTER_NAMES: Final = (
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
"""counters of spec 4.10"""
COUNTERS: Final = np.dtype([(name, "i8") for name in COUNTER_NAMES], align=True)

CHANGE: Final = np.dtype(
    [
        ("tick_0", "i8"),
        ("tick_1", "i8"),
        ("qty_0", "i4"),  # before; 0 = was not there
        ("qty_1", "i4"),  # after
        ("filled", "i4"),
        ("code", "i4"),  # bit 0 side, bit 1 it was resting, bit 2 an add
    ],
    align=True,
)
"""one change of the book, kept until the window's spot is known (5.3)"""
RESTING, IS_ADD = 2, 4

TRADE: Final = np.dtype(
    [
        ("ts_event_ns", "i8"),
        ("ts_recv_ns", "i8"),
        ("trade_idx", "i8"),
        ("price_int", "i8"),
        ("order_id", "u8"),
        ("resting_fill_qty", "i8"),
        ("win", "i8"),
        ("sequence", "u4"),
        ("qty", "i4"),
        ("resting_fill_count", "i4"),
        ("sweep_level_count", "i4"),
        ("side", "i4"),
        ("phase", "i4"),
    ],
    align=True,
)
SNAPSHOT: Final = np.dtype(
    [
        ("window_end_ts_ns", "i8"),
        ("best_bid_price_int", "i8"),
        ("best_bid_qty", "i8"),
        ("best_ask_price_int", "i8"),
        ("best_ask_qty", "i8"),
        ("last_trade_price_int", "i8"),
        ("spot_ref_price_int", "i8"),
        ("crossed_event_count", "i8"),
        ("event_count", "i8"),
        ("buy_qty", "i8"),
        ("sell_qty", "i8"),
        ("trade_count", "i8"),
        ("available_ts_ns", "i8"),
        ("phase", "i4"),
        ("book_valid", "i4"),
    ],
    align=True,
)
RADAR: Final = np.dtype(
    [("window_end_ts_ns", "i8"), ("spot_ref_price_int", "i8"), ("approach", "i8")], align=True
)

WALL_INT64: Final = ("window_end_ts_ns", "price_int", "spot_ref_price_int")
WALL_INT32: Final = (
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
"""order of the rows of the kernel's `wall64` and `wall32`"""

# Radar scratch: sums of one zone picture, and flow of one side (5.3).
P_TOTAL, P_AT, P_NEAR, P_FAR, P_CENTRE, P_FIRST = range(6)
P_WORDS: Final = 6
W_ADDED, W_GONE, W_GONE_AT, W_GONE_NEAR, W_AWAY, W_TOWARD = range(6)
W_WORDS: Final = 6
