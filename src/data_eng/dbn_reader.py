"""DBN files as blocks of records: read the header, decompress under a cap, refuse what is damaged.

Laws. 1 A block is a numpy structured array over whole records, in file order; nothing is copied on the
        way from the zstd decoder except what zstd writes itself.
      2 What can be seen to be cut or corrupt is refused with the number of whole records read: missing
        frame end, wrong checksum, partial record, impossible record length. What cannot be seen
        (an uncompressed file cut between two records) makes `Verification.verified` false (spec 2.2).
      3 Decompression is capped, because 183 kB of zstd can hold 2 GB (design 3).
      4 Records of other types inside a stream are stepped over by their length and counted.
This file knows bytes and records; which file belongs to which date is the business of `raw_files`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import date
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, Final

import databento_dbn as dbn
import numpy as np
import numpy.typing as npt
import zstandard

from data_eng.background import prefetch
from data_eng.dbn_codes import DATASET, SIMULATED_MARKER
from data_eng.errors import MissingDataError, RawDataError
from data_eng.mbo import MBO_DTYPE
from data_eng.zstd_frames import FRAME_MAGIC, ZstdLayout, walk_frames

BLOCK_BYTES: Final = 1 << 20
"""a block is as many whole records as fit: 18,724 MBO records"""
_STEP_BYTES: Final = 1 << 17
"""one zstd block: errors are known to this many bytes, and the decoder's output stays in cache"""
_DBZ_MAGIC: Final = b"\x50\x2a\x4d\x18"
_PREFIX_BYTES: Final = 8
"""'DBN', version, uint32 length of the metadata"""
_SHORTEST_METADATA: Final = 100
_LONGEST_METADATA: Final = 1 << 26
"""64 MiB: half a million symbol mappings; the ES.OPT parent has 11,294 in 0.9 MB"""
NEWEST_VERSION: Final = 3
KNOWN_SCHEMAS: Final = frozenset(str(s.value) for s in dbn.Schema.variants())

_RTYPE_OF_SCHEMA: Final = {
    "mbo": int(dbn.RType.MBO),
    "definition": int(dbn.RType.INSTRUMENT_DEF),
    "statistics": int(dbn.RType.STATISTICS),
    "status": int(dbn.RType.STATUS),
}
_RTYPES: Final = frozenset(int(r) for r in dbn.RType.variants())


@dataclass(frozen=True)
class Limits:
    """Caps on decompression: output <= max(32 x input, 4 GiB), and a ratio <= 200 beyond 64 MiB."""

    output_factor: int = 32
    output_floor_bytes: int = 4 << 30
    max_ratio: int = 200
    ratio_floor_bytes: int = 64 << 20

    def output_cap(self, input_bytes: int) -> int:
        """Most bytes that a compressed file of `input_bytes` may hold."""
        return min(
            max(self.output_factor * input_bytes, self.output_floor_bytes),
            max(self.max_ratio * input_bytes, self.ratio_floor_bytes),
        )


DEFAULT_LIMITS: Final = Limits()


@dataclass(frozen=True)
class MappingInterval:
    """A symbol means `instrument_id` on the UTC dates start_date <= d < end_date."""

    start_date: date
    end_date: date
    instrument_id: int


@dataclass(frozen=True)
class DbnMetadata:
    """Header of a DBN file.

    version 1..3; schema is None for a live capture of mixed records; start_ns and end_ns (None = open)
    bound the ts_recv asked for; mappings: raw symbol -> intervals; header_bytes counts prefix and
    metadata, uncompressed.
    """

    version: int
    dataset: str
    schema: str | None
    start_ns: int
    end_ns: int | None
    stype_in: str | None
    symbols: tuple[str, ...]
    not_found: tuple[str, ...]
    partial: tuple[str, ...]
    mappings: dict[str, tuple[MappingInterval, ...]]
    ts_out: bool
    compressed: bool
    header_bytes: int

    @property
    def simulated(self) -> bool:
        """Whether the file says that it comes from a simulator (spec 2.2)."""
        return SIMULATED_MARKER in self.not_found

    @property
    def origin(self) -> str:
        """``recorded`` or ``simulated``."""
        return "simulated" if self.simulated else "recorded"

    def symbols_on(self, day: date) -> dict[int, str]:
        """instrument_id -> symbol on the UTC date `day`, from the mappings of the header."""
        return {
            interval.instrument_id: symbol
            for symbol, intervals in self.mappings.items()
            for interval in intervals
            if interval.start_date <= day < interval.end_date
        }


