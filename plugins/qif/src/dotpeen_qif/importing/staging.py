"""What the files say goes to temporary tables, as it is read: joins, comparisons and writes are the database's work."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from importlib.resources import files
from typing import Final
from uuid import UUID, uuid5

from dotpeen.database import Connection
from dotpeen_qif import store
from dotpeen_qif.importing import units
from dotpeen_qif.importing.choices import Choices
from dotpeen_qif.importing.copying import NULL, Rows, flag, number, text
from dotpeen_qif.importing.keys import new_keys
from dotpeen_qif.importing.measured import precision_of
from dotpeen_qif.importing.results import NO, Set, Sets
from dotpeen_qif.importing.source import Source
from dotpeen_qif.importing.targets import Role, Targets
from dotpeen_qif.importing.words import FORMS, bounds, integer, word_of, words_of, zoned
from dotpeen_qif.model import Actual, Characteristic, Document, Plan, Product, Results
from dotpeen_qif.settings import Settings

_HEAD: Final = ("n", "file", "line", "ref", "label", "given", "stated", "key", "said")
_TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "qif_part": (*_HEAD, "number", "name", "revision", "description"),
    "qif_order": (*_HEAD, "number", "part_ref"),
    "qif_serial": (*_HEAD, "serial", "lot", "lot_uuid", "part_ref"),
    "qif_plan": (*_HEAD, "number", "version", "name", "part_ref"),
    "qif_characteristic": (
        *(*_HEAD, "plan_n", "number", "name", "kind", "balloon", "nominal", "upper", "lower", "unit"),
        *("factor", "quantity", "judged", "filled"),
    ),
}
"""Columns that are filled from the files; those that joins fill are in staging.sql."""


def _no_key() -> str:
    return NULL


class Staging:
    """Fills the temporary tables from the documents of one import, in the order they are given."""

    def __init__(
        self,
        connection: Connection,
        targets: Targets,
        settings: Settings,
        choices: Choices,
        cited: Mapping[str, Mapping[str, str]],
    ) -> None:
        """`cited`: what documents that are not among the files call characteristics, to their UUIDs; by QPId."""
        self._choices = choices
        self._limits = settings.characteristic.limits
        self._units = settings.units
        self._words = words_of(settings)
        self._n = 0
        self._connection = connection
        connection.execute(files("dotpeen_qif.importing").joinpath("staging.sql").read_bytes())
        self._rows = {name: Rows(connection, name, columns) for name, columns in _TABLES.items()}
        self._keys = {
            role: new_keys(target.shape.key_form) if target.makes_key else _no_key
            for role, target in targets.items()
        }
        precision = precision_of(targets["result"].columns.get("value"))
        self._sets = Sets(connection, self._next, self._keys.__getitem__, self._ordered, precision, cited)
        self._orders: dict[tuple[int, str], str] = {}
        self._files: dict[str, Source] = {}

    def add(self, name: str, digest: bytes, document: Document) -> None:
        """Put a document's records into the tables; its results are read to their end."""
        source = Source(len(self._files), name, digest, document)
        self._files[document.qpid] = source
        self._document(source)
        # A document of geometry or statistics alone has products that nobody asks for.
        for product in document.products if document.plans or document.actuals else ():
            if product.kind == "Part":
                self._product(source, product)
        source.main_part = self._main_part(source)
        for plan in document.plans:
            self._plan(source, plan)
        order = self._order(source)
        staged = self._sets.read(source, self._files, order)
        for actual in document.actuals:
            self._actual(source, actual)
        for one in staged.unnamed:
            self._unnamed(source, one)
        if staged.count:
            self._connection.execute(
                "UPDATE pg_temp.qif_document SET has_results = true WHERE file = %s", [source.file]
            )
        for rows in self._rows.values():
            rows.flush()

    def finish(self) -> None:
        """Tell the planner how much there is: temporary tables have no statistics by themselves."""
        for name in (*_TABLES, "qif_results"):
            self._connection.execute(f"ANALYZE pg_temp.{name}".encode())
        # Of the many, no more than is joined by.
        self._connection.execute(
            "ANALYZE pg_temp.qif_result (results_n, item_ref, item_document, actual_ref)"
        )

    @property
    def measurements(self) -> int:
        """How many were read."""
        return self._sets.measurements

    def _next(self) -> int:
        self._n += 1
        return self._n

    def _key(self, role: Role) -> str:
        return self._keys[role]()

    def _document(self, source: Source) -> None:
        document = source.document
        self._connection.execute(
            "INSERT INTO pg_temp.qif_document (file, qpid, file_name, digest, scope, application, created_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [
                *(source.file, document.qpid, source.name, source.digest, document.scope),
                *(document.application, zoned(document.created)),
            ],
        )

    def _head(
        self, role: Role, source: Source, line: int, ref: str, label: str, given: str | None
    ) -> tuple[str, ...]:
        return (
            str(self._next()),
            str(source.file),
            str(line),
            text(f"{source.file}:{ref}"),
            text(label),
            given or NULL,
            flag(given is not None),
            self._key(role),
        )

    def _product(self, source: Source, product: Product) -> None:
        label = product.number or product.name or product.uuid or f"Part {product.key}"
        self._rows["qif_part"].add(
            *self._head("part", source, product.line, product.key, label, product.uuid),
            text(json.dumps(store.said(product))),
            text(product.number or product.name or product.uuid),
            text(product.name),
            text(product.revision),
            text(product.description),
        )

    def _main_part(self, source: Source) -> str | None:
        """The part that a document is about: the only one, or that of the documents it refers to."""
        document = source.document
        if not document.plans and not document.actuals:
            parts = set()
        else:
            parts = {product.key for product in document.products if product.kind == "Part"}
        for plan in document.plans:
            if plan.product in parts:
                return f"{source.file}:{plan.product}"
        if len(parts) == 1:
            return f"{source.file}:{next(iter(parts))}"
        if parts:
            return None
        for external in document.external:
            other = self._files.get(external.qpid)
            if other is not None and other is not source and other.main_part is not None:
                return other.main_part
        if self._choices.part is not None:
            made = str(uuid5(UUID(document.qpid), "part"))
            self._rows["qif_part"].add(
                *self._head("part", source, 0, "", self._choices.part, made)[:6],
                *(NO, self._key("part"), NULL, text(self._choices.part), NULL, NULL, NULL),
            )
            return f"{source.file}:"
        return None

    def _plan(self, source: Source, plan: Plan) -> None:
        document = source.document
        if not plan.characteristics and plan.uuid is None:
            return
        given, stated = plan.uuid, plan.uuid is not None
        if given is None and document.traceability is not None and len(document.traceability.plans) == 1:
            given, stated = document.traceability.plans[0].plan, True
        if given is None:
            given = str(uuid5(UUID(document.qpid), "plan"))
        parts = {product.key for product in document.products if product.kind == "Part"}
        called = plan.number or plan.attributes.get("planNumber")
        version = plan.version or plan.attributes.get("version")
        head = self._head("plan", source, plan.line, "plan", plan.name or plan.number or given, given)
        self._rows["qif_plan"].add(
            *(*head[:6], flag(stated), head[7], text(json.dumps(store.said(plan)))),
            text(called or given),
            text(version or (None if called else self._choices.plan_version)),
            text(plan.name or plan.attributes.get("name") or called or given),
            text(f"{source.file}:{plan.product}" if plan.product in parts else source.main_part),
        )
        twins: Counter[str] = Counter()
        for position, characteristic in enumerate(plan.characteristics, start=1):
            self._characteristic(source, head[0], given, characteristic, position, twins)

    def _characteristic(
        self, source: Source, plan_n: str, plan: str, one: Characteristic, position: int, twins: Counter[str]
    ) -> None:
        named = dict.fromkeys(filter(None, (one.designator, one.name)))
        label = " ".join(named) or one.uuid or f"characteristic {one.key}"
        given = one.uuid
        if given is None:
            # No UUID in the file: it follows from the plan's, and is the same at the next import.
            name = one.designator or one.name or ""
            twins[name] += 1
            given = str(uuid5(UUID(plan), f"characteristic:{name}:{twins[name]}"))
        source.characteristics[one.key] = (one.kind, given, one.unit)
        head = self._head("characteristic", source, one.line, one.key, label, given)
        unit = self._unit(source.document, one)
        nominal, upper, lower, filled = bounds(one, limits=self._limits)
        tolerance = one.tolerance
        sized = tolerance is not None and tolerance.zone is None
        self._rows["qif_characteristic"].add(
            *(*head[:6], flag(one.uuid is not None), head[7], text(json.dumps(store.said(one)))),
            plan_n,
            number(
                one.number if one.number is not None else integer(one.attributes.get("characteristicNumber"))
            ),
            text(one.name or one.designator or one.kind),
            text(one.attributes.get("characteristicType") or self._words.get(one.kind) or word_of(one.kind)),
            text(one.balloon or one.designator),
            number(nominal),
            number(upper),
            number(lower),
            text(None if unit is None else one.attributes.get("unit") or units.word_of(unit, self._units)),
            number(None if unit is None else unit.factor),
            text(None if unit is None else unit.quantity),
            flag(not one.attribute and (sized or one.kind in FORMS)),
            "{" + ",".join(filled) + "}",
        )

    @staticmethod
    def _unit(document: Document, one: Characteristic) -> units.Scale | None:
        unit = one.unit
        if unit is None and not one.attribute:
            unit = document.units.get("angular" if units.is_angle(one.kind) else "linear")
        return None if unit is None else units.scale_of(unit)

    def _order(self, source: Source) -> str | None:
        """Reference of the work order that the document's results belong to."""
        traced = source.document.traceability
        if traced is None or (traced.order is None and traced.order_uuid is None):
            return None
        return self._order_of(source, traced.order, traced.order_uuid, traced.line)

    def _ordered(self, source: Source, results: Results) -> str:
        return self._order_of(source, results.order, results.order_uuid, results.line)

    def _order_of(self, source: Source, order: str | None, uuid: str | None, line: int) -> str:
        """Put a work order into its table, once for each document; returns its reference."""
        name = uuid or order or ""
        known = self._orders.get((source.file, name))
        if known is None:
            ref = f"order {name}"
            self._rows["qif_order"].add(
                *self._head("order", source, line, ref, order or name, uuid),
                NULL,
                text(order),
                text(source.main_part),
            )
            known = self._orders[source.file, name] = f"{source.file}:{ref}"
        return known

    def _actual(self, source: Source, actual: Actual) -> None:
        label = actual.serial or actual.uuid or f"actual component {actual.key}"
        parts = {product.key for product in source.document.products if product.kind == "Part"}
        serial, given, stated = actual.serial, actual.uuid, actual.uuid is not None
        if serial is None and given is None and self._choices.unnamed:
            given = str(uuid5(UUID(source.document.qpid), f"actual:{actual.key}"))
        head = self._head("serial", source, actual.line, actual.key, label, given)
        self._rows["qif_serial"].add(
            *(*head[:6], flag(stated), head[7], text(json.dumps(store.said(actual)))),
            text(serial or (given if self._choices.unnamed else None)),
            text(actual.lot),
            actual.lot_uuid or NULL,
            text(f"{source.file}:{actual.product}" if actual.product in parts else source.main_part),
        )

    def _unnamed(self, source: Source, one: Set) -> None:
        """What a set of results measured without saying what it was."""
        given = str(uuid5(UUID(one.uuid), "actual")) if self._choices.unnamed else None
        head = self._head("serial", source, one.line, one.ref, f"what results {one.uuid} measured", given)
        self._rows["qif_serial"].add(
            *(*head[:6], NO, head[7], text(json.dumps(store.said(Actual())))),
            *(text(given), NULL, NULL, text(source.main_part)),
        )
