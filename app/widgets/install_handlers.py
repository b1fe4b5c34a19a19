"""Event handlers of the panel that installs a missing model."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

import gradio as gr

from lineas_core import UserError
from lineas_core.models import title_of
from lineas_core.models.catalog import MODELS

from ..events import changes, user_errors
from ..html import basics
from ..html.models import megabytes
from ..studio.studio import Studio
from .stop_button import stop_shown, stopping

__all__ = ["CANCEL", "InstallHandlers"]

CANCEL = "Cancel"
_PICKLED = "This model's weights are pickle files and need a one-time conversion to safetensors."
_ONCE = "This model is not on this machine yet. It is downloaded once."


class Offer(NamedTuple):
    """Updates of the panel."""

    column: object = gr.skip()
    sentence: object = gr.skip()
    button: object = gr.skip()
    cancel: object = gr.skip()
    progress: object = gr.skip()


class InstallHandlers:
    """The event handlers of the install panel."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @user_errors
    def offer(self, model: str | None, running: Collection[str] = ()) -> Offer:
        """Show the panel if the model is missing or to be converted, and hide it if not.

        Args:
            model: name of the chosen model.
            running: the models that the panel is installing.
        """
        if not model or (self._studio.models.installed(model) and not self._unconverted(model)):
            return Offer(gr.Column(visible=False), cancel=gr.Button(visible=False), progress="")
        sentence, label = self._offer(model)
        busy = model in running
        button = gr.Button(label, visible=bool(label) and not busy)
        shown = gr.Column(visible=True), basics.hint(sentence), button
        return Offer(*shown, gr.Button(visible=busy))

    @changes
    @user_errors
    def install(self, model: str, running: set[str]) -> Iterator[tuple[str, object, object]]:
        """Download and convert a model; nothing happens if the panel is installing it already.

        Args:
            model: its name.
            running: the models that the panel is installing; this one is among them meanwhile.

        Yields:
            The progress, and both buttons, which change only at the start: another model may be
            chosen meanwhile, and they are then about that one.
        """
        if model in running:
            return
        running.add(model)
        buttons: tuple[object, object]
        buttons = gr.Button(visible=False), stop_shown(busy=True, label=CANCEL)
        try:
            for sentence in self._studio.models.install(model):
                yield basics.hint(sentence), *buttons
                buttons = gr.skip(), gr.skip()
        except Exception as error:
            if not isinstance(error, UserError) or error.code != "E_CANCELLED":
                yield "", gr.skip(), gr.skip()
                raise
            told = f"The installation was cancelled. {error.remedy}"
            yield basics.hint(told), gr.skip(), gr.skip()
        finally:
            running.discard(model)

    @changes
    @user_errors
    def cancel(self, model: str) -> gr.Button:
        """End the installation of a model; returns what the button says until it has ended."""
        self._studio.models.cancel(model)
        return stopping("Cancelling …")

    def _unconverted(self, model: str) -> int:
        """Return how many bytes of pickled weights of a model the visitor may convert."""
        models = self._studio.models
        if self._studio.read_only or not models.installed(model):
            return 0
        return models.unconverted(model)

    def _offer(self, model: str) -> tuple[str, str]:
        """Return a sentence about a model, and what its button says; empty for no button."""
        title, entry = title_of(model), MODELS.get(model)
        if size := self._unconverted(model):
            return _PICKLED, f"Convert {title} ({megabytes(size)} MB)"
        if entry and entry.folder:
            return f"The weights of {title} are missing from {entry.folder}.", ""
        if self._studio.read_only:
            return f"{title} is not part of this demo.", ""
        if entry and entry.embedded:
            facts = f"{entry.embedded.download_mb} MB, {entry.license}"
            return _ONCE, f"Install {title} ({facts})"
        try:
            self._studio.models.checked(model)
            found = self._studio.models.describe(model)
        except UserError as error:
            return str(error), ""
        licence = found.license or "no licence stated"
        return _ONCE, f"Download {title} ({megabytes(found.download)} MB, {licence})"
