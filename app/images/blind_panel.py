"""The panel of the blind comparison."""

from __future__ import annotations

from functools import partial

import gradio as gr

from ..events import MODEL, QUIET
from .blind_handlers import SIDES, BlindHandlers
from .steps_boxes import StepsBoxes

__all__ = ["blind_choice"]


def blind_choice(
    handlers: BlindHandlers, concept: gr.Dropdown, further: gr.State, boxes: StepsBoxes
) -> None:
    """Declare the panel.

    Args:
        handlers: its event handlers.
        concept: menu of the first map.
        further: pairs (id, λ) of the maps that are applied after it.
        boxes: steps and guidance of both pictures.
    """
    with gr.Tab("Blind choice") as frame:
        pair, key = gr.State(None), gr.Textbox(visible=False)
        with gr.Row(elem_classes="ask-for"):
            draw = gr.Button("Show a pair", size="sm", scale=0, min_width=160)
        with gr.Column(visible=False, elem_classes="blind") as shown:
            question = gr.HTML(apply_default_css=False, elem_classes="question")
            with gr.Row(elem_classes="sides"):
                images = [_side(side) for side in SIDES]
            with gr.Row(elem_classes="answers") as answers:
                a, b = (gr.Button(side, variant="primary", min_width=80) for side in SIDES)
                neither = gr.Button("Can’t tell", min_width=80)
        verdict = gr.HTML(apply_default_css=False)
        preferences = gr.HTML(apply_default_css=False)
    draw.click(
        handlers.draw,
        [concept, further, *boxes],
        [pair, key, *images, question, shown, answers, verdict],
        show_progress="minimal",
        **MODEL,
    )
    for button, side in ((a, SIDES[0]), (b, SIDES[1]), (neither, "")):
        button.click(
            partial(handlers.answer, side),
            [pair, key],
            [pair, answers, verdict, preferences],
            **QUIET,
        )
    frame.select(handlers.preferences, None, [preferences], **QUIET)


def _side(side: str) -> gr.Image:
    return gr.Image(
        label=side,
        format="png",
        interactive=False,
        buttons=[],
        min_width=140,
        elem_id=f"side-{side}",
    )
