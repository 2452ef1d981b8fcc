"""The commands of the command line: our own, and the groups of the plugins that the registry switches on.

Plugins are loaded only where nobody else can have the command: for a name that is none of ours, and for the list.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any, Final

import psycopg
import typer
from typer.core import TyperGroup
from typer.main import get_group

from dotpeen.cli.context import BROKEN_PIPE, Context, drop_output, is_full
from dotpeen.errors import DotpeenError, PluginError
from dotpeen.plugins.reason import TRACEBACK_HINT, reason

PANEL: Final = "Commands of plugins"
_PLUGIN: Final = "dotpeen.cli.plugin"


class Commands(TyperGroup):
    """The root group. A registry or a plugin that is broken is told of and costs only plugins' commands."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep what the options before the command say: help is asked for before they are processed."""
        ctx.obj = ctx.obj or Context(*self._given(ctx, args))
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: Any) -> list[str]:
        """Return our own commands and, after them, those of plugins."""
        self._add_plugins(ctx, wanted=None)
        return super().list_commands(ctx)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command; asks the plugins only when it isn't ours."""
        if cmd_name not in self.commands:
            self._add_plugins(ctx, wanted=cmd_name)
        return self.commands.get(cmd_name)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what a plugin's command lets through is named as the plugin's."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # while what becomes of it can still be told
            return result
        except BrokenPipeError:
            drop_output()
            raise typer.Exit(BROKEN_PIPE) from None
        except Exception as error:
            plugin = ctx.meta.get(_PLUGIN, {}).get(ctx.invoked_subcommand)
            if plugin is None or _is_meant(error):
                raise
            raise PluginError(
                plugin,
                f"command {ctx.invoked_subcommand} failed: {_reason(error, ctx.obj, plugin)}",
                hint=f"{TRACEBACK_HINT}, for those who maintain the plugin",
            ) from error

    def _given(self, ctx: Any, args: list[str]) -> tuple[Path | None, str | None]:
        try:
            options, _, _ = self.make_parser(ctx).parse_args(args=list(args))
        except Exception as error:
            if not _is_meant(error):
                raise
            return None, None  # a usage error: the parsing that follows reports it
        registry, url = options.get("registry"), options.get("database_url")
        return Path(registry) if registry else None, url

    def _add_plugins(self, ctx: Any, *, wanted: str | None) -> None:
        if _PLUGIN in ctx.meta:
            return
        groups: dict[str, str] = ctx.meta.setdefault(_PLUGIN, {})
        site: Context = ctx.obj
        if ctx.resilient_parsing:  # completion in a shell: nobody reads messages there
            site.err.quiet = True
            logging.getLogger("dotpeen.plugins").setLevel(logging.CRITICAL)
        if _no_registry(site):
            if wanted is not None:
                _say(
                    site,
                    f"Commands of plugins are not known: there is no {site.registry_path} here. Name a registry:"
                    f" dotpeen -r FILE {wanted} …, or set DOTPEEN_REGISTRY.",
                )
            return
        try:
            contributed = site.plugins.commands()
        except Exception as error:
            _say(site, f"Commands of plugins are not known: {_reason(error)}")
            return
        for plugin, contribution in contributed:
            try:
                group = get_group(contribution)
            except Exception as error:
                _say(site, f"plugin {plugin}: its commands can't be built: {_reason(error, site, plugin)}")
                continue
            group.rich_help_panel = PANEL
            groups[str(group.name)] = plugin
            self.commands[str(group.name)] = group
        if wanted is not None and wanted not in self.commands:
            _say_off(site, wanted)


def _no_registry(site: Context) -> bool:
    """Nobody named a registry, and there is none: a newcomer who looks around."""
    named = site.registry_file is not None or os.environ.get("DOTPEEN_REGISTRY")
    return not named and not site.registry_path.exists()


def _say_off(site: Context, name: str) -> None:
    """Say it where an installed plugin would have the command, were it on; what is off is not imported."""
    if name not in site.plugins.installed or name in site.plugins.enabled:
        return
    section = f"[plugins.{name}]"
    lacks = (
        f"remove `enabled = false` from {section} in {site.registry_path}"
        if name in site.registry.plugins
        else f"give it a section {section} in {site.registry_path}"
    )
    _say(site, f"Plugin {name} is installed but off: {lacks}.")


def _is_meant(error: Exception) -> bool:
    """Errors that are reported as they are: ours, a lost database, a full disk behind standard output, and Typer's.

    Typer has its click in or beside it.
    """
    if is_full(error):
        return True
    if isinstance(error, DotpeenError | psycopg.OperationalError | psycopg.errors.InsufficientPrivilege):
        return True
    return any(kind.__module__.partition(".")[0] in ("click", "typer") for kind in type(error).__mro__)


def _say(site: Context, text: str) -> None:
    site.err.print(text, markup=False, highlight=False, soft_wrap=True)


def _reason(error: Exception, site: Context | None = None, plugin: str = "") -> str:
    if isinstance(error, DotpeenError):
        return error.message
    return reason(error, site.plugins.installed[plugin].module if site is not None else None)
