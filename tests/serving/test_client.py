"""The Python clients: history in parts, live windows exactly once, whatever breaks in between."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_eng.lake import Lake
from data_eng.units import WINDOW_NS
from serving import wire
from serving.client import BATCH, AsyncClient, Client, ClientError
from serving.client_core import StreamState, parts_of
from serving.hud_streaming import HudCache
from serving.local import LocalService
from serving.settings import load_settings
from serving.surfaces import SURFACES
from tests.serving.conftest import DT, SYMBOL
from tests.serving.streams import LakeRows, same_bits


@pytest.mark.parametrize("surface", ["hud", "wall", "trade", "gex"])
def test_the_history_of_a_day_is_the_lakes_table(url: str, tiny: Lake, surface: str) -> None:
    wanted = tiny.read(SURFACES[surface].dataset, SYMBOL, DT)
    with Client(url) as client:
        assert same_bits(client.history(surface), wanted)


def test_a_range_is_asked_for_in_parts_and_ends_where_it_should(url: str, cache: HudCache) -> None:
    with Client(url) as client:
        found = client.history(
            "wall", start_ts_ns=cache.first_ts_ns - 300 * WINDOW_NS, end_ts_ns=cache.ts_ns(9)
        )
        ends = sorted(set(found["window_end_ts_ns"].to_pylist()))
        assert ends == [cache.ts_ns(k) for k in range(10)]
        nothing = client.history("wall", start_ts_ns=cache.ts_ns(9), end_ts_ns=cache.ts_ns(9))
        assert (nothing.num_rows, nothing.schema) == (0, SURFACES["wall"].table.arrow_schema)


@given(st.integers(0, 10**6), st.integers(0, 10**4), st.integers(1, 500))
def test_parts_cover_a_range_once(start: int, windows: int, limit: int) -> None:
    parts = list(parts_of(start, start + windows * WINDOW_NS + 7, limit))
    assert [part[0] for part in parts[1:]] == [part[1] for part in parts[:-1]]
    assert (parts[0][0], parts[-1][1]) == (start, start + windows * WINDOW_NS + 7)
    assert all(0 < high - low <= limit * WINDOW_NS for low, high in parts)


def test_history_comes_as_polars_or_pandas_too(url: str, cache: HudCache) -> None:
    with Client(url) as client:
        assert isinstance(client.day(kind="polars"), pl.DataFrame)
        frame = client.bootstrap(end_ts_ns=cache.ts_ns(4), kind="pandas")
        assert isinstance(frame, pd.DataFrame)
        assert len(frame) == 5
        assert client.profile(kind="arrow").num_rows > 0


def test_documents_and_refusals(url: str, poor_url: str, cache: HudCache) -> None:
    with Client(url) as client, Client(poor_url) as poor:
        assert client.catalog()["default"] == {"symbol": SYMBOL, "dt": DT}
        assert {level["id"] for level in client.levels()["levels"]} >= {"prior_close", "overnight_high"}
        assert client.explain(cache.ts_ns(7))["seq"] == "7"
        for asked, code in (
            (lambda: poor.history("gex_profile"), "no_data"),
            (lambda: client.history("walls", start_ts_ns=0, end_ts_ns=1), "unknown_surface"),
            (lambda: client.history("hud", dt="2020-01-01"), "unknown_day"),
            (lambda: client.live(surfaces=("nope",)).open(), "unknown_surface"),
        ):
            with pytest.raises(ClientError) as refused:
                asked()
            assert refused.value.code == code


def test_nobody_there_is_said_in_one_sentence() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ClientError, match="is the service running"), Client(url) as client:
        client.catalog()
    with pytest.raises(ClientError, match="is the service running"), Client(url) as client:
        client.live().open()


def test_live_windows_are_the_lakes_and_the_verbs_work(url: str, tiny: Lake, cache: HudCache) -> None:
    rows = {name: LakeRows(tiny, name) for name in ("hud", "trade")}
    with Client(url) as client, client.live(surfaces=("hud", "trade"), speed="max") as stream:
        assert stream.hello["origin"] == "simulated"
        seqs = []
        for window in stream:
            seqs.append(window.seq)
            for name, wanted in rows.items():
                assert same_bits(window[name], wanted.window(window.window_end_ts_ns))
        assert seqs == list(range(120))
        stream.seek(cache.ts_ns(100))
        assert [window.seq for window in stream] == list(range(100, 120))
        stream.pause()
        stream.step(-10)
        assert next(iter(stream)).seq == 109
        stream.step(0)
        stream.speed(5)
        stream.step(1)
        assert next(iter(stream)).seq == 110
        assert [error["code"] for error in stream.errors] == ["bad_value"]
        stream.speed("max")
        stream.play()
        assert [window.seq for window in stream] == list(range(111, 120))


def test_the_client_for_an_event_loop_does_the_same(url: str, tiny: Lake, cache: HudCache) -> None:
    async def talk() -> None:
        async with AsyncClient(url) as client:
            found = await client.history("snap")
            assert same_bits(found, tiny.read(SURFACES["snap"].dataset, SYMBOL, DT))
            assert (await client.catalog())["protocol"] == wire.PROTOCOL
            assert (await client.day()).num_rows == (await client.bootstrap()).num_rows == 120
            assert (await client.profile()).num_rows > 0
            assert (await client.levels())["dt"] == DT
            assert (await client.explain(cache.first_ts_ns))["seq"] == "0"
            with pytest.raises(ClientError, match="unknown_surface"):
                await client.history("options", start_ts_ns=0, end_ts_ns=1)
            async with client.live(surfaces=("snap",), speed="max") as stream:
                assert stream.hello["windows"] == 120
                assert [window.seq async for window in stream] == list(range(120))
                await stream.pause()
                await stream.seek(cache.ts_ns(3))
                await stream.step(2)
                got = []
                async for window in stream:
                    got.append(window.seq)
                    if len(got) == 2:
                        break
                assert got == [3, 4]
                await stream.speed("max")
                await stream.play()
                assert [window.seq async for window in stream] == list(range(5, 120))
                assert (stream.errors, stream.gaps) == ([], [])

    asyncio.run(asyncio.wait_for(talk(), 120))


# ---- what only the blocking client has to keep right


def test_after_a_break_the_next_window_comes_next_even_over_a_new_connection(url: str) -> None:
    with Client(url) as client, client.live(speed="max") as stream:
        seqs: list[int] = []
        for taken in (1, 3, 17, 40):
            seqs += [window.seq for window in itertools.islice(stream, taken)]
        stream.close()
        seqs += [window.seq for window in stream]
        assert seqs == list(range(120))
        assert list(stream) == [], "the day has ended, and nothing was asked since"


def test_a_command_given_between_windows_that_have_arrived_is_answered_in_order(
    url: str, cache: HudCache
) -> None:
    """The service may have sent `end` long before the reader, who seeks meanwhile, comes to it."""
    with Client(url) as client, client.live(speed="max") as stream:
        windows = iter(stream)
        assert [next(windows).seq for _ in range(110)] == list(range(110))
        time.sleep(0.5)
        stream.seek(cache.ts_ns(118))
        assert [window.seq for window in windows] == [*range(110, 120), 118, 119]


def test_streams_of_one_client_in_several_threads(url: str) -> None:
    """Each is read by a thread of its own, and commanded by another one."""

    def read(client: Client, start: threading.Barrier) -> tuple[list[int], int]:
        with client.live(speed=200) as stream, ThreadPoolExecutor(1) as other:
            start.wait(60)

            def command() -> None:
                for _ in range(5):
                    stream.step(0)  # refused, and changes nothing

            done = other.submit(command)
            seqs = [window.seq for window in stream]
            done.result(60)
            return seqs, len(stream.errors)

    with Client(url) as client, ThreadPoolExecutor(4) as pool:
        start = threading.Barrier(4)
        found = [pool.submit(read, client, start) for _ in range(4)]
        assert client.catalog()["default"] == {"symbol": SYMBOL, "dt": DT}
        assert [one.result(120) for one in found] == [(list(range(120)), 5)] * 4


def test_a_closed_client_ends_its_streams_and_says_so(url: str) -> None:
    client = Client(url)
    waits, idle = client.live(speed="max"), client.live()
    with waits, idle, ThreadPoolExecutor(1) as pool:
        waits.pause()
        list(itertools.islice(waits, 1))
        connections = [waits._stream._ws, idle._stream._ws]
        blocked = pool.submit(lambda: list(waits))
        time.sleep(0.5)
        client.close()
        with pytest.raises(ClientError, match="closed"):
            blocked.result(60)
        for use in (idle.pause, idle.open, lambda: next(iter(idle)), client.live().open, client.catalog):
            with pytest.raises(ClientError, match="closed"):
                use()
        assert [ws.close_code for ws in connections if ws is not None] == [1000, 1000], "and not just cut"
        assert idle.hello["windows"] == 120
        client.close()


def test_a_stream_that_is_closed_while_it_is_read_is_not_taken_up_again(url: str) -> None:
    with Client(url) as client, client.live() as stream, ThreadPoolExecutor(1) as pool:
        stream.pause()
        blocked = pool.submit(lambda: list(stream))
        time.sleep(0.5)
        stream.close()
        with pytest.raises(ClientError, match="closed while"):
            blocked.result(60)


def test_an_unread_stream_holds_up_the_service_and_can_be_left(tiny: Lake) -> None:
    settings = load_settings(lake=tiny.root, port=0, send_buffer_bytes=8192)
    with LocalService(settings) as url, Client(url) as client:
        with client.live(surfaces=("hud", "wall", "vacuum"), speed="max") as stream:
            assert next(iter(stream)).seq == 0
            ws = stream._stream._ws
            assert ws is not None
            sent = [0.0, 1.0]
            while len(sent) < 60 and sent[-2] < sent[-1]:
                time.sleep(1.0)
                lines = httpx2.get(f"{url}/metrics", trust_env=False).text.splitlines()
                (line,) = (x for x in lines if x.startswith('spymaster_windows_sent_total{clock="private"'))
                sent.append(float(line.rsplit(" ", 1)[1]))
            assert 1 < sent[-2] == sent[-1] < 120, "it waits for the reader"
            assert len(stream._stream._arrived) < BATCH
        assert ws.close_code == 1000, "the answer to the close was found behind all that was not read"


def test_ctrl_c_ends_the_waiting_for_a_window_and_the_stream_goes_on(url: str) -> None:
    text = f"""
