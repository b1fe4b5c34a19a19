"""The parts of the Chat tab that change with a turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import gradio as gr

from ..studio.turns import Turn, as_json
from . import html as chat_html

__all__ = ["BUSY", "READY", "TalkView", "whole"]

BUSY: dict[str, Any] = {"submit_btn": False, "stop_btn": "Stop"}
READY: dict[str, Any] = {"submit_btn": "Send", "stop_btn": False}
"""The buttons of the message box while answers are written, and while none are."""


class TalkView(NamedTuple):
    """The parts of the Chat tab that change with a turn; `written` is for `unless_typed`."""

    past: object = gr.skip()
    current: object = gr.skip()
    turns: object = gr.skip()
    message: object = gr.skip()
    written: object = gr.skip()
    actions: object = gr.skip()
    reseed: object = gr.skip()


def whole(turns: Sequence[Turn], message: str | None = None) -> TalkView:
    """Return the view of a chat whose answers are finished.

    Args:
        turns: its turns.
        message: text for the message box; None leaves it.
    """
    return TalkView(
        past=chat_html.turns_html(turns[:-1]),
        current=chat_html.turn_html(len(turns), turns[-1]) if turns else chat_html.EMPTY,
        turns=as_json(turns),
        message=gr.Textbox(**READY) if message is None else gr.Textbox(message, **READY),
        actions=gr.Row(visible=bool(turns)),
        reseed=gr.Button(interactive=True),
    )
