"""The panels around the picture: their numbers are the lake's, their words are honest, none hides another."""

from __future__ import annotations

import json
import math
import re
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data_eng.lake import Lake
from tests.e2e.browser import Hud, Open, RunningService
from tests.e2e.conftest import DT, SYMBOL

TICK_INT = 250_000_000
TIMES, MINUS, NONE = "\u00d7", "\u2212", "\u2013"
"""signs of the page: multiplication, minus, and the dash that says unknown"""
SIZES = [(1280, 720), (2560, 1440)]
RAW = re.compile(r"([\d.]+) smoothed, ([\d.]+) this second, median ([\d.]+)")


class Tables:
    """Tables of the lake, as data frames."""

    def __init__(self, folder: Path) -> None:
        self._lake = Lake(folder)
        self._read: dict[str, pd.DataFrame] = {}

    def __call__(self, dataset: str) -> pd.DataFrame:
        if dataset not in self._read:
            self._read[dataset] = self._lake.read(dataset, SYMBOL, DT).to_pandas()
        return self._read[dataset]

    def window(self, dataset: str, window: int) -> pd.DataFrame:
        """Rows of one second."""
        table = self(dataset)
        return table[table.window_end_ts_ns == window * 1_000_000_000]


WALL = "silver.future_mbo.wall_surface_1s"
VACUUM = "silver.future_mbo.vacuum_surface_1s"
SNAPSHOT = "silver.future_mbo.book_snapshot_1s"
BANDS = "silver.future_mbo.physics_bands_1s"
CONTEXT = "silver.future_mbo.physics_context_1s"
TRADES = "silver.future_mbo.trade_event"
GEX = "silver.future_option_mbo.gex_surface_1s"
GEX_PROFILE = "silver.future_option_mbo.gex_profile_1s"


@pytest.fixture(scope="session")
def tables(lake: Path) -> Tables:
    return Tables(lake)


@pytest.fixture
def still(hud: Open) -> Hud:
    """A page that stands still on its opening second."""
    page = hud()
    page.standstill()
    return page


def _head(page: Hud) -> int:
    return int(page.state("s.history.head"))


def _label(page: Hud, panel: str) -> str:
    return str(page.page.get_attribute(f"#panel-{panel} canvas[role=img]", "aria-label"))


def _eventually(page: Hud, what: str, pattern: str, read: Any) -> re.Match[str]:
    """What `read()` tells once it fits; numbers come a moment after the picture."""
    told = ""
    for _ in range(600):
        told = read()
        found = re.search(pattern, told)
        if found:
            return found
        page.page.wait_for_timeout(50)
    raise AssertionError(f"{what} tells {told!r}, expected {pattern!r}")


def _point_at(page: Hud, window: int, ticks: int) -> None:
    """Move the pointer to the middle of a cell."""
    x, y = page.state(f"[s.viewport.xOfSecond({window} - 0.5), s.viewport.yOfTicks({ticks})]")
    box = page.page.locator("#picture").bounding_box()
    assert box is not None
    page.page.mouse.move(box["x"] + x, box["y"] + y)


def _cell(page: Hud, window: int, ticks: int) -> dict[str, str]:
    """The read-out of a cell, name -> value, once its numbers are here; of two sides only what they share."""
    price = f"{ticks * 0.25:,.2f}"
    box = page.page.locator(".cell-box")
    _eventually(page, "the crosshair", f"^true {re.escape(price)}", lambda: _ready(page))
    rows = [row.locator("span").all_text_contents() for row in box.locator("[role=row]").all()]
    assert len(rows) > 0
    return {row[0]: row[1] for row in rows if len(row) == 2}


def _ready(page: Hud) -> str:
    return str(
        page.page.evaluate(
            "(() => { const b = document.querySelector('.cell-box');"
            " return `${b.dataset.ready} ${b.querySelector('.cell-title')?.textContent}`; })()"
        )
    )


# ---- crosshair


