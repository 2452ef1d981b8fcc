"""`dotpeen partner`: who may use the external REST interface."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

import typer

from dotpeen.cli.context import Context, JsonOption, YesOption, current
from dotpeen.cli.partner_output import document, print_partner, print_partners, written
from dotpeen.cli.partner_scopes import warn
from dotpeen.cli.times import parse_duration
from dotpeen.database.schema import upgrade
from dotpeen.errors import ConfigurationError
from dotpeen.migration.journal import actor
from dotpeen.partners import RateLimit, Scope, store
from dotpeen.partners.partner import Issued
from dotpeen.partners.scopes import EVERY_ENTITY, check_entities, parse_scopes

app = typer.Typer(
    help="Partners of the external REST interface: who may come in, and what each may do.",
    no_args_is_help=True,
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The partner, in any case.")]
ScopeOption = Annotated[
    list[str],
    typer.Option(
        "--scope", "-s", metavar="ENTITY:VERB", help="'Part:read', '*:read', 'Part:write'; repeated."
    ),
]
RateOption = Annotated[
    str | None,
    typer.Option("--rate-limit", metavar="N/UNIT", help="10/s, 600/min, 20000/h or 100000/d; 0: no limit."),
]
ExpiresOption = Annotated[
    str | None,
    typer.Option("--expires", metavar="DURATION", help="How long the token is good: 90d, 12h, 52w."),
]


@app.command()
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the partner is called.")],
    *,
    scope: ScopeOption,
    rate_limit: RateOption = None,
    expires: ExpiresOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a partner and print its token, once: only a hash is stored.

    A scope is an entity of the registry, or `*` for all, and a verb: `read` or `write`. Without `--rate-limit` the
    default of the interface holds, 6000/min. Without `--expires` the token is good until it is revoked.

    ```sh
    dotpeen partner add 'Acme Metrology' --scope 'Part:read' --scope 'SerializedPart:read'
    dotpeen partner add acme --scope '*:read' --rate-limit 600/min --expires 90d
    dotpeen partner add acme --scope '*:read' > acme.token
    ```
    """
    shared = current(context)
    scopes = _scopes(shared, scope)
    limit = None if rate_limit is None else RateLimit.parse(rate_limit)
    lifetime = None if expires is None else parse_duration(expires, option="--expires")
    upgrade(shared.url)
    with shared.connect("partner") as connection:
        issued = store.add(connection, name, scopes, by=actor(), limit=limit, expires_in=lifetime)
    _print_issued(shared, issued, f"Added {issued.partner.name}.", as_json=as_json)
    warn(shared, issued.partner)


