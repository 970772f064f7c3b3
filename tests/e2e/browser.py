"""The browser of the tests, the pictures and the speed figures: the system's Chromium, headless, quiet."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

CHROMIUM: Final = os.environ.get("SPYMASTER_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SLOW_S: Final = 60.0
"""patience with a machine that has other work"""


def launch(playwright: Playwright, *more: str) -> Browser:
    """A browser of its own; `more` are further flags of Chromium."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *more])


@contextlib.contextmanager
def chromium(*more: str) -> Iterator[Browser]:
    """A browser for one block."""
    with sync_playwright() as playwright:
        browser = launch(playwright, *more)
        try:
            yield browser
        finally:
            browser.close()


class RunningService:
    """`spymaster serve` in a process of its own, on a port that stays the same over restarts."""

    def __init__(self, lake: Path) -> None:
        self.lake = lake
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and return when it is ready."""
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "spymaster.cli",
                "serve",
                "--lake",
                str(self.lake),
                "--port",
                str(self.port),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        end = time.monotonic() + SLOW_S
        while time.monotonic() < end:
            if self._process.poll() is not None:
                said = self._process.stderr.read().decode() if self._process.stderr else ""
                raise RuntimeError(f"the service ended with {self._process.returncode}: {said[-500:]}")
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=5):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.1)
        raise TimeoutError(f"the service was not ready after {SLOW_S} s")

    def stop(self) -> None:
        """Stop it as a person would, with SIGTERM."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process is not None and self._process.stderr is not None:
            self._process.stderr.close()
        self._process = None


class Hud:
    """A page with the HUD, as tests see it: `window.spymaster` tells what the page knows."""

    def __init__(self, browser: Browser, url: str, *, width: int = 1280, height: int = 720) -> None:
        self.url = url
        self.page: Page = browser.new_page(viewport={"width": width, "height": height})
        self.faults: list[str] = []
        self.requests: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self._heard)
        self.page.on("request", lambda request: self.requests.append(request.url))

    def _heard(self, message: Any) -> None:
        # what the network says while the service is away is not a fault of the page
        if (
            message.type == "error"
            and "ERR_CONNECTION" not in message.text
            and "WebSocket" not in message.text
        ):
            self.faults.append(message.text)

    def open(self, path: str = "/") -> Hud:
        """Go to the page and wait for the first picture."""
        self.page.goto(self.url + path)
        self.until("s.stage !== 'loading' && s.day !== null")
        return self

    def close(self) -> None:
        """Close the page."""
        self.page.close()

    def state(self, expression: str) -> Any:
        """Value of a JavaScript expression of the snapshot `s` (and `spymaster`)."""
        return self.page.evaluate(
            f"(() => {{ const {{ spymaster }} = window; const s = spymaster.store.snapshot;"
            f" return ({expression}); }})()"
        )

    def act(self, call: str) -> None:
        """Call one of the store's actions, for example ``pause()``."""
        self.page.evaluate(f"(() => {{ window.spymaster.store.actions.{call}; }})()")

    def until(self, condition: str, seconds: float = SLOW_S) -> None:
        """Wait until an expression of the snapshot is true; else `TimeoutError` with the page's state."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.page.evaluate("window.spymaster !== undefined") and self.state(condition):
                return
            self.page.wait_for_timeout(20)
        told = self.state(
            "JSON.stringify({stage: s.stage, error: s.error, transport: s.transport,"
            " connection: s.connection})"
        )
        raise TimeoutError(f"not true after {seconds} s: {condition}; {told}; {self.faults}")

    def painted(self) -> None:
        """Wait until what was asked for is on screen: two frames."""
        self.page.evaluate(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))"
        )

    def standstill(self) -> None:
        """Pause, and wait until nothing is on its way any more."""
        self.act("pause()")
        self.until("!s.transport.playing && s.transport.seeking === null")
        self.page.wait_for_timeout(150)
        self.painted()

    def seek(self, window: int) -> None:
        """Go to a window while paused, and wait for its picture."""
        self.act(f"seek({window})")
        self.until(f"s.transport.seeking === null && s.history.head === {window}")
        self.painted()

    def holds_all(self, first: int, last: int) -> bool:
        """Whether every second from `first` to `last` is held."""
        count = last - first + 1
        every = f"Array.from({{length: {count}}}, (_, k) => s.history.slotOf({first} + k) >= 0)"
        return bool(self.state(f"{every}.every(Boolean)"))

    def pixels(self) -> npt.NDArray[np.uint8]:
        """The field's last frame: uint8[height, width, 4]."""
        return self._image("heatmap.renderer.readPixels()")

    def overlay(self) -> npt.NDArray[np.uint8]:
        """The lines and dots over the field: uint8[height, width, 4]."""
        return self._image("heatmap.readOverlay()")

    def _image(self, bytes_of: str) -> npt.NDArray[np.uint8]:
        found = self.page.evaluate(
            f"""() => {{
                const {{ heatmap, store }} = window.spymaster;
                const s = store.snapshot;
                const bytes = {bytes_of};
                let text = '';
                for (let i = 0; i < bytes.length; i += 32768) {{
                    text += String.fromCharCode(...bytes.subarray(i, i + 32768));
                }}
                return {{ width: s.viewport.widthPx, height: s.viewport.heightPx, text: btoa(text) }};
            }}"""
        )
        flat = np.frombuffer(base64.b64decode(found["text"]), dtype=np.uint8)
        return flat.reshape(found["height"], found["width"], 4)

    def texels(self, plane: str, slots: list[int]) -> npt.NDArray[np.uint8]:
        """What the renderer holds of a plane: uint8[len(slots), 1201]."""
        rows = self.page.evaluate(
            """([plane, slots]) => slots.map((slot) => {
                const bytes = window.spymaster.heatmap.renderer.readTexels(plane, slot);
                let text = '';
                for (const byte of bytes) text += String.fromCharCode(byte);
                return btoa(text);
            })""",
            [plane, slots],
        )
        return np.stack([np.frombuffer(base64.b64decode(row), dtype=np.uint8) for row in rows])


Open = Callable[..., Hud]
