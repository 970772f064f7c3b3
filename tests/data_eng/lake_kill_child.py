"""A process that writes partitions and is killed: `python -m tests.data_eng.lake_kill_child SCRATCH`.

It imports everything once and forks a worker per command on stdin, so a kill costs milliseconds.
Commands, one JSON object per line, each with the "root" of a lake; one line of answer each:
    {"do": "loop", "version": v, "exchange": bool}      pid; writes version v, v+1, v, ... until killed
    {"do": "die", "version": v, "step": n, "exchange": bool}   status; kill -9 before disk step n
    {"do": "reap", "pid": pid}                          status of a killed worker
    {"do": "race", "workers": n}                        answers of n workers that open one partition at once
"""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from data_eng.errors import LakeError
from tests.data_eng.lake_faults import CountingDisk, DyingDisk
from tests.data_eng.lake_tables import PLACE, crash_rows, open_lake, put


def _fork(work: Any) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return pid


def _loop(root: Path, version: int, *, exchange: bool) -> None:
    lake = open_lake(root, disk=CountingDisk(can_exchange=exchange))
    turn = 0
    while True:
        put(lake, crash_rows(version + turn % 2))
        turn += 1


def _race(root: Path, workers: int) -> list[str]:
    go_read, go_write = os.pipe()
    reports: list[tuple[int, int]] = []
    done_read, done_write = os.pipe()

    def work(report: int, version: int) -> None:
        os.read(go_read, 1)
        try:
            with open_lake(root).writer(*PLACE) as writer:
                writer.write(crash_rows(version))
                writer.finish(stage="race", origin="recorded", verified=True, code_version="c")
                os.write(report, b"open")
                os.read(done_read, 1)  # hold the partition until every other one has answered
                writer.commit()
        except LakeError as exc:
            os.write(report, str(exc).encode())

    pids = []
    for version in range(workers):
        read, write = os.pipe()
        reports.append((read, version))
        pids.append(_fork(partial(work, write, version)))
        os.close(write)
    os.write(go_write, b"g" * workers)
    answers = [os.read(read, 4096).decode() for read, _ in reports]
    os.write(done_write, b"d" * workers)
    for pid in pids:
        os.waitpid(pid, 0)
    return answers


def main() -> None:
    put(open_lake(Path(sys.argv[1]) / "warm"), crash_rows(0))  # lazy imports, once for all workers
    for line in sys.stdin:
        command = json.loads(line)
        root = Path(command["root"])
        answer: Any
        if command["do"] == "loop":
            version, exchange = command["version"], command["exchange"]
            answer = _fork(partial(_loop, root, version, exchange=exchange))
        elif command["do"] == "die":
            disk = DyingDisk(command["step"], can_exchange=command["exchange"])
            rows = crash_rows(command["version"])
            pid = _fork(partial(put, open_lake(root, disk=disk), rows))
            answer = os.waitpid(pid, 0)[1]
        elif command["do"] == "reap":
            answer = os.waitpid(command["pid"], 0)[1]
        else:
            answer = _race(root, command["workers"])
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
