"""An inspection as one JSON document."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from dotpeen_step.inspection.assembly import rows
from dotpeen_step.inspection.findings import Finding
from dotpeen_step.inspection.inspect import Inspection
from dotpeen_step.inspection.pmi.report import pmi_document
from dotpeen_step.inspection.products import Product, Usage
from dotpeen_step.inspection.schema import SchemaInfo
from dotpeen_step.inspection.uuids import UuidOccurrence

_PIECE: Final = 256
"""Items written at a time."""


def document(inspection: Inspection) -> dict[str, Any]:
    """Return the document as a whole, for small files; `json_text` writes the same in pieces."""
    return {name: list(value) if _is_listed(value) else value for name, value in _members(inspection)}


def json_text(inspection: Inspection) -> Iterator[str]:
    """Yield the document's text in pieces, so that it needs no memory of its own. One line for each item."""
    before = "{\n"
    for name, value in _members(inspection):
        yield f"{before}  {_json(name)}: "
        before = ",\n"
        if _is_listed(value):
            yield from _list_text(value)
        else:
            yield _json(value)
    yield "\n}\n"


def _list_text(items: Iterable[Any]) -> Iterator[str]:
    pieces: list[str] = []
    empty = True
    for item in items:
        pieces.append(f"{'[' if empty else ','}\n    {_json(item)}")
        empty = False
        if len(pieces) >= _PIECE:
            yield "".join(pieces)
            pieces.clear()
    yield "".join(pieces) + ("[]" if empty else "\n  ]")


def _members(inspection: Inspection) -> Iterator[tuple[str, Any]]:
    """Yield names and values of the document; lists of any length as iterators."""
    header = inspection.header
    yield "file", inspection.file
    yield "size", inspection.size
    yield "sha256", inspection.sha256
    yield "originatingSystem", inspection.originating_system
    yield "schemas", [_schema(schema) for schema in inspection.schemas]
    yield "part21", {"implementationLevel": header.implementation_level, "edition": header.edition}
    yield (
        "header",
        {
            "description": header.description,
            "name": header.name,
            "timeStamp": header.time_stamp,
            "author": header.author,
            "organization": header.organization,
            "preprocessorVersion": header.preprocessor_version,
            "authorisation": header.authorisation,
        },
    )
    yield "products", map(_product, inspection.products)
    yield "usages", map(_usage, inspection.usages)
    yield "roots", _roots(inspection)
    yield "uuids", map(occurrence_document, inspection.uuids)
    products = {product.product_ref: product for product in inspection.products}
    yield "pmi", (pmi_document(one, products) for one in inspection.pmi)
    yield "findings", map(finding_document, inspection.findings)
    yield "leftOut", inspection.left_out
    yield "errors", inspection.errors
    yield "warnings", inspection.warnings


def _roots(inspection: Inspection) -> list[int]:
    """Return the instance names of the definitions that the assembly starts from."""
    return [
        row.product.definition_ref
        for row in rows(inspection.parts, inspection.usages)
        if row.depth == 0 and row.product.definition_ref is not None
    ]


def _schema(schema: SchemaInfo) -> dict[str, Any]:
    return {
        "raw": schema.raw,
        "name": schema.name,
        "oid": schema.oid,
        "protocol": schema.protocol,
        "edition": schema.edition,
        "prototype": schema.prototype,
    }


def _product(product: Product) -> dict[str, Any]:
    return {
        "id": product.id,
        "name": product.name,
        "description": product.description,
        "revision": product.revision,
        "isDocument": product.is_document,
        "productRef": product.product_ref,
        "formationRef": product.formation_ref,
        "definitionRef": product.definition_ref,
        "shapeRefs": product.shape_refs,
    }


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "ref": usage.ref,
        "parent": usage.parent,
        "child": usage.child,
        "id": usage.id,
        "name": usage.name,
    }


def occurrence_document(one: UuidOccurrence) -> dict[str, Any]:
    """Return one UUID of the document."""
    return {
        "uuid": one.uuid,
        "text": one.text,
        "carrier": one.carrier.value,
        "carrierRef": one.carrier_ref,
        "offset": one.offset,
        "label": one.label,
        "targetRef": one.target_ref,
        "targetKeyword": one.target_keyword,
        "targetName": one.target_name,
        "kind": one.kind,
        "productRef": one.product_ref,
    }


def finding_document(finding: Finding) -> dict[str, Any]:
    """Return one finding of the document."""
    return {
        "severity": finding.severity,
        "rule": finding.rule,
        "message": finding.message,
        "hint": finding.hint,
        "line": finding.line,
        "byte": finding.byte,
    }


def _is_listed(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (str, Mapping))


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    # Half a surrogate pair, which a file may have, is nothing that UTF-8 can say.
    return text if text.isascii() or _is_utf8(text) else json.dumps(value)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
