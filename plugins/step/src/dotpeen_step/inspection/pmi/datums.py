"""Letters of datums, and references to them (ISO 5459 in ISO 10303-1050, -1051)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from dotpeen_step.inspection.pmi.attributes import attributes, keywords_of, listed, ref, refs, text, words
from dotpeen_step.inspection.pmi.entities import TARGETS

if TYPE_CHECKING:
    from dotpeen_step.inspection.pmi.reach import Around
    from dotpeen_step.part21.instance import Instance
    from dotpeen_step.part21.values import Value

_SYMBOLS: Final = {
    "maximum material requirement": "M",
    "maximum material condition": "M",
    "least material requirement": "L",
    "least material condition": "L",
    "regardless of feature size": "S",
    "free state": "F",
    "projected": "P",
}
_REFERENCES: Final = ("DATUM_REFERENCE_COMPARTMENT", "DATUM_REFERENCE_ELEMENT", "GENERAL_DATUM_REFERENCE")
_OLD_REFERENCES: Final = ("REFERENCED_MODIFIED_DATUM", "DATUM_REFERENCE")
_MOST: Final = 16
"""Datums of a tolerance that are named, and elements of a common one: drawings have room for three."""


def letter_of(around: Around, item: int, related: Mapping[int, Sequence[int]]) -> str:
    """Return the letter of a datum, of the datum that a feature makes, or of a target with its number (`A1`)."""
    instance = around.get(item)
    own = "" if instance is None else _identification(instance)
    if own or instance is None:
        return own
    letters = (_identification(around[one]) for one in related.get(item, ()) if one in around)
    letter = next(filter(None, letters), "")
    if TARGETS.isdisjoint(keywords_of(instance)):
        return letter
    target = next(filter(None, (text(_own(instance, keyword, 4), 0) for keyword in sorted(TARGETS))), "")
    return f"{letter}{target}"


def letters_of(around: Around, systems: Iterable[int]) -> tuple[str, ...]:
    """Return the datums of datum systems or datum references, in their order."""
    found: list[str] = []
    for system in systems:
        instance = around.get(system)
        if instance is None:
            continue
        if "DATUM_SYSTEM" in keywords_of(instance):
            compartments = refs(listed(_own(instance, "DATUM_SYSTEM", 4), 0))
            found += filter(None, (_referred(around, one) for one in compartments))
        elif letter := _referred(around, system):
            found.append(letter)
    return tuple(found[:_MOST])


def _referred(around: Around, reference: int) -> str:
    """Return the datum of one compartment, or of one reference of older files."""
    instance = around.get(reference)
    if instance is None:
        return ""
    old = next((keyword for keyword in _OLD_REFERENCES if keyword in keywords_of(instance)), None)
    if old is not None:
        values = attributes(instance, "DATUM_REFERENCE")
        return _letter(around, ref(values, 1)) + _marks(words(listed(_own(instance, old, 2), 0)))
    base, modifiers = _general(instance)
    one = next(iter(refs(base)), None)
    if isinstance(base, tuple) or one is None or not _is_datum(around, one):
        elements = [_element(around, element) for element in refs(base)][:_MOST]
        return "-".join(filter(None, elements)) + _marks(words(modifiers))
    return _letter(around, one) + _marks(words(modifiers))


def _element(around: Around, element: int) -> str:
    """Return the datum of an element of a common datum."""
    instance = around.get(element)
    if instance is None:
        return ""
    base, modifiers = _general(instance)
    return "".join(_letter(around, one) for one in refs(base)) + _marks(words(modifiers))


def _general(instance: Instance) -> tuple[Value, Value]:
    """Return base and modifiers of a GENERAL_DATUM_REFERENCE."""
    keyword = next((one for one in _REFERENCES if one in keywords_of(instance)), "")
    if not instance.keyword and instance.part("GENERAL_DATUM_REFERENCE"):
        keyword = "GENERAL_DATUM_REFERENCE"
    values = _own(instance, keyword, 4)
    return listed(values, 0), listed(values, 1)


def _is_datum(around: Around, one: int) -> bool:
    return one in around and "DATUM" in keywords_of(around[one])


def _letter(around: Around, datum: int | None) -> str:
    instance = around.get(datum) if datum is not None else None
    return "" if instance is None else _identification(instance)


def _identification(instance: Instance) -> str:
    keyword = next((one for one in ("DATUM", "COMMON_DATUM") if one in keywords_of(instance)), None)
    return "" if keyword is None else text(_own(instance, "DATUM", 4), 0).strip()


def _own(instance: Instance, keyword: str, inherited: int) -> tuple[Value, ...]:
    """Return an entity's own attributes: of a simple instance those behind what it inherits."""
    if instance.keyword:
        return instance.parameters[inherited:]
    return instance.part(keyword) or ()


def _marks(modifiers: Iterator[str]) -> str:
    return "".join(f"({_SYMBOLS.get(word, word)})" for word in modifiers)
