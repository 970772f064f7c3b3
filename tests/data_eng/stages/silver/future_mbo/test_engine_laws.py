"""Laws of spec 13 on the engine's own output: what must hold of any market, without asking a twin.

Streams are tidy: a small market that keeps its books, with icebergs, auctions, aggressive modifies, snapshots
and clears. What a broken feed does to the engine stands in test_book_engine.py and test_engine_edges.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from data_eng.schema import table
from data_eng.stages.silver.future_mbo.book_engine import BookEngine, Windows
from tests.engine_helpers import TABLES, assert_same_bytes, columns, drain, pairs, run_engine
from tests.naive.records import ASK, BID, F_LAST, F_SNAPSHOT, UNDEF_PRICE, Rec
from tests.strategies import (
    BASE_NS,
    CALM_MOVES,
    CENTRE,
    EVENT_END,
    FOREIGN_ID,
    INSTRUMENT_ID,
    LAYOUTS,
    SECOND,
    TICK,
    any_streams,
    pauses,
    snapshot_records,
    tidy_streams,
    wild_streams,
    with_foreign_records,
)

# Every example runs the engine from 2 to 7 times: fewer of them than the profile's 60 keep this file short.
SIZES = {"records", "events", "snapshots", "snapshot_records", "foreign_records"}


def run(recs: Iterable[Rec], **options: Any) -> Windows:
    return run_engine(list(recs), **options)[0]


def rows(found: pa.Table, names: Sequence[str]) -> list[tuple[Any, ...]]:
    return list(zip(*(found[name].to_pylist() for name in names), strict=True))


# ---- 2: the future ---------------------------------------------------------------------------------------


def _reached_by(record: Rec, end_ns: int) -> bool:
    return (record.ts_recv if record.flags & F_SNAPSHOT else record.ts_event) < end_ns


@settings(max_examples=25)
@given(st.data(), tidy_streams(foreign=False), st.integers(1, 15), pauses())
def test_no_row_knows_a_record_after_its_window(data, recs, seconds, pause):
    """The past alone, and the past with a wholly different future, give the same rows up to a second."""
    end_ns = BASE_NS + seconds * SECOND
    past = [record for record in recs if _reached_by(record, end_ns)]
    other = data.draw(tidy_streams(foreign=False))
    future = [
        r._replace(ts_event=r.ts_event + seconds * SECOND, ts_recv=r.ts_recv + seconds * SECOND)
        for r in other
        if not r.flags & F_SNAPSHOT
    ]
    options = {"pauses": pairs(pause)}
    engine = BookEngine(INSTRUMENT_ID, **options)
    alone = Windows.concat([engine.apply(columns(past)), engine.advance(end_ns)])
    for stream in (recs, past + future):
        whole = run(stream, **options)
        for name in TABLES[:3]:
            known, later = getattr(alone, name), getattr(whole, name)
            later = later.filter(pa.compute.less_equal(later["window_end_ts_ns"], end_ns))
            # a stream may end before end_ns; idle windows that only `advance` emits contradict nothing
            assert known.slice(0, later.num_rows).to_pylist() == later.to_pylist()


# ---- 3: trades and fills ---------------------------------------------------------------------------------

BOOK = (
    "window_end_ts_ns",
    "best_bid_price_int",
    "best_bid_qty",
    "best_ask_price_int",
    "best_ask_qty",
    "mid_price",
    "mid_price_int",
    "book_valid",
)
EVENTS = ("event_count", "crossed_event_count")
KEY = ("window_end_ts_ns", "side", "price_int")
DEPTH = (
    "depth_qty_start",
    "depth_qty_end",
    "depth_qty_rest",
    "d1_depth_qty",
    "d2_depth_qty",
    "d3_depth_qty",
)


def depths(windows: Windows) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    wall = windows.wall_surface_1s
    return dict(zip(rows(wall, KEY), rows(wall, DEPTH), strict=True))


@settings(max_examples=30)
@given(tidy_streams(), pauses())
def test_without_trades_and_fills_every_book_is_the_same(recs, pause):
    whole = run(recs, pauses=pairs(pause))
    bare = run((r for r in recs if r.action not in "TF" or r.flags & F_LAST), pauses=pairs(pause))
    assert rows(bare.book_snapshot_1s, BOOK + EVENTS) == rows(whole.book_snapshot_1s, BOOK + EVENTS)
    with_fills, without = depths(whole), depths(bare)
    common = with_fills.keys() & without.keys()
    assert {key: with_fills[key] for key in common} == {key: without[key] for key in common}


# ---- 4: snapshots and files ------------------------------------------------------------------------------


def _initial_snapshot(recs: Sequence[Rec]) -> int:
    plain = [i for i, r in enumerate(recs) if not r.flags & F_SNAPSHOT or r.ts_recv > BASE_NS]
    return plain[0] if plain else len(recs)


@settings(max_examples=12)
@given(tidy_streams(layout="legacy", foreign=False))
def test_the_layout_of_the_first_snapshot_does_not_matter(recs):
    cut = _initial_snapshot(recs)
    assume(cut > 0)
    initial, rest = recs[:cut], recs[cut:]
    orders = [(r.order_id, r.side, r.price, r.size, r.ts_event) for r in initial]
    at_ns = initial[0].ts_recv
    wanted = run(recs)
    for layout in LAYOUTS:
        assert_same_bytes(run(snapshot_records(orders, layout, ts_recv=at_ns) + rest), wanted)
        sunday = snapshot_records(orders, layout, ts_recv=at_ns - 36_000 * SECOND)
        assert_same_bytes(run(sunday + recs), wanted)


@settings(max_examples=25)
@given(tidy_streams(foreign=False))
def test_a_snapshot_repeated_right_after_itself_changes_nothing(recs):
    doubled: list[Rec] = []
    block: list[Rec] = []
    for place, record in enumerate(recs):
        doubled.append(record)
        if not record.flags & F_SNAPSHOT:
            continue
        block.append(record)
        following = recs[place + 1] if place + 1 < len(recs) else None
        if following is None or not following.flags & F_SNAPSHOT or record.flags & F_LAST:
            doubled += block
            block = []
    assert_same_bytes(run(doubled), run(recs))


@settings(max_examples=25)
@given(st.data(), tidy_streams())
def test_a_day_in_two_files_is_the_same_day(data, recs):
    """The second file is another buffer; the cut may lie inside a snapshot or an event."""
    cut = data.draw(st.integers(0, len(recs)))
    engine = BookEngine(INSTRUMENT_ID)
    parts = [engine.apply(columns(recs[:cut])), engine.apply(columns(recs[cut:])), engine.finish()]
    assert_same_bytes(Windows.concat(parts), run(recs))


# ---- 5: conservation -------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(any_streams(), pauses())
def test_every_level_is_its_start_plus_adds_minus_pulls_and_fills(recs, pause):
    windows, engine = run_engine(recs, pauses=pairs(pause))
    wall = {
        name: windows.wall_surface_1s[name].to_numpy()
        for name in windows.wall_surface_1s.column_names
        if name != "side"
    }
    ends = wall["depth_qty_start"] + wall["add_qty"] - wall["pull_qty_total"] - wall["fill_qty"]
    valid = wall["window_valid"]
    assert (ends[valid] == wall["depth_qty_end"][valid]).all()
    assert (wall["depth_qty_rest"] <= wall["depth_qty_end"]).all()
    assert (wall["pull_qty_rest"] <= wall["pull_qty_total"]).all()
    assert (wall["rel_ticks"].astype(np.int64) * TICK == wall["price_int"] - wall["spot_ref_price_int"]).all()
    assert (np.abs(wall["rel_ticks"]) <= 600).all()
    counters = engine.counters()
    assert (counters["identity_violations"], counters["negative_depths"]) == (0, 0)
    assert counters["events"] == sum(windows.book_snapshot_1s["event_count"].to_pylist()) or not (
        windows.book_snapshot_1s.num_rows
    )


@given(tidy_streams(moves=CALM_MOVES, layout="modern"))
def test_resting_fills_meet_the_traded_volume_and_a_legal_market_has_no_fault(recs):
    windows, engine = run_engine(recs)
    trades = windows.trade_event.to_pylist()
    for row in trades:
        assert row["resting_fill_qty"] == row["qty"] * (2 if row["is_auction"] else 1)
    volume = sum(row["qty"] for row in trades if not row["is_auction"])
    snapshots = windows.book_snapshot_1s
    assert sum(snapshots["buy_qty"].to_pylist() + snapshots["sell_qty"].to_pylist()) == volume
    assert sum(snapshots["trade_count"].to_pylist()) == len(trades)
    legal = {
        "hidden_qty_cancel",
        "hidden_qty_modify",
        "aggressor_fills",
        "aggressor_fill_qty",
        "crossed_open",
    }
    assert {name for name, n in engine.counters().items() if n} <= legal | SIZES


# ---- 6: symmetries ---------------------------------------------------------------------------------------

F_COLUMNS = [
    name.removeprefix("d1_")
    for name in table("radar_vacuum_1s").arrow_schema.names
    if name.startswith("d1_f")
]
"""the 25 features that have a mirror image"""
ASK_AND_BID = [(name, _twin) for name in F_COLUMNS if (_twin := name.replace("f1_ask", "f3_bid")) != name]
ASK_AND_BID += [(name, _twin) for name in F_COLUMNS if (_twin := name.replace("f2_ask", "f4_bid")) != name]
ASK_AND_BID += [("f8_ask_bbo_dist_ticks", "f9_bid_bbo_dist_ticks")]
MIRROR = str.maketrans({ASK: BID, BID: ASK})


def _mirror(record: Rec) -> Rec:
    price = record.price if record.price == UNDEF_PRICE else 2 * CENTRE - record.price
    return record._replace(price=price, side=record.side.translate(MIRROR))


@settings(max_examples=35)
@given(tidy_streams(foreign=False), pauses())
def test_a_mirrored_market_has_mirrored_tables(recs, pause):
    trades = [record.ts_event for record in recs if record.action == "T"]
    assume(trades)
    book = run(recs, pauses=pairs(pause))
    image = run(map(_mirror, recs), pauses=pairs(pause))
    # the 4th window after the first trade: before a trade spot is the bid, and differences remember it
    from_end = trades[0] - trades[0] % SECOND + 4 * SECOND

    def late(found: pa.Table) -> list[dict[str, Any]]:
        return [row for row in found.to_pylist() if row["window_end_ts_ns"] >= from_end]

    turned = [
        row
        | {
            "side": row["side"].translate(MIRROR),
            "price_int": 2 * CENTRE - row["price_int"],
            "spot_ref_price_int": 2 * CENTRE - row["spot_ref_price_int"],
            "rel_ticks": -row["rel_ticks"],
        }
        for row in late(image.wall_surface_1s)
    ]
    assert sorted(turned, key=lambda row: [row[k] for k in KEY]) == late(book.wall_surface_1s)

    pairs_of_books = zip(late(book.book_snapshot_1s), late(image.book_snapshot_1s), strict=True)
    for row, twin in pairs_of_books:
        assert (row["best_bid_qty"], row["best_ask_qty"]) == (twin["best_ask_qty"], twin["best_bid_qty"])
        assert (row["buy_qty"], row["sell_qty"]) == (twin["sell_qty"], twin["buy_qty"])
        for name in ("book_valid", "phase", "trade_count", "available_ts_ns", *EVENTS):
            assert row[name] == twin[name]

    assert len(ASK_AND_BID) == 11
    turned_word = {"approach_up": "approach_down", "approach_down": "approach_up"}
    for row, twin in zip(late(book.radar_vacuum_1s), late(image.radar_vacuum_1s), strict=True):
        word = row["approach_dir"]
        assert twin["approach_dir"] == turned_word.get(word, word)
        for prefix in ("", "d1_", "d2_", "d3_"):
            for ask, bid in ASK_AND_BID:
                assert row[prefix + ask] == twin[prefix + bid]
                assert row[prefix + bid] == twin[prefix + ask]
            for name in ("f5_vacuum_expansion_log", "f6_vacuum_decay_log", "f7_vacuum_total_log"):
                assert row[prefix + name] == twin[prefix + name]


PRICES = ("price_int", "spot_ref_price_int")
FLOAT_PRICES = ("mid_price", "spot_ref_price")


@settings(max_examples=30)
@given(tidy_streams(), st.integers(-20_000, 20_000), pauses())
def test_shifted_prices_shift_the_tables(recs, ticks, pause):
    shift = ticks * TICK
    moved = run(
        (r if r.price == UNDEF_PRICE else r._replace(price=r.price + shift) for r in recs),
        pauses=pairs(pause),
    )
    book = run(recs, pauses=pairs(pause))
    for name in TABLES:
        found, wanted = getattr(moved, name), getattr(book, name)
        assert found.num_rows == wanted.num_rows
        for column in wanted.column_names:
            if column in FLOAT_PRICES:
                continue  # they follow from the integers
            values = wanted[column].to_pylist()
            if column.endswith("price_int"):
                values = [value + shift if value else 0 for value in values]  # 0 means "none" and stays
            assert found[column].to_pylist() == values, column


@settings(max_examples=30)
@given(tidy_streams(), st.integers(2, 50))
def test_scaled_sizes_scale_depths_and_flows(recs, factor):
    book = run(recs, radar=False).wall_surface_1s
    scaled = run((r._replace(size=r.size * factor) for r in recs), radar=False).wall_surface_1s
    assert scaled.num_rows == book.num_rows
    for column in book.column_names:
        values = book[column].to_pylist()
        assert scaled[column].to_pylist() == [v * factor if "qty" in column else v for v in values], column


@settings(max_examples=30)
@given(tidy_streams(foreign=False), st.integers(0, 30), st.integers(-30, 30), st.sampled_from([ASK, BID]))
def test_a_flash_add_leaves_the_book_as_it_is(recs, place, ticks, side):
    ends = [i for i, r in enumerate(recs) if r.flags & F_LAST and not r.flags & F_SNAPSHOT]
    assume(ends)
    after = ends[place % len(ends)] + 1
    price = CENTRE + ticks * TICK
    add = recs[after - 1]._replace(order_id=7, price=price, size=5, flags=0, action="A", side=side)
    flashed = [*recs[:after], add, add._replace(action="C", flags=EVENT_END), *recs[after:]]
    book, busy = run(recs, radar=False), run(flashed, radar=False)
    assert rows(busy.book_snapshot_1s, BOOK) == rows(book.book_snapshot_1s, BOOK)
    before, now = depths(book), depths(busy)
    assert {key: now[key] for key in before} == before


@settings(max_examples=25)
@given(st.data(), st.one_of(tidy_streams(foreign=False), wild_streams()))
def test_foreign_instruments_change_nothing(data, recs):
    own = [record for record in recs if record.instrument_id == INSTRUMENT_ID]
    assume(own)
    mixed = data.draw(with_foreign_records(own))
    windows, engine = run_engine(mixed)
    alone, own_engine = run_engine(own)
    assert_same_bytes(windows, alone)
    assert engine.counters()["foreign_records"] == sum(r.instrument_id == FOREIGN_ID for r in mixed) > 0
    assert engine.counters() | {"foreign_records": 0} == own_engine.counters()


# ---- 9: faults -------------------------------------------------------------------------------------------


def _faults(recs: Sequence[Rec]) -> dict[str, int]:
    return {name: n for name, n in run_engine(recs)[1].counters().items() if name not in SIZES}


def _plain_ends(recs: Sequence[Rec], action: str) -> list[int]:
    """Places of one-record events of an action."""
    return [
        i
        for i, r in enumerate(recs)
        if r.action == action
        and r.flags & F_LAST
        and not r.flags & F_SNAPSHOT
        and (i == 0 or recs[i - 1].flags & F_LAST)
    ]


@settings(max_examples=40)
@given(tidy_streams(moves=("add", "cancel", "trade"), layout="modern", foreign=False), st.integers(0, 99))
def test_each_fault_is_counted_once_and_never_fatal(recs, pick):
    clean = _faults(recs)
    adds = _plain_ends(recs, "A")
    assume(adds)
    place = adds[pick % len(adds)]
    add = recs[place]

    duplicated = [*recs[: place + 1], add, *recs[place + 1 :]]
    assert _faults(duplicated) == clean | {"duplicate_adds": clean["duplicate_adds"] + 1}

    late = add._replace(order_id=8, ts_event=add.ts_event - 2 * 3_600 * SECOND, size=0)
    spoiled = [*recs[: place + 1], late, late._replace(action="C"), *recs[place + 1 :]]
    assert _faults(spoiled)["late_records"] == clean["late_records"] + 2

    foreign = [*recs[:place], add._replace(instrument_id=FOREIGN_ID), *recs[place:]]
    assert run_engine(foreign)[1].counters()["foreign_records"] == 1
    assert _faults(foreign) == clean

    unended = [*recs[:place], add._replace(flags=0)]
    assert _faults(unended)["unterminated_events"] == 1


def test_a_dropped_cancel_shows_as_a_crossing_when_the_market_trades_through_it():
    orders = [(1, BID, CENTRE, 5, BASE_NS), (2, ASK, CENTRE + TICK, 5, BASE_NS)]
    start = snapshot_records(orders, "modern", ts_recv=BASE_NS - SECOND)
    base = Rec(BASE_NS, BASE_NS, 2, CENTRE + TICK, 5, EVENT_END, "C", ASK, INSTRUMENT_ID, 0)
    higher = [base._replace(action="A", side=BID, order_id=3, price=CENTRE + 2 * TICK, ts_event=BASE_NS + 10)]
    engine = BookEngine(INSTRUMENT_ID)
    assert drain(engine, [*start, base, *higher]).book_snapshot_1s["crossed_event_count"].to_pylist() == [0]
    engine = BookEngine(INSTRUMENT_ID)
    assert drain(engine, [*start, *higher]).book_snapshot_1s["crossed_event_count"].to_pylist() == [1]
    assert engine.counters()["crossed_open"] == 1
