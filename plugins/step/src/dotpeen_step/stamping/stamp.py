"""Stamp a file: plan the edits, and write the new file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dotpeen_step.inspection.carriers import Carrier
from dotpeen_step.part21.file import Part21File
from dotpeen_step.stamping.matching import Wanted
from dotpeen_step.stamping.plan import StampPlan, plan_stamps
from dotpeen_step.stamping.writing import version_of, write_edited


@dataclass(frozen=True, slots=True)
class Stamped:
    """What became of a file."""

    plan: StampPlan
    size: int | None
    """Bytes of the new file; None where none was written."""


def stamp(
    source: Path,
    wanted: Sequence[Wanted],
    target: Path | None,
    *,
    carrier: Carrier = Carrier.USER_DEFINED,
    durable: bool = True,
) -> Stamped:
    """Write `source` with the parts' UUIDs as `target`, which may be the same file; None writes nothing.

    A file that carries them all already becomes a copy, and is left alone where it would take its own place.
    Raises what `plan_stamps` does, and `ConfigurationError` where the file can't be written.
    """
    version = version_of(source)
    with Part21File.open(source) as file:
        plan = plan_stamps(file, wanted, carrier)
    if target is None or (not plan.edits and target.exists() and target.samefile(source)):
        return Stamped(plan, None)
    return Stamped(plan, write_edited(source, target, plan.edits, version=version, durable=durable))
