"""Below the pictures: all concepts and all methods on one prompt, and the blind choice."""

from __future__ import annotations

import gradio as gr

from ..events import QUIET
from .gallery import MANY, gallery_of
from .methods_handlers import MethodsHandlers

__all__ = ["methods"]


_SECONDS = 1.5  # between two looks at what is being learnt


def methods(
    handlers: MethodsHandlers,
    concept: gr.Dropdown,
    strength: gr.Slider,
    prompt: gr.Textbox,
    seed: gr.Number,
    kept: gr.State,
) -> None:
    """Declare the gallery of all methods; the other arguments are the tab's own."""
    painted, learnt = gr.State({}), gr.State("")
    timer = gr.Timer(_SECONDS, active=False)
    with gr.Accordion("Compare methods", open=False) as frame:
        standing = gr.HTML(apply_default_css=False)
        with gr.Row(elem_classes="ask-for"):
            start = gr.Button(
                "Paint them side by side", size="sm", scale=0, min_width=190, visible=False
            )
            others = gr.Button(
                "Learn the others", size="sm", scale=0, min_width=160, visible=False
            )
        told = gr.HTML(apply_default_css=False)
        gallery = gallery_of("Every method on this prompt; click one")
    look = {"inputs": [concept, painted], **QUIET}
    seen = [standing, start, others, timer, gallery, told]
    frame.expand(handlers.look, outputs=seen, **look)
    concept.change(handlers.choose, outputs=seen, **look)
    others.click(handlers.learn_others, outputs=seen, **look)
    timer.tick(handlers.wait, outputs=[*seen, learnt], **look)
    gr.on(
        [start.click, learnt.change],
        handlers.paint,
        [concept, prompt, seed, strength],
        [gallery, told, painted],
        **MANY,
    )
    gallery.select(handlers.take, [painted], [concept, strength, prompt, seed, kept], **QUIET)
