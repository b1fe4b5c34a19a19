"""Event handlers of the panel that installs a missing model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import gradio as gr

from lineas_core.models.catalog import MODELS

from ..events import changes, user_errors
from ..html import basics
from ..studio.studio import Studio

__all__ = ["InstallHandlers"]


class Offer(NamedTuple):
    """Updates of the panel."""

    column: object = gr.skip()
    sentence: object = gr.skip()
    button: object = gr.skip()


class InstallHandlers:
    """The event handlers of the install panel."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @user_errors
    def offer(self, model: str | None) -> Offer:
        """Show the panel if the model is missing, and hide it if not."""
        if not model or self._studio.models.installed(model):
            return Offer(gr.Column(visible=False))
        entry = MODELS[model]
        if self._studio.read_only or not entry.embedded:
            sentence = f"The weights of {entry.title} are missing from {entry.folder}."
            if entry.embedded:
                sentence = f"{entry.title} is not part of this demo."
            return Offer(gr.Column(visible=True), basics.hint(sentence), gr.Button(visible=False))
        label = f"Install {entry.title} ({entry.embedded.download_mb} MB, {entry.license})"
        sentence = "This model is not on this machine yet. It is downloaded once."
        return Offer(
            gr.Column(visible=True), basics.hint(sentence), gr.Button(label, visible=True)
        )

    @changes
    @user_errors
    def install(self, model: str) -> Iterator[str]:
        """Download and convert a model, and report the progress."""
        for sentence in self._studio.models.install(model):
            yield basics.hint(sentence)
