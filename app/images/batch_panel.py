"""The panel that paints a file of prompts."""

from __future__ import annotations

import gradio as gr

from ..widgets.batch_box import batch_box
from .batch_handlers import ImageBatchHandlers
from .controls import Controls

__all__ = ["batch"]


def batch(handlers: ImageBatchHandlers, controls: Controls, further: gr.State) -> None:
    """Declare the panel.

    Args:
        handlers: its event handlers.
        controls: the settings of the tab.
        further: pairs (id, λ) of the maps that are applied after the first one.
    """
    asked = [controls.strength, controls.concept, further, controls.seed]
    with gr.Tab("Batch") as frame:
        batch_box(frame, handlers, handlers.paint, controls.concept, asked, "Download as a zip")
