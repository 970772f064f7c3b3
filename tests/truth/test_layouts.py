"""One day in many shapes: snapshot layouts, DBN versions, split files, decoys. Silver must not notice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_eng.dbn_codes import F_LAST, F_SNAPSHOT
from data_eng.raw_files import discover
from tests.dbn_samples import compressed
from tests.truth.conftest import Variant
from tests.truth.days import (
    BRONZE,
    DT,
    INSTRUMENT_ID,
    SYMBOL,
    Day,
    mbo_file,
    surfaces_of,
)

pytestmark = pytest.mark.xdist_group("truth")  # one worker makes the days once

SAME_ON_ANY_CHANNEL = ("wall_surface_1s", "radar_vacuum_1s")
"""the others hold ts_recv or sequence"""
Cuts = Callable[[np.ndarray, np.random.Generator], list[int]]


@pytest.mark.parametrize(
    "switch",
    [
        {"layout": "legacy"},
        {"layout": "legacy-168"},
        {"dbn_version": 1},
        {"dbn_version": 1, "layout": "legacy"},
        {"with_": ("decoys", "n")},
        {"faults": ("version_mix",)},
    ],
    ids=str,
)
def test_silver_bytes_do_not_depend_on_the_shape_of_the_files(
    switch: dict[str, Any], variant: Variant, tiny: Day
) -> None:
    other = variant(**switch)
    assert other.surface_hashes() == tiny.surface_hashes()
    assert all(tiny.surface_hashes().values())


def test_the_shapes_really_differ(variant: Variant, tiny: Day) -> None:
    """The test above would hold for a switch that does nothing."""
    legacy = variant(layout="legacy", dbn_version=1, with_=("n",))
    first, other = mbo_file(tiny.raw), mbo_file(legacy.raw)
    assert (first[0][3], other[0][3]) == (3, 1), "version byte of the header"
    head, old = tiny.records, legacy.records
    assert (chr(head["action"][0]), chr(old["action"][0])) == ("R", "A")
    last = [rows["flags"][np.argmin((rows["flags"] & F_SNAPSHOT) > 0) - 1] for rows in (head, old)]
    assert last == [168, 40]
    assert np.count_nonzero(old["action"] == ord("N")) > 0
    assert len(np.unique(first[1]["instrument_id"])) == 3
    assert set(other[1]["instrument_id"]) == {INSTRUMENT_ID}


def test_what_other_instruments_do_on_the_channel_changes_no_byte(tiny: Day, tmp_path: Path) -> None:
    header, records = mbo_file(tiny.raw)
    raw = tmp_path / "raw"
    raw.mkdir()
    mine = records[records["instrument_id"] == INSTRUMENT_ID]
    assert 0 < len(mine) < 0.9 * len(records)
    (raw / "alone.dbn.zst").write_bytes(compressed(header + mine.tobytes()))
    (definition,) = tiny.raw.glob("*.definition.dbn.zst")
    (raw / definition.name).write_bytes(definition.read_bytes())
    alone = Day(raw, surfaces_of(raw, tmp_path / "lake"), tiny.truth_dir, tiny.meta)
    assert alone.surface_hashes() == tiny.surface_hashes()
    assert alone.counters(BRONZE)["other_instrument_records"] == 0
    assert tiny.counters(BRONZE)["other_instrument_records"] == len(records) - len(mine)


def test_a_day_simulated_without_decoys_has_the_same_surfaces(variant: Variant, tiny: Day) -> None:
    """A channel of its own numbers and delays packets differently; the book does not know."""
    bare, full = variant(with_=()).surface_hashes(), tiny.surface_hashes()
    assert [bare[name] for name in SAME_ON_ANY_CHANNEL] == [full[name] for name in SAME_ON_ANY_CHANNEL]


def anywhere(records: np.ndarray, rng: np.random.Generator) -> list[int]:
    """Five places after the snapshots, wherever they fall."""
    first = int(np.argmin(records["flags"] & F_SNAPSHOT > 0))
    return sorted(first + 1 + rng.choice(len(records) - first - 2, 5, replace=False))


def inside_the_snapshot(records: np.ndarray, rng: np.random.Generator) -> list[int]:
    """Two places inside the snapshot of the contract."""
    rows = np.flatnonzero((records["flags"] & F_SNAPSHOT > 0) & (records["instrument_id"] == INSTRUMENT_ID))
    return sorted(rng.choice(rows[1:], 2, replace=False))


def inside_events(records: np.ndarray, rng: np.random.Generator) -> list[int]:
    """Three places between two records of one event of the contract that arrived one after the other."""
    mine = records["instrument_id"] == INSTRUMENT_ID
    open_after = mine & (records["flags"] & (F_LAST | F_SNAPSHOT) == 0)
    rows = np.flatnonzero(open_after[:-1] & mine[1:]) + 1
    return sorted(rng.choice(rows, 3, replace=False))


@pytest.mark.parametrize("cuts", [anywhere, inside_the_snapshot, inside_events])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_day_in_several_files_gives_the_same_bronze_and_silver(
    cuts: Cuts, seed: int, tiny: Day, tmp_path: Path
) -> None:
    header, records = mbo_file(tiny.raw)
    places = cuts(records, np.random.default_rng(seed))
    raw = tmp_path / "raw"
    raw.mkdir()
    for k, part in enumerate(np.split(records, places)):
        # files go by their first ts_recv, whatever they are called; all of a snapshot has one ts_recv, so
        # only between parts of it the names decide
        number = k if cuts is inside_the_snapshot else (7 * k + 3) % 11
        (raw / f"part-{number:02d}.dbn.zst").write_bytes(compressed(header + part.tobytes()))
    (definition,) = tiny.raw.glob("*.definition.dbn.zst")
    (raw / definition.name).write_bytes(definition.read_bytes())
    assert len(discover(raw).files_for("mbo", DT)) == len(places) + 1
    lake = surfaces_of(raw, tmp_path / "lake")
    split = Day(raw, lake, tiny.truth_dir, tiny.meta)
    assert split.surface_hashes() == tiny.surface_hashes()
    found, wanted = (at.read(BRONZE, SYMBOL, DT) for at in (lake, tiny.lake))
    assert found.combine_chunks().equals(wanted.combine_chunks())