@dataclass
class ReadTally:
    """Filled while a file is read: whole records of the wanted type, others by rtype, bytes out."""

    records: int = 0
    skipped: dict[int, int] = field(default_factory=dict)
    output_bytes: int = 0

    @property
    def skipped_records(self) -> int:
        """Records of other types."""
        return sum(self.skipped.values())


@dataclass(frozen=True)
class Verification:
    """Whether a cut or a flipped bit in the file would have been seen, and why (spec 2.2)."""

    verified: bool
    reason: str


# ---------------------------------------------------------------------------------------- header


def read_metadata(path: Path) -> DbnMetadata:
    """Header of the DBN file at `path`; only its first bytes are read and decompressed.

    Raises `MissingDataError` (no such file) and `RawDataError`: a folder, an empty file, the retired
    .dbz form, a fragment without header, no DBN at all, a newer version, a header that is cut or wrong.
    """
    with _open(path) as file:
        magic = file.read(4)
        file.seek(0)
        _refuse_foreign_magic(path, magic)
        compressed = magic == FRAME_MAGIC
        reader = _zstd_reader(file) if compressed else file
        prefix = _read_exactly(path, reader, _PREFIX_BYTES)
        if prefix[:3] != b"DBN":
            raise _not_dbn(path, prefix)
        version, length = prefix[3], int.from_bytes(prefix[4:8], "little")
        if not 1 <= version <= NEWEST_VERSION:
            raise RawDataError(
                f"{path}: DBN version {version}, expected 1 to {NEWEST_VERSION}; "
                "convert it with the dbn tool or update spymaster"
            )
        if not _SHORTEST_METADATA <= length <= _LONGEST_METADATA:
            raise RawDataError(
                f"{path}: its DBN header claims {length:,} bytes of metadata, expected "
                f"{_SHORTEST_METADATA} to {_LONGEST_METADATA:,}; the file is corrupt, fetch it again"
            )
        header = prefix + _read_exactly(path, reader, length)
    return _decode_metadata(path, header, compressed)


def _decode_metadata(path: Path, header: bytes, compressed: bool) -> DbnMetadata:
    try:
        raw = dbn.Metadata.decode(header)
    except (dbn.DBNError, ValueError, OverflowError) as fault:
        raise RawDataError(
            f"{path}: its DBN metadata cannot be decoded ({fault}); the file is corrupt, fetch it again"
        ) from None
    return DbnMetadata(
        version=header[3],  # the decoder upgrades its own version field
        dataset=raw.dataset,
        schema=None if raw.schema is None else str(raw.schema),
        start_ns=raw.start,
        end_ns=raw.end,
        stype_in=None if raw.stype_in is None else str(raw.stype_in),
        symbols=tuple(raw.symbols),
        not_found=tuple(raw.not_found),
        partial=tuple(raw.partial),
        mappings=_mappings(raw),
        ts_out=bool(raw.ts_out),
        compressed=compressed,
        header_bytes=len(header),
    )


def _mappings(raw: dbn.Metadata) -> dict[str, tuple[MappingInterval, ...]]:
    """Mappings towards instrument ids; other directions and empty intervals carry no id and are dropped."""
    found: dict[str, tuple[MappingInterval, ...]] = {}
    for symbol, intervals in raw.mappings.items():
        numbered = tuple(
            MappingInterval(one["start_date"], one["end_date"], int(one["symbol"]))
            for one in intervals
            if one["symbol"].isdecimal()
        )
        if numbered:
            found[symbol] = numbered
    return found


def check_readable(path: Path, metadata: DbnMetadata, schema: str) -> None:
    """Refuse a file whose records cannot be used as `schema` of GLBX.MDP3 (spec 2.2).

    A capture of mixed records (schema None) passes: its other records are skipped and counted.
    Raises `RawDataError`.
    """
    if metadata.dataset != DATASET:
        raise RawDataError(
            f"{path}: dataset {metadata.dataset}, expected {DATASET}; name a file of that dataset"
        )
    if metadata.schema not in (None, schema):
        raise RawDataError(f"{path}: schema {metadata.schema}, expected {schema}; name a file of that schema")
    if metadata.ts_out:
        raise RawDataError(
            f"{path}: its records carry a ts_out field (a live capture), expected records without it; "
            "record the stream again with ts_out off"
        )


