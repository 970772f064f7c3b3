"""Progress: plain lines where nobody looks, bars where somebody does."""

from __future__ import annotations

import io
import re

import pytest

from spymaster.report import BarReporter, PlainReporter, reporter


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class _Counting(io.StringIO):
    flushes = 0

    def flush(self) -> None:
        self.flushes += 1


def test_plain_lines_have_the_documented_form_and_are_flushed_one_by_one() -> None:
    stream = _Counting()
    with PlainReporter(stream) as report:
        report.stage_skip("mbo", "fresh")
        report.stage_start("engine")
        report.advance("engine", 10, 100, "records")
        report.stage_end("engine", 7200, 1.234)
    lines = stream.getvalue().splitlines()
    assert lines == ["stage_skip mbo fresh", "stage_start engine", "stage_end engine rows=7200 secs=1.23"]
    assert stream.flushes == len(lines)


def test_a_long_stage_says_now_and_then_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr("spymaster.report.time.monotonic", lambda: float(next(clock)))
    stream = io.StringIO()
    report = PlainReporter(stream)
    report.stage_start("engine")
    for done in range(6):
        report.advance("engine", done, None, "records")
    assert stream.getvalue().splitlines() == [
        "stage_start engine",
        "stage_progress engine 2 records",
        "stage_progress engine 5 records",
    ]


def test_bars_leave_one_line_per_stage_and_restore_the_cursor() -> None:
    stream = _Terminal()
    with BarReporter(stream) as report:
        report.stage_start("engine")
        report.advance("engine", 1, 2, "records")
        report.stage_end("engine", 7200, 1.0)
        report.stage_skip("cal", "fresh")
    text = stream.getvalue()
    assert "engine: 7,200 rows" in text
    assert "cal: fresh" in text
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l"), "the cursor is visible again"


@pytest.mark.parametrize(
    ("stream", "environment", "kind"),
    [
        (io.StringIO(), {}, PlainReporter),
        (_Terminal(), {}, BarReporter),
        (_Terminal(), {"NO_COLOR": "1"}, PlainReporter),
        (_Terminal(), {"TERM": "dumb"}, PlainReporter),
    ],
)
def test_the_reporter_suits_the_terminal(
    stream: io.StringIO, environment: dict[str, str], kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout", stream)
    assert isinstance(reporter(), kind)


def test_with_json_progress_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with reporter(json=True) as report:
        report.note("hello")
    streams = capsys.readouterr()
    assert streams.out == ""
    assert re.fullmatch(r"note hello\n", streams.err)
