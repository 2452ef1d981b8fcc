"""`dotpeen lookup`: which record an identifier names, whatever kind of identifier it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import psycopg
import typer
from rich.table import Table
from rich.text import Text

from dotpeen.cli.context import Context, EntityOption, JsonOption, current
from dotpeen.database import Connection
from dotpeen.errors import AmbiguousIdentifierError, NotMigratedError, RecordNotFoundError
from dotpeen.identifiers import find_uuid
from dotpeen.plugins import Plugins, load_plugins
from dotpeen.records import Match, Shape, Shapes, load_shapes
from dotpeen.records.lookup import by_key, by_uuid, find
from dotpeen.records.records import answered
from dotpeen.records.thread import entry, references
from dotpeen.registry import Entity

PLUGIN_SECONDS: Final = 2.0
"""What a plugin has to say what it knows of a record."""


@dataclass
class _Answers:
    """What the entities answered."""

    matches: list[dict[str, Any]] = field(default_factory=list)
    ambiguous: list[AmbiguousIdentifierError] = field(default_factory=list)
    unasked: dict[str, str] = field(default_factory=dict)
    """Entities that could not be asked, and why."""

    @property
    def empty(self) -> bool:
        """No record answered."""
        return not self.matches and not self.ambiguous


def lookup(
    context: typer.Context,
    identifier: Annotated[
        str,
        typer.Argument(
            metavar="IDENTIFIER",
            help="A UUID (also urn:uuid:… or {…}), primary key, business identifier or external reference; "
            "parts of a composite one are joined by ':', with % as %25 and : as %3A inside a part.",
        ),
    ],
    *,
    entity: EntityOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the record that an identifier names, and say which field answered.

    Every registered entity is asked. Ends with 0 when one record answers; with 1 when none does, and when several do:
    then all are listed.

    Examples: `dotpeen lookup PN-1001`, `dotpeen lookup MP-10000:1.0 --entity QIFMeasurementPlan --json`
    """
    shared = current(context)
    registry = shared.registry
    chosen = [one.name for one in registry.select(names=tuple(entity or ()))]
    plugins = load_plugins(registry)
    with shared.connect("lookup") as connection, _lost_columns():
        shapes = load_shapes(connection, registry, plugins)
        if entity:
            for name in chosen:
                shapes.entity(name)
        answers = _ask(connection, shapes, chosen, identifier)
        canonical = find_uuid(identifier)
        if answers.empty and canonical not in (None, identifier):
            answers = _ask(connection, shapes, chosen, str(canonical))
        if answers.empty and canonical is not None:
            answers.matches = _referenced(shared, plugins, connection, shapes, chosen, canonical)
        for match in answers.matches:
            match["thread"] += references(shapes[match["entity"]], match["internal"])
            match["thread"] += _thread(shared, plugins, registry.entities[match["entity"]], match["uuid"])
    if as_json:
        shared.print_json(_document(identifier, answers))
    else:
        for match in answers.matches:
            _print(shared, match)
    _report(shared, identifier, answers)
    if len(answers.matches) != 1 or answers.ambiguous:
        raise typer.Exit(1)


def _ask(connection: Connection, shapes: Shapes, names: list[str], identifier: str) -> _Answers:
    answers = _Answers()
    for name in names:
        if name not in shapes:
            answers.unasked[name] = shapes.missing[name]
            continue
        shape = shapes[name]
        try:
            match = answered(connection, find(shape, identifier, audience="internal", fields=None))
        except RecordNotFoundError:
            continue
        except AmbiguousIdentifierError as error:
            answers.ambiguous.append(error)
        except NotMigratedError as error:
            answers.unasked[name] = error.message
        else:
            answers.matches.append(_match(connection, shape, match))
    return answers


def _match(connection: Connection, shape: Shape, match: Match) -> dict[str, Any]:
    exposed: dict[str, Any] = {}
    if shape.ready is None:
        question = by_key(shape, match.row.key, audience="external", fields=None)
        row = answered(connection, question)
        exposed = json.loads(row.body) if row else {}
    return {
        "entity": shape.entity.name,
        "uuid": match.row.uuid,
        "matchedBy": match.matched_by,
        "key": match.row.key,
        "exposed": exposed,
        "internal": json.loads(match.row.body),
        "via": None,
        "thread": [],
    }


