"""Books of all options of a chain in one pass: integers in arrays in, quotes per second out (spec 7.2).

Laws. 1 Add, Cancel, Modify and cleaR change the book of one option; Trade and Fill never do. Snapshots,
clears
        and events are each option's own; there is one clock for all, the running maximum of ts_event.
      2 A window is read before the first record that moves the clock to its end.
      3 What is open in the rules is settled in decision 0003, not here.
      4 Nothing here asks for the time or does I/O.

Data structures.
  orders  one open-addressing table for the chain, keyed by (order id, option), multiplicative hash, linear
          probing, backward-shift deletion. A clear raises the option's generation: its orders are dead where
          they lie and are dropped when the table is next copied, so a clear costs nothing.
  levels  per option and side a sorted list of occupied prices in one pool, the best last. Option books are
          a few levels deep and change near the touch: finding and moving touches one or two cache lines,
          where a dense ladder of thousands of nickels would miss the cache and a window of it would need an
          overflow. Any price has a place, so no tick is needed (theirs is undefined). A full list moves to
          a room twice as large at the pool's end.
  quotes  what a window's end sees, rewritten only for the options touched in that second.

A record is applied as a whole or not at all: whatever may run out is checked before the first change, the
caller makes room and calls again with the same record. That is why any cut of the stream gives the same
result.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba as nb
import numpy as np

from data_eng.dbn_codes import (
    ACTION_ADD,
    ACTION_CANCEL,
    ACTION_CLEAR,
    ACTION_FILL,
    ACTION_MODIFY,
    ACTION_NONE,
    ACTION_TRADE,
    F_LAST,
    F_MAYBE_BAD_BOOK,
    F_SNAPSHOT,
    SIDE_ASK,
    SIDE_BID,
)
from data_eng.kernels.jit import njit
from data_eng.kernels.option_layout import (
    BOOKS,
    CARRY_S,
    COUNTERS,
    DONE,
    EVENT_AHEAD_NS,
    FINISH,
    FOREIGN,
    LARGEST_PRICE,
    LARGEST_SIZE,
    LEVEL,
    NEED_LEVELS,
    NEED_ORDERS,
    NEED_OUTPUT,
    NOT_STARTED,
    OPTION,
    ORDER,
    Q_CROSSED,
    Q_NO_BOOK,
    Q_ONE_SIDED,
    Q_TWO_SIDED,
    QUOTE,
)
from data_eng.kernels.prefetch import prefetch_row
from data_eng.units import DAY_NS, HOUR_NS, WINDOW_NS

_ID_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_OPTION_MULTIPLIER = np.uint64(0xC2B2AE3D27D4EB4F)
_u = np.uint64
"""an unsigned index needs no test for a negative one"""
_LINEAR_STEPS = 12
BID, ASK = 0, 1


# ------------------------------------------------------------------------------------- order table
@njit(forceinline=True)
def _slot_of(key, option, shift):
    return np.int64(
        (np.uint64(key) * _ID_MULTIPLIER + np.uint64(option) * _OPTION_MULTIPLIER) >> np.uint64(shift)
    )


@njit(forceinline=True)
def _find(tab, key, option, generation, shift):
    """Row of the living order, or ~row of the free row where it would go."""
    mask = tab.shape[0] - 1
    j = _slot_of(key, option, shift)
    while tab[_u(j)].label >= 0:
        if tab[_u(j)].key == key and tab[_u(j)].label >> 1 == option and tab[_u(j)].generation == generation:
            return j
        j = (j + 1) & mask
    return ~j


@njit(forceinline=True)
def _delete(tab, i, shift):
    """Free row i; later rows of the probe run move up, so that no tombstone is ever left."""
    mask = tab.shape[0] - 1
    j = i
    while True:
        j = (j + 1) & mask
        if tab[_u(j)].label < 0:
            break
        home = _slot_of(tab[_u(j)].key, tab[_u(j)].label >> 1, shift)
        if ((j - home) & mask) >= ((j - i) & mask):
            tab[i] = tab[j]
            i = j
    tab[_u(i)].label = -1


# ------------------------------------------------------------------------------------------ levels
@njit(forceinline=True)
def _level_at(lev, off, n, rank):
    """Place of the first level of the list lev[off:off+n] whose rank is not below `rank`, counted from
    off."""
    j = n
    steps = 0
    while j > 0 and lev[_u(off + j - 1)].rank >= rank:
        j -= 1
        steps += 1
        if steps == _LINEAR_STEPS:
            lo = np.int64(0)
            while lo < j:
                middle = (lo + j) >> 1
                if lev[_u(off + middle)].rank >= rank:
                    j = middle
                else:
                    lo = middle + 1
            return j
    return j


@njit()
def _change_level(opt, lev, i, side, price, change):
    """Add `change` contracts at a price; a level appears with its first and goes with its last one."""
    if change == 0:
        return
    rank = price if side == BID else -price
    # both sides are loaded and one is chosen: which one cannot be guessed, and a wrong guess costs more
    bid_off, ask_off = np.int64(opt[_u(i)].bid_off), np.int64(opt[_u(i)].ask_off)
    bid_n, ask_n = np.int64(opt[_u(i)].bid_n), np.int64(opt[_u(i)].ask_n)
    off = bid_off if side == BID else ask_off
    n = bid_n if side == BID else ask_n
    j = _level_at(lev, off, n, rank)
    if j < n and lev[_u(off + j)].rank == rank:
        qty = lev[_u(off + j)].qty + change
        lev[_u(off + j)].qty = qty
        if qty > 0:
            return
        for above in range(off + j, off + n - 1):
            lev[_u(above)].rank = lev[_u(above + 1)].rank
            lev[_u(above)].qty = lev[_u(above + 1)].qty
        grown = np.int64(-1)
    else:
        k = off + n
        while k > off + j:
            lev[_u(k)].rank = lev[_u(k - 1)].rank
            lev[_u(k)].qty = lev[_u(k - 1)].qty
            k -= 1
        lev[_u(k)].rank = rank
        lev[_u(k)].qty = change
        grown = np.int64(1)
    opt[_u(i)].bid_n = bid_n + (grown if side == BID else 0)
    opt[_u(i)].ask_n = ask_n + (0 if side == BID else grown)


@njit()
def _doubles_room(st, opt, lev, i, side):
    """Twice the room for a side whose list is full, at the pool's end; False when the pool is too short."""
    off = np.int64(opt[i].bid_off) if side == BID else np.int64(opt[i].ask_off)
    n = np.int64(opt[i].bid_n) if side == BID else np.int64(opt[i].ask_n)
    room = np.int64(opt[i].bid_room) if side == BID else np.int64(opt[i].ask_room)
    cap = np.int64(1) << room
    start = st.pool_used
    if start + 2 * cap > lev.shape[0]:
        return False
    for k in range(n):
        lev[start + k].rank = lev[off + k].rank
        lev[start + k].qty = lev[off + k].qty
    st.pool_used = start + 2 * cap
    if side == BID:
        opt[i].bid_off = start
        opt[i].bid_room = room + 1
    else:
        opt[i].ask_off = start
        opt[i].ask_room = room + 1
    return True


