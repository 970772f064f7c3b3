"""The vectors of docs/vectors are what the service says today, and docs/protocol.md names all of them."""

from __future__ import annotations

import json
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


def test_the_page_names_every_setting_of_the_service() -> None:
    from serving.settings import Settings

    missing = [name for name in Settings.model_fields if f"`{name}`" not in page()]
    assert missing == []
