"""Exact 5 % and 95 % quantiles of the day's walls, flows and gamma: the bounds of all scores (spec 6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data_eng.background import prefetch
from data_eng.calibration import (
    CALIBRATION,
    POPULATION_COLUMNS,
    POPULATIONS,
    VALID_WINDOWS,
    calibrate,
    wall_populations,
)
from data_eng.errors import LakeError
from data_eng.physics_terms import TERM_COLUMNS, TermsWalk, wall_arrays
from data_eng.sessions import parse_session
from data_eng.stage import Stage, StageContext
from data_eng.stages.silver.future_mbo.session_history import SOURCES as HISTORY_SOURCES
from data_eng.stages.silver.future_mbo.session_history import session_history

WALL: Final = "silver.future_mbo.wall_surface_1s"
GEX: Final = "silver.future_option_mbo.gex_surface_1s"
WALL_COLUMNS: Final = tuple(dict.fromkeys((*TERM_COLUMNS, *POPULATION_COLUMNS)))
GEX_COLUMNS: Final = ("window_end_ts_ns", "gex_abs")
Population = Mapping[str, npt.NDArray[np.float64]]


class ValidWindows:
    """The windows of a wall that are valid, found while its blocks pass by."""

    def __init__(self) -> None:
        self._ends: list[npt.NDArray[np.int64]] = []

    def see(self, wall: Mapping[str, npt.NDArray[np.int64]]) -> None:
        """Look at the next block."""
        ends = wall["window_end_ts_ns"][wall["window_valid"].astype(bool)]
        self._ends.append(ends[np.append(True, ends[1:] != ends[:-1])] if len(ends) else ends)

    @property
    def ends(self) -> npt.NDArray[np.int64]:
        """Sorted window ends seen so far."""
        return np.unique(np.concatenate([np.empty(0, np.int64), *self._ends]))


def populations(
    wall: Iterable[pa.RecordBatch], gex: Iterable[pa.RecordBatch], valid: ValidWindows, walk: TermsWalk
) -> Iterator[Population]:
    """Values that enter the quantiles, block by block: of the wall, then of the gamma surface.

    wall: rows in stored order with `WALL_COLUMNS`, cut anywhere; gex: rows with `GEX_COLUMNS`. walk: a walk
    that has seen what lies before the first row.
    """
    for batch in wall:
        arrays = wall_arrays(batch, WALL_COLUMNS)
        valid.see(arrays)
        yield wall_populations(arrays, walk.block(batch))
    ends = pa.array(valid.ends)
    for batch in gex:
        positive = pc.greater(batch.column("gex_abs"), 0.0)
        inside = pc.is_in(batch.column("window_end_ts_ns"), value_set=ends)
        yield {"gex_abs": batch.column("gex_abs").filter(pc.and_(positive, inside)).to_numpy()}


def _run(context: StageContext) -> None:
    total = context.manifest(WALL).row_count
    history, warnings = session_history(context)
    valid = ValidWindows()

    def stream() -> Iterator[Population]:
        nonlocal valid
        valid = ValidWindows()
        with closing(prefetch(context.iter_batches(WALL, WALL_COLUMNS), depth=1)) as wall:
            yield from populations(
                _counted(context, wall, total), context.iter_batches(GEX, GEX_COLUMNS), valid, history.walk()
            )

    found = calibrate(stream)
    for metric, rows in found.rows.items():
        q05, q95 = found.quantiles[metric]
        if rows == 0:
            warnings.append(f"{metric}: empty population ({POPULATIONS[metric]}), q05 = q95 = 0")
        elif q05 == q95:
            warnings.append(f"{metric}: q05 = q95 = {q05} over {rows} rows; at use q95 becomes q05 + 1")
    session = parse_session(str(context.manifest(WALL).params.get("session", "full")), context.dt)
    with context.writer(CALIBRATION) as writer:
        writer.write(found.table(context.dt, session.label))
        context.commit(
            writer,
            counters={
                VALID_WINDOWS: len(valid.ends),
                **{f"rows_{metric}": rows for metric, rows in found.rows.items()},
            },
            extra_params={"populations": POPULATIONS},
            warnings=warnings,
        )


def _counted(
    context: StageContext, batches: Iterable[pa.RecordBatch], total: int
) -> Iterator[pa.RecordBatch]:
    done = 0
    for batch in batches:
        yield batch
        done += batch.num_rows
        context.advance(done, total, "rows")
    if done != total:
        raise LakeError(f"{WALL} gave {done} rows, its manifest names {total}; run: spymaster lake doctor")


STAGE: Final = Stage(
    name="physics_norm_calibration",
    inputs=(WALL, GEX),
    optional_inputs=HISTORY_SOURCES,
    outputs=(CALIBRATION,),
    run=_run,
)
