"""`spymaster demo`: from nothing to a picture in one command, without an account and without input."""

from __future__ import annotations

import io
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal
from zoneinfo import ZoneInfo

from cyclopts import Parameter

from data_eng.errors import UsageError
from data_eng.params import DEFAULT_DT
from data_eng.units import PRICES_PER_POINT, WINDOW_NS
from spymaster.compiling import NOTE, SIMULATOR, Compilation, cold_kernels
from spymaster.edge import EXIT_FAILED, EXIT_OK, say, say_json
from spymaster.options import OUTPUT, Day, LakeAt, Output
from spymaster.report import reporter

if TYPE_CHECKING:
    from data_eng.lake import Lake
    from data_eng.summary import Summary, Wall
    from serving.app import Service
    from spymaster.report import EdgeReporter

ORIGIN: Final = "simulated"
PICTURE: Final = "radar.png"
PICTURE_START: Final = "09:29@America/New_York"
"""a minute before the cash open"""
PICTURE_MINUTES: Final = {"tiny": 2.0, "small": 10.0}
SIMULATED_RAW: Final = "sim"
OURS: Final = frozenset({SIMULATED_RAW, PICTURE, "bronze", "silver", "gold", "_staging"})
"""what a demo leaves in its lake"""
TIMES: Final = ZoneInfo("America/New_York")


def demo(
    *,
    lake: Annotated[Path | None, Parameter(show_default=False)] = None,
    serve: Annotated[bool, Parameter(negative="--no-serve", show_default=False)] = True,
    seed: int = 7,
    preset: Literal["tiny", "small"] = "small",
    output: Output = OUTPUT,
) -> int:
    """Simulate half an hour of ES and its options, run every stage and check, and tell and paint what
    happened.

    Needs no account and no input. Everything it shows is SIMULATED: invented orders, a make-believe exchange.

    For example:

        spymaster demo
        spymaster demo --lake lake/demo --no-serve

    Parameters
    ----------
    lake:
        Folder to keep the lake in: a new or empty one, or that of an earlier demo. Default: a temporary lake,
        of which only the picture stays.
    serve:
        The command ends by serving the HUD, until Ctrl-C; with --no-serve it ends after the picture.
    seed:
        Another seed, another half hour.
    preset:
        small (30 minutes over the cash open) or tiny (2 minutes).
    """
    with _place(lake) as root:
        service = _service(root) if serve else None
        code = _demo(root, lake, output, seed=seed, preset=preset, url=service.bind() if service else None)
        if service is not None:
            _serve(service)
    return code


def _demo(root: Path, lake: Path | None, output: Output, *, seed: int, preset: str, url: str | None) -> int:
    """Everything but the service; the exit code."""
    with reporter(json=output.json) as report:
        picture_at = (root if lake else root.parent) / PICTURE
        symbol, no_picture, verdicts, failed = _play(root, report, picture_at, seed=seed, preset=preset)
        summary = _summary(root, symbol)
    picture = no_picture or f"picture: {picture_at}"
    if output.json:
        say_json(
            {
                "symbol": symbol,
                "dt": DEFAULT_DT,
                "origin": ORIGIN,
                "lake": str(lake) if lake else None,
                "picture": None if no_picture else str(picture_at),
                "passed": not failed,
                "url": url,
                "summary": asdict(summary),
            }
        )
        return EXIT_FAILED if failed else EXIT_OK
    say("", *_story(summary, symbol), *verdicts, *failed, picture)
    if lake:
        say(f"the lake: spymaster lake ls --lake {lake}")
    else:
        say("the lake was temporary; to keep one: spymaster demo --lake lake/demo")
    if url is not None:
        say(f"the radar: {url}   (Ctrl-C ends it)")
    return EXIT_FAILED if failed else EXIT_OK


def _service(root: Path) -> Service:
    """The service of the demo's lake, its address taken: the usual port, or any free one."""
    from serving.app import Service
    from serving.settings import load_settings

    wanted = load_settings(lake=root, host="127.0.0.1")
    service = Service(wanted)
    try:
        service.bind()
    except UsageError:
        service = Service(wanted.model_copy(update={"port": 0}))
    return service


def _serve(service: Service) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    from spymaster.serve import serve_quietly

    serve_quietly(service)