def test_numbers_under_the_crosshair_are_those_of_the_lake(still: Hud, tables: Tables) -> None:
    head = _head(still)
    window = head - 20
    wall, vacuum = tables.window(WALL, window), tables.window(VACUUM, window)
    rows = wall.merge(
        vacuum[["side", "price_int", "vacuum_score", "vacuum_flow_score"]], on=["side", "price_int"]
    )
    low, high = still.state("[s.viewport.bottomTicks, s.viewport.topTicks]")
    seen = rows[(rows.price_int > (low + 4) * TICK_INT) & (rows.price_int < (high - 4) * TICK_INT)]
    alone = seen[~seen.price_int.duplicated(keep=False)]
    busy = alone[(alone.add_qty > 0) & (alone.pull_qty_total > 0)]
    quiet = alone[(alone.add_qty == 0) & (alone.depth_qty_end > 0)]
    chosen = pd.concat([busy.head(4), busy[busy.fill_qty > 0].head(2), quiet.head(2), quiet.tail(1)])
    assert len(busy) >= 4
    assert set(chosen.side) == {"A", "B"}
    for row in chosen.itertuples():
        ticks = int(row.price_int) // TICK_INT
        _point_at(still, window, ticks)
        told = _cell(still, window, ticks)
        word = "offer" if row.side == "A" else "bid"
        assert told[word] == f"{row.depth_qty_end:,} lots"
        assert told["resting"] == f"{row.depth_qty_rest:,}"
        assert told["fleeting"] == f"{row.depth_qty_end - row.depth_qty_rest:,}"
        assert told["at the start"] == f"{row.depth_qty_start:,}"
        assert told["added"] == f"{row.add_qty:,}"
        pulled = f"{row.pull_qty_total:,} ({row.pull_qty_rest:,} resting)" if row.pull_qty_total else "0"
        assert told["pulled"] == pulled
        assert told["filled"] == f"{row.fill_qty:,}"
        assert abs(float(told["vacuum"]) - row.vacuum_score) <= 0.0051
        assert abs(float(told["vacuum flow"]) - row.vacuum_flow_score) <= 0.0051


def test_a_second_is_asked_for_once_however_the_pointer_moves_in_it(still: Hud) -> None:
    head = _head(still)
    window = head - 31
    spot = int(still.state(f"s.history.spot[s.history.slotOf({window})]"))
    _point_at(still, window, spot)
    _cell(still, window, spot)
    asked = len([url for url in still.requests if f"end_ts_ns={window}000000000" in url])
    assert asked == 4, "wall, vacuum, gex and physics, once each"
    for step in (3, -2, 7):
        _point_at(still, window, spot + step)
        _cell(still, window, spot + step)
    assert len([url for url in still.requests if f"end_ts_ns={window}000000000" in url]) == asked


def test_the_future_and_what_is_not_held_have_no_numbers(still: Hud) -> None:
    head = _head(still)
    spot = int(still.state(f"s.history.spot[s.history.slotOf({head})]"))
    _point_at(still, head + 10, spot)
    _eventually(still, "the crosshair", "not yet", lambda: still.page.locator(".cell-box").inner_text())
    still.act(f"lookAt({still.state('s.history.oldest')}, {spot})")
    still.painted()
    _point_at(still, int(still.state("s.history.oldest")) - 10, spot)
    _eventually(
        still,
        "the crosshair",
        "before the first second",
        lambda: still.page.locator(".cell-box").inner_text(),
    )


# ---- right edge and head


def test_the_ladder_counts_what_the_wall_holds(still: Hud, tables: Tables) -> None:
    head = _head(still)
    told = _eventually(
        still,
        "the ladder",
        r"At ([\d,.]+): ([\d,]+) lots bid, ([\d,]+) offered, ([\d,]+) pulled and ([\d,]+) added in 30 sec",
        lambda: _label(still, "ladder"),
    )
    px = still.state("s.viewport.pxPerTick / s.viewport.dpr")
    group = next(n for n in (1, 2, 4, 8) if n * px >= 11 * 0.93)
    low = round(float(told[1].replace(",", "")) / 0.25)
    assert low % group == 0
    wall = tables(WALL)
    inside = wall[(wall.price_int >= low * TICK_INT) & (wall.price_int < (low + group) * TICK_INT)]
    now = inside[inside.window_end_ts_ns == head * 1_000_000_000]
    last = inside[
        (inside.window_end_ts_ns > (head - 30) * 1_000_000_000)
        & (inside.window_end_ts_ns <= head * 1_000_000_000)
    ]
    numbers = [int(told[k].replace(",", "")) for k in (2, 3, 4, 5)]
    assert numbers == [
        now[now.side == "B"].depth_qty_end.sum(),
        now[now.side == "A"].depth_qty_end.sum(),
        last.pull_qty_total.sum(),
        last.add_qty.sum(),
    ]
    assert sum(numbers[2:]) > 0


