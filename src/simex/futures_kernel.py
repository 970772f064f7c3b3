"""The exchange of one future: a first-in-first-out matching engine and the agents that trade on it.

Laws.
  1 One instruction in, one event out (exchange.md C2). All records of an event carry one ts_event, and no
    two events share one. Trades and fills come first, the changes of the book after them, F_LAST last.
  2 The engine knows why each lot leaves: cancelled, traded, moved. It books that at once in the level's
    counters. The truth files are these counters; nothing is ever read back from the records.
  3 Integers only. Random numbers are 32-bit words that the driver draws from numpy's PCG64, one stream per
    class of agent; every law is a quantile table made with correctly rounded arithmetic (`laws.py`). So the
    same seed gives the same bytes on every machine.
  4 The flow is a Hawkes process in its cluster form: each flow event begets a geometric number of children
    after exponential delays. Children and cancel times wait in a calendar queue of two levels
    (2^14 ns buckets inside a block of 2^30 ns; one list per later block).

Everything that calls each other lives in this file: numba does not notice a change in an imported kernel.
Side 0 is the bid, 1 the ask. `tick` counts from the bottom of a ladder of LADDER_TICKS levels.
Arrays (all int64): G scalars, U orders [slot, field], L levels [side * LADDER_TICKS + tick, field], K levels
touched in this second, E records as seven words of 8 bytes, X log of orders and plants, EV orders hit in this
event, D random words [class, n], T quantile tables, P thresholds, R rates per second, S script of the plants,
H heads and bitmap of the calendar queue, Q its items, B pools of movable orders, TL and TW truth per
second (levels, window), MP microprice each quarter second.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final

from numba import types

import kernel_compiler

_VECTORS: Final = frozenset({"G", "K", "P", "H", "MP"})
_BOOLEANS: Final = frozenset({"own_leg", "rests"})


def _types(function: Callable[..., Any]) -> tuple[Any, ...]:
    """Argument types by name: one capital means an int64 array, anything else an int64.

    Fixed types matter: left alone, numba compiles a copy of every helper for each constant that is passed
    to it (measured: 30 s of compilation instead of 8).
    """
    out: list[Any] = []
    for name in inspect.signature(function).parameters:
        if name.isupper() or name == "orders":
            out.append(types.int64[::1] if name in _VECTORS else types.int64[:, ::1])
        else:
            out.append(types.boolean if name in _BOOLEANS else types.int64)
    return tuple(out)


def _helper(function: Callable[..., Any]) -> Any:
    """A kernel that only other kernels call."""
    return kernel_compiler.helper(_types(function), nogil=True)(function)


def _entry(function: Callable[..., Any]) -> Any:
    """A kernel that the driver calls."""
    return kernel_compiler.entry(_types(function), nogil=True)(function)


LADDER_TICKS: Final = 8192
SECOND_NS: Final = 1_000_000_000
QUARTER_NS: Final = 250_000_000
NO_BID: Final = -1
NO_ASK: Final = LADDER_TICKS

# --- G: scalars -------------------------------------------------------------------------------------
(
    G_NOW,
    G_RECV,
    G_SEQ,
    G_DELTA,
    G_BACKLOG,
    G_N,
    G_EVENT_NO,
    G_N_EV,
    G_BID,
    G_ASK,
    G_TICK0,
    G_TICK_INT,
    G_W0,
    G_CHANNEL,
    G_NEXT_ID,
    G_FREE,
    G_N_FREE,
    G_HIGH,
    G_PHASE,
    G_WINDOW,
    G_N_TOUCHED,
    G_N_LOG,
    G_N_TL,
    G_N_TW,
    G_N_MP,
    G_NEXT_ROLL,
    G_LAST_TRADE,
    G_BUY,
    G_SELL,
    G_NONE,
    G_TRADES,
    G_EVENTS,
    G_CROSSED,
    G_T_IMMIGRANT,
    G_SCRIPT,
    G_ORIGIN,
    G_BLOCK,
    G_BUCKET,
    G_ITEM_FREE,
    G_N_ITEM_FREE,
    G_PREV,
    G_BLOCKS,
    G_SIGN,
    G_KAPPA,
    G_SUM_TARGET,
    G_SUM_ACTUAL,
    G_SECOND_N,
    G_FORCE_RECV,
    G_NEXT_OWNER,
    G_HOLD_BID,
    G_HOLD_ASK,
    G_HOLD_D,
    G_N_STOP,
    G_PACKETS,
    G_T_BEGIN,
    G_LOGGING,
    G_N_SILENT,
    G_POOL_NEAR,
    G_POOL_FAR,
    G_N_T,
    G_N_F,
    G_LAST_EVENT,
) = range(62)
G_SILENT: Final = 64  # four pairs (start, end)
G_STOPS: Final = 72  # up to 64 indices into the script
G_DRAW: Final = 136  # next word per class
G_SIZE: Final = 152

# --- U: orders ----------------------------------------------------------------------------------------
(
    O_ID,
    O_SIDE,
    O_TICK,
    O_QTY,
    O_HIDDEN,
    O_PEAK,
    O_OWNER,
    O_NEXT,
    O_PREV,
    O_PUBLISHED,
    O_T_PRIORITY,
    O_SEQ,
    O_GEN,
    O_POOL,
    O_PLANT,
    O_EVENT,
) = range(16)
O_FIELDS: Final = 16

# --- L: levels ----------------------------------------------------------------------------------------
L_HEAD, L_TAIL, L_QTY, L_COUNT, L_ADDED, L_PULLED, L_FILLED, L_IN, L_OUT, L_MARK = range(10)
L_FIELDS: Final = 10

# --- S: script ----------------------------------------------------------------------------------------
S_TIME, S_OP, S_PLANT, S_SIDE, S_DIST, S_QTY, S_N, S_ARG, S_TICK, S_TRIES = range(10)
S_FIELDS: Final = 10
(
    OP_ADD,
    OP_CANCEL,
    OP_ERODE,
    OP_RELOCATE,
    OP_FILL,
    OP_VACUUM,
    OP_FLASH,
    OP_ICEBERG,
    OP_SWEEP,
    OP_STOP,
    OP_AGGRESSIVE_MODIFY,
    OP_SELF_MATCH,
    OP_PHASE,
    OP_AUCTION,
    OP_TOP_UP,
    OP_BOUNDARY_TRADE,
    OP_ADD_AT,
) = range(17)

# --- random classes, tables, thresholds, items --------------------------------------------------------
C_ADD, C_CANCEL, C_MARKET, C_MOVE, C_CHILD, C_FEED, C_ARRIVAL, C_PLANT = range(8)
CLASSES: Final = 8
(
    T_EXP,
    T_LN18,
    T_LN16,
    T_LATENCY,
    T_ADD_SIZE,
    T_TRADE_SIZE,
    T_TAIL,
    T_DELTA,
    T_GAP,
    T_REACTION,
) = range(10)
TABLE_CELLS: Final = 1024
(
    P_KIND_A,
    P_KIND_M,
    P_KIND_T,
    P_GEO_A,
    P_GEO_M,
    P_GEO_T,
    P_GEO_C,
    P_CHILD_A_ADD,
    P_CHILD_A_MOVE,
    P_CHILD_A_TRADE,
    P_CHILD_T_ADD,
    P_CHILD_T_MOVE,
    P_CHILD_T_TRADE,
    P_FAST,
    P_MIDDLE,
    P_TAU_FAST,
    P_TAU_MIDDLE,
    P_TAU_SLOW,
    P_INSIDE,
    P_TOUCH,
    P_NEXT,
    P_FLASH,
    P_QUICK,
    P_TAU_FLASH,
    P_TAU_QUICK,
    P_LIFE_TOUCH,
    P_LIFE_NEXT,
    P_LIFE_DEEP,
    P_PERSIST,
    P_NEAR_POOL,
    P_FAR_POOL,
    P_SAME_SIGN,
    P_KEEP_SIGN,
    P_DEEP_LIMIT,
    P_REST,
    P_ICEBERG,
    P_MOVE_NEAR,
    P_MOVE_TOWARD,
    P_SIZE_DOWN,
    P_SIZE_UP,
    P_DOWN_ONLY,
    P_SHARE_PACKET,
    P_CONTROL,
    P_OWNERS,
    P_CLOCK_CHILD,
    P_PREOPEN_SPAN,
    P_FULL_TOUCH,
) = range(47)
P_SIZE: Final = 48
R_TARGET, R_LATENT, R_LIFE_NEAR, R_LIFE_DEEP, R_THETA, R_SLOW = range(6)
R_FIELDS: Final = 6
KIND_ADD, KIND_MOVE, KIND_TRADE, KIND_CANCEL_TOUCH, KIND_CANCEL, KIND_PLANT_ADD, KIND_ERODE, KIND_RELOCATE = (
    range(8)
)
KIND_SCRIPT: Final = 8
Q_TIME, Q_KIND, Q_A, Q_B, Q_NEXT = range(5)
Q_FIELDS: Final = 5
EV_SLOT, EV_KIND, EV_RECORD, EV_TRADE = range(4)
EV_FILL, EV_SELF_MATCH = range(2)
EV_ROWS: Final = 6000
X_KIND, X_TS, X_ID, X_SIDE, X_TICK, X_QTY, X_HIDDEN, X_OWNER = range(8)
X_FIELDS: Final = 8
LOG_SNAPSHOT, LOG_ENTER, LOG_REPRICE, LOG_LEAVE, LOG_PLANT = range(5)
END_FILLED, END_CANCELLED, END_SELF_MATCH = range(1, 4)
TL_FIELDS: Final = 9
TW_FIELDS: Final = 13
PHASE_CLOSED, PHASE_PRE_OPEN, PHASE_OPEN = range(3)

BUCKET_BITS: Final = 14
BLOCK_BITS: Final = 30
BUCKETS: Final = 1 << (BLOCK_BITS - BUCKET_BITS)
H_BITS: Final = BUCKETS
H_FAR: Final = BUCKETS + BUCKETS // 32

DONE, NEED_DRAIN, NEED_DRAWS, NEED_ITEMS, NEED_SLOTS = range(5)
RECORD_MARGIN: Final = 16_384
DRAW_MARGIN: Final = 4_096
SLOT_MARGIN: Final = 2_048

ACTION_A: Final = 65
ACTION_C: Final = 67
ACTION_F: Final = 70
ACTION_M: Final = 77
ACTION_T: Final = 84
SIDE_NONE: Final = -12  # 66 + 12 = "N"
FLAGS_END: Final = 130
FLAGS_AUCTION_END: Final = 128


@_helper
def _uniform(G, D, c):  # type: ignore[no-untyped-def]
    """Next 32-bit word of class c."""
    at = G[G_DRAW + c]
    G[G_DRAW + c] = at + 1
    return D[c, at]


@_helper
def _quantile(T, row, u):  # type: ignore[no-untyped-def]
    """Value of a continuous law at u / 2^32, linear between the cells."""
    cell = u >> 22
    low = T[row, cell]
    return low + (((T[row, cell + 1] - low) * ((u >> 10) & 4095)) >> 12)


# ----------------------------------------------------------------------------------------------------
# Records


@_helper
def _begin(G, D, T, P, t, extra_ns):  # type: ignore[no-untyped-def]
    """Opens an event at t (or one nanosecond after the last one) and gives it packet and arrival time."""
    last = G[G_LAST_EVENT]
    now = max(t, last + 1)
    gap = now - last
    G[G_NOW] = G[G_LAST_EVENT] = now
    G[G_EVENT_NO] += 1
    G[G_N_EV] = 0
    u = _uniform(G, D, C_FEED)
    if gap < 4_000 and G[G_PACKETS] == 1 and u < P[P_SHARE_PACKET] and G[G_FORCE_RECV] == 0:
        G[G_PACKETS] = 1
        return
    G[G_PACKETS] = 1
    backlog = max(G[G_BACKLOG] - gap, 0) + 1_500
    G[G_BACKLOG] = min(backlog, 100_000_000)
    recv = now + 85_000 + extra_ns + _quantile(T, T_LATENCY, u) + G[G_BACKLOG]
    if G[G_FORCE_RECV] > 0:
        recv = G[G_FORCE_RECV]
        G[G_FORCE_RECV] = 0
    G[G_RECV] = max(recv, G[G_RECV])
    u = _uniform(G, D, C_FEED)
    G[G_SEQ] += 1 + T[T_GAP, u >> 22]
    G[G_DELTA] = _quantile(T, T_DELTA, (u * 2_654_435_761) & 0xFFFFFFFF)


@_helper
def _next_packet(G, D, T, steps):  # type: ignore[no-untyped-def]
    """Continues the event in a later packet, 8 to 10 microseconds after."""
    u = _uniform(G, D, C_FEED)
    G[G_PACKETS] += 1
    G[G_SEQ] += steps
    G[G_RECV] += 8_000 + (u >> 21)
    G[G_DELTA] = _quantile(T, T_DELTA, (u * 2_654_435_761) & 0xFFFFFFFF)


@_helper
def _emit(G, E, action, side, order_id, tick, size):  # type: ignore[no-untyped-def]
    """Appends one 56-byte record as seven little-endian words; returns its row."""
    n = G[G_N]
    E[n, 0] = G[G_W0]
    E[n, 1] = G[G_NOW]
    E[n, 2] = order_id
    E[n, 3] = (G[G_TICK0] + tick) * G[G_TICK_INT]
    E[n, 4] = size | (G[G_CHANNEL] << 40) | (action << 48) | ((66 - side) << 56)
    E[n, 5] = G[G_RECV]
    E[n, 6] = G[G_DELTA] | (G[G_SEQ] << 32)
    G[G_N] = n + 1
    return n


@_helper
def _end(G, E, flags):  # type: ignore[no-untyped-def]
    """Closes the event: F_LAST on its last record, and the crossing test of the finished book."""
    E[G[G_N] - 1, 4] |= flags << 32
    G[G_EVENTS] += 1
    if G[G_BID] >= G[G_ASK]:
        G[G_CROSSED] += 1


@_helper
def _log(G, X, kind, order_id, side, tick, qty, hidden, owner):  # type: ignore[no-untyped-def]
    if G[G_LOGGING] == 0:
        return
    n = G[G_N_LOG]
    X[n, X_KIND] = kind
    X[n, X_TS] = G[G_NOW]
    X[n, X_ID] = order_id
    X[n, X_SIDE] = side
    X[n, X_TICK] = tick
    X[n, X_QTY] = qty
    X[n, X_HIDDEN] = hidden
    X[n, X_OWNER] = owner
    G[G_N_LOG] = n + 1


# ----------------------------------------------------------------------------------------------------
# Ladder


@_helper
def _touch(G, L, K, level):  # type: ignore[no-untyped-def]
    if L[level, L_MARK] != G[G_WINDOW]:
        L[level, L_MARK] = G[G_WINDOW]
        K[G[G_N_TOUCHED]] = level
        G[G_N_TOUCHED] += 1


@_helper
def _book(G, L, K, level, why, qty):  # type: ignore[no-untyped-def]
    """Books why quantity came to or left a level."""
    _touch(G, L, K, level)
    L[level, why] += qty


@_helper
def _append(G, U, L, K, slot):  # type: ignore[no-untyped-def]
    """Puts an order at the back of the queue of its level."""
    side = U[slot, O_SIDE]
    tick = U[slot, O_TICK]
    level = side * LADDER_TICKS + tick
    _touch(G, L, K, level)
    tail = L[level, L_TAIL]
    U[slot, O_PREV] = tail
    U[slot, O_NEXT] = -1
    if tail < 0:
        L[level, L_HEAD] = slot
    else:
        U[tail, O_NEXT] = slot
    L[level, L_TAIL] = slot
    L[level, L_QTY] += U[slot, O_QTY]
    L[level, L_COUNT] += 1
    if side == 0:
        G[G_BID] = max(G[G_BID], tick)
    else:
        G[G_ASK] = min(G[G_ASK], tick)


@_helper
def _detach(G, U, L, K, slot):  # type: ignore[no-untyped-def]
    """Takes an order out of the queue of its level and finds the next best price when the level empties."""
    side = U[slot, O_SIDE]
    tick = U[slot, O_TICK]
    level = side * LADDER_TICKS + tick
    _touch(G, L, K, level)
    before = U[slot, O_PREV]
    after = U[slot, O_NEXT]
    if before < 0:
        L[level, L_HEAD] = after
    else:
        U[before, O_NEXT] = after
    if after < 0:
        L[level, L_TAIL] = before
    else:
        U[after, O_PREV] = before
    L[level, L_QTY] -= U[slot, O_QTY]
    L[level, L_COUNT] -= 1
    if L[level, L_COUNT] > 0:
        return
    if side == 0:
        if tick == G[G_BID]:
            while tick >= 0 and L[tick, L_COUNT] == 0:
                tick -= 1
            G[G_BID] = tick
    elif tick == G[G_ASK]:
        while tick < LADDER_TICKS and L[LADDER_TICKS + tick, L_COUNT] == 0:
            tick += 1
        G[G_ASK] = tick


@_helper
def _new_order(G, U, side, tick, qty, hidden, owner):  # type: ignore[no-untyped-def]
    """A fresh slot and order id; the order is not in the book yet."""
    slot = G[G_FREE]
    G[G_FREE] = U[slot, O_NEXT]
    G[G_N_FREE] -= 1
    G[G_HIGH] = max(G[G_HIGH], slot + 1)
    G[G_NEXT_ID] += 1 + (G[G_NOW] & 1)
    U[slot, O_ID] = G[G_NEXT_ID]
    U[slot, O_SIDE] = side
    U[slot, O_TICK] = tick
    U[slot, O_QTY] = qty
    U[slot, O_HIDDEN] = hidden
    U[slot, O_PEAK] = qty
    U[slot, O_OWNER] = owner
    U[slot, O_PUBLISHED] = qty
    U[slot, O_T_PRIORITY] = G[G_NOW]
    U[slot, O_SEQ] = G[G_SEQ]
    U[slot, O_POOL] = 0
    U[slot, O_PLANT] = 0
    U[slot, O_EVENT] = 0
    return slot


@_helper
def _into_pool(G, U, B, slot, pool):  # type: ignore[no-untyped-def]
    n = G[G_POOL_NEAR + pool]
    if n >= B.shape[1]:
        return
    B[pool, n] = slot
    G[G_POOL_NEAR + pool] = n + 1
    U[slot, O_POOL] = n + 1 if pool == 0 else -(n + 1)


@_helper
def _release(G, U, B, slot):  # type: ignore[no-untyped-def]
    """Frees the slot of an order that has left the book."""
    at = U[slot, O_POOL]
    if at != 0:
        pool = 0 if at > 0 else 1
        at = abs(at) - 1
        last = G[G_POOL_NEAR + pool] - 1
        moved = B[pool, last]
        B[pool, at] = moved
        U[moved, O_POOL] = at + 1 if pool == 0 else -(at + 1)
        G[G_POOL_NEAR + pool] = last
    U[slot, O_POOL] = 0
    U[slot, O_ID] = 0
    U[slot, O_GEN] += 1
    U[slot, O_NEXT] = G[G_FREE]
    G[G_FREE] = slot
    G[G_N_FREE] += 1


@_helper
def _rest(G, U, L, K, E, X, slot):  # type: ignore[no-untyped-def]
    """Enters a new order: queue, truth, record A."""
    side = U[slot, O_SIDE]
    tick = U[slot, O_TICK]
    qty = U[slot, O_QTY]
    _append(G, U, L, K, slot)
    _book(G, L, K, side * LADDER_TICKS + tick, L_ADDED, qty)
    _emit(G, E, ACTION_A, side, U[slot, O_ID], tick, qty)
    U[slot, O_SEQ] = G[G_SEQ]
    _log(G, X, LOG_ENTER, U[slot, O_ID], side, tick, qty, U[slot, O_HIDDEN], U[slot, O_OWNER])


@_helper
def _remove(G, U, L, K, E, X, B, slot, reason):  # type: ignore[no-untyped-def]
    """Cancels a resting order: queue, truth, record C."""
    side = U[slot, O_SIDE]
    tick = U[slot, O_TICK]
    _book(G, L, K, side * LADDER_TICKS + tick, L_PULLED, U[slot, O_QTY])
    _detach(G, U, L, K, slot)
    _emit(G, E, ACTION_C, side, U[slot, O_ID], tick, U[slot, O_PUBLISHED])
    _log(G, X, LOG_LEAVE, U[slot, O_ID], side, tick, U[slot, O_QTY], U[slot, O_HIDDEN], reason)
    _release(G, U, B, slot)


@_helper
def _change(G, U, L, K, E, X, slot, tick, qty):  # type: ignore[no-untyped-def]
    """Modifies an order that stays passive: price, size or both. Only a smaller size keeps its place."""
    side = U[slot, O_SIDE]
    base = side * LADDER_TICKS
    old_tick = U[slot, O_TICK]
    old_qty = U[slot, O_QTY]
    if tick != old_tick:
        _book(G, L, K, base + old_tick, L_OUT, old_qty)
        _detach(G, U, L, K, slot)
        U[slot, O_TICK] = tick
        U[slot, O_QTY] = qty
        _append(G, U, L, K, slot)
        _book(G, L, K, base + tick, L_IN, qty)
        U[slot, O_T_PRIORITY] = G[G_NOW]
    elif qty < old_qty:
        _book(G, L, K, base + tick, L_PULLED, old_qty - qty)
        U[slot, O_QTY] = qty
        L[base + tick, L_QTY] -= old_qty - qty
    else:
        _book(G, L, K, base + tick, L_ADDED, qty - old_qty)
        _detach(G, U, L, K, slot)
        U[slot, O_QTY] = qty
        _append(G, U, L, K, slot)
        U[slot, O_T_PRIORITY] = G[G_NOW]
    U[slot, O_PUBLISHED] = qty
    _emit(G, E, ACTION_M, side, U[slot, O_ID], tick, qty)
    U[slot, O_SEQ] = G[G_SEQ]
    _log(G, X, LOG_REPRICE, U[slot, O_ID], side, tick, qty, U[slot, O_HIDDEN], U[slot, O_OWNER])


# ----------------------------------------------------------------------------------------------------
# Matching


@_helper
def _hit(G, U, L, K, E, EV, slot, f, trade, side, tick):  # type: ignore[no-untyped-def]
    """Fills f lots of a resting order and shows an iceberg's next slice. `tick` is the trade price."""
    at = U[slot, O_EVENT] - G[G_EVENT_NO] * EV_ROWS
    if at < 0 or at >= EV_ROWS:
        at = G[G_N_EV]
        G[G_N_EV] = at + 1
        U[slot, O_EVENT] = G[G_EVENT_NO] * EV_ROWS + at
        EV[at, EV_SLOT] = slot
        EV[at, EV_KIND] = EV_FILL
        EV[at, EV_TRADE] = -1
    if EV[at, EV_TRADE] == trade:
        E[EV[at, EV_RECORD], 4] += f
    else:
        EV[at, EV_TRADE] = trade
        EV[at, EV_RECORD] = _emit(G, E, ACTION_F, side, U[slot, O_ID], tick, f)
        G[G_N_F] += 1
    level = U[slot, O_SIDE] * LADDER_TICKS + U[slot, O_TICK]
    _book(G, L, K, level, L_FILLED, f)
    U[slot, O_QTY] -= f
    L[level, L_QTY] -= f
    if U[slot, O_QTY] > 0:
        return
    slice_qty = min(U[slot, O_PEAK], U[slot, O_HIDDEN])
    _detach(G, U, L, K, slot)
    if slice_qty > 0:
        U[slot, O_HIDDEN] -= slice_qty
        U[slot, O_QTY] = slice_qty
        _append(G, U, L, K, slot)
        _book(G, L, K, level, L_ADDED, slice_qty)
        U[slot, O_T_PRIORITY] = G[G_NOW]


