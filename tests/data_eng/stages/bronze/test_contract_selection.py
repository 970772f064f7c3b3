"""The contract of a date is the one that traded most the day before, unless it has expired."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_eng.errors import MissingDataError
from data_eng.instruments import Outrights
from data_eng.lake import Lake
from data_eng.params import RunParams
from data_eng.pipeline import resolve_symbol, run
from data_eng.planner import Request
from data_eng.raw_files import DayReader, discover
from data_eng.stage import SilentReporter
from data_eng.stages.bronze import contract_selection, definitions, future_mbo
from data_eng.stages.bronze.contract_selection import DayVolumes, rank_contracts, select_contract
from data_eng.stages.bronze.future_mbo import ingest_future_mbo
from tests.dbn_samples import (
    DT,
    ESH6,
    ESM6,
    SPREAD,
    concatenated,
    day_start_ns,
    definition,
    mbo_day,
    write_dbn,
)

STAGES = (definitions.STAGE, future_mbo.STAGE, contract_selection.STAGE)
YESTERDAY = "2026-01-05"
MAPPINGS = {"ESH6": ESH6, "ESM6": ESM6, "ESH6-ESM6": SPREAD}
MARCH, JUNE = 1_774_013_400_000_000_000, 1_781_789_400_000_000_000


def test_the_most_traded_wins_then_the_nearest_expiry() -> None:
    known = {"ESH6": MARCH, "ESM6": JUNE}
    assert rank_contracts({"ESH6": 5, "ESM6": 9}, known, DT) == ["ESM6", "ESH6"]
    assert rank_contracts({"ESM6": 9, "ESH6": 9}, known, DT) == ["ESH6", "ESM6"]
    assert rank_contracts({"ESM6": 9, "ESH6": 9}, {}, DT) == ["ESH6", "ESM6"]
    assert rank_contracts({"ESH6": 99, "ESM6": 9}, known, "2026-03-20") == ["ESM6"]
    assert rank_contracts({"ESH6": 99, "ESM6": 9}, known, "2026-03-19") == ["ESH6", "ESM6"]


@given(st.dictionaries(st.sampled_from(["ESH6", "ESM6", "ESU6", "ESZ6"]), st.integers(0, 9), min_size=1))
def test_the_row_states_winner_and_runner_up(volumes: dict[str, int]) -> None:
    row = select_contract(DayVolumes(YESTERDAY, volumes, "recorded", True), {}, DT, "ESH6").to_pylist()[0]
    assert row["prev_volume_selected"] == max(volumes.values())
    assert row["prev_volume_rank2"] == (sorted(volumes.values())[-2] if len(volumes) > 1 else 0)
    assert row["roll_flag"] == (row["selected_symbol"] != "ESH6")


def test_nothing_eligible_is_missing_data() -> None:
    volumes = DayVolumes(YESTERDAY, {"ESH6": 5}, "recorded", True)
    with pytest.raises(MissingDataError, match="found ESH6"):
        select_contract(volumes, {"ESH6": MARCH}, "2026-03-20", None)


def write_days(raw: Path, busy: dict[str, int]) -> None:
    """Raw files of the dates; `busy` says which contract trades more on each."""
    for dt, winner in busy.items():
        rows = {ESH6: 90, ESM6: 90, SPREAD: 600} | {winner: 400}
        parts = [mbo_day(n, dt=dt, instrument_id=i) for i, n in rows.items()]
        write_dbn(raw / f"{dt}.dbn.zst", concatenated(parts), mappings=MAPPINGS, start_ns=day_start_ns(dt))


def select(tmp_path: Path, dt: str = DT) -> tuple[dict[str, Any], list[str]]:
    lake, reporter = Lake(tmp_path / "lake"), SilentReporter()
    ask = Request(only=("contract_selection",), force=True)
    source = lambda: discover(tmp_path / "raw")  # noqa: E731 - the planner calls it when it needs raw files
    run(lake, dt, "ES", RunParams(), ask, raw=source, stages=STAGES, report=reporter)
    [row] = lake.read(contract_selection.DATASET_KEY, "ES", dt).to_pylist()
    return row, reporter.warnings


def test_the_day_before_decides_and_without_it_the_same_day_which_is_said(tmp_path: Path) -> None:
    write_days(tmp_path / "raw", {DT: ESM6})
    row, warnings = select(tmp_path)
    assert (row["selected_symbol"], row["prev_trading_date"]) == ("ESM6", DT)
    assert warnings[0].startswith("same_day_volume")
    assert "no_definitions" in warnings
    write_days(tmp_path / "raw", {YESTERDAY: ESH6})
    row, warnings = select(tmp_path)
    assert (row["selected_symbol"], row["prev_trading_date"]) == ("ESH6", YESTERDAY)
    assert row["prev_volume_selected"] > row["prev_volume_rank2"] > 0
    assert warnings == ["no_definitions"]


def test_a_change_of_contract_is_a_roll_and_definitions_give_the_expiry(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    write_days(raw, {"2026-01-04": ESH6, YESTERDAY: ESM6})
    assert select(tmp_path, YESTERDAY)[0]["roll_flag"] == 0
    write_dbn(raw / "d", [definition(), definition("ESM6", ESM6)], schema="definition")
    write_days(raw, {DT: ESH6})
    row, warnings = select(tmp_path)
    assert (row["selected_symbol"], row["roll_flag"]) == ("ESM6", 1)
    assert row["selected_exp_date"] == "2026-03-20"
    assert warnings == []


def test_earlier_volumes_come_from_the_lake_when_it_holds_several_contracts(
    tmp_path: Path,
) -> None:
    lake, earlier = Lake(tmp_path / "lake"), tmp_path / "earlier"
    write_days(earlier, {YESTERDAY: ESM6})
    both = Outrights({ESH6: "ESH6", ESM6: "ESM6"}, frozenset(MAPPINGS.values()), "mappings")
    reader = DayReader(discover(earlier).files_for("mbo", YESTERDAY), YESTERDAY)
    writers = {s: lake.writer(future_mbo.DATASET_KEY, s, YESTERDAY) for s in both.symbols.values()}
    report = ingest_future_mbo(reader, both, lambda symbol, batch: writers[symbol].write(batch))
    for writer in writers.values():
        writer.finish(stage="future_mbo", origin="recorded", verified=True, code_version="t")
        writer.commit()
    write_days(tmp_path / "raw", {DT: ESH6})
    row, _ = select(tmp_path)
    assert (row["selected_symbol"], row["prev_trading_date"]) == ("ESM6", YESTERDAY)
    assert row["prev_volume_selected"] == report.volumes["ESM6"]
    lake.delete(future_mbo.DATASET_KEY, "ESH6", YESTERDAY)
    row, warnings = select(tmp_path)
    assert (row["selected_symbol"], row["prev_trading_date"]) == ("ESH6", DT)
    assert warnings[0].startswith("same_day_volume")


def test_the_symbol_of_a_run_is_the_selected_contract(tmp_path: Path) -> None:
    write_days(tmp_path / "raw", {DT: ESM6})
    lake = Lake(tmp_path / "lake")
    assert resolve_symbol(lake, DT, raw=lambda: discover(tmp_path / "raw"), stages=STAGES) == "ESM6"
