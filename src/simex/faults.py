"""Faults on demand: what a broken feed does to a file. Each is seeded, counted and written into truth_meta.

The truth files keep telling what really happened; only the DBN file of the future is damaged.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from simex.feed import Words

Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]

_ACTION_SHIFT: Final = 48


def _is(words: Words, action: str) -> Mask:
    return np.asarray((words[:, 4] >> _ACTION_SHIFT & 255) == ord(action))


def _is_single(words: Words) -> Mask:
    last = (words[:, 4] >> 39 & 1) == 1
    return np.asarray(last & np.append(True, last[:-1]))


def _every(mask: Mask, n: int) -> Rows:
    rows = np.flatnonzero(mask)
    return np.asarray(rows[min(n // 2, max(len(rows) - 1, 0)) :: n])


def drop_cancel(words: Words) -> tuple[Words, int]:
    """Loses one in 500 cancels."""
    rows = _every(_is(words, "C") & _is_single(words), 500)
    return np.delete(words, rows, axis=0), len(rows)


def duplicate_add(words: Words) -> tuple[Words, int]:
    """Sends one in 500 adds twice."""
    rows = _every(_is(words, "A") & _is_single(words), 500)
    return np.insert(words, rows + 1, words[rows], axis=0), len(rows)


def swap(words: Words) -> tuple[Words, int]:
    """Swaps one in 5,000 neighbouring events: late records."""
    single = _is_single(words)
    rows = _every(single[:-1] & single[1:], 5000)
    words = words.copy()
    words[rows], words[rows + 1] = words[rows + 1].copy(), words[rows].copy()
    return words, len(rows)


def wrong_instrument(words: Words) -> tuple[Words, int]:
    """Gives one in 500 events an instrument id that no definition knows."""
    rows = _every(_is_single(words), 500)
    words = words.copy()
    words[rows, 0] = (words[rows, 0] & 0xFFFFFFFF) | (99_999_999 << 32)
    return words, len(rows)


def missing_last(words: Words) -> tuple[Words, int]:
    """Loses the F_LAST flag of one in 500 events."""
    rows = _every(_is_single(words), 500)
    words = words.copy()
    words[rows, 4] &= ~(128 << 32)
    return words, len(rows)


RECORD_FAULTS: Final[dict[str, Callable[[Words], tuple[Words, int]]]] = {
    "drop_cancel": drop_cancel,
    "duplicate_add": duplicate_add,
    "swap": swap,
    "wrong_instrument": wrong_instrument,
    "missing_last": missing_last,
}
FILE_FAULTS: Final = ("truncate", "version_mix")
NAMES: Final = (*RECORD_FAULTS, *FILE_FAULTS)


def truncate(path: Path) -> None:
    """Cuts the last tenth off a file."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size - size // 10)
