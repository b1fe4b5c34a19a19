"""The panels that bring results back: the address, earlier results, copies, a saved picture."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr
from gradio.blocks import Block

from ..events import IN_PAGE, QUIET
from ..html import basics
from ..scripts import script
from ..widgets.steering import SteeringTab
from .handlers import HistoryHandlers
from .html import earlier

__all__ = ["add_history"]


def add_history(handlers: HistoryHandlers, tab: SteeringTab, home: gr.Textbox) -> gr.Textbox:
    """Declare the panels of a tab and wire them to it.

    Args:
        handlers: the events of the panels.
        tab: a tab that has been declared.
        home: address of the page.

    Returns:
        The end of the address that leads to what the tab shows.
    """
    begun = tab.chosen.then(
        handlers.begin,
        [tab.concept, tab.kept, tab.began],
        [tab.strength, tab.kept, tab.began],
        **QUIET,
    )
    with tab.below:
        query, again = _earlier_results(handlers, tab, home)
    restoring = [begun, again]
    if tab.upload:
        with tab.upload:
            restoring.append(_restore(handlers, tab.concept, tab.restored))
    for event in restoring:
        event.then(tab.new_request, None, [tab.request], **QUIET)
    return query


def _earlier_results(
    handlers: HistoryHandlers, tab: SteeringTab, home: gr.Textbox
) -> tuple[gr.Textbox, gr.events.Dependency]:
    """Declare what is below a result; returns the address, and the event that restores one."""
    past, query = gr.State([]), gr.Textbox(visible=False)
    with gr.Accordion("Earlier results of this session", open=False):
        tiles = gr.HTML(earlier([]), apply_default_css=False, js_on_load=script("earlier_result"))
    with gr.Accordion("Copy as link, Python, command line, curl", open=False):
        copies = gr.HTML(
            basics.hint("First make something."),
            apply_default_css=False,
            js_on_load=script("copy"),
        )
    described = tab.request.change(
        handlers.describe,
        [home, *tab.asked],
        [query, copies],
        trigger_mode="always_last",
        **QUIET,
    )
    described.then(None, [query], None, js=script("show_address"), **IN_PAGE)
    # The later of the two finds both the settings and the result.
    for event in (described, tab.made):
        event.then(handlers.keep, [past, query], [past, tiles], **QUIET)
    return query, tiles.click(handlers.again, None, tab.restored, **QUIET)


def _restore(
    handlers: HistoryHandlers, concept: gr.Dropdown, restored: Sequence[Block]
) -> gr.events.Dependency:
    """Declare the button that takes a saved picture; returns the event after it.

    It is not inside an accordion, because a picture that is dropped anywhere on the tab goes
    through it.
    """
    with gr.Row(elem_classes="restore"):
        upload = gr.UploadButton(
            "Restore from a picture", file_types=[".png"], size="sm", scale=0, min_width=190
        )
        gr.HTML(
            basics.hint("Saved pictures carry their settings. Or drop one on this page."),
            apply_default_css=False,
            js_on_load=script("drop"),
        )
    return upload.upload(handlers.from_picture, [upload, concept], restored, **QUIET)
