"""Disks that fail while a whole pipeline run replaces a lake: step by step, and really full ones."""

from __future__ import annotations

import errno
import random
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from data_eng.pipeline import STAGES
from data_eng.stage import SELECTION
from tests.hostility.days import VERSIONS, day_job, write_raw
from tests.hostility.lakes import References, left_behind, partition_hashes
from tests.hostility.runner import Answer, Runner

TROUBLE: Mapping[int, str] = {
    errno.ENOSPC: "the disk is full",
    errno.EIO: "the disk reported an error",
    errno.EROFS: "the lake cannot be written",
}
_CLEANING = {"remove_file", "remove_folder"}
"""steps after the commit: what cannot be removed is left to the next sweep, unheard"""


@dataclass
class DiskReport:
    """steps: disk steps of one run. failed: runs that ended in an error, by kind of step. cleaning: only a
    removal failed, and the run went on. unharmed: no step was left to fail, or the disk was large enough."""

    steps: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    cleaning: int = 0
    unharmed: int = 0
    faults: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def plus(self, other: DiskReport) -> DiskReport:
        """Both together."""
        return DiskReport(
            max(self.steps, other.steps),
            self.failed + other.failed,
            self.cleaning + other.cleaning,
            self.unharmed + other.unharmed,
            self.faults + other.faults,
            self.left_out + other.left_out,
        )

    @property
    def total(self) -> int:
        """Runs tried."""
        return self.failed.total() + self.cleaning + self.unharmed

    def summary(self) -> str:
        """One line."""
        spread = ", ".join(f"{name} {count}" for name, count in sorted(self.failed.items()))
        return (
            f"{self.total} runs on failing disks ({self.steps} steps in a run): "
            f"{self.failed.total()} refused ({spread}), {self.cleaning} failed in cleaning up only, "
            f"{self.unharmed} unharmed, {len(self.faults)} faults"
            + "".join(f", left out: {what}" for what in self.left_out)
        )


@dataclass
class Bench:
    """A lake that holds one version and is to be replaced by the other one."""

    runner: Runner
    lake: Path
    raws: Mapping[int, Path]
    references: References
    version: int = 0

    @classmethod
    def make(cls, runner: Runner, scratch: Path, lake: Path) -> Bench:
        """References, and version 0 in the lake."""
        raws = {version: write_raw(scratch / f"raw{version}", version) for version in VERSIONS}
        bench = cls(runner, lake, raws, References.make(runner, raws, scratch))
        assert runner.run(bench.job).code == 0
        bench.version = 1
        return bench

    @property
    def job(self) -> list[str]:
        """Command line that makes the wanted version."""
        return day_job(self.raws[self.version], self.lake, gex=True)

    def after_failure(self, answer: Answer, told: str) -> list[str]:
        """What is wrong with the answer and the lake of a run that the disk stopped."""
        wrong = []
        if answer.code != 1:
            wrong.append(f"exit code {answer.code}, expected 1")
        try:
            sentence = answer.sentence
        except AssertionError as fault:
            return [*wrong, str(fault)]
        wrong += [
            f"{word!r} is not in: {sentence}"
            for word in (told, "give the same command again")
            if word not in sentence
        ]
        wrong += self.references.faults(self.lake, globs=False)
        return wrong + self._wrongly_replaced(answer)

    def _wrongly_replaced(self, answer: Answer) -> list[str]:
        """Stages that ended are new, all others as they were, also the tables of one pass together."""
        ended = {name for name, mark in answer.marks.items() if len(mark) == 2}
        found = partition_hashes(self.lake)
        wrong = []
        for stage in STAGES:
            version = self.version if stage.name in ended else 1 - self.version
            for dataset in stage.outputs:
                if dataset == SELECTION:
                    continue  # made once, of the first version
                for name, wanted in self.references.by_version[version].items():
                    if name.startswith(dataset.replace(".", "/") + "/") and found.get(name) != wanted:
                        wrong.append(f"{name} is not of version {version} after {sorted(ended)}")
        return wrong

    def mend(self) -> list[str]:
        """The same command again; what is wrong then. The other version is wanted next."""
        answer = self.runner.run(self.job)
        wrong = [f"the rerun ended with {answer.code}: {answer.err}"] if answer.code else []
        wrong += [
            f"after the rerun {name} differs" for name in self.references.differences(self.lake, self.version)
        ]
        wrong += [f"the rerun left {name} in staging" for name in left_behind(self.lake, answer)]
        self.version = 1 - self.version
        return wrong


