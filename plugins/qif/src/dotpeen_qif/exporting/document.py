"""A QIF document from beginning to end: what is in it, its QPId, its bytes.

Everything but the results is small and made at once. PostgreSQL counts and digests the results first; so the document's
QPId, which follows from the content, is known before the first byte, and results are streamed through once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID, uuid5

from dotpeen.hooks import Audience, DigitalModel
from dotpeen_qif.exporting import head, text
from dotpeen_qif.exporting.characteristics import (
    FIRST_ID,
    Fitted,
    fit,
    primary_units,
    write_characteristics,
)
from dotpeen_qif.exporting.contents import Contents
from dotpeen_qif.exporting.interpretation import seen_of
from dotpeen_qif.exporting.kept import KeptMeasured, PlainMeasured
from dotpeen_qif.exporting.markup import attributes, element, leaf
from dotpeen_qif.exporting.models import NO_MODELS, Models, write_models
from dotpeen_qif.exporting.results import write_actual, write_lot
from dotpeen_qif.mapping import Mapped
from dotpeen_qif.model import Quantity, Unit
from dotpeen_qif.settings import Settings

Scope = Literal["Plan", "Results", "Plan+Results"]
DOCUMENT_NAMESPACE: Final = UUID("0f4f7f5b-5a0a-5d0e-8a1a-5f2f8f6e7c11")
"""Of the QPIds of documents."""
WRITER: Final = "1"
"""Goes up when the same data are written differently."""
_CHUNK: Final = 1 << 16


@dataclass(frozen=True)
class Site:
    """What documents take from the site."""

    name: str
    settings: Settings
    mapped: Mapped
    audience: Audience = "internal"


class PlanDocument:
    """A document with a part's plans, and no results."""

    def __init__(self, site: Site, contents: Contents, models: Sequence[DigitalModel] = ()) -> None:
        self.site = site
        self.contents = contents
        self.fitted = fit(contents.characteristics, site.settings)
        self.primary = primary_units(self.fitted, site.settings)
        self._models = _models(site, contents, models, self.fitted)
        self.body = self._body()
        self.qpid = _qpid("Plan", site, self.body)
        self.altered = altered_texts(contents, self._models)

    def _body(self) -> str:
        return (
            head.write_standard(self.site.settings.standard)
            + head.write_units(self.primary, self.fitted)
            + head.write_product(self.contents.product, self.fitted, self._models.markup)
            + _characteristics(self.fitted, self.primary, self._models)
            + head.write_plan(self.contents, self.fitted)
        )

    def chunks(self) -> Iterator[bytes]:
        """Yield the document."""
        last = FIRST_ID + 3 * len(self.fitted) + self._models.ids - 1
        opening = head.write_opening(
            self.qpid, last, site=self.site.name, scope="Plan", notes=_notes(self.altered)
        )
        yield (opening + self.body + "</QIFDocument>\n").encode()