# ----------------------------------------------------------------------------------------- windows
@njit(forceinline=True)
def _state(opt, lev, i):
    """One of Q_NO_BOOK, Q_ONE_SIDED, Q_CROSSED, Q_TWO_SIDED of the book as it stands."""
    nb_, na = np.int64(opt[_u(i)].bid_n), np.int64(opt[_u(i)].ask_n)
    if opt[_u(i)].complete == 0 or opt[_u(i)].in_snapshot == 1 or (nb_ == 0 and na == 0):
        return Q_NO_BOOK
    if nb_ == 0 or na == 0:
        return Q_ONE_SIDED
    bid = lev[_u(opt[_u(i)].bid_off + nb_ - 1)].rank
    ask = -lev[_u(opt[_u(i)].ask_off + na - 1)].rank
    return Q_TWO_SIDED if bid < ask else Q_CROSSED


@njit(forceinline=True)
def _touch(st, cnt, opt, lev, touched, i):
    """Before the first record of an option in a second: keep the mid that held until then, cut its event."""
    if opt[_u(i)].touch_win == st.clock:
        return
    if opt[_u(i)].touch_win != NOT_STARTED:
        _end_event(cnt, opt, i)
    if st.clock != NOT_STARTED and st.clock > st.first and _state(opt, lev, i) == Q_TWO_SIDED:
        bid = lev[_u(opt[_u(i)].bid_off + opt[_u(i)].bid_n - 1)].rank
        ask = -lev[_u(opt[_u(i)].ask_off + opt[_u(i)].ask_n - 1)].rank
        opt[_u(i)].mid_win = st.clock - 1
        opt[_u(i)].mid_sum = bid + ask
    opt[_u(i)].touch_win = st.clock
    touched[st.touched] = i
    st.touched += 1


