"""The slider for the strength λ, with a button that draws another seed."""

from __future__ import annotations

import gradio as gr

from ..studio.maps import MapEntry

__all__ = ["strength_label", "strength_slider"]


def strength_slider(label: str) -> tuple[gr.Slider, gr.Button]:
    """Declare the slider, -1 to 1, and the button that draws another seed."""
    with gr.Row(elem_classes="strength-row"):
        strength = gr.Slider(
            -1,
            1,
            value=1,
            step=0.05,
            label=label,
            buttons=["reset"],
            elem_classes="strength",
            scale=5,
        )
        reseed = gr.Button("Another seed", scale=1, min_width=120)
    return strength, reseed


def strength_label(entry: MapEntry) -> str:
    """Return a label that names what both ends of the slider do with this map."""
    less, more = entry.ends
    return f"λ: {less} ← original → {more}"