# ---------------------------------------------------------------------------------------- records


def record_dtype(schema: str, version: int) -> np.dtype[Any]:
    """Layout of one record of `schema` in DBN `version`, as the vendor package declares it."""
    if schema == "mbo":
        return MBO_DTYPE
    layouts: dict[str, tuple[Any, Any, Any]] = {
        "definition": (dbn.InstrumentDefMsgV1, dbn.InstrumentDefMsgV2, dbn.InstrumentDefMsg),
        "statistics": (dbn.StatMsgV1, dbn.StatMsgV1, dbn.StatMsg),
        "status": (dbn.StatusMsg, dbn.StatusMsg, dbn.StatusMsg),
    }
    dtype: np.dtype[Any] = np.dtype(layouts[schema][version - 1]._dtypes).newbyteorder("<")
    return dtype


def iter_mbo_blocks(
    path: Path,
    *,
    limits: Limits = DEFAULT_LIMITS,
    copy: bool = False,
    buffers: int = 1,
    tally: ReadTally | None = None,
) -> Iterator[npt.NDArray[Any]]:
    """MBO records of a file as structured arrays of `MBO_DTYPE`, about 1 MiB each, in file order.

    The arrays are views into `buffers` reused 8-byte-aligned buffers: a block is valid until `buffers`
    further blocks were asked for; with ``copy=True`` every block is the caller's own. `tally` is filled
    while reading. Raises `RawDataError` as `iter_record_blocks` does.
    """
    return iter_record_blocks(path, "mbo", limits=limits, copy=copy, buffers=buffers, tally=tally)


