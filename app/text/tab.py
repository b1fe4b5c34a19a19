"""The layout of the Text tab: the original and the steered continuation side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import gradio as gr
from gradio.components import Component

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


class _Ask(NamedTuple):
    """The components at the top, which choose the map and the prompt."""

    concept: gr.Dropdown
    summary: gr.HTML
    prompt: gr.Textbox
    examples: gr.Dataset


class _Sampling(NamedTuple):
    """The settings of the generation."""

    seed: gr.Number
    length: gr.Slider
    temperature: gr.Slider
    chat: gr.Checkbox


class _Layout(NamedTuple):
    """The components that the events of the tab use."""

    ask: _Ask
    model: gr.State
    caution: gr.HTML
    passages: list[gr.HTML]
    strength: gr.Slider
    reseed: gr.Button
    below: gr.Column
    sampling: _Sampling
    table: gr.HTML
    facts: gr.HTML


def text_tab(
    handlers: TextHandlers, rates: RatesHandlers, install: InstallHandlers
) -> SteeringTab:
    """Declare the tab inside the current `gr.Tab`.

    Args:
        handlers: event handlers of the tab.
        rates: event handlers of the Rates panel.
        install: event handlers of the install panel.
    """
    model = gr.State("")
    ask = _ask()
    installed = install_panel(install, model).done
    caution = gr.HTML(apply_default_css=False)
    passages = _passages()
    strength, reseed = strength_slider("λ: less ← original → more")
    below = gr.Column()  # for earlier results, which ui.py adds
    sampling = _sampling()
    table = _sweep(handlers, [ask.concept, ask.prompt, *sampling], strength)
    with gr.Accordion("Rates over many openings", open=False):
        rates_panel(rates, ask.concept)
    with gr.Accordion("About this map", open=False):
        facts = gr.HTML(apply_default_css=False)
    layout = _Layout(
        *(ask, model, caution, passages, strength, reseed, below, sampling, table, facts)
    )
    return _wire(handlers, layout, installed)


def _wire(handlers: TextHandlers, layout: _Layout, installed: gr.events.Dependency) -> SteeringTab:
    ask, sampling, strength = layout.ask, layout.sampling, layout.strength
    request, kept, began = gr.State(0), gr.State([]), gr.State(1.0)
    chosen = ask.concept.change(
        handlers.choose,
        [ask.concept, ask.prompt, kept],
        [
            *(ask.summary, layout.caution, layout.facts, layout.table),  # as in `MapView`
            *(ask.prompt, ask.examples, sampling.chat, layout.model, strength),
        ],
        **QUIET,
    )
    picked = ask.examples.click(handlers.pick, [ask.examples], [ask.prompt], **QUIET)
    drawn = layout.reseed.click(handlers.another_seed, None, [sampling.seed], **QUIET)
    # Numbering a request first ends the work on older ones, so that their events leave the queue
    # early and the latest request is next.
    numbered = {"fn": handlers.new_request, "inputs": None, "outputs": [request], **QUIET}
    gr.on([ask.prompt.submit, strength.change], trigger_mode="always_last", **numbered)
    for event in (picked, drawn, installed):
        event.then(**numbered)
    return SteeringTab(
        concept=ask.concept,
        strength=strength,
        kept=kept,
        began=began,
        request=request,
        new_request=handlers.new_request,
        chosen=chosen,
        made=_generate(handlers, layout, request),
        asked=[strength, ask.concept, gr.State([]), ask.prompt, *sampling],  # no further maps
        restored=[ask.concept, strength, ask.prompt, sampling.seed, kept, *sampling[1:]],
        below=layout.below,
    )


def _generate(handlers: TextHandlers, layout: _Layout, request: gr.State) -> gr.events.Dependency:
    return request.change(
        handlers.generate,
        [layout.strength, layout.ask.concept, layout.ask.prompt, *layout.sampling],
        layout.passages,
        trigger_mode="always_last",
        show_progress="hidden",
        **MODEL,
    )


def _ask() -> _Ask:
    with gr.Row(elem_classes="ask"):
        with gr.Column(scale=2, min_width=320):
            concept = gr.Dropdown([], label="Concept")
            summary = gr.HTML(apply_default_css=False)
        with gr.Column(scale=3, min_width=300):
            prompt = gr.Textbox(
                label="Beginning of the text", max_length=2000, lines=1, submit_btn="Write"
            )
            examples = gr.Dataset(
                components=[prompt], samples=[[""]], show_label=False, elem_classes="examples"
            )
    return _Ask(concept, summary, prompt, examples)


def _passages() -> list[gr.HTML]:
    start = "Choose a concept, then press Write."
    with gr.Row(elem_classes="pair", equal_height=True):
        return [
            gr.HTML(text_html.empty(title, start), apply_default_css=False, min_width=300)
            for title in TITLES
        ]


def _sampling() -> _Sampling:
    with gr.Accordion("Settings", open=False), gr.Row():
        return _Sampling(
            gr.Number(SEED, label="Seed", info="Same seed, same text.", precision=0),
            gr.Slider(1, LONGEST, value=LENGTH, step=1, label="Length in tokens"),
            gr.Slider(0, 2, value=Sampling.temperature, step=0.1, label="Temperature"),
            gr.Checkbox(label="Ask as a question", info="Use the chat template of the model."),
        )


def _sweep(handlers: TextHandlers, settings: Sequence[Component], strength: gr.Slider) -> gr.HTML:
    """Declare and wire the table of nine strengths; a click on a row sets the strength."""
    with gr.Accordion("Sweep over λ", open=False):
        button = gr.Button("Compare nine strengths")
        table = gr.HTML(apply_default_css=False, js_on_load=script("row_strength"))
    button.click(handlers.sweep, settings, [table], show_progress="hidden", **MODEL)
    table.click(handlers.strength_at, None, [strength], **QUIET)
    return table