def test_the_head_shows_the_touch_of_the_snapshot(still: Hud, tables: Tables) -> None:
    row = tables.window(SNAPSHOT, _head(still)).iloc[0]
    price = [
        f"{p / 1e9:,.2f}" for p in (row.best_bid_price_int, row.best_ask_price_int, row.spot_ref_price_int)
    ]
    bid = f"{row.best_bid_qty} {TIMES} {price[0]}"
    _eventually(still, "the bid", f"^{re.escape(bid)}$", lambda: still.page.inner_text("#panel-readout .bid"))
    assert still.page.inner_text("#panel-readout .ask") == f"{price[1]} {TIMES} {row.best_ask_qty}"
    assert still.page.inner_text("#panel-readout .spot") == price[2]
    spread = (row.best_ask_price_int - row.best_bid_price_int) // TICK_INT
    assert still.page.inner_text("#panel-readout .spread") == f"{spread} tick{'' if spread == 1 else 's'}"


def test_the_profile_and_its_point_of_control_are_those_of_the_trades(still: Hud, tables: Tables) -> None:
    head = _head(still)
    trades = tables(TRADES)
    trades = trades[trades.ts_event_ns < head * 1_000_000_000]
    by_price = trades.groupby("price_int").qty.sum()
    poc = int(by_price[by_price == by_price.max()].index.min())
    told = _eventually(
        still,
        "the profile",
        rf"{int(by_price.sum()):,} lots, point of control ([\d,.]+) with ([\d,]+)",
        lambda: _label(still, "profile"),
    )
    assert told[1] == f"{poc / 1e9:,.2f}"
    assert told[2] == f"{int(by_price.max()):,}"


def test_volume_and_delta_below_are_those_of_the_second(still: Hud, tables: Tables) -> None:
    head = _head(still)
    row = tables.window(SNAPSHOT, head).iloc[0]
    assert f"{row.buy_qty:,} lots bought, {row.sell_qty:,} sold" in _label(still, "flow")
    before = tables(SNAPSHOT)
    before = before[before.window_end_ts_ns <= head * 1_000_000_000]
    delta = int(before.buy_qty.sum() - before.sell_qty.sum())
    sign = "+" if delta > 0 else MINUS if delta < 0 else ""
    assert _label(still, "delta") == f"Cumulative delta {sign}{abs(delta):,} lots"


def test_no_delta_of_another_version_stands_while_the_page_waits_for_the_day(still: Hud) -> None:
    drawn = """() => {
        const strip = document.querySelector('#panel-delta canvas[aria-hidden]');
        const { data } = strip.getContext('2d').getImageData(0, 0, strip.width, strip.height);
        return data.some((byte, i) => i % 4 === 3 && byte > 0);
    }"""
    assert still.page.evaluate(drawn)
    still.page.evaluate(
        "() => { window.dayBefore = spymaster.store.snapshot.day; spymaster.store.setDay(null); }"
    )
    still.page.wait_for_function(
        "document.querySelector('#panel-delta').textContent.includes('waiting for the day')"
    )
    assert not still.page.evaluate(drawn)
    assert _label(still, "delta") == "Cumulative delta, waiting for the day"
    still.page.evaluate("spymaster.store.setDay(window.dayBefore)")
    still.page.wait_for_function("document.querySelector('#panel-delta').textContent.includes('cum. delta')")
    assert still.page.evaluate(drawn)


