"""What a request may say."""

from __future__ import annotations

import pytest

from data_eng.errors import UsageError
from data_eng.params import RunParams, parse_dt, parse_symbol, root_of


@pytest.mark.parametrize("text", ["2026-02-30", "20260106", "2026-1-6", "today", "", "../../etc"])
def test_a_dt_that_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected"):
        parse_dt(text)


@pytest.mark.parametrize("text", ["", "esh6", "../x", "ESH6-ESM6", "ABCDEFGHI", "ES H6"])
def test_a_symbol_that_cannot_name_a_partition_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected 1 to 8 letters"):
        parse_symbol(text)


@pytest.mark.parametrize(
    ("symbol", "root"), [("ESH6", "ES"), ("ESH26", "ES"), ("MESZ5", "MES"), ("ZNM6", "ZN"), ("ES", "ES")]
)
def test_the_root_is_the_contract_without_month_and_year(symbol: str, root: str) -> None:
    assert root_of(symbol) == root


def test_calibration_dt_is_same_previous_or_a_date() -> None:
    for good in ("same", "previous", "2026-01-05"):
        assert RunParams(calibration_dt=good).calibration_dt == good
    with pytest.raises(UsageError, match="same, previous or a date"):
        RunParams(calibration_dt="yesterday")


def test_a_rate_in_percent_is_refused() -> None:
    with pytest.raises(UsageError, match=r"0\.05 for 5 %"):
        RunParams(rate=5.0)


def test_chosen_parameters_are_sorted_by_name() -> None:
    assert list(RunParams().chosen(("strict", "no_gex"))) == ["no_gex", "strict"]


@pytest.mark.parametrize("shards", [0, -1, 65])
def test_a_number_of_shards_that_no_machine_has_is_refused(shards: int) -> None:
    with pytest.raises(UsageError, match="from 1 to 64"):
        RunParams(shards=shards)


def test_no_stage_depends_on_the_number_of_shards() -> None:
    """What changes no byte must not make a table stale either."""
    from data_eng.pipeline import STAGES

    assert [stage.name for stage in STAGES if "shards" in stage.params] == []
