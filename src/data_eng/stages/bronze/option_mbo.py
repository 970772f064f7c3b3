"""bronze.future_option_mbo.mbo: MBO records of the options on a contract that expire on the date (spec 3.3).

The same rows, laws and checks as `future_mbo`, with the terms of the option beside each record. Terms come
from the definitions by instrument_id, never from the symbol. Instruments interleave as in the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from operator import attrgetter
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_eng.dbn_reader import DbnMetadata
from data_eng.errors import MissingDataError
from data_eng.instruments import CLASS_FUTURE, OPTION_CLASSES, UNDEF_EXPIRATION, definitions_as_of
from data_eng.raw_files import DayReader, OverlapGuard, RawFile
from data_eng.schema import table
from data_eng.sessions import expires_on
from data_eng.stage import Stage, StageContext
from data_eng.stages.bronze.definitions import DATASET_KEY as DEFINITIONS_KEY
from data_eng.stages.bronze.definitions import definitions_of
from data_eng.stages.bronze.feed_check import FeedCheck
from data_eng.stages.bronze.mbo_rows import to_bronze
from data_eng.stages.bronze.provenance import provenance

DATASET_KEY: Final = "bronze.future_option_mbo.mbo"
USER_DEFINED_PREFIX: Final = "UD:"

KEPT: Final = "kept"
SPREAD: Final = "spreads"
USER_DEFINED: Final = "user_defined"
OTHER_EXPIRY: Final = "other_expiries"
NO_OPTION: Final = "no_options"
UNKNOWN: Final = "unmapped"
GROUPS: Final = (KEPT, SPREAD, USER_DEFINED, OTHER_EXPIRY, NO_OPTION, UNKNOWN)
"""what becomes of a record; everything but `kept` is dropped and counted"""


@dataclass(frozen=True)
class OptionChain:
    """0DTE options of a contract on a date, in the order of instrument_id.

    ids uint32[k] ascending; terms: one row per id with the columns symbol, underlying, right, strike (1e-9
    points) and expiration (UTC ns) of the Bronze table. group_of: instrument_id -> why a record of any
    other known instrument is dropped.
    """

    ids: npt.NDArray[np.uint32]
    terms: pa.RecordBatch
    group_of: dict[int, str]

    def with_terms(self, records: npt.NDArray[Any]) -> pa.RecordBatch:
        """Batch of `bronze.future_option_mbo.mbo` from records of the chain; all columns are copied."""
        rows = to_bronze(records)
        chosen = self.terms.take(pa.array(np.searchsorted(self.ids, records["instrument_id"])))
        return pa.RecordBatch.from_arrays([*rows.columns, *chosen.columns], schema=_schema())


def option_chain(
    definitions: pa.Table, headers: Iterable[DbnMetadata], contract: str, dt: str
) -> OptionChain:
    """Options that are kept (spec 3.3): class C or P as of `dt`, on `contract`, expiring on `dt` in Chicago.

    Spreads, user-defined instruments ("UD:"), symbols with "-" and other expiries are dropped; `headers`
    name instruments that the definitions do not.
    """
    groups: dict[int, str] = {}
    for header in headers:
        for number, symbol in header.symbols_on(date.fromisoformat(dt)).items():
            groups[number] = _group_by_symbol(symbol)
    kept: dict[int, dict[str, Any]] = {}
    for row in definitions_as_of(definitions, dt).to_pylist():
        group = _group_by_definition(row, contract, dt)
        groups[row["instrument_id"]] = group
        if group == KEPT:
            kept[row["instrument_id"]] = {
                "symbol": row["raw_symbol"],
                "underlying": row["underlying"],
                "right": row["instrument_class"],
                "strike": row["strike_price"],
                "expiration": row["expiration"],
            }
    ids = np.array(sorted(kept), np.uint32)
    schema = _schema()
    names = ("symbol", "underlying", "right", "strike", "expiration")
    terms = pa.RecordBatch.from_arrays(
        [pa.array([kept[int(i)][name] for i in ids], schema.field(name).type) for name in names], names=names
    )
    return OptionChain(ids, terms, {i: g for i, g in groups.items() if g != KEPT})


def _group_by_definition(row: dict[str, Any], contract: str, dt: str) -> str:
    if row["raw_symbol"].startswith(USER_DEFINED_PREFIX):
        return USER_DEFINED
    if row["instrument_class"] == CLASS_FUTURE:
        return NO_OPTION
    if row["instrument_class"] not in OPTION_CLASSES or "-" in row["raw_symbol"]:
        return SPREAD
    today = date.fromisoformat(dt)
    if row["expiration"] == UNDEF_EXPIRATION or expires_on(row["expiration"]) != today:
        return OTHER_EXPIRY
    return KEPT if row["underlying"] == contract else NO_OPTION


def _group_by_symbol(symbol: str) -> str:
    """For instruments that only the header names."""
    if symbol.startswith(USER_DEFINED_PREFIX):
        return USER_DEFINED
    return SPREAD if "-" in symbol else NO_OPTION


@dataclass
class OptionMboReport:
    """Records by group, instruments seen, and what the checks of 3.1 counted."""

    groups: Counter[str] = field(default_factory=Counter)
    instruments: int = 0
    skipped: int = 0
    outside: int = 0
    order_violations: int = 0
    broken_clocks: int = 0
    unended_events: int = 0
    late: int = 0
    examples: list[str] = field(default_factory=list)

    def counters(self) -> dict[str, int]:
        """The counts as a manifest stores them."""
        return {
            "records": self.groups[KEPT],
            **{f"dropped_{name}": self.groups[name] for name in GROUPS if name != KEPT},
            "instruments": self.instruments,
            "other_rtype_records": self.skipped,
            "outside_dt_records": self.outside,
            "order_violations": self.order_violations,
            "broken_clocks": self.broken_clocks,
            "unended_events": self.unended_events,
            "late_records": self.late,
        }


def ingest_option_mbo(
    reader: DayReader,
    chain: OptionChain,
    write: Callable[[pa.RecordBatch], None],
    *,
    strict: bool = False,
    advance: Callable[[int], None] | None = None,
) -> OptionMboReport:
    """Stream the day's records of the chain to `write`, checked, in file order.

    Raises `RawDataError` as `FeedCheck` and `OverlapGuard` do; what was written before has to be discarded.
    """
    report = OptionMboReport()
    check, guard = FeedCheck(reader.dt, chain.ids), OverlapGuard(chain.ids)
    seen = np.zeros(len(chain.ids), np.bool_)
    current: RawFile | None = None
    done = 0
    for block in reader.blocks():
        if current is not None and block.file is not current:
            check.end_of_file(current, strict=strict)
        current = block.file
        done += len(block.records)
        ids = block.records["instrument_id"]
        wanted = np.isin(ids, chain.ids)
        mine = block.where(wanted)
        if len(mine.records) < len(ids):
            for number, count in zip(*np.unique(ids[~wanted], return_counts=True), strict=True):
                report.groups[chain.group_of.get(int(number), UNKNOWN)] += int(count)
        if len(mine.records):
            guard.check(mine)
            check.examine(mine)
            seen[np.searchsorted(chain.ids, mine.records["instrument_id"])] = True
            report.groups[KEPT] += len(mine.records)
            write(chain.with_terms(mine.records))
        if advance is not None:
            advance(done)
    if current is not None:
        check.end_of_file(current, strict=strict)
    report.instruments = int(np.count_nonzero(seen))
    report.skipped, report.outside = reader.skipped, reader.outside
    report.order_violations, report.broken_clocks = check.order_violations, check.broken_clocks
    report.unended_events = check.unended_events
    report.late, report.examples = check.late, check.examples
    return report


def _schema() -> pa.Schema:
    return table(DATASET_KEY).arrow_schema


def _run(context: StageContext) -> None:
    dt, symbol, catalogue = context.dt, context.symbol, context.raw
    every = catalogue.require("mbo", dt)
    defined = definitions_of(context)
    if defined is None:
        defined = table(DEFINITIONS_KEY).empty()
    chain = option_chain(defined, [f.metadata for f in every], symbol, dt)
    ids = {int(i) for i in chain.ids}
    files = catalogue.files_for("mbo", dt, instrument_ids=ids) if ids else ()
    if not context.params.no_gex and (len(chain.ids) == 0 or not files):
        raise MissingDataError(
            f"{catalogue.root}: no option MBO of {symbol} for {dt}: the definitions name {len(chain.ids)} "
            f"options that expire that day, {len(files)} files hold any; fetch that day's option parent and "
            "its definitions, or run the futures part with --no-gex"
        )
    reader = DayReader(files, dt)
    with context.writer(DATASET_KEY) as writer:
        report = ingest_option_mbo(
            reader, chain, writer.write, strict=context.params.strict, advance=context.advance
        )
        context.commit(
            writer,
            counters={"options_defined": len(chain.ids), **report.counters()},
            **provenance(
                context,
                reader,
                "mbo",
                examples=report.examples,
                findings=[] if report.groups[KEPT] else ["no_options"],
            ),
        )


STAGE: Final = Stage(
    name="option_mbo",
    raw=("mbo",),
    optional_inputs=(DEFINITIONS_KEY,),
    outputs=(DATASET_KEY,),
    params=("no_gex", "strict"),
    may_be_absent=attrgetter("no_gex"),
    run=_run,
)
