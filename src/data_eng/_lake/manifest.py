"""The manifest: what a partition holds, from what, by which code (spec 2.3).

`_manifest.json` is canonical JSON (keys sorted, two spaces, UTF-8, a final newline), so that the same
manifest has the same bytes and one sha256. No wall clock, no path and no host name enters it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final, get_args, get_origin, get_type_hints

MANIFEST_NAME: Final = "_manifest.json"
RECORDED: Final = "recorded"
SIMULATED: Final = "simulated"
ORIGINS: Final = (RECORDED, SIMULATED)


class ManifestError(ValueError):
    """The bytes are no manifest of this version; the message says why. The lake makes it a `LakeError`."""


@dataclass(frozen=True)
class FileEntry:
    """One Parquet file: rows, bytes, sha256 of its bytes, and its windows where the table has some.

    min and max are over `window_end_ts_ns`, None without that column or without rows.
    """

    name: str
    rows: int
    sha256: str
    size: int
    min_window_end_ts_ns: int | None = None
    max_window_end_ts_ns: int | None = None

    def __post_init__(self) -> None:
        _check_types(self)
        if "/" in self.name or self.name.startswith("."):
            raise ManifestError(f"file name {self.name!r} leaves the partition")


@dataclass(frozen=True)
class Manifest:
    """Everything a reader or a later stage may rely on without opening a Parquet file.

    inputs: ``{dataset, symbol, dt, manifest_sha256}`` per partition read, ``{name, sha256}`` per raw file.
    engine_run: one hash for all tables of one engine pass, None for tables of no pass.
    calibration: ``{dt, sha256}`` of the calibration used, or None; lookahead: its dt is not before this dt.
    params, counters: what the stage was told and what it counted.
    """

    dataset: str
    symbol: str
    dt: str
    stage: str
    origin: str
    verified: bool
    code_version: str
    engine_run: str | None
    schema_hash: str
    files: tuple[FileEntry, ...]
    row_count: int
    inputs: tuple[Mapping[str, str], ...]
    params: Mapping[str, Any]
    counters: Mapping[str, int]
    calibration: Mapping[str, str] | None
    lookahead: bool | None
    warnings: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_types(self)
        if self.origin not in ORIGINS:
            raise ManifestError(f"origin is {self.origin!r}, expected recorded or simulated")
        if self.row_count != sum(file.rows for file in self.files):
            raise ManifestError(f"row_count is {self.row_count}, the files hold another number of rows")
        for record in self.inputs:
            if not any(shape <= set(record) for shape in _INPUT_SHAPES):
                raise ManifestError(
                    f"an input has the keys {sorted(record)}, expected dataset, symbol, dt, manifest_sha256"
                    " for a partition, or name, sha256 for a raw file"
                )
        if self.calibration is not None and set(self.calibration) != {"dt", "sha256"}:
            raise ManifestError(f"calibration has the keys {sorted(self.calibration)}, expected dt, sha256")

    @property
    def size(self) -> int:
        """Bytes of all Parquet files."""
        return sum(file.size for file in self.files)

    @cached_property
    def canonical_bytes(self) -> bytes:
        """Content of `_manifest.json`."""
        return (self.to_json() + "\n").encode()

    @cached_property
    def sha256(self) -> str:
        """sha256 of `canonical_bytes`: what later stages record as their input."""
        return hashlib.sha256(self.canonical_bytes).hexdigest()

    def to_json(self) -> str:
        """Deterministic JSON text."""
        plain = dataclasses.asdict(self)
        try:
            return json.dumps(plain, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError) as exc:
            raise ManifestError(f"a manifest holds JSON values only: {exc}") from exc

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Parse `_manifest.json`; raises `ManifestError` unless the bytes are exactly canonical."""
        try:
            plain = json.loads(data)
        except ValueError as exc:
            raise ManifestError(f"not JSON ({exc})") from exc
        if not isinstance(plain, dict):
            raise ManifestError(f"a JSON {type(plain).__name__}, expected an object")
        names = {f.name for f in dataclasses.fields(cls)}
        if set(plain) != names:
            missing, extra = sorted(names - set(plain)), sorted(set(plain) - names)
            raise ManifestError(f"fields of another version: missing {missing}, unexpected {extra}")
        try:
            files = tuple(FileEntry(**entry) for entry in plain.pop("files"))
            tuples: dict[str, Any] = {name: tuple(plain.pop(name)) for name in ("inputs", "warnings")}
        except (TypeError, AttributeError) as exc:
            raise ManifestError(f"files, inputs or warnings are malformed ({exc})") from exc
        manifest = cls(files=files, **tuples, **plain)
        if manifest.canonical_bytes != data:
            raise ManifestError("not in canonical form, so it was edited after it was written")
        return manifest


def normalised_inputs(records: Sequence[Mapping[str, str]]) -> tuple[Mapping[str, str], ...]:
    """Inputs in one fixed order, whatever order the stage read them in; ``file`` is accepted for ``name``."""
    plain = [{("name" if key == "file" else key): value for key, value in r.items()} for r in records]
    return tuple(sorted(plain, key=lambda record: json.dumps(record, sort_keys=True)))


def plain_json(value: Any) -> Any:
    """`value` as JSON would give it back (tuples become lists), so a manifest equals its own re-reading."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as exc:
        raise ManifestError(f"a manifest holds JSON values only: {exc}") from exc


_INPUT_SHAPES: Final = ({"dataset", "symbol", "dt", "manifest_sha256"}, {"name", "sha256"})


def _check_types(record: FileEntry | Manifest) -> None:
    kind: type[Any] = type(record)
    for name, wanted in _declared_types(kind).items():  # type: ignore[arg-type]  # mypy: a class is not hashable
        value = getattr(record, name)
        if not _fits(value, wanted):
            say = str(getattr(wanted, "__name__", wanted)).replace("collections.abc.", "")
            raise ManifestError(f"{name} is {value!r}, expected {say}")


@lru_cache
def _declared_types(kind: type) -> dict[str, Any]:
    """Field types of a class; `get_type_hints` costs 2 ms a manifest and a run opens some hundred."""
    return get_type_hints(kind)


def _fits(value: object, wanted: Any) -> bool:
    kind, inner = get_origin(wanted), get_args(wanted)
    if wanted is Any:
        return True
    if kind is types.UnionType:
        return any(_fits(value, one) for one in inner)
    if kind is tuple:
        return isinstance(value, tuple) and all(_fits(item, inner[0]) for item in value)
    if kind is Mapping:
        return isinstance(value, Mapping) and all(
            isinstance(key, str) and _fits(item, inner[1]) for key, item in value.items()
        )
    if wanted is int:  # bool is an int in Python, never in a manifest
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, wanted)
