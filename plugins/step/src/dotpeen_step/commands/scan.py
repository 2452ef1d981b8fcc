"""`dotpeen step link --scan`: every STEP file of a folder, what its products are, and linking what is certain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import typer
from rich.table import Table

from dotpeen import Records
from dotpeen.cli.context import Context
from dotpeen.errors import DotpeenError
from dotpeen_step.commands.link_output import part_json
from dotpeen_step.inspection import inspect
from dotpeen_step.inspection.printing import plain, print_whole, shown
from dotpeen_step.linking.folder import find_files
from dotpeen_step.linking.naming import product_called
from dotpeen_step.linking.parts import ENTITY, number_column, require_reference
from dotpeen_step.linking.proposals import Proposal, Proposer
from dotpeen_step.plugin import settings

_SHOWN: Final = 200
"""Lines that people are shown; `--json` has all."""
_REASON: Final = 500
"""Characters of what is said of a line."""
_ORDER: Final = ("failed", "ambiguous", "certain", "applied", "linked", "unlinked", "unmatched")
"""What somebody has to look at comes first."""


def scan_folder(
    shared: Context, records: Records, folder: Path, *, apply: bool, by: str, as_json: bool
) -> None:
    """Propose links for a folder, and make those that are certain where asked to; each file by itself.

    What was done stays when it is interrupted; run again, it goes on. Raises `ConfigurationError` for what is no
    folder, and `typer.Exit` with 1 where something is ambiguous or can't be read.
    """
    column = number_column(shared.registry, settings(shared.registry))
    require_reference(records)
    found = find_files(folder)
    skipped = list(found.skipped)
    proposals: list[Proposal] = []
    proposer = Proposer(records, column=column)
    with _progress(shared, len(found.files)) as tell:
        for file in found.files:
            tell(file)
            try:
                inspection = inspect(file)
                proposed = proposer.propose(file, inspection)
                if apply:
                    proposed = proposer.apply(inspection, proposed, by=by)
            except DotpeenError as error:
                skipped.append((file, error.message.removeprefix(f"{file}: ")))
                continue
            proposals += proposed
    counts = Counter(one.status for one in proposals)
    if as_json:
        shared.print_json(_document(folder, found.files, proposals, skipped, apply=apply))
    else:
        _print(shared, proposals, skipped)
        said = ", ".join(f"{counts[status]:,} {status}" for status in _ORDER if counts[status])
        count = f"{_counted(len(found.files), 'file')}, {_counted(len(proposals), 'product')}"
        shared.out.print(f"{count}: {said}" if said else count, markup=False, highlight=False)
        if counts["certain"]:
            shared.out.print("Nothing was written. --apply links what is certain.", highlight=False)
    if skipped or counts["ambiguous"] or counts["failed"]:
        raise typer.Exit(1)


@contextmanager
def _progress(shared: Context, total: int) -> Iterator[Callable[[Path], None]]:
    if not shared.err.is_terminal:
        yield lambda file: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}", markup=False),
    )  # fmt: skip
    with Progress(*columns, console=shared.err, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda file: bar.update(task, advance=1, description=plain(file.name))


def _print(shared: Context, proposals: Sequence[Proposal], skipped: Sequence[tuple[Path, str]]) -> None:
    if proposals:
        table = Table(box=None, pad_edge=False)
        for heading in ("", "Product", "File", ENTITY, "STEP UUID, or why not"):
            table.add_column(heading, overflow="fold", no_wrap=not heading)
        ordered = sorted(proposals, key=lambda one: _ORDER.index(one.status))
        called = Counter(map(_called, proposals))
        for one in ordered[:_SHOWN]:
            instance = f" #{one.product_ref}" if called[_called(one)] > 1 else ""
            table.add_row(
                one.status,
                shown(f"{_called(one)[1]}{instance}"),
                shown(one.file.name),
                shown((one.part.number or one.part.uuid) if one.part is not None else ""),
                shown(one.reason or one.uuid or "no UUID", most=_REASON),
            )
        print_whole(shared.out, table)
        if len(ordered) > _SHOWN:
            shared.out.print(f"… and {len(ordered) - _SHOWN:,} more; --json lists all", highlight=False)
    for file, reason in skipped[:_SHOWN]:
        shared.err.print(
            plain(f"{file}: left out: {reason}", _REASON), markup=False, highlight=False, soft_wrap=True
        )
    if len(skipped) > _SHOWN:
        shared.err.print(f"… and {len(skipped) - _SHOWN:,} more left out", highlight=False)


def _called(one: Proposal) -> tuple[Path, str]:
    return one.file, product_called(one.product_id, one.product_name, one.revision)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _document(
    folder: Path,
    files: Sequence[Path],
    proposals: Sequence[Proposal],
    skipped: Sequence[tuple[Path, str]],
    *,
    apply: bool,
) -> dict[str, Any]:
    counts = Counter(one.status for one in proposals)
    return {
        "folder": str(folder),
        "files": len(files),
        "apply": apply,
        "counts": {status: counts[status] for status in _ORDER} | {"skipped": len(skipped)},
        "proposals": [_proposal(one) for one in proposals],
        "skipped": [{"file": str(file), "reason": reason} for file, reason in skipped],
    }


def _proposal(one: Proposal) -> dict[str, Any]:
    return {
        "file": str(one.file),
        "status": one.status,
        "product": {
            "instance": one.product_ref,
            "id": one.product_id,
            "name": one.product_name,
            "revision": one.revision,
        },
        "stepUuid": one.uuid,
        "part": None if one.part is None else part_json(one.part),
        "matchedBy": one.matched_by,
        "candidates": [part_json(part) for part in one.candidates],
        "reason": one.reason or None,
    }
