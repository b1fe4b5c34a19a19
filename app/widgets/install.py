"""The panel that offers to install a missing model."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from ..events import QUIET, LatestRequest, latest_only
from .install_handlers import CANCEL, InstallHandlers
from .stop_button import stop_button

__all__ = ["InstallPanel", "install_panel"]


@dataclass(frozen=True)
class InstallPanel:
    """The panel, for other parts of a tab.

    Attributes:
        column: its frame, hidden if the model is installed.
        button: starts the installation.
        done: the event after the installation.
    """

    column: gr.Column
    button: gr.Button
    done: gr.events.Dependency


def install_panel(handlers: InstallHandlers, model: gr.State | gr.Dropdown) -> InstallPanel:
    """Declare the panel for the model whose name is the value of a component."""
    with gr.Column(visible=False, elem_classes="install") as column:
        sentence = gr.HTML()
        button = gr.Button("Install", variant="primary")
        progress = gr.HTML()
        cancel = stop_button(CANCEL)
    running = gr.State(set())  # of this panel; the event that installs changes it
    panel = [column, sentence, button, cancel, progress]
    offer = latest_only(LatestRequest())(handlers.offer)
    # When the page loads and at every change.
    gr.on(None, offer, [model, running], panel, **QUIET)
    done = button.click(
        handlers.install,
        [model, running],
        [progress, button, cancel],
        show_progress="minimal",
        concurrency_id="install",
        concurrency_limit=16,  # nearly all of them wait for another one, and say so
        trigger_mode="multiple",  # another model can be chosen and installed meanwhile
        api_visibility="private",
    ).then(offer, [model, running], panel, **QUIET)
    cancel.click(handlers.cancel, [model], [cancel], **QUIET)
    return InstallPanel(column, button, done)
