"""The boxes for denoising steps and guidance, where a model takes others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import gradio as gr

from lineas_core.models.denoising import Denoising

__all__ = ["StepsBoxes", "settled", "step_boxes", "steps_boxes"]


class StepsBoxes(NamedTuple):
    """The boxes; an empty one stands for the default of the model, and for all steps.

    Attributes:
        steps: number of denoising steps.
        guidance: guidance scale.
        steer_steps: the steps at which maps act, such as `0-1`, or `2` for one step.
    """

    steps: gr.Number
    guidance: gr.Number
    steer_steps: gr.Textbox


def steps_boxes() -> StepsBoxes:
    """Declare the boxes inside the current row; they are hidden until a model needs them."""
    return StepsBoxes(
        gr.Number(None, label="Steps", precision=0, min_width=90, visible=False),
        gr.Number(None, label="Guidance", step=0.5, min_width=90, visible=False),
        gr.Textbox(
            None,
            label="Steered steps",
            placeholder="all, or 0-1",
            max_lines=1,
            max_length=20,
            min_width=120,
            visible=False,
        ),
    )


def settled(boxes: StepsBoxes) -> list[Callable]:
    """Return the events after which a box can have another value.

    A range is judged when Enter is pressed or its box is left. It changes with every key, and a
    text such as `0-` has only been begun. Where a range is restored, its picture is asked for.
    """
    steer_steps = boxes.steer_steps
    return [boxes.steps.change, boxes.guidance.change, steer_steps.submit, steer_steps.blur]


def step_boxes(denoising: Denoising | None, *, kept: bool) -> tuple[Any, Any, Any]:
    """Return updates that show the boxes if a model takes other values.

    A model that paints in several fixed steps takes another range of steered steps alone.

    Args:
        denoising: how the model denoises by default; None if it is not known yet.
        kept: whether the values stay.
    """
    chosen = {} if kept else {"value": None}
    shown = denoising is not None and not denoising.timesteps
    usual = denoising or Denoising(1, None)
    steps, scale = usual.num_inference_steps, usual.guidance_scale
    several = shown or len(usual.timesteps or ()) > 1
    return (
        gr.update(visible=shown, placeholder=f"{steps}", **chosen),
        gr.update(visible=shown and scale is not None, placeholder=f"{scale or 0:g}", **chosen),
        gr.update(visible=several, **chosen),
    )
