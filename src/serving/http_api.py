"""The HTTP half of the service (spec 9.3): parse, look up, encode. Work that blocks is done in threads."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import pyarrow as pa
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from data_eng.errors import SpymasterError
from data_eng.units import DAY_NS, HUD_HISTORY_WINDOWS, WINDOW_NS
from serving import asyncapi, explain, levels, openapi, profile, wire
from serving.day import day_rows
from serving.hud_streaming import HudCache, SizedCache
from serving.metrics import CONTENT_TYPE
from serving.negotiation import accepts, choose_encoding, compress, entity_tag, matches
from serving.problems import PROBLEM_MEDIA_TYPE, Problem
from serving.queries import Query, day_range, known_surface
from serving.runtime import Runtime, require_surfaces

CHUNK_BYTES: Final = 256 << 10
"""an answer goes out in pieces, so that a slow reader holds one and not a copy of all"""
JSON_MEDIA_TYPE: Final = "application/json"
PROFILE_REACH_NS: Final = 366 * DAY_NS
"""further away no trade date can belong to the day; calendars end with the years of int64 nanoseconds"""
_Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Answer:
    """A body, with what HTTP says about it."""

    body: bytes
    media_type: str
    headers: Mapping[str, str]


class Api:
    """Handlers of all endpoints but the stream."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._answers = SizedCache(runtime.settings.answer_cache_bytes)

    def routes(self) -> list[Route]:
        """Endpoints, by path."""
        get, post = ["GET"], ["POST"]
        return [
            Route("/healthz", self._guarded("healthz", self.healthz, open_to_all=True), methods=get),
            Route("/readyz", self._guarded("readyz", self.readyz, open_to_all=True), methods=get),
            Route("/metrics", self._guarded("metrics", self.metrics), methods=get),
            Route("/v1/openapi.json", self._guarded("openapi", self.openapi), methods=get),
            Route("/v1/asyncapi.json", self._guarded("asyncapi", self.asyncapi), methods=get),
            Route("/v1/catalog", self._guarded("catalog", self.catalog), methods=get),
            Route("/v1/hud/bootstrap", self._guarded("bootstrap", self.bootstrap), methods=get),
            Route("/v1/surfaces/{surface:path}", self._guarded("surfaces", self.surfaces), methods=get),
            Route("/v1/hud/day", self._guarded("day", self.day), methods=get),
            Route("/v1/hud/profile", self._guarded("profile", self.profile), methods=get),
            Route("/v1/levels", self._guarded("levels", self.levels), methods=get),
            Route("/v1/explain", self._guarded("explain", self.explain), methods=get),
            Route("/v1/ticket", self._guarded("ticket", self.ticket), methods=post),
            Route("/v1/ticket", _only_by_post, methods=get),
        ]

    # ---- endpoints

    async def healthz(self, request: Request) -> Response:
        """200 while the process lives."""
        Query(request.scope["query_string"], ())
        return _json({"status": "ok", "version": self.runtime.version})

    async def readyz(self, request: Request) -> Response:
        """200 when the default day is loaded and can be read, else 503."""
        Query(request.scope["query_string"], ())
        if self.runtime.stopping.is_set():
            raise Problem(503, "stopping", "the service stops")
        try:
            cache = await self.runtime.day(None, None)
        except Problem as problem:
            raise Problem(503, problem.code, problem.detail) from None
        return _json({"status": "ready", "symbol": cache.symbol, "dt": cache.dt, "epoch": cache.epoch})

    async def metrics(self, request: Request) -> Response:
        """Prometheus text."""
        Query(request.scope["query_string"], ())
        return Response(self.runtime.metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    async def openapi(self, request: Request) -> Response:
        """The description of this half."""
        return await self._document(request, openapi.openapi(self.runtime.version))

    async def asyncapi(self, request: Request) -> Response:
        """The description of the stream."""
        return await self._document(request, asyncapi.asyncapi(self.runtime.version))

    async def _document(self, request: Request, document: Any) -> Response:
        Query(request.scope["query_string"], ())
        body = json.dumps(document).encode()
        return await self._send(request, entity_tag(body), lambda: Answer(body, JSON_MEDIA_TYPE, {}))

    async def catalog(self, request: Request) -> Response:
        """What can be asked for."""
        return await self._document(request, await self.runtime.catalogue())

    async def bootstrap(self, request: Request) -> Response:
        """The last 1800 windows of the picture up to a time."""
        query = Query(request.scope["query_string"], ("symbol", "dt", "end_ts_ns"))
        asked = query.int64("end_ts_ns")
        cache = await self.runtime.day(query.symbol(), query.dt())
        end = cache.last_ts_ns if asked is None else asked
        start = end - HUD_HISTORY_WINDOWS * WINDOW_NS

        def build() -> Answer:
            rows = cache.surfaces["hud"].range(start, end)
            ends = rows["window_end_ts_ns"]
            # of the first and the last window sent; where there is none, of the range that was asked for
            low, high = (ends[0].as_py(), ends[-1].as_py()) if rows.num_rows else (start, end)
            headers = self._about(cache) | {
                "X-HUD-Start-Ts-Ns": str(low),
                "X-HUD-End-Ts-Ns": str(high),
                "X-HUD-Windows": str(rows.num_rows),
            }
            return self._arrow(cache, "hud", rows, headers)

        return await self._send(request, entity_tag("bootstrap", cache.epoch, end), build)

    async def surfaces(self, request: Request) -> Response:
        """Rows of one surface in a range of windows."""
        name = request.path_params["surface"]
        known_surface(name)
        query = Query(request.scope["query_string"], ("symbol", "dt", "start_ts_ns", "end_ts_ns"))
        start, end = query.int64("start_ts_ns"), query.int64("end_ts_ns")
        cache = await self.runtime.day(query.symbol(), query.dt())
        require_surfaces(cache, (name,))
        limit = self.runtime.settings.range_limit(name)
        needs_range = cache.surfaces[name].surface.range_required
        asked = day_range(
            start,
            end,
            last_ts_ns=cache.last_ts_ns,
            window_ns=WINDOW_NS,
            default=None if needs_range else min(HUD_HISTORY_WINDOWS, limit),
            limit=limit,
        )

        def build() -> Answer:
            rows = cache.surfaces[name].range(asked.start_ts_ns, asked.end_ts_ns)
            headers = self._about(cache) | {"X-HUD-Surface": name, "X-HUD-Rows": str(rows.num_rows)}
            return self._arrow(cache, name, rows, headers)

        tag = entity_tag("surface", name, cache.epoch, asked.start_ts_ns, asked.end_ts_ns)
        return await self._send(request, tag, build)

    async def day(self, request: Request) -> Response:
        """One row per window of the whole day."""
        query = Query(request.scope["query_string"], ("symbol", "dt"))
        cache = await self.runtime.day(query.symbol(), query.dt())
        require_surfaces(cache, ("trade",))

        def build() -> Answer:
            rows = day_rows(cache)
            headers = self._about(cache) | {"X-HUD-Windows": str(rows.num_rows)}
            return self._arrow(cache, "day", rows, headers)

        return await self._send(request, entity_tag("day", cache.epoch), build)

    async def profile(self, request: Request) -> Response:
        """Volume by price since the start of the trade date."""
        query = Query(request.scope["query_string"], ("symbol", "dt", "end_ts_ns"))
        asked = query.int64("end_ts_ns")
        cache = await self.runtime.day(query.symbol(), query.dt())
        require_surfaces(cache, ("trade",))
        end = cache.last_ts_ns if asked is None else asked
        if abs(end - cache.last_ts_ns) > PROFILE_REACH_NS:
            raise Problem(404, "no_data", "end_ts_ns is more than a year away from the day that is served")

        def build() -> Answer:
            found = profile.profile_of(self.runtime.lake, cache, end)
            headers = self._about(cache) | {"X-HUD-Rows": str(found.num_rows)}
            return self._arrow(cache, "profile", found, headers)

        before = profile.earlier_version(self.runtime.lake, cache, end)
        return await self._send(request, entity_tag("profile", cache.epoch, before, end), build)

    async def levels(self, request: Request) -> Response:
        """Reference levels of the day."""
        query = Query(request.scope["query_string"], ("symbol", "dt"))
        cache = await self.runtime.day(query.symbol(), query.dt())
        body = await self.runtime.in_thread(
            lambda: json.dumps(levels.levels_of(self.runtime.lake, cache)).encode()
        )
        return await self._send(request, entity_tag(body), lambda: Answer(body, JSON_MEDIA_TYPE, {}))

    async def explain(self, request: Request) -> Response:
        """Terms of both scores of one window, and the levels behind them."""
        query = Query(request.scope["query_string"], ("symbol", "dt", "ts_ns"))
        asked = query.int64("ts_ns")
        if asked is None:
            raise Problem(400, "missing_parameter", "ts_ns is needed: the time to explain, ns since 1970")
        cache = await self.runtime.day(query.symbol(), query.dt())
        seq = cache.seq_at(asked)
        if seq >= cache.windows:
            raise Problem(
                404, "no_data", f"no window ends at or after ts_ns; the last one ends at {cache.last_ts_ns}"
            )
        tag = entity_tag("explain", cache.epoch, seq)

        def build() -> Answer:
            return Answer(json.dumps(explain.explain_window(cache, seq)).encode(), JSON_MEDIA_TYPE, {})

        return await self._send(request, tag, build)

    async def ticket(self, request: Request) -> Response:
        """A single-use ticket for the stream, for somebody who shows the token."""
        Query(request.scope["query_string"], ())
        if not self.runtime.tokens.required:
            raise Problem(404, "no_tickets", "this service needs no tickets: it is not exposed")
        ticket = self.runtime.tokens.issue(self.runtime.clock.now_ns() / 1e9)
        return _json({"ticket": ticket, "expires_s": 60})

    # ---- how an answer goes out

    def _guarded(self, name: str, handler: _Handler, *, open_to_all: bool = False) -> _Handler:
        """The handler with the token asked for, problems as answers, and every answer counted."""

        async def answer(request: Request) -> Response:
            runtime = self.runtime
            try:
                if not open_to_all and not runtime.tokens.allows(request.headers.get("authorization")):
                    raise Problem(401, "bad_token", "this service wants Authorization: Bearer <token>")
                response = await handler(request)
            except Problem as problem:
                response = problem_response(problem)
            except SpymasterError as error:
                response = problem_response(
                    runtime.internal(error, 503, "not_readable", "the lake cannot be read as asked")
                )
            except Exception as error:  # noqa: BLE001  # the client gets an id, the log the reason
                response = problem_response(
                    runtime.internal(error, 500, "internal", "the request failed inside the service")
                )
            runtime.metrics.requests.labels(name, str(response.status_code)).inc()
            return response

        return answer

    async def _send(self, request: Request, tag: str, build: Callable[[], Answer]) -> Response:
        encoding = choose_encoding(request.headers.get("accept-encoding"))
        if encoding is None:
            raise Problem(
                406, "not_acceptable", "answers are sent as zstd, gzip or identity; none is accepted"
            )
        tag = entity_tag(tag, encoding)
        headers = {"ETag": tag, "Vary": "Accept-Encoding, Origin", "Cache-Control": "no-cache"}
        if matches(request.headers.get("if-none-match"), tag):
            return Response(status_code=304, headers=headers)
        places = self.runtime.requests
        await places.acquire()
        held = True
        try:
            packed = await self._packed(tag, build, encoding)
            if not accepts(request.headers.get("accept"), packed.media_type):
                raise Problem(
                    406, "not_acceptable", f"the answer is {packed.media_type}, not what Accept names"
                )
            headers |= packed.headers
            if encoding != "identity":
                headers["Content-Encoding"] = encoding
            headers["Content-Length"] = str(len(packed.body))
            held = len(packed.body) <= CHUNK_BYTES
            release = _nothing if held else places.release
            return SentResponse(packed, headers, release)
        finally:
            if held:
                places.release()

    async def _packed(self, tag: str, build: Callable[[], Answer], encoding: str) -> Answer:
        """The answer in its encoding; what was asked for lately is not made again."""
        known = self._answers.get(tag)
        if isinstance(known, Answer):
            return known
        packed = await self.runtime.in_thread(_built, build, encoding)
        self._answers.put(tag, packed, len(packed.body))
        return packed

    def _about(self, cache: HudCache) -> dict[str, str]:
        return {
            "X-HUD-Symbol": cache.symbol,
            "X-HUD-Dt": cache.dt,
            "X-HUD-Epoch": cache.epoch,
            "X-HUD-Origin": cache.origin,
        }

    def _arrow(self, cache: HudCache, surface: str, rows: pa.Table, headers: Mapping[str, str]) -> Answer:
        metadata = {
            "surface": surface,
            "epoch": cache.epoch,
            "origin": cache.origin,
            "calibration_id": cache.calibration_id,
        }
        if surface in cache.surfaces:
            metadata["schema_hash"] = cache.surfaces[surface].surface.table.schema_hash
        return Answer(wire.encode_table(rows, metadata), wire.ARROW_MEDIA_TYPE, headers)


async def _only_by_post(_: Request) -> Response:
    """The catch-all for pages would answer a GET with 404."""
    raise HTTPException(405, headers={"Allow": "POST"})


def problem_response(problem: Problem) -> Response:
    """A refusal as an answer."""
    headers = {"Cache-Control": "no-store"}
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(problem.body(), problem.status, headers, media_type=PROBLEM_MEDIA_TYPE)


class SentResponse(StreamingResponse):
    """An answer in pieces; calls `release` when it is sent, or the client is gone."""

    def __init__(self, answer: Answer, headers: Mapping[str, str], release: Callable[[], None]) -> None:
        super().__init__(_pieces(answer.body), headers=headers, media_type=answer.media_type)
        self._release = release

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._release()


def _nothing() -> None:
    pass


def _built(build: Callable[[], Answer], encoding: str) -> Answer:
    answer = build()
    return replace(answer, body=compress(answer.body, encoding))


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    view = memoryview(body)
    for start in range(0, len(view), CHUNK_BYTES):
        yield bytes(view[start : start + CHUNK_BYTES])


def _json(document: Any) -> Response:
    return Response(
        json.dumps(document).encode(), headers={"Cache-Control": "no-store"}, media_type=JSON_MEDIA_TYPE
    )
