"""Black-76 in plain scalars, written down independently of the option kernel: the judge of IV and GEX.

Nothing here is fast. Formulas: d1 = (ln(F/K) + v^2 T/2) / (v sqrt T), d2 = d1 - v sqrt T,
C = D (F N(d1) - K N(d2)), P = D (K N(-d2) - F N(-d1)), D = exp(-r T), gamma = D phi(d1) / (F v sqrt T).
"""

from __future__ import annotations

import math
from typing import Final

VOL_LOW: Final = 1e-6
VOL_HIGH: Final = 5.0


def _cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def price(right: str, forward: float, strike: float, tau: float, vol: float, rate: float) -> float:
    """Value of a European option on a future, in points."""
    discount = math.exp(-rate * tau)
    spread = vol * math.sqrt(tau)
    d1 = math.log(forward / strike) / spread + 0.5 * spread
    d2 = d1 - spread
    if right == "C":
        return discount * (forward * _cdf(d1) - strike * _cdf(d2))
    return discount * (strike * _cdf(-d2) - forward * _cdf(-d1))


def gamma(forward: float, strike: float, tau: float, vol: float, rate: float) -> float:
    """Second derivative by the forward, per point."""
    spread = vol * math.sqrt(tau)
    d1 = math.log(forward / strike) / spread + 0.5 * spread
    return math.exp(-rate * tau) * math.exp(-0.5 * d1 * d1) / math.sqrt(2.0 * math.pi) / (forward * spread)


def implied_vol(
    right: str, mid: float, forward: float, strike: float, tau: float, rate: float, guess: float = 0.2
) -> float | None:
    """Volatility whose price is `mid`, or None when none in [1e-6, 5] gives it. Bracketed Newton."""
    discount = math.exp(-rate * tau)
    intrinsic = discount * max(forward - strike if right == "C" else strike - forward, 0.0)
    if mid <= intrinsic:
        return None
    low, high = VOL_LOW, VOL_HIGH
    if price(right, forward, strike, tau, high, rate) < mid:
        return None
    root = math.sqrt(tau)
    moneyness = math.log(forward / strike)
    vol = min(max(guess, 1e-3), 4.9)
    for _ in range(200):
        spread = vol * root
        d1 = moneyness / spread + 0.5 * spread
        d2 = d1 - spread
        if right == "C":
            value = discount * (forward * _cdf(d1) - strike * _cdf(d2))
        else:
            value = discount * (strike * _cdf(-d2) - forward * _cdf(-d1))
        error = value - mid
        if abs(error) < 1e-13 * max(mid, 1.0):
            break
        if error > 0.0:
            high = vol
        else:
            low = vol
        vega = discount * forward * root * math.exp(-0.5 * d1 * d1) / math.sqrt(2.0 * math.pi)
        step = vol - error / vega if vega > 1e-300 else -1.0
        new = step if low < step < high else 0.5 * (low + high)
        if new == vol or high - low < 1e-15:
            break
        vol = new
    return vol
