"""Same work, same result: what is compared before any time is printed.

Every function raises `BenchError` on the first difference and returns a sentence that says how much it
compared; one that compared nothing raises, too.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from tests.naive.book import NaiveBook
from tests.naive.reference_stream import to_recs

from benches.c_limit import ROW_COLUMNS, CBook, CResult
from benches.measure import BenchError
from benches.plain_book import PlainBook
from benches.subjects import Subject, windows_of
from data_eng.mbo import MboColumns
from data_eng.stages.silver.future_mbo.book_engine import BookEngine, Windows
from data_eng.units import HUD_MAX_TICKS

FLOW_RECORDS: Final = 1_000_000
TWIN_RECORDS: Final = 30_000
TWIN_WINDOWS: Final = 20
_FLOWS: Final = ("add_qty", "pull_qty_total", "pull_qty_rest", "fill_qty")
_TWIN_COLUMNS: Final = (
    "window_end_ts_ns",
    "price_int",
    "side",
    "depth_qty_start",
    "depth_qty_end",
    "add_qty",
    "pull_qty_total",
    "fill_qty",
    "depth_qty_rest",
    "pull_qty_rest",
)
Depth = dict[str, dict[int, int]]


def run_engine(subject: Subject) -> tuple[BookEngine, Windows]:
    """The engine over the whole input, without walls and radar."""
    engine = subject.engine(wall=False, radar=False)
    parts = [engine.apply(MboColumns.from_records(subject.records)), engine.finish()]
    return engine, Windows.concat(parts)


def same_depth(mine: Depth, other: Depth, name: str) -> str:
    """Final contracts at every price of both sides."""
    levels = sum(len(side) for side in mine.values())
    if not levels:
        raise BenchError("the book is empty at the end of the input, so equal depth would say nothing")
    for side in ("A", "B"):
        for price in sorted(mine[side].keys() | other[side].keys()):
            found, wanted = mine[side].get(price, 0), other[side].get(price, 0)
            if found != wanted:
                raise BenchError(
                    f"final depth of side {side} at {price}: the engine has {found}, {name} has {wanted}"
                )
    return f"final depth equals {name} on {levels:,} levels"


def same_rows(windows: Windows, result: CResult) -> str:
    """The row of every second, engine against C."""
    rows = windows.book_snapshot_1s
    if rows.num_rows != len(result.rows) or rows.num_rows == 0:
        raise BenchError(f"the engine closed {rows.num_rows} windows, C {len(result.rows)}")
    for column in ROW_COLUMNS:
        _first_difference(rows[column].to_numpy(), result.rows[column], f"{column} of the engine and C")
    return f"{len(ROW_COLUMNS)} columns of {rows.num_rows:,} seconds (best prices, events, trades) equal C"


def same_python_bests(windows: Windows, book: PlainBook) -> str:
    """Best prices of every second, engine against plain Python."""
    rows = windows.book_snapshot_1s
    wanted = np.array(book.bests, np.int64).reshape(-1, 3)
    if rows.num_rows != len(wanted) or rows.num_rows == 0:
        raise BenchError(f"the engine closed {rows.num_rows} windows, plain Python {len(wanted)}")
    for column, values in zip(
        ("window_end_ts_ns", "best_bid_price_int", "best_ask_price_int"), wanted.T, strict=True
    ):
        _first_difference(rows[column].to_numpy(), values, f"{column} of the engine and plain Python")
    return f"best prices equal plain Python in {rows.num_rows:,} seconds"


def same_flows(subject: Subject, c_book: CBook, records: int = FLOW_RECORDS) -> str:
    """Add, pull, resting pull and fill per price and side, summed over the windows, engine's walls against C.

    Walls reach 600 ticks from spot and need one, so prices are compared that were within reach in every
    window, and flows of the windows after the last one without spot.
    """
    part = subject.records[:records]
    columns = MboColumns.from_records(part)
    engine = subject.engine(wall=False, radar=False)
    book = Windows.concat([engine.apply(columns), engine.finish()]).book_snapshot_1s
    end, spot = book["window_end_ts_ns"].to_numpy(), book["spot_ref_price_int"].to_numpy()
    dark = end[spot <= 0]
    from_ns = int(dark[-1]) if len(dark) else 0
    engine = subject.engine(wall=True, radar=False)
    sums: dict[tuple[str, int], npt.NDArray[np.int64]] = {}
    for windows in windows_of(engine, [columns]):
        wall = windows.wall_surface_1s
        _add_flows(sums, wall.filter(wall["window_end_ts_ns"].to_numpy() > from_ns))
    reach = HUD_MAX_TICKS * subject.tick_int
    lit = spot[end > from_ns]
    low, high = int(lit.max()) - reach, int(lit.min()) + reach
    result = c_book.run(
        part, subject.instrument_id, subject.tick_int, subject.seconds, totals_from_ns=from_ns
    )
    compared = moved = 0
    for row, (price, _, *flows) in enumerate(result.levels.tolist()):
        if not low <= price <= high:
            continue
        side = "A" if row % 2 else "B"
        found = sums.get((side, price), np.zeros(len(_FLOWS), np.int64)).tolist()
        if found != flows:
            raise BenchError(f"{_FLOWS} of side {side} at {price}: engine {found}, C {flows}")
        compared += 1
        moved += sum(flows)
    if not moved:
        raise BenchError("no flow was within reach of the walls, so equal flows would say nothing")
    return f"add, pull, resting pull and fill equal C at {compared:,} prices and sides ({moved:,} contracts)"


def same_as_twin(subject: Subject, records: int = TWIN_RECORDS, windows: int = TWIN_WINDOWS) -> str:
    """Wall rows of some windows against the slow twin of the tests."""
    part = subject.records[:records]
    engine = subject.engine(wall=True, radar=False)
    found = Windows.concat([engine.apply(MboColumns.from_records(part)), engine.finish()]).wall_surface_1s
    if found.num_rows == 0:
        raise BenchError(f"the first {len(part):,} records give no wall, so the twin cannot be compared")
    end = found["window_end_ts_ns"].to_numpy()
    seconds = np.unique(end)
    chosen = {int(s) for s in seconds[:: max(1, len(seconds) // windows)]}
    twin = NaiveBook(subject.instrument_id, tick_int=subject.tick_int, wall=chosen, radar=False)
    twin.apply(to_recs(part))
    twin.finish()
    mine = found.filter(np.isin(end, list(chosen))).select(_TWIN_COLUMNS).to_pylist()
    wanted = [{name: row[name] for name in _TWIN_COLUMNS} for row in twin.wall]
    place = ("window_end_ts_ns", "side", "price_int")
    mine.sort(key=lambda row: [row[name] for name in place])
    wanted.sort(key=lambda row: [row[name] for name in place])
    for a, b in zip(mine, wanted, strict=False):
        if a != b:
            raise BenchError(f"wall row differs: engine {a}, twin {b}")
    if len(mine) != len(wanted):
        raise BenchError(f"the engine has {len(mine)} wall rows, the twin {len(wanted)}")
    return f"{len(mine):,} wall rows of {len(chosen)} windows equal the naive twin"


def _add_flows(sums: dict[tuple[str, int], npt.NDArray[np.int64]], wall: Any) -> None:
    if wall.num_rows == 0:
        return
    grouped = wall.group_by(["side", "price_int"]).aggregate([(name, "sum") for name in _FLOWS])
    columns = [grouped[f"{name}_sum"].to_pylist() for name in _FLOWS]
    for side, price, *flow in zip(
        grouped["side"].to_pylist(), grouped["price_int"].to_pylist(), *columns, strict=True
    ):
        sums[side, price] = sums.get((side, price), np.zeros(len(_FLOWS), np.int64)) + np.array(flow)


def _first_difference(found: npt.NDArray[Any], wanted: npt.NDArray[Any], what: str) -> None:
    different = np.flatnonzero(found != wanted)
    if len(different):
        row = int(different[0])
        raise BenchError(f"{what} differ in row {row}: {found[row]} and {wanted[row]}")
