"""The test's end of `fork_server`: start it, warm it, send it commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.hostility.days import day_job, write_raw

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Answer:
    """What a shell would have seen of one command; `marks`: stage -> [start] or [start, end] in seconds."""

    code: int
    out: str
    err: str
    secs: float
    marks: dict[str, list[float]]

    @property
    def sentence(self) -> str:
        """The one sentence on standard error; fails when there is more, or a traceback."""
        assert "Traceback" not in self.err, self.err
        assert "HANGS" not in self.err, self.err
        assert self.err.count("\n") == 1, f"expected one line on standard error: {self.err!r}"
        return self.err.strip()


def child_environment() -> dict[str, str]:
    """Environment in which a child process imports this repository's packages and tests."""
    kept = {k: v for k, v in os.environ.items() if k not in ("SPYMASTER_LAKE", "SPYMASTER_RAW")}
    return {**kept, "PYTHONPATH": f"{REPOSITORY / 'src'}:{REPOSITORY}"}


class Runner:
    """Runs command lines in children of one warm `fork_server`. A context manager."""

    def __init__(self, scratch: Path) -> None:
        """`scratch` takes the lake of the warm-up run."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostility.fork_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env=child_environment(),
            start_new_session=True,  # Ctrl-C is for the campaign, which then ends the server in order
        )
        raw = write_raw(scratch / "warm_raw")
        assert self._ask(do="warm", argv=day_job(raw, scratch / "warm_lake", gex=True))["code"] == 0

    def __enter__(self) -> Runner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=150)

    def run(self, argv: Sequence[str], **how: Any) -> Answer:
        """One command line, undisturbed but for `disk` and `limits` (see `fork_server`)."""
        return self.run_all([argv], **how)[0]

    def run_all(self, argvs: Sequence[Sequence[str]], **how: Any) -> list[Answer]:
        """All of them at once."""
        answers = self._ask(do="run", argvs=[[str(word) for word in argv] for argv in argvs], **how)
        return [Answer(**answer) for answer in answers]

    def kill(self, argv: Sequence[str], stage: str, delay_s: float) -> Answer:
        """Run and kill -9 after `delay_s` of that stage; the code is -9 when the kill came in time."""
        return Answer(**self._ask(do="kill", argv=[str(word) for word in argv], stage=stage, delay_s=delay_s))

    def corrupt(self, folder: Path, inputs: Sequence[tuple[str, str, int]]) -> Answer:
        """Try those corrupt inputs in one child (see `corruption`)."""
        return Answer(**self._ask(do="corrupt", folder=str(folder), inputs=[list(one) for one in inputs]))

    def _ask(self, **command: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the fork server died"
        return json.loads(answer)
