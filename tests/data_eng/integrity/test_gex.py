"""The gamma check: a coherent set of option tables passes, and every check has a table that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from data_eng.errors import MissingDataError
from data_eng.integrity.findings import Report
from data_eng.integrity.gex import check_gex

from .option_tables import (
    CHAIN,
    DEFINITIONS,
    FAR_AT,
    GEX,
    NO_SPOT_AT,
    PROFILE,
    QUOTES,
    SNAP,
    STATISTICS,
    WINDOWS,
    option_lake,
    zero_lake,
)
from .tables import DT, SYMBOL, MemoryLake

POINT = 1_000_000_000
Change = Callable[[MemoryLake], MemoryLake]


def report(lake: MemoryLake, **options: Any) -> Report:
    return check_gex(lake, SYMBOL, DT, **{"seed": 1, "samples": WINDOWS, **options})


def failing(found: Report) -> set[str]:
    return {check.name for check in found.failed}


def window_end(lake: MemoryLake, window: int) -> int:
    end: int = lake.cell(SNAP, "window_end_ts_ns", window)
    return end


def quote_row(lake: MemoryLake, window: int = 5, **wanted: Any) -> int:
    """Number of the first quote of a window with these values."""
    return lake.find(QUOTES, window_end_ts_ns=window_end(lake, window), **wanted)


def near_row(lake: MemoryLake, window: int = 5) -> int:
    """The call at 6,890: it has a volatility and open interest."""
    return quote_row(lake, window, strike_price_int=6_890 * POINT, right="C")


def gex_row(lake: MemoryLake, window: int = 5, strike: int = 6_890) -> int:
    return lake.find(GEX, window_end_ts_ns=window_end(lake, window), strike_price_int=strike * POINT)


def scaled(dataset: str, column: str, row: Callable[[MemoryLake], int], factor: float) -> Change:
    def change(lake: MemoryLake) -> MemoryLake:
        at = row(lake)
        return lake.with_cell(dataset, column, at, lake.cell(dataset, column, at) * factor)

    return change


def put(dataset: str, column: str, row: Callable[[MemoryLake], int], value: Any) -> Change:
    return lambda lake: lake.with_cell(dataset, column, row(lake), value)


def first(lake: MemoryLake) -> int:
    return 5


def with_flips(change: Callable[[list[float]], list[float]]) -> Change:
    def changed(lake: MemoryLake) -> MemoryLake:
        flips = lake.tables[PROFILE]["flip_points"].to_pylist()
        row = next(k for k, found in enumerate(flips) if found)
        return lake.with_cell(PROFILE, "flip_points", row, change(flips[row]))

    return changed


def without_window(dataset: str) -> Change:
    def changed(lake: MemoryLake) -> MemoryLake:
        made = lake.tables[dataset]
        return lake.with_table(
            dataset, made.filter(pc.not_equal(made["window_end_ts_ns"], window_end(lake, 5)))
        )

    return changed


def emptied(dataset: str) -> Change:
    return lambda lake: lake.with_table(dataset, lake.tables[dataset].slice(0, 0))


def all_without_book(lake: MemoryLake) -> MemoryLake:
    """Nobody quotes: rows there are, but not one value. Consistent, and still not a day's gamma."""
    made = lake.tables[QUOTES]
    zero = {
        "bid_price_int": 0,
        "ask_price_int": 0,
        "bid_qty": 0,
        "ask_qty": 0,
        "mid_price": 0.0,
        "mid_age_s": 0.0,
    }
    none = ("implied_vol", "delta", "gamma", "vega", "implied_vol_mid_forward")
    reasons = ["no_oi" if interest == 0 else "no_book" for interest in made["open_interest"].to_pylist()]
    for index, field in enumerate(made.schema):
        if field.name in zero:
            made = made.set_column(index, field, pa.array([zero[field.name]] * made.num_rows, field.type))
        elif field.name in none:
            made = made.set_column(index, field, pa.nulls(made.num_rows, field.type))
        elif field.name == "reason":
            made = made.set_column(index, field, pa.array(reasons).cast(field.type))
    lake = lake.with_table(QUOTES, made)
    profile = lake.tables[PROFILE]
    for index, field in enumerate(profile.schema):
        if field.name == "flip_points":
            values: Any = pa.array([[]] * profile.num_rows, field.type)
        elif field.name == "window_end_ts_ns":
            continue
        else:
            values = pa.array([0.0] * profile.num_rows)
        profile = profile.set_column(index, field, values)
    return lake.with_table(PROFILE, profile).with_table(GEX, zero_lake().tables[GEX])


