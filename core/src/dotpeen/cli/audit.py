"""`dotpeen audit`: what partners read and wrote."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import typer
from pydantic_core import to_jsonable_python

from dotpeen.cli.context import Context, JsonOption, YesOption, current
from dotpeen.cli.times import parse_moment
from dotpeen.database.schema import upgrade
from dotpeen.errors import ConfigurationError
from dotpeen.identifiers import read_uuid
from dotpeen.migration.journal import actor
from dotpeen.partners import store, trail
from dotpeen.partners.trail import AuditFilter, AuditRecord

app = typer.Typer()


@app.callback(invoke_without_command=True)
def audit(
    context: typer.Context,
    *,
    partner: Annotated[
        str | None, typer.Option("--partner", "-p", metavar="NAME", help="Only this partner, in any case.")
    ] = None,
    entity: Annotated[
        str | None, typer.Option("--entity", "-e", metavar="NAME", help="Only records of this entity.")
    ] = None,
    uuid: Annotated[str | None, typer.Option("--uuid", metavar="UUID", help="Only this record.")] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="2026-01-31, 2026-01-31T12:00Z, or how long ago: 24h."),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Only what was before; as --since.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=0, metavar="N", help="The newest N entries; 0: all.")
    ] = 100,
    as_json: JsonOption = False,
) -> None:
    """The audit trail: show what partners read and wrote, the newest first. Times are UTC.

    ```sh
    dotpeen audit --partner acme --since 24h
    dotpeen audit --uuid 0b8c0f3e-6d1c-4e55-9d5a-5a1f2f0a9c11 --limit 0
    dotpeen audit --entity Part --since 2026-01-01 --until 2026-02-01 --limit 0 --json > january.json
    dotpeen audit prune --before 365d
    ```
    """
    if context.invoked_subcommand is not None:
        return
    shared = current(context)
    wanted = AuditFilter(
        entity=entity,
        uuid=None if uuid is None else str(read_uuid(uuid)),
        since=None if since is None else parse_moment(since, option="--since"),
        until=None if until is None else parse_moment(until, option="--until"),
    )
    if entity is not None and partner is None and uuid is None:
        _check_entity(shared, entity)
    with shared.connect("audit") as connection:
        if partner is not None:
            wanted = dataclasses.replace(wanted, partner=store.find(connection, partner).name)
        entries = trail.query(connection, wanted, limit=limit + 1 if limit else None)
        shown = itertools.islice(entries, limit or None)
        if as_json:
            _print_json(shown)
        else:
            _print_lines(shared, shown)
        if limit and next(entries, None) is not None:
            shared.err.print(f"There are older ones: this is the newest {limit}. --limit 0 shows all.")
        entries.close()


@app.command()
def prune(
    context: typer.Context,
    *,
    before: Annotated[
        str,
        typer.Option(
            "--before", metavar="TIME", help="Delete what is older: 2026-01-31, or how long ago: 365d."
        ),
    ],
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Delete old entries of the audit trail, for good. Asks first; the journal keeps who did it and how far.

    ```sh
    dotpeen audit prune --before 365d
    dotpeen audit prune --before 2026-01-01 --yes
    ```
    """
    shared = current(context)
    moment = parse_moment(before, option="--before")
    deleted = 0
    with shared.connect("audit") as connection:
        found = trail.count_before(connection, moment)
        if found:
            shared.confirm(f"Delete {found:,} entries from before {moment:%Y-%m-%d %H:%M} UTC?", yes=yes)
            upgrade(shared.url)
            deleted = trail.prune(connection, moment, by=actor())
    if as_json:
        shared.print_json({"before": moment, "deleted": deleted})
    else:
        shared.err.print(f"Deleted {deleted:,} entries." if found else "There is nothing that old.")


def _check_entity(shared: Context, entity: str) -> None:
    # A name with a slip finds nothing, which looks like a proof. Entities that were once registered are fine.
    known = shared.registry.entities if shared.registry_path.exists() else {}
    if not known or entity in known:
        return
    folded = {name.casefold(): name for name in known}
    if entity.casefold() in folded:
        raise ConfigurationError(
            f"no entity {entity!r} in the registry", hint=f"did you mean {folded[entity.casefold()]}?"
        )
    shared.err.print(
        f"The registry has no entity {entity!r} now.", style="bold", markup=False, highlight=False
    )


def _print_lines(shared: Context, entries: Iterator[AuditRecord]) -> None:
    # Lines, not a table: a table would have to hold them all.
    found = False
    for entry in entries:
        found = True
        what = entry.route if entry.uuid is None else f"{entry.route} {entry.uuid}"
        changed = f" set {','.join(entry.changed)}" if entry.changed else ""
        records = "1 record" if entry.records == 1 else f"{entry.records} records"
        if entry.requests > 1:
            records = f"{entry.requests} requests like this"
        line = (
            f"{entry.at:%Y-%m-%d %H:%M:%S.%f}  {entry.partner or '-'}  {entry.status}  {entry.method} {what}"
            f"{changed}  {records}  {entry.milliseconds:.1f} ms  {entry.remote or '-'}  {entry.request_id or '-'}"
        )
        # Some of it is what a client sent: nothing in it may speak to the terminal.
        print("".join(c if c.isprintable() else "\ufffd" for c in line))
    if not found:
        shared.err.print("No such entry.")


def _print_json(entries: Iterable[AuditRecord]) -> None:
    print('{"entries": [', end="")
    for number, entry in enumerate(entries):
        document: dict[str, Any] = to_jsonable_python(dataclasses.asdict(entry))
        print(",\n" if number else "\n", json.dumps(document, ensure_ascii=False), sep="  ", end="")
    print("\n]}")