@_helper
def _match(G, U, L, K, E, EV, side, limit, qty, order_id, owner, own_leg):  # type: ignore[no-untyped-def]
    """An aggressor of `side` takes up to qty lots at prices up to limit; one T per price level.

    With own_leg the aggressor is a resting order that was modified: its own F comes first.
    Returns the quantity left.
    """
    opposite = 1 - side
    while qty > 0 and G[G_N_EV] < EV_ROWS - 64:
        tick = G[G_ASK] if side == 0 else G[G_BID]
        if tick < 0 or tick >= LADDER_TICKS or (tick > limit if side == 0 else tick < limit):
            break
        level = opposite * LADDER_TICKS + tick
        trade = _emit(G, E, ACTION_T, side, order_id, tick, 0)
        leg = _emit(G, E, ACTION_F, side, order_id, tick, 0) if own_leg else trade
        done = 0
        while qty > 0 and L[level, L_HEAD] >= 0 and G[G_N_EV] < EV_ROWS - 32:
            slot = L[level, L_HEAD]
            if U[slot, O_OWNER] == owner and owner > 0:
                if U[slot, O_EVENT] // EV_ROWS == G[G_EVENT_NO]:
                    break  # it was filled in this event already: rather stop than split its story
                at = G[G_N_EV]
                G[G_N_EV] = at + 1
                U[slot, O_EVENT] = G[G_EVENT_NO] * EV_ROWS + at
                EV[at, EV_SLOT] = slot
                EV[at, EV_KIND] = EV_SELF_MATCH
                _book(G, L, K, level, L_PULLED, U[slot, O_QTY])
                _detach(G, U, L, K, slot)
                continue
            f = min(qty, U[slot, O_QTY])
            _hit(G, U, L, K, E, EV, slot, f, trade, opposite, tick)
            qty -= f
            done += f
        if done == 0:
            G[G_N] = (
                trade  # only own orders stood there: they are withdrawn, and no trade happens behind them
            )
            break
        E[trade, 4] += done
        if own_leg:
            E[leg, 4] += done
            G[G_N_F] += 1
        G[G_N_T] += 1
        G[G_LAST_TRADE] = tick
        G[G_TRADES] += 1
        if side == 0:
            G[G_BUY] += done
        else:
            G[G_SELL] += done
    return qty


