"""The panel that paints a file of prompts."""

from __future__ import annotations

import gradio as gr

from ..widgets.batch_box import batch_box
from .batch_handlers import ImageBatchHandlers
from .controls import Controls
from .steps_boxes import StepsBoxes

__all__ = ["batch"]


def batch(
    handlers: ImageBatchHandlers, controls: Controls, further: gr.State, boxes: StepsBoxes
) -> None:
    """Declare the panel.

    Args:
        handlers: its event handlers.
        controls: the settings of the tab.
        further: pairs (id, λ) of the maps that are applied after the first one.
        boxes: steps and guidance of all pictures.
    """
    asked = [controls.strength, controls.concept, further, controls.seed, *boxes]
    with gr.Tab("Batch") as frame:
        batch_box(frame, handlers, handlers.paint, controls.concept, asked, "Download as a zip")
