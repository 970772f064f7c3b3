"""Input that cannot work, through the real command line: one sentence, exit code 2 or 1, nothing changed.

Every sentence says what was found and where, what was wanted, and a way out; each word below is one of those.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import databento_dbn as dbn
import pytest

from data_eng.units import UNDEF_PRICE
from tests.dbn_samples import DT, compressed, definition, header_bytes, mbo_record, status, write_dbn
from tests.hostility.days import SYMBOL, day_job, tiny_records, write_raw
from tests.hostility.lakes import leftovers, partition_hashes
from tests.hostility.runner import Answer, Runner

MBO_FOLDER = Path("bronze/future_mbo/mbo") / f"symbol={SYMBOL}" / f"dt={DT}"


@dataclass
class Case:
    """A lake that holds the day, and what the user has at hand."""

    runner: Runner
    folder: Path
    raw: Path
    lake: Path

    def run(self, raw: Path | None = None, *more: str, dt: str = DT, verb: str = "run") -> Answer:
        """The day job with other input."""
        at = ["--raw", str(raw)] if raw else []
        return self.runner.run([verb, "--dt", dt, "--lake", str(self.lake), *at, "--no-gex", *more])


@pytest.fixture(scope="module")
def finished(runner: Runner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the raw files and the finished lake of the day."""
    folder = tmp_path_factory.mktemp("finished")
    raw = write_raw(folder / "raw")
    assert runner.run(day_job(raw, folder / "lake")).code == 0
    return folder


