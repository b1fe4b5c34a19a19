"""The settings of generated texts: seed, length and temperature."""

from __future__ import annotations

from typing import NamedTuple

import gradio as gr

from lineas_core.models import Sampling

from ..studio.settings import LENGTH
from .seed import SeedBox, seed_box

__all__ = ["SamplingBoxes", "sampling_boxes"]


class SamplingBoxes(NamedTuple):
    """The settings; `studio.settings.sampling_of` checks the last two."""

    seed: SeedBox
    length: gr.Number
    temperature: gr.Number


def sampling_boxes() -> SamplingBoxes:
    """Declare the settings inside the current row."""
    return SamplingBoxes(
        seed_box(),
        gr.Number(LENGTH, label="Length in tokens", precision=0, min_width=120),
        gr.Number(Sampling.temperature, label="Temperature", step=0.1, min_width=120),
    )
