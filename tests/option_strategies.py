"""Hypothesis streams of option records, with the chain, the futures windows and the open interest.

A stream is a list of moves over a handful of options: makers quote, lift, cross and pull; instruments
interleave, also inside an event, and share order ids; snapshots in every layout, clears, bad-book marks,
late and broken records come in between. The windows are drawn apart from the records, as in a lake: the
futures may begin before the options and end after them, and may have no spot. Nothing is consistent on
purpose; most quotes are near a fair value, so that most of them have a volatility.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import strategies as st

from tests.naive.option_gamma import Contract, Figure, Window
from tests.naive.records import (
    ASK,
    BID,
    F_LAST,
    F_MAYBE_BAD_BOOK,
    F_SNAPSHOT,
    MAX_SIZE,
    UNDEF_PRICE,
    Rec,
)
from tests.strategies import BASE_NS, EVENT_END, LAYOUTS, RECV_DELAY_NS, SECOND, SNAPSHOT, snapshot_records

POINT = 1_000_000_000
NICKEL = 50_000_000
CENTRE = 6_900 * POINT
STRIKES = tuple(
    strike * POINT for strike in (6_900, 6_895, 6_905, 6_910, 6_902, 6_750, 7_050, 6_700, 7_100, 7_101)
)
"""on the ladder, between its rungs, at its ends, at the edge of the quote table and beyond it"""
SPOTS = tuple(
    CENTRE + quarters * POINT // 4 for quarters in (0, 0, 1, -1, 2, 9, 10, -10, 11, 30, 600, -600, 800)
)
IDS = (42_859_387, 7, 42_237_548, 2**31, 42_140_878, 42_600_001, 12, 2**32 - 1, 5_000, 42_237_549)
"""instrument ids of calls; a put's is one more or, where that is taken, a thousand less"""
FOREIGN_ID = 99
HOURS_NS = 6 * 3_600 * SECOND
EXPIRIES = (HOURS_NS, HOURS_NS, HOURS_NS, 90 * SECOND, 30 * SECOND, 5 * SECOND, 2 * SECOND + SECOND // 2)
ORDER_IDS = (1, 2, 3, 4, 5, 2**64 - 1, 0)
SIZES = (1, 2, 3, 7, 20, 130)
ODD_SIZES = (0, MAX_SIZE + 1, 2**32 - 1)
ODD_PRICES = (NICKEL + 1, 1, 0, -NICKEL, 2**62, 2**62 - 1, UNDEF_PRICE)
STEPS_NS = (
    *[0] * 6,
    1_000,
    1_000_000,
    400_000_000,
    *[SECOND] * 3,
    SECOND - 1,
    3 * SECOND,
    59 * SECOND,
    61 * SECOND,
)
FIGURES = (0.0, 1.0, 10.0, 100.0, 2_500.0, 5_000.0)
MAX_RECORDS = 160


class OptionCase(NamedTuple):
    """Everything the options stage is given; `records` in file order."""

    chain: list[Contract]
    windows: list[Window]
    figures: dict[int, list[Figure]]
    records: list[Rec]
    rate: float


@st.composite
def chains(draw: st.DrawFn) -> list[Contract]:
    """One to four strikes, most with both rights, most with one expiry; sometimes expired in mid-stream."""
    strikes = draw(st.lists(st.sampled_from(STRIKES), min_size=1, max_size=4, unique=True))
    common = draw(st.sampled_from(EXPIRIES))
    chain: list[Contract] = []
    for strike in strikes:
        expiration = BASE_NS + draw(st.sampled_from([common, common, common, *EXPIRIES]))
        call = IDS[STRIKES.index(strike)]
        put = call - 1_000 if call + 1 in IDS or call + 1 >= 2**32 else call + 1
        rights = draw(st.sampled_from(["CP", "CP", "CP", "C", "P"]))
        chain += [Contract(call if right == "C" else put, right, strike, expiration) for right in rights]
    return chain


@st.composite
def futures_windows(draw: st.DrawFn) -> list[Window]:
    """Consecutive seconds around the stream. Spot mostly lingers; it may be absent, and so may the mid."""
    first = draw(st.integers(-2, 2))
    count = draw(st.sampled_from([1, 4, 8, 8, 12, 12, 70]))
    windows = []
    spot = draw(st.sampled_from(SPOTS))
    for k in range(count):
        if draw(st.integers(0, 3)) == 0:
            spot = draw(st.sampled_from([*SPOTS, 0]))
        mid = (
            0
            if draw(st.integers(0, 5)) == 0
            else (spot or CENTRE) + draw(st.sampled_from([0, POINT // 8, -POINT // 8, 2 * POINT]))
        )
        windows.append(Window(BASE_NS + (first + 1 + k) * SECOND, spot, mid))
    return windows


@st.composite
def open_interest(draw: st.DrawFn, chain: Sequence[Contract]) -> dict[int, list[Figure]]:
    """Per option nothing, yesterday's figure, today's, or several: also 0, and changed in mid-stream."""
    instants = st.sampled_from(
        [BASE_NS - 20 * 3_600 * SECOND, BASE_NS - SECOND, BASE_NS + SECOND, BASE_NS + 2 * SECOND + 1]
    )
    figure = st.builds(Figure, instants, st.sampled_from(FIGURES))
    listed: dict[int, list[Figure]] = {}
    for contract in chain:
        size = draw(st.sampled_from([1, 1, 1, 1, 0, 2, 3]))
        rows = draw(st.lists(figure, min_size=size, max_size=size, unique_by=lambda row: row.ts_recv_ns))
        if rows:
            listed[contract.instrument_id] = sorted(rows)
    return listed


def fair_nickels(contract: Contract) -> int:
    """A plausible value of the option at a future of 6,900, in units of 0.05 points."""
    sign = 1 if contract.right == "C" else -1
    inside = max(sign * (CENTRE - contract.strike_int), 0) // NICKEL
    distance = abs(contract.strike_int - CENTRE) // POINT
    return int(inside + max(1, 120 - 8 * distance))


class _Clock:
    def __init__(self, start_ns: int) -> None:
        self.now = start_ns
        self.long_steps = 1

    def step(self, step_ns: int) -> None:
        if step_ns > 10 * SECOND:
            step_ns = step_ns if self.long_steps > 0 else SECOND
            self.long_steps -= 1
        self.now += step_ns


class _Makers:
    """Plays moves into lists of records, one list per move. a, b, c: small integers, read as a move likes."""

    def __init__(self, chain: Sequence[Contract], start_ns: int) -> None:
        self.chain = chain
        self.clock = _Clock(start_ns)
        self.sequence = 0

    def record(
        self,
        contract: Contract,
        action: str,
        side: str,
        order_id: int,
        price: int,
        size: int,
        *,
        flags: int = EVENT_END,
        shift_ns: int = 0,
        delay_ns: int = RECV_DELAY_NS,
    ) -> Rec:
        self.sequence += 1
        ts = self.clock.now + shift_ns
        return Rec(
            ts,
            self.clock.now + delay_ns,
            order_id,
            price,
            size,
            flags,
            action,
            side,
            contract.instrument_id,
            self.sequence,
        )

    def price(self, contract: Contract, offset: int) -> int:
        return max(1, fair_nickels(contract) + offset) * NICKEL

    # -- moves

    def quote(self, contract: Contract, a: int, b: int, c: int) -> list[Rec]:
        """Both sides anew, in one event or in two, under ids that every instrument uses."""
        bid, ask = self.price(contract, -1 - a % 4), self.price(contract, 1 + b % 4)
        first = EVENT_END if c % 2 else 0
        action = "AM"[c % 2]
        return [
            self.record(contract, action, BID, 1, bid, SIZES[a % 6], flags=first),
            self.record(contract, action, ASK, 2, ask, SIZES[b % 6]),
        ]

    def one_side(self, contract: Contract, a: int, b: int, c: int) -> list[Rec]:
        side = ASK if a % 2 else BID
        offset = 1 + b % 6 if side == ASK else -1 - b % 6
        return [
            self.record(
                contract, "AAM"[c % 3], side, ORDER_IDS[c % 7], self.price(contract, offset), SIZES[b % 6]
            )
        ]

    def pull(self, contract: Contract, a: int, b: int, c: int) -> list[Rec]:
        """One side, or all, is taken away."""
        which = (1, 2, 3) if a % 3 == 0 else ((1,) if a % 3 == 1 else (2,))
        size = 130 if b % 4 else 1 + c % 3
        return [
            self.record(contract, "C", BID, order_id, NICKEL, size, flags=EVENT_END if c % 4 else 0)
            for order_id in which
        ]

    def cross(self, contract: Contract, a: int, b: int, c: int) -> list[Rec]:
        """A bid at or through an ask, or an ask at or through a bid; sometimes seen only inside the event."""
        side, other = (ASK, BID) if a % 2 else (BID, ASK)
        price = self.price(contract, b % 8 if side == BID else -(b % 8))
        rows = [
            self.record(contract, "A", other, 5, self.price(contract, 0), SIZES[b % 6], flags=0),
            self.record(contract, "A", side, 3 + c % 2, price, SIZES[c % 6], flags=0 if c % 4 else EVENT_END),
        ]
        return rows if c % 4 == 0 else [*rows, self.record(contract, "C", other, 5, price, 130)]

    def trade(self, contract: Contract, a: int, b: int, c: int) -> list[Rec]:
        aggressor, resting, order_id = ((BID, ASK, 2), (ASK, BID, 1), ("N", ASK, 2))[a % 3]
        price, size = self.price(contract, 1), SIZES[b % 6]
        rows = [
            self.record(contract, "T", aggressor, 900 + c, price, size, flags=0),
            self.record(contract, "F", resting, order_id, price, size, flags=0),
        ]
        rows.append(self.record(contract, "C" if c % 2 else "M", resting, order_id, price, size))
        return rows if c % 5 else rows[:1]  # a T alone leaves its event open

    def snapshot(self, contract: Contract, a: int, b: int, c: int) -> list[Rec]:
        """The book told anew, in any layout, perhaps empty, perhaps twice."""
        orders = [
            (
                1 + k,
                ASK if k % 2 else BID,
                self.price(contract, (1 + (b + k) % 4) * (1 if k % 2 else -1)),
                SIZES[(c + k) % 6],
                self.clock.now - (1 + k) * 3_600 * SECOND,
            )
            for k in range(c % 5)
        ]
        told = snapshot_records(orders, LAYOUTS[a % 3], ts_recv=self.clock.now + RECV_DELAY_NS)
        told = [rec._replace(instrument_id=contract.instrument_id) for rec in told]
        return told * (2 if b % 7 == 0 else 1)

    def clear(self, contract: Contract, a: int, b: int, c: int) -> list[Rec]:
        last = EVENT_END if a % 2 else 0
        rows = [self.record(contract, "R", "N", 0, UNDEF_PRICE, 0, flags=last)]
        return rows + (self.quote(contract, b, c, 0) if b % 2 else [])

    def none(self, contract: Contract, a: int, b: int, c: int) -> list[Rec]:
        return [self.record(contract, "N", "N", 0, UNDEF_PRICE, 0, flags=EVENT_END if a % 2 else 0)]

    def bad_book(self, contract: Contract, a: int, b: int, c: int) -> list[Rec]:
        rows = self.one_side(contract, a, b, c)
        return [rows[0]._replace(flags=rows[0].flags | F_MAYBE_BAD_BOOK)]

    def late(self, contract: Contract, a: int, b: int, c: int) -> list[Rec]:
        """Too old, or from a future that its ts_recv does not know."""
        shift = (-SECOND, -5 * SECOND, -2 * 24 * 3_600 * SECOND, 2 * SECOND, 30 * SECOND, 90 * SECOND)[a % 6]
        return [rec._replace(ts_event=rec.ts_event + shift) for rec in self.one_side(contract, b, c, a)]

    def foreign(self, contract: Contract, a: int, b: int, c: int) -> list[Rec]:
        """Another instrument of the channel, with times and flags that must mean nothing."""
        odd = contract._replace(instrument_id=FOREIGN_ID)
        flags = (EVENT_END, 0, SNAPSHOT, SNAPSHOT | F_LAST, F_MAYBE_BAD_BOOK)[b % 5]
        shift = (0, SECOND, 40 * SECOND)[c % 3]
        return [self.record(odd, "ACMTFR"[a % 6], BID, 1, NICKEL, 1, flags=flags, shift_ns=shift)]

    def wild(self, contract: Contract, a: int, b: int, c: int) -> list[Rec]:
        """Anything that fits the record."""
        return [
            self.record(
                contract,
                "AAMCTFRNZ"[a % 9],
                "ABNAB"[b % 5],
                ORDER_IDS[c % 7],
                (self.price(contract, b - 8), self.price(contract, 8 - b), *ODD_PRICES)[(a + c) % 9],
                (*SIZES, *ODD_SIZES)[(b + c) % 9],
                flags=(0, EVENT_END, EVENT_END, F_LAST, SNAPSHOT, SNAPSHOT | F_LAST, F_SNAPSHOT)[c % 7],
            )
        ]


MOVES = (
    *["quote"] * 8,
    *["one_side"] * 5,
    *["pull"] * 4,
    *["cross"] * 4,
    *["trade"] * 4,
    "snapshot",
    "snapshot",
    "clear",
    "none",
    "bad_book",
    "late",
    "foreign",
    "wild",
    "wild",
)
TIDY_MOVES = tuple(move for move in MOVES if move not in ("bad_book", "late", "wild", "clear"))

_small = st.integers(0, 31)


@st.composite
def option_streams(draw: st.DrawFn, chain: Sequence[Contract], *, moves: Sequence[str] = MOVES) -> list[Rec]:
    """Records of the chain in file order: how the books begin, then moves, some of them interleaved."""
    makers = _Makers(chain, BASE_NS - 3 * SECOND)
    recs: list[Rec] = []
    start = draw(st.sampled_from([*LAYOUTS, *LAYOUTS, "clear", "nothing"]))
    for contract in chain:
        a, b, c = draw(_small), draw(_small), draw(_small)
        if start in LAYOUTS:
            recs += makers.snapshot(contract, LAYOUTS.index(start), b, 2 + c % 3 if a % 4 else c)
        elif start == "clear":
            recs += makers.clear(contract, 1, b, c)
    makers.clock.now = BASE_NS + draw(st.sampled_from([0, 1, SECOND // 2, SECOND - 1]))
    played = draw(
        st.lists(
            st.tuples(
                st.sampled_from(moves),
                st.integers(0, len(chain) - 1),
                _small,
                _small,
                _small,
                st.sampled_from(STEPS_NS),
                st.booleans(),
            ),
            min_size=draw(st.sampled_from([1, 10, 25])),
            max_size=45,
        )
    )
    waiting: list[Rec] = []
    for move, place, a, b, c, step_ns, interleaved in played:
        makers.clock.step(step_ns)
        rows = getattr(makers, move)(chain[place], a, b, c)
        if interleaved and not waiting:
            waiting = rows  # its records come between those of the next move
            continue
        recs += _zipped(waiting, rows)
        waiting = []
    return [*recs, *waiting][:MAX_RECORDS]


def _zipped(first: list[Rec], second: list[Rec]) -> list[Rec]:
    """Records of two moves, alternating, each in its own order."""
    mixed = []
    for k in range(max(len(first), len(second))):
        mixed += first[k : k + 1] + second[k : k + 1]
    return mixed


@st.composite
def option_cases(draw: st.DrawFn, *, moves: Sequence[str] = MOVES) -> OptionCase:
    """A chain, the futures windows, the open interest and a stream that belong together."""
    chain = draw(chains())
    return OptionCase(
        chain,
        draw(futures_windows()),
        draw(open_interest(chain)),
        draw(option_streams(chain, moves=moves)),
        draw(st.sampled_from([0.05, 0.05, 0.0, 0.12])),
    )
