"""Hostility: kill -9 at every disk step and at random instants, failing disks, rivals, racing readers."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from data_eng.errors import LakeError
from data_eng.lake import Lake
from tests.data_eng.lake_faults import CountingDisk, FailingDisk
from tests.data_eng.lake_tables import (
    DT,
    FIELDS,
    NARROW,
    PLACE,
    crash_rows,
    leftovers,
    narrow_rows,
    open_lake,
    put,
    tree,
)

RANDOM_KILLS = int(os.environ.get("SPYMASTER_LAKE_KILLS", "30"))
"""kills at random instants; raise it for a long night"""
NARROW_PLACE = (NARROW.dataset, "ESH6", DT)


class Child:
    """`lake_kill_child` in its own process."""

    def __init__(self, scratch: Path) -> None:
        self.root = scratch
        command = [sys.executable, "-m", "tests.data_eng.lake_kill_child", str(scratch)]
        repository = Path(__file__).parents[2]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=repository,
            env={**os.environ, "PYTHONPATH": f"{repository / 'src'}:{repository}"},
        )

    def ask(self, **command: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({**command, "root": str(self.root)}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake")


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    started = Child(tmp_path_factory.mktemp("child"))
    yield started
    started.process.stdin.close()  # type: ignore[union-attr]  # opened as a pipe above
    started.process.wait(timeout=20)


@pytest.fixture
def child(started: Child, lake: Lake) -> Child:
    started.root = lake.root
    return started


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, bytes]]:
    """The true bytes of the partition for versions 0 to 3, from undisturbed writers."""
    found = {}
    for version in range(4):
        quiet = open_lake(tmp_path_factory.mktemp("quiet") / "lake")
        put(quiet, crash_rows(version))
        found[version] = tree(quiet.partition_dir(*PLACE))
    return found


def version_on_disk(lake: Lake, versions: dict[int, dict[str, bytes]], *, globs: bool = True) -> int:
    """Which version lies there, bit for bit; DuckDB and Polars globs over the layer must see just it."""
    content = tree(lake.root / "silver")
    prefix = lake.partition_dir(*PLACE).relative_to(lake.root / "silver").as_posix()
    fitting = [
        v for v, files in versions.items() if content == {f"{prefix}/{n}": b for n, b in files.items()}
    ]
    assert len(fitting) == 1, f"neither version: {sorted(content)}"
    if globs:
        _assert_globs_see_only(fitting[0], lake)
    assert lake.read(*PLACE, verify=True).num_rows == 640
    return fitting[0]


def _assert_globs_see_only(version: int, lake: Lake) -> None:
    import duckdb
    import polars as pl

    glob = f"{lake.root}/silver/**/*.parquet"
    seen = duckdb.sql(
        f"select count(*), min(qty), max(qty), min(symbol), min(dt::text) "
        f"from read_parquet('{glob}', hive_partitioning=true)"
    ).fetchall()
    assert seen == [(640, version, version, "ESH6", DT)]
    frame = pl.scan_parquet(glob, hive_partitioning=True).select(pl.len(), pl.col("qty").unique()).collect()
    assert frame.to_dict(as_series=False) == {"len": [640], "qty": [version]}


def error_of(work: Callable[[], Any]) -> LakeError | None:
    """The `LakeError` of `work`, None when it succeeds."""
    try:
        work()
    except LakeError as exc:
        return exc
    return None


def steps_of_a_commit(tmp_path: Path, *, can_exchange: bool) -> int:
    """Disk steps of replacing a partition."""
    disk = CountingDisk(can_exchange=can_exchange)
    counted = open_lake(tmp_path / "counted", disk=disk)
    put(counted, crash_rows(0))
    disk.steps = 0
    put(counted, crash_rows(1))
    return disk.steps


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two renames"])
def test_kill_before_any_disk_step_leaves_old_or_new(
    lake: Lake, child: Child, versions: dict[int, dict[str, bytes]], tmp_path: Path, exchange: bool
) -> None:
    steps = steps_of_a_commit(tmp_path, can_exchange=exchange)
    assert steps > 15, "the count is not that of a commit"
    put(lake, crash_rows(0))
    outcomes = []
    for step in range(1, steps + 1):
        status = child.ask(do="die", version=1, step=step, exchange=exchange)
        assert os.WIFSIGNALED(status), f"step {step} was never reached"
        if not exchange:  # the next open completes the swap
            assert lake.has(*PLACE)
        outcomes.append(version_on_disk(lake, versions, globs=step % 5 == 0))
        put(lake, crash_rows(0))  # the next writer succeeds ...
        assert leftovers(lake) == []  # ... and sweeps
    assert outcomes == sorted(outcomes), "once visible, the new one stays"
    assert {0, 1} == set(outcomes)


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two renames"])
def test_kill_at_random_instants_leaves_old_or_new(
    lake: Lake, child: Child, versions: dict[int, dict[str, bytes]], exchange: bool
) -> None:
    put(lake, crash_rows(0))
    begun = time.monotonic()
    put(lake, crash_rows(0))
    patience_s = 3 * (time.monotonic() - begun)
    dice = random.Random(20260106)
    seen = set()
    for k in range(RANDOM_KILLS if exchange else RANDOM_KILLS // 3):
        if len(seen) == 1 and k % 5 == 0:
            patience_s *= 2  # a machine with other work to do: the child needs longer for a commit
        pid = child.ask(do="loop", version=2, exchange=exchange)
        time.sleep(dice.uniform(0, patience_s))
        os.kill(pid, signal.SIGKILL)
        child.ask(do="reap", pid=pid)
        assert lake.has(*PLACE)
        seen.add(version_on_disk(lake, versions))
        if dice.random() < 0.3:
            put(lake, crash_rows(0))
            assert leftovers(lake) == []
    assert len(seen) > 1, "no kill came after a commit: nothing was tested"


def test_kill_during_the_first_write_of_a_partition_leaves_none_or_it(
    lake: Lake, child: Child, tmp_path: Path
) -> None:
    disk = CountingDisk()
    put(open_lake(tmp_path / "counted", disk=disk), crash_rows(1))
    outcomes = []
    for step in range(1, disk.steps + 1):
        assert os.WIFSIGNALED(child.ask(do="die", version=1, step=step, exchange=True))
        outcomes.append(lake.has(*PLACE))
        assert len(list((lake.root / "silver").rglob("*.parquet"))) == outcomes[-1]
        lake.sweep_staging()
        assert leftovers(lake) == []
        shutil.rmtree(lake.root, ignore_errors=True)
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {False, True}


def test_of_eight_writers_one_wins_and_the_others_say_so(lake: Lake, child: Child) -> None:
    answers = child.ask(do="race", workers=8)
    assert answers.count("open") == 1
    assert sum("another process is writing" in answer for answer in answers) == 7
    winner = answers.index("open")
    assert lake.read(*PLACE, verify=True)["qty"].unique().to_pylist() == [winner]
    lake.sweep_staging()
    assert leftovers(lake) == []


@pytest.mark.parametrize(
    ("code", "forever", "told", "can_exchange"),
    [
        (errno.ENOSPC, True, "the disk is full", True),
        (errno.EIO, False, "the disk reported an error", True),
        (errno.ENOSPC, True, "the disk is full", False),
        (errno.EROFS, False, "the lake cannot be written", False),
    ],
)
def test_disk_failing_at_any_step_gives_one_clear_error_and_keeps_the_partition(
    tmp_path: Path,
    versions: dict[int, dict[str, bytes]],
    code: int,
    forever: bool,
    told: str,
    can_exchange: bool,
) -> None:
    steps = steps_of_a_commit(tmp_path, can_exchange=can_exchange)
    lake = open_lake(tmp_path / "lake")
    put(lake, crash_rows(0))
    old = tree(lake.partition_dir(*PLACE))
    assert old == versions[0]
    refused = 0
    for step in range(1, steps + 1):
        disk = FailingDisk(step, code, forever=forever, can_exchange=can_exchange)
        error = error_of(lambda disk=disk: put(open_lake(lake.root, disk=disk), crash_rows(1)))
        if error is not None:
            refused += 1
            assert told in str(error)
            assert "give the same command again" in str(error)
            assert tree(lake.partition_dir(*PLACE)) == old, f"step {step} {disk.failed}"
        else:  # only the clean-up after the commit may fail unheard
            assert set(disk.failed) <= {"remove_file", "remove_folder"}, f"step {step} {disk.failed}"
            assert tree(lake.partition_dir(*PLACE)) == versions[1]
            put(lake, crash_rows(0))
        if not set(disk.failed) & {"remove_file", "remove_folder"}:
            assert leftovers(lake) == [], f"step {step} {disk.failed}"
        lake.sweep_staging()
        assert leftovers(lake) == [], f"step {step} {disk.failed}: not swept"
    assert refused > 10


def test_disk_failing_in_the_middle_of_a_joint_commit_takes_all_tables_back(tmp_path: Path) -> None:
    def put_both(lake: Lake, version: int) -> None:
        with lake.writer(*PLACE) as wide, lake.writer(*NARROW_PLACE) as narrow:
            wide.write(crash_rows(version))
            narrow.write(narrow_rows(windows=4 + version))
            wide.finish(**FIELDS, engine_run=f"run{version}")
            narrow.finish(**FIELDS, engine_run=f"run{version}")
            lake.commit_together([wide, narrow])

    lake = open_lake(tmp_path / "lake")
    put_both(lake, 0)
    old = tree(lake.root)
    disk = CountingDisk()
    put_both(open_lake(tmp_path / "counted", disk=disk), 0)
    failures = 0
    for step in range(1, disk.steps + 1):
        try:
            put_both(open_lake(lake.root, disk=FailingDisk(step, errno.EIO)), 1)
        except LakeError:
            failures += 1
            lake.sweep_staging()
            assert tree(lake.root) == old
        else:
            put_both(lake, 0)
        assert lake.require_same_run([PLACE, NARROW_PLACE]) == "run0"
    assert failures > 10


def test_crash_between_two_swaps_of_one_pass_is_detected(lake: Lake) -> None:
    def put_both(disk: CountingDisk | None, run: str) -> None:
        opened = open_lake(lake.root, disk=disk)
        with opened.writer(*PLACE) as wide, opened.writer(*NARROW_PLACE) as narrow:
            wide.write(crash_rows(1))
            narrow.write(narrow_rows())
            wide.finish(**FIELDS, engine_run=run)
            narrow.finish(**FIELDS, engine_run=run)
            opened.commit_together([wide, narrow])

    class DiesAtSecondExchange(CountingDisk):
        swaps = 0

        def before(self, name: str) -> None:
            self.swaps += name == "exchange"
            if self.swaps == 2:
                os.kill(os.getpid(), signal.SIGKILL)

    put_both(None, "run0")
    pid = os.fork()
    if pid == 0:
        try:
            put_both(DiesAtSecondExchange(), "run1")
        finally:
            os._exit(1)
    assert os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    assert {lake.manifest(*place).engine_run for place in (PLACE, NARROW_PLACE)} == {"run0", "run1"}
    with pytest.raises(LakeError, match="different engine passes"):
        lake.require_same_run([PLACE, NARROW_PLACE])
    assert "mixed_run" in {finding.kind for finding in lake.doctor()}
    assert "orphaned" in {finding.kind for finding in lake.doctor()}
    put_both(None, "run2")
    assert lake.require_same_run([PLACE, NARROW_PLACE]) == "run2"
    assert lake.doctor() == []


def test_real_full_disk_is_one_clear_error(lake: Lake) -> None:
    """A file-size limit of the kernel: write() itself comes back short, then refuses."""
    put(lake, crash_rows(0))
    before = tree(lake.root)
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from tests.data_eng.lake_tables import *\n"
        "from data_eng.errors import LakeError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "try: put(open_lake(Path(sys.argv[1])), crash_rows(1))\n"
        "except LakeError as exc: sys.exit(str(exc))\n"
    )
    repository = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, str(lake.root)],
        capture_output=True,
        text=True,
        cwd=repository,
        env={**os.environ, "PYTHONPATH": f"{repository / 'src'}:{repository}"},
        check=False,
    )
    assert done.returncode == 1
    assert "the disk is full (File too large)" in done.stderr
    assert "Traceback" not in done.stderr
    assert tree(lake.root) == before
    assert leftovers(lake) == []


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two renames"])
def test_reader_racing_a_writer_sees_whole_versions_only(lake: Lake, child: Child, exchange: bool) -> None:
    put(lake, crash_rows(2))
    pid = child.ask(do="loop", version=2, exchange=exchange)
    seen: list[int] = []
    failures: list[BaseException] = []

    def read() -> None:
        try:
            deadline = time.monotonic() + 1.0
            while time.monotonic() < deadline:
                (version,) = lake.read(*PLACE, verify=True)["qty"].unique().to_pylist()
                seen.append(version)
                batches = {v for b in lake.iter_batches(*PLACE) for v in b.column("qty").unique().to_pylist()}
                assert len(batches) == 1
        except BaseException as exc:  # noqa: BLE001 - carried to the main thread, which raises it
            failures.append(exc)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    os.kill(pid, signal.SIGKILL)
    child.ask(do="reap", pid=pid)
    if failures:
        raise failures[0]
    assert {2, 3} == set(seen), "the partition never changed while it was read"


def test_opened_batches_are_read_to_their_end_after_a_swap(lake: Lake) -> None:
    put(lake, crash_rows(1))
    batches = lake.iter_batches(*PLACE)
    first = next(batches)
    put(lake, crash_rows(2))
    rest = list(batches)
    assert {v for b in [first, *rest] for v in b.column("qty").unique().to_pylist()} == {1}
    assert sum(b.num_rows for b in [first, *rest]) == 640


def test_sweep_touches_no_living_writer(lake: Lake) -> None:
    with lake.writer(*PLACE) as writer:
        writer.write(crash_rows(1))
        assert open_lake(lake.root).sweep_staging() == []
        put(lake, narrow_rows(), NARROW_PLACE)
        writer.finish(**FIELDS)
        writer.commit()
    assert lake.has(*PLACE)


def test_swap_file_of_another_place_never_moves_folders_out_of_the_lake(lake: Lake, tmp_path: Path) -> None:
    put(lake, crash_rows(1))
    dead = lake.root / "_staging" / "dead"
    (dead / "partition").mkdir(parents=True)
    (dead / "lock").touch()
    (dead / "swap.json").write_text(json.dumps({"target": "../outside"}))
    assert lake.sweep_staging() == [dead]
    assert not (tmp_path / "outside").exists()
