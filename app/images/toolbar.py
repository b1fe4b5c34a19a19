"""The line below the slider: seed, denoising, and the buttons that save what is shown."""

from __future__ import annotations

from typing import Any, NamedTuple

import gradio as gr

from ..events import HIDDEN, IN_PAGE, MODEL
from ..scripts import script
from ..widgets.copy_link import copy_link
from ..widgets.seed import SeedBox, seed_box
from .save_handlers import SaveHandlers
from .steps_boxes import StepsBoxes, steps_boxes

__all__ = ["Toolbar", "toolbar", "wire_saving"]


class Toolbar(NamedTuple):
    """The components that other parts of the tab use.

    Attributes:
        seed: seed of the starting noise.
        boxes: steps and guidance.
        save: saves the steered picture.
        save_strip: saves the strip.
        result: query of the link of the pair that is shown; empty at first.
    """

    seed: SeedBox
    boxes: StepsBoxes
    save: gr.Button
    save_strip: gr.Button
    result: gr.Textbox


def toolbar() -> Toolbar:
    """Declare the line."""
    small: dict[str, Any] = {"size": "sm", "scale": 0}
    with gr.Row(elem_classes="tools"):
        seed, boxes = seed_box(), steps_boxes()
        save = gr.Button("Save", min_width=70, **small)
        save_strip = gr.Button("Save strip", min_width=100, **small)
        copy_link()
    return Toolbar(seed, boxes, save, save_strip, gr.Textbox("", visible=False))


def wire_saving(handlers: SaveHandlers, tools: Toolbar, strength: gr.Slider) -> None:
    """Wire the buttons that save what is shown."""
    for button, save, inputs in (
        (tools.save, handlers.picture, [tools.result, strength]),
        (tools.save_strip, handlers.strip, [tools.result]),
    ):
        # Of its own, so that two clicks save two files.
        file = [gr.Textbox(visible=False) for _ in range(2)]  # as in `SavedFile`
        made = button.click(save, inputs, file, **HIDDEN, **MODEL)
        made.success(None, file, None, js=script("save_file"), **IN_PAGE)
