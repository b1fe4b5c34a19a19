"""Maps whose values no learnt map has, such as 10,000 everywhere: the user confirms them first.

The confirmation is a file in the folder of the map with the checksum of its values, so that it
does not hold for other values, and is not exported.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from lineas_core import SteeringMaps, UserError, load_maps
from lineas_core.steering.plausible import describe_implausible
from lineas_core.storage.disk import read_regular, saving, write_atomically
from lineas_core.storage.fits import NO_FINGERPRINT
from lineas_core.storage.maps import WEIGHTS

from .maps import MapEntry, has_damaged_prompts, version_of

__all__ = [
    "check_usable",
    "confirm",
    "is_confirmed",
    "load_usable",
    "suspicion",
    "usable",
    "warnings_about",
]

_CONFIRMED = "confirmed"
_NAMED = 3  # maps that a sentence names


def check_usable(entry: MapEntry) -> None:
    """Check that a map may steer.

    Raises:
        UserError: its values are damaged; they are implausible and not confirmed; or its prompts
            are damaged, so that nobody knows which strengths make texts offensive.
    """
    if entry.kind == "language" and has_damaged_prompts(entry):
        what = f"the prompts of the map “{entry.title}” are damaged"
        raise UserError("E_PROMPTS", what, remedy="Import the map again, or learn it again.")
    if (reason := suspicion(entry)) and not is_confirmed(entry):
        raise UserError(
            "E_VALUES",
            f"the map “{entry.title}” has to be confirmed first: {reason}",
            remedy="Open it in the Library and press “Use it anyway”, or delete it.",
        )


def load_usable(entry: MapEntry) -> SteeringMaps:
    """Load a map that steers; raises what `check_usable` and `load_maps` raise."""
    check_usable(entry)
    return load_maps(entry.folder)


def usable(entries: Iterable[MapEntry]) -> tuple[list[MapEntry], str]:
    """Divide maps into those that may steer, and a sentence that names the others.

    Returns:
        The first ones, and the sentence; it is empty if there are no others.

    Raises:
        UserError: none of them may steer; the reason is that of the last one.
    """
    found, others, reason = list[MapEntry](), list[str](), None
    for entry in entries:
        try:
            check_usable(entry)
            found.append(entry)
        except UserError as error:
            others.append(f"“{entry.title}”")
            reason = error
    if reason and not found:
        raise reason
    more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    named = f"{', '.join(others[:_NAMED])}{more}"
    return found, f" Left out, see the Library: {named}." if others else ""


def suspicion(entry: MapEntry) -> str:
    """Describe the values of a map if they are implausible; empty if they are not.

    Raises:
        UserError: the values are damaged.
    """
    try:
        return _suspicion(entry.folder, version_of(entry.folder / WEIGHTS))
    except OSError:  # nothing to describe; steering says that the values are missing
        return ""


def is_confirmed(entry: MapEntry) -> bool:
    """Return whether the user has confirmed these values of a map."""
    try:
        found = read_regular(entry.folder / _CONFIRMED)
        return found.decode() == entry.metadata.get("sha256")
    except (OSError, UnicodeDecodeError):
        return False


def confirm(entry: MapEntry) -> None:
    """Let a map with implausible values steer.

    Raises:
        UserError: the confirmation cannot be saved.
    """
    with saving("the confirmation was"):
        write_atomically(entry.folder / _CONFIRMED, str(entry.metadata["sha256"]).encode())


def warnings_about(entry: MapEntry) -> list[str]:
    """Return what the user should know before using a map, in sentences.

    Raises:
        UserError: the values are missing or damaged.
    """
    found = [f"Implausible: {reason}."] if (reason := suspicion(entry)) else []
    if has_damaged_prompts(entry):
        found.append("Its prompts are damaged, or those of another map.")
    if entry.metadata.get("fingerprint") is None:
        found.append(f"It has no fingerprint: {NO_FINGERPRINT}.")
    return found


@lru_cache(maxsize=1 << 12)
def _suspicion(
    folder: Path,
    version: tuple[int, ...],  # noqa: ARG001 - part of the key, so that a changed file is read
) -> str:
    return describe_implausible(load_maps(folder))
