"""The job that lets another method learn from the prompts of a map."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lineas_core import PromptSet
from lineas_core.methods import METHODS

from ..jobs.job import JobRequest
from ..studio.maps import MapEntry
from ..studio.user_maps import LONGEST_TITLE

__all__ = ["request_for"]


def request_for(
    entry: MapEntry, prompts: PromptSet, found: Sequence[MapEntry], method: str
) -> JobRequest:
    """Request that another method learns from the prompts of a map, at the same modules."""
    title = entry.title.removesuffix(f" · {entry.method_label}")
    label = METHODS[method].label
    return JobRequest(
        title=f"{title[: LONGEST_TITLE - len(label) - 3]} · {label}",
        model=entry.model,
        prompts=prompts,
        config=METHODS[method].config,
        preset=_modules(found),
        method=method,
    )


def _modules(found: Sequence[MapEntry]) -> str | None:
    """Return a pattern for the modules that these maps steer.

    The result is None, the default of the method, if every map steers a single module: CAA, for
    one, selects its own.
    """
    names = max((entry.metadata.get("modules", ()) for entry in found), key=len)
    return "|".join(map(re.escape, names)) if len(names) > 1 else None
