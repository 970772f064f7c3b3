"""Open interest is stat_type 9, defined, new, and of an option on the contract."""

from __future__ import annotations

from pathlib import Path

import databento_dbn as dbn
import pytest

from data_eng.errors import MissingDataError
from data_eng.lake import Lake
from data_eng.params import RunParams
from data_eng.pipeline import run
from data_eng.raw_files import discover
from data_eng.stages.bronze import definitions, statistics
from data_eng.units import DAY_NS
from tests.dbn_samples import DT, ESH6, day_start_ns, definition, statistic, write_dbn

STAGES = (definitions.STAGE, statistics.STAGE)
OPTION = definition(
    "E1BF6 C6950",
    7,
    instrument_class="C",
    underlying="ESH6",
    underlying_id=ESH6,
    strike_price=6_952_550_000_000,
    expiration="2026-01-06T21:00:00+00:00",
)
UNDEFINED = int(dbn.UNDEF_STAT_QUANTITY)


def build(tmp_path: Path, records: list[dbn.StatMsg], version: int = 3, *, no_gex: bool = False) -> Lake:
    raw = tmp_path / "raw"
    write_dbn(raw / "d", [definition(), OPTION], schema="definition", version=version)
    write_dbn(raw / "s", records, schema="statistics", version=version)
    lake = Lake(tmp_path / "lake")
    run(lake, DT, "ESH6", RunParams(no_gex=no_gex), raw=lambda: discover(raw), stages=STAGES)
    return lake


@pytest.mark.parametrize("version", [1, 2, 3])
def test_open_interest_is_kept_and_everything_else_counted(tmp_path: Path, version: int) -> None:
    records = [
        statistic(120, instrument_id=7),
        statistic(999, instrument_id=7, stat_type=dbn.StatType.OPENING_PRICE),
        statistic(UNDEFINED, instrument_id=7),
        statistic(55, instrument_id=7, update=dbn.StatUpdateAction.DELETE),
        statistic(77, instrument_id=ESH6),
        statistic(0, instrument_id=7, ts_recv=day_start_ns() + 5_000, ts_ref=dbn.UNDEF_TIMESTAMP),
    ]
    lake = build(tmp_path, records, version)
    first, second = lake.read(statistics.DATASET_KEY, "ESH6", DT).to_pylist()
    assert first == {
        "ts_event_ns": day_start_ns(),
        "ts_recv_ns": day_start_ns() + 1_000,
        "source": "GLBX.MDP3",
        "underlying": "ESH6",
        "option_symbol": "E1BF6 C6950",
        "exp_date": DT,
        "strike": 6952.55,
        "right": "C",
        "open_interest": 120.0,
        "ts_ref_ns": day_start_ns() - DAY_NS,
    }
    assert (second["open_interest"], second["ts_ref_ns"]) == (0.0, None)
    counters = lake.manifest(statistics.DATASET_KEY, "ESH6", DT).counters
    assert {k: counters[k] for k in ("records", "kept", "other_stat_types", "deleted")} == {
        "records": 6,
        "kept": 2,
        "other_stat_types": 1,
        "deleted": 1,
    }
    assert (counters["undefined_quantities"], counters["no_option_on_contract"]) == (1, 1)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_settlements_of_the_future_and_its_options_are_kept(tmp_path: Path, version: int) -> None:
    settled = dbn.StatType.SETTLEMENT_PRICE
    records = [
        statistic(120, instrument_id=7),
        statistic(UNDEFINED, instrument_id=ESH6, stat_type=settled, price=6_900_250_000_000),
        statistic(UNDEFINED, instrument_id=7, stat_type=settled, price=12_500_000_000),
        statistic(UNDEFINED, instrument_id=7, stat_type=settled),
        statistic(UNDEFINED, instrument_id=99, stat_type=settled, price=1_000_000_000),
        statistic(
            UNDEFINED,
            instrument_id=ESH6,
            stat_type=settled,
            price=1_000_000_000,
            update=dbn.StatUpdateAction.DELETE,
        ),
    ]
    lake = build(tmp_path, records, version)
    rows = lake.read(statistics.SETTLEMENTS_KEY, "ESH6", DT).to_pylist()
    assert [(r["symbol"], r["instrument_class"], r["price_int"]) for r in rows] == [
        ("ESH6", "F", 6_900_250_000_000),
        ("E1BF6 C6950", "C", 12_500_000_000),
    ]
    assert rows[0]["ts_ref_ns"] == day_start_ns() - DAY_NS
    assert lake.manifest(statistics.SETTLEMENTS_KEY, "ESH6", DT).counters["settlements"] == 2


def test_no_open_interest_fails_unless_no_gex(tmp_path: Path) -> None:
    records = [statistic(120, instrument_id=ESH6)]
    with pytest.raises(MissingDataError, match="no open interest of an option on ESH6"):
        build(tmp_path, records)
    lake = build(tmp_path, records, no_gex=True)
    assert list(lake.manifest(statistics.DATASET_KEY, "ESH6", DT).warnings) == ["no_oi"]
