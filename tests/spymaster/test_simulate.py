"""`spymaster simulate`: same bytes for the same seed, and one sentence for what cannot be done."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from tests.dbn_samples import DT, mbo_day, write_dbn
from tests.spymaster.conftest import Command


def hashes(folder: Path) -> dict[str, str]:
    """Relative path -> sha256 of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    spymaster: Command, tmp_path: Path
) -> None:
    for name, seed in (("one", 7), ("two", 7), ("three", 8)):
        line = ("--dt", DT, "--preset", "tiny", "--seed", seed, "--out", tmp_path / name)
        answer = spymaster("simulate", *line)
        assert answer.code == 0
    one, two, three = (hashes(tmp_path / name) for name in ("one", "two", "three"))
    assert one == two
    assert {name for name in one if one[name] == three.get(name)} <= {"simex-20260106.definition.dbn.zst"}
    assert len([name for name in one if name.endswith(".dbn.zst")]) == 4


def test_it_says_what_it_wrote_and_that_it_is_simulated(spymaster: Command, tmp_path: Path) -> None:
    answer = spymaster("simulate", "--no-options", "--out", tmp_path, "--json")
    document = json.loads(answer.out)
    assert document["meta"]["origin"] == "SIMULATED"
    assert all(Path(name).is_file() for name in document["files"])
    assert "100 %" in answer.err


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("--preset huge", "huge"),
        ("--dt 2026-01-10", "no full session"),
        ("--dt 2026-01-19", "no full session"),
        ("--dt 2025-12-25", "no full session"),
        ("--dt 2026-02-30", "not a date"),
        ("--dt 2027-01-06", "ESH6 leads"),
        ("--layout ancient", "ancient"),
        ("--dbn-version 2", "2"),
        ("--start 23:59:30", "earlier start"),
        ("--start noon", "noon"),
        ("--seed -1", "-1"),
        ("--rate-factor 0", "rate factor"),
        ("--with angels", "angels"),
        ("--faults gremlins", "gremlins"),
    ],
)
def test_what_cannot_be_simulated_is_one_sentence_and_nothing_is_written(
    line: str, reason: str, spymaster: Command, tmp_path: Path
) -> None:
    answer = spymaster("simulate", *line.split(), "--out", tmp_path / "out")
    assert (answer.code, answer.err.count("\n"), answer.out) == (2, 1, "")
    assert answer.err.startswith("spymaster: ")
    assert reason in answer.err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_a_day_already_is_left_alone_without_force(
    spymaster: Command, tmp_path: Path
) -> None:
    assert spymaster("simulate", "--no-options", "--out", tmp_path).code == 0
    before = hashes(tmp_path)
    refused = spymaster("simulate", "--no-options", "--seed", 8, "--out", tmp_path)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "--force" in refused.err
    assert hashes(tmp_path) == before
    assert spymaster("simulate", "--no-options", "--seed", 8, "--out", tmp_path, "--force").code == 0
    assert hashes(tmp_path) != before


@pytest.mark.parametrize("name", ["simex-20260106.mbo.dbn.zst", "truth/dt=2026-01-06/truth_book_1s.parquet"])
def test_files_that_simex_did_not_write_are_never_replaced(
    name: str, spymaster: Command, tmp_path: Path
) -> None:
    write_dbn(tmp_path / name, mbo_day())
    before = hashes(tmp_path)
    for force in ((), ("--force",)):
        answer = spymaster("simulate", "--no-options", "--out", tmp_path, *force)
        assert (answer.code, answer.err.count("\n")) == (2, 1)
        assert Path(name).name in answer.err
        assert hashes(tmp_path) == before


def test_a_foreign_file_beside_a_simulated_day_survives_force(spymaster: Command, tmp_path: Path) -> None:
    assert spymaster("simulate", "--no-options", "--out", tmp_path).code == 0
    theirs = write_dbn(tmp_path / "real.mbo.dbn.zst", mbo_day())
    before = theirs.read_bytes()
    assert spymaster("simulate", "--no-options", "--seed", 8, "--out", tmp_path, "--force").code == 0
    assert theirs.read_bytes() == before


def test_a_file_or_nothing_writable_in_the_place_of_the_folder_is_one_sentence(
    spymaster: Command, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "deeper", Path("/proc/nowhere")):
        answer = spymaster("simulate", "--no-options", "--out", out)
        assert (answer.code, answer.err.count("\n")) == (2, 1)
        assert str(out) in answer.err
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the full device of Linux")
def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    spymaster: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain_open = Path.open

    def full(self: Path, mode: str = "r", *args: object, **options: object) -> object:
        if "w" in mode and self.name.endswith(".dbn.zst"):
            return plain_open(Path("/dev/full"), mode, *args, **options)  # type: ignore[call-overload]  # passes all on
        return plain_open(self, mode, *args, **options)  # type: ignore[call-overload]  # passes all on

    monkeypatch.setattr(Path, "open", full)
    answer = spymaster("simulate", "--no-options", "--out", tmp_path / "out" / "deeper")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert f": {os.strerror(28)}; " in answer.err
    assert list(tmp_path.iterdir()) == [], "not even the folders that were made for it"


def test_a_folder_that_may_not_be_looked_into_is_one_sentence(
    spymaster: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed" / "out"

    plain_exists = Path.exists

    def exists(self: Path) -> bool:
        if self == closed:
            raise PermissionError(13, os.strerror(13), str(self))
        return plain_exists(self)

    monkeypatch.setattr(Path, "exists", exists)
    answer = spymaster("simulate", "--no-options", "--out", closed)
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert f": {os.strerror(13)}; " in answer.err
