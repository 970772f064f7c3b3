"""Strength, erosion and vacuum of the bands around spot, their scores and context (spec 5.5, 5.6).

One walk over wall and vacuum leaves sums per window; both tables follow from them. Membership is by distance
from spot for the bands, and by distance from a side's own best price for the touch scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_eng.background import prefetch
from data_eng.calibration import CALIBRATION, CALIBRATION_INPUT, Bounds, bounds, calibration_record
from data_eng.errors import LakeError
from data_eng.instruments import tick_int
from data_eng.kernels import physics as kernel
from data_eng.physics_terms import direction_score, ease, wall_arrays
from data_eng.schema import BANDS as BAND_NAMES
from data_eng.schema import DIRECTIONS, table
from data_eng.stage import Stage, StageContext
from data_eng.stages.silver.future_mbo.compute_futures_surfaces_1s import DEFINITIONS
from data_eng.stages.silver.future_mbo.session_history import SOURCES as HISTORY_SOURCES
from data_eng.stages.silver.future_mbo.session_history import session_history
from data_eng.units import UNDEF_PRICE

SNAPSHOT: Final = "silver.future_mbo.book_snapshot_1s"
WALL: Final = "silver.future_mbo.wall_surface_1s"
VACUUM: Final = "silver.future_mbo.vacuum_surface_1s"
TRADES: Final = "silver.future_mbo.trade_event"
BANDS: Final = "silver.future_mbo.physics_bands_1s"
CONTEXT: Final = "silver.future_mbo.physics_context_1s"

WALL_COLUMNS: Final = (
    "window_end_ts_ns",
    "side",
    "price_int",
    "rel_ticks",
    "depth_qty_start",
    "depth_qty_end",
)
VACUUM_COLUMNS: Final = ("wall_strength_log", "wall_erosion", "vacuum_score", "vacuum_flow_score")
SNAPSHOT_COLUMNS: Final = (
    "window_start_ts_ns",
    "window_end_ts_ns",
    "best_bid_price_int",
    "best_bid_qty",
    "best_ask_price_int",
    "best_ask_qty",
    "mid_price",
    "mid_price_int",
    "spot_ref_price_int",
)
TRADE_COLUMNS: Final = ("ts_event_ns", "ts_recv_ns", "price_int")
_LATEST_AHEAD_NS: Final = 1_000_000_000
"""a trade stamped further after its reception has a broken clock (spec 4.7) and dates nothing"""

Arrays = Mapping[str, npt.NDArray[Any]]
Floats = npt.NDArray[np.float64]


@dataclass
class WindowSums:
    """What wall and vacuum rows add up to, per snapshot row and direction (0 above: asks, 1 below: bids).

    bands: float64[windows, 2, 4, BAND_SUMS]; touch: float64[windows, 2, TOUCH_SLOTS, TOUCH_VALUES], in the
    order of the names in `data_eng.kernels.physics`. A day is 60 MB.
    """

    bands: Floats
    touch: Floats

    @classmethod
    def zero(cls, windows: int) -> WindowSums:
        """Sums of nothing."""
        return cls(
            np.zeros((windows, 2, len(BAND_NAMES), kernel.BAND_SUMS)),
            np.zeros((windows, 2, kernel.TOUCH_SLOTS, kernel.TOUCH_VALUES)),
        )


def sum_windows(
    snapshot: Arrays, blocks: Iterable[tuple[pa.RecordBatch, pa.RecordBatch]], tick_int: int
) -> WindowSums:
    """Sums over wall rows and the vacuum rows that belong to them, in row order.

    snapshot: `SNAPSHOT_COLUMNS` as arrays, one row per window. blocks: (wall, vacuum) of the same rows with
    `WALL_COLUMNS` and `VACUUM_COLUMNS`, cut anywhere. Raises `LakeError` for a wall row without snapshot row.
    """
    ends = snapshot["window_end_ts_ns"]
    best = [
        np.where(snapshot[f"best_{side}_qty"] > 0, snapshot[f"best_{side}_price_int"], 0)
        for side in ("ask", "bid")
    ]
    sums = WindowSums.zero(len(ends))
    at = 0
    for wall, vacuum in blocks:
        columns = wall_arrays(wall, WALL_COLUMNS)
        values = [vacuum.column(name).to_numpy() for name in VACUUM_COLUMNS]
        at = kernel.sum_bands(at, ends, *best, tick_int, *columns.values(), *values, sums.bands, sums.touch)
        if at < 0:
            end = columns["window_end_ts_ns"][-1 - at]
            raise LakeError(
                f"{WALL}: window {end} has rows, but no row in {SNAPSHOT}; both come from one engine pass:"
                " rerun spymaster run --only futures_surfaces --force"
            )
    return sums


def physics_bands(snapshot: Arrays, sums: WindowSums, bounds: Mapping[str, Bounds]) -> pa.Table:
    """Rows of physics_bands_1s, one per snapshot row (spec 5.5)."""
    rows = sums.bands[..., kernel.ROWS]
    some = (rows > 0) & (snapshot["spot_ref_price_int"] > 0)[:, None, None]
    mean = {
        value: np.divide(sums.bands[..., value], rows, out=np.zeros_like(rows), where=rows > 0)
        for value in (kernel.STRENGTH, kernel.ERODED, kernel.VACUUM)
    }
    strength = np.where(some, bounds["wall_strength_log"].norm(mean[kernel.STRENGTH]), 0.0)
    erosion = np.where(some, bounds["log1p_erosion_norm"].norm(mean[kernel.ERODED]), 0.0)
    vacuum = np.where(some, mean[kernel.VACUUM], 0.0)
    # an empty band has an ease of 0.15 by the formula, not of 0 + 0 + 0.15 * (1 - N(0))
    easy = ease(vacuum, erosion, strength)
    score = direction_score(easy[..., 0], easy[..., 1])
    score[snapshot["spot_ref_price_int"] == 0] = 0.0

    columns: dict[str, Any] = {name: snapshot[name] for name in SNAPSHOT_COLUMNS if "best" not in name}
    for (d, direction), (b, band) in product(enumerate(DIRECTIONS), enumerate(BAND_NAMES)):
        columns[f"{direction}_{band}_wall_strength_norm"] = strength[:, d, b]
        columns[f"{direction}_{band}_wall_erosion_norm"] = erosion[:, d, b]
        columns[f"{direction}_{band}_vacuum_norm"] = vacuum[:, d, b]
    for d, direction in enumerate(DIRECTIONS):
        columns[f"{direction}_score"] = score[:, d]
    columns["vacuum_total_score"] = (score[:, 0] + score[:, 1]) / 2.0
    return _table(BANDS, columns)


def physics_context(
    snapshot: Arrays,
    sums: WindowSums,
    bounds: Mapping[str, Bounds],
    last_trade_ns: npt.NDArray[np.int64],
    tick_int: int,
) -> pa.Table:
    """Rows of physics_context_1s, one per snapshot row (spec 5.6).

    last_trade_ns: int64[windows], ts_event of the last trade before each window's end, -1 = none yet.
    Without a spot there are no wall rows to look at: counts, depths and touch scores are 0.
    """
    spot, mid, ends = (snapshot[name] for name in ("spot_ref_price_int", "mid_price_int", "window_end_ts_ns"))
    known = (spot != 0) & (mid != 0)
    columns: dict[str, Any] = {
        "window_start_ts_ns": snapshot["window_start_ts_ns"],
        "window_end_ts_ns": ends,
        "spot_minus_mid_ticks": np.where(known, (spot - mid) / tick_int, 0.0),
        "last_trade_age_ns": np.where(last_trade_ns >= 0, ends - last_trade_ns, -1),
    }
    for (d, direction), (b, band) in product(enumerate(DIRECTIONS), enumerate(BAND_NAMES)):
        total = sums.bands[:, d, b]
        columns[f"{direction}_{band}_level_count"] = total[:, kernel.LEVELS].astype(np.int16)
        columns[f"{direction}_{band}_depth_qty"] = total[:, kernel.DEPTH].astype(np.int32)
    for d, (direction, side) in enumerate(zip(DIRECTIONS, ("ask", "bid"), strict=True)):
        judged = (snapshot[f"best_{side}_qty"] > 0) & (spot != 0)
        score = direction_score(*(_touch_ease(sums.touch[:, d, k : k + 3], bounds) for k in (0, 3)))
        columns[f"{direction}_touch_score"] = np.where(judged, score, 0.0)
    return _table(CONTEXT, columns)


def _touch_ease(slots: Floats, bounds: Mapping[str, Bounds]) -> Floats:
    """Ease of three fixed slots, float64[windows, 3, TOUCH_VALUES]; an empty slot counts as it stands."""
    mean = [(slots[:, 0, value] + slots[:, 1, value] + slots[:, 2, value]) / 3.0 for value in range(3)]
    return ease(
        mean[kernel.TOUCH_FLOW],
        bounds["log1p_erosion_norm"].norm(mean[kernel.TOUCH_ERODED]),
        bounds["wall_strength_log"].norm(mean[kernel.TOUCH_STRENGTH]),
    )


def last_trades(window_end: npt.NDArray[np.int64], trades: Arrays, tick_int: int) -> npt.NDArray[np.int64]:
    """ts_event of the last trade before each window's end, -1 before the first; int64[windows].

    trades: `TRADE_COLUMNS` in file order; those that cannot set last_trade (no price, or one off the tick)
    do not count. A late trade never makes the last one older, and one stamped in the future of its own
    reception is left out.
    """
    ts, price = trades["ts_event_ns"], trades["price_int"]
    dated = (price > 0) & (price != UNDEF_PRICE) & (price % tick_int == 0)
    dated &= ts <= trades["ts_recv_ns"] + _LATEST_AHEAD_NS
    times = np.maximum.accumulate(ts[dated])
    before = np.searchsorted(times, window_end, "left")
    return np.asarray(np.where(before > 0, np.append(times, -1)[before - 1], -1))


def _table(dataset: str, columns: Mapping[str, Any]) -> pa.Table:
    schema = table(dataset).arrow_schema
    return pa.table([pa.array(columns[name]) for name in schema.names], schema=schema)


def paired(
    wall: Iterator[pa.RecordBatch], vacuum: Iterator[pa.RecordBatch]
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Wall and vacuum batches cut to the same rows, whatever the cuts were; `LakeError` if one is longer."""
    left, right = next(wall, None), next(vacuum, None)
    while left is not None and right is not None:
        rows = min(left.num_rows, right.num_rows)
        yield left.slice(0, rows), right.slice(0, rows)
        left = left.slice(rows) if rows < left.num_rows else next(wall, None)
        right = right.slice(rows) if rows < right.num_rows else next(vacuum, None)
    if left is not None or right is not None:
        longer = WALL if right is None else VACUUM
        raise LakeError(f"{WALL} and {VACUUM} have different lengths, {longer} has more rows; {_REBUILD}")


