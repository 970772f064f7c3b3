"""The OpenAPI 3.1 document of the HTTP half, made from the declarations that the service itself uses."""

from __future__ import annotations

from typing import Any, Final

from serving.problems import PROBLEM_MEDIA_TYPE
from serving.surfaces import SURFACES
from serving.wire import ARROW_MEDIA_TYPE

JSON: Final = "application/json"
INT64_TEXT: Final = {"type": "string", "pattern": "^-?[0-9]{1,19}$"}
DATE_TEXT: Final = {
    "type": "string",
    "format": "date",
    "pattern": "^(19[7-9][0-9]|2[01][0-9]{2}|22[0-5][0-9]|226[01])-[0-9]{2}-[0-9]{2}$",
}
"""the years of int64 nanoseconds"""
_OR_NULL: Final = {"type": ["string", "null"], "pattern": "^-?[0-9]{1,19}$"}
_POSITION: Final = {
    "type": "object",
    "required": ["ts_ns", "seq"],
    "properties": {"ts_ns": INT64_TEXT, "seq": INT64_TEXT},
    "additionalProperties": False,
}
_SURFACE: Final = {
    "type": "object",
    "required": ["dataset", "available", "reason", "schema_hash", "range_required", "max_windows"],
    "properties": {
        "dataset": {"type": "string"},
        "available": {"type": "boolean"},
        "reason": {"type": ["string", "null"]},
        "schema_hash": {"type": "string"},
        "range_required": {"type": "boolean"},
        "max_windows": {"type": "integer"},
        "rows": {"type": "integer"},
        "first_window_end_ts_ns": _OR_NULL,
        "last_window_end_ts_ns": _OR_NULL,
    },
    "additionalProperties": False,
}
_DAY: Final = {
    "type": "object",
    "required": ["symbol", "dt", "servable", "reason"],
    "properties": {
        "symbol": {"type": "string"},
        "dt": {"type": "string", "format": "date"},
        "servable": {"type": "boolean"},
        "reason": {"type": ["string", "null"], "description": "why it is not servable"},
        "epoch": {"type": "string", "description": "hash of the manifests served"},
        "origin": {"enum": ["recorded", "simulated"]},
        "verified": {"type": "boolean"},
        "lookahead": {"type": "boolean", "description": "the scores look ahead within the day"},
        "calibration_id": {"type": ["string", "null"]},
        "session": {"type": "string"},
        "windows": {"type": "integer"},
        "first_window": _POSITION,
        "last_window": _POSITION,
        "counters": {
            "type": "object",
            "description": "what the book engine counted",
            "additionalProperties": {"type": "integer"},
        },
        "warnings": {"type": "array", "items": {"type": "string"}},
        "surfaces": {"type": "object", "additionalProperties": _SURFACE},
    },
    "additionalProperties": False,
}
_CATALOG: Final = {
    "type": "object",
    "required": ["version", "protocol", "default", "symbols", "dts", "days"],
    "properties": {
        "version": {"type": "string"},
        "protocol": {"type": "integer"},
        "default": {
            "type": ["object", "null"],
            "required": ["symbol", "dt"],
            "properties": {"symbol": {"type": "string"}, "dt": {"type": "string"}},
        },
        "symbols": {"type": "array", "items": {"type": "string"}},
        "dts": {"type": "array", "items": {"type": "string"}},
        "days": {"type": "array", "items": _DAY},
    },
    "additionalProperties": False,
}
_LEVEL: Final = {
    "type": "object",
    "required": [
        "id",
        "definition",
        "source",
        "price_int",
        "from_ts_ns",
        "to_ts_ns",
        "known_from_ts_ns",
        "unavailable",
    ],
    "properties": {
        "id": {"type": "string"},
        "definition": {"type": "string"},
        "source": {"type": "string"},
        "price_int": _OR_NULL,
        "from_ts_ns": _OR_NULL,
        "to_ts_ns": _OR_NULL,
        "known_from_ts_ns": _OR_NULL,
        "unavailable": {"type": ["string", "null"], "description": "why there is no such level"},
    },
    "additionalProperties": False,
}
_LEVELS: Final = {
    "type": "object",
    "required": ["symbol", "dt", "zone", "levels"],
    "properties": {
        "symbol": {"type": "string"},
        "dt": {"type": "string"},
        "zone": {"type": "string"},
        "levels": {"type": "array", "items": _LEVEL},
    },
    "additionalProperties": False,
}
_DIRECTION: Final = {
    "type": "object",
    "required": ["score", "touch_score", "terms", "empty_bands", "levels"],
    "properties": {
        "score": {"type": "number"},
        "touch_score": {"type": "number"},
        "terms": {
            "type": "object",
            "description": "six terms that add up to the score",
            "additionalProperties": {"type": "number"},
        },
        "empty_bands": {"type": "array", "items": {"enum": ["at", "near", "mid", "far"]}},
        "levels": {"type": "array", "items": {"type": "object"}},
    },
    "additionalProperties": False,
}
_EXPLAIN: Final = {
    "type": "object",
    "required": [
        "symbol",
        "dt",
        "window_end_ts_ns",
        "seq",
        "calibration_id",
        "lookahead",
        "spot_ref_price_int",
        "vacuum_total_score",
        "above",
        "below",
    ],
    "properties": {
        "symbol": {"type": "string"},
        "dt": {"type": "string"},
        "window_end_ts_ns": INT64_TEXT,
        "seq": INT64_TEXT,
        "calibration_id": {"type": "string"},
        "lookahead": {"type": "boolean"},
        "spot_ref_price_int": INT64_TEXT,
        "vacuum_total_score": {"type": "number"},
        "above": _DIRECTION,
        "below": _DIRECTION,
    },
    "additionalProperties": False,
}
_PROBLEM: Final = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "pattern": "^urn:spymaster:problem:[a-z0-9_]+$"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
    "additionalProperties": False,
}
_STATUS: Final = {
    "304": "Not modified: If-None-Match names this answer.",
    "400": "A parameter is unknown, malformed, missing, or asks for too much.",
    "401": "The exposed service wants a token.",
    "403": "The Host is not ours, or the Origin is not our page.",
    "404": "No such day, or the lake has no such data.",
    "406": "Accept or Accept-Encoding excludes what is sent.",
    "429": "Too many tickets are open.",
    "503": "The day cannot be read now.",
}


