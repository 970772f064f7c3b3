"""Which instrument is what on a date: definitions as of 00:00 UTC, outright futures, ticks (spec 3.1, 3.2).

Identity comes from definitions where they are present (instrument class F), else from the symbol mappings
of the DBN header (a symbol without "-"). Nothing here parses strikes or expiries out of a symbol.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_eng.dbn_reader import DbnMetadata
from data_eng.params import root_of
from data_eng.sessions import utc_day_ns
from data_eng.units import TICK_INT, UNDEF_PRICE

CLASS_FUTURE: Final = "F"
OPTION_CLASSES: Final = ("C", "P")
UNDEF_EXPIRATION: Final = -1
"""DBN's undefined timestamp (uint64 max) as the int64 that Bronze stores"""
_CONTRACT: Final = re.compile(r"[A-Z0-9]{1,8}")
_MONTH_CODES: Final = "FGHJKMNQUVXZ"


def definitions_as_of(definitions: pa.Table, dt: str) -> pa.Table:
    """The valid definition of each instrument at 00:00 UTC of `dt`, in the order of instrument_id.

    Per instrument the last row (file order breaks ties) with ts_recv <= 00:00 of `dt`; an instrument
    whose last row deletes it (action D) does not exist. Same columns as `definitions`.
    """
    midnight, _ = utc_day_ns(dt)
    known = definitions.filter(pc.less_equal(definitions["ts_recv"], midnight))
    if known.num_rows == 0:
        return known
    ids = known["instrument_id"].to_numpy()
    order = np.lexsort((np.arange(len(ids)), known["ts_recv"].to_numpy(), ids))
    last_of_id = np.append(ids[order][1:] != ids[order][:-1], True)
    latest = known.take(pa.array(order[last_of_id]))
    return latest.filter(pc.not_equal(latest["security_update_action"], "D"))


@dataclass(frozen=True)
class Outrights:
    """Outright futures of a date: instrument_id -> contract symbol. `source`: definitions or mappings.

    `known` holds every id that definitions or mappings name, futures or not; an id outside it is
    unmapped.
    """

    symbols: dict[int, str]
    known: frozenset[int]
    source: str

    def only(self, symbol: str) -> Outrights:
        """The same, reduced to one contract."""
        return Outrights({i: s for i, s in self.symbols.items() if s == symbol}, self.known, self.source)

    def of_root(self, root: str) -> Outrights:
        """The same, reduced to the contracts of one product."""
        return Outrights(
            {i: s for i, s in self.symbols.items() if root_of(s) == root and s != root},
            self.known,
            self.source,
        )


def outright_futures(definitions: pa.Table | None, headers: Iterable[DbnMetadata], dt: str) -> Outrights:
    """Outright futures on `dt`: class F in `definitions` as of `dt`, else mapped symbols without "-".

    Symbols that cannot name a contract (continuous ``ES.c.0``, options ``E1BF6 C6950``) are no outrights.
    """
    mapped: dict[int, str] = {}
    for header in headers:
        mapped |= header.symbols_on(date.fromisoformat(dt))
    if definitions is not None:
        current = definitions_as_of(definitions, dt)
        ids, classes = current["instrument_id"].to_pylist(), current["instrument_class"].to_pylist()
        names = current["raw_symbol"].to_pylist()
        futures = {i: name for i, kind, name in zip(ids, classes, names, strict=True) if kind == CLASS_FUTURE}
        if futures:
            return Outrights(futures, frozenset(ids) | frozenset(mapped), "definitions")
    return Outrights(
        {i: name for i, name in mapped.items() if _CONTRACT.fullmatch(name)}, frozenset(mapped), "mappings"
    )


def tick_int(definitions: pa.Table | None, symbol: str, dt: str) -> int:
    """Tick of the contract in 1e-9 points; the ES default without a definition or with an UNDEF one."""
    if definitions is None:
        return TICK_INT
    current = definitions_as_of(definitions, dt)
    mine = current.filter(pc.equal(current["raw_symbol"], symbol))
    tick = int(mine["min_price_increment"][0].as_py()) if mine.num_rows else UNDEF_PRICE
    return TICK_INT if tick == UNDEF_PRICE or tick <= 0 else tick


def expirations(definitions: pa.Table | None, dt: str) -> dict[str, int]:
    """Contract symbol -> expiration in UTC ns of the outright futures as of `dt`, where defined."""
    if definitions is None:
        return {}
    current = definitions_as_of(definitions, dt)
    futures = current.filter(pc.equal(current["instrument_class"], CLASS_FUTURE))
    pairs = zip(futures["raw_symbol"].to_pylist(), futures["expiration"].to_pylist(), strict=True)
    return {name: ns for name, ns in pairs if ns != UNDEF_EXPIRATION}


def delivery_order(symbol: str, dt: str) -> tuple[int, int]:
    """(year, month) of a contract symbol, for ordering contracts without definitions.

    A one-digit year is the first such year that is not before the decade's position of `dt`: ``ESH6`` is
    2026 in 2026 and 2036 in 2027.
    """
    digits = len(symbol) - len(symbol.rstrip("0123456789"))
    code, month = symbol[len(symbol) - digits :], symbol[len(symbol) - digits - 1 : len(symbol) - digits]
    if not code or month not in _MONTH_CODES:
        return (9999, 12)
    span = 10 ** len(code)
    this_year = date.fromisoformat(dt).year
    year = this_year - this_year % span + int(code)
    return (year if year >= this_year else year + span, _MONTH_CODES.index(month) + 1)
