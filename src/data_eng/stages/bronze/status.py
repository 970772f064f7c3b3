"""bronze.shared.status: trading-status messages of a contract, the only source of phase halt (spec 4.8).

`status_phases` is the mapping of spec 4.12: what a StatusAction makes of the phase, and when.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import databento_dbn as dbn
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data_eng.dbn_codes import PHASE_CLOSED, PHASE_HALT, PHASE_OPEN, PHASE_PRE_OPEN
from data_eng.instruments import outright_futures
from data_eng.raw_files import DayReader
from data_eng.schema import table
from data_eng.stage import Stage, StageContext
from data_eng.stages.bronze.definitions import DATASET_KEY as DEFINITIONS_KEY
from data_eng.stages.bronze.definitions import definitions_of
from data_eng.stages.bronze.provenance import counts_of, provenance

DATASET_KEY: Final = "bronze.shared.status"

_ACTIONS_OF: Final[dict[int, tuple[str, ...]]] = {
    PHASE_OPEN: ("TRADING",),
    PHASE_PRE_OPEN: ("PRE_OPEN", "PRE_CROSS", "QUOTING", "CROSS", "ROTATION"),
    PHASE_HALT: ("HALT", "PAUSE", "SUSPEND"),
    PHASE_CLOSED: ("PRE_CLOSE", "CLOSE", "POST_CLOSE", "NOT_AVAILABLE_FOR_TRADING"),
}
PHASE_OF_ACTION: Final[dict[int, int]] = {
    int(getattr(dbn.StatusAction, name)): phase for phase, names in _ACTIONS_OF.items() for name in names
}
"""StatusAction -> phase code; None, NewPriceIndication, SsrChange and unknown codes change nothing"""


class StatusPhases(NamedTuple):
    """Phase changes of one instrument: ts_ns int64[n] non-decreasing UTC ns, phase int8[n] phase codes."""

    ts_ns: npt.NDArray[np.int64]
    phase: npt.NDArray[np.int8]


def status_phases(status: pa.Table, instrument_id: int) -> StatusPhases:
    """Phase changes that `bronze.shared.status` holds for `instrument_id`, by ts_event (spec 4.12).

    Messages that set no phase are left out; file order decides between equal times.
    """
    mine = status.filter(pc.equal(status["instrument_id"], instrument_id))
    ts_ns = mine["ts_event"].to_numpy().astype(np.int64)
    phase = np.array([PHASE_OF_ACTION.get(a, -1) for a in mine["action"].to_pylist()], np.int8)
    order = np.argsort(ts_ns, kind="stable")
    order = order[phase[order] >= 0]
    return StatusPhases(ts_ns[order], phase[order])


def to_status(records: npt.NDArray[Any]) -> pa.Table:
    """Table of `bronze.shared.status` from status records of any DBN version."""
    schema = table(DATASET_KEY).arrow_schema
    columns = []
    for field in schema:
        values = records[field.name].copy()
        if pa.types.is_dictionary(field.type):
            words = [raw.decode("latin-1") for raw in values.tolist()]
            columns.append(pa.array(words, pa.string()).dictionary_encode().cast(field.type))
        elif values.dtype == np.uint64:
            columns.append(pa.array(values.view(np.int64)))
        else:
            columns.append(pa.array(values, field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def _run(context: StageContext) -> None:
    dt = context.dt
    files = context.raw.require("status", dt)
    definitions = definitions_of(context)
    ids = set(outright_futures(definitions, [f.metadata for f in files], dt).only(context.symbol).symbols)
    reader = DayReader(files, dt)
    parts = [table(DATASET_KEY).empty()]
    for block in reader.blocks():
        mine = np.isin(block.records["instrument_id"], np.array(sorted(ids), np.uint32))
        parts.append(to_status(block.records[mine]))
    found = pa.concat_tables(parts).unify_dictionaries().combine_chunks()
    findings = []
    if found.num_rows == 0:
        findings.append(f"no_status: {reader.records:,} status records, none of {context.symbol} on {dt}")
    with context.writer(DATASET_KEY) as writer:
        writer.write(found)
        context.commit(
            writer,
            counters={**counts_of(reader), "kept": found.num_rows},
            **provenance(
                context,
                reader,
                "status",
                findings=findings,
            ),
        )


STAGE: Final = Stage(
    name="status",
    raw=("status",),
    optional_inputs=(DEFINITIONS_KEY,),
    outputs=(DATASET_KEY,),
    may_be_absent=lambda _: True,  # then the phase comes from the calendar and the records (4.8)
    run=_run,
)
