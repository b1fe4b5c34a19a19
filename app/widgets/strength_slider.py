"""The slider for the strength λ."""

from __future__ import annotations

import gradio as gr

from ..studio.maps import MapEntry

__all__ = ["strength_label", "strength_slider"]


def strength_slider() -> gr.Slider:
    """Declare the slider, -1 to 1, in a row that stays in view."""
    with gr.Row(elem_classes="strength-row"):
        return gr.Slider(
            -1,
            1,
            value=1,
            step=0.05,
            label="λ: less ← original → more",
            buttons=["reset"],
            elem_classes="strength",
        )


def strength_label(entry: MapEntry) -> str:
    """Return a label that names what both ends of the slider do with this map."""
    less, more = entry.ends
    return f"λ: {less} ← original → {more}"
