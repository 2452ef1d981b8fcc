"""Whether a plugin's hooks are hooks that there are, with parameters that they have."""

from __future__ import annotations

import difflib
import inspect

import pluggy

_GIVEN = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class MisfitError(Exception):
    """A plugin has a hook that nobody calls, or one with a parameter that nobody gives."""


def check_fit(manager: pluggy.PluginManager, plugin: object) -> None:
    """Raise `MisfitError`, which names the hook and what may have been meant."""
    for name in dir(plugin):
        marked = manager.parse_hookimpl_opts(plugin, name)
        if marked is None:
            continue
        hook = marked.get("specname") or name
        specification = getattr(manager.hook, hook, None)
        if specification is None or specification.spec is None:
            if not marked.get("optionalhook"):
                raise MisfitError(f"there is no hook {hook}{_meant(hook, vars(manager.hook))}")
            continue
        known = specification.spec.argnames
        for parameter in inspect.signature(getattr(plugin, name)).parameters.values():
            given = parameter.kind in _GIVEN and parameter.default is parameter.empty
            if given and parameter.name not in known:
                there = f"it has {', '.join(known)}"
                raise MisfitError(
                    f"{hook} has no parameter {parameter.name}{_meant(parameter.name, known) or f'; {there}'}"
                )


def _meant(name: str, known: object) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)  # type: ignore[call-overload]
    return f": did you mean {close[0]}?" if close else ""
