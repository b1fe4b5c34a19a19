"""What keeps results: the address of the page, earlier results, and what can be copied."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr

from lineas_core.paths import ASSETS

from ..events import IN_PAGE, QUIET
from ..html import basics
from .handlers import HistoryHandlers
from .html import earlier

__all__ = ["IF_CHOSEN", "OPEN", "SHOW_ADDRESS", "TELL_ADDRESS", "recall", "restore"]

SHOW_ADDRESS = (ASSETS / "address.js").read_text(encoding="utf-8")
"""Takes the end of an address and puts it into the browser's, without loading the page."""

TELL_ADDRESS = """() => {
    document.addEventListener('click', event => {
        if (event.target.closest('[role="tab"]')) document.body.dataset.tab = 'chosen';
    });
    return [location.href];
}"""
"""Tells the address of the page, and from now on remembers whether somebody chose a tab."""

OPEN = """tab => document.body.dataset.tab
    ? {__type__: 'update'}
    : {__type__: 'update', selected: tab}"""
"""Opens a tab, but whoever was quicker than the server stays where they went."""

IF_CHOSEN = """(concept, home) => {{
    const shown = document.querySelector('[role="tab"][aria-selected="true"]');
    const chosen = document.body.dataset.tab && shown?.textContent.trim() === '{label}';
    return [concept, chosen ? home : ''];
}}"""
"""Of a menu and the address of the page: no address unless somebody chose the tab with this label
before the page had opened.
"""

_DROP = (ASSETS / "drop.js").read_text(encoding="utf-8")
_COPY = (ASSETS / "copy.js").read_text(encoding="utf-8")
_TELL_LINK = """
element.addEventListener('click', event => {
    const tile = event.target.closest('[data-query]');
    if (tile) trigger('click', {query: tile.dataset.query});
});
"""


def recall(
    handlers: HistoryHandlers,
    home: gr.Textbox,
    wish: gr.State,
    made: gr.events.Dependency,
    asked: Sequence[gr.components.Component],
    restored: Sequence[gr.components.Component],
) -> tuple[gr.Textbox, gr.events.Dependency]:
    """Declare both panels of a tab.

    Args:
        handlers: what the events do.
        home: address of the page.
        wish: changes with everything that is asked for.
        made: the event after which a result is there.
        asked: λ, map, further maps, prompt, seed, and what else a result depends on.
        restored: what settings that come back are put into, see `HistoryHandlers`.

    Returns:
        The end of the address that leads to what is shown, and the event that brings an earlier
        result back.
    """
    past, query = gr.State([]), gr.Textbox(visible=False)
    with gr.Accordion("Earlier results of this session", open=False):
        tiles = gr.HTML(earlier([]), apply_default_css=False, js_on_load=_TELL_LINK)
    with gr.Accordion("Copy as link, Python, command line, curl", open=False):
        copies = gr.HTML(
            basics.hint("First make something."), apply_default_css=False, js_on_load=_COPY
        )
    told = wish.change(
        handlers.tell, [home, *asked], [query, copies], trigger_mode="always_last", **QUIET
    )
    told.then(None, [query], None, js=SHOW_ADDRESS, **IN_PAGE)
    # Whichever comes last finds both the settings and the result.
    for event in (told, made):
        event.then(handlers.keep, [past, query], [past, tiles], **QUIET)
    again = tiles.click(handlers.again, None, restored, **QUIET)
    return query, again


def restore(
    handlers: HistoryHandlers,
    concept: gr.Dropdown,
    restored: Sequence[gr.components.Component],
) -> gr.events.Dependency:
    """Declare the button that takes a saved picture; returns the event after it.

    It has to stand outside of what is folded away: a picture that is dropped anywhere on the tab
    goes through it.
    """
    with gr.Row(elem_classes="restore"):
        upload = gr.UploadButton(
            "Restore from a picture", file_types=[".png"], size="sm", scale=0, min_width=190
        )
        gr.HTML(
            basics.hint("Saved pictures carry their settings. Or drop one on this page."),
            apply_default_css=False,
            js_on_load=_DROP,
        )
    return upload.upload(handlers.from_picture, [upload, concept], restored, **QUIET)