CASES: list[tuple[str, Change, set[str]]] = [
    ("another underlying", put(GEX, "underlying", first, "ESM6"), {"gex_underlying"}),
    ("profile of another pass", lambda lake: lake.with_manifest(PROFILE, engine_run="x"), {"one_engine_run"}),
    ("a strike missing", lambda lake: lake.without_row(GEX, 70), {"gex_windows", "gex_ladder"}),
    ("a strike twice", lambda lake: lake.with_row_repeated(GEX, 70), {"gex_windows", "gex_ladder"}),
    ("a window missing", without_window(GEX), {"gex_windows"}),
    (
        "a shifted strike",
        put(GEX, "strike_price_int", lambda lake: 60, 7_777 * POINT),
        {"gex_ladder", "gex_from_quotes"},
    ),
    ("another spot", put(GEX, "underlying_spot_ref", first, 6_900.125), {"gex_ladder"}),
    ("strike points", put(GEX, "strike_points", first, 6_900.0), {"gex_ladder"}),
    ("a window start", put(GEX, "window_start_ts_ns", first, 7), {"gex_ladder"}),
    ("abs is no sum", scaled(GEX, "gex_abs", gex_row, 1.01), {"gex_relations", "gex_from_quotes"}),
    ("net is no difference", scaled(GEX, "gex", gex_row, 1.01), {"gex_relations", "gex_from_quotes"}),
    ("a ratio", scaled(GEX, "gex_imbalance_ratio", gex_row, 0.5), {"gex_relations", "gex_from_quotes"}),
    ("NaN", put(GEX, "gex", gex_row, float("nan")), {"gex_relations", "gex_from_quotes"}),
    ("a negative call", scaled(GEX, "gex_call_abs", gex_row, -1.0), {"gex_relations", "gex_from_quotes"}),
    ("a d1", scaled(GEX, "d1_gex_abs", gex_row, 1.1), {"gex_differences"}),
    ("a d2", scaled(GEX, "d2_gex", gex_row, 1.1), {"gex_differences"}),
    ("a d3", scaled(GEX, "d3_gex_abs", gex_row, 1.1), {"gex_differences"}),
    (
        "a d1 where history begins",
        put(GEX, "d1_gex", lambda lake: gex_row(lake, NO_SPOT_AT + 1), 50.0),
        {"gex_differences"},
    ),
    (
        "a quote missing",
        lambda lake: lake.without_row(QUOTES, near_row(lake)),
        {"quote_complete", "gex_from_quotes"},
    ),
    ("a quote twice", lambda lake: lake.with_row_repeated(QUOTES, 44), {"quote_keys", "quote_complete"}),
    (
        "a quote out of reach",
        put(
            QUOTES,
            "strike_price_int",
            lambda lake: quote_row(lake, right="P", strike_price_int=7_095 * POINT),
            7_105 * POINT,
        ),
        {"quote_keys"},
    ),
    ("NaN for null", put(QUOTES, "vega", near_row, float("nan")), {"quote_finite", "quote_reasons"}),
    ("infinity", put(QUOTES, "delta", near_row, float("inf")), {"quote_finite", "quote_greeks"}),
    ("a price without lots", put(QUOTES, "bid_qty", near_row, 0), {"quote_prices"}),
    ("lots without a price", put(QUOTES, "ask_price_int", near_row, 0), {"quote_prices", "quote_mid"}),
    (
        "a mid that is no middle",
        scaled(
            QUOTES,
            "mid_price",
            lambda lake: quote_row(lake, strike_price_int=6_890 * POINT, right="P"),
            1.001,
        ),
        {"quote_mid", "quote_vol"},
    ),
    ("a carried mid beside two sides", put(QUOTES, "mid_age_s", near_row, 3.0), {"quote_mid"}),
    (
        "a mid carried for too long",
        put(QUOTES, "mid_age_s", lambda lake: lake.find(QUOTES, mid_age_s=2.0), 61.0),
        {"quote_mid"},
    ),
    ("a wrong reason", put(QUOTES, "reason", near_row, "crossed"), {"quote_reasons"}),
    (
        "a crossed quote called one-sided",
        put(QUOTES, "reason", lambda lake: lake.find(QUOTES, reason="crossed"), "one_sided"),
        {"quote_reasons"},
    ),
    ("a gamma missing", put(QUOTES, "gamma", near_row, None), {"quote_reasons"}),
    ("another volatility", scaled(QUOTES, "implied_vol", near_row, 1.0001), {"quote_vol", "quote_greeks"}),
    (
        "another mid volatility",
        scaled(QUOTES, "implied_vol_mid_forward", near_row, 1.0001),
        {"quote_vol_mid_forward"},
    ),
    (
        "a mid volatility without a mid",
        put(QUOTES, "implied_vol_mid_forward", lambda lake: near_row(lake, 7), 0.2),
        {"quote_vol_mid_forward"},
    ),
    ("another delta", scaled(QUOTES, "delta", near_row, 1.000001), {"quote_greeks"}),
    ("another gamma", scaled(QUOTES, "gamma", near_row, 1.000001), {"quote_greeks", "gex_from_quotes"}),
    ("another vega", scaled(QUOTES, "vega", near_row, 1.000001), {"quote_greeks"}),
    (
        "another open interest",
        put(QUOTES, "open_interest", near_row, 1.0),
        {"quote_open_interest", "gex_from_quotes"},
    ),
    ("another time of it", put(QUOTES, "open_interest_ts_ns", near_row, 1), {"quote_open_interest"}),
    ("a profile row missing", without_window(PROFILE), {"profile_rows"}),
    ("more calls than the quotes", scaled(PROFILE, "call_gex", first, 1.01), {"profile_from_quotes"}),
    (
        "fewer puts than the quotes",
        scaled(PROFILE, "put_gex", first, 0.99),
        {"profile_from_quotes"},
    ),
    (
        "exposure without a spot",
        put(PROFILE, "call_gex", lambda lake: NO_SPOT_AT, 1.0),
        {"profile_from_quotes"},
    ),
    ("another net", scaled(PROFILE, "net_gex", first, 1.01), {"profile_conventions"}),
    ("another convention", scaled(PROFILE, "net_oi_short_all", first, 0.5), {"profile_conventions"}),
    ("a band too narrow", put(PROFILE, "convention_max", first, -1e9), {"profile_conventions"}),
    ("an infinite flow", put(PROFILE, "net_oi_flow", first, float("inf")), {"profile_from_quotes"}),
    ("another centre", scaled(PROFILE, "gamma_centre_points", first, 1.0001), {"profile_strikes"}),
    ("another top call", put(PROFILE, "top_call_strike_points", first, 6_890.0), {"profile_strikes"}),
    ("a top strike that is none", put(PROFILE, "top_put_strike_points", first, 0.0), {"profile_strikes"}),
    ("a flip missing", with_flips(lambda flips: flips[1:]), {"profile_flips"}),
    ("a flip too many", with_flips(lambda flips: [*flips, flips[-1] + 5.0]), {"profile_flips"}),
    ("a flip beside its root", with_flips(lambda flips: [flips[0] + 2.0, *flips[1:]]), {"profile_flips"}),
    ("flips out of order", with_flips(lambda flips: [flips[0] + 1.0, flips[0]]), {"profile_flips"}),
    ("no quotes at all", emptied(QUOTES), {"gex_floor", "quote_complete"}),
    ("nobody quotes", all_without_book, {"gex_floor"}),
    ("no rows at all", emptied(GEX), {"gex_windows"}),
]


