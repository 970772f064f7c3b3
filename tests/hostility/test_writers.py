"""Eight processes run the whole day on one lake at once: some win, the others say so, the lake is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostility.days import VERSIONS, day_job, write_raw
from tests.hostility.lakes import References, left_behind
from tests.hostility.runner import Runner

WRITERS = 8
LOSER_SAYS = ("another process is writing", "was replaced by another process")


@pytest.mark.parametrize("start", ["empty lake", "lake of another version"])
def test_of_eight_runs_at_once_the_losers_say_so_and_the_lake_is_that_of_one_run(
    runner: Runner, tmp_path: Path, start: str
) -> None:
    raws = {version: write_raw(tmp_path / f"raw{version}", version) for version in VERSIONS}
    references = References.make(runner, raws, tmp_path)
    lake = tmp_path / "lake"
    if start != "empty lake":
        assert runner.run(day_job(raws[0], lake, gex=True)).code == 0
    answers = runner.run_all([day_job(raws[1], lake, gex=True)] * WRITERS)
    winners = [answer for answer in answers if answer.code == 0]
    losers = [answer for answer in answers if answer.code != 0]
    assert winners, [answer.err for answer in answers]
    assert losers, "nobody met anybody: nothing was tested"
    for loser in losers:
        assert loser.code == 1
        assert any(words in loser.sentence for words in LOSER_SAYS), loser.err
    assert references.faults(lake) == []
    assert references.differences(lake, 1) == []
    assert left_behind(lake, runner.run(day_job(raws[1], lake, gex=True))) == []
