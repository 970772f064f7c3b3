"""bronze.shared.mbo_contract_day_selection: which contract of a root a date is about (spec 3.5).

The outright that traded most on the previous trading date, among those that expire after the session date.
Volumes of that date come from its raw files, which hold every contract, else from the lake when it holds at
least two contracts of it (one alone could never lose); without either, the same day's volume is used and
the manifest says so. `--symbol` overrides everywhere, so a selection is never required.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_eng.errors import MissingDataError
from data_eng.instruments import (
    CLASS_FUTURE,
    Outrights,
    delivery_order,
    expirations,
    outright_futures,
)
from data_eng.params import root_of
from data_eng.raw_files import DayReader, RawCatalogue
from data_eng.schema import table
from data_eng.sessions import chicago_date
from data_eng.stage import Stage, StageContext
from data_eng.stages.bronze.definitions import NO_DEFINITIONS, to_definitions
from data_eng.stages.bronze.future_mbo import DATASET_KEY as MBO_KEY
from data_eng.stages.bronze.future_mbo import traded_qty

DATASET_KEY: Final = "bronze.shared.mbo_contract_day_selection"
SAME_DAY: Final = "same_day_volume"
_DATES_TRIED: Final = 7
"""earlier dates of the raw files looked at: a weekend and holidays may lie between, empty"""


@dataclass(frozen=True)
class DayVolumes:
    """Traded volume per contract of one date (UTC dt), in contracts, and what the source was."""

    dt: str
    by_symbol: dict[str, int]
    origin: str
    verified: bool


def rank_contracts(
    volumes: Mapping[str, int], expiration_ns: Mapping[str, int], session_date: str
) -> list[str]:
    """Contracts that expire after `session_date`, the most traded first; ties: nearest expiry.

    A contract without a known expiry is eligible and ordered by its delivery month.
    """

    def expires(symbol: str) -> str:
        if symbol in expiration_ns:
            return chicago_date(expiration_ns[symbol]).isoformat()
        year, month = delivery_order(symbol, session_date)
        return f"{year:04d}-{month:02d}-99"

    alive = [s for s in volumes if s not in expiration_ns or expires(s) > session_date]
    return sorted(alive, key=lambda s: (-volumes[s], expires(s), s))


def select_contract(
    volumes: DayVolumes,
    expiration_ns: Mapping[str, int],
    session_date: str,
    previous_symbol: str | None,
) -> pa.Table:
    """The one row of the selection of `session_date` (spec 3.5).

    Raises `MissingDataError` when no contract is eligible.
    """
    ranked = rank_contracts(volumes.by_symbol, expiration_ns, session_date)
    if not ranked:
        raise MissingDataError(
            f"no outright contract that expires after {session_date} has records on {volumes.dt}, found "
            f"{', '.join(sorted(volumes.by_symbol)) or 'none'}; name one with --symbol"
        )
    chosen = ranked[0]
    expiry = chicago_date(expiration_ns[chosen]).isoformat() if chosen in expiration_ns else ""
    row = {
        "session_date": session_date,
        "selected_symbol": chosen,
        "selected_exp_date": expiry,
        "prev_trading_date": volumes.dt,
        "prev_volume_selected": volumes.by_symbol[chosen],
        "prev_volume_rank2": volumes.by_symbol[ranked[1]] if len(ranked) > 1 else 0,
        "roll_flag": int(previous_symbol is not None and previous_symbol != chosen),
    }
    return pa.Table.from_pylist([row], schema=table(DATASET_KEY).arrow_schema)


def raw_volumes(catalogue: RawCatalogue, outrights: Outrights, dt: str) -> DayVolumes | None:
    """Volumes of the day from raw MBO files; None when they hold no record of the contracts."""
    files = catalogue.files_for("mbo", dt, instrument_ids=set(outrights.symbols))
    reader = DayReader(files, dt)
    totals: dict[str, int] = {}
    for block in reader.blocks():
        ids = block.records["instrument_id"]
        for number in np.unique(ids):
            symbol = outrights.symbols.get(int(number))
            if symbol is not None:
                totals[symbol] = totals.get(symbol, 0) + traded_qty(block.records[ids == number])
    return DayVolumes(dt, totals, reader.origin, reader.verified) if totals else None


def root_definitions(catalogue: RawCatalogue, root: str, dt: str) -> pa.Table | None:
    """Definitions of the outright futures of `root` from the raw files of `dt`; None without a file."""
    files = catalogue.files_for("definition", dt)
    if not files:
        return None
    parts = [table("bronze.shared.instrument_definitions").empty()]
    for block in DayReader(files, dt).blocks():
        futures = block.records[block.records["instrument_class"] == CLASS_FUTURE.encode()]
        parts.append(to_definitions(futures))
    every = pa.concat_tables(parts)
    mine = [root_of(name) == root for name in every["raw_symbol"].to_pylist()]
    return every.filter(pa.array(mine, pa.bool_()))


def _root_outrights(catalogue: RawCatalogue, definitions: pa.Table | None, root: str, dt: str) -> Outrights:
    headers = [f.metadata for f in catalogue.files_for("mbo", dt)]
    return outright_futures(definitions, headers, dt).of_root(root)


def _previous_raw(catalogue: RawCatalogue, root: str, dt: str) -> DayVolumes | None:
    earlier = [day for day in catalogue.dates("mbo") if day < dt][-_DATES_TRIED:]
    for day in reversed(earlier):
        definitions = root_definitions(catalogue, root, day)
        outrights = _root_outrights(catalogue, definitions, root, day)
        volumes = raw_volumes(catalogue, outrights, day) if outrights.symbols else None
        if volumes is not None and any(volumes.by_symbol.values()):
            return volumes
    return None


def _previous_lake(lake: Any, root: str, dt: str) -> DayVolumes | None:
    held: dict[str, list[str]] = {}
    for part in lake.partitions():
        if part.dataset == MBO_KEY and part.dt < dt and root_of(part.symbol) == root:
            held.setdefault(part.dt, []).append(part.symbol)
    dates = sorted(day for day, symbols in held.items() if len(symbols) > 1)
    if not dates:
        return None
    day = dates[-1]
    manifests = [lake.manifest(MBO_KEY, symbol, day) for symbol in held[day]]
    volumes = {symbol: _lake_volume(lake, symbol, day) for symbol in sorted(held[day])}
    origin = "simulated" if any(m.origin == "simulated" for m in manifests) else "recorded"
    return DayVolumes(day, volumes, origin, all(m.verified for m in manifests))


def _lake_volume(lake: Any, symbol: str, dt: str) -> int:
    total = 0
    for batch in lake.iter_batches(MBO_KEY, symbol, dt, columns=["action", "size"]):
        trades = pc.equal(batch.column("action").cast(pa.string()), "T")
        total += int(pc.sum(batch.column("size").filter(trades)).as_py() or 0)
    return total


def _previous_selection(lake: Any, root: str, dt: str) -> str | None:
    earlier = [p.dt for p in lake.partitions() if p.dataset == DATASET_KEY and p.symbol == root and p.dt < dt]
    if not earlier:
        return None
    return str(lake.read(DATASET_KEY, root, max(earlier), columns=["selected_symbol"]).column(0)[0].as_py())


def _run(context: StageContext) -> None:
    catalogue, lake, root, dt = context.raw, context.lake, root_of(context.symbol), context.dt
    catalogue.require("mbo", dt)
    definitions = root_definitions(catalogue, root, dt)
    found = [v for v in (_previous_raw(catalogue, root, dt), _previous_lake(lake, root, dt)) if v is not None]
    warnings = []
    if found:
        volumes = max(found, key=lambda v: v.dt)  # the raw files win a tie: they come first
    else:
        outrights = _root_outrights(catalogue, definitions, root, dt)
        today = raw_volumes(catalogue, outrights, dt)
        volumes = today or DayVolumes(dt, {}, "recorded", True)
        warnings.append(f"{SAME_DAY}: no earlier date of {root} is at hand, volumes are those of {dt} itself")
    if definitions is None or definitions.num_rows == 0:
        warnings.append(NO_DEFINITIONS)
    selection = select_contract(
        volumes, expirations(definitions, dt), dt, _previous_selection(lake, root, dt)
    )
    for line in warnings:
        context.report.warn(line)
    with context.writer(DATASET_KEY) as writer:
        writer.write(selection)
        context.commit(
            writer,
            counters={"contracts": len(volumes.by_symbol)},
            warnings=warnings,
            raw_inputs=[*catalogue.identity("mbo", dt), *catalogue.identity("definition", dt)],
            origin=volumes.origin,
            verified=volumes.verified,
        )


STAGE: Final = Stage(name="contract_selection", raw=("mbo", "definition"), outputs=(DATASET_KEY,), run=_run)
