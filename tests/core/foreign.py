"""A plugin as a third party would write it, installed through its entry point."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent

import pytest

CRANE = '''
"""Cards of parts, routes that behave and misbehave, threads."""
import asyncio
import hashlib
import time
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from dotpeen.errors import DotpeenError, InvalidQueryError
from dotpeen.hooks import (
    ApiRouter, ExportDocument, Exporter, Importer, ImportItem, ImportReport, RecordReference, ThreadEntry, hookimpl,
)
from dotpeen.registry import plugin_settings


class Settings(BaseModel):
    told: Path | None = None


def row(request):
    return request.connection.execute(
        'SELECT "partNumber", "description" FROM public."Part" WHERE "persistentUuid" = %s', [request.uuid]
    ).fetchone()


def card(request):
    if request.options.get("size") == "none":
        raise DotpeenError("this part has no card")
    if request.options.get("size", "1").startswith("-"):
        raise InvalidQueryError("size", "is not negative")
    number, description = row(request)
    text = f"{number}\\n{description}\\n{request.audience}\\n".encode() * int(request.options.get("size", 1))
    name = request.options.get("name", f"{number}.txt")
    return ExportDocument(name, iter([text]), hashlib.sha256(text).hexdigest())


def endless(request):
    def chunks():
        try:
            with request.connection.cursor("rows") as cursor:
                cursor.execute("SELECT repeat('x', 10000) FROM (SELECT pg_catalog.generate_series(1, 1000000000)) AS r")
                for (text,) in cursor:
                    yield text.encode()
        finally:
            Path("/dev/null").touch()
    return ExportDocument("endless.txt", chunks())


def large(request):
    def chunks():
        for _ in range(int(request.options.get("megabytes", "64"))):
            yield bytes(1 << 20)
    return ExportDocument("large.bin", chunks())


def broken(request):
    def chunks():
        yield b"a" * 200_000
        raise KeyError("the secret of the plant")
    return ExportDocument("broken.txt", chunks())


def sleeping(request):
    request.connection.execute("SELECT pg_catalog.pg_sleep(60)")
    return ExportDocument("sleeping.txt", iter(()))


def rubbish(request):
    if request.options.get("chunks"):
        return ExportDocument("rubbish.txt", iter(["text"]))
    return "rubbish"


def read(request):
    report = ImportReport()
    for file in request.files:
        for line, text in enumerate(file.read_text().splitlines(), 1):
            number, _, description = text.partition("=")
            where = f"{file.name}:{line}"
            if number == "crash":
                raise ValueError("no such thing")
            found = request.connection.execute(
                'UPDATE public."Part" SET "description" = %s WHERE "partNumber" = %s', [description, number]
            ).rowcount
            outcome = "updated" if found else "unmatched"
            report.add(ImportItem(outcome, "Part", number, where, "" if found else "no such part"))
            request.progress("parts", line, 0)
    return report


external = APIRouter()


class Load(BaseModel):
    tonnes: float
    crane: str


@external.get("/parts/{uuid}/load", response_model=Load, summary="How heavy a part is")
def load(uuid: str, request: Request, factor: int = 1):
    assert "authorization" not in request.headers
    return {"tonnes": 3.5 * factor, "crane": request.state.partner or ""}


@external.post("/parts/{uuid}/load", status_code=201)
async def lift(uuid: str, load: Load):
    return {"lifted": load.tonnes}


@external.get("/parts/{uuid}/raises")
def raises(uuid: str):
    raise KeyError("the secret of the plant")


@external.get("/parts/{uuid}/refuses/{status}")
def refuses(uuid: str, status: int):
    raise HTTPException(status, "not lifted")


@external.get("/parts/{uuid}/hangs")
async def hangs(uuid: str):
    await asyncio.sleep(3600)


@external.get("/parts/{uuid}/blocks")
async def blocks(uuid: str, seconds: float = 3):
    time.sleep(seconds)


@external.get("/parts/{uuid}/waits")
def waits(uuid: str):
    time.sleep(3)


@external.get("/parts/{uuid}/files/{name:path}")
def file(uuid: str, name: str):
    def pieces():
        for _ in range(4):
            yield name.encode() * 10_000
    return StreamingResponse(pieces(), media_type="text/plain")


@external.get("/parts/{uuid}/files-broken")
def file_broken(uuid: str):
    def pieces():
        yield b"a" * 100_000
        raise KeyError("the secret of the plant")
    return StreamingResponse(pieces(), media_type="text/plain")


@external.get("/parts/{uuid}")
def hidden(uuid: str):
    return "never"


internal = APIRouter()


@internal.get("/cranes")
def cranes():
    return ["north", "south"]


@hookimpl
def dotpeen_exporters(registry):
    sizes = {"size": "How often", "name": "File name"}
    return [
        Exporter("card", "text/plain; charset=utf-8", ".txt", ("Part",), card, options=sizes, summary="A card."),
        Exporter("deep", "text/plain", ".txt", ("Part",), card, reads=("WorkOrder", "MaterialLot"), options=sizes),
        Exporter("endless", "text/plain", ".txt", ("Part",), endless),
        Exporter("large", "application/octet-stream", ".bin", ("Part",), large, options={"megabytes": "How many"}),
        Exporter("broken", "text/plain", ".txt", ("Part",), broken),
        Exporter("sleeping", "text/plain", ".txt", ("Part",), sleeping),
        Exporter("rubbish", "text/plain", ".txt", ("Part",), rubbish, options={"chunks": "Later"}),
        Exporter("lot-card", "text/plain", ".txt", ("MaterialLot",), large, options={"megabytes": "How many"}),
    ]


@hookimpl
def dotpeen_importers(registry):
    return [Importer("card", (".card",), read, options={"as": "Whatever"})]


@hookimpl
def dotpeen_api_routers(registry):
    return [ApiRouter(external, "Part"), ApiRouter(internal, "Part", surface="internal")]


@hookimpl
def dotpeen_record_changed(registry, entity, uuid, operation, fields):
    pass
'''.replace("def dotpeen_record_changed(registry, entity", "def dotpeen_record_changed(entity")

THREADS = """
import time
from datetime import UTC, datetime

