"""What must be true of wall_surface_1s, in one pass over its blocks (spec 5.2, 11).

Each check is a pure function from a `WallBlock` to bool[rows]: True where its claim is broken. `WallPass`
walks the blocks once, counts, and keeps per window what the radar and the sampled rebuild need.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa

from data_eng.integrity.findings import Check, Tally
from data_eng.integrity.rows import (
    Array,
    Bools,
    Ints,
    LevelIndex,
    Rows,
    is_bid,
    level_name,
    value_at,
    window_blocks,
    window_name,
)
from data_eng.schema import table
from data_eng.units import (
    AT_MAX_TICKS,
    DELTA_TICKS,
    HUD_MAX_TICKS,
    MID_MAX_TICKS,
    NEAR_MAX_TICKS,
    WINDOW_NS,
)

WALL_COLUMNS: Final = tuple(table("wall_surface_1s").arrow_schema.names)
QUANTITIES: Final = (
    "depth_qty_start",
    "depth_qty_end",
    "add_qty",
    "pull_qty_total",
    "fill_qty",
    "depth_qty_rest",
    "pull_qty_rest",
)

LOOK_BACK_WINDOWS: Final = 2
"""windows before a block that its checks look at"""


@dataclass(frozen=True)
class WallContext:
    """What the wall is judged against.

    snapshot: all rows of book_snapshot_1s. reset_windows: window_end values with a reset inside, from
    Bronze. whole_run: the first snapshot row is the first window of the run, not of a narrower session.
    """

    snapshot: Rows
    tick_int: int
    reset_windows: Ints
    whole_run: bool


@dataclass(frozen=True)
class WallBlock:
    """Rows of some consecutive windows, with the rows of the two windows before them."""

    rows: Rows
    carried: Rows | None
    context: WallContext

    @cached_property
    def around(self) -> Rows:
        """Carried rows, then the block's."""
        return self.rows if self.carried is None else Rows.concat([self.carried, self.rows])

    @cached_property
    def index(self) -> LevelIndex:
        """Row numbers of `around` by level."""
        return LevelIndex(self.around)

    @cached_property
    def snapshot_row(self) -> Ints:
        """int64[n] row of the snapshot with the same window, -1 when there is none."""
        return snapshot_row_of(self.context.snapshot, self.rows["window_end_ts_ns"])

    @cached_property
    def in_reset(self) -> Bools:
        """bool[n]: a reset lies inside the row's window."""
        return np.isin(self.rows["window_end_ts_ns"], self.context.reset_windows)

    @cached_property
    def first(self) -> Bools:
        """bool[n]: the row's window is the first of the snapshot."""
        return np.asarray(self.snapshot_row == 0)

    @cached_property
    def before(self) -> Ints:
        """int64[n] row of `around` with the same level one window earlier, -1 when there is none."""
        return self._back(1)

    @cached_property
    def before_known(self) -> Bools:
        """bool[n]: the level's state one window earlier is known: its row, or no row though in reach."""
        return self._known(1, self.before)

    @cached_property
    def two_before(self) -> Ints:
        """As `before`, two windows earlier."""
        return self._back(2)

    @cached_property
    def two_before_known(self) -> Bools:
        """As `before_known`, two windows earlier."""
        return self._known(2, self.two_before)

    def _back(self, windows: int) -> Ints:
        rows = self.rows
        return self.index.at(rows["window_end_ts_ns"] - windows * WINDOW_NS, is_bid(rows), rows["price_int"])

    def _known(self, windows: int, place: Ints) -> Bools:
        spot = self.context.snapshot["spot_ref_price_int"]
        has_window = self.snapshot_row >= windows
        earlier = value_at(spot, np.where(has_window, self.snapshot_row - windows, -1))
        reach = HUD_MAX_TICKS * self.context.tick_int
        in_reach = (earlier > 0) & (np.abs(self.rows["price_int"] - earlier) <= reach)
        return np.asarray(has_window & ((place >= 0) | in_reach))

    def earlier(self, name: str) -> Array:
        """Column `name` one window earlier, 0 where there was no row."""
        return value_at(self.around[name], self.before)


def snapshot_row_of(snapshot: Rows, window_end: Ints) -> Ints:
    """int64[n] rows of the snapshot with these windows, -1 where there is none."""
    ends = snapshot["window_end_ts_ns"]
    if not len(ends):
        return np.full(len(window_end), -1, dtype=np.int64)
    place = np.minimum(np.searchsorted(ends, window_end), len(ends) - 1)
    return np.asarray(np.where(ends[place] == window_end, place, -1))


