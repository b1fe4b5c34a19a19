"""An update of a menu, which leaves what the user has chosen meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

__all__ = ["menu"]


def menu(choices: Sequence[tuple[str, str]], value: str | None, shown: str | None = None) -> Any:
    """Return an update of a menu.

    Args:
        choices: pairs of label and value.
        value: the value to choose.
        shown: the value that came with the request. If it stays, the answer leaves it out: the
            user may have chosen another one before the answer arrives.
    """
    chosen: dict[str, Any] = {} if value == shown else {"value": value}
    return gr.Dropdown([*choices], **chosen)
