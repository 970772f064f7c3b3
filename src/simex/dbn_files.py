"""Writes DBN files: header by the vendor's package, record bytes as they are, zstd with content checksum."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import databento_dbn as dbn
import zstandard

from simex.feed import DATASET, MARKER


@dataclass(frozen=True)
class Interval:
    """Days for which a symbol means an instrument id."""

    start_date: dt.date
    end_date: dt.date
    symbol: str


@dataclass(frozen=True)
class Mapping:
    """Symbol mapping of the metadata, in the form the vendor's encoder reads."""

    raw_symbol: str
    intervals: Sequence[Interval]


def metadata(
    schema: str,
    start_ns: int,
    end_ns: int,
    date: dt.date,
    instruments: dict[str, int],
    version: int,
    symbols: list[str],
) -> bytes:
    """Encoded DBN header. `not_found` carries the marker that tells every reader the data are simulated."""
    tomorrow = date + dt.timedelta(days=1)
    package: Any = dbn  # its stub types enum members as plain values
    header = package.Metadata(
        dataset=DATASET,
        start=start_ns,
        end=end_ns,
        stype_in=package.SType.RAW_SYMBOL,
        stype_out=package.SType.INSTRUMENT_ID,
        schema=package.Schema.from_str(schema),
        symbols=symbols,
        partial=[],
        not_found=[MARKER],
        mappings=[
            Mapping(name, [Interval(date, tomorrow, str(number))]) for name, number in instruments.items()
        ],
        limit=None,
        ts_out=False,
        version=version,
    )
    return bytes(header.encode())


class DbnFile:
    """A .dbn.zst being written; `sha256` and `records` are valid after it is closed."""

    def __init__(self, path: Path, header: bytes, record_bytes: int) -> None:
        self.path = path
        self.records = 0
        self._record_bytes = record_bytes
        self._file = path.open("wb")
        compressor = zstandard.ZstdCompressor(level=3, write_checksum=True, threads=0)
        self._stream: Any = compressor.stream_writer(self._file, closefd=False)
        self._stream.write(header)

    def write(self, data: bytes | memoryview) -> None:
        """Appends whole records."""
        self.records += len(data) // self._record_bytes
        self._stream.write(data)

    def __enter__(self) -> DbnFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._stream.close()
        self._file.close()


def sha256_of(path: Path) -> str:
    """Hex digest of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
