"""The command line as people meet it: quick help, exit codes, one clear sentence per error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from data_eng.lake import Lake, Manifest
from spymaster import cli_docs
from spymaster.cli import app
from tests.dbn_samples import DT, definition, mbo_day, write_dbn
from tests.spymaster.conftest import Answer, Command

REPOSITORY = Path(__file__).resolve().parents[2]
HEAVY = (
    "numba",
    "numpy",
    "pyarrow",
    "polars",
    "duckdb",
    "databento_dbn",
    "zstandard",
    "pydantic",
    "matplotlib",
)
SNAPSHOT_ROWS = 21
"""rows of the small day's snapshot"""
VERBS = [
    "demo",
    "serve",
    "simulate",
    "ingest",
    "run",
    "verify",
    "bench",
    "picture",
    "inspect flags",
    "inspect file",
    "lake ls",
    "lake rm",
    "lake doctor",
]


def test_help_loads_no_heavy_package() -> None:
    code = (
        "import sys\nfrom spymaster.cli import app\n"
        "app(['--help'], result_action='return_value')\n"
        f"print([m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "ingest" in done.stdout
    assert done.stderr.strip() == "[]"


NO_KERNEL_NEEDED = (
    "ingest --no-gex --symbol ESH6 --raw {raw} --lake {out}/lake",
    "inspect file {raw}/mbo.dbn.zst",
    "inspect flags --symbol ESH6 --lake {lake}",
    "verify data --symbol ESH6 --lake {lake}",
    "run --plan --no-gex --symbol ESH6 --raw {raw} --lake {lake}",
    "lake ls --lake {lake}",
    "lake doctor --lake {lake}",
    "lake rm gold --dt 2026-01-06 --symbol ESH6 --yes --lake {lake}",
)


def test_what_needs_no_kernel_compiles_none_on_a_new_machine(
    spymaster: Command, raw_folder: Path, tmp_path: Path
) -> None:
    lake, cache = tmp_path / "lake", tmp_path / "kernels"
    made = spymaster("run", "--no-gex", "--symbol", "ESH6", "--raw", raw_folder, "--lake", lake)
    assert made.code == 0
    lines = [
        line.format(raw=raw_folder, lake=lake, out=tmp_path / "new").split() for line in NO_KERNEL_NEEDED
    ]
    code = (
        "import sys\nfrom spymaster.cli import app\nfrom spymaster.edge import run_app\n"
        f"print([run_app(app, line) for line in {lines}], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache)},
    )
    assert done.stderr.strip() == str([0] * len(lines)), "and nobody is told to wait"
    assert [path.name for path in cache.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_with_an_example(verb: str, spymaster: Command) -> None:
    answer = spymaster(*verb.split(), "--help")
    assert answer.code == 0
    assert f"spymaster {verb}" in answer.out.split("For example:")[1]
    assert "--json" in answer.out
    assert "Exit codes: 0 = ok, 1 = " in answer.out


def test_the_list_of_verbs_is_the_one_tested_here() -> None:
    found = []
    for name in app:
        if name.startswith("-"):
            continue
        inner = [f"{name} {sub}" for sub in app[name] if not sub.startswith("-")]
        found += inner or [name]
    assert sorted(found) == sorted(VERBS)


def test_the_cli_page_is_current() -> None:
    committed = (REPOSITORY / "docs" / "cli.md").read_text(encoding="utf-8")
    assert committed == cli_docs.page(), "run: uv run python -m spymaster.cli_docs docs/cli.md"


@pytest.mark.parametrize(
    "line", ["bogus", "run --bogus", "verify weather", "run --rate much", "inspect file", "lake ls --dt"]
)
def test_wrong_usage_exits_with_2(line: str, spymaster: Command) -> None:
    answer = spymaster(*line.split())
    assert answer.code == 2
    assert answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    "line",
    [
        "run --dt 2026-02-30 --symbol ESH6 --no-gex",
        "run --symbol ../x --no-gex",
        "run --symbol ESH6 --no-gex --only weather",
        "run --symbol ESH6 --no-gex --session morning",
        "run --symbol ESH6 --no-gex --rate 5",
        "run --symbol ESH6 --no-gex --raw nowhere",
        "run --symbol ESH6",
        "verify data --symbol ESH6",
        "inspect flags --symbol ESH6",
        "inspect file nowhere.dbn",
        "lake rm",
        "lake rm weather --symbol ESH6 --yes",
        "ingest --symbol ESH6",
    ],
)
def test_a_request_that_cannot_be_met_is_one_sentence_and_exit_code_2(
    line: str, spymaster: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = spymaster(*line.split())
    assert (answer.code, answer.err.startswith("spymaster: ")) == (2, True)
    assert answer.err.count("\n") == 1
    assert list(tmp_path.glob("lake/*/*")) == [], "nothing is written"


def test_ingest_reports_and_a_second_one_finds_everything_fresh(
    spymaster: Command, raw_folder: Path, tmp_path: Path
) -> None:
    where = ("--dt", DT, "--symbol", "ESH6", "--raw", raw_folder, "--lake", tmp_path)
    first = spymaster("ingest", "--no-gex", *where, "--json")
    assert first.code == 0
    document = json.loads(first.out)
    assert {s["name"] for s in document["stages"] if s["ran"]} >= {"definitions", "future_mbo"}
    assert {p["dataset"] for p in document["partitions"]} >= {"bronze.future_mbo.mbo"}
    assert "stage_start future_mbo" in first.err
    second = spymaster("ingest", "--no-gex", *where)
    assert "stage_skip future_mbo fresh" in second.out
    assert "stage_start" not in second.out


def run_of(rows: int, spymaster: Command, folder: Path, *options: str) -> tuple[Answer, Manifest]:
    """A run without options over the first rows of the small day, and the manifest of its walls."""
    raw, lake = folder / "raw", folder / "lake"
    write_dbn(raw / "mbo.dbn.zst", mbo_day(dt=DT)[:rows])
    write_dbn(raw / "definition.dbn.zst", [definition(dt=DT)], schema="definition")
    answer = spymaster("run", "--no-gex", "--symbol", "ESH6", "--raw", raw, "--lake", lake, *options)
    return answer, Lake(lake).manifest("silver.future_mbo.wall_surface_1s", "ESH6", DT)


def test_a_file_with_nothing_but_a_snapshot_is_said_aloud_and_kept_in_the_manifest(
    spymaster: Command, tmp_path: Path
) -> None:
    answer, manifest = run_of(SNAPSHOT_ROWS, spymaster, tmp_path)
    assert answer.code == 0
    told = "no_window: all 21 records of bronze.future_mbo.mbo ESH6 2026-01-06 belong to snapshots"
    assert f"warning {told}" in answer.out
    assert [line.startswith(told) for line in manifest.warnings] == [True]
    assert (manifest.row_count, manifest.counters["snapshot_records"]) == (0, SNAPSHOT_ROWS)


def test_a_session_without_a_record_is_said_aloud_too(spymaster: Command, tmp_path: Path) -> None:
    answer, manifest = run_of(300, spymaster, tmp_path, "--session", "03:00-04:00@UTC")
    assert answer.code == 0
    assert [line.split(":")[0] for line in manifest.warnings] == ["no_window"]
    assert "in session 03:00-04:00@UTC (0 of them are late)" in answer.out


def test_one_record_behind_the_snapshot_is_no_finding(spymaster: Command, tmp_path: Path) -> None:
    answer, manifest = run_of(SNAPSHOT_ROWS + 1, spymaster, tmp_path)
    assert (answer.code, list(manifest.warnings)) == (0, [])
    assert "no_window" not in answer.out
    assert manifest.row_count > 0


def test_lake_and_raw_come_from_the_environment_too(
    spymaster: Command, raw_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPYMASTER_LAKE", str(tmp_path / "here"))
    monkeypatch.setenv("SPYMASTER_RAW", str(raw_folder))
    assert spymaster("ingest", "--no-gex", "--symbol", "ESH6").code == 0
    assert (tmp_path / "here" / "bronze").is_dir()


def test_without_a_symbol_the_contract_is_selected_and_kept(
    spymaster: Command, raw_folder: Path, tmp_path: Path
) -> None:
    answer = spymaster("ingest", "--no-gex", "--raw", raw_folder, "--lake", tmp_path, "--json")
    assert answer.code == 0
    assert json.loads(answer.out)["symbol"] == "ESH6"
    assert "ESH6" in spymaster("inspect", "flags", "--lake", tmp_path).out.splitlines()[0]


def test_plan_says_what_would_run_and_changes_nothing(
    spymaster: Command, raw_folder: Path, tmp_path: Path
) -> None:
    where = ("--symbol", "ESH6", "--raw", raw_folder, "--lake", tmp_path, "--no-gex")
    answer = spymaster("run", "--plan", *where, "--json")
    plan = {row["name"]: row["runs"] for row in json.loads(answer.out)["plan"]}
    assert plan["definitions"]
    assert not plan["status"]
    assert list(tmp_path.iterdir()) == []


def test_inspect_reads_the_same_from_the_file_and_from_bronze(
    spymaster: Command, raw_folder: Path, tmp_path: Path
) -> None:
    spymaster("ingest", "--no-gex", "--symbol", "ESH6", "--raw", raw_folder, "--lake", tmp_path)
    file = json.loads(spymaster("inspect", "flags", "--file", raw_folder / "mbo.dbn.zst", "--json").out)
    bronze = json.loads(spymaster("inspect", "flags", "--symbol", "ESH6", "--lake", tmp_path, "--json").out)
    assert file.pop("source") != bronze.pop("source")
    assert file == bronze
    assert file["records"] > 0


def test_inspect_file_shows_metadata_counts_and_snapshots(spymaster: Command, raw_folder: Path) -> None:
    document = json.loads(spymaster("inspect", "file", raw_folder / "mbo.dbn.zst", "--json").out)
    assert (document["dataset"], document["schema"], document["version"]) == ("GLBX.MDP3", "mbo", 3)
    assert document["records"] == document["mbo"]["records"]
    assert document["mbo"]["snapshot_count"] == 1
    text = spymaster("inspect", "file", raw_folder / "definition.dbn.zst").out
    assert "definition" in text


def test_lake_ls_rm_and_doctor_tell_one_story(spymaster: Command, raw_folder: Path, tmp_path: Path) -> None:
    at = ("--lake", tmp_path)
    spymaster("ingest", "--no-gex", "--symbol", "ESH6", "--raw", raw_folder, *at)
    listed = json.loads(spymaster("lake", "ls", *at, "--json").out)
    assert {p["health"] for p in listed} == {"fresh"}
    assert spymaster("lake", "doctor", *at).code == 0

    refused = spymaster("lake", "rm", "bronze.future_mbo.mbo", "--symbol", "ESH6", *at)
    assert (refused.code, "--yes" in refused.err) == (2, True)
    assert len(json.loads(spymaster("lake", "ls", *at, "--json").out)) == len(listed)

    removed = spymaster("lake", "rm", "bronze.future_mbo.mbo", "--symbol", "ESH6", "--yes", *at)
    again = f"spymaster ingest --dt {DT} --symbol ESH6 --raw FOLDER_OF_DBN_FILES"
    assert f"rebuild: {again} --only bronze.future_mbo.mbo --force" in removed.out
    assert len(json.loads(spymaster("lake", "ls", *at, "--json").out)) == len(listed) - 1
    assert list(raw_folder.iterdir()), "raw input is never deleted"


def test_lake_doctor_names_a_damaged_partition_and_exits_with_1(
    spymaster: Command, raw_folder: Path, tmp_path: Path
) -> None:
    spymaster("ingest", "--no-gex", "--symbol", "ESH6", "--raw", raw_folder, "--lake", tmp_path)
    (part,) = (tmp_path / "bronze/future_mbo/mbo").rglob("*.parquet")
    part.write_bytes(part.read_bytes()[:-1])
    answer = spymaster("lake", "doctor", "--lake", tmp_path)
    assert answer.code == 1
    assert "damaged" in answer.out
    assert "mend: spymaster" in answer.out
    listed = json.loads(spymaster("lake", "ls", "--lake", tmp_path, "--json").out)
    assert [p["dataset"] for p in listed if p["health"] == "damaged"] == ["bronze.future_mbo.mbo"]


def test_verify_says_that_a_partition_is_damaged_and_not_that_it_is_absent(
    spymaster: Command, raw_folder: Path, tmp_path: Path
) -> None:
    at = ("--symbol", "ESH6", "--lake", tmp_path)
    assert spymaster("run", *at, "--raw", raw_folder, "--no-gex").code == 0
    (part,) = (tmp_path / "silver/future_mbo/wall_surface_1s").rglob("*.parquet")
    part.write_bytes(part.read_bytes()[:-1])
    answer = spymaster("verify", "data", *at)
    assert (answer.code, answer.err.count("\n")) == (1, 1)
    for words in ("wall_surface_1s of ESH6", "is damaged", part.name, f"--force --lake {tmp_path}"):
        assert words in answer.err


@pytest.mark.parametrize("verb", ["ls", "doctor"])
def test_a_lake_that_is_not_there_is_no_healthy_lake(verb: str, spymaster: Command, tmp_path: Path) -> None:
    answer = spymaster("lake", verb, "--lake", tmp_path / "nowhere")
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert str(tmp_path / "nowhere") in answer.err


@pytest.mark.parametrize(
    "script", sorted(path.name for path in (REPOSITORY / "scripts").glob("*.py") if path.stem != "pins")
)
def test_every_script_runs_from_any_directory_and_explains_itself(script: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "scripts" / script), "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert script in done.stdout
    assert "--dt" in done.stdout
    assert "Exit codes: 0 = ok, 1 = " in done.stdout


@pytest.mark.parametrize("option", ["--from-stage", "--only"])
def test_a_wrong_stage_is_named_before_files_are_looked_for(
    option: str, spymaster: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = spymaster("run", option, "weather")
    assert (answer.code, "weather" in answer.err) == (2, True)
