"""Bytes and words of the protocol: Arrow messages, control messages, commands (spec 9.3, 9.4).

Pure. A binary message is one self-contained Arrow IPC stream: schema, dictionaries where a column needs them,
one record batch; one window of one surface. A text message is one JSON object; int64 values are decimal
strings, because a JSON number loses nanoseconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from serving.transport import MAX, MAX_SPEED, MIN_SPEED, Transport

PROTOCOL: Final = 1
ARROW_MEDIA_TYPE: Final = "application/vnd.apache.arrow.stream"
INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1
SHOWN: Final = 60
"""characters of a refused value that an error repeats"""
MAX_STEP: Final = 2**31
"""windows that one step may go, either way"""


# ---- Arrow


@dataclass(frozen=True)
class WindowTag:
    """What the schema metadata of a binary message says about it."""

    surface: str
    epoch: str
    seq: int
    window_end_ts_ns: int
    schema_hash: str
    calibration_id: str

    def metadata(self) -> dict[str, str]:
        """Schema metadata, all text."""
        return {
            "surface": self.surface,
            "epoch": self.epoch,
            "seq": str(self.seq),
            "window_end_ts_ns": str(self.window_end_ts_ns),
            "schema_hash": self.schema_hash,
            "calibration_id": self.calibration_id,
        }

    @classmethod
    def of(cls, schema: pa.Schema) -> WindowTag:
        """Tag of a received message. Raises `ValueError` when the schema carries none."""
        found = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
        try:
            return cls(
                found["surface"],
                found["epoch"],
                int(found["seq"]),
                int(found["window_end_ts_ns"]),
                found["schema_hash"],
                found["calibration_id"],
            )
        except KeyError as error:
            raise ValueError(f"the schema metadata has no {error.args[0]}: no message of a stream") from None


def bare(rows: pa.RecordBatch) -> pa.RecordBatch:
    """The rows without the documentation of their fields, which would be a third of a live message."""
    fields = [pa.field(f.name, f.type, f.nullable) for f in rows.schema]
    return pa.RecordBatch.from_arrays(rows.columns, schema=pa.schema(fields))


def encode_window(rows: pa.RecordBatch, tag: WindowTag) -> bytes:
    """One binary message: the rows of one window of one surface, none included. `rows` are `bare` ones."""
    tagged = rows.replace_schema_metadata(tag.metadata())
    return encode_stream(tagged.schema, [tagged])


def encode_stream(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> bytes:
    """An Arrow IPC stream, uncompressed. Without batches it still carries the schema."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return bytes(sink.getvalue())


def encode_table(rows: pa.Table, metadata: Mapping[str, str] | None = None) -> bytes:
    """An answer of HTTP: the table as one Arrow IPC stream, fields documented, `metadata` added.

    Dictionary columns get one dictionary for the whole stream, because readers in browsers want no
    replacements.
    """
    merged = {**{k.decode(): v.decode() for k, v in (rows.schema.metadata or {}).items()}, **(metadata or {})}
    rows = rows.replace_schema_metadata(merged or None).unify_dictionaries()
    return encode_stream(rows.schema, rows.to_batches())


def decode(message: bytes) -> pa.Table:
    """Rows of an Arrow IPC stream. Raises `pa.ArrowInvalid` for anything else."""
    return pa.ipc.open_stream(message).read_all()


# ---- commands, client to server


@dataclass(frozen=True)
class Command:
    """One command: type, and its value where it has one (ts_ns int, speed float or `MAX`, windows int)."""

    type: str
    value: int | float | None = None


class CommandError(Exception):
    """A message that is no command. `code` is the word for the client."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


_FIELDS: Final = {"play": None, "pause": None, "seek": "ts_ns", "speed": "x", "step": "windows"}
"""command -> its one field"""


def parse_command(text: str) -> Command:
    """The command in a text message. Raises `CommandError` for everything the protocol does not name."""
    message = parse_object(text)
    kind = message.get("type")
    if not isinstance(kind, str) or kind not in _FIELDS:
        found = f"is {_shown(kind)}" if "type" in message else "is missing"
        raise CommandError("unknown_command", f"type {found}, expected one of {', '.join(_FIELDS)}")
    field = _FIELDS[kind]
    wanted = {"type"} if field is None else {"type", field}
    if set(message) != wanted:
        raise CommandError("bad_fields", _fields_differ(kind, set(message), wanted))
    if field is None:
        return Command(kind)
    value = message[field]
    return Command(kind, {"seek": _ts_ns, "speed": _speed, "step": _windows}[kind](value))


def parse_object(text: str) -> dict[str, Any]:
    """The JSON object of a text message. `CommandError`: not JSON, not an object, a repeated key, NaN."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a key is repeated")
        return found

    def no_constant(word: str) -> Any:
        raise ValueError(f"{word} is not JSON")

    try:
        message = json.loads(text, object_pairs_hook=unique, parse_constant=no_constant)
    except (ValueError, RecursionError) as error:
        raise CommandError("malformed", f"a text message holds one JSON object: {str(error)[:80]}") from None
    if not isinstance(message, dict):
        raise CommandError("malformed", "a text message holds one JSON object, found another value")
    return message


