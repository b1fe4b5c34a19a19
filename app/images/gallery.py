"""A gallery of pictures to click on."""

from __future__ import annotations

import gradio as gr

from ..events import GALLERY

# A queue of its own: whoever moves a slider meanwhile gets the model between two batches.
_MANY = {
    "show_progress": "hidden",
    "concurrency_id": "overview",
    "concurrency_limit": 1,
    "api_visibility": "private",
}


def _gallery(label: str) -> gr.Gallery:
    return gr.Gallery(label=label, columns=6, elem_classes=["strip", "all"], **GALLERY)