@_helper
def _trigger_stops(G, U, L, K, E, X, EV, S, first):  # type: ignore[no-untyped-def]
    """Stops reached by this event's trades become aggressors inside it, each in a packet of its own."""
    fired = True
    while fired:
        fired = False
        for i in range(G[G_N_STOP]):
            row = G[G_STOPS + i]
            if row < 0:
                continue
            side = S[row, S_SIDE]
            reached = G[G_LAST_TRADE] >= S[row, S_TICK] if side == 0 else G[G_LAST_TRADE] <= S[row, S_TICK]
            if not reached or G[G_N] == first:
                continue
            G[G_STOPS + i] = -1
            fired = True
            G[G_SEQ] += 1
            limit = S[row, S_TICK] + (40 if side == 0 else -40)
            _log(G, X, LOG_PLANT, S[row, S_PLANT], side, S[row, S_TICK], S[row, S_QTY], 0, OP_STOP)
            _match(G, U, L, K, E, EV, side, limit, S[row, S_QTY], S[row, S_ARG], 0, False)
    while G[G_N_STOP] > 0 and G[G_STOPS + G[G_N_STOP] - 1] < 0:
        G[G_N_STOP] -= 1


@_helper
def _settle(G, U, L, K, E, X, B, EV):  # type: ignore[no-untyped-def]
    """The C and M block: what the fills did to the resting orders."""
    for at in range(G[G_N_EV]):
        slot = EV[at, EV_SLOT]
        side = U[slot, O_SIDE]
        tick = U[slot, O_TICK]
        gone = EV[at, EV_KIND] == EV_SELF_MATCH or U[slot, O_QTY] == 0
        if gone:
            reason = END_SELF_MATCH if EV[at, EV_KIND] == EV_SELF_MATCH else END_FILLED
            _emit(G, E, ACTION_C, side, U[slot, O_ID], tick, U[slot, O_PUBLISHED])
            _log(G, X, LOG_LEAVE, U[slot, O_ID], side, tick, U[slot, O_QTY], U[slot, O_HIDDEN], reason)
            _release(G, U, B, slot)
        else:
            U[slot, O_PUBLISHED] = U[slot, O_QTY]
            _emit(G, E, ACTION_M, side, U[slot, O_ID], tick, U[slot, O_QTY])
            U[slot, O_SEQ] = G[G_SEQ]
    G[G_N_EV] = 0


