"""The recorded messages of docs/vectors, made anew: ``python -m tests.serving.vectors docs/vectors``.

Binary vectors are made of fixed rows. Conversations and answers are recorded from a service over the preset
`tiny`; what depends on the version of the code (epoch, hashes, ids, time of day) is put in angle brackets.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import httpx2
import pyarrow as pa

from data_eng.schema import table
from serving import wire
from serving.broadcast import frame_header
from serving.surfaces import SURFACES
from tests.serving.conftest import DT, SYMBOL, _build
from tests.serving.streams import connected

EPOCH: Final = "00112233445566778899aabbccddeeff" * 2
FIRST_TS_NS: Final = 1_767_709_740_000_000_000
COMMANDS: Final = (
    '{"type":"play"}',
    '{"type":"pause"}',
    '{"type":"seek","ts_ns":"1767709800000000000"}',
    '{"type":"speed","x":0.5}',
    '{"type":"speed","x":"max"}',
    '{"type":"step","windows":-2}',
    '{"type":"seek","ts_ns":1767709800000000000}',
    '{"type":"speed","x":0}',
    '{"type":"step","windows":0}',
    '{"type":"step","windows":2147483648}',
    '{"type":"step","windows":2147483649}',
    '{"type":"rewind"}',
    '{"type":"play","now":true}',
    '{"type":"play","type":"pause"}',
    "play",
)
SCRIPT: Final = (
    ("hello", None),
    ("window", None),
    ("send", '{"type":"pause"}'),
    ("state", None),
    ("send", '{"type":"step","windows":2}'),
    ("state", None),
    ("window", None),
    ("window", None),
    ("send", '{"type":"speed","x":4}'),
    ("state", None),
    ("send", '{"type":"step","windows":0}'),
    ("error", None),
    ("send", '{"type":"seek","ts_ns":"<last_window>"}'),
    ("state", None),
    ("send", '{"type":"play"}'),
    ("state", None),
    ("window", None),
    ("end", None),
    ("send", '{"type":"seek","ts_ns":"9000000000000000000"}'),
    ("error", None),
)
"""what is sent and awaited; at speed 0.1 the second window comes after ten seconds"""
REQUESTS: Final = (
    "/healthz",
    "/readyz",
    f"/v1/hud/bootstrap?symbol={SYMBOL}&dt={DT}",
    f"/v1/surfaces/snap?symbol={SYMBOL}&dt={DT}&start_ts_ns=0&end_ts_ns=1000000000",
    f"/v1/surfaces/wall?symbol={SYMBOL}&dt={DT}",
    "/v1/surfaces/walls",
    "/v1/surfaces/hud?start_ts_ns=2&end_ts_ns=1",
    "/v1/surfaces/hud?start_ts_ns=0&end_ts_ns=1801000000000",
    "/v1/hud/bootstrap?dt=2026-13-01",
    "/v1/hud/bootstrap?symbol=ZZZ9&dt=2026-01-06",
    "/v1/hud/bootstrap?colour=red",
    "/v1/hud/bootstrap?token=secret",
    "/v1/explain",
    "/nothing/here",
)
KEPT_HEADERS: Final = ("content-type", "x-hud-symbol", "x-hud-dt", "x-hud-surface", "x-hud-rows",
                       "x-hud-windows", "x-hud-start-ts-ns", "x-hud-end-ts-ns", "x-hud-origin")  # fmt: skip


def fixed_rows(surface: str, count: int) -> pa.RecordBatch:
    """`count` rows of a surface, every value made from its row and column number."""
    schema = table(SURFACES[surface].dataset).arrow_schema
    columns = []
    for number, field in enumerate(schema):
        kind = field.type
        if field.name == "window_end_ts_ns":
            values: list[Any] = [FIRST_TS_NS] * count
        elif pa.types.is_dictionary(kind) or pa.types.is_string(kind):
            values = ["AB"[row % 2] for row in range(count)]
        elif pa.types.is_boolean(kind):
            values = [(row + number) % 2 == 0 for row in range(count)]
        elif pa.types.is_floating(kind):
            values = [(row + number) / 64 for row in range(count)]
        elif pa.types.is_fixed_size_binary(kind):
            values = [bytes((row + byte) % 256 for byte in range(kind.byte_width)) for row in range(count)]
        else:
            values = [(row + number) % 100 for row in range(count)]
        columns.append(pa.array(values, kind))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def tag_of(surface: str, seq: int) -> wire.WindowTag:
    """The tag of a binary vector."""
    declared = SURFACES[surface].table.schema_hash
    return wire.WindowTag(surface, EPOCH, seq, FIRST_TS_NS, declared, "2026-01-05/0123456789abcdef")


def binary_vectors() -> dict[str, bytes]:
    """File name -> message: one window each; of walls with a dictionary, with two rows and with none."""
    wall = fixed_rows("wall", 2)
    messages = {
        "snap": wire.encode_window(fixed_rows("snap", 1), tag_of("snap", 7)),
        "wall": wire.encode_window(wall, tag_of("wall", 7)),
        "wall_empty": wire.encode_window(wall.slice(0, 0), tag_of("wall", 8)),
    }
    found = {f"{name}.arrows": message for name, message in messages.items()}
    found["snap.frame"] = frame_header(len(messages["snap"])) + messages["snap"]
    return found


def command_vectors() -> list[dict[str, Any]]:
    """What each text means to the service: a command and its value, or the code of the error."""
    found: list[dict[str, Any]] = []
    for text in COMMANDS:
        try:
            command = wire.parse_command(text)
        except wire.CommandError as error:
            found.append({"text": text, "error": error.code})
            continue
        value = command.value
        found.append({"text": text, "type": command.type, "value": "max" if value == wire.MAX else value})
    return found


def conversation(url: str) -> list[dict[str, Any]]:
    """`SCRIPT` against a service: every message, in order, without what changes with the code."""
    found: list[dict[str, Any]] = []
    facts: dict[str, str] = {}
    with connected(url, symbol=SYMBOL, dt=DT, surfaces="snap", speed=0.1) as ws:
        for kind, text in SCRIPT:
            if text is not None:
                text = text.replace("<last_window>", facts["last_window"])
                ws.send(text)
                found.append({"client": json.loads(text)})
                continue
            message = ws.recv(60)
            while isinstance(message, str) and json.loads(message)["type"] == "heartbeat":
                message = ws.recv(60)
            if isinstance(message, bytes):
                tag = wire.WindowTag.of(wire.decode(message).schema).metadata()
                found.append({"server": {"binary": _nameless(tag)}})
            else:
                said = json.loads(message)
                facts.setdefault("last_window", said.get("last_window", {}).get("ts_ns", ""))
                found.append({"server": _nameless(said)})
            assert kind in (said["type"] if isinstance(message, str) else "window"), (kind, found[-1])
        ws.close()
        found.append({"client_closes": ws.protocol.close_code})
    return found


def answers(url: str) -> list[dict[str, Any]]:
    """Status, headers and JSON body of each of `REQUESTS`."""
    found = []
    with httpx2.Client(base_url=url, trust_env=False, timeout=60) as http:
        for path in REQUESTS:
            answer = http.get(path)
            headers = {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers}
            entry: dict[str, Any] = {"get": path, "status": answer.status_code, "headers": headers}
            if "json" in headers["content-type"]:
                entry["body"] = _nameless(answer.json())
            else:
                rows = wire.decode(answer.content)
                metadata = {k.decode(): v.decode() for k, v in (rows.schema.metadata or {}).items()}
                entry |= {"rows": rows.num_rows, "surface": metadata["surface"]}
            found.append(entry)
    return found


def text_vectors(url: str) -> dict[str, Any]:
    """File name -> document."""
    return {
        "commands.json": command_vectors(),
        "conversation.json": conversation(url),
        "http.json": answers(url),
    }


def _nameless(document: dict[str, Any]) -> dict[str, Any]:
    """The document with changing values as ``<name>``."""
    changing = {"epoch", "calibration_id", "version", "server_time_ns", "calibration"}
    out: dict[str, Any] = {}
    for name, value in document.items():
        if name == "schema_hash":
            out[name] = dict.fromkeys(value, "<schema_hash>") if isinstance(value, dict) else "<schema_hash>"
        else:
            out[name] = f"<{name}>" if name in changing else value
    return out


def main(arguments: list[str]) -> int:
    """Write all vectors into a folder; returns the exit code."""
    from serving.local import LocalService
    from serving.settings import load_settings

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--lake", type=Path, help="a lake of the preset tiny; default: made in a new folder")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="spymaster-vectors-") as folder:
        root = given.lake or Path(folder)
        if given.lake is None:
            _build(root)
        with LocalService(load_settings(lake=root, port=0)) as url:
            documents = text_vectors(url)
    given.out.mkdir(parents=True, exist_ok=True)
    for name, document in documents.items():
        lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in document)
        (given.out / name).write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    for name, message in binary_vectors().items():
        (given.out / name).write_bytes(message)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
