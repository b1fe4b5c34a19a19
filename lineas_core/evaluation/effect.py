"""What steering did to one picture, measured against the picture that it should have given.

S    the steered picture
A    the picture of the same prompt and seed, untouched
G    the goal: the untouched picture of the same scene and seed without the concept or, where
     steering brings more of a concept that is not in the prompt, with it
C    for an object, the same with another object in its place

The goal can be painted wherever the model keeps the layout (`TextToImageModel.keeps_layout`) and
the other prompt is known (`lineas_core.evaluation.counterfactual`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL.Image import Image

from lineas_core.errors import UserError
from lineas_core.evaluation.counterfactual import Concept
from lineas_core.metrics.left_in_place import cast, left_in_place, moved, way, way_in_features

__all__ = ["Effect", "Goal", "effects", "goal_of"]


@dataclass(frozen=True)
class Goal:
    """The prompts whose untouched pictures tell what steering should give.

    Attributes:
        prompt: prompt of the goal.
        other: prompt with another object in the place of the object; None for a style.
        removes: True if the goal is the scene without the concept, False if it is with it.
    """

    prompt: str
    other: str | None
    removes: bool

    @property
    def prompts(self) -> tuple[str, ...]:
        """The prompts to paint, in the order in which `effects` takes the pictures."""
        return (self.prompt, self.other) if self.other else (self.prompt,)


@dataclass(frozen=True)
class Effect:
    """What steering did to one picture.

    Attributes:
        changed: how much the whole picture changed: mean difference to A, 0 to 1.
        way: share of the way from A to the goal, in the place of an object or over the whole
            picture for a style: 0 not moved, 1 arrived, below 0 moved away; None without a goal.
        rest: how much the picture changed outside of the object's place: mean difference to A,
            0 to 1; None without a goal, and for a style.
    """

    changed: float
    way: float | None = None
    rest: float | None = None


def goal_of(concept: Concept, prompt: str, *, more: bool) -> Goal | None:
    """Return what steering should give.

    Args:
        concept: the concept of the map.
        prompt: prompt of the picture.
        more: whether steering brings more of the concept, not less.

    Returns:
        The goal. None if there is none: a concept that is not in the prompt cannot be removed,
        and there is no telling how more of one that is there should look. None also if the prompt
        is not understood.
    """
    inside = concept.mentioned(prompt)
    if inside == more:
        return None
    if inside:
        without, other = concept.removed(prompt), concept.replaced(prompt)
        thing = concept.is_thing
        return Goal(without, other if thing else None, removes=True) if without else None
    goal = concept.added(prompt)
    return Goal(goal, concept.replaced(goal) if concept.is_thing else None, removes=False)


def effects(
    start: Image, steered: Sequence[Image], goal: Goal | None, goal_pictures: Sequence[Image] = ()
) -> list[Effect]:
    """Measure what steering did to pictures of one prompt and seed.

    Args:
        start: the picture A.
        steered: n pictures S.
        goal: what steering should give; None if that is not known.
        goal_pictures: untouched pictures of `goal.prompts` from the same seed.

    Returns:
        n effects. Without a figure for the way also where A and the goal do not differ, because
        the model left out the object.
    """
    n = len(steered)
    before = [start] * n
    changed = [value / 255 for value in moved(before, steered)]
    if goal is None:
        return [Effect(value) for value in changed]
    end = [goal_pictures[0]] * n
    if goal.other is None:
        ways = _ways_of_a_style(start, goal_pictures[0], steered)
        return [Effect(*row) for row in zip(changed, map(_known, ways), strict=True)]
    # In both pictures of the place another object can stand; the one with this object is compared.
    with_it, without = (before, end) if goal.removes else (end, before)
    shares = left_in_place(with_it, without, steered, other=[goal_pictures[1]] * n)
    ways = [1 - share if goal.removes else share for share in shares]
    rest = [value / 255 for value in cast(before, end, steered)]
    return [
        Effect(change, _known(share), None if math.isnan(share) else other)
        for change, share, other in zip(changed, ways, rest, strict=True)
    ]


def _ways_of_a_style(start: Image, end: Image, steered: Sequence[Image]) -> list[float]:
    try:
        return way_in_features([start], [end], steered)
    except UserError:  # the feature network is not installed
        n = len(steered)
        return way([start] * n, [end] * n, steered)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