@pytest.fixture
def case(runner: Runner, finished: Path, tmp_path: Path) -> Case:
    """A copy of it to work on."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return Case(runner, tmp_path, tmp_path / "raw", tmp_path / "lake")


@contextmanager
def unchanged(lake: Path) -> Iterator[None]:
    """The lake has the same partitions before and after, and nothing is left in staging."""
    before = partition_hashes(lake)
    assert before
    yield
    assert partition_hashes(lake) == before
    assert leftovers(lake) == []


def assert_told(answer: Answer, code: int, *words: str | Path) -> None:
    """One sentence on standard error with all the words, and that exit code."""
    assert answer.code == code, answer
    for word in words:
        assert str(word) in answer.sentence
    assert len(answer.sentence) < 1_500, "a sentence, not a page"


def test_missing_raw_file(case: Case) -> None:
    with unchanged(case.lake):
        answer = case.run(case.folder / "nowhere.dbn.zst", "--symbol", SYMBOL)
    assert_told(answer, 2, case.folder / "nowhere.dbn.zst", "no such file", "put Databento's DBN files")


def test_folder_without_dbn_files(case: Case) -> None:
    empty = case.folder / "empty"
    empty.mkdir()
    (empty / "notes.txt").write_text("no market data")
    with unchanged(case.lake):
        answer = case.run(empty, "--symbol", "ESM6")
    assert_told(answer, 2, empty, "no mbo file", DT, "notes.txt", "put Databento's DBN files")


@pytest.mark.parametrize("dataset", ["XNAS.ITCH", "OPRA.PILLAR"])
def test_wrong_dataset(case: Case, dataset: str) -> None:
    wrong = write_dbn(case.folder / "wrong.dbn.zst", tiny_records(), dataset=dataset)
    with unchanged(case.lake):
        answer = case.run(wrong, "--symbol", SYMBOL)
    assert_told(answer, 2, wrong, dataset, "GLBX.MDP3", "name another file")


def test_wrong_schema(case: Case) -> None:
    wrong = write_dbn(case.folder / "wrong.dbn.zst", b"", schema="trades")
    with unchanged(case.lake):
        answer = case.run(wrong, "--symbol", SYMBOL)
    assert_told(answer, 2, wrong, "schema trades", "mbo", "name another file")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dbn/test_data.definition.v3.dbn.zst", ("XNAS.ITCH", "GLBX.MDP3")),
        ("dbn/test_data.mbo.dbz", ("retired", "DBN")),
        ("dbn/test_data.definition.v3.dbn.frag", ("fragment", "header")),
        ("dbn/test_data.mbp-10.v3.dbn.zst", ("mbp-10", "GLBX.MDP3")),
        ("databento-python/test_data.trades.dbn.zst", ("trades", "GLBX.MDP3")),
        ("nautilus_trader/esh4-glbx-mdp3-20231225.mbo.dbn.zst", ("2023-12-25", DT, "--dt")),
    ],
)
def test_real_file_that_does_not_fit(case: Case, real_data: Path, name: str, words: tuple[str, ...]) -> None:
    with unchanged(case.lake):
        answer = case.run(real_data / name, "--symbol", SYMBOL)
    assert_told(answer, 2, real_data / name, *words)


def test_cut_file(case: Case) -> None:
    file = write_dbn(case.raw / "mbo.dbn.zst", tiny_records(0, 6_000))
    file.write_bytes(file.read_bytes()[:-100])
    with unchanged(case.lake):
        answer = case.run(case.raw)
    assert_told(answer, 2, file, "whole records were read", "fetch the file again")


def test_corrupted_file(case: Case) -> None:
    file = case.raw / "mbo.dbn.zst"
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2] ^= 0x10
    file.write_bytes(damaged)
    with unchanged(case.lake):
        answer = case.run(case.raw)
    assert_told(answer, 2, file, "corrupt", "fetch the file again")


def test_file_that_its_manifest_does_not_know(case: Case) -> None:
    file = write_dbn(case.raw / "mbo.dbn.zst", tiny_records(1))
    listing = {"files": [{"filename": "mbo.dbn.zst", "hash": "sha256:" + 64 * "0"}]}
    (case.raw / "manifest.json").write_text(str(listing).replace("'", '"'))
    with unchanged(case.lake):
        answer = case.run(case.raw)
    assert_told(answer, 2, file, "sha256", "expected 0000", "fetch the file again")


def test_bomb(case: Case) -> None:
    bomb = case.folder / "bomb.dbn.zst"
    bomb.write_bytes(compressed(header_bytes() + tiny_records(0, 30).tobytes() + bytes(256 << 20)))
    with unchanged(case.lake):
        answer = case.run(bomb, "--symbol", SYMBOL)
    assert_told(answer, 2, bomb, "fetch")
    assert answer.secs < 60


def test_packed_records_beyond_the_cap(case: Case) -> None:
    one = mbo_record().tobytes()
    bomb = case.folder / "bomb.dbn.zst"
    bomb.write_bytes(compressed(header_bytes() + one * (96 << 20 >> 6)))
    with unchanged(case.lake):
        answer = case.run(bomb, "--symbol", SYMBOL)
    assert_told(answer, 2, bomb, "expand", "bomb")


def test_symbol_that_is_not_in_the_file(case: Case) -> None:
    before = partition_hashes(case.lake)
    answer = case.run(case.raw, "--symbol", "ESZ9")
    assert_told(answer, 2, "ESZ9", "mbo.dbn.zst", SYMBOL, "--symbol")
    now = partition_hashes(case.lake)
    assert before.items() <= now.items()
    # --no-gex goes on without a definition, and says so; no market data was made of it
    assert all(name.startswith("bronze/shared/") for name in now.keys() - before.keys())


@pytest.mark.parametrize("symbol", ["../../etc", "es h6", ""])
def test_symbol_that_is_no_symbol(case: Case, symbol: str) -> None:
    with unchanged(case.lake):
        answer = case.run(case.raw, "--symbol", symbol)
    assert_told(answer, 2, "symbol")


def test_date_without_data(case: Case) -> None:
    with unchanged(case.lake):
        answer = case.run(case.raw, "--symbol", SYMBOL, dt="2026-01-07")
    assert_told(answer, 2, "2026-01-07", "2026-01-06", case.raw, "put Databento's DBN files")


@pytest.mark.parametrize("dt", ["2026-02-30", "06.01.2026", "tomorrow"])
def test_date_that_is_no_date(case: Case, dt: str) -> None:
    with unchanged(case.lake):
        answer = case.run(case.raw, "--symbol", SYMBOL, dt=dt)
    assert_told(answer, 2, dt, "YYYY-MM-DD")


def test_file_of_another_day_under_this_name(case: Case) -> None:
    write_dbn(case.raw / "mbo.dbn.zst", _shifted_by_a_day())
    with unchanged(case.lake):
        answer = case.run(case.raw, "--symbol", SYMBOL)
    assert_told(answer, 2, "mbo.dbn.zst", "none of", DT)


def _shifted_by_a_day() -> object:
    records = tiny_records()
    for name in ("ts_event", "ts_recv"):
        records[name] += 86_400 * 1_000_000_000
    return records


@pytest.mark.parametrize("action", ["A", "M"])
def test_undefined_price(case: Case, action: str) -> None:
    records = tiny_records()
    at = next(i for i in range(30, len(records)) if chr(records["action"][i]) == action)
    records["price"][at] = UNDEF_PRICE
    write_dbn(case.raw / "mbo.dbn.zst", records)
    with unchanged(case.lake):
        answer = case.run(case.raw)
    assert_told(answer, 2, "mbo.dbn.zst", f"record {at}", "UNDEF price", "expected a price")


def test_records_in_disorder(case: Case) -> None:
    records = tiny_records()
    records[50:60] = records[50:60][::-1].copy()
    write_dbn(case.raw / "mbo.dbn.zst", records)
    with unchanged(case.lake):
        answer = case.run(case.raw)
    assert_told(answer, 2, "mbo.dbn.zst", "out of (ts_event, sequence) order", "allowed 0.01%", "record 5")


def test_one_file_in_two_encodings(case: Case) -> None:
    write_dbn(case.raw / "again.dbn", tiny_records(), compress=False)
    with unchanged(case.lake):
        answer = case.run(case.raw)
    assert_told(answer, 2, "again.dbn", "mbo.dbn.zst", "keep one")


def test_simulated_beside_recorded(case: Case) -> None:
    write_dbn(
        case.raw / "status.dbn.zst", [status(dbn.StatusAction.TRADING, 1)], schema="status", simulated=True
    )
    with unchanged(case.lake):
        answer = case.run(case.raw)
    assert_told(answer, 2, "simulated", "recorded", "different folders")


def test_simulated_day_never_replaces_a_recorded_one(case: Case) -> None:
    simulated = case.folder / "simulated"
    write_dbn(simulated / "mbo.dbn.zst", tiny_records(1), simulated=True)
    write_dbn(simulated / "definition.dbn.zst", [definition()], schema="definition", simulated=True)
    with unchanged(case.lake):
        answer = case.run(simulated, "--force")
    assert_told(answer, 1, "simulated data never replace", "--lake")


def test_definitions_that_do_not_fit_the_records(case: Case) -> None:
    write_dbn(case.raw / "definition.dbn.zst", [definition(SYMBOL, 4711)], schema="definition")
    lake = case.folder / "new"
    answer = case.runner.run([*day_job(case.raw, lake), "--symbol", SYMBOL])
    assert_told(answer, 2, "mbo.dbn.zst", "map no instrument 4711", "fetch both again")


def test_missing_definitions(case: Case) -> None:
    (case.raw / "definition.dbn.zst").unlink()
    job = ["run", "--dt", DT, "--symbol", SYMBOL, "--raw", str(case.raw), "--lake", str(case.folder / "new")]
    answer = case.runner.run(job)
    assert answer.code == 2
    assert "--no-gex" in answer.sentence


def test_lake_that_is_a_file(case: Case) -> None:
    case.lake = case.folder / "file"
    case.lake.write_text("in the way")
    answer = case.run(case.raw)
    assert_told(answer, 1, "a file stands where a folder belongs", case.lake, "name a folder as --lake")
    assert case.lake.read_text() == "in the way"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere; the read-only mount below covers it")
def test_unwritable_lake(case: Case) -> None:
    write_raw(case.raw, 1)
    case.lake.chmod(0o500)
    with unchanged(case.lake):
        answer = case.run(case.raw)
    case.lake.chmod(0o700)
    assert_told(answer, 1, "the lake cannot be written", case.lake, "make that folder writable")


def test_lake_on_a_read_only_disk(case: Case) -> None:
    import subprocess

    def mount(*words: str) -> bool:
        return subprocess.run(["mount", *words], capture_output=True, check=False).returncode == 0

    if not mount("--bind", str(case.lake), str(case.lake)):
        pytest.skip(reason="mounting is not permitted here")
    try:
        assert mount("-o", "remount,ro,bind", str(case.lake))
        write_raw(case.raw, 1)
        with unchanged(case.lake):
            answer = case.run(case.raw)
    finally:
        subprocess.run(["umount", "--lazy", str(case.lake)], check=True)
    assert_told(
        answer, 1, "the lake cannot be written", "Read-only", case.lake, "give the same command again"
    )


def test_partition_that_another_process_is_writing(case: Case) -> None:
    write_raw(case.raw, 1)
    locks = case.lake / "_staging" / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / "~".join(MBO_FOLDER.parts)).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = partition_hashes(case.lake)[MBO_FOLDER.as_posix()]
        answer = case.run(case.raw)
        assert partition_hashes(case.lake)[MBO_FOLDER.as_posix()] == before
    assert_told(answer, 1, "another process is writing", MBO_FOLDER, "wait until it has ended")
    assert case.run(case.raw).code == 0


@pytest.mark.parametrize("damage", ["manifest gone", "manifest cut", "file gone", "file cut", "bit flipped"])
def test_damaged_partition(case: Case, damage: str) -> None:
    folder = case.lake / MBO_FOLDER
    (part,) = folder.glob("*.parquet")
    if damage == "bit flipped":
        data = bytearray(part.read_bytes())
        data[200] ^= 1
        part.write_bytes(data)
    else:
        victim = folder / "_manifest.json" if damage.startswith("manifest") else part
        victim.write_bytes(victim.read_bytes()[:-3])
        if damage.endswith("gone"):
            victim.unlink()
    before = partition_hashes(case.lake)
    forced = ["--symbol", SYMBOL, "--only", "futures_surfaces", "--force"]
    answer = case.run(None, *forced)
    code = 2 if damage == "manifest gone" else 1
    if answer.code == 2 and damage != "manifest gone":
        code = 2  # the planner sees that there is no whole input, and says which command builds it
    assert_told(answer, code, "bronze.future_mbo.mbo", case.lake, "spymaster")
    assert partition_hashes(case.lake) == before
    assert case.run(case.raw, *(["--force"] if damage == "bit flipped" else [])).code == 0, "the cure works"


@pytest.mark.parametrize("verb", ["verify all", "verify data", "inspect flags"])
def test_day_that_is_not_in_the_lake(case: Case, verb: str) -> None:
    words = verb.split()
    with unchanged(case.lake):
        answer = case.runner.run([*words, "--dt", "2026-01-07", "--symbol", SYMBOL, "--lake", str(case.lake)])
    assert answer.code == 2
    assert "2026-01-07" in answer.sentence
