"""Query strings as checked values (spec 9.3, 9.4). Unknown, repeated or malformed parameters are refused.

Pure. A token in a query string is refused too: query strings end in logs and histories.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from data_eng.errors import UsageError
from data_eng.params import parse_dt
from serving.problems import Problem
from serving.surfaces import DEFAULT, SURFACES, near
from serving.transport import MAX_SPEED, MIN_SPEED, TransportError, checked_speed
from serving.wire import parse_int64, parse_speed

_SYMBOL: Final = re.compile(r"[A-Z0-9]{1,8}", re.ASCII)
_RESUME: Final = re.compile(r"([0-9a-f]{8,64}):([0-9]{1,9})", re.ASCII)
SECRET_NAMES: Final = frozenset(
    ("token", "ticket", "access_token", "auth", "authorization", "key", "api_key", "apikey", "password")
)


class Query:
    """The parameters of one request, each taken once by its reader.

    raw: the query string as sent. allowed: names that this endpoint knows. Raises `Problem` 400.
    """

    def __init__(self, raw: bytes, allowed: tuple[str, ...]) -> None:
        try:
            pairs = parse_qsl(
                raw.decode("ascii"), keep_blank_values=True, strict_parsing=bool(raw), errors="strict",
                max_num_fields=32,
            )  # fmt: skip
        except (ValueError, UnicodeError):
            raise Problem(400, "malformed_query", "the query string is not name=value&...") from None
        self._values: dict[str, str] = {}
        for name, value in pairs:
            if name.lower() in SECRET_NAMES:
                raise Problem(
                    400,
                    "secret_in_query",
                    "tokens and tickets never go into a query string; send Authorization: Bearer, or the"
                    " ticket as the first WebSocket message",
                )
            if name not in allowed:
                raise Problem(
                    400,
                    "unknown_parameter",
                    f"unknown parameter {name[:40]!r}, expected {', '.join(allowed)}",
                )
            if name in self._values:
                raise Problem(400, "repeated_parameter", f"parameter {name} is given more than once")
            self._values[name] = value

    def symbol(self) -> str | None:
        """Contract, None when not given."""
        text = self._values.get("symbol")
        if text is not None and not _SYMBOL.fullmatch(text):
            raise Problem(400, "bad_symbol", "symbol has 1 to 8 letters A-Z and digits, for example ESH6")
        return text

    def dt(self) -> str | None:
        """Date, None when not given."""
        text = self._values.get("dt")
        if text is None:
            return None
        try:
            return parse_dt(text)
        except UsageError:
            raise Problem(400, "bad_dt", "dt is a date YYYY-MM-DD, for example 2026-01-06") from None

    def int64(self, name: str) -> int | None:
        """A number of ns, None when not given."""
        text = self._values.get(name)
        if text is None:
            return None
        number = parse_int64(text)
        if number is None:
            raise Problem(400, f"bad_{name}", f"{name} is ns since 1970 in decimal digits")
        return number

    def speed(self) -> float | None:
        """Windows per second, None when not given."""
        text = self._values.get("speed")
        if text is None:
            return None
        speed = parse_speed(text)
        try:
            if speed is not None:
                return checked_speed(speed)
        except TransportError:
            pass
        raise Problem(400, "bad_speed", f"speed is {MIN_SPEED} to {MAX_SPEED:.0f} windows a second, or max")

    def surfaces(self) -> tuple[str, ...]:
        """Surface ids in the order asked for; default hud."""
        names = tuple(self._values.get("surfaces", DEFAULT).split(","))
        for name in names:
            known_surface(name)
        if len(set(names)) != len(names):
            raise Problem(400, "repeated_surface", "surfaces names one surface more than once")
        return names

    def clock(self) -> str | None:
        """``private`` or ``shared``, None when not given."""
        text = self._values.get("clock")
        if text not in (None, "private", "shared"):
            raise Problem(400, "bad_clock", "clock is private or shared")
        return text

    def resume(self) -> tuple[str, int] | None:
        """(epoch, last sequence number received), None when not given."""
        text = self._values.get("resume")
        if text is None:
            return None
        match = _RESUME.fullmatch(text)
        if match is None:
            raise Problem(400, "bad_resume", "resume is <epoch>:<seq>, as the last message received said")
        return match[1], int(match[2])

    def has(self, name: str) -> bool:
        """Whether the parameter is given."""
        return name in self._values


def known_surface(name: str) -> None:
    """Raises `Problem` 400 for a surface that does not exist."""
    if name not in SURFACES:
        raise Problem(400, "unknown_surface", f"no surface is called {name[:40]!r}; {near(name)}")


@dataclass(frozen=True)
class Range:
    """Windows with start_ts_ns < window_end <= end_ts_ns."""

    start_ts_ns: int
    end_ts_ns: int


def day_range(
    start: int | None, end: int | None, *, last_ts_ns: int, window_ns: int, default: int | None, limit: int
) -> Range:
    """The range of a request. default: windows when none is given, None when one has to be; limit: windows.

    Raises `Problem` 400: no range, start not before end, longer than the limit.
    """
    if default is None and (start is None or end is None):
        raise Problem(
            400,
            "range_required",
            f"this surface needs start_ts_ns and end_ts_ns, at most {limit} windows apart",
        )
    if end is None:
        end = last_ts_ns if start is None else start + (default or limit) * window_ns
    if start is None:
        start = end - (default or limit) * window_ns
    if start >= end:
        raise Problem(
            400, "bad_range", "start_ts_ns has to be before end_ts_ns; windows with start < end are sent"
        )
    if end - start > limit * window_ns:
        raise Problem(
            400,
            "range_too_long",
            f"the range spans {-((start - end) // window_ns)} windows, at most {limit} are sent at a time;"
            " ask in parts",
        )
    return Range(start, end)
