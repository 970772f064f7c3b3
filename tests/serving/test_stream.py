"""The stream over a socket: every window is the lake's, bit for bit, however it was asked for (spec 9.4)."""

from __future__ import annotations

import json
import random
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import accumulate, pairwise
from urllib.parse import urlsplit

import numpy as np
import pytest

from data_eng.lake import Lake
from data_eng.schema import PLANES
from data_eng.units import WINDOW_NS
from serving import wire
from serving.app import Service
from serving.asyncapi import COMMANDS, CONTROLS
from serving.hud_streaming import HudCache
from serving.local import LocalService
from serving.settings import load_settings
from serving.stream import first_window
from serving.surfaces import SURFACES
from tests.serving.conftest import DT, SYMBOL
from tests.serving.streams import (
    JumpingClock,
    LakeRows,
    close_code,
    connected,
    next_text,
    next_window,
    same_bits,
    send,
    stalled,
    until_end,
)

ALL = tuple(SURFACES)


@pytest.fixture(scope="module")
def lake_rows(tiny: Lake) -> dict[str, LakeRows]:
    return {name: LakeRows(tiny, name) for name in ALL}


def check_messages(
    messages: list[bytes],
    surfaces: tuple[str, ...],
    seqs: list[int],
    cache: HudCache,
    rows: dict[str, LakeRows],
) -> None:
    """The messages are those windows of those surfaces, in that order, equal to the lake."""
    assert len(messages) == len(seqs) * len(surfaces)
    for number, message in enumerate(messages):
        seq, name = seqs[number // len(surfaces)], surfaces[number % len(surfaces)]
        found = wire.decode(message)
        end = cache.first_ts_ns + seq * WINDOW_NS
        tag = wire.WindowTag.of(found.schema)
        assert (tag.surface, tag.seq, tag.window_end_ts_ns, tag.epoch) == (name, seq, end, cache.epoch)
        assert tag.schema_hash == SURFACES[name].table.schema_hash
        assert tag.calibration_id == cache.calibration_id
        assert same_bits(found, rows[name].window(end)), f"{name} of window {seq}"


def test_every_window_of_every_surface_comes_at_maximum_speed(
    url: str, cache: HudCache, lake_rows: dict[str, LakeRows]
) -> None:
    with connected(url, surfaces=",".join(ALL), speed="max", start_ts_ns=cache.first_ts_ns) as ws:
        check_messages(until_end(ws), ALL, list(range(cache.windows)), cache, lake_rows)


def test_every_window_comes_at_1x_and_each_is_waited_for(
    tiny: Lake, cache: HudCache, lake_rows: dict[str, LakeRows]
) -> None:
    clock = JumpingClock()
    surfaces = ("hud", "wall")
    settings = load_settings(lake=tiny.root, port=0)
    with LocalService(settings, clock) as url, connected(url, surfaces=",".join(surfaces)) as ws:
        check_messages(until_end(ws), surfaces, list(range(cache.windows)), cache, lake_rows)
    moments = set(accumulate(clock.waited))
    assert {k * WINDOW_NS for k in range(1, cache.windows)} <= moments, "every second was waited for, exactly"


def test_the_order_of_surfaces_is_the_one_asked_for(url: str, cache: HudCache) -> None:
    with connected(url, surfaces="wall,hud,snap", speed="max") as ws:
        assert next_text(ws)["surfaces"] == ["wall", "hud", "snap"]
        assert [next_window(ws)[0].surface for _ in range(6)] == ["wall", "hud", "snap"] * 2


@pytest.mark.parametrize(
    ("windows", "first"), [(1, 0), (1_799, 0), (1_800, 0), (1_801, 1_799), (86_400, 1_799)]
)
def test_a_stream_begins_where_something_is_left_to_play(cache: HudCache, windows: int, first: int) -> None:
    day = replace(cache, window_ids=cache.first_ts_ns + np.arange(windows) * WINDOW_NS)
    assert first_window(day, None) == first


def test_hello_says_what_is_served(url: str, tiny: Lake, cache: HudCache) -> None:
    with connected(url) as ws:
        hello = next_text(ws)
    assert hello["type"] == "hello"
    assert set(hello) == {"type", *CONTROLS["hello"]}
    manifest = tiny.manifest(SURFACES["hud"].dataset, SYMBOL, DT)
    assert (hello["origin"], hello["lookahead"], hello["verified"]) == ("simulated", True, manifest.verified)
    assert (hello["symbol"], hello["dt"], hello["windows"], hello["clock"]) == (SYMBOL, DT, 120, "private")
    assert hello["first_window"] == {"ts_ns": str(cache.first_ts_ns), "seq": "0"}
    assert hello["last_window"] == {"ts_ns": str(cache.last_ts_ns), "seq": "119"}
    assert hello["tick_int"] == "250000000"
    assert hello["schema_hash"] == {"hud": SURFACES["hud"].table.schema_hash}
    assert hello["state"] == {
        "playing": True,
        "speed": 1.0,
        "position": {"ts_ns": str(cache.first_ts_ns), "seq": "0"},
    }


def test_planes_have_1201_bytes(url: str) -> None:
    with connected(url, speed="max") as ws:
        _, rows = next_window_after_hello(ws)
    assert {len(rows[name][0].as_py()) for name in PLANES} == {1201}


def next_window_after_hello(ws):  # type: ignore[no-untyped-def]
    assert next_text(ws)["type"] == "hello"
    return next_window(ws)


# ---- transport


def test_pause_seek_and_steps_send_exactly_what_they_say(
    url: str, cache: HudCache, lake_rows: dict[str, LakeRows]
) -> None:
    at = cache.ts_ns
    with connected(url, speed="0.1") as ws:
        next_text(ws)
        assert next_window(ws)[0].seq == 0
        send(ws, "pause")
        assert next_text(ws)["playing"] is False
        send(ws, "seek", ts_ns=str(at(50) - 1))
        state = next_text(ws)
        assert (state["cause"], state["position"]) == ("seek", {"ts_ns": str(at(50)), "seq": "50"})
        send(ws, "step", windows=3)
        assert next_text(ws)["cause"] == "step"
        assert [next_window(ws)[0].seq for _ in range(3)] == [50, 51, 52]
        send(ws, "step", windows=-2)
        assert next_text(ws)["position"]["seq"] == "50"
        tag, rows = next_window(ws)
        assert tag.seq == 50
        assert same_bits(rows, lake_rows["hud"].window(at(50)))
        send(ws, "speed", x="max")
        assert next_text(ws)["speed"] == "max"
        send(ws, "play")
        assert next_text(ws)["playing"] is True
        assert len(until_end(ws)) == 69
        send(ws, "seek", ts_ns=str(at(118)))
        assert next_text(ws)["cause"] == "seek"
        assert [wire.WindowTag.of(wire.decode(m).schema).seq for m in until_end(ws)] == [118, 119]


def test_after_any_seeks_the_windows_are_those_of_the_lake(
    url: str, cache: HudCache, lake_rows: dict[str, LakeRows]
) -> None:
    rng = random.Random(9)
    surfaces = ("hud", "wall", "trade")
    with connected(url, surfaces=",".join(surfaces), speed="max") as ws:
        next_text(ws)
        for _ in range(15):
            seq = rng.randrange(cache.windows)
            send(ws, "seek", ts_ns=str(cache.ts_ns(seq) - rng.randrange(WINDOW_NS)))
            while next_text(ws, kinds=("state",))["position"]["seq"] != str(seq):
                pass
            count = min(rng.randrange(1, 4), cache.windows - seq)
            messages = []
            while len(messages) < count * len(surfaces):
                message = ws.recv(30)
                messages += [message] if isinstance(message, bytes) else []
            check_messages(messages, surfaces, list(range(seq, seq + count)), cache, lake_rows)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ({"type": "step", "windows": 1}, "not_paused"),
        ({"type": "seek", "ts_ns": str(2**62)}, "out_of_range"),
        ({"type": "speed", "x": 1001}, "bad_value"),
        ({"type": "rewind"}, "unknown_command"),
        ({"type": "play", "x": 1}, "bad_fields"),
    ],
)
def test_a_refused_command_changes_nothing(url: str, command: dict[str, object], code: str) -> None:
    with connected(url, speed="0.1") as ws:
        before = next_text(ws)["state"]
        next_window(ws)
        ws.send(json.dumps(command))
        error = next_text(ws)
        assert (error["type"], error["code"], error["fatal"]) == ("error", code, False)
        send(ws, "pause")
        after = next_text(ws)
        assert (after["speed"], after["position"]) == (before["speed"], before["position"])


