r"""Strings of ISO 10303-21: clause 6.4.3 and its control directives.

| written | meant |
|---|---|
| `''`, `\\` | an apostrophe, a reverse solidus |
| `\X\E9` | the character of ISO 8859-1 with that code |
| `\X2\03A9\X0\`, `\X4\0001F642\X0\` | characters by four or eight hexadecimal digits |
| `\S\D` | the character 128 above this one, on the page of ISO 8859 in force |
| `\PB\` | from here on, that page is ISO 8859-2 (`A` to `I`: parts 1 to 9) |
| `\N\`, `\F\` | directives for printing, which mean nothing |
| bytes above 127 | edition 3 writes UTF-8, older files, against the standard, ISO 8859-1: UTF-8 where they are that |

Writers break long strings over lines; line ends and other control characters are no part of a string and are
dropped. What looks like a directive and is none stays as it is: CATIA writes single reverse solidi in paths.
"""

from __future__ import annotations

import re
from typing import Final

_DIRECTIVE: Final = re.compile(
    rb"\\(?:"
    rb"(?P<solidus>\\)"
    rb"|[Xx]\\(?P<byte>[0-9A-Fa-f]{2})"
    rb"|[Xx]2\\(?P<two>(?:[0-9A-Fa-f]{4})++)\\[Xx]0\\"
    rb"|[Xx]4\\(?P<four>(?:[0-9A-Fa-f]{8})++)\\[Xx]0\\"
    rb"|S\\(?:(?P<high>[ -&(-~])|(?P<apostrophe>''))"
    rb"|P(?P<page>[A-I])\\"
    rb"|(?P<print>[NF]\\)"
    rb")"
    rb"|(?P<control>[\x00-\x1f\x7f]++)"
    rb"|''"
)
_PLAIN: Final = re.compile(rb"[ -&(-\[\]-~]*+")
_HIGH_BYTES: Final = re.compile(rb"[\x80-\xff]++")
_DIRECT: Final = re.compile(r"[ -&(-\[\]-~]++")


def decode(text: bytes) -> str:
    """Return what the characters between the apostrophes of a string mean; never fails."""
    if _PLAIN.fullmatch(text):
        return text.decode("ascii")
    page = "iso8859_1"
    pieces: list[str] = []
    position = 0
    for directive in _DIRECTIVE.finditer(text):
        if position < directive.start():
            pieces.append(_unescaped(text[position : directive.start()]))
        position = directive.end()
        if directive["page"]:
            page = f"iso8859_{directive['page'][0] - 64}"
        else:
            pieces.append(_meaning(directive, page))
    pieces.append(_unescaped(text[position:]))
    return "".join(pieces)


def _meaning(directive: re.Match[bytes], page: str) -> str:
    kind = directive.lastgroup
    if kind is None or kind == "solidus":
        return "'" if kind is None else "\\"
    digits = directive[kind]
    if kind == "byte":
        return chr(int(digits, 16))
    if kind == "two":
        return bytes.fromhex(digits.decode("ascii")).decode("utf-16-be", "replace")
    if kind == "four":
        return bytes.fromhex(digits.decode("ascii")).decode("utf-32-be", "replace")
    if kind in ("high", "apostrophe"):
        return bytes([digits[0] + 128]).decode(page, "replace")
    return ""


def _unescaped(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def encode(text: str) -> bytes:
    r"""Return the characters that stand between the apostrophes for `text`, in ASCII for every edition.

    Characters outside of ASCII and control characters become `\X2\` or `\X4\`, which all editions have.
    """
    pieces: list[bytes] = []
    position = 0
    while position < len(text):
        direct = _DIRECT.match(text, position)
        if direct:
            pieces.append(direct[0].encode("ascii"))
            position = direct.end()
            continue
        start = position
        kind = _kind(text[start])
        while position < len(text) and _kind(text[position]) == kind:
            position += 1
        pieces.append(_ENCODERS[kind](text[start:position]))
    return b"".join(pieces)


def _kind(character: str) -> str:
    if character in "'\\":
        return "doubled"
    if " " <= character <= "~":
        return "direct"
    return "two" if ord(character) < 0x10000 else "four"


_ENCODERS: Final = {
    "doubled": lambda text: "".join(character * 2 for character in text).encode("ascii"),
    "two": lambda text: b"\\X2\\%s\\X0\\" % text.encode("utf-16-be", "surrogatepass").hex().upper().encode(),
    "four": lambda text: b"\\X4\\%s\\X0\\" % text.encode("utf-32-be").hex().upper().encode(),
}
