"""The gamma stage on a simulated day: ladder, recipe of the docs, shards, rates and missing figures."""

from __future__ import annotations

import math
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_eng import pipeline
from data_eng.errors import MissingDataError
from data_eng.params import RunParams
from data_eng.planner import Request
from data_eng.raw_files import discover
from data_eng.schema import table
from data_eng.stage import SilentReporter
from data_eng.stages.silver.future_option_mbo import compute_gex_surface_1s as stage
from data_eng.stages.silver.future_option_mbo.compute_gex_surface_1s import empty_ladder, strike_ladder
from data_eng.units import TICK_INT, WINDOW_NS
from simex import simulate
from tests.data_eng.integrity import tables
from tests.data_eng.physics_samples import DT, SNAPSHOT, SYMBOL, T0, Lake, put, run_stage

REPOSITORY = Path(__file__).resolve().parents[5]
TO_GEX = (
    "definitions",
    "future_mbo",
    "option_mbo",
    "statistics",
    "futures_surfaces",
    "statistics_clean",
    "gex_surface",
)


@given(st.integers(1, 40_000))
def test_the_ladder_is_centred_on_the_nearest_strike(ticks: int) -> None:
    spot = ticks * TICK_INT
    ladder = strike_ladder(np.array([spot]))[0]
    middle = 5 * math.floor(spot / 1e9 / 5 + 0.5)
    assert ladder.tolist() == [(middle + 5 * i) * 10**9 for i in range(-30, 31)]


def test_every_window_with_a_spot_has_its_61_strikes_and_no_other() -> None:
    ends = T0 + WINDOW_NS * np.arange(8_000)
    spot = np.where(np.arange(8_000) % 7 == 0, 0, 4_812_500_000_000)
    rows = pa.Table.from_batches(list(empty_ladder(ends, spot, "ESH6")))
    table(stage.GEX).validate(rows)
    windows, counts = np.unique(rows["window_end_ts_ns"].to_numpy(), return_counts=True)
    assert windows.tolist() == ends[spot > 0].tolist()
    assert set(counts.tolist()) == {61}
    values = [name for name in rows.column_names if "gex" in name]
    assert len(values) == 14
    assert all(not rows[name].to_numpy().any() for name in values)
    assert rows["strike_points"][30].as_py() == 4815.0  # a tie goes up


def lake_with_snapshot(root: Path) -> Lake:
    lake = Lake(root)
    put(lake, SNAPSHOT, tables.book_lake().read(SNAPSHOT, tables.SYMBOL, tables.DT))
    return lake


def test_zeros_are_written_on_request_and_the_manifest_says_why(tmp_path: Path) -> None:
    lake = lake_with_snapshot(tmp_path)
    run_stage(lake, stage.STAGE)
    assert lake.manifest(stage.GEX, SYMBOL, DT).warnings == ("no_options",)


def test_zeros_come_with_an_empty_quote_table_and_a_profile_that_knows_nothing(tmp_path: Path) -> None:
    lake = lake_with_snapshot(tmp_path)
    report = run_stage(lake, stage.STAGE)
    assert any("gamma is 0" in line for line in report.warnings), "never silently"
    assert lake.manifest(stage.QUOTE, SYMBOL, DT).row_count == 0
    profile = lake.read(stage.PROFILE, SYMBOL, DT)
    assert profile.num_rows == lake.manifest(SNAPSHOT, SYMBOL, DT).row_count
    assert set(profile["flip_points"].to_pylist()[0]) == set()
    assert not profile["net_gex"].to_numpy().any()


def test_without_the_request_nothing_is_written(tmp_path: Path) -> None:
    lake = lake_with_snapshot(tmp_path)
    with pytest.raises(MissingDataError, match="--no-gex"):
        run_stage(lake, stage.STAGE, RunParams())
    assert not lake.has(stage.GEX, SYMBOL, DT)


# ---- a simulated day


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Path]:
    """(lake up to the gamma stage, raw folder) of two simulated minutes with options."""
    folder = tmp_path_factory.mktemp("gex")
    simulate(DT, "tiny", 7, folder / "raw")
    lake = Lake(folder / "lake")
    pipeline.run(lake, DT, SYMBOL, RunParams(), Request(only=TO_GEX), raw=lambda: discover(folder / "raw"))
    return lake, folder / "raw"


def again(day: tuple[Lake, Path], params: RunParams) -> bool:
    """Ask for the gamma stage once more; whether it ran."""
    outcome = pipeline.run(day[0], DT, SYMBOL, params, Request(only=("gex_surface",)))
    return outcome.stages[0].ran


def bytes_of(lake: Lake) -> dict[str, str]:
    """sha256 of every file the stage made."""
    files = [f for name in stage.OUTPUTS for f in lake.manifest(name, SYMBOL, DT).files]
    return {f.name: f.sha256 for f in files}