def openapi(version: str) -> dict[str, Any]:
    """The document."""
    symbol = _parameter(
        "symbol", {"type": "string", "pattern": "^[A-Z0-9]{1,8}$"}, "contract; default as catalogued"
    )
    dt = _parameter("dt", DATE_TEXT, "UTC date; default as catalogued")
    start = _parameter("start_ts_ns", INT64_TEXT, "windows that end after this, UTC ns")
    end = _parameter("end_ts_ns", INT64_TEXT, "windows that end at or before this, UTC ns; default the last")
    at = _parameter("ts_ns", INT64_TEXT, "the first window that ends at or after this", required=True)
    surface = {
        "name": "surface",
        "in": "path",
        "required": True,
        "schema": {"enum": list(SURFACES)},
        "description": "surface id",
    }
    day = [symbol, dt]
    text = {"text/plain": {"schema": {"type": "string"}}}
    day_read = (*_READ, "404")
    bootstrap = "The last 1800 pictures."
    profile = "Volume by price since the trade date's start."
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Spymaster",
            "version": version,
            "description": "One-second surfaces of a futures order book. Scores describe; that they predict "
            "is unproven. Every int64 in JSON is a decimal string.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {
            "/healthz": _get("healthz", "Whether the process lives.", [], _json_body(_HEALTH), "400"),
            "/readyz": _get(
                "readyz", "Whether the default day can be served.", [], _json_body(_READY), "400", "503"
            ),
            "/metrics": _get("metrics", "Counters for Prometheus.", [], text, "400", "401"),
            "/v1/catalog": _get("catalog", "Days and surfaces.", [], _json_body(_CATALOG), *_READ),
            "/v1/hud/bootstrap": _get("bootstrap", bootstrap, [*day, end], _ARROW, *day_read),
            "/v1/surfaces/{surface}": _get(
                "surface", "Rows of one surface.", [surface, *day, start, end], _ARROW, *day_read
            ),
            "/v1/hud/day": _get("day", "One row per window of the whole day.", day, _ARROW, *day_read),
            "/v1/hud/profile": _get("profile", profile, [*day, end], _ARROW, *day_read),
            "/v1/levels": _get(
                "levels", "Reference levels, or why there are none.", day, _json_body(_LEVELS), *day_read
            ),
            "/v1/explain": _get(
                "explain", "Terms of both scores of one window.", [*day, at], _json_body(_EXPLAIN), *day_read
            ),
            "/v1/ticket": {
                "post": {
                    "operationId": "ticket",
                    "summary": "A single-use ticket for the stream, for 60 s; exposed service only.",
                    "responses": {"200": _answer("A ticket.", _json_body(_TICKET))}
                    | _problems("400", "401", "404", "429"),
                }
            },
        },
        "components": {
            "schemas": {"Problem": _PROBLEM},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


_READ: Final = ("304", "400", "401", "403", "406", "503")
_HEALTH: Final = {
    "type": "object",
    "required": ["status", "version"],
    "properties": {"status": {"const": "ok"}, "version": {"type": "string"}},
    "additionalProperties": False,
}
_READY: Final = {
    "type": "object",
    "required": ["status", "symbol", "dt", "epoch"],
    "properties": {
        "status": {"const": "ready"},
        "symbol": {"type": "string"},
        "dt": {"type": "string"},
        "epoch": {"type": "string"},
    },
    "additionalProperties": False,
}
_TICKET: Final = {
    "type": "object",
    "required": ["ticket", "expires_s"],
    "properties": {"ticket": {"type": "string"}, "expires_s": {"type": "integer"}},
    "additionalProperties": False,
}
_ARROW: Final = {
    ARROW_MEDIA_TYPE: {"schema": {"type": "string", "contentMediaType": ARROW_MEDIA_TYPE}},
}


def _parameter(name: str, schema: dict[str, Any], words: str, *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": required, "schema": schema, "description": words}


def _json_body(schema: dict[str, Any]) -> dict[str, Any]:
    return {JSON: {"schema": schema}}


def _answer(words: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"description": words, "content": content}


def _problems(*statuses: str) -> dict[str, Any]:
    problem = {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": _STATUS[status]} if status == "304" else _answer(_STATUS[status], problem)
        for status in statuses
    }


def _get(
    name: str, words: str, parameters: list[dict[str, Any]], content: dict[str, Any], *statuses: str
) -> dict[str, Any]:
    responses = {"200": _answer(words, content)} | _problems(*dict.fromkeys((*statuses, "403")))
    return {"get": {"operationId": name, "summary": words, "parameters": parameters, "responses": responses}}
