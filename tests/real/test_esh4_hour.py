"""Every number of spec 4 and 15 about the real hour, asserted on the engine's output.

The slow twin has the same numbers in tests/data_eng/test_naive_book.py, and the golden file comes from a
third, independent replay: three books written apart agree on every second.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from data_eng.mbo import MboColumns
from data_eng.sessions import pause_intervals
from tests.engine_helpers import assert_rows_equal
from tests.naive.book import NaiveBook
from tests.naive.records import F_LAST, F_SNAPSHOT
from tests.naive.reference_stream import read_mbo_array, to_recs
from tests.real.hour import (
    AUCTION_NS,
    END_NS,
    FIRST_NS,
    INSTRUMENT_ID,
    RECORDS,
    SECOND,
    SNAPSHOT_RECORDS,
    TICK,
    Hour,
    hour_engine,
    run_hour,
    sampled_windows,
    utc_ns,
)

pytestmark = pytest.mark.xdist_group("real_hour")
"""these tests share one run of the engine: with `--dist loadgroup` one worker makes it"""


@pytest.fixture(scope="module")
def records(real_esh4: Path) -> np.ndarray:
    return read_mbo_array(real_esh4)


@pytest.fixture(scope="module")
def hour(records: np.ndarray) -> Hour:
    return run_hour(records)


def _rounded_ms(ns: int) -> int:
    return round(ns / 1e6)


# ---- spec 15, in its order -------------------------------------------------------------------------------


def test_the_file_is_the_one_that_was_measured(records: np.ndarray) -> None:
    snapshot = records["flags"] & F_SNAPSHOT != 0
    plain = Counter(map(chr, records["action"][~snapshot].tolist()))
    assert (len(records), int(snapshot.sum())) == (RECORDS, SNAPSHOT_RECORDS)
    assert set(records["action"][snapshot].tolist()) == {ord("A")}
    assert plain == {"A": 20_491, "C": 17_999, "M": 12_233, "F": 6_371, "T": 2_973}
    incremental = records[~snapshot]
    keys = list(zip(incremental["ts_event"].tolist(), incremental["sequence"].tolist(), strict=True))
    assert keys == sorted(keys), "not one of 60,067 records is out of order"
    torn = incremental["ts_recv"] // SECOND != incremental["ts_event"] // SECOND
    assert (len(keys), int(torn.sum())) == (60_067, 57)


def test_counters(hour: Hour) -> None:
    """Unknown C and M, duplicates, side changes, negative depths, crossings in open, identity: all 0."""
    assert {name: count for name, count in hour.engine.counters().items() if count} == {
        "records": 68_792,
        "snapshot_records": 8_725,
        "events": 47_022,
        "snapshots": 1,
        "unknown_fill_orders": 7,
        "unknown_fill_qty": 14,
        "crossed_pre_open": 891,
        "aggressor_fills": 107,
        "aggressor_fill_qty": 265,
        "hidden_qty_cancel": 26,
        "hidden_qty_modify": 477,
    }


def test_windows_reach_from_the_first_plain_record_to_the_last(hour: Hour, records: np.ndarray) -> None:
    plain = records["ts_event"][records["flags"] & F_SNAPSHOT == 0]
    assert _rounded_ms(int(plain[0]) - utc_ns(22)) == 180
    assert _rounded_ms(int(plain[-1]) - utc_ns(23, 59, 59)) == 447
    ends = hour.column("window_end_ts_ns")
    assert len(ends) == 7_200
    assert (int(ends[0]), int(ends[-1])) == (FIRST_NS + SECOND, END_NS)
    assert (np.diff(ends) == SECOND).all()
    assert Counter(hour.snapshot["phase"].to_pylist()) == {"pre_open": 3_600, "open": 3_600}
    assert hour.snapshot["phase"].to_pylist()[3_599:3_601] == ["pre_open", "open"]


def test_all_windows_of_the_trading_hour_are_valid_but_that_of_the_auction(hour: Hour) -> None:
    wanted = {AUCTION_NS + k * SECOND for k in range(2, 3_601)}
    assert len(wanted) == 3_599
    assert hour.valid_ends == wanted


def test_the_auction_is_the_first_trade(hour: Hour) -> None:
    first = hour.trades.slice(0, 1).to_pylist()[0]
    assert first["ts_event_ns"] // 1_000_000 == AUCTION_NS // 1_000_000
    assert [first[name] for name in ("qty", "price_int", "aggressor_side", "order_id")] == [
        44,
        4_800_250_000_000,
        "N",
        0,
    ]
    assert first["resting_fill_qty"] == 2 * 44
    assert hour.trades["is_auction"].to_numpy(zero_copy_only=False).sum() == 1


def test_book_at_the_start(records: np.ndarray) -> None:
    engine = hour_engine()
    engine.apply(MboColumns.from_records(records[:SNAPSHOT_RECORDS]))
    depth = engine.depth()
    assert (len(depth["B"]), len(depth["A"])) == (892, 559)
    assert sum(depth["B"].values()) + sum(depth["A"].values()) == 38_304
    assert engine.order_count() == SNAPSHOT_RECORDS
    assert not engine.book_complete, "nothing marked the snapshot's end yet"
    engine.apply(MboColumns.from_records(records[SNAPSHOT_RECORDS : SNAPSHOT_RECORDS + 1]))
    assert engine.book_complete


def test_book_at_the_end(hour: Hour) -> None:
    depth = hour.engine.depth()
    assert hour.engine.order_count() == 11_217
    assert (sum(depth["B"].values()), sum(depth["A"].values())) == (22_050, 20_110)
    assert (max(depth["B"]), min(depth["A"])) == (4_810_000_000_000, 4_810_250_000_000)
    last = hour.snapshot.slice(7_199).to_pylist()[0]
    assert (last["best_bid_price_int"], last["best_ask_price_int"]) == (max(depth["B"]), min(depth["A"]))
    assert last["best_bid_qty"] == depth["B"][max(depth["B"])]


def test_flow_of_the_two_hours_over_the_whole_book(records: np.ndarray) -> None:
    """The tables hold 600 ticks around a spot; the sums of the specification are over every level."""
    plain = records[SNAPSHOT_RECORDS:]
    engine = hour_engine(wall=False, radar=False)
    engine.apply(MboColumns.from_records(records[:SNAPSHOT_RECORDS]))
    cuts = [0, *(np.nonzero(np.diff(plain["ts_event"] // SECOND))[0] + 1).tolist(), len(plain)]
    flow: Counter[str] = Counter()
    for start, stop in pairwise(cuts):
        list(engine.process(MboColumns.from_records(plain[start:stop])))  # all of one window
        levels = engine._state["lev"]  # accumulators have no public name: a table has only 600 ticks of them
        touched = levels[levels["win"] == engine._st.win]
        for name in ("add", "pull", "pull_rest", "filled"):
            flow[name] += int(touched[name].sum())
    assert flow == {"add": 87_627, "pull": 73_849, "pull_rest": 60_821, "filled": 9_922}


def test_spread_and_spot(hour: Hour) -> None:
    valid = np.isin(hour.column("window_end_ts_ns"), list(hour.valid_ends))
    bid, ask, spot = (
        hour.column(name)[valid]
        for name in ("best_bid_price_int", "best_ask_price_int", "spot_ref_price_int")
    )
    assert Counter(((ask - bid) // TICK).tolist()) == {1: 3_385, 2: 214}
    moves = np.abs(np.diff(spot)) // TICK
    assert int(moves.max()) == 3
    assert round(100 * float((moves == 0).mean())) == 89
    outside = np.maximum(spot - ask, bid - spot) // TICK
    assert int(outside.max()) == 1
    assert round(100 * float((outside > 0).mean()), 1) == 0.1


def _quantile(counts: Counter[int], q: float) -> float:
    values = np.array(sorted(counts))
    return float(np.quantile(np.repeat(values, [counts[v] for v in values.tolist()]), q))


def test_depth_of_occupied_levels(hour: Hour) -> None:
    assert [_quantile(hour.near_depths, q) for q in (0.5, 0.95, 1)] == [53, 89, 250]
    assert [_quantile(hour.all_depths, q) for q in (0.5, 0.95, 1)] == [37, 68, 548]
    assert hour.deepest == (548, 4_854_000_000_000)
    strength = [round(math.log1p(_quantile(hour.near_rest, q)), 3) for q in (0.05, 0.95)]
    assert strength == [3.367, 4.5], "the calibration bounds of spec 6 come from these rows"


def test_wall_rows(hour: Hour) -> None:
    assert hour.wall["valid rows"] == 3_727_818
    assert hour.wall["valid near rows"] == 147_825
    assert sum(hour.near_depths.values()) == 147_345
    assert hour.wall["identity broken"] == 0
    assert hour.wall["rest beyond depth"] == 0
    assert hour.wall["all rows"] > hour.wall["valid rows"]


def test_delay_from_event_to_receipt(hour: Hour, records: np.ndarray) -> None:
    """Median 0.119 ms; 106 ms at the auction, which is how far `available_ts_ns` runs past a window."""
    plain = records[SNAPSHOT_RECORDS:]
    delay = plain["ts_recv"].astype(np.int64) - plain["ts_event"].astype(np.int64)
    assert round(float(np.median(delay)) / 1e6, 3) == 0.119
    auction = hour.trades.slice(0, 1).to_pylist()[0]
    assert _rounded_ms(auction["ts_recv_ns"] - auction["ts_event_ns"]) == 106
    received = np.maximum.accumulate(plain["ts_recv"].astype(np.int64))
    last = np.searchsorted(plain["ts_event"], hour.column("window_end_ts_ns").astype(np.uint64)) - 1
    assert (hour.column("available_ts_ns") == received[last]).all()


# ---- the numbers of section 4 ----------------------------------------------------------------------------


def test_events_and_crossings(hour: Hour) -> None:
    ends, events = hour.column("window_end_ts_ns"), hour.column("event_count")
    crossed = hour.column("crossed_event_count")
    before = ends <= AUCTION_NS
    assert (int(events[before].sum()), int(events.sum())) == (925, 47_022)
    assert (int(crossed[before].sum()), int(crossed.sum())) == (891, 891)
    assert int((events[~before] == 0).sum()) == 674

    bid, ask = hour.column("best_bid_price_int"), hour.column("best_ask_price_int")
    crossed_ends = ends[(ask > 0) & (bid >= ask)]
    assert len(crossed_ends) == 1_205
    assert (int(crossed_ends[0]), int(crossed_ends[-1])) == (utc_ns(22, 39, 56), AUCTION_NS)
    valid = hour.snapshot["book_valid"].to_numpy(zero_copy_only=False)
    assert set(ends[~valid].tolist()) == set(crossed_ends.tolist())
    assert (hour.column("spot_ref_price_int")[~valid] == 0).all(), "a crossed book gives no spot"


def test_resting_fills_sum_to_the_traded_volume(hour: Hour) -> None:
    qty, filled = (hour.trades[name].to_numpy().astype(np.int64) for name in ("qty", "resting_fill_qty"))
    assert hour.trades["trade_idx"].to_pylist() == list(range(2_973))
    assert int(filled.sum()) == 9_936 == 9_848 + 2 * 44
    assert int(qty.sum()) == 9_848 + 44
    assert int(filled.sum()) - hour.engine.counters()["unknown_fill_qty"] == 9_922
    assert int(hour.column("buy_qty").sum() + hour.column("sell_qty").sum()) == 9_848
    assert int(hour.column("trade_count").sum()) == 2_973
    assert set(hour.trades["phase"].to_pylist()) == {"open"}
    fills = hour.trades["resting_fill_count"].to_numpy().astype(np.int64)
    assert int(fills.sum()) + hour.engine.counters()["aggressor_fills"] == 6_371


def test_radar_has_a_finite_row_for_each_window_with_a_spot(hour: Hour) -> None:
    spot = hour.column("spot_ref_price_int")
    assert hour.radar.num_rows == 7_200 - 1_205 == int((spot > 0).sum())
    assert hour.radar["spot_ref_price_int"].to_pylist() == spot[spot > 0].tolist()
    floats = [name for name in hour.radar.column_names if pa.types.is_float64(hour.radar[name].type)]
    assert (len(floats), hour.radar.num_columns) == (197, 201)
    assert all(np.isfinite(hour.radar[name].to_numpy()).all() for name in floats)


# ---- the golden file -------------------------------------------------------------------------------------


def _golden_levels(row: dict[str, str], side: str) -> list[tuple[int, int]]:
    levels = [(row[f"{side}_px_{n:02}"], row[f"{side}_sz_{n:02}"]) for n in range(10)]
    return [(round(float(price) * 4) * TICK, int(qty)) for price, qty in levels if price]


def test_every_second_of_the_golden_file(records: np.ndarray, real_data: Path) -> None:
    """The golden file is cut by ts_recv seconds, so the engine is fed, and looked at, in those."""
    with (real_data / "golden_esh4_20231225_1s.csv").open(newline="") as file:
        golden = list(csv.DictReader(file))
    seconds = records["ts_recv"] // SECOND
    cuts = [0, *(np.nonzero(np.diff(seconds))[0] + 1).tolist(), len(records)]
    assert len(golden) == len(cuts) - 1 == 3_239
    engine = hour_engine(wall=False, radar=False)
    for row, (start, stop) in zip(golden, pairwise(cuts), strict=True):
        block = records[start:stop]
        assert int(row["sec_end_utc"]) == int(seconds[start]) + 1
        actions = Counter(map(chr, block["action"].tolist()))
        assert [actions[a] for a in "ACMTF"] == [int(row[f"n_{a}"]) for a in "ACMTF"]
        list(engine.process(MboColumns.from_records(block)))  # rows do not matter here
        depth = engine.depth()
        bids = sorted(depth["B"].items(), reverse=True)
        asks = sorted(depth["A"].items())
        assert bids[:10] == _golden_levels(row, "bid"), f"second {row['sec_end_utc']}"
        assert asks[:10] == _golden_levels(row, "ask"), f"second {row['sec_end_utc']}"
        assert (bids[0][0], asks[0][0]) == tuple(
            round(float(row[f"best_{side}"]) * 4) * TICK for side in ("bid", "ask")
        )
        assert engine.order_count() == int(row["n_orders"])
        assert (len(bids), len(asks)) == (int(row["n_bid_levels"]), int(row["n_ask_levels"]))
        assert sum(qty for _, qty in bids) == int(row["tot_bid_qty"])
        assert sum(qty for _, qty in asks) == int(row["tot_ask_qty"])


# ---- Sunday's file ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sunday(real_data: Path) -> np.ndarray:
    return read_mbo_array(real_data / "nautilus_trader" / "esh4-glbx-mdp3-20231224.mbo.dbn.zst")


def test_sundays_file_is_a_book_and_no_window(sunday: np.ndarray) -> None:
    assert (len(sunday), int(sunday["flags"][-1])) == (SNAPSHOT_RECORDS, F_SNAPSHOT | 8 | F_LAST)
    engine = hour_engine()
    windows = engine.apply(MboColumns.from_records(sunday))
    assert engine.book_complete, "its last record marks the snapshot's end"
    assert engine.order_count() == SNAPSHOT_RECORDS
    for part in (windows, engine.finish()):
        assert part.book_snapshot_1s.num_rows == part.wall_surface_1s.num_rows == 0
        assert part.radar_vacuum_1s.num_rows == part.trade_event.num_rows == 0


def test_sundays_file_before_the_hour_changes_nothing(
    sunday: np.ndarray, records: np.ndarray, hour: Hour
) -> None:
    """The same 8,725 order ids arrive twice with no plain record between (spec 4.3)."""
    after = run_hour(np.concatenate([sunday, records]))
    assert after.fingerprints == hour.fingerprints
    counters = after.engine.counters()
    assert (counters["snapshots"], counters["snapshot_records"]) == (2, 2 * SNAPSHOT_RECORDS)
    same = set(counters) - {"records", "snapshots", "snapshot_records"}
    assert {name: counters[name] for name in same} == {name: hour.engine.counters()[name] for name in same}


# ---- the twin --------------------------------------------------------------------------------------------


def test_the_hour_equals_the_slow_twin(records: np.ndarray, hour: Hour) -> None:
    """All snapshot, radar and trade rows, and all wall rows of 40 windows, the auction's among them."""
    week = 7 * 86_400 * SECOND
    pauses = [tuple(pair) for pair in pause_intervals(FIRST_NS - week, END_NS + week).tolist()]
    twin = NaiveBook(INSTRUMENT_ID, pauses=pauses, wall=sampled_windows())
    twin.apply(to_recs(records))
    twin.finish()
    assert hour.engine.counters() == twin.counters
    assert {row["window_end_ts_ns"] for row in twin.wall} >= {AUCTION_NS + SECOND, END_NS}
    assert len(twin.wall) > 30_000
    assert_rows_equal("wall_surface_1s", hour.wall_sample, twin.wall)
    assert_rows_equal("book_snapshot_1s", hour.snapshot, twin.snapshots)
    assert_rows_equal("trade_event", hour.trades, twin.trades)
    assert_rows_equal("radar_vacuum_1s", hour.radar, twin.radar)
