"""`spymaster picture`: some minutes of the radar as a PNG, without a browser."""

from __future__ import annotations

import io
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from data_eng.errors import UsageError
from data_eng.units import WINDOW_NS
from spymaster.edge import EXIT_OK, say, say_json, size_text
from spymaster.options import DAY, LAKE_AT, OUTPUT, Day, LakeAt, Output

if TYPE_CHECKING:
    from data_eng.lake import Lake, Manifest
    from spymaster.radar_picture import Scene

HUD: Final = "gold.hud.hud_surface_1s"
CALIBRATION: Final = "gold.hud.physics_norm_calibration"
DEFINITIONS: Final = "bronze.shared.instrument_definitions"
LEAD_WINDOWS: Final = 60
"""windows before the view that the smoothing needs"""
MAX_TICKS: Final = 560
"""the planes reach 600 ticks from spot"""
_START: Final = re.compile(r"(\d{2}):(\d{2})(?:@(\S+))?")


def picture(
    *,
    start: str,
    out: Path,
    minutes: Annotated[float, Parameter(allow_leading_hyphen=True)] = 10.0,
    ticks: Annotated[int, Parameter(allow_leading_hyphen=True)] = 40,
    day: Day = DAY,
    lake: LakeAt = LAKE_AT,
    output: Output = OUTPUT,
) -> int:
    """Paint walls, erosion, fills, spot and scores of some minutes from gold.hud.hud_surface_1s.

    For example:

        spymaster picture --dt 2026-01-06 --symbol ESH6 --start 14:30 --minutes 10 --out radar.png

    Parameters
    ----------
    start:
        Where the picture begins: HH:MM in UTC, or HH:MM@zone, for example 09:30@America/New_York.
    out:
        PNG file to write; an existing one is replaced.
    minutes:
        Length of the picture.
    ticks:
        Ticks shown above and below the path of spot.
    """
    opened = lake.open()
    start_ns = _start_ns(start, day.dt)
    windows = round(minutes * 60) if 0 < minutes <= 24 * 60 else 0
    if windows < 1:
        raise UsageError(f"--minutes is {minutes:g}, expected more than 0 and at most 1440, for example 10")
    if not 1 <= ticks <= MAX_TICKS:
        raise UsageError(f"--ticks is {ticks}, expected 1 to {MAX_TICKS}, for example 40")
    _check_out(out)
    scene = _scene(opened, day.resolve(opened), day.dt, start_ns, windows, ticks)
    _save(scene, out)
    ends = scene.hud["window_end_ts_ns"]
    facts = {
        "out": str(out),
        "symbol": scene.symbol,
        "dt": scene.dt,
        "windows": scene.hud.num_rows,
        "first_window_end_ts_ns": ends[0].as_py(),
        "last_window_end_ts_ns": ends[-1].as_py(),
        "origin": scene.origin,
        "calibration_id": scene.calibration_id,
        "lookahead": scene.lookahead,
        "bytes": out.stat().st_size,
    }
    if output.json:
        say_json(facts)
        return EXIT_OK
    short = "" if scene.hud.num_rows == windows else f" of {windows} asked for: the data hold no more"
    size = size_text(out.stat().st_size)
    say(f"{out}: {scene.symbol} {scene.dt}, {scene.hud.num_rows} windows{short}, {size}")
    return EXIT_OK


def _start_ns(start: str, dt: str) -> int:
    """First instant of the picture. Raises `UsageError`."""
    from data_eng.sessions import parse_dt, parse_session

    parse_dt(dt)
    form = _START.fullmatch(start)
    wanted = "HH:MM in UTC, for example 14:30, or HH:MM@zone, for example 09:30@America/New_York"
    if form is None:
        raise UsageError(f"--start is {start!r}, expected {wanted}")
    hour, minute, zone = int(form[1]), int(form[2]), form[3] or "UTC"
    after = hour * 60 + minute + 1
    try:
        return parse_session(f"{start[:5]}-{after // 60:02d}:{after % 60:02d}@{zone}", dt).start_ns
    except UsageError as error:
        raise UsageError(
            f"--start is {start!r}, no time within the UTC day {dt}; expected {wanted}"
        ) from error


def _check_out(out: Path) -> None:
    """Refuse early what could not be written in the end."""
    if out.suffix.lower() != ".png":
        raise UsageError(f"--out is {str(out)!r}, expected a file that ends with .png")
    if not out.parent.is_dir():
        raise UsageError(f"--out is {str(out)!r}, but {str(out.parent)!r} is no folder; create it first")
    if out.is_dir():
        raise UsageError(
            f"--out is {str(out)!r}, which is a folder; expected a file name that ends with .png"
        )


