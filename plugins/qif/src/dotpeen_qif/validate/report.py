"""What validation finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning"]
"""An error keeps a document from being imported; a warning is for whoever writes such documents."""

Check: TypeAlias = Literal[
    "xml",
    "schema",
    "id",
    "count",
    "reference",
    "external",
    "uuid",
    "tolerance",
    "status",
    "value",
]
"""What was looked at: the names of the list in the docs."""

MOST_FINDINGS: Final = 1000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    severity: Severity
    check: Check
    line: int | None
    message: str


@dataclass
class Report:
    """All that is wrong with one file."""

    file: Path
    schema: Path | None = None
    """Folder of the schemas it was checked against; None where it was not."""
    findings: list[Finding] = field(default_factory=list)
    """In the order of lines, the first thousand."""
    left_out: int = 0
    """How many more there are."""

    def add(self, severity: Severity, check: Check, line: int | None, message: str) -> None:
        """Note a finding, or count it when there are a thousand."""
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(Finding(severity, check, line, message))
        else:
            self.left_out += 1

    @property
    def full(self) -> bool:
        """No more findings are kept."""
        return len(self.findings) >= MOST_FINDINGS

    @property
    def errors(self) -> list[Finding]:
        """The findings that are errors."""
        return [finding for finding in self.findings if finding.severity == "error"]

    @property
    def ok(self) -> bool:
        """There is no error; warnings there may be."""
        return not self.errors

    def sort(self) -> None:
        """Put the findings in the order of their lines."""
        self.findings.sort(key=lambda finding: finding.line or 0)
