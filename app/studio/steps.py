"""The number of denoising steps and the guidance of a picture, where they are not the default."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from lineas_core import UserError
from lineas_core.models import kind_of, title_of
from lineas_core.models.catalog import MODELS
from lineas_core.models.denoising import Denoising
from lineas_core.pictures import Recipe

from .checks import number, whole

__all__ = ["Steps", "checked_places", "checked_steps", "learning_steps", "steps_of"]

_MOST_STEPS, _MOST_GUIDANCE = 100, 100


class Steps(NamedTuple):
    """What differs from the default of a model; None takes the default.

    Attributes:
        number: of denoising steps, 1 to 100.
        guidance: guidance scale, 0 to 100.
        steered: numbers of the first and the last step at which maps act, from 0.
    """

    number: int | None = None
    guidance: float | None = None
    steered: tuple[int, int] | None = None

    def beyond(self, default: Denoising | None) -> Steps:
        """Leave out what is the default of a model; None if that is not known."""
        if default is None:
            return self
        number = None if self.number == default.num_inference_steps else self.number
        guidance = None if self.guidance == default.guidance_scale else self.guidance
        return self._replace(number=number, guidance=guidance)


def checked_steps(
    count: object, guidance: object, steered: Sequence[object] | None = None
) -> Steps:
    """Return the steps and the guidance of a request; None stands for the default.

    Args:
        count: number of denoising steps.
        guidance: guidance scale.
        steered: numbers of the first and the last step at which maps act.

    Raises:
        UserError: one is not a number, or out of bounds.
    """
    acting = None if steered is None else tuple(_places(steered))
    if acting is not None and (len(acting) != 2 or acting[0] > acting[1]):
        what = f"the steps at which maps act are {steered!r:.60}"
        raise UserError("E_SETTING", what, remedy="Give two: the first and the last, from 0.")
    return Steps(
        None if count is None else whole("number of steps", count, 1, _MOST_STEPS),
        None if guidance is None else number("guidance", guidance, 0, _MOST_GUIDANCE),
        acting,
    )


def _places(steps: object) -> list[int]:
    """Return the numbers of denoising steps in a list of a request.

    Raises:
        UserError: it is no list of such numbers.
    """
    if not isinstance(steps, list | tuple):
        what, remedy = f"the denoising steps are {steps!r:.60}", "Give a list, such as [0, 2]."
        raise UserError("E_SETTING", what, remedy=remedy)
    return [whole("step", each, 0, _MOST_STEPS - 1) for each in steps]


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
        remedy = "Paint it with `lineas generate --steer-steps`, or by `steer_steps` of the "
        remedy += "endpoint `make_pictures`; the page steers all steps."
        raise UserError("E_RECIPE", what, remedy=remedy)
    return checked_steps(recipe.num_inference_steps, recipe.guidance_scale).beyond(default)


def checked_places(text: str | None) -> list[int]:
    """Return the numbers of denoising steps in a text, such as `0,2`; none if it is empty.

    Raises:
        UserError: the text is something else.
    """
    parts = [part.strip() for part in (text or "").split(",")] if (text or "").strip() else []
    if not all(part.isdecimal() and len(part) < 4 for part in parts):
        what = f"the denoising steps are {text!r:.60}"
        raise UserError("E_SETTING", what, remedy="Give whole numbers from 0, such as 0,2.")
    return [int(part) for part in parts]


def learning_steps(model: str, places: object, steps: Steps = Steps()) -> dict[str, Any]:  # noqa: B008 - frozen
    """Return the settings of `TextToImageModel.with_denoising` for a job, those that are given.

    Args:
        model: name of the model.
        places: numbers of the denoising steps at which to learn, from 0; empty for the first.
        steps: number of denoising steps and guidance.

    Raises:
        UserError: something is given for a model that writes texts.
    """
    settings = {"num_inference_steps": steps.number, "guidance_scale": steps.guidance}
    given: dict[str, Any] = {k: v for k, v in settings.items() if v is not None}
    given |= {"learn_at": _places(places)} if places else {}
    if given and kind_of(model) != "text-to-image":
        what = f"{title_of(model)} writes texts, which take no denoising steps"
        raise UserError("E_SETTING", what, remedy="Leave them out.")
    entry = MODELS.get(model)
    fixed = len((entry.painting.timesteps if entry and entry.painting else None) or ())
    wanted = [*given.get("learn_at", ()), (steps.number or fixed) - 1]
    if fixed and (max(wanted) >= fixed or steps.number not in (None, fixed)):
        what = f"{title_of(model)} paints in {fixed} step{'s'[: fixed - 1]}"
        raise UserError("E_SETTING", what, remedy="Leave out steps and places.")
    return given
