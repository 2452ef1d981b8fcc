"""The form of a document, checked by a process of its own: another core does it while this one reads the same file."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from dotpeen_qif.limits import DEFAULT_LIMITS
from dotpeen_qif.validate.form import validate_form
from dotpeen_qif.validate.report import Finding, Report


class FormCheck:
    """A check that is under way. `stop` has to be called at the end, whatever became of it."""

    def __init__(self, path: Path, schema_dir: Path | None) -> None:
        self._path = path
        self._schema_dir = schema_dir
        self._answer: bytes | None = None
        folder = [] if schema_dir is None else [str(schema_dir.resolve())]
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(path.resolve()), *folder],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    @property
    def running(self) -> bool:
        """It has not ended yet."""
        return self._process.poll() is None

    def report(self) -> Report:
        """Wait for the end, and return what was found. Raises what `validate` raises."""
        if self._answer is None:
            self._answer, _ = self._process.communicate()
        report = Report(self._path, self._schema_dir)
        try:
            said = json.loads(self._answer) if self._process.returncode == 0 else None
            if said is not None:
                report.findings = [Finding(**finding) for finding in said["findings"]]
                report.left_out = said["left_out"]
                return report
        except (ValueError, TypeError, KeyError):
            pass
        # It was killed, or there are no schemas: here the reason is an error of its own.
        return validate_form(self._path, schema_dir=self._schema_dir)

    def stop(self) -> None:
        """End the process, where it still runs."""
        if self._answer is None:
            self._process.kill()
            self._answer, _ = self._process.communicate()


def main() -> None:
    """Check the form of the file that the first argument names, by the schemas in the folder of the second."""
    path, *folder = map(Path, sys.argv[1:])
    report = validate_form(path, schema_dir=folder[0] if folder else None, limits=DEFAULT_LIMITS)
    findings = [asdict(finding) for finding in report.findings]
    sys.stdout.write(json.dumps({"findings": findings, "left_out": report.left_out}))


if __name__ == "__main__":
    main()
