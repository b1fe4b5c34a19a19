"""The panel that continues a file of prompts."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr
from gradio.components import Component

from ..widgets.batch_box import batch_box
from .batch_handlers import TextBatchHandlers

__all__ = ["batch"]


def batch(
    handlers: TextBatchHandlers,
    strength: gr.Slider,
    concept: gr.Dropdown,
    settings: Sequence[Component],
) -> None:
    """Declare the panel.

    Args:
        handlers: its event handlers.
        strength: slider for λ.
        concept: menu of maps.
        settings: seed, length, temperature and chat template.
    """
    with gr.Tab("Batch") as frame:
        asked = [strength, concept, *settings]
        batch_box(frame, handlers, handlers.write, concept, asked, "Download as CSV")
