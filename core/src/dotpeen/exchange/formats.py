"""Which plugin exports or imports what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dotpeen.contributions import Exporter, Importer
from dotpeen.errors import ConfigurationError, InvalidQueryError
from dotpeen.plugins import Plugins

_NONE = "plugins contribute formats: switch one on in the registry, such as [plugins.qif]"


def exporters_of(plugins: Plugins, entity: str) -> dict[str, tuple[str, Exporter]]:
    """Return the formats that an entity can be exported in, each with the plugin's name and the exporter."""
    return {
        exporter.format: (plugin, exporter)
        for plugin, exporter in plugins.exporters()
        if entity in exporter.entities
    }


def choose_exporter(plugins: Plugins, entity: str, chosen: str | None) -> tuple[str, Exporter]:
    """Return the plugin and the exporter of a format; of the only one, where none is named.

    Raises `ConfigurationError`.
    """
    found = exporters_of(plugins, entity)
    if chosen is not None and chosen in found:
        return found[chosen]
    known = ", ".join(sorted(found))
    if chosen is not None:
        others = [exporter.entities for _, exporter in plugins.exporters() if exporter.format == chosen]
        hints = [f"{chosen} exports {', '.join(entities)}" for entities in others if entities]
        hints = hints or list(filter(None, [_failures(plugins)]))
        hints += [f"formats of {entity}: {known}"] if known else []
        raise ConfigurationError(
            f"{entity} can't be exported as {chosen!r}",
            hint="; ".join(hints) or _NONE,
        )
    if not found:
        raise ConfigurationError(
            f"there is no format to export {entity} in", hint=_failures(plugins) or _NONE
        )
    if len(found) > 1:
        raise ConfigurationError(f"{entity} can be exported in several formats", hint=f"--format: {known}")
    return next(iter(found.values()))


def choose_importer(plugins: Plugins, files: Sequence[Path], chosen: str | None) -> tuple[str, Importer]:
    """Return the plugin and the importer of a format; without a name the one that takes files of these extensions.

    Raises `ConfigurationError`.
    """
    every = {importer.format: (plugin, importer) for plugin, importer in plugins.importers()}
    known = ", ".join(sorted(every))
    if not every:
        raise ConfigurationError("there is no format to import from", hint=_failures(plugins) or _NONE)
    if chosen is not None:
        if chosen not in every:
            raise ConfigurationError(
                f"there is no format {chosen!r} to import from",
                hint=_failures(plugins) or f"formats: {known}",
            )
        return every[chosen]
    fitting = [one for one in every.values() if all(_has(file, one[1].extensions) for file in files)]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(dict.fromkeys(file.suffix.lower() or file.name for file in files))
    if fitting:
        several = ", ".join(sorted(importer.format for _, importer in fitting))
        raise ConfigurationError(f"several formats have files like {names}", hint=f"--format: {several}")
    raise ConfigurationError(f"no one format has files like {names}", hint=f"--format: {known}")


def check_options(known: Mapping[str, str], given: Mapping[str, str]) -> None:
    """Raise `InvalidQueryError` for an option that the format hasn't."""
    for name in given:
        if name not in known:
            there = f"there are {', '.join(known)}" if known else "it has none"
            raise InvalidQueryError(name, f"the format has no option {name!r}; {there}")


def _failures(plugins: Plugins) -> str:
    """What of the plugins failed: the format that somebody misses may be theirs."""
    return "; ".join(str(error) for error in plugins.failed.values())


def _has(file: Path, extensions: Sequence[str]) -> bool:
    return file.name.lower().endswith(tuple(extensions))
