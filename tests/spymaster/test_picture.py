"""`spymaster picture`: a PNG from a lake, or one clear sentence."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import spymaster as package
from data_eng.lake import Lake
from tests.data_eng.integrity import tables
from tests.spymaster.conftest import Command

pytest.importorskip("matplotlib", reason="the picture is an extra: spymaster[picture]")

CALIBRATION = "gold.hud.physics_norm_calibration"
AT = ("--dt", tables.DT, "--symbol", tables.SYMBOL)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with the HUD's table and its calibration of one minute."""
    root = tmp_path_factory.mktemp("lake")
    opened = Lake(root)
    held = tables.physics_lake().tables
    used = None
    for dataset in (CALIBRATION, tables.HUD):
        with opened.writer(dataset, tables.SYMBOL, tables.DT) as writer:
            writer.write(held[dataset])
            writer.finish(stage="test", origin="recorded", verified=True, code_version="0", calibration=used)
            writer.commit()
        manifest = opened.manifest(dataset, tables.SYMBOL, tables.DT)
        used = {"dt": tables.DT, "sha256": manifest.files[0].sha256}
    return root


@pytest.fixture(scope="module")
def start() -> str:
    """HH:MM of the minute in which the sample begins."""
    first_s = tables.T0 // 10**9
    return f"{first_s // 3600 % 24:02d}:{first_s // 60 % 60:02d}"


def test_a_picture_is_written_twice_with_the_same_bytes(
    spymaster: Command, lake: Path, start: str, tmp_path: Path
) -> None:
    out = tmp_path / "radar.png"
    line = ("picture", *AT, "--lake", lake, "--start", start, "--minutes", 5, "--out", out, "--json")
    first = spymaster(*line)
    assert first.code == 0, first.err
    facts = json.loads(first.out)
    once = out.read_bytes()
    assert once[:8] == b"\x89PNG\r\n\x1a\n"
    assert facts["bytes"] == len(once) > 50_000
    assert facts["windows"] == 60
    assert facts["lookahead"] is True
    assert facts["calibration_id"].startswith(f"{tables.DT}/")
    assert spymaster(*line).code == 0
    assert out.read_bytes() == once


def test_the_answer_says_how_much_of_the_asked_time_there_is(
    spymaster: Command, lake: Path, start: str, tmp_path: Path
) -> None:
    answer = spymaster(
        "picture", *AT, "--lake", lake, "--start", start, "--minutes", 2, "--out", tmp_path / "r.png"
    )
    assert "60 windows of 120 asked for" in answer.out


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"--minutes": "0"}, "--minutes is 0, expected more than 0"),
        ({"--minutes": "-3"}, "--minutes is -3, expected more than 0"),
        ({"--minutes": "nan"}, "--minutes is nan"),
        ({"--minutes": "1e9"}, "at most 1440"),
        ({"--ticks": "0"}, "--ticks is 0, expected 1 to"),
        ({"--ticks": "601"}, "--ticks is 601"),
        ({"--start": "9:30"}, "--start is '9:30', expected HH:MM"),
        ({"--start": "25:00"}, "no time within the UTC day"),
        ({"--start": "09:30@Mars/Base"}, "no time within the UTC day"),
        ({"--start": "03:00"}, "no window begins in the 600 s from --start on; gold.hud.hud_surface_1s of"),
        ({"--out": "radar.jpg"}, "expected a file that ends with .png"),
        ({"--out": "absent/radar.png"}, "is no folder; create it first"),
        ({"--out": "folder.png"}, "which is a folder"),
        ({"--dt": "2026-01-07"}, "build it: spymaster run"),
        ({"--dt": "2026-02-30"}, "2026-02-30"),
        ({"--symbol": "ESM6"}, "build it: spymaster run"),
    ],
)
def test_a_request_that_cannot_be_met_is_one_sentence_with_exit_code_2(
    spymaster: Command,
    lake: Path,
    start: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, str],
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
    options = {"--dt": tables.DT, "--symbol": tables.SYMBOL, "--lake": str(lake), "--start": start}
    options |= {"--minutes": "10", "--out": "radar.png", **change}
    answer = spymaster("picture", *(word for pair in options.items() for word in pair))
    assert answer.code == 2, answer
    assert answer.err.startswith("spymaster: ")
    assert answer.err.count("\n") == 1
    assert told in answer.err
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


def test_a_full_disk_is_one_sentence_and_keeps_the_old_picture(
    spymaster: Command, lake: Path, start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, data: bytes) -> int:
        self.touch()
        raise OSError(28, "No space left on device")

    out = tmp_path / "radar.png"
    out.write_bytes(b"the picture of before")
    monkeypatch.setattr(Path, "write_bytes", full)
    answer = spymaster("picture", *AT, "--lake", lake, "--start", start, "--out", out)
    assert (answer.code, "No space left on device" in answer.err) == (2, True)
    assert out.read_bytes() == b"the picture of before"
    assert list(tmp_path.iterdir()) == [out]


def test_without_matplotlib_the_cure_is_named(
    spymaster: Command, lake: Path, start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "spymaster.radar_picture", raising=False)
    monkeypatch.delattr(package, "radar_picture", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    answer = spymaster("picture", *AT, "--lake", lake, "--start", start, "--out", tmp_path / "radar.png")
    assert answer.code == 2
    assert "pip install 'spymaster[picture]'" in answer.err


def test_a_time_of_another_zone_is_that_instant(
    spymaster: Command, lake: Path, start: str, tmp_path: Path
) -> None:
    hour, minute = int(start[:2]), start[3:]
    new_york = f"{(hour - 5) % 24:02d}:{minute}@America/New_York"  # winter
    line = ("picture", *AT, "--lake", lake, "--json", "--minutes", 1)
    utc = spymaster(*line, "--start", start, "--out", tmp_path / "a.png")
    local = spymaster(*line, "--start", new_york, "--out", tmp_path / "b.png")
    first = [json.loads(answer.out)["first_window_end_ts_ns"] for answer in (utc, local)]
    assert first[0] == first[1]
