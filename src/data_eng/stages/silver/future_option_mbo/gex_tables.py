"""Rows of gex_surface_1s, option_quote_1s and gex_profile_1s from the blocks of all shards (spec 7.2-7.4).

Everything that looks at more than one strike happens here, after the shards are put back into strike order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_eng.kernels import gex as kernel
from data_eng.kernels import net_gamma
from data_eng.schema import table
from data_eng.schema.bronze import OPTION_RIGHTS
from data_eng.schema.silver_option import QUOTE_REASONS
from data_eng.stages.silver.future_option_mbo.chain import Chain, Int64s
from data_eng.stages.silver.future_option_mbo.gex_shard import VALUES, Axis, ShardBlock
from data_eng.units import PRICES_PER_POINT, STRIKE_OFFSETS, WINDOW_NS

GEX: Final = "silver.future_option_mbo.gex_surface_1s"
QUOTE: Final = "silver.future_option_mbo.option_quote_1s"
PROFILE: Final = "silver.future_option_mbo.gex_profile_1s"
STRIKES: Final = 2 * STRIKE_OFFSETS + 1
GEX_VALUES: Final = (
    "gex_call_abs",
    "gex_put_abs",
    *("gex_abs", "gex", "gex_imbalance_ratio"),
    *(f"d{k}_{name}" for name in ("gex_abs", "gex", "gex_imbalance_ratio") for k in (1, 2, 3)),
)
"""order of the surface's values in the kernel"""
_OPTIONAL: Final = VALUES[4:]
"""null without a volatility: the first four by spot, the last by the mid"""
_PROFILE_VALUES: Final = (
    "call_gex",
    "put_gex",
    "net_gex",
    "gamma_centre_points",
    "top_call_strike_points",
    "top_put_strike_points",
    "net_oi_call_minus_put",
    "net_oi_short_all",
    "net_oi_flow",
)
"""order of the profile's values in the kernel"""
_CONVENTIONS: Final = slice(6, 9)


class GexBlock(NamedTuple):
    """Rows of some windows, in table order: batches of gex_surface_1s, option_quote_1s and gex_profile_1s."""

    gex: pa.RecordBatch
    quote: pa.RecordBatch
    profile: pa.RecordBatch


class TableMaker:
    """Puts blocks of shards together; the derivatives' history goes on from block to block.

    shards: the options int64[n] of each shard, in the order in which `tables` is given their blocks.
    """

    def __init__(self, chain: Chain, shards: Sequence[Int64s], axis: Axis, rate: float) -> None:
        self._chain, self._axis, self._rate = chain, axis, rate
        series, of = chain.series
        self._series_of = [np.unique(of[options]) for options in shards]
        self._strikes_of = [np.unique(chain.strike_of[options]) for options in shards]
        self._expiration = np.ascontiguousarray(series[:, 1])
        self._strike_of_series = np.searchsorted(chain.strikes, series[:, 0]).astype(np.int32)
        self._history = np.zeros((3, 3, len(chain.strikes)))
        self._last_end = np.zeros(1, np.int64)
        self._flips = np.zeros(1 << 14)

    def tables(self, blocks: Sequence[ShardBlock], underlying: str) -> GexBlock:
        """Rows of the windows that `blocks`, one of each shard, are about."""
        start, windows = blocks[0].start, len(blocks[0].vol)
        if any((b.start, len(b.vol)) != (start, windows) for b in blocks):
            raise ValueError("the blocks of the shards are about different windows")
        part = slice(start, start + windows)
        ends, spots = (np.ascontiguousarray(column[part]) for column in self._axis[:2])
        vol, net, flow = (
            _in_order(self._series_of, [getattr(b, name) for b in blocks], len(self._expiration))
            for name in ("vol", "net_weight", "flow_gex")
        )
        call, put = (
            _in_order(self._strikes_of, [getattr(b, name) for b in blocks], len(self._chain.strikes))
            for name in ("call_abs", "put_abs")
        )
        return GexBlock(
            self._surface(ends, spots, call, put, underlying),
            self._quotes(ends, blocks),
            self._profile(ends, spots, vol, net, flow, call, put),
        )

    def _surface(
        self,
        ends: Int64s,
        spots: Int64s,
        call: npt.NDArray[np.float64],
        put: npt.NDArray[np.float64],
        underlying: str,
    ) -> pa.RecordBatch:
        some = int(np.count_nonzero(spots > 0))
        row_end, row_strike = np.empty(STRIKES * some, np.int64), np.empty(STRIKES * some, np.int64)
        out = np.empty((len(GEX_VALUES), STRIKES * some))
        kernel.lay_out(
            ends,
            spots,
            self._chain.strikes,
            call,
            put,
            self._history,
            self._last_end,
            row_end,
            row_strike,
            out,
        )
        values = dict(zip(GEX_VALUES, out, strict=True))
        return surface_rows(row_end, np.repeat(spots[spots > 0], STRIKES), row_strike, underlying, values)

    def _quotes(self, ends: Int64s, blocks: Sequence[ShardBlock]) -> pa.RecordBatch:
        place = blocks[0].place
        if len(blocks) > 1:
            place = np.concatenate([b.place for b in blocks])
            order = np.argsort(place, kind="stable")
            place = place[order]

        def rows(name: str) -> npt.NDArray[np.generic]:
            if len(blocks) == 1:
                return np.asarray(getattr(blocks[0], name))
            return np.asarray(np.concatenate([getattr(b, name) for b in blocks], axis=-1)[..., order])

        window, option = np.divmod(place, self._chain.size)
        values = dict(zip(VALUES, rows("values"), strict=True))
        solved, solved_by_mid = (_bitmap(values[name]) for name in (_OPTIONAL[0], _OPTIONAL[-1]))
        given = {
            "window_end_ts_ns": pa.array(ends[window]),
            "instrument_id": pa.array(self._chain.instrument_id[option]),
            "strike_price_int": pa.array(self._chain.strike_int[option]),
            "right": _words(self._chain.right[option], OPTION_RIGHTS),
            "bid_price_int": pa.array(rows("bid")),
            "ask_price_int": pa.array(rows("ask")),
            "bid_qty": pa.array(rows("bid_qty")),
            "ask_qty": pa.array(rows("ask_qty")),
            "open_interest_ts_ns": pa.array(rows("interest_ts")),
            "reason": _words(rows("reason"), QUOTE_REASONS),
            **{name: pa.array(values[name]) for name in VALUES[:4]},
            **{name: _doubles(values[name], solved) for name in _OPTIONAL[:-1]},
            _OPTIONAL[-1]: _doubles(values[_OPTIONAL[-1]], solved_by_mid),
        }
        return _batch(QUOTE, given)

    def _profile(
        self,
        ends: Int64s,
        spots: Int64s,
        vol: npt.NDArray[np.float64],
        net: npt.NDArray[np.float64],
        flow: npt.NDArray[np.float64],
        call: npt.NDArray[np.float64],
        put: npt.NDArray[np.float64],
    ) -> pa.RecordBatch:
        out = np.empty((10, len(ends)))
        flip_end = np.zeros(len(ends) + 1, np.int32)
        terms = np.empty((8, max(len(self._expiration), 1)))
        rough = np.empty((5, max(len(self._expiration), 2)), np.float32)
        at = 0
        while at < len(ends):
            at = net_gamma.profile(
                ends, spots, self._chain.strikes, self._expiration, self._strike_of_series, vol, net, flow,
                call, put, self._rate, at, out, flip_end, self._flips, terms, rough,
            )  # fmt: skip
            if at < len(ends):
                self._flips = np.concatenate([self._flips, np.zeros(len(self._flips))])
        return profile_rows(ends, out, flip_end, self._flips[: flip_end[-1]].copy())


