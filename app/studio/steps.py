"""The denoising steps and the guidance of a picture, where they are not the default."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from lineas_core import UserError
from lineas_core.models import TextToImageModel, kind_of, title_of
from lineas_core.models.catalog import MODELS
from lineas_core.models.denoising import Denoising
from lineas_core.pictures import Recipe
from lineas_core.prompts.errors import plural

from .checks import number, whole

__all__ = [
    "Steps",
    "checked_places",
    "checked_steps",
    "learning_steps",
    "range_text",
    "steps_of",
]

_MOST_STEPS, _MOST_GUIDANCE = 100, 100
_RANGE = re.compile(r"(\d{1,3})(?:\s*[-–]\s*(\d{1,3}))?")


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
        whole_range = 0, (self.number or default.num_inference_steps) - 1
        return Steps(number, guidance, None if self.steered == whole_range else self.steered)

    def set_in(self, model: TextToImageModel) -> TextToImageModel:
        """Return a model that paints with these settings.

        Raises:
            UserError: the model does not have a setting, or not this value of it.
        """
        steps = self.number or model.denoising.num_inference_steps
        if self.steered and self.steered[1] >= steps:
            what = f"the steered steps are {range_text(self.steered)}, but the picture is painted "
            what += f"in {plural(steps, 'step')}"
            remedy = f"Give steps from 0 to {steps - 1}." if steps > 1 else "Leave them out."
            raise UserError("E_SETTING", what, remedy=remedy)
        return model.with_denoising(
            num_inference_steps=self.number, guidance_scale=self.guidance, steer_at=self.steered
        )


def checked_steps(
    count: object, guidance: object, steered: Sequence[object] | str | None = None
) -> Steps:
    """Return the steps and the guidance of a request; None stands for the default.

    Args:
        count: number of denoising steps.
        guidance: guidance scale.
        steered: numbers of the first and the last step at which maps act, also as a text, such
            as `0-1`, or `2` for one step; an empty text stands for all steps.

    Raises:
        UserError: one is not a number, or out of bounds.
    """
    given = _range_in(steered) if isinstance(steered, str) else steered
    acting = None if given is None else tuple(_places(given))
    if acting is not None and (len(acting) != 2 or acting[0] > acting[1]):
        what = f"the steered steps are {steered!r:.60}"
        raise UserError("E_SETTING", what, remedy="Give the first and the last step, from 0.")
    return Steps(
        None if count is None else whole("number of steps", count, 1, _MOST_STEPS),
        None if guidance is None else number("guidance", guidance, 0, _MOST_GUIDANCE),
        acting,
    )


def _range_in(text: str) -> tuple[int, int] | None:
    """Return the first and the last step that a text names; None if it is empty.

    Raises:
        UserError: it is neither a number nor a range.
    """
    if not text.strip():
        return None
    if not (found := _RANGE.fullmatch(text.strip())):
        what = f"the steered steps are {text!r:.60}"
        remedy = "Give one step or a range such as 0-1, where 0 is the first step."
        raise UserError("E_SETTING", what, remedy=remedy)
    first, last = found.groups()
    return int(first), int(last or first)


def range_text(steered: Sequence[int] | None) -> str:
    """Return the first and the last steered step as a text that `checked_steps` takes."""
    return "-".join(map(str, dict.fromkeys(steered or ())))


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
        UserError: they are invalid.
    """
    facts = recipe.num_inference_steps, recipe.guidance_scale, recipe.steer_at
    return checked_steps(*facts).beyond(default)


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
