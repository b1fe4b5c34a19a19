"""The choice of another entry of a menu by the user, told once."""

from __future__ import annotations

import secrets

import gradio as gr

from ..events import IN_PAGE
from ..scripts import script

__all__ = ["choice_of"]


def choice_of(menu: gr.Dropdown) -> gr.Textbox:
    """Return a component that changes when the user chooses an entry of a menu.

    The `input` event of a menu comes twice for a choice, and whenever the menu is left, be it
    unchanged. An answer to it would replace what the user has put somewhere since. An answer that
    changes the menu does not count as a choice; the entry that is already chosen, clicked again,
    does.
    """
    choice = gr.Textbox(visible=False)
    name = secrets.token_hex(4)
    for event, listen in (("focus", menu.focus), ("select", menu.select), ("input", menu.input)):
        code = script("choice", menu=name, event=event)
        listen(None, [menu], [choice], js=code, **IN_PAGE)
    return choice
