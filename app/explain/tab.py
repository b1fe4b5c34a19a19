"""The How it works tab: three paragraphs, and a real map to look into."""

from __future__ import annotations

import gradio as gr

from ..events import QUIET
from .handlers import ExplainHandlers

__all__ = ["explain_tab"]

_TEXT = """
<article class="explain">
<section><h2>1 · Two sets of sentences</h2>
<p>About 32 <b>source</b> prompts and 32 <b>target</b> prompts that differ in one thing: with a
robot and without, rude and civil, any subject and football. A frozen model reads both. Inside,
each layer answers every prompt with numbers, its activations.</p></section>
<section><h2>2 · One small map per layer</h2>
<p>Behind each chosen layer stands a map <i>T(z)&nbsp;=&nbsp;ω&nbsp;z&nbsp;+&nbsp;b</i> for every
number. All maps are learnt together: the steered source prompts end up with the same
<b>distribution</b> of numbers as the target prompts, measured by the Wasserstein distance: sort
both, compare the ranks. The model itself is never changed.</p></section>
<section><h2>3 · A strength λ</h2>
<p>At λ&nbsp;=&nbsp;0 no map acts: the untouched model, bit for bit. At 1 the full transport, in
between a part of the way. Below 0 the inverse maps act, which lead the other way. It steers what a
model makes; it does not edit a picture or a text that you have.</p></section>
</article>
"""


def explain_tab(handlers: ExplainHandlers) -> gr.Dropdown:
    """Declare the tab inside the current `gr.Tab`; returns the menu of maps."""
    gr.HTML(_TEXT, apply_default_css=False)
    with gr.Row(elem_classes="look-inside"):
        map_id = gr.Dropdown([], label="Look into a map", min_width=260, scale=2)
        strength = gr.Slider(
            -1,
            1,
            value=1,
            step=0.05,
            label="λ of this drawing",
            buttons=["reset"],
            elem_classes="strength",
            min_width=260,
            scale=3,
        )
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            coordinate = gr.HTML(apply_default_css=False)
        with gr.Column(scale=3, min_width=300):
            modules = gr.HTML(apply_default_css=False)
    gr.on(
        [map_id.change, strength.change],
        handlers.draw,
        [map_id, strength],
        [coordinate, modules],
        trigger_mode="always_last",
        **QUIET,
    )
    return map_id