def _play(
    root: Path, report: EdgeReporter, picture_at: Path, *, seed: int, preset: str
) -> tuple[str, str, list[str], list[str]]:
    """(symbol, why there is no picture, one line per check, what does not hold) of a day from nothing."""
    raw = root / SIMULATED_RAW
    # every step waits for the kernels that it calls; the others are compiled meanwhile
    cold = cold_kernels()
    with Compilation((*SIMULATOR, *cold)) as compilation, compilation.waited_for():
        if cold or cold_kernels(SIMULATOR):
            report.note(NOTE)
        from data_eng import pipeline
        from data_eng.lake import Lake
        from data_eng.params import RunParams
        from data_eng.raw_files import discover

        _simulate(raw, report, preset, seed)
        opened = Lake(root)
        symbol = pipeline.resolve_symbol(opened, DEFAULT_DT, raw=lambda: discover(raw), report=report)
        pipeline.run(opened, DEFAULT_DT, symbol, RunParams(), raw=lambda: discover(raw), report=report)
        no_picture = _paint(root, symbol, picture_at, preset)
        report.note(no_picture or f"picture: {picture_at}")
    verdicts, failed = _check(opened, symbol, report)
    return symbol, no_picture, verdicts, failed


# -- where ---------------------------------------------------------------------------------------------------


@contextmanager
def _place(lake: Path | None) -> Iterator[Path]:
    """The folder of the demo's lake; a temporary one is emptied afterwards, also after Ctrl-C."""
    if lake is not None:
        _require_ours(lake)
        yield lake
        return
    root = Path(tempfile.mkdtemp(prefix="spymaster-demo-"))
    try:
        yield root / "lake"
    finally:
        shutil.rmtree(root / "lake", ignore_errors=True)
        if not any(root.iterdir()):
            root.rmdir()


def _require_ours(lake: Path) -> None:
    """Raises `UsageError` unless the folder is new, empty, or an earlier demo's, and can be written."""
    elsewhere = "choose a new folder, for example --lake lake/demo"
    if lake.exists() and not lake.is_dir():
        raise UsageError(f"--lake {lake} is a file, expected a folder; {elsewhere}")
    try:
        lake.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=lake):
            pass
        foreign = sorted(entry.name for entry in lake.iterdir() if entry.name not in OURS)
    except OSError as error:
        raise UsageError(f"--lake {lake} cannot be written: {error.strerror}; {elsewhere}") from error
    if foreign:
        raise UsageError(f"--lake {lake} holds {foreign[0]!r}, which no demo put there; {elsewhere}")
    from data_eng.lake import Lake

    opened = Lake(lake)
    for place in opened.partitions():
        origin = opened.manifest(place.dataset, place.symbol, place.dt).origin
        if origin != ORIGIN:
            raise UsageError(
                f"--lake {lake} holds {origin} data ({place.dataset} {place.symbol} {place.dt}), and"
                f" simulated data never go beside them; {elsewhere}"
            )


# -- steps ---------------------------------------------------------------------------------------------------


def _simulate(raw: Path, report: EdgeReporter, preset: str, seed: int) -> None:
    name = f"simulate {preset}"

    def progress(done_s: float, total_s: float, what: str) -> None:
        report.advance(name, int(done_s), int(total_s), f"s of {what}")

    report.stage_start(name)
    begin = time.perf_counter()
    from simex import SimexError, simulate

    try:
        result = simulate(DEFAULT_DT, preset, seed, raw, force=True, progress=progress)
    except SimexError as error:
        raise UsageError(str(error)) from error
    records = sum(int(file["records"]) for file in result.meta["files"].values())
    report.stage_end(name, records, time.perf_counter() - begin)


def _check(lake: Lake, symbol: str, report: EdgeReporter) -> tuple[list[str], list[str]]:
    """(one line per check that was made, lines of what does not hold)."""
    from data_eng.integrity.book import check_futures_book
    from data_eng.integrity.gex import check_gex
    from data_eng.integrity.physics import check_physics

    failed: list[str] = []
    verdicts: list[str] = []
    for name, check in (("data", check_futures_book), ("physics", check_physics), ("gex", check_gex)):
        step = f"verify {name}"
        report.stage_start(step)
        begin = time.perf_counter()
        found = check(lake, symbol, DEFAULT_DT)
        report.stage_end(step, found.rows, time.perf_counter() - begin)
        claims = len(found.checks)
        if found.passed:
            verdicts.append(f"checked: {name}, {claims} claims about {found.rows:,} rows hold")
        else:
            verdicts.append(f"checked: {name}, {len(found.failed)} of {claims} claims do NOT hold")
            failed += [line for claim in found.failed for line in claim.lines]
    return verdicts, failed


