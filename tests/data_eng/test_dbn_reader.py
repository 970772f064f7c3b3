"""DBN files: every version and wrapping gives the same records, and no damage passes unseen."""

from __future__ import annotations

import hashlib
import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import databento_dbn as dbn
import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from data_eng.background import prefetch
from data_eng.dbn_reader import (
    BLOCK_BYTES,
    Limits,
    ReadTally,
    iter_mbo_blocks,
    iter_record_blocks,
    read_ahead,
    read_metadata,
    record_dtype,
    sha256_of,
    verify,
)
from data_eng.errors import MissingDataError, RawDataError, SpymasterError
from data_eng.mbo import MBO_DTYPE
from tests.dbn_samples import (
    ESH6,
    compressed,
    day_start_ns,
    definition,
    header_bytes,
    mbo_day,
    record_bytes,
    statistic,
    status,
    write_dbn,
)


def read_all(path: Path, **options: Any) -> np.ndarray:
    blocks = [block.copy() for block in iter_mbo_blocks(path, **options)]
    return np.concatenate(blocks) if blocks else np.zeros(0, MBO_DTYPE)


def read_and_verify(path: Path) -> tuple[np.ndarray, bool]:
    tally = ReadTally()
    records = read_all(path, tally=tally)
    return records, verify(path, tally, sha256_of(path)).verified


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("compress", [True, False])
def test_every_version_and_wrapping_gives_the_same_records(
    tmp_path: Path, version: int, compress: bool
) -> None:
    day = mbo_day(120)
    path = write_dbn(tmp_path / "day", day, version=version, compress=compress)
    metadata = read_metadata(path)
    assert (metadata.version, metadata.compressed) == (version, compress)
    assert read_all(path).tobytes() == day.tobytes()


def test_metadata_says_what_the_vendor_decoder_says(tmp_path: Path) -> None:
    path = write_dbn(tmp_path / "day", mbo_day(30), simulated=True, compress=False)
    ours, theirs = read_metadata(path), dbn.Metadata.decode(path.read_bytes())
    assert (ours.dataset, ours.schema, ours.start_ns, ours.end_ns) == (
        theirs.dataset,
        theirs.schema,
        theirs.start,
        theirs.end,
    )
    assert ours.simulated
    assert ours.origin == "simulated"
    [interval] = ours.mappings["ESH6"]
    assert interval.instrument_id == ESH6
    assert ours.symbols_on(interval.start_date) == {ESH6: "ESH6"}
    assert ours.symbols_on(interval.end_date) == {}


def test_blocks_are_whole_aligned_records_and_reused_buffers_hold_until_promised(tmp_path: Path) -> None:
    rows = BLOCK_BYTES // 56
    day = np.tile(mbo_day(100), rows * 3 // 100 + 7)
    path = write_dbn(tmp_path / "day", day)
    for buffers in (1, 2, 4):
        held: list[tuple[np.ndarray, bytes]] = []
        for block in iter_mbo_blocks(path, buffers=buffers):
            assert block.ctypes.data % 8 == 0
            held.append((block, block.tobytes()))
            for kept, content in held[-buffers:]:
                assert kept.tobytes() == content
        assert [len(block) for block, _ in held] == [rows] * 3 + [len(day) - 3 * rows]
    own = list(iter_mbo_blocks(path, copy=True))
    assert np.concatenate(own).tobytes() == day.tobytes()


def test_other_record_types_are_skipped_and_counted(tmp_path: Path) -> None:
    day = mbo_day(60)
    other = bytes(status(dbn.StatusAction.TRADING, day_start_ns()))
    bodies = [day[:1].tobytes(), other, other, day[1:40].tobytes(), other, day[40:].tobytes(), other]
    unheard_of = bytes([5, 251]) + bytes(18)
    path = write_dbn(tmp_path / "day", b"".join([*bodies, unheard_of]))
    tally = ReadTally()
    assert read_all(path, tally=tally).tobytes() == day.tobytes()
    assert tally.skipped == {int(dbn.RType.STATUS): 4, 251: 1}
    assert tally.records == len(day)


@given(data=st.data())
def test_any_mixture_across_block_borders_keeps_the_wanted_records(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    day = np.tile(mbo_day(50), 400)
    others = [
        bytes(status(dbn.StatusAction.HALT, day_start_ns())),
        bytes(statistic(5, instrument_id=1)),
        bytes(definition()),
    ]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(day)), max_size=6)))
    parts, at = [], 0
    for cut in cuts:
        parts += [day[at:cut].tobytes(), data.draw(st.sampled_from(others))]
        at = cut
    path = write_dbn(
        tmp_path_factory.mktemp("mixed") / "day", b"".join([*parts, day[at:].tobytes()]), compress=False
    )
    tally = ReadTally()
    assert read_all(path, tally=tally).tobytes() == day.tobytes()
    assert tally.skipped_records == len(cuts)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_definitions_and_statistics_decode_as_the_vendor_does(tmp_path: Path, version: int) -> None:
    rows = {
        "definition": [
            definition(),
            definition("E1BF6 C6950", 7, instrument_class="C", underlying="ESH6", strike_price=6950 * 10**9),
        ],
        "statistics": [statistic(55, instrument_id=7), statistic(56, instrument_id=8)],
        "status": [status(dbn.StatusAction.TRADING, day_start_ns())],
    }
    for schema, records in rows.items():
        path = write_dbn(tmp_path / schema, records, schema=schema, version=version, compress=False)
        decoder = dbn.DBNDecoder()
        decoder.write(path.read_bytes())
        theirs = decoder.decode()[1:]
        ours = np.concatenate([b.copy() for b in iter_record_blocks(path, schema)])
        assert ours.dtype == record_dtype(schema, version)
        assert len(ours) == len(theirs)
        for one, record in zip(ours, theirs, strict=True):
            assert int(one["ts_recv"]) == record.ts_recv
            assert int(one["instrument_id"]) == record.instrument_id
            if schema == "definition":
                assert one["raw_symbol"].decode() == record.raw_symbol
                assert int(one["strike_price"]) == record.strike_price
                assert one["underlying"].decode() == record.underlying
                assert int(one["expiration"]) == record.expiration
            if schema == "statistics":
                assert int(one["quantity"]) == record.quantity


