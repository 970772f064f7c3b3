"""The door: what can be written, read, refused and found."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from data_eng.errors import LakeError, MissingDataError, SchemaError, UsageError
from data_eng.lake import Lake, Manifest
from tests.data_eng.lake_tables import (
    DAY,
    DT,
    FIELDS,
    FREE,
    NARROW,
    PLACE,
    RECORDS,
    SECOND,
    WIDE,
    leftovers,
    narrow_rows,
    open_lake,
    put,
    tree,
    wide_rows,
)

NARROW_PLACE = (NARROW.dataset, "ESH6", DT)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake")


def part_file(lake: Lake) -> Path:
    return next(lake.partition_dir(*PLACE).glob("*.parquet"))


def test_partition_reads_back_as_written(lake: Lake) -> None:
    rows = wide_rows(1)
    manifest = put(lake, rows)
    assert lake.has(*PLACE)
    assert lake.manifest(*PLACE) == manifest
    assert lake.read(*PLACE, verify=True).equals(rows)
    assert lake.read(*PLACE).schema.equals(WIDE.arrow_schema, check_metadata=True)
    assert leftovers(lake) == []


def test_folder_holds_content_named_file_and_sorted_manifest(lake: Lake) -> None:
    manifest = put(lake, wide_rows(1))
    folder = lake.partition_dir(*PLACE)
    assert folder == lake.root / "silver/future_mbo/levels/symbol=ESH6" / f"dt={DT}"
    (entry,) = manifest.files
    assert sorted(path.name for path in folder.iterdir()) == sorted(["_manifest.json", entry.name])
    assert entry.name == f"part-{entry.sha256[:16]}.parquet"
    text = (folder / "_manifest.json").read_text()
    assert text == json.dumps(json.loads(text), sort_keys=True, indent=2, ensure_ascii=False) + "\n"
    assert (entry.min_window_end_ts_ns, entry.max_window_end_ts_ns) == (DAY + SECOND, DAY + 700 * SECOND)
    assert entry.size == (folder / entry.name).stat().st_size


def test_batches_are_row_groups_of_300_windows_on_the_epoch_grid(lake: Lake) -> None:
    put(lake, wide_rows(1, windows=700, first=120))
    windows = [len(set(b.column(0).to_pylist())) for b in lake.iter_batches(*PLACE)]
    ends = [b.column(0)[0].as_py() // SECOND % 300 for b in lake.iter_batches(*PLACE)]
    assert windows == [179, 300, 221]  # first window_end is 121 s past a border
    assert ends == [121, 0, 0]
    assert all(b.schema.equals(WIDE.arrow_schema) for b in lake.iter_batches(*PLACE))


def test_columns_come_in_the_order_asked_and_unknown_ones_are_refused(lake: Lake) -> None:
    put(lake, wide_rows(1))
    assert lake.read(*PLACE, columns=["qty", "side"]).schema.names == ["qty", "side"]
    (batch, *_) = lake.iter_batches(*PLACE, columns=["side", "window_end_ts_ns"])
    assert batch.schema.names == ["side", "window_end_ts_ns"]
    with pytest.raises(UsageError, match=r"no columns \['depth'\]"):
        lake.read(*PLACE, columns=["depth"])


def test_window_range_reads_the_half_open_interval(lake: Lake) -> None:
    put(lake, wide_rows(1))
    part = lake.read_windows(*PLACE, DAY + 299 * SECOND, DAY + 302 * SECOND, columns=["qty"])
    assert part.num_rows == 3 * 6
    assert part.schema.names == ["qty"]
    assert lake.read_windows(*PLACE, DAY + 900 * SECOND, DAY + 901 * SECOND).num_rows == 0


@pytest.mark.parametrize("table", [WIDE, RECORDS, NARROW, FREE], ids=lambda t: t.name)
def test_empty_partition_is_legal_and_keeps_its_schema(lake: Lake, table: Any) -> None:
    place = (table.dataset, "ESH6", DT)
    manifest = put(lake, table.empty(), place)
    assert manifest.row_count == 0
    assert len(manifest.files) == 1
    assert lake.read(*place).schema.equals(table.arrow_schema)
    assert list(lake.iter_batches(*place)) == []


def test_absent_partition_names_the_command_that_builds_it(lake: Lake) -> None:
    assert not lake.has(*PLACE)
    with pytest.raises(
        MissingDataError, match=rf"spymaster run --dt {DT} --symbol ESH6 --raw FOLDER_OF_DBN_FILES"
    ):
        lake.read(*PLACE)
    assert not lake.root.exists(), "asking must not create anything"


def test_folder_without_manifest_is_no_partition(lake: Lake) -> None:
    put(lake, wide_rows(1))
    (lake.partition_dir(*PLACE) / "_manifest.json").unlink()
    assert not lake.has(*PLACE)
    assert lake.partitions() == []
    with pytest.raises(MissingDataError):
        lake.manifest(*PLACE)
    put(lake, wide_rows(2))
    assert lake.read(*PLACE)["qty"][0].as_py() == 2


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _edit(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda f: part_of(f).unlink(), "no such file"),
        (lambda f: _truncate(part_of(f)), r"found \d+ bytes, wanted \d+"),
        (lambda f: _truncate(f / "_manifest.json"), "canonical"),
        (lambda f: (f / "_manifest.json").write_bytes(b""), "not JSON"),
        (lambda f: (f / "_manifest.json").write_bytes(b"[]\n"), "expected an object"),
        (lambda f: _edit(f / "_manifest.json", '"verified": true', '"verified": 1'), "verified is 1"),
        (lambda f: _edit(f / "_manifest.json", '"stage"', '"stages"'), "missing .*stage"),
        (lambda f: _edit(f / "_manifest.json", "ESH6", "ESM6"), "manifest of"),
        (lambda f: _edit(f / "_manifest.json", '"name": "part-', '"name": "../part-'), "leaves"),
        (lambda f: _edit(f / "_manifest.json", WIDE.schema_hash, "0" * 16), "another schema"),
    ],
)
def test_damage_is_refused_with_what_where_and_cure(lake: Lake, damage: Any, told: str) -> None:
    put(lake, wide_rows(1))
    damage(lake.partition_dir(*PLACE))
    assert not lake.has(*PLACE)
    with pytest.raises(
        LakeError, match=rf"(?s){told}.*spymaster run --dt {DT} --symbol ESH6 --only levels --force"
    ) as info:
        lake.read(*PLACE)
    assert str(lake.partition_dir(*PLACE)) in str(info.value)
    assert [f.kind for f in lake.doctor() if f.kind != "unexpected"] == ["damaged"]


def part_of(folder: Path) -> Path:
    return next(folder.glob("*.parquet"))


def test_one_flipped_bit_in_a_page_never_reads_as_data(lake: Lake) -> None:
    put(lake, wide_rows(1))
    path = part_file(lake)
    original = path.read_bytes()
    for at in range(4, len(original), len(original) // 40):
        flipped = bytearray(original)
        flipped[at] ^= 0x10
        path.write_bytes(flipped)
        with pytest.raises(LakeError, match="sha256"):
            lake.read(*PLACE, verify=True)
        try:
            unverified = lake.read(*PLACE)
        except LakeError:
            continue
        assert unverified.equals(wide_rows(1)), f"byte {at} changed the rows unnoticed"
    assert any("sha256" in f.text for f in lake.doctor())
    assert lake.doctor(verify=False) == []


def test_writer_refuses_rows_against_the_declaration_and_leaves_nothing(lake: Lake) -> None:
    rows = wide_rows(1)
    wrong = rows.set_column(3, "qty", pa.array([-1] * rows.num_rows, pa.int32()))
    with pytest.raises(SchemaError, match=r"levels .*qty"), lake.writer(*PLACE) as writer:
        writer.write(wrong)
    assert leftovers(lake) == []
    assert not lake.has(*PLACE)


def test_key_must_increase_across_batches(lake: Lake) -> None:
    rows = wide_rows(1, windows=4)
    with lake.writer(*PLACE) as writer:
        writer.write(rows.slice(0, 9))
        with pytest.raises(SchemaError, match="between two batches"):
            writer.write(rows.slice(8))


def test_key_of_a_free_order_table_must_be_unique_across_batches(lake: Lake) -> None:
    rows = pa.table([["b", "a"], [1.0, 2.0]], schema=FREE.arrow_schema)
    with lake.writer(FREE.dataset, "ESH6", DT) as writer:
        writer.write(rows)
        writer.write(rows.slice(1))
        with pytest.raises(SchemaError, match="repeats in 1 rows"):
            writer.finish(**FIELDS)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_leaving_the_block_early_removes_staging_and_unlocks(lake: Lake, error: type[BaseException]) -> None:
    put(lake, wide_rows(1))
    before = tree(lake.root)

    def leave() -> None:
        with lake.writer(*PLACE) as writer:
            writer.write(wide_rows(2))
            raise error

    with pytest.raises(error):
        leave()
    with lake.writer(*PLACE) as writer:
        writer.write(wide_rows(2))
        writer.finish(**FIELDS)  # finished, not committed
    assert tree(lake.root) == before
    assert leftovers(lake) == []


def test_forgotten_writer_frees_its_partition(lake: Lake) -> None:
    writer = lake.writer(*PLACE)
    writer.write(wide_rows(1))
    del writer
    assert leftovers(lake) == []
    put(lake, wide_rows(2))


def test_forked_child_that_ends_does_not_remove_the_parents_staging(lake: Lake) -> None:
    with lake.writer(*PLACE) as writer:
        writer.write(wide_rows(1))
        pid = os.fork()
        if pid == 0:
            writer.abort()  # what leaving the block in the child does
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        writer.finish(**FIELDS)
        writer.commit()
    assert lake.read(*PLACE, verify=True).equals(wide_rows(1))


def test_second_writer_in_one_process_is_refused_too(lake: Lake) -> None:
    with lake.writer(*PLACE), pytest.raises(LakeError, match="another process is writing"):
        lake.writer(*PLACE)


def test_order_of_calls_is_checked(lake: Lake) -> None:
    with lake.writer(*PLACE) as writer, pytest.raises(LakeError, match="call finish"):
        writer.commit()
    with lake.writer(*PLACE) as writer:
        writer.finish(**FIELDS)
        with pytest.raises(LakeError, match="is finished"):
            writer.write(wide_rows(1))
        writer.commit()
        with pytest.raises(LakeError, match="committed or aborted"):
            writer.commit()


@pytest.mark.parametrize(
    "fields",
    [
        {"origin": "guessed"},
        {"counters": {"records": 1.5}},
        {"params": {"rate": float("nan")}},
        {"inputs": [{"dataset": "x"}]},
        {"calibration": {"dt": DT}},
        {"stage": None},
    ],
)
def test_malformed_manifest_field_is_refused(lake: Lake, fields: dict[str, Any]) -> None:
    with pytest.raises(LakeError, match="manifest of"), lake.writer(*PLACE) as writer:
        writer.finish(**{**FIELDS, **fields})
    assert leftovers(lake) == []


def test_manifest_is_the_same_for_any_order_of_inputs_and_survives_its_own_json(lake: Lake) -> None:
    one = {"dataset": "a.b.c", "symbol": "ESH6", "dt": DT, "manifest_sha256": "1" * 64}
    raw = {"name": "x.dbn.zst", "sha256": "2" * 64}
    first = put(lake, wide_rows(1), inputs=[one, raw], params={"bands": (1, 2)}, warnings=["w"])
    again = put(lake, wide_rows(1), inputs=[raw, one], params={"bands": [1, 2]}, warnings=["w"])
    assert first.sha256 == again.sha256
    assert Manifest.from_bytes(first.canonical_bytes) == first


def test_lookahead_follows_the_calibration_date(lake: Lake) -> None:
    calibration = {"dt": DT, "sha256": "3" * 64}
    assert put(lake, wide_rows(1), calibration=calibration).lookahead is True
    assert put(lake, wide_rows(1), calibration={**calibration, "dt": "2026-01-05"}).lookahead is False
    assert put(lake, wide_rows(1)).lookahead is None


def test_simulated_never_replaces_recorded_even_when_the_manifest_is_damaged(lake: Lake) -> None:
    put(lake, wide_rows(1))
    before = tree(lake.partition_dir(*PLACE))
    with pytest.raises(LakeError, match="simulated data never replace it"):
        put(lake, wide_rows(2), origin="simulated")
    assert tree(lake.partition_dir(*PLACE)) == before
    assert leftovers(lake) == []
    (lake.partition_dir(*PLACE) / "_manifest.json").write_text("{")
    with pytest.raises(LakeError, match="simulated data never replace it"):
        put(lake, wide_rows(2), origin="simulated")


def test_recorded_replaces_simulated_and_simulated_replaces_simulated(lake: Lake) -> None:
    put(lake, wide_rows(1), origin="simulated")
    put(lake, wide_rows(2), origin="simulated")
    put(lake, wide_rows(3))
    assert lake.read(*PLACE)["qty"][0].as_py() == 3


def _put_both(lake: Lake, version: int, runs: tuple[str, str]) -> None:
    with lake.writer(*PLACE) as wide, lake.writer(*NARROW_PLACE) as narrow:
        wide.write(wide_rows(version))
        narrow.write(narrow_rows())
        wide.finish(**FIELDS, engine_run=runs[0])
        narrow.finish(**FIELDS, engine_run=runs[1])
        lake.commit_together([wide, narrow])


def test_tables_of_one_pass_are_committed_together_or_not_at_all(lake: Lake) -> None:
    _put_both(lake, 1, ("run1", "run1"))
    assert lake.require_same_run([PLACE, NARROW_PLACE]) == "run1"
    before = tree(lake.root)
    with pytest.raises(LakeError, match="different engine passes"):
        _put_both(lake, 2, ("run2", "run3"))
    assert tree(lake.root) == before


def test_tables_of_two_passes_side_by_side_are_refused_with_the_cure(lake: Lake) -> None:
    _put_both(lake, 1, ("run1", "run1"))
    put(lake, wide_rows(2), engine_run="run2")
    with pytest.raises(LakeError, match=r"different engine passes.*spymaster run --dt") as info:
        lake.require_same_run([PLACE, NARROW_PLACE])
    assert "run1" in str(info.value)
    assert "run2" in str(info.value)
    assert [f.kind for f in lake.doctor()] == ["mixed_run"]
    put(lake, wide_rows(2))
    put(lake, narrow_rows(), NARROW_PLACE)
    with pytest.raises(LakeError, match="none"):
        lake.require_same_run([PLACE, NARROW_PLACE])


def test_partitions_lists_what_is_committed(lake: Lake) -> None:
    put(lake, narrow_rows(), (NARROW.dataset, "ESH6", "2026-01-07"))
    put(lake, wide_rows(1))
    found = lake.partitions()
    assert [(p.dataset, p.symbol, p.dt) for p in found] == [PLACE, (NARROW.dataset, "ESH6", "2026-01-07")]
    assert found[0].rows == 4200
    assert found[0].size == part_file(lake).stat().st_size


def test_delete_removes_one_partition_and_nothing_else(lake: Lake) -> None:
    put(lake, wide_rows(1))
    put(lake, narrow_rows(), NARROW_PLACE)
    (lake.root / "raw").mkdir()
    (lake.root / "raw" / "day.dbn.zst").write_bytes(b"raw")
    lake.delete(*PLACE)
    lake.delete(*PLACE)
    assert not lake.partition_dir(*PLACE).exists()
    assert lake.has(*NARROW_PLACE)
    assert (lake.root / "raw" / "day.dbn.zst").read_bytes() == b"raw"
    assert leftovers(lake) == []


def test_delete_of_a_partition_being_written_is_refused(lake: Lake) -> None:
    put(lake, wide_rows(1))
    with lake.writer(*PLACE), pytest.raises(LakeError, match="another process is writing"):
        lake.delete(*PLACE)
    assert lake.has(*PLACE)


@pytest.mark.parametrize("place", ["raw.x.y", "silver.x", "silver..x", "silver.a.../b", "_staging.a.b"])
def test_names_that_leave_the_layers_are_refused(lake: Lake, place: str) -> None:
    with pytest.raises(UsageError, match="expected <layer>"):
        lake.partition_dir(place, "ESH6", DT)


@pytest.mark.parametrize(("symbol", "dt"), [("../x", DT), ("", DT), ("ESH6", "2026-02-30"), ("ESH6", "..")])
def test_bad_symbols_and_dates_are_refused(lake: Lake, symbol: str, dt: str) -> None:
    with pytest.raises(UsageError):
        lake.partition_dir(WIDE.dataset, symbol, dt)


def test_unknown_table_names_the_near_one(lake: Lake) -> None:
    with pytest.raises(UsageError, match="levels"):
        lake.read("level", "ESH6", DT)
    assert put(lake, wide_rows(1), ("levels", "ESH6", DT)).dataset == WIDE.dataset


def test_doctor_of_a_healthy_lake_finds_nothing(lake: Lake) -> None:
    put(lake, wide_rows(1))
    put(lake, narrow_rows(), NARROW_PLACE)
    assert lake.doctor() == []


def test_doctor_names_orphans_strangers_and_replaced_inputs(lake: Lake) -> None:
    manifest = put(lake, wide_rows(1))
    record = dict(zip(("dataset", "symbol", "dt"), PLACE, strict=True), manifest_sha256=manifest.sha256)
    put(lake, narrow_rows(), NARROW_PLACE, inputs=[record])
    assert lake.doctor() == []
    put(lake, wide_rows(2))
    folder = lake.partition_dir(*PLACE)
    shutil.copy(part_of(folder), folder / "copy.parquet")
    (lake.root / "silver/future_mbo/snap/symbol=ESH6/dt=2026-01-08").mkdir()
    (lake.root / "silver/old/gone/symbol=ESH6" / f"dt={DT}").mkdir(parents=True)
    kinds = sorted(f.kind for f in lake.doctor())
    assert kinds == ["orphaned", "orphaned", "stale_input", "unexpected"]
    assert all(f.cure for f in lake.doctor())


def test_root_below_a_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LakeError, match="a file stands where a folder belongs"):
        put(open_lake(tmp_path / "file" / "lake"), wide_rows(1))


def test_unwritable_root_is_one_clear_error_and_stays_readable(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    put(open_lake(root), wide_rows(1))
    shutil.rmtree(root / "_staging")
    root.chmod(0o555)
    tmp_path.chmod(0o755)
    report, answer = os.pipe()
    pid = os.fork()
    if pid == 0:  # as an ordinary user, also where the tests run as root
        text = b"no error"
        try:
            if os.getuid() == 0:
                os.chdir(root)
                os.setresuid(65534, 65534, 65534)
                root = Path()
            assert open_lake(root).has(*PLACE), "a read-only lake must be readable"
            open_lake(root).writer(*PLACE)
        except LakeError as exc:
            text = str(exc).encode()
        except BaseException as exc:  # noqa: BLE001 - a forked child must report and never unwind into pytest
            text = repr(exc).encode()
        finally:
            os.write(answer, text)
            os._exit(0)
    os.waitpid(pid, 0)
    root.chmod(0o755)
    assert "the lake cannot be written (Permission denied)" in os.read(report, 4096).decode()


def test_rebuild_command_names_the_lake_and_never_a_root_as_contract(tmp_path: Path) -> None:
    selection = "bronze.shared.mbo_contract_day_selection"
    assert (
        Lake(Path("lake"))
        .rebuild_command(*PLACE)
        .startswith(f"spymaster run --dt {DT} --symbol ESH6 --only ")
    )
    assert Lake(tmp_path).rebuild_command(*PLACE).endswith(f"--lake {tmp_path}")
    raw = "--raw FOLDER_OF_DBN_FILES"
    assert Lake(Path("lake")).rebuild_command(selection, "ES", DT) == f"spymaster ingest --dt {DT} {raw}"
