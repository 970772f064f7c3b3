"""Two minutes of a simulated day, made once for all workers, and a service over them."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_eng.lake import Lake
from serving.hud_streaming import HudCache, HudStreamService
from serving.local import LocalService
from serving.settings import load_settings
from serving.surfaces import SURFACES

SYMBOL, DT = "ESH6", "2026-01-06"


def _build(root: Path) -> None:
    from data_eng import pipeline
    from data_eng.params import RunParams
    from data_eng.raw_files import discover
    from simex import simulate

    raw = root / "sim"
    simulate(DT, "tiny", 7, raw, options=False)
    lake = Lake(root)
    assert pipeline.resolve_symbol(lake, DT, raw=lambda: discover(raw)) == SYMBOL
    pipeline.run(lake, DT, SYMBOL, RunParams(no_gex=True), raw=lambda: discover(raw))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Lake:
    """The lake of the preset `tiny`, futures part alone. Nobody writes to it."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    root = shared / "tiny-lake"
    with (shared / "tiny-lake.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / "built").exists():
            _build(root)
            (root / "built").touch()
    return Lake(root)


@pytest.fixture(scope="session")
def poor(tiny: Lake, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The same lake without what the service can do without: trades and options."""
    root = tmp_path_factory.mktemp("poor") / "lake"
    for layer in ("bronze", "silver", "gold"):
        shutil.copytree(tiny.root / layer, root / layer)
    lake = Lake(root)
    for surface in SURFACES.values():
        if not surface.required:
            lake.delete(surface.dataset, SYMBOL, DT)
    return lake


@pytest.fixture(scope="session")
def cache(tiny: Lake) -> HudCache:
    """The day, loaded."""
    return HudStreamService(tiny).load_cache(SYMBOL, DT)


@pytest.fixture(scope="module")
def poor_url(poor: Lake) -> Iterator[str]:
    """A service over the lake without trades and options."""
    with LocalService(load_settings(lake=poor.root, port=0, host="127.0.0.1")) as address:
        yield address


@pytest.fixture(scope="module")
def url(tiny: Lake) -> Iterator[str]:
    """A service with the default limits."""
    with LocalService(load_settings(lake=tiny.root, port=0, host="127.0.0.1")) as address:
        yield address
