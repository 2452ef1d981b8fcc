"""Validation against the XML schemas of QIF, as a stream.

The schemas have about a thousand constraints on keys, and libxml2's time for these grows with the square of the
document: 10 000 measurements took 2 s, 20 000 took 22 s. Documents beyond `_WHOLE` are therefore checked
against the schemas without these (20 000 measurements: 0.4 s), and their ids, references and UUIDs by
`dotpeen_qif.validate.structure` alone, which checks them in every document.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from lxml import etree

from dotpeen.errors import ConfigurationError
from dotpeen_qif.limits import Limits
from dotpeen_qif.reading.xml import read_chunks
from dotpeen_qif.validate.report import MOST_FINDINGS, Report

_WHOLE: Final = 1024 * 1024
"""Bytes up to which all of the schemas is used: takes under half a second then, whatever is in the document."""
_SCHEMA: Final = "{http://www.w3.org/2001/XMLSchema}"
_SAFE: Final[dict[str, Any]] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
}


def check_schema(file: Path, schema_dir: Path, report: Report, limits: Limits) -> None:
    """Report what the schemas don't allow. Raises `ConfigurationError` where there are no schemas.

    The file has to have been read before: that it is XML without surprises is not found out here.
    """
    schema = schema_for(file, schema_dir)
    report.schema = schema_dir
    flagged = _flagged_chunks(file, schema, limits)
    if not flagged:
        return
    parser = _parser(schema)
    line, known = 1, 0
    for index, chunk in enumerate(read_chunks(file, limits)):
        for piece in chunk.splitlines(keepends=True) if index in flagged else (chunk,):
            _feed(parser, piece)
            if index in flagged:
                known = _report_new(parser, known, line, report)
            line += piece.count(b"\n")
        if report.full:
            return
    _close(parser)
    _report_new(parser, known, line, report)


def schema_for(file: Path, schema_dir: Path) -> etree.XMLSchema:
    """Return the schemas that a file is checked against. Raises `ConfigurationError` where there are none."""
    try:
        keys = file.stat().st_size <= _WHOLE
    except (OSError, ValueError):
        keys = True  # who reads the file says what is wrong with it
    return load_schema(schema_dir, keys=keys)


def _flagged_chunks(file: Path, schema: etree.XMLSchema, limits: Limits) -> set[int]:
    """Return which pieces of the file have errors: libxml2 does not tell lines when it validates a stream."""
    parser = _parser(schema)
    flagged = set()
    known = index = 0
    for index, chunk in enumerate(read_chunks(file, limits)):
        _feed(parser, chunk)
        found = len(parser.feed_error_log)
        if found > known:
            flagged.add(index)
            known = found
        if known > MOST_FINDINGS:
            return flagged
    _close(parser)
    if len(parser.feed_error_log) > known:
        flagged.add(index)
    return flagged


class _Nothing:
    """A parser's target that wants to hear of nothing: no tree is made."""

    def close(self) -> None:
        """Called at the end."""


def _parser(schema: etree.XMLSchema) -> etree.XMLParser:
    return etree.XMLParser(target=_Nothing(), schema=schema, **_SAFE)


def _feed(parser: etree.XMLParser, chunk: bytes) -> None:
    # What it says is in the log: a limit of libxml2's own, as of ten million characters in one text.
    with suppress(etree.XMLSyntaxError):
        parser.feed(chunk)


def _close(parser: etree.XMLParser) -> None:
    with suppress(etree.XMLSyntaxError):
        parser.close()


def _report_new(parser: etree.XMLParser, known: int, line: int, report: Report) -> int:
    log = list(parser.feed_error_log)
    for entry in log[known:]:
        message = _readable(str(entry.message))
        if "No precomputed value" in message:
            continue  # follows another error
        if "key-sequence" not in message and "identity-constraint" not in message:
            report.add("error", "schema", line, message)
        elif report.ok:
            # Found when the document ends, wherever it is; what was reported before has the line.
            report.add("error", "schema", None, message)
    return len(log)


def _readable(message: str) -> str:
    """Return libxml2's message without the namespace before every name, and not longer than somebody reads."""
    plain = message.replace("{http://qifstandards.org/xsd/qif3}", "").removesuffix(".")
    return plain if len(plain) <= 300 else f"{plain[:300]} …"


@lru_cache(maxsize=4)
def load_schema(schema_dir: Path, *, keys: bool = True) -> etree.XMLSchema:
    """Return the schemas of a folder, loaded once; without their constraints on keys with `keys` False.

    Raises `ConfigurationError` when there are none. Nothing outside the folder is read, and no network used.
    """
    start = schema_dir / "QIFApplications" / "QIFDocument.xsd"
    if not start.is_file():
        raise ConfigurationError(
            f"no QIF schemas: there is no {start}",
            hint="set schema_dir in [plugins.qif] to the folder of the standard that has QIFApplications in it",
        )
    parser = etree.XMLParser(**_SAFE)
    parser.resolvers.add(_Within(schema_dir.resolve(), keys=keys))
    try:
        return etree.XMLSchema(etree.parse(str(start), parser))
    except (etree.XMLSchemaParseError, etree.XMLSyntaxError, OSError) as error:
        raise ConfigurationError(f"{start}: {error}", hint="get the schemas of QIF 3.0 again") from error


class _Within(etree.Resolver):  # type: ignore[misc]  # lxml has no types
    """Gives libxml2 the schemas of a folder, and nothing else."""

    def __init__(self, folder: Path, *, keys: bool) -> None:
        self._folder = folder
        self._keys = keys

    def resolve(self, url: str, _: str | None, context: Any) -> Any:
        """Return the schema at a location."""
        file = Path(url.removeprefix("file://")).resolve()
        if not file.is_relative_to(self._folder):
            raise OSError(f"{url} is outside of the schemas' folder {self._folder}")
        if self._keys:
            return self.resolve_filename(str(file), context)
        tree = etree.parse(str(file), etree.XMLParser(**_SAFE))
        for constraint in _constraints(tree):
            parent = constraint.getparent()
            if parent is not None:
                parent.remove(constraint)
        return self.resolve_string(etree.tostring(tree), context, base_url=url)


def _constraints(tree: Any) -> Iterator[Any]:
    yield from list(tree.iter(*(f"{_SCHEMA}{name}" for name in ("key", "keyref", "unique"))))
