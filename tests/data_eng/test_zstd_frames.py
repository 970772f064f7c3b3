"""The frame walk says exactly where a zstd file stops being whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import zstandard

from data_eng.zstd_frames import walk_frames

CONTENT = os.urandom(300_000) + bytes(500_000)
SKIPPABLE = (0x184D2A53).to_bytes(4, "little") + (5).to_bytes(4, "little") + b"notes"


def frame(content: bytes = CONTENT, *, checksum: bool = True, size: bool = False) -> bytes:
    stream = zstandard.ZstdCompressor(write_checksum=checksum, write_content_size=size).compressobj(
        size=len(content) if size else -1
    )
    return stream.compress(content) + stream.flush()


@pytest.mark.parametrize(
    ("content", "frames", "checksummed"),
    [
        (b"", 0, True),
        (frame(), 1, True),
        (frame(checksum=False), 1, False),
        (frame(size=True), 1, True),
        (frame(b""), 1, True),
        (frame() + SKIPPABLE + frame(b"abc"), 2, True),
        (frame() + frame(checksum=False), 2, False),
    ],
)
def test_whole_files_have_no_fault(tmp_path: Path, content: bytes, frames: int, checksummed: bool) -> None:
    path = tmp_path / "f"
    path.write_bytes(content)
    layout = walk_frames(path)
    assert (layout.frames, layout.checksummed, layout.fault) == (frames, checksummed, "")


def test_every_cut_inside_a_frame_is_a_fault_and_every_frame_border_is_none(tmp_path: Path) -> None:
    parts = [frame(b"header" * 20), SKIPPABLE, frame(os.urandom(700), checksum=False), frame(b"x" * 900)]
    whole = b"".join(parts)
    borders = {sum(len(p) for p in parts[:n]) for n in range(len(parts) + 1)}
    path = tmp_path / "f"
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        assert (walk_frames(path).fault == "") == (length in borders), length


def test_trailing_bytes_and_impossible_blocks_are_faults(tmp_path: Path) -> None:
    path = tmp_path / "f"
    whole = frame(b"abc" * 100)
    path.write_bytes(whole + b"garbage")
    assert walk_frames(path).fault == f"the bytes at offset {len(whole):,} begin no zstd frame"
    header = zstandard.frame_header_size(whole)
    broken = bytearray(whole)
    broken[header] |= 0b110
    path.write_bytes(broken)
    assert "impossible type" in walk_frames(path).fault


def test_a_real_file_is_a_header_frame_and_a_frame_of_records(real_esh4: Path) -> None:
    layout = walk_frames(real_esh4)
    assert (layout.frames, layout.checksummed, layout.fault) == (2, True, "")
