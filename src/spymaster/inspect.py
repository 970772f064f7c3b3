"""`spymaster inspect`: what a raw file or a bronze partition holds, before any book is built."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spymaster.edge import say, say_json
from spymaster.options import DAY, LAKE_AT, OUTPUT, Day, LakeAt, Output

if TYPE_CHECKING:
    from data_eng.flag_census import FlagCensus
    from data_eng.mbo import MboColumns

SHOWN = 20
"""snapshots and open instruments listed in full before "and N more" """


def inspect_flags(
    *, file: Path | None = None, day: Day = DAY, lake: LakeAt = LAKE_AT, output: Output = OUTPUT
) -> int:
    """Count action x flags, snapshot boundaries and events left open, over a whole file or partition.

    For example:

        spymaster inspect flags --file esh6.mbo.dbn.zst
        spymaster inspect flags --dt 2026-01-06 --symbol ESH6

    Parameters
    ----------
    file:
        DBN file to read. Default: the bronze partition of --dt and --symbol.
    """
    from data_eng.flag_census import FlagCensus

    census = FlagCensus()
    parts, source = _file_parts(file) if file is not None else _bronze_parts(day, lake)
    for part in parts:
        census.add(part)
    if output.json:
        say_json({"source": source, **census.to_json()})
    else:
        say(source, *_flag_lines(census), *_snapshot_lines(census), *_open_lines(census))
    return 0


def inspect_file(file: Path, /, *, output: Output = OUTPUT) -> int:
    """Show a DBN file's metadata, its record counts and, for MBO, its snapshot boundaries.

    For example:

        spymaster inspect file glbx-mdp3-20260106.mbo.dbn.zst

    Parameters
    ----------
    file:
        DBN file, version 1 to 3, compressed or not.
    """
    from data_eng import dbn_reader
    from data_eng.flag_census import FlagCensus
    from data_eng.mbo import MboColumns

    metadata = dbn_reader.read_metadata(file)
    document: dict[str, Any] = {
        "file": str(file),
        "size_bytes": file.stat().st_size,
        "version": metadata.version,
        "dataset": metadata.dataset,
        "schema": metadata.schema,
        "start": _utc(metadata.start_ns),
        "end": None if metadata.end_ns is None else _utc(metadata.end_ns),
        "symbols": len(metadata.symbols),
        "mapped_symbols": len(metadata.mappings),
        "origin": metadata.origin,
        "compressed": metadata.compressed,
    }
    readable = metadata.schema in ("mbo", "definition", "statistics", "status", None)
    census = FlagCensus()
    if readable:
        schema = metadata.schema or "mbo"
        tally = dbn_reader.ReadTally()
        for block in dbn_reader.iter_record_blocks(file, schema, tally=tally):
            if schema == "mbo":
                census.add(MboColumns.from_records(block))
        verification = dbn_reader.verify(file, tally, dbn_reader.sha256_of(file))
        document |= {
            "records": tally.records,
            "record_schema": schema,
            "other_records": {str(rtype): count for rtype, count in sorted(tally.skipped.items())},
            "verified": verification.verified,
            "verified_by": verification.reason,
        }
    if output.json:
        say_json({**document, **({"mbo": census.to_json()} if census.records else {})})
        return 0
    say(*(f"{name:<15} {value}" for name, value in document.items()))
    if not readable:
        say(f"records of schema {metadata.schema} are not counted: this version does not read them")
    if census.records:
        say(*_snapshot_lines(census))
    return 0


def _file_parts(file: Path) -> tuple[Iterator[MboColumns], str]:
    from data_eng.dbn_reader import read_ahead, read_metadata
    from data_eng.mbo import MboColumns

    metadata = read_metadata(file)
    parts = (MboColumns.from_records(block) for block in read_ahead(file))
    return parts, f"{file} (DBN v{metadata.version}, {metadata.dataset}, {metadata.origin})"


def _bronze_parts(day: Day, lake: LakeAt) -> tuple[Iterator[MboColumns], str]:
    from data_eng.mbo import BRONZE_MBO_COLUMNS, MboColumns

    dataset, opened = "bronze.future_mbo.mbo", lake.open()
    symbol = day.resolve(opened)
    manifest = opened.manifest(dataset, symbol, day.dt)
    batches = opened.iter_batches(dataset, symbol, day.dt, columns=list(BRONZE_MBO_COLUMNS))
    return (MboColumns.from_bronze(b) for b in batches), f"{dataset} {symbol} {day.dt} ({manifest.origin})"


def _flag_lines(census: FlagCensus) -> list[str]:
    lines = [
        f"{census.records:,} records of {census.instruments} instruments, {census.events:,} events",
        "",
        f"{'action':<7}{'flags':>6}  {'names':<40}{'records':>14}",
    ]
    lines += [
        f"{action:<7}{flags:>6}  {names:<40}{count:>14,}" for action, flags, names, count in census.table()
    ]
    return [*lines, ""]


def _snapshot_lines(census: FlagCensus) -> list[str]:
    lines = [f"{census.snapshot_count} snapshots"]
    for s in census.snapshots[:SHOWN]:
        span = f"ts_event {_utc(s.oldest_ts_event_ns)} to {_utc(s.newest_ts_event_ns)}"
        lines.append(
            f"  rows {s.first_row:,}-{s.last_row:,} of instrument {s.instrument_id}: {s.records:,} records,"
            f" ts_recv {_utc(s.ts_recv_ns)}, {span if s.newest_ts_event_ns else 'no orders'},"
            f" {'opens with R' if s.opened_by_clear else 'no R'},"
            f" {'end marked by F_LAST' if s.end_marked else 'end not marked'}"
        )
    if census.snapshot_count > SHOWN:
        lines.append(f"  and {census.snapshot_count - SHOWN} more")
    return lines


def _open_lines(census: FlagCensus) -> list[str]:
    left = census.open_at_end
    lines = [
        f"{census.unterminated_events:,} events cut by a new second or a snapshot before their F_LAST",
        f"{len(left)} instruments end without F_LAST ({sum(left.values()):,} records after the last one)",
    ]
    lines += [f"  instrument {iid}: {rows:,} records" for iid, rows in list(left.items())[:SHOWN]]
    return lines


def _utc(ts_ns: int) -> str:
    """ISO time in UTC with all nine digits."""
    seconds, nanos = divmod(ts_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"
