"""What a lake has to look like after every accident: whole partitions, of one version each, and no others."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from data_eng.lake import LAYERS, Lake
from data_eng.stage import SELECTION
from tests.hostility.days import VERSIONS, day_job
from tests.hostility.runner import Answer, Runner

Tree = dict[str, str]
"""partition folder relative to the lake -> one hash over the names and bytes of its files"""
HARMLESS: frozenset[str] = frozenset({"stale_input", "mixed_run"})
"""doctor's findings that a run cut in the middle explains: readers refuse such tables, a rerun mends them"""


def partition_hashes(root: Path) -> Tree:
    """Every folder of partition form below the layers, whatever is in it."""
    found = {}
    for layer in LAYERS:
        for folder in sorted((root / layer).glob("*/*/symbol=*/dt=*")):
            digest = hashlib.sha256()
            for path in sorted(p for p in folder.rglob("*") if p.is_file()):
                digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
                digest.update(hashlib.sha256(path.read_bytes()).digest())
            found[folder.relative_to(root).as_posix()] = digest.hexdigest()
    return found


def leftovers(root: Path) -> list[str]:
    """What lies in `_staging` besides the empty folder of the locks."""
    staging = root / "_staging"
    return sorted(p.relative_to(staging).as_posix() for p in staging.rglob("*") if p.name != "locks")


def left_behind(root: Path, rerun: Answer) -> list[str]:
    """`leftovers` after a rerun; one that found everything fresh wrote nothing, so the sweep is due yet."""
    if not rerun.marks:
        Lake(root).sweep_staging()
    return leftovers(root)


@dataclass(frozen=True)
class References:
    """Hashes of the partitions that undisturbed runs of each version left."""

    by_version: Mapping[int, Tree]

    @classmethod
    def make(cls, runner: Runner, raws: Mapping[int, Path], scratch: Path) -> References:
        """Run each version once, in a lake of its own."""
        trees = {}
        for version in VERSIONS:
            lake = scratch / f"reference{version}"
            answer = runner.run(day_job(raws[version], lake, gex=True))
            assert answer.code == 0, answer.err
            trees[version] = partition_hashes(lake)
        different = [name for name in trees[0] if trees[0][name] != trees[1][name]]
        assert sorted(different) == sorted(trees[0]) == sorted(trees[1]), (
            "a version must change every partition"
        )
        return cls(trees)

    def faults(self, root: Path, *, globs: bool = True) -> list[str]:
        """What is wrong after an accident, in words: each partition must be one version, bit for bit."""
        wrong = []
        for name, digest in partition_hashes(root).items():
            if digest not in {tree.get(name) for tree in self.by_version.values()}:
                wrong.append(f"{name} is of no version")
        lake = Lake(root)
        for finding in lake.doctor(verify=True):
            if finding.kind not in HARMLESS and "_staging" not in finding.path.parts:
                wrong.append(f"doctor: {finding.text}")
        return wrong + (_glob_faults(lake) if globs else [])

    def differences(self, root: Path, version: int) -> list[str]:
        """Partitions that are not the ones of an undisturbed run of `version`.

        The selected contract is kept once it is chosen (spec 3.5), so its bytes may be of any version.
        """
        found, wanted = partition_hashes(root), self.by_version[version]
        kept = SELECTION.replace(".", "/")
        return sorted(
            name
            for name in found.keys() | wanted.keys()
            if found.get(name) != wanted.get(name) and not (name.startswith(kept) and name in found)
        )


def _glob_faults(lake: Lake) -> list[str]:
    """DuckDB and Polars globs over each dataset must see the rows of its manifest, no more and no fewer."""
    wrong = []
    rows: dict[str, int] = {}
    for partition in lake.partitions():
        rows[partition.dataset] = rows.get(partition.dataset, 0) + partition.rows
    for dataset, wanted in rows.items():
        glob = f"{lake.root}/{dataset.replace('.', '/')}/**/*.parquet"
        ((by_duckdb,),) = duckdb.sql(
            f"select count(*) from read_parquet('{glob}', hive_partitioning=true)"
        ).fetchall()
        by_polars = pl.scan_parquet(glob, hive_partitioning=True).select(pl.len()).collect().item()
        if not by_duckdb == by_polars == wanted:
            wrong.append(
                f"{dataset}: DuckDB sees {by_duckdb} rows, Polars {by_polars}, the manifests {wanted}"
            )
    return wrong
