"""The interface's documentation: its OpenAPI document, pages to read it, and what each problem means.

Everything comes from this server. Plants have no internet, and partners' browsers need not tell a third party what they
look at: the pages' Content-Security-Policy allows nothing foreign, and no script but the files below.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from html import escape
from importlib.resources import files
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from dotpeen.api.answers import matches
from dotpeen.api.explanations import EXPLANATIONS
from dotpeen.api.problems import MEDIA_TYPE, PROBLEMS, Problem

Document = dict[str, Any]

_READ: Final = ["GET", "HEAD"]
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SAFE: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
_KEPT: Final = {"cache-control": "public, max-age=86400", "x-content-type-options": "nosniff"}
_START: Final = """\
window.onload = () => {
  window.ui = SwaggerUIBundle({
    url: "openapi.json",
    dom_id: "#documentation",
    validatorUrl: null,
    deepLinking: true,
    displayRequestDuration: true,
    docExpansion: "none",
    filter: true,
    persistAuthorization: false,
    presets: [SwaggerUIBundle.presets.apis],
  });
};
"""
_STYLE: Final = """\
body { margin: 0; background: #fafafa; }
main { max-width: 45em; margin: 2em; font: 16px sans-serif; }
"""
# One name per file: what is served is what is listed here.
_ASSETS: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}
_PAGE: Final = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" type="image/png" href="{root}docs/favicon-32x32.png">
{head}
</head>
<body>
{body}
</body>
</html>
"""


@dataclass(frozen=True)
class _Written:
    """The document as it is sent, and what it was made for."""

    state: object
    body: bytes
    tag: bytes


def router(document: Callable[[], Document], *, state: Callable[[], object] | None = None) -> APIRouter:
    """Serve the document that `document` makes; made anew when `state` returns another object than before."""
    routes = APIRouter()
    kept: list[_Written] = []

    def written() -> _Written:
        present = state() if state is not None else None
        if not kept or state is None or kept[0].state is not present:
            body = json.dumps(document(), ensure_ascii=False).encode()
            kept[:] = [
                _Written(present, body, b'"' + blake2b(body, digest_size=12).hexdigest().encode() + b'"')
            ]
        return kept[0]

    @routes.api_route("/openapi.json", methods=_READ)
    def openapi(request: Request) -> Response:
        found = written()
        headers = {"etag": found.tag.decode(), "cache-control": "no-cache"}
        asked = request.headers.get("if-none-match")
        if asked is not None and matches(asked.encode("latin-1"), found.tag):
            return Response(status_code=304, headers=headers)
        return Response(found.body, headers=headers, media_type="application/json")

    _add_pages(routes)
    return routes


def _add_pages(routes: APIRouter) -> None:
    @routes.api_route("/", methods=_READ)
    def start() -> Response:
        # Relative: behind a proxy the server may be below a path. Temporary: browsers would never ask here again.
        return RedirectResponse("docs", 307, headers={"cache-control": "no-store"})

    @routes.api_route("/docs", methods=_READ)
    def docs() -> Response:
        head = (
            '<link rel="stylesheet" href="docs/swagger-ui.css">\n<link rel="stylesheet" href="docs/page.css">\n'
            '<script src="docs/swagger-ui-bundle.js"></script>\n<script src="docs/start.js"></script>'
        )
        body = (
            '<div id="documentation"></div>\n<noscript><main>This page needs JavaScript. The document itself: '
            '<a href="openapi.json">openapi.json</a>.</main></noscript>'
        )
        return _page("REST interface", root="", head=head, body=body)

    @routes.api_route("/docs/{name}", methods=_READ)
    def asset(name: str) -> Response:
        if name == "start.js":
            return Response(_START, headers=_KEPT, media_type="text/javascript")
        if name == "page.css":
            return Response(_STYLE, headers=_KEPT, media_type="text/css")
        if name not in _ASSETS:
            raise Problem("not-found", "there is no such resource")
        content = files("fastapi_swagger").joinpath("resources", name).read_bytes()
        return Response(content, headers=_KEPT, media_type=_ASSETS[name])

    @routes.api_route("/problems/{kind}", methods=_READ)
    def problem(kind: str, request: Request) -> Response:
        if kind not in PROBLEMS:
            raise Problem("not-found", "there is no such kind of problem")
        status, title = PROBLEMS[kind]
        explanation = EXPLANATIONS[kind]
        if not _prefers_html(request.headers.get("accept", "")):
            explained = {"type": f"/problems/{kind}", "title": title, "status": status}
            body = json.dumps(explained | explanation._asdict(), ensure_ascii=False)
            return Response(body, headers={"vary": "accept"}, media_type="application/json")
        text = (
            f"<main>\n<h1>{escape(title)}</h1>\n<p><code>{kind}</code>, HTTP status {status}</p>\n"
            f"<p>{_marked(explanation.meaning)}</p>\n<p>{_marked(explanation.remedy)}</p>\n</main>"
        )
        head = '<link rel="stylesheet" href="../docs/page.css">'
        return _page(title, root="../", head=head, body=text, headers={"vary": "accept"})


def _page(title: str, *, root: str, head: str, body: str, headers: dict[str, str] | None = None) -> Response:
    text = _PAGE.format(title=escape(title), root=root, head=head, body=body)
    return Response(text, headers=_SAFE | (headers or {}), media_type="text/html")


def _prefers_html(accept: str) -> bool:
    """Browsers name HTML first; programs name JSON, anything, or nothing."""
    html, json_ = (_quality(accept, kind) for kind in ("text/html", "application/json"))
    return html > json_


def _quality(accept: str, kind: str) -> float:
    found = 0.0
    for part in accept.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        if name == kind or (kind == "application/json" and name == MEDIA_TYPE.decode()):
            weights = [piece[2:] for piece in parameters if re.fullmatch(r"q=[01](\.[0-9]{0,3})?", piece)]
            found = max(found, float(weights[0]) if weights else 1.0)
    return found


def _marked(text: str) -> str:
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))
