"""Put many numbers into groups that are worked on one after the other, so that little is held at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator
from typing import Final, TypeVar

from dotpeen_step.inspection.columns import Column

GROUP: Final = 20_000
"""Numbers in a group, about."""

_Key = TypeVar("_Key", bound=Hashable)


def groups(count: int, group_of: Callable[[int], int]) -> Iterator[Collection[int]]:
    """Yield the numbers below `count` in groups; those with the same `group_of` are in the same one."""
    wanted = count // GROUP + 1
    if wanted == 1:
        yield range(count)
        return
    found = [Column() for _ in range(wanted)]
    for number in range(count):
        found[group_of(number) % wanted].append(number)
    yield from found


def repeated(numbers: Collection[int], key: Callable[[int], _Key | None]) -> Iterator[list[int]]:
    """Yield the numbers that share a key, where more than one does; numbers with the key None are left out."""
    first: dict[_Key, int] = {}
    more: dict[_Key, list[int]] = {}
    for number in numbers:
        one = key(number)
        if one is None:
            continue
        earlier = first.setdefault(one, number)
        if earlier != number:
            more.setdefault(one, [earlier]).append(number)
    yield from more.values()
