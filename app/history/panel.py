"""The panels of a tab for its address, earlier results, code to copy, and saved pictures."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr
from gradio.blocks import Block

from ..events import IN_PAGE, LATEST, QUIET
from ..html import basics
from ..scripts import script
from ..widgets.steering import SteeringTab
from .handlers import HistoryHandlers
from .html import earlier

__all__ = ["add_history"]


def add_history(
    handlers: HistoryHandlers, tab: SteeringTab, frame: gr.Tab, home: gr.Textbox
) -> None:
    """Declare the panels of a tab and wire them to it.

    Args:
        handlers: event handlers of the panels.
        tab: a tab that has been declared.
        frame: its frame.
        home: address of the page.
    """
    begun = tab.chosen.then(
        handlers.begin,
        [tab.concept, tab.kept, tab.began],
        [tab.strength, tab.kept, tab.began],
        **LATEST,
    )
    described, again = _earlier_results(handlers, tab, home)
    for event, only in ((described.then, frame.elem_id), (frame.select, "")):
        event(None, [tab.result], None, js=script("show_address", tab=only), **IN_PAGE)
    restoring = [begun, again]
    if tab.upload:
        with tab.upload:
            restoring.append(_restore(handlers, tab.concept, tab.restored))
    for event in restoring:
        event.then(tab.new_request, None, [tab.request], **QUIET)


def _earlier_results(
    handlers: HistoryHandlers, tab: SteeringTab, home: gr.Textbox
) -> tuple[gr.events.Dependency, gr.events.Dependency]:
    """Declare the panels below a result.

    Returns:
        The events after a result was described, and after an earlier one was restored.
    """
    past = gr.State([])
    with tab.earlier:
        tiles = gr.HTML(earlier([]), apply_default_css=False, js_on_load=script("earlier_result"))
    with tab.code:
        copies = gr.HTML(
            basics.hint("There is no result yet."),
            apply_default_css=False,
            js_on_load=script("copy"),
        )
    # After the result, not at each request: the slider makes many that have none.
    described = tab.made.then(handlers.describe, [home, tab.result], [copies], **LATEST)
    described.then(handlers.keep, [past, tab.result], [past, tiles], **LATEST)
    return described, tiles.click(handlers.again, None, tab.restored, **QUIET)


def _restore(
    handlers: HistoryHandlers, concept: gr.Dropdown, restored: Sequence[Block]
) -> gr.events.Dependency:
    """Declare the upload of a saved picture, and return the event after it.

    The button is always visible, because a picture that is dropped anywhere on the tab is
    uploaded through it.
    """
    with gr.Row(elem_classes="restore"):
        upload = gr.UploadButton(
            "Restore from a picture", file_types=[".png"], size="sm", scale=0, min_width=190
        )
        gr.HTML(
            basics.hint(
                "Saved pictures contain their settings. You can also drop one on this page."
            ),
            apply_default_css=False,
            js_on_load=script("drop"),
        )
    return upload.upload(handlers.from_picture, [upload, concept], restored, **QUIET)
