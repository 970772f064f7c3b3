"""Runs one of the children of this folder with numba's JIT off, and reads its report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[3]


def report_without_jit(child: str) -> dict[str, Any]:
    """What the script `child` of this folder prints as JSON; it has to end with 0."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name(child))],
        env=os.environ
        | {
            "NUMBA_DISABLE_JIT": "1",
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY)]),
        },
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report