_REBUILD: Final = "rebuild the vacuum: spymaster run --only vacuum_surface --force"


def _run(context: StageContext) -> None:
    record = calibration_record(context.manifest(CALIBRATION))
    _require_same_origin(context, record)
    used = bounds(context.read(CALIBRATION))
    tick = tick_int(
        context.read(DEFINITIONS) if context.has(DEFINITIONS) else None, context.symbol, context.dt
    )
    history, warnings = session_history(context)
    before = [trades.select(TRADE_COLUMNS) for trades in history.trades]
    snapshot = _arrays(context.read(SNAPSHOT, SNAPSHOT_COLUMNS))
    ends = snapshot["window_end_ts_ns"]
    with (
        context.writer(BANDS) as bands,
        context.writer(CONTEXT) as about,
        closing(prefetch(context.iter_batches(WALL, WALL_COLUMNS), depth=1)) as wall,
        closing(prefetch(context.iter_batches(VACUUM, VACUUM_COLUMNS), depth=1)) as vacuum,
    ):
        sums = sum_windows(snapshot, _counted(context, paired(wall, vacuum)), tick)
        bands.write(physics_bands(snapshot, sums, used))
        trades = last_trades(
            ends, _arrays(pa.concat_tables([*before, context.read(TRADES, TRADE_COLUMNS)])), tick
        )
        about.write(physics_context(snapshot, sums, used, trades, tick))
        context.commit(bands, about, calibration=record, warnings=warnings)


