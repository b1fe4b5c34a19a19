"""The Library tab: cards of all maps on the left, the chosen one in full on the right."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from ..events import MODEL, QUIET
from ..html import basics
from ..scripts import script
from ..studio.user_maps import LONGEST_TITLE
from .handlers import KINDS, NO_TOKEN, READY_MADE, LibraryHandlers

__all__ = ["LibraryTab", "library_tab"]


@dataclass(frozen=True)
class LibraryTab:
    """What other parts of the page wire.

    Attributes:
        chosen: id of the map that is shown in full.
        use: opens it in the tab of its kind.
        look: arguments of the event that brings the cards up to date.
    """

    chosen: gr.State
    use: gr.Button
    look: dict


def library_tab(handlers: LibraryHandlers) -> LibraryTab:
    """Declare the tab inside the current `gr.Tab`."""
    chosen, deleted = gr.State(""), gr.State("")
    with gr.Row(elem_classes="library-tools"):
        kind = gr.Radio(
            list(KINDS.items()),
            value="",
            label="Maps for",
            show_label=False,
            container=False,
            elem_classes="switch",
        )
        upload = gr.UploadButton(
            "Import a map",
            file_types=[".zip", ".safetensors"],
            size="md",
            scale=0,
            min_width=130,
        )
    with gr.Row(visible=False, elem_classes="undo") as undo_row:
        gone = gr.HTML(apply_default_css=False)
        undo = gr.Button("Undo", size="sm", scale=0, min_width=100)
    with gr.Row(elem_classes="library"):
        with gr.Column(scale=3, min_width=320):
            cards = gr.HTML(js_on_load=script("choose_card"), apply_default_css=False)
        with gr.Column(scale=2, min_width=340, visible=False, elem_classes="chosen") as frame:
            heading = gr.HTML(apply_default_css=False)
            with gr.Row(elem_classes="deeds"):
                use = gr.Button("Use", variant="primary", size="md", min_width=130)
                duplicate = gr.Button("Duplicate", size="md", min_width=90)
                delete = gr.Button("Delete", variant="stop", size="md", min_width=90)
            name = gr.Textbox(
                label="Name", max_length=LONGEST_TITLE, max_lines=1, submit_btn="Rename"
            )
            hint = gr.HTML(basics.hint(READY_MADE), visible=False, apply_default_css=False)
            sheet = gr.HTML(apply_default_css=False)
            with gr.Accordion("Where in the network it steers", open=True):
                layers = gr.HTML(apply_default_css=False)
            with gr.Accordion("Export and publish", open=False):
                with gr.Row(elem_classes="deeds"):
                    pack = gr.Button("As a zip", size="md", min_width=120)
                    norms = gr.Button("For ComfyUI and A1111", size="md", min_width=160)
                files = gr.File(label="Ready to download", visible=False, interactive=False)
                repository = _publish(handlers, chosen)

    look = {
        "fn": handlers.library,
        "inputs": [kind, chosen],
        "outputs": [cards, chosen],
        **QUIET,
    }
    show = {
        "fn": handlers.details,
        "inputs": [chosen],
        "outputs": [
            *(heading, sheet, layers, frame, use),
            *(name, delete, hint, norms, repository, files),
        ],
        **QUIET,
    }
    kind.input(**look)
    cards.select(handlers.pick, None, [chosen], **QUIET)
    chosen.change(**show)
    name.submit(handlers.rename, [chosen, name], None, **QUIET).success(**look).success(**show)
    duplicate.click(handlers.duplicate, [chosen], [chosen], **QUIET).success(**look)
    upload.upload(handlers.take_in, [upload], [kind, chosen], **QUIET).success(**look)
    delete.click(handlers.delete, [chosen], [undo_row, gone, deleted], **QUIET).success(**look)
    undo.click(handlers.undo, [deleted], [undo_row, kind, chosen], **QUIET).success(**look)
    pack.click(handlers.pack, [chosen], [files], **QUIET)
    norms.click(handlers.norms, [chosen], [files], **MODEL)
    return LibraryTab(chosen, use, look)


def _publish(handlers: LibraryHandlers, chosen: gr.State) -> gr.Textbox:
    """The part that needs a token of the hub."""
    repository = gr.Textbox(
        label="Repository on huggingface.co",
        info="A new one is private.",
        submit_btn="Publish",
        visible=handlers.publishes,
    )
    outcome = gr.HTML("" if handlers.publishes else basics.hint(NO_TOKEN))
    repository.submit(
        handlers.publish,
        [chosen, repository],
        [outcome],
        concurrency_id="publish",
        api_visibility="private",
    )
    return repository
