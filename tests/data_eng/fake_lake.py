"""A lake in a dict, with the surface that stages and planner use: for tests of order and freshness."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from data_eng.errors import LakeError, MissingDataError

Place = tuple[str, str, str]


@dataclass(frozen=True)
class FakeManifest:
    """The fields of spec 2.3; the hash covers content and provenance as the real one does."""

    dataset: str
    symbol: str
    dt: str
    content: str
    stage: str
    origin: str
    verified: bool
    code_version: str
    engine_run: str | None
    inputs: list[dict[str, str]]
    params: dict[str, Any]
    counters: dict[str, int]
    calibration: dict[str, str] | None
    warnings: list[str]
    row_count: int
    schema_hash: str = ""
    size: int = 10

    @property
    def sha256(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass
class FakeWriter:
    """Collects text lines; `finish` and commit as the real writer does."""

    lake: FakeLake
    dataset: str
    symbol: str
    dt: str
    lines: list[str] = field(default_factory=list)
    manifest: FakeManifest | None = None

    def __enter__(self) -> FakeWriter:
        self.lake.staged += 1
        return self

    def __exit__(self, *_: object) -> None:
        self.lake.staged -= 1

    def write(self, line: str) -> None:
        self.lines.append(line)

    def finish(self, **fields: Any) -> FakeManifest:
        content = "\n".join(self.lines)
        place = (self.dataset, self.symbol, self.dt)
        self.manifest = FakeManifest(*place, content=content, row_count=len(self.lines), **fields)
        return self.manifest


class FakeLake:
    """Partitions by (dataset, symbol, dt); `broken` ones exist but are not whole."""

    def __init__(self) -> None:
        self.root = Path("fake-lake")
        self.manifests: dict[Place, FakeManifest] = {}
        self.broken: set[Place] = set()
        self.staged = 0
        self.commits: list[list[str]] = []

    def has(self, dataset: str, symbol: str, dt: str) -> bool:
        return (dataset, symbol, dt) in self.manifests and (dataset, symbol, dt) not in self.broken

    def manifest(self, dataset: str, symbol: str, dt: str) -> FakeManifest:
        place = (dataset, symbol, dt)
        if place in self.broken:
            raise LakeError(f"{place} is damaged")
        if place not in self.manifests:
            raise MissingDataError(f"{place} is missing")
        return self.manifests[place]

    def writer(self, dataset: str, symbol: str, dt: str) -> FakeWriter:
        return FakeWriter(self, dataset, symbol, dt)

    def commit_together(self, writers: Sequence[FakeWriter]) -> None:
        for writer in writers:
            assert writer.manifest is not None, "commit before finish"
            place = (writer.dataset, writer.symbol, writer.dt)
            self.manifests[place] = writer.manifest
            self.broken.discard(place)
        self.commits.append([writer.dataset for writer in writers])

    def read(self, dataset: str, symbol: str, dt: str, columns: Sequence[str] | None = None) -> str:
        return self.manifest(dataset, symbol, dt).content

    def partitions(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(dataset=d, symbol=s, dt=t) for d, s, t in self.manifests]


@dataclass
class FakeCatalogue:
    """Raw files by schema: name -> content."""

    files: dict[str, dict[str, str]]

    def identity(self, schema: str, dt: str) -> list[dict[str, str]]:
        found = self.files.get(schema, {})
        return [{"name": n, "sha256": hashlib.sha256(c.encode()).hexdigest()} for n, c in found.items()]

    def missing_text(self, schema: str, dt: str) -> str:
        return f"no {schema} file for {dt}"

    def require(self, schema: str, dt: str) -> list[str]:
        return list(self.files[schema].values())
