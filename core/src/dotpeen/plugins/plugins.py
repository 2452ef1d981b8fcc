"""The plugins of a site: loaded where the registry switches them on, and asked without being trusted."""

from __future__ import annotations

import difflib
import logging
import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import pluggy
from pydantic import BaseModel

from dotpeen import hooks
from dotpeen.contributions import (
    ApiRouter,
    DigitalModel,
    Exporter,
    ExternalReference,
    Importer,
    RecordReference,
    ThreadEntry,
    VerificationCheck,
)
from dotpeen.errors import DotpeenError, PluginError, RegistryError, UnknownPluginError
from dotpeen.plugins.answers import checked
from dotpeen.plugins.changes import Change, Changes
from dotpeen.plugins.description import PluginInfo, describe
from dotpeen.plugins.fitting import MisfitError, check_fit
from dotpeen.plugins.installed import installed_plugins
from dotpeen.plugins.patience import CALL_SECONDS, IMPORT_SECONDS, Patience
from dotpeen.plugins.reading import GRACE_SECONDS, only_reading
from dotpeen.plugins.reason import TRACEBACK_HINT, debugging, is_raised, reason
from dotpeen.registry import Entity, Registry, plugin_settings

if TYPE_CHECKING:
    import typer

    from dotpeen.database import Connection

T = TypeVar("T")
_log = logging.getLogger("dotpeen.plugins")
_QUIET_SECONDS: Final = 60.0
"""A hook that fails now and then is logged this often at most."""


