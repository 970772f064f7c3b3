"""Errors a user can act on. Every message says what, found, wanted, where and the cure.

Exit codes (spec 11): 1 = a check or a run failed, 2 = usage or missing data.
The edge (CLI, scripts) prints the message of a `SpymasterError` without a traceback and exits
with its `exit_code`; anything else is a bug of ours and keeps its traceback.
"""

from __future__ import annotations


class SpymasterError(Exception):
    """Base of all errors meant for the user; `exit_code` is what a command returns."""

    exit_code: int = 1


class UsageError(SpymasterError):
    """The request itself cannot be understood or fulfilled (bad date, unknown table)."""

    exit_code = 2


class MissingDataError(SpymasterError):
    """Input that the user has to provide, or a partition that has to be built first, is absent."""

    exit_code = 2


class RawDataError(SpymasterError):
    """A raw DBN file is refused: wrong dataset or schema, cut, corrupt, a bomb, unreadable."""

    exit_code = 2


class LakeError(SpymasterError):
    """The lake cannot be written or read as asked: full disk, locked, damaged partition."""


class SchemaError(SpymasterError):
    """A table does not fulfil its declaration in `data_eng.schema`."""


class EngineError(SpymasterError):
    """The book engine met a value that its declared output types cannot hold."""
