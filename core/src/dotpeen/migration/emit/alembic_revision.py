"""The plan as one Alembic revision that needs nothing but Alembic: `upgrade` migrates, `downgrade` keeps and undoes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from dotpeen import __version__
from dotpeen.migration.emit.downgrade import downgrade_sections
from dotpeen.migration.emit.script import Block, Section
from dotpeen.migration.emit.upgrade import upgrade_sections
from dotpeen.migration.model import Plan, Stage, Target
from dotpeen.registry import Registry

_TEMPLATE = '''"""Permanent UUIDs for {entities}, to stage {stage}.

Made by dotpeen {version}. It commits step by step, so that no lock is held for long; interrupted and run again it
goes on where it was. downgrade() keeps every issued UUID in dotpeen.issued, and upgrade() gives it back.

Revision ID: {revision}
Revises: {revises}
"""

from alembic import context, op
from sqlalchemy import text

revision = {revision!r}
down_revision = {down_revision!r}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the UUIDs."""
{upgrade}

def downgrade() -> None:
    """Keep every issued UUID, then take the columns, indexes and triggers away."""
{downgrade}

def _run(*statements: str, pending: str | None = None, transaction: bool = False) -> None:
    """Execute statements: together in one transaction, or each by itself; not at all unless the query is true."""
    if pending is not None and not context.is_offline_mode() and not op.get_bind().scalar(_verbatim(pending)):
        return
    if not transaction:
        with op.get_context().autocommit_block():
            for statement in statements:
                _execute(statement)
        return
    for statement in statements:
        _execute(statement)
    # Entering the block commits: no lock outlives its step.
    with op.get_context().autocommit_block():
        pass


def _execute(statement: str) -> None:
    """Execute one statement, or print it as it stands (`alembic upgrade --sql`)."""
    if context.is_offline_mode():
        implementation = op.get_context().impl
        implementation.static_output(statement + implementation.command_terminator)
    else:
        op.execute(_verbatim(statement))


def _verbatim(statement: str):
    """The statement without SQLAlchemy's reading of `:name` as a parameter."""
    return text(statement.replace(":", "\\\\:"))
'''


def revision_file(
    plan: Plan,
    targets: Mapping[str, Target],
    registry: Registry,
    *,
    to: Stage,
    down_revision: str | None = None,
) -> tuple[str, str]:
    """Return the revision's id, which is made of its content, and the text of its file."""
    parts = {
        "upgrade": _body(upgrade_sections(plan, targets, registry.migration, to=to)),
        "downgrade": _body(downgrade_sections(targets, registry.migration)),
    }
    digest = hashlib.sha256("\0".join([*parts.values(), down_revision or ""]).encode())
    revision = digest.hexdigest()[:12]
    text = _TEMPLATE.format(
        entities=", ".join(targets),
        stage=to,
        version=__version__,
        revision=revision,
        revises=down_revision or "",
        down_revision=down_revision,
        **parts,
    )
    return revision, text.replace("Revises: \n", "Revises:\n")


def _body(sections: Sequence[Section]) -> str:
    lines = []
    for section in sections:
        lines.append(f"    # {_one_line(section.title)}\n")
        lines += [_call(block) for block in section.blocks]
    return "".join(lines)


def _call(block: Block) -> str:
    comment = "".join(f"    # {_one_line(line)}\n" for line in (block.title, *block.notes))
    arguments = [_literal(statement) for statement in block.statements]
    if block.pending is not None:
        arguments.append(f"pending={_literal(block.pending)}")
    if block.transaction:
        arguments.append("transaction=True")
    return comment + "    _run(\n" + "".join(f"        {argument},\n" for argument in arguments) + "    )\n"


def _literal(text: str) -> str:
    """A Python literal that a reviewer can read."""
    if "\n" not in text:
        return repr(text)
    for quote in ('"""', "'" * 3):
        # The line break before the closing quotes keeps a quote at the end of the SQL apart from them.
        if quote not in text:
            return f"{'r' if chr(92) in text else ''}{quote}\n{text}\n{quote}"
    return repr(text)


def _one_line(text: str) -> str:
    return " ".join(text.split())