def step_campaign(
    runner: Runner, scratch: Path, count: int | None, seed: int = 20260106
) -> Iterator[DiskReport]:
    """Let the n-th disk step of a run fail: `count` different n, or all of them (None).

    ENOSPC lasts, as on a full disk; EIO and EROFS hit one step. Yields the running report after each.
    """
    bench = Bench.make(runner, scratch, scratch / "lake")
    report = DiskReport(steps=_steps_of_a_run(bench))
    steps = list(range(1, report.steps + 1))
    if count is not None:
        steps = sorted(random.Random(seed).sample(steps, min(count, len(steps))))
    for turn, n in enumerate(steps):
        code = list(TROUBLE)[turn % len(TROUBLE)]
        answer = runner.run(bench.job, disk={"n": n, "code": code, "forever": code == errno.ENOSPC})
        failed = _disk_line(answer)[1]
        where = f"step {n} ({errno.errorcode[code]} at {failed[:1]})"
        if answer.code == 0:
            if set(failed) <= _CLEANING:
                report.cleaning += bool(failed)
                report.unharmed += not failed
            else:
                report.faults.append(f"{where}: exit code 0 although {failed} failed")
        else:
            report.failed[failed[0] if failed else "no step"] += 1
            report.faults += [f"{where}: {fault}" for fault in bench.after_failure(answer, TROUBLE[code])]
        report.faults += [f"{where}: {fault}" for fault in bench.mend()]
        yield report


def _steps_of_a_run(bench: Bench) -> int:
    """Disk steps of replacing the whole lake."""
    answer = bench.runner.run(bench.job, disk={"n": 0, "code": errno.EIO, "forever": False})
    assert answer.code == 0, answer.err
    bench.version = 1 - bench.version
    return _disk_line(answer)[0]


def _disk_line(answer: Answer) -> tuple[int, list[str]]:
    """(steps made, names of the steps that failed), from the child's last line."""
    found = re.search(r"^disk_steps (\d+) failed (.*)$", answer.out, re.MULTILINE)
    assert found, f"the child did not end by itself: {answer}"
    return int(found[1]), [name for name in found[2].split(",") if name]


def file_limit_campaign(runner: Runner, scratch: Path, limits: list[int]) -> Iterator[DiskReport]:
    """The kernel refuses to let any file grow beyond so many bytes: write() comes back short, then EFBIG."""
    bench = Bench.make(runner, scratch, scratch / "lake")
    report = DiskReport()
    for limit in limits:
        answer = runner.run(bench.job, limits={"RLIMIT_FSIZE": limit})
        _judge(bench, report, answer, f"file limit {limit}", "EFBIG")
        report.faults += [f"file limit {limit}: {fault}" for fault in bench.mend()]
        yield report


def tmpfs_campaign(runner: Runner, scratch: Path, rooms: list[int]) -> Iterator[DiskReport]:
    """A real small disk with so many bytes free when the run begins; it needs the right to mount.

    Raises `PermissionError` without that right.
    """
    plenty = 64 << 20
    with _small_disk(scratch / "disk", plenty) as disk:
        bench = Bench.make(runner, scratch, disk / "lake")
        report = DiskReport()
        for room in rooms:
            used = shutil.disk_usage(disk).used
            _mount("-o", f"remount,size={used + room}", disk)
            answer = runner.run(bench.job)
            _judge(bench, report, answer, f"{room} bytes free", "ENOSPC")
            _mount("-o", f"remount,size={plenty}", disk)
            report.faults += [f"{room} bytes free: {fault}" for fault in bench.mend()]
            yield report


def _judge(bench: Bench, report: DiskReport, answer: Answer, where: str, kind: str) -> None:
    if answer.code == 0:
        report.unharmed += 1
    else:
        report.failed[kind] += 1
        wrong = bench.after_failure(answer, TROUBLE[errno.ENOSPC])
        report.faults += [f"{where}: {fault}" for fault in wrong]


@contextmanager
def _small_disk(folder: Path, size: int) -> Iterator[Path]:
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _mount(*words: str | Path) -> None:
    done = subprocess.run(["mount", *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise PermissionError(f"mount is not permitted here: {done.stderr.strip()}")
