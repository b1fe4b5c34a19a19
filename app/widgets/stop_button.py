"""The button that stops work which takes minutes.

Its answer and the last one of the work reach the page in any order, so the two never set the same
property: the work shows and hides the button, and only a start takes back what a click has set.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

__all__ = ["STOP", "stop_button", "stop_shown", "stopping"]

STOP = "Stop"


def stop_button(label: str = STOP, **look: Any) -> gr.Button:
    """Declare the button, which is hidden until there is work; `look` as of `gr.Button`."""
    return gr.Button(label, visible=False, **look)


def stop_shown(*, busy: bool, label: str = STOP) -> gr.Button:
    """Return the update at the start of the work, and at its end."""
    return gr.Button(label, interactive=True, visible=True) if busy else gr.Button(visible=False)


def stopping(label: str = "Stopping …") -> gr.Button:
    """Return the update after a click: the work ends when its present step is done."""
    return gr.Button(label, interactive=False)
