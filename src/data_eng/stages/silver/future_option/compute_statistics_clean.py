"""Open interest of every option as announced, exact repeats removed, the day before first (spec 7.1).

A day begins with the last figure each option had before: from the statistics of an earlier date in the
lake, else from raw statistics files of such a date. Those name instruments by number; the numbers are read
with the definitions of the day itself, since an option keeps its number for life.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa

from data_eng.errors import MissingDataError
from data_eng.raw_files import DayReader
from data_eng.schema import table
from data_eng.sessions import NEW_YORK, utc_day_ns
from data_eng.stage import Stage, StageContext
from data_eng.stages.bronze.definitions import DATASET_KEY as DEFINITIONS
from data_eng.stages.bronze.statistics import StatisticsReport, option_terms, to_statistics
from data_eng.units import WINDOW_NS

STATISTICS: Final = "bronze.future_option.statistics"
CLEAN: Final = "silver.future_option.statistics_clean"
NO_OI: Final = "no_oi"
"""manifest warning: no figure at all"""
COPIES: Final = (
    "ts_event_ns",
    "ts_recv_ns",
    "source",
    "underlying",
    "option_symbol",
    "exp_date",
    "strike",
    "right",
    "open_interest",
)
"""columns that are Bronze's own"""


def clean_statistics(day: pa.Table, before: pa.Table | None = None) -> pa.Table:
    """Rows of statistics_clean, sorted by its key: all figures of `day`, and the last one each option had
    before.

    day, before: `bronze.future_option.statistics` of the date and of an earlier one. Of several rows of one
    option and ts_recv the last in file order stays.
    """
    parts = [day.select(COPIES)]
    if before is not None:
        old = before.select(COPIES)
        parts.insert(0, old.take(pa.array(_last_of(old, ("option_symbol",)))))
    every = pa.concat_tables(parts).combine_chunks()
    kept = every.take(pa.array(_last_of(every, ("option_symbol", "ts_recv_ns"))))
    given = {name: kept[name] for name in COPIES}
    given["ts_event_est"] = pa.array([_new_york(ts) for ts in kept["ts_event_ns"].to_pylist()], pa.string())
    schema = table(CLEAN).arrow_schema
    return pa.Table.from_arrays([given[name] for name in schema.names], schema=schema)


def _last_of(rows: pa.Table, key: tuple[str, ...]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Indices of the last received row of each key (file order breaks ties), sorted by key."""
    symbols = np.array(rows["option_symbol"].to_pylist(), dtype=object).astype(str)
    received = rows["ts_recv_ns"].to_numpy()
    order = np.lexsort((np.arange(len(received)), received, symbols))
    columns = [symbols[order]] + ([received[order]] if "ts_recv_ns" in key else [])
    differs = np.zeros(max(len(order) - 1, 0), np.bool_)
    for column in columns:
        differs |= column[1:] != column[:-1]
    return np.asarray(order[np.append(differs, True)] if len(order) else order)


def _new_york(ts_ns: int) -> str:
    """ISO-8601 with offset, to the nanosecond."""
    seconds, rest = divmod(ts_ns, WINDOW_NS)
    text = datetime.fromtimestamp(seconds, UTC).astimezone(NEW_YORK).isoformat()
    return f"{text[:19]}.{rest:09d}{text[19:]}"


def _before(context: StageContext) -> tuple[pa.Table | None, dict[str, Any]]:
    """(statistics of an earlier date or None, what the manifest says of the raw files they came from)."""
    held = context.read_earlier(STATISTICS)
    dt = context.earlier_raw_dt
    if held is not None or dt is None:
        return held, {}
    names = context.read(DEFINITIONS)
    reader = DayReader(context.raw.require("statistics", dt), dt)
    terms = option_terms(names, context.symbol, context.dt)
    parts = [to_statistics(block.records, terms, StatisticsReport()) for block in reader.blocks()]
    said = {
        "raw_inputs": context.raw.identity("statistics", dt),
        "origin": reader.origin,
        "verified": reader.verified,
    }
    return (pa.concat_tables(parts) if parts else None), said


def _run(context: StageContext) -> None:
    warnings: list[str] = []
    counters = {"figures_of_the_day": 0, "figures_before": 0}
    rows = table(CLEAN).empty()
    said: dict[str, Any] = {}
    if context.has(STATISTICS):
        before, said = _before(context)
        day = context.read(STATISTICS)
        rows = clean_statistics(day, before)
        start_ns, _ = utc_day_ns(context.dt)
        old = int(np.count_nonzero(rows["ts_recv_ns"].to_numpy() < start_ns))
        counters = {"figures_of_the_day": rows.num_rows - old, "figures_before": old}
    elif not context.params.no_gex:
        raise MissingDataError(
            f"{STATISTICS} of {context.symbol} {context.dt} is not in {context.lake.root};"
            " ingest the statistics of that day's option parents, or run with --no-gex"
        )
    if rows.num_rows == 0:
        warnings.append(NO_OI)
    with context.writer(CLEAN) as writer:
        writer.write(rows)
        context.commit(writer, counters=counters, warnings=warnings, **said)


STAGE: Final = Stage(
    name="statistics_clean",
    optional_inputs=(STATISTICS, DEFINITIONS),
    earlier=(STATISTICS,),
    earlier_raw=("statistics",),
    outputs=(CLEAN,),
    params=("no_gex",),
    run=_run,
)
