"""x1..x4 and their differences equal the plain twin on any wall, however its rows are cut."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_eng.errors import LakeError
from data_eng.kernels.physics import SLOT_LEVELS
from data_eng.physics_terms import (
    TERM_COLUMNS,
    TermsWalk,
    direction_score,
    ease,
    explain,
    norm,
    strength_log,
    wall_arrays,
)
from data_eng.schema import BAND_COMPONENTS, table
from tests.data_eng.physics_samples import T0, WALL, batches, to_table, wall_rows
from tests.naive.physics import DenseSeries, naive_explanation, pull_terms
from tests.strategies import cuts

unit = st.floats(0, 1)


def dense(walk: TermsWalk, parts: list[pa.RecordBatch]) -> dict[str, np.ndarray]:
    """Terms of every row: 0 where the walk names none."""
    whole: dict[str, list[np.ndarray]] = {}
    for part in parts:
        terms = walk.block(part)
        assert (np.diff(terms.rows) > 0).all()
        for name in ("x1", "x2", "x3", "x4", "d1", "d3", "intensity", "erosion"):
            column = np.zeros(part.num_rows)
            column[terms.rows] = getattr(terms, name)
            whole.setdefault(name, []).append(column)
    return {name: np.concatenate(columns) for name, columns in whole.items()}


@given(wall_rows(), st.data())
def test_terms_equal_the_twin(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    found = dense(TermsWalk(), batches(to_table(WALL, rows), data.draw(cuts(len(rows)))))
    series = DenseSeries(rows)
    for k, row in enumerate(rows):
        d1, d2, d3 = (series.of_row(order, row) for order in (1, 2, 3))
        wanted = dict(zip(("x1", "x2", "x3", "x4"), pull_terms(row, d2), strict=True)) | {"d1": d1, "d3": d3}
        for name, value in wanted.items():
            assert math.isclose(found[name][k], value, rel_tol=1e-12, abs_tol=1e-12), (name, row)


@given(wall_rows(), st.data())
def test_any_cut_gives_the_same_bits(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    wall = to_table(WALL, rows)
    whole = dense(TermsWalk(), batches(wall))
    parts = dense(TermsWalk(), batches(wall, data.draw(cuts(len(rows)))))
    for name, column in whole.items():
        assert column.tobytes() == parts[name].tobytes(), name


@given(wall_rows().filter(len), st.integers(0, 8))
def test_a_walk_that_saw_the_windows_before_goes_on_as_if_uncut(rows: list[dict[str, Any]], n: int) -> None:
    """What a narrower session does: three windows of history and the end of the first window are enough."""
    ends = sorted({row["window_end_ts_ns"] for row in rows})
    begin = ends[min(n, len(ends) - 1)]
    emitted = [row for row in rows if row["window_end_ts_ns"] >= begin]
    before = [row for row in rows if begin - 3 * 10**9 <= row["window_end_ts_ns"] < begin]
    walk = TermsWalk(ends[0] if begin > ends[0] else None)
    for batch in batches(to_table(WALL, before)):
        walk.block(batch)
    found = dense(walk, batches(to_table(WALL, emitted)))
    whole = dense(TermsWalk(), batches(to_table(WALL, rows)))
    for name, column in found.items():
        assert column.tobytes() == whole[name][len(rows) - len(emitted) :].tobytes(), name


def one_level(flows: dict[int, tuple[int, int]], valid: bool = True) -> pa.Table:
    """A level with (add, pull_rest) in some windows, counted from 0, and a second level in all windows."""
    rows = []
    for window in range(max(flows) + 1):
        for price, (add, pull) in (("low", (0, 0)), ("level", flows.get(window, (-1, 0)))):
            if add >= 0:
                rows.append((window, price, add, pull))
    return to_table(
        WALL,
        [
            dict.fromkeys(table(WALL).arrow_schema.names, 0)
            | {
                "window_end_ts_ns": T0 + w * 10**9,
                "price_int": 1000 if price == "low" else 2000,
                "side": "A",
                "add_qty": add,
                "pull_qty_total": pull,
                "pull_qty_rest": pull,
                "window_valid": valid,
            }
            for w, price, add, pull in rows
        ],
    )


def level_terms(flows: dict[int, tuple[int, int]], name: str) -> list[float]:
    wall = one_level(flows)
    values = dense(TermsWalk(), batches(wall))[name]
    return values[wall["price_int"].to_numpy() == 2000].tolist()


def test_the_first_window_has_no_history() -> None:
    one = math.log(2)
    assert level_terms({0: (0, 1), 1: (0, 0), 2: (0, 0), 3: (0, 0), 4: (0, 0)}, "d1") == [0, -one, 0, 0, 0]
    assert level_terms({0: (0, 1), 1: (0, 0), 2: (0, 0), 3: (0, 0), 4: (0, 0)}, "x4") == [0, -one, one, 0, 0]


def test_a_level_without_row_counts_as_zero_and_is_remembered_when_it_returns() -> None:
    one = math.log(2)
    assert level_terms({0: (0, 0), 1: (0, 1), 3: (0, 0)}, "x4") == [0, one, one]
    assert level_terms({0: (0, 0), 1: (0, 1), 4: (0, 0)}, "d3") == [0, one, -one]
    assert level_terms({0: (0, 0), 1: (0, 1), 5: (0, 0)}, "d3") == [0, one, 0]


def test_adds_and_pulls_of_the_same_size_are_a_term_of_zero() -> None:
    assert level_terms({0: (0, 0), 1: (5, 5)}, "x1") == [0, 0]


def test_more_levels_than_a_view_has_are_refused() -> None:
    count = SLOT_LEVELS + 1
    zeros = np.zeros(count, np.int32)
    columns = dict.fromkeys(TERM_COLUMNS, zeros) | {
        "window_end_ts_ns": np.full(count, T0),
        "side": pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int8)), pa.array(["A", "B"])),
        "price_int": np.arange(count),
        "add_qty": np.ones(count, np.int32),
    }
    batch = pa.record_batch([pa.array(columns[name]) for name in TERM_COLUMNS], names=list(TERM_COLUMNS))
    with pytest.raises(LakeError, match=f"more than {SLOT_LEVELS} levels"):
        TermsWalk().block(batch)


def test_sides_are_read_whatever_order_the_dictionary_has() -> None:
    words = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0], pa.int8()), pa.array(["B", "A"]))
    assert wall_arrays(pa.record_batch([words], names=["side"]), ("side",))["side"].tolist() == [1, 0, 1]


@given(st.lists(st.integers(0, 2**31 - 1), max_size=20))
def test_strength_is_the_log_of_one_plus_the_resting_depth(depths: list[int]) -> None:
    found = strength_log(np.array(depths, np.int32))
    assert found == pytest.approx([math.log(depth + 1) for depth in depths], rel=1e-15)
    assert strength_log(np.array(depths, np.int32), np.float32).tolist() == found.astype(np.float32).tolist()


@given(st.lists(st.floats(-1e9, 1e9), min_size=1), st.floats(-1e3, 1e3), st.floats(1e-6, 1e3))
def test_norm_stays_between_zero_and_one(values: list[float], lo: float, width: float) -> None:
    scores = norm(np.array(values), lo, lo + width)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert norm(np.array([lo, lo + width]), lo, lo + width).tolist() == [0, 1]


@given(st.lists(unit, min_size=6, max_size=6))
def test_ease_and_score_stay_between_zero_and_one(values: list[float]) -> None:
    columns = [np.array([value]) for value in values]
    parts = ease(*columns[:3]), ease(*columns[3:])
    assert all(0 <= part[0] <= 1 for part in parts)
    assert 0 <= direction_score(*parts)[0] <= 1


def test_an_empty_band_has_the_ease_of_its_missing_wall() -> None:
    assert ease(np.zeros(1), np.zeros(1), np.zeros(1)).tolist() == [0.15]


@given(st.lists(unit, min_size=24, max_size=24), st.sampled_from([0, 4_800_000_000_000]))
def test_the_explanation_is_the_twins_and_adds_up_to_the_score(components: list[float], spot: int) -> None:
    row = dict(zip(BAND_COMPONENTS, components, strict=True)) | {"spot_ref_price_int": spot}
    for direction, terms in explain(row).items():
        assert terms == pytest.approx(naive_explanation(row, direction), abs=1e-15)
        eases = [
            ease(*(np.array([row[f"{direction}_{band}_{m}"]]) for m in order))
            for band in ("at", "near")
            for order in [("vacuum_norm", "wall_erosion_norm", "wall_strength_norm")]
        ]
        score = direction_score(*eases)[0] if spot else 0.0
        assert sum(terms.values()) == pytest.approx(score, abs=1e-12)
