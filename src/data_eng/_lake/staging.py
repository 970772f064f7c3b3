"""Staging folders, locks and the swap: how a partition becomes visible (design 4).

    lake/_staging/<uuid>/lock          flock'ed while its writer lives; free = abandoned
    lake/_staging/<uuid>/partition/    the new partition; after the swap the old one, until it is deleted
    lake/_staging/<uuid>/swap.json     only without RENAME_EXCHANGE: which partition is being swapped
    lake/_staging/<uuid>/old/          only without RENAME_EXCHANGE: the partition renamed away
    lake/_staging/locks/<partition>    flock'ed while somebody writes that partition

Laws. 1 What lies at the partition's path is complete and durable, always.
      2 The kernel releases a flock when its process dies, by whatever cause; so "locked" means "alive",
        and no clock, pid or heartbeat is asked.
      3 Lock files are deleted by their holder only, and a holder checks after locking that the path
        still names the file it locked; so two processes never hold "the" lock through two inodes.
      4 Without RENAME_EXCHANGE there is a moment without partition. A swap.json names it before it begins;
        readers of `data_eng.lake` wait for a living writer and finish the swap of a dead one.
flock is local: a lake shared between machines needs one writing machine.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from data_eng._lake.disk import Disk, ExchangeUnsupportedError

STAGING: Final = "_staging"
_LOCKS: Final = "locks"
_SWAP_WAIT_S: Final = 5.0
"""how long a reader waits for a living writer between its two renames; they are microseconds apart"""
_LOCK_PAUSES_S: Final = (0.001, 0.004, 0.02)


@dataclass
class FileLock:
    """An exclusive flock. `release` is idempotent and does nothing in a forked child."""

    path: Path
    fd: int
    pid: int = field(default_factory=os.getpid)

    @classmethod
    def take(cls, path: Path) -> FileLock | None:
        """Lock that file, creating it; None when another open file holds it.

        Raises `FileNotFoundError` when the folder is gone (swept before it was locked).
        """
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                return None
            except BaseException:
                os.close(fd)
                raise
            try:
                if os.fstat(fd).st_ino == path.stat().st_ino:
                    return cls(path, fd)
            except FileNotFoundError:
                pass  # its last holder deleted it between our open and our flock: take the next one
            os.close(fd)

    @property
    def mine(self) -> bool:
        """Held, and by this process: a forked child must neither release nor clean up."""
        return self.fd >= 0 and self.pid == os.getpid()

    def release(self, *, delete: bool = True) -> None:
        """Delete the file (unless it has to guard what is left in its folder) and unlock."""
        if not self.mine:
            return
        fd, self.fd = self.fd, -1
        if delete:
            with contextlib.suppress(OSError):  # a leftover lock file is free, and the next sweep takes it
                self.path.unlink()
        fcntl.flock(fd, fcntl.LOCK_UN)  # explicit: a forked child may still hold a copy of the descriptor
        os.close(fd)


def is_held(path: Path) -> bool:
    """Whether a living process holds that lock file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


@dataclass
class Staged:
    """One writer's folder below `_staging`."""

    path: Path
    lock: FileLock
    disk: Disk

    @property
    def partition(self) -> Path:
        """Where the new partition is built."""
        return self.path / "partition"

    def remove(self) -> None:
        """Delete the folder, the lock file last: until then nobody else touches it."""
        if not self.lock.mine:
            return
        try:
            for name in ("partition", "old"):
                self.disk.remove_tree(self.path / name)
            with contextlib.suppress(FileNotFoundError):
                self.disk.remove_file(self.path / "swap.json")
        except BaseException:
            self.lock.release(delete=False)  # a sweep takes only folders that have a lock file
            raise
        self.lock.release()
        with contextlib.suppress(OSError):  # a sweep came in between; an empty folder is its to delete
            self.disk.remove_folder(self.path)


