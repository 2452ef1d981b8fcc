"""Read UUIDs from the ANCHOR and REFERENCE sections (ISO 10303-21:2016, 9 and 10, Annex G)."""

from __future__ import annotations

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
        by_name = {anchor.name: anchor for anchor in file.anchors if anchor.name in named}
        for alias in aliases:
            self._take_anchor(alias, self._end_of(alias, by_name))

    def _end_of(self, alias: Anchor, by_name: dict[str, Anchor]) -> Value:
        """Follow an anchor through others to a value; a URI where it leads to another file or nowhere."""
        passed = {alias.name}
        value = alias.value
        while isinstance(value, Resource):
            name = value.uri.removeprefix("#")
            if name in passed:
                self._findings.add(
                    "anchor-loop",
                    alias.offset,
                    f"the anchor <{alias.name[:80]}> leads to no value: it comes back to <{name[:80]}>",
                    "let one of these anchors lead to an instance",
                )
                return value
            if name not in by_name:
                if value.uri.startswith("#"):
                    self._findings.add(
                        "anchor-dangling",
                        alias.offset,
                        f"the anchor <{alias.name[:80]}> leads to <#{name[:80]}>, which is no anchor of this file",
                        "remove the anchor, or add the one it leads to",
                    )
                return value
            passed.add(name)
            value = by_name[name].value
        return value

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