def test_every_message_keeps_to_the_asyncapi_document(url: str) -> None:
    seen = set()
    with connected(url, speed="max") as ws:
        for text in ('{"type":"pause"}', '{"type":"step","windows":1}', "nonsense", '{"type":"play"}'):
            ws.send(text)
        while True:
            message = ws.recv(30)
            if isinstance(message, str):
                found = json.loads(message)
                assert set(found) == {"type", *CONTROLS[found["type"]]}
                seen.add(found["type"])
                if found["type"] == "end":
                    break
    assert {"hello", "state", "error", "end"} <= seen
    assert set(COMMANDS) == {"play", "pause", "seek", "speed", "step", "ticket"}


def test_heartbeats_come_while_nothing_else_does(tiny: Lake) -> None:
    with LocalService(load_settings(lake=tiny.root, port=0, heartbeat_s=0.1)) as url, connected(url) as ws:
        send(ws, "pause")
        beats = [next_text(ws, kinds=("heartbeat",)) for _ in range(3)]
    times = [int(beat["server_time_ns"]) for beat in beats]
    assert times == sorted(times)
    assert all(t1 - t0 < 5_000_000_000 for t0, t1 in pairwise(times))
    assert set(beats[0]["position"]) == {"ts_ns", "seq"}


# ---- two clients, lost connections