@_helper
def _aggress(G, U, L, K, E, X, B, EV, D, T, P, S, t, side, limit, qty, owner, rests):  # type: ignore[no-untyped-def]
    """Event: a marketable order. Its remainder rests at the limit when `rests`. Returns its slot or -1."""
    u = _uniform(G, D, C_FEED)
    _begin(G, D, T, P, t, 60_000 + (u >> 15))
    G[G_NEXT_ID] += 1
    order_id = G[G_NEXT_ID]
    first = G[G_N]
    left = _match(G, U, L, K, E, EV, side, limit, qty, order_id, owner, False)
    _trigger_stops(G, U, L, K, E, X, EV, S, first)
    if G[G_N] > first:
        _next_packet(G, D, T, 1)
    crossing = G[G_ASK] <= limit if side == 0 else G[G_BID] >= limit
    resting = -1
    if left > 0 and rests and not crossing:
        resting = _new_order(G, U, side, limit, left, 0, owner)
        U[resting, O_ID] = order_id
    before = resting >= 0 and u % 5 < 2
    if before:
        _rest(G, U, L, K, E, X, resting)
    _settle(G, U, L, K, E, X, B, EV)
    if resting >= 0 and not before:
        _rest(G, U, L, K, E, X, resting)
    if G[G_N] > first:
        _end(G, E, FLAGS_END)
    return resting


@_helper
def _aggressive_modify(G, U, L, K, E, X, B, EV, D, T, P, S, t, slot, limit):  # type: ignore[no-untyped-def]
    """Event: a resting order is modified to cross. Its remainder leaves the old price by M, else by C."""
    _begin(G, D, T, P, t, 200_000)
    side = U[slot, O_SIDE]
    old_level = side * LADDER_TICKS + U[slot, O_TICK]
    old_tick = U[slot, O_TICK]
    old_qty = U[slot, O_QTY]
    first = G[G_N]
    _detach(G, U, L, K, slot)
    left = _match(G, U, L, K, E, EV, side, limit, old_qty, U[slot, O_ID], U[slot, O_OWNER], True)
    _trigger_stops(G, U, L, K, E, X, EV, S, first)
    if G[G_N] > first:
        _next_packet(G, D, T, 1)
    _settle(G, U, L, K, E, X, B, EV)
    if left > 0:
        _book(G, L, K, old_level, L_OUT, old_qty)
        U[slot, O_TICK] = limit
        U[slot, O_QTY] = left
        U[slot, O_PUBLISHED] = left
        U[slot, O_T_PRIORITY] = G[G_NOW]
        _append(G, U, L, K, slot)
        _book(G, L, K, side * LADDER_TICKS + limit, L_IN, left)
        _emit(G, E, ACTION_M, side, U[slot, O_ID], limit, left)
        U[slot, O_SEQ] = G[G_SEQ]
        _log(G, X, LOG_REPRICE, U[slot, O_ID], side, limit, left, 0, U[slot, O_OWNER])
    else:
        _book(G, L, K, old_level, L_PULLED, old_qty)
        _emit(G, E, ACTION_C, side, U[slot, O_ID], old_tick, U[slot, O_PUBLISHED])
        _log(G, X, LOG_LEAVE, U[slot, O_ID], side, old_tick, 0, 0, END_FILLED)
        _release(G, U, B, slot)
    _end(G, E, FLAGS_END)


@_helper
def _auction(G, U, L, K, E, X, B, EV, D, T, P, t):  # type: ignore[no-untyped-def]
    """Event: the opening auction. One price, one T without side, F on both sides, C at own prices."""
    if G[G_BID] < G[G_ASK] or G[G_BID] < 0 or G[G_ASK] >= LADDER_TICKS:
        return
    best_volume = 0
    price = G[G_ASK]
    bids = 0
    for tick in range(G[G_ASK], G[G_BID] + 1):
        bids += L[tick, L_QTY]
    asks = 0
    for tick in range(G[G_ASK], G[G_BID] + 1):
        asks += L[LADDER_TICKS + tick, L_QTY]
        volume = min(asks, bids)
        if volume > best_volume:
            best_volume = volume
            price = tick
        bids -= L[tick, L_QTY]
    _begin(G, D, T, P, t, 106_000_000)
    trade = _emit(G, E, ACTION_T, SIDE_NONE, 0, price, 0)
    done = 0
    while G[G_BID] >= G[G_ASK] and G[G_N_EV] < EV_ROWS - 32:
        bid = L[G[G_BID], L_HEAD]
        ask = L[LADDER_TICKS + G[G_ASK], L_HEAD]
        f = min(U[bid, O_QTY], U[ask, O_QTY])
        _hit(G, U, L, K, E, EV, bid, f, trade, SIDE_NONE, price)
        _hit(G, U, L, K, E, EV, ask, f, trade, SIDE_NONE, price)
        done += f
    E[trade, 4] += done
    G[G_NONE] += done
    G[G_TRADES] += 1
    G[G_N_T] += 1
    G[G_LAST_TRADE] = price
    _next_packet(G, D, T, 3)
    _settle(G, U, L, K, E, X, B, EV)
    _end(G, E, FLAGS_AUCTION_END)


# ----------------------------------------------------------------------------------------------------
# Calendar queue


@_helper
def _bucket(G, H, Q, item, bucket):  # type: ignore[no-untyped-def]
    Q[item, Q_NEXT] = H[bucket]
    H[bucket] = item
    H[H_BITS + (bucket >> 5)] |= 1 << (bucket & 31)
    G[G_BUCKET] = min(G[G_BUCKET], bucket)


@_helper
def _schedule(G, H, Q, t, kind, a, b):  # type: ignore[no-untyped-def]
    """Puts an item for time t into the queue; what lies beyond the last block never happens."""
    for i in range(G[G_N_SILENT]):
        if G[G_SILENT + 2 * i] <= t < G[G_SILENT + 2 * i + 1]:
            t += G[G_SILENT + 2 * i + 1] - G[G_SILENT + 2 * i]
    rel = t - G[G_ORIGIN]
    block = rel >> BLOCK_BITS
    if block >= G[G_BLOCKS]:
        return
    item = G[G_ITEM_FREE]
    G[G_ITEM_FREE] = Q[item, Q_NEXT]
    G[G_N_ITEM_FREE] -= 1
    Q[item, Q_TIME] = t
    Q[item, Q_KIND] = kind
    Q[item, Q_A] = a
    Q[item, Q_B] = b
    if block <= G[G_BLOCK]:
        _bucket(G, H, Q, item, (rel >> BUCKET_BITS) & (BUCKETS - 1))
    else:
        Q[item, Q_NEXT] = H[H_FAR + block]
        H[H_FAR + block] = item


@_helper
def _peek(G, H, Q, limit):  # type: ignore[no-untyped-def]
    """The earliest item not later than limit, or -1. Never walks past the block of limit."""
    while True:
        start = G[G_ORIGIN] + (G[G_BLOCK] << BLOCK_BITS)
        bucket = G[G_BUCKET]
        while bucket < BUCKETS:
            if start + (bucket << BUCKET_BITS) > limit:
                G[G_BUCKET] = bucket
                return -1
            word = H[H_BITS + (bucket >> 5)] >> (bucket & 31)
            if word == 0:
                bucket = ((bucket >> 5) + 1) << 5
                continue
            while (word & 1) == 0:
                word >>= 1
                bucket += 1
            G[G_BUCKET] = bucket
            best = H[bucket]
            before = -1
            last = best
            item = Q[best, Q_NEXT]
            while item >= 0:
                if Q[item, Q_TIME] < Q[best, Q_TIME]:
                    best = item
                    before = last
                last = item
                item = Q[item, Q_NEXT]
            if Q[best, Q_TIME] > limit:
                return -1
            G[G_PREV] = before
            return best
        G[G_BUCKET] = BUCKETS
        if G[G_BLOCK] + 1 >= G[G_BLOCKS] or start + (1 << BLOCK_BITS) > limit:
            return -1
        G[G_BLOCK] += 1
        item = H[H_FAR + G[G_BLOCK]]
        H[H_FAR + G[G_BLOCK]] = -1
        while item >= 0:
            after = Q[item, Q_NEXT]
            _bucket(G, H, Q, item, ((Q[item, Q_TIME] - G[G_ORIGIN]) >> BUCKET_BITS) & (BUCKETS - 1))
            item = after


