"""Every control of the panels, by pointer and by keys alone; alerts, links, saved pictures, foreign pages."""

from __future__ import annotations

import http.server
import io
import json
import re
import threading
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import matplotlib.image
import numpy as np
import pytest
from playwright.sync_api import Browser

from tests.e2e.browser import Hud, Open, RunningService

LAYERS = (
    "grid",
    "gamma",
    "gammaBands",
    "walls",
    "fog",
    "erosion",
    "holes",
    "trades",
    "bestPrices",
    "spot",
    "vwap",
    "levels",
)


@pytest.fixture
def still(hud: Open) -> Hud:
    """A page that stands still on its opening second."""
    page = hud()
    page.standstill()
    return page


def _press(page: Hud, key: str) -> None:
    page.page.keyboard.press(key)
    page.painted()


# ---- keys


def test_keys_drive_time(still: Hud) -> None:
    head = still.state("s.history.head")
    first, last = still.state("[s.source.firstWindow, s.source.lastWindow]")
    _press(still, "ArrowLeft")
    still.until(f"s.history.head === {head - 1}")
    still.page.wait_for_timeout(300)
    _press(still, "ArrowRight")
    still.until(f"s.history.head === {head}")
    _press(still, "Shift+ArrowLeft")
    still.until(f"s.history.head === {head - 60} && s.transport.seeking === null")
    _press(still, "Shift+ArrowRight")
    still.until(f"s.history.head === {head} && s.transport.seeking === null")
    _press(still, "Shift+End")
    still.until(f"s.history.head === {last} && s.transport.seeking === null")
    _press(still, "Shift+Home")
    still.until(f"s.history.head === {first} && s.transport.seeking === null")
    _press(still, "]")
    still.until("s.transport.speed === 2")
    _press(still, "[")
    _press(still, "[")
    still.until("s.transport.speed === 0.5")
    _press(still, "\\")
    still.until("s.transport.speed === 1")
    _press(still, "Space")
    still.until(f"s.transport.playing && s.history.head > {first}")
    _press(still, "Space")
    still.until("!s.transport.playing")
    _press(still, "g")
    assert still.page.evaluate("document.activeElement.closest('#panel-transport') !== null")
    # what is typed into the field stays in the field
    layers = still.state("JSON.stringify(s.settings.layers)")
    still.page.keyboard.type("w")
    assert still.state("JSON.stringify(s.settings.layers)") == layers


def test_keys_drive_the_view(still: Hud) -> None:
    def minutes() -> float:
        return float(
            still.state("(s.viewport.widthPx / s.viewport.pxPerSecond - s.settings.roomSeconds) / 60")
        )

    for key, wanted in (("5", 5), ("3", 30), ("1", 10)):
        _press(still, key)
        assert minutes() == pytest.approx(wanted, rel=0.02)
    for key, field, grows in (
        ("+", "pxPerTick", True),
        ("-", "pxPerTick", False),
        (".", "pxPerSecond", True),
        (",", "pxPerSecond", False),
        ("ArrowUp", "topTicks", True),
        ("ArrowDown", "topTicks", False),
        ("PageDown", "leftSecond", True),
        ("PageUp", "leftSecond", False),
    ):
        before = still.state(f"s.viewport.{field}")
        _press(still, key)
        after = still.state(f"s.viewport.{field}")
        assert (after > before) if grows else (after < before), key
    assert still.state("s.viewport.followTime || s.viewport.followPrice") is False
    _press(still, "Home")
    assert still.state("s.viewport.followTime && s.viewport.followPrice") is True


def test_keys_switch_layers_palette_and_contrast(still: Hud) -> None:
    for key, layer in {
        "w": "walls",
        "f": "fog",
        "r": "erosion",
        "h": "holes",
        "t": "trades",
        "n": "gamma",
        "b": "gammaBands",
        "v": "vwap",
        "k": "levels",
    }.items():
        was = still.state(f"s.settings.layers.{layer}")
        _press(still, key)
        assert (still.state(f"s.settings.layers.{layer}") > 0) is (was == 0), layer
        _press(still, key)
        assert (still.state(f"s.settings.layers.{layer}") > 0) is (was > 0), layer
    _press(still, "p")
    assert still.state("s.settings.palette") == "colour-blind"
    bid = "getComputedStyle(document.documentElement).getPropertyValue('--bid')"
    other = still.page.evaluate(bid)
    _press(still, "p")
    assert still.page.evaluate(bid) != other, "the panels change their colours with the picture"
    _press(still, "}")
    assert still.state("s.settings.contrast") == pytest.approx(0.55)
    _press(still, "{")
    _press(still, "{")
    assert still.state("s.settings.contrast") == pytest.approx(0.45)


