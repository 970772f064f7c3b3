"""Option MBO keeps the 0DTE chain of the contract, lossless and in file order, and counts what it drops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_eng.dbn_reader import iter_record_blocks
from data_eng.errors import MissingDataError
from data_eng.lake import Lake
from data_eng.params import RunParams
from data_eng.pipeline import run
from data_eng.raw_files import discover
from data_eng.stage import SilentReporter
from data_eng.stages.bronze import definitions, option_mbo
from data_eng.stages.bronze.definitions import to_definitions
from data_eng.stages.bronze.mbo_rows import to_dbn_records
from data_eng.stages.bronze.option_mbo import option_chain
from tests.dbn_samples import DT, ESH6, concatenated, definition, mbo_day, write_dbn

STAGES = (definitions.STAGE, option_mbo.STAGE)
TODAY, TOMORROW = "2026-01-06T21:00:00+00:00", "2026-01-07T21:00:00+00:00"
LATE_TODAY = "2026-01-07T05:59:59+00:00"  # still the 6th in Chicago
CALL, PUT, LATE, OTHER_DAY, SPREAD, USER, FOREIGN = 7_000_001, 5, 6, 20, 30, 40, 50


def option(name: str, number: int, kind: str = "C", expiration: str = TODAY, underlying: str = "ESH6"):  # type: ignore[no-untyped-def]  # a databento_dbn record
    return definition(
        name,
        number,
        instrument_class=kind,
        expiration=expiration,
        underlying=underlying,
        underlying_id=ESH6,
        strike_price=6_950_000_000_000,
    )


DEFINITIONS = [
    definition(),
    option("E1BF6 C6950", CALL),
    option("E1BF6 P6950", PUT, "P"),
    option("E1BF6 C7000", LATE, expiration=LATE_TODAY),
    option("E1CF6 C6950", OTHER_DAY, expiration=TOMORROW),
    option("E1BF6 C6950-C7000", SPREAD, "T"),
    option("UD:1V: BO 2864311", USER, "T"),
    option("E1BM6 C6950", FOREIGN, underlying="ESM6"),
]
KEPT = {CALL: "E1BF6 C6950", PUT: "E1BF6 P6950", LATE: "E1BF6 C7000"}


def write_raw(raw: Path, *, with_options: bool = True, with_definitions: bool = True) -> np.ndarray:
    """Raw files of futures, options and definitions; returns the option file's records."""
    write_dbn(raw / "futures", mbo_day(50))
    numbers = {CALL: 60, PUT: 50, LATE: 40, OTHER_DAY: 35, SPREAD: 30, USER: 29, FOREIGN: 28, 99: 27}
    days = [mbo_day(rows, instrument_id=number, seed=number % 97) for number, rows in numbers.items()]
    options = concatenated(days)
    if with_options:
        mappings = {
            "E1BF6 C6950": CALL,
            "UD:1V: BO 2864311": USER,
            "E1BF6 C6950-C7000": SPREAD,
            "E1BM6 C6950": FOREIGN,
        }
        write_dbn(raw / "options", options, mappings=mappings)
    if with_definitions:
        write_dbn(raw / "definitions", DEFINITIONS, schema="definition")
    return options


def test_the_chain_is_kept_byte_for_byte_with_its_terms_and_the_rest_counted(tmp_path: Path) -> None:
    options = write_raw(tmp_path / "raw")
    lake = Lake(tmp_path / "lake")
    run(lake, DT, "ESH6", RunParams(), raw=lambda: discover(tmp_path / "raw"), stages=STAGES)
    batches = list(lake.iter_batches(option_mbo.DATASET_KEY, "ESH6", DT))
    expected = options[np.isin(options["instrument_id"], list(KEPT))]
    assert b"".join(to_dbn_records(b).tobytes() for b in batches) == expected.tobytes()
    rows = lake.read(option_mbo.DATASET_KEY, "ESH6", DT).to_pylist()
    for row in rows:
        assert row["symbol"] == KEPT[row["instrument_id"]]
        assert (row["underlying"], row["strike"]) == ("ESH6", 6_950_000_000_000)
        assert row["right"] == ("P" if row["instrument_id"] == PUT else "C")
    counters = lake.manifest(option_mbo.DATASET_KEY, "ESH6", DT).counters
    assert {name: counters[name] for name in counters if name.startswith("dropped_")} == {
        "dropped_spreads": 30,
        "dropped_user_defined": 29,
        "dropped_other_expiries": 35,
        "dropped_no_options": 28,
        "dropped_unmapped": 27,
    }
    assert (counters["records"], counters["instruments"], counters["options_defined"]) == (150, 3, 3)


def test_expiry_is_the_date_in_chicago(tmp_path: Path) -> None:
    path = write_dbn(tmp_path / "d", DEFINITIONS, schema="definition")
    table = to_definitions(np.concatenate([b.copy() for b in iter_record_blocks(path, "definition")]))
    assert sorted(option_chain(table, [], "ESH6", DT).ids.tolist()) == sorted(KEPT)
    assert option_chain(table, [], "ESZ6", DT).ids.tolist() == []


@pytest.mark.parametrize("present", ["with_options", "with_definitions"])
def test_without_options_only_no_gex_runs_and_says_so(tmp_path: Path, present: str) -> None:
    raw = tmp_path / "raw"
    write_raw(raw, **({"with_options": False, "with_definitions": False} | {present: True}))
    lake, reporter = Lake(tmp_path / "lake"), SilentReporter()
    with pytest.raises(MissingDataError, match=r"--no-gex|definition"):
        run(lake, DT, "ESH6", RunParams(), raw=lambda: discover(raw), stages=STAGES)
    ask = RunParams(no_gex=True)
    run(lake, DT, "ESH6", ask, raw=lambda: discover(raw), stages=STAGES, report=reporter)
    assert lake.manifest(option_mbo.DATASET_KEY, "ESH6", DT).row_count == 0
    assert "no_options" in reporter.warnings
