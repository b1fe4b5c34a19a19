"""The layout of the How it works tab: an explanation, and drawings of a map."""

from __future__ import annotations

import gradio as gr

from ..events import LATEST
from .handlers import ExplainHandlers

__all__ = ["explain_tab"]

_TEXT = """
<article class="explain">
<section><h2>1 · Two sets of prompts</h2>
<p>A map is learnt from about 32 <b>source</b> prompts and 32 <b>target</b> prompts that differ in
one concept: scenes with and without a robot, rude and civil sentences, sentences on any subject
and on football.
The model reads both sets. Every layer computes numbers from each prompt, its
<b>activations</b>.</p></section>
<section><h2>2 · One small map per layer</h2>
<p>After each chosen layer, a map <i>T(z)&nbsp;=&nbsp;ω&nbsp;z&nbsp;+&nbsp;b</i> is applied to
every activation <i>z</i>. All maps are learnt together, so that the activations of the source
prompts get the same <b>distribution</b> as those of the target prompts. The difference is measured
by the Wasserstein distance: sort the values of both sides and compare them rank by rank. The model
itself is not changed.</p></section>
<section><h2>3 · A strength λ</h2>
<p>At λ&nbsp;=&nbsp;0 the model is exactly the original. At λ&nbsp;=&nbsp;1 the maps are applied in
full: a map from scenes with a robot to scenes without one removes the robot, and a map to
football makes texts about football. In between they are applied in part. Below 0 their inverses
are applied, which steer the opposite way: more robots, or less football. Steering changes what a
model generates; it does not edit a picture or a text that already exists.</p></section>
</article>
"""


def explain_tab(handlers: ExplainHandlers) -> gr.Dropdown:
    """Declare the tab inside the current `gr.Tab`; returns the menu of maps."""
    gr.HTML(_TEXT, apply_default_css=False)
    with gr.Row(elem_classes="look-inside"):
        map_id = gr.Dropdown([], label="Inspect a map", min_width=260, scale=2)
        strength = gr.Slider(
            -1,
            1,
            value=1,
            step=0.05,
            label="Strength λ",
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
        **LATEST,
    )
    return map_id
