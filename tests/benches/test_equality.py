"""What the bench calls equal is equal, and each comparison notices a difference."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from benches.c_limit import CBook
from benches.measure import BenchError, Missing
from benches.subjects import Subject

from benches import c_limit, equality, subjects
from tests.naive.book import NaiveBook


@pytest.fixture(scope="module")
def subject(small_file: Path) -> Subject:
    return Subject(small_file)


@pytest.fixture(scope="module")
def c_book(tmp_path_factory: pytest.TempPathFactory) -> CBook:
    if shutil.which("gcc") is None:
        pytest.skip(reason="gcc is not installed")
    return CBook(tmp_path_factory.mktemp("c"))


def test_c_makes_the_same_rows_depth_and_flows(subject: Subject, c_book: CBook) -> None:
    engine, windows = equality.run_engine(subject)
    result = c_book.run(subject.records, subject.instrument_id, subject.tick_int, subject.seconds)
    assert result.order_count == engine.order_count()
    assert "levels" in equality.same_depth(engine.depth(), result.depth(), "C")
    assert "11 columns of 30 seconds" in equality.same_rows(windows, result)
    assert "equal C" in equality.same_flows(subject, c_book)


def test_every_column_of_c_is_compared(subject: Subject, c_book: CBook) -> None:
    _, windows = equality.run_engine(subject)
    for column in c_limit.ROW_COLUMNS:
        result = c_book.run(subject.records, subject.instrument_id, subject.tick_int, subject.seconds)
        result.rows[column][3] += 1
        with pytest.raises(BenchError, match=rf"{column} .* row 3"):
            equality.same_rows(windows, result)


@pytest.mark.parametrize("column", [2, 3, 4, 5])
def test_every_flow_of_c_is_compared(
    subject: Subject, c_book: CBook, column: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = CBook.run

    def spoilt(self: CBook, *args: object, **kwargs: object) -> c_limit.CResult:
        result = run(self, *args, **kwargs)  # type: ignore[arg-type]  # passed through
        row = int(np.flatnonzero(result.levels[:, 2])[0])
        result.levels[row, column] += 1
        return result

    monkeypatch.setattr(CBook, "run", spoilt)
    with pytest.raises(BenchError, match="pull_qty_rest"):
        equality.same_flows(subject, c_book)


def test_plain_python_makes_the_same_depth_and_best_prices(subject: Subject) -> None:
    engine, windows = equality.run_engine(subject)
    _, book = subjects.plain_python(subject)
    equality.same_depth(engine.depth(), book.depth, "plain Python")
    assert "30 seconds" in equality.same_python_bests(windows, book)
    book.bests[5] = (book.bests[5][0], book.bests[5][1] + 1, book.bests[5][2])
    with pytest.raises(BenchError, match=r"best_bid_price_int .* row 5"):
        equality.same_python_bests(windows, book)


def test_a_level_that_one_side_alone_has_is_a_difference(subject: Subject) -> None:
    engine, _ = equality.run_engine(subject)
    depth = engine.depth()
    other = {side: dict(levels) for side, levels in depth.items()}
    other["A"][1] = 5
    with pytest.raises(BenchError, match="the engine has 0, X has 5"):
        equality.same_depth(depth, other, "X")


def test_an_empty_book_proves_nothing() -> None:
    with pytest.raises(BenchError, match="empty"):
        equality.same_depth({"A": {}, "B": {}}, {"A": {}, "B": {}}, "X")


def test_the_twin_is_compared_row_by_row(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "equal the naive twin" in equality.same_as_twin(subject)
    finish = NaiveBook.finish

    def spoilt(self: NaiveBook) -> None:
        finish(self)
        self.wall[4]["add_qty"] += 1

    monkeypatch.setattr(NaiveBook, "finish", spoilt)
    with pytest.raises(BenchError, match="wall row differs"):
        equality.same_as_twin(subject)


def test_every_way_through_the_engine_takes_some_time_and_gives_every_window(subject: Subject) -> None:
    for way in (subjects.engine_one_thread, subjects.engine_pipelined):
        assert way(subject).wall > 0
        assert way(subject, wall=True, radar=True).wall > 0
    assert subjects.engine_in_memory(subject, wall=True, radar=True).cpu > 0
    assert subjects.kernel_in_memory(subject).cpu > 0
    assert subjects.zstd_alone(subject.path).wall > 0


def test_the_bare_engine_ends_with_the_same_book(subject: Subject) -> None:
    from data_eng.mbo import MboColumns

    bare = subjects.BareEngine(subject.instrument_id, tick_int=subject.tick_int, wall=False, radar=False)
    bare.hold(subject.seconds + 1)
    for _ in subjects.windows_of(bare, [MboColumns.from_records(subject.records)]):
        pass
    engine, _ = equality.run_engine(subject)
    assert bare.depth() == engine.depth()
    assert bare.counters() == engine.counters()


def test_without_gcc_the_limit_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(Missing, match="gcc is not installed"):
        CBook(tmp_path)