def _gamma_text(contracts: float) -> str:
    """Contracts per point as the page writes them: about three digits, a true minus."""
    size = abs(contracts)
    digits = f"{math.floor(size + 0.5):,}" if size >= 100 else f"{size:.1f}" if size >= 10 else f"{size:.2f}"
    sign = "" if float(digits.replace(",", "")) == 0 else "+" if contracts > 0 else MINUS
    return sign + digits


def _number(text: str) -> float:
    return float(text.replace(",", "").replace(MINUS, "-"))


def test_gamma_is_that_of_the_lake_or_says_that_there_is_none(still: Hud, tables: Tables) -> None:
    """An empty ladder must not look like calm gamma."""
    badge = still.page.locator(".gamma-badge")
    if "no_options" in still.state("s.source.warnings"):
        assert badge.inner_text() == "No gamma: no option data for this day"
        return
    head = _head(still)
    row = tables.window(GEX_PROFILE, head).iloc[0]
    # what it told while the clock ran may be a few seconds old
    net = re.escape(_gamma_text(row.net_gex / 50))
    told = _eventually(
        still,
        "gamma",
        rf"net ({net}) contracts per point; (?:flips at (.*?)|no flip within 150 points);"
        r" conventions from (\S+) to ([^\s,]+(?:,\d+)?)",
        lambda: _label(still, "gamma"),
    )
    stored = (row.net_gex, row.convention_min, row.convention_max)
    for text, value in zip((told[1], told[3], told[4]), stored, strict=True):
        # contracts per point, three digits at least
        assert _number(text) == pytest.approx(value / 50, rel=0.006, abs=0.006)
    flips = [f"{round(points * 4) / 4:,.2f}" for points in row.flip_points]
    assert (told[2] or "") == ", ".join(flips)
    gex = tables.window(GEX, head)
    low, high = still.state("[s.viewport.bottomTicks, s.viewport.topTicks]")
    inside = gex[(gex.strike_price_int > low * TICK_INT) & (gex.strike_price_int < high * TICK_INT)]
    strike = inside[inside.gex_abs == inside.gex_abs.max()].iloc[0]
    assert strike.gex_abs > 0
    ticks = int(strike.strike_price_int) // TICK_INT
    _point_at(still, head, ticks)
    cell = _cell(still, head, ticks)
    assert _number(cell["gamma calls"]) == pytest.approx(strike.gex_call_abs / 50, rel=0.006, abs=0.006)
    assert _number(cell["gamma puts"]) == pytest.approx(strike.gex_put_abs / 50, rel=0.006, abs=0.006)


# ---- scores


def _readings(page: Hud) -> dict[str, str]:
    return {
        str(one.get_attribute("id")): str(one.get_attribute("aria-label"))
        for one in page.page.locator("#panel-scores output.value").all()
    }


def test_scores_show_the_raw_value_its_mean_and_the_median(still: Hud, tables: Tables) -> None:
    head = _head(still)
    bands = tables(BANDS)
    bands = bands[bands.window_end_ts_ns <= head * 1_000_000_000]
    context = tables(CONTEXT)[: len(bands)]
    # all seconds of these minutes are valid, so the mean runs over the last 49 of them
    weights = np.exp(-np.arange(49) / 7)
    for name, column in {
        "score-above-spot": bands.above_score,
        "score-below-spot": bands.below_score,
        "score-above-touch": context.above_touch_score,
        "score-below-touch": context.below_touch_score,
        "score-above-mid": _ease(bands, "above_mid"),
        "score-below-near": _ease(bands, "below_near"),
    }.items():
        values = column.to_numpy()
        recent = values[::-1][:49]
        told = RAW.search(_readings(still)[name])
        assert told is not None, f"{name} tells {_readings(still)[name]!r}"
        assert abs(float(told[1]) - np.average(recent, weights=weights[: len(recent)])) < 0.0051
        assert abs(float(told[2]) - values[-1]) < 0.0051
        # the median may be up to 9 seconds old
        medians = [np.median(values[: len(values) - k]) for k in range(10)]
        assert min(abs(float(told[3]) - m) for m in medians) < 0.0051