@_helper
def _pop(G, H, Q, item):  # type: ignore[no-untyped-def]
    """Removes the item that _peek has just found."""
    bucket = G[G_BUCKET]
    if G[G_PREV] < 0:
        H[bucket] = Q[item, Q_NEXT]
        if H[bucket] < 0:
            H[H_BITS + (bucket >> 5)] &= ~(1 << (bucket & 31))
    else:
        Q[G[G_PREV], Q_NEXT] = Q[item, Q_NEXT]
    Q[item, Q_NEXT] = G[G_ITEM_FREE]
    G[G_ITEM_FREE] = item
    G[G_N_ITEM_FREE] += 1


@_helper
def _beget(G, D, T, P, H, Q, geometric, first, sign):  # type: ignore[no-untyped-def]
    """Children of a flow event; `first` is the row of its thresholds add / move / trade, the rest cancels."""
    u = _uniform(G, D, C_CHILD)
    while u < P[geometric]:
        v = _uniform(G, D, C_CHILD)
        kind = KIND_CANCEL_TOUCH
        if v < P[first]:
            kind = KIND_ADD
        elif v < P[first + 1]:
            kind = KIND_MOVE
        elif v < P[first + 2]:
            kind = KIND_TRADE
        w = _uniform(G, D, C_CHILD)
        tau = P[P_TAU_SLOW]
        if w < P[P_FAST]:
            tau = P[P_TAU_FAST]
        elif w < P[P_MIDDLE]:
            tau = P[P_TAU_MIDDLE]
        delay = (_quantile(T, T_EXP, _uniform(G, D, C_CHILD)) * tau) >> 16
        _schedule(G, H, Q, G[G_NOW] + 200 + delay, kind, sign, 1)
        u = _uniform(G, D, C_CHILD)


# ----------------------------------------------------------------------------------------------------
# Agents


@_helper
def _second(G):  # type: ignore[no-untyped-def]
    return (G[G_NOW] - G[G_T_BEGIN]) // SECOND_NS


@_helper
def _lean(G, R):  # type: ignore[no-untyped-def]
    """Latent price minus mid, in sixteenths of a tick."""
    return R[_second(G), R_LATENT] - 8 * (G[G_BID] + G[G_ASK])


@_helper
def _mortal(G, U, L, B, D, T, P, R, H, Q, slot, distance):  # type: ignore[no-untyped-def]
    """Draws the lifetime of a new order, and whether it belongs to those that are moved about."""
    second = _second(G)
    u = _uniform(G, D, C_CANCEL)
    v = _uniform(G, D, C_CANCEL)
    if distance <= 0:
        if v < P[P_NEAR_POOL]:
            _into_pool(G, U, B, slot, 0)
            life = ((_quantile(T, T_LN16, u) * P[P_LIFE_DEEP]) >> 16) * R[second, R_LIFE_NEAR] >> 16
        elif v < P[P_NEAR_POOL] + P[P_FLASH]:
            life = (_quantile(T, T_EXP, u) * P[P_TAU_FLASH]) >> 16
        elif v < P[P_NEAR_POOL] + P[P_FLASH] + P[P_QUICK]:
            life = (_quantile(T, T_EXP, u) * P[P_TAU_QUICK]) >> 16
        else:
            level = U[slot, O_SIDE] * LADDER_TICKS + U[slot, O_TICK]
            life = ((_quantile(T, T_LN18, u) * P[P_LIFE_TOUCH]) >> 16) * R[second, R_LIFE_NEAR] >> 16
            life = life * 45 // (30 + L[level, L_QTY] // 2)
    elif distance <= 2:
        if v < P[P_NEAR_POOL]:
            _into_pool(G, U, B, slot, 0)
        life = ((_quantile(T, T_LN16, u) * P[P_LIFE_NEXT]) >> 16) * R[second, R_LIFE_NEAR] >> 16
    else:
        if v < P[P_FAR_POOL]:
            _into_pool(G, U, B, slot, 1)
        elif v > P[P_PERSIST]:
            return
        life = ((_quantile(T, T_LN18, u) * P[P_LIFE_DEEP]) >> 16) * R[second, R_LIFE_DEEP] >> 16
    _schedule(G, H, Q, G[G_NOW] + 1_000 + life, KIND_CANCEL, slot, U[slot, O_GEN])


@_helper
def _flow_add(G, U, L, K, E, X, B, D, T, P, R, H, Q, t):  # type: ignore[no-untyped-def]
    """Event: a passive limit order, placed by distance from its own touch, with a lifetime drawn at birth."""
    _begin(G, D, T, P, t, 0)
    second = _second(G)
    u = _uniform(G, D, C_ADD)
    if G[G_PHASE] == PHASE_PRE_OPEN or G[G_BID] < 3 or G[G_ASK] > LADDER_TICKS - 4:
        side = u & 1
        span = P[P_PREOPEN_SPAN]
        tick = (R[second, R_LATENT] >> 4) + (_uniform(G, D, C_ADD) * (2 * span + 1) >> 32) - span
        tick += -(span >> 1) if side == 0 else span >> 1
        distance = 30
    else:
        weight_bid = T[T_REACTION, min(L[G[G_BID], L_QTY], TABLE_CELLS)]
        weight_ask = T[T_REACTION, min(L[LADDER_TICKS + G[G_ASK], L_QTY], TABLE_CELLS)]
        lean = _lean(G, R)
        if lean > 16:
            weight_bid *= 2
        elif lean < -16:
            weight_ask *= 2
        side = 0 if (u * (weight_bid + weight_ask)) >> 32 < weight_bid else 1
        weight = weight_bid if side == 0 else weight_ask
        hold = G[G_NOW] < G[G_HOLD_BID + side]
        v = _uniform(G, D, C_ADD)
        w = _uniform(G, D, C_ADD)
        spread = G[G_ASK] - G[G_BID]
        # inside a wide spread the side that the latent price favours steps forward
        wanted = lean >= -8 if side == 0 else lean <= 8
        if spread > 1 and not hold and wanted and v < P[P_INSIDE]:
            distance = -1
        elif w < P[P_TOUCH]:
            distance = 0
            if (v & 0xFFFF) > weight and w < P[P_FULL_TOUCH]:
                distance = 1  # a long queue repels
        elif w < P[P_NEXT]:
            distance = 1
        else:
            distance = T[T_TAIL, _uniform(G, D, C_ADD) >> 22]
        if hold and distance < G[G_HOLD_D]:
            distance = G[G_HOLD_D] + (w & 15)
        tick = G[G_BID] - distance if side == 0 else G[G_ASK] + distance
    tick = max(2, min(LADDER_TICKS - 3, tick))
    qty = T[T_ADD_SIZE, _uniform(G, D, C_ADD) >> 22]
    v = _uniform(G, D, C_ADD)
    hidden = 0
    if v < P[P_ICEBERG] and distance <= 0:
        qty = min(qty + 2, 5)
        hidden = 10 + (v & 31)
    owner = 1 + (_uniform(G, D, C_ADD) * P[P_OWNERS] >> 32)
    slot = _new_order(G, U, side, tick, qty, hidden, owner)
    _rest(G, U, L, K, E, X, slot)
    _end(G, E, FLAGS_END)
    _mortal(G, U, L, B, D, T, P, R, H, Q, slot, distance)


@_helper
def _flow_move(G, U, L, K, E, X, B, D, T, P, t):  # type: ignore[no-untyped-def]
    """Event: a relocator modifies one of its quotes. Returns False when there is none to move."""
    u = _uniform(G, D, C_MOVE)
    pool = 0 if u < P[P_MOVE_NEAR] else 1
    if G[G_POOL_NEAR + pool] == 0:
        pool = 1 - pool
    n = G[G_POOL_NEAR + pool]
    if n == 0:
        return False
    slot = B[pool, _uniform(G, D, C_MOVE) * n >> 32]
    side = U[slot, O_SIDE]
    qty = U[slot, O_QTY]
    v = _uniform(G, D, C_MOVE)
    w = _uniform(G, D, C_MOVE)
    new_qty = qty
    if v < P[P_SIZE_DOWN]:
        new_qty = max(qty - 1 - (v & 3), 1)
    elif v < P[P_SIZE_UP]:
        new_qty = qty + 1 + (v & 1)
    tick = U[slot, O_TICK]
    own = G[G_BID] if side == 0 else G[G_ASK]
    distance = own - tick if side == 0 else tick - own
    toward = w < P[P_MOVE_TOWARD]
    if w & 0xFFFF < P[P_DOWN_ONLY] and qty > 1:
        new_qty = qty - 1
        step = 0
    elif pool == 0 and distance < 8:
        step = 1 if toward else -1
        if step == 1 and distance == 0 and G[G_ASK] - G[G_BID] < 2:
            step = -1
    else:
        step = 10 + ((w >> 8) & 31)
        if distance - step < 3 or (not toward and distance < 400):
            step = -step
    hold = G[G_NOW] < G[G_HOLD_BID + side] and distance - step < G[G_HOLD_D]
    if G[G_PHASE] != PHASE_OPEN or hold:
        step = min(step, 0)
    tick += step if side == 0 else -step
    tick = max(2, min(LADDER_TICKS - 3, tick))
    if tick == U[slot, O_TICK] and new_qty == qty:
        return False
    _begin(G, D, T, P, t, 0)
    _change(G, U, L, K, E, X, slot, tick, new_qty)
    _end(G, E, FLAGS_END)
    return True