def test_a_layer_comes_back_with_the_opacity_it_had(still: Hud) -> None:
    still.act("setLayer('walls', 0.4)")
    _press(still, "w")
    assert still.state("s.settings.layers.walls") == 0
    _press(still, "w")
    assert still.state("s.settings.layers.walls") == 0.4


def test_crosshair_and_measure_need_no_pointer(still: Hud) -> None:
    _press(still, "x")
    head, spot = still.state("[s.history.head, s.history.spot[s.history.slotOf(s.history.head)]]")
    assert still.state("[s.cursor.window, s.cursor.ticks]") == [head, spot]
    _press(still, "m")
    for key in ("Shift+ArrowLeft", "ArrowLeft", "ArrowUp", "ArrowUp", "ArrowDown", "Shift+ArrowUp"):
        _press(still, key)
    assert still.state("[s.cursor.window, s.cursor.ticks]") == [head - 11, spot + 11]
    still.painted()
    told = still.page.inner_text(".measure-box")
    buy, sell = still.state(
        f"[0, 1].map((k) => {{ let sum = 0; for (let w = {head - 10}; w <= {head}; w++)"
        " sum += (k ? s.history.sellQty : s.history.buyQty)[s.history.slotOf(w)]; return sum; })"
    )
    assert told == (
        f"+11 ticks (+2.75 points) · 11 s · {buy + sell:,} lots traded, {buy:,} bought, {sell:,} sold"
    )
    _press(still, "m")
    _press(still, "ArrowLeft")
    assert still.page.inner_text(".measure-box") == told, "a measure that has ended stays"
    _press(still, "Escape")
    assert still.state("s.measure") is None
    _press(still, "Escape")
    assert still.state("s.cursor") is None
    # the arrows drive time again
    _press(still, "ArrowLeft")
    still.until(f"s.history.head === {head - 1}")


def test_shift_and_the_pointer_measure(still: Hud) -> None:
    box = still.page.locator("#picture").bounding_box()
    assert box is not None
    still.page.keyboard.down("Shift")
    still.page.mouse.move(box["x"] + 300, box["y"] + 300)
    still.page.mouse.down()
    still.page.mouse.move(box["x"] + 400, box["y"] + 200)
    still.page.mouse.up()
    still.page.keyboard.up("Shift")
    still.painted()
    assert still.state("s.measure.to.ticks - s.measure.from.ticks") > 0
    assert still.page.locator(".measure-box").is_visible()
    assert still.state("s.viewport.followTime") is True, "measuring does not drag the picture"


def test_help_lists_every_key_and_is_left_by_keys(still: Hud) -> None:
    _press(still, "?")
    dialog = still.page.locator("#panel-help")
    assert dialog.is_visible()
    keys = dialog.locator("dt").all_text_contents()
    titles = dialog.locator("dd").all_text_contents()
    assert len(keys) == len(titles) > 40
    assert all(title.strip() for title in titles)
    for key in ("Space", "Home", "?", "Esc", "Shift ←", "G", "X", "M"):
        assert any(key in shown for shown in keys), key
    # behind the help nothing hears the keys
    _press(still, "w")
    assert still.state("s.settings.layers.walls") == 1
    _press(still, "Escape")
    assert not dialog.is_visible()
    _press(still, "?")
    _press(still, "?")
    assert not dialog.is_visible()


