"""The original and the steered picture: side by side, or on top of each other to compare them."""

from __future__ import annotations

import gradio as gr

from ..events import IN_PAGE
from ..html.basics import TITLES
from ..scripts import script

__all__ = ["view"]

_VIEWS = ["side by side", "wipe", "flip"]
_STAGE = """
<input type="range" class="divider" min="0" max="100" value="50"
  aria-label="Divider: original on the left, steered on the right">
<button type="button" class="flip" aria-pressed="false">Press or hold for the original</button>
"""


def view() -> tuple[gr.Image, gr.Image]:
    """Declare both pictures and the switch above them, which works without the server."""
    switch = gr.Radio(
        _VIEWS,
        value=_VIEWS[0],
        label="View",
        show_label=False,
        container=False,
        elem_classes="switch",
    )
    with gr.Row(elem_classes=["pair", "pictures"]):
        gr.HTML(_STAGE, js_on_load=script("view"), apply_default_css=False, elem_classes="stage")
        original, steered = map(_picture, TITLES)
    switch.change(None, [switch], None, js=script("set_view"), **IN_PAGE)
    gr.on(None, None, None, [switch], js=script("first_view"), **IN_PAGE)
    return original, steered


def _picture(title: str) -> gr.Image:
    return gr.Image(
        label=title,
        alt_text=f"{title} picture",
        type="pil",
        format="png",
        interactive=False,
        buttons=["fullscreen"],
        min_width=200,
        elem_id=title.lower(),
    )
