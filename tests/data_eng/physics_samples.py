"""Wall surfaces for tests of the physics: drawn freely, or made by the engine, and a lake that holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from data_eng.calibration import Bounds
from data_eng.lake import Lake, Manifest
from data_eng.params import RunParams
from data_eng.schema import table
from data_eng.stage import SilentReporter, Stage, StageContext
from data_eng.stages.silver.future_mbo.book_engine import Windows
from data_eng.units import TICK_INT, WINDOW_NS

SYMBOL, DT = "ESH6", "2026-01-06"
T0 = 1_767_708_300 * WINDOW_NS
CENTRE = 24_000
"""ticks"""
SNAPSHOT = "silver.future_mbo.book_snapshot_1s"
WALL = "silver.future_mbo.wall_surface_1s"
TRADES = "silver.future_mbo.trade_event"
RADAR = "silver.future_mbo.radar_vacuum_1s"
GEX = "silver.future_option_mbo.gex_surface_1s"
Row = dict[str, Any]
qty = st.sampled_from([0, 0, 0, 1, 2, 7, 40])


@st.composite
def wall_rows(draw: st.DrawFn, most_windows: int = 9) -> list[Row]:
    """Wall rows of some seconds: levels come, go and come back, spot jumps, seconds without rows lie between.

    Only what the physics reads is coherent; depth need not follow from flow.
    """
    rows: list[Row] = []
    end = T0
    for _ in range(draw(st.integers(1, most_windows))):
        end += WINDOW_NS * draw(st.sampled_from([1, 1, 1, 2, 3, 5]))
        spot = CENTRE + draw(st.sampled_from([0, 0, 1, -2, 700, -100_000]))
        valid = draw(st.booleans())
        levels = draw(st.sets(st.tuples(st.sampled_from("AB"), st.integers(-3, 3)), max_size=8))
        far = draw(st.sets(st.tuples(st.sampled_from("AB"), st.sampled_from([-600, -21, -20, 20, 21, 600]))))
        for side, rel in sorted(levels | far):
            rest, more, pull_rest, more_pull = (draw(qty) for _ in range(4))
            rows.append(
                {
                    "window_start_ts_ns": end - WINDOW_NS,
                    "window_end_ts_ns": end,
                    "price_int": (spot + rel) * TICK_INT,
                    "side": side,
                    "spot_ref_price_int": spot * TICK_INT,
                    "rel_ticks": rel,
                    "depth_qty_start": draw(qty),
                    "depth_qty_end": rest + more,
                    "add_qty": draw(qty),
                    "pull_qty_total": pull_rest + more_pull,
                    "fill_qty": draw(qty),
                    "depth_qty_rest": rest,
                    "pull_qty_rest": pull_rest,
                    "d1_depth_qty": draw(qty) - draw(qty),
                    "d2_depth_qty": 0,
                    "d3_depth_qty": 0,
                    "window_valid": valid,
                }
            )
    return rows


def to_table(dataset: str, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows in the declared schema, validated."""
    schema = table(dataset).arrow_schema
    made = pa.table({f.name: pa.array([row[f.name] for row in rows], f.type) for f in schema}, schema=schema)
    table(dataset).validate(made)
    return made


def batches(rows: pa.Table, positions: Sequence[int] = ()) -> list[pa.RecordBatch]:
    """The rows as record batches cut at `positions`; an empty table is one empty batch."""
    borders = [0, *positions, rows.num_rows]
    pieces = [rows.slice(a, b - a).combine_chunks() for a, b in pairwise(borders)]
    schema = rows.schema
    return [
        pa.RecordBatch.from_arrays(
            [c.combine_chunks() if c.num_chunks != 1 else c.chunk(0) for c in piece.columns], schema=schema
        )
        for piece in pieces
    ]


def bounds_for(values: Mapping[str, tuple[float, float]]) -> dict[str, Bounds]:
    """(lo, hi) pairs as the stages take them."""
    return {name: Bounds(lo, hi) for name, (lo, hi) in values.items()}


def put(lake: Lake, dataset: str, rows: pa.Table, dt: str = DT, **fields: Any) -> Manifest:
    """Commit rows as the engine pass would."""
    with lake.writer(dataset, SYMBOL, dt) as writer:
        if rows.num_rows:
            writer.write(rows)
        given = {"stage": "test", "origin": "recorded", "verified": True, "code_version": "c", **fields}
        manifest = writer.finish(**{"params": {"session": "full"}, **given})
        writer.commit()
    return manifest


def engine_lake(root: Path, windows: Windows, dt: str = DT, **fields: Any) -> Lake:
    """A lake that holds the tables of one engine pass."""
    lake = Lake(root)
    for dataset in (SNAPSHOT, WALL, RADAR, TRADES):
        put(lake, dataset, getattr(windows, dataset.rsplit(".", 1)[1]), dt, **fields)
    return lake


def run_stage(lake: Lake, stage: Stage, params: RunParams | None = None, dt: str = DT) -> SilentReporter:
    """Run one stage on its own."""
    report = SilentReporter()
    stage.run(
        StageContext(
            stage=stage,
            lake=lake,
            symbol=SYMBOL,
            dt=dt,
            params=params or RunParams(no_gex=True),
            code_version="c",
            report=report,
        )
    )
    return report


def quiet_bounds() -> dict[str, tuple[float, float]]:
    """Bounds like those of a real hour."""
    return {
        "wall_strength_log": (3.367, 4.5),
        "pull_add_log": (-2.197, 1.609),
        "log1p_pull_intensity_rest": (0.0, 0.251),
        "log1p_erosion_norm": (0.0, 0.174),
        "d2_pull_add_log": (-4.025, 4.394),
        "gex_abs": (0.0, 1.0),
    }


def as_floats(column: pa.ChunkedArray) -> np.ndarray:
    """A float column as float64."""
    return np.asarray(column.to_numpy(), np.float64)
