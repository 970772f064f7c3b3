"""Sorting stages, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_eng.errors import UsageError
from data_eng.stage import Stage, StageError
from data_eng.stage_order import downstream, sort_stages, stage_named


def _stage(name: str, outputs: str, inputs: str = "", optional: str = "") -> Stage:
    def names(text: str) -> tuple[str, ...]:
        return tuple(f"silver.t.{c}" for c in text)

    return Stage(
        name=name,
        inputs=names(inputs),
        optional_inputs=names(optional),
        outputs=names(outputs),
        run=lambda _: None,
    )


def test_a_stage_comes_after_the_makers_of_its_inputs() -> None:
    stages = [_stage("three", "c", "ab"), _stage("two", "b", "a"), _stage("one", "a")]
    assert [s.name for s in sort_stages(stages)] == ["one", "two", "three"]


def test_an_optional_input_orders_too_but_needs_no_maker() -> None:
    stages = [_stage("reader", "b", optional="az"), _stage("maker", "a")]
    assert [s.name for s in sort_stages(stages)] == ["maker", "reader"]


def test_independent_stages_keep_the_given_order() -> None:
    stages = [_stage(name, name) for name in "qwerty"]
    assert [s.name for s in sort_stages(stages)] == list("qwerty")


def test_a_missing_producer_is_named() -> None:
    with pytest.raises(StageError, match=r"stage one reads silver\.t\.z, which no stage makes"):
        sort_stages([_stage("one", "a", "z")])


def test_a_cycle_is_shown_as_a_chain() -> None:
    stages = [_stage("one", "a", "c"), _stage("two", "b", "a"), _stage("three", "c", "b")]
    with pytest.raises(StageError, match=r"wait for each other: .* -> "):
        sort_stages(stages)


def test_two_makers_of_one_table_are_refused() -> None:
    with pytest.raises(StageError, match="made by one and by two"):
        sort_stages([_stage("one", "a"), _stage("two", "a")])


def test_two_stages_of_one_name_are_refused() -> None:
    with pytest.raises(StageError, match="share a name"):
        sort_stages([_stage("one", "a"), _stage("one", "b")])


def test_a_stage_cannot_read_what_it_makes_nor_name_unknown_parameters() -> None:
    with pytest.raises(StageError, match="as input and as output"):
        _stage("one", "a", "a")
    with pytest.raises(StageError, match="no run parameters"):
        Stage(name="one", outputs=("a",), params=("speed",), run=lambda _: None)


def test_a_stage_is_found_by_its_name_and_by_its_tables() -> None:
    stages = [_stage("one", "ab"), _stage("two", "c")]
    assert stage_named("one", stages).name == "one"
    assert stage_named("b", stages).name == "one"
    assert stage_named("silver.t.c", stages).name == "two"
    with pytest.raises(UsageError, match=r"'tow'.*did you mean two"):
        stage_named("tow", stages)


@given(st.data())
def test_any_graph_without_cycles_is_sorted_and_downstream_is_closed(data: st.DataObject) -> None:
    names = [chr(ord("a") + i) for i in range(data.draw(st.integers(1, 8)))]
    reads = {n: data.draw(st.sets(st.sampled_from(names[:i]))) if i else set() for i, n in enumerate(names)}
    stages = [_stage(n, n, "".join(sorted(reads[n]))) for n in data.draw(st.permutations(names))]
    order = [s.name for s in sort_stages(stages)]
    assert sorted(order) == names
    assert all(order.index(read) < order.index(n) for n in names for read in reads[n])
    first = data.draw(st.sampled_from(names))
    reached = downstream(stages, first)
    assert reached == {first} | {n for n in names if reads[n] & reached}
