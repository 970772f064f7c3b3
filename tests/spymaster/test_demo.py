"""`spymaster demo`: from nothing to a picture, told honestly, and never beside anybody's own data."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

import spymaster as package
from data_eng.lake import Lake
from data_eng.pipeline import STAGES
from serving.client import Client
from spymaster import demo as verb
from tests.dbn_samples import DT, definition, mbo_day, write_dbn
from tests.spymaster.conftest import Command

pytestmark = pytest.mark.xdist_group("demo")
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """(lake of a finished demo of two minutes, what it said)."""
    lake = tmp_path_factory.mktemp("demo") / "lake"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "spymaster.cli",
            "demo",
            "--preset",
            "tiny",
            "--no-serve",
            "--lake",
            str(lake),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return lake, done.stdout


def test_a_demo_makes_every_table_checks_it_and_paints(kept: tuple[Path, str]) -> None:
    lake, said = kept
    held = {partition.dataset for partition in Lake(lake).partitions()}
    by_stages = {name for stage in STAGES for name in stage.outputs}
    assert by_stages - held == {"bronze.shared.status"}, "status messages are not simulated by default"
    assert (lake / "radar.png").read_bytes().startswith(PNG)
    assert f"picture: {lake / 'radar.png'}" in said
    assert said.count("claims about") == 3
    assert "do NOT hold" not in said


def test_the_story_says_simulated_first_and_has_a_line_for_every_question(kept: tuple[Path, str]) -> None:
    _, said = kept
    story = said.split("\n\n")[1].splitlines()
    assert story[0].startswith("SIMULATED: ESH6 2026-01-06, 09:29:00 to 09:31:00 New York")
    words = [line.split()[0] for line in story[1:]]
    assert words[:4] == ["price", "volume", "touch", "flow"]
    assert {"wall", "vacuum", "scores", "seconds"} <= set(words)
    assert len(story) <= 18
    assert "seconds  120 of 120 valid" in story


def test_every_partition_of_a_demo_says_that_it_is_simulated(kept: tuple[Path, str]) -> None:
    lake = Lake(kept[0])
    origins = {lake.manifest(p.dataset, p.symbol, p.dt).origin for p in lake.partitions()}
    assert origins == {"simulated"}


def test_a_second_demo_in_the_same_lake_finds_everything_fresh(
    kept: tuple[Path, str], spymaster: Command
) -> None:
    answer = spymaster("demo", "--preset", "tiny", "--no-serve", "--lake", kept[0], "--json")
    assert answer.code == 0
    assert "stage_skip futures_surfaces fresh" in answer.err
    document = json.loads(answer.out)
    assert (document["origin"], document["passed"]) == ("simulated", True)
    assert document["summary"]["windows"] == 120
    assert document["summary"]["buy_qty"] > 0


def test_a_temporary_lake_is_gone_afterwards_and_the_picture_stays(
    spymaster: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    answer = spymaster("demo", "--preset", "tiny", "--no-serve", "--json")
    picture = Path(json.loads(answer.out)["picture"])
    assert (answer.code, json.loads(answer.out)["lake"]) == (0, None)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [picture]
    assert picture.read_bytes().startswith(PNG)


def test_at_its_end_a_demo_serves_what_it_made_until_it_is_stopped(kept: tuple[Path, str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "spymaster.cli", "demo", "--preset", "tiny", "--lake", str(kept[0])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = next(line for line in process.stdout if line.startswith("the radar: ")).split()[2]
        with Client(url) as client:
            (day,) = client.catalog()["days"]
            assert (day["origin"], day["windows"]) == ("simulated", 120)
            assert client.bootstrap().num_rows == 120
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()


def test_without_matplotlib_the_story_is_told_and_the_reason_given(
    kept: tuple[Path, str], spymaster: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "spymaster.radar_picture", raising=False)
    monkeypatch.delattr(package, "radar_picture", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    answer = spymaster("demo", "--preset", "tiny", "--no-serve", "--lake", kept[0])
    assert answer.code == 0
    assert "no picture: a picture needs matplotlib" in answer.out
    assert "SIMULATED: ESH6" in answer.out


def test_the_options_are_played_and_their_gamma_is_checked(kept: tuple[Path, str]) -> None:
    lake, said = Lake(kept[0]), kept[1]
    gex = lake.read("silver.future_option_mbo.gex_surface_1s", "ESH6", verb.DEFAULT_DT, columns=["gex_abs"])
    assert gex["gex_abs"].to_numpy().max() > 0
    assert "checked: gex," in said


def refused(spymaster: Command, lake: Path) -> str:
    answer = spymaster("demo", "--preset", "tiny", "--no-serve", "--lake", lake)
    assert answer.code == 2
    assert answer.err.count("\n") == 1
    assert answer.err.startswith("spymaster: --lake")
    assert answer.out == "", "refused before any work"
    return answer.err


def test_a_folder_with_other_things_in_it_is_refused_and_left_alone(
    spymaster: Command, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert "'notes.txt'" in refused(spymaster, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_lake_with_recorded_data_is_refused_and_left_alone(
    spymaster: Command, tmp_path: Path, raw_folder: Path
) -> None:
    lake = tmp_path / "lake"
    assert spymaster("ingest", "--no-gex", "--symbol", "ESH6", "--raw", raw_folder, "--lake", lake).code == 0
    before = {path: path.stat().st_mtime_ns for path in lake.rglob("*") if path.is_file()}
    assert "recorded" in refused(spymaster, lake)
    assert {path: path.stat().st_mtime_ns for path in lake.rglob("*") if path.is_file()} == before


def test_dbn_files_of_others_in_the_place_of_the_simulated_ones_are_refused(
    spymaster: Command, tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    theirs = write_dbn(lake / "sim" / "simex-20260106.mbo.dbn.zst", mbo_day(dt=DT))
    write_dbn(lake / "sim" / "definition.dbn.zst", [definition(dt=DT)], schema="definition")
    before = theirs.read_bytes()
    answer = spymaster("demo", "--preset", "tiny", "--no-serve", "--lake", lake)
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "no truth_meta.json of simex lists it" in answer.err
    assert theirs.read_bytes() == before


def test_a_file_in_the_place_of_the_lake_is_refused(spymaster: Command, tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("a file")
    assert "is a file, expected a folder" in refused(spymaster, tmp_path / "lake")
    assert "cannot be written" in refused(spymaster, tmp_path / "lake" / "deeper")


@pytest.mark.skipif(os.name != "posix", reason="SIGINT to a process group")
def test_ctrl_c_ends_with_one_sentence_and_no_process_and_no_lake_left(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "spymaster.cli", "demo", "--no-serve"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # also below nohup
        # an empty cache: the interrupt comes while kernels are compiled
        env={**os.environ, "TMPDIR": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "kernels")},
    )
    assert child.stdout is not None
    for line in child.stdout:
        if "stage_start simulate" in line:
            break
    time.sleep(1.0)
    os.killpg(child.pid, signal.SIGINT)
    _, complaint = child.communicate(timeout=120)
    assert child.returncode == 1
    assert complaint == "spymaster: interrupted\n"
    assert list(tmp_path.glob("spymaster-demo-*")) == []
    with pytest.raises(ProcessLookupError):
        os.killpg(child.pid, 0)
