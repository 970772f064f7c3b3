"""The exchange of an option chain: three makers per instrument around a Black-76 model, and takers.

Each quarter second is a model step: a forward, a volatility level, a time to expiry. Makers whose theoretical
value has moved requote inside the step, first the side that the market runs towards, so that an instrument
never crosses itself; then come heartbeats, replacements and trades. Order ids count per instrument: they
repeat across the chain, as real ones do.

exp, ln and the normal distribution are written out in basic operations, which every machine rounds alike;
prices are whole multiples of 0.05, so the bytes do not hang on a maths library.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, Final

from numba import types

import kernel_compiler

_INTS: Final = types.int64
_FLOATS: Final = types.float64
_TYPES: Final[dict[str, Any]] = (
    {
        "g": _INTS[::1],
        "weights": _INTS[::1],
        "wanted": _INTS[::1],
        "x": _FLOATS[::1],
        "truth": _FLOATS[:, :, ::1],
    }
    | dict.fromkeys(("instruments", "quotes", "draws", "tables", "records"), _INTS[:, ::1])
    | dict.fromkeys(("model", "steps"), _FLOATS[:, ::1])
    | dict.fromkeys(("value", "forward", "level"), _FLOATS)
)


def _types(function: Callable[..., Any]) -> tuple[Any, ...]:
    """Argument types by name, any other name an int64."""
    return tuple(_TYPES.get(name, _INTS) for name in inspect.signature(function).parameters)


def _kernel(function: Callable[..., Any]) -> Any:
    """A kernel that the driver calls."""
    return kernel_compiler.entry(_types(function), nogil=True)(function)


def _helper(function: Callable[..., Any]) -> Any:
    """A kernel that only other kernels call."""
    return kernel_compiler.helper(_types(function), nogil=True)(function)


STEP_NS: Final = 250_000_000
STEPS_PER_SECOND: Final = 4
CARRY_STEPS: Final = 60 * STEPS_PER_SECOND
"""while a side is missing, a middle counts for 60 s"""
TRUTH_FIELDS: Final = 14
MAKERS: Final = 3
NICKEL_INT: Final = 50_000_000
"""0.05 points, the unit of prices here"""
DEEP_POINTS: Final = 130.0
"""an option worth more moves with the future: its makers requote after `DEEP_PATIENCE`, however wide"""
DEEP_PATIENCE: Final = 0.125
"""half a tick, in points"""
WIDE_FROM: Final = 200
"""10.00 points: from here on the tick is 0.25"""

# --- g: scalars
G_NOW, G_RECV, G_SEQ, G_N, G_STEP, G_EVENTS = range(6)
G_DRAW: Final = 8
C_MAKER, C_TAKER, C_FEED = range(3)
CLASSES: Final = 3
# --- instruments int64[n, I_FIELDS]
I_ID, I_W0, I_KIND, I_NEXT_ID, I_STRIKE, I_RIGHT, I_EXPIRY, I_OPEN_INTEREST = range(8)
I_FIELDS: Final = 8
KIND_CHAIN, KIND_OTHER_EXPIRY, KIND_SPREAD = range(3)
# --- quotes int64[n * 6, U_FIELDS], row = (instrument * 2 + side) * MAKERS + maker
U_PRICE, U_SIZE, U_ID, U_T = range(4)
U_FIELDS: Final = 4
# --- model float64[n, M_FIELDS]
M_THEO, M_QUOTED, M_HALF, M_SIGMA, M_DELTA, M_GAMMA, M_VEGA, M_TAU, M_MID, M_MID_STEP = range(10)
M_FIELDS: Final = 10
"""M_MID, M_MID_STEP: middle of the last quote with two sides at a second's end (0: none yet), and its step"""
# --- parameters float64
X_RATE, X_DSIGMA, X_FUTURES_HALF, X_SLOPE, X_CURVE, X_FLOOR, X_TRADES_PER_STEP = range(7)
X_SIZE: Final = 7
# --- steps float64[n, 3]
S_FORWARD, S_LEVEL, S_PULL = range(3)
T_EXP, T_LATENCY, T_DELTA, T_GAP = range(4)

