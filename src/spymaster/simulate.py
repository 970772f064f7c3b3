"""`spymaster simulate`: a synthetic day as DBN files, with the truth beside them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from data_eng.errors import UsageError
from data_eng.params import DEFAULT_DT
from spymaster.compiling import SIMULATOR, Compilation, load
from spymaster.edge import EXIT_OK, say, say_json, size_text
from spymaster.options import OUTPUT, Output, Switch


def simulate(
    *,
    dt: str = DEFAULT_DT,
    preset: str = "tiny",
    seed: int = 7,
    out: Path = Path("lake/sim"),
    start: str | None = None,
    rate_factor: float = 1.0,
    layout: str = "modern",
    dbn_version: int = 3,
    options: Annotated[bool, Parameter(negative="--no-options", show_default=False)] = True,
    with_: Annotated[str, Parameter(name="--with")] = "decoys",
    faults: str = "",
    force: Annotated[bool, Switch] = False,
    output: Output = OUTPUT,
) -> int:
    """Write a synthetic day: the DBN files of a make-believe exchange, and what really happened.

    Same arguments, same bytes, on any machine. Every file is marked SIMULATED.

    For example:

        spymaster simulate --preset small --seed 7 --out lake/sim
        spymaster simulate --preset tiny --start 22:59:00 --out lake/sim/auction

    Parameters
    ----------
    dt:
        UTC date, YYYY-MM-DD, an ordinary weekday on which ESH6 leads.
    preset:
        tiny (2 minutes over the cash open), small (30 minutes) or session (24 hours).
    seed:
        Another seed, another day.
    out:
        Folder of the files. Nothing in it is overwritten without --force, and only what simulate wrote.
    start:
        First second, HH:MM:SS in UTC. Default: 14:29:00, 14:15:00 or 00:00:00 by preset.
    rate_factor:
        More (or fewer) records of the future.
    layout:
        Opening snapshot: modern, legacy or legacy-168.
    dbn_version:
        3 or 1.
    options:
        With --no-options only the future is played.
    with_:
        Comma-separated extras: decoys, status, recovery, n, badbook; empty for none.
    faults:
        Comma-separated damage: drop_cancel, duplicate_add, swap, wrong_instrument, missing_last, truncate,
        version_mix.
    force:
        Replace the files of an earlier simulation in the same folder.
    """
    with Compilation(SIMULATOR) as compilation:
        compilation.wait()
    for module in SIMULATOR:
        load(module)
    from simex import SimexError
    from simex.day import simulate as write_day

    shown = sys.stderr if output.json or not sys.stdout.isatty() else sys.stdout
    step = [-1]

    def progress(done_s: float, total_s: float, what: str) -> None:
        percent = int(10 * done_s / total_s) * 10
        if percent != step[0]:
            step[0] = percent
            shown.write(f"simulate {what} {percent} %\n")
            shown.flush()

    try:
        result = write_day(
            dt,
            preset,
            seed,
            out,
            start=start,
            rate_factor=rate_factor,
            layout=layout,
            dbn_version=dbn_version,
            options=options,
            with_=_names(with_),
            faults=_names(faults),
            force=force,
            progress=progress,
        )
    except SimexError as error:
        raise UsageError(str(error)) from error
    if output.json:
        say_json(
            {"files": [str(path) for path in result.paths], "truth": str(result.truth_dir)}
            | {"meta": result.meta}
        )
        return EXIT_OK
    for path in result.paths:
        records = result.meta["files"][path.name]["records"]
        say(f"{path}  {records:,} records  {size_text(path.stat().st_size)}  SIMULATED")
    say(f"truth: {result.truth_dir}")
    return EXIT_OK


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