def surface_rows(
    window_end: Int64s,
    spot: Int64s,
    strike: Int64s,
    underlying: str,
    values: dict[str, npt.NDArray[np.float64]],
) -> pa.RecordBatch:
    """Rows of gex_surface_1s from equally long arrays; a value that is not given is 0."""
    zeros = None if len(values) == len(GEX_VALUES) else pa.array(np.zeros(len(strike)))
    given = {
        "window_start_ts_ns": pa.array(window_end - WINDOW_NS),
        "window_end_ts_ns": pa.array(window_end),
        "underlying": pa.array([underlying]).take(pa.array(np.zeros(len(strike), np.int32))),
        "strike_price_int": pa.array(strike),
        "underlying_spot_ref": pa.array(spot / PRICES_PER_POINT),
        "strike_points": pa.array(strike / PRICES_PER_POINT),
        **{name: pa.array(values[name]) if name in values else zeros for name in GEX_VALUES},
    }
    return _batch(GEX, given)


def profile_rows(
    window_end: Int64s,
    values: npt.NDArray[np.float64],
    flip_end: npt.NDArray[np.int32],
    flips: npt.NDArray[np.float64],
) -> pa.RecordBatch:
    """Rows of gex_profile_1s; values float64[>= 9, w] in the kernel's order, flips by offsets int32[w +
    1]."""
    conventions = values[_CONVENTIONS]
    # -0.0 for a window without options would be another byte than 0.0
    given = {name: pa.array(row + 0.0) for name, row in zip(_PROFILE_VALUES, values[:9], strict=True)}
    given |= {
        "window_end_ts_ns": pa.array(window_end),
        "convention_min": pa.array(conventions.min(axis=0) + 0.0),
        "convention_max": pa.array(conventions.max(axis=0) + 0.0),
    }
    kind = table(PROFILE).arrow_schema.field("flip_points").type
    given["flip_points"] = pa.ListArray.from_arrays(pa.array(flip_end), pa.array(flips), type=kind)
    return _batch(PROFILE, given)


def _in_order(
    places: Sequence[npt.NDArray[np.int32]], parts: Sequence[npt.NDArray[np.float64]], width: int
) -> npt.NDArray[np.float64]:
    """float64[w, width] from the columns of the shards."""
    if len(parts) == 1:
        return parts[0]
    whole = np.empty((len(parts[0]), width))
    for place, part in zip(places, parts, strict=True):
        whole[:, place] = part
    return whole


def _bitmap(values: npt.NDArray[np.generic]) -> pa.Buffer:
    """Which of float64[n] are numbers, a bit each."""
    return pa.py_buffer(np.packbits(~np.isnan(values.astype(np.float64, copy=False)), bitorder="little"))


def _doubles(values: npt.NDArray[np.generic], bitmap: pa.Buffer) -> pa.Array:
    """float64[n] with nulls by `bitmap`, without a copy."""
    return pa.Array.from_buffers(
        pa.float64(), len(values), [bitmap, pa.py_buffer(np.ascontiguousarray(values))]
    )


def _words(codes: npt.NDArray[np.generic], words: Sequence[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int8)), pa.array(words))


def _batch(dataset: str, given: dict[str, pa.Array]) -> pa.RecordBatch:
    schema = table(dataset).arrow_schema
    columns = [given[name].cast(schema.field(name).type) for name in schema.names]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