@_helper
def _flow_cancel(G, U, L, K, E, X, B, D, T, P, R, t, sign):  # type: ignore[no-untyped-def]
    """Event: one of the youngest orders at a touch is withdrawn; the threatened side withdraws more."""
    u = _uniform(G, D, C_CANCEL)
    side = u & 1
    lean = _lean(G, R)
    if lean > 12:
        side = 1 if (u >> 1) & 7 else 0
    elif lean < -12:
        side = 0 if (u >> 1) & 7 else 1
    tick = G[G_BID] if side == 0 else G[G_ASK]
    if tick < 0 or tick >= LADDER_TICKS:
        return False
    level = side * LADDER_TICKS + tick
    if L[level, L_COUNT] < 3 and -12 <= lean <= 12:
        return False
    slot = L[level, L_TAIL]
    back = (u >> 8) & 7
    while back > 0 and U[slot, O_PREV] >= 0:
        slot = U[slot, O_PREV]
        back -= 1
    if U[slot, O_PLANT] > 0:
        return False
    _begin(G, D, T, P, t, 0)
    _remove(G, U, L, K, E, X, B, slot, END_CANCELLED)
    _end(G, E, FLAGS_END)
    return True


@_helper
def _flow_trade(G, U, L, K, E, X, B, EV, D, T, P, R, S, H, Q, t, parent_sign):  # type: ignore[no-untyped-def]
    """Event: a market order. Its sign follows the last ones and, beyond 1.5 ticks, the latent price."""
    u = _uniform(G, D, C_MARKET)
    v = _uniform(G, D, C_MARKET)
    lean = _lean(G, R)
    if parent_sign >= 0 and u < P[P_SAME_SIGN]:
        side = parent_sign
    elif u < P[P_KEEP_SIGN]:
        side = G[G_SIGN]
    else:
        heavy_bid = L[G[G_BID], L_QTY] > L[LADDER_TICKS + G[G_ASK], L_QTY]
        side = 0 if heavy_bid == ((v & 7) < 5) else 1
    if lean > 24 and (v >> 4) & 7:
        side = 0
    elif lean < -24 and (v >> 4) & 7:
        side = 1
    touch = G[G_ASK] if side == 0 else G[G_BID]
    far = 1 + ((v >> 7) & 3) if (v >> 9) & 1023 < P[P_DEEP_LIMIT] else 0
    limit = touch + far if side == 0 else touch - far
    if limit < 2 or limit > LADDER_TICKS - 3:
        return -1
    qty = T[T_TRADE_SIZE, _uniform(G, D, C_MARKET) >> 22]
    w = _uniform(G, D, C_MARKET)
    owner = 1 + ((w & 0xFFFF) * P[P_OWNERS] >> 16)
    slot = _aggress(G, U, L, K, E, X, B, EV, D, T, P, S, t, side, limit, qty, owner, (w >> 16) < P[P_REST])
    G[G_SIGN] = side
    if slot >= 0:
        _mortal(G, U, L, B, D, T, P, R, H, Q, slot, 0)
    return side


# ----------------------------------------------------------------------------------------------------
# Plants


@_helper
def _plant_tick(G, R, side, distance):  # type: ignore[no-untyped-def]
    tick = G[G_BID] - distance if side == 0 else G[G_ASK] + distance
    return max(2, min(LADDER_TICKS - 3, tick))


@_helper
def _plant_add(G, U, L, K, E, X, D, T, P, S, t, row):  # type: ignore[no-untyped-def]
    """Event: one of the orders of a planted wall, flash or iceberg; all share one price and owner."""
    _begin(G, D, T, P, t, 0)
    side = S[row, S_SIDE]
    tick = S[row, S_TICK]
    if G[G_PHASE] == PHASE_OPEN:  # never step on the other side, wherever it is by now
        tick = min(tick, G[G_ASK] - 1) if side == 0 else max(tick, G[G_BID] + 1)
    n = max(S[row, S_N], 1)
    part = S[row, S_QTY] // n + (1 if S[row, S_TRIES] < S[row, S_QTY] % n else 0)
    S[row, S_TRIES] += 1
    hidden = S[row, S_ARG] if S[row, S_OP] == OP_ICEBERG else 0
    slot = _new_order(G, U, side, tick, max(part, 1), hidden, 1000 + S[row, S_PLANT])
    U[slot, O_PLANT] = S[row, S_PLANT]
    _rest(G, U, L, K, E, X, slot)
    _end(G, E, FLAGS_END)
    _log(G, X, LOG_PLANT, S[row, S_PLANT], side, tick, max(part, 1), hidden, S[row, S_OP])
    return slot


@_helper
def _volume_to(G, U, L, side, tick):  # type: ignore[no-untyped-def]
    """Lots, hidden ones included, that stand between the touch and a price on one side."""
    total = 0
    at = G[G_BID] if side == 0 else G[G_ASK]
    while (at >= tick and at >= 0) if side == 0 else (at <= tick and at < LADDER_TICKS):
        slot = L[side * LADDER_TICKS + at, L_HEAD]
        while slot >= 0:
            total += U[slot, O_QTY] + U[slot, O_HIDDEN]
            slot = U[slot, O_NEXT]
        at += -1 if side == 0 else 1
    return total


@_helper
def _self_match(G, U, L, K, E, X, B, D, T, P, H, Q, S, t, row):  # type: ignore[no-untyped-def]
    """Event: A C or C A. The plant first clears its own touch level of strangers, one event each."""
    resting = S[row, S_SIDE]
    tick = G[G_BID] if resting == 0 else G[G_ASK]
    level = resting * LADDER_TICKS + tick
    slot = L[level, L_HEAD]
    own = -1
    stranger = -1
    while slot >= 0:
        if U[slot, O_PLANT] == S[row, S_PLANT]:
            own = slot
        elif U[slot, O_PLANT] == 0:
            stranger = slot
        slot = U[slot, O_NEXT]
    S[row, S_TRIES] += 1
    if S[row, S_TRIES] > 2000 or (own < 0 and S[row, S_TRIES] > 400):
        return
    if own < 0:
        _schedule(G, H, Q, t + 1_000_000, KIND_SCRIPT, row, 0)
        return
    if stranger >= 0:
        _begin(G, D, T, P, t, 0)
        _remove(G, U, L, K, E, X, B, stranger, END_CANCELLED)
        _end(G, E, FLAGS_END)
        _schedule(G, H, Q, t + 2_000, KIND_SCRIPT, row, 0)
        return
    _begin(G, D, T, P, t, 0)
    other = _new_order(G, U, 1 - resting, tick, S[row, S_QTY], 0, U[own, O_OWNER])
    if S[row, S_ARG] == 0:
        _rest(G, U, L, K, E, X, other)
        _remove(G, U, L, K, E, X, B, own, END_SELF_MATCH)
    else:
        _remove(G, U, L, K, E, X, B, own, END_SELF_MATCH)
        _rest(G, U, L, K, E, X, other)
    _end(G, E, FLAGS_END)
    _log(G, X, LOG_PLANT, S[row, S_PLANT], resting, tick, S[row, S_QTY], 0, OP_SELF_MATCH)
    _schedule(G, H, Q, t + 2_000_000_000, KIND_CANCEL, other, U[other, O_GEN])


