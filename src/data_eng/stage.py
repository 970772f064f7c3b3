"""One pipeline stage: what it needs, what it makes, and the room it works in (spec 8, design 2).

A stage module declares one `STAGE` and one public function that turns data into data. The runner
(`data_eng.pipeline`) owns symbol, date, order and freshness; the stage sees them only through a
`StageContext`, which lets it read its declared inputs, write its declared outputs, and nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from data_eng.errors import LakeError, SpymasterError
from data_eng.params import PARAM_NAMES, RunParams, root_of

if TYPE_CHECKING:
    import pyarrow as pa

    from data_eng.lake import Lake, Manifest, PartitionWriter

SELECTION: Final = "bronze.shared.mbo_contract_day_selection"
"""the one dataset whose partition symbol is the root (ES), not the contract (ESH6)"""


class StageError(SpymasterError):
    """A stage breaks its own declaration, or the declared stages do not fit together."""


class Reporter(Protocol):
    """Where a run tells how far it is. The edge decides whether that is a bar or a log line."""

    def stage_start(self, name: str) -> None:
        """A stage begins."""

    def advance(self, name: str, done: int, total: int | None, unit: str) -> None:
        """`done` of `total` (None = unknown) units, for example records or windows, are finished."""

    def stage_end(self, name: str, rows: int, secs: float) -> None:
        """A stage has committed `rows` rows after `secs` seconds."""

    def stage_skip(self, name: str, reason: str) -> None:
        """A stage does not run, and why: ``fresh``, or what is absent."""

    def note(self, text: str) -> None:
        """Something worth knowing that is no problem."""

    def warn(self, text: str) -> None:
        """Something the user should look at; the run goes on."""


class SilentReporter:
    """Reporter that keeps notes and warnings and shows nothing: for calls from Python and tests."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []

    def stage_start(self, name: str) -> None:
        """Nothing to show."""

    def advance(self, name: str, done: int, total: int | None, unit: str) -> None:
        """Nothing to show."""

    def stage_end(self, name: str, rows: int, secs: float) -> None:
        """Nothing to show."""

    def stage_skip(self, name: str, reason: str) -> None:
        """Nothing to show."""

    def note(self, text: str) -> None:
        """Keep the note."""
        self.notes.append(text)

    def warn(self, text: str) -> None:
        """Keep the warning."""
        self.warnings.append(text)


EARLIER_DAYS: Final = 7
"""how far back an earlier date is looked for: further than any pause of the exchange"""

InputDt = Callable[["Lake", str, str, RunParams], str]
"""(lake, symbol, dt of the run, params) -> date of the partition to read; raises `MissingDataError`"""


def _never(_: RunParams) -> bool:
    return False


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Declaration of one transformation.

    name: unique, as shown in progress lines and accepted by ``--only`` and ``--from-stage``.
    inputs, optional_inputs, outputs: dataset keys; an optional input is used when its partition exists.
    raw: DBN schemas read from raw files (``("definition",)``); their names and sha256 enter freshness.
    params: names of `RunParams` fields that change the result; they enter freshness and the manifest.
    sources: extra modules for the code version that no import shows (data or plug-ins, rarely needed);
        the module of `run` and every data_eng module it imports are always included.
    engine_pass: the outputs come from one engine pass and are accepted by readers only together.
    may_be_absent(params): True when missing raw files just skip the stage instead of stopping the run.
    earlier: datasets of which the partition of the latest earlier date (within `EARLIER_DAYS`) is read too,
    when
        the lake has one; earlier_raw: DBN schemas whose raw files of such a date do instead, when it has
        none.
    input_dt: for inputs that may be of another date than the run (a calibration), how to find that date.
    """

    name: str
    outputs: tuple[str, ...]
    run: Callable[[StageContext], None]
    inputs: tuple[str, ...] = ()
    optional_inputs: tuple[str, ...] = ()
    raw: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()
    earlier_raw: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    engine_pass: bool = False
    may_be_absent: Callable[[RunParams], bool] = _never
    input_dt: Mapping[str, InputDt] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.params) - PARAM_NAMES)
        if unknown:
            raise StageError(
                f"stage {self.name}: {unknown} are no run parameters, expected {sorted(PARAM_NAMES)}"
            )
        if not self.outputs:
            raise StageError(f"stage {self.name} declares no outputs")
        both = sorted(set(self.outputs) & {*self.inputs, *self.optional_inputs})
        if both:
            raise StageError(f"stage {self.name} declares {both} as input and as output")

    @property
    def layer(self) -> str:
        """Layer of the outputs: ``bronze``, ``silver`` or ``gold``."""
        return self.outputs[0].split(".", 1)[0]

    @property
    def doc(self) -> str:
        """First line of the stage module's docstring."""
        import sys

        text = sys.modules[self.run.__module__].__doc__ or ""
        return text.strip().split("\n", 1)[0]


