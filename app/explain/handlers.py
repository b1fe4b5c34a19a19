"""Event handlers of the How it works tab."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ..events import user_errors
from ..html import charts
from ..studio.checks import number
from ..studio.studio import Studio
from ..widgets.map_menu import menu_line
from ..widgets.menu import menu

__all__ = ["ExplainHandlers"]


class ExplainHandlers:
    """The event handlers of the How it works tab."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @user_errors
    def library(self, chosen: str | None) -> Any:
        """Update the menu of all maps; the chosen map stays chosen if it still exists."""
        choices = [(menu_line(entry), entry.id) for entry in self._studio.maps()]
        ids = [map_id for _, map_id in choices]
        return menu(choices, chosen if chosen in ids else next(iter(ids), None), shown=chosen)

    @user_errors
    def draw(self, map_id: str | None, strength: float | None) -> tuple[Any, Any]:
        """Draw a map at a strength.

        Args:
            map_id: id of the map; None if there is none.
            strength: λ, -1 to 1; None while a number is being typed.

        Returns:
            The drawing of the coordinate that is moved most, and that of all modules.
        """
        if not map_id or strength is None:
            return gr.skip(), gr.skip()
        strength = number("λ", strength, -1, 1)
        maps = self._studio.steering(self._studio.entry(map_id))
        return (
            charts.transport(maps, strength),
            charts.modules(maps, strength),
        )
