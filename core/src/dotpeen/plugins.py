"""Find plugins, load those that the registry switches on, and call their hooks without trusting them."""

from __future__ import annotations

import difflib
import logging
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy
from pydantic import BaseModel

from dotpeen import hooks
from dotpeen.contributions import ExternalReference, Health
from dotpeen.errors import ConfigurationError, PluginError, UnknownPluginError
from dotpeen.registry import Registry, plugin_settings

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PluginInfo:
    """One plugin as `dotpeen plugins` shows it."""

    name: str
    distribution: str
    version: str
    enabled: bool
    hooks: tuple[str, ...] = ()
    external_references: tuple[ExternalReference, ...] = ()
    health: Health | None = None
    """None when the plugin doesn't say, or isn't enabled."""
    error: str | None = None
    """Why it could not be loaded or a hook of it failed."""


class Plugins:
    """The plugins of a site; made by `load_plugins`."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.installed = _installed()
        self.failed: dict[str, PluginError] = {}
        self._manager = pluggy.PluginManager(hooks.PROJECT)
        self._manager.add_hookspecs(hooks)

    @property
    def enabled(self) -> tuple[str, ...]:
        """The names that the registry switches on, in its order."""
        return tuple(name for name, section in self.registry.plugins.items() if section.enabled)

    def call(self, hook: str, **arguments: Any) -> tuple[tuple[str, Any], ...]:
        """Call a hook of every plugin that has it; returns each plugin's name with its answer.

        A plugin that raises is logged by name, remembered in `failed`, and passed over.
        """
        loaded = self._manager.list_name_plugin()
        answers = []
        for name, plugin in loaded:
            others = [other for _, other in loaded if other is not plugin]
            try:
                answers += [
                    (name, answer) for answer in self._manager.subset_hook_caller(hook, others)(**arguments)
                ]
            except Exception as error:
                self._fail(name, f"{hook} failed: {type(error).__name__}: {error}", error)
        return tuple(answers)

    def describe(self) -> tuple[PluginInfo, ...]:
        """Return every installed plugin, sorted by name; asks the enabled ones how they are."""
        references: dict[str, list[ExternalReference]] = {}
        for name, answer in self.call("dotpeen_external_references", registry=self.registry):
            references.setdefault(name, []).extend(answer)
        health = dict(self.call("dotpeen_health", registry=self.registry))
        return tuple(
            PluginInfo(
                name=name,
                distribution=entry.dist.name if entry.dist else "",
                version=entry.dist.version if entry.dist else "",
                enabled=name in self.enabled,
                hooks=self._hooks(name),
                external_references=tuple(references.get(name, ())),
                health=health.get(name),
                error=self.failed[name].message if name in self.failed else None,
            )
            for name, entry in sorted(self.installed.items())
        )

    def _hooks(self, name: str) -> tuple[str, ...]:
        callers = self._manager.get_hookcallers(self._manager.get_plugin(name))
        return tuple(sorted(caller.name for caller in callers or ()))

    def _load(self, name: str) -> None:
        if name not in self.installed:
            close = difflib.get_close_matches(name, self.installed, n=1)
            known = f"installed plugins: {', '.join(sorted(self.installed)) or 'none'}"
            hint = f"did you mean {close[0]!r}? {known}" if close else known
            raise UnknownPluginError(
                name, f"{self.registry.file} switches it on, but it is not installed", hint=hint
            )
        try:
            plugin = self.installed[name].load()
        except (Exception, SystemExit) as error:
            self._fail(name, f"can't be imported: {type(error).__name__}: {error}", error)
            return
        model = getattr(plugin, "Settings", None)
        if isinstance(model, type) and issubclass(model, BaseModel):
            plugin_settings(self.registry, name, model)
        try:
            self._manager.register(plugin, name)
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            self._manager.unregister(name=name)
            self._fail(name, f"does not fit: {error}", error)

    def _fail(self, name: str, message: str, error: BaseException) -> None:
        known = self.failed.get(name)
        self.failed[name] = PluginError(name, message)
        if known is not None and known.message == self.failed[name].message:
            return  # a hook that is called for every batch fails every time
        _log.warning("%s", self.failed[name], exc_info=error if _log.isEnabledFor(logging.DEBUG) else None)


def load_plugins(registry: Registry) -> Plugins:
    """Import the plugins that the registry switches on, and nothing of the others.

    Raises `UnknownPluginError` for one that is not installed and `RegistryError` for wrong settings. One that
    can't be imported is logged and remembered in `failed`; the others work.
    """
    plugins = Plugins(registry)
    for name in plugins.enabled:
        plugins._load(name)
    return plugins


def _installed() -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=hooks.PROJECT):
        other = found.setdefault(entry.name, entry)
        if other.value != entry.value:
            raise ConfigurationError(
                f"two plugins are named {entry.name!r}: {other.value} and {entry.value}",
                hint="uninstall one of them",
            )
    return found
