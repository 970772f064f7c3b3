"""The security defaults of design 6, each against a running service, and the pure rules behind them."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import select
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, InvalidStatus

from data_eng.errors import UsageError
from data_eng.lake import Lake
from serving import wire
from serving.client import Client, ClientError
from serving.local import LocalService
from serving.problems import Problem
from serving.runtime import Runtime
from serving.security import ClientCount, Gate, RateLimit, RedactingFilter, Tokens, redact
from serving.settings import Settings, load_settings
from tests.serving.streams import (
    close_code,
    connected,
    next_text,
    next_window,
    secured,
    send,
    stalled,
    until_end,
    upgrade,
)

TOKEN = "a-token-of-more-than-sixteen-characters"


# ---- Host and Origin


def handshake(url: str, *, host: str | None = None, origin: str | None = None) -> int:
    """Status of a WebSocket handshake written by hand."""
    parts = urlsplit(url)
    lines = [
        "GET /v1/hud/stream HTTP/1.1",
        f"Host: {host if host is not None else parts.netloc}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    ]
    lines += [f"Origin: {origin}"] if origin is not None else []
    return status_of(url, "\r\n".join(lines) + "\r\n\r\n")


def status_of(url: str, request: str) -> int:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as raw:
        raw.sendall(request.encode())
        return int(raw.recv(65_536).split(b" ")[1])


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "http://evil.example",
        "https://127.0.0.1",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "file://",
        "",
        "http://localhost.evil.example",
    ],
)
def test_foreign_origins_are_refused_before_the_upgrade_and_for_http(url: str, origin: str) -> None:
    assert handshake(url, origin=origin) == 403
    response = httpx2.get(f"{url}/v1/catalog", headers={"Origin": origin}, trust_env=False)
    assert response.status_code == 403
    assert response.json()["type"] == "urn:spymaster:problem:foreign_origin"


def test_our_own_page_and_native_clients_are_let_in(url: str) -> None:
    assert handshake(url, origin=url) == 101
    assert handshake(url) == 101
    assert httpx2.get(f"{url}/v1/catalog", headers={"Origin": url}, trust_env=False).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example:80", 403),
        ("192.168.0.1", 403),
        ("0.0.0.0", 403),
        ("", 400),
        ("a b", 400),
        ("127.0.0.1:port", 400),
        ("user@127.0.0.1", 400),
        ("localhost", 101),
        ("127.0.0.1:9", 101),
        ("[::1]:8765", 101),
    ],
)
def test_only_loopback_hosts_are_answered(url: str, host: str, status: int) -> None:
    """A page that points its own name at 127.0.0.1 sends that name as Host."""
    assert handshake(url, host=host) == status
    plain = status_of(url, f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n")
    assert plain == (200 if status == 101 else status)


def test_two_hosts_are_none(url: str) -> None:
    assert status_of(url, "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n") == 400


def test_a_page_named_by_origin_is_let_in(tiny: Lake) -> None:
    settings = load_settings(lake=tiny.root, port=0, origin=("http://127.0.0.1:5173",))
    with LocalService(settings) as url:
        assert handshake(url, origin="http://127.0.0.1:5173") == 101
        assert handshake(url, origin="http://127.0.0.1:5174") == 403


@given(host=st.text(max_size=30), origin=st.none() | st.text(max_size=30))
def test_no_header_breaks_the_gate(host: str, origin: str | None) -> None:
    status = 0
    try:
        Gate().check([host], [] if origin is None else [origin])
    except Problem as problem:
        status = problem.status
    own = origin is None or origin.lower() == f"http://{host.lower()}"
    assert status in (400, 403) or (status == 0 and own)


# ---- messages


def test_an_oversize_message_is_refused(url: str) -> None:
    with connected(url, speed="0.1") as ws:
        next_text(ws)
        ws.send('{"type":"seek","ts_ns":"' + "1" * 4096 + '"}')
        assert close_code(ws) == 1009


def test_an_oversize_message_in_pieces_is_refused(url: str) -> None:
    with connected(url, speed="0.1") as ws:
        next_text(ws)
        with suppress(ConnectionClosed, OSError):  # the refusal may come before the last piece
            ws.send(iter(["x" * 1000] * 6))
        assert close_code(ws) == 1009


def test_a_message_of_exactly_4_kib_is_read(url: str) -> None:
    with connected(url, speed="0.1") as ws:
        next_text(ws)
        ws.send("{" + " " * 4094 + "}")
        assert next_text(ws, kinds=("error",))["code"] == "unknown_command"


def test_a_binary_message_is_refused(url: str) -> None:
    with connected(url, speed="0.1") as ws:
        next_text(ws)
        ws.send(b'{"type":"pause"}')
        assert close_code(ws) == 1003


def test_malformed_messages_are_answered_and_change_nothing(url: str) -> None:
    with connected(url, speed="0.1") as ws:
        next_text(ws)
        for text in ("", "}{", "[1]", '{"type":"stop"}', '{"type":"seek","ts_ns":1}', "\x00"):
            ws.send(text)
            assert next_text(ws, kinds=("error",))["fatal"] is False
        send(ws, "pause")
        assert next_text(ws, kinds=("state",))["position"]["seq"] == "0"


def test_text_that_is_no_utf8_is_refused(url: str) -> None:
    with connected(url, speed="0.1") as ws:
        next_text(ws)
        ws.socket.sendall(b"\x81\x82\x00\x00\x00\x00\xff\xfe")
        assert close_code(ws) == 1007


def test_a_flood_of_commands_is_refused(url: str) -> None:
    with connected(url, speed="0.1") as ws:
        next_text(ws)
        with suppress(ConnectionClosed):
            for _ in range(200):
                ws.send('{"type":"pause"}')
        assert close_code(ws) == 1008
    with connected(url, speed="0.1") as ws:
        for _ in range(20):
            ws.send('{"type":"pause"}')
        assert [next_text(ws, kinds=("state",))["cause"] for _ in range(20)] == ["pause"] * 20


def test_the_rate_is_counted_over_any_second() -> None:
    limit = RateLimit(20)
    assert all(limit.allows(n / 19) for n in range(190)), "nineteen a second, evenly, for ten seconds"
    assert not all(limit.allows(20.0 + n / 1000) for n in range(21))


# ---- too many, too slow


def test_there_are_no_more_clients_than_the_limit(tiny: Lake) -> None:
    with LocalService(load_settings(lake=tiny.root, port=0, max_clients=2)) as url:
        with connected(url), connected(url):
            with pytest.raises(InvalidStatus) as refused:
                connected(url).__enter__()
            assert refused.value.response.status_code == 503
            assert b"too_many_clients" in refused.value.response.body
        for _ in range(100):  # both have left
            try:
                with connected(url, speed="max") as ws:
                    assert len(until_end(ws)) == 120
                break
            except InvalidStatus:
                time.sleep(0.05)
        else:
            pytest.fail("places that were left are given again")


def test_clients_are_counted_per_address_too() -> None:
    count = ClientCount(limit=3, limit_per_address=2)
    count.enter("a")
    count.enter("a")
    with pytest.raises(Problem):
        count.enter("a")
    count.enter("b")
    with pytest.raises(Problem):
        count.enter("b")
    count.leave("a")
    count.enter("b")
    assert count.total == 3


def ends_within(raw: socket.socket, seconds: float) -> float:
    """Seconds until the other side ends the connection; fails when it does not."""
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        ready, _, _ = select.select([raw], [], [], 0.1)
        try:
            if ready and not raw.recv(65_536):
                return time.monotonic() - begin
        except ConnectionError:
            return time.monotonic() - begin
    raise AssertionError(f"still open after {seconds} s")


@pytest.mark.parametrize(
    "said", [b"", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"GET / HTTP/1.1\r\nHost: 1"]
)
def test_a_connection_that_never_asks_is_cut(tiny: Lake, said: bytes) -> None:
    with LocalService(load_settings(lake=tiny.root, port=0, request_s=0.5)) as url:
        parts = urlsplit(url)
        with socket.create_connection((parts.hostname, parts.port)) as raw:
            raw.sendall(said)
            assert ends_within(raw, 20) >= 0.4


def test_a_head_that_drips_is_cut_all_the_same(tiny: Lake) -> None:
    with LocalService(load_settings(lake=tiny.root, port=0, request_s=0.8)) as url:
        parts = urlsplit(url)
        with socket.create_connection((parts.hostname, parts.port)) as raw:
            begin = time.monotonic()
            while time.monotonic() - begin < 20:
                try:
                    raw.sendall(b"G")
                except OSError:  # reset or broken pipe, as the kernel likes
                    break
                time.sleep(0.05)
            assert 0.7 < time.monotonic() - begin < 20


def test_an_answer_that_nobody_takes_is_cut(tiny: Lake) -> None:
    with LocalService(load_settings(lake=tiny.root, port=0, answer_s=0.5)) as url:
        parts = urlsplit(url)
        with socket.socket() as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.connect((parts.hostname, parts.port))
            raw.sendall(f"GET /v1/hud/bootstrap HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
            time.sleep(3)
            taken = 0
            with suppress(ConnectionResetError):
                while piece := raw.recv(65_536):
                    taken += len(piece)
            assert taken < 1_300_000, "the whole answer has 1.3 MB"


def test_too_many_connections_are_not_even_read(tiny: Lake) -> None:
    with LocalService(load_settings(lake=tiny.root, port=0, max_connections=4)) as url:
        parts = urlsplit(url)
        held = [socket.create_connection((parts.hostname, parts.port)) for _ in range(4)]
        time.sleep(0.3)
        with socket.create_connection((parts.hostname, parts.port)) as one_more:
            ends_within(one_more, 10)
        for raw in held:
            raw.close()


def test_a_head_without_end_is_refused(url: str) -> None:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 40_000)
        assert raw.recv(65_536).startswith(b"HTTP/1.1 400")


def test_a_long_query_is_refused(url: str) -> None:
    assert status_of(url, f"GET /v1/catalog?{'x' * 3000} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") == 414


def test_a_client_that_answers_no_ping_is_cut(tiny: Lake) -> None:
    """Half open: the machine at the other end is gone, and nobody says so."""
    with LocalService(load_settings(lake=tiny.root, port=0, ping_s=0.3)) as url:
        parts = urlsplit(url)
        with socket.create_connection((parts.hostname, parts.port)) as raw:
            raw.sendall(upgrade(parts.netloc, "/v1/hud/stream?speed=0.1"))
            ends_within(raw, 30)
        _wait_until_no_clients(url)


def _wait_until_no_clients(url: str, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        text = httpx2.get(f"{url}/metrics", trust_env=False).text
        counts = [float(x.rsplit(" ", 1)[1]) for x in text.splitlines() if x.startswith("spymaster_clients{")]
        if counts and not any(counts):
            return
        time.sleep(0.1)
    raise AssertionError("clients that are gone are still counted")


def test_a_slow_client_of_the_shared_clock_is_closed_and_delays_nobody(tiny: Lake) -> None:
    settings = load_settings(
        lake=tiny.root,
        port=0,
        shared_speed=10.0,
        slow_client_s=1.0,
        linger_s=1.0,
        send_buffer_bytes=8192,
        mailbox_windows=2,
    )
    with LocalService(settings) as url:
        path = "/v1/hud/stream?clock=shared&surfaces=hud,wall,vacuum"
        with connected(url, clock="shared") as healthy:
            slow = [stalled(url, path) for _ in range(4)]
            assert len(until_end(healthy)) == 120, "the healthy one got every window"
            for raw in slow:
                ends_within(raw, 30)
            text = httpx2.get(f"{url}/metrics", trust_env=False).text
        counted = {
            line.split(" ")[0]: float(line.split(" ")[1]) for line in text.splitlines() if line[0] != "#"
        }
        assert counted["spymaster_slow_clients_closed_total"] == 4
        assert counted["spymaster_windows_dropped_total"] > 0


def test_a_slow_client_that_reads_at_last_is_told_the_gap_or_1013(tiny: Lake) -> None:
    settings = load_settings(
        lake=tiny.root, port=0, shared_speed=20.0, slow_client_s=60.0, send_buffer_bytes=8192
    )
    seen, gaps, ended = [], [], False
    with LocalService(settings) as url, connected(url, clock="shared", surfaces="hud,wall,vacuum") as ws:
        next_text(ws)
        time.sleep(4.5)  # its buffers fill
        while not ended:
            message = ws.recv(30)
            if isinstance(message, bytes):
                seen.append(message)
                continue
            found = json.loads(message)
            ended = found["type"] == "end"
            if found["type"] == "gap":
                gaps.append((int(found["from_seq"]), int(found["to_seq"]), int(found["count"])))
    seqs = [wire.WindowTag.of(wire.decode(m).schema).seq for m in seen[::3]]
    lost = [seq for low, high, _ in gaps for seq in range(low, high + 1)]
    assert gaps, "a client that reads nothing for four seconds at 20x loses windows"
    assert all(count == high - low + 1 for low, high, count in gaps)
    assert sorted(seqs + lost) == list(range(120)), "received or told, once"


def test_a_private_client_that_never_reads_costs_a_bounded_amount(tiny: Lake) -> None:
    settings = load_settings(lake=tiny.root, port=0, send_buffer_bytes=8192, ping_s=1.0, linger_s=1.0)
    with LocalService(settings) as url:
        raw = stalled(url, "/v1/hud/stream?speed=max&surfaces=hud,wall,vacuum")
        time.sleep(0.5)
        text = httpx2.get(f"{url}/metrics", trust_env=False).text
        sent = next(
            x for x in text.splitlines() if x.startswith('spymaster_windows_sent_total{clock="private"')
        )
        assert float(sent.rsplit(" ", 1)[1]) < 20, "it waits for the client; it does not queue the day"
        with connected(url, speed="max") as ws:
            assert len(until_end(ws)) == 120
        ends_within(raw, 30)


def test_a_connection_that_is_reset_leaves_nothing_behind(url: str) -> None:
    for _ in range(20):
        raw = stalled(url, "/v1/hud/stream?speed=max")
        raw.recv(1)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()
    _wait_until_no_clients(url)


# ---- https, and exposed


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for localhost and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


def test_our_own_page_is_let_in_over_https_on_loopback_too(
    tiny: Lake, certificate: tuple[Path, Path]
) -> None:
    settings = load_settings(lake=tiny.root, port=0, tls_cert=certificate[0], tls_key=certificate[1])
    with LocalService(settings) as url:
        assert url.startswith("https://127.0.0.1:")
        with secured(url, certificate[0], origin=url) as ws:
            assert json.loads(ws.recv(30))["type"] == "hello"
        for origin in (url.replace("https", "http"), "https://127.0.0.1:1"):
            with pytest.raises(InvalidStatus, match="403"), secured(url, certificate[0], origin=origin):
                pass
        with https(certificate, url, Origin=url) as http:
            assert http.get("/v1/catalog").status_code == 200


@pytest.mark.parametrize(
    ("origin", "host", "lets_in"),
    [
        ("https://[fd00::5]", "[fd00::5]", True),
        ("https://[fd00::5]:8443", "[FD00::5]:8443", True),
        ("https://[fd00::5]", "[fd00::6]", False),
        ("https://hud.example.org:8443", "hud.example.org:8443", True),
        ("https://HUD.example.org", "hud.example.org", True),
        ("https://hud.example.org", "other.example.org", False),
    ],
)
def test_an_exposed_service_answers_to_the_hosts_of_its_pages(
    tiny: Lake, exposed_settings: Settings, origin: str, host: str, lets_in: bool
) -> None:
    runtime = Runtime(exposed_settings.model_copy(update={"lake": tiny.root, "origin": (origin,)}))
    try:
        if lets_in:
            runtime.gate.check([host], [origin.lower()])
            return
        with pytest.raises(Problem, match="does not answer to that Host"):
            runtime.gate.check([host], [])
    finally:
        runtime.close()


@pytest.mark.parametrize("kind", ["none", "no certificate", "another key", "a locked key", "a folder"])
def test_a_certificate_that_cannot_be_used_is_told_in_one_sentence(
    certificate: tuple[Path, Path], tmp_path: Path, kind: str
) -> None:
    cert, key = certificate
    other = tmp_path / "other.pem"
    if kind == "none":
        cert = key = tmp_path / "nothing.pem"
    elif kind == "no certificate":
        cert = other
        cert.write_text("hello")
    elif kind == "a folder":
        key = tmp_path
    else:
        lock = ["-aes256", "-passout", "pass:secret"] if kind == "a locked key" else []
        subprocess.run(
            ["openssl", "genrsa", *lock, "-out", str(other), "2048"], check=True, capture_output=True
        )
        key = other
    with pytest.raises(UsageError, match=r"cannot be used: .+; name a certificate chain") as refused:
        load_settings(tls_cert=cert, tls_key=key).require_safe()
    assert str(refused.value).startswith(f"--tls-cert {cert} and --tls-key {key}")
    load_settings(tls_cert=certificate[0], tls_key=certificate[1]).require_safe()


@pytest.fixture(scope="module")
def exposed_settings(
    tiny: Lake, certificate: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    tokens = tmp_path_factory.mktemp("tokens") / "tokens"
    tokens.write_text(f"{TOKEN}\nanother-token-of-sixteen-characters\n")
    cert, key = certificate
    return load_settings(
        lake=tiny.root,
        port=0,
        expose=True,
        tls_cert=cert,
        tls_key=key,
        token_file=tokens,
        origin=("https://hud.example.org",),
    )


@pytest.fixture(scope="module")
def exposed(exposed_settings: Settings) -> Iterator[str]:
    with LocalService(exposed_settings) as url:
        yield url


@pytest.mark.parametrize(
    ("flags", "missing"),
    [
        ({"host": "0.0.0.0"}, "--expose"),
        ({"host": "192.168.1.5"}, "--expose"),
        ({"host": "example.org"}, "--expose"),
        ({"expose": True}, "--tls-cert"),
        ({"expose": True}, "--token-file"),
        ({"expose": True}, "--origin"),
        ({"expose": True, "behind_proxy": "10.0.0.1", "origin": ("https://a.example",)}, "--token-file"),
        ({"expose": True, "origin": ("https://a.example",), "token_file": "x"}, "--behind-proxy"),
        ({"tls_cert": "x"}, "--tls-key"),
    ],
)
def test_expose_refuses_to_start_without_its_conditions(flags: dict[str, object], missing: str) -> None:
    with pytest.raises(UsageError, match=missing):
        load_settings(**flags).require_safe()


@pytest.mark.parametrize("text", ["", "short", f"{TOKEN}\nshort"])
def test_a_token_file_has_to_hold_real_tokens(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tokens"
    file.write_text(text)
    flags = {"expose": True, "behind_proxy": "10.0.0.1", "origin": ("https://a.example",), "token_file": file}
    with pytest.raises(UsageError, match="at least 16"):
        load_settings(**flags).require_safe()
    with pytest.raises(UsageError, match="cannot be read"):
        load_settings(**flags | {"token_file": tmp_path / "nothing"}).require_safe()


@pytest.mark.parametrize(
    "origin", ["*", "null", "hud.example.org", "https://*", "ftp://a", "https://a/path", "https://"]
)
def test_an_origin_is_one_page(origin: str) -> None:
    with pytest.raises(UsageError, match="origin"):
        load_settings(origin=(origin,))


def https(certificate: tuple[Path, Path], url: str, **headers: str) -> httpx2.Client:
    context = ssl.create_default_context(cafile=str(certificate[0]))
    return httpx2.Client(base_url=url, verify=context, headers=headers, trust_env=False, timeout=60)


def test_an_exposed_service_wants_a_token(exposed: str, certificate: tuple[Path, Path]) -> None:
    with https(certificate, exposed) as http:
        assert http.get("/healthz").status_code == 200
        assert http.get("/readyz").status_code == 200
        for path in ("/v1/catalog", "/metrics", "/v1/hud/bootstrap", "/v1/openapi.json"):
            refused = http.get(path)
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
            for wrong in ("Bearer no", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer", ""):
                assert http.get(path, headers={"Authorization": wrong}).status_code == 401
            assert http.get(path, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert http.post("/v1/ticket").status_code == 401


@pytest.mark.parametrize("name", ["token", "Token", "access_token", "ticket", "authorization", "api_key"])
def test_a_token_in_a_query_string_is_refused_even_when_it_is_right(
    exposed: str, certificate: tuple[Path, Path], name: str
) -> None:
    with https(certificate, exposed, Authorization=f"Bearer {TOKEN}") as http:
        refused = http.get(f"/v1/catalog?{name}={TOKEN}")
        assert refused.status_code == 400
        assert refused.json()["type"] == "urn:spymaster:problem:secret_in_query"
        assert TOKEN not in refused.text


def test_a_stream_opens_with_a_token_or_with_a_ticket_once(
    exposed: str, certificate: tuple[Path, Path]
) -> None:
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    with secured(exposed, certificate[0], additional_headers=bearer) as ws:
        assert next_text(ws)["type"] == "hello"
    with https(certificate, exposed, **bearer) as http:
        answer = http.post("/v1/ticket").json()
    assert answer["expires_s"] == 60
    with secured(exposed, certificate[0], origin="https://hud.example.org") as ws:
        send(ws, "ticket", ticket=answer["ticket"])
        assert next_text(ws)["type"] == "hello"
        next_window(ws)
    for text in (f'{{"type":"ticket","ticket":"{answer["ticket"]}"}}', '{"type":"play"}', "x",
                 f'{{"type":"ticket","ticket":"{TOKEN}"}}', '{"type":"ticket","ticket":5}'):  # fmt: skip
        with secured(exposed, certificate[0]) as ws:
            ws.send(text)
            error = next_text(ws)
            assert (error["code"], error["fatal"]) == ("no_ticket", True)
            assert close_code(ws) == 1008
    for wrong in ({"Authorization": "Bearer no"}, {"Authorization": ""}):
        refused = secured(exposed, certificate[0], additional_headers=wrong)
        with pytest.raises(InvalidStatus, match="401"), refused:
            pass
    refused = secured(exposed, certificate[0], f"&token={TOKEN}", additional_headers=bearer)
    with pytest.raises(InvalidStatus, match="400"), refused:
        pass


def test_foreign_pages_are_refused_by_an_exposed_service_too(
    exposed: str, certificate: tuple[Path, Path]
) -> None:
    for origin in ("https://evil.example", "null", "http://hud.example.org"):
        with pytest.raises(InvalidStatus, match="403"), secured(exposed, certificate[0], origin=origin):
            pass


def test_behind_a_proxy_only_the_proxy_is_answered(tiny: Lake, exposed_settings: Settings) -> None:
    flags = {"lake": tiny.root, "port": 0, "expose": True, "token_file": exposed_settings.token_file,
             "origin": ("https://hud.example.org",)}  # fmt: skip
    with LocalService(load_settings(**flags, behind_proxy="10.1.2.3")) as url:
        assert status_of(url, "GET /healthz HTTP/1.1\r\nHost: hud.example.org\r\n\r\n") == 403
    with LocalService(load_settings(**flags, behind_proxy="127.0.0.1")) as url:
        assert status_of(url, "GET /healthz HTTP/1.1\r\nHost: hud.example.org\r\n\r\n") == 200
        assert status_of(url, "GET /healthz HTTP/1.1\r\nHost: other.example.org\r\n\r\n") == 403
        assert status_of(url, "GET /v1/catalog HTTP/1.1\r\nHost: hud.example.org\r\n\r\n") == 401


def test_the_client_shows_its_token(exposed: str, certificate: tuple[Path, Path]) -> None:
    with Client(exposed, ca_file=certificate[0]) as client, pytest.raises(ClientError, match="401"):
        client.catalog()
    with Client(exposed, token=TOKEN) as client, pytest.raises(ClientError, match="cannot be reached"):
        client.catalog()
    with Client(exposed, token=TOKEN, ca_file=certificate[0]) as client:
        assert client.catalog()["protocol"] == 1
        with client.live(speed="max") as stream:
            assert len(list(stream)) == 120


def test_one_thread_alone_touches_a_tls_session_of_the_blocking_client(
    exposed: str, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions: list[object] = []
    threads: dict[int, set[str]] = {}

    def watch(kind: type, name: str) -> None:
        plain = getattr(kind, name)

        def watched(self: object, *args: object) -> object:
            sessions.append(self)  # kept, so that no other gets its id
            threads.setdefault(id(self), set()).add(threading.current_thread().name)
            return plain(self, *args)

        monkeypatch.setattr(kind, name, watched)

    for kind, names in ((ssl.SSLObject, ("read", "write")), (ssl.SSLSocket, ("recv", "recv_into", "send"))):
        for name in names:
            watch(kind, name)
    with Client(exposed, token=TOKEN, ca_file=certificate[0]) as client:
        client.catalog()
        with client.live(speed="max") as stream:
            stream.step(0)
            assert len(list(stream)) == 120
    found = sorted(",".join(sorted(names)) for names in threads.values())
    # HTTP and the stream have a session each, and each has two ends
    assert found == ["client-loop", "client-loop", "local-service", "local-service"]


def test_over_tls_the_blocking_client_loses_no_message_while_the_machine_is_busy(
    exposed: str, certificate: tuple[Path, Path]
) -> None:
    """A reader and a writer in two threads of one TLS session lose about one of these connections."""
    connections, talked, calm = 150, [], threading.Event()

    def burn() -> None:
        block = bytes(10_000)
        while not calm.is_set():
            hashlib.sha256(block).digest()  # lets other threads of this interpreter run meanwhile

    def talk() -> None:
        with Client(exposed, token=TOKEN, ca_file=certificate[0]) as client:
            for _ in range(connections):
                with client.live(speed=1000, clock="private") as stream:
                    windows = iter(stream)
                    first = next(windows)
                    stream.pause()
                    stream.seek(first.window_end_ts_ns)
                    stream.step(1)
                    again = next(window for window in windows if window.seq == first.seq)
                    talked.append((stream.hello["windows"], first.seq, again.seq, stream.errors))

    threads = [threading.Thread(target=work, daemon=True) for work in (burn, burn, burn, burn, talk)]
    for thread in threads:
        thread.start()
    threads[-1].join(180)
    calm.set()
    assert talked == [(120, 0, 0, [])] * connections


def test_tickets_end_after_a_minute_and_are_few() -> None:
    tokens = Tokens([TOKEN])
    ticket = tokens.issue(0.0)
    assert not tokens.redeem(ticket, 60.0)
    assert not tokens.redeem(ticket, 1.0), "used up, even when it was refused"
    again = tokens.issue(0.0)
    assert tokens.redeem(again, 59.9)
    for _ in range(1024):
        tokens.issue(100.0)
    with pytest.raises(Problem):
        tokens.issue(100.0)
    assert tokens.issue(161.0)


# ---- logs


SECRETS = [
    "DATABENTO_API_KEY=db-AbCdEfGhIjKlMnOpQrStUvWxYz123",
    "using key db-AbCdEfGhIjKlMnOpQrStUvWxYz123 now",
    f"Authorization: Bearer {TOKEN}",
    f"GET /v1/catalog?token={TOKEN}&dt=2026-01-06",
    f'{{"type":"ticket","ticket":"{TOKEN}"}}',
    f"password = {TOKEN}",
]


@pytest.mark.parametrize("text", SECRETS)
def test_secrets_do_not_reach_a_log(text: str, caplog: pytest.LogCaptureFixture) -> None:
    assert TOKEN not in redact(text)
    assert "GhIjKl" not in redact(text)
    logger = logging.getLogger("spymaster.serving.test")
    kept: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(self.format(record))

    handler = Keep()
    handler.addFilter(RedactingFilter(["a secret known by its own text"]))
    logger.addHandler(handler)
    try:
        logger.warning("saw %s", text)
        logger.warning("a secret known by its own text: %s", 1)
        try:
            raise RuntimeError(text)
        except RuntimeError:
            logger.exception("failed")
    finally:
        logger.removeHandler(handler)
    assert len(kept) == 3
    assert not [line for line in kept if TOKEN in line or "GhIjKl" in line or "own text:" in line]
    assert "RuntimeError" in kept[2], "the reason is kept"


def test_a_running_service_logs_no_query_and_no_token(
    tiny: Lake, exposed_settings: Settings, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    assert exposed_settings.token_file is not None
    log = tmp_path / "log"
    command = [
        "spymaster", "serve", "--lake", str(tiny.root), "--port", "0", "--expose",
        "--tls-cert", str(certificate[0]), "--tls-key", str(certificate[1]),
        "--token-file", str(exposed_settings.token_file),
        "--origin", "https://hud.example.org",
    ]  # fmt: skip
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=out, text=True, env=os.environ | {
            "DATABENTO_API_KEY": "db-AbCdEfGhIjKlMnOpQrStUvWxYz123"})  # fmt: skip
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split(": ", 1)[1].split()[0]
            with https(certificate, url, Authorization=f"Bearer {TOKEN}") as http:
                http.get(f"/v1/catalog?token={TOKEN}")
                http.get("/v1/surfaces/nope?note=quite-a-secret")
            with pytest.raises(InvalidStatus), secured(url, certificate[0], f"&token={TOKEN}"):
                pass
            with secured(url, certificate[0]) as ws:
                ws.send(f'{{"type":"ticket","ticket":"{TOKEN}"}}')
                close_code(ws)
        finally:
            process.terminate()
            assert process.wait(30) == 0
    said = log.read_text()
    for secret in (TOKEN, "quite-a-secret", "GhIjKl"):
        assert secret not in said
