"""Values and arrays in PostgreSQL's binary format: parameters of what is asked thousands of times a second.

PostgreSQL takes them in for a fifth of what the text of an array costs it, and so they are made. The format is that of
`array_send` and of each type's own `…_send`: dimensions, whether there are NULLs, the type's OID, length and lower
bound, then each element behind its length.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

BINARY: Final = 1
"""The format of a parameter, as libpq has it; 0 is text."""
_EMPTY: Final = struct.Struct(">iiI")
_HEAD: Final = struct.Struct(">iiIii")
_LENGTH: Final = struct.Struct(">i")
_INTEGER: Final = struct.Struct(">q").pack
float8: Final = struct.Struct(">d").pack
"""A `double precision`."""
_UUID, _TEXT, _TIMESTAMPTZ, _FLOAT8 = 2950, 25, 1184, 701
"""Fixed in pg_type.dat."""
_EPOCH: Final = 946_684_800_000_000
"""2000-01-01T00:00Z, where PostgreSQL's moments begin, as Unix time in microseconds."""
_EIGHT: Final = _LENGTH.pack(8)
_SIXTEEN: Final = _LENGTH.pack(16)


def text(value: str) -> bytes:
    """Return a text; what PostgreSQL's can't hold is replaced."""
    if not value.isprintable():
        # It has no NUL and no halves of surrogate pairs; a client's header may.
        value = value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    return value.encode()


def moment(micros: int) -> bytes:
    """Return a `timestamptz` from a Unix time in microseconds."""
    return _INTEGER(micros - _EPOCH)


def uuid_array(values: Sequence[str]) -> bytes:
    """Return an array of UUIDs in their text form."""
    if not values:
        return _head(_UUID, 0)
    length = _SIXTEEN.hex()
    digits = length + length.join(values)
    return _head(_UUID, len(values)) + bytes.fromhex(digits.replace("-", ""))


def uuid_bytes_array(values: Sequence[bytes]) -> bytes:
    """Return an array of UUIDs of 16 bytes each."""
    return _array(_UUID, values, _SIXTEEN)


def text_array(values: Sequence[str]) -> bytes:
    """Return an array of texts, as `text` makes them."""
    if not values:
        return _head(_TEXT, 0)
    first = values[0]
    if values.count(first) == len(values):
        return _head(_TEXT, len(values)) + _sized(text(first)) * len(values)
    joined = "".join(values)
    if joined.isascii() and joined.isprintable() and len(set(map(len, values))) == 1:
        return _array(_TEXT, [value.encode() for value in values], _LENGTH.pack(len(first)))
    return _head(_TEXT, len(values)) + b"".join([_sized(text(value)) for value in values])


def moment_array(values: Sequence[int]) -> bytes:
    """Return an array of `timestamptz` from Unix times in microseconds."""
    return _array(_TIMESTAMPTZ, [moment(value) for value in values], _EIGHT)


def float_array(values: Sequence[float]) -> bytes:
    """Return an array of `double precision`."""
    return _array(_FLOAT8, [float8(value) for value in values], _EIGHT)


def _array(oid: int, elements: Sequence[bytes], length: bytes) -> bytes:
    """An array of elements of the same length."""
    if not elements:
        return _head(oid, 0)
    return _head(oid, len(elements)) + length + length.join(elements)


def _head(oid: int, length: int) -> bytes:
    return _HEAD.pack(1, 0, oid, length, 1) if length else _EMPTY.pack(0, 0, oid)


def _sized(value: bytes) -> bytes:
    return _LENGTH.pack(len(value)) + value
