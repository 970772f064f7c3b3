"""Words of the feed, typed anew from documentation: simex shares no module with the pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.int64]
"""int64[n, 7]: MBO records of 56 bytes as little-endian words, the form in which the kernels write them"""

DATASET: Final = "GLBX.MDP3"
PUBLISHER_ID: Final = 1
RTYPE_MBO: Final = 160
MBO_BYTES: Final = 56
UNDEF_PRICE: Final = 2**63 - 1
PRICE_SCALE: Final = 1_000_000_000
SECOND_NS: Final = 1_000_000_000
MARKER: Final = "SIMULATED"

F_LAST: Final = 128
F_SNAPSHOT: Final = 32
F_BAD_TS_RECV: Final = 8
F_MAYBE_BAD_BOOK: Final = 4

RECORD: Final = np.dtype(
    [
        ("length", "u1"),
        ("rtype", "u1"),
        ("publisher_id", "<u2"),
        ("instrument_id", "<u4"),
        ("ts_event", "<u8"),
        ("order_id", "<u8"),
        ("price", "<i8"),
        ("size", "<u4"),
        ("flags", "u1"),
        ("channel_id", "u1"),
        ("action", "u1"),
        ("side", "u1"),
        ("ts_recv", "<u8"),
        ("ts_in_delta", "<i4"),
        ("sequence", "<u4"),
    ]
)
assert RECORD.itemsize == MBO_BYTES


@dataclass(frozen=True)
class Instrument:
    """What the matching engine needs to know of a contract. Prices in 1e-9 points."""

    symbol: str
    instrument_id: int
    tick_int: int
    centre_price_int: int
    """middle of the price ladder; the market opens here"""
    channel_id: int = 0


ESH6: Final = Instrument("ESH6", 42_140_878, 250_000_000, 6_950 * PRICE_SCALE)
ESM6: Final = Instrument("ESM6", 42_140_864, 250_000_000, 7_002 * PRICE_SCALE)
SPREAD: Final = Instrument("ESH6-ESM6", 42_140_911, 50_000_000, 52 * PRICE_SCALE)
MULTIPLIER: Final = 50


def word0(instrument_id: int) -> int:
    """First word of a record: length in units of 4 bytes, rtype, publisher, instrument."""
    return (MBO_BYTES // 4) | (RTYPE_MBO << 8) | (PUBLISHER_ID << 16) | (instrument_id << 32)


def records_of(words: Words) -> npt.NDArray[Any]:
    """The same bytes as structured MBO records; nothing is copied on a little-endian machine."""
    return np.ascontiguousarray(words, dtype="<i8").reshape(-1).view(RECORD)


def words_of(records: npt.NDArray[Any]) -> Words:
    """Structured MBO records as int64[n, 7] words."""
    return np.frombuffer(np.ascontiguousarray(records).tobytes(), dtype="<i8").reshape(-1, 7)


def blank(n: int, instrument_id: int, channel_id: int) -> npt.NDArray[Any]:
    """n MBO records of an instrument with everything else zero."""
    out = np.zeros(n, dtype=RECORD)
    out["length"] = MBO_BYTES // 4
    out["rtype"] = RTYPE_MBO
    out["publisher_id"] = PUBLISHER_ID
    out["instrument_id"] = instrument_id
    out["channel_id"] = channel_id
    return out
