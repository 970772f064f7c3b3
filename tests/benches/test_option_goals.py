"""The goals of the options are measured on what they say, and refuse to time what is wrong."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from benches.measure import BenchError

from benches import option_goals


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    for name, value in {"RECORDS": 30_000, "MANY": 60, "SOLVED": 600, "CHAIN_SECONDS": 12}.items():
        monkeypatch.setattr(option_goals, name, value)
    return SimpleNamespace(rounds=1)


def test_the_stream_of_many_books_is_that_of_one_but_for_whose_it_is(small: SimpleNamespace) -> None:
    many, one = option_goals.option_stream(60), option_goals.option_stream(1)
    assert len(set(many["instrument_id"])) == 60
    assert len(set(one["instrument_id"])) == 1
    assert len(many) == len(one) == 30_000
    assert set(many["order_id"]) == set(one["order_id"])


def test_books_stage_and_solver_are_timed_and_judged(small: SimpleNamespace) -> None:
    chain = option_goals.p7_chain(small)
    assert [check.value is not None and check.value > 0 for check in chain.checks] == [True, True]
    solver = option_goals.p8_volatility(small)
    assert solver.checks[-1].value is not None
    assert solver.checks[-1].met, "the error of a volatility does not depend on the machine"


def test_a_stream_that_lost_records_is_not_timed(small: SimpleNamespace) -> None:
    rows = option_goals.option_stream(60)
    rows["instrument_id"][-5:] = 1
    with pytest.raises(BenchError, match="books of 60 options"):
        option_goals._books(rows, 60, windows=False)
