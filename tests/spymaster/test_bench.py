"""`spymaster bench`: the document, the exit code, the page, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benches.measure import BenchError

from benches import goals, report
from tests.benches.conftest import small_day
from tests.dbn_samples import write_dbn
from tests.spymaster.conftest import Command


@pytest.fixture(scope="module")
def day_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "small.mbo.dbn.zst"
    write_dbn(path, small_day())
    return path


SMALL = ("--records", 5_000, "--peer-records", 2_000, "--rounds", 2)


def test_the_document_has_value_goal_met_and_medians_for_each_goal(
    day_file: Path, tmp_path: Path, spymaster: Command
) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Before\n{report.BEGIN}\nold\n{report.END}\nAfter\n", encoding="utf-8")
    absent = tmp_path / "no-such-python"
    options = ("--only", "p3,P1,P2", "--peer-python", absent, "--page", page, "--json")
    answer = spymaster("bench", "--input", day_file, *SMALL, *options)
    document = json.loads(answer.out)
    assert [key for key in document if key in goals.GOALS] == ["P1", "P2", "P3"]
    first = document["P3"]["checks"][0]
    assert first["value"] > 0
    assert first["goal"] == document["P3"]["goal"] == "<= 1.25"
    assert first["over"]["median"] > 0
    assert first["under"]["median"] > 0
    assert len(first["per_round"]) == 2
    peer = next(c for c in document["P2"]["checks"] if c["name"].startswith("nautilus_trader"))
    assert peer["value"] is None
    assert "missing" in peer["reason"]
    assert document["P2"]["met"] is False
    measured = [c for g in ("P1", "P2", "P3") for c in document[g]["checks"] if c["value"] is not None]
    assert answer.code == (0 if all(c["met"] for c in measured) else 1)
    assert len(document["equal"]) >= 3
    assert document["measured"]["records"] >= 5_000
    assert "small.mbo.dbn.zst" in document["command"]
    text = page.read_text(encoding="utf-8")
    assert "old" not in text
    assert "| P3 | engine / zstd |" in text
    assert text.startswith("# Before\n")
    assert text.endswith("\nAfter\n")


def test_a_difference_stops_the_bench_before_any_time(
    day_file: Path, spymaster: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unequal(*_: object) -> str:
        raise BenchError("final depth differs")

    monkeypatch.setattr(goals.equality, "same_as_twin", unequal)
    answer = spymaster("bench", "--input", day_file, *SMALL, "--only", "P3", "--json")
    assert (answer.code, answer.out) == (1, "")
    assert "final depth differs" in answer.err
    assert "measuring" not in answer.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--only", "P99"), "P99: no such goal"),
        (("--rounds", 0), "1 or more"),
        (("--page", "nowhere.md"), "nowhere.md"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_measured(
    day_file: Path, spymaster: Command, options: tuple[object, ...], words: str
) -> None:
    answer = spymaster("bench", "--input", day_file, *options)
    assert answer.code == 2
    assert words in answer.err
    assert "proving" not in answer.err


def test_a_missing_file_is_missing_data(tmp_path: Path, spymaster: Command) -> None:
    answer = spymaster("bench", "--input", tmp_path / "none.dbn.zst")
    assert answer.code == 2
    assert "no such file" in answer.err


def test_the_committed_page_has_its_place_for_the_table() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
    report.check_page(page)
