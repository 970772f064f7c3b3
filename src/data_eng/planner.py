"""Which stages a request selects, and for each whether it is fresh, and if not, why (spec 8).

Laws. 1 A stage is fresh when every output is there with its size, in today's schema, made by the same
        code from the same inputs with the same parameters; everything else runs.
      2 Bronze without raw files to compare with is kept.
      3 A narrower session never replaces a wider partition unless forced; inputs of different sessions,
        or of different engine passes, are an error.
Reads manifests and the catalogue of raw files; changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from data_eng.code_version import code_version
from data_eng.errors import LakeError, MissingDataError, UsageError
from data_eng.params import RunParams, parse_dt, parse_symbol
from data_eng.schema import TABLES
from data_eng.sessions import parse_session
from data_eng.stage import (
    SELECTION,
    Reporter,
    Stage,
    earlier_raw_dt,
    input_place,
    input_records,
    partition_symbol,
)
from data_eng.stage_order import downstream, makers_of, sort_stages, stage_named

if TYPE_CHECKING:
    from data_eng.lake import Lake, Manifest

FRESH: Final = "fresh"
KEPT: Final = "kept, no raw files to compare with"
ABSENT: Final = "no raw files"

RawSource = Callable[[], Any]
"""called once, when the first stage needs raw files; returns the catalogue of `data_eng.raw_files`"""


@dataclass(frozen=True, kw_only=True)
class Request:
    """Which part of the pipeline a run is about, and what is recomputed although it is fresh.

    only: stage or table names. from_stage: that stage and everything downstream, recomputed.
    layers: stages of these layers (empty = all). force: recompute all that is selected; also lets a
    narrower session replace a wider one. force_layers: recompute stages of these layers.
    outputs: table names; recompute just these outputs of their engine pass and leave the others alone.
    """

    only: tuple[str, ...] = ()
    from_stage: str | None = None
    layers: tuple[str, ...] = ()
    force: bool = False
    force_layers: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlannedStage:
    """A selected stage: whether it is going to run, and the reason for either."""

    stage: Stage
    runs: bool
    reason: str


class Planner:
    """Answers, for one request on one lake: which stages, in which order, fresh or not and why."""

    def __init__(
        self,
        lake: Lake,
        dt: str,
        symbol: str,
        params: RunParams,
        request: Request,
        raw: RawSource | None,
        stages: Sequence[Stage],
    ) -> None:
        self.lake = lake
        self.dt = parse_dt(dt)
        self.symbol = parse_symbol(symbol)
        self.session = parse_session(params.session, self.dt)
        self.params = replace(params, session=self.session.text)
        self.request = request
        self._raw = raw
        self._catalogue: Any = None
        self._versions: dict[str, str] = {}
        self.makers = makers_of(stages)
        ordered = sort_stages(stages)
        self.forced = self._forced(ordered)
        self.selected = self._selected(ordered)

    def _selected(self, ordered: list[Stage]) -> list[Stage]:
        ask = self.request
        names = {stage.name for stage in ordered if SELECTION not in stage.outputs}  # see resolve_symbol
        if ask.only or ask.outputs:
            names = {stage_named(name, ordered).name for name in (*ask.only, *ask.outputs)}
        if ask.from_stage is not None:
            names &= downstream(ordered, stage_named(ask.from_stage, ordered).name)
        if ask.layers:
            names &= {stage.name for stage in ordered if stage.layer in ask.layers}
        return [stage for stage in ordered if stage.name in names]

    def _forced(self, ordered: list[Stage]) -> dict[str, str]:
        ask = self.request
        reasons: dict[str, str] = {}
        for stage in ordered:
            if stage.layer in ask.force_layers:
                reasons[stage.name] = f"{stage.layer} is always recomputed here"
        for name in ask.outputs:
            reasons[stage_named(name, ordered).name] = f"{name} is always recomputed here"
        if ask.from_stage is not None:
            first = stage_named(ask.from_stage, ordered).name
            reasons |= dict.fromkeys(downstream(ordered, first), f"--from-stage {first}")
        if ask.force:
            reasons |= {stage.name: "--force" for stage in ordered}
        return reasons

    def plan(self) -> list[PlannedStage]:
        """Planned stages; checks sessions and the presence of inputs that nothing here makes."""
        planned: list[PlannedStage] = []
        runs: set[str] = set()
        for stage in self.selected:
            reason: str | None
            after = sorted({self.makers[d].name for d in self._reads(stage) if d in self.makers} & runs)
            self._require_inputs(stage, will_be_made=runs)
            if after and not self._absent(stage):
                reason = self.forced.get(stage.name, f"checked again after {', '.join(after)}")
            else:
                reason = self.reason_to_run(stage)
            if reason == ABSENT:
                planned.append(PlannedStage(stage, False, ABSENT))
            elif reason is None:
                planned.append(PlannedStage(stage, False, self.why_fresh(stage)))
            else:
                runs.add(stage.name)
                self._refuse_narrower_session(stage)
                planned.append(PlannedStage(stage, True, reason))
        return planned

    def reason_to_run(self, stage: Stage) -> str | None:
        """Why the stage has to run, None when it is fresh, `ABSENT` when it may be left out."""
        files = self._raw_files(stage)
        if self._absent(stage):
            return ABSENT
        if stage.name in self.forced:
            if files == []:
                if self.request.force:
                    raise MissingDataError(self._no_raw_files(stage))
                return None
            return self.forced[stage.name]
        return self._difference(stage, files)

    def _absent(self, stage: Stage) -> bool:
        """Whether the stage is left out for want of raw files. `MissingDataError` where it must not be."""
        if self._raw_files(stage) != [] or self._outputs_present(stage):
            return False
        if stage.may_be_absent(self.params):
            return True
        raise MissingDataError(self._no_raw_files(stage))

    def difference(self, stage: Stage) -> str | None:
        """First difference between what the lake records and what a run would record, None when fresh.

        Forced recomputation and absent raw files do not count.
        """
        return self._difference(stage, self._raw_files(stage))

    def why_fresh(self, stage: Stage) -> str:
        """Word for a skipped stage: fresh, or kept because there is nothing to compare with."""
        return KEPT if self._raw_files(stage) == [] else FRESH

    def wanted(self, stage: Stage) -> tuple[str, ...]:
        """Outputs this run asks the stage for: all, or the part named in `Request.outputs`."""
        names = self.request.outputs
        part = tuple(d for d in stage.outputs if d in names or d.rsplit(".", 1)[1] in names)
        return part or stage.outputs

    def code_version(self, stage: Stage) -> str:
        """Code version of the stage, read once per run."""
        if stage.name not in self._versions:
            self._versions[stage.name] = stage_code_version(stage)
        return self._versions[stage.name]

    def catalogue(self) -> Any:
        """Catalogue of raw files, built when first needed."""
        if self._catalogue is None and self._raw is not None:
            self._catalogue = self._raw()
        return self._catalogue

    def check_inputs(self, stage: Stage) -> None:
        """Inputs exist, are of this run's session, and of one engine pass each (spec 2.3, 8)."""
        self._require_inputs(stage, will_be_made=set())
        passes: dict[str, dict[str, str]] = {}
        for dataset in self._reads(stage):
            place = self._input_place(stage, dataset)
            if place[2] != self.dt or not self.lake.has(*place):
                continue
            manifest = self.lake.manifest(*place)
            session = manifest.params.get("session")
            if session is not None and session != self.params.session:
                raise LakeError(
                    f"stage {stage.name}: {dataset} of {self.symbol} {self.dt} holds session {session},"
                    f" this run is about session {self.params.session}; inputs of different sessions"
                    f" do not mix; rerun: {self._command(self.makers[dataset].name, session=True)}"
                )
            maker = self.makers.get(dataset)
            if maker is not None and maker.engine_pass:
                passes.setdefault(maker.name, {})[dataset] = str(manifest.engine_run)
        for maker_name, hashes in passes.items():
            if len(set(hashes.values())) > 1:
                raise LakeError(
                    f"stage {stage.name}: {', '.join(sorted(hashes))} of {self.symbol} {self.dt} come from"
                    f" different passes of {maker_name}; rerun: {self._command(maker_name)} --force"
                )

    def warn_if_pass_is_mixed(self, stage: Stage, report: Reporter) -> None:
        """After a part of an engine pass was recomputed: say so when the other tables are of another pass."""
        if not stage.engine_pass:
            return
        present = [d for d in stage.outputs if self.lake.has(*self._place(d))]
        hashes = {d: self.lake.manifest(*self._place(d)).engine_run for d in present}
        if len(set(hashes.values())) > 1:
            new = self.wanted(stage)
            others = sorted(d.rsplit(".", 1)[1] for d in hashes if d not in new)
            report.warn(
                f"{', '.join(others)} of {self.symbol} {self.dt} are of another pass of {stage.name}"
                " than what was just written, and readers accept them only together;"
                f" rerun: {self._command(stage.name)}"
            )

    def _reads(self, stage: Stage) -> tuple[str, ...]:
        return (*stage.inputs, *stage.optional_inputs)

    def _place(self, dataset: str) -> tuple[str, str, str]:
        return dataset, partition_symbol(dataset, self.symbol), self.dt

    def _input_place(self, stage: Stage, dataset: str) -> tuple[str, str, str]:
        return input_place(self.lake, stage, dataset, self.symbol, self.dt, self.params)

    def _outputs_present(self, stage: Stage) -> bool:
        return all(self.lake.has(*self._place(dataset)) for dataset in self.wanted(stage))

    def _raw_files(self, stage: Stage) -> list[dict[str, str]] | None:
        """Name and sha256 of the raw files of this stage and date; None for stages without raw input."""
        if not stage.raw:
            return None
        catalogue = self.catalogue()
        if catalogue is None:
            return []
        files = [dict(record) for schema in stage.raw for record in catalogue.identity(schema, self.dt)]
        return sorted(files, key=lambda record: record["name"])

    def _earlier_files(self, stage: Stage) -> list[dict[str, str]] | None:
        """The same for raw files of an earlier date; None when there is nothing to compare with."""
        catalogue = self.catalogue() if stage.earlier_raw else None
        if catalogue is None:
            return None
        before = earlier_raw_dt(stage, self.lake, catalogue, self.symbol, self.dt)
        if before is None:
            return []
        return [dict(r) for schema in stage.earlier_raw for r in catalogue.identity(schema, before)]

    def _difference(self, stage: Stage, files: list[dict[str, str]] | None) -> str | None:
        """First difference between what is recorded and what a run would record now."""
        manifests: list[Manifest] = []
        for dataset in self.wanted(stage):
            if not self.lake.has(*self._place(dataset)):
                return f"{dataset} is not there or not whole"
            manifests.append(self.lake.manifest(*self._place(dataset)))
        if files == []:
            return None  # bronze without raw files: kept
        earlier_files = self._earlier_files(stage)
        if earlier_files is not None:
            files = [*(files or []), *earlier_files]
        inputs = input_records(self.lake, stage, self.symbol, self.dt, self.params)
        chosen = self.params.chosen(stage.params)
        for m in manifests:
            recorded_inputs = [r for r in m.inputs if "dataset" in r]
            recorded_files = [r for r in m.inputs if "dataset" not in r]
            if m.dataset in TABLES and m.schema_hash != TABLES[m.dataset].schema_hash:
                return f"{m.dataset} has another schema"
            if m.stage != stage.name or m.code_version != self.code_version(stage):
                return "the code changed"
            changed = [name for name, value in chosen.items() if m.params.get(name) != value]
            if changed:
                was = ", ".join(f"{name} was {m.params.get(name)!r}" for name in changed)
                return f"parameters changed: {was}"
            if _by_name(recorded_inputs) != _by_name(inputs):
                return "inputs changed"
            if files is not None and _by_name(recorded_files) != _by_name(files):
                return "raw files changed"
        if stage.engine_pass and len({m.engine_run for m in manifests}) > 1:
            return "its tables are of different passes"
        return None

    def _require_inputs(self, stage: Stage, will_be_made: set[str]) -> None:
        for dataset in stage.inputs:
            if dataset not in stage.input_dt and self.makers[dataset].name in will_be_made:
                continue
            _, symbol, dt = place = self._input_place(stage, dataset)
            if (dt == self.dt and self.makers[dataset].name in will_be_made) or self.lake.has(*place):
                continue
            raise MissingDataError(
                f"stage {stage.name} needs {dataset} of {symbol} {dt}, which is not in {self.lake.root};"
                f" build it: {self._command(self.makers[dataset].name, dt=dt)}"
            )

    def _refuse_narrower_session(self, stage: Stage) -> None:
        if "session" not in stage.params or self.request.force:
            return
        for dataset in self.wanted(stage):
            if not self.lake.has(*self._place(dataset)):
                continue
            manifest = self.lake.manifest(*self._place(dataset))
            held = parse_session(str(manifest.params.get("session", "full")), self.dt)
            if held.covers(self.session) and not self.session.covers(held):
                raise UsageError(
                    f"{dataset} of {self.symbol} {self.dt} holds session {held.text};"
                    f" --session {self.session.text} would replace it by less;"
                    " use another --lake, or --force"
                )

    def _no_raw_files(self, stage: Stage) -> str:
        """Why the stage cannot run, what was found instead, and every way out."""
        catalogue = self.catalogue()
        schema = next(
            (s for s in stage.raw if not catalogue or not catalogue.identity(s, self.dt)), stage.raw[0]
        )
        if catalogue is None:
            found = f"no DBN files of schema {schema} for {self.dt}: none were named; use --raw"
        else:
            found = str(catalogue.missing_text(schema, self.dt))
        without = stage.may_be_absent(replace(self.params, no_gex=True))
        return f"stage {stage.name} of {self.symbol}: {found}" + (
            "; or add --no-gex to do without" if without else ""
        )

    def _command(self, only: str, *, session: bool = False, dt: str = "") -> str:
        chosen = f" --session {self.params.session}" if session and self.params.session != "full" else ""
        lake = "" if str(self.lake.root) == "lake" else f" --lake {self.lake.root}"
        return f"spymaster run --dt {dt or self.dt} --symbol {self.symbol} --only {only}{chosen}{lake}"


def stage_code_version(stage: Stage) -> str:
    """Hash of the code that makes the outputs of `stage` (see `data_eng.code_version`)."""
    return code_version([stage.run.__module__, *stage.sources])


def _by_name(records: Iterable[Mapping[str, Any]]) -> list[tuple[tuple[str, Any], ...]]:
    return sorted(tuple(sorted(record.items())) for record in records)
