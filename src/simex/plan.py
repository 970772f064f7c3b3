"""The day plan: phases, rates by time of day, the latent price, and where the plants stand.

Everything here is computed before the market runs, from the seed alone, with integer or exactly rounded
arithmetic.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from simex import futures_kernel as k
from simex import laws
from simex.feed import SECOND_NS

Ints = npt.NDArray[np.int64]

HOUR: Final = 3_600
CLOSE_S: Final = 22 * HOUR
PRE_OPEN_S: Final = 22 * HOUR + 45 * 60
OPEN_S: Final = 23 * HOUR
DAY_S: Final = 24 * HOUR
NIGHT_RATE: Final = 16.4
"""records per second of the real hour; lifetimes and volatility scale from here"""

# records per second of the front contract by second of the UTC day (exchange.md A3, winter: UTC = ET + 5 h)
RATES: Final = (
    (0, 20.0),
    (7 * HOUR, 60.0),
    (10 * HOUR, 80.0),
    (13 * HOUR, 150.0),
    (14 * HOUR + 1800, 1500.0),
    (14 * HOUR + 1860, 700.0),
    (15 * HOUR, 400.0),
    (16 * HOUR, 220.0),
    (18 * HOUR, 120.0),
    (20 * HOUR + 1800, 330.0),
    (21 * HOUR - 10, 2000.0),
    (21 * HOUR, 30.0),
    (22 * HOUR, 0.0),
    (PRE_OPEN_S, 1.5),
    (OPEN_S, 300.0),
    (OPEN_S + 2, 40.0),
    (OPEN_S + 60, 20.0),
)
RELEASES_S: Final = (13 * HOUR + 1800, 15 * HOUR)
"""08:30 and 10:00 in New York"""


@dataclass(frozen=True)
class Span:
    """The stretch of one UTC day that is simulated, in seconds of the day."""

    date: dt.date
    start_s: int
    end_s: int

    @property
    def midnight_ns(self) -> int:
        """00:00 UTC of the date."""
        stamp = dt.datetime(self.date.year, self.date.month, self.date.day, tzinfo=dt.UTC)
        return int(stamp.timestamp()) * SECOND_NS

    @property
    def start_ns(self) -> int:
        """First nanosecond."""
        return self.midnight_ns + self.start_s * SECOND_NS

    @property
    def end_ns(self) -> int:
        """First nanosecond after."""
        return self.midnight_ns + self.end_s * SECOND_NS


def phase_at(second: int) -> int:
    """Phase of the exchange at a second of the UTC day (Monday to Thursday in winter)."""
    if CLOSE_S <= second < PRE_OPEN_S:
        return k.PHASE_CLOSED
    return k.PHASE_PRE_OPEN if PRE_OPEN_S <= second < OPEN_S else k.PHASE_OPEN


def rate_at(second: int) -> float:
    """Planned records per second of the front contract."""
    rate = 0.0
    for start, value in RATES:
        if second >= start:
            rate = value
    if any(release <= second < release + 2 for release in RELEASES_S):
        rate *= 6.0
    return rate


def _normals(seed: int, stream: int, n: int) -> Ints:
    """int64[n] standard normal values in 2^-16."""
    raw = np.random.PCG64(np.random.SeedSequence([seed, 0xA7E, stream])).random_raw(n) >> np.uint64(54)
    table = laws.normal_table(0.0, 65_536.0)
    return np.asarray(table[raw.astype(np.int64)])


def rates(
    span: Span,
    seed: int,
    stream: int,
    *,
    warm_s: int,
    factor: float,
    share: float = 1.0,
    drift: bool = False,
    volatility: float = 1.0,
    bursts: tuple[int, ...] = (),
) -> Ints:
    """int64[seconds + 1, R_FIELDS] from `warm_s` before the span on.

    share scales the records of a lesser contract; drift adds the long slide of the `session` preset;
    bursts are seconds of the day with 5,000 records.
    """
    n = span.end_s - span.start_s + warm_s
    seconds = np.arange(span.start_s - warm_s, span.end_s + 1)
    plain = np.array([rate_at(max(s, span.start_s)) for s in seconds.tolist()])
    out = np.zeros((n + 1, k.R_FIELDS), dtype=np.int64)
    out[:, k.R_TARGET] = np.round(plain * share * factor * 1000).astype(np.int64)
    for second in bursts:
        out[second - span.start_s + warm_s, k.R_TARGET] = 5_000_000
    busy = np.maximum(plain * share, 0.5)
    near = np.minimum(NIGHT_RATE / busy, 4.0)
    out[:, k.R_LIFE_NEAR] = np.round(near * 65_536).astype(np.int64)
    out[:, k.R_LIFE_DEEP] = np.round(np.sqrt(near) * 65_536).astype(np.int64)
    out[:, k.R_THETA] = 256
    for release in RELEASES_S:
        hot = (seconds >= release) & (seconds < release + 2)
        out[hot, k.R_THETA] = 1024
    # slow ups and downs of activity: an autoregression over a minute, as a factor between 1/4 and 4
    grid = [round(256 * laws.exp(0.05 * (i - 32))) for i in range(65)]
    shocks = _normals(seed, 2 * stream, n + 1).tolist()
    level = 0
    for i, shock in enumerate(shocks):
        level = level * 59 // 60 + shock * 11 // 60
        out[i, k.R_SLOW] = grid[max(0, min(64, 32 + level * 9 // 65_536))]
    # latent price in 1/16 tick: a random walk, 0.312 ticks per root second at night
    sixteenths = np.sqrt(np.maximum(plain, 1.0) / NIGHT_RATE) * (0.312 * 16.0) * volatility
    steps = _normals(seed, 2 * stream + 1, n + 1) * np.round(sixteenths * 256).astype(np.int64) >> 16
    for release, jump in zip(RELEASES_S, (14, -22), strict=True):
        steps[seconds == release] += jump * 16 * 256
    quiet = np.array([phase_at(max(s, span.start_s)) != k.PHASE_OPEN for s in seconds.tolist()])
    steps[quiet] = 0
    if drift:
        slide = (seconds >= 15 * HOUR) & (seconds < 20 * HOUR)
        steps[slide] -= 720 * 16 * 256 // (5 * HOUR)
    walk = np.cumsum(steps) >> 8
    bound = (k.LADDER_TICKS // 2 - 1100) * 16
    out[:, k.R_LATENT] = (k.LADDER_TICKS // 2) * 16 + 8 + np.clip(walk, -bound, bound)
    return out
