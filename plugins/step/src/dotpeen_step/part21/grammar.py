r"""The syntax of ISO 10303-21 (clause 5 and Annex B) as regular expressions over bytes.

Everything that repeats is possessive, so that no expression ever goes back over what it has read, and time is
linear in the length of the text whatever is in it. Regular expressions can't count: lists within lists are
written out to `NESTED` levels, which real files stay below; what is deeper is read token by token
(`dotpeen_step.part21.lexing`).

Taken as they are meant, against the letter of the standard, because writers do it and no other reading is
possible: keywords and enumerations with small letters, reals as `.5` and `1E5`, any control character as a
blank, any byte in a string, blanks and small letters in binaries.
"""

from __future__ import annotations

import re
from typing import Final

NESTED: Final = 5

BLANK: Final = rb"(?:[\x00-\x20]++|/\*[^*]*+(?:\*(?!/)[^*]*+)*+\*/|\\[NF]\\)*+"
"""Blanks and comments. `\\N\\` and `\\F\\` are directives for printing (clause 6.5)."""
KEYWORD: Final = rb"!?[A-Za-z_][A-Za-z0-9_]*+"
NAME: Final = rb"#[0-9]++"
OTHER_NAME: Final = rb"@[0-9]++|[#@][A-Za-z_][A-Za-z0-9_]*+"
NUMBER: Final = rb"[+\-]?(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[Ee][+\-]?[0-9]++)?+"
STRING: Final = rb"'[^']*+(?:''[^']*+)*+'"
ENUMERATION: Final = rb"\.[A-Za-z_][A-Za-z0-9_]*+\."
BINARY: Final = rb'"[0-9A-Fa-f\s]*+"'
RESOURCE: Final = rb"<[^<>\r\n]*+>"

ATOM: Final = rb"(?:%s)" % b"|".join(
    (NAME, NUMBER, STRING, ENUMERATION, rb"[$*]", BINARY, RESOURCE, OTHER_NAME)
)


def nested(levels: int, atom: bytes, blank: bytes, keyword: bytes) -> bytes:
    """Return the expression of a parenthesised list, with lists and typed parameters in it `levels` deep."""
    inner = b""
    for level in range(levels):
        item = atom if level == 0 else rb"(?>%s|(?:%s%s)?+%s)" % (atom, keyword, blank, inner)
        inner = rb"\(%s(?:%s%s(?:,%s%s%s)*+)?+\)" % (blank, item, blank, blank, item, blank)
    return inner


def entity(levels: int, atom: bytes, blank: bytes, keyword: bytes) -> bytes:
    """Return the expression of what follows `=`: a simple or a complex instance's keywords and parameters."""
    parameters = nested(levels, atom, blank, keyword)
    part = rb"%s%s%s%s" % (keyword, blank, parameters, blank)
    return rb"(?:%s|\(%s(?:%s)++\))" % (part, blank, part)


INSTANCE: Final = re.compile(
    rb"%s(#)([0-9]++)%s=%s(?=(%s)?+)%s%s;"
    % (BLANK, BLANK, BLANK, KEYWORD, entity(NESTED, ATOM, BLANK, KEYWORD), BLANK)
)
"""An entity instance with the blanks before it: where it starts, its number and, of a simple one, its keyword."""

PART: Final = re.compile(rb"(%s)%s%s%s" % (KEYWORD, BLANK, nested(NESTED, ATOM, BLANK, KEYWORD), BLANK))
"""One part of a complex instance: its keyword."""

HEADER_ENTITY: Final = re.compile(
    rb"%s(%s)%s%s%s;" % (BLANK, KEYWORD, BLANK, nested(NESTED, ATOM, BLANK, KEYWORD), BLANK)
)

_ITEM: Final = rb"(?>%s|(?:%s%s)?+%s)" % (ATOM, KEYWORD, BLANK, nested(NESTED, ATOM, BLANK, KEYWORD))
_TAG: Final = rb"\{%s[A-Za-z][A-Za-z0-9]*+%s:%s%s%s\}%s" % (BLANK, BLANK, BLANK, _ITEM, BLANK, BLANK)

ANCHOR: Final = re.compile(
    rb"%s<([^<>\r\n]*+)>%s=%s(%s)%s((?:%s)*+);" % (BLANK, BLANK, BLANK, _ITEM, BLANK, _TAG)
)
"""`<name>=item{tag:item};`: name, item, tags (clause 9.1)."""

TAG: Final = re.compile(
    rb"\{%s([A-Za-z][A-Za-z0-9]*+)%s:%s(%s)%s\}%s" % (BLANK, BLANK, BLANK, _ITEM, BLANK, BLANK)
)

EXTERNAL: Final = re.compile(
    rb"%s([#@](?:[0-9]++|[A-Za-z_][A-Za-z0-9_]*+))%s=%s<([^<>\r\n]*+)>%s;" % (BLANK, BLANK, BLANK, BLANK)
)
"""`#12=<uri>;` of a reference section (clause 10.1)."""

WORD: Final = re.compile(rb"((?:[Ee][Nn][Dd]-)?+[Ii][Ss][Oo]-10303-21|%s)" % KEYWORD)
"""What opens or closes a section."""

HEAD: Final = re.compile(rb"%s(#)([0-9]++)%s=%s(%s)?+" % (BLANK, BLANK, BLANK, KEYWORD))
"""The beginning of an instance, with the groups of `INSTANCE`."""

TOKEN: Final = re.compile(
    rb"(?P<name>%s)|(?P<number>%s)|(?P<string>%s)|(?P<enumeration>%s)|(?P<keyword>%s)"
    rb"|(?P<absent>[$*])|(?P<binary>%s)|(?P<resource>%s)|(?P<other>%s)|(?P<mark>[(),;={}:])"
    % (NAME, NUMBER, STRING, ENUMERATION, KEYWORD, BINARY, RESOURCE, OTHER_NAME)
)
BLANKS: Final = re.compile(BLANK)
BINARY_INSIDE: Final = re.compile(rb"[0-9A-Fa-f\s]*+")
RESOURCE_INSIDE: Final = re.compile(rb"[^<>\r\n]*+")
NOTHING: Final = re.compile(rb"")
SEMICOLON: Final = re.compile(rb";")
PLAIN_DATA: Final = re.compile(rb"[Dd][Aa][Tt][Aa]%s;" % BLANK)
SIGNATURE_END: Final = re.compile(rb"ENDSEC[\x00-\x20]*+;")
SKIMMED: Final = re.compile(rb"(?:[^';/]++|'[^']*+'|/(?!\*)|/\*[^*]*+(?:\*(?!/)[^*]*+)*+\*/)*+;")
"""Anything to the first semicolon outside of strings and comments."""

MARKS: Final = re.compile(rb"(?:\xef\xbb\xbf)*+")
"""Byte-order marks: concatenating tools leave them behind the end."""