def test_two_private_clients_with_one_request_get_the_same_bytes(url: str) -> None:
    received = []
    for _ in range(2):
        with connected(url, surfaces="hud,wall,radar,trade", speed="max") as ws:
            received.append(until_end(ws))
    assert received[0] == received[1]
    assert len(received[0]) == 480


def test_a_thousand_lost_connections_lose_and_repeat_nothing(
    tiny: Lake, cache: HudCache, lake_rows: dict[str, LakeRows]
) -> None:
    rng = random.Random(3)
    lost = 0
    with LocalService(load_settings(lake=tiny.root, port=0, host="127.0.0.1")) as url:
        while lost < 1_000:
            lost += _one_pass_with_losses(url, rng, cache, lake_rows)
    assert lost >= 1_000


def _one_pass_with_losses(
    url: str, rng: random.Random, cache: HudCache, lake_rows: dict[str, LakeRows]
) -> int:
    """One day received over connections that break after a few messages; how many broke."""
    surfaces = ("snap", "context")
    got: list[bytes] = []
    resume, lost, ended = None, 0, False
    while not ended:
        with connected(url, surfaces=",".join(surfaces), speed="max", resume=resume) as ws:
            hello = next_text(ws)
            assert hello["resumed"] is (resume is not None)
            part: list[bytes] = []
            for _ in range(rng.randrange(4)):
                message = ws.recv(30)
                if isinstance(message, bytes):
                    part.append(message)
                elif json.loads(message)["type"] == "end":
                    ended = True
                    break
            ws.socket.close()  # no closing handshake: the cable is out
        lost += 1
        whole = part[: len(part) - len(part) % len(surfaces)]
        got += whole
        if whole:
            tag = wire.WindowTag.of(wire.decode(whole[-1]).schema)
            resume = f"{tag.epoch}:{tag.seq}"
    check_messages(got, surfaces, list(range(cache.windows)), cache, lake_rows)
    return lost


def test_resuming_after_the_last_window_says_end(url: str, cache: HudCache) -> None:
    with connected(url, resume=f"{cache.epoch}:119") as ws:
        assert next_text(ws)["resumed"] is True
        assert next_text(ws)["type"] == "end"


def test_another_epoch_starts_afresh_and_says_the_new_one(url: str, cache: HudCache) -> None:
    with connected(url, resume=f"{'0' * 64}:57", speed="max") as ws:
        hello = next_text(ws)
        assert (hello["resumed"], hello["epoch"]) == (False, cache.epoch)
        assert next_window(ws)[0].seq == 0


# ---- the shared clock


