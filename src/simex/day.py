"""One call writes a synthetic day: DBN files as Databento would deliver them, and the truth beside them.

Files are written under temporary names in the output folder and renamed at the end: an error leaves nothing.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import shutil
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import databento_dbn
import numpy as np
import numpy.typing as npt

from simex import faults as fault_kinds
from simex import laws, plan, plants, reference
from simex import options as chain_options
from simex.dbn_files import DbnFile, metadata, sha256_of
from simex.errors import SimexError
from simex.feed import ESH6, ESM6, F_MAYBE_BAD_BOOK, MARKER, MBO_BYTES, SECOND_NS, SPREAD, UNDEF_PRICE, Words
from simex.futures import LAYOUTS, Market, MarketPlan
from simex.plan import Span
from simex.stream import Channel, event_ends, insert_none_records
from simex.truth import FuturesTruth

Ints = npt.NDArray[np.int64]
Progress = Callable[[float, float, str], None]
"""called with (seconds simulated, seconds in all, what is being made)"""

dbn: Any = databento_dbn  # its stub types enum members as plain values
VERSION: Final = "1"
"""of the generator: another version may write other bytes for the same seed"""
PRESETS: Final = {
    "tiny": (14 * 3600 + 29 * 60, 120),
    "small": (14 * 3600 + 15 * 60, 1800),
    "session": (0, plan.DAY_S),
}
EXTRAS: Final = ("decoys", "status", "recovery", "n", "badbook")
WARM_UP_S: Final = 40
BLOCK_S: Final = 60
FIRST_DATE: Final = dt.date(2025, 12, 15)
LAST_DATE: Final = dt.date(2026, 3, 5)
NO_FULL_SESSION: Final = frozenset(
    dt.date.fromisoformat(day)
    for day in ("2025-12-24", "2025-12-25", "2025-12-31", "2026-01-01", "2026-01-19", "2026-02-16")
)


@dataclass(frozen=True)
class SimResult:
    """What was written: DBN files, the folder of the truth files, and the content of truth_meta.json."""

    paths: tuple[Path, ...]
    truth_dir: Path
    meta: dict[str, Any]


@dataclass(frozen=True)
class _Request:
    span: Span
    preset: str
    seed: int
    rate_factor: float
    layout: str
    dbn_version: int
    options: bool
    extras: frozenset[str]
    faults: tuple[str, ...]


def simulate(
    date: str | dt.date,
    preset: str,
    seed: int,
    out: Path | str,
    *,
    start: str | None = None,
    rate_factor: float = 1.0,
    layout: str = "modern",
    dbn_version: int = 3,
    options: bool = True,
    with_: Sequence[str] = ("decoys",),
    faults: Sequence[str] = (),
    force: bool = False,
    progress: Progress | None = None,
) -> SimResult:
    """Writes the synthetic day `date` into `out` (exchange.md part B). Same arguments, same bytes.

    preset: tiny (120 s), small (30 min) or session (24 h); start "HH:MM:SS" UTC moves the stretch;
    rate_factor scales the records of the future; layout modern, legacy or legacy-168; with_ names of EXTRAS;
    faults names of `simex.faults.NAMES`. force replaces files that an earlier
    truth_meta.json of simex lists, never others.

    Raises SimexError for a request that cannot be met and for a folder that cannot be written.
    """
    request = _check(date, preset, seed, start, rate_factor, layout, dbn_version, options, with_, faults)
    target = Path(out)
    stem = f"simex-{request.span.date:%Y%m%d}"
    truth_name = f"dt={request.span.date.isoformat()}"
    work = target / f".simex-{uuid.uuid4().hex}"
    made: list[Path] = []
    try:
        old = _allowed_to_replace(target, stem, truth_name, force=force)
        made = _absent_folders(target)
        work.mkdir(parents=True)
        try:
            (work / "truth").mkdir()
            meta = _produce(request, work, stem, progress or (lambda done, total, what: None))
            paths = _publish(work, target, truth_name, old, meta)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        for folder in made:
            with contextlib.suppress(OSError):  # never made, or no longer empty
                folder.rmdir()
        # pyarrow's own text names a byte count and hides the reason at its end
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise SimexError(
            f"cannot write the simulated day into {target}: {reason}; nothing was left behind; "
            "choose a folder with room and write access"
        ) from error
    return SimResult(paths, target / "truth" / truth_name, meta)


def _absent_folders(target: Path) -> list[Path]:
    """Folders that have to be made for `target`, the innermost first."""
    return [folder for folder in (target, *target.parents) if not folder.exists()]


# -- the request -----------------------------------------------------------------------------------------


def _one_of(what: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise SimexError(f"unknown {what} {value!r}; choose one of {', '.join(allowed)}")


def _check(
    date: str | dt.date,
    preset: str,
    seed: int,
    start: str | None,
    rate_factor: float,
    layout: str,
    dbn_version: int,
    options: bool,
    with_: Sequence[str],
    faults: Sequence[str],
) -> _Request:
    _one_of("preset", preset, tuple(PRESETS))
    _one_of("layout", layout, LAYOUTS)
    for name in with_:
        _one_of("extra", name, EXTRAS)
    for name in faults:
        _one_of("fault", name, fault_kinds.NAMES)
    if dbn_version not in (1, 3):
        raise SimexError(f"DBN version {dbn_version} is not written; choose 3 or 1")
    if not 0 <= seed < 2**63:
        raise SimexError(f"seed {seed} is out of range; choose 0 or a positive number below 2^63")
    if not 0.01 <= rate_factor <= 10.0:
        raise SimexError(f"rate factor {rate_factor} is out of range; choose 0.01 to 10")
    span = _span(_date(date), preset, start)
    return _Request(
        span, preset, seed, rate_factor, layout, dbn_version, options, frozenset(with_), tuple(faults)
    )


def _date(date: str | dt.date) -> dt.date:
    if isinstance(date, str):
        try:
            date = dt.date.fromisoformat(date)
        except ValueError:
            raise SimexError(f"{date!r} is not a date; write it as 2026-01-06") from None
    if not FIRST_DATE <= date <= LAST_DATE:
        raise SimexError(
            f"{date} is outside the weeks in which ESH6 leads: choose {FIRST_DATE} to {LAST_DATE}"
        )
    if date.weekday() >= 5 or date in NO_FULL_SESSION:
        raise SimexError(
            f"{date:%Y-%m-%d (%A)} has no full session at the exchange; choose an ordinary weekday"
        )
    return date


def _span(date: dt.date, preset: str, start: str | None) -> Span:
    begin, length = PRESETS[preset]
    if start is not None:
        try:
            clock = dt.time.fromisoformat(start)
        except ValueError:
            raise SimexError(f"start {start!r} is not a time of day; write it as 14:29:00 (UTC)") from None
        begin = clock.hour * 3600 + clock.minute * 60 + clock.second
    last = plan.CLOSE_S if date.weekday() == 4 else plan.DAY_S
    end = min(begin + length, last) if preset == "session" else begin + length
    if end > last or end - begin < 60:
        closes = f"{last // 3600:02d}:00 UTC"
        raise SimexError(
            f"preset {preset} from {begin // 3600:02d}:{begin // 60 % 60:02d} runs beyond "
            f"the day's last trading at {closes}; choose an earlier start"
        )
    return Span(date, begin, end)


def _allowed_to_replace(target: Path, stem: str, truth_name: str, *, force: bool) -> list[str]:
    """Names (relative to target) that an earlier run wrote and this one may replace."""
    if target.exists() and not target.is_dir():
        raise SimexError(f"{target} is a file, not a folder; choose another --out")
    if not target.exists():
        return []
    truth = target / "truth" / truth_name
    present = [path.name for path in target.glob(f"{stem}.*")]
    present += [f"truth/{truth_name}/{path.name}" for path in truth.glob("*")] if truth.is_dir() else []
    if not present:
        return []
    listed: list[str] = []
    meta_path = truth / "truth_meta.json"
    try:
        meta = json.loads(meta_path.read_text())
        if meta.get("generator") == "simex":
            listed = [*meta["files"], *(f"truth/{truth_name}/{name}" for name in meta["truth_files"])]
            listed.append(f"truth/{truth_name}/truth_meta.json")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        listed = []  # no readable list: nothing here is known to be ours
    foreign = sorted(set(present) - set(listed))
    if foreign:
        raise SimexError(
            f"{target / foreign[0]} exists and no truth_meta.json of simex lists it; "
            "move it away or choose another --out"
        )
    if not force:
        raise SimexError(
            f"{target} already holds a simulated {truth_name[3:]}; "
            "pass --force to replace it or choose another --out"
        )
    return [name for name in listed if (target / name).exists()]


def _publish(
    work: Path, target: Path, truth_name: str, old: list[str], meta: dict[str, Any]
) -> tuple[Path, ...]:
    truth = target / "truth" / truth_name
    truth.mkdir(parents=True, exist_ok=True)
    for name in old:
        if name not in meta["files"]:
            (target / name).unlink()
    for path in sorted((work / "truth").iterdir()):
        path.replace(truth / path.name)
    for name in meta["files"]:
        (work / name).replace(target / name)
    # last, so that the list never names what is not there
    text = json.dumps(meta, indent=2, sort_keys=True) + "\n"
    (work / "truth_meta.json").write_text(text)
    (work / "truth_meta.json").replace(truth / "truth_meta.json")
    return tuple(target / name for name in meta["files"])


# -- production ------------------------------------------------------------------------------------------


def _produce(request: _Request, work: Path, stem: str, progress: Progress) -> dict[str, Any]:
    """Writes all files into `work`; returns the content of truth_meta.json."""
    counts: dict[str, int] = {}
    script = plants.build(request.span, request.preset)
    names = [f"{stem}.mbo.dbn.zst"]
    with FuturesTruth(work / "truth", ESH6, full_book=request.preset != "session") as truth:
        day = _play_futures(request, script, work / names[0], truth, counts, progress)
        path = None
        chain = None
        if request.options:
            chain = chain_options.build_chain(request.span, request.preset, request.seed)
            path = chain_options.model_path(request.span, day.microprice, request.seed, request.preset)
            script.plant(
                "option_vol_jump",
                path.jump_ns,
                request.span.end_ns,
                "N",
                0,
                "+2 vol points; quotes are pulled and come back",
            )
            strikes = chain_options.strikes_of(request.preset)
            script.plant(
                "open_interest_spike",
                request.span.start_ns,
                request.span.end_ns,
                "C",
                9_000,
                f"call at {strikes[len(strikes) // 2 + 2]} stands out",
            )
        truth.finish(script.plants)
        windows = truth.windows()
    names += _write_reference(request, work, stem, chain, counts)
    if chain is not None and path is not None:
        names.append(f"{stem}.options.mbo.dbn.zst")
        progress(0.0, 1.0, "options")
        market = chain_options.OptionMarket(chain, path, request.span, request.preset, request.seed)
        _play_options(request, market, chain, work / names[-1], counts, progress)
        progress(1.0, 1.0, "truth of the options")
        chain_options.write_truth(
            work / "truth", market, request.span, _announcements(request.span, chain), _spots(windows)
        )
    if "truncate" in request.faults:
        fault_kinds.truncate(work / names[0])
        counts["truncate"] = 1
    files = {name: {"sha256": sha256_of(work / name), "records": counts[name]} for name in names}
    return {
        "generator": "simex",
        "version": VERSION,
        "origin": MARKER,
        "dt": request.span.date.isoformat(),
        "preset": request.preset,
        "seed": request.seed,
        "start_ts_ns": request.span.start_ns,
        "end_ts_ns": request.span.end_ns,
        "layout": request.layout,
        "dbn_version": request.dbn_version,
        "rate_factor": request.rate_factor,
        "with": sorted(request.extras),
        "faults": {name: counts.get(name, 0) for name in request.faults},
        "parameters": {
            "rate": chain_options.RATE,
            "option_tick_border_points": 10.0,
            "vol_start": chain_options.VOL_START,
            "smile_slope": chain_options.SMILE_SLOPE,
            "smile_curve": chain_options.SMILE_CURVE,
            "vol_uncertainty": chain_options.VOL_UNCERTAINTY,
            "futures_half_spread_points": chain_options.FUTURES_HALF_SPREAD,
            "opening_price_int": ESH6.centre_price_int,
            "futures_records": counts["futures_records"],
        },
        "files": files,
        "truth_files": sorted(path.name for path in (work / "truth").iterdir()),
    }


@dataclass(frozen=True)
class _FuturesDay:
    """microprice int64[quarter seconds]: at the start of each quarter, 1e-9; 0 where the book is crossed."""

    microprice: Ints


def _markets(request: _Request, script: plants.Script) -> list[Market]:
    """The front contract first, then the decoys."""
    span, seed = request.span, request.seed
    tables = laws.tables()
    begin = span.start_ns - WARM_UP_S * SECOND_NS
    rates = plan.rates(
        span, seed, 0, warm_s=WARM_UP_S, factor=request.rate_factor, drift=request.preset == "session",
        bursts=tuple(script.bursts),
    )  # fmt: skip
    phase = plan.phase_at(span.start_s)
    silent = tuple(script.silent)
    main = MarketPlan(begin, span.start_ns, span.end_ns, rates, script.table(), silent, phase)
    markets = [Market(ESH6, main, seed, 0, tables, logging=True)]
    if "decoys" not in request.extras:
        return markets
    bare = plants.build(span, "decoy").table()
    for stream, (contract, share, volatility) in enumerate(
        ((ESM6, 0.117, 1.0), (SPREAD, 0.02, 0.2)), start=1
    ):
        rates = plan.rates(
            span,
            seed,
            stream,
            warm_s=WARM_UP_S,
            factor=request.rate_factor,
            share=share,
            volatility=volatility,
        )
        decoy = replace(main, rates=rates, script=bare)
        markets.append(Market(contract, decoy, seed, stream, tables, logging=False))
    return markets


def _stops(request: _Request) -> tuple[dict[int, str], list[int]]:
    """Special times (ns -> what happens) and all times at which a block of the merge ends."""
    span = request.span
    length = span.end_s - span.start_s
    special: dict[int, str] = {}
    if "recovery" in request.extras:
        special[span.start_ns + (length * 6 // 10) * SECOND_NS] = "recovery"
    if "badbook" in request.extras:
        special[span.start_ns + (length * 4 // 10) * SECOND_NS] = "badbook"
        special[span.start_ns + (length * 4 // 10 + 5) * SECOND_NS] = "recovery"
    ends = set(range(span.start_ns + BLOCK_S * SECOND_NS, span.end_ns, BLOCK_S * SECOND_NS))
    return special, sorted(ends | set(special) | {span.end_ns})


def _play_futures(
    request: _Request,
    script: plants.Script,
    path: Path,
    truth: FuturesTruth,
    counts: dict[str, int],
    progress: Progress,
) -> _FuturesDay:
    span = request.span
    markets = _markets(request, script)
    samples: list[Ints] = []
    for i, market in enumerate(markets):
        last = market.warm_up()
        if i == 0:
            samples.append(np.array([last], dtype=np.int64))
    symbols = {market.instrument.symbol: market.instrument.instrument_id for market in markets}
    header = metadata(
        "mbo", span.start_ns, span.end_ns, span.date, symbols, request.dbn_version, list(symbols)
    )
    channel = Channel(2_000_000)
    none_phase = 0
    special, stops = _stops(request)
    futures_records = 0
    with DbnFile(path, header, MBO_BYTES) as file:
        for market in markets:
            file.write(_bytes(market.snapshot(request.layout, span.start_ns)))
        truth.open_with(markets[0].resting())
        bad_next = False
        for stop in stops:
            blocks: list[Words] = []
            for i, market in enumerate(markets):
                chunks = list(market.play(stop))
                words = np.concatenate([chunk.words for chunk in chunks])
                if i == 0:
                    for chunk in chunks:
                        truth.add(chunk)
                        samples.append(chunk.microprice)
                    if "n" in request.extras:
                        words, none_phase = insert_none_records(words, 997, none_phase)
                    if bad_next and len(words):
                        words[event_ends(words)[0], 4] |= F_MAYBE_BAD_BOOK << 32
                        bad_next = False
                    for name in request.faults:
                        if name in fault_kinds.RECORD_FAULTS:
                            words, hit = fault_kinds.RECORD_FAULTS[name](words)
                            counts[name] = counts.get(name, 0) + hit
                    futures_records += len(words)
                blocks.append(words)
            merged = channel.merge(blocks) if len(blocks) > 1 else blocks[0]
            file.write(_bytes(merged))
            what = special.get(stop, "")
            if what == "badbook":
                bad_next = True
            elif what == "recovery":
                recv = max(stop + 150_000, channel.last_recv_ns, markets[0].last_recv_ns)
                file.write(_bytes(markets[0].snapshot("modern", recv)))
                channel.start_at(recv)
                for market in markets:
                    market.delay_feed(recv)
            progress((stop - span.start_ns) / SECOND_NS, float(span.end_s - span.start_s), "futures")
    counts[path.name] = file.records
    counts["futures_records"] = futures_records
    quarters = 4 * (span.end_s - span.start_s)
    return _FuturesDay(np.concatenate(samples)[:quarters])


def _bytes(words: Words) -> bytes:
    return np.ascontiguousarray(words, dtype="<i8").tobytes()


def _play_options(
    request: _Request,
    market: chain_options.OptionMarket,
    chain: chain_options.Chain,
    path: Path,
    counts: dict[str, int],
    progress: Progress,
) -> None:
    span = request.span
    symbols = {contract.symbol: contract.instrument_id for contract in chain.contracts}
    header = metadata(
        "mbo", span.start_ns, span.end_ns, span.date, symbols, request.dbn_version, list(symbols)
    )
    with DbnFile(path, header, MBO_BYTES) as file:
        file.write(_bytes(market.snapshot(request.layout)))
        for words in market.play():
            file.write(_bytes(words))
            if len(words):
                progress(
                    (int(words[-1, 1]) - span.start_ns) / SECOND_NS,
                    float(span.end_s - span.start_s),
                    "options",
                )
    counts[path.name] = file.records


def _spots(windows: Ints) -> dict[int, int]:
    """Window end -> spot: last trade, else the best bid of an uncrossed book, else 0."""
    tick0 = ESH6.centre_price_int // ESH6.tick_int - 4096
    spots = {}
    for row in windows.tolist():
        tick = row[2] if row[2] > 0 else row[3] if row[3] >= 0 and not row[12] else None
        spots[row[0]] = 0 if tick is None else (tick + tick0) * ESH6.tick_int
    return spots


# -- definitions, statistics, status ---------------------------------------------------------------------


def _announcements(span: Span, chain: chain_options.Chain) -> list[tuple[int, int, int]]:
    """(instrument_id, ts_recv_ns, open interest) in order of arrival: first figures, then corrections."""
    first = []
    later = []
    middle = span.start_ns + (span.end_s - span.start_s) // 2 * SECOND_NS
    for i, contract in enumerate(chain.contracts):
        figure, corrected = chain.open_interest[i], chain.corrected[i]
        if figure is not None:
            first.append((contract.instrument_id, span.start_ns + 1_000_000 + i * 1_000_000, figure))
        if corrected is not None:
            later.append((contract.instrument_id, middle + 2_000_000 + i * 1_000_000, corrected))
    return first + later


def _write_reference(
    request: _Request, work: Path, stem: str, chain: chain_options.Chain | None, counts: dict[str, int]
) -> list[str]:
    """Definition, statistics and, when asked for, status file. Returns their names."""
    span = request.span
    version = request.dbn_version
    if "version_mix" in request.faults:
        version = 4 - version
        counts["version_mix"] = 1
    contracts = chain.contracts if chain is not None else ()
    definitions = reference.futures(span.date) + [
        reference.option(span.date, contract) for contract in contracts
    ]
    symbols = {fields["raw_symbol"]: fields["instrument_id"] for fields in definitions}
    records = reference.encode_definitions(definitions, version)
    names = [f"{stem}.definition.dbn.zst", f"{stem}.statistics.dbn.zst"]
    midnight = span.midnight_ns
    day_end = midnight + plan.DAY_S * SECOND_NS
    header = metadata("definition", midnight, day_end, span.date, symbols, version, list(symbols))
    with DbnFile(work / names[0], header, len(records[0])) as file:
        file.write(b"".join(records))
    counts[names[0]] = file.records
    records = _statistics(span, chain, version)
    header = metadata("statistics", span.start_ns, span.end_ns, span.date, symbols, version, list(symbols))
    with DbnFile(work / names[1], header, len(records[0])) as file:
        file.write(b"".join(records))
    counts[names[1]] = file.records
    if "status" in request.extras:
        names.append(f"{stem}.status.dbn.zst")
        header = metadata(
            "status",
            span.start_ns,
            span.end_ns,
            span.date,
            {ESH6.symbol: ESH6.instrument_id},
            version,
            [ESH6.symbol],
        )
        records = _status(span)
        with DbnFile(work / names[2], header, len(records[0])) as file:
            file.write(b"".join(records))
        counts[names[2]] = file.records
    return names


def _statistics(span: Span, chain: chain_options.Chain | None, version: int) -> list[bytes]:
    """Open interest among settlement, volume, highs and lows, opening prices; by arrival."""
    kinds = dbn.StatType
    ref = span.midnight_ns - (3 if span.date.weekday() == 0 else 1) * plan.DAY_S * SECOND_NS
    items: list[tuple[int, int, Any, int | None, int, int]] = []
    price = ESH6.centre_price_int
    for offset, kind, figure in (
        (500_000, kinds.SETTLEMENT_PRICE, price - 3 * ESH6.tick_int),
        (520_000, kinds.OPENING_PRICE, price),
    ):
        items.append((span.start_ns + offset, ESH6.instrument_id, kind, None, figure, 0))
    items.append(
        (span.start_ns + 540_000, ESH6.instrument_id, kinds.CLEARED_VOLUME, 1_234_567, UNDEF_PRICE, 0)
    )
    items.append(
        (span.start_ns + 560_000, ESH6.instrument_id, kinds.OPEN_INTEREST, 2_104_331, UNDEF_PRICE, 0)
    )
    noise = (
        kinds.OPENING_PRICE,
        kinds.SETTLEMENT_PRICE,
        kinds.TRADING_SESSION_LOW_PRICE,
        kinds.TRADING_SESSION_HIGH_PRICE,
        kinds.CLEARED_VOLUME,
        kinds.LOWEST_OFFER,
        kinds.HIGHEST_BID,
    )
    if chain is not None:
        for number, ts_recv, figure in _announcements(span, chain):
            items.append((ts_recv, number, kinds.OPEN_INTEREST, figure, UNDEF_PRICE, 1))
        for i, contract in enumerate(chain.contracts):
            if contract.right == "":
                continue
            for j in range(i % 3):
                kind = noise[(i + 3 * j) % len(noise)]
                volume = kind == kinds.CLEARED_VOLUME
                at = span.start_ns + 3_000_000_000 + i * 1_700_000 + j * 900_000_000
                value = UNDEF_PRICE if volume else (5 + i % 40) * 250_000_000
                items.append((at, contract.instrument_id, kind, 17 + i if volume else None, value, 1))
    items.sort(key=lambda item: item[:2])
    return [
        reference.statistic(
            version,
            number,
            ts_recv,
            kind,
            quantity=quantity,
            price=value,
            ts_ref_ns=ref,
            sequence=900_000 + 3 * i,
            channel_id=channel,
        )
        for i, (ts_recv, number, kind, quantity, value, channel) in enumerate(items)
    ]


def _status(span: Span) -> list[bytes]:
    """State at the start, then the day's changes."""
    actions = dbn.StatusAction
    by_phase = {0: actions.CLOSE, 1: actions.PRE_OPEN, 2: actions.TRADING}
    changes = (
        (plan.CLOSE_S, actions.CLOSE),
        (plan.PRE_OPEN_S, actions.PRE_OPEN),
        (plan.OPEN_S, actions.TRADING),
    )
    now = by_phase[plan.phase_at(span.start_s)]
    out = [reference.status(ESH6.instrument_id, span.start_ns, now, trading=now == actions.TRADING)]
    for second, action in changes:
        if span.start_s < second < span.end_s:
            at = span.midnight_ns + second * SECOND_NS
            out.append(reference.status(ESH6.instrument_id, at, action, trading=action == actions.TRADING))
    return out
