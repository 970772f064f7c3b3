"""`spymaster serve`: says where, stops cleanly, and refuses what it cannot do in one sentence."""

from __future__ import annotations

import inspect
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from data_eng.lake import Lake
from serving.settings import Settings
from spymaster.serve import serve
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


# ---- where settings come from


class Stopped(Exception):
    """The service was about to be made."""


FROM_ANYWHERE = {
    "lake": ("other/lake", Path("other/lake")),
    "symbol": ("NQH6", "NQH6"),
    "dt": ("2026-01-07", "2026-01-07"),
    "host": ("localhost", "localhost"),
    "port": ("4321", 4321),
    "clock": ("shared", "shared"),
    "expose": ("true", True),
    "tls_cert": ("cert.pem", Path("cert.pem")),
    "tls_key": ("key.pem", Path("key.pem")),
    "behind_proxy": ("10.0.0.1", "10.0.0.1"),
    "token_file": ("tokens", Path("tokens")),
    "origin": ("https://a.example", ("https://a.example",)),
}
"""setting -> its text, and its value"""


@pytest.fixture
def settings_of(
    spymaster: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Settings]:
    """The settings that `spymaster serve` makes its service with."""
    found: list[Settings] = []

    def stop(settings: Settings) -> None:
        found.append(settings)
        raise Stopped

    monkeypatch.setattr("serving.app.Service", stop)
    monkeypatch.chdir(tmp_path)

    def serve_with(*arguments: str) -> Settings:
        with pytest.raises(Stopped):
            spymaster("serve", *arguments)
        return found[-1]

    return serve_with


def test_every_flag_of_the_command_is_tried(settings_of: Callable[..., Settings]) -> None:
    flags = set(inspect.signature(serve).parameters) - {"output"}
    assert flags == set(FROM_ANYWHERE)
    plain = settings_of()
    for name in flags:
        assert getattr(plain, name) == Settings.model_fields[name].default, (
            f"{name}: the default is in Settings"
        )
        assert getattr(plain, name) != FROM_ANYWHERE[name][1]


@pytest.mark.parametrize("name", sorted(FROM_ANYWHERE))
def test_flags_win_over_variables_over_the_file(
    settings_of: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    text, value = FROM_ANYWHERE[name]
    other = {"port": "1", "clock": "private", "expose": "false", "origin": "https://b.example"}.get(
        name, "zzz"
    )
    config = tmp_path / "desk.toml"
    monkeypatch.setenv("SPYMASTER_CONFIG", str(config))
    flag = [f"--{name.replace('_', '-')}", *([] if name == "expose" else [text])]

    config.write_text(f'[serve]\n{name} = "{text}"\n')
    assert getattr(settings_of(), name) == value, "the file"
    config.write_text(f'[serve]\n{name} = "{other}"\n')
    monkeypatch.setenv(f"SPYMASTER_{name.upper()}", text)
    assert getattr(settings_of(), name) == value, "the variable over the file"
    monkeypatch.setenv(f"SPYMASTER_{name.upper()}", other)
    assert getattr(settings_of(*flag), name) == value, "the flag over both"


def test_the_help_tells_the_true_defaults(spymaster: Command) -> None:
    said = " ".join(spymaster("serve", "--help").out.replace("│", " ").split())
    for name in ("lake", "host", "port", "clock"):
        assert f"Default: {Settings.model_fields[name].default}." in said, name


def test_a_certificate_that_is_not_there_is_told(spymaster: Command, tmp_path: Path) -> None:
    answer = spymaster("serve", "--tls-cert", tmp_path / "c.pem", "--tls-key", tmp_path / "k.pem")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.count("\n") == 1
    assert f"{tmp_path / 'c.pem'} is no file" in answer.err
