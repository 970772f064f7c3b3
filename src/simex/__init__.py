"""simex: a synthetic exchange that writes DBN files and, beside them, what really happened.

It stands alone: it imports nothing of the pipeline, and the pipeline nothing of it. DBN files are the only
interface. Normative text: exchange.md part B; how like the real feed it is: docs/simex.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simex.day import SimResult, simulate
    from simex.errors import SimexError

__all__ = ["SimResult", "SimexError", "simulate"]


def __getattr__(name: str) -> Any:
    """Loads the machinery on first use: naming the package costs nothing."""
    if name == "SimexError":
        from simex.errors import SimexError

        return SimexError
    if name in ("simulate", "SimResult"):
        import importlib

        return getattr(importlib.import_module("simex.day"), name)
    raise AttributeError(f"module 'simex' has no attribute {name!r}")
