"""The components that determine a picture, as the panels below the pictures need them."""

from __future__ import annotations

from typing import NamedTuple

import gradio as gr

__all__ = ["Controls"]


class Controls(NamedTuple):
    """The components that determine a picture.

    Attributes:
        concept: menu of maps.
        strength: slider for the strength λ of the chosen map.
        prompt: the prompt.
        seed: seed of the starting noise.
        kept: map and prompt that were restored together, so that the prompt stays.
    """

    concept: gr.Dropdown
    strength: gr.Slider
    prompt: gr.Textbox
    seed: gr.Number
    kept: gr.State