# ------------------------------------------------------------------------------------------ damage


@pytest.mark.parametrize(("compress", "checksum"), [(True, True), (True, False), (False, False)])
def test_a_cut_at_any_byte_is_refused_or_called_unverified(
    tmp_path: Path, compress: bool, checksum: bool
) -> None:
    day = mbo_day(24)
    whole = write_dbn(tmp_path / "whole", day, compress=compress, checksum=checksum).read_bytes()
    cut = tmp_path / "cut"
    refused: list[str] = []
    for length in range(len(whole)):
        cut.write_bytes(whole[:length])
        try:
            records, verified = read_and_verify(cut)
        except RawDataError as fault:
            refused.append(str(fault))
            continue
        assert not verified, f"cut at {length} of {len(whole)} passed as verified"
        assert records.tobytes() == day[: len(records)].tobytes()
    assert len(refused) >= len(whole) - len(day) - 1
    assert all(str(cut) in sentence for sentence in refused)


def test_a_cut_behind_the_header_frame_of_databento_is_not_called_verified(tmp_path: Path) -> None:
    header, body = compressed(header_bytes()), compressed(mbo_day(30).tobytes())
    path = tmp_path / "day.dbn.zst"
    path.write_bytes(header + body)
    assert read_and_verify(path)[1]
    path.write_bytes(header)
    records, verified = read_and_verify(path)
    assert (len(records), verified) == (0, False)
    path.write_bytes(header + body + body)
    records, verified = read_and_verify(path)
    assert (len(records), verified) == (60, False)


def test_the_message_of_a_cut_file_counts_the_whole_records_before_it(tmp_path: Path) -> None:
    day = mbo_day(100)
    plain = header_bytes() + day.tobytes()
    path = tmp_path / "day.dbn"
    path.write_bytes(plain[: -56 * 3 - 20])
    with pytest.raises(RawDataError, match=r"ends 36 bytes into a record.* 96 whole mbo records"):
        read_all(path)
    noise = day.copy()
    noise["order_id"] = np.random.default_rng(1).integers(0, 1 << 62, len(day))
    big = np.tile(noise, 400)
    big["order_id"] += np.arange(len(big), dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15 >> 3)
    path.write_bytes(compressed(header_bytes() + big.tobytes())[:-40_000])
    with pytest.raises(RawDataError, match="ends before its zstd frame does") as fault:
        read_all(path)
    count = int(str(fault.value).split(" whole records")[0].split()[-1].replace(",", ""))
    assert 0 < count < len(big)


def test_flipped_bytes_of_a_checksummed_file_never_pass_as_the_same_verified_data(tmp_path: Path) -> None:
    day = mbo_day(40)
    whole = bytearray(write_dbn(tmp_path / "whole", day).read_bytes())
    path, rng = tmp_path / "flipped", random.Random(3)
    for at in range(len(whole)):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << rng.randrange(8)
        path.write_bytes(flipped)
        try:
            records, verified = read_and_verify(path)
        except SpymasterError:
            continue
        assert records.tobytes() == day.tobytes() or not verified, f"byte {at}"


