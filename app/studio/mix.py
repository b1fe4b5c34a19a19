"""Several concepts at once: which maps act on a picture, in what order and how strongly.

The first one is moved by the main slider. The others keep their λ while a strip is painted.
"""

from __future__ import annotations

from dataclasses import dataclass

from lineas_core import UserError

from .checks import number

__all__ = ["MOST_FURTHER", "Mix"]

MOST_FURTHER = 2
"""Concepts beside the first one."""


@dataclass(frozen=True)
class Mix:
    """What acts on a picture.

    Attributes:
        maps: ids, in the order in which they act.
        fixed: λ of all but the first.
    """

    maps: tuple[str, ...]
    fixed: tuple[float, ...] = ()

    @classmethod
    def of(cls, map_id: str, further: object = ()) -> Mix:
        """The mix of a first map and pairs (id, λ) of those that act after it.

        Raises:
            UserError: there are too many, or one is no pair of an id and a number from -1 to 1.
        """
        pairs = further if isinstance(further, list | tuple) else [further]
        if len(pairs) > MOST_FURTHER or not all(map(_is_pair, pairs)):
            what = f"the further maps are {further!r}"
            remedy = f"Give at most {MOST_FURTHER} pairs of an id and a strength."
            raise UserError("E_MAP", what, remedy=remedy)
        strengths = tuple(number("λ", lam, -1, 1) for _, lam in pairs)
        return cls((map_id, *(str(each) for each, _ in pairs)), strengths)

    def at(self, strength: object) -> tuple[float, ...]:
        """λ of every map, the first one at this strength.

        Raises:
            UserError: it is no number from -1 to 1.
        """
        return (number("λ", strength, -1, 1), *self.fixed)

    @property
    def original(self) -> tuple[float, ...]:
        """λ of every map for the picture that none of them moves."""
        return (0.0,) * len(self.maps)


def _is_pair(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2
