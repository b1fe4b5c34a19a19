"""The button that copies the address of the page, which restores what is shown."""

from __future__ import annotations

import gradio as gr

from ..events import IN_PAGE
from ..scripts import script

__all__ = ["copy_link"]


def copy_link() -> None:
    """Declare the button, which works without the server."""
    button = gr.Button("Copy link", size="sm", scale=0, min_width=100)
    button.click(None, None, [button], js=script("copy_link"), **IN_PAGE)