def test_flipped_bytes_of_an_uncompressed_file_give_a_sentence_or_records_but_no_crash(
    tmp_path: Path,
) -> None:
    whole = write_dbn(tmp_path / "whole", mbo_day(24), compress=False).read_bytes()
    path, rng, sentences = tmp_path / "flipped", random.Random(5), []
    for at in range(len(whole)):
        flipped = bytearray(whole)
        flipped[at] = rng.randrange(256)
        path.write_bytes(flipped)
        try:
            _, verified = read_and_verify(path)
        except SpymasterError as fault:
            sentences.append(str(fault))
            continue
        assert not verified
    assert sentences
    assert not any("\n" in sentence for sentence in sentences)


def test_a_bomb_is_stopped_at_the_cap(tmp_path: Path) -> None:
    path = tmp_path / "bomb.dbn.zst"
    compressor = zstandard.ZstdCompressor(level=3).compressobj()
    row = mbo_day(24)[-1:].tobytes()
    parts = [compressor.compress(header_bytes())]
    parts += [compressor.compress(row * 18_724) for _ in range(80)]
    path.write_bytes(b"".join([*parts, compressor.flush()]))
    assert path.stat().st_size < 200_000
    tally = ReadTally()
    with pytest.raises(RawDataError, match="compressed bytes expand to more than 67,108,864"):
        read_all_and_forget(path, tally)
    assert tally.output_bytes <= (64 << 20) + (1 << 17)


def read_all_and_forget(path: Path, tally: ReadTally) -> None:
    for _ in iter_mbo_blocks(path, tally=tally):
        pass


def test_the_cap_follows_both_rules() -> None:
    limits = Limits()
    assert limits.output_cap(1_000) == 64 << 20
    assert limits.output_cap(1_000_000) == 200_000_000
    assert limits.output_cap(100_000_000) == 4 << 30
    assert limits.output_cap(1_000_000_000) == 32_000_000_000


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "the file is empty"),
        (b"DB", "ends inside its DBN header"),
        (b"DBN\x03\x00\x00", "ends inside its DBN header"),
        (b"DBN\x09" + (200).to_bytes(4, "little") + bytes(200), "DBN version 9, expected 1 to 3"),
        (b"DBN\x03\xff\xff\xff\xff", "claims 4,294,967,295 bytes of metadata"),
        (b"DBN\x03" + (300).to_bytes(4, "little") + bytes(10), "290 of 300 bytes are missing"),
        (b"ts_event,price\n1,2\n", "is no DBN file"),
        (b"\x50\x2a\x4d\x18" + bytes(50), "retired DBZ form"),
        (mbo_day(24).tobytes(), r"begins with a record of type 160 instead of DBN metadata \(a fragment\)"),
        (compressed(mbo_day(24).tobytes()), "a fragment"),
        (b"\x28\xb5\x2f\xfd" + bytes(8), "DBN header"),
    ],
)
def test_what_is_no_dbn_file_is_refused_with_one_sentence(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    path = tmp_path / "strange"
    path.write_bytes(content)
    with pytest.raises(RawDataError, match=sentence) as fault:
        read_metadata(path)
    assert str(path) in str(fault.value)
    assert "\n" not in str(fault.value)
    assert fault.value.exit_code == 2


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="no such file"):
        read_metadata(tmp_path / "nowhere.dbn")
    with pytest.raises(RawDataError, match="is a folder"):
        read_metadata(tmp_path)


def test_foreign_dataset_schema_and_ts_out_are_refused(tmp_path: Path) -> None:
    day = mbo_day(24)
    foreign = write_dbn(tmp_path / "xnas", day, dataset="XNAS.ITCH")
    with pytest.raises(RawDataError, match=r"dataset XNAS\.ITCH, expected GLBX\.MDP3"):
        read_all(foreign)
    trades = write_dbn(tmp_path / "trades", day, schema="trades")
    with pytest.raises(RawDataError, match="schema trades, expected mbo"):
        read_all(trades)
    late = tmp_path / "ts_out"
    late.write_bytes(header_bytes(ts_out=True) + day.tobytes())
    with pytest.raises(RawDataError, match="ts_out"):
        read_all(late)


def test_impossible_record_lengths_are_refused(tmp_path: Path) -> None:
    day = mbo_day(60)
    for at, length, rtype in ((30, 0, 160), (30, 15, 160), (10, 2, 18), (12, 3, 250)):
        broken = day.copy()
        broken["length"][at], broken["rtype"][at] = length, rtype
        path = write_dbn(tmp_path / f"{length}-{rtype}", broken)
        with pytest.raises(RawDataError, match=f"{at} whole records were read before"):
            read_all(path)


