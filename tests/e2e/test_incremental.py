"""Panels that draw second by second what differs, against the same panels drawn afresh, in a real browser."""

from __future__ import annotations

import random

from tests.e2e.browser import Hud, Open

# canvases of each panel as they are seen: some are wider than their panel and pushed along under it
PIXELS = """() => {
    const found = {};
    for (const id of ['ladder', 'price-axis', 'profile', 'gamma', 'time-axis', 'flow', 'delta', 'heatmap']) {
        const panel = document.getElementById(`panel-${id}`);
        const { width, height } = panel.getBoundingClientRect();
        const whole = document.createElement('canvas');
        whole.width = Math.round(width * devicePixelRatio);
        whole.height = Math.round(height * devicePixelRatio);
        const context = whole.getContext('2d');
        for (const layer of panel.querySelectorAll('canvas:not(.heatmap-field)')) {
            const moved = /translateX\\((-?[\\d.]+)px\\)/.exec(layer.style.transform);
            const x = moved ? Math.round(moved[1] * devicePixelRatio) : 0;
            if (layer.width > 0) context.drawImage(layer, x, 0);
        }
        found[id] = context.getImageData(0, 0, whole.width, whole.height).data;
    }
    return found;
}"""
_DIFFERENCES = """async () => {
    const shown = PIXELS;
    const { store } = window.spymaster;
    const frame = () => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)));
    await frame();
    const before = shown();
    // other colours, and these again: nothing that was drawn can stay
    store.actions.setPalette('colour-blind');
    await frame();
    const other = shown();
    store.actions.setPalette('standard');
    await frame();
    const afresh = shown();
    const differ = (a, b, levels) => {
        let count = a.length === b.length ? 0 : Infinity;
        for (let i = 0; i < a.length; i += 4) {
            if ([0, 1, 2, 3].some((k) => Math.abs(a[i + k] - b[i + k]) > levels)) count++;
        }
        return count;
    };
    return Object.fromEntries(Object.keys(before).map((id) => [
        id,
        {
            kept: differ(before[id], afresh[id], 0),
            far: differ(before[id], afresh[id], 8),
            palette: differ(before[id], other[id], 0),
        },
    ]));
}"""
DIFFERENCES = _DIFFERENCES.replace("PIXELS", PIXELS)
SEAMS = {"flow", "delta", "heatmap"}
"""antialiased bars and lines: where the last ones join the older ones a few pixels may differ a little"""
SEAM_PX = 60


def test_panels_drawn_second_by_second_equal_panels_drawn_afresh(hud: Open) -> None:
    page = hud("/?renderer=canvas2d")
    first = page.state("s.source.firstWindow")
    chance = random.Random(11)
    calls = (
        lambda: page.act(f"zoomTime({chance.choice([0.8, 1.25])}, 300)"),
        lambda: page.act(f"zoomPrice({chance.choice([0.8, 1.25])}, 200)"),
        lambda: page.act(f"pan({chance.randrange(-60, 60)}, {chance.randrange(-20, 20)})"),
        lambda: page.act("recentre()"),
        lambda: page.page.set_viewport_size({"width": chance.choice([1280, 1400]), "height": 720}),
        lambda: page.seek(first + chance.randrange(20, 90)),
    )
    for call in (*chance.sample(calls, len(calls)), *chance.sample(calls, 2)):
        call()
        page.act("recentre()")
        page.painted()
        page.act("play()")
        page.page.wait_for_timeout(2600)
        page.standstill()
        page.page.wait_for_timeout(1200)  # numbers that are asked for come in
        _expect_equal(page)


def _expect_equal(page: Hud) -> None:
    found = page.page.evaluate(DIFFERENCES)
    assert {panel for panel, px in found.items() if px["palette"] > 0} >= {"ladder", "flow", "heatmap"}
    exact = {panel: px["kept"] for panel, px in found.items() if panel not in SEAMS and px["kept"] > 0}
    assert exact == {}, "pixels that differ from a drawing afresh"
    seams = {panel: px["far"] for panel, px in found.items() if panel in SEAMS and px["far"] > SEAM_PX}
    assert seams == {}, "pixels that differ by more than 8 of 255"
