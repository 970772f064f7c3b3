"""The options stage against its slow twins: equal over generated streams, in any cut and any sharding."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from data_eng.stages.silver.future_option_mbo.compute_gex_surface_1s import GexReport
from tests.naive.option_books import NaiveOptionBooks
from tests.option_harness import assert_case, run_stage, run_twin, same_bytes
from tests.option_oracles import FORWARD_INT, SCALE, Point, Quoted, quantlib, quoted_case
from tests.option_strategies import TIDY_MOVES, OptionCase, option_cases
from tests.strategies import cuts


def with_interest(case: OptionCase) -> OptionCase:
    """Without any figure of open interest the stage refuses, and says so elsewhere."""
    assume(case.figures)
    return case


cases = option_cases().map(with_interest)
tidy_cases = option_cases(moves=TIDY_MOVES).map(with_interest)


@given(st.one_of(cases, tidy_cases))
def test_tables_equal_those_of_the_twins(case: OptionCase) -> None:
    assert_case(case)


@given(cases)
def test_counters_equal_those_of_the_twin(case: OptionCase) -> None:
    report = GexReport()
    run_stage(case, report=report)
    _, books = run_twin(case)
    wanted = {name: count for name, count in books.counters.items() if name in report.counters}
    assert {name: report.counters[name] for name in wanted} == wanted
    assert len(wanted) >= 14


@settings(max_examples=30)
@given(cases, st.data())
def test_any_cut_of_the_stream_gives_the_same_bytes(case: OptionCase, data: st.DataObject) -> None:
    positions = data.draw(cuts(len(case.records)))
    windows = data.draw(st.sampled_from([1, 2, 3, 7, 300]))
    assert same_bytes(run_stage(case), run_stage(case, cuts=positions, windows_per_block=windows))


@settings(max_examples=20)
@given(cases)
def test_one_record_at_a_time_gives_the_same_bytes(case: OptionCase) -> None:
    assert same_bytes(run_stage(case), run_stage(case, cuts=range(1, len(case.records))))


@settings(max_examples=20)
@given(cases, st.data())
def test_threads_give_the_same_bytes(case: OptionCase, data: st.DataObject) -> None:
    positions = data.draw(cuts(len(case.records)))
    assert same_bytes(run_stage(case), run_stage(case, cuts=positions, windows_per_block=2, threads=True))


@settings(max_examples=30)
@given(cases, st.sampled_from([2, 4, 8]))
def test_any_number_of_shards_gives_the_same_bytes(case: OptionCase, shards: int) -> None:
    assert same_bytes(run_stage(case), run_stage(case, shards=shards))


def moved_on_at(case: OptionCase, end_ns: int) -> int:
    """Number of the record that moves the clock to `end_ns` or beyond: what comes from there on is future.

    A late record is none, whatever its ts_event says, nor is a snapshot with which the file begins.
    """
    books = NaiveOptionBooks([c.instrument_id for c in case.chain], [])
    for place, rec in enumerate(case.records):
        books.apply([rec])
        if books.clock is not None and books.clock >= end_ns:
            return place
    return len(case.records)


@settings(max_examples=40)
@given(cases, st.data())
def test_the_future_changes_nothing(case: OptionCase, data: st.DataObject) -> None:
    """Without the records, figures and spots of later, all up to a window's end stays, to the bit."""
    end = data.draw(st.sampled_from(case.windows)).end_ns
    first = moved_on_at(case, end)
    known = {k: [f for f in rows if f.ts_recv_ns < end] for k, rows in case.figures.items()}
    early = case._replace(
        records=case.records[:first],
        figures={k: rows for k, rows in known.items() if rows},
        windows=[w if w.end_ns <= end else w._replace(spot_int=0) for w in case.windows],
    )
    assume(early.figures)
    full, part = run_stage(case), run_stage(early)
    assert same_bytes(*({n: t.filter(_up_to(t, end)) for n, t in tables.items()} for tables in (full, part)))


def _up_to(rows: pa.Table, end: int) -> pa.Array:
    return pc.less_equal(rows["window_end_ts_ns"], end)


def two_options() -> tuple[OptionCase, list[Quoted]]:
    """A call and a put that quote their value at 15 %; 100 contracts of each."""
    points = [Point("C", 6_905 * SCALE, 3_600, 0.15), Point("P", 6_895 * SCALE, 3_600, 0.15)]
    case, quoted = quoted_case(points)
    return case, quoted


@pytest.mark.parametrize("multiplier", [50.0, 20.0])
def test_exposure_takes_the_multiplier_of_the_definition(multiplier: float) -> None:
    case, quoted = two_options()
    found = run_stage(case, multiplier=multiplier)
    for option, right in zip(quoted, ("call", "put"), strict=True):
        (row,) = [r for r in found["gex"].to_pylist() if r["strike_price_int"] == option.point.strike_int]
        (quote,) = [r for r in found["quote"].to_pylist() if r["instrument_id"] == option.instrument_id]
        assert row[f"gex_{right}_abs"] == pytest.approx(quote["gamma"] * 100 * multiplier, rel=1e-12)


def test_another_rate_gives_other_volatilities_that_hold_for_it() -> None:
    """The price is what it is: with a higher rate the same mid means a higher volatility."""
    case, quoted = two_options()
    vols = {}
    for rate in (0.0, 0.05, 0.5):
        rows = run_stage(case._replace(rate=rate))["quote"].to_pylist()
        vols[rate] = [row["implied_vol"] for row in rows]
        by_id = {option.instrument_id: option for option in quoted}
        for row in rows:
            option = by_id[row["instrument_id"]]
            point = option.point._replace(rate=rate)
            price = quantlib(point, FORWARD_INT / SCALE, row["implied_vol"]).price
            assert price == pytest.approx(option.mid, abs=1e-10)
    assert all(low < high for low, high in zip(vols[0.0], vols[0.05], strict=True))
    assert all(low < high for low, high in zip(vols[0.05], vols[0.5], strict=True))
