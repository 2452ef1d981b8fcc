"""Stamp a file: plan the edits, and write the new file."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dotpeen_step.inspection.carriers import Carrier
from dotpeen_step.part21.file import Part21File
from dotpeen_step.stamping.matching import Wanted
from dotpeen_step.stamping.placing import last_closing
from dotpeen_step.stamping.plan import StampPlan, plan_stamps
from dotpeen_step.stamping.writing import Version, drafting

_WORTH_IT: Final = 8 << 20
"""Bytes of a file from which it is worth while to begin to copy before it is certain that it will be stamped."""


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
    with ExitStack() as stack:
        read = Version.at(source)
        file = stack.enter_context(Part21File.open(source))
        draft = None
        if target is not None:
            # Copied while the file is looked over: both take about as long.
            ahead = last_closing(file) if carrier is not Carrier.ANCHOR and file.size >= _WORTH_IT else None
            draft = stack.enter_context(
                drafting(source, target, ahead=ahead or 0, durable=durable, read=read)
            )
        plan = plan_stamps(file, wanted, carrier)
        if (
            draft is None
            or target is None
            or (not plan.edits and target.exists() and target.samefile(source))
        ):
            return Stamped(plan, None)
        return Stamped(plan, draft.finish(plan.edits))
