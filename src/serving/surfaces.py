"""The surfaces of the service: short ids, and the tables behind them."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Final

from data_eng.schema import table
from data_eng.schema.column import Table


@dataclass(frozen=True)
class Surface:
    """One surface of spec 9.1.

    required: the service does not start without it. in_memory: its columns are held, one row per window;
    the others are read by row-group range. range_required: a request without a range would be too large.
    """

    id: str
    dataset: str
    required: bool = True
    in_memory: bool = False
    range_required: bool = False

    @property
    def table(self) -> Table:
        """Declaration of the table."""
        return table(self.dataset)


DEFAULT: Final = "hud"
SURFACES: Final = {
    surface.id: surface
    for surface in (
        Surface("hud", "gold.hud.hud_surface_1s", in_memory=True),
        Surface("snap", "silver.future_mbo.book_snapshot_1s", in_memory=True),
        Surface("wall", "silver.future_mbo.wall_surface_1s", range_required=True),
        Surface("vacuum", "silver.future_mbo.vacuum_surface_1s", range_required=True),
        Surface("radar", "silver.future_mbo.radar_vacuum_1s"),
        Surface("physics", "silver.future_mbo.physics_bands_1s"),
        Surface("context", "silver.future_mbo.physics_context_1s"),
        Surface("gex", "silver.future_option_mbo.gex_surface_1s"),
        Surface("gex_profile", "silver.future_option_mbo.gex_profile_1s", required=False),
        Surface("option_quote", "silver.future_option_mbo.option_quote_1s", required=False),
        Surface("trade", "silver.future_mbo.trade_event", required=False),
    )
}
"""surface id -> surface, in the order of spec 9.1"""
ENGINE_PASS: Final = ("snap", "wall", "radar", "trade")
"""surfaces of one engine pass, accepted only together"""


def near(name: str) -> str:
    """Words that help somebody who asked for an unknown surface."""
    close = difflib.get_close_matches(name[:40], SURFACES, n=1)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(SURFACES)}"