def _ease(bands: pd.DataFrame, band: str) -> Any:
    return (
        0.5 * bands[f"{band}_vacuum_norm"]
        + 0.35 * bands[f"{band}_wall_erosion_norm"]
        + 0.15 * (1 - bands[f"{band}_wall_strength_norm"])
    )


def test_a_band_without_a_level_says_empty_and_no_number(still: Hud, tables: Tables) -> None:
    context = tables(CONTEXT)
    first = int(still.state("s.source.firstWindow"))
    found = 0
    for direction, band in [
        ("above", "at"),
        ("below", "at"),
        ("above", "near"),
        ("below", "near"),
        ("below", "mid"),
    ]:
        empty = np.flatnonzero(context[f"{direction}_{band}_level_count"] == 0)
        if len(empty) == 0:
            continue
        found += 1
        still.seek(first + int(empty[0]))
        name = f"score-{direction}-{band}"
        _eventually(still, name, "EMPTY", lambda name=name: _readings(still)[name])
        assert still.page.inner_text(f"#{name}") == NONE
        full = np.flatnonzero(context[f"{direction}_{band}_level_count"] > 0)
        still.seek(first + int(full[0]))
        _eventually(still, name, "smoothed", lambda name=name: _readings(still)[name])
    assert found > 0, "these minutes hold no empty band: the test has looked at nothing"


def test_the_terms_of_the_second_under_the_crosshair_are_those_of_the_service(
    still: Hud, service: RunningService
) -> None:
    head = _head(still)
    still.page.keyboard.press("e")
    for window in (head - 12, head - 40):
        spot = int(still.state(f"s.history.spot[s.history.slotOf({window})]"))
        _point_at(still, window, spot)
        still.page.wait_for_selector(f"#panel-explain[data-window='{window}'] table")
        query = f"symbol={SYMBOL}&dt={DT}&ts_ns={window * 1_000_000_000}"
        with urllib.request.urlopen(f"{service.url}/v1/explain?{query}") as answer:
            truth = json.load(answer)
        rows = [
            [cell.inner_text() for cell in row.locator("td").all()]
            for row in still.page.locator("#panel-explain tbody tr").all()
        ]
        assert len(rows) == 8
        for column, direction in ((0, "below"), (1, "above")):
            terms = truth[direction]["terms"]
            values = terms.values() if isinstance(terms, dict) else [t["value"] for t in terms]
            flat = [v for value in values for v in (value.values() if isinstance(value, dict) else [value])]
            assert [float(row[column]) for row in rows[:6]] == pytest.approx(flat, abs=0.00051)
            assert float(rows[6][column]) == pytest.approx(truth[direction]["score"], abs=0.00051)
            assert float(rows[7][column]) == pytest.approx(truth[direction]["touch_score"], abs=0.0051)


# ---- honesty


def test_the_head_says_what_the_data_are(still: Hud) -> None:
    source = still.state("({ ...s.source, tick: 0 })")
    loud = still.page.locator("#badge-origin")
    assert loud.inner_text() == "SIMULATED"
    assert "loud" in str(loud.get_attribute("class"))
    assert still.page.inner_text("#badge-day") == f"{SYMBOL} {DT}"
    assert still.page.inner_text("#badge-phase") == "open"
    assert still.page.inner_text("#badge-validity") == "valid"
    assert still.page.inner_text("#badge-lookahead") == "looks ahead"
    assert source["calibrationId"] in str(still.page.get_attribute("#badge-calibration", "title"))
    received = still.state("s.connection.windowsReceived")
    assert still.page.inner_text("#badge-connection") == f"● {received:,} s"
    assert still.page.locator("#badge-gaps").count() == 0


def test_engine_counters_of_the_lake_stand_in_the_legend(still: Hud, lake: Path) -> None:
    counters = Lake(lake).manifest(SNAPSHOT, SYMBOL, DT).counters
    still.page.keyboard.press("l")
    text = still.page.inner_text("#panel-legend")
    for name in ("records", "late_records", "crossed_open", "identity_violations"):
        assert re.search(rf"{name.replace('_', ' ')}\s+{counters[name]:,}\b", text), name


