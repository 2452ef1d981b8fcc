"""Scripts of other origins: let in to the external routes where the registry names them, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.middleware.cors import CORSMiddleware

from dotpeen.api.surface import EXTERNAL, Application, Receive, Scope, Send

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_SENT: Final = ("authorization", "content-type", "if-match", "if-none-match", "x-request-id")
_SHOWN: Final = (
    "content-disposition",
    "etag",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "retry-after",
)


def sharing(application: Application, origins: Sequence[str]) -> Application:
    """Return the application of the external listener, whose external routes scripts of `origins` may call.

    Never to be put before the internal listener: whoever reaches that needs no token, and any page in the browser
    of somebody of the site could send requests to it.
    """
    shared = CORSMiddleware(
        application,
        allow_origins=list(origins),
        allow_methods=list(_METHODS),
        allow_headers=list(_SENT),
        expose_headers=list(_SHOWN),
    )

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        external = scope["type"] == "http" and scope["path"].encode().startswith(EXTERNAL)
        await (shared if external else application)(scope, receive, send)

    return answer
