"""Bronze MBO is lossless and in file order, whatever the blocks; the checks say what they saw."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import databento_dbn as dbn
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from data_eng.dbn_reader import iter_mbo_blocks
from data_eng.errors import MissingDataError, RawDataError
from data_eng.instruments import Outrights
from data_eng.lake import Lake
from data_eng.mbo import MBO_DTYPE, MboColumns
from data_eng.params import RunParams
from data_eng.pipeline import run
from data_eng.raw_files import DayBlock, DayReader, RawFile, discover
from data_eng.schema import table
from data_eng.stage import SilentReporter
from data_eng.stages.bronze import definitions, future_mbo
from data_eng.stages.bronze.feed_check import FeedCheck
from data_eng.stages.bronze.future_mbo import FutureMboReport, ingest_future_mbo
from data_eng.stages.bronze.mbo_rows import to_bronze, to_dbn_records
from data_eng.units import HOUR_NS, UNDEF_PRICE
from tests.dbn_samples import (
    DT,
    ESH6,
    ESM6,
    SPREAD,
    concatenated,
    day_start_ns,
    definition,
    mbo_day,
    mbo_record,
    write_dbn,
)

STAGES = (definitions.STAGE, future_mbo.STAGE)


def ingest(
    path: Path, outrights: Outrights, dt: str = DT, *, strict: bool = False
) -> tuple[FutureMboReport, dict[str, bytes]]:
    """Run the ingest and give back the DBN bytes per contract."""
    got: dict[str, list[bytes]] = {}

    def write(symbol: str, batch: pa.RecordBatch) -> None:
        table(future_mbo.DATASET_KEY).validate(batch)
        got.setdefault(symbol, []).append(to_dbn_records(batch).tobytes())

    reader = DayReader(discover(path).files_for("mbo", dt), dt)
    report = ingest_future_mbo(reader, outrights, write, strict=strict)
    return report, {symbol: b"".join(parts) for symbol, parts in got.items()}


ONE = Outrights({ESH6: "ESH6"}, frozenset({ESH6}), "mappings")


# --------------------------------------------------------------------------------------- lossless


@given(data=hnp.arrays(np.uint8, st.integers(0, 40).map(lambda n: n * 56)))
def test_any_56_bytes_of_type_mbo_come_back_byte_for_byte(data: np.ndarray) -> None:
    records = data.copy().view(MBO_DTYPE)
    records["length"], records["rtype"] = 14, 160
    batch = to_bronze(records)
    batch.validate(full=True)
    table(future_mbo.DATASET_KEY).validate(batch)
    assert to_dbn_records(batch).tobytes() == records.tobytes()
    assert MboColumns.from_bronze(batch).action.tobytes() == records["action"].tobytes()


def test_undefined_values_and_unknown_actions_come_back(tmp_path: Path) -> None:
    top = (1 << 64) - 1
    odd = np.concatenate(
        [
            mbo_record("T", "N", UNDEF_PRICE, 2**32 - 1, top, flags=255),
            mbo_record("x", "?", -UNDEF_PRICE, 0, 0, flags=0),
            mbo_record("N", "N", UNDEF_PRICE, 0, 0),
        ]
    )
    odd["ts_event"][1] = top
    odd["ts_in_delta"] = -(2**31)
    lake, path = Lake(tmp_path / "lake"), write_dbn(tmp_path / "raw", odd)
    batch = to_bronze(odd)
    with lake.writer(future_mbo.DATASET_KEY, "ESH6", DT) as writer:
        writer.write(batch)
        writer.finish(stage="t", origin="recorded", verified=True, code_version="t")
        writer.commit()
    back = list(lake.iter_batches(future_mbo.DATASET_KEY, "ESH6", DT))
    assert b"".join(to_dbn_records(b).tobytes() for b in back) == odd.tobytes()
    assert path.exists()


def test_a_batch_does_not_share_memory_with_its_block() -> None:
    for rows in (1, 50):
        records = mbo_day(60)[-rows:]
        batch = to_bronze(records)
        before = records.tobytes()
        records["order_id"] += 1
        records["ts_recv"] += 1
        assert to_dbn_records(batch).tobytes() == before


def test_too_many_action_bytes_are_called_corrupt() -> None:
    records = np.tile(mbo_record(), 200)
    records["action"] = np.arange(200)
    with pytest.raises(RawDataError, match="different action bytes"):
        to_bronze(records)


def test_every_version_and_wrapping_gives_identical_bronze_files(tmp_path: Path) -> None:
    day = mbo_day(400)
    contents = set()
    for version in (1, 2, 3):
        for compress in (True, False):
            place = tmp_path / f"{version}-{compress}"
            path = write_dbn(place / "day", day, version=version, compress=compress)
            lake = Lake(place / "lake")
            run(lake, DT, "ESH6", RunParams(no_gex=True), raw=partial(discover, path), stages=STAGES)
            [batch] = lake.iter_batches(future_mbo.DATASET_KEY, "ESH6", DT)
            assert to_dbn_records(batch).tobytes() == day.tobytes()
            manifest = lake.manifest(future_mbo.DATASET_KEY, "ESH6", DT)
            assert manifest.verified == compress
            contents.add(tuple(file.sha256 for file in manifest.files))
    assert len(contents) == 1


# ----------------------------------------------------------------------------------------- ingest


def test_contracts_go_to_their_own_partitions_in_file_order_and_the_rest_is_counted(tmp_path: Path) -> None:
    march, june = mbo_day(300), mbo_day(150, instrument_id=ESM6, seed=2)
    spread, stranger = mbo_day(90, instrument_id=SPREAD), mbo_day(40, instrument_id=99)
    path = write_dbn(tmp_path / "raw", concatenated([march, june, spread, stranger]))
    both = Outrights({ESH6: "ESH6", ESM6: "ESM6"}, frozenset({ESH6, ESM6, SPREAD}), "definitions")
    report, got = ingest(path, both)
    assert got == {"ESH6": march.tobytes(), "ESM6": june.tobytes()}
    assert (report.other_instruments, report.unmapped) == (90, 40)
    assert report.rows == {"ESH6": 300, "ESM6": 150}
    assert report.volumes["ESH6"] == int(march["size"][march["action"] == ord("T")].sum())
    report, got = ingest(path, both.only("ESM6"))
    assert got == {"ESM6": june.tobytes()}
    assert (report.other_instruments, report.unmapped) == (390, 40)


def test_an_add_or_modify_without_price_is_refused_with_its_record_index(tmp_path: Path) -> None:
    for action in "AM":
        day = mbo_day(100)
        day["price"][70], day["action"][70] = UNDEF_PRICE, ord(action)
        path = write_dbn(tmp_path / "raw", day)
        with pytest.raises(RawDataError, match=f"record 70 is {action} of order .* UNDEF price"):
            ingest(path, ONE)
    day["action"][70] = ord("T")
    assert ingest(write_dbn(tmp_path / "raw", day), ONE)[0].rows == {"ESH6": 100}


def long_day(rows: int = 30_000) -> np.ndarray:
    """Ordered plain records, 1 ms apart."""
    day = np.tile(mbo_record(), rows)
    day["ts_event"] += np.arange(rows, dtype=np.uint64) * np.uint64(1_000_000)
    day["ts_recv"] = day["ts_event"] + np.uint64(100_000)
    day["sequence"] = np.arange(rows)
    day["order_id"] = np.arange(rows)
    return day


def test_few_records_out_of_order_are_counted_shown_and_kept_and_many_are_refused(tmp_path: Path) -> None:
    day = long_day()
    for at in (500, 25_000):
        day[[at, at + 1]] = day[[at + 1, at]]
    path = write_dbn(tmp_path / "raw", day)
    report, got = ingest(path, ONE)
    assert got["ESH6"] == day.tobytes()
    assert report.order_violations == 2
    assert [line.split()[1] for line in report.examples] == ["501", "25,001"]
    with pytest.raises(RawDataError, match=r"2 of 30,000 records .* allowed none \(--strict\)"):
        ingest(path, ONE, strict=True)
    for at in (7_000, 8_000):
        day[[at, at + 1]] = day[[at + 1, at]]
    with pytest.raises(RawDataError, match=r"4 of 30,000 records \(0\.013%\).*allowed 0\.01%"):
        ingest(write_dbn(tmp_path / "raw", day), ONE)


def test_equal_times_must_not_go_back_in_sequence_and_snapshot_records_do_not_count(tmp_path: Path) -> None:
    day = long_day()
    day["ts_event"][10] = day["ts_event"][9]
    day["sequence"][10] = 3
    day["sequence"][11] = 5
    day["flags"][20:30] |= dbn.F_SNAPSHOT
    day["ts_event"][20:30] = 0
    report, _ = ingest(write_dbn(tmp_path / "raw", day), ONE)
    assert report.order_violations == 1
    assert report.examples[0].startswith("record 10 ")


def test_clocks_that_cannot_be_right_are_late_records(tmp_path: Path) -> None:
    day = long_day()
    day["ts_event"][100] = day["ts_recv"][100] + np.uint64(1_000_000_001)
    day["ts_event"][20_000] = day_start_ns() - HOUR_NS - 1
    report, _ = ingest(write_dbn(tmp_path / "raw", day), ONE)
    assert (report.broken_clocks, report.late, report.order_violations) == (2, 2, 2)
    edge = long_day()
    edge["ts_event"][100] = edge["ts_recv"][100] + np.uint64(1_000_000_000)
    edge["ts_event"][0] = day_start_ns() - HOUR_NS
    report, _ = ingest(write_dbn(tmp_path / "raw", edge), ONE)
    assert report.broken_clocks == 0
    # the record one second ahead opens its window, so those of the second it jumped over come late
    window = edge["ts_event"].view(np.int64) // 1_000_000_000
    assert report.late == int((window < np.maximum.accumulate(window)).sum())


@given(
    cuts=st.lists(st.integers(0, 400), max_size=8),
    swaps=st.lists(st.tuples(st.integers(0, 399), st.integers(0, 399)), max_size=6),
    jumps=st.lists(st.tuples(st.integers(0, 399), st.integers(-(10**14), 10**14)), max_size=3),
    instruments=st.lists(st.sampled_from([3, 8, 9]), min_size=400, max_size=400),
    open_ends=st.lists(st.integers(0, 399), max_size=9),
)
def test_the_checks_equal_a_plain_loop_however_the_stream_is_cut(
    cuts: list[int],
    swaps: list[tuple[int, int]],
    jumps: list[tuple[int, int]],
    instruments: list[int],
    open_ends: list[int],
) -> None:
    day = long_day(400)
    day["ts_event"] = day["ts_event"][0] + (np.arange(400, dtype=np.uint64) * np.uint64(40_000_000))
    day["ts_recv"] = day["ts_event"] + np.uint64(5)
    day["instrument_id"] = instruments
    for at in open_ends:
        day["flags"][at] &= 127  # F_LAST is lost
    for a, b in swaps:
        day[[a, b]] = day[[b, a]]
    for at, jump in jumps:
        day["ts_event"][at] = int(day["ts_event"][at]) + jump
    file: Any = type("File", (), {"path": Path("f")})()

    def outcome(borders: list[int]) -> tuple[Any, ...]:
        check = FeedCheck(DT, np.array([3, 8, 9], np.uint32))
        for start, stop in zip([0, *borders], [*borders, 400], strict=True):
            if start < stop:
                check.examine(DayBlock(file, day[start:stop], range(start, stop)))
        counts = check.records, check.order_violations, check.broken_clocks, check.late, check.unended_events
        return *counts, check.examples

    whole = outcome([])
    assert outcome(sorted(cuts)) == whole
    assert whole[:5] == plain_checks(day)


def plain_checks(day: np.ndarray) -> tuple[int, int, int, int, int]:
    """Records, order violations, broken clocks, late records, unended events, one record at a time."""
    start = day_start_ns()
    last: dict[int, tuple[int, int]] = {}
    newest: dict[int, int] = {}
    open_at: dict[int, int] = {}
    back = broken = late = unended = 0
    for row in day:
        who, ts, seq = int(row["instrument_id"]), int(row["ts_event"]), int(row["sequence"])
        if row["flags"] & dbn.F_SNAPSHOT:
            continue
        back += (ts, seq) < last.get(who, (-1, 0))
        unended += who in open_at and open_at[who] != ts
        open_at.pop(who, None)
        if not row["flags"] & 128:
            open_at[who] = ts
        last[who] = (ts, seq)
        if ts > int(row["ts_recv"]) + 10**9 or not start - HOUR_NS <= ts < start + 25 * HOUR_NS:
            broken += 1
            late += 1
            continue
        late += ts // 10**9 < newest.get(who, 0)
        newest[who] = max(newest.get(who, 0), ts // 10**9)
    return len(day), back, broken, late, unended


# ------------------------------------------------------------------------------------------ stage


def test_the_stage_writes_the_contract_and_says_without_definitions(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    write_dbn(raw / "day", mbo_day(200), simulated=True)
    lake, reporter = Lake(tmp_path / "lake"), SilentReporter()
    run(lake, DT, "ESH6", RunParams(no_gex=True), raw=lambda: discover(raw), stages=STAGES, report=reporter)
    manifest = lake.manifest(future_mbo.DATASET_KEY, "ESH6", DT)
    assert manifest.row_count == 200
    assert (manifest.origin, manifest.verified) == ("simulated", True)
    assert list(manifest.warnings) == ["no_definitions"]
    assert reporter.warnings == ["no_definitions"]
    with pytest.raises(MissingDataError, match="definition"):
        run(lake, DT, "ESH6", RunParams(), raw=lambda: discover(raw), stages=STAGES)
    with pytest.raises(RawDataError, match="ESZ6 is not in it on 2026-01-06; mappings name ESH6"):
        run(lake, DT, "ESZ6", RunParams(no_gex=True), raw=lambda: discover(raw), stages=STAGES)


def test_definitions_name_the_contract_where_the_header_maps_nothing(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    write_dbn(raw / "day", mbo_day(200), mappings={})
    write_dbn(raw / "definitions", [definition()], schema="definition")
    lake = Lake(tmp_path / "lake")
    result = run(lake, DT, "ESH6", RunParams(), raw=lambda: discover(raw), stages=STAGES)
    assert [s.ran for s in result.stages] == [True, True]
    assert list(lake.manifest(future_mbo.DATASET_KEY, "ESH6", DT).warnings) == []
    again = run(lake, DT, "ESH6", RunParams(), raw=lambda: discover(raw), stages=STAGES)
    assert [s.reason for s in again.stages] == ["fresh", "fresh"]


def test_a_date_that_the_header_promises_but_the_file_lacks_is_missing_data(tmp_path: Path) -> None:
    path = write_dbn(tmp_path / "day", mbo_day(50), end_ns=day_start_ns() + 2 * 24 * HOUR_NS)
    with pytest.raises(MissingDataError, match="none of ESH6 received on 2026-01-07"):
        run(
            Lake(tmp_path / "lake"),
            "2026-01-07",
            "ESH6",
            RunParams(no_gex=True),
            raw=lambda: discover(path),
            stages=STAGES,
        )


def test_overlapping_files_leave_no_partition(tmp_path: Path) -> None:
    day, raw = mbo_day(300), tmp_path / "raw"
    write_dbn(raw / "a", day[:200])
    write_dbn(raw / "b", day[150:])
    lake = Lake(tmp_path / "lake")
    with pytest.raises(RawDataError, match="they overlap"):
        run(lake, DT, "ESH6", RunParams(no_gex=True), raw=lambda: discover(raw), stages=STAGES)
    assert not lake.has(future_mbo.DATASET_KEY, "ESH6", DT)


def test_the_real_hour_is_kept_byte_for_byte_with_no_order_violation(real_esh4: Path) -> None:
    source = b"".join(block.tobytes() for block in iter_mbo_blocks(real_esh4))
    outrights = Outrights({17077: "ESH4"}, frozenset({17077}), "mappings")
    report, got = ingest(real_esh4, outrights, "2023-12-25")
    assert got["ESH4"] == source
    assert (report.order_violations, report.broken_clocks, report.late) == (0, 0, 0)
    assert report.unended_events == 0
    assert report.rows == {"ESH4": 68_792}
    assert report.volumes["ESH4"] == 9_848 + 44
    reader = DayReader((RawFile(real_esh4, discover(real_esh4).files[0].metadata),), "2023-12-25")
    check = FeedCheck("2023-12-25", np.array([17077], np.uint32))
    for block in reader.blocks():
        check.examine(block)
    assert check.plain == 60_067
