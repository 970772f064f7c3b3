"""Pictures of the field that were looked at and kept, and how a page is compared with them.

    uv run python -m tests.e2e.reference --out tests/e2e/reference     # makes them anew; then look at each

The lake is the simulated one of these tests, the second and the view are fixed, the page stands still. Only
the canvas is read, never text, whose shapes differ between machines; and of the canvas a middle part.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import matplotlib.image
import numpy as np
import numpy.typing as npt

from tests.e2e.browser import Hud, RunningService, chromium

FOLDER: Final = Path(__file__).with_suffix("")
WIDTH: Final = 448
HEIGHT: Final = 320
LEVELS: Final = 2
"""A colour may differ by so many of 255 levels, everywhere: the renderers differ by 1 among themselves, and a
reference was painted by either. One cell of another byte differs by far more, so nothing hides below this."""
REACH_PX: Final = 1
"""A pixel of a line or dot must have a painted one so near: antialiasing differs between builds of Skia."""
STRAY_SHARE: Final = 0.002
"""of the painted pixels of lines and dots, so many may lack one: the ends of antialiased joins"""

FIRST: Final = 1_767_709_741
"""the lake's first window"""


@dataclass(frozen=True)
class Scene:
    """What is shown: the newest window, counted from the lake's first, and how the page is set."""

    name: str
    window: int
    acts: tuple[str, ...] = ()
    renderer: str = "canvas2d"


SCENES: Final = (
    Scene("opening", 95),
    # 500 resting lots, 5 ticks below spot, are pulled in the 31st second
    Scene("wall-pulled", 50, ("setMinutes(2)", "setHalfTicks(20)")),
    Scene("colour-blind", 95, ("setPalette('colour-blind')", "setMinutes(2)", "setHalfTicks(30)")),
    # below one pixel per cell: walls, fills and holes take the maximum
    Scene("zoomed-out", 119, ("setMinutes(4)", "setHalfTicks(400)", "setLayer('gammaBands', 1)")),
)


def arrange(page: Hud, scene: Scene) -> None:
    """Bring a page to a scene."""
    page.standstill()
    page.seek(FIRST + scene.window)
    page.act("setNotice(null)")
    page.act("setRoomSeconds(8)")
    page.act("recentre()")
    for act in scene.acts:
        page.act(act)
    page.act("recentre()")
    page.painted()


def field(page: Hud) -> npt.NDArray[np.uint8]:
    """The middle of the field as it is: uint8[320, 448, 3]."""
    return _middle(page.pixels())[..., :3]


def lines(page: Hud) -> npt.NDArray[np.bool_]:
    """Where lines and dots lie over the field: bool[320, 448]. Names of levels are text and left out."""
    page.act("setLayer('levels', 0)")
    page.painted()
    painted = _middle(page.overlay())[..., 3] > 96
    page.act("setLayer('levels', 1)")
    page.painted()
    return np.asarray(painted)


def _middle(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The part that is kept: the right end, where the newest second is, around the middle price."""
    height, width = image.shape[:2]
    top = (height - HEIGHT) // 2
    return image[top : top + HEIGHT, width - WIDTH : width]


def kept(name: str) -> npt.NDArray[np.uint8]:
    """A reference: uint8[320, 448, 3]."""
    image = matplotlib.image.imread(FOLDER / f"{name}.png")
    return (image[..., :3] * 255 + 0.5).astype(np.uint8)


def differing(found: npt.NDArray[np.uint8], wanted: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Pixels whose colour differs by more than the tolerance: bool[320, 448]."""
    assert found.shape == wanted.shape
    apart = np.abs(found.astype(np.int16) - wanted.astype(np.int16)).max(axis=2)
    return np.asarray(apart > LEVELS)


def strays(found: npt.NDArray[np.bool_], wanted: npt.NDArray[np.bool_]) -> float:
    """Share of the painted pixels of either that have none of the other within reach."""
    alone = (found & ~_widened(wanted)).sum() + (wanted & ~_widened(found)).sum()
    return float(alone / max(1, found.sum() + wanted.sum()))


def _widened(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    padded = np.pad(mask, REACH_PX)
    height, width = mask.shape
    near = np.zeros_like(mask)
    for down in range(2 * REACH_PX + 1):
        for across in range(2 * REACH_PX + 1):
            near |= padded[down : down + height, across : across + width]
    return near


def main() -> int:
    """Make the references anew."""
    parser = argparse.ArgumentParser(description="Make the reference pictures of the field anew.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    parser.add_argument(
        "--lake", type=Path, help="a lake of `spymaster demo --preset tiny`; made when absent"
    )
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        lake = arguments.lake or Path(scratch) / "lake"
        if arguments.lake is None:
            demo = [sys.executable, "-m", "spymaster.cli", "demo", "--no-serve", "--preset", "tiny"]
            subprocess.run([*demo, "--lake", str(lake)], check=True, stdout=subprocess.DEVNULL)
        service = RunningService(lake)
        service.start()
        try:
            with chromium() as browser:
                for scene in SCENES:
                    page = Hud(browser, service.url).open(f"/?renderer={scene.renderer}")
                    arrange(page, scene)
                    _save(arguments.out / f"{scene.name}.png", field(page))
                    if scene is SCENES[0]:
                        mask = np.repeat(lines(page)[..., None], 3, axis=2).astype(np.uint8) * 255
                        _save(arguments.out / "lines.png", mask)
                    page.close()
        finally:
            service.stop()
    return 0


def _save(path: Path, image: npt.NDArray[np.uint8]) -> None:
    """A PNG without the name of the program that wrote it."""
    options: Any = {"metadata": {"Software": None}}
    matplotlib.image.imsave(path, image, **options)
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    sys.exit(main())
