"""The panel of the grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from ..events import IN_PAGE, LATEST, MANY, QUIET, LatestRequest, latest_only
from ..scripts import script
from ..studio.grid import AXES
from ..widgets.choice import choice_of
from ..widgets.unless_typed import unless_typed
from .controls import Controls
from .grid_handlers import GridHandlers
from .steps_boxes import StepsBoxes

__all__ = ["grid_panel"]


def grid_panel(
    handlers: GridHandlers, controls: Controls, further: gr.State, boxes: StepsBoxes
) -> None:
    """Declare the panel.

    Args:
        handlers: its event handlers.
        controls: the settings that the axes change.
        further: pairs (id, λ) of the maps that are applied after the first one.
        boxes: steps and guidance of all pictures.
    """
    settings = [
        *(controls.concept, further, controls.prompt, controls.seed, controls.strength),
    ]
    with gr.Tab("Grid") as frame:
        with gr.Row(elem_classes="axes"):
            columns, across = _axis("Columns", "strength")
            rows, down = _axis("Rows", "seed", [("none", "")])
        with gr.Row(elem_classes="ask-for"):
            start = gr.Button("Paint the grid", size="sm", scale=0, min_width=160)
            save = gr.Button("Save as a picture", size="sm", scale=0, min_width=160)
        description = gr.HTML(apply_default_css=False)
        table = gr.HTML(apply_default_css=False, elem_id="grid")
        for axis, values in ((columns, across), (rows, down)):
            one = latest_only(LatestRequest())  # of the two events that fill the box
            fill: dict[str, Any] = {
                "inputs": [values, axis, *settings],
                "outputs": [unless_typed(values)],
            }
            choice_of(axis).change(one(handlers.values), **fill, **LATEST)
            frame.select(one(handlers.first_values), **fill, **QUIET)
    start.click(
        handlers.paint,
        [*settings, *boxes, columns, across, rows, down],
        [table, description],
        **MANY,
    )
    save.click(None, js=script("save_grid"), **IN_PAGE)


def _axis(
    label: str, chosen: str, optional: Sequence[tuple[str, str]] = ()
) -> tuple[gr.Dropdown, gr.Textbox]:
    with gr.Column(min_width=260):
        choices = [(name, key) for key, name in AXES.items()]
        axis = gr.Dropdown([*optional, *choices], value=chosen, label=label)
        values = gr.Textbox(
            label=f"Values of the {label.lower()}",
            info="Separate numbers with commas; seeds may be a range (7-10). "
            "Everything else: one per line.",
            lines=2,
            max_lines=8,
            max_length=20_000,
        )
    return axis, values
