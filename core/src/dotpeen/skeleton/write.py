"""Write the skeleton, filled in with the plugin's name."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterator
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from typing import Final

from dotpeen.errors import ConfigurationError
from dotpeen.plugins import RESERVED_COMMANDS, installed_plugins

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST: Final = 40
_SUFFIX: Final = ".template"
"""So that nothing takes the templates for sources: no linter, no test run, no build."""


def write_skeleton(name: str, directory: Path) -> Path:
    """Make the folder `dotpeen-NAME` in a directory and return it; all of it or nothing.

    Raises `ConfigurationError` when the name can't be a plugin's or something is in the way.
    """
    _check_name(name)
    target = directory / f"dotpeen-{name}"
    if not directory.is_dir():
        raise ConfigurationError(
            f"{directory} is no folder", hint="name one that is there: --directory FOLDER"
        )
    if target.exists() or target.is_symlink():
        raise ConfigurationError(f"{target} exists already", hint="choose another name or --directory")
    names = {
        "name": name,
        "module": f"dotpeen_{name.replace('-', '_')}",
        "version": version("dotpeen"),
    }
    part = directory / f".dotpeen-{name}.{secrets.token_hex(4)}.part"
    try:
        part.mkdir()
        for path, text in _filled(files("dotpeen.skeleton") / "template", names):
            file = part / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
        part.rename(target)
    except OSError as error:
        raise ConfigurationError(f"{target} can't be written: {error.strerror}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def _check_name(name: str) -> None:
    if _NAME.fullmatch(name) is None or len(name) > _LONGEST:
        raise ConfigurationError(
            f"{name!r} can't be a plugin's name",
            hint=f"lower-case letters, digits and hyphens, a letter first, {_LONGEST} characters at most: crane-log",
        )
    if name.startswith("dotpeen"):
        raise ConfigurationError(
            f"{name!r}: the distribution will be called dotpeen-NAME", hint="leave dotpeen out of the name"
        )
    if name in RESERVED_COMMANDS:
        raise ConfigurationError(
            f"{name!r} is a command of Dotpeen, so a plugin's can't be called so", hint="choose another name"
        )
    if name in installed_plugins():
        raise ConfigurationError(f"a plugin {name!r} is installed already", hint="choose another name")


def _filled(folder: Traversable, names: dict[str, str], below: Path = Path()) -> Iterator[tuple[Path, str]]:
    for entry in folder.iterdir():
        called = below / entry.name.replace("MODULE", names["module"])
        if entry.is_dir():
            yield from _filled(entry, names, called)
        elif entry.name.endswith(_SUFFIX):
            text = Template(entry.read_text(encoding="utf-8")).substitute(names)
            yield called.with_name(called.name.removesuffix(_SUFFIX)), text