def _scene(lake: Lake, symbol: str, dt: str, start_ns: int, windows: int, ticks: int) -> Scene:
    """Everything the picture needs, read from the lake. Raises `MissingDataError`, `UsageError`."""
    from data_eng.calibration import calibration_id
    from data_eng.instruments import tick_int

    manifest = lake.manifest(HUD, symbol, dt)
    lead_ns = start_ns - LEAD_WINDOWS * WINDOW_NS
    rows = lake.read_windows(HUD, symbol, dt, lead_ns, start_ns + windows * WINDOW_NS)
    ends = rows["window_end_ts_ns"].to_numpy()
    lead = int((ends <= start_ns).sum())
    if lead == rows.num_rows:
        raise UsageError(
            f"no window begins in the {windows} s from --start on; {_span_text(lake, symbol, dt)}"
        )
    definitions = lake.read(DEFINITIONS, symbol, dt) if lake.has(DEFINITIONS, symbol, dt) else None
    scene: Scene = _drawing().Scene(
        symbol=symbol,
        dt=dt,
        hud=rows.slice(lead),
        lead=rows.slice(0, lead),
        tick_int=tick_int(definitions, symbol, dt),
        origin=manifest.origin,
        verified=manifest.verified,
        calibration_id=calibration_id(manifest.calibration) if manifest.calibration else None,
        lookahead=bool(manifest.lookahead),
        warnings=manifest.warnings,
        wall_bounds_log=_wall_bounds(lake, symbol, manifest),
        day_medians=_day_medians(lake, symbol, dt),
        radius_ticks=ticks,
    )
    return scene


def _drawing() -> ModuleType:
    """The module that draws. Raises `UsageError` where matplotlib is not installed."""
    try:
        from spymaster import radar_picture
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        raise UsageError(
            "a picture needs matplotlib, which is not installed; add it: pip install 'spymaster[picture]'"
        ) from error
    return radar_picture


def _span_text(lake: Lake, symbol: str, dt: str) -> str:
    """Where the windows of the date begin and end, in words."""
    ends = lake.read(HUD, symbol, dt, ["window_end_ts_ns"])["window_end_ts_ns"]
    if len(ends) == 0:
        return f"{HUD} of {symbol} {dt} has no windows at all"
    first, last = (
        datetime.fromtimestamp(ns // WINDOW_NS, UTC) for ns in (ends[0].as_py() - WINDOW_NS, ends[-1].as_py())
    )
    return f"{HUD} of {symbol} {dt} runs from {first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} UTC"


def _wall_bounds(lake: Lake, symbol: str, manifest: Manifest) -> tuple[float, float] | None:
    """Bounds of ln(1 + resting lots) in the calibration used; None when it has left the lake since."""
    from data_eng.calibration import bounds, calibration_record

    used = manifest.calibration
    if used is None or not lake.has(CALIBRATION, symbol, used["dt"]):
        return None
    if calibration_record(lake.manifest(CALIBRATION, symbol, used["dt"])) != dict(used):
        return None
    wall = bounds(lake.read(CALIBRATION, symbol, used["dt"]))["wall_strength_log"]
    return wall.lo, wall.hi


def _day_medians(lake: Lake, symbol: str, dt: str) -> tuple[float, float] | None:
    """Median above and below touch score over the date's valid windows; None when none is valid."""
    import pyarrow.compute as pc

    names = ["above_touch_score", "below_touch_score"]
    rows = lake.read(HUD, symbol, dt, [*names, "window_valid"])
    valid = rows.filter(rows["window_valid"])
    if valid.num_rows == 0:
        return None
    above, below = (float(pc.quantile(valid[name], 0.5)[0].as_py()) for name in names)
    return above, below


def _save(scene: Scene, out: Path) -> None:
    figure = _drawing().draw_radar(scene)
    png = io.BytesIO()
    figure.savefig(png, format="png", metadata={"Software": "spymaster"})
    unfinished = out.with_name(f".{out.name}.{os.getpid()}")  # a full disk must not cost the old picture
    try:
        unfinished.write_bytes(png.getvalue())
        unfinished.replace(out)
    except OSError as error:
        raise UsageError(f"cannot write {str(out)!r}: {error.strerror}; choose another --out") from error
    finally:
        unfinished.unlink(missing_ok=True)
