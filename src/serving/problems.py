"""Refusals of a request as data: status, a word, a sentence (spec 9.3: application/problem+json)."""

from __future__ import annotations

import json
from typing import Final

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"
_TITLES: Final = {
    400: "Bad request",
    401: "Not authorised",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    413: "Too large",
    414: "Too long",
    429: "Too many requests",
    500: "Internal error",
    503: "Not available now",
}


class Problem(Exception):
    """A request that is refused. `code` names the kind for programs, `detail` says what, found and wanted."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail

    def body(self) -> bytes:
        """The problem document."""
        document = {
            "type": f"urn:spymaster:problem:{self.code}",
            "title": _TITLES.get(self.status, "Error"),
            "status": self.status,
            "detail": self.detail,
        }
        return json.dumps(document).encode()
