"""What stands under the thumb in every tab that steers: the strength, and another seed."""

from __future__ import annotations

import gradio as gr

__all__ = ["thumb"]


def thumb(label: str) -> tuple[gr.Slider, gr.Button]:
    """Declare the slider for λ and the button beside it."""
    with gr.Row(elem_classes="thumb"):
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
