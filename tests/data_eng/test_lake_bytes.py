"""The same rows give the same bytes; every kind of column survives; MBO records become small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_eng._lake.encoding import MAX_GROUP_ROWS, group_rows
from data_eng.lake import Lake
from data_eng.mbo import BRONZE_MBO_COLUMNS, MBO_DTYPE, MboColumns
from data_eng.schema.column import Column, Table
from tests.data_eng.lake_tables import (
    DT,
    FIELDS,
    FREE,
    NARROW,
    PLACE,
    RECORDS,
    narrow_rows,
    open_lake,
    put,
    tree,
    wide_rows,
)

BRONZE = "bronze.future_mbo.mbo"


def records(rows: int) -> pa.Table:
    """Feed records with an undefined price, nulls in the optional column and words in no useful order."""
    k = np.arange(rows, dtype=np.int64)
    words = ["T", "A", "C", "F"]
    action = pa.DictionaryArray.from_arrays(pa.array((k * 7 % 4).astype(np.int8)), pa.array(words))
    return pa.table(
        [
            pa.array(1_767_657_600_000_000_000 + k * 1_000),
            action,
            pa.array((2**64 - 1 - k.astype(np.uint64)), pa.uint64()),
            pa.array(np.where(k % 5 == 0, 2**63 - 1, 4_800_000_000_000 + k)),
            pa.array(k.astype(np.uint32)),
            pa.array([f"E1AF6 C{n % 3}" for n in range(rows)]),
            pa.array([None if n % 2 else "x" for n in range(rows)], pa.string()),
        ],
        schema=RECORDS.arrow_schema,
    )


def narrow_dictionaries(piece: pa.Table, order: int) -> pa.Table:
    """The same rows with dictionaries that hold other words in another order."""
    columns = []
    for field in piece.schema:
        column = piece[field.name]
        if pa.types.is_dictionary(field.type):
            words = column.cast(pa.string()).to_pylist()
            own = sorted({*words, *(["A", "closed"] if order else [])}, reverse=bool(order))
            own = [w for w in own if w in words] if order == 2 else own
            codes = pa.array([own.index(word) for word in words], pa.int8())
            columns.append(pa.DictionaryArray.from_arrays(codes, pa.array(own, pa.string())))
        else:
            columns.append(column)
    return pa.Table.from_arrays(columns, schema=piece.schema)


WHOLE = {
    "levels": wide_rows(1, windows=310, levels=2, first=100),
    "records": records(500),
    "snap": narrow_rows(windows=400),
}
DATASETS = {"levels": PLACE[0], "records": RECORDS.dataset, "snap": NARROW.dataset}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """Bytes of each partition when all rows come in one batch."""
    lake = open_lake(tmp_path_factory.mktemp("whole"))
    found = {}
    for name, data in WHOLE.items():
        put(lake, data, (DATASETS[name], "ESH6", DT))
        found[name] = tree(lake.partition_dir(DATASETS[name], "ESH6", DT))
    return found


@settings(max_examples=25)
@given(name=st.sampled_from(sorted(WHOLE)), data=st.data())
def test_any_cut_into_batches_gives_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory,
    whole: dict[str, dict[str, bytes]],
    name: str,
    data: st.DataObject,
) -> None:
    rows = WHOLE[name]
    cuts = data.draw(st.lists(st.integers(0, rows.num_rows), max_size=8).map(sorted))
    order = data.draw(st.sampled_from([0, 1, 2]))
    lake = open_lake(tmp_path_factory.mktemp("cut"))
    place = (DATASETS[name], "ESH6", DT)
    with lake.writer(*place) as writer:
        for start, stop in zip([0, *cuts], [*cuts, rows.num_rows], strict=True):
            piece = rows.slice(start, stop - start)
            if stop > start:
                piece = narrow_dictionaries(piece, order)
            batches = piece.to_batches() if order == 1 else [piece]
            for batch in batches:
                writer.write(batch)
        assert writer.rows == rows.num_rows
        writer.finish(**FIELDS)
        writer.commit()
    assert tree(lake.partition_dir(*place)) == whole[name]


def test_one_window_at_a_time_gives_the_same_bytes(
    tmp_path: Path, whole: dict[str, dict[str, bytes]]
) -> None:
    lake = open_lake(tmp_path)
    with lake.writer(*PLACE) as writer:
        for start in range(0, WHOLE["levels"].num_rows, 4):
            writer.write(WHOLE["levels"].slice(start, 4))
        writer.finish(**FIELDS)
        writer.commit()
    assert tree(lake.partition_dir(*PLACE)) == whole["levels"]


def test_every_value_survives_undefined_extreme_and_null(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    rows = records(1000)
    put(lake, rows, (RECORDS.dataset, "ESH6", DT))
    back = lake.read(RECORDS.dataset, "ESH6", DT)
    assert back.to_pydict() == rows.to_pydict()
    assert back.schema.equals(RECORDS.arrow_schema)


def test_producer_order_of_a_free_order_table_is_kept(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    rows = pa.table([["b", "a", "c"], [1.0, 2.0, 3.0]], schema=FREE.arrow_schema)
    put(lake, rows, (FREE.dataset, "ESH6", DT))
    assert lake.read(FREE.dataset, "ESH6", DT).equals(rows)


def test_row_groups_of_other_tables_have_a_fixed_number_of_rows_fewer_when_rows_are_broad(
    tmp_path: Path,
) -> None:
    planes = tuple(Column(f"f{n}", pa.binary(1201), "Plane.") for n in range(20))
    broad = Table("silver.future_mbo.broad", "Twenty planes.", planes)
    lake = Lake(tmp_path, {broad.dataset: broad})
    rows = pa.table([pa.array([bytes(1201)] * 2500, pa.binary(1201))] * 20, schema=broad.arrow_schema)
    with lake.writer(broad.dataset, "ESH6", DT) as writer:
        for start in range(0, 2500, 700):
            writer.write(rows.slice(start, 700))
        writer.finish(**FIELDS)
        writer.commit()
    assert [b.num_rows for b in lake.iter_batches(broad.dataset, "ESH6", DT)] == [2048, 452]
    assert group_rows(RECORDS) == MAX_GROUP_ROWS


def test_files_are_zstd_with_a_checksum_per_page_and_say_their_origin(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    put(lake, wide_rows(1), origin="simulated")
    path = next(lake.partition_dir(*PLACE).glob("*.parquet"))
    meta = pq.read_metadata(path)
    assert {meta.row_group(0).column(n).compression for n in range(meta.num_columns)} == {"ZSTD"}
    assert meta.metadata[b"origin"] == b"simulated"
    assert meta.row_group(0).column(0).statistics.has_min_max


def mbo_records(path: Path) -> Any:
    import zstandard

    with path.open("rb") as file:
        raw = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True).read()
    return np.frombuffer(raw, MBO_DTYPE, offset=8 + int.from_bytes(raw[4:8], "little"))


def as_bronze(found: Any, table: Table) -> pa.Table:
    def words(codes: Any) -> pa.Array:
        letters = np.unique(codes)
        return pa.DictionaryArray.from_arrays(
            pa.array(np.searchsorted(letters, codes).astype(np.int8)), pa.array([chr(c) for c in letters])
        )

    columns = []
    for column in table.columns:
        values = np.ascontiguousarray(found[column.name])
        if pa.types.is_dictionary(column.type):
            columns.append(words(values))
        else:
            columns.append(pa.array(values.view(column.type.to_pandas_dtype())))
    return pa.Table.from_arrays(columns, schema=table.arrow_schema)


def test_real_mbo_records_come_back_and_take_at_most_085_of_the_dbn_zst(
    real_esh4: Path, tmp_path: Path
) -> None:
    lake = Lake(tmp_path)
    found = mbo_records(real_esh4)
    assert len(found) == 68_792
    manifest = put(lake, as_bronze(found, lake.table(BRONZE)), (BRONZE, "ESH4", "2023-12-25"))
    assert manifest.size <= 0.85 * real_esh4.stat().st_size
    (batch,) = lake.iter_batches(BRONZE, "ESH4", "2023-12-25", columns=list(BRONZE_MBO_COLUMNS), verify=True)
    for ours, theirs in zip(MboColumns.from_bronze(batch), MboColumns.from_records(found), strict=True):
        assert np.array_equal(ours, theirs)