class StagingArea:
    """`lake/_staging` of one lake."""

    def __init__(self, root: Path, disk: Disk) -> None:
        self.root = root
        self.path = root / STAGING
        self.disk = disk

    def new(self) -> Staged:
        """Fresh staging folder with its lock held and an empty `partition` inside."""
        while True:
            self.disk.make_folders(self.path)
            path = self.path / uuid.uuid4().hex
            self.disk.make_folder(path)
            try:
                lock = FileLock.take(path / "lock")
            except FileNotFoundError:
                continue  # a sweep saw the folder before it had a lock
            except OSError:
                with contextlib.suppress(OSError):
                    self.disk.remove_folder(path)
                raise
            if lock is None:  # a sweep holds it and is about to delete the folder
                continue
            staged = Staged(path, lock, self.disk)
            try:
                self.disk.make_folder(staged.partition)
            except OSError:
                with contextlib.suppress(OSError):
                    staged.remove()
                raise
            return staged

    def lock_partition(self, target: Path) -> FileLock | None:
        """Writer's lock of a partition, None when somebody else writes it."""
        path = self._lock_path(target)
        self.disk.make_folders(path.parent)
        for pause_s in _LOCK_PAUSES_S:
            if (lock := FileLock.take(path)) is not None:
                return lock
            time.sleep(pause_s)  # a sweep or a reader of another process holds it for microseconds
        return FileLock.take(path)

    def sweep(self, *, holding: Path | None = None) -> list[Path]:
        """Finish the swaps and delete the folders of dead writers; returns what was removed.

        `holding` is a partition whose lock the caller has. Living writers are never touched. What cannot
        be removed stays for the next sweep: a sweep never stops the work that comes after it.
        """
        removed = []
        for path in self._folders():
            with contextlib.suppress(OSError):
                if not (path / "lock").exists():
                    self.disk.remove_folder(path)  # only if empty: its maker died before locking
                elif (lock := FileLock.take(path / "lock")) is None:
                    continue
                elif self._finish_swap(path, holding):
                    Staged(path, lock, self.disk).remove()
                else:
                    lock.release(delete=False)
                    continue
                removed.append(path)
        for path in sorted((self.path / _LOCKS).glob("*")):
            with contextlib.suppress(OSError):
                if (lock := FileLock.take(path)) is not None:
                    lock.release()
        return removed

    def abandoned(self) -> list[Path]:
        """Folders of dead writers, for `doctor`."""
        return [path for path in self._folders() if not is_held(path / "lock")]

    def settle(self, target: Path) -> bool:
        """Called when nothing lies at `target`: whether a swap without exchange explains it.

        Waits for a living writer and finishes the swap of a dead one; True means "look again".
        """
        deadline = time.monotonic() + _SWAP_WAIT_S
        seen = False
        while any(self._swap_target(path) == target for path in self._folders()):
            seen = True
            if target.exists() or time.monotonic() > deadline:
                break
            if not is_held(self._lock_path(target)):
                self.sweep()
            time.sleep(0.002)
        return seen or target.exists()

    def _folders(self) -> list[Path]:
        try:
            return sorted(path for path in self.path.iterdir() if path.name != _LOCKS and path.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _lock_path(self, target: Path) -> Path:
        return self.path / _LOCKS / "~".join(target.relative_to(self.root).parts)

    def _swap_target(self, path: Path) -> Path | None:
        try:
            named = json.loads((path / "swap.json").read_bytes())["target"]
        except (OSError, ValueError, KeyError, TypeError):
            return None  # no swap begun: the file is complete and durable before the first rename
        target = self.root / named
        return target if ".." not in target.parts and target.is_relative_to(self.root) else None

    def _finish_swap(self, path: Path, holding: Path | None) -> bool:
        """Complete the swap of a dead writer; False when the partition is being written just now."""
        target = self._swap_target(path)
        if target is None or target.exists():
            return True
        lock = None
        if target != holding:
            lock = self.lock_partition(target)
            if lock is None:
                return False
        try:
            if not target.exists():
                new, old = path / "partition", path / "old"
                self.disk.rename(new if new.exists() else old, target)
                self.disk.sync_folder(target.parent)
        finally:
            if lock is not None:
                lock.release()
        return True


@dataclass
class Swap:
    """Puts one finished staging folder at its target; `undo` puts the old one back."""

    staged: Staged
    target: Path
    root: Path
    _done: str = ""

    def do(self) -> None:
        """The step that makes the new partition visible."""
        disk, new = self.staged.disk, self.staged.partition
        disk.make_folders(self.target.parent)
        if not self.target.exists():
            disk.rename(new, self.target)
            self._done = "placed"
            return
        try:
            disk.exchange(new, self.target)
            self._done = "exchanged"
        except ExchangeUnsupportedError:
            self._rename_twice()

    def _rename_twice(self) -> None:
        disk, path = self.staged.disk, self.staged.path
        intent = {"target": self.target.relative_to(self.root).as_posix()}
        disk.write_file(path / "swap.json", json.dumps(intent).encode())
        disk.sync_folder(path)
        disk.rename(self.target, path / "old")
        try:
            disk.rename(self.staged.partition, self.target)
        except BaseException:
            disk.rename(path / "old", self.target)
            raise
        self._done = "renamed"

    def sync(self) -> None:
        """Make the swap durable: both parents."""
        self.staged.disk.sync_folder(self.target.parent)
        self.staged.disk.sync_folder(self.staged.path)

    def undo(self) -> None:
        """Back to the state before `do`."""
        disk, new = self.staged.disk, self.staged.partition
        if self._done == "exchanged":
            disk.exchange(new, self.target)
        elif self._done:
            disk.rename(self.target, new)
            if self._done == "renamed":
                disk.rename(self.staged.path / "old", self.target)
        self._done = ""


class SwapStuckError(OSError):
    """A swap failed and could not be undone: some new partitions are in place, complete, maybe not all."""


def swap_together(swaps: Sequence[Swap]) -> None:
    """All swaps, or none of them when one fails; a crash in between leaves some of each.

    Raises `OSError` of the step that failed, after the swaps done so far were undone, or
    `SwapStuckError` when the disk refused that too.
    """
    try:
        for swap in swaps:
            swap.do()
        for swap in swaps:
            swap.sync()
    except BaseException as first:
        stuck = []
        for swap in reversed(swaps):
            try:
                swap.undo()
            except OSError:
                stuck.append(swap.target)
        if stuck and isinstance(first, OSError):
            raise SwapStuckError(first.errno, first.strerror, str(stuck[-1])) from first
        raise


@contextlib.contextmanager
def removed_afterwards(staged: Staged) -> Iterator[Staged]:
    """Delete the staging folder at the end; what cannot be deleted is left for the next sweep."""
    try:
        yield staged
    finally:
        with contextlib.suppress(OSError):
            staged.remove()
