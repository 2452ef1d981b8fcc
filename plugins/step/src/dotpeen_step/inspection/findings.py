"""What is wrong with a file, and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning"]
"""An error makes a UUID useless or the file wrong by its standard; a warning is for whoever writes such files."""

Rule: TypeAlias = Literal[
    "anchor-dangling",
    "anchor-form",
    "anchor-level",
    "anchor-loop",
    "assembly-cycle",
    "assembly-dangling",
    "carrier-edition",
    "carrier-prototype",
    "product-same-id",
    "product-without-uuid",
    "schema-undeclared",
    "uuid-dangling",
    "uuid-duplicate",
    "uuid-form",
    "uuid-malformed",
    "uuid-no-target",
    "uuid-several",
    "uuid-target",
    "uuid-version",
]
"""The names of the list in the docs."""

SEVERITIES: Final[dict[Rule, Severity]] = {
    "anchor-dangling": "error",
    "anchor-form": "warning",
    "anchor-level": "error",
    "anchor-loop": "error",
    "assembly-cycle": "error",
    "assembly-dangling": "error",
    "carrier-edition": "error",
    "carrier-prototype": "warning",
    "product-same-id": "warning",
    "product-without-uuid": "warning",
    "schema-undeclared": "warning",
    "uuid-dangling": "error",
    "uuid-duplicate": "error",
    "uuid-form": "warning",
    "uuid-malformed": "error",
    "uuid-no-target": "error",
    "uuid-several": "warning",
    "uuid-target": "warning",
    "uuid-version": "warning",
}

MOST_OF_A_RULE: Final = 100
"""Findings kept of one rule: a writer that errs once errs on every item."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    severity: Severity
    rule: Rule
    message: str
    hint: str
    """What to do."""
    byte: int
    """Where, from 0."""
    line: int = 0
    """Where, from 1."""


class Findings:
    """Findings, some of each rule at most; the others are counted."""

    def __init__(self) -> None:
        self._kept: list[Finding] = []
        self.counts: Counter[Rule] = Counter()
        """How many there are of each rule, kept or not."""
        self._errors = 0

    def add(
        self, rule: Rule, byte: int, message: str, hint: str, *, severity: Severity | None = None
    ) -> None:
        """Note a finding. The rule tells how severe it is, unless it depends."""
        severity = severity or SEVERITIES[rule]
        self.counts[rule] += 1
        self._errors += severity == "error"
        if self.counts[rule] <= MOST_OF_A_RULE:
            self._kept.append(Finding(severity, rule, message, hint, byte))

    @property
    def errors(self) -> int:
        """How many are errors, kept or not."""
        return self._errors

    @property
    def warnings(self) -> int:
        """How many are warnings, kept or not."""
        return self.counts.total() - self._errors

    @property
    def left_out(self) -> dict[Rule, int]:
        """How many of each rule were counted only."""
        return {rule: count - MOST_OF_A_RULE for rule, count in self.counts.items() if count > MOST_OF_A_RULE}

    def in_order(self) -> list[Finding]:
        """Return those kept, in the order of the file; without lines."""
        return sorted(self._kept, key=lambda finding: (finding.byte, finding.rule))

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._kept)
