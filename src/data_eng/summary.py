"""What a trader would want to know of a stretch of a day, from finished Silver tables: data in, figures out.

Laws. 1 Books, flow and scores count valid windows only; how many there were is part of the answer.
      2 A wall is what rested: depth older than half a second at a second's end, within 20 ticks of spot.
      3 What became of a wall is told by the flow of its level, from the second it stood highest until less
        than half of it rests there or it is out of sight. That flow is everybody's at this price, not one
        trader's.
No figure says where the price goes next.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data_eng.units import DELTA_TICKS, WINDOW_NS

Ints = npt.NDArray[np.int64]

SIGHT_TICKS: Final = 3 * DELTA_TICKS
"""how far from spot a wall is followed once it has stood within `DELTA_TICKS`"""
WALL_COLUMNS: Final = (
    "window_end_ts_ns",
    "side",
    "price_int",
    "rel_ticks",
    "depth_qty_start",
    "depth_qty_end",
    "add_qty",
    "pull_qty_total",
    "fill_qty",
    "depth_qty_rest",
    "window_valid",
)
"""what `Nearby.from_batches` reads of wall_surface_1s"""


@dataclass(frozen=True)
class Wall:
    """A level that stood high. Lots; times are window ends in UTC ns; side A or B.

    stood_s: seconds in a row, around the highest, with at least half of the peak. pulled, filled, added: flow
    of the level after the peak. ended: it fell below half while it was in sight.
    """

    side: str
    price_int: int
    peak_qty: int
    peak_ts_ns: int
    rel_ticks: int
    stood_s: int
    pulled: int
    filled: int
    added: int
    ended: bool


@dataclass(frozen=True)
class Vacuum:
    """The second in which one side lost the largest share of what stood within 20 ticks of spot. Lots.

    pulled and filled: what left the side in that second, lots that came and went in it included.
    """

    side: str
    window_end_ts_ns: int
    before: int
    pulled: int
    filled: int
    after: int


@dataclass(frozen=True)
class Summary:
    """Figures of a stretch. Prices are price_int, 0 where nothing traded; quantities are lots.

    one_tick_share: share of the valid seconds with a spread of one tick. added, pulled, filled: within 20
    ticks of spot. score_quartiles: name -> 25 %, 50 %, 75 % of the valid seconds, empty without any.
    """

    start_ts_ns: int
    end_ts_ns: int
    windows: int
    valid_windows: int
    first_price_int: int
    last_price_int: int
    low_price_int: int
    high_price_int: int
    buy_qty: int
    sell_qty: int
    auction_qty: int
    trades: int
    one_tick_share: float
    median_bid_qty: float
    median_ask_qty: float
    added: int
    pulled: int
    filled: int
    walls: tuple[Wall, ...]
    vacuum: Vacuum | None
    score_quartiles: dict[str, tuple[float, float, float]]


@dataclass(frozen=True)
class Nearby:
    """Valid rows of the wall near spot, in key order: int64 arrays of one length; side 0 = bid, 1 = ask."""

    end_ns: Ints
    side: Ints
    price: Ints
    rel: Ints
    start: Ints
    depth: Ints
    add: Ints
    pull: Ints
    fill: Ints
    rest: Ints

    @classmethod
    def from_batches(cls, batches: Iterable[pa.RecordBatch]) -> Nearby:
        """Rows of `WALL_COLUMNS` within `SIGHT_TICKS` of spot; one batch at a time is held in full."""
        kept = [[np.zeros(0, np.int64)] * (len(WALL_COLUMNS) - 1)]
        for batch in batches:
            near = pc.less_equal(pc.abs(batch.column("rel_ticks")), SIGHT_TICKS)
            rows = batch.filter(pc.and_(near, batch.column("window_valid")))
            columns = [rows.column(name) for name in WALL_COLUMNS[:-1]]
            columns[1] = pc.equal(pc.cast(columns[1], pa.string()), "A")
            kept.append([_ints(column) for column in columns])
        return cls(*(np.concatenate(parts) for parts in zip(*kept, strict=True)))

    def where(self, mask: npt.NDArray[np.bool_]) -> Nearby:
        """The rows of a mask."""
        return Nearby(*(getattr(self, name)[mask] for name in self.__dataclass_fields__))


def summarise(
    snapshot: pa.Table,
    trades: pa.Table,
    nearby: Nearby,
    scores: pa.Table,
    *,
    tick_int: int,
    most_walls: int = 3,
) -> Summary:
    """Figures of book_snapshot_1s, trade_event, the wall near spot, and a table of scores per window.

    scores: window_end_ts_ns and any float columns; a window is valid when `nearby` has a row of it.
    """
    ends = _ints(snapshot["window_end_ts_ns"])
    valid = np.isin(ends, nearby.end_ns)
    bid, ask = (_ints(snapshot[f"best_{side}_price_int"])[valid] for side in ("bid", "ask"))
    prices = _ints(trades["price_int"])
    zone = nearby.where(np.abs(nearby.rel) <= DELTA_TICKS)
    return Summary(
        start_ts_ns=int(ends[0]) - WINDOW_NS if len(ends) else 0,
        end_ts_ns=int(ends[-1]) if len(ends) else 0,
        windows=len(ends),
        valid_windows=int(valid.sum()),
        first_price_int=int(prices[0]) if len(prices) else 0,
        last_price_int=int(prices[-1]) if len(prices) else 0,
        low_price_int=int(prices.min()) if len(prices) else 0,
        high_price_int=int(prices.max()) if len(prices) else 0,
        buy_qty=_traded(trades, "B"),
        sell_qty=_traded(trades, "A"),
        auction_qty=_traded(trades, "N"),
        trades=len(prices),
        one_tick_share=float(np.mean(ask - bid == tick_int)) if len(bid) else 0.0,
        median_bid_qty=_median(_ints(snapshot["best_bid_qty"])[valid]),
        median_ask_qty=_median(_ints(snapshot["best_ask_qty"])[valid]),
        added=int(zone.add.sum()),
        pulled=int(zone.pull.sum()),
        filled=int(zone.fill.sum()),
        walls=largest_walls(nearby, most_walls),
        vacuum=biggest_vacuum(zone),
        score_quartiles=_quartiles(scores, ends[valid]),
    )


def largest_walls(nearby: Nearby, most: int) -> tuple[Wall, ...]:
    """The `most` levels with the highest resting depth within 20 ticks of spot, highest first.

    Of one level only its highest second counts; ties go to the earlier one.
    """
    order = np.lexsort((nearby.end_ns, -nearby.rest))
    close = (np.abs(nearby.rel) <= DELTA_TICKS) & (nearby.rest > 0)
    found: dict[tuple[int, int], Wall] = {}
    for row in order[close[order]]:
        if len(found) == most:
            break
        level = int(nearby.side[row]), int(nearby.price[row])
        if level not in found:
            found[level] = _story(nearby, int(row))
    return tuple(found.values())


def _story(nearby: Nearby, row: int) -> Wall:
    """What became of the level whose highest second is `row`."""
    level = nearby.where((nearby.side == nearby.side[row]) & (nearby.price == nearby.price[row]))
    at = int(np.searchsorted(level.end_ns, nearby.end_ns[row]))
    peak = int(level.rest[at])
    # a gap in the rows is a level out of sight, or gone at the end of a second and back later
    next_second = np.append(np.diff(level.end_ns) == WINDOW_NS, False)
    high = 2 * level.rest >= peak
    first, last = at, at
    while first > 0 and next_second[first - 1] and high[first - 1]:
        first -= 1
    while next_second[last] and high[last + 1]:
        last += 1
    ended = bool(next_second[last])
    after = slice(at + 1, last + 1 + ended)
    return Wall(
        side="A" if level.side[at] else "B",
        price_int=int(level.price[at]),
        peak_qty=peak,
        peak_ts_ns=int(level.end_ns[at]),
        rel_ticks=int(level.rel[at]),
        stood_s=last - first + 1,
        pulled=int(level.pull[after].sum()),
        filled=int(level.fill[after].sum()),
        added=int(level.add[after].sum()),
        ended=ended,
    )


def biggest_vacuum(zone: Nearby) -> Vacuum | None:
    """The second and side with the largest net loss of depth, as a share of what stood before.

    None where no side lost anything. Sides with less than a quarter of their usual (median) depth before are
    left out: the last lots of an empty side would always win.
    """
    seconds, at = np.unique(zone.end_ns * 2 + zone.side, return_inverse=True)
    columns = (zone.start, zone.pull, zone.fill, zone.depth)
    before, pulled, filled, after = (
        np.bincount(at, column, len(seconds)).astype(np.int64) for column in columns
    )
    ask = seconds % 2 == 1
    usual = np.where(ask, _median(before[ask]), _median(before[~ask]))
    share = np.where(before >= np.maximum(usual / 4, 1), (before - after) / np.maximum(before, 1), 0.0)
    if not len(share) or share.max() <= 0:
        return None
    best = int(np.argmax(share))
    return Vacuum(
        side="A" if ask[best] else "B",
        window_end_ts_ns=int(seconds[best] // 2),
        before=int(before[best]),
        pulled=int(pulled[best]),
        filled=int(filled[best]),
        after=int(after[best]),
    )


def _quartiles(scores: pa.Table, valid_ends: Ints) -> dict[str, tuple[float, float, float]]:
    rows = np.isin(_ints(scores["window_end_ts_ns"]), valid_ends)
    if not rows.any():
        return {}
    names = [field.name for field in scores.schema if pa.types.is_floating(field.type)]
    found = {name: np.quantile(np.asarray(scores[name])[rows], (0.25, 0.5, 0.75)) for name in names}
    return {name: (float(low), float(middle), float(high)) for name, (low, middle, high) in found.items()}


def _traded(trades: pa.Table, side: str) -> int:
    mine = trades.filter(pc.equal(pc.cast(trades["aggressor_side"], pa.string()), side))
    return int(pc.sum(mine["qty"]).as_py() or 0)


def _median(values: Ints) -> float:
    return float(np.median(values)) if len(values) else 0.0


def _ints(column: Any) -> Ints:
    if pa.types.is_boolean(column.type):
        column = pc.cast(column, pa.int8())
    return np.asarray(column).astype(np.int64)
