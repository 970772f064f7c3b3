"""Words of the feed: flags, actions, sides and phases, with values taken from the vendor package.

Flag bits come from `databento_dbn`, never from memory: with 128 taken for F_SNAPSHOT the book of a
real day is wiped thousands of times and a check of the valid rows still passes (spec 14).
"""

from __future__ import annotations

from typing import Final

import databento_dbn as dbn

F_LAST: Final = int(dbn.F_LAST)
F_TOB: Final = int(dbn.F_TOB)
F_SNAPSHOT: Final = int(dbn.F_SNAPSHOT)
F_MBP: Final = int(dbn.F_MBP)
F_BAD_TS_RECV: Final = int(dbn.F_BAD_TS_RECV)
F_MAYBE_BAD_BOOK: Final = int(dbn.F_MAYBE_BAD_BOOK)
F_PUBLISHER_SPECIFIC: Final = int(dbn.F_PUBLISHER_SPECIFIC)

FLAG_NAMES: Final[dict[int, str]] = {
    F_LAST: "F_LAST",
    F_TOB: "F_TOB",
    F_SNAPSHOT: "F_SNAPSHOT",
    F_MBP: "F_MBP",
    F_BAD_TS_RECV: "F_BAD_TS_RECV",
    F_MAYBE_BAD_BOOK: "F_MAYBE_BAD_BOOK",
    F_PUBLISHER_SPECIFIC: "F_PUBLISHER_SPECIFIC",
}

ACTION_ADD: Final = ord("A")
ACTION_CANCEL: Final = ord("C")
ACTION_MODIFY: Final = ord("M")
ACTION_TRADE: Final = ord("T")
ACTION_FILL: Final = ord("F")
ACTION_CLEAR: Final = ord("R")
ACTION_NONE: Final = ord("N")

SIDE_ASK: Final = ord("A")
SIDE_BID: Final = ord("B")
SIDE_NONE: Final = ord("N")

PHASES: Final = ("closed", "pre_open", "open", "halt")
"""phase names; the index is the code in kernels and in hud_surface_1s"""
PHASE_CLOSED: Final = 0
PHASE_PRE_OPEN: Final = 1
PHASE_OPEN: Final = 2
PHASE_HALT: Final = 3

RTYPE_MBO: Final = 160
MBO_RECORD_BYTES: Final = 56
DATASET: Final = "GLBX.MDP3"
SIMULATED_MARKER: Final = "SIMULATED"
"""in the `not_found` list of a simulated file's DBN metadata (spec 2.2)"""


def flag_names(flags: int) -> str:
    """Readable form of a flag byte, for example ``F_LAST|F_PUBLISHER_SPECIFIC``; ``0`` when none."""
    return "|".join(name for bit, name in FLAG_NAMES.items() if flags & bit) or "0"