def _require_same_origin(context: StageContext, record: Mapping[str, str]) -> None:
    """The vacuum was made from this wall with this calibration; else sums would mix two runs."""
    vacuum = context.manifest(VACUUM)
    wall = context.manifest(WALL).sha256
    of_wall = [r["manifest_sha256"] for r in vacuum.inputs if r.get("dataset") == WALL]
    if of_wall != [wall]:
        raise LakeError(
            f"{VACUUM} of {context.symbol} {context.dt} was made from another wall than the one in the lake;"
            f" {_REBUILD}"
        )
    if dict(vacuum.calibration or {}) != dict(record):
        raise LakeError(
            f"{VACUUM} of {context.symbol} {context.dt} used calibration {vacuum.calibration}, this run uses"
            f" {dict(record)}; scores compare within one calibration only; {_REBUILD}"
        )


def _counted(
    context: StageContext, blocks: Iterable[tuple[pa.RecordBatch, pa.RecordBatch]]
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    total = context.manifest(WALL).row_count
    done = 0
    for block in blocks:
        yield block
        done += block[0].num_rows
        context.advance(done, total, "rows")


def _arrays(rows: pa.Table) -> dict[str, npt.NDArray[Any]]:
    return {name: rows[name].to_numpy() for name in rows.schema.names}


STAGE: Final = Stage(
    name="physics_bands",
    inputs=(SNAPSHOT, WALL, TRADES, VACUUM, CALIBRATION),
    optional_inputs=HISTORY_SOURCES,
    outputs=(BANDS, CONTEXT),
    params=("calibration_dt",),
    input_dt=CALIBRATION_INPUT,
    run=_run,
)
