"""The formats that the plugin offers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final, Literal, get_args

from dotpeen.errors import ConfigurationError, InvalidQueryError
from dotpeen.hooks import DigitalModel, ExportDocument, Exporter, ExportRequest
from dotpeen.registry import Registry
from dotpeen_qif.exporting.contents import Contents, Subject, Wanted, read_contents
from dotpeen_qif.exporting.document import PlanDocument, ResultsDocument, Site, file_name
from dotpeen_qif.exporting.kept import measured_of
from dotpeen_qif.mapping import NEEDED, map_site
from dotpeen_qif.settings import Settings

MEDIA_TYPE: Final = "application/qif+xml"
Kind = Literal["qif", "qif-plan", "qif-results"]
_SUBJECTS: Final[dict[Kind, tuple[Subject, ...]]] = {
    "qif": get_args(Subject),
    "qif-plan": ("part", "plan"),
    "qif-results": get_args(Subject),
}
_SUMMARIES: Final[dict[Kind, str]] = {
    "qif": "Plans and results in one QIF document (ISO 23952).",
    "qif-plan": "Measurement plans as a QIF document.",
    "qif-results": "Results as a QIF document that refers to the one of format qif-plan.",
}
_EXTENSIONS: Final[dict[Kind, str]] = {"qif": ".qif", "qif-plan": ".plan.qif", "qif-results": ".results.qif"}
_OPTIONS: Final = {
    "plans": "`current` (the default): the newest version of each plan, and older ones with results; or `all`.",
    "plan-uri": "Where qif-results says that the document with the plans is; default: its file name.",
}
_logger = logging.getLogger(__name__)


def exporters(registry: Registry, settings: Settings) -> Sequence[Exporter]:
    """Return the formats; none where the registry has no parts, plans or characteristics and none were asked for."""
    sections = settings.sections()
    named = {key: section.entity for key, section in sections.items() if section.entity in registry.entities}
    missing = [key for key in NEEDED if key not in named]
    if missing and not any("entity" in sections[key].model_fields_set for key in missing):
        return []
    if missing:
        key = missing[0]
        raise ConfigurationError(
            f"{registry.file}: plugins.qif.{key}.entity: no entity {sections[key].entity!r}",
            hint=f"registered entities: {', '.join(registry.entities)}",
        )
    return [
        Exporter(
            format=kind,
            media_type=MEDIA_TYPE,
            extension=".qif",
            entities=tuple(named[subject] for subject in subjects if subject in named),
            open=_opener(kind, settings),
            reads=tuple(named[key] for key in _reads(kind) if key in named),
            options={"plans": _OPTIONS["plans"]} if kind != "qif-results" else _OPTIONS,
            summary=_SUMMARIES[kind],
        )
        for kind, subjects in _SUBJECTS.items()
    ]


def _reads(kind: Kind) -> tuple[str, ...]:
    plan = ("part", "plan", "characteristic", "change")
    return plan if kind == "qif-plan" else (*plan, "result", "serial", "lot", "order", "device")


def _opener(kind: Kind, settings: Settings) -> Callable[[ExportRequest], ExportDocument]:
    return lambda request: open_document(kind, settings, request)


def open_document(kind: Kind, settings: Settings, request: ExportRequest) -> ExportDocument:
    """Read everything but the results, count those, and return the document.

    Raises `RecordNotFoundError`, `InvalidQueryError` for a wrong option and `ConfigurationError` for a mapping that
    does not fit the database.
    """
    every_plan = _every_plan(request)
    mapped = map_site(request.connection, request.registry, settings, request.audience)
    site = Site(request.registry.site.name, settings, mapped, request.audience)
    subject = next(key for key in get_args(Subject) if settings.sections()[key].entity == request.entity.name)
    wanted = Wanted(subject, request.uuid, every_plan=every_plan)
    contents = read_contents(request.connection, mapped, settings, wanted)
    label = contents.product.number or request.uuid
    if subject in ("serial", "order"):
        label = f"{label}_{request.uuid}"
    elif subject == "plan":
        plan = contents.plans[0].plan
        label = "_".join(filter(None, (plan.number, plan.version))) or request.uuid
    models = _models(request, settings, contents)
    document: PlanDocument | ResultsDocument
    if kind == "qif-plan":
        document = PlanDocument(site, contents, models)
    elif kind == "qif":
        document = ResultsDocument(
            site, contents, measured_of(request.connection, mapped, settings, contents, wanted), None, models
        )
    else:
        planned = contents
        if subject in ("serial", "order"):
            whole = Wanted("part", contents.product.uuid or "", every_plan=every_plan)
            planned = read_contents(request.connection, mapped, settings, whole)
        uri = request.options.get("plan-uri") or _plan_uri(planned.product.number, label, subject)
        measured = measured_of(request.connection, mapped, settings, planned, wanted)
        document = ResultsDocument(site, planned, measured, (PlanDocument(site, planned, models), uri))
    if document.altered:
        _logger.warning(
            "%s %s: characters that XML can't hold were replaced in %s",
            request.entity.name,
            request.uuid,
            ", ".join(sorted(document.altered)),
        )
    return ExportDocument(
        file_name=file_name(label, _EXTENSIONS[kind]), chunks=document.chunks(), etag=document.qpid
    )


def _models(request: ExportRequest, settings: Settings, contents: Contents) -> Sequence[DigitalModel]:
    """Ask the other plugins for the CAD models of the part, whatever record is exported."""
    if contents.product.uuid is None:
        return ()
    part = request.registry.entities[settings.sections()["part"].entity]
    return request.digital_models(part, contents.product.uuid)


def _plan_uri(number: str | None, label: str, subject: Subject) -> str:
    return file_name(label if subject == "plan" else number or label, _EXTENSIONS["qif-plan"])


def _every_plan(request: ExportRequest) -> bool:
    chosen = request.options.get("plans", "current")
    if chosen not in ("current", "all"):
        raise InvalidQueryError("plans", f"{chosen!r} is neither current nor all")
    return chosen == "all"