def partition_symbol(dataset: str, symbol: str) -> str:
    """Symbol that `dataset` is partitioned by when the run is about contract `symbol`."""
    return root_of(symbol) if dataset == SELECTION else symbol


def input_place(
    lake: Lake, stage: Stage, dataset: str, symbol: str, dt: str, params: RunParams
) -> tuple[str, str, str]:
    """(dataset, symbol, dt) of the partition that `stage` reads for that input."""
    find_dt = stage.input_dt.get(dataset)
    where = partition_symbol(dataset, symbol)
    return dataset, where, dt if find_dt is None else find_dt(lake, where, dt, params)


def earlier_dt(lake: Lake, dataset: str, symbol: str, dt: str) -> str | None:
    """Latest date before `dt`, within `EARLIER_DAYS`, of which the lake holds the dataset."""
    days = [date.fromisoformat(dt) - timedelta(days=back) for back in range(1, EARLIER_DAYS + 1)]
    where = partition_symbol(dataset, symbol)
    return next((d.isoformat() for d in days if lake.has(dataset, where, d.isoformat())), None)


def earlier_raw_dt(stage: Stage, lake: Lake, catalogue: Any, symbol: str, dt: str) -> str | None:
    """Date of the raw files that stand in for an earlier partition; None when the lake or nobody has one."""
    if catalogue is None or not stage.earlier_raw:
        return None
    if any(earlier_dt(lake, dataset, symbol, dt) for dataset in stage.earlier):
        return None
    found: str | None = catalogue.latest_before(stage.earlier_raw[0], dt, EARLIER_DAYS)
    return found


def input_records(lake: Lake, stage: Stage, symbol: str, dt: str, params: RunParams) -> list[dict[str, str]]:
    """Inputs of `stage` as a manifest records them: dataset, symbol, dt and hash of each partition.

    Raises `MissingDataError` when a required input has no partition; optional inputs may lack.
    """
    records = []
    for dataset in (*stage.inputs, *stage.optional_inputs):
        place = input_place(lake, stage, dataset, symbol, dt, params)
        if dataset in stage.optional_inputs and not lake.has(*place):
            continue
        sha256 = lake.manifest(*place).sha256
        records.append({"dataset": dataset, "symbol": place[1], "dt": place[2], "manifest_sha256": sha256})
    for dataset in stage.earlier:
        before = earlier_dt(lake, dataset, symbol, dt)
        if before is not None:
            where = partition_symbol(dataset, symbol)
            sha256 = lake.manifest(dataset, where, before).sha256
            records.append({"dataset": dataset, "symbol": where, "dt": before, "manifest_sha256": sha256})
    return sorted(records, key=lambda record: (record["dataset"], record["dt"]))


