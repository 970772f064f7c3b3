"""What both clients share and no socket knows: addresses, refusals, and the state of one stream. Pure."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import urlencode, urlsplit

import pyarrow as pa

from data_eng.units import WINDOW_NS
from serving import wire
from serving.security import is_loopback
from serving.surfaces import DEFAULT

Kind = Literal["arrow", "polars", "pandas"]
STREAM_PATH: Final = "/v1/hud/stream"


class ClientError(Exception):
    """The service refused, or sent something that is no answer. status: of HTTP, 0 for a stream."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"{detail} ({code}, status {status})" if status else f"{detail} ({code})")
        self.status = status
        self.code = code
        self.detail = detail


@dataclass(frozen=True)
class Window:
    """One window of a stream: ``window["hud"]`` is a pyarrow table."""

    window_end_ts_ns: int
    seq: int
    epoch: str
    tables: Mapping[str, pa.Table]

    def __getitem__(self, surface: str) -> pa.Table:
        return self.tables[surface]


def problem_of(status: int, body: bytes) -> ClientError:
    """The refusal in an HTTP answer."""
    try:
        document = json.loads(body)
        return ClientError(status, str(document["type"]).rsplit(":", 1)[-1], str(document["detail"]))
    except (ValueError, KeyError, TypeError):
        return ClientError(status, "no_problem", f"the answer is no problem document: {body[:80]!r}")


def unreachable(base_url: str, error: BaseException) -> ClientError:
    """Nobody answers there."""
    return ClientError(
        0, "unreachable", f"{base_url} cannot be reached: {error}; is the service running? spymaster serve"
    )


def as_kind(rows: pa.Table, kind: Kind) -> Any:
    """The rows as pyarrow table, Polars or pandas frame. Raises `ClientError` without that package."""
    if kind == "arrow":
        return rows
    try:
        if kind == "polars":
            import polars as pl

            return pl.from_arrow(rows)
        return rows.to_pandas()
    except ImportError as error:
        raise ClientError(0, "no_package", f"{kind} is not installed: pip install {kind}") from error


def query(**values: Any) -> str:
    """A query string of the values that are not None."""
    return urlencode({name: str(value) for name, value in values.items() if value is not None})


def stream_url(base_url: str, text: str) -> str:
    """Address of the stream for a service at `base_url`."""
    parts = urlsplit(base_url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    return f"{scheme}://{parts.netloc}{STREAM_PATH}{f'?{text}' if text else ''}"


def is_local(base_url: str) -> bool:
    """Whether the service is on this machine, so that no proxy of the environment is asked."""
    return is_loopback(urlsplit(base_url).hostname or "")


def parts_of(start_ts_ns: int, end_ts_ns: int, windows: int) -> Iterator[tuple[int, int]]:
    """The range cut into pieces of at most `windows` windows."""
    while start_ts_ns < end_ts_ns:
        stop = min(start_ts_ns + windows * WINDOW_NS, end_ts_ns)
        yield start_ts_ns, stop
        start_ts_ns = stop


@dataclass
class StreamState:
    """What a client knows of its stream: enough to take it up again after a lost connection.

    Every window comes out of `take` exactly once per pass over it: a window of which a surface is missing
    when the connection is lost is asked for again. Commands and messages may be handled in two threads.
    """

    symbol: str | None = None
    dt: str | None = None
    surfaces: Sequence[str] = (DEFAULT,)
    clock: str | None = None
    start_ts_ns: int | None = None
    speed: float | str | None = None
    hello: dict[str, Any] | None = None
    playing: bool = True
    ended: bool = False
    last: tuple[str, int] | None = None
    """(epoch, seq) of the last whole window"""
    gaps: list[tuple[int, int]] = field(default_factory=list)
    """windows that a shared clock dropped, (from_seq, to_seq)"""
    errors: list[dict[str, Any]] = field(default_factory=list)
    """refusals of commands, the newest last"""
    _unanswered: int = 0
    _parts: dict[str, pa.Table] = field(default_factory=dict)
    _seeks_ts_ns: list[int] = field(default_factory=list)
    """seeks that were sent and not answered yet"""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)
    """over what commands and their answers both change"""

    @property
    def finished(self) -> bool:
        """The last window was received, and no command is on its way that could bring more."""
        return self.ended and not self._unanswered

    def connect_query(self) -> str:
        """Query string of the next connection; one that was lost is resumed."""
        private = self.clock != "shared"
        with self._lock:
            if self._seeks_ts_ns:
                self.start_ts_ns, self.last = self._seeks_ts_ns[-1], None
                self._seeks_ts_ns.clear()
            self._unanswered = 0
        resume, start = self.last if private else None, self.start_ts_ns
        self._parts.clear()
        return query(
            symbol=self.symbol,
            dt=self.dt,
            surfaces=",".join(self.surfaces),
            clock=self.clock,
            start_ts_ns=start if private else None,
            speed=self.speed if private else None,
            resume=f"{resume[0]}:{resume[1]}" if resume else None,
        )

    def after_connect(self) -> list[str]:
        """Commands to send after hello of a connection taken up again."""
        return [] if self.playing else [wire.control("pause")]

    def command(self, kind: str, value: Any = None) -> str:
        """The text of a command, remembered for a lost connection."""
        fields = {"seek": "ts_ns", "speed": "x", "step": "windows"}
        with self._lock:
            self._unanswered += 1
            if kind == "seek":
                self._seeks_ts_ns.append(int(value))
                value = str(int(value))
        return wire.control(kind) if value is None else wire.control(kind, **{fields[kind]: value})

    def take(self, message: str | bytes) -> Window | None:
        """Look at one message; the window that it completes, if it does. `ClientError` for a fatal error."""
        if isinstance(message, str):
            with self._lock:
                self._take_text(json.loads(message))
            return None
        rows = wire.decode(message)
        tag = wire.WindowTag.of(rows.schema)
        self._parts[tag.surface] = rows
        if tag.surface != self.surfaces[-1]:
            return None
        tables = {name: self._parts.pop(name) for name in self.surfaces}
        self.last = (tag.epoch, tag.seq)
        self.ended = False
        return Window(tag.window_end_ts_ns, tag.seq, tag.epoch, tables)

    def _take_text(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind in ("state", "error"):
            self._unanswered = max(self._unanswered - 1, 0)
        if kind == "hello":
            self.hello = message
            self.symbol, self.dt = message["symbol"], message["dt"]
            if not message["resumed"]:
                self.last, self.ended = None, False
        elif kind == "state":
            self.playing, self.speed = message["playing"], message["speed"]
            if message["cause"] in ("seek", "step"):
                self.ended = False
            if message["cause"] == "seek" and self._seeks_ts_ns:
                # from here on windows belong to the seek; before, they were on their way
                self.start_ts_ns, self.last = self._seeks_ts_ns.pop(0), None
        elif kind == "end":
            self.ended = True
        elif kind == "gap":
            self.gaps.append((int(message["from_seq"]), int(message["to_seq"])))
        elif kind == "error":
            self.errors.append(message)
            if message["code"] in ("out_of_range", "shared_clock"):
                self._seeks_ts_ns.clear()
            if message["fatal"]:
                raise ClientError(0, message["code"], message["detail"])
