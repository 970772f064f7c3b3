"""Ways to damage a file: each kind takes the bytes of a source and dice, and returns other bytes.

Positions are drawn anew for every seed, so a seed names one damaged file for ever.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import zstandard

from data_eng.mbo import MBO_DTYPE, MBO_RECORD_BYTES
from tests.dbn_samples import compressed, definition, header_bytes, record_bytes
from tests.hostility.days import tiny_records

_EXTREMES: Final = (
    0,
    1,
    127,
    128,
    255,
    2**15,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**62,
    2**63 - 1,
    2**63,
    2**64 - 1,
)
_FIELDS: Final = [name for name in MBO_DTYPE.names or () if name != "length"]
_TIMES: Final = ("ts_event", "ts_recv")
_SECOND: Final = 1_000_000_000
_ZSTD_BLOCK_RECORDS: Final = 40


@dataclass(frozen=True)
class Source:
    """A small valid file. schema: what is in it; checksummed: damage has to be seen, `verified` may be true.

    data: the file. plain_offset: offset of the first record where records lie open in the file, else None.
    """

    name: str
    schema: str
    file_name: str
    data: bytes
    checksummed: bool = False
    plain_offset: int | None = None


def sources() -> Mapping[str, Source]:
    """The valid files that everything is made from."""
    header, records = header_bytes(), tiny_records().tobytes()
    definitions = header_bytes(schema="definition") + record_bytes([definition()], "definition", 3)
    made = [
        # two frames, as Databento writes: the header, then all records
        Source(
            "zst with checksum",
            "mbo",
            "mbo.dbn.zst",
            compressed(header) + _in_blocks(records, checksum=True),
            checksummed=True,
        ),
        Source("zst", "mbo", "mbo.dbn.zst", _in_blocks(header + records, checksum=False)),
        Source("raw", "mbo", "mbo.dbn", header + records, plain_offset=len(header)),
        Source(
            "definitions zst with checksum",
            "definition",
            "definition.dbn.zst",
            compressed(definitions),
            checksummed=True,
        ),
        Source("definitions raw", "definition", "definition.dbn", definitions),
    ]
    return {source.name: source for source in made}


def _in_blocks(plain: bytes, *, checksum: bool) -> bytes:
    """One zstd frame of several blocks, so that whole blocks can be lost, swapped and doubled."""
    stream = zstandard.ZstdCompressor(
        level=3, write_checksum=checksum, write_content_size=False
    ).compressobj()
    step = _ZSTD_BLOCK_RECORDS * MBO_RECORD_BYTES
    parts = [
        stream.compress(plain[at : at + step]) + stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        for at in range(0, len(plain), step)
    ]
    return b"".join(parts) + stream.flush()


def zstd_block_borders(data: bytes) -> list[int]:
    """Offsets of the block headers of every frame, and the end of the last block of each."""
    borders, at = [], 0
    while at + 4 <= len(data):
        head = data[at : at + 18]
        at += zstandard.frame_header_size(head)
        checksum = zstandard.get_frame_parameters(head).has_checksum
        while True:
            borders.append(at)
            word = int.from_bytes(data[at : at + 3], "little")
            at += 3 + (1 if (word >> 1) & 3 == 1 else word >> 3)
            if word & 1:
                break
        borders.append(at)
        at += 4 if checksum else 0
    return borders


def cut(source: Source, dice: random.Random) -> bytes:
    """The file ends early."""
    return source.data[: dice.randrange(len(source.data))]


def cut_between_records(source: Source, dice: random.Random) -> bytes:
    """The file ends early, at a border that a reader cannot tell from the end."""
    return source.data[: dice.choice(_borders(source))]


def flip_bits(source: Source, dice: random.Random) -> bytes:
    """One to four bits anywhere."""
    return _flipped(source.data, dice, 0, len(source.data))


def damage_header(source: Source, dice: random.Random) -> bytes:
    """One to four bits of the first bytes: magic, version, metadata, frame header."""
    return _flipped(source.data, dice, 0, min(len(source.data), source.plain_offset or 64))


def zero_bytes(source: Source, dice: random.Random) -> bytes:
    """A run of bytes became zero, as after a lost sector."""
    start, stop = _run(source, dice)
    return source.data[:start] + bytes(stop - start) + source.data[stop:]


def noise(source: Source, dice: random.Random) -> bytes:
    """A run of bytes became something else."""
    start, stop = _run(source, dice)
    return source.data[:start] + dice.randbytes(stop - start) + source.data[stop:]


def drop_bytes(source: Source, dice: random.Random) -> bytes:
    """A run of bytes is missing."""
    start, stop = _run(source, dice)
    return source.data[:start] + source.data[stop:]


def swap_blocks(source: Source, dice: random.Random) -> bytes:
    """Two blocks changed places: zstd blocks, or records of an uncompressed file."""
    borders = _borders(source)
    if len(borders) < 4:
        return flip_bits(source, dice)
    a, b = sorted(dice.sample(range(len(borders) - 1), 2))
    cuts = (borders[a], borders[a + 1], borders[b], borders[b + 1])
    data = source.data
    return (
        data[: cuts[0]]
        + data[cuts[2] : cuts[3]]
        + data[cuts[1] : cuts[2]]
        + data[cuts[0] : cuts[1]]
        + data[cuts[3] :]
    )


def double_block(source: Source, dice: random.Random) -> bytes:
    """A block comes twice."""
    borders = _borders(source)
    a = dice.randrange(len(borders) - 1)
    start, stop = borders[a], borders[a + 1]
    return source.data[:stop] + source.data[start:stop] + source.data[stop:]


def trailing_garbage(source: Source, dice: random.Random) -> bytes:
    """Something follows the end: noise, zeros, the file's own beginning, or all of it again."""
    extra = dice.choice(
        [
            dice.randbytes(dice.randint(1, 300)),
            bytes(dice.randint(1, 300)),
            source.data[: dice.randint(1, len(source.data))],
            source.data,
        ]
    )
    return source.data + extra