def _referenced(
    shared: Context,
    plugins: Plugins,
    connection: Connection,
    shapes: Shapes,
    names: list[str],
    uuid: str,
) -> list[dict[str, Any]]:
    """The records that plugins say a UUID leads to which is no record's own."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for plugin, reference in _asked(shared, plugins, "dotpeen_resolve_uuid", uuid=uuid):
        shape = shapes.get(reference.entity)
        if shape is None or shape.ready is not None or reference.entity not in names:
            continue
        row = answered(connection, by_uuid(shape, reference.uuid, audience="internal", fields=None))
        if row is not None:
            match = _match(connection, shape, Match(row, f"{reference.kind} of {plugin}"))
            match["via"] = {"source": plugin, "kind": reference.kind}
            found.setdefault((reference.entity, str(row.uuid)), match)
    return list(found.values())


def _thread(shared: Context, plugins: Plugins, entity: Entity, uuid: str | None) -> list[dict[str, Any]]:
    """What plugins know of a record."""
    if uuid is None:
        return []
    found = _asked(shared, plugins, "dotpeen_thread_entries", entity=entity, uuid=uuid)
    return [entry(plugin, one) for plugin, one in found]


def _asked(shared: Context, plugins: Plugins, hook: str, **arguments: Any) -> list[tuple[str, Any]]:
    if not plugins.implements(hook):
        return []
    # A session of its own: one that a plugin hangs on is closed.
    with shared.connect("lookup") as connection:
        answers = plugins.call(hook, timeout=PLUGIN_SECONDS, connection=connection, **arguments)
    return [(plugin, one) for plugin, found in answers for one in found]


@contextmanager
def _lost_columns() -> Iterator[None]:
    try:
        yield
    except (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedTable):
        raise NotMigratedError("an entity", "its table changed during the lookup") from None


def _document(identifier: str, answers: _Answers) -> dict[str, Any]:
    return {
        "identifier": identifier,
        "matches": answers.matches,
        "ambiguous": [
            {
                "entity": error.entity,
                "candidates": [{"field": name, "uuid": uuid} for name, uuid in error.candidates],
            }
            for error in answers.ambiguous
        ],
        "notAsked": answers.unasked,
    }


def _print(shared: Context, match: dict[str, Any]) -> None:
    uuid = match["uuid"] or "no UUID yet"
    shared.out.print(
        Text.assemble((match["entity"], "bold"), " ", (uuid, "bold green"), f"  by {match['matchedBy']}")
    )
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    hidden = {name: value for name, value in match["internal"].items() if name not in match["exposed"]}
    for heading, shown in (("exposed", match["exposed"]), ("internal", hidden)):
        for number, (name, value) in enumerate(shown.items()):
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            table.add_row(heading if number == 0 else "", Text(name), Text(text))
    for number, one in enumerate(match["thread"]):
        parts = [str(one[name]) for name in ("value", "at") if name in one]
        if "details" in one:
            parts.append(json.dumps(one["details"], ensure_ascii=False))
        known = Text(f"{one['source']} {one['kind']}")
        table.add_row("thread" if number == 0 else "", known, Text(" ".join(parts)))
    shared.out.print(table)


def _report(shared: Context, identifier: str, answers: _Answers) -> None:
    lines = [f"{name} was not asked: {reason}" for name, reason in answers.unasked.items()]
    for error in answers.ambiguous:
        lines.append(f"{error.message}; {error.hint}")
    if len(answers.matches) > 1:
        named = ", ".join(f"{one['entity']} {one['uuid']} by {one['matchedBy']}" for one in answers.matches)
        lines.append(f"{identifier!r} names records of several entities: {named}. Choose one with --entity")
    if not answers.matches and not answers.ambiguous:
        lines.append(f"no record answers to {identifier!r}")
    for line in lines:
        shared.err.print(line, markup=False, highlight=False, soft_wrap=True)
