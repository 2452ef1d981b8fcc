"""The UUIDs of a file: where each stands, and what it identifies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, get_args, overload
from uuid import UUID

from dotpeen_step.inspection.carriers import Carrier, Kind
from dotpeen_step.inspection.columns import Column, Heap, Texts

_CARRIERS: Final = tuple(Carrier)
_CARRIER_NUMBER: Final = {carrier: number for number, carrier in enumerate(_CARRIERS)}
_KINDS: Final[tuple[Kind, ...]] = ("other", *(kind for kind in get_args(Kind) if kind != "other"))
"""`other` first: that is what an occurrence is of which nothing was told."""
_KIND_NUMBER: Final = {kind: number for number, kind in enumerate(_KINDS)}
_LENGTH: Final = 16


@dataclass(frozen=True, slots=True)
class UuidOccurrence:
    """One UUID on one item. A carrier that names several items has an occurrence for each."""

    uuid: str
    """The normal form: lower case, with hyphens."""
    text: str
    """As it stands in the file."""
    carrier: Carrier
    carrier_ref: int
    """Instance name of the carrier; of an anchor or a reference its first byte in the file."""
    offset: int
    """First byte of the carrier in the file."""
    target_ref: int | None
    """Instance name of the item; None where the carrier names none in this file."""
    target_keyword: str
    """Its entity, the parts of a complex instance joined with `+`; empty where it isn't there."""
    target_name: str
    """Its name; of whatever stands for a product the product's."""
    kind: Kind
    product_ref: int | None
    """Instance name of the PRODUCT that the item belongs to; None where the file doesn't tell."""
    label: str = ""
    """What the carrier calls it: the name of the user-defined attribute, of the anchor that leads here."""


class Uuids(Sequence[UuidOccurrence]):
    """Occurrences in the order they were found, some 60 bytes each; made into `UuidOccurrence` when asked for."""

    __slots__ = (
        "_carrier",
        "_carrier_ref",
        "_heap",
        "_keyword",
        "_keywords",
        "_kind",
        "_label",
        "_labels",
        "_name",
        "_offset",
        "_product",
        "_target",
        "_text",
        "_uuid",
    )

    def __init__(self) -> None:
        self._uuid = bytearray()
        self._carrier, self._carrier_ref, self._offset = Column(), Column(), Column()
        self._target, self._keyword, self._kind = Column(), Column(), Column()
        self._name, self._product, self._label = Column(), Column(), Column()
        self._text: dict[int, str] = {}
        self._keywords, self._labels, self._heap = Texts(), Texts(), Heap()

    def add(
        self,
        uuid: str,
        *,
        text: str,
        carrier: Carrier,
        carrier_ref: int,
        offset: int,
        target_ref: int | None,
        label: str = "",
    ) -> int:
        """Note an occurrence and return its number; what it identifies is told by `identify`."""
        number = len(self._carrier)
        self._uuid += bytes.fromhex(uuid.replace("-", ""))
        if text != uuid:
            self._text[number] = text
        self._carrier.append(_CARRIER_NUMBER[carrier])
        self._carrier_ref.append(carrier_ref)
        self._offset.append(offset)
        self._target.append(target_ref or 0)
        if label:
            self._label.put(number, self._labels.number(label))
        return number

    def identify(
        self, number: int, *, keyword: str, name: str, kind: Kind, product_ref: int | None = None
    ) -> None:
        """Tell what an occurrence identifies."""
        self._keyword.put(number, self._keywords.number(keyword))
        self._kind.put(number, _KIND_NUMBER[kind])
        self._name.put(number, self._heap.put(name))
        self.belongs(number, product_ref)

    def rename(self, number: int, name: str) -> None:
        """Tell a better name of an occurrence's item."""
        self._name.put(number, self._heap.put(name))

    def belongs(self, number: int, product_ref: int | None) -> None:
        """Tell which PRODUCT the item of an occurrence belongs to."""
        self._product.put(number, product_ref or 0)

    def __len__(self) -> int:
        return len(self._carrier)

    @overload
    def __getitem__(self, index: int) -> UuidOccurrence: ...
    @overload
    def __getitem__(self, index: slice) -> list[UuidOccurrence]: ...
    def __getitem__(self, index: int | slice) -> UuidOccurrence | list[UuidOccurrence]:
        if isinstance(index, slice):
            return [self._occurrence(number) for number in range(*index.indices(len(self)))]
        number = index + len(self) if index < 0 else index
        if not 0 <= number < len(self):
            raise IndexError(index)
        return self._occurrence(number)

    def __iter__(self) -> Iterator[UuidOccurrence]:
        return map(self._occurrence, range(len(self)))

    def bytes_of(self, number: int) -> bytes:
        """The 16 bytes of an occurrence's UUID."""
        return bytes(self._uuid[number * _LENGTH : (number + 1) * _LENGTH])

    def target_of(self, number: int) -> int:
        """The instance name of an occurrence's item, 0 for none."""
        return self._target[number]

    def product_of(self, number: int) -> int:
        """The instance name of the PRODUCT that an occurrence's item belongs to, 0 for none."""
        return self._product.get(number)

    def carrier_of(self, number: int) -> Carrier:
        """What holds an occurrence's UUID."""
        return _CARRIERS[self._carrier[number]]

    def carrier_ref_of(self, number: int) -> int:
        """The instance name of an occurrence's carrier, or its first byte."""
        return self._carrier_ref[number]

    def kind_of(self, number: int) -> Kind:
        """The kind of an occurrence's item."""
        return _KINDS[self._kind.get(number)]

    def keyword_of(self, number: int) -> str:
        """The entity of an occurrence's item."""
        return self._keywords[self._keyword.get(number)]

    def is_exact(self, number: int) -> bool:
        """The UUID stands in the file in its normal form."""
        return number not in self._text

    def _occurrence(self, number: int) -> UuidOccurrence:
        uuid = str(UUID(bytes=self.bytes_of(number)))
        return UuidOccurrence(
            uuid=uuid,
            text=self._text.get(number, uuid),
            carrier=self.carrier_of(number),
            carrier_ref=self._carrier_ref[number],
            offset=self._offset[number],
            target_ref=self._target[number] or None,
            target_keyword=self.keyword_of(number),
            target_name=self._heap[self._name.get(number)],
            kind=self.kind_of(number),
            product_ref=self.product_of(number) or None,
            label=self._labels[self._label.get(number)],
        )
