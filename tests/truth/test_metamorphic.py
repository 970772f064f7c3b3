"""A day in a mirror, elsewhere, or with bigger orders gives the same surfaces, transformed (spec 13.6)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data_eng.dbn_codes import ACTION_ADD, ACTION_TRADE
from data_eng.stages.silver.future_mbo.book_engine import Windows
from data_eng.units import TICK_INT
from tests.dbn_samples import compressed
from tests.simex import transforms
from tests.truth.days import (
    DT,
    INSTRUMENT_ID,
    SECOND_NS,
    SYMBOL,
    TO_SURFACES,
    Day,
    assert_same,
    mbo_file,
    plain,
    run_engine,
    silver,
    surfaces_of,
)
from tests.truth.silver import KEY, WINDOW, in_view

pytestmark = pytest.mark.xdist_group("truth")  # one worker makes the days once

AXIS = 6_950_000_000_000
FIRST_FLASH_ID = 9_000_000_000_000
SETTLED_WINDOWS = 4
"""from this window after the first trade on nothing remembers that spot was the bid before it"""
TO_BANDS = (*TO_SURFACES, "gex_surface", "physics_norm_calibration", "vacuum_surface", "physics_bands")

Tables = dict[str, pl.DataFrame]


def tables(records: np.ndarray) -> Tables:
    """Surfaces of a stream by name."""
    windows, _ = run_engine(records)
    return named(windows)


def named(windows: Windows) -> Tables:
    """Surfaces by name, words as plain strings."""
    return {name: plain(pl.from_arrow(getattr(windows, name))) for name in windows.__dataclass_fields__}


@pytest.fixture(scope="module")
def records(tiny: Day) -> np.ndarray:
    """The two minutes over the open, the front contract only."""
    return tiny.records


@pytest.fixture(scope="module")
def as_it_was(records: np.ndarray) -> Tables:
    """Its surfaces."""
    return tables(records)


def settled(records: np.ndarray, table: pl.DataFrame) -> pl.DataFrame:
    """Rows from the 4th window after the first trade on."""
    first = int(records["ts_event"][records["action"] == ACTION_TRADE][0])
    return table.filter(pl.col("window_end_ts_ns") > first + SETTLED_WINDOWS * SECOND_NS)


def prices(table: pl.DataFrame) -> list[str]:
    return [c for c in table.columns if c.endswith("price_int")]


def reflected(table: pl.DataFrame) -> pl.DataFrame:
    """What a table of the mirrored day has to hold: sides exchanged, prices reflected."""
    swapped = {column: _twin(column) for column in table.columns}
    other = {"A": "B", "B": "A", "approach_up": "approach_down", "approach_down": "approach_up"}
    out = table.select(pl.col(old).alias(new) for old, new in swapped.items()).select(table.columns)
    words = [c for c in ("side", "approach_dir", "aggressor_side") if c in out.columns]
    out = out.with_columns(pl.col(words).replace(other)) if words else out
    known = [c for c in prices(out) if c != "mid_price_int"]
    out = out.with_columns(
        pl.when(pl.col(c) > 0).then(2 * AXIS - pl.col(c)).otherwise(0).alias(c) for c in known
    )
    if "rel_ticks" in out.columns:
        out = out.with_columns(-pl.col("rel_ticks"))
    return out


def _twin(column: str) -> str:
    """The same measure of the other side."""
    for one, other in (("bid", "ask"), ("buy", "sell"), ("above", "below")):
        if re.search(rf"(^|_){one}_", column):
            column = re.sub(rf"(^|_){one}_", rf"\1{other}_", column)
        elif re.search(rf"(^|_){other}_", column):
            column = re.sub(rf"(^|_){other}_", rf"\1{one}_", column)
    for one, other in (("f1", "f3"), ("f2", "f4"), ("f8", "f9")):
        swap = {one: other, other: one}
        column = re.sub(rf"(^|_)({one}|{other})_", lambda m, swap=swap: m[1] + swap[m[2]] + "_", column)
    return column


def test_the_twin_of_a_twin_is_the_column_itself(as_it_was: Tables) -> None:
    for table in as_it_was.values():
        assert [_twin(_twin(c)) for c in table.columns] == table.columns
    assert _twin("d2_f1_ask_slope_inner_log") == "d2_f3_bid_slope_inner_log"
    assert _twin("f8_ask_bbo_dist_ticks") == "f9_bid_bbo_dist_ticks"


def test_a_mirrored_day_gives_mirrored_walls_and_snapshots(records: np.ndarray, as_it_was: Tables) -> None:
    seen = tables(transforms.mirror(records, AXIS))
    wall = [
        "price_int",
        "rel_ticks",
        "spot_ref_price_int",
        "window_valid",
        "depth_qty_start",
        "depth_qty_end",
    ]
    wall += ["add_qty", "pull_qty_total", "fill_qty", "depth_qty_rest", "pull_qty_rest"]
    wall += ["d1_depth_qty", "d2_depth_qty", "d3_depth_qty"]
    columns = [c for c in wall if c not in KEY]
    found, wanted = (settled(records, t["wall_surface_1s"]) for t in (seen, as_it_was))
    assert_same(found, reflected(wanted), KEY, columns, at_least=50_000)
    found, wanted = (settled(records, t["book_snapshot_1s"]) for t in (seen, as_it_was))
    columns = [c for c in found.columns if c not in WINDOW and not c.startswith("mid_")]
    assert_same(found, reflected(wanted), WINDOW, columns, at_least=100)
    assert (found["mid_price_int"] == 2 * AXIS - wanted["mid_price_int"]).all()


def test_a_mirrored_day_gives_a_mirrored_radar(records: np.ndarray, as_it_was: Tables) -> None:
    seen = tables(transforms.mirror(records, AXIS))
    found, wanted = (settled(records, t["radar_vacuum_1s"]) for t in (seen, as_it_was))
    features = [c for c in found.columns if re.match(r"(d[123]_)?f\d_", c)]
    assert len(features) == 100
    wanted = reflected(wanted.select("window_end_ts_ns", "spot_ref_price_int", "approach_dir", *features))
    assert_same(found, wanted, WINDOW, ["approach_dir", "spot_ref_price_int"], at_least=100)
    for column in features:
        np.testing.assert_allclose(found[column], wanted[column], rtol=0, atol=1e-12, err_msg=column)


def test_a_shifted_day_gives_shifted_surfaces(records: np.ndarray, as_it_was: Tables) -> None:
    ticks = 37
    seen = tables(transforms.shift(records, ticks))
    for name, keys in (("wall_surface_1s", KEY), ("book_snapshot_1s", WINDOW), ("radar_vacuum_1s", WINDOW)):
        wanted = as_it_was[name]
        moved = prices(wanted)
        wanted = wanted.with_columns(
            pl.when(pl.col(c) > 0).then(pl.col(c) + ticks * TICK_INT).otherwise(0).alias(c) for c in moved
        )
        points = {"mid_price", "spot_ref_price"}
        columns = [c for c in wanted.columns if c not in keys and c not in points]
        assert_same(seen[name], wanted, keys, columns, at_least=100)


def test_bigger_orders_give_bigger_walls(records: np.ndarray, as_it_was: Tables) -> None:
    seen = tables(transforms.scale(records, 3))
    for name, keys, least in (("wall_surface_1s", KEY, 50_000), ("book_snapshot_1s", WINDOW, 100)):
        wanted = as_it_was[name]
        lots = [c for c in wanted.columns if "qty" in c]
        assert len(lots) >= 4
        wanted = wanted.with_columns(pl.col(lots) * 3)
        assert_same(seen[name], wanted, keys, [c for c in wanted.columns if c not in keys], at_least=least)


def test_orders_that_come_and_go_in_one_event_leave_every_book_as_it_was(
    tiny: Day, records: np.ndarray, as_it_was: Tables
) -> None:
    with_flashes = transforms.with_flash_adds(records, every=40, size=50)
    flashes = (len(with_flashes) - len(records)) // 2
    assert flashes > 100
    seen = tables(with_flashes)
    book = ["best_bid_price_int", "best_bid_qty", "best_ask_price_int", "best_ask_qty", "mid_price_int"]
    book += ["last_trade_price_int", "book_valid", "phase", "crossed_event_count", "buy_qty", "sell_qty"]
    found, wanted = seen["book_snapshot_1s"], as_it_was["book_snapshot_1s"]
    assert_same(found, wanted, WINDOW, book, at_least=100)
    assert found["event_count"].sum() == wanted["event_count"].sum() + flashes
    found, wanted = seen["wall_surface_1s"], as_it_was["wall_surface_1s"]
    depth = [
        "depth_qty_start",
        "depth_qty_end",
        "depth_qty_rest",
        "fill_qty",
        "pull_qty_rest",
        "d1_depth_qty",
    ]
    assert_same(found.join(wanted, on=KEY, how="semi"), wanted, KEY, depth, at_least=50_000)
    flash = with_flashes[
        (with_flashes["order_id"] >= FIRST_FLASH_ID) & (with_flashes["action"] == ACTION_ADD)
    ]
    ends = (flash["ts_event"].astype(np.int64) // SECOND_NS + 1) * SECOND_NS
    shown = pl.DataFrame({"window_end_ts_ns": ends, "price_int": flash["price"], "qty": 50})
    in_sight = in_view(tiny, shown)["qty"].sum()
    assert in_sight > 0.9 * 50 * flashes
    for column in ("add_qty", "pull_qty_total"):
        assert found[column].sum() == wanted[column].sum() + in_sight


def test_a_mirrored_day_gives_mirrored_vacuum_and_bands(tiny: Day, tmp_path: Path) -> None:
    header, everything = mbo_file(tiny.raw)
    mine = everything[everything["instrument_id"] == INSTRUMENT_ID]
    (definition,) = tiny.raw.glob("*.definition.dbn.zst")
    lakes = []
    for name, stream in (("straight", mine), ("mirror", transforms.mirror(mine, AXIS))):
        raw = tmp_path / name
        raw.mkdir()
        (raw / "day.dbn.zst").write_bytes(compressed(header + stream.tobytes()))
        (raw / definition.name).write_bytes(definition.read_bytes())
        lakes.append(surfaces_of(raw, tmp_path / f"lake-{name}", TO_BANDS))
    for table, keys, least in (("vacuum_surface_1s", KEY, 50_000), ("physics_bands_1s", WINDOW, 100)):
        wanted, found = (
            settled(mine, plain(pl.from_arrow(lake.read(silver(table), SYMBOL, DT)))) for lake in lakes
        )
        wanted = reflected(wanted).sort(keys)
        found = found.sort(keys)
        assert len(found) >= least
        assert found.select(keys).equals(wanted.select(keys))
        floats = [
            c
            for c in found.columns
            if found.schema[c].is_float() and c not in ("mid_price", "spot_ref_price")
        ]
        assert len(floats) >= 9
        for column in floats:
            np.testing.assert_allclose(found[column], wanted[column], rtol=1e-5, atol=1e-6, err_msg=column)
