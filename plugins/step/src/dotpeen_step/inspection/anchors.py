"""Read UUIDs from the ANCHOR and REFERENCE sections (ISO 10303-21:2016, 9 and 10, Annex G)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from dotpeen.identifiers import InvalidUuidError, canonical_uuid, find_uuid
from dotpeen_step.inspection.carriers import Carrier
from dotpeen_step.inspection.forms import looks_alike
from dotpeen_step.part21.values import Reference, Resource

if TYPE_CHECKING:
    from dotpeen_step.inspection.findings import Findings
    from dotpeen_step.inspection.uuids import Uuids
    from dotpeen_step.part21.anchors import Anchor, External
    from dotpeen_step.part21.file import Part21File
    from dotpeen_step.part21.values import Value

_BARE: Final = "write the bare UUID between < and >: 8-4-4-4-12 hexadecimal digits, no prefix (Annex G)"


@dataclass(frozen=True, slots=True)
class _End:
    """Where an anchor leads to in the end."""

    value: Value
    """A URI where that is another file, or nowhere."""
    loop: str | None = None
    """The anchor that the way comes back to."""


class _Ends:
    """Follows anchors through others, each once, however many lead to it."""

    def __init__(self, by_name: Mapping[str, Anchor]) -> None:
        self._by_name = by_name
        self._known: dict[str, _End] = {}

    def of(self, alias: Anchor) -> _End:
        """Follow an anchor."""
        same = self._by_name.get(alias.name)
        if same is None or same.offset != alias.offset:
            return self._follow(alias.value, {})
        known = self._known.get(alias.name)
        return self._follow(alias.value, {alias.name: 0}) if known is None else known

    def _follow(self, value: Value, way: dict[str, int]) -> _End:
        """Follow a value. `way`: the names passed, each with its place."""
        while (uri := _uri(value)) is not None:
            name = uri.removeprefix("#")
            if name in way:
                # Each anchor of the loop comes back to itself, those before it to where they enter it.
                self._known.update(
                    (one, _End(value, loop=one)) for one, place in way.items() if place >= way[name]
                )
            if name in self._known or name not in self._by_name:
                break
            way[name] = len(way)
            value = self._by_name[name].value
        end = _End(value) if uri is None else self._known.get(name, _End(value))
        for one in way:
            self._known.setdefault(one, end)
        return self._known[next(iter(way))] if way else end


class AnchorUuids:
    """Adds the UUIDs of anchors, and those that references to other files end with."""

    def __init__(self, uuids: Uuids, findings: Findings) -> None:
        self._uuids = uuids
        self._findings = findings
        self.targets: dict[int, int] = {}
        """Instances that anchors lead to whose name is no UUID, each with the first byte of an anchor."""
        self.external: set[int] = set()
        """Instance names of the reference section: what they name is in other files."""

    def take(self, file: Part21File) -> None:
        """Read both sections."""
        aliases: list[Anchor] = []
        for anchor in file.anchors:
            if isinstance(anchor.value, Resource):
                aliases.append(anchor)
            else:
                self._take_anchor(anchor, anchor.value)
        if aliases:
            self._take_aliases(file, aliases)
        for reference in file.references:
            self._take_reference(reference)

    def _take_anchor(self, anchor: Anchor, value: Value) -> None:
        target = value.id if isinstance(value, Reference) else None
        uuid = self._uuid_of(anchor)
        if uuid is not None:
            self._uuids.add(
                uuid,
                text=anchor.name,
                carrier=Carrier.ANCHOR,
                carrier_ref=anchor.offset,
                offset=anchor.offset,
                target_ref=target,
            )
        elif target is not None:
            self.targets.setdefault(target, anchor.offset)

    def _take_aliases(self, file: Part21File, aliases: list[Anchor]) -> None:
        """Read anchors that lead to other anchors, or to other files."""
        named = {uri.removeprefix("#") for alias in aliases if isinstance(uri := _uri(alias.value), str)}
        ends = _Ends({anchor.name: anchor for anchor in file.anchors if anchor.name in named})
        for alias in aliases:
            end = ends.of(alias)
            self._note_end(alias, end)
            self._take_anchor(alias, end.value)

    def _note_end(self, alias: Anchor, end: _End) -> None:
        """Note an anchor that leads to no value of this file, nor to another file."""
        if end.loop is not None:
            self._findings.add(
                "anchor-loop",
                alias.offset,
                f"the anchor <{alias.name[:80]}> leads to no value: it comes back to <{end.loop[:80]}>",
                "let one of these anchors lead to an instance",
            )
        elif (uri := _uri(end.value)) is not None and uri.startswith("#"):
            self._findings.add(
                "anchor-dangling",
                alias.offset,
                f"the anchor <{alias.name[:80]}> leads to <{uri[:81]}>, which is no anchor of this file",
                "remove the anchor, or add the one it leads to",
            )

    def _uuid_of(self, anchor: Anchor) -> str | None:
        """Return the UUID that an anchor's name is, and note a name that only looks like one."""
        name = unquote(anchor.name)
        try:
            return canonical_uuid(anchor.name)
        except InvalidUuidError:
            uuid = find_uuid(name)
        if uuid is not None or looks_alike(name):
            said = "is not the bare UUID" if uuid is not None else "looks like a UUID and is none"
            self._findings.add("anchor-form", anchor.offset, f"the anchor <{anchor.name[:80]}> {said}", _BARE)
        return uuid

    def _take_reference(self, reference: External) -> None:
        if reference.id is not None:
            self.external.add(reference.id)
        fragment = unquote(reference.uri.rpartition("#")[2]) if "#" in reference.uri else ""
        uuid = find_uuid(fragment)
        if uuid is not None:
            self._uuids.add(
                uuid,
                text=fragment,
                carrier=Carrier.REFERENCE,
                carrier_ref=reference.offset,
                offset=reference.offset,
                target_ref=reference.id,
                label=reference.uri,
            )


def _uri(value: Value) -> str | None:
    return value.uri if isinstance(value, Resource) else None