@_helper
def _play(G, U, L, K, E, X, B, EV, D, T, P, R, S, H, Q, t, row):  # type: ignore[no-untyped-def]
    """One instruction of the script."""
    op = S[row, S_OP]
    plant = S[row, S_PLANT]
    side = S[row, S_SIDE]
    if op == OP_PHASE:
        G[G_PHASE] = S[row, S_ARG]
    elif op == OP_AUCTION:
        _auction(G, U, L, K, E, X, B, EV, D, T, P, t)
        G[G_PHASE] = PHASE_OPEN
        G[G_T_IMMIGRANT] = t + 1
    elif op in (OP_ADD, OP_ADD_AT, OP_ICEBERG, OP_FLASH):
        if op == OP_ADD_AT:
            S[row, S_TICK] = (R[_second(G), R_LATENT] >> 4) + S[row, S_DIST]
        else:
            S[row, S_TICK] = _plant_tick(G, R, side, S[row, S_DIST])
        slot = _plant_add(G, U, L, K, E, X, D, T, P, S, t, row)
        for i in range(1, S[row, S_N]):
            _schedule(G, H, Q, t + 3_000 * i, KIND_PLANT_ADD, row, 0)
        if op == OP_FLASH:
            _schedule(G, H, Q, t + 300_000, KIND_CANCEL, slot, U[slot, O_GEN])
    elif op in (OP_CANCEL, OP_ERODE, OP_RELOCATE):
        at = t
        for slot in range(G[G_HIGH]):
            if U[slot, O_PLANT] == plant and U[slot, O_ID] > 0:
                at += 2_000
                if op == OP_CANCEL:
                    _schedule(G, H, Q, at, KIND_CANCEL, slot, U[slot, O_GEN])
                elif op == OP_ERODE:
                    _schedule(G, H, Q, at, KIND_ERODE, slot, U[slot, O_GEN])
                else:
                    _schedule(
                        G, H, Q, at, KIND_RELOCATE, slot, (U[slot, O_GEN] << 16) | (S[row, S_ARG] + 32768)
                    )
        _log(G, X, LOG_PLANT, plant, side, 0, S[row, S_QTY], 0, op)
    elif op in (OP_FILL, OP_SWEEP):
        if op == OP_SWEEP:
            limit = G[G_ASK] if side == 0 else G[G_BID]
            for _ in range(S[row, S_DIST] - 1):
                limit += 1 if side == 0 else -1
                while 2 < limit < LADDER_TICKS - 3 and L[(1 - side) * LADDER_TICKS + limit, L_COUNT] == 0:
                    limit += 1 if side == 0 else -1
            qty = _volume_to(G, U, L, 1 - side, limit - 1 if side == 0 else limit + 1) + S[row, S_QTY]
        else:
            limit = -1
            for slot in range(G[G_HIGH]):
                if U[slot, O_PLANT] == plant and U[slot, O_ID] > 0:
                    limit = U[slot, O_TICK]
            if limit < 0:
                return
            qty = _volume_to(G, U, L, 1 - side, limit)
        _log(G, X, LOG_PLANT, plant, side, limit, qty, 0, op)
        _aggress(G, U, L, K, E, X, B, EV, D, T, P, S, t, side, limit, qty, 0, False)
        G[G_SIGN] = side
    elif op == OP_VACUUM:
        for distance in range(S[row, S_DIST] + 1):
            tick = _plant_tick(G, R, side, distance)
            slot = L[side * LADDER_TICKS + tick, L_HEAD]
            while slot >= 0:
                if U[slot, O_PLANT] == 0:
                    delay = 50_000_000 + (_uniform(G, D, C_PLANT) * 450 >> 32) * 1_000_000
                    _schedule(G, H, Q, t + delay, KIND_CANCEL, slot, U[slot, O_GEN])
                slot = U[slot, O_NEXT]
        G[G_HOLD_BID + side] = t + S[row, S_ARG]
        G[G_HOLD_D] = S[row, S_DIST] + 1
        _log(G, X, LOG_PLANT, plant, side, G[G_BID + side], S[row, S_DIST], 0, op)
    elif op == OP_STOP:
        G[G_NEXT_ID] += 1
        S[row, S_ARG] = G[G_NEXT_ID]
        if side == 0:
            S[row, S_TICK] = G[G_ASK] + S[row, S_DIST]
        else:
            S[row, S_TICK] = G[G_BID] - S[row, S_DIST]
        if G[G_N_STOP] < 63:
            G[G_STOPS + G[G_N_STOP]] = row
            G[G_N_STOP] += 1
    elif op == OP_AGGRESSIVE_MODIFY:
        for slot in range(G[G_HIGH]):
            if U[slot, O_PLANT] == plant and U[slot, O_ID] > 0:
                limit = G[G_ASK] if side == 0 else G[G_BID]
                _log(G, X, LOG_PLANT, plant, side, limit, U[slot, O_QTY], 0, op)
                _aggressive_modify(G, U, L, K, E, X, B, EV, D, T, P, S, t, slot, limit)
                return
    elif op == OP_SELF_MATCH:
        _self_match(G, U, L, K, E, X, B, D, T, P, H, Q, S, t, row)
    elif op == OP_TOP_UP:
        done = G[G_N] - G[G_SECOND_N]
        if done < S[row, S_QTY] and G[G_NOW] < S[row, S_ARG]:
            if S[row, S_TRIES] % 2 == 0:
                S[row, S_TICK] = _plant_tick(G, R, side, S[row, S_DIST])
                _plant_add(G, U, L, K, E, X, D, T, P, S, t, row)
                S[row, S_TRIES] -= 1
            else:
                for level in range(1):
                    slot = L[side * LADDER_TICKS + S[row, S_TICK] + level, L_TAIL]
                    if slot >= 0 and U[slot, O_PLANT] == plant:
                        _begin(G, D, T, P, t, 0)
                        _remove(G, U, L, K, E, X, B, slot, END_CANCELLED)
                        _end(G, E, FLAGS_END)
            S[row, S_TRIES] += 1
            _schedule(G, H, Q, t + 15_000, KIND_SCRIPT, row, 0)
    elif op == OP_BOUNDARY_TRADE:
        # the record of the trade arrives just before the second ends, that of the cancel just after
        G[G_FORCE_RECV] = S[row, S_ARG]
        limit = G[G_ASK] if side == 0 else G[G_BID]
        _log(G, X, LOG_PLANT, plant, side, limit, S[row, S_QTY], 0, op)
        _aggress(G, U, L, K, E, X, B, EV, D, T, P, S, t, side, limit, S[row, S_QTY], 0, False)


# ----------------------------------------------------------------------------------------------------
# Clock and main loop


