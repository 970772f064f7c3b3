"""bronze.future_mbo.mbo: the MBO records of one outright future, as they stood in the file (spec 3.1).

Laws. 1 Lossless: a partition converts back to the same 56-byte records (`to_dbn_records`).
      2 Row order is file order. No sort, no time filter but the UTC day of ts_recv, no repair.
      3 What cannot be true is refused with its place: an A or M without price. What can happen to a good
        file is counted and shown: records out of (ts_event, sequence) order, clocks that cannot be right;
        above 0.01 % of the records, or with --strict, the file is refused.
Memory does not grow with the day: blocks of 1 MiB go through, and of each instrument only the last
(ts_event, sequence) and the newest window stay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_eng.dbn_codes import ACTION_TRADE
from data_eng.errors import MissingDataError, RawDataError
from data_eng.instruments import Outrights, outright_futures
from data_eng.raw_files import DayReader, OverlapGuard, RawFile
from data_eng.stage import Stage, StageContext
from data_eng.stages.bronze.definitions import DATASET_KEY as DEFINITIONS_KEY
from data_eng.stages.bronze.definitions import NO_DEFINITIONS, definitions_of
from data_eng.stages.bronze.feed_check import FeedCheck
from data_eng.stages.bronze.mbo_rows import to_bronze
from data_eng.stages.bronze.provenance import provenance

DATASET_KEY: Final = "bronze.future_mbo.mbo"
Write = Callable[[str, pa.RecordBatch], None]
"""takes the contract symbol and a batch of its rows"""


# ------------------------------------------------------------------------------------------ ingest


@dataclass
class FutureMboReport:
    """What became of the records of one day.

    rows: contract -> records kept. volumes: contract -> sum of T sizes. The rest are record counts:
    other_instruments are known but not asked for, unmapped appear in no definition and no mapping,
    skipped are of other rtypes, outside lie on another UTC day.
    """

    rows: dict[str, int] = field(default_factory=dict)
    volumes: dict[str, int] = field(default_factory=dict)
    other_instruments: int = 0
    unmapped: int = 0
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
            "records": sum(self.rows.values()),
            "other_instrument_records": self.other_instruments,
            "unmapped_records": self.unmapped,
            "other_rtype_records": self.skipped,
            "outside_dt_records": self.outside,
            "order_violations": self.order_violations,
            "broken_clocks": self.broken_clocks,
            "unended_events": self.unended_events,
            "late_records": self.late,
        }


def ingest_future_mbo(
    reader: DayReader,
    outrights: Outrights,
    write: Write,
    *,
    strict: bool = False,
    advance: Callable[[int], None] | None = None,
) -> FutureMboReport:
    """Stream the day's records of every contract in `outrights` to `write`, checked, in file order.

    `advance` is told the number of records read so far. Raises `RawDataError` as `FeedCheck` and
    `OverlapGuard` do; what was written before it has to be discarded.
    """
    report = FutureMboReport()
    wanted = np.array(sorted(outrights.symbols), np.uint32)
    known = np.array(sorted(outrights.known | set(outrights.symbols)), np.uint32)
    check, guard = FeedCheck(reader.dt, wanted), OverlapGuard(wanted)
    current: RawFile | None = None
    done = 0
    for block in reader.blocks():
        if current is not None and block.file is not current:
            check.end_of_file(current, strict=strict)
        current = block.file
        done += len(block.records)
        mine = block.where(np.isin(block.records["instrument_id"], wanted))
        if len(mine.records) < len(block.records):
            _count_foreign(report, block.records["instrument_id"], wanted, known)
        if len(mine.records):
            guard.check(mine)
            check.examine(mine)
            _write_contracts(report, mine.records, outrights.symbols, write)
        if advance is not None:
            advance(done)
    if current is not None:
        check.end_of_file(current, strict=strict)
    report.skipped, report.outside = reader.skipped, reader.outside
    report.order_violations, report.broken_clocks = check.order_violations, check.broken_clocks
    report.unended_events = check.unended_events
    report.late, report.examples = check.late, check.examples
    return report


def _write_contracts(
    report: FutureMboReport, records: npt.NDArray[Any], symbols: dict[int, str], write: Write
) -> None:
    ids = records["instrument_id"]
    uniform = bool((ids == ids[0]).all())  # one contract per file is the usual case
    for instrument_id in ids[:1] if uniform else np.unique(ids):
        rows = records if uniform else records[ids == instrument_id]
        symbol = symbols[int(instrument_id)]
        write(symbol, to_bronze(rows))
        report.rows[symbol] = report.rows.get(symbol, 0) + len(rows)
        report.volumes[symbol] = report.volumes.get(symbol, 0) + traded_qty(rows)


def traded_qty(records: npt.NDArray[Any]) -> int:
    """Sum of the sizes of the trade records (T), in contracts."""
    return int(records["size"][records["action"] == ACTION_TRADE].sum(dtype=np.int64))


def _count_foreign(
    report: FutureMboReport,
    ids: npt.NDArray[np.uint32],
    wanted: npt.NDArray[np.uint32],
    known: npt.NDArray[np.uint32],
) -> None:
    foreign = ids[~np.isin(ids, wanted)]
    named = int(np.count_nonzero(np.isin(foreign, known)))
    report.other_instruments += named
    report.unmapped += len(foreign) - named


# ------------------------------------------------------------------------------------------- stage


def choose_outright(outrights: Outrights, symbol: str, files: tuple[RawFile, ...], dt: str) -> Outrights:
    """`outrights` reduced to `symbol`. Raises `RawDataError` when the files do not hold that contract."""
    mine = outrights.only(symbol)
    if not mine.symbols:
        held = ", ".join(sorted(outrights.symbols.values())) or "no outright future"
        names = ", ".join(f.path.name for f in files)
        raise RawDataError(
            f"{names}: {symbol} is not in it on {dt}; {outrights.source} name {held}; choose one of them "
            "with --symbol, or give the definition file of the date"
        )
    return mine


def _run(context: StageContext) -> None:
    dt, symbol, catalogue = context.dt, context.symbol, context.raw
    definitions = definitions_of(context)
    files = catalogue.require("mbo", dt)
    outrights = outright_futures(definitions, [f.metadata for f in files], dt)
    mine = choose_outright(outrights, symbol, files, dt)
    reader = DayReader(catalogue.require("mbo", dt, instrument_ids=set(mine.symbols)), dt)
    if unused := catalogue.not_used_text(dt):
        context.report.note(unused)
    with context.writer(DATASET_KEY) as writer:
        report = ingest_future_mbo(
            reader,
            mine,
            lambda _, batch: writer.write(batch),
            strict=context.params.strict,
            advance=context.advance,
        )
        if not report.rows:
            raise MissingDataError(
                f"{', '.join(f.path.name for f in reader.files)}: {reader.records:,} MBO records, none of "
                f"{symbol} received on {dt}; choose another --dt or --symbol, or fetch that date"
            )
        context.commit(
            writer,
            counters=report.counters(),
            **provenance(
                context,
                reader,
                "mbo",
                examples=report.examples,
                findings=[] if outrights.source == "definitions" else [NO_DEFINITIONS],
            ),
        )


STAGE: Final = Stage(
    name="future_mbo",
    raw=("mbo",),
    optional_inputs=(DEFINITIONS_KEY,),
    outputs=(DATASET_KEY,),
    params=("strict",),
    run=_run,
)
