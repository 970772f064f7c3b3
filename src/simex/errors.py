"""Errors of the synthetic exchange. Each message says what, found, wanted and the cure in one sentence."""

from __future__ import annotations


class SimexError(Exception):
    """A request that cannot be fulfilled, or a folder that cannot be written; the command exits with 2."""

    exit_code: int = 2
