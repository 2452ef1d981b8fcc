"""Problem documents (RFC 9457): what every error of the REST interface looks like.

Beside the members of the RFC they carry those of the first interface: `error`, and `identifier`, `uuid`, `provided`
or `example` where they say something.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

EXAMPLE_UUID: Final = "550e8400-e29b-41d4-a716-446655440000"
MEDIA_TYPE: Final = b"application/problem+json"

PROBLEMS: Final[Mapping[str, tuple[int, str]]] = {
    "bad-request": (400, "Bad request"),
    "invalid-path": (400, "Invalid path"),
    "invalid-header": (400, "Invalid header"),
    "invalid-query": (400, "Invalid query parameter"),
    "invalid-uuid": (400, "Invalid UUID format"),
    "invalid-internal-id": (400, "Invalid internal ID format"),
    "invalid-identifier": (400, "Invalid identifier"),
    "invalid-value": (422, "Invalid value"),
    "malformed-json": (400, "Malformed JSON"),
    "too-many-uuids": (400, "Too many UUIDs"),
    "unauthorized": (401, "Authentication required"),
    "forbidden": (403, "Not allowed"),
    "not-found": (404, "Not found"),
    "method-not-allowed": (405, "Method not allowed"),
    "ambiguous-identifier": (409, "Ambiguous identifier"),
    "conflict": (409, "Conflict"),
    "precondition-failed": (412, "Precondition failed"),
    "body-too-large": (413, "Body too large"),
    "unsupported-media-type": (415, "Unsupported media type"),
    "misdirected": (421, "Misdirected request"),
    "rate-limited": (429, "Too many requests"),
    "internal-error": (500, "Internal server error"),
    "busy": (503, "Busy"),
    "database-unavailable": (503, "Database unavailable"),
    "external-disabled": (503, "External access is switched off"),
    "not-migrated": (503, "UUIDs not available"),
    "timeout": (503, "Timed out"),
}
"""Every kind of problem: its name (the last part of `type`), status and title."""


class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """An error on its way to the client.

    `kind` is a key of `PROBLEMS`; `detail` is for the person who reads it; `members` are added to the document.
    """

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        error: str | None = None,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.error = error
        self.headers = dict(headers or {})
        self.members = members

    @property
    def status(self) -> int:
        """The HTTP status."""
        return PROBLEMS[self.kind][0]

    def document(self, request_id: str) -> dict[str, Any]:
        """The problem as a JSON object."""
        status, title = PROBLEMS[self.kind]
        return {
            "type": f"/problems/{self.kind}",
            "title": title,
            "status": status,
            "detail": self.detail,
            "error": self.error or title,
            "requestId": request_id,
            **self.members,
        }

    def body(self, request_id: str) -> bytes:
        """The problem as the bytes of a response."""
        return json.dumps(self.document(request_id), ensure_ascii=False).encode("utf-8", errors="replace")
