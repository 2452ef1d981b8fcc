"""Entity instances: found by the scanner, decoded when somebody asks."""

from __future__ import annotations

import re
from typing import Final

from dotpeen_step.part21 import grammar
from dotpeen_step.part21.parameters import parameters
from dotpeen_step.part21.values import Typed, Value

_REFERENCES: Final = re.compile(
    rb"'[^']*+'|<[^<>]*+>|/\*[^*]*+(?:\*(?!/)[^*]*+)*+\*/|#([0-9]++)",
)
_HEAD: Final = re.compile(rb"#[0-9]++%s=%s" % (grammar.BLANK, grammar.BLANK))
_LONGEST: Final = 4000  # digits, leading zeros included; Python's limit is a little higher
_OPENED: Final = re.compile(rb"%s\(%s" % (_HEAD.pattern, grammar.BLANK))


class Instance:
    """One entity instance of a data section.

    `id` is the number of its name; `offset` and `end` are its bytes in the file, `#` and `;` included; `raw` is
    that text. `keyword` is in capitals, and empty where the instance is a complex one. Everything else is decoded
    from `raw` when it is asked for.
    """

    __slots__ = ("_parts", "end", "id", "keyword", "offset", "raw")

    def __init__(self, id: int, offset: int, keyword: str, raw: bytes) -> None:  # noqa: A002
        self.id = id
        self.offset = offset
        self.end = offset + len(raw)
        self.keyword = keyword
        self.raw = raw
        self._parts: tuple[Typed, ...] | None = None

    def __repr__(self) -> str:
        text = self.raw if len(self.raw) <= 80 else self.raw[:77] + b"..."
        return f"<Instance {text.decode('latin-1')} at byte {self.offset}>"

    @property
    def parts(self) -> tuple[Typed, ...]:
        """Keyword and parameters of each part: of a simple instance one, of a complex one all, as written."""
        if self._parts is None:
            head = _HEAD.match(self.raw)
            parts = parameters(self.raw[head.end() if head else 0 :])
            if not self.keyword and isinstance(
                parts[0], tuple
            ):  # the parentheses around them look like a list
                parts = parts[0]
            self._parts = tuple(part for part in parts if isinstance(part, Typed))
        return self._parts

    @property
    def parameters(self) -> tuple[Value, ...]:
        """The parameters of a simple instance; of a complex one none: they belong to its parts."""
        return self.parts[0].parameters if self.keyword else ()

    @property
    def keywords(self) -> tuple[str, ...]:
        """The keywords of all parts, in capitals, without decoding their parameters."""
        if self.keyword:
            return (self.keyword,)
        opened = _OPENED.match(self.raw)
        position = opened.end() if opened else 0
        found: list[str] = []
        while part := grammar.PART.match(self.raw, position):
            found.append(part[1].decode("ascii").upper())
            position = part.end()
        if self.raw[position : position + 1] == b")":
            return tuple(found)
        return tuple(part.keyword for part in self.parts)  # nested deeper than the pattern goes

    def part(self, keyword: str) -> tuple[Value, ...] | None:
        """Return the parameters of the part with this keyword, None where there is no such part."""
        for part in self.parts:
            if part.keyword == keyword:
                return part.parameters
        return None

    def references(self) -> tuple[int, ...]:
        """Return the instance names in the parameters, in order, each as often as it stands there.

        Numbers longer than a name can be are left out.
        """
        head = _HEAD.match(self.raw)
        numbers = _REFERENCES.findall(self.raw, head.end() if head else 0)
        return tuple(int(number) for number in numbers if number and len(number) <= _LONGEST)
