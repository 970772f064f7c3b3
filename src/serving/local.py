"""A service in a thread of this process: for checks, notebooks and tests.

with LocalService(load_settings(lake=Path("lake"), port=0)) as url:
    Client(url).catalog()
"""

from __future__ import annotations

import asyncio
import threading
import time
from types import TracebackType
from typing import Final

from data_eng.errors import SpymasterError
from serving.app import Service
from serving.runtime import Clock
from serving.settings import Settings

START_S: Final = 30.0
STOP_S: Final = 30.0


class LocalService:
    """Loads, serves from `__enter__` to `__exit__`, and closes every client with 1001 at the end.

    Raises as `Service.load`, and `SpymasterError` when the server does not start or stop in time.
    """

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self.service = Service(settings, clock)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="local-service", daemon=True)
        self._error: BaseException | None = None

    def __enter__(self) -> str:
        """The URL."""
        self.service.load()
        url = self.service.bind()
        self._thread.start()
        end_s = time.monotonic() + START_S
        while not self.service.started:
            if self._error is not None or time.monotonic() > end_s:
                raise SpymasterError(f"the local service did not start: {self._error or 'no answer in time'}")
            time.sleep(0.01)
        return url

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop the service and wait for its end."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self.service.stop)
        self._thread.join(STOP_S)
        if self._thread.is_alive():
            raise SpymasterError("the local service did not stop in time")

    def _run(self) -> None:
        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            await self.service.serve()

        try:
            asyncio.run(serve())
        except BaseException as error:
            self._error = error
            raise
