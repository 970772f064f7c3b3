"""A service in a process of its own that writes down what its shared clock did.

``python -m benches.load_server '{"lake": ..., "settings": {...}}'`` loads the day, says where it serves in
one JSON line, serves until its standard input is closed, and ends with a second JSON line: when each window
was due, handed to the mailboxes, and how often windows were encoded. `Server` is the parent's side.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from benches.children import REPOSITORY, peak_bytes

PATIENCE_S: Final = 120.0
SAMPLE_S: Final = 0.25


class Server:
    """A running service. `url`, `load_s`, `windows` and `loaded_peak_bytes` are there after the start."""

    def __init__(self, lake: Path, **settings: Any) -> None:
        order = json.dumps({"lake": str(lake), "settings": settings})
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benches.load_server", order],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        # a day of 1,000 clients logs a line per client that is cut; an unread pipe would stop the service
        self._errors: list[str] = []
        self._reader = threading.Thread(target=self._read_errors, daemon=True)
        self._reader.start()
        self._about = self._line()
        self.url: str = self._about["url"]
        self.load_s: float = self._about["load_s"]
        self.load_cpu_s: float = self._about["load_cpu_s"]
        self.windows: int = self._about["windows"]
        self.loaded_peak_bytes: int = self._about["peak_bytes"]
        self.told: dict[str, Any] = {}

    def rss_bytes(self) -> int:
        """Memory that the process holds now. Raises `OSError` where there is no /proc."""
        text = Path(f"/proc/{self._process.pid}/statm").read_text(encoding="ascii")
        return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def core_ns(self) -> tuple[int, int]:
        """(ns that its threads waited for a core, ns that they ran), as the kernel counts them."""
        waited = ran = 0
        for task in Path(f"/proc/{self._process.pid}/task").iterdir():
            on_cpu, in_queue, _ = (task / "schedstat").read_text(encoding="ascii").split()
            ran, waited = ran + int(on_cpu), waited + int(in_queue)
        return waited, ran

    def stop(self) -> dict[str, Any]:
        """End it -> what it wrote down: `published`, `encoded`, `closed_slow`, `cpu_s`, `peak_bytes`."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self.told = self._line()
        self._process.wait(PATIENCE_S)
        return self.told

    def errors(self) -> str:
        """The end of its log."""
        return "".join(self._errors)[-2000:]

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._reader.join()
            raise RuntimeError(f"the service of the bench ended: {self.errors()}")
        found: dict[str, Any] = json.loads(line)
        return found

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._errors.append(line)
            del self._errors[:-200]


class MemoryWatch:
    """The most memory a server held while this was open, sampled four times a second."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._done = threading.Event()
        self.peak_bytes = server.rss_bytes()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(SAMPLE_S):
            self.peak_bytes = max(self.peak_bytes, self._server.rss_bytes())


# -------------------------------------------------------------------------------------------- child's side


def _serve(order: dict[str, Any]) -> dict[str, Any]:
    from serving import wire
    from serving.app import Service
    from serving.broadcast import Lane
    from serving.settings import load_settings

    published: list[tuple[int, int, int, int]] = []
    publish = Lane._publish
    encoded: Counter[str] = Counter()
    encode = wire.encode_window

    async def noted_publish(self: Lane, seq: int, due_ns: int, frames: bytes) -> None:
        begin_ns = time.monotonic_ns()
        await publish(self, seq, due_ns, frames)
        if "hud" in self._surfaces:  # those who are measured; another lane has times of its own
            published.append((seq, due_ns, begin_ns, time.monotonic_ns()))

    def noted_encode(rows: Any, tag: Any) -> bytes:
        encoded[f"{tag.surface} {tag.seq}"] += 1
        return encode(rows, tag)

    Lane._publish = noted_publish  # type: ignore[method-assign]
    wire.encode_window = noted_encode
    service = Service(load_settings(lake=Path(order["lake"]), port=0, **order["settings"]))
    url = service.bind()
    begin, begin_cpu = time.perf_counter(), time.process_time()
    service.load()
    load_s, load_cpu_s = time.perf_counter() - begin, time.process_time() - begin_cpu
    cache = service.runtime.load_default()
    _say(url=url, load_s=load_s, load_cpu_s=load_cpu_s, windows=cache.windows, peak_bytes=peak_bytes())
    cpu_s = time.process_time()

    async def until_told() -> None:
        serving = asyncio.create_task(service.serve())
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        service.stop()
        await serving

    asyncio.run(until_told())
    return {
        "published": published,
        "encoded": dict(encoded),
        "closed_slow": service.runtime.metrics.slow_clients_closed._value.get(),
        "cpu_s": time.process_time() - cpu_s,
        "peak_bytes": peak_bytes(),
    }


def _say(**document: Any) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Serve what the argument says; returns the exit code."""
    _say(**_serve(json.loads(arguments[0])))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
