"""The long day is a consistent stream: same start every pass, fresh ids, clocks that never go back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benches.big_input import big_day, orders_after, passes_for, read_source, restoring, write_big_day
from benches.measure import BenchError

from data_eng.dbn_codes import F_LAST, F_SNAPSHOT
from data_eng.dbn_reader import iter_mbo_blocks, read_metadata
from tests.benches.conftest import small_day
from tests.dbn_samples import write_dbn


def test_every_pass_ends_with_the_book_of_the_snapshot(small_file: Path) -> None:
    source = read_source(small_file)
    start = orders_after(source.snapshot, {})
    blocks = list(big_day(source, 3, seconds=60))
    assert len(blocks) == 4
    assert len(start) > 0
    book = orders_after(blocks[0], {})
    for block in blocks[1:]:
        assert orders_after(block[: len(source.plain)], book) != start, "a pass has to change the book"
        book = orders_after(block, book)
        assert book == start


def test_restoring_cancels_before_it_adds(small_file: Path) -> None:
    records, _ = restoring(read_source(small_file))
    actions = "".join(chr(code) for code in records["action"])
    assert set(actions) == {"A", "C"}
    assert "AC" not in actions


def test_orders_born_in_a_pass_have_ids_that_no_other_pass_uses(small_file: Path) -> None:
    source = read_source(small_file)
    start = set(orders_after(source.snapshot, {}))
    _, first, second = big_day(source, 2, seconds=60)
    born = [set(block["order_id"].tolist()) - start - {0} for block in (first, second)]
    assert born[0]
    assert not born[0] & born[1]


def test_clocks_and_sequence_never_go_back_and_stay_in_the_day(small_file: Path) -> None:
    day = np.concatenate(list(big_day(read_source(small_file), 5, seconds=60)))
    plain = day[(day["flags"] & F_SNAPSHOT) == 0]
    for clock in ("ts_event", "ts_recv"):
        assert (np.diff(plain[clock].astype(np.int64)) >= 0).all()
    assert (plain["ts_event"] <= plain["ts_recv"]).all()
    assert (np.diff(day["sequence"].astype(np.int64)) == 1).all()
    assert int(plain["ts_recv"][-1]) // (86_400 * 10**9) == int(plain["ts_recv"][0]) // (86_400 * 10**9)


def test_records_of_one_event_keep_one_time(small_file: Path) -> None:
    source = read_source(small_file)
    block = list(big_day(source, 2, seconds=60))[-1][: len(source.plain)]
    inside = (source.plain["flags"][:-1] & F_LAST) == 0
    assert inside.any()
    assert (block["ts_event"][:-1][inside] == block["ts_event"][1:][inside]).all()


def test_the_same_numbers_give_the_same_bytes_and_enough_records(small_file: Path, tmp_path: Path) -> None:
    files = [tmp_path / "a.dbn.zst", tmp_path / "b.dbn.zst"]
    written = [write_big_day(small_file, path, records=5_000, seconds=60) for path in files]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert written[0] == sum(len(block) for block in iter_mbo_blocks(files[0])) >= 5_000
    assert list(read_metadata(files[0]).mappings) == ["ESH6"]


def test_one_pass_is_made_when_fewer_records_are_asked_for(small_file: Path) -> None:
    assert passes_for(read_source(small_file), 1) == 1


def test_a_second_snapshot_is_refused(tmp_path: Path) -> None:
    day = small_day()
    day["flags"][-1] |= F_SNAPSHOT
    write_dbn(tmp_path / "two.dbn.zst", day)
    with pytest.raises(BenchError, match="second snapshot"):
        read_source(tmp_path / "two.dbn.zst")


def test_a_clock_that_goes_back_is_refused(tmp_path: Path) -> None:
    day = small_day()
    day["ts_event"][-1] = day["ts_event"][-2] - 1
    write_dbn(tmp_path / "back.dbn.zst", day)
    with pytest.raises(BenchError, match="ts_event goes back"):
        read_source(tmp_path / "back.dbn.zst")
