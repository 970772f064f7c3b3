"""Who may talk to the service: host, origin, tokens, tickets, rates; and what never reaches a log (design 6).

Pure: time is an argument, in seconds of any monotonic clock.
"""

from __future__ import annotations

import hmac
import logging
import re
import secrets
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

from serving.problems import Problem

TICKET_S: Final = 60.0
MAX_TICKETS: Final = 1024
_HOST: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(?::(\d{1,5}))?")
_SECRET: Final = re.compile(
    r"(db-[A-Za-z0-9]{6})[A-Za-z0-9]+"
    r"|((?:DATABENTO_API_KEY|token|ticket|authorization|bearer|api[_-]?key|password)[\"']?\s*[=: ]\s*[\"']?"
    r"(?:bearer\s+)?)[^\s\"'&,;]+",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """The text without secrets: API keys (``db-...``), tokens and tickets become ``***``."""
    return _SECRET.sub(lambda m: "db-***" if m[1] else f"{m[2]}***", text)


class RedactingFilter(logging.Filter):
    """Takes secrets out of every record that passes, arguments and tracebacks included."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        super().__init__()
        self._known = tuple(sorted((secret for secret in known if secret), key=len, reverse=True))

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True; rewrites the record."""
        text = record.getMessage()
        if record.exc_info:
            text = f"{text}\n{logging.Formatter().formatException(record.exc_info)}"
            record.exc_info = record.exc_text = None
        for secret in self._known:
            text = text.replace(secret, "***")
        record.msg, record.args = redact(text), ()
        return True


def is_loopback(host: str) -> bool:
    """Whether a host name or address names this machine only."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Gate:
    """Which Host and Origin headers pass.

    origins: pages besides our own. hosts: names that the exposed service answers to, IPv6 addresses without
    brackets; None: loopback only. secure: our own page is https.
    """

    origins: frozenset[str] = frozenset()
    hosts: frozenset[str] | None = None
    secure: bool = False

    def check(self, hosts: list[str], origins: list[str]) -> None:
        """Raises `Problem` unless the Host is ours and the Origin, when sent, our page or an allowed one."""
        if len(hosts) != 1 or (match := _HOST.fullmatch(hosts[0])) is None:
            raise Problem(400, "bad_host", "exactly one well-formed Host header is expected")
        host = match[1].lower()
        if not (is_loopback(host) or (self.hosts is not None and host.strip("[]") in self.hosts)):
            raise Problem(403, "foreign_host", "this service does not answer to that Host")
        if not origins:
            return  # a native client
        own = f"{'https' if self.secure else 'http'}://{hosts[0].lower()}"
        if len(origins) != 1 or (origins[0].lower() != own and origins[0].lower() not in self.origins):
            raise Problem(
                403, "foreign_origin", "only the page of this service may ask, and pages named by --origin"
            )


class Tokens:
    """Tokens of the exposed service, and the single-use tickets that stand for one for 60 s."""

    def __init__(self, tokens: Iterable[str]) -> None:
        self._tokens = tuple(token.encode() for token in tokens)
        self._tickets: dict[str, float] = {}

    @property
    def required(self) -> bool:
        """Whether anybody has to show one."""
        return bool(self._tokens)

    def allows(self, authorization: str | None) -> bool:
        """Whether an Authorization header carries a token. Takes the same time for every wrong one."""
        if not self.required:
            return True
        scheme, _, given = (authorization or "").partition(" ")
        found = False
        for token in self._tokens:
            found |= hmac.compare_digest(token, given.strip().encode())
        return found and scheme.lower() == "bearer"

    def issue(self, now_s: float) -> str:
        """A new ticket. Raises `Problem` 429 when too many are open."""
        self._tickets = {ticket: end_s for ticket, end_s in self._tickets.items() if end_s > now_s}
        if len(self._tickets) >= MAX_TICKETS:
            raise Problem(429, "too_many_tickets", "too many tickets are open; use one, or wait a minute")
        ticket = secrets.token_urlsafe(32)
        self._tickets[ticket] = now_s + TICKET_S
        return ticket

    def redeem(self, ticket: str, now_s: float) -> bool:
        """Whether the ticket is good; it is used up either way."""
        end_s = self._tickets.pop(ticket, None)
        return end_s is not None and end_s > now_s


@dataclass
class RateLimit:
    """At most `limit` events in any second."""

    limit: int
    _times_s: deque[float] = field(default_factory=deque)

    def allows(self, now_s: float) -> bool:
        """Count one event; False when it is one too many."""
        while self._times_s and self._times_s[0] <= now_s - 1.0:
            self._times_s.popleft()
        self._times_s.append(now_s)
        return len(self._times_s) <= self.limit


@dataclass
class ClientCount:
    """Clients at a time, in all and per address."""

    limit: int
    limit_per_address: int
    _by_address: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """Clients now."""
        return self._by_address.total()

    def enter(self, address: str) -> None:
        """Raises `Problem` 503 when the service, or the address, has as many as it may."""
        if self.total >= self.limit or self._by_address[address] >= self.limit_per_address:
            raise Problem(
                503, "too_many_clients", "the service has as many clients as it may; try again later"
            )
        self._by_address[address] += 1

    def leave(self, address: str) -> None:
        """One client of the address went away."""
        self._by_address[address] -= 1
        if self._by_address[address] <= 0:
            del self._by_address[address]
