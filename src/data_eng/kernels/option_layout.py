"""Layout of the option books' arrays: every row is a record with named fields.

`kernels.option_book` holds the loop, `stages.silver.future_option_mbo.option_books` owns the arrays.
"""

from __future__ import annotations

from typing import Final

import numpy as np

APPLY, FINISH = range(2)
DONE, NEED_OUTPUT, NEED_ORDERS, NEED_LEVELS = range(4)
"""what the loop came back for"""

CALL, PUT = 0, 1
OTHER_SHARD: Final = -2
"""index of an option of the chain that another shard keeps: it moves the clock and nothing else"""
FOREIGN: Final = -1
NOT_STARTED: Final = -(2**62)
"""number of the clock's second before its first plain record"""
FIRST_LEVELS: Final = 8
"""levels that each side of each option has room for at first"""
CARRY_S: Final = 60
"""how long the last mid outlives a side of its quote, in windows"""
LARGEST_SIZE: Final = 2**31 - 1
LARGEST_PRICE: Final = 2**62 - 1
"""so that the sum of two prices fits int64"""
EVENT_AHEAD_NS: Final = 1_000_000_000

Q_NO_BOOK, Q_ONE_SIDED, Q_CROSSED, Q_TWO_SIDED = range(4)
"""state of a quote at a window's end; incomplete and empty books are both no book"""

BOOKS: Final = np.dtype(
    [
        (name, "i8")
        for name in (
            "clock",  # second of the running maximum of ts_event
            "first",  # first second at whose end mids are looked at
            "begun",  # a plain record was seen
            "any_snapshot",  # a snapshot record was seen before it
            "day_lo_ns",
            "day_hi_ns",
            "hash_shift",
            "used",  # rows of the order table that are not free, dead ones included
            "live",  # orders
            "pool_used",
            "touched",  # length of the list of options touched in this second
            "next",  # index of the next window to read
            "rows",  # windows in the output
        )
    ],
    align=True,
)

COUNTERS: Final = np.dtype(
    [
        (name, "i8")
        for name in (
            "records",
            "foreign_records",
            "snapshot_records",
            "snapshots",
            "clears",
            "events",
            "unterminated_events",
            "late_records",
            "trades",
            "unknown_cancels",
            "unknown_modifies",
            "oversized_cancels",
            "duplicate_adds",
            "side_changes",
            "snapshot_not_add",
            "bad_prices",
            "bad_sizes",
            "bad_sides",
            "unknown_actions",
        )
    ],
    align=True,
)

OPTION: Final = np.dtype(
    [
        ("snap_ts_recv", "i8"),
        ("event_win", "i8"),
        ("touch_win", "i8"),  # second of the last touch
        ("mid_win", "i8"),  # last second at whose end the quote was two-sided, as known at that touch
        ("mid_sum", "i8"),  # bid + ask then
        ("flow", "i8"),  # bought minus sold by aggressors
        ("bid_off", "i8"),  # where the levels of the side begin in the pool
        ("ask_off", "i8"),
        ("bid_cap", "i4"),
        ("ask_cap", "i4"),
        ("bid_n", "i4"),  # occupied levels
        ("ask_n", "i4"),
        ("orders", "i4"),
        ("generation", "i4"),  # orders of an older one are dead
        ("event_records", "i4"),
        ("seen", "i1"),
        ("in_snapshot", "i1"),
        ("complete", "i1"),
        ("bad_book", "i1"),
        ("await_last", "i1"),
    ],
    align=True,
)

ORDER: Final = np.dtype(
    [
        ("key", "i8"),
        ("price", "i8"),
        ("label", "i4"),  # 2 x option + side; negative: free
        ("qty", "i4"),
        ("generation", "i4"),
        ("unused", "i4"),
    ],
    align=True,
)

LEVEL: Final = np.dtype([("rank", "i8"), ("qty", "i8")], align=True)
"""rank: price of a bid, minus the price of an ask, so that the best of either side is the largest"""

QUOTE: Final = np.dtype(
    [
        ("bid", "i8"),
        ("ask", "i8"),
        ("mid_sum", "i8"),  # of the last two-sided quote, with the second it held in
        ("mid_win", "i8"),
        ("flow", "i8"),
        ("bid_qty", "i4"),
        ("ask_qty", "i4"),
        ("state", "i4"),
        ("unused", "i4"),
    ],
    align=True,
)
"""what a window's end sees of an option; rewritten only for options that were touched"""
