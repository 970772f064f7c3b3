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

import pyarrow as pa
import pyarrow.compute as pc

from data_eng.background import prefetch
from data_eng.mbo import BRONZE_MBO_COLUMNS, MboColumns
from data_eng.physics_terms import HISTORY_WINDOWS, TermsWalk
from data_eng.schema import table
from data_eng.sessions import parse_session
from data_eng.stage import StageContext
from data_eng.stages.silver.future_mbo.book_engine import BookEngine, Windows
from data_eng.stages.silver.future_mbo.compute_futures_surfaces_1s import (
    DEFINITIONS,
    MBO,
    STATUS,
    WALL,
    day_engine,
)
from data_eng.units import WINDOW_NS

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
        engine = day_engine(context, int(first.instrument_id[0]), emit_to_ns=begin, radar=False)
        return history_before(engine, chain([first], records), begin), []
