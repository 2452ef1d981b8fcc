"""What every command shares: the options before its name, consoles, the registry, the database."""

from __future__ import annotations

import errno
import json
import os
import shlex
import signal
import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer
from pydantic_core import to_jsonable_python
from rich.console import Console

from dotpeen.database import Connection, connect, resolve_url
from dotpeen.registry import Registry, load_registry

if TYPE_CHECKING:
    from dotpeen.plugins import Plugins

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Answer yes to the question, for scripts.")]
EntityOption = Annotated[
    list[str] | None,
    typer.Option("--entity", "-e", metavar="NAME", help="Only this entity; may be repeated."),
]
PhaseOption = Annotated[
    int | None, typer.Option("--phase", metavar="N", help="Only the entities of this phase.")
]


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command in order, as Ctrl-C does; service managers and containers send it."""


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """Return what a shell expects after the signal: 128 and its number."""
    return 128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT)


BROKEN_PIPE: Final = 128 + 13
"""What a shell expects after SIGPIPE: whoever read the output has enough, as in `dotpeen … | head -1`."""
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What writing to a full disk, or a device that is gone, ends with."""


class Terminal(Console):
    """A console whose reader may go away."""

    def on_broken_pipe(self) -> None:
        """End the command as the signal would have."""
        self.quiet = True
        drop_output()
        raise SystemExit(BROKEN_PIPE)


def is_full(error: Exception) -> bool:
    """Tell whether what an error says is that output can't be written; of a file, it would have the name."""
    return isinstance(error, OSError) and error.filename is None and error.errno in _FULL


def drop_output() -> None:
    """Let what is still to be written to standard output go: the interpreter must not try again when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@dataclass
class Context:
    """The options before the command's name, and what they lead to, opened when first asked for."""

    registry_file: Path | None = None
    database_url: str | None = None
    out: Console = field(default_factory=lambda: Terminal(emoji=False))
    err: Console = field(default_factory=lambda: Terminal(stderr=True, emoji=False))

    @property
    def registry_path(self) -> Path:
        """The registry's file: `-r`, `DOTPEEN_REGISTRY` or `registry.toml` in the working directory."""
        return self.registry_file or Path(os.environ.get("DOTPEEN_REGISTRY") or "registry.toml")

    @cached_property
    def registry(self) -> Registry:
        """The registry. Raises `ConfigurationError` when it is missing or wrong."""
        return load_registry(self.registry_path)

    @cached_property
    def plugins(self) -> Plugins:
        """The plugins that the registry switches on. Raises `ConfigurationError` when that can't be."""
        from dotpeen.plugins import load_plugins  # most commands need none

        return load_plugins(self.registry)

    @cached_property
    def url(self) -> str:
        """The database meant; starts the embedded server when it is the one."""
        explicit = self.database_url or os.environ.get("DOTPEEN_DATABASE_URL")
        registry_url = None if explicit else self.registry.database.url
        return resolve_url(option=explicit, registry_url=registry_url)

    def connect(self, purpose: str) -> Connection:
        """Open a session to it."""
        return connect(self.url, purpose=purpose)

    def command(self, *arguments: str) -> str:
        """Write a command for the same registry, to be copied to a shell."""
        named = [] if self.registry_file is None else ["-r", str(self.registry_file)]
        return shlex.join(["dotpeen", *named, *arguments])

    def print_json(self, document: Any) -> None:
        """Write one JSON document to standard output."""
        print(json.dumps(to_jsonable_python(document), indent=2, ensure_ascii=False))

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before something is undone or overwritten; ends the command unless the answer is yes."""
        if yes:
            return
        if not self.err.is_terminal:
            self.err.print(f"{question} Nobody can answer here: pass --yes to do it.", style="bold")
            raise typer.Exit(2)
        if not typer.confirm(question, err=True):
            raise typer.Exit(1)


def current(context: typer.Context) -> Context:
    """Return the shared context of a Typer command."""
    found = context.find_object(Context)
    if found is None:
        raise RuntimeError("the command was called without its group")
    return found


def fail(message: str, code: int = 1) -> NoReturn:
    """End the command with a message on standard error."""
    Console(stderr=True, emoji=False).print(message, markup=False, highlight=False)
    raise typer.Exit(code)
