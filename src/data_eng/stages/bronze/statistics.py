"""bronze.future_option.statistics: open interest of the options on a contract, as announced (spec 3.4).

Only stat_type 9 is open interest; 1 is the opening price. Terms come from the definitions by instrument_id.
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
from data_eng.instruments import OPTION_CLASSES, UNDEF_EXPIRATION, definitions_as_of
from data_eng.raw_files import DayReader
from data_eng.schema import table
from data_eng.sessions import expires_on
from data_eng.stage import Stage, StageContext
from data_eng.stages.bronze.definitions import DATASET_KEY as DEFINITIONS_KEY
from data_eng.stages.bronze.definitions import definitions_of
from data_eng.units import UNDEF_PRICE

DATASET_KEY: Final = "bronze.future_option.statistics"
OPEN_INTEREST: Final = int(dbn.StatType.OPEN_INTEREST)
_INTS_PER_POINT: Final = 1_000_000_000
"""dividing is exact to the last bit, multiplying by 1e-9 is not"""
UPDATE_NEW: Final = int(dbn.StatUpdateAction.NEW)
UNDEF_TS: Final = int(dbn.UNDEF_TIMESTAMP)


@dataclass
class StatisticsReport:
    """Counts of statistics records: kept, and why the others were not."""

    kept: int = 0
    other_stat_types: int = 0
    deleted: int = 0
    undefined: int = 0
    no_option: int = 0

    def counters(self) -> dict[str, int]:
        """The counts as a manifest stores them."""
        return {
            "kept": self.kept,
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
        "ts_ref_ns": [None if ts == UNDEF_TS else ts for ts in kept["ts_ref"].tolist()],
    }
    schema = table(DATASET_KEY).arrow_schema
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
    parts = [table(DATASET_KEY).empty()]
    parts += [to_statistics(block.records, terms, report) for block in reader.blocks()]
    found = pa.concat_tables(parts).combine_chunks()
    warnings = [f"unverified: {line}" for line in reader.reasons]
    if found.num_rows == 0:
        text = (
            f"{', '.join(f.path.name for f in reader.files)}: {reader.records:,} statistics records, no open "
            f"interest of an option on {symbol} ({len(terms)} options defined)"
        )
        if not context.params.no_gex:
            raise MissingDataError(
                f"{text}; fetch the statistics of that day's option parents, or run with --no-gex"
            )
        warnings.append("no_oi")
    for line in warnings:
        context.report.warn(line)
    with context.writer(DATASET_KEY) as writer:
        writer.write(found)
        context.commit(
            writer,
            counters={
                "records": reader.records,
                "outside_dt_records": reader.outside,
                "other_rtype_records": reader.skipped,
                **report.counters(),
            },
            warnings=warnings,
            raw_inputs=context.raw.identity("statistics", dt),
            origin=reader.origin,
            verified=reader.verified,
        )


STAGE: Final = Stage(
    name="statistics",
    raw=("statistics",),
    optional_inputs=(DEFINITIONS_KEY,),
    outputs=(DATASET_KEY,),
    params=("no_gex",),
    may_be_absent=attrgetter("no_gex"),
    run=_run,
)
