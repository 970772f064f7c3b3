"""Findings: what a check looked at, what it found wrong, and how a report says so.

A data problem is a finding with a count and a few examples, not an exception. Every check states how
much it looked at, because a check of nothing proves nothing (spec 11, style 9). No printing here: the
edge prints `Report.lines()`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

Severity = Literal["fail", "warn", "info"]
MAX_OFFENDERS: Final = 5
"""examples kept per check; the count is always complete"""


@dataclass(frozen=True)
class Check:
    """One claim about the tables.

    `looked_at` counts what was examined, in `unit`; `failures` counts where the claim does not hold and
    `offenders` names the first five of them. Only severity "fail" can fail a report.
    """

    name: str
    looked_at: int
    unit: str
    failures: int = 0
    offenders: tuple[str, ...] = ()
    severity: Severity = "fail"
    detail: str = ""

    @property
    def passed(self) -> bool:
        """False only for a broken claim of severity "fail"."""
        return self.failures == 0 or self.severity != "fail"

    @property
    def lines(self) -> list[str]:
        """One line, and one more per offender."""
        if self.severity == "info":
            mark = "info"
        elif self.failures == 0:
            mark = "ok"
        else:
            mark = "FAIL" if self.severity == "fail" else "warn"
        count = f"{self.looked_at:,}"
        if self.failures > self.looked_at:  # too little was there, or what is missing was counted
            count = f"{self.failures:,} findings in {count}"
        elif self.failures:
            count = f"{self.failures:,} of {count}"
        text = f"{mark:<5}{self.name}: {count} {self.unit}" + (f"; {self.detail}" if self.detail else "")
        return [text, *(f"       {offender}" for offender in self.offenders)]

    def to_json(self) -> dict[str, Any]:
        """Plain values for machine output."""
        return {
            "name": self.name,
            "passed": self.passed,
            "severity": self.severity,
            "looked_at": self.looked_at,
            "unit": self.unit,
            "failures": self.failures,
            "offenders": list(self.offenders),
            "detail": self.detail,
        }


@dataclass
class Tally:
    """A check in the making, fed batch by batch; it keeps counts and five examples, never rows."""

    name: str
    unit: str
    detail: str = ""
    severity: Severity = "fail"
    looked_at: int = 0
    failures: int = 0
    offenders: list[str] = field(default_factory=list)

    def add(self, looked_at: int, offenders: Sequence[str] = (), failures: int | None = None) -> None:
        """Count `looked_at` things of which `failures` (default: as many as offenders) break the claim."""
        self.looked_at += looked_at
        self.failures += len(offenders) if failures is None else failures
        self.offenders.extend(offenders[: MAX_OFFENDERS - len(self.offenders)])

    def add_rows(self, bad: npt.NDArray[np.bool_], say: Callable[[int], str]) -> None:
        """Count the rows of bool[n] `bad`; `say(row)` words an offender and is called for examples only."""
        wanted = MAX_OFFENDERS - len(self.offenders)
        found = np.flatnonzero(bad)
        self.add(len(bad), [say(int(row)) for row in found[:wanted]], failures=len(found))

    def check(self) -> Check:
        """The finished finding."""
        return Check(
            self.name,
            self.looked_at,
            self.unit,
            self.failures,
            tuple(self.offenders),
            self.severity,
            self.detail,
        )


@dataclass(frozen=True)
class Report:
    """All findings of one run, with how much it looked at and the counters of the manifests."""

    title: str
    checks: tuple[Check, ...]
    windows: int
    valid_windows: int
    rows: int
    events: int
    counters: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """True when there is at least one check and none is broken."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def failed(self) -> tuple[Check, ...]:
        """The broken checks."""
        return tuple(check for check in self.checks if not check.passed)

    def check(self, name: str) -> Check:
        """Check of that name. Raises KeyError when the report has none."""
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(name)

    def lines(self) -> list[str]:
        """The report as text: what was looked at, every check, counters, and the verdict last."""
        looked = (
            f"{self.windows:,} windows ({self.valid_windows:,} valid), {self.rows:,} rows, "
            f"{self.events:,} events"
        )
        text = [self.title, f"looked at {looked}", *self.notes]
        for check in self.checks:
            text.extend(check.lines)
        seen = {name: count for name, count in self.counters.items() if count}
        if self.counters:
            zero = len(self.counters) - len(seen)
            text.append(
                "counters: "
                + ", ".join(f"{name} {count:,}" for name, count in seen.items())
                + (", " if seen and zero else "")
                + (f"{zero} others 0" if zero else "")
            )
        if self.passed:
            text.append(f"PASS: {len(self.checks)} checks over {looked}")
        else:
            names = ", ".join(check.name for check in self.failed) or "nothing was checked"
            text.append(f"FAIL: {len(self.failed)} of {len(self.checks)} checks: {names}")
        return text

    def to_json(self) -> str:
        """The report as deterministic JSON."""
        return json.dumps(
            {
                "title": self.title,
                "passed": self.passed,
                "windows": self.windows,
                "valid_windows": self.valid_windows,
                "rows": self.rows,
                "events": self.events,
                "checks": [check.to_json() for check in self.checks],
                "counters": dict(self.counters),
                "notes": list(self.notes),
            },
            sort_keys=True,
        )
