"""What the How it works tab does: a map in, drawings of what it does at a strength out."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ..events import user_errors
from ..html import charts
from ..studio.checks import number
from ..studio.studio import Studio

__all__ = ["ExplainHandlers"]


class ExplainHandlers:
    """The events of the How it works tab."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @user_errors
    def library(self, chosen: str | None) -> Any:
        """The menu of all maps; the chosen one stays if it is still there."""
        choices = [(f"{e.title} · {e.model}", e.id) for e in self._studio.maps()]
        ids = [map_id for _, map_id in choices]
        return gr.Dropdown(choices, value=chosen if chosen in ids else next(iter(ids), None))

    @user_errors
    def draw(self, map_id: str | None, strength: float | None) -> tuple[Any, ...]:
        """The most-moved coordinate and all modules of a map, at a strength.

        Returns:
            Drawing of the coordinate, drawing of the modules.
        """
        if not map_id or strength is None:  # none yet, or a number is being typed
            return gr.skip(), gr.skip()
        lam = number("λ", strength, -1, 1)
        maps = self._studio.steering(self._studio.entry(map_id))
        return charts.transport(maps, lam), charts.modules(maps.at(lam), largest_of=maps)
