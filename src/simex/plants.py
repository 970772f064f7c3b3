"""Planted ground truth: known walls, vacuums and other events at known times (exchange.md B6).

A plant is written down before the market runs; the kernel executes its instructions and logs the prices and
sizes that they met. `truth_plants` joins both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from simex import futures_kernel as k
from simex.feed import SECOND_NS
from simex.plan import CLOSE_S, OPEN_S, PRE_OPEN_S, Span, phase_at

Ints = npt.NDArray[np.int64]

BID: Final = 0
ASK: Final = 1
SET_S: Final = 120
"""length of one full set of plants at scale 1"""


@dataclass(frozen=True)
class Plant:
    """What is planted; times in UTC ns."""

    plant_id: int
    kind: str
    t0_ns: int
    t1_ns: int
    side: str
    qty: int
    expected_effect: str


@dataclass
class Script:
    """Collects plants and the kernel instructions that carry them out."""

    plants: list[Plant] = field(default_factory=list)
    rows: list[list[int]] = field(default_factory=list)
    silent: list[tuple[int, int]] = field(default_factory=list)
    bursts: list[int] = field(default_factory=list)

    def plant(self, kind: str, t0: int, t1: int, side: str, qty: int, effect: str) -> int:
        """Registers a plant and returns its id (from 1)."""
        self.plants.append(Plant(len(self.plants) + 1, kind, t0, t1, side, qty, effect))
        return len(self.plants)

    def do(
        self,
        t: int,
        op: int,
        plant: int = 0,
        side: int = 0,
        dist: int = 0,
        qty: int = 0,
        n: int = 1,
        arg: int = 0,
    ) -> None:
        """Adds one instruction at time t."""
        self.rows.append([t, op, plant, side, dist, qty, n, arg, 0, 0])

    def table(self) -> Ints:
        """int64[n, S_FIELDS] sorted by time."""
        rows = sorted(self.rows, key=lambda row: row[0])
        return np.array(rows, dtype=np.int64).reshape(-1, k.S_FIELDS)


def _name(side: int) -> str:
    return "B" if side == BID else "A"


def build(span: Span, preset: str) -> Script:
    """The script of a preset over a span: phases, auction, and as many plants as the span has room for."""
    script = Script()
    _phases(script, span)
    _gaps_and_bursts(script, span, preset)
    if preset == "session" and span.start_s < 15 * 3600 < 20 * 3600 < span.end_s:
        slide = [span.midnight_ns + hour * 3600 * SECOND_NS for hour in (15, 20)]
        script.plant("view_exit", slide[0], slide[1], "N", 0, "price slides more than 600 ticks")
    if preset == "tiny":
        start, end = _open_part(span)
        if end - start >= 20:
            _set(script, span.midnight_ns + start * SECOND_NS, (end - start) / SET_S, stops=False)
    else:
        period = 900 if preset == "small" else 3_600
        for start in range(span.start_s + (60 if preset == "small" else 600), span.end_s - SET_S, period):
            taken = any(
                a < span.midnight_ns + (start + SET_S) * SECOND_NS
                and span.midnight_ns + start * SECOND_NS < b
                for a, b in script.silent
            )
            if phase_at(start) == k.PHASE_OPEN and phase_at(start + SET_S) == k.PHASE_OPEN and not taken:
                _set(script, span.midnight_ns + start * SECOND_NS, 1.0, stops=True)
    return script


def _open_part(span: Span) -> tuple[int, int]:
    """The longer stretch of open trading, in seconds of the day."""
    before = (span.start_s, min(span.end_s, CLOSE_S))
    after = (max(span.start_s, OPEN_S + 1), span.end_s)
    return max(before, after, key=lambda part: part[1] - part[0])


def _phases(script: Script, span: Span) -> None:
    midnight = span.midnight_ns
    if span.start_s < CLOSE_S < span.end_s:
        script.do(midnight + CLOSE_S * SECOND_NS, k.OP_PHASE, arg=k.PHASE_CLOSED)
    pause = (midnight + CLOSE_S * SECOND_NS, midnight + PRE_OPEN_S * SECOND_NS)
    if span.start_ns < pause[1] and pause[0] < span.end_ns:
        script.silent.append(pause)
    if span.start_s < OPEN_S and span.end_s > PRE_OPEN_S:
        begin = max(span.start_s, PRE_OPEN_S)
        t = midnight + begin * SECOND_NS
        if begin > span.start_s or phase_at(span.start_s) == k.PHASE_CLOSED:
            script.do(t, k.OP_PHASE, arg=k.PHASE_PRE_OPEN)
        end = midnight + min(OPEN_S, span.end_s) * SECOND_NS
        plant = script.plant("crossed_pre_open", t, end, "N", 55, "book crossed until the auction")
        script.do(t + 1_000_000, k.OP_ADD_AT, plant, BID, 12, 25)
        script.do(t + 2_000_000, k.OP_ADD_AT, plant, ASK, -10, 30)
        if span.end_s > OPEN_S:
            script.plant("auction", end, end, "N", 0, "one T without side, F on both sides, sum F = 2 T")
            script.do(end, k.OP_AUCTION, len(script.plants))


def _gaps_and_bursts(script: Script, span: Span, preset: str) -> None:
    gaps = {"small": (span.start_s + 330, 65), "session": (3 * 3600 + 900, 70)}
    bursts = {"small": (span.start_s + 1380,), "session": (9 * 3600 + 2100, 17 * 3600 + 2700)}
    if preset in gaps:
        start, length = gaps[preset]
        if span.start_s < start and start + length < span.end_s and phase_at(start) == k.PHASE_OPEN:
            t0 = span.midnight_ns + start * SECOND_NS
            script.plant("quiet_gap", t0, t0 + length * SECOND_NS, "N", 0, "no record, no flow; rows exist")
            script.silent.append((t0, t0 + length * SECOND_NS))
            script.silent.sort()
    for second in bursts.get(preset, ()):
        if span.start_s < second < span.end_s - 1 and phase_at(second) == k.PHASE_OPEN:
            t0 = span.midnight_ns + second * SECOND_NS
            plant = script.plant("burst_second", t0, t0 + SECOND_NS, "N", 5_000, "at least 5,000 records")
            script.bursts.append(second)
            script.do(t0 + 850_000_000, k.OP_TOP_UP, plant, ASK, 45, 5_000, n=100_000, arg=t0 + 999_000_000)


def _set(script: Script, t0: int, scale: float, *, stops: bool) -> None:
    """One full set of plants from t0 on; all waits scale, the exact times of the boundary plants do not."""

    def at(seconds: float) -> int:
        return t0 + int(seconds * scale * 1000) * 1_000_000 + 137_000

    def wall(kind: str, begin: float, end: float, side: int, dist: int, qty: int, n: int, effect: str) -> int:
        plant = script.plant(kind, at(begin), at(end), _name(side), qty, effect)
        script.do(at(begin), k.OP_ADD, plant, side, dist, qty, n)
        return plant

    plant = wall("wall_filled", 5, 25, ASK, 3, 300, 12, "all of it leaves as fill, nothing as pull")
    script.do(at(25), k.OP_FILL, plant, BID, n=1)
    plant = wall("wall_pulled", 8, 30, BID, 6, 500, 10, "all of it leaves as pull, nothing as fill")
    script.do(at(30), k.OP_CANCEL, plant, BID)
    plant = wall("wall_eroded", 10, 45, ASK, 12, 400, 8, "pulls of a third each, four times; then the rest")
    for second in (20, 25, 30, 35):
        script.do(at(second), k.OP_ERODE, plant, ASK)
    script.do(at(45), k.OP_CANCEL, plant, ASK)
    plant = wall("wall_relocated", 12, 50, BID, 10, 250, 5, "pull at the old price, add at the new one")
    script.do(at(28), k.OP_RELOCATE, plant, BID, arg=3)
    script.do(at(38), k.OP_RELOCATE, plant, BID, arg=-5)
    script.do(at(50), k.OP_CANCEL, plant, BID)
    for begin, side, depth, hold_s in ((52.0, ASK, 5, 4.0), (60.0, BID, 8, 3.0)):
        hold = int(hold_s * scale * 1000) * 1_000_000
        plant = script.plant("vacuum", at(begin), at(begin) + hold, _name(side), depth, "makers leave d <= D")
        script.do(at(begin), k.OP_VACUUM, plant, side, depth, 0, arg=hold)
    for begin, side, dist in ((15.3, ASK, 2), (33.1, BID, 4), (70.2, ASK, 1)):
        plant = script.plant(
            "flash_add", at(begin), at(begin) + 300_000, _name(side), 150, "add = pull, net 0"
        )
        script.do(at(begin), k.OP_FLASH, plant, side, dist, 150)
    plant = script.plant("iceberg", at(66), at(72), "B", 65, "fills exceed what was displayed")
    script.do(at(66), k.OP_ICEBERG, plant, BID, 0, 5, arg=60)
    script.do(at(68), k.OP_FILL, plant, ASK, n=2)
    plant = script.plant("iceberg", at(72.5), at(74), "A", 31, "partly filled: refreshed to the back")
    script.do(at(72.5), k.OP_ICEBERG, plant, ASK, 1, 4, arg=27)
    script.do(at(73.2), k.OP_SWEEP, plant, BID, 2, 12, n=2)
    script.do(at(74), k.OP_CANCEL, plant, ASK)
    for begin, side, levels in ((76.0, BID, 3), (80.0, ASK, 4)):
        plant = script.plant(
            "sweep", at(begin), at(begin), _name(side), levels, f"one T per level, {levels} levels"
        )
        script.do(at(begin), k.OP_SWEEP, plant, side, levels, 6, n=3)
    for begin, qty in ((84.0, 4), (86.0, 140)):
        plant = script.plant(
            "aggressive_modify",
            at(begin),
            at(begin + 0.5),
            "B",
            qty,
            "own F leg; leaves the old price as pull",
        )
        script.do(at(begin), k.OP_ADD, plant, BID, 0, qty)
        script.do(at(begin) + 20_000_000, k.OP_AGGRESSIVE_MODIFY, plant, BID)
        script.do(at(begin + 1.5), k.OP_CANCEL, plant, BID)
    for begin, order in ((89.0, 0), (92.0, 1)):
        plant = script.plant(
            "self_match",
            at(begin),
            at(begin + 1),
            "A",
            5,
            "A C in one event" if order == 0 else "C A in one event",
        )
        script.do(at(begin), k.OP_ADD, plant, ASK, 0, 5)
        script.do(at(begin) + 1_000_000, k.OP_SELF_MATCH, plant, ASK, 0, 5, arg=order)
    whole = (at(97) // SECOND_NS) * SECOND_NS
    plant = script.plant(
        "boundary_event", whole, whole, "B", 7, "ts_event = k * 1e9 exactly: the later window"
    )
    script.do(whole, k.OP_ADD, plant, BID, 2, 7)
    script.do(at(99), k.OP_CANCEL, plant, BID)
    whole = (at(101) // SECOND_NS) * SECOND_NS
    plant = script.plant(
        "boundary_arrival", whole - 3_000_000, whole, "B", 2, "T and C arrive in two seconds"
    )
    script.do(whole - 3_000_000, k.OP_BOUNDARY_TRADE, plant, BID, 0, 2, arg=whole - 4_000)
    if stops:
        plant = script.plant("stop_cascade", at(104), at(108), "A", 90, "stops fire inside the sweep's event")
        for dist in (1, 2, 3):
            script.do(at(104), k.OP_STOP, plant, ASK, dist, 30)
        script.do(at(108), k.OP_SWEEP, plant, ASK, 2, 8, n=4)
