"""The Text tab: one prompt, its original and its steered continuation side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import gradio as gr

from lineas_core.models import Sampling

from ..events import MODEL, QUIET
from ..history.handlers import HistoryHandlers
from ..history.panel import recall
from ..html.basics import TITLES
from ..studio.settings import LENGTH, LONGEST, SEED
from ..widgets.install import install_panel
from ..widgets.strength import thumb
from . import html as text_html
from .handlers import Handlers
from .rates_handlers import RatesHandlers
from .rates_panel import rates_panel

__all__ = ["TextTab", "text_tab"]

_DEFAULTS = Sampling()

# A click anywhere in a row of the sweep tells its strength, but not one that shows a blurred text.
_TELL_STRENGTH = """
element.addEventListener('click', event => {
    const row = event.target.closest('[data-strength]');
    if (!row || event.target.closest('details:not([open]), summary')) return;
    trigger('click', {strength: Number(row.dataset.strength)});
});
"""


@dataclass(frozen=True)
class TextTab:
    """What other parts of the page wire.

    Attributes:
        concept: menu of maps; a new value writes new texts.
        restored: what settings that come back are put into, see `HistoryHandlers`.
        query: the end of the address that leads to what is shown.
    """

    concept: gr.Dropdown
    restored: Sequence[gr.components.Component]
    query: gr.Textbox


def text_tab(
    handlers: Handlers, rates: RatesHandlers, recalling: HistoryHandlers, home: gr.Textbox
) -> TextTab:
    """Declare the tab inside the current `gr.Tab`.

    Args:
        handlers: what its events do.
        rates: what the events of the Rates panel do.
        recalling: what the events do that bring settings back.
        home: address of the page.
    """
    model, wish, kept, began = gr.State(""), gr.State(0), gr.State([]), gr.State(1.0)
    with gr.Row(elem_classes="ask"):
        with gr.Column(scale=2, min_width=320):
            concept = gr.Dropdown([], label="Concept")
            summary = gr.HTML(apply_default_css=False)
        with gr.Column(scale=3, min_width=300):
            prompt = gr.Textbox(
                label="Beginning of the text",
                max_length=2000,
                lines=1,
                submit_btn="Write",
            )
            examples = gr.Dataset(
                components=[prompt], samples=[[""]], show_label=False, elem_classes="examples"
            )
    install = install_panel(handlers, model)
    caution = gr.HTML(apply_default_css=False)
    start = "Choose a concept, then press Write."
    with gr.Row(elem_classes="pair", equal_height=True):
        original, steered = (
            gr.HTML(text_html.empty(title, start), apply_default_css=False, min_width=300)
            for title in TITLES
        )
    strength, reseed = thumb("λ  −1 away · 0 original · 1 full")
    below = gr.Column()  # its events need those of the texts
    with gr.Accordion("Settings", open=False), gr.Row():
        seed = gr.Number(SEED, label="Seed", info="Same seed, same text.", precision=0)
        length = gr.Slider(1, LONGEST, value=LENGTH, step=1, label="Length in tokens")
        temperature = gr.Slider(0, 2, value=_DEFAULTS.temperature, step=0.1, label="Temperature")
        chat = gr.Checkbox(label="Ask as a question", info="Uses the chat template.")
    with gr.Accordion("Sweep over λ", open=False):
        sweep = gr.Button("Write at nine strengths")
        table = gr.HTML(apply_default_css=False, js_on_load=_TELL_STRENGTH)
    with gr.Accordion("Rates over many openings", open=False):
        rates_panel(rates, concept)
    with gr.Accordion("About this map", open=False):
        facts = gr.HTML(apply_default_css=False)

    settings = [concept, prompt, seed, length, temperature, chat]
    chosen = concept.change(
        handlers.choose,
        [concept, prompt, kept],
        [summary, caution, facts, table, prompt, examples, chat, model],
        **QUIET,
    ).then(recalling.begin, [concept, kept, began], [strength, kept, began], **QUIET)
    picked = examples.click(handlers.pick, [examples], [prompt], **QUIET)
    drawn = reseed.click(handlers.another_seed, None, [seed], **QUIET)
    # Every wish first gets a number: it stops what is being written for an older one, so that
    # this turn of the queue ends early and the newest wish comes next.
    gr.on(
        [prompt.submit, strength.change],
        handlers.wish,
        None,
        [wish],
        trigger_mode="always_last",
        **QUIET,
    )
    written = wish.change(
        handlers.generate,
        [strength, *settings],
        [original, steered],
        trigger_mode="always_last",
        show_progress="hidden",
        **MODEL,
    )
    sweep.click(handlers.sweep, settings, [table], show_progress="hidden", **MODEL)
    table.click(handlers.strength_at, None, [strength], **QUIET)
    asked = [strength, concept, gr.State([]), *settings[1:]]  # a text takes no further maps
    restored = [concept, strength, prompt, seed, kept, length, temperature, chat]
    with below:
        query, again = recall(recalling, home, wish, written, asked, restored)
    for event in (chosen, picked, drawn, install.done, again):
        event.then(handlers.wish, None, [wish], **QUIET)
    return TextTab(concept, restored, query)
