"""From a path to a route: one table, made from the shapes of the entities."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from dotpeen.api.call import Answer, Call, decode
from dotpeen.api.problems import Problem
from dotpeen.records import Shape

Handler: TypeAlias = Callable[[Call], Awaitable[Answer]]
Surface: TypeAlias = Literal["external", "internal"]
"""Who may call: partners with a token of theirs, or the site's own applications."""
Verb: TypeAlias = Literal["read", "write"]

PREFIXES: Final = ("/api/v1/external/", "/api/internal/", "/api/")
"""The longest that fits counts."""


@dataclass(frozen=True, slots=True)
class Route:
    """One operation on one entity, or on all of them (`shape` None)."""

    method: str
    template: str
    """As OpenAPI writes it: `/api/v1/external/parts/{uuid}`."""
    surface: Surface
    verb: Verb
    handler: Handler
    shape: Shape | None = None
    direct: bool = False
    """One record by its UUID: what `dotpeen.api.direct` answers when it is asked for plainly."""

    @property
    def pieces(self) -> tuple[str, ...]:
        """The parts of the path."""
        return tuple(self.template.strip("/").split("/"))


@dataclass(frozen=True, slots=True)
class Foreign:
    """A route of a plugin, found by its pattern: it may have open parts that ours have not."""

    pattern: re.Pattern[str]
    route: Route


class Routes:
    """Finds the route of a request."""

    def __init__(self, routes: list[Route], foreign: Sequence[Foreign] = ()) -> None:
        """`foreign` ones are looked for where none of `routes` has the path."""
        self.all = (*routes, *(one.route for one in foreign))
        self._foreign = tuple(foreign)
        self._tree: dict[str | None, object] = {}
        self._direct: dict[tuple[str, bytes], Route] = {}
        self._exact: set[bytes] = set()
        for route in routes:
            # The walk takes ten times as long as these two, and most requests are for one record.
            *head, last = route.pieces
            if not any(piece.startswith("{") for piece in head):
                if last.startswith("{"):
                    self._direct[route.method, "/".join(["", *head]).encode()] = route
                else:
                    self._exact.add("/".join(["", *head, last]).encode())
            node = self._tree
            for piece in route.pieces:
                node = node.setdefault(None if piece.startswith("{") else piece, {})  # type: ignore[assignment]
            methods: dict[str, Route] = node.setdefault("", {})  # type: ignore[assignment]
            methods[route.method] = route

    def match(self, method: str, raw_path: bytes) -> tuple[Route, tuple[str, ...]] | None:
        """Return the route and the values of its open parts; None where the path is none of ours.

        The path is split before it is decoded: an identifier may contain an encoded slash. Raises `Problem` for a
        method that the path does not have.
        """
        head, _, last = raw_path.rpartition(b"/")
        if last and (direct := self._direct.get((method, head))) and raw_path not in self._exact:
            return direct, (decode(last),)
        pieces = raw_path.removeprefix(b"/").removesuffix(b"/").split(b"/")
        for methods, values in _walk(self._tree, pieces, ()):
            route = methods.get("GET" if method == "HEAD" else method)
            if route is None:
                allowed = ", ".join(sorted([*methods, "HEAD"] if "GET" in methods else methods))
                raise Problem("method-not-allowed", f"this path has {allowed}", headers={"allow": allowed})
            return route, tuple(decode(value) for value in values)
        return self._match_foreign(method, raw_path) if self._foreign else None

    def _match_foreign(self, method: str, raw_path: bytes) -> tuple[Route, tuple[str, ...]] | None:
        path = decode(raw_path)
        allowed: set[str] = set()
        for one in self._foreign:
            match = one.pattern.match(path)
            if match is None:
                continue
            if one.route.method in (method, "GET" if method == "HEAD" else method):
                uuid = match.groupdict().get("uuid")
                return one.route, (uuid,) if uuid is not None else ()
            allowed |= {one.route.method, "HEAD"} if one.route.method == "GET" else {one.route.method}
        if not allowed:
            return None
        names = ", ".join(sorted(allowed))
        raise Problem("method-not-allowed", f"this path has {names}", headers={"allow": names})


def _walk(
    node: Mapping[str | None, object], pieces: list[bytes], values: tuple[bytes, ...]
) -> Iterator[tuple[Mapping[str, Route], tuple[bytes, ...]]]:
    if not pieces:
        found = node.get("")
        if isinstance(found, dict):
            yield found, values
        return
    first, *rest = pieces
    if not first:
        return
    # A name goes before an open part: `batch` is never taken for a UUID.
    for key, more in ((first.decode("ascii", errors="replace"), ()), (None, (first,))):
        child = node.get(key)
        if isinstance(child, dict):
            yield from _walk(child, rest, values + more)