def hostile_values(source: Source, dice: random.Random) -> bytes:
    """One to three fields of records hold an extreme, or a time hours or centuries away.

    A compressed source without open records is packed again, so a checksum fits the hostile values.
    """
    if source.schema != "mbo":
        return flip_bits(source, dice)
    records = tiny_records()
    for _ in range(dice.randint(1, 3)):
        at, name = dice.randrange(len(records)), dice.choice(_FIELDS)
        if dice.random() < 0.3:  # the snapshot at the head of the file has rules of its own
            at = dice.randrange(22)
        if name in _TIMES and dice.random() < 0.7:
            shift_s = dice.choice([-86_400, -3_600, -2, 1, 2, 3_599, 3_601, 32_400, 86_400, 10**9])
            records[name][at] = int(records[name][at]) + shift_s * _SECOND
        else:
            bits = 8 * MBO_DTYPE[name].itemsize
            value = dice.choice(_EXTREMES) % 2**bits
            signed = MBO_DTYPE[name].kind == "i" and value >= 2 ** (bits - 1)
            records[name][at] = value - 2**bits if signed else value
    plain = header_bytes() + records.tobytes()
    if source.plain_offset is not None:
        return plain
    return _in_blocks(plain, checksum=source.checksummed)


KINDS: Final[Mapping[str, Callable[[Source, random.Random], bytes]]] = {
    function.__name__: function
    for function in (
        cut,
        cut_between_records,
        flip_bits,
        damage_header,
        zero_bytes,
        noise,
        drop_bytes,
        swap_blocks,
        double_block,
        trailing_garbage,
        hostile_values,
    )
}


def damaged(source: Source, kind: str, seed: int) -> bytes:
    """The damaged file of that name."""
    return KINDS[kind](source, random.Random(f"{source.name}/{kind}/{seed}"))


def _flipped(data: bytes, dice: random.Random, start: int, stop: int) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        changed[dice.randrange(start, stop)] ^= 1 << dice.randrange(8)
    return bytes(changed)


def _run(source: Source, dice: random.Random) -> tuple[int, int]:
    start = dice.randrange(len(source.data))
    return start, min(len(source.data), start + dice.choice([1, 4, 16, 56, 200]))


def _borders(source: Source) -> list[int]:
    if source.file_name.endswith(".zst"):
        return zstd_block_borders(source.data)
    if source.plain_offset is not None:
        return list(range(source.plain_offset, len(source.data) + 1, MBO_RECORD_BYTES))
    return [0, len(source.data) // 2, len(source.data)]
