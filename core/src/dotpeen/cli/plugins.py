"""`dotpeen plugins`: what is installed, what the site switches on, and how it is."""

from __future__ import annotations

import dataclasses
import logging

import typer
from rich.markup import escape
from rich.table import Table

from dotpeen.cli.context import JsonOption, current
from dotpeen.plugins import PluginInfo, load_plugins


def plugins(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """List the installed plugins and those that the registry switches on.

    Ends with 1 when an enabled one failed or is not well.
    """
    shared = current(context)
    # What the table shows needs no warning beside it.
    logging.getLogger("dotpeen.plugins").setLevel(logging.ERROR)
    found = load_plugins(shared.registry).describe()
    if as_json:
        shared.print_json({"plugins": [dataclasses.asdict(plugin) for plugin in found]})
    elif found:
        shared.out.print(_table(found))
        shared.out.print(
            "External references are listed only: this release makes no columns and no routes for them.",
            style="dim",
        )
    else:
        shared.err.print("No plugin is installed. Ours are dotpeen-qif, dotpeen-erp and dotpeen-step.")
    if any(plugin.error or (plugin.health and not plugin.health.ok) for plugin in found):
        raise typer.Exit(1)


def _table(found: tuple[PluginInfo, ...]) -> Table:
    table = Table("Name", "Version", "Enabled")
    for heading in ("Hooks", "External references", "Health"):
        table.add_column(heading, overflow="fold")
    for plugin in found:
        references = [f"{reference.entity}.{reference.name}" for reference in plugin.external_references]
        table.add_row(
            escape(plugin.name),
            plugin.version,
            "yes" if plugin.enabled else "no",
            "\n".join(hook.removeprefix("dotpeen_") for hook in plugin.hooks),
            escape("\n".join(references)),
            _health(plugin),
        )
    return table


def _health(plugin: PluginInfo) -> str:
    if plugin.error:
        return f"[bold red]failed[/] {escape(plugin.error)}"
    if plugin.health is None:
        return ""
    state = "[green]ok[/]" if plugin.health.ok else "[bold red]not well[/]"
    return f"{state} {escape(plugin.health.message)}".rstrip()
