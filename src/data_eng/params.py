"""What a run was asked to do: contract, date and the parameters that enter freshness (spec 8, 11).

Plain words and numbers, checked once at the edge. Nothing here opens a file or reads the clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Final

from data_eng.errors import UsageError
from data_eng.units import RISK_FREE_RATE

DEFAULT_DT: Final = "2026-01-06"
DEFAULT_ROOT: Final = "ES"

MOST_SHARDS: Final = 64
_SYMBOL: Final = re.compile(r"[A-Z0-9]{1,8}")
_CONTRACT: Final = re.compile(r"([A-Z0-9]{1,5}?)[FGHJKMNQUVXZ][0-9]{1,2}")


@dataclass(frozen=True)
class RunParams:
    """Parameters of one pipeline run. A stage names those it depends on in `Stage.params`.

    session: what is emitted, ``full | rth | HH:MM-HH:MM@zone``; never limits what enters the book.
    no_gex: run the futures part without option data. rate: flat, continuous, per year.
    calibration_dt: ``same``, ``previous`` or a date. strict: refuse a file with any order violation.
    shards: into how many processes the strikes of the option chain are split; no stage names it, since it
    changes no byte.
    """

    session: str = "full"
    no_gex: bool = False
    rate: float = RISK_FREE_RATE
    calibration_dt: str = "same"
    strict: bool = False
    shards: int = 1

    def __post_init__(self) -> None:
        if not -1.0 < self.rate < 1.0:
            raise UsageError(
                f"rate is {self.rate}, expected a yearly rate between -1 and 1, for example 0.05 for 5 %"
            )
        if not 1 <= self.shards <= MOST_SHARDS:
            raise UsageError(
                f"shards is {self.shards}, expected a number of processes from 1 to {MOST_SHARDS}"
            )
        if self.calibration_dt not in ("same", "previous"):
            try:
                parse_dt(self.calibration_dt)
            except UsageError:
                raise UsageError(
                    f"calibration_dt is {self.calibration_dt!r}, expected same, previous or a date"
                    f" such as {DEFAULT_DT}"
                ) from None

    def chosen(self, names: Iterable[str]) -> dict[str, str | bool | float | int]:
        """The named parameters, as a manifest records them."""
        return {name: getattr(self, name) for name in sorted(names)}


PARAM_NAMES: Final = frozenset(f.name for f in fields(RunParams))


def parse_dt(text: str) -> str:
    """`text` when it is a date that partitions can have, written YYYY-MM-DD, else `UsageError`."""
    from data_eng.sessions import parse_dt as date_of  # brings numpy, which `spymaster --help` can do without

    date_of(text)
    return text


def parse_symbol(text: str) -> str:
    """`text` when it can be a symbol of the lake (1 to 8 letters A-Z and digits), else `UsageError`."""
    if not _SYMBOL.fullmatch(text):
        raise UsageError(f"symbol is {text!r}, expected 1 to 8 letters A-Z or digits, for example ESH6")
    return text


def root_of(symbol: str) -> str:
    """Product root of an outright contract: ``ES`` for ``ESH6`` and ``ESH26``; a bare root is itself."""
    match = _CONTRACT.fullmatch(symbol)
    return match.group(1) if match else symbol
