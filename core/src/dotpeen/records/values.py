"""Values on their way to and from the database: checked before they are sent, never guessed.

`parse` takes the text of a URL, `encode` a value of Python or JSON; both return text that PostgreSQL reads as the
column's type, so that what is wrong is known before it is sent. `decode` turns the wire format into Python values.
"""

from __future__ import annotations

import base64
import binascii
import enum
import json
import math
import re
import struct
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from dotpeen.errors import InvalidValueError
from dotpeen.identifiers import UUID_PATTERN
from dotpeen.records import moments
from dotpeen.records.fields import Field, Kind

_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")
_NUMERIC: Final = re.compile(r"-?[0-9]{1,1000}(?:\.[0-9]{1,1000})?")
_FLOAT: Final = re.compile(r"-?[0-9]{1,400}(?:\.[0-9]{1,400})?(?:[eE][+-]?[0-9]{1,4})?")
_NOT_FINITE: Final = frozenset({"NaN", "Infinity", "-Infinity"})
_DEPTH: Final = 6
"""PostgreSQL's arrays have no more dimensions (MAXDIM)."""


def is_uuid(text: str) -> bool:
    """Tell whether a text has the form of a UUID."""
    return UUID_PATTERN.fullmatch(text) is not None


def parse(field: Field, text: str) -> str:
    """Return a text, as it stands in a URL, as PostgreSQL reads it. Raises `ValueError` that says what is expected."""
    parser = _PARSERS.get(field.kind)
    if parser is None:
        raise ValueError(f"a value of type {field.type} can't be asked for")
    return parser(field, text)


def as_text(value: object) -> str:
    """Write a Python value as a URL would have it, for `parse`."""
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            return (value.astimezone(UTC) if value.tzinfo else value).isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case Decimal() if value.is_finite():
            return f"{value:f}"
        case float() if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        case float() if math.isnan(value):
            return "NaN"
        case bytes():
            return base64.b64encode(value).decode()
        case enum.Enum():
            return str(value.value)
        case _:
            return str(value)


def encode(field: Field, value: object) -> str | None:
    """Return a value of Python or JSON as PostgreSQL reads it, None for NULL.

    Raises `InvalidValueError` when the column can't hold it exactly.
    """
    if value is None:
        if field.nullable:
            return None
        raise InvalidValueError(field.name, "must have a value")
    try:
        text = _ENCODERS[field.kind](field, value)
        if field.length is not None and field.kind == "text" and len(text.rstrip(" ")) > field.length:
            raise ValueError(f"has {len(text)} characters, and {field.type} holds {field.length}")
    except ValueError as error:
        raise InvalidValueError(field.name, str(error)) from None
    return text


def decode(field: Field, value: Any) -> Any:
    """Turn a value of the wire format into a native one.

    Moments are aware datetimes in UTC; those that Python can't hold (infinity, BC, far future) stay text.
    """
    native = _decode(field.kind, field.element, value)
    if field.kind == "float" and field.bytes == 4 and native is not None and math.isfinite(native):
        # The shortest text that is exact for four bytes stands for their number, not for that of eight.
        (native,) = struct.unpack("<f", struct.pack("<f", native))
    return native


def _decode(kind: Kind, element: Kind | None, value: Any) -> Any:
    if value is None:
        return None
    if kind == "array" and isinstance(value, list):
        inner = element or "other"
        return [_decode("array" if isinstance(one, list) else inner, inner, one) for one in value]
    decoder = _DECODERS.get(kind)
    return value if decoder is None or (kind != "float" and not isinstance(value, str)) else decoder(value)


def _decode_moment(value: str) -> datetime | str:
    return datetime.fromisoformat(value) if value[0] in "0123456789" else value


def _decode_date(value: str) -> date | str:
    return date.fromisoformat(value) if value[0] in "0123456789" else value


_DECODERS: Final[dict[Kind, Callable[[Any], Any]]] = {
    "numeric": Decimal,
    "float": float,
    "uuid": UUID,
    "timestamp": _decode_moment,
    "timestamptz": _decode_moment,
    "date": _decode_date,
    "bytea": base64.b64decode,
}