class ResultsDocument:
    """A document with results; `plan` is that of the plans where they are in a document of their own."""

    def __init__(
        self,
        site: Site,
        contents: Contents,
        measured: PlainMeasured | KeptMeasured,
        plan: tuple[PlanDocument, str] | None,
        models: Sequence[DigitalModel] = (),
    ) -> None:
        """`plan`: the other document, and where it is; that has the CAD models, then."""
        self.site = site
        self.contents = contents
        self._measured = measured
        self._plan = plan
        self.fitted = fit(contents.characteristics, site.settings)
        self.primary = primary_units(self.fitted, site.settings)
        self._models = NO_MODELS if plan else _models(site, contents, models, self.fitted)
        self._devices = measured.devices()
        self.totals = measured.totals()
        self._number()
        self._beginning, self._middle = self._static()
        digested = f"{self._beginning}{self._middle}{self.totals}{sorted(site.settings.statuses.items())}"
        self.qpid = _qpid(self.scope, site, digested)
        self.altered = altered_texts(contents, self._models) | self.totals.altered
        if any(text.is_altered(f"{name}{what or ''}") for name, _, what in self._devices):
            self.altered |= {"Equipment"}

    @property
    def scope(self) -> Scope:
        """What the document says that it is."""
        if self._plan is not None:
            return "Results"
        return "Plan+Results" if self.contents.plans else "Results"

    def _number(self) -> None:
        """Give out the local ids: what is counted here is streamed later."""
        totals = self.totals
        self._document_id = FIRST_ID + (0 if self._plan else 3 * len(self.fitted) + self._models.ids)
        self._first_device = self._document_id + (1 if self._plan else 0)
        self._first_actual = self._first_device + len(self._devices)
        self._first_lot = self._first_actual + totals.actuals
        self._first_result = self._first_lot + totals.lots
        self._last = self._first_result + totals.groups + totals.measurements - 1

    def _static(self) -> tuple[str, str]:
        """Return what stands before the results, without the opening; before and after the reference to the plan."""
        site, fitted = self.site, self.fitted
        plans = self.contents.plans
        cited = plans[0].plan.uuid if len(plans) == 1 and self.totals.groups else None
        beginning = ""
        if self._plan is not None:
            document, uri = self._plan
            beginning = head.write_external(document.qpid, uri, self._document_id)
        beginning += head.write_standard(site.settings.standard)
        beginning += head.write_traceability(cited, self._plan[0].qpid if self._plan else None, None)
        beginning += head.write_units(self.primary, fitted)
        middle = self._resources()
        middle += head.write_product(self.contents.product, [] if self._plan else fitted, self._models.markup)
        if self._plan is None:
            middle += _characteristics(fitted, self.primary, self._models)
            middle += head.write_plan(self.contents, fitted)
        return beginning, middle

    def _resources(self) -> str:
        devices = [
            element(
                "MeasurementDevice",
                leaf("Name", name),
                leaf("Description", description),
                attributes({"Equipment.persistentUuid": uuid}, {}),
                id=self._first_device + n,
            )
            for n, (name, uuid, description) in enumerate(self._devices)
        ]
        if not devices:
            return ""
        return (
            f'<MeasurementResources>\n<MeasurementDevices n="{len(devices)}">\n'
            + "\n".join(devices)
            + ("\n</MeasurementDevices>\n</MeasurementResources>\n")
        )

    def chunks(self) -> Iterator[bytes]:
        """Yield the document in pieces of some size."""
        pieces: list[str] = []
        size = 0
        for piece in self._pieces():
            pieces.append(piece)
            size += len(piece)
            if size >= _CHUNK:
                yield "".join(pieces).encode()
                pieces.clear()
                size = 0
        yield "".join(pieces).encode()

    def _pieces(self) -> Iterator[str]:
        opening = head.write_opening(
            self.qpid, self._last, site=self.site.name, scope=self.scope, notes=_notes(self.altered)
        )
        yield opening + self._beginning + self._middle
        if self.totals.groups:
            yield from self._results()
        yield "</QIFDocument>\n"

    def _results(self) -> Iterator[str]:
        totals = self.totals
        writer = self._measured.writer(
            self.fitted,
            self.primary,
            plans=[plan.plan.uuid for plan in self.contents.plans],
            devices={name: self._first_device + n for n, (name, _, _) in enumerate(self._devices)},
            statuses=self.site.settings.statuses,
            first_actual=self._first_actual,
            first_id=self._first_result,
            document=(self._document_id, self._plan[0].qpid) if self._plan else None,
            seen=seen_of("result", self.site.mapped["result"]),
        )
        yield f'<Results>\n<MeasurementResultsSet n="{totals.groups}">\n'
        yield from writer.write(self._measured.measurements())
        yield "</MeasurementResultsSet>\n"
        if totals.actuals:
            serial = self.site.mapped["serial"]
            names = [field.name for field in serial.attributes]
            lot = self.site.mapped.get("lot")
            lot_names = [field.name for field in lot.attributes] if lot is not None else []
            seen = seen_of("serial", serial)
            yield f'<ActualComponentSets n="1">\n<ActualComponentSet n="{totals.actuals}">\n'
            for n, row in enumerate(self._measured.actuals()):
                yield write_actual(row, self._first_actual + n, self._first_lot, names, seen, lot_names)
            yield "</ActualComponentSet>\n</ActualComponentSets>\n"
        yield "</Results>\n"
        if totals.lots:
            names = [field.name for field in self.site.mapped["lot"].attributes]
            yield f'<ManufacturingProcessTraceabilities n="{totals.lots}">\n'
            for n, row in enumerate(self._measured.lots()):
                yield write_lot(row, self._first_lot + n, names)
            yield "</ManufacturingProcessTraceabilities>\n"


def _models(
    site: Site, contents: Contents, known: Sequence[DigitalModel], fitted: Sequence[Fitted]
) -> Models:
    """Write the CAD models; their ids follow those of the characteristics."""
    return write_models(
        known,
        [one.said for one in fitted],
        contents.product,
        audience=site.audience,
        first_id=FIRST_ID + 3 * len(fitted),
    )


def _characteristics(fitted: Sequence[Fitted], primary: Mapping[Quantity, Unit], models: Models) -> str:
    return "".join(
        write_characteristics(fitted, primary, standard=head.STANDARD_ID, entities=models.entities)
    )


def altered_texts(contents: Contents, models: Models = NO_MODELS) -> frozenset[str]:
    """Return which of the part, plans, characteristics and models have characters that XML can't hold."""
    product = contents.product
    said = {
        "Part": [
            *(product.number, product.name, product.revision, product.description, *product.attributes),
            *product.attributes.values(),
        ],
        "QIFMeasurementPlan": [
            value
            for one in contents.plans
            for value in (one.plan.number, one.plan.name, one.plan.version, *one.plan.attributes.values())
        ],
        "QIFCharacteristic": [
            value
            for one in contents.characteristics
            for value in (one.name, one.designator, *one.attributes.values())
        ],
    }
    found = {
        name for name, values in said.items() if any(text.is_altered(value) for value in values if value)
    }
    return frozenset(found | {"DigitalModel"} if models.altered else found)


def file_name(label: str, extension: str) -> str:
    """Return a file name that every system takes: `BRK-10001-A.plan.qif`."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", label, flags=re.ASCII).strip("._")[:100] or "document"
    return f"{safe}{extension}"


def _notes(altered: frozenset[str]) -> Mapping[str, str]:
    return {"replacedCharacters": " ".join(sorted(altered))} if altered else {}


def _qpid(scope: str, site: Site, content: str) -> str:
    digest = hashlib.sha256(f"{WRITER}\n{scope}\n{site.name}\n{content}".encode("utf-8", "surrogatepass"))
    return str(uuid5(DOCUMENT_NAMESPACE, digest.hexdigest()))
