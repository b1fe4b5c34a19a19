"""The layout of the Text tab: the original and the steered continuation side by side."""

from __future__ import annotations

import gradio as gr

from lineas_core.models import Sampling

from ..events import MODEL, QUIET
from ..html.basics import TITLES
from ..scripts import script
from ..studio.settings import LENGTH, LONGEST, SEED
from ..widgets.install import install_panel
from ..widgets.install_handlers import InstallHandlers
from ..widgets.steering import SteeringTab
from ..widgets.strength_slider import strength_slider
from . import html as text_html
from .handlers import TextHandlers
from .rates_handlers import RatesHandlers
from .rates_panel import rates_panel

__all__ = ["text_tab"]

_DEFAULTS = Sampling()


def text_tab(
    handlers: TextHandlers, rates: RatesHandlers, install: InstallHandlers
) -> SteeringTab:
    """Declare the tab inside the current `gr.Tab`.

    Args:
        handlers: event handlers of the tab.
        rates: event handlers of the Rates panel.
        install: event handlers of the install panel.
    """
    model, request, kept, began = gr.State(""), gr.State(0), gr.State([]), gr.State(1.0)
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
    installed = install_panel(install, model)
    caution = gr.HTML(apply_default_css=False)
    start = "Choose a concept, then press Write."
    with gr.Row(elem_classes="pair", equal_height=True):
        original, steered = (
            gr.HTML(text_html.empty(title, start), apply_default_css=False, min_width=300)
            for title in TITLES
        )
    strength, reseed = strength_slider("λ: less ← original → more")
    below = gr.Column()  # for earlier results, which ui.py adds
    with gr.Accordion("Settings", open=False), gr.Row():
        seed = gr.Number(SEED, label="Seed", info="Same seed, same text.", precision=0)
        length = gr.Slider(1, LONGEST, value=LENGTH, step=1, label="Length in tokens")
        temperature = gr.Slider(0, 2, value=_DEFAULTS.temperature, step=0.1, label="Temperature")
        chat = gr.Checkbox(label="Ask as a question", info="Use the chat template of the model.")
    with gr.Accordion("Sweep over λ", open=False):
        sweep = gr.Button("Compare nine strengths")
        table = gr.HTML(apply_default_css=False, js_on_load=script("row_strength"))
    with gr.Accordion("Rates over many openings", open=False):
        rates_panel(rates, concept)
    with gr.Accordion("About this map", open=False):
        facts = gr.HTML(apply_default_css=False)

    settings = [concept, prompt, seed, length, temperature, chat]
    chosen = concept.change(
        handlers.choose,
        [concept, prompt, kept],
        [summary, caution, facts, table, prompt, examples, chat, model, strength],
        **QUIET,
    )
    picked = examples.click(handlers.pick, [examples], [prompt], **QUIET)
    drawn = reseed.click(handlers.another_seed, None, [seed], **QUIET)
    # Numbering a request first ends the work on older ones, so that their events leave the queue
    # early and the latest request is next.
    gr.on(
        [prompt.submit, strength.change],
        handlers.new_request,
        None,
        [request],
        trigger_mode="always_last",
        **QUIET,
    )
    written = request.change(
        handlers.generate,
        [strength, *settings],
        [original, steered],
        trigger_mode="always_last",
        show_progress="hidden",
        **MODEL,
    )
    sweep.click(handlers.sweep, settings, [table], show_progress="hidden", **MODEL)
    table.click(handlers.strength_at, None, [strength], **QUIET)
    asked = [strength, concept, gr.State([]), *settings[1:]]  # a text is steered by one map only
    restored = [concept, strength, prompt, seed, kept, length, temperature, chat]
    for event in (picked, drawn, installed.done):
        event.then(handlers.new_request, None, [request], **QUIET)
    return SteeringTab(
        concept=concept,
        strength=strength,
        kept=kept,
        began=began,
        request=request,
        new_request=handlers.new_request,
        chosen=chosen,
        made=written,
        asked=asked,
        restored=restored,
        below=below,
    )
