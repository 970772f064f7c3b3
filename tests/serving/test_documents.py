"""The describing documents are complete: what the service has stands in them, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from serving import asyncapi, openapi, wire
from serving.http_api import Api
from serving.queries import Query
from serving.stream import PARAMETERS
from serving.surfaces import SURFACES
from serving.transport import Transport, TransportError

SERVING = Path(openapi.__file__).parent
DESCRIBING = {"/v1/openapi.json", "/v1/asyncapi.json"}


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (path, method.upper()): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_every_endpoint_is_described_and_nothing_else() -> None:
    routes = set()
    for route in Api.__new__(Api).routes():
        path = route.path.replace("{surface:path}", "{surface}")
        routes |= {(path, method) for method in route.methods or () if method in ("GET", "POST")}
    routes -= {(path, "GET") for path in DESCRIBING}
    routes.discard(("/v1/ticket", "GET"))  # refuses with 405
    assert routes == set(operations(openapi.openapi("1")))


def test_every_query_parameter_that_a_handler_reads_is_described() -> None:
    """Handlers name what they allow in `Query(..., ("symbol", ...))`."""
    source = (SERVING / "http_api.py").read_text(encoding="utf-8")
    described = operations(openapi.openapi("1"))
    by_handler = {"surfaces": "/v1/surfaces/{surface}", "bootstrap": "/v1/hud/bootstrap"}
    by_handler |= {name: f"/v1/hud/{name}" for name in ("day", "profile")}
    by_handler |= {name: f"/v1/{name}" for name in ("levels", "explain")}
    for name, path in by_handler.items():
        body = source.split(f"async def {name}(", 1)[1].split("async def ", 1)[0]
        allowed = re.search(r'Query\(request\.scope\["query_string"\], \(([^)]*)\)', body)
        assert allowed is not None, name
        given = {p["name"] for p in described[path, "GET"]["parameters"] if p["in"] == "query"}
        assert given == set(re.findall(r'"(\w+)"', allowed.group(1))), path


def test_every_schema_is_a_schema() -> None:
    document = openapi.openapi("1")
    seen = 0
    for operation in operations(document).values():
        for parameter in operation.get("parameters", []):
            jsonschema.Draft202012Validator.check_schema(parameter["schema"])
            seen += 1
        for answer in operation["responses"].values():
            for content in answer.get("content", {}).values():
                jsonschema.Draft202012Validator.check_schema(content["schema"])
                seen += 1
    for message in asyncapi.asyncapi("1")["components"]["messages"].values():
        jsonschema.Draft202012Validator.check_schema(message["payload"])
        seen += 1
    assert seen > 60


def test_references_lead_somewhere_and_every_message_is_used() -> None:
    for document in (openapi.openapi("1"), asyncapi.asyncapi("1")):
        for reference in re.findall(r"'\$ref': '#/([^']+)'", str(document)):
            at: Any = document
            for part in reference.split("/"):
                at = at[part]
    document = asyncapi.asyncapi("1")
    used = {m["$ref"].rsplit("/", 1)[1] for o in document["operations"].values() for m in o["messages"]}
    assert used == set(document["components"]["messages"])


def test_parameters_of_the_stream_and_surfaces_are_those_of_the_service() -> None:
    query = asyncapi.asyncapi("1")["channels"]["stream"]["bindings"]["ws"]["query"]
    assert set(query["properties"]) == set(PARAMETERS)
    surface = openapi.openapi("1")["paths"]["/v1/surfaces/{surface}"]["get"]["parameters"][0]
    assert surface["schema"]["enum"] == list(SURFACES)
    Query(b"&".join(f"{name}=1".encode() for name in PARAMETERS), PARAMETERS)


def test_every_error_code_that_can_be_sent_is_described() -> None:
    sent = set()
    for name in ("wire.py", "transport.py", "stream.py"):
        source = (SERVING / name).read_text(encoding="utf-8")
        calls = r"(?:CommandError|TransportError|wire\.error)\(\s*\"(\w+)\"|fail\(\s*\w+, \"(\w+)\""
        sent |= {first or second for first, second in re.findall(calls, source)}
    assert sent == set(asyncapi.ERROR_CODES)


@pytest.mark.parametrize("kind", sorted(set(asyncapi.COMMANDS) - {"ticket"}))
def test_the_described_commands_are_those_that_are_understood(kind: str) -> None:
    values = {"ts_ns": "1767709800000000000", "x": 2.0, "windows": 3}
    fields = {name: values[name] for name in asyncapi.COMMANDS[kind]}
    text = wire.control(kind, **fields)
    jsonschema.validate({"type": kind, **fields}, asyncapi.message_schema(kind, asyncapi.COMMANDS[kind]))
    assert wire.parse_command(text).type == kind


@pytest.mark.parametrize("speed", [0.0, 0.05, 1000.5, -1.0])
def test_a_speed_outside_the_document_is_refused_by_the_service(speed: float) -> None:
    schema = asyncapi.message_schema("speed", asyncapi.COMMANDS["speed"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"type": "speed", "x": speed}, schema)
    with pytest.raises(TransportError):
        Transport(2).set_speed(speed, 0)