from dotpeen.hooks import RecordReference, ThreadEntry, hookimpl

CAD = "11111111-2222-4333-8444-555555555555"
LOST = "11111111-2222-4333-8444-555555555556"
WORK = "11111111-2222-4333-8444-555555555557"
told = []


@hookimpl
def dotpeen_thread_entries(connection, entity, uuid):
    if entity.name != "Part":
        return []
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    return [ThreadEntry("revision", "B", at, {"file": "a.stp"}), ThreadEntry("revision", "A")]


@hookimpl
def dotpeen_resolve_uuid(connection, uuid):
    entity = {CAD: "Part", WORK: "WorkOrder"}.get(uuid)
    if entity is None:
        return [RecordReference("Part", LOST, "model")] if uuid == LOST else []
    row = connection.execute(f'SELECT min("persistentUuid"::text) FROM public."{entity}"').fetchone()
    return [RecordReference(entity, row[0], kind="model")]


@hookimpl
def dotpeen_record_changed(entity, uuid, operation, fields):
    told.append((entity.name, uuid, operation, list(fields)))
"""

HANGING = """
import time

from dotpeen.hooks import hookimpl


@hookimpl
def dotpeen_thread_entries(connection, entity, uuid):
    time.sleep(4)
    return []


@hookimpl
def dotpeen_record_changed(entity):
    raise KeyError("no")
"""


def install(folder: Path, name: str, source: str) -> str:
    """Install a distribution of one module with the entry point NAME in a folder; returns the module's name."""
    module = f"installed_{name}"
    sys.modules.pop(module, None)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{module}.py").write_text(dedent(source), encoding="utf-8")
    info = folder / f"{module}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[dotpeen]\n{name} = {module}\n")
    return module


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> object:
    """The folder that the tests' plugins are installed in."""
    folder = tmp_path_factory.mktemp("foreign")
    for name, source in (("crane", CRANE), ("threads", THREADS), ("hanging", HANGING)):
        install(folder, name, source)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
