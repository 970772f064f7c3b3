"""Clocks, interleaved rounds, and goals as ratios of what was measured in the same round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal

from data_eng.errors import SpymasterError

Clock = Literal["cpu", "wall"]


class BenchError(SpymasterError):
    """Two things that were to be compared are not equal, or the input cannot be used."""


class Missing(Exception):
    """Something to compare with is not on this machine; the text says what."""


@dataclass(frozen=True)
class Spent:
    """Seconds of one run: CPU of the calling thread, and wall."""

    cpu: float
    wall: float

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.cpu + other.cpu, self.wall + other.wall)


class Stopwatch:
    """Times a `with` block; `spent` holds the result after it, several blocks add up."""

    def __init__(self) -> None:
        self.spent = Spent(0.0, 0.0)

    def __enter__(self) -> Stopwatch:
        self._wall, self._cpu = time.perf_counter(), time.thread_time()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.spent += Spent(time.thread_time() - self._cpu, time.perf_counter() - self._wall)


Rounds = dict[str, list[Spent]]
Contestants = Mapping[str, Callable[[], Spent]]


def interleave(contestants: Contestants, rounds: int) -> Rounds:
    """Every contestant once per round; every second round runs them backwards, so nobody is always first."""
    found: Rounds = {name: [] for name in contestants}
    for turn in range(rounds):
        order = list(contestants)
        for name in order if turn % 2 == 0 else reversed(order):
            found[name].append(contestants[name]())
    return found


@dataclass(frozen=True)
class Side:
    """One side of a ratio: its name and the median of what it took, in `unit`."""

    name: str
    median: float
    unit: str = "s"


@dataclass(frozen=True)
class Check:
    """One promise: `value` must be <= (or >=) `bound`. value None: could not be measured, see `reason`."""

    name: str
    value: float | None
    relation: Literal["<=", ">="]
    bound: float
    over: Side | None = None
    under: Side | None = None
    clock: str = ""
    per_round: tuple[float, ...] = ()
    reason: str = ""
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether the promise holds; a check without a value is not met."""
        if self.value is None:
            return False
        return self.value <= self.bound if self.relation == "<=" else self.value >= self.bound

    @property
    def goal(self) -> str:
        """The promise in words: ``<= 1.25``."""
        return f"{self.relation} {self.bound:g}{' ' + self.unit if self.unit else ''}"

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        sides = {
            key: {"name": side.name, "median": _rounded(side.median), "unit": side.unit}
            for key, side in (("over", self.over), ("under", self.under))
            if side is not None
        }
        return {
            "name": self.name,
            "value": None if self.value is None else _rounded(self.value),
            "goal": self.goal,
            "met": self.met,
            **sides,
            **({"clock": self.clock} if self.clock else {}),
            **({"per_round": [_rounded(v) for v in self.per_round]} if self.per_round else {}),
            **({"reason": self.reason} if self.reason else {}),
        }


@dataclass
class Goal:
    """One goal of design 9: its checks, and lines beside it that promise nothing."""

    id: str
    text: str
    checks: list[Check] = field(default_factory=list)
    beside: dict[str, Any] = field(default_factory=dict)

    @property
    def met(self) -> bool:
        """Every check holds."""
        return bool(self.checks) and all(check.met for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """Plain data; value and goal are those of the first check, the others stand under `checks`."""
        first = self.checks[0].to_json()
        return {
            "text": self.text,
            "value": first["value"],
            "goal": first["goal"],
            "met": self.met,
            "checks": [check.to_json() for check in self.checks],
            **({"beside": self.beside} if self.beside else {}),
        }


def ratio(
    name: str,
    rounds: Rounds,
    over: str | Sequence[str],
    under: str | Sequence[str],
    relation: Literal["<=", ">="],
    bound: float,
    clock: Clock,
    *,
    records: int = 0,
    each: str = "record",
) -> Check:
    """Median over the rounds of (sum of `over`) / (sum of `under`) in that round.

    records: medians are shown as ns per record (or whatever `each` says) instead of seconds.
    """
    top, bottom = _sums(rounds, over, clock), _sums(rounds, under, clock)
    values = [a / b for a, b in zip(top, bottom, strict=True)]
    scale, unit = (1e9 / records, f"ns/{each}") if records else (1.0, "s")
    return Check(
        name,
        statistics.median(values),
        relation,
        bound,
        Side(_joined(over), scale * statistics.median(top), unit),
        Side(_joined(under), scale * statistics.median(bottom), unit),
        clock,
        tuple(values),
    )


def missing(name: str, relation: Literal["<=", ">="], bound: float, why: Missing) -> Check:
    """The check that could not be made, and why."""
    return Check(name, None, relation, bound, reason=f"missing: {why}")


def per_record(rounds: Rounds, records: int, clock: Clock = "cpu") -> dict[str, float]:
    """Median ns per record of every contestant."""
    return {
        name: _rounded(statistics.median(getattr(s, clock) for s in spent) * 1e9 / records)
        for name, spent in rounds.items()
    }


def _sums(rounds: Rounds, names: str | Sequence[str], clock: Clock) -> list[float]:
    chosen = [names] if isinstance(names, str) else list(names)
    return [sum(getattr(s, clock) for s in one) for one in zip(*(rounds[n] for n in chosen), strict=True)]


def _joined(names: str | Sequence[str]) -> str:
    return names if isinstance(names, str) else " + ".join(names)


def _rounded(value: float) -> float:
    """Four significant digits: more would pretend."""
    return float(f"{value:.4g}")
