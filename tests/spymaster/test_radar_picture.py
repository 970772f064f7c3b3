"""The picture: every layer is there, the words are beside it, and it is the same picture each time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("matplotlib", reason="the picture is an extra: spymaster[picture]")

from matplotlib.collections import PathCollection
from matplotlib.text import Text

from data_eng.schema import PLANES
from spymaster.radar_picture import FILLS_COVER, Scene, draw_radar
from tests.data_eng.integrity import tables

WINDOWS = 24


def _scene(**changes: Any) -> Scene:
    rows = tables.physics_lake().tables[tables.HUD]
    scene = Scene(
        symbol=tables.SYMBOL,
        dt=tables.DT,
        hud=rows.slice(rows.num_rows - WINDOWS),
        lead=rows.slice(0, rows.num_rows - WINDOWS),
        tick_int=250_000_000,
        origin="recorded",
        verified=True,
        calibration_id="2026-01-05/0123456789abcdef",
        lookahead=False,
        wall_bounds_log=(1.0, 3.0),
        day_medians=(0.2, 0.3),
    )
    return replace(scene, **changes)


def _with(scene: Scene, name: str, values: Any) -> Scene:
    at = scene.hud.schema.get_field_index(name)
    field = scene.hud.schema.field(at)
    return replace(scene, hud=scene.hud.set_column(at, field, pa.array(values, field.type)))


def _pixels(scene: Scene) -> np.ndarray[Any, Any]:
    figure = draw_radar(scene)
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba()).copy()


def _words(scene: Scene) -> str:
    return "\n".join(text.get_text() for text in draw_radar(scene).findobj(Text))


@pytest.fixture(scope="module")
def painted() -> np.ndarray[Any, Any]:
    return _pixels(_scene())


def test_the_same_rows_give_the_same_pixels(painted: np.ndarray[Any, Any]) -> None:
    assert painted.shape == (1200, 1920, 4)
    assert np.array_equal(painted, _pixels(_scene()))


def test_dots_of_a_busy_stretch_leave_the_price_to_be_seen() -> None:
    busy = [
        bytes([0] * 580 + [255] * 40 + [0] * 581)
    ] * WINDOWS  # each of 40 ticks taken by thousands of lots
    figure = draw_radar(_with(_with(_scene(), "buy_fill_u8", busy), "sell_fill_u8", busy))
    field = figure.axes[0].get_window_extent()
    room = field.width * field.height * (72 / figure.dpi) ** 2
    dots = [made for made in figure.axes[0].collections if isinstance(made, PathCollection)]
    covered = sum(float(made.get_sizes().sum()) for made in dots)
    assert 0.5 * FILLS_COVER * room < covered <= 1.001 * FILLS_COVER * room


@pytest.mark.parametrize("plane", PLANES)
def test_every_plane_leaves_its_mark(plane: str, painted: np.ndarray[Any, Any]) -> None:
    scene = _scene()
    assert np.frombuffer(b"".join(scene.hud[plane].to_pylist()), np.uint8).any(), "the sample has to show it"
    without = _pixels(_with(scene, plane, [bytes(1201)] * WINDOWS))
    assert (without != painted).any(axis=2).sum() > 20


@pytest.mark.parametrize(
    "column",
    [
        "best_bid_price_int",
        "best_ask_price_int",
        "above_touch_score",
        "below_touch_score",
        "above_score",
        "below_score",
        "buy_qty",
        "sell_qty",
    ],
)
def test_every_line_and_bar_leaves_its_mark(column: str, painted: np.ndarray[Any, Any]) -> None:
    assert (_pixels(_with(_scene(), column, [0] * WINDOWS)) != painted).any()


def test_windows_that_are_not_valid_are_hatched_and_named(painted: np.ndarray[Any, Any]) -> None:
    invalid = _with(_scene(), "window_valid", [False] * 12 + [True] * 12)
    assert "book not valid" in _words(invalid)
    assert "pre-open" in _words(_with(invalid, "phase", [1] * 12 + [2] * 12))
    changed = (_pixels(invalid) != painted).any(axis=2)
    assert changed[:, :800].sum() > 50_000


def test_everything_is_named_where_it_stands() -> None:
    words = _words(_scene(warnings=("no_options",)))
    last = {
        k: v[0].as_py()
        for k, v in zip(_scene().hud.schema.names, _scene().hud.slice(WINDOWS - 1), strict=True)
    }
    for wanted in (
        tables.SYMBOL,
        "New York",
        f"file of {tables.DT} UTC",
        "recorded",
        "calibration 2026-01-05/0123456789abcdef",
        "descriptive, not a forecast",
        "no gamma: no options",
        "ASKS",
        "BIDS",
        "eroding",
        "hole",
        "buyers took",
        "sellers hit",
        f"spot {last['spot_ref_price_int'] / 1e9:.2f}",
        f"ask {last['best_ask_price_int'] / 1e9:.2f}",
        f"bid {last['best_bid_price_int'] / 1e9:.2f}",
        f"bought {sum(_scene().hud['buy_qty'].to_pylist()):,}",
        f"sold {sum(_scene().hud['sell_qty'].to_pylist()):,}",
        "by aggressor",
        "day median 0.25",
        "how weak the book stands",
    ):
        assert wanted in words, wanted
    assert "LOOK AHEAD" not in words
    assert "SIMULATED" not in words


def test_what_must_not_be_overlooked_is_said_loudly() -> None:
    words = _words(_scene(origin="simulated", verified=False, lookahead=True, calibration_id=None))
    for wanted in ("SIMULATED", "NOT VERIFIED", "SCORES LOOK AHEAD", "no calibration"):
        assert wanted in words
    assert "recorded" not in words


def test_a_side_without_a_price_is_empty_and_not_firm() -> None:
    words = _words(_with(_scene(), "best_ask_price_int", [0] * WINDOWS))
    assert "above EMPTY" in words
    assert "no ask" in words


def test_windows_without_any_spot_still_give_a_picture_that_says_so() -> None:
    scene = _with(_scene(), "spot_ref_price_int", [0] * WINDOWS)
    assert "no spot in these windows" in _words(scene)
    _pixels(scene)


def test_one_single_window_can_be_painted() -> None:
    scene = _scene()
    _pixels(replace(scene, hud=scene.hud.slice(0, 1), lead=scene.lead.slice(0, 0)))


def test_the_day_of_a_picture_is_the_one_in_new_york() -> None:
    scene = _with(_scene(), "window_end_ts_ns", [(1_767_661_200 + w) * 10**9 for w in range(WINDOWS)])
    begin = [line for line in _words(scene).splitlines() if "New York   (file of" in line]
    assert begin[0].startswith("Mon 2026-01-05  19:59:59")
