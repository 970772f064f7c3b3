"""Every change the lake makes to a disk, one small method each.

Why a class: tests replace it to let the n-th write, fsync or rename fail, or to kill the process there,
so each promise of the commit protocol is tried at every single step (design 4).
Methods raise `OSError`; `disk_trouble` turns that into the one sentence a user reads.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from pathlib import Path
from typing import Final

from data_eng.errors import LakeError

_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2
_NO_EXCHANGE: Final = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP})
"""what renameat2 answers on kernels and file systems without RENAME_EXCHANGE"""
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_REFUSED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class ExchangeUnsupportedError(OSError):
    """This kernel or file system cannot exchange two folders in one rename."""


class Disk:
    """A POSIX file system. Folders are made durable by their parent's `sync_folder`."""

    def create(self, path: Path) -> int:
        """Open a new file for writing; it must not exist yet."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def write(self, fd: int, data: bytes | memoryview) -> None:
        """Write all of `data`: a short write goes on or ends in an error, it is never taken for success."""
        view = memoryview(data).cast("B")
        while view:
            view = view[os.write(fd, view) :]

    def fsync(self, fd: int) -> None:
        """Make a file or folder durable."""
        os.fsync(fd)

    def rename(self, source: Path, target: Path) -> None:
        """Atomic rename."""
        source.rename(target)

    def exchange(self, one: Path, other: Path) -> None:
        """Swap two folders in one atomic step, or raise `ExchangeUnsupportedError`."""
        try:
            renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
        except (OSError, AttributeError) as exc:
            raise ExchangeUnsupportedError(errno.ENOSYS, "no renameat2 in the C library") from exc
        if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE):
            code = ctypes.get_errno()
            kind = ExchangeUnsupportedError if code in _NO_EXCHANGE else OSError
            raise kind(code, os.strerror(code), str(one), None, str(other))

    def make_folder(self, path: Path) -> None:
        """Create one folder."""
        path.mkdir()

    def remove_file(self, path: Path) -> None:
        """Delete a file."""
        path.unlink()

    def remove_folder(self, path: Path) -> None:
        """Delete an empty folder."""
        path.rmdir()

    # built from the steps above

    def write_file(self, path: Path, data: bytes) -> None:
        """New durable file with that content (its name is durable after the folder's sync)."""
        fd = self.create(path)
        try:
            self.write(fd, data)
            self.fsync(fd)
        finally:
            os.close(fd)

    def sync_folder(self, path: Path) -> None:
        """Make the names inside a folder durable."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.fsync(fd)
        finally:
            os.close(fd)

    def make_folders(self, path: Path) -> None:
        """Create a folder and its parents, each name durable; existing ones are fine."""
        if path.is_dir():
            return
        self.make_folders(path.parent)
        with contextlib.suppress(FileExistsError):  # another writer was faster; a file there fails below
            self.make_folder(path)
        self.sync_folder(path.parent)

    def remove_tree(self, path: Path) -> None:
        """Delete a folder and all in it; absent is fine, another process deleting along is fine."""
        try:
            entries = list(os.scandir(path))
        except FileNotFoundError:
            return
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                self.remove_tree(Path(entry.path))
            else:
                with contextlib.suppress(FileNotFoundError):
                    self.remove_file(Path(entry.path))
        with contextlib.suppress(FileNotFoundError):
            self.remove_folder(path)


def disk_trouble(exc: OSError, doing: str, where: Path) -> LakeError:
    """The error a user reads when the operating system refused a step of a commit."""
    reason = exc.strerror or str(exc) or type(exc).__name__
    if exc.errno in _FULL:
        head, first = f"the disk is full ({reason})", "free some space, then "
    elif exc.errno in (errno.ENOTDIR, errno.EEXIST):
        head, first = f"a file stands where a folder belongs ({reason})", "name a folder as --lake, then "
    elif exc.errno in _REFUSED:
        head, first = f"the lake cannot be written ({reason})", "make that folder writable, then "
    else:
        head, first = f"the disk reported an error ({reason})", "check the disk, then "
    at = f" at {exc.filename}" if exc.filename else ""
    return LakeError(
        f"{head} while {doing} {where}{at}; the partition that was there is unchanged; {first}"
        "give the same command again"
    )
