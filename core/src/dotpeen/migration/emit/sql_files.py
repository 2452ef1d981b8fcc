"""The plan as psql scripts: one that migrates, one that undoes it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from dotpeen import __version__
from dotpeen.migration.emit.downgrade import downgrade_sections
from dotpeen.migration.emit.script import Block, Section
from dotpeen.migration.emit.upgrade import upgrade_sections, verification_query
from dotpeen.migration.model import Plan, Stage, Target
from dotpeen.registry import Registry

_RULE = "-- " + "=" * 100


def up_script(plan: Plan, targets: Mapping[str, Target], registry: Registry, *, name: str, to: Stage) -> str:
    """The script that migrates; it may be run again at any time and goes on where it stopped."""
    sections = upgrade_sections(plan, targets, registry.migration, to=to)
    head = _header(
        f"Permanent UUIDs for {', '.join(targets)}, to stage {to}.",
        plan,
        registry,
        name,
        (
            "Run it again at any time: what is done is skipped, the backfill goes on where it was.",
            "Not in one transaction (no -1): it commits step by step, so that no lock is held for long.",
            "Afterwards `dotpeen migrate up` finds everything done, and `dotpeen migrate verify` proves it.",
        ),
    )
    queries = ""
    if to is Stage.VERIFY:
        union = "\nUNION ALL\n".join(verification_query(target) for target in targets.values())
        queries = f"\n{_RULE}\n-- The result, for your eyes\n\n{union};\n"
    body = _sections(sections[:-1]) + queries + _sections(sections[-1:])
    return head + body


def undo_script(plan: Plan, targets: Mapping[str, Target], registry: Registry, *, name: str) -> str:
    """The script that takes everything back after keeping every issued UUID."""
    head = _header(
        f"Take back the UUIDs of {', '.join(targets)}.",
        plan,
        registry,
        name,
        (
            "Every UUID is first kept in dotpeen.issued: migrating again gives each record the same one.",
            "Run it again at any time: what is done is skipped. Same as: dotpeen migrate down",
        ),
    )
    return head + _sections(downgrade_sections(targets, registry.migration))


def _header(title: str, plan: Plan, registry: Registry, name: str, notes: Sequence[str]) -> str:
    version = f"{plan.server_version // 10000}.{plan.server_version % 10000}"
    lines = [
        title,
        "",
        f"Made by dotpeen {__version__} for site {_one_line(registry.site.name)}, database {_one_line(plan.database)},",
        f"PostgreSQL {version}. Run it as the owner of the tables:",
        "",
        f"    psql -X -v ON_ERROR_STOP=1 -f {name} DATABASE_URL",
        "",
        *notes,
    ]
    if plan.findings:
        lines += ["", "What was noticed when it was made:"]
        lines += [
            f"  {finding.level}: {finding.entity + ': ' if finding.entity else ''}{_one_line(finding.message)}"
            for finding in plan.findings
            # Free space and other sessions are of that moment only.
            if finding.entity
        ]
        if lines[-1].endswith(":"):
            lines = lines[:-2]
    commented = "".join(f"-- {line}".rstrip() + "\n" for line in lines)
    # The session's messages are progress; tables of what a procedure returned are not.
    return f"{_RULE}\n{commented}{_RULE}\n\n\\set ON_ERROR_STOP on\n\\set QUIET on\n"


def _sections(sections: Sequence[Section]) -> str:
    return "".join(
        f"\n{_RULE}\n-- {_one_line(section.title)}\n\n" + "\n".join(_block(block) for block in section.blocks)
        for section in sections
    )


def _block(block: Block) -> str:
    title = _one_line(block.title)
    lines = [f"-- {title}", *(f"--   {_one_line(note)}" for note in block.notes)]
    statements = [f"{statement};" for statement in block.statements]
    if block.transaction:
        statements = ["BEGIN;", *statements, "COMMIT;"]
    label = title.replace("'", "''").replace("\\", "\\\\")
    if block.pending is None:
        body = statements
    else:
        body = [
            f"{block.pending} AS dotpeen_pending \\gset",
            "\\if :dotpeen_pending",
            f"\\echo '{label}'",
            *statements,
            "\\else",
            f"\\echo '{label}: nothing to do'",
            "\\endif",
        ]
        return "\n".join([*lines, *body]) + "\n"
    echo = [f"\\echo '{label}'"] if block.notes else []
    return "\n".join([*lines, *echo, *body]) + "\n"


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
