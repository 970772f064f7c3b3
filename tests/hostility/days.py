"""One tiny day of ESH6 in two versions: raw folders that let every stage of the futures part run.

Small on purpose: a whole pipeline run takes a fraction of a second, so a thousand of them can be killed.
"""

from __future__ import annotations

from pathlib import Path

import databento_dbn as dbn
import numpy as np

from data_eng.units import HOUR_NS
from tests.dbn_samples import DT, ESM6, day_start_ns, definition, mbo_day, status, write_dbn

SYMBOL = "ESH6"
VERSIONS = (0, 1)


def tiny_records(version: int = 0, rows: int = 300) -> np.ndarray:
    """A snapshot, then about a minute of adds, modifies, cancels and trades from 15:00 UTC on."""
    records = mbo_day(rows, seed=7 + version)
    cancels = np.flatnonzero(records["action"] == ord("C"))
    records["action"][cancels[::2]] = ord("M")
    return records


def write_raw(folder: Path, version: int = 0) -> Path:
    """DBN files of that version: MBO, definitions and status, under the same names in each version."""
    opens = status(dbn.StatusAction.TRADING, day_start_ns() + 14 * HOUR_NS + version)
    contracts = [definition(), definition("ESM6", ESM6)][: 1 + version]
    write_dbn(folder / "mbo.dbn.zst", tiny_records(version))
    write_dbn(folder / "definition.dbn.zst", contracts, schema="definition")
    write_dbn(folder / "status.dbn.zst", [opens], schema="status")
    return folder


def day_job(raw: Path, lake: Path) -> list[str]:
    """Command line of the whole futures part; without --symbol, so that the selection runs too."""
    return ["run", "--dt", DT, "--raw", str(raw), "--lake", str(lake), "--no-gex"]
