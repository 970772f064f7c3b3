"""Findings say how much was looked at, show five examples, and count all."""

from __future__ import annotations

import json

import numpy as np

from data_eng.integrity.findings import Check, Report, Tally


def made(*checks: Check) -> Report:
    return Report(
        "book ESH6", checks, windows=1_200, valid_windows=3, rows=5, events=7, counters={"late": 2, "bad": 0}
    )


def test_tally_keeps_five_examples_and_counts_all() -> None:
    tally = Tally("depth", "rows")
    tally.add_rows(np.ones(4, dtype=bool), str)
    tally.add_rows(np.ones(8, dtype=bool), lambda row: f"second {row}")
    check = tally.check()
    assert (check.looked_at, check.failures) == (12, 12)
    assert check.offenders == ("0", "1", "2", "3", "second 0")


def test_only_severity_fail_fails_a_report() -> None:
    broken = Check("c", 1, "rows", 1, ("x",))
    assert not made(broken).passed
    for severity in ("warn", "info"):
        assert made(Check("c", 1, "rows", 1, ("x",), severity=severity)).passed  # type: ignore[arg-type]  # a loop over the words


def test_a_report_of_no_checks_does_not_pass() -> None:
    assert not made().passed
    assert made().lines()[-1].startswith("FAIL: ")


def test_lines_name_what_was_seen_the_offenders_the_counters_and_the_verdict() -> None:
    lines = made(Check("depth", 9, "rows", 1, ("row 3",)), Check("axis", 9, "windows")).lines()
    assert lines[0] == "book ESH6"
    assert "1,200 windows (3 valid), 5 rows, 7 events" in lines[1]
    assert any(line.startswith("FAIL depth: 1 of 9 rows") for line in lines)
    assert "       row 3" in lines
    assert "counters: late 2, 1 others 0" in lines
    assert lines[-1] == "FAIL: 1 of 2 checks: depth"


def test_more_findings_than_things_looked_at_do_not_read_as_a_share() -> None:
    assert Check("enough", 0, "windows", 2).lines == ["FAIL enough: 2 findings in 0 windows"]


def test_json_is_complete_and_deterministic() -> None:
    report = made(Check("depth", 9, "rows", 1, ("row 3",)))
    loaded = json.loads(report.to_json())
    assert loaded["passed"] is False
    assert loaded["checks"][0]["offenders"] == ["row 3"]
    assert report.to_json() == made(Check("depth", 9, "rows", 1, ("row 3",))).to_json()