DONE, NEED_DRAIN, NEED_DRAWS = range(3)
SIDE_BID: Final = 0
SIDE_ASK: Final = 1
YEAR_NS: Final = 86_400.0 * 365.0 * 1e9
CHANNEL: Final = 1
FLAGS_END: Final = 130
ACTION_A: Final = 65
ACTION_C: Final = 67
ACTION_F: Final = 70
ACTION_M: Final = 77
ACTION_T: Final = 84


@_helper
def exp_exact(value):  # type: ignore[no-untyped-def]
    """e^value from additions, multiplications and powers of two; relative error < 1e-15 for |value| < 700."""
    if value < -700.0:
        return 0.0
    n = math.floor(value * 1.4426950408889634 + 0.5)
    r = (value - n * 0.6931471803691238) - n * 1.9082149292705877e-10
    total = 1.0
    for i in range(16, 0, -1):
        total = 1.0 + total * r / i
    return math.ldexp(total, int(n))


@_helper
def log_exact(value):  # type: ignore[no-untyped-def]
    """ln value for value > 0 from the series of artanh; relative error below 1e-15."""
    m, e = math.frexp(value)
    if m < 0.7071067811865476:
        m *= 2.0
        e -= 1
    z = (m - 1.0) / (m + 1.0)
    z2 = z * z
    total = 0.0
    for i in range(25, 0, -2):
        total = total * z2 + 1.0 / i
    return 2.0 * z * total + e * 0.6931471803691238 + e * 1.9082149292705877e-10


@_helper
def normal_cdf(value):  # type: ignore[no-untyped-def]
    """Standard normal distribution function (Hart's rational approximation as given by West, 1e-15)."""
    a = abs(value)
    if a > 37.0:
        tail = 0.0
    else:
        e = exp_exact(-a * a / 2.0)
        if a < 7.07106781186547:
            top = 3.52624965998911e-02 * a + 0.700383064443688
            top = top * a + 6.37396220353165
            top = top * a + 33.912866078383
            top = top * a + 112.079291497871
            top = top * a + 221.213596169931
            top = top * a + 220.206867912376
            low = 8.83883476483184e-02 * a + 1.75566716318264
            low = low * a + 16.064177579207
            low = low * a + 86.7807322029461
            low = low * a + 296.564248779674
            low = low * a + 637.333633378831
            low = low * a + 793.826512519948
            low = low * a + 440.413735824752
            tail = e * top / low
        else:
            b = a + 0.65
            b = a + 4.0 / b
            b = a + 3.0 / b
            b = a + 2.0 / b
            b = a + 1.0 / b
            tail = e / b / 2.506628274631
    return 1.0 - tail if value > 0.0 else tail


@_helper
def _price_all(instruments, model, forward, level, t_ns, x):  # type: ignore[no-untyped-def]
    """Fills theo, sigma, greeks and half spread of every instrument for one model step."""
    for i in range(instruments.shape[0]):
        if instruments[i, I_KIND] == KIND_SPREAD:
            model[i, M_THEO] = 5.0 + (forward - math.floor(forward)) * 0.2
            model[i, M_HALF] = 0.3
            continue
        strike = instruments[i, I_STRIKE] * 1e-9
        call = instruments[i, I_RIGHT] == 0
        tau = (instruments[i, I_EXPIRY] - t_ns) / YEAR_NS
        fresh = model[i, M_TAU] == 0.0
        model[i, M_TAU] = tau
        if (
            tau <= 0.0
        ):  # expired: the last quotes stay up and widen; a chain that starts expired shows intrinsic
            if fresh:
                model[i, M_THEO] = max(forward - strike, 0.0) if call else max(strike - forward, 0.0)
            model[i, M_HALF] = 2.0
            model[i, M_SIGMA] = model[i, M_GAMMA] = model[i, M_VEGA] = model[i, M_DELTA] = 0.0
            continue
        root = math.sqrt(tau)
        ln_fk = log_exact(forward / strike)
        k = max(-8.0, min(8.0, -ln_fk / root))
        sigma = max(level + x[X_SLOPE] * k + x[X_CURVE] * k * k, x[X_FLOOR])
        spread = sigma * root
        d1 = (ln_fk + 0.5 * spread * spread) / spread
        d2 = d1 - spread
        discount = exp_exact(-x[X_RATE] * tau)
        density = 0.3989422804014327 * exp_exact(-0.5 * d1 * d1)
        if call:
            theo = discount * (forward * normal_cdf(d1) - strike * normal_cdf(d2))
            delta = discount * normal_cdf(d1)
        else:
            theo = discount * (strike * normal_cdf(-d2) - forward * normal_cdf(-d1))
            delta = -discount * normal_cdf(-d1)
        vega = discount * forward * density * root
        model[i, M_THEO] = max(theo, 0.0)
        model[i, M_SIGMA] = sigma
        model[i, M_DELTA] = delta
        model[i, M_GAMMA] = discount * density / (forward * spread)
        model[i, M_VEGA] = vega
        tick = 0.05 if theo < 10.0 else 0.25
        half = 0.02 * theo + 0.15 * vega * x[X_DSIGMA] + 0.25 * abs(delta) * x[X_FUTURES_HALF]
        model[i, M_HALF] = max(half, tick / 2.0)


