"""`spymaster lake`: list, check and delete partitions. Raw input is never touched."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from data_eng.errors import MissingDataError, UsageError
from spymaster.edge import EXIT_FAILED, EXIT_OK, say, say_json, size_text
from spymaster.options import DAY, LAKE_AT, OUTPUT, Day, LakeAt, Output, Switch

if TYPE_CHECKING:
    from data_eng.lake_health import PartitionHealth


def lake_ls(
    *, dt: str | None = None, symbol: str | None = None, lake: LakeAt = LAKE_AT, output: Output = OUTPUT
) -> int:
    """List the partitions with rows, size and freshness.

    For example:

        spymaster lake ls --dt 2026-01-06

    Parameters
    ----------
    dt:
        Only this date. Default: all dates.
    symbol:
        Only this partition symbol. Default: all.
    """
    found = [p for p in _examined(lake) if dt in (None, p.dt) and symbol in (None, p.symbol)]
    if output.json:
        say_json([partition.to_json() for partition in found])
        return EXIT_OK
    for p in found:
        rows = "?" if p.rows is None else f"{p.rows:,}"
        size = "?" if p.size_bytes is None else size_text(p.size_bytes)
        state = p.health + (f" ({p.reason})" if p.reason else "")
        loud = " SIMULATED" if p.origin == "simulated" else ""
        loud += " not verified" if p.verified is False else ""
        say(f"{p.dt}  {p.symbol:<6}  {p.dataset:<44}{rows:>14} rows {size:>10}  {state}{loud}")
    total = sum(p.size_bytes or 0 for p in found)
    say(f"{len(found)} partitions, {size_text(total)} in {lake.lake}")
    return EXIT_OK


def lake_rm(
    *tables: str,
    day: Day = DAY,
    lake: LakeAt = LAKE_AT,
    yes: Annotated[bool, Switch] = False,
    output: Output = OUTPUT,
) -> int:
    """Delete partitions of one contract and date, after confirmation.

    For example:

        spymaster lake rm radar_vacuum_1s --dt 2026-01-06 --symbol ESH6
        spymaster lake rm silver gold --dt 2026-01-06 --symbol ESH6 --yes

    Parameters
    ----------
    tables:
        Tables (short or full names) or whole layers: bronze, silver, gold.
    yes:
        Do not ask.
    """
    from data_eng.lake_health import partition_folders
    from data_eng.params import parse_dt, parse_symbol
    from data_eng.schema import TABLES, table
    from data_eng.stage import partition_symbol

    if not tables:
        raise UsageError("nothing to delete was named; name tables or layers, for example silver")
    opened, dt = lake.open(), parse_dt(day.dt)
    symbol = parse_symbol(day.symbol) if day.symbol else day.resolve(opened)
    wanted: set[str] = set()
    for name in tables:
        layer = {key for key, declared in TABLES.items() if declared.layer == name}
        wanted |= layer or {table(name).dataset}
    places = [p for p in partition_folders(opened) if p[0] in wanted]
    places = [p for p in places if p[1] == partition_symbol(p[0], symbol) and p[2] == dt]
    if not places:
        raise UsageError(
            f"{opened.root} holds none of {', '.join(tables)} for {symbol} {dt}; see: spymaster lake ls"
        )
    if not yes:
        _confirm([f"{dataset} {where} {when}" for dataset, where, when in places])
    for place in places:
        opened.delete(*place)
    rebuilds = [opened.rebuild_command(*place) for place in places]
    if output.json:
        pairs = zip(places, rebuilds, strict=True)
        say_json([{"dataset": p[0], "symbol": p[1], "dt": p[2], "rebuild": command} for p, command in pairs])
    else:
        for place, command in zip(places, rebuilds, strict=True):
            say(f"deleted {' '.join(place)}; rebuild: {command}")
    return EXIT_OK


def lake_doctor(
    *, quick: Annotated[bool, Switch] = False, lake: LakeAt = LAKE_AT, output: Output = OUTPUT
) -> int:
    """Find damaged, orphaned, mixed and stale partitions, and name the command that mends each.

    Reads every byte to compare hashes. Exit code 1 when something is damaged, orphaned or mixed; partitions
    that are merely stale (older code, parameters or inputs) are whole and are only reported.

    For example:

        spymaster lake doctor --lake lake/

    Parameters
    ----------
    quick:
        Compare file sizes instead of hashes.
    """
    examined = _examined(lake)
    broken = [f for f in lake.open().doctor(verify=not quick) if f.kind != "stale_input"]
    stale = [p for p in examined if p.health in ("stale", "orphaned") and p.rows is not None]
    findings = [{"kind": f.kind, "text": f.text, "mend": f.cure} for f in broken] + [
        {"kind": p.health, "text": f"{p.dataset} {p.symbol} {p.dt}: {p.reason}", "mend": p.rebuild}
        for p in stale
    ]
    if output.json:
        say_json({"partitions": len(examined), "findings": findings})
    else:
        for finding in findings:
            say(f"{finding['kind']:<10} {finding['text']}", f"           mend: {finding['mend']}")
        say(f"{len(examined)} partitions looked at: {len(broken)} broken, {len(stale)} stale")
    return EXIT_FAILED if broken else EXIT_OK


def _examined(lake: LakeAt) -> list[PartitionHealth]:
    from data_eng.lake_health import examine
    from data_eng.pipeline import STAGES

    if not lake.lake.is_dir():
        raise MissingDataError(f"{lake.lake}: no such folder, expected a lake; name one with --lake")
    return examine(lake.open(), STAGES)


def _confirm(names: list[str]) -> None:
    """Ask on the terminal; raises `UsageError` without one, or when the answer is not yes."""
    if not sys.stdin.isatty():
        raise UsageError(f"deleting {len(names)} partitions needs a confirmation; add --yes")
    say(*names)
    sys.stdout.write(f"delete these {len(names)} partitions? [y/N] ")
    sys.stdout.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was deleted")