def window_unknown(block: WallBlock) -> Bools:
    """The row's window is no snapshot window, or starts elsewhere than one second before its end."""
    rows = block.rows
    return np.asarray(
        (block.snapshot_row < 0) | (rows["window_end_ts_ns"] - rows["window_start_ts_ns"] != WINDOW_NS)
    )


def spot_differs(block: WallBlock) -> Bools:
    """The row's spot is not the snapshot's, or is not positive."""
    spot = block.rows["spot_ref_price_int"]
    wanted = value_at(block.context.snapshot["spot_ref_price_int"], block.snapshot_row)
    return np.asarray((spot != wanted) | (spot <= 0))


def rel_ticks_wrong(block: WallBlock) -> Bools:
    """rel_ticks is not exactly (price - spot) / tick, or lies beyond 600."""
    rows = block.rows
    rel = rows["rel_ticks"].astype(np.int64)
    exact = rel * block.context.tick_int == rows["price_int"] - rows["spot_ref_price_int"]
    return np.asarray(~exact | (np.abs(rel) > HUD_MAX_TICKS))


def quantity_negative(block: WallBlock) -> Bools:
    """A depth or flow is below zero."""
    return np.asarray(np.logical_or.reduce([block.rows[name] < 0 for name in QUANTITIES]))


def row_empty(block: WallBlock) -> Bools:
    """The row has neither depth nor flow and should not exist."""
    names = ("depth_qty_start", "depth_qty_end", "add_qty", "pull_qty_total", "fill_qty")
    return np.asarray(np.logical_and.reduce([block.rows[name] == 0 for name in names]))


def identity_broken(block: WallBlock) -> Bools:
    """depth_end differs from start + add - pull - fill in a window without a reset inside."""
    rows = {name: block.rows[name].astype(np.int64) for name in QUANTITIES}
    flow = rows["add_qty"] - rows["pull_qty_total"] - rows["fill_qty"]
    return np.asarray((rows["depth_qty_end"] != rows["depth_qty_start"] + flow) & ~block.in_reset)


def rest_exceeds(block: WallBlock) -> Bools:
    """More resting depth than depth, or more resting pulls than pulls."""
    rows = block.rows
    return np.asarray(
        (rows["depth_qty_rest"] > rows["depth_qty_end"]) | (rows["pull_qty_rest"] > rows["pull_qty_total"])
    )


def start_differs(block: WallBlock) -> Bools:
    """The depth at the start is not the depth at the end of the window before."""
    return np.asarray(block.before_known & (block.rows["depth_qty_start"] != block.earlier("depth_qty_end")))


def derivative_wrong(block: WallBlock) -> Bools:
    """d1 is not end - start, or d2, d3 are not the differences of d1, d2 on the dense axis.

    In the first window of the run and in a window with a reset all three are 0. A level without a row has
    d1 = 0, but its d2 is the end of the change before it: minus the d1 of two windows ago.
    """
    rows = block.rows
    d1, d2, d3 = (rows[f"d{order}_depth_qty"].astype(np.int64) for order in (1, 2, 3))
    d1_before, d2_before = block.earlier("d1_depth_qty"), block.earlier("d2_depth_qty")
    absent = block.before < 0
    reset_before = np.isin(rows["window_end_ts_ns"] - WINDOW_NS, block.context.reset_windows)
    first_before = (block.snapshot_row == 1) & block.context.whole_run
    echo = np.where(reset_before | first_before, 0, -value_at(block.around["d1_depth_qty"], block.two_before))
    d2_before = np.where(absent, echo, d2_before)
    d3_known = block.before_known & (~absent | first_before | reset_before | block.two_before_known)
    wrong = (d1 != rows["depth_qty_end"].astype(np.int64) - rows["depth_qty_start"]) & ~block.first
    wrong |= block.before_known & (d2 != d1 - d1_before)
    wrong |= d3_known & (d3 != d2 - d2_before)
    restart = block.in_reset | (block.first & block.context.whole_run)
    return np.asarray(np.where(restart, (d1 != 0) | (d2 != 0) | (d3 != 0), wrong))


def validity_contradicts(block: WallBlock) -> Bools:
    """window_valid though the snapshot says not open, not book_valid or crossed, or Bronze says reset."""
    snapshot = block.context.snapshot
    sound = snapshot["book_valid"] & (snapshot["phase"] == "open") & (snapshot["crossed_event_count"] == 0)
    may = value_at(sound.astype(np.int64), block.snapshot_row) == 1
    return np.asarray(block.rows["window_valid"] & (~may | block.in_reset))


