"""`dotpeen migrate export`: the plan as psql scripts, an Alembic revision or a Prisma migration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dotpeen.cli.context import EntityOption, JsonOption, PhaseOption, current
from dotpeen.errors import ConfigurationError
from dotpeen.migration import Plan, Runner, Stage
from dotpeen.migration.emit import prisma_files, revision_file, undo_script, up_script, write_files
from dotpeen.migration.model import Target
from dotpeen.migration.plan import require_sound
from dotpeen.plugins import load_plugins
from dotpeen.registry import Registry


class Format(StrEnum):
    """What the plan can be exported as."""

    SQL = "sql"
    ALEMBIC = "alembic"
    PRISMA = "prisma"


def export(
    context: typer.Context,
    *,
    format: Annotated[Format, typer.Option("--format", "-f", help="What to write.")],  # noqa: A002 - the option's name
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="PATH", help="Folder to write to, or the .sql or .py file."),
    ] = Path(),
    phase: PhaseOption = None,
    entity: EntityOption = None,
    to: Annotated[Stage | None, typer.Option("--to", help="Stop after this stage (not for prisma).")] = None,
    down_revision: Annotated[
        str | None, typer.Option("--down-revision", metavar="REV", help="alembic: the revision before it.")
    ] = None,
    schema_prisma: Annotated[
        Path | None,
        typer.Option("--schema-prisma", metavar="FILE", help="prisma: your schema, to add the fields to."),
    ] = None,
    timestamp: Annotated[
        str | None,
        typer.Option(
            "--timestamp", metavar="YYYYMMDDHHMMSS", help="prisma: of the migration; default: now, UTC."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write the plan as files to review, or to run without Dotpeen; the database stays as it is."""
    shared = current(context)
    _check_options(
        format, to=to, down_revision=down_revision, schema_prisma=schema_prisma, timestamp=timestamp
    )
    schema = _read(schema_prisma) if schema_prisma else None
    entities = shared.registry.select(phase=phase, names=tuple(entity or ()))
    with Runner(shared.url, shared.registry, entities, plugins=load_plugins(shared.registry)) as runner:
        plan = runner.plan(to=to or Stage.VERIFY)
        require_sound(plan)
        _, found = runner.targets()
    targets = {name: target for name, target in found.items() if target is not None}
    if format is Format.SQL:
        contents = _sql(plan, targets, shared.registry, output, to or Stage.VERIFY)
    elif format is Format.ALEMBIC:
        contents = _alembic(plan, targets, shared.registry, output, to or Stage.VERIFY, down_revision)
    else:
        contents = _prisma(targets, output, timestamp, schema_prisma, schema)
    write_files({path: text.encode() for path, text in contents.items()}, force=force)
    if as_json:
        shared.print_json(
            {"format": format, "entities": list(targets), "files": [str(path) for path in contents]}
        )
    for line in (*(f"Wrote {path}" for path in contents), *_next(format, list(contents))):
        shared.err.print(line, markup=False, highlight=False, soft_wrap=True)


def _check_options(
    chosen: Format,
    *,
    to: Stage | None,
    down_revision: str | None,
    schema_prisma: Path | None,
    timestamp: str | None,
) -> None:
    options = (
        ("--down-revision", down_revision, Format.ALEMBIC),
        ("--schema-prisma", schema_prisma, Format.PRISMA),
        ("--timestamp", timestamp, Format.PRISMA),
    )
    for option, value, wanted in options:
        if value is not None and chosen is not wanted:
            raise ConfigurationError(f"{option} is for --format {wanted}", hint=f"leave it out for {chosen}")
    if to is not None and chosen is Format.PRISMA:
        raise ConfigurationError(
            "--to is not for --format prisma: Prisma knows the end state only", hint="leave --to out"
        )
    if timestamp is not None and re.fullmatch(r"[0-9]{14}", timestamp) is None:
        raise ConfigurationError(
            f"--timestamp {timestamp!r} is no YYYYMMDDHHMMSS", hint="such as 20251107000000"
        )
    if down_revision is not None and re.fullmatch(r"[\w.\-]+", down_revision) is None:
        raise ConfigurationError(f"--down-revision {down_revision!r} is no revision id")


def _sql(
    plan: Plan, targets: Mapping[str, Target], registry: Registry, output: Path, to: Stage
) -> dict[Path, str]:
    up = output if output.suffix == ".sql" else output / "dotpeen_uuids.sql"
    undo = up.with_name(f"{up.stem}_undo.sql")
    return {
        up: up_script(plan, targets, registry, name=up.name, to=to),
        undo: undo_script(plan, targets, registry, name=undo.name),
    }


def _alembic(
    plan: Plan,
    targets: Mapping[str, Target],
    registry: Registry,
    output: Path,
    to: Stage,
    down_revision: str | None,
) -> dict[Path, str]:
    revision, text = revision_file(plan, targets, registry, to=to, down_revision=down_revision)
    return {output if output.suffix == ".py" else output / f"{revision}_dotpeen_uuids.py": text}


def _prisma(
    targets: Mapping[str, Target],
    output: Path,
    timestamp: str | None,
    schema_path: Path | None,
    schema: str | None,
) -> dict[Path, str]:
    when = timestamp or datetime.now(UTC).strftime("%Y%m%d%H%M%S")
    name = schema_path.name if schema_path else "schema.prisma"
    made = prisma_files(targets, timestamp=when, schema=schema, schema_file=name)
    return {output / path: text for path, text in made.items()}


def _read(path: Path) -> str:
    try:
        # Bytes: text mode would turn line ends into others.
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(f"{path} can't be read: {reason}", hint="name your schema.prisma") from None


def _next(chosen: Format, paths: list[Path]) -> list[str]:
    first = paths[0]
    return {
        Format.SQL: [f"Next: review it, then: psql -X -v ON_ERROR_STOP=1 -f {first} DATABASE_URL"],
        Format.ALEMBIC: ["Next: put it into the versions folder, review it, then: alembic upgrade head"],
        Format.PRISMA: [f"Next: {first.with_name('README.md')} says what to run and what to mark as applied"],
    }[chosen]
