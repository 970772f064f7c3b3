"""`spymaster serve`: says where, stops cleanly, and refuses what it cannot do in one sentence."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from data_eng.lake import Lake
from tests.serving.conftest import tiny  # noqa: F401  # the same lake
from tests.serving.streams import close_code, connected
from tests.spymaster.conftest import Command


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "spymaster.cli", "serve", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_closes_every_client_with_1001_and_the_exit_code_is_0(
    tiny: Lake,  # noqa: F811
    number: signal.Signals,
) -> None:
    process = start("--lake", str(tiny.root))
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said.startswith("serving ESH6 2026-01-06: http://127.0.0.1:")
        url = said.split(": ", 1)[1].split()[0]
        with connected(url) as one, connected(url, clock="shared") as other:
            one.recv(30)
            other.recv(30)
            process.send_signal(number)
            for ws in (one, other):
                assert close_code(ws) == 1001
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.communicate()


def test_a_stalled_client_does_not_keep_the_service_alive(tiny: Lake) -> None:  # noqa: F811
    process = start("--lake", str(tiny.root))
    try:
        assert process.stdout is not None
        host, port = process.stdout.readline().split("//")[1].split()[0].split(":")
        with socket.socket() as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.connect((host, int(port)))
            raw.sendall(
                b"GET /v1/hud/stream?speed=max&surfaces=wall HTTP/1.1\r\nHost: localhost\r\n"
                b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                b"Sec-WebSocket-Version: 13\r\n\r\n"
            )
            raw.recv(10)
            process.send_signal(signal.SIGTERM)
            assert process.wait(40) == 0
    finally:
        process.kill()
        process.communicate()


def test_an_empty_lake_is_told_with_the_command_that_fills_it(spymaster: Command, tmp_path: Path) -> None:
    answer = spymaster("serve", "--lake", tmp_path, "--port", "0")
    assert answer.code == 2
    assert "spymaster demo" in answer.err
    assert "Traceback" not in answer.err


def test_a_port_that_is_taken_is_told(spymaster: Command, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        answer = spymaster("serve", "--lake", tmp_path, "--port", taken.getsockname()[1])
    assert (answer.code, answer.out) == (2, "")
    assert "choose another --port" in answer.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--host", "0.0.0.0"), "--expose"),
        (("--expose",), "--token-file"),
        (("--port", "70000"), "port"),
        (("--origin", "x"), "origin"),
    ],
)
def test_what_is_unsafe_or_malformed_is_refused(
    spymaster: Command, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    answer = spymaster("serve", "--lake", tmp_path, *arguments)
    assert answer.code == 2
    assert words in answer.err


def test_the_checks_of_the_service_run_from_the_verb(spymaster: Command, tiny: Lake) -> None:  # noqa: F811
    answer = spymaster("verify", "hud", "--lake", tiny.root)
    assert answer.code == 0, answer.out
    assert "PASS: 12 checks" in answer.out
    assert spymaster("verify", "hud", "--lake", tiny.root / "nothing").code == 2
