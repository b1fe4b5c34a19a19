"""What the server keeps for each session: little, and for a limited number of them."""

from __future__ import annotations

from copy import copy
from types import SimpleNamespace
from typing import Any

from gradio.block_function import BlockFunction
from gradio.components import Dropdown
from gradio.state_holder import SessionState, StateHolder

__all__ = ["SESSIONS", "Sessions", "believe_menus"]

SESSIONS = 256
"""Sessions that are kept; whoever comes back after that many others goes on like a page that was
opened before the server was started again, see `believe_menus`."""


class Sessions(StateHolder):
    """The sessions by number, without the copy of the whole page that Gradio makes for each.

    Gradio makes that copy, 0.75 MB, for links to a state of the page, which this page has not.
    """

    def __getitem__(self, session_id: str) -> SessionState:
        """Return a session; a new one if it is unknown."""
        if session_id not in self:
            nothing: Any = SimpleNamespace(default_config=self.blocks.default_config, blocks={})
            self.session_data[session_id] = SessionState(nothing)
        return super().__getitem__(session_id)

    def drop(self, session_id: str) -> None:
        """Forget a session."""
        self.session_data.pop(session_id, None)
        self.time_last_used.pop(session_id, None)


def believe_menus(block_fn: BlockFunction, session: SessionState) -> None:
    """Accept what a page sends for a menu that its session has not filled.

    A page fills its menus when it is opened, and Gradio remembers the choices by session. If the
    server was started again since then, it refuses every choice. The handlers check all ids.
    """
    blocks = session.blocks_config.blocks
    for menu in block_fn.inputs:
        if isinstance(menu, Dropdown) and blocks.get(menu._id) is menu:
            blocks[menu._id] = believed = copy(menu)
            believed.allow_custom_value = True  # until the menu is filled
