"""The ASGI application: which path is served by what, and the guard that looks at every request first."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http_api import Api, problem_response
from serving.negotiation import matches
from serving.pages import INDEX, SECURITY_HEADERS, load_pages
from serving.problems import Problem
from serving.runtime import Runtime
from serving.stream import Streams


def application(runtime: Runtime, streams: Streams) -> ASGIApp:
    """The ASGI application behind its guard."""
    pages = load_pages()

    async def page(request: Request) -> Response:
        found = pages.get(request.path_params["path"] or INDEX)
        if found is None:
            return problem_response(Problem(404, "not_found", "there is nothing here; see /v1/catalog"))
        headers = {"ETag": found.tag, "Cache-Control": "no-cache"}
        if matches(request.headers.get("if-none-match"), found.tag):
            return Response(status_code=304, headers=headers)
        return Response(found.body, headers=headers, media_type=found.media_type)

    async def refused(_: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        word, text = {
            404: ("not_found", "there is nothing here; see /v1/catalog"),
            405: ("method_not_allowed", "this endpoint does not take that method"),
        }.get(status, ("refused", "the request is refused"))
        response = problem_response(Problem(status, word, text))
        response.headers.update(getattr(error, "headers", None) or {})
        return response

    app = Starlette(
        routes=[
            *Api(runtime).routes(),
            WebSocketRoute("/v1/hud/stream", streams.handle),
            Route("/{path:path}", page, methods=["GET"]),
        ],
        exception_handlers={HTTPException: refused},
    )
    return Guard(app, runtime)


class Guard:
    """Looks at every request first: who asks, from which page, how long; and adds the security headers."""

    def __init__(self, app: ASGIApp, runtime: Runtime) -> None:
        self._app = app
        self._runtime = runtime

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] not in ("http", "websocket"):
            return

        async def guarded(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                given = {name.lower() for name, _ in message.get("headers", [])}
                message["headers"] = [
                    *message.get("headers", []),
                    *(
                        (name.lower().encode(), value.encode())
                        for name, value in SECURITY_HEADERS.items()
                        if name.lower().encode() not in given
                    ),
                ]
            await send(message)

        try:
            self._check(scope)
        except Problem as problem:
            await _refuse(problem, scope, receive, guarded)
            return
        await self._app(scope, receive, guarded)

    def _check(self, scope: Scope) -> None:
        settings = self._runtime.settings
        named = {"host": [], "origin": []}  # type: dict[str, list[str]]
        for name, value in scope["headers"]:
            if name in (b"host", b"origin"):
                named[name.decode()].append(value.decode("latin-1"))
        proxy = settings.behind_proxy
        if proxy is not None and (scope.get("client") or ("", 0))[0] != proxy:
            raise Problem(403, "not_the_proxy", "this service is reached through its proxy only")
        self._runtime.gate.check(named["host"], named["origin"])
        if len(scope["query_string"]) > settings.query_bytes or len(scope["path"]) > settings.query_bytes:
            raise Problem(
                414, "too_long", f"the path and the query have at most {settings.query_bytes} bytes each"
            )


async def _refuse(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    response = problem_response(problem)
    if scope["type"] == "http":
        await response(scope, receive, send)
        return
    await receive()  # websocket.connect
    await send(
        {
            "type": "websocket.http.response.start",
            "status": problem.status,
            "headers": response.raw_headers,
        }
    )
    await send({"type": "websocket.http.response.body", "body": problem.body()})
