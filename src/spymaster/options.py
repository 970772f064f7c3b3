"""The options that verbs and scripts share, spelled and explained once.

Only light imports here: `spymaster --help` reads this module and must not load pyarrow or numba.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from data_eng.params import DEFAULT_DT, RunParams
from data_eng.units import RISK_FREE_RATE

if TYPE_CHECKING:
    from data_eng.lake import Lake
    from data_eng.planner import RawSource
    from data_eng.stage import Reporter

DEFAULT_LAKE: Final = Path("lake")
DEFAULT_RAW: Final = Path("lake/raw")

Switch = Parameter(negative=(), show_default=False)
"""a flag without a --no- form"""


@Parameter(name="*")
@dataclass(frozen=True)
class Output:
    """How a verb answers."""

    json: Annotated[bool, Switch] = False
    """Print one JSON document on standard output; progress goes to standard error."""


@Parameter(name="*")
@dataclass(frozen=True)
class LakeAt:
    """Which lake."""

    lake: Annotated[Path, Parameter(env_var="SPYMASTER_LAKE")] = DEFAULT_LAKE
    """Folder of the lake."""

    def open(self) -> Lake:
        """The lake; its folder need not exist yet."""
        from data_eng.lake import Lake

        return Lake(self.lake)


@Parameter(name="*")
@dataclass(frozen=True)
class Day:
    """Which date and contract."""

    dt: str = DEFAULT_DT
    """UTC date of the daily file, YYYY-MM-DD."""
    symbol: str | None = None
    """Futures contract, for example ESH6. Default: the contract selected for the date."""

    def resolve(self, lake: Lake, *, raw: RawSource | None = None, report: Reporter | None = None) -> str:
        """The contract: as named, else as selected (spec 3.5)."""
        from data_eng.pipeline import resolve_symbol

        return resolve_symbol(lake, self.dt, self.symbol, raw=raw, report=report)


@Parameter(name="*")
@dataclass(frozen=True)
class RawAt:
    """Where the DBN files are."""

    raw: Annotated[Path, Parameter(env_var="SPYMASTER_RAW")] = DEFAULT_RAW
    """DBN file, or folder that holds some; files are found by their metadata, not by name."""

    def source(self) -> RawSource:
        """Builds the catalogue of raw files when a stage first needs it."""
        from data_eng.raw_files import discover

        return lambda: discover(self.raw, missing_ok=self.raw == DEFAULT_RAW)


@Parameter(name="*")
@dataclass(frozen=True)
class Params:
    """What is computed."""

    session: str = "full"
    """What is emitted: full, rth or HH:MM-HH:MM@zone. The book always sees the whole day."""
    no_gex: Annotated[bool, Switch] = False
    """Run the futures part without option data: gamma is zeros on the whole ladder, and says so."""
    rate: float = RISK_FREE_RATE
    """Risk-free rate per year, continuous."""
    calibration_dt: str = "same"
    """Which date's calibration the scores use: same, previous or a date."""
    strict: Annotated[bool, Switch] = False
    """Refuse a file with any record out of order, not only above 0.01 %."""
    shards: int = 1
    """Split the option chain by strike over so many processes; the result is the same to the byte."""

    def checked(self) -> RunParams:
        """As the pipeline takes them. Raises `UsageError`."""
        return RunParams(self.session, self.no_gex, self.rate, self.calibration_dt, self.strict, self.shards)


@Parameter(name="*")
@dataclass(frozen=True)
class Redo:
    """What is recomputed although it is fresh."""

    force: Annotated[bool, Switch] = False
    """Recompute everything selected; lets a narrower --session replace a wider one."""
    from_stage: str | None = None
    """Recompute this stage (or the maker of this table) and everything downstream of it."""


OUTPUT: Final = Output()
LAKE_AT: Final = LakeAt()
DAY: Final = Day()
RAW_AT: Final = RawAt()
PARAMS: Final = Params()
REDO: Final = Redo()
