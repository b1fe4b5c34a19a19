"""The panel that paints all concepts on one prompt."""

from __future__ import annotations

import gradio as gr

from ..events import MANY, QUIET
from .controls import Controls
from .gallery import gallery_of
from .overview_handlers import OverviewHandlers
from .steps_boxes import StepsBoxes

__all__ = ["overview"]


def overview(handlers: OverviewHandlers, controls: Controls, boxes: StepsBoxes) -> None:
    """Declare the panel; a click on a picture sets the controls of the tab."""
    with gr.Tab("All concepts on this prompt"):
        painted = gr.State({})
        with gr.Row(elem_classes="ask-for"):
            strength = gr.Radio(
                [("λ = −1", -1), ("λ = 1", 1)],
                value=1,
                label="Strength",
                show_label=False,
                container=False,
                elem_classes="switch",
            )
            start = gr.Button("Paint them all", size="sm", scale=0, min_width=160)
        description = gr.HTML(apply_default_css=False)
        gallery = gallery_of("Every concept on this prompt; click one")
    start.click(
        handlers.overview,
        [controls.concept, controls.prompt, controls.seed, strength, *boxes],
        [gallery, description, painted],
        **MANY,
    )
    gallery.select(handlers.take, [painted], [*controls], **QUIET)
