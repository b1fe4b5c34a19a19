"""The panel that asks which columns of an uploaded file hold the two sides."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr
from gradio.components import Component

from ..events import LATEST, QUIET
from ..widgets.choice import choice_of
from .upload_handlers import LABELLED, PAIRS, ColumnsView, UploadHandlers

__all__ = ["ColumnsPanel", "columns_panel"]

_LAYOUTS = [
    ("a column of prompts and a column of labels", LABELLED),
    ("a column for each side", PAIRS),
]


@dataclass(frozen=True)
class ColumnsPanel:
    """The panel, for the form that it fills.

    Attributes:
        view: its components, see `ColumnsView`.
        use: button that fills the form.
    """

    view: ColumnsView
    use: gr.Button

    def wire(
        self, handlers: UploadHandlers, chosen: list[Component], filled: list[Component]
    ) -> None:
        """Fill the form by the button; `chosen` are the model, the method and the budget."""
        view = self.view
        menus = [view.source, view.target, view.text, view.label, view.source_label]
        view.layout.change(handlers.choose_layout, [view.layout, view.label], menus, **QUIET)
        columns, labels = [view.upload, view.text, view.label], [view.source_label]
        choice_of(view.text).change(handlers.choose_texts, columns, labels, **LATEST)
        choice_of(view.label).change(handlers.choose_labels, columns, labels, **LATEST)
        values = [view.upload, view.layout, *menus]
        self.use.click(handlers.use, [*chosen, *values], [*filled, *view], **QUIET)


def columns_panel(handlers: UploadHandlers) -> ColumnsPanel:
    """Declare the panel; it is closed at first."""
    upload = gr.State()
    with gr.Column(visible=False, elem_classes="columns") as frame:
        preview = gr.HTML(apply_default_css=False)
        layout = gr.Radio(_LAYOUTS, value=LABELLED, label="The file has")
        with gr.Row():
            source = gr.Dropdown([], label="Column of the source", min_width=160)
            target = gr.Dropdown([], label="Column of the target", min_width=160)
            text = gr.Dropdown([], label="Column of the prompts", min_width=160)
            label = gr.Dropdown([], label="Column of the labels", min_width=160)
        source_label = gr.Dropdown([], label="Label of the source prompts", visible=False)
        with gr.Row():
            use = gr.Button("Use these columns", variant="primary", size="sm", min_width=140)
            cancel = gr.Button("Cancel", size="sm", min_width=100)
    view = ColumnsView(frame, upload, preview, layout, source, target, text, label, source_label)
    cancel.click(handlers.cancel, None, [*view], **QUIET)
    return ColumnsPanel(view, use)
