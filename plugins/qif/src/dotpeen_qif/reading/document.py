"""A QIF document as `dotpeen_qif.model` has it: the definitions at once, the measurements as they are read.

Two passes, because what was measured (`ActualComponentSets`, `ManufacturingProcessTraceabilities`) stands behind
the measurements. The first reads everything but these, and passes over them unparsed; the second runs while the
measurements are taken, and refuses what is wrong with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from dotpeen_qif.limits import DEFAULT_LIMITS, Limits, QifDocumentError, QifFileError, QifLimitError
from dotpeen_qif.model import (
    Device,
    Document,
    ExternalDocument,
    Plan,
    Product,
    Traceability,
)
from dotpeen_qif.reading.actuals import Actuals
from dotpeen_qif.reading.characteristics import Characteristics
from dotpeen_qif.reading.elements import Element, ElementReader, Flat, Found, Wanted, Within
from dotpeen_qif.reading.inspections import Inspections
from dotpeen_qif.reading.measurements import stream_results
from dotpeen_qif.reading.plans import Plans
from dotpeen_qif.reading.shapes import Shape
from dotpeen_qif.reading.skimming import LIST, NotPassableError, Take
from dotpeen_qif.reading.values import Units, attributes_of, optional, record_uuid, time_of, uuid_of


def read_document(file: Path, *, limits: Limits = DEFAULT_LIMITS) -> Document:
    """Read a QIF 3.0 document; its `results` are read from the file again when they are taken, once.

    Raises `QifDocumentError` for what is no such document, or says what can't be understood; also while the
    results are taken.
    """
    try:
        return _read(file, limits, passing=True)
    except (QifFileError, QifLimitError):
        raise
    except (NotPassableError, QifDocumentError):
        # Once more, with every measurement parsed: an error has its own line then, and its own words.
        return _read(file, limits, passing=False)


def _read(file: Path, limits: Limits, *, passing: bool) -> Document:
    reading = _Reading(file, limits)
    for _ in ElementReader(str(file), reading.wanted(), limits, passing=passing).read(file):
        pass
    return reading.document()


def _pass_over(_: Shape) -> Take:
    return lambda values, line: None


class _Reading:
    """Collects what the first pass finds."""

    def __init__(self, file: Path, limits: Limits) -> None:
        self._file = file
        self._limits = limits
        self._held = 0
        self._units = Units()
        self._characteristics = Characteristics(self._units)
        self._actuals = Actuals()
        self._document = Document(qpid="")
        self._external: dict[str, ExternalDocument] = {}
        self._products: list[Product] = []
        self._devices: list[Device] = []
        self._inspections = Inspections()
        self._root: str | None = None
        self._plans = Plans()

    def wanted(self) -> Wanted:
        """Return what the first pass looks for."""
        hold = self._hold
        characteristics, actuals, inspections = self._characteristics, self._actuals, self._inspections
        product = hold(self._add_product)
        return {
            "QPId": hold(self._take_qpid),
            "Version": hold(self._take_version),
            "Header": hold(self._take_header),
            "ExternalQIFReferences": {"ExternalQIFDocument": hold(self._add_external)},
            "PreInspectionTraceability": hold(self._take_traceability),
            "FileUnits": hold(self._units.declare),
            "MeasurementResources": {"MeasurementDevices": {"*": hold(self._add_device)}},
            "Product": {
                "PartSet": {"Part": product},
                "AssemblySet": {"Assembly": product},
                "ComponentSet": {"Component": product},
                "RootPart": hold(self._take_root),
                "RootAssembly": hold(self._take_root),
            },
            "Characteristics": {
                "DefaultToleranceDefinitions": {"*": hold(characteristics.add_shared)},
                "CharacteristicDefinitions": {"*": hold(characteristics.add_definition)},
                "DefaultCharacteristicDefinitions": {"*": hold(characteristics.add_definition)},
                "CharacteristicNominals": {"*": hold(characteristics.add_nominal)},
                "CharacteristicItems": {"*": hold(characteristics.add_item)},
            },
            "Plan": Within(
                {
                    "Version": hold(self._plans.take_version),
                    "UnorderedPlanRoot": {"Steps": {"*": hold(self._plans.take_step)}},
                },
                opened=self._plans.open,
            ),
            "Results": {
                "MeasurementResultsSet": {
                    "MeasurementResults": Within(
                        {
                            "Attributes": hold(inspections.take_attributes),
                            "InspectionTraceability": hold(inspections.take_traceability),
                            "ThisResultsInstanceQPId": hold(inspections.take_qpid),
                            "InspectionStatus": hold(inspections.take_status),
                            "ActualComponentIds": hold(inspections.take_actuals),
                            "MeasuredCharacteristics": {LIST: {"*": Flat(None, _pass_over)}},
                        },
                        opened=inspections.open,
                        closed=inspections.close,
                    )
                },
                "ActualComponentSets": {"ActualComponentSet": {"ActualComponent": hold(actuals.add)}},
                "InspectionTraceability": hold(inspections.take_shared_traceability),
            },
            "ManufacturingProcessTraceabilities": {
                "ManufacturingProcessTraceability": hold(actuals.add_process)
            },
        }

    def document(self) -> Document:
        """Return the document, when all has been read."""
        if not self._document.qpid:
            raise QifDocumentError(str(self._file), None, "the document has no QPId")
        product = self._main_product()
        with self._naming():
            actuals = tuple(self._actuals.joined())
        traceability = self._document.traceability
        if cited := self._inspections.cited:
            traceability = replace(traceability or Traceability(), plans=tuple(cited.values()))
        return replace(
            self._document,
            external=tuple(self._external.values()),
            units=dict(self._units.primary),
            products=tuple(self._products),
            plans=self._joined_plans(product),
            actuals=tuple(replace(actual, product=product) for actual in actuals),
            devices=tuple(self._devices),
            traceability=traceability,
            results=stream_results(
                self._file,
                self._inspections.results,
                units=self._units,
                external={key: document.qpid for key, document in self._external.items()},
                limits=self._limits,
            ),
        )

    def _main_product(self) -> str | None:
        """Return the key of the product that the document is about; None where it doesn't say which."""
        for kind in ("Part", "Assembly"):
            keys = [product.key for product in self._products if product.kind == kind]
            if len(keys) == 1:
                return keys[0]
            if keys:
                return self._root if self._root in keys else None
        return None

    def _joined_plans(self, product: str | None) -> tuple[Plan, ...]:
        characteristics = []
        for item in self._characteristics.items:
            with self._naming(item):
                characteristics.append(self._characteristics.join(item))
        return self._plans.joined(characteristics, product)

    def _hold(self, take: Found) -> Found:
        def found(element: Element) -> None:
            self._held += 1 + len(element.children)
            if self._held > self._limits.held:
                raise QifLimitError(
                    str(self._file), element.line, f"more than {self._limits.held:,} elements of definitions"
                )
            with self._naming(element):
                take(element)

        return found

    @contextmanager
    def _naming(self, element: Element | None = None) -> Iterator[None]:
        """Give an error its file and line."""
        try:
            yield
        except QifDocumentError:
            raise
        except ValueError as error:
            line = element.line if element is not None else None
            what = f"{element.name}: " if element is not None else ""
            raise QifDocumentError(
                str(self._file), line, f"{what}{error}", hint="validate the file: it has errors"
            ) from error

    def _take_qpid(self, element: Element) -> None:
        self._document = replace(self._document, qpid=uuid_of(element.text))

    def _take_version(self, element: Element) -> None:
        if (created := element.value("TimeCreated")) is not None:
            self._document = replace(self._document, created=time_of(created))

    def _take_header(self, element: Element) -> None:
        self._document = replace(
            self._document, scope=element.value("Scope"), application=element.value("Application", "Name")
        )

    def _add_external(self, element: Element) -> None:
        key = element.attributes.get("id", "")
        self._external[key] = ExternalDocument(
            qpid=uuid_of(element.value("QPId") or ""),
            uri=element.value("URI"),
            key=key,
            line=element.line,
        )

    def _take_traceability(self, element: Element) -> None:
        attributes = attributes_of(element)
        self._document = replace(
            self._document,
            traceability=Traceability(
                order=element.value("OrderNumber"),
                order_uuid=record_uuid(attributes, of="order"),
                inspector=element.value("InspectingOrganization", "Name"),
                attributes=attributes,
                line=element.line,
            ),
        )
        self._inspections.cite(element)

    def _add_device(self, element: Element) -> None:
        attributes = attributes_of(element)
        self._devices.append(
            Device(
                name=element.value("Name"),
                serial=element.value("SerialNumber"),
                uuid=record_uuid(attributes),
                key=element.attributes.get("id", ""),
            )
        )

    def _add_product(self, element: Element) -> None:
        kind = element.name
        assert kind in ("Part", "Assembly", "Component")  # noqa: S101  # the names that `wanted` has
        self._products.append(
            Product(
                uuid=optional(uuid_of, element.value("UUID")),
                number=element.value("ModelNumber"),
                name=element.value("Header", "Name") or element.attributes.get("label"),
                revision=element.value("Version"),
                description=element.value("Header", "Description"),
                kind=kind,  # type: ignore[arg-type]
                key=element.attributes.get("id", ""),
                attributes=attributes_of(element),
                line=element.line,
            )
        )

    def _take_root(self, element: Element) -> None:
        self._root = element.value("Id")
