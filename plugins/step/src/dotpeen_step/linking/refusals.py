"""What partners are told when something is wrong with what they sent: nothing of other records or of the site."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import HTTPException

from dotpeen.errors import ConfigurationError, DotpeenError
from dotpeen_step.linking.matching import UnclearProductError, UnclearRevisionError
from dotpeen_step.linking.parts import ReferenceNotReadyError, RevisionTakenError
from dotpeen_step.part21.errors import Part21Error

_log = logging.getLogger(__name__)


@contextmanager
def told() -> Iterator[None]:
    """Tell a partner what is wrong with what it sent, and nothing of other records or of the site."""
    try:
        yield
    except RevisionTakenError:
        raise HTTPException(409, "this UUID is another record's already") from None
    except (UnclearProductError, UnclearRevisionError) as error:
        hint = (error.hint or "").replace("--product", "product").replace("--uuid", "stepUuid")
        raise HTTPException(422, f"{error.message}{f' ({hint})' if hint else ''}") from None
    except ReferenceNotReadyError:
        raise HTTPException(503, "parts have no place for links yet", headers={"retry-after": "60"}) from None
    except ConfigurationError as error:
        _log.error("plugin step: links can't be made or read: %s (%s)", error.message, error.hint)
        raise HTTPException(
            503, "links can't be made or read right now; why was logged", headers={"retry-after": "60"}
        ) from None
    except DotpeenError as error:
        if type(error) is DotpeenError:
            raise HTTPException(409, error.message) from None
        raise


def broken(error: Part21Error) -> str:
    # The name that the file has here is nobody's business.
    line = "" if error.line is None else f"line {error.line}: "
    byte = "" if error.byte is None else f" (byte {error.byte})"
    return f"this is no STEP file that can be read: {line}{error.reason}{byte}"
