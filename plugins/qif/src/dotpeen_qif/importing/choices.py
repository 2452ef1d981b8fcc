"""What a site and the person at the command line decide about an import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, StrictBool

from dotpeen.errors import ConfigurationError, InvalidValueError

if TYPE_CHECKING:
    from dotpeen_qif.settings import Settings

Disagreement: TypeAlias = Literal["conflict", "stated", "computed"]
Value: TypeAlias = str | int | float | bool

ALWAYS: Final = ("plan", "characteristic", "result")
"""Sections whose records an import makes by itself: documents are written for them."""
REFERRED: Final = ("part", "serial", "order")
"""Sections whose records an import makes only where it is told to: other applications own them."""
OPTIONS: Final[Mapping[str, str]] = {
    "create": "Entities whose missing records are made, too: Part,SerializedPart,WorkOrder",
    "part": "Number of the part that documents which name none are about",
    "at": "When measured, where a document doesn't say: 2026-03-01T08:00:00",
    "status": "Where the stated and the computed status disagree: conflict (default), stated or computed counts",
    "unnamed": "yes: what was measured and has no serial number gets its UUID for one",
}


class ImportSettings(BaseModel):
    """What may stand under `[plugins.qif.imports]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    create: tuple[str, ...] = ()
    """Entities whose missing records are made, beside plans, characteristics and results."""
    fill: Mapping[str, Mapping[str, Value]] = {}
    """Entity to column to the value of new records for which documents have none."""
    touched: tuple[str, ...] = ("createdAt", "updatedAt")
    """Columns that hold when a record was made or changed."""
    status: Disagreement = "conflict"
    """What counts where the stated status is not the computed one."""
    unnamed: StrictBool = False
    """What was measured and has no serial number gets its UUID for one."""
    plan_version: str = "1"
    """Version of plans that come without a number of their own: their QPId is both."""


@dataclass(frozen=True)
class Choices:
    """The settings, and what the options of this import say beside them."""

    create: frozenset[str]
    """Sections whose records may be made."""
    fill: Mapping[str, Mapping[str, Value]]
    touched: tuple[str, ...]
    status: Disagreement
    unnamed: bool
    plan_version: str
    part: str | None = None
    at: datetime | None = None
    create_hint: Mapping[str, str] = field(default_factory=dict)
    """What to do where a record of a section is missing."""


def choices(settings: Settings, options: Mapping[str, str]) -> Choices:
    """Put settings and options together. Raises `ConfigurationError` and `InvalidValueError`."""
    given = settings.imports
    for name in options:
        if name not in OPTIONS:
            raise ConfigurationError(f"no option {name!r}", hint=f"options: {', '.join(OPTIONS)}")
    entities = {settings.sections()[section].entity: section for section in REFERRED}
    named = list(given.create)
    if "create" in options:
        named += [name.strip() for name in options["create"].split(",") if name.strip()]
    own = {settings.sections()[section].entity for section in ALWAYS}
    for name in named:
        if name not in entities and name not in own:
            raise ConfigurationError(
                f"import can't make records of {name!r}", hint=f"it can of {', '.join(entities)}"
            )
    status = options.get("status", given.status)
    if status not in get_args(Disagreement):
        raise InvalidValueError("status", f"expected one of {', '.join(get_args(Disagreement))}")
    unnamed = options.get("unnamed")
    if unnamed is not None and unnamed not in ("yes", "no"):
        raise InvalidValueError("unnamed", "expected yes or no")
    return Choices(
        create=frozenset(ALWAYS) | {entities[name] for name in named if name in entities},
        fill=given.fill,
        touched=given.touched,
        status=status,  # type: ignore[arg-type]
        unnamed=given.unnamed if unnamed is None else unnamed == "yes",
        plan_version=given.plan_version,
        part=options.get("part"),
        at=_moment(options.get("at")),
        create_hint={section: f"--option create={entity}" for entity, section in entities.items()},
    )


def _moment(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError:
        raise InvalidValueError("at", f"{text!r} is no date and time such as 2026-03-01T08:00:00") from None
