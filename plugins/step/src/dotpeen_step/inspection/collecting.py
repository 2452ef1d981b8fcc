"""One pass over a file for everyone who wants some of its instances."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

if TYPE_CHECKING:
    from dotpeen_step.part21.file import Part21File
    from dotpeen_step.part21.instance import Instance

Progress: TypeAlias = Callable[[int], None]
"""Is told how many bytes of the file are done, now and then."""

_TELL_EVERY: Final = 1 << 20
"""Bytes between two calls of `Progress`."""


class Collector(Protocol):
    """Takes the instances that have one of its keywords, in the order of the file."""

    @property
    def keywords(self) -> frozenset[str]:
        """Keywords of simple instances, or of any part of a complex one."""
        ...

    def take(self, instance: Instance) -> None:
        """Note what is needed of an instance; it is not kept. Must be quick and small: files have millions."""
        ...


def collect(file: Part21File, collectors: Iterable[Collector], progress: Progress | None = None) -> None:
    """Read the whole file once and give each collector its instances.

    Raises `Part21Error` where the file is not ISO 10303-21.
    """
    takers: dict[str, list[Callable[[Instance], None]]] = {}
    for collector in collectors:
        for keyword in collector.keywords:
            takers.setdefault(keyword, []).append(collector.take)
    tell_at = _TELL_EVERY
    for instance in file.instances(frozenset(takers)):
        if instance.keyword:
            for take in takers[instance.keyword]:
                take(instance)
        else:
            _take_complex(instance, takers)
        if progress is not None and instance.offset >= tell_at:
            tell_at = instance.offset + _TELL_EVERY
            progress(instance.offset)


def _take_complex(instance: Instance, takers: dict[str, list[Callable[[Instance], None]]]) -> None:
    """Give a complex instance to each collector once, however many of its parts are wanted."""
    wanted: dict[Callable[[Instance], None], None] = {}
    for part in instance.parts:
        wanted.update(dict.fromkeys(takers.get(part.keyword, ())))
    for take in wanted:
        take(instance)
