"""The grid: pictures over two chosen axes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

import gradio as gr

from lineas_core.prompts.errors import plural

from ..events import user_errors
from ..html import basics
from ..html.thumbnails import small_jpeg
from ..studio.checks import number, prompt_text, seed_of
from ..studio.grid import Cell, axis_values, grid
from ..studio.pictures import Pictures
from ..studio.steps import checked_steps
from ..studio.studio import Studio
from . import html as images_html

__all__ = ["GridHandlers"]

_SIDE = 256  # pixels
_AT_ONCE = 5  # pictures per batch; other requests get the model between two batches


class GridView(NamedTuple):
    """Updates of the grid so far, and of the sentence above it."""

    table: object
    description: str


class GridHandlers:
    """The event handlers of the grid.

    The arguments `map_id`, `further`, `prompt`, `seed` and `strength` are the settings of the
    tab, which the axes change.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @user_errors
    def values(self, typed: str | None, axis: str, map_id: str | None, *others: Any) -> Any:
        """Return values of an axis to begin with, for `unless_typed`.

        Args:
            typed: what its box has.
            axis: its key.
            map_id: see the class.
            *others: further, prompt, seed and strength, see the class.
        """
        if not map_id:
            return [typed, ""]
        further, prompt, seed, strength = others
        cell = self._cell(map_id, further, prompt or "…", seed or 0, strength)
        return [typed, axis_values(self._studio, axis, cell)]

    def first_values(self, typed: str | None, *settings: Any) -> Any:
        """Fill an empty box as `values` does; what was typed stays."""
        return gr.skip() if (typed or "").strip() else self.values(typed, *settings)

    @user_errors
    def paint(
        self,
        map_id: str | None,
        further: list[tuple[str, float]],
        prompt: str,
        seed: int | None,
        strength: float | None,
        steps: int | None,
        guidance: float | None,
        steer_steps: str | None,
        *axes: str,
    ) -> Iterator[GridView]:
        """Paint the grid row by row.

        Args:
            map_id: see the class.
            further: see the class.
            prompt: see the class.
            seed: see the class.
            strength: see the class.
            steps: number of denoising steps; None is the default of the model.
            guidance: guidance scale; None is the default of the model.
            steer_steps: first and last step at which maps act; empty for all.
            *axes: key and values of the columns, then key and values of the rows.

        Yields:
            The grid so far.
        """
        if not map_id:
            return
        cell = self._cell(map_id, further, prompt, seed, strength)
        paints = self._studio.pictures.with_steps(checked_steps(steps, guidance, steer_steps))
        self._studio.models.require(cell.entries[0].model)
        columns, column_values, rows, row_values = axes
        plan = grid(self._studio, cell, (columns, column_values), (rows, row_values))
        done: list[str] = []
        wanted = [each for row in plan.cells for each in row]
        for pictures in _batches(paints, wanted):
            rows_before = len(done) // len(plan.columns)
            done += pictures
            left = len(wanted) - len(done)
            told = f"{left} more to paint …" if left else plural(len(wanted), "picture") + "."
            # The table holds all pictures so far, so it is not sent for each of them.
            table = gr.skip()
            if len(done) // len(plan.columns) > rows_before:
                table = images_html.grid(plan.columns, plan.rows, done)
            yield GridView(table, basics.hint(told))

    def _cell(
        self,
        map_id: str,
        further: list[tuple[str, float]],
        prompt: str,
        seed: int | None,
        strength: float | None,
    ) -> Cell:
        mix = self._studio.mix(map_id, further)
        at = mix.at(number("λ", strength, -1, 1))
        return Cell(mix.entries, at, prompt_text(prompt), seed_of(seed))


def _batches(paints: Pictures, cells: list[Cell]) -> Iterator[list[str]]:
    """Paint neighbours that differ in λ only together; yields them as JPEGs in base64."""
    for (entries, prompt, seed), same in groupby(
        cells, lambda each: (each.entries, each.prompt, each.seed)
    ):
        rows = [each.strengths for each in same]
        for start in range(0, len(rows), _AT_ONCE):
            batch = rows[start : start + _AT_ONCE]
            painted = paints.paint(entries, prompt, batch, seed=seed)
            yield [small_jpeg(picture.image, _SIDE) for picture in painted]
