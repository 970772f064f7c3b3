"""The vectors of docs/vectors are what the service says today, and docs/protocol.md names all of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow as pa
import pytest

from serving import wire
from serving.asyncapi import COMMANDS, CONTROLS, ERROR_CODES
from serving.stream import PARAMETERS
from tests.serving import vectors

DOCS = Path(__file__).resolve().parents[2] / "docs"
CURE = "when the protocol was meant to change: python -m tests.serving.vectors docs/vectors"


def page() -> str:
    return (DOCS / "protocol.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(vectors.binary_vectors()))
def test_binary_messages_are_these_bytes(name: str) -> None:
    recorded = (DOCS / "vectors" / name).read_bytes()
    assert recorded == vectors.binary_vectors()[name], CURE


@pytest.mark.parametrize(("name", "surface", "seq", "rows"), [("snap", "snap", 7, 1), ("wall", "wall", 7, 2),
                                                             ("wall_empty", "wall", 8, 0)])  # fmt: skip
def test_binary_messages_read_back_as_their_rows(name: str, surface: str, seq: int, rows: int) -> None:
    found = pa.ipc.open_stream((DOCS / "vectors" / f"{name}.arrows").read_bytes()).read_all()
    assert found.num_rows == rows
    assert wire.WindowTag.of(found.schema) == vectors.tag_of(surface, seq)
    assert found.to_pylist() == vectors.fixed_rows(surface, rows).to_pylist()


def test_conversation_answers_and_commands_are_those_recorded(url: str) -> None:
    for name, document in vectors.text_vectors(url).items():
        recorded = json.loads((DOCS / "vectors" / name).read_text(encoding="utf-8"))
        assert document == recorded, f"{name}: {CURE}"


def test_the_page_names_every_message_code_parameter_and_vector() -> None:
    text = page()
    files = {path.name for path in (DOCS / "vectors").iterdir()}
    assert files == {*vectors.binary_vectors(), "commands.json", "conversation.json", "http.json"}
    fields = {field for fields in (COMMANDS | CONTROLS).values() for field in fields}
    for word in {*COMMANDS, *CONTROLS, *ERROR_CODES, *PARAMETERS, *fields, *files}:
        assert f"`{word}`" in text, f"docs/protocol.md does not name {word}"


def test_the_table_of_settings_tells_every_setting_and_its_true_default() -> None:
    from serving.settings import Settings

    table = page().split("| Setting | Default | Meaning |", 1)[1].split("\n\n", 1)[0]
    told = dict(re.findall(r"^\| `(\w+)` \| (.*?) ?\| .+ \|$", table, re.MULTILINE))
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    wanted = {name: "" if value in (None, ()) else str(value) for name, value in defaults.items()}
    assert told == wanted | {"expose": "false"}


def test_the_limits_in_the_text_are_those_of_the_settings() -> None:
    from serving.settings import Settings

    of = {name: field.default for name, field in Settings.model_fields.items()}
    text = page()
    assert f"more than {of['commands_per_s']} commands or pings a second" in text
    assert f"a message over {of['command_bytes']} bytes" in text
    assert f"a ping not answered in {of['ping_s']:.0f} s" in text
    assert f"is cut after {of['linger_s']:.0f} s" in text
    assert f"After {of['slow_client_s']:.0f} s over the limit" in text
    assert of["mailbox_windows"] == 2
    assert "mailbox of two windows" in text
