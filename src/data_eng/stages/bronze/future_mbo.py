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

from data_eng.dbn_codes import (
    ACTION_ADD,
    ACTION_MODIFY,
    ACTION_TRADE,
    F_SNAPSHOT,
    MBO_RECORD_BYTES,
)
from data_eng.errors import MissingDataError, RawDataError
from data_eng.instruments import Outrights, outright_futures
from data_eng.mbo import MBO_DTYPE, character_codes
from data_eng.raw_files import DayBlock, DayReader, OverlapGuard, RawFile
from data_eng.schema import table
from data_eng.sessions import utc_day_ns
from data_eng.stage import Stage, StageContext
from data_eng.units import HOUR_NS, UNDEF_PRICE, WINDOW_NS

DATASET_KEY: Final = "bronze.future_mbo.mbo"
DEFINITIONS_KEY: Final = "bronze.shared.instrument_definitions"
NO_DEFINITIONS: Final = "no_definitions"
MAX_DISORDER: Final = 1e-4
"""largest share of records out of order before a file is refused (spec 3.1)"""
MAX_AHEAD_NS: Final = 1_000_000_000
"""ts_event later than ts_recv by more than this is a broken clock (spec 4.7)"""
_SHOWN: Final = 5
_CODES_OF: Final = {"action": "ACMTFRN", "side": "ABN"}
"""words of the dictionary columns in a fixed order, so that any batch size gives the same bytes"""
_MOST_CODES: Final = 128
"""indices of the dictionary columns are int8"""

Write = Callable[[str, pa.RecordBatch], None]
"""takes the contract symbol and a batch of its rows"""


# ------------------------------------------------------------------------------------- conversion


def to_bronze(records: npt.NDArray[Any]) -> pa.RecordBatch:
    """Batch of `bronze.future_mbo.mbo` from records of `MBO_DTYPE`; every column is copied.

    Raises `RawDataError` when there are more than 128 different action or side bytes.
    """
    schema = table(DATASET_KEY).arrow_schema
    columns = []
    for name in schema.names:
        values = records[name].copy()  # the block's buffer is used again
        if name in _CODES_OF:
            columns.append(_code_column(name, values))
        elif values.dtype == np.uint64 and schema.field(name).type == pa.int64():
            columns.append(pa.array(values.view(np.int64)))
        else:
            columns.append(pa.array(values))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def to_dbn_records(batch: pa.RecordBatch) -> npt.NDArray[Any]:
    """The 56-byte DBN records (array of `MBO_DTYPE`) that a batch of an MBO table was made from.

    Option batches (3.3) convert alike; their additional columns are ignored.
    """
    records = np.zeros(batch.num_rows, MBO_DTYPE)
    records["length"] = MBO_RECORD_BYTES // 4
    for name in table(DATASET_KEY).arrow_schema.names:
        if name in _CODES_OF:
            records[name] = character_codes(batch.column(name))
        else:
            values = batch.column(name).to_numpy(zero_copy_only=True)
            records[name] = values.view(np.uint64) if MBO_DTYPE[name] == np.uint64 else values
    return records


def _code_column(name: str, codes: npt.NDArray[np.uint8]) -> pa.DictionaryArray:
    words = [ord(c) for c in _CODES_OF[name]]
    lookup = np.full(256, -1, np.int16)
    lookup[words] = np.arange(len(words))
    indices = lookup[codes]
    if len(indices) and indices.min() < 0:
        words += [int(c) for c in np.unique(codes[indices < 0])]
        if len(words) > _MOST_CODES:
            raise RawDataError(
                f"MBO records hold {len(words)} different {name} bytes, expected a few of "
                f"{', '.join(_CODES_OF[name])}; the file is corrupt, fetch it again"
            )
        lookup[words] = np.arange(len(words))
        indices = lookup[codes]
    return pa.DictionaryArray.from_arrays(
        pa.array(indices.astype(np.int8)), pa.array([chr(word) for word in words], pa.string())
    )


