"""kill -9 at random instants of every stage, spread evenly, and a look at the lake after each.

Half of the runs replace a whole lake of the other version (so the swap is hit), a third begin with an empty
one; a run that is to die in the selection always does, because a selection is made only once. The stage with
the fewest kills is aimed at next, at a random instant of its usual duration.
"""

from __future__ import annotations

import random
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from data_eng.pipeline import STAGES
from data_eng.stage import SELECTION
from tests.hostility.days import VERSIONS, day_job, write_raw
from tests.hostility.lakes import References, left_behind, leftovers
from tests.hostility.runner import Answer, Runner

BETWEEN = "between stages"
_EMPTY_SHARE = 0.3
_GLOBS_EVERY = 5
"""globs cost more than the run itself, and what they could see is compared byte by byte anyway"""


@dataclass
class KillReport:
    """kills by the stage they landed in; `missed`: the run ended before its kill; `faults` in words."""

    kills: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    leftovers_swept: int = 0
    faults: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """One line."""
        spread = ", ".join(f"{name} {count}" for name, count in sorted(self.kills.items()))
        return (
            f"{self.kills.total()} kills ({spread}; {self.missed} came too late), "
            f"{self.leftovers_swept} left staging that the rerun swept, {len(self.faults)} faults"
        )


def kill_campaign(runner: Runner, scratch: Path, count: int, seed: int = 20260106) -> Iterator[KillReport]:
    """Kill `count` runs; yields the running report after each."""
    dice = random.Random(seed)
    raws = {version: write_raw(scratch / f"raw{version}", version) for version in VERSIONS}
    references = References.make(runner, raws, scratch)
    usual_s = _usual_durations(runner, raws, scratch)
    lake, version = scratch / "lake", 0
    assert runner.run(day_job(raws[version], lake, gex=True)).code == 0
    report = KillReport()
    selecting = next(stage.name for stage in STAGES if SELECTION in stage.outputs)
    while report.kills.total() < count:
        stage = min(usual_s, key=lambda name: (report.kills[name], dice.random()))
        empty = stage == selecting or dice.random() < _EMPTY_SHARE
        version = 1 - version
        if empty:
            shutil.rmtree(lake)
        answer = runner.kill(day_job(raws[version], lake, gex=True), stage, dice.uniform(0, usual_s[stage]))
        where = f"kill {report.kills.total()} in {stage} ({'empty' if empty else 'full'} lake, {version})"
        if answer.code == -signal.SIGKILL:
            report.kills[_landed_in(answer)] += 1
        elif answer.code == 0:
            report.missed += 1
        else:
            report.faults.append(f"{where}: exit code {answer.code}: {answer.err}")
        globs = report.kills.total() % _GLOBS_EVERY == 0
        report.faults += [f"{where}: {fault}" for fault in references.faults(lake, globs=globs)]
        dirty = bool(leftovers(lake))
        rerun = runner.run(day_job(raws[version], lake, gex=True))
        if rerun.code != 0:
            report.faults.append(f"{where}: the rerun ended with {rerun.code}: {rerun.err}")
        report.faults += [
            f"{where}: after the rerun {n} differs" for n in references.differences(lake, version)
        ]
        report.faults += [f"{where}: the rerun left {name} in staging" for name in left_behind(lake, rerun)]
        report.leftovers_swept += dirty
        yield report


def _landed_in(answer: Answer) -> str:
    """The stage that had begun and not ended."""
    return next((name for name, mark in answer.marks.items() if len(mark) == 1), BETWEEN)


def _usual_durations(runner: Runner, raws: dict[int, Path], scratch: Path) -> dict[str, float]:
    """Seconds of each stage in an undisturbed run, all stages that there are."""
    answer = runner.run(day_job(raws[0], scratch / "timed", gex=True))
    assert answer.code == 0, answer.err
    usual_s = {name: end - start for name, (start, end) in answer.marks.items()}
    assert set(usual_s) == {stage.name for stage in STAGES}, f"not every stage ran: {sorted(usual_s)}"
    return usual_s
