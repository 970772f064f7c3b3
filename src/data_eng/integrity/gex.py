"""The gamma check: option quotes, exposures and profile of one date, recomputed in plain numpy (spec 7, 11).

Quotes are judged by themselves (reasons, volatilities, Greeks), exposures by the quotes, the profile by both.
Blocks of 300 windows are held, and the stretch of three windows that differences look back to.

A ladder of zeros passes only when its manifest says why (no_gex, no_options, no_oi), and then with a warning.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from data_eng.instruments import OPTION_CLASSES, UNDEF_EXPIRATION, definitions_as_of
from data_eng.integrity import gex_checks
from data_eng.integrity.book import SAMPLES, check_same_run
from data_eng.integrity.findings import Check, Report
from data_eng.integrity.gex_checks import GEX_COLUMNS, PROFILE_NUMBERS, Exposures, GexPass, Weights
from data_eng.integrity.plain_black76 import SECONDS_PER_YEAR
from data_eng.integrity.quote_checks import (
    QUOTE_COLUMNS,
    REACH_INT,
    Figures,
    QuoteContext,
    QuotePass,
)
from data_eng.integrity.rebuild import sample_windows
from data_eng.integrity.rows import Array, Bools, Ints, Rows, window_blocks
from data_eng.integrity.source import (
    DEFINITIONS,
    GEX,
    PROFILE,
    QUOTES,
    SNAPSHOT,
    STATISTICS_CLEAN,
    TableSource,
    is_whole_run,
    read_rows,
    require,
)
from data_eng.sessions import expires_on
from data_eng.units import MULTIPLIER_USD_PER_POINT, PRICES_PER_POINT, RISK_FREE_RATE, UNDEF_PRICE

WHY_ZERO: Final = ("no_gex", "no_options", "no_oi")
"""manifest warnings that excuse a ladder of zeros"""
MIN_OK_SHARE: Final = 0.5
"""of the windows in which an option is alive and has open interest, so many have a value"""


def check_gex(
    lake: TableSource,
    symbol: str,
    dt: str,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    min_ok_share: float = MIN_OK_SHARE,
) -> Report:
    """Every check of ladder, quotes and profile on one date.

    The flips and top strikes of `samples` windows, chosen by `seed`, are computed again. The floor: of the
    windows in which an option lives and has open interest, at least `min_ok_share` have a value.

    Raises `MissingDataError` when a partition is absent; wrong data is a finding, never an exception.
    """
    require(lake, symbol, dt, (SNAPSHOT, GEX))
    manifest = lake.manifest(GEX, symbol, dt)
    snapshot = read_rows(
        lake,
        SNAPSHOT,
        symbol,
        dt,
        ["window_end_ts_ns", "spot_ref_price_int", "mid_price_int", "event_count"],
    )
    ends, spot = snapshot["window_end_ts_ns"], snapshot["spot_ref_price_int"]
    if len(ends) == 0:
        nothing = Check("gex_windows", 0, "windows", 1, (f"{SNAPSHOT} has no window",))
        return Report(
            f"gamma integrity {symbol} {dt}", (nothing,), windows=0, valid_windows=0, rows=0, events=0
        )
    walk = GexPass(ends, spot, whole_run=is_whole_run(lake.manifest(SNAPSHOT, symbol, dt)))
    excuses = [text for text in manifest.warnings if text in WHY_ZERO]
    underlying = _check_underlying(lake, symbol, dt)
    if excuses:
        for _, rows in window_blocks(lake.iter_batches(GEX, symbol, dt, list(GEX_COLUMNS)), GEX_COLUMNS):
            walk.examine(rows)
            walk.examine_zeros(rows)
        left_out = f"the manifest of {GEX} says {', '.join(excuses)}: the ladder holds zeros"
        checks = [
            underlying,
            *walk.checks(zeros=True),
            Check("gex_left_out", 1, "manifests", 1, (left_out,), severity="warn"),
        ]
    else:
        require(lake, symbol, dt, (DEFINITIONS, QUOTES, PROFILE))
        checks = [underlying, *_full(lake, symbol, dt, snapshot, walk, (samples, seed, min_ok_share))]
    return Report(
        f"gamma integrity {symbol} {dt}",
        tuple(checks),
        windows=len(snapshot),
        valid_windows=int(np.count_nonzero(spot > 0)),
        rows=walk.rows,
        events=int(snapshot["event_count"].sum()),
        counters=manifest.counters,
        notes=tuple(f"warning in the manifest: {text}" for text in manifest.warnings),
    )


def _full(
    lake: TableSource,
    symbol: str,
    dt: str,
    snapshot: Rows,
    walk: GexPass,
    options: tuple[int, int, float],
) -> list[Check]:
    samples, seed, min_ok_share = options
    ends, spot = snapshot["window_end_ts_ns"], snapshot["spot_ref_price_int"]
    rate = float(lake.manifest(GEX, symbol, dt).params.get("rate", RISK_FREE_RATE))
    chain = _chain(lake, symbol, dt)
    listed, multipliers = chain.strikes, chain.multiplier
    context = QuoteContext(
        ends, spot, snapshot["mid_price_int"], rate, chain.options, _figures(lake, symbol, dt, chain.symbols)
    )
    quotes = QuotePass(context)
    sampled = sample_windows(snapshot, samples, seed)
    kept: dict[int, Weights] = {}
    around_sampled: dict[int, Exposures] = {}
    sums = np.zeros((len(ends), 2))
    strikes = np.unique(np.concatenate([listed, gex_checks.ladder_of(spot[spot > 0]).ravel()]))
    whole_chain = _within_reach(listed, spot)
    before: Exposures | None = None
    for number, quote_rows, gex_rows in _paired(lake, symbol, dt, quotes):
        block = _windows_of(number, ends)
        around = _grown(before, ends[block], spot[block], strikes)
        if quote_rows is not None:
            exposure = quotes.examine(quote_rows) * _multiplier(quote_rows, multipliers)
            around.add(quote_rows, exposure)
            for end in sampled:
                mine = (quote_rows["window_end_ts_ns"] == end) & (quote_rows["reason"] == "ok")
                if end in ends[block]:
                    kept[end] = _weights(
                        quote_rows.take(mine), multipliers, whole=bool(whole_chain[ends == end][0])
                    )
        for end in sampled:
            if end in ends[block]:
                around_sampled[end] = around
        at = np.searchsorted(ends, around.window_end)
        sums[at, 0], sums[at, 1] = around.call.sum(axis=1), around.put.sum(axis=1)
        if gex_rows is not None:
            walk.examine(gex_rows)
            walk.compare(gex_rows, around, np.isin(strikes, listed))
        before = around
    checks = [
        _check_engine_run(lake, symbol, dt),
        *walk.checks(zeros=False),
        *quotes.checks(),
        check_floor(quotes, spot, min_ok_share),
    ]
    profile_table = lake.read(PROFILE, symbol, dt)
    profile = Rows.from_arrow(profile_table, ["window_end_ts_ns", *PROFILE_NUMBERS])
    rows = gex_checks.check_profile_rows(profile, ends)
    checks.append(rows)
    if rows.passed:
        place = {int(end): row for row, end in enumerate(ends)}
        flips = gex_checks.flips_of(profile_table)
        outside = np.maximum(profile["call_gex"] + profile["put_gex"] - sums.sum(axis=1), 0.0)
        outside[whole_chain] = 0.0
        checks += [
            *gex_checks.check_profile_sums(profile, sums, spot, whole_chain),
            gex_checks.check_profile_strikes(
                profile, [(place[end], around) for end, around in around_sampled.items()], whole_chain
            ),
            gex_checks.check_flips(
                [
                    (
                        end,
                        spot[place[end]] / PRICES_PER_POINT,
                        weights,
                        float(outside[place[end]]),
                        flips[place[end]],
                    )
                    for end, weights in kept.items()
                ],
                rate,
            ),
        ]
    return checks


def check_floor(quotes: QuotePass, spot_int: Ints, min_ok_share: float) -> Check:
    """There are quotes in every window with a spot, and values wherever an option could have one."""
    seen = spot_int > 0
    live = quotes.live_per_window > 0
    valued = quotes.ok_per_window > 0
    wrong = []
    if not seen.any():
        wrong.append("no window has a spot")
    if quotes.rows == 0:
        wrong.append("there is not one quote")
    if live.any() and np.count_nonzero(valued) < min_ok_share * np.count_nonzero(live):
        wrong.append(
            f"{np.count_nonzero(valued)} of {np.count_nonzero(live)} windows with a living option of open "
            f"interest have a value, expected a share of {min_ok_share:g}"
        )
    alive = (
        f"{np.count_nonzero(live)} windows with a living option of open interest"
        if live.any()
        else "no option with open interest was alive in any window"
    )
    return Check(
        "gex_floor",
        int(np.count_nonzero(seen)),
        "windows with a spot",
        len(wrong),
        tuple(wrong),
        detail=f"{quotes.rows:,} quotes, {alive}",
    )


# ---- what is read ------------------------------------------------------------------------------------------


class _Chain(NamedTuple):
    """Options on the contract that expire on the date, by the definitions.

    options: int64[k, 2] of (strike, instrument id), ascending; strikes: its distinct strikes; multiplier:
    instrument id -> USD per point; symbols: raw symbol -> instrument id.
    """

    options: Ints
    strikes: Ints
    multiplier: dict[int, float]
    symbols: dict[str, int]


def _chain(lake: TableSource, symbol: str, dt: str) -> _Chain:
    listed = [
        row
        for row in definitions_as_of(lake.read(DEFINITIONS, symbol, dt), dt).to_pylist()
        if row["instrument_class"] in OPTION_CLASSES
        and row["underlying"] == symbol
        and row["expiration"] != UNDEF_EXPIRATION
        and expires_on(row["expiration"]).isoformat() == dt
    ]
    options = np.array(sorted((row["strike_price"], row["instrument_id"]) for row in listed), np.int64)
    options = options.reshape(-1, 2)
    multiplier = {
        row["instrument_id"]: row["unit_of_measure_qty"] / PRICES_PER_POINT
        for row in listed
        if row["unit_of_measure_qty"] != UNDEF_PRICE
    }
    symbols = {row["raw_symbol"]: row["instrument_id"] for row in listed}
    return _Chain(options, np.unique(options[:, 0]), multiplier, symbols)


def _figures(lake: TableSource, symbol: str, dt: str, symbols: dict[str, int]) -> Figures | None:
    """Announced open interest by instrument; None without statistics_clean."""
    if not lake.has(STATISTICS_CLEAN, symbol, dt):
        return None
    names = ["option_symbol", "ts_recv_ns", "open_interest"]
    announced: dict[int, list[tuple[int, float]]] = {}
    rows = lake.read(STATISTICS_CLEAN, symbol, dt, names).select(names)
    for option, ts, figure in zip(*(column.to_pylist() for column in rows.columns), strict=True):
        if option in symbols:
            announced.setdefault(symbols[option], []).append((ts, figure))
    ordered = {number: sorted(pairs, key=lambda pair: pair[0]) for number, pairs in announced.items()}
    return Figures(
        {number: np.array([ts for ts, _ in pairs], np.int64) for number, pairs in ordered.items()},
        {number: np.array([figure for _, figure in pairs]) for number, pairs in ordered.items()},
    )


def _check_underlying(lake: TableSource, symbol: str, dt: str) -> Check:
    odd: set[str] = set()
    rows = 0
    for batch in lake.iter_batches(GEX, symbol, dt, ["underlying"]):
        rows += batch.num_rows
        odd |= set(batch.column("underlying").unique().to_pylist()) - {symbol}
    texts = tuple(f"underlying {name}, expected {symbol}" for name in sorted(odd)[:5])
    return Check("gex_underlying", rows, "rows", len(odd), texts)


def _check_engine_run(lake: TableSource, symbol: str, dt: str) -> Check:
    """Exposures, quotes and profile come from one pass (2.3)."""
    return check_same_run(
        {name: lake.manifest(name, symbol, dt).engine_run for name in (GEX, QUOTES, PROFILE)}
    )


def _paired(
    lake: TableSource, symbol: str, dt: str, quotes: QuotePass
) -> Iterator[tuple[int, Rows | None, Rows | None]]:
    """(block number, quotes, exposures), ascending; None where a table has no row in the block."""
    first = window_blocks(
        quotes.examine_nulls(lake.iter_batches(QUOTES, symbol, dt, list(QUOTE_COLUMNS))), QUOTE_COLUMNS
    )
    second = window_blocks(lake.iter_batches(GEX, symbol, dt, list(GEX_COLUMNS)), GEX_COLUMNS)
    quote, gex = next(first, None), next(second, None)
    while quote is not None or gex is not None:
        number = min(block[0] for block in (quote, gex) if block is not None)
        mine = quote[1] if quote is not None and quote[0] == number else None
        other = gex[1] if gex is not None and gex[0] == number else None
        yield number, mine, other
        if mine is not None:
            quote = next(first, None)
        if other is not None:
            gex = next(second, None)


def _windows_of(number: int, ends: Ints) -> slice:
    """Rows of the snapshot whose windows stand in block `number` of `window_blocks`."""
    span = gex_checks.BLOCK_NS
    low, high = np.searchsorted(ends, [number * span, (number + 1) * span], side="right")
    return slice(int(low), int(high))


def _grown(before: Exposures | None, ends: Ints, spot: Ints, strikes: Ints) -> Exposures:
    """Exposures of the block, all 0 yet, behind the last three windows of the block before it."""
    if before is None or not len(before.window_end):
        return Exposures(ends, spot, strikes)
    keep = gex_checks.HISTORY_WINDOWS
    grown = Exposures(
        np.concatenate([before.window_end[-keep:], ends]),
        np.concatenate([before.spot_int[-keep:], spot]),
        strikes,
    )
    had = len(before.window_end[-keep:])
    grown.call[:had], grown.put[:had] = before.call[-keep:], before.put[-keep:]
    return grown


def _multiplier(rows: Rows, multipliers: dict[int, float]) -> Array:
    ids, inverse = np.unique(rows["instrument_id"], return_inverse=True)
    each = np.array([multipliers.get(int(number), MULTIPLIER_USD_PER_POINT) for number in ids])
    return np.asarray(each[inverse])


def _weights(rows: Rows, multipliers: dict[int, float], *, whole: bool) -> Weights:
    sign = np.where(rows["right"] == "C", 1.0, -1.0)
    return Weights(
        rows["strike_price_int"] / PRICES_PER_POINT,
        rows["seconds_to_expiry"] / SECONDS_PER_YEAR,
        rows["implied_vol"],
        sign * rows["open_interest"] * _multiplier(rows, multipliers),
        whole,
    )


def _within_reach(listed: Ints, spot: Ints) -> Bools:
    """bool[windows]: the quote table holds the whole chain, up to its outermost strikes."""
    if not len(listed):
        return np.zeros(len(spot), bool)
    return np.asarray((np.abs(listed[0] - spot) <= REACH_INT) & (np.abs(listed[-1] - spot) <= REACH_INT))
