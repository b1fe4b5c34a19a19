"""Below the pictures: all concepts and all methods on one prompt, and the blind choice."""

from __future__ import annotations

from functools import partial

import gradio as gr

from app.compare_handlers import SIDES, CompareHandlers
from app.method_handlers import MethodHandlers
from app.tabs import GALLERY, MODEL, QUIET

__all__ = ["blind_choice", "methods", "overview"]

_SECONDS = 1.5  # between two looks at what is being learnt
# A queue of its own: whoever moves a slider meanwhile gets the model between two batches.
_MANY = {
    "show_progress": "hidden",
    "concurrency_id": "overview",
    "concurrency_limit": 1,
    "api_visibility": "private",
}


def overview(
    handlers: CompareHandlers,
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
        gallery = _gallery("Every concept on this prompt; click one")
    start.click(handlers.overview, [concept, prompt, seed, at], [gallery, told, painted], **_MANY)
    gallery.select(handlers.take, [painted], [concept, strength, prompt, seed, kept], **QUIET)


def methods(
    handlers: MethodHandlers,
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
        gallery = _gallery("Every method on this prompt; click one")
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
        **_MANY,
    )
    gallery.select(handlers.take, [painted], [concept, strength, prompt, seed, kept], **QUIET)


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


def _gallery(label: str) -> gr.Gallery:
    return gr.Gallery(label=label, columns=6, elem_classes=["strip", "all"], **GALLERY)


def _side(side: str) -> gr.Image:
    return gr.Image(
        label=side,
        format="png",
        interactive=False,
        buttons=[],
        min_width=140,
        elem_id=f"side-{side}",
    )
