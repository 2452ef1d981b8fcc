"""One export of the interface: its thread, and what is known of its document before the first byte."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

import psycopg

from dotpeen.api.answers import PRIVATE, matches
from dotpeen.api.call import Header
from dotpeen.api.problems import Problem
from dotpeen.api.streaming import Stream, in_pieces
from dotpeen.contributions import Audience, Exporter
from dotpeen.database import Connection
from dotpeen.errors import DotpeenError, NotMigratedError, PluginError
from dotpeen.exchange import Export, open_export, reading_session
from dotpeen.exchange.models import Models
from dotpeen.records import Shape
from dotpeen.records.lookup import by_uuid, find
from dotpeen.records.question import refusal
from dotpeen.records.records import answered
from dotpeen.registry import Registry

_log = logging.getLogger(__name__)
_PAUSES: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds: an exporter may be between two statements."""
_TAG: Final = re.compile(r"[\x21\x23-\x7e]{1,100}")


@dataclass(frozen=True)
class Opened:
    """What is known of a document before its first byte."""

    status: int
    headers: list[Header]
    uuid: str
    streamed: bool


@dataclass
class Job:
    """One export, as its thread sees it."""

    plugin: str
    exporter: Exporter
    shape: Shape
    audience: Audience
    identifier: str
    """A UUID for partners."""
    options: Mapping[str, str]
    if_none_match: bytes | None
    head: bool
    compressed: bool
    opened: asyncio.Future[Opened] = field(init=False)
    stream: Stream = field(init=False)
    _connection: Connection | None = None

    @property
    def name(self) -> str:
        """What it is called in the log."""
        return f"plugin {self.plugin}: export of {self.shape.entity.name} as {self.exporter.format}"

    def work(
        self, url: str, registry: Registry, limit: float, loop: asyncio.AbstractEventLoop, models: Models
    ) -> None:
        """Open the document, tell so, and make it; runs in a thread."""

        def tell(opened: Opened | None, error: BaseException | None) -> None:
            if self.opened.done():
                return  # nobody waits any more
            if opened is not None:
                self.opened.set_result(opened)
            elif error is not None:
                self.opened.set_exception(error)
                self.opened.exception()

        told = False
        try:
            with reading_session(url, limit=limit) as connection:
                self._connection = connection
                if self.stream.closed:
                    return  # nobody was there to interrupt until now
                uuid = self._find(connection)
                export = open_export(
                    self.plugin,
                    self.exporter,
                    connection,
                    registry,
                    self.shape.entity,
                    uuid,
                    audience=self.audience,
                    options=self.options,
                    models=models,
                )
                opened = self._describe(export, uuid)
                told = True
                loop.call_soon_threadsafe(tell, opened, None)
                if opened.streamed:
                    for piece in in_pieces(export.chunks, compressed=self.compressed):
                        if not self.stream.put(piece):
                            break
                self._connection = None
            self.stream.put(None)
        except BaseException as error:
            if self.stream.closed:
                return  # interrupted: nobody wants it
            if told:
                _log.error("%s was cut off", self.name, exc_info=error.__cause__ or error)
                self.stream.put(error)
                return
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(tell, None, self._meant(error))
        finally:
            self._connection = None

    def interrupt(self) -> None:
        """End the statement that it waits for, and those that follow, until it notices; runs in a thread."""
        for pause in _PAUSES:
            connection = self._connection
            if connection is None:
                return
            with suppress(psycopg.Error):
                connection.cancel_safe(timeout=5)
            time.sleep(pause)

    def _find(self, connection: Connection) -> str:
        try:
            if self.audience == "external":
                row = answered(
                    connection, by_uuid(self.shape, self.identifier, audience="external", fields=())
                )
                if row is None:
                    raise _unknown(self.shape, self.identifier)
            else:
                question = find(self.shape, self.identifier, audience="internal", fields=())
                row = answered(connection, question).row
        except psycopg.Error as error:
            raise refusal(error, self.shape) or error from None
        if row.uuid is None:
            raise NotMigratedError(self.shape.entity.name, self.shape.ready or "the record has no UUID yet")
        return row.uuid

    def _describe(self, export: Export, uuid: str) -> Opened:
        headers: list[Header] = [PRIVATE]
        if export.etag is not None:
            # Weak: under gzip the bytes are others.
            tag = b'W/"' + _tag(export.etag) + b'"'
            headers.append((b"etag", tag))
            if matches(self.if_none_match, tag):
                return Opened(304, headers, uuid, streamed=False)
        headers += [
            (b"content-type", _media_type(self.exporter)),
            (b"content-disposition", disposition(export.file_name)),
            (b"x-content-type-options", b"nosniff"),
            (b"vary", b"accept-encoding"),
        ]
        if self.compressed and not self.head:
            headers.append((b"content-encoding", b"gzip"))
        return Opened(200, headers, uuid, streamed=not self.head)

    def _meant(self, error: BaseException) -> BaseException:
        """What somebody is told where there is no document."""
        if isinstance(error, PluginError):
            _log.error("%s", error.message, exc_info=error.__cause__)
            return Problem(
                "internal-error", "the document can't be made; why was logged under this request's id"
            )
        if type(error) is DotpeenError:
            return Problem("not-found", error.message, error="Nothing to export")
        return error


def disposition(name: str) -> bytes:
    """`Content-Disposition` of a file to be kept under a name (RFC 6266), whatever its characters."""
    plain = re.sub(r"[^ !#$&+\-.0-9A-Z^_`a-z|~()\[\]{},;=@]", "_", name)
    text = f'attachment; filename="{plain}"'
    if plain != name:
        text += f"; filename*=UTF-8''{quote(name, safe='')}"
    return text.encode("ascii")


def _tag(text: str) -> bytes:
    if _TAG.fullmatch(text):
        return text.encode("ascii")
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=12).hexdigest().encode()


def _media_type(exporter: Exporter) -> bytes:
    text = exporter.media_type
    if not re.fullmatch(r"[\x20-\x7e]+/[\x20-\x7e]+", text):
        return b"application/octet-stream"
    return text.encode("ascii")


def _unknown(shape: Shape, uuid: str) -> Problem:
    name = shape.entity.name
    return Problem("not-found", f"no {name} has this UUID", error=f"{name} not found", uuid=uuid)
