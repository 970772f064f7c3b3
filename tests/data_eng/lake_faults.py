"""Disks that misbehave at a chosen step: fail there, die there, or know no exchange."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path
from typing import Any

from data_eng._lake.disk import Disk, ExchangeUnsupportedError

STEPS = ("create", "write", "fsync", "rename", "exchange", "make_folder", "remove_file", "remove_folder")


class CountingDisk(Disk):
    """Counts the steps; `at(step number, name)` is called before each."""

    def __init__(self, *, can_exchange: bool = True) -> None:
        self.steps = 0
        self.can_exchange = can_exchange
        self.armed = True

    def before(self, name: str) -> None:
        """Hook of the subclasses."""

    def exchange(self, one: Path, other: Path) -> None:
        if not self.can_exchange:
            raise ExchangeUnsupportedError(errno.ENOSYS, "no exchange here")
        self._count("exchange")
        Disk.exchange(self, one, other)

    def _count(self, name: str) -> None:
        if self.armed:
            self.steps += 1
            self.before(name)


def _counted(name: str) -> Any:
    plain = getattr(Disk, name)

    def step(self: CountingDisk, *args: Any) -> Any:
        self._count(name)
        return plain(self, *args)

    return step


for _name in STEPS:
    if _name != "exchange":
        setattr(CountingDisk, _name, _counted(_name))


class FailingDisk(CountingDisk):
    """Raises at step `n`; with `forever`, every later write and fsync fails too, as on a full disk."""

    def __init__(self, n: int, code: int, *, forever: bool = False, can_exchange: bool = True) -> None:
        super().__init__(can_exchange=can_exchange)
        self.n, self.code, self.forever = n, code, forever
        self.failed: list[str] = []

    def before(self, name: str) -> None:
        again = self.forever and self.failed and name in ("create", "write", "fsync", "make_folder")
        if self.steps == self.n or again:
            self.failed.append(name)
            raise OSError(self.code, os.strerror(self.code))


class DyingDisk(CountingDisk):
    """kill -9 of the own process before step `n`."""

    def __init__(self, n: int, *, can_exchange: bool = True) -> None:
        super().__init__(can_exchange=can_exchange)
        self.n = n

    def before(self, name: str) -> None:
        if self.steps == self.n:
            os.kill(os.getpid(), signal.SIGKILL)
