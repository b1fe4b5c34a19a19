"""Rows for further concepts, below the first one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import gradio as gr

from ..events import LATEST, QUIET
from ..studio.mix import MOST_FURTHER
from .controls import Controls
from .mix_handlers import NEW_STRENGTH, MixHandlers

__all__ = ["MixRows", "mix"]


class MixRows(NamedTuple):
    """The rows, for other parts of the tab.

    Attributes:
        further: pairs (id, λ) of the maps that are applied after the first one.
        updated: components that the handlers of `MixHandlers` update, see `RowUpdates`.
    """

    further: gr.State
    updated: Sequence[gr.blocks.Block]


class _Row(NamedTuple):
    frame: gr.Column
    concept: gr.Dropdown
    strength: gr.Slider
    up: gr.Button
    close: gr.Button


def mix(handlers: MixHandlers, controls: Controls) -> MixRows:
    """Declare the rows and the button that opens them.

    Args:
        handlers: their event handlers.
        controls: the first concept, its strength, and `kept`, which says that both come together.
    """
    further = gr.State([])
    rows = [_row(place) for place in range(MOST_FURTHER)]
    add = gr.Button("Add a concept", size="sm", visible=False)
    updated = [*(part for row in rows for part in row[:3]), add]
    inputs = [controls.concept, *(part for row in rows for part in row[1:3])]

    add.click(handlers.add, inputs, updated, **QUIET)
    controls.concept.change(handlers.close_unsuitable, inputs, updated, **QUIET)
    for place, row in enumerate(rows):
        row.close.click(partial(handlers.remove, place), inputs, updated, **QUIET)
        row.up.click(
            partial(handlers.move_up, place),
            [controls.concept, controls.strength, *inputs[1:]],
            [controls.concept, controls.strength, controls.kept, *updated],
            **QUIET,
        )
    gr.on(
        [event for row in rows for event in (row.concept.change, row.strength.change)],
        handlers.gather,
        inputs[1:],
        [further],
        **LATEST,
    )
    return MixRows(further, updated)


def _row(place: int) -> _Row:
    """Declare a closed row; `place` counts from 0, the name of its concept from 2."""
    name = f"concept {place + 2}"
    with gr.Column(visible=False, elem_classes="further") as frame:
        with gr.Row():
            concept = gr.Dropdown([], label=name.capitalize(), min_width=120, scale=5)
            # Screen readers announce the name; the style sheet shows a sign instead.
            up, close = (
                gr.Button(
                    f"{what} {name}",
                    size="sm",
                    min_width=36,
                    scale=0,
                    elem_classes=["sign", sign],
                )
                for what, sign in (("Move up", "up"), ("Remove", "close"))
            )
        strength = gr.Slider(
            -1, 1, value=NEW_STRENGTH, step=0.05, label=f"λ of {name}", buttons=[]
        )
    return _Row(frame, concept, strength, up, close)
