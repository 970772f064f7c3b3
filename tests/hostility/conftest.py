"""One warm fork server for all hostility tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hostility.runner import Runner


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """Runs command lines in children of a process that has everything loaded."""
    with Runner(tmp_path_factory.mktemp("warm")) as started:
        yield started
