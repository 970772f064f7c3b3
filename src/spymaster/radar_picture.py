"""The radar as a still picture: walls, erosion, fills, spot and scores of some minutes (spec 9.2, 10).

Everything comes from rows of hud_surface_1s. What a mark means stands beside it or in the line above the
field, in words, so nobody has to look anything up. Numbers are only written where they are exact in the
table: prices, lots bought and sold, scores. Sizes read off a plane of bytes are drawn, never written.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import matplotlib as mpl
import numpy as np
import pyarrow as pa
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MultipleLocator

from data_eng.dbn_codes import PHASE_OPEN, PHASES
from data_eng.units import HUD_MAX_TICKS, PRICES_PER_POINT, WINDOW_NS
from spymaster import radar_field
from spymaster.radar_field import Array, Field, View

NEW_YORK: Final = ZoneInfo("America/New_York")
SIZE_INCHES: Final = (19.2, 12.0)
DPI: Final = 100
LEFT: Final = 0.012
WIDTH: Final = 0.828
BESIDE: Final = 1.062
"""where the words at the right edge begin, in parts of the panels' width"""
STALE_AFTER_S: Final = 5
"""scores are greyed when the last trade is older (spec 10)"""
SMOOTHING_S: Final = 7.0
"""time constant of the scores' mean: single seconds are noise to the eye (spec 10: 5-10 s)"""
DEAD_ZONE: Final = 0.02
"""a lead of one side over the other below this is no lead"""
SCORE_TOP: Final = 0.6
"""top of the score panel: fixed, so that heights compare between pictures"""
FILLS_COVER: Final = 0.04
"""largest share of the field that dots of trades may cover: in a busy hour they would hide price and touch"""
WALL_LABELS: Final = 2
"""strongest walls named per side"""
WALL_LOOKBACK: Final = 60
WALL_MIN_BRIGHTNESS: Final = 0.60
STYLE: Final = {
    "font.family": "DejaVu Sans",
    "font.size": 13.0,
    "text.color": "#d7dde8",
    "axes.facecolor": "#090b10",
    "axes.edgecolor": "#39404d",
    "axes.labelcolor": "#aab3c2",
    "xtick.color": "#aab3c2",
    "ytick.color": "#d7dde8",
    "figure.facecolor": "#0d1017",
    "hatch.color": "#5a6070",
    "hatch.linewidth": 0.8,
    "path.simplify": False,
}

SPOT: Final = "#ffffff"
BID: Final = "#38c9b0"
ASK: Final = "#ff8a3c"
BUYER: Final = "#7dffb2"
SELLER: Final = "#ff5d7a"
HOLE: Final = "#c3b8ff"
QUIET: Final = "#7d8697"
LOUD: Final = "#ff3b3b"
PLAIN_WARNINGS: Final = {"no_oi": "no gamma: no open interest", "no_options": "no gamma: no options"}
CALL: Final = "#b07cff"
PUT: Final = "#ffc24d"


@dataclass(frozen=True)
class Scene:
    """What a picture is made of.

    hud: rows of hud_surface_1s in view, at least one. lead: rows right before them, for the smoothing and the
    age of the last trade. day_medians: median above and below touch score of the date's valid windows, or
    None. wall_bounds_log: q05 and q95 of wall_strength_log in the calibration used, or None.
    """

    symbol: str
    dt: str
    hud: pa.Table
    lead: pa.Table
    tick_int: int
    origin: str
    verified: bool
    calibration_id: str | None
    lookahead: bool
    warnings: tuple[str, ...] = ()
    wall_bounds_log: tuple[float, float] | None = None
    day_medians: tuple[float, float] | None = None
    radius_ticks: int = 40


