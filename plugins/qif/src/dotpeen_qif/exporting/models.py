"""CAD models of the part, and which of their entities its characteristics are: the join of STEP and QIF.

A characteristic is joined by UUID: an entity has the one of its designator. Or else by name: exactly one entity of the
part's models is called as the characteristic's name or designator is, letter by letter, and is not plainly something
else: no diameter is a tolerance of position. Nothing else is joined.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from dotpeen.hooks import Audience, DigitalModel, ModelEntity
from dotpeen_qif.exporting import text
from dotpeen_qif.exporting.markup import element, leaf, listed
from dotpeen_qif.kinds import SIZES, ZONES
from dotpeen_qif.model import Characteristic, Product

_FORMATS: Final = frozenset(
    {
        *("STEPAP203", "STEPAP203E2", "STEPAP214", "STEPAP242", "JTOPEN", "RPC", "PDPMI", "ACIS"),
        *("PARASOLID", "AUTODESK", "PTC", "NX", "SOLIDWORKS", "CATIA", "NOTDEFINED"),
    }
)
"""`DigitalModelFormatEnumType`."""
_SHAPES: Final = frozenset({"product", "topology", "geometry"})
"""Kinds of entities that are no characteristics: a face may well be called 1."""
_DIMENSIONS: Final = ("DIMENSIONAL_SIZE", "DIMENSIONAL_LOCATION", "ANGULAR_SIZE", "ANGULAR_LOCATION")
"""Dimensions of ISO 10303-47, directed ones too."""
_DEVIATIONS: Final = "PLUS_MINUS_TOLERANCE"
"""Of a dimension, unlike all other tolerances."""


@dataclass(frozen=True)
class Models:
    """What a document says of CAD models."""

    markup: str = ""
    """`DefinitionExternal`; nothing where no model is known."""
    entities: Mapping[int, Sequence[int]] = field(default_factory=dict)
    """Ids of entities by the position of the characteristic."""
    ids: int = 0
    """How many local ids there are in it."""
    altered: bool = False
    """It has names with characters that XML can't hold."""


NO_MODELS: Final = Models()


def write_models(
    known: Sequence[DigitalModel],
    characteristics: Sequence[Characteristic],
    product: Product,
    *,
    audience: Audience,
    first_id: int,
) -> Models:
    """Join the characteristics and write the models, with local ids from `first_id` on."""
    # Two plugins may know the same model, and answer in any order.
    models = [model for _, model in sorted({_key(model): model for model in known}.items())]
    if not models:
        return NO_MODELS
    joined = _joined(models, characteristics)
    names: dict[str, set[str]] = defaultdict(set)
    for position, uuid in joined.items():
        names[uuid] |= _names(characteristics[position])
    numbers: dict[str, list[int]] = defaultdict(list)
    next_id, written, altered = first_id + 1, [], False
    for model in models:
        model_id, next_id = next_id, next_id + 1
        entities = []
        for entity in sorted(_once(model, names), key=lambda one: one.uuid):
            # A partner sees what the registry shows of the characteristic, not what else the CAD system calls it.
            shown = entity.name and (audience == "internal" or entity.name in names[entity.uuid])
            name = entity.name if shown else None
            altered |= text.is_altered(name or "")
            content = leaf("EntityId", entity.uuid) + leaf("Name", name)
            entities.append(element("Entity", content, id=next_id))
            numbers[entity.uuid].append(next_id)
            next_id += 1
        label, file = _called(model, product, audience)
        altered |= text.is_altered(label + file + model.format)
        head = leaf("Name", label) + _file(model, file)
        written.append(element("DigitalModel", head, listed("Entities", entities), id=model_id))
    return Models(
        markup=listed("DefinitionExternal", written, id=first_id),
        entities={position: numbers[uuid] for position, uuid in joined.items()},
        ids=next_id - first_id,
        altered=altered,
    )


def _joined(models: Sequence[DigitalModel], characteristics: Sequence[Characteristic]) -> dict[int, str]:
    """Return the UUIDs of entities by the positions of the characteristics that they are."""
    entities = [entity for model in models for entity in _clear(model)]
    uuids = {entity.uuid for entity in entities}
    keywords = {entity.uuid: entity.keyword for entity in entities}
    called: dict[str, set[str]] = defaultdict(set)
    for entity in entities:
        if entity.name and entity.kind not in _SHAPES:
            called[entity.name].add(entity.uuid)
    found = {}
    for position, one in enumerate(characteristics):
        named = {uuid for name in _names(one) for uuid in called.get(name, ())}
        if one.uuid in uuids and one.uuid is not None:
            found[position] = one.uuid
        elif len(named) == 1 and not _contradicts(one, keywords[min(named)]):
            found[position] = named.pop()
    return found


def _contradicts(one: Characteristic, keyword: str) -> bool:
    """Tell whether an entity of ISO 10303 can't be a characteristic of this kind: it sizes, and that bounds a form.

    Only what is said plainly counts: kinds and keywords that say neither contradict nothing.
    """
    parts = keyword.split("+")
    if one.kind in SIZES:
        return any(part.endswith("_TOLERANCE") and part != _DEVIATIONS for part in parts)
    return one.kind in ZONES and any(part.endswith(_DIMENSIONS) for part in parts)


def _clear(model: DigitalModel) -> Iterator[ModelEntity]:
    """Yield the entities of a model that their UUIDs identify: a faulty file has one UUID on several."""
    first: dict[str, ModelEntity] = {}
    faulty = {one.uuid for one in model.entities if first.setdefault(one.uuid, one) != one}
    return (one for one in first.values() if one.uuid not in faulty)


def _once(model: DigitalModel, wanted: Mapping[str, object]) -> Iterator[ModelEntity]:
    return (one for one in _clear(model) if one.uuid in wanted)


def _names(one: Characteristic) -> set[str]:
    return {name for name in (one.name, one.designator) if name}


def _key(model: DigitalModel) -> tuple[str, str, str, str, tuple[tuple[str, str, str, str], ...]]:
    entities = sorted((one.uuid, one.name, one.kind, one.keyword) for one in model.entities)
    return model.uuid or "", model.format, model.name, model.file_name, tuple(entities)


def _called(model: DigitalModel, product: Product, audience: Audience) -> tuple[str, str]:
    """Return the names of a model and of its file; those of the site's files are none of a partner's business."""
    if audience == "internal":
        return model.name, model.file_name
    label = product.number or model.uuid or "CAD model"
    return label, label if model.uuid is None else f"urn:uuid:{model.uuid}"


def _file(model: DigitalModel, name: str) -> str:
    known = model.format in _FORMATS
    return element(
        "File",
        leaf("Name", name),
        leaf("Version", model.uuid),
        element(
            "Format", leaf("DigitalModelFormatEnum" if known else "OtherDigitalModelFormat", model.format)
        ),
    )
