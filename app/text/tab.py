"""The layout of the Text tab: the original and the steered continuation side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import gradio as gr
from gradio.components import Component

from ..events import HIDDEN, LATEST, MODEL, QUIET
from ..html.basics import TITLES
from ..scripts import script
from ..widgets.copy_link import copy_link
from ..widgets.install import install_panel
from ..widgets.install_handlers import InstallHandlers
from ..widgets.sampling import SamplingBoxes, sampling_boxes
from ..widgets.steering import SteeringTab
from ..widgets.strength_slider import strength_slider
from ..widgets.unless_typed import unless_typed
from . import html as text_html
from .batch_handlers import TextBatchHandlers
from .batch_panel import batch
from .blind_handlers import BlindTextHandlers
from .blind_panel import blind_choice
from .handlers import TextHandlers
from .rates_handlers import RatesHandlers
from .rates_panel import rates_panel

__all__ = ["TextTabHandlers", "text_tab"]


class TextTabHandlers(NamedTuple):
    """The event handlers of the tab and of its panels."""

    texts: TextHandlers
    rates: RatesHandlers
    batch: TextBatchHandlers
    blind: BlindTextHandlers
    install: InstallHandlers


class _Ask(NamedTuple):
    """The components at the top, which choose the map and the prompt."""

    concept: gr.Dropdown
    summary: gr.HTML
    prompt: gr.Textbox
    examples: gr.Dataset


class _Settings(NamedTuple):
    """The settings of the generation."""

    sampling: SamplingBoxes
    chat: gr.Checkbox

    @property
    def inputs(self) -> list[Component]:
        """The components in the order of `TextHandlers.generate`."""
        seed, *others = self.sampling
        return [seed.number, *others, self.chat]


class _Layout(NamedTuple):
    """The components that the events of the tab use."""

    ask: _Ask
    model: gr.State
    caution: gr.HTML
    passages: list[gr.HTML]
    result: gr.Textbox
    strength: gr.Slider
    settings: _Settings
    earlier: gr.Tab
    code: gr.Tab
    table: gr.HTML
    facts: gr.HTML


def text_tab(handlers: TextTabHandlers) -> SteeringTab:
    """Declare the tab inside the current `gr.Tab`."""
    model = gr.State("")
    ask = _ask(handlers.texts.examples)
    installed = install_panel(handlers.install, model).done
    caution = gr.HTML(apply_default_css=False)
    passages = _passages()
    strength = strength_slider()
    settings = _settings()
    with gr.Tabs(overflow_behavior="wrap", elem_classes="panels"):
        earlier = gr.Tab("Earlier results")  # filled by the page, as is `code`
        table = _sweep(handlers.texts, [ask.concept, ask.prompt, *settings.inputs], strength)
        with gr.Tab("Rates over many prompts"):
            rates_panel(handlers.rates, ask.concept)
        batch(handlers.batch, strength, ask.concept, settings.inputs)
        blind_choice(handlers.blind, ask.concept, settings.sampling)
        code = gr.Tab("Code")
        with gr.Tab("About this map"):
            facts = gr.HTML(apply_default_css=False)
    layout = _Layout(
        *(ask, model, caution, passages, gr.Textbox("", visible=False), strength, settings),
        *(earlier, code, table, facts),
    )
    return _wire(handlers.texts, layout, installed)


def _wire(handlers: TextHandlers, layout: _Layout, installed: gr.events.Dependency) -> SteeringTab:
    ask, strength = layout.ask, layout.strength
    (seed, *others), chat = layout.settings
    request, kept, began = gr.State(0), gr.State([]), gr.State(1.0)
    chosen = ask.concept.change(
        handlers.choose,
        [ask.concept, ask.prompt, kept],
        [
            *(ask.summary, layout.caution, layout.facts, layout.table),  # as in `MapView`
            *(unless_typed(ask.prompt), ask.examples, chat, layout.model, strength),
        ],
        **QUIET,
    )
    picked = ask.examples.click(handlers.pick, [ask.examples], [ask.prompt], **QUIET)
    ask.prompt.submit(**seed.renewal)
    # Numbering a request first ends the work on older ones, so that their events leave the queue
    # early and the latest request is next.
    numbered = {"fn": handlers.new_request, "inputs": None, "outputs": [request]}
    gr.on([ask.prompt.submit, strength.change], **numbered, **LATEST)
    for event in (picked, seed.drawn, installed):
        event.then(**numbered, **QUIET)
    return SteeringTab(
        concept=ask.concept,
        strength=strength,
        kept=kept,
        began=began,
        request=request,
        new_request=handlers.new_request,
        chosen=chosen,
        made=_generate(handlers, layout, request),
        result=layout.result,
        restored=[ask.concept, strength, ask.prompt, seed.number, kept, *others, chat],
        earlier=layout.earlier,
        code=layout.code,
    )


def _generate(handlers: TextHandlers, layout: _Layout, request: gr.State) -> gr.events.Dependency:
    return request.change(
        handlers.generate,
        [layout.strength, layout.ask.concept, layout.ask.prompt, *layout.settings.inputs],
        [*layout.passages, layout.result],
        trigger_mode="always_last",
        **HIDDEN,
        **MODEL,
    )


def _ask(examples: Sequence[str]) -> _Ask:
    with gr.Row(elem_classes="ask"):
        with gr.Column(scale=2, min_width=320):
            concept = gr.Dropdown([], label="Concept")
            # As high as two lines of text, so that the page does not jump when they come.
            summary = gr.HTML(apply_default_css=False, min_height=41)
        with gr.Column(scale=3, min_width=300):
            prompt = gr.Textbox(
                label="Prompt to continue", max_length=2000, lines=1, submit_btn="Write"
            )
            dataset = gr.Dataset(
                components=[prompt],
                samples=[[each] for each in examples],
                show_label=False,
                elem_classes="examples",
            )
    return _Ask(concept, summary, prompt, dataset)


def _passages() -> list[gr.HTML]:
    start = "Choose a concept, then press Write."
    with gr.Row(elem_classes="pair", equal_height=True):
        return [
            gr.HTML(text_html.empty(title, start), apply_default_css=False, min_width=300)
            for title in TITLES
        ]


def _settings() -> _Settings:
    with gr.Row(elem_classes="tools"):
        sampling = sampling_boxes()
        chat = gr.Checkbox(label="Use the chat template", min_width=160)
        copy_link()
    return _Settings(sampling, chat)


def _sweep(handlers: TextHandlers, settings: Sequence[Component], strength: gr.Slider) -> gr.HTML:
    """Declare and wire the table of nine strengths; a click on a row sets the strength."""
    with gr.Tab("Sweep over λ"):
        with gr.Row():
            button = gr.Button("Compare nine strengths", size="sm", scale=0, min_width=200)
        table = gr.HTML(apply_default_css=False, js_on_load=script("row_strength"))
    button.click(handlers.sweep, settings, [table], **HIDDEN, **MODEL)
    table.click(handlers.strength_at, None, [strength], **QUIET)
    return table
