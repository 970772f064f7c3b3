"""The goals of the service, P10 and P11 of design 9: many clients on one clock, and a whole day.

Everything runs on loopback and is bounded in clients and seconds. Clients and service share the machine, so
a client's own wait for a core is part of every latency here; how long the service waited for one stands
beside it, and so does a bare loop that sends as many bytes to the same clients and does nothing else.
"""

from __future__ import annotations

import contextlib
import random
import resource
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

import httpx2

from benches import children
from benches.load_clients import Crowd, quantile
from benches.load_server import MemoryWatch, Server
from benches.measure import BenchError, Check, Goal, Side
from benches.setting import Setting
from data_eng.units import HUD_HISTORY_WINDOWS
from serving import wire
from serving.client import Client

CLIENTS: Final = 1_000
FAST_CLIENTS: Final = 100
FAST_SPEED: Final = 20.0
STALLED_SHARE: Final = 0.05
RUN_S: Final = 30.0
WIDE_S: Final = 10.0
SETTLE_S: Final = 2.0
"""windows that are due this soon after the last client connected are not counted"""
DRAIN_S: Final = 15.0
SEEKS: Final = 40
BOOTSTRAPS: Final = 5
MIB: Final = 1 << 20
GIB: Final = 1 << 30


def p10_fan_out(at: Setting) -> Goal:
    """1,000 clients at one window a second, and 100 at 20; 5 % of them never read."""
    goal = Goal("P10", "clients on one shared clock, 5 % of them never read: from due to received (wall)")
    lake = at.served_lake
    for clients, speed in ((CLIENTS, 1.0), (FAST_CLIENTS, FAST_SPEED)):
        what = f"{clients:,} clients, {speed:g} a second"
        at.say(f"  {what}, {RUN_S:.0f} s")
        found = fan_out(lake, clients=clients, speed=speed, seconds=RUN_S)
        goal.checks += [
            Check(f"{what}: p50", found["p50_ms"], "<=", 50, clock="wall", unit="ms"),
            Check(f"{what}: p99", found["p99_ms"], "<=", 250, clock="wall", unit="ms"),
            Check(f"{what}: memory growth", found["growth_mib"], "<=", 64, unit="MiB"),
            Check(f"{what}: stalled clients neither told nor cut", found["untold"], "<=", 0),
            Check(f"{what}: most times one window was encoded", found["most_encoded"], "<=", 1),
            Check(f"{what}: windows lost by healthy clients", found["lost"], "<=", 0),
        ]
        goal.beside[what] = found["beside"]
    what = f"{FAST_CLIENTS} clients of hud, {FAST_SPEED:g} a second, while one joins with all other surfaces"
    at.say(f"  {what}, {WIDE_S:.0f} s")
    found = fan_out(lake, clients=FAST_CLIENTS, speed=FAST_SPEED, seconds=WIDE_S, wide=True)
    goal.checks += [
        Check(f"{what}: p99", found["p99_ms"], "<=", 250, clock="wall", unit="ms"),
        Check(f"{what}: windows lost by healthy clients", found["lost"], "<=", 0),
        Check(f"{what}: windows that it received", found["wide_windows"], ">=", 1),
    ]
    goal.beside[what] = found["beside"]
    return goal


