"""The layout of the Library tab: cards on the left, the chosen map on the right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import gradio as gr

from ..events import HIDDEN, LATEST, MODEL, QUIET
from ..html import basics
from ..scripts import script
from ..studio.user_maps import LONGEST_TITLE
from .export_handlers import ExportHandlers
from .handlers import KINDS, NO_TOKEN, READY_MADE, LibraryHandlers, MapView

__all__ = ["LibraryTab", "library_tab"]


@dataclass(frozen=True)
class LibraryTab:
    """The components that ui.py wires.

    Attributes:
        chosen: id of the chosen map.
        use: button that opens the chosen map in the tab for its kind.
        refresh: arguments of an event that updates the cards.
    """

    chosen: gr.State
    use: gr.Button
    refresh: dict[str, Any]


class _Tools(NamedTuple):
    """The components above the cards."""

    kind: gr.Radio
    words: gr.Textbox
    upload: gr.UploadButton
    undo_row: gr.Row
    deleted_note: gr.HTML
    undo: gr.Button


class _Pager(NamedTuple):
    """The components below the cards."""

    row: gr.Row
    page: gr.Number
    back: gr.Button
    place: gr.HTML
    forth: gr.Button


class _Sheet(NamedTuple):
    """The components that show the chosen map."""

    frame: gr.Column
    heading: gr.HTML
    use: gr.Button
    confirm: gr.Button
    duplicate: gr.Button
    delete: gr.Button
    name: gr.Textbox
    hint: gr.HTML
    sheet: gr.HTML
    modules: gr.HTML
    pack: gr.Button
    norms: gr.Button
    weights: gr.Button
    strength: gr.Number
    exporting: gr.HTML
    files: gr.File
    repository: gr.Textbox


def library_tab(handlers: LibraryHandlers, exports: ExportHandlers) -> LibraryTab:
    """Declare the tab inside the current `gr.Tab`."""
    chosen = gr.State("")
    # In the page, not a `gr.State`: *Undo* restores what the sentence beside it names.
    deleted = gr.Textbox(visible=False)
    tools = _tools(handlers)
    with gr.Row(elem_classes="library"):
        with gr.Column(scale=3, min_width=320):
            cards = gr.HTML(js_on_load=script("choose_card"), apply_default_css=False)
            pager = _pager()
        sheet = _sheet(handlers, chosen)
    refresh: dict[str, Any] = {
        "fn": handlers.library,
        "inputs": [tools.kind, chosen, tools.words],
        "outputs": [cards, chosen, pager.page, pager.row, pager.place],
        **QUIET,
    }
    gr.on([tools.kind.input, tools.words.input], **{**refresh, **LATEST})
    turned = {**refresh, "inputs": [*refresh["inputs"], pager.page]}
    pager.back.click(**{**turned, "fn": handlers.turn_back})
    pager.forth.click(**{**turned, "fn": handlers.turn})
    cards.select(handlers.pick, None, [chosen], trigger_mode="multiple", **QUIET)
    _wire_sheet(handlers, sheet, chosen, refresh)
    _wire_exports(exports, sheet, chosen)
    listed = [tools.kind, tools.words, chosen]
    imported = tools.upload.upload(handlers.import_map, [tools.upload], listed, **QUIET)
    bin_shown = [tools.undo_row, tools.deleted_note, deleted]
    removed = sheet.delete.click(handlers.delete, [chosen], bin_shown, **QUIET)
    restored = tools.undo.click(handlers.undo, [deleted], [*bin_shown, *listed], **QUIET)
    for event in (imported, removed, restored):
        event.success(**refresh)
    return LibraryTab(chosen, sheet.use, refresh)


def _tools(handlers: LibraryHandlers) -> _Tools:
    with gr.Row(elem_classes="library-tools"):
        kind = gr.Radio(
            list(KINDS.items()),
            value="",
            label="Maps for",
            show_label=False,
            container=False,
            elem_classes="switch",
        )
        words = gr.Textbox(
            placeholder="Search",
            label="Search",
            show_label=False,
            container=False,
            max_lines=1,
            max_length=200,
            min_width=120,
        )
        upload = gr.UploadButton(
            "Import a map",
            file_types=[".zip", ".safetensors"],
            size="md",
            scale=0,
            min_width=130,
            visible=not handlers.read_only,
        )
    with gr.Row(visible=False, elem_classes="undo") as undo_row:
        note = gr.HTML(apply_default_css=False)
        undo = gr.Button("Undo", size="sm", scale=0, min_width=100)
    return _Tools(kind, words, upload, undo_row, note, undo)


def _pager() -> _Pager:
    page = gr.Number(1, visible=False)  # of what the page shows, so no `gr.State`
    with gr.Row(visible=False, elem_classes="pager") as row:
        back = gr.Button("Previous", size="sm", scale=0, min_width=100)
        place = gr.HTML(apply_default_css=False)
        forth = gr.Button("Next", size="sm", scale=0, min_width=100)
    return _Pager(row, page, back, place, forth)


def _sheet(handlers: LibraryHandlers, chosen: gr.State) -> _Sheet:
    with gr.Column(scale=2, min_width=340, visible=False, elem_classes="chosen") as frame:
        heading = gr.HTML(apply_default_css=False)
        with gr.Row(elem_classes="actions"):
            use = gr.Button("Use", variant="primary", size="md", min_width=130)
            confirm = gr.Button("Use it anyway", size="md", min_width=130, visible=False)
            duplicate = gr.Button(
                "Duplicate", size="md", min_width=90, visible=not handlers.read_only
            )
            delete = gr.Button("Delete", variant="stop", size="md", min_width=90)
        name = gr.Textbox(label="Name", max_length=LONGEST_TITLE, max_lines=1, submit_btn="Rename")
        hint = gr.HTML(basics.hint(READY_MADE), visible=False, apply_default_css=False)
        sheet = gr.HTML(apply_default_css=False)
        with gr.Accordion("Where in the network it steers", open=True):
            modules = gr.HTML(apply_default_css=False)
        with gr.Accordion("Export" if handlers.read_only else "Export and publish", open=False):
            with gr.Row(elem_classes="actions"):
                pack = gr.Button("As a zip", size="md", min_width=120)
                norms = gr.Button("For ComfyUI and A1111", size="md", min_width=160)
            with gr.Row(elem_classes="actions"):
                strength = gr.Number(
                    1,
                    label="Strength λ",
                    minimum=-1,
                    maximum=1,
                    step=0.05,
                    min_width=120,
                    visible=not handlers.read_only,
                )
                weights = gr.Button("The model with the map in it", size="md", min_width=160)
            exporting = gr.HTML(apply_default_css=False)
            files = gr.File(label="Ready to download", visible=False, interactive=False)
            repository = _publish(handlers, chosen)
    return _Sheet(
        *(frame, heading, use, confirm, duplicate, delete, name, hint),
        *(sheet, modules, pack, norms, weights),
        *(strength, exporting, files, repository),
    )


def _wire_sheet(
    handlers: LibraryHandlers, sheet: _Sheet, chosen: gr.State, refresh: dict[str, Any]
) -> None:
    show: dict[str, Any] = {
        "fn": handlers.details,
        "inputs": [chosen],
        "outputs": [getattr(sheet, field) for field in MapView._fields],
        **QUIET,
    }
    chosen.change(**show)
    sheet.confirm.click(handlers.confirm, [chosen], None, **QUIET).success(**show)
    renamed = sheet.name.submit(handlers.rename, [chosen, sheet.name], None, **QUIET)
    renamed.success(**refresh).success(**show)
    sheet.duplicate.click(handlers.duplicate, [chosen], [chosen], **QUIET).success(**refresh)


def _wire_exports(exports: ExportHandlers, sheet: _Sheet, chosen: gr.State) -> None:
    # In the page: another map may be chosen while the export waits for its turn at the models.
    asked = gr.Textbox(visible=False)
    told = [sheet.exporting, sheet.pack, sheet.norms, sheet.weights]
    for button, export, given, manner in (
        (sheet.pack, exports.pack, [asked], QUIET),
        (sheet.norms, exports.norms, [asked], MODEL),
        (sheet.weights, exports.weights, [asked, sheet.strength], MODEL),
    ):
        begun = button.click(exports.begin, [chosen], [asked, *told], **QUIET)
        made = begun.success(export, given, [sheet.files], **{**manner, **HIDDEN})
        made.then(exports.end, None, told, **QUIET)


def _publish(handlers: LibraryHandlers, chosen: gr.State) -> gr.Textbox:
    """Declare the box for publishing, or a hint if there is no token."""
    repository = gr.Textbox(
        label="Repository on huggingface.co",
        info="A new repository is private.",
        submit_btn="Publish",
        visible=handlers.publishes,
    )
    quiet = handlers.publishes or handlers.read_only
    outcome = gr.HTML("" if quiet else basics.hint(NO_TOKEN))
    repository.submit(
        handlers.publish,
        [chosen, repository],
        [outcome],
        concurrency_id="publish",
        api_visibility="private",
    )
    return repository