def test_tab_reaches_every_control_and_each_has_a_name(still: Hud) -> None:
    for key in ("l", "a"):
        _press(still, key)
        nameless = still.page.evaluate(
            """() => {
                const labelled = (node) => node.labels && [...node.labels].some((l) => l.textContent.trim());
                const controls = 'button, input, select, canvas[role], [role=slider], summary';
                return [...document.querySelectorAll(controls)]
                    .filter((node) => node.checkVisibility() && !node.getAttribute('aria-label'))
                    .filter((node) => !node.title && !node.textContent.trim() && !labelled(node))
                    .map((node) => node.outerHTML.slice(0, 120));
            }"""
        )
        assert nameless == []
    still.page.evaluate("document.activeElement.blur()")
    wanted = still.page.evaluate(
        """() => {
            const controls = '#hud :is(button, input, select, summary):not([tabindex="-1"]):not(:disabled)';
            return [...document.querySelectorAll(controls)].filter((node) => node.checkVisibility()).length;
        }"""
    )
    reached: set[str] = set()
    hidden_focus = []
    for _ in range(wanted + 8):
        still.page.keyboard.press("Tab")
        where, outline = still.page.evaluate(
            """() => { const node = document.activeElement;
                node.dataset.place ||= String(Math.random());
                const place = node === document.body ? '' : node.dataset.place;
                return [place, getComputedStyle(node).outlineStyle]; }"""
        )
        if where:
            reached.add(where)
            if outline == "none":
                hidden_focus.append(still.page.evaluate("document.activeElement.outerHTML.slice(0, 100)"))
    assert len(reached) >= wanted, "some control cannot be reached with Tab"
    assert hidden_focus == []


# ---- the legend's controls


def test_every_layer_has_a_switch_and_an_opacity(still: Hud) -> None:
    still.page.click("#button-legend")
    for layer in LAYERS:
        box = still.page.locator(f"#layer-{layer}")
        was = box.is_checked()
        assert was is (still.state(f"s.settings.layers.{layer}") > 0)
        box.click()
        assert (still.state(f"s.settings.layers.{layer}") > 0) is not was
        slider = still.page.locator(f"#opacity-{layer}")
        slider.fill("0.35")
        assert still.state(f"s.settings.layers.{layer}") == pytest.approx(0.35)
        still.painted()
        assert box.is_checked()
    still.page.locator("#contrast").fill("0.8")
    assert still.state("s.settings.contrast") == pytest.approx(0.8)
    still.page.locator("#room-ahead").fill("120")
    assert still.state("s.settings.roomSeconds") == 120
    still.page.click("#palette-colour-blind")
    assert still.state("s.settings.palette") == "colour-blind"
    still.page.click("#panel-legend header button")
    assert not still.page.locator("#panel-legend").is_visible()
    assert still.page.evaluate("document.activeElement.id") == "button-legend", "focus goes back"


def test_buttons_of_the_head_open_and_close_what_they_name(still: Hud) -> None:
    for button, panel in (("explain", "explain"), ("alerts", "alerts"), ("legend", "legend")):
        host = still.page.locator(f"#panel-{panel}")
        one = still.page.locator(f"#button-{button}")
        one.click()
        still.painted()
        assert host.is_visible()
        assert one.get_attribute("aria-expanded") == "true"
        one.click()
        still.painted()
        assert not host.is_visible()
        assert one.get_attribute("aria-expanded") == "false"
    still.page.click("#badge-origin")
    assert still.page.locator("#panel-legend").is_visible(), "a badge leads to its explanation"
    still.page.click("#button-help")
    assert still.page.locator("#panel-help").is_visible()
    still.page.click("#panel-help header button")
    assert not still.page.locator("#panel-help").is_visible()


# ---- alerts


def _rule(page: Hud, kind: str) -> Any:
    page.page.select_option("#alert-kind", kind)
    page.page.click("#alert-add")
    return page.page.locator(".rule").last


def _field(row: Any, title: str, value: str) -> None:
    field = row.locator("label", has_text=re.compile(f"^{title}")).locator("input, select")
    if field.evaluate("(node) => node.tagName") == "SELECT":
        field.select_option(value)
    else:
        field.fill(value)
        field.blur()


