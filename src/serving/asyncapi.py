"""The AsyncAPI 3.0 document of the stream: its parameters, its messages, and their shapes."""

from __future__ import annotations

from typing import Any, Final

from serving.openapi import INT64_TEXT
from serving.surfaces import SURFACES
from serving.transport import MAX_SPEED, MIN_SPEED
from serving.wire import ARROW_MEDIA_TYPE, MAX_STEP

_POSITION: Final = {
    "type": "object",
    "required": ["ts_ns", "seq"],
    "properties": {"ts_ns": INT64_TEXT, "seq": INT64_TEXT},
    "additionalProperties": False,
}
_SPEED: Final = {"oneOf": [{"type": "number", "minimum": MIN_SPEED, "maximum": MAX_SPEED}, {"const": "max"}]}
_STATE: Final = {"playing": {"type": "boolean"}, "speed": _SPEED, "position": _POSITION}
_TEXT: Final = {"type": "string"}
_FLAG: Final = {"type": "boolean"}
ERROR_CODES: Final = (
    "malformed",
    "unknown_command",
    "bad_fields",
    "bad_value",
    "out_of_range",
    "not_paused",
    "shared_clock",
    "no_ticket",
    "internal",
)

COMMANDS: Final[dict[str, dict[str, Any]]] = {
    "play": {},
    "pause": {},
    "seek": {"ts_ns": INT64_TEXT},
    "speed": {"x": _SPEED},
    "step": {"windows": {"type": "integer", "minimum": -MAX_STEP, "maximum": MAX_STEP, "not": {"const": 0}}},
    "ticket": {"ticket": _TEXT},
}
"""client to server: type -> fields"""
CONTROLS: Final[dict[str, dict[str, Any]]] = {
    "hello": {
        "protocol": {"type": "integer"},
        "epoch": _TEXT,
        "origin": {"enum": ["recorded", "simulated"]},
        "verified": _FLAG,
        "lookahead": _FLAG,
        "symbol": _TEXT,
        "dt": _TEXT,
        "windows": {"type": "integer"},
        "first_window": _POSITION,
        "last_window": _POSITION,
        "tick_int": INT64_TEXT,
        "surfaces": {"type": "array", "items": {"enum": list(SURFACES)}},
        "schema_hash": {"type": "object", "additionalProperties": _TEXT},
        "calibration_id": _TEXT,
        "calibration_bounds": {
            "type": "object",
            "description": "by metric, as they are used: q95 > q05",
            "additionalProperties": {
                "type": "object",
                "required": ["q05", "q95"],
                "properties": {"q05": {"type": "number"}, "q95": {"type": "number"}},
                "additionalProperties": False,
            },
        },
        "clock": {"enum": ["private", "shared"]},
        "resumed": _FLAG,
        "state": {
            "type": "object",
            "required": list(_STATE),
            "properties": _STATE,
            "additionalProperties": False,
        },
    },
    "state": {"cause": {"enum": ["play", "pause", "seek", "speed", "step"]}, **_STATE},
    "heartbeat": {"server_time_ns": INT64_TEXT, "position": _POSITION},
    "gap": {"from_seq": INT64_TEXT, "to_seq": INT64_TEXT, "count": INT64_TEXT},
    "end": {"position": _POSITION},
    "error": {"code": {"enum": list(ERROR_CODES)}, "detail": _TEXT, "fatal": _FLAG},
}
"""server to client: type -> fields, all of them always present"""
_WORDS: Final = {
    "play": "Go on.",
    "pause": "Stand still.",
    "seek": "Send the first window that ends at or after ts_ns next.",
    "speed": "Windows per second; max sends as fast as the client reads.",
    "step": "While paused: n >= 1 sends the next n windows, n <= -1 goes back n, to the window it sends.",
    "ticket": "The first message to an exposed service, when the handshake carried no token.",
    "hello": "The first message.",
    "state": "After each transport change.",
    "heartbeat": "At least every 5 s.",
    "gap": "Windows that were dropped for a slow client of a shared clock.",
    "end": "The last window was sent; the connection stays open for seek.",
    "error": "A message that could not be followed; it changed nothing. A fatal one ends the connection.",
}


def message_schema(kind: str, fields: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema of one text message."""
    return {
        "type": "object",
        "required": ["type", *fields],
        "properties": {"type": {"const": kind}, **fields},
        "additionalProperties": False,
    }


def asyncapi(version: str) -> dict[str, Any]:
    """The document."""
    messages = {
        kind: {
            "name": kind,
            "summary": _WORDS[kind],
            "contentType": "application/json",
            "payload": message_schema(kind, fields),
        }
        for kind, fields in (COMMANDS | CONTROLS).items()
    }
    messages["window"] = {
        "name": "window",
        "summary": "One window of one surface: a self-contained Arrow IPC stream. Schema metadata: surface,"
        " epoch, seq, window_end_ts_ns, schema_hash, calibration_id.",
        "contentType": ARROW_MEDIA_TYPE,
        "payload": {"type": "string", "contentMediaType": ARROW_MEDIA_TYPE},
    }
    channel = "#/channels/stream"
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Spymaster stream",
            "version": version,
            "description": "A replay with a clock. Every int64 in JSON is a decimal string.",
            "license": {"name": "Apache-2.0"},
        },
        "channels": {
            "stream": {
                "address": "/v1/hud/stream",
                "messages": {kind: {"$ref": f"#/components/messages/{kind}"} for kind in messages},
                "bindings": {"ws": {"method": "GET", "query": _query(), "bindingVersion": "0.1.0"}},
            }
        },
        "operations": {
            "send": _operation("send", channel, [*CONTROLS, "window"], "What the service sends."),
            "receive": _operation("receive", channel, list(COMMANDS), "What the service takes."),
        },
        "components": {"messages": messages},
    }


def _operation(action: str, channel: str, kinds: list[str], words: str) -> dict[str, Any]:
    return {
        "action": action,
        "summary": words,
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{kind}"} for kind in kinds],
    }


def _query() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "symbol": {"type": "string", "pattern": "^[A-Z0-9]{1,8}$"},
            "dt": {"type": "string", "format": "date"},
            "start_ts_ns": INT64_TEXT,
            "speed": {"type": "string", "description": f"{MIN_SPEED} to {MAX_SPEED:.0f}, or max"},
            "surfaces": {
                "type": "string",
                "description": f"comma-separated: {', '.join(SURFACES)}; default hud",
            },
            "clock": {"enum": ["private", "shared"]},
            "resume": {"type": "string", "description": "<epoch>:<seq> of the last window received"},
        },
        "additionalProperties": False,
    }
