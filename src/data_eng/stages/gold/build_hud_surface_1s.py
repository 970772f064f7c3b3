"""The quantised picture of every second that the HUD paints, from walls, vacuum, bands and gamma (spec 9.2).

Wall and vacuum hold about a thousand rows per window, so the picture is made in blocks of `ROW_GROUP_WINDOWS`
windows: the wide surfaces are read in step, one row group ahead, and the kernel paints the planes straight
from their columns. One row of this table holds one window; its numbers are copies, its planes are bytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data_eng.background import WriteBehind, prefetch
from data_eng.calibration import CALIBRATION, CALIBRATION_INPUT, calibration_record
from data_eng.dbn_codes import PHASES
from data_eng.errors import LakeError
from data_eng.instruments import tick_int
from data_eng.kernels.hud import (
    ALL_PAINTED,
    ASK,
    BID,
    FULL_DEPTH_LOTS,
    FULL_FILL_LOTS,
    blank_planes,
    empty_history,
    log_scale_u8,
    paint_windows,
)
from data_eng.schema import BAND_COMPONENTS, PLANES, table
from data_eng.stage import Stage, StageContext
from data_eng.units import HUD_ROWS, ROW_GROUP_WINDOWS, WINDOW_NS

DEFINITIONS: Final = "bronze.shared.instrument_definitions"
SNAPSHOT: Final = "silver.future_mbo.book_snapshot_1s"
WALL: Final = "silver.future_mbo.wall_surface_1s"
VACUUM: Final = "silver.future_mbo.vacuum_surface_1s"
BANDS: Final = "silver.future_mbo.physics_bands_1s"
CONTEXT: Final = "silver.future_mbo.physics_context_1s"
GEX: Final = "silver.future_option_mbo.gex_surface_1s"
HUD: Final = "gold.hud.hud_surface_1s"

KEY: Final = "window_end_ts_ns"
SNAPSHOT_COPIES: Final = (
    KEY,
    "spot_ref_price_int",
    "best_bid_price_int",
    "best_ask_price_int",
    "mid_price",
    "book_valid",
    "buy_qty",
    "sell_qty",
)
SNAPSHOT_COLUMNS: Final = (*SNAPSHOT_COPIES, "phase")
WALL_COLUMNS: Final = (
    KEY,
    "side",
    "rel_ticks",
    "depth_qty_end",
    "fill_qty",
    "depth_qty_rest",
    "window_valid",
)
VACUUM_COLUMNS: Final = (KEY, "rel_ticks", "vacuum_flow_score")
BANDS_SCORES: Final = ("above_score", "below_score", "vacuum_total_score")
BANDS_COLUMNS: Final = (KEY, *BANDS_SCORES, *BAND_COMPONENTS)
TOUCH_SCORES: Final = ("above_touch_score", "below_touch_score")
CONTEXT_COLUMNS: Final = (KEY, *TOUCH_SCORES)
GEX_COLUMNS: Final = (KEY, "strike_price_int", "gex_abs", "gex_imbalance_ratio")
CALIBRATED: Final = (VACUUM, BANDS, CONTEXT)

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Sources:
    """The columns `build_hud_surface_1s` needs (the *_COLUMNS of this module, more do no harm).

    `snapshot`, `bands`, `context` whole, one row per window; `wall`, `vacuum` and `gex` as batches of any
    length in the order of their keys.
    """

    snapshot: pa.Table
    bands: pa.Table
    context: pa.Table
    wall: Iterable[pa.RecordBatch]
    vacuum: Iterable[pa.RecordBatch]
    gex: Iterable[pa.RecordBatch]


def build_hud_surface_1s(
    sources: Sources, *, tick_int: int, block_windows: int = ROW_GROUP_WINDOWS
) -> Iterator[pa.Table]:
    """Rows of gold.hud.hud_surface_1s, one table per block of windows, in order.

    Windows with one value of window_end // `block_windows` seconds are painted together: by default they
    share a row group of the wide surfaces.

    `window_valid` is that of the window's wall rows; a window without any has no spot or no book, so there
    is nothing to be valid about: false. Neither blocks nor batches show in the rows; memory holds one block.
    tick_int in 1e-9 points.

    Raises `LakeError` when the tables do not describe the same windows and levels.
    """
    snapshot = sources.snapshot.combine_chunks()
    ends: Array = snapshot[KEY].to_numpy()
    for name, other in (("physics_bands_1s", sources.bands), ("physics_context_1s", sources.context)):
        if not np.array_equal(other[KEY].to_numpy(), ends):
            raise LakeError(
                f"{name} has {other.num_rows} windows that are not the {len(ends)} of book_snapshot_1s;"
                " expected one row per snapshot row; give the same command again with"
                " --from-stage physics_bands_1s"
            )
    wall, vacuum = (
        _RowsInStep("wall_surface_1s", sources.wall),
        _RowsInStep("vacuum_surface_1s", sources.vacuum),
    )
    gex = _RowsInStep("gex_surface_1s", sources.gex)
    painter = _Painter(tick_int)
    borders = [0, *(np.flatnonzero(np.diff(ends // (block_windows * WINDOW_NS))) + 1).tolist(), len(ends)]
    for start, stop in itertools.pairwise(borders):
        if start == stop:  # a day without windows
            continue
        block = ends[start:stop]
        levels = wall.up_to(int(block[-1]))
        planes, valid = painter.paint(
            snapshot["spot_ref_price_int"].chunk(0).to_numpy()[start:stop],
            block,
            levels,
            _scores_of(levels, vacuum.up_to(int(block[-1]))),
            gex.up_to(int(block[-1])),
        )
        yield _as_table(
            start,
            valid,
            planes,
            *(part.slice(start, stop - start) for part in (snapshot, sources.bands, sources.context)),
        )
    for rows in (wall, vacuum, gex):
        rows.expect_end()


class _RowsInStep:
    """Rows of one surface, handed out up to a window, however its batches were cut."""

    def __init__(self, name: str, batches: Iterable[pa.RecordBatch]) -> None:
        self.name = name
        self._batches = iter(batches)
        self._rest: pa.RecordBatch | None = None

    def up_to(self, window_end: int) -> pa.Table | None:
        """All rows not yet handed out whose window_end is at most that; None when there is none.

        A block that is one row group is handed out as it was read, without a copy.
        """
        pieces = []
        while (batch := self._next()) is not None:
            last = int(np.searchsorted(batch[KEY].to_numpy(), window_end, side="right"))
            if last:
                pieces.append(batch.slice(0, last))
            if last < batch.num_rows:
                self._rest = batch.slice(last)
                break
        return pa.Table.from_batches(pieces).combine_chunks() if pieces else None

    def expect_end(self) -> None:
        """Raise `LakeError` when rows lie behind the last window."""
        batch = self._next()
        if batch is not None:
            raise LakeError(
                f"{self.name} has rows at window_end {batch[KEY][0].as_py()}, behind the last one of"
                " book_snapshot_1s; the tables are of different runs; rerun: spymaster run --force"
            )

    def _next(self) -> pa.RecordBatch | None:
        if self._rest is not None:
            batch, self._rest = self._rest, None
            return batch
        return next((batch for batch in self._batches if batch.num_rows), None)


class _Painter:
    """Drives the kernel from block to block; what it carries over is the depth of ten windows."""

    def __init__(self, tick_int: int) -> None:
        self._tick_int = tick_int
        self._depth_u8 = _read_only(log_scale_u8(FULL_DEPTH_LOTS))
        self._fill_u8 = _read_only(log_scale_u8(FULL_FILL_LOTS))
        self._history = empty_history()

    def paint(
        self,
        spot: Array,
        ends: Array,
        levels: pa.Table | None,
        scores: Array,
        strikes: pa.Table | None,
    ) -> tuple[Array, Array]:
        """-> planes uint8[9, n, 1201], window_valid bool[n] of the n windows `ends`."""
        planes = blank_planes(len(ends))
        row_from = _window_borders("wall_surface_1s", levels, ends)
        bad_row = paint_windows(
            _read_only(spot),
            self._tick_int,
            row_from,
            _sides(levels),
            _column(levels, "rel_ticks", np.int16),
            _column(levels, "depth_qty_end", np.int32),
            _column(levels, "depth_qty_rest", np.int32),
            _column(levels, "fill_qty", np.int32),
            scores,
            _window_borders("gex_surface_1s", strikes, ends),
            _column(strikes, "strike_price_int", np.int64),
            _column(strikes, "gex_abs", np.float64),
            _column(strikes, "gex_imbalance_ratio", np.float64),
            self._depth_u8,
            self._fill_u8,
            self._history,
            planes,
        )
        if bad_row != ALL_PAINTED and levels is not None:
            found = levels.slice(bad_row, 1).to_pylist()[0]
            raise LakeError(
                f"wall_surface_1s holds {found}; expected side A or B, |rel_ticks| <= 600 and"
                " 0 <= depth_qty_rest <= depth_qty_end; give the same command again with"
                " --from-stage wall_surface_1s"
            )
        valid = np.zeros(len(ends), dtype=bool)
        with_rows = row_from[1:] > row_from[:-1]
        if levels is not None:
            first_rows = levels["window_valid"].take(pa.array(row_from[:-1][with_rows]))
            valid[with_rows] = first_rows.to_numpy()
        return planes, valid


def _scores_of(levels: pa.Table | None, vacuum: pa.Table | None) -> Array:
    """vacuum_flow_score float32 of the wall rows; raises `LakeError` unless it has exactly those rows."""
    walls, scores = _column(levels, "rel_ticks", np.int16), _column(vacuum, "rel_ticks", np.int16)
    if not np.array_equal(walls, scores):
        raise LakeError(
            f"vacuum_surface_1s has {len(scores)} rows where wall_surface_1s has {len(walls)} in the same"
            " windows, or other levels; give the same command again with --from-stage vacuum_surface_1s"
        )
    return _column(vacuum, "vacuum_flow_score", np.float32)


def _window_borders(name: str, rows: pa.Table | None, ends: Array) -> Array:
    """int64[n + 1]: rows of window w stand at [w]..[w + 1]; `LakeError` when a row has another window."""
    if rows is None:
        return np.zeros(len(ends) + 1, dtype=np.int64)
    of_row = rows[KEY].chunk(0).to_numpy()
    first = np.searchsorted(of_row, ends, side="left")
    behind = np.searchsorted(of_row, ends, side="right")
    if int((behind - first).sum()) != len(of_row):
        foreign = of_row[~np.isin(of_row, ends)][0]
        raise LakeError(
            f"{name} has rows at window_end {foreign}, which book_snapshot_1s does not have; the tables"
            " are of different runs; rerun: spymaster run --force"
        )
    return np.append(first, behind[-1]).astype(np.int64)


def _sides(levels: pa.Table | None) -> Array:
    """uint8 side codes of the kernel; an unknown word becomes a code that the kernel refuses."""
    if levels is None:
        return _read_only(np.zeros(0, dtype=np.uint8))
    side = levels["side"].chunk(0)
    codes = {"A": ASK, "B": BID}
    of_word = np.array([codes.get(word, 255) for word in side.dictionary.to_pylist()], dtype=np.uint8)
    return _read_only(of_word[side.indices.to_numpy()])


def _column(rows: pa.Table | None, name: str, kind: Any) -> Array:
    """A column as numpy, without a copy; empty without rows. Raises `LakeError` for another type."""
    if rows is None:
        return _read_only(np.zeros(0, dtype=kind))
    values: Array = rows[name].chunk(0).to_numpy()
    if values.dtype != kind:
        raise LakeError(f"column {name} is {values.dtype}, expected {np.dtype(kind)}; rebuild the table")
    return _read_only(values)


def _read_only(values: Array) -> Array:
    """The array as Arrow hands it out, read-only: so the kernel is compiled for one kind of array only."""
    seen = values.view()
    seen.flags.writeable = False
    return seen


def _as_table(
    first_seq: int, valid: Array, planes: Array, snapshot: pa.Table, bands: pa.Table, context: pa.Table
) -> pa.Table:
    """One block in the declared schema; the planes are handed to Arrow as they lie in memory."""
    windows = len(valid)
    columns: dict[str, Any] = {
        **{name: snapshot[name] for name in SNAPSHOT_COPIES},
        "seq": pa.array(np.arange(first_seq, first_seq + windows, dtype=np.int64)),
        "window_valid": pa.array(valid),
        "phase": _phase_codes(snapshot["phase"]),
        **{name: bands[name] for name in BANDS_SCORES},
        **{name: context[name] for name in TOUCH_SCORES},
        **{name: pc.cast(bands[name], pa.float32()) for name in BAND_COMPONENTS},
    }
    for plane, name in enumerate(PLANES):
        columns[name] = pa.Array.from_buffers(
            pa.binary(HUD_ROWS), windows, [None, pa.py_buffer(planes[plane])]
        )
    schema = table(HUD).arrow_schema
    return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)


def _phase_codes(phase: pa.ChunkedArray) -> pa.Array:
    """uint8 code of each phase word; raises `LakeError` for a word that is no phase."""
    codes = pc.index_in(phase.cast(pa.string()), value_set=pa.array(PHASES))
    if codes.null_count:
        raise LakeError(f"book_snapshot_1s.phase holds words that are none of {', '.join(PHASES)}")
    return pc.cast(codes, pa.uint8())


def require_one_calibration(record: Mapping[str, str], used: Mapping[str, Mapping[str, str] | None]) -> None:
    """Raise `LakeError` unless every scored table (`used`, by name) was made with calibration `record`."""
    for name, held in used.items():
        if dict(held or {}) != dict(record):
            raise LakeError(
                f"{name} used calibration {dict(held or {})}, this run uses {dict(record)}; scores compare"
                " within one calibration only; give the same command again with"
                " --from-stage vacuum_surface_1s"
            )


def _run(context: StageContext) -> None:
    record = calibration_record(context.manifest(CALIBRATION))
    require_one_calibration(record, {name: context.manifest(name).calibration for name in CALIBRATED})
    definitions = context.read(DEFINITIONS) if context.has(DEFINITIONS) else None
    snapshot = context.read(SNAPSHOT, SNAPSHOT_COLUMNS)
    with (
        context.writer(HUD) as writer,
        closing(prefetch(context.iter_batches(WALL, WALL_COLUMNS), depth=1)) as wall,
        closing(prefetch(context.iter_batches(VACUUM, VACUUM_COLUMNS), depth=1)) as vacuum,
        closing(prefetch(context.iter_batches(GEX, GEX_COLUMNS), depth=1)) as gex,
    ):
        sources = Sources(
            snapshot=snapshot,
            bands=context.read(BANDS, BANDS_COLUMNS),
            context=context.read(CONTEXT, CONTEXT_COLUMNS),
            wall=wall,
            vacuum=vacuum,
            gex=gex,
        )
        done = 0
        with WriteBehind(writer.write) as sink:
            tick = tick_int(definitions, context.symbol, context.dt)
            for rows in build_hud_surface_1s(sources, tick_int=tick):
                sink.put(rows)
                done += rows.num_rows
                context.advance(done, snapshot.num_rows, "windows")
        # what the gamma ladder lacks, the picture lacks too
        context.commit(writer, calibration=record, warnings=context.manifest(GEX).warnings)


STAGE: Final = Stage(
    name="hud_surface",
    inputs=(SNAPSHOT, WALL, VACUUM, BANDS, CONTEXT, GEX, CALIBRATION),
    optional_inputs=(DEFINITIONS,),
    outputs=(HUD,),
    params=("calibration_dt",),
    input_dt=CALIBRATION_INPUT,
    run=_run,
)