from serving.client import Client
with Client({url!r}) as client, client.live(speed="max") as stream:
    windows = iter(stream)
    stream.pause()
    stream.seek(next(windows).window_end_ts_ns)
    stream.step(1)
    while next(windows).seq:
        pass
    print("waiting", flush=True)
    try:
        next(windows)
    except KeyboardInterrupt:
        stream.step(2)
        print([window.seq for _, window in zip(range(2), stream)], flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "waiting\n"
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=60) == ("[1, 2]\n", "")
            assert process.returncode == 0
        finally:
            process.kill()


# ---- lost connections


@contextmanager
def breaking_proxy(url: str, rng: random.Random) -> Iterator[str]:
    """Passes bytes on to the service, and drops every connection somewhere."""
    parts = urlsplit(url)
    listener = socket.create_server(("127.0.0.1", 0))
    stopping = threading.Event()

    def pump(source: socket.socket, target: socket.socket, budget: int) -> None:
        with suppress(OSError):
            while budget > 0 and (piece := source.recv(min(budget, 65_536))):
                target.sendall(piece)
                budget -= len(piece)
        for side in (source, target):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        while not stopping.is_set():
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection((parts.hostname, parts.port))
            for source, target, budget in ((near, far, 1 << 30), (far, near, rng.randrange(2_000, 400_000))):
                threading.Thread(target=pump, args=(source, target, budget), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stopping.set()
        listener.close()


def test_a_client_whose_connection_breaks_receives_every_window_once(
    url: str, cache: HudCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.client.RETRY_S", 0.001)
    monkeypatch.setattr("serving.client.RETRIES", 50)
    with breaking_proxy(url, random.Random(5)) as broken, Client(broken) as client:
        stream = client.live(surfaces=("hud", "wall"), speed="max", symbol=SYMBOL, dt=DT)
        try:
            windows = list(stream)
        finally:
            stream.close()
    assert [window.seq for window in windows] == list(range(cache.windows))
    assert all(window["wall"].num_rows > 0 for window in windows)


# ---- the state by itself


class PlainServer:
    """What a service would send: `windows` windows of two surfaces, from where the query says."""

    surfaces = ("hud", "snap")

    def __init__(self, windows: int) -> None:
        self.windows = windows
        self.epoch = "e" * 64

    def messages(self, text: str) -> Iterator[str | bytes]:
        asked = {name: values[0] for name, values in parse_qs(text).items()}
        start, resumed = 0, False
        if "resume" in asked:
            epoch, seq = asked["resume"].split(":")
            resumed = epoch == self.epoch
            start = int(seq) + 1 if resumed else 0
        elif "start_ts_ns" in asked:
            start = int(asked["start_ts_ns"])
        yield wire.control("hello", symbol=SYMBOL, dt=DT, resumed=resumed)
        for seq in range(start, self.windows):
            for name in self.surfaces:
                tag = wire.WindowTag(name, self.epoch, seq, seq, "h", "c")
                yield wire.encode_window(pa.record_batch({"k": [seq]}), tag)
        yield wire.control("end", position=wire.position(0, 0))


@settings(max_examples=150)
@given(
    windows=st.integers(1, 12), cuts=st.lists(st.integers(1, 20), max_size=30), new_epoch=st.integers(0, 40)
)
def test_whatever_breaks_every_window_comes_once(windows: int, cuts: list[int], new_epoch: int) -> None:
    server = PlainServer(windows)
    state = StreamState(surfaces=server.surfaces)
    got: list[tuple[str, int]] = []
    for number, count in enumerate([*cuts, 10**6]):
        if number == new_epoch:
            server.epoch = "f" * 64
        for taken, message in enumerate(server.messages(state.connect_query())):
            if taken >= count:
                break
            window = state.take(message)
            if window is not None:
                assert set(window.tables) == set(server.surfaces)
                got.append((window.epoch, window.seq))
        if state.ended:
            break
    assert state.ended
    last = [seq for epoch, seq in got if epoch == server.epoch]
    assert last == list(range(windows)), "of the epoch that is served now, everything once, in order"
    earlier = [seq for epoch, seq in got if epoch != server.epoch]
    assert earlier == list(range(len(earlier)))


def test_a_seek_that_was_on_its_way_is_not_forgotten() -> None:
    state = StreamState(surfaces=("hud",))
    state.take(wire.control("hello", symbol=SYMBOL, dt=DT, resumed=False))
    state.last = ("e", 5)
    assert json.loads(state.command("seek", 77)) == {"type": "seek", "ts_ns": "77"}
    again: dict[str, Any] = parse_qs(state.connect_query())
    assert again["start_ts_ns"] == ["77"]
    assert "resume" not in again


def test_a_paused_stream_is_paused_again() -> None:
    state = StreamState()
    state.take(wire.control("state", cause="pause", playing=False, speed=2.0, position={}))
    assert state.after_connect() == ['{"type":"pause"}']
    assert "speed=2.0" in state.connect_query()


def test_an_end_is_of_its_connection_unless_that_was_resumed() -> None:
    state = StreamState()
    for resumed in (False, True):
        state.ended = True
        state.take(wire.control("hello", symbol=SYMBOL, dt=DT, resumed=resumed))
        assert state.finished == resumed


def test_a_fatal_error_is_raised() -> None:
    with pytest.raises(ClientError, match="no good"):
        StreamState().take(wire.error("internal", "no good", fatal=True))