def parse_int64(text: str) -> int | None:
    """A decimal int64 as the protocol writes it (``-?[0-9]{1,19}``), None for anything else."""
    digits = text.removeprefix("-")
    if not (1 <= len(digits) <= 19 and digits.isascii() and digits.isdigit()):
        return None
    number = int(text)
    return number if INT64_MIN <= number <= INT64_MAX else None


def parse_speed(text: str) -> float | None:
    """A speed as a query writes it: ``max`` or a plain decimal number, None for anything else."""
    if text == "max":
        return MAX
    if not (text and len(text) <= 12 and text.isascii() and text.replace(".", "", 1).isdigit()):
        return None
    return float(text)


def _ts_ns(value: Any) -> int:
    number = parse_int64(value) if isinstance(value, str) else None
    if number is None:
        raise CommandError(
            "bad_value", f"ts_ns is {_shown(value)}, expected ns since 1970 as a string of decimal digits"
        )
    return number


def _speed(value: Any) -> float:
    if value == "max" and isinstance(value, str):
        return MAX
    if isinstance(value, bool) or not isinstance(value, int | float) or not MIN_SPEED <= value <= MAX_SPEED:
        raise CommandError(
            "bad_value", f'x is {_shown(value)}, expected {MIN_SPEED} to {MAX_SPEED:.0f} or "max"'
        )
    return float(value)


def _windows(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value == 0 or abs(value) > MAX_STEP:
        raise CommandError(
            "bad_value",
            f"windows is {_shown(value)}, expected an integer from {-MAX_STEP} to {MAX_STEP} that is not 0",
        )
    return value


def _fields_differ(kind: str, found: set[str], wanted: set[str]) -> str:
    """Which fields a command lacks, and which it does not know."""
    parts = []
    if wanted - found:
        parts.append(f"lacks the field {', '.join(sorted(wanted - found))}")
    if found - wanted:
        parts.append(
            f"has a field it does not know: {', '.join(map(_shown, sorted(found - wanted)))[:SHOWN]}"
        )
    return f"{kind} {' and '.join(parts)}"


def _shown(value: Any) -> str:
    """A received value as the JSON it came as, cut."""
    text = json.dumps(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


# ---- control messages, server to client


def control(kind: str, **fields: Any) -> str:
    """A text message as JSON without spaces, fields in the given order."""
    return json.dumps({"type": kind, **fields}, separators=(",", ":"), allow_nan=False)


def position(ts_ns: int, seq: int) -> dict[str, str]:
    """A place on the window axis: window_end and index, as decimal strings."""
    return {"ts_ns": str(ts_ns), "seq": str(seq)}


def speed_word(speed: float) -> float | str:
    """A speed as messages write it: a number, or ``max``."""
    return "max" if speed == MAX else float(speed)


def transport_state(transport: Transport, first_ts_ns: int, window_ns: int) -> dict[str, Any]:
    """playing, speed and position of a clock whose first window ends at `first_ts_ns`."""
    at = transport.position
    return {
        "playing": transport.playing,
        "speed": speed_word(transport.speed),
        "position": position(first_ts_ns + at * window_ns, at),
    }


def error(code: str, detail: str, *, fatal: bool = False) -> str:
    """An error message; fatal means that the connection is closed after it."""
    return control("error", code=code, detail=detail, fatal=fatal)


def gap(from_seq: int, to_seq: int) -> str:
    """Windows from_seq .. to_seq were dropped for this client."""
    return control("gap", from_seq=str(from_seq), to_seq=str(to_seq), count=str(to_seq - from_seq + 1))
