"""Plugins for tests: installed as the real ones are, by the metadata of a distribution."""

import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a distribution of one module with the entry point NAME in a folder on `sys.path`."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)

    def install(name: str, source: str, *, distribution: str | None = None) -> None:
        module = f"installed_{distribution or name}"
        monkeypatch.delitem(sys.modules, module, raising=False)
        (folder / f"{module}.py").write_text(dedent(source), encoding="utf-8")
        info = folder / f"{module}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[dotpeen]\n{name} = {module}\n")

    return install