@_helper
def _control(G, P, R):  # type: ignore[no-untyped-def]
    """Once a second: keeps the records per second on plan by the number of records per immigrant."""
    second = _second(G)
    if second >= R.shape[0] or G[G_PHASE] != PHASE_OPEN:
        return
    target = R[second, R_TARGET]
    G[G_SUM_TARGET] += target - (G[G_SUM_TARGET] >> 6)
    G[G_SUM_ACTUAL] += (G[G_N] - G[G_SECOND_N]) * 1000 - (G[G_SUM_ACTUAL] >> 6)
    if G[G_SUM_TARGET] > 0:
        error = (G[G_SUM_ACTUAL] - G[G_SUM_TARGET]) * 65536 // G[G_SUM_TARGET]
        error = max(-65536, min(65536, error))
        # a busy second tells more than a quiet one: the controller may trust it more
        shift = P[P_CONTROL] - (4 if target > 200_000 else 2 if target > 60_000 else 0)
        step = (G[G_KAPPA] * error // 65536) >> shift
        G[G_KAPPA] = max(1 << 14, min(40 << 16, G[G_KAPPA] + step))


@_helper
def _roll(G, L, K, P, R, TL, TW, MP, t):  # type: ignore[no-untyped-def]
    """Writes truth for every quarter and every second that ends at or before t."""
    while G[G_NEXT_ROLL] <= t:
        end = G[G_NEXT_ROLL]
        G[G_NEXT_ROLL] = end + QUARTER_NS
        bid = G[G_BID]
        ask = G[G_ASK]
        n = G[G_N_MP]
        if bid >= 0 and ask < LADDER_TICKS and bid < ask:
            qb = L[bid, L_QTY]
            qa = L[LADDER_TICKS + ask, L_QTY]
            MP[n] = (G[G_TICK0] + bid) * G[G_TICK_INT] + (ask - bid) * qb * G[G_TICK_INT] // max(qa + qb, 1)
        else:
            MP[n] = 0
        G[G_N_MP] = n + 1
        if end % SECOND_NS != 0:
            continue
        for i in range(G[G_N_TOUCHED]):
            level = K[i]
            row = G[G_N_TL]
            TL[row, 0] = end
            TL[row, 1] = level
            TL[row, 2] = L[level, L_QTY]
            TL[row, 3] = L[level, L_COUNT]
            for f in range(L_ADDED, L_OUT + 1):
                TL[row, f] = L[level, f]
                L[level, f] = 0
            G[G_N_TL] = row + 1
        G[G_N_TOUCHED] = 0
        G[G_WINDOW] += 1
        row = G[G_N_TW]
        TW[row, 0] = end
        TW[row, 1] = G[G_PHASE]
        TW[row, 2] = G[G_LAST_TRADE]
        TW[row, 3] = bid
        TW[row, 4] = ask
        TW[row, 5] = G[G_BUY]
        TW[row, 6] = G[G_SELL]
        TW[row, 7] = G[G_NONE]
        TW[row, 8] = G[G_TRADES]
        TW[row, 9] = G[G_EVENTS]
        TW[row, 10] = G[G_CROSSED]
        TW[row, 11] = G[G_N] - G[G_SECOND_N]
        TW[row, 12] = bid >= ask
        G[G_N_TW] = row + 1
        G[G_BUY] = G[G_SELL] = G[G_NONE] = 0
        G[G_TRADES] = G[G_EVENTS] = G[G_CROSSED] = 0
        _control(G, P, R)
        G[G_SECOND_N] = G[G_N]


@_helper
def _full(G, U, E, X, D, TL, TW, MP):  # type: ignore[no-untyped-def]
    """Which resource must be renewed before the next event, or DONE."""
    if (
        G[G_N] > E.shape[0] - RECORD_MARGIN
        or G[G_N_LOG] > X.shape[0] - RECORD_MARGIN
        or G[G_N_TL] > TL.shape[0] - 2 * LADDER_TICKS
        or G[G_N_TW] > TW.shape[0] - 80
        or G[G_N_MP] > MP.shape[0] - 320
    ):
        return NEED_DRAIN
    for c in range(CLASSES):
        if G[G_DRAW + c] > D.shape[1] - DRAW_MARGIN:
            return NEED_DRAWS
    if G[G_N_ITEM_FREE] < SLOT_MARGIN:
        return NEED_ITEMS
    if G[G_N_FREE] < SLOT_MARGIN:
        return NEED_SLOTS
    return DONE


@_helper
def _next_immigrant(G, D, T, P, R):  # type: ignore[no-untyped-def]
    """Time of the next flow event that no other event begot."""
    now = max(G[G_NOW], G[G_T_IMMIGRANT])
    for i in range(G[G_N_SILENT]):
        if G[G_SILENT + 2 * i] <= now < G[G_SILENT + 2 * i + 1]:
            now = G[G_SILENT + 2 * i + 1]
    second = min((now - G[G_T_BEGIN]) // SECOND_NS, R.shape[0] - 1)
    rate = max(R[second, R_TARGET] * R[second, R_SLOW] >> 8, 1)  # records per 1000 s
    gap = G[G_KAPPA] * 15_258_789 // rate  # kappa / 2^16 * 1e12 / rate
    t = now + 1 + ((_quantile(T, T_EXP, _uniform(G, D, C_ARRIVAL)) * min(gap, 1 << 38)) >> 16)
    # a gap drawn in a quiet second must not run over a busy one: look again when the rate has changed
    step = (second + 1) * SECOND_NS + G[G_T_BEGIN]
    while t > step and second + 1 < R.shape[0]:
        second += 1
        rate_2 = max(R[second, R_TARGET] * R[second, R_SLOW] >> 8, 1)
        if rate_2 != rate:
            t = step + min(t - step, 1 << 41) * rate // rate_2
            rate = rate_2
        step += SECOND_NS
    for i in range(G[G_N_SILENT]):
        if G[G_SILENT + 2 * i] <= t < G[G_SILENT + 2 * i + 1]:
            t += G[G_SILENT + 2 * i + 1] - G[G_SILENT + 2 * i]
    G[G_T_IMMIGRANT] = t


@_helper
def _flow(G, U, L, K, E, X, B, EV, D, T, P, R, S, H, Q, t, kind, sign):  # type: ignore[no-untyped-def]
    """One flow event of a kind, and its children."""
    geometric = P_GEO_A
    first = P_CHILD_A_ADD
    child_sign = -1
    if G[G_PHASE] == PHASE_CLOSED:
        return
    trading = G[G_PHASE] == PHASE_OPEN and G[G_BID] > 2 and G[G_ASK] < LADDER_TICKS - 3
    if kind == KIND_TRADE and trading:
        child_sign = _flow_trade(G, U, L, K, E, X, B, EV, D, T, P, R, S, H, Q, t, sign)
        geometric = P_GEO_T
        first = P_CHILD_T_ADD
    elif kind == KIND_CANCEL_TOUCH and trading:
        _flow_cancel(G, U, L, K, E, X, B, D, T, P, R, t, sign)
        geometric = P_GEO_C
    elif kind == KIND_MOVE and _flow_move(G, U, L, K, E, X, B, D, T, P, t):
        geometric = P_GEO_M
    else:
        _flow_add(G, U, L, K, E, X, B, D, T, P, R, H, Q, t)
    if G[G_PHASE] == PHASE_OPEN:
        _beget(G, D, T, P, H, Q, geometric, first, child_sign)


@_helper
def _due(G, U, L, K, E, X, B, EV, D, T, P, R, S, H, Q, item):  # type: ignore[no-untyped-def]
    """An item of the calendar queue has come due."""
    t = Q[item, Q_TIME]
    kind = Q[item, Q_KIND]
    a = Q[item, Q_A]
    b = Q[item, Q_B]
    _pop(G, H, Q, item)
    if kind <= KIND_CANCEL_TOUCH:
        _flow(G, U, L, K, E, X, B, EV, D, T, P, R, S, H, Q, t, kind, a)
    elif kind == KIND_CANCEL:
        if U[a, O_GEN] == b and U[a, O_ID] > 0:
            _begin(G, D, T, P, t, 0)
            _remove(G, U, L, K, E, X, B, a, END_CANCELLED)
            _end(G, E, FLAGS_END)
            if G[G_PHASE] == PHASE_OPEN and _uniform(G, D, C_CANCEL) < P[P_CLOCK_CHILD]:
                _beget(G, D, T, P, H, Q, P_GEO_C, P_CHILD_A_ADD, -1)
    elif kind == KIND_PLANT_ADD:
        _plant_add(G, U, L, K, E, X, D, T, P, S, t, a)
    elif kind == KIND_SCRIPT:
        _play(G, U, L, K, E, X, B, EV, D, T, P, R, S, H, Q, t, a)
    elif U[a, O_ID] > 0 and (b if kind == KIND_ERODE else b >> 16) == U[a, O_GEN]:
        tick = U[a, O_TICK]
        qty = U[a, O_QTY]
        if kind == KIND_ERODE:
            qty -= qty // 3
        else:
            shift = (b & 65535) - 32768
            tick += shift
            tick = min(tick, G[G_ASK] - 1) if U[a, O_SIDE] == 0 else max(tick, G[G_BID] + 1)
        if tick != U[a, O_TICK] or qty != U[a, O_QTY]:
            _begin(G, D, T, P, t, 0)
            _change(G, U, L, K, E, X, a, tick, qty)
            _end(G, E, FLAGS_END)


@_entry
def seed_book(G, U, L, K, B, H, Q, orders):  # type: ignore[no-untyped-def]
    """orders int64[n, 7]: side, tick, qty, owner, t_priority, pool (-1 none), t_cancel (0 never)."""
    for i in range(orders.shape[0]):
        slot = _new_order(G, U, orders[i, 0], orders[i, 1], orders[i, 2], 0, orders[i, 3])
        U[slot, O_T_PRIORITY] = orders[i, 4]
        _append(G, U, L, K, slot)
        if orders[i, 5] >= 0:
            _into_pool(G, U, B, slot, orders[i, 5])
        if orders[i, 6] > 0:
            _schedule(G, H, Q, orders[i, 6], KIND_CANCEL, slot, U[slot, O_GEN])


@_entry
def run(G, U, L, K, E, X, EV, D, T, P, R, S, H, Q, B, TL, TW, MP, t_stop):  # type: ignore[no-untyped-def]
    """Plays the market up to t_stop (exclusive) and closes the seconds that end by then.

    Returns DONE, or what the driver must renew before calling again; no event is ever cut.
    """
    while True:
        status = _full(G, U, E, X, D, TL, TW, MP)
        if status != DONE:
            return status
        if G[G_T_IMMIGRANT] <= G[G_NOW]:
            _next_immigrant(G, D, T, P, R)
        row = G[G_SCRIPT]
        t_script = S[row, S_TIME] if row < S.shape[0] else t_stop
        limit = min(min(G[G_T_IMMIGRANT], t_script), t_stop - 1)
        item = _peek(G, H, Q, limit)
        if item >= 0 and Q[item, Q_TIME] < t_script:
            t = max(Q[item, Q_TIME], G[G_NOW] + 1)
        elif t_script <= limit:
            item = -2
            t = max(t_script, G[G_NOW] + 1)
        elif G[G_T_IMMIGRANT] <= limit:
            item = -3
            t = max(G[G_T_IMMIGRANT], G[G_NOW] + 1)
        else:
            t = t_stop
        if t >= G[G_NEXT_ROLL]:
            # at most a minute of closed seconds at a time: the truth buffers have to be drained
            if t > G[G_NEXT_ROLL] + 60 * SECOND_NS:
                _roll(G, L, K, P, R, TL, TW, MP, G[G_NEXT_ROLL] + 60 * SECOND_NS)
                continue
            _roll(G, L, K, P, R, TL, TW, MP, t)
        if t >= t_stop:
            return DONE
        G[G_NOW] = max(G[G_NOW], t - 1)  # also when nothing comes of it: nobody may plan for the past
        if item == -2:
            G[G_SCRIPT] = row + 1
            _play(G, U, L, K, E, X, B, EV, D, T, P, R, S, H, Q, t, row)
        elif item == -3:
            _next_immigrant(G, D, T, P, R)
            u = _uniform(G, D, C_ARRIVAL)
            second = _second(G)
            kind = KIND_CANCEL_TOUCH
            theta = (P[P_KIND_T] * R[min(second, R.shape[0] - 1), R_THETA]) >> 8
            if u < theta:
                kind = KIND_TRADE
            elif u < theta + P[P_KIND_A]:
                kind = KIND_ADD
            elif u < theta + P[P_KIND_A] + P[P_KIND_M]:
                kind = KIND_MOVE
            _flow(G, U, L, K, E, X, B, EV, D, T, P, R, S, H, Q, t, kind, -1)
        else:
            _due(G, U, L, K, E, X, B, EV, D, T, P, R, S, H, Q, item)
