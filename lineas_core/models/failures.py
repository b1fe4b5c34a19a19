"""What an error comes from that a library raises while it loads a model."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable

import torch
from huggingface_hub.errors import StrictDataclassError

from lineas_core.errors import last_line
from lineas_core.runtime.loading import LOADING

__all__ = ["MALFORMED", "has_wrong_value", "own_failure"]

MALFORMED = (AttributeError, TypeError, ArithmeticError, AssertionError, StrictDataclassError)
"""What the libraries raise for values of a configuration that they do not expect.

Except for the last one, they raise the same for faults of their own.
"""
_FAILURES = (*MALFORMED, OSError, ValueError, LookupError, RuntimeError, ImportError)


def own_failure(error: BaseException) -> tuple[str, str] | None:
    """Describe an error in the code of a library.

    Args:
        error: raised while a model was loaded.

    Returns:
        The reason, with library and message, and the remedy; None if this project raised it.
    """
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    library = str(frame.f_globals["__name__"]).partition(".")[0]
    if library == __name__.partition(".")[0]:
        return None
    version = getattr(sys.modules.get(library), "__version__", "")
    reason = f"{library} {version}".strip() + f" failed with {type(error).__name__}"
    message = last_line(error)
    reason += f": {message}" if message else ""
    return reason, f"Install another version of {library}, or choose another model."


def has_wrong_value(
    error: BaseException, own: Callable[[], object], default: Callable[[], object]
) -> bool:
    """Return whether an error comes from the values of a configuration.

    Then no network can be built from it, but one from the defaults of its class.

    Args:
        error: one of `MALFORMED`.
        own: builds a network from the configuration; called with torch's device `meta`.
        default: builds one from the defaults.
    """
    return isinstance(error, StrictDataclassError) or (_succeeds(default) and not _succeeds(own))


def _succeeds(build: Callable[[], object]) -> bool:
    try:
        with LOADING, torch.device("meta"):
            build()
    except _FAILURES:
        return False
    return True
