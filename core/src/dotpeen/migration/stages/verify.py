"""Verify: the read-only checks of `dotpeen.migration.verification`, as the last step of the plan."""

from __future__ import annotations

from dotpeen.migration.model import Lock, Stage, Step, Target


def apply(target: Target) -> list[Step]:
    """One step; what it checks is listed by `dotpeen migrate verify`."""
    return [
        Step(
            entity=target.entity.name,
            stage=Stage.VERIFY,
            name="counts, nulls, duplicates, form, keys, index, lookups",
            table=target.table.name,
            lock=Lock.NONE,
            mode="check",
            long=True,
            done=target.verified,
            # Two scans and an aggregate.
            seconds=target.table.estimated_rows / 1_000_000,
        )
    ]
