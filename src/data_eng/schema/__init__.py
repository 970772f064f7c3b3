"""Every table of the lake, declared once (spec 2.1, 2.4).

    from data_eng.schema import TABLES, table

    table("wall_surface_1s").arrow_schema          # short name, where it is unique
    table("bronze.future_mbo.mbo").validate(batch) # full dataset key

Writer, reader, validator, service and documentation read these declarations; no column list is typed
anywhere else.
"""

from __future__ import annotations

import difflib
from typing import Final

from data_eng.errors import UsageError
from data_eng.schema import bronze, gold, silver_future, silver_option
from data_eng.schema.bronze import OPTION_RIGHTS
from data_eng.schema.column import DICT_STRING, Column, Table, key_increases
from data_eng.schema.gold import CALIBRATION_METRICS, PLANES
from data_eng.schema.silver_future import (
    APPROACH_WORDS,
    BAND_COMPONENTS,
    BAND_MEASURES,
    BANDS,
    DIRECTIONS,
    F_FEATURES,
    SIDES,
    U_FEATURES,
)
from data_eng.schema.silver_option import QUOTE_REASONS

__all__ = [
    "APPROACH_WORDS",
    "BANDS",
    "BAND_COMPONENTS",
    "BAND_MEASURES",
    "CALIBRATION_METRICS",
    "DICT_STRING",
    "DIRECTIONS",
    "F_FEATURES",
    "OPTION_RIGHTS",
    "PLANES",
    "QUOTE_REASONS",
    "SIDES",
    "TABLES",
    "U_FEATURES",
    "Column",
    "Table",
    "key_increases",
    "table",
]

TABLES: Final[dict[str, Table]] = {
    declared.dataset: declared
    for room in (bronze, silver_future, silver_option, gold)
    for declared in room.TABLES
}
"""dataset key -> declaration, bronze first"""


def table(key_or_short_name: str) -> Table:
    """Declaration of a dataset key such as ``silver.future_mbo.wall_surface_1s``, or of its last part.

    Raises `UsageError` when no table has that name, or when a short name fits several (``mbo``); the
    message names the ones that were meant.
    """
    if key_or_short_name in TABLES:
        return TABLES[key_or_short_name]
    fitting = [t for t in TABLES.values() if t.name == key_or_short_name]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        keys = " or ".join(t.dataset for t in fitting)
        raise UsageError(f"table {key_or_short_name!r} is the name of {len(fitting)} datasets: say {keys}")
    names = [*TABLES, *(t.name for t in TABLES.values())]
    near = list(dict.fromkeys(difflib.get_close_matches(key_or_short_name, names, n=3, cutoff=0.5)))
    hint = (
        f"did you mean {' or '.join(near)}?"
        if near
        else f"known: {', '.join(t.name for t in TABLES.values())}"
    )
    raise UsageError(f"no table is called {key_or_short_name!r}; {hint}")
