"""A real browser: pages of other origins are kept out, our own page is let in."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.conftest import browser

__all__ = ["browser"]  # fixture: fails, and does not skip, without Chromium

ASK = """async (url) => {
    const stream = await new Promise((done) => {
        const socket = new WebSocket(url.replace('http', 'ws') + '/v1/hud/stream?speed=max');
        socket.onmessage = (event) => { socket.close(); done(typeof event.data); };
        socket.onerror = () => done('refused');
    });
    const read = await fetch(url + '/v1/catalog').then((r) => r.text()).catch(() => 'refused');
    return [stream, read.slice(0, 10)];
}"""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    tab = browser.new_page()
    yield tab
    tab.close()


@pytest.fixture(scope="module")
def foreign_page() -> Iterator[str]:
    """A page of another origin: the same machine, another port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<p>foreign</p>")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


def test_a_foreign_page_gets_neither_the_stream_nor_an_answer(
    page: Page, url: str, foreign_page: str
) -> None:
    page.goto(foreign_page)
    assert page.evaluate(ASK, url) == ["refused", "refused"]


def test_a_page_whose_origin_is_null_gets_neither(page: Page, url: str) -> None:
    page.goto("data:text/html,<p>null</p>")
    assert page.evaluate("() => self.origin") == "null"
    assert page.evaluate(ASK, url) == ["refused", "refused"]


def test_a_frame_in_a_sandbox_gets_neither(page: Page, url: str, foreign_page: str) -> None:
    page.goto(foreign_page)
    page.evaluate(
        """() => { const f = document.createElement('iframe'); f.sandbox = 'allow-scripts';
        f.srcdoc = '<p>sandboxed</p>'; document.body.append(f); }"""
    )
    frame = page.wait_for_selector("iframe").content_frame()
    assert frame is not None
    assert frame.evaluate(ASK, url) == ["refused", "refused"]


def test_our_own_page_gets_both(page: Page, url: str) -> None:
    page.goto(f"{url}/")
    assert page.evaluate(ASK, url) == ["string", '{"version"']


def test_our_page_runs_no_script_that_is_not_ours(page: Page, url: str, foreign_page: str) -> None:
    page.goto(f"{url}/")
    page.evaluate(
        """(src) => { const inline = document.createElement('script'); inline.textContent = 'window.evil = 1';
        document.head.append(inline);
        const far = document.createElement('script'); far.src = src; document.head.append(far); }""",
        foreign_page,
    )
    page.wait_for_timeout(300)
    assert page.evaluate("() => typeof window.evil") == "undefined"