def window_mixed(block: WallBlock) -> Bools:
    """Two rows of one window disagree on window_valid."""
    rows = block.rows
    bad = np.zeros(len(rows), dtype=bool)
    same = np.diff(rows["window_end_ts_ns"]) == 0
    bad[1:] = same & (np.diff(rows["window_valid"].astype(np.int8)) != 0)
    return bad


def key_falls(block: WallBlock) -> Bools:
    """(window, side, price) does not increase strictly; the last carried row judges the block's first."""
    rows = block.around
    window, side, price = rows["window_end_ts_ns"], is_bid(rows), rows["price_int"]
    greater = window[1:] > window[:-1]
    equal = window[1:] == window[:-1]
    greater |= equal & (side[1:] > side[:-1])
    equal &= side[1:] == side[:-1]
    greater |= equal & (price[1:] > price[:-1])
    bad = np.concatenate([[False], ~greater])
    return np.asarray(bad[len(rows) - len(block.rows) :])


def continuation_missing(block: WallBlock) -> Bools:
    """bool[around]: the level ended a window with depth, and the next window in reach has no row for it."""
    rows, snapshot = block.around, block.context.snapshot
    following = rows["window_end_ts_ns"] + WINDOW_NS
    spot = value_at(snapshot["spot_ref_price_int"], snapshot_row_of(snapshot, following))
    reach = HUD_MAX_TICKS * block.context.tick_int
    expected = (
        (rows["depth_qty_end"] > 0)
        & (following >= block.rows["window_end_ts_ns"].min())  # the others were judged with their block
        & (following <= block.rows["window_end_ts_ns"].max())
        & (spot > 0)
        & (np.abs(rows["price_int"] - spot) <= reach)
    )
    return np.asarray(expected & (block.index.at(following, is_bid(rows), rows["price_int"]) < 0))


ROW_CHECKS: Final[tuple[tuple[str, Callable[[WallBlock], Bools]], ...]] = (
    ("wall_key", key_falls),
    ("wall_windows", window_unknown),
    ("wall_spot", spot_differs),
    ("wall_rel_ticks", rel_ticks_wrong),
    ("wall_quantities", quantity_negative),
    ("wall_rows_not_empty", row_empty),
    ("wall_identity", identity_broken),
    ("wall_rest_within_total", rest_exceeds),
    ("wall_start_is_previous_end", start_differs),
    ("wall_derivatives", derivative_wrong),
    ("wall_validity", validity_contradicts),
    ("wall_validity_uniform", window_mixed),
)


class Zones:
    """Depth around spot per (side, snapshot row): the start and end pictures of the radar (5.3).

    Arrays are int64[2, windows], side 0 ask and 1 bid; `nearest` is the smallest occupied distance, 20 when
    none. `weighted` is the sum of depth times distance.
    """

    PICTURES: Final = ("start", "end")

    def __init__(self, windows: int) -> None:
        shape = (2, windows)
        self.depth = {
            (picture, bucket): np.zeros(shape, dtype=np.int64)
            for picture in self.PICTURES
            for bucket in ("at", "near", "mid", "far", "weighted")
        }
        self.nearest = np.full(shape, DELTA_TICKS, dtype=np.int64)

    def total(self, picture: str) -> Ints:
        """int64[2, windows] depth in the whole zone."""
        return np.asarray(
            np.sum([self.depth[picture, bucket] for bucket in ("at", "near", "mid", "far")], axis=0)
        )

    def add(self, block: WallBlock) -> None:
        """Add the rows of a block."""
        side = is_bid(block.rows).astype(np.int64)
        distance = np.where(side == 1, -1, 1) * block.rows["rel_ticks"].astype(np.int64)
        zone = (distance >= 0) & (distance <= DELTA_TICKS) & (block.snapshot_row >= 0)
        side, distance = side[zone], distance[zone]
        window = block.snapshot_row[zone]
        bucket = np.digitize(distance, [AT_MAX_TICKS + 1, NEAR_MAX_TICKS + 1, MID_MAX_TICKS + 1])
        for picture in self.PICTURES:
            qty = block.rows[f"depth_qty_{picture}"][zone].astype(np.int64)
            for number, name in enumerate(("at", "near", "mid", "far")):
                chosen = bucket == number
                np.add.at(self.depth[picture, name], (side[chosen], window[chosen]), qty[chosen])
            np.add.at(self.depth[picture, "weighted"], (side, window), qty * distance)
        occupied = block.rows["depth_qty_end"][zone] > 0
        np.minimum.at(self.nearest, (side[occupied], window[occupied]), distance[occupied])


