"""Screenshots of the HUD against a real service on simulated data.

    uv run python hud/pictures.py --out DIR            # simulates half an hour first, about a minute
    uv run python hud/pictures.py --out DIR --lake lake/demo

Saves the opening view at two sizes, a wall being pulled, a sweep, the cash open, a hole, the half hour, the
colour-blind palette and the Canvas2D fallback. The seconds are looked up in the lake. Fails when a layer that
has data paints nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # so that the script runs from any folder

from tests.e2e.browser import Hud, RunningService, chromium  # noqa: E402

from data_eng.lake import Lake  # noqa: E402
from data_eng.units import HUD_ROWS, WINDOW_NS  # noqa: E402

LAYERS: Final = {
    "grid": None,
    "gamma": "gex_abs_u8",
    "walls": "wall_core_u8",
    "fog": "wall_fog_u8",
    "erosion": "vacuum_u8",
    "holes": "hole_u8",
    "trades": "buy_fill_u8",
    "bestPrices": None,
    "spot": None,
    "vwap": None,
    "levels": None,
}
"""layer of the page -> the plane it needs, None when every open day has it"""
AFTER_S: Final = 25
"""seconds shown after what a picture is about"""
BEFORE_S: Final = 300
"""a picture is taken where so many seconds lie before it, so that it is full"""


@dataclass(frozen=True)
class Scene:
    """One picture: the window at its right end, and how the page is set."""

    name: str
    window: int | None = None
    query: str = ""
    size: tuple[int, int] = (1280, 720)
    actions: tuple[str, ...] = ()
    checks_layers: bool = False


def main() -> int:
    """Make the pictures; 0, or 1 when a layer is blank."""
    parser = argparse.ArgumentParser(description="Screenshots of the HUD against a real service.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--lake", type=Path, help="a lake with a finished day; without it one is simulated")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        lake = arguments.lake or simulated(Path(scratch) / "lake")
        return take(lake, arguments.out)


def simulated(folder: Path) -> Path:
    """A lake with half a simulated hour."""
    command = [sys.executable, "-m", "spymaster.cli", "demo", "--no-serve", "--lake", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


def take(lake: Path, out: Path) -> int:
    """All pictures of a lake's latest day."""
    day = Day(lake)
    service = RunningService(lake)
    service.start()
    painted: set[str] = set()
    try:
        with chromium() as browser:
            for scene in day.scenes():
                page = Hud(browser, service.url, width=scene.size[0], height=scene.size[1])
                page.open(f"/{scene.query}")
                page.standstill()
                if scene.window is not None:
                    page.seek(scene.window)
                page.act("setNotice(null)")
                for action in scene.actions:
                    page.act(action)
                page.page.wait_for_timeout(900)  # panels fetch their numbers
                page.painted()
                page.page.screenshot(path=out / f"{scene.name}.png")
                say(f"{out / scene.name}.png")
                if scene.checks_layers:
                    painted |= painting_layers(page)
                if page.faults:
                    say(f"FAIL: the page reported {page.faults}")
                    return 1
                page.close()
    finally:
        service.stop()
    blank = [layer for layer in day.layers() if layer not in painted]
    if blank:
        say(f"FAIL: nothing was painted by {', '.join(blank)}")
        return 1
    say(f"PASS: {len(painted)} layers painted")
    return 0


def painting_layers(page: Hud) -> set[str]:
    """Layers whose absence changes the picture."""
    found = page.page.evaluate(
        """async (layers) => {
            const { heatmap, store } = window.spymaster;
            const frame = () => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)));
            const picture = async () => {
                await frame();
                return [heatmap.renderer.readPixels(), heatmap.readOverlay()];
            };
            // lines that moved along with the picture are drawn afresh first: their seams differ a little
            const { grid } = store.snapshot.settings.layers;
            store.actions.setLayer('grid', grid / 2);
            await frame();
            store.actions.setLayer('grid', grid);
            const before = await picture();
            const painting = [];
            for (const layer of layers) {
                const opacity = store.snapshot.settings.layers[layer];
                store.actions.setLayer(layer, 0);
                const after = await picture();
                const differs = (bytes, i) => bytes.some((byte, k) => byte !== after[i][k]);
                if (before.some(differs)) painting.push(layer);
                store.actions.setLayer(layer, opacity);
            }
            return painting;
        }""",
        list(LAYERS),
    )
    return set(found)


