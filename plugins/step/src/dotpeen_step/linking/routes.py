"""`…/cad-link`: partners link the parts that they may write to revisions of CAD models, and see what is linked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from dotpeen import Records
from dotpeen.hooks import ApiRouter
from dotpeen.identifiers import InvalidUuidError, parse_uuid
from dotpeen.registry import Registry
from dotpeen_step.linking import links, messages
from dotpeen_step.linking.asked import moment_of, wanted_uuid
from dotpeen_step.linking.installation import SCHEMA
from dotpeen_step.linking.link import Choice, Linked, link_file, link_uuid, linked_before
from dotpeen_step.linking.parts import (
    ENTITY,
    find_part,
    number_column,
)
from dotpeen_step.linking.refusals import broken, told
from dotpeen_step.linking.unlink import unlink
from dotpeen_step.linking.uploads import MEDIA_TYPES, Upload, file_name, uploaded
from dotpeen_step.part21.errors import Part21Error
from dotpeen_step.settings import Settings

T = TypeVar("T")
_SHA256_DIGITS: Final = 64
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["uuid"],
                    "additionalProperties": False,
                    "properties": {"uuid": {"type": "string", "format": "uuid"}},
                },
                "example": {"uuid": "0b8c0f3e-6d1c-4e55-9d5a-5a1f2f0a9c11"},
            },
            **{name: {"schema": {"type": "string", "format": "binary"}} for name in MEDIA_TYPES},
        },
    }
}
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"description": "The UUID, a parameter or the body is wrong, or the file can't be read."},
    409: {"description": "The UUID is another record's, or the file is linked otherwise."},
}
_LINK_PROBLEMS: Final = _PROBLEMS | {
    413: {"description": "The file is too large."},
    415: {"description": "Neither JSON nor a STEP file by its own account."},
    422: {
        "description": "The file does not tell which of its products is the part, or which UUID is the revision's."
    },
}

ProductQuery = Annotated[
    str | None,
    Query(
        max_length=500,
        description="Which product of the file is the part: its id, name, UUID or `#instance`.",
    ),
]
UuidQuery = Annotated[
    str | None,
    Query(max_length=100, description="Which UUID of the product is the revision's, where it has several."),
]
NameQuery = Annotated[
    str | None,
    Query(
        alias="fileName",
        max_length=500,
        description="What the file is called. Content-Disposition says it, too.",
    ),
]


def routers(registry: Registry, settings: Settings) -> Sequence[ApiRouter]:
    """Return the routes below the path of parts."""
    routes = _Routes(registry, settings)
    path = f"/{registry.entities[ENTITY].path}/{{uuid}}"
    changing, reading = APIRouter(), APIRouter()
    changing.add_api_route(
        f"{path}/cad-link",
        routes.link,
        methods=["POST"],
        name="linkCadRevision",
        summary="Link a part to a revision of its CAD model, by UUID or by file.",
        description="A STEP file is sent as it is. The product is found by its UUID or part number.",
        response_model=messages.CadLinkAnswer,
        response_description="It was linked already.",
        responses=_LINK_PROBLEMS | {201: {"model": messages.CadLinkAnswer, "description": "It is linked."}},
        openapi_extra=_BODY,
    )
    changing.add_api_route(
        f"{path}/cad-link/{{step_uuid}}",
        routes.unlink,
        methods=["DELETE"],
        name="unlinkCadRevision",
        summary="Take a link away, by the revision's UUID or the file's SHA-256.",
        status_code=204,
        response_class=Response,
        responses=_PROBLEMS,
    )
    reading.add_api_route(
        f"{path}/cad-links",
        routes.show,
        methods=["GET"],
        name="listCadRevisions",
        summary="List the revisions of a part's CAD model, the latest first.",
        response_model=messages.CadLinkPage,
        responses={400: _PROBLEMS[400]},
    )
    return [
        ApiRouter(changing, ENTITY, max_body=settings.max_upload, timeout=settings.upload_timeout),
        ApiRouter(reading, ENTITY),
    ]


class _Routes:
    def __init__(self, registry: Registry, settings: Settings) -> None:
        self._registry = registry
        self._settings = settings
        self._readers = threading.BoundedSemaphore(settings.max_readers)

    async def link(
        self,
        uuid: str,
        request: Request,
        response: Response,
        product: ProductQuery = None,
        revision: Annotated[UuidQuery, Query(alias="stepUuid")] = None,
        name: NameQuery = None,
    ) -> messages.CadLinkAnswer:
        part = str(parse_uuid(uuid))
        self._require_allowed()
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        records: Records = request.state.records
        by = _who(request)
        if kind == "application/json":
            wanted = await wanted_uuid(request)
            made = await run_in_threadpool(
                self._do, lambda: link_uuid(records, part, wanted, column=self._column, by=by)
            )
        elif kind in MEDIA_TYPES:
            choice = Choice(product, None if revision is None else str(parse_uuid(revision)))
            # Whether there is such a part is said before a long file is sent.
            await run_in_threadpool(self._do, lambda: find_part(records, part, self._column))
            async with uploaded(request, self._settings, name=file_name(request, name)) as upload:
                made = await run_in_threadpool(
                    self._do, lambda: self._read_and_link(records, upload, part, choice, by)
                )
        else:
            raise HTTPException(
                415, f"send a UUID as application/json, or the file as {', '.join(MEDIA_TYPES)}"
            )
        request.state.changed = ["stepAp242Uuid"] if made.outcome == "linked" and made.current else []
        response.status_code = 201 if made.outcome == "linked" else 200
        return messages.CadLinkAnswer(
            data=messages.cad_link(made.link, current=made.current),
            metadata=messages.metadata(part, made.outcome),
        )

    def unlink(self, uuid: str, step_uuid: str, request: Request) -> Response:
        part = str(parse_uuid(uuid))
        self._require_allowed()
        revision, digest = _revision_or_digest(step_uuid)
        records: Records = request.state.records

        def work() -> None:
            find_part(records, part, self._column)
            if not self._is_linked(records, part, revision, digest):
                raise HTTPException(404, "the part has no such link")
            unlink(records, part, column=self._column, by=_who(request), uuid=revision, sha256=digest)

        self._do(work)
        request.state.changed = ["stepAp242Uuid"]
        return Response(status_code=204)

    def show(
        self,
        uuid: str,
        request: Request,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
        cursor: Annotated[str | None, Query(max_length=100, description="From `nextCursor`.")] = None,
    ) -> dict[str, Any]:
        part = str(parse_uuid(uuid))
        before = moment_of(cursor)
        if before is not None and offset:
            raise HTTPException(400, "cursor and offset don't go together")
        records: Records = request.state.records

        def work() -> dict[str, Any]:
            find_part(records, part, self._column)
            with records.transaction() as within:
                connection = within.connection
                if not SCHEMA.installed(connection):
                    return messages.page((), None, total=0, limit=limit, offset=offset)
                found = links.links_of(connection, part, limit=limit + 1, before=before, offset=offset)
                current = links.current_of(connection, part)
                total = links.count_of(connection, part)
            return messages.page(found, current, total=total, limit=limit, offset=offset)

        return self._do(work)

    @property
    def _column(self) -> str | None:
        return number_column(self._registry, self._settings)

    def _require_allowed(self) -> None:
        if not self._settings.partner_links:
            raise HTTPException(403, "links are made and taken away by the site alone")

    def _read_and_link(self, records: Records, upload: Upload, part: str, choice: Choice, by: str) -> Linked:
        from dotpeen_step.inspection.inspect import inspect

        before = linked_before(records, part, upload.sha256, column=self._column, choice=choice)
        if before is not None:
            return before
        if not self._readers.acquire(blocking=False):
            raise HTTPException(
                503, "as many files are being read as may be at a time", headers={"retry-after": "5"}
            )
        try:
            try:
                inspection = inspect(upload.path)
            except Part21Error as error:
                raise HTTPException(400, broken(error)) from None
            return link_file(
                records, inspection, part, column=self._column, by=by, choice=choice, name=upload.name
            )
        finally:
            self._readers.release()

    def _is_linked(self, records: Records, part: str, revision: str | None, digest: str | None) -> bool:
        with records.transaction() as within:
            if not SCHEMA.installed(within.connection):
                return False
            return any(
                (revision is not None and one.revision_uuid == revision)
                or (digest is not None and one.file is not None and one.file.sha256 == digest)
                for one in links.links_of(within.connection, part)
            )

    def _do(self, work: Callable[[], T]) -> T:
        with told():
            return work()


def _revision_or_digest(text: str) -> tuple[str | None, str | None]:
    """Return what a link is to be found by: the UUID, or the SHA-256 in lower case."""
    if len(text) == _SHA256_DIGITS and not set(text.lower()) - set("0123456789abcdef"):
        return None, text.lower()
    try:
        return str(parse_uuid(text)), None
    except InvalidUuidError:
        raise HTTPException(
            400,
            f"a link is named by the UUID of the revision, or by all {_SHA256_DIGITS} hexadecimal digits of the"
            " file's SHA-256",
        ) from None


def _who(request: Request) -> str:
    return f"partner {request.state.partner}"
