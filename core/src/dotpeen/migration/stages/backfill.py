"""Backfill: give every row that is there its UUID, in small committed batches (see `dotpeen.migration.backfill`)."""

from __future__ import annotations

from dotpeen.migration.fill import Fill
from dotpeen.migration.model import Lock, Stage, Step, Target
from dotpeen.migration.ranges import Range

ROWS_PER_SECOND = 20_000
"""For estimates: one worker on a table of twenty columns and five indexes."""


def apply(target: Target) -> list[Step]:
    """One step; its SQL is the statement of a batch."""
    fill = Fill(target)
    after, up_to = ([f":{end}_{name}" for name in fill.keys.names] for end in ("after", "up_to"))
    unit = target.table.leaves[0] if target.table.leaves else target.table.name
    statement = fill.batch(Range(0, unit, after, up_to), fill.stripes - 1)
    rows = 0 if target.backfilled else target.table.estimated_rows
    return [
        Step(
            entity=target.entity.name,
            stage=Stage.BACKFILL,
            name="fill rows in batches",
            table=target.table.name,
            sql=(statement.as_string(),),
            lock=Lock.ROW_EXCLUSIVE,
            mode="rows",
            long=True,
            done=target.backfilled,
            rows=rows,
            seconds=rows / ROWS_PER_SECOND,
        )
    ]
