"""Ratios are medians per round, a check without a value is not met, and the order of rounds alternates."""

from __future__ import annotations

import pytest
from benches.measure import Check, Goal, Missing, Spent, interleave, missing, ratio

ROUNDS = {
    "a": [Spent(2, 20), Spent(4, 10), Spent(9, 30)],
    "b": [Spent(1, 10), Spent(1, 10), Spent(3, 10)],
    "c": [Spent(1, 10), Spent(3, 10), Spent(0, 10)],
}


def test_a_ratio_is_the_median_of_the_ratios_of_each_round() -> None:
    check = ratio("a / b", ROUNDS, "a", "b", "<=", 2.5, "cpu")
    assert check.per_round == (2.0, 4.0, 3.0)
    assert check.value == 3.0
    assert not check.met
    assert check.over is not None
    assert check.over.median == 4


def test_sides_of_a_ratio_may_be_sums_and_wall() -> None:
    assert ratio("x", ROUNDS, "a", ["b", "c"], "<=", 1, "cpu").per_round == (1.0, 1.0, 3.0)
    assert ratio("x", ROUNDS, "a", "b", ">=", 2, "wall").met


def test_medians_are_given_per_record_when_asked() -> None:
    check = ratio("x", ROUNDS, "a", "b", "<=", 1, "cpu", records=1_000)
    assert check.over is not None
    assert (check.over.median, check.over.unit) == (4e6, "ns/record")


def test_rounds_alternate_their_order() -> None:
    seen: list[str] = []

    def contestant(name: str) -> Spent:
        seen.append(name)
        return Spent(1, 1)

    interleave({name: (lambda name=name: contestant(name)) for name in "xyz"}, 3)
    assert "".join(seen) == "xyzzyxxyz"


@pytest.mark.parametrize(
    ("value", "relation", "met"), [(1.0, "<=", True), (1.1, "<=", False), (1.0, ">=", True)]
)
def test_a_bound_belongs_to_the_promise(value: float, relation: str, met: bool) -> None:
    check = Check("x", value, relation, 1.0)  # type: ignore[arg-type]  # parametrised words
    assert check.met is met
    assert check.to_json()["met"] is met


def test_what_is_missing_is_not_met_and_says_why() -> None:
    check = missing("x", ">=", 5, Missing("no such peer"))
    goal = Goal("P0", "text", [Check("y", 1.0, "<=", 2.0), check])
    assert not goal.met
    assert goal.to_json()["checks"][1] == {
        "name": "x",
        "value": None,
        "goal": ">= 5",
        "met": False,
        "reason": "missing: no such peer",
    }


def test_a_goal_without_checks_is_not_met() -> None:
    assert not Goal("P0", "text").met
