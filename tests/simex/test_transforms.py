"""The transformations for metamorphic tests do what they say, and undo themselves."""

from __future__ import annotations

import numpy as np
import pytest

from simex.day import SimResult, simulate
from tests.simex import transforms
from tests.simex.conftest import ESH6
from tests.simex.plain import read_mbo, replay

AXIS = 6950 * 10**9


@pytest.fixture(scope="module")
def own(tiny: SimResult) -> np.ndarray:
    records = transforms.only(read_mbo(tiny.paths[0])[1], ESH6)
    start = int(np.argmin((records["flags"] & 32) > 0))
    return records[: start + 8000]


def test_mirror_and_shift_undo_themselves(own: np.ndarray) -> None:
    mirrored = transforms.mirror(own, AXIS)
    assert not np.array_equal(mirrored, own)
    assert np.array_equal(transforms.mirror(mirrored, AXIS), own)
    assert np.array_equal(transforms.shift(transforms.shift(own, 12), -12), own)


def test_mirrored_shifted_and_scaled_streams_still_obey_the_grammar(own: np.ndarray) -> None:
    plain = replay(own, ESH6)
    last = max(plain.book)
    for changed in (transforms.mirror(own, AXIS), transforms.shift(own, 40), transforms.scale(own, 3)):
        found = replay(changed, ESH6)
        assert found.broken == plain.broken
        assert found.events == plain.events
    mirrored = replay(transforms.mirror(own, AXIS), ESH6).book[last]
    swap = {"B": "A", "A": "B"}
    assert mirrored == {(swap[s], 2 * AXIS - p): level for (s, p), level in plain.book[last].items()}


def test_flash_adds_leave_every_book_unchanged(own: np.ndarray) -> None:
    flashed = transforms.with_flash_adds(own, every=25)
    assert len(flashed) > len(own) + 100
    assert replay(flashed, ESH6).book == replay(own, ESH6).book


@pytest.mark.parametrize("layout", ["modern", "legacy", "legacy-168"])
def test_snapshot_layout_writes_what_the_simulator_writes(
    layout: str, tmp_path_factory: pytest.TempPathFactory, own: np.ndarray
) -> None:
    result = simulate(
        "2026-01-06", "tiny", 7, tmp_path_factory.mktemp(layout), layout=layout, options=False, with_=()
    )
    want = read_mbo(result.paths[0])[1]
    want = want[(want["flags"] & 32) > 0]
    head = transforms.snapshot_layout(own, layout)[: len(want)]
    for name in ("order_id", "price", "size", "side", "action", "flags", "ts_recv"):
        assert np.array_equal(head[name], want[name]), name


def test_split_parts_join_to_the_whole(own: np.ndarray) -> None:
    parts = transforms.split(own, [5, 9_000, 11_111])
    assert len(parts) == 4
    assert np.array_equal(np.concatenate(parts), own)