def test_an_alert_fires_after_its_seconds_and_leads_back_to_its_second(still: Hud) -> None:
    head = still.state("s.history.head")
    still.page.click("#button-alerts")
    for remove in still.page.locator(".rule summary button").all()[::-1]:
        remove.click()
    assert still.page.locator(".rule").count() == 0
    row = _rule(still, "wall")
    row.locator("summary .rule-text").click()
    for title, value in (("lots", "1"), ("ticks", "20"), ("for s", "3"), ("silent s", "0"), ("back by", "0")):
        _field(row, title, value)
    assert row.inner_text().startswith("Resting bid or ask wall of 1 lots within 20 ticks for 3 s")
    still.page.click("#alert-clear")
    for k in range(1, 5):
        still.act("step(1)")
        still.until(f"s.history.head === {head + k}")
        still.painted()
    fired = still.page.locator(".fired button")
    assert fired.count() == 1, "once, though the wall stands"
    text = fired.inner_text()
    # three seconds that arrived after the rule was made; what was on screen before does not count
    at = datetime.fromtimestamp(head + 3, ZoneInfo("America/New_York"))
    assert text.startswith(f"{at:%H:%M:%S} "), text
    assert "Resting bid or ask wall of at least 1 lots for 3 s at 6," in text

    # kept over a reload, and leads back
    still.page.reload()
    still.until("s.stage === 'ready' && s.day !== null")
    still.standstill()
    still.page.click("#button-alerts")
    assert still.page.locator(".rule").count() == 1
    assert still.page.locator(".fired button").first.inner_text() == text
    still.page.locator(".fired button").first.click()
    # looked at where the page holds it, else gone to: a reload may open some seconds before it
    still.until(
        f"s.viewport.leftSecond < {head + 3} && s.viewport.rightSecond >= {head + 3}"
        f" && (!s.viewport.followTime || s.history.head === {head + 3})"
    )
    still.page.click("#alert-clear")
    assert still.page.locator(".fired button").count() == 0


def test_the_message_of_an_alert_goes_with_its_second(still: Hud) -> None:
    head = still.state("s.history.head")
    still.page.click("#button-alerts")
    for remove in still.page.locator(".rule summary button").all()[::-1]:
        remove.click()
    row = _rule(still, "wall")
    row.locator("summary .rule-text").click()
    for title, value in (("lots", "1"), ("ticks", "20"), ("for s", "2"), ("silent s", "0"), ("back by", "0")):
        _field(row, title, value)
    still.page.click("#panel-alerts header button")
    still.act("step(2)")
    still.until(f"s.history.head === {head + 2}")
    toast = still.page.locator(".toast")
    toast.wait_for(state="visible")
    at = datetime.fromtimestamp(head + 2, ZoneInfo("America/New_York"))
    assert toast.inner_text().startswith(f"{at:%H:%M:%S} ")
    # further on it stays for a while; before its second it would speak of the future
    still.act("step(1)")
    still.until(f"s.history.head === {head + 3}")
    still.painted()
    assert toast.is_visible()
    still.seek(head - 20)
    assert not toast.is_visible()


def test_a_field_out_of_range_is_refused_with_a_sentence(still: Hud) -> None:
    still.page.click("#button-alerts")
    row = _rule(still, "score")
    row.locator("summary .rule-text").click()
    _field(row, "value", "7")
    problem = still.page.locator(".problem")
    assert problem.is_visible()
    assert re.search(r'"threshold" is 7, expected a number from -1 to 1', problem.inner_text())
    _field(row, "value", "0.3")
    assert not problem.is_visible()
    _field(row, "score", "below_touch_score")
    _field(row, "is", "below")
    assert row.inner_text().startswith("Ease below the touch under 0.3 for 5 s")


def test_rules_go_out_and_come_in_as_a_file(still: Hud, tmp_path: Path) -> None:
    still.page.click("#button-alerts")
    for kind in ("score", "wall", "hole", "flip", "phase"):
        _rule(still, kind)
    count = still.page.locator(".rule").count()
    with still.page.expect_download() as download:
        still.page.click("#alert-export")
    file = tmp_path / "rules.json"
    download.value.save_as(file)
    held = json.loads(file.read_text())
    assert held["format"] == "spymaster-alerts"
    assert len(held["rules"]) == count
    held["rules"] = held["rules"][-2:]
    file.write_text(json.dumps(held))
    still.page.set_input_files("#alert-file", file)
    still.page.wait_for_timeout(300)
    assert still.page.locator(".rule").count() == 2
    file.write_text('{"format": "something else"}')
    still.page.set_input_files("#alert-file", file)
    still.page.wait_for_timeout(300)
    assert "holds no alert rules" in still.page.inner_text(".problem")
    assert still.page.locator(".rule").count() == 2, "a bad file changes nothing"


# ---- links and pictures


