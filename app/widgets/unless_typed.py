"""Text that an answer brings for a box, and that does not replace what is typed meanwhile."""

from __future__ import annotations

import gradio as gr

from ..events import IN_PAGE
from ..scripts import script

__all__ = ["unless_typed"]


def unless_typed(box: gr.Textbox) -> gr.JSON:
    """Return the component where answers for a box arrive, which has to be declared already.

    An answer is `[asked, text]`: what the box had when the answer was asked for, and what it gets
    if nobody has typed there since. An answer to a click that asks for just this text, such as one
    on an example, needs no such caution and goes to the box itself.
    """
    arrived, put = gr.JSON(visible=False), gr.Textbox(visible=False)
    arrived.change(
        None, [arrived, box, put], [box, put, arrived], js=script("unless_typed"), **IN_PAGE
    )
    return arrived