def draw_radar(scene: Scene) -> Figure:
    """The picture as a matplotlib figure of 1920 x 1200 pixels; the same scene gives the same pixels."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=SIZE_INCHES, dpi=DPI)
        canvas = FigureCanvasAgg(figure)
        radar = figure.add_axes((LEFT, 0.365, WIDTH, 0.495))
        volume = figure.add_axes((LEFT, 0.232, WIDTH, 0.095), sharex=radar)
        scores = figure.add_axes((LEFT, 0.052, WIDTH, 0.142), sharex=radar)
        _titles(figure, canvas.get_renderer(), scene)
        _key(figure, scene)
        _radar(radar, scene)
        _volume(volume, scene)
        _scores(scores, scene)
        _time_axis((radar, volume, scores), scene)
        return figure


# ---- words


def _titles(figure: Figure, renderer: Any, scene: Scene) -> None:
    ends = scene.hud["window_end_ts_ns"]
    begin, end = _local(ends[0].as_py() - WINDOW_NS), _local(ends[-1].as_py())
    top = 0.965
    name = figure.text(LEFT, top, scene.symbol, fontsize=27, fontweight="bold", va="center")
    figure.text(
        _edges(figure, renderer, name)[1] + 0.012,
        top,
        f"{begin:%a %Y-%m-%d  %H:%M:%S} \u2013 {end:%H:%M:%S} New York   (file of {scene.dt} UTC)",
        fontsize=16,
        va="center",
    )
    x = 0.98
    for words, colour in reversed(_badges(scene)):
        badge = figure.text(
            x,
            top,
            words,
            fontsize=19 if colour == LOUD else 14,
            fontweight="bold",
            color="white",
            va="center",
            ha="right",
            bbox={"boxstyle": "round,pad=0.35", "facecolor": colour, "edgecolor": "none"},
        )
        x = _edges(figure, renderer, badge)[0] - 0.022
    told = f"calibration {scene.calibration_id}" if scene.calibration_id else "no calibration"
    if scene.lookahead:
        told += ", taken from this very day: known only after it"
    notes = [told, *(PLAIN_WARNINGS.get(warning, warning) for warning in scene.warnings)]
    honest = "one-second data, depth as it stood at each second's end   \u00b7   descriptive, not a forecast"
    quiet: Any = {"fontsize": 12, "color": QUIET, "va": "center"}
    figure.text(LEFT, 0.93, "   \u00b7   ".join(notes), **quiet)
    figure.text(0.985, 0.93, honest, ha="right", **quiet)


def _badges(scene: Scene) -> list[tuple[str, str]]:
    """(words, colour) from left to right; what must not be overlooked is loud."""
    simulated = scene.origin == "simulated"
    badges = [("SIMULATED", LOUD) if simulated else (scene.origin, "#2c7a4b")]
    if not scene.verified:
        badges.append(("NOT VERIFIED", LOUD))
    if scene.lookahead:
        badges.append(("SCORES LOOK AHEAD", "#a8741a"))
    return badges


def _edges(figure: Figure, renderer: Any, text: Any) -> tuple[float, float]:
    """Left and right end of the words in parts of the figure."""
    box = text.get_window_extent(renderer)
    return float(box.x0 / figure.bbox.width), float(box.x1 / figure.bbox.width)


def _key(figure: Figure, scene: Scene) -> None:
    """One line of samples with their words."""
    axes = figure.add_axes((LEFT, 0.87, 0.976, 0.044))
    axes.axis("off")
    shade = np.linspace(0, 1, 180)
    bright = radar_field.brightness_table(scene.wall_bounds_log)[(shade * 255).astype(int)]
    named = [*(math.expm1(bound) for bound in scene.wall_bounds_log or ()), radar_field.FULL_DEPTH_LOTS]
    for x, stops, words in ((0, radar_field.BID_RAMP, "bids"), (196, radar_field.ASK_RAMP, "asks")):
        axes.text(x, 0.62, words, va="center", fontsize=13)
        colours = radar_field.ramp(stops, bright)
        axes.imshow(colours[None], extent=(x + 32, x + 152, 0.4, 0.9), aspect="auto", interpolation="nearest")
        for lots in named:
            at = x + 32 + 120 * math.log1p(lots) / math.log1p(radar_field.FULL_DEPTH_LOTS)
            unit = " lots" if lots == named[-1] else ""
            side = "left" if unit else "center"  # the words go on to the right, away from the bound before
            at -= 8 if unit else 0
            axes.text(at, 0.28, f"{lots:,.0f}{unit}", va="top", ha=side, fontsize=10, color=QUIET)
    wall = radar_field.ASK_RAMP[2]
    notch = np.array([wall, radar_field.NOTCH])[:, None]
    axes.imshow(notch, extent=(408, 424, 0.35, 0.95), aspect="auto", interpolation="nearest")
    axes.text(429, 0.62, "wall eroding: pulled or eaten", va="center", fontsize=13)
    axes.add_patch(Rectangle((607, 0.4), 14, 0.5, facecolor="none", edgecolor=HOLE, linewidth=1.2))
    axes.text(626, 0.62, "hole: its depth went <10 s ago", va="center", fontsize=13)
    for x, colour, words in ((808, BUYER, "buyers took"), (889, SELLER, "sellers hit, area = lots")):
        axes.scatter([x], [0.62], s=70, color=colour, edgecolors="#05070a", linewidths=0.8)
        axes.text(x + 8, 0.62, words, va="center", fontsize=13)
    axes.set_xlim(0, 1000)
    axes.set_ylim(0, 1)


# ---- the field


def _radar(axes: Any, scene: Scene) -> None:
    windows = scene.hud.num_rows
    axes.set_xlim(0, windows)
    axes.yaxis.tick_right()
    view = radar_field.view_of(scene.hud, scene.tick_int, radius_ticks=scene.radius_ticks)
    if view is None:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no spot in these windows: no trade and no valid book yet", ha="center",
                  transform=axes.transAxes, fontsize=20, color=QUIET)  # fmt: skip
        _shade_invalid(axes, scene, label=True)
        return
    axes.set_ylim(view.low_tick - 0.5, view.high_tick + 0.5)
    field = radar_field.field_of(scene.hud, view, scene.tick_int)
    brightness = radar_field.brightness_table(scene.wall_bounds_log)
    pixels = radar_field.paint_field(field, view, scene.tick_int, brightness)
    axes.imshow(
        np.clip(pixels, 0, 1),
        extent=(*_column_span(scene, view, field), view.low_tick - 0.5, view.high_tick + 0.5),
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        zorder=1,
    )
    _gamma(axes, scene, view)
    _holes(axes, scene, view, field)
    _quotes_and_spot(axes, scene)
    _fills(axes, scene, view, field)
    _shade_invalid(axes, scene, label=True)
    _price_axis(axes, scene, view)
    _name_sides(axes)
    _name_walls(axes, scene, view, brightness)


def _column_span(scene: Scene, view: View, field: Field) -> tuple[float, float]:
    """Where the columns begin and end on the axis of windows: cells keep their borders of the clock."""
    first_s = int(scene.hud["window_end_ts_ns"][0].as_py()) // WINDOW_NS
    left = first_s // view.seconds_per_column * view.seconds_per_column - first_s
    return float(left), float(left + field.hole.shape[1] * view.seconds_per_column)


def _holes(axes: Any, scene: Scene, view: View, field: Field) -> None:
    left, _ = _column_span(scene, view, field)
    lines = [
        [(left + x * view.seconds_per_column, view.low_tick - 0.5 + y * view.ticks_per_row) for x, y in ends]
        for ends in radar_field.hole_edges(field.hole)
    ]
    axes.add_collection(LineCollection(lines, colors=HOLE, linewidths=0.9, alpha=0.8, zorder=4))


def _gamma(axes: Any, scene: Scene, view: View) -> None:
    """Dashed lines at the strikes that carry gamma, violet for calls and amber for puts."""
    exposure = radar_field.plane(scene.hud, "gex_abs_u8")
    if not exposure.any():
        return
    balance = radar_field.plane(scene.hud, "gex_imbalance_u8").astype(int)
    spot = scene.hud["spot_ref_price_int"].to_numpy() // scene.tick_int
    held: dict[int, list[tuple[int, int]]] = {}
    for window, row in zip(*np.nonzero(exposure), strict=True):
        tick = int(spot[window]) + int(row) - HUD_MAX_TICKS
        if view.low_tick <= tick <= view.high_tick:
            held.setdefault(tick, []).append((int(exposure[window, row]), int(balance[window, row])))
    for tick, values in held.items():
        size, lean = np.mean(values, axis=0)
        axes.axhline(tick, color=CALL if lean >= 128 else PUT, linestyle=(0, (6, 4)), linewidth=1.0,
                     alpha=0.35 + 0.6 * float(size) / 255.0, zorder=2)  # fmt: skip
        axes.text(4, tick, " calls' gamma" if lean >= 128 else " puts' gamma", fontsize=10, va="bottom",
                  color=CALL if lean >= 128 else PUT, zorder=8)  # fmt: skip


def _quotes_and_spot(axes: Any, scene: Scene) -> None:
    for name, colour, width in (
        ("best_ask_price_int", ASK, 1.1),
        ("best_bid_price_int", BID, 1.1),
        ("spot_ref_price_int", SPOT, 1.7),
    ):
        price = scene.hud[name].to_numpy()
        ticks = np.where(price > 0, price / scene.tick_int, np.nan)
        axes.stairs(ticks, np.arange(len(ticks) + 1), baseline=None, color=colour, linewidth=width, zorder=5)


def _fills(axes: Any, scene: Scene, view: View, field: Field) -> None:
    """Dots at the level that was taken; area grows with the lots."""
    left, _ = _column_span(scene, view, field)
    shown = [
        (values, colour) for values, colour in ((field.buy, BUYER), (field.sell, SELLER)) if values.any()
    ]
    lots_shown = sum(float((radar_field.fill_lots(values[values > 0]) + 1.5).sum()) for values, _ in shown)
    box = axes.get_window_extent()
    room = box.width * box.height * (72.0 / axes.figure.dpi) ** 2  # points^2
    area_per_lot = 2.6 * min(1.5, max(0.25, 600 / scene.hud.num_rows))  # points^2; long views hold more dots
    area_per_lot = min(area_per_lot, FILLS_COVER * room / max(lots_shown, 1.0))
    for values, colour in shown:
        row, column = np.nonzero(values)
        lots = radar_field.fill_lots(values[row, column])
        axes.scatter(
            left + (column + 0.5) * view.seconds_per_column,
            view.low_tick - 0.5 + (row + 0.5) * view.ticks_per_row,
            s=area_per_lot * (lots + 1.5),
            color=colour,
            edgecolors="#05070a",
            linewidths=0.5,
            zorder=6,
        )


def _price_axis(axes: Any, scene: Scene, view: View) -> None:
    per_point = PRICES_PER_POINT // scene.tick_int
    points = next(p for p in (1, 2, 5, 10, 25, 50) if view.ticks / (p * per_point) <= 26 or p == 50)
    axes.yaxis.set_major_locator(MultipleLocator(points * per_point))
    axes.yaxis.set_minor_locator(MultipleLocator(1 if view.ticks <= 120 else per_point))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick / per_point:.2f}"))
    axes.tick_params(axis="y", which="major", labelsize=14, length=7, pad=4)
    axes.tick_params(axis="y", which="minor", length=3)


def _name_sides(axes: Any) -> None:
    """Which half of the field is which, inside it."""
    for words, height, colour in (
        ("ASKS: lots offered above", 0.955, ASK),
        ("BIDS: lots bid below", 0.045, BID),
    ):
        axes.text(
            0.006,
            height,
            words,
            transform=axes.transAxes,
            va="center",
            fontsize=14,
            fontweight="bold",
            color=colour,
            zorder=9,
            path_effects=[withStroke(linewidth=4, foreground="#0a0c12")],
        )


def _name_walls(axes: Any, scene: Scene, view: View, brightness: Array) -> None:
    """Words at the right edge: quotes and spot of the last window, and the strongest walls beside them."""
    last = {name: scene.hud[f"{name}_price_int"][-1].as_py() for name in ("best_bid", "best_ask", "spot_ref")}
    spot = last["spot_ref"] // scene.tick_int
    if spot <= 0:
        return
    beside = {
        "xycoords": axes.get_yaxis_transform(),
        "textcoords": "offset points",
        "va": "center",
        "annotation_clip": False,
    }
    for words, price, colour, lift in (
        ("ask", last["best_ask"], ASK, 21),
        ("spot", last["spot_ref"], SPOT, 0),
        ("bid", last["best_bid"], BID, -21),
    ):
        told = f"{words} {price / PRICES_PER_POINT:.2f}" if price > 0 else f"no {words}"
        axes.annotate(
            told, (BESIDE, spot), xytext=(0, lift), color=colour, fontsize=16, fontweight="bold", **beside
        )
    room = 20 * view.ticks / 430  # ticks that a line of words covers
    taken = [float(spot - 1.6 * room), float(spot), float(spot + 1.6 * room)]
    for tick, is_ask in _strongest_walls(scene, view, brightness):
        if any(abs(tick - other) < room for other in taken):
            continue
        taken.append(float(tick))
        told = f"\u25c0 {'ask' if is_ask else 'bid'} wall {tick * scene.tick_int / PRICES_PER_POINT:.2f}"
        axes.annotate(
            told, (BESIDE, tick), xytext=(0, 0), color=ASK if is_ask else BID, fontsize=12, **beside
        )


def _strongest_walls(scene: Scene, view: View, brightness: Array) -> list[tuple[int, bool]]:
    """(tick, is ask) of the walls that were brightest over the last minute, strongest first."""
    recent = scene.hud.slice(max(0, scene.hud.num_rows - WALL_LOOKBACK))
    unpooled = View(view.low_tick, view.high_tick)
    field = radar_field.field_of(recent, unpooled, scene.tick_int)
    found = []
    for side in range(2):
        mean = brightness[field.core[side]].mean(axis=1)
        for row in np.argsort(-mean, kind="stable")[:WALL_LABELS]:
            if mean[row] >= WALL_MIN_BRIGHTNESS:
                found.append((float(-mean[row]), view.low_tick + int(row), side == 1))
    return [(tick, is_ask) for _, tick, is_ask in sorted(found)]


def _shade_invalid(axes: Any, scene: Scene, *, label: bool) -> None:
    """Grey and hatched where the window is not valid: not to be mistaken for an empty book."""
    valid = scene.hud["window_valid"].to_numpy(zero_copy_only=False)
    phase = scene.hud["phase"].to_numpy()
    for start, stop in radar_field.runs(~valid):
        axes.axvspan(start, stop, facecolor="#30343d", alpha=0.72, hatch="////", edgecolor="#5a6070",
                     linewidth=0, zorder=7)  # fmt: skip
        if label and stop - start >= 0.06 * len(valid):
            words = {PHASES[code] for code in phase[start:stop].tolist() if code != PHASE_OPEN}
            told = ", ".join(sorted(w.replace("_", "-") for w in words)) or "book not valid"
            axes.text((start + stop) / 2, 0.5, told, transform=axes.get_xaxis_transform(), ha="center",
                      fontsize=20, color="#c8ccd6", zorder=8,
                      path_effects=[withStroke(linewidth=4, foreground="#1a1d24")])  # fmt: skip


# ---- the panels below


def _volume(axes: Any, scene: Scene) -> None:
    """Lots per second: buyers up, sellers down; the net of the view in words."""
    buy, sell = (scene.hud[name].to_numpy().astype(np.int64) for name in ("buy_qty", "sell_qty"))
    per_bar = max(1, -(-len(buy) // 800))
    starts = np.arange(0, len(buy), per_bar)
    bought, sold = np.add.reduceat(buy, starts), np.add.reduceat(sell, starts)
    axes.bar(starts, bought, width=per_bar, align="edge", color=BUYER, linewidth=0)
    axes.bar(starts, -sold, width=per_bar, align="edge", color=SELLER, linewidth=0)
    axes.axhline(0, color="#39404d", linewidth=0.8)
    top = max(10, int(bought.max()), int(sold.max())) * 1.15
    axes.set_ylim(-top, top)
    axes.yaxis.tick_right()
    axes.yaxis.set_major_formatter(FuncFormatter(lambda lots, _: f"{abs(lots):,.0f}"))
    axes.locator_params(axis="y", nbins=5)
    every = "second" if per_bar == 1 else f"{per_bar} s"
    _caption(axes, f"lots traded per {every}, by aggressor")
    beside = {"transform": axes.transAxes, "fontsize": 13, "va": "center"}
    axes.text(BESIDE, 0.84, f"bought {int(buy.sum()):,}", color=BUYER, **beside)
    axes.text(BESIDE, 0.50, f"net {int(buy.sum()) - int(sell.sum()):+,}", fontweight="bold", **beside)
    axes.text(BESIDE, 0.16, f"sold {int(sell.sum()):,}", color=SELLER, **beside)
    _shade_invalid(axes, scene, label=False)


def _scores(axes: Any, scene: Scene) -> None:
    """How weak the book is above and below: smoothed touch scores, thin spot scores, raw values as ghosts."""
    rows = pa.concat_tables([scene.lead, scene.hud])
    seconds = scene.hud.num_rows
    valid = rows["window_valid"].to_numpy(zero_copy_only=False)
    at = np.arange(seconds) + 0.5
    lines = {}
    live = (valid & _fresh(rows))[-seconds:]
    for direction, best, colour in (("above", "best_ask", ASK), ("below", "best_bid", BID)):
        has_side = rows[f"{best}_price_int"].to_numpy() > 0  # without a best price the score is 0 by rule
        touch = rows[f"{direction}_touch_score"].to_numpy()
        line = radar_field.smooth(touch, valid & has_side, SMOOTHING_S)[-seconds:]
        spot_line = radar_field.smooth(rows[f"{direction}_score"].to_numpy(), valid, SMOOTHING_S)[-seconds:]
        ghost = np.where((valid & has_side)[-seconds:], touch[-seconds:], np.nan)
        axes.plot(at, ghost, color=colour, linewidth=0.7, alpha=0.28 if seconds <= 1_200 else 0.13, zorder=2)
        axes.plot(at, spot_line, color=colour, linewidth=0.9, alpha=0.55, linestyle=(0, (2, 2)), zorder=3)
        axes.plot(at, line, color=QUIET, linewidth=1.6, zorder=3)
        axes.plot(at, np.where(live, line, np.nan), color=colour, linewidth=2.6, zorder=4)
        lines[direction] = line
    lead = lines["above"] - lines["below"]
    for colour, ahead in ((ASK, lead > DEAD_ZONE), (BID, lead < -DEAD_ZONE)):
        axes.fill_between(
            at, lines["above"], lines["below"], where=ahead & live, color=colour, alpha=0.25, linewidth=0
        )
    axes.set_ylim(0, SCORE_TOP)
    axes.yaxis.tick_right()
    axes.yaxis.set_major_locator(MultipleLocator(0.2))
    axes.grid(axis="y", color="#222833", linewidth=0.8)
    _caption(
        axes,
        "how weak the book stands above and below the touch, 0 firm .. 1 pulled, eroding, thin"
        f"   \u00b7   bold: mean of {SMOOTHING_S:.0f} s, faint: each second, dotted: seen from spot,"
        f" grey: no trade for {STALE_AFTER_S} s",
    )
    _score_words(axes, scene, lines)
    _shade_invalid(axes, scene, label=False)


def _caption(axes: Any, words: str) -> None:
    """What a panel shows, above it."""
    axes.text(0.002, 1.04, words, transform=axes.transAxes, va="bottom", fontsize=12, color="#aab3c2")


def _score_words(axes: Any, scene: Scene, lines: dict[str, Array]) -> None:
    """The last values in words: EMPTY where a side has no price, n/a where the window is not valid."""
    beside: Any = {"transform": axes.transAxes, "va": "center"}
    for direction, best, colour, height in (
        ("above", "best_ask", ASK, 0.80),
        ("below", "best_bid", BID, 0.50),
    ):
        value = float(lines[direction][-1])
        empty = scene.hud[f"{best}_price_int"][-1].as_py() == 0
        told = "EMPTY" if empty else "n/a" if math.isnan(value) else f"{value:.2f}"
        axes.text(
            BESIDE, height, f"{direction} {told}", color=colour, fontsize=16, fontweight="bold", **beside
        )
    if scene.day_medians is not None:
        middle = sum(scene.day_medians) / 2
        axes.axhline(middle, color="#8a93a5", linewidth=0.9, linestyle=(0, (8, 5)), zorder=1)
        axes.text(BESIDE, 0.22, f"day median {middle:.2f}", fontsize=12, color=QUIET, **beside)


def _fresh(rows: pa.Table) -> Array:
    """bool per window: something traded within the last `STALE_AFTER_S` windows."""
    traded = (rows["buy_qty"].to_numpy() + rows["sell_qty"].to_numpy()) > 0
    number = np.arange(len(traded))
    last = np.maximum.accumulate(np.where(traded, number, -(STALE_AFTER_S + 1)))
    return np.asarray(number - last <= STALE_AFTER_S)


def _time_axis(all_axes: tuple[Any, ...], scene: Scene) -> None:
    """New York time below the lowest panel, lines at whole minutes in all of them."""
    ends = scene.hud["window_end_ts_ns"].to_numpy()
    begin_s = int(ends[0]) // WINDOW_NS - 1
    seconds = len(ends)
    step = next(s for s in (10, 30, 60, 120, 300, 600, 1800, 3600, 7200) if seconds / s <= 14 or s == 7200)
    at = [s - begin_s for s in range(begin_s - begin_s % step + step, begin_s + seconds, step)]
    words = [f"{_local((begin_s + x) * WINDOW_NS):%H:%M}" if step >= 60 else
             f"{_local((begin_s + x) * WINDOW_NS):%H:%M:%S}" for x in at]  # fmt: skip
    for axes in all_axes:
        axes.set_xlim(0, seconds)
        for x in at:
            axes.axvline(x, color="#aab3c2", linewidth=0.6, alpha=0.16, zorder=3)
        for spine in axes.spines.values():
            spine.set_linewidth(0.8)
        axes.set_xticks(at, words)
        axes.tick_params(axis="x", length=4, labelsize=14, labelbottom=axes is all_axes[-1])
    all_axes[-1].text(BESIDE, -0.09, "New York", transform=all_axes[-1].transAxes, fontsize=13, color=QUIET,
                      va="center")  # fmt: skip


def _local(ts_ns: int) -> datetime:
    return datetime.fromtimestamp(ts_ns // WINDOW_NS, UTC).astimezone(NEW_YORK)