@njit()
def _publish(opt, lev, quote, i):
    """Write what a window's end sees of an option."""
    state = _state(opt, lev, i)
    n_bid, n_ask = np.int64(opt[i].bid_n), np.int64(opt[i].ask_n)
    whole = opt[i].complete == 1 and opt[i].in_snapshot == 0
    quote[i].bid = 0
    quote[i].bid_qty = 0
    quote[i].ask = 0
    quote[i].ask_qty = 0
    if whole and n_bid > 0:
        quote[i].bid = lev[opt[i].bid_off + n_bid - 1].rank
        quote[i].bid_qty = min(lev[opt[i].bid_off + n_bid - 1].qty, np.int64(LARGEST_SIZE))
    if whole and n_ask > 0:
        quote[i].ask = -lev[opt[i].ask_off + n_ask - 1].rank
        quote[i].ask_qty = min(lev[opt[i].ask_off + n_ask - 1].qty, np.int64(LARGEST_SIZE))
    quote[i].state = state
    # a complete book without any order may still carry a mid, an incomplete one may not
    if state == Q_ONE_SIDED or (state == Q_NO_BOOK and whole):
        quote[i].mid_sum = opt[i].mid_sum
        quote[i].mid_win = opt[i].mid_win
    else:
        quote[i].mid_sum = 0
        quote[i].mid_win = NOT_STARTED
    quote[i].flow = opt[i].flow


@njit()
def _read_window(e, window):
    """Copy the quotes to the next row of the output, with the mid each has at the end of `window`."""
    st, quote, row = e.st[0], e.quote, e.st[0].rows
    for i in range(quote.shape[0]):
        bid, ask, state = quote[_u(i)].bid, quote[_u(i)].ask, quote[_u(i)].state
        mid_sum = np.int64(0)
        age = np.int64(0)
        if state == Q_TWO_SIDED:
            mid_sum = bid + ask
        elif quote[_u(i)].mid_sum > 0 and window - quote[_u(i)].mid_win <= CARRY_S:
            mid_sum = quote[_u(i)].mid_sum
            age = window - quote[_u(i)].mid_win
        e.out_bid[row, i] = bid
        e.out_ask[row, i] = ask
        e.out_bid_qty[row, i] = quote[_u(i)].bid_qty
        e.out_ask_qty[row, i] = quote[_u(i)].ask_qty
        e.out_mid_sum[row, i] = mid_sum
        e.out_age[row, i] = age
        e.out_state[row, i] = state
        e.out_flow[row, i] = quote[_u(i)].flow
    st.rows = row + 1
    st.next += 1