def test_a_link_reopens_the_same_second_view_and_layers(still: Hud, hud: Open) -> None:
    head = still.state("s.history.head") - 17
    still.seek(head)
    still.act("setLayer('fog', 0)")
    still.act("setLayer('walls', 0.7)")
    still.act("setPalette('colour-blind')")
    still.act("setMinutes(5)")
    still.act("pan(0, 60)")
    still.painted()
    _press(still, "c")
    query = still.page.evaluate("location.search")
    assert "layers=walls:0.7,fog:0" in query
    other = hud("/" + query)
    other.until("s.transport.seeking === null && !s.transport.playing")
    other.page.wait_for_timeout(400)
    other.painted()
    for what in (
        "s.history.head",
        "s.settings",
        "s.viewport.pxPerTick",
        "Math.round(s.viewport.pxPerSecond * 100) / 100",
        "Math.round((s.viewport.topTicks + s.viewport.bottomTicks) / 2)",
        "Math.round(s.viewport.rightSecond)",
        "s.viewport.followPrice",
    ):
        assert other.state(what) == still.state(what), what


def test_the_address_follows_the_view(still: Hud) -> None:
    still.seek(still.state("s.history.head") - 5)
    at = still.state("new Date(s.history.head * 1000).toISOString().replace('.000Z', 'Z')")
    for _ in range(100):
        if f"at={at}" in still.page.evaluate("location.search"):
            return
        still.page.wait_for_timeout(100)
    raise AssertionError(still.page.evaluate("location.search"))


def test_the_saved_picture_holds_every_part(still: Hud) -> None:
    with still.page.expect_download() as download:
        _press(still, "s")
    assert re.fullmatch(r"spymaster-ESH6-2026-01-06-\d{6}\.png", download.value.suggested_filename)
    path = download.value.path()
    image = matplotlib.image.imread(io.BytesIO(Path(path).read_bytes()), format="png")
    assert image.shape[1] == 1280
    parts = still.page.evaluate(
        """() => {
            const top = document.getElementById('picture').getBoundingClientRect().top - 22;
            const ids = ['heatmap', 'price-axis', 'ladder', 'profile', 'time-axis', 'flow', 'delta'];
            return Object.fromEntries(ids.map((id) => {
                const b = document.getElementById(`panel-${id}`).getBoundingClientRect();
                return [id, [b.left, b.top - top, b.right, b.bottom - top].map(Math.round)];
            }));
        }"""
    )
    for name, (left, top, right, bottom) in parts.items():
        part = image[top:bottom, left:right, :3]
        assert len(np.unique(part.reshape(-1, 3), axis=0)) > 8, f"{name} is blank in the saved picture"
    assert image[:22, :, :3].max() > 0.6, "the caption says what the picture is"


# ---- a service that does not answer, and pages that must not ask


def test_a_lost_service_is_said_and_mended(hud: Open, lake: Path) -> None:
    own = RunningService(lake)
    own.start()
    try:
        page = hud(url=own.url)
        page.standstill()
        own.stop()
        page.until("s.connection.link === 'lost'")
        page.painted()
        badge = page.page.locator("#badge-connection")
        assert badge.inner_text().startswith("connection lost")
        assert "bad" in str(badge.get_attribute("class"))
        own.start()
        page.until("s.connection.link === 'open'")
        page.painted()
        assert badge.inner_text().startswith("● ")
        notice = page.page.locator("#panel-notice [role=status] span").last
        assert "connection was lost" in notice.inner_text()
    finally:
        own.stop()


def test_a_foreign_page_gets_neither_stream_nor_numbers(browser: Browser, service: RunningService) -> None:
    class Foreign(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>foreign</title>")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Foreign)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    page = browser.new_page()
    try:
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        stream = service.url.replace("http", "ws") + "/v1/hud/stream?symbol=ESH6&dt=2026-01-06"
        told = page.evaluate(
            """async ([stream, http]) => {
                const socket = await new Promise((done) => {
                    const s = new WebSocket(stream);
                    s.onmessage = () => done('message');
                    s.onopen = () => done('open');
                    s.onerror = s.onclose = () => done('refused');
                });
                const numbers = await fetch(http).then(() => 'read', () => 'refused');
                return [socket, numbers];
            }""",
            [stream, f"{service.url}/v1/catalog"],
        )
        assert told == ["refused", "refused"]
    finally:
        page.close()
        server.shutdown()
        thread.join()
        server.server_close()
