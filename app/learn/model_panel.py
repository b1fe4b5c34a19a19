"""The choice of a model in the Learn tab: a menu, and a field for any other one."""

from __future__ import annotations

import gradio as gr

from ..events import LATEST, QUIET
from ..widgets.choice import choice_of
from ..widgets.install import install_panel
from ..widgets.install_handlers import InstallHandlers
from .model_handlers import ModelHandlers

__all__ = ["model_panel"]


def model_panel(handlers: ModelHandlers, install: InstallHandlers, model: gr.Dropdown) -> None:
    """Declare the field for other models and the panel that downloads the chosen one.

    Args:
        handlers: event handlers of the choice.
        install: event handlers of the install panel.
        model: the menu of models.
    """
    with gr.Row(elem_classes="load"):
        other = gr.Textbox(
            label="Or another model",
            placeholder="owner/name on the hub, or a folder",
            max_length=500,
            min_width=220,
        )
        look = gr.Button("Check this model", size="sm", min_width=140)
    found = gr.HTML(apply_default_css=False)
    install_panel(install, model)
    looked = {**QUIET, "show_progress": "minimal", "show_progress_on": None}
    gr.on([look.click, other.submit], handlers.look, [other], [model, found], **looked)
    choice_of(model).change(handlers.chosen, None, [found], **LATEST)
