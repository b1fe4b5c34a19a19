"""Several maps that steer one picture together, with their order and strengths.

The main slider sets the strength of the first map; the others keep theirs.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from lineas_core import UserError
from lineas_core.pictures import label_of

from .checks import number
from .maps import MapEntry
from .steps import Steps

__all__ = ["MOST_FURTHER", "Mix", "checked_pairs"]

MOST_FURTHER = 2
"""Maximal number of maps besides the first one."""


@dataclass(frozen=True)
class Mix:
    """The maps that steer a picture.

    Attributes:
        entries: the maps, in the order in which they are applied.
        fixed: strength λ of each map but the first, -1 to 1.
        steps: number of denoising steps, guidance and steered steps.
    """

    entries: tuple[MapEntry, ...]
    fixed: tuple[float, ...] = ()
    steps: Steps = Steps()

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the maps."""
        return tuple(entry.id for entry in self.entries)

    @property
    def values(self) -> tuple[str | None, ...]:
        """The checksum of each map's values, which change while it is being learnt."""
        return tuple(entry.metadata.get("sha256") for entry in self.entries)

    @property
    def key(self) -> tuple[Hashable, ...]:
        """Everything that a strip of pictures depends on besides the prompt and the seed."""
        return self.ids, self.values, self.fixed, self.steps

    def at(self, strength: object) -> tuple[float, ...]:
        """Return the strength of every map, with the first one at `strength`.

        Raises:
            UserError: `strength` is not a number from -1 to 1.
        """
        return (number("λ", strength, -1, 1), *self.fixed)

    def label(self, strength: float) -> str:
        """Return the label of a strength of the first map; further maps are applied at 0, too."""
        return label_of(strength) if strength or not self.fixed else "0"

    @property
    def original(self) -> tuple[float, ...]:
        """Strengths of the unsteered picture: 0 for every map."""
        return (0.0,) * len(self.entries)


def checked_pairs(further: object) -> list[tuple[object, float]]:
    """Check a request's pairs (id, λ) of further maps, and return them as a list.

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