def engine_run_hash(
    stage: Stage,
    symbol: str,
    dt: str,
    inputs: Sequence[Mapping[str, str]],
    params: RunParams,
    code_version: str,
) -> str:
    """sha256 that names one engine pass: same inputs, parameters and code give the same name."""
    identity = {
        "stage": stage.name,
        "symbol": symbol,
        "dt": dt,
        "inputs": [dict(record) for record in inputs],
        "params": params.chosen(stage.params),
        "code_version": code_version,
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class InputSource:
    """A partition that can be pickled and read in another process: (dataset, symbol, dt) of a lake."""

    lake: Lake
    place: tuple[str, str, str]

    def iter_batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """One batch per row group, in file order."""
        return self.lake.iter_batches(*self.place, columns=columns)


@dataclass
class StageContext:
    """What a stage may touch while it runs.

    `raw` is the catalogue of raw files (None for stages that read none); `wanted` are the outputs this
    run asks for, normally all of them: an engine pass may be asked for a part (see `wants`).
    """

    stage: Stage
    lake: Lake
    symbol: str
    dt: str
    params: RunParams
    code_version: str
    report: Reporter
    raw: Any = None
    wanted: frozenset[str] = frozenset()
    rows: int = field(default=0, init=False)
    committed: list[str] = field(default_factory=list, init=False)
    inputs: list[dict[str, str]] = field(init=False)

    def __post_init__(self) -> None:
        self.inputs = self._input_records()

    def wants(self, dataset: str) -> bool:
        """Whether this run asks for that output of the stage."""
        return dataset in (self.wanted or self.stage.outputs)

    def has(self, dataset: str) -> bool:
        """Whether a declared (optional) input has a valid partition."""
        return self.lake.has(*self._input(dataset))

    def manifest(self, dataset: str) -> Manifest:
        """Manifest of a declared input."""
        return self.lake.manifest(*self._input(dataset))

    def read(self, dataset: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Whole declared input as a table: for narrow tables only."""
        return self.lake.read(*self._input(dataset), columns=columns)

    def iter_batches(self, dataset: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Declared input, one batch per row group, in file order."""
        return self.lake.iter_batches(*self._input(dataset), columns=columns)

    def source(self, dataset: str) -> InputSource:
        """Declared input as something that another process can open."""
        return InputSource(self.lake, self._input(dataset))

    def read_earlier(self, dataset: str) -> pa.Table | None:
        """Partition of the latest earlier date of a dataset declared in ``earlier``; None when there is
        none."""
        if dataset not in self.stage.earlier:
            raise StageError(f"stage {self.stage.name} reads an earlier {dataset}, which it does not declare")
        before = earlier_dt(self.lake, dataset, self.symbol, self.dt)
        where = partition_symbol(dataset, self.symbol)
        return None if before is None else self.lake.read(dataset, where, before)

    @property
    def earlier_raw_dt(self) -> str | None:
        """Date of the raw files of ``earlier_raw`` that stand in for an earlier partition."""
        return earlier_raw_dt(self.stage, self.lake, self.raw, self.symbol, self.dt)

    def writer(self, dataset: str) -> PartitionWriter:
        """Writer of a declared output; a context manager whose exit without commit leaves no trace."""
        if dataset not in self.stage.outputs:
            raise StageError(f"stage {self.stage.name} writes {dataset}, which it does not declare as output")
        return self.lake.writer(dataset, partition_symbol(dataset, self.symbol), self.dt)

    def advance(self, done: int, total: int | None = None, unit: str = "records") -> None:
        """Report progress of this stage."""
        self.report.advance(self.stage.name, done, total, unit)

    @property
    def engine_run(self) -> str:
        """Hash that all tables of this pass carry; the same inputs, parameters and code give the same."""
        return engine_run_hash(self.stage, self.symbol, self.dt, self.inputs, self.params, self.code_version)

    def commit(
        self,
        *writers: PartitionWriter,
        counters: Mapping[str, int] | None = None,
        warnings: Sequence[str] = (),
        engine_run: str | None = None,
        calibration: Mapping[str, str] | None = None,
        raw_inputs: Sequence[Mapping[str, str]] = (),
        origin: str | None = None,
        verified: bool | None = None,
        extra_params: Mapping[str, Any] | None = None,
    ) -> list[Manifest]:
        """Finish the writers, write their manifests and swap all of them into place together.

        Inputs with their manifest hashes, parameters and code version are filled in here. `raw_inputs`
        are ``{"name", "sha256"}`` of raw files. `origin` and `verified` come from the inputs: one
        simulated input makes the output simulated, one unverified input makes it unverified; a stage
        that reads raw files passes what it learned from them. `engine_run` is filled in for stages
        declared with ``engine_pass``.

        Raises `LakeError` as the lake does, also when simulated would replace recorded data (spec 2.2),
        and when an input was replaced since the stage began.
        """
        inputs = self._input_records()
        if inputs != self.inputs:
            raise LakeError(
                f"stage {self.stage.name} of {self.symbol} {self.dt}: an input was replaced by another"
                " process while it was being read, so nothing was written; run the same command again"
            )
        manifests = [self.lake.manifest(r["dataset"], r["symbol"], r["dt"]) for r in inputs]
        origins = {m.origin for m in manifests} | ({origin} if origin else set())
        final_origin = "simulated" if "simulated" in origins else "recorded"
        final_verified = all(m.verified for m in manifests) and verified is not False
        if self.stage.engine_pass and engine_run is None:
            engine_run = self.engine_run
        params = {**self.params.chosen(self.stage.params), **(extra_params or {})}
        sessions = {m.params["session"] for m in manifests if m.dt == self.dt and "session" in m.params}
        if len(sessions) == 1:  # what inputs limited, their products limit too
            params.setdefault("session", sessions.pop())
        finished = [
            writer.finish(
                stage=self.stage.name,
                origin=final_origin,
                verified=final_verified,
                code_version=self.code_version,
                engine_run=engine_run,
                inputs=[*inputs, *(dict(record) for record in raw_inputs)],
                params=params,
                counters=dict(counters or {}),
                calibration=dict(calibration) if calibration else None,
                warnings=list(warnings),
            )
            for writer in writers
        ]
        self.lake.commit_together(list(writers))
        self.rows += sum(m.row_count for m in finished)
        self.committed += [m.dataset for m in finished]
        return finished

    def _input_records(self) -> list[dict[str, str]]:
        return input_records(self.lake, self.stage, self.symbol, self.dt, self.params)

    def _input(self, dataset: str) -> tuple[str, str, str]:
        if dataset not in self.stage.inputs and dataset not in self.stage.optional_inputs:
            raise StageError(f"stage {self.stage.name} reads {dataset}, which it does not declare as input")
        return input_place(self.lake, self.stage, dataset, self.symbol, self.dt, self.params)