def fan_out(lake: Path, *, clients: int, speed: float, seconds: float, wide: bool = False) -> dict[str, Any]:
    """One run against a service of its own. Raises `BenchError` when nothing was received.

    wide: a second after the counting began one more client joins, which asks for all other surfaces: they are
    read from disk for it, and the rest must not notice.
    """
    _allow_sockets(clients + 64)
    stalled = round(clients * STALLED_SHARE)
    most = clients + wide
    limits = {"max_clients": most, "max_clients_per_address": most, "max_connections": most + 32}
    crowd = Crowd()
    with Server(lake, shared_speed=speed, **limits) as server:
        before = server.rss_bytes()
        with MemoryWatch(server) as watch:
            begin = time.monotonic()
            crowd.connect(server.url, "/v1/hud/stream?clock=shared", clients - stalled, stalled)
            connected_s = time.monotonic() - begin
            counted_from_ns = time.monotonic_ns() + int(SETTLE_S * 1e9)
            waited, ran = server.core_ns()
            cpu_s, run_from = time.process_time(), time.monotonic()
            with _Wide(server.url, seconds - SETTLE_S - 1.0) if wide else contextlib.nullcontext() as other:
                crowd.run(seconds)
            ran_s = time.monotonic() - run_from
            cpu_s = time.process_time() - cpu_s
            waited_after, ran_after = server.core_ns()
        counted_to_ns = time.monotonic_ns()
        crowd.drain_stalled(DRAIN_S)
        told = server.stop()
    crowd.close()
    seqs = [wire.WindowTag.of(wire.decode(message).schema).seq for message in crowd.messages]
    due = {seq: due_ns for seq, due_ns, _, _ in told["published"]}
    # the last second is left out: it may still be on its way when the counting ends
    counted = {s for s, d in due.items() if counted_from_ns <= d <= counted_to_ns - 1_000_000_000}
    delays, lost = [], 0
    for client in crowd.healthy:
        got = [(seqs[index], at_ns) for index, at_ns in client.got.windows if seqs[index] in counted]
        delays += [at_ns - due[seq] for seq, at_ns in got]
        lost += len(counted) - len({seq for seq, _ in got})
    if not delays:
        raise BenchError(f"{clients} clients received no window in {seconds} s; the machine is too busy")
    untold = sum(not client.got.knows for client in crowd.stalled)
    publish = [(end - due_ns) / 1e6 for seq, due_ns, _, end in told["published"] if seq in counted]
    message = crowd.messages[-1]
    floor = bare_fan_out(clients - stalled, message, rounds=5)
    return {
        "p50_ms": quantile(delays, 0.50) / 1e6,
        "p99_ms": quantile(delays, 0.99) / 1e6,
        "growth_mib": (watch.peak_bytes - before) / MIB,
        "untold": untold,
        "most_encoded": max(told["encoded"].values()),
        "lost": lost,
        "wide_windows": other.windows if other else 0,
        "beside": {
            "worst_ms": round(max(delays) / 1e6, 1),
            "windows": len(counted),
            "received": len(delays),
            "message_bytes": len(message),
            "stalled": stalled,
            "stalled_cut_with_1013": int(told["closed_slow"]),
            "connected_secs": round(connected_s, 1),
            "due_to_last_write_ms": {
                "median": round(statistics.median(publish), 1),
                "worst": round(max(publish), 1),
            },
            "service_cpu_us_per_message": round((ran_after - ran) / 1e3 / max(len(delays), 1), 1),
            "service_ran_share_of_wall": round((ran_after - ran) / 1e9 / ran_s, 3),
            "service_waited_for_a_core_share_of_wall": round((waited_after - waited) / 1e9 / ran_s, 3),
            "clients_cpu_share_of_wall": round(cpu_s / ran_s, 3),
            "bare_loop": {name: round(value, 1) for name, value in floor.items()},
        },
    }


class _Wide:
    """One client that joins a little later and asks for every surface but hud; `windows` that it received."""

    def __init__(self, url: str, seconds: float) -> None:
        with Client(url) as client:
            surfaces = next(day for day in client.catalog()["days"] if day["servable"])["surfaces"]
        names = [name for name, told in surfaces.items() if told["available"] and name != "hud"]
        self.windows = 0
        self._names = names
        self._url = url
        self._seconds = seconds
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> _Wide:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def _run(self) -> None:
        time.sleep(SETTLE_S + 1.0)
        crowd = Crowd()
        crowd.connect(self._url, f"/v1/hud/stream?clock=shared&surfaces={','.join(self._names)}", 1, 0)
        crowd.run(self._seconds)
        self.windows = len(crowd.clients[0].got.windows) // len(self._names)
        crowd.close()


