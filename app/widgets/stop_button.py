"""The button that stops work which takes minutes.

Its answer and the last one of the work reach the page in any order, so the two never set the same
property: the work shows and hides the button, and only a start takes back what a click has set.
"""

from __future__ import annotations

import gradio as gr

__all__ = ["stop_button", "stop_shown", "stopping"]

_STOP = "Stop"


def stop_button() -> gr.Button:
    """Declare the button, which is hidden until there is work."""
    return gr.Button(_STOP, variant="stop", size="sm", scale=0, min_width=160, visible=False)


def stop_shown(*, busy: bool) -> gr.Button:
    """Return the update at the start of the work, and at its end."""
    return gr.Button(_STOP, interactive=True, visible=True) if busy else gr.Button(visible=False)


def stopping() -> gr.Button:
    """Return the update after a click: the work ends when its present step is done."""
    return gr.Button("Stopping …", interactive=False)
