"""Open interest of a day: every figure once, after the last one each option had before."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_eng.errors import MissingDataError
from data_eng.lake import Lake
from data_eng.params import RunParams
from data_eng.pipeline import run
from data_eng.raw_files import discover
from data_eng.schema import table
from data_eng.stage import SilentReporter
from data_eng.stages.bronze import definitions, statistics
from data_eng.stages.silver.future_option import compute_statistics_clean as stage
from data_eng.units import DAY_NS
from tests.dbn_samples import DT, ESH6, day_start_ns, definition, statistic, write_dbn

STAGES = (definitions.STAGE, statistics.STAGE, stage.STAGE)
BEFORE = "2026-01-05"
CALL, PUT = 7, 8
MIDNIGHT = day_start_ns()


def option(name: str, number: int, right: str, dt: str = DT):  # type: ignore[no-untyped-def]  # a databento_dbn record
    return definition(
        name,
        number,
        dt=dt,
        instrument_class=right,
        underlying="ESH6",
        underlying_id=ESH6,
        strike_price=6_950_000_000_000,
        expiration="2026-01-06T21:00:00+00:00",
    )


def write_day(raw: Path, figures: list, dt: str = DT) -> None:
    """Definitions and statistics of one date."""
    chain = [definition(dt=dt), option("E1BF6 C6950", CALL, "C", dt), option("E1BF6 P6950", PUT, "P", dt)]
    start = day_start_ns(dt)
    write_dbn(raw / f"d{dt}", chain, schema="definition", start_ns=start)
    write_dbn(raw / f"s{dt}", figures, schema="statistics", start_ns=start)


def build(lake: Lake, raw: Path, dt: str = DT) -> SilentReporter:
    report = SilentReporter()
    run(lake, dt, "ESH6", RunParams(), raw=lambda: discover(raw), stages=STAGES, report=report)
    return report


def figures_in(lake: Lake) -> list[tuple[str, int, float]]:
    rows = lake.read(stage.CLEAN, "ESH6", DT)
    table(stage.CLEAN).validate(rows)
    named = zip(*(rows[name].to_pylist() for name in ("right", "ts_recv_ns", "open_interest")), strict=True)
    return [(right, ts - MIDNIGHT, lots) for right, ts, lots in named]


TODAY = [
    statistic(120, instrument_id=CALL),
    statistic(120, instrument_id=CALL),
    statistic(125, instrument_id=CALL, ts_recv=MIDNIGHT + 9_000),
    statistic(40, instrument_id=PUT),
]
YESTERDAY = [
    statistic(300, instrument_id=PUT, ts_recv=MIDNIGHT - DAY_NS + 1_000),
    statistic(310, instrument_id=PUT, ts_recv=MIDNIGHT - 5_000),
]
CLEAN_DAY = [("C", 1_000, 120.0), ("C", 9_000, 125.0), ("P", 1_000, 40.0)]
CLEAN_BOTH = [*CLEAN_DAY[:2], ("P", -5_000, 310.0), CLEAN_DAY[2]]


def test_every_figure_stands_once_and_exact_repeats_are_removed(tmp_path: Path) -> None:
    write_day(tmp_path / "raw", TODAY)
    lake = Lake(tmp_path / "lake")
    build(lake, tmp_path / "raw")
    assert figures_in(lake) == CLEAN_DAY
    counters = lake.manifest(stage.CLEAN, "ESH6", DT).counters
    assert (counters["figures_of_the_day"], counters["figures_before"]) == (3, 0)
    first = lake.read(stage.CLEAN, "ESH6", DT)["ts_event_est"][0].as_py()
    assert first == "2026-01-05T19:00:00.000000000-05:00", "New York, with its offset"


def test_the_day_begins_with_the_last_figure_of_the_day_before_in_the_lake(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    write_day(tmp_path / "before", YESTERDAY, BEFORE)
    build(lake, tmp_path / "before", BEFORE)
    write_day(tmp_path / "raw", TODAY)
    build(lake, tmp_path / "raw")
    assert figures_in(lake) == CLEAN_BOTH
    inputs = lake.manifest(stage.CLEAN, "ESH6", DT).inputs
    assert [r["dt"] for r in inputs if r.get("dataset") == stage.STATISTICS] == [BEFORE, DT]


def test_or_with_that_of_the_raw_files_of_the_day_before(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    write_day(raw, TODAY)
    write_day(raw, YESTERDAY, BEFORE)
    lake = Lake(tmp_path / "lake")
    build(lake, raw)
    assert figures_in(lake) == CLEAN_BOTH
    assert f"s{BEFORE}" in {r.get("name") for r in lake.manifest(stage.CLEAN, "ESH6", DT).inputs}


def test_figures_of_the_day_before_that_turn_up_later_are_taken_in(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    write_day(raw, TODAY)
    lake = Lake(tmp_path / "lake")
    build(lake, raw)
    again = run(lake, DT, "ESH6", RunParams(), raw=lambda: discover(raw), stages=STAGES)
    assert not any(result.ran for result in again.stages)
    write_day(raw, YESTERDAY, BEFORE)
    again = run(lake, DT, "ESH6", RunParams(), raw=lambda: discover(raw), stages=STAGES)
    assert [result.name for result in again.stages if result.ran] == ["statistics_clean"]
    assert figures_in(lake) == CLEAN_BOTH


def test_without_statistics_only_no_gex_runs_and_says_so(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    write_dbn(raw / "d", [definition()], schema="definition")
    lake = Lake(tmp_path / "lake")
    with pytest.raises(MissingDataError, match="--no-gex"):
        build(lake, raw)
    run(lake, DT, "ESH6", RunParams(no_gex=True), raw=lambda: discover(raw), stages=STAGES)
    manifest = lake.manifest(stage.CLEAN, "ESH6", DT)
    assert (manifest.row_count, manifest.warnings) == (0, ("no_oi",))


def test_of_two_figures_at_one_instant_the_last_in_the_file_counts(tmp_path: Path) -> None:
    write_day(tmp_path / "raw", [statistic(5, instrument_id=CALL), statistic(6, instrument_id=CALL)])
    lake = Lake(tmp_path / "lake")
    build(lake, tmp_path / "raw")
    assert figures_in(lake) == [("C", 1_000, 6.0)]
