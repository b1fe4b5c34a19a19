"""The number of denoising steps and the guidance of a picture, where they are not the default."""

from __future__ import annotations

from typing import NamedTuple

from lineas_core import UserError
from lineas_core.models.denoising import Denoising
from lineas_core.pictures import Recipe

from .checks import number, whole

__all__ = ["Steps", "checked_steps", "steps_of"]

_MOST_STEPS, _MOST_GUIDANCE = 100, 100


class Steps(NamedTuple):
    """What differs from the default of a model; None takes the default.

    Attributes:
        number: of denoising steps, 1 to 100.
        guidance: guidance scale, 0 to 100.
    """

    number: int | None = None
    guidance: float | None = None

    def beyond(self, default: Denoising | None) -> Steps:
        """Leave out what is the default of a model; None if that is not known."""
        if default is None:
            return self
        number = None if self.number == default.num_inference_steps else self.number
        return Steps(number, None if self.guidance == default.guidance_scale else self.guidance)


def checked_steps(count: object, guidance: object) -> Steps:
    """Return the number of steps and the guidance of a request; None stands for the default.

    Raises:
        UserError: one is not a number, or out of bounds.
    """
    return Steps(
        None if count is None else whole("number of steps", count, 1, _MOST_STEPS),
        None if guidance is None else number("guidance", guidance, 0, _MOST_GUIDANCE),
    )


def steps_of(recipe: Recipe, default: Denoising | None) -> Steps:
    """Return steps and guidance of a recipe, where they are not the default of the model.

    Args:
        recipe: of a picture, not checked yet.
        default: of the model; None if it is not known.

    Raises:
        UserError: they are invalid, or the maps act at some of the steps only.
    """
    if recipe.steer_at:
        what = "the maps of this picture act only at some of its steps"
        remedy = "Paint it with `lineas generate --steer-steps`; the page steers all steps."
        raise UserError("E_RECIPE", what, remedy=remedy)
    return checked_steps(recipe.num_inference_steps, recipe.guidance_scale).beyond(default)
