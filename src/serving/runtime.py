"""What all handlers share: settings, loaded days, threads, limits and the stop signal. No socket here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from data_eng.errors import MissingDataError, SpymasterError
from data_eng.lake import Lake
from serving import catalogue
from serving.hud_streaming import HudCache, HudStreamService
from serving.metrics import Metrics
from serving.problems import Problem
from serving.security import ClientCount, Gate, Tokens
from serving.settings import Settings
from serving.surfaces import SURFACES

Result = TypeVar("Result")
log: Final = logging.getLogger("spymaster.serving")
THREADS: Final = 4
FRESH_NS: Final = 2_000_000_000
"""how long the lake is believed to be unchanged"""


def package_version() -> str:
    """Version of the installed distribution."""
    try:
        return version("spymaster")
    except PackageNotFoundError:
        return "unknown"


class Clock:
    """The monotonic clock of the machine. Tests put another in its place."""

    def now_ns(self) -> int:
        """Monotonic time, ns."""
        return time.monotonic_ns()

    async def wait(self, event: asyncio.Event, until_ns: int) -> None:
        """Return when the event is set, or at `until_ns`."""
        left_s = (until_ns - self.now_ns()) / 1e9
        if left_s <= 0:
            await asyncio.sleep(0)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left_s):
                await event.wait()


class Runtime:
    """State of one running service. Made outside the event loop, used inside one."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        settings.require_safe()
        self.settings = settings
        self.clock = clock or Clock()
        self.lake = Lake(settings.lake)
        self.service = HudStreamService(
            self.lake,
            block_bytes=settings.block_cache_bytes,
            message_bytes=settings.message_cache_bytes,
            ring_windows=settings.ring_windows,
        )
        self.metrics = Metrics()
        self.gate = Gate(
            frozenset(origin.lower() for origin in settings.origin),
            _exposed_hosts(settings) if settings.expose else None,
            secure=settings.is_https,
        )
        self.tokens = Tokens(settings.tokens())
        self.clients = ClientCount(settings.max_clients, settings.max_clients_per_address)
        self.requests = asyncio.Semaphore(settings.max_requests)
        self.version = package_version()
        self.stopping = asyncio.Event()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="serving")
        self._days: OrderedDict[tuple[str, str], tuple[HudCache, int]] = OrderedDict()
        self._loading: dict[tuple[str, str], asyncio.Task[HudCache]] = {}
        self._catalogue: tuple[dict[str, Any], int] | None = None

    def wall_ns(self) -> int:
        """Time of day, UTC ns, for heartbeats."""
        return time.time_ns()

    async def in_thread(self, work: Callable[..., Result], *args: Any) -> Result:
        """The result of blocking work, done beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)

    def load_default(self) -> HudCache:
        """Load the day served by default, before the service answers. Blocks.

        Raises `MissingDataError` or `LakeError`, with the command that builds what is missing.
        """
        symbol, dt = self.require_default()
        cache = self.service.load_cache(symbol, dt)
        self._keep(cache)
        return cache

    def require_default(self) -> tuple[str, str]:
        """(symbol, dt) served by default. Raises `MissingDataError` when the lake has no such day."""
        asked = (self.settings.symbol, self.settings.dt)
        found = catalogue.default_day(catalogue.days(self.lake), *asked)
        if found is not None:
            return found
        if None not in asked:
            self.lake.manifest(SURFACES["hud"].dataset, str(asked[0]), str(asked[1]))
        what = " ".join(word for word in asked if word) or "any day"
        raise MissingDataError(
            f"the lake {self.lake.root} has no picture ({SURFACES['hud'].dataset}) of {what}; make one:"
            f" spymaster run --dt YYYY-MM-DD --lake {self.lake.root}, or spymaster demo"
        )

    async def catalogue(self) -> dict[str, Any]:
        """The catalogue, at most 2 s old."""
        now = self.clock.now_ns()
        if self._catalogue is None or now - self._catalogue[1] > FRESH_NS:
            document = await self.in_thread(catalogue.catalogue, self.lake, self.settings, self.version)
            self._catalogue = (document, now)
        return self._catalogue[0]

    async def day(self, symbol: str | None, dt: str | None) -> HudCache:
        """The day a request names, or the default one; loaded when it is not.

        Raises `Problem` 404 for a day that the catalogue does not have, 503 when it cannot be read.
        """
        if symbol is None or dt is None:
            found = [(d["symbol"], d["dt"]) for d in (await self.catalogue())["days"]]
            chosen = catalogue.default_day(
                found, symbol or self.settings.symbol, dt or self.settings.dt
            ) or catalogue.default_day(found, symbol, dt)
            if chosen is None:
                raise Problem(404, "unknown_day", "the lake has no such day; see /v1/catalog")
            symbol, dt = chosen
        key = (symbol, dt)
        held = self._days.get(key)
        if held is not None and self.clock.now_ns() - held[1] <= FRESH_NS:
            self._days.move_to_end(key)
            return held[0]
        if held is None and not any((d["symbol"], d["dt"]) == key for d in (await self.catalogue())["days"]):
            raise Problem(404, "unknown_day", f"the lake has no picture of {symbol} {dt}; see /v1/catalog")
        task = self._loading.get(key)
        if task is None:
            task = asyncio.create_task(self._load(key))
            self._loading[key] = task
            task.add_done_callback(lambda _: self._loading.pop(key, None))
        try:
            cache = await asyncio.shield(task)
        except SpymasterError as error:
            if held is not None:
                log.warning("%s %s is being replaced, the loaded version is served: %s", symbol, dt, error)
                self._days[key] = (held[0], self.clock.now_ns())
                return held[0]
            raise self.internal(error, 503, "not_readable", "this day cannot be read now") from error
        self._keep(cache)
        return cache

    async def _load(self, key: tuple[str, str]) -> HudCache:
        return await self.in_thread(self.service.load_cache, *key)

    def _keep(self, cache: HudCache) -> None:
        key = (cache.symbol, cache.dt)
        self._days[key] = (cache, self.clock.now_ns())
        self._days.move_to_end(key)
        self.metrics.loaded(cache)
        while len(self._days) > self.settings.loaded_days:
            oldest, _ = self._days.popitem(last=False)
            self.service.drop_cache(*oldest)

    async def messages(self, cache: HudCache, seq: int, surfaces: Sequence[str]) -> list[bytes]:
        """Binary messages of one window, in the order of `surfaces`."""

        def encode() -> list[bytes]:
            return [cache.message(seq, name) for name in surfaces]

        if cache.is_ready(seq, surfaces):
            return encode()
        return await self.in_thread(encode)

    def internal(self, error: BaseException, status: int, code: str, text: str) -> Problem:
        """A refusal whose reason goes to the log under an id, and not to the client."""
        number = secrets.token_hex(6)
        log.error(
            "error %s: %s", number, error, exc_info=None if isinstance(error, SpymasterError) else error
        )
        return Problem(status, code, f"{text}; the log tells more under id {number}")

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _exposed_hosts(settings: Settings) -> frozenset[str]:
    """Names the exposed service answers to: those of its pages, and the address it binds."""
    names = {urlsplit(origin).hostname or "" for origin in settings.origin}
    return frozenset(names | {settings.host.lower()})


def require_surfaces(cache: HudCache, names: Sequence[str]) -> None:
    """Raises `Problem` 404 for a surface that this day does not have."""
    for name in names:
        if name not in cache.surfaces:
            raise Problem(404, "no_data", catalogue.absent(SURFACES[name], cache.symbol, cache.dt))
