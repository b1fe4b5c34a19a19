"""Event handlers of the rows of further concepts.

A row is a map and its strength λ; a row without a map is closed. Handlers take the maps and
strengths of all rows in turn as `values`, and return updates for all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from ..events import LatestRequest, latest_only, user_errors
from ..studio.mix import MOST_FURTHER
from ..studio.studio import Studio
from ..widgets.map_menu import map_menu

__all__ = ["NEW_STRENGTH", "MixHandlers"]

NEW_STRENGTH = 0.5
"""Strength of a concept that is added: two concepts at full strength are often too much."""

_CALLS = LatestRequest()  # of all that update the rows

Row = tuple[str, float | None]

RowUpdates = tuple[Any, ...]
"""Updates of the frame, the map and λ of every row, then of the button that adds a row."""


class MixHandlers:
    """The event handlers of the rows below the first concept.

    In every handler `first` is the id of the first map.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @latest_only(_CALLS)
    @user_errors
    def add(self, first: str | None, *values: Any) -> RowUpdates:
        """Open a row with a concept that is not in use yet."""
        rows = _open(values)
        ids = [map_id for _, map_id in self._choices(first)]
        used = [first, *(map_id for map_id, _ in rows)]
        free = [map_id for map_id in ids if map_id not in used] or ids
        return self._show(first, [*rows, *((map_id, NEW_STRENGTH) for map_id in free[:1])])

    @latest_only(_CALLS)
    @user_errors
    def close_unsuitable(self, first: str | None, *values: Any) -> RowUpdates:
        """Close the rows whose map belongs to another model than the first map."""
        return self._show(first, _open(values))

    @latest_only(_CALLS)
    @user_errors
    def remove(self, place: int, first: str | None, *values: Any) -> RowUpdates:
        """Close the row at index `place`."""
        rows = _open(values)
        return self._show(first, rows[:place] + rows[place + 1 :])

    @latest_only(_CALLS)
    @user_errors
    def move_up(
        self, place: int, first: str | None, strength: float | None, *values: Any
    ) -> tuple[Any, ...]:
        """Apply the map of the row at index `place` before the one above it.

        Returns:
            Menu of the first concept, its λ, map and prompt that are restored together, then as
            in the other handlers.
        """
        rows: list[Any] = [(first, strength), *_open(values)]
        if place + 1 < len(rows):
            rows[place], rows[place + 1] = rows[place + 1], rows[place]
        (first, strength), *further = rows
        menu = map_menu(self._studio, "text-to-image", first)
        return menu, strength, [first, ""], *self._show(first, further)

    def gather(self, *values: Any) -> Any:
        """Return the pairs (id, λ) of the open rows; skip while the user types a number."""
        rows = _open(values)
        return gr.skip() if None in [strength for _, strength in rows] else rows

    @latest_only(_CALLS)
    def show(self, first: str | None, rows: Sequence[Row]) -> RowUpdates:
        """Open these rows and close all others, for an event of another panel."""
        return self._show(first, rows)

    def _show(self, first: str | None, rows: Sequence[Row]) -> RowUpdates:
        choices, updates = self._choices(first), []
        ids = [map_id for _, map_id in choices]
        rows = [row for row in rows if row[0] in ids]
        for place in range(MOST_FURTHER):
            is_open = place < len(rows)
            map_id, strength = rows[place] if is_open else (None, NEW_STRENGTH)
            menu = gr.Dropdown(choices=choices, value=map_id)
            updates += [gr.Column(visible=is_open), menu, strength]
        return *updates, gr.Button(visible=len(choices) > 1 and len(rows) < MOST_FURTHER)

    def _choices(self, first: str | None) -> list[tuple[str, str]]:
        """Return title and id of the maps that were learnt on the model of the first one."""
        entries = [e for e in self._studio.maps() if e.kind == "text-to-image"]
        models = {e.model for e in entries if e.id == first}
        return [(e.title, e.id) for e in entries if e.model in models]


def _open(values: Sequence[Any]) -> list[Row]:
    """Return the open rows, given the maps and strengths of all rows in turn."""
    pairs = zip(values[::2], values[1::2], strict=True)
    return [(map_id, strength) for map_id, strength in pairs if map_id]
