"""Why foreign code failed, in a line: what it raised, and where in its own code that was."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from typing import Final

from dotpeen.plugins.demands import RubbishError
from dotpeen.plugins.fitting import MisfitError
from dotpeen.plugins.patience import LateError, QuitError

TRACEBACK_HINT: Final = "DOTPEEN_DEBUG=1 shows the traceback"
_LONGEST: Final = 500


def reason(error: BaseException, module: str | None) -> str:
    """Return what was raised, on one line, with file and line in the package that `module` is of."""
    if not is_raised(error):
        return str(error)
    place = _place(error, module)
    if isinstance(error, QuitError):
        text = str(error)
    else:
        try:
            text = " ".join(str(error).split())
        except Exception:
            text = "its message can't be read"
        text = f"{type(error).__name__}: {text if len(text) <= _LONGEST else text[: _LONGEST - 3] + '...'}"
    return f"{text} ({place})" if place else text


def is_raised(error: BaseException) -> bool:
    """Whether it has a traceback that helps: not what is found wrong with a plugin from outside."""
    return not isinstance(error, RubbishError | LateError | MisfitError)


def debugging() -> bool:
    """Whether somebody asked for tracebacks."""
    return bool(os.environ.get("DOTPEEN_DEBUG"))


def _place(error: BaseException, module: str | None) -> str | None:
    """The innermost line of the package's own code, as `dotpeen_crane/plugin.py:12`."""
    package = (module or "").partition(".")[0]
    if not package:
        return None
    raised = error.__cause__ if isinstance(error, QuitError) and error.__cause__ else error
    found = None
    for frame, line in traceback.walk_tb(raised.__traceback__):
        name = str(frame.f_globals.get("__name__", ""))
        if name.partition(".")[0] == package:
            file = Path(frame.f_code.co_filename)
            # A package's own module is a folder deeper than its name says.
            depth = name.count(".") + (2 if file.name == "__init__.py" else 1)
            found = f"{'/'.join(file.parts[-depth:])}:{line}"
    return found
