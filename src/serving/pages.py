"""The HUD's page and its files, from `static/`, and the headers that go with every answer (design 6).

The files are read once; a request is looked up by name in what was found, so no path is made from it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

INDEX: Final = "index.html"
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self';"
    " connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_MEDIA_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "json": "application/json",
    "map": "application/json",
    "svg": "image/svg+xml",
    "png": "image/png",
    "ico": "image/x-icon",
    "woff2": "font/woff2",
    "wasm": "application/wasm",
    "txt": "text/plain; charset=utf-8",
    "webmanifest": "application/manifest+json",
}
_NO_BUNDLE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Spymaster</title></head>
<body><h1>Spymaster</h1>
<p>The service runs. The page of the HUD is not part of this build: the bundle is missing.</p>
<p>What it serves: <a href="/v1/catalog">/v1/catalog</a>, <a href="/healthz">/healthz</a>.</p>
</body></html>
"""


@dataclass(frozen=True)
class Page:
    """One file, ready to be sent."""

    body: bytes
    media_type: str
    tag: str


def load_pages(root: Traversable | None = None) -> dict[str, Page]:
    """Path below ``/`` -> page; without a bundle, one that says so. Unknown kinds of files are left out."""
    found = dict(_walk(root or files("serving") / "static", ""))
    if INDEX not in found:
        found[INDEX] = _page(_NO_BUNDLE.encode(), _MEDIA_TYPES["html"])
    return found


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, Page]]:
    found: list[tuple[str, Page]] = []
    if not folder.is_dir():
        return found
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if entry.is_dir():
            found += _walk(entry, f"{prefix}{entry.name}/")
        elif (kind := _MEDIA_TYPES.get(entry.name.rsplit(".", 1)[-1])) is not None:
            found.append((f"{prefix}{entry.name}", _page(entry.read_bytes(), kind)))
    return found


def _page(body: bytes, media_type: str) -> Page:
    return Page(body, media_type, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
