"""Below the pictures: all concepts on one prompt."""

from __future__ import annotations

import gradio as gr

from ..events import QUIET
from .gallery import MANY, gallery_of
from .overview_handlers import OverviewHandlers

__all__ = ["overview"]


def overview(
    handlers: OverviewHandlers,
    concept: gr.Dropdown,
    strength: gr.Slider,
    prompt: gr.Textbox,
    seed: gr.Number,
    kept: gr.State,
) -> None:
    """Declare the gallery of all concepts; the other arguments are the tab's own."""
    painted = gr.State({})
    with gr.Accordion("All concepts on this prompt", open=False):
        with gr.Row(elem_classes="ask-for"):
            at = gr.Radio(
                [("λ −1", -1), ("λ 1", 1)],
                value=1,
                label="Strength",
                show_label=False,
                container=False,
                elem_classes="switch",
            )
            start = gr.Button("Paint them all", size="sm", scale=0, min_width=160)
        told = gr.HTML(apply_default_css=False)
        gallery = gallery_of("Every concept on this prompt; click one")
    start.click(handlers.overview, [concept, prompt, seed, at], [gallery, told, painted], **MANY)
    gallery.select(handlers.take, [painted], [concept, strength, prompt, seed, kept], **QUIET)
