"""Which encoding and media type a client takes (RFC 9110), and entity tags. Pure."""

from __future__ import annotations

import hashlib
import zlib
from typing import Final

import zstandard

ENCODINGS: Final = ("zstd", "gzip", "identity")
"""what we can send, the best first"""


def choose_encoding(header: str | None) -> str | None:
    """The best of `ENCODINGS` that an Accept-Encoding header allows; None when it allows none of them."""
    if header is None:
        return "identity"
    wanted = _weights(header)
    rest = wanted.get("*")
    best: tuple[float, int, str] | None = None
    for rank, name in enumerate(ENCODINGS):
        weight = wanted.get(name, rest if rest is not None else (0.001 if name == "identity" else 0.0))
        if weight > 0 and (best is None or weight > best[0]):
            best = (weight, -rank, name)
    return best[2] if best else None


def accepts(header: str | None, media_type: str) -> bool:
    """Whether an Accept header allows the media type."""
    if header is None or not header.strip():
        return True
    wanted = _weights(header)
    kind = media_type.split("/", 1)[0]
    for name in (media_type, f"{kind}/*", "*/*"):
        if name in wanted:
            return wanted[name] > 0
    return False


def compress(body: bytes, encoding: str) -> bytes:
    """The body in that encoding."""
    if encoding == "zstd":
        return zstandard.ZstdCompressor(level=3).compress(body)
    if encoding == "gzip":
        packer = zlib.compressobj(4, zlib.DEFLATED, 31)
        return packer.compress(body) + packer.flush()
    return body


def entity_tag(*parts: object) -> str:
    """Strong entity tag of an answer that the parts determine."""
    text = "\n".join(str(part) for part in parts)
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def matches(if_none_match: str | None, tag: str) -> bool:
    """Whether an If-None-Match header names the tag; weak comparison, as RFC 9110 wants for it."""
    if if_none_match is None:
        return False
    named = [one.strip().removeprefix("W/") for one in if_none_match.split(",")]
    return "*" in named or tag in named


def _weights(header: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for item in header.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        weight = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                try:
                    weight = min(max(float(value), 0.0), 1.0)
                except ValueError:
                    weight = 0.0
        if name:
            found[name] = weight
    return found
