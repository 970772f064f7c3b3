"""The order of stages, from what they declare to read and to make (spec 8).

Layers are storage classes, not an order: wall (silver) -> calibration (gold) -> vacuum (silver).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter

from data_eng.errors import UsageError
from data_eng.stage import Stage, StageError


def sort_stages(stages: Iterable[Stage]) -> list[Stage]:
    """`stages` in an order in which every input is made before it is read; ties keep the given order.

    Raises `StageError` for a name or an output declared twice, an input no stage makes, or a cycle.
    """
    given = list(stages)
    by_name = {stage.name: stage for stage in given}
    if len(by_name) != len(given):
        raise StageError(f"two stages share a name: {sorted(s.name for s in given)}")
    makers = makers_of(given)
    graph: dict[str, set[str]] = {}
    for stage in given:
        for dataset in stage.inputs:
            if dataset not in makers:
                raise StageError(f"stage {stage.name} reads {dataset}, which no stage makes")
        reads = (*stage.inputs, *stage.optional_inputs)
        graph[stage.name] = {makers[dataset].name for dataset in reads if dataset in makers}
    sorter = TopologicalSorter(graph)
    try:
        sorter.prepare()
    except CycleError as error:
        raise StageError(f"stages wait for each other: {' -> '.join(error.args[1])}") from None
    rank = {stage.name: place for place, stage in enumerate(given)}
    ready: list[str] = []
    order: list[Stage] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()], key=rank.__getitem__)
        name = ready.pop(0)
        order.append(by_name[name])
        sorter.done(name)
    return order


def downstream(stages: Sequence[Stage], name: str) -> set[str]:
    """Names of the stage `name` and of all stages that read its outputs, directly or through others."""
    reached = {name}
    for stage in sort_stages(stages):
        fed_by = {s.name for s in stages if set(s.outputs) & {*stage.inputs, *stage.optional_inputs}}
        if fed_by & reached:
            reached.add(stage.name)
    return reached


def stage_named(name: str, stages: Sequence[Stage]) -> Stage:
    """The stage of that name, or the one that makes the table of that (short or full) name.

    Raises `UsageError` with near matches.
    """
    known: dict[str, Stage] = {}
    for stage in stages:
        for dataset in stage.outputs:
            known[dataset] = stage
            known[dataset.rsplit(".", 1)[1]] = stage
    known |= {stage.name: stage for stage in stages}
    if name in known:
        return known[name]
    near = get_close_matches(name, known, n=3) or sorted(stage.name for stage in stages)
    raise UsageError(f"no stage or table is called {name!r}; did you mean {', '.join(near)}?")


def makers_of(stages: Iterable[Stage]) -> dict[str, Stage]:
    """The stage that makes each dataset; `StageError` when two make the same."""
    makers: dict[str, Stage] = {}
    for stage in stages:
        for dataset in stage.outputs:
            if dataset in makers:
                raise StageError(f"{dataset} is made by {makers[dataset].name} and by {stage.name}")
            makers[dataset] = stage
    return makers
