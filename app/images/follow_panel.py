"""What lets the pictures follow a map that is still being learnt."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ..events import LATEST, QUIET
from .follow_handlers import FollowHandlers

__all__ = ["follow"]

_LEARNING_SECONDS = 4  # between two looks at a map that is being learnt


def follow(
    handlers: FollowHandlers,
    concept: gr.Dropdown,
    summary: gr.HTML,
    request: gr.State,
    chosen: gr.events.Dependency,
) -> None:
    """Look at the chosen map every few seconds while it is being learnt."""
    version, timer = gr.Textbox(visible=False), gr.Timer(_LEARNING_SECONDS, active=False)
    look: dict[str, Any] = {
        "fn": handlers.follow,
        "inputs": [concept, version],
        "outputs": [request, version, timer, summary],  # as in `Followed`
    }
    chosen.then(**look, **LATEST)
    timer.tick(**look, **QUIET)
