"""The checks of the service pass on a good day and fail on each thing they are for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from data_eng.lake import Lake
from data_eng.units import WINDOW_NS
from serving import service_checks as checks
from serving import wire
from serving.hud_streaming import HudCache, HudStreamService, SurfaceRows
from serving.ring_buffer import RingBuffer
from tests.serving.conftest import DT, SYMBOL


def test_a_good_day_passes_and_says_how_much_was_looked_at(tiny: Lake) -> None:
    report = checks.check_service(tiny, SYMBOL, DT)
    assert report.passed, report.failed
    assert (report.windows, report.valid_windows) == (120, 120)
    assert report.rows > 200_000
    assert all(check.looked_at > 0 for check in report.checks)
    assert {check.name for check in report.checks} == {
        "service_windows",
        "surfaces_not_empty",
        "bootstrap_is_the_last_batches",
        "ring_of_1800",
        "ring_drops_the_oldest",
        "messages_read_back",
        "empty_keeps_its_schema",
        "gex_windows",
        "gex_spot_is_the_snapshots",
        "plane_length",
        "two_clients_get_the_same",
        "live_round_trip",
    }


class Wrong:
    """Rows of a surface with something spoilt."""

    def __init__(self, rows: Any, **spoilt: Any) -> None:
        self._rows = rows
        self.__dict__.update(spoilt)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rows, name)


def spoil(cache: HudCache, name: str, **spoilt: Any) -> HudCache:
    return replace(cache, surfaces=cache.surfaces | {name: Wrong(cache.surfaces[name], **spoilt)})  # type: ignore[dict-item]


def test_other_windows_are_found(cache: HudCache, tiny: Lake) -> None:
    assert not checks.check_windows(replace(cache, window_ids=cache.window_ids[1:]), tiny).passed
    assert not checks.check_windows(replace(cache, window_ids=cache.window_ids + WINDOW_NS), tiny).passed


def test_an_empty_surface_is_found(cache: HudCache) -> None:
    empty = replace(cache.surfaces["gex"].manifest, files=(), row_count=0)
    assert not checks.check_not_empty(spoil(cache, "gex", manifest=empty)).passed
    quotes = cache.surfaces["option_quote"].manifest
    assert quotes.row_count == 0
    assert checks.check_not_empty(cache).passed, "this lake was made with --no-gex"
    for told in ({"params": {"no_gex": False}}, {"warnings": ()}):
        assert not checks.check_not_empty(
            spoil(cache, "option_quote", manifest=replace(quotes, **told))
        ).passed


def test_a_bootstrap_that_differs_is_found(cache: HudCache, tiny: Lake) -> None:
    class Short(HudStreamService):
        def bootstrap_frames(self, *args: Any, **options: Any) -> Any:
            frames = super().bootstrap_frames(*args, **options)
            return frames | {"snap": frames["snap"].slice(1)}

    check = checks.check_bootstrap(Short(tiny), cache, tiny)
    assert (check.passed, check.failures) == (False, 1)


def test_a_bootstrap_and_batches_that_are_wrong_in_the_same_way_are_found(
    cache: HudCache, tiny: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert checks.check_bootstrap(HudStreamService(tiny), cache, tiny).passed
    pieces = SurfaceRows._pieces

    def without_bids(self: SurfaceRows, *args: Any, **options: Any) -> list[pa.RecordBatch]:
        found = pieces(self, *args, **options)
        if self.surface.id != "wall":
            return found
        return [batch.filter(pc.equal(batch["side"].cast(pa.string()), "A")) for batch in found]

    monkeypatch.setattr(SurfaceRows, "_pieces", without_bids)
    check = checks.check_bootstrap(HudStreamService(tiny), cache, tiny)
    assert (check.passed, check.failures) == (False, 2), "the bootstrap and the batches"


def test_a_ring_that_grows_or_drops_the_wrong_end_is_found(cache: HudCache) -> None:
    class Grows(RingBuffer[int]):
        def __len__(self) -> int:
            return super().__len__() + (self.newest_ts_ns or 0) // WINDOW_NS % 2

    class Stuck(RingBuffer[int]):
        def append(self, window_end_ts_ns: int, item: int) -> None:
            if len(self) < self.capacity:
                super().append(window_end_ts_ns, item)

    steps = [(end, end) for end in cache.window_ids.tolist()]

    def appending(ring: RingBuffer[int]) -> Any:
        def append(end: int, item: int) -> RingBuffer[int]:
            ring.append(end, item)
            return ring

        return append

    for ring in (Grows(10), Stuck(10)):
        assert not checks._follow("ring", steps, appending(ring)).passed
    assert checks._follow("ring", steps, appending(RingBuffer(10))).passed


def test_the_ring_of_the_check_really_drops(
    cache: HudCache, tiny: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped = []
    append = RingBuffer.append

    def watched(self: RingBuffer[Any], window_end_ts_ns: int, item: Any) -> None:
        before = len(self)
        append(self, window_end_ts_ns, item)
        dropped.append((self.capacity, before + 1 - len(self)))

    monkeypatch.setattr(RingBuffer, "append", watched)
    whole, half = checks.check_ring(tiny, cache)
    assert whole.passed
    assert half.passed
    assert sum(count for capacity, count in dropped if capacity == 1_800) == 0
    assert sum(count for capacity, count in dropped if capacity == 60) == 60


def test_a_message_that_differs_from_the_lake_is_found(cache: HudCache, tiny: Lake) -> None:
    other = replace(cache, messages=type(cache.messages)(1 << 20))
    wrong = wire.encode_window(
        wire.bare(cache.surfaces["snap"].window(cache.ts_ns(1))),
        wire.WindowTag("snap", cache.epoch, 0, cache.ts_ns(0), "h", cache.calibration_id),
    )
    other.messages.put((cache.epoch, "snap", 0), wrong, len(wrong))
    read_back, _ = checks.check_messages(other, tiny, 2)
    assert (read_back.passed, read_back.failures) == (False, 1)
    assert f"snap {cache.ts_ns(0)}: the message differs" in read_back.offenders[0]


def test_an_empty_answer_without_its_schema_is_found(cache: HudCache, tiny: Lake) -> None:
    bad = spoil(cache, "trade", range=lambda start, end: pa.table({"x": pa.array([], pa.int64())}))
    _, empty = checks.check_messages(bad, tiny, 1)
    assert (empty.passed, empty.failures) == (False, 1)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda rows: rows.slice(0, rows.num_rows - 1), "gex_windows"),
        (lambda rows: rows.slice(61), "gex_windows"),
        (
            lambda rows: rows.set_column(1, rows.schema[1], pa.array(rows[1].to_numpy() + 0.25)),
            "gex_spot_is_the_snapshots",
        ),
    ],
)
def test_strikes_and_spots_that_are_wrong_are_found(cache: HudCache, change: Any, name: str) -> None:
    rows = change(cache.surfaces["gex"].columns([checks.KEY, "underlying_spot_ref"]))
    found = {check.name: check for check in checks.check_gex(spoil(cache, "gex", columns=lambda names: rows))}
    assert not found[name].passed


def test_a_short_plane_is_found(cache: HudCache) -> None:
    rows = pa.table({name: pa.array([b"x" * 1200]) for name in checks.PLANES}).to_batches()[0]
    tag = wire.WindowTag("hud", cache.epoch, 0, cache.first_ts_ns, "h", "c")
    other = replace(cache, messages=type(cache.messages)(1 << 20))
    other.messages.put((cache.epoch, "hud", 0), wire.encode_window(rows, tag), 1)
    check = checks.check_planes(other)
    assert (check.passed, check.failures, check.looked_at) == (False, 9, 27)


def test_live_checks_compare_with_the_lake_and_not_with_the_service(
    cache: HudCache, tiny: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both clients, and the day that the checks have loaded, get the same wrong message."""
    encode = HudCache.message

    def shifted(self: HudCache, seq: int, surface: str) -> bytes:
        if surface != "wall":
            return encode(self, seq, surface)
        rows = self.surfaces[surface]
        end = self.ts_ns(seq)
        tag = wire.WindowTag(
            surface, self.epoch, seq, end, rows.surface.table.schema_hash, self.calibration_id
        )
        return wire.encode_window(rows.window(self.ts_ns(seq + 1), bare=True), tag)

    monkeypatch.setattr(HudCache, "message", shifted)
    found = {check.name: check for check in checks.check_live(tiny, cache, 2)}
    assert not found["live_round_trip"].passed
    assert (found["two_clients_get_the_same"].passed, found["two_clients_get_the_same"].failures) == (
        False,
        2,
    )


def test_a_message_that_says_it_is_another_is_found(cache: HudCache, tiny: Lake) -> None:
    other = replace(cache, messages=type(cache.messages)(1 << 20), calibration_id="another")
    found = {check.name: check for check in checks.check_live(tiny, other, 2)}
    assert not any(check.passed for check in found.values())