def test_manifest_json_verifies_or_refuses(tmp_path: Path) -> None:
    path = write_dbn(tmp_path / "day.dbn", mbo_day(30), compress=False)
    assert not read_and_verify(path)[1]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    listing = tmp_path / "manifest.json"
    listing.write_text(json.dumps({"files": [{"filename": "day.dbn", "hash": f"sha256:{digest}"}]}))
    assert read_and_verify(path)[1]
    listing.write_text(json.dumps({"files": [{"filename": "day.dbn", "hash": "sha256:" + "0" * 64}]}))
    with pytest.raises(RawDataError, match=r"manifest\.json"):
        read_and_verify(path)
    for other in ("[]", "not json", json.dumps({"files": [{"filename": "other", "hash": "sha256:1"}]})):
        listing.write_text(other)
        assert not read_and_verify(path)[1]


# -------------------------------------------------------------------------------------- read-ahead


def test_read_ahead_gives_the_same_records_and_tally(tmp_path: Path) -> None:
    day = np.tile(mbo_day(100), 2000)
    path = write_dbn(tmp_path / "day", day)
    tally = ReadTally()
    digest = hashlib.sha256()
    for block in read_ahead(path, tally=tally):
        digest.update(block.tobytes())
    assert digest.digest() == hashlib.sha256(day.tobytes()).digest()
    assert tally.records == len(day)


def test_prefetch_carries_the_exception_over_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise RawDataError("broken")

    ahead = prefetch(items())
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(RawDataError, match="broken"):
        next(ahead)


def test_closing_a_prefetch_stops_its_thread_and_closes_the_source() -> None:
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            n = 0
            while True:
                yield n
                n += 1
        finally:
            closed.set()

    ahead = prefetch(endless(), depth=2)
    assert next(ahead) == 0
    ahead.close()
    assert closed.is_set()
    assert not [t for t in threading.enumerate() if t.name == "dbn-prefetch"]


# ------------------------------------------------------------------------------------- real files


def test_real_hour_has_the_reference_counts(real_esh4: Path) -> None:
    records, verified = read_and_verify(real_esh4)
    assert verified
    assert len(records) == 68_792
    plain = records[records["flags"] & dbn.F_SNAPSHOT == 0]
    counts = {chr(a): int(n) for a, n in zip(*np.unique(plain["action"], return_counts=True), strict=True)}
    assert counts == {"A": 20_491, "C": 17_999, "M": 12_233, "F": 6_371, "T": 2_973}
    assert len(records) - len(plain) == 8_725


def test_real_samples_of_all_versions_hold_the_same_records(real_data: Path) -> None:
    names = ("mbo.dbn", "mbo.v1.dbn.zst", "mbo.v2.dbn.zst", "mbo.v3.dbn", "mbo.v3.dbn.zst")
    bodies = {read_all(real_data / "dbn" / f"test_data.{name}").tobytes() for name in names}
    assert len(bodies) == 1
    assert len(bodies.pop()) == 2 * 56


def test_real_live_capture_gives_its_mbo_records_and_counts_the_rest(real_data: Path) -> None:
    path = real_data / "databento-python" / "test_data.live.dbn.zst"
    assert read_metadata(path).schema is None
    tally = ReadTally()
    records = read_all(path, tally=tally)
    decoder = dbn.DBNDecoder(compression=dbn.Compression.ZSTD)
    decoder.write(path.read_bytes())
    theirs = [bytes(r) for r in decoder.decode()[1:] if isinstance(r, dbn.MBOMsg)]
    assert records.tobytes() == b"".join(theirs)
    assert tally.records + tally.skipped_records == 46


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("test_data.mbo.dbz", "retired DBZ form"),
        ("test_data.definition.v3.dbn.frag", "a fragment"),
        ("test_data.definition.v1.dbn.zst", r"dataset XNAS\.ITCH"),
        ("test_data.definition.v3.dbn.zst", r"dataset XNAS\.ITCH"),
        ("test_data.trades.v3.dbn.zst", "schema trades, expected definition"),
    ],
)
def test_real_misfits_are_refused(real_data: Path, name: str, sentence: str) -> None:
    with pytest.raises(RawDataError, match=sentence):
        list(iter_record_blocks(real_data / "dbn" / name, "definition"))


def test_samples_in_old_layouts_are_what_the_vendor_upgrades(tmp_path: Path) -> None:
    new = record_bytes([definition()], "definition", 3)
    for version in (1, 2):
        path = write_dbn(tmp_path / "d", [definition()], schema="definition", version=version, compress=False)
        decoder = dbn.DBNDecoder()
        decoder.write(path.read_bytes())
        upgraded = decoder.decode()[1]
        assert upgraded.raw_symbol == "ESH6"
        assert len(bytes(upgraded)) == len(new)
