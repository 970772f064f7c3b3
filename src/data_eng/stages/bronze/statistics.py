"""bronze.future_option.statistics, bronze.shared.settlements: open interest and settlements (spec 3.4, 9.3).

Only stat_type 9 is open interest, 3 is a settlement price, 1 the opening price. Open interest is kept of the
options on a contract, settlements of the contract too. Terms come from the definitions by instrument_id.
An undefined quantity is int64 max in DBN v3 and int32 max before it; either would enter as billions of lots.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

import databento_dbn as dbn
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_eng.dbn_codes import DATASET
from data_eng.errors import MissingDataError
from data_eng.instruments import CLASS_FUTURE, OPTION_CLASSES, UNDEF_EXPIRATION, definitions_as_of
from data_eng.raw_files import DayReader
from data_eng.schema import table
from data_eng.sessions import expires_on
from data_eng.stage import Stage, StageContext
from data_eng.stages.bronze.definitions import DATASET_KEY as DEFINITIONS_KEY
from data_eng.stages.bronze.definitions import definitions_of
from data_eng.stages.bronze.provenance import counts_of, provenance
from data_eng.units import UNDEF_PRICE

DATASET_KEY: Final = "bronze.future_option.statistics"
SETTLEMENTS_KEY: Final = "bronze.shared.settlements"
OPEN_INTEREST: Final = int(dbn.StatType.OPEN_INTEREST)
SETTLEMENT_PRICE: Final = int(dbn.StatType.SETTLEMENT_PRICE)
_INTS_PER_POINT: Final = 1_000_000_000
"""dividing is exact to the last bit, multiplying by 1e-9 is not"""
UPDATE_NEW: Final = int(dbn.StatUpdateAction.NEW)
UNDEF_TS: Final = int(dbn.UNDEF_TIMESTAMP)


@dataclass
class StatisticsReport:
    """Counts of statistics records: kept, and why the others were not."""

    kept: int = 0
    settlements: int = 0
    other_stat_types: int = 0
    deleted: int = 0
    undefined: int = 0
    no_option: int = 0

    def counters(self) -> dict[str, int]:
        """The counts as a manifest stores them."""
        return {
            "kept": self.kept,
            "settlements": self.settlements,
            "other_stat_types": self.other_stat_types,
            "deleted": self.deleted,
            "undefined_quantities": self.undefined,
            "no_option_on_contract": self.no_option,
        }


def option_terms(definitions: pa.Table, contract: str, dt: str) -> dict[int, dict[str, Any]]:
    """instrument_id -> definition row of the options (class C or P) on `contract` as of `dt`."""
    rows = definitions_as_of(definitions, dt).to_pylist()
    return {
        row["instrument_id"]: row
        for row in rows
        if row["instrument_class"] in OPTION_CLASSES
        and row["underlying"] == contract
        and row["strike_price"] != UNDEF_PRICE
    }


def _future(definitions: pa.Table, contract: str, dt: str) -> dict[int, str]:
    """instrument_id -> symbol of the contract itself as of `dt`; empty when it is not defined."""
    rows = definitions_as_of(definitions, dt).to_pylist()
    return {
        row["instrument_id"]: contract
        for row in rows
        if row["instrument_class"] == CLASS_FUTURE and row["raw_symbol"] == contract
    }


def to_statistics(
    records: npt.NDArray[Any], terms: dict[int, dict[str, Any]], report: StatisticsReport
) -> pa.Table:
    """Rows of `bronze.future_option.statistics` from statistics records of any DBN version, in file order.

    Kept: open interest, update action New, a defined quantity, an instrument in `terms`; `report` counts.
    """
    undefined = np.iinfo(records.dtype["quantity"]).max  # int64 max in v3, int32 max before
    open_interest = records["stat_type"] == OPEN_INTEREST
    new = records["update_action"] == UPDATE_NEW
    defined = records["quantity"] != undefined
    known = np.isin(records["instrument_id"], np.array(sorted(terms), np.uint32))
    report.other_stat_types += int(np.count_nonzero(~open_interest))
    report.deleted += int(np.count_nonzero(open_interest & ~new))
    report.undefined += int(np.count_nonzero(open_interest & new & ~defined))
    report.no_option += int(np.count_nonzero(open_interest & new & defined & ~known))
    kept = records[open_interest & new & defined & known]
    report.kept += len(kept)
    rows = [terms[int(i)] for i in kept["instrument_id"]]
    columns = {
        "ts_event_ns": kept["ts_event"].view(np.int64),
        "ts_recv_ns": kept["ts_recv"].view(np.int64),
        "source": [DATASET] * len(kept),
        "underlying": [row["underlying"] for row in rows],
        "option_symbol": [row["raw_symbol"] for row in rows],
        "exp_date": [_expiry_text(row["expiration"]) for row in rows],
        "strike": [row["strike_price"] / _INTS_PER_POINT for row in rows],
        "right": [row["instrument_class"] for row in rows],
        "open_interest": kept["quantity"].astype(np.float64),
        "ts_ref_ns": _defined_instants(kept["ts_ref"]),
    }
    return _table(DATASET_KEY, columns)


def to_settlements(
    records: npt.NDArray[Any],
    terms: dict[int, dict[str, Any]],
    future: dict[int, str],
    report: StatisticsReport,
) -> pa.Table:
    """Rows of `bronze.shared.settlements` from statistics records of any DBN version, in file order.

    Kept: stat_type 3, update action New, a defined price, an option in `terms` or the contract itself
    (`future`: instrument_id -> symbol); `report` counts the kept ones.
    """
    named = {number: (row["raw_symbol"], row["instrument_class"]) for number, row in terms.items()}
    named |= {number: (symbol, CLASS_FUTURE) for number, symbol in future.items()}
    wanted = (
        (records["stat_type"] == SETTLEMENT_PRICE)
        & (records["update_action"] == UPDATE_NEW)
        & (records["price"] != UNDEF_PRICE)
        & np.isin(records["instrument_id"], np.array(sorted(named), np.uint32))
    )
    kept = records[wanted]
    report.settlements += len(kept)
    names = [named[int(i)] for i in kept["instrument_id"]]
    columns = {
        "ts_event_ns": kept["ts_event"].view(np.int64),
        "ts_recv_ns": kept["ts_recv"].view(np.int64),
        "source": [DATASET] * len(kept),
        "symbol": [symbol for symbol, _ in names],
        "instrument_class": [kind for _, kind in names],
        "price_int": kept["price"],
        "ts_ref_ns": _defined_instants(kept["ts_ref"]),
    }
    return _table(SETTLEMENTS_KEY, columns)


def _defined_instants(ts: npt.NDArray[np.uint64]) -> list[int | None]:
    return [None if one == UNDEF_TS else one for one in ts.tolist()]


def _table(dataset: str, columns: dict[str, Any]) -> pa.Table:
    schema = table(dataset).arrow_schema
    return pa.Table.from_arrays(
        [pa.array(columns[name], schema.field(name).type) for name in schema.names], schema=schema
    )


def _expiry_text(expiration_ns: int) -> str | None:
    return None if expiration_ns == UNDEF_EXPIRATION else expires_on(expiration_ns).isoformat()


def _run(context: StageContext) -> None:
    dt, symbol = context.dt, context.symbol
    defined = definitions_of(context)
    terms = {} if defined is None else option_terms(defined, symbol, dt)
    reader = DayReader(context.raw.require("statistics", dt), dt)
    report = StatisticsReport()
    future = {} if defined is None else _future(defined, symbol, dt)
    parts, prices = [table(DATASET_KEY).empty()], [table(SETTLEMENTS_KEY).empty()]
    for block in reader.blocks():
        parts.append(to_statistics(block.records, terms, report))
        prices.append(to_settlements(block.records, terms, future, report))
    found = pa.concat_tables(parts).combine_chunks()
    findings = []
    if found.num_rows == 0:
        text = (
            f"{', '.join(f.path.name for f in reader.files)}: {reader.records:,} statistics records, no open "
            f"interest of an option on {symbol} ({len(terms)} options defined)"
        )
        if not context.params.no_gex:
            raise MissingDataError(
                f"{text}; fetch the statistics of that day's option parents, or run with --no-gex"
            )
        findings.append("no_oi")
    with context.writer(DATASET_KEY) as writer, context.writer(SETTLEMENTS_KEY) as settlements:
        writer.write(found)
        settlements.write(pa.concat_tables(prices).combine_chunks())
        context.commit(
            writer,
            settlements,
            counters={**counts_of(reader), **report.counters()},
            **provenance(
                context,
                reader,
                "statistics",
                findings=findings,
            ),
        )


STAGE: Final = Stage(
    name="statistics",
    raw=("statistics",),
    optional_inputs=(DEFINITIONS_KEY,),
    outputs=(DATASET_KEY, SETTLEMENTS_KEY),
    params=("no_gex",),
    may_be_absent=attrgetter("no_gex"),
    run=_run,
)