def test_a_coherent_set_passes_and_says_what_it_looked_at() -> None:
    found = report(option_lake())
    assert found.passed, "\n".join(found.lines())
    counts = {check.name: check.looked_at for check in found.checks}
    assert counts["gex_ladder"] == 61 * (WINDOWS - 1)
    assert counts["quote_keys"] == len(option_lake().tables[QUOTES]) > 200
    assert counts["profile_flips"] == WINDOWS - 1
    assert counts["profile_strikes"] == FAR_AT - 1
    assert min(counts.values()) > 0


def test_the_set_holds_what_the_checks_are_about() -> None:
    rows = option_lake().tables[QUOTES].to_pylist()
    assert {row["reason"] for row in rows} == {"ok", "no_oi", "crossed"}
    assert any(row["mid_age_s"] > 0 for row in rows)
    assert any(option_lake().tables[PROFILE]["flip_points"].to_pylist())
    per_window = [row["window_end_ts_ns"] for row in rows]
    assert {per_window.count(end) for end in set(per_window)} == {len(CHAIN), len(CHAIN) - 2}


@pytest.mark.parametrize(("change", "wanted"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_each_check_has_a_table_that_breaks_it(change: Change, wanted: set[str]) -> None:
    found = report(change(option_lake()))
    assert wanted <= failing(found), "\n".join(found.lines())


def test_every_check_of_the_report_is_broken_by_some_case() -> None:
    names = {check.name for check in report(option_lake()).checks}
    assert names == set().union(*(wanted for _, _, wanted in CASES))


# ---- without option data -----------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["no_gex", "no_options", "no_oi"])
def test_zeros_pass_with_a_warning_when_the_manifest_says_why(reason: str) -> None:
    found = report(zero_lake().with_manifest(GEX, warnings=(reason,)))
    assert found.passed
    assert found.check("gex_left_out").severity == "warn"
    assert reason in found.check("gex_left_out").offenders[0]
    assert found.check("gex_zeros").looked_at == 61 * (WINDOWS - 1)


def test_zeros_without_an_excuse_do_not_pass() -> None:
    with pytest.raises(MissingDataError, match="option_quote_1s"):
        report(zero_lake().with_manifest(GEX, warnings=()))
    assert "gex_floor" in failing(report(all_without_book(option_lake())))


def test_a_value_under_an_excuse_is_a_finding() -> None:
    lake = zero_lake()
    assert failing(report(lake.with_cell(GEX, "d1_gex", 9, 1.0))) == {"gex_zeros"}
    assert "gex_windows" in failing(report(lake.without_row(GEX, 9)))


# ---- what is absent ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", [SNAP, GEX, QUOTES, PROFILE, DEFINITIONS])
def test_an_absent_partition_is_named(dataset: str) -> None:
    with pytest.raises(MissingDataError, match=dataset.rsplit(".", 1)[1]):
        report(option_lake().without(dataset))


def test_without_statistics_open_interest_is_not_compared() -> None:
    found = report(option_lake().without(STATISTICS))
    assert found.passed
    assert "quote_open_interest" not in {check.name for check in found.checks}


def test_the_batches_of_a_table_change_no_finding() -> None:
    whole = report(option_lake())
    for rows in (1, 7, 10_000):
        lake = option_lake()
        lake = MemoryLake(lake.tables, lake.manifests, batch_rows=rows)
        assert report(lake).lines() == whole.lines()


def test_another_rate_is_taken_from_the_manifest() -> None:
    found = report(option_lake().with_manifest(GEX, params={"session": "full", "rate": 0.5}))
    assert {"quote_vol", "quote_greeks"} <= failing(found)
