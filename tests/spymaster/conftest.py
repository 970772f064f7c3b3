"""A raw folder and an ingested lake of one small synthetic day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from spymaster.cli import app
from spymaster.edge import run_app
from tests.dbn_samples import DT, definition, mbo_day, write_dbn


@dataclass(frozen=True)
class Answer:
    """Exit code and both streams of one command."""

    code: int
    out: str
    err: str


Command = Callable[..., Answer]


@pytest.fixture
def spymaster(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run one command line in this process."""
    for name in ("SPYMASTER_LAKE", "SPYMASTER_RAW"):
        monkeypatch.delenv(name, raising=False)

    def call(*tokens: Any) -> Answer:
        capsys.readouterr()
        try:
            code = run_app(app, [str(token) for token in tokens])
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        streams = capsys.readouterr()
        return Answer(code, streams.out, streams.err)

    return call


@pytest.fixture(scope="session")
def raw_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DBN files of ESH6 on 2026-01-06: MBO and definitions."""
    folder = tmp_path_factory.mktemp("raw")
    write_dbn(folder / "mbo.dbn.zst", mbo_day(dt=DT))
    write_dbn(folder / "definition.dbn.zst", [definition(dt=DT)], schema="definition")
    return folder
