"""`spymaster serve`: the service of spec 9 on a finished lake."""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from spymaster.edge import EXIT_OK, say, say_json
from spymaster.options import OUTPUT, Output, Switch

if TYPE_CHECKING:
    from serving.app import Service

Quiet = Parameter(show_default=False)


def serve(
    *,
    lake: Annotated[Path | None, Quiet] = None,
    dt: Annotated[str | None, Quiet] = None,
    symbol: Annotated[str | None, Quiet] = None,
    host: Annotated[str | None, Quiet] = None,
    port: Annotated[int | None, Quiet] = None,
    clock: Annotated[Literal["private", "shared"] | None, Quiet] = None,
    expose: Annotated[bool | None, Switch] = None,
    tls_cert: Annotated[Path | None, Quiet] = None,
    tls_key: Annotated[Path | None, Quiet] = None,
    behind_proxy: Annotated[str | None, Quiet] = None,
    token_file: Annotated[Path | None, Quiet] = None,
    origin: Annotated[list[str] | None, Parameter(show_default=False, negative=())] = None,
    output: Output = OUTPUT,
) -> int:
    """Serve the days of a lake over HTTP and WebSocket, with the HUD's page, until Ctrl-C or SIGTERM.

    What is not given here comes from variables (SPYMASTER_PORT), then from [serve] of the TOML file that
    SPYMASTER_CONFIG names, and so do all limits: see docs/protocol.md.

    For example:

        spymaster serve --lake lake/demo --port 8765

    Parameters
    ----------
    lake:
        Folder of the lake. Default: lake.
    dt:
        Date served where a request names none. Default: the latest one with a picture.
    symbol:
        Contract served where a request names none.
    host:
        Address to listen on; it has to be this machine's own (loopback) without --expose. Default: 127.0.0.1.
    port:
        Port to listen on; 0 = any free one. Default: 8765.
    clock:
        Clock of a connection that names none: private = one per client, shared = one per day for all.
        Default: private.
    expose:
        Answer to other machines. Needs TLS (or a proxy that ends it), tokens and the origins of its pages.
    tls_cert:
        Certificate chain, PEM.
    tls_key:
        Its private key, PEM.
    behind_proxy:
        Address of the proxy that ends TLS; connections from elsewhere are refused.
    token_file:
        File with one token per line.
    origin:
        Page that may open the stream besides our own, for example https://hud.example.org; may be repeated.
    """
    from serving.app import Service
    from serving.settings import load_settings

    settings = load_settings(
        lake=lake,
        dt=dt,
        symbol=symbol,
        host=host,
        port=port,
        clock=clock,
        expose=expose,
        tls_cert=tls_cert,
        tls_key=tls_key,
        behind_proxy=behind_proxy,
        token_file=token_file,
        origin=tuple(origin) if origin else None,
    )
    service = Service(settings)
    return serve_until_stopped(service, output)


def serve_until_stopped(service: Service, output: Output = OUTPUT) -> int:
    """Load, say where, serve until a signal comes. Returns the exit code."""
    url = service.bind()
    service.load()
    symbol, dt = service.runtime.require_default()
    if output.json:
        say_json({"url": url, "symbol": symbol, "dt": dt, "lake": str(service.settings.lake)})
    else:
        say(f"serving {symbol} {dt}: {url}   (Ctrl-C stops)")
    serve_quietly(service)
    return EXIT_OK


def serve_quietly(service: Service) -> None:
    """Serve until a signal comes; what was said so far reaches a pipe first."""
    from serving.security import RedactingFilter

    _log_to_standard_error(RedactingFilter(service.settings.tokens()))
    service.load()
    sys.stdout.flush()
    service.run()


class _JsonLines(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        document: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "text": record.getMessage(),
        }
        return json.dumps(document)


def _log_to_standard_error(redacting: logging.Filter) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines())
    handler.addFilter(redacting)
    for name, level in (("spymaster.serving", logging.INFO), ("uvicorn.error", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
