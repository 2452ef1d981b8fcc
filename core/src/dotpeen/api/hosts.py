"""The name by which the internal listener is asked for.

Whoever reaches it needs no token; a page in the browser of somebody of the site must not. Such a page can have its own
name lead to an address of the plant, and is then of the same origin as the listener (DNS rebinding), but it can't keep
the browser from saying which name it asked for.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

from dotpeen.api.problems import MEDIA_TYPE, Problem
from dotpeen.api.surface import Application, Receive, Scope, Send


def own_names(application: Application, names: Iterable[str]) -> Application:
    """Return the application, answering only requests for an address, this machine's name, or one of `names`."""
    machine = socket.gethostname().lower()
    known = {"localhost", machine, machine.partition(".")[0], *(name.lower() for name in names)}

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        asked = _host(scope) if scope["type"] == "http" else None
        if asked is None or asked in known or _is_address(asked):
            await application(scope, receive, send)
            return
        problem = Problem(
            "misdirected",
            "this listener does not answer to the name in Host; [api] internal_names of the registry adds names",
        )
        body = problem.body(scope.get("state", {}).get("request_id", ""))
        headers = [(b"content-type", MEDIA_TYPE), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer


def _host(scope: Scope) -> str | None:
    """The name that was asked for, without its port; None where none was said, which no browser does."""
    for name, value in scope["headers"]:
        if name == b"host":
            text: str = value.decode("latin-1").strip().lower()
            if text.startswith("["):
                return text[1:].partition("]")[0]
            return text.partition(":")[0]
    return None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True
