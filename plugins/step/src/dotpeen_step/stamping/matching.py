"""Which product of a file a part is: only what is certain is taken, or what was chosen by name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from dotpeen_step.stamping.carried import Carried
from dotpeen_step.stamping.errors import CollisionError, NoProductError, StampError
from dotpeen_step.stamping.products import Definition, Product

MatchedBy: TypeAlias = Literal["uuid", "number", "choice"]
_NAME: Final = re.compile(r"#([0-9]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A part whose UUID is to be put into a file."""

    part: str
    """What it was asked for by."""
    uuid: str
    """Its persistent UUID, lower case."""
    number: str | None
    """Its part number."""
    choice: str | None = None
    """What was said of its product: PRODUCT.id, or `#12`, the instance name of the PRODUCT or its definition."""


@dataclass(frozen=True, slots=True)
class Match:
    """A part and its product."""

    wanted: Wanted
    product: Product
    definition: Definition
    by: MatchedBy


def match(file: str, products: Sequence[Product], carried: Sequence[Carried], wanted: Wanted) -> Match:
    """Return the product of a part, and its one PRODUCT_DEFINITION. Raises `StampError`.

    Certain is a product that carries the part's UUID already, else the only one with the part's number.
    """
    chosen = _chosen(file, products, wanted) if wanted.choice is not None else None
    carrying = [one for one in products if one.ref in _carriers_of(carried, wanted.uuid)]
    if len(carrying) > 1:
        named = " and ".join(one.said for one in carrying)
        raise CollisionError(
            file, wanted.part, f"{named} carry its UUID {wanted.uuid}", hint="a UUID identifies one product"
        )
    if chosen is not None:
        product, definition = chosen
        if carrying and carrying[0] != product:
            raise CollisionError(
                file,
                wanted.part,
                f"{carrying[0].said} carries its UUID {wanted.uuid}, and {product.said} was chosen",
                hint="leave the choice out to take the one that carries it",
            )
        return Match(wanted, product, definition or _definition(file, wanted, product), "choice")
    if carrying:
        return Match(wanted, carrying[0], _definition(file, wanted, carrying[0]), "uuid")
    product = _by_number(file, products, wanted)
    return Match(wanted, product, _definition(file, wanted, product), "number")


def require_different(file: str, matches: Sequence[Match]) -> None:
    """Raise `StampError` where two parts were given the same product, or a part two."""
    products: dict[int, Match] = {}
    parts: dict[str, Match] = {}
    for one in matches:
        other = products.setdefault(one.product.ref, one)
        if other is not one:
            raise StampError(
                file,
                one.wanted.part,
                f"its product would be {one.product.said}, which {other.wanted.part} has already",
            )
        if parts.setdefault(one.wanted.uuid, one) is not one:
            raise StampError(file, one.wanted.part, f"its UUID {one.wanted.uuid} can be of one product only")


def _carriers_of(carried: Sequence[Carried], uuid: str) -> set[int]:
    return {one.product for one in carried if one.uuid == uuid and one.product is not None and one.whole}


def _chosen(file: str, products: Sequence[Product], wanted: Wanted) -> tuple[Product, Definition | None]:
    name = _NAME.fullmatch(wanted.choice or "")
    if name is None:
        found = [one for one in products if one.id == wanted.choice]
        if len(found) == 1:
            return found[0], None
        many = f"{len(found)} products have" if found else "no product has"
        raise NoProductError(file, wanted.part, f"{many} the id {wanted.choice!r}", found or _parts(products))
    ref = int(name[1])
    for product in products:
        if product.ref == ref:
            return product, None
        for definition in product.definitions:
            if definition.ref == ref:
                return product, definition
    raise NoProductError(
        file, wanted.part, f"#{ref} is neither a PRODUCT nor a PRODUCT_DEFINITION", _parts(products)
    )


def _by_number(file: str, products: Sequence[Product], wanted: Wanted) -> Product:
    if wanted.number is None:
        raise NoProductError(
            file, wanted.part, "it has no part number to find its product by", _parts(products)
        )
    found = [one for one in products if one.id == wanted.number]
    found = _parts(found) or found
    if not found:
        raise NoProductError(file, wanted.part, f"no product has the id {wanted.number!r}", _parts(products))
    if len(found) > 1:
        reason = f"{len(found)} products have the id {wanted.number!r}"
        raise NoProductError(file, wanted.part, reason, found)
    return found[0]


def _parts(products: Sequence[Product]) -> list[Product]:
    """Those that can be stamped; standards that a model follows are products, too, without a definition."""
    return [one for one in products if one.definitions]


def _definition(file: str, wanted: Wanted, product: Product) -> Definition:
    if not product.definitions:
        raise StampError(
            file,
            wanted.part,
            f"{product.said} has no PRODUCT_DEFINITION that could carry a UUID",
            hint="it may stand for a document: choose another product",
        )
    if len(product.definitions) > 1:
        named = ", ".join(f"#{one.ref}" for one in product.definitions)
        raise StampError(
            file,
            wanted.part,
            f"{product.said} has {len(product.definitions)} PRODUCT_DEFINITIONs: {named}",
            hint=f"choose one as {wanted.part}=#{product.definitions[0].ref}",
        )
    return product.definitions[0]
