"""The thread behind the blocking client: results, refusals, Ctrl-C, and an end in every case."""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from serving.client_core import ClientError
from serving.loop_thread import LoopThread

WAIT_S = 60


async def thread_name() -> str:
    return threading.current_thread().name


async def add(one: int, other: int) -> int:
    await asyncio.sleep(0)
    return one + other


def test_all_work_runs_in_one_thread_and_its_results_and_errors_come_back() -> None:
    async def fail() -> None:
        raise KeyError("nope")

    with closing(LoopThread()) as loop, ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda n: loop.run(add(n, 1)), range(200))) == list(range(1, 201))
        assert loop.run(thread_name()) == "client-loop"
        with pytest.raises(KeyError, match="nope"):
            loop.run(fail())
        assert loop.run(add(1, 1)) == 2


def test_no_thread_is_started_before_there_is_work() -> None:
    before = threading.active_count()
    loop = LoopThread()
    assert threading.active_count() == before
    loop.close()
    assert loop.closed


def test_an_end_cancels_what_is_waited_for_and_says_farewell_once() -> None:
    told: list[str] = []
    waiting = threading.Event()

    async def wait() -> None:
        waiting.set()
        try:
            await asyncio.Event().wait()
        finally:
            told.append("cancelled")

    async def farewell() -> None:
        told.append("farewell")

    loop = LoopThread()
    with ThreadPoolExecutor(1) as pool:
        blocked = pool.submit(lambda: loop.run(wait()))
        assert waiting.wait(WAIT_S)
        loop.close(farewell)
        loop.close(farewell)
        with pytest.raises(ClientError, match="closed"):
            blocked.result(WAIT_S)
    assert told == ["cancelled", "farewell"]
    with pytest.raises(ClientError, match="make a new one"):
        loop.run(add(1, 1))


def test_the_thread_ends_when_nobody_refers_to_it_any_more() -> None:
    loop = LoopThread()
    loop.run(add(1, 1))
    thread = loop._thread
    assert thread is not None
    assert thread.daemon
    del loop
    gc.collect()
    thread.join(WAIT_S)
    assert not thread.is_alive()


BEGIN = """
import asyncio, os, sys, threading
from serving.client_core import ClientError
from serving.loop_thread import LoopThread
loop = LoopThread()
async def answer():
    return 42
assert loop.run(answer()) == 42
"""


def run(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BEGIN + text], capture_output=True, text=True, timeout=WAIT_S
    )


def test_a_forgotten_close_keeps_no_interpreter_alive_and_says_nothing() -> None:
    ended = run("""
async def forever():
    await asyncio.Event().wait()
threading.Thread(target=lambda: loop.run(forever()), daemon=True).start()
""")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_in_a_forked_process_the_client_of_its_parent_says_so() -> None:
    ended = run("""
child = os.fork()
if child == 0:
    try:
        loop.run(answer())
    except ClientError as error:
        loop.close()
        os._exit(7 if error.code == "closed" else 1)
    os._exit(2)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert loop.run(answer()) == 42
""")
    assert ended.returncode == 0, ended.stderr


def test_ctrl_c_ends_the_waiting_and_the_work_and_nothing_else() -> None:
    text = """
ended = threading.Event()
async def forever():
    print("waiting", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        ended.set()
try:
    loop.run(forever())
except KeyboardInterrupt:
    assert ended.wait(30)
    assert loop.run(answer()) == 42
    loop.close()
    print("closed", flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", BEGIN + text], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "waiting\n"
            time.sleep(0.2)  # until the caller waits, too
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=WAIT_S) == ("closed\n", "")
            assert process.returncode == 0
        finally:
            process.kill()