def _text(field: Field, text: str) -> str:
    if "\0" in text:
        raise ValueError("can't contain the character NUL")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("is no Unicode text: it has half of a surrogate pair") from None
    return text


def _integer(field: Field, text: str) -> str:
    if _INTEGER.fullmatch(text) is None or text == "-0":
        raise ValueError("expected a whole number, such as 42")
    limit = 1 << (8 * field.bytes - 1)
    if not -limit <= int(text) < limit:
        raise ValueError(f"out of the range of {field.type}")
    return text


def _numeric(field: Field, text: str) -> str:
    if _NUMERIC.fullmatch(text) is None and text not in _NOT_FINITE:
        raise ValueError("expected a decimal number, such as 25.4")
    return text


def _float(field: Field, text: str) -> str:
    if text in _NOT_FINITE:
        return text
    if _FLOAT.fullmatch(text) is None:
        raise ValueError("expected a number, such as 25.4")
    return _finite(field, float(text))


def _finite(field: Field, value: float) -> str:
    if math.isnan(value) or math.isinf(value):
        raise ValueError(f"out of the range of {field.type}")
    if field.bytes == 4:
        # PostgreSQL refuses what is too small for the type; rounded, it is 0.
        try:
            (value,) = struct.unpack("<f", struct.pack("<f", value))
        except OverflowError:
            raise ValueError(f"out of the range of {field.type}") from None
    return repr(value)


def _boolean(field: Field, text: str) -> str:
    if text not in ("true", "false"):
        raise ValueError("expected true or false")
    return text


def _uuid(field: Field, text: str) -> str:
    if not is_uuid(text):
        raise ValueError("expected a UUID, such as 550e8400-e29b-41d4-a716-446655440000")
    return text.lower()


def _label(field: Field, text: str) -> str:
    if text not in field.labels:
        raise ValueError(f"expected one of {', '.join(field.labels)}")
    return text


def _bytes(field: Field, text: str) -> str:
    try:
        return "\\x" + base64.b64decode(text.encode("ascii"), validate=True).hex()
    except (binascii.Error, UnicodeEncodeError):
        raise ValueError("expected bytes in base64") from None


_PARSERS: Final[dict[Kind, Callable[[Field, str], str]]] = {
    "text": _text,
    "integer": _integer,
    "numeric": _numeric,
    "float": _float,
    "boolean": _boolean,
    "uuid": _uuid,
    "timestamp": lambda field, text: moments.read_moment(text, zone=False),
    "timestamptz": lambda field, text: moments.read_moment(text, zone=True),
    "date": lambda field, text: moments.read_date(text),
    "enum": _label,
    "bytea": _bytes,
    "other": _text,
}


def _wanted(field: Field, value: object, *types: type) -> Any:
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        kind = "a decimal number" if isinstance(value, Decimal) else type(value).__name__
        raise ValueError(f"{kind} can't be a value of type {field.type}{_as_text(field, value)}")
    return value


def _as_text(field: Field, value: object) -> str:
    """What to write in place of a number, where a text is wanted: numbers of another system are texts here."""
    if field.kind != "text" or isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return ""
    # Python itself refuses to write very long ones.
    if isinstance(value, int) and value.bit_length() > 128:
        return ": write it as text"
    return f': write it as text: "{value}"'


def _encode_text(field: Field, value: object) -> str:
    return _text(field, str(_wanted(field, value, str)))


def _encode_integer(field: Field, value: object) -> str:
    number: int = _wanted(field, value, int)
    if number.bit_length() > 64:
        raise ValueError(f"out of the range of {field.type}")
    return _integer(field, str(number))


def _encode_numeric(field: Field, value: object) -> str:
    given: Decimal | int | float | str = _wanted(field, value, Decimal, int, float, str)
    if isinstance(given, int) and given.bit_length() > 3000:
        raise ValueError("has more digits than a decimal number of a record")
    text = str(given)
    if text in _NOT_FINITE:
        return text
    if not isinstance(given, str):
        number = Decimal(text)
        if not -1000 < number.adjusted() < 1000:
            raise ValueError("expected a decimal number, such as 25.4")
        text = f"{number:f}"
    text = _numeric(field, text)
    if field.scale is not None:
        # PostgreSQL would round without a word.
        digits = len(text.partition(".")[2].rstrip("0"))
        if digits > max(field.scale, 0):
            raise ValueError(f"has {digits} digits after the point, and {field.type} holds {field.scale}")
    return text


