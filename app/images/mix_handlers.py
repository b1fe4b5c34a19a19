"""The rows of further concepts: what opens, closes and moves them.

A row is a map and its λ; one without a map is closed. Every event here takes all rows as they
stand and answers all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from ..events import user_errors
from ..studio.mix import MOST_FURTHER
from ..studio.studio import Studio
from ..widgets.map_menu import map_menu

__all__ = ["MixHandlers"]

_STRENGTH = 0.5  # of a concept that was just added: two at full strength are often too much

Row = tuple[str, float | None]


class MixHandlers:
    """The events of the rows below the first concept."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @user_errors
    def add(self, first: str | None, *values: Any) -> tuple[Any, ...]:
        """Open a row, with a concept that is not in use yet.

        Returns:
            For every row: frame, map, λ; then the button that adds one.
        """
        rows = _open(values)
        ids = [map_id for _, map_id in self._fitting(first)]
        used = [first, *(map_id for map_id, _ in rows)]
        free = [map_id for map_id in ids if map_id not in used] or ids
        return self.shown(first, [*rows, *((map_id, _STRENGTH) for map_id in free[:1])])

    @user_errors
    def fit(self, first: str | None, *values: Any) -> tuple[Any, ...]:
        """Close the rows whose map is for another model than the first concept's; as `add`."""
        ids = [map_id for _, map_id in self._fitting(first)]
        return self.shown(first, [row for row in _open(values) if row[0] in ids])

    @user_errors
    def remove(self, place: int, first: str | None, *values: Any) -> tuple[Any, ...]:
        """Close the row at a place, from 0; as `add`."""
        rows = _open(values)
        return self.shown(first, rows[:place] + rows[place + 1 :])

    @user_errors
    def move_up(
        self, place: int, first: str | None, strength: float | None, *values: Any
    ) -> tuple[Any, ...]:
        """Let the row at a place, from 0, act before the one above it.

        Returns:
            Menu of the first concept, its λ, that it comes with this λ, then as `add`.
        """
        rows: list[Any] = [(first, strength), *_open(values)]
        if place + 1 < len(rows):
            rows[place], rows[place + 1] = rows[place + 1], rows[place]
        (first, strength), *further = rows
        menu = map_menu(self._studio, "text-to-image", first)
        return menu, strength, [first, ""], *self.shown(first, further)

    def gather(self, *values: Any) -> Any:
        """The pairs of map and λ of the open rows; nothing while a number is being typed."""
        rows = _open(values)
        return gr.skip() if None in [lam for _, lam in rows] else rows

    def shown(self, first: str | None, rows: Sequence[Row]) -> tuple[Any, ...]:
        """These rows, open; as `add`."""
        choices, answers = self._fitting(first), []
        for place in range(MOST_FURTHER):
            is_open = place < len(rows)
            map_id, lam = rows[place] if is_open else (None, _STRENGTH)
            answers += [
                gr.Column(visible=is_open),
                gr.Dropdown(choices=choices, value=map_id),
                lam,
            ]
        return *answers, gr.Button(visible=len(choices) > 1 and len(rows) < MOST_FURTHER)

    def _fitting(self, first: str | None) -> list[tuple[str, str]]:
        """What the menus offer: the maps of the first one's model."""
        found = [e for e in self._studio.maps() if e.kind == "text-to-image"]
        models = {e.model for e in found if e.id == first}
        return [(e.title, e.id) for e in found if e.model in models]


def _open(values: tuple[Any, ...]) -> list[Row]:
    """The open rows, of all maps and strengths in turn."""
    pairs = zip(values[::2], values[1::2], strict=True)
    return [(map_id, lam) for map_id, lam in pairs if map_id]
