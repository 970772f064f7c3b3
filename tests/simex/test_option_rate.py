"""How often the makers of the whole chain speak in cash hours (exchange.md B4, "rate check")."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from simex import options, plan
from simex.feed import ESH6

SECONDS = 240
MOVE_POINTS = (0.1, 0.2)
"""standard deviation of the future's change in a second, as a random walk"""


@pytest.mark.parametrize("move", MOVE_POINTS)
def test_650_options_speak_300_to_2000_times_a_second_in_cash_hours(move: float) -> None:
    begin = 19 * 3600
    span = plan.Span(dt.date(2026, 1, 6), begin, begin + SECONDS)
    rng = np.random.default_rng(7)
    walk = np.cumsum(rng.normal(0.0, move / 2.0, 4 * SECONDS))
    microprice = ESH6.centre_price_int + (np.round(walk * 16) / 16 * 1e9).astype(np.int64)
    chain = options.build_chain(span, "session", 7)
    path = options.model_path(span, microprice, 7, "session")
    market = options.OptionMarket(chain, path, span, "session", 7)
    records = sum(len(words) for words in market.play())
    assert 300 <= records / SECONDS <= 2_000, records / SECONDS
