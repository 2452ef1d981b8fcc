"""Exports: a plugin's exporter asked for one record, and what it gives back watched on its way."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

import psycopg

from dotpeen.contributions import Audience, ExportDocument, Exporter, ExportRequest
from dotpeen.database import Connection, connect
from dotpeen.errors import DotpeenError, PluginError
from dotpeen.exchange.formats import check_options
from dotpeen.exchange.models import Models
from dotpeen.plugins.reason import TRACEBACK_HINT, reason
from dotpeen.registry import Entity, Registry

_LONGEST_NAME: Final = 180
"""Bytes of a proposed file name: file systems have 255, and the file needs another while it is written."""
_EXTENSION: Final = re.compile(r"\.\w{1,20}$")


@dataclass(frozen=True)
class Export:
    """A document that is about to be read, once."""

    plugin: str
    exporter: Exporter
    file_name: str
    """Without folders and what no file system takes."""
    chunks: Iterator[bytes]
    """Raises `PluginError`, `DotpeenError` or `psycopg.Error`."""
    etag: str | None


@contextmanager
def reading_session(url: str, *, limit: float = 0) -> Iterator[Connection]:
    """A session in one transaction that only reads, everything as of one moment.

    `limit`: seconds that a statement may take, or that the reader may let it wait; 0: for ever.
    """
    connection = connect(url, purpose="export")
    try:
        for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
            connection.execute(
                "SELECT pg_catalog.set_config(%s, %s, false)", [name, f"{int(limit * 1000)}ms"]
            )
        connection.execute("SELECT pg_catalog.set_config('client_encoding', 'UTF8', false)")
        connection.autocommit = False
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        yield connection
    finally:
        # Nothing was written: closing it ends the transaction, whatever state it is in.
        connection.close()


def open_export(
    plugin: str,
    exporter: Exporter,
    connection: Connection,
    registry: Registry,
    entity: Entity,
    uuid: str,
    *,
    audience: Audience,
    options: Mapping[str, str] | None = None,
    models: Models | None = None,
) -> Export:
    """Ask an exporter for the document of a record. `connection` is of `reading_session`, `models` of `models_of`.

    Raises what the exporter raises on purpose (`DotpeenError`), `InvalidQueryError` for an option that it hasn't,
    `psycopg.Error` where the database went away or took too long, and `PluginError` for everything else.
    """
    check_options(exporter.options, options or {})
    request = ExportRequest(registry, connection, entity, uuid, audience, dict(options or {}))
    if models is not None:
        request = replace(request, digital_models=models)
    with _named(plugin, exporter):
        document = exporter.open(request)
    if not isinstance(document, ExportDocument) or not isinstance(document.file_name, str):
        raise PluginError(plugin, f"format {exporter.format} gave no ExportDocument")
    return Export(
        plugin=plugin,
        exporter=exporter,
        file_name=_safe(document.file_name) or f"{uuid}{exporter.extension}",
        chunks=_watched(plugin, exporter, document),
        etag=document.etag if isinstance(document.etag, str) else None,
    )


def _watched(plugin: str, exporter: Exporter, document: ExportDocument) -> Iterator[bytes]:
    chunks = document.chunks
    try:
        with _named(plugin, exporter):
            for chunk in chunks:
                if not isinstance(chunk, bytes | bytearray | memoryview):
                    raise PluginError(
                        plugin, f"format {exporter.format} gave {type(chunk).__name__} and not bytes"
                    )
                yield bytes(chunk)
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()


@contextmanager
def _named(plugin: str, exporter: Exporter) -> Iterator[None]:
    try:
        yield
    except (DotpeenError, psycopg.OperationalError, psycopg.InterfaceError):
        raise
    except Exception as error:
        why = reason(error, getattr(exporter.open, "__module__", None))
        raise PluginError(plugin, f"format {exporter.format} failed: {why}", hint=TRACEBACK_HINT) from error


def _safe(name: str) -> str:
    """What of a proposed name can be a file's on any system, and in any folder."""
    text = "".join(one for one in unicodedata.normalize("NFC", name) if unicodedata.category(one)[0] != "C")
    text = re.sub(r'[/\\:*?"<>|]+', "_", text).rstrip(" .")
    ending = _EXTENSION.search(text)
    extension = ending[0] if ending else ""
    # A file that begins with a dot is hidden, and one that begins with a hyphen is an option to other commands.
    stem = text.removesuffix(extension).lstrip(" .-")
    room = _LONGEST_NAME - len(extension.encode())
    if len(stem.encode()) > room:
        stem = stem.encode()[:room].decode("utf-8", "ignore").rstrip(" .")
    return f"{stem}{extension}" if stem else ""