def test_the_recipe_of_the_docs_recomputes_every_value_of_the_surface(day: tuple[Lake, Path]) -> None:
    """The very lines of docs/formulas.md, on this lake."""
    page = (REPOSITORY / "docs" / "formulas.md").read_text(encoding="utf-8")
    block = page[page.index("    import polars as pl") : page.index("Strikes of the ladder that the chain")]
    lines = textwrap.dedent(block).strip().replace('"lake/', f'"{day[0].root}/')
    assert len(lines.replace("\n)", ")").splitlines()) <= 11, "about ten lines"
    found: dict[str, Any] = {}
    exec(lines, found)
    keys = ["window_end_ts_ns", "strike_price_int"]
    values = ["gex_call_abs", "gex_put_abs", "gex_abs", "gex", "gex_imbalance_ratio"]
    surface = pl.from_arrow(day[0].read(stage.GEX, SYMBOL, DT))
    assert isinstance(surface, pl.DataFrame)
    both = surface.join(found["gex"], on=keys, suffix="_again")
    assert len(both) == 120 * 11
    assert both["gex_abs"].max() > 100  # type: ignore[operator]  # a float, says the schema
    for name in values:
        difference = (both[name] - both[f"{name}_again"]).abs() / (both[name].abs() + 1e-9)
        assert difference.max() < 1e-12, name  # type: ignore[operator]
    outside = surface.join(found["gex"], on=keys, how="anti")
    assert outside["gex_abs"].sum() == 0


def test_tables_are_whole_and_of_one_pass(day: tuple[Lake, Path]) -> None:
    lake = day[0]
    for name in stage.OUTPUTS:
        table(name).validate(lake.read(name, SYMBOL, DT))
    assert lake.require_same_run((name, SYMBOL, DT) for name in stage.OUTPUTS)
    counters = lake.manifest(stage.GEX, SYMBOL, DT).counters
    assert (counters["options"], counters["foreign_records"], counters["late_records"]) == (22, 0, 0)
    assert counters["records"] == lake.manifest(stage.OPTION_MBO, SYMBOL, DT).row_count
    assert "rate" in lake.manifest(stage.GEX, SYMBOL, DT).params


def test_processes_give_the_same_bytes_and_are_no_reason_to_run_again(day: tuple[Lake, Path]) -> None:
    lake = day[0]
    before = bytes_of(lake)
    assert not again(day, RunParams(shards=3))
    report = SilentReporter()
    request = Request(only=("gex_surface",), force=True)
    pipeline.run(lake, DT, SYMBOL, RunParams(shards=3), request, report=report)
    assert bytes_of(lake) == before
    assert "shards" not in lake.manifest(stage.GEX, SYMBOL, DT).params


def test_another_rate_is_another_surface(day: tuple[Lake, Path]) -> None:
    before = bytes_of(day[0])
    assert again(day, RunParams(rate=0.01))
    assert bytes_of(day[0]) != before
    assert day[0].manifest(stage.GEX, SYMBOL, DT).params["rate"] == 0.01
    assert again(day, RunParams())
    assert bytes_of(day[0]) == before


def test_missing_figures_are_counted_and_named_and_a_day_without_any_is_refused(
    day: tuple[Lake, Path],
) -> None:
    lake = day[0]
    definitions, snapshot = (lake.read(name, SYMBOL, DT) for name in (stage.DEFINITIONS, SNAPSHOT))
    clean = lake.read(stage.STATISTICS, SYMBOL, DT)
    gone = sorted(set(clean["option_symbol"].to_pylist()))[:2]
    kept = clean.filter(pc.invert(pc.is_in(clean["option_symbol"], pa.array(gone))))
    report = stage.GexReport()
    made = list(
        stage.compute_gex(
            lake.iter_batches(stage.OPTION_MBO, SYMBOL, DT),
            definitions,
            kept,
            snapshot,
            contract=SYMBOL,
            dt=DT,
            report=report,
        )
    )
    assert sorted(report.missing) == gone
    assert report.counters["options_without_figure"] == 2
    assert report.counters["windows_without_figure"] == snapshot.num_rows
    (line,) = [line for line in stage.warnings_of(report) if line.startswith("no_oi_for")]
    assert all(symbol in line for symbol in gone)
    reasons = {r for block in made for r in block.quote["reason"].to_pylist()}
    assert reasons == {"ok", "no_oi"}
    nothing = clean.slice(0, 0)
    with pytest.raises(MissingDataError, match=f"no open interest.*{gone[0]}"):
        next(stage.compute_gex([], definitions, nothing, snapshot, contract=SYMBOL, dt=DT))
    with pytest.raises(MissingDataError, match="name no option on ESM6"):
        next(stage.compute_gex([], definitions, clean, snapshot, contract="ESM6", dt=DT))
