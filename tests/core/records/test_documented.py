"""The Python in the documentation runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from dotpeen import errors

from .site import Site

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def section(repository: Path) -> str:
    return (repository / "docs" / "rest.md").read_text(encoding="utf-8").split("## From Python\n", 1)[1]


def test_the_examples_run_one_after_the_other(
    own_mes: Site,
    section: str,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(repository)
    uuid = own_mes.records.find("Part", "ADP-10000-D").uuid
    examples = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert len(examples) == 3
    names: dict[str, Any] = {}
    for example in examples:
        for scheme in ("postgresql:", "postgresql+psycopg:"):
            example = example.replace(f"{scheme}//mes@db/mes", own_mes.url.replace("postgresql:", scheme))
        exec(example, names)  # noqa: S102
    names["engine"].dispose()
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"{uuid} partNumber ")
    assert "no Part 'no such part'" in said
    assert own_mes.records.find("Part", "ADP-10000-D").values["status"] == "OBSOLETE"


def test_every_exception_named_is_there(section: str) -> None:
    named = re.findall(r"(?m)^\| `(\w+Error)` \|", section)
    assert len(named) == 8
    assert all(issubclass(getattr(errors, name), errors.DotpeenError) for name in named)
