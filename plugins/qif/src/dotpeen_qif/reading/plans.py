"""The plan of a document; where its steps name plans, as this plugin's own export writes several, each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from dotpeen_qif.model import Characteristic, Plan
from dotpeen_qif.reading.elements import Element
from dotpeen_qif.reading.values import attributes_of, optional, record_uuid, uuid_of

_NAMED: Final = {"planNumber": "number", "version": "version", "name": "name"}
"""Attributes of a step that are fields of its plan."""


class Plans:
    """Collects the plan and its steps, and gives them their characteristics when all are there."""

    def __init__(self) -> None:
        self._plan: Plan | None = None
        self._steps: list[tuple[Plan, frozenset[str]]] = []

    def open(self, element: Element) -> None:
        """Begin the plan."""
        self._plan = Plan(uuid=None, line=element.line)

    def take_version(self, element: Element) -> None:
        """Take `Version`: it has the plan's own UUID."""
        line = element.line if self._plan is None else self._plan.line
        self._plan = Plan(uuid=optional(uuid_of, element.value("ThisInstanceQPId")), line=line)

    def take_step(self, element: Element) -> None:
        """Take a step that names the plan which it stands for; others say how to measure."""
        said = attributes_of(element)
        uuid = record_uuid(said)
        if uuid is None:
            return
        fields = {field: said.get(name) for name, field in _NAMED.items()}
        rest = {n: v for n, v in said.items() if n not in _NAMED and v != uuid}
        items = frozenset(child.text for child in element.all("CharacteristicItemIds", "Id"))
        self._steps.append((Plan(uuid, line=element.line, attributes=rest, **fields), items))  # type: ignore[arg-type]

    def joined(self, characteristics: Sequence[Characteristic], product: str | None) -> tuple[Plan, ...]:
        """Return the plans with their characteristics; without any plan in the document, these alone."""
        plan = self._plan or (Plan(uuid=None, line=characteristics[0].line) if characteristics else None)
        if plan is None:
            return ()
        if len(self._steps) == 1 and plan.uuid in (None, self._steps[0][0].uuid):
            plan = self._steps[0][0]
        elif self._steps and plan.uuid is None:
            return self._several(characteristics, product)
        return (replace(plan, product=product, characteristics=tuple(characteristics)),)

    def _several(self, characteristics: Sequence[Characteristic], product: str | None) -> tuple[Plan, ...]:
        named: set[str] = set()
        plans = []
        for plan, items in self._steps:
            own = tuple(one for one in characteristics if one.key in items and one.key not in named)
            named |= items
            plans.append(replace(plan, product=product, characteristics=own))
        rest = tuple(one for one in characteristics if one.key not in named)
        if rest:
            plans.append(Plan(uuid=None, product=product, characteristics=rest, line=rest[0].line))
        return tuple(plans)
