"""Files that are sent over REST: written to disk as they come, and gone when they are read."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final
from urllib.parse import unquote

from fastapi import HTTPException, Request

from dotpeen_step.settings import Settings

MEDIA_TYPES: Final = ("model/step", "application/step", "application/octet-stream")
"""What a STEP file may be sent as; `model/step` is the registered one."""
_DEFAULT_NAME: Final = "upload.stp"
_NAME_BYTES: Final = 200
_ENCODED: Final = re.compile(r"filename\*\s*=\s*utf-8'[\w-]*'([^;\s]+)", re.IGNORECASE)
_PLAIN: Final = re.compile(r'filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))', re.IGNORECASE)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was sent."""

    path: Path
    """Where it is for now."""
    sha256: str
    name: str
    """What its sender calls it."""


@asynccontextmanager
async def uploaded(request: Request, settings: Settings, *, name: str) -> AsyncIterator[Upload]:
    """Write the body to a file of its own, and take it away at the end, whatever happens.

    The server has the limit (`max_upload`). Raises `HTTPException`: 400 for a body that is empty, 503
    where there is no room for it.
    """
    with _room():
        descriptor, place = tempfile.mkstemp(prefix="dotpeen-", suffix=".stp", dir=settings.upload_dir)
    path = Path(place)
    try:
        size, digest = 0, hashlib.sha256()
        with _room(), os.fdopen(descriptor, "wb") as file:
            async for piece in request.stream():
                file.write(piece)
                digest.update(piece)
                size += len(piece)
        if not size:
            raise HTTPException(400, "the body is empty: send the file itself")
        yield Upload(path, digest.hexdigest(), name)
    finally:
        with suppress(OSError):
            path.unlink()


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        _log.error("an uploaded file can't be written: %s", error.strerror)
        raise HTTPException(
            503, "there is no room for the file right now", headers={"retry-after": "60"}
        ) from None


def file_name(request: Request, given: str | None) -> str:
    """Return what a file is called: `fileName`, or what Content-Disposition says (RFC 6266). Never a folder."""
    said = given or _disposition(request.headers.get("content-disposition", ""))
    name = PureWindowsPath(PurePosixPath(said).name).name
    name = re.sub(r"[\x00-\x1f\x7f]", "", name).strip()
    while len(name.encode("utf-8", "replace")) > _NAME_BYTES:
        name = name[1:]  # the end has the extension
    return name if name not in ("", ".", "..") else _DEFAULT_NAME


def _disposition(header: str) -> str:
    if (encoded := _ENCODED.search(header)) is not None:
        return unquote(encoded[1], errors="replace")
    if (plain := _PLAIN.search(header)) is not None:
        return re.sub(r"\\(.)", r"\1", plain[1]) if plain[1] is not None else plain[2]
    return ""
