"""A process that runs `spymaster` command lines in forked children, and lets bad things happen to them.

`python -m tests.hostility.fork_server` imports everything and runs one warm-up day; each child is a fork
of it, so a run costs its own work and not the start of an interpreter. A kill therefore lands in a stage
and not in an import. Commands are JSON objects, one per line on stdin, each answered by one line:

    {"do": "warm", "argv": [...]}                           Run in a child; what it loaded from disk is cached
    {"do": "run", "argvs": [[...], ...], "disk": .., "limits": {"RLIMIT_FSIZE": bytes}}
                                                            runs all of them at once -> list of answers
    {"do": "kill", "argv": [...], "stage": name, "delay_s": s}   kill -9 that long after the stage began
    {"do": "corrupt", "folder": path, "inputs": [[source, kind, seed], ...]}
                                                            `corruption.try_inputs` in a child

An answer is {"code": exit code or minus the signal, "out": text, "err": text, "secs": s, "marks":
{stage: [start, end]}}; "disk" is {"n": step, "code": errno, "forever": bool} of `lake_faults.FailingDisk`.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import data_eng.lake
from spymaster.cli import app
from spymaster.edge import run_app
from tests.data_eng.lake_faults import FailingDisk
from tests.hostility import corruption

HANG_S = 120
"""a child that needs longer hangs: it is killed, and its answer says so"""


@dataclass
class Child:
    """A forked run of one command line, and what its two pipes said so far."""

    pid: int
    out_fd: int
    err_fd: int
    begun: float = field(default_factory=time.monotonic)
    out: bytes = b""
    err: bytes = b""
    marks: dict[str, list[float]] = field(default_factory=dict)
    hung: bool = False

    def read(self, wait_s: float) -> bool:
        """Take what the child wrote within `wait_s`; False at the end of both pipes."""
        fds = [fd for fd in (self.out_fd, self.err_fd) if fd >= 0]
        if not fds:
            return False
        for fd in select.select(fds, [], [], max(0.0, wait_s))[0]:
            data = os.read(fd, 65_536)
            if fd == self.out_fd:
                self._mark(data)
                self.out += data
                self.out_fd = fd if data else -1
            else:
                self.err += data
                self.err_fd = fd if data else -1
            if not data:
                os.close(fd)
        if time.monotonic() - self.begun > HANG_S and not self.hung:
            self.hung = True
            os.kill(self.pid, signal.SIGKILL)
        return self.out_fd >= 0 or self.err_fd >= 0

    def _mark(self, data: bytes) -> None:
        now = time.monotonic() - self.begun
        for line in data.decode(errors="replace").splitlines():
            words = line.split()
            if words[:1] == ["stage_start"]:
                self.marks[words[1]] = [now]
            elif words[:1] == ["stage_end"] and words[1] in self.marks:
                self.marks[words[1]].append(now)

    def answer(self) -> dict[str, Any]:
        """Wait for the end."""
        while self.read(1.0):
            pass
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return {
            "code": code,
            "out": self.out.decode(errors="replace"),
            "err": self.err.decode(errors="replace") + ("HANGS: killed by the fork server" * self.hung),
            "secs": time.monotonic() - self.begun,
            "marks": self.marks,
        }


def start(work: Callable[[], int]) -> Child:
    """Fork a child that exits with what `work` returns."""
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out_write, 1)
        os.dup2(err_write, 2)
        os.closerange(3, max(err_read, err_write) + 1)
        sys.stdout = os.fdopen(1, "w")
        sys.stderr = os.fdopen(2, "w")
        try:
            code = work()
        except BaseException:  # noqa: BLE001 - what a shell would see: a traceback and exit code 1
            traceback.print_exc()
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    os.close(out_write)
    os.close(err_write)
    return Child(pid, out_read, err_read)


def run(argv: list[str], disk: dict[str, Any] | None = None, limits: dict[str, int] | None = None) -> int:
    """The command line, on a disk that fails at a step, or under limits of the kernel."""
    for name, value in (limits or {}).items():
        resource.setrlimit(getattr(resource, name), (value, value))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a file-size limit then is EFBIG, as a full disk is ENOSPC
    failing = None
    if disk is not None:
        failing = FailingDisk(disk["n"], disk["code"], forever=disk["forever"])
        data_eng.lake.Disk = partial(_same, failing)  # type: ignore[assignment,misc]  # what Lake() takes
    try:
        code = run_app(app, argv)
    except SystemExit as stop:  # the parser's way out
        code = stop.code if isinstance(stop.code, int) else 1
    if failing is not None:
        sys.stdout.write(f"disk_steps {failing.steps} failed {','.join(failing.failed)}\n")
    return code


def _same(disk: FailingDisk) -> FailingDisk:
    return disk


def kill(argv: list[str], stage: str, delay_s: float) -> dict[str, Any]:
    """Run, and kill -9 `delay_s` after the stage said that it began; a run that ends before is not killed."""
    child = start(partial(run, argv))
    while stage not in child.marks and child.read(1.0):
        pass
    if stage in child.marks:
        at = child.begun + child.marks[stage][0] + delay_s
        while (left := at - time.monotonic()) > 0 and child.read(left):
            pass
        os.kill(child.pid, signal.SIGKILL)  # not reaped yet, so the pid is still this child's
    return child.answer()


def main() -> None:
    """Answer commands until stdin ends."""
    for line in sys.stdin:
        command = json.loads(line)
        answer: Any
        if command["do"] == "warm":  # in this process: what it loads, every child has
            with Path(os.devnull).open("w") as sink:
                plain, sys.stdout = sys.stdout, sink
                code = run_app(app, command["argv"])
                sys.stdout = plain
            answer = {"code": code}
        elif command["do"] == "kill":
            answer = kill(command["argv"], command["stage"], command["delay_s"])
        elif command["do"] == "corrupt":
            inputs = [tuple(one) for one in command["inputs"]]
            answer = start(partial(corruption.try_inputs, Path(command["folder"]), inputs)).answer()
        else:
            how = {name: command[name] for name in ("disk", "limits") if name in command}
            children = [start(partial(run, argv, **how)) for argv in command["argvs"]]
            while sum(child.read(0.01) for child in children):  # a sum: every pipe is drained each time
                pass
            answer = [child.answer() for child in children]
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