def iter_record_blocks(
    path: Path,
    schema: str,
    *,
    limits: Limits = DEFAULT_LIMITS,
    copy: bool = False,
    buffers: int = 1,
    tally: ReadTally | None = None,
) -> Iterator[npt.NDArray[Any]]:
    """Records of one schema (mbo, definition, statistics, status) as structured arrays, in file order.

    Raises `RawDataError` when the header does not fit `schema`, the file is cut, corrupt or a bomb; the
    message gives the number of whole records read before. See `iter_mbo_blocks` for the other arguments.
    """
    tally = ReadTally() if tally is None else tally
    metadata = read_metadata(path)
    check_readable(path, metadata, schema)
    dtype = record_dtype(schema, metadata.version)
    layout = walk_frames(path) if metadata.compressed else None
    with _open(path) as file:
        source = _Source(path, file, layout, limits, tally)
        source.skip(metadata.header_bytes)
        cutter = _Cutter(path, dtype, _RTYPE_OF_SCHEMA[schema], tally)
        rows = max(1, BLOCK_BYTES // dtype.itemsize)
        ring = [np.empty(rows * dtype.itemsize, np.uint8) for _ in range(max(1, buffers))]
        turn, kept = 0, np.empty(0, np.uint8)
        while True:
            buffer = ring[turn]
            buffer[: len(kept)] = kept
            filled = source.fill(buffer, len(kept))
            block, used = cutter.cut(buffer[:filled])
            source.raise_damage()
            kept = buffer[used:filled].copy()
            if len(block):
                yield block.copy() if copy else block
                turn = (turn + 1) % len(ring)
            if filled < len(buffer):
                break
        if len(kept):
            raise RawDataError(
                f"{path}: ends {len(kept)} bytes into a record, expected a whole one; {tally.records:,} "
                f"whole {schema} records were read before; the file is cut, fetch it again"
            )


class _Cutter:
    """Turns a buffer that begins at a record into an array of the wanted records."""

    def __init__(self, path: Path, dtype: np.dtype[Any], rtype: int, tally: ReadTally) -> None:
        self.path, self.dtype, self.rtype, self.tally = path, dtype, rtype, tally
        self.words = dtype.itemsize // 4

    def cut(self, data: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[Any], int]:
        """Wanted records and the number of bytes used; a partial record at the end is left over."""
        size = self.dtype.itemsize
        whole = len(data) // size
        # every record begins with its length in 4-byte words and its rtype: one strided compare for both
        heads = np.ndarray((whole,), "<u2", data.data, 0, (size,)) if whole else np.empty(0, "<u2")
        pure = bool((heads == (self.words | self.rtype << 8)).all())
        if pure and not self._other_tail(data[whole * size :]):
            self.tally.records += whole
            return data[: whole * size].view(self.dtype), whole * size
        return self._cut_mixed(data)

    def _other_tail(self, tail: npt.NDArray[np.uint8]) -> bool:
        """Whether the rest after the last full-sized slot holds a whole smaller record of another type."""
        return len(tail) >= 2 and 4 * int(tail[0]) <= len(tail)

    def _cut_mixed(self, data: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[Any], int]:
        found: list[int] = []
        tally, at = self.tally, 0
        while at + 2 <= len(data):
            length, rtype = 4 * int(data[at]), int(data[at + 1])
            if length < 16 or (rtype == self.rtype and length != self.dtype.itemsize):
                raise RawDataError(
                    f"{self.path}: a record of type {rtype} claims {length} bytes, expected "
                    f"{self.dtype.itemsize if rtype == self.rtype else 'at least 16'}; "
                    f"{tally.records + len(found):,} whole records were read before; the file is corrupt, "
                    "fetch it again"
                )
            if at + length > len(data):
                break
            if rtype == self.rtype:
                found.append(at)
            else:
                tally.skipped[rtype] = tally.skipped.get(rtype, 0) + 1
            at += length
        tally.records += len(found)
        size = self.dtype.itemsize
        rows = np.asarray(found, np.int64)[:, None] + np.arange(size)
        return np.ascontiguousarray(data[rows]).reshape(-1).view(self.dtype), at


class _Source:
    """Bytes of a DBN file after decompression, counted and capped; damage is kept until it is asked for,
    so that the whole records before it are counted."""

    def __init__(
        self, path: Path, file: BinaryIO, layout: ZstdLayout | None, limits: Limits, tally: ReadTally
    ) -> None:
        self.path, self.layout, self.tally = path, layout, tally
        self.input_bytes = path.stat().st_size
        self.cap = None if layout is None else limits.output_cap(self.input_bytes)
        self.reader: Any = file if layout is None else _zstd_reader(file)
        self.damage = ""

    def skip(self, count: int) -> None:
        """Step over the header."""
        scratch = np.empty(min(count, BLOCK_BYTES), np.uint8)
        while count and (got := self.fill(scratch[:count], 0)):
            count -= got
        self.raise_damage()

    def fill(self, buffer: npt.NDArray[np.uint8], start: int) -> int:
        """Fill buffer[start:]; returns the fill level, less than the buffer only at the end of the data."""
        at = start
        while at < len(buffer):
            got = self._step(buffer[at : at + _STEP_BYTES])
            if not got:
                break
            at += got
            self.tally.output_bytes += got
            if self.cap is not None and self.tally.output_bytes > self.cap:
                raise RawDataError(
                    f"{self.path}: {self.input_bytes:,} compressed bytes expand to more than {self.cap:,}; "
                    "market data compresses about 4 times, so this is a bomb or not market data; "
                    "it is not read further"
                )
        return at

    def raise_damage(self) -> None:
        """Raise `RawDataError` when the data ended because it is cut or corrupt."""
        if self.damage:
            raise RawDataError(
                f"{self.path}: {self.damage}; {self.tally.records:,} whole records were read before; "
                "fetch the file again"
            )

    def _step(self, view: npt.NDArray[np.uint8]) -> int:
        fault = "" if self.layout is None else self.layout.fault
        try:
            got = int(self.reader.readinto(view) or 0)
        except zstandard.ZstdError as error:
            text = str(error).removeprefix("zstd decompress error: ")
            self.damage = fault or f"its zstd data is corrupt ({text})"
            return 0
        if not got and fault:
            self.damage = fault
        return got


# ---------------------------------------------------------------------------------- verification


def sha256_of(path: Path) -> str:
    """sha256 (hex) of the file's bytes as they lie on disk."""
    with _open(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(path: Path, tally: ReadTally, sha256: str) -> Verification:
    """Whether damage to `path` would have been seen by the read that filled `tally` to its end.

    `sha256` is the file's own hash (`sha256_of`). Raises `RawDataError` when a Databento manifest.json
    beside the file names another one.
    """
    wanted = manifest_sha256(path)
    if wanted is not None:
        if wanted != sha256:
            raise RawDataError(
                f"{path}: sha256 {sha256[:16]}..., expected {wanted[:16]}... as manifest.json beside it "
                f"says; {tally.records:,} whole records were read; fetch the file again"
            )
        return Verification(True, "sha256 equals the one in manifest.json")
    metadata = read_metadata(path)
    if not metadata.compressed:
        return Verification(False, "uncompressed DBN carries no checksum: a cut between records is invisible")
    layout = walk_frames(path)
    if not layout.checksummed:
        return Verification(False, "a zstd frame without content checksum: flipped bits are invisible")
    if tally.records == 0:
        return Verification(False, "no records: a file cut behind its header looks the same")
    if layout.frames > (2 if _header_has_own_frame(path, metadata) else 1):
        return Verification(False, f"{layout.frames} zstd frames: a cut between two of them is invisible")
    return Verification(True, "zstd content checksum and frame end")


def manifest_sha256(path: Path) -> str | None:
    """sha256 that a Databento batch manifest.json beside `path` gives for it; None without one."""
    listing = path.with_name("manifest.json")
    if not listing.is_file():
        return None
    try:
        files = json.loads(listing.read_text(encoding="utf-8"))["files"]
        hashes = {str(one["filename"]): str(one["hash"]) for one in files}
    except (ValueError, KeyError, TypeError):
        return None  # some other program's manifest.json
    value = hashes.get(path.name, "")
    return value.removeprefix("sha256:") if value.startswith("sha256:") else None


def _header_has_own_frame(path: Path, metadata: DbnMetadata) -> bool:
    """Databento writes the header as one zstd frame and all records as a second one."""
    with _open(path) as file:
        first = _zstd_reader(file, across=False)
        return len(first.read(metadata.header_bytes + 1)) == metadata.header_bytes


# -------------------------------------------------------------------------------------- read-ahead


def read_ahead(
    path: Path, *, depth: int = 2, limits: Limits = DEFAULT_LIMITS, tally: ReadTally | None = None
) -> Generator[npt.NDArray[Any], None, None]:
    """`iter_mbo_blocks` in a background thread; a block is valid until the next one is asked for."""
    return prefetch(iter_mbo_blocks(path, limits=limits, buffers=depth + 2, tally=tally), depth)


# ------------------------------------------------------------------------------------------ opening


def _open(path: Path) -> BufferedReader:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise MissingDataError(f"{path}: no such file; name a DBN file or a folder that holds some") from None
    except IsADirectoryError:
        raise RawDataError(f"{path}: is a folder, expected one DBN file") from None
    except OSError as fault:
        raise RawDataError(f"{path}: cannot be opened ({fault.strerror}), expected a DBN file") from None


def _zstd_reader(file: BinaryIO, *, across: bool = True) -> Any:
    return zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(
        file, read_size=_STEP_BYTES, read_across_frames=across, closefd=False
    )


def _read_exactly(path: Path, reader: Any, count: int) -> bytes:
    """`count` bytes of the header; a header that ends before is refused."""
    parts, missing = [], count
    while missing:
        try:
            part = reader.read(min(missing, BLOCK_BYTES))
        except zstandard.ZstdError as fault:
            raise RawDataError(
                f"{path}: its zstd data is corrupt in the DBN header ({fault}); 0 whole records were read; "
                "fetch the file again"
            ) from None
        if not part:
            raise RawDataError(
                f"{path}: ends inside its DBN header, {missing:,} of {count:,} bytes are missing; 0 whole "
                "records were read; the file is cut, fetch it again"
            )
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _refuse_foreign_magic(path: Path, magic: bytes) -> None:
    if not magic:
        raise RawDataError(f"{path}: the file is empty, expected DBN; fetch it again")
    if magic == _DBZ_MAGIC:
        raise RawDataError(
            f"{path}: is in the retired DBZ form, expected DBN; fetch the data again or convert it with an "
            "old dbn tool"
        )
    if magic != FRAME_MAGIC and not (magic[:3] == b"DBN" or b"DBN".startswith(magic)):
        raise _not_dbn(path, magic)


def _not_dbn(path: Path, start: bytes) -> RawDataError:
    text = start[:4].isascii() and start[:4].decode("ascii").isprintable()
    if not text and len(start) >= 2 and start[0] * 4 >= 16 and start[1] in _RTYPES:
        return RawDataError(
            f"{path}: begins with a record of type {start[1]} instead of DBN metadata (a fragment), "
            "expected a whole DBN file; fetch the file with its header"
        )
    return RawDataError(f"{path}: is no DBN file (begins with {start[:4]!r}), expected DBN or DBN in zstd")
