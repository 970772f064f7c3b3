"""Who is who on a date: the as-of rule of definitions, outrights, ticks and delivery months."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from data_eng.dbn_reader import iter_record_blocks, read_metadata
from data_eng.instruments import (
    definitions_as_of,
    delivery_order,
    expirations,
    outright_futures,
    tick_int,
)
from data_eng.stages.bronze.definitions import to_definitions
from data_eng.units import TICK_INT, UNDEF_PRICE
from tests.dbn_samples import DT, ESH6, ESM6, SPREAD, day_start_ns, definition, mbo_day, write_dbn


def table_of(tmp_path: Path, records: list[object]) -> pa.Table:
    path = write_dbn(tmp_path / "d", records, schema="definition")
    return to_definitions(np.concatenate([b.copy() for b in iter_record_blocks(path, "definition")]))


def test_as_of_takes_the_last_message_up_to_midnight_per_instrument(tmp_path: Path) -> None:
    midnight = day_start_ns()
    rows = [
        definition("ESH6", 1, ts_recv=midnight - 10, min_price_increment=1),
        definition("ESH6", 1, ts_recv=midnight, min_price_increment=2),
        definition("ESH6", 1, ts_recv=midnight, min_price_increment=3),
        definition("ESH6", 1, ts_recv=midnight + 1, min_price_increment=4),
        definition("ESM6", 2, ts_recv=midnight - 5),
        definition("ESM6", 2, ts_recv=midnight - 1, update="D"),
        definition("ESU6", 3, ts_recv=midnight - 3, update="D"),
        definition("ESU6", 3, ts_recv=midnight - 2, update="A"),
        definition("ESZ6", 4, ts_recv=midnight + 1),
    ]
    current = definitions_as_of(table_of(tmp_path, rows), DT)
    assert current["instrument_id"].to_pylist() == [1, 3]
    assert current["min_price_increment"].to_pylist() == [3, TICK_INT]
    assert definitions_as_of(current.slice(0, 0), DT).num_rows == 0


def test_outrights_come_from_definitions_and_else_from_mappings(tmp_path: Path) -> None:
    mappings = {"ESH6": ESH6, "ESM6": ESM6, "ESH6-ESM6": SPREAD, "E1BF6 C6950": 7, "ES.c.0": 8}
    header = read_metadata(write_dbn(tmp_path / "m", mbo_day(24), mappings=mappings))
    by_mapping = outright_futures(None, [header], DT)
    assert (by_mapping.symbols, by_mapping.source) == ({ESH6: "ESH6", ESM6: "ESM6"}, "mappings")
    assert by_mapping.known == frozenset(mappings.values())
    assert outright_futures(None, [header], "2026-01-07").symbols == {}
    rows = [
        definition(),
        definition("NQH6", 11),
        definition("ESH6-ESM6", SPREAD, instrument_class="S"),
        definition("E1BF6 C6950", 7, instrument_class="C", underlying="ESH6"),
    ]
    by_definition = outright_futures(table_of(tmp_path, rows), [header], DT)
    assert (by_definition.symbols, by_definition.source) == ({ESH6: "ESH6", 11: "NQH6"}, "definitions")
    assert by_definition.known == frozenset({ESH6, 11, SPREAD, 7, ESM6, 8})
    assert by_definition.only("NQH6").symbols == {11: "NQH6"}
    assert by_definition.of_root("ES").symbols == {ESH6: "ESH6"}
    options = table_of(tmp_path, rows[3:])
    assert outright_futures(options, [header], DT).source == "mappings"


def test_the_tick_comes_from_the_definition_unless_it_is_undefined(tmp_path: Path) -> None:
    rows = [
        definition("ESH6", 1, min_price_increment=5),
        definition("ESM6", 2, min_price_increment=UNDEF_PRICE),
    ]
    table = table_of(tmp_path, rows)
    assert tick_int(table, "ESH6", DT) == 5
    assert [tick_int(t, s, DT) for t, s in ((table, "ESM6"), (table, "ESZ6"), (None, "ESH6"))] == [
        TICK_INT
    ] * 3


def test_expirations_are_those_of_the_futures(tmp_path: Path) -> None:
    rows = [definition(), definition("E1BF6 C6950", 7, instrument_class="C", underlying="ESH6")]
    assert list(expirations(table_of(tmp_path, rows), DT)) == ["ESH6"]
    assert expirations(None, DT) == {}


@pytest.mark.parametrize(
    ("symbol", "dt", "order"),
    [
        ("ESH6", "2026-01-06", (2026, 3)),
        ("ESZ5", "2025-12-19", (2025, 12)),
        ("ESH6", "2027-01-06", (2036, 3)),
        ("ESH0", "2029-12-01", (2030, 3)),
        ("ESM26", "2026-01-06", (2026, 6)),
        ("ES", "2026-01-06", (9999, 12)),
    ],
)
def test_delivery_months_order_contracts(symbol: str, dt: str, order: tuple[int, int]) -> None:
    assert delivery_order(symbol, dt) == order


def test_real_definitions_of_january_2026_name_the_contract_of_the_canonical_day(real_data: Path) -> None:
    path = real_data / "nautilus_trader" / "options_exercise" / "futures_definition.dbn.zst"
    table = to_definitions(np.concatenate([b.copy() for b in iter_record_blocks(path, "definition")]))
    assert outright_futures(table, [], "2026-01-09").symbols == {42140878: "ESH6"}
    assert tick_int(table, "ESH6", "2026-01-09") == TICK_INT
    assert definitions_as_of(table, "2026-01-08").num_rows == 0