@_helper
def _floor_nickels(value):  # type: ignore[no-untyped-def]
    """Largest legal price not above value, in nickels; 0 if there is none."""
    n = math.floor(value * 20.0 + 1e-9)
    if n > WIDE_FROM:
        n -= n % 5
    return max(int(n), 0)


@_helper
def _ceil_nickels(value):  # type: ignore[no-untyped-def]
    """Smallest legal price not below value, in nickels, at least one."""
    n = math.ceil(value * 20.0 - 1e-9)
    if n > WIDE_FROM:
        n += (-n) % 5
    return max(int(n), 1)


@_helper
def _target(model, i, side, maker):  # type: ignore[no-untyped-def]
    """Price that a maker wants to show, in nickels (0: no bid)."""
    half = model[i, M_HALF] * (1.0 + 0.22 * maker)
    if side == 0:
        return _floor_nickels(model[i, M_QUOTED] - half)
    return _ceil_nickels(model[i, M_QUOTED] + half)


@_helper
def _patience(model, i):  # type: ignore[no-untyped-def]
    """Change of the value, in points, after which the makers of an option requote."""
    if model[i, M_THEO] > DEEP_POINTS:
        return DEEP_PATIENCE
    tick = 0.05 if model[i, M_QUOTED] < 10.0 else 0.25
    return max(tick / 2.0, model[i, M_HALF] * 0.35)


@_helper
def _draw(g, draws, c):  # type: ignore[no-untyped-def]
    at = g[G_DRAW + c]
    g[G_DRAW + c] = at + 1
    return draws[c, at]


@_helper
def _begin(g, draws, tables, mean_gap, limit):  # type: ignore[no-untyped-def]
    """Opens an event a little later than the last one, never beyond the limit of its step."""
    u = _draw(g, draws, C_FEED)
    gap = 150 + ((tables[T_EXP, u >> 22] * mean_gap) >> 16)
    if g[G_NOW] + gap > limit:
        gap = 1 + (u & 63)
    g[G_NOW] += gap
    u = _draw(g, draws, C_FEED)
    recv = g[G_NOW] + 85_000 + tables[T_LATENCY, u >> 22]
    g[G_RECV] = max(g[G_RECV], recv)
    g[G_SEQ] += 1 + tables[T_GAP, (u & 1023)]
    g[G_EVENTS] += 1


@_helper
def _emit(g, records, instruments, tables, i, action, side, order_id, nickels, size, flags):  # type: ignore[no-untyped-def]
    n = g[G_N]
    records[n, 0] = instruments[i, I_W0]
    records[n, 1] = g[G_NOW]
    records[n, 2] = order_id
    records[n, 3] = nickels * NICKEL_INT
    records[n, 4] = size | (flags << 32) | (CHANNEL << 40) | (action << 48) | ((66 - side) << 56)
    records[n, 5] = g[G_RECV]
    records[n, 6] = tables[T_DELTA, (g[G_SEQ] * 131) & 1023] | (g[G_SEQ] << 32)
    g[G_N] = n + 1


