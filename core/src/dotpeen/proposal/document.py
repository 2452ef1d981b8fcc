"""Write a proposal as `registry.toml`: every guess with its reason beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dotpeen.database.catalog import Catalog
from dotpeen.proposal.survey import Proposal, ProposedEntity, survey
from dotpeen.registry.models import TableName

_MAX_COMMENT = 110
_MAX_LINKS = 12


def propose(catalog: Catalog, *, schemas: Sequence[str] = ()) -> str:
    """Propose a registry for a database, as the text of a `registry.toml` that parses as it is.

    Raises `ConfigurationError` when `schemas` names one without tables.
    """
    return render(survey(catalog, schemas=schemas))


def render(proposal: Proposal) -> str:
    """Write the proposal as TOML."""
    return "\n".join(_document(proposal)) + "\n"


def _document(proposal: Proposal) -> Iterator[str]:
    version = proposal.server_version // 10000
    yield f"# Proposed by `dotpeen init` for database {_shown(proposal.database)} (PostgreSQL {version}),"
    yield f"# seen as role {_shown(proposal.role)}."
    yield "#"
    yield "# Every value is a guess with its reason beside it. Review it, delete what is no record, then:"
    yield "#   dotpeen check           holds this file against the database"
    yield "#   dotpeen migrate plan    shows what would be done, and does nothing"
    yield "#"
    yield "# Partners see an entity's UUID and business identifier, and nothing more until you add"
    yield '#   expose = ["column", ...]'
    yield ""
    yield "[site]"
    yield f"name = {_text(proposal.database)}  # the database's name"
    yield ""
    yield "# [database]"
    yield '# url = "env:DOTPEEN_DATABASE_URL"  # the URL stays out of this file: it may hold a password'
    for entity in proposal.entities:
        yield ""
        yield from _entity(entity)
    if proposal.doubtful:
        yield ""
        yield "# ---- Not proposed, but easily added: remove the first `# ` of the entity's lines. ----"
        for entity in proposal.doubtful:
            yield ""
            yield f"# {_cut(entity.doubt or '')}:"
            yield from (f"# {line}" for line in _entity(entity))
    if proposal.left_out:
        yield ""
        yield "# ---- Left out, and why ----"
        by_reason: dict[str, list[TableName]] = {}
        for one in proposal.left_out:
            by_reason.setdefault(one.reason, []).append(one.table)
        for reason, tables in by_reason.items():
            yield f"# {_cut(reason)}:"
            yield from (f"#   {_shown(str(table))}" for table in tables)
    if not proposal.entities:
        yield ""
        yield "# No table of this database was proposed."


def _entity(entity: ProposedEntity) -> Iterator[str]:
    table = entity.table
    yield f"[entities.{entity.name}]"
    yield "phase = 1  # what may wait gets a higher phase"
    rows = f"about {table.estimated_rows:,} rows" if table.estimated_rows else "no row count: never analysed"
    yield f"table = {_text(str(table.name))}  # {rows}"
    if entity.path is not None:
        yield f"path = {_text(entity.path)}  # the usual path is one of Dotpeen's own"
    yield f"primary_key = {_columns(entity.primary_key)}{_comment(_key_reason(entity))}"
    yield from _business_id(entity)
    yield from _uuid(entity)
    if entity.updated_at is not None:
        why = _comment(
            "never null and without a default: set to the time of every change made through Dotpeen"
        )
        yield f"updated_at = {_text(entity.updated_at)}{why}"
    for remark in _remarks(entity):
        yield f"# {_cut(remark)}"
    if entity.links:
        yield "# Relations, from the foreign keys (found without being written here):"
        for columns, target in entity.links[:_MAX_LINKS]:
            yield f"#   {_cut(_names(columns))} -> {target}"
        if len(entity.links) > _MAX_LINKS:
            yield f"#   and {len(entity.links) - _MAX_LINKS} more"


def _key_reason(entity: ProposedEntity) -> str:
    if not entity.table.primary_key:
        return "the table has no primary key; these are unique and never null"
    if any(entity.table.columns[name].type == "uuid" for name in entity.primary_key):
        return "a UUID already, but internal: what partners hold on to is a UUID of its own"
    return ""


def _business_id(entity: ProposedEntity) -> Iterator[str]:
    guess = entity.business_id
    others = ", ".join(_names(columns) for columns in guess.alternatives)
    if guess.columns:
        also = f"; also unique: {others}" if others else ""
        yield f"business_id = {_columns(guess.columns)}{_comment(guess.reason + also)}"
    elif guess.candidate:
        doubt = _comment("reads like one, but is not unique in the database")
        yield f"# business_id = {_columns(guess.candidate)}{doubt}"
    else:
        none = f"none suggests itself; unique beside the primary key: {others}" if others else guess.reason
        yield f"# business_id: {_cut(none)}"


def _uuid(entity: ProposedEntity) -> Iterator[str]:
    guess, table = entity.uuid, entity.table
    if guess.storage == "sidecar":
        yield f'uuid = {{ storage = "sidecar" }}{_comment(guess.reason)}'
    else:
        parts = [f"column = {_text(guess.column)}"]
        if guess.exists:
            parts.append(f'type = "{guess.type}"')
        if guess.version != 4:
            parts.append(f"version = {guess.version}")
        yield f"uuid = {{ {', '.join(parts)} }}{_comment(guess.reason)}"
        if guess.exists and table.columns[guess.column].type not in ("uuid", "text"):
            yield "# Change its type to text first, which rewrites nothing: `check` says how."
        if guess.foreign_default:
            yield "# Its default makes no UUID of version 4 or 7: drop or replace it first, `check` says how."
    if guess.others:
        others = ", ".join(_shown(name) for name in guess.others)
        yield f"# {_cut('also holds UUIDs, of what only you know: ' + others)}"


def _remarks(entity: ProposedEntity) -> Iterator[str]:
    table = entity.table
    if table.row_security:
        yield "Row level security hides rows from this role: migrate as a role that sees them all."
    if table.persistence == "u":
        yield "The table is unlogged: a crash of the server empties it."
    if table.kind == "partitioned":
        yield f"Partitioned, {len(table.leaves)} partitions: the UUID's uniqueness is kept per partition."
    if not table.owned and not table.may_trigger:
        yield "Without the TRIGGER privilege new rows get their UUID only when the migration runs again."


def _columns(columns: Sequence[str]) -> str:
    if len(columns) == 1:
        return _text(columns[0])
    return "[" + ", ".join(_text(name) for name in columns) + "]"


def _names(columns: Sequence[str]) -> str:
    shown = ", ".join(_shown(name) for name in columns)
    return shown if len(columns) == 1 else f"({shown})"


def _text(value: str) -> str:
    """Write a TOML basic string: quotes, backslashes and everything unprintable escaped."""
    return '"' + "".join(_escape(char) for char in value) + '"'


def _escape(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if char.isprintable():
        return char
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08x}"


def _shown(name: str) -> str:
    """Show a name in a comment: as it is where it can be, escaped where it would break the line."""
    return name if name.isprintable() and name.strip() == name else _text(name)


def _comment(text: str) -> str:
    return f"  # {_cut(text)}" if text else ""


def _cut(text: str) -> str:
    line = "".join(char if char.isprintable() else " " for char in text)
    return line if len(line) <= _MAX_COMMENT else line[: _MAX_COMMENT - 1].rstrip() + "…"
