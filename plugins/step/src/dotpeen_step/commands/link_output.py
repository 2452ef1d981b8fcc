"""What `dotpeen step link`, `unlink` and `links` say, to people and as JSON."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from dotpeen.cli.context import Context
from dotpeen_step.inspection.printing import plain
from dotpeen_step.linking.candidates import Candidate
from dotpeen_step.linking.link import Linked
from dotpeen_step.linking.links import Link
from dotpeen_step.linking.parts import REFERENCE, Part
from dotpeen_step.linking.unlink import Unlinked

_FOUND_BY = {
    "persistent-uuid": "found by the part's own UUID in the file",
    "linked-uuid": "found by a UUID that is linked to the part",
    "part-number": "found by the part number",
    "said": "as you said",
}
_OTHERS_SHOWN = 10
_LONGEST = 1000
"""Characters of a line."""


def print_linked(shared: Context, made: Linked) -> None:
    """Say what a link did."""
    one = made.link
    what = one.file.name if one.file is not None else f"UUID {one.revision_uuid}"
    verb = "is linked to" if made.outcome == "linked" else "was linked already to"
    _say(shared, f"{made.part} {verb} {what}")
    if one.product is not None:
        _say(shared, f"  product {one.product}, {_FOUND_BY[one.matched_by]}")
    if one.revision_uuid is None:
        _say(shared, f"  the file gives this revision no UUID: {REFERENCE} stays as it is")
        _say(shared, "  stamp one into it: dotpeen step stamp")
    elif made.current:
        _say(shared, f"  {REFERENCE} is {one.revision_uuid}")
    else:
        _say(shared, f"  its UUID is {one.revision_uuid}; another revision is the current one")
    for other in made.others[:_OTHERS_SHOWN]:
        _say(shared, f"  it could have been: {other}")


def print_unlinked(shared: Context, done: Unlinked) -> None:
    """Say what an unlinking did."""
    count = len(done.links)
    _say(shared, f"{done.part}: {count} link{'' if count == 1 else 's'} taken away")
    if done.current is None:
        _say(shared, f"  no revision is left, and {REFERENCE} with none")
    else:
        _say(shared, f"  the current revision is {done.current.revision_uuid}")


def print_links(
    shared: Context,
    found: Sequence[Link],
    now: Collection[int],
    parts: Mapping[str, Part],
    *,
    more: bool,
) -> None:
    """Print links, two lines each, under the part that they are of; `parts` are those that are there, by UUID."""
    if not found:
        _say(shared, "Nothing is linked.")
        return
    last = None
    for one in found:
        if one.part != last:
            _say(shared, str(parts.get(one.part, f"a part that is gone, {one.part}")))
            last = one.part
        state = " (current)" if one.id in now else ""
        name = f"  {one.file.name}" if one.file is not None else ""
        identified = one.revision_uuid or f"no UUID, {one.identifier}"
        _say(shared, f"  {identified}{state}{name}")
        _say(shared, f"    {_facts(one)}")
        if one.unlinked_at is not None:
            _say(shared, f"    unlinked {one.unlinked_at:%Y-%m-%d %H:%M} by {one.unlinked_by}")
    if more:
        _say(shared, "… and more; --json lists all")


def _facts(one: Link) -> str:
    facts = []
    if one.product is not None:
        facts.append(str(one.product))
    if one.file is not None:
        edition = "" if one.file.edition is None else f" edition {one.file.edition}"
        facts += [f"{one.file.protocol or 'STEP'}{edition}", one.file.originating_system]
    facts.append(f"linked {one.linked_at:%Y-%m-%d %H:%M} by {one.linked_by}")
    return ", ".join(fact for fact in facts if fact)


def linked_json(made: Linked) -> dict[str, Any]:
    """Return what a link did as one JSON document."""
    return {
        "outcome": made.outcome,
        "part": part_json(made.part),
        "link": link_json(made.link, current=made.current),
        "others": [candidate_json(one) for one in made.others],
    }


def unlinked_json(done: Unlinked) -> dict[str, Any]:
    """Return what an unlinking did as one JSON document."""
    return {
        "part": part_json(done.part),
        "unlinked": [link_json(one, current=False) for one in done.links],
        "current": None if done.current is None else link_json(done.current, current=True),
    }


def links_json(found: Sequence[Link], now: Collection[int]) -> dict[str, Any]:
    """Return links as one JSON document."""
    return {"links": [link_json(one, current=one.id in now) for one in found]}


def link_json(one: Link, *, current: bool) -> dict[str, Any]:
    """Return a link as the site's own people see it."""
    file, product = one.file, one.product
    return {
        "part": one.part,
        "stepUuid": one.revision_uuid,
        "current": current,
        "matchedBy": one.matched_by,
        "linkedAt": one.linked_at,
        "linkedBy": one.linked_by,
        "unlinkedAt": one.unlinked_at,
        "unlinkedBy": one.unlinked_by,
        "product": None
        if product is None
        else {"instance": product.ref, "id": product.id, "name": product.name, "revision": product.revision},
        "file": None
        if file is None
        else {
            "name": file.name,
            "sha256": file.sha256,
            "size": file.size,
            "protocol": file.protocol,
            "edition": file.edition,
            "originatingSystem": file.originating_system,
            "writtenAt": file.written_at,
        },
    }


def part_json(part: Part) -> dict[str, Any]:
    """Return a part."""
    return {"uuid": part.uuid, "number": part.number}


def candidate_json(one: Candidate) -> dict[str, Any]:
    """Return a product that a part could be."""
    return {
        "instance": one.product.product_ref,
        "id": one.product.id,
        "name": one.product.name,
        "revision": one.product.revision,
        "uuids": list(one.revision_uuids("")),
    }


def _say(shared: Context, text: str) -> None:
    # Files say what they are called, and partners send files.
    shared.out.print(plain(text, _LONGEST), markup=False, highlight=False, soft_wrap=True)
