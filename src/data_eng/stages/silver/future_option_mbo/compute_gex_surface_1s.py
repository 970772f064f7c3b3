"""Gamma exposure per strike around spot, with the quotes it was made from and its profile (spec 7.2-7.4).

The ladder is the contract with every reader: 61 strikes for every snapshot window that has a spot. Without
option data it is filled with zeros on request (``--no-gex``), and the manifest says why. What the rules
leave open is settled in decision 0003.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_eng.background import WriteBehind, prefetch
from data_eng.errors import MissingDataError
from data_eng.mbo import BRONZE_MBO_COLUMNS, MboColumns
from data_eng.schema import table
from data_eng.stage import Stage, StageContext
from data_eng.stages.silver.future_option_mbo.chain import Chain, News, chain_of, news_of
from data_eng.stages.silver.future_option_mbo.gex_processes import ShardTask, blocks_of_processes
from data_eng.stages.silver.future_option_mbo.gex_shard import Axis, GexShard, ShardBlock, axis_of
from data_eng.stages.silver.future_option_mbo.gex_tables import (
    GEX,
    PROFILE,
    QUOTE,
    STRIKES,
    GexBlock,
    TableMaker,
    profile_rows,
    surface_rows,
)
from data_eng.units import RISK_FREE_RATE, STRIKE_OFFSETS, STRIKE_STEP_INT, WINDOW_NS

SNAPSHOT: Final = "silver.future_mbo.book_snapshot_1s"
OPTION_MBO: Final = "bronze.future_option_mbo.mbo"
DEFINITIONS: Final = "bronze.shared.instrument_definitions"
STATISTICS: Final = "silver.future_option.statistics_clean"
OUTPUTS: Final = (GEX, QUOTE, PROFILE)
SNAPSHOT_COLUMNS: Final = ("window_end_ts_ns", "spot_ref_price_int", "mid_price_int")
WINDOWS_PER_BLOCK: Final = 300
WINDOWS_OF_ZEROS: Final = 3_600
RECORDS_PER_CALL: Final = 262_144
NO_OPTIONS: Final = "no_options"
"""manifest warning: zeros, because there are no option books"""
NO_OI: Final = "no_oi"
"""manifest warning: zeros, because there is no open interest"""
NO_GEX: Final = "no_gex"
"""manifest warning: zeros, because --no-gex asked for them although the data are there"""

Int64s = npt.NDArray[np.int64]


@dataclass
class GexReport:
    """What `compute_gex` counted; complete when its last block was taken.

    counters: of the books (decision 0003), and options, options_without_figure, windows_without_figure (of
    any option that lives), windows_before_a_figure (that comes later), windows_with_changed_figure.
    missing: symbols of the options without any figure of open interest.
    """

    counters: dict[str, int] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


def compute_gex(
    option_mbo_batches: Iterable[pa.RecordBatch],
    definitions: pa.Table,
    statistics_clean: pa.Table,
    snapshot: pa.Table,
    *,
    contract: str,
    dt: str,
    rate: float = RISK_FREE_RATE,
    shards: int = 1,
    windows_per_block: int = WINDOWS_PER_BLOCK,
    report: GexReport | None = None,
    threads: bool = False,
) -> Iterator[GexBlock]:
    """Gamma of the 0DTE chain of `contract` on `dt`, in blocks of windows, in order.

    option_mbo_batches: `bronze.future_option_mbo.mbo` in file order, cut anywhere; at least
    `BRONZE_MBO_COLUMNS`.
    definitions: `bronze.shared.instrument_definitions`. statistics_clean:
    `silver.future_option.statistics_clean`, with the previous day's figures among its rows. snapshot:
    `silver.future_mbo.book_snapshot_1s`; at least `SNAPSHOT_COLUMNS`. rate: flat, continuous, per year.
    shards: into how many parts the strikes are split, all in this process; it changes no byte, nor do
    windows_per_block, threads and the cut of the batches. threads: one shard's records, books and
    volatilities are made ahead, in a thread each. report: filled with counts.

    Yields blocks with .gex, .quote, .profile: batches of gex_surface_1s (61 rows per window with a spot),
    option_quote_1s and gex_profile_1s (one row per window). Their concatenations are the tables.

    Raises `MissingDataError` when the definitions name no option of the chain, or no option has any
    figure of open interest. Spec 7.2-7.4, decision 0003.
    """
    chain, news = chain_and_news(definitions, statistics_clean, contract, dt)
    axis = axis_of(*(snapshot[name].to_numpy() for name in SNAPSHOT_COLUMNS))
    parts = [
        GexShard(chain, news, axis, rate, shard=i, shards=shards, windows=windows_per_block)
        for i in range(shards)
    ]
    maker = TableMaker(chain, [chain.shard(i, shards) for i in range(shards)], axis, rate)
    records = _records(option_mbo_batches)
    together = _ahead(parts[0], records) if threads and shards == 1 else _lockstep(parts, records)
    with closing(together) as solved:
        for blocks in solved:
            yield maker.tables(blocks, contract)
    if report is not None:
        report.counters = merged_counters([part.books.counters() for part in parts])
        fill_report(report, chain, news, axis)


def chain_and_news(
    definitions: pa.Table, statistics_clean: pa.Table, contract: str, dt: str
) -> tuple[Chain, News]:
    """The chain and what is known of its open interest. Raises `MissingDataError` as `compute_gex`."""
    chain = chain_of(definitions, contract, dt)
    if chain.size == 0:
        raise MissingDataError(
            f"the definitions name no option on {contract} that expires on {dt} in Chicago; fetch the"
            " definitions of that day's option parent, or run with --no-gex"
        )
    news = news_of(statistics_clean, chain)
    if len(news.option) == 0:
        raise MissingDataError(
            f"no open interest for any of the {chain.size} options on {contract} that expire on {dt};"
            f" missing: {', '.join(chain.symbol)}; fetch the statistics of that day's option parent, or run"
            " with --no-gex"
        )
    return chain, news


def _records(batches: Iterable[pa.RecordBatch]) -> Iterator[MboColumns]:
    for batch in batches:
        if batch.num_rows:
            yield MboColumns.from_bronze(batch)


def _ahead(part: GexShard, records: Iterator[MboColumns]) -> Generator[list[ShardBlock], None, None]:
    """Blocks of the only shard. Reading, books and volatilities run ahead of each other, in a thread each.

    All of them leave the interpreter while they work, so the longest two fill two cores.
    """
    with ExitStack() as stack:
        read = stack.enter_context(closing(prefetch(records, depth=2)))
        books = stack.enter_context(closing(prefetch(part.book_blocks(read), depth=1)))
        solved = stack.enter_context(closing(prefetch(map(part.solver.solve, books), depth=1)))
        for block in solved:
            yield [block]


def _lockstep(
    parts: Sequence[GexShard], records: Iterator[MboColumns]
) -> Generator[list[ShardBlock], None, None]:
    """Blocks of all shards about the same windows. One clock drives all shards, so they fill at the same
    records."""
    waiting: list[deque[ShardBlock]] = [deque() for _ in parts]

    def take() -> Iterator[list[ShardBlock]]:
        while all(waiting):
            yield [queue.popleft() for queue in waiting]

    for columns in records:
        for part, queue in zip(parts, waiting, strict=True):
            queue.extend(map(part.solver.solve, part.books.process(columns)))
        yield from take()
    for part, queue in zip(parts, waiting, strict=True):
        queue.extend(map(part.solver.solve, part.books.finish()))
    yield from take()


def merged_counters(counters: Sequence[dict[str, int]]) -> dict[str, int]:
    """Counts of all shards; every shard sees the same foreign records."""
    merged = {name: sum(c[name] for c in counters) for name in counters[0]}
    merged["foreign_records"] = counters[0]["foreign_records"]
    return merged


def fill_report(report: GexReport, chain: Chain, news: News, axis: Axis) -> None:
    """Count and name what is not known of open interest (spec 7.1)."""
    never = np.iinfo(np.int64).max
    first = np.full(chain.size, never)
    np.minimum.at(first, news.option, news.ts_recv)
    ends = axis.end[axis.spot > 0]
    lacking, late = np.zeros(len(ends), np.bool_), np.zeros(len(ends), np.bool_)
    for since, until in {(int(a), int(b)) for a, b in zip(first, chain.expiration, strict=True)}:
        without = (ends <= since) & (ends < until)
        lacking |= without
        late |= without & (since < never)
    repeated = np.isin(np.arange(len(news.option)), _first_places(news.option), invert=True)
    changes = np.unique(news.ts_recv[repeated] // WINDOW_NS * WINDOW_NS + WINDOW_NS)
    report.missing = tuple(s for s, ts in zip(chain.symbol, first.tolist(), strict=True) if ts == never)
    report.counters |= {
        "options": chain.size,
        "options_without_figure": len(report.missing),
        "windows_without_figure": int(np.count_nonzero(lacking)),
        "windows_before_a_figure": int(np.count_nonzero(late)),
        "windows_with_changed_figure": int(np.count_nonzero(np.isin(ends, changes))),
    }


def _first_places(option: npt.NDArray[np.int32]) -> Int64s:
    return np.unique(option, return_index=True)[1]


# ---- the ladder, and zeros on request


def strike_ladder(spot: Int64s) -> Int64s:
    """Strikes around each spot, int64[n] -> int64[n, 61] in 1e-9 points, ascending.

    The middle one is the multiple of 5 points nearest to spot, the upper one on a tie.
    """
    middle = (2 * spot + STRIKE_STEP_INT) // (2 * STRIKE_STEP_INT) * STRIKE_STEP_INT
    return middle[:, None] + STRIKE_STEP_INT * np.arange(-STRIKE_OFFSETS, STRIKE_OFFSETS + 1)


def empty_ladder(window_end: Int64s, spot: Int64s, underlying: str) -> Iterator[pa.RecordBatch]:
    """Rows of gex_surface_1s with zeros for every value, in blocks, for windows with spot > 0.

    window_end, spot: int64[n] of the snapshot; windows without spot have no ladder.
    """
    for start in range(0, len(window_end), WINDOWS_OF_ZEROS):
        block = slice(start, start + WINDOWS_OF_ZEROS)
        some = spot[block] > 0
        ends, spots = window_end[block][some], spot[block][some]
        strikes = strike_ladder(spots).ravel()
        yield surface_rows(np.repeat(ends, STRIKES), np.repeat(spots, STRIKES), strikes, underlying, {})


def empty_profile(window_end: Int64s) -> pa.RecordBatch:
    """Rows of gex_profile_1s that know of no option: zeros and no flips."""
    n = len(window_end)
    return profile_rows(window_end, np.zeros((9, n)), np.zeros(n + 1, np.int32), np.zeros(0))


# ---- the stage


def _run(context: StageContext) -> None:
    if context.params.no_gex:
        _write_zeros(context)
        return
    for name in (OPTION_MBO, DEFINITIONS, STATISTICS):
        if not context.has(name):
            raise MissingDataError(
                f"{GEX} of {context.symbol} {context.dt} needs {name}, which is not in {context.lake.root};"
                " run every stage on a folder that holds the option files of the date, or add --no-gex to"
                " write a ladder of zeros that says so"
            )
    report = GexReport()
    chain, news = chain_and_news(
        context.read(DEFINITIONS), context.read(STATISTICS), context.symbol, context.dt
    )
    snapshot = context.read(SNAPSHOT, SNAPSHOT_COLUMNS)
    axis = axis_of(*(snapshot[name].to_numpy() for name in SNAPSHOT_COLUMNS))
    with ExitStack() as stack:
        writers = [stack.enter_context(context.writer(name)) for name in OUTPUTS]

        def write(place: int) -> Callable[[GexBlock], None]:
            def rows_of(block: GexBlock) -> None:
                if block[place].num_rows:
                    writers[place].write(block[place])

            return rows_of

        # encoding the tables is as much work as making them: each has a thread
        with ExitStack() as threads:
            sinks = [
                threads.enter_context(WriteBehind(write(place), depth=1)) for place in range(len(writers))
            ]
            for block in _blocks(context, chain, news, axis, report):
                for sink in sinks:
                    sink.put(block)
        fill_report(report, chain, news, axis)
        warnings = warnings_of(report)
        for line in warnings:
            context.report.warn(line)
        context.commit(*writers, counters=report.counters, warnings=warnings)


def _blocks(
    context: StageContext, chain: Chain, news: News, axis: Axis, report: GexReport
) -> Iterator[GexBlock]:
    """Blocks of tables, made by threads of this process, or by as many processes as there are shards."""
    rate, shards = context.params.rate, context.params.shards
    maker = TableMaker(chain, [chain.shard(i, shards) for i in range(shards)], axis, rate)
    counters: list[dict[str, int]] = []
    if shards > 1:
        task = ShardTask(context.source(OPTION_MBO), chain, news, axis, rate, shards, WINDOWS_PER_BLOCK)
        with closing(blocks_of_processes(task, counters)) as parts:
            for blocks in parts:
                yield maker.tables(blocks, context.symbol)
                context.advance(blocks[0].start + len(blocks[0].vol), len(axis.end), "windows")
    else:
        part = GexShard(chain, news, axis, rate, windows=WINDOWS_PER_BLOCK)
        total = context.manifest(OPTION_MBO).row_count
        with closing(_ahead(part, _records(_with_progress(context, total)))) as solved:
            for blocks in solved:
                yield maker.tables(blocks, context.symbol)
        counters.append(part.books.counters())
    report.counters = merged_counters(counters)


def _with_progress(context: StageContext, total: int) -> Iterator[pa.RecordBatch]:
    done = 0
    for batch in context.iter_batches(OPTION_MBO, BRONZE_MBO_COLUMNS):
        for start in range(0, batch.num_rows, RECORDS_PER_CALL):
            yield batch.slice(start, RECORDS_PER_CALL)
        done += batch.num_rows
        context.advance(done, total)


def warnings_of(report: GexReport) -> list[str]:
    """Manifest warnings about open interest: what is missing, and what changed."""
    counts = report.counters
    lines = []
    if report.missing:
        lines.append(
            f"no_oi_for: {len(report.missing)} of {counts['options']} options have no figure of open"
            f" interest and contribute 0: {', '.join(report.missing)}"
        )
    if counts["windows_before_a_figure"]:
        lines.append(
            f"oi_late: in {counts['windows_before_a_figure']} windows some option has no figure of open"
            " interest yet"
        )
    if counts["windows_with_changed_figure"]:
        lines.append(
            f"oi_changed: in {counts['windows_with_changed_figure']} windows a figure of open"
            " interest changed"
        )
    return lines


def _write_zeros(context: StageContext) -> None:
    snapshot = context.read(SNAPSHOT, SNAPSHOT_COLUMNS)
    ends, spot = (snapshot[name].to_numpy() for name in SNAPSHOT_COLUMNS[:2])
    with ExitStack() as stack:
        gex, quote, profile = (stack.enter_context(context.writer(name)) for name in OUTPUTS)
        for batch in empty_ladder(ends, spot, context.symbol):
            gex.write(batch)
        quote.write(table(QUOTE).empty())
        profile.write(empty_profile(ends))
        why = _why_zero(context)
        context.report.warn(f"--no-gex: gamma is 0 on the whole ladder ({why})")
        context.commit(gex, quote, profile, warnings=[why])


def _why_zero(context: StageContext) -> str:
    if not context.has(OPTION_MBO) or context.manifest(OPTION_MBO).row_count == 0:
        return NO_OPTIONS
    return NO_GEX if context.has(STATISTICS) and context.manifest(STATISTICS).row_count else NO_OI


STAGE: Final = Stage(
    name="gex_surface",
    inputs=(SNAPSHOT,),
    optional_inputs=(OPTION_MBO, DEFINITIONS, STATISTICS),
    outputs=OUTPUTS,
    params=("no_gex", "rate"),
    engine_pass=True,
    run=_run,
)
