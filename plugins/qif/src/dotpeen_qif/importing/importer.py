"""The importer: reads files, matches what they say, writes it, and reports; all in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import psycopg
from psycopg import sql

from dotpeen.database import Connection
from dotpeen.errors import DotpeenError
from dotpeen.hooks import Importer, ImportItem, ImportReport, ImportRequest
from dotpeen.registry import Registry
from dotpeen_qif.importing.checking import Checks, WrongFilesError
from dotpeen_qif.importing.choices import OPTIONS, Choices, choices
from dotpeen_qif.importing.cited import cited_documents
from dotpeen_qif.importing.files import EXTENSIONS, File, gather
from dotpeen_qif.importing.identity import Identity
from dotpeen_qif.importing.keeping import keep
from dotpeen_qif.importing.matching import Matching
from dotpeen_qif.importing.measuring import Measuring
from dotpeen_qif.importing.plans import Plans
from dotpeen_qif.importing.reporting import report_of
from dotpeen_qif.importing.staging import Staging
from dotpeen_qif.importing.targets import Role, Targets, targets
from dotpeen_qif.importing.writing import write
from dotpeen_qif.installation import SCHEMA
from dotpeen_qif.limits import QifDocumentError
from dotpeen_qif.mapping import map_site
from dotpeen_qif.settings import Settings

_SESSION: Final = {
    # Joins of a million rows stay off the disk; compiling them costs more than it saves.
    "work_mem": "64MB",
    "jit": "off",
    # Temporary tables are analyzed to tell how much there is; a sample of 3000 rows says so in a tenth of the time.
    "default_statistics_target": "10",
}
DOCUMENT: Final = "QIFDocument"
"""What reports call a file that is left out as a whole."""


def importers(registry: Registry, settings: Settings) -> Sequence[Importer]:
    """Return the importer; none where the registry lacks an entity that it writes to."""
    sections = settings.sections()
    needed = ("part", "plan", "characteristic", "serial", "result")
    if any(sections[name].entity not in registry.entities for name in needed):
        return []
    return [
        Importer(
            format="qif",
            extensions=EXTENSIONS,
            read=lambda request: read(request, settings),
            options=OPTIONS,
            summary="Measurement plans and results as QIF 3.0 (ISO 23952).",
        )
    ]


def read(request: ImportRequest, settings: Settings) -> ImportReport:
    """Import QIF files. Nothing remains where the report isn't clean, unless `partial`; nothing with `dry_run`.

    Raises `DotpeenError` for what isn't about a record: a file that can't be read, options, a database that isn't
    migrated.
    """
    chosen = choices(settings, request.options)
    with Checks(settings.schema_dir) as checks:
        found, errors = gather(request.files, checks.begin)
        found, wrong = checks.checked(found)
        errors += wrong
        if errors and not request.partial:
            raise errors[0]
        try:
            return _written(request, settings, chosen, found, errors, checks)
        except WrongFilesError as late:
            if not request.partial:
                raise late.errors[0] from None
            errors += late.errors
            good = [file.again() for file in found if file not in late.files]
    return _written(request, settings, chosen, good, errors, None)


def _written(
    request: ImportRequest,
    settings: Settings,
    chosen: Choices,
    files: Sequence[File],
    errors: Sequence[DotpeenError],
    checks: Checks | None,
) -> ImportReport:
    """Import files, and leave what is to remain. Raises `WrongFilesError` for what the checks find."""
    try:
        with request.connection.transaction() as undo:
            report = _import(request, settings, chosen, files, checks)
            for error in errors:
                report.add(ImportItem("unmatched", DOCUMENT, "", message=error.message))
            if request.dry_run or not (report.clean or request.partial):
                raise psycopg.Rollback(undo)
    except Exception:
        if checks is not None:
            checks.finish(files)  # what is wrong with a file comes before what follows from it
        raise
    return report


def _import(
    request: ImportRequest,
    settings: Settings,
    chosen: Choices,
    files: Sequence[File],
    checks: Checks | None,
) -> ImportReport:
    connection = request.connection
    # One import after the other: what this one finds missing, no other one makes meanwhile.
    connection.execute("SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('dotpeen_qif import'))")
    goals = targets(connection, map_site(connection, request.registry, settings, "internal"))
    for name, value in _SESSION.items():
        connection.execute("SELECT pg_catalog.set_config(%s, %s, true)", [name, value])
    SCHEMA.install(connection)
    cited = cited_documents(request, settings, goals, files)
    staging = Staging(connection, goals, settings, chosen, cited)
    for number, file in enumerate(files, start=1):
        try:
            staging.add(file.path.name, file.digest, file.document)
        except OSError as error:
            raise QifDocumentError(
                str(file.path), None, f"can't be read: {error.strerror or error}"
            ) from error
        request.progress("files", number, len(files))
    staging.finish()
    identity = Identity(connection, request.registry, goals)
    _match(connection, goals, settings, chosen, identity)
    measuring = Measuring(connection, goals, settings, chosen, identity)
    measuring.match()
    request.progress("measurements", staging.measurements, staging.measurements)
    if checks is not None:
        checks.finish(files)
    measuring.write()
    keep(connection, goals)
    report = report_of(connection, goals)
    listed, report.items = report.items, []
    for item in _missing(connection, files):
        report.add(item)
    report.items += listed
    return report


def _missing(connection: Connection, files: Sequence[File]) -> list[ImportItem]:
    """Name the documents that results need and that nobody has: one line for each."""
    rows = connection.execute(
        "SELECT DISTINCT r.file, r.item_document::text FROM pg_temp.qif_result AS r WHERE r.item_document IS NOT NULL"
        " AND NOT EXISTS (SELECT FROM dotpeen_qif.document AS d WHERE d.qpid = r.item_document) ORDER BY 1, 2"
    ).fetchall()
    found = []
    for number, qpid in rows:
        file = files[number]
        cited = next((one for one in file.document.external if one.qpid == qpid), None)
        uri = (cited.uri if cited is not None else None) or "a document"
        found.append(
            ImportItem(
                "unmatched",
                DOCUMENT,
                file.path.name,
                where=f"{file.path.name}:{cited.line}"
                if cited is not None and cited.line
                else file.path.name,
                message=f"refers to {uri} (QPId {qpid}), which is not among the files, not beside it,"
                " was never imported, and is no plan that would be exported now",
            )
        )
    return found


def _match(
    connection: Connection, goals: Targets, settings: Settings, chosen: Choices, identity: Identity
) -> None:
    """Match and write everything but the measurements, each after what it refers to."""
    matching = Matching(connection, goals, chosen, identity)
    for target in goals.values():
        if target.role != "result":
            matching.by_uuid(target.role)
    identity.among_files()
    _named(matching, "part", [("number", "number")])
    write(connection, goals, chosen, "part")
    Plans(connection, goals, settings, matching).match()
    write(connection, goals, chosen, "plan")
    write(connection, goals, chosen, "characteristic")
    _owners(connection, goals)
    for role, column in (("order", "number"), ("serial", "serial")):
        if role in goals:
            _named(matching, role, [("number", column)])  # type: ignore[arg-type]
            write(connection, goals, chosen, role)  # type: ignore[arg-type]


def _named(matching: Matching, role: Role, key: Sequence[tuple[str, str]]) -> None:
    """Match records that people know by a number."""
    matching.fitting(role)
    matching.by_uuid(role)
    matching.by_key(role, key)
    matching.twins(role, sql.SQL("s.") + sql.Identifier(key[0][1]))
    if role != "part":
        matching.link(role, "part")
    matching.new(role)
    matching.settle(role)


def _owners(connection: Connection, goals: Targets) -> None:
    """What was measured without saying which part it is, is of the part whose plan it was measured by."""
    plan, part, characteristic = goals["plan"], goals["part"], goals["characteristic"]
    connection.execute(
        sql.SQL(
            "UPDATE pg_temp.qif_plan AS s SET part_uuid = {part} FROM {plans} JOIN {parts} ON {linked}"
            " WHERE s.part_uuid IS NULL AND s.state = 'found' AND {same}"
        ).format(
            part=part.uuid("p"),
            plans=plan.rows("t"),
            parts=part.rows("p"),
            linked=plan.source.linked("part", "t", "p"),
            same=plan.has_uuid(sql.SQL("s.uuid")),
        )
    )
    measured = sql.SQL(
        "SELECT r.actual_ref, p.part_uuid FROM pg_temp.qif_result AS r"
        " JOIN pg_temp.qif_characteristic AS c ON c.ref = r.item_ref JOIN pg_temp.qif_plan AS p ON p.n = c.plan_n"
        " UNION SELECT r.actual_ref, {part} FROM pg_temp.qif_result AS r"
        " JOIN dotpeen_qif.mention AS m ON m.document = r.item_document AND m.local_id = r.item_ref"
        " AND m.role = 'characteristic' JOIN {characteristics} ON {same} JOIN {plans} ON {of_plan}"
        " JOIN {parts} ON {of_part}"
    ).format(
        part=part.uuid("p"),
        characteristics=characteristic.rows("c"),
        same=characteristic.has_uuid(sql.SQL("m.uuid"), "c"),
        plans=plan.rows("t"),
        of_plan=characteristic.source.linked("plan", "c", "t"),
        parts=part.rows("p"),
        of_part=plan.source.linked("part", "t", "p"),
    )
    connection.execute(
        sql.SQL(
            "UPDATE pg_temp.qif_serial AS s SET part_uuid = m.uuids[1] FROM (SELECT actual_ref,"
            " pg_catalog.array_agg(DISTINCT part_uuid) AS uuids FROM ({}) AS m WHERE actual_ref IN"
            " (SELECT ref FROM pg_temp.qif_serial WHERE part_ref IS NULL) GROUP BY actual_ref) AS m"
            " WHERE m.actual_ref = s.ref AND s.part_ref IS NULL AND pg_catalog.cardinality(m.uuids) = 1"
        ).format(measured)
    )
