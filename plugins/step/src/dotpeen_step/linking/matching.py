"""Which product of a file is the part: certain, or an error that names what it could be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dotpeen.errors import DotpeenError
from dotpeen.identifiers import find_uuid
from dotpeen_step.linking.candidates import Candidate
from dotpeen_step.linking.links import MatchedBy

EVIDENCE: Final[tuple[MatchedBy, ...]] = ("persistent-uuid", "linked-uuid", "part-number")
"""What makes a product certain, the strongest first."""
_NAMED: Final = 10
"""Candidates that a message names."""


@dataclass(frozen=True, slots=True)
class KnownPart:
    """What is known of a part before its file is looked at."""

    uuid: str
    number: str | None
    linked: frozenset[str] = frozenset()
    """UUIDs of revisions that are linked to it."""

    def __str__(self) -> str:
        return f"Part {self.number or self.uuid}"


@dataclass(frozen=True, slots=True)
class Match:
    """The product that is the part."""

    candidate: Candidate
    matched_by: MatchedBy
    others: tuple[Candidate, ...] = ()
    """What else it could have been: products that weaker evidence speaks for."""


class UnclearProductError(DotpeenError):
    """No product of a file is certainly the part; `candidates` are those that it could be."""

    def __init__(self, message: str, candidates: Sequence[Candidate], *, hint: str | None = None) -> None:
        self.candidates = tuple(candidates)
        named = "; ".join(str(one) for one in candidates[:_NAMED])
        more = f"; and {len(candidates) - _NAMED} more" if len(candidates) > _NAMED else ""
        super().__init__(f"{message}: {named}{more}" if candidates else message, hint=hint)


class UnclearRevisionError(DotpeenError):
    """A product has several UUIDs that could be its revision's; `uuids` are those."""

    def __init__(self, message: str, uuids: Sequence[str]) -> None:
        self.uuids = tuple(uuids)
        super().__init__(f"{message}: {', '.join(uuids[:_NAMED])}", hint="say which: --uuid UUID")


def evidence(candidate: Candidate, part: KnownPart) -> tuple[MatchedBy, ...]:
    """Return what speaks for a product being the part, the strongest first."""
    known = candidate.known_by
    speaks: Mapping[MatchedBy, bool] = {
        "persistent-uuid": part.uuid in known,
        "linked-uuid": bool((known - {part.uuid}) & part.linked),
        "part-number": part.number is not None and candidate.product.id == part.number,
    }
    return tuple(kind for kind in EVIDENCE if speaks[kind])


def match(
    found: Sequence[Candidate],
    part: KnownPart,
    *,
    file: str,
    chosen: str | None = None,
    shared: Mapping[int, int] | None = None,
) -> Match:
    """Return the product that is the part.

    `chosen` is how a person names it: its id, its name, a UUID of it, or `#12`. `shared` has by PRODUCT how many
    UUIDs it has in common with linked revisions: a hint for people, as a copy of a model keeps them, too. Raises
    `UnclearProductError`.
    """
    if not found:
        raise UnclearProductError(f"{file} has no product", ())
    if chosen is not None:
        return Match(_chosen(found, chosen, file), "said")
    by_kind = [(kind, [one for one in found if kind in evidence(one, part)]) for kind in EVIDENCE]
    for kind, speaking in by_kind:
        if len(speaking) == 1:
            weaker = [one for _, others in by_kind for one in others if one is not speaking[0]]
            return Match(speaking[0], kind, tuple(dict.fromkeys(weaker)))
        if speaking:
            raise UnclearProductError(
                f"{len(speaking)} products of {file} could be {part} (by {kind})", speaking, hint=_HINT
            )
    ordered = sorted(found, key=lambda one: -(shared or {}).get(one.product.product_ref, 0))
    most = (shared or {}).get(ordered[0].product.product_ref, 0)
    hint = _HINT
    if most:
        hint += f"; the first has {most:,} UUIDs in common with revisions that are linked already"
    raise UnclearProductError(f"no product of {file} is certainly {part}; it has", ordered, hint=hint)


def revision_uuid(candidate: Candidate, part: KnownPart, *, chosen: str | None = None) -> str | None:
    """Return the UUID of a product's revision; None where the file gives it none.

    `chosen` is the one that a person says. Raises `UnclearRevisionError`, and `UnclearProductError` for a chosen one
    that the product doesn't have.
    """
    if chosen is not None:
        if chosen not in candidate.known_by:
            raise UnclearProductError(f"{chosen} is no UUID of the product; that is", [candidate])
        return chosen
    uuids = candidate.revision_uuids(part.uuid)
    if len(uuids) > 1:
        raise UnclearRevisionError(f"product {candidate.called} has several UUIDs", uuids)
    return uuids[0] if uuids else None


_HINT: Final = "say which: --product ID, NAME, UUID or #INSTANCE"


def _chosen(found: Sequence[Candidate], text: str, file: str) -> Candidate:
    uuid = find_uuid(text)
    for fitting in (
        [one for one in found if uuid in one.known_by],
        [one for one in found if f"#{one.product.product_ref}" == text],
        [one for one in found if one.product.id == text],
        [one for one in found if one.product.name == text],
    ):
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise UnclearProductError(
                f"{len(fitting)} products of {file} are called {text!r}", fitting, hint=_HINT
            )
    raise UnclearProductError(f"{file} has no product {text!r}; it has", found)