# ------------------------------------------------------------------------------------------ checks


@dataclass
class _InstrumentState:
    """What of an instrument's past the checks need."""

    ts_event: int = -(1 << 63)
    sequence: int = 0
    newest_window: int = -(1 << 63)


@dataclass
class FeedCheck:
    """Ingest checks of one UTC day, fed with blocks of one instrument each; the result does not depend on
    how the stream is cut into blocks.

    order_violations: plain records before their predecessor in (ts_event, sequence). broken_clocks: plain
    records whose ts_event cannot be right (4.7). late: those, and plain records of an older window.
    `examples`: the first five, in words.
    """

    dt: str
    records: int = 0
    plain: int = 0
    order_violations: int = 0
    broken_clocks: int = 0
    late: int = 0
    examples: list[str] = field(default_factory=list)
    _states: dict[int, _InstrumentState] = field(default_factory=dict)
    _file_records: int = 0
    _file_offenders: int = 0

    def examine(self, block: DayBlock, instrument_id: int) -> None:
        """Check a block that holds records of `instrument_id` only.

        Raises `RawDataError` for an A or M with UNDEF price.
        """
        records = block.records
        self.records += len(records)
        self._file_records += len(records)
        _refuse_undefined_price(block)
        plain = np.flatnonzero((records["flags"] & F_SNAPSHOT) == 0)
        if not len(plain):
            return
        self.plain += len(plain)
        state = self._states.setdefault(instrument_id, _InstrumentState())
        ts_event = records["ts_event"][plain].view(np.int64)
        sequence = records["sequence"][plain].astype(np.int64)
        before_ts = np.concatenate(([state.ts_event], ts_event[:-1]))
        before_seq = np.concatenate(([state.sequence], sequence[:-1]))
        back = (ts_event < before_ts) | ((ts_event == before_ts) & (sequence < before_seq))
        broken = self._broken_clocks(ts_event, records["ts_recv"][plain].view(np.int64))
        late = broken | self._older_windows(ts_event, broken, state)
        state.ts_event, state.sequence = int(ts_event[-1]), int(sequence[-1])
        self.order_violations += int(np.count_nonzero(back))
        self.broken_clocks += int(np.count_nonzero(broken))
        self.late += int(np.count_nonzero(late))
        offenders = np.flatnonzero(back | broken)
        self._file_offenders += len(offenders)
        for i in offenders[: _SHOWN - len(self.examples)]:
            what = "impossible ts_event" if broken[i] else "out of order"
            self.examples.append(
                f"record {block.positions[plain[i]]:,} of {block.file.path.name} ({what}): ts_event "
                f"{ts_event[i]} sequence {sequence[i]} after ts_event {before_ts[i]} sequence {before_seq[i]}"
            )

    def end_of_file(self, file: RawFile, *, strict: bool) -> None:
        """Refuse `file` when too many of its records are out of order (spec 3.1)."""
        offenders, records = self._file_offenders, self._file_records
        self._file_offenders = self._file_records = 0
        allowed = 0 if strict else MAX_DISORDER * records
        if offenders > allowed:
            limit = "none (--strict)" if strict else f"{MAX_DISORDER:.2%}"
            raise RawDataError(
                f"{file.path}: {offenders:,} of {records:,} records ({offenders / records:.3%}) are out of "
                f"(ts_event, sequence) order or have an impossible ts_event, allowed {limit}; first: "
                f"{'; '.join(self.examples)}; fetch the file again"
            )

    def _broken_clocks(
        self, ts_event: npt.NDArray[np.int64], ts_recv: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        start, end = utc_day_ns(self.dt)
        ahead = ts_event - MAX_AHEAD_NS > ts_recv
        return np.asarray(ahead | (ts_event < start - HOUR_NS) | (ts_event >= end + HOUR_NS))

    def _older_windows(
        self, ts_event: npt.NDArray[np.int64], broken: npt.NDArray[np.bool_], state: _InstrumentState
    ) -> npt.NDArray[np.bool_]:
        windows = ts_event // WINDOW_NS
        moving = np.where(broken, state.newest_window, windows)
        newest = np.maximum(np.maximum.accumulate(moving), state.newest_window)
        state.newest_window = int(newest[-1])
        return np.asarray(~broken & (windows < newest))


def _refuse_undefined_price(block: DayBlock) -> None:
    records = block.records
    undefined = records["price"] == UNDEF_PRICE
    if not undefined.any():
        return
    action = records["action"]
    wrong = np.flatnonzero(undefined & ((action == ACTION_ADD) | (action == ACTION_MODIFY)))
    if len(wrong):
        raise RawDataError(
            f"{block.file.path}: record {block.positions[wrong[0]]:,} is {chr(action[wrong[0]])} of order "
            f"{records['order_id'][wrong[0]]} with UNDEF price, expected a price; fetch the file again"
        )


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
    check, guard = FeedCheck(reader.dt), OverlapGuard()
    wanted = np.array(sorted(outrights.symbols), np.uint32)
    known = np.array(sorted(outrights.known | set(outrights.symbols)), np.uint32)
    current: RawFile | None = None
    done = 0
    for block in reader.blocks():
        if current is not None and block.file is not current:
            check.end_of_file(current, strict=strict)
        current = block.file
        for instrument_id in _instruments(block):
            if instrument_id not in outrights.symbols:
                continue
            symbol = outrights.symbols[instrument_id]
            mine = block.where(block.records["instrument_id"] == instrument_id)
            guard.check(mine, instrument_id)
            check.examine(mine, instrument_id)
            write(symbol, to_bronze(mine.records))
            report.rows[symbol] = report.rows.get(symbol, 0) + len(mine.records)
            report.volumes[symbol] = report.volumes.get(symbol, 0) + traded_qty(mine.records)
        _count_foreign(report, block, wanted, known)
        done += len(block.records)
        if advance is not None:
            advance(done)
    if current is not None:
        check.end_of_file(current, strict=strict)
    report.skipped, report.outside = reader.skipped, reader.outside
    report.order_violations, report.broken_clocks = check.order_violations, check.broken_clocks
    report.late, report.examples = check.late, check.examples
    return report


def traded_qty(records: npt.NDArray[Any]) -> int:
    """Sum of the sizes of the trade records (T), in contracts."""
    return int(records["size"][records["action"] == ACTION_TRADE].sum(dtype=np.int64))


def _instruments(block: DayBlock) -> list[int]:
    ids = block.records["instrument_id"]
    if (ids == ids[0]).all():  # one contract per file is the usual case
        return [int(ids[0])]
    return [int(i) for i in np.unique(ids)]


def _count_foreign(
    report: FutureMboReport,
    block: DayBlock,
    wanted: npt.NDArray[np.uint32],
    known: npt.NDArray[np.uint32],
) -> None:
    ids = block.records["instrument_id"]
    if len(wanted) == 1 and (ids == wanted[0]).all():
        return
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
    definitions = context.read(DEFINITIONS_KEY) if context.has(DEFINITIONS_KEY) else None
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
        warnings = [f"order: {line}" for line in report.examples]
        warnings += [f"unverified: {line}" for line in reader.reasons]
        if outrights.source != "definitions":
            warnings.append(NO_DEFINITIONS)
        for line in warnings:
            context.report.warn(line)
        context.commit(
            writer,
            counters=report.counters(),
            warnings=warnings,
            raw_inputs=catalogue.identity("mbo", dt),
            origin=reader.origin,
            verified=reader.verified,
        )


STAGE: Final = Stage(
    name="future_mbo",
    raw=("mbo",),
    optional_inputs=(DEFINITIONS_KEY,),
    outputs=(DATASET_KEY,),
    params=("strict",),
    run=_run,
)
