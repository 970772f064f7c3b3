"""What happened before the first emitted window of a narrower `--session` (spec 4.12).

The wall then lacks the windows before, yet differences and trade ages must be the true ones. They are not
guessed: the engine runs over bronze once more, emits only what lies before the session, and the last windows
of that are kept. It costs one pass of the engine up to the session's start and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_eng.background import prefetch
from data_eng.instruments import tick_int
from data_eng.mbo import BRONZE_MBO_COLUMNS, MboColumns
from data_eng.physics_terms import HISTORY_WINDOWS, TermsWalk
from data_eng.schema import table
from data_eng.sessions import parse_session, pause_intervals, utc_day_ns
from data_eng.stage import StageContext
from data_eng.stages.bronze.status import status_phases
from data_eng.stages.silver.future_mbo.book_engine import BookEngine, Windows
from data_eng.units import DAY_NS, WINDOW_NS

MBO: Final = "bronze.future_mbo.mbo"
DEFINITIONS: Final = "bronze.shared.instrument_definitions"
STATUS: Final = "bronze.shared.status"
WALL: Final = "silver.future_mbo.wall_surface_1s"
SOURCES: Final = (MBO, DEFINITIONS, STATUS)
"""optional inputs of a stage that asks for a history"""
UNKNOWN: Final = "session_history_unknown"
"""manifest warning: bronze is gone, so the first windows of the session begin with zero history"""
_KEY: Final = "window_end_ts_ns"


@dataclass
class SessionHistory:
    """Windows of a run before its first emitted one.

    first_window_end_ns: end of the run's first wall window, None when none lies before the session.
    wall: wall rows of the last three windows before the session. trades: all trades before it, as
    `trade_event` rows.
    """

    first_window_end_ns: int | None = None
    wall: pa.Table = field(default_factory=lambda: table(WALL).empty())
    trades: list[pa.Table] = field(default_factory=list)

    def walk(self) -> TermsWalk:
        """A walk that has seen the history."""
        walk = TermsWalk(self.first_window_end_ns)
        for batch in self.wall.combine_chunks().to_batches():
            walk.block(batch)
        return walk

    def keep(self, windows: Windows, before_ns: int) -> None:
        """Take what the engine finished; only windows near `before_ns` are kept."""
        rows = windows.wall_surface_1s
        if rows.num_rows and self.first_window_end_ns is None:
            self.first_window_end_ns = int(rows[_KEY][0].as_py())
        near = pc.greater(rows[_KEY], before_ns - HISTORY_WINDOWS * WINDOW_NS)
        self.wall = pa.concat_tables([self.wall, rows.filter(near)])
        if windows.trade_event.num_rows:
            self.trades.append(windows.trade_event)


def history_before(engine: BookEngine, records: Iterable[MboColumns], before_ns: int) -> SessionHistory:
    """Run `engine`, which emits windows up to `before_ns` only, until those are finished."""
    history = SessionHistory()
    for columns in records:
        for windows in engine.process(columns):
            history.keep(windows, before_ns)
        windows = engine.take()
        history.keep(windows, before_ns)
        ends = windows.book_snapshot_1s[_KEY]
        if len(ends) and ends[-1].as_py() == before_ns:
            return history
    history.keep(engine.finish(), before_ns)
    return history


def session_history(context: StageContext) -> tuple[SessionHistory, list[str]]:
    """History before the session that the wall in the lake was limited to, and manifest warnings.

    A full session has no history and needs none. The stage declares `SOURCES` as optional inputs.
    """
    session = parse_session(str(context.manifest(WALL).params.get("session", "full")), context.dt)
    if session.is_full:
        return SessionHistory(), []
    if not context.has(MBO):
        return SessionHistory(), [
            f"{UNKNOWN}: {MBO} of {context.symbol} {context.dt} is gone, so differences of the first"
            f" {HISTORY_WINDOWS} windows of session {session.text} begin at zero; spymaster ingest mends it"
        ]
    begin = -(-session.start_ns // WINDOW_NS) * WINDOW_NS
    with closing(prefetch(context.iter_batches(MBO, BRONZE_MBO_COLUMNS), depth=1)) as batches:
        records = (MboColumns.from_bronze(batch) for batch in batches if batch.num_rows)
        first = next(records, None)
        if first is None:
            return SessionHistory(), []
        engine = _engine(context, int(first.instrument_id[0]), begin)
        return history_before(engine, chain([first], records), begin), []


def _engine(context: StageContext, instrument_id: int, emit_to_ns: int) -> BookEngine:
    day_start, day_end = utc_day_ns(context.dt)
    status = None
    if context.has(STATUS):
        changes = status_phases(context.read(STATUS), instrument_id)
        status = np.column_stack([changes.ts_ns, changes.phase.astype(np.int64)])
    definitions = context.read(DEFINITIONS) if context.has(DEFINITIONS) else None
    return BookEngine(
        instrument_id,
        tick_int=tick_int(definitions, context.symbol, context.dt),
        pauses=pause_intervals(day_start - 8 * DAY_NS, day_end + DAY_NS),
        status=status,
        emit_to_ns=emit_to_ns,
        radar=False,
    )