def bare_fan_out(clients: int, message: bytes, *, rounds: int) -> dict[str, float]:
    """What the machine needs: a loop in a process of its own that sends `message` to as many sockets.

    Once a second, without a framework, to the same kind of client; p50 and p99 in ms from the second's start,
    CPU of the loop in us per message.
    """
    crowd = Crowd()
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        port = listener.getsockname()[1]
        order = [str(clients), str(len(message)), str(rounds)]
        with subprocess.Popen(
            [sys.executable, "-m", "benches.serving_goals", str(listener.fileno()), *order],
            cwd=children.REPOSITORY,
            pass_fds=[listener.fileno()],
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            crowd.connect(f"http://127.0.0.1:{port}", "/", clients, 0)
            crowd.run(rounds + 2.0)
            crowd.close()
            assert child.stdout is not None
            *begins, cpu_ns = (int(line) for line in child.stdout)
    stamps = [struct.unpack_from("!Q", message)[0] for message in crowd.messages]
    delays = [at - begins[stamps[i]] for c in crowd.healthy for i, at in c.got.windows]
    return {
        "p50_ms": quantile(delays, 0.50) / 1e6,
        "p99_ms": quantile(delays, 0.99) / 1e6,
        "cpu_us_per_message": cpu_ns / 1e3 / (clients * rounds),
    }


def p11_whole_day(at: Setting) -> Goal:
    """Load, memory, seek and bootstrap of the measured day."""
    goal = Goal("P11", "the day in the service: load, memory, seek, bootstrap of 1800 windows (wall)")
    lake = at.whole_day_lake
    # seeks are timed one after the other, more of them than a client may send in a second
    with Server(lake, commands_per_s=1_000) as server:
        if server.windows < HUD_HISTORY_WINDOWS:
            raise BenchError(f"the day has {server.windows} windows, expected at least {HUD_HISTORY_WINDOWS}")
        seeks, wide = (_seeks(server.url, surfaces) for surfaces in (("hud",), ("hud", "wall")))
        identity, packed = (_bootstraps(server.url, encoding) for encoding in ("identity", "zstd"))
        peak = server.stop()["peak_bytes"]
    loaded = server.loaded_peak_bytes
    goal.checks += [
        Check("load", server.load_s, "<=", 5, Side("load", server.load_s), clock="wall", unit="s"),
        Check("peak memory", peak / GIB, "<=", 2, Side("after load", loaded / GIB, "GiB"), unit="GiB"),
        _median_ms("seek to first window", seeks, 150),
        _median_ms("bootstrap of 1800 windows", identity, 500),
    ]
    goal.beside = {
        "windows": server.windows,
        "load_cpu_secs": round(server.load_cpu_s, 2),
        "seek_p99_ms": round(quantile([int(s * 1e9) for s in seeks], 0.99) / 1e6, 1),
        "seek_hud_and_wall_median_ms": round(statistics.median(wide) * 1e3, 1),
        "bootstrap_zstd_median_ms": round(statistics.median(packed) * 1e3, 1),
        "not_measured": "first picture after navigation: it needs a browser, see the HUD's tests",
    }
    return goal


def _seeks(url: str, surfaces: tuple[str, ...]) -> list[float]:
    """Seconds from a seek command to its first window, at places all over the day, paused in between."""
    dice = random.Random(11)
    found = []
    with Client(url) as client, client.live(surfaces=surfaces, speed=0.1) as stream:
        first, last = (int(stream.hello[f"{name}_window"]["ts_ns"]) for name in ("first", "last"))
        windows = iter(stream)
        next(windows)
        for _ in range(SEEKS):
            ts_ns = dice.randrange(first, last)
            begin = time.perf_counter()
            stream.seek(ts_ns)
            window = next(windows)
            while not 0 <= window.window_end_ts_ns - ts_ns < 1_000_000_000:
                window = next(windows)  # one that was on its way before the seek
            found.append(time.perf_counter() - begin)
    return found


def _bootstraps(url: str, encoding: str) -> list[float]:
    """Seconds for whole answers, each up to another window, so that none is known already."""
    found = []
    with httpx2.Client(base_url=url, trust_env=False, timeout=60) as http:
        days = http.get("/v1/catalog").json()["days"]
        last = int(next(day for day in days if day["servable"])["last_window"]["ts_ns"])
        for turn in range(BOOTSTRAPS + 1):
            begin = time.perf_counter()
            path = f"/v1/hud/bootstrap?end_ts_ns={last - turn * 1_000_000_000}"
            with http.stream("GET", path, headers={"Accept-Encoding": encoding}) as answer:
                size = sum(len(piece) for piece in answer.iter_raw())
            found.append(time.perf_counter() - begin)
            windows = answer.headers.get("X-HUD-Windows")
            if answer.status_code != 200 or windows != str(HUD_HISTORY_WINDOWS) or not size:
                raise BenchError(f"the bootstrap answered {answer.status_code}, {answer.headers}")
    return found[1:]


def _median_ms(name: str, secs: list[float], bound: float) -> Check:
    value = statistics.median(secs) * 1e3
    rounds = tuple(s * 1e3 for s in secs)
    return Check(name, value, "<=", bound, Side(name, value, "ms"), clock="wall", per_round=rounds, unit="ms")


def _allow_sockets(wanted: int) -> None:
    """Raise the number of open files of this process and its children. Raises `BenchError`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise BenchError(f"{wanted} open sockets are needed, this account may have {hard}; raise ulimit -n")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main(arguments: list[str]) -> int:
    """The bare loop: accept everybody, then send to everybody once a second, as frames of `size` bytes."""
    descriptor, clients, size, rounds = (int(text) for text in arguments)
    listener = socket.socket(fileno=descriptor)
    answer = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
    connections = []
    for _ in range(clients):
        connection, _ = listener.accept()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 128 << 10)
        connection.recv(4_096)
        connection.sendall(answer)
        connections.append(connection)
    cpu_ns, begin = time.process_time_ns(), time.monotonic() + 1.0
    for turn in range(rounds):
        time.sleep(max(begin + turn - time.monotonic(), 0.0))
        body = struct.pack("!Q", turn) + bytes(size - 8)
        frames = struct.pack("!BBQ", 0x82, 127, len(body)) + body
        begin_ns = time.monotonic_ns()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.send(frames)
        sys.stdout.write(f"{begin_ns}\n")
    sys.stdout.write(f"{time.process_time_ns() - cpu_ns}\n")
    sys.stdout.flush()
    time.sleep(1.0)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
