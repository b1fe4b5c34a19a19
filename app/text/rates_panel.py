"""The Rates panel of the Text tab: shares and perplexities of many texts at five strengths."""

from __future__ import annotations

from typing import Any, NamedTuple

import gradio as gr

from ..events import HIDDEN, MODEL, QUIET
from ..html import basics
from ..widgets.prompts_box import prompts_box
from ..widgets.stop_button import stop_button
from ..widgets.unless_typed import unless_typed
from .rates_handlers import MOST_SEEDS, RatesHandlers

__all__ = ["rates_panel"]


class _Inputs(NamedTuple):
    """The components that set up a measurement."""

    openings: gr.Textbox
    words: gr.Textbox
    seeds: gr.Slider


def rates_panel(handlers: RatesHandlers, concept: gr.Dropdown) -> None:
    """Declare the panel for the map that is chosen in a menu."""
    run = gr.State(0)
    openings, words, seeds = _inputs()
    gr.HTML(
        basics.hint(
            "Texts of 40 tokens at five strengths and temperature 1. This takes several minutes."
        ),
        apply_default_css=False,
    )
    small: dict[str, Any] = {"size": "sm", "scale": 0, "min_width": 160}
    with gr.Row():
        start = gr.Button("Measure", **small)
        stop = stop_button(variant="stop", **small)
    progress, result = (gr.HTML(apply_default_css=False) for _ in range(2))

    concept.change(
        handlers.choose,
        [concept, openings, words],
        [unless_typed(openings), unless_typed(words), progress, result],  # as in `PanelView`
        **QUIET,
    )
    start.click(handlers.new_request, None, [run], **QUIET)
    stop.click(handlers.stop, None, [stop], **QUIET)
    run.change(
        handlers.measure,
        [run, concept, openings, words, seeds],
        [progress, result, start, stop],
        trigger_mode="always_last",
        **HIDDEN,
        **MODEL,
    )


def _inputs() -> _Inputs:
    with gr.Row():
        with gr.Column(scale=3, min_width=300):
            openings = prompts_box("Prompts", "rates-prompts")
        with gr.Column(scale=2, min_width=300):
            words = gr.Textbox(
                label="Topic keywords",
                info="Comma-separated beginnings of words. Leave empty to count toxic texts.",
                lines=2,
                max_lines=5,
                max_length=5000,
            )
            seeds = gr.Slider(
                1,
                MOST_SEEDS,
                value=2,
                step=1,
                label="Seeds",
                info="Number of continuations per prompt and strength.",
            )
    return _Inputs(openings, words, seeds)
