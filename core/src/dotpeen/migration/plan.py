"""The plan: registry and catalog in, steps out; nothing runs."""

from __future__ import annotations

from collections.abc import Mapping

from dotpeen.database import Catalog, Connection
from dotpeen.errors import PreflightError
from dotpeen.migration.model import Finding, Plan, Stage, Step, Target
from dotpeen.migration.preflight import preflight
from dotpeen.migration.stages import backfill, enforce, expand, index, verify

APPLY = {
    Stage.EXPAND: expand.apply,
    Stage.BACKFILL: backfill.apply,
    Stage.INDEX: index.apply,
    Stage.ENFORCE: enforce.apply,
    Stage.VERIFY: verify.apply,
}
"""What each stage does."""

REMOVE = {Stage.ENFORCE: enforce.remove, Stage.INDEX: index.remove, Stage.EXPAND: expand.remove}
"""How each stage is undone; the backfill leaves the UUIDs where they are."""


def steps_for(target: Target, *, to: Stage = Stage.VERIFY) -> list[Step]:
    """Return the steps of one entity up to a stage, those done already marked so."""
    return [step for stage in Stage if stage.position <= to.position for step in APPLY[stage](target)]


def make_plan(
    connection: Connection,
    catalog: Catalog,
    targets: Mapping[str, Target],
    *,
    to: Stage = Stage.VERIFY,
    findings: tuple[Finding, ...] = (),
) -> Plan:
    """Plan all entities and look at what could get in the way."""
    found = (*findings, *preflight(connection, catalog, dict(targets)))
    steps = tuple(step for target in targets.values() for step in steps_for(target, to=to))
    sizes = {name: target.table.total_bytes for name, target in targets.items()}
    return Plan(catalog.database, catalog.server_version, steps, found, sizes)


def require_sound(plan: Plan) -> None:
    """Raise `PreflightError` with every error that preflight found."""
    errors = [finding for finding in plan.findings if finding.level == "error"]
    if not errors:
        return
    lines = [
        f"{f.entity + ': ' if f.entity else ''}{f.message}" + (f" ({f.hint})" if f.hint else "")
        for f in errors
    ]
    raise PreflightError(
        "the database is not ready; nothing was changed:\n" + "\n".join(f"  - {line}" for line in lines),
        hint="put this right and run the command again",
    )
