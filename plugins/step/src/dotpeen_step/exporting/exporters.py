"""The format `step` of `dotpeen export`, and of the route `…/export/step`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Final

from dotpeen.errors import InvalidQueryError
from dotpeen.hooks import ExportDocument, Exporter, ExportRequest
from dotpeen_step.exporting.columns import PartColumns
from dotpeen_step.exporting.contents import read_contents
from dotpeen_step.exporting.part import Site, digest, write_part
from dotpeen_step.inspection.carriers import Carrier
from dotpeen_step.stamping.plan import CARRIERS
from dotpeen_step.stamping.uuid_attribute import require_entity

MEDIA_TYPE: Final = "model/step"
_CHOICES: Final = ", ".join(carrier.value for carrier in CARRIERS)


def exporters(entity: str, columns: PartColumns, *, number: str | None) -> Sequence[Exporter]:
    """Return the format for the parts. `number` is the column of the part number, None where the registry tells."""
    return [
        Exporter(
            format="step",
            media_type=MEDIA_TYPE,
            extension=".stp",
            entities=(entity,),
            open=lambda request: open_document(request, columns, number=number),
            options={
                "carrier": f"What holds the UUID, joined by commas: {_CHOICES}. Default: {CARRIERS[0].value}."
            },
            summary="A part as a STEP file (ISO 10303-242) without geometry.",
        )
    ]


def open_document(request: ExportRequest, columns: PartColumns, *, number: str | None) -> ExportDocument:
    """Return the document. Raises what `read_contents` does, and `InvalidQueryError` for a wrong option."""
    carriers = _carriers(request.options)
    part = read_contents(request, columns, number=number)
    if Carrier.UUID_ATTRIBUTE in carriers:
        require_entity(part.uuid)
    name = f"{part.number or part.uuid}.stp"
    site = Site(request.registry.site.name, version("dotpeen-step"))
    content = write_part(part, site, file_name=name, carriers=carriers)
    return ExportDocument(file_name=name, chunks=iter([content]), etag=digest(content))


def _carriers(options: Mapping[str, str]) -> tuple[Carrier, ...]:
    chosen = [one.strip() for one in options.get("carrier", CARRIERS[0].value).split(",")]
    known = {carrier.value: carrier for carrier in CARRIERS}
    for one in chosen:
        if one not in known:
            raise InvalidQueryError("carrier", f"{one!r} is none of {_CHOICES}")
    return tuple(known[one] for one in dict.fromkeys(chosen))