@_helper
def _show(g, records, instruments, quotes, model, draws, tables, i, side, maker, size, mean_gap, limit):  # type: ignore[no-untyped-def]
    """Brings one quote to its target price: M, or A where none stands, or C where none is wanted."""
    row = (i * 2 + side) * MAKERS + maker
    target = _target(model, i, side, maker)
    price = quotes[row, U_PRICE]
    if target == price and (target == 0 or size == quotes[row, U_SIZE]):
        return
    _begin(g, draws, tables, mean_gap, limit)
    action = ACTION_M
    shown = target
    if target == 0:
        action = ACTION_C
        shown = price
        size = quotes[row, U_SIZE]
    elif price == 0:
        action = ACTION_A
        instruments[i, I_NEXT_ID] += 1
        quotes[row, U_ID] = instruments[i, I_NEXT_ID]
    _emit(g, records, instruments, tables, i, action, side, quotes[row, U_ID], shown, size, FLAGS_END)
    if target != price or size > quotes[row, U_SIZE]:
        quotes[row, U_T] = g[G_NOW]
    quotes[row, U_PRICE] = target
    quotes[row, U_SIZE] = size


@_helper
def _take(g, records, instruments, quotes, draws, tables, i, side, want, mean_gap, limit):  # type: ignore[no-untyped-def]
    """A marketable order of `side` eats the best price of the other side: T, F.., then C or M."""
    other = 1 - side
    best = 0
    total = 0
    for maker in range(MAKERS):
        price = quotes[(i * 2 + other) * MAKERS + maker, U_PRICE]
        if price > 0 and (best == 0 or (price > best if other == 0 else price < best)):
            best = price
    for maker in range(MAKERS):
        if quotes[(i * 2 + other) * MAKERS + maker, U_PRICE] == best:
            total += quotes[(i * 2 + other) * MAKERS + maker, U_SIZE]
    want = min(want, total - 1)  # a side never vanishes by trading: makers would not leave it bare
    if best == 0 or want < 1:
        return
    _begin(g, draws, tables, mean_gap, limit)
    instruments[i, I_NEXT_ID] += 1
    trade = g[G_N]
    _emit(g, records, instruments, tables, i, ACTION_T, side, instruments[i, I_NEXT_ID], best, 0, 0)
    left = want
    first = -1
    second = -1
    third = -1
    taken_0 = 0
    taken_1 = 0
    taken_2 = 0
    for turn in range(MAKERS):
        pick = -1
        for maker in range(MAKERS):
            row = (i * 2 + other) * MAKERS + maker
            if quotes[row, U_PRICE] == best and row != first and row != second:
                earlier = pick < 0 or quotes[row, U_T] < quotes[pick, U_T]
                if earlier:
                    pick = row
        if pick < 0 or left == 0:
            break
        f = min(left, quotes[pick, U_SIZE])
        left -= f
        _emit(g, records, instruments, tables, i, ACTION_F, other, quotes[pick, U_ID], best, f, 0)
        if turn == 0:
            first = pick
            taken_0 = f
        elif turn == 1:
            second = pick
            taken_1 = f
        else:
            third = pick
            taken_2 = f
    records[trade, 4] += want - left
    g[G_RECV] += 9_000
    g[G_SEQ] += 1
    for turn in range(MAKERS):
        row = first if turn == 0 else second if turn == 1 else third
        f = taken_0 if turn == 0 else taken_1 if turn == 1 else taken_2
        if row < 0:
            continue
        size = quotes[row, U_SIZE]
        if f == size:
            _emit(g, records, instruments, tables, i, ACTION_C, other, quotes[row, U_ID], best, size, 0)
            quotes[row, U_PRICE] = 0
            quotes[row, U_SIZE] = 0
        else:
            _emit(g, records, instruments, tables, i, ACTION_M, other, quotes[row, U_ID], best, size - f, 0)
            quotes[row, U_SIZE] = size - f
    records[g[G_N] - 1, 4] |= FLAGS_END << 32