def _encode_float(field: Field, value: object) -> str:
    given: Decimal | int | float | str = _wanted(field, value, Decimal, int, float, str)
    if isinstance(given, str) or (isinstance(given, Decimal) and not given.is_finite()):
        return _float(field, str(given))
    if isinstance(given, float) and not math.isfinite(given):
        return "NaN" if math.isnan(given) else "Infinity" if given > 0 else "-Infinity"
    try:
        return _finite(field, float(given))
    except OverflowError:
        raise ValueError(f"out of the range of {field.type}") from None


def _encode_boolean(field: Field, value: object) -> str:
    return "true" if _wanted(field, value, bool) else "false"


def _encode_uuid(field: Field, value: object) -> str:
    return str(value) if isinstance(value, UUID) else _uuid(field, _wanted(field, value, str))


def _encode_moment(field: Field, value: object) -> str:
    zone = field.kind == "timestamptz"
    if isinstance(value, datetime):
        return moments.write_moment(value, zone=zone)
    return moments.read_moment(_wanted(field, value, str), zone=zone)


def _encode_date(field: Field, value: object) -> str:
    if isinstance(value, date) and not isinstance(value, datetime):
        return moments.write_date(value)
    return moments.read_date(_wanted(field, value, str))


def _encode_json(field: Field, value: object) -> str:
    try:
        try:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        except TypeError:
            text = _exact_json(value)
    except (TypeError, ValueError, RecursionError):
        raise ValueError("is nothing that JSON can hold") from None
    if "\\u0000" in text:
        raise ValueError("can't contain the character NUL")
    return _text(field, text)


def _exact_json(value: object) -> str:
    """As `json.dumps`, with all the digits of decimal numbers."""
    match value:
        case Decimal() if value.is_finite():
            return str(value)
        case dict() if all(isinstance(key, str) for key in value):
            members = (f"{_exact_json(key)}: {_exact_json(one)}" for key, one in value.items())
            return f"{{{', '.join(members)}}}"
        case list() | tuple():
            return f"[{', '.join(_exact_json(one) for one in value)}]"
        case _:
            return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _encode_bytes(field: Field, value: object) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return "\\x" + bytes(value).hex()
    return _bytes(field, _wanted(field, value, str))


def _encode_label(field: Field, value: object) -> str:
    text = value.value if isinstance(value, enum.Enum) else value
    return _label(field, _wanted(field, text, str))


def _encode_array(field: Field, value: object) -> str:
    return _array(_element(field), _wanted(field, value, list, tuple), 1)


def _array(element: Field, items: list[object], depth: int) -> str:
    if depth > _DEPTH:
        raise ValueError(f"has more than {_DEPTH} dimensions")
    parts = []
    for item in items:
        if isinstance(item, list | tuple) and element.kind != "json":
            parts.append(_array(element, list(item), depth + 1))
        elif item is None:
            parts.append("NULL")
        else:
            text = _ENCODERS[element.kind](element, item)
            parts.append('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')
    return "{" + ",".join(parts) + "}"


def _element(field: Field) -> Field:
    return Field(
        field.name, field.column, field.type.removesuffix("[]"), field.element or "other", labels=field.labels
    )


_ENCODERS: Final[dict[Kind, Callable[[Field, object], str]]] = {
    "text": _encode_text,
    "integer": _encode_integer,
    "numeric": _encode_numeric,
    "float": _encode_float,
    "boolean": _encode_boolean,
    "uuid": _encode_uuid,
    "timestamp": _encode_moment,
    "timestamptz": _encode_moment,
    "date": _encode_date,
    "json": _encode_json,
    "bytea": _encode_bytes,
    "enum": _encode_label,
    "array": _encode_array,
    "other": _encode_text,
}
