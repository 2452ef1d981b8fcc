"""Documents that results refer to and that are not among the files: imported before, or exported by Dotpeen.

A document that Dotpeen exported is told by its QPId, which follows from its content: the documents that it would export
now of the plans and parts that the results name are put together, and compared. One that was recognized is remembered
like one that was imported, so that its results are known again when the plan has changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, get_args

from psycopg import sql

from dotpeen.database import Connection
from dotpeen.errors import DotpeenError
from dotpeen.hooks import Audience, ImportRequest
from dotpeen_qif.exporting.contents import Contents, Wanted, read_contents
from dotpeen_qif.exporting.document import PlanDocument, ResultsDocument, Site
from dotpeen_qif.exporting.head import PART_ID
from dotpeen_qif.exporting.kept import measured_of
from dotpeen_qif.importing.files import File
from dotpeen_qif.importing.targets import Role, Targets
from dotpeen_qif.mapping import Mapped, map_site
from dotpeen_qif.model import ExternalDocument
from dotpeen_qif.settings import Settings

Names = Mapping[str, str]
"""What a document calls characteristics, to their UUIDs."""
_MOST: Final = 50
"""Parts and plans of one file whose documents are put together."""


def cited_documents(
    request: ImportRequest, settings: Settings, targets: Targets, files: Sequence[File]
) -> dict[str, Names]:
    """Return what the documents that files refer to call their characteristics, by QPId.

    Those that nobody knows are missing. Those that are recognized are put into the plugin's own tables.
    """
    given = {file.document.qpid for file in files}
    found: dict[str, Names] = {}
    exported = _Exported(request, settings, targets)
    for file in files:
        for external in file.document.external:
            if external.qpid in given or external.qpid in found:
                continue
            names = _remembered(request.connection, external.qpid)
            if names is None:
                names = exported.recognize(file, external)
            if names is not None:
                found[external.qpid] = names
    return found


def _remembered(connection: Connection, qpid: str) -> Names | None:
    """What a document that was imported calls its characteristics; a name that means two of them means none."""
    known = connection.execute("SELECT FROM dotpeen_qif.document WHERE qpid = %s::uuid", [qpid]).fetchone()
    if known is None:
        return None
    rows = connection.execute(
        "SELECT m.local_id, pg_catalog.min(m.uuid::text) FROM dotpeen_qif.mention AS m WHERE m.document = %s::uuid"
        " AND m.role = 'characteristic' GROUP BY m.local_id HAVING pg_catalog.count(*) = 1",
        [qpid],
    ).fetchall()
    return dict(rows)


@dataclass(frozen=True)
class _Candidate:
    """A document that Dotpeen would export now."""

    document: PlanDocument | ResultsDocument
    contents: Contents

    @property
    def names(self) -> Names:
        """What it calls its characteristics."""
        return {str(one.item): one.said.uuid for one in self.document.fitted if one.said.uuid is not None}


class _Exported:
    """The documents that Dotpeen exports of what files name. Each is put together once."""

    def __init__(self, request: ImportRequest, settings: Settings, targets: Targets) -> None:
        self._request = request
        self._connection = request.connection
        self._settings = settings
        self._targets = targets
        self._mapped: dict[Audience, Mapped] = {}
        self._made: dict[tuple[str, str], list[_Candidate]] = {}

    def recognize(self, file: File, external: ExternalDocument) -> Names | None:
        """Return what the document calls its characteristics, where it is one of these."""
        for candidate in self._candidates(file):
            if candidate.document.qpid == external.qpid:
                self._remember(candidate, external)
                return candidate.names
        return None

    def _candidates(self, file: File) -> Iterator[_Candidate]:
        for subject, uuid in dict.fromkeys(self._subjects(file)):
            if (subject, uuid) not in self._made:
                self._made[subject, uuid] = list(self._documents(subject, uuid))
            yield from self._made[subject, uuid]

    def _subjects(self, file: File) -> Iterator[tuple[str, str]]:
        """The plans that a file cites, the parts that it is about, and the plans of these."""
        document = file.document
        cited = document.traceability.plans if document.traceability is not None else ()
        plans = [one.plan for one in cited][:_MOST]
        yield from (("plan", uuid) for uuid in plans)
        products = [one for one in document.products if one.kind == "Part"][:_MOST]
        actuals = [one.uuid for one in document.actuals[:_MOST] if one.uuid is not None]
        parts = self._parts(
            [one.uuid for one in products if one.uuid is not None],
            [one.number for one in products if one.number is not None],
            plans,
            actuals,
        )
        for part in parts:
            yield "part", part
            yield from (("plan", uuid) for uuid in self._plans(part))

    def _parts(
        self, uuids: Sequence[str], numbers: Sequence[str], plans: Sequence[str], actuals: Sequence[str]
    ) -> list[str]:
        part = self._targets["part"].source
        parts = part.rows("t")
        queries: list[sql.Composable] = [
            sql.SQL("SELECT {} AS uuid FROM {} WHERE {}").format(part.uuid("t"), parts, part.uuid_in("t")),
            sql.SQL("SELECT {} FROM {} WHERE {} = ANY(%s::text[])").format(
                part.uuid("t"), parts, part.text("number", "t")
            ),
        ]
        for other in (self._targets["plan"].source, self._targets["serial"].source):
            queries.append(
                sql.SQL("SELECT {} FROM {} JOIN {} ON {} WHERE {}").format(
                    part.uuid("t"), other.rows("x"), parts, other.linked("part", "x", "t"), other.uuid_in("x")
                )
            )
        rows = self._connection.execute(
            sql.SQL(
                "SELECT DISTINCT p.uuid::text FROM ({}) AS p WHERE p.uuid IS NOT NULL ORDER BY 1 LIMIT {}"
            ).format(sql.SQL(" UNION ALL ").join(queries), sql.Literal(_MOST)),
            [list(uuids), list(numbers), list(plans), list(actuals)],
        ).fetchall()
        return [row[0] for row in rows]

    def _plans(self, part: str) -> list[str]:
        plan, parts = self._targets["plan"].source, self._targets["part"].source
        rows = self._connection.execute(
            sql.SQL(
                "SELECT {plan}::text FROM {plans} JOIN {parts} ON {linked} WHERE {same} ORDER BY 1 LIMIT {most}"
            ).format(
                plan=plan.uuid("p"),
                plans=plan.rows("p"),
                parts=parts.rows("t"),
                linked=plan.linked("part", "p", "t"),
                same=parts.has_uuid("t", sql.Placeholder()),
                most=sql.Literal(_MOST),
            ),
            [part],
        ).fetchall()
        return [row[0] for row in rows if row[0] is not None]

    def _documents(self, subject: str, uuid: str) -> Iterator[_Candidate]:
        """Put together what the formats qif-plan and, before anything was measured, qif say of a plan or part."""
        wanted = [Wanted("plan", uuid)]
        if subject == "part":
            wanted = [Wanted("part", uuid), Wanted("part", uuid, every_plan=True)]
        for audience in get_args(Audience):
            for one in wanted:
                # What can't be exported, to nobody or not to partners, wasn't.
                with suppress(DotpeenError):
                    yield from self._of(audience, one)

    def _of(self, audience: Audience, wanted: Wanted) -> Iterator[_Candidate]:
        connection, settings, request = self._connection, self._settings, self._request
        if audience not in self._mapped:
            self._mapped[audience] = map_site(connection, request.registry, settings, audience)
        mapped = self._mapped[audience]
        contents = read_contents(connection, mapped, settings, wanted)
        site = Site(request.registry.site.name, settings, mapped, audience)
        part = request.registry.entities[self._targets["part"].entity]
        models = request.digital_models(part, contents.product.uuid or "")
        yield _Candidate(PlanDocument(site, contents, models), contents)
        if not self._measured(contents):
            measured = measured_of(connection, mapped, settings, contents, wanted)
            yield _Candidate(ResultsDocument(site, contents, measured, None, models), contents)

    def _measured(self, contents: Contents) -> bool:
        """Whether there are results: a document with some of them is as long as they are many."""
        plan, characteristic = self._targets["plan"].source, self._targets["characteristic"].source
        result = self._targets["result"].source
        row = self._connection.execute(
            sql.SQL("SELECT EXISTS (SELECT FROM {} JOIN {} ON {} JOIN {} ON {} WHERE {})").format(
                plan.rows("p"),
                characteristic.rows("c"),
                characteristic.linked("plan", "c", "p"),
                result.rows("m"),
                result.linked("characteristic", "m", "c"),
                plan.uuid_in("p"),
            ),
            [[one.plan.uuid for one in contents.plans]],
        ).fetchone()
        return row is None or bool(row[0])

    def _remember(self, candidate: _Candidate, external: ExternalDocument) -> None:
        document, contents = candidate.document, candidate.contents
        digest = hashlib.sha256()
        for chunk in document.chunks():
            digest.update(chunk)
        self._connection.execute(
            "INSERT INTO dotpeen_qif.document (qpid, file_name, digest) VALUES (%s, %s, %s)",
            [document.qpid, external.uri or f"{document.qpid}.qif", digest.digest()],
        )
        mentioned: list[tuple[Role, str | None, str]] = [("part", contents.product.uuid, str(PART_ID))]
        mentioned += [("plan", one.plan.uuid, "plan") for one in contents.plans]
        mentioned += [("characteristic", uuid, name) for name, uuid in candidate.names.items()]
        with self._connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO dotpeen_qif.mention (uuid, document, role, entity, local_id)"
                " VALUES (%s, %s, %s, %s, %s)",
                [
                    (uuid, document.qpid, role, self._targets[role].entity, name)
                    for role, uuid, name in mentioned
                    if uuid is not None
                ],
            )
