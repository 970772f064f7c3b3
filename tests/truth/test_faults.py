"""Damaged days: every fault is counted or refused, none goes unseen, none crashes (spec 13.9)."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from data_eng.errors import RawDataError
from data_eng.integrity.book import check_futures_book
from simex import simulate
from simex.faults import NAMES
from tests.truth.conftest import Variant
from tests.truth.days import BRONZE, DT, SEED, SYMBOL, Day, assert_same, surfaces_of

pytestmark = pytest.mark.xdist_group("truth")  # one worker makes the days once

SHOWN_BY = {
    "drop_cancel": "test_a_lost_cancel_shows_as_a_crossing_that_is_counted_and_fails_the_check",
    "duplicate_add": "test_an_add_sent_twice_is_counted_and_changes_no_depth",
    "wrong_instrument": "test_records_of_an_unknown_instrument_are_counted",
    "missing_last": "test_events_that_lost_their_end_are_counted",
    "swap": "test_records_out_of_order_are_refused_with_their_number",
    "truncate": "test_a_cut_file_is_refused_with_the_records_that_were_whole",
    "version_mix": "test_definitions_of_another_version_are_read_all_the_same",
}


def test_every_fault_of_the_simulator_has_its_test() -> None:
    assert set(NAMES) == set(SHOWN_BY)
    assert all(name in globals() for name in SHOWN_BY.values())


def depth_of_truth(day: Day) -> pl.DataFrame:
    return day.truth("book_1s").select("window_end_ts_ns", "side", "price_int", "qty")


def test_a_lost_cancel_shows_as_a_crossing_that_is_counted_and_fails_the_check(variant: Variant) -> None:
    day = variant(faults=("drop_cancel",))
    lost = day.meta["faults"]["drop_cancel"]
    counters = day.counters()
    assert lost > 10
    assert counters["crossed_open"] > 0, "the market traded through an order that is not there any more"
    assert counters["events"] == day.truth("window_1s")["event_count"].sum() - lost
    report = check_futures_book(day.lake, SYMBOL, DT)
    assert not report.passed
    assert any("cross" in line for line in report.lines())


def test_an_add_sent_twice_is_counted_and_changes_no_depth(variant: Variant) -> None:
    day = variant(faults=("duplicate_add",))
    assert day.counters()["duplicate_adds"] == day.meta["faults"]["duplicate_add"] > 10
    walls = day.table("wall_surface_1s").filter(pl.col("depth_qty_end") > 0)
    found = walls.with_columns(qty=pl.col("depth_qty_end").cast(pl.Int64))
    keys = ["window_end_ts_ns", "side", "price_int"]
    truth = depth_of_truth(day).join(found.select(keys), on=keys, how="semi")
    assert_same(found, truth, keys, ["qty"], at_least=30_000)


def test_records_of_an_unknown_instrument_are_counted(variant: Variant) -> None:
    day = variant(faults=("wrong_instrument",))
    lost = day.meta["faults"]["wrong_instrument"]
    assert day.counters(BRONZE)["unmapped_records"] == lost > 10
    counters = day.counters()
    assert counters["unknown_cancels"] > 0, "cancels of orders whose add is gone"
    assert counters["crossed_open"] > 0, "orders whose cancel is gone"


def test_events_that_lost_their_end_are_counted(variant: Variant) -> None:
    day = variant(faults=("missing_last",))
    lost = day.meta["faults"]["missing_last"]
    assert day.counters(BRONZE)["unended_events"] == lost
    # the engine closes those that run into another second; the others become part of the next event
    merged = lost - day.counters()["unterminated_events"]
    assert day.counters()["events"] == day.truth("window_1s")["event_count"].sum() - merged


def test_events_that_lost_their_end_leave_every_book_as_it_was(variant: Variant, tiny: Day) -> None:
    day = variant(faults=("missing_last",))
    assert day.meta["faults"]["missing_last"] > 10
    assert day.surface_hashes()["wall_surface_1s"] == tiny.surface_hashes()["wall_surface_1s"]


def test_records_out_of_order_are_refused_with_their_number(tmp_path: Path) -> None:
    result = simulate(DT, "tiny", SEED, tmp_path / "raw", options=False, faults=("swap",))
    swapped = result.meta["faults"]["swap"]
    with pytest.raises(RawDataError, match=rf"\b{swapped} of [\d,]+ records .* out of .*order"):
        surfaces_of(tmp_path / "raw", tmp_path / "lake")
    assert not list((tmp_path / "lake").glob("bronze/future_mbo/**/*.parquet")), "nothing half written"


def test_a_cut_file_is_refused_with_the_records_that_were_whole(tmp_path: Path) -> None:
    result = simulate(DT, "tiny", SEED, tmp_path / "raw", options=False, faults=("truncate",))
    assert result.meta["faults"] == {"truncate": 1}
    with pytest.raises(RawDataError, match=r"[\d,]{5,} whole records were read"):
        surfaces_of(tmp_path / "raw", tmp_path / "lake")
    assert not list((tmp_path / "lake").glob("bronze/future_mbo/**/*.parquet")), "nothing half written"


def test_definitions_of_another_version_are_read_all_the_same(variant: Variant, tiny: Day) -> None:
    day = variant(faults=("version_mix",))
    assert day.meta["faults"] == {"version_mix": 1}
    assert day.surface_hashes() == tiny.surface_hashes()
    definitions = "bronze.shared.instrument_definitions"
    found, wanted = (one.lake.read(definitions, SYMBOL, DT) for one in (day, tiny))
    assert found.equals(wanted)
