"""Two public libraries as oracles for Black-76: QuantLib and vollib, and a grid to ask them on.

The grid goes from 30 seconds to 250 days and from eight standard deviations in the money to eight out of it.
Books take prices in whole 1e-9 points, so a quote is put symmetrically around the oracle's price, and what is
asked is the volatility of the middle as it stands in the book.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import QuantLib as ql
from vollib.black import black
from vollib.black.greeks import analytical

from tests.naive.option_gamma import Contract, Figure, Window
from tests.naive.records import ASK, BID, Rec
from tests.option_strategies import OptionCase
from tests.strategies import BASE_NS, EVENT_END, RECV_DELAY_NS, SECOND

SCALE = 1_000_000_000
YEAR_S = 86_400 * 365
SECONDS_TO_EXPIRY = (30, 60, 300, 3_600, 6 * 3_600, 86_400, 7 * 86_400, 30 * 86_400, 250 * 86_400)
DEVIATIONS = (-8.0, -5.0, -3.0, -2.0, -1.0, -0.5, -0.1, 0.0, 0.1, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0)
VOLS = (0.03, 0.15, 0.8, 2.5)
LOW_STRIKE_INT, HIGH_STRIKE_INT = 100 * SCALE, 20_000 * SCALE
"""the listed strikes of the chain go from 100 to 10,100"""
FORWARD_INT = 6_900 * SCALE + 250_000_000


class Greeks(NamedTuple):
    """Price in points and its derivatives by the forward and the volatility."""

    price: float
    delta: float
    gamma: float
    vega: float


class Point(NamedTuple):
    """A place of the grid: strike in 1e-9 points, whole seconds to expiry, volatility, rate."""

    right: str
    strike_int: int
    seconds: int
    vol: float
    rate: float = 0.05

    @property
    def years(self) -> float:
        return self.seconds / YEAR_S

    @property
    def strike(self) -> float:
        return self.strike_int / SCALE


def grid(right: str, rate: float = 0.05) -> Iterator[Point]:
    """Every expiry, volatility and distance whose strike could be listed; strikes in whole 1e-9 points."""
    for seconds in SECONDS_TO_EXPIRY:
        for vol in VOLS:
            spread = vol * math.sqrt(seconds / YEAR_S)
            for deviation in DEVIATIONS:
                strike_int = round(FORWARD_INT * math.exp(deviation * spread))
                if LOW_STRIKE_INT <= strike_int <= HIGH_STRIKE_INT:
                    yield Point(right, strike_int, seconds, vol, rate)


def quantlib(point: Point, forward: float, vol: float) -> Greeks:
    """What QuantLib's BlackCalculator says."""
    kind = ql.Option.Call if point.right == "C" else ql.Option.Put
    discount = math.exp(-point.rate * point.years)
    it = ql.BlackCalculator(
        ql.PlainVanillaPayoff(kind, point.strike), forward, vol * math.sqrt(point.years), discount
    )
    return Greeks(it.value(), it.deltaForward(), it.gammaForward(), it.vega(point.years))


def vollib(point: Point, forward: float, vol: float) -> Greeks:
    """What vollib says; its vega is per 0.01 of volatility."""
    given = (point.right.lower(), forward, point.strike, point.years, point.rate, vol)
    return Greeks(
        black(*given), analytical.delta(*given), analytical.gamma(*given), 100.0 * analytical.vega(*given)
    )


class Quoted(NamedTuple):
    """A place of the grid with the quote around its price: bid and ask in 1e-9 points, mid in points."""

    point: Point
    instrument_id: int
    bid: int
    ask: int

    @property
    def mid(self) -> float:
        return (self.bid + self.ask) / 2 / SCALE


def quoted_case(points: list[Point]) -> tuple[OptionCase, list[Quoted]]:
    """One window in which every point has a quote around its QuantLib price; all points share the rate.

    Only options whose price is above 2e-9 points can have a quote; the others are left out.
    """
    forward = FORWARD_INT / SCALE
    end_ns = BASE_NS + SECOND
    quoted: list[Quoted] = []
    records: list[Rec] = []
    chain: list[Contract] = []
    for place, point in enumerate(points):
        price_int = round(quantlib(point, forward, point.vol).price * SCALE)
        if price_int <= 2:
            continue
        half = min(1 + place % 5, price_int - 1)
        option = Quoted(point, 1_000 + 7 * place, price_int - half, price_int + half)
        quoted.append(option)
        chain.append(
            Contract(option.instrument_id, point.right, point.strike_int, end_ns + point.seconds * SECOND)
        )
        for side, order_id, price in ((BID, 1, option.bid), (ASK, 2, option.ask)):
            ts = BASE_NS + place
            records.append(
                Rec(
                    ts,
                    ts + RECV_DELAY_NS,
                    order_id,
                    price,
                    3,
                    EVENT_END,
                    "A",
                    side,
                    option.instrument_id,
                    place,
                )
            )
    clear = [rec._replace(action="R", side="N") for rec in records[::2]]
    figures = {option.instrument_id: [Figure(BASE_NS - SECOND, 100.0)] for option in quoted}
    rate = points[0].rate
    return OptionCase(
        chain, [Window(end_ns, FORWARD_INT, FORWARD_INT)], figures, clear + records, rate
    ), quoted
