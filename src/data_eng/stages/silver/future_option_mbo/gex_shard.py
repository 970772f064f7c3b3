"""Books, volatilities and exposures of one shard of a chain (spec 7.2, 7.3).

A shard is every n-th strike. Nothing in it depends on another strike, except the clock, which the records
of all options move; so the shards of a day can run in any number of processes and their blocks fit together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from data_eng.kernels import gex as kernel
from data_eng.kernels import series_vols
from data_eng.mbo import MboColumns
from data_eng.stages.silver.future_option_mbo.chain import Chain, News
from data_eng.stages.silver.future_option_mbo.option_books import BookBlock, OptionBooks
from data_eng.units import PRICES_PER_POINT, WINDOW_NS

Int64s = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
VALUES: Final = (
    "mid_price",
    "mid_age_s",
    "seconds_to_expiry",
    "open_interest",
    "implied_vol",
    "delta",
    "gamma",
    "vega",
    "implied_vol_mid_forward",
)
"""rows of `ShardBlock.values`; the last five are NaN where there is none"""


class Axis(NamedTuple):
    """Windows of the snapshot: int64[w] window end ns; spot and futures mid in 1e-9 points, 0 or less =
    none."""

    end: Int64s
    spot: Int64s
    futures_mid: Int64s


class ShardBlock(NamedTuple):
    """What a shard knows of windows start:start + w.

    vol, net_weight, flow_gex float64[w, g] per series of the shard (vol -1 = none); call_abs, put_abs
    float64[w, k] per strike. Quote rows: place int64 (window in the block x options of the whole chain +
    option), bid, ask int64, bid_qty, ask_qty int32, values float64[9, rows] as `VALUES`, interest_ts int64,
    reason int8.
    """

    start: int
    vol: Floats
    net_weight: Floats
    flow_gex: Floats
    call_abs: Floats
    put_abs: Floats
    place: Int64s
    bid: Int64s
    ask: Int64s
    bid_qty: npt.NDArray[np.int32]
    ask_qty: npt.NDArray[np.int32]
    values: Floats
    interest_ts: Int64s
    reason: npt.NDArray[np.int8]


class ShardSolver:
    """Turns blocks of book windows into volatilities, exposures and quote rows, block after block.

    options: int64[n] ascending, which options of `chain` the shard keeps, in the columns of the blocks.
    """

    def __init__(self, chain: Chain, options: Int64s, news: News, axis: Axis, rate: float) -> None:
        self._whole, self._options, self._axis, self._rate = chain, options, axis, rate
        mine = self._chain = chain.only(options)
        told = news.only(options, chain.size)
        series, of = mine.series
        n, g = mine.size, len(series)
        member = np.lexsort((mine.instrument_id, mine.right, of)).astype(np.int32)
        self._shape = (g, len(mine.strikes))
        padded = -(-g // series_vols.LANES) * series_vols.LANES
        anchors = np.zeros((2, series_vols.ANCHOR_ROWS, padded))
        anchors[:, [series_vols.A_OPTION, series_vols.A_S]] = -1.0
        work = np.ones((series_vols.WORK_ROWS, padded))
        work[series_vols.W_STRIKE, :g] = series[:, 0] / PRICES_PER_POINT
        self._fixed: dict[str, Any] = {
            "strike_int": np.ascontiguousarray(mine.strike_int),
            "right": np.ascontiguousarray(mine.right),
            "expiration": np.ascontiguousarray(mine.expiration),
            "multiplier": np.ascontiguousarray(mine.multiplier),
            "series": of,
            "series_strike": np.ascontiguousarray(series[:, 0]),
            "series_expiration": np.ascontiguousarray(series[:, 1]),
            "strike_of": mine.strike_of,
            "first": np.searchsorted(of[member], np.arange(g + 1)).astype(np.int32),
            "member": member,
            "pair": _pairs(mine.right, of, g),
            "column": np.arange(n, dtype=np.int32),
            "interest": np.zeros(n),
            "interest_ts": np.zeros(n, np.int64),
            "news_ts": told.ts_recv,
            "news_option": told.option,
            "news_interest": told.open_interest,
            "cursor": np.zeros(1, np.int64),
            "anchors": anchors,
            "status": np.zeros(n, np.int8),
            "work": work,
            "again": np.ones_like(work),
            "queue": np.zeros(g, np.int32),
            "vol_mid": np.zeros((1, g)),
        }

    def solve(self, books: BookBlock) -> ShardBlock:
        """Blocks in order; the open interest known and the last solutions go on from block to block."""
        part = slice(books.start, books.start + books.windows)
        ends, spots, mids = (np.ascontiguousarray(column[part]) for column in self._axis)
        strikes, reach = self._fixed["strike_int"], kernel.QUOTE_REACH_INT
        near = np.searchsorted(strikes, spots + reach, "right") - np.searchsorted(
            strikes, spots - reach, "left"
        )
        rows = int(near[spots > 0].sum())
        w, n, (g, k) = len(ends), len(self._options), self._shape
        e = kernel.SolveArrays(
            **self._fixed,
            vol=np.empty((w, g)),
            net_weight=np.empty((w, g)),
            flow_gex=np.empty((w, g)),
            call_abs=np.empty((w, k)),
            put_abs=np.empty((w, k)),
            q_place=np.empty(rows, np.int64),
            q_reason=np.empty(rows, np.int8),
            q_bid=np.empty(rows, np.int64),
            q_ask=np.empty(rows, np.int64),
            q_bid_qty=np.empty(rows, np.int32),
            q_ask_qty=np.empty(rows, np.int32),
            q_values=np.empty((len(VALUES), rows)),
            q_interest_ts=np.empty(rows, np.int64),
        )
        kernel.solve(
            e, books.mid_sum, books.age, books.state, books.flow, books.bid, books.ask, books.bid_qty,
            books.ask_qty, ends, spots, mids, self._rate,
        )  # fmt: skip
        place = e.q_place
        if n != self._whole.size:
            window, option = np.divmod(place, n)
            place = window * self._whole.size + self._options[option]
        return ShardBlock(
            books.start,
            e.vol,
            e.net_weight,
            e.flow_gex,
            e.call_abs,
            e.put_abs,
            place,
            e.q_bid,
            e.q_ask,
            e.q_bid_qty,
            e.q_ask_qty,
            e.q_values,
            e.q_interest_ts,
            e.q_reason,
        )


class GexShard:
    """Shard `shard` of `shards`: records in, blocks of windows out, in order."""

    def __init__(
        self,
        chain: Chain,
        news: News,
        axis: Axis,
        rate: float,
        *,
        shard: int = 0,
        shards: int = 1,
        windows: int = 300,
    ) -> None:
        options = chain.shard(shard, shards)
        others = np.setdiff1d(np.arange(chain.size), options)
        self.books = OptionBooks(
            chain.instrument_id[options], chain.instrument_id[others], axis.end, windows_per_block=windows
        )
        self.solver = ShardSolver(chain, options, news, axis, rate)

    def book_blocks(self, records: Iterable[MboColumns]) -> Iterator[BookBlock]:
        """Blocks of book windows, from records in file order, to the last window."""
        for columns in records:
            yield from self.books.process(columns)
        yield from self.books.finish()

    def blocks(self, records: Iterable[MboColumns]) -> Iterator[ShardBlock]:
        """Finished blocks, from records in file order, to the last window."""
        for books in self.book_blocks(records):
            yield self.solver.solve(books)


def axis_of(window_end: Int64s, spot: Int64s, futures_mid: Int64s) -> Axis:
    """The windows of a snapshot. Raises `ValueError` unless they rise on the grid of whole seconds."""
    if len(window_end) and ((np.diff(window_end) <= 0).any() or (window_end % WINDOW_NS).any()):
        raise ValueError("window_end_ts_ns must rise, in whole seconds")
    return Axis(*(np.array(column, np.int64) for column in (window_end, spot, futures_mid)))


def _pairs(right: npt.NDArray[np.int8], series: npt.NDArray[np.int32], n: int) -> npt.NDArray[np.int32]:
    """int32[2, n]: the only call and the only put of each series, -1 for a series that is anything else."""
    pairs = np.full((2, n), -1, np.int32)
    counts = np.zeros((2, n), np.int64)
    np.add.at(counts, (right, series), 1)
    pairs[right, series] = np.arange(len(right))
    pairs[:, (counts != 1).any(axis=0)] = -1
    return pairs
