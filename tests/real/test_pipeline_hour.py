"""The main job on the real hour, as a user runs it: scripts, exit codes, and the same bytes anywhere.

Two lakes are made by two processes that differ in time zone and hash seed; everything else compares them.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from data_eng.lake import Lake
from tests.engine_helpers import TABLES
from tests.naive.reference_stream import read_mbo_array
from tests.real.hour import DT, RECORDS, SYMBOL, fingerprints, run_hour

pytestmark = pytest.mark.xdist_group("real_pipeline")
"""these tests share two lakes"""

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
DAY = ("--dt", DT, "--symbol", SYMBOL)
SILVER = "silver.future_mbo"


def run_script(name: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """A script in a process of its own, from a folder that is not the repository."""
    return subprocess.run(
        [sys.executable, str(SCRIPTS / name), *map(str, arguments)],
        env=os.environ | {"NO_COLOR": "1", "COLUMNS": "200"} | environment,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def bytes_of(lake: Path) -> dict[str, str]:
    """What `diff -r` looks at: every path below the root, and the content of each file."""
    return {
        str(path.relative_to(lake)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "folder"
        for path in sorted(lake.rglob("*"))
    }


@pytest.fixture(scope="module")
def lakes(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("lakes")
    raw = real_data / "nautilus_trader"
    surroundings = ({}, {"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7"})
    for name, environment in zip(("1", "2"), surroundings, strict=True):
        done = run_script(
            "run_pipeline_2026_01_06.py",
            *DAY,
            "--raw",
            raw,
            "--lake",
            folder / name,
            "--no-gex",
            **environment,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        stages = re.findall(r"stage_end (\w+) rows=[\d,]+ secs=", done.stdout + done.stderr)
        assert "futures_surfaces" in stages
    return folder / "1", folder / "2"


def test_time_zone_and_hash_seed_change_no_byte_of_the_lake(lakes: tuple[Path, Path]) -> None:
    first, second = map(bytes_of, lakes)
    assert len(first) > 20
    assert any(name.endswith(".parquet") for name in first)
    assert first == second


def test_the_lake_holds_what_the_engine_says_of_the_dbn_buffer(
    lakes: tuple[Path, Path], real_esh4: Path
) -> None:
    """raw -> Bronze -> stage -> Parquet, against the engine on the decompressed file."""
    direct = run_hour(read_mbo_array(real_esh4))
    lake = Lake(lakes[0])
    for name in TABLES:
        stored = fingerprints(lake.iter_batches(f"{SILVER}.{name}", SYMBOL, DT))
        assert stored == direct.fingerprints[name], name
    manifests = [lake.manifest(f"{SILVER}.{name}", SYMBOL, DT) for name in TABLES]
    assert all(manifest.counters == direct.engine.counters() for manifest in manifests)
    assert len({manifest.engine_run for manifest in manifests}) == 1
    assert all(
        (manifest.origin, manifest.symbol, manifest.dt) == ("recorded", SYMBOL, DT) for manifest in manifests
    )
    assert lake.manifest("bronze.future_mbo.mbo", SYMBOL, DT).row_count == RECORDS


def test_the_integrity_script_passes_and_says_how_much_it_looked_at(lakes: tuple[Path, Path]) -> None:
    done = run_script("test_data_integrity.py", *DAY, "--lake", lakes[0])
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^PASS: ", done.stdout, re.MULTILINE)
    numbers = done.stdout.replace(",", "")
    for seen in ("7200", "3599", "47022"):
        assert seen in numbers, (
            f"{seen} (windows, valid windows, events) is not in the report:\n{done.stdout}"
        )


def test_radar_only_writes_the_radar_with_the_same_bytes_and_nothing_else(
    lakes: tuple[Path, Path], tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    shutil.copytree(lakes[0], lake)
    before, times = bytes_of(lake), _write_times(lake)
    done = run_script("run_radar_only.py", *DAY, "--lake", lake)
    assert done.returncode == 0, done.stdout + done.stderr
    assert bytes_of(lake) == before
    written = {name for name, time in _write_times(lake).items() if times.get(name) != time}
    assert written, "the radar is recomputed always"
    assert {name.split("/")[2] for name in written} == {"radar_vacuum_1s"}


def _write_times(lake: Path) -> dict[str, tuple[int, int]]:
    """(inode, mtime) of each file of a layer: a file that was replaced by its like shows here."""
    files = (path for layer in ("bronze", "silver") for path in (lake / layer).rglob("*") if path.is_file())
    return {str(path.relative_to(lake)): (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


def test_flag_table_counts_every_record_of_the_file(real_esh4: Path) -> None:
    done = run_script("debug_flags.py", "--file", real_esh4)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"68,792 records of 1 instrument\w*, 47,022 events", done.stdout)
    rows = re.findall(r"^([A-Z]) +(\d+) +([A-Z_|0-9]+) +([\d,]+)$", done.stdout, re.MULTILINE)
    rows += [
        (action, flags, "", count)
        for action, flags, count in re.findall(r"^([A-Z]) +(\d+) +([\d,]+)$", done.stdout, re.MULTILINE)
    ]
    counts = {(action, int(flags)): int(count.replace(",", "")) for action, flags, _, count in rows}
    assert counts == {
        ("A", 0): 52,
        ("A", 40): 8_725,
        ("A", 130): 20_439,
        ("C", 0): 3_623,
        ("C", 128): 1,
        ("C", 130): 14_375,
        ("F", 0): 6_371,
        ("M", 0): 26,
        ("M", 130): 12_207,
        ("T", 0): 2_973,
    }
    assert sum(counts.values()) == RECORDS
    assert "rows 0-8,724" in done.stdout
    assert "end not marked" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--dt", "2023-12-26"), 2),
        (("--symbol", "ESM9"), 2),
    ],
)
def test_a_day_or_contract_without_data_is_exit_code_2_and_one_sentence(
    lakes: tuple[Path, Path], real_data: Path, tmp_path: Path, arguments: tuple[str, str], code: int
) -> None:
    wanted = dict([DAY[:2], DAY[2:], arguments])
    done = run_script(
        "run_pipeline_2026_01_06.py",
        *(word for pair in wanted.items() for word in pair),
        "--raw",
        real_data / "nautilus_trader",
        "--lake",
        tmp_path / "lake",
        "--no-gex",
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert wanted["--dt" if "--dt" in arguments else "--symbol"] in done.stderr + done.stdout
    assert not list((tmp_path / "lake").rglob("*.parquet"))
