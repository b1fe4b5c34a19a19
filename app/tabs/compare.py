"""Below the pictures: all concepts on one prompt, and the blind choice."""

from __future__ import annotations

from functools import partial

import gradio as gr

from app.compare_handlers import SIDES, CompareHandlers
from app.tabs import MODEL, QUIET

__all__ = ["blind_choice", "overview"]


def overview(
    handlers: CompareHandlers,
    concept: gr.Dropdown,
    strength: gr.Slider,
    prompt: gr.Textbox,
    seed: gr.Number,
) -> None:
    """Declare the gallery of all concepts; the other arguments are the tab's own."""
    listed = gr.State([])
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
        gallery = gr.Gallery(
            label="Every concept on this prompt; click one",
            show_label=False,
            columns=6,
            height="auto",
            format="png",
            allow_preview=False,
            interactive=False,
            buttons=[],
            container=False,
            elem_classes=["strip", "all"],
        )
    # A queue of its own: whoever moves a slider meanwhile gets the model between two batches.
    start.click(
        handlers.overview,
        [concept, prompt, seed, at],
        [gallery, told, listed],
        show_progress="hidden",
        concurrency_id="overview",
        concurrency_limit=1,
        api_visibility="private",
    )
    gallery.select(handlers.take, [listed, at], [concept, strength], **QUIET)


def blind_choice(handlers: CompareHandlers, concept: gr.Dropdown, further: gr.State) -> None:
    """Declare the pair without labels, the answers and the tallies."""
    pair = gr.State(None)
    with gr.Accordion("Blind choice", open=False) as frame:
        draw = gr.Button("Show a pair", size="sm")
        with gr.Column(visible=False, elem_classes="blind") as shown:
            question = gr.HTML(apply_default_css=False, elem_classes="question")
            with gr.Row(elem_classes="sides"):
                images = [_side(side) for side in SIDES]
            with gr.Row(elem_classes="answers") as answers:
                a, b = (gr.Button(side, variant="primary", min_width=80) for side in SIDES)
                neither = gr.Button("Can’t tell", min_width=80)
        verdict = gr.HTML(apply_default_css=False)
        tallies = gr.HTML(apply_default_css=False)
    draw.click(
        handlers.draw,
        [concept, further],
        [pair, *images, question, shown, answers, verdict],
        show_progress="minimal",
        **MODEL,
    )
    for button, side in ((a, SIDES[0]), (b, SIDES[1]), (neither, "")):
        button.click(
            partial(handlers.answer, side), [pair], [pair, answers, verdict, tallies], **QUIET
        )
    frame.expand(handlers.tallies, None, [tallies], **QUIET)


def _side(side: str) -> gr.Image:
    return gr.Image(
        label=side,
        format="png",
        interactive=False,
        buttons=[],
        min_width=140,
        elem_id=f"side-{side}",
    )
