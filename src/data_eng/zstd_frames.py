"""Where the zstd frames of a file begin and end, read from block headers without decompressing.

A zstd decoder that is handed a cut file simply stops giving bytes. The frame structure tells: every block
names its size, the last block of a frame is marked, and a frame says whether a checksum of its content
follows. Walking it costs one small read per block (128 KiB of content), so a day takes milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import SEEK_END, FileIO
from pathlib import Path
from typing import Final

import zstandard

FRAME_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_SKIPPABLE_MAGIC: Final = 0x184D2A50
"""magic numbers ...50 to ...5F open a frame that decoders skip; its size stands in the next 4 bytes"""
_LONGEST_HEADER: Final = 18
_CHECKSUM_BYTES: Final = 4
_RLE_BLOCK: Final = 1
_RESERVED_BLOCK: Final = 3


@dataclass(frozen=True)
class ZstdLayout:
    """What the frame structure of one file says.

    frames: complete frames with content. checksummed: each of them carries a content checksum.
    fault: empty when the file ends exactly at the end of a frame, else what is wrong and where.
    """

    frames: int
    checksummed: bool
    fault: str


def walk_frames(path: Path) -> ZstdLayout:
    """Frame structure of the zstd file at `path`; damage is reported in `fault`, never raised."""
    with path.open("rb", buffering=0) as file:
        size = file.seek(0, SEEK_END)
        frames, checksummed, at = 0, True, 0
        while at < size:
            head = _read_at(file, at, _LONGEST_HEADER)
            word = int.from_bytes(head[:4], "little")
            if len(head) >= 8 and word & ~0xF == _SKIPPABLE_MAGIC:
                at += 8 + int.from_bytes(head[4:8], "little")
                if at > size:
                    return ZstdLayout(frames, checksummed, "it ends inside a skippable zstd frame")
                continue
            if head[:4] != FRAME_MAGIC:
                return ZstdLayout(frames, checksummed, f"the bytes at offset {at:,} begin no zstd frame")
            try:
                has_checksum = zstandard.get_frame_parameters(head).has_checksum
                at += zstandard.frame_header_size(head)
            except zstandard.ZstdError:
                return ZstdLayout(frames, checksummed, f"the zstd frame header at offset {at:,} is cut")
            fault, at = _walk_blocks(file, at, size)
            at += _CHECKSUM_BYTES if has_checksum else 0
            if not fault and at > size:
                fault = "it ends inside the checksum of a zstd frame"
            if fault:
                return ZstdLayout(frames, checksummed, fault)
            frames += 1
            checksummed &= has_checksum
    return ZstdLayout(frames, checksummed, "")


def _walk_blocks(file: FileIO, at: int, size: int) -> tuple[str, int]:
    """Fault (empty when none) and the offset behind the last block of the frame."""
    while True:
        head = _read_at(file, at, 3)
        if len(head) < 3:
            return "it ends before its zstd frame does (cut, or still being downloaded)", at
        word = int.from_bytes(head, "little")
        kind, length = (word >> 1) & 3, word >> 3
        if kind == _RESERVED_BLOCK:
            return f"the zstd block at offset {at:,} has an impossible type", at
        at += 3 + (1 if kind == _RLE_BLOCK else length)
        if at > size:
            return "it ends before its zstd frame does (cut, or still being downloaded)", at
        if word & 1:
            return "", at


def _read_at(file: FileIO, at: int, count: int) -> bytes:
    file.seek(at)
    return file.read(count)
