"""A coherent small lake set, made the slow way, and the tools to break it one cell at a time.

A seeded stream of records goes through the plain book; everything derived (differences, radar, vacuum,
bands, context, planes) is written here a second time with dictionaries and `math`, from the specification,
so that the checks are judged by something that shares no code with them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import databento_dbn as dbn
import numpy as np
import pyarrow as pa

from data_eng.integrity.plain_book import PlainBook, PlainWindow, Record
from data_eng.schema import BANDS, DIRECTIONS, F_FEATURES, U_FEATURES, table

SYMBOL, DT = "ESH6", "2026-01-06"
TICK = 250_000_000
SECOND = 10**9
T0 = 1_767_708_275 * SECOND  # 2026-01-06 14:04:35 UTC: the minute crosses the border of two blocks
CENTRE = 4_800 * 4  # in ticks; bids stay below, asks above
WINDOWS = 60
OPENS_AT = 4
"""number of the window in which trading begins"""
RESET_AT = 30
"""number of the window in which the book is sent again"""
SNAPSHOT, LAST = int(dbn.F_SNAPSHOT), int(dbn.F_LAST)

BRONZE = "bronze.future_mbo.mbo"
SNAP = "silver.future_mbo.book_snapshot_1s"
WALL = "silver.future_mbo.wall_surface_1s"
RADAR = "silver.future_mbo.radar_vacuum_1s"
TRADES = "silver.future_mbo.trade_event"
VACUUM = "silver.future_mbo.vacuum_surface_1s"
BAND = "silver.future_mbo.physics_bands_1s"
CONTEXT = "silver.future_mbo.physics_context_1s"
GEX = "silver.future_option_mbo.gex_surface_1s"
CALIBRATION = "gold.hud.physics_norm_calibration"
HUD = "gold.hud.hud_surface_1s"

Row = dict[str, Any]


# -- the record stream -------------------------------------------------------------------------------


def _book_of(orders: dict[int, tuple[str, int, int, int]], ts_recv: int) -> list[Record]:
    """A marked snapshot of the live orders."""
    clear = Record(ts_recv, ts_recv, "R", "N", 0, int(dbn.UNDEF_PRICE), 0, SNAPSHOT | 8)
    adds = [
        Record(t, ts_recv, "A", side, oid, tick * TICK, qty, SNAPSHOT | 8)
        for oid, (side, tick, qty, t) in orders.items()
    ]
    adds[-1] = adds[-1]._replace(flags=adds[-1].flags | LAST)
    return [clear, *adds]


@cache
def records(seed: int = 7) -> tuple[Record, ...]:
    """Snapshot, then a minute of adds, cancels, modifies and trades; the book is re-sent once."""
    rng = random.Random(seed)
    ids = iter(range(1, 10**9))
    orders: dict[int, tuple[str, int, int, int]] = {}
    for tick in range(1, 26):
        for side, sign in (("A", 1), ("B", -1)):
            orders[next(ids)] = (side, CENTRE + sign * tick, rng.randint(1, 30), T0 - 3_600 * SECOND)
    orders[next(ids)] = ("A", CENTRE + 590, 40, T0 - SECOND)
    stream = _book_of(orders, T0 - SECOND)
    for number in range(WINDOWS):
        start = T0 + number * SECOND
        if number == RESET_AT:
            stream += _book_of(orders, start + SECOND // 4)
        if number % 9 == 8:
            continue  # a second without any record
        for step in range(rng.randint(2, 8)):
            # a step of 1/10 s; the last ones are younger than REST_NS at the window's end
            ts = start + SECOND // 3 + step * SECOND // 12
            trades = number >= OPENS_AT and (step == 0 or rng.random() < 0.3)
            stream += _event(rng, ids, orders, ts, trades=trades)
    return tuple(stream)


def _event(
    rng: random.Random, ids: Iterator[int], orders: dict[int, tuple[str, int, int, int]], ts: int, *, trades: bool
) -> list[Record]:
    """One event on the live orders, its last record with F_LAST."""
    recv = ts + 100_000
    side = rng.choice("AB")
    sign = 1 if side == "A" else -1
    mine = [oid for oid, order in orders.items() if order[0] == side]
    if trades:
        best = min(mine, key=lambda oid: (sign * orders[oid][1], oid))
        _, tick, qty, entered = orders[best]
        lots = qty if rng.random() < 0.5 or qty < 2 else rng.randint(1, qty - 1)
        aggressor = "B" if side == "A" else "A"
        event = [
            Record(ts, recv, "T", aggressor, next(ids), tick * TICK, lots, 0),
            Record(ts, recv, "F", side, best, tick * TICK, lots, 0),
        ]
        if lots == qty:
            del orders[best]
            event.append(Record(ts, recv, "C", side, best, tick * TICK, lots, LAST))
        else:
            orders[best] = (side, tick, qty - lots, entered)
            event.append(Record(ts, recv, "M", side, best, tick * TICK, qty - lots, LAST))
        return event
    kind = rng.choice("AAACM") if len(mine) > 8 else "A"
    if kind == "A":
        oid, tick, qty = next(ids), CENTRE + sign * rng.randint(1, 12), rng.randint(1, 20)
        orders[oid] = (side, tick, qty, ts)
        return [Record(ts, recv, "A", side, oid, tick * TICK, qty, LAST)]
    oid = rng.choice(mine)
    _, tick, qty, entered = orders[oid]
    if kind == "C":
        del orders[oid]
        return [Record(ts, recv, "C", side, oid, tick * TICK, qty, LAST)]
    new_tick, new_qty = CENTRE + sign * rng.randint(1, 12), rng.randint(1, 30)
    orders[oid] = (side, new_tick, new_qty, entered if new_tick == tick else ts)
    return [Record(ts, recv, "M", side, oid, new_tick * TICK, new_qty, LAST)]


# -- tables ------------------------------------------------------------------------------------------


def to_table(dataset: str, rows: Sequence[Row]) -> pa.Table:
    """Rows as an Arrow table of the declared schema, validated."""
    schema = table(dataset).arrow_schema
    made = pa.table({f.name: pa.array([row[f.name] for row in rows], f.type) for f in schema}, schema=schema)
    table(dataset).validate(made)
    return made


def bronze_table(stream: Sequence[Record]) -> pa.Table:
    """Bronze MBO rows of a record stream."""
    extra = {"rtype": 160, "publisher_id": 1, "instrument_id": 42, "channel_id": 0, "ts_in_delta": 0}
    return to_table(BRONZE, [{**extra, **r._asdict(), "sequence": i} for i, r in enumerate(stream)])


def _phase(number: int) -> str:
    return "open" if number >= OPENS_AT else "pre_open"


def snapshot_rows(windows: Sequence[PlainWindow]) -> list[Row]:
    """book_snapshot_1s of plain windows."""
    rows = []
    for number, w in enumerate(windows):
        both = w.best_bid_qty and w.best_ask_qty
        mid = (w.best_bid_price_int + w.best_ask_price_int) // 2 if both else 0
        rows.append(
            {
                **{name: getattr(w, name) for name in w.__dataclass_fields__ if name != "levels"},
                "window_start_ts_ns": w.window_end_ts_ns - SECOND,
                "mid_price_int": mid,
                "mid_price": mid * 1e-9,
                "phase": _phase(number),
            }
        )
    return rows


def wall_rows(windows: Sequence[PlainWindow]) -> list[Row]:
    """wall_surface_1s of plain windows that all have a spot."""
    rows = []
    history: list[dict[tuple[str, int], int]] = []
    for number, w in enumerate(windows):
        now = {key: level.depth_qty_end for key, level in w.levels.items()}
        if number == 0 or w.has_reset:
            history = []
        for (side, price), level in w.levels.items():
            known = [depth.get((side, price), 0) for depth in history]
            e0 = level.depth_qty_end
            e = [e0, *known]
            e += [e[-1]] * (4 - len(e))
            rows.append(
                {
                    "window_start_ts_ns": w.window_end_ts_ns - SECOND,
                    "window_end_ts_ns": w.window_end_ts_ns,
                    "price_int": price,
                    "side": side,
                    "spot_ref_price_int": w.spot_ref_price_int,
                    "rel_ticks": (price - w.spot_ref_price_int) // TICK,
                    **level._asdict(),
                    "d1_depth_qty": e[0] - e[1],
                    "d2_depth_qty": e[0] - 2 * e[1] + e[2],
                    "d3_depth_qty": e[0] - 3 * e[1] + 3 * e[2] - e[3],
                    "window_valid": _phase(number) == "open" and w.book_valid and not w.has_reset,
                }
            )
        history = [now, *history][:3]
    return rows


def by_window(rows: Sequence[Row]) -> dict[int, list[Row]]:
    """Rows grouped by window_end, in order."""
    grouped: dict[int, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row["window_end_ts_ns"], []).append(row)
    return grouped


def radar_rows(windows: Sequence[PlainWindow], wall: Sequence[Row], seed: int = 3) -> list[Row]:
    """radar_vacuum_1s; what needs single orders (adds, resting pulls, reprices) is drawn at random."""
    rng = random.Random(seed)
    levels = by_window(wall)
    rows: list[Row] = []
    for number, w in enumerate(windows):
        f: dict[str, float] = {}
        n0_total, added = {}, {}
        for side, place, pull in (("A", "f1_ask", "f2_ask"), ("B", "f3_bid", "f4_bid")):
            sign = 1 if side == "A" else -1
            zone = [
                (sign * r["rel_ticks"], r["depth_qty_start"], r["depth_qty_end"])
                for r in levels[w.window_end_ts_ns]
                if r["side"] == side and 0 <= sign * r["rel_ticks"] <= 20
            ]

            def depth(which: int, lo: int, hi: int, zone: list[tuple[int, int, int]] = zone) -> int:
                return sum(level[which] for level in zone if lo <= level[0] <= hi)

            def centre(which: int, zone: list[tuple[int, int, int]] = zone) -> float:
                total = sum(level[which] for level in zone)
                return sum(level[0] * level[which] for level in zone) / total if total else 20.0

            n0, n1 = depth(1, 0, 20), depth(2, 0, 20)
            f[f"{place}_com_disp_log"] = math.log((centre(2) + 1) / (centre(1) + 1))
            f[f"{place}_slope_convex_log"] = math.log((depth(2, 15, 20) + 1) / (depth(2, 3, 5) + 1))
            f[f"{place}_slope_inner_log"] = math.log((depth(2, 3, 5) + 1) / (depth(2, 0, 2) + 1))
            f[f"{place}_at_share_delta"] = depth(2, 0, 2) / (n1 + 1) - depth(1, 0, 2) / (n0 + 1)
            f[f"{place}_near_share_delta"] = depth(2, 3, 5) / (n1 + 1) - depth(1, 3, 5) / (n0 + 1)
            away, toward = rng.randint(0, 5), rng.randint(0, 5)
            f[f"{place}_reprice_away_share_rest"] = away / (away + toward + 1) if away + toward else 0.5
            r_at, r_near, r_rest, a = (rng.randint(0, 9) for _ in range(4))
            r = r_at + r_near + r_rest
            f[f"{pull}_pull_add_log_rest"] = math.log((r + 1) / (a + 1))
            f[f"{pull}_pull_intensity_log_rest"] = math.log(1 + r / (n0 + 1))
            f[f"{pull}_at_pull_share_rest"] = r_at / (r + 1)
            f[f"{pull}_near_pull_share_rest"] = r_near / (r + 1)
            near_side = "f8_ask_bbo_dist_ticks" if side == "A" else "f9_bid_bbo_dist_ticks"
            f[near_side] = float(min((level[0] for level in zone if level[2]), default=20))
            n0_total[side], added[side] = n0, a
        f["f5_vacuum_expansion_log"] = f["f1_ask_com_disp_log"] + f["f3_bid_com_disp_log"]
        f["f6_vacuum_decay_log"] = f["f2_ask_pull_add_log_rest"] + f["f4_bid_pull_add_log_rest"]
        f["f7_vacuum_total_log"] = f["f5_vacuum_expansion_log"] + f["f6_vacuum_decay_log"]
        u: dict[str, float] = dict(
            zip(
                U_FEATURES,
                (
                    f["f1_ask_com_disp_log"],
                    f["f1_ask_slope_convex_log"],
                    f["f1_ask_slope_inner_log"],
                    -f["f1_ask_at_share_delta"],
                    -f["f1_ask_near_share_delta"],
                    f["f1_ask_reprice_away_share_rest"],
                    f["f2_ask_pull_add_log_rest"],
                    f["f2_ask_pull_intensity_log_rest"],
                    f["f2_ask_at_pull_share_rest"],
                    f["f2_ask_near_pull_share_rest"],
                    -f["f3_bid_com_disp_log"],
                    -f["f3_bid_slope_convex_log"],
                    -f["f3_bid_slope_inner_log"],
                    f["f3_bid_at_share_delta"],
                    f["f3_bid_near_share_delta"],
                    1 - f["f3_bid_reprice_away_share_rest"],
                    -f["f4_bid_pull_add_log_rest"],
                    math.log(1 + added["B"] / (n0_total["B"] + 1)),
                    1 - f["f4_bid_at_pull_share_rest"] - f["f4_bid_near_pull_share_rest"],
                    f["f1_ask_com_disp_log"] - f["f3_bid_com_disp_log"],
                    f["f2_ask_pull_add_log_rest"] - f["f4_bid_pull_add_log_rest"],
                    f["f1_ask_com_disp_log"]
                    - f["f3_bid_com_disp_log"]
                    + (f["f2_ask_pull_add_log_rest"] - f["f4_bid_pull_add_log_rest"]),
                    f["f8_ask_bbo_dist_ticks"],
                    f["f9_bid_bbo_dist_ticks"],
                ),
                strict=True,
            )
        )
        row: Row = {
            "window_start_ts_ns": w.window_end_ts_ns - SECOND,
            "window_end_ts_ns": w.window_end_ts_ns,
            "spot_ref_price": w.spot_ref_price_int * 1e-9,
            "spot_ref_price_int": w.spot_ref_price_int,
            "approach_dir": "approach_none",
            **{name: f[name] for name in F_FEATURES},
            **u,
        }
        if number >= 3:
            change = w.spot_ref_price_int - windows[number - 3].spot_ref_price_int
            row["approach_dir"] = f"approach_{'up' if change > 0 else 'down' if change < 0 else 'none'}"
        for order, source in ((1, ""), (2, "d1_"), (3, "d2_")):
            for name in (*F_FEATURES, *U_FEATURES):
                restart = number == 0 or w.has_reset
                row[f"d{order}_{name}"] = 0.0 if restart else row[source + name] - rows[-1][source + name]
        rows.append(row)
    return rows


def trade_rows(stream: Sequence[Record]) -> list[Row]:
    """trade_event of a stream whose events are T, F, then one C or M."""
    rows: list[Row] = []
    for sequence, r in enumerate(stream):
        if r.action == "T":
            rows.append(
                {
                    "ts_event_ns": r.ts_event,
                    "ts_recv_ns": r.ts_recv,
                    "sequence": sequence,
                    "trade_idx": len(rows),
                    "price_int": r.price,
                    "qty": r.size,
                    "aggressor_side": r.side,
                    "order_id": r.order_id,
                    "resting_fill_count": 1,
                    "resting_fill_qty": r.size,
                    "sweep_level_count": 1,
                    "is_auction": False,
                    "phase": "open",
                }
            )
    return rows


# -- a lake in memory --------------------------------------------------------------------------------


@dataclass
class MemoryManifest:
    """The manifest fields that checks read."""

    params: dict[str, Any] = field(default_factory=lambda: {"session": "full"})
    counters: dict[str, int] = field(default_factory=dict)
    calibration: dict[str, str] | None = None
    engine_run: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass
class MemoryLake:
    """Tables and manifests by dataset; reads like `data_eng.lake.Lake`, in small batches."""

    tables: dict[str, pa.Table]
    manifests: dict[str, MemoryManifest]
    batch_rows: int = 1_000

    def has(self, dataset: str, symbol: str, dt: str) -> bool:
        return dataset in self.tables and (symbol, dt) == (SYMBOL, DT)

    def manifest(self, dataset: str, symbol: str, dt: str) -> MemoryManifest:
        return self.manifests[dataset]

    def read(self, dataset: str, symbol: str, dt: str, columns: Sequence[str] | None = None) -> pa.Table:
        made = self.tables[dataset]
        return made if columns is None else made.select(list(columns))

    def iter_batches(
        self, dataset: str, symbol: str, dt: str, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        yield from self.read(dataset, symbol, dt, columns).to_batches(max_chunksize=self.batch_rows)

    def with_table(self, dataset: str, made: pa.Table) -> MemoryLake:
        return replace(self, tables={**self.tables, dataset: made})

    def without(self, dataset: str) -> MemoryLake:
        return replace(self, tables={k: v for k, v in self.tables.items() if k != dataset})

    def with_manifest(self, dataset: str, **changes: Any) -> MemoryLake:
        changed = replace(self.manifests[dataset], **changes)
        return replace(self, manifests={**self.manifests, dataset: changed})

    def with_cell(self, dataset: str, column: str, row: int, value: Any) -> MemoryLake:
        """The lake with one cell changed; negative rows count from the end."""
        made = self.tables[dataset]
        values = made.column(column).to_pylist()
        values[row] = value
        index = made.schema.get_field_index(column)
        f = made.schema.field(index)
        return self.with_table(dataset, made.set_column(index, f, pa.array(values, f.type)))

    def without_row(self, dataset: str, row: int) -> MemoryLake:
        made = self.tables[dataset]
        keep = np.delete(np.arange(made.num_rows), row)
        return self.with_table(dataset, made.take(pa.array(keep)))

    def with_row_repeated(self, dataset: str, row: int) -> MemoryLake:
        made = self.tables[dataset]
        order = np.insert(np.arange(made.num_rows), row, row)
        return self.with_table(dataset, made.take(pa.array(order)))

    def cell(self, dataset: str, column: str, row: int) -> Any:
        return self.tables[dataset].column(column)[row].as_py()

    def find(self, dataset: str, **wanted: Any) -> int:
        """Number of the first row with these values."""
        made = self.tables[dataset].select(list(wanted)).to_pylist()
        return made.index(wanted)


@cache
def plain_windows() -> tuple[PlainWindow, ...]:
    """The windows of `records()`."""
    book = PlainBook(TICK)
    return (*book.feed(records()), *book.finish())


@cache
def book_lake() -> MemoryLake:
    """Bronze and the futures tables, coherent."""
    windows = plain_windows()
    assert len(windows) == WINDOWS
    snapshot, wall = snapshot_rows(windows), wall_rows(windows)
    tables = {
        BRONZE: bronze_table(records()),
        SNAP: to_table(SNAP, snapshot),
        WALL: to_table(WALL, wall),
        RADAR: to_table(RADAR, radar_rows(windows, wall)),
        TRADES: to_table(TRADES, trade_rows(records())),
    }
    names = ("crossed_closed", "crossed_pre_open", "crossed_open", "crossed_halt")
    counters = dict.fromkeys((*names, "identity_violations", "negative_depths"), 0)
    counters["events"] = sum(row["event_count"] for row in snapshot)
    made = {name: MemoryManifest(engine_run="run-1", counters=counters) for name in (SNAP, WALL, RADAR, TRADES)}
    return MemoryLake(tables, {**made, BRONZE: MemoryManifest()})


__all__ = ["BANDS", "DIRECTIONS", "MemoryLake", "MemoryManifest", "book_lake", "plain_windows", "records"]
