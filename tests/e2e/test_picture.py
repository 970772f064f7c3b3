"""What is on screen: the planes served, the same with both renderers, at both sizes, never black."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import Browser, Playwright

from data_eng.lake import Lake
from data_eng.units import HUD_HISTORY_WINDOWS, HUD_ROWS, WINDOW_NS
from tests.e2e.browser import Hud, Open, RunningService, launch
from tests.e2e.conftest import DT, SYMBOL

FIELD_PLANES = (
    "wall_core_u8",
    "wall_fog_u8",
    "vacuum_u8",
    "gex_abs_u8",
    "gex_imbalance_u8",
    "side_u8",
    "hole_u8",
)
STORM = """([seed, first, count]) => {
    // windows full of everything: every plane, both sides, jumps of spot, invalid seconds, a gap
    let state = seed;
    const next = () => {
        state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
        return state / 2 ** 32;
    };
    const { store } = window.spymaster;
    const names = Object.keys(store.history.planes);
    let spot = 27800;
    const rows = [];
    for (let w = first; w < first + count; w++) {
        if (w > first + 40 && w < first + 46) continue;
        spot += Math.floor(next() * 5) - 2;
        const planes = {};
        for (const name of names) {
            const bytes = planes[name] = new Uint8Array(1201).fill(name === 'gex_imbalance_u8' ? 128 : 0);
            for (let i = 420; i < 780; i++) {
                const roll = next();
                if (name === 'side_u8') bytes[i] = roll < 0.1 ? 0 : i < 600 ? 1 : 2;
                else if (name === 'hole_u8') bytes[i] = roll < 0.08 ? 255 : 0;
                else if (name.startsWith('gex_')) { if (i % 20 === 0) bytes[i] = Math.floor(roll * 256); }
                else if (roll < (name === 'wall_core_u8' ? 0.8 : 0.25)) bytes[i] = Math.floor(next() * 256);
            }
        }
        rows.push({
            window: w, spot,
            bookValid: next() > 0.03, windowValid: next() > 0.05, phase: next() > 0.04 ? 2 : 1,
            bestBid: spot - 1, bestAsk: spot, mid: spot - 0.5, buyQty: 1, sellQty: 1,
            scores: Object.fromEntries(Object.keys(store.history.scores).map((name) => [name, 0.3])),
            bands: new Array(24).fill(0.5), planes,
        });
    }
    store.loadHistory(rows);
}"""


def test_page_opens_on_history_playing_and_never_black(hud: Open) -> None:
    page = hud()
    assert page.state("s.stage") == "ready"
    assert page.state("s.error") is None
    assert page.state("s.transport.playing") is True
    before = page.state("s.history.head")
    held = page.state("s.history.head - s.history.oldest + 1")
    assert held >= 96  # four fifths of the two minutes
    page.until(f"s.history.head >= {before + 2}")
    pixels = page.pixels()[..., :3]
    assert (pixels.max(axis=2) > 60).mean() > 0.03
    assert (pixels == 0).all(axis=2).mean() == 0.0


def test_page_asks_its_own_service_and_nobody_else(hud: Open, service: RunningService) -> None:
    page = hud()
    assert len(page.requests) >= 6
    own = (service.url, service.url.replace("http", "ws"), "data:", "blob:")
    assert [url for url in page.requests if not url.startswith(own)] == []


@pytest.mark.parametrize("renderer", ["webgl2", "canvas2d"])
def test_texels_equal_the_planes_of_the_lake(hud: Open, lake: Path, renderer: str) -> None:
    page = hud(f"/?renderer={renderer}")
    page.standstill()
    assert page.state("s.renderer") == renderer
    oldest, head = page.state("[s.history.oldest, s.history.head]")
    rows = Lake(lake).read("gold.hud.hud_surface_1s", SYMBOL, DT)
    ends = rows["window_end_ts_ns"].to_numpy() // WINDOW_NS
    shown = np.flatnonzero((ends >= oldest) & (ends <= head))
    assert len(shown) == head - oldest + 1 >= 96
    slots = [int(end) % HUD_HISTORY_WINDOWS for end in ends[shown]]
    for plane in FIELD_PLANES:
        stored = rows[plane].combine_chunks().buffers()[1]
        wanted = np.frombuffer(stored, dtype=np.uint8).reshape(-1, HUD_ROWS)[shown]
        np.testing.assert_array_equal(page.texels(plane, slots), wanted, err_msg=plane)
        if plane in ("wall_core_u8", "side_u8", "vacuum_u8"):
            assert wanted.any()


def test_spot_and_prices_of_the_page_equal_the_lake(hud: Open, lake: Path) -> None:
    page = hud()
    page.standstill()
    oldest, head = page.state("[s.history.oldest, s.history.head]")
    rows = Lake(lake).read("silver.future_mbo.book_snapshot_1s", SYMBOL, DT)
    ends = rows["window_end_ts_ns"].to_numpy() // WINDOW_NS
    held = (ends >= oldest) & (ends <= head)
    columns = {"spot": "spot_ref_price_int", "bestBid": "best_bid_price_int", "bestAsk": "best_ask_price_int"}
    for column, name in columns.items():
        wanted = rows[name].to_numpy()[held] / 250_000_000
        found = page.state(
            f"Array.from({{length: {int(held.sum())}}}, (_, k) => s.history.{column}[({oldest} + k) % 1800])"
        )
        np.testing.assert_array_equal(np.array(found), wanted, err_msg=name)


def _same(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> int:
    assert a.shape == b.shape
    return int(np.abs(a.astype(np.int16) - b.astype(np.int16)).max())


def test_a_moved_picture_equals_one_painted_afresh(hud: Open) -> None:
    """Seconds that arrive and pans repaint a part only; what they leave must be what a whole frame paints."""
    page = hud("/?renderer=webgl2")
    page.standstill()
    first = page.state("s.source.firstWindow")
    page.seek(first + 60)
    for call in ("step(3)", "step(2)", "pan(-31, 17)", "step(1)", "pan(5, -40)", "recentre()", "step(4)"):
        page.act(call)
        page.page.wait_for_timeout(250)
        page.painted()
    moved = page.pixels()
    over = page.overlay()
    page.page.evaluate(
        """() => {
            const { heatmap, store } = window.spymaster;
            store.history.version += 1;
            store.history.jumps += 1;
            heatmap.draw(3);
        }"""
    )
    assert _same(moved, page.pixels()) == 0
    # antialiasing at the seam may differ by little, in few pixels
    assert (np.abs(over.astype(np.int16) - page.overlay().astype(np.int16)).max(axis=2) > 8).mean() < 0.0005
    assert (over[..., 3] > 0).mean() > 0.003


def _views(page: Hud) -> list[npt.NDArray[np.uint8]]:
    """Pictures of the same second at several zooms, palettes and layers."""
    taken = []
    for act in (
        "recentre()",
        "zoomTime(3.7, 300)",
        "zoomPrice(2.3, 100)",
        "setHalfTicks(300); a.setMinutes(30)",
        "setHalfTicks(20); a.setMinutes(1)",
        "setPalette('colour-blind')",
        "setLayer('gammaBands', 0.8); a.setLayer('walls', 0.6); a.setContrast(0.8)",
        "pan(-37, 23)",
    ):
        page.page.evaluate(f"(() => {{ const a = window.spymaster.store.actions; a.{act}; }})()")
        page.painted()
        taken.append(page.pixels())
    return taken


def test_webgl_and_canvas2d_paint_the_same_within_one_level(hud: Open) -> None:
    pages = [hud("/?renderer=webgl2"), hud("/?renderer=canvas2d")]
    first = pages[0].state("s.source.firstWindow")
    for page in pages:
        page.standstill()
        page.seek(first + 100)
    for gl, plain in zip(*(_views(page) for page in pages), strict=True):
        assert _same(gl, plain) <= 1
        assert gl[..., :3].std() > 3


def test_webgl_and_canvas2d_agree_on_windows_full_of_everything(hud: Open) -> None:
    pages = [hud("/?renderer=webgl2"), hud("/?renderer=canvas2d")]
    for page in pages:
        page.standstill()
        page.page.evaluate(STORM, [5, 1_767_710_000, 240])
        page.painted()
    taken = list(zip(*(_views(page) for page in pages), strict=True))
    assert len(taken) == 8
    for gl, plain in taken:
        assert _same(gl, plain) <= 1
        assert len(np.unique(gl.reshape(-1, 4), axis=0)) > 50


def test_canvas2d_is_chosen_by_itself_where_webgl_has_no_gpu(hud: Open) -> None:
    """This Chromium draws WebGL2 on the processor (SwiftShader); the plain painter is much faster there."""
    page = hud()
    assert page.state("s.renderer") == "canvas2d"
    assert page.page.inner_text("#badge-renderer") == "no GPU"


def test_canvas2d_is_chosen_by_itself_when_a_shader_fails(browser: Browser, service: RunningService) -> None:
    page = Hud(browser, service.url)
    page.page.add_init_script(
        """(() => {
            const { shaderSource } = WebGL2RenderingContext.prototype;
            WebGL2RenderingContext.prototype.shaderSource = function (shader, text) {
                shaderSource.call(this, shader, text.replace('out vec4 pixel;', 'out vec4 pixel; nonsense'));
            };
        })()"""
    )
    page.open("/?renderer=webgl2")
    page.until("s.renderer === 'canvas2d'")
    page.painted()
    assert (page.pixels()[..., :3].max(axis=2) > 60).mean() > 0.03
    assert page.faults == []
    page.close()


def test_canvas2d_is_chosen_by_itself_without_webgl(playwright: Playwright, service: RunningService) -> None:
    browser = launch(playwright, "--disable-3d-apis")
    page = Hud(browser, service.url).open()
    assert page.state("s.renderer") == "canvas2d"
    assert (page.pixels()[..., :3].max(axis=2) > 60).mean() > 0.03
    assert page.faults == []
    browser.close()


@pytest.mark.parametrize(
    ("width", "height", "half_ticks", "minutes"),
    [(1280, 720, (38, 46), (9.5, 11)), (2560, 1440, (66, 84), (15, 20.5))],
)
def test_opening_view_of_both_sizes(
    hud: Open, width: int, height: int, half_ticks: tuple[float, float], minutes: tuple[float, float]
) -> None:
    page = hud(width=width, height=height)
    per_tick = page.state("s.viewport.pxPerTick / s.viewport.dpr")
    assert per_tick >= 6
    assert per_tick == int(per_tick)
    half = page.state("s.viewport.heightPx / s.viewport.pxPerTick / 2")
    assert half_ticks[0] <= half <= half_ticks[1]
    shown = page.state("(s.viewport.widthPx / s.viewport.pxPerSecond - s.settings.roomSeconds) / 60")
    assert minutes[0] <= shown <= minutes[1]
    # the room ahead, and the mid in the middle third
    room = page.state("s.viewport.rightSecond - s.history.head")
    assert 30 <= room <= 45
    page.until(
        "(() => { const mid = s.history.mid[s.history.head % 1800];"
        " const y = s.viewport.yOfTicks(mid) * s.viewport.dpr / s.viewport.heightPx;"
        " return y > 0.33 && y < 0.67; })()"
    )


def test_nothing_is_drawn_while_nothing_changes(hud: Open) -> None:
    page = hud()
    page.standstill()
    page.page.wait_for_timeout(500)
    before = page.state("spymaster.frames.drawn")
    page.page.wait_for_timeout(1200)
    assert page.state("spymaster.frames.drawn") == before
    page.page.mouse.move(400, 300)
    page.until(f"spymaster.frames.drawn > {before}")


def test_a_wall_of_one_cell_survives_every_zoom(hud: Open) -> None:
    page = hud()
    page.standstill()
    page.page.evaluate(
        STORM.replace("roll < 0.1", "roll < 2")
        .replace("0.08", "-1")
        .replace("0.8 : 0.25", "-1 : -1")
        .replace("i % 20 === 0", "false"),
        [5, 1_767_710_000, 240],
    )
    page.page.evaluate(
        """() => {
            const { store, heatmap } = window.spymaster;
            const slot = (1767710000 + 200) % 1800;
            store.history.planes.wall_core_u8[slot * 1201 + 610] = 250;
            store.history.planes.side_u8[slot * 1201 + 610] = 2;
            store.history.version += 1;
            store.history.jumps += 1;
            store.actions.setLayer('grid', 0);
        }"""
    )
    for half, minutes in ((40, 10), (100, 30), (300, 30), (600, 30)):
        page.page.evaluate(
            f"(() => {{ const a = window.spymaster.store.actions;"
            f" a.setHalfTicks({half}); a.setMinutes({minutes}); }})()"
        )
        page.painted()
        bright = page.pixels()[..., 0] > 180
        assert bright.any(), f"lost at +-{half} ticks and {minutes} minutes"
