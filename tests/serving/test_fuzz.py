"""Requests and frames that nobody would send: made from the document, and made by breaking good ones."""

from __future__ import annotations

import base64
import json
import logging
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from data_eng.lake import Lake
from serving import wire
from serving.local import LocalService
from serving.settings import load_settings
from tests.serving.streams import connected, next_text, next_window

FRAMES = 5_000
FRAMES_PER_CONNECTION = 12
GROWTH_BYTES = 32 << 20
COMMANDS = (
    {"type": "play"},
    {"type": "pause"},
    {"type": "seek", "ts_ns": "1767709800000000000"},
    {"type": "speed", "x": 2.5},
    {"type": "speed", "x": "max"},
    {"type": "step", "windows": -3},
    {"type": "ticket", "ticket": "x"},
)


@pytest.fixture
def patient(tiny: Lake) -> Iterator[str]:
    """A service that lets one client talk as fast as it can."""
    flags = {"commands_per_s": 100_000, "max_requests": 16}
    with LocalService(load_settings(lake=tiny.root, port=0, **flags)) as address:
        yield address


# ---- HTTP


def test_requests_made_from_the_openapi_document_find_no_fault(patient: str, tmp_path: Path) -> None:
    """schemathesis: the same seed, the same requests.

    Left out is its rule that whatever the schema allows is accepted: that start lies before end, and that a
    range is not too long, is said in words.
    """
    command = shutil.which("st", path=str(Path(sys.executable).parent))
    assert command is not None, "schemathesis is one of the development dependencies"
    done = subprocess.run(
        [
            command, "run", f"{patient}/v1/openapi.json", "--seed", "7", "--max-examples", "3",
            "--phases", "examples,coverage,fuzzing", "--checks", "all",
            "--exclude-checks", "positive_data_acceptance", "--generation-database", "none", "--no-color",
        ],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert "Tested: 11" in done.stdout, "every operation has to be asked for"


# ---- WebSocket


def frame(kind: int, body: bytes, *, fin: bool = True, reserved: int = 0) -> bytearray:
    """A masked frame (RFC 6455, 5.2)."""
    head = bytearray([(0x80 if fin else 0) | reserved << 4 | kind])
    if len(body) < 126:
        head.append(0x80 | len(body))
    elif len(body) < 1 << 16:
        head += struct.pack("!BH", 0x80 | 126, len(body))
    else:
        head += struct.pack("!BQ", 0x80 | 127, len(body))
    mask = b"\x11\x22\x33\x44"
    return head + mask + bytes(byte ^ mask[n % 4] for n, byte in enumerate(body))


def mutated(dice: random.Random) -> bytes:
    """One command as a frame, broken somewhere: text, type, length, mask, flags, or cut."""
    body = bytearray(json.dumps(dice.choice(COMMANDS)).encode())
    how = dice.randrange(10)
    if how == 0:
        body[dice.randrange(len(body))] = dice.randrange(256)
    elif how == 1:
        del body[dice.randrange(len(body)) :]
    elif how == 2:
        body = bytearray(dice.randbytes(dice.choice((0, 1, 60, 125, 126, 4_000, 4_096, 4_097, 70_000))))
    elif how == 3:
        body = bytearray(b"[" * dice.choice((10, 2_000, 4_000)))
    elif how == 4:
        value = dice.choice(("1e999", "NaN", "-0", "9" * 400, '"\\ud800"', "null", "{}", "[]", "true"))
        body = bytearray(f'{{"type":"{dice.choice(["seek", "speed", "step"])}","x":{value}}}'.encode())
    kind = dice.choice((1, 1, 1, 0, 2, 3, 8, 9, 10, 15)) if how == 5 else 1
    made = frame(kind, bytes(body), fin=how != 6, reserved=dice.randrange(8) if how == 7 else 0)
    if how == 8:
        made[dice.randrange(min(len(made), 14))] ^= 1 << dice.randrange(8)
    if how == 9:
        del made[dice.randrange(1, len(made)) :]
    return bytes(made)


def raw_stream(url: str) -> socket.socket:
    """A connection past its handshake, without a library that would mend frames."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=30)
    key = base64.b64encode(os.urandom(16)).decode()
    connection.sendall(
        f"GET /v1/hud/stream?speed=0.1 HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(65_536)
        assert piece, f"the handshake was refused: {head!r}"
        head += piece
    assert head.startswith(b"HTTP/1.1 101 ")
    return connection


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_five_thousand_broken_frames_leave_the_service_as_it_was(
    patient: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    dice = random.Random(20260106)
    sent, before = 0, 0
    while sent < FRAMES:
        with raw_stream(patient) as connection:
            for _ in range(FRAMES_PER_CONNECTION):
                try:
                    connection.sendall(mutated(dice))
                except OSError:
                    break  # it was closed for the frame before
                sent += 1
        if sent > FRAMES // 5 and not before:
            before = resident_bytes()  # by now everything that is made once has been made
    wait_for_no_client(patient)
    assert resident_bytes() - before < GROWTH_BYTES
    with connected(patient, speed="max") as ws:
        assert next_text(ws)["type"] == "hello"
        assert next_window(ws)[0].seq == 0
    told = [r for r in caplog.records if r.exc_info or "Traceback" in r.getMessage()]
    assert [r.getMessage()[:300] for r in told] == []


def test_pings_that_nobody_reads_the_answers_of_cost_a_bounded_amount(tiny: Lake) -> None:
    """48 MiB of pings: their pongs must not pile up in the service."""
    burst = bytes(frame(9, b"x" * 125)) * 8_000
    with LocalService(load_settings(lake=tiny.root, port=0, linger_s=1.0)) as url:
        before = resident_bytes()
        with raw_stream(url) as connection:
            connection.settimeout(10.0)
            sent = 0
            while sent < 48 << 20:
                try:
                    sent += connection.send(burst)
                except OSError:
                    break  # it was closed
            assert sent > len(burst)
            assert resident_bytes() - before < GROWTH_BYTES
        wait_for_no_client(url)


def test_a_message_of_endless_empty_pieces_is_refused(patient: str) -> None:
    """Empty continuations add nothing to the size of a message, but each would be kept."""
    with raw_stream(patient) as connection:
        connection.sendall(bytes(frame(1, b"{", fin=False)))
        connection.sendall(bytes(frame(0, b"", fin=False)) * 5_000)
        heard = b""
        while b"too many pieces" not in heard:
            piece = connection.recv(65_536)
            assert piece, "closed without a reason"
            heard += piece
    wait_for_no_client(patient)


def wait_for_no_client(url: str) -> None:
    """Until the service has seen that everybody left."""
    end_s = time.monotonic() + 30
    with httpx2.Client(base_url=url, trust_env=False, timeout=30) as http:
        while time.monotonic() < end_s:
            lines = http.get("/metrics").text.splitlines()
            clients = [line for line in lines if line.startswith("spymaster_clients{")]
            if clients and all(float(line.rsplit(" ", 1)[1]) == 0 for line in clients):
                return
            time.sleep(0.1)
    raise AssertionError(f"clients are still counted: {clients}")


def test_what_is_sent_before_it_is_broken_is_understood(patient: str) -> None:
    """The frames above are commands, so a mistake in making them would test nothing."""
    with raw_stream(patient) as connection:
        connection.sendall(bytes(frame(1, wire.control("pause").encode())))
        heard = b""
        while b'"cause":"pause"' not in heard:
            piece = connection.recv(65_536)
            assert piece
            heard += piece