@_helper
def _size(u, spread_kind):  # type: ignore[no-untyped-def]
    """Lots of a quote: 1 to 10 near expiry, 20 to 130 for longer dates."""
    return 1 + u % 10 if spread_kind != KIND_OTHER_EXPIRY else 20 + u % 111


@_kernel
def price_all(instruments, model, forward, level, t_ns, x):  # type: ignore[no-untyped-def]
    """Fills theo, sigma, greeks and half spread of every instrument for one model step."""
    _price_all(instruments, model, forward, level, t_ns, x)


@_kernel
def open_quotes(g, instruments, quotes, model, draws, t_ns):  # type: ignore[no-untyped-def]
    """The chain's book at the start: every maker stands at his target, quotes are 2 s to 60 s old."""
    for i in range(instruments.shape[0]):
        model[i, M_QUOTED] = model[i, M_THEO]
        for side in range(2):
            for maker in range(MAKERS):
                row = (i * 2 + side) * MAKERS + maker
                target = _target(model, i, side, maker)
                u = _draw(g, draws, C_MAKER)
                if target > 0:
                    instruments[i, I_NEXT_ID] += 1
                    quotes[row, U_PRICE] = target
                    quotes[row, U_SIZE] = _size(u, instruments[i, I_KIND])
                    quotes[row, U_ID] = instruments[i, I_NEXT_ID]
                    quotes[row, U_T] = t_ns - 2_000_000_000 - (u & 0xFFFF) * 900_000 - row


@_helper
def _look(quotes, model, forward, t0, step, out, truth):  # type: ignore[no-untyped-def]
    """The best quote of each instrument at a second's end; truth[out] is filled where out >= 0."""
    for i in range(model.shape[0]):
        bid = 0
        ask = 0
        bid_size = 0
        ask_size = 0
        for maker in range(MAKERS):
            row = i * 6 + maker
            if quotes[row, U_PRICE] > bid:
                bid = quotes[row, U_PRICE]
                bid_size = 0
            if bid > 0 and quotes[row, U_PRICE] == bid:
                bid_size += quotes[row, U_SIZE]
            row += MAKERS
            price = quotes[row, U_PRICE]
            if price > 0 and (ask == 0 or price < ask):
                ask = price
                ask_size = 0
            if price > 0 and price == ask:
                ask_size += quotes[row, U_SIZE]
        mid = 0.0
        if 0 < bid < ask:
            mid = (bid + ask) * 0.025
            model[i, M_MID] = mid
            model[i, M_MID_STEP] = step
        elif (bid == 0 or ask == 0) and step - model[i, M_MID_STEP] <= CARRY_STEPS:
            mid = model[i, M_MID]
        if out < 0:
            continue
        truth[out, i, 0] = forward
        truth[out, i, 1] = model[i, M_TAU]
        truth[out, i, 2] = model[i, M_SIGMA]
        truth[out, i, 3] = model[i, M_THEO]
        truth[out, i, 4] = bid * 0.05
        truth[out, i, 5] = ask * 0.05
        truth[out, i, 6] = bid_size
        truth[out, i, 7] = ask_size
        truth[out, i, 8] = model[i, M_DELTA]
        truth[out, i, 9] = model[i, M_GAMMA]
        truth[out, i, 10] = model[i, M_VEGA]
        truth[out, i, 11] = t0
        truth[out, i, 12] = mid
        truth[out, i, 13] = (step - model[i, M_MID_STEP]) / STEPS_PER_SECOND if mid > 0.0 else 0.0


