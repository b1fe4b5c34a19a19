"""Several concepts at once: which maps act on a picture, in what order and how strongly.

The main slider moves the first map. The others keep their λ while a strip is painted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lineas_core import UserError

from .checks import number
from .maps import MapEntry

__all__ = ["MOST_FURTHER", "Mix", "checked_pairs"]

MOST_FURTHER = 2
"""Concepts beside the first one."""


@dataclass(frozen=True)
class Mix:
    """The maps that act on a picture.

    Attributes:
        entries: the maps, in the order in which they act.
        fixed: λ of all but the first, -1 to 1.
    """

    entries: tuple[MapEntry, ...]
    fixed: tuple[float, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the maps."""
        return tuple(entry.id for entry in self.entries)

    def at(self, strength: object) -> tuple[float, ...]:
        """λ of every map, with the first one at `strength`.

        Raises:
            UserError: `strength` is not a number from -1 to 1.
        """
        return (number("λ", strength, -1, 1), *self.fixed)

    @property
    def original(self) -> tuple[float, ...]:
        """λ of every map for the unsteered picture."""
        return (0.0,) * len(self.entries)


def checked_pairs(further: object) -> list[tuple[object, float]]:
    """Check what a request gives as the pairs (id, λ) of further maps.

    Raises:
        UserError: there are too many, or one is not a pair of an id and a number from -1 to 1.
    """
    pairs: list[Any] = [*further] if isinstance(further, list | tuple) else [further]
    if len(pairs) > MOST_FURTHER or not all(map(_is_pair, pairs)):
        what = f"the further maps are {further!r}"
        remedy = f"Give at most {MOST_FURTHER} pairs of an id and a strength."
        raise UserError("E_MAP", what, remedy=remedy)
    return [(map_id, number("λ", strength, -1, 1)) for map_id, strength in pairs]


def _is_pair(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2
