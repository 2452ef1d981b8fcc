"""The parts of a document before its results: header, standards, units, devices, product, plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dotpeen_qif.exporting.characteristics import Fitted
from dotpeen_qif.exporting.contents import Contents, PlanContents
from dotpeen_qif.exporting.markup import attributes, element, ids, leaf, listed, number
from dotpeen_qif.model import NAMESPACE, VERSION, Plan, Product, Quantity, Unit
from dotpeen_qif.settings import Standard

STANDARD_ID = 1
PART_ID = 2
_UNITS: Sequence[Quantity] = (
    *("area", "angular", "force", "linear", "mass", "pressure", "speed", "temperature", "time"),
)
"""In the order of the schema."""


def write_opening(qpid: str, last_id: int, *, site: str, scope: str, notes: Mapping[str, str]) -> str:
    """Write the beginning of the document, down to its header."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<QIFDocument xmlns="{NAMESPACE}" versionQIF="{VERSION}" idMax="{last_id}">\n'
        f"<QPId>{qpid}</QPId>\n"
        + _line(attributes({}, notes))
        + element(
            "Header",
            element("Application", leaf("Name", "Dotpeen"), leaf("Organization", site)),
            leaf("Scope", scope),
        )
        + "\n"
    )


def write_external(qpid: str, uri: str, document_id: int) -> str:
    """Write the reference to the document that has the plan."""
    content = leaf("QPId", qpid) + leaf("URI", uri)
    return _line(listed("ExternalQIFReferences", [element("ExternalQIFDocument", content, id=document_id)]))


def write_standard(standard: Standard) -> str:
    """Write the standard that tolerances are meant by."""
    content = (
        element("Organization", leaf("StandardsOrganizationEnum", standard.organization))
        + leaf("Designator", standard.designator)
        + leaf("Year", standard.year or None)
    )
    return _line(listed("StandardsDefinitions", [element("Standard", content, id=STANDARD_ID)]))


def write_traceability(plan: str | None, document: str | None, order: str | None) -> str:
    """Write what the results cite: the plan by its UUID, and with `document` that of the document it is in."""
    reference = "" if plan is None else reference_to(plan, document)
    if not reference and order is None:
        return ""
    content = leaf("OrderNumber", order) + reference + leaf("FormalStandardId", str(STANDARD_ID))
    return _line(element("PreInspectionTraceability", content))


def reference_to(plan: str, document: str | None) -> str:
    """Cite a plan."""
    return element("ReferencedQIFPlanInstance", leaf("ItemQPId", plan), leaf("DocumentQPId", document))


def write_units(primary: Mapping[Quantity, Unit], fitted: Sequence[Fitted]) -> str:
    """Write `FileUnits`; nothing where no value has a unit."""
    others: dict[tuple[Quantity, str], Unit] = {}
    own: dict[str, None] = {}
    for one in fitted:
        name = one.unit_name
        if one.unit is None or name is None or one.kind.shape == "attribute":
            continue
        if one.unit.quantity == "user":
            own[name] = None
        elif primary[one.unit.quantity].name != one.unit.name:
            others.setdefault((one.unit.quantity, name), one.unit)
    if not primary and not own:
        return ""
    content = element("PrimaryUnits", *(_unit(primary[q]) for q in _UNITS if q in primary))
    declared = [_unit(unit) for q in _UNITS for (quantity, _), unit in others.items() if quantity == q]
    content += listed("OtherUnits", declared)
    content += listed(
        "UserDefinedUnits",
        [element("UserDefinedUnit", leaf("WhatIsMeasured", name), leaf("UnitName", name)) for name in own],
    )
    return _line(element("FileUnits", content))


def _unit(unit: Unit) -> str:
    offset = number("Offset", unit.offset) if unit.offset else ""
    return element(
        f"{unit.quantity.title()}Unit",
        leaf("SIUnitName", unit.si_name),
        leaf("UnitName", unit.name),
        element("UnitConversion", number("Factor", unit.factor), offset),
    )


def write_product(product: Product, fitted: Sequence[Fitted], models: str = "") -> str:
    """Write `Product`, with references to the nominals of its characteristics and its CAD models as markup."""
    header = leaf("Description", product.description)
    content = (
        attributes(*_split(product.attributes))
        + (element("Header", header) if header else "")
        + leaf("UUID", product.uuid)
        + leaf("ModelNumber", product.number)
        + leaf("Version", product.revision)
        + ids("CharacteristicNominalIds", (one.item - 1 for one in fitted))
        + models
    )
    part = element("Part", content, id=PART_ID, label=product.name or product.number)
    root = element("RootPart", leaf("Id", str(PART_ID)))
    return element("Product", "\n", listed("PartSet", [part]), "\n", root, "\n") + "\n"


def write_plan(contents: Contents, fitted: Sequence[Fitted]) -> str:
    """Write `Plan`: a step for each plan. Only a plan alone is the one that the element itself stands for."""
    if not contents.plans:
        return ""
    version = ""
    if len(contents.plans) == 1:
        version = element("Version", leaf("ThisInstanceQPId", contents.plans[0].plan.uuid))
    steps = listed("Steps", _steps(contents.plans, fitted))
    return element("Plan", "\n", _line(version), element("UnorderedPlanRoot", steps), "\n") + "\n"


def _steps(plans: Sequence[PlanContents], fitted: Sequence[Fitted]) -> Iterator[str]:
    first = 0
    for contents in plans:
        plan = contents.plan
        last = first + len(plan.characteristics)
        items = ids("CharacteristicItemIds", (one.item for one in fitted[first:last]))
        first = last
        yield element(
            "MeasureEvaluateSpecified" if items else "MeasureEvaluateAll", _plan_attributes(plan), items
        )


def _plan_attributes(plan: Plan) -> str:
    named = {"planNumber": plan.number, "version": plan.version, "name": plan.name}
    texts = {name: value for name, value in named.items() if value is not None}
    return attributes({"QIFMeasurementPlan.persistentUuid": plan.uuid}, {**plan.attributes, **texts})


def _split(said: Mapping[str, str]) -> tuple[dict[str, str | None], dict[str, str]]:
    uuids: dict[str, str | None] = {n: v for n, v in said.items() if n.startswith("ECORequest ")}
    return uuids, {name: value for name, value in said.items() if name not in uuids}


def _line(markup: str) -> str:
    return f"{markup}\n" if markup else ""
