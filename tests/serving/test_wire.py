"""Bytes and words of the protocol."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from data_eng.schema import TABLES
from serving import asyncapi, wire
from serving.asyncapi import COMMANDS
from serving.broadcast import frame_header
from serving.transport import MAX, Transport

TAG = wire.WindowTag("snap", "ab" * 32, 7, 1_767_709_800_000_000_000, "0123", "2026-01-06/abcd")
SERVED = [t for name, t in TABLES.items() if not name.startswith("bronze.")]


@pytest.mark.parametrize("table", SERVED, ids=lambda t: t.name)
def test_an_empty_window_keeps_the_whole_schema(table: Any) -> None:
    rows = pa.RecordBatch.from_arrays(
        [pa.array([], f.type) for f in table.arrow_schema], schema=table.arrow_schema
    )
    message = wire.encode_window(wire.bare(rows), TAG)
    found = wire.decode(message)
    assert found.num_rows == 0
    assert found.schema.equals(table.arrow_schema)
    assert wire.WindowTag.of(found.schema) == TAG


def test_a_message_is_bytes_of_its_rows_alone_and_carries_no_documentation() -> None:
    table = TABLES["silver.future_mbo.book_snapshot_1s"]
    rows = pa.RecordBatch.from_pylist(
        [{f.name: _example(f) for f in table.arrow_schema} for _ in range(50)], schema=table.arrow_schema
    )
    one = wire.encode_window(wire.bare(rows.slice(20, 1)), TAG)
    alone = pa.RecordBatch.from_pylist(rows.slice(20, 1).to_pylist(), schema=table.arrow_schema)
    assert len(one) <= len(wire.encode_window(wire.bare(alone), TAG)) + 64
    assert b"UTC" not in one
    assert wire.decode(one).equals(pa.Table.from_batches([alone]))


def _example(field: pa.Field) -> Any:
    if pa.types.is_boolean(field.type):
        return True
    return "open" if pa.types.is_dictionary(field.type) else 3


def test_a_stream_of_http_has_one_dictionary_and_its_documentation() -> None:
    schema = pa.schema([pa.field("side", pa.dictionary(pa.int8(), pa.string()), metadata={"doc": "who"})])
    pieces = [
        pa.table({"side": pa.array(s).dictionary_encode().cast(schema[0].type)}) for s in (["A"], ["B", "A"])
    ]
    rows = pa.concat_tables([p.cast(schema) for p in pieces])
    reader = pa.ipc.open_stream(wire.encode_table(rows, {"epoch": "e"}))
    found = reader.read_all()
    assert found["side"].to_pylist() == ["A", "B", "A"]
    assert reader.stats.num_replaced_dictionaries == reader.stats.num_dictionary_deltas == 0
    assert found.schema.metadata[b"epoch"] == b"e"
    assert found.schema[0].metadata == {b"doc": b"who"}


def test_a_stream_without_a_tag_is_no_message() -> None:
    with pytest.raises(ValueError, match="surface"):
        wire.WindowTag.of(pa.schema([]))
    with pytest.raises(ValueError, match="seq"):
        wire.WindowTag.of(pa.schema([], {"surface": "hud", "epoch": "e"}))


# ---- commands


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ('{"type":"play"}', wire.Command("play")),
        ('{"type":"pause"}', wire.Command("pause")),
        ('{"type":"seek","ts_ns":"1767709800000000001"}', wire.Command("seek", 1767709800000000001)),
        ('{"type":"seek","ts_ns":"-1"}', wire.Command("seek", -1)),
        ('{"type":"speed","x":0.1}', wire.Command("speed", 0.1)),
        ('{"type":"speed","x":1000}', wire.Command("speed", 1000.0)),
        ('{"type":"speed","x":"max"}', wire.Command("speed", MAX)),
        ('{"type":"step","windows":-3}', wire.Command("step", -3)),
    ],
)
def test_commands_are_understood(text: str, command: wire.Command) -> None:
    assert wire.parse_command(text) == command


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ('{"type":"seek"}', "seek lacks the field ts_ns"),
        ('{"type":"seek","ts":"1"}', 'seek lacks the field ts_ns and has a field it does not know: "ts"'),
        ('{"type":"play","now":true}', 'play has a field it does not know: "now"'),
        ("{}", "type is missing, expected one of play, pause, seek, speed, step"),
        ('{"type":null}', "type is null, expected one of play, pause, seek, speed, step"),
        ('{"type":5}', "type is 5, expected one of play, pause, seek, speed, step"),
        ('{"type":"speed","x":true}', 'x is true, expected 0.1 to 1000 or "max"'),
        (
            '{"type":"step","windows":2147483649}',
            "windows is 2147483649, expected an integer from -2147483648 to 2147483648 that is not 0",
        ),
    ],
)
def test_a_refusal_says_what_was_found_as_json_and_what_is_wanted(text: str, detail: str) -> None:
    with pytest.raises(wire.CommandError) as refused:
        wire.parse_command(text)
    assert refused.value.detail == detail


@pytest.mark.parametrize("windows", [2**31, -(2**31), 1, -1, 0, 2**31 + 1, -(2**31) - 1, 10**30])
def test_the_bound_of_a_step_is_the_one_of_the_document(windows: int) -> None:
    schema = asyncapi.message_schema("step", asyncapi.COMMANDS["step"])
    described = jsonschema.Draft202012Validator(schema).is_valid({"type": "step", "windows": windows})
    try:
        found = wire.parse_command(wire.control("step", windows=windows)).value
    except wire.CommandError:
        found = None
    assert described == (found == windows) == (0 < abs(windows) <= 2**31)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "malformed"),
        ("play", "malformed"),
        ("[]", "malformed"),
        ('"play"', "malformed"),
        ('{"type":"play"', "malformed"),
        ('{"type":"play","type":"pause"}', "malformed"),
        ('{"type":"speed","x":NaN}', "malformed"),
        ('{"type":"speed","x":Infinity}', "malformed"),
        ("[" * 4000, "malformed"),
        ("{}", "unknown_command"),
        ('{"type":1}', "unknown_command"),
        ('{"type":["play"]}', "unknown_command"),
        ('{"type":"PLAY"}', "unknown_command"),
        ('{"type":"ticket","ticket":"x"}', "unknown_command"),
        ('{"type":"play","now":true}', "bad_fields"),
        ('{"type":"seek"}', "bad_fields"),
        ('{"type":"seek","ts":"1"}', "bad_fields"),
        ('{"type":"seek","ts_ns":1767709800000000000}', "bad_value"),
        ('{"type":"seek","ts_ns":"1e18"}', "bad_value"),
        ('{"type":"seek","ts_ns":"9223372036854775808"}', "bad_value"),
        ('{"type":"seek","ts_ns":"\u0661"}', "bad_value"),
        ('{"type":"seek","ts_ns":"+1"}', "bad_value"),
        ('{"type":"seek","ts_ns":" 1"}', "bad_value"),
        ('{"type":"seek","ts_ns":"1_0"}', "bad_value"),
        ('{"type":"speed","x":true}', "bad_value"),
        ('{"type":"speed","x":"1"}', "bad_value"),
        ('{"type":"speed","x":0.09}', "bad_value"),
        ('{"type":"speed","x":1e400}', "bad_value"),
        ('{"type":"step","windows":0}', "bad_value"),
        ('{"type":"step","windows":true}', "bad_value"),
        ('{"type":"step","windows":1.0}', "bad_value"),
        ('{"type":"step","windows":99999999999999999999}', "bad_value"),
    ],
)
def test_anything_else_is_refused_with_its_word(text: str, code: str) -> None:
    with pytest.raises(wire.CommandError) as refused:
        wire.parse_command(text)
    assert refused.value.code == code
    assert len(refused.value.detail) < 250, "a client's own text comes back in small pieces only"


@settings(max_examples=300)
@given(st.one_of(st.text(max_size=200), st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["type", "ts_ns", "x", "windows", "a"]), inner, max_size=3),
    max_leaves=8).map(json.dumps)))  # fmt: skip
@example('{"type":"seek","ts_ns":"\\ud800"}')
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        command = wire.parse_command(text)
    except wire.CommandError:
        return
    assert command.type in COMMANDS


@given(st.integers(-(2**63), 2**63 - 1))
def test_int64_survives_as_text(number: int) -> None:
    assert wire.parse_int64(str(number)) == number
    assert json.loads(wire.control("state", ts_ns=str(number)))["ts_ns"] == str(number)


@pytest.mark.parametrize("text", ["", "-", "1.0", "1e3", "0x1", "²", "1 ", "--1", "9" * 20])
def test_other_texts_are_no_int64(text: str) -> None:
    assert wire.parse_int64(text) is None


@pytest.mark.parametrize(("text", "speed"), [("max", MAX), ("1", 1.0), ("0.5", 0.5), ("20", 20.0)])
def test_speeds_of_a_query(text: str, speed: float) -> None:
    assert wire.parse_speed(text) == speed


@pytest.mark.parametrize("text", ["", ".", "inf", "nan", "1e3", "-1", "+1", "1.2.3", "½", "1" * 13])
def test_other_texts_are_no_speed(text: str) -> None:
    assert wire.parse_speed(text) is None


# ---- control


def test_a_state_reads_as_the_specification_writes_it() -> None:
    first, seq = 1_767_709_800_000_000_000 - 52_199 * 10**9, 52_199
    clock = Transport(86_400, 0, 0)
    clock.seek(seq, 0)
    text = wire.control("state", cause="seek", **wire.transport_state(clock, first, 10**9))
    assert text == (
        '{"type":"state","cause":"seek","playing":true,"speed":1.0,'
        '"position":{"ts_ns":"1767709800000000000","seq":"52199"}}'
    )


def test_a_gap_counts_both_ends() -> None:
    assert json.loads(wire.gap(3, 5)) == {"type": "gap", "from_seq": "3", "to_seq": "5", "count": "3"}


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 100_000])
def test_shared_frames_are_what_the_websocket_library_writes(size: int) -> None:
    data = bytes(size)
    wanted = Frame(Opcode.BINARY, data).serialize(mask=False)
    assert frame_header(size) + data == wanted