@pytest.fixture
def shared(tiny: Lake) -> Iterator[str]:
    with LocalService(load_settings(lake=tiny.root, port=0, clock="shared", shared_speed=20.0)) as address:
        yield address


def test_clients_of_the_shared_clock_get_the_same_bytes_at_the_same_windows(
    shared: str, cache: HudCache, lake_rows: dict[str, LakeRows]
) -> None:
    def receive(_: int) -> list[bytes]:
        with connected(shared, surfaces="hud,snap") as ws:
            assert next_text(ws)["clock"] == "shared"
            return until_end(ws)

    with ThreadPoolExecutor(2) as pool:
        mine, theirs = sorted(pool.map(receive, range(2)), key=len, reverse=True)
    first = wire.WindowTag.of(wire.decode(theirs[0]).schema).seq
    assert mine[2 * first :] == theirs, "the later one begins where the clock was"
    check_messages(mine, ("hud", "snap"), list(range(cache.windows)), cache, lake_rows)


def test_nobody_steers_the_shared_clock(shared: str) -> None:
    with connected(shared) as ws:
        next_text(ws)
        for command in ('{"type":"pause"}', '{"type":"seek","ts_ns":"1"}', '{"type":"speed","x":3}'):
            ws.send(command)
            assert next_text(ws, kinds=("error",))["code"] == "shared_clock"
        ws.send("?")
        assert next_text(ws, kinds=("error",))["code"] == "malformed"


def test_a_client_may_have_its_own_clock_where_shared_is_the_default(shared: str) -> None:
    with connected(shared, clock="private", speed="max") as ws:
        assert next_text(ws)["clock"] == "private"
        assert len(until_end(ws)) == 120


def test_requests_on_their_way_get_what_streams_left_of_the_time_to_stop(
    tiny: Lake, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both together get `stop_s`; then what is left is cut, and that is no error of ours."""
    moments: list[float] = []

    class Watched(Service):
        def stop(self) -> None:
            moments.append(time.monotonic())
            super().stop()

        def _cut(self) -> None:
            moments.append(time.monotonic())
            assert self._server is not None
            moments.append(len(self._server.server_state.connections))
            super()._cut()

    monkeypatch.setattr("serving.local.Service", Watched)
    settings = load_settings(lake=tiny.root, port=0, stop_s=1.0, send_buffer_bytes=8192)
    local = LocalService(settings)
    with local as url:
        stream = stalled(url, "/v1/hud/stream?speed=max&surfaces=hud,wall,vacuum")
        parts = urlsplit(url)
        half = socket.create_connection((parts.hostname, parts.port))
        half.sendall(b"GET /healthz HTTP/1.1\r\nHost: loc")
        stream.recv(10)
        local.stop()
        stream.close()
        half.close()
    begun, cut, open_connections = moments
    assert open_connections >= 1, "the half request was waited for"
    assert cut - begun >= 1.0, "and for as long as was promised"
    assert caplog.text == ""


def test_when_the_service_stops_every_client_is_told_1001(tiny: Lake) -> None:
    local = LocalService(load_settings(lake=tiny.root, port=0))
    with local as url, connected(url) as private, connected(url, clock="shared") as shared_one:
        next_text(private)
        next_text(shared_one)
        local.stop()
        assert close_code(private) == close_code(shared_one) == 1001


def test_a_client_that_left_and_does_not_read_does_not_disturb_the_end_of_the_service(
    tiny: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    local = LocalService(load_settings(lake=tiny.root, port=0, stop_s=1.0, send_buffer_bytes=8192))
    with local as url, connected(url) as other:
        next_text(other)
        leaving = stalled(url, "/v1/hud/stream?speed=max&surfaces=hud,wall,vacuum")
        time.sleep(1.0)  # until it has windows that it does not read
        leaving.sendall(b"\x88\x80mask")
        server = local.service._server
        assert server is not None
        for _ in range(100):
            waits = [c for c in server.server_state.connections if c.transport.is_closing()]
            if waits:
                break
            time.sleep(0.1)
        assert waits, "its close waits behind the windows"
        local.stop()
        assert close_code(other) == 1001
        leaving.close()
    assert (local._error, caplog.text) == (None, "")