def test_legend_says_what_it_is_not(still: Hud) -> None:
    still.page.keyboard.press("l")
    text = still.page.inner_text("#panel-legend")
    for words in (
        "It does not forecast",
        "one-second data",
        "compare within one calibration",
        "one ES weekly chain on previous-day open interest",
        "not anyone's position",
    ):
        assert words in text
    assert "n/a" in text, "a level that the lake cannot give says so with its reason"


def test_another_day_is_refused_with_a_sentence(browser: Any, service: RunningService) -> None:
    page = Hud(browser, service.url)
    page.page.goto(f"{service.url}/?dt=2030-01-02")
    alert = page.page.locator("#panel-notice [role=alert]")
    alert.wait_for(state="visible")
    assert "2030-01-02" in alert.inner_text()
    assert f"{SYMBOL} {DT}" in alert.inner_text(), "the cure: what the lake does hold"
    page.close()


def test_nothing_is_asked_of_another_host(still: Hud) -> None:
    still.page.keyboard.press("l")
    still.page.wait_for_timeout(300)
    assert len(still.requests) > 5
    foreign = [
        url
        for url in still.requests
        if not url.startswith((still.url, still.url.replace("http", "ws"), "data:", "blob:"))
    ]
    assert foreign == []


# ---- place


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_panels_do_not_overlap_and_nothing_is_cut_off(hud: Open, width: int, height: int) -> None:
    page = hud(width=width, height=height)
    page.standstill()
    boxes = page.page.evaluate(
        """() => {
            const parts = document.querySelectorAll('#top, #picture, #hud > .panel:not([hidden])');
            return Object.fromEntries([...parts].map((node) => {
                const b = node.getBoundingClientRect();
                return [node.id, [b.left, b.top, b.right, b.bottom]];
            }));
        }"""
    )
    assert len(boxes) == 12
    names = sorted(boxes)
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            (l0, t0, r0, b0), (l1, t1, r1, b1) = boxes[a], boxes[b]
            overlap = min(r0, r1) - max(l0, l1) > 0.5 and min(b0, b1) - max(t0, t1) > 0.5
            assert not overlap, f"{a} lies over {b}"
        left, top, right, bottom = boxes[a]
        assert min(left, top) >= -0.5, a
        assert right <= width + 0.5, a
        assert bottom <= height + 0.5, a
    cut = page.page.evaluate(
        """() => {
            const parts = '#top .badge:not([hidden]), #top output, #top nav button, #panel-scores output,'
                + ' #panel-scores span:not([hidden])';
            const isCut = (node) => {
                const b = node.getBoundingClientRect();
                const hosts = '#panel-badges, #panel-readout, #panel-scores';
                const host = node.closest(hosts).getBoundingClientRect();
                const inside = b.left >= host.left - 1 && b.right <= host.right + 1
                    && b.top >= host.top - 1 && b.bottom <= host.bottom + 1;
                const tooLong = node.scrollWidth > node.clientWidth + 1;
                return !inside || (tooLong && getComputedStyle(node).display !== 'inline');
            };
            return [...document.querySelectorAll(parts)].filter(isCut)
                .map((node) => `${node.id || node.className}: ${node.textContent}`);
        }"""
    )
    assert cut == []


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_open_drawers_leave_prices_and_scores_in_sight(hud: Open, width: int, height: int) -> None:
    page = hud(width=width, height=height)
    page.standstill()
    for key, drawer in (("l", "legend"), ("a", "alerts")):
        page.page.keyboard.press(key)
        box = page.page.locator(f"#panel-{drawer}").bounding_box()
        axis = page.page.locator("#panel-price-axis").bounding_box()
        scores = page.page.locator("#panel-scores").bounding_box()
        assert box is not None
        assert axis is not None
        assert scores is not None
        assert math.isclose(box["x"], axis["x"] + axis["width"], abs_tol=1)
        assert box["y"] + box["height"] <= scores["y"] + 1
        overflow = page.page.locator(f"#panel-{drawer}").evaluate("(d) => d.scrollWidth - d.clientWidth")
        assert overflow <= 1