@njit()
def _read_before(e, start_ns):
    """Read every window that ends at or before start_ns. False: no room for output, call again."""
    st = e.st[0]
    if st.touched > 0:
        for k in range(st.touched):
            _publish(e.opt, e.lev, e.quote, e.touched[k])
        st.touched = 0
    while st.next < e.ends.shape[0] and e.ends[st.next] <= start_ns:
        if st.rows == e.out_state.shape[0]:
            return False
        _read_window(e, e.ends[st.next] // WINDOW_NS - 1)
    return True


@njit()
def _move_clock(e, second):
    """Start the clock, or move it on. False: no room for output, call again."""
    st = e.st[0]
    if not _read_before(e, second * WINDOW_NS):
        return False
    if st.clock == NOT_STARTED:
        st.first = second
        if e.ends.shape[0] > 0:
            st.first = min(second, e.ends[0] // WINDOW_NS - 1)
    st.clock = second
    return True


@njit()
def _begin(e):
    """The first plain record of the chain: initial snapshots are over, and what they do not list is empty."""
    st, opt = e.st[0], e.opt
    st.begun = 1
    for i in range(opt.shape[0]):
        if opt[i].in_snapshot == 1:
            opt[i].in_snapshot = 0
            opt[i].complete = 0 if opt[i].bad_book else 1
        elif opt[i].seen == 0 and st.any_snapshot == 1:
            opt[i].complete = 1
        _publish(opt, e.lev, e.quote, i)


# ----------------------------------------------------------------------------------------- records
@njit(forceinline=True)
def _clear(st, opt, i):
    opt[_u(i)].generation += 1
    opt[_u(i)].bid_n = 0
    opt[_u(i)].ask_n = 0
    st.live -= opt[_u(i)].orders
    opt[_u(i)].orders = 0


@njit(forceinline=True)
def _end_event(cnt, opt, i):
    """Close an event that nothing ended; does nothing when none is open."""
    if opt[_u(i)].in_event == 1:
        opt[_u(i)].in_event = 0
        cnt.unterminated_events += 1
        cnt.events += 1


@njit()
def _put(st, cnt, tab, opt, lev, i, j, key, side, price, qty):
    """A new order, or a known one (row j) that is replaced."""
    if j >= 0:
        _change_level(opt, lev, i, tab[_u(j)].label & 1, tab[_u(j)].price, -np.int64(tab[_u(j)].qty))
    else:
        j = ~j
        tab[_u(j)].key = key
        tab[_u(j)].generation = opt[_u(i)].generation
        st.used += 1
        st.live += 1
        opt[_u(i)].orders += 1
    tab[_u(j)].label = 2 * i + side
    tab[_u(j)].price = price
    tab[_u(j)].qty = qty
    _change_level(opt, lev, i, side, price, qty)


@njit(forceinline=True)
def _is_price(price):
    return 0 < price <= LARGEST_PRICE


@njit()
def _refused(cnt, price, size):
    """Count the first reason why an A or M cannot be applied."""
    if not _is_price(price):
        cnt.bad_prices += 1
    elif size > LARGEST_SIZE:
        cnt.bad_sizes += 1
    else:
        cnt.bad_sides += 1


@njit()
def _snapshot_record(st, cnt, tab, opt, lev, snap_recv, i, flags, action, side, key, price, size, ts_recv):
    """A record with F_SNAPSHOT of an option of this shard (4.3)."""
    cnt.snapshot_records += 1
    if opt[i].in_snapshot == 0 or action == ACTION_CLEAR or ts_recv != snap_recv[i]:
        _end_event(cnt, opt, i)
        cnt.snapshots += 1
        _clear(st, opt, i)
        opt[i].in_snapshot = 1
        snap_recv[i] = ts_recv
        opt[i].complete = 0
        opt[i].bad_book = 0
        opt[i].await_last = 0
    if action == ACTION_ADD:
        if not _is_price(price) or size > LARGEST_SIZE or (side != SIDE_ASK and side != SIDE_BID):
            _refused(cnt, price, size)
        else:
            j = _find(tab, key, i, opt[i].generation, st.hash_shift)
            if j >= 0:
                cnt.duplicate_adds += 1
            _put(st, cnt, tab, opt, lev, i, j, key, ASK if side == SIDE_ASK else BID, price, size)
    elif action != ACTION_CLEAR:
        cnt.snapshot_not_add += 1
    if flags & F_MAYBE_BAD_BOOK:
        opt[i].bad_book = 1
    if flags & F_LAST:
        opt[i].in_snapshot = 0
        opt[i].complete = 0 if opt[i].bad_book else 1


@njit(forceinline=True)
def _enter(st, cnt, tab, opt, lev, i, action, side, key, price, size):
    """A or M outside a snapshot (4.5)."""
    j = _find(tab, key, i, opt[_u(i)].generation, st.hash_shift)
    two_sided = side in (SIDE_ASK, SIDE_BID)
    known = action == ACTION_MODIFY and j >= 0
    if not _is_price(price) or size > LARGEST_SIZE or not (two_sided or known):
        _refused(cnt, price, size)
        return
    if known:
        own = tab[_u(j)].label & 1
        if not two_sided or (side == SIDE_ASK) != (own == ASK):
            cnt.side_changes += 1
        qty = np.int64(tab[_u(j)].qty)
        if tab[_u(j)].price == price:
            _change_level(opt, lev, i, own, price, size - qty)
        else:
            _change_level(opt, lev, i, own, tab[_u(j)].price, -qty)
            _change_level(opt, lev, i, own, price, size)
            tab[_u(j)].price = price
        tab[_u(j)].qty = size
        return
    if action == ACTION_MODIFY:
        cnt.unknown_modifies += 1
    elif j >= 0:
        cnt.duplicate_adds += 1
    _put(st, cnt, tab, opt, lev, i, j, key, ASK if side == SIDE_ASK else BID, price, size)


@njit(forceinline=True)
def _leave(st, cnt, tab, opt, lev, i, key, size):
    """C (4.5)."""
    if size > LARGEST_SIZE:
        cnt.bad_sizes += 1
        return
    j = _find(tab, key, i, opt[_u(i)].generation, st.hash_shift)
    if j < 0:
        cnt.unknown_cancels += 1
        return
    qty = np.int64(tab[_u(j)].qty)
    gone = size
    if gone > qty:
        cnt.oversized_cancels += 1
        gone = qty
    _change_level(opt, lev, i, tab[_u(j)].label & 1, tab[_u(j)].price, -gone)
    if gone == qty:
        _delete(tab, j, st.hash_shift)
        st.used -= 1
        st.live -= 1
        opt[_u(i)].orders -= 1
    else:
        tab[_u(j)].qty = qty - gone


@njit(forceinline=True)
def _plain_record(st, cnt, tab, opt, lev, i, flags, action, side, key, price, size):
    """A record without F_SNAPSHOT of an option of this shard, after the clock moved (4.5)."""
    if opt[_u(i)].in_snapshot == 1:
        opt[_u(i)].in_snapshot = 0
        opt[_u(i)].complete = 0 if opt[_u(i)].bad_book else 1
    opt[_u(i)].in_event = 1
    if action in (ACTION_ADD, ACTION_MODIFY):
        _enter(st, cnt, tab, opt, lev, i, action, side, key, price, size)
    elif action == ACTION_CANCEL:
        _leave(st, cnt, tab, opt, lev, i, key, size)
    elif action == ACTION_TRADE:
        cnt.trades += 1
        if size > LARGEST_SIZE:
            cnt.bad_sizes += 1
        elif side == SIDE_BID:
            opt[_u(i)].flow += size
        elif side == SIDE_ASK:
            opt[_u(i)].flow -= size
    elif action == ACTION_CLEAR:
        cnt.clears += 1
        _clear(st, opt, i)
        opt[_u(i)].complete = 0
        opt[_u(i)].bad_book = 0
        opt[_u(i)].await_last = 1
    elif action != ACTION_FILL and action != ACTION_NONE:
        cnt.unknown_actions += 1
    if flags & F_MAYBE_BAD_BOOK:
        opt[_u(i)].complete = 0
        opt[_u(i)].bad_book = 1
    if flags & F_LAST:
        cnt.events += 1
        opt[_u(i)].in_event = 0
        if opt[_u(i)].await_last == 1:
            opt[_u(i)].await_last = 0
            if opt[_u(i)].bad_book == 0:
                opt[_u(i)].complete = 1


@njit(lambda: nb.int64(_rows(ORDER), _rows(ORDER), _rows(OPTION), nb.int64))
def rehash(old, new, opt, shift):
    """Copy the living orders of `old` to the empty table `new`; returns how many there are."""
    live = 0
    for i in range(old.shape[0]):
        label = old[i].label
        if label >= 0 and old[i].generation == opt[label >> 1].generation:
            j = ~_find(new, old[i].key, label >> 1, old[i].generation, shift)
            new[j] = old[i]
            live += 1
    return live


@njit(forceinline=True)
def _option_of(ids, index, instrument):
    """Index of an instrument: that of its books, OTHER_SHARD, or FOREIGN."""
    mask = ids.shape[0] - 1
    j = np.int64(instrument) * 2_654_435_761 >> 8 & mask
    while index[_u(j)] != FOREIGN:
        if ids[_u(j)] == instrument:
            return np.int64(index[_u(j)])
        j = (j + 1) & mask
    return np.int64(FOREIGN)


@njit(
    lambda: nb.void(
        _array(nb.uint32, 1),
        _array(nb.int32, 1),
        _array(nb.uint32, 1, readonly=True),
        _array(nb.int32, 1, readonly=True),
    )
)
def fill_index(ids, index, instruments, values):
    """Enter instruments uint32[n] with their values int32[n] into the table that `drive` looks them up in."""
    mask = ids.shape[0] - 1
    for k in range(instruments.shape[0]):
        j = np.int64(instruments[k]) * 2_654_435_761 >> 8 & mask
        while index[j] != FOREIGN:
            j = (j + 1) & mask
        ids[j] = instruments[k]
        index[j] = values[k]


class BookArrays(NamedTuple):
    """Everything the loop reads and writes, by name; the driver owns and replaces the arrays."""

    st: Any
    cnt: Any
    opt: Any
    tab: Any
    lev: Any
    snap_recv: Any
    quote: Any
    touched: Any
    ids: Any
    index: Any
    ahead: Any
    ends: Any
    out_bid: Any
    out_ask: Any
    out_mid_sum: Any
    out_flow: Any
    out_bid_qty: Any
    out_ask_qty: Any
    out_age: Any
    out_state: Any


def _array(kind, ndim, layout="C", readonly=False):
    return nb.types.Array(kind, ndim, layout, readonly=readonly)


def _rows(dtype):
    return _array(nb.from_dtype(dtype), 1)


_I8 = nb.types.int64
_BOOKS = nb.types.NamedTuple(
    (
        _rows(BOOKS),
        _rows(COUNTERS),
        _rows(OPTION),
        _rows(ORDER),
        _rows(LEVEL),
        _array(_I8, 1),  # snap_recv
        _rows(QUOTE),
        _array(nb.types.int32, 1),  # touched
        _array(nb.types.uint32, 1),  # ids
        _array(nb.types.int32, 1),  # index
        _array(nb.types.int32, 1),  # ahead
        _array(_I8, 1),  # ends
        _array(_I8, 2),  # out_bid
        _array(_I8, 2),  # out_ask
        _array(_I8, 2),  # out_mid_sum
        _array(_I8, 2),  # out_flow
        _array(nb.types.int32, 2),  # out_bid_qty
        _array(nb.types.int32, 2),  # out_ask_qty
        _array(nb.types.int8, 2),  # out_age
        _array(nb.types.int8, 2),  # out_state
    ),
    BookArrays,
)
# Record fields may have any stride and may be read-only, as in the futures engine.
_RECORDS = (
    _array(_I8, 1, "A", readonly=True),  # ts_event
    _array(_I8, 1, "A", readonly=True),  # ts_recv
    _array(_I8, 1, "A", readonly=True),  # order_id
    _array(_I8, 1, "A", readonly=True),  # price
    _array(nb.types.uint32, 1, "A", readonly=True),  # size
    _array(nb.types.uint8, 1, "A", readonly=True),  # flags
    _array(nb.types.uint8, 1, "A", readonly=True),  # action
    _array(nb.types.uint8, 1, "A", readonly=True),  # side
    _array(nb.types.uint32, 1, "A", readonly=True),  # instrument_id
)


@njit()
def _look_ahead(e, order_id, instrument_id, i, stop):
    """Find the options of records i:stop for `ahead`, and ask for the rows that the records will need."""
    opt = e.opt
    for k in range(i, stop):
        o = _option_of(e.ids, e.index, instrument_id[_u(k)])
        e.ahead[_u(k - i)] = o
        if o >= 0:
            prefetch_row(opt, o)
            prefetch_row(e.tab, _slot_of(order_id[_u(k)], o, e.st[0].hash_shift))
    for k in range(stop - i):
        o = np.int64(e.ahead[_u(k)])
        if o >= 0:
            prefetch_row(e.lev, np.int64(opt[_u(o)].bid_off + opt[_u(o)].bid_n - 1))
            prefetch_row(e.lev, np.int64(opt[_u(o)].ask_off + opt[_u(o)].ask_n - 1))


@njit()
def _finish(e):
    """End of the input: read every window that is left."""
    st = e.st[0]
    if st.begun == 0:
        _begin(e)
    n = e.ends.shape[0]
    if n > 0 and not _read_before(e, e.ends[n - 1]):
        return np.int64(NEED_OUTPUT)
    for i in range(e.opt.shape[0]):
        _end_event(e.cnt[0], e.opt, i)
    return np.int64(DONE)


@njit(nb.types.UniTuple(_I8, 2)(_BOOKS, *_RECORDS, _I8, _I8), nogil=True)
def drive(e, ts_event, ts_recv, order_id, price, size, flags, action, side, instrument_id, i, command):
    """The one way into the loop -> (index of the first record not applied, DONE or what is needed).

    APPLY: apply records from index i on. FINISH: end of the input.
    """
    if command == FINISH:
        return i, _finish(e)
    st, cnt, opt, lev = e.st[0], e.cnt[0], e.opt, e.lev
    n = np.int64(len(ts_event))
    first = stop = i
    while i < n:
        if i == stop:
            first, stop = i, min(i + e.ahead.shape[0], n)
            _look_ahead(e, order_id, instrument_id, first, stop)
        o = np.int64(e.ahead[_u(i - first)])
        if o == FOREIGN:
            cnt.foreign_records += 1
            i += 1
            continue
        act = np.int64(action[_u(i)])
        flag = np.int64(flags[_u(i)])
        received = ts_recv[_u(i)]
        if o >= 0 and act in (ACTION_ADD, ACTION_MODIFY):
            if 3 * (st.used + 1) > 2 * e.tab.shape[0]:
                return i, np.int64(NEED_ORDERS)
            if opt[_u(o)].bid_n >> opt[_u(o)].bid_room and not _doubles_room(st, opt, lev, o, BID):
                return i, np.int64(NEED_LEVELS)
            if opt[_u(o)].ask_n >> opt[_u(o)].ask_room and not _doubles_room(st, opt, lev, o, ASK):
                return i, np.int64(NEED_LEVELS)
        late = False
        if flag & F_SNAPSHOT:
            if st.begun == 0:
                st.any_snapshot = 1
            moves = st.clock != NOT_STARTED and received >= (st.clock + 1) * WINDOW_NS
            if moves and not _move_clock(e, received // WINDOW_NS):
                return i, np.int64(NEED_OUTPUT)
        else:
            if st.begun == 0:
                _begin(e)
            ts = ts_event[_u(i)]
            if received < st.day_lo_ns or received >= st.day_hi_ns:
                st.day_lo_ns = received // DAY_NS * DAY_NS
                st.day_hi_ns = st.day_lo_ns + DAY_NS
            late = (
                ts > received + EVENT_AHEAD_NS or ts < st.day_lo_ns - HOUR_NS or ts >= st.day_hi_ns + HOUR_NS
            )
            if not late:
                if st.clock == NOT_STARTED or ts >= (st.clock + 1) * WINDOW_NS:
                    if not _move_clock(e, ts // WINDOW_NS):
                        return i, np.int64(NEED_OUTPUT)
                elif ts < st.clock * WINDOW_NS:
                    late = True
        if o >= 0:
            cnt.records += 1
            if late:
                cnt.late_records += 1
            _touch(st, cnt, opt, lev, e.touched, o)
            opt[_u(o)].seen = 1
            key, lots = order_id[_u(i)], np.int64(size[_u(i)])
            if flag & F_SNAPSHOT:
                _snapshot_record(
                    st,
                    cnt,
                    e.tab,
                    opt,
                    lev,
                    e.snap_recv,
                    o,
                    flag,
                    act,
                    np.int64(side[_u(i)]),
                    key,
                    price[_u(i)],
                    lots,
                    received,
                )
            else:
                _plain_record(
                    st, cnt, e.tab, opt, lev, o, flag, act, np.int64(side[_u(i)]), key, price[_u(i)], lots
                )
        i += 1
    return i, np.int64(DONE)