class Day:
    """The latest day of a lake, and where something happens in it."""

    def __init__(self, lake: Path) -> None:
        self._lake = Lake(lake)
        days = sorted(
            (p.dt, p.symbol) for p in self._lake.partitions() if p.dataset == "gold.hud.hud_surface_1s"
        )
        if not days:
            raise SystemExit(f"{lake} has no picture; make one: spymaster demo --no-serve --lake {lake}")
        self.dt, self.symbol = days[-1]
        self._hud = self._read("gold.hud.hud_surface_1s")
        self._ends = self._hud["window_end_ts_ns"].to_numpy() // WINDOW_NS

    def _read(self, dataset: str, columns: list[str] | None = None) -> Any:
        return self._lake.read(dataset, self.symbol, self.dt, columns)

    def layers(self) -> list[str]:
        """Layers the day has data for."""
        return [layer for layer, plane in LAYERS.items() if plane is None or self._plane(plane).any()]

    def _plane(self, name: str) -> Any:
        data = self._hud[name].combine_chunks().buffers()[1]
        return np.frombuffer(data, dtype=np.uint8).reshape(-1, HUD_ROWS)[: len(self._ends)]

    def scenes(self) -> list[Scene]:
        """What is worth a picture."""
        pulled, swept, hole = self._pulled_wall(), self._sweep(), self._hole()
        return [
            Scene("opening"),
            Scene("opening-2560", size=(2560, 1440)),
            Scene("cash-open", self._shown(self._cash_open() + 90)),
            Scene(
                "wall-pulled", self._shown(pulled + AFTER_S), actions=("setMinutes(5)", "setHalfTicks(25)")
            ),
            Scene("sweep", self._shown(swept + AFTER_S), actions=("setMinutes(5)", "setHalfTicks(25)")),
            Scene(
                "hole",
                self._shown(hole + AFTER_S),
                actions=("setMinutes(3)", "setHalfTicks(20)"),
                checks_layers=True,
            ),
            Scene("half-hour", int(self._ends[-1]), actions=("setMinutes(30)", "setHalfTicks(90)")),
            Scene("colour-blind", actions=("setPalette('colour-blind')",)),
            Scene("fallback-canvas2d", query="?renderer=canvas2d", checks_layers=True),
        ]

    def _shown(self, window: int) -> int:
        return int(min(window, self._ends[-1]))

    def _cash_open(self) -> int:
        """The first window after 09:30 New York, or the middle of a day without it."""
        from datetime import datetime, time
        from zoneinfo import ZoneInfo

        at = datetime.combine(
            datetime.fromisoformat(self.dt).date(), time(9, 30), tzinfo=ZoneInfo("America/New_York")
        )
        second = int(at.timestamp())
        return second if self._ends[0] <= second <= self._ends[-1] else int(self._ends[len(self._ends) // 2])

    def _pulled_wall(self) -> int:
        """Window of the largest pull of resting depth within 20 ticks."""
        names = ["window_end_ts_ns", "rel_ticks", "pull_qty_rest", "fill_qty"]
        wall = self._read("silver.future_mbo.wall_surface_1s", names)
        near = (np.abs(wall["rel_ticks"].to_numpy()) <= 20) & self._late(wall["window_end_ts_ns"])
        pulled = np.where(near, wall["pull_qty_rest"].to_numpy(), -1)
        return int(wall["window_end_ts_ns"].to_numpy()[int(pulled.argmax())] // WINDOW_NS)

    def _sweep(self) -> int:
        """Window of the trade whose event took the most levels."""
        trades = self._read("silver.future_mbo.trade_event", ["ts_event_ns", "sweep_level_count"])
        levels = np.where(self._late(trades["ts_event_ns"]), trades["sweep_level_count"].to_numpy(), -1)
        at = int(levels.argmax())
        return int(trades["ts_event_ns"].to_numpy()[at] // WINDOW_NS) + 1

    def _hole(self) -> int:
        """Window with the most holes."""
        holes = (self._plane("hole_u8") > 0).sum(axis=1)
        return int(self._ends[int(np.where(self._late(self._hud["window_end_ts_ns"]), holes, -1).argmax())])

    def _late(self, ts_ns: Any) -> Any:
        """bool per row: late enough for a full picture, or all of a day too short for one."""
        late = ts_ns.to_numpy() // WINDOW_NS >= self._ends[0] + BEFORE_S
        return late if late.any() else ~late


def say(text: str) -> None:
    """One line, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
