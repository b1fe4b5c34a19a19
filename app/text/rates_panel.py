"""The Rates panel of the Text tab: what a map does to many texts, in figures."""

from __future__ import annotations

import gradio as gr

from ..events import QUIET
from ..html import basics
from .rates_handlers import MOST_SEEDS, RatesHandlers

__all__ = ["rates_panel"]


def rates_panel(handlers: RatesHandlers, concept: gr.Dropdown) -> None:
    """Declare the panel for the map that a menu names."""
    run = gr.State(0)
    with gr.Row():
        with gr.Column(scale=3, min_width=300):
            openings = gr.Textbox(
                label="Openings", info="One per line.", lines=6, max_lines=12, max_length=400_000
            )
            upload = gr.UploadButton(
                "Upload openings", file_types=[".txt", ".csv", ".json", ".jsonl"], size="sm"
            )
        with gr.Column(scale=2, min_width=300):
            words = gr.Textbox(
                label="Words that tell the topic",
                info="Beginnings of words, with commas. Empty: toxic texts are counted.",
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
                info="How often every opening is continued at every strength.",
            )
    gr.HTML(
        basics.hint("Five strengths, 40 tokens a text, temperature 1. It takes minutes."),
        apply_default_css=False,
    )
    with gr.Row():
        start = gr.Button("Measure")
        stop = gr.Button("Stop", variant="stop", visible=False)
    progress, result = (gr.HTML(apply_default_css=False) for _ in range(2))

    concept.change(
        handlers.choose, [concept, openings], [openings, words, progress, result], **QUIET
    )
    upload.upload(handlers.read, [upload], [openings], **QUIET)
    start.click(handlers.new_request, None, [run], **QUIET)
    stop.click(handlers.stop, None, [progress], **QUIET)
    # Not among the events with model work: those wait for each other to end, and others shall
    # write between two batches of this one.
    run.change(
        handlers.measure,
        [run, concept, openings, words, seeds],
        [progress, result, start, stop],
        trigger_mode="always_last",
        **QUIET,
    )
