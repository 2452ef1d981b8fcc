"""Links as clients of the REST interface send and get them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from dotpeen_step.linking.links import Link, MatchedBy


class Message(BaseModel):
    """A JSON object of the interface: names in camel case, nothing else than what is declared."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class CadLinkRequest(Message):
    """The UUID of a revision whose file is elsewhere."""

    uuid: Annotated[str, Field(description="As the CAD system gives it to the revision.", max_length=100)]


class CadProduct(Message):
    """The product in the file."""

    id: str = Field(description="PRODUCT.id: the part number.")
    name: str
    revision: str = Field(description="PRODUCT_DEFINITION_FORMATION.id.")


class CadFile(Message):
    """The file, as it describes itself."""

    sha256: str
    size: int
    protocol: str | None = Field(description="Application protocol: `AP242`.")
    edition: int | None = Field(description="Of AP242: 1 to 4.")
    originating_system: str
    written_at: str = Field(description="The header's time stamp, word for word.")


class CadLink(Message):
    """One revision of a part's CAD model."""

    step_uuid: str | None = Field(description="The UUID of the revision; null where its file has none.")
    current: bool = Field(description="The part's `stepAp242Uuid` is this one's.")
    matched_by: MatchedBy = Field(description="What told that the product is this part.")
    linked_at: str
    product: CadProduct | None
    file: CadFile | None = Field(description="Null where the revision was linked by its UUID alone.")


class CadLinkMetadata(Message):
    """About the answer."""

    requested_uuid: str
    timestamp: str
    outcome: str | None = Field(
        default=None, description="`linked`, or `unchanged` where it was linked already."
    )


class CadLinkAnswer(Message):
    """One link."""

    data: CadLink
    metadata: CadLinkMetadata


class CadLinkPagination(Message):
    """Where a list goes on."""

    total: int
    limit: int
    offset: int
    has_more: bool
    next_cursor: str | None


class CadLinkPage(Message):
    """Links of a part, the latest first."""

    data: list[CadLink]
    pagination: CadLinkPagination


def cad_link(link: Link, *, current: bool) -> CadLink:
    """Return a link as partners may see it: no name of a file or of a person of the site."""
    product, file = link.product, link.file
    return CadLink(
        step_uuid=link.revision_uuid,
        current=current,
        matched_by=link.matched_by,
        linked_at=written(link.linked_at),
        product=None
        if product is None
        else CadProduct(id=product.id, name=product.name, revision=product.revision),
        file=None
        if file is None
        else CadFile(
            sha256=file.sha256,
            size=file.size,
            protocol=file.protocol,
            edition=file.edition,
            originating_system=file.originating_system,
            written_at=file.written_at,
        ),
    )


def metadata(uuid: str, outcome: str | None = None) -> CadLinkMetadata:
    """Return what stands beside a link."""
    return CadLinkMetadata(requested_uuid=uuid, timestamp=written(datetime.now(UTC)), outcome=outcome)


def written(moment: datetime) -> str:
    """Return a moment as the interface writes it: microseconds, UTC."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def page(
    links: Sequence[Link], current: Link | None, *, total: int, limit: int, offset: int
) -> dict[str, Any]:
    """Return a page; `links` has one more than it shows where there are more."""
    shown = links[:limit]
    more = len(links) > limit
    found = CadLinkPage(
        data=[cad_link(one, current=current is not None and current.id == one.id) for one in shown],
        pagination=CadLinkPagination(
            total=total,
            limit=limit,
            offset=offset,
            has_more=more,
            next_cursor=written(shown[-1].linked_at) if more else None,
        ),
    )
    return found.model_dump(by_alias=True)
