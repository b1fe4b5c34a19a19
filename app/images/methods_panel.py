"""The panel that compares all methods on one prompt."""

from __future__ import annotations

import gradio as gr

from ..events import MANY, QUIET
from .controls import Controls
from .gallery import gallery_of
from .methods_handlers import MethodsHandlers
from .steps_boxes import StepsBoxes

__all__ = ["methods"]


_POLLING = 1.5  # seconds between two looks at the running jobs


def methods(handlers: MethodsHandlers, controls: Controls, boxes: StepsBoxes) -> None:
    """Declare the panel; a click on a picture sets the controls of the tab."""
    with gr.Tab("Compare methods") as frame:
        painted, learnt = gr.State({}), gr.State("")
        timer = gr.Timer(_POLLING, active=False)
        state = gr.HTML(apply_default_css=False)
        with gr.Row(elem_classes="ask-for"):
            start = gr.Button(
                "Paint them side by side", size="sm", scale=0, min_width=190, visible=False
            )
            others = gr.Button(
                "Learn the others", size="sm", scale=0, min_width=160, visible=False
            )
        description = gr.HTML(apply_default_css=False)
        gallery = gallery_of("Every method on this prompt; click one")
    event = {"inputs": [controls.concept, painted], **QUIET}
    view = [state, start, others, timer, gallery, description, learnt]
    frame.select(handlers.refresh, outputs=view, **event)
    controls.concept.change(handlers.choose, outputs=view, **event)
    others.click(handlers.learn_others, outputs=view, **event)
    timer.tick(handlers.wait, outputs=view, **event)
    asked = [controls.concept, controls.prompt, controls.seed, controls.strength, *boxes]
    shown = [gallery, description, painted]
    start.click(handlers.paint, asked, shown, **MANY)
    learnt.change(handlers.paint_learnt, [learnt, *asked], shown, **MANY)
    gallery.select(handlers.take, [painted], [*controls], **QUIET)
