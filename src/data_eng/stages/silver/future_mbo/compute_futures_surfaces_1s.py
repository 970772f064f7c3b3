"""Book, walls, radar and trades of one future from one pass of the book engine (spec 4, 5.1-5.3, 5.7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import Final

import numpy as np
import pyarrow as pa

from data_eng.background import WriteBehind, prefetch
from data_eng.errors import LakeError, MissingDataError
from data_eng.instruments import tick_int
from data_eng.mbo import BRONZE_MBO_COLUMNS, MboColumns
from data_eng.sessions import parse_session, pause_intervals, utc_day_ns
from data_eng.stage import Stage, StageContext
from data_eng.stages.bronze.status import status_phases
from data_eng.stages.silver.future_mbo.book_engine import BookEngine, Windows
from data_eng.units import DAY_NS

MBO: Final = "bronze.future_mbo.mbo"
DEFINITIONS: Final = "bronze.shared.instrument_definitions"
STATUS: Final = "bronze.shared.status"
SNAPSHOT: Final = "silver.future_mbo.book_snapshot_1s"
WALL: Final = "silver.future_mbo.wall_surface_1s"
RADAR: Final = "silver.future_mbo.radar_vacuum_1s"
TRADE: Final = "silver.future_mbo.trade_event"
OUTPUTS: Final = (SNAPSHOT, WALL, RADAR, TRADE)
RECORDS_PER_CALL: Final = 131_072
"""records between two looks at progress and at Ctrl-C"""


def compute_futures_surfaces_1s(engine: BookEngine, records: Iterable[MboColumns]) -> Iterator[Windows]:
    """Rows of all windows, in blocks of bounded size, in order.

    Memory does not grow with the day: a block is handed over whenever the engine's buffers are full.
    """
    for columns in records:
        yield from engine.process(columns)
    yield engine.finish()


def _run(context: StageContext) -> None:
    where = f"{MBO} {context.symbol} {context.dt}"
    again = f"spymaster ingest --dt {context.dt} --symbol {context.symbol}"
    batches = prefetch(context.iter_batches(MBO, BRONZE_MBO_COLUMNS), depth=1)
    total = context.manifest(MBO).row_count
    with ExitStack() as stack:
        writers = {name: stack.enter_context(context.writer(name)) for name in OUTPUTS if context.wants(name)}

        emitted = 0

        def write(windows: Windows) -> None:
            nonlocal emitted
            emitted += windows.book_snapshot_1s.num_rows
            for name, writer in writers.items():
                rows: pa.Table = getattr(windows, name.rsplit(".", 1)[1])
                if rows.num_rows:
                    writer.write(rows)

        engine: BookEngine | None = None
        done = 0
        with WriteBehind(write) as sink:
            for batch in batches:
                columns = MboColumns.from_bronze(batch)
                if columns.rows == 0:
                    continue
                if engine is None:
                    session = parse_session(context.params.session, context.dt)
                    engine = day_engine(
                        context,
                        int(columns.instrument_id[0]),
                        emit_from_ns=None if session.is_full else session.start_ns,
                        emit_to_ns=None if session.is_full else session.end_ns,
                        wall=context.wants(WALL),
                        radar=context.wants(RADAR),
                    )
                if (columns.instrument_id != columns.instrument_id[0]).any():
                    raise LakeError(
                        f"{where} holds records of several instruments, expected one; rebuild it:"
                        f" {again} --force"
                    )
                for start in range(0, columns.rows, RECORDS_PER_CALL):
                    part = columns.part(start, start + RECORDS_PER_CALL)
                    for windows in engine.process(part):
                        sink.put(windows)
                    done += part.rows
                    context.advance(done, total)
            if engine is None:
                raise MissingDataError(
                    f"{where} holds no record, expected the day's MBO; ingest a file that covers the date:"
                    f" {again} --raw PATH"
                )
            sink.put(engine.finish())
        counters = engine.counters()
        warnings = [] if emitted else [no_window_text(where, context.params.session, counters)]
        for line in warnings:
            context.report.warn(line)
        context.commit(*writers.values(), counters=counters, warnings=warnings)


def no_window_text(where: str, session: str, counters: Mapping[str, int]) -> str:
    """Why a pass with records has made no window: the warning of its tables (spec 4.7)."""
    records, snapshots, late = (counters[name] for name in ("records", "snapshot_records", "late_records"))
    if records == snapshots:
        why = f"all {records:,} records of {where} belong to snapshots, and only a later one opens a window"
        cure = "ingest a file that goes on behind its snapshot"
    else:
        why = (
            f"none of the {records - snapshots:,} records of {where} behind a snapshot opens a window in"
            f" session {session} ({late:,} of them are late)"
        )
        cure = "choose another --session, or see: spymaster inspect flags"
    return f"no_window: {why}; every table is empty; {cure}"


def day_engine(
    context: StageContext,
    instrument_id: int,
    *,
    emit_from_ns: int | None = None,
    emit_to_ns: int | None = None,
    wall: bool = True,
    radar: bool = True,
) -> BookEngine:
    """Engine of one contract and date: its tick, the exchange's pauses and status messages.

    The stage declares `DEFINITIONS` and `STATUS` as optional inputs.
    """
    day_start, day_end = utc_day_ns(context.dt)
    status = None
    if context.has(STATUS):
        changes = status_phases(context.read(STATUS), instrument_id)
        status = np.column_stack([changes.ts_ns, changes.phase.astype(np.int64)])
    definitions = context.read(DEFINITIONS) if context.has(DEFINITIONS) else None
    return BookEngine(
        instrument_id,
        tick_int=tick_int(definitions, context.symbol, context.dt),
        # a pause that began before the file still decides how the file begins
        pauses=pause_intervals(day_start - 8 * DAY_NS, day_end + DAY_NS),
        status=status,
        emit_from_ns=emit_from_ns,
        emit_to_ns=emit_to_ns,
        wall=wall,
        radar=radar,
    )


STAGE: Final = Stage(
    name="futures_surfaces",
    inputs=(MBO,),
    optional_inputs=(DEFINITIONS, STATUS),
    outputs=OUTPUTS,
    params=("session",),
    engine_pass=True,
    run=_run,
)
