"""The replay clock once more, written from spec 9.4 as a list of what happened, in exact fractions.

It keeps no state but that list: every question is answered by going through it from the start.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class Happened:
    """One thing: what, when (ns), and its value."""

    what: str
    at_ns: int
    value: Any = None


class Refused(Exception):
    """The command is not followed."""


class PlainClock:
    """`windows` windows; the first to send is `start`; plays from the beginning."""

    def __init__(self, windows: int, start: int, now_ns: int, speed: float) -> None:
        self.windows = windows
        self.log = [Happened("start", now_ns, (start, speed))]

    def picture(self) -> dict[str, Any]:
        """Everything, from the log."""
        see: dict[str, Any] = {}
        for event in self.log:
            if event.what == "start":
                start, speed = event.value
                see = {"playing": True, "speed": speed, "steps": 0, "last": None, "next": start}
                see["at"] = min(start, self.windows - 1)
                see["from"] = (event.at_ns, start)
            elif event.what == "sent":
                see["at"] = see["next"]
                see["next"] += 1
                see["last"] = see["at"]
                see["steps"] = max(see["steps"] - 1, 0)
            elif event.what == "play":
                see["steps"] = 0
                if not see["playing"]:
                    see["playing"] = True
                    see["from"] = (event.at_ns, see["next"])
            elif event.what == "pause":
                see["playing"], see["steps"] = False, 0
            elif event.what == "seek":
                see["at"] = see["next"] = event.value
                see["steps"] = 0
                see["from"] = (event.at_ns, see["next"])
            elif event.what == "speed":
                see["speed"] = event.value
                see["from"] = (event.at_ns, see["at"])
            elif event.what == "step" and event.value > 0:
                see["steps"] = min(see["steps"] + event.value, self.windows - see["next"])
            elif event.what == "step":
                see["at"] = see["next"] = max(see["at"] + event.value, 0)
                see["steps"] = 1
        return see

    def due(self, now_ns: int) -> int | None:
        """The window to send now."""
        see = self.picture()
        if see["next"] >= self.windows:
            return None
        if see["steps"]:
            return int(see["next"])
        if not see["playing"]:
            return None
        if see["speed"] == float("inf"):
            return int(see["next"])
        t0_ns, k0 = see["from"]
        due_ns = t0_ns + Fraction((see["next"] - k0) * SECOND_NS) / Fraction(see["speed"])
        return int(see["next"]) if due_ns <= now_ns else None

    def command(self, what: str, at_ns: int, value: Any = None) -> None:
        """Follow a command. Raises `Refused`."""
        see = self.picture()
        if what == "seek" and not 0 <= value < self.windows:
            raise Refused
        if what == "step" and (see["playing"] or value == 0 or (value > 0 and see["next"] >= self.windows)):
            raise Refused
        if what == "speed" and not (value == float("inf") or 0.1 <= value <= 1000):
            raise Refused
        self.log.append(Happened(what, at_ns, value))

    def sent(self) -> None:
        """The window that was due has gone out."""
        self.log.append(Happened("sent", 0))
