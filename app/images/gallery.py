"""A gallery of one prompt painted with several maps, as pictures to click on."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ..events import GALLERY, HIDDEN

__all__ = ["MANY", "gallery_of"]

MANY: dict[str, Any] = {
    **HIDDEN,
    "concurrency_id": "overview",
    "concurrency_limit": 1,
    "api_visibility": "private",
}
"""Arguments of an event that paints many pictures.

It has a queue of its own, so that a move of the slider gets the model between two batches.
"""


def gallery_of(label: str) -> gr.Gallery:
    """Declare the gallery; screen readers announce it by `label`."""
    return gr.Gallery(label=label, columns=6, elem_classes=["strip", "all"], **GALLERY)
