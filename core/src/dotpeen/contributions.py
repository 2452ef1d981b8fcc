"""What plugins contribute: the values that the hooks return, and what their functions are given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from fastapi import APIRouter

    from dotpeen.database import Connection
    from dotpeen.registry import Entity, Registry

Audience: TypeAlias = Literal["external", "internal"]
"""A partner, who sees what the registry exposes and no key; or an application of the site itself."""


@dataclass(frozen=True)
class ExternalReference:
    """An identifier that another system gives to the records of an entity, such as `erpPartId` to parts."""

    name: str
    entity: str
    column: str
    type: Literal["text", "uuid"] = "text"


@dataclass(frozen=True)
class VerificationCheck:
    """A question to the database; `run` returns one line per thing that is wrong, none when all is well."""

    name: str
    run: Callable[[Connection], Sequence[str]]


@dataclass(frozen=True)
class Health:
    """How a plugin is; `message` tells a person what it found or what to do."""

    ok: bool
    message: str = ""


@dataclass(frozen=True)
class ThreadEntry:
    """One thing that carries a record's identity elsewhere: a CAD revision, a document, a number in the ERP."""

    kind: str
    value: str
    at: datetime | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    """More of it, as JSON can hold it. Partners see it: no keys, no secrets."""


@dataclass(frozen=True)
class RecordReference:
    """The record that another system's UUID leads to; `kind` says what that UUID is of."""

    entity: str
    uuid: str
    kind: str


@dataclass(frozen=True, slots=True)
class ModelEntity:
    """A thing in a CAD model that has a UUID of its own: a dimension, a tolerance, a face."""

    uuid: str
    kind: str
    """What it is: `"pmi"` (dimensions, tolerances, datums), `"product"`, `"topology"`, `"geometry"` or another word."""
    name: str = ""
    """What the model calls it; empty where it doesn't."""
    keyword: str = ""
    """In a STEP file its entity, the parts of a complex one joined with `+`; empty where it isn't known."""


@dataclass(frozen=True)
class DigitalModel:
    """A CAD model of a record, and the entities in it that others can refer to."""

    name: str
    """What the CAD system calls it."""
    file_name: str
    """Without folders. It is the site's: partners are not told."""
    format: str
    """`"STEPAP242"`, `"STEPAP214"`, `"STEPAP203"` …, as QIF's `DigitalModelFormatEnum` has it, or another word."""
    uuid: str | None = None
    """Of this revision of the model."""
    entities: tuple[ModelEntity, ...] = ()


def _no_models(entity: Entity, uuid: str) -> Sequence[DigitalModel]:
    return ()


@dataclass(frozen=True)
class ExportRequest:
    """What an exporter is asked for."""

    registry: Registry
    connection: Connection
    """In one transaction that only reads, REPEATABLE READ: everything is seen as of one moment."""
    entity: Entity
    uuid: str
    audience: Audience
    options: Mapping[str, str] = field(default_factory=dict)
    digital_models: Callable[[Entity, str], Sequence[DigitalModel]] = _no_models
    """Call it with an entity and a record's UUID for the CAD models that other plugins know of the record. It asks
    them when it is called; a plugin that fails is left out."""


@dataclass(frozen=True)
class ExportDocument:
    """An exported document; `chunks` is read once, by whoever sends or writes it."""

    file_name: str
    chunks: Iterator[bytes]
    etag: str | None = None
    """Changes with the content, and only then; without it clients can't ask whether theirs is current."""


@dataclass(frozen=True)
class Exporter:
    """A format that records of some entities can be exported in."""

    format: str
    """As in `--format qif` and in the route's path: lower case, digits and hyphens."""
    media_type: str
    extension: str
    """Of files, with its dot."""
    entities: tuple[str, ...]
    open: Callable[[ExportRequest], ExportDocument]
    """Raises `DotpeenError` before it returns where there is nothing to export or an option is wrong."""
    reads: tuple[str, ...] = ()
    """Entities whose records stand in the documents beside the exported one: a partner has to have the scope."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Names of options, each with a sentence for people."""
    summary: str = ""


ImportOutcome: TypeAlias = Literal["created", "updated", "unchanged", "conflicting", "unmatched"]


@dataclass(frozen=True)
class ImportItem:
    """What became of one record of an imported file."""

    outcome: ImportOutcome
    entity: str
    identifier: str
    where: str = ""
    """File and line, as `plan.qif:12`."""
    message: str = ""


@dataclass
class ImportReport:
    """What an import did, or would do. All records are counted; those that changed, and those left out, are listed."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    """Entity to outcome to number."""
    items: list[ImportItem] = field(default_factory=list)
    """Conflicting and unmatched ones, and what was left out."""
    changes: list[ImportItem] = field(default_factory=list)
    """Updated ones whose message says what becomes of what, as `nominalValue: 10 → 11`."""

    def add(self, item: ImportItem) -> None:
        """Count an item, and keep it where somebody has to look at it."""
        self.counts.setdefault(item.entity, Counter())[item.outcome] += 1
        if item.outcome in ("conflicting", "unmatched"):
            self.items.append(item)
        elif item.outcome == "updated" and item.message:
            self.changes.append(item)

    @property
    def clean(self) -> bool:
        """Nothing was conflicting or unmatched."""
        return not self.items


@dataclass(frozen=True)
class ImportRequest:
    """What an importer is asked for."""

    registry: Registry
    connection: Connection
    """In one transaction. The caller commits it, or rolls it back: after an error, with `dry_run`, and without
    `partial` where the report is not clean."""
    files: tuple[Path, ...]
    dry_run: bool = False
    partial: bool = False
    """Leave out what is wrong and import the rest."""
    options: Mapping[str, str] = field(default_factory=dict)
    progress: Callable[[str, int, int], None] = lambda what, done, total: None
    """Called now and then: what is done, how much, of how much (0 where nobody knows)."""
    digital_models: Callable[[Entity, str], Sequence[DigitalModel]] = _no_models
    """As exporters have it: for what recognizes documents that were exported with CAD models."""


@dataclass(frozen=True)
class Importer:
    """A format that files can be imported from."""

    format: str
    extensions: tuple[str, ...]
    """Of files, with the dot, lower case: how `dotpeen import FILE` finds its importer."""
    read: Callable[[ImportRequest], ImportReport]
    options: Mapping[str, str] = field(default_factory=dict)
    summary: str = ""


@dataclass(frozen=True)
class ApiRouter:
    """Routes that a plugin adds to the server, below `/api/v1/external` or, for the site's own, below `/api`."""

    router: APIRouter
    entity: str
    """Whose scope a partner needs: `read` for GET and HEAD, `write` for the rest."""
    surface: Audience = "external"
    max_body: int | None = None
    """Bytes that the body of a request may have, which the routes then read as it comes, with `request.stream()`.
    None: what the site takes everywhere, and it is there as a whole before a route begins."""
    timeout: float | None = None
    """Seconds that an answer may take once the body is read; None: what the site gives everywhere."""
