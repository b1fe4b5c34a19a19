"""The gallery that shows one prompt with many maps, as pictures to click on."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ..events import GALLERY

__all__ = ["MANY", "gallery_of"]

MANY: dict[str, Any] = {
    "show_progress": "hidden",
    "concurrency_id": "overview",
    "concurrency_limit": 1,
    "api_visibility": "private",
}
"""For an event that paints many pictures: a queue of its own, so that a slider that is moved
meanwhile gets the model between two batches."""


def gallery_of(label: str) -> gr.Gallery:
    """Declare the gallery with its name for screen readers."""
    return gr.Gallery(label=label, columns=6, elem_classes=["strip", "all"], **GALLERY)
