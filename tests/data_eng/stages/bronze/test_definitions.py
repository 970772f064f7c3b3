"""Definitions of a contract and of the instruments on it, from every DBN version."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_eng.errors import MissingDataError
from data_eng.lake import Lake
from data_eng.params import RunParams
from data_eng.pipeline import run
from data_eng.raw_files import discover
from data_eng.stages.bronze import definitions
from data_eng.units import DAY_NS, UNDEF_PRICE
from tests.dbn_samples import DT, ESH6, ESM6, SPREAD, day_start_ns, definition, write_dbn

CALL = {"instrument_class": "C", "underlying": "ESH6", "underlying_id": ESH6}
RECORDS = [
    definition(),
    definition("ESM6", ESM6),
    definition("ESH6-ESM6", SPREAD, instrument_class="S"),
    definition("E1BF6 C6950", 7, strike_price=6_950_000_000_000, **CALL),
    definition("E1BF6 C7000", 8, strike_price=7_000_000_000_000, min_price_increment=UNDEF_PRICE, **CALL),
    definition("E1BF6 C7000", 8, ts_recv=day_start_ns() + 5, update="D", **CALL),
]


def build(tmp_path: Path, symbol: str = "ESH6", *, no_gex: bool = False) -> Lake:
    lake = Lake(tmp_path / "lake")
    run(
        lake,
        DT,
        symbol,
        RunParams(no_gex=no_gex),
        raw=lambda: discover(tmp_path / "raw"),
        stages=(definitions.STAGE,),
    )
    return lake


@pytest.mark.parametrize("version", [1, 2, 3])
def test_every_version_gives_the_rows_of_the_contract_in_file_order(tmp_path: Path, version: int) -> None:
    write_dbn(tmp_path / "raw" / "d", RECORDS, schema="definition", version=version)
    lake = build(tmp_path)
    rows = lake.read(definitions.DATASET_KEY, "ESH6", DT).to_pylist()
    assert [r["raw_symbol"] for r in rows] == ["ESH6", "E1BF6 C6950", "E1BF6 C7000", "E1BF6 C7000"]
    assert rows[0] == {
        "ts_recv": day_start_ns(),
        "ts_event": day_start_ns() - 2 * DAY_NS,
        "instrument_id": ESH6,
        "instrument_class": "F",
        "security_update_action": "A",
        "security_type": "FUT",
        "underlying_id": 0,
        "underlying": "",
        "expiration": 1_774_013_400_000_000_000,
        "strike_price": UNDEF_PRICE,
        "currency": "USD",
        "raw_symbol": "ESH6",
        "unit_of_measure_qty": 50_000_000_000,
        "min_price_increment": 250_000_000,
    }
    assert rows[1]["strike_price"] == 6_950_000_000_000
    assert rows[2]["min_price_increment"] == UNDEF_PRICE
    assert lake.manifest(definitions.DATASET_KEY, "ESH6", DT).counters["records"] == 6


def test_a_contract_without_definition_is_missing_data_or_a_warning_with_no_gex(tmp_path: Path) -> None:
    write_dbn(tmp_path / "raw" / "d", RECORDS, schema="definition")
    with pytest.raises(MissingDataError, match=r"no definition of ESZ6 .* futures ESH6, ESM6"):
        build(tmp_path, "ESZ6")
    lake = build(tmp_path, "ESZ6", no_gex=True)
    manifest = lake.manifest(definitions.DATASET_KEY, "ESZ6", DT)
    assert manifest.row_count == 0
    assert list(manifest.warnings) == ["no_definitions"]


def test_a_missing_definition_file_is_an_error_unless_no_gex(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    with pytest.raises(MissingDataError, match="definition"):
        build(tmp_path)
    lake = build(tmp_path, no_gex=True)
    assert not lake.has(definitions.DATASET_KEY, "ESH6", DT)


def test_real_definitions_carry_the_contract_and_its_option(real_data: Path, tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    folder = real_data / "nautilus_trader" / "options_exercise"
    run(
        lake,
        "2026-01-09",
        "ESH6",
        RunParams(),
        raw=lambda: discover(folder),
        stages=(definitions.STAGE,),
    )
    rows = lake.read(definitions.DATASET_KEY, "ESH6", "2026-01-09").to_pylist()
    assert {(r["raw_symbol"], r["instrument_class"], r["instrument_id"]) for r in rows} == {
        ("ESH6", "F", 42140878),
        ("EW2F6 C7000", "C", 42780620),
    }
    assert {r["unit_of_measure_qty"] for r in rows} == {50_000_000_000}
