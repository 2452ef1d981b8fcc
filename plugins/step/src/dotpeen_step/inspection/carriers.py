"""Where a UUID stands in a file: the carriers, and the entities that make each of them."""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal, TypeAlias


class Carrier(Enum):
    """What holds a UUID."""

    ANCHOR = "anchor"
    """A name of the ANCHOR section (ISO 10303-21:2016, Annex G)."""
    REFERENCE = "reference"
    """The fragment of a URI in the REFERENCE section: the UUID that an item has in another file."""
    UUID_ATTRIBUTE = "uuid-attribute"
    """UUID_ATTRIBUTE itself, of AP242 edition 4: of no version in particular."""
    V4_UUID_ATTRIBUTE = "v4-uuid-attribute"
    V5_UUID_ATTRIBUTE = "v5-uuid-attribute"
    HASH_BASED_V5_UUID_ATTRIBUTE = "hash-based-v5-uuid-attribute"
    GUID_ATTRIBUTE = "guid-attribute"
    """GUID_ATTRIBUTE and its subtypes: prototypes that no edition took over."""
    GUID_NAMESPACE = "guid-namespace"
    GUID_RELATIONSHIP = "guid-relationship"
    USER_DEFINED = "user-defined"
    """A user-defined attribute (GENERAL_PROPERTY, PROPERTY_DEFINITION) that is named as a UUID or GUID."""
    PROPERTY = "property"
    """A property of another name whose value has the form of a UUID: it need not identify what it stands on."""
    ID_ATTRIBUTE = "id-attribute"
    IDENTIFICATION = "identification"
    """APPLIED_IDENTIFICATION_ASSIGNMENT."""
    EXTERNAL_IDENTIFICATION = "external-identification"
    """APPLIED_EXTERNAL_IDENTIFICATION_ASSIGNMENT, EXTERNAL_IDENTIFICATION_ASSIGNMENT."""

    __hash__ = object.__hash__
    """Members are unique; Enum's own hash takes long where there are hundreds of thousands of UUIDs."""

    @property
    def identifies(self) -> bool:
        """The UUID is that of the item: not a reference to another file's, nor some property's value."""
        return self not in _MERE_VALUES

    @property
    def is_uuid_attribute(self) -> bool:
        """It is an entity of AP242 edition 4."""
        return self in UUID_ATTRIBUTES.values()

    @property
    def is_prototype(self) -> bool:
        """It is an entity of no published edition."""
        return self in GUID_ENTITIES.values()


Kind: TypeAlias = Literal["product", "pmi", "topology", "geometry", "other"]
"""What kind of item a UUID identifies."""

UUID_ATTRIBUTES: Final = {
    "HASH_BASED_V5_UUID_ATTRIBUTE": Carrier.HASH_BASED_V5_UUID_ATTRIBUTE,
    "V5_UUID_ATTRIBUTE": Carrier.V5_UUID_ATTRIBUTE,
    "V4_UUID_ATTRIBUTE": Carrier.V4_UUID_ATTRIBUTE,
    "UUID_ATTRIBUTE_WITH_APPROXIMATE_LOCATION": Carrier.UUID_ATTRIBUTE,
    "UUID_ATTRIBUTE": Carrier.UUID_ATTRIBUTE,
}
"""Entities of AP242 edition 4, the most special first: a complex instance is what its most special part says."""

GUID_ENTITIES: Final = {
    "GUID_ATTRIBUTE": Carrier.GUID_ATTRIBUTE,
    "GUID_ATTRIBUTE_WITH_APPROXIMATE_LOCATION": Carrier.GUID_ATTRIBUTE,
    "AGGREGATE_GUID_ATTRIBUTE": Carrier.GUID_ATTRIBUTE,
    "GUID_NAMESPACE": Carrier.GUID_NAMESPACE,
    "GUID_RELATIONSHIP": Carrier.GUID_RELATIONSHIP,
}
"""Entities of the prototypes before edition 4."""

ASSIGNMENTS: Final = {
    "APPLIED_EXTERNAL_IDENTIFICATION_ASSIGNMENT": Carrier.EXTERNAL_IDENTIFICATION,
    "EXTERNAL_IDENTIFICATION_ASSIGNMENT": Carrier.EXTERNAL_IDENTIFICATION,
    "APPLIED_IDENTIFICATION_ASSIGNMENT": Carrier.IDENTIFICATION,
    "IDENTIFICATION_ASSIGNMENT": Carrier.IDENTIFICATION,
    "ID_ATTRIBUTE": Carrier.ID_ATTRIBUTE,
}
"""Entities that give any identifier to items, the most special first: of interest where it has a UUID's form."""

VERSION_OF: Final = {
    Carrier.V4_UUID_ATTRIBUTE: 4,
    Carrier.V5_UUID_ATTRIBUTE: 5,
    Carrier.HASH_BASED_V5_UUID_ATTRIBUTE: 5,
}
"""The version digit (RFC 9562, 4.2) that a carrier's UUIDs have."""

_MERE_VALUES: Final = frozenset({Carrier.REFERENCE, Carrier.PROPERTY})
