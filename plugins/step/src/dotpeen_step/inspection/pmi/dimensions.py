"""Values of dimensions: their representations, deviations, limits and fits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from dotpeen_step.inspection.pmi.attributes import attributes, keywords_of, listed, ref, refs, text
from dotpeen_step.inspection.pmi.measures import Measures, name_of_item

if TYPE_CHECKING:
    from dotpeen_step.inspection.pmi.reach import Around
    from dotpeen_step.part21.instance import Instance

_UPPER: Final = "upper limit"
_LOWER: Final = "lower limit"


@dataclass(slots=True)
class Values:
    """What is said of a dimension's value."""

    value: float | None = None
    upper: float | None = None
    lower: float | None = None
    limits: bool = False
    unit: str = ""
    fit: str = ""
    modifiers: list[str] = field(default_factory=list)

    def represent(self, around: Around, representations: Sequence[int], measures: Measures) -> None:
        """Take nominal value, limits and modifiers from representations."""
        for instance in _items(around, representations):
            measure = measures.of(around, instance.id)
            if measure is None:
                self.modifiers += _described(around, instance)
                continue
            self.modifiers += _qualified(around, instance)
            self.unit = self.unit or measure.unit
            name = name_of_item(instance).strip().lower()
            if name == _UPPER:
                self.upper, self.limits = measure.value, True
            elif name == _LOWER:
                self.lower, self.limits = measure.value, True
            elif self.value is None:
                self.value = measure.value

    def tolerate(self, around: Around, deviations: Sequence[int], measures: Measures) -> None:
        """Take deviations or a fit. Limits that are given themselves are kept."""
        for one in deviations:
            instance = around.get(one)
            if instance is None:
                continue
            values = instance.parameters
            if instance.keyword == "LIMITS_AND_FITS":
                self.fit = text(values, 0).strip() + text(values, 2).strip()
            elif instance.keyword == "TOLERANCE_VALUE" and not self.limits:
                lower, upper = measures.of(around, ref(values, 0)), measures.of(around, ref(values, 1))
                self.lower = self.lower if lower is None else lower.value
                self.upper = self.upper if upper is None else upper.value
                for bound in (lower, upper):
                    self.unit = self.unit or ("" if bound is None else bound.unit)


def _items(around: Around, representations: Iterable[int]) -> Iterator[Instance]:
    for one in representations:
        instance = around.get(one)
        if instance is None:
            continue
        for item in refs(listed(attributes(instance, "REPRESENTATION"), 1)):
            if item in around:
                yield around[item]


def _described(around: Around, instance: Instance) -> Iterator[str]:
    """Yield what an item in words says, or the items of one that is put together: `theoretical`."""
    if "COMPOUND_REPRESENTATION_ITEM" in keywords_of(instance):
        for one in refs(listed(attributes(instance, "COMPOUND_REPRESENTATION_ITEM"), -1)):
            if one in around:
                yield from _word(around[one])
    else:
        yield from _word(instance)


def _word(instance: Instance) -> Iterator[str]:
    if instance.keyword == "DESCRIPTIVE_REPRESENTATION_ITEM":
        said = text(instance.parameters, 1).strip().lower()
        if said:
            yield said


def _qualified(around: Around, instance: Instance) -> Iterator[str]:
    """Yield `maximum`, `minimum`, `average` of a value that is meant so."""
    for one in refs(listed(instance.part("QUALIFIED_REPRESENTATION_ITEM") or (), 0)):
        qualifier = around.get(one)
        if qualifier is not None and qualifier.keyword == "TYPE_QUALIFIER":
            yield text(qualifier.parameters, 0).strip().lower()
