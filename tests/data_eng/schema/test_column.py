"""Validation: each kind of fault is refused, and the message names column, finding and demand."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_eng.errors import SchemaError
from data_eng.schema import TABLES, Column, Table, key_increases, table
from data_eng.schema.column import DICT_STRING


def rows_of(declared: Table, count: int = 3) -> pa.Table:
    """A valid table of `count` rows: zeros where allowed, else the lower bound, and an increasing key."""
    arrays = []
    for column in declared.columns:
        values: list[Any]
        if column.name == (declared.key[0] if declared.key else ""):
            values = _increasing(column, count)
        else:
            values = [_any_value(column)] * count
        arrays.append(pa.array(values, _plain(column.type)).cast(column.type))
    return pa.table(arrays, schema=declared.arrow_schema)


def _plain(physical: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_dictionary(physical) else physical


def _increasing(column: Column, count: int) -> list[Any]:
    if column.values is not None:
        return list(column.values[:count])
    if pa.types.is_string(column.type):
        return [f"2026-01-{6 + i:02d}" for i in range(count)]
    return list(range(1, count + 1))


def _any_value(column: Column) -> Any:
    if column.values is not None:
        return column.values[0]
    if pa.types.is_fixed_size_binary(column.type):
        return bytes(column.type.byte_width)
    if pa.types.is_list(column.type):
        return [1.5, 2.5]
    if pa.types.is_boolean(column.type):
        return True
    if pa.types.is_string(column.type) or pa.types.is_dictionary(column.type):
        return "A"
    return max(0, column.lo or 0)


def replaced(data: pa.Table, name: str, values: Any, physical: pa.DataType | None = None) -> pa.Table:
    index = data.schema.get_field_index(name)
    wanted = physical or data.schema.field(name).type
    array = pa.array(values, _plain(wanted)).cast(wanted)
    return data.set_column(index, pa.field(name, wanted), array)


@pytest.fixture
def wall() -> Table:
    return table("wall_surface_1s")


@pytest.mark.parametrize("declared", TABLES.values(), ids=lambda t: t.dataset)
def test_a_valid_table_passes_as_table_and_as_batches(declared: Table) -> None:
    data = rows_of(declared)

    declared.validate(data)
    for batch in data.to_batches():
        declared.validate(batch)
    declared.validate(declared.empty())


def test_a_missing_and_a_foreign_column_are_named(wall: Table) -> None:
    data = rows_of(wall).drop_columns(["add_qty"]).append_column("added", pa.array([0, 0, 0]))

    with pytest.raises(SchemaError, match=r"missing \['add_qty'\], unexpected \['added'\]"):
        wall.validate(data)


def test_columns_in_another_order_are_refused(wall: Table) -> None:
    with pytest.raises(SchemaError, match="order differs"):
        wall.validate(rows_of(wall).select(list(reversed(wall.arrow_schema.names))))


def test_another_physical_type_is_refused_with_both_types(wall: Table) -> None:
    data = replaced(rows_of(wall), "add_qty", [0, 0, 0], pa.int64())

    with pytest.raises(SchemaError, match=r"add_qty is int64, expected int32 \(contracts\)"):
        wall.validate(data)


def test_a_plain_string_is_refused_where_a_dictionary_is_declared(wall: Table) -> None:
    with pytest.raises(SchemaError, match="side is string, expected dictionary"):
        wall.validate(replaced(rows_of(wall), "side", ["A", "A", "B"], pa.string()))


def test_a_null_is_refused_unless_declared(wall: Table) -> None:
    with pytest.raises(SchemaError, match="add_qty holds 1 nulls"):
        wall.validate(replaced(rows_of(wall), "add_qty", [0, None, 0]))

    quotes = table("option_quote_1s")
    quotes.validate(replaced(rows_of(quotes), "implied_vol", [None, 0.2, None]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused_also_in_nullable_columns(bad: float) -> None:
    bands, quotes = table("physics_bands_1s"), table("option_quote_1s")

    with pytest.raises(SchemaError, match="mid_price holds 1 NaN or infinite"):
        bands.validate(replaced(rows_of(bands), "mid_price", [0.0, bad, 0.0]))
    with pytest.raises(SchemaError, match="delta holds 1 NaN or infinite"):
        quotes.validate(replaced(rows_of(quotes), "delta", [None, bad, 0.5]))


def test_nan_and_null_are_refused_inside_lists() -> None:
    profile = table("gex_profile_1s")
    data = rows_of(profile)

    profile.validate(replaced(data, "flip_points", [[], [6900.0], [6900.0, 6950.0]]))
    with pytest.raises(SchemaError, match="flip_points holds 1 NaN"):
        profile.validate(replaced(data, "flip_points", [[], [6900.0, float("nan")], []]))
    with pytest.raises(SchemaError, match="flip_points holds 1 nulls inside lists"):
        profile.validate(replaced(data, "flip_points", [[], [6900.0, None], []]))


@pytest.mark.parametrize(
    ("name", "column", "values"),
    [
        ("wall_surface_1s", "rel_ticks", [0, 601, 0]),
        ("wall_surface_1s", "rel_ticks", [0, -601, 0]),
        ("wall_surface_1s", "depth_qty_end", [0, -1, 0]),
        ("physics_bands_1s", "above_score", [0.0, 1.0000001, 0.0]),
        ("physics_context_1s", "last_trade_age_ns", [0, -2, 0]),
        ("physics_context_1s", "above_mid_level_count", [0, 10, 0]),
        ("hud_surface_1s", "phase", [0, 4, 0]),
        ("gex_surface_1s", "gex_imbalance_ratio", [0.0, -1.5, 0.0]),
        ("gex_profile_1s", "net_oi_short_all", [0.0, 1.0, 0.0]),
        ("bronze.future_mbo.mbo", "rtype", [160, 161, 160]),
    ],
)
def test_a_value_outside_its_range_is_refused_with_the_range(
    name: str, column: str, values: list[Any]
) -> None:
    declared = table(name)

    with pytest.raises(SchemaError, match=rf"{column} spans \[.*\], expected \["):
        declared.validate(replaced(rows_of(declared), column, values))


@pytest.mark.parametrize(
    ("name", "column", "word"),
    [
        ("wall_surface_1s", "side", "N"),
        ("book_snapshot_1s", "phase", "opening"),
        ("radar_vacuum_1s", "approach_dir", "up"),
        ("option_quote_1s", "reason", "unknown"),
        ("physics_norm_calibration", "metric_name", "wall"),
    ],
)
def test_a_foreign_word_is_refused_and_named(name: str, column: str, word: str) -> None:
    declared = table(name)
    known = declared.column(column).values
    assert known is not None

    with pytest.raises(SchemaError, match=rf"{column} holds \['{word}'\], expected one of"):
        declared.validate(replaced(rows_of(declared), column, [known[0], word, known[0]]))


def test_bronze_keeps_unknown_action_bytes() -> None:
    mbo = table("bronze.future_mbo.mbo")

    mbo.validate(replaced(rows_of(mbo), "action", ["A", "?", "\x00"]))


def test_a_key_that_steps_back_or_repeats_is_refused_with_its_row(wall: Table) -> None:
    data = rows_of(wall)
    for ends in ([1, 3, 2], [1, 2, 2]):
        with pytest.raises(SchemaError, match="does not increase at row 2"):
            wall.validate(replaced(data, "window_end_ts_ns", ends))


def test_the_key_order_is_window_then_side_then_price(wall: Table) -> None:
    data = replaced(rows_of(wall, 4), "window_end_ts_ns", [1, 1, 1, 2])
    ordered = replaced(replaced(data, "side", ["A", "A", "B", "A"]), "price_int", [5, 6, 1, 1])
    swapped = replaced(replaced(data, "side", ["B", "A", "B", "A"]), "price_int", [5, 6, 7, 1])

    wall.validate(ordered)
    with pytest.raises(SchemaError, match="does not increase at row 1"):
        wall.validate(swapped)


def test_a_table_in_free_order_may_step_back_but_not_repeat_its_key() -> None:
    trades = table("trade_event")
    data = replaced(rows_of(trades), "ts_event_ns", [5, 4, 4])

    trades.validate(replaced(data, "trade_idx", [0, 1, 2]))
    with pytest.raises(SchemaError, match="repeats in 1 rows"):
        trades.validate(replaced(data, "trade_idx", [0, 1, 1]))


def test_the_message_says_where(wall: Table) -> None:
    with pytest.raises(SchemaError, match=r"wall_surface_1s \(window 7\)\.add_qty"):
        wall.validate(replaced(rows_of(wall), "add_qty", [0, -1, 0]), where="window 7")


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["A", "B"]), st.integers(-2, 2)), min_size=2, max_size=12
    ),
    st.integers(1, 5),
)
def test_key_increases_agrees_with_python_tuples_however_rows_are_chunked(
    rows: list[tuple[int, str, int]], chunk: int
) -> None:
    columns = list(zip(*rows, strict=True))
    arrays = [
        pa.array(columns[0], pa.int64()),
        # each chunk gets its own dictionary, in its own order
        pa.chunked_array(
            [
                pa.array(columns[1][i : i + chunk]).dictionary_encode().cast(DICT_STRING)
                for i in range(0, len(rows), chunk)
            ]
        ),
        pa.array(columns[2], pa.int64()),
    ]
    data = pa.table(arrays, names=["a", "b", "c"])

    assert key_increases(data, ("a", "b", "c")).tolist() == [
        before < after for before, after in pairwise(rows)
    ]


@pytest.mark.parametrize("declared", TABLES.values(), ids=lambda t: t.dataset)
def test_metadata_types_and_values_survive_parquet(declared: Table, tmp_path: Path) -> None:
    data = rows_of(declared)
    pq.write_table(data, tmp_path / "part.parquet")

    back = pq.read_table(tmp_path / "part.parquet")

    assert back.schema.equals(declared.arrow_schema, check_metadata=True)
    assert back.equals(data)
    declared.validate(back)


def test_field_metadata_carries_unit_range_and_meaning(wall: Table) -> None:
    meta = wall.arrow_schema.field("rel_ticks").metadata

    assert meta[b"unit"] == b"ticks"
    assert meta[b"range"] == b"[-600, 600]"
    assert meta[b"doc"].startswith(b"Distance of the level")
    assert wall.arrow_schema.metadata[b"dataset"] == b"silver.future_mbo.wall_surface_1s"
