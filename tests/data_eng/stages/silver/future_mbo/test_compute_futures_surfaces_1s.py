"""The stage between Bronze and the engine: batches in, four tables out, whatever the size of a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_eng.errors import LakeError, MissingDataError
from data_eng.params import RunParams
from data_eng.schema import table
from data_eng.sessions import pause_intervals
from data_eng.stage import SilentReporter
from data_eng.stages.bronze.mbo_rows import to_bronze
from data_eng.stages.silver.future_mbo import compute_futures_surfaces_1s as stage
from data_eng.stages.silver.future_mbo.book_engine import BookEngine, Windows
from tests.engine_helpers import assert_same_bytes, columns, rec, run_engine
from tests.naive.records import BID, Rec
from tests.strategies import (
    BASE_NS,
    CENTRE,
    DAY_START_NS,
    INSTRUMENT_ID,
    SECOND,
    chunks,
    cuts,
    tidy_streams,
    to_records,
)

DAY_NS = 86_400 * SECOND
DT = "2026-01-06"
OPTIONS = {"pauses": pause_intervals(DAY_START_NS - 8 * DAY_NS, DAY_START_NS + 2 * DAY_NS)}


class Writer:
    """Keeps what is written."""

    def __init__(self, dataset: str) -> None:
        self.dataset = dataset
        self.parts: list[pa.Table] = []

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is staged."""

    def write(self, rows: pa.Table) -> None:
        assert rows.num_rows > 0, "an empty block need not be written"
        self.parts.append(rows)

    def table(self) -> pa.Table:
        empty = table(self.dataset).arrow_schema.empty_table()
        return pa.concat_tables([empty, *self.parts])


class Context:
    """What the stage may touch: Bronze in batches, writers, and the choice of outputs."""

    symbol, dt = "ESH6", DT

    def __init__(self, parts: Sequence[Sequence[Rec]], *, session: str = "full", wanted: Any = None) -> None:
        self.batches = [to_bronze(to_records(part)) for part in parts]
        self.params = RunParams(session=session)
        self.wanted = stage.OUTPUTS if wanted is None else wanted
        self.writers: dict[str, Writer] = {}
        self.progress: list[tuple[int, int]] = []
        self.committed: list[str] = []
        self.counters: dict[str, int] = {}
        self.report = SilentReporter()

    def iter_batches(self, dataset: str, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        assert dataset == stage.MBO
        yield from (batch.select(list(names)) for batch in self.batches)

    def manifest(self, dataset: str) -> SimpleNamespace:
        assert dataset == stage.MBO
        return SimpleNamespace(row_count=sum(batch.num_rows for batch in self.batches))

    def has(self, dataset: str) -> bool:
        assert dataset in (stage.DEFINITIONS, stage.STATUS)
        return False

    def wants(self, dataset: str) -> bool:
        return dataset in self.wanted

    def writer(self, dataset: str) -> Writer:
        self.writers[dataset] = Writer(dataset)
        return self.writers[dataset]

    def advance(self, done: int, total: int) -> None:
        self.progress.append((done, total))

    def commit(self, *writers: Writer, counters: dict[str, int], warnings: Sequence[str]) -> None:
        self.committed = [writer.dataset for writer in writers]
        self.counters = counters
        assert list(warnings) == self.report.warnings, "what is said is stored"

    def windows(self) -> Windows:
        return Windows(*(self.writers[name].table() for name in stage.OUTPUTS))


def run_stage(context: Context) -> Context:
    stage.STAGE.run(context)
    return context


@settings(max_examples=25)
@given(st.data(), tidy_streams(foreign=False))
def test_bronze_in_any_batches_gives_the_tables_of_one_engine(data, recs):
    parts = chunks(recs, data.draw(cuts(len(recs))))
    context = run_stage(Context(parts))
    wanted, engine = run_engine(recs, **OPTIONS)
    assert_same_bytes(context.windows(), wanted)
    assert context.counters == engine.counters()
    assert context.committed == list(stage.OUTPUTS)
    assert context.progress[-1] == (len(recs), len(recs))


def test_progress_is_told_within_a_large_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "RECORDS_PER_CALL", 2)
    recs = [rec(k, "A", BID, k, CENTRE, 1) for k in range(5)]
    assert run_stage(Context([recs])).progress == [(2, 5), (4, 5), (5, 5)]


def test_only_what_is_wanted_is_made() -> None:
    recs = [rec(0, "T", BID, 90, CENTRE, 1), rec(10, "A", BID, 1, CENTRE, 4)]
    context = run_stage(Context([recs], wanted=(stage.RADAR,)))
    assert context.committed == [stage.RADAR]
    assert context.writers[stage.RADAR].table().num_rows == 1


def test_a_session_limits_what_is_emitted_and_not_what_is_applied() -> None:
    recs = [rec(1000 * k, "T", BID, 90, CENTRE, 1 + k) for k in range(10)]
    context = run_stage(Context([recs], session="15:01-16:00@UTC"))
    assert context.windows().book_snapshot_1s.num_rows == 0
    later = [*recs, rec(61_000, "N", "N", 0, 0, 0)]
    rows = run_stage(Context([later], session="15:01-16:00@UTC")).windows().book_snapshot_1s
    assert rows["window_end_ts_ns"].to_pylist() == [BASE_NS + 61 * SECOND, BASE_NS + 62 * SECOND]
    assert rows["last_trade_price_int"].to_pylist() == [CENTRE] * 2
    assert context.counters["records"] == 10


def test_a_partition_of_several_instruments_is_refused_with_its_name() -> None:
    recs = [rec(0, "A", BID, 1, CENTRE, 1), rec(1, "A", BID, 2, CENTRE, 1)._replace(instrument_id=7)]
    with pytest.raises(LakeError, match=r"bronze.future_mbo.mbo ESH6 2026-01-06 holds records of several"):
        run_stage(Context([recs]))


@pytest.mark.parametrize("parts", [[], [[]]])
def test_a_partition_without_a_record_is_missing_data(parts: list[list[Rec]]) -> None:
    context = Context(parts)
    with pytest.raises(MissingDataError, match=r"ESH6 2026-01-06 holds no record, expected the day's MBO"):
        run_stage(context)
    assert context.committed == []


def test_the_transformation_alone_hands_over_blocks_in_order() -> None:
    recs = [rec(0, "N", "N", 0, 0, 0), rec(700_000, "N", "N", 0, 0, 0)]
    blocks = list(stage.compute_futures_surfaces_1s(BookEngine(INSTRUMENT_ID), [columns(recs)]))
    assert [block.book_snapshot_1s.num_rows for block in blocks] == [300, 299, 102]


def test_the_stage_declares_what_it_reads_and_writes() -> None:
    assert stage.STAGE.inputs == (stage.MBO,)
    assert set(stage.STAGE.optional_inputs) == {stage.DEFINITIONS, stage.STATUS}
    assert stage.STAGE.engine_pass, "its tables are accepted by readers only together"
    assert Path(stage.__file__).stem == "compute_futures_surfaces_1s", "the canonical name of spec 4"
