"""A gallery of one prompt painted with several maps, as pictures to click on."""

from __future__ import annotations

import gradio as gr

from ..events import GALLERY

__all__ = ["gallery_of"]


def gallery_of(label: str) -> gr.Gallery:
    """Declare the gallery; screen readers announce it by `label`."""
    return gr.Gallery(label=label, columns=6, elem_classes=["strip", "all"], **GALLERY)
