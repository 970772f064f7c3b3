"""The whole futures part of a real day, and its checks, inside 2 GiB of address space."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostility.runner import REPOSITORY, child_environment

LIMIT_BYTES = 2 << 30
"""of address space: stacks of threads and reserved but untouched memory count too"""
DAY = ("--dt", "2023-12-25", "--symbol", "ESH4")


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))


def _script(name: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, REPOSITORY / "scripts" / name, *DAY, *words],
        capture_output=True,
        text=True,
        check=False,
        env=child_environment(),
        preexec_fn=_limit,
    )


def test_the_real_hour_runs_and_verifies_inside_2_gib_of_address_space(
    real_esh4: Path, tmp_path: Path
) -> None:
    run = _script("run_pipeline_2026_01_06.py", "--raw", real_esh4.parent, "--lake", tmp_path, "--no-gex")
    assert (run.returncode, run.stderr) == (0, "")
    assert "stage_end futures_surfaces" in run.stdout
    for checks in ("test_data_integrity.py", "test_physics_integrity.py"):
        done = _script(checks, "--lake", tmp_path)
        assert done.returncode == 0, done.stdout[-2_000:] + done.stderr
        assert "PASS" in done.stdout


def test_the_limit_is_really_set() -> None:
    code = "import numpy; numpy.ones(2 << 30, 'u1')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, preexec_fn=_limit
    )
    assert done.returncode == 1
    assert "MemoryError" in done.stderr


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to read the peak")
def test_threads_of_a_small_run_reserve_little_address_space(tmp_path: Path) -> None:
    """Start-up alone must leave most of the 2 GiB to the work, whatever the number of cores."""
    code = (
        "import data_eng.pipeline, data_eng.lake, pyarrow.parquet\n"
        "from pathlib import Path\n"
        "text = Path('/proc/self/status').read_text()\n"
        "print(next(line.split()[1] for line in text.splitlines() if line.startswith('VmPeak')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=child_environment()
    )
    assert int(done.stdout) * 1024 < LIMIT_BYTES // 2