@_kernel
def run(  # type: ignore[no-untyped-def]
    g, instruments, quotes, model, draws, tables, steps, x, weights, t_begin, stop, records, wanted, truth
):
    """Plays the steps from g[G_STEP] up to stop; returns DONE or what to renew.

    wanted int64[steps]: row of `truth` to fill at the end of a step, or -1. truth float64[rows, n, 12]:
    forward, tau, sigma, theo, bid, ask, bid size, ask size, delta, gamma, vega, model time.
    weights int64[n]: running sum of the takers' interest.
    """
    n = instruments.shape[0]
    while g[G_STEP] < stop:
        if g[G_N] > records.shape[0] - 32 * n - 1024:
            return NEED_DRAIN
        for c in range(CLASSES):
            if g[G_DRAW + c] > draws.shape[1] - 32 * n - 1024:
                return NEED_DRAWS
        step = g[G_STEP]
        t0 = t_begin + step * STEP_NS
        limit = t0 + 235_000_000
        g[G_NOW] = max(g[G_NOW], t0 + 180_000)
        forward = steps[step, S_FORWARD]
        if (
            step == 0
            or step % 4 == 0
            or forward != steps[step - 1, S_FORWARD]
            or steps[step, S_LEVEL] != steps[step - 1, S_LEVEL]
        ):
            _price_all(instruments, model, forward, steps[step, S_LEVEL], t0, x)
        pull = steps[step, S_PULL] > 0.0
        moved = 0
        for i in range(n):
            if abs(model[i, M_THEO] - model[i, M_QUOTED]) > _patience(model, i):
                moved += 1
        mean_gap = min(150_000_000 // (6 * moved + 8 + n // 4), 4_000_000)
        start = _draw(g, draws, C_MAKER) % n
        for turn in range(3):
            for at in range(n):
                i = (at * 7 + start) % n if n % 7 != 0 else (at * 11 + start) % n
                if pull:
                    if turn == 0 and instruments[i, I_KIND] == KIND_CHAIN:
                        for row in range(i * 6, i * 6 + 6):
                            if quotes[row, U_PRICE] > 0:
                                _begin(g, draws, tables, mean_gap, limit)
                                side = (row // MAKERS) & 1
                                _emit(
                                    g, records, instruments, tables, i, ACTION_C, side, quotes[row, U_ID],
                                    quotes[row, U_PRICE], quotes[row, U_SIZE], FLAGS_END,
                                )  # fmt: skip
                                quotes[row, U_PRICE] = 0
                                quotes[row, U_SIZE] = 0
                    continue
                change = model[i, M_THEO] - model[i, M_QUOTED]
                if turn < 2 and abs(change) > _patience(model, i):
                    side = 1 if (change > 0.0) == (turn == 0) else 0
                    before = model[i, M_QUOTED]
                    model[i, M_QUOTED] = model[i, M_THEO]
                    for maker in range(MAKERS):
                        u = _draw(g, draws, C_MAKER)
                        size = _size(u, instruments[i, I_KIND])
                        _show(
                            g,
                            records,
                            instruments,
                            quotes,
                            model,
                            draws,
                            tables,
                            i,
                            side,
                            maker,
                            size,
                            mean_gap,
                            limit,
                        )
                    if turn == 0:
                        model[i, M_QUOTED] = before
                elif turn == 2:
                    for row in range(6):
                        side = row // MAKERS
                        u = _draw(g, draws, C_MAKER)
                        absent = quotes[i * 6 + row, U_PRICE] == 0
                        if absent or u % 80 == 7:
                            size = _size(u >> 8, instruments[i, I_KIND])
                            _show(
                                g, records, instruments, quotes, model, draws, tables, i, side, row % MAKERS,
                                size, mean_gap, limit,
                            )  # fmt: skip
        u = _draw(g, draws, C_TAKER)
        chance = x[X_TRADES_PER_STEP] * 4294967296.0
        while u < chance and not pull and t0 < instruments[0, I_EXPIRY]:
            w = _draw(g, draws, C_TAKER) * weights[n - 1] >> 32
            i = 0
            while weights[i] <= w:
                i += 1
            v = _draw(g, draws, C_TAKER)
            _take(
                g, records, instruments, quotes, draws, tables, i, v & 1, 1 + (v >> 3) % 10, mean_gap, limit
            )
            u = _draw(g, draws, C_TAKER)
        if step % STEPS_PER_SECOND == STEPS_PER_SECOND - 1:
            _look(quotes, model, forward, t0, step, wanted[step], truth)
        g[G_STEP] = step + 1
    return DONE
