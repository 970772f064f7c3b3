"""`spymaster bench`: speed and memory as ratios against peers and the C limit (design 9)."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from data_eng.errors import UsageError
from spymaster.edge import EXIT_FAILED, EXIT_OK, complain, say, say_json
from spymaster.options import OUTPUT, Output

REPOSITORY = Path(__file__).resolve().parents[2]


def bench(
    *,
    input: Annotated[Path, Parameter(name="--input")],
    records: int = 10_000_000,
    rounds: int = 5,
    only: str = "",
    peer_records: int = 2_000_000,
    peer_python: Annotated[Path | None, Parameter(env_var="SPYMASTER_PEER_PYTHON")] = None,
    page: Path | None = None,
    output: Output = OUTPUT,
) -> int:
    """Measure the goals P1 to P6 and P9 to P11 against C, zstd, pyarrow, plain Python and nautilus_trader.

    P10 and P11 are the service's: 1,000 clients on loopback for 30 s, and a whole day in memory.

    Results are compared first; when they differ, no time is given. A peer that is not installed is
    reported as missing. Exit code 1 when a measured goal is not met. Works in a checkout only.

    For example:

        spymaster bench --input esh4.mbo.dbn.zst --only P1,P2 --json

    Parameters
    ----------
    input:
        .dbn.zst file with MBO records of one future that begins with a snapshot.
    records:
        A shorter file is repeated, book by book, until the day holds this many records.
    rounds:
        Interleaved rounds; ratios are medians over them.
    only:
        Goals to measure, for example P1,P3. Default: all.
    peer_records:
        The same as --records for the day on which plain Python and nautilus_trader run.
    peer_python:
        Interpreter that has nautilus_trader. Default: uv makes one from the dependency group peers.
    page:
        Also write the table into this page, between its marks (docs/benchmarks.md).
    """
    runner, report = _benches()
    if page is not None:
        report.check_page(page)
    options = {"--records": records, "--rounds": rounds, "--peer-records": peer_records, "--only": only}
    command = ["spymaster bench", f"--input {input.name}", *(f"{k} {v}" for k, v in options.items() if v)]
    document: dict[str, Any] = runner.run(
        input,
        records=records,
        peer_records=peer_records,
        rounds=rounds,
        only=only,
        peer_python=peer_python,
        command=command,
        say=complain,
    )
    if page is not None:
        report.write_page(page, document)
    if output.json:
        say_json(document)
    else:
        say(*report.lines(document))
    return EXIT_OK if report.all_met(document) else EXIT_FAILED


def _benches() -> tuple[Any, Any]:
    """The modules `benches.runner` and `benches.report`; they belong to the checkout, not to the package."""
    if not (REPOSITORY / "benches" / "runner.py").is_file():
        raise UsageError(
            "spymaster bench needs the repository (its folder benches, and the slow twin in tests); this is"
            " an installed package: run it in a checkout with: uv run spymaster bench --input FILE"
        )
    if str(REPOSITORY) not in sys.path:
        sys.path.insert(0, str(REPOSITORY))
    return importlib.import_module("benches.runner"), importlib.import_module("benches.report")
