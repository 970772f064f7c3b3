"""Driving the replay: buttons, keys of the bar, the mini-map, the pointer, and a service that goes away."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser

from tests.e2e.browser import Hud, Open, RunningService


def _click(page: Hud, action: str) -> None:
    page.page.click(f"#panel-transport [data-action={action}]")


def test_play_and_pause_stop_and_start_the_clock(hud: Open) -> None:
    page = hud()
    _click(page, "play")
    page.until("!s.transport.playing")
    page.page.wait_for_timeout(300)
    at = page.state("s.history.head")
    page.page.wait_for_timeout(1500)
    assert page.state("s.history.head") == at
    _click(page, "play")
    page.until(f"s.transport.playing && s.history.head > {at}")


def test_steps_go_one_second_each_way(hud: Open) -> None:
    page = hud()
    page.standstill()
    first = page.state("s.source.firstWindow")
    page.seek(first + 60)
    _click(page, "ahead")
    page.until(f"s.history.head === {first + 61}")
    _click(page, "back")
    _click(page, "back")
    page.until(f"s.history.head === {first + 59}")
    # the server stands there too: the next step on shows the next second, not one that was skipped
    page.page.wait_for_timeout(300)
    _click(page, "ahead")
    page.until(f"s.history.head === {first + 60}")
    assert page.state(f"s.history.slotOf({first + 60}) >= 0 && s.history.slotOf({first + 61}) < 0") is True


def test_a_step_pauses_first(hud: Open) -> None:
    page = hud()
    _click(page, "ahead")
    page.until("!s.transport.playing")


def test_speed_is_taken_by_the_clock(hud: Open) -> None:
    page = hud()
    page.standstill()
    first, last = page.state("[s.source.firstWindow, s.source.lastWindow]")
    page.seek(first + 5)
    page.page.select_option("#panel-transport select", "60")
    _click(page, "play")
    page.until(f"s.history.head === {last} && s.transport.ended", 30)
    # every second between arrived, none was left out
    assert page.holds_all(first, last)


def test_max_speed_drops_nothing(hud: Open) -> None:
    page = hud()
    page.standstill()
    first, last = page.state("[s.source.firstWindow, s.source.lastWindow]")
    page.seek(first)
    page.act("setSpeed('max')")
    page.act("play()")
    page.until(f"s.history.head === {last} && s.transport.ended", 30)
    assert page.state("s.history.head - s.history.oldest + 1") == last - first + 1
    assert page.state("s.connection.windowsDropped") == 0


def test_the_connection_is_called_what_it_says(hud: Open) -> None:
    page = hud()
    page.standstill()
    last = page.state("s.source.lastWindow")
    page.seek(last - 4)
    page.act("setSpeed(2)")
    page.act("play()")
    page.until("s.transport.ended", 20)
    badge = page.page.locator("#badge-connection")
    page.until("document.querySelector('#badge-connection').textContent === 'end of day'")
    page.page.wait_for_timeout(300)
    assert str(badge.get_attribute("aria-label")).startswith("end of day. ")


def test_play_at_the_end_begins_again(hud: Open) -> None:
    page = hud()
    last = page.state("s.source.lastWindow")
    page.act(f"seek({last})")
    page.until("s.transport.ended || s.history.head === s.source.lastWindow")
    page.until("s.transport.ended", 10)
    _click(page, "play")
    page.until(f"s.transport.playing && s.history.head < {last} && s.transport.seeking === null")


def test_seek_shows_the_history_that_ends_there(hud: Open, lake: Path) -> None:
    page = hud()
    page.standstill()
    first = page.state("s.source.firstWindow")
    for offset in (20, 90, 33):
        page.seek(first + offset)
        assert page.state("s.history.oldest") == first
        assert page.state(
            f"s.history.slotOf({first + offset}) >= 0 && s.history.slotOf({first + offset + 1}) < 0"
        )


def test_go_to_a_typed_time(hud: Open) -> None:
    page = hud()
    page.standstill()
    page.page.fill("#panel-transport .goto", "09:30:10")
    page.page.press("#panel-transport .goto", "Enter")
    page.until("s.transport.seeking === null && s.history.head === 1767709810")
    assert page.page.inner_text("#panel-transport .clock") == "09:30:10"
    page.page.fill("#panel-transport .goto", "25:99")
    page.page.press("#panel-transport .goto", "Enter")
    page.painted()
    assert page.state("s.history.head") == 1767709810
    assert page.page.evaluate("document.querySelector('#panel-transport .goto').validationMessage") != ""


def test_scrubbing_the_mini_map_goes_there(hud: Open) -> None:
    page = hud()
    page.standstill()
    first, last = page.state("[s.source.firstWindow, s.source.lastWindow]")
    box = page.page.locator("#panel-minimap").bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.page.mouse.move(box["x"] + box["width"] * 0.9, y)
    page.page.mouse.down()
    for share in (0.7, 0.55, 0.5):
        page.page.mouse.move(box["x"] + box["width"] * share, y)
        page.page.wait_for_timeout(40)
    page.page.mouse.up()
    page.until("s.transport.seeking === null")
    assert abs(page.state("s.history.head") - (first + (last - first) / 2)) <= 2


def test_drag_locks_the_picture_and_recentring_frees_it(hud: Open) -> None:
    page = hud()
    page.standstill()
    left, top = page.state("[s.viewport.leftPx, s.viewport.topPx]")
    page.page.mouse.move(400, 300)
    page.page.mouse.down()
    page.page.mouse.move(460, 330, steps=4)
    page.page.mouse.up()
    page.painted()
    assert page.state("[s.viewport.followTime, s.viewport.followPrice]") == [False, False]
    assert page.state("s.viewport.topPx") == top - 30
    moved = page.state("s.viewport.leftPx")
    assert moved == left - 60
    head = page.state("s.history.head")
    page.act("play()")
    page.until(f"s.history.head >= {head + 2}")
    assert page.state("s.viewport.leftPx") == moved
    page.page.click("#panel-transport .follow")
    page.painted()
    assert page.state("[s.viewport.followTime, s.viewport.followPrice]") == [True, True]
    assert 30 <= page.state("s.viewport.rightSecond - s.history.head") <= 45


def test_wheel_zooms_price_and_shift_wheel_zooms_time(hud: Open) -> None:
    page = hud()
    page.standstill()
    per_tick, per_second = page.state("[s.viewport.pxPerTick, s.viewport.pxPerSecond]")
    page.page.mouse.move(500, 250)
    page.page.mouse.wheel(0, -120)
    page.until(f"s.viewport.pxPerTick > {per_tick} && s.viewport.pxPerSecond === {per_second}")
    page.page.keyboard.down("Shift")
    page.page.mouse.wheel(0, 240)
    page.page.keyboard.up("Shift")
    page.until(f"s.viewport.pxPerSecond < {per_second}")


def test_pointer_names_the_cell_under_it(hud: Open) -> None:
    page = hud()
    page.standstill()
    page.page.mouse.move(400, 300)
    page.until("s.cursor !== null")
    error = page.state(
        "Math.abs(s.viewport.yOfTicks(s.cursor.ticks) - s.cursor.y) * s.viewport.dpr / s.viewport.pxPerTick"
    )
    assert error <= 0.5
    assert page.state(
        "s.cursor.window - 1 <= s.viewport.leftSecond + s.cursor.x * s.viewport.dpr / s.viewport.pxPerSecond"
    )
    page.page.mouse.move(1200, 40)
    page.until("s.cursor === null")


def test_a_lost_connection_comes_back_and_nothing_is_missing(browser: Browser, lake: Path) -> None:
    own = RunningService(lake)
    own.start()
    page = Hud(browser, own.url)
    try:
        page.open()
        page.act("setSpeed(2)")
        page.until("s.transport.speed === 2")
        own.stop()
        page.until("s.connection.link === 'lost'")
        at = page.state("s.history.head")
        page.page.wait_for_timeout(700)
        own.start()
        page.until(f"s.connection.link === 'open' && s.history.head >= {at + 2}")
        assert page.state("s.connection.reconnects") == 1
        assert "Nothing is missing" in page.state("s.connection.notice")
        assert page.state("s.transport.speed") == 2
        oldest, head = page.state("[s.history.oldest, s.history.head]")
        assert page.holds_all(oldest, head)
        assert page.faults == []
    finally:
        page.close()
        own.stop()


def test_a_paused_page_is_still_paused_after_a_reconnect(browser: Browser, lake: Path) -> None:
    own = RunningService(lake)
    own.start()
    page = Hud(browser, own.url)
    try:
        page.open()
        page.standstill()
        at = page.state("s.history.head")
        own.stop()
        page.until("s.connection.link === 'lost'")
        own.start()
        page.until("s.connection.link === 'open'")
        page.page.wait_for_timeout(1500)
        assert page.state("s.transport.playing") is False
        assert page.state("s.history.head") == at
    finally:
        page.close()
        own.stop()


def test_an_unknown_day_is_one_sentence(hud: Open, service: RunningService, browser: Browser) -> None:
    page = Hud(browser, service.url)
    page.page.goto(service.url + "/?dt=2031-01-06")
    page.until("s.stage === 'failed'")
    assert "the lake holds no" in page.state("s.error")
    page.close()
