"""bronze.shared.instrument_definitions: who is who on a date, one row per definition message (spec 3.2).

The partition of a contract holds its own definition and those of every instrument on it (`underlying`), in
file order. `data_eng.instruments.definitions_as_of` answers what was valid at 00:00 UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data_eng.errors import MissingDataError
from data_eng.instruments import CLASS_FUTURE, definitions_as_of
from data_eng.raw_files import DayReader
from data_eng.schema import table
from data_eng.stage import Stage, StageContext
from data_eng.stages.bronze.provenance import counts_of, provenance

DATASET_KEY: Final = "bronze.shared.instrument_definitions"
NO_DEFINITIONS: Final = "no_definitions"
_SHOWN: Final = 8


def to_definitions(records: npt.NDArray[Any]) -> pa.Table:
    """Table of `bronze.shared.instrument_definitions` from definition records of any DBN version."""
    schema = table(DATASET_KEY).arrow_schema
    columns = []
    for field in schema:
        values = records[field.name].copy()
        if pa.types.is_string(field.type):
            columns.append(pa.array(_texts(values), pa.string()))
        elif values.dtype == np.uint64:
            columns.append(pa.array(values.view(np.int64)))
        else:
            columns.append(pa.array(values, field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def of_contract(records: npt.NDArray[Any], symbol: str) -> npt.NDArray[np.bool_]:
    """bool[n]: definitions that belong to the partition of `symbol`."""
    name = symbol.encode("ascii")
    own = (records["instrument_class"] == CLASS_FUTURE.encode()) & (records["raw_symbol"] == name)
    return np.asarray(own | (records["underlying"] == name))


def collect_definitions(blocks: Iterable[npt.NDArray[Any]], symbol: str) -> Iterator[pa.Table]:
    """Tables of the definitions on `symbol`, one per block that holds any, in file order."""
    for records in blocks:
        mask = of_contract(records, symbol)
        if mask.any():
            yield to_definitions(records[mask])


def definitions_of(context: StageContext) -> pa.Table | None:
    """Definitions of the run's contract where the lake holds them, for stages that can do without."""
    return context.read(DATASET_KEY) if context.has(DATASET_KEY) else None


def _texts(values: npt.NDArray[Any]) -> list[str]:
    """C strings: what stands before the first zero byte."""
    return [raw.split(b"\0", 1)[0].decode("utf-8", "replace") for raw in values.tolist()]


def _run(context: StageContext) -> None:
    reader = DayReader(context.raw.require("definition", context.dt), context.dt)
    others: set[str] = set()

    def blocks() -> Iterator[npt.NDArray[Any]]:
        for block in reader.blocks():
            futures = block.records[block.records["instrument_class"] == CLASS_FUTURE.encode()]
            others.update(_texts(futures["raw_symbol"]))
            yield block.records

    found = pa.concat_tables(
        [table(DATASET_KEY).empty(), *collect_definitions(blocks(), context.symbol)]
    ).combine_chunks()
    findings = []
    current = definitions_as_of(found, context.dt)
    if not pc.any(pc.equal(current["raw_symbol"], context.symbol)).as_py():
        names = ", ".join(f.path.name for f in reader.files)
        held = sorted(others)
        shown = ", ".join(held[:_SHOWN]) + (f" and {len(held) - _SHOWN} more" if len(held) > _SHOWN else "")
        text = f"{names}: no definition of {context.symbol} valid at 00:00 UTC of {context.dt}"
        if not context.params.no_gex:
            raise MissingDataError(
                f"{text}, found the futures {shown or '(none)'}; choose --symbol, fetch the definitions of "
                "the date, or run with --no-gex on the default tick"
            )
        findings.append(NO_DEFINITIONS)
    with context.writer(DATASET_KEY) as writer:
        writer.write(found)
        context.commit(
            writer,
            counters={**counts_of(reader), "kept": found.num_rows},
            **provenance(
                context,
                reader,
                "definition",
                findings=findings,
            ),
        )


STAGE: Final = Stage(
    name="definitions",
    raw=("definition",),
    outputs=(DATASET_KEY,),
    params=("no_gex",),
    may_be_absent=attrgetter("no_gex"),  # only the futures part may run on the default tick
    run=_run,
)
