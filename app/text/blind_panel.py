"""The panel of the blind comparison of texts."""

from __future__ import annotations

from functools import partial

import gradio as gr

from ..events import HIDDEN, MODEL, QUIET
from ..html import basics
from ..widgets.sampling import SamplingBoxes
from .blind_handlers import LETTERS, BlindTextHandlers

__all__ = ["blind_choice"]

_HINT = (
    "The original model and the models steered by the ITI-C, Lin-AcT and LinEAS maps learnt from "
    "the same prompts all continue one prompt. Length and temperature are those "
    "above. Missing maps can be learnt in the Learn tab."
)


def blind_choice(
    handlers: BlindTextHandlers, concept: gr.Dropdown, sampling: SamplingBoxes
) -> None:
    """Declare the panel.

    Args:
        handlers: its event handlers.
        concept: menu of maps.
        sampling: length and temperature of the texts.
    """
    with gr.Tab("Blind choice") as frame:
        draw, key = gr.State(None), gr.Textbox(visible=False)
        gr.HTML(basics.hint(_HINT), apply_default_css=False)
        with gr.Row(elem_classes="ask-for"):
            start = gr.Button("Show texts", size="sm", scale=0, min_width=160)
        texts = gr.HTML(apply_default_css=False, elem_classes="blind")
        with gr.Row(visible=False, elem_classes="answers") as answers:
            letters = [gr.Button(each, variant="primary", min_width=80) for each in LETTERS]
            neither = gr.Button("Can’t tell", min_width=80)
        verdict = gr.HTML(apply_default_css=False)
        preferences = gr.HTML(apply_default_css=False)
    start.click(
        handlers.draw,
        [concept, sampling.length, sampling.temperature],
        [draw, key, texts, answers, *letters[2:], verdict],  # as in `Drawn`
        **HIDDEN,
        **MODEL,
    )
    for button, place in (*zip(letters, range(len(letters)), strict=True), (neither, None)):
        button.click(
            partial(handlers.answer, place),
            [draw, key],
            [draw, answers, verdict, preferences],
            **QUIET,
        )
    frame.select(handlers.preferences, None, [preferences], **QUIET)
