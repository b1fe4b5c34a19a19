"""The boxes for the number of denoising steps and the guidance, where a model takes others."""

from __future__ import annotations

from typing import Any, NamedTuple

import gradio as gr

from lineas_core.models.denoising import Denoising

__all__ = ["StepsBoxes", "step_boxes", "steps_boxes"]


class StepsBoxes(NamedTuple):
    """The two boxes; an empty one stands for the default of the model."""

    steps: gr.Number
    guidance: gr.Number


def steps_boxes() -> StepsBoxes:
    """Declare the boxes inside the current row; they are hidden until a model needs them."""
    return StepsBoxes(
        gr.Number(None, label="Steps", precision=0, min_width=90, visible=False),
        gr.Number(None, label="Guidance", step=0.5, min_width=90, visible=False),
    )


def step_boxes(denoising: Denoising | None, *, kept: bool) -> tuple[Any, Any]:
    """Return updates that show the boxes if a model takes other values.

    Args:
        denoising: how the model denoises by default; None if it is not known yet.
        kept: whether the values stay.
    """
    chosen = {} if kept else {"value": None}
    shown = denoising is not None and not denoising.timesteps
    usual = denoising or Denoising(1, None)
    steps, scale = usual.num_inference_steps, usual.guidance_scale
    return (
        gr.update(visible=shown, placeholder=f"{steps}", **chosen),
        gr.update(visible=shown and scale is not None, placeholder=f"{scale or 0:g}", **chosen),
    )