class WallPass:
    """One walk over the wall. Afterwards:

    rows: number of rows; has_rows, valid: bool[snapshot rows]; zones: pictures for the radar; sampled:
    rows of the sampled windows; checks(): the findings.
    """

    def __init__(self, context: WallContext, sampled_windows: Collection[int] = ()) -> None:
        self.context = context
        self.rows = 0
        windows = len(context.snapshot)
        self.has_rows = np.zeros(windows, dtype=bool)
        self.valid = np.zeros(windows, dtype=bool)
        self.zones = Zones(windows)
        self._wanted = np.array(sorted(sampled_windows), dtype=np.int64)
        self._sampled: list[Rows] = []
        self._tallies = {name: Tally(name, "wall rows") for name, _ in ROW_CHECKS}
        self._tallies["wall_no_row_missing"] = Tally("wall_no_row_missing", "wall rows")
        self._quotes = Tally("best_quotes_in_wall", "quotes")

    def run(self, batches: Iterable[pa.RecordBatch]) -> WallPass:
        """Walk record batches with WALL_COLUMNS, in file order."""
        carried: Rows | None = None
        for _, rows in window_blocks(batches, WALL_COLUMNS):
            block = WallBlock(rows, carried, self.context)
            self._judge(block)
            around = block.around
            last = around["window_end_ts_ns"].max()
            carried = around.take(around["window_end_ts_ns"] > last - LOOK_BACK_WINDOWS * WINDOW_NS)
        return self

    @property
    def sampled(self) -> Rows:
        """Rows of the sampled windows."""
        if self._sampled:
            return Rows.concat(self._sampled)
        return Rows({name: np.zeros(0, dtype=np.int64) for name in WALL_COLUMNS})

    def checks(self) -> list[Check]:
        """Findings, one per check."""
        return [*(tally.check() for tally in self._tallies.values()), self._quotes.check()]

    def _judge(self, block: WallBlock) -> None:
        rows = block.rows
        self.rows += len(rows)
        for name, broken in ROW_CHECKS:
            self._tallies[name].add_rows(broken(block), lambda row: _describe(rows, row))
        around = block.around
        self._tallies["wall_no_row_missing"].add_rows(
            continuation_missing(block),
            lambda row: f"{level_name(around, row)} ended with depth; the next window has no row",
        )
        known = block.snapshot_row >= 0
        self.has_rows[block.snapshot_row[known]] = True
        self.valid[block.snapshot_row[known & rows["window_valid"]]] = True
        self.zones.add(block)
        self._judge_quotes(block)
        chosen = np.isin(rows["window_end_ts_ns"], self._wanted)
        if chosen.any():
            self._sampled.append(rows.take(chosen))

    def _judge_quotes(self, block: WallBlock) -> None:
        """The best price of each side in the wall is the snapshot's, where that one is in reach of spot."""
        rows, snapshot = block.rows, self.context.snapshot
        windows = np.unique(block.snapshot_row[block.snapshot_row >= 0])
        deep = (rows["depth_qty_end"] > 0) & (block.snapshot_row >= 0)
        for side, name, worst, better in (
            ("A", "ask", np.iinfo(np.int64).max, np.minimum),
            ("B", "bid", np.iinfo(np.int64).min, np.maximum),
        ):
            chosen = deep & (rows["side"] == side)
            best = np.full(len(windows), worst)
            place = np.searchsorted(windows, block.snapshot_row[chosen])
            better.at(best, place, rows["price_int"][chosen])
            qty = np.zeros(len(windows), dtype=np.int64)
            at_best = rows["price_int"][chosen] == best[place]
            np.add.at(qty, place[at_best], rows["depth_qty_end"][chosen][at_best])
            price = np.where(best == worst, 0, best)
            said, said_qty = (snapshot[f"best_{name}_{what}"][windows] for what in ("price_int", "qty"))
            reach = HUD_MAX_TICKS * self.context.tick_int
            far = (price == 0) & (np.abs(said - snapshot["spot_ref_price_int"][windows]) > reach)
            ends = snapshot["window_end_ts_ns"][windows]
            found = {"price": price, "qty": qty, "said": said, "said_qty": said_qty, "end": ends}
            self._quotes.add_rows(
                ~far & ((price != said) | (qty != said_qty)),
                lambda row, name=name, found=found: (  # type: ignore[misc]  # mypy cannot type defaults
                    f"{window_name(found['end'][row])} {name}: wall {found['qty'][row]} at "
                    f"{found['price'][row]}, snapshot {found['said_qty'][row]} at {found['said'][row]}"
                ),
            )


def _describe(rows: Rows, row: int) -> str:
    values = ", ".join(f"{name} {rows[name][row]}" for name in ("rel_ticks", *QUANTITIES))
    return f"{level_name(rows, row)}: {values}"