@app.command("list")
def list_command(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """List all partners, revoked ones too.

    ```sh
    dotpeen partner list --json
    ```
    """
    shared = current(context)
    with shared.connect("partner") as connection:
        partners = store.list_all(connection)
    if as_json:
        shared.print_json({"partners": [document(partner) for partner in partners]})
        return
    if not partners:
        shared.err.print(
            "There is no partner yet. Add one with: dotpeen partner add NAME --scope 'Part:read'"
        )
        return
    print_partners(shared.out, partners)
    for partner in partners:
        warn(shared, partner)


@app.command()
def show(context: typer.Context, name: NameArgument, *, as_json: JsonOption = False) -> None:
    """Show a partner and its tokens: who made them, until when they are good, when they were last used.

    ```sh
    dotpeen partner show acme
    ```
    """
    shared = current(context)
    with shared.connect("partner") as connection:
        partner = store.find(connection, name)
    if as_json:
        shared.print_json(document(partner))
    else:
        print_partner(shared.out, partner)
    warn(shared, partner)


@app.command()
def change(
    context: typer.Context,
    name: NameArgument,
    *,
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", "-s", metavar="ENTITY:VERB", help="The scopes from now on, all of them."),
    ] = None,
    rate_limit: Annotated[
        str | None, typer.Option("--rate-limit", metavar="N/UNIT", help="As in `add`, or `default`.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Give a partner other scopes or another rate limit. Its tokens stay; every node follows within two seconds.

    ```sh
    dotpeen partner change acme --scope 'Part:read' --scope 'Part:write'
    dotpeen partner change acme --rate-limit 60/min
    ```
    """
    shared = current(context)
    if not scope and rate_limit is None:
        raise ConfigurationError("nothing to change", hint="give --scope or --rate-limit")
    scopes = _scopes(shared, scope) if scope else None
    limit: RateLimit | Literal["default"] | None = None
    if rate_limit is not None and rate_limit != "default":
        limit = RateLimit.parse(rate_limit)
    elif rate_limit is not None:
        limit = "default"
    with shared.connect("partner") as connection:
        store.find(connection, name)  # before anything is made for it
        upgrade(shared.url)
        partner = store.change(connection, name, by=actor(), scopes=scopes, limit=limit)
    if as_json:
        shared.print_json(document(partner))
    else:
        print_partner(shared.out, partner)
    warn(shared, partner)


@app.command()
def rotate(
    context: typer.Context,
    name: NameArgument,
    *,
    overlap: Annotated[
        str,
        typer.Option("--overlap", metavar="DURATION", help="How long the old tokens go on; 0: not at all."),
    ] = "24h",
    expires: Annotated[
        str | None,
        typer.Option(
            "--expires",
            metavar="DURATION",
            help="How long the new one is good, or `never` to end; default: as the one before.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print a new token for a partner, once. The old ones stay good for the overlap, 24 hours, and end then.

    ```sh
    dotpeen partner rotate acme
    dotpeen partner rotate acme --overlap 7d
    dotpeen partner rotate acme --overlap 0        # the old token leaked
    ```
    """
    shared = current(context)
    ending = parse_duration(overlap, option="--overlap")
    lifetime: timedelta | Literal["never"] | None = None
    if expires is not None:
        lifetime = "never" if expires == "never" else parse_duration(expires, option="--expires")
    with shared.connect("partner") as connection:
        store.find(connection, name)
        upgrade(shared.url)
        issued = store.rotate(connection, name, by=actor(), overlap=ending, expires_in=lifetime)
    until = f"good for {overlap} more at most" if ending else "no longer good"
    _print_issued(
        shared,
        issued,
        f"Made a new token for {issued.partner.name}; older ones are {until}.",
        as_json=as_json,
    )


@app.command()
def revoke(
    context: typer.Context,
    name: NameArgument,
    *,
    token: Annotated[
        str | None,
        typer.Option("--token", metavar="ID", help="Only this token; `show` has the ids."),
    ] = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Refuse a partner, or one of its tokens, for good; every node follows within two seconds.

    On a terminal it asks first. A revoked partner stays in the list and in the audit trail.

    ```sh
    dotpeen partner revoke acme
    dotpeen partner revoke acme --token 7fkq2m9x4hw8t3vz --yes
    ```
    """
    shared = current(context)
    with shared.connect("partner") as connection:
        partner = store.find(connection, name)
        what = f"token {token} of {partner.name}" if token else f"{partner.name} and all its tokens"
        before = next((one for one in partner.tokens if one.id == token), None) if token else partner
        already = before is not None and before.revoked_at is not None
        if shared.err.is_terminal and not already:
            shared.confirm(f"Revoke {what}? It can't be taken back.", yes=yes)
        upgrade(shared.url)
        partner = store.revoke(connection, name, by=actor(), token=token)
    if as_json:
        shared.print_json(document(partner))
    elif before is not None and already:
        was = f"{what} {'was' if token else 'were'} revoked already, {written(before.revoked_at, before.revoked_by)}."
        shared.err.print(
            was[0].upper() + was[1:] if token else was, markup=False, highlight=False, soft_wrap=True
        )
    else:
        shared.err.print(f"Revoked {what}.", markup=False, highlight=False, soft_wrap=True)


def _scopes(shared: Context, texts: list[str]) -> frozenset[Scope]:
    scopes = parse_scopes(texts)
    if any(scope.entity != EVERY_ENTITY for scope in scopes):
        check_entities(scopes, shared.registry.entities)
    return scopes


def _print_issued(shared: Context, issued: Issued, done: str, *, as_json: bool) -> None:
    token = issued.token
    if as_json:
        shared.print_json(
            {
                "partner": document(issued.partner),
                "token": token.text,
                "client_id": token.id,
                "client_secret": token.secret,
            }
        )
    else:
        print(token.text)
    shared.err.print(
        f"{done} This token is never shown again: hand it over on a safe way.\n"
        f"OAuth 2 client credentials: client id {token.id}; the client secret is the token itself.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
