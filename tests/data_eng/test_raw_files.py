"""Raw files are found by what their headers say, read in order of time, and refused when they contradict."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from data_eng.dbn_reader import read_metadata
from data_eng.errors import MissingDataError, RawDataError
from data_eng.mbo import MBO_DTYPE
from data_eng.raw_files import DayBlock, DayReader, OverlapGuard, RawFile, discover
from data_eng.units import DAY_NS
from tests.dbn_samples import (
    DT,
    ESH6,
    ESM6,
    day_start_ns,
    definition,
    mbo_day,
    write_dbn,
)

NEXT_DT = "2026-01-07"


def day_records(reader: DayReader) -> np.ndarray:
    parts = [block.records.copy() for block in reader.blocks()]
    return np.concatenate(parts) if parts else np.zeros(0, MBO_DTYPE)


def test_files_are_found_by_header_and_everything_else_is_listed_with_a_reason(tmp_path: Path) -> None:
    day = mbo_day(30)
    write_dbn(tmp_path / "deep" / "misleading.definition.bin", day)
    write_dbn(tmp_path / "tomorrow.dbn", mbo_day(30, dt=NEXT_DT), start_ns=day_start_ns(NEXT_DT))
    write_dbn(tmp_path / "trades.dbn.zst", day, schema="trades")
    write_dbn(tmp_path / "xnas.dbn.zst", day, dataset="XNAS.ITCH")
    (tmp_path / "truth.csv").write_text("a,b\n")
    catalogue = discover(tmp_path)
    assert [f.path.name for f in catalogue.files_for("mbo", DT)] == ["misleading.definition.bin"]
    assert [f.path.name for f in catalogue.files_for("mbo", NEXT_DT)] == ["tomorrow.dbn"]
    assert catalogue.files_for("definition", DT) == ()
    assert {i.path.name: i.reason for i in catalogue.not_used_for(DT)} == {
        "tomorrow.dbn": f"mbo of {NEXT_DT}",
        "trades.dbn.zst": "schema trades",
        "truth.csv": "no DBN file",
        "xnas.dbn.zst": "dataset XNAS.ITCH",
    }
    assert catalogue.dates("mbo") == [DT, NEXT_DT]
    [identity] = catalogue.identity("mbo", DT)
    assert identity["name"] == "misleading.definition.bin"
    assert len(identity["sha256"]) == 64


def test_missing_data_names_what_was_found_and_the_ways_to_get_it(tmp_path: Path) -> None:
    write_dbn(tmp_path / "d.dbn", [definition()], schema="definition")
    with pytest.raises(MissingDataError) as fault:
        discover(tmp_path).require("mbo", DT)
    sentence = str(fault.value)
    for part in (str(tmp_path), "no mbo file", DT, "only definition", "Databento's DBN files", "simulate"):
        assert part in sentence
    assert fault.value.exit_code == 2
    with pytest.raises(MissingDataError, match="no such file or folder"):
        discover(tmp_path / "nowhere")
    assert discover(tmp_path / "nowhere", missing_ok=True).files == ()


def test_a_file_of_dbn_name_without_readable_header_is_refused_in_a_folder(tmp_path: Path) -> None:
    whole = write_dbn(tmp_path / "a.dbn.zst", mbo_day(30))
    (tmp_path / "b.dbn.zst").write_bytes(whole.read_bytes()[:40])
    with pytest.raises(RawDataError, match=r"b\.dbn\.zst.* move it out of"):
        discover(tmp_path)


def test_a_named_file_has_to_fit(tmp_path: Path) -> None:
    path = write_dbn(tmp_path / "day", mbo_day(30))
    assert len(discover(path).files_for("mbo", DT)) == 1
    with pytest.raises(RawDataError, match=f"holds {DT}, expected {NEXT_DT}"):
        discover(path).files_for("mbo", NEXT_DT)
    for name, options in {"schema trades": {"schema": "trades"}, "XNAS": {"dataset": "XNAS.ITCH"}}.items():
        other = write_dbn(tmp_path / "other", mbo_day(30), **options)
        with pytest.raises(RawDataError, match=name):
            discover(other)


def test_simulated_and_recorded_files_of_one_date_do_not_mix(tmp_path: Path) -> None:
    write_dbn(tmp_path / "recorded.dbn", mbo_day(30))
    write_dbn(
        tmp_path / "simulated.dbn",
        mbo_day(30, dt=NEXT_DT),
        simulated=True,
        start_ns=day_start_ns(NEXT_DT),
    )
    assert len(discover(tmp_path).files_for("mbo", DT)) == 1
    write_dbn(tmp_path / "definitions.dbn", [definition()], schema="definition", simulated=True)
    with pytest.raises(RawDataError, match=r"simulated \(definitions\.dbn\) and recorded \(recorded\.dbn\)"):
        discover(tmp_path).files_for("mbo", DT)


@pytest.mark.parametrize("cut", [1, 10, 21, 22, 150])
def test_parts_of_a_day_are_read_in_the_order_of_ts_recv_whatever_their_names(
    tmp_path: Path, cut: int
) -> None:
    day = mbo_day(300)
    write_dbn(tmp_path / "z-first", day[:cut])
    write_dbn(tmp_path / "a-second", day[cut:], compress=False, version=1)
    reader = DayReader(discover(tmp_path).files_for("mbo", DT), DT)
    assert day_records(reader).tobytes() == day.tobytes()
    assert reader.records == 300
    assert not reader.verified
    assert "a-second" in reader.reasons[0]


def test_one_file_in_two_encodings_is_refused(tmp_path: Path) -> None:
    write_dbn(tmp_path / "a.dbn.zst", mbo_day(50))
    write_dbn(tmp_path / "b.dbn", mbo_day(50), compress=False, version=1)
    with pytest.raises(RawDataError, match="begins with the same record"):
        discover(tmp_path).files_for("mbo", DT)


def test_overlapping_files_of_one_instrument_are_refused_and_of_two_instruments_not(tmp_path: Path) -> None:
    day, other = mbo_day(300), mbo_day(300, instrument_id=ESM6, seed=3)
    first, second = (
        RawFile(path, read_metadata(path))
        for path in (write_dbn(tmp_path / "a", day), write_dbn(tmp_path / "b", other))
    )
    ids = np.array([ESM6, ESH6], np.uint32)
    guard = OverlapGuard(ids)
    guard.check(DayBlock(first, day[:100], range(100)))
    guard.check(DayBlock(first, day[100:200], range(100, 200)))
    guard.check(DayBlock(second, other, range(300)))
    with pytest.raises(RawDataError, match=r"record 300 of instrument 42140878 .*they overlap"):
        guard.check(DayBlock(second, day[150:], range(300, 450)))
    guard = OverlapGuard(ids)
    guard.check(DayBlock(first, day[:10], range(10)))
    guard.check(DayBlock(second, day[10:200], range(190)))
    guard.check(DayBlock(second, day[200:], range(190, 290)))


def test_a_file_over_several_days_is_cut_by_the_utc_date_of_ts_recv(tmp_path: Path) -> None:
    first, second = mbo_day(100), mbo_day(100, dt=NEXT_DT, seed=9)
    edge = first[-1:].copy()
    edge["ts_event"] = day_start_ns(NEXT_DT) - 50
    edge["ts_recv"] = day_start_ns(NEXT_DT)
    both = np.concatenate([first, edge, second])
    path = write_dbn(tmp_path / "both", both, end_ns=day_start_ns() + 2 * DAY_NS)
    catalogue = discover(path)
    assert catalogue.dates("mbo") == [DT, NEXT_DT]
    one, two = (DayReader(catalogue.files_for("mbo", dt), dt) for dt in (DT, NEXT_DT))
    assert day_records(one).tobytes() == first.tobytes()
    assert day_records(two).tobytes() == np.concatenate([edge, second]).tobytes()
    assert (one.outside, two.outside) == (101, 100)
    positions = [p for block in two.blocks() for p in block.positions]
    assert positions == list(range(100, 201))


def test_files_that_map_none_of_the_wanted_instruments_are_left_out(tmp_path: Path) -> None:
    write_dbn(tmp_path / "futures", mbo_day(30))
    write_dbn(tmp_path / "options", mbo_day(30, instrument_id=7), mappings={"E1BF6 C6950": 7})
    write_dbn(tmp_path / "unmapped", mbo_day(30, instrument_id=8, seed=2), mappings={})
    catalogue = discover(tmp_path)
    assert len(catalogue.files_for("mbo", DT)) == 3
    chosen = catalogue.files_for("mbo", DT, instrument_ids={ESH6})
    assert sorted(f.path.name for f in chosen) == ["futures", "unmapped"]


def test_a_corrupt_day_is_refused_while_reading(tmp_path: Path) -> None:
    day = np.tile(mbo_day(100), 300)
    path = write_dbn(tmp_path / "day.dbn.zst", day)
    path.write_bytes(path.read_bytes()[:-30])
    reader = DayReader(discover(path).files_for("mbo", DT), DT)
    with pytest.raises(RawDataError, match="whole records were read before"):
        day_records(reader)


def test_the_real_sample_folder_is_understood(real_data: Path, tmp_path: Path) -> None:
    catalogue = discover(real_data)
    assert [f.path.name for f in catalogue.files_for("mbo", "2023-12-25")] == [
        "esh4-glbx-mdp3-20231225.mbo.dbn.zst"
    ]
    ignored = {i.path.name: i.reason for i in catalogue.ignored}
    assert ignored["test_data.mbo.dbz"] == "no DBN file"
    assert ignored["test_data.definition.v3.dbn.frag"] == "no DBN file"
    assert ignored["test_data.definition.v2.dbn.zst"] == "dataset XNAS.ITCH"
    assert ignored["test_data.live.dbn.zst"] == "a live capture of mixed schemas"
    assert ignored["README.md"] == "no DBN file"
    with pytest.raises(RawDataError, match="begins with the same record"):
        catalogue.files_for("mbo", "2020-12-28")
    for name in ("test_data.mbo.dbz", "test_data.definition.v3.dbn.frag"):
        with pytest.raises(RawDataError):
            discover(real_data / "dbn" / name)
    shutil.copy(real_data / "dbn" / "test_data.mbo.v3.dbn", tmp_path / "one.dbn")
    assert len(discover(tmp_path).files_for("mbo", "2020-12-28")) == 1
