"""Writes a STEP file anew as another system would: other instance names, order, layout and spelling of numbers."""

import random
import re
from typing import TypeVar

Item = TypeVar("Item")

_INSTANCE = re.compile(rb"#(\d+)\s*=((?:[^;']|'[^']*')*);")
_TOKEN = re.compile(
    rb"(?P<string>'[^']*')|(?P<name>#\d+)|(?P<enumeration>\.[A-Z_]+\.)|(?P<keyword>[A-Z_][A-Z0-9_]*)"
    rb"|(?P<real>[+-]?\d+\.\d*(?:E[+-]?\d+)?)|(?P<integer>[+-]?\d+)|(?P<comma>,)|(?P<blank>\s+)"
)


def rewritten(data: bytes, *, seed: int = 1) -> bytes:
    """Return a file that says the same in other words."""
    chance = random.Random(seed)
    start = re.search(rb"\nDATA;", data).end()
    end = data.rindex(b"ENDSEC;")
    instances = _INSTANCE.findall(data[start:end])
    names = {
        number: b"#%d" % (place + 1000)
        for place, number in enumerate(_shuffled(chance, [n for n, _ in instances]))
    }

    def respelled(match: re.Match[bytes]) -> bytes:
        text = match[0]
        match match.lastgroup:
            case "name":
                return names.get(text[1:], text)
            case "real":
                return b"%s" % chance.choice([text, b"%+.17E" % float(text), b"%.20E" % float(text)])
            case "integer":
                return b"%+d" % int(text) if chance.random() < 0.5 else text
            case "comma":
                return chance.choice([b",", b" , ", b",\r\n\t", b",/* and, it's #1 */"])
            case "blank":
                return b"\n"
            case _:
                return text

    body = b"".join(
        names[number] + chance.choice([b"=", b" = ", b"/**/=\n"]) + _TOKEN.sub(respelled, text) + b";\n"
        for number, text in _shuffled(chance, instances)
    )
    return data[:start] + b"\n" + body + data[end:]


def _shuffled(chance: random.Random, items: list[Item]) -> list[Item]:
    return chance.sample(items, len(items))
