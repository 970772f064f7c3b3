"""Status messages set phases as spec 4.12 says, at their ts_event."""

from __future__ import annotations

from pathlib import Path

import databento_dbn as dbn
import numpy as np
import pytest

from data_eng.dbn_codes import PHASES
from data_eng.dbn_reader import iter_record_blocks
from data_eng.lake import Lake
from data_eng.params import RunParams
from data_eng.pipeline import run
from data_eng.raw_files import discover
from data_eng.schema import table
from data_eng.stages.bronze import definitions
from data_eng.stages.bronze import status as stage
from data_eng.stages.bronze.status import status_phases, to_status
from tests.dbn_samples import DT, ESH6, ESM6, day_start_ns, status, write_dbn

STAGES = (definitions.STAGE, stage.STAGE)
WORDS = {
    "open": ["TRADING"],
    "pre_open": ["PRE_OPEN", "PRE_CROSS", "QUOTING", "CROSS", "ROTATION"],
    "halt": ["HALT", "PAUSE", "SUSPEND"],
    "closed": ["PRE_CLOSE", "CLOSE", "POST_CLOSE", "NOT_AVAILABLE_FOR_TRADING"],
    None: ["NONE", "NEW_PRICE_INDICATION", "SSR_CHANGE"],
}


def test_every_action_of_the_vendor_sets_the_phase_of_the_spec(tmp_path: Path) -> None:
    assert sum(len(names) for names in WORDS.values()) == len(list(dbn.StatusAction.variants()))
    for phase, names in WORDS.items():
        for name in names:
            path = write_dbn(tmp_path / "s", [status(getattr(dbn.StatusAction, name), 5)], schema="status")
            [records] = [b.copy() for b in iter_record_blocks(path, "status")]
            batch = to_status(records)
            table(stage.DATASET_KEY).validate(batch)
            got = [PHASES[p] for p in status_phases(batch, ESH6).phase]
            assert got == ([] if phase is None else [phase]), name


def test_phases_are_those_of_the_instrument_in_the_order_of_ts_event(tmp_path: Path) -> None:
    action = dbn.StatusAction
    rows = [
        status(action.TRADING, 300),
        status(action.HALT, 100),
        status(action.HALT, 150, instrument_id=ESM6),
        status(action.PRE_OPEN, 300),
        status(action.SSR_CHANGE, 310),
    ]
    path = write_dbn(tmp_path / "s", rows, schema="status")
    records = np.concatenate([b.copy() for b in iter_record_blocks(path, "status")])
    phases = status_phases(to_status(records), ESH6)
    assert phases.ts_ns.tolist() == [100, 300, 300]
    assert [PHASES[p] for p in phases.phase] == ["halt", "open", "pre_open"]
    assert len(status_phases(to_status(records), 1).ts_ns) == 0


@pytest.mark.parametrize("version", [1, 2, 3])
def test_the_stage_keeps_the_contract_and_is_left_out_without_a_file(tmp_path: Path, version: int) -> None:
    lake, raw = Lake(tmp_path / "lake"), tmp_path / "raw"
    raw.mkdir()
    run(lake, DT, "ESH6", RunParams(no_gex=True), raw=lambda: discover(raw), stages=STAGES)
    assert not lake.has(stage.DATASET_KEY, "ESH6", DT)
    rows = [
        status(dbn.StatusAction.TRADING, day_start_ns()),
        status(dbn.StatusAction.HALT, day_start_ns() + 9, instrument_id=ESM6),
    ]
    write_dbn(raw / "s", rows, schema="status", version=version)
    run(lake, DT, "ESH6", RunParams(no_gex=True), raw=lambda: discover(raw), stages=STAGES)
    [row] = lake.read(stage.DATASET_KEY, "ESH6", DT).to_pylist()
    assert (row["ts_event"], row["action"], row["is_trading"]) == (day_start_ns(), 7, "Y")


def test_real_status_messages_decode_alike_in_both_versions(real_data: Path) -> None:
    tables = []
    for version in (2, 3):
        path = real_data / "dbn" / f"test_data.status.v{version}.dbn.zst"
        tables.append(to_status(np.concatenate([b.copy() for b in iter_record_blocks(path, "status")])))
    assert tables[0].to_pylist() == tables[1].to_pylist()
    assert tables[0]["action"].to_pylist() == [7, 1, 1, 6]
    phases = status_phases(tables[0], 5482)
    assert [PHASES[p] for p in phases.phase] == ["open", "pre_open", "pre_open"]
