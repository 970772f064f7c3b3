"""The painting loop on rows written by hand: each rule of spec 9.2 once, with the number it must give."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from data_eng.kernels import hud
from data_eng.schema import PLANES

TICK = 250_000_000
SPOT = 6_900 * 10**9
ASK, BID = 0, 1
Level = tuple[int, int, int, int, int, float]
"""side, rel_ticks, depth_end, depth_rest, fill, flow score"""
Strike = tuple[int, float, float]
"""ticks from 6900.00, gex_abs, imbalance ratio"""


def paint(
    windows: list[list[Level]],
    spots: list[int] | None = None,
    strikes: list[list[Strike]] | None = None,
    history: hud.DepthHistory | None = None,
) -> tuple[int, np.ndarray[Any, Any]]:
    """-> answer of the kernel, uint8[9, windows, 1201]."""
    spots = spots or [SPOT] * len(windows)
    strikes = strikes or [[] for _ in windows]
    rows = [row for window in windows for row in window]
    held = [strike for window in strikes for strike in window]
    planes = hud.blank_planes(len(windows))
    kinds = (np.uint8, np.int16, np.int32, np.int32, np.int32, np.float32)
    columns = [np.array([row[c] for row in rows], dtype=kind) for c, kind in enumerate(kinds)]
    answer = hud.paint_windows(
        np.array(spots, dtype=np.int64),
        TICK,
        np.cumsum([0, *map(len, windows)]),
        *columns,
        np.cumsum([0, *map(len, strikes)]),
        np.array([SPOT + s[0] * TICK for s in held], dtype=np.int64),
        np.array([s[1] for s in held], dtype=np.float64),
        np.array([s[2] for s in held], dtype=np.float64),
        hud.log_scale_u8(2_000),
        hud.log_scale_u8(500),
        history or hud.empty_history(),
        planes,
    )
    return answer, planes


def at(planes: np.ndarray[Any, Any], name: str, rel: int, window: int = 0) -> int:
    return int(planes[PLANES.index(name), window, 600 + rel])


def test_planes_stand_in_the_order_of_the_table() -> None:
    codes = (hud.WALL_CORE, hud.WALL_FOG, hud.VACUUM, hud.BUY_FILL, hud.SELL_FILL)
    codes += (hud.GEX_ABS, hud.GEX_IMBALANCE, hud.SIDE, hud.HOLE)
    names = "wall_core wall_fog vacuum buy_fill sell_fill gex_abs gex_imbalance side hole"
    assert [PLANES[code] for code in codes] == [f"{name}_u8" for name in names.split()]


@pytest.mark.parametrize("full", [500, 2_000])
def test_the_scale_is_the_log_of_the_spec_at_every_integer(full: int) -> None:
    scale = hud.log_scale_u8(full).tolist()
    assert scale == [
        math.floor(255 * min(math.log(1 + q) / math.log(1 + full), 1) + 0.5) for q in range(full + 1)
    ]
    assert (scale[0], scale[-1]) == (0, 255)


def test_more_lots_than_the_scale_holds_are_the_brightest_byte() -> None:
    _, planes = paint([[(ASK, 3, 2**31 - 1, 2_000_000, 501, 0.0)]])
    assert (at(planes, "wall_core_u8", 3), at(planes, "wall_fog_u8", 3)) == (255, 255)
    assert at(planes, "buy_fill_u8", 3) == 255


def test_core_and_fog_take_the_larger_side_and_fills_go_by_side() -> None:
    _, planes = paint([[(ASK, 0, 10, 4, 7, 0.2), (BID, 0, 9, 9, 3, 0.9)]])
    scale, fills = hud.log_scale_u8(2_000), hud.log_scale_u8(500)
    assert at(planes, "wall_core_u8", 0) == scale[9]
    assert at(planes, "wall_fog_u8", 0) == scale[6]
    assert at(planes, "buy_fill_u8", 0) == fills[7]
    assert at(planes, "sell_fill_u8", 0) == fills[3]
    assert at(planes, "vacuum_u8", 0) == math.floor(255 * float(np.float32(0.9)) + 0.5)


def test_vacuum_shows_asks_above_and_bids_below_only() -> None:
    _, planes = paint(
        [[(ASK, 1, 1, 1, 0, 0.25), (ASK, -1, 1, 1, 0, 0.5), (BID, 1, 1, 1, 0, 1.0), (BID, -1, 1, 1, 0, 0.75)]]
    )
    assert (at(planes, "vacuum_u8", 1), at(planes, "vacuum_u8", -1)) == (64, 191)


@pytest.mark.parametrize(
    ("rel", "ask", "bid", "shown"),
    [
        (5, 3, 2, 2),
        (5, 2, 3, 1),
        (5, 2, 2, 2),
        (0, 2, 2, 1),
        (-5, 2, 2, 1),
        (5, 0, 0, 2),
        (-5, 0, None, 2),
        (5, None, 0, 1),
        (5, None, None, 0),
    ],
)
def test_side_is_the_deeper_row_and_a_row_counts_when_its_depth_is_gone(
    rel: int, ask: int | None, bid: int | None, shown: int
) -> None:
    rows = [(side, rel, q, q, 0, 0.0) for side, q in ((ASK, ask), (BID, bid)) if q is not None]
    for order in (rows, rows[::-1]):
        assert at(paint([order])[1], "side_u8", rel) == shown


def test_a_hole_lasts_ten_windows_and_no_longer() -> None:
    quiet: list[list[Level]] = [[] for _ in range(12)]
    _, planes = paint([[(ASK, 4, 6, 6, 0, 0.0)], *quiet])
    assert [at(planes, "hole_u8", 4, w) for w in range(13)] == [0, *[255] * 10, 0, 0]


def test_a_hole_is_found_at_its_price_after_spot_has_moved() -> None:
    _, planes = paint([[(ASK, 30, 6, 6, 0, 0.0)], []], spots=[SPOT, SPOT + 12 * TICK])
    assert at(planes, "hole_u8", 18, 1) == 255
    assert planes[hud.HOLE, 1].astype(bool).sum() == 1


@pytest.mark.parametrize(
    ("side", "rel", "hole"),
    [
        (ASK, 20, True),
        (ASK, 21, False),
        (ASK, 0, True),
        (ASK, -1, False),
        (BID, -20, True),
        (BID, -21, False),
        (BID, 0, True),
        (BID, 1, False),
    ],
)
def test_holes_stay_within_20_ticks_on_their_own_side(side: int, rel: int, hole: bool) -> None:
    _, planes = paint([[(side, rel, 6, 6, 0, 0.0)], [(side, rel, 0, 0, 6, 0.0)]])
    assert at(planes, "hole_u8", rel, 1) == (255 if hole else 0)


def test_the_other_side_neither_makes_nor_fills_a_hole() -> None:
    _, planes = paint([[(ASK, 2, 6, 6, 0, 0.0)], [(BID, 2, 9, 9, 0, 0.0)]])
    assert at(planes, "hole_u8", 2, 1) == 255


def test_a_window_without_spot_has_no_past_for_holes_but_time_goes_on() -> None:
    gone: list[list[Level]] = [[] for _ in range(11)]
    _, planes = paint([[(ASK, 4, 6, 6, 0, 0.0)], *gone], spots=[SPOT, *[0] * 9, SPOT, SPOT])
    assert (at(planes, "hole_u8", 4, 10), at(planes, "hole_u8", 4, 11)) == (255, 0)


def test_strikes_off_the_picture_or_off_the_grid_of_ticks_are_left_out() -> None:
    strikes = [[(-600, 1e5, -1.0), (0, 10.0, 0.0), (600, 2e5, 1.0), (601, 5.0, 1.0), (-601, 5.0, 1.0)]]
    _, planes = paint([[]], strikes=strikes)
    assert np.flatnonzero(planes[hud.GEX_ABS, 0]).tolist() == [0, 600, 1200]
    assert at(planes, "gex_abs_u8", 0) == math.floor(255 * math.log(11) / math.log(100_001) + 0.5)
    assert [at(planes, "gex_imbalance_u8", rel) for rel in (-600, 0, 600, 1)] == [0, 128, 255, 128]
    _, planes = paint([[]], spots=[SPOT + TICK // 2], strikes=strikes)
    assert not planes[hud.GEX_ABS].any()


@pytest.mark.parametrize("cut", range(1, 13))
def test_the_history_carries_over_any_cut(cut: int) -> None:
    windows: list[list[Level]] = [
        [(w % 2, (1 - 2 * (w % 2)) * (w % 5), w % 3, w % 2 * (w % 3 > 0), 0, 0.5)] for w in range(13)
    ]
    spots = [SPOT + (w * w % 7) * TICK for w in range(13)]
    _, whole = paint(windows, spots)
    history = hud.empty_history()
    _, first = paint(windows[:cut], spots[:cut], history=history)
    _, rest = paint(windows[cut:], spots[cut:], history=history)
    assert np.array_equal(whole, np.concatenate([first, rest], axis=1))
    assert whole[hud.HOLE].any()


@pytest.mark.parametrize(
    "bad",
    [
        (2, 0, 1, 1, 0, 0.0),
        (ASK, 601, 1, 1, 0, 0.0),
        (BID, -601, 1, 1, 0, 0.0),
        (ASK, 0, 1, 2, 0, 0.0),
        (ASK, 0, -1, -1, 0, 0.0),
        (ASK, 0, 1, 1, -1, 0.0),
    ],
)
def test_a_row_out_of_range_is_answered_with_its_number(bad: Level) -> None:
    good = (ASK, 1, 1, 1, 0, 0.0)
    assert paint([[good], [good, bad, good]])[0] == 2
    assert paint([[good], [good]])[0] == hud.ALL_PAINTED
