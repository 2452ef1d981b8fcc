"""`dotpeen plugins`: what is installed, what the site switches on, and how it is."""

from __future__ import annotations

import dataclasses
import logging

import typer
from rich.markup import escape
from rich.table import Table

from dotpeen.cli.context import Context, JsonOption, current
from dotpeen.plugins import PluginInfo
from dotpeen.plugins.reason import TRACEBACK_HINT, debugging


def plugins(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """List the installed plugins: which are on, what each contributes, and how it is.

    Ends with 1 when an enabled one failed or is not well. `dotpeen plugin new NAME` starts one of your own.
    """
    shared = current(context)
    # What the table shows needs no warning beside it; a traceback stands nowhere else.
    if not debugging():
        logging.getLogger("dotpeen.plugins").setLevel(logging.ERROR)
    found = _with_hidden_routes(shared)
    if as_json:
        shared.print_json({"plugins": [dataclasses.asdict(plugin) for plugin in found]})
    elif found:
        shared.out.print(_table(found))
    else:
        shared.err.print("No plugin is installed. Ours are dotpeen-qif, dotpeen-erp and dotpeen-step.")
    if not as_json and not debugging() and any(map(shared.plugins.errors, shared.plugins.enabled)):
        shared.err.print(f"  → {TRACEBACK_HINT}", markup=False, highlight=False)
    if any(plugin.error or (plugin.health and not plugin.health.ok) for plugin in found):
        raise typer.Exit(1)


def _with_hidden_routes(shared: Context) -> tuple[PluginInfo, ...]:
    found = shared.plugins.describe()
    if not any(plugin.routes for plugin in found):
        return found
    # Half of what a command takes to start, and few plugins have routes.
    from dotpeen.api.hidden_routes import hidden_routes

    hidden = hidden_routes(shared.registry, shared.plugins)
    return tuple(dataclasses.replace(plugin, hidden_routes=hidden.get(plugin.name, ())) for plugin in found)


def _table(found: tuple[PluginInfo, ...]) -> Table:
    table = Table("Name", "Version", "Enabled")
    for heading in ("Hooks", "Contributes", "Health"):
        table.add_column(heading, overflow="fold")
    for plugin in found:
        table.add_row(
            escape(plugin.name),
            plugin.version,
            "yes" if plugin.enabled else "no",
            "\n".join(hook.removeprefix("dotpeen_") for hook in plugin.hooks),
            escape("\n".join(_contributions(plugin))),
            _health(plugin),
        )
    return table


def _contributions(plugin: PluginInfo) -> list[str]:
    references = [f"{reference.entity}.{reference.name}" for reference in plugin.external_references]
    kinds = {
        "reference": references,
        "export": plugin.exporters,
        "import": plugin.importers,
        "command": plugin.commands,
        "route": plugin.routes,
        "hidden by a route of ours:": plugin.hidden_routes,
    }
    return [f"{kind} {name}" for kind, names in kinds.items() for name in names]


def _health(plugin: PluginInfo) -> str:
    lines = [
        f"[bold red]failed[/] {escape(error.removeprefix(f'plugin {plugin.name}: '))}"
        for error in (plugin.error or "").splitlines()
    ]
    if plugin.health is not None:
        state = "[green]ok[/]" if plugin.health.ok else "[bold red]not well[/]"
        lines.append(f"{state} {escape(plugin.health.message)}".rstrip())
    return "\n".join(lines)