def _summary(root: Path, symbol: str) -> Summary:
    from data_eng.instruments import tick_int
    from data_eng.lake import Lake
    from data_eng.summary import WALL_COLUMNS, Nearby, summarise

    lake = Lake(root)

    def key(table: str) -> tuple[str, str, str]:
        return f"silver.future_mbo.{table}", symbol, DEFAULT_DT

    bands = ["window_end_ts_ns", "above_score", "below_score", "vacuum_total_score"]
    definitions = lake.read("bronze.shared.instrument_definitions", symbol, DEFAULT_DT)
    return summarise(
        lake.read(*key("book_snapshot_1s")),
        lake.read(*key("trade_event")),
        Nearby.from_batches(lake.iter_batches(*key("wall_surface_1s"), columns=list(WALL_COLUMNS))),
        lake.read(*key("physics_bands_1s"), columns=bands),
        tick_int=tick_int(definitions, symbol, DEFAULT_DT),
    )


def _paint(root: Path, symbol: str, out: Path, preset: str) -> str:
    """Writes the picture; the reason when there is none, else an empty text."""
    from spymaster.picture import picture

    try:
        with redirect_stdout(io.StringIO()):  # what the verb says stands in our own last lines
            picture(
                start=PICTURE_START,
                minutes=PICTURE_MINUTES[preset],
                out=out,
                day=Day(DEFAULT_DT, symbol),
                lake=LakeAt(root),
            )
    except UsageError as error:
        return f"no picture: {error}"
    return ""


# -- words ---------------------------------------------------------------------------------------------------


def _story(summary: Summary, symbol: str) -> list[str]:
    """What happened, in about ten lines."""
    s = summary
    begin, end = _clock(s.start_ts_ns), _clock(s.end_ts_ns)
    volume = s.buy_qty + s.sell_qty
    left = max(s.pulled + s.filled, 1)
    lines = [
        f"{ORIGIN.upper()}: {symbol} {DEFAULT_DT}, {begin} to {end} New York;"
        " a make-believe exchange, none of this happened",
        f"price    {_points(s.first_price_int)} to {_points(s.last_price_int)},"
        f" low {_points(s.low_price_int)}, high {_points(s.high_price_int)}",
        f"volume   {volume + s.auction_qty:,} lots in {s.trades:,} trades: aggressive buyers {s.buy_qty:,},"
        f" sellers {s.sell_qty:,}, difference {s.buy_qty - s.sell_qty:+,}",
        f"touch    median {s.median_bid_qty:.0f} lots bid, {s.median_ask_qty:.0f} offered;"
        f" spread one tick in {s.one_tick_share:.0%} of the seconds",
        f"flow     within 20 ticks {s.added:,} lots came; of {left:,} that left, {s.pulled / left:.0%}"
        f" were pulled and {s.filled / left:.0%} filled",
        *(f"wall     {_wall_text(wall)}" for wall in s.walls),
    ]
    if s.vacuum is not None:
        v = s.vacuum
        lines.append(
            f"vacuum   {_clock(v.window_end_ts_ns)}: {_side(v.side)} within 20 ticks fell from"
            f" {v.before:,} to {v.after:,} lots in one second ({v.pulled:,} pulled, {v.filled:,} filled)"
        )
    if s.score_quartiles:
        above, below = (s.score_quartiles[name] for name in ("above_score", "below_score"))
        lines.append(
            f"scores   0 thick to 1 thin, median (middle half): above {_spread(above)},"
            f" below {_spread(below)}; they describe, they do not predict"
        )
    lines.append(f"seconds  {s.valid_windows:,} of {s.windows:,} valid")
    return lines


def _wall_text(wall: Wall) -> str:
    ticks = abs(wall.rel_ticks)
    where = (
        f"{ticks} tick{'' if ticks == 1 else 's'} {'above' if wall.rel_ticks > 0 else 'below'} the last trade"
    )
    what = "offered" if wall.side == "A" else "bid"
    head = (
        f"{wall.peak_qty:,} lots {what} at {_points(wall.price_int)},"
        f" {where if ticks else 'at the last trade'},"
        f" {_clock(wall.peak_ts_ns)}; stood {wall.stood_s} s,"
    )
    if not wall.ended:
        return f"{head} then out of sight or still there"
    left = max(wall.pulled + wall.filled, 1)
    return f"{head} then {wall.pulled / left:.0%} of what left was pulled, {wall.filled / left:.0%} filled"


def _spread(quartiles: tuple[float, float, float]) -> str:
    low, middle, high = quartiles
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def _side(side: str) -> str:
    return "offers" if side == "A" else "bids"


def _points(price_int: int) -> str:
    return f"{price_int / PRICES_PER_POINT:,.2f}"


def _clock(ts_ns: int) -> str:
    return f"{datetime.fromtimestamp(ts_ns // WINDOW_NS, UTC).astimezone(TIMES):%H:%M:%S}"
