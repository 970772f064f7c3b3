"""The service without sockets: what it loads, what it refuses to load, and how it says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_eng.errors import LakeError, MissingDataError
from data_eng.lake import Lake
from data_eng.units import WINDOW_NS
from serving.hud_streaming import Block, HudCache, HudStreamService, SizedCache
from serving.surfaces import SURFACES
from tests.serving.conftest import DT, SYMBOL
from tests.serving.streams import LakeRows, same_bits

REQUIRED = [surface for surface in SURFACES.values() if surface.required]


@pytest.fixture
def copied(tiny: Lake, tmp_path: Path) -> Lake:
    """A lake of its own, to be spoilt."""
    for layer in ("bronze", "silver", "gold"):
        shutil.copytree(tiny.root / layer, tmp_path / "lake" / layer)
    return Lake(tmp_path / "lake")


def test_the_cache_has_the_windows_of_the_snapshot(cache: HudCache, tiny: Lake) -> None:
    snapshot = tiny.read(SURFACES["snap"].dataset, SYMBOL, DT)
    assert cache.window_ids.tolist() == snapshot["window_end_ts_ns"].to_pylist()
    assert (cache.windows, cache.tick_int, cache.origin, cache.lookahead) == (
        120,
        250_000_000,
        "simulated",
        True,
    )
    assert set(cache.surfaces) == set(SURFACES)


@pytest.mark.parametrize("surface", sorted(SURFACES))
def test_every_window_and_any_range_are_the_lakes_rows(cache: HudCache, tiny: Lake, surface: str) -> None:
    rows = LakeRows(tiny, surface)
    mine = cache.surfaces[surface]
    for seq in range(0, cache.windows, 7):
        end = cache.ts_ns(seq)
        assert same_bits(pa.Table.from_batches([mine.window(end)]), rows.window(end))
        assert mine.window(end, bare=True).equals(mine.window(end))
    whole = tiny.read(SURFACES[surface].dataset, SYMBOL, DT)
    assert same_bits(mine.range(0, cache.last_ts_ns), whole)
    assert mine.range(cache.last_ts_ns, cache.last_ts_ns + 9 * WINDOW_NS).num_rows == 0
    assert mine.window(cache.first_ts_ns - WINDOW_NS).num_rows == 0
    assert mine.window(cache.first_ts_ns - WINDOW_NS, bare=True).schema.equals(mine.schema)


def test_the_bootstrap_is_the_last_batches_and_the_ring_fills(tiny: Lake) -> None:
    service = HudStreamService(tiny, ring_windows=50)
    end = service.load_cache(SYMBOL, DT).ts_ns(99)
    frames = service.bootstrap_frames(SYMBOL, DT, end)
    pieces: dict[str, list[pa.Table]] = {name: [] for name in frames}
    for window_end, tables in service.iter_batches(SYMBOL, DT):
        if window_end <= end:
            for name, rows in tables.items():
                pieces[name].append(rows)
    for name, rows in frames.items():
        assert same_bits(rows, pa.concat_tables(pieces[name])), name
    ring = service.ring(SYMBOL, DT)
    assert len(ring) == 50
    assert ring.newest_ts_ns == service.load_cache(SYMBOL, DT).last_ts_ns
    list(service.iter_batches(SYMBOL, DT, end))
    assert len(ring) == 50, "an iteration from a time of its own touches no ring"


def test_iteration_starts_at_the_first_window_that_ends_at_or_after_a_time(
    tiny: Lake, cache: HudCache
) -> None:
    service = HudStreamService(tiny)
    for start, first in ((0, 0), (cache.ts_ns(5) - 1, 5), (cache.ts_ns(5), 5), (cache.ts_ns(5) + 1, 6)):
        found = next(service.iter_batches(SYMBOL, DT, start, ("snap",)))
        assert found[0] == cache.ts_ns(first)
    assert not list(service.iter_batches(SYMBOL, DT, cache.last_ts_ns + 1))


@given(st.integers(-(10**12), 10**12))
def test_seq_at_is_the_first_window_that_ends_at_or_after(cache: HudCache, offset_ns: int) -> None:
    ts_ns = cache.first_ts_ns + offset_ns
    ends = cache.window_ids
    assert cache.seq_at(ts_ns) == int(np.searchsorted(ends, ts_ns, side="left"))


# ---- what is missing, mixed or damaged


@pytest.mark.parametrize("surface", REQUIRED, ids=lambda s: s.id)
def test_a_missing_table_fails_at_once_with_its_command(copied: Lake, surface) -> None:  # type: ignore[no-untyped-def]
    copied.delete(surface.dataset, SYMBOL, DT)
    with pytest.raises(MissingDataError, match=rf"no {surface.dataset} .*: spymaster run --dt {DT}"):
        HudStreamService(copied).load_cache(SYMBOL, DT)


def test_a_missing_calibration_fails_at_once_with_its_command(copied: Lake) -> None:
    copied.delete("gold.hud.physics_norm_calibration", SYMBOL, DT)
    with pytest.raises(
        MissingDataError, match=rf"no gold.hud.physics_norm_calibration .*: spymaster run --dt {DT}"
    ):
        HudStreamService(copied).load_cache(SYMBOL, DT)


def test_a_calibration_that_was_replaced_is_refused(copied: Lake) -> None:
    name = "gold.hud.physics_norm_calibration"
    rows = copied.read(name, SYMBOL, DT)
    old = copied.manifest(name, SYMBOL, DT)
    with copied.writer(name, SYMBOL, DT) as writer:
        writer.write(rows.set_column(1, rows.schema[1], pa.array([q - 1 for q in rows["q05"].to_pylist()])))
        writer.finish(stage=old.stage, origin=old.origin, verified=True, code_version="c0de")
        writer.commit()
    with pytest.raises(LakeError, match="was replaced since the scores"):
        HudStreamService(copied).load_cache(SYMBOL, DT)


def test_trades_and_options_may_be_missing(poor: Lake) -> None:
    found = HudStreamService(poor).load_cache(SYMBOL, DT).surfaces
    assert set(SURFACES) - set(found) == {"trade", "gex_profile", "option_quote"}


def _edit_manifest(lake: Lake, surface: str, **fields: object) -> None:
    file = lake.partition_dir(SURFACES[surface].dataset, SYMBOL, DT) / "_manifest.json"
    document = json.loads(file.read_text()) | fields
    file.write_text(json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False) + "\n")


@pytest.mark.parametrize("surface", ["snap", "wall", "radar", "trade"])
def test_tables_of_another_engine_pass_are_refused(copied: Lake, surface: str) -> None:
    _edit_manifest(copied, surface, engine_run="0" * 64)
    with pytest.raises(LakeError, match="different engine passes"):
        HudStreamService(copied).load_cache(SYMBOL, DT)


@pytest.mark.parametrize(("surface", "later"), [("vacuum", "physics_bands_1s"), ("gex", "hud_surface_1s")])
def test_a_table_made_from_another_version_is_refused(copied: Lake, surface: str, later: str) -> None:
    _edit_manifest(copied, surface, warnings=["edited"])
    with pytest.raises(LakeError, match=rf"{later} .*was made from another"):
        HudStreamService(copied).load_cache(SYMBOL, DT)


@pytest.mark.parametrize("surface", ["hud", "wall"])
def test_a_flipped_byte_is_found_before_anything_of_the_file_is_served(copied: Lake, surface: str) -> None:
    (file,) = copied.partition_dir(SURFACES[surface].dataset, SYMBOL, DT).glob("*.parquet")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    service = HudStreamService(copied)
    with pytest.raises(LakeError, match="sha256"):
        service.load_cache(SYMBOL, DT).surfaces[surface].window(0 if surface == "hud" else _first(copied))


def _first(lake: Lake) -> int:
    return int(lake.read(SURFACES["snap"].dataset, SYMBOL, DT)["window_end_ts_ns"][0].as_py())


def test_a_replaced_lake_is_another_epoch_and_what_was_loaded_stays_readable(copied: Lake) -> None:
    service = HudStreamService(copied)
    old = service.load_cache(SYMBOL, DT)
    assert service.load_cache(SYMBOL, DT) is old
    wall = old.surfaces["wall"].window(old.ts_ns(3)).num_rows
    service.drop_cache(SYMBOL, DT)
    _edit_manifest(copied, "hud", warnings=["made again"])
    new = service.load_cache(SYMBOL, DT)
    assert new.epoch != old.epoch
    assert new.warnings != old.warnings
    shutil.rmtree(copied.root)
    assert old.surfaces["wall"].window(old.ts_ns(3)).num_rows == wall
    assert new.surfaces["vacuum"].window(new.ts_ns(3)).num_rows == wall


def test_a_message_is_encoded_once(cache: HudCache) -> None:
    assert cache.message(7, "snap") is cache.message(7, "snap")


# ---- parts


@given(
    ends=st.lists(st.integers(0, 8), max_size=30),
    low=st.integers(-1, 9),
    high=st.integers(-1, 9),
)
def test_a_range_of_rows_in_any_order_keeps_them_in_theirs(ends: list[int], low: int, high: int) -> None:
    """Late trades step back in time."""
    batch = pa.record_batch({"n": pa.array(range(len(ends)), pa.int64())})
    block = Block.holding(batch, np.array(ends, dtype=np.int64))
    found = block.between(low, high, bare=False).column("n").to_pylist()
    assert found == [n for n, end in enumerate(ends) if low < end <= high]


@given(
    limit=st.integers(1, 50),
    sizes=st.lists(st.tuples(st.integers(0, 5), st.integers(1, 30)), max_size=40),
)
def test_the_cache_keeps_to_its_size_and_to_the_newest(limit: int, sizes: list[tuple[int, int]]) -> None:
    held: SizedCache = SizedCache(limit)
    sizes_of: dict[int, int] = {}
    for key, size in sizes:
        held.put(key, f"value {key}", size)
        sizes_of[key] = size
        assert held.get(key) == f"value {key}"
        kept = [k for k in sizes_of if held.get(k) is not None]
        assert sum(sizes_of[k] for k in kept) <= limit or kept == [key]
