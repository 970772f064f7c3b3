"""How fast each level is being withdrawn or eaten, scaled by the calibration (spec 5.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_eng.background import WriteBehind, prefetch
from data_eng.calibration import CALIBRATION, CALIBRATION_INPUT, Bounds, bounds, calibration_record
from data_eng.physics_terms import METRICS, TERM_COLUMNS, Terms, TermsWalk, strength_log
from data_eng.schema import table
from data_eng.stage import Stage, StageContext
from data_eng.stages.silver.future_mbo.session_history import SOURCES as HISTORY_SOURCES
from data_eng.stages.silver.future_mbo.session_history import session_history

WALL: Final = "silver.future_mbo.wall_surface_1s"
VACUUM: Final = "silver.future_mbo.vacuum_surface_1s"
COPIES: Final = (
    "window_start_ts_ns",
    "window_end_ts_ns",
    "price_int",
    "side",
    "spot_ref_price_int",
    "rel_ticks",
    "window_valid",
)
"""columns that are the wall's own"""
WALL_COLUMNS: Final = tuple(dict.fromkeys((*COPIES, *TERM_COLUMNS, "depth_qty_rest")))


def compute_vacuum_surface_1s(
    wall: Iterable[pa.RecordBatch], bounds: Mapping[str, Bounds], walk: TermsWalk | None = None
) -> Iterator[pa.RecordBatch]:
    """Rows of vacuum_surface_1s for wall rows in stored order, one batch per batch.

    wall: batches with `WALL_COLUMNS`, cut anywhere. bounds: by metric, `data_eng.calibration.bounds`.
    walk: a walk that has seen the windows before the first row, where there are such.
    """
    walk = walk or TermsWalk()
    for batch in wall:
        yield _block(batch, walk.block(batch), bounds)


def vacuum_scores(terms: Terms, bounds: Mapping[str, Bounds]) -> tuple[Any, Any]:
    """(vacuum_score, vacuum_flow_score), float64[m] in [0, 1], of the rows of `terms`."""
    n1, n2, n3, n4 = (bounds[name].norm(x) for name, x in terms.metrics.items())
    flows = (terms.intensity > 0) | (terms.erosion > 0)
    return (n1 + n2 + n3 + n4) / 4.0, np.where(flows, (n1 + n2 + n3) / 3.0, 0.0)


def _block(wall: pa.RecordBatch, terms: Terms, bounds: Mapping[str, Bounds]) -> pa.RecordBatch:
    rows = wall.num_rows
    score, flow_score = vacuum_scores(terms, bounds)
    zero = np.zeros(1)
    quiet = sum(float(bounds[name].norm(zero)[0]) for name in METRICS) / 4.0
    columns: dict[str, pa.Array | npt.NDArray[np.float32]] = {name: wall.column(name) for name in COPIES}
    columns["wall_strength_log"] = strength_log(wall.column("depth_qty_rest").to_numpy(), np.float32)
    for name, values, elsewhere in (
        ("pull_intensity_rest", terms.intensity, 0.0),
        ("pull_add_log", terms.x1, 0.0),
        ("d1_pull_add_log", terms.d1, 0.0),
        ("d2_pull_add_log", terms.x4, 0.0),
        ("d3_pull_add_log", terms.d3, 0.0),
        ("wall_erosion", terms.erosion, 0.0),
        ("vacuum_score", score, quiet),
        ("vacuum_flow_score", flow_score, 0.0),
    ):
        column = np.full(rows, elsewhere, np.float32) if elsewhere else np.zeros(rows, np.float32)
        column[terms.rows] = values
        columns[name] = column
    schema = table(VACUUM).arrow_schema
    return pa.RecordBatch.from_arrays([pa.array(columns[name]) for name in schema.names], schema=schema)


def _run(context: StageContext) -> None:
    used = bounds(context.read(CALIBRATION))
    total = context.manifest(WALL).row_count
    history, warnings = session_history(context)
    with (
        context.writer(VACUUM) as writer,
        closing(prefetch(context.iter_batches(WALL, WALL_COLUMNS), depth=1)) as wall,
    ):
        done = 0
        with WriteBehind(writer.write, depth=1) as sink:
            for batch in compute_vacuum_surface_1s(wall, used, history.walk()):
                sink.put(batch)
                done += batch.num_rows
                context.advance(done, total, "rows")
        record = calibration_record(context.manifest(CALIBRATION))
        context.commit(writer, calibration=record, warnings=warnings)


STAGE: Final = Stage(
    name="vacuum_surface",
    inputs=(WALL, CALIBRATION),
    optional_inputs=HISTORY_SOURCES,
    outputs=(VACUUM,),
    params=("calibration_dt",),
    input_dt=CALIBRATION_INPUT,
    run=_run,
)
