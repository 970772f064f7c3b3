"""Gamma exposure per strike around spot (spec 7.2). This version lays the ladder; values need option books.

The ladder is the contract with every reader: 61 strikes for every snapshot window that has a spot. Without
option data it is filled with zeros on request (``--no-gex``), and the manifest says why.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_eng.errors import UsageError
from data_eng.schema import table
from data_eng.stage import Stage, StageContext
from data_eng.units import PRICES_PER_POINT, STRIKE_OFFSETS, STRIKE_STEP_INT, WINDOW_NS

SNAPSHOT: Final = "silver.future_mbo.book_snapshot_1s"
OPTION_MBO: Final = "bronze.future_option_mbo.mbo"
STATISTICS: Final = "bronze.future_option.statistics"
GEX: Final = "silver.future_option_mbo.gex_surface_1s"
STRIKES: Final = 2 * STRIKE_OFFSETS + 1
WINDOWS_PER_BLOCK: Final = 3_600
NO_OPTIONS: Final = "no_options"
"""manifest warning: zeros, because there are no option books"""
NO_OI: Final = "no_oi"
"""manifest warning: zeros, because there is no open interest"""
NO_GEX: Final = "no_gex"
"""manifest warning: zeros, because --no-gex asked for them although the data are there"""

Int64s = npt.NDArray[np.int64]


def strike_ladder(spot: Int64s) -> Int64s:
    """Strikes around each spot, int64[n] -> int64[n, 61] in 1e-9 points, ascending.

    The middle one is the multiple of 5 points nearest to spot, the upper one on a tie.
    """
    middle = (2 * spot + STRIKE_STEP_INT) // (2 * STRIKE_STEP_INT) * STRIKE_STEP_INT
    return middle[:, None] + STRIKE_STEP_INT * np.arange(-STRIKE_OFFSETS, STRIKE_OFFSETS + 1)


def empty_ladder(window_end: Int64s, spot: Int64s, underlying: str) -> Iterator[pa.RecordBatch]:
    """Rows of gex_surface_1s with zeros for every value, in blocks, for windows with spot > 0.

    window_end, spot: int64[n] of the snapshot; windows without spot have no ladder.
    """
    schema = table(GEX).arrow_schema
    for start in range(0, len(window_end), WINDOWS_PER_BLOCK):
        block = slice(start, start + WINDOWS_PER_BLOCK)
        some = spot[block] > 0
        ends, spots = window_end[block][some], spot[block][some]
        strikes = strike_ladder(spots).ravel()
        ends, spots = np.repeat(ends, STRIKES), np.repeat(spots, STRIKES)
        zeros = pa.array(np.zeros(len(strikes)))
        given = {
            "window_start_ts_ns": pa.array(ends - WINDOW_NS),
            "window_end_ts_ns": pa.array(ends),
            "underlying": pa.array([underlying]).take(pa.array(np.zeros(len(strikes), np.int32))),
            "strike_price_int": pa.array(strikes),
            "underlying_spot_ref": pa.array(spots / PRICES_PER_POINT),
            "strike_points": pa.array(strikes / PRICES_PER_POINT),
        }
        yield pa.RecordBatch.from_arrays([given.get(name, zeros) for name in schema.names], schema=schema)


def _run(context: StageContext) -> None:
    if not context.params.no_gex:
        raise UsageError(
            f"{GEX} of {context.symbol} {context.dt}: this version has no option books, so it cannot compute"
            " gamma; add --no-gex to write a ladder of zeros that says so in its manifest"
        )
    snapshot = context.read(SNAPSHOT, ["window_end_ts_ns", "spot_ref_price_int"])
    ends, spot = (snapshot[name].to_numpy() for name in snapshot.schema.names)
    with context.writer(GEX) as writer:
        for batch in empty_ladder(ends, spot, context.symbol):
            writer.write(batch)
        context.commit(writer, warnings=[_why_zero(context)])


def _why_zero(context: StageContext) -> str:
    if not context.has(OPTION_MBO):
        return NO_OPTIONS
    return NO_GEX if context.has(STATISTICS) else NO_OI


STAGE: Final = Stage(
    name="gex_surface",
    inputs=(SNAPSHOT,),
    optional_inputs=(OPTION_MBO, STATISTICS),
    outputs=(GEX,),
    params=("no_gex",),
    run=_run,
)
