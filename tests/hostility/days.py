"""One tiny day of ESH6 and two of its options in two versions: raw folders that let every stage run.

Small on purpose: a whole pipeline run takes a fraction of a second, so a thousand of them can be killed.
"""

from __future__ import annotations

from pathlib import Path

import databento_dbn as dbn
import numpy as np

from data_eng.units import HOUR_NS, UNDEF_PRICE
from tests.dbn_samples import (
    DT,
    ESH6,
    ESM6,
    day_start_ns,
    definition,
    mbo_day,
    statistic,
    status,
    write_dbn,
)

SYMBOL = "ESH6"
VERSIONS = (0, 1)
OPTIONS = tuple(
    definition(
        f"E1BF6 {right}6950",
        number,
        instrument_class=right,
        underlying=SYMBOL,
        underlying_id=ESH6,
        strike_price=6_950_000_000_000,
        expiration="2026-01-06T21:00:00+00:00",
    )
    for right, number in (("C", 7), ("P", 8))
)


def tiny_records(version: int = 0, rows: int = 300) -> np.ndarray:
    """A snapshot, then about a minute of adds, modifies, cancels and trades from 15:00 UTC on."""
    records = mbo_day(rows, seed=7 + version)
    cancels = np.flatnonzero(records["action"] == ord("C"))
    records["action"][cancels[::2]] = ord("M")
    return records


def write_raw(folder: Path, version: int = 0) -> Path:
    """DBN files of that version, under the same names in each: MBO of future and options, definitions,
    statistics and status."""
    opens = status(dbn.StatusAction.TRADING, day_start_ns() + 14 * HOUR_NS + version)
    contracts = [definition(), *OPTIONS, definition("ESM6", ESM6)][: 3 + version]
    open_interest = [statistic(100 + version, instrument_id=option.instrument_id) for option in OPTIONS]
    write_dbn(folder / "mbo.dbn.zst", tiny_records(version))
    named = {option.raw_symbol: option.instrument_id for option in OPTIONS}
    write_dbn(folder / "options.mbo.dbn.zst", _option_records(version), symbols=list(named), mappings=named)
    write_dbn(folder / "statistics.dbn.zst", open_interest, schema="statistics")
    write_dbn(folder / "definition.dbn.zst", contracts, schema="definition")
    write_dbn(folder / "status.dbn.zst", [opens], schema="status")
    return folder


def _option_records(version: int, rows: int = 120) -> np.ndarray:
    """Both options, one after the other in ts_recv of their snapshots and interleaved after it."""
    parts = [
        mbo_day(rows, seed=17 + version + k, instrument_id=o.instrument_id) for k, o in enumerate(OPTIONS)
    ]
    records = np.concatenate(parts)
    records["price"][records["price"] != UNDEF_PRICE] -= 6_930_000_000_000  # about 20 points each
    return records[np.argsort(records["ts_recv"], kind="stable")]


def day_job(raw: Path, lake: Path, *, gex: bool = False) -> list[str]:
    """Command line of the whole futures part, with `gex` of every stage; without --symbol, so that the
    selection runs too."""
    return ["run", "--dt", DT, "--raw", str(raw), "--lake", str(lake), *([] if gex else ["--no-gex"])]
