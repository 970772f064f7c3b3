"""What the lake can serve, as `/v1/catalog` tells it. Reads manifests only."""

from __future__ import annotations

from typing import Any, Final

from data_eng.calibration import calibration_id
from data_eng.errors import LakeError, MissingDataError
from data_eng.lake import Lake, Manifest
from serving.hud_streaming import epoch_of
from serving.settings import Settings
from serving.surfaces import SURFACES, Surface
from serving.wire import PROTOCOL, position

HUD: Final = SURFACES["hud"].dataset


def days(lake: Lake) -> list[tuple[str, str]]:
    """(symbol, dt) of every day with a picture, sorted by date, then symbol."""
    found = [(p.symbol, p.dt) for p in lake.partitions() if p.dataset == HUD]
    return sorted(found, key=lambda day: (day[1], day[0]))


def default_day(found: list[tuple[str, str]], symbol: str | None, dt: str | None) -> tuple[str, str] | None:
    """The day served when a request names none: the latest that fits; None when none does."""
    fitting = [day for day in found if symbol in (None, day[0]) and dt in (None, day[1])]
    return fitting[-1] if fitting else None


def absent(surface: Surface, symbol: str, dt: str) -> str:
    """Why a surface is not there, and the command that makes it, without a path of this machine."""
    return (
        f"the lake has no {surface.table.name} of {symbol} {dt}; build it: spymaster run --dt {dt}"
        f" --symbol {symbol} --only {surface.table.name}"
    )


def catalogue(lake: Lake, settings: Settings, version: str) -> dict[str, Any]:
    """The document; int64 values are decimal strings."""
    found = days(lake)
    chosen = default_day(found, settings.symbol, settings.dt)
    return {
        "version": version,
        "protocol": PROTOCOL,
        "default": {"symbol": chosen[0], "dt": chosen[1]} if chosen else None,
        "symbols": sorted({symbol for symbol, _ in found}),
        "dts": sorted({dt for _, dt in found}),
        "days": [_day(lake, settings, symbol, dt) for symbol, dt in found],
    }


def _day(lake: Lake, settings: Settings, symbol: str, dt: str) -> dict[str, Any]:
    manifests: dict[str, Manifest] = {}
    for surface in SURFACES.values():
        try:
            manifests[surface.id] = lake.manifest(surface.dataset, symbol, dt)
        except (MissingDataError, LakeError):
            continue
    missing = [s for s in SURFACES.values() if s.required and s.id not in manifests]
    day: dict[str, Any] = {
        "symbol": symbol,
        "dt": dt,
        "servable": not missing,
        "reason": absent(missing[0], symbol, dt) if missing else None,
    }
    hud = manifests.get("hud")
    if hud is None or not hud.files:
        return day
    record = hud.calibration
    low = min(file.min_window_end_ts_ns or 0 for file in hud.files)
    high = max(file.max_window_end_ts_ns or 0 for file in hud.files)
    return day | {
        "epoch": epoch_of(manifests),
        "origin": hud.origin,
        "verified": all(manifest.verified for manifest in manifests.values()),
        "lookahead": bool(hud.lookahead),
        "calibration_id": calibration_id(record) if record else None,
        "session": str(hud.params.get("session", "full")),
        "windows": hud.row_count,
        "first_window": position(low, 0),
        "last_window": position(high, hud.row_count - 1),
        "counters": dict(manifests["snap"].counters) if "snap" in manifests else {},
        "warnings": sorted({text for manifest in manifests.values() for text in manifest.warnings}),
        "surfaces": {
            surface.id: _surface(surface, manifests.get(surface.id), settings, symbol, dt)
            for surface in SURFACES.values()
        },
    }


def _surface(
    surface: Surface, manifest: Manifest | None, settings: Settings, symbol: str, dt: str
) -> dict[str, Any]:
    told = {
        "dataset": surface.dataset,
        "available": manifest is not None,
        "reason": None if manifest else absent(surface, symbol, dt),
        "schema_hash": surface.table.schema_hash,
        "range_required": surface.range_required,
        "max_windows": settings.range_limit(surface.id),
    }
    if manifest is None:
        return told
    lows = [f.min_window_end_ts_ns for f in manifest.files if f.min_window_end_ts_ns is not None]
    highs = [f.max_window_end_ts_ns for f in manifest.files if f.max_window_end_ts_ns is not None]
    return told | {
        "rows": manifest.row_count,
        "first_window_end_ts_ns": str(min(lows)) if lows else None,
        "last_window_end_ts_ns": str(max(highs)) if highs else None,
    }
