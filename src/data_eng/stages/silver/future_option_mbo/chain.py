"""The 0DTE chain of a contract: its options in row order, their series, and what open interest is known
when."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data_eng.instruments import definitions_as_of
from data_eng.kernels.option_layout import CALL, PUT
from data_eng.schema.bronze import OPTION_RIGHTS
from data_eng.stages.bronze.option_mbo import option_chain
from data_eng.units import MULTIPLIER_USD_PER_POINT, PRICES_PER_POINT, UNDEF_PRICE

Int64s = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_RIGHT_CODES: Final = dict(zip(OPTION_RIGHTS, (CALL, PUT), strict=True))


@dataclass(frozen=True)
class Chain:
    """Options of a contract that expire on a date, in the order (strike, right, instrument_id); arrays of
    length n.

    instrument_id uint32; symbol; strike_int int64 1e-9 points; right int8 (0 call, 1 put); expiration int64
    ns; multiplier float64 USD per point.
    """

    instrument_id: npt.NDArray[np.uint32]
    symbol: tuple[str, ...]
    strike_int: Int64s
    right: npt.NDArray[np.int8]
    expiration: Int64s
    multiplier: Floats

    @property
    def size(self) -> int:
        """Number of options."""
        return len(self.strike_int)

    @cached_property
    def strikes(self) -> Int64s:
        """int64[k]: strikes of the chain, ascending, 1e-9 points."""
        return np.unique(self.strike_int)

    @cached_property
    def strike_of(self) -> npt.NDArray[np.int32]:
        """int32[n]: index into `strikes`."""
        return np.searchsorted(self.strikes, self.strike_int).astype(np.int32)

    @cached_property
    def series(self) -> tuple[Int64s, npt.NDArray[np.int32]]:
        """Options of one strike and expiration: ((strike, expiration) int64[g, 2] sorted, series of each
        option)."""
        pairs = np.column_stack([self.strike_int, self.expiration]).reshape(-1, 2)
        found, of = np.unique(pairs, axis=0, return_inverse=True)
        return found, of.reshape(-1).astype(np.int32)

    def shard(self, shard: int, shards: int) -> Int64s:
        """int64[m] ascending: the options of every `shards`-th strike. A strike's options stay together."""
        return np.flatnonzero(self.strike_of % shards == shard)

    def only(self, options: Int64s) -> Chain:
        """The chain of these options alone."""
        return Chain(
            self.instrument_id[options],
            tuple(self.symbol[int(i)] for i in options),
            self.strike_int[options],
            self.right[options],
            self.expiration[options],
            self.multiplier[options],
        )


def chain_of(definitions: pa.Table, contract: str, dt: str) -> Chain:
    """The chain by the definitions as of 00:00 UTC of `dt` (spec 3.3, 7.2); empty when they name no option.

    definitions: `bronze.shared.instrument_definitions`. Nothing is parsed from a symbol.
    """
    ids = option_chain(definitions, (), contract, dt).ids
    current = definitions_as_of(definitions, dt)
    mine = current.filter(pc.is_in(current["instrument_id"], pa.array(ids, pa.uint32())))
    number = mine["instrument_id"].to_numpy()
    strike = mine["strike_price"].to_numpy()
    right = np.array([_RIGHT_CODES[word] for word in mine["instrument_class"].to_pylist()], np.int8)
    unit = mine["unit_of_measure_qty"].to_numpy()
    known = (unit != UNDEF_PRICE) & (unit > 0)
    multiplier = np.where(known, unit / PRICES_PER_POINT, MULTIPLIER_USD_PER_POINT)
    order = np.lexsort((number, right, strike))
    symbols = mine["raw_symbol"].to_pylist()
    return Chain(
        number[order].astype(np.uint32),
        tuple(symbols[int(i)] for i in order),
        strike[order].astype(np.int64),
        right[order],
        mine["expiration"].to_numpy()[order].astype(np.int64),
        multiplier[order].astype(np.float64),
    )


@dataclass(frozen=True)
class News:
    """Open-interest figures of a chain in the order in which they were received; arrays of length m.

    ts_recv int64 ns; option int32, index into the chain; open_interest float64 contracts.
    """

    ts_recv: Int64s
    option: npt.NDArray[np.int32]
    open_interest: Floats

    def only(self, options: Int64s, size: int) -> News:
        """Figures of these options, numbered as in `Chain.only`; `size` is that of the whole chain."""
        place = np.full(size, -1, np.int32)
        place[options] = np.arange(len(options), dtype=np.int32)
        kept = place[self.option] >= 0
        return News(self.ts_recv[kept], place[self.option[kept]], self.open_interest[kept])


def news_of(statistics_clean: pa.Table, chain: Chain) -> News:
    """Figures of `silver.future_option.statistics_clean` for the options of `chain`, joined by symbol."""
    place = pc.index_in(statistics_clean["option_symbol"], pa.array(chain.symbol, pa.string()))
    option = np.asarray(place.fill_null(-1).to_numpy()).astype(np.int32)
    ts_recv = statistics_clean["ts_recv_ns"].to_numpy()
    interest = statistics_clean["open_interest"].to_numpy()
    order = np.argsort(ts_recv, kind="stable")
    order = order[option[order] >= 0]
    return News(
        ts_recv[order].astype(np.int64), option[order], np.ascontiguousarray(interest[order], np.float64)
    )
