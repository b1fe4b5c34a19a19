"""The Images tab: one prompt, its original and its steered picture, and a strip over λ."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from app.handlers import TITLES, Handlers
from app.image_handlers import SEED, STRIP, ImageHandlers
from app.tabs import MODEL, QUIET, fragments
from app.tabs.install import install_panel
from app.tabs.thumb import thumb

__all__ = ["ImagesTab", "images_tab"]

# While the thumb moves: the nearest picture of the strip, at once and without the server. The
# true one follows.
_NEAREST = f"""(strength, strip, steered) => {{
    const strengths = {list(STRIP)};
    if (strip?.length !== strengths.length || !(strength >= -1 && strength <= 1)) return steered;
    const far = strengths.map(lam => Math.abs(lam - strength));
    return strip[far.indexOf(Math.min(...far))].image;
}}"""

# The picture of the strip that the slider stands at, if any; the style sheet frames it.
_MARK = f"""strength => {{
    document.querySelector('.strip').dataset.at = {list(STRIP)}.indexOf(strength) + 1;
}}"""
_IN_PAGE = {"queue": False, "api_visibility": "private"}


@dataclass(frozen=True)
class ImagesTab:
    """What other parts of the page wire.

    Attributes:
        concept: menu of maps; a new value paints new pictures.
    """

    concept: gr.Dropdown


def images_tab(handlers: ImageHandlers, shared: Handlers) -> ImagesTab:
    """Declare the tab inside the current `gr.Tab`.

    Args:
        handlers: what its events do.
        shared: what the events of the install panel do.
    """
    model, wish, shown = gr.State(""), gr.State(0), gr.State("")
    with gr.Row(elem_classes="easel"):
        with gr.Column(scale=1, min_width=280, elem_classes="ask"):
            concept = gr.Dropdown([], label="Concept")
            summary = gr.HTML(apply_default_css=False)
            prompt = gr.Textbox(
                label="What to paint", max_length=2000, lines=1, max_lines=5, submit_btn="Paint"
            )
            examples = gr.Dataset(
                components=[prompt], samples=[[""]], show_label=False, elem_classes="examples"
            )
            note = gr.HTML(
                fragments.hint("Choose a concept, then press Paint."),
                apply_default_css=False,
            )
            install_panel(shared, model)
        with gr.Column(scale=3, min_width=520, elem_classes="canvas"):
            with gr.Row(elem_classes=["pair", "pictures"]):
                original, steered = map(_picture, TITLES)
            strength, reseed = thumb("λ  −1 inverse · 0 original · 1 full")
            strip = gr.Gallery(
                label="Nine strengths λ; click one",
                show_label=False,
                columns=len(STRIP),
                height="auto",
                format="png",
                allow_preview=False,
                interactive=False,
                buttons=[],
                fit_columns=False,
                container=False,
                elem_classes="strip",
            )
    with gr.Accordion("Settings", open=False):
        seed = gr.Number(SEED, label="Seed", info="Same seed, same picture.", precision=0)
    with gr.Accordion("Words that the model knows", open=False):
        words = gr.HTML(apply_default_css=False)
    with gr.Accordion("About this map", open=False):
        facts = gr.HTML(apply_default_css=False)

    chosen = concept.change(
        handlers.choose,
        [concept, prompt],
        [summary, facts, prompt, examples, words, model],
        **QUIET,
    )
    picked = examples.click(handlers.pick, [examples], [prompt], **QUIET)
    reseed.click(handlers.another_seed, None, [seed], **QUIET)
    strip.select(handlers.strength_at, None, [strength], **QUIET)
    strength.change(None, [strength], None, js=_MARK, **_IN_PAGE)
    strength.input(None, [strength, strip, steered], [steered], js=_NEAREST, **_IN_PAGE)
    # As in the Text tab: a new wish ends the work on older ones.
    gr.on(
        [prompt.submit, strength.change, seed.change],
        handlers.wish,
        None,
        [wish],
        trigger_mode="always_last",
        **QUIET,
    )
    for event in (chosen, picked):
        event.then(handlers.wish, None, [wish], **QUIET)
    wish.change(
        handlers.generate,
        [wish, shown, strength, concept, prompt, seed],
        [original, steered, strip, note, shown],
        trigger_mode="always_last",
        show_progress="hidden",
        **MODEL,
    )
    return ImagesTab(concept)


def _picture(title: str) -> gr.Image:
    return gr.Image(
        label=title,
        type="pil",
        format="png",
        interactive=False,
        buttons=["download", "fullscreen"],
        min_width=200,
        elem_id=title.lower(),
    )
