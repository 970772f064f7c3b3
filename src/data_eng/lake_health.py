"""The state of every partition: fresh, stale, damaged or orphaned, and what mends it (spec 12, lake verbs).

Fresh means what it means to a run (`data_eng.planner`), asked with the parameters the partition itself
records: a doctor does not know what the next run will be asked for. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from data_eng.errors import SpymasterError
from data_eng.lake import Lake, Manifest
from data_eng.params import PARAM_NAMES, RunParams
from data_eng.planner import Planner, Request
from data_eng.schema import TABLES
from data_eng.stage import Stage, StageError

Health = Literal["fresh", "stale", "damaged", "orphaned"]


@dataclass(frozen=True)
class PartitionHealth:
    """One partition: where it is, how it is, why, and the command that mends it (empty when fresh).

    rows and size_bytes come from the manifest, None when that cannot be read.
    """

    dataset: str
    symbol: str
    dt: str
    health: Health
    reason: str
    rebuild: str
    rows: int | None = None
    size_bytes: int | None = None
    origin: str = ""
    verified: bool | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values for machine output."""
        return dict(self.__dict__)


def examine(lake: Lake, stages: Sequence[Stage]) -> list[PartitionHealth]:
    """Health of every partition folder below the layers, sorted by dataset, symbol and date."""
    return [_examine_one(lake, stages, *place) for place in partition_folders(lake)]


def partition_folders(lake: Lake) -> Iterator[tuple[str, str, str]]:
    """(dataset, symbol, dt) of every folder that looks like a partition, valid or not."""
    for layer in ("bronze", "gold", "silver"):
        for folder in sorted((lake.root / layer).glob("*/*/symbol=*/dt=*")):
            family, table, symbol, dt = folder.parts[-4:]
            yield f"{layer}.{family}.{table}", symbol.removeprefix("symbol="), dt.removeprefix("dt=")


def _examine_one(lake: Lake, stages: Sequence[Stage], dataset: str, symbol: str, dt: str) -> PartitionHealth:
    command = lake.rebuild_command(dataset, symbol, dt)
    if dataset not in TABLES:
        return PartitionHealth(
            dataset, symbol, dt, "orphaned", "no table of this version", _remove(lake, dataset, symbol, dt)
        )
    try:
        manifest = lake.manifest(dataset, symbol, dt)
    except SpymasterError as error:
        return PartitionHealth(dataset, symbol, dt, "damaged", str(error), command)
    health, reason = _freshness(lake, stages, manifest)
    return PartitionHealth(
        dataset,
        symbol,
        dt,
        health,
        reason,
        "" if health == "fresh" else command,
        manifest.row_count,
        manifest.size,
        manifest.origin,
        manifest.verified,
    )


def _remove(lake: Lake, dataset: str, symbol: str, dt: str) -> str:
    return f"remove the folder {lake.partition_dir(dataset, symbol, dt)}"


def _freshness(lake: Lake, stages: Sequence[Stage], manifest: Manifest) -> tuple[Health, str]:
    maker = next((stage for stage in stages if manifest.dataset in stage.outputs), None)
    if maker is None:
        return "orphaned", "no stage of this version makes it"
    recorded = {name: value for name, value in manifest.params.items() if name in PARAM_NAMES}
    try:
        params = RunParams(**recorded)
        planner = Planner(
            lake, manifest.dt, manifest.symbol, params, Request(outputs=(manifest.dataset,)), None, stages
        )
        reason = planner.difference(maker)
    except StageError:
        raise
    except SpymasterError as error:
        return "stale", str(error)
    return ("stale", reason) if reason else ("fresh", "")