class Plugins:
    """The plugins of a site; made by `load_plugins`.

    The methods named after hooks return each plugin's name with what it contributed, all of it checked. A plugin
    that raises, is late or answers rubbish is left out, logged by name, and remembered in `failed`.
    """

    def __init__(self, registry: Registry, *, timeout: float = CALL_SECONDS) -> None:
        self.registry = registry
        self.timeout = timeout
        """Seconds that a hook may take."""
        self.installed = installed_plugins()
        self._manager = pluggy.PluginManager(hooks.PROJECT)
        self._manager.add_hookspecs(hooks)
        self._patience = Patience()
        self._changes = Changes(self._deliver)
        self._errors: dict[tuple[str, str], PluginError] = {}
        self._logged: dict[tuple[str, str], float] = {}
        self._contributions: dict[str, tuple[tuple[str, Any], ...]] = {}
        self._asking = Lock()
        self._lock = Lock()

    @property
    def enabled(self) -> tuple[str, ...]:
        """The names that the registry switches on, in its order."""
        return tuple(name for name, section in self.registry.plugins.items() if section.enabled)

    @property
    def failed(self) -> dict[str, PluginError]:
        """What stands against a plugin now: why it is not loaded, or the first of its hooks that failed."""
        return {name: errors[0] for name in self.enabled if (errors := self.errors(name))}

    def errors(self, name: str) -> tuple[PluginError, ...]:
        """Return everything that stands against a plugin; a hook that has answered well since is not among it."""
        with self._lock:
            return tuple(error for (plugin, _), error in self._errors.items() if plugin == name)

    def hooks(self, name: str) -> tuple[str, ...]:
        """Return the hooks that a plugin implements, sorted; none when it isn't loaded."""
        callers = self._manager.get_hookcallers(self._manager.get_plugin(name))
        return tuple(sorted(caller.name for caller in callers or ()))

    def implements(self, hook: str) -> bool:
        """Tell whether any plugin has a hook, for callers who would have to prepare something for it."""
        return bool(getattr(self._manager.hook, hook).get_hookimpls())

    def describe(self) -> tuple[PluginInfo, ...]:
        """Return every installed plugin, sorted by name; asks the enabled ones how they are."""
        return describe(self)

    def external_references(self) -> tuple[tuple[str, ExternalReference], ...]:
        """Return the external references; no two of an entity have one name or one column."""
        return self._contributed("dotpeen_external_references")

    def exporters(self) -> tuple[tuple[str, Exporter], ...]:
        """Return the formats that records can be exported in; no two have one name."""
        return self._contributed("dotpeen_exporters")

    def importers(self) -> tuple[tuple[str, Importer], ...]:
        """Return the formats that files can be imported from; no two have one name."""
        return self._contributed("dotpeen_importers")

    def api_routers(self) -> tuple[tuple[str, ApiRouter], ...]:
        """Return the routes for the server."""
        return self._contributed("dotpeen_api_routers")

    def commands(self) -> tuple[tuple[str, typer.Typer], ...]:
        """Return the groups of commands; no two have one name, and none has that of a command of ours."""
        return self._contributed("dotpeen_commands")

    def verification_checks(self, entity: Entity) -> tuple[tuple[str, VerificationCheck], ...]:
        """Return the checks of an entity's rows; `run` calls one."""
        return _each(self.call("dotpeen_verification_checks", entity=entity))

    def thread_entries(
        self, connection: Connection, entity: Entity, uuid: str
    ) -> tuple[tuple[str, ThreadEntry], ...]:
        """Return what plugins know of a record.

        Give it a session that nothing else needs: one that a plugin doesn't let go of is closed.
        """
        return _each(self.call("dotpeen_thread_entries", connection=connection, entity=entity, uuid=uuid))

    def resolve_uuid(self, connection: Connection, uuid: str) -> tuple[tuple[str, RecordReference], ...]:
        """Return the records that plugins say a UUID leads to. The session: as for `thread_entries`."""
        return _each(self.call("dotpeen_resolve_uuid", connection=connection, uuid=uuid))

    def digital_models(
        self, connection: Connection, entity: Entity, uuid: str
    ) -> tuple[tuple[str, DigitalModel], ...]:
        """Return the CAD models that plugins know of a record. The session: as for `thread_entries`."""
        return _each(self.call("dotpeen_digital_models", connection=connection, entity=entity, uuid=uuid))

    def record_changed(
        self, entity: Entity, uuid: str, operation: Literal["create", "update"], fields: Sequence[str]
    ) -> None:
        """Tell plugins of a record that was written, after the commit. Returns at once, whatever they do."""
        if self.implements("dotpeen_record_changed"):
            self._changes.put(Change(entity, uuid, operation, tuple(fields)))

    def drain(self, seconds: float = CALL_SECONDS) -> bool:
        """Wait until plugins were told of every change; False when time was up before."""
        return self._changes.wait(seconds)

    def call(
        self, hook: str, *, timeout: float | None = None, **arguments: Any
    ) -> tuple[tuple[str, Any], ...]:
        """Call a hook of every plugin that has it; returns each plugin's name with its answer.

        `timeout` is for each; `registry` is added to the arguments. A `connection` among them can only read
        meanwhile, and no plugin sees or suffers what another did with it.
        """
        seconds = self.timeout if timeout is None else timeout
        arguments["registry"] = self.registry
        connection: Connection | None = arguments.get("connection")
        loaded = self._manager.list_name_plugin()
        answers: list[tuple[str, Any]] = []
        for name, plugin in loaded:
            others = [other for _, other in loaded if other is not plugin]
            caller = self._manager.subset_hook_caller(hook, others)
            if not caller.get_hookimpls():
                continue
            earlier = tuple(answers)

            def ask(
                caller: pluggy.HookCaller = caller, earlier: tuple[tuple[str, Any], ...] = earlier
            ) -> list[Any]:
                if connection is None:
                    found = caller(**arguments)
                else:
                    with only_reading(connection, seconds):
                        found = caller(**arguments)
                return [checked(hook, answer, self.registry, earlier) for answer in found]

            absent = self._patience.busy(name) is not None
            found = self._ask(name, hook, ask, seconds + (GRACE_SECONDS if connection else 0))
            if found is not None:
                answers += [(name, answer) for answer in found]
            elif connection is not None and not absent and self._patience.busy(name):
                # It may wake up and use the session at any time: nobody else can have it any more.
                connection.close()
                break
        return tuple(answers)

    def run(self, plugin: str, what: str, call: Callable[[], T], *, timeout: float | None = None) -> T:
        """Call a function that a plugin contributed; without a `timeout` in this thread, for as long as it takes.

        Raises `PluginError`, which names the plugin and `what`, when it is late or raises anything but a
        `DotpeenError`: those are meant for the user and come through as they are.
        """
        try:
            return call() if timeout is None else self._patience.wait(plugin, what, call, timeout)
        except DotpeenError:
            raise
        except (Exception, SystemExit) as error:
            failure = self._failure(plugin, f"{what} failed: {self._reason(plugin, error)}", error)
            self._tell(logging.WARNING, failure, error)
            raise failure from error

    def load(self, name: str) -> None:
        """Import a plugin and hold it against the hooks. Raises as `load_plugins`."""
        if name not in self.installed:
            close = difflib.get_close_matches(name, self.installed, n=1)
            known = f"installed plugins: {', '.join(sorted(self.installed)) or 'none'}"
            hint = f"did you mean {close[0]!r}? {known}" if close else known
            raise UnknownPluginError(
                name, f"{self.registry.file} switches it on, but it is not installed", hint=hint
            )
        try:
            plugin = self._patience.wait(name, "its import", lambda: self._import(name), IMPORT_SECONDS)
            check_fit(self._manager, plugin)
            # Not in the thread: an import that comes to an end too late must not add anything to what runs.
            self._manager.register(plugin, name)
            self._manager.check_pending()
        except RegistryError:
            raise
        except Exception as error:
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
            fits = not isinstance(error, MisfitError | pluggy.PluginValidationError)
            what = "can't be imported" if fits else "does not fit"
            self._fail(name, "import", f"{what}: {self._reason(name, error)}", error)

    def _import(self, name: str) -> object:
        plugin = self.installed[name].load()
        model = getattr(plugin, "Settings", None)
        if isinstance(model, type) and issubclass(model, BaseModel):
            plugin_settings(self.registry, name, model)
        return plugin

    def _contributed(self, hook: str) -> tuple[tuple[str, Any], ...]:
        # Asked once: routes, commands and columns can't come and go while the process runs.
        with self._asking:
            if hook not in self._contributions:
                self._contributions[hook] = _each(self.call(hook))
            return self._contributions[hook]

    def _ask(self, name: str, hook: str, call: Callable[[], list[Any]], seconds: float) -> list[Any] | None:
        try:
            answer = self._patience.wait(name, hook, call, seconds)
        except Exception as error:
            self._fail(name, hook, f"{hook} failed: {self._reason(name, error)}", error)
            return None
        if (name, hook) in self._errors:
            with self._lock:
                self._errors.pop((name, hook), None)
        return answer

    def _deliver(self, change: Change) -> None:
        self.call(
            "dotpeen_record_changed",
            entity=change.entity,
            uuid=change.uuid,
            operation=change.operation,
            fields=change.fields,
        )

    def _fail(self, name: str, hook: str, message: str, error: BaseException) -> None:
        now = time.monotonic()
        with self._lock:
            known = (name, hook) in self._errors
            failure = self._errors[name, hook] = self._failure(name, message, error)
            quiet = known or now - self._logged.get((name, hook), float("-inf")) < _QUIET_SECONDS
            if not quiet:
                self._logged[name, hook] = now
        self._tell(logging.DEBUG if quiet else logging.WARNING, failure, error)

    def _reason(self, name: str, error: BaseException) -> str:
        return reason(error, self.installed[name].module if name in self.installed else None)

    def _failure(self, name: str, message: str, error: BaseException) -> PluginError:
        return PluginError(name, message, hint=TRACEBACK_HINT if is_raised(error) else None)

    def _tell(self, level: int, failure: PluginError, error: BaseException) -> None:
        shown = is_raised(error) and (debugging() or _log.isEnabledFor(logging.DEBUG))
        _log.log(level, "%s", failure, exc_info=error if shown else None)


def load_plugins(registry: Registry) -> Plugins:
    """Import the plugins that the registry switches on, and nothing of the others.

    Raises `UnknownPluginError` for one that is not installed and `RegistryError` for wrong settings. One that
    can't be imported is logged and remembered in `failed`; the others work.
    """
    plugins = Plugins(registry)
    for name in plugins.enabled:
        plugins.load(name)
    return plugins


def _each(answers: tuple[tuple[str, Any], ...]) -> tuple[tuple[str, Any], ...]:
    return tuple((name, value) for name, answer in answers for value in answer)
