"""The shared clock: no client, no surface and no day that ended delays it for anybody else (spec 9.4)."""

from __future__ import annotations

import json
import logging
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from data_eng.lake import Lake
from serving import wire
from serving.hud_streaming import HudCache
from serving.local import LocalService
from serving.settings import load_settings
from serving.surfaces import SURFACES
from tests.serving.streams import (
    WAIT_S,
    Connection,
    close_code,
    connected,
    messages,
    next_text,
    next_window,
    until_end,
)

SPEED = 40.0


def seqs_of(windows: list[bytes]) -> list[int]:
    return [wire.WindowTag.of(wire.decode(window).schema).seq for window in windows]


def received_and_told_lost(ws: Connection) -> tuple[list[int], list[int]]:
    """Sequence numbers up to `end`: those that came, and those that a gap named."""
    seen, lost = [], []
    for message in messages(ws):
        if isinstance(message, bytes):
            seen.append(wire.WindowTag.of(wire.decode(message).schema).seq)
            continue
        found = json.loads(message)
        if found["type"] == "gap":
            lost += range(int(found["from_seq"]), int(found["to_seq"]) + 1)
        elif found["type"] == "end":
            return seen, lost
    raise AssertionError


@pytest.fixture
def damaged(tiny: Lake, tmp_path: Path) -> Iterator[str]:
    """A service that loaded its day before zeros were written into the file of the walls."""
    root = tmp_path / "lake"
    for layer in ("bronze", "silver", "gold"):
        shutil.copytree(tiny.root / layer, root / layer)
    settings = load_settings(lake=root, port=0, clock="shared", shared_speed=SPEED, ping_s=5.0)
    with LocalService(settings) as url:
        for part in (root / "silver/future_mbo/wall_surface_1s").rglob("*.parquet"):
            size = part.stat().st_size
            with part.open("r+b") as file:
                file.seek(size // 4)
                file.write(bytes(size // 4))
        yield url


def test_a_damaged_surface_takes_only_those_who_asked_for_it(
    damaged: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, logger="spymaster.serving")
    with connected(damaged) as healthy:
        next_text(healthy)
        for _ in range(2):  # the second one finds no dead clock either
            with connected(damaged, surfaces="hud,wall") as unlucky:
                error = next_text(unlucky, kinds=("error",))
                assert (error["code"], error["fatal"]) == ("internal", True)
                number = error["detail"].rsplit(" ", 1)[1]
                assert number in caplog.text, "the log tells more under the id"
                assert close_code(unlucky) == 1011
        with connected(damaged, surfaces="snap") as late:
            assert next_text(late)["clock"] == "shared"
            assert next_window(late)[0].surface == "snap"
        assert seqs_of(until_end(healthy)) == list(range(120))


def test_a_failure_behind_the_encoding_ends_the_clock_for_nobody_else(
    tiny: Lake, monkeypatch: pytest.MonkeyPatch, cache: HudCache
) -> None:
    encode = HudCache.message

    def breaks(self: HudCache, seq: int, surface: str) -> bytes:
        if surface == "context" and seq >= 5:
            raise RuntimeError("a bug")
        return encode(self, seq, surface)

    monkeypatch.setattr(HudCache, "message", breaks)
    settings = load_settings(lake=tiny.root, port=0, shared_speed=SPEED)
    with (
        LocalService(settings) as url,
        connected(url, clock="shared", surfaces="context") as unlucky,
        connected(url, clock="shared") as healthy,
    ):
        next_text(unlucky)
        assert [next_window(unlucky)[0].seq for _ in range(5)] == list(range(5)), "those before it still come"
        assert next_text(unlucky, kinds=("error",))["code"] == "internal"
        next_text(healthy)
        begun = seqs_of(until_end(healthy))
        assert begun == list(range(begun[0], cache.windows))
        text = httpx2.get(f"{url}/metrics", trust_env=False).text
        assert 'spymaster_clients{clock="shared"} 1.0' in text


def test_a_surface_that_is_slow_to_read_delays_nobody_else_and_is_sent_in_order(
    tiny: Lake, monkeypatch: pytest.MonkeyPatch, cache: HudCache
) -> None:
    """Walls cannot be read before the client of the picture has its whole day."""
    readable = threading.Event()
    encode, ready = HudCache.message, HudCache.is_ready

    def slow(self: HudCache, seq: int, surface: str) -> bytes:
        if surface == "wall":
            readable.wait(WAIT_S)
        return encode(self, seq, surface)

    monkeypatch.setattr(HudCache, "message", slow)
    monkeypatch.setattr(
        HudCache, "is_ready", lambda self, seq, names: "wall" not in names and ready(self, seq, names)
    )
    settings = load_settings(lake=tiny.root, port=0, shared_speed=SPEED, slow_client_s=60.0)
    with (
        LocalService(settings) as url,
        connected(url, clock="shared", surfaces="wall") as waiting,
        connected(url, clock="shared") as healthy,
    ):
        next_text(waiting)
        next_text(healthy)
        try:
            seqs = seqs_of(until_end(healthy))
            assert seqs == list(range(seqs[0], cache.windows))
            assert not readable.is_set()
        finally:
            readable.set()
        seen, lost = received_and_told_lost(waiting)
        assert seen == sorted(seen)
        assert sorted(seen + lost) == list(range(cache.windows)), "received or told, once"


def test_surfaces_that_many_ask_for_in_other_orders_are_encoded_once(
    tiny: Lake, monkeypatch: pytest.MonkeyPatch, cache: HudCache
) -> None:
    encoded: Counter[tuple[str, int]] = Counter()
    encode = wire.encode_window

    def counted(rows, tag):  # type: ignore[no-untyped-def]
        encoded[tag.surface, tag.seq] += 1
        return encode(rows, tag)

    monkeypatch.setattr(wire, "encode_window", counted)
    settings = load_settings(lake=tiny.root, port=0, shared_speed=SPEED, slow_client_s=60.0)
    orders = ("hud,wall,gex", "gex,wall,hud", "wall")
    with LocalService(settings) as url:
        streams = [connected(url, clock="shared", surfaces=names) for names in orders]
        opened = [stream.__enter__() for stream in streams]
        for ws in opened:
            seen, lost = received_and_told_lost(ws)
            assert not lost or seen
        for stream in streams:
            stream.__exit__(None, None, None)
    assert set(encoded) >= {(name, seq) for name in ("hud", "wall", "gex") for seq in range(cache.windows)}
    assert set(encoded.values()) == {1}


def test_whoever_comes_after_the_end_gets_the_day_and_those_who_stayed_keep_their_end(tiny: Lake) -> None:
    settings = load_settings(lake=tiny.root, port=0, clock="shared", shared_speed=60.0, heartbeat_s=0.2)
    with LocalService(settings) as url, connected(url) as stays:
        next_text(stays)
        assert seqs_of(until_end(stays)) == list(range(120))
        with connected(url) as late, connected(url, surfaces="snap") as later:
            for ws in (late, later):
                hello = next_text(ws)
                assert int(hello["state"]["position"]["seq"]) < 119
            seqs = seqs_of(until_end(late))
            assert seqs == list(range(120)), "the day begins again for those who came"
            others = seqs_of(until_end(later))
            assert others == list(range(others[0], 120)), "and they share one clock"
        assert next_text(stays, kinds=("heartbeat", "window"))["position"]["seq"] == "119"


def test_all_surfaces_of_a_shared_clock_are_those_of_the_private_one(tiny: Lake, cache: HudCache) -> None:
    names = ",".join(name for name in SURFACES if name in cache.surfaces)
    settings = load_settings(lake=tiny.root, port=0, shared_speed=SPEED, slow_client_s=60.0)
    with LocalService(settings) as url:
        with connected(url, surfaces=names, speed="max") as own:
            wanted = set(until_end(own))
        with connected(url, surfaces=names, clock="shared") as ws:
            found = until_end(ws)
    assert len(found) >= len(SURFACES)
    assert set(found) <= wanted


def test_the_ring_of_a_clock_holds_what_it_passed(tiny: Lake, cache: HudCache) -> None:
    settings = load_settings(lake=tiny.root, port=0, clock="shared", shared_speed=1000.0, ring_windows=50)
    with LocalService(settings) as url:
        with connected(url) as ws:
            assert len(until_end(ws)) == cache.windows
            told = httpx2.get(f"{url}/metrics", trust_env=False).text
        assert f'spymaster_ring_windows{{dt="{cache.dt}",symbol="{cache.symbol}"}} 50.0' in told
        assert f'spymaster_shared_clock_seq{{dt="{cache.dt}",symbol="{cache.symbol}"}} 119.0' in told
